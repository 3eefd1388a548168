// SPDX-License-Identifier: Apache-2.0
//
// An NVMe controller: queue pairs with a fixed number of commands in flight. See generator.h.
//
//   submission entry   64 bytes, read
//   page list          8 bytes for each page but the first, read, if there are more than two (PRP lists;
//                      their chain pointers are not modelled)
//   data               block_bytes, written (NVMe read) or read (NVMe write)
//   completion entry   16 bytes, written
//
// The media latency lies before the data of an NVMe read and behind the data of an NVMe write.
// Window: submission rings, completion rings, page lists, then buffers up to the end. A command takes the
// buffer that has been free longest, so a larger window means more different pages.
// Source: NVM Express Base Specification 2.0, sections 3.3.3, 4.1.1 and 4.2.
#include <stdlib.h>

#include "traffic/generator_internal.h"
#include "traffic/generator_steps.h"

#define SUBMISSION_BYTES 64u
#define COMPLETION_BYTES 16u
#define LIST_ENTRY_BYTES 8u

struct layout {
    uint64_t submission, completion, lists, buffers; // offsets in the window
    uint64_t submission_stride, completion_stride;   // per queue
    uint64_t list_stride;                            // per command slot, 0 = no list is ever needed
};

struct nvme {
    struct iom_generator base; // first member: the generator is the controller
    struct iom_generator_config config;
    struct layout layout;
    struct iom_rng rng;
    struct iom_chance device_reads;
    struct iom_steps steps; // one operation per command slot
    struct iom_step_queue free_slots;
    struct iom_step_queue free_buffers;
    uint32_t *slot_buffer;                       // per slot
    uint32_t *submission_head, *completion_tail; // per queue
};

static uint32_t queues_of(const struct iom_generator_config *config)
{
    return config->queues != 0 ? config->queues : 1;
}

static uint32_t entries_of(const struct iom_generator_config *config)
{
    return config->ring_entries != 0 ? config->ring_entries : config->queue_depth + 1;
}

// Pages of a buffer at any of the places it can have.
static uint64_t most_pages(uint32_t block_bytes)
{
    return block_bytes % IOM_PAGE_BYTES == 0 ? block_bytes / IOM_PAGE_BYTES
                                             : block_bytes / IOM_PAGE_BYTES + 2;
}

static struct layout lay_out(const struct iom_generator_config *config)
{
    uint64_t queues = queues_of(config), slots = queues * config->queue_depth;
    uint64_t pages = most_pages(config->block_bytes);
    struct layout layout = {0};
    layout.submission_stride = iom_align_up((uint64_t)entries_of(config) * SUBMISSION_BYTES, IOM_PAGE_BYTES);
    layout.completion_stride = iom_align_up((uint64_t)entries_of(config) * COMPLETION_BYTES, IOM_PAGE_BYTES);
    layout.list_stride = pages > 2 ? iom_align_up((pages - 1) * LIST_ENTRY_BYTES, IOM_PAGE_BYTES) : 0;
    layout.completion = queues * layout.submission_stride;
    layout.lists = layout.completion + queues * layout.completion_stride;
    layout.buffers = layout.lists + slots * layout.list_stride;
    return layout;
}

uint64_t iom_generator_nvme_window(const struct iom_generator_config *config)
{
    uint64_t slots = (uint64_t)queues_of(config) * config->queue_depth;
    return iom_align_up(lay_out(config).buffers + slots * config->block_bytes, IOM_PAGE_BYTES);
}

static void begin_command(struct nvme *nvme, iom_cycle now)
{
    const struct iom_generator_config *config = &nvme->config;
    uint32_t slot = iom_step_queue_pop(&nvme->free_slots);
    uint32_t buffer = iom_step_queue_pop(&nvme->free_buffers);
    uint32_t queue = slot % queues_of(config);
    uint64_t data = config->base_iova + nvme->layout.buffers + (uint64_t)buffer * config->block_bytes;
    nvme->slot_buffer[slot] = buffer;
    bool device_reads = iom_chance_draw(&nvme->device_reads, &nvme->rng);

    struct iom_step_operation *operation = iom_steps_prepare(&nvme->steps, slot, true);
    uint32_t head = nvme->submission_head[queue];
    nvme->submission_head[queue] = head + 1 == entries_of(config) ? 0 : head + 1;
    iom_steps_add(operation, &(struct iom_step){.iova = config->base_iova + nvme->layout.submission +
                                                        queue * nvme->layout.submission_stride +
                                                        (uint64_t)head * SUBMISSION_BYTES,
                                                .bytes = SUBMISSION_BYTES,
                                                .klass = IOM_TRAFFIC_RING});
    uint64_t pages = iom_div_ceil(data % IOM_PAGE_BYTES + config->block_bytes, IOM_PAGE_BYTES);
    if (pages > 2)
        iom_steps_add(operation, &(struct iom_step){.iova = config->base_iova + nvme->layout.lists +
                                                            slot * nvme->layout.list_stride,
                                                    .bytes = (pages - 1) * LIST_ENTRY_BYTES,
                                                    .klass = IOM_TRAFFIC_RING,
                                                    .wait = true});
    iom_steps_add(operation, &(struct iom_step){.iova = data,
                                                .bytes = config->block_bytes,
                                                .klass = IOM_TRAFFIC_DATA,
                                                .write = !device_reads,
                                                .wait = true,
                                                .delay = !device_reads});
    // The place of the completion entry is known when the entry is written, see place_completion().
    iom_steps_add(operation, &(struct iom_step){.bytes = COMPLETION_BYTES,
                                                .klass = IOM_TRAFFIC_COMPLETION,
                                                .write = true,
                                                .wait = device_reads || !config->posted_completion,
                                                .delay = device_reads});
    iom_steps_begin(&nvme->steps, slot, now);
}

// Completion entries are written in the order in which commands finish, one place after the other.
static void place_completion(struct nvme *nvme, struct iom_traffic_request *out)
{
    uint32_t queue = (uint32_t)out->token % queues_of(&nvme->config);
    uint32_t tail = nvme->completion_tail[queue];
    nvme->completion_tail[queue] = tail + 1 == entries_of(&nvme->config) ? 0 : tail + 1;
    out->iova = nvme->config.base_iova + nvme->layout.completion + queue * nvme->layout.completion_stride +
                (uint64_t)tail * COMPLETION_BYTES;
}

static bool next(struct iom_generator *generator, iom_cycle now, bool start, struct iom_traffic_request *out)
{
    struct nvme *nvme = (struct nvme *)(void *)generator;
    if (!iom_steps_next(&nvme->steps, now, out)) {
        if (!start || nvme->free_slots.count == 0)
            return false;
        begin_command(nvme, now);
        iom_steps_next(&nvme->steps, now, out);
    }
    if (out->klass == IOM_TRAFFIC_COMPLETION)
        place_completion(nvme, out);
    return true;
}

static enum iom_generator_progress completed(struct iom_generator *generator, iom_cycle now, uint64_t token,
                                             bool failed, struct iom_generator_end *end)
{
    struct nvme *nvme = (struct nvme *)(void *)generator;
    uint32_t slot = (uint32_t)token;
    enum iom_generator_progress progress = iom_steps_completed(&nvme->steps, now, slot, failed, end);
    if (progress != IOM_GENERATOR_GOING_ON) {
        iom_step_queue_push(&nvme->free_slots, slot);
        iom_step_queue_push(&nvme->free_buffers, nvme->slot_buffer[slot]);
    }
    return progress;
}

static iom_cycle due(const struct iom_generator *generator)
{
    return iom_steps_due(&((const struct nvme *)(const void *)generator)->steps);
}

static bool range(const struct iom_generator *generator, uint32_t index, struct iom_traffic_range *out)
{
    const struct nvme *nvme = (const struct nvme *)(const void *)generator;
    const struct iom_generator_config *config = &nvme->config;
    const uint64_t bounds[] = {0, nvme->layout.completion, nvme->layout.lists, nvme->layout.buffers,
                               config->window_bytes};
    unsigned data = (config->read_ppm != 0 ? (unsigned)IOM_PERM_READ : 0u) |
                    (config->read_ppm != IOM_PPM ? (unsigned)IOM_PERM_WRITE : 0u);
    const unsigned permissions[] = {IOM_PERM_READ, IOM_PERM_WRITE, IOM_PERM_READ, data};
    for (uint32_t part = 0; part < 4; part++) {
        if (bounds[part] == bounds[part + 1] || index-- != 0)
            continue;
        *out = (struct iom_traffic_range){
            .iova = config->base_iova + bounds[part],
            .bytes = bounds[part + 1] - bounds[part],
            .source = config->source,
            .pasid = config->pasid,
            .has_pasid = (config->flags & IOM_REQ_PASID) != 0,
            .permissions = (uint8_t)permissions[part],
            .page_log2 = config->page_log2,
        };
        return true;
    }
    return false;
}

static void destroy(struct iom_generator *generator)
{
    struct nvme *nvme = (struct nvme *)(void *)generator;
    iom_steps_free(&nvme->steps);
    free(nvme->free_slots.index);
    free(nvme->free_buffers.index);
    free(nvme->slot_buffer);
    free(nvme->submission_head);
    free(nvme->completion_tail);
    free(nvme);
}

static const struct iom_generator_ops nvme_ops = {
    .next = next,
    .completed = completed,
    .due = due,
    .range = range,
    .destroy = destroy,
};

static bool allocate(struct nvme *nvme)
{
    const struct iom_generator_config *config = &nvme->config;
    uint32_t queues = queues_of(config), slots = queues * config->queue_depth;
    uint64_t buffers = (config->window_bytes - nvme->layout.buffers) / config->block_bytes;
    // More buffers than can be told apart by any cache of a simulated IOMMU would only cost memory.
    if (buffers > UINT32_C(1) << 24)
        buffers = iom_max_u64(UINT32_C(1) << 24, slots);
    nvme->slot_buffer = calloc(slots, sizeof *nvme->slot_buffer);
    nvme->submission_head = calloc(queues, sizeof *nvme->submission_head);
    nvme->completion_tail = calloc(queues, sizeof *nvme->completion_tail);
    bool ok = iom_steps_init(&nvme->steps, config, slots);
    ok = iom_step_queue_init(&nvme->free_slots, slots) && ok;
    ok = iom_step_queue_init(&nvme->free_buffers, (uint32_t)buffers) && ok;
    if (!ok || nvme->slot_buffer == NULL || nvme->submission_head == NULL || nvme->completion_tail == NULL)
        return false;
    for (uint32_t slot = 0; slot < slots; slot++)
        iom_step_queue_push(&nvme->free_slots, slot);
    for (uint32_t buffer = 0; buffer < buffers; buffer++)
        iom_step_queue_push(&nvme->free_buffers, buffer);
    return true;
}

struct iom_generator *iom_generator_create_nvme(const struct iom_generator_config *config, uint64_t seed,
                                                const char *path)
{
    struct nvme *nvme = calloc(1, sizeof *nvme);
    if (nvme == NULL)
        return NULL;
    nvme->base.ops = &nvme_ops;
    nvme->config = *config;
    nvme->layout = lay_out(config);
    nvme->device_reads = iom_chance_of(config->read_ppm);
    iom_rng_seed(&nvme->rng, seed, path);
    if (!allocate(nvme)) {
        destroy(&nvme->base);
        return NULL;
    }
    return &nvme->base;
}
