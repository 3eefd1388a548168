// SPDX-License-Identifier: Apache-2.0
//
// The wide tag: what identifies a cached translation, in the vocabulary of no architecture in
// particular. An architecture decides which fields it fills; a cache compares the fields named by
// a mask and never interprets them (shared architecture, "Architectures").
//
//   field      VT-d          SMMUv3        AMD-Vi      RISC-V        virtio
//   stream     source-id     StreamID      DeviceID    device_id     endpoint
//   substream  PASID         SubstreamID   PASID       process_id    -
//   domain     domain-id     VMID          DomainID    GSCID         domain
//   asid       -             ASID          -           PSCID         -
//   stage      1 first-stage, 2 second-stage, 3 nested result, 0 not applicable
#ifndef IOM_CORE_TAG_H
#define IOM_CORE_TAG_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_tag {
    uint64_t address;          ///< input address, aligned to the page size in an entry; any byte in a key
    uint32_t stream;           ///< requester (device) identifier
    uint32_t substream;        ///< process address space of the requester
    uint32_t domain;           ///< domain identifier
    uint32_t asid;             ///< address space identifier
    uint8_t size_log2;         ///< entry: log2 of the page size in bytes (64: whole space); ignored in a key
    uint8_t stage;             ///< translation stage, see above
    uint8_t security;          ///< security state or access class, 0 where unused
    uint8_t iommu;             ///< instance of the IOMMU in a system of several
    uint8_t global;            ///< entry: 1 = matches every substream and asid of its domain
    uint8_t level;             ///< paging-structure level the entry belongs to, 0 where unused
    uint8_t span_log2;         ///< entry: log2 of what the first-stage page covers, 0 = size_log2
    uint8_t intermediate_log2; ///< entry: log2 of what the second-stage page covers
    uint64_t intermediate;     ///< entry of two stages: what the first one made of `address`
};

/// Fields of a tag, to be combined into masks.
enum iom_tag_field {
    IOM_TAG_ADDRESS = 1u << 0, ///< compared at the entry's page size
    IOM_TAG_STREAM = 1u << 1,
    IOM_TAG_SUBSTREAM = 1u << 2,
    IOM_TAG_DOMAIN = 1u << 3,
    IOM_TAG_ASID = 1u << 4,
    IOM_TAG_STAGE = 1u << 5,
    IOM_TAG_SECURITY = 1u << 6,
    IOM_TAG_IOMMU = 1u << 7,
    IOM_TAG_LEVEL = 1u << 8,
    // Of invalidations only, instead of IOM_TAG_ADDRESS. Who cannot tell takes them for any address.
    IOM_TAG_SPAN = 1u << 9,          ///< the range is compared with the entry's first-stage page: entries cut
                                     ///< out of it go as a whole
    IOM_TAG_INTERMEDIATE = 1u << 10, ///< the range is one of intermediate addresses, compared with the
                                     ///< entry's second-stage page
};

#ifdef __cplusplus
}
#endif

#endif
