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

/// True if most of the first pairs agree when the sequences begin at `g` and `h`.
static bool agree_at(const struct iom_import *import, const struct sequence *guest, uint32_t g,
                     const struct sequence *host, uint32_t h, same_event same)
{
    enum { PROBE = 8 };
    uint32_t probe = (uint32_t)iom_min_u64(PROBE, iom_min_u64(guest->count - g, host->count - h));
    uint32_t agreeing = 0;
    for (uint32_t i = 0; i < probe; i++)
        agreeing += same(&import->guest[guest->index[g + i]], &import->host[host->index[h + i]]);
    return probe != 0 && agreeing * 4 >= probe * 3;
}

/// Finds where to begin: usually at the first line of both; else one side began later.
static void find_start(const struct iom_import *import, const struct sequence *guest,
                       const struct sequence *host, same_event same, uint32_t *g, uint32_t *h)
{
    *g = 0;
    *h = 0;
    for (uint32_t i = 0; i < host->count; i++) {
        if (agree_at(import, guest, 0, host, i, same)) {
            *h = i;
            return;
        }
    }
    for (uint32_t i = 1; i < guest->count; i++) {
        if (agree_at(import, guest, i, host, 0, same)) {
            *g = i;
            return;
        }
    }
}

/// Pairs in order, allowing neighbours to swap and lines to be missing. Returns the number of pairs.
static uint32_t pair(struct iom_import *import, const struct sequence *guest, const struct sequence *host,
                     same_event same, bool *used)
{
    uint32_t g;
    uint32_t first;
    uint32_t pairs = 0;
    find_start(import, guest, host, same, &g, &first);
    uint32_t farthest = first;
    for (; g < guest->count; g++) {
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
    return pairs;
}

static bool select_guest(const struct iom_import *import, unsigned kinds, struct sequence *sequence)
{
    sequence->count = 0;
    sequence->index = malloc((import->guest_count + (size_t)1) * sizeof *sequence->index);
    for (uint32_t i = 0; sequence->index != NULL && i < import->guest_count; i++)
        if (kinds & 1u << import->guest[i].kind)
            sequence->index[sequence->count++] = i;
    return sequence->index != NULL;
}

static bool select_host(const struct iom_import *import, enum iom_host_kind kind,
                        enum iom_invalidation_form form, struct sequence *sequence)
{
    sequence->count = 0;
    sequence->index = malloc((import->host_count + (size_t)1) * sizeof *sequence->index);
    for (uint32_t i = 0; sequence->index != NULL && i < import->host_count; i++)
        if (import->host[i].kind == kind && (kind != IOM_HOST_INVALIDATE || import->host[i].form == form))
            sequence->index[sequence->count++] = i;
    return sequence->index != NULL;
}

static bool pair_kinds(struct iom_import *import, unsigned guest_kinds, enum iom_host_kind host_kind,
                       enum iom_invalidation_form form, same_event same, struct iom_trace_error *error)
{
    enum { FEW = 8 };
    struct sequence guest = {0};
    struct sequence host = {0};
    bool *used = NULL;
    bool good = select_guest(import, guest_kinds, &guest) && select_host(import, host_kind, form, &host);
    if (good)
        used = calloc(host.count + (size_t)1, sizeof *used);
    good = used != NULL || iom_trace_fail(error, "out of memory");
    bool counted = form == IOM_INVALIDATION_COUNTED && host_kind == IOM_HOST_INVALIDATE;
    if (good && host.count != 0 && (!counted || guest.count == host.count)) {
        uint32_t pairs = pair(import, &guest, &host, same, used);
        uint32_t fewer = guest.count < host.count ? guest.count : host.count;
        if (fewer >= FEW && pairs < fewer / 2)
            good = iom_trace_fail(error,
                                  "the guest and the host log do not belong together: of %" PRIu32
                                  " guest and %" PRIu32 " host commands only %" PRIu32
                                  " agree; give two logs of the same run and phase",
                                  guest.count, host.count, pairs);
    }
    free(guest.index);
    free(host.index);
    free(used);
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

bool iom_import_align(struct iom_import *import, struct iom_trace_error *error)
{
    unsigned unmaps = 1u << IOM_GUEST_UNMAP;
    unsigned maps = 1u << IOM_GUEST_MAP;
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
    for (uint32_t i = 0; i < import->guest_count; i++)
        iom_count(import, IOM_IMPORT_deferred_unmaps, import->guest[i].deferred);
    return true;
}
