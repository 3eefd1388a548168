// SPDX-License-Identifier: Apache-2.0
//
// The walker pool: N page walkers that run the architecture's step machines against memory, helped by
// the paging-structure caches.
//
// Timing of a walk assigned to a walker in cycle c:
//   probe of the paging-structure caches   latency of the caches (called as functions), or their
//                                          round trip (unit of their own, asked even if it holds no
//                                          cache of that stage)
//   table read or atomic update            departs for memory at once; its response arriving in r has
//                                          been digested at r + step_cycles
//                                          (a walker with a timing of its own: until the next access)
//   end                                    the answer departs when the last step is digested; the
//                                          walker takes its next walk from that cycle on
// Inputs are served round robin.
//
// Control messages: a VIEW takes effect at the end of the cycle of its arrival. Invalidations go one at a
// time and are applied at the end of their last cycle, as in a look-up stage (core/stage.h); while caches
// called as functions are blocked by one, probes wait until the cycle behind.
//
// With squash_walks an invalidation of paging-structure caches poisons the walks that may have read what it
// covers: those under way whose domain (or requester) it names, and those that come later from a request
// whose first look-up lies no later than its application. A poisoned walk fills these caches no more; what
// becomes of its result is for the miss table of the stage that asked.
#ifndef IOM_CORE_WALKER_H
#define IOM_CORE_WALKER_H

#include "core/arch.h"
#include "core/psc.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_tracker;

/// A walker whose steps do not all cost step_cycles. In cycles, counted from the arrival of the data (its
/// last beat) that the step uses.
struct iom_walk_timing {
    bool given;                            ///< else everything costs step_cycles
    uint64_t end_cycles[IOM_LOOKUP_COUNT]; ///< to the answer, by what was walked for
    uint64_t fault_cycles; ///< to the answer that refuses: from the beat that made it do so, but not before
                           ///< the last one
    uint32_t beat_bytes;   ///< width of a beat, 0 = data arrive at once
};

struct iom_walker_config {
    const struct iom_arch *arch;
    struct iom_view view; ///< register view at cycle 0
    uint32_t inputs;      ///< stages that send walks
    uint32_t walkers;     ///< walks at the same time
    uint64_t step_cycles; ///< digesting one table entry: to the next access, or the answer
    struct iom_walk_timing timing;
    bool fused_psc;              ///< paging-structure caches called as functions
    struct iom_psc_config psc;   ///< used when fused
    bool live_context;           ///< struct iom_walk_context messages are heeded (deviation, core/stage.h)
    bool squash_walks;           ///< an invalidation stops walks under way from filling the caches
    struct iom_tracker *tracker; ///< may be null
};

/// Ports; the inputs in0..inN-1 follow.
enum iom_walker_port {
    IOM_WALKER_MEMORY,  ///< requester: table reads and updates
    IOM_WALKER_PSC,     ///< requester: paging-structure cache unit (not fused)
    IOM_WALKER_CONTROL, ///< responder
    IOM_WALKER_PORTS,
};

#define IOM_WALKER_STATS(X)                                                                                  \
    X(counter, walks, "walks", "walks taken up")                                                             \
    X(counter, context_walks, "walks", "of these: root and context entries")                                 \
    X(counter, pasid_walks, "walks", "of these: PASID directory and table entries")                          \
    X(counter, page_walks, "walks", "of these: page tables")                                                 \
    X(counter, table_reads, "accesses", "table reads sent to memory")                                        \
    X(counter, table_updates, "accesses", "atomic updates (accessed and dirty bits) sent to memory")         \
    X(counter, access_errors, "accesses", "table accesses to addresses that do not answer")                  \
    X(counter, busy_cycles, "cycles", "cycles walkers were occupied, summed over walkers")                   \
    X(maximum, most_busy, "walkers", "most walkers occupied at once")                                        \
    X(histogram, walk_latency, "cycles", "walker assigned to answer, page walks")                            \
    X(histogram, reads_per_walk, "accesses", "table reads of a page walk")

struct iom_walker_stats {
    IOM_WALKER_STATS(IOM_STAT_MEMBER)
};

struct iom_walker; // opaque

/// Null when memory is out or a cache geometry is unusable.
struct iom_walker *iom_walker_create(const struct iom_walker_config *config, const char *name);
void iom_walker_destroy(struct iom_walker *walker);
struct iom_unit *iom_walker_unit(struct iom_walker *walker);
struct iom_port *iom_walker_input(struct iom_walker *walker, uint32_t index);
struct iom_port *iom_walker_port(struct iom_walker *walker, enum iom_walker_port port);
/// The caches when fused, else null.
struct iom_psc *iom_walker_psc(struct iom_walker *walker);
const struct iom_walker_stats *iom_walker_stats_of(const struct iom_walker *walker);
/// Outside the simulation, while nothing is under way.
void iom_walker_set_view(struct iom_walker *walker, const struct iom_view *view);

#ifdef __cplusplus
}
#endif

#endif
