// SPDX-License-Identifier: Apache-2.0
//
// Paging-structure caches (core/psc.h): the deepest entry wins, levels asked, what an invalidation takes
// along, and the same as a unit of its own.
#include <gtest/gtest.h>

#include "core/psc.h"
#include "tests/core/support/bench.h"

namespace
{

constexpr uint64_t address = 0x0000123456789000;

iom_cache_config cache(uint32_t entries)
{
    iom_cache_config config = {};
    config.entries = config.ways = entries;
    config.policy = IOM_POLICY_LRU;
    config.prefer_invalid = true;
    config.match = IOM_TAG_ADDRESS | IOM_TAG_DOMAIN;
    config.payload_bytes = sizeof(iom_psc_entry);
    return config;
}

iom_psc_config all_levels()
{
    iom_psc_config config = {};
    for (auto &stage : config.cache) {
        for (int level = 2; level <= 5; level++)
            stage[level] = cache(4);
    }
    return config;
}

unsigned span(unsigned level)
{
    return 12 + 9 * (level - 1);
}

iom_psc_fill fill_of(uint8_t stage, uint8_t level, uint32_t domain, uint64_t table)
{
    iom_psc_fill fill = {};
    fill.valid = true;
    fill.stage = stage;
    fill.level = level;
    fill.tag.address = iom_align_down(address, span(level));
    fill.tag.size_log2 = static_cast<uint8_t>(span(level));
    fill.tag.domain = domain;
    fill.entry.table = table;
    return fill;
}

iom_psc_probe probe_of(uint8_t stage, uint64_t at, uint32_t domain, uint8_t lowest = 2, uint8_t highest = 5)
{
    iom_psc_probe probe = {};
    probe.stage = stage;
    probe.key.address = at;
    probe.key.domain = domain;
    probe.lowest = lowest;
    probe.highest = highest;
    probe.hit_level = 99;
    return probe;
}

class Psc : public testing::Test
{
  protected:
    Psc()
    {
        const iom_psc_config config = all_levels();
        psc = iom_psc_create(&config, "psc");
    }
    ~Psc() override
    {
        iom_psc_destroy(psc);
    }
    uint8_t hit(const iom_psc_probe &asked, uint64_t *table = nullptr)
    {
        iom_psc_probe probe = asked;
        iom_psc_look_up(psc, ++now, &probe);
        if (table != nullptr)
            *table = probe.entry.table;
        return probe.hit_level;
    }
    void insert(const iom_psc_fill &fill)
    {
        iom_psc_insert(psc, ++now, &fill);
    }
    uint64_t stat(const char *name)
    {
        iom_stat_block block = {};
        EXPECT_TRUE(iom_psc_stat_block(psc, &block));
        for (uint32_t i = 0; i < block.count; i++) {
            if (std::string(block.infos[i].name) == name)
                return *reinterpret_cast<const uint64_t *>(static_cast<const char *>(block.values) +
                                                           block.infos[i].offset);
        }
        ADD_FAILURE() << name;
        return 0;
    }
    iom_psc *psc;
    iom_cycle now = 10;
};

TEST_F(Psc, the_lowest_level_that_is_there_wins)
{
    EXPECT_EQ(hit(probe_of(2, address, 1)), 0u);
    for (uint8_t level = 5; level >= 2; level--) {
        insert(fill_of(2, level, 1, uint64_t{0x1000} * level));
        uint64_t table = 0;
        EXPECT_EQ(hit(probe_of(2, address, 1), &table), level);
        EXPECT_EQ(table, uint64_t{0x1000} * level);
    }
    EXPECT_EQ(stat("lookups"), 5u);
    EXPECT_EQ(stat("misses"), 1u);
    EXPECT_EQ(stat("hits_level2"), 1u);
    EXPECT_EQ(stat("hits_level3"), 1u);
    EXPECT_EQ(stat("hits_level4"), 1u);
    EXPECT_EQ(stat("hits_level5"), 1u);
    EXPECT_EQ(stat("fills"), 4u);
}

TEST_F(Psc, only_the_levels_asked_for_are_looked_up)
{
    for (uint8_t level = 2; level <= 5; level++)
        insert(fill_of(1, level, 1, uint64_t{0x1000} * level));
    EXPECT_EQ(hit(probe_of(1, address, 1, 3, 5)), 3u);
    EXPECT_EQ(hit(probe_of(1, address, 1, 4, 4)), 4u);
    EXPECT_EQ(hit(probe_of(1, address, 1, 2, 3)), 2u);
}

TEST_F(Psc, stages_domains_and_addresses_are_apart)
{
    insert(fill_of(2, 2, 1, 0x1000));
    EXPECT_EQ(hit(probe_of(1, address, 1)), 0u);
    EXPECT_EQ(hit(probe_of(2, address, 2)), 0u);
    EXPECT_EQ(hit(probe_of(2, address ^ 0x1fffff, 1)), 2u) << "the same 2 MiB";
    EXPECT_EQ(hit(probe_of(2, address ^ 0x200000, 1)), 0u);
}

// Rule 4 of the units: seen from the next cycle on.
TEST_F(Psc, a_fill_hits_from_the_next_cycle)
{
    const iom_psc_fill fill = fill_of(2, 3, 1, 0x1000);
    iom_psc_probe probe = probe_of(2, address, 1);
    iom_psc_insert(psc, 50, &fill);
    iom_psc_look_up(psc, 50, &probe);
    EXPECT_EQ(probe.hit_level, 0u);
    iom_psc_look_up(psc, 51, &probe);
    EXPECT_EQ(probe.hit_level, 3u);
    now = 60;
}

TEST_F(Psc, an_invalidation_takes_every_entry_on_the_way_to_the_page)
{
    for (uint8_t level = 2; level <= 5; level++) {
        insert(fill_of(2, level, 1, uint64_t{0x1000} * level));
        insert(fill_of(2, level, 2, uint64_t{0x1000} * level));
    }
    iom_invalidation invalidation = {};
    invalidation.parts = 1;
    invalidation.part[0].targets = IOM_INVALIDATE_PSC;
    iom_cache_match &match = invalidation.part[0].match;
    match.fields = IOM_TAG_ADDRESS | IOM_TAG_DOMAIN;
    match.tag.domain = 1;
    match.first = address;
    match.last = address + 0xfff;
    iom_psc_invalidate(psc, ++now, &invalidation);
    EXPECT_EQ(hit(probe_of(2, address, 1)), 0u);
    EXPECT_EQ(hit(probe_of(2, address, 2)), 2u);
    EXPECT_EQ(stat("invalidated"), 4u);
    iom_psc_invalidate_all(psc, ++now);
    EXPECT_EQ(hit(probe_of(2, address, 2)), 0u);
    EXPECT_EQ(stat("invalidated"), 8u);
}

// Counters include what the last cycle did, without another operation after it.
TEST_F(Psc, statistics_include_the_last_cycle)
{
    insert(fill_of(2, 2, 1, 0x1000));
    EXPECT_EQ(stat("fills"), 1u);
    iom_psc_invalidate_all(psc, ++now);
    EXPECT_EQ(stat("invalidated"), 1u);
    iom_psc_reset_stats(psc);
    EXPECT_EQ(stat("fills") + stat("invalidated"), 0u);
}

TEST(PscPresence, is_by_stage)
{
    iom_psc_config config = {};
    config.cache[1][3] = cache(4);
    iom_psc *psc = iom_psc_create(&config, "psc");
    EXPECT_FALSE(iom_psc_present(psc, 1));
    EXPECT_TRUE(iom_psc_present(psc, 2));
    EXPECT_EQ(iom_psc_cache(psc, 2, 2), nullptr);
    EXPECT_NE(iom_psc_cache(psc, 2, 3), nullptr);
    // A level that is not there neither hits nor takes anything.
    const iom_psc_fill fill = fill_of(2, 2, 1, 0x1000);
    iom_psc_insert(psc, 10, &fill);
    iom_psc_probe probe = probe_of(2, address, 1);
    iom_psc_look_up(psc, 20, &probe);
    EXPECT_EQ(probe.hit_level, 0u);
    iom_psc_destroy(psc);
}

// ---- as a unit ----------------------------------------------------------------------------------------

TEST(PscUnit, answers_probes_after_its_latency_at_its_pace)
{
    iom_psc_config config = all_levels();
    config.latency_cycles = 4;
    iom_psc_unit *unit = iom_psc_unit_create(&config, 2, "psc");
    bench::ScriptUnit walker("walker", 1, 0);
    iom_pool walks, fills;
    iom_pool_init(&walks, IOM_MSG_WALK, sizeof(iom_walk));
    iom_pool_init(&fills, IOM_MSG_PROBE, sizeof(iom_psc_fill_message));
    {
        bench::Bench b;
        b.add(walker.unit());
        b.add(iom_psc_unit_unit(unit));
        b.connect(walker.port(0), iom_psc_unit_input(unit), {1, 1, 1, 0});
        b.start();
        auto *fill = static_cast<iom_psc_fill_message *>(iom_pool_take(&fills));
        fill->fill = fill_of(2, 3, 1, 0x7000);
        walker.send_at(8, 0, &fill->msg); // arrives in 9, hit from 10 on
        for (int i = 0; i < 5; i++) {
            auto *walk = static_cast<iom_walk *>(iom_pool_take(&walks));
            walk->action = IOM_WALK_PROBE;
            walk->probe = probe_of(2, address, 1);
            walker.send_at(i == 0 ? 8 : 99, 0, &walk->msg);
        }
        b.run_until_idle();
        ASSERT_EQ(walker.arrivals.size(), 5u);
        const auto result = [&](size_t i) {
            return reinterpret_cast<const iom_walk *>(walker.arrivals[i].msg)->probe.hit_level;
        };
        EXPECT_EQ(walker.arrivals[0].cycle, 9u + 4 + 1);
        EXPECT_EQ(result(0), 0u) << "the fill of its own cycle";
        for (size_t i = 1; i < 5; i++) {
            EXPECT_EQ(walker.arrivals[i].cycle, 100 + (i - 1) / 2 + 4 + 1);
            EXPECT_EQ(result(i), 3u);
        }
        EXPECT_EQ(fills.in_use, 0u) << "fills are not answered";
    }
    iom_psc_unit_destroy(unit);
    iom_pool_free(&walks);
    iom_pool_free(&fills);
}

/// The unit between a walker and a source of control messages. Connections take one cycle each way.
struct UnitBench {
    explicit UnitBench(const iom_psc_config &config)
        : unit(iom_psc_unit_create(&config, 2, "psc")), world("world", 2, 0)
    {
        iom_pool_init(&walks, IOM_MSG_WALK, sizeof(iom_walk));
        iom_pool_init(&fills, IOM_MSG_PROBE, sizeof(iom_psc_fill_message));
        iom_pool_init(&controls, IOM_MSG_CONTROL, sizeof(iom_control));
        bench.add(world.unit());
        bench.add(iom_psc_unit_unit(unit));
        bench.connect(world.port(0), iom_psc_unit_input(unit), {1, 1, 1, 0});
        bench.connect(world.port(1), iom_psc_unit_control(unit), {1, 1, 1, 0});
        bench.start();
    }
    ~UnitBench()
    {
        bench.close();
        iom_psc_unit_destroy(unit);
        iom_pool_free(&walks);
        iom_pool_free(&fills);
        iom_pool_free(&controls);
    }
    UnitBench(const UnitBench &) = delete;
    UnitBench &operator=(const UnitBench &) = delete;
    // Arrivals are those at the unit.
    iom_walk *probe(iom_cycle arrival)
    {
        auto *walk = static_cast<iom_walk *>(iom_pool_take(&walks));
        walk->action = IOM_WALK_PROBE;
        walk->probe = probe_of(2, address, 1);
        world.send_at(arrival - 1, 0, &walk->msg);
        return walk;
    }
    void fill(iom_cycle arrival, iom_cycle decided)
    {
        auto *message = static_cast<iom_psc_fill_message *>(iom_pool_take(&fills));
        message->fill = fill_of(2, 3, 1, 0x7000);
        message->decided = decided;
        world.send_at(arrival - 1, 0, &message->msg);
    }
    iom_control *invalidate(iom_cycle arrival)
    {
        auto *message = static_cast<iom_control *>(iom_pool_take(&controls));
        message->op = IOM_CONTROL_INVALIDATE;
        message->invalidation = iom_invalidation{};
        message->invalidation.parts = 1;
        message->invalidation.part[0].targets = IOM_INVALIDATE_PSC;
        message->removed = 99;
        world.send_at(arrival - 1, 1, &message->msg);
        return message;
    }
    iom_cycle back(const iom_msg *msg) const
    {
        for (const auto &arrival : world.arrivals) {
            if (arrival.msg == msg)
                return arrival.cycle;
        }
        return IOM_NEVER;
    }
    const iom_psc_stats &stats()
    {
        iom_stat_block block;
        iom_psc_stat_block(iom_psc_unit_psc(unit), &block);
        return *static_cast<const iom_psc_stats *>(block.values);
    }

    iom_psc_unit *unit;
    bench::Bench bench;
    bench::ScriptUnit world;
    iom_pool walks, fills, controls;
};

iom_psc_config scanned(bool blocking)
{
    iom_psc_config config = all_levels(); // 4 entries a level
    config.latency_cycles = 4;
    config.invalidate.method = IOM_INVALIDATE_SCAN;
    config.invalidate.entries_per_cycle = 1;
    config.invalidate.blocking = blocking;
    return config;
}

TEST(PscUnit, an_invalidation_takes_as_long_as_its_largest_level)
{
    iom_psc_config config = scanned(false);
    config.cache[0][4] = cache(6);
    UnitBench b(config);
    b.fill(50, 50);
    const iom_control *control = b.invalidate(100); // 100 to 105
    const iom_walk *hit = b.probe(105), *miss = b.probe(106);
    b.bench.run_until_idle();
    EXPECT_EQ(b.back(&control->msg), 105u + 1);
    EXPECT_EQ(control->removed, 1u);
    EXPECT_EQ(hit->probe.hit_level, 3u);
    EXPECT_EQ(miss->probe.hit_level, 0u);
    EXPECT_EQ(b.stats().invalidate_cycles, 6u);
}

TEST(PscUnit, blocking_caches_answer_when_the_invalidation_is_over)
{
    UnitBench b(scanned(true));
    b.fill(50, 50);
    b.invalidate(100); // 100 to 103
    const iom_walk *before = b.probe(99), *during = b.probe(101);
    b.bench.run_until_idle();
    EXPECT_EQ(b.back(&before->msg), 99u + 4 + 1);
    EXPECT_EQ(b.back(&during->msg), 104u + 4 + 1);
    EXPECT_EQ(before->probe.hit_level, 3u);
    EXPECT_EQ(during->probe.hit_level, 0u);
    EXPECT_EQ(b.stats().blocked_cycles, 4u);
}

// The walker decided to fill before it knew of the invalidation; the fill arrives behind it.
TEST(PscUnit, a_fill_overtaken_by_an_invalidation_is_dropped)
{
    for (iom_cycle decided : {iom_cycle{102}, iom_cycle{103}, iom_cycle{104}, IOM_NEVER}) {
        UnitBench b(scanned(false));
        b.invalidate(100); // applied at the end of 103
        b.fill(106, decided);
        const iom_walk *walk = b.probe(120);
        b.bench.run_until_idle();
        EXPECT_EQ(walk->probe.hit_level, decided <= 103 ? 0u : 3u) << decided;
        EXPECT_EQ(b.stats().late_fills, decided <= 103 ? 1u : 0u);
        EXPECT_EQ(b.fills.in_use, 0u);
    }
}

} // namespace
