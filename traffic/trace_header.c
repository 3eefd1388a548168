// SPDX-License-Identifier: Apache-2.0
//
// The header of a trace: its lists, and its text form.
//
// Binary and text traces hold the same lines `key: value`, so one parser serves both and the two
// forms cannot drift apart. Texts are escaped (\\, \n as \x0a, other control characters as \xNN) so
// that a value is always one line. The lines have one fixed order, which makes a conversion to text
// and back byte-identical.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/trace_internal.h"

static const char *const clock_names[] = {
    [IOM_TRACE_CLOCK_GUEST] = "guest",
    [IOM_TRACE_CLOCK_SYNTHETIC] = "synthetic",
};

static const char *const arch_names[] = {
    [IOM_TRACE_ARCH_UNKNOWN] = "unknown", [IOM_TRACE_ARCH_VTD] = "vtd",
    [IOM_TRACE_ARCH_SMMUV3] = "smmuv3",   [IOM_TRACE_ARCH_AMDVI] = "amdvi",
    [IOM_TRACE_ARCH_RISCV] = "riscv",     [IOM_TRACE_ARCH_VIRTIO] = "virtio",
};

static const char *const list_names[IOM_TRACE_LISTS] = {
    [IOM_TRACE_DEVICES] = "device",   [IOM_TRACE_STRINGS] = "string", [IOM_TRACE_SOURCES] = "source",
    [IOM_TRACE_COUNTERS] = "counter", [IOM_TRACE_NOTES] = "note",
};

static bool list_has_number(unsigned list)
{
    return list == IOM_TRACE_DEVICES || list == IOM_TRACE_SOURCES || list == IOM_TRACE_COUNTERS;
}

const char *iom_trace_arch_name(enum iom_trace_arch arch)
{
    return arch_names[arch];
}

const char *iom_trace_clock_name(enum iom_trace_clock clock)
{
    return clock_names[clock];
}

void iom_trace_header_init(struct iom_trace_header *header)
{
    memset(header, 0, sizeof *header);
    header->version = IOM_TRACE_VERSION;
    header->tick_ps = 1000;
    header->records = IOM_TRACE_COUNT_UNKNOWN;
}

void iom_trace_header_free(struct iom_trace_header *header)
{
    for (unsigned list = 0; list < IOM_TRACE_LISTS; list++) {
        for (uint32_t i = 0; i < header->list[list].count; i++)
            free(header->list[list].entry[i].text);
        free(header->list[list].entry);
    }
    free(header->producer);
    iom_trace_header_init(header);
}

static char *copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

uint32_t iom_trace_header_add(struct iom_trace_header *header, enum iom_trace_list list, uint64_t number,
                              const char *text)
{
    struct iom_trace_entries *entries = &header->list[list];
    if (entries->count == IOM_HEADER_MAX_ENTRIES)
        return 0;
    if (entries->count == entries->room) {
        uint32_t room = entries->room == 0 ? 8 : entries->room * 2;
        struct iom_trace_entry *grown = realloc(entries->entry, room * sizeof *grown);
        if (grown == NULL)
            return 0;
        entries->entry = grown;
        entries->room = room;
    }
    char *copy = copy_text(text);
    if (copy == NULL)
        return 0;
    entries->entry[entries->count].number = number;
    entries->entry[entries->count].text = copy;
    return ++entries->count;
}

bool iom_trace_header_set_producer(struct iom_trace_header *header, const char *text)
{
    char *copy = copy_text(text);
    if (copy == NULL)
        return false;
    free(header->producer);
    header->producer = copy;
    return true;
}

// ---------------------------------------------------------------------------------------------------
// Writing

static bool put(struct iom_output *output, const char *text, struct iom_trace_error *error)
{
    return iom_output_write(output, text, strlen(text), error);
}

/// Values are escaped so that leading and trailing blanks survive, too.
static bool put_escaped(struct iom_output *output, const char *text, struct iom_trace_error *error)
{
    size_t last = strlen(text);
    for (size_t i = 0; i < last; i++) {
        unsigned char c = (unsigned char)text[i];
        char escaped[8] = {(char)c, '\0'};
        bool edge_blank = c == ' ' && (i == 0 || i == last - 1);
        if (c < 0x20 || c == 0x7f || c == '\\' || edge_blank)
            snprintf(escaped, sizeof escaped, "\\x%02x", c);
        if (!put(output, escaped, error))
            return false;
    }
    return true;
}

static bool put_line(struct iom_output *output, const char *prefix, const char *key, const char *number,
                     const char *text, struct iom_trace_error *error)
{
    return put(output, prefix, error) && put(output, key, error) && put(output, ": ", error) &&
           put(output, number, error) && put_escaped(output, text, error) && put(output, "\n", error);
}

static bool put_list(struct iom_output *output, const char *prefix, const struct iom_trace_header *header,
                     unsigned list, struct iom_trace_error *error)
{
    for (uint32_t i = 0; i < header->list[list].count; i++) {
        const struct iom_trace_entry *entry = &header->list[list].entry[i];
        char number[32] = "";
        if (list == IOM_TRACE_COUNTERS)
            snprintf(number, sizeof number, "%" PRIu64 " ", entry->number);
        else if (list_has_number(list))
            snprintf(number, sizeof number, "0x%" PRIx64 " ", entry->number);
        if (!put_line(output, prefix, list_names[list], number, entry->text, error))
            return false;
    }
    return true;
}

bool iom_trace_header_write(const struct iom_trace_header *header, const char *prefix,
                            struct iom_output *output, struct iom_trace_error *error)
{
    char tick[32];
    char depth[32];
    snprintf(tick, sizeof tick, "%" PRIu64, header->tick_ps);
    snprintf(depth, sizeof depth, "%" PRIu32, header->queue_depth);
    if (header->producer != NULL && !put_line(output, prefix, "producer", "", header->producer, error))
        return false;
    if (!put_line(output, prefix, "clock", "", clock_names[header->clock], error) ||
        !put_line(output, prefix, "tick_ps", tick, "", error) ||
        !put_line(output, prefix, "arch", "", arch_names[header->arch], error) ||
        !put_line(output, prefix, "queue_depth", depth, "", error))
        return false;
    for (unsigned list = 0; list < IOM_TRACE_LISTS; list++)
        if (!put_list(output, prefix, header, list, error))
            return false;
    return true;
}

// ---------------------------------------------------------------------------------------------------
// Reading

/// Undoes put_escaped into a new text; NULL if an escape is malformed (or memory is short).
static char *unescape(const char *text)
{
    char *plain = malloc(strlen(text) + 1);
    if (plain == NULL)
        return NULL;
    char *to = plain;
    while (*text != '\0') {
        if (*text != '\\') {
            *to++ = *text++;
            continue;
        }
        char digits[3] = {0};
        if (text[1] == 'x' && text[2] != '\0' && text[3] != '\0')
            memcpy(digits, text + 2, 2);
        char *end = digits;
        unsigned long value = strtoul(digits, &end, 16);
        if (end != digits + 2 || value == 0) {
            free(plain);
            return NULL;
        }
        *to++ = (char)value;
        text += 4;
    }
    *to = '\0';
    return plain;
}

static int find_name(const char *const *names, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], text) == 0)
            return (int)i;
    return -1;
}

static const char *read_list_line(struct iom_trace_header *header, unsigned list, const char *value)
{
    struct iom_cursor cursor = {value};
    uint64_t number = 0;
    if (list_has_number(list) && (!iom_take_number(&cursor, &number) || !iom_take(&cursor, " ")))
        return "a number, a blank and a text";
    char *text = unescape(cursor.at);
    if (text == NULL)
        return "a text whose escapes are \\xNN";
    uint32_t index = iom_trace_header_add(header, (enum iom_trace_list)list, number, text);
    free(text);
    return index == 0 ? "at most 65535 entries of a kind" : NULL;
}

static const char *read_scalar_line(struct iom_trace_header *header, const char *key, const char *value)
{
    struct iom_cursor cursor = {value};
    uint64_t number;
    if (strcmp(key, "producer") == 0) {
        char *text = unescape(value);
        bool good = text != NULL && iom_trace_header_set_producer(header, text);
        free(text);
        return good ? NULL : "a text whose escapes are \\xNN";
    }
    if (strcmp(key, "clock") == 0) {
        int found = find_name(clock_names, sizeof clock_names / sizeof *clock_names, value);
        header->clock = found < 0 ? IOM_TRACE_CLOCK_GUEST : (enum iom_trace_clock)found;
        return found < 0 ? "clock: guest or synthetic" : NULL;
    }
    if (strcmp(key, "arch") == 0) {
        int found = find_name(arch_names, sizeof arch_names / sizeof *arch_names, value);
        header->arch = found < 0 ? IOM_TRACE_ARCH_UNKNOWN : (enum iom_trace_arch)found;
        return found < 0 ? "arch: unknown, vtd, smmuv3, amdvi, riscv or virtio" : NULL;
    }
    bool whole = iom_take_decimal(&cursor, &number) && *cursor.at == '\0';
    if (strcmp(key, "tick_ps") == 0) {
        header->tick_ps = whole ? number : 0;
        return header->tick_ps == 0 ? "tick_ps: a whole number above 0" : NULL;
    }
    if (strcmp(key, "queue_depth") == 0) {
        header->queue_depth = whole ? (uint32_t)number : 0;
        return whole && number <= UINT32_MAX ? NULL : "queue_depth: a whole number below 2^32";
    }
    return "a key of this version (producer, clock, tick_ps, arch, queue_depth, device, string, source, "
           "counter, "
           "note)";
}

const char *iom_trace_header_line(struct iom_trace_header *header, const char *line)
{
    const char *colon = strstr(line, ": ");
    char key[32];
    if (colon == NULL || (size_t)(colon - line) >= sizeof key)
        return "key: value";
    memcpy(key, line, (size_t)(colon - line));
    key[colon - line] = '\0';
    int list = find_name(list_names, IOM_TRACE_LISTS, key);
    if (list >= 0)
        return read_list_line(header, (unsigned)list, colon + 2);
    return read_scalar_line(header, key, colon + 2);
}
