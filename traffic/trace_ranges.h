// SPDX-License-Identifier: Apache-2.0
//
// Address ranges of several spaces (translation domains), without overlap: what is mapped right now.
//
// Insert, remove (with splitting) and look-up take logarithmic time in the number of ranges. Used by
// the importer and the checker of traces; a 64 MiB mapping is one entry, not 16,384.
#ifndef IOM_TRAFFIC_TRACE_RANGES_H
#define IOM_TRAFFIC_TRACE_RANGES_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_range {
    uint64_t first;   ///< first byte
    uint64_t last;    ///< last byte (inclusive, so that the top of the address space can be named)
    uint64_t address; ///< what `first` maps to; a split keeps it right
    uint64_t op;      ///< the user's
    uint32_t space;
    uint32_t tag;   ///< the user's
    uint16_t flags; ///< the user's
};

struct iom_ranges;

/// NULL if memory is short.
struct iom_ranges *iom_ranges_new(void);
void iom_ranges_free(struct iom_ranges *ranges);
/// The range of `space` that holds `at`, or NULL. The pointer is valid until the next insert or remove;
/// op, tag and flags may be changed through it.
struct iom_range *iom_ranges_find(struct iom_ranges *ranges, uint32_t space, uint64_t at);
/// The lowest range of `space` that ends at or above `at`, or NULL.
struct iom_range *iom_ranges_next(struct iom_ranges *ranges, uint32_t space, uint64_t at);
/// Adds a range that overlaps none; false if memory is short.
bool iom_ranges_insert(struct iom_ranges *ranges, const struct iom_range *range);
/// Removes first..last of `space`, cutting ranges that reach beyond; false if memory is short.
bool iom_ranges_remove(struct iom_ranges *ranges, uint32_t space, uint64_t first, uint64_t last);
/// Number of ranges.
uint32_t iom_ranges_count(const struct iom_ranges *ranges);
/// Bytes of all ranges together.
uint64_t iom_ranges_bytes(const struct iom_ranges *ranges);

#ifdef __cplusplus
}
#endif

#endif
