// SPDX-License-Identifier: Apache-2.0
//
// The endpoint device between a generator and a responder of fixed latency: cycles of sending from closed
// formulas, limits, statistics, and independence of how often the unit is called.
#include <gtest/gtest.h>

#include <memory>
#include <tuple>

#include "tests/traffic/support/mock_responder.h"
#include "traffic/device.h"

using iommu_sim::test::Bench;
using iommu_sim::test::connect;
using iommu_sim::test::MockResponder;
using iommu_sim::test::SeenDma;

namespace
{

struct Deleter {
    void operator()(iom_device *device) const
    {
        iom_device_destroy(device);
    }
};
using Device = std::unique_ptr<iom_device, Deleter>;

iom_generator_config sequential()
{
    iom_generator_config config{};
    config.kind = IOM_GENERATOR_SEQUENTIAL;
    config.source = 0x0100;
    config.base_iova = 0x1000000;
    config.window_bytes = 1 << 20;
    config.request_bytes = 64;
    config.read_ppm = IOM_PPM;
    return config;
}

iom_generator_config nvme()
{
    auto config = sequential();
    config.kind = IOM_GENERATOR_NVME;
    config.request_bytes = 256;
    config.queue_depth = 1;
    config.block_bytes = 4096;
    config.read_ppm = 0;
    return config;
}

Device make(const iom_device_config &config, const iom_generator_config &traffic)
{
    Device device(iom_device_create(&config, iom_generator_create(&traffic, 1, "dev0", nullptr), "dev0"));
    EXPECT_NE(device, nullptr);
    return device;
}

/// Runs a device against a responder; request and answer take one cycle on the way each.
struct Rig {
    Rig(const iom_device_config &config, const iom_generator_config &traffic, iom_cycle latency,
        uint32_t depth = 0)
        : device(make(config, traffic)), responder("responder", 1, latency)
    {
        connect(iom_device_port(device.get()), responder.port(0), depth);
    }
    iom_run_end run(iom_cycle limit = 10000000)
    {
        Bench bench({iom_device_unit(device.get()), responder.unit()});
        return bench.run(limit);
    }
    const iom_device_stats &stats() const
    {
        return *iom_device_stats_of(device.get());
    }

    Device device;
    MockResponder responder;
};

TEST(Device, one_outstanding_request_takes_a_round_trip_each)
{
    iom_device_config config{};
    config.outstanding = 1;
    config.requests = 100;
    Rig run(config, sequential(), 38);
    EXPECT_EQ(run.run(), IOM_RUN_IDLE);
    ASSERT_EQ(run.responder.dma.size(), 100u);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT_EQ(run.responder.dma[i].at, 1 + 40u * i); // the next leaves in the cycle of the answer
        EXPECT_EQ(run.responder.dma[i].id, i);
        EXPECT_EQ(run.responder.dma[i].iova, 0x1000000u + 64 * i);
    }
    EXPECT_EQ(run.stats().latency.minimum, 40u);
    EXPECT_EQ(run.stats().latency.maximum, 40u);
    EXPECT_EQ(run.stats().most_outstanding, 1u);
    EXPECT_TRUE(iom_device_finished(run.device.get()));
}

TEST(Device, throughput_is_outstanding_requests_per_round_trip)
{
    for (const uint32_t outstanding : {1u, 2u, 7u, 39u, 40u, 41u, 100u}) {
        iom_device_config config{};
        config.outstanding = outstanding;
        config.requests = 1000;
        Rig run(config, sequential(), 38);
        run.run();
        // Request i leaves one cycle after the one before, but not before request i - outstanding is back.
        std::vector<iom_cycle> leaves;
        for (unsigned i = 0; i < 1000; i++) {
            iom_cycle cycle = i == 0 ? 0 : leaves[i - 1] + 1;
            if (i >= outstanding)
                cycle = std::max(cycle, leaves[i - outstanding] + 40);
            leaves.push_back(cycle);
            ASSERT_EQ(run.responder.dma.at(i).at, cycle + 1);
        }
        EXPECT_EQ(run.stats().most_outstanding, std::min(outstanding, 40u));
        EXPECT_LE(run.responder.most_in_flight, outstanding);
    }
}

TEST(Device, issue_interval_spaces_requests)
{
    iom_device_config config{};
    config.outstanding = 100;
    config.issue_interval = 7;
    config.requests = 50;
    Rig run(config, sequential(), 10);
    run.run();
    for (unsigned i = 0; i < 50; i++)
        EXPECT_EQ(run.responder.dma.at(i).at, 7u * i + 1);
}

TEST(Device, offered_load_is_exact)
{
    for (const auto &[requests, cycles, burst] : {std::tuple{1u, 1u, 1u},
                                                  {3u, 10u, 1u},
                                                  {37u, 1000u, 1u},
                                                  {999u, 1000u, 1u},
                                                  {50u, 1000u, 8u},
                                                  {333u, 1000u, 5u},
                                                  {1u, 100000u, 3u}}) {
        iom_device_config config{};
        config.outstanding = 1000;
        config.rate_requests = requests;
        config.rate_cycles = cycles;
        config.burst = burst;
        config.requests = 2000;
        config.start = 17;
        Rig run(config, sequential(), 5);
        run.run(IOM_NEVER - 1);
        iom_cycle before = 0;
        for (uint64_t k = 0; k < 2000; k++) {
            const iom_cycle due = 17 + (k / burst * burst) * cycles / requests;
            before = k == 0 ? due : std::max(due, before + 1);
            ASSERT_EQ(run.responder.dma.at(k).at, before + 1) << k << " of " << requests << " per " << cycles;
        }
    }
}

// Held up by a single slot for 1000 cycles per request, then free: the load on offer is caught up with.
TEST(Device, a_delayed_device_catches_up)
{
    iom_device_config config{};
    config.outstanding = 50;
    config.rate_requests = 1;
    config.rate_cycles = 10;
    config.requests = 200;
    Rig run(config, sequential(), 0);
    run.responder.latency_of = [&](const iom_msg &) -> iom_cycle {
        return run.responder.dma.size() < 60 ? 1000 : 4;
    };
    run.run();
    std::vector<iom_cycle> seen;
    for (const SeenDma &dma : run.responder.dma)
        seen.push_back(dma.at);
    EXPECT_EQ(seen[49], 1 + 49 * 10u);
    EXPECT_EQ(seen[50], 1002u + 1) << "all fifty places were taken";
    EXPECT_EQ(seen[199], 1 + 1990u) << "back on schedule";
}

TEST(Device, never_sends_without_credit)
{
    for (const uint32_t depth : {1u, 2u, 5u}) {
        iom_device_config config{};
        config.outstanding = 64;
        config.requests = 300;
        Rig run(config, sequential(), 20, depth);
        EXPECT_EQ(run.run(), IOM_RUN_IDLE); // sending without credit would stop at an assertion
        EXPECT_EQ(run.responder.dma.size(), 300u);
        EXPECT_LE(run.responder.most_in_flight, depth);
        // A slot is free again 20 cycles after arrival, the credit is there in that cycle.
        for (unsigned i = depth; i < 300; i++)
            EXPECT_EQ(run.responder.dma[i].at - run.responder.dma[i - depth].at, 21u);
    }
}

TEST(Device, clock_edges)
{
    iom_device_config config{};
    config.outstanding = 4;
    config.requests = 40;
    config.rate_requests = 1;
    config.rate_cycles = 2;
    Rig run(config, sequential(), 5);
    iom_unit *unit = iom_device_unit(run.device.get());
    unit->period = 3;
    unit->phase = 2;
    run.run();
    for (unsigned i = 0; i < 40; i++)
        EXPECT_EQ(run.responder.dma.at(i).at, 2 + 6u * i + 1);
    EXPECT_EQ(run.stats().latency.minimum, 9u); // 7 cycles, rounded up to the device's edge
}

TEST(Device, results_are_counted)
{
    iom_device_config config{};
    config.outstanding = 8;
    config.requests = 600;
    auto traffic = sequential();
    traffic.read_ppm = 500000;
    Rig run(config, traffic, 5);
    const iom_outcome outcomes[] = {IOM_OUTCOME_ADDRESS, IOM_OUTCOME_BYPASS, IOM_OUTCOME_INTERRUPT,
                                    IOM_OUTCOME_FAULT,   IOM_OUTCOME_DENIED, IOM_OUTCOME_ADDRESS};
    run.responder.judge = [&](const SeenDma &dma) { return outcomes[dma.id % 6]; };
    uint64_t total = 0;
    run.run();
    uint64_t reads = 0, read_bytes = 0, write_bytes = 0;
    for (const SeenDma &dma : run.responder.dma) {
        reads += !dma.write();
        const bool good = dma.id % 6 != 3 && dma.id % 6 != 4;
        (dma.write() ? write_bytes : read_bytes) += good ? dma.bytes : 0;
        total++;
    }
    EXPECT_EQ(total, 600u);
    const auto &stats = run.stats();
    EXPECT_EQ(stats.requests, 600u);
    EXPECT_EQ(stats.completed, 600u);
    EXPECT_EQ(stats.operations, 600u);
    EXPECT_EQ(stats.reads, reads);
    EXPECT_EQ(stats.writes, 600 - reads);
    EXPECT_EQ(stats.translated, 200u);
    EXPECT_EQ(stats.bypassed, 100u);
    EXPECT_EQ(stats.interrupts, 100u);
    EXPECT_EQ(stats.faults, 200u);
    EXPECT_EQ(stats.bytes_read, read_bytes);
    EXPECT_EQ(stats.bytes_written, write_bytes);
}

TEST(Device, hook_hears_of_every_completion)
{
    std::vector<uint64_t> totals;
    iom_device_config config{};
    config.outstanding = 3;
    config.requests = 30;
    config.on_completed = [](void *context, uint64_t total) {
        static_cast<std::vector<uint64_t> *>(context)->push_back(total);
    };
    config.on_completed_context = &totals;
    Rig run(config, sequential(), 5);
    run.run();
    ASSERT_EQ(totals.size(), 30u); // one answer a cycle
    EXPECT_EQ(totals.back(), 30u);
}

TEST(Device, waits_until_started)
{
    iom_device_config config{};
    config.outstanding = 2;
    config.requests = 10;
    config.start = IOM_NEVER;
    Rig run(config, sequential(), 5);
    Bench bench({iom_device_unit(run.device.get()), run.responder.unit()});
    EXPECT_EQ(bench.run(1000), IOM_RUN_IDLE);
    EXPECT_FALSE(iom_device_finished(run.device.get()));
    iom_device_start(run.device.get(), 5000);
    EXPECT_EQ(bench.run(), IOM_RUN_IDLE);
    EXPECT_EQ(run.responder.dma.at(0).at, 5001u);
    EXPECT_TRUE(iom_device_finished(run.device.get()));
}

TEST(Device, statistics_restart_and_limits_do_not)
{
    iom_device_config config{};
    config.outstanding = 1;
    config.requests = 20;
    Rig run(config, sequential(), 8);
    Bench bench({iom_device_unit(run.device.get()), run.responder.unit()});
    EXPECT_EQ(bench.run(95), IOM_RUN_LIMIT); // ten sent, nine back, at 10 cycles each
    iom_device_reset_stats(run.device.get());
    EXPECT_EQ(bench.run(), IOM_RUN_IDLE);
    EXPECT_EQ(run.responder.dma.size(), 20u);
    EXPECT_EQ(run.stats().requests, 10u);
    EXPECT_EQ(run.stats().completed, 11u);
    EXPECT_EQ(run.stats().most_outstanding, 1u);
}

// A 4 KiB NVMe read at queue depth 1: fetch, sixteen posted writes one a cycle, completion.
TEST(Device, nvme_command_latency)
{
    iom_device_config config{};
    config.outstanding = 32;
    config.operations = 10;
    auto traffic = nvme();
    traffic.media_latency_cycles = 500;
    constexpr uint64_t trip = 40;
    Rig run(config, traffic, trip - 2);
    EXPECT_EQ(run.run(), IOM_RUN_IDLE);
    const uint64_t command = trip + 500 + 15 + trip + trip;
    EXPECT_EQ(run.stats().operations_done, 10u);
    EXPECT_EQ(run.stats().operation_latency.minimum, command);
    EXPECT_EQ(run.stats().operation_latency.maximum, command);
    EXPECT_EQ(run.stats().payload_bytes, 10 * 4096u);
    EXPECT_EQ(run.stats().requests, 10 * 18u);
    EXPECT_EQ(run.responder.dma.back().at, 10 * command - trip + 1);
    EXPECT_TRUE(iom_device_finished(run.device.get()));

    traffic.posted_completion = true;
    Rig posted(config, traffic, trip - 2);
    posted.run();
    EXPECT_EQ(posted.stats().operation_latency.maximum, trip + 500 + 16 + trip);
}

TEST(Device, nvme_commands_in_flight_hide_the_media)
{
    iom_device_config config{};
    config.outstanding = 256;
    config.operations = 3200;
    auto traffic = nvme();
    traffic.queue_depth = 32;
    traffic.media_latency_cycles = 2000;
    Rig run(config, traffic, 38);
    run.run();
    // 32 commands per command time, which is 2000 cycles and the DMA: 18 requests each, far from the limit
    // of one a cycle.
    const double cycles = static_cast<double>(run.responder.dma.back().at);
    const double command = static_cast<double>(run.stats().operation_latency.sum) / 3200.0;
    EXPECT_NEAR(3200 / cycles, 32 / command, 0.01 * 32 / command);
    EXPECT_GT(command, 2000 + 15 + 120);
    EXPECT_LT(command, 2000 + 18 * 32 + 120);
}

TEST(Device, refused_commands_are_counted_and_the_device_goes_on)
{
    iom_device_config config{};
    config.outstanding = 8;
    config.operations = 30;
    Rig run(config, nvme(), 5);
    run.responder.judge = [](const SeenDma &dma) {
        return dma.bytes == 64 && dma.iova % 128 == 0 ? IOM_OUTCOME_FAULT : IOM_OUTCOME_ADDRESS;
    };
    EXPECT_EQ(run.run(), IOM_RUN_IDLE);
    EXPECT_EQ(run.stats().operations_done, 30u);
    EXPECT_EQ(run.stats().operations_aborted, 15u); // every other submission entry
    EXPECT_EQ(run.stats().payload_bytes, 15 * 4096u);
}

// Rule 6 and 7 of the architecture: calls with nothing due change nothing.
TEST(Device, spurious_calls_change_nothing)
{
    auto part_a = nvme(), part_b = sequential(), part_c = sequential();
    part_a.media_latency_cycles = 90;
    part_a.queue_depth = 3;
    part_c.kind = IOM_GENERATOR_NIC;
    part_c.base_iova = 0x2000000;
    part_c.ring_entries = 16;
    part_c.buffer_bytes = part_c.frame_bytes = 1024;
    part_c.read_ppm = 500000;
    const iom_generator_part parts[] = {{&part_a, 1}, {&part_b, 2}, {&part_c, 1}};
    iom_generator_config mixture{};
    mixture.kind = IOM_GENERATOR_MIXTURE;
    mixture.parts = parts;
    mixture.part_count = 3;
    iom_generator_config ops_only = mixture;
    ops_only.part_count = 1;
    for (const auto &traffic : {mixture, ops_only, part_c}) {
        for (const uint64_t rate : {0, 30}) {
            std::vector<std::vector<iom_cycle>> logs;
            for (const bool spurious : {false, true}) {
                iom_device_config config{};
                config.outstanding = 9;
                config.requests = 1500;
                config.rate_requests = rate;
                config.rate_cycles = 1000;
                Rig run(config, traffic, 33, 4);
                Bench bench({iom_device_unit(run.device.get()), run.responder.unit()});
                iom_rng rng;
                iom_rng_seed(&rng, 5, "spurious");
                for (iom_cycle cycle = 1; spurious && cycle < 40000; cycle += 1 + iom_rng_below(&rng, 3)) {
                    bench.run(cycle - 1);
                    iom_unit *unit = iom_device_unit(run.device.get());
                    iom_unit_wake(unit, cycle);
                }
                bench.run();
                logs.emplace_back();
                for (const SeenDma &dma : run.responder.dma) {
                    logs.back().push_back(dma.at);
                    logs.back().push_back(dma.iova);
                }
                EXPECT_EQ(run.responder.dma.size(), 1500u);
            }
            EXPECT_EQ(logs[0], logs[1]);
        }
    }
}

TEST(Device, unusable_configurations_are_refused)
{
    iom_device_config config{};
    EXPECT_NE(iom_device_config_error(&config), nullptr);
    config.outstanding = 1;
    EXPECT_EQ(iom_device_config_error(&config), nullptr);
    config.rate_requests = 5;
    EXPECT_NE(iom_device_config_error(&config), nullptr);
    const auto traffic = sequential();
    EXPECT_EQ(iom_device_create(&config, iom_generator_create(&traffic, 1, "x", nullptr), "x"), nullptr);
}

} // namespace
