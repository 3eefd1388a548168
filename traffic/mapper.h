// SPDX-License-Identifier: Apache-2.0
//
// The mapper: what an operating system's IOMMU layer does to translation tables - attach, map, unmap -
// without any time. It chooses page sizes, allocates table pages, and emits the stores the
// architecture's software side (core/software.h) asks for, in program order, into a sink.
//
// Before the run the sink is the memory image itself (premapping). During the run it is the store
// queue of the unit that plays the host (host.h, replay.h), which owns the mapper then: one unit
// only, so nothing is shared.
#ifndef IOM_TRAFFIC_MAPPER_H
#define IOM_TRAFFIC_MAPPER_H

#include "core/arch.h"
#include "core/memory_image.h"
#include "core/software.h"
#include "traffic/frame_allocator.h"
#include "traffic/generator.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_mapper_config {
    const struct iom_software_ops *software;    ///< architecture's software side (core/software.h)
    const struct iom_software_config *settings; ///< passed to software->create, which copies it
    enum iom_software_kind kind;  ///< BYPASS: attachments pass through, map and unmap do nothing
    uint64_t ram_first, ram_last; ///< physical memory for tables and buffers, inclusive
    uint8_t page_log2;            ///< largest page to map with: 12, 21 or 30
    uint64_t seed;                ///< places of frames
};

/// Where stores go. `put` returns false when memory is out.
struct iom_store_sink {
    bool (*put)(void *context, const struct iom_store *store);
    void *context;
};

enum iom_mapper_result {
    IOM_MAPPER_OK,
    IOM_MAPPER_NO_MEMORY, ///< the simulator's or the simulated memory is out
    IOM_MAPPER_REFUSED, ///< the architecture cannot express it (address too wide, PASID in legacy mode, ...)
    IOM_MAPPER_NOT_MAPPED, ///< unmap, detach: something of it was not there
    IOM_MAPPER_ALREADY,    ///< map, attach: there already (nothing was changed)
};

/// What a call did, for the cost model. The functions below add to it; it may be null.
struct iom_mapper_work {
    uint64_t stores; ///< stores emitted
    uint64_t pages;  ///< leaf entries written or cleared
};

struct iom_mapper; // opaque

/// `sink` takes the first stores (the top-level table) and all further ones until iom_mapper_set_sink.
/// Null if memory is out, the range too small or the settings unusable; `error` (may be null) is a static
/// text.
struct iom_mapper *iom_mapper_create(const struct iom_mapper_config *config,
                                     const struct iom_store_sink *sink, const char *path, const char **error);
void iom_mapper_destroy(struct iom_mapper *mapper);

/// All further stores go to `sink`.
void iom_mapper_set_sink(struct iom_mapper *mapper, const struct iom_store_sink *sink);
/// A sink that writes into `image` at once.
struct iom_store_sink iom_mapper_image_sink(struct iom_memory_image *image);

/// Attaches (source, pasid) to `domain`, which comes into being with its first attachment or mapping.
/// `pasid` is IOM_NO_PASID for requests without PASID.
enum iom_mapper_result iom_mapper_attach(struct iom_mapper *mapper, uint32_t source, uint32_t pasid,
                                         uint32_t domain);
enum iom_mapper_result iom_mapper_detach(struct iom_mapper *mapper, uint32_t source, uint32_t pasid);

/// Maps [iova, iova + bytes) to [address, address + bytes), both 4 KiB aligned, with the largest pages that
/// alignment, the mapper's limit and `page_log2` (0 = no limit of its own) allow. `permissions`:
/// IOM_PERM_READ, IOM_PERM_WRITE, IOM_PERM_EXEC. ALREADY: some page was mapped; the pages before it are
/// mapped now.
enum iom_mapper_result iom_mapper_map(struct iom_mapper *mapper, uint32_t domain, uint64_t iova,
                                      uint64_t address, uint64_t bytes, uint8_t permissions,
                                      uint8_t page_log2, struct iom_mapper_work *work);
/// Unmaps [iova, iova + bytes). A large page reached by the range goes as a whole only if it lies within;
/// else REFUSED. NOT_MAPPED: there were holes; everything else is gone.
enum iom_mapper_result iom_mapper_unmap(struct iom_mapper *mapper, uint32_t domain, uint64_t iova,
                                        uint64_t bytes, struct iom_mapper_work *work);

/// Maps the not yet mapped pages of `range` in `domain` to fresh buffers. A page that is there but lacks a
/// permission of the range gets it.
enum iom_mapper_result iom_mapper_map_range(struct iom_mapper *mapper, uint32_t domain,
                                            const struct iom_traffic_range *range,
                                            struct iom_mapper_work *work);

/// 2^size_log2 bytes of memory for the caller's own use (buffers of a test, queues of a driver).
bool iom_mapper_take_frames(struct iom_mapper *mapper, unsigned size_log2, uint64_t *address);

struct iom_software *iom_mapper_software(struct iom_mapper *mapper);
const struct iom_software_ops *iom_mapper_software_ops(const struct iom_mapper *mapper);

#ifdef __cplusplus
}
#endif

#endif
