// SPDX-License-Identifier: Apache-2.0
//
// Comparison of a record with hand-made observations: what equals the record is exact, and each single cycle,
// address, value or result that differs is found and counted where it belongs.
#include <gtest/gtest.h>

#include "models/timing/compare.h"
#include "tests/models/support/timing_record.h"

using namespace iommu_sim::timing;
using iommu_sim::test::small_record;

namespace
{

Record record_of(const nlohmann::json &document)
{
    return parse_record(document.dump(), "a.jsonl", 1, nullptr);
}

/// What the record says happened.
Observation as_recorded(const Record &record)
{
    Observation seen;
    for (const Request &request : record.requests)
        seen.requests.push_back(request.outcome);
    for (const Op &op : record.ops)
        seen.ops.push_back(op.times);
    seen.activity = record.activity;
    return seen;
}

struct Case {
    Case() : record(record_of(small_record())), seen(as_recorded(record))
    {
    }
    Comparison result() const
    {
        return compare(record, seen);
    }
    /// The text behind `what` of the first difference: "expected / got".
    std::string difference(const std::string &what) const
    {
        const Comparison comparison = result();
        if (!comparison.first)
            return "none";
        for (const Difference &difference : comparison.first->differences) {
            if (difference.what == what)
                return difference.expected + " / " + difference.got;
        }
        return "not among those of " + comparison.first->name;
    }

    Record record;
    Observation seen;
};

TEST(TimingCompare, what_equals_the_record_is_exact)
{
    const Comparison comparison = Case().result();
    EXPECT_EQ(comparison.requests.exact, 3u); // the fourth was never presented
    EXPECT_EQ(comparison.commands.exact, 1u);
    EXPECT_EQ(comparison.fault_records.exact, 1u);
    EXPECT_EQ(comparison.operations.exact, 3u); // two that were carried out, a doorbell
    EXPECT_EQ(comparison.off(), 0u);
    EXPECT_EQ(comparison.max_error_cycles, 0u);
    EXPECT_FALSE(comparison.first);
}

TEST(TimingCompare, late_handshake_is_off_by_its_cycles)
{
    Case test;
    test.seen.requests[1].accepted += 2;
    const Comparison comparison = test.result();
    EXPECT_EQ(comparison.requests.exact, 2u);
    EXPECT_EQ(comparison.requests.off, 1u);
    EXPECT_EQ(comparison.off_requests(), std::vector<uint32_t>{1});
    EXPECT_EQ(comparison.max_error_cycles, 2u);
    EXPECT_EQ(comparison.first->name, "request 1");
    EXPECT_EQ(test.difference("accepted"), "26 / 28");
}

TEST(TimingCompare, each_request_has_a_verdict_and_why)
{
    Case test;
    test.seen.requests[1].accepted += 2;
    test.seen.requests[1].done += 3;
    const Comparison comparison = test.result();
    ASSERT_EQ(comparison.each_request.size(), 4u);
    const auto &each = comparison.each_request;
    EXPECT_EQ(each[0].verdict, Verdict::exact);
    EXPECT_EQ(each[0].why, "");
    EXPECT_EQ(each[0].recorded_reads, each[0].simulated_reads);
    EXPECT_GT(each[0].recorded_reads, 0u);
    EXPECT_EQ(each[1].verdict, Verdict::off);
    EXPECT_EQ(each[1].why.find("accepted: expected 26, got 28; done: expected "), 0u) << each[1].why;
    EXPECT_EQ(each[1].simulated.done, each[1].recorded.done + 3);
    EXPECT_EQ(each[2].verdict, Verdict::exact);     // no result on either side
    EXPECT_EQ(each[3].verdict, Verdict::uncounted); // never presented
}

TEST(TimingCompare, every_field_of_a_request_counts)
{
    const auto off = [](auto change) {
        Case test;
        change(test.seen.requests[0], test.seen.requests[1]);
        return test.result().requests.off;
    };
    EXPECT_EQ(off([](Outcome &, Outcome &) {}), 0u);
    EXPECT_EQ(off([](Outcome &first, Outcome &) { first.presented = 1; }), 1u);
    EXPECT_EQ(off([](Outcome &first, Outcome &) { first.done--; }), 1u);
    EXPECT_EQ(off([](Outcome &first, Outcome &) { first.address ^= 0x1000; }), 1u);
    EXPECT_EQ(off([](Outcome &first, Outcome &) { first.result = Result::fault; }), 1u);
    EXPECT_EQ(off([](Outcome &, Outcome &second) { second.cause = 13; }), 1u);
    EXPECT_EQ(off([](Outcome &, Outcome &second) { second.cause = std::nullopt; }), 1u);
    EXPECT_EQ(off([](Outcome &first, Outcome &) {
                  first.result = Result::none;
                  first.done = IOM_NEVER;
              }),
              1u);
    EXPECT_EQ(off([](Outcome &first, Outcome &) { first.responded += 5; }), 0u); // not compared
}

TEST(TimingCompare, reads_of_a_request_count)
{
    const auto off = [](auto change) {
        Case test;
        change(test.seen.activity.reads);
        return test.result();
    };
    EXPECT_EQ(off([](std::vector<Read> &reads) { reads[1].accepted++; }).off_requests(),
              std::vector<uint32_t>{0});
    EXPECT_EQ(off([](std::vector<Read> &reads) { reads[1].first += 3; }).max_error_cycles, 3u);
    EXPECT_EQ(off([](std::vector<Read> &reads) { reads[0].last++; }).requests.off, 1u);
    EXPECT_EQ(off([](std::vector<Read> &reads) { reads[1].address += 8; }).requests.off, 1u);
    EXPECT_EQ(off([](std::vector<Read> &reads) { reads[0].beats = 7; }).requests.off, 1u);
    EXPECT_EQ(off([](std::vector<Read> &reads) { reads[1].client = Client::context_walk; }).requests.off, 1u);
    EXPECT_EQ(off([](std::vector<Read> &reads) { reads.erase(reads.begin() + 1); }).requests.off, 1u);
    Case more;
    Read extra = more.record.activity.reads[1];
    extra.accepted = 16;
    more.seen.activity.reads.insert(more.seen.activity.reads.begin() + 2, extra);
    EXPECT_EQ(more.difference("reads"), "2 / 3");
}

TEST(TimingCompare, reads_outside_of_requests_do_not_count)
{
    Case test;
    Read stray = test.record.activity.reads[1];
    stray.accepted = 20; // request 0 is over, request 1 not yet there
    test.seen.activity.reads.insert(test.seen.activity.reads.begin() + 2, stray);
    EXPECT_EQ(test.result().off(), 0u);
}

TEST(TimingCompare, request_without_result_must_have_none_until_the_end)
{
    Case test;
    test.seen.requests[2].accepted = test.seen.requests[2].done = 59;
    test.seen.requests[2].result = Result::address;
    EXPECT_EQ(test.result().off_requests(), std::vector<uint32_t>{2});
    test.seen.requests[2].done = 60; // the record ends with cycle 59
    EXPECT_EQ(test.result().off(), 0u);
    test.seen.requests[3].presented = 50; // never presented there: whatever it does here
    test.seen.requests[3].accepted = test.seen.requests[3].done = 55;
    EXPECT_EQ(test.result().off(), 0u);
}

TEST(TimingCompare, commands_count)
{
    const auto off = [](auto change) {
        Case test;
        change(test.seen.activity);
        const Comparison comparison = test.result();
        EXPECT_EQ(comparison.off(), comparison.commands.off);
        return comparison.commands.off;
    };
    EXPECT_EQ(off([](Activity &activity) { activity.reads[2].accepted++; }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.events[1].cycle++; }), 1u); // strobe
    EXPECT_EQ(off([](Activity &activity) { activity.events[1].kind = EventKind::flush_devices; }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.events[2].cycle++; }), 1u); // cqh
    EXPECT_EQ(off([](Activity &activity) { activity.events[2].value++; }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.events.erase(activity.events.begin() + 1); }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.writes[1].accepted++; }), 1u); // fence
    EXPECT_EQ(off([](Activity &activity) { activity.writes[1].data[0] = 1; }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.writes.pop_back(); }), 1u);
}

TEST(TimingCompare, fault_records_count)
{
    const auto off = [](auto change) {
        Case test;
        change(test.seen.activity);
        const Comparison comparison = test.result();
        EXPECT_EQ(comparison.off(), comparison.fault_records.off);
        return comparison.fault_records.off;
    };
    EXPECT_EQ(off([](Activity &activity) { activity.writes[0].accepted++; }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.writes[0].address += 32; }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.writes[0].data[2]++; }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.writes[0].beats[3]++; }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.writes[0].responded++; }), 1u);
    EXPECT_EQ(off([](Activity &activity) { activity.events[3].cycle++; }), 1u); // fqt
    EXPECT_EQ(off([](Activity &activity) { activity.writes.erase(activity.writes.begin()); }), 1u);
}

TEST(TimingCompare, operations_and_doorbells_count)
{
    Case test;
    test.seen.ops[1].done++;
    EXPECT_EQ(test.result().operations.off, 1u);
    test.seen.activity.events[0].cycle++; // cqt
    EXPECT_EQ(test.result().operations.off, 2u);
    test.seen.ops[2] = {40, 40}; // never carried out there: whatever it does here
    EXPECT_EQ(test.result().operations.off, 2u);
}

TEST(TimingCompare, more_of_it_behind_a_hang_says_nothing)
{
    Case test;
    Write more = test.record.activity.writes[0];
    more.accepted = 50;
    test.seen.activity.writes.push_back(more);
    test.seen.activity.events.push_back({55, EventKind::fault_tail, 2});
    EXPECT_EQ(test.result().fault_records.off, 1u);
    test.record.hung = true;
    EXPECT_EQ(test.result().off(), 0u);
}

TEST(TimingCompare, first_difference_is_the_earliest)
{
    Case test;
    test.seen.requests[1].done = 40;
    test.seen.activity.events[2].cycle = 27;
    test.seen.activity.reads[1].first = 13;
    EXPECT_EQ(test.result().first->name, "request 0");
    EXPECT_EQ(test.result().first->cycle, 13u);
    EXPECT_EQ(test.result().off(), 3u);
    EXPECT_EQ(test.result().max_error_cycles, 12u);
}

TEST(TimingCompare, request_in_service_is_the_next_to_be_accepted)
{
    std::vector<Outcome> requests(3);
    requests[0].presented = 0, requests[0].accepted = 10;
    requests[1].presented = 2, requests[1].accepted = 30; // waits for the third
    requests[2].presented = 12, requests[2].accepted = 20;
    const std::vector<std::optional<uint32_t>> expected = {0, 0, 2, 2, 1, 1, std::nullopt};
    EXPECT_EQ(requests_in_service(requests, {1, 9, 12, 19, 20, 29, 30}), expected);
    requests[1].presented = 25;
    EXPECT_EQ(requests_in_service(requests, {11, 22}),
              (std::vector<std::optional<uint32_t>>{std::nullopt, std::nullopt}));
}

} // namespace
