// SPDX-License-Identifier: Apache-2.0
//
// The IOMMU as SystemC modules with named sockets, for platforms of others. Each is a UnitModule around
// the core unit of the same name and is configured by that unit's struct; nothing here decides anything.
//
//   FrontendModule                 in0.., next, walk, memory, fault, control, monitor      core/stage.h
//   ContextCacheModule, PasidCacheModule, IotlbModule      the same sockets       core/stage.h
//   WalkerModule                   in0.., memory, psc, control                    core/walker.h
//   PagingStructureCacheModule     in, control                                    core/psc.h
//   RegisterModule                 mmio, fault0.., event0.., monitor0.., fanout, queue, memory,
//                                  translate                                      core/register_unit.h
//   CommandQueueModule             setup, events, memory, fanout                  core/command_queue.h
//   FanoutModule                   source0.., participant0.., device0.., events   core/fanout.h
//   DeviceTlbModule                device, host, invalidate, messages             core/device_tlb.h
//   LinkModule                     device, host, fanout, invalidate               core/link.h
//   MemoryModule                   in0..                                          core/memory.h
//   IommuModule                    in0.., memory, table, queue, stores, mmio, ats0..       core/iommu.h, in
//   one module
//
// A front end that owns all three look-ups is the fused IOMMU; with none it passes requests on through
// `next` to cache modules that own one each. Foreign modules may be bound to the inputs of a front end
// and of memory, to mmio, and to the memory sockets; the other sockets carry messages that only modules
// of this library understand. transport_dbg on an input translates by a walk of the tables as they are,
// without caches, faults or time, and goes on to memory; see docs/systemc.md.
//
// All constructors throw std::invalid_argument if the configuration is unusable, std::bad_alloc if memory
// is out. Architectures and their configurations outlive the modules.
#ifndef IOMMU_SIM_MODELS_SYSTEMC_MODULES_H
#define IOMMU_SIM_MODELS_SYSTEMC_MODULES_H

#include <memory>

#include "core/command_queue.h"
#include "core/device_tlb.h"
#include "core/fanout.h"
#include "core/iommu.h"
#include "core/link.h"
#include "core/memory.h"
#include "core/psc.h"
#include "core/register_unit.h"
#include "core/stage.h"
#include "core/walker.h"
#include "models/systemc/unit_module.h"

namespace iommu_sim
{

/// Any look-up stage. Cache tags (match, index, payload of the geometries) are completed here.
class StageModule : public UnitModule
{
  public:
    StageModule(const sc_core::sc_module_name &name, const iom_stage_config &config, enum iom_tagging tagging,
                uint64_t tick_ps);

    TargetSocket &in(uint32_t index);
    InitiatorSocket &next();
    InitiatorSocket &walk();
    InitiatorSocket &memory();
    InitiatorSocket &fault();
    TargetSocket &control();
    InitiatorSocket &monitor(); ///< events for performance counters; may stay unbound
    /// Reports that wait at the register unit (IOM_STAGE_FAULT); without it any number.
    void set_report_depth(uint32_t depth);
    iom_stage &stage();

  private:
    StageModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_stage> &stage,
                const iom_stage_config &config, uint64_t tick_ps);
    std::shared_ptr<iom_stage> stage_;
    const iom_arch *arch_;
};

/// First stage: sets config.front.
class FrontendModule final : public StageModule
{
  public:
    FrontendModule(const sc_core::sc_module_name &name, iom_stage_config config, enum iom_tagging tagging,
                   uint64_t tick_ps);
    /// Requester assumed for payloads without IommuExtension on input `index`.
    void set_source_id(uint32_t index, uint32_t source_id);
};

/// Stages that own one look-up; config.lookup[which] says its geometry.
class ContextCacheModule final : public StageModule
{
  public:
    ContextCacheModule(const sc_core::sc_module_name &name, const iom_stage_config &config, uint64_t tick_ps);
};

class PasidCacheModule final : public StageModule
{
  public:
    PasidCacheModule(const sc_core::sc_module_name &name, const iom_stage_config &config, uint64_t tick_ps);
};

class IotlbModule final : public StageModule
{
  public:
    IotlbModule(const sc_core::sc_module_name &name, const iom_stage_config &config, enum iom_tagging tagging,
                uint64_t tick_ps);
};

class WalkerModule final : public UnitModule
{
  public:
    WalkerModule(const sc_core::sc_module_name &name, const iom_walker_config &config, uint64_t tick_ps);

    TargetSocket &in(uint32_t index);
    InitiatorSocket &memory();
    InitiatorSocket &psc();
    TargetSocket &control();
    iom_walker &walker();

  private:
    WalkerModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_walker> &walker,
                 uint32_t walkers, uint64_t tick_ps);
    std::shared_ptr<iom_walker> walker_;
};

class PagingStructureCacheModule final : public UnitModule
{
  public:
    PagingStructureCacheModule(const sc_core::sc_module_name &name, const iom_psc_config &config,
                               uint32_t lookups_per_cycle, uint64_t tick_ps);

    TargetSocket &in();
    TargetSocket &control();
    iom_psc &psc();

  private:
    PagingStructureCacheModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_psc_unit> &unit,
                               uint64_t tick_ps);
    std::shared_ptr<iom_psc_unit> unit_;
};

class RegisterModule final : public UnitModule
{
  public:
    RegisterModule(const sc_core::sc_module_name &name, const iom_register_unit_config &config,
                   uint64_t tick_ps);

    TargetSocket &mmio();
    TargetSocket &fault(uint32_t index);
    TargetSocket &event(uint32_t index);
    InitiatorSocket &fanout();
    InitiatorSocket &queue();
    TargetSocket &monitor(uint32_t index);
    InitiatorSocket &memory();    ///< stores; unbound: they are done at once
    InitiatorSocket &translate(); ///< to an input of the front end; unbound: translations are refused
    iom_register_unit &registers();

  private:
    RegisterModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_register_unit> &unit,
                   const iom_register_unit_config &config, uint64_t tick_ps);
    std::shared_ptr<iom_register_unit> unit_;
};

class CommandQueueModule final : public UnitModule
{
  public:
    CommandQueueModule(const sc_core::sc_module_name &name, const iom_command_queue_config &config,
                       uint64_t tick_ps);

    TargetSocket &setup();
    InitiatorSocket &events();
    InitiatorSocket &memory();
    InitiatorSocket &fanout();
    iom_command_queue &queue();

  private:
    CommandQueueModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_command_queue> &unit,
                       uint64_t tick_ps);
    std::shared_ptr<iom_command_queue> unit_;
};

class FanoutModule final : public UnitModule
{
  public:
    FanoutModule(const sc_core::sc_module_name &name, const iom_fanout_config &config, uint64_t tick_ps);

    TargetSocket &source(uint32_t index);
    /// To the control socket of every stage, walker and paging-structure cache; 0 is the front end.
    InitiatorSocket &participant(uint32_t index);
    InitiatorSocket &device(uint32_t index);
    InitiatorSocket &events();
    iom_fanout &fanout();

  private:
    FanoutModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_fanout> &unit,
                 const iom_fanout_config &config, uint64_t tick_ps);
    std::shared_ptr<iom_fanout> unit_;
};

/// The device TLB of an endpoint; sits between the device and the link (or the IOMMU). The configuration's
/// stream is assumed for payloads without IommuExtension.
class DeviceTlbModule final : public UnitModule
{
  public:
    DeviceTlbModule(const sc_core::sc_module_name &name, const iom_device_tlb_config &config,
                    uint64_t tick_ps);

    TargetSocket &device();
    InitiatorSocket &host();
    TargetSocket &invalidate();  ///< from the fan-out, or the link
    InitiatorSocket &messages(); ///< page responses for the device; may stay unbound
    iom_device_tlb &device_tlb();

  private:
    DeviceTlbModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_device_tlb> &unit,
                    uint32_t stream, uint64_t tick_ps);
    std::shared_ptr<iom_device_tlb> unit_;
};

/// A PCI Express link (core/link.h). Flight times are those of the sockets' connections, of requests the
/// flight_cycles of its configuration besides: only these lie in front of its receive buffers.
class LinkModule final : public UnitModule
{
  public:
    LinkModule(const sc_core::sc_module_name &name, const iom_link_unit_config &config, uint64_t tick_ps);

    TargetSocket &device();
    InitiatorSocket &host();
    TargetSocket &fanout();        ///< invalidation requests and, back, their completions
    InitiatorSocket &invalidate(); ///< to the device TLB
    /// Requester assumed for payloads without IommuExtension.
    void set_source_id(uint32_t source_id);

  private:
    LinkModule(const sc_core::sc_module_name &name, const std::shared_ptr<iom_link> &link, uint64_t tick_ps);
    std::shared_ptr<iom_link> link_;
};

class MemoryModule final : public UnitModule
{
  public:
    /// Answers in [first, last] (inclusive, page aligned); image() can be given more ranges.
    MemoryModule(const sc_core::sc_module_name &name, const iom_memory_config &config, uint64_t first,
                 uint64_t last, uint64_t tick_ps);

    TargetSocket &in(uint32_t index);
    iom_memory_image &image();

  private:
    struct Parts;
    MemoryModule(const sc_core::sc_module_name &name, const std::shared_ptr<Parts> &parts, uint32_t inputs,
                 uint64_t tick_ps);
    std::shared_ptr<Parts> parts_;
};

class IommuModule final : public UnitModule
{
  public:
    IommuModule(const sc_core::sc_module_name &name, const iom_iommu_config &config, uint64_t tick_ps);

    TargetSocket &in(uint32_t index);
    InitiatorSocket &memory(); ///< translated DMA
    InitiatorSocket &table();  ///< table reads and updates
    InitiatorSocket &queue();  ///< command reads and status writes; unbound: commands are not fetched
    InitiatorSocket &stores(); ///< records and interrupt messages; unbound: they are done at once
    InitiatorSocket &ats(uint32_t index);
    TargetSocket &mmio();
    /// Requester assumed for payloads without IommuExtension on input `index`.
    void set_source_id(uint32_t index, uint32_t source_id);
    iom_iommu &iommu();

  private:
    struct Parts;
    IommuModule(const sc_core::sc_module_name &name, const std::shared_ptr<Parts> &parts, uint64_t tick_ps);
    std::shared_ptr<Parts> parts_;
};

} // namespace iommu_sim

#endif
