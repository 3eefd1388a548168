// SPDX-License-Identifier: Apache-2.0
//
// Attach, map and unmap on top of an architecture's table builder. See mapper.h.
#include "traffic/mapper.h"

#include <stdlib.h>
#include <string.h>

#define NO_BUFFER UINT64_MAX

struct iom_mapper {
    struct iom_mapper_config config;
    struct iom_frame_allocator *frames;
    struct iom_software *software;
    struct iom_software_limits limits;
    struct iom_store_sink sink;
    uint64_t spare[2]; // a 2 MiB and a 1 GiB buffer taken but not mapped
    bool sealed;       // a store was lost: the builder must not be used any more
};

// ---- what the builder asks of its host ----------------------------------------------------------------

static bool take_table(void *context, unsigned size_log2, uint64_t *address)
{
    struct iom_mapper *mapper = context;
    return iom_frame_allocator_take(mapper->frames, size_log2, address);
}

static bool store(void *context, const struct iom_store *store)
{
    struct iom_mapper *mapper = context;
    return mapper->sink.put != NULL && mapper->sink.put(mapper->sink.context, store);
}

// Reuse would have to wait for an invalidation; the frames of such tables stay aside to the end of the run.
static void retire(void *context, uint64_t address)
{
    (void)context;
    (void)address;
}

static bool put_into_image(void *context, const struct iom_store *store)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(store->value >> (8 * i));
    return iom_memory_image_write(context, store->address, bytes, store->bytes);
}

struct iom_store_sink iom_mapper_image_sink(struct iom_memory_image *image)
{
    return (struct iom_store_sink){.put = put_into_image, .context = image};
}

void iom_mapper_set_sink(struct iom_mapper *mapper, const struct iom_store_sink *sink)
{
    mapper->sink = *sink;
}

// ---- results -----------------------------------------------------------------------------------------

static enum iom_mapper_result result_of(struct iom_mapper *mapper, enum iom_software_result result)
{
    switch (result) {
    case IOM_SOFTWARE_OK:
        return IOM_MAPPER_OK;
    case IOM_SOFTWARE_REFUSED:
        return IOM_MAPPER_REFUSED;
    case IOM_SOFTWARE_NOT_MAPPED:
        return IOM_MAPPER_NOT_MAPPED;
    case IOM_SOFTWARE_ALREADY:
        return IOM_MAPPER_ALREADY;
    case IOM_SOFTWARE_NO_MEMORY:
        break;
    }
    mapper->sealed = true;
    return IOM_MAPPER_NO_MEMORY;
}

static void add_work(struct iom_mapper_work *work, const struct iom_software_change *change, uint64_t pages)
{
    if (work == NULL)
        return;
    work->stores += change->stores;
    work->pages += pages;
}

// ---- attach ------------------------------------------------------------------------------------------

enum iom_mapper_result iom_mapper_attach(struct iom_mapper *mapper, uint32_t source, uint32_t pasid,
                                         uint32_t domain)
{
    if (mapper->sealed)
        return IOM_MAPPER_NO_MEMORY;
    return result_of(mapper, mapper->config.software->attach(mapper->software, source, pasid, domain,
                                                             mapper->config.kind));
}

enum iom_mapper_result iom_mapper_detach(struct iom_mapper *mapper, uint32_t source, uint32_t pasid)
{
    if (mapper->sealed)
        return IOM_MAPPER_NO_MEMORY;
    return result_of(mapper, mapper->config.software->detach(mapper->software, source, pasid));
}

// ---- map ---------------------------------------------------------------------------------------------

static bool usable(const struct iom_mapper *mapper, unsigned size_log2, uint8_t page_log2)
{
    if (size_log2 == IOM_PAGE_LOG2)
        return true;
    if (size_log2 > mapper->config.page_log2 || (page_log2 != 0 && size_log2 > page_log2))
        return false;
    return (mapper->limits.page_sizes >> size_log2 & 1) != 0;
}

// Largest page that may start at both addresses and lies within `bytes`.
static unsigned choose_page(const struct iom_mapper *mapper, uint64_t addresses, uint64_t bytes,
                            uint8_t page_log2)
{
    static const uint8_t sizes[] = {30, 21};
    for (unsigned i = 0; i < sizeof sizes; i++) {
        uint64_t size = UINT64_C(1) << sizes[i];
        if (usable(mapper, sizes[i], page_log2) && addresses % size == 0 && bytes >= size)
            return sizes[i];
    }
    return IOM_PAGE_LOG2;
}

static enum iom_mapper_result map_page(struct iom_mapper *mapper, uint32_t domain, uint64_t iova,
                                       uint64_t address, unsigned size_log2, uint8_t permissions,
                                       struct iom_mapper_work *work)
{
    struct iom_software_change change = {0};
    enum iom_software_result result = mapper->config.software->map(mapper->software, domain, iova, address,
                                                                   size_log2, permissions, &change);
    add_work(work, &change, result == IOM_SOFTWARE_OK);
    return result_of(mapper, result);
}

static enum iom_mapper_result unmap_page(struct iom_mapper *mapper, uint32_t domain, uint64_t iova,
                                         unsigned size_log2, struct iom_mapper_work *work)
{
    // Tables that become empty stay linked: an unmap then needs no wider invalidation than its pages.
    struct iom_software_change change = {0};
    enum iom_software_result result =
        mapper->config.software->unmap(mapper->software, domain, iova, size_log2, false, &change);
    add_work(work, &change, result == IOM_SOFTWARE_OK);
    return result_of(mapper, result);
}

static bool whole_pages(uint64_t a, uint64_t b, uint64_t bytes)
{
    return (a | b | bytes) % IOM_PAGE_BYTES == 0 && bytes != 0 && a <= UINT64_MAX - (bytes - 1) &&
           b <= UINT64_MAX - (bytes - 1);
}

enum iom_mapper_result iom_mapper_map(struct iom_mapper *mapper, uint32_t domain, uint64_t iova,
                                      uint64_t address, uint64_t bytes, uint8_t permissions,
                                      uint8_t page_log2, struct iom_mapper_work *work)
{
    if (mapper->sealed)
        return IOM_MAPPER_NO_MEMORY;
    if (!whole_pages(iova, address, bytes))
        return IOM_MAPPER_REFUSED;
    if (mapper->config.kind == IOM_SOFTWARE_BYPASS)
        return IOM_MAPPER_OK;
    while (bytes != 0) {
        unsigned size_log2 = choose_page(mapper, iova | address, bytes, page_log2);
        enum iom_mapper_result result = map_page(mapper, domain, iova, address, size_log2, permissions, work);
        if (result != IOM_MAPPER_OK)
            return result;
        uint64_t size = UINT64_C(1) << size_log2;
        iova += size;
        address += size;
        bytes -= size;
    }
    return IOM_MAPPER_OK;
}

// ---- unmap -------------------------------------------------------------------------------------------

enum iom_mapper_result iom_mapper_unmap(struct iom_mapper *mapper, uint32_t domain, uint64_t iova,
                                        uint64_t bytes, struct iom_mapper_work *work)
{
    if (mapper->sealed)
        return IOM_MAPPER_NO_MEMORY;
    if (!whole_pages(iova, 0, bytes))
        return IOM_MAPPER_REFUSED;
    if (mapper->config.kind == IOM_SOFTWARE_BYPASS)
        return IOM_MAPPER_OK;
    enum iom_mapper_result worst = IOM_MAPPER_OK;
    while (bytes != 0) {
        struct iom_software_mapping mapping;
        uint64_t size = IOM_PAGE_BYTES;
        if (!mapper->config.software->find(mapper->software, domain, iova, &mapping)) {
            worst = IOM_MAPPER_NOT_MAPPED;
        } else {
            size = UINT64_C(1) << mapping.size_log2;
            if (iova % size != 0 || size > bytes)
                return IOM_MAPPER_REFUSED;
            enum iom_mapper_result result = unmap_page(mapper, domain, iova, mapping.size_log2, work);
            if (result != IOM_MAPPER_OK)
                return result;
        }
        iova += size;
        bytes -= size;
    }
    return worst;
}

// ---- ranges of generators ----------------------------------------------------------------------------

static enum iom_mapper_result add_permissions(struct iom_mapper *mapper, uint32_t domain, uint64_t iova,
                                              const struct iom_software_mapping *mapping, uint8_t permissions,
                                              struct iom_mapper_work *work)
{
    uint64_t page = iom_align_down(iova, mapping->size_log2);
    enum iom_mapper_result result = unmap_page(mapper, domain, page, mapping->size_log2, work);
    if (result != IOM_MAPPER_OK)
        return result;
    return map_page(mapper, domain, page, mapping->output, mapping->size_log2,
                    (uint8_t)(permissions | mapping->permissions), work);
}

static bool take_buffer(struct iom_mapper *mapper, unsigned size_log2, uint64_t *address)
{
    uint64_t *spare = size_log2 == IOM_PAGE_LOG2 ? NULL : &mapper->spare[size_log2 == 21 ? 0 : 1];
    if (spare == NULL || *spare == NO_BUFFER)
        return iom_frame_allocator_take(mapper->frames, size_log2, address);
    *address = *spare;
    *spare = NO_BUFFER;
    return true;
}

// Maps one page at `iova`, the largest for which there is room in the tables and in memory; its size is
// put into *size_log2.
static enum iom_mapper_result map_fresh(struct iom_mapper *mapper, uint32_t domain, uint64_t iova,
                                        uint64_t bytes, const struct iom_traffic_range *range,
                                        unsigned *size_log2, struct iom_mapper_work *work)
{
    for (uint64_t limit = bytes;; limit = (UINT64_C(1) << *size_log2) - 1) {
        uint64_t address;
        *size_log2 = choose_page(mapper, iova, limit, range->page_log2);
        bool small = *size_log2 == IOM_PAGE_LOG2;
        if (!take_buffer(mapper, *size_log2, &address)) {
            if (small)
                return IOM_MAPPER_NO_MEMORY;
            continue;
        }
        enum iom_mapper_result result =
            map_page(mapper, domain, iova, address, *size_log2, range->permissions, work);
        // A large page collides with smaller ones mapped earlier inside it; then smaller ones fill the gaps.
        if (result != IOM_MAPPER_ALREADY || small)
            return result;
        mapper->spare[*size_log2 == 21 ? 0 : 1] = address;
    }
}

enum iom_mapper_result iom_mapper_map_range(struct iom_mapper *mapper, uint32_t domain,
                                            const struct iom_traffic_range *range,
                                            struct iom_mapper_work *work)
{
    if (mapper->sealed)
        return IOM_MAPPER_NO_MEMORY;
    if (!whole_pages(range->iova, 0, range->bytes))
        return IOM_MAPPER_REFUSED;
    if (mapper->config.kind == IOM_SOFTWARE_BYPASS)
        return IOM_MAPPER_OK;
    uint64_t iova = range->iova, end = range->iova + range->bytes;
    while (iova != end) {
        struct iom_software_mapping mapping;
        unsigned size_log2;
        enum iom_mapper_result result = IOM_MAPPER_OK;
        if (mapper->config.software->find(mapper->software, domain, iova, &mapping)) {
            size_log2 = mapping.size_log2;
            if ((range->permissions & ~mapping.permissions) != 0)
                result = add_permissions(mapper, domain, iova, &mapping, range->permissions, work);
        } else {
            result = map_fresh(mapper, domain, iova, end - iova, range, &size_log2, work);
        }
        if (result != IOM_MAPPER_OK)
            return result;
        uint64_t next = iom_align_down(iova, size_log2) + (UINT64_C(1) << size_log2);
        iova = next - iova < end - iova ? next : end;
    }
    return IOM_MAPPER_OK;
}

// ---- life --------------------------------------------------------------------------------------------

struct iom_mapper *iom_mapper_create(const struct iom_mapper_config *config,
                                     const struct iom_store_sink *sink, const char *path, const char **error)
{
    const char *problem = "out of memory";
    struct iom_mapper *mapper = calloc(1, sizeof *mapper);
    if (mapper != NULL) {
        mapper->config = *config;
        mapper->sink = *sink;
        mapper->spare[0] = mapper->spare[1] = NO_BUFFER;
        mapper->frames = iom_frame_allocator_create(config->ram_first, config->ram_last, config->seed, path);
        const struct iom_software_host host = {
            .context = mapper, .take_table = take_table, .store = store, .retire = retire};
        if (mapper->frames == NULL)
            problem = "memory: too small for translation tables (at least one aligned 2 MiB)";
        else
            mapper->software = config->software->create(config->settings, &host, &problem);
    }
    if (mapper == NULL || mapper->software == NULL) {
        iom_mapper_destroy(mapper);
        if (error != NULL)
            *error = problem;
        return NULL;
    }
    mapper->limits = config->software->limits(mapper->software);
    return mapper;
}

void iom_mapper_destroy(struct iom_mapper *mapper)
{
    if (mapper == NULL)
        return;
    if (mapper->software != NULL)
        mapper->config.software->destroy(mapper->software);
    iom_frame_allocator_destroy(mapper->frames);
    free(mapper);
}

bool iom_mapper_take_frames(struct iom_mapper *mapper, unsigned size_log2, uint64_t *address)
{
    return iom_frame_allocator_take(mapper->frames, size_log2, address);
}

struct iom_software *iom_mapper_software(struct iom_mapper *mapper)
{
    return mapper->software;
}

const struct iom_software_ops *iom_mapper_software_ops(const struct iom_mapper *mapper)
{
    return mapper->config.software;
}
