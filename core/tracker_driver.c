// SPDX-License-Identifier: Apache-2.0
//
// What completions and the driver's reports mean for the changes before them, and who owns a page. See
// tracker.h.
#include "core/tracker_internal.h"

// ---- completions and reports -----------------------------------------------------------------------------

void iom_tracker_completed(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu)
{
    if (tracker == NULL)
        return;
    iom_track_enter(tracker, now);
    uint32_t count = tracker->awaiting_count, kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = tracker->awaiting[i];
        struct iom_track_obligation *obligation = &tracker->obligations[index];
        if (obligation->iommu != iommu || obligation->created >= now ||
            (tracker->driver && obligation->removed >= now)) {
            tracker->awaiting[kept++] = index;
            continue;
        }
        obligation->completed = iom_min_u64(obligation->completed, now);
        if (!tracker->driver)
            iom_track_report(tracker, index, now);
        iom_track_let_go(tracker, index);
    }
    tracker->awaiting_count = kept;
}

void iom_tracker_expect_driver(struct iom_tracker *tracker)
{
    if (tracker != NULL)
        tracker->driver = true;
}

// Contexts have no range that a range could be compared with (`whole`); their change is reported as
// "everything".
static bool report_concerns(const struct iom_track_reported *report, uint32_t domain, uint32_t stream,
                            uint64_t first, uint64_t last, bool whole)
{
    bool everything = report->first == 0 && report->last == UINT64_MAX;
    if (report->stream != IOM_ANY_STREAM && stream != IOM_ANY_STREAM && report->stream != stream)
        return false;
    if (domain != report->domain && domain != IOM_TRACK_ANY_DOMAIN)
        return false;
    return everything || (!whole && first <= report->last && last >= report->first);
}

static void report_list(struct iom_tracker *tracker, uint32_t region, const struct iom_track_reported *report)
{
    for (uint32_t index = tracker->regions[region], next; index != 0; index = next) {
        const struct iom_track_obligation *at = &tracker->obligations[index];
        next = at->next;
        if (at->iommu == report->iommu && at->created < report->at && at->copies != 0 &&
            at->origin == IOM_WRITE_SOFTWARE &&
            report_concerns(report, at->domain, at->stream, at->first, at->last, at->whole))
            iom_track_report_domain(tracker, index, report->domain, report->at);
    }
}

void iom_tracker_reported(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu, uint32_t domain,
                          uint32_t stream, uint64_t first, uint64_t last)
{
    if (tracker == NULL)
        return;
    iom_track_enter(tracker, now);
    const struct iom_track_reported report = {now, first, last, domain, stream, iommu};
    tracker->reports[tracker->report_count++ % IOM_TRACK_REPORTS] = report;
    uint64_t regions = (last >> IOM_TRACK_REGION_LOG2) - (first >> IOM_TRACK_REGION_LOG2);
    report_list(tracker, IOM_TRACK_WIDE, &report);
    for (uint64_t i = 0; i <= regions && regions < IOM_TRACK_REGIONS; i++)
        report_list(tracker, iom_track_region(domain, first + (i << IOM_TRACK_REGION_LOG2)), &report);
    for (uint32_t i = 0; i < IOM_TRACK_REGIONS && regions >= IOM_TRACK_REGIONS; i++)
        report_list(tracker, i, &report);
}

// A change of which no copy is known (only walks or DMA under way) is reported by whatever report names
// the request.
iom_cycle iom_track_reported_at(const struct iom_tracker *tracker, uint32_t obligation, uint32_t domain,
                                uint32_t stream, uint64_t address)
{
    const struct iom_track_obligation *at = &tracker->obligations[obligation];
    iom_cycle found = at->reported;
    if (found != IOM_NEVER || at->origin != IOM_WRITE_SOFTWARE)
        return found;
    uint64_t kept = iom_min_u64(tracker->report_count, IOM_TRACK_REPORTS);
    for (uint64_t back = 1; back <= kept; back++) {
        const struct iom_track_reported *report =
            &tracker->reports[(tracker->report_count - back) % IOM_TRACK_REPORTS];
        if (report->at <= at->created)
            break;
        if (report->iommu == at->iommu &&
            report_concerns(report, domain, stream, address, address, at->whole))
            found = report->at;
    }
    return found;
}

// ---- owners of pages -------------------------------------------------------------------------------------

/// Owners of a page that are remembered, the latest first: enough to tell a page that is back with its owner.
#define OWNERS 3u
/// Words of a page in the map: since when [OWNERS], who [OWNERS], is it free?
enum { PAGE_SINCE = 0, PAGE_OWNER = OWNERS, PAGE_FREE = 2 * OWNERS };
_Static_assert(PAGE_FREE < IOM_TRACK_MAP_WORDS, "a page fits");

static void take_page(struct iom_track_pair *page, uint32_t owner, iom_cycle now)
{
    // A page that was free in between still comes from its last owner, and goes on with it.
    page->value[PAGE_FREE] = owner == 0;
    if (owner == 0 || page->value[PAGE_OWNER] == owner)
        return;
    for (uint32_t i = OWNERS - 1; i != 0; i--) {
        page->value[PAGE_SINCE + i] = page->value[PAGE_SINCE + i - 1];
        page->value[PAGE_OWNER + i] = page->value[PAGE_OWNER + i - 1];
    }
    page->value[PAGE_SINCE] = now;
    page->value[PAGE_OWNER] = owner;
}

void iom_tracker_owner(struct iom_tracker *tracker, iom_cycle now, uint64_t first, uint64_t last,
                       uint32_t owner)
{
    if (tracker == NULL)
        return;
    iom_track_enter(tracker, now);
    for (uint64_t page = first >> IOM_PAGE_LOG2; page <= last >> IOM_PAGE_LOG2; page++)
        take_page(iom_track_map_add(&tracker->owners, page), owner, now);
}

uint32_t iom_track_new_owner(const struct iom_tracker *tracker, uint64_t address, iom_cycle created)
{
    const struct iom_track_pair *page = iom_track_map_find(&tracker->owners, address >> IOM_PAGE_LOG2);
    if (page == NULL || page->value[PAGE_FREE] != 0)
        return 0;
    for (uint32_t i = 0; i < OWNERS; i++) {
        if (page->value[PAGE_SINCE + i] < created)
            return page->value[PAGE_OWNER + i] == page->value[PAGE_OWNER] ? 0
                                                                          : (uint32_t)page->value[PAGE_OWNER];
    }
    return (uint32_t)page->value[PAGE_OWNER];
}
