// SPDX-License-Identifier: Apache-2.0
//
// Workloads of mapping and unmapping threads in systems of random shape: kernels and evaluation orders give
// the same result, the hazard tracker never changes it, correct hardware under a correct driver has no
// hazard, and each kind of broken hardware or driver is found.
//
// A system follows from its seed alone; see random_systems_test.cpp for IOMMU_SIM_RANDOM_SYSTEMS.
#include <gtest/gtest.h>

#include "models/config/config.h"
#include "models/hazards.h"
#include "tests/models/support/child_process.h"
#include "tests/models/support/random_systems.h"

namespace
{

using namespace iommu_sim;

TEST(RandomWorkloads, are_valid_configurations)
{
    const Seeds range = seeds(0, 60);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        const LoadedConfig loaded = load_config_text(dump_config(random_workload(seed)), "random");
        EXPECT_TRUE(loaded.ok()) << "seed " << seed << ": " << loaded.messages();
    }
}

TEST(RandomWorkloads, end_and_account_for_every_call)
{
    const Seeds range = seeds(0, 40);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        const SystemConfig config = random_workload(seed);
        System system(config);
        CoreKernel kernel(system.netlist());
        const SessionResult result = run_session(system, kernel);
        ASSERT_EQ(result.end, EndReason::workload_ended) << result.explanation;
        const StatisticGroup *unmap = result.region.find("host_unmap");
        ASSERT_NE(unmap, nullptr);
        const uint64_t calls = uint64_t{config.workload.threads} * config.workload.iterations;
        EXPECT_EQ(unmap->find("time")->histogram.count, calls);
        uint64_t parts = 0;
        for (const char *part : {"call", "table", "lock", "submit", "execute", "status", "poll"})
            parts += unmap->find(part)->histogram.sum;
        EXPECT_EQ(parts, unmap->find("time")->histogram.sum);
        EXPECT_EQ(result.region.find("host")->value("requests"), calls * config.workload.requests);
        if (config.workload.await_answers) {
            EXPECT_EQ(result.region.find("host")->value("faults"), 0u);
        }
        EXPECT_EQ(result.region.find("host")->value("refused"), 0u);
        if (config.driver.policy == FlushPolicy::strict) {
            EXPECT_GE(result.region.find("command_queue")->value("invalidations"), calls);
        }
    }
}

TEST(RandomWorkloads, the_order_inside_a_cycle_does_not_matter)
{
    const Seeds range = seeds(0, 40);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        const SystemConfig config = random_workload(seed);
        EXPECT_EQ(difference(core_result(config, nullptr), core_result(config, &seed)), "");
    }
}

TEST(RandomWorkloads, the_tracker_changes_nothing)
{
    const Seeds range = seeds(200, 40);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SystemConfig config = random_workload(seed);
        const std::string with = core_result(config, nullptr);
        config.tracker.enabled = false;
        EXPECT_EQ(difference(with, core_result(config, nullptr)), "");
    }
}

TEST(RandomWorkloads, systemc_kernel_equals_the_core_kernel_in_every_statistic)
{
    const Seeds range = seeds(100, 12);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        const SystemConfig config = random_workload(seed);
        const std::string expected = core_result(config, nullptr);
        for (Cut cut : {Cut::by_unit, Cut::three, Cut::random}) {
            SCOPED_TRACE("seed " + std::to_string(seed) + " cut " + std::to_string(static_cast<int>(cut)));
            EXPECT_EQ(in_child([&] { return difference(expected, systemc_result(config, cut, seed)); }), "");
        }
    }
}

// ---- hazards ------------------------------------------------------------------------------------------

struct Outcome {
    HazardReport hazards;
    std::string text; ///< the findings, for messages
};

Outcome track(const SystemConfig &config)
{
    System system(config);
    CoreKernel kernel(system.netlist());
    const SessionResult result = run_session(system, kernel);
    EXPECT_EQ(result.end, EndReason::workload_ended) << result.explanation;
    Outcome outcome = {finish_hazards(system, kernel.now()), ""};
    for (const Finding &finding : outcome.hazards.findings) {
        if (finding.what.severity != IOM_SEVERITY_NOTE)
            outcome.text += finding.line + "\n";
    }
    return outcome;
}

TEST(RandomWorkloads, correct_hardware_and_driver_have_no_hazard)
{
    const Seeds range = seeds(1000, 200);
    uint64_t uses = 0;
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        const SystemConfig config = random_workload(seed);
        const Outcome outcome = track(config);
        EXPECT_EQ(outcome.hazards.hazards, 0u) << "seed " << seed << ":\n" << outcome.text;
        EXPECT_EQ(outcome.hazards.counts[IOM_FINDING_MISSING], 0u) << "seed " << seed << ":\n"
                                                                   << outcome.text;
        uses += outcome.hazards.statistics.value("uses");
    }
    EXPECT_GT(uses, 10000u);
}

/// A bug, and the system in which it shows: many small mappings whose addresses come back at once.
struct Bug {
    const char *name;
    void (*inject)(SystemConfig &config);
    bool device_tlb;
    VtdMode mode = VtdMode::legacy;
};

SystemConfig sensitive_system(bool device_tlb, uint64_t seed)
{
    SystemConfig config;
    config.run.seed = seed;
    config.memory.size_bytes = uint64_t{1} << 32;
    config.workload.threads = 2;
    config.workload.iterations = 60;
    config.workload.requests = 2;
    // When requests that nobody waits for arrive, relative to the unmap.
    config.link.latency_cycles = 100 + 60 * static_cast<uint32_t>(seed);
    DeviceSettings device;
    device.name = "nic0";
    device.source_id = 0x300;
    device.generator.kind = GeneratorKind::none;
    if (device_tlb)
        device.device_tlb.entries = 16;
    config.devices.push_back(device);
    return config;
}

const Bug bugs[] = {
    {"the driver forgets the IOTLB", [](SystemConfig &c) { c.driver.quirks.no_iotlb_flush = true; }, false},
    {"the driver forgets device TLBs", [](SystemConfig &c) { c.driver.quirks.no_device_flush = true; }, true},
    {"the driver flushes first, and the device is still at work",
     [](SystemConfig &c) {
         c.driver.quirks.flush_first = true;
         c.workload.await_answers = false;
     },
     false},
    {"invalidations reach one set of the IOTLB only",
     [](SystemConfig &c) { c.quirks.iotlb.first_set_only = true; }, false},
    {"walks under way survive an invalidation",
     [](SystemConfig &c) {
         c.quirks.squash_walks = false;
         c.workload.await_answers = false;
         c.walker.step_cycles = 1000;
     },
     false},
};

// A bug of order shows only if things meet: several arrivals are tried.
TEST(InjectedBugs, are_found_and_the_correct_variants_are_clean)
{
    for (const Bug &bug : bugs) {
        SCOPED_TRACE(bug.name);
        uint64_t found = 0;
        for (uint64_t seed = 0; seed < 14; seed++) {
            SystemConfig config = sensitive_system(bug.device_tlb, seed);
            config.vtd.mode = bug.mode;
            bug.inject(config);
            found += track(config).hazards.hazards;
            // The same without the bug.
            config.driver.quirks = DriverQuirks();
            config.quirks = QuirkSettings();
            const Outcome correct = track(config);
            EXPECT_EQ(correct.hazards.hazards, 0u) << "seed " << seed << ": " << correct.text;
            EXPECT_EQ(correct.hazards.counts[IOM_FINDING_MISSING], 0u)
                << "seed " << seed << ": " << correct.text;
        }
        EXPECT_GT(found, 0u);
    }
}

TEST(LazyPolicies, use_after_unmap_is_a_window_use_and_never_a_hazard)
{
    for (const FlushPolicy policy : {FlushPolicy::lazy, FlushPolicy::lazy_single}) {
        SystemConfig config = sensitive_system(false, 3);
        config.driver.policy = policy;
        config.workload.late_requests = 1;
        const Outcome lazy = track(config);
        EXPECT_EQ(lazy.hazards.hazards, 0u) << lazy.text;
        EXPECT_GT(lazy.hazards.counts[IOM_FINDING_WINDOW_USE], 0u);
        config.driver.policy = FlushPolicy::strict;
        const Outcome strict = track(config);
        EXPECT_EQ(strict.hazards.hazards, 0u) << strict.text;
    }
}

} // namespace
