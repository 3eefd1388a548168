// SPDX-License-Identifier: Apache-2.0
//
// Allocation of I/O virtual addresses as Linux does it, so that reuse of addresses is realistic.
//
// Two layers (Linux 6.12, drivers/iommu/iova.c):
//   tree       ranges in use, by address. An allocation takes the highest free place below its limit that
//              is aligned to its size (rounded up to a power of two); the search starts below the range
//              allocated last (a cached node), and from the top when that finds nothing
//   magazines  for sizes of 1, 2, 4 ... 32 pages: each CPU keeps two magazines of released ranges per
//              size, full ones go to a depot shared by the CPUs. An allocation is served from there first,
//              last released first; ranges in magazines stay in the tree
// The first attempt stays below 4 GiB (dma-iommu.c), as long as one has not failed there; failing frees
// all magazines and tries once more.
//
// No time is modelled here; costs are the host's. O(log n) per tree operation, O(1) per magazine hit.
#ifndef IOM_TRAFFIC_IOVA_H
#define IOM_TRAFFIC_IOVA_H

#include "core/base.h"
#include "core/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Sizes served by magazines: 2^0 .. 2^(IOM_IOVA_CLASSES - 1) pages.
#define IOM_IOVA_CLASSES 6u

struct iom_iova_config {
    uint64_t first;            ///< lowest address given out, 4 KiB aligned; 0 = 4096
    uint64_t last;             ///< highest, inclusive; 0 = 2^48 - 1
    uint32_t cpus;             ///< 0 = 1
    uint32_t magazine_entries; ///< 0 = 128
    uint32_t depot_magazines;  ///< per size, 0 = 32
    bool no_magazines;         ///< every allocation goes to the tree
    bool no_low_first;         ///< do not try below 4 GiB first
};

#define IOM_IOVA_STATS(X)                                                                                    \
    X(counter, allocations, "calls", "ranges allocated")                                                     \
    X(counter, magazine_hits, "calls", "of these: from a magazine")                                          \
    X(counter, failures, "calls", "allocations that found no place")                                         \
    X(counter, releases, "calls", "ranges released")                                                         \
    X(counter, depot_gets, "magazines", "full magazines taken from the depot")                               \
    X(counter, depot_puts, "magazines", "full magazines put into the depot")                                 \
    X(counter, depot_overflows, "magazines", "full magazines whose ranges went back to the tree")            \
    X(maximum, most_ranges, "ranges", "most ranges in the tree, those in magazines included")

struct iom_iova_stats {
    IOM_IOVA_STATS(IOM_STAT_MEMBER)
};

struct iom_iova; // opaque

/// Null when memory is out or the limits are unusable.
struct iom_iova *iom_iova_create(const struct iom_iova_config *config);
void iom_iova_destroy(struct iom_iova *iova);
/// A range of `bytes` (rounded up to whole pages) for `cpu`. False: none free (or memory out).
bool iom_iova_take(struct iom_iova *iova, uint32_t cpu, uint64_t bytes, uint64_t *address);
/// Releases a range that was taken with the same size.
void iom_iova_give(struct iom_iova *iova, uint32_t cpu, uint64_t address, uint64_t bytes);
/// Marks [address, address + bytes) as used for ever (reserved regions, mappings made by other means).
bool iom_iova_reserve(struct iom_iova *iova, uint64_t address, uint64_t bytes);
/// Ranges in the tree.
uint64_t iom_iova_ranges(const struct iom_iova *iova);
const struct iom_iova_stats *iom_iova_stats_of(const struct iom_iova *iova);

#ifdef __cplusplus
}
#endif

#endif
