// SPDX-License-Identifier: Apache-2.0
//
// Named modules of the command side: registers, command queue, fan-out. See modules.h.
#include <cstring>

#include "models/systemc/modules.h"
#include "models/systemc/modules_internal.h"

namespace iommu_sim
{

// ---- registers ---------------------------------------------------------------------------------------

namespace
{

// Reads of the register file as it stands; writes have effects and are refused.
unsigned debug_registers(const iom_arch &arch, iom_register_unit &registers, Payload &payload)
{
    unsigned bytes = payload.get_data_length();
    if (!payload.is_read() || (bytes != 4 && bytes != 8) || payload.get_address() > UINT32_MAX)
        return 0;
    uint64_t value = arch.ops->read(&arch, iom_register_unit_state(&registers),
                                    static_cast<uint32_t>(payload.get_address()), bytes);
    std::memcpy(payload.get_data_ptr(), &value, bytes);
    return bytes;
}

std::shared_ptr<iom_register_unit> make_registers(const sc_core::sc_module_name &name,
                                                  const iom_register_unit_config &config)
{
    return {&made(iom_register_unit_create(&config, name)), iom_register_unit_destroy};
}

} // namespace

void open_mmio(ResponderEnd &mmio, const iom_arch &arch, iom_register_unit &registers)
{
    mmio.access = ForeignAccess::registers;
    mmio.debug = [&arch, &registers](Payload &payload) { return debug_registers(arch, registers, payload); };
}

RegisterModule::RegisterModule(const sc_core::sc_module_name &name, const iom_register_unit_config &config,
                               uint64_t tick_ps)
    : RegisterModule(name, make_registers(name, config), config, tick_ps)
{
}

RegisterModule::RegisterModule(const sc_core::sc_module_name &name,
                               const std::shared_ptr<iom_register_unit> &unit,
                               const iom_register_unit_config &config, uint64_t tick_ps)
    : UnitModule(name, {iom_register_unit_unit(unit.get())}, tick_ps, unit), unit_(unit)
{
    open_mmio(responder(*iom_register_unit_mmio(unit.get())), *config.arch, *unit);
    unlimited(requester(*iom_register_unit_fanout(unit.get())));
    unlimited(requester(*iom_register_unit_queue(unit.get())));
    requester(*iom_register_unit_memory(unit.get())).foreign_allowed = true;
}

TargetSocket &RegisterModule::mmio()
{
    return target(*iom_register_unit_mmio(unit_.get()));
}

TargetSocket &RegisterModule::fault(uint32_t index)
{
    return target(*iom_register_unit_fault(unit_.get(), index));
}

TargetSocket &RegisterModule::event(uint32_t index)
{
    return target(*iom_register_unit_event(unit_.get(), index));
}

InitiatorSocket &RegisterModule::fanout()
{
    return initiator(*iom_register_unit_fanout(unit_.get()));
}

InitiatorSocket &RegisterModule::queue()
{
    return initiator(*iom_register_unit_queue(unit_.get()));
}

TargetSocket &RegisterModule::monitor(uint32_t index)
{
    return target(*iom_register_unit_monitor(unit_.get(), index));
}

InitiatorSocket &RegisterModule::memory()
{
    return initiator(*iom_register_unit_memory(unit_.get()));
}

InitiatorSocket &RegisterModule::translate()
{
    return initiator(*iom_register_unit_translate(unit_.get()));
}

iom_register_unit &RegisterModule::registers()
{
    return *unit_;
}

// ---- commands ------------------------------------------------------------------------------------------

namespace
{

std::shared_ptr<iom_command_queue> make_queue(const sc_core::sc_module_name &name,
                                              const iom_command_queue_config &config)
{
    if (config.prefetch_commands == 0 || config.decode_cycles == 0 || config.max_in_flight == 0)
        throw std::invalid_argument(
            std::string(static_cast<const char *>(name)) +
            ": prefetch_commands, decode_cycles and max_in_flight must be at least 1");
    return {&made(iom_command_queue_create(&config, name)), iom_command_queue_destroy};
}

std::shared_ptr<iom_fanout> make_fanout(const sc_core::sc_module_name &name, const iom_fanout_config &config)
{
    return {&made(iom_fanout_create(&config, name)), iom_fanout_destroy};
}

} // namespace

CommandQueueModule::CommandQueueModule(const sc_core::sc_module_name &name,
                                       const iom_command_queue_config &config, uint64_t tick_ps)
    : CommandQueueModule(name, make_queue(name, config), tick_ps)
{
}

CommandQueueModule::CommandQueueModule(const sc_core::sc_module_name &name,
                                       const std::shared_ptr<iom_command_queue> &unit, uint64_t tick_ps)
    : UnitModule(name, {iom_command_queue_unit(unit.get())}, tick_ps, unit), unit_(unit)
{
    unlimited(requester(*iom_command_queue_port(unit.get(), IOM_COMMAND_QUEUE_EVENTS)));
    unlimited(requester(*iom_command_queue_port(unit.get(), IOM_COMMAND_QUEUE_FANOUT)));
    requester(*iom_command_queue_port(unit.get(), IOM_COMMAND_QUEUE_FANOUT)).required = true;
    requester(*iom_command_queue_port(unit.get(), IOM_COMMAND_QUEUE_MEMORY)).foreign_allowed = true;
}

TargetSocket &CommandQueueModule::setup()
{
    return target(*iom_command_queue_port(unit_.get(), IOM_COMMAND_QUEUE_SETUP));
}

InitiatorSocket &CommandQueueModule::events()
{
    return initiator(*iom_command_queue_port(unit_.get(), IOM_COMMAND_QUEUE_EVENTS));
}

InitiatorSocket &CommandQueueModule::memory()
{
    return initiator(*iom_command_queue_port(unit_.get(), IOM_COMMAND_QUEUE_MEMORY));
}

InitiatorSocket &CommandQueueModule::fanout()
{
    return initiator(*iom_command_queue_port(unit_.get(), IOM_COMMAND_QUEUE_FANOUT));
}

iom_command_queue &CommandQueueModule::queue()
{
    return *unit_;
}

FanoutModule::FanoutModule(const sc_core::sc_module_name &name, const iom_fanout_config &config,
                           uint64_t tick_ps)
    : FanoutModule(name, make_fanout(name, config), config, tick_ps)
{
}

FanoutModule::FanoutModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_fanout> &unit,
                           const iom_fanout_config &config, uint64_t tick_ps)
    : UnitModule(name, {iom_fanout_unit(unit.get())}, tick_ps, unit), unit_(unit)
{
    unlimited(requester(*iom_fanout_events(unit.get())));
    for (uint32_t i = 0; i < config.participants; i++) {
        RequesterEnd &end = requester(*iom_fanout_participant(unit.get(), i));
        unlimited(end);
        end.required = true; // a broadcast waits for every acknowledgement
    }
    for (uint32_t i = 0; i < config.devices; i++)
        unlimited(requester(*iom_fanout_device(unit.get(), i))); // at most 32, by invalidation tag
}

TargetSocket &FanoutModule::source(uint32_t index)
{
    return target(*iom_fanout_source(unit_.get(), index));
}

InitiatorSocket &FanoutModule::participant(uint32_t index)
{
    return initiator(*iom_fanout_participant(unit_.get(), index));
}

InitiatorSocket &FanoutModule::device(uint32_t index)
{
    return initiator(*iom_fanout_device(unit_.get(), index));
}

InitiatorSocket &FanoutModule::events()
{
    return initiator(*iom_fanout_events(unit_.get()));
}

iom_fanout &FanoutModule::fanout()
{
    return *unit_;
}

} // namespace iommu_sim
