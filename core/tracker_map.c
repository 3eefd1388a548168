// SPDX-License-Identifier: Apache-2.0
//
// Hash map of the hazard tracker. See tracker_map.h.
#include "core/tracker_map.h"

#include <stdlib.h>

static uint64_t home_of(const struct iom_track_map *map, uint64_t key)
{
    return (key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (map->capacity - 1);
}

void iom_track_map_free(struct iom_track_map *map)
{
    free(map->pairs);
    *map = (struct iom_track_map){0};
}

// The place of `key`, or the free place where it belongs.
static struct iom_track_pair *place_of(const struct iom_track_map *map, uint64_t key)
{
    uint64_t at = home_of(map, key);
    while (map->pairs[at].used && map->pairs[at].key != key)
        at = (at + 1) & (map->capacity - 1);
    return &map->pairs[at];
}

struct iom_track_pair *iom_track_map_find(const struct iom_track_map *map, uint64_t key)
{
    if (map->count == 0)
        return NULL;
    struct iom_track_pair *pair = place_of(map, key);
    return pair->used ? pair : NULL;
}

static void grow(struct iom_track_map *map)
{
    struct iom_track_map larger = {.capacity = map->capacity != 0 ? map->capacity * 2 : 64,
                                   .count = map->count};
    larger.pairs = calloc(larger.capacity, sizeof *larger.pairs);
    if (larger.pairs == NULL)
        abort();
    for (uint64_t i = 0; i < map->capacity; i++) {
        if (map->pairs[i].used)
            *place_of(&larger, map->pairs[i].key) = map->pairs[i];
    }
    free(map->pairs);
    *map = larger;
}

struct iom_track_pair *iom_track_map_add(struct iom_track_map *map, uint64_t key)
{
    struct iom_track_pair *pair = iom_track_map_find(map, key);
    if (pair != NULL)
        return pair;
    if (map->count * 2 >= map->capacity)
        grow(map);
    pair = place_of(map, key);
    *pair = (struct iom_track_pair){.key = key, .used = true};
    map->count++;
    return pair;
}

void iom_track_map_remove(struct iom_track_map *map, uint64_t key)
{
    struct iom_track_pair *pair = iom_track_map_find(map, key);
    if (pair == NULL)
        return;
    // Pairs behind the gap move into it unless their home lies behind it.
    uint64_t gap = (uint64_t)(pair - map->pairs);
    uint64_t mask = map->capacity - 1;
    for (uint64_t at = (gap + 1) & mask; map->pairs[at].used; at = (at + 1) & mask) {
        uint64_t home = home_of(map, map->pairs[at].key);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            map->pairs[gap] = map->pairs[at];
            gap = at;
        }
    }
    map->pairs[gap].used = false;
    map->count--;
}
