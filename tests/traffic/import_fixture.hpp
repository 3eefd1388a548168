// SPDX-License-Identifier: Apache-2.0
//
// What the importer's tests share: captures as text, an import with its trace read back and checked.
#ifndef IOM_TESTS_TRAFFIC_IMPORT_FIXTURE_HPP
#define IOM_TESTS_TRAFFIC_IMPORT_FIXTURE_HPP

#include <gtest/gtest.h>
#include <zstd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "traffic/import.h"
#include "traffic/trace_check.h"

namespace import_fixture
{

using Records = std::vector<iom_trace_record>;

inline std::string capture(const std::string &name)
{
    return std::string(IOM_SOURCE_DIR) + "/tests/data/traces/" + name;
}

/// A capture as text.
inline std::string unpacked(const std::string &name)
{
    std::ifstream file(capture(name), std::ios::binary);
    const std::string packed((std::istreambuf_iterator<char>(file)), {});
    const auto bytes = ZSTD_getFrameContentSize(packed.data(), packed.size());
    std::string text;
    if (bytes != ZSTD_CONTENTSIZE_UNKNOWN && bytes != ZSTD_CONTENTSIZE_ERROR) {
        text.resize(bytes);
        ZSTD_decompress(text.data(), text.size(), packed.data(), packed.size());
        return text;
    }
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {packed.data(), packed.size(), 0};
    std::vector<char> part(1 << 16);
    while (in.pos < in.size) {
        ZSTD_outBuffer out = {part.data(), part.size(), 0};
        if (ZSTD_isError(ZSTD_decompressStream(stream, &out, &in)))
            break;
        text.append(part.data(), out.pos);
    }
    ZSTD_freeDStream(stream);
    return text;
}

struct Result {
    iom_import *import = nullptr;
    std::string error;
    Records records;
    iom_trace_check check = {};

    Result() = default;
    Result(const Result &) = delete;
    Result &operator=(const Result &) = delete;
    ~Result()
    {
        iom_import_free(import);
    }
    uint64_t operator[](iom_import_count count) const
    {
        return import == nullptr ? 0 : iom_import_get(import, count);
    }
};

/// Reads back what an import writes.
inline void read_back(const void *trace, size_t bytes, Result &result)
{
    iom_trace_error error;
    iom_trace_reader *reader = iom_trace_reader_open_memory(trace, bytes, "t", &error);
    ASSERT_NE(reader, nullptr) << error.text;
    iom_trace_record record;
    int got;
    while ((got = iom_trace_read(reader, &record, &error)) == 1)
        result.records.push_back(record);
    iom_trace_reader_close(reader);
    ASSERT_EQ(got, 0) << error.text;
    reader = iom_trace_reader_open_memory(trace, bytes, "t", &error);
    ASSERT_EQ(iom_trace_check_all(reader, &result.check, &error), 0) << error.text;
    iom_trace_reader_close(reader);
}

inline void import(const std::string &guest, const std::string *host, const iom_import_options &options,
                   Result &result)
{
    const iom_import_source sources[] = {
        {"g.txt", guest.data(), guest.size()},
        {"h.log", host != nullptr ? host->data() : nullptr, host != nullptr ? host->size() : 0}};
    iom_trace_error error = {};
    result.import = iom_import_logs(sources, host != nullptr ? 2 : 1, &options, &error);
    result.error = error.text;
    void *trace = nullptr;
    size_t bytes = 0;
    const int status =
        iom_import_buffer(guest.data(), guest.size(), host != nullptr ? host->data() : nullptr,
                          host != nullptr ? host->size() : 0, &options, &trace, &bytes, &error);
    ASSERT_EQ(status == 0, result.import != nullptr);
    if (status == 0)
        read_back(trace, bytes, result);
    std::free(trace);
}

inline iom_import_options defaults()
{
    iom_import_options options;
    iom_import_options_init(&options);
    return options;
}

inline void import_capture(const std::string &name, Result &result, iom_import_options options = defaults())
{
    const std::string host = unpacked(name + ".host.qemu.log.zst");
    import(unpacked(name + ".guest.ftrace.txt.zst"), &host, options, result);
    ASSERT_NE(result.import, nullptr) << result.error;
}

inline std::string failure(const std::string &guest, const std::string &host = "")
{
    Result result;
    import(guest, host.empty() ? nullptr : &host, defaults(), result);
    return result.error;
}

} // namespace import_fixture

#endif
