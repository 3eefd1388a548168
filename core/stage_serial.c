// SPDX-License-Identifier: Apache-2.0
//
// Serial look-up: one request in service at a time, all its look-ups in one cycle. See stage.h.
//
// The request is looked up in the cycle in which it arrives, and again in every cycle in which what its
// look-ups see may have changed (behind a fill, an invalidation, a new view, the end of a walk), until it is
// answered. Hardware does it in every cycle; with the same entries the outcome is the same. What is missing
// starts a walk, if the walker of its kind is idle: there are two, for contexts and for pages.
#include <stdlib.h>
#include <string.h>

#include "core/axi_port.h"
#include "core/stage_internal.h"
#include "core/walk_nodes.h"

static enum iom_serial_walker walker_for(enum iom_lookup which)
{
    return which == IOM_LOOKUP_IOTLB ? IOM_SERIAL_PAGES : IOM_SERIAL_CONTEXTS;
}

// All look-ups of a request anew. False at a miss, which is x->next.
static bool look_up(struct iom_stage *stage, struct iom_xlate *x, struct iom_progress *progress,
                    struct iom_tag *key, iom_cycle now)
{
    x->context.node = x->leaf.node = 0;
    memset(&x->fault, 0, sizeof x->fault);
    stage->config.arch->ops->enter(stage->config.arch, &stage->view, x);
    return iom_stage_probe(stage, x, progress, key, now);
}

// Looks up the context of the request in service for somebody else: that is none of its look-ups. What is
// missing is x->next.
static void glance(struct iom_stage *stage, struct iom_xlate *x, iom_cycle now)
{
    struct iom_progress progress;
    struct iom_tag key;
    *x = stage->serial.x;
    memset(&x->context, 0, sizeof x->context);
    look_up(stage, x, &progress, &key, now);
}

// Deviation: hardware that refuses a request when the record queue can take a record only.
static bool is_queue_full(const struct iom_stage *stage, iom_cycle now)
{
    return stage->config.serial.quirk_full_queue_loses_record &&
           !iom_port_can_send(&stage->ports[IOM_STAGE_FAULT], now);
}

// ---- answers -------------------------------------------------------------------------------------------

// The request in service has an outcome in this cycle.
static void conclude(struct iom_stage *stage, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    struct iom_fault *fault = &serial->dma->x.fault;
    bool refused = serial->dma->x.outcome == IOM_OUTCOME_FAULT;
    serial->reported |= fault->recorded;                 // also of what deviating hardware lets pass
    bool debug = (serial->x.flags & IOM_REQ_DEBUG) != 0; // of registers: no record, no handshake
    if (refused && !debug && is_queue_full(stage, now)) {
        fault->recorded = false;
        serial->waits_for_slot = true; // its credit wakes the stage
        return;
    }
    serial->waits_for_slot = false;
    // Deviating hardware records what it lets pass all the same.
    bool passes = serial->dma->x.outcome == IOM_OUTCOME_BYPASS && fault->recorded;
    if (passes && iom_port_can_send(&stage->ports[IOM_STAGE_FAULT], now))
        iom_stage_report(stage, serial->dma, now);
    serial->concluded = true;
    for (unsigned i = 0; i < IOM_SERIAL_WALKERS; i++)
        serial->walk[i].awaited = false; // what still runs is for nobody
    serial->answered = refused || debug ? IOM_NEVER : now;
    iom_stage_finish(stage, serial->dma, now, now);
}

// What has served the request of this cycle's answer is not there any more.
void iom_serial_take_back(struct iom_stage *stage, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    if (serial->answered != now)
        return;
    struct iom_xlate x;
    glance(stage, &x, now + stage->unit.period);
    if (x.next == IOM_LOOKUP_DONE)
        return;
    struct iom_axi_loss *loss = iom_pool_take(&serial->loss_pool);
    if (loss == NULL)
        abort(); // one a cycle
    iom_port_send(&stage->inputs[0], &loss->msg, now);
    serial->answered = IOM_NEVER;
}

// ---- walks ---------------------------------------------------------------------------------------------

// May the walk for `which` begin? Hardware with the edge quirk begins a walk when something begins to be
// missing, and forgets about that if its walker is busy just then. `before` was missing at the last look-up.
static bool may_walk(const struct iom_stage *stage, enum iom_lookup which, enum iom_lookup before,
                     iom_cycle now)
{
    if (now < stage->serial.walk[walker_for(which)].free_from)
        return false;
    bool edge = which != IOM_LOOKUP_PASID && stage->config.serial.quirk_walks_on_edge;
    return !edge || before != which;
}

static void begin_walk(struct iom_stage *stage, const struct iom_tag *key, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    struct iom_dma *dma = serial->dma;
    enum iom_lookup which = serial->x.next;
    int32_t index = iom_miss_table_allocate(&stage->misses, (uint8_t)which, key,
                                            stage->config.lookup[which].cache.match, dma);
    assert(index >= 0);
    struct iom_serial_walk *walk = &serial->walk[walker_for(which)];
    walk->free_from = IOM_NEVER;
    if (serial->concluded) {
        walk->awaited = false;
        if (which == IOM_LOOKUP_PASID)
            serial->x.context.levels[1] = 0; // the context goes with its request
    } else {
        walk->awaited = true;
        iom_stage_drop_context(stage, dma);
        dma->x = serial->x;
        iom_stage_keep_context(stage, dma);
        dma->missed = (uint8_t)(dma->missed | 1u << which);
    }
    if (stage->view.monitored != 0)
        iom_stage_monitor_miss(stage, &serial->x, true, now);
    iom_stage_start_walk(stage, &serial->x, serial->arrived, index, now, now);
}

// An answered request is out of the stage's hands: its look-ups go on, on the stage's copy.
static void evaluate(struct iom_stage *stage, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    if (serial->dma == NULL || (serial->concluded && !stage->config.serial.quirk_walks_when_answered))
        return;
    struct iom_progress progress;
    struct iom_tag key;
    enum iom_lookup before = serial->missing;
    bool waited = serial->waits_for_slot;
    serial->waits_for_slot = false;
    bool found = look_up(stage, &serial->x, &progress, &key, now);
    iom_stage_count_lookups(stage, &progress, now);
    serial->missing = serial->x.next;
    if (!found) {
        if (may_walk(stage, serial->missing, before, now))
            begin_walk(stage, &key, now);
        return;
    }
    if (serial->concluded)
        return;
    iom_stage_drop_context(stage, serial->dma);
    serial->dma->x = serial->x;
    if (waited) // the record has been lost
        serial->dma->x.fault.recorded = false;
    if (progress.hits != 0)
        iom_stage_decided(stage, serial->dma, IOM_TRACKED_CONTEXT + iom_log2_u64(progress.hits), now);
    conclude(stage, now);
}

// Changes of this cycle are seen by look-ups from the next one on; those of this one may still be to come.
static void look_again(struct iom_stage *stage, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    if (serial->next <= now)
        serial->again = true;
    else
        serial->next = now + stage->unit.period;
}

// The request has come, or goes, in this cycle.
static void look_now(struct iom_stage *stage, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    if (serial->next != IOM_NEVER && serial->next > now)
        serial->again = true;
    serial->next = now;
}

// Puts what a walk brought into its cache; an invalidation of the same cycle follows in close_cycle.
static void fill(struct iom_stage *stage, const struct iom_walk *walk, iom_cycle now)
{
    if (stage->cache[walk->what] == NULL)
        return;
    if (stage->config.serial.quirk_invalidation_drops_fill) {
        stage->serial.fill[walker_for(walk->what)] = (struct iom_serial_fill){walk->what, walk->fill};
        return;
    }
    iom_cache_fill(stage->cache[walk->what], now, &walk->fill.tag, &walk->fill.payload);
}

// Deviation: whether the fault of a page or process walk is recorded is for the context that look-ups see
// now.
static bool is_recorded(struct iom_stage *stage, const struct iom_fault *fault, iom_cycle now)
{
    const struct iom_arch *arch = stage->config.arch;
    struct iom_xlate x;
    glance(stage, &x, now);
    if (x.next == IOM_LOOKUP_CONTEXT || arch->ops->charge == NULL)
        return fault->recorded && x.next != IOM_LOOKUP_CONTEXT;
    x.fault = *fault;
    arch->ops->charge(arch, &x);
    return x.fault.recorded;
}

// The fault of a walk that was begun for somebody else, charged to the request in service (x: its look-ups).
static void adopt_fault(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_fault *fault)
{
    x->fault = *fault;
    x->fault.address = x->address;
    x->fault.source = x->source;
    x->fault.pasid = x->pasid;
    x->fault.flags = x->flags;
    if (arch->ops->charge != NULL)
        arch->ops->charge(arch, x);
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_FAULT;
}

void iom_serial_walk_done(struct iom_stage *stage, struct iom_walk *walk, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    struct iom_serial_walk *slot = &serial->walk[walker_for(walk->what)];
    bool owned = slot->awaited;
    bool squashed = iom_stage_is_squashed(stage, &stage->misses.entries[walk->miss], walk);
    // With a fill it is for the look-ups to refuse.
    bool refused =
        walk->x.next == IOM_LOOKUP_DONE && walk->x.outcome == IOM_OUTCOME_FAULT && !walk->fill.valid;
    if (walk->monitored & stage->view.monitored)
        iom_stage_event(stage, &walk->x, walk->monitored, walk->what != IOM_LOOKUP_CONTEXT, now);
    slot->free_from = now + stage->unit.period;
    slot->awaited = false;
    iom_miss_table_release(&stage->misses, (int32_t)walk->miss);
    if (owned && walk->started >= serial->dma->mark) // else it ran beside another one, which was counted
        iom_stage_account_walk(serial->dma, walk, now);
    if (walk->fill.valid && !squashed)
        fill(stage, walk, now);
    if (refused && owned && walk->what != IOM_LOOKUP_CONTEXT && stage->config.serial.quirk_live_context)
        walk->x.fault.recorded = is_recorded(stage, &walk->x.fault, now);
    // Hardware that does not find room for the record forgets about the fault.
    bool forgotten = refused && is_queue_full(stage, now);
    if (owned && !squashed && !forgotten && !walk->fill.valid && walk->x.next == IOM_LOOKUP_DONE &&
        walk->x.outcome != IOM_OUTCOME_RETRY) {
        serial->dma->x = walk->x; // a fault, or a result that is not to be cached
        iom_stage_decided(stage, serial->dma, IOM_TRACKED_WALK, now);
        conclude(stage, now);
    } else if (refused && !owned && !forgotten && stage->config.serial.quirk_walks_when_answered) {
        serial->stray = walk->x.fault;
        serial->has_stray = true;
    }
    if (squashed || walk->x.outcome == IOM_OUTCOME_RETRY)
        serial->missing = IOM_LOOKUP_DONE; // it is missing anew
    look_again(stage, now);
    if (stage->config.tracker != NULL)
        iom_walk_nodes_end(stage->config.tracker, walk);
    iom_msg_release(&walk->msg);
}

// Deviation: what a walk refuses that nobody waits for any more is charged to the request in service. If it
// has its answer there is one record more, unless that was a fault: to the queue it is the same one. Else it
// is refused.
static void charge_stray(struct iom_stage *stage, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    serial->has_stray = false;
    if (serial->dma == NULL)
        return;
    struct iom_xlate charged = serial->x;
    charged.next = serial->missing;
    adopt_fault(stage->config.arch, &charged, &serial->stray);
    if (!serial->concluded) {
        iom_stage_drop_context(stage, serial->dma);
        serial->dma->x = charged;
        conclude(stage, now);
    } else if (charged.fault.recorded && !serial->reported &&
               iom_port_can_send(&stage->ports[IOM_STAGE_FAULT], now)) {
        struct iom_dma answered = {.x = charged};
        iom_stage_report(stage, &answered, now);
    }
}

// ---- a cycle -------------------------------------------------------------------------------------------

static void begin_service(struct iom_stage *stage, uint32_t input, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    serial->dma = iom_stage_fetch(stage, input, now);
    iom_stage_count_request(stage, serial->dma->x.flags, serial->dma->x.bytes);
    iom_port_return_credit(&stage->inputs[input], now);
    serial->x = serial->dma->x;
    if (stage->view.monitored != 0)
        iom_stage_event(stage, &serial->x, iom_stage_request_event(serial->dma), false, now);
    serial->dma->looked_up = serial->arrived = now;
    serial->concluded = serial->reported = false;
    serial->missing = IOM_LOOKUP_DONE;
    look_now(stage, now);
}

// Input 0 is the AXI port, which waits for its answer; what else there is comes in between.
static void take_messages(struct iom_stage *stage, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    for (uint32_t input = 0; input < stage->config.inputs; input++) {
        struct iom_port *port = &stage->inputs[input];
        struct iom_msg *msg;
        while ((msg = iom_port_peek(port, now)) != NULL) {
            if (msg->kind == IOM_MSG_AXI_RELEASE) {
                iom_msg_release(iom_port_pop(port));
                serial->released = true;
                if (stage->config.serial.quirk_walks_when_answered)
                    look_now(stage, now); // the handshake is a cycle like any other
            } else if (serial->dma == NULL) {
                begin_service(stage, input, now);
            } else {
                break;
            }
        }
    }
}

void iom_serial_take_up(struct iom_stage *stage, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    take_messages(stage, now);
    bool due = serial->next <= now;
    if (due)
        serial->next = serial->again ? now + stage->unit.period : IOM_NEVER;
    serial->again = false;
    if (due)
        evaluate(stage, now);
    else if (serial->waits_for_slot && !is_queue_full(stage, now))
        conclude(stage, now);
    if (serial->has_stray)
        charge_stray(stage, now);
    bool unheard = serial->dma != NULL && serial->concluded && (serial->x.flags & IOM_REQ_DEBUG);
    if (serial->released || unheard) { // nobody releases what registers have asked for
        serial->released = false;
        serial->dma = NULL;
        serial->missing = IOM_LOOKUP_DONE;
        look_again(stage, now); // others may wait
    }
}

void iom_serial_tell_walker(struct iom_stage *stage, iom_cycle now)
{
    struct iom_serial *serial = &stage->serial;
    struct iom_port *port = &stage->ports[IOM_STAGE_WALK];
    if (serial->told == now || !iom_serial_is_walking(stage))
        return;
    serial->told = now;
    struct iom_xlate x = {.next = IOM_LOOKUP_CONTEXT};
    if (serial->dma != NULL)
        glance(stage, &x, now + stage->unit.period);
    if (x.next == IOM_LOOKUP_CONTEXT)
        memset(&x.context, 0, sizeof x.context);
    else if (x.next == IOM_LOOKUP_PASID)
        x.context.table[1] = 0;
    struct iom_walk_context *message = iom_pool_take(&serial->context_pool);
    if (message == NULL)
        abort(); // one a cycle
    message->context = x.context;
    message->write = (x.flags & IOM_REQ_WRITE) != 0;
    port->credits += port->depth != 0; // takes no slot
    iom_port_send(port, &message->msg, now);
    stage->settled = now;
}

// Fills that hardware with the quirk drops: an invalidation of the same cache, whatever it covers.
void iom_serial_close_cycle(struct iom_stage *stage, uint32_t invalidated, iom_cycle now)
{
    for (unsigned i = 0; i < IOM_SERIAL_WALKERS; i++) {
        struct iom_serial_fill *fill = &stage->serial.fill[i];
        if (fill->entry.valid && !(invalidated >> fill->what & 1))
            iom_cache_fill(stage->cache[fill->what], now, &fill->entry.tag, &fill->entry.payload);
        fill->entry.valid = false;
    }
    if (invalidated != 0)
        look_again(stage, now);
}

iom_cycle iom_serial_wake(const struct iom_stage *stage)
{
    return stage->serial.next;
}
