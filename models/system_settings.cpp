// SPDX-License-Identifier: Apache-2.0
//
// Settings of units from a configuration. See system_settings.h.
#include "models/system_settings.h"

#include <cmath>

#include "models/architecture.h"

namespace iommu_sim
{

namespace
{

iom_cache_config geometry(const CacheGeometry &settings)
{
    iom_cache_config config = {};
    config.entries = settings.entries;
    config.ways = settings.ways;
    config.policy = settings.policy;
    config.prefer_invalid = settings.prefer_invalid;
    config.plru_touch_on_fill = settings.plru_touch_on_fill;
    return config;
}

iom_invalidate_cost cost(const InvalidateSettings &settings)
{
    iom_invalidate_cost result = {};
    switch (settings.method) {
    case InvalidateMethod::flash:
        result.method = IOM_INVALIDATE_FLASH;
        break;
    case InvalidateMethod::scan:
        result.method = IOM_INVALIDATE_SCAN;
        break;
    case InvalidateMethod::by_set:
        result.method = IOM_INVALIDATE_BY_SET;
        break;
    }
    result.entries_per_cycle = settings.entries_per_cycle;
    result.blocking = settings.blocking;
    return result;
}

void set_lookup(iom_iommu_config &config, iom_lookup which, const CacheSettings &settings,
                const CacheQuirks &quirks)
{
    config.lookup[which].cache = geometry(settings);
    config.lookup[which].latency_cycles = settings.latency_cycles;
    config.lookup[which].invalidate = cost(settings.invalidate);
    config.lookup[which].quirk_inner_address_misses = quirks.inner_address_misses;
    config.lookup[which].quirk_first_set_only = quirks.first_set_only;
    config.lookups_per_cycle[which] = settings.lookups_per_cycle;
}

void set_psc_stage(iom_iommu_config &config, unsigned stage, const PscStageSettings &settings)
{
    config.psc.cache[stage - 1][2] = geometry(settings.level2);
    config.psc.cache[stage - 1][3] = geometry(settings.level3);
    config.psc.cache[stage - 1][4] = geometry(settings.level4);
    config.psc.cache[stage - 1][5] = geometry(settings.level5);
}

void set_commands(iom_iommu_config &config, const SystemConfig &settings)
{
    config.queue_prefetch_commands = settings.command_queue.prefetch_commands;
    config.queue_decode_cycles = settings.command_queue.decode_cycles;
    config.queue_max_in_flight = settings.command_queue.max_in_flight;
    config.queue_in_order = settings.command_queue.in_order;
    config.queue_pace.one_at_a_time = settings.command_queue.one_at_a_time;
    config.queue_pace.fetch_gap_cycles = settings.command_queue.fetch_gap_cycles;
    config.queue_pace.status_write_cycles = settings.command_queue.status_write_cycles;
    config.queue_pace.quirk_head_passes_waits = settings.quirks.head_passes_waits;
    config.queue_pace.quirk_waits_skip_drain = settings.quirks.waits_skip_drain;
    config.report_queue_depth = settings.record_queue.depth;
    config.record_pace.store_delay_cycles = settings.record_queue.store_delay_cycles;
    config.record_pace.slot_until_written = settings.record_queue.slot_until_written;
    config.record_pace.quirk_writing_drops_reports = settings.quirks.writing_drops_reports;
    config.record_pace.beat_bytes = std::max(settings.memory.channels.beat_bytes, 1u);
    config.ats_timeout_cycles = settings.iommu.ats_timeout_cycles;
}

iom_arbitration arbitration(Arbitration rule)
{
    switch (rule) {
    case Arbitration::round_robin:
        return IOM_ARBITRATION_ROUND_ROBIN;
    case Arbitration::fixed:
        return IOM_ARBITRATION_FIXED;
    case Arbitration::tree:
        break;
    }
    return IOM_ARBITRATION_TREE;
}

iom_iommu_hops iommu_hops(const SystemConfig &settings)
{
    const auto hop = [&](const HopSettings &own) { return hop_of(settings, own); };
    const HopsSettings &hops = settings.hops;
    iom_iommu_hops result = {};
    result.given = true;
    result.stages = result.psc = result.dma = hop({});
    result.walks = hop(hops.walks);
    result.tables = hop(hops.tables);
    result.commands = hop(hops.commands);
    result.records = hop(hops.records);
    result.reports = hop(hops.reports);
    result.setup = hop(hops.setup);
    result.events = hop(hops.events);
    result.updates = hop(hops.updates);
    result.control = hop(hops.control);
    result.spread = hop(hops.spread);
    return result;
}

iom_walk_timing walk_timing(const WalkTimingSettings &settings)
{
    iom_walk_timing timing = {};
    timing.given = settings.enabled;
    timing.end_cycles[IOM_LOOKUP_CONTEXT] = settings.context_end_cycles;
    timing.end_cycles[IOM_LOOKUP_PASID] = settings.pasid_end_cycles;
    timing.end_cycles[IOM_LOOKUP_IOTLB] = settings.page_end_cycles;
    timing.fault_cycles = settings.fault_cycles;
    timing.beat_bytes = settings.beat_bytes;
    return timing;
}

iom_serial_config serial_config(const SystemConfig &settings)
{
    iom_serial_config config = {};
    config.enabled = settings.frontend.serial;
    config.quirk_walks_on_edge = settings.quirks.walks_on_edge;
    config.quirk_walks_when_answered = settings.quirks.walks_when_answered;
    config.quirk_address_at_handshake = settings.quirks.address_at_handshake;
    config.quirk_invalidation_drops_fill = settings.quirks.invalidation_drops_fill;
    config.quirk_live_context = settings.quirks.live_context;
    config.quirk_full_queue_loses_record = settings.quirks.full_queue_loses_record;
    return config;
}

iom_memory_channels memory_channels(const MemoryChannelSettings &settings)
{
    iom_memory_channels channels = {};
    channels.beat_bytes = settings.beat_bytes;
    channels.arbitration = arbitration(settings.arbitration);
    channels.positions = settings.positions;
    channels.position[IOM_CLIENT_PAGE_WALK] = static_cast<uint8_t>(settings.page_walk);
    channels.position[IOM_CLIENT_CONTEXT_WALK] = static_cast<uint8_t>(settings.context_walk);
    channels.position[IOM_CLIENT_COMMANDS] = static_cast<uint8_t>(settings.commands);
    channels.position[IOM_CLIENT_RECORDS] = static_cast<uint8_t>(settings.records);
    channels.write_latency_cycles = settings.write_latency_cycles;
    return channels;
}

} // namespace

iom_hop hop_of(const SystemConfig &config, const HopSettings &hop)
{
    return {hop.request_cycles.value_or(config.iommu.hop_cycles),
            hop.response_cycles.value_or(config.iommu.hop_cycles)};
}

iom_axi_port_config axi_port_config(const SystemConfig &settings)
{
    iom_axi_port_config config = {};
    config.beat_bytes = settings.axi.beat_bytes;
    config.boundary_check = settings.axi.boundary_check;
    config.quirk_boundary_inclusive = settings.quirks.boundary_inclusive;
    config.arbitration = arbitration(settings.axi.arbitration);
    config.positions = 2;
    return config;
}

uint64_t to_ticks(uint64_t ns, uint32_t tick_ps)
{
    return iom_div_ceil(ns * 1000, tick_ps);
}

iom_iommu_config iommu_config(const SystemConfig &settings, const iom_arch &arch, uint32_t inputs)
{
    iom_iommu_config config = {};
    config.arch = &arch;
    config.wiring = settings.iommu.wiring == Wiring::fused ? IOM_WIRING_FUSED : IOM_WIRING_CHAINED;
    config.inputs = inputs;
    config.hop_cycles = settings.iommu.hop_cycles;
    config.hops = iommu_hops(settings);
    config.pcie_ordering = settings.frontend.pcie_ordering;
    config.arbitration = arbitration(settings.frontend.arbitration);
    config.front_latency_cycles = settings.frontend.latency_cycles;
    config.front_lookups_per_cycle = settings.frontend.lookups_per_cycle;
    set_lookup(config, IOM_LOOKUP_CONTEXT, settings.context_cache, settings.quirks.context_cache);
    set_lookup(config, IOM_LOOKUP_PASID, settings.pasid_cache, settings.quirks.pasid_cache);
    set_lookup(config, IOM_LOOKUP_IOTLB, settings.iotlb, settings.quirks.iotlb);
    config.iotlb_tagging = settings.iotlb.tag_by == IotlbTag::source ? IOM_TAG_BY_SOURCE : IOM_TAG_BY_DOMAIN;
    config.stage_queue_depth = settings.frontend.ingress_depth;
    config.miss_entries = settings.miss_table.entries;
    config.merges_per_entry = settings.miss_table.merges_per_entry;
    config.hit_under_miss = settings.miss_table.hit_under_miss;
    config.replay_after_fill = settings.miss_table.replay_after_fill;
    config.squash_walks = settings.quirks.squash_walks;
    config.serial = serial_config(settings);
    config.walkers = settings.walker.walkers;
    config.walk_queue_depth = settings.walker.queue_depth;
    config.step_cycles = settings.walker.step_cycles;
    config.walk_timing = walk_timing(settings.walker.timing);
    set_psc_stage(config, 1, settings.psc.stage1);
    set_psc_stage(config, 2, settings.psc.stage2);
    config.psc.latency_cycles = settings.psc.latency_cycles;
    config.psc.invalidate = cost(settings.psc.invalidate);
    config.psc_lookups_per_cycle = settings.psc.lookups_per_cycle;
    set_commands(config, settings);
    config.memory_queue_depth = settings.memory.queue_depth;
    config.seed = settings.run.seed;
    return config;
}

iom_iommu_config iommu_config(const SystemConfig &settings, const ArchitectureInstance &instance,
                              uint32_t inputs)
{
    const HardwareTraits traits = instance.hardware_traits();
    iom_iommu_config config = iommu_config(settings, instance.arch(), inputs);
    config.ats_tags = traits.invalidation_tags;
    config.ats_tags_block_queue = traits.tags_block_queue;
    return config;
}

iom_memory_config memory_config(const SystemConfig &settings)
{
    iom_memory_config config = {};
    config.channels = memory_channels(settings.memory.channels);
    config.latency_cycles = settings.memory.latency_cycles;
    config.bytes_per_cycle = settings.memory.bytes_per_cycle;
    config.outstanding = settings.memory.outstanding;
    config.llc = geometry(settings.memory.llc);
    config.llc.match = IOM_TAG_ADDRESS;
    config.llc_latency_cycles = settings.memory.llc.latency_cycles;
    config.seed = settings.run.seed;
    return config;
}

iom_device_tlb_config device_tlb_config(const SystemConfig &settings, const DeviceSettings &device)
{
    const DeviceTlbSettings &tlb = device.device_tlb;
    iom_device_tlb_config config = {};
    config.stream = device.source_id;
    config.cache = geometry(tlb);
    config.latency_cycles = tlb.latency_cycles;
    config.lookups_per_cycle = tlb.lookups_per_cycle;
    config.outstanding = tlb.outstanding;
    config.merges_per_request = tlb.merges_per_request;
    config.queue_depth = tlb.queue_depth;
    config.invalidate = cost(tlb.invalidate);
    config.use_size = tlb.use_size;
    config.ask_write = tlb.ask_write;
    config.untranslated_fallback = tlb.untranslated_fallback;
    config.squash = tlb.quirks.squash_fills;
    config.completion_overtakes_writes = tlb.quirks.completion_overtakes_writes;
    config.write_buffer_cycles = tlb.quirks.write_buffer_cycles;
    config.silent = tlb.quirks.silent;
    config.seed = settings.run.seed;
    return config;
}

iom_link_unit_config link_unit_config(const LinkSettings &link)
{
    iom_link_unit_config config = {};
    config.bytes_per_cycle = link.bytes_per_cycle;
    config.header_bytes = link.header_bytes;
    const UpstreamCredits &up = link.upstream;
    config.up.credits[IOM_LINK_POSTED] = {up.posted_header_credits, up.posted_data_credits};
    config.up.credits[IOM_LINK_NON_POSTED] = {up.non_posted_header_credits, 0};
    config.up.flight_cycles = link.latency_cycles - link_hop_cycles;
    config.up.credit_cycles = link.return_latency_cycles;
    const DownstreamCredits &down = link.downstream;
    config.down.credits[IOM_LINK_POSTED] = {down.posted_header_credits, down.posted_data_credits};
    config.down.credits[IOM_LINK_COMPLETION] = {down.completion_header_credits, down.completion_data_credits};
    // What comes down has flown before it reaches the link unit.
    config.down.credit_cycles = uint64_t{link.latency_cycles} + link.return_latency_cycles;
    return config;
}

iom_device_config device_config(const DeviceSettings &device)
{
    const GeneratorSettings &g = device.generator;
    iom_device_config config = {};
    config.outstanding = g.outstanding;
    // `rate` is requests per 1000 cycles; thousandths of a request keep their exact value.
    config.rate_requests = static_cast<uint64_t>(std::llround(g.rate * 1000.0));
    config.rate_cycles = 1000000;
    config.burst = g.burst_requests;
    config.start = IOM_NEVER;
    return config;
}

std::vector<iom_host_device> host_devices(const SystemConfig &config)
{
    std::vector<iom_host_device> devices;
    for (const DeviceSettings &settings : config.devices) {
        iom_host_device device = {};
        device.source = settings.source_id;
        device.ats = settings.device_tlb.entries != 0;
        device.queue_depth = static_cast<uint8_t>(settings.device_tlb.queue_depth);
        devices.push_back(device);
    }
    return devices;
}

iom_host_costs host_costs(const DriverSettings &driver)
{
    iom_host_costs costs = {};
    costs.map_cycles = driver.map_cycles;
    costs.unmap_cycles = driver.unmap_cycles;
    costs.return_cycles = driver.return_cycles;
    costs.store_cycles = driver.store_cycles;
    costs.write_back_cycles = driver.write_back_cycles;
    costs.descriptor_cycles = driver.descriptor_cycles;
    costs.doorbell_cycles = driver.doorbell_cycles;
    costs.relax_cycles = driver.poll_cycles;
    costs.lock_cycles = driver.lock_cycles;
    costs.iova_cycles = driver.iova_cycles;
    costs.enqueue_cycles = driver.enqueue_cycles;
    return costs;
}

iom_flush_policy flush_policy(const SystemConfig &config)
{
    // Linux 6.12, drivers/iommu/dma-iommu.c: IOVA_DEFAULT_FQ_TIMEOUT, IOVA_SINGLE_FQ_TIMEOUT.
    constexpr uint64_t per_cpu_timeout_ns = 10'000'000, single_timeout_ns = 1'000'000'000;
    const DriverSettings &driver = config.driver;
    iom_flush_policy policy = {};
    uint64_t timeout_ns = 0;
    switch (driver.policy) {
    case FlushPolicy::strict:
        policy.mode = IOM_FLUSH_STRICT;
        break;
    case FlushPolicy::lazy:
        policy.mode = IOM_FLUSH_LAZY_PER_CPU;
        timeout_ns = per_cpu_timeout_ns;
        break;
    case FlushPolicy::lazy_single:
        policy.mode = IOM_FLUSH_LAZY_SINGLE;
        timeout_ns = single_timeout_ns;
        break;
    }
    switch (driver.device_flush) {
    case DeviceFlush::per_attachment:
        policy.devices = IOM_FLUSH_PER_ATTACHMENT;
        break;
    case DeviceFlush::skip_repeated:
        policy.devices = IOM_FLUSH_SKIP_REPEATED;
        break;
    case DeviceFlush::deduplicated:
        policy.devices = IOM_FLUSH_DEDUPLICATED;
        break;
    }
    policy.entries = driver.flush_entries;
    policy.timeout_cycles = to_ticks(driver.flush_timeout_ns.value_or(timeout_ns), config.clock.tick_ps);
    policy.whole_domain = !driver.page_selective;
    policy.no_leaf_only = !driver.leaf_only;
    return policy;
}

// A decimal fraction of at most six places, exact.
void set_scale(iom_replay_config &config, double scale, uint64_t trace_tick_ps, uint32_t tick_ps)
{
    config.scale_numerator = static_cast<uint64_t>(std::llround(scale * 1e6)) * trace_tick_ps;
    config.scale_denominator = UINT64_C(1000000) * tick_ps;
}

} // namespace iommu_sim
