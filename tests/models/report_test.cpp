// SPDX-License-Identifier: Apache-2.0
//
// Tests of models/report/: sums over units, derived values, checksums, documents. Phases are made by
// hand, with values whose ratios are known.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "models/config/config.h"
#include "models/report/measures.h"
#include "models/report/result_json.h"
#include "models/report/statistics_document.h"
#include "models/report/text_report.h"

namespace iommu_sim
{
namespace
{

StatisticValue counter(const std::string &name, uint64_t value)
{
    StatisticValue result = {name, "", "", IOM_STAT_COUNTER, value, {}};
    return result;
}

StatisticValue histogram(const std::string &name, const std::vector<uint64_t> &samples)
{
    StatisticValue result = {name, "cycles", "", IOM_STAT_HISTOGRAM, 0, {}};
    for (const uint64_t sample : samples)
        iom_histogram_add(&result.histogram, sample);
    return result;
}

/// Two devices, an IOMMU of four cycles a request; 1000 cycles of 2 ns.
PhaseResult two_devices()
{
    PhaseResult phase;
    phase.first_cycle = 500;
    phase.last_cycle = 1499;
    phase.completed = 40;
    phase.groups.push_back(
        {"iommu0.frontend",
         "stage",
         "frontend",
         {counter("requests", 40), counter("queueing_cycles", 80), counter("lookup_cycles", 40),
          counter("context_cycles", 20), counter("walk_cycles", 10), counter("memory_cycles", 10),
          histogram("latency", std::vector<uint64_t>(40, 4)),
          histogram("hit_latency", std::vector<uint64_t>(30, 2)),
          histogram("miss_latency", std::vector<uint64_t>(10, 10))}});
    phase.groups.push_back(
        {"iommu0.frontend",
         "stage",
         "iotlb",
         {counter("lookups", 40), counter("hits", 30), counter("misses", 8), counter("merged", 2)}});
    phase.groups.push_back({"nic0",
                            "device",
                            "device",
                            {counter("reads", 10), counter("writes", 20), counter("bytes_read", 1000),
                             counter("bytes_written", 3000), counter("completed", 30), counter("faults", 1),
                             histogram("latency", std::vector<uint64_t>(30, 100))}});
    phase.groups.push_back({"nic1",
                            "device",
                            "device",
                            {counter("reads", 10), counter("bytes_read", 2000), counter("completed", 10),
                             histogram("latency", std::vector<uint64_t>(10, 500))}});
    phase.groups.push_back({"memory", "memory", "memory", {counter("busy_cycles", 250)}});
    return phase;
}

SystemConfig two_ns_cycles()
{
    SystemConfig config;
    config.clock.tick_ps = 2000;
    return config;
}

std::map<std::string, std::optional<double>> derive(const PhaseResult &phase, const SystemConfig &config)
{
    const Measures measures = measure(phase, config);
    std::map<std::string, std::optional<double>> values;
    for (const DerivedValue &value : derived_values())
        values[value.name] = value.value(measures);
    return values;
}

TEST(Measures, SumOverDevices)
{
    const Measures m = measure(two_devices(), two_ns_cycles());
    ASSERT_EQ(m.sources.size(), 2u);
    EXPECT_EQ(m.sources[1].name, "nic1");
    EXPECT_EQ(m.traffic.completed, 40u);
    EXPECT_EQ(m.traffic.reads, 20u);
    EXPECT_EQ(m.traffic.writes, 20u);
    EXPECT_EQ(m.traffic.bytes_read, 3000u);
    EXPECT_EQ(m.traffic.faults, 1u);
    EXPECT_EQ(m.traffic.latency.count, 40u);
    EXPECT_EQ(m.traffic.latency.sum, 30u * 100 + 10 * 500);
    EXPECT_EQ(m.traffic.latency.maximum, 500u);
    EXPECT_EQ(m.cycles, 1000u);
    EXPECT_DOUBLE_EQ(m.seconds(), 2e-6);
}

TEST(Measures, ChainedStagesCountLikeAFusedOne)
{
    PhaseResult chained = two_devices();
    chained.groups[1].unit = "iommu0.iotlb";
    chained.groups.push_back(
        {"iommu0.iotlb", "stage", "stage", {counter("requests", 40), counter("stalls", 7)}});
    const Measures m = measure(chained, two_ns_cycles());
    EXPECT_EQ(m.frontend.requests, 40u); // not twice
    EXPECT_EQ(m.stages.stalls, 7u);
    EXPECT_EQ(m.iotlb.hits, 30u);
}

TEST(Derived, Values)
{
    const auto values = derive(two_devices(), two_ns_cycles());
    const std::map<std::string, double> expected = {
        {"dma_per_cycle", 0.04},        {"dma_per_second", 40 / 2e-6},
        {"read_bandwidth", 1.5}, // 3000 bytes in 2000 ns
        {"write_bandwidth", 1.5},       {"bandwidth", 3.0},
        {"dma_latency_mean", 400},      {"translation_latency_mean", 8},
        {"hit_latency_mean", 4},        {"miss_latency_mean", 20},
        {"queueing_share", 0.5},        {"lookup_share", 0.25},
        {"context_share", 0.125},       {"pasid_share", 0},
        {"walk_share", 0.0625},         {"memory_share", 0.0625},
        {"walked_ratio", 0.25},         {"iotlb_hit_rate", 0.75},
        {"walks_per_1000_requests", 0}, {"memory_bus_utilisation", 0.25},
        {"walker_occupancy", 0},
    };
    for (const auto &[name, value] : expected) {
        ASSERT_EQ(values.count(name), 1u) << name;
        ASSERT_TRUE(values.at(name).has_value()) << name;
        EXPECT_DOUBLE_EQ(*values.at(name), value) << name;
    }
}

TEST(Derived, NothingInsteadOfDivisionByZero)
{
    // An empty phase has one cycle by its arithmetic, but nothing in it.
    const auto values = derive(PhaseResult(), SystemConfig());
    for (const char *name : {"iotlb_hit_rate", "dma_latency_mean", "queueing_share", "table_reads_per_walk",
                             "llc_hit_rate", "psc_hit_rate", "walks_per_1000_requests"})
        EXPECT_FALSE(values.at(name).has_value()) << name;
}

TEST(Derived, NamesAreUnique)
{
    std::set<std::string> names;
    for (const DerivedValue &value : derived_values())
        EXPECT_TRUE(names.insert(value.name).second) << value.name;
}

TEST(Checksum, IsCrc32c)
{
    // Check value of CRC-32C in the catalogue of parametrised CRC algorithms (R. Williams' model).
    const std::string path = testing::TempDir() + "checksum-" + std::to_string(getpid());
    std::ofstream(path, std::ios::binary) << "123456789";
    const std::optional<FileChecksum> checksum = checksum_file(path);
    ASSERT_TRUE(checksum.has_value());
    EXPECT_EQ(checksum->crc32c, 0xe3069283u);
    EXPECT_EQ(checksum->bytes, 9u);
    std::remove(path.c_str());
    EXPECT_THROW(checksum_file(path), std::runtime_error);
    EXPECT_FALSE(checksum_file("-").has_value());
    EXPECT_FALSE(checksum_file("/dev/null").has_value());
}

/// A real run of a small system, reported.
class Reported : public testing::TestWithParam<const char *>
{
  protected:
    void SetUp() override
    {
        const LoadedConfig loaded = load_config_text(
            "name: small\n"
            "run: {requests: 300}\n"
            "devices: [{name: dev0, source_id: 0x20, generator: {kind: uniform, window_bytes: 1M}}]\n",
            "test.yaml", {std::string("iommu.wiring=") + GetParam()});
        ASSERT_TRUE(loaded.ok()) << loaded.messages();
        config_ = loaded.config;
        system_ = std::make_unique<System>(config_);
        CoreKernel kernel(system_->netlist());
        result_ = run_session(*system_, kernel);
        hazards_ = finish_hazards(*system_, kernel.now());
        result_.region.groups.push_back(hazards_.statistics);
    }

    SystemConfig config_;
    std::unique_ptr<System> system_;
    SessionResult result_;
    HazardReport hazards_;
};

TEST_P(Reported, DocumentKeepsItsOrder)
{
    const RunInfo run = {"core", "test.yaml", {"iommu-sim"}, 0.5};
    const nlohmann::ordered_json json = result_json(config_, *system_, result_, hazards_, std::nullopt, run);
    const std::vector<std::string> expected = {"schema", "tool",   "configuration", "seeds",   "trace",
                                               "end",    "phases", "derived",       "hazards", "run"};
    std::vector<std::string> keys;
    for (const auto &item : json.items())
        keys.push_back(item.key());
    EXPECT_EQ(keys, expected);
    EXPECT_EQ(json["run"]["dma_per_wall_second"], 600.0);
    EXPECT_TRUE(json["phases"]["warm_up"].is_null());
    EXPECT_TRUE(json["trace"].is_null());
}

TEST_P(Reported, EveryStatisticIsDocumented)
{
    std::map<std::string, std::set<std::string>> documented;
    for (const DocumentedGroup &group : documented_groups()) {
        for (const char *name : group.groups) {
            for (const DocumentedStatistic &statistic : group.statistics)
                documented[name].insert(statistic.name);
        }
    }
    for (const StatisticGroup &group : result_.region.groups) {
        for (const StatisticValue &value : group.values)
            EXPECT_EQ(documented[group.group].count(value.name), 1u) << group.group << "." << value.name;
    }
}

TEST_P(Reported, TextHasTheSameCountsAsTheStatistics)
{
    const std::string text = text_report(config_, *system_, result_, hazards_, "core");
    const Measures m = measure(result_.region, config_);
    EXPECT_EQ(m.part_total(), m.frontend.latency.sum);
    EXPECT_NE(text.find("300 DMA requests came back"), std::string::npos) << text;
    EXPECT_NE(text.find("100.0 %"), std::string::npos) << text;
    EXPECT_NE(text.find("page walks"), std::string::npos) << text;
    EXPECT_EQ(text.find("nan"), std::string::npos) << text;
    for (size_t at = text.find('\n'); at != std::string::npos && at != 0; at = text.find('\n', at + 1))
        EXPECT_NE(text[at - 1], ' ') << "a line ends in a space";
}

TEST_P(Reported, TextOfAnEmptyRunHasNoTables)
{
    const std::string text = text_report(config_, *system_, SessionResult(), HazardReport(), "core");
    EXPECT_EQ(text.find("Caches"), std::string::npos) << text;
    EXPECT_EQ(text.find("Traffic"), std::string::npos) << text;
}

INSTANTIATE_TEST_SUITE_P(Wirings, Reported, testing::Values("fused", "chained"),
                         [](const auto &wiring) { return std::string(wiring.param); });

} // namespace
} // namespace iommu_sim
