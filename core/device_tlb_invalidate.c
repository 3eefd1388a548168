// SPDX-License-Identifier: Apache-2.0
//
// Invalidations of the device TLB and their completions. See device_tlb.h.
//
// Source: PCI Express Base Specification 6.0, 10.3 (invalidation), 10.3.8 (with and without PASID).
#include "core/device_tlb_internal.h"
#include "core/tracker.h"

#define MOST_MATCHES 2u

// Which entries an invalidation request names. Without PASID: those requested without, in the range, and
// everything requested with one (the range says nothing about those address spaces). With PASID: those of
// the PASID in the range, or, global, of every PASID.
static uint32_t matches_of(const struct iom_device_tlb *tlb, const struct iom_device_invalidation *what,
                           struct iom_cache_match matches[MOST_MATCHES])
{
    matches[0] = (struct iom_cache_match){
        .tag = {.substream = what->pasid, .stage = what->has_pasid ? IOM_SPACE_PROCESS : IOM_SPACE_DEVICE},
        .fields = IOM_TAG_ADDRESS | IOM_TAG_STAGE,
        .first = what->first,
        .last = what->last,
    };
    if (what->has_pasid) {
        if (!what->global)
            matches[0].fields |= IOM_TAG_SUBSTREAM;
        matches[0].keep_global = !what->global;
        return 1;
    }
    if (!tlb->pasid_seen)
        return 1; // hardware without PASID has nothing to compare
    matches[1] = (struct iom_cache_match){.tag = {.stage = IOM_SPACE_PROCESS}, .fields = IOM_TAG_STAGE};
    return 2;
}

// ---- completions ---------------------------------------------------------------------------------------

// PCIe order: behind the posted writes sent before, on whatever connection they travel.
static void send_completion(struct iom_device_tlb *tlb, struct iom_ats_invalidation *msg, iom_cycle now)
{
    struct iom_port *port = &tlb->ports[IOM_DEVICE_TLB_INVALIDATE];
    bool overtakes = tlb->config.completion_overtakes_writes;
    iom_cycle behind = overtakes ? tlb->write_arrival_before : tlb->write_arrival;
    iom_cycle depart = now;
    if (behind > port->latency)
        depart = iom_max_u64(depart, behind - port->latency);
    tlb->write_arrival_before = tlb->write_arrival;
    tlb->completed_before = now;
    tlb->completed_any = true;
    tlb->invalidations_held--;
    iom_histogram_add(&tlb->stats.invalidation_latency, depart - msg->msg.arrival);
    iom_port_send(port, &msg->msg, depart);
    iom_port_return_credit(port, now);
}

void iom_device_tlb_release(struct iom_device_tlb *tlb, struct iom_device_request *record, iom_cycle now)
{
    for (; record->awaited != 0; record->awaited &= record->awaited - 1) {
        struct iom_device_completion *completion = &tlb->completions[iom_ctz64(record->awaited)];
        if (--completion->waiting == 0) {
            send_completion(tlb, completion->msg, now);
            completion->msg = NULL;
        }
    }
}

// Does the completion have to wait for this request?
static bool must_wait(const struct iom_device_tlb *tlb, const struct iom_device_request *record,
                      const struct iom_cache_match *matches, uint32_t count)
{
    if (record->dma == NULL || !record->translated)
        return false;
    if (record->flags & IOM_REQ_POSTED) {
        if (record->sent)
            return false; // the completion follows it
        if (tlb->config.completion_overtakes_writes &&
            !(tlb->completed_any && record->decided <= tlb->completed_before))
            return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (iom_tag_matches(&record->used, &matches[i]))
            return true;
    }
    return false;
}

static void complete(struct iom_device_tlb *tlb, struct iom_ats_invalidation *msg,
                     const struct iom_cache_match *matches, uint32_t count, iom_cycle now)
{
    uint32_t slot = 0;
    while (tlb->completions[slot].msg != NULL)
        slot++; // at most queue_depth are held
    struct iom_device_completion *completion = &tlb->completions[slot];
    completion->waiting = 0;
    for (uint32_t i = 0; i < tlb->request_count; i++) {
        if (must_wait(tlb, &tlb->requests[i], matches, count)) {
            tlb->requests[i].awaited |= UINT32_C(1) << slot;
            completion->waiting++;
        }
    }
    if (completion->waiting != 0)
        completion->msg = msg;
    else
        send_completion(tlb, msg, now);
}

// ---- application ---------------------------------------------------------------------------------------

// Translation requests under way: those to a page named are poisoned; of those to another page the answer
// will tell by its size. Returns how many were poisoned.
static uint32_t poison(struct iom_device_tlb *tlb, const struct iom_cache_match *match)
{
    uint32_t poisoned = 0;
    for (uint32_t i = 0; i < tlb->misses.capacity && tlb->config.squash; i++) {
        struct iom_miss *miss = &tlb->misses.entries[i];
        if (!miss->used || miss->poisoned)
            continue;
        struct iom_cache_match space = *match;
        space.fields &= ~(uint32_t)IOM_TAG_ADDRESS;
        space.keep_global = false; // whether it will be global is not known yet
        if (!iom_tag_matches(&miss->key, &space))
            continue;
        struct iom_device_translation *translation = &tlb->translations[i];
        if (!(match->fields & IOM_TAG_ADDRESS) ||
            iom_device_overlaps(miss->key.address, IOM_PAGE_LOG2, match->first, match->last)) {
            miss->poisoned = true;
            poisoned++;
        } else if (tlb->config.use_size) {
            translation->stale_first =
                translation->stale ? iom_min_u64(translation->stale_first, match->first) : match->first;
            translation->stale_last =
                translation->stale ? iom_max_u64(translation->stale_last, match->last) : match->last;
            translation->stale = true;
        }
    }
    tlb->stats.squashed += poisoned;
    return poisoned;
}

// Entries that go, those filled in this very cycle included.
static uint32_t count_removed(struct iom_device_tlb *tlb, const struct iom_cache_match *matches,
                              uint32_t count, iom_cycle now)
{
    uint32_t removed = 0;
    for (uint32_t i = 0; i < count; i++) {
        removed += iom_cache_count_matching(tlb->cache, now, &matches[i]);
        for (uint32_t f = 0; f < tlb->fill_count && tlb->fill_cycle == now; f++)
            removed += !tlb->fills[f].replaces && iom_tag_matches(&tlb->fills[f].tag, &matches[i]);
    }
    return removed;
}

void iom_device_tlb_apply_invalidation(struct iom_device_tlb *tlb, iom_cycle now)
{
    struct iom_ats_invalidation *msg = tlb->running;
    if (msg == NULL || tlb->apply_at > now)
        return;
    struct iom_cache_match matches[MOST_MATCHES];
    uint32_t count = matches_of(tlb, &msg->what, matches);
    msg->removed = count_removed(tlb, matches, count, now);
    msg->applied = now;
    msg->stopped = 0;
    for (uint32_t i = 0; i < count; i++) {
        iom_cache_invalidate(tlb->cache, now, &matches[i]);
        msg->stopped += poison(tlb, &matches[i]);
    }
    tlb->running = NULL;
    tlb->free_from = now + tlb->unit.period;
    complete(tlb, msg, matches, count, now);
}

// ---- arrival -------------------------------------------------------------------------------------------

static uint64_t cost(const struct iom_device_tlb *tlb, const struct iom_device_invalidation *what)
{
    struct iom_cache_match matches[MOST_MATCHES];
    uint64_t cycles = 1;
    if (tlb->config.cache.entries == 0)
        return cycles;
    uint32_t count = matches_of(tlb, what, matches);
    for (uint32_t i = 0; i < count; i++)
        cycles = iom_max_u64(cycles,
                             iom_invalidate_cycles(&tlb->config.invalidate, &tlb->config.cache, &matches[i]));
    return cycles;
}

// Page responses are for the device itself.
static void pass_on(struct iom_device_tlb *tlb, struct iom_msg *msg, iom_cycle now)
{
    struct iom_port *messages = &tlb->ports[IOM_DEVICE_TLB_MESSAGES];
    iom_port_return_credit(&tlb->ports[IOM_DEVICE_TLB_INVALIDATE], now);
    if (messages->peer != NULL)
        iom_port_send(messages, msg, now);
    else
        iom_msg_release(msg);
}

void iom_device_tlb_begin_invalidations(struct iom_device_tlb *tlb, iom_cycle now)
{
    struct iom_port *port = &tlb->ports[IOM_DEVICE_TLB_INVALIDATE];
    while (tlb->invalidations_held < tlb->config.queue_depth && iom_port_peek(port, now) != NULL) {
        struct iom_msg *msg = iom_port_pop(port);
        if (msg->kind == IOM_MSG_PAGE_RESPONSE) {
            pass_on(tlb, msg, now);
            continue;
        }
        assert(msg->kind == IOM_MSG_DEVICE_INVALIDATION);
        tlb->stats.invalidations++;
        if (tlb->config.silent) {
            iom_fifo_push(&tlb->swallowed, msg);
            iom_port_return_credit(port, now);
            continue;
        }
        iom_fifo_push(&tlb->invalidations, msg);
        if (++tlb->invalidations_held > tlb->stats.most_invalidations)
            tlb->stats.most_invalidations = tlb->invalidations_held;
    }
    if (tlb->running != NULL || tlb->invalidations.first == NULL || now < tlb->free_from ||
        tlb->starving != 0)
        return;
    tlb->running = (struct iom_ats_invalidation *)(void *)iom_fifo_pop(&tlb->invalidations);
    uint64_t cycles = cost(tlb, &tlb->running->what);
    tlb->apply_at = now + iom_device_ticks(tlb, cycles - 1);
    if (tlb->config.invalidate.blocking) {
        tlb->blocks = true;
        tlb->blocked_until = tlb->apply_at;
    }
}
