// SPDX-License-Identifier: Apache-2.0
//
// Closed-form latency of a lone request through a whole timed IOMMU.
//
// Each expectation is a formula over the configured latencies and the number of table reads, which is
// counted from the shape of the tables (VT-d, Rev. 4.1: 3.4 context look-up, 3.6 to 3.8 page walks, 6.2
// caches), not taken from the simulator. The timing rules are those at the top of core/stage.h,
// core/walker.h and core/memory.h. A result is asked for in the cycle before it is due, where it must not
// be there, and in the cycle in which it is due.
#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/core/support/vtd_bench.h"

namespace
{

using bench::VtdBench;
using bench::VtdBenchConfig;
using Parts = std::array<uint64_t, IOM_PART_COUNT>;

constexpr uint32_t source = 0x0310, domain = 7, pasid = 0x123;
constexpr uint64_t target = uint64_t{5} << 30; // physical address all pages map to

/// What has been used before the request that is measured.
enum class State {
    cold,        ///< nothing
    context,     ///< same requester, no common table entry below the root of the page tables
    structure,   ///< `structure_level` is the lowest entry in common
    translation, ///< same page
};

/// The latencies under test.
struct Latencies {
    uint64_t front = 1, context = 1, pasid = 1, iotlb = 1, psc = 1, step = 1, hop = 1, memory = 1;
};

struct Case {
    iom_vtd_mode mode = IOM_VTD_MODE_LEGACY;
    unsigned second_levels = 4, first_levels = 4, nested_log2 = 12;
    unsigned page_log2 = 12;
    iom_wiring wiring = IOM_WIRING_FUSED;
    bool psc = true;
    Latencies latency;
    State state = State::cold;
    unsigned structure_level = 0;
};

std::ostream &operator<<(std::ostream &out, const Case &c)
{
    static const char *const modes[] = {"legacy", "second", "first", "nested"};
    static const char *const states[] = {"cold", "context", "structure", "translation"};
    return out << modes[c.mode] << " s" << c.second_levels << " f" << c.first_levels << " n" << c.nested_log2
               << " page " << c.page_log2 << (c.wiring == IOM_WIRING_FUSED ? " fused" : " chained")
               << (c.psc ? " psc" : " no-psc") << " front " << c.latency.front << " ctx " << c.latency.context
               << " pasid " << c.latency.pasid << " iotlb " << c.latency.iotlb << " psc " << c.latency.psc
               << " step " << c.latency.step << " hop " << c.latency.hop << " mem " << c.latency.memory << " "
               << states[static_cast<int>(c.state)] << c.structure_level;
}

// ---- shape of the tables ------------------------------------------------------------------------------

unsigned leaf_level(unsigned page_log2)
{
    return (page_log2 - 12) / 9 + 1;
}

/// Bytes below one entry of `level`, as log2: 12 for level 1.
unsigned span_log2(unsigned level)
{
    return 12 + 9 * (level - 1);
}

bool scalable(const Case &c)
{
    return c.mode != IOM_VTD_MODE_LEGACY;
}

unsigned walked_levels(const Case &c)
{
    return c.mode == IOM_VTD_MODE_LEGACY || c.mode == IOM_VTD_MODE_SECOND_STAGE ? c.second_levels
                                                                                : c.first_levels;
}

/// Table reads and probes of one page walk.
struct WalkCost {
    uint64_t reads = 0, probes = 0;
};

/// A unit of its own is asked whether or not it holds caches of the stage; caches that are called as
/// functions and are not there cost nothing.
bool probed(const Case &c)
{
    return c.psc || c.wiring == IOM_WIRING_CHAINED;
}

// Entries from the root down to the page, or from below the entry that a paging-structure cache holds.
WalkCost single_stage_walk(const Case &c)
{
    const unsigned from = c.state == State::structure ? c.structure_level - 1 : walked_levels(c);
    return {from - leaf_level(c.page_log2) + 1, probed(c) ? 1u : 0u};
}

// 3.8: the address of every first-stage table, and of the page, is a guest address that the second stage
// translates. Without paging-structure caches nothing is remembered between those walks.
WalkCost nested_walk_without_caches(const Case &c)
{
    const uint64_t first = c.first_levels - leaf_level(c.page_log2) + 1;
    const uint64_t second = c.second_levels - leaf_level(c.nested_log2) + 1;
    return {first * (1 + second) + second, probed(c) ? 1 + first + 1 : 0};
}

// ---- the formula --------------------------------------------------------------------------------------

/// The time of a request step by step, each charged to its part.
struct Account {
    Parts part{};
    uint64_t total() const
    {
        uint64_t sum = 0;
        for (uint64_t p : part)
            sum += p;
        return sum;
    }
    void charge(iom_part p, uint64_t cycles)
    {
        part[p] += cycles;
    }
    /// A look-up that fetches `reads` words: to the walker, each read to memory and back, and back.
    void fetch(iom_part p, const Latencies &l, uint64_t reads)
    {
        charge(IOM_PART_QUEUEING, l.hop);
        charge(p, reads * (2 * l.hop + l.memory + l.step) + l.hop);
    }
};

Account expected(const Case &c, const WalkCost &walk)
{
    const Latencies &l = c.latency;
    const bool chained = c.wiring == IOM_WIRING_CHAINED;
    Account a;
    a.charge(IOM_PART_LOOKUP, l.front);
    if (chained) // front -> context cache -> PASID cache -> IOTLB, and the answer the same way back
        a.charge(IOM_PART_QUEUEING, 6 * l.hop);
    a.charge(IOM_PART_CONTEXT, l.context);
    if (c.state == State::cold)
        a.fetch(IOM_PART_CONTEXT, l, 2); // root entry, context entry
    if (scalable(c)) {
        a.charge(IOM_PART_PASID, l.pasid);
        if (c.state == State::cold)
            a.fetch(IOM_PART_PASID, l, 2); // directory entry, table entry
    }
    a.charge(IOM_PART_LOOKUP, l.iotlb);
    if (c.state != State::translation) {
        a.charge(IOM_PART_QUEUEING, l.hop);
        a.charge(IOM_PART_WALK,
                 walk.probes * (l.psc + (chained ? 2 * l.hop : 0)) + walk.reads * l.step + l.hop);
        a.charge(IOM_PART_MEMORY, walk.reads * (2 * l.hop + l.memory));
    }
    return a;
}

// ---- the simulation -----------------------------------------------------------------------------------

VtdBenchConfig bench_config(const Case &c)
{
    VtdBenchConfig config;
    config.software = iom_vtd_software_defaults(c.mode);
    config.software.second_stage_levels = static_cast<uint8_t>(c.second_levels);
    config.software.first_stage_levels = static_cast<uint8_t>(c.first_levels);
    config.software.nested_page_log2 = static_cast<uint8_t>(c.nested_log2);
    config.iommu = bench::roomy_iommu(1);
    config.iommu.wiring = c.wiring;
    config.iommu.hop_cycles = c.latency.hop;
    config.iommu.front_latency_cycles = c.latency.front;
    config.iommu.lookup[IOM_LOOKUP_CONTEXT].latency_cycles = c.latency.context;
    config.iommu.lookup[IOM_LOOKUP_PASID].latency_cycles = c.latency.pasid;
    config.iommu.lookup[IOM_LOOKUP_IOTLB].latency_cycles = c.latency.iotlb;
    config.iommu.step_cycles = c.latency.step;
    config.iommu.psc.latency_cycles = c.latency.psc;
    if (!c.psc) {
        for (auto &stage : config.iommu.psc.cache) {
            for (auto &level : stage)
                level.entries = level.ways = 0;
        }
    }
    config.memory = bench::roomy_memory();
    config.memory.latency_cycles = c.latency.memory;
    return config;
}

/// One requester whose pages are mapped as a case says.
class Machine
{
  public:
    explicit Machine(const Case &c) : Machine(c, bench_config(c))
    {
    }
    Machine(const Case &c, const VtdBenchConfig &config) : bench(config), case_(c)
    {
        bench.attach(source, scalable(c) ? pasid : IOM_NO_PASID, domain);
        bench.enable();
    }
    void map(uint64_t iova)
    {
        bench.map(domain, iova, target, case_.page_log2, IOM_PERM_READ | IOM_PERM_WRITE);
    }
    /// A read of 64 bytes at `iova` that arrives at the IOMMU in a cycle in which all is quiet.
    iom_dma *read(uint64_t iova)
    {
        iom_dma *dma = bench.request(source, scalable(case_) ? pasid : IOM_NO_PASID, iova, 64, 0);
        bench.send(0, dma, bench.bench.now() + 10);
        return dma;
    }

    VtdBench bench;

  private:
    Case case_;
};

uint64_t dma_reads(Machine &m)
{
    iom_unit *unit = iom_memory_unit(m.bench.memory);
    iom_stat_block block = {};
    EXPECT_TRUE(unit->ops->stats(unit, 0, &block));
    return static_cast<const iom_memory_stats *>(block.values)->dma_reads;
}

uint64_t table_reads(Machine &m)
{
    return iom_walker_stats_of(m.bench.iommu.walker)->table_reads;
}

// An address used before, which shares with `iova` what the state says.
uint64_t earlier_address(const Case &c, uint64_t iova)
{
    switch (c.state) {
    case State::translation:
        return iova + 64;
    case State::structure: // another entry of the table that the structure entry points to
        return iova + (uint64_t{1} << span_log2(c.structure_level - 1));
    default:
        return iova + (uint64_t{1} << span_log2(walked_levels(c)));
    }
}

const uint64_t iova = uint64_t{3} << 30; // aligned to every page size

// The measured request: where it is in the cycle before, and in, each moment of its way.
void expect_exact(Machine &m, const Case &c, const Account &account, uint64_t reads)
{
    const uint64_t reads_before = table_reads(m), visible_before = dma_reads(m);
    iom_dma *dma = m.read(iova + 0x40);
    const iom_cycle arrived = m.bench.bench.now() + 10 + 1;
    const iom_cycle translated = arrived + account.total();
    const iom_cycle visible = translated + c.latency.hop;
    const iom_cycle answered = visible + c.latency.memory + c.latency.hop + 1;
    m.bench.bench.run_to(visible - 1);
    EXPECT_EQ(dma_reads(m), visible_before) << "at memory too early";
    m.bench.bench.run_to(visible);
    EXPECT_EQ(dma_reads(m), visible_before + 1) << "not at memory yet";
    m.bench.bench.run_to(answered - 1);
    EXPECT_EQ(m.bench.answer_of(dma), nullptr) << "answered too early";
    m.bench.bench.run_to(answered);
    ASSERT_NE(m.bench.answer_of(dma), nullptr) << "not answered yet";
    m.bench.bench.run_until_idle();
    EXPECT_EQ(m.bench.answer_of(dma)->cycle, answered);
    EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(dma->x.leaf.output, target + 0x40);
    EXPECT_EQ(dma->arrived, arrived);
    EXPECT_EQ(dma->translated - dma->arrived, account.total());
    EXPECT_EQ(dma->visible, visible);
    EXPECT_EQ(table_reads(m) - reads_before, reads);
    static const char *const names[] = {"queueing", "lookup", "context", "pasid", "walk", "memory"};
    for (int p = 0; p < IOM_PART_COUNT; p++)
        EXPECT_EQ(dma->part[p], account.part[static_cast<size_t>(p)]) << names[p];
}

void check(const Case &c)
{
    SCOPED_TRACE(testing::PrintToString(c));
    Machine m(c);
    m.map(iova);
    if (c.state != State::cold) {
        const uint64_t earlier = earlier_address(c, iova);
        if (c.state != State::translation)
            m.map(iom_align_down(earlier, c.page_log2));
        m.read(earlier);
        m.bench.bench.run_until_idle();
    }
    const WalkCost walk =
        c.mode == IOM_VTD_MODE_NESTED ? nested_walk_without_caches(c) : single_stage_walk(c);
    uint64_t reads = c.state == State::translation ? 0 : walk.reads;
    if (c.state == State::cold)
        reads += scalable(c) ? 4 : 2;
    expect_exact(m, c, expected(c, walk), reads);
}

/// All states that the case's tables allow.
void check_all_states(Case c)
{
    for (State state : {State::cold, State::context, State::translation}) {
        c.state = state;
        check(c);
    }
    if (!c.psc || c.mode == IOM_VTD_MODE_NESTED)
        return;
    // An entry of level n refers to a table of level n - 1, in which the page's own entry must lie or below.
    for (unsigned level = leaf_level(c.page_log2) + 1; level <= walked_levels(c); level++) {
        c.state = State::structure;
        c.structure_level = level;
        check(c);
    }
}

constexpr unsigned page_sizes[] = {12, 21, 30};

/// Latencies that are all different, so that one taken for another, or twice, shows.
Latencies distinct()
{
    Latencies l;
    l.front = 3, l.context = 5, l.pasid = 11, l.iotlb = 17, l.psc = 29, l.step = 37, l.hop = 2,
    l.memory = 101;
    return l;
}

// ---- levels, page sizes, cache states -----------------------------------------------------------------

class Tables : public testing::TestWithParam<std::tuple<iom_wiring, unsigned>>
{
  protected:
    Case base() const
    {
        Case c;
        c.wiring = std::get<0>(GetParam());
        c.page_log2 = std::get<1>(GetParam());
        c.latency = distinct();
        return c;
    }
};

TEST_P(Tables, legacy_second_stage_of_3_4_and_5_levels)
{
    for (unsigned levels : {3u, 4u, 5u}) {
        Case c = base();
        c.second_levels = levels;
        check_all_states(c);
    }
}

TEST_P(Tables, scalable_second_stage_of_3_4_and_5_levels)
{
    for (unsigned levels : {3u, 4u, 5u}) {
        Case c = base();
        c.mode = IOM_VTD_MODE_SECOND_STAGE;
        c.second_levels = levels;
        check_all_states(c);
    }
}

TEST_P(Tables, first_stage_of_4_and_5_levels)
{
    for (unsigned levels : {4u, 5u}) {
        Case c = base();
        c.mode = IOM_VTD_MODE_FIRST_STAGE;
        c.first_levels = levels;
        check_all_states(c);
    }
}

TEST_P(Tables, nested_without_paging_structure_caches)
{
    for (unsigned first : {4u, 5u}) {
        for (unsigned second : {3u, 4u, 5u}) {
            for (unsigned nested_log2 : page_sizes) {
                Case c = base();
                if (c.page_log2 == 30 && nested_log2 == 12)
                    continue; // 2^18 entries: see below
                c.mode = IOM_VTD_MODE_NESTED;
                c.first_levels = first;
                c.second_levels = second;
                c.nested_log2 = nested_log2;
                c.psc = false;
                check_all_states(c);
            }
        }
    }
}

// A page of the first stage that the second stage maps in smaller ones.
TEST(Latency, nested_gigabyte_page_over_small_pages)
{
    Case c;
    c.mode = IOM_VTD_MODE_NESTED;
    c.page_log2 = 30;
    c.psc = false;
    c.latency = distinct();
    check(c);
}

TEST_P(Tables, without_paging_structure_caches_every_walk_starts_at_the_root)
{
    for (iom_vtd_mode mode : {IOM_VTD_MODE_LEGACY, IOM_VTD_MODE_SECOND_STAGE, IOM_VTD_MODE_FIRST_STAGE}) {
        Case c = base();
        c.mode = mode;
        c.psc = false;
        check_all_states(c);
    }
}

INSTANTIATE_TEST_SUITE_P(Latency, Tables,
                         testing::Combine(testing::Values(IOM_WIRING_FUSED, IOM_WIRING_CHAINED),
                                          testing::ValuesIn(page_sizes)),
                         [](const testing::TestParamInfo<std::tuple<iom_wiring, unsigned>> &test) {
                             const bool fused = std::get<0>(test.param) == IOM_WIRING_FUSED;
                             return std::string(fused ? "fused" : "chained") + "_page_log2_" +
                                    std::to_string(std::get<1>(test.param));
                         });

// ---- each latency on its own --------------------------------------------------------------------------

class Wiring : public testing::TestWithParam<iom_wiring>
{
};

/// A latency and the values it takes.
struct Sweep {
    const char *name;
    uint64_t Latencies::*member;
    std::vector<uint64_t> values;
};

// One latency takes several values while the others stay at 1.
TEST_P(Wiring, each_latency_on_its_own)
{
    const Sweep sweeps[] = {
        {"memory", &Latencies::memory, {1, 2, 7, 50, 100, 1000}},
        {"step", &Latencies::step, {0, 1, 2, 9}},
        {"paging-structure caches", &Latencies::psc, {0, 1, 2, 9}},
        {"hop", &Latencies::hop, {1, 2, 5, 40}},
        {"front end", &Latencies::front, {0, 1, 2, 9}},
        {"context cache", &Latencies::context, {0, 1, 2, 9}},
        {"PASID cache", &Latencies::pasid, {0, 1, 2, 9}},
        {"IOTLB", &Latencies::iotlb, {0, 1, 2, 9}},
    };
    for (const Sweep &sweep : sweeps) {
        for (uint64_t value : sweep.values) {
            for (iom_vtd_mode mode : {IOM_VTD_MODE_LEGACY, IOM_VTD_MODE_FIRST_STAGE}) {
                SCOPED_TRACE(sweep.name);
                Case c;
                c.wiring = GetParam();
                c.mode = mode;
                c.latency.*sweep.member = value;
                check_all_states(c);
            }
        }
    }
}

// Everything that may be 0 is: the sums must hold without a hidden cycle.
TEST_P(Wiring, all_latencies_zero)
{
    Case c;
    c.wiring = GetParam();
    c.latency.front = c.latency.context = c.latency.pasid = c.latency.iotlb = c.latency.psc = c.latency.step =
        0;
    check_all_states(c);
    c.mode = IOM_VTD_MODE_FIRST_STAGE;
    check_all_states(c);
}

// ---- last-level cache ---------------------------------------------------------------------------------

VtdBenchConfig with_llc(const Case &c, uint64_t latency)
{
    VtdBenchConfig config = bench_config(c);
    config.memory.llc.entries = config.memory.llc.ways = 256;
    config.memory.llc.policy = IOM_POLICY_LRU;
    config.memory.llc.prefer_invalid = true;
    config.memory.llc_latency_cycles = latency;
    return config;
}

// Cold, every read goes to DRAM. After the IOMMU's own caches were emptied the same walk finds every line
// in the last-level cache.
TEST_P(Wiring, table_reads_served_by_the_last_level_cache)
{
    for (uint64_t llc : {0, 1, 13}) {
        for (iom_vtd_mode mode : {IOM_VTD_MODE_LEGACY, IOM_VTD_MODE_FIRST_STAGE, IOM_VTD_MODE_NESTED}) {
            Case c;
            c.wiring = GetParam();
            c.mode = mode;
            c.latency = distinct();
            c.psc = mode != IOM_VTD_MODE_NESTED;
            SCOPED_TRACE(testing::PrintToString(c));
            Machine m(c, with_llc(c, llc));
            m.map(iova);
            m.read(iova);
            m.bench.bench.run_until_idle();
            iom_iommu_flush(&m.bench.iommu, m.bench.bench.now() + 1);

            const WalkCost walk =
                mode == IOM_VTD_MODE_NESTED ? nested_walk_without_caches(c) : single_stage_walk(c);
            Case hits = c; // as if memory had the latency of the last-level cache
            hits.latency.memory = llc;
            Account account = expected(hits, walk);
            expect_exact(m, c, account, walk.reads + (scalable(c) ? 4 : 2));
        }
    }
}

TEST_P(Wiring, a_line_not_in_the_last_level_cache_costs_the_dram_latency_alone)
{
    Case c;
    c.wiring = GetParam();
    c.latency = distinct();
    Machine m(c, with_llc(c, 13));
    m.map(iova);
    const WalkCost walk = single_stage_walk(c);
    expect_exact(m, c, expected(c, walk), walk.reads + 2);
}

// ---- nested walks that use the paging-structure caches of the second stage ----------------------------

/// What the second-stage caches hold in the course of one walk: (level, address >> span).
class StructureModel
{
  public:
    explicit StructureModel(const Case &c) : case_(c)
    {
    }
    // Second-stage walk of a guest address: reads from below the deepest entry known.
    uint64_t second(uint64_t guest)
    {
        const unsigned leaf = leaf_level(case_.nested_log2);
        unsigned from = case_.second_levels;
        for (unsigned level = leaf + 1; level <= case_.second_levels; level++) {
            if (known_.count({level, guest >> span_log2(level)}) != 0) {
                from = level - 1;
                break;
            }
        }
        for (unsigned level = from; level > leaf; level--)
            known_.insert({level, guest >> span_log2(level)});
        return from - leaf + 1;
    }

  private:
    Case case_;
    std::set<std::pair<unsigned, uint64_t>> known_;
};

// The guest tables are neighbours in memory: after the first second-stage walk the others find an entry
// that leads to their table, and read it and the page entry only.
TEST_P(Wiring, nested_walk_with_second_stage_structure_caches)
{
    for (unsigned nested_log2 : page_sizes) {
        for (unsigned first : {4u, 5u}) {
            for (unsigned second : {4u, 5u}) {
                Case c;
                c.wiring = GetParam();
                c.mode = IOM_VTD_MODE_NESTED;
                c.first_levels = first;
                c.second_levels = second;
                c.nested_log2 = nested_log2;
                c.latency = distinct();
                c.latency.psc = 0; // how many probes are made is not the point here
                c.latency.hop = 2;
                SCOPED_TRACE(testing::PrintToString(c));
                VtdBenchConfig config = bench_config(c);
                for (auto &level : config.iommu.psc.cache[0]) // second stage only
                    level.entries = level.ways = 0;
                Machine m(c, config);
                m.map(iova);
                StructureModel model(c);
                uint64_t reads = 0;
                // Guest tables lie in one 1 GiB region (the bench hands out neighbours), the page far away.
                const uint64_t table_region = uint64_t{1} << 38;
                for (unsigned level = first; level >= 1; level--)
                    reads += model.second(table_region) + 1;
                reads += model.second(target);
                iom_dma *dma = m.read(iova);
                m.bench.bench.run_until_idle();
                EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
                EXPECT_EQ(table_reads(m), 4 + reads);
                EXPECT_EQ(dma->part[IOM_PART_MEMORY], reads * (2 * c.latency.hop + c.latency.memory));
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Latency, Wiring, testing::Values(IOM_WIRING_FUSED, IOM_WIRING_CHAINED),
                         [](const testing::TestParamInfo<iom_wiring> &test) {
                             return test.param == IOM_WIRING_FUSED ? "fused" : "chained";
                         });

} // namespace
