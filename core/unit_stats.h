// SPDX-License-Identifier: Apache-2.0
//
// What the table of operations of nearly every unit repeats: handing out its statistics, forgetting
// them, freeing the unit. For the sources of units only; a public header has no need of it.
#ifndef IOM_CORE_UNIT_STATS_H
#define IOM_CORE_UNIT_STATS_H

#include <string.h>

#include "core/stats.h"
#include "core/unit.h"

/// Statistics block of `values`, a pointer to the struct described by the array `infos`.
#define IOM_STAT_BLOCK(group, infos, values)                                                                 \
    ((struct iom_stat_block){(group), (infos), sizeof(infos) / sizeof *(infos), (values)})

/// Defines stats() and reset_stats() of a unit with one block: the member `stats` of `type`, described
/// by the array `infos`. The first member of `type` is its struct iom_unit.
#define IOM_UNIT_STATS(type, group, infos)                                                                   \
    static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)                   \
    {                                                                                                        \
        if (index == 0)                                                                                      \
            *block = IOM_STAT_BLOCK(group, infos, &((type *)(void *)unit)->stats);                           \
        return index == 0;                                                                                   \
    }                                                                                                        \
    static void reset_stats(struct iom_unit *unit)                                                           \
    {                                                                                                        \
        memset(&((type *)(void *)unit)->stats, 0, sizeof((type *)(void *)unit)->stats);                      \
    }

/// Defines destroy() of a unit: calls `function` with the unit as a pointer to `type`.
#define IOM_UNIT_DESTROY(type, function)                                                                     \
    static void destroy(struct iom_unit *unit)                                                               \
    {                                                                                                        \
        function((type *)(void *)unit);                                                                      \
    }

#endif
