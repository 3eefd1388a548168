// SPDX-License-Identifier: Apache-2.0
//
// Lines of a file: see line_reader.h.
#include "models/input/line_reader.h"

#include <zstd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace iommu_sim
{

namespace
{

// A line is one object, some ten kilobytes to a megabyte; anything near this limit is another kind of file.
constexpr size_t line_limit = size_t{64} << 20;
constexpr std::array<uint8_t, 4> zstd_magic = {0x28, 0xb5, 0x2f, 0xfd};

struct FileCloser {
    void operator()(std::FILE *file) const
    {
        std::fclose(file); // opened for reading: nothing to lose
    }
};

struct StreamCloser {
    void operator()(ZSTD_DStream *stream) const
    {
        ZSTD_freeDStream(stream);
    }
};

} // namespace

struct LineReader::State {
    std::string path;
    std::unique_ptr<std::FILE, FileCloser> file;
    std::unique_ptr<ZSTD_DStream, StreamCloser> stream; // null: plain text
    std::vector<uint8_t> raw;                           // as in the file
    size_t raw_at = 0, raw_end = 0;
    std::vector<uint8_t> text; // decompressed
    size_t text_at = 0, text_end = 0;
    bool frame_open = false;     // between the first and the last byte of a frame
    bool output_pending = false; // the decompressor holds text that did not fit

    [[noreturn]] void fail(const std::string &what) const
    {
        throw InputError(path + ": " + what);
    }

    bool fill_raw();
    bool fill_text();
};

bool LineReader::State::fill_raw()
{
    raw_at = 0;
    errno = 0;
    raw_end = std::fread(raw.data(), 1, raw.size(), file.get());
    if (raw_end == 0 && std::ferror(file.get()))
        fail(std::string("cannot be read: ") + std::strerror(errno));
    return raw_end > 0;
}

// Makes more text available; false at the end of the file.
bool LineReader::State::fill_text()
{
    text_at = text_end = 0;
    while (text_end == 0) {
        if (raw_at == raw_end && !output_pending && !fill_raw()) {
            if (frame_open)
                fail("compressed data ends in the middle of a frame (truncated file?)");
            return false;
        }
        if (!stream) {
            std::memcpy(text.data(), raw.data() + raw_at, raw_end - raw_at);
            text_end = raw_end - raw_at;
            raw_at = raw_end;
            continue;
        }
        ZSTD_inBuffer in = {raw.data(), raw_end, raw_at};
        ZSTD_outBuffer out = {text.data(), text.size(), 0};
        const size_t left = ZSTD_decompressStream(stream.get(), &out, &in);
        if (ZSTD_isError(left))
            fail(std::string("damaged compressed data: ") + ZSTD_getErrorName(left));
        frame_open = left != 0;
        output_pending = frame_open && out.pos == out.size;
        raw_at = in.pos;
        text_end = out.pos;
    }
    return true;
}

LineReader::LineReader(const std::string &path) : state_(std::make_unique<State>())
{
    State &s = *state_;
    s.path = path;
    s.file.reset(std::fopen(path.c_str(), "rb"));
    if (!s.file)
        s.fail(std::string("cannot be opened: ") + std::strerror(errno));
    s.raw.resize(size_t{1} << 17);
    s.text.resize(size_t{1} << 17);
    if (s.fill_raw() && s.raw_end >= zstd_magic.size() &&
        std::memcmp(s.raw.data(), zstd_magic.data(), zstd_magic.size()) == 0) {
        s.stream.reset(ZSTD_createDStream());
        if (!s.stream || ZSTD_isError(ZSTD_initDStream(s.stream.get())))
            s.fail("cannot start decompression");
    }
}

LineReader::~LineReader() = default;

bool LineReader::next(std::string *line)
{
    State &s = *state_;
    line->clear();
    bool any = false;
    for (;;) {
        if (s.text_at == s.text_end && !s.fill_text())
            return any;
        number_ += any ? 0 : 1;
        any = true;
        const uint8_t *from = s.text.data() + s.text_at;
        const size_t have = s.text_end - s.text_at;
        const auto *end = static_cast<const uint8_t *>(std::memchr(from, '\n', have));
        const size_t take = end ? static_cast<size_t>(end - from) : have;
        if (line->size() + take > line_limit)
            s.fail("a line is longer than 64 MiB: not a file of this kind");
        line->append(reinterpret_cast<const char *>(from), take);
        s.text_at += take + (end ? 1 : 0);
        if (end)
            return true;
    }
}

bool LineReader::next_filled(std::string *line)
{
    while (next(line)) {
        if (line->find_first_not_of(" \t\r") != std::string::npos)
            return true;
    }
    return false;
}

} // namespace iommu_sim
