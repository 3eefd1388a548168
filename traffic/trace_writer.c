// SPDX-License-Identifier: Apache-2.0
//
// Writer of traces, both forms; see trace.h and the layout in trace_internal.h.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "traffic/trace_internal.h"

/// Compression level: level 3 packs imported traces to a few bytes per record at over 100 MB/s; higher
/// levels gain little on this kind of data.
enum { COMPRESSION_LEVEL = 3 };

struct iom_trace_writer {
    struct iom_output *output;
    enum iom_trace_form form;
    uint32_t strings;
    uint64_t records;
    uint64_t last_time;
    bool failed;
    // Binary form only.
    uint8_t prelude[IOM_PRELUDE_BYTES];
    uint32_t heads_crc;
    uint32_t in_block;
    uint8_t *raw;
    uint8_t *packed;
    size_t packed_room;
    ZSTD_CCtx *zstd;
};

static bool fail_writer(struct iom_trace_writer *writer)
{
    writer->failed = true;
    return false;
}

static bool write_binary_start(struct iom_trace_writer *writer, const struct iom_trace_header *header,
                               struct iom_trace_error *error)
{
    struct iom_output *text = iom_output_open_memory(error);
    if (text == NULL)
        return false;
    if (!iom_trace_header_write(header, "", text, error)) {
        iom_output_abort(text);
        return false;
    }
    void *bytes;
    size_t count;
    iom_output_take(text, &bytes, &count);
    uint8_t *prelude = writer->prelude;
    for (unsigned i = 0; i < IOM_TRACE_MAGIC_BYTES; i++)
        prelude[i] = (uint8_t)IOM_TRACE_MAGIC[i];
    iom_put_u16(prelude + IOM_PRELUDE_VERSION_AT, IOM_TRACE_VERSION);
    iom_put_u16(prelude + IOM_PRELUDE_RECORD_BYTES_AT, IOM_TRACE_RECORD_BYTES);
    iom_put_u32(prelude + IOM_PRELUDE_HEADER_BYTES_AT, (uint32_t)count);
    iom_put_u64(prelude + IOM_PRELUDE_RECORDS_AT, IOM_TRACE_COUNT_UNKNOWN);
    iom_put_u32(prelude + IOM_PRELUDE_HEADER_CRC_AT, iom_crc32c(0, bytes, count));
    iom_put_u32(prelude + IOM_PRELUDE_CRC_AT, iom_crc32c(0, prelude, IOM_PRELUDE_CRC_AT));
    bool good = count <= IOM_HEADER_MAX_BYTES;
    if (!good)
        iom_trace_fail(error, "%s: the header exceeds 16 MiB; use fewer strings",
                       iom_output_name(writer->output));
    good = good && iom_output_write(writer->output, prelude, IOM_PRELUDE_BYTES, error) &&
           iom_output_write(writer->output, bytes, count, error);
    free(bytes);
    return good;
}

static bool write_text_start(struct iom_trace_writer *writer, const struct iom_trace_header *header,
                             struct iom_trace_error *error)
{
    char first[64];
    int length = snprintf(first, sizeof first, "%s%u\n", IOM_TRACE_TEXT_MAGIC, IOM_TRACE_VERSION);
    return iom_output_write(writer->output, first, (size_t)length, error) &&
           iom_trace_header_write(header, "# ", writer->output, error);
}

/// Takes over `output`.
static struct iom_trace_writer *new_writer(struct iom_output *output, enum iom_trace_form form,
                                           const struct iom_trace_header *header,
                                           struct iom_trace_error *error)
{
    struct iom_trace_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        iom_trace_fail(error, "%s: out of memory", iom_output_name(output));
        iom_output_abort(output);
        return NULL;
    }
    writer->output = output;
    writer->form = form;
    writer->strings = header->list[IOM_TRACE_STRINGS].count;
    writer->packed_room = ZSTD_compressBound(IOM_BLOCK_RAW_BYTES);
    writer->raw = malloc(IOM_BLOCK_RAW_BYTES);
    writer->packed = malloc(writer->packed_room);
    writer->zstd = ZSTD_createCCtx();
    bool good = writer->raw != NULL && writer->packed != NULL && writer->zstd != NULL;
    if (!good)
        iom_trace_fail(error, "%s: out of memory", iom_output_name(output));
    else if (form == IOM_TRACE_TEXT)
        good = write_text_start(writer, header, error);
    else
        good = write_binary_start(writer, header, error);
    if (!good) {
        iom_trace_writer_abort(writer);
        return NULL;
    }
    return writer;
}

struct iom_trace_writer *iom_trace_writer_open(const char *path, enum iom_trace_form form,
                                               const struct iom_trace_header *header,
                                               struct iom_trace_error *error)
{
    struct iom_output *output = iom_output_open(path, error);
    return output == NULL ? NULL : new_writer(output, form, header, error);
}

struct iom_trace_writer *iom_trace_writer_open_memory(enum iom_trace_form form,
                                                      const struct iom_trace_header *header,
                                                      struct iom_trace_error *error)
{
    struct iom_output *output = iom_output_open_memory(error);
    return output == NULL ? NULL : new_writer(output, form, header, error);
}

static bool write_block(struct iom_trace_writer *writer, struct iom_trace_error *error)
{
    if (writer->in_block == 0)
        return true;
    size_t stored = ZSTD_compressCCtx(writer->zstd, writer->packed, writer->packed_room, writer->raw,
                                      (size_t)writer->in_block * IOM_TRACE_RECORD_BYTES, COMPRESSION_LEVEL);
    if (ZSTD_isError(stored))
        return iom_trace_fail(error, "%s: compression failed: %s", iom_output_name(writer->output),
                              ZSTD_getErrorName(stored));
    uint8_t head[IOM_BLOCK_HEAD_BYTES];
    iom_put_u32(head, IOM_BLOCK_MAGIC);
    iom_put_u32(head + IOM_BLOCK_RECORDS_AT, writer->in_block);
    iom_put_u32(head + IOM_BLOCK_STORED_AT, (uint32_t)stored);
    iom_put_u32(head + IOM_BLOCK_STORED_CRC_AT, iom_crc32c(0, writer->packed, stored));
    iom_put_u64(head + IOM_BLOCK_FIRST_AT, writer->records - writer->in_block);
    iom_put_u32(head + IOM_BLOCK_CRC_AT, iom_crc32c(0, head, IOM_BLOCK_CRC_AT));
    writer->heads_crc = iom_crc32c(writer->heads_crc, head, sizeof head);
    writer->in_block = 0;
    return iom_output_write(writer->output, head, sizeof head, error) &&
           iom_output_write(writer->output, writer->packed, stored, error);
}

static bool write_text_record(struct iom_trace_writer *writer, const struct iom_trace_record *record,
                              struct iom_trace_error *error)
{
    char text[IOM_RECORD_TEXT_BYTES];
    size_t length = iom_trace_record_text(record, text);
    text[length++] = '\n';
    return iom_output_write(writer->output, text, length, error);
}

bool iom_trace_write(struct iom_trace_writer *writer, const struct iom_trace_record *record,
                     struct iom_trace_error *error)
{
    if (writer->failed)
        return iom_trace_fail(error, "%s: not written: an earlier record failed",
                              iom_output_name(writer->output));
    const char *fault = iom_trace_record_fault(record, writer->strings);
    if (fault == NULL && record->time < writer->last_time)
        fault = "time: smaller than the record before";
    if (fault != NULL) {
        iom_trace_fail(error, "%s: record %" PRIu64 ": %s", iom_output_name(writer->output), writer->records,
                       fault);
        return fail_writer(writer);
    }
    writer->last_time = record->time;
    writer->records++;
    bool good = true;
    if (writer->form == IOM_TRACE_TEXT) {
        good = write_text_record(writer, record, error);
    } else {
        iom_trace_encode(record, writer->raw + (size_t)writer->in_block * IOM_TRACE_RECORD_BYTES);
        if (++writer->in_block == IOM_TRACE_BLOCK_RECORDS)
            good = write_block(writer, error);
    }
    return good || fail_writer(writer);
}

static bool write_binary_end(struct iom_trace_writer *writer, struct iom_trace_error *error)
{
    uint8_t end[IOM_END_BYTES] = {0};
    if (!write_block(writer, error))
        return false;
    iom_put_u32(end, IOM_END_MAGIC);
    iom_put_u32(end + IOM_END_HEADS_CRC_AT, writer->heads_crc);
    iom_put_u64(end + IOM_END_RECORDS_AT, writer->records);
    iom_put_u32(end + IOM_END_CRC_AT, iom_crc32c(0, end, IOM_END_CRC_AT));
    if (!iom_output_write(writer->output, end, sizeof end, error))
        return false;
    if (!iom_output_can_patch(writer->output))
        return true;
    iom_put_u64(writer->prelude + IOM_PRELUDE_RECORDS_AT, writer->records);
    iom_put_u32(writer->prelude + IOM_PRELUDE_CRC_AT, iom_crc32c(0, writer->prelude, IOM_PRELUDE_CRC_AT));
    return iom_output_patch(writer->output, 0, writer->prelude, IOM_PRELUDE_BYTES, error);
}

static bool finish(struct iom_trace_writer *writer, struct iom_trace_error *error)
{
    if (writer->failed)
        return iom_trace_fail(error, "%s: not written: a record failed", iom_output_name(writer->output));
    if (writer->form == IOM_TRACE_BINARY)
        return write_binary_end(writer, error);
    char line[64];
    int length = snprintf(line, sizeof line, "# end: %" PRIu64 "\n", writer->records);
    return iom_output_write(writer->output, line, (size_t)length, error);
}

static void free_writer(struct iom_trace_writer *writer)
{
    ZSTD_freeCCtx(writer->zstd);
    free(writer->raw);
    free(writer->packed);
    free(writer);
}

bool iom_trace_writer_close(struct iom_trace_writer *writer, struct iom_trace_error *error)
{
    bool good = finish(writer, error);
    if (good)
        good = iom_output_commit(writer->output, error);
    else
        iom_output_abort(writer->output);
    free_writer(writer);
    return good;
}

bool iom_trace_writer_take(struct iom_trace_writer *writer, void **data, size_t *bytes,
                           struct iom_trace_error *error)
{
    bool good = finish(writer, error);
    if (good)
        iom_output_take(writer->output, data, bytes);
    else
        iom_output_abort(writer->output);
    free_writer(writer);
    return good;
}

void iom_trace_writer_abort(struct iom_trace_writer *writer)
{
    if (writer == NULL)
        return;
    iom_output_abort(writer->output);
    free_writer(writer);
}
