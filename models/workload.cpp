// SPDX-License-Identifier: Apache-2.0
//
// Programs of the workload's threads. See workload.h.
#include "models/workload.h"

#include <algorithm>

#include "core/base.h"

namespace iommu_sim
{

namespace
{

uint64_t mapping_bytes(const WorkloadSettings &settings)
{
    return settings.bytes * settings.segments;
}

uint32_t unmap_options(const DriverQuirks &quirks)
{
    struct Bit {
        bool on;
        iom_host_option option;
    };
    uint32_t options = 0;
    for (const Bit &bit :
         {Bit{quirks.no_iotlb_flush, IOM_HOST_NO_IOTLB_FLUSH},
          Bit{quirks.no_device_flush, IOM_HOST_NO_DEVICE_FLUSH}, Bit{quirks.no_wait, IOM_HOST_NO_WAIT},
          Bit{quirks.flush_first, IOM_HOST_FLUSH_FIRST}, Bit{quirks.device_first, IOM_HOST_DEVICE_FIRST},
          Bit{quirks.no_write_back, IOM_HOST_NO_WRITE_BACK}}) {
        if (bit.on)
            options |= static_cast<uint32_t>(bit.option);
    }
    return options;
}

/// Writes the program of one thread.
class Writer
{
  public:
    Writer(const SystemConfig &config, uint32_t thread, uint32_t device, uint64_t buffers)
        : config_(config), settings_(config.workload), thread_(thread), device_(device), buffers_(buffers)
    {
    }

    std::vector<iom_host_op> program()
    {
        // Rounds over all buffers, and what is left of the iterations.
        const uint64_t rounds = settings_.iterations / settings_.buffers;
        if (rounds != 0) {
            repeat(rounds);
            iterations(settings_.buffers);
            add(IOM_HOST_END);
        }
        iterations(settings_.iterations % settings_.buffers);
        add(IOM_HOST_MARK);
        return std::move(ops_);
    }

  private:
    iom_host_op &add(iom_host_op_kind kind)
    {
        iom_host_op op;
        iom_host_op_init(&op, kind);
        op.device = device_;
        op.domain = config_.devices[device_].domain;
        op.pasid = config_.devices[device_].pasid.value_or(IOM_NO_PASID);
        op.slot = thread_;
        ops_.push_back(op);
        return ops_.back();
    }

    void repeat(uint64_t count)
    {
        add(IOM_HOST_REPEAT).count = static_cast<uint32_t>(count);
    }

    void iterations(uint64_t count)
    {
        const uint64_t all = mapping_bytes(settings_) / settings_.request_bytes;
        for (uint64_t i = 0; i < count; i++) {
            map(buffers_ + i * settings_.bytes);
            requests(settings_.requests != 0 ? settings_.requests : all);
            unmap();
            if (settings_.late_requests != 0)
                requests(settings_.late_requests);
            if (settings_.think_cycles != 0)
                add(IOM_HOST_DELAY).cycles = settings_.think_cycles;
        }
    }

    // Buffers of lists overlap: each begins one segment behind the one before.
    void map(uint64_t address)
    {
        const bool list = settings_.segments > 1;
        iom_host_op &op = add(list ? IOM_HOST_SG_MAP : IOM_HOST_MAP);
        op.address = address;
        op.bytes = settings_.bytes;
        op.count = settings_.segments;
        op.permissions =
            settings_.direction == WorkloadDirection::from_device ? IOM_PERM_WRITE : IOM_PERM_READ;
        if (config_.driver.quirks.no_write_back)
            op.options = IOM_HOST_NO_WRITE_BACK;
        // A processor's stores are visible before the register write that tells the device of the buffer.
        add(IOM_HOST_FENCE);
    }

    void requests(uint64_t count)
    {
        repeat(count);
        iom_host_op &op = add(IOM_HOST_REQUEST);
        op.iova_step = settings_.request_bytes;
        op.bytes = settings_.request_bytes;
        op.flags = settings_.direction == WorkloadDirection::from_device ? IOM_REQ_WRITE : 0;
        add(IOM_HOST_END);
        if (settings_.await_answers)
            add(IOM_HOST_AWAIT_REQUESTS);
    }

    void unmap()
    {
        iom_host_op &op = add(IOM_HOST_UNMAP);
        op.options = unmap_options(config_.driver.quirks);
    }

    const SystemConfig &config_;
    const WorkloadSettings &settings_;
    uint32_t thread_, device_;
    uint64_t buffers_;
    std::vector<iom_host_op> ops_;
};

std::vector<uint32_t> workload_devices(const SystemConfig &config)
{
    std::vector<uint32_t> devices;
    for (uint32_t i = 0; i < config.devices.size(); i++) {
        const DeviceSettings &device = config.devices[i];
        if (config.workload.device.empty() ? device.generator.kind == GeneratorKind::none
                                           : device.name == config.workload.device)
            devices.push_back(i);
    }
    return devices;
}

} // namespace

unsigned workload_buffers_log2(const WorkloadSettings &settings)
{
    const uint64_t bytes = settings.bytes * (settings.segments + settings.buffers - 1);
    unsigned log2 = 12;
    while ((UINT64_C(1) << log2) < bytes)
        log2++;
    return log2;
}

std::vector<WorkloadThread> workload_threads(const SystemConfig &config, const std::vector<uint64_t> &buffers)
{
    const std::vector<uint32_t> devices = workload_devices(config);
    std::vector<WorkloadThread> threads;
    for (uint32_t i = 0; i < config.workload.threads; i++) {
        WorkloadThread thread;
        thread.name = "thread" + std::to_string(i);
        thread.cpu = config.driver.cpus != 0 ? i % config.driver.cpus : i;
        thread.device = devices[i % devices.size()];
        thread.ops = Writer(config, i, thread.device, buffers[i]).program();
        threads.push_back(std::move(thread));
    }
    return threads;
}

} // namespace iommu_sim
