// SPDX-License-Identifier: Apache-2.0
//
// Text line by line, and the words of a line: what the text twin and the log importers share.
//
// Lines come from an iom_input (file, pipe or memory; plain or zstd) in constant memory. A cursor
// walks over one line; a failed read leaves it where the unexpected token begins, so that the message
// can name the token.
#ifndef IOM_TRAFFIC_TRACE_LINES_H
#define IOM_TRAFFIC_TRACE_LINES_H

#include "traffic/trace_io.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Longest line accepted; real logs stay below 1 KiB.
#define IOM_LINE_MAX_BYTES 65536u

struct iom_lines;

/// Takes over `input` (closes it with itself, also on failure).
struct iom_lines *iom_lines_open(struct iom_input *input, struct iom_trace_error *error);
/// Next line without its end ("\n" or "\r\n"), 0-terminated: 1; 0 at the end of the input; -1 and
/// `error` on failure (unreadable, longer than IOM_LINE_MAX_BYTES, holds a 0 byte). The text is valid
/// until the next call and may be modified.
int iom_lines_next(struct iom_lines *lines, char **text, struct iom_trace_error *error);
/// Copies the first bytes of the text (up to IOM_LINE_MAX_BYTES, 0-terminated, so `to` holds one more)
/// without consuming them; only before the first line is read.
bool iom_lines_peek(struct iom_lines *lines, char *to, size_t *bytes, struct iom_trace_error *error);
/// Number of the line last returned, from 1.
uint64_t iom_lines_number(const struct iom_lines *lines);
/// True if the line last returned ended with a line end (false: the file stops in mid-line).
bool iom_lines_terminated(const struct iom_lines *lines);
/// CRC-32C of all bytes handed out so far.
uint32_t iom_lines_crc(const struct iom_lines *lines);
const char *iom_lines_name(const struct iom_lines *lines);
void iom_lines_close(struct iom_lines *lines);

// ---------------------------------------------------------------------------------------------------

/// Position in a line.
struct iom_cursor {
    const char *at;
};

/// Skips spaces and tabs.
void iom_skip_blanks(struct iom_cursor *cursor);
/// Consumes `word` exactly; false and no move otherwise.
bool iom_take(struct iom_cursor *cursor, const char *word);
/// Moves behind the next occurrence of `word` in the rest of the line; false and no move otherwise.
bool iom_find(struct iom_cursor *cursor, const char *word);
/// Digits of base 10 without sign; false if there are none or the value exceeds 64 bits.
bool iom_take_decimal(struct iom_cursor *cursor, uint64_t *value);
/// Digits of base 16, with or without "0x".
bool iom_take_hex(struct iom_cursor *cursor, uint64_t *value);
/// "0x" and hexadecimal digits, or decimal digits.
bool iom_take_number(struct iom_cursor *cursor, uint64_t *value);
/// "SECONDS.FRACTION" with one to nine digits after the point, as nanoseconds.
bool iom_take_seconds_ns(struct iom_cursor *cursor, uint64_t *ns);
/// PCI address "SSSS:BB:DD.F" or "BB:DD.F" (QEMU also writes the function with two digits) as
/// segment << 16 | bus << 8 | device << 3 | function.
bool iom_take_bdf(struct iom_cursor *cursor, uint32_t *device);
/// Length of the token the cursor stands on (up to the next blank), at most `most`.
int iom_token_length(const char *at, int most);

#ifdef __cplusplus
}
#endif

#endif
