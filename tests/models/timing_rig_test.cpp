// SPDX-License-Identifier: Apache-2.0
//
// The test bench of records: what it takes from a record, that it takes nothing from what happened, and
// closed formulas of the measured hardware (tests/data/rtl-timing/README.md, section 3) on the model itself.
#include <gtest/gtest.h>

#include "models/config/config.h"
#include "models/timing/rig.h"
#include "models/timing/runner.h"
#include "tests/models/support/timing_record.h"

using namespace iommu_sim;
using namespace iommu_sim::timing;

namespace
{

std::string data_file(const std::string &name)
{
    return std::string(IOM_SOURCE_DIR) + "/tests/data/rtl-timing/" + name + ".jsonl.zst";
}

SystemConfig profile(const std::vector<std::string> &settings = {})
{
    const LoadedConfig loaded = load_config(std::string(IOM_SOURCE_DIR) + "/configs/profiles/riscv-zdl.yaml",
                                            settings, ConfigUse::records);
    EXPECT_TRUE(loaded.ok()) << loaded.messages();
    return loaded.config;
}

Record find(const std::string &file, const std::string &id)
{
    RecordFile records(data_file(file));
    while (std::optional<Record> record = records.next()) {
        if (record->id == id)
            return *record;
    }
    ADD_FAILURE() << id << " is not in " << file;
    return {};
}

Record small()
{
    return parse_record(test::small_record().dump(), "a.jsonl", 1, nullptr);
}

Playback play(const Record &record, const std::vector<std::string> &settings = {})
{
    return Rig(profile(settings), record, KernelKind::core).play();
}

std::string error_of(const SystemConfig &config, const Record &record)
{
    try {
        config_of(config, record);
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    return "none";
}

TEST(TimingRig, configuration_takes_over_what_the_record_says)
{
    Record record = small();
    record.build.boundary_check = true;
    const SystemConfig config = config_of(profile(), record);
    EXPECT_EQ(config.iotlb.entries, 4u);
    EXPECT_EQ(config.iotlb.ways, 4u);
    EXPECT_EQ(config.pasid_cache.entries, 2u);
    EXPECT_TRUE(config.axi.boundary_check);
    // Some cycles of the latencies are spent on the connections.
    EXPECT_EQ(config.memory.latency_cycles + *profile().hops.tables.response_cycles, 3u);
    EXPECT_EQ(config.memory.channels.write_latency_cycles + *profile().hops.commands.response_cycles, 2u);
    record.build.pdtc_entries = 0;
    EXPECT_EQ(config_of(profile(), record).pasid_cache.entries, 0u);
}

TEST(TimingRig, configurations_that_do_not_fit_are_refused)
{
    SystemConfig plain = profile();
    plain.axi.beat_bytes = 0;
    EXPECT_NE(error_of(plain, small()).find("axi.beat_bytes"), std::string::npos);
    plain = profile();
    plain.memory.channels.beat_bytes = 0;
    EXPECT_NE(error_of(plain, small()).find("memory.channels.beat_bytes"), std::string::npos);
    EXPECT_NE(error_of(profile({"hops.tables.response_cycles=4"}), small()).find("mem_read_latency"),
              std::string::npos);
    EXPECT_THROW(play(find("throughput", "tput/R/sink1"), {"hops.walks.request_cycles=0"}), std::exception)
        << "a loop of connections without latency";
}

// Sections "hit", "IOTLB miss", "DDTC miss" of the rules: a first-stage walk of three reads, a device context
// of four beats.
TEST(TimingRig, latencies_follow_the_closed_formulas)
{
    for (const uint32_t latency : {1u, 10u, 100u}) {
        const Record record = find("latency", "lat/A/1LVL/S1/4K/noPC/m" + std::to_string(latency) + "/R");
        const Playback playback = play(record);
        const iom_cycle page_walk = 3 * (latency + 1), context_walk = latency + 4 + 2;
        const Outcome &cold = playback.seen.requests.at(0), &hit = playback.seen.requests.at(1);
        EXPECT_EQ(cold.done - cold.presented, 3 + page_walk + context_walk);
        EXPECT_EQ(hit.done - hit.presented, 2u);
        EXPECT_EQ(hit.result, Result::address);
    }
}

TEST(TimingRig, nothing_is_taken_from_what_happened)
{
    const Record record = find("throughput", "tput/R/sink1");
    Record blind = record;
    for (Request &request : blind.requests)
        request.outcome = {};
    blind.activity = {};
    const Playback seen = play(record), seen_blind = play(blind);
    ASSERT_EQ(seen.seen.requests.size(), seen_blind.seen.requests.size());
    for (size_t i = 0; i < seen.seen.requests.size(); i++) {
        EXPECT_EQ(seen.seen.requests[i].done, seen_blind.seen.requests[i].done);
        EXPECT_EQ(seen.seen.requests[i].address, seen_blind.seen.requests[i].address);
    }
    EXPECT_EQ(compare(record, seen.seen).off(), 0u);
    EXPECT_TRUE(seen.stale.empty());
}

TEST(TimingRig, slower_memory_of_a_record_makes_every_walk_slower)
{
    Record record = find("throughput", "tput/R/sink1");
    const iom_cycle before = play(record).seen.requests.at(0).done;
    record.read_latency_cycles += 7;
    // One read of the context, three of the page's tables.
    EXPECT_EQ(play(record).seen.requests.at(0).done, before + 4 * 7);
    EXPECT_GT(compare(record, play(record).seen).off(), 0u);
}

} // namespace
