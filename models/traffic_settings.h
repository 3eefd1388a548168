// SPDX-License-Identifier: Apache-2.0
//
// From settings of a device to what its traffic generator is created from. Used by the system that
// builds the generator and by the checks of the configuration, so that both refuse the same things.
#ifndef IOMMU_SIM_MODELS_TRAFFIC_SETTINGS_H
#define IOMMU_SIM_MODELS_TRAFFIC_SETTINGS_H

#include "models/config/system_config.h"
#include "traffic/generator.h"

namespace iommu_sim
{

iom_generator_config generator_config(const DeviceSettings &device);

} // namespace iommu_sim

#endif
