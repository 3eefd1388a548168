// SPDX-License-Identifier: Apache-2.0
//
// From a configuration to the settings of the core's and the traffic's units. Conversions only: nothing
// is built here.
#ifndef IOMMU_SIM_MODELS_SYSTEM_SETTINGS_H
#define IOMMU_SIM_MODELS_SYSTEM_SETTINGS_H

#include "core/axi_port.h"
#include "core/device_tlb.h"
#include "core/iommu.h"
#include "core/link.h"
#include "core/memory.h"
#include "models/config/system_config.h"
#include "traffic/device.h"
#include "traffic/flush_queue.h"
#include "traffic/host.h"
#include "traffic/replay.h"

namespace iommu_sim
{

class ArchitectureInstance;

/// Nanoseconds to ticks, rounding up (unit rule 8).
uint64_t to_ticks(uint64_t ns, uint32_t tick_ps);

/// Settings of the IOMMU's units as the core takes them; without device TLBs and tracker.
iom_iommu_config iommu_config(const SystemConfig &config, const iom_arch &arch, uint32_t inputs);
/// The same with what the architecture's hardware brings along.
iom_iommu_config iommu_config(const SystemConfig &config, const ArchitectureInstance &instance,
                              uint32_t inputs);
/// Latency of a connection.
iom_hop hop_of(const SystemConfig &config, const HopSettings &hop);
iom_axi_port_config axi_port_config(const SystemConfig &config);
/// Inputs of the memory of a system, as the memory unit numbers them.
enum MemoryInput : uint32_t {
    memory_dma,
    memory_table,
    memory_host,
    memory_queue,
    memory_registers,
    memory_inputs,
};
/// Settings of the memory unit, without inputs (also those of the channels) and tracker.
iom_memory_config memory_config(const SystemConfig &config);
/// Settings of the device TLB of `device`, without its number and tracker.
iom_device_tlb_config device_tlb_config(const SystemConfig &config, const DeviceSettings &device);
/// Settings of a link unit; link_hop_cycles of the flight to the IOMMU are left to the connections behind it.
iom_link_unit_config link_unit_config(const LinkSettings &link);
constexpr uint32_t link_hop_cycles = 1;
iom_device_config device_config(const DeviceSettings &device);
/// The devices as the host's driver knows them.
std::vector<iom_host_device> host_devices(const SystemConfig &config);
iom_host_costs host_costs(const DriverSettings &driver);
iom_flush_policy flush_policy(const SystemConfig &config);
/// Time scale of a replay: ticks of simulation per tick of the trace.
void set_scale(iom_replay_config &config, double scale, uint64_t trace_tick_ps, uint32_t tick_ps);

} // namespace iommu_sim

#endif
