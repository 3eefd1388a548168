// SPDX-License-Identifier: Apache-2.0
//
// Whole IOMMUs of random shape under random DMA: no request reaches another address than the tables
// say. The oracle is a map of what was mapped; a pure walk of the tables must agree with it too.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <ostream>

#include "tests/core/support/dice.h"
#include "tests/core/support/vtd_bench.h"

namespace
{

using bench::VtdBench;
using bench::VtdBenchConfig;

void roll(Dice &dice, iom_cache_config &cache)
{
    cache.policy = static_cast<iom_cache_policy>(dice.below(IOM_POLICY_COUNT));
    cache.ways = cache.policy == IOM_POLICY_PLRU ? 1u << dice.below(3) : dice.between(1, 4);
    cache.entries = dice.chance(10) ? 0 : cache.ways << dice.below(4);
}

VtdBenchConfig random_config(Dice &dice)
{
    VtdBenchConfig config;
    config.software = iom_vtd_software_defaults(static_cast<iom_vtd_mode>(dice.below(4)));
    config.software.second_stage_levels = static_cast<uint8_t>(dice.between(3, 5));
    config.software.first_stage_levels = static_cast<uint8_t>(dice.between(4, 5));
    config.software.nested_page_log2 = static_cast<uint8_t>(12 + 9 * dice.below(3));
    config.software.clear_accessed_dirty = dice.chance(30);
    config.tagging = dice.chance(50) ? IOM_TAG_BY_DOMAIN : IOM_TAG_BY_SOURCE;
    iom_iommu_config &iommu = config.iommu = bench::roomy_iommu(dice.between(1, 3));
    iommu.wiring = dice.chance(50) ? IOM_WIRING_FUSED : IOM_WIRING_CHAINED;
    iommu.hop_cycles = dice.between(1, 3);
    iommu.pcie_ordering = dice.chance(70);
    iommu.front_lookups_per_cycle = dice.between(1, 3);
    for (auto &lookup : iommu.lookup) {
        roll(dice, lookup.cache);
        lookup.latency_cycles = dice.below(5);
    }
    iommu.stage_queue_depth = dice.between(1, 8);
    iommu.miss_entries = dice.between(1, 8);
    iommu.merges_per_entry = dice.between(0, 4);
    iommu.hit_under_miss = dice.chance(70);
    iommu.replay_after_fill = dice.chance(30);
    iommu.walkers = dice.between(1, 4);
    iommu.walk_queue_depth = dice.between(1, 4);
    iommu.step_cycles = dice.below(4);
    for (auto &stage : iommu.psc.cache) {
        for (int level = 2; level <= 5; level++)
            roll(dice, stage[level]);
    }
    iommu.psc.latency_cycles = dice.below(4);
    iommu.memory_queue_depth = dice.between(1, 8);
    iommu.seed = dice.below(1000);
    config.memory = bench::roomy_memory();
    config.memory.latency_cycles = dice.between(1, 60);
    config.memory.bytes_per_cycle = dice.chance(50) ? 0 : 32;
    config.memory.outstanding = dice.between(0, 6);
    roll(dice, config.memory.llc);
    config.memory.llc_latency_cycles = dice.below(10);
    config.link_cycles = dice.between(1, 50);
    return config;
}

/// What a domain maps: page -> (output, size, permissions).
struct Page {
    uint64_t output;
    unsigned size_log2;
    uint8_t permissions;
};
using Domain = std::map<uint64_t, Page>;

std::optional<Page> find(const Domain &domain, uint64_t address)
{
    auto at = domain.upper_bound(address);
    if (at == domain.begin())
        return std::nullopt;
    --at;
    if (((address - at->first) >> at->second.size_log2) != 0)
        return std::nullopt;
    return Page{at->second.output + (address - at->first), at->second.size_log2, at->second.permissions};
}

struct Requester {
    uint32_t source, pasid, domain;
};

/// Two domains over the same addresses with other outputs and permissions, and requesters of both.
class World
{
  public:
    World(Dice &dice, const VtdBenchConfig &config) : bench(config), dice_(dice)
    {
        const bool scalable = config.software.mode != IOM_VTD_MODE_LEGACY;
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t pasid = scalable && i % 2 == 1 ? 0x40 + i : IOM_NO_PASID;
            requesters.push_back({0x100 + (scalable ? i / 2 : i) * 8, pasid, 1 + i % 2});
            bench.attach(requesters[i].source, pasid, requesters[i].domain);
        }
        bench.enable();
        for (uint32_t domain = 1; domain <= 2; domain++) {
            for (int i = 0; i < 60; i++)
                map_one(domain, config.software.mode, config.software.nested_page_log2);
        }
    }
    iom_dma *random_request(uint32_t &which)
    {
        which = static_cast<uint32_t>(dice_.below(requesters.size()));
        const Requester &r = requesters[which];
        uint64_t address = dice_.below(80) << 12 | dice_.below(2) << 21;
        if (dice_.chance(20))
            address = (uint64_t{1} << 30) + (dice_.below(3) << 21) + (dice_.below(1 << 9) << 12);
        address += 64 * dice_.below(60);
        return bench.request(r.source, r.pasid, address, 64, dice_.chance(40) ? unsigned{IOM_REQ_WRITE} : 0u);
    }

    VtdBench bench;
    std::vector<Requester> requesters;
    Domain domains[3];

  private:
    void map_one(uint32_t domain, iom_vtd_mode mode, unsigned nested_log2)
    {
        const bool large = dice_.chance(10) && !(mode == IOM_VTD_MODE_NESTED && nested_log2 == 12);
        const unsigned size_log2 = large ? 21 : 12;
        const uint64_t iova = large ? (uint64_t{1} << 30) + (dice_.below(3) << 21)
                                    : dice_.below(64) << 12 | dice_.below(2) << 21;
        if (find(domains[domain], iova))
            return;
        // Permissions a first stage can express: reading always.
        const auto permissions =
            static_cast<uint8_t>(IOM_PERM_READ | (dice_.chance(60) ? IOM_PERM_WRITE : 0));
        const uint64_t output = (uint64_t{domain} << 33) + (dice_.below(1 << 10) << 21);
        bench.map(domain, iova, output, size_log2, permissions);
        domains[domain][iova] = {output, size_log2, permissions};
    }

    Dice &dice_;
};

void expect_right(const World &world, const Requester &r, const iom_dma *dma, uint64_t address, bool write)
{
    const std::optional<Page> page = find(world.domains[r.domain], address);
    const bool allowed = page && (!write || (page->permissions & IOM_PERM_WRITE) != 0);
    const iom_xlate pure = world.bench.pure(*dma);
    ASSERT_EQ(pure.outcome, allowed ? IOM_OUTCOME_ADDRESS : IOM_OUTCOME_FAULT);
    ASSERT_EQ(dma->x.outcome, pure.outcome);
    if (allowed) {
        ASSERT_EQ(dma->x.leaf.output, page->output);
        ASSERT_EQ(pure.leaf.output, page->output);
        ASSERT_NE(dma->visible, 0u);
    } else {
        ASSERT_EQ(dma->x.fault.code, pure.fault.code);
        ASSERT_EQ(dma->visible, 0u);
    }
}

void expect_times_add_up(const iom_dma *dma)
{
    uint64_t sum = 0;
    for (uint64_t part : dma->part)
        sum += part;
    ASSERT_EQ(sum, dma->translated - dma->arrived);
}

// Posted writes of a requester become visible in the order in which they were sent.
void expect_write_order(const std::vector<iom_dma *> &sent)
{
    std::map<std::pair<uint32_t, uint32_t>, iom_cycle> last;
    for (const iom_dma *dma : sent) {
        if ((dma->x.flags & IOM_REQ_WRITE) == 0 || dma->visible == 0)
            continue;
        iom_cycle &before = last[{dma->x.source, 0}];
        ASSERT_GE(dma->visible, before);
        before = dma->visible;
    }
}

void run(uint64_t seed)
{
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed, "iommu test");
    const VtdBenchConfig config = random_config(dice);
    World world(dice, config);
    std::vector<iom_dma *> sent;
    std::vector<uint32_t> whose;
    iom_cycle cycle = 10;
    for (int i = 0; i < 400; i++) {
        uint32_t which = 0;
        iom_dma *dma = world.random_request(which);
        // A requester always uses the same input: order holds from there on.
        world.bench.send(dma->x.source / 8 % config.iommu.inputs, dma, cycle);
        sent.push_back(dma);
        whose.push_back(which);
        cycle += dice.chance(80) ? dice.below(3) : dice.below(200);
    }
    world.bench.bench.run_until_idle();
    ASSERT_EQ(world.bench.answers().size(), sent.size());
    for (size_t i = 0; i < sent.size(); i++) {
        SCOPED_TRACE("request " + std::to_string(i));
        const bool write = (sent[i]->x.flags & IOM_REQ_WRITE) != 0;
        expect_right(world, world.requesters[whose[i]], sent[i], sent[i]->x.address, write);
        expect_times_add_up(sent[i]);
        if (testing::Test::HasFatalFailure())
            return;
    }
    if (config.iommu.pcie_ordering)
        expect_write_order(sent);
}

TEST(Iommu, translates_as_the_tables_say_whatever_its_shape)
{
    for (uint64_t seed = 0; seed < 120; seed++) {
        run(seed);
        if (HasFatalFailure())
            return;
    }
}

// Settings that cannot be built are refused with a text, not by a crash.
TEST(Iommu, an_unusable_geometry_is_named)
{
    bench::VtdBenchConfig config;
    config.software = iom_vtd_software_defaults(IOM_VTD_MODE_LEGACY);
    config.iommu = bench::roomy_iommu(1);
    config.memory = bench::roomy_memory();
    config.iommu.lookup[IOM_LOOKUP_IOTLB].cache.entries = 12;
    config.iommu.lookup[IOM_LOOKUP_IOTLB].cache.ways = 4; // three sets
    iom_vtd_config vtd = bench::vtd_config(false, IOM_TAG_BY_DOMAIN);
    iom_arch arch = {&iom_vtd_ops, &vtd, 0};
    config.iommu.arch = &arch;
    iom_netlist netlist;
    iom_netlist_init(&netlist);
    iom_iommu iommu;
    const char *error =
        iom_iommu_init(&iommu, &config.iommu, "iommu0", &netlist, nullptr, nullptr, nullptr, nullptr);
    ASSERT_NE(error, nullptr);
    EXPECT_NE(std::string(error), "");
    iom_netlist_free(&netlist);
    iom_iommu_free(&iommu);
}

// The owner of each look-up, and where the caches are, in both wirings.
TEST(Iommu, both_wirings_have_all_caches)
{
    for (iom_wiring wiring : {IOM_WIRING_FUSED, IOM_WIRING_CHAINED}) {
        bench::VtdBenchConfig config;
        config.software = iom_vtd_software_defaults(IOM_VTD_MODE_LEGACY);
        config.iommu = bench::roomy_iommu(2);
        config.iommu.wiring = wiring;
        config.memory = bench::roomy_memory();
        bench::VtdBench b(config);
        EXPECT_EQ(b.iommu.stage_count, wiring == IOM_WIRING_FUSED ? 1u : 4u);
        for (iom_lookup which : {IOM_LOOKUP_CONTEXT, IOM_LOOKUP_PASID, IOM_LOOKUP_IOTLB})
            EXPECT_NE(iom_stage_cache(iom_iommu_owner(&b.iommu, which), which), nullptr);
        for (uint8_t stage = 1; stage <= 2; stage++) {
            for (uint8_t level = 2; level <= 5; level++)
                EXPECT_NE(iom_psc_cache(iom_iommu_psc(&b.iommu), stage, level), nullptr);
        }
    }
}

// ---- commands: from the doorbell to the status word ---------------------------------------------------

constexpr uint64_t queue_base = uint64_t{3} << 37, status_word = queue_base + 0x10000;
constexpr uint32_t nic = 0x100;

/// Registers as software writes them over the bus, and a queue of 128-bit descriptors in memory.
class CommandBench
{
  public:
    explicit CommandBench(iom_wiring wiring, uint64_t ats_timeout_cycles = 0)
        : bench(make_config(wiring, ats_timeout_cycles)), mmio_port_(1)
    {
        iom_pool_init(&pool_, IOM_MSG_MMIO, sizeof(iom_mmio));
        bench.attach(nic, IOM_NO_PASID, 1);
        bench.map(1, 0x1000, 0x200000, 12, IOM_PERM_READ | IOM_PERM_WRITE);
        bench.enable();
        write(2, IOM_VTD_IQA, 8, queue_base);
        write(3, IOM_VTD_GCMD, 4, IOM_VTD_GCMD_TE | IOM_VTD_GCMD_QIE);
        bench.bench.run_to(9);
    }
    ~CommandBench()
    {
        bench.bench.close();
        iom_pool_free(&pool_);
    }
    CommandBench(const CommandBench &) = delete;
    CommandBench &operator=(const CommandBench &) = delete;

    void write(iom_cycle cycle, uint32_t offset, uint8_t bytes, uint64_t value)
    {
        auto *mmio = static_cast<iom_mmio *>(iom_pool_take(&pool_));
        mmio->offset = offset;
        mmio->bytes = bytes;
        mmio->value = value;
        mmio->write = true;
        bench.devices.send_at(cycle, mmio_port_, &mmio->msg);
    }
    uint64_t registers(uint32_t offset, unsigned bytes)
    {
        const iom_arch &arch = bench.iommu.arch;
        return arch.ops->read(&arch, iom_register_unit_state(bench.iommu.registers), offset, bytes);
    }
    void put(uint64_t low, uint64_t high)
    {
        const uint64_t words[2] = {low, high};
        ASSERT_TRUE(iom_memory_image_write(bench.image, queue_base + tail, words, sizeof words));
        tail += sizeof words;
    }
    /// Invalidation wait: status write of `value`.
    void put_wait(uint32_t value)
    {
        put(5 | 1u << 5 | uint64_t{value} << 32, status_word);
    }
    void ring(iom_cycle cycle)
    {
        write(cycle, IOM_VTD_IQT, 8, tail);
    }
    uint32_t status()
    {
        uint32_t value = 0;
        EXPECT_TRUE(iom_memory_image_read(bench.image, status_word, &value, sizeof value));
        return value;
    }
    iom_dma *read(iom_cycle cycle)
    {
        iom_dma *dma = bench.request(nic, IOM_NO_PASID, 0x1000, 64, 0);
        bench.send(0, dma, cycle);
        return dma;
    }

    bench::VtdBench bench;
    uint32_t tail = 0;

  private:
    static VtdBenchConfig make_config(iom_wiring wiring, uint64_t ats_timeout_cycles)
    {
        VtdBenchConfig config;
        config.software = iom_vtd_software_defaults(IOM_VTD_MODE_LEGACY);
        config.iommu = bench::roomy_iommu(1);
        config.iommu.wiring = wiring;
        config.iommu.ats_timeout_cycles = ats_timeout_cycles;
        config.memory = bench::roomy_memory();
        return config;
    }
    uint32_t mmio_port_;
    iom_pool pool_ = {};
};

constexpr uint64_t flush_domain_1 = 2 | 2u << 4 | 1u << 6 | 1u << 7 | 1u << 16; // IOTLB, domain, DW, DR

TEST(Iommu, an_unmapped_page_is_used_until_the_queue_has_flushed_it)
{
    for (iom_wiring wiring : {IOM_WIRING_FUSED, IOM_WIRING_CHAINED}) {
        SCOPED_TRACE(wiring);
        CommandBench b(wiring);
        const iom_dma *fills = b.read(10);
        b.bench.bench.run_until_idle();
        b.bench.unmap(1, 0x1000, 12);
        const iom_dma *stale = b.read(1000);
        b.bench.bench.run_until_idle();
        EXPECT_EQ(fills->x.outcome, IOM_OUTCOME_ADDRESS);
        EXPECT_EQ(stale->x.outcome, IOM_OUTCOME_ADDRESS) << "nobody told the IOTLB";
        b.put(flush_domain_1, 0);
        b.put_wait(0xabcd);
        b.ring(2000);
        b.bench.bench.run_until_idle();
        EXPECT_EQ(b.status(), 0xabcdu);
        EXPECT_EQ(b.registers(IOM_VTD_IQH, 8), 32u);
        const iom_dma *refused = b.read(3000);
        b.bench.bench.run_until_idle();
        EXPECT_EQ(refused->x.outcome, IOM_OUTCOME_FAULT);
        const iom_fanout_stats &stats = *iom_fanout_stats_of(b.bench.iommu.fanout);
        EXPECT_EQ(stats.invalidations, 1u);
        EXPECT_EQ(stats.drains, 1u);
        EXPECT_GE(stats.removed, 1u);
        EXPECT_EQ(iom_command_queue_stats_of(b.bench.iommu.queue)->waits_completed, 1u);
    }
}

TEST(Iommu, register_based_invalidation_reaches_every_cache)
{
    for (iom_wiring wiring : {IOM_WIRING_FUSED, IOM_WIRING_CHAINED}) {
        CommandBench b(wiring);
        b.read(10);
        b.bench.bench.run_until_idle();
        b.bench.unmap(1, 0x1000, 12);
        const uint32_t iotlb = static_cast<uint32_t>(IOM_VTD_ECAP_IRO(b.registers(IOM_VTD_ECAP, 8))) * 16 + 8;
        b.write(1000, IOM_VTD_GCMD, 4, IOM_VTD_GCMD_TE); // queued invalidation off
        b.write(1001, iotlb, 8, uint64_t{1} << 63 | uint64_t{1} << 60);
        b.bench.bench.run_to(1003);
        EXPECT_NE(b.registers(iotlb, 8) >> 63, 0u) << "under way";
        b.bench.bench.run_until_idle();
        EXPECT_EQ(b.registers(iotlb, 8) >> 63, 0u);
        const iom_dma *refused = b.read(2000);
        b.bench.bench.run_until_idle();
        EXPECT_EQ(refused->x.outcome, IOM_OUTCOME_FAULT);
    }
}

// 6.5.2.11: the invalidation of a device that does not answer times out, pending waits are aborted, and
// nothing is fetched until software has cleared the condition.
TEST(Iommu, a_device_that_does_not_answer_aborts_the_wait)
{
    CommandBench b(IOM_WIRING_FUSED, 500);
    b.put(3 | uint64_t{nic} << 32, 0x1000);
    b.put_wait(1);
    b.ring(100);
    b.bench.bench.run_to(400);
    EXPECT_EQ(b.registers(IOM_VTD_FSTS, 4) & IOM_VTD_FSTS_ITE, 0u);
    b.bench.bench.run_until_idle();
    EXPECT_NE(b.registers(IOM_VTD_FSTS, 4) & IOM_VTD_FSTS_ITE, 0u);
    EXPECT_EQ(b.registers(IOM_VTD_IQERCD, 8) >> 32 & 0xffff, nic);
    EXPECT_EQ(b.registers(IOM_VTD_IQH, 8), 32u);
    EXPECT_EQ(b.status(), 0u);
    b.put_wait(2);
    b.ring(2000);
    b.bench.bench.run_until_idle();
    EXPECT_EQ(b.status(), 0u) << "stopped";
    b.write(3000, IOM_VTD_FSTS, 4, IOM_VTD_FSTS_ITE);
    b.bench.bench.run_until_idle();
    EXPECT_EQ(b.status(), 2u);
}

} // namespace
