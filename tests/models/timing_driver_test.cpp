// SPDX-License-Identifier: Apache-2.0
//
// Plays the drivers of all recorded runs with a far side that does what the hardware did: each request must
// be presented, and each operation start, in the cycle in which it did there.
#include <gtest/gtest.h>

#include <algorithm>

#include "models/timing/driver.h"
#include "tests/traffic/support/far_side.h"

using namespace iommu_sim::timing;
using iommu_sim::test::FarSide;
using iommu_sim::test::Fate;

namespace
{

std::string data_file(const std::string &name)
{
    return std::string(IOM_SOURCE_DIR) + "/tests/data/rtl-timing/" + name + ".jsonl.zst";
}

/// When the command queue becomes busy and drained: it is busy as long as head and tail differ, and until the
/// cycle behind the end of the last command (its decoding, or the response to a fence's data).
void play_queue(const Record &record, FarSide &far)
{
    std::vector<iom_cycle> data;
    for (const Write &write : record.activity.writes) {
        if (write.client == Client::commands)
            data.push_back(write.accepted);
    }
    uint64_t tail = 0;
    std::vector<Event> events = record.activity.events;
    std::stable_sort(events.begin(), events.end(),
                     [](const Event &a, const Event &b) { return a.cycle < b.cycle; });
    for (const Event &event : events) {
        if (event.kind == EventKind::command_tail) {
            tail = event.value;
            far.queue_is(event.cycle, false);
        }
        if (event.kind != EventKind::command_head || event.value != tail)
            continue;
        iom_cycle end = event.cycle;
        for (const Write &write : record.activity.writes) {
            if (write.client == Client::commands && write.accepted == event.cycle + 1)
                end = write.responded;
        }
        // A doorbell meanwhile keeps it busy.
        const bool more = std::any_of(events.begin(), events.end(), [&](const Event &other) {
            return other.kind == EventKind::command_tail && other.cycle > event.cycle &&
                   other.cycle <= end + 1;
        });
        if (!more && end != IOM_NEVER)
            far.queue_is(end + 1, true);
    }
}

void play(const Record &record)
{
    const Driver driver(record, 8);
    const iom_sequence_config config = driver.config();
    ASSERT_EQ(iom_sequence_config_error(&config), nullptr);
    FarSide far([&](uint64_t id, iom_cycle) {
        const Outcome &outcome = record.requests[id].outcome;
        Fate fate;
        fate.accepted = outcome.accepted;
        fate.done = outcome.done;
        fate.responded = outcome.responded;
        return fate;
    });
    iom_sequence *sequence = iom_sequence_create(&config, "bench");
    ASSERT_NE(sequence, nullptr);
    far.connect(sequence);
    play_queue(record, far);
    iom_group group{};
    iom_unit *units[] = {iom_sequence_unit(sequence), far.unit()};
    ASSERT_EQ(iom_group_init(&group, "system", units, 2), nullptr);
    iom_group_start(&group, 0);
    iom_group_run(&group, record.cycles, nullptr);
    for (uint32_t i = 0; i < record.requests.size(); i++)
        EXPECT_EQ(iom_sequence_result_of(sequence, i)->presented, record.requests[i].outcome.presented)
            << record.id << " request " << i;
    for (uint32_t i = 0; i < record.ops.size(); i++) {
        EXPECT_EQ(iom_sequence_op_result_of(sequence, i)->start, record.ops[i].times.start)
            << record.id << " operation " << i;
        EXPECT_EQ(iom_sequence_op_result_of(sequence, i)->done, record.ops[i].times.done)
            << record.id << " operation " << i;
    }
    far.disconnect();
    iom_group_free(&group);
    iom_sequence_destroy(sequence);
}

class TimingDriver : public testing::TestWithParam<const char *>
{
};

TEST_P(TimingDriver, presents_and_starts_as_recorded)
{
    RecordFile file(data_file(GetParam()));
    size_t records = 0;
    while (const auto record = file.next()) {
        play(*record);
        records++;
        if (HasFailure())
            break; // one record's differences are enough to read
    }
    EXPECT_GT(records, 10u);
    EXPECT_TRUE(file.notes().empty());
}

INSTANTIATE_TEST_SUITE_P(files, TimingDriver,
                         testing::Values("latency", "throughput", "replacement", "cmdqueue", "faults",
                                         "races", "stale", "random_plain", "random_inval", "random_async"),
                         [](const testing::TestParamInfo<const char *> &file) { return file.param; });

} // namespace
