// SPDX-License-Identifier: Apache-2.0
//
// Which families there are: see family.h.
#include "models/verify/family.h"

#include <stdexcept>

#include "models/verify/riscv_family.h"
#include "models/verify/vtd_family.h"

namespace iommu_sim::verify
{

QueueResult Family::invalidate(const InvalidationStep &, Target &) const
{
    throw std::runtime_error("operation 'inv' does not exist on this machine");
}

std::map<std::string, uint64_t> Family::command(const CommandStep &, Target &) const
{
    throw std::runtime_error("operation 'cmd' does not exist on this machine");
}

const Family &family_of(const std::string &machine)
{
    if (machine == "vtd")
        return vtd_family();
    if (machine == "riscv")
        return riscv_family();
    throw std::runtime_error("machine '" + machine + "' is not supported (supported: vtd, riscv)");
}

} // namespace iommu_sim::verify
