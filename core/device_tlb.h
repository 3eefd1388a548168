// SPDX-License-Identifier: Apache-2.0
//
// The device TLB (address translation cache, ATC) of an endpoint that uses ATS: the device's own cache of
// translations, filled by translation requests to the IOMMU and emptied by invalidation requests.
//
//   device        responder: untranslated struct iom_dma of the device, and back with the result
//   host          requester: translation requests, translated (and, on request, untranslated) DMA, to the
//                 link or the IOMMU
//   invalidate    responder: struct iom_ats_invalidation from the fan-out, over the link; sent back as the
//                 completion. Page responses come the same way
//   messages      requester, one way: struct iom_page_response_message passed on to the device in the cycle
//                 of its arrival; may stay unbound
//
// Timing (cycles of the unit's clock):
//   look-up       a request that arrived by c and is taken up in c (lookups_per_cycle) knows in
//                 c + latency_cycles whether it hit; on a hit it leaves then as translated request
//   miss          a translation request leaves in the same cycle, one of `outstanding` (else the request
//                 waits, and those behind it); requests to the page of one under way join it. Its answer in f
//                 is filled in f (hits from f + 1), and those who waited go on in f (or when their own
//                 look-up is over). One who joined a request that asked for less than he needs looks up again
//                 in f + 1
//   refused       an answer without the needed permission, or unsupported request: the device's DMA is
//                 answered with IOM_OUTCOME_FAULT (not recorded: the IOMMU has done that if it wanted to),
//                 or, with untranslated_fallback, sent untranslated. An answer that allows untranslated
//                 access only (interrupts) sends it untranslated in any case
//   page request  leaves without a look-up, in the order of posted writes if it is marked as posted
//   order         posted writes of the device leave in order; reads do not overtake them (core/order.h)
//   invalidation  arrives in c, is begun in c or in the cycle after that in which the one before it was
//                 applied, and applied at the end of the cycle given by `invalidate`
//                 (core/invalidate_cost.h). What is under way to its pages is poisoned: its answer is not
//                 filled, and requests that wait for it look up again in the cycle of the answer; one that
//                 has had to IOM_DEVICE_TLB_PATIENCE times keeps the next invalidation from beginning until
//                 it is served. An answer larger than a page (use_size) counts as poisoned if any of its
//                 pages was invalidated. The
//                 completion leaves in the cycle of application or when every read sent or decided before
//                 with a translation that was removed has been answered, and every such posted write has been
//                 sent, and arrives behind every posted write sent before (PCIe Base 6.0, 10.3.2, ordering)
//   completion_overtakes_writes   the fault of scenario F1: posted writes spend write_buffer_cycles in a
//                 buffer, and the completion does not wait for them. It does wait for those that were there
//                 when the completion before it left: a second invalidation orders the writes
//
// Entries of requests with and without PASID, and of privileged requests, are kept apart; a global one serves
// every PASID. An invalidation without PASID names entries requested without PASID by their range, and those
// requested with a PASID whatever their address; one with PASID names those of this PASID in the range
// (global ones stay), one with PASID and `global` those of every PASID in the range (10.3.8).
#ifndef IOM_CORE_DEVICE_TLB_H
#define IOM_CORE_DEVICE_TLB_H

#include "core/cache.h"
#include "core/dma.h"
#include "core/fanout.h"
#include "core/invalidate_cost.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_tracker;

/// Times a request may look up again because of invalidations before it keeps the next one waiting.
#define IOM_DEVICE_TLB_PATIENCE 4u

struct iom_device_tlb_config {
    uint32_t stream;                       ///< requester id of the device
    uint32_t index;                        ///< number among the device TLBs of the system (hazard tracker)
    uint8_t iommu;                         ///< instance behind it
    struct iom_cache_config cache;         ///< geometry; match and index fields are set here
    uint64_t latency_cycles;               ///< of a look-up
    uint32_t lookups_per_cycle;            ///< at least 1
    uint32_t outstanding;                  ///< translation requests under way, at least 1
    uint32_t merges_per_request;           ///< requests that may join one
    uint32_t queue_depth;                  ///< invalidations held at once, 1 to 32
    struct iom_invalidate_cost invalidate; ///< cost of an invalidation
    bool use_size;                         ///< answers for large pages are kept whole (off: as 4 KiB pages)
    bool ask_write;                        ///< reads ask for write permission too
    bool untranslated_fallback;            ///< a refused DMA goes untranslated instead of failing
    bool squash;                           ///< off: fills under way survive an invalidation (broken hardware)
    bool completion_overtakes_writes;      ///< scenario F1
    uint64_t write_buffer_cycles;          ///< scenario F1
    bool silent; ///< neither applies nor answers invalidation requests (removed or hung device: scenario F6)
    uint64_t seed;
    struct iom_tracker *tracker; ///< may be null
};

enum iom_device_tlb_port {
    IOM_DEVICE_TLB_DEVICE,
    IOM_DEVICE_TLB_HOST,
    IOM_DEVICE_TLB_INVALIDATE,
    IOM_DEVICE_TLB_MESSAGES,
    IOM_DEVICE_TLB_PORTS,
};

#define IOM_DEVICE_TLB_STATS(X)                                                                              \
    X(counter, lookups, "lookups", "look-ups")                                                               \
    X(counter, hits, "lookups", "look-ups served by an entry")                                               \
    X(counter, misses, "lookups", "look-ups that sent a translation request")                                \
    X(counter, merged, "lookups", "look-ups that joined a translation request under way")                    \
    X(counter, insufficient, "lookups", "look-ups that found an entry without the permission they need")     \
    X(counter, fills, "entries", "entries written")                                                          \
    X(counter, evictions, "entries", "valid entries displaced by a fill")                                    \
    X(counter, refused, "requests", "DMA that the IOMMU does not allow")                                     \
    X(counter, untranslated, "requests", "DMA sent untranslated")                                            \
    X(counter, invalidations, "invalidations", "invalidation requests received")                             \
    X(counter, invalidated, "entries", "entries removed by them")                                            \
    X(counter, squashed, "requests", "translation requests under way poisoned by them")                      \
    X(counter, starved, "requests",                                                                          \
      "DMA that kept an invalidation waiting, its answers poisoned again and again")                         \
    X(maximum, most_invalidations, "invalidations", "most invalidation requests held at once")               \
    X(histogram, translation_latency, "cycles", "from a translation request to its answer")                  \
    X(histogram, invalidation_latency, "cycles", "from an invalidation request to its completion leaving")

struct iom_device_tlb_stats {
    IOM_DEVICE_TLB_STATS(IOM_STAT_MEMBER)
};

struct iom_device_tlb; // opaque

/// Null when memory is out or the geometry is unusable (iom_cache_config_error).
struct iom_device_tlb *iom_device_tlb_create(const struct iom_device_tlb_config *config, const char *name);
void iom_device_tlb_destroy(struct iom_device_tlb *tlb);
struct iom_unit *iom_device_tlb_unit(struct iom_device_tlb *tlb);
struct iom_port *iom_device_tlb_port(struct iom_device_tlb *tlb, enum iom_device_tlb_port port);
struct iom_cache *iom_device_tlb_cache(struct iom_device_tlb *tlb);
const struct iom_device_tlb_stats *iom_device_tlb_stats_of(struct iom_device_tlb *tlb);

#ifdef __cplusplus
}
#endif

#endif
