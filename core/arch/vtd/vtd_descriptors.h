// SPDX-License-Identifier: Apache-2.0
//
// Invalidation descriptors as they lie in the invalidation queue (VT-d Rev. 4.1, 6.5.2.1 to 6.5.2.10).
//
// Shared by the hardware that decodes them (vtd_decode.c) and the software that writes them
// (vtd_commands.c). A descriptor has two 64-bit words, or four in a queue of 256-bit descriptors; words
// 2 and 3 are used by the page group response alone. The type stands in bits 3:0 and 11:9 of word 0.
#ifndef IOM_CORE_ARCH_VTD_DESCRIPTORS_H
#define IOM_CORE_ARCH_VTD_DESCRIPTORS_H

#include "core/base.h"

enum vtd_descriptor_type {
    VTD_DESCRIPTOR_CONTEXT = 1,
    VTD_DESCRIPTOR_IOTLB = 2,
    VTD_DESCRIPTOR_DEVICE_TLB = 3,
    VTD_DESCRIPTOR_INTERRUPT = 4,
    VTD_DESCRIPTOR_WAIT = 5,
    VTD_DESCRIPTOR_SPACE = 6,        ///< PASID-based IOTLB
    VTD_DESCRIPTOR_PASID = 7,        ///< PASID cache
    VTD_DESCRIPTOR_DEVICE_SPACE = 8, ///< PASID-based device TLB
    VTD_DESCRIPTOR_PAGE_RESPONSE = 9,
    VTD_DESCRIPTOR_TYPES,
};

#define VTD_DESCRIPTOR_TYPE(word) ((unsigned)(iom_bits(word, 3, 0) | iom_bits(word, 11, 9) << 4))

/// Granularities of context-cache and IOTLB invalidations, in descriptors and registers alike.
enum vtd_granularity {
    VTD_GRANULARITY_RESERVED = 0,
    VTD_GRANULARITY_GLOBAL = 1,
    VTD_GRANULARITY_DOMAIN = 2,
    VTD_GRANULARITY_NARROW = 3, ///< context: device, IOTLB: pages within a domain
};

/// Granularities of PASID-based IOTLB invalidations.
enum vtd_space_granularity {
    VTD_SPACE_ALL = 2,
    VTD_SPACE_PAGES = 3,
};

/// Granularities of PASID-cache invalidations.
enum vtd_pasid_granularity {
    VTD_PASID_DOMAIN = 0,
    VTD_PASID_ONE = 1,
    VTD_PASID_RESERVED = 2,
    VTD_PASID_GLOBAL = 3,
};

// Word 0.
#define VTD_DESCRIPTOR_G_SHIFT 4u ///< types 1, 2, 6, 7
#define VTD_DESCRIPTOR_G(word) ((unsigned)iom_bits(word, 5, 4))
#define VTD_DESCRIPTOR_DID_SHIFT 16u ///< types 1, 2, 6, 7
#define VTD_DESCRIPTOR_DID(word) ((uint32_t)iom_bits(word, 31, 16))
#define VTD_DESCRIPTOR_PASID_SHIFT 32u ///< types 6, 7, 8
#define VTD_DESCRIPTOR_PASID_OF(word) ((uint32_t)iom_bits(word, 51, 32))
#define VTD_DESCRIPTOR_SID_SHIFT 32u ///< types 1, 3
#define VTD_DESCRIPTOR_SID(word) ((uint32_t)iom_bits(word, 47, 32))
#define VTD_DESCRIPTOR_FM_SHIFT 48u ///< type 1
#define VTD_DESCRIPTOR_FM(word) ((unsigned)iom_bits(word, 49, 48))
#define VTD_DESCRIPTOR_DW (UINT64_C(1) << 6) ///< type 2: drain writes
#define VTD_DESCRIPTOR_DR (UINT64_C(1) << 7) ///< type 2: drain reads
#define VTD_DESCRIPTOR_QDEP_SHIFT 16u        ///< type 3
#define VTD_DESCRIPTOR_QDEP(word) ((uint32_t)iom_bits(word, 20, 16))
#define VTD_DESCRIPTOR_SPACE_QDEP_SHIFT 4u ///< type 8
#define VTD_DESCRIPTOR_SPACE_QDEP(word) ((uint32_t)iom_bits(word, 8, 4))
#define VTD_DESCRIPTOR_SPACE_SID_SHIFT 16u ///< type 8
#define VTD_DESCRIPTOR_SPACE_SID(word) ((uint32_t)iom_bits(word, 31, 16))
#define VTD_WAIT_INTERRUPT (UINT64_C(1) << 4)
#define VTD_WAIT_STATUS (UINT64_C(1) << 5)
#define VTD_WAIT_FENCE (UINT64_C(1) << 6)
#define VTD_WAIT_PAGE_DRAIN (UINT64_C(1) << 7)
#define VTD_WAIT_DATA_SHIFT 32u

// Word 1.
#define VTD_DESCRIPTOR_ADDRESS UINT64_C(0xfffffffffffff000)
#define VTD_DESCRIPTOR_AM(word) ((unsigned)iom_bits(word, 5, 0)) ///< types 2, 6; also the IVA register
#define VTD_DESCRIPTOR_IH (UINT64_C(1) << 6)                     ///< types 2, 6; also the IVA register
#define VTD_DEVICE_SIZE UINT64_C(1)                              ///< type 3: S
#define VTD_DEVICE_SPACE_SIZE (UINT64_C(1) << 11)                ///< type 8: S
#define VTD_DEVICE_SPACE_GLOBAL UINT64_C(1)                      ///< type 8: G
#define VTD_WAIT_ADDRESS (~UINT64_C(3))

#endif
