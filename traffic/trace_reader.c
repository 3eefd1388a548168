// SPDX-License-Identifier: Apache-2.0
//
// Reader of traces, both forms; see trace.h and the layout in trace_internal.h.
//
// Nothing is trusted before its checksum has been found right: prelude, header, head of a block,
// stored bytes of a block, end marker. So each way a file can be wrong has its own message.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "traffic/trace_internal.h"

struct iom_trace_reader {
    char *name;
    struct iom_trace_header header;
    uint64_t records; ///< returned so far
    uint64_t last_time;
    int end_state; ///< 1: going on; 0 and -1: what every further read returns
    // Binary form.
    struct iom_input *input;
    uint8_t *raw;
    uint8_t *packed;
    size_t packed_room;
    ZSTD_DCtx *zstd;
    uint32_t heads_crc;
    uint32_t block_records;
    uint32_t block_at;
    // Text form (NULL for binary).
    struct iom_lines *lines;
    char *pending; ///< first record line, read while looking for the end of the header
};

static int damaged(struct iom_trace_reader *reader, struct iom_trace_error *error, const char *what)
{
    iom_trace_fail(error, "%s: record %" PRIu64 " (byte %" PRIu64 "): %s", reader->name, reader->records,
                   reader->input != NULL ? iom_input_offset(reader->input) : 0, what);
    return -1;
}

/// Reads exactly `bytes`, or says that the file is cut.
static bool read_all(struct iom_trace_reader *reader, void *to, size_t bytes, struct iom_trace_error *error)
{
    int64_t got = iom_input_read(reader->input, to, bytes, error);
    if (got < 0)
        return false;
    if ((size_t)got != bytes) {
        damaged(reader, error, "the file ends early; it is cut, import or copy it again");
        return false;
    }
    return true;
}

// ---------------------------------------------------------------------------------------------------
// Opening

static const char *prelude_fault(const uint8_t *prelude)
{
    if (iom_crc32c(0, prelude, IOM_PRELUDE_CRC_AT) != iom_get_u32(prelude + IOM_PRELUDE_CRC_AT))
        return "the first 32 bytes do not match their checksum; the file is damaged, import or copy it again";
    if (iom_get_u16(prelude + IOM_PRELUDE_RECORD_BYTES_AT) != IOM_TRACE_RECORD_BYTES)
        return "its records are not 64 bytes long; the file is damaged, import or copy it again";
    if (iom_get_u32(prelude + IOM_PRELUDE_HEADER_BYTES_AT) > IOM_HEADER_MAX_BYTES)
        return "its header exceeds 16 MiB; the file is damaged, import or copy it again";
    return NULL;
}

static bool parse_header_text(struct iom_trace_reader *reader, char *text, struct iom_trace_error *error)
{
    unsigned number = 1;
    for (char *line = text; *line != '\0'; number++) {
        char *end = strchr(line, '\n');
        if (end == NULL)
            return iom_trace_fail(error, "%s: header line %u has no end; the file is damaged", reader->name,
                                  number);
        *end = '\0';
        const char *expected = iom_trace_header_line(&reader->header, line);
        if (expected != NULL)
            return iom_trace_fail(error, "%s: header line %u: %.*s: expected %s", reader->name, number,
                                  iom_token_length(line, 60), line, expected);
        line = end + 1;
    }
    return true;
}

static bool read_binary_header(struct iom_trace_reader *reader, const uint8_t *prelude,
                               struct iom_trace_error *error)
{
    size_t bytes = iom_get_u32(prelude + IOM_PRELUDE_HEADER_BYTES_AT);
    char *text = malloc(bytes + 1);
    if (text == NULL)
        return iom_trace_fail(error, "%s: out of memory", reader->name);
    bool good = read_all(reader, text, bytes, error);
    if (good && iom_crc32c(0, text, bytes) != iom_get_u32(prelude + IOM_PRELUDE_HEADER_CRC_AT))
        good = iom_trace_fail(error,
                              "%s: header: checksum mismatch; the file is damaged, import or copy it again",
                              reader->name);
    if (good) {
        text[bytes] = '\0';
        good = parse_header_text(reader, text, error);
    }
    free(text);
    return good;
}

static bool open_binary(struct iom_trace_reader *reader, struct iom_trace_error *error)
{
    uint8_t prelude[IOM_PRELUDE_BYTES];
    if (!read_all(reader, prelude, sizeof prelude, error))
        return false;
    // The version comes before the checksum: a newer format may lay the rest out differently.
    unsigned version = iom_get_u16(prelude + IOM_PRELUDE_VERSION_AT);
    if (version > IOM_TRACE_VERSION)
        return iom_trace_fail(
            error,
            "%s: trace format version %u (byte 8), this program reads up to %u; use a newer "
            "iommu-sim, or the file is damaged",
            reader->name, version, IOM_TRACE_VERSION);
    const char *fault = prelude_fault(prelude);
    if (fault != NULL)
        return iom_trace_fail(error, "%s: %s", reader->name, fault);
    if (version == 0)
        return iom_trace_fail(error, "%s: trace format version 0 does not exist; the file is damaged",
                              reader->name);
    reader->header.version = version;
    if (!read_binary_header(reader, prelude, error))
        return false;
    reader->header.records = iom_get_u64(prelude + IOM_PRELUDE_RECORDS_AT);
    reader->packed_room = ZSTD_compressBound(IOM_BLOCK_RAW_BYTES);
    reader->raw = malloc(IOM_BLOCK_RAW_BYTES);
    reader->packed = malloc(reader->packed_room);
    reader->zstd = ZSTD_createDCtx();
    if (reader->raw == NULL || reader->packed == NULL || reader->zstd == NULL)
        return iom_trace_fail(error, "%s: out of memory", reader->name);
    return true;
}

static bool bad_line(struct iom_trace_reader *reader, const char *at, const char *expected,
                     struct iom_trace_error *error)
{
    int length = iom_token_length(at, 80);
    return iom_trace_fail(error, "%s:%" PRIu64 ": %.*s: expected %s", reader->name,
                          iom_lines_number(reader->lines), length > 0 ? length : 11,
                          length > 0 ? at : "end of line", expected);
}

static bool check_text_version(struct iom_trace_reader *reader, const char *line,
                               struct iom_trace_error *error)
{
    struct iom_cursor cursor = {line};
    uint64_t version = 0;
    if (!iom_take(&cursor, IOM_TRACE_TEXT_MAGIC) || !iom_take_decimal(&cursor, &version) || version == 0)
        return bad_line(reader, line, IOM_TRACE_TEXT_MAGIC "VERSION", error);
    if (version > IOM_TRACE_VERSION)
        return iom_trace_fail(error,
                              "%s:1: trace format version %" PRIu64
                              ", this program reads up to %u; use a newer iommu-sim",
                              reader->name, version, IOM_TRACE_VERSION);
    reader->header.version = (uint32_t)version;
    return true;
}

/// Reads up to the first record line (kept in `pending`) or the end line.
static bool read_text_header(struct iom_trace_reader *reader, struct iom_trace_error *error)
{
    char *line;
    int got = iom_lines_next(reader->lines, &line, error);
    if (got <= 0 || !check_text_version(reader, line, error))
        return false;
    while ((got = iom_lines_next(reader->lines, &line, error)) == 1) {
        if (line[0] == '\0' || strcmp(line, "#") == 0 || strncmp(line, "##", 2) == 0)
            continue;
        if (strncmp(line, "# ", 2) != 0 || strncmp(line, "# end: ", 7) == 0)
            break;
        const char *expected = iom_trace_header_line(&reader->header, line + 2);
        if (expected != NULL)
            return bad_line(reader, line + 2, expected, error);
    }
    reader->pending = got == 1 ? line : NULL;
    return got >= 0;
}

static void free_reader(struct iom_trace_reader *reader)
{
    iom_trace_header_free(&reader->header);
    iom_input_close(reader->input);
    iom_lines_close(reader->lines);
    ZSTD_freeDCtx(reader->zstd);
    free(reader->raw);
    free(reader->packed);
    free(reader->name);
    free(reader);
}

/// What the first bytes say.
enum form { FORM_EMPTY, FORM_BINARY, FORM_TEXT, FORM_FOREIGN };

static enum form sniff(const uint8_t *first, size_t bytes)
{
    size_t text = strlen(IOM_TRACE_TEXT_MAGIC);
    if (bytes == 0)
        return FORM_EMPTY;
    if (bytes < IOM_TRACE_MAGIC_BYTES)
        return memcmp(first, IOM_TRACE_MAGIC, bytes) == 0 ? FORM_BINARY : FORM_FOREIGN;
    if (memcmp(first, IOM_TRACE_MAGIC, IOM_TRACE_MAGIC_BYTES) == 0)
        return FORM_BINARY;
    return bytes >= text && memcmp(first, IOM_TRACE_TEXT_MAGIC, text) == 0 ? FORM_TEXT : FORM_FOREIGN;
}

static bool open_form(struct iom_trace_reader *reader, struct iom_trace_error *error)
{
    uint8_t first[32];
    size_t got = iom_input_peek(reader->input, first, sizeof first);
    switch (sniff(first, got)) {
    case FORM_EMPTY:
        return iom_trace_fail(error, "%s: the file is empty; import the trace again", reader->name);
    case FORM_BINARY:
        return open_binary(reader, error);
    case FORM_TEXT:
        reader->lines = iom_lines_open(reader->input, error);
        reader->input = NULL;
        return reader->lines != NULL && read_text_header(reader, error);
    default:
        return iom_trace_fail(
            error,
            "%s: not a trace (neither the magic number of the binary form nor \"%s1\" of the text "
            "form); logs are turned into traces by `iommu-sim trace import`",
            reader->name, IOM_TRACE_TEXT_MAGIC);
    }
}

/// Takes over `input`, which may be NULL (then `error` is set).
static struct iom_trace_reader *new_reader(struct iom_input *input, struct iom_trace_error *error)
{
    if (input == NULL)
        return NULL;
    struct iom_trace_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        iom_trace_fail(error, "%s: out of memory", iom_input_name(input));
        iom_input_close(input);
        return NULL;
    }
    iom_trace_header_init(&reader->header);
    reader->input = input;
    reader->end_state = 1;
    size_t bytes = strlen(iom_input_name(input)) + 1;
    reader->name = malloc(bytes);
    bool good = reader->name != NULL;
    if (!good)
        iom_trace_fail(error, "%s: out of memory", iom_input_name(input));
    else
        memcpy(reader->name, iom_input_name(input), bytes);
    if (!good || !open_form(reader, error)) {
        free_reader(reader);
        return NULL;
    }
    return reader;
}

struct iom_trace_reader *iom_trace_reader_open(const char *path, struct iom_trace_error *error)
{
    return new_reader(iom_input_open(path, false, error), error);
}

struct iom_trace_reader *iom_trace_reader_open_memory(const void *data, size_t bytes, const char *name,
                                                      struct iom_trace_error *error)
{
    return new_reader(iom_input_open_memory(data, bytes, name, false, error), error);
}

// ---------------------------------------------------------------------------------------------------
// Binary records

static const char *block_head_fault(const struct iom_trace_reader *reader, const uint8_t *head)
{
    uint32_t records = iom_get_u32(head + IOM_BLOCK_RECORDS_AT);
    if (iom_crc32c(0, head, IOM_BLOCK_CRC_AT) != iom_get_u32(head + IOM_BLOCK_CRC_AT))
        return "the head of a block does not match its checksum; the file is damaged, import or copy it "
               "again";
    if (records == 0 || records > IOM_TRACE_BLOCK_RECORDS)
        return "a block has an impossible number of records; the file is damaged, import or copy it again";
    if (iom_get_u32(head + IOM_BLOCK_STORED_AT) > reader->packed_room)
        return "a block is longer than any block can be; the file is damaged, import or copy it again";
    if (iom_get_u64(head + IOM_BLOCK_FIRST_AT) != reader->records)
        return "a block is missing, repeated or out of order; the file is damaged, import or copy it again";
    return NULL;
}

static int read_end(struct iom_trace_reader *reader, const uint8_t *end, struct iom_trace_error *error)
{
    uint8_t extra;
    if (iom_crc32c(0, end, IOM_END_CRC_AT) != iom_get_u32(end + IOM_END_CRC_AT) ||
        iom_get_u32(end + IOM_END_HEADS_CRC_AT) != reader->heads_crc ||
        iom_get_u32(end + IOM_END_RESERVED_AT) != 0)
        return damaged(reader, error, "the end marker does not match its checksum; the file is damaged");
    if (iom_get_u64(end + IOM_END_RECORDS_AT) != reader->records ||
        (reader->header.records != IOM_TRACE_COUNT_UNKNOWN && reader->header.records != reader->records))
        return damaged(reader, error,
                       "the number of records is not the one in the file; the file is damaged");
    int64_t got = iom_input_read(reader->input, &extra, 1, error);
    if (got < 0)
        return -1;
    if (got != 0)
        return damaged(reader, error, "bytes follow the end marker; the file is damaged");
    return 0;
}

/// Loads the next block: 1, 0 at the end marker, -1 on failure.
static int next_block(struct iom_trace_reader *reader, struct iom_trace_error *error)
{
    uint8_t head[IOM_BLOCK_HEAD_BYTES];
    if (!read_all(reader, head, IOM_END_BYTES, error))
        return -1;
    if (iom_get_u32(head) == IOM_END_MAGIC)
        return read_end(reader, head, error);
    if (iom_get_u32(head) != IOM_BLOCK_MAGIC)
        return damaged(reader, error, "no block begins here; the file is damaged, import or copy it again");
    if (!read_all(reader, head + IOM_END_BYTES, IOM_BLOCK_HEAD_BYTES - IOM_END_BYTES, error))
        return -1;
    const char *fault = block_head_fault(reader, head);
    if (fault != NULL)
        return damaged(reader, error, fault);
    size_t stored = iom_get_u32(head + IOM_BLOCK_STORED_AT);
    if (!read_all(reader, reader->packed, stored, error))
        return -1;
    if (iom_crc32c(0, reader->packed, stored) != iom_get_u32(head + IOM_BLOCK_STORED_CRC_AT))
        return damaged(reader, error, "checksum mismatch; the file is damaged, import or copy it again");
    uint32_t records = iom_get_u32(head + IOM_BLOCK_RECORDS_AT);
    size_t bytes =
        ZSTD_decompressDCtx(reader->zstd, reader->raw, IOM_BLOCK_RAW_BYTES, reader->packed, stored);
    if (ZSTD_isError(bytes) || bytes != (size_t)records * IOM_TRACE_RECORD_BYTES)
        return damaged(reader, error,
                       "a block does not decompress; the file is damaged, import or copy it again");
    reader->heads_crc = iom_crc32c(reader->heads_crc, head, sizeof head);
    reader->block_records = records;
    reader->block_at = 0;
    return 1;
}

static int read_binary(struct iom_trace_reader *reader, struct iom_trace_record *record,
                       struct iom_trace_error *error)
{
    if (reader->block_at == reader->block_records) {
        int got = next_block(reader, error);
        if (got != 1)
            return got;
    }
    iom_trace_decode(reader->raw + (size_t)reader->block_at++ * IOM_TRACE_RECORD_BYTES, record);
    if (iom_trace_kind_name(record->kind) == NULL) {
        char text[96];
        snprintf(text, sizeof text, "kind %u is not known to format version %u; use a newer iommu-sim",
                 record->kind, IOM_TRACE_VERSION);
        return damaged(reader, error, text);
    }
    const char *fault = iom_trace_record_fault(record, reader->header.list[IOM_TRACE_STRINGS].count);
    if (fault == NULL && record->time < reader->last_time)
        fault = "time: smaller than the record before";
    return fault == NULL ? 1 : damaged(reader, error, fault);
}

// ---------------------------------------------------------------------------------------------------
// Text records

static int read_text_end(struct iom_trace_reader *reader, const char *line, struct iom_trace_error *error)
{
    struct iom_cursor cursor = {line + strlen("# end: ")};
    uint64_t records;
    char *extra;
    if (!iom_take_decimal(&cursor, &records) || *cursor.at != '\0' || records != reader->records) {
        char expected[64];
        snprintf(expected, sizeof expected, "%" PRIu64 ", the number of records above", reader->records);
        bad_line(reader, line + strlen("# end: "), expected, error);
        return -1;
    }
    if (!iom_lines_terminated(reader->lines)) {
        iom_trace_fail(error, "%s:%" PRIu64 ": the last line has no end; the file is cut", reader->name,
                       iom_lines_number(reader->lines));
        return -1;
    }
    int got;
    while ((got = iom_lines_next(reader->lines, &extra, error)) == 1) {
        if (extra[0] != '\0') {
            bad_line(reader, extra, "nothing after the end line", error);
            return -1;
        }
    }
    return got;
}

static int read_text(struct iom_trace_reader *reader, struct iom_trace_record *record,
                     struct iom_trace_error *error)
{
    char *line = reader->pending;
    reader->pending = NULL;
    while (line == NULL || line[0] == '\0' || strcmp(line, "#") == 0 || strncmp(line, "##", 2) == 0) {
        int got = iom_lines_next(reader->lines, &line, error);
        if (got == 0) {
            iom_trace_fail(error,
                           "%s:%" PRIu64 ": end of file: expected \"# end: %" PRIu64 "\"; the file is cut",
                           reader->name, iom_lines_number(reader->lines), reader->records);
            return -1;
        }
        if (got < 0)
            return -1;
    }
    if (strncmp(line, "# end: ", 7) == 0)
        return read_text_end(reader, line, error);
    const char *at = line;
    const char *expected = iom_trace_record_parse(line, record, &at);
    if (expected != NULL) {
        bad_line(reader, at, expected, error);
        return -1;
    }
    const char *fault = iom_trace_record_fault(record, reader->header.list[IOM_TRACE_STRINGS].count);
    if (fault == NULL && record->time < reader->last_time)
        fault = "time: smaller than the record before";
    if (fault != NULL) {
        iom_trace_fail(error, "%s:%" PRIu64 ": %s", reader->name, iom_lines_number(reader->lines), fault);
        return -1;
    }
    return 1;
}

// ---------------------------------------------------------------------------------------------------

int iom_trace_read(struct iom_trace_reader *reader, struct iom_trace_record *record,
                   struct iom_trace_error *error)
{
    if (reader->end_state != 1) {
        if (reader->end_state < 0)
            iom_trace_fail(error, "%s: reading stopped at an earlier error", reader->name);
        return reader->end_state;
    }
    int got = reader->lines != NULL ? read_text(reader, record, error) : read_binary(reader, record, error);
    if (got == 1) {
        reader->records++;
        reader->last_time = record->time;
    } else {
        reader->end_state = got;
    }
    return got;
}

const struct iom_trace_header *iom_trace_reader_header(const struct iom_trace_reader *reader)
{
    return &reader->header;
}

uint64_t iom_trace_reader_position(const struct iom_trace_reader *reader)
{
    return reader->records;
}

bool iom_trace_reader_is_text(const struct iom_trace_reader *reader)
{
    return reader->lines != NULL;
}

void iom_trace_reader_close(struct iom_trace_reader *reader)
{
    if (reader != NULL)
        free_reader(reader);
}
