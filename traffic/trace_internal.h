// SPDX-License-Identifier: Apache-2.0
//
// What the reader and the writer of traces share: the binary layout and the header's text form.
//
// Binary layout (all numbers little-endian; docs/trace-format.md has the table):
//
//     prelude (32 bytes) | header text | block* | end marker (24 bytes)
//
// The prelude is fixed so that a foreign, too new or cut file is recognised before anything else is
// interpreted. The header text is the same `key: value` lines the text twin shows behind "# ".
#ifndef IOM_TRAFFIC_TRACE_INTERNAL_H
#define IOM_TRAFFIC_TRACE_INTERNAL_H

#include "traffic/trace.h"
#include "traffic/trace_io.h"
#include "traffic/trace_lines.h"

/// First bytes of a binary trace: a byte above 127 and a line end of each kind, so that transfers in
/// text mode are noticed.
#define IOM_TRACE_MAGIC "\x89IOMT\r\n\x1a"
#define IOM_TRACE_MAGIC_BYTES 8u
/// First line of a text twin, followed by the version.
#define IOM_TRACE_TEXT_MAGIC "# iommu-sim trace "

enum {
    IOM_PRELUDE_BYTES = 32,
    IOM_PRELUDE_VERSION_AT = 8,
    IOM_PRELUDE_RECORD_BYTES_AT = 10,
    IOM_PRELUDE_HEADER_BYTES_AT = 12,
    IOM_PRELUDE_RECORDS_AT = 16,
    IOM_PRELUDE_HEADER_CRC_AT = 24,
    IOM_PRELUDE_CRC_AT = 28,
};

/// Block head: magic, records in it, stored bytes, CRC-32C of the stored bytes, number of its first
/// record, CRC-32C of the head before this field; then one zstd frame.
#define IOM_BLOCK_MAGIC UINT32_C(0x314b4c42)
enum {
    IOM_BLOCK_HEAD_BYTES = 28,
    IOM_BLOCK_RECORDS_AT = 4,
    IOM_BLOCK_STORED_AT = 8,
    IOM_BLOCK_STORED_CRC_AT = 12,
    IOM_BLOCK_FIRST_AT = 16,
    IOM_BLOCK_CRC_AT = 24,
};

/// End marker: magic, CRC-32C over the heads of all blocks, number of records, reserved 0, CRC-32C of
/// the marker before this field.
#define IOM_END_MAGIC UINT32_C(0x31444e45)
enum {
    IOM_END_BYTES = 24,
    IOM_END_HEADS_CRC_AT = 4,
    IOM_END_RECORDS_AT = 8,
    IOM_END_RESERVED_AT = 16,
    IOM_END_CRC_AT = 20,
};

/// Most bytes of header text a reader accepts.
#define IOM_HEADER_MAX_BYTES (16u << 20)
/// Most entries of one header list.
#define IOM_HEADER_MAX_ENTRIES 65535u

#define IOM_BLOCK_RAW_BYTES ((size_t)IOM_TRACE_BLOCK_RECORDS * IOM_TRACE_RECORD_BYTES)

void iom_trace_encode(const struct iom_trace_record *record, uint8_t *to);
void iom_trace_decode(const uint8_t *from, struct iom_trace_record *record);

/// Appends the header's `key: value` lines, each behind `prefix`, to `output`.
bool iom_trace_header_write(const struct iom_trace_header *header, const char *prefix,
                            struct iom_output *output, struct iom_trace_error *error);
/// Interprets one `key: value` line. NULL if good, else what was expected (static text).
const char *iom_trace_header_line(struct iom_trace_header *header, const char *line);

/// Longest text form of a record, with the line end and the terminating 0.
#define IOM_RECORD_TEXT_BYTES 512u
/// Text form of a record without line end; returns its length.
size_t iom_trace_record_text(const struct iom_trace_record *record, char *to);
/// Reads a line of the text form. NULL if good, else what was expected; `*at` is the token.
const char *iom_trace_record_parse(const char *line, struct iom_trace_record *record, const char **at);

#endif
