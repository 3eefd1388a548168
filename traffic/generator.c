// SPDX-License-Identifier: Apache-2.0
//
// Checks of generator configurations and the choice of the kind. See generator.h.
#include "traffic/generator.h"

#include "traffic/generator_internal.h"
#include "traffic/zipf.h"

#define PASID_LIMIT (UINT32_C(1) << 20)
// Products of sizes, counts and queues stay below 2^64 with these.
#define WINDOW_LIMIT (UINT64_C(1) << 56)
#define QUEUES_LIMIT (UINT32_C(1) << 16)
#define DEPTH_LIMIT (UINT32_C(1) << 16)
#define SLOTS_LIMIT (UINT64_C(1) << 24)
#define BUFFER_LIMIT (UINT32_C(1) << 24)
#define PARTS_LIMIT (UINT32_C(1) << 20)
#define BATCH_LIMIT 256u

static const char *check_common(const struct iom_generator_config *config)
{
    const unsigned known = IOM_REQ_PASID | IOM_REQ_PRIV | IOM_REQ_EXEC;
    if ((config->flags & ~known) != 0)
        return "flags: only PASID, PRIV and EXEC can be chosen";
    if ((config->flags & IOM_REQ_PASID) != 0 && config->pasid >= PASID_LIMIT)
        return "pasid: at most 20 bits";
    if (config->base_iova % IOM_PAGE_BYTES != 0)
        return "base_iova: must be a multiple of 4 KiB";
    if (config->window_bytes == 0 || config->window_bytes % IOM_PAGE_BYTES != 0)
        return "window_bytes: must be a multiple of 4 KiB, at least 4 KiB";
    if (config->window_bytes > WINDOW_LIMIT || config->base_iova > UINT64_MAX - config->window_bytes)
        return "window_bytes: too large";
    if (config->request_bytes == 0 || config->request_bytes > IOM_PAGE_BYTES)
        return "request_bytes: must be 1 to 4096";
    if (config->read_ppm > IOM_PPM)
        return "read_ppm: a share of at most 1000000 parts per million";
    if (config->page_log2 != 0 && config->page_log2 != 12 && config->page_log2 != 21 &&
        config->page_log2 != 30)
        return "page_log2: must be 0, 12, 21 or 30";
    return NULL;
}

static const char *check_uniform(const struct iom_generator_config *config)
{
    uint64_t align = config->align_bytes != 0 ? config->align_bytes : config->request_bytes;
    if (align > config->window_bytes)
        return "align_bytes: more than the window";
    if (config->hot_bytes == 0)
        return NULL;
    if (config->hot_ppm > IOM_PPM)
        return "hot_ppm: a share of at most 1000000 parts per million";
    if (config->hot_bytes > config->window_bytes)
        return "hot_bytes: more than the window";
    if (config->hot_bytes < config->request_bytes)
        return "hot_bytes: less than a request";
    if (config->hot_ppm < IOM_PPM &&
        iom_align_up(config->hot_bytes, align) + config->request_bytes > config->window_bytes)
        return "hot_bytes: leaves no room for the requests that are not hot";
    return NULL;
}

uint64_t iom_generator_zipf_block(const struct iom_generator_config *config)
{
    if (config->zipf_block_bytes != 0)
        return config->zipf_block_bytes;
    uint64_t block = IOM_PAGE_BYTES;
    while (iom_div_ceil(config->window_bytes, block) > IOM_ZIPF_MAX_ITEMS)
        block *= 2;
    return block;
}

static const char *check_zipf(const struct iom_generator_config *config)
{
    if (config->zipf_exponent_ppm > IOM_ZIPF_MAX_EXPONENT_PPM)
        return "zipf_exponent_ppm: at most 10000000 (10)";
    uint64_t block = iom_generator_zipf_block(config);
    if (!iom_is_power_of_two(block) || block < IOM_PAGE_BYTES)
        return "zipf_block_bytes: must be a power of two of at least 4096";
    if (iom_div_ceil(config->window_bytes, block) > IOM_ZIPF_MAX_ITEMS)
        return "zipf_block_bytes: makes more than 1048576 blocks of the window; choose larger blocks";
    return NULL;
}

static const char *check_queues(const struct iom_generator_config *config)
{
    if (config->read_request_bytes > IOM_PAGE_BYTES)
        return "read_request_bytes: must be at most 4096";
    if (config->queues > QUEUES_LIMIT || config->queue_depth > DEPTH_LIMIT ||
        iom_max_u64(config->queues, 1) * iom_max_u64(config->queue_depth, 32) > SLOTS_LIMIT)
        return "queues, queue_depth: more than 16777216 operations at once";
    if (config->ring_entries > UINT32_C(1) << 20)
        return "ring_entries: at most 1048576";
    return NULL;
}

static const char *check_nic(const struct iom_generator_config *config)
{
    if (config->ring_entries == 0)
        return "ring_entries: must be at least 1";
    if (config->frame_bytes == 0 || config->frame_bytes > config->buffer_bytes)
        return "frame_bytes: must be at least 1 and fit into buffer_bytes";
    if (config->buffer_bytes > BUFFER_LIMIT)
        return "buffer_bytes: at most 16 MiB";
    if (config->descriptor_batch > BATCH_LIMIT)
        return "descriptor_batch: at most 256";
    if (iom_generator_nic_window(config) > config->window_bytes)
        return "window_bytes: too small for the rings and buffers";
    return NULL;
}

static const char *check_nvme(const struct iom_generator_config *config)
{
    if (config->queue_depth == 0)
        return "queue_depth: must be at least 1";
    if (config->ring_entries != 0 && config->ring_entries <= config->queue_depth)
        return "ring_entries: a queue has one entry more than commands in flight";
    if (config->block_bytes == 0 || config->block_bytes % 512 != 0 || config->block_bytes > BUFFER_LIMIT)
        return "block_bytes: must be a multiple of 512 of at most 16 MiB";
    if (iom_generator_nvme_window(config) > config->window_bytes)
        return "window_bytes: too small for the queues, page lists and buffers";
    return NULL;
}

static const char *check_mixture(const struct iom_generator_config *config)
{
    if (config->part_count == 0 || config->part_count > PARTS_LIMIT || config->parts == NULL)
        return "parts: a mixture has 1 to 1048576 parts";
    for (uint32_t i = 0; i < config->part_count; i++) {
        if (config->parts[i].weight == 0)
            return "weight: must be at least 1";
        if (config->parts[i].config->kind == IOM_GENERATOR_MIXTURE)
            return "parts: a mixture cannot be part of a mixture";
        const char *error = iom_generator_config_error(config->parts[i].config);
        if (error != NULL)
            return error;
    }
    return NULL;
}

const char *iom_generator_config_error(const struct iom_generator_config *config)
{
    if (config->kind == IOM_GENERATOR_MIXTURE)
        return check_mixture(config);
    const char *error = check_common(config);
    if (error != NULL)
        return error;
    switch (config->kind) {
    case IOM_GENERATOR_SEQUENTIAL:
        return NULL;
    case IOM_GENERATOR_STRIDED:
        return config->stride_bytes == 0 || config->stride_bytes > config->window_bytes
                   ? "stride_bytes: must be at least 1 and at most the window"
                   : NULL;
    case IOM_GENERATOR_UNIFORM:
        return check_uniform(config);
    case IOM_GENERATOR_ZIPF:
        return check_zipf(config);
    case IOM_GENERATOR_NIC:
        error = check_queues(config);
        return error != NULL ? error : check_nic(config);
    case IOM_GENERATOR_NVME:
        error = check_queues(config);
        return error != NULL ? error : check_nvme(config);
    case IOM_GENERATOR_MIXTURE:
    case IOM_GENERATOR_KIND_COUNT:
        break;
    }
    return "kind: unknown";
}

uint64_t iom_generator_window_needed(const struct iom_generator_config *config)
{
    if (config->kind == IOM_GENERATOR_NIC)
        return iom_generator_nic_window(config);
    if (config->kind == IOM_GENERATOR_NVME)
        return iom_generator_nvme_window(config);
    return IOM_PAGE_BYTES;
}

struct iom_generator *iom_generator_create(const struct iom_generator_config *config, uint64_t seed,
                                           const char *path, const char **error)
{
    const char *problem = iom_generator_config_error(config);
    struct iom_generator *generator = NULL;
    if (problem == NULL) {
        if (config->kind == IOM_GENERATOR_NIC)
            generator = iom_generator_create_nic(config, seed, path);
        else if (config->kind == IOM_GENERATOR_NVME)
            generator = iom_generator_create_nvme(config, seed, path);
        else if (config->kind == IOM_GENERATOR_MIXTURE)
            generator = iom_generator_create_mixture(config, seed, path);
        else
            generator = iom_generator_create_stream(config, seed, path);
    }
    if (problem == NULL && generator == NULL)
        problem = "out of memory";
    if (error != NULL)
        *error = problem;
    return generator;
}

void iom_generator_destroy(struct iom_generator *generator)
{
    if (generator != NULL)
        generator->ops->destroy(generator);
}
