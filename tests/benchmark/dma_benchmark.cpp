// SPDX-License-Identifier: Apache-2.0
//
// How many DMA the simulator does per second: one device, uniform random reads of 64 bytes, a fully
// associative IOTLB of 128 entries (LRU), walks of four levels without paging-structure caches, eight
// walkers. The window decides the share of misses.
//
//   dma-benchmark CASE SHAPE REQUESTS [REPEATS]
//
//   CASE   hits     window of 64 pages: everything hits
//          miss13   147 pages: 13 % of the look-ups miss
//          miss71   441 pages: 71 % miss
//   SHAPE  core     timing wheel, one group
//          tracked  the same with the hazard tracker; the others run without it
//          systemc3 three modules: traffic, IOMMU, memory
//          systemc  a module for each unit, fused wiring
//          chained  a module for each unit, each cache a unit of its own
//
// Prints one line: case, shape, requests, miss share, simulated cycles, evaluations per DMA, and the best
// of REPEATS (default 1) as DMA per second. SystemC elaborates once, so repeats are parts of one run.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "models/config/config.h"
#include "models/session.h"
#include "models/systemc/systemc_kernel.h"

using namespace iommu_sim;

namespace
{

SystemConfig benchmark_config(uint64_t pages, bool chained, bool tracked)
{
    SystemConfig config;
    config.tracker.enabled = tracked;
    config.name = "benchmark";
    config.iommu.wiring = chained ? Wiring::chained : Wiring::fused;
    config.iotlb.entries = config.iotlb.ways = 128;
    for (PscStageSettings *stage : {&config.psc.stage1, &config.psc.stage2}) {
        for (CacheGeometry *level : {&stage->level2, &stage->level3, &stage->level4, &stage->level5})
            level->entries = 0;
    }
    config.walker.walkers = 8;
    DeviceSettings device;
    device.name = "dev0";
    device.source_id = 0x20;
    device.generator.kind = GeneratorKind::uniform;
    device.generator.window_bytes = pages * 4096;
    device.generator.request_bytes = 64;
    device.generator.outstanding = 64;
    config.devices.push_back(device);
    return config;
}

// Units of the IOMMU, of memory, and everything else.
Partition three_modules(const iom_netlist &netlist)
{
    Partition partition;
    for (uint32_t i = 0; i < netlist.unit_count; i++) {
        const char *name = netlist.units[i]->name;
        bool iommu = std::strncmp(name, "iommu0", 6) == 0;
        partition.push_back(iommu ? 0 : std::strcmp(name, "memory") == 0 ? 1 : 2);
    }
    return partition;
}

std::unique_ptr<Kernel> make_kernel(const std::string &shape, const iom_netlist &netlist)
{
    if (shape == "core" || shape == "tracked")
        return std::make_unique<CoreKernel>(netlist);
    Partition partition = shape == "systemc3" ? three_modules(netlist) : partition_by_unit(netlist);
    return std::make_unique<SystemcKernel>(netlist, partition, 1000);
}

int usage()
{
    std::fputs(
        "usage: dma-benchmark hits|miss13|miss71 core|tracked|systemc3|systemc|chained REQUESTS [REPEATS]\n",
        stderr);
    return 2;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5)
        return usage();
    std::string which = argv[1], shape = argv[2];
    uint64_t requests = std::strtoull(argv[3], nullptr, 10);
    unsigned repeats = argc > 4 ? static_cast<unsigned>(std::strtoul(argv[4], nullptr, 10)) : 1;
    uint64_t pages = which == "hits" ? 64 : which == "miss13" ? 147 : which == "miss71" ? 441 : 0;
    bool known = shape == "core" || shape == "tracked" || shape == "systemc3" || shape == "systemc" ||
                 shape == "chained";
    if (pages == 0 || !known || requests == 0 || repeats == 0)
        return usage();

    System system(benchmark_config(pages, shape == "chained", shape == "tracked"));
    std::unique_ptr<Kernel> kernel = make_kernel(shape, system.netlist());
    system.stop_at_completed(UINT64_MAX);
    kernel->run(IOM_NEVER - 1, system.stop_flag()); // bring-up
    system.clear_stop();
    system.start_traffic(kernel->now() + 1);

    double best = 0;
    iom_cycle started = kernel->now();
    uint64_t events = kernel->events();
    for (unsigned i = 0; i < repeats; i++) {
        uint64_t before = system.completed();
        system.stop_at_completed(before + requests);
        auto begin = std::chrono::steady_clock::now();
        kernel->run(IOM_NEVER - 1, system.stop_flag());
        std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        system.clear_stop();
        double rate = static_cast<double>(system.completed() - before) / took.count();
        best = rate > best ? rate : best;
    }
    const iom_lookup_stats *iotlb =
        iom_stage_lookup_stats(iom_iommu_owner(&system.iommu(), IOM_LOOKUP_IOTLB), IOM_LOOKUP_IOTLB);
    double completed = static_cast<double>(system.completed());
    double missed = static_cast<double>(iotlb->misses + iotlb->merged) / static_cast<double>(iotlb->lookups);
    std::printf(
        "%-7s %-9s %10.0f DMA  %5.1f %% misses  %8.2f cycles/DMA  %6.2f evaluations/DMA  %9.0f DMA/s\n",
        which.c_str(), shape.c_str(), completed, 100 * missed,
        static_cast<double>(kernel->now() - started) / completed,
        static_cast<double>(kernel->events() - events) / completed, best);
    return 0;
}
