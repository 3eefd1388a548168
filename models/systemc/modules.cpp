// SPDX-License-Identifier: Apache-2.0
//
// Named modules: each makes its core unit, hands it to UnitModule to keep, and opens the sockets that
// foreign modules may use. Here look-up stages and walks. See modules.h.
#include "models/systemc/modules.h"

#include "models/systemc/debug_access.h"
#include "models/systemc/modules_internal.h"

namespace iommu_sim
{

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
    unlimited(requester(*iom_stage_port(stage.get(), IOM_STAGE_MONITOR)));
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

InitiatorSocket &StageModule::monitor()
{
    return initiator(*iom_stage_port(stage_.get(), IOM_STAGE_MONITOR));
}

void StageModule::set_report_depth(uint32_t depth)
{
    requester(*iom_stage_port(stage_.get(), IOM_STAGE_FAULT)).link.depth = depth;
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

} // namespace iommu_sim
