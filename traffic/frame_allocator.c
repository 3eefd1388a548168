// SPDX-License-Identifier: Apache-2.0
//
// Page frames, scattered but reproducible. See frame_allocator.h.
#include "traffic/frame_allocator.h"

#include <stdlib.h>

#include "core/rng.h"

#define CHUNK_LOG2 21u
#define CHUNK_BYTES (UINT64_C(1) << CHUNK_LOG2)
#define CHUNK_FRAMES (CHUNK_BYTES / IOM_PAGE_BYTES)
#define GROUP_CHUNKS 2048u
#define GIGA_LOG2 30u

// The order first, first + step, first + 2 step, ... modulo count visits each of 0..count-1 once if step
// and count have no common divisor.
struct order {
    uint64_t first, step, count, taken;
};

struct iom_frame_allocator {
    struct iom_rng rng;
    uint64_t bottom;     // chunk after the groups opened so far
    uint64_t top;        // first chunk that 1 GiB pages took
    uint64_t group;      // first chunk of the current group
    struct order chunks; // of the current group
    uint64_t chunk;      // address of the chunk being cut into frames
    struct order frames;
    uint64_t blocks, blocks_used; // chunk being cut into blocks of other sizes, bytes of it used
    uint64_t *freed;
    size_t freed_count, freed_capacity;
    uint64_t used;
};

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static struct order draw_order(struct iom_rng *rng, uint64_t count)
{
    struct order order = {.count = count};
    order.first = iom_rng_below(rng, count);
    do
        order.step = 1 + iom_rng_below(rng, count);
    while (common_divisor(order.step, count) != 1);
    return order;
}

static uint64_t take_from(struct order *order)
{
    return (order->first + order->step * order->taken++) % order->count;
}

static bool take_chunk(struct iom_frame_allocator *allocator, uint64_t *address)
{
    if (allocator->chunks.taken == allocator->chunks.count) {
        uint64_t count = iom_min_u64(GROUP_CHUNKS, allocator->top - allocator->bottom);
        if (count == 0)
            return false;
        allocator->group = allocator->bottom;
        allocator->bottom += count;
        allocator->chunks = draw_order(&allocator->rng, count);
    }
    *address = (allocator->group + take_from(&allocator->chunks)) << CHUNK_LOG2;
    return true;
}

static bool take_frame(struct iom_frame_allocator *allocator, uint64_t *address)
{
    if (allocator->freed_count != 0) {
        *address = allocator->freed[--allocator->freed_count];
        return true;
    }
    if (allocator->frames.taken == allocator->frames.count) {
        if (!take_chunk(allocator, &allocator->chunk))
            return false;
        allocator->frames = draw_order(&allocator->rng, CHUNK_FRAMES);
    }
    *address = allocator->chunk + take_from(&allocator->frames) * IOM_PAGE_BYTES;
    return true;
}

static bool take_giga(struct iom_frame_allocator *allocator, uint64_t *address)
{
    uint64_t chunks = UINT64_C(1) << (GIGA_LOG2 - CHUNK_LOG2);
    uint64_t end = iom_align_down(allocator->top, GIGA_LOG2 - CHUNK_LOG2);
    if (end < chunks || end - chunks < allocator->bottom)
        return false;
    allocator->top = end - chunks;
    *address = allocator->top << CHUNK_LOG2;
    return true;
}

// Blocks between a frame and a chunk (large PASID directories) are rare: cut from a chunk of their own.
static bool take_block(struct iom_frame_allocator *allocator, uint64_t bytes, uint64_t *address)
{
    uint64_t start = (allocator->blocks_used + bytes - 1) / bytes * bytes;
    if (allocator->blocks_used == 0 || start + bytes > CHUNK_BYTES) {
        if (!take_chunk(allocator, &allocator->blocks))
            return false;
        start = 0;
    }
    allocator->blocks_used = start + bytes;
    *address = allocator->blocks + start;
    return true;
}

bool iom_frame_allocator_take(struct iom_frame_allocator *allocator, unsigned size_log2, uint64_t *address)
{
    bool ok = false;
    if (size_log2 == IOM_PAGE_LOG2)
        ok = take_frame(allocator, address);
    else if (size_log2 == CHUNK_LOG2)
        ok = take_chunk(allocator, address);
    else if (size_log2 == GIGA_LOG2)
        ok = take_giga(allocator, address);
    else if (size_log2 > IOM_PAGE_LOG2 && size_log2 < CHUNK_LOG2)
        ok = take_block(allocator, UINT64_C(1) << size_log2, address);
    if (ok)
        allocator->used += UINT64_C(1) << size_log2;
    return ok;
}

bool iom_frame_allocator_give(struct iom_frame_allocator *allocator, uint64_t address)
{
    assert(allocator->used >= IOM_PAGE_BYTES);
    allocator->used -= IOM_PAGE_BYTES;
    if (allocator->freed_count == allocator->freed_capacity) {
        size_t wanted = allocator->freed_capacity != 0 ? allocator->freed_capacity * 2 : 64;
        uint64_t *grown = realloc(allocator->freed, wanted * sizeof *grown);
        if (grown == NULL)
            return false;
        allocator->freed = grown;
        allocator->freed_capacity = wanted;
    }
    allocator->freed[allocator->freed_count++] = address;
    return true;
}

uint64_t iom_frame_allocator_used(const struct iom_frame_allocator *allocator)
{
    return allocator->used;
}

struct iom_frame_allocator *iom_frame_allocator_create(uint64_t first, uint64_t last, uint64_t seed,
                                                       const char *path)
{
    uint64_t bottom = iom_div_ceil(first, CHUNK_BYTES);
    uint64_t top = last == UINT64_MAX ? UINT64_C(1) << (64 - CHUNK_LOG2) : (last + 1) >> CHUNK_LOG2;
    if (last < first || bottom >= top)
        return NULL;
    struct iom_frame_allocator *allocator = calloc(1, sizeof *allocator);
    if (allocator == NULL)
        return NULL;
    iom_rng_seed(&allocator->rng, seed, path);
    allocator->bottom = bottom;
    allocator->top = top;
    return allocator;
}

void iom_frame_allocator_destroy(struct iom_frame_allocator *allocator)
{
    if (allocator == NULL)
        return;
    free(allocator->freed);
    free(allocator);
}
