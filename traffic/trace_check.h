// SPDX-License-Identifier: Apache-2.0
//
// What a trace holds, and whether it makes sense: the engine of `trace info` and `trace check`.
//
// The checker follows the trace record by record: which device is attached where, what is mapped, which
// operations are open. A finding is something a replay could not do as recorded; each kind counts its
// occurrences and remembers the first.
#ifndef IOM_TRAFFIC_TRACE_CHECK_H
#define IOM_TRAFFIC_TRACE_CHECK_H

#include "traffic/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

// X(name, description)
#define IOM_TRACE_FINDINGS(X)                                                                                \
    X(dma_unmapped, "DMA to a page that is not mapped (and that did not fault in the recording)")            \
    X(dma_forbidden, "DMA in a direction the mapping does not allow")                                        \
    X(dma_detached, "DMA of a device that is attached to no domain")                                         \
    X(map_over_live, "map over a page that is still mapped")                                                 \
    X(unmap_unmapped, "unmap of a page that is not mapped")                                                  \
    X(attach_twice, "attach of a device that is already attached")                                           \
    X(detach_wrong, "detach of a device from a domain it is not attached to")                                \
    X(op_begun_twice, "op_begin of an operation that is open or was open before")                            \
    X(op_not_open, "record of an operation that is not open")                                                \
    X(op_wrong_device, "record of an operation of another device")                                           \
    X(op_not_ended, "operation that never ends")                                                             \
    X(dma_after_unmap, "DMA of an operation after one of its unmaps")

enum iom_trace_finding {
#define IOM_TRACE_FINDING_ENUM(name, description) IOM_TRACE_FINDING_##name,
    IOM_TRACE_FINDINGS(IOM_TRACE_FINDING_ENUM)
#undef IOM_TRACE_FINDING_ENUM
        IOM_TRACE_FINDING_COUNT
};

const char *iom_trace_finding_name(enum iom_trace_finding finding);
const char *iom_trace_finding_text(enum iom_trace_finding finding);

struct iom_trace_summary {
    uint64_t records;
    uint64_t kinds[IOM_TRACE_MARK + 1];                 ///< by enum iom_trace_kind
    uint64_t dma_classes[IOM_TRACE_DMA_COMPLETION + 1]; ///< DMAs by class
    uint64_t read_bytes;                                ///< moved by DMA reads
    uint64_t written_bytes;
    uint64_t faulted;   ///< DMAs that faulted in the recording
    uint64_t synthetic; ///< records the importer concluded
    uint64_t deferred;  ///< unmaps flushed later
    uint64_t pages_mapped;
    uint64_t pages_unmapped;
    uint64_t first_time; ///< ticks
    uint64_t last_time;
    uint64_t deepest; ///< most operations open at once
};

struct iom_trace_check {
    struct iom_trace_summary summary;
    uint64_t findings[IOM_TRACE_FINDING_COUNT];
    uint64_t first_record[IOM_TRACE_FINDING_COUNT]; ///< number of the first record concerned, from 0
    uint64_t pages_left;                            ///< mapped at the end
};

/// Adds a record to a summary (start from all zero).
void iom_trace_summarise(struct iom_trace_summary *summary, const struct iom_trace_record *record);

/// Reads the whole trace. 0 and `*check`; -1 and `error` if the trace is damaged or memory is short.
int iom_trace_check_all(struct iom_trace_reader *reader, struct iom_trace_check *check,
                        struct iom_trace_error *error);
/// Sum of all findings.
uint64_t iom_trace_check_total(const struct iom_trace_check *check);

#ifdef __cplusplus
}
#endif

#endif
