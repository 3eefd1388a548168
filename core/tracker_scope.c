// SPDX-License-Identifier: Apache-2.0
//
// What an invalidation covers: entries of watched caches, requests, and the scopes of other invalidations.
#include "core/tracker_internal.h"

/// Substream of device TLB entries of requests without PASID (core/device_tlb.h).
#define NO_PASID UINT32_MAX

// A request without PASID names its range among the entries without PASID, and all entries with one
// (PCI Express Base Specification 6.0, 10.3.8).
static bool device_covers(const struct iom_device_invalidation *what, const struct iom_tag *entry)
{
    uint64_t first = iom_align_down(entry->address, entry->size_log2);
    uint64_t last = first | iom_low_bits(UINT64_MAX, entry->size_log2);
    bool inside = first <= what->last && last >= what->first;
    if (entry->stream != what->stream)
        return false;
    if (!what->has_pasid)
        return entry->substream != NO_PASID || inside;
    if (entry->substream == NO_PASID || (entry->global && !what->global))
        return false;
    return inside && (what->global || entry->substream == what->pasid);
}

static uint32_t target_of(enum iom_tracked_cache kind)
{
    switch (kind) {
    case IOM_TRACKED_CONTEXT:
        return IOM_INVALIDATE_CONTEXT;
    case IOM_TRACKED_PASID:
        return IOM_INVALIDATE_PASID;
    case IOM_TRACKED_IOTLB:
        return IOM_INVALIDATE_IOTLB;
    case IOM_TRACKED_PSC:
        return IOM_INVALIDATE_PSC;
    default:
        return 0;
    }
}

bool iom_track_covers(const struct iom_track_invalidation *invalidation, const struct iom_track_cache *cache,
                      const struct iom_tag *tag)
{
    if (cache->iommu != invalidation->iommu)
        return false;
    if (cache->kind == IOM_TRACKED_DEVICE_TLB)
        return invalidation->what.has_device && device_covers(&invalidation->what.device, tag);
    return iom_invalidation_covers(&invalidation->what, target_of((enum iom_tracked_cache)cache->kind), tag);
}

bool iom_track_fields_within(const struct iom_cache_match *inner, const struct iom_cache_match *outer)
{
    uint32_t fields = outer->fields;
    const struct iom_tag *a = &inner->tag, *b = &outer->tag;
    if ((fields & ~inner->fields) != 0 || (outer->keep_global && !inner->keep_global) ||
        (inner->global_matches && !outer->global_matches))
        return false;
    if (fields & IOM_TAG_STREAM && (((a->stream ^ b->stream) & ~outer->stream_ignore) != 0 ||
                                    (inner->stream_ignore & ~outer->stream_ignore) != 0))
        return false;
    return !((fields & IOM_TAG_SUBSTREAM && a->substream != b->substream) ||
             (fields & IOM_TAG_DOMAIN && a->domain != b->domain) ||
             (fields & IOM_TAG_ASID && a->asid != b->asid) ||
             (fields & IOM_TAG_STAGE && a->stage != b->stage) ||
             (fields & IOM_TAG_SECURITY && a->security != b->security) ||
             (fields & IOM_TAG_IOMMU && a->iommu != b->iommu) ||
             (fields & IOM_TAG_LEVEL && a->level != b->level) ||
             (fields & IOM_TAG_ADDRESS && (inner->first < outer->first || inner->last > outer->last)));
}

bool iom_track_device_within(const struct iom_device_invalidation *inner,
                             const struct iom_device_invalidation *outer)
{
    return inner->stream == outer->stream && inner->has_pasid == outer->has_pasid &&
           (!inner->has_pasid || outer->global || (inner->pasid == outer->pasid && !inner->global)) &&
           inner->first >= outer->first && inner->last <= outer->last;
}

static bool part_covers_request(const struct iom_cache_match *match, const struct iom_track_request *request)
{
    return (!(match->fields & IOM_TAG_DOMAIN) || match->tag.domain == request->domain) &&
           (!(match->fields & IOM_TAG_ASID) || match->tag.asid == request->asid) &&
           (!(match->fields & IOM_TAG_STREAM) ||
            ((match->tag.stream ^ request->source) & ~match->stream_ignore) == 0) &&
           (!(match->fields & IOM_TAG_ADDRESS) ||
            (request->address >= match->first && request->address <= match->last));
}

bool iom_track_covers_request(const struct iom_track_invalidation *invalidation,
                              const struct iom_track_request *request)
{
    const struct iom_invalidation *what = &invalidation->what;
    for (unsigned i = 0; i < what->parts; i++) {
        if ((what->part[i].targets & request->targets) && part_covers_request(&what->part[i].match, request))
            return true;
    }
    return (request->targets & IOM_INVALIDATE_DEVICE_TLB) && what->has_device &&
           what->device.stream == request->source &&
           (request->anywhere ||
            (request->address >= what->device.first && request->address <= what->device.last));
}
