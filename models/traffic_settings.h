// SPDX-License-Identifier: Apache-2.0
//
// From settings of a device to what its traffic generator is created from, and the addresses left for the
// workload. Used by the system that builds them and by the checks of the configuration, so that both refuse
// the same things.
#ifndef IOMMU_SIM_MODELS_TRAFFIC_SETTINGS_H
#define IOMMU_SIM_MODELS_TRAFFIC_SETTINGS_H

#include "models/config/system_config.h"
#include "traffic/generator.h"

namespace iommu_sim
{

iom_generator_config generator_config(const DeviceSettings &device);

/// Addresses that the threads of a workload map: from behind the windows of the domain's devices to below
/// the interrupt window of Intel platforms, inclusive.
constexpr uint64_t workload_last_iova = 0xfedfffff;
uint64_t workload_first_iova(const SystemConfig &config, uint32_t domain);

} // namespace iommu_sim

#endif
