// SPDX-License-Identifier: Apache-2.0
//
// Line reader and word cursor; see trace_lines.h.
#include "traffic/trace_lines.h"

#include <stdlib.h>
#include <string.h>

struct iom_lines {
    struct iom_input *input;
    char *buffer; ///< IOM_LINE_MAX_BYTES + 1: the unread bytes lie at at..end
    size_t at;
    size_t end;
    bool ended;
    bool terminated;
    uint64_t number;
    uint32_t crc;
};

struct iom_lines *iom_lines_open(struct iom_input *input, struct iom_trace_error *error)
{
    struct iom_lines *lines = calloc(1, sizeof *lines);
    char *buffer = malloc(IOM_LINE_MAX_BYTES + 1);
    if (lines == NULL || buffer == NULL) {
        iom_trace_fail(error, "%s: out of memory", iom_input_name(input));
        iom_input_close(input);
        free(lines);
        free(buffer);
        return NULL;
    }
    lines->input = input;
    lines->buffer = buffer;
    return lines;
}

/// Moves the unread bytes to the front and fills the rest of the buffer.
static bool fill(struct iom_lines *lines, struct iom_trace_error *error)
{
    memmove(lines->buffer, lines->buffer + lines->at, lines->end - lines->at);
    lines->end -= lines->at;
    lines->at = 0;
    size_t room = IOM_LINE_MAX_BYTES - lines->end;
    int64_t got = iom_input_read(lines->input, lines->buffer + lines->end, room, error);
    if (got < 0)
        return false;
    lines->crc = iom_crc32c(lines->crc, lines->buffer + lines->end, (size_t)got);
    lines->end += (size_t)got;
    lines->ended = (size_t)got < room;
    return true;
}

int iom_lines_next(struct iom_lines *lines, char **text, struct iom_trace_error *error)
{
    char *end = memchr(lines->buffer + lines->at, '\n', lines->end - lines->at);
    if (end == NULL && !lines->ended) {
        if (!fill(lines, error))
            return -1;
        end = memchr(lines->buffer, '\n', lines->end);
    }
    if (end == NULL && lines->at == lines->end)
        return 0;
    lines->number++;
    lines->terminated = end != NULL;
    if (end == NULL && !lines->ended) {
        iom_trace_fail(error, "%s:%llu: the line is longer than %u bytes; this is no log",
                       iom_lines_name(lines), (unsigned long long)lines->number, IOM_LINE_MAX_BYTES);
        return -1;
    }
    char *line = lines->buffer + lines->at;
    size_t length = end != NULL ? (size_t)(end - line) : lines->end - lines->at;
    lines->at += length + (end != NULL);
    if (length != 0 && line[length - 1] == '\r')
        length--;
    line[length] = '\0';
    if (strlen(line) != length) {
        iom_trace_fail(error, "%s:%llu: the line holds a 0 byte; this is no text file", iom_lines_name(lines),
                       (unsigned long long)lines->number);
        return -1;
    }
    *text = line;
    return 1;
}

bool iom_lines_peek(struct iom_lines *lines, char *to, size_t *bytes, struct iom_trace_error *error)
{
    if (lines->end == 0 && !lines->ended && !fill(lines, error))
        return false;
    memcpy(to, lines->buffer, lines->end);
    to[lines->end] = '\0';
    *bytes = lines->end;
    return true;
}

uint64_t iom_lines_number(const struct iom_lines *lines)
{
    return lines->number;
}

bool iom_lines_terminated(const struct iom_lines *lines)
{
    return lines->terminated;
}

uint32_t iom_lines_crc(const struct iom_lines *lines)
{
    return lines->crc;
}

const char *iom_lines_name(const struct iom_lines *lines)
{
    return iom_input_name(lines->input);
}

void iom_lines_close(struct iom_lines *lines)
{
    if (lines == NULL)
        return;
    iom_input_close(lines->input);
    free(lines->buffer);
    free(lines);
}

// ---------------------------------------------------------------------------------------------------

void iom_skip_blanks(struct iom_cursor *cursor)
{
    while (*cursor->at == ' ' || *cursor->at == '\t')
        cursor->at++;
}

bool iom_take(struct iom_cursor *cursor, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(cursor->at, word, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

bool iom_find(struct iom_cursor *cursor, const char *word)
{
    const char *found = strstr(cursor->at, word);
    if (found == NULL)
        return false;
    cursor->at = found + strlen(word);
    return true;
}

bool iom_take_decimal(struct iom_cursor *cursor, uint64_t *value)
{
    const char *at = cursor->at;
    uint64_t sum = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    if (at == cursor->at)
        return false;
    cursor->at = at;
    *value = sum;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool iom_take_hex(struct iom_cursor *cursor, uint64_t *value)
{
    const char *at = cursor->at;
    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
        at += 2;
    const char *first = at;
    uint64_t sum = 0;
    for (int digit = hex_digit(*at); digit >= 0; digit = hex_digit(*++at)) {
        if (sum >> 60 != 0)
            return false;
        sum = sum << 4 | (uint64_t)digit;
    }
    if (at == first)
        return false;
    cursor->at = at;
    *value = sum;
    return true;
}

bool iom_take_number(struct iom_cursor *cursor, uint64_t *value)
{
    if (cursor->at[0] == '0' && cursor->at[1] == 'x')
        return iom_take_hex(cursor, value);
    return iom_take_decimal(cursor, value);
}

bool iom_take_seconds_ns(struct iom_cursor *cursor, uint64_t *ns)
{
    struct iom_cursor at = *cursor;
    uint64_t seconds;
    uint64_t fraction;
    if (!iom_take_decimal(&at, &seconds) || seconds > UINT64_MAX / 1000000000 - 1 || !iom_take(&at, "."))
        return false;
    const char *digits = at.at;
    if (!iom_take_decimal(&at, &fraction) || at.at - digits > 9)
        return false;
    for (size_t i = (size_t)(at.at - digits); i < 9; i++)
        fraction *= 10;
    *cursor = at;
    *ns = seconds * 1000000000 + fraction;
    return true;
}

bool iom_take_bdf(struct iom_cursor *cursor, uint32_t *device)
{
    struct iom_cursor at = *cursor;
    uint64_t part[4];
    unsigned parts = 0;
    for (; parts < 3; parts++) {
        if (hex_digit(*at.at) < 0 || !iom_take_hex(&at, &part[parts]))
            return false;
        if (*at.at != ':')
            break;
        at.at++;
    }
    // part[0..parts]: [segment,] bus, device; the function follows the point.
    if (parts < 1 || parts > 2 || !iom_take(&at, ".") || !iom_take_hex(&at, &part[3]))
        return false;
    uint64_t segment = parts == 2 ? part[0] : 0;
    uint64_t bus = part[parts - 1];
    uint64_t slot = part[parts];
    if (segment > 0xffff || bus > 0xff || slot > 0x1f || part[3] > 7)
        return false;
    *device = (uint32_t)(segment << 16 | bus << 8 | slot << 3 | part[3]);
    *cursor = at;
    return true;
}

int iom_token_length(const char *at, int most)
{
    int length = 0;
    while (length < most && at[length] != '\0' && at[length] != ' ' && at[length] != '\t')
        length++;
    return length;
}
