// SPDX-License-Identifier: Apache-2.0
//
// Anchors: which host event a guest event is the cause of. The two clocks are different ones, but the
// order of commands is the same on both sides:
//
//   VT-d          n-th qi_submit (without pc_inv)  =  n-th vtd_inv_desc (without wait)
//   SMMUv3        unmap                            =  range invalidation that begins at its address
//   virtio-iommu  map, unmap                       =  the device model's map, unmap request
//   AMD-Vi        n-th map or unmap, or n-th unmap =  n-th page invalidation, if the numbers agree
//
// Both sides of a pair are compared where the logs allow it, so logs that lost lines or that began at
// different moments still pair, and logs that do not belong together are refused.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/import_internal.h"

/// How far two corresponding lines may be apart in order (several processors submit at once).
enum { WINDOW = 256 };
/// How many guest events before an invalidation an unmap it covers may lie.
enum { LOOK_BACK = 64 };

struct sequence {
    uint32_t *index;
    uint32_t count;
};

typedef bool (*same_event)(const struct iom_guest_event *guest, const struct iom_host_event *host);

static bool same_descriptor(const struct iom_guest_event *guest, const struct iom_host_event *host)
{
    return guest->iova == host->iova && guest->address == host->address;
}

static bool same_start(const struct iom_guest_event *guest, const struct iom_host_event *host)
{
    return guest->iova == host->iova;
}

static bool same_mapping(const struct iom_guest_event *guest, const struct iom_host_event *host)
{
    return guest->iova == host->iova && guest->address == host->address;
}

static bool same_position(const struct iom_guest_event *guest, const struct iom_host_event *host)
{
    (void)guest;
    (void)host;
    return true;
}

/// How many of up to `most` pairs agree, in thousandths, when the sequences begin at `g` and `h`.
static uint32_t agreement(const struct iom_import *import, const struct sequence *guest, uint32_t g,
                          const struct sequence *host, uint32_t h, same_event same, uint32_t most)
{
    uint32_t pairs = (uint32_t)iom_min_u64(most, iom_min_u64(guest->count - g, host->count - h));
    uint32_t agreeing = 0;
    for (uint32_t i = 0; i < pairs; i++)
        agreeing += same(&import->guest[guest->index[g + i]], &import->host[host->index[h + i]]);
    return pairs == 0 ? 0 : (uint32_t)((uint64_t)agreeing * 1000 / pairs);
}

/// Finds where to begin: usually at the first line of both; else one side began later. Drivers reuse
/// addresses in bursts that look alike, so of the places where a few lines agree the one where most of a
/// long stretch does is taken.
static void find_start(const struct iom_import *import, const struct sequence *guest,
                       const struct sequence *host, same_event same, uint32_t *best_g, uint32_t *best_h)
{
    enum { PROBE = 8, PROBE_AGREES = 750, STRETCH = 8192, TRIES = 512 };
    uint32_t best = agreement(import, guest, 0, host, 0, same, STRETCH);
    unsigned tries = 0;
    *best_g = 0;
    *best_h = 0;
    for (uint32_t i = 1; i < guest->count + (uint64_t)host->count && best < 1000 && tries < TRIES; i++) {
        uint32_t g = i < host->count ? 0 : i - host->count;
        uint32_t h = i < host->count ? i : 0;
        if (g >= guest->count || agreement(import, guest, g, host, h, same, PROBE) < PROBE_AGREES)
            continue;
        tries++;
        uint32_t found = agreement(import, guest, g, host, h, same, STRETCH);
        if (found > best) {
            best = found;
            *best_g = g;
            *best_h = h;
        }
    }
}

/// What lies before the first or behind the last pair on one side only was recorded while the other
/// recorder was off. Guest events before are the past of the host log; host events are dropped, for no
/// guest event can explain them.
static void note_overhang(struct iom_import *import, const struct sequence *guest, uint32_t g,
                          const struct sequence *host, uint32_t first, const bool *used)
{
    if (g > 0)
        import->guest_before = guest->index[g - 1] + 1;
    if (first > 0)
        import->host_begin = host->index[first - 1] + 1;
    uint32_t end = host->count;
    while (end > 0 && !used[end - 1])
        end--;
    if (end > 0 && end < host->count && import->guest[guest->index[guest->count - 1]].anchor != IOM_NO_EVENT)
        import->host_end = host->index[end];
}

/// Pairs in order, allowing neighbours to swap and lines to be missing. Returns the number of pairs.
static uint32_t pair(struct iom_import *import, const struct sequence *guest, const struct sequence *host,
                     same_event same, bool *used)
{
    uint32_t start;
    uint32_t first;
    uint32_t pairs = 0;
    find_start(import, guest, host, same, &start, &first);
    uint32_t begin = first;
    uint32_t farthest = first;
    for (uint32_t g = start; g < guest->count; g++) {
        struct iom_guest_event *event = &import->guest[guest->index[g]];
        while (first < host->count && (used[first] || farthest > first + WINDOW))
            first++;
        for (uint32_t h = first; h < host->count && h < first + WINDOW; h++) {
            if (used[h] || !same(event, &import->host[host->index[h]]))
                continue;
            used[h] = true;
            event->anchor = host->index[h];
            farthest = h > farthest ? h : farthest;
            pairs++;
            break;
        }
    }
    iom_count(import, IOM_IMPORT_paired_invalidations, pairs);
    if (pairs != 0)
        note_overhang(import, guest, start, host, begin, used);
    return pairs;
}

static bool select_guest(const struct iom_import *import, unsigned kinds, struct sequence *sequence)
{
    sequence->count = 0;
    sequence->index = calloc(import->guest_count + (size_t)1, sizeof *sequence->index);
    for (uint32_t i = 0; sequence->index != NULL && i < import->guest_count; i++)
        if (kinds & 1u << import->guest[i].kind)
            sequence->index[sequence->count++] = i;
    return sequence->index != NULL;
}

static bool select_host(const struct iom_import *import, enum iom_host_kind kind,
                        enum iom_invalidation_form form, struct sequence *sequence)
{
    sequence->count = 0;
    sequence->index = calloc(import->host_count + (size_t)1, sizeof *sequence->index);
    for (uint32_t i = 0; sequence->index != NULL && i < import->host_count; i++)
        if (import->host[i].kind == kind && (kind != IOM_HOST_INVALIDATE || import->host[i].form == form))
            sequence->index[sequence->count++] = i;
    return sequence->index != NULL;
}

/// Pairs two sequences if there is something to pair; refuses logs that do not belong together.
static bool pair_checked(struct iom_import *import, const struct sequence *guest, const struct sequence *host,
                         same_event same, struct iom_trace_error *error)
{
    enum { FEW = 8 };
    if (host->count == 0 || (same == same_position && guest->count != host->count))
        return true;
    bool *used = calloc(host->count, sizeof *used);
    if (used == NULL)
        return iom_trace_fail(error, "out of memory");
    uint32_t pairs = pair(import, guest, host, same, used);
    free(used);
    uint32_t fewer = guest->count < host->count ? guest->count : host->count;
    if (fewer < FEW || pairs >= fewer / 2)
        return true;
    return iom_trace_fail(error,
                          "the guest and the host log do not belong together: of %" PRIu32
                          " guest and %" PRIu32 " host commands only %" PRIu32
                          " agree; give two logs of the same run and phase",
                          guest->count, host->count, pairs);
}

static bool pair_kinds(struct iom_import *import, unsigned guest_kinds, enum iom_host_kind host_kind,
                       enum iom_invalidation_form form, same_event same, struct iom_trace_error *error)
{
    struct sequence guest = {0};
    struct sequence host = {0};
    bool good = select_guest(import, guest_kinds, &guest) && select_host(import, host_kind, form, &host);
    if (!good)
        iom_trace_fail(error, "out of memory");
    good = good && pair_checked(import, &guest, &host, same, error);
    free(guest.index);
    free(host.index);
    return good;
}

/// Range of a page-selective VT-d IOTLB or PASID-based IOTLB descriptor (specification 6.5.2.3 and
/// 6.5.2.4: type in bits 3:0, granularity in bits 5:4, address mask in bits 5:0 of the second word).
static bool page_range(const struct iom_guest_event *event, uint64_t *first, uint64_t *last)
{
    enum { TYPE_IOTLB = 2, TYPE_PASID_IOTLB = 6, GRANULARITY_PAGE = 3 };
    unsigned type = (unsigned)(event->iova & 0xf);
    if ((type != TYPE_IOTLB && type != TYPE_PASID_IOTLB) || (event->iova >> 4 & 3) != GRANULARITY_PAGE)
        return false;
    unsigned size_log2 = IOM_PAGE_LOG2 + (unsigned)(event->address & 0x3f);
    *first = iom_align_down(event->address, size_log2);
    *last = size_log2 >= 64 ? UINT64_MAX : *first + ((UINT64_C(1) << size_log2) - 1);
    return true;
}

/// Gives unmaps the anchor of the queued invalidation that follows them and covers them; an unmap
/// without one was left to a later flush. A domain-selective invalidation counts only for an unmap of
/// several pages right before it (that is how the driver flushes ranges too large for one command).
static void anchor_unmaps(struct iom_import *import)
{
    for (uint32_t i = 0; i < import->guest_count; i++)
        import->guest[i].deferred = import->guest[i].kind == IOM_GUEST_UNMAP;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        const struct iom_guest_event *command = &import->guest[i];
        uint64_t first = 0;
        uint64_t last = 0;
        if (command->kind != IOM_GUEST_INVALIDATE)
            continue;
        bool pages = page_range(command, &first, &last);
        for (uint32_t back = 1; back <= LOOK_BACK && back <= i; back++) {
            struct iom_guest_event *unmap = &import->guest[i - back];
            if (unmap->kind != IOM_GUEST_UNMAP || !unmap->deferred)
                continue;
            bool covered = pages ? unmap->iova >= first && unmap->iova <= last
                                 : back == 1 && unmap->bytes > IOM_PAGE_BYTES && unmap->cpu == command->cpu;
            if (covered) {
                unmap->deferred = false;
                unmap->anchor = command->anchor;
            }
        }
    }
}

static void drop_overhang(struct iom_import *import)
{
    for (uint32_t i = 0; i < import->host_count; i++) {
        struct iom_host_event *event = &import->host[i];
        if ((i >= import->host_begin && i < import->host_end) || event->drop)
            continue;
        event->drop = event->kind == IOM_HOST_TRANSLATE || event->kind == IOM_HOST_FAULT;
        iom_count(import, IOM_IMPORT_dropped_outside, event->drop);
    }
}

bool iom_import_align(struct iom_import *import, struct iom_trace_error *error)
{
    unsigned unmaps = 1u << IOM_GUEST_UNMAP;
    unsigned maps = 1u << IOM_GUEST_MAP;
    import->host_end = import->host_count;
    if (import->has_host) {
        if (!pair_kinds(import, 1u << IOM_GUEST_INVALIDATE, IOM_HOST_INVALIDATE, IOM_INVALIDATION_DESCRIPTOR,
                        same_descriptor, error) ||
            !pair_kinds(import, unmaps, IOM_HOST_INVALIDATE, IOM_INVALIDATION_RANGE, same_start, error) ||
            !pair_kinds(import, maps, IOM_HOST_MAP, IOM_INVALIDATION_RANGE, same_mapping, error) ||
            !pair_kinds(import, maps | unmaps, IOM_HOST_INVALIDATE, IOM_INVALIDATION_COUNTED, same_position,
                        error) ||
            !pair_kinds(import, unmaps, IOM_HOST_INVALIDATE, IOM_INVALIDATION_COUNTED, same_position, error))
            return false;
    }
    if (import->has_queue_lines)
        anchor_unmaps(import);
    drop_overhang(import);
    for (uint32_t i = 0; i < import->guest_count; i++)
        iom_count(import, IOM_IMPORT_deferred_unmaps, import->guest[i].deferred);
    return true;
}
