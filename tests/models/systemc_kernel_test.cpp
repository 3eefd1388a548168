// SPDX-License-Identifier: Apache-2.0
//
// The SystemC kernel against the core kernel: the same netlist must give every unit the same messages in
// the same cycles whatever the kernel, the partition into modules, the evaluation order inside a cycle
// and spurious advances (architecture, rules 1 to 8). Every SystemC run is a child process.
#include <gtest/gtest.h>

#include <sstream>

#include "models/systemc/systemc_kernel.h"
#include "tests/models/support/child_process.h"
#include "tests/models/support/toy_units.h"

namespace
{

using iommu_sim::CoreKernel;
using iommu_sim::Kernel;
using iommu_sim::Partition;
using iommu_sim::SystemcKernel;

/// What a run leaves behind.
struct Trace {
    iom_run_end end;
    iom_cycle now, next;
    uint64_t outstanding;
    std::vector<std::vector<toy::LogEntry>> logs;
};

Trace trace_of(Kernel &kernel, const toy::System &system, iom_run_end end)
{
    return {end, kernel.now(), kernel.next_event(), kernel.outstanding(), system.logs()};
}

std::string difference(const toy::System &system, const Trace &expected, const Trace &found)
{
    std::ostringstream text;
    for (size_t u = 0; u < expected.logs.size(); u++) {
        const auto &a = expected.logs[u], &b = found.logs[u];
        for (size_t i = 0; i < a.size() || i < b.size(); i++) {
            if (i < a.size() && i < b.size() && a[i] == b[i])
                continue;
            text << system.units[u]->unit().name << " entry " << i << ": expected ";
            i < a.size() ? text << a[i] : text << "nothing";
            text << ", found ";
            i < b.size() ? text << b[i] : text << "nothing";
            return text.str();
        }
    }
    if (expected.end != found.end || expected.now != found.now || expected.next != found.next ||
        expected.outstanding != found.outstanding)
        text << "end " << expected.end << ' ' << found.end << ", now " << expected.now << ' ' << found.now
             << ", next " << expected.next << ' ' << found.next << ", outstanding " << expected.outstanding
             << ' ' << found.outstanding;
    return text.str();
}

// Random sets; what partition_by_unit keeps together stays together.
Partition random_partition(const iom_netlist &netlist, uint64_t seed)
{
    iom_rng rng;
    iom_rng_seed(&rng, seed, "partition");
    Partition together = iommu_sim::partition_by_unit(netlist);
    std::vector<int> sets(together.size());
    for (int &set : sets)
        set = static_cast<int>(iom_rng_below(&rng, 3));
    for (int &set : together)
        set = sets[static_cast<size_t>(set)];
    return together;
}

Partition partition(const iom_netlist &netlist, int style, uint64_t seed)
{
    switch (style) {
    case 0:
        return iommu_sim::partition_by_unit(netlist);
    case 1:
        return iommu_sim::partition_into(netlist, 3);
    case 2:
        return iommu_sim::partition_into(netlist, 1);
    default:
        return random_partition(netlist, seed);
    }
}

constexpr int partition_styles = 4;

Trace run_core(uint64_t seed, const toy::RandomOptions &options)
{
    auto system = toy::random_system(seed, options);
    CoreKernel kernel(system->netlist);
    iom_run_end end = kernel.run(IOM_NEVER, nullptr);
    return trace_of(kernel, *system, end);
}

// In a child: empty if the SystemC run equals `expected`.
std::string compare_systemc(uint64_t seed, const toy::RandomOptions &options, int style, bool shuffle,
                            uint64_t tick_ps, const Trace &expected)
{
    auto system = toy::random_system(seed, options);
    SystemcKernel kernel(system->netlist, partition(system->netlist, style, seed), tick_ps);
    if (shuffle)
        kernel.shuffle(seed);
    iom_run_end end = kernel.run(IOM_NEVER, nullptr);
    if (kernel.payloads_in_use() != 0)
        return "payloads leaked";
    return difference(*system, expected, trace_of(kernel, *system, end));
}

// A run in which nothing happened would prove nothing.
void expect_busy(const Trace &trace, const toy::RandomOptions &options)
{
    EXPECT_EQ(trace.end, IOM_RUN_IDLE);
    EXPECT_EQ(trace.outstanding, 0u);
    EXPECT_GE(trace.logs[0].size(), 2 * options.requests);
}

void expect_all_partitions_equal(uint64_t first_seed, uint64_t seeds, const toy::RandomOptions &options,
                                 bool shuffle, uint64_t tick_ps)
{
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        Trace expected = run_core(seed, options);
        expect_busy(expected, options);
        for (int style = 0; style < partition_styles; style++) {
            SCOPED_TRACE("seed " + std::to_string(seed) + " style " + std::to_string(style));
            EXPECT_EQ(
                in_child([&] { return compare_systemc(seed, options, style, shuffle, tick_ps, expected); }),
                "");
        }
    }
}

TEST(SystemcKernel, random_netlists_and_partitions_equal_the_core_kernel)
{
    expect_all_partitions_equal(0, 20, {}, false, 1000);
}

TEST(SystemcKernel, far_latencies_equal_the_core_kernel)
{
    toy::RandomOptions options;
    options.far_latency = true;
    options.requests = 60;
    expect_all_partitions_equal(100, 8, options, false, 250);
}

TEST(SystemcKernel, the_order_inside_a_cycle_does_not_matter)
{
    expect_all_partitions_equal(200, 8, {}, true, 1000);
}

TEST(SystemcKernel, a_tick_of_one_picosecond_works)
{
    expect_all_partitions_equal(300, 2, {}, false, 1);
}

TEST(CoreKernel, the_order_inside_a_cycle_does_not_matter)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        SCOPED_TRACE(seed);
        toy::RandomOptions options;
        options.far_latency = seed % 2 != 0;
        Trace expected = run_core(seed, options);
        expect_busy(expected, options);
        auto system = toy::random_system(seed, options);
        CoreKernel kernel(system->netlist);
        kernel.shuffle(seed + 1);
        iom_run_end end = kernel.run(IOM_NEVER, nullptr);
        EXPECT_EQ(difference(*system, expected, trace_of(kernel, *system, end)), "");
    }
}

// Logs of the units that exist with and without noise.
Trace without_noise_unit(Trace trace, size_t units)
{
    trace.logs.resize(units);
    return trace;
}

TEST(CoreKernel, spurious_advances_change_nothing)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        SCOPED_TRACE(seed);
        toy::RandomOptions options;
        Trace expected = run_core(seed, options);
        options.noise_calls = 500;
        Trace noisy = run_core(seed, options);
        EXPECT_EQ(noisy.logs.size(), expected.logs.size() + 1);
        EXPECT_EQ(without_noise_unit(noisy, expected.logs.size()).logs, expected.logs);
    }
}

TEST(SystemcKernel, spurious_advances_change_nothing)
{
    toy::RandomOptions options;
    options.noise_calls = 500;
    expect_all_partitions_equal(400, 6, options, true, 1000);
}

// Runs both kernels side by side in segments; empty if they agree after every one.
std::string compare_segments(uint64_t seed, int style)
{
    auto core_system = toy::random_system(seed, {});
    auto system = toy::random_system(seed, {});
    CoreKernel core(core_system->netlist);
    SystemcKernel kernel(system->netlist, partition(system->netlist, style, seed), 1000);
    iom_rng rng;
    iom_rng_seed(&rng, seed, "segments");
    iom_cycle limit = 0;
    for (unsigned segment = 0; segment < 100; segment++) {
        iom_run_end core_end = core.run(limit, nullptr);
        iom_run_end end = kernel.run(limit, nullptr);
        std::string text =
            difference(*system, trace_of(core, *core_system, core_end), trace_of(kernel, *system, end));
        if (!text.empty())
            return "segment " + std::to_string(segment) + " limit " + std::to_string(limit) + ": " + text;
        if (end == IOM_RUN_IDLE) {
            // Work from outside, between two runs.
            if (segment < 20)
                return "idle too early to test anything";
            dynamic_cast<toy::Producer &>(*core_system->units[0]).send_more(10, core.now());
            dynamic_cast<toy::Producer &>(*system->units[0]).send_more(10, kernel.now());
        }
        limit += iom_rng_below(&rng, 60);
    }
    return "";
}

TEST(SystemcKernel, a_run_can_be_continued_in_segments)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        SCOPED_TRACE(seed);
        int style = static_cast<int>(seed % partition_styles);
        EXPECT_EQ(in_child([&] { return compare_segments(seed, style); }), "");
    }
}

// Stops when the producer has got `count` responses, then goes on to the end.
template <typename MakeKernel>
std::vector<Trace> run_with_stop(uint64_t seed, uint64_t count, MakeKernel make)
{
    auto system = toy::random_system(seed, {});
    bool stop = false;
    dynamic_cast<toy::Producer &>(*system->units[0]).stop_after(count, &stop);
    std::unique_ptr<Kernel> kernel = make(system->netlist);
    std::vector<Trace> traces;
    iom_run_end end = kernel->run(IOM_NEVER, &stop);
    traces.push_back(trace_of(*kernel, *system, end));
    stop = false;
    end = kernel->run(IOM_NEVER, &stop);
    traces.push_back(trace_of(*kernel, *system, end));
    return traces;
}

TEST(SystemcKernel, a_stop_finishes_the_cycle_and_the_run_goes_on)
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        SCOPED_TRACE(seed);
        uint64_t count = 20 + seed * 7;
        auto core =
            run_with_stop(seed, count, [](const iom_netlist &n) { return std::make_unique<CoreKernel>(n); });
        ASSERT_EQ(core[0].end, IOM_RUN_STOPPED);
        ASSERT_EQ(core[1].end, IOM_RUN_IDLE);
        EXPECT_EQ(core[0].logs[0].back().cycle, core[0].now);
        std::string text = in_child([&] {
            auto systemc = run_with_stop(seed, count, [&](const iom_netlist &n) {
                return std::make_unique<SystemcKernel>(n, iommu_sim::partition_by_unit(n), 1000);
            });
            auto system = toy::random_system(seed, {});
            return difference(*system, core[0], systemc[0]) + difference(*system, core[1], systemc[1]);
        });
        EXPECT_EQ(text, "");
    }
}

// A producer in front of a server that never answers.
std::unique_ptr<toy::System> dead_end(uint32_t depth)
{
    auto system = std::make_unique<toy::System>();
    auto &producer = system->add<toy::Producer>("producer", 10, 1, false, 1);
    auto &relay = system->add<toy::Relay>("relay", 1, 1, 1, 1);
    auto &server = system->add<toy::Server>("server", 1, 1, 1, true, 1);
    system->connect(producer.out(0), relay.in(0), {1, 1, 1, depth});
    system->connect(relay.out(0), server.in(0), {1, 1, 1, depth});
    return system;
}

TEST(SystemcKernel, outstanding_work_without_events_is_a_deadlock)
{
    auto system = dead_end(2);
    CoreKernel core(system->netlist);
    EXPECT_EQ(core.run(IOM_NEVER, nullptr), IOM_RUN_DEADLOCK);
    EXPECT_NE(core.explain().find("server holds 10 request(s)"), std::string::npos) << core.explain();
    std::string text = in_child([] {
        auto twin = dead_end(2);
        SystemcKernel kernel(twin->netlist, iommu_sim::partition_by_unit(twin->netlist), 1000);
        return kernel.run(IOM_NEVER, nullptr) == IOM_RUN_DEADLOCK ? kernel.explain() : "no deadlock";
    });
    EXPECT_EQ(text, core.explain());
}

TEST(SystemcKernel, payloads_are_pooled)
{
    // 400 requests through two crossings, never more than 2 * depth + a few in flight.
    std::string text = in_child([]() -> std::string {
        toy::System system;
        auto &producer = system.add<toy::Producer>("producer", 400, 2, true, 1);
        auto &relay = system.add<toy::Relay>("relay", 1, 1, 1, 1);
        auto &server = system.add<toy::Server>("server", 2, 2, 3, false, 1);
        system.connect(producer.out(0), relay.in(0), {1, 1, 1, 2});
        system.connect(relay.out(0), server.in(0), {1, 1, 1, 2});
        system.connect(producer.out(1), server.in(1), {1, 1, 1, 2});
        SystemcKernel kernel(system.netlist, iommu_sim::partition_by_unit(system.netlist), 1000);
        kernel.run(IOM_NEVER, nullptr);
        std::ostringstream out;
        if (producer.answered != 400 || kernel.payloads_in_use() != 0 || kernel.payloads_made() > 20)
            out << producer.answered << " answered, payloads made " << kernel.payloads_made() << " in use "
                << kernel.payloads_in_use();
        return out.str();
    });
    EXPECT_EQ(text, "");
}

// ---- what is refused ---------------------------------------------------------------------------------

std::string refusal(const std::function<void(toy::System &)> &attempt)
{
    return in_child([&]() -> std::string {
        auto system = dead_end(1);
        attempt(*system);
        return "accepted";
    });
}

TEST(SystemcKernel, a_second_kernel_in_one_process_is_refused)
{
    std::string text = refusal([](toy::System &system) {
        SystemcKernel first(system.netlist, {0, 0, 0}, 1000);
        SystemcKernel second(system.netlist, {0, 0, 0}, 1000);
    });
    EXPECT_EQ(text.rfind("child threw: SystemC elaborates once per process", 0), 0u) << text;
}

TEST(SystemcKernel, a_partition_of_the_wrong_size_is_refused)
{
    std::string text = refusal([](toy::System &system) {
        SystemcKernel kernel(system.netlist, {0, 1}, 1000);
    });
    EXPECT_EQ(text, "child threw: partition: has 2 entries for 3 units");
}

TEST(SystemcKernel, a_tick_below_the_time_resolution_is_refused)
{
    std::string text = refusal([](toy::System &system) {
        SystemcKernel kernel(system.netlist, {0, 0, 0}, 0);
    });
    EXPECT_EQ(text.rfind("child threw: tick_ps", 0), 0u) << text;
}

std::unique_ptr<toy::System> zero_latency_pair()
{
    auto system = std::make_unique<toy::System>();
    auto &producer = system->add<toy::Producer>("producer", 50, 1, false, 1);
    auto &server = system->add<toy::Server>("server", 1, 1, 4, false, 1);
    system->connect(producer.out(0), server.in(0), {0, 1, 1, 2});
    return system;
}

TEST(SystemcKernel, zero_latency_stays_inside_a_module)
{
    auto system = zero_latency_pair();
    EXPECT_EQ(iommu_sim::partition_by_unit(system->netlist), (Partition{0, 0}));
    EXPECT_EQ(iommu_sim::partition_into(system->netlist, 2), (Partition{0, 0}));
    std::string text = in_child([]() -> std::string {
        auto twin = zero_latency_pair();
        SystemcKernel kernel(twin->netlist, {0, 1}, 1000);
        return "accepted";
    });
    EXPECT_EQ(text,
              "child threw: partition: the connection of zero latency between producer and server cannot "
              "cross modules");
}

TEST(CoreKernel, a_request_of_zero_latency_is_served_in_the_same_cycle)
{
    auto system = zero_latency_pair();
    CoreKernel kernel(system->netlist);
    EXPECT_EQ(kernel.run(IOM_NEVER, nullptr), IOM_RUN_IDLE);
    ASSERT_EQ(system->units[1]->log.size(), 50u);
    size_t request = 0;
    for (const auto &entry : system->units[0]->log) {
        if (entry.what != 's')
            continue;
        EXPECT_EQ(system->units[1]->log[request].cycle, entry.cycle);
        EXPECT_EQ(system->units[1]->log[request++].id, entry.id);
    }
    EXPECT_EQ(request, 50u);
}

} // namespace
