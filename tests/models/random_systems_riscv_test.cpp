// SPDX-License-Identifier: Apache-2.0
//
// The random systems and workloads of random_systems_test.cpp and random_systems_workload_test.cpp around a
// RISC-V IOMMU: what holds for units must hold whatever they translate for.
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

SystemConfig system_of(uint64_t seed)
{
    return as_riscv(random_system(seed, 1500), seed);
}

SystemConfig workload_of(uint64_t seed)
{
    return as_riscv(random_workload(seed), seed);
}

TEST(RandomRiscv, are_valid_configurations)
{
    const Seeds range = seeds(0, 60);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (const SystemConfig &config : {system_of(seed), workload_of(seed)}) {
            const LoadedConfig loaded = load_config_text(dump_config(config), "random");
            EXPECT_TRUE(loaded.ok()) << "seed " << seed << ": " << loaded.messages();
        }
    }
}

TEST(RandomRiscv, the_order_inside_a_cycle_does_not_matter)
{
    const Seeds range = seeds(0, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        for (const SystemConfig &config : {system_of(seed), workload_of(seed)})
            EXPECT_EQ(difference(core_result(config, nullptr), core_result(config, &seed)), "");
    }
}

TEST(RandomRiscv, systemc_kernel_equals_the_core_kernel_in_every_statistic)
{
    const Seeds range = seeds(100, 5);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (const SystemConfig &config : {system_of(seed), workload_of(seed)}) {
            const std::string expected = core_result(config, nullptr);
            for (Cut cut : {Cut::by_unit, Cut::three, Cut::random}) {
                SCOPED_TRACE("seed " + std::to_string(seed) + " cut " +
                             std::to_string(static_cast<int>(cut)));
                EXPECT_EQ(in_child([&] { return difference(expected, systemc_result(config, cut, seed)); }),
                          "");
            }
        }
    }
}

TEST(RandomRiscv, every_request_and_call_ends)
{
    const Seeds range = seeds(300, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        const SystemConfig config = workload_of(seed);
        System system(config);
        CoreKernel kernel(system.netlist());
        const SessionResult result = run_session(system, kernel);
        ASSERT_EQ(result.end, EndReason::workload_ended) << result.explanation;
        const uint64_t calls = uint64_t{config.workload.threads} * config.workload.iterations;
        EXPECT_EQ(result.region.find("host_unmap")->find("time")->histogram.count, calls);
        EXPECT_EQ(result.region.find("host")->value("requests"), calls * config.workload.requests);
        EXPECT_EQ(result.region.find("host")->value("refused"), 0u);
        if (config.workload.await_answers) {
            EXPECT_EQ(result.region.find("host")->value("faults"), 0u);
        }
    }
}

TEST(RandomRiscv, the_tracker_changes_nothing)
{
    const Seeds range = seeds(200, 15);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SystemConfig config = workload_of(seed);
        const std::string with = core_result(config, nullptr);
        config.tracker.enabled = false;
        EXPECT_EQ(difference(with, core_result(config, nullptr)), "");
    }
}

TEST(RandomRiscv, correct_hardware_and_driver_have_no_hazard)
{
    const Seeds range = seeds(1000, 80);
    uint64_t uses = 0;
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        System system(workload_of(seed));
        CoreKernel kernel(system.netlist());
        const SessionResult result = run_session(system, kernel);
        EXPECT_EQ(result.end, EndReason::workload_ended) << "seed " << seed << ": " << result.explanation;
        const HazardReport hazards = finish_hazards(system, kernel.now());
        std::string text;
        for (const Finding &finding : hazards.findings) {
            if (finding.what.severity != IOM_SEVERITY_NOTE)
                text += finding.line + "\n";
        }
        EXPECT_EQ(hazards.hazards, 0u) << "seed " << seed << ":\n" << text;
        EXPECT_EQ(hazards.counts[IOM_FINDING_MISSING], 0u) << "seed " << seed << ":\n" << text;
        uses += hazards.statistics.value("uses");
    }
    EXPECT_GT(uses, 10000u);
}

} // namespace
