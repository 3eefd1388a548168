// SPDX-License-Identifier: Apache-2.0
//
// Page requests (PCI Express PRI) and what performance counters count, whatever the architecture.
//
// A device sends a page request as struct iom_dma with IOM_REQ_PAGE through its link. The front end looks up
// its context and hands it to the register unit, which puts it into the page request queue in memory or, if
// it cannot, answers it. Software answers with a command; the fan-out sends the response to the device.
//
// Source: PCI Express Base Specification 6.0, 10.4 (page request services).
#ifndef IOM_CORE_PAGE_REQUEST_H
#define IOM_CORE_PAGE_REQUEST_H

#include "core/base.h"
#include "core/msg.h"
#include "core/xlate.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_page_request {
    uint64_t address; ///< of the page
    uint32_t source;  ///< requester
    uint32_t pasid;   ///< with IOM_REQ_PASID in flags
    uint16_t flags;   ///< enum iom_request_flag: PASID, PRIV, EXEC
    uint16_t message; ///< bits 11:0 of the address word: R, W, L and group index; enum iom_page_request_bit
};

enum iom_page_request_bit {
    IOM_PAGE_REQUEST_READ = 1u << 0,
    IOM_PAGE_REQUEST_WRITE = 1u << 1,
    IOM_PAGE_REQUEST_LAST = 1u << 2,  ///< of its group
    IOM_PAGE_REQUEST_GROUP_SHIFT = 3, ///< group index, 9 bits
    /// Not of the message, set by the context look-up: the device wants the PASID in responses.
    IOM_PAGE_REQUEST_PASID_RESPONSE = 1u << 12,
};

/// Response codes (10.4.2.1).
enum iom_page_response_code {
    IOM_PAGE_RESPONSE_SUCCESS = 0,
    IOM_PAGE_RESPONSE_INVALID = 1,
    IOM_PAGE_RESPONSE_FAILURE = 15,
};

struct iom_page_response {
    uint32_t stream; ///< the device
    uint32_t pasid;  ///< with has_pasid
    bool has_pasid;
    bool has_segment; ///< the upper bits of the stream are a segment number
    uint8_t code;     ///< enum iom_page_response_code, or what software wrote
    uint16_t group;   ///< page request group index
    uint64_t payload; ///< as software wrote it, for devices that look at it
};

struct iom_page_response_message {
    struct iom_msg msg;
    struct iom_page_response response;
};

/// What performance counters can count (bit mask); sent only if the register view asks for it.
enum iom_monitor_event {
    IOM_EVENT_UNTRANSLATED = 1u << 0, ///< untranslated request
    IOM_EVENT_TRANSLATED = 1u << 1,   ///< translated request
    IOM_EVENT_ATS = 1u << 2,          ///< ATS translation request
    IOM_EVENT_TLB_MISS = 1u << 3,     ///< no translation cached
    IOM_EVENT_CONTEXT_WALK = 1u << 4, ///< walk for a context entry
    IOM_EVENT_PASID_WALK = 1u << 5,   ///< walk for a PASID entry
    IOM_EVENT_STAGE1_WALK = 1u << 6,  ///< walk of first-stage tables
    IOM_EVENT_STAGE2_WALK = 1u << 7,  ///< walk of second-stage tables
};

struct iom_event {
    uint32_t events;  ///< enum iom_monitor_event
    uint32_t source;  ///< requester
    uint32_t pasid;   ///< with IOM_REQ_PASID in flags
    uint16_t flags;   ///< enum iom_request_flag
    bool has_context; ///< stage, domain and asid are known
    uint8_t stage;    ///< as in the tag of its translations (struct iom_tag): which stages are in effect
    uint32_t domain, asid;
};

#ifdef __cplusplus
}
#endif

#endif
