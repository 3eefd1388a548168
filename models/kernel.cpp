// SPDX-License-Identifier: Apache-2.0
//
// The core kernel: one group, no SystemC. See kernel.h.
#include "models/kernel.h"

#include <stdexcept>
#include <vector>

namespace iommu_sim
{

std::string explain_group(const iom_group &group)
{
    // A line names two units and a port; a unit has a few of them.
    std::vector<char> text(64 + group.count * size_t{1024});
    iom_group_explain(&group, text.data(), text.size());
    return text.data();
}

std::string connections_text(const std::invalid_argument &problem)
{
    return std::string("hops: ") + problem.what() + "; let one of them take a cycle";
}

CoreKernel::CoreKernel(const iom_netlist &netlist)
{
    // A unit may come from a kernel that is gone: its group pointer means nothing any more.
    for (uint32_t i = 0; i < netlist.unit_count; i++)
        netlist.units[i]->group = nullptr;
    if (const char *problem = iom_group_init(&group_, "system", netlist.units, netlist.unit_count))
        throw std::invalid_argument(problem);
    iom_group_start(&group_, 0);
}

CoreKernel::~CoreKernel()
{
    iom_group_free(&group_);
}

iom_run_end CoreKernel::run(iom_cycle limit, const bool *stop)
{
    return iom_group_run(&group_, limit, stop);
}

iom_cycle CoreKernel::now() const
{
    return group_.wheel.now;
}

iom_cycle CoreKernel::next_event() const
{
    return iom_group_next_event(&group_);
}

uint64_t CoreKernel::outstanding() const
{
    return iom_group_outstanding(&group_);
}

uint64_t CoreKernel::events() const
{
    return group_.events;
}

std::string CoreKernel::explain() const
{
    return explain_group(group_);
}

void CoreKernel::shuffle(uint64_t seed)
{
    iom_rng_seed(&order_, seed, "shuffle");
    group_.shuffle = &order_;
}

} // namespace iommu_sim
