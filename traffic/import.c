// SPDX-License-Identifier: Apache-2.0
//
// Entry points of the importer (import.h) and the tools its steps share.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/import_internal.h"

// ---------------------------------------------------------------------------------------------------
// Tools

bool iom_grow(void **array, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return true;
    uint32_t bigger = *room == 0 ? 64 : *room * 2;
    void *grown = bigger <= *room ? NULL : realloc(*array, bigger * size);
    if (grown == NULL)
        return false;
    *array = grown;
    *room = bigger;
    return true;
}

bool iom_count_line(struct iom_import *import, const char *name, size_t length, bool host,
                    enum iom_import_use use)
{
    enum { MOST_KINDS = 512 };
    struct iom_import_line_kind kind = {.use = use, .host = host};
    if (length >= sizeof kind.name)
        length = sizeof kind.name - 1;
    memcpy(kind.name, name, length);
    iom_count(import, IOM_IMPORT_unknown_lines, use == IOM_IMPORT_UNKNOWN);
    iom_count(import, IOM_IMPORT_interrupt_lines, use == IOM_IMPORT_INTERRUPT);
    uint64_t key = (uint64_t)iom_crc32c(host, kind.name, length) << 32 | length << 1 | host;
    uint64_t *index = iom_table_get(&import->line_kind_index, key);
    if (index == NULL) {
        if (import->line_kind_count == MOST_KINDS)
            return true; // a log of several hundred event names: the sum above still counts it
        void *array = import->line_kinds;
        if (!iom_grow(&array, import->line_kind_count, &import->line_kind_room, sizeof kind))
            return false;
        import->line_kinds = array;
        index = iom_table_put(&import->line_kind_index, key, import->line_kind_count);
        if (index == NULL)
            return false;
        import->line_kinds[import->line_kind_count++] = kind;
    }
    import->line_kinds[*index].count++;
    return true;
}

struct iom_guest_event *iom_new_guest(struct iom_import *import, enum iom_guest_kind kind)
{
    void *array = import->guest;
    if (import->guest_count == IOM_NO_EVENT - 1 ||
        !iom_grow(&array, import->guest_count, &import->guest_room, sizeof *import->guest))
        return NULL;
    import->guest = array;
    struct iom_guest_event *event = &import->guest[import->guest_count++];
    memset(event, 0, sizeof *event);
    event->kind = (uint8_t)kind;
    event->device = IOM_TRACE_NO_DEVICE;
    event->anchor = IOM_NO_EVENT;
    return event;
}

struct iom_host_event *iom_new_host(struct iom_import *import, enum iom_host_kind kind)
{
    void *array = import->host;
    if (import->host_count == IOM_NO_EVENT - 1 ||
        !iom_grow(&array, import->host_count, &import->host_room, sizeof *import->host))
        return NULL;
    import->host = array;
    struct iom_host_event *event = &import->host[import->host_count++];
    memset(event, 0, sizeof *event);
    event->kind = (uint8_t)kind;
    event->device = IOM_TRACE_NO_DEVICE;
    return event;
}

uint32_t iom_import_device(struct iom_import *import, uint32_t id)
{
    const uint64_t *known = iom_table_get(&import->device_index, id);
    if (known != NULL)
        return (uint32_t)*known;
    void *array = import->devices;
    if (!iom_grow(&array, import->device_count, &import->device_room, sizeof *import->devices))
        return IOM_NO_EVENT;
    import->devices = array;
    if (iom_table_put(&import->device_index, id, import->device_count) == NULL)
        return IOM_NO_EVENT;
    import->devices[import->device_count] = (struct iom_import_device){.id = id};
    return import->device_count++;
}

bool iom_malformed(struct iom_import *import, const struct iom_lines *lines, const char *at,
                   const char *expected, struct iom_trace_error *error)
{
    if (import->options.lenient) {
        iom_count(import, IOM_IMPORT_malformed_lines, 1);
        return true;
    }
    int length = (int)strlen(at) < 60 ? (int)strlen(at) : 60;
    return iom_trace_fail(error, "%s:%" PRIu64 ": %.*s: expected %s%s (--lenient skips such lines)",
                          iom_lines_name(lines), iom_lines_number(lines), length > 0 ? length : 11,
                          length > 0 ? at : "end of line", expected,
                          iom_lines_terminated(lines) ? "" : "; the file stops in mid-line");
}

// ---------------------------------------------------------------------------------------------------
// Counts

static const struct {
    const char *name;
    const char *text;
} count_texts[IOM_IMPORT_COUNT_OF_COUNTS] = {
#define IOM_IMPORT_ROW(name, description) {#name, description},
    IOM_IMPORT_COUNTS(IOM_IMPORT_ROW)
#undef IOM_IMPORT_ROW
};

const char *iom_import_count_name(enum iom_import_count count)
{
    return count_texts[count].name;
}

const char *iom_import_count_text(enum iom_import_count count)
{
    return count_texts[count].text;
}

uint64_t iom_import_get(const struct iom_import *import, enum iom_import_count count)
{
    return import->counts[count];
}

const struct iom_trace_header *iom_import_header(const struct iom_import *import)
{
    return &import->header;
}

const struct iom_import_line_kind *iom_import_line_kinds(const struct iom_import *import, uint32_t *count)
{
    *count = import->line_kind_count;
    return import->line_kinds;
}

void iom_import_options_init(struct iom_import_options *options)
{
    memset(options, 0, sizeof *options);
    options->mps_bytes = 256;
    options->dma_bytes = 64;
    options->device = IOM_TRACE_NO_DEVICE;
}

// ---------------------------------------------------------------------------------------------------
// Reading the sources

enum side { SIDE_GUEST, SIDE_HOST, SIDE_UNKNOWN };

/// Recognises a log by its first 64 KiB.
static enum side sniff(const char *text)
{
    enum { SNIFF_LINES = 200 };
    if (strncmp(text, "# tracer:", 9) == 0)
        return SIDE_GUEST;
    char line[1024];
    for (int i = 0; i < SNIFF_LINES && *text != '\0'; i++) {
        size_t length = strcspn(text, "\r\n");
        size_t kept = length < sizeof line ? length : sizeof line - 1;
        memcpy(line, text, kept);
        line[kept] = '\0';
        struct iom_ftrace_line guest;
        struct iom_qemu_line host;
        if (iom_qemu_split(line, &host))
            return SIDE_HOST;
        if (line[0] != '#' && iom_ftrace_split(line, &guest))
            return SIDE_GUEST;
        text += length;
        text += strspn(text, "\r\n");
    }
    return SIDE_UNKNOWN;
}

static struct iom_input *open_source(const struct iom_import_source *source, struct iom_trace_error *error)
{
    return source->data != NULL
               ? iom_input_open_memory(source->data, source->bytes, source->name, true, error)
               : iom_input_open(source->name, true, error);
}

static bool not_a_log(const char *name, const char *head, size_t bytes, struct iom_trace_error *error)
{
    static const char trace_dat[] = "\x17\x08\x44tracing";
    if (bytes == 0)
        return iom_trace_fail(error, "%s: the file is empty; record the log again", name);
    if (bytes >= 10 && memcmp(head, trace_dat, 10) == 0)
        return iom_trace_fail(
            error,
            "%s: this is trace-cmd's binary file; run `trace-cmd report FILE > FILE.txt` and import "
            "the text",
            name);
    return iom_trace_fail(
        error,
        "%s:1: %.*s: expected ftrace text (cat /sys/kernel/tracing/trace, trace-cmd report) or a "
        "QEMU trace log (THREAD@SECONDS.MICROSECONDS:EVENT ...)",
        name, iom_token_length(head, 40), head);
}

/// An input whose first bytes have been looked at cannot be rewound (it may be a pipe), so the lines
/// are read through a copy of the head: iom_lines keeps unread bytes itself.
static bool read_source(struct iom_import *import, const struct iom_import_source *source,
                        struct iom_trace_error *error)
{
    struct iom_input *input = open_source(source, error);
    struct iom_lines *lines = input == NULL ? NULL : iom_lines_open(input, error);
    if (lines == NULL)
        return false;
    char head[IOM_LINE_MAX_BYTES + 1];
    size_t bytes = 0;
    enum side side = SIDE_UNKNOWN;
    bool good = iom_lines_peek(lines, head, &bytes, error);
    if (good) {
        side = sniff(head);
        if (side == SIDE_UNKNOWN)
            good = not_a_log(source->name, head, bytes, error);
        else if (side == SIDE_GUEST ? import->has_guest : import->has_host)
            good = iom_trace_fail(error, "%s: a second %s log; give at most one guest and one host log",
                                  source->name, side == SIDE_GUEST ? "guest (ftrace)" : "host (QEMU)");
    }
    good = good && (side == SIDE_GUEST ? iom_import_guest(import, lines, error)
                                       : iom_import_host(import, lines, error));
    const char *slash = strrchr(source->name, '/');
    good = good && iom_trace_header_add(&import->header, IOM_TRACE_SOURCES, iom_lines_crc(lines),
                                        slash != NULL ? slash + 1 : source->name) != 0;
    iom_lines_close(lines);
    return good;
}

static bool check_options(const struct iom_import_options *options, struct iom_trace_error *error)
{
    if (options->mps_bytes < 128 || options->mps_bytes > 4096 || !iom_is_power_of_two(options->mps_bytes))
        return iom_trace_fail(error, "--mps %" PRIu32 ": expected 128, 256, 512, 1024, 2048 or 4096",
                              options->mps_bytes);
    if (options->dma_bytes < 1 || options->dma_bytes > 4096)
        return iom_trace_fail(error, "--dma-bytes %" PRIu32 ": expected 1 to 4096", options->dma_bytes);
    return true;
}

static bool count_record(void *context, const struct iom_trace_record *record, struct iom_trace_error *error)
{
    (void)context;
    (void)record;
    (void)error;
    return true;
}

static bool describe(struct iom_import *import, struct iom_trace_error *error);

static bool run(struct iom_import *import, const struct iom_import_source *sources, unsigned count,
                struct iom_trace_error *error)
{
    for (unsigned i = 0; i < count; i++)
        if (!read_source(import, &sources[i], error))
            return false;
    if (!import->has_guest)
        return iom_trace_fail(
            error, "%s: a host log alone has no maps and unmaps; give the guest's ftrace text as well",
            sources[0].name);
    // The records are produced twice: here for the counts the header holds, later to be written.
    return iom_import_attribute(import, error) && iom_import_align(import, error) &&
           iom_import_nvme(import, error) && iom_import_weave(import, error) &&
           iom_import_emit(import, count_record, NULL, error) && describe(import, error);
}

struct iom_import *iom_import_logs(const struct iom_import_source *sources, unsigned count,
                                   const struct iom_import_options *options, struct iom_trace_error *error)
{
    struct iom_import *import = calloc(1, sizeof *import);
    if (import == NULL) {
        iom_trace_fail(error, "out of memory");
        return NULL;
    }
    error->text[0] = '\0';
    import->options = *options;
    import->next_domain = 1;
    iom_trace_header_init(&import->header);
    bool good = check_options(options, error);
    if (good && (count < 1 || count > 2))
        good = iom_trace_fail(error, "expected one guest log and at most one host log, got %u files", count);
    good = good && run(import, sources, count, error);
    if (!good) {
        if (error->text[0] == '\0')
            iom_trace_fail(error, "out of memory");
        iom_import_free(import);
        return NULL;
    }
    return import;
}

// ---------------------------------------------------------------------------------------------------
// Header

static const char *note_of(const struct iom_import *import, unsigned number)
{
    switch (number) {
    case 0:
        return import->has_host ? "DMA: translations of the host log"
                                : "DMA: one access of each buffer a dma_map_* line names, before its unmap";
    case 1:
        return import->has_host ? "order: the host log's; maps before their first use, unmaps at their "
                                  "invalidation or after their operation"
                                : "order: the guest log's";
    case 2:
        return import->has_host ? "time: the guest's clock, carried on by the host's between common events"
                                : "time: the guest's clock";
    default:
        return NULL;
    }
}

static bool describe(struct iom_import *import, struct iom_trace_error *error)
{
    struct iom_trace_header *header = &import->header;
    bool good =
        import->options.producer == NULL || iom_trace_header_set_producer(header, import->options.producer);
    if (header->arch == IOM_TRACE_ARCH_UNKNOWN && import->has_queue_lines)
        header->arch = IOM_TRACE_ARCH_VTD;
    header->queue_depth = (uint32_t)iom_min_u64(import->counts[IOM_IMPORT_queue_depth], UINT32_MAX);
    for (uint32_t i = 0; good && i < import->device_count; i++) {
        uint32_t id = import->devices[i].id;
        if (import->options.device != IOM_TRACE_NO_DEVICE && id != import->options.device)
            continue;
        char name[32];
        snprintf(name, sizeof name, "%04x:%02x:%02x.%x", id >> 16, id >> 8 & 0xff, id >> 3 & 0x1f, id & 7);
        good = iom_trace_header_add(header, IOM_TRACE_DEVICES, id, name) != 0;
    }
    for (unsigned i = 0; good && i < IOM_IMPORT_COUNT_OF_COUNTS; i++)
        if (import->counts[i] != 0)
            good =
                iom_trace_header_add(header, IOM_TRACE_COUNTERS, import->counts[i], count_texts[i].name) != 0;
    for (unsigned i = 0; good && note_of(import, i) != NULL; i++)
        good = iom_trace_header_add(header, IOM_TRACE_NOTES, 0, note_of(import, i)) != 0;
    return good || iom_trace_fail(error, "out of memory (or more than 65535 devices)");
}

// ---------------------------------------------------------------------------------------------------
// Writing

static bool write_record(void *context, const struct iom_trace_record *record, struct iom_trace_error *error)
{
    return iom_trace_write(context, record, error);
}

bool iom_import_write(const struct iom_import *import, const char *path, enum iom_trace_form form,
                      struct iom_trace_error *error)
{
    struct iom_trace_writer *writer = iom_trace_writer_open(path, form, &import->header, error);
    if (writer == NULL)
        return false;
    struct iom_import copy = *import; // emitting only changes counts
    if (!iom_import_emit(&copy, write_record, writer, error)) {
        iom_trace_writer_abort(writer);
        return false;
    }
    return iom_trace_writer_close(writer, error);
}

int iom_import_buffer(const void *guest, size_t guest_bytes, const void *host, size_t host_bytes,
                      const struct iom_import_options *options, void **trace, size_t *trace_bytes,
                      struct iom_trace_error *error)
{
    struct iom_import_source sources[2] = {{"guest", guest, guest_bytes}, {"host", host, host_bytes}};
    struct iom_import *import = iom_import_logs(sources, host != NULL ? 2 : 1, options, error);
    if (import == NULL)
        return -1;
    struct iom_trace_writer *writer = iom_trace_writer_open_memory(IOM_TRACE_BINARY, &import->header, error);
    bool good = writer != NULL;
    if (good && !iom_import_emit(import, write_record, writer, error)) {
        iom_trace_writer_abort(writer);
        good = false;
    } else if (good) {
        good = iom_trace_writer_take(writer, trace, trace_bytes, error);
    }
    iom_import_free(import);
    return good ? 0 : -1;
}

void iom_import_free(struct iom_import *import)
{
    if (import == NULL)
        return;
    iom_trace_header_free(&import->header);
    iom_table_free(&import->line_kind_index);
    iom_table_free(&import->device_index);
    free(import->line_kinds);
    free(import->guest);
    free(import->host);
    free(import->ops);
    free(import->items);
    free(import->synthetic);
    free(import->devices);
    free(import->previous_domain);
    free(import);
}
