// SPDX-License-Identifier: Apache-2.0
//
// The normalised invalidation: what every architecture's commands, registers and broadcasts are decoded
// into, and what the fan-out (core/fanout.h) spreads to every participant.
//
// An invalidation has up to IOM_INVALIDATION_PARTS parts, because one command may reach different caches
// by different tags (a page-selective command removes second-stage entries by address, but nested entries
// of the domain whatever their address). A cache drops an entry if any part that targets it matches.
// Device TLBs do not see the tags of the IOMMU's own caches: `device` is for them.
#ifndef IOM_CORE_INVALIDATION_H
#define IOM_CORE_INVALIDATION_H

#include "core/cache.h"
#include "core/xlate.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Caches an invalidation reaches (bit mask).
enum iom_invalidate_target {
    IOM_INVALIDATE_CONTEXT = 1u << IOM_LOOKUP_CONTEXT,
    IOM_INVALIDATE_PASID = 1u << IOM_LOOKUP_PASID,
    IOM_INVALIDATE_IOTLB = 1u << IOM_LOOKUP_IOTLB,
    IOM_INVALIDATE_PSC = 1u << IOM_LOOKUP_COUNT,
    IOM_INVALIDATE_DEVICE_TLB = 1u << (IOM_LOOKUP_COUNT + 1),
    IOM_INVALIDATE_ALL = (1u << (IOM_LOOKUP_COUNT + 1)) - 1, ///< every cache of the IOMMU itself
};

/// Where an invalidation came from.
enum iom_invalidation_source {
    IOM_SOURCE_QUEUE,     ///< command queue
    IOM_SOURCE_REGISTER,  ///< register-based command
    IOM_SOURCE_IMPLIED,   ///< a register write that flushes by itself (e.g. a new root pointer)
    IOM_SOURCE_BROADCAST, ///< broadcast from processors (DVM)
};

#define IOM_INVALIDATION_PARTS 5u

struct iom_invalidation_part {
    uint32_t targets;             ///< enum iom_invalidate_target, without DEVICE_TLB
    struct iom_cache_match match; ///< entries it removes
};

/// What a device TLB is told (PCIe ATS Invalidate Request).
struct iom_device_invalidation {
    uint32_t stream;      ///< the device
    uint32_t pasid;       ///< with has_pasid
    bool has_pasid;       ///< entries of this PASID only
    bool global;          ///< also entries marked global (with has_pasid)
    uint64_t first, last; ///< inclusive byte range of input addresses
    uint32_t queue_depth; ///< invalidations the device takes at once, 0 = 32
    bool has_segment;     ///< the upper bits of the stream are a segment number
    uint64_t payload;     ///< message body where the command carries it, for devices that look at it
};

struct iom_invalidation {
    uint64_t id;       ///< given by the fan-out: 1, 2, ... in the order in which it begins them
    uint8_t source;    ///< enum iom_invalidation_source
    uint8_t parts;     ///< valid entries of `part`; 0 with DEVICE_TLB only
    bool leaf_only;    ///< hint: only leaf entries were changed, entries of the tables above them may stay
    bool drain_reads;  ///< older reads must be visible before the next wait completes
    bool drain_writes; ///< likewise writes
    bool has_device;   ///< `device` is valid
    struct iom_invalidation_part part[IOM_INVALIDATION_PARTS];
    struct iom_device_invalidation device;
};

/// Adds a part that removes entries of IOMMU `iommu` from the caches `targets`, as far as they match in
/// `fields` too (enum iom_tag_field). Returns its match, in which the caller sets the values.
static inline struct iom_cache_match *iom_invalidation_add(struct iom_invalidation *invalidation,
                                                           uint8_t iommu, uint32_t targets, uint32_t fields)
{
    assert(invalidation->parts < IOM_INVALIDATION_PARTS);
    struct iom_invalidation_part *part = &invalidation->part[invalidation->parts++];
    part->targets = targets;
    part->match.fields = fields | IOM_TAG_IOMMU;
    part->match.tag.iommu = iommu;
    return &part->match;
}

/// Union of the targets of all parts.
static inline uint32_t iom_invalidation_targets(const struct iom_invalidation *invalidation)
{
    uint32_t targets = invalidation->has_device ? IOM_INVALIDATE_DEVICE_TLB : 0;
    for (unsigned i = 0; i < invalidation->parts; i++)
        targets |= invalidation->part[i].targets;
    return targets;
}

/// Does a part that targets `target` cover an entry with this tag?
static inline bool iom_invalidation_covers(const struct iom_invalidation *invalidation, uint32_t target,
                                           const struct iom_tag *entry)
{
    for (unsigned i = 0; i < invalidation->parts; i++) {
        if ((invalidation->part[i].targets & target) && iom_tag_matches(entry, &invalidation->part[i].match))
            return true;
    }
    return false;
}

#ifdef __cplusplus
}
#endif

#endif
