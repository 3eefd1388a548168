// SPDX-License-Identifier: Apache-2.0
//
// The host under everything at once: random programs of several threads give the same result whatever the
// order of units in a cycle and however often the unit is evaluated (unit rules); the tables end as they
// must, and no address is owned twice.
#include <set>
#include <tuple>

#include "core/rng.h"
#include "core/tracker.h"
#include "tests/traffic/host_fixture.hpp"

using namespace iommu_sim::test;

namespace
{

enum class Way { plain, shuffled, spurious };

class Order : public HostBench, public ::testing::WithParamInterface<uint64_t>
{
  protected:
    static constexpr size_t threads = 4;

    void set_up(uint64_t seed)
    {
        iom_rng rng;
        iom_rng_seed(&rng, seed, "order");
        const auto below = [&](uint64_t bound) { return static_cast<uint32_t>(iom_rng_below(&rng, bound)); };
        config.check_errors = below(2) != 0;
        config.coherent = below(2) != 0;
        config.caching_mode = below(4) == 0;
        config.slot_count = threads * 4;
        config.lock_count = 1;
        config.costs = {below(3), below(20), below(20), below(20), below(5), below(3), below(5),
                        below(4), below(4),  below(9),  below(4),  below(5), below(5), 0};
        device(0x10, true);
        const iom_flush_mode modes[] = {IOM_FLUSH_STRICT, IOM_FLUSH_LAZY_PER_CPU, IOM_FLUSH_LAZY_SINGLE};
        domain(1, false, modes[below(3)], 8, 400 + below(3000));
        for (size_t thread = 0; thread < threads; thread++) {
            for (uint32_t i = 0; i < 25; i++)
                random_operations(thread, below);
        }
        hardware().command_cycles = 1 + below(60);
    }

    template <typename Below> void random_operations(size_t thread, const Below &below)
    {
        const auto slot = static_cast<uint32_t>(thread * 4 + below(4));
        iom_host_op *map = add(thread, IOM_HOST_MAP);
        map->domain = 1;
        map->bytes = (1 + below(3)) * 0x1000u;
        map->address = 0x2000000 + below(1000) * 0x1000u;
        map->slot = slot;
        delay(thread, below(50));
        iom_host_op *request = add(thread, IOM_HOST_REQUEST);
        request->slot = slot;
        request->bytes = 64;
        request->flags = below(2) != 0 ? IOM_REQ_WRITE : 0;
        add(thread, IOM_HOST_AWAIT_REQUESTS);
        iom_host_op *unmap = add(thread, IOM_HOST_UNMAP);
        unmap->domain = 1;
        unmap->slot = slot;
        unmap->tag = 1;
        if (below(4) == 0)
            unmap->options = IOM_HOST_LOCKED;
    }

    using Trace = std::vector<std::tuple<int, uint32_t, uint32_t, iom_cycle, iom_cycle, uint64_t>>;
    Trace trace() const
    {
        Trace seen_so_far;
        for (const SeenReport &seen : reports)
            seen_so_far.emplace_back(seen.kind, seen.thread, seen.op, seen.begun, seen.ended, seen.iova);
        return seen_so_far;
    }

    void carry_out(Way way)
    {
        ASSERT_TRUE(create());
        ASSERT_EQ(iom_host_prepare_attach(host, image, 0, IOM_NO_PASID, 1), IOM_MAPPER_OK);
        run(0);
        iom_rng shuffle;
        iom_rng_seed(&shuffle, 99, "shuffle");
        if (way == Way::shuffled)
            bench->group.shuffle = &shuffle;
        if (way == Way::spurious) {
            iom_unit *unit = iom_host_unit(host);
            for (iom_cycle cycle = 1; iom_group_next_event(&bench->group) != IOM_NEVER; cycle++) {
                run(cycle);
                const iom_cycle next = unit->ops->advance(unit, cycle);
                if (next != IOM_NEVER)
                    iom_unit_wake(unit, next);
            }
        }
        EXPECT_EQ(run(), IOM_RUN_IDLE);
        EXPECT_EQ(iom_host_error(host), nullptr);
    }
};

TEST_P(Order, does_not_matter)
{
    Trace expected;
    for (Way way : {Way::plain, Way::shuffled, Way::spurious}) {
        // A fresh bench for each way.
        bench.reset();
        iom_host_destroy(host);
        host = nullptr;
        iom_mapper_destroy(mapper);
        mapper = nullptr;
        iom_memory_destroy(memory);
        memory = nullptr;
        toy.reset();
        tables = {};
        programs.clear();
        devices.clear();
        domains.clear();
        reports.clear();
        set_up(GetParam());
        carry_out(way);
        if (way == Way::plain)
            expected = trace();
        else
            EXPECT_EQ(trace(), expected) << static_cast<int>(way);
        EXPECT_EQ(tables.pages.size(), 0u);
        EXPECT_EQ(iom_host_pending(host), 0u);
    }
    EXPECT_GE(expected.size(), 3u * 25 * threads);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Order, ::testing::Range<uint64_t>(1, 13));

// Between a map and the end of the next flush after its unmap nobody gets the address. (That the flush must
// have begun after the unmap is tested in flush_queue_test.cpp.)
TEST_F(HostBench, addresses_are_owned_once)
{
    device(0x10);
    domain(1, false, IOM_FLUSH_LAZY_PER_CPU, 8, 900);
    config.slot_count = 3;
    for (size_t thread = 0; thread < 3; thread++) {
        add(thread, IOM_HOST_REPEAT)->count = 60;
        iom_host_op *map = add(thread, IOM_HOST_MAP);
        map->domain = 1;
        map->bytes = 0x1000;
        map->slot = static_cast<uint32_t>(thread);
        delay(thread, 13 * (thread + 1));
        iom_host_op *unmap = add(thread, IOM_HOST_UNMAP);
        unmap->domain = 1;
        unmap->slot = static_cast<uint32_t>(thread);
        add(thread, IOM_HOST_END);
    }
    ASSERT_TRUE(create());
    ASSERT_EQ(iom_host_prepare_attach(host, image, 0, IOM_NO_PASID, 1), IOM_MAPPER_OK);
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    // Replay of the reports: an unmapped address stays away until a flush has ended.
    std::set<uint64_t> held;
    std::map<uint64_t, iom_cycle> queued;
    for (const SeenReport &seen : reports) {
        if (seen.kind == IOM_HOST_REPORT_FLUSH) {
            for (auto it = queued.begin(); it != queued.end();)
                it = it->second <= seen.ended ? queued.erase(it) : std::next(it);
            continue;
        }
        if (programs[seen.thread][seen.op].kind == IOM_HOST_MAP) {
            EXPECT_TRUE(held.insert(seen.iova).second) << std::hex << seen.iova;
            EXPECT_EQ(queued.count(seen.iova), 0u) << std::hex << seen.iova;
        } else {
            EXPECT_EQ(held.erase(seen.iova), 1u);
            queued[seen.iova] = seen.ended;
        }
    }
    EXPECT_GT(iom_host_stats_of(host)->queue_flushes_full, 3u);
}

} // namespace
