// SPDX-License-Identifier: Apache-2.0
//
// Named modules around the IOMMU: device TLB, link, memory. See modules.h.
#include "models/systemc/debug_access.h"
#include "models/systemc/modules.h"
#include "models/systemc/modules_internal.h"

namespace iommu_sim
{

// ---- link ----------------------------------------------------------------------------------------------

namespace
{

std::shared_ptr<iom_link> make_link(const sc_core::sc_module_name &name, const iom_link_unit_config &config)
{
    if (config.bytes_per_cycle == 0)
        unusable(name, "bytes_per_cycle must be at least 1");
    return {&made(iom_link_create(&config, name)), iom_link_destroy};
}

} // namespace

LinkModule::LinkModule(const sc_core::sc_module_name &name, const iom_link_unit_config &config,
                       uint64_t tick_ps)
    : LinkModule(name, make_link(name, config), tick_ps)
{
}

LinkModule::LinkModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_link> &link,
                       uint64_t tick_ps)
    : UnitModule(name, {iom_link_unit(link.get())}, tick_ps, link), link_(link)
{
    ResponderEnd &input = responder(*iom_link_device_port(link.get()));
    RequesterEnd &exit = requester(*iom_link_host_port(link.get()));
    input.access = ForeignAccess::translate;
    // A link adds time, not content: debug accesses go on to what is behind it.
    input.debug = [&exit](Payload &payload) { return exit.socket->transport_dbg(payload); };
    unlimited(requester(*iom_link_invalidate_port(link.get()))); // at most 32, by invalidation tag
}

TargetSocket &LinkModule::device()
{
    return target(*iom_link_device_port(link_.get()));
}

InitiatorSocket &LinkModule::host()
{
    return initiator(*iom_link_host_port(link_.get()));
}

TargetSocket &LinkModule::fanout()
{
    return target(*iom_link_fanout_port(link_.get()));
}

InitiatorSocket &LinkModule::invalidate()
{
    return initiator(*iom_link_invalidate_port(link_.get()));
}

void LinkModule::set_source_id(uint32_t source_id)
{
    responder(*iom_link_device_port(link_.get())).default_source_id = source_id;
}

// ---- device TLB ----------------------------------------------------------------------------------------

namespace
{

std::shared_ptr<iom_device_tlb> make_device_tlb(const sc_core::sc_module_name &name,
                                                iom_device_tlb_config config)
{
    config.cache.match = config.cache.index = 0; // set by the unit
    check_geometry(name, "cache", config.cache);
    if (config.lookups_per_cycle == 0 || config.outstanding == 0)
        unusable(name, "lookups_per_cycle and outstanding must be at least 1");
    if (config.queue_depth == 0 || config.queue_depth > IOM_INVALIDATION_TAGS)
        unusable(name, "queue_depth must be from 1 to 32");
    return {&made(iom_device_tlb_create(&config, name)), iom_device_tlb_destroy};
}

} // namespace

DeviceTlbModule::DeviceTlbModule(const sc_core::sc_module_name &name, const iom_device_tlb_config &config,
                                 uint64_t tick_ps)
    : DeviceTlbModule(name, make_device_tlb(name, config), config.stream, tick_ps)
{
}

DeviceTlbModule::DeviceTlbModule(const sc_core::sc_module_name &name,
                                 const std::shared_ptr<iom_device_tlb> &unit, uint32_t stream,
                                 uint64_t tick_ps)
    : UnitModule(name, {iom_device_tlb_unit(unit.get())}, tick_ps, unit), unit_(unit)
{
    ResponderEnd &input = responder(*iom_device_tlb_port(unit.get(), IOM_DEVICE_TLB_DEVICE));
    RequesterEnd &exit = requester(*iom_device_tlb_port(unit.get(), IOM_DEVICE_TLB_HOST));
    exit.required = true;
    unlimited(requester(*iom_device_tlb_port(unit.get(), IOM_DEVICE_TLB_MESSAGES)));
    input.access = ForeignAccess::translate;
    input.default_source_id = stream;
    // Debug accesses see the tables as they are, not what the device has cached.
    input.debug = [&exit](Payload &payload) { return exit.socket->transport_dbg(payload); };
}

TargetSocket &DeviceTlbModule::device()
{
    return target(*iom_device_tlb_port(unit_.get(), IOM_DEVICE_TLB_DEVICE));
}

InitiatorSocket &DeviceTlbModule::host()
{
    return initiator(*iom_device_tlb_port(unit_.get(), IOM_DEVICE_TLB_HOST));
}

TargetSocket &DeviceTlbModule::invalidate()
{
    return target(*iom_device_tlb_port(unit_.get(), IOM_DEVICE_TLB_INVALIDATE));
}

InitiatorSocket &DeviceTlbModule::messages()
{
    return initiator(*iom_device_tlb_port(unit_.get(), IOM_DEVICE_TLB_MESSAGES));
}

iom_device_tlb &DeviceTlbModule::device_tlb()
{
    return *unit_;
}

// ---- memory ------------------------------------------------------------------------------------------

struct MemoryModule::Parts {
    Parts(const sc_core::sc_module_name &name, const iom_memory_config &config, uint64_t first, uint64_t last)
        : image(&made(iom_memory_image_create()), iom_memory_image_destroy)
    {
        if (!iom_memory_image_add_range(image.get(), first, last))
            throw std::bad_alloc();
        iom_memory_config complete = config;
        complete.llc.match = IOM_TAG_ADDRESS;
        check_geometry(name, "last-level cache", complete.llc);
        memory.reset(&made(iom_memory_create(&complete, image.get(), name)), iom_memory_destroy);
    }
    std::shared_ptr<iom_memory_image> image;
    std::shared_ptr<iom_memory> memory;
};

MemoryModule::MemoryModule(const sc_core::sc_module_name &name, const iom_memory_config &config,
                           uint64_t first, uint64_t last, uint64_t tick_ps)
    : MemoryModule(name, std::make_shared<Parts>(name, config, first, last), config.inputs, tick_ps)
{
}

MemoryModule::MemoryModule(const sc_core::sc_module_name &name, const std::shared_ptr<Parts> &parts,
                           uint32_t inputs, uint64_t tick_ps)
    : UnitModule(name, {iom_memory_unit(parts->memory.get())}, tick_ps, parts), parts_(parts)
{
    iom_memory_image &image = *parts->image;
    for (uint32_t i = 0; i < inputs; i++) {
        ResponderEnd &input = responder(*iom_memory_input(parts->memory.get(), i));
        input.access = ForeignAccess::memory;
        input.debug = [&image](Payload &payload) { return debug_image(image, payload); };
    }
}

TargetSocket &MemoryModule::in(uint32_t index)
{
    return target(*iom_memory_input(parts_->memory.get(), index));
}

iom_memory_image &MemoryModule::image()
{
    return *parts_->image;
}

} // namespace iommu_sim
