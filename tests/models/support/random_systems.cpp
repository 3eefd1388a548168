// SPDX-License-Identifier: Apache-2.0
//
// Random systems and their results as text. See random_systems.h.
#include "tests/models/support/random_systems.h"

#include <cstdlib>
#include <sstream>

using namespace iommu_sim;

namespace
{

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

void roll_invalidate(Dice &dice, InvalidateSettings &invalidate)
{
    invalidate.method =
        dice.one_of({InvalidateMethod::flash, InvalidateMethod::scan, InvalidateMethod::by_set});
    invalidate.entries_per_cycle = dice.between(1, 4);
    invalidate.blocking = dice.chance(50);
}

void roll_cache(Dice &dice, CacheSettings &cache, uint32_t most_sets_log2)
{
    roll_geometry(dice, cache, most_sets_log2);
    roll_invalidate(dice, cache.invalidate);
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
    roll_invalidate(dice, config.psc.invalidate);
    for (PscStageSettings *stage : {&config.psc.stage1, &config.psc.stage2}) {
        for (CacheGeometry *level : {&stage->level2, &stage->level3, &stage->level4, &stage->level5})
            roll_geometry(dice, *level, 2);
    }
    config.miss_table.entries = dice.between(1, 8);
    config.miss_table.merges_per_entry = dice.between(1, 4);
    config.miss_table.hit_under_miss = dice.chance(70);
    config.miss_table.replay_after_fill = dice.chance(30);
    config.walker.walkers = dice.between(1, 6);
    config.walker.queue_depth = dice.between(1, 6);
    config.walker.step_cycles = dice.between(0, 3);
}

void roll_credits(Dice &dice, LinkSettings &link)
{
    const auto credits = [&dice] { return dice.one_of({0u, 0u, 1u, 2u, 20u}); };
    link.upstream.posted_header_credits = credits();
    link.upstream.posted_data_credits = credits();
    link.upstream.non_posted_header_credits = credits();
    link.downstream.posted_header_credits = credits();
    link.downstream.posted_data_credits = credits();
    link.downstream.completion_header_credits = credits();
    link.downstream.completion_data_credits = credits();
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
    if (config.link.bytes_per_cycle != 0)
        roll_credits(dice, config.link);
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
    if (g.kind == GeneratorKind::nvme)
        g.window_bytes = 1 << 20;
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

void roll_driver(Dice &dice, DriverSettings &driver)
{
    driver.policy =
        dice.one_of({FlushPolicy::strict, FlushPolicy::strict, FlushPolicy::lazy, FlushPolicy::lazy_single});
    driver.flush_entries = dice.one_of({4u, 8u, 32u});
    driver.flush_timeout_ns = dice.one_of({0u, 2000u, 20000u});
    driver.device_flush =
        dice.one_of({DeviceFlush::per_attachment, DeviceFlush::skip_repeated, DeviceFlush::deduplicated});
    driver.page_selective = dice.chance(70);
    driver.leaf_only = dice.chance(70);
    driver.batch = dice.between(1, 16);
    driver.cpus = dice.chance(30) ? 1 : 0;
    driver.poll_cycles = dice.between(1, 60);
    driver.map_cycles = dice.between(0, 50);
    driver.unmap_cycles = dice.between(0, 50);
    driver.return_cycles = dice.between(0, 10);
    driver.store_cycles = dice.between(1, 4);
    driver.descriptor_cycles = dice.between(0, 10);
    driver.doorbell_cycles = dice.between(0, 30);
    driver.lock_cycles = dice.between(0, 10);
    driver.iova_cycles = dice.between(0, 10);
    driver.enqueue_cycles = dice.between(0, 10);
}

void roll_device_tlb(Dice &dice, DeviceTlbSettings &tlb)
{
    do {
        roll_geometry(dice, tlb, 3);
    } while (tlb.entries == 0);
    roll_invalidate(dice, tlb.invalidate);
    tlb.latency_cycles = dice.between(0, 3);
    tlb.lookups_per_cycle = dice.between(1, 2);
    tlb.outstanding = dice.between(1, 4);
    tlb.merges_per_request = dice.between(0, 4);
    tlb.queue_depth = dice.one_of({1u, 2u, 32u});
    tlb.use_size = dice.chance(70);
    tlb.ask_write = dice.chance(70);
}

void roll_workload(Dice &dice, WorkloadSettings &workload)
{
    workload.threads = dice.between(1, 4);
    workload.iterations = dice.between(20, 80);
    workload.bytes = uint64_t{dice.one_of({1u, 1u, 2u, 3u, 16u})} << 12;
    workload.segments = dice.one_of({1u, 1u, 3u});
    workload.request_bytes = dice.one_of({64u, 256u, 4096u});
    workload.requests = workload.request_bytes == 4096 ? 1 : dice.between(1, 3);
    workload.direction = dice.one_of({WorkloadDirection::from_device, WorkloadDirection::to_device});
    workload.await_answers = dice.chance(70);
    workload.think_cycles = dice.between(0, 200);
    workload.buffers = dice.between(1, 6);
}

} // namespace

SystemConfig random_system(uint64_t seed, uint64_t requests)
{
    Dice dice(seed, "random systems");
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

SystemConfig random_workload(uint64_t seed)
{
    SystemConfig config = random_system(seed, 0);
    Dice dice(seed + 0x10000, "random systems");
    config.run.warmup_requests = 0;
    config.run.max_cycles = 100000000;
    config.driver.premap = true;
    config.vtd.coherent_walk = dice.chance(75);
    config.vtd.caching_mode = dice.chance(15);
    if (config.vtd.mode == VtdMode::pass_through)
        config.vtd.mode = VtdMode::legacy;
    config.command_queue.prefetch_commands = dice.between(1, 8);
    config.command_queue.decode_cycles = dice.between(1, 4);
    config.command_queue.max_in_flight = dice.between(1, 4);
    config.command_queue.in_order = dice.chance(30);
    roll_driver(dice, config.driver);
    roll_workload(dice, config.workload);
    for (size_t i = 0; i < config.devices.size(); i++) {
        if (i == 0 || dice.chance(50))
            config.devices[i].generator.kind = GeneratorKind::none;
        // The driver model does not flush device TLBs under caching mode.
        if (dice.chance(50) && !config.vtd.caching_mode)
            roll_device_tlb(dice, config.devices[i].device_tlb);
        // Traffic that never ends may take all there is from devices of lower priority, and the workload with
        // them.
        if (config.devices[i].generator.kind != GeneratorKind::none)
            config.frontend.arbitration = Arbitration::round_robin;
    }
    return config;
}

SystemConfig as_riscv(const SystemConfig &original, uint64_t seed)
{
    Dice dice(seed + 0x20000, "random systems");
    SystemConfig config = original;
    config.iommu.arch = Architecture::riscv;
    config.vtd = VtdSettings();
    config.iotlb.tag_by = IotlbTag::domain;
    RiscvSettings &riscv = config.riscv;
    riscv.mode = dice.one_of({RiscvMode::first_stage, RiscvMode::first_stage, RiscvMode::second_stage,
                              RiscvMode::nested, RiscvMode::nested, RiscvMode::pass_through});
    if (config.workload.threads != 0 && riscv.mode == RiscvMode::pass_through)
        riscv.mode = RiscvMode::first_stage;
    riscv.first_stage_levels = dice.between(3, 5);
    riscv.second_stage_levels = dice.between(3, 5);
    riscv.directory_levels = dice.between(2, 3);
    riscv.hardware_flags = dice.chance(40);
    riscv.features.msi_flat = dice.chance(50); // else device contexts of 32 bytes
    riscv.features.msi_mrif = riscv.features.amo_mrif = riscv.features.msi_flat && dice.chance(50);
    riscv.features.non_leaf = dice.chance(50);
    riscv.features.range = dice.chance(50);
    riscv.invalidation_tags = dice.one_of({1u, 2u, 32u});
    const bool first_stage = riscv.mode == RiscvMode::first_stage || riscv.mode == RiscvMode::nested;
    bool processes = first_stage && dice.chance(20);
    for (DeviceSettings &device : config.devices) {
        if (!first_stage)
            device.pasid.reset();
        processes = processes || device.pasid.has_value();
    }
    riscv.process_bits = processes ? dice.one_of({8u, 17u, 20u}) : 0;
    return config;
}

// ---- results as text ----------------------------------------------------------------------------------

namespace
{

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

} // namespace

std::string text_of(const SessionResult &result)
{
    std::ostringstream out;
    out << "end " << end_reason_text(result.end) << ' ' << result.explanation << '\n';
    write_phase(out, "bring-up", result.bring_up);
    write_phase(out, "warm-up", result.warm_up);
    write_phase(out, "region", result.region);
    return out.str();
}

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

namespace
{

Partition random_partition(const iom_netlist &netlist, uint64_t seed)
{
    Dice dice(seed, "random systems");
    Partition sets = partition_by_unit(netlist);
    const uint32_t modules = dice.between(2, 5);
    std::vector<int> module_of(sets.size());
    for (int &module : module_of)
        module = static_cast<int>(dice.below(modules));
    for (int &set : sets)
        set = module_of[static_cast<size_t>(set)];
    return sets;
}

} // namespace

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
