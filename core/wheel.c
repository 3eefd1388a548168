// SPDX-License-Identifier: Apache-2.0
//
// Timing wheel: search, overflow heap, migration. See wheel.h.
#include "core/wheel.h"

#include <stdlib.h>
#include <string.h>

bool iom_wheel_init(struct iom_wheel *wheel, uint32_t unit_count)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->unit_count = unit_count;
    wheel->words = unit_count == 0 ? 1 : (unit_count + 63) / 64;
    size_t slots = unit_count == 0 ? 1 : unit_count;
    wheel->units = calloc((size_t)IOM_WHEEL_SLOTS * wheel->words, sizeof *wheel->units);
    wheel->far_cycle = malloc(slots * sizeof *wheel->far_cycle);
    wheel->heap = malloc(slots * sizeof *wheel->heap);
    wheel->heap_position = malloc(slots * sizeof *wheel->heap_position);
    if (!wheel->units || !wheel->far_cycle || !wheel->heap || !wheel->heap_position) {
        iom_wheel_free(wheel);
        return false;
    }
    for (uint32_t unit = 0; unit < unit_count; unit++)
        wheel->far_cycle[unit] = IOM_NEVER;
    return true;
}

void iom_wheel_free(struct iom_wheel *wheel)
{
    free(wheel->units);
    free(wheel->far_cycle);
    free(wheel->heap);
    free(wheel->heap_position);
    memset(wheel, 0, sizeof *wheel);
}

static bool earlier(const struct iom_wheel *wheel, uint32_t a, uint32_t b)
{
    if (wheel->far_cycle[a] != wheel->far_cycle[b])
        return wheel->far_cycle[a] < wheel->far_cycle[b];
    return a < b;
}

static void place(struct iom_wheel *wheel, uint32_t position, uint32_t unit)
{
    wheel->heap[position] = unit;
    wheel->heap_position[unit] = position;
}

static void sift_up(struct iom_wheel *wheel, uint32_t position)
{
    uint32_t unit = wheel->heap[position];
    while (position > 0 && earlier(wheel, unit, wheel->heap[(position - 1) / 2])) {
        place(wheel, position, wheel->heap[(position - 1) / 2]);
        position = (position - 1) / 2;
    }
    place(wheel, position, unit);
}

static void sift_down(struct iom_wheel *wheel, uint32_t position)
{
    uint32_t unit = wheel->heap[position];
    for (;;) {
        uint32_t child = 2 * position + 1;
        if (child >= wheel->heap_count)
            break;
        if (child + 1 < wheel->heap_count && earlier(wheel, wheel->heap[child + 1], wheel->heap[child]))
            child++;
        if (!earlier(wheel, wheel->heap[child], unit))
            break;
        place(wheel, position, wheel->heap[child]);
        position = child;
    }
    place(wheel, position, unit);
}

void iom_wheel_arm_far(struct iom_wheel *wheel, uint32_t unit, iom_cycle cycle)
{
    if (cycle >= wheel->far_cycle[unit])
        return; // an earlier wake-up of this unit is there; it will ask again then
    bool present = wheel->far_cycle[unit] != IOM_NEVER;
    wheel->far_cycle[unit] = cycle;
    if (!present) {
        wheel->heap[wheel->heap_count] = unit;
        wheel->heap_position[unit] = wheel->heap_count++;
    }
    sift_up(wheel, wheel->heap_position[unit]);
}

static iom_cycle slot_cycle(const struct iom_wheel *wheel, uint32_t slot)
{
    uint32_t current = (uint32_t)(wheel->now % IOM_WHEEL_SLOTS);
    return wheel->now + (slot - current) % IOM_WHEEL_SLOTS;
}

iom_cycle iom_wheel_search(const struct iom_wheel *wheel)
{
    iom_cycle far = wheel->heap_count ? wheel->far_cycle[wheel->heap[0]] : IOM_NEVER;
    if (wheel->summary == 0)
        return far;
    uint32_t current = (uint32_t)(wheel->now % IOM_WHEEL_SLOTS);
    uint32_t word = current / 64;
    uint64_t rest = wheel->occupied[word] >> (current % 64) << (current % 64);
    uint32_t slot;
    if (rest != 0) {
        slot = word * 64 + iom_ctz64(rest);
    } else {
        // The words after the current one, then around to the start (the current word last).
        uint64_t after = word == 63 ? 0 : wheel->summary >> (word + 1) << (word + 1);
        uint32_t found = iom_ctz64(after != 0 ? after : wheel->summary);
        slot = found * 64 + iom_ctz64(wheel->occupied[found]);
    }
    return iom_min_u64(slot_cycle(wheel, slot), far);
}

void iom_wheel_migrate(struct iom_wheel *wheel)
{
    iom_cycle cycle = wheel->now;
    while (wheel->heap_count != 0 && wheel->far_cycle[wheel->heap[0]] - cycle < IOM_WHEEL_SLOTS) {
        uint32_t unit = wheel->heap[0];
        iom_cycle due = wheel->far_cycle[unit];
        wheel->far_cycle[unit] = IOM_NEVER;
        uint32_t last = wheel->heap[--wheel->heap_count];
        if (wheel->heap_count != 0) {
            place(wheel, 0, last);
            sift_down(wheel, 0);
        }
        iom_wheel_arm(wheel, unit, due);
    }
}
