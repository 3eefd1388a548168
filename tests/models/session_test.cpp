// SPDX-License-Identifier: Apache-2.0
//
// Tests of models/session.h: where phases begin and end, what they count, and that watching a run does
// not change it. Expected cycles follow from the configuration, not from the code.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "models/config/config.h"
#include "models/hazards.h"
#include "models/session.h"

namespace iommu_sim
{
namespace
{

SystemConfig configuration(const std::string &extra, const std::vector<std::string> &settings = {})
{
    const LoadedConfig loaded = load_config_text("devices: [{name: dev0, source_id: 0x20, generator: {kind: "
                                                 "uniform, window_bytes: 64K, request_bytes: 64, "
                                                 "outstanding: 4}}]\n" +
                                                     extra,
                                                 "test.yaml", settings);
    if (!loaded.ok())
        throw std::logic_error(loaded.messages());
    return loaded.config;
}

SessionResult run(const SystemConfig &config, const ProgressFn &progress = nullptr)
{
    System system(config);
    CoreKernel kernel(system.netlist());
    return run_session(system, kernel, progress);
}

uint64_t sum(const PhaseResult &phase, const char *group, const char *name)
{
    const StatisticGroup *found = phase.find(group);
    return found == nullptr ? 0 : found->value(name);
}

TEST(Session, PhasesFollowEachOther)
{
    const SessionResult result = run(configuration("run: {requests: 500, warmup_requests: 100}"));
    EXPECT_EQ(result.end, EndReason::requests_reached);
    EXPECT_EQ(result.explanation, "");
    EXPECT_EQ(result.bring_up.completed, 0u);
    EXPECT_EQ(result.warm_up.completed, 100u);
    EXPECT_EQ(result.region.completed, 500u);
    EXPECT_EQ(result.warm_up.first_cycle, result.bring_up.last_cycle + 1);
    EXPECT_EQ(result.region.first_cycle, result.warm_up.last_cycle + 1);
    EXPECT_GT(result.events, 0u);
}

TEST(Session, BringUpTakesTheHandshakesOfTheRegisters)
{
    // IQT, IQA and RTADDR (each acknowledged), then QIE, SRTP and TE, each followed by at least one read of
    // the status register: nine round trips of 2 * mmio_cycles.
    const SessionResult result =
        run(configuration("run: {requests: 1}\ndriver: {mmio_cycles: 1000, poll_cycles: 1}"));
    EXPECT_GE(result.bring_up.cycles(), 9u * 2000u);
    EXPECT_LT(result.bring_up.cycles(), 10u * 2000u);
    EXPECT_EQ(sum(result.bring_up, "host", "register_writes"), 6u);
    EXPECT_EQ(sum(result.region, "host", "register_writes"), 0u);
}

TEST(Session, WithoutWarmUpThereIsNoSuchPhase)
{
    const SessionResult result = run(configuration("run: {requests: 10}"));
    EXPECT_TRUE(result.warm_up.groups.empty());
    EXPECT_EQ(result.region.first_cycle, result.bring_up.last_cycle + 1);
}

TEST(Session, StatisticsStartFromZeroInEachPhase)
{
    const SessionResult result = run(configuration("run: {requests: 500, warmup_requests: 100}"));
    EXPECT_EQ(sum(result.warm_up, "device", "completed"), 100u);
    EXPECT_EQ(sum(result.region, "device", "completed"), 500u);
    // 16 pages and 64 entries: every miss is in the warm-up.
    EXPECT_EQ(sum(result.warm_up, "iotlb", "misses"), 16u);
    EXPECT_EQ(sum(result.region, "iotlb", "misses"), 0u);
    EXPECT_EQ(sum(result.region, "walker", "walks"), 0u);
    const StatisticValue *latency = result.region.find("device")->find("latency");
    ASSERT_NE(latency, nullptr);
    EXPECT_EQ(latency->histogram.count, 500u);
}

TEST(Session, LastRequestEndsThePhaseInItsCycle)
{
    // One request at a time: the region lasts exactly as long as its requests, each sent in the cycle in
    // which the one before came back.
    const SystemConfig config =
        configuration("run: {requests: 50, warmup_requests: 40}", {"devices[0].generator.outstanding=1"});
    const SessionResult result = run(config);
    const StatisticValue *latency = result.region.find("device")->find("latency");
    ASSERT_NE(latency, nullptr);
    EXPECT_EQ(result.region.cycles(), latency->histogram.sum);
}

TEST(Session, CycleLimitIsTheNumberOfCycles)
{
    const SessionResult result = run(configuration("run: {max_cycles: 20000}"));
    EXPECT_EQ(result.end, EndReason::cycle_limit);
    EXPECT_LE(result.region.last_cycle, 19999u);
    EXPECT_GT(result.region.last_cycle, 19000u);
    EXPECT_GT(result.region.completed, 0u);
}

TEST(Session, LimitDuringBringUpMeasuresNothing)
{
    const SessionResult result = run(configuration("run: {max_cycles: 100}"));
    EXPECT_EQ(result.end, EndReason::cycle_limit);
    EXPECT_TRUE(result.region.groups.empty());
    EXPECT_EQ(result.region.completed, 0u);
}

TEST(Session, ProgressIsCalledAndChangesNothing)
{
    const SystemConfig config =
        configuration("run: {requests: 20000, warmup_requests: 10}\nlink: {latency_cycles: 500}");
    uint64_t calls = 0;
    uint64_t last_completed = 0;
    const SessionResult watched = run(config, [&](iom_cycle, uint64_t completed) {
        EXPECT_GE(completed, last_completed);
        last_completed = completed;
        calls++;
    });
    const SessionResult alone = run(config);
    EXPECT_GT(calls, 4u); // slices, not only phases
    EXPECT_EQ(watched.region.first_cycle, alone.region.first_cycle);
    EXPECT_EQ(watched.region.last_cycle, alone.region.last_cycle);
    EXPECT_EQ(watched.events, alone.events);
    ASSERT_EQ(watched.region.groups.size(), alone.region.groups.size());
    for (size_t g = 0; g < alone.region.groups.size(); g++) {
        for (const StatisticValue &value : alone.region.groups[g].values) {
            const StatisticValue *other = watched.region.groups[g].find(value.name);
            ASSERT_NE(other, nullptr);
            EXPECT_EQ(value.value, other->value) << value.name;
            EXPECT_EQ(value.histogram.sum, other->histogram.sum) << value.name;
        }
    }
}

TEST(Session, ExceptionOfProgressEndsTheRun)
{
    struct Enough {
    };
    EXPECT_THROW(run(configuration("run: {requests: 1000000}"), [](iom_cycle, uint64_t) { throw Enough(); }),
                 Enough);
}

TEST(System, MissingTraceIsAnErrorThatNamesIt)
{
    // Also: a constructor that fails half-way frees what it made, once.
    const LoadedConfig loaded = load_config_text("trace: {file: /none/such.iomt}", "test.yaml");
    ASSERT_TRUE(loaded.ok()) << loaded.messages();
    try {
        System system(loaded.config);
        FAIL() << "no error";
    } catch (const std::runtime_error &error) {
        EXPECT_NE(std::string(error.what()).find("/none/such.iomt"), std::string::npos) << error.what();
    }
}

TEST(System, FullMemoryIsAnErrorThatNamesTheKey)
{
    const SystemConfig config =
        configuration("run: {requests: 1}", {"memory.size=4M", "devices[0].generator.window_bytes=1G"});
    try {
        System system(config);
        FAIL() << "no error";
    } catch (const std::runtime_error &error) {
        EXPECT_NE(std::string(error.what()).find("memory.size"), std::string::npos) << error.what();
    }
}

// The main example's trace under each policy: every unmap is followed by what the policy asks for.
TEST(Session, ReplayedUnmapsAreFlushedUnderThePolicy)
{
    struct Expected {
        const char *policy;
        uint64_t least, most; ///< invalidations
    };
    for (const Expected &expected : {Expected{"strict", 2000, 2000}, Expected{"lazy", 1, 1000}}) {
        SCOPED_TRACE(expected.policy);
        const LoadedConfig loaded = load_config_text("driver: {policy: " + std::string(expected.policy) +
                                                         "}\ntrace: {file: " IOM_SOURCE_DIR
                                                         "/configs/traces/nvme-randread-4k-qd32.iomt}\n",
                                                     "test.yaml");
        ASSERT_TRUE(loaded.ok()) << loaded.messages();
        System system(loaded.config);
        CoreKernel kernel(system.netlist());
        const SessionResult result = run_session(system, kernel);
        EXPECT_EQ(result.end, EndReason::traffic_ended) << result.explanation;
        EXPECT_EQ(sum(result.region, "replay", "unmaps"), 2000u);
        EXPECT_EQ(sum(result.region, "replay", "faults"), 0u);
        const uint64_t invalidations = sum(result.region, "command_queue", "invalidations");
        EXPECT_GE(invalidations, expected.least);
        EXPECT_LE(invalidations, expected.most);
        EXPECT_EQ(result.region.find("host_unmap")->find("time")->histogram.count, 2000u);
        EXPECT_LT(result.region.cycles(), 10'000'000u) << "the timer of a flush queue does not prolong a run";
        EXPECT_EQ(finish_hazards(system, kernel.now()).hazards, 0u);
    }
}

} // namespace
} // namespace iommu_sim
