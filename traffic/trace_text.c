// SPDX-License-Identifier: Apache-2.0
//
// The text form of a record: `TIME KIND key=value...`, one line, re-readable without loss.
//
// Fields that hold "nothing" are left out, so writing and reading a well-formed record gives the same
// record, and a person can write a trace by hand. docs/trace-format.md lists the keys.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "traffic/trace_internal.h"

static const char *const class_names[] = {
    [IOM_TRACE_DMA_OTHER] = "other",
    [IOM_TRACE_DMA_RING] = "ring",
    [IOM_TRACE_DMA_DATA] = "data",
    [IOM_TRACE_DMA_COMPLETION] = "completion",
};

static const char *const mark_names[] = {
    [IOM_TRACE_PHASE_BEGIN] = "phase_begin",
    [IOM_TRACE_PHASE_END] = "phase_end",
    [IOM_TRACE_ROI_BEGIN] = "roi_begin",
    [IOM_TRACE_ROI_END] = "roi_end",
};

static const struct {
    const char *name;
    uint16_t bit;
} flag_names[] = {
    {"read", IOM_TRACE_READ},       {"write", IOM_TRACE_WRITE},         {"exec", IOM_TRACE_EXEC},
    {"priv", IOM_TRACE_PRIV},       {"synthetic", IOM_TRACE_SYNTHETIC}, {"deferred", IOM_TRACE_DEFERRED},
    {"faulted", IOM_TRACE_FAULTED},
};

enum { FLAG_NAMES = sizeof flag_names / sizeof *flag_names };

struct line {
    char *to;
    size_t length;
};

static void append(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int wrote = vsnprintf(line->to + line->length, IOM_RECORD_TEXT_BYTES - line->length, format, args);
    va_end(args);
    line->length += (size_t)wrote;
}

static void append_device(struct line *line, uint32_t device)
{
    if (device != IOM_TRACE_NO_DEVICE)
        append(line, " dev=%04x:%02x:%02x.%x", device >> 16, device >> 8 & 0xff, device >> 3 & 0x1f,
               device & 7);
}

static void append_flags(struct line *line, unsigned flags)
{
    const char *before = " flags=";
    for (unsigned i = 0; i < FLAG_NAMES; i++) {
        if (flags & flag_names[i].bit) {
            append(line, "%s%s", before, flag_names[i].name);
            before = ",";
        }
    }
}

size_t iom_trace_record_text(const struct iom_trace_record *r, char *to)
{
    struct line line = {to, 0};
    append(&line, "%" PRIu64 " %s", r->time, iom_trace_kind_name(r->kind));
    if (r->op != 0)
        append(&line, " op=%" PRIu64, r->op);
    append_device(&line, r->device);
    if (r->cpu != IOM_TRACE_NO_CPU)
        append(&line, " cpu=%u", r->cpu);
    if (r->domain != 0)
        append(&line, " domain=%" PRIu32, r->domain);
    if (r->pasid != IOM_TRACE_NO_PASID)
        append(&line, " pasid=%" PRIu32, r->pasid);
    if (r->queue != 0)
        append(&line, " queue=%u", r->queue);
    if (r->opcode != 0)
        append(&line, " opcode=0x%02x", r->opcode);
    if (r->kind == IOM_TRACE_MAP || r->kind == IOM_TRACE_UNMAP || r->kind == IOM_TRACE_DMA)
        append(&line, " iova=0x%" PRIx64, r->iova);
    if (r->kind == IOM_TRACE_MAP)
        append(&line, " pa=0x%" PRIx64, r->address);
    if (r->bytes != 0)
        append(&line, " bytes=%" PRIu64, r->bytes);
    if (r->page_log2 != 0)
        append(&line, " page=%u", r->page_log2);
    if (r->kind == IOM_TRACE_DMA)
        append(&line, " class=%s", class_names[r->detail]);
    if (r->kind == IOM_TRACE_MARK)
        append(&line, " mark=%s", mark_names[r->detail]);
    if (r->text != 0)
        append(&line, " text=%u", r->text);
    append_flags(&line, r->flags);
    return line.length;
}

// ---------------------------------------------------------------------------------------------------

static bool take_name(struct iom_cursor *cursor, const char *const *names, unsigned count, uint8_t *index)
{
    for (unsigned i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(cursor->at, names[i], length) == 0 && strchr(" \t", cursor->at[length]) != NULL) {
            cursor->at += length;
            *index = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool take_flags(struct iom_cursor *cursor, uint16_t *flags)
{
    do {
        unsigned i = 0;
        size_t length = 0;
        for (; i < FLAG_NAMES; i++) {
            length = strlen(flag_names[i].name);
            if (strncmp(cursor->at, flag_names[i].name, length) == 0 &&
                strchr(", \t", cursor->at[length]) != NULL)
                break;
        }
        if (i == FLAG_NAMES || (*flags & flag_names[i].bit))
            return false;
        *flags |= flag_names[i].bit;
        cursor->at += length;
    } while (iom_take(cursor, ","));
    return true;
}

static bool take_below(struct iom_cursor *cursor, uint64_t most, uint64_t *value)
{
    return iom_take_number(cursor, value) && *value <= most;
}

/// The keys of the text form. The order is that of iom_trace_record_text.
enum key {
    KEY_OP,
    KEY_DEV,
    KEY_CPU,
    KEY_DOMAIN,
    KEY_PASID,
    KEY_QUEUE,
    KEY_OPCODE,
    KEY_IOVA,
    KEY_PA,
    KEY_BYTES,
    KEY_PAGE,
    KEY_CLASS,
    KEY_MARK,
    KEY_TEXT,
    KEY_FLAGS,
    KEYS
};

static const char *const key_names[KEYS] = {
    "op=", "dev=",   "cpu=",  "domain=", "pasid=", "queue=", "opcode=", "iova=",
    "pa=", "bytes=", "page=", "class=",  "mark=",  "text=",  "flags="};

static const char *const key_values[KEYS] = {
    "a number",
    "a PCI address such as 0000:00:04.0",
    "a number below 65535",
    "a number below 2^32",
    "a number of at most 20 bits",
    "a number below 65536",
    "a number below 256",
    "an address",
    "an address",
    "a number of bytes",
    "12, 21 or 30",
    "ring, data, completion or other",
    "phase_begin, phase_end, roi_begin or roi_end",
    "the number of a string of the header",
    "names out of read, write, exec, priv, synthetic, deferred, faulted, separated by commas",
};

static bool take_value(struct iom_cursor *cursor, enum key key, struct iom_trace_record *r)
{
    uint64_t value = 0;
    bool good;
    switch (key) {
    case KEY_OP:
        return iom_take_number(cursor, &r->op);
    case KEY_DEV:
        return iom_take_bdf(cursor, &r->device);
    case KEY_CPU:
        good = take_below(cursor, IOM_TRACE_NO_CPU - 1, &value);
        r->cpu = (uint16_t)value;
        return good;
    case KEY_DOMAIN:
        good = take_below(cursor, UINT32_MAX, &value);
        r->domain = (uint32_t)value;
        return good;
    case KEY_PASID:
        good = take_below(cursor, (1u << 20) - 1, &value);
        r->pasid = (uint32_t)value;
        return good;
    case KEY_QUEUE:
        good = take_below(cursor, UINT16_MAX, &value);
        r->queue = (uint16_t)value;
        return good;
    case KEY_OPCODE:
        good = take_below(cursor, UINT8_MAX, &value);
        r->opcode = (uint8_t)value;
        return good;
    case KEY_IOVA:
        return iom_take_number(cursor, &r->iova);
    case KEY_PA:
        return iom_take_number(cursor, &r->address);
    case KEY_BYTES:
        return iom_take_number(cursor, &r->bytes);
    case KEY_PAGE:
        good = take_below(cursor, 63, &value);
        r->page_log2 = (uint8_t)value;
        return good;
    case KEY_CLASS:
        return take_name(cursor, class_names, sizeof class_names / sizeof *class_names, &r->detail);
    case KEY_MARK:
        return take_name(cursor, mark_names, sizeof mark_names / sizeof *mark_names, &r->detail);
    case KEY_TEXT:
        good = take_below(cursor, UINT16_MAX, &value);
        r->text = (uint16_t)value;
        return good;
    default:
        return take_flags(cursor, &r->flags);
    }
}

static const char *parse_kind(struct iom_cursor *cursor, struct iom_trace_record *record)
{
    uint64_t time;
    if (!iom_take_decimal(cursor, &time))
        return "a time in ticks";
    iom_skip_blanks(cursor);
    for (unsigned kind = IOM_TRACE_ATTACH; kind <= IOM_TRACE_MARK; kind++) {
        const char *name = iom_trace_kind_name(kind);
        size_t length = strlen(name);
        if (strncmp(cursor->at, name, length) == 0 && strchr(" \t", cursor->at[length]) != NULL) {
            iom_trace_record_init(record, (enum iom_trace_kind)kind);
            record->time = time;
            cursor->at += length;
            return NULL;
        }
    }
    return "attach, detach, map, unmap, dma, op_begin, op_end or mark";
}

const char *iom_trace_record_parse(const char *line, struct iom_trace_record *record, const char **at)
{
    struct iom_cursor cursor = {line};
    unsigned seen = 0;
    iom_skip_blanks(&cursor);
    const char *fault = parse_kind(&cursor, record);
    for (iom_skip_blanks(&cursor); fault == NULL && *cursor.at != '\0'; iom_skip_blanks(&cursor)) {
        unsigned key = 0;
        *at = cursor.at;
        while (key < KEYS && !iom_take(&cursor, key_names[key]))
            key++;
        if (key == KEYS)
            return "key=value with a key out of op, dev, cpu, domain, pasid, queue, opcode, iova, pa, bytes, "
                   "page, "
                   "class, mark, text, flags";
        if (seen & 1u << key)
            return "each key once";
        seen |= 1u << key;
        if (!take_value(&cursor, (enum key)key, record) || strchr(" \t", *cursor.at) == NULL)
            return key_values[key];
    }
    *at = cursor.at;
    return fault;
}
