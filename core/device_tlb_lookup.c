// SPDX-License-Identifier: Apache-2.0
//
// Look-ups, translation requests and their answers. See device_tlb.h.
//
// Source: PCI Express Base Specification 6.0, 10.2 (translation requests and completions).
#include <stdlib.h>
#include <string.h>

#include "core/device_tlb_internal.h"
#include "core/tracker.h"

#define MATCH_FIELDS (IOM_TAG_ADDRESS | IOM_TAG_STREAM | IOM_TAG_SUBSTREAM | IOM_TAG_STAGE | IOM_TAG_SECURITY)

static bool is_privileged(const struct iom_xlate *x)
{
    return (x->flags & IOM_REQ_PASID) && (x->flags & IOM_REQ_PRIV);
}

static bool is_execute(const struct iom_xlate *x)
{
    return (x->flags & IOM_REQ_PASID) && (x->flags & IOM_REQ_EXEC);
}

static struct iom_tag key_of(const struct iom_xlate *x)
{
    bool pasid = (x->flags & IOM_REQ_PASID) != 0;
    return (struct iom_tag){
        .address = x->address,
        .stream = x->source,
        .substream = pasid ? x->pasid : IOM_DEVICE_NO_PASID,
        .stage = pasid ? IOM_SPACE_PROCESS : IOM_SPACE_DEVICE,
        // A completion grants to the mode that asked, and to no other.
        .security = is_privileged(x),
    };
}

// Permissions in the mode of the request; the privileged ones stand three bits above the others.
static uint8_t in_mode(const struct iom_xlate *x, uint8_t permissions)
{
    return is_privileged(x) ? (uint8_t)(permissions << 3) : permissions;
}

static uint8_t needed_permissions(const struct iom_xlate *x)
{
    uint8_t needed = x->flags & IOM_REQ_WRITE ? IOM_PERM_WRITE : IOM_PERM_READ;
    if (is_execute(x))
        needed |= IOM_PERM_EXEC;
    return in_mode(x, needed);
}

static bool suffices(uint8_t granted, uint8_t needed)
{
    return (needed & (uint8_t)~granted) == 0;
}

// ---- decisions -----------------------------------------------------------------------------------------

// The request goes on with `leaf`, an entry found or brought by a completion.
static void use(struct iom_device_tlb *tlb, struct iom_dma *dma, const struct iom_tag *tag,
                const struct iom_leaf *leaf, iom_cycle when, iom_cycle now)
{
    struct iom_device_request *record = iom_device_request_of(tlb, dma);
    record->translated = true;
    record->used = *tag;
    record->decided = now;
    record->leaf = *leaf;
    record->leaf.output = leaf->output | iom_low_bits(dma->x.address, leaf->size_log2);
    dma->x.leaf = record->leaf;
    dma->x.outcome = IOM_OUTCOME_ADDRESS;
    dma->x.next = IOM_LOOKUP_DONE;
    if (tlb->config.tracker != NULL)
        iom_tracker_use(tlb->config.tracker, now, dma, IOM_TRACKED_DEVICE_TLB + tlb->config.index);
    dma->x.address = record->leaf.output;
    dma->x.flags |= IOM_REQ_TRANSLATED;
    iom_device_tlb_leave(tlb, dma, when, now);
}

static void go_untranslated(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    tlb->stats.untranslated++;
    iom_device_tlb_leave(tlb, dma, when, now);
}

// `why`: the answer to the translation request.
static void refuse(struct iom_device_tlb *tlb, struct iom_dma *dma, const struct iom_xlate *why,
                   iom_cycle when, iom_cycle now)
{
    tlb->stats.refused++;
    if (tlb->config.untranslated_fallback) {
        go_untranslated(tlb, dma, when, now);
        return;
    }
    iom_device_request_of(tlb, dma)->refused = true;
    bool fault = why->outcome == IOM_OUTCOME_FAULT;
    dma->x.next = IOM_LOOKUP_DONE;
    dma->x.outcome = IOM_OUTCOME_FAULT;
    dma->x.fault = (struct iom_fault){
        .address = dma->x.address,
        .detail = fault ? why->fault.detail : 0,
        .source = dma->x.source,
        .pasid = dma->x.flags & IOM_REQ_PASID ? dma->x.pasid : 0,
        .code = fault ? why->fault.code : 0,
        .flags = dma->x.flags,
        .abort = fault ? why->fault.abort : 0,
    };
    iom_device_tlb_leave(tlb, dma, when, now);
}

// ---- look-ups ------------------------------------------------------------------------------------------

static void ask(struct iom_device_tlb *tlb, const struct iom_dma *dma, int32_t index, uint8_t found,
                iom_cycle when, iom_cycle now)
{
    struct iom_dma *request = iom_pool_take(&tlb->request_pool);
    if (request == NULL)
        abort(); // bounded by `outstanding`
    struct iom_msg header = request->msg;
    memset(request, 0, sizeof *request);
    request->msg = header;
    request->id = tlb->stats.misses;
    request->cookie = (uint64_t)index;
    request->keeps_node = tlb->config.tracker != NULL;

    // What an insufficient entry grants is asked for again, or requests of two kinds would displace each
    // other's entry for ever.
    uint8_t held = is_privileged(&dma->x) ? (uint8_t)(found >> 3) : found;
    bool write = (dma->x.flags & IOM_REQ_WRITE) || tlb->config.ask_write || (held & IOM_PERM_WRITE);
    bool execute = is_execute(&dma->x) || (held & IOM_PERM_EXEC);
    request->x.address = iom_align_down(dma->x.address, IOM_PAGE_LOG2);
    request->x.bytes = 8; // of the answer
    request->x.source = dma->x.source;
    request->x.pasid = dma->x.pasid;
    request->x.flags = (uint16_t)(IOM_REQ_TRANSLATE | (dma->x.flags & (IOM_REQ_PASID | IOM_REQ_PRIV)) |
                                  (write ? IOM_REQ_WRITE : 0) | (execute ? IOM_REQ_EXEC : 0));
    uint8_t asked = (uint8_t)(IOM_PERM_READ | (write ? IOM_PERM_WRITE : 0) | (execute ? IOM_PERM_EXEC : 0));
    tlb->translations[index] = (struct iom_device_translation){.asked = in_mode(&dma->x, asked)};
    iom_device_tlb_transmit(tlb, request, when, now);
}

// Joins the translation request under way for the same page, or sends one.
static bool miss(struct iom_device_tlb *tlb, struct iom_dma *dma, const struct iom_tag *key, uint8_t found,
                 iom_cycle now)
{
    iom_cycle when = now + iom_device_ticks(tlb, tlb->config.latency_cycles);
    int32_t index = iom_miss_table_find(&tlb->misses, IOM_LOOKUP_IOTLB, key, MATCH_FIELDS);
    if (index >= 0 && tlb->misses.merges != 0) {
        if (!iom_miss_table_merge(&tlb->misses, index, dma))
            return false;
        tlb->stats.merged++;
    } else {
        index = iom_miss_table_allocate(&tlb->misses, IOM_LOOKUP_IOTLB, key, MATCH_FIELDS, dma);
        if (index < 0)
            return false;
        tlb->stats.misses++;
        ask(tlb, dma, index, found, when, now);
    }
    iom_device_request_of(tlb, dma)->ready = when;
    return true;
}

bool iom_device_tlb_look_up(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle now)
{
    iom_cycle when = now + iom_device_ticks(tlb, tlb->config.latency_cycles);
    if (dma->x.flags & (IOM_REQ_TRANSLATE | IOM_REQ_TRANSLATED | IOM_REQ_PAGE)) {
        iom_device_tlb_leave(tlb, dma, when, now); // the device knows what it does
        return true;
    }
    struct iom_tag key = key_of(&dma->x);
    tlb->pasid_seen = tlb->pasid_seen || key.stage == IOM_SPACE_PROCESS;
    int32_t slot = iom_cache_probe(tlb->cache, now, &key);
    const struct iom_leaf *leaf = slot == IOM_CACHE_MISS ? NULL : iom_cache_payload(tlb->cache, slot);
    if (leaf != NULL && suffices(leaf->permissions, needed_permissions(&dma->x))) {
        tlb->stats.lookups++;
        tlb->stats.hits++;
        iom_cache_touch(tlb->cache, now, slot);
        use(tlb, dma, iom_cache_tag(tlb->cache, slot), leaf, when, now);
        return true;
    }
    if (!miss(tlb, dma, &key, leaf != NULL ? leaf->permissions : 0, now))
        return false;
    tlb->stats.lookups++;
    tlb->stats.insufficient += leaf != NULL;
    return true;
}

// ---- answers -------------------------------------------------------------------------------------------

// What a completion grants, as an entry. False: nothing that could be kept.
static bool entry_of(const struct iom_device_tlb *tlb, const struct iom_dma *request, struct iom_tag *tag,
                     struct iom_leaf *leaf)
{
    const struct iom_xlate *x = &request->x;
    if (x->outcome != IOM_OUTCOME_ADDRESS && x->outcome != IOM_OUTCOME_BYPASS)
        return false;
    *leaf = x->leaf;
    leaf->node = 0;
    if (!tlb->config.use_size || leaf->size_log2 < IOM_PAGE_LOG2)
        leaf->size_log2 = IOM_PAGE_LOG2;
    leaf->output = iom_align_down(leaf->output, leaf->size_log2);
    *tag = key_of(x);
    tag->address = iom_align_down(x->address, leaf->size_log2);
    tag->size_log2 = leaf->size_log2;
    tag->global = leaf->global && tag->stage == IOM_SPACE_PROCESS;
    return true;
}

void iom_device_tlb_settle(struct iom_device_tlb *tlb, iom_cycle now)
{
    if (tlb->fill_count == 0 || tlb->fill_cycle == now)
        return;
    if (tlb->config.tracker != NULL) {
        iom_cache_sync(tlb->cache, now);
        for (uint32_t i = 0; i < tlb->fill_count; i++)
            iom_tracker_release(tlb->config.tracker, tlb->fills[i].node);
    }
    tlb->fill_count = 0;
}

static void fill(struct iom_device_tlb *tlb, const struct iom_tag *tag, const struct iom_leaf *leaf,
                 iom_cycle now)
{
    int32_t slot = iom_cache_probe(tlb->cache, now, tag);
    const struct iom_tag *found = slot == IOM_CACHE_MISS ? NULL : iom_cache_tag(tlb->cache, slot);
    bool replaces = found != NULL && found->address == tag->address && found->size_log2 == tag->size_log2 &&
                    found->global == tag->global;
    iom_cache_fill(tlb->cache, now, tag, leaf);
    tlb->fill_cycle = now;
    tlb->fills[tlb->fill_count++] = (struct iom_device_fill){*tag, leaf->node, replaces};
    // Until the cache takes the fill over at the end of the cycle nobody else holds the node.
    if (tlb->config.tracker != NULL)
        iom_tracker_keep(tlb->config.tracker, leaf->node);
}

static void look_up_again(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle from)
{
    struct iom_device_request *record = iom_device_request_of(tlb, dma);
    record->ready = iom_max_u64(record->ready, from);
    iom_fifo_push(&tlb->replays, &dma->msg);
}

// An answer has come in vain. Under a storm of invalidations it might never come in time.
static void lose_patience(struct iom_device_tlb *tlb, struct iom_device_request *record)
{
    if (record->restarts == IOM_DEVICE_TLB_PATIENCE || ++record->restarts != IOM_DEVICE_TLB_PATIENCE)
        return;
    tlb->starving++;
    tlb->stats.starved++;
}

/// An answer and what it means for those who waited for it.
struct answer {
    const struct iom_xlate *x;
    bool squashed; ///< an invalidation came in between
    bool usable;   ///< tag and leaf hold
    uint8_t asked; ///< permissions
    struct iom_tag tag;
    struct iom_leaf leaf;
};

static void serve(struct iom_device_tlb *tlb, struct iom_dma *dma, const struct answer *answer, iom_cycle now)
{
    // One who joined lately may still be in its look-up.
    iom_cycle when = iom_max_u64(iom_device_request_of(tlb, dma)->ready, now);
    uint8_t needed = needed_permissions(&dma->x);
    if (answer->squashed) {
        lose_patience(tlb, iom_device_request_of(tlb, dma));
        look_up_again(tlb, dma, now);
    } else if (answer->usable && suffices(answer->leaf.permissions, needed))
        use(tlb, dma, &answer->tag, &answer->leaf, when, now);
    else if (answer->x->outcome == IOM_OUTCOME_INTERRUPT || answer->x->outcome == IOM_OUTCOME_MRIF)
        go_untranslated(tlb, dma, when, now); // "untranslated access only"
    else if (!suffices(answer->asked, needed))
        look_up_again(tlb, dma, now + tlb->unit.period); // it joined one that asked for less
    else
        refuse(tlb, dma, answer->x, when, now);
}

static bool is_squashed(const struct iom_device_tlb *tlb, const struct iom_miss *miss,
                        const struct iom_device_translation *translation, const struct answer *answer)
{
    if (!tlb->config.squash)
        return false;
    return miss->poisoned || (answer->usable && translation->stale &&
                              iom_device_overlaps(answer->tag.address, answer->tag.size_log2,
                                                  translation->stale_first, translation->stale_last));
}

void iom_device_tlb_answered(struct iom_device_tlb *tlb, struct iom_dma *request, iom_cycle now)
{
    int32_t index = (int32_t)request->cookie;
    struct iom_miss miss = tlb->misses.entries[index];
    struct answer answer = {.x = &request->x, .asked = tlb->translations[index].asked};
    answer.usable = entry_of(tlb, request, &answer.tag, &answer.leaf);
    answer.squashed = is_squashed(tlb, &miss, &tlb->translations[index], &answer);
    tlb->stats.squashed += answer.squashed && !miss.poisoned; // the others were counted when poisoned
    iom_histogram_add(&tlb->stats.translation_latency, now - request->issued);
    iom_miss_table_release(&tlb->misses, index);
    tlb->changes++;

    // The entry stands on the translation and on the context by which the IOMMU found it.
    struct iom_tracker *tracker = tlb->config.tracker;
    if (tracker != NULL && answer.usable)
        answer.leaf.node = iom_tracker_join(tracker, request->used, request->used_context);
    if (answer.usable && !answer.squashed)
        fill(tlb, &answer.tag, &answer.leaf, now);
    serve(tlb, miss.primary, &answer, now);
    for (struct iom_msg *msg = miss.first == NULL ? NULL : &miss.first->msg; msg != NULL;) {
        struct iom_msg *following = msg->next;
        serve(tlb, iom_device_dma(msg), &answer, now);
        msg = following;
    }
    if (tracker != NULL) {
        if (answer.usable)
            iom_tracker_release(tracker, answer.leaf.node);
        iom_tracker_answered(tracker, now, request);
    }
    iom_msg_release(&request->msg);
}
