// SPDX-License-Identifier: Apache-2.0
//
// Timed test bench: see timed_rig.h.
#include "models/verify/timed_rig.h"

#include <new>
#include <stdexcept>

#include "models/system.h"
#include "models/systemc/systemc_kernel.h"
#include "models/verify/family.h"

namespace iommu_sim::verify
{

// ---- geometries ----------------------------------------------------------------------------------------

namespace
{

void shape(CacheGeometry &cache, uint32_t entries, uint32_t ways)
{
    cache.entries = entries;
    cache.ways = ways;
}

void shape_psc(PscStageSettings &stage, uint32_t entries)
{
    for (CacheGeometry *level : {&stage.level2, &stage.level3, &stage.level4, &stage.level5})
        shape(*level, entries, entries);
}

SystemConfig with_caches(uint32_t entries, uint32_t ways, uint32_t psc_entries)
{
    SystemConfig config;
    shape(config.iotlb, entries, ways);
    shape(config.context_cache, entries, ways);
    shape(config.pasid_cache, entries, ways);
    shape_psc(config.psc.stage1, psc_entries);
    shape_psc(config.psc.stage2, psc_entries);
    config.memory.latency_cycles = 20;
    config.driver.mmio_cycles = 1;
    return config;
}

} // namespace

std::vector<Geometry> builtin_geometries()
{
    SystemConfig chained = with_caches(16, 4, 4);
    chained.iommu.wiring = Wiring::chained;
    return {{"large", with_caches(1024, 1024, 256)}, {"small", with_caches(2, 1, 1)}, {"chained", chained}};
}

// ---- probe ---------------------------------------------------------------------------------------------

const iom_unit_ops Probe::ops_ = {"probe", Probe::advance, nullptr, nullptr, nullptr, nullptr, nullptr};

Probe::Probe(const std::string &name)
{
    iom_pool_init(&dma_pool_, IOM_MSG_DMA, sizeof(iom_dma));
    iom_pool_init(&mmio_pool_, IOM_MSG_MMIO, sizeof(iom_mmio));
    iom_unit_init(&unit_.unit, &ops_, name.c_str(), ports_, 2);
    iom_port_init(&unit_.unit, 0, "dma", true);
    iom_port_init(&unit_.unit, 1, "mmio", true);
    unit_.probe = this;
}

Probe::~Probe()
{
    iom_pool_free(&dma_pool_);
    iom_pool_free(&mmio_pool_);
}

void Probe::send(const iom_xlate &request)
{
    auto *dma = static_cast<iom_dma *>(iom_pool_take(&dma_pool_));
    if (dma == nullptr)
        throw std::bad_alloc();
    dma->x = request;
    dma->id = 0;
    dma->data = nullptr;
    answered_ = false;
    queued_.emplace_back(0, &dma->msg);
}

void Probe::write_register(uint32_t offset, unsigned bytes, uint64_t value)
{
    auto *mmio = static_cast<iom_mmio *>(iom_pool_take(&mmio_pool_));
    if (mmio == nullptr)
        throw std::bad_alloc();
    mmio->offset = offset;
    mmio->bytes = static_cast<uint8_t>(bytes);
    mmio->value = value;
    mmio->write = true;
    queued_.emplace_back(1, &mmio->msg);
}

iom_cycle Probe::advance(iom_unit *unit, iom_cycle now)
{
    reinterpret_cast<Unit *>(unit)->probe->step(now);
    return IOM_NEVER;
}

void Probe::step(iom_cycle now)
{
    while (iom_port_peek(&ports_[0], now) != nullptr) {
        iom_msg *msg = iom_port_pop(&ports_[0]);
        answer_ = *reinterpret_cast<iom_dma *>(msg);
        answered_ = true;
        iom_msg_release(msg);
    }
    while (iom_port_peek(&ports_[1], now) != nullptr)
        iom_msg_release(iom_port_pop(&ports_[1]));
    for (auto [port, msg] : queued_) {
        if (port == 0)
            reinterpret_cast<iom_dma *>(msg)->issued = now;
        iom_port_send(&ports_[port], msg, now);
    }
    queued_.clear();
}

// ---- systems -------------------------------------------------------------------------------------------

RigSystem::RigSystem(const Geometry &geometry, const std::string &name, iom_netlist &netlist, bool tracked)
    : probe(name + ".probe"), image(iom_memory_image_create()), instance_()
{
    const Family &family = family_of("vtd");
    instance_ = family.make_arch(VectorConfig{});
    if (tracked) {
        iom_tracker_config watch = {};
        watch.image = image;
        watch.iommus = 1;
        watch.iommu[0].arch = &iommu.arch; // filled in below, and again with each vector
        watch.findings_per_kind = 1;
        tracker = iom_tracker_create(&watch);
        if (tracker == nullptr)
            throw std::bad_alloc();
    }
    iom_memory_config memory = memory_config(geometry.config);
    memory.tracker = tracker;
    memory.inputs = 3;
    memory_ = iom_memory_create(&memory, image, (name + ".memory").c_str());
    iom_iommu_config config = iommu_config(geometry.config, instance_.arch, 1);
    config.tracker = tracker;
    // The probe stands for every device of a vector, and answers invalidations of device TLBs at once.
    config.ats_timeout_cycles = 0;
    if (image == nullptr || memory_ == nullptr)
        throw std::bad_alloc();
    const char *error = iom_iommu_init(&iommu, &config, name.c_str(), &netlist, iom_memory_input(memory_, 0),
                                       iom_memory_input(memory_, 1), iom_memory_input(memory_, 2));
    if (error != nullptr)
        throw std::runtime_error(error);
    iom_link_config link = {1, 1, 1, 0};
    bool ok =
        iom_netlist_add(&netlist, iom_memory_unit(memory_)) && iom_netlist_add(&netlist, probe.unit()) &&
        iom_netlist_connect(&netlist, probe.dma_port(), iom_iommu_input(&iommu, 0), &link) &&
        iom_netlist_connect(&netlist, probe.mmio_port(), iom_register_unit_mmio(iommu.registers), &link);
    if (!ok)
        throw std::bad_alloc();
}

RigSystem::~RigSystem()
{
    iom_iommu_free(&iommu);
    iom_memory_destroy(memory_);
    iom_tracker_destroy(tracker);
    iom_memory_image_destroy(image);
}

uint64_t RigSystem::stale_uses(iom_cycle now)
{
    if (tracker == nullptr)
        return 0;
    iom_tracker_settle(tracker, now);
    return iom_tracker_stats_of(tracker)->stale_uses;
}

void RigSystem::reset(const ArchInstance &instance, const std::vector<RamRange> &ram, iom_cycle now)
{
    instance_ = instance;
    iommu.arch = instance.arch;
    iom_memory_image_reset(image);
    for (const RamRange &range : ram) {
        if (!iom_memory_image_add_range(image, range.first, range.last))
            throw std::bad_alloc();
    }
    iom_register_unit_reset(iommu.registers);
    iom_command_queue_reset(iommu.queue);
    iom_iommu_sync_view(&iommu);
    iom_iommu_flush(&iommu, now);
}

// ---- rig -----------------------------------------------------------------------------------------------

TimedRig::TimedRig(const std::vector<Geometry> &geometries, const std::string &kernel,
                   const std::string &machine, bool tracked)
{
    family_of(machine); // throws for an unknown one
    iom_netlist_init(&netlist_);
    for (size_t i = 0; i < geometries.size(); i++)
        systems_.push_back(
            std::make_unique<RigSystem>(geometries[i], "iommu" + std::to_string(i), netlist_, tracked));
    if (kernel == "systemc")
        kernel_ = std::make_unique<SystemcKernel>(netlist_, partition_by_unit(netlist_), 1000);
    else
        kernel_ = std::make_unique<CoreKernel>(netlist_);
    settle();
}

TimedRig::~TimedRig()
{
    kernel_.reset();
    iom_netlist_free(&netlist_);
}

void TimedRig::settle()
{
    for (const auto &system : systems_)
        iom_unit_wake(system->probe.unit(), kernel_->now() + 1);
    if (kernel_->run(IOM_NEVER - 1, nullptr) == IOM_RUN_DEADLOCK)
        throw std::runtime_error("deadlock: " + kernel_->explain());
}

} // namespace iommu_sim::verify
