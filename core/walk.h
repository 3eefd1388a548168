// SPDX-License-Identifier: Apache-2.0
//
// A walk: the step machine that fetches what a look-up missed.
//
// One struct serves every table of every architecture. The architecture's walk_step() consumes the
// result of the last action and names the next one; whoever runs the walk (the walker pool with its
// timing, or the pure functional walker) performs the action and calls again:
//
//   READ   read `bytes` (8..64) at `address` into data[]; access_error is set when memory refuses
//   CAS    compare the 8 bytes at `address` with `expected` and write `desired` if equal; data[0] is
//          what was there; access_error as above
//   PROBE  ask the paging-structure caches of `probe.stage` for the deepest entry that covers the key,
//          levels probe.lowest..probe.highest; probe.hit_level is 0 on a miss
//   DONE   the walk is over: x.outcome / x.fault or the entry to fill are set
//
// A step may hand out one paging-structure fill (psc_fill) along with its action.
#ifndef IOM_CORE_WALK_H
#define IOM_CORE_WALK_H

#include "core/msg.h"
#include "core/tag.h"
#include "core/xlate.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_walk_action {
    IOM_WALK_READ,
    IOM_WALK_CAS,
    IOM_WALK_PROBE,
    IOM_WALK_DONE,
};

/// Highest paging-structure level (5-level tables); caches exist for levels 2..5, an entry of level n
/// being the table pointer found in a level-n table entry.
#define IOM_PSC_LEVELS 6

/// What a paging-structure cache keeps: where the next table is and what was granted so far.
struct iom_psc_entry {
    uint64_t table;      ///< address of the next lower table
    uint64_t attributes; ///< private to the architecture (accumulated permissions)
    iom_node node;       ///< where it came from
};

struct iom_psc_probe {
    struct iom_tag key;
    uint8_t stage;              ///< 1 or 2
    uint8_t lowest, highest;    ///< levels to ask, lowest first
    uint8_t hit_level;          ///< result: 0 = miss
    struct iom_psc_entry entry; ///< result on a hit
};

struct iom_psc_fill {
    bool valid;
    uint8_t stage, level;
    struct iom_tag tag;
    struct iom_psc_entry entry;
};

/// Scratch of one stage of a table walk; free for the architecture to use.
struct iom_walk_stage {
    uint64_t input;      ///< address being translated by this stage
    uint64_t table;      ///< current table
    uint64_t entry;      ///< last entry read
    uint64_t entry_at;   ///< where it was read
    uint64_t attributes; ///< accumulated permissions
    uint8_t level;       ///< current level
    uint8_t top;         ///< levels of this table
    uint8_t state;       ///< architecture's own phase
    uint8_t size_log2;   ///< result: page size
};

/// What to put into the missed cache when the walk ends well. valid = false: nothing to cache (a fault, or an
/// entry that must not be cached).
struct iom_walk_fill {
    bool valid;
    struct iom_tag tag;
    union {
        struct iom_context context; ///< CONTEXT, PASID
        struct iom_leaf leaf;       ///< IOTLB
    } payload;
};

struct iom_walk {
    struct iom_msg msg;
    struct iom_xlate x; ///< the request as it stood when the look-up missed; results are put here
    uint8_t what;       ///< enum iom_lookup: which look-up this walk serves

    uint8_t action;       ///< enum iom_walk_action, set by walk_start and walk_step
    uint8_t access_error; ///< enum iom_access of the action
    uint8_t error_word;   ///< with access_error: number of the first 8-byte word that has it
    uint8_t refused_word; ///< at DONE with a fault: word of data[] that made the architecture refuse
    uint8_t bytes;        ///< of READ
    uint64_t address;     ///< of READ and CAS
    uint64_t expected, desired;
    uint64_t data[IOM_LINE_BYTES / 8];
    struct iom_psc_probe probe;
    struct iom_psc_fill psc_fill;

    struct iom_walk_fill fill;

    struct iom_walk_stage stage[2];
    uint64_t scratch[8];
    uint8_t phase;
    bool page_walker;   ///< accesses of this context or PASID walk are made by the page walker (deviation)
    uint16_t monitored; ///< events (enum iom_monitor_event) to be counted when the walk is over

    /// Bookkeeping of the walker pool.
    uint32_t miss;           ///< miss-table entry of the requesting stage
    uint32_t reads;          ///< table reads so far
    uint32_t updates;        ///< compare-and-swaps so far
    iom_cycle started;       ///< walker assigned
    iom_cycle waiting_since; ///< last memory request sent
    uint64_t memory_cycles;  ///< cycles spent waiting for memory
    bool poisoned;           ///< an invalidation hit it: fills no paging-structure caches any more
    bool wrote_entry;        ///< private to the architecture
    iom_node node;           ///< what has been read since `outer` was set aside (core/walk_nodes.h)
    iom_node outer;          ///< what had been read when a second-stage walk within this one began
    iom_cycle looked_up;     ///< of the request: first look-up of its present attempt
};

/// Look-up stage -> walker (one way): what look-ups see now of the context of the page walk under way, and of
/// the request in service.
struct iom_walk_context {
    struct iom_msg msg;
    struct iom_context context;
    bool write; ///< the request in service writes
};

#ifdef __cplusplus
}
#endif

#endif
