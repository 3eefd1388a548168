// SPDX-License-Identifier: Apache-2.0
//
// Reads the guest side: ftrace text as /sys/kernel/tracing/trace or `trace-cmd report` prints it.
//
//     TASK-PID [CPU] FLAGS SECONDS: EVENT: ARGS
//
// The flags column has up to five characters or is missing, the event name may be padded, and a task
// name may contain blanks and brackets, so a line is split at "[CPU]" followed by a time. The formats
// are those of include/trace/events/{iommu,dma}.h and drivers/iommu/intel/trace.h of Linux 6.1 to 6.12.
#include <string.h>

#include "traffic/import_internal.h"

/// How many map or unmap events back a dma:* line looks for the ranges it names.
enum { LOOK_BACK = 64 };

static bool take_ftrace_tail(struct iom_cursor *cursor, struct iom_ftrace_line *parts)
{
    iom_skip_blanks(cursor);
    if (!iom_take_seconds_ns(cursor, &parts->time_ns)) {
        cursor->at += iom_token_length(cursor->at, 16);
        iom_skip_blanks(cursor);
        if (!iom_take_seconds_ns(cursor, &parts->time_ns))
            return false;
    }
    if (!iom_take(cursor, ":"))
        return false;
    iom_skip_blanks(cursor);
    parts->event = cursor->at;
    parts->event_length = strcspn(cursor->at, ": \t");
    cursor->at += parts->event_length;
    if (parts->event_length == 0 || !iom_take(cursor, ":"))
        return false;
    iom_skip_blanks(cursor);
    parts->rest = cursor->at;
    return true;
}

bool iom_ftrace_split(const char *line, struct iom_ftrace_line *parts)
{
    for (const char *open = strchr(line, '['); open != NULL; open = strchr(open + 1, '[')) {
        struct iom_cursor cursor = {open + 1};
        uint64_t cpu;
        if (open == line || !iom_take_decimal(&cursor, &cpu) || cpu >= IOM_TRACE_NO_CPU ||
            !iom_take(&cursor, "] "))
            continue;
        parts->cpu = (uint16_t)cpu;
        if (take_ftrace_tail(&cursor, parts))
            return true;
    }
    return false;
}

// ---------------------------------------------------------------------------------------------------
// Handlers: NULL if good, else what was expected at the cursor.

static const char *out_of_memory(void)
{
    return "more memory (out of memory)";
}

static struct iom_guest_event *new_event(struct iom_import *import, enum iom_guest_kind kind,
                                         const struct iom_ftrace_line *parts)
{
    struct iom_guest_event *event = iom_new_guest(import, kind);
    if (event != NULL) {
        event->time_ns = parts->time_ns;
        event->cpu = parts->cpu;
    }
    return event;
}

/// "IOMMU: iova=0xA - 0xB " with A < B, both page aligned.
static const char *take_range(struct iom_cursor *c, uint64_t *first, uint64_t *end)
{
    if (!iom_take(c, "IOMMU: iova=") || !iom_take_hex(c, first) || !iom_take(c, " - ") ||
        !iom_take_hex(c, end) || !iom_take(c, " "))
        return "IOMMU: iova=0x... - 0x...";
    if (*first % IOM_PAGE_BYTES != 0 || *end % IOM_PAGE_BYTES != 0 || (*end <= *first && *end != 0))
        return "a range of whole pages before this";
    return NULL;
}

static const char *read_map(struct iom_import *import, const struct iom_ftrace_line *parts,
                            struct iom_cursor *c)
{
    uint64_t first;
    uint64_t end;
    uint64_t address;
    uint64_t size;
    const char *expected = take_range(c, &first, &end);
    if (expected != NULL)
        return expected;
    if (!iom_take(c, "paddr=") || !iom_take_hex(c, &address) || !iom_take(c, " size=") ||
        !iom_take_decimal(c, &size))
        return "paddr=0x... size=BYTES";
    if (size == 0 || size != end - first || address % IOM_PAGE_BYTES != 0 || size - 1 > UINT64_MAX - address)
        return "the size of the range and a page-aligned physical address before this";
    struct iom_guest_event *event = new_event(import, IOM_GUEST_MAP, parts);
    if (event == NULL)
        return out_of_memory();
    event->iova = first;
    event->bytes = size;
    event->address = address;
    iom_count(import, IOM_IMPORT_guest_maps, 1);
    return NULL;
}

static const char *read_unmap(struct iom_import *import, const struct iom_ftrace_line *parts,
                              struct iom_cursor *c)
{
    uint64_t first;
    uint64_t end;
    uint64_t size;
    uint64_t unmapped;
    const char *expected = take_range(c, &first, &end);
    if (expected != NULL)
        return expected;
    if (!iom_take(c, "size=") || !iom_take_decimal(c, &size) || !iom_take(c, " unmapped_size=") ||
        !iom_take_decimal(c, &unmapped))
        return "size=BYTES unmapped_size=BYTES";
    if (size == 0 || unmapped % IOM_PAGE_BYTES != 0 || (unmapped != 0 && unmapped - 1 > UINT64_MAX - first))
        return "whole pages before this";
    iom_count(import, IOM_IMPORT_guest_unmaps, 1);
    if (unmapped == 0) {
        iom_count(import, IOM_IMPORT_empty_unmaps, 1);
        return NULL;
    }
    struct iom_guest_event *event = new_event(import, IOM_GUEST_UNMAP, parts);
    if (event == NULL)
        return out_of_memory();
    event->iova = first;
    event->bytes = unmapped;
    return NULL;
}

/// kprobe on __iommu_map and __iommu_unmap: "(...) domain=0x.. iova=0x.. ...". It precedes the event it
/// belongs to; the domain pointer is kept until the next map or unmap of this processor.
static const char *read_domain_probe(struct iom_cursor *c, uint64_t *cookie)
{
    if (!iom_find(c, "domain=") || !iom_take_hex(c, cookie))
        return "domain=0x...";
    return NULL;
}

/// "dmar0: 0x.. 0x.. 0x.. 0x.." behind the type of the descriptor.
static const char *read_submit(struct iom_import *import, const struct iom_ftrace_line *parts,
                               struct iom_cursor *c)
{
    bool pasid_cache = iom_take(c, "pc_inv ");
    uint64_t low;
    uint64_t high;
    if (!iom_find(c, ": ") || !iom_take_hex(c, &low) || !iom_take(c, " ") || !iom_take_hex(c, &high))
        return "TYPE UNIT: 0x... 0x... 0x... 0x...";
    import->has_queue_lines = true;
    if (pasid_cache)
        return NULL; // the host logs no line for it
    struct iom_guest_event *event = new_event(import, IOM_GUEST_INVALIDATE, parts);
    if (event == NULL)
        return out_of_memory();
    event->iova = low;
    event->address = high;
    iom_count(import, IOM_IMPORT_guest_invalidations, 1);
    return NULL;
}

static const char *read_attach(struct iom_import *import, const struct iom_ftrace_line *parts,
                               struct iom_cursor *c)
{
    uint32_t device;
    if (!iom_take(c, "IOMMU: device="))
        return "IOMMU: device=NAME";
    if (!iom_take_bdf(c, &device))
        return NULL; // a platform device: no PCI address, so no trace device
    struct iom_guest_event *event = new_event(import, IOM_GUEST_ATTACH, parts);
    if (event == NULL || iom_import_device(import, device) == IOM_NO_EVENT)
        return out_of_memory();
    event->device = device;
    return NULL;
}

/// Index of the header's string `name`, added if new. Captures have tens of phases.
static uint32_t name_of_phase(struct iom_import *import, const char *name)
{
    enum { MOST_PHASES = 1000 };
    const struct iom_trace_entries *strings = &import->header.list[IOM_TRACE_STRINGS];
    for (uint32_t i = 0; i < strings->count; i++)
        if (strcmp(strings->entry[i].text, name) == 0)
            return i + 1;
    return strings->count == MOST_PHASES ? 0
                                         : iom_trace_header_add(&import->header, IOM_TRACE_STRINGS, 0, name);
}

static const char *read_mark(struct iom_import *import, const struct iom_ftrace_line *parts,
                             struct iom_cursor *c)
{
    bool begin = iom_take(c, "BEGIN ");
    if (!begin && !iom_take(c, "END ")) {
        iom_count(import, IOM_IMPORT_skipped_marks, 1);
        return NULL;
    }
    char name[128];
    size_t length = (size_t)iom_token_length(c->at, (int)sizeof name - 1);
    memcpy(name, c->at, length);
    name[length] = '\0';
    uint32_t text = name_of_phase(import, name);
    struct iom_guest_event *event = new_event(import, IOM_GUEST_MARK, parts);
    if (event == NULL)
        return out_of_memory();
    event->text = (uint16_t)text; // 0 if the list is full: a mark without a name
    event->begin = begin;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------
// dma:* lines name the device and the direction of the map or unmap events just before them.

struct dma_line {
    uint64_t first;
    uint64_t bytes;
    uint32_t device;
    uint8_t access;
};

static uint8_t take_direction(struct iom_cursor *c)
{
    if (iom_take(c, "TO_DEVICE"))
        return IOM_TRACE_READ;
    if (iom_take(c, "FROM_DEVICE"))
        return IOM_TRACE_WRITE;
    if (iom_take(c, "BIDIRECTIONAL") || iom_take(c, "NONE"))
        return IOM_TRACE_READ | IOM_TRACE_WRITE;
    return 0;
}

/// Gives the device to the latest events of this kind and processor that lie in the named range.
static void attribute(struct iom_import *import, enum iom_guest_kind kind, const struct dma_line *line,
                      uint16_t cpu, bool coherent)
{
    uint64_t first = iom_align_down(line->first, IOM_PAGE_LOG2);
    uint64_t last = line->first + (line->bytes - 1);
    struct iom_guest_event *lowest = NULL;
    unsigned seen = 0;
    for (uint32_t i = import->guest_count; i-- > 0 && seen < LOOK_BACK;) {
        struct iom_guest_event *event = &import->guest[i];
        if (event->kind != kind)
            continue;
        seen++;
        if (event->cpu != cpu || event->iova > last || event->iova + (event->bytes - 1) < first)
            continue;
        if (event->device != IOM_TRACE_NO_DEVICE)
            break; // an older use of the same addresses
        event->device = line->device;
        event->access = line->access;
        event->coherent = coherent;
        lowest = event;
        if (kind == IOM_GUEST_UNMAP)
            break; // one unmap event for a whole buffer
    }
    if (lowest != NULL && kind == IOM_GUEST_MAP) {
        lowest->dma_iova = line->first;
        lowest->dma_bytes = line->bytes;
    }
}

static const char *take_dma_head(struct iom_cursor *c, struct dma_line *line)
{
    if (!iom_take_bdf(c, &line->device))
        line->device = IOM_TRACE_NO_DEVICE; // a platform device
    if (!iom_find(c, " dir="))
        return "DEVICE dir=DIRECTION";
    line->access = take_direction(c);
    return line->access == 0 ? "TO_DEVICE, FROM_DEVICE, BIDIRECTIONAL or NONE" : NULL;
}

static const char *take_dma_range(struct iom_cursor *c, struct dma_line *line)
{
    if (!iom_take(c, " dma_addr=") || !iom_take_hex(c, &line->first) || !iom_take(c, " size=") ||
        !iom_take_decimal(c, &line->bytes))
        return " dma_addr=ADDRESS size=BYTES";
    if (line->bytes != 0 && line->bytes - 1 > UINT64_MAX - line->first)
        return "a range within 64 bits before this";
    return NULL;
}

/// Scatter lists: "dma_addrs={0x..,0x..} sizes={0x..,0x..}". "..." ends a list the kernel cut short.
static const char *read_dma_sg(struct iom_import *import, struct iom_cursor *c, struct dma_line *line,
                               uint16_t cpu)
{
    struct iom_cursor sizes = *c;
    if (!iom_find(c, "dma_addrs={") || !iom_find(&sizes, "sizes={"))
        return "dma_addrs={...} sizes={...}";
    while (*c->at != '}' && iom_take_hex(c, &line->first)) {
        if (!iom_take_hex(&sizes, &line->bytes) || line->bytes == 0 ||
            line->bytes - 1 > UINT64_MAX - line->first)
            return "as many sizes as addresses";
        attribute(import, IOM_GUEST_MAP, line, cpu, false);
        iom_take(c, ",");
        iom_take(&sizes, ",");
    }
    return *c->at == '}' || iom_take(c, "...") ? NULL : "an address or }";
}

static const char *read_dma(struct iom_import *import, const struct iom_ftrace_line *parts,
                            struct iom_cursor *c, enum iom_guest_kind kind, bool coherent)
{
    struct dma_line line = {0};
    bool scatter = parts->event_length >= 3 && strncmp(parts->event + parts->event_length - 3, "_sg", 3) == 0;
    const char *expected = take_dma_head(c, &line);
    if (expected != NULL || line.device == IOM_TRACE_NO_DEVICE)
        return expected;
    if (iom_import_device(import, line.device) == IOM_NO_EVENT)
        return out_of_memory();
    import->has_dma_lines = true;
    if (scatter)
        return kind == IOM_GUEST_MAP ? read_dma_sg(import, c, &line, parts->cpu) : NULL;
    expected = take_dma_range(c, &line);
    if (expected == NULL && line.bytes != 0)
        attribute(import, kind, &line, parts->cpu, coherent);
    return expected;
}

// ---------------------------------------------------------------------------------------------------

enum handler {
    DO_NOTHING,
    DO_MAP,
    DO_UNMAP,
    DO_PROBE,
    DO_SUBMIT,
    DO_ATTACH,
    DO_MARK,
    DO_PRINT,
    DO_DMA_MAP,
    DO_DMA_ALLOC,
    DO_DMA_UNMAP,
};

struct event_name {
    const char *name;
    enum handler handler;
};

static const struct event_name event_names[] = {
    {"map", DO_MAP},
    {"unmap", DO_UNMAP},
    {"iommu_map_dom", DO_PROBE},
    {"iommu_unmap_dom", DO_PROBE},
    {"qi_submit", DO_SUBMIT},
    {"attach_device_to_domain", DO_ATTACH},
    {"tracing_mark_write", DO_MARK},
    {"print", DO_PRINT},
    {"dma_map_page", DO_DMA_MAP},
    {"dma_map_phys", DO_DMA_MAP},
    {"dma_map_resource", DO_DMA_MAP},
    {"dma_map_sg", DO_DMA_MAP},
    {"dma_alloc", DO_DMA_ALLOC},
    {"dma_alloc_pages", DO_DMA_ALLOC},
    {"dma_unmap_page", DO_DMA_UNMAP},
    {"dma_unmap_phys", DO_DMA_UNMAP},
    {"dma_unmap_resource", DO_DMA_UNMAP},
    {"dma_unmap_sg", DO_DMA_UNMAP},
    {"dma_free", DO_DMA_UNMAP},
    {"dma_free_pages", DO_DMA_UNMAP},
    // Known and not needed: what they say is also said by the lines above or by the host log.
    {"detach_device_from_domain", DO_NOTHING},
    {"add_device_to_group", DO_NOTHING},
    {"remove_device_from_group", DO_NOTHING},
    {"io_page_fault", DO_NOTHING},
    {"cache_tag_assign", DO_NOTHING},
    {"cache_tag_unassign", DO_NOTHING},
    {"cache_tag_flush_range", DO_NOTHING},
    {"cache_tag_flush_range_np", DO_NOTHING},
    {"cache_tag_flush_all", DO_NOTHING},
    {"dma_sync_single_for_cpu", DO_NOTHING},
    {"dma_sync_single_for_device", DO_NOTHING},
    {"dma_sync_sg_for_cpu", DO_NOTHING},
    {"dma_sync_sg_for_device", DO_NOTHING},
    {"intel_iommu_tlb_sync", DO_NOTHING},
    {"amd_iommu_iotlb_sync", DO_NOTHING},
    {"amd_cmd2", DO_NOTHING},
    {"smmu_cmds", DO_NOTHING},
    {"fq_flush_timeout", DO_NOTHING},
    {"fq_flush_iotlb", DO_NOTHING},
    {"prq_report", DO_NOTHING},
};

static const struct event_name *find_event(const struct iom_ftrace_line *parts)
{
    for (size_t i = 0; i < sizeof event_names / sizeof *event_names; i++)
        if (strlen(event_names[i].name) == parts->event_length &&
            strncmp(event_names[i].name, parts->event, parts->event_length) == 0)
            return &event_names[i];
    return NULL;
}

static const char *dispatch(struct iom_import *import, const struct iom_ftrace_line *parts,
                            enum handler handler, uint64_t *cookie, struct iom_cursor *c)
{
    switch (handler) {
    case DO_MAP:
        return read_map(import, parts, c);
    case DO_UNMAP:
        return read_unmap(import, parts, c);
    case DO_PROBE:
        return read_domain_probe(c, cookie);
    case DO_SUBMIT:
        return read_submit(import, parts, c);
    case DO_ATTACH:
        return read_attach(import, parts, c);
    case DO_PRINT: // trace-cmd shows markers as "print: tracing_mark_write: TEXT"
        iom_find(c, "tracing_mark_write: ");
        return read_mark(import, parts, c);
    case DO_MARK:
        return read_mark(import, parts, c);
    case DO_DMA_MAP:
        return read_dma(import, parts, c, IOM_GUEST_MAP, false);
    case DO_DMA_ALLOC:
        return read_dma(import, parts, c, IOM_GUEST_MAP, true);
    case DO_DMA_UNMAP:
        return read_dma(import, parts, c, IOM_GUEST_UNMAP, false);
    default:
        return NULL;
    }
}

/// Lines without an event: "#" comments, "cpus=N", "CPU:0 [LOST 5 EVENTS]", "##### CPU 1 buffer started".
static bool note_other_line(struct iom_import *import, const struct iom_lines *lines, char *line,
                            struct iom_trace_error *error)
{
    struct iom_cursor c = {line};
    uint64_t in_buffer;
    uint64_t written;
    if (iom_find(&c, "entries-in-buffer/entries-written: ") && iom_take_decimal(&c, &in_buffer) &&
        iom_take(&c, "/") && iom_take_decimal(&c, &written)) {
        iom_count(import, IOM_IMPORT_lost_events, written > in_buffer ? written - in_buffer : 0);
        return true;
    }
    c.at = line;
    if (iom_take(&c, "CPU:") && iom_find(&c, "[LOST ")) {
        uint64_t lost = 1;
        iom_take_decimal(&c, &lost);
        iom_count(import, IOM_IMPORT_lost_events, lost);
        return true;
    }
    c.at = line;
    iom_skip_blanks(&c);
    if (*c.at == '\0' || *c.at == '#' || strncmp(line, "cpus=", 5) == 0 ||
        strncmp(line, "version = ", 10) == 0 || strncmp(line, "CPU ", 4) == 0)
        return true;
    return iom_malformed(import, lines, c.at, "TASK-PID [CPU] SECONDS: EVENT: ...", error);
}

static bool read_line(struct iom_import *import, const struct iom_lines *lines, char *line, uint64_t *cookies,
                      struct iom_trace_error *error)
{
    struct iom_ftrace_line parts;
    if (line[0] == '#' || !iom_ftrace_split(line, &parts))
        return note_other_line(import, lines, line, error);
    const struct event_name *name = find_event(&parts);
    enum iom_import_use use = name == NULL                  ? IOM_IMPORT_UNKNOWN
                              : name->handler == DO_NOTHING ? IOM_IMPORT_IGNORED
                                                            : IOM_IMPORT_USED;
    if (!iom_count_line(import, parts.event, parts.event_length, false, use))
        return iom_trace_fail(error, "%s: out of memory", iom_lines_name(lines));
    if (name == NULL || name->handler == DO_NOTHING)
        return true;
    // Processors above 255 share a slot: the pointer is only a hint.
    uint64_t *cookie = &cookies[parts.cpu & 255];
    uint32_t before = import->guest_count;
    struct iom_cursor cursor = {parts.rest};
    const char *expected = dispatch(import, &parts, name->handler, cookie, &cursor);
    if (expected != NULL)
        return iom_malformed(import, lines, cursor.at, expected, error);
    if (import->guest_count > before && (name->handler == DO_MAP || name->handler == DO_UNMAP)) {
        import->guest[before].cookie = *cookie;
        *cookie = 0;
    }
    return true;
}

bool iom_import_guest(struct iom_import *import, struct iom_lines *lines, struct iom_trace_error *error)
{
    uint64_t cookies[256] = {0};
    char *line;
    int got;
    import->has_guest = true;
    while ((got = iom_lines_next(lines, &line, error)) == 1) {
        iom_count(import, IOM_IMPORT_guest_lines, 1);
        if (!read_line(import, lines, line, cookies, error))
            return false;
    }
    return got == 0;
}
