// SPDX-License-Identifier: Apache-2.0
//
// Named modules: each makes its core unit, hands it to UnitModule to keep, and opens the sockets that
// foreign modules may use. See modules.h.
#include "models/systemc/modules.h"

#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "models/systemc/debug_access.h"

namespace iommu_sim
{

namespace
{

template <typename T> T &made(T *unit)
{
    if (unit == nullptr)
        throw std::bad_alloc();
    return *unit;
}

void check_geometry(const sc_core::sc_module_name &name, const char *what, const iom_cache_config &cache)
{
    if (const char *error = iom_cache_config_error(&cache))
        throw std::invalid_argument(std::string(static_cast<const char *>(name)) + ": " + what + ": " +
                                    error);
}

std::vector<iom_unit *> units_of(const iom_netlist &netlist)
{
    return {netlist.units, netlist.units + netlist.unit_count};
}

// One-way and broadcast connections: their receivers always have room.
void unlimited(RequesterEnd &end)
{
    end.link.depth = 0;
}

} // namespace

// ---- stages ------------------------------------------------------------------------------------------

namespace
{

std::shared_ptr<iom_stage> make_stage(const sc_core::sc_module_name &name, iom_stage_config config,
                                      enum iom_tagging tagging)
{
    for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++) {
        if (!config.lookup[which].owned)
            continue;
        iom_iommu_lookup_tags(static_cast<iom_lookup>(which), tagging, &config.lookup[which].cache);
        check_geometry(name, "look-up cache", config.lookup[which].cache);
    }
    return {&made(iom_stage_create(&config, name)), iom_stage_destroy};
}

iom_stage_config owning(iom_stage_config config, iom_lookup which)
{
    config.front = false;
    for (auto &lookup : config.lookup)
        lookup.owned = false;
    config.lookup[which].owned = true;
    return config;
}

} // namespace

StageModule::StageModule(const sc_core::sc_module_name &name, const iom_stage_config &config,
                         enum iom_tagging tagging, uint64_t tick_ps)
    : StageModule(name, make_stage(name, config, tagging), config, tick_ps)
{
}

StageModule::StageModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_stage> &stage,
                         const iom_stage_config &config, uint64_t tick_ps)
    : UnitModule(name, {iom_stage_unit(stage.get())}, tick_ps, stage), stage_(stage), arch_(config.arch)
{
    unlimited(requester(*iom_stage_port(stage.get(), IOM_STAGE_FAULT)));
    RequesterEnd &exit = requester(*iom_stage_port(stage.get(), IOM_STAGE_MEMORY));
    exit.foreign_allowed = true;
    for (uint32_t i = 0; i < config.inputs && config.front; i++) {
        ResponderEnd &input = responder(*iom_stage_input(stage.get(), i));
        input.access = ForeignAccess::translate;
        input.debug = [this, &input, &exit](Payload &payload) {
            return debug_translate(*arch_, *iom_stage_view(stage_.get()), input.default_source_id,
                                   exit.socket, exit.socket, payload);
        };
    }
}

TargetSocket &StageModule::in(uint32_t index)
{
    return target(*iom_stage_input(stage_.get(), index));
}

InitiatorSocket &StageModule::next()
{
    return initiator(*iom_stage_port(stage_.get(), IOM_STAGE_NEXT));
}

InitiatorSocket &StageModule::walk()
{
    return initiator(*iom_stage_port(stage_.get(), IOM_STAGE_WALK));
}

InitiatorSocket &StageModule::memory()
{
    return initiator(*iom_stage_port(stage_.get(), IOM_STAGE_MEMORY));
}

InitiatorSocket &StageModule::fault()
{
    return initiator(*iom_stage_port(stage_.get(), IOM_STAGE_FAULT));
}

TargetSocket &StageModule::control()
{
    return target(*iom_stage_port(stage_.get(), IOM_STAGE_CONTROL));
}

iom_stage &StageModule::stage()
{
    return *stage_;
}

namespace
{

iom_stage_config as_front(iom_stage_config config)
{
    config.front = true;
    return config;
}

} // namespace

FrontendModule::FrontendModule(const sc_core::sc_module_name &name, iom_stage_config config,
                               enum iom_tagging tagging, uint64_t tick_ps)
    : StageModule(name, as_front(config), tagging, tick_ps)
{
}

void FrontendModule::set_source_id(uint32_t index, uint32_t source_id)
{
    responder(*iom_stage_input(&stage(), index)).default_source_id = source_id;
}

ContextCacheModule::ContextCacheModule(const sc_core::sc_module_name &name, const iom_stage_config &config,
                                       uint64_t tick_ps)
    : StageModule(name, owning(config, IOM_LOOKUP_CONTEXT), IOM_TAG_BY_DOMAIN, tick_ps)
{
}

PasidCacheModule::PasidCacheModule(const sc_core::sc_module_name &name, const iom_stage_config &config,
                                   uint64_t tick_ps)
    : StageModule(name, owning(config, IOM_LOOKUP_PASID), IOM_TAG_BY_DOMAIN, tick_ps)
{
}

IotlbModule::IotlbModule(const sc_core::sc_module_name &name, const iom_stage_config &config,
                         enum iom_tagging tagging, uint64_t tick_ps)
    : StageModule(name, owning(config, IOM_LOOKUP_IOTLB), tagging, tick_ps)
{
}

// ---- walks -------------------------------------------------------------------------------------------

namespace
{

void complete_psc(const sc_core::sc_module_name &name, iom_psc_config &config)
{
    for (uint8_t stage = 1; stage <= 2; stage++) {
        for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
            iom_cache_config &cache = config.cache[stage - 1][level];
            cache.payload_bytes = sizeof(iom_psc_entry);
            iom_iommu_psc_tags(stage, &cache);
            check_geometry(name, "paging-structure cache", cache);
        }
    }
}

std::shared_ptr<iom_walker> make_walker(const sc_core::sc_module_name &name, iom_walker_config config)
{
    complete_psc(name, config.psc);
    return {&made(iom_walker_create(&config, name)), iom_walker_destroy};
}

std::shared_ptr<iom_psc_unit> make_psc(const sc_core::sc_module_name &name, iom_psc_config config,
                                       uint32_t lookups_per_cycle)
{
    complete_psc(name, config);
    return {&made(iom_psc_unit_create(&config, lookups_per_cycle, name)), iom_psc_unit_destroy};
}

} // namespace

WalkerModule::WalkerModule(const sc_core::sc_module_name &name, const iom_walker_config &config,
                           uint64_t tick_ps)
    : WalkerModule(name, make_walker(name, config), config.walkers, tick_ps)
{
}

WalkerModule::WalkerModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_walker> &walker,
                           uint32_t walkers, uint64_t tick_ps)
    : UnitModule(name, {iom_walker_unit(walker.get())}, tick_ps, walker), walker_(walker)
{
    RequesterEnd &table = requester(*iom_walker_port(walker.get(), IOM_WALKER_MEMORY));
    table.foreign_allowed = true;
    table.required = true;
    requester(*iom_walker_port(walker.get(), IOM_WALKER_PSC)).link.depth = walkers;
}

TargetSocket &WalkerModule::in(uint32_t index)
{
    return target(*iom_walker_input(walker_.get(), index));
}

InitiatorSocket &WalkerModule::memory()
{
    return initiator(*iom_walker_port(walker_.get(), IOM_WALKER_MEMORY));
}

InitiatorSocket &WalkerModule::psc()
{
    return initiator(*iom_walker_port(walker_.get(), IOM_WALKER_PSC));
}

TargetSocket &WalkerModule::control()
{
    return target(*iom_walker_port(walker_.get(), IOM_WALKER_CONTROL));
}

iom_walker &WalkerModule::walker()
{
    return *walker_;
}

PagingStructureCacheModule::PagingStructureCacheModule(const sc_core::sc_module_name &name,
                                                       const iom_psc_config &config,
                                                       uint32_t lookups_per_cycle, uint64_t tick_ps)
    : PagingStructureCacheModule(name, make_psc(name, config, lookups_per_cycle), tick_ps)
{
}

PagingStructureCacheModule::PagingStructureCacheModule(const sc_core::sc_module_name &name,
                                                       const std::shared_ptr<iom_psc_unit> &unit,
                                                       uint64_t tick_ps)
    : UnitModule(name, {iom_psc_unit_unit(unit.get())}, tick_ps, unit), unit_(unit)
{
}

TargetSocket &PagingStructureCacheModule::in()
{
    return target(*iom_psc_unit_input(unit_.get()));
}

TargetSocket &PagingStructureCacheModule::control()
{
    return target(*iom_psc_unit_control(unit_.get()));
}

iom_psc &PagingStructureCacheModule::psc()
{
    return *iom_psc_unit_psc(unit_.get());
}

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

void open_mmio(ResponderEnd &mmio, const iom_arch &arch, iom_register_unit &registers)
{
    mmio.access = ForeignAccess::registers;
    mmio.debug = [&arch, &registers](Payload &payload) { return debug_registers(arch, registers, payload); };
}

std::shared_ptr<iom_register_unit> make_registers(const sc_core::sc_module_name &name,
                                                  const iom_register_unit_config &config)
{
    return {&made(iom_register_unit_create(&config, name)), iom_register_unit_destroy};
}

} // namespace

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
    for (uint32_t i = 0; i < config.participants; i++) {
        RequesterEnd &end = requester(*iom_register_unit_participant(unit.get(), i));
        unlimited(end);
        end.required = true; // a broadcast waits for every acknowledgement
    }
}

TargetSocket &RegisterModule::mmio()
{
    return target(*iom_register_unit_mmio(unit_.get()));
}

TargetSocket &RegisterModule::fault(uint32_t index)
{
    return target(*iom_register_unit_fault(unit_.get(), index));
}

InitiatorSocket &RegisterModule::participant(uint32_t index)
{
    return initiator(*iom_register_unit_participant(unit_.get(), index));
}

iom_register_unit &RegisterModule::registers()
{
    return *unit_;
}

// ---- link ----------------------------------------------------------------------------------------------

namespace
{

std::shared_ptr<iom_link> make_link(const sc_core::sc_module_name &name, const iom_link_unit_config &config)
{
    if (config.bytes_per_cycle == 0)
        throw std::invalid_argument(std::string(static_cast<const char *>(name)) +
                                    ": bytes_per_cycle must be at least 1");
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
}

TargetSocket &LinkModule::device()
{
    return target(*iom_link_device_port(link_.get()));
}

InitiatorSocket &LinkModule::host()
{
    return initiator(*iom_link_host_port(link_.get()));
}

void LinkModule::set_source_id(uint32_t source_id)
{
    responder(*iom_link_device_port(link_.get())).default_source_id = source_id;
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

// ---- a whole IOMMU -----------------------------------------------------------------------------------

struct IommuModule::Parts {
    Parts(const sc_core::sc_module_name &name, const iom_iommu_config &config)
    {
        iom_netlist_init(&netlist);
        if (const char *error = iom_iommu_init(&iommu, &config, name, &netlist, nullptr, nullptr)) {
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
    exit.link.depth = reads.link.depth = iommu.config.memory_queue_depth;
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
