// SPDX-License-Identifier: Apache-2.0
//
// The timing wheel of a unit group: which units are to be advanced in which cycle.
//
// 4096 slots of one cycle each; a slot is a bit set of units, so that several wake-ups of a unit in
// one cycle are one. An occupancy bitmap of two levels finds the next slot in a few instructions.
// Wake-ups further away than the wheel reaches (flush timers lie 10^7 to 10^9 cycles off) wait in a
// heap indexed by unit, which keeps only the earliest of each unit: when it comes due the group asks
// the unit again for what else it waits for.
#ifndef IOM_CORE_WHEEL_H
#define IOM_CORE_WHEEL_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IOM_WHEEL_SLOTS 4096u

struct iom_wheel {
    uint64_t summary;        ///< bit i: occupied[i] != 0
    uint64_t occupied[64];   ///< bit per slot
    uint64_t *units;         ///< slots x words bit sets of units
    uint32_t words;          ///< 64-bit words per bit set
    uint32_t unit_count;     ///< units
    iom_cycle now;           ///< slots cover [now, now + IOM_WHEEL_SLOTS)
    iom_cycle *far_cycle;    ///< per unit: its cycle in the heap, IOM_NEVER if not there
    uint32_t *heap;          ///< units ordered as a binary heap by (far_cycle, unit)
    uint32_t *heap_position; ///< per unit: where it stands in the heap
    uint32_t heap_count;
};

/// Returns false when memory is out.
bool iom_wheel_init(struct iom_wheel *wheel, uint32_t unit_count);
void iom_wheel_free(struct iom_wheel *wheel);

/// iom_wheel_next beyond the 64 slots around the current one.
iom_cycle iom_wheel_search(const struct iom_wheel *wheel);

/// Earliest cycle with a wake-up, IOM_NEVER if there is none.
static inline iom_cycle iom_wheel_next(const struct iom_wheel *wheel)
{
    // Most of the time the next event is close: in the rest of the current word, and nothing of the heap
    // can come before it (the heap holds what was beyond the wheel's reach when it was asked for).
    uint32_t current = (uint32_t)(wheel->now % IOM_WHEEL_SLOTS);
    uint64_t rest = wheel->occupied[current / 64] >> (current % 64);
    if (rest != 0)
        return wheel->now + iom_ctz64(rest);
    return iom_wheel_search(wheel);
}

/// Moves wake-ups of the heap that have come into reach into the wheel.
void iom_wheel_migrate(struct iom_wheel *wheel);

/// Moves to `cycle` (not before now, and no wake-up may be left before it).
static inline void iom_wheel_advance(struct iom_wheel *wheel, iom_cycle cycle)
{
    assert(cycle >= wheel->now);
    wheel->now = cycle;
    if (wheel->heap_count != 0)
        iom_wheel_migrate(wheel);
}

void iom_wheel_arm_far(struct iom_wheel *wheel, uint32_t unit, iom_cycle cycle);

/// Asks for unit to be advanced in `cycle` >= now.
static inline void iom_wheel_arm(struct iom_wheel *wheel, uint32_t unit, iom_cycle cycle)
{
    assert(cycle >= wheel->now);
    if (cycle - wheel->now >= IOM_WHEEL_SLOTS) {
        if (cycle != IOM_NEVER)
            iom_wheel_arm_far(wheel, unit, cycle);
        return;
    }
    uint32_t slot = (uint32_t)(cycle % IOM_WHEEL_SLOTS);
    uint64_t *set = wheel->units + (size_t)slot * wheel->words + unit / 64;
    if (*set == 0) { // else the slot is marked already
        wheel->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
        wheel->summary |= UINT64_C(1) << (slot / 64);
    }
    *set |= UINT64_C(1) << (unit % 64);
}

/// The current slot is done with.
static inline void iom_wheel_clear_current(struct iom_wheel *wheel)
{
    uint32_t slot = (uint32_t)(wheel->now % IOM_WHEEL_SLOTS);
    wheel->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    if (wheel->occupied[slot / 64] == 0)
        wheel->summary &= ~(UINT64_C(1) << (slot / 64));
}

/// Takes the lowest-numbered unit waiting in the current cycle; -1 when there is none left.
static inline int32_t iom_wheel_take(struct iom_wheel *wheel)
{
    uint64_t *set = wheel->units + (size_t)(wheel->now % IOM_WHEEL_SLOTS) * wheel->words;
    for (uint32_t word = 0; word < wheel->words; word++) {
        if (set[word] != 0) {
            unsigned bit = iom_ctz64(set[word]);
            set[word] &= set[word] - 1;
            return (int32_t)(word * 64 + bit);
        }
    }
    iom_wheel_clear_current(wheel);
    return -1;
}

/// The bit set of the current cycle, for the shuffled evaluation of tests.
static inline uint64_t *iom_wheel_current(struct iom_wheel *wheel)
{
    return wheel->units + (size_t)(wheel->now % IOM_WHEEL_SLOTS) * wheel->words;
}

#ifdef __cplusplus
}
#endif

#endif
