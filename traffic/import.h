// SPDX-License-Identifier: Apache-2.0
//
// Turns logs of a real system into a trace: a guest's ftrace text (`cat trace` or `trace-cmd report`)
// with iommu:*, intel_iommu:* and dma:* events, and optionally the log of the QEMU that ran it.
//
// The rules by which two logs with different clocks become one sequence are in docs/trace-format.md
// ("How logs become a trace"); every rule that had to guess counts how often it did.
//
//     struct iom_import_source sources[] = {{"a.ftrace.txt", NULL, 0}, {"a.qemu.log", NULL, 0}};
//     struct iom_import *import = iom_import_logs(sources, 2, &options, &error);
//     iom_import_write(import, "a.iomt", IOM_TRACE_BINARY, &error);
//     iom_import_free(import);
#ifndef IOM_TRAFFIC_IMPORT_H
#define IOM_TRAFFIC_IMPORT_H

#include "traffic/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A log: a path (plain or zstd), or bytes in memory under a name.
struct iom_import_source {
    const char *name;
    const void *data; ///< NULL: read the file `name`
    size_t bytes;
};

struct iom_import_options {
    uint32_t mps_bytes;   ///< largest DMA of a data transfer: 128, 256, 512, 1024, 2048 or 4096
    uint32_t dma_bytes;   ///< length of a DMA whose length no log tells, 1 to 4096
    uint32_t device;      ///< keep only this device (as in records); IOM_TRACE_NO_DEVICE keeps all
    bool lenient;         ///< count malformed lines instead of refusing the file
    const char *producer; ///< written into the header, may be NULL
};

void iom_import_options_init(struct iom_import_options *options);

// X(name, description): every count of an import, in the order of the report.
#define IOM_IMPORT_COUNTS(X)                                                                                 \
    X(guest_lines, "lines of the guest log")                                                                 \
    X(host_lines, "lines of the host log")                                                                   \
    X(malformed_lines, "malformed lines skipped (--lenient)")                                                \
    X(unknown_lines, "lines of events this importer does not know")                                          \
    X(lost_events, "events the recorder itself lost")                                                        \
    X(interrupt_lines, "interrupt lines skipped")                                                            \
    X(skipped_marks, "trace markers other than BEGIN and END")                                               \
    X(guest_maps, "map events")                                                                              \
    X(guest_unmaps, "unmap events")                                                                          \
    X(empty_unmaps, "unmap events that unmapped nothing, dropped")                                           \
    X(host_translations, "translations in the host log")                                                     \
    X(host_faults, "translation faults in the host log")                                                     \
    X(commands, "NVMe commands")                                                                             \
    X(completions, "NVMe completions")                                                                       \
    X(guest_invalidations, "invalidations the guest submitted (without pc_inv)")                             \
    X(host_invalidations, "invalidations the host executed (without wait)")                                  \
    X(paired_invalidations, "guest events whose place in the host log is known")                             \
    X(unattributed_maps, "maps of no known device, put into domain 0")                                       \
    X(dropped_other_devices, "events of other devices dropped (--device)")                                   \
    X(dropped_outside, "host accesses outside the time the guest log covers, dropped")                       \
    X(synthetic_maps, "mappings older than the capture, synthesised")                                        \
    X(synthetic_pages, "pages of synthesised mappings")                                                      \
    X(placeholder_pages, "of these, pages whose physical address no log tells (the IOVA is used)")           \
    X(maps_never_unmapped, "maps never unmapped in the capture")                                             \
    X(maps_over_live, "maps over a page still mapped (the old mapping is dropped)")                          \
    X(unmaps_without_map, "unmaps of pages not mapped")                                                      \
    X(deferred_unmaps, "unmaps whose invalidation came later (lazy)")                                        \
    X(dma_without_map, "translations of pages not mapped at that moment")                                    \
    X(dma_disagreeing, "translations whose physical address is not the mapped one")                          \
    X(untranslated_data_bytes, "data bytes of NVMe commands without a translation line")                     \
    X(unclassified_dma, "DMAs of unknown purpose (length --dma-bytes)")                                      \
    X(assumed_direction, "DMAs whose direction was assumed (read)")                                          \
    X(pages_mapped, "pages mapped")                                                                          \
    X(pages_unmapped, "pages unmapped")                                                                      \
    X(attach_records, "attach records")                                                                      \
    X(detach_records, "detach records")                                                                      \
    X(map_records, "map records")                                                                            \
    X(unmap_records, "unmap records")                                                                        \
    X(dma_records, "dma records")                                                                            \
    X(op_records, "I/O operations (op_begin, op_end pairs)")                                                 \
    X(mark_records, "mark records")                                                                          \
    X(records, "records in all")                                                                             \
    X(queue_depth, "most operations outstanding at once")                                                    \
    X(span_ns, "time from the first to the last record, ns")

enum iom_import_count {
#define IOM_IMPORT_ENUM(name, description) IOM_IMPORT_##name,
    IOM_IMPORT_COUNTS(IOM_IMPORT_ENUM)
#undef IOM_IMPORT_ENUM
        IOM_IMPORT_COUNT_OF_COUNTS
};

const char *iom_import_count_name(enum iom_import_count count);
const char *iom_import_count_text(enum iom_import_count count);

/// How often a kind of line occurred and what became of it.
enum iom_import_use {
    IOM_IMPORT_USED,      ///< its contents are in the trace or placed something in it
    IOM_IMPORT_IGNORED,   ///< known and not needed
    IOM_IMPORT_INTERRUPT, ///< interrupts are not traced
    IOM_IMPORT_UNKNOWN,   ///< not known to this version
};

struct iom_import_line_kind {
    char name[48];
    uint64_t count;
    enum iom_import_use use;
    bool host;
};

struct iom_import;

/// Reads and merges one or two logs (which is which is seen from their contents). NULL and `error` on
/// failure: unreadable, not a log of a known kind, two of one kind, malformed line, two logs that do
/// not belong together. Memory grows with the logs: about 200 bytes for each event that matters.
struct iom_import *iom_import_logs(const struct iom_import_source *sources, unsigned count,
                                   const struct iom_import_options *options, struct iom_trace_error *error);
uint64_t iom_import_get(const struct iom_import *import, enum iom_import_count count);
/// Header of the trace: devices, sources, counters, notes (the rules that were applied).
const struct iom_trace_header *iom_import_header(const struct iom_import *import);
/// Kinds of lines in order of their first occurrence.
const struct iom_import_line_kind *iom_import_line_kinds(const struct iom_import *import, uint32_t *count);
/// Writes the trace.
bool iom_import_write(const struct iom_import *import, const char *path, enum iom_trace_form form,
                      struct iom_trace_error *error);
void iom_import_free(struct iom_import *import);

/// The whole way in memory, for tests and fuzzers: logs in, a binary trace out (the caller frees
/// `*trace`). `host` may be NULL. Returns 0, or -1 and `error`.
int iom_import_buffer(const void *guest, size_t guest_bytes, const void *host, size_t host_bytes,
                      const struct iom_import_options *options, void **trace, size_t *trace_bytes,
                      struct iom_trace_error *error);

#ifdef __cplusplus
}
#endif

#endif
