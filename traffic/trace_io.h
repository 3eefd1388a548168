// SPDX-License-Identifier: Apache-2.0
//
// Bytes in and out of traces and logs, nothing about their meaning.
//
// Input: a file, standard input or memory, plain or zstd (recognised by its magic number, whatever
// the name). Output: a regular file through a temporary beside it and a rename, anything else (pipe,
// device) directly, or memory. Every read, write and close is checked and reported in one line that
// names the file.
#ifndef IOM_TRAFFIC_TRACE_IO_H
#define IOM_TRAFFIC_TRACE_IO_H

#include "core/base.h"
#include "traffic/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Writes a printf-formatted text into `error` (may be NULL). Always returns false.
bool iom_trace_fail(struct iom_trace_error *error, const char *format, ...);

/// CRC-32C (Castagnoli, reflected, as in iSCSI, RFC 3720 appendix B.4); start with 0, chain results.
uint32_t iom_crc32c(uint32_t crc, const void *data, size_t bytes);

static inline void iom_put_u16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

static inline void iom_put_u32(uint8_t *to, uint32_t value)
{
    iom_put_u16(to, (uint16_t)value);
    iom_put_u16(to + 2, (uint16_t)(value >> 16));
}

static inline void iom_put_u64(uint8_t *to, uint64_t value)
{
    iom_put_u32(to, (uint32_t)value);
    iom_put_u32(to + 4, (uint32_t)(value >> 32));
}

static inline uint16_t iom_get_u16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t iom_get_u32(const uint8_t *from)
{
    return iom_get_u16(from) | (uint32_t)iom_get_u16(from + 2) << 16;
}

static inline uint64_t iom_get_u64(const uint8_t *from)
{
    return iom_get_u32(from) | (uint64_t)iom_get_u32(from + 4) << 32;
}

// ---------------------------------------------------------------------------------------------------

struct iom_input;

/// Opens `path` ("-" is standard input); with `unzstd` a zstd stream is decompressed on the way.
struct iom_input *iom_input_open(const char *path, bool unzstd, struct iom_trace_error *error);
/// Reads from memory, which must outlive the input; `name` appears in messages.
struct iom_input *iom_input_open_memory(const void *data, size_t bytes, const char *name, bool unzstd,
                                        struct iom_trace_error *error);
/// Reads up to `bytes`; fewer only at the end of the input. -1 and `error` on failure (a damaged or
/// cut zstd stream is a failure).
int64_t iom_input_read(struct iom_input *input, void *to, size_t bytes, struct iom_trace_error *error);
/// Copies up to `bytes` (at most 32) of the stored bytes without consuming them; only before the first
/// read. Returns how many there are.
size_t iom_input_peek(const struct iom_input *input, void *to, size_t bytes);
/// Bytes handed out so far (after decompression).
uint64_t iom_input_offset(const struct iom_input *input);
const char *iom_input_name(const struct iom_input *input);
void iom_input_close(struct iom_input *input);

// ---------------------------------------------------------------------------------------------------

struct iom_output;

struct iom_output *iom_output_open(const char *path, struct iom_trace_error *error);
struct iom_output *iom_output_open_memory(struct iom_trace_error *error);
bool iom_output_write(struct iom_output *output, const void *data, size_t bytes,
                      struct iom_trace_error *error);
/// True if earlier bytes can be overwritten (regular file, memory).
bool iom_output_can_patch(const struct iom_output *output);
/// Overwrites bytes written before.
bool iom_output_patch(struct iom_output *output, uint64_t offset, const void *data, size_t bytes,
                      struct iom_trace_error *error);
/// Flushes, closes and gives the file its name. Frees `output` in every case.
bool iom_output_commit(struct iom_output *output, struct iom_trace_error *error);
/// Hands over the bytes of a memory output and frees it; the caller frees `*data`.
void iom_output_take(struct iom_output *output, void **data, size_t *bytes);
/// Removes what was written and frees. NULL is allowed.
void iom_output_abort(struct iom_output *output);
const char *iom_output_name(const struct iom_output *output);

#ifdef __cplusplus
}
#endif

#endif
