// SPDX-License-Identifier: Apache-2.0
//
// Output side of trace_io.h.
//
// A regular file is written as a temporary beside its target and renamed at the end, so a failed run
// never leaves half a trace under the final name. Something that exists and is no regular file (pipe,
// device) cannot be renamed onto and is written directly.
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "traffic/trace_io.h"

struct iom_output {
    FILE *file;      ///< NULL: memory
    char *name;      ///< target
    char *temporary; ///< NULL: written directly
    uint8_t *memory;
    size_t memory_bytes;
    size_t memory_room;
};

static char *join(const char *a, const char *b)
{
    size_t bytes = strlen(a) + strlen(b) + 1;
    char *text = malloc(bytes);
    if (text != NULL)
        snprintf(text, bytes, "%s%s", a, b);
    return text;
}

static void free_output(struct iom_output *output)
{
    free(output->name);
    free(output->temporary);
    free(output->memory);
    free(output);
}

/// mkstemp creates files only their owner may read; a trace gets what the umask allows.
static void widen_mode(int descriptor)
{
    mode_t mask = umask(0);
    (void)umask(mask);
    (void)fchmod(descriptor, (mode_t)0666 & ~mask);
}

static bool open_temporary(struct iom_output *output, struct iom_trace_error *error)
{
    output->temporary = join(output->name, ".tmp-XXXXXX");
    if (output->temporary == NULL)
        return iom_trace_fail(error, "%s: out of memory", output->name);
    int descriptor = mkstemp(output->temporary);
    if (descriptor < 0) {
        iom_trace_fail(error, "%s: cannot be written: %s", output->name, strerror(errno));
        free(output->temporary);
        output->temporary = NULL;
        return false;
    }
    widen_mode(descriptor);
    output->file = fdopen(descriptor, "wb");
    if (output->file == NULL) {
        iom_trace_fail(error, "%s: cannot be written: %s", output->name, strerror(errno));
        close(descriptor);
        unlink(output->temporary);
        return false;
    }
    return true;
}

static bool open_direct(struct iom_output *output, struct iom_trace_error *error)
{
    output->file = fopen(output->name, "wb");
    if (output->file == NULL)
        return iom_trace_fail(error, "%s: cannot be written: %s", output->name, strerror(errno));
    return true;
}

struct iom_output *iom_output_open(const char *path, struct iom_trace_error *error)
{
    bool standard = strcmp(path, "-") == 0;
    struct iom_output *output = calloc(1, sizeof *output);
    if (output != NULL)
        output->name = join(standard ? "(standard output)" : path, "");
    if (output == NULL || output->name == NULL) {
        iom_trace_fail(error, "%s: out of memory", path);
        free(output);
        return NULL;
    }
    struct stat status;
    bool opened = true;
    if (standard)
        output->file = stdout;
    else if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        opened = iom_trace_fail(error, "%s: is a directory; name a file", path);
    else if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        opened = open_direct(output, error);
    else
        opened = open_temporary(output, error);
    if (!opened) {
        free_output(output);
        return NULL;
    }
    return output;
}

struct iom_output *iom_output_open_memory(struct iom_trace_error *error)
{
    struct iom_output *output = calloc(1, sizeof *output);
    if (output != NULL)
        output->name = join("(memory)", "");
    if (output == NULL || output->name == NULL) {
        iom_trace_fail(error, "out of memory");
        free(output);
        return NULL;
    }
    return output;
}

static bool write_memory(struct iom_output *output, const void *data, size_t bytes,
                         struct iom_trace_error *error)
{
    if (output->memory_room - output->memory_bytes < bytes) {
        size_t room = output->memory_room < 4096 ? 4096 : output->memory_room;
        while (room - output->memory_bytes < bytes)
            room *= 2;
        uint8_t *grown = realloc(output->memory, room);
        if (grown == NULL)
            return iom_trace_fail(error, "%s: out of memory", output->name);
        output->memory = grown;
        output->memory_room = room;
    }
    if (bytes != 0)
        memcpy(output->memory + output->memory_bytes, data, bytes);
    output->memory_bytes += bytes;
    return true;
}

static bool write_failed(const struct iom_output *output, struct iom_trace_error *error)
{
    return iom_trace_fail(error, "%s: cannot be written: %s", output->name,
                          errno != 0 ? strerror(errno) : "unknown reason");
}

bool iom_output_write(struct iom_output *output, const void *data, size_t bytes,
                      struct iom_trace_error *error)
{
    if (output->file == NULL)
        return write_memory(output, data, bytes, error);
    errno = 0;
    if (fwrite(data, 1, bytes, output->file) != bytes)
        return write_failed(output, error);
    return true;
}

bool iom_output_can_patch(const struct iom_output *output)
{
    return output->file == NULL || output->temporary != NULL;
}

bool iom_output_patch(struct iom_output *output, uint64_t offset, const void *data, size_t bytes,
                      struct iom_trace_error *error)
{
    if (output->file == NULL) {
        memcpy(output->memory + offset, data, bytes);
        return true;
    }
    errno = 0;
    if (fseek(output->file, (long)offset, SEEK_SET) != 0 || fwrite(data, 1, bytes, output->file) != bytes ||
        fseek(output->file, 0, SEEK_END) != 0)
        return write_failed(output, error);
    return true;
}

bool iom_output_commit(struct iom_output *output, struct iom_trace_error *error)
{
    bool good = true;
    if (output->file != NULL) {
        errno = 0;
        // A full disk may show only when the buffers are flushed, or only at the close.
        if (fflush(output->file) != 0)
            good = write_failed(output, error);
        if (output->file != stdout && fclose(output->file) != 0 && good)
            good = write_failed(output, error);
    }
    if (output->temporary != NULL) {
        if (good && rename(output->temporary, output->name) != 0)
            good = write_failed(output, error);
        if (!good)
            unlink(output->temporary);
    }
    free_output(output);
    return good;
}

void iom_output_take(struct iom_output *output, void **data, size_t *bytes)
{
    *data = output->memory;
    *bytes = output->memory_bytes;
    output->memory = NULL;
    free_output(output);
}

void iom_output_abort(struct iom_output *output)
{
    if (output == NULL)
        return;
    if (output->file != NULL && output->file != stdout)
        fclose(output->file);
    if (output->temporary != NULL)
        unlink(output->temporary);
    free_output(output);
}

const char *iom_output_name(const struct iom_output *output)
{
    return output->name;
}
