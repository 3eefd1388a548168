// SPDX-License-Identifier: Apache-2.0
//
// Whole systems of random shape: every kernel, partition and evaluation order must give the same value of
// every statistic (architecture, "The unit, and why order cannot matter"), and the statistics must agree
// with each other: nothing is lost, counted twice, or left unaccounted.
//
// A system follows from its seed alone. IOMMU_SIM_RANDOM_SYSTEMS=first:count in the environment replaces
// the seeds that are tried, for a longer search.
#include <gtest/gtest.h>

#include "models/config/config.h"
#include "tests/models/support/child_process.h"
#include "tests/models/support/random_systems.h"

namespace
{

using namespace iommu_sim;

// ---- the same result whoever drives -------------------------------------------------------------------

TEST(RandomSystems, are_valid_configurations)
{
    const Seeds range = seeds(0, 60);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        const LoadedConfig loaded = load_config_text(dump_config(random_system(seed, 2000)), "random");
        EXPECT_TRUE(loaded.ok()) << "seed " << seed << ": " << loaded.messages();
    }
}

TEST(RandomSystems, core_kernel_repeats_itself_and_the_order_inside_a_cycle_does_not_matter)
{
    const Seeds range = seeds(0, 60);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        const SystemConfig config = random_system(seed, 2000);
        const std::string expected = core_result(config, nullptr);
        EXPECT_EQ(difference(expected, core_result(config, nullptr)), "");
        EXPECT_EQ(difference(expected, core_result(config, &seed)), "");
    }
}

TEST(RandomSystems, systemc_kernel_equals_the_core_kernel_in_every_statistic)
{
    const Seeds range = seeds(100, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        const SystemConfig config = random_system(seed, 1000);
        const std::string expected = core_result(config, nullptr);
        for (Cut cut : {Cut::by_unit, Cut::three, Cut::random}) {
            SCOPED_TRACE("seed " + std::to_string(seed) + " cut " + std::to_string(static_cast<int>(cut)));
            EXPECT_EQ(in_child([&] { return difference(expected, systemc_result(config, cut, seed)); }), "");
        }
    }
}

// ---- statistics that must agree -----------------------------------------------------------------------

/// Values of the region of a finished run, looked up by group.
class Figures
{
  public:
    explicit Figures(const PhaseResult &phase) : phase_(phase)
    {
    }
    const StatisticValue &at(const std::string &group, const std::string &name) const
    {
        const StatisticGroup *found = phase_.find(group);
        const StatisticValue *value = found == nullptr ? nullptr : found->find(name);
        if (value == nullptr)
            throw std::runtime_error("no statistic " + group + "." + name);
        return *value;
    }
    uint64_t operator()(const std::string &group, const std::string &name) const
    {
        return at(group, name).value;
    }
    /// Sum over all units of a kind.
    uint64_t sum(const std::string &kind, const std::string &name) const
    {
        uint64_t total = 0;
        for (const StatisticGroup &group : phase_.groups) {
            if (group.kind == kind)
                total += group.value(name);
        }
        return total;
    }

  private:
    const PhaseResult &phase_;
};

uint64_t sum_of_parts(const Figures &f)
{
    uint64_t sum = 0;
    for (const char *part : {"queueing", "lookup", "context", "pasid", "walk", "memory"})
        sum += f("frontend", std::string(part) + "_cycles");
    return sum;
}

void expect_parts_add_up(const Figures &f)
{
    EXPECT_EQ(f.at("frontend", "latency").histogram.sum, sum_of_parts(f));
    EXPECT_EQ(f.at("frontend", "hit_latency").histogram.sum + f.at("frontend", "miss_latency").histogram.sum,
              f.at("frontend", "latency").histogram.sum);
    EXPECT_EQ(f.at("frontend", "hit_latency").histogram.count +
                  f.at("frontend", "miss_latency").histogram.count,
              f.at("frontend", "latency").histogram.count);
}

// A run that has drained: everything that went in has come out, at each unit.
void expect_conserved(const Figures &f, const SystemConfig &config, uint64_t requests)
{
    EXPECT_EQ(f.sum("device", "requests"), requests);
    EXPECT_EQ(f.sum("device", "completed"), requests);
    EXPECT_EQ(f("frontend", "requests"), requests);
    EXPECT_EQ(f("frontend", "reads") + f("frontend", "writes"), requests);
    const uint64_t passed = f("frontend", "translated") + f("frontend", "bypassed");
    EXPECT_EQ(passed + f("frontend", "faults"), requests);
    EXPECT_EQ(f.sum("device", "translated"), f("frontend", "translated"));
    EXPECT_EQ(f.sum("device", "faults"), f("frontend", "faults"));
    EXPECT_EQ(f("memory", "dma_reads") + f("memory", "dma_writes"), passed);
    EXPECT_EQ(f.at("frontend", "latency").histogram.count, requests);
    if (config.driver.premap || config.vtd.mode == VtdMode::pass_through) {
        EXPECT_EQ(f("frontend", "faults"), 0u);
        EXPECT_EQ(f("memory", "dma_bytes"), f("frontend", "bytes"));
    } else {
        EXPECT_EQ(f("frontend", "faults"), requests);
    }
    EXPECT_EQ(f("registers", "faults_recorded") + f("registers", "faults_dropped"),
              f("frontend", "fault_reports"));
    EXPECT_EQ(f("memory", "errors"), 0u);
}

void expect_lookups_add_up(const Figures &f)
{
    uint64_t misses = 0;
    for (const char *cache : {"context_cache", "pasid_cache", "iotlb"}) {
        SCOPED_TRACE(cache);
        EXPECT_EQ(f(cache, "lookups"), f(cache, "hits") + f(cache, "misses") + f(cache, "merged"));
        EXPECT_LE(f(cache, "fills"), f(cache, "misses"));
        EXPECT_LE(f(cache, "evictions"), f(cache, "fills"));
        misses += f(cache, "misses");
    }
    EXPECT_EQ(f("walker", "walks"), misses);
    EXPECT_EQ(f("walker", "context_walks"), f("context_cache", "misses"));
    EXPECT_EQ(f("walker", "pasid_walks"), f("pasid_cache", "misses"));
    EXPECT_EQ(f("walker", "page_walks"), f("iotlb", "misses"));
    EXPECT_EQ(f("memory", "table_reads"), f("walker", "table_reads"));
    EXPECT_EQ(f.at("walker", "walk_latency").histogram.count, f("walker", "page_walks"));
    EXPECT_EQ(f("psc", "lookups"), f("psc", "misses") + f("psc", "hits_level2") + f("psc", "hits_level3") +
                                       f("psc", "hits_level4") + f("psc", "hits_level5"));
}

void expect_llc_adds_up(const Figures &f, const SystemConfig &config)
{
    if (config.memory.llc.entries != 0)
        EXPECT_EQ(f("memory", "llc_hits") + f("memory", "llc_misses"), f("memory", "table_reads"));
    else
        EXPECT_EQ(f("memory", "llc_hits"), 0u);
}

// One device sends run.requests and stops, so the run can be drained to the last message.
TEST(RandomSystems, statistics_of_a_drained_run_agree_with_each_other)
{
    const Seeds range = seeds(0, 120);
    unsigned drained = 0;
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SystemConfig config = random_system(seed, 1500);
        config.devices.resize(1);
        config.run.warmup_requests = 0;
        config.run.max_cycles = 0;
        System system(config);
        CoreKernel kernel(system.netlist());
        const SessionResult result = run_session(system, kernel);
        ASSERT_TRUE(result.end == EndReason::requests_reached || result.end == EndReason::traffic_ended)
            << end_reason_text(result.end) << ": " << result.explanation;
        EXPECT_EQ(kernel.run(IOM_NEVER, nullptr), IOM_RUN_IDLE) << kernel.explain();
        EXPECT_EQ(kernel.outstanding(), 0u);
        EXPECT_TRUE(system.traffic_finished());
        PhaseResult end = result.region;
        end.groups = collect_statistics(system.netlist());
        const Figures f(end);
        expect_parts_add_up(f);
        expect_conserved(f, config, 1500);
        expect_lookups_add_up(f);
        expect_llc_adds_up(f, config);
        drained++;
    }
    EXPECT_EQ(drained, range.count);
}

// Several devices never stop; what is in flight when the run ends is known.
TEST(RandomSystems, statistics_of_a_cut_run_agree_with_what_is_in_flight)
{
    const Seeds range = seeds(500, 60);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SystemConfig config = random_system(seed, 1500);
        config.run.warmup_requests = 0;
        System system(config);
        CoreKernel kernel(system.netlist());
        const SessionResult result = run_session(system, kernel);
        ASSERT_NE(result.end, EndReason::deadlock) << result.explanation;
        const Figures f(result.region);
        expect_parts_add_up(f);
        uint64_t most = 0;
        for (const DeviceSettings &device : config.devices)
            most += device.generator.outstanding;
        const uint64_t in_flight = f.sum("device", "requests") - f.sum("device", "completed");
        EXPECT_LE(in_flight, most);
        EXPECT_EQ(f.sum("device", "completed"), result.region.completed);
        EXPECT_LE(f("frontend", "requests"), f.sum("device", "requests"));
        EXPECT_GE(f.at("frontend", "latency").histogram.count, result.region.completed);
    }
}

} // namespace
