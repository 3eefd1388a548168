// SPDX-License-Identifier: Apache-2.0
//
// All units of an IOMMU in one module. See modules.h.
#include "models/systemc/debug_access.h"
#include "models/systemc/modules.h"
#include "models/systemc/modules_internal.h"

namespace iommu_sim
{

// ---- a whole IOMMU -----------------------------------------------------------------------------------

namespace
{

std::vector<iom_unit *> units_of(const iom_netlist &netlist)
{
    return {netlist.units, netlist.units + netlist.unit_count};
}

} // namespace

struct IommuModule::Parts {
    Parts(const sc_core::sc_module_name &name, const iom_iommu_config &config)
    {
        iom_netlist_init(&netlist);
        if (const char *error =
                iom_iommu_init(&iommu, &config, name, &netlist, nullptr, nullptr, nullptr, nullptr)) {
            iom_netlist_free(&netlist);
            iom_iommu_free(&iommu);
            throw std::invalid_argument(std::string(static_cast<const char *>(name)) + ": " + error);
        }
    }
    Parts(const Parts &) = delete;
    Parts &operator=(const Parts &) = delete;
    ~Parts()
    {
        iom_netlist_free(&netlist);
        iom_iommu_free(&iommu);
    }
    iom_netlist netlist{};
    iom_iommu iommu{};
};

IommuModule::IommuModule(const sc_core::sc_module_name &name, const iom_iommu_config &config,
                         uint64_t tick_ps)
    : IommuModule(name, std::make_shared<Parts>(name, config), tick_ps)
{
}

IommuModule::IommuModule(const sc_core::sc_module_name &name, const std::shared_ptr<Parts> &parts,
                         uint64_t tick_ps)
    : UnitModule(name, units_of(parts->netlist), tick_ps, parts), parts_(parts)
{
    iom_iommu &iommu = parts->iommu;
    iom_stage *front = iom_iommu_front(&iommu);
    RequesterEnd &exit = requester(*iom_stage_port(front, IOM_STAGE_MEMORY));
    RequesterEnd &reads = requester(*iom_walker_port(iommu.walker, IOM_WALKER_MEMORY));
    exit.foreign_allowed = reads.foreign_allowed = true;
    exit.required = reads.required = true;
    RequesterEnd &commands = requester(*iom_command_queue_port(iommu.queue, IOM_COMMAND_QUEUE_MEMORY));
    RequesterEnd &stores = requester(*iom_register_unit_memory(iommu.registers));
    commands.foreign_allowed = stores.foreign_allowed = true;
    exit.link.depth = reads.link.depth = iommu.config.memory_queue_depth;
    commands.link.depth = stores.link.depth = iommu.config.memory_queue_depth;
    for (uint32_t i = 0; i < iommu.config.ats_devices; i++)
        unlimited(requester(*iom_iommu_ats_port(&iommu, i)));
    open_mmio(responder(*iom_register_unit_mmio(iommu.registers)), iommu.arch, *iommu.registers);
    for (uint32_t i = 0; i < iommu.config.inputs; i++) {
        ResponderEnd &input = responder(*iom_iommu_input(&iommu, i));
        input.access = ForeignAccess::translate;
        input.debug = [&iommu, front, &input, &exit, &reads](Payload &payload) {
            return debug_translate(iommu.arch, *iom_stage_view(front), input.default_source_id, reads.socket,
                                   exit.socket, payload);
        };
    }
}

TargetSocket &IommuModule::in(uint32_t index)
{
    return target(*iom_iommu_input(&parts_->iommu, index));
}

InitiatorSocket &IommuModule::memory()
{
    return initiator(*iom_stage_port(iom_iommu_front(&parts_->iommu), IOM_STAGE_MEMORY));
}

InitiatorSocket &IommuModule::table()
{
    return initiator(*iom_walker_port(parts_->iommu.walker, IOM_WALKER_MEMORY));
}

InitiatorSocket &IommuModule::queue()
{
    return initiator(*iom_command_queue_port(parts_->iommu.queue, IOM_COMMAND_QUEUE_MEMORY));
}

InitiatorSocket &IommuModule::stores()
{
    return initiator(*iom_register_unit_memory(parts_->iommu.registers));
}

InitiatorSocket &IommuModule::ats(uint32_t index)
{
    return initiator(*iom_iommu_ats_port(&parts_->iommu, index));
}

TargetSocket &IommuModule::mmio()
{
    return target(*iom_register_unit_mmio(parts_->iommu.registers));
}

void IommuModule::set_source_id(uint32_t index, uint32_t source_id)
{
    responder(*iom_iommu_input(&parts_->iommu, index)).default_source_id = source_id;
}

iom_iommu &IommuModule::iommu()
{
    return parts_->iommu;
}

} // namespace iommu_sim
