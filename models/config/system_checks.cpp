// SPDX-License-Identifier: Apache-2.0
//
// Conditions that no single key can be refused for: shapes of caches, capability registers that
// contradict other keys, windows outside the address space, runs without an end. Register bits are
// those of the Intel VT-d specification 4.1, sections 11.4.2 (CAP) and 11.4.3 (ECAP).
#include <algorithm>
#include <array>

#include "models/config/system_schema.h"
#include "models/traffic_settings.h"

namespace iommu_sim
{
namespace
{

/// Bits of CAP_REG and ECAP_REG that other keys depend on.
enum class CapBit : unsigned { cm = 7, sagaw = 8, fl5lp = 60 };
enum class EcapBit : unsigned {
    c = 0,
    qi = 1,
    dt = 2,
    pt = 6,
    nest = 26,
    pasid = 40,
    smts = 43,
    slts = 46,
    flts = 47
};

/// DMA to these addresses is an interrupt, never translated.
constexpr uint64_t interrupt_first = 0xfee00000;
constexpr uint64_t interrupt_last = 0xfeefffff;

bool has(uint64_t reg, CapBit bit)
{
    return (reg >> static_cast<unsigned>(bit) & 1) != 0;
}

bool has(uint64_t reg, EcapBit bit)
{
    return (reg >> static_cast<unsigned>(bit) & 1) != 0;
}

std::string number(uint64_t value)
{
    return std::to_string(value);
}

std::string size(uint64_t value)
{
    return format_unsigned(value, NumberStyle::size);
}

std::string hex(uint64_t value)
{
    return format_unsigned(value, NumberStyle::hex);
}

bool uses_first_stage(VtdMode mode)
{
    return mode == VtdMode::scalable_first_stage || mode == VtdMode::scalable_nested;
}

bool uses_second_stage(VtdMode mode)
{
    return mode == VtdMode::legacy || mode == VtdMode::scalable_second_stage ||
           mode == VtdMode::scalable_nested;
}

bool is_scalable(VtdMode mode)
{
    return uses_first_stage(mode) || mode == VtdMode::scalable_second_stage;
}

void check_cap(const VtdSettings &vtd, CheckReport &report)
{
    if (has(vtd.cap, CapBit::cm) != vtd.caching_mode)
        report.conflict({"cap", "caching_mode"}, "CAP.CM (bit 7) contradicts caching_mode");
    // SAGAW bit n stands for n + 2 levels.
    const uint64_t widths = vtd.cap >> static_cast<unsigned>(CapBit::sagaw) & 0x1f;
    if (uses_second_stage(vtd.mode) && (widths >> (vtd.second_stage_levels - 2) & 1) == 0)
        report.conflict({"cap", "second_stage_levels"},
                        "CAP.SAGAW (bits 12:8) does not have " + number(vtd.second_stage_levels) + " levels");
    if (uses_first_stage(vtd.mode) && vtd.first_stage_levels == 5 && !has(vtd.cap, CapBit::fl5lp))
        report.conflict({"cap", "first_stage_levels"},
                        "CAP.FL5LP (bit 60) is clear, but first_stage_levels is 5");
}

void check_ecap(const VtdSettings &vtd, CheckReport &report)
{
    struct Need {
        bool needed;
        EcapBit bit;
        const char *name;
    };
    const bool nested = vtd.mode == VtdMode::scalable_nested;
    const std::array<Need, 5> needs{{
        {is_scalable(vtd.mode), EcapBit::smts, "ECAP.SMTS (bit 43)"},
        {uses_first_stage(vtd.mode), EcapBit::flts, "ECAP.FSTS (bit 47)"},
        {uses_second_stage(vtd.mode) && is_scalable(vtd.mode), EcapBit::slts, "ECAP.SSTS (bit 46)"},
        {nested, EcapBit::nest, "ECAP.NEST (bit 26)"},
        {vtd.mode == VtdMode::pass_through, EcapBit::pt, "ECAP.PT (bit 6)"},
    }};
    for (const Need &need : needs) {
        if (need.needed && !has(vtd.ecap, need.bit))
            report.conflict({"ecap", "mode"}, std::string(need.name) + " is clear, but the mode needs it");
    }
    if (!has(vtd.ecap, EcapBit::qi))
        report.conflict({"ecap"}, "ECAP.QI (bit 1) is clear, but the driver uses the invalidation queue");
    if (has(vtd.ecap, EcapBit::c) != vtd.coherent_walk)
        report.conflict({"ecap", "coherent_walk"}, "ECAP.C (bit 0) contradicts coherent_walk");
}

bool is_vtd(const SystemConfig &config)
{
    return config.iommu.arch == Architecture::vtd;
}

/// The key that says how the driver sets up translation.
std::string mode_key(const SystemConfig &config)
{
    return is_vtd(config) ? "vtd.mode" : "riscv.mode";
}

bool passes_through(const SystemConfig &config)
{
    return is_vtd(config) ? config.vtd.mode == VtdMode::pass_through
                          : config.riscv.mode == RiscvMode::pass_through;
}

unsigned riscv_input_bits(const SystemConfig &config)
{
    const RiscvSettings &riscv = config.riscv;
    switch (riscv.mode) {
    case RiscvMode::first_stage:
    case RiscvMode::nested:
        return 12 + 9 * riscv.first_stage_levels - 1;
    case RiscvMode::second_stage:
        return 12 + 9 * riscv.second_stage_levels + 2;
    case RiscvMode::pass_through:
        break;
    }
    return config.iommu.address_width;
}

/// Bits of an address that a device may send in this mode. First-stage addresses are canonical, and
/// a device's window lies in the lower half.
unsigned input_bits(const SystemConfig &config)
{
    if (!is_vtd(config))
        return riscv_input_bits(config);
    const VtdSettings &vtd = config.vtd;
    if (uses_first_stage(vtd.mode))
        return 12 + 9 * vtd.first_stage_levels - 1;
    return uses_second_stage(vtd.mode) ? 12 + 9 * vtd.second_stage_levels : config.iommu.address_width;
}

void check_window(const SystemConfig &config, const DeviceSettings &device, const std::string &path,
                  CheckReport &report)
{
    const GeneratorSettings &generator = device.generator;
    if (generator.kind == GeneratorKind::none)
        return;
    const std::vector<std::string> keys{path + ".generator.base_iova", path + ".generator.window_bytes"};
    const unsigned bits = input_bits(config);
    const uint64_t limit = UINT64_C(1) << bits;
    if (generator.base_iova >= limit || generator.window_bytes > limit - generator.base_iova) {
        report.conflict(keys, "the window of " + size(generator.window_bytes) + " at " +
                                  hex(generator.base_iova) + " does not fit into the " + number(bits) +
                                  " address bits of this mode");
        return;
    }
    const uint64_t last = generator.base_iova + (generator.window_bytes - 1);
    if (is_vtd(config) && generator.base_iova <= interrupt_last && last >= interrupt_first)
        report.conflict(keys, "the window " + hex(generator.base_iova) + ".." + hex(last) +
                                  " touches the interrupt addresses 0xfee00000..0xfeefffff");
}

uint64_t window_needed(const GeneratorSettings &generator)
{
    DeviceSettings device;
    device.generator = generator;
    const iom_generator_config config = generator_config(device);
    return iom_generator_window_needed(&config);
}

bool is_plain_name(const std::string &name)
{
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return !name.empty() && name.find_first_not_of(allowed) == std::string::npos;
}

void check_identity(const SystemConfig &config, size_t index, const std::string &path, CheckReport &report)
{
    const DeviceSettings &device = config.devices[index];
    if (!is_plain_name(device.name))
        report.conflict({path + ".name"}, "a name has letters, digits, '_', '-' and '.' only");
    for (size_t earlier = 0; earlier < index; earlier++) {
        const DeviceSettings &other = config.devices[earlier];
        const std::string other_path = "devices[" + number(earlier) + "]";
        if (device.name == other.name)
            report.conflict({path + ".name", other_path + ".name"}, "same name as " + other_path);
        if (device.source_id == other.source_id)
            report.conflict({path + ".source_id", other_path + ".source_id"},
                            "same source id as " + other_path);
    }
    if (device.domain == 0 && !is_vtd(config) && config.riscv.mode == RiscvMode::nested)
        report.conflict({path + ".domain", "riscv.mode"},
                        "domain 0 is what address spaces outside the guest have; use another");
    if (device.domain == 0 && is_vtd(config) && config.vtd.caching_mode)
        report.conflict({path + ".domain", "vtd.caching_mode"},
                        "domain 0 is reserved by hardware in caching mode; use another");
}

void check_pasid(const SystemConfig &config, const DeviceSettings &device, const std::string &path,
                 CheckReport &report)
{
    if (!device.pasid)
        return;
    if (is_vtd(config) && config.vtd.mode == VtdMode::legacy)
        report.conflict({path + ".pasid", "vtd.mode"},
                        "legacy mode has no PASIDs; choose a scalable vtd.mode or pasid: none");
    const uint32_t bits = config.riscv.process_bits;
    if (!is_vtd(config) && *device.pasid >> bits != 0)
        report.conflict({path + ".pasid", "riscv.process_bits"},
                        bits == 0
                            ? "without process directories there are no PASIDs; set riscv.process_bits or "
                              "pasid: none"
                            : "process directories of " + number(bits) + " bits do not hold PASID " +
                                  number(*device.pasid));
}

/// What the driver wants, against the features of the hardware.
void check_riscv_driver(const SystemConfig &config, CheckReport &report)
{
    const RiscvSettings &riscv = config.riscv;
    const RiscvFeatures &f = riscv.features;
    const bool first = riscv.mode == RiscvMode::first_stage || riscv.mode == RiscvMode::nested;
    const bool second = riscv.mode == RiscvMode::second_stage || riscv.mode == RiscvMode::nested;
    bool ats = false;
    for (const DeviceSettings &device : config.devices)
        ats = ats || device.device_tlb.entries != 0;
    if (is_vtd(config) || riscv.capabilities != 0)
        return;
    struct Need {
        bool needed, has;
        const char *key, *feature;
    };
    const Need needs[] = {
        {first && riscv.first_stage_levels == 3, f.sv39, "first_stage_levels", "sv39"},
        {first && riscv.first_stage_levels == 4, f.sv48, "first_stage_levels", "sv48"},
        {first && riscv.first_stage_levels == 5, f.sv57, "first_stage_levels", "sv57"},
        {second && riscv.second_stage_levels == 3, f.sv39x4, "second_stage_levels", "sv39x4"},
        {second && riscv.second_stage_levels == 4, f.sv48x4, "second_stage_levels", "sv48x4"},
        {second && riscv.second_stage_levels == 5, f.sv57x4, "second_stage_levels", "sv57x4"},
        {riscv.process_bits == 8, f.pd8, "process_bits", "pd8"},
        {riscv.process_bits == 17, f.pd17, "process_bits", "pd17"},
        {riscv.process_bits == 20, f.pd20, "process_bits", "pd20"},
        {riscv.process_bits != 0, !riscv.choices.no_process_contexts, "process_bits", ""},
        {riscv.hardware_flags, f.amo_hwad, "hardware_flags", "amo_hwad"},
    };
    for (const Need &need : needs) {
        const std::string feature =
            *need.feature != 0 ? std::string("features.") + need.feature : "choices.no_process_contexts";
        if (need.needed && !need.has)
            report.conflict({std::string("riscv.") + need.key, "riscv." + feature},
                            "the driver is set to use what riscv." + feature + " takes away");
    }
    if (ats && !f.ats)
        report.conflict({"riscv.features.ats", "devices"}, "a device has a device TLB, which needs ats");
}

void check_device_tlb(const SystemConfig &config, const DeviceSettings &device, const std::string &path,
                      CheckReport &report)
{
    if (device.device_tlb.entries == 0)
        return;
    const VtdSettings &vtd = config.vtd;
    if (passes_through(config))
        report.conflict({path + ".device_tlb.entries", mode_key(config)},
                        "pass-through answers no translation requests; remove the device TLB");
    if (is_vtd(config) && vtd.ecap != 0 && !has(vtd.ecap, EcapBit::dt))
        report.conflict({path + ".device_tlb.entries", "vtd.ecap"},
                        "ECAP.DT (bit 2) is clear, but the device has a device TLB");
}

void check_workload_device(const SystemConfig &config, CheckReport &report)
{
    const std::string &name = config.workload.device;
    bool idle = false;
    for (const DeviceSettings &device : config.devices) {
        const bool none = device.generator.kind == GeneratorKind::none;
        idle = idle || none;
        if (device.name != name)
            continue;
        if (!none)
            report.conflict({"workload.device"},
                            name + " has traffic of its own; give it generator.kind: none");
        return;
    }
    if (!name.empty())
        report.conflict({"workload.device"}, "there is no device " + name);
    else if (!idle)
        report.conflict({"workload.threads"}, "the threads need a device; add one with generator.kind: none");
}

// Addresses for the threads lie between the windows of the domain and those of interrupts.
void check_workload_room(const SystemConfig &config, CheckReport &report)
{
    for (size_t i = 0; i < config.devices.size(); i++) {
        const DeviceSettings &device = config.devices[i];
        if (device.generator.kind != GeneratorKind::none)
            continue;
        const WorkloadSettings &w = config.workload;
        const uint64_t first = workload_first_iova(config, device.domain);
        // Sizes are rounded up to powers of two, and aligned to that.
        const uint64_t each = UINT64_C(2) * w.bytes * w.segments;
        if (first >= workload_last_iova || each > (workload_last_iova - first) / (w.threads + 1))
            report.conflict({"workload.bytes", "workload.segments", "workload.threads",
                             "devices[" + number(i) + "].domain"},
                            "the mappings of the threads do not fit between the windows of domain " +
                                number(device.domain) + " and " + hex(workload_last_iova));
    }
}

void check_workload_system(const SystemConfig &config, CheckReport &report)
{
    if (config.workload.threads == 0) {
        for (size_t i = 0; i < config.devices.size() && config.trace.file.empty(); i++) {
            if (config.devices[i].generator.kind == GeneratorKind::none)
                report.conflict({"devices[" + number(i) + "].generator.kind", "workload.threads"},
                                "a device without traffic of its own needs a workload; set workload.threads");
        }
        return;
    }
    if (!config.trace.file.empty())
        report.conflict({"workload.threads", "trace.file"},
                        "a trace brings its own driver; set workload.threads: 0 or remove the trace");
    if (passes_through(config))
        report.conflict({"workload.threads", mode_key(config)}, "pass-through maps nothing");
    check_workload_device(config, report);
    check_workload_room(config, report);
}

} // namespace

void check_driver(const DriverSettings &driver, CheckReport &report)
{
    if (driver.flush_entries == 1 || (driver.flush_entries & (driver.flush_entries - 1)) != 0)
        report.conflict({"flush_entries"}, number(driver.flush_entries) + " is not a power of two above 1");
}

void check_workload(const WorkloadSettings &w, CheckReport &report)
{
    if (w.bytes % IOM_PAGE_BYTES != 0)
        report.conflict({"bytes"}, size(w.bytes) + " is not a multiple of 4K");
    const uint64_t mapped = w.bytes * w.segments;
    const uint64_t asked = std::max(w.requests, w.late_requests);
    if (asked * w.request_bytes > mapped)
        report.conflict(
            {w.late_requests > w.requests ? "late_requests" : "requests", "request_bytes", "bytes"},
            number(asked) + " requests of " + size(w.request_bytes) + " do not fit into a mapping of " +
                size(mapped));
    if (w.request_bytes != 0 && IOM_PAGE_BYTES % w.request_bytes != 0)
        report.conflict({"request_bytes"}, size(w.request_bytes) + " does not divide 4K");
}

void check_cache_geometry(const CacheGeometry &cache, CheckReport &report)
{
    if (cache.entries == 0)
        return;
    const std::string entries = "entries (" + number(cache.entries) + ")";
    const std::string ways = "ways (" + number(cache.ways) + ")";
    if (cache.ways > cache.entries) {
        report.conflict({"ways", "entries"}, ways + " are more than " + entries);
    } else if (cache.entries % cache.ways != 0) {
        report.conflict({"entries", "ways"}, entries + " are not a multiple of " + ways);
    } else if (!iom_is_power_of_two(cache.entries / cache.ways)) {
        report.conflict({"entries", "ways"}, entries + " / " + ways + " give " +
                                                 number(cache.entries / cache.ways) +
                                                 " sets, which is not a power of two");
    }
    if (cache.policy == IOM_POLICY_PLRU && !iom_is_power_of_two(cache.ways))
        report.conflict({"policy", "ways"}, "plru needs a power of two of ways, not " + number(cache.ways));
}

void check_vtd(const VtdSettings &vtd, CheckReport &report)
{
    if (vtd.cap != 0)
        check_cap(vtd, report);
    if (vtd.ecap != 0)
        check_ecap(vtd, report);
}

void check_generator(const GeneratorSettings &g, CheckReport &report)
{
    if (g.base_iova % IOM_PAGE_BYTES != 0)
        report.conflict({"base_iova"}, hex(g.base_iova) + " is not a multiple of 4K");
    if (g.window_bytes % IOM_PAGE_BYTES != 0)
        report.conflict({"window_bytes"}, size(g.window_bytes) + " is not a multiple of 4K");
    const auto fits = [&](const char *key, const std::string &what, uint64_t bytes) {
        if (bytes > g.window_bytes)
            report.conflict({key, "window_bytes"},
                            what + " " + size(bytes) + ", more than the window of " + size(g.window_bytes));
    };
    switch (g.kind) {
    case GeneratorKind::none:
        return;
    case GeneratorKind::strided:
        fits("stride_bytes", "the stride is", g.stride_bytes);
        break;
    case GeneratorKind::uniform:
        fits("hot_bytes", "the hot part is", g.hot_bytes);
        break;
    case GeneratorKind::nic:
        fits("ring_entries", "rings and buffers take", window_needed(g));
        if (g.frame_bytes > g.buffer_bytes)
            report.conflict({"frame_bytes", "buffer_bytes"}, "a frame of " + size(g.frame_bytes) +
                                                                 " does not fit into a buffer of " +
                                                                 size(g.buffer_bytes));
        return;
    case GeneratorKind::nvme:
        if (g.block_bytes % 512 != 0)
            report.conflict({"block_bytes"}, size(g.block_bytes) + " is not a multiple of 512");
        // All commands in flight need buffers of their own.
        fits("block_bytes", "queues and the buffers of the commands in flight take", window_needed(g));
        return;
    case GeneratorKind::sequential:
    case GeneratorKind::zipf:
        break;
    }
    if (g.burst_requests > g.outstanding)
        report.conflict({"burst_requests", "outstanding"}, "a burst of " + number(g.burst_requests) +
                                                               " requests needs that many outstanding, not " +
                                                               number(g.outstanding));
}

void check_link(const LinkSettings &link, CheckReport &report)
{
    const UpstreamCredits &up = link.upstream;
    const DownstreamCredits &down = link.downstream;
    const std::pair<const char *, uint32_t> credits[] = {
        {"upstream.posted_header_credits", up.posted_header_credits},
        {"upstream.posted_data_credits", up.posted_data_credits},
        {"upstream.non_posted_header_credits", up.non_posted_header_credits},
        {"downstream.posted_header_credits", down.posted_header_credits},
        {"downstream.posted_data_credits", down.posted_data_credits},
        {"downstream.completion_header_credits", down.completion_header_credits},
        {"downstream.completion_data_credits", down.completion_data_credits},
    };
    for (const auto &[key, value] : credits) {
        if (value != 0 && link.bytes_per_cycle == 0)
            report.conflict({key, "bytes_per_cycle"},
                            "a link without width has no flow control; set bytes_per_cycle");
    }
}

void check_trace(const TraceSettings &trace, CheckReport &report)
{
    const bool scaled = trace.mode == TraceMode::scaled_time;
    if (scaled && trace.queue_depth != 0)
        report.conflict({"queue_depth", "mode"}, "applies to mode closed_loop only");
    if (scaled && trace.device_latency_ns != 0)
        report.conflict({"device_latency_ns", "mode"}, "applies to mode closed_loop only");
    if (!scaled && trace.time_scale != 1.0)
        report.conflict({"time_scale", "mode"}, "applies to mode scaled_time only");
}

void check_system(const SystemConfig &config, CheckReport &report)
{
    const uint64_t reach = UINT64_C(1) << config.iommu.address_width;
    if (config.memory.base >= reach || config.memory.size_bytes > reach - config.memory.base)
        report.conflict({"memory.size", "memory.base", "iommu.address_width"},
                        "RAM of " + size(config.memory.size_bytes) + " at " + hex(config.memory.base) +
                            " does not fit into " + number(config.iommu.address_width) + " address bits");
    if (config.memory.base % IOM_PAGE_BYTES != 0)
        report.conflict({"memory.base"}, hex(config.memory.base) + " is not a multiple of 4K");
    if (config.memory.size_bytes % IOM_PAGE_BYTES != 0)
        report.conflict({"memory.size"}, size(config.memory.size_bytes) + " is not a multiple of 4K");
    const bool endless =
        config.run.requests == 0 && config.run.max_cycles == 0 && config.workload.threads == 0;
    if (endless && !config.devices.empty() && config.trace.file.empty())
        report.conflict({"run.requests", "run.max_cycles"},
                        "generators never end by themselves; set run.requests or run.max_cycles");
    for (size_t i = 0; i < config.devices.size(); i++) {
        const DeviceSettings &device = config.devices[i];
        const std::string path = "devices[" + number(i) + "]";
        check_identity(config, i, path, report);
        check_window(config, device, path, report);
        check_device_tlb(config, device, path, report);
        check_pasid(config, device, path, report);
    }
    check_riscv_driver(config, report);
    check_workload_system(config, report);
}

} // namespace iommu_sim
