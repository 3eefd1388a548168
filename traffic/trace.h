// SPDX-License-Identifier: Apache-2.0
//
// The native trace: what a driver and its devices did to an IOMMU, as a stream of records.
//
// A trace holds what the replayer (traffic/replay.c) needs and nothing of one architecture: devices
// are attached to domains, pages are mapped and unmapped, devices access memory, and every access
// and mapping names the I/O operation it belongs to. docs/trace-format.md is the specification of
// the file layout, of the text twin and of what each record means when it is replayed.
//
// Readers and writers stream: memory is one block of records (IOM_TRACE_BLOCK_RECORDS) whatever the
// length of the trace. The reader recognises the binary form and the text twin by content.
//
//     struct iom_trace_error error;
//     struct iom_trace_reader *reader = iom_trace_reader_open("a.iomt", &error);
//     struct iom_trace_record record;
//     int got;
//     while ((got = iom_trace_read(reader, &record, &error)) == 1)
//         use(&record);
//     if (got < 0)
//         complain(error.text);
//     iom_trace_reader_close(reader);
#ifndef IOM_TRAFFIC_TRACE_H
#define IOM_TRAFFIC_TRACE_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Version of the file format. Any change an older reader would misread raises it; a reader refuses
/// versions above its own.
#define IOM_TRACE_VERSION 1u
/// Bytes of one record in the (decompressed) binary form.
#define IOM_TRACE_RECORD_BYTES 64u
/// Records of a full block; the unit of compression, of checksums and of memory use.
#define IOM_TRACE_BLOCK_RECORDS 4096u

/// Why something failed, ready to be shown: "FILE: record N: what is wrong; what to do".
struct iom_trace_error {
    char text[768];
};

/// Kinds of records. Values are part of the file format. 16 to 31 are reserved for invalidation
/// commands, 32 to 47 for ATS and page requests, 48 to 63 for PASID events; a reader of this version
/// refuses them.
enum iom_trace_kind {
    IOM_TRACE_ATTACH = 1,   ///< device (and PASID) now translates through domain
    IOM_TRACE_DETACH = 2,   ///< device (and PASID) no longer translates through domain
    IOM_TRACE_MAP = 3,      ///< the driver maps iova..iova+bytes-1 of domain to address
    IOM_TRACE_UNMAP = 4,    ///< the driver unmaps iova..iova+bytes-1 of domain
    IOM_TRACE_DMA = 5,      ///< device reads or writes iova..iova+bytes-1 (never crosses 4 KiB)
    IOM_TRACE_OP_BEGIN = 6, ///< first record of an I/O operation
    IOM_TRACE_OP_END = 7,   ///< last record of an I/O operation
    IOM_TRACE_MARK = 8,     ///< a phase or the region of interest begins or ends
};

/// What a DMA moves (field `detail` of IOM_TRACE_DMA).
enum iom_trace_dma_class {
    IOM_TRACE_DMA_OTHER = 0,      ///< not known
    IOM_TRACE_DMA_RING = 1,       ///< descriptors, submission entries, doorbell shadows
    IOM_TRACE_DMA_DATA = 2,       ///< payload
    IOM_TRACE_DMA_COMPLETION = 3, ///< completion entries
};

/// What a mark says (field `detail` of IOM_TRACE_MARK); `text` names the phase.
enum iom_trace_mark {
    IOM_TRACE_PHASE_BEGIN = 0,
    IOM_TRACE_PHASE_END = 1,
    IOM_TRACE_ROI_BEGIN = 2,
    IOM_TRACE_ROI_END = 3,
};

/// Bits of `flags`. READ and WRITE are the permissions of a MAP (either or both) and the direction
/// of a DMA (exactly one), always seen from the device: WRITE = the device writes memory.
enum iom_trace_flag {
    IOM_TRACE_READ = 1u << 0,
    IOM_TRACE_WRITE = 1u << 1,
    IOM_TRACE_EXEC = 1u << 2,
    IOM_TRACE_PRIV = 1u << 3,
    /// Not seen in the recording but concluded by the importer (a mapping older than the capture).
    IOM_TRACE_SYNTHETIC = 1u << 4,
    /// UNMAP: the recorded driver did not invalidate at this unmap but later (lazy flush).
    IOM_TRACE_DEFERRED = 1u << 5,
    /// DMA: the recorded IOMMU answered with a fault.
    IOM_TRACE_FAULTED = 1u << 6,
};

#define IOM_TRACE_NO_DEVICE UINT32_MAX ///< `device` of a record that concerns no (known) device
#define IOM_TRACE_NO_CPU UINT16_MAX    ///< `cpu` of a record no processor caused, or not known
#define IOM_TRACE_NO_PASID UINT32_MAX  ///< `pasid` of a request or attachment without PASID

/// One record. A field a kind does not use holds its "nothing" value (0, or NO_DEVICE / NO_CPU /
/// NO_PASID); iom_trace_record_init sets them all. Which kind uses which field:
///
///     all       kind time op flags
///     ATTACH    device domain pasid cpu          DETACH   the same
///     MAP       device cpu domain pasid iova address bytes page_log2
///     UNMAP     device cpu domain pasid iova bytes
///     DMA       device pasid iova bytes detail
///     OP_BEGIN  device cpu queue opcode bytes (payload)   OP_END   device cpu queue opcode
///     MARK      cpu detail text
struct iom_trace_record {
    uint64_t time;     ///< ticks of the header's clock, never smaller than the record before
    uint64_t op;       ///< the I/O operation this record belongs to; 0 = none
    uint64_t iova;     ///< byte address the device uses; MAP, UNMAP: 4 KiB aligned
    uint64_t address;  ///< MAP: physical byte address, 4 KiB aligned
    uint64_t bytes;    ///< MAP, UNMAP: multiple of 4 KiB; DMA: 1..4096, within one 4 KiB page
    uint32_t device;   ///< PCI segment << 16 | bus << 8 | devfn (or stream id below 2^16)
    uint32_t domain;   ///< translation domain; numbers are the importer's, 0 = not known
    uint32_t pasid;    ///< 20 bits or IOM_TRACE_NO_PASID
    uint16_t flags;    ///< enum iom_trace_flag
    uint16_t cpu;      ///< processor that did it
    uint16_t queue;    ///< device queue of an operation
    uint16_t text;     ///< MARK: 1-based index into the header's strings, 0 = no text
    uint8_t kind;      ///< enum iom_trace_kind
    uint8_t detail;    ///< enum iom_trace_dma_class or enum iom_trace_mark
    uint8_t opcode;    ///< the device's own opcode (NVMe: 1 write, 2 read)
    uint8_t page_log2; ///< MAP: page size hint, 0 = the driver chooses, else 12, 21 or 30
};

/// A record of `kind` with every other field set to nothing.
void iom_trace_record_init(struct iom_trace_record *record, enum iom_trace_kind kind);

/// NULL if the record is well formed, else a static text naming the field and what was expected.
/// `strings` is the number of strings of the header.
const char *iom_trace_record_fault(const struct iom_trace_record *record, uint32_t strings);

/// "map", "dma", ... ; NULL for a number that is no kind.
const char *iom_trace_kind_name(unsigned kind);

// ---------------------------------------------------------------------------------------------------
// Header

/// Clock of `time`.
enum iom_trace_clock {
    IOM_TRACE_CLOCK_GUEST = 0,     ///< time since boot of the recorded machine
    IOM_TRACE_CLOCK_SYNTHETIC = 1, ///< cycles of a generator
};

/// Architecture the trace was recorded on: a hint for choosing a configuration, nothing else.
enum iom_trace_arch {
    IOM_TRACE_ARCH_UNKNOWN = 0,
    IOM_TRACE_ARCH_VTD = 1,
    IOM_TRACE_ARCH_SMMUV3 = 2,
    IOM_TRACE_ARCH_AMDVI = 3,
    IOM_TRACE_ARCH_RISCV = 4,
    IOM_TRACE_ARCH_VIRTIO = 5,
};

/// "vtd", "guest", ...
const char *iom_trace_arch_name(enum iom_trace_arch arch);
const char *iom_trace_clock_name(enum iom_trace_clock clock);

/// Lists of the header. Every text is UTF-8 and may hold any byte but 0.
enum iom_trace_list {
    IOM_TRACE_DEVICES = 0,  ///< number = device as in records, text = its name ("0000:00:04.0")
    IOM_TRACE_STRINGS = 1,  ///< texts of marks; number is not used (kept 0)
    IOM_TRACE_SOURCES = 2,  ///< imported files; number = CRC-32C of the (decompressed) bytes
    IOM_TRACE_COUNTERS = 3, ///< importer's counts: number = count, text = name
    IOM_TRACE_NOTES = 4,    ///< importer's remarks; number is not used (kept 0)
    IOM_TRACE_LISTS = 5,
};

struct iom_trace_entry {
    uint64_t number;
    char *text;
};

struct iom_trace_entries {
    struct iom_trace_entry *entry;
    uint32_t count;
    uint32_t room;
};

/// Number of records when a trace was written to a pipe, which cannot be patched at the end.
#define IOM_TRACE_COUNT_UNKNOWN UINT64_MAX

struct iom_trace_header {
    uint32_t version; ///< set by the reader; writers write IOM_TRACE_VERSION
    enum iom_trace_clock clock;
    enum iom_trace_arch arch;
    uint64_t tick_ps;     ///< picoseconds of a tick, 1 or more
    uint32_t queue_depth; ///< most operations outstanding at once in the recording, 0 = not known
    uint64_t records;     ///< set by the reader, may be IOM_TRACE_COUNT_UNKNOWN; writers ignore it
    char *producer;       ///< program that wrote the trace, or NULL
    struct iom_trace_entries list[IOM_TRACE_LISTS];
};

/// Defaults: guest clock of 1000 ps, nothing known, empty lists.
void iom_trace_header_init(struct iom_trace_header *header);
void iom_trace_header_free(struct iom_trace_header *header);
/// Appends a copy of `text`; returns the 1-based index of the new entry, 0 if memory is short or a
/// list is full (65,535 entries).
uint32_t iom_trace_header_add(struct iom_trace_header *header, enum iom_trace_list list, uint64_t number,
                              const char *text);
/// Replaces the producer; false if memory is short.
bool iom_trace_header_set_producer(struct iom_trace_header *header, const char *text);

// ---------------------------------------------------------------------------------------------------
// Reading

struct iom_trace_reader;

/// Opens a trace, binary or text; "-" is standard input. NULL and `error` if it cannot be read, is
/// empty, is no trace, is damaged or was written by a newer program.
struct iom_trace_reader *iom_trace_reader_open(const char *path, struct iom_trace_error *error);
/// The same from memory, which must outlive the reader; `name` appears in messages.
struct iom_trace_reader *iom_trace_reader_open_memory(const void *data, size_t bytes, const char *name,
                                                      struct iom_trace_error *error);
/// Next record: 1 and `record`, 0 at the (verified) end, -1 and `error`. After 0 or -1 the reader
/// stays there. Records are checked with iom_trace_record_fault and for time order. 0 is only
/// returned once the end marker, the number of records and all checksums have been found right.
int iom_trace_read(struct iom_trace_reader *reader, struct iom_trace_record *record,
                   struct iom_trace_error *error);
/// The header, valid until the reader is closed.
const struct iom_trace_header *iom_trace_reader_header(const struct iom_trace_reader *reader);
/// Records returned so far.
uint64_t iom_trace_reader_position(const struct iom_trace_reader *reader);
/// True for the text twin.
bool iom_trace_reader_is_text(const struct iom_trace_reader *reader);
void iom_trace_reader_close(struct iom_trace_reader *reader);

// ---------------------------------------------------------------------------------------------------
// Writing

struct iom_trace_writer;

enum iom_trace_form {
    IOM_TRACE_BINARY = 0,
    IOM_TRACE_TEXT = 1,
};

/// Starts a trace at `path` ("-" is standard output). A regular file appears under its name only
/// when iom_trace_writer_close succeeds; a pipe or device is written directly. The header is copied.
/// NULL and `error` on failure.
struct iom_trace_writer *iom_trace_writer_open(const char *path, enum iom_trace_form form,
                                               const struct iom_trace_header *header,
                                               struct iom_trace_error *error);
/// Starts a trace in memory; iom_trace_writer_take hands the bytes over.
struct iom_trace_writer *iom_trace_writer_open_memory(enum iom_trace_form form,
                                                      const struct iom_trace_header *header,
                                                      struct iom_trace_error *error);
/// Appends a record; false and `error` if it is not well formed, out of time order, or cannot be
/// written. A failed writer stays failed.
bool iom_trace_write(struct iom_trace_writer *writer, const struct iom_trace_record *record,
                     struct iom_trace_error *error);
/// Ends the trace and frees the writer. False and `error` if anything could not be written; then no
/// file is left under the target's name (an older one stays untouched).
bool iom_trace_writer_close(struct iom_trace_writer *writer, struct iom_trace_error *error);
/// Ends a trace in memory and frees the writer; the caller frees `*data` with free().
bool iom_trace_writer_take(struct iom_trace_writer *writer, void **data, size_t *bytes,
                           struct iom_trace_error *error);
/// Gives up: removes what was written and frees the writer. NULL is allowed.
void iom_trace_writer_abort(struct iom_trace_writer *writer);

#ifdef __cplusplus
}
#endif

#endif
