// SPDX-License-Identifier: Apache-2.0
//
// A hash map from 64-bit keys to a few words, with linear probing and deletion without tombstones. It
// doubles when half full. Only for the hazard tracker: words stored but not written back, owners of pages.
#ifndef IOM_CORE_TRACKER_MAP_H
#define IOM_CORE_TRACKER_MAP_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IOM_TRACK_MAP_WORDS 7u

struct iom_track_pair {
    uint64_t key;
    uint64_t value[IOM_TRACK_MAP_WORDS];
    bool used;
};

struct iom_track_map {
    struct iom_track_pair *pairs;
    uint64_t capacity; ///< a power of two, or 0
    uint64_t count;
};

void iom_track_map_free(struct iom_track_map *map);
/// Null if absent.
struct iom_track_pair *iom_track_map_find(const struct iom_track_map *map, uint64_t key);
/// Present or new (values 0). Aborts when memory is out. Earlier pointers become invalid.
struct iom_track_pair *iom_track_map_add(struct iom_track_map *map, uint64_t key);
void iom_track_map_remove(struct iom_track_map *map, uint64_t key);

#ifdef __cplusplus
}
#endif

#endif
