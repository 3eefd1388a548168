// SPDX-License-Identifier: Apache-2.0
//
// Findings of the hazard tracker and its statistics. See tracker_report.h.
#include "core/tracker_report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tracker_internal.h"
#include "core/unit_stats.h"

// ---- collecting ------------------------------------------------------------------------------------------

void iom_track_find(struct iom_tracker *tracker, const struct iom_finding *finding)
{
    tracker->hazard_findings += finding->severity == IOM_SEVERITY_HAZARD;
    if (tracker->findings_of[finding->kind]++ >= tracker->findings_per_kind)
        return;
    if (tracker->finding_count == tracker->finding_capacity) {
        size_t capacity = tracker->finding_capacity != 0 ? tracker->finding_capacity * 2 : 16;
        struct iom_finding *grown = realloc(tracker->findings, capacity * sizeof *grown);
        if (grown == NULL)
            abort();
        tracker->findings = grown;
        tracker->finding_capacity = capacity;
    }
    tracker->findings[tracker->finding_count++] = *finding;
}

void iom_track_describe(const struct iom_tracker *tracker, uint32_t obligation, struct iom_finding *finding)
{
    finding->created = finding->commanded = finding->completed = finding->reported = IOM_NEVER;
    finding->covered = IOM_NEVER;
    for (unsigned i = 0; i <= IOM_TRACKED_DEVICE_TLB; i++)
        finding->executed[i] = IOM_NEVER;
    if (obligation == 0)
        return;
    const struct iom_track_obligation *at = &tracker->obligations[obligation];
    finding->iommu = at->iommu;
    finding->has_source = true;
    finding->word = at->address;
    finding->word_bytes = at->bytes;
    finding->created = at->created;
    finding->commanded = at->commanded;
    finding->completed = at->completed;
    finding->reported = at->reported;
    memcpy(finding->executed, at->executed, sizeof finding->executed);
    finding->invalidation = at->invalidation;
}

void iom_track_name(const struct iom_track_invalidation *invalidation, struct iom_finding *finding)
{
    if (invalidation == NULL || finding->invalidation != 0)
        return;
    finding->invalidation = invalidation->what.id;
    finding->commanded = invalidation->begun;
    memcpy(finding->executed, invalidation->executed, sizeof finding->executed);
}

size_t iom_tracker_finding_count(const struct iom_tracker *tracker)
{
    return tracker == NULL ? 0 : tracker->finding_count;
}

const struct iom_finding *iom_tracker_finding(const struct iom_tracker *tracker, size_t index)
{
    return &tracker->findings[index];
}

uint64_t iom_tracker_findings_of(const struct iom_tracker *tracker, enum iom_finding_kind kind)
{
    return tracker == NULL ? 0 : tracker->findings_of[kind];
}

uint64_t iom_tracker_hazard_count(const struct iom_tracker *tracker)
{
    return tracker == NULL ? 0 : tracker->hazard_findings;
}

// ---- text ------------------------------------------------------------------------------------------------

const char *iom_finding_kind_name(enum iom_finding_kind kind)
{
    static const char *const names[IOM_FINDING_KINDS] = {
        [IOM_FINDING_WINDOW_USE] = "window use",   [IOM_FINDING_HAZARD] = "hazard",
        [IOM_FINDING_LATE_EFFECT] = "late effect", [IOM_FINDING_MISSING] = "missing invalidation",
        [IOM_FINDING_EXPOSURE] = "exposure",       [IOM_FINDING_LATENT] = "latent stale entry",
        [IOM_FINDING_LOST_DIRTY] = "lost dirty",   [IOM_FINDING_DUPLICATE] = "duplicate",
        [IOM_FINDING_NEEDLESS] = "needless",       [IOM_FINDING_OVER_INVALIDATION] = "over-invalidation",
    };
    return (unsigned)kind < IOM_FINDING_KINDS ? names[kind] : "unknown";
}

const char *iom_tracked_cache_name(uint32_t cache)
{
    static const char *const names[] = {"walk", "context_cache", "pasid_cache", "iotlb", "psc", "device_tlb"};
    return names[cache < IOM_TRACKED_DEVICE_TLB ? cache : IOM_TRACKED_DEVICE_TLB];
}

static const char *outcome_name(uint8_t outcome)
{
    static const char *const names[] = {"no result", "address",       "bypass", "interrupt",
                                        "fault",     "no permission", "retry"};
    return outcome < sizeof names / sizeof names[0] ? names[outcome] : "unknown";
}

/// Text being put together; `length` goes on counting when it is full.
struct line {
    char *text;
    size_t bytes;
    size_t length;
};

static void append(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t used = line->length < line->bytes ? line->length : line->bytes;
    int written =
        vsnprintf(line->bytes != 0 ? line->text + used : NULL, line->bytes - used, format, arguments);
    va_end(arguments);
    line->length += written > 0 ? (size_t)written : 0;
}

static void append_cycle(struct line *line, const char *what, iom_cycle cycle)
{
    if (cycle != IOM_NEVER)
        append(line, ", %s %" PRIu64, what, cycle);
}

static void append_address(struct line *line, uint8_t outcome, uint64_t address)
{
    append(line, "%s", outcome_name(outcome));
    if (outcome == IOM_OUTCOME_ADDRESS || outcome == IOM_OUTCOME_BYPASS)
        append(line, " 0x%" PRIx64, address);
}

static void append_request(struct line *line, const struct iom_finding *finding)
{
    append(line, ": %s of %u bytes at iova 0x%" PRIx64 " by source 0x%x", finding->write ? "write" : "read",
           (unsigned)finding->bytes, finding->iova, (unsigned)finding->source);
    if (finding->has_pasid)
        append(line, " pasid %u", (unsigned)finding->pasid);
    append(line, " (request %" PRIu64 ") got ", finding->request);
    append_address(line, finding->outcome, finding->output);
    append(line, ", tables say ");
    append_address(line, finding->fresh, finding->fresh_output);
    append_cycle(line, "looked up", finding->looked_up);
    append_cycle(line, "visible", finding->visible);
    if (finding->owner != 0)
        append(line, "; the page belongs to owner %u now", (unsigned)finding->owner);
}

static void append_entry(struct line *line, const struct iom_finding *finding)
{
    append(line, "; %s", iom_tracked_cache_name(finding->cache));
    if (finding->cache >= IOM_TRACKED_DEVICE_TLB)
        append(line, "[%u]", (unsigned)(finding->cache - IOM_TRACKED_DEVICE_TLB));
    if (!finding->has_entry)
        return;
    const struct iom_tag *tag = &finding->entry;
    append(line, " entry 0x%" PRIx64 "/%u stream 0x%x substream 0x%x domain %u asid %u stage %u",
           tag->address, (unsigned)tag->size_log2, (unsigned)tag->stream, (unsigned)tag->substream,
           (unsigned)tag->domain, (unsigned)tag->asid, (unsigned)tag->stage);
    if (finding->root_mismatch)
        append(line, ", built from other tables");
}

static void append_source(struct line *line, const struct iom_finding *finding)
{
    if ((finding->word & IOM_VIEW_SOURCE) == IOM_VIEW_SOURCE)
        append(line, "; register view changed %" PRIu64, finding->created);
    else if (finding->word & IOM_OPAQUE_SOURCE)
        append(line, "; object 0x%" PRIx64 " changed %" PRIu64, finding->word & ~IOM_OPAQUE_SOURCE,
               finding->created);
    else
        append(line, "; word 0x%" PRIx64 " changed %" PRIu64, finding->word, finding->created);
    bool others = finding->has_request && finding->has_entry && finding->covered == IOM_NEVER;
    if (finding->invalidation != 0)
        append(line, ", invalidation %" PRIu64 "%s", finding->invalidation,
               others ? " (of other copies)" : "");
    else
        append(line, ", no invalidation");
    append_cycle(line, "commanded", finding->commanded);
    for (uint32_t i = 0; i <= IOM_TRACKED_DEVICE_TLB; i++) {
        if (finding->executed[i] != IOM_NEVER)
            append(line, ", executed in %s %" PRIu64, iom_tracked_cache_name(i), finding->executed[i]);
    }
    append_cycle(line, "completed", finding->completed);
    append_cycle(line, "reported", finding->reported);
}

int iom_finding_format(const struct iom_finding *finding, char *text, size_t text_bytes)
{
    struct line line = {text, text_bytes, 0};
    append(&line, "%s", iom_finding_kind_name((enum iom_finding_kind)finding->kind));
    if (finding->iommu != 0)
        append(&line, " (iommu %u)", (unsigned)finding->iommu);
    if (finding->has_request)
        append_request(&line, finding);
    if (finding->has_request || finding->has_entry)
        append_entry(&line, finding);
    if (finding->has_source) {
        append_source(&line, finding);
    } else if (finding->invalidation != 0) {
        append(&line, ": invalidation %" PRIu64, finding->invalidation);
        append_cycle(&line, "begun", finding->commanded);
        append_cycle(&line, "ended", finding->completed);
    }
    if (finding->entries != 0)
        append(&line, "; %" PRIu64 " entries", finding->entries);
    return (int)line.length;
}

// ---- statistics ------------------------------------------------------------------------------------------

#define IOM_STAT_OWNER struct iom_tracker_stats
static const struct iom_stat_info stat_infos[] = {IOM_TRACKER_STATS(IOM_STAT_INFO)};

const struct iom_tracker_stats *iom_tracker_stats_of(const struct iom_tracker *tracker)
{
    return &tracker->stats;
}

void iom_tracker_stat_block(struct iom_tracker *tracker, struct iom_stat_block *block)
{
    *block = IOM_STAT_BLOCK("tracker", stat_infos, &tracker->stats);
}

void iom_tracker_reset_stats(struct iom_tracker *tracker)
{
    memset(&tracker->stats, 0, sizeof tracker->stats);
}

uint32_t iom_tracker_node_count(const struct iom_tracker *tracker)
{
    return tracker->nodes_used;
}

uint32_t iom_tracker_open_obligations(const struct iom_tracker *tracker)
{
    return tracker->obligations_open;
}
