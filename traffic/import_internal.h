// SPDX-License-Identifier: Apache-2.0
//
// How an import flows, and what its steps share.
//
//     import_guest.c      ftrace text -> guest events        import_host.c   QEMU log -> host events
//     import_attribute.c  which device each map and unmap belongs to
//     import_align.c      which guest event happened before which host event (order, not time)
//     import_nvme.c       what each translation of an NVMe controller was for; its operations
//     import_weave.c      one sequence of both, and what was mapped before the capture
//     import_emit.c       that sequence as records
//
// Events are kept in arrays and refer to each other by index.
#ifndef IOM_TRAFFIC_IMPORT_INTERNAL_H
#define IOM_TRAFFIC_IMPORT_INTERNAL_H

#include "traffic/import.h"
#include "traffic/trace_io.h"
#include "traffic/trace_lines.h"
#include "traffic/trace_ranges.h"
#include "traffic/trace_table.h"

#define IOM_NO_EVENT UINT32_MAX

// ---------------------------------------------------------------------------------------------------
// Small tools

/// Makes room for one more element of `size` bytes in a growing array; false if memory is short.
bool iom_grow(void **array, uint32_t count, uint32_t *room, size_t size);

// ---------------------------------------------------------------------------------------------------
// Events

enum iom_guest_kind {
    IOM_GUEST_MAP,
    IOM_GUEST_UNMAP,
    IOM_GUEST_INVALIDATE, ///< VT-d queued invalidation: iova = first, address = second descriptor word
    IOM_GUEST_ATTACH,
    IOM_GUEST_MARK,
};

struct iom_guest_event {
    uint64_t time_ns;
    uint64_t iova;
    uint64_t bytes;
    uint64_t address;
    uint64_t cookie;   ///< kernel address of the domain (kprobe lines), 0 = not known
    uint64_t op;       ///< set by the weave
    uint64_t dma_iova; ///< MAP: byte range a dma_map_* line named, dma_bytes = 0 if none did
    uint64_t dma_bytes;
    uint32_t device; ///< IOM_TRACE_NO_DEVICE until attributed
    uint32_t domain; ///< set by the weave
    uint32_t anchor; ///< host event at or after which this event is placed, or IOM_NO_EVENT
    uint16_t cpu;
    uint16_t text;  ///< MARK
    uint8_t kind;   ///< enum iom_guest_kind
    uint8_t access; ///< MAP: IOM_TRACE_READ, IOM_TRACE_WRITE; 0 = not known
    bool begin;     ///< MARK
    bool coherent;  ///< MAP: a dma_alloc (rings), not a streaming buffer
    bool deferred;  ///< UNMAP
    bool drop;      ///< not wanted in the trace (--device, nothing unmapped)
};

enum iom_host_kind {
    IOM_HOST_TRANSLATE,
    IOM_HOST_FAULT,
    IOM_HOST_INVALIDATE, ///< VT-d descriptor (iova = low, address = high word) or a range, see `form`
    IOM_HOST_MAP,        ///< virtio-iommu: the device model saw a map request
    IOM_HOST_COMMAND,    ///< NVMe: cid, queue, opcode
    IOM_HOST_DATA,       ///< NVMe: iova, bytes of a data buffer
    IOM_HOST_COMPLETE,   ///< NVMe: cid, queue
};

enum iom_invalidation_form {
    IOM_INVALIDATION_DESCRIPTOR, ///< VT-d: both words as submitted
    IOM_INVALIDATION_RANGE,      ///< begins at `iova`
    IOM_INVALIDATION_COUNTED,    ///< AMD-Vi: the log has no address
};

struct iom_host_event {
    uint64_t time_ns;
    uint64_t iova;    ///< byte address
    uint64_t address; ///< TRANSLATE: physical byte address
    uint64_t bytes;   ///< DATA: length; TRANSLATE: length of the DMA, set by the classification
    uint64_t op;      ///< set by the classification
    uint32_t device;
    uint32_t thread;
    uint32_t next_data; ///< TRANSLATE: next data translation of the same op, or IOM_NO_EVENT
    uint16_t queue;
    uint16_t cid;
    uint8_t kind;       ///< enum iom_host_kind
    uint8_t form;       ///< INVALIDATE: enum iom_invalidation_form
    uint8_t opcode;     ///< COMMAND
    uint8_t access;     ///< TRANSLATE, FAULT: direction if known (READ or WRITE)
    uint8_t permission; ///< TRANSLATE: permission of the mapping if known
    uint8_t dma_class;  ///< TRANSLATE: enum iom_trace_dma_class
    bool classified;    ///< TRANSLATE: bytes, access and dma_class are right
    bool pages_only;    ///< TRANSLATE: the log gave the page of the IOVA, not the byte
    bool block_only;    ///< TRANSLATE: the log gave the begin of a page of unknown size as address
    bool drop;
};

struct iom_import_op {
    uint64_t bytes;
    uint32_t device;
    uint32_t first_item; ///< first and last item of the woven sequence that belong to it
    uint32_t last_item;
    uint32_t done_item;  ///< item after which it no longer counts as outstanding
    uint32_t first_data; ///< first data translation, or IOM_NO_EVENT
    uint16_t queue;
    uint16_t cid;
    uint8_t opcode;
    bool completed; ///< the log shows its completion
    bool started;   ///< the weave has come to its first translation
};

/// One element of the woven sequence.
enum iom_item_kind {
    IOM_ITEM_GUEST, ///< index of a guest event
    IOM_ITEM_HOST,  ///< index of a host translation or fault
    IOM_ITEM_SELF,  ///< guest log only: DMA of the buffer of map event `index`
};

struct iom_item {
    uint64_t time_ns;
    uint32_t index;
    uint8_t kind;
};

struct iom_import_device {
    uint32_t id;
    uint32_t first_domain; ///< domain at the start of the trace
    uint32_t domain;       ///< current domain while weaving
};

struct iom_import {
    struct iom_import_options options;
    struct iom_trace_header header;
    uint64_t counts[IOM_IMPORT_COUNT_OF_COUNTS];

    struct iom_import_line_kind *line_kinds;
    uint32_t line_kind_count;
    uint32_t line_kind_room;
    struct iom_table line_kind_index; ///< hash of name and side -> index

    struct iom_guest_event *guest;
    uint32_t guest_count;
    uint32_t guest_room;
    bool has_guest;
    bool has_dma_lines;   ///< the guest log has dma:* events
    bool has_queue_lines; ///< the guest log has qi_submit lines

    struct iom_host_event *host;
    uint32_t host_count;
    uint32_t host_room;
    bool has_host;

    uint32_t guest_before; ///< guest events before the host log begins
    uint32_t host_begin;   ///< host events the guest log covers: first, and one behind the last
    uint32_t host_end;

    struct iom_import_op *ops; ///< op ids are indices + 1
    uint32_t op_count;
    uint32_t op_room;

    struct iom_item *items;
    uint32_t item_count;
    uint32_t item_room;

    struct iom_range *synthetic; ///< mappings older than the capture, sorted and merged
    uint32_t synthetic_count;
    uint32_t synthetic_room;

    struct iom_import_device *devices;
    struct iom_table device_index; ///< device -> index in `devices`
    uint32_t device_count;
    uint32_t device_room;
    uint32_t next_domain;
    uint32_t *previous_domain; ///< per domain: the one its device had before, 0 = none
};

static inline void iom_count(struct iom_import *import, enum iom_import_count count, uint64_t by)
{
    import->counts[count] += by;
}

/// Counts a line under its event's name. Names that do not fit the table go to "(others)".
bool iom_count_line(struct iom_import *import, const char *name, size_t length, bool host,
                    enum iom_import_use use);

/// A new event, all zero but for the "none" values; NULL if memory is short.
struct iom_guest_event *iom_new_guest(struct iom_import *import, enum iom_guest_kind kind);
struct iom_host_event *iom_new_host(struct iom_import *import, enum iom_host_kind kind);
/// Index of the device in `devices`, added if new; IOM_NO_EVENT if memory is short.
uint32_t iom_import_device(struct iom_import *import, uint32_t id);

/// Reports a malformed line: true if the import is lenient (then it is counted), else false and `error`.
bool iom_malformed(struct iom_import *import, const struct iom_lines *lines, const char *at,
                   const char *expected, struct iom_trace_error *error);

// ---------------------------------------------------------------------------------------------------
// Steps. Each returns false and sets `error` on failure.

/// Splits an ftrace line; false if it is not one. `rest` is what follows "EVENT: ".
struct iom_ftrace_line {
    uint64_t time_ns;
    uint16_t cpu;
    const char *event;
    size_t event_length;
    const char *rest;
};
bool iom_ftrace_split(const char *line, struct iom_ftrace_line *parts);
/// True if the line is one of a QEMU trace log; `event` is its event name.
struct iom_qemu_line {
    uint64_t time_ns;
    uint32_t thread;
    const char *event;
    size_t event_length;
    const char *rest;
};
bool iom_qemu_split(const char *line, struct iom_qemu_line *parts);

bool iom_import_guest(struct iom_import *import, struct iom_lines *lines, struct iom_trace_error *error);
bool iom_import_host(struct iom_import *import, struct iom_lines *lines, struct iom_trace_error *error);
bool iom_import_attribute(struct iom_import *import, struct iom_trace_error *error);
bool iom_import_align(struct iom_import *import, struct iom_trace_error *error);
bool iom_import_nvme(struct iom_import *import, struct iom_trace_error *error);
bool iom_import_weave(struct iom_import *import, struct iom_trace_error *error);
/// Turns the woven sequence into records, each handed to `put`; also fills the counts of records.
typedef bool (*iom_put_record)(void *context, const struct iom_trace_record *record,
                               struct iom_trace_error *error);
bool iom_import_emit(struct iom_import *import, iom_put_record put, void *context,
                     struct iom_trace_error *error);

// ---------------------------------------------------------------------------------------------------
// Parts of the weave

/// Map and unmap events by address (import_pages.c).
struct iom_page_events;
struct iom_found_events {
    uint32_t first; ///< next event on the page, or IOM_NO_EVENT
    uint32_t map;   ///< next map event on the page with the physical address of the translation
};
struct iom_page_events *iom_page_events_new(const struct iom_import *import);
void iom_page_events_free(struct iom_page_events *events);
/// Events from index `from` on that concern the page of a translation. `from` must not decrease.
struct iom_found_events iom_page_events_find(struct iom_page_events *events,
                                             const struct iom_host_event *host, uint32_t from);
/// True if a translation's physical address can be `mapped`.
bool iom_same_address(const struct iom_host_event *host, uint64_t mapped);

/// Host time as guest time (import_clock.c).
struct iom_import_clock;
struct iom_import_clock *iom_import_clock_new(const struct iom_import *import,
                                              struct iom_page_events *events);
void iom_import_clock_free(struct iom_import_clock *clock);
/// Guest time in ns of host event `index`; to be asked in order.
uint64_t iom_import_clock_guest(struct iom_import_clock *clock, uint32_t index);

#endif
