// SPDX-License-Identifier: Apache-2.0
//
// Look-ups, misses and fills of a look-up stage. See stage.h.
#include <stdlib.h>

#include "core/stage_internal.h"
#include "core/walk_nodes.h"

// One look-up of those in `progress`, for the statistics and the replacement policy.
static inline void count(struct iom_stage *stage, const struct iom_progress *progress, enum iom_lookup which,
                         iom_cycle now)
{
    struct iom_lookup_stats *stats = &stage->lookup_stats[which];
    stats->lookups++;
    if (progress->hits >> which & 1) {
        stats->hits++;
        iom_cache_touch(stage->cache[which], now, progress->slot[which]);
    } else {
        stats->insufficient += progress->insufficient;
    }
}

void iom_stage_count_lookups(struct iom_stage *stage, const struct iom_progress *progress, iom_cycle now)
{
    for (uint32_t left = progress->taken; left != 0; left &= left - 1)
        count(stage, progress, (enum iom_lookup)iom_ctz64(left), now);
}

static void book(struct iom_stage *stage, struct iom_dma *dma, const struct iom_progress *progress,
                 iom_cycle now, iom_cycle pipeline)
{
    iom_cycle mark = iom_max_u64(dma->mark, now);
    dma->part[IOM_PART_QUEUEING] += mark - dma->mark;
    dma->part[IOM_PART_LOOKUP] += pipeline;
    mark += pipeline;
    for (uint32_t left = progress->taken; left != 0; left &= left - 1) {
        enum iom_lookup which = (enum iom_lookup)iom_ctz64(left);
        iom_cycle ticks = stage->lookup_ticks[which];
        count(stage, progress, which, now);
        dma->part[iom_lookup_part(which)] += ticks;
        mark += ticks;
    }
    dma->mark = mark;
}

bool iom_stage_probe(struct iom_stage *stage, struct iom_xlate *x, struct iom_progress *progress,
                     struct iom_tag *key, iom_cycle now)
{
    const struct iom_arch *arch = stage->config.arch;
    progress->taken = progress->hits = 0;
    progress->insufficient = false;
    while (stage->owned >> x->next & 1) { // bit IOM_LOOKUP_DONE is never set
        enum iom_lookup which = x->next;
        progress->taken |= 1u << which;
        arch->ops->key(arch, &stage->view, x, key);
        if (stage->cache[which] == NULL)
            return false;
        int32_t slot = iom_cache_probe(stage->cache[which], now, key);
        if (slot == IOM_CACHE_MISS)
            return false;
        if (!arch->ops->use(arch, &stage->view, x, iom_cache_tag(stage->cache[which], slot),
                            iom_cache_payload(stage->cache[which], slot))) {
            progress->insufficient = true;
            return false;
        }
        progress->hits |= 1u << which;
        progress->slot[which] = slot;
    }
    return true;
}

static uint32_t match_fields(const struct iom_stage *stage, enum iom_lookup which)
{
    return stage->config.lookup[which].cache.match;
}

// The look-up that decided the request was served by `cache` (enum iom_tracked_cache).
void iom_stage_decided(struct iom_stage *stage, struct iom_dma *dma, uint32_t cache, iom_cycle now)
{
    if (stage->config.tracker == NULL)
        return;
    iom_tracker_use(stage->config.tracker, now, dma, cache);
    iom_stage_drop_context(stage, dma);
}

void iom_stage_start_walk(struct iom_stage *stage, const struct iom_xlate *x, iom_cycle looked_up,
                          int32_t index, iom_cycle when, iom_cycle now)
{
    struct iom_walk *walk = iom_pool_take(&stage->walk_pool);
    if (walk == NULL)
        abort(); // bounded by the miss table
    walk->x = *x;
    walk->what = x->next;
    walk->miss = (uint32_t)index;
    walk->reads = 0;
    walk->updates = 0;
    walk->monitored = 0;
    walk->page_walker = false;
    walk->memory_cycles = 0;
    walk->poisoned = false;
    walk->psc_fill.valid = false;
    walk->fill.valid = false;
    walk->looked_up = looked_up;
    if (walk->what != IOM_LOOKUP_CONTEXT) // those begin when a walker reads the registers
        iom_walk_nodes_begin(stage->config.tracker, stage->config.arch->iommu, walk);
    walk->started = when; // earliest departure until the walker overwrites it
    stage->lookup_stats[walk->what].misses++;
    if (stage->misses.used > stage->stats.most_walks)
        stage->stats.most_walks = stage->misses.used;
    struct iom_port *port = &stage->ports[IOM_STAGE_WALK];
    if (stage->walks_unsent.first == NULL && iom_port_can_send(port, now))
        iom_port_send(port, &walk->msg, iom_max_u64(when, now));
    else
        iom_fifo_push(&stage->walks_unsent, &walk->msg);
}

void iom_stage_send_walks(struct iom_stage *stage, iom_cycle now)
{
    struct iom_port *port = &stage->ports[IOM_STAGE_WALK];
    while (stage->walks_unsent.first != NULL && iom_port_can_send(port, now)) {
        struct iom_walk *walk = (struct iom_walk *)(void *)iom_fifo_pop(&stage->walks_unsent);
        iom_port_send(port, &walk->msg, iom_max_u64(walk->started, now));
    }
}

// The request itself, when it is taken up for the first time; its context is not asked.
static void monitor_request(struct iom_stage *stage, const struct iom_dma *dma, iom_cycle looked_up_before,
                            iom_cycle now)
{
    if (stage->config.front && looked_up_before == IOM_NEVER && dma->restarts == 0)
        iom_stage_event(stage, &dma->x, iom_stage_request_event(dma), false, now);
}

// A look-up has missed: join the walk under way for the same page, or start one.
static enum iom_take miss(struct iom_stage *stage, struct iom_dma *dma, const struct iom_progress *progress,
                          const struct iom_tag *key, iom_cycle now, iom_cycle pipeline)
{
    enum iom_lookup which = dma->x.next;
    uint32_t fields = match_fields(stage, which);
    int32_t index = iom_miss_table_find(&stage->misses, (uint8_t)which, key, fields);
    bool merge = index >= 0 && stage->misses.merges != 0;
    if (merge) {
        if (stage->misses.entries[index].merged >= stage->misses.merges)
            return IOM_STALLED;
    } else if (stage->promised != NULL && !stage->replaying) {
        return IOM_STALLED; // the next place is for a request that has been here before
    } else {
        index = iom_miss_table_allocate(&stage->misses, (uint8_t)which, key, fields, dma);
        if (index < 0)
            return IOM_STALLED;
    }
    book(stage, dma, progress, now, pipeline);
    iom_stage_keep_context(stage, dma);
    dma->missed = (uint8_t)(dma->missed | 1u << which);
    if (stage->view.monitored != 0)
        iom_stage_monitor_miss(stage, &dma->x, !merge, now);
    if (merge) {
        stage->lookup_stats[which].merged++;
        iom_miss_table_merge(&stage->misses, index, dma);
    } else {
        iom_stage_start_walk(stage, &dma->x, dma->looked_up, index, dma->mark, now);
    }
    return IOM_TAKEN;
}

// Has what the request carries from a stage before this one been invalidated on the way? A request that is
// about to look up its context carries nothing.
static bool is_outdated(const struct iom_stage *stage, const struct iom_dma *dma)
{
    return dma->looked_up < stage->contexts_from && dma->x.next != IOM_LOOKUP_CONTEXT &&
           dma->x.next != IOM_LOOKUP_DONE;
}

enum iom_take iom_stage_take(struct iom_stage *stage, struct iom_dma *dma, iom_cycle now, iom_cycle pipeline)
{
    struct iom_progress progress;
    struct iom_tag key;
    struct iom_context context_before = dma->x.context;
    uint8_t next_before = dma->x.next;
    iom_cycle looked_up_before = dma->looked_up;
    if (stage->contexts_from != 0 && stage->config.squash_walks && is_outdated(stage, dma))
        iom_stage_forget(stage, dma);
    if (next_before == IOM_LOOKUP_CONTEXT || dma->looked_up == IOM_NEVER)
        dma->looked_up = now;
    if (!iom_stage_probe(stage, &dma->x, &progress, &key, now)) {
        enum iom_take taken = miss(stage, dma, &progress, &key, now, pipeline);
        if (taken == IOM_STALLED) {
            stage->stats.stalls++;
            dma->x.context = context_before;
            dma->x.next = next_before;
            dma->looked_up = looked_up_before;
        } else if (stage->view.monitored != 0) {
            monitor_request(stage, dma, looked_up_before, now);
        }
        return taken;
    }
    book(stage, dma, &progress, now, pipeline);
    if (stage->view.monitored != 0)
        monitor_request(stage, dma, looked_up_before, now);
    if (dma->x.next != IOM_LOOKUP_DONE) {
        iom_stage_forward(stage, dma, dma->mark, now);
        return IOM_TAKEN;
    }
    if (progress.hits != 0)
        iom_stage_decided(stage, dma, IOM_TRACKED_CONTEXT + iom_log2_u64(progress.hits), now);
    iom_stage_finish(stage, dma, dma->mark, now);
    return IOM_TAKEN;
}

// ---- fills ------------------------------------------------------------------------------------------

static void replay(struct iom_stage *stage, struct iom_dma *dma)
{
    stage->stats.replays++;
    iom_stage_keep_context(stage, dma);
    iom_fifo_push(&stage->replays, &dma->msg);
}

// Only the front can let a request enter again, so a stage behind it hands the request back.
void iom_stage_forget(struct iom_stage *stage, struct iom_dma *dma)
{
    if (!stage->config.front) {
        dma->x.next = IOM_LOOKUP_DONE;
        dma->x.outcome = IOM_OUTCOME_RETRY;
        return;
    }
    iom_stage_drop_context(stage, dma);
    if (dma->looked_up != IOM_NEVER) {
        stage->stats.restarts++;
        if (dma->restarts < IOM_STAGE_PATIENCE && ++dma->restarts == IOM_STAGE_PATIENCE)
            stage->starving++;
    }
    dma->looked_up = IOM_NEVER;
    dma->x.context.node = 0;
    dma->x.leaf.node = 0;
    stage->config.arch->ops->enter(stage->config.arch, &stage->view, &dma->x);
}

static void restart(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    iom_stage_forget(stage, dma);
    if (stage->config.front)
        replay(stage, dma);
    else
        iom_stage_finish(stage, dma, when, now);
}

void iom_stage_resume(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    if (dma->x.next == IOM_LOOKUP_DONE && dma->x.outcome == IOM_OUTCOME_RETRY)
        restart(stage, dma, when, now);
    else if (dma->x.next == IOM_LOOKUP_DONE)
        iom_stage_finish(stage, dma, when, now);
    else if (stage->config.lookup[dma->x.next].owned)
        replay(stage, dma);
    else
        iom_stage_forward(stage, dma, when, now);
}

// Time of the request whose walk this was: waiting for a walker, walking, waiting for memory.
void iom_stage_account_walk(struct iom_dma *dma, const struct iom_walk *walk, iom_cycle now)
{
    enum iom_part part = walk->what == IOM_LOOKUP_IOTLB ? IOM_PART_WALK : iom_lookup_part(walk->what);
    iom_dma_account(dma, IOM_PART_QUEUEING, iom_max_u64(walk->started, dma->mark));
    iom_cycle memory = walk->what == IOM_LOOKUP_IOTLB ? walk->memory_cycles : 0;
    // Serial look-up may walk for a context and for a page at once: time counts for the walk that ends first.
    iom_dma_account(dma, IOM_PART_MEMORY, iom_min_u64(dma->mark + memory, now));
    iom_dma_account(dma, part, now);
}

// A merged request may have missed so recently that its own look-up is not over: it goes on when both
// the walk and the look-up are.
static void resume_merged(struct iom_stage *stage, struct iom_dma *dma, const struct iom_walk *walk,
                          bool usable, iom_cycle now)
{
    const struct iom_arch *arch = stage->config.arch;
    iom_cycle when = iom_max_u64(dma->mark, now);
    iom_dma_account(dma, IOM_PART_QUEUEING, when);
    if (usable && arch->ops->use(arch, &stage->view, &dma->x, &walk->fill.tag, &walk->fill.payload)) {
        if (dma->x.next == IOM_LOOKUP_DONE)
            iom_stage_decided(stage, dma, IOM_TRACKED_WALK, now);
        iom_stage_resume(stage, dma, when, now);
    } else {
        replay(stage, dma);
    }
}

// May the request be given less than it asks for (a translation request is told which permissions there are),
// the fill does not serve it: it would walk again after each look-up, for ever.
static bool fill_serves(const struct iom_stage *stage, const struct iom_dma *dma, const struct iom_walk *walk)
{
    const struct iom_arch *arch = stage->config.arch;
    struct iom_xlate x = dma->x;
    return arch->ops->use(arch, &stage->view, &x, &walk->fill.tag, &walk->fill.payload);
}

// Did an invalidation reach what the walk has read?
bool iom_stage_is_squashed(struct iom_stage *stage, const struct iom_miss *miss, const struct iom_walk *walk)
{
    if (!stage->config.squash_walks)
        return false;
    bool spoiled = !miss->poisoned && walk->fill.valid && iom_miss_spoiled(miss, &walk->fill.tag);
    stage->lookup_stats[walk->what].squashed += spoiled;
    return miss->poisoned || spoiled;
}

void iom_stage_walk_done(struct iom_stage *stage, struct iom_walk *walk, iom_cycle now)
{
    const struct iom_miss *miss = &stage->misses.entries[walk->miss];
    struct iom_dma *primary = miss->primary, *merged = miss->first;
    bool squashed = iom_stage_is_squashed(stage, miss, walk);
    iom_miss_table_release(&stage->misses, (int32_t)walk->miss);
    stage->changes++;
    if (walk->monitored & stage->view.monitored)
        iom_stage_event(stage, &walk->x, walk->monitored, walk->what != IOM_LOOKUP_CONTEXT, now);
    bool filled = walk->fill.valid && !squashed && stage->cache[walk->what] != NULL;
    if (filled)
        iom_cache_fill(stage->cache[walk->what], now, &walk->fill.tag, &walk->fill.payload);
    // Looking up again makes sense only behind a fill, and from the cycle in which it can be hit.
    // They come first, or others might displace the entry again before it has served anybody, for ever.
    bool look_again = filled && stage->config.replay_after_fill;
    struct iom_fifo earlier_replays = stage->replays;
    if (look_again) {
        stage->replay_from = now + 1;
        stage->replays = (struct iom_fifo){0};
    }
    bool usable = walk->fill.valid && !squashed && !look_again;

    iom_stage_account_walk(primary, walk, now);
    if (squashed) {
        restart(stage, primary, now, now);
    } else if (look_again && fill_serves(stage, primary, walk)) {
        replay(stage, primary);
    } else {
        primary->x = walk->x;
        if (walk->x.next == IOM_LOOKUP_DONE && walk->x.outcome != IOM_OUTCOME_RETRY)
            iom_stage_decided(stage, primary, IOM_TRACKED_WALK, now);
        iom_stage_resume(stage, primary, now, now);
    }
    for (struct iom_msg *msg = merged == NULL ? NULL : &merged->msg; msg != NULL;) {
        struct iom_msg *following = msg->next;
        struct iom_dma *dma = iom_dma_of(msg);
        if (squashed) {
            iom_dma_account(dma, IOM_PART_QUEUEING, iom_max_u64(dma->mark, now));
            restart(stage, dma, dma->mark, now);
        } else {
            resume_merged(stage, dma, walk, usable, now);
        }
        msg = following;
    }
    if (look_again)
        iom_fifo_append(&stage->replays, &earlier_replays);
    if (stage->config.tracker != NULL)
        iom_walk_nodes_end(stage->config.tracker, walk);
    iom_msg_release(&walk->msg);
}
