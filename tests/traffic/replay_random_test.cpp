// SPDX-License-Identifier: Apache-2.0
//
// Replay of random traces: nothing lost, every DMA finds its page mapped by stores that memory has seen,
// unmaps never come before the last DMA; calls without need change nothing.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/traffic/replay_fixture.hpp"

using namespace replay_fixture;

namespace
{

/// A recording of a made-up run: operations overlap, pages are reused after they were unmapped, the driver
/// maps for itself, some operations have several pages.
void record_at_random(Trace &trace, uint64_t seed)
{
    std::mt19937_64 random(seed);
    struct Live {
        uint64_t op, page, pages, step;
    };
    std::vector<Live> live;
    std::set<uint64_t> free_pages;
    for (uint64_t page = 16; page < 200; page++)
        free_pages.insert(page);
    const auto take = [&](uint64_t pages) -> uint64_t {
        for (const uint64_t page : free_pages) {
            uint64_t run = 0;
            while (run < pages && free_pages.count(page + run) != 0)
                run++;
            if (run == pages) {
                for (uint64_t i = 0; i < pages; i++)
                    free_pages.erase(page + i);
                return page;
            }
        }
        return 0;
    };
    trace.attach(disk, 1);
    trace.attach(network, 1);
    trace.map(0, 0x1000, 2, IOM_TRACE_SYNTHETIC);
    uint64_t next_op = 1, own = 0, time = 0;
    while (next_op <= 60 || !live.empty()) {
        time += random() % 200;
        const uint64_t what = random() % 10;
        if (what < 2 && next_op <= 60 && live.size() < 6) {
            const uint64_t pages = 1 + random() % 3;
            const uint64_t page = take(pages);
            ASSERT_NE(page, 0u);
            live.push_back({next_op, page, pages, 0});
            trace.begin(next_op, time);
            trace.map(next_op, page * 4096, pages, 0, time);
            next_op++;
        } else if (what == 2) {
            if (own == 0) {
                own = take(1);
                trace.map(0, own * 4096, 1, 0, time);
            } else {
                for (unsigned i = 0; i < 3; i++)
                    trace.dma(0, own * 4096 + i * UINT64_C(64), 64, random() % 2, IOM_TRACE_DMA_OTHER, time,
                              network);
                trace.unmap(0, own * 4096, 1, time);
                free_pages.insert(own);
                own = 0;
            }
        } else if (!live.empty()) {
            const size_t pick = random() % live.size();
            Live &op = live[pick];
            if (op.step++ == 0) {
                trace.dma(op.op, 0x1000 + op.op % 64 * 64, 64, false, IOM_TRACE_DMA_RING, time);
            } else if (op.step < 6) {
                trace.dma(op.op, op.page * 4096 + random() % (op.pages * 4) * 1024, 1024, op.op % 2,
                          IOM_TRACE_DMA_DATA, time);
            } else {
                trace.dma(op.op, 0x2000 + op.op % 64 * 16, 16, true, IOM_TRACE_DMA_COMPLETION, time);
                trace.unmap(op.op, op.page * 4096, op.pages, time);
                trace.end(op.op, time);
                for (uint64_t i = 0; i < op.pages; i++)
                    free_pages.insert(op.page + i);
                live.erase(live.begin() + static_cast<long>(pick));
            }
        }
    }
    if (own != 0)
        trace.unmap(0, own * 4096, 1, time);
}

using Key = std::tuple<uint32_t, uint64_t, uint64_t, bool>;

TEST(Replay, random_traces_are_conserved_and_never_fault)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        for (const uint32_t depth : {1u, 6u, 40u}) {
            for (const auto mode : {IOM_REPLAY_CLOSED_LOOP, IOM_REPLAY_SCALED_TIME}) {
                Trace trace(6);
                record_at_random(trace, seed);
                iom_replay_config config{};
                config.mode = mode;
                config.queue_depth = depth;
                config.map_cycles = seed % 3 * 40;
                config.unmap_cycles = seed % 2 * 30;
                config.device_latency = seed * 50;
                config.outstanding = static_cast<uint32_t>(1 + seed % 5);
                Rig rig(trace, config, 18, 20 + seed * 7, seed % 2 ? 3 : 0);
                rig.judge_by_memory(18);
                ASSERT_TRUE(rig.prepare());
                ASSERT_EQ(rig.run(), IOM_RUN_IDLE) << "seed " << seed;
                ASSERT_TRUE(iom_replay_finished(rig.replay));
                ASSERT_EQ(iom_replay_error(rig.replay), nullptr);

                std::multiset<Key> recorded, replayed;
                uint64_t maps = 0, unmaps = 0, mapped = 0, unmapped = 0, read = 0, written = 0;
                for (const auto &r : trace.list) {
                    const bool write = (r.flags & IOM_TRACE_WRITE) != 0;
                    if (r.kind == IOM_TRACE_DMA) {
                        recorded.emplace(r.device, r.iova, r.bytes, write);
                        (write ? written : read) += r.bytes;
                    }
                    maps += r.kind == IOM_TRACE_MAP;
                    unmaps += r.kind == IOM_TRACE_UNMAP;
                    mapped += r.kind == IOM_TRACE_MAP ? r.bytes : 0;
                    unmapped += r.kind == IOM_TRACE_UNMAP ? r.bytes : 0;
                }
                for (const SeenDma &dma : rig.devices.dma)
                    replayed.emplace(dma.source, dma.iova, dma.bytes, dma.write());
                const auto &stats = rig.stats();
                EXPECT_EQ(replayed, recorded);
                EXPECT_EQ(stats.records, trace.list.size());
                EXPECT_EQ(stats.maps, maps);
                EXPECT_EQ(stats.unmaps, unmaps);
                EXPECT_EQ(stats.bytes_mapped, mapped);
                EXPECT_EQ(stats.bytes_unmapped, unmapped);
                EXPECT_EQ(stats.bytes_read, read);
                EXPECT_EQ(stats.bytes_written, written);
                EXPECT_EQ(stats.operations_done, 60u);
                EXPECT_EQ(stats.remaps, 0u);
                EXPECT_EQ(stats.stray_unmaps, 0u);
                EXPECT_LE(stats.most_outstanding, 2u * config.outstanding);
                if (stats.forced == 0) {
                    EXPECT_EQ(stats.faults, 0u) << "seed " << seed << " depth " << depth << " mode " << mode;
                }
                if (mode == IOM_REPLAY_CLOSED_LOOP) {
                    EXPECT_LE(stats.most_operations, depth);
                }
                if (depth >= 6) {
                    EXPECT_EQ(stats.forced, 0u);
                }
            }
        }
    }
}

TEST(Replay, spurious_calls_change_nothing)
{
    for (const auto mode : {IOM_REPLAY_CLOSED_LOOP, IOM_REPLAY_SCALED_TIME}) {
        std::vector<std::pair<Log, Log>> logs;
        for (const bool spurious : {false, true}) {
            Trace trace(6);
            record_at_random(trace, 5);
            iom_replay_config config{};
            config.mode = mode;
            config.map_cycles = 30;
            config.device_latency = 111;
            Rig rig(trace, config, 18, 38, 2);
            ASSERT_TRUE(rig.prepare());
            iom_rng rng;
            iom_rng_seed(&rng, 5, "spurious");
            for (iom_cycle cycle = 1; spurious && cycle < 60000; cycle += 1 + iom_rng_below(&rng, 3)) {
                rig.run(cycle - 1);
                iom_unit_wake(iom_replay_unit(rig.replay), cycle);
            }
            rig.run();
            logs.emplace_back(dma_log(rig), store_log(rig));
        }
        EXPECT_EQ(logs[0], logs[1]);
    }
}

} // namespace
