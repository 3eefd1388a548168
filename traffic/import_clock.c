// SPDX-License-Identifier: Apache-2.0
//
// Host time as guest time. The clocks are tied wherever a guest event's host event is known
// (import_align.c); between two ties the host's clock goes on from the first and never passes the
// second. Without any tie one offset is estimated for the whole log.
#include <stdlib.h>

#include "traffic/import_internal.h"

#define NO_OFFSET INT64_MAX

struct iom_import_clock {
    const struct iom_import *import;
    int64_t *offset;    ///< per host event: host time - guest time if it is a tie, else NO_OFFSET
    uint32_t *next_tie; ///< per host event: the next tie at or after it, or IOM_NO_EVENT
    uint64_t host_ns;   ///< last tie passed
    uint64_t guest_ns;
};

static int compare_offsets(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/// How much later than its map event the first use of a page came: the tenth percentile over all
/// pages. (The least of them could be a page that was mapped before the capture, too.)
static bool estimate_offset(const struct iom_import *import, struct iom_page_events *events, int64_t *offset)
{
    struct iom_table seen = {0};
    int64_t *offsets = malloc((import->host_count + (size_t)1) * sizeof *offsets);
    uint32_t count = 0;
    bool good = offsets != NULL;
    for (uint32_t i = 0; good && i < import->host_count; i++) {
        const struct iom_host_event *h = &import->host[i];
        uint64_t key = (h->iova >> IOM_PAGE_LOG2) * UINT64_C(0x9e3779b97f4a7c15) ^ h->device;
        if (h->kind != IOM_HOST_TRANSLATE || iom_table_get(&seen, key) != NULL)
            continue;
        good = iom_table_put(&seen, key, 1) != NULL;
        struct iom_found_events found = iom_page_events_find(events, h, 0);
        if (found.map != IOM_NO_EVENT && found.map == found.first)
            offsets[count++] = (int64_t)(h->time_ns - import->guest[found.map].time_ns);
    }
    if (good && count != 0) {
        qsort(offsets, count, sizeof *offsets, compare_offsets);
        *offset = offsets[count / 10];
    } else if (good && import->host_count != 0 && import->guest_count != 0) {
        *offset = (int64_t)(import->host[0].time_ns - import->guest[0].time_ns);
    }
    free(offsets);
    iom_table_free(&seen);
    return good;
}

/// Sets the ties, leaving out those whose guest times would run backwards. Returns the first.
static uint32_t set_ties(struct iom_import_clock *clock)
{
    const struct iom_import *import = clock->import;
    for (uint32_t i = 0; i < import->host_count; i++)
        clock->offset[i] = NO_OFFSET;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        const struct iom_guest_event *g = &import->guest[i];
        if (g->anchor != IOM_NO_EVENT)
            clock->offset[g->anchor] = (int64_t)(import->host[g->anchor].time_ns - g->time_ns);
    }
    uint32_t tie = IOM_NO_EVENT;
    uint64_t earliest = UINT64_MAX;
    for (uint32_t i = import->host_count; i-- > 0;) {
        uint64_t time = import->host[i].time_ns - (uint64_t)clock->offset[i];
        if (clock->offset[i] != NO_OFFSET && time > earliest)
            clock->offset[i] = NO_OFFSET;
        if (clock->offset[i] != NO_OFFSET) {
            tie = i;
            earliest = time;
        }
        clock->next_tie[i] = tie;
    }
    return tie;
}

struct iom_import_clock *iom_import_clock_new(const struct iom_import *import, struct iom_page_events *events)
{
    struct iom_import_clock *clock = calloc(1, sizeof *clock);
    if (clock == NULL)
        return NULL;
    clock->import = import;
    clock->offset = malloc((import->host_count + (size_t)1) * sizeof *clock->offset);
    clock->next_tie = malloc((import->host_count + (size_t)1) * sizeof *clock->next_tie);
    bool good = clock->offset != NULL && clock->next_tie != NULL;
    if (good && import->host_count != 0) {
        uint32_t first = set_ties(clock);
        int64_t offset = 0;
        if (first == IOM_NO_EVENT)
            good = estimate_offset(import, events, &offset);
        else
            offset = clock->offset[first];
        clock->host_ns = import->host[first == IOM_NO_EVENT ? 0 : first].time_ns;
        clock->guest_ns = clock->host_ns - (uint64_t)offset;
    }
    if (!good) {
        iom_import_clock_free(clock);
        return NULL;
    }
    return clock;
}

void iom_import_clock_free(struct iom_import_clock *clock)
{
    if (clock == NULL)
        return;
    free(clock->offset);
    free(clock->next_tie);
    free(clock);
}

uint64_t iom_import_clock_guest(struct iom_import_clock *clock, uint32_t index)
{
    uint64_t host_ns = clock->import->host[index].time_ns;
    if (clock->offset[index] != NO_OFFSET) {
        clock->host_ns = host_ns;
        clock->guest_ns = host_ns - (uint64_t)clock->offset[index];
    }
    uint64_t behind = host_ns < clock->host_ns ? clock->host_ns - host_ns : 0;
    uint64_t time = clock->guest_ns + (host_ns > clock->host_ns ? host_ns - clock->host_ns : 0);
    time = time > behind ? time - behind : 0;
    uint32_t next = clock->next_tie[index];
    if (next != IOM_NO_EVENT)
        time = iom_min_u64(time, clock->import->host[next].time_ns - (uint64_t)clock->offset[next]);
    return time;
}
