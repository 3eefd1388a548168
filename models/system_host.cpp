// SPDX-License-Identifier: Apache-2.0
//
// Building a system: the host with its driver, domains and threads, and what it does before the run. See
// system.h.
#include <algorithm>
#include <stdexcept>

#include "models/system.h"
#include "models/traffic_settings.h"

namespace iommu_sim
{

// ---- the host ------------------------------------------------------------------------------------------

// One per domain identifier, in order of the devices. Domains of the workload's devices have an allocator.
std::vector<iom_host_domain> System::host_domains(std::vector<iom_iova_config> &addresses) const
{
    std::vector<iom_host_domain> domains;
    addresses.reserve(config_.devices.size()); // pointers into it stay valid
    for (const DeviceSettings &device : config_.devices) {
        auto found = std::find_if(domains.begin(), domains.end(),
                                  [&](const iom_host_domain &d) { return d.id == device.domain; });
        if (found == domains.end()) {
            iom_host_domain domain = {};
            domain.id = device.domain;
            domain.first_stage = arch_->software_traits().first_stage;
            domain.policy = flush_policy(config_);
            found = domains.insert(domains.end(), domain);
        }
        if (device.generator.kind == GeneratorKind::none && found->addresses == nullptr) {
            iom_iova_config room = {};
            room.first = workload_first_iova(config_, device.domain);
            room.last = workload_last_iova;
            addresses.push_back(room);
            found->addresses = &addresses.back();
        }
    }
    return domains;
}

std::vector<iom_host_program> System::host_programs()
{
    std::vector<uint64_t> buffers;
    for (uint32_t i = 0; i < config_.workload.threads; i++) {
        buffers.push_back(0);
        if (!iom_mapper_take_frames(mapper_, workload_buffers_log2(config_.workload), &buffers.back()))
            throw std::runtime_error("workload: simulated memory is full; raise memory.size or shrink the "
                                     "mappings");
    }
    threads_ = workload_threads(config_, buffers);
    threads_running_ = threads_.size();
    std::vector<iom_host_program> programs;
    for (const WorkloadThread &thread : threads_) {
        iom_host_program program = {};
        program.ops = thread.ops.data();
        program.count = static_cast<uint32_t>(thread.ops.size());
        program.cpu = thread.cpu;
        program.name = thread.name.c_str();
        programs.push_back(program);
    }
    return programs;
}

void System::make_host()
{
    const SoftwareTraits traits = arch_->software_traits();
    const std::vector<iom_host_device> devices = host_devices(config_);
    std::vector<iom_iova_config> addresses;
    const std::vector<iom_host_domain> domains = host_domains(addresses);
    const std::vector<iom_host_program> programs = host_programs();
    iom_host_config config = {};
    config.devices = devices.data();
    config.device_count = static_cast<uint32_t>(devices.size());
    config.domains = domains.data();
    config.domain_count = static_cast<uint32_t>(domains.size());
    config.programs = programs.data();
    config.program_count = static_cast<uint32_t>(programs.size());
    config.slot_count = config_.workload.threads;
    config.cpus = config_.driver.cpus;
    config.costs = host_costs(config_.driver);
    config.queue_log2 = queue_log2();
    config.check_errors = config_.driver.check_errors;
    config.batch = config_.driver.batch;
    config.coherent = traits.coherent;
    config.caching_mode = traits.caching_mode;
    config.pasid_tables = traits.pasid_tables;
    config.default_pasid = traits.default_pasid;
    config.bring_up = true;
    config.tracker = tracker_;
    config.on_report = on_report;
    config.on_ready = [](void *context, iom_cycle) { static_cast<System *>(context)->stop_ = true; };
    config.hook_context = this;
    char error[256] = "";
    host_ = iom_host_create(&config, mapper_, "host", error, sizeof error);
    if (host_ == nullptr)
        throw std::runtime_error(std::string("driver: ") + (error[0] != '\0' ? error : "out of memory"));
}

uint8_t System::queue_log2() const
{
    uint8_t log2 = 12;
    while ((UINT64_C(1) << log2) < config_.command_queue.size_bytes)
        log2++;
    return log2;
}

// Stores to memory, register access: of the host, or of the driver in the replay.
void System::connect_host()
{
    iom_link_config link = {};
    link.latency = config_.driver.mmio_cycles;
    link.response_latency = config_.driver.mmio_cycles;
    link.credit_latency = 1;
    link.depth = 8;
    iom_unit *unit = nullptr;
    iom_port *registers = nullptr;
    iom_port *stores = nullptr;
    if (host_ != nullptr) {
        unit = iom_host_unit(host_);
        registers = iom_host_port(host_, IOM_HOST_PORT_MMIO);
        stores = iom_host_port(host_, IOM_HOST_PORT_MEMORY);
    } else {
        unit = iom_replay_unit(replay_);
        registers = iom_replay_mmio_port(replay_);
        stores = iom_replay_memory_port(replay_);
    }
    bool ok = iom_netlist_add(&netlist_, unit) &&
              iom_netlist_connect(&netlist_, registers, iom_register_unit_mmio(iommu_.registers), &link);
    link.latency = link.response_latency = config_.iommu.hop_cycles;
    link.depth = config_.memory.queue_depth;
    ok = ok && iom_netlist_connect(&netlist_, stores, iom_memory_input(memory_, memory_host), &link);
    if (!ok)
        throw std::bad_alloc();
}

// ---- before the run ------------------------------------------------------------------------------------

void System::check(iom_mapper_result result, const std::string &what) const
{
    switch (result) {
    case IOM_MAPPER_OK:
    case IOM_MAPPER_ALREADY:
        return;
    case IOM_MAPPER_NO_MEMORY:
        throw std::runtime_error(what +
                                 ": simulated memory is full; raise memory.size or shrink the windows");
    case IOM_MAPPER_REFUSED:
    case IOM_MAPPER_NOT_MAPPED:
        throw std::runtime_error(
            what + ": the translation tables cannot express it; check vtd.mode (riscv.mode), the "
                   "number of levels, address widths and PASIDs");
    }
}

// Maps the windows of the devices, straight into memory.
void System::premap()
{
    if (!config_.driver.premap || arch_->attachment() == IOM_SOFTWARE_BYPASS)
        return;
    for (size_t i = 0; i < generators_.size(); i++) {
        if (generators_[i] == nullptr)
            continue;
        iom_traffic_range range;
        for (uint32_t r = 0; iom_generator_range(generators_[i], r, &range); r++)
            check(iom_mapper_map_range(mapper_, config_.devices[i].domain, &range, nullptr),
                  "devices: " + config_.devices[i].name + ": mapping its window");
    }
}

void System::attach()
{
    if (replay_ != nullptr) {
        iom_trace_error error = {};
        if (!iom_replay_prepare(replay_, image_, &error))
            throw std::runtime_error(error.text);
        return;
    }
    for (uint32_t i = 0; i < config_.devices.size(); i++) {
        const DeviceSettings &device = config_.devices[i];
        check(iom_host_prepare_attach(host_, image_, i, device.pasid.value_or(IOM_NO_PASID), device.domain),
              "devices: " + device.name + ": attaching it to domain " + std::to_string(device.domain));
    }
}

} // namespace iommu_sim
