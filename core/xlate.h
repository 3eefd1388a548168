// SPDX-License-Identifier: Apache-2.0
//
// One translation: what a DMA asks, what has been resolved so far, and what came out.
//
// The struct travels inside a DMA (core/dma.h) and, copied, inside the walk that serves its miss
// (core/walk.h). Engines read only the fields described here; what an architecture packs into
// `context.attributes`, `fault.detail` and the like is its own business (core/arch/<name>/).
#ifndef IOM_CORE_XLATE_H
#define IOM_CORE_XLATE_H

#include "core/base.h"
#include "core/tag.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A node of the hazard tracker's provenance (core/tracker.h); 0 = none.
typedef uint32_t iom_node;

/// What a request is (bit mask).
enum iom_request_flag {
    IOM_REQ_WRITE = 1u << 0,      ///< writes memory; for a translation request: asks for write permission
    IOM_REQ_EXEC = 1u << 1,       ///< execute requested (a read)
    IOM_REQ_PRIV = 1u << 2,       ///< privileged mode requested
    IOM_REQ_PASID = 1u << 3,      ///< carries a PASID (substream identifier)
    IOM_REQ_TRANSLATE = 1u << 4,  ///< ATS translation request
    IOM_REQ_TRANSLATED = 1u << 5, ///< ATS translated request: the address is a result already
    IOM_REQ_POSTED = 1u << 6,     ///< posted write: takes part in PCIe ordering
    IOM_REQ_PAGE = 1u << 8,       ///< page request message: asks software for a page (x.page_request)
    IOM_REQ_DEBUG = 1u << 9,      ///< asked for through registers: as any other, but no memory access follows
    IOM_REQ_CXL = 1u << 10,       ///< translation request of a CXL device
    IOM_REQ_PURE = 1u << 7,       ///< look without side effects: no fault record, no accessed/dirty update
};

/// Look-ups of a request, in the order in which they are taken.
enum iom_lookup {
    IOM_LOOKUP_CONTEXT, ///< per requester: context entry, stream table entry, device context
    IOM_LOOKUP_PASID,   ///< per process: PASID entry, context descriptor, process context
    IOM_LOOKUP_IOTLB,   ///< the translation itself
    IOM_LOOKUP_COUNT,
    IOM_LOOKUP_DONE = IOM_LOOKUP_COUNT, ///< nothing left to look up: `outcome` holds
};

/// Result of a request.
enum iom_outcome {
    IOM_OUTCOME_NONE,      ///< not decided yet
    IOM_OUTCOME_ADDRESS,   ///< translated: leaf.output is the address of the first byte
    IOM_OUTCOME_BYPASS,    ///< passed through untranslated: leaf.output equals the input
    IOM_OUTCOME_INTERRUPT, ///< a write to the interrupt window: not DMA, handed to interrupt delivery
    IOM_OUTCOME_FAULT,     ///< refused; `fault` says why and whether it is recorded
    IOM_OUTCOME_DENIED,    ///< translation request answered without permission (success, R = W = 0)
    IOM_OUTCOME_MRIF,      ///< a write for a memory-resident interrupt file: leaf.output is its address,
                           ///< leaf.attributes the notice (architecture's own)
    IOM_OUTCOME_PAGE,      ///< page request accepted: goes to the page request queue
    IOM_OUTCOME_RETRY,     ///< walk again (an atomic update lost a race); never leaves the IOMMU
};

/// Effective permissions of a translation, with everything that the tables and the context say folded in.
enum iom_permission {
    IOM_PERM_READ = 1u << 0,       ///< unprivileged read
    IOM_PERM_WRITE = 1u << 1,      ///< unprivileged write without a further table update
    IOM_PERM_EXEC = 1u << 2,       ///< unprivileged execute
    IOM_PERM_PRIV_READ = 1u << 3,  ///< privileged read
    IOM_PERM_PRIV_WRITE = 1u << 4, ///< privileged write without a further table update
    IOM_PERM_PRIV_EXEC = 1u << 5,  ///< privileged execute
    IOM_PERM_ALL = 0x3fu,
};

/// What the context and PASID look-ups resolve to. Payload of both caches.
struct iom_context {
    uint64_t table[2];   ///< root of the stage 1 / stage 2 tables, or of the PASID directory
    uint64_t attributes; ///< private to the architecture
    uint32_t domain;     ///< domain tag of cached translations
    uint32_t asid;       ///< address space tag of cached translations (0 where the substream serves)
    uint8_t kind;        ///< private to the architecture (translation type, granularity, ...)
    uint8_t levels[2];   ///< levels of the stage 1 / stage 2 tables
    uint8_t reserved;
    uint32_t substream; ///< substream in effect (request's own, or the device's default)
    uint64_t extra[3];  ///< private to the architecture (interrupt translation, ...)
    iom_node node;      ///< where it came from
};

/// A translation of one page. Payload of the IOTLB and of device TLBs.
struct iom_leaf {
    uint64_t output;     ///< in an entry: base of the page; in a result: address of the request's first byte
    uint64_t attributes; ///< private to the architecture (memory type, snoop, ...)
    uint8_t size_log2;   ///< log2 of the bytes the translation covers
    uint8_t permissions; ///< enum iom_permission
    uint8_t global;      ///< 1 = same for every address space of the domain
    uint8_t reserved;
    iom_node node; ///< where it came from
};

/// Why a request was refused.
struct iom_fault {
    uint64_t address;      ///< input address of the request
    uint64_t detail;       ///< private to the architecture (intermediate address, class, ...)
    uint32_t source;       ///< requester
    uint32_t pasid;        ///< valid with IOM_REQ_PASID in flags
    uint16_t code;         ///< fault reason, architecture's own enum
    uint16_t flags;        ///< enum iom_request_flag of the request as recorded
    uint8_t recorded;      ///< 1 = goes to the fault records, 0 = silent (fault processing disabled, ...)
    uint8_t abort;         ///< 0 unsupported request, 1 completer abort (answer on the link)
    uint16_t page_request; ///< of a page request: as in struct iom_xlate
};

struct iom_xlate {
    uint64_t address;      ///< input address, bytes
    uint32_t bytes;        ///< length, never crosses a 4 KiB page
    uint32_t source;       ///< requester identifier
    uint32_t pasid;        ///< with IOM_REQ_PASID
    uint16_t flags;        ///< enum iom_request_flag
    uint16_t page_request; ///< IOM_REQ_PAGE: bits 11:0 of the message's address word: R, W, L and group index
                           ///< (PCI Express Base 6.0, 10.4.1); enum iom_page_request_bit
    uint8_t next;          ///< enum iom_lookup: the look-up to take next
    uint8_t outcome;       ///< enum iom_outcome
    struct iom_context context;
    struct iom_leaf leaf;
    struct iom_fault fault;
};

#ifdef __cplusplus
}
#endif

#endif
