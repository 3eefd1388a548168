// SPDX-License-Identifier: Apache-2.0
//
// Inside of the look-up stage, shared by stage.c (life, ports, evaluation), stage_lookup.c (look-ups,
// misses, fills), stage_exit.c (order, exits, answers), stage_report.c (faults, page requests, events),
// stage_control.c (views, invalidations) and stage_drain.c (epochs).
#ifndef IOM_CORE_STAGE_INTERNAL_H
#define IOM_CORE_STAGE_INTERNAL_H

#include "core/control.h"
#include "core/invalidator.h"
#include "core/miss_table.h"
#include "core/order.h"
#include "core/stage.h"
#include "core/tracker.h"
#include "core/walk.h"

/// Kinds of requests a drain tells apart.
enum iom_drain_kind { IOM_DRAIN_READS, IOM_DRAIN_WRITES, IOM_DRAIN_PAGE_REQUESTS, IOM_DRAIN_KINDS };

/// Exits of a stage for which a request needs a credit.
enum iom_stage_exit { IOM_EXIT_NEXT, IOM_EXIT_MEMORY, IOM_EXIT_REPORT, IOM_STAGE_EXITS };

struct iom_epoch {
    uint32_t outstanding[IOM_DRAIN_KINDS];
    iom_cycle closed_at;    ///< once closed
    struct iom_fifo drains; ///< those that closed it, or came later and found the open one empty
};

/// Epoch e is ring[e % IOM_STAGE_EPOCHS]; first..open - 1 are closed, `open` is open. Numbers run freely.
struct iom_epochs {
    struct iom_epoch ring[IOM_STAGE_EPOCHS];
    uint32_t first, open;
    uint32_t waiting;        ///< drains in the ring
    struct iom_fifo arrived; ///< drains not looked at yet, or waiting for a place in the ring
};

/// Serial look-up (stage_serial.c): the walkers it knows, one walk each.
enum iom_serial_walker { IOM_SERIAL_CONTEXTS, IOM_SERIAL_PAGES, IOM_SERIAL_WALKERS };

struct iom_serial {
    struct iom_dma *dma; ///< in service, null: none
    struct iom_xlate x;  ///< its look-ups
    bool concluded;      ///< it has been answered
    bool reported;       ///< with a fault that is recorded, or was to be
    bool released;       ///< and handed over in this cycle
    bool waits_for_slot; ///< it is refused without a record as soon as there is a slot
    uint8_t missing;     ///< enum iom_lookup: what its last look-ups missed
    iom_cycle arrived;   ///< first look-up
    iom_cycle answered;  ///< when an address was given, unless it has been taken back
    iom_cycle next;      ///< next look-up, IOM_NEVER: when something changes
    bool again;          ///< and one more in the cycle behind it
    iom_cycle told;      ///< last cycle in which its walker has been told of a change
    struct iom_pool context_pool, loss_pool;
    bool has_stray;         ///< a walk that nobody waited for has refused in this cycle
    struct iom_fault stray; ///< how
    struct iom_serial_walk {
        iom_cycle free_from; ///< the walker takes the next walk in this cycle or later; IOM_NEVER: it has one
        bool awaited;        ///< the request in service waits for it
    } walk[IOM_SERIAL_WALKERS];
    struct iom_serial_fill { ///< of this cycle, held back until its invalidations are known
        uint8_t what;        ///< enum iom_lookup
        struct iom_walk_fill entry;
    } fill[IOM_SERIAL_WALKERS];
};

struct iom_stage {
    struct iom_unit unit; // first member: the unit is the stage
    struct iom_stage_config config;
    struct iom_view view;
    struct iom_port *ports;                   ///< enum iom_stage_port, then the inputs
    struct iom_port *inputs;                  ///< ports + IOM_STAGE_PORTS
    uint32_t owned;                           ///< bit per look-up owned
    iom_cycle lookup_ticks[IOM_LOOKUP_COUNT]; ///< their latencies
    iom_cycle pipeline_ticks;                 ///< latency of the stage itself
    struct iom_cache *cache[IOM_LOOKUP_COUNT];
    struct iom_miss_table misses;
    struct iom_order *order;
    struct iom_pool walk_pool, report_pool;

    struct iom_fifo replays;                ///< requests to be looked up again
    struct iom_fifo walks_unsent;           ///< walks waiting for a credit of the walker
    struct iom_fifo exits[IOM_STAGE_EXITS]; ///< requests waiting for a credit of an exit
    uint64_t exits_waiting;                 ///< all of them
    struct iom_fifo drains_unsent; ///< drains on their way behind page requests, waiting for a credit
    iom_cycle last_report;         ///< latest departure of a report; drains do not pass it
    struct iom_fifo views;         ///< new views, taken over at the end of the cycle
    struct iom_invalidator invalidator;
    struct iom_fifo held_acks; ///< invalidations applied, kept back for requests that starve
    uint32_t starving;         ///< requests inside that have started over too often
    iom_cycle settled;         ///< last cycle whose look-ups are over: its changes have been applied
    /// A context resolved before this cycle may be stale (0: none); only behind the front.
    iom_cycle contexts_from;
    bool contexts_settling; ///< other stages may still be dropping theirs
    bool common_plan;       ///< all participants apply an invalidation in the same cycle
    struct iom_epochs epochs;

    uint64_t held;   ///< requests inside (between ingress and exit)
    uint32_t turn;   ///< input asked first
    uint32_t budget; ///< requests that may still be taken up in budget_cycle
    iom_cycle budget_cycle;
    uint64_t changes; ///< counts what may end a stall: walks done, invalidations, view changes
    /// Per input: the request taken from the inbox that could not be taken up yet, and the value of
    /// `changes` when it was last tried (a stalled request is not tried again for nothing).
    struct iom_ingress {
        struct iom_dma *dma;
        uint64_t tried_at;
    } * ingress;
    uint32_t waiting_inputs;  ///< inputs with a request taken from the inbox
    uint64_t replay_tried_at; ///< the same for the head of `replays`
    /// Request of `replays` that found the miss table full: no input gets a place before it (null: none).
    const struct iom_dma *promised;
    bool replaying;        ///< the request being taken up comes from `replays`
    iom_cycle replay_from; ///< replay_after_fill: cycle in which the last fill may be hit

    struct iom_serial serial;

    struct iom_stage_observer observer;
    struct iom_stage_stats stats;
    struct iom_lookup_stats lookup_stats[IOM_LOOKUP_COUNT];
    struct iom_cache_counts counts_base[IOM_LOOKUP_COUNT]; ///< engine counts at the last reset
};

/// Outcome of trying to take a request up.
enum iom_take {
    IOM_TAKEN,   ///< it went on, or waits for a walk
    IOM_STALLED, ///< nothing happened: the miss table has no place
};

static inline struct iom_dma *iom_dma_of(struct iom_msg *msg)
{
    assert(msg->kind == IOM_MSG_DMA);
    return (struct iom_dma *)(void *)msg;
}

/// Takes the look-ups owned here from cycle `now` on; the request has spent `pipeline` ticks more in the
/// stage by the time their result is known.
enum iom_take iom_stage_take(struct iom_stage *stage, struct iom_dma *dma, iom_cycle now, iom_cycle pipeline);
/// The look-up that missed, or the next stage, has answered: go on with what follows from cycle `when`
/// (>= now) on.
void iom_stage_resume(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now);
/// A walk has come back in cycle `now`.
void iom_stage_walk_done(struct iom_stage *stage, struct iom_walk *walk, iom_cycle now);
/// Sends walks that wait for a credit.
void iom_stage_send_walks(struct iom_stage *stage, iom_cycle now);
/// The request forgets what it has resolved; behind the front it goes back (IOM_OUTCOME_RETRY).
void iom_stage_forget(struct iom_stage *stage, struct iom_dma *dma);
/// A request that started over too often is through.
void iom_stage_fed(struct iom_stage *stage, iom_cycle now);

/// What a sequence of look-ups in one cycle did; counted only when the request is really taken up, since a
/// stalled request will do it all again.
struct iom_progress {
    uint32_t taken;                 ///< bit per look-up taken
    uint32_t hits;                  ///< of these: served by an entry
    bool insufficient;              ///< the last one found an entry that could not serve it
    int32_t slot[IOM_LOOKUP_COUNT]; ///< entry of each hit
};

/// Looks up until a look-up misses, is not owned here, or none is left. Returns false at a miss, which is
/// x->next and whose key is then in *key.
bool iom_stage_probe(struct iom_stage *stage, struct iom_xlate *x, struct iom_progress *progress,
                     struct iom_tag *key, iom_cycle now);
/// Puts look-ups into the statistics, and their hits before the replacement policy.
void iom_stage_count_lookups(struct iom_stage *stage, const struct iom_progress *progress, iom_cycle now);
/// A look-up that missed starts its walk: `index` of the miss table. `looked_up`: first look-up of the
/// request.
void iom_stage_start_walk(struct iom_stage *stage, const struct iom_xlate *x, iom_cycle looked_up,
                          int32_t index, iom_cycle when, iom_cycle now);
/// Time of the request whose walk this was: waiting for a walker, walking, waiting for memory.
void iom_stage_account_walk(struct iom_dma *dma, const struct iom_walk *walk, iom_cycle now);
/// Did an invalidation reach what the walk has read?
bool iom_stage_is_squashed(struct iom_stage *stage, const struct iom_miss *miss, const struct iom_walk *walk);
/// The look-up that decided the request was served by `cache` (enum iom_tracked_cache).
void iom_stage_decided(struct iom_stage *stage, struct iom_dma *dma, uint32_t cache, iom_cycle now);
/// The request at the head of an input leaves the inbox; its credit is returned when it is taken up.
struct iom_dma *iom_stage_fetch(struct iom_stage *stage, uint32_t index, iom_cycle now);
void iom_stage_count_request(struct iom_stage *stage, uint32_t flags, uint32_t bytes);

// ---- stage_serial.c

/// A walk has come back.
void iom_serial_walk_done(struct iom_stage *stage, struct iom_walk *walk, iom_cycle now);
/// Looks up what is to be looked up in this cycle.
void iom_serial_take_up(struct iom_stage *stage, iom_cycle now);
/// End of the cycle, behind its invalidations: `invalidated` has a bit per look-up whose cache they reached.
void iom_serial_close_cycle(struct iom_stage *stage, uint32_t invalidated, iom_cycle now);
/// A page walk is under way.
static inline bool iom_serial_is_walking(const struct iom_stage *stage)
{
    return stage->serial.walk[IOM_SERIAL_PAGES].free_from == IOM_NEVER;
}
/// The caches have changed, or another request is in service: tells the walker (quirk_live_context).
void iom_serial_tell_walker(struct iom_stage *stage, iom_cycle now);
/// Takes an address given in this cycle back if what has served it has just been invalidated.
void iom_serial_take_back(struct iom_stage *stage, iom_cycle now);
/// Next cycle with work.
iom_cycle iom_serial_wake(const struct iom_stage *stage);

// ---- stage_control.c

void iom_stage_control_init(struct iom_stage *stage);
/// A control message has arrived.
void iom_stage_take_control(struct iom_stage *stage, struct iom_control *control);
/// Before the look-ups of a cycle: may begin an invalidation.
void iom_stage_begin_control(struct iom_stage *stage, iom_cycle now);
/// Behind the look-ups of a cycle: applies what is due.
void iom_stage_end_control(struct iom_stage *stage, iom_cycle now);

// ---- stage_drain.c

/// Is any request of a closed epoch or any drain about?
static inline bool iom_stage_has_drains(const struct iom_stage *stage)
{
    return stage->epochs.waiting != 0 || stage->epochs.arrived.first != NULL;
}
/// The front takes a request from its input.
void iom_stage_enter_epoch(struct iom_stage *stage, struct iom_dma *dma);
/// The front answers a request.
void iom_stage_leave_epoch(struct iom_stage *stage, const struct iom_dma *dma);
/// End of a cycle: closes epochs, acknowledges drains.
void iom_stage_drain(struct iom_stage *stage, iom_cycle now);
/// A drain has come back from behind the page requests.
void iom_stage_drained(struct iom_stage *stage, struct iom_msg *msg, iom_cycle now);

// ---- stage_report.c

/// Is there anything to report about the finished request, and somebody to tell?
bool iom_stage_has_report(const struct iom_stage *stage, const struct iom_dma *dma);
/// Reports it; the credit must be there.
void iom_stage_report(struct iom_stage *stage, const struct iom_dma *dma, iom_cycle when);
/// Sends drains behind the page requests.
void iom_stage_send_drains(struct iom_stage *stage, iom_cycle now);
/// Something (enum iom_monitor_event) has happened to the request; the view asks for events of some kind.
void iom_stage_event(struct iom_stage *stage, const struct iom_xlate *x, uint32_t events, bool has_context,
                     iom_cycle now);
/// A look-up (x->next) has missed, and starts a walk or joins one.
void iom_stage_monitor_miss(struct iom_stage *stage, const struct iom_xlate *x, bool starts_walk,
                            iom_cycle now);
/// The event that stands for the request itself.
uint32_t iom_stage_request_event(const struct iom_dma *dma);

// ---- hazard tracker

/// A request that goes on in a later cycle keeps the context it has resolved alive.
static inline void iom_stage_keep_context(struct iom_stage *stage, struct iom_dma *dma)
{
    struct iom_tracker *tracker = stage->config.tracker;
    iom_node node = dma->x.context.node;
    if (tracker == NULL || dma->held == node)
        return;
    iom_tracker_keep(tracker, node);
    iom_tracker_release(tracker, dma->held);
    dma->held = node;
}
/// It needs it no more.
static inline void iom_stage_drop_context(struct iom_stage *stage, struct iom_dma *dma)
{
    if (stage->config.tracker == NULL || dma->held == 0)
        return;
    iom_tracker_release(stage->config.tracker, dma->held);
    dma->held = 0;
}

/// Which request part a look-up is charged to.
static inline enum iom_part iom_lookup_part(enum iom_lookup which)
{
    static const uint8_t parts[IOM_LOOKUP_COUNT] = {IOM_PART_CONTEXT, IOM_PART_PASID, IOM_PART_LOOKUP};
    return (enum iom_part)parts[which];
}

/// The request has its result, or goes on to the next stage, in cycle `when` >= now.
void iom_stage_finish(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now);
void iom_stage_forward(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now);
/// A response has come from memory (front).
void iom_stage_complete(struct iom_stage *stage, struct iom_dma *dma, iom_cycle now);
/// Sends requests that wait for a credit.
void iom_stage_send_exits(struct iom_stage *stage, iom_cycle now);

#endif
