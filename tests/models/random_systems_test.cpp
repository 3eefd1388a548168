// SPDX-License-Identifier: Apache-2.0
//
// Whole systems of random shape: every kernel, partition and evaluation order must give the same value of
// every statistic (architecture, "The unit, and why order cannot matter"), and the statistics must agree
// with each other: nothing is lost, counted twice, or left unaccounted.
//
// A system follows from its seed alone. IOMMU_SIM_RANDOM_SYSTEMS=first:count in the environment replaces
// the seeds that are tried, for a longer search.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "core/rng.h"
#include "models/config/config.h"
#include "models/session.h"
#include "models/systemc/systemc_kernel.h"
#include "tests/models/support/child_process.h"

namespace
{

using namespace iommu_sim;

// ---- random systems -----------------------------------------------------------------------------------

class Dice
{
  public:
    explicit Dice(uint64_t seed)
    {
        iom_rng_seed(&rng_, seed, "random systems");
    }
    uint64_t below(uint64_t bound)
    {
        return iom_rng_below(&rng_, bound);
    }
    uint32_t between(uint32_t first, uint32_t last)
    {
        return first + static_cast<uint32_t>(below(last - first + 1));
    }
    bool chance(unsigned percent)
    {
        return below(100) < percent;
    }
    template <typename T> T one_of(std::initializer_list<T> list)
    {
        return list.begin()[below(list.size())];
    }

  private:
    iom_rng rng_;
};

void roll_geometry(Dice &dice, CacheGeometry &cache, uint32_t most_sets_log2)
{
    cache.policy = static_cast<iom_cache_policy>(dice.below(IOM_POLICY_COUNT));
    cache.ways = cache.policy == IOM_POLICY_PLRU ? 1u << dice.below(4) : dice.between(1, 6);
    cache.entries = dice.chance(10) ? 0 : cache.ways << dice.below(most_sets_log2 + 1);
    if (cache.entries == 0)
        cache.ways = 1;
    cache.prefer_invalid = dice.chance(80);
    cache.plru_touch_on_fill = dice.chance(50);
}

void roll_cache(Dice &dice, CacheSettings &cache, uint32_t most_sets_log2)
{
    roll_geometry(dice, cache, most_sets_log2);
    cache.latency_cycles = dice.between(0, 4);
    cache.lookups_per_cycle = dice.between(1, 3);
}

void roll_iommu(Dice &dice, SystemConfig &config)
{
    config.iommu.wiring = dice.one_of({Wiring::fused, Wiring::chained});
    config.iommu.hop_cycles = dice.between(1, 3);
    config.vtd.mode =
        dice.one_of({VtdMode::legacy, VtdMode::legacy, VtdMode::scalable_first_stage,
                     VtdMode::scalable_second_stage, VtdMode::scalable_nested, VtdMode::pass_through});
    config.vtd.second_stage_levels = dice.between(3, 5);
    config.vtd.first_stage_levels = dice.between(4, 5);
    config.frontend.ingress_depth = dice.between(1, 12);
    config.frontend.lookups_per_cycle = dice.between(1, 3);
    config.frontend.arbitration = dice.one_of({Arbitration::round_robin, Arbitration::fixed});
    config.frontend.pcie_ordering = dice.chance(70);
    config.frontend.latency_cycles = dice.between(0, 3);
    roll_cache(dice, config.iotlb, 5);
    config.iotlb.tag_by = dice.one_of({IotlbTag::domain, IotlbTag::source});
    roll_cache(dice, config.context_cache, 1);
    roll_cache(dice, config.pasid_cache, 1);
    config.psc.latency_cycles = dice.between(0, 3);
    config.psc.lookups_per_cycle = dice.between(1, 2);
    for (PscStageSettings *stage : {&config.psc.stage1, &config.psc.stage2}) {
        for (CacheGeometry *level : {&stage->level2, &stage->level3, &stage->level4, &stage->level5})
            roll_geometry(dice, *level, 2);
    }
    config.miss_table.entries = dice.between(1, 8);
    config.miss_table.merges_per_entry = dice.between(1, 4);
    config.miss_table.hit_under_miss = dice.chance(70);
    config.walker.walkers = dice.between(1, 6);
    config.walker.queue_depth = dice.between(1, 6);
    config.walker.step_cycles = dice.between(0, 3);
}

void roll_surroundings(Dice &dice, SystemConfig &config)
{
    config.memory.latency_cycles = dice.one_of({1u, 2u, 7u, 50u, 100u, 400u});
    config.memory.bytes_per_cycle = dice.one_of({0u, 4u, 16u, 64u, 256u});
    config.memory.outstanding = dice.between(1, 16);
    config.memory.queue_depth = dice.between(1, 16);
    roll_geometry(dice, config.memory.llc, 4);
    config.memory.llc.latency_cycles = dice.between(0, 20);
    config.memory.size_bytes = uint64_t{1} << 32;
    config.link.latency_cycles = dice.one_of({1u, 3u, 100u, 600u});
    config.link.return_latency_cycles = dice.one_of({1u, 3u, 100u, 600u});
    config.link.bytes_per_cycle = dice.one_of({0u, 0u, 3u, 16u, 64u});
    config.link.header_bytes = dice.one_of({1u, 24u, 30u});
    config.driver.page_size = dice.one_of({PageSize::size_4k, PageSize::size_4k, PageSize::size_2m});
    config.driver.premap = dice.chance(90);
    config.driver.mmio_cycles = dice.between(1, 300);
    config.driver.poll_cycles = dice.between(1, 100);
}

void roll_generator(Dice &dice, GeneratorSettings &g)
{
    g.kind = dice.one_of({GeneratorKind::sequential, GeneratorKind::strided, GeneratorKind::uniform,
                          GeneratorKind::zipf, GeneratorKind::nic, GeneratorKind::nvme});
    g.base_iova = uint64_t{dice.between(1, 3)} << 24;
    g.window_bytes = uint64_t{dice.one_of({64u, 256u, 1024u})} << 10;
    if (g.kind == GeneratorKind::nic)
        g.window_bytes = 1 << 18;
    g.stride_bytes = dice.one_of({64u, 4096u, 12288u});
    g.request_bytes = dice.one_of({1u, 64u, 256u, 1000u, 4096u});
    g.read_fraction = dice.one_of({0.0, 0.5, 1.0});
    g.outstanding = dice.between(1, 32);
    g.rate = dice.chance(50) ? 0.0 : dice.between(1, 200);
    g.burst_requests = dice.between(1, g.outstanding);
    g.hot_bytes = dice.chance(50) ? 0 : 16384;
    g.ring_entries = dice.between(8, 16);
    g.queues = dice.between(1, 2);
    g.queue_depth = dice.between(1, 4);
    g.block_bytes = dice.one_of({512u, 4096u, 8192u});
}

SystemConfig random_system(uint64_t seed, uint64_t requests)
{
    Dice dice(seed);
    SystemConfig config;
    config.run.seed = dice.below(1000);
    config.run.requests = requests;
    config.run.warmup_requests = dice.chance(30) ? requests / 4 : 0;
    config.run.max_cycles = 5000000;
    roll_iommu(dice, config);
    roll_surroundings(dice, config);
    const bool scalable = config.vtd.mode != VtdMode::legacy && config.vtd.mode != VtdMode::pass_through;
    const uint32_t devices = dice.chance(50) ? 1 : dice.between(2, 4);
    for (uint32_t i = 0; i < devices; i++) {
        DeviceSettings device;
        device.name = "device" + std::to_string(i);
        device.source_id = static_cast<uint16_t>(dice.between(1, 3) << 8 | i);
        device.domain = dice.between(1, 2);
        if (scalable && dice.chance(50))
            device.pasid = dice.between(1, 3);
        roll_generator(dice, device.generator);
        config.devices.push_back(device);
    }
    return config;
}

// ---- results as text ----------------------------------------------------------------------------------

void write_histogram(std::ostream &out, const iom_histogram &h)
{
    out << h.count << ' ' << h.sum << ' ' << h.minimum << ' ' << h.maximum;
    for (uint32_t i = 0; i < IOM_HISTOGRAM_BUCKETS; i++) {
        if (h.bucket[i] != 0)
            out << ' ' << i << ':' << h.bucket[i];
    }
}

void write_phase(std::ostream &out, const char *name, const PhaseResult &phase)
{
    out << name << " cycles " << phase.first_cycle << ".." << phase.last_cycle << " completed "
        << phase.completed << '\n';
    for (const StatisticGroup &group : phase.groups) {
        for (const StatisticValue &value : group.values) {
            out << name << ' ' << group.unit << ' ' << group.group << ' ' << value.name << ' ';
            if (value.kind == IOM_STAT_HISTOGRAM)
                write_histogram(out, value.histogram);
            else
                out << value.value;
            out << '\n';
        }
    }
}

// Everything a run has measured; the number of events is the kernels' own.
std::string text_of(const SessionResult &result)
{
    std::ostringstream out;
    out << "end " << end_reason_text(result.end) << ' ' << result.explanation << '\n';
    write_phase(out, "bring-up", result.bring_up);
    write_phase(out, "warm-up", result.warm_up);
    write_phase(out, "region", result.region);
    return out.str();
}

/// Empty, or the first line in which two results differ.
std::string difference(const std::string &expected, const std::string &found)
{
    std::istringstream a(expected), b(found);
    std::string x, y;
    for (;;) {
        const bool more_a = static_cast<bool>(std::getline(a, x)),
                   more_b = static_cast<bool>(std::getline(b, y));
        if (!more_a && !more_b)
            return "";
        if (more_a != more_b || x != y)
            return "expected: " + (more_a ? x : "nothing") + "\nfound: " + (more_b ? y : "nothing");
    }
}

std::string core_result(const SystemConfig &config, const uint64_t *shuffle)
{
    System system(config);
    CoreKernel kernel(system.netlist());
    if (shuffle != nullptr)
        kernel.shuffle(*shuffle);
    return text_of(run_session(system, kernel));
}

Partition random_partition(const iom_netlist &netlist, uint64_t seed)
{
    Dice dice(seed);
    Partition sets = partition_by_unit(netlist);
    const uint32_t modules = dice.between(2, 5);
    std::vector<int> module_of(sets.size());
    for (int &module : module_of)
        module = static_cast<int>(dice.below(modules));
    for (int &set : sets)
        set = module_of[static_cast<size_t>(set)];
    return sets;
}

enum class Cut { by_unit, three, random };

std::string systemc_result(const SystemConfig &config, Cut cut, uint64_t seed)
{
    System system(config);
    const iom_netlist &netlist = system.netlist();
    const Partition partition = cut == Cut::by_unit ? partition_by_unit(netlist)
                                : cut == Cut::three ? partition_into(netlist, 3)
                                                    : random_partition(netlist, seed);
    SystemcKernel kernel(netlist, partition, config.clock.tick_ps);
    if (cut == Cut::random)
        kernel.shuffle(seed);
    return text_of(run_session(system, kernel));
}

struct Seeds {
    uint64_t first, count;
};

Seeds seeds(uint64_t first, uint64_t count)
{
    const char *text = std::getenv("IOMMU_SIM_RANDOM_SYSTEMS");
    if (text == nullptr)
        return {first, count};
    char *end = nullptr;
    Seeds asked = {std::strtoull(text, &end, 10), 1};
    if (*end == ':')
        asked.count = std::strtoull(end + 1, nullptr, 10);
    return asked;
}

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
