// SPDX-License-Identifier: Apache-2.0
//
// Input side of trace_io.h, CRC-32C and error texts. The output side is trace_output.c.
#include "traffic/trace_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

bool iom_trace_fail(struct iom_trace_error *error, const char *format, ...)
{
    if (error == NULL)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return false;
}

uint32_t iom_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    // One nibble at a time: small enough to be a constant, fast enough for compressed blocks.
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *byte = data;
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= byte[i];
        crc = nibble[crc & 15] ^ (crc >> 4);
        crc = nibble[crc & 15] ^ (crc >> 4);
    }
    return ~crc;
}

// ---------------------------------------------------------------------------------------------------

enum { INPUT_BUFFER_BYTES = 128 * 1024 };

struct iom_input {
    FILE *file;            ///< NULL: memory
    const uint8_t *memory; ///< what is left of the memory
    size_t memory_bytes;
    char *name;
    ZSTD_DStream *zstd; ///< NULL: plain
    bool frame_open;    ///< the decompressor is inside a frame: an end here is a cut file
    uint8_t *raw;       ///< compressed bytes read ahead (also holds the sniffed magic number)
    size_t raw_at;
    size_t raw_bytes;
    uint64_t offset;
};

static char *copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

/// Reads bytes as they are stored.
static int64_t read_stored(struct iom_input *input, void *to, size_t bytes, struct iom_trace_error *error)
{
    if (input->file == NULL) {
        if (bytes > input->memory_bytes)
            bytes = input->memory_bytes;
        if (bytes != 0)
            memcpy(to, input->memory, bytes);
        input->memory += bytes;
        input->memory_bytes -= bytes;
        return (int64_t)bytes;
    }
    errno = 0;
    size_t got = fread(to, 1, bytes, input->file);
    if (got < bytes && ferror(input->file)) {
        iom_trace_fail(error, "%s: cannot be read: %s", input->name, strerror(errno));
        return -1;
    }
    return (int64_t)got;
}

static bool refill(struct iom_input *input, struct iom_trace_error *error)
{
    int64_t got = read_stored(input, input->raw, INPUT_BUFFER_BYTES, error);
    if (got < 0)
        return false;
    input->raw_at = 0;
    input->raw_bytes = (size_t)got;
    return true;
}

/// Looks at the first bytes and sets up decompression for a zstd stream (magic number 0xFD2FB528,
/// RFC 8878 section 3.1.1).
static bool start(struct iom_input *input, bool unzstd, struct iom_trace_error *error)
{
    if (!refill(input, error))
        return false;
    static const uint8_t magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    if (!unzstd || input->raw_bytes < sizeof magic || memcmp(input->raw, magic, sizeof magic) != 0)
        return true;
    input->zstd = ZSTD_createDStream();
    if (input->zstd == NULL)
        return iom_trace_fail(error, "%s: out of memory", input->name);
    return true;
}

static struct iom_input *new_input(const char *name, struct iom_trace_error *error)
{
    struct iom_input *input = calloc(1, sizeof *input);
    if (input != NULL) {
        input->name = copy_text(name);
        input->raw = malloc(INPUT_BUFFER_BYTES);
    }
    if (input == NULL || input->name == NULL || input->raw == NULL) {
        iom_trace_fail(error, "%s: out of memory", name);
        iom_input_close(input);
        return NULL;
    }
    return input;
}

struct iom_input *iom_input_open(const char *path, bool unzstd, struct iom_trace_error *error)
{
    bool standard = strcmp(path, "-") == 0;
    struct iom_input *input = new_input(standard ? "(standard input)" : path, error);
    if (input == NULL)
        return NULL;
    input->file = standard ? stdin : fopen(path, "rb");
    if (input->file == NULL) {
        iom_trace_fail(error, "%s: cannot be opened: %s", path, strerror(errno));
        iom_input_close(input);
        return NULL;
    }
    if (!start(input, unzstd, error)) {
        iom_input_close(input);
        return NULL;
    }
    return input;
}

struct iom_input *iom_input_open_memory(const void *data, size_t bytes, const char *name, bool unzstd,
                                        struct iom_trace_error *error)
{
    struct iom_input *input = new_input(name, error);
    if (input == NULL)
        return NULL;
    input->memory = data;
    input->memory_bytes = bytes;
    if (!start(input, unzstd, error)) {
        iom_input_close(input);
        return NULL;
    }
    return input;
}

static int64_t read_plain(struct iom_input *input, uint8_t *to, size_t bytes, struct iom_trace_error *error)
{
    size_t done = 0;
    while (done < bytes) {
        if (input->raw_at == input->raw_bytes) {
            if (!refill(input, error))
                return -1;
            if (input->raw_bytes == 0)
                break;
        }
        size_t part = iom_min_u64(bytes - done, input->raw_bytes - input->raw_at);
        memcpy(to + done, input->raw + input->raw_at, part);
        input->raw_at += part;
        done += part;
    }
    return (int64_t)done;
}

static int64_t read_zstd(struct iom_input *input, uint8_t *to, size_t bytes, struct iom_trace_error *error)
{
    ZSTD_outBuffer out = {to, bytes, 0};
    while (out.pos < bytes) {
        if (input->raw_at == input->raw_bytes) {
            if (!refill(input, error))
                return -1;
            if (input->raw_bytes == 0) {
                if (!input->frame_open)
                    break;
                iom_trace_fail(
                    error, "%s: the zstd stream ends early after %" PRIu64 " bytes of text; the file is cut",
                    input->name, input->offset + out.pos);
                return -1;
            }
        }
        ZSTD_inBuffer in = {input->raw, input->raw_bytes, input->raw_at};
        size_t left = ZSTD_decompressStream(input->zstd, &out, &in);
        input->raw_at = in.pos;
        if (ZSTD_isError(left)) {
            iom_trace_fail(error, "%s: the zstd stream is damaged after %" PRIu64 " bytes of text: %s",
                           input->name, input->offset + out.pos, ZSTD_getErrorName(left));
            return -1;
        }
        input->frame_open = left != 0;
    }
    return (int64_t)out.pos;
}

int64_t iom_input_read(struct iom_input *input, void *to, size_t bytes, struct iom_trace_error *error)
{
    int64_t got =
        input->zstd != NULL ? read_zstd(input, to, bytes, error) : read_plain(input, to, bytes, error);
    if (got > 0)
        input->offset += (uint64_t)got;
    return got;
}

size_t iom_input_peek(const struct iom_input *input, void *to, size_t bytes)
{
    size_t there = iom_min_u64(bytes, input->raw_bytes);
    memcpy(to, input->raw, there);
    return there;
}

uint64_t iom_input_offset(const struct iom_input *input)
{
    return input->offset;
}

const char *iom_input_name(const struct iom_input *input)
{
    return input->name;
}

void iom_input_close(struct iom_input *input)
{
    if (input == NULL)
        return;
    if (input->file != NULL && input->file != stdin)
        fclose(input->file);
    ZSTD_freeDStream(input->zstd);
    free(input->name);
    free(input->raw);
    free(input);
}
