// SPDX-License-Identifier: Apache-2.0
//
// The reader of records: everything a record says arrives, and whatever is wrong with one is an error that
// names file, line, record and place.
#include <gtest/gtest.h>

#include <fstream>

#include "models/timing/record.h"
#include "tests/models/support/timing_record.h"

using namespace iommu_sim;
using namespace iommu_sim::timing;
using iommu_sim::test::small_record;
using nlohmann::json;

namespace
{

Record parse(const json &document, std::set<std::string> *notes = nullptr)
{
    return parse_record(document.dump(), "a.jsonl", 7, notes);
}

/// Message of the error that `document` leads to.
std::string error_of(const json &document)
{
    try {
        parse(document);
    } catch (const InputError &error) {
        return error.what();
    }
    return "no error";
}

json changed(const std::string &pointer, const json &value)
{
    json document = small_record();
    document[json::json_pointer(pointer)] = value;
    return document;
}

TEST(TimingRecord, build_and_registers_are_read)
{
    const Record record = parse(small_record());
    EXPECT_EQ(record.id, "small/1");
    EXPECT_EQ(record.line, 7u);
    EXPECT_EQ(record.build.name, "A");
    EXPECT_EQ(record.build.iotlb_entries, 4u);
    EXPECT_EQ(record.build.pdtc_entries, 2u);
    EXPECT_TRUE(record.build.process_contexts);
    EXPECT_FALSE(record.build.boundary_check);
    EXPECT_FALSE(record.build.extended_contexts());
    EXPECT_EQ(record.registers.ddtp_mode, 2u);
    EXPECT_EQ(record.registers.cqb_ppn, 0x80001u);
    EXPECT_EQ(record.registers.fq_entries, 1024u);
    EXPECT_TRUE(record.registers.wired_interrupts);
    EXPECT_EQ(record.read_latency_cycles, 3u);
    EXPECT_EQ(record.write_latency_cycles, 2u);
    EXPECT_EQ(record.sink_latency_cycles, 1u);
    EXPECT_FALSE(record.dual);
    EXPECT_FALSE(record.hung);
    EXPECT_EQ(record.cycles, 60u);
    EXPECT_EQ(record.memory.at(0x80000028), 0xff00000000000001u);
    EXPECT_EQ(record.read_errors.at(0x80011000), 2u);
}

TEST(TimingRecord, requests_are_read)
{
    const Record record = parse(small_record());
    ASSERT_EQ(record.requests.size(), 4u);
    const Request &write = record.requests[1];
    EXPECT_TRUE(write.write);
    EXPECT_TRUE(write.privileged);
    EXPECT_FALSE(write.execute);
    EXPECT_EQ(write.process_id, 77u);
    EXPECT_EQ(write.iova, 0x100008u);
    EXPECT_EQ(write.beats, 4u);
    EXPECT_EQ(write.gap, 5u);
    EXPECT_EQ(write.after_op, 0u);
    EXPECT_EQ(write.outcome.presented, 24u);
    EXPECT_EQ(write.outcome.accepted, 26u);
    EXPECT_EQ(write.outcome.done, 28u);
    EXPECT_EQ(write.outcome.result, Result::fault);
    EXPECT_EQ(write.outcome.cause, 15u);
    EXPECT_EQ(record.requests[0].outcome.address, 0x4000000000u);
    EXPECT_EQ(record.requests[0].after_op, std::nullopt);
    EXPECT_EQ(record.requests[0].process_id, std::nullopt);
    EXPECT_EQ(record.requests[2].outcome.accepted, IOM_NEVER);
    EXPECT_EQ(record.requests[3].outcome.presented, IOM_NEVER);
}

TEST(TimingRecord, operations_and_activity_are_read)
{
    const Record record = parse(small_record());
    ASSERT_EQ(record.ops.size(), 3u);
    EXPECT_EQ(record.ops[0].trigger, Trigger::cycle);
    EXPECT_EQ(record.ops[0].delay, 4u);
    EXPECT_EQ(record.ops[0].kind, OpKind::memory_write);
    EXPECT_EQ(record.ops[1].trigger, Trigger::done);
    EXPECT_EQ(record.ops[1].request, 0u);
    EXPECT_EQ(record.ops[1].delay, 2u);
    EXPECT_EQ(record.ops[1].address, 0x24u);
    EXPECT_EQ(record.ops[1].times.done, 23u);
    EXPECT_EQ(record.ops[2].trigger, Trigger::drained);
    EXPECT_EQ(record.ops[2].times.start, IOM_NEVER);
    const Activity &activity = record.activity;
    ASSERT_EQ(activity.reads.size(), 3u);
    EXPECT_EQ(activity.reads[0].beats, 4u);
    EXPECT_EQ(activity.reads[0].client, Client::context_walk);
    EXPECT_EQ(activity.reads[0].request, 0u);
    EXPECT_EQ(activity.reads[2].request, std::nullopt);
    ASSERT_EQ(activity.writes.size(), 2u); // beats of both interleaved
    EXPECT_EQ(activity.writes[0].client, Client::records);
    EXPECT_EQ(activity.writes[0].data, (std::vector<uint64_t>{0x10b, 0, 0x100008, 0}));
    EXPECT_EQ(activity.writes[0].beats, (std::vector<iom_cycle>{27, 28, 29, 30}));
    EXPECT_EQ(activity.writes[0].responded, 32u);
    EXPECT_EQ(activity.writes[1].data, std::vector<uint64_t>{0x55});
    EXPECT_EQ(activity.writes[1].responded, 33u);
    ASSERT_EQ(activity.events.size(), 4u); // fills and raised faults are not compared
    EXPECT_EQ(activity.events[1].kind, EventKind::flush_translations);
    EXPECT_EQ(activity.events[3].kind, EventKind::fault_tail);
}

TEST(TimingRecord, errors_name_file_line_record_and_place)
{
    const std::string error = error_of(changed("/requests/1/13", "28"));
    EXPECT_EQ(error, "a.jsonl:7: record small/1: requests[1][13]: must be a whole number");
}

TEST(TimingRecord, text_that_is_not_json_is_an_error)
{
    try {
        parse_record("{\"id\": 1,", "a.jsonl", 3, nullptr);
        FAIL();
    } catch (const InputError &error) {
        EXPECT_EQ(std::string(error.what()).rfind("a.jsonl:3:", 0), 0u) << error.what();
        EXPECT_NE(std::string(error.what()).find("not JSON"), std::string::npos);
    }
}

TEST(TimingRecord, missing_fields_are_errors)
{
    for (const char *key : {"id",
                            "rtl",
                            "mem_read_latency",
                            "sink_latency",
                            "channels",
                            "resp_limit",
                            "registers",
                            "structures",
                            "mem_image",
                            "axi_error_reads",
                            "request_fields",
                            "requests",
                            "ops",
                            "op_fields",
                            "mem_reads",
                            "mem_writes",
                            "events",
                            "hang",
                            "harness_errors",
                            "cycles"}) {
        json document = small_record();
        document.erase(key);
        EXPECT_NE(error_of(document).find(std::string("'") + key + "'"), std::string::npos)
            << error_of(document);
    }
}

TEST(TimingRecord, wrong_values_are_errors)
{
    struct Wrong {
        const char *pointer;
        json value;
        const char *message;
    };
    const Wrong all[] = {
        {"/mem_read_latency", 0, "at least 1"},
        {"/mem_read_latency", -1, "not negative"},
        {"/channels", "triple", "'triple' is unknown (one of serial, dual)"},
        {"/rtl/MSITrans", "SOME", "unknown"},
        {"/rtl/MSITrans", "FLAT_ONLY", "does not fit rtl.MSITrans"},
        {"/registers/ddtp_mode", "4LVL", "unknown"},
        {"/registers/cq_entries", 65, "power of two"},
        {"/mem_image", json{{"0x80000001", "0x1"}}, "8-byte word"},
        {"/mem_image", json{{"80000000", "0x1"}}, "0x..."},
        {"/requests/0/0", 1, "must be 0"},
        {"/requests/0/1", "X", "'X' is unknown"},
        {"/requests/0/2", 0x1000000, "larger than"},
        {"/requests/0/10", 3, "there is no number 3"},
        {"/requests/0/12", -1, "must have been presented, accepted and done"},
        {"/requests/0/14", "maybe", "unknown"},
        {"/requests/0/15", nullptr, "must be a text"},
        {"/ops/0/4", "dance", "unknown"},
        {"/ops/1/2", 9, "there is no request 9"},
        {"/ops/0/6", 3, "must be 4 or 8"},
        {"/mem_reads/1/1", 2, "in the order of their cycles"},
        {"/mem_reads/0/4", "dma", "unknown"},
        {"/mem_writes/0/0", "ww", "must be"},
        {"/mem_writes/7/2", "cq", "no write that this response"},
        {"/events/1/1", "boom", "unknown"},
        {"/events/3", json{28, "flush_vma", 3}, "must have no value"},
        {"/events/4", json{28, "cqh"}, "must have a value"},
        {"/harness_errors", json{"late"}, "test bench"},
        {"/request_fields/0", "j", "there is no column 'i'"},
    };
    for (const Wrong &wrong : all)
        EXPECT_NE(error_of(changed(wrong.pointer, wrong.value)).find(wrong.message), std::string::npos)
            << wrong.pointer << ": " << error_of(changed(wrong.pointer, wrong.value));
    json short_row = small_record();
    short_row["requests"][0].erase(17);
    EXPECT_NE(error_of(short_row).find("must have 18 items"), std::string::npos);
}

TEST(TimingRecord, unknown_fields_are_noted)
{
    std::set<std::string> notes;
    json document = small_record();
    document["colour"] = "red";
    document["rtl"]["Depth"] = 3;
    parse(document, &notes);
    EXPECT_EQ(notes, (std::set<std::string>{"colour", "rtl.Depth"}));
}

TEST(TimingRecord, file_is_read_line_by_line_and_ids_are_unique)
{
    const std::string path = testing::TempDir() + "timing_records.jsonl";
    json second = small_record();
    second["id"] = "small/2";
    std::ofstream(path) << small_record().dump() << "\n\n" << second.dump() << "\n" << second.dump() << "\n";
    RecordFile file(path);
    EXPECT_EQ(file.next()->line, 1u);
    EXPECT_EQ(file.next()->line, 3u);
    try {
        file.next();
        FAIL();
    } catch (const InputError &error) {
        EXPECT_NE(std::string(error.what()).find(path + ":4: record small/2: this id was used before"),
                  std::string::npos);
    }
    EXPECT_THROW(RecordFile(path + ".none"), InputError);
}

} // namespace
