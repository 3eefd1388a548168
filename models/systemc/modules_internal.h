// SPDX-License-Identifier: Apache-2.0
//
// What the files behind modules.h share: checks of configurations, kinds of connections.
#ifndef IOMMU_SIM_MODELS_SYSTEMC_MODULES_INTERNAL_H
#define IOMMU_SIM_MODELS_SYSTEMC_MODULES_INTERNAL_H

#include <new>
#include <stdexcept>
#include <string>

#include "models/systemc/modules.h"

namespace iommu_sim
{

/// A core unit just created; throws std::bad_alloc if there is none.
template <typename T> T &made(T *unit)
{
    if (unit == nullptr)
        throw std::bad_alloc();
    return *unit;
}

[[noreturn]] inline void unusable(const sc_core::sc_module_name &name, const std::string &why)
{
    throw std::invalid_argument(std::string(static_cast<const char *>(name)) + ": " + why);
}

inline void check_geometry(const sc_core::sc_module_name &name, const char *what,
                           const iom_cache_config &cache)
{
    if (const char *error = iom_cache_config_error(&cache))
        unusable(name, std::string(what) + ": " + error);
}

/// One-way and broadcast connections: their receivers always have room.
inline void unlimited(RequesterEnd &end)
{
    end.link.depth = 0;
}

/// Lets foreign modules access the registers, and look at them without time.
void open_mmio(ResponderEnd &mmio, const iom_arch &arch, iom_register_unit &registers);

} // namespace iommu_sim

#endif
