// SPDX-License-Identifier: Apache-2.0
//
// Which device each map and unmap belongs to. iommu:map and iommu:unmap name none, so, in this order:
//
//   1. the dma:* line after it that covers it (done while reading, import_guest.c)
//   2. the domain pointer of a kprobe line before it, if another event with that pointer is known
//   3. a host translation from its IOVA to its physical address
//   4. the device last attached to a domain (vfio: attach, then map)
//   5. --device, or the only device there is
//
// An unmap that none of the first two settles takes the device on whose behalf its range is mapped.
#include <string.h>

#include "traffic/import_internal.h"

/// Pages of a map looked up among the host's translations.
enum { MOST_PAGES = 512 };

static uint64_t pair_key(uint64_t iova, uint64_t address)
{
    return (iova >> IOM_PAGE_LOG2) * UINT64_C(0x9e3779b97f4a7c15) ^ address >> IOM_PAGE_LOG2;
}

static bool is_mapping(const struct iom_guest_event *event)
{
    return event->kind == IOM_GUEST_MAP || event->kind == IOM_GUEST_UNMAP;
}

/// Learns pointer -> device from known events and applies it to unknown ones, in order of time: a
/// pointer may be freed and used for another domain.
static bool apply_cookies(struct iom_import *import, struct iom_table *cookies)
{
    for (uint32_t i = 0; i < import->guest_count; i++) {
        struct iom_guest_event *event = &import->guest[i];
        if (!is_mapping(event) || event->cookie == 0)
            continue;
        if (event->device != IOM_TRACE_NO_DEVICE) {
            if (iom_table_put(cookies, event->cookie, event->device) == NULL)
                return false;
            continue;
        }
        const uint64_t *device = iom_table_get(cookies, event->cookie);
        if (device != NULL)
            event->device = (uint32_t)*device;
    }
    return true;
}

static bool learn_pairs(const struct iom_import *import, struct iom_table *pairs)
{
    for (uint32_t i = 0; i < import->host_count; i++) {
        const struct iom_host_event *event = &import->host[i];
        if (event->kind != IOM_HOST_TRANSLATE)
            continue;
        if (iom_table_put(pairs, pair_key(event->iova, event->address), event->device) == NULL)
            return false;
    }
    return true;
}

static uint32_t translated_for(const struct iom_guest_event *event, const struct iom_table *pairs)
{
    uint64_t bytes = iom_min_u64(event->bytes, (uint64_t)MOST_PAGES * IOM_PAGE_BYTES);
    for (uint64_t at = 0; at < bytes; at += IOM_PAGE_BYTES) {
        const uint64_t *device = iom_table_get(pairs, pair_key(event->iova + at, event->address + at));
        if (device != NULL)
            return (uint32_t)*device;
    }
    return IOM_TRACE_NO_DEVICE;
}

/// Keeps `live` (space = index of the device) at what the known events up to this one have mapped.
static bool follow(struct iom_import *import, struct iom_ranges *live, const struct iom_guest_event *event)
{
    struct iom_range range = {.first = event->iova, .last = event->iova + (event->bytes - 1)};
    // An unmap of nobody known may concern anybody.
    for (uint32_t i = 0; event->device == IOM_TRACE_NO_DEVICE && i < import->device_count; i++)
        if (event->kind == IOM_GUEST_UNMAP && !iom_ranges_remove(live, i, range.first, range.last))
            return false;
    if (event->device == IOM_TRACE_NO_DEVICE)
        return true;
    range.space = iom_import_device(import, event->device);
    return range.space != IOM_NO_EVENT && iom_ranges_remove(live, range.space, range.first, range.last) &&
           (event->kind != IOM_GUEST_MAP || iom_ranges_insert(live, &range));
}

/// A device that has the page mapped already cannot be meant (several devices map the page of their
/// interrupt messages at the same addresses).
static bool apply_translations(struct iom_import *import, struct iom_table *pairs, struct iom_ranges *live)
{
    if (live == NULL || !learn_pairs(import, pairs))
        return false;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        struct iom_guest_event *event = &import->guest[i];
        if (!is_mapping(event))
            continue;
        if (event->kind == IOM_GUEST_MAP && event->device == IOM_TRACE_NO_DEVICE) {
            uint32_t device = translated_for(event, pairs);
            if (device != IOM_TRACE_NO_DEVICE &&
                iom_ranges_find(live, iom_import_device(import, device), event->iova) == NULL)
                event->device = device;
        }
        if (!follow(import, live, event))
            return false;
    }
    return true;
}

static void apply_attachments(struct iom_import *import)
{
    uint32_t latest = IOM_TRACE_NO_DEVICE;
    if (import->options.device != IOM_TRACE_NO_DEVICE)
        latest = import->options.device;
    else if (import->device_count == 1)
        latest = import->devices[0].id;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        struct iom_guest_event *event = &import->guest[i];
        if (event->kind == IOM_GUEST_ATTACH)
            latest = event->device;
        else if (event->kind == IOM_GUEST_MAP && event->device == IOM_TRACE_NO_DEVICE)
            event->device = latest;
    }
}

/// The device that has `iova` mapped, if only one has.
static uint32_t owner(struct iom_import *import, struct iom_ranges *live, uint64_t iova)
{
    uint32_t found = IOM_TRACE_NO_DEVICE;
    for (uint32_t i = 0; i < import->device_count; i++) {
        if (iom_ranges_find(live, i, iova) == NULL)
            continue;
        if (found != IOM_TRACE_NO_DEVICE)
            return IOM_TRACE_NO_DEVICE;
        found = import->devices[i].id;
    }
    return found;
}

/// Follows the mappings of each device through the guest log to settle the remaining unmaps.
static bool apply_mappings(struct iom_import *import, struct iom_ranges *live)
{
    uint32_t only = import->device_count == 1 ? import->devices[0].id : import->options.device;
    uint32_t latest = only;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        struct iom_guest_event *event = &import->guest[i];
        if (event->kind == IOM_GUEST_ATTACH)
            latest = event->device;
        if (!is_mapping(event))
            continue;
        if (event->kind == IOM_GUEST_UNMAP && event->device == IOM_TRACE_NO_DEVICE) {
            event->device = owner(import, live, event->iova);
            if (event->device == IOM_TRACE_NO_DEVICE)
                event->device = latest;
        }
        if (!follow(import, live, event))
            return false;
    }
    return true;
}

static void drop_others(struct iom_import *import)
{
    uint32_t wanted = import->options.device;
    if (wanted == IOM_TRACE_NO_DEVICE)
        return;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        struct iom_guest_event *event = &import->guest[i];
        event->drop = (is_mapping(event) || event->kind == IOM_GUEST_ATTACH) && event->device != wanted;
        iom_count(import, IOM_IMPORT_dropped_other_devices, event->drop);
    }
    for (uint32_t i = 0; i < import->host_count; i++) {
        struct iom_host_event *event = &import->host[i];
        event->drop =
            (event->kind == IOM_HOST_TRANSLATE || event->kind == IOM_HOST_FAULT) && event->device != wanted;
        iom_count(import, IOM_IMPORT_dropped_other_devices, event->drop);
    }
}

static bool all_steps(struct iom_import *import, struct iom_table *cookies, struct iom_table *pairs,
                      struct iom_ranges *live[2])
{
    if (!apply_cookies(import, cookies) || !apply_translations(import, pairs, live[0]) ||
        !apply_cookies(import, cookies))
        return false;
    apply_attachments(import);
    if (live[1] == NULL || !apply_mappings(import, live[1]))
        return false;
    for (uint32_t i = 0; i < import->guest_count; i++)
        if (import->guest[i].kind == IOM_GUEST_MAP && import->guest[i].device == IOM_TRACE_NO_DEVICE)
            iom_count(import, IOM_IMPORT_unattributed_maps, 1);
    drop_others(import);
    return true;
}

bool iom_import_attribute(struct iom_import *import, struct iom_trace_error *error)
{
    struct iom_table cookies = {0};
    struct iom_table pairs = {0};
    struct iom_ranges *live[2] = {iom_ranges_new(), iom_ranges_new()};
    uint32_t wanted = import->options.device;
    bool good = wanted == IOM_TRACE_NO_DEVICE || iom_import_device(import, wanted) != IOM_NO_EVENT;
    good = good && all_steps(import, &cookies, &pairs, live);
    iom_table_free(&cookies);
    iom_table_free(&pairs);
    iom_ranges_free(live[0]);
    iom_ranges_free(live[1]);
    return good || iom_trace_fail(error, "out of memory");
}
