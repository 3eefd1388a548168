// SPDX-License-Identifier: Apache-2.0
//
// The trace file itself: what is written is read back, in both forms, and nothing damaged, cut,
// foreign or too new is taken for a trace. Written against docs/trace-format.md.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "core/rng.h"
#include "traffic/trace.h"
#include "traffic/trace_io.h"

namespace
{

using Records = std::vector<iom_trace_record>;

struct Header : iom_trace_header {
    Header()
    {
        iom_trace_header_init(this);
    }
    ~Header()
    {
        iom_trace_header_free(this);
    }
    Header(const Header &) = delete;
    Header &operator=(const Header &) = delete;
};

uint64_t pages(iom_rng &rng)
{
    return iom_rng_below(&rng, UINT64_C(1) << 40) << 12;
}

/// A well-formed record of a random kind, as docs/trace-format.md defines them.
iom_trace_record random_record(iom_rng &rng, uint64_t time, uint32_t strings)
{
    iom_trace_record r;
    const auto kind = static_cast<iom_trace_kind>(1 + iom_rng_below(&rng, 8));
    iom_trace_record_init(&r, kind);
    r.time = time;
    r.op = iom_rng_below(&rng, 3) == 0 ? 0 : 1 + iom_rng_next(&rng) % 1000;
    const bool cpu = iom_rng_below(&rng, 2) != 0;
    if (cpu && kind != IOM_TRACE_DMA)
        r.cpu = static_cast<uint16_t>(iom_rng_below(&rng, IOM_TRACE_NO_CPU));
    if (kind != IOM_TRACE_MARK)
        r.device = static_cast<uint32_t>(iom_rng_below(&rng, 1u << 20));
    if (kind <= IOM_TRACE_DMA && iom_rng_below(&rng, 2) != 0)
        r.pasid = static_cast<uint32_t>(iom_rng_below(&rng, 1u << 20));
    if (kind <= IOM_TRACE_UNMAP)
        r.domain = static_cast<uint32_t>(iom_rng_next(&rng));
    switch (kind) {
    case IOM_TRACE_MAP: {
        static const uint8_t sizes[] = {0, 12, 21, 30};
        r.iova = pages(rng);
        r.address = pages(rng);
        r.bytes = (1 + iom_rng_below(&rng, 1000)) << 12;
        r.flags = static_cast<uint16_t>(1 + iom_rng_below(&rng, 3));
        r.page_log2 = sizes[iom_rng_below(&rng, 4)];
        break;
    }
    case IOM_TRACE_UNMAP:
        r.iova = pages(rng);
        r.bytes = (1 + iom_rng_below(&rng, 1000)) << 12;
        r.flags = iom_rng_below(&rng, 2) != 0 ? IOM_TRACE_DEFERRED : 0;
        break;
    case IOM_TRACE_DMA:
        r.iova = iom_rng_next(&rng);
        r.bytes = 1 + iom_rng_below(&rng, 4096 - r.iova % 4096);
        r.flags = iom_rng_below(&rng, 2) != 0 ? IOM_TRACE_READ : IOM_TRACE_WRITE;
        r.flags |= iom_rng_below(&rng, 4) == 0 ? IOM_TRACE_FAULTED | IOM_TRACE_EXEC | IOM_TRACE_PRIV : 0;
        r.detail = static_cast<uint8_t>(iom_rng_below(&rng, 4));
        break;
    case IOM_TRACE_OP_BEGIN:
        r.bytes = iom_rng_next(&rng);
        [[fallthrough]];
    case IOM_TRACE_OP_END:
        r.op |= 1;
        r.queue = static_cast<uint16_t>(iom_rng_next(&rng));
        r.opcode = static_cast<uint8_t>(iom_rng_next(&rng));
        break;
    case IOM_TRACE_MARK:
        r.detail = static_cast<uint8_t>(iom_rng_below(&rng, 4));
        r.text = static_cast<uint16_t>(iom_rng_below(&rng, strings + 1));
        break;
    default:
        r.flags = iom_rng_below(&rng, 2) != 0 ? IOM_TRACE_SYNTHETIC : 0;
        break;
    }
    return r;
}

Records random_records(uint64_t seed, size_t count, uint32_t strings)
{
    iom_rng rng;
    iom_rng_seed(&rng, seed, "trace_test");
    Records records;
    uint64_t time = iom_rng_below(&rng, 1000);
    for (size_t i = 0; i < count; i++) {
        time += iom_rng_below(&rng, 3) == 0 ? 0 : iom_rng_below(&rng, UINT64_C(1) << 40);
        records.push_back(random_record(rng, time, strings));
    }
    return records;
}

std::string write_trace(const iom_trace_header &header, const Records &records, iom_trace_form form)
{
    iom_trace_error error = {};
    iom_trace_writer *writer = iom_trace_writer_open_memory(form, &header, &error);
    EXPECT_NE(writer, nullptr) << error.text;
    for (const iom_trace_record &record : records)
        EXPECT_TRUE(iom_trace_write(writer, &record, &error)) << error.text;
    void *data = nullptr;
    size_t bytes = 0;
    EXPECT_TRUE(iom_trace_writer_take(writer, &data, &bytes, &error)) << error.text;
    std::string trace(static_cast<char *>(data), bytes);
    std::free(data);
    return trace;
}

/// Reads everything. Empty error = the end was reached and verified.
std::string read_trace(const std::string &trace, Records *records = nullptr,
                       std::string *other_form = nullptr)
{
    iom_trace_error error = {};
    iom_trace_reader *reader = iom_trace_reader_open_memory(trace.data(), trace.size(), "t.iomt", &error);
    if (reader == nullptr)
        return error.text;
    iom_trace_record record;
    Records read;
    int got;
    while ((got = iom_trace_read(reader, &record, &error)) == 1)
        read.push_back(record);
    if (got == 0 && other_form != nullptr)
        *other_form = write_trace(*iom_trace_reader_header(reader), read,
                                  iom_trace_reader_is_text(reader) ? IOM_TRACE_BINARY : IOM_TRACE_TEXT);
    iom_trace_reader_close(reader);
    if (records != nullptr)
        *records = read;
    if (got < 0 && error.text[0] == '\0')
        return "an error without a text";
    return got < 0 ? error.text : "";
}

bool same(const iom_trace_record &a, const iom_trace_record &b)
{
    return a.time == b.time && a.op == b.op && a.iova == b.iova && a.address == b.address &&
           a.bytes == b.bytes && a.device == b.device && a.domain == b.domain && a.pasid == b.pasid &&
           a.flags == b.flags && a.cpu == b.cpu && a.queue == b.queue && a.text == b.text &&
           a.kind == b.kind && a.detail == b.detail && a.opcode == b.opcode && a.page_log2 == b.page_log2;
}

void fill(Header &header)
{
    header.arch = IOM_TRACE_ARCH_SMMUV3;
    header.clock = IOM_TRACE_CLOCK_SYNTHETIC;
    header.tick_ps = 250;
    header.queue_depth = 32;
    ASSERT_TRUE(iom_trace_header_set_producer(&header, "test 1.0"));
    ASSERT_EQ(iom_trace_header_add(&header, IOM_TRACE_DEVICES, 0x20, "0000:00:04.0"), 1u);
    ASSERT_EQ(iom_trace_header_add(&header, IOM_TRACE_STRINGS, 0, " blanks \n tab\t back\\slash \x7f "), 1u);
    ASSERT_EQ(iom_trace_header_add(&header, IOM_TRACE_STRINGS, 0, ""), 2u);
    ASSERT_EQ(iom_trace_header_add(&header, IOM_TRACE_STRINGS, 0, "gr\xc3\xbc\xc3\x9f: # end: 7"), 3u);
    ASSERT_EQ(iom_trace_header_add(&header, IOM_TRACE_COUNTERS, UINT64_MAX, "many"), 1u);
    ASSERT_EQ(iom_trace_header_add(&header, IOM_TRACE_SOURCES, 0xffffffff, "a b.txt"), 1u);
    ASSERT_EQ(iom_trace_header_add(&header, IOM_TRACE_NOTES, 0, "note"), 1u);
}

std::string folder()
{
    std::string path = ::testing::TempDir() + "iom-trace-" + std::to_string(getpid());
    std::filesystem::create_directories(path);
    return path;
}

std::string joined(const std::vector<std::string> &parts)
{
    std::string whole;
    for (const std::string &part : parts)
        whole += part;
    return whole;
}

size_t files_in(const std::string &path)
{
    size_t count = 0;
    for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator(path))
        count++;
    return count;
}

// ---------------------------------------------------------------------------------------------------

TEST(Trace, crc32c_has_the_published_check_value)
{
    // RFC 3720 appendix B.4: 32 bytes of zeros, of ones; and the usual "123456789".
    EXPECT_EQ(iom_crc32c(0, "123456789", 9), 0xe3069283u);
    const std::string zeros(32, '\0');
    const std::string ones(32, '\xff');
    EXPECT_EQ(iom_crc32c(0, zeros.data(), 32), 0x8a9136aau);
    EXPECT_EQ(iom_crc32c(0, ones.data(), 32), 0x62a8ab43u);
    EXPECT_EQ(iom_crc32c(iom_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

TEST(Trace, random_records_survive_both_forms)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Header header;
        fill(header);
        const Records records = random_records(seed, seed * seed * 40, 3); // up to four blocks
        const std::string binary = write_trace(header, records, IOM_TRACE_BINARY);
        Records read;
        std::string text;
        ASSERT_EQ(read_trace(binary, &read, &text), "");
        ASSERT_EQ(read.size(), records.size());
        for (size_t i = 0; i < records.size(); i++)
            ASSERT_TRUE(same(read[i], records[i])) << "seed " << seed << " record " << i;
        Records again;
        std::string back;
        ASSERT_EQ(read_trace(text, &again, &back), "");
        ASSERT_EQ(again.size(), records.size());
        EXPECT_EQ(back, binary) << "seed " << seed;
    }
}

TEST(Trace, the_header_survives_both_forms)
{
    Header header;
    fill(header);
    for (const iom_trace_form form : {IOM_TRACE_BINARY, IOM_TRACE_TEXT}) {
        const std::string trace = write_trace(header, {}, form);
        iom_trace_error error;
        iom_trace_reader *reader = iom_trace_reader_open_memory(trace.data(), trace.size(), "t", &error);
        ASSERT_NE(reader, nullptr) << error.text;
        const iom_trace_header *read = iom_trace_reader_header(reader);
        EXPECT_EQ(read->arch, header.arch);
        EXPECT_EQ(read->clock, header.clock);
        EXPECT_EQ(read->tick_ps, header.tick_ps);
        EXPECT_EQ(read->queue_depth, header.queue_depth);
        EXPECT_STREQ(read->producer, header.producer);
        for (unsigned list = 0; list < IOM_TRACE_LISTS; list++) {
            ASSERT_EQ(read->list[list].count, header.list[list].count);
            for (uint32_t i = 0; i < header.list[list].count; i++) {
                EXPECT_EQ(read->list[list].entry[i].number, header.list[list].entry[i].number);
                EXPECT_STREQ(read->list[list].entry[i].text, header.list[list].entry[i].text);
            }
        }
        iom_trace_reader_close(reader);
    }
}

TEST(Trace, a_trace_cut_anywhere_is_refused)
{
    Header header;
    fill(header);
    const Records records = random_records(7, 60, 3);
    for (const iom_trace_form form : {IOM_TRACE_BINARY, IOM_TRACE_TEXT}) {
        const std::string trace = write_trace(header, records, form);
        ASSERT_EQ(read_trace(trace), "");
        for (size_t bytes = 0; bytes < trace.size(); bytes++)
            ASSERT_NE(read_trace(trace.substr(0, bytes)), "") << "form " << form << " cut at " << bytes;
    }
}

TEST(Trace, any_flipped_bit_of_a_binary_trace_is_noticed)
{
    Header header;
    fill(header);
    const std::string trace = write_trace(header, random_records(8, 40, 3), IOM_TRACE_BINARY);
    for (size_t bit = 0; bit < trace.size() * 8; bit++) {
        std::string damaged = trace;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
        ASSERT_NE(read_trace(damaged), "") << "bit " << bit;
    }
}

TEST(Trace, missing_repeated_and_swapped_blocks_are_noticed)
{
    Header header;
    const std::string trace =
        write_trace(header, random_records(9, size_t{3} * IOM_TRACE_BLOCK_RECORDS, 0), IOM_TRACE_BINARY);
    std::vector<size_t> blocks;
    for (size_t at = trace.find("BLK1"); at != std::string::npos; at = trace.find("BLK1", at + 28))
        blocks.push_back(at);
    ASSERT_EQ(blocks.size(), 3u); // chance that "BLK1" occurs in compressed data is nil with this seed
    const size_t end = trace.size() - 24;
    const std::string head = trace.substr(0, blocks[0]);
    const std::string a = trace.substr(blocks[0], blocks[1] - blocks[0]);
    const std::string b = trace.substr(blocks[1], blocks[2] - blocks[1]);
    const std::string c = trace.substr(blocks[2], end - blocks[2]);
    const std::string tail = trace.substr(end);
    using Parts = std::vector<std::string>;
    ASSERT_EQ(read_trace(joined({head, a, b, c, tail})), "");
    for (const Parts &body : {Parts{a, c}, {b, c}, {a, b}, {a, a, b, c}, {b, a, c}, {}})
        EXPECT_NE(read_trace(joined({head, joined(body), tail})), "");
    EXPECT_NE(read_trace(joined({head, a, b, c, tail, "x"})).find("bytes follow"), std::string::npos);
}

TEST(Trace, foreign_empty_and_newer_files_are_named)
{
    Header header;
    EXPECT_EQ(read_trace(""), "t.iomt: the file is empty; import the trace again");
    EXPECT_NE(read_trace("hello, world, this is no trace at all").find("not a trace"), std::string::npos);
    EXPECT_NE(read_trace(std::string(100, '\0')).find("not a trace"), std::string::npos);
    std::string newer = write_trace(header, {}, IOM_TRACE_BINARY);
    newer[8] = 2;
    EXPECT_NE(read_trace(newer).find("version 2"), std::string::npos);
    EXPECT_NE(read_trace("# iommu-sim trace 2\n# end: 0\n").find("version 2"), std::string::npos);
    EXPECT_EQ(read_trace("# iommu-sim trace 1\n# end: 0\n"), "");
}

TEST(Trace, text_errors_name_line_and_token)
{
    const std::string head = "# iommu-sim trace 1\n# string: a\n";
    const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"x map", "t.iomt:3: x: expected a time in ticks"},
        {"5 mop", "t.iomt:3: mop: expected attach"},
        {"5 dma dev=0:4.0 iova=0x1000 bytes=4q", "t.iomt:3: bytes=4q: expected"},
        {"5 dma dev=00:04.0 iova=0x1000 bytes=4 flags=read,", "t.iomt:3: flags=read,: expected names"},
        {"5 dma dev=00:04.0 iova=0x1000 bytes=4 flags=read bytes=4",
         "t.iomt:3: bytes=4: expected each key once"},
        {"5 dma dev=00:04.0 iova=0x1000 bytes=4", "t.iomt:3: flags: expected exactly one of read and write"},
        {"5 dma dev=00:04.0 iova=0x1fff bytes=4 flags=read",
         "t.iomt:3: bytes: expected 1 or more, within one"},
        {"5 mark text=2", "t.iomt:3: text: no such string"},
        {"5 map iova=0x1001 pa=0 bytes=4096 flags=read", "t.iomt:3: iova: expected a multiple of 4096"},
        {"5 unmap iova=0xfffffffffffff000 bytes=8192", "t.iomt:3: bytes: the range passes the end"},
        {"# end: 1", "t.iomt:3: 1: expected 0, the number of records above"},
    };
    for (const auto &c : cases)
        EXPECT_NE(read_trace(head + c.line + "\n# end: 1\n").find(c.message), std::string::npos)
            << c.line << "\n  " << read_trace(head + c.line + "\n# end: 1\n");
    EXPECT_NE(read_trace(head + "9 mark\n8 mark\n# end: 2\n").find("t.iomt:4: time: smaller"),
              std::string::npos);
    EXPECT_NE(read_trace("# iommu-sim trace 1\n# tick_ps: 0\n").find("t.iomt:2: tick_ps:"),
              std::string::npos);
    EXPECT_NE(read_trace("# iommu-sim trace 1\n# colour: red\n").find("expected a key of this version"),
              std::string::npos);
}

TEST(Trace, hand_written_text_is_read)
{
    Records records;
    ASSERT_EQ(
        read_trace("# iommu-sim trace 1\r\n#\n## a remark\n# tick_ps: 500\n\n"
                   "10 attach dev=00:04.0 domain=3\n"
                   "  10   map  domain=3 iova=4096 pa=0x2000 bytes=4096 flags=write,read\r\n"
                   "## another\n"
                   "11 dma op=0 dev=0000:00:04.0 iova=0x1010 bytes=16 flags=write class=ring\n# end: 3\n\n",
                   &records),
        "");
    ASSERT_EQ(records.size(), 3u);
    EXPECT_EQ(records[0].device, 0x20u);
    EXPECT_EQ(records[1].iova, 4096u);
    EXPECT_EQ(records[1].flags, IOM_TRACE_READ | IOM_TRACE_WRITE);
    EXPECT_EQ(records[2].detail, IOM_TRACE_DMA_RING);
}

TEST(Trace, the_writer_refuses_what_the_reader_would)
{
    Header header;
    iom_trace_error error = {};
    iom_trace_writer *writer = iom_trace_writer_open_memory(IOM_TRACE_BINARY, &header, &error);
    iom_trace_record record;
    iom_trace_record_init(&record, IOM_TRACE_MARK);
    record.time = 5;
    EXPECT_TRUE(iom_trace_write(writer, &record, &error));
    record.time = 4;
    EXPECT_FALSE(iom_trace_write(writer, &record, &error));
    EXPECT_STREQ(error.text, "(memory): record 1: time: smaller than the record before");
    record.time = 6;
    EXPECT_FALSE(iom_trace_write(writer, &record, &error)) << "a failed writer stays failed";
    void *data;
    size_t bytes;
    EXPECT_FALSE(iom_trace_writer_take(writer, &data, &bytes, &error));
}

TEST(Trace, unknown_kinds_and_stray_fields_are_faults)
{
    iom_trace_record record;
    iom_trace_record_init(&record, IOM_TRACE_MARK);
    EXPECT_EQ(iom_trace_record_fault(&record, 0), nullptr);
    for (const unsigned kind : {0u, 9u, 16u, 32u, 48u, 255u}) {
        record.kind = static_cast<uint8_t>(kind);
        EXPECT_STREQ(iom_trace_record_fault(&record, 0), "kind: not a kind of this version");
    }
    iom_trace_record_init(&record, IOM_TRACE_MARK);
    record.iova = 1;
    EXPECT_STREQ(iom_trace_record_fault(&record, 0), "iova: not a field of this kind");
    iom_trace_record_init(&record, IOM_TRACE_OP_END);
    record.device = 1;
    EXPECT_STREQ(iom_trace_record_fault(&record, 0), "op: expected a number above 0");
}

// ---------------------------------------------------------------------------------------------------
// Files

TEST(TraceFile, appears_whole_or_not_at_all)
{
    const std::string dir = folder() + "/whole";
    std::filesystem::create_directories(dir);
    const std::string path = dir + "/a.iomt";
    std::ofstream(path) << "older";
    Header header;
    iom_trace_error error = {};
    iom_trace_writer *writer = iom_trace_writer_open(path.c_str(), IOM_TRACE_BINARY, &header, &error);
    ASSERT_NE(writer, nullptr) << error.text;
    iom_trace_writer_abort(writer);
    EXPECT_EQ(files_in(dir), 1u);
    std::string content;
    std::getline(std::ifstream(path) >> std::ws, content);
    EXPECT_EQ(content, "older");
    writer = iom_trace_writer_open(path.c_str(), IOM_TRACE_BINARY, &header, &error);
    ASSERT_TRUE(iom_trace_writer_close(writer, &error)) << error.text;
    EXPECT_EQ(files_in(dir), 1u);
    iom_trace_reader *reader = iom_trace_reader_open(path.c_str(), &error);
    ASSERT_NE(reader, nullptr) << error.text;
    EXPECT_EQ(iom_trace_reader_header(reader)->records, 0u) << "patched at the close";
    iom_trace_reader_close(reader);
    std::filesystem::remove_all(dir);
}

TEST(TraceFile, unusable_targets_give_one_clear_error)
{
    Header header;
    iom_trace_error error = {};
    EXPECT_EQ(iom_trace_writer_open("/no/such/folder/a.iomt", IOM_TRACE_BINARY, &header, &error), nullptr);
    EXPECT_STREQ(error.text, "/no/such/folder/a.iomt: cannot be written: No such file or directory");
    EXPECT_EQ(iom_trace_writer_open(::testing::TempDir().c_str(), IOM_TRACE_BINARY, &header, &error),
              nullptr);
    EXPECT_NE(std::string(error.text).find("is a directory"), std::string::npos);
    EXPECT_EQ(iom_trace_reader_open("/no/such/file", &error), nullptr);
    EXPECT_STREQ(error.text, "/no/such/file: cannot be opened: No such file or directory");
    EXPECT_EQ(iom_trace_reader_open(::testing::TempDir().c_str(), &error), nullptr);
    EXPECT_NE(std::string(error.text).find("Is a directory"), std::string::npos);
}

TEST(TraceFile, a_full_device_is_reported)
{
    if (access("/dev/full", W_OK) != 0)
        GTEST_SKIP() << "no /dev/full here";
    Header header;
    iom_trace_error error = {};
    for (const iom_trace_form form : {IOM_TRACE_BINARY, IOM_TRACE_TEXT}) {
        iom_trace_writer *writer = iom_trace_writer_open("/dev/full", form, &header, &error);
        ASSERT_NE(writer, nullptr) << error.text;
        EXPECT_FALSE(iom_trace_writer_close(writer, &error));
        EXPECT_STREQ(error.text, "/dev/full: cannot be written: No space left on device");
    }
}

TEST(TraceFile, a_pipe_is_written_directly_and_read_back)
{
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const std::string target = "/proc/self/fd/" + std::to_string(ends[1]);
    const std::string source = "/proc/self/fd/" + std::to_string(ends[0]);
    Header header;
    const Records records = random_records(3, 50, 0); // fits a pipe's buffer
    iom_trace_error error = {};
    iom_trace_writer *writer = iom_trace_writer_open(target.c_str(), IOM_TRACE_BINARY, &header, &error);
    ASSERT_NE(writer, nullptr) << error.text;
    for (const iom_trace_record &record : records)
        ASSERT_TRUE(iom_trace_write(writer, &record, &error)) << error.text;
    ASSERT_TRUE(iom_trace_writer_close(writer, &error)) << error.text;
    close(ends[1]);
    iom_trace_reader *reader = iom_trace_reader_open(source.c_str(), &error);
    ASSERT_NE(reader, nullptr) << error.text;
    EXPECT_EQ(iom_trace_reader_header(reader)->records, IOM_TRACE_COUNT_UNKNOWN)
        << "a pipe cannot be patched";
    iom_trace_record record;
    size_t read = 0;
    while (iom_trace_read(reader, &record, &error) == 1)
        ASSERT_TRUE(same(record, records[read++]));
    EXPECT_EQ(read, records.size());
    EXPECT_EQ(iom_trace_read(reader, &record, &error), 0) << error.text;
    iom_trace_reader_close(reader);
    close(ends[0]);
}

long peak_kib()
{
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

TEST(TraceFile, memory_does_not_grow_with_the_trace)
{
    // 64 MB of records; the peak may grow by the buffers (under 1 MiB each way) and nothing else.
    const uint64_t count = 1000000;
    const std::string path = folder() + "/long.iomt";
    Header header;
    iom_trace_error error = {};
    const Records some = random_records(5, 1000, 0);
    const long before = peak_kib();
    iom_trace_writer *writer = iom_trace_writer_open(path.c_str(), IOM_TRACE_BINARY, &header, &error);
    for (uint64_t i = 0; i < count; i++) {
        iom_trace_record record = some[i % some.size()];
        record.time = i;
        ASSERT_TRUE(iom_trace_write(writer, &record, &error)) << error.text;
    }
    ASSERT_TRUE(iom_trace_writer_close(writer, &error)) << error.text;
    iom_trace_reader *reader = iom_trace_reader_open(path.c_str(), &error);
    ASSERT_NE(reader, nullptr) << error.text;
    EXPECT_EQ(iom_trace_reader_header(reader)->records, count);
    iom_trace_record record;
    uint64_t read = 0;
    while (iom_trace_read(reader, &record, &error) == 1)
        read++;
    EXPECT_EQ(read, count);
    EXPECT_EQ(iom_trace_read(reader, &record, &error), 0) << error.text;
    iom_trace_reader_close(reader);
    EXPECT_LT(peak_kib() - before, 8 * 1024);
    std::filesystem::remove(path);
}

} // namespace
