// SPDX-License-Identifier: Apache-2.0
//
// Timed test bench: see timed_rig.h.
#include "models/verify/timed_rig.h"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "models/system.h"
#include "models/systemc/systemc_kernel.h"
#include "models/verify/riscv_family.h"

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
    iom_pool_init(&completion_pool_, IOM_MSG_DEVICE_INVALIDATION, sizeof(iom_ats_invalidation));
    iom_unit_init(&unit_.unit, &ops_, name.c_str(), ports_, port_count);
    iom_port_init(&unit_.unit, 0, "dma", true);
    iom_port_init(&unit_.unit, 1, "mmio", true);
    iom_port_init(&unit_.unit, 2, "messages", false);
    unit_.probe = this;
}

Probe::~Probe()
{
    iom_pool_free(&dma_pool_);
    iom_pool_free(&mmio_pool_);
    iom_pool_free(&completion_pool_);
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

void Probe::complete(const InvalidationCompletion &completion, unsigned tag)
{
    auto *message = static_cast<iom_ats_invalidation *>(iom_pool_take(&completion_pool_));
    if (message == nullptr)
        throw std::bad_alloc();
    constexpr unsigned counts = 8; // the field has three bits
    const iom_msg header = message->msg;
    *message = {};
    message->msg = header;
    message->what.stream = completion.device;
    message->tag = static_cast<uint8_t>(tag);
    message->count = static_cast<uint8_t>(completion.expected % counts);
    queued_.emplace_back(2, &message->msg);
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
    while (iom_port_peek(&ports_[2], now) != nullptr)
        take_message(iom_port_pop(&ports_[2]), now);
    for (auto [port, msg] : queued_) {
        if (port == 0)
            reinterpret_cast<iom_dma *>(msg)->issued = now;
        iom_port_send(&ports_[port], msg, now);
    }
    queued_.clear();
}

void Probe::take_message(iom_msg *msg, iom_cycle now)
{
    if (msg->kind == IOM_MSG_PAGE_RESPONSE) {
        devices_.receive(reinterpret_cast<iom_page_response_message *>(msg)->response);
        iom_msg_release(msg);
        return;
    }
    auto *request = reinterpret_cast<iom_ats_invalidation *>(msg);
    devices_.receive(request->what, request->tag);
    if (!devices_.answers_at_once()) {
        iom_msg_release(msg);
        return;
    }
    request->applied = now;
    iom_port_send(&ports_[2], msg, now);
}

// ---- systems -------------------------------------------------------------------------------------------

// The units are connected once, for whatever architectures the vectors bring: with every connection that one
// of them has.
static ArchInstance widest_architecture()
{
    return family_of("riscv").make_arch(VectorConfig{});
}

RigSystem::RigSystem(const Geometry &geometry, const std::string &name, iom_netlist &netlist, bool tracked)
    : probe(name + ".probe"), image(iom_memory_image_create()), instance_()
{
    instance_ = widest_architecture();
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
    memory.inputs = 4;
    memory_ = iom_memory_create(&memory, image, (name + ".memory").c_str());
    iom_iommu_config config = iommu_config(geometry.config, instance_.arch, 1);
    config.tracker = tracker;
    // The probe stands for every device of a vector.
    constexpr uint32_t every_device = IOM_STREAM_ANY;
    config.ats_devices = 1;
    config.ats_streams = &every_device;
    config.ats_tags = riscv::vector_invalidation_tags; // enough for devices that answer at once
    config.ats_tags_block_queue = true;
    config.ats_timeout_cycles = 0;
    if (image == nullptr || memory_ == nullptr)
        throw std::bad_alloc();
    const char *error = iom_iommu_init(&iommu, &config, name.c_str(), &netlist, iom_memory_input(memory_, 0),
                                       iom_memory_input(memory_, 1), iom_memory_input(memory_, 2),
                                       iom_memory_input(memory_, 3));
    if (error != nullptr)
        throw std::runtime_error(error);
    iom_link_config link = {1, 1, 1, 0};
    bool ok =
        iom_netlist_add(&netlist, iom_memory_unit(memory_)) && iom_netlist_add(&netlist, probe.unit()) &&
        iom_netlist_connect(&netlist, probe.dma_port(), iom_iommu_input(&iommu, 0), &link) &&
        iom_netlist_connect(&netlist, probe.mmio_port(), iom_register_unit_mmio(iommu.registers), &link) &&
        iom_netlist_connect(&netlist, iom_iommu_ats_port(&iommu, 0), probe.message_port(), &link);
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

void RigSystem::reset(const ArchInstance &instance, const std::vector<RamRange> &ram,
                      const DeviceSide &devices, iom_cycle now)
{
    probe.reset(devices);
    instance_ = instance;
    iommu.arch = instance.arch;
    iom_memory_image_reset(image);
    for (const RamRange &range : ram) {
        if (!iom_memory_image_add_range(image, range.first, range.last))
            throw std::bad_alloc();
    }
    changes.attach(image);
    iom_register_unit_reset(iommu.registers);
    iom_command_queue_reset(iommu.queue);
    iom_iommu_sync_view(&iommu);
    iom_iommu_flush(&iommu, now);
}

// ---- rig -----------------------------------------------------------------------------------------------

TimedRig::TimedRig(const std::vector<Geometry> &geometries, const std::string &kernel, bool tracked)
{
    iom_netlist_init(&netlist_);
    for (size_t i = 0; i < geometries.size(); i++)
        systems_.push_back(
            std::make_unique<RigSystem>(geometries[i], "iommu" + std::to_string(i), netlist_, tracked));
    if (kernel == "systemc")
        kernel_ = std::make_unique<SystemcKernel>(netlist_, partition(), 1000);
    else
        kernel_ = std::make_unique<CoreKernel>(netlist_);
    settle();
}

// A module for each unit, but fan-out and probe in one: devices send messages that nobody has asked for,
// which SystemC sockets do not carry.
Partition TimedRig::partition() const
{
    Partition sets = partition_by_unit(netlist_);
    const auto index = [this](const iom_unit *unit) {
        size_t at = 0;
        while (netlist_.units[at] != unit)
            at++;
        return at;
    };
    for (const auto &system : systems_)
        sets[index(system->probe.unit())] = sets[index(iom_fanout_unit(system->iommu.fanout))];
    return sets;
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
    if (kernel_->run(IOM_NEVER - 1, nullptr) != IOM_RUN_DEADLOCK)
        return;
    const bool waits_for_devices = std::any_of(systems_.begin(), systems_.end(), [](const auto &system) {
        return system->probe.devices().holds_any();
    });
    if (!waits_for_devices)
        throw std::runtime_error("deadlock: " + kernel_->explain());
}

void TimedRig::expire(RigSystem &system, uint32_t tags)
{
    iom_fanout_expire(system.iommu.fanout, tags, kernel_->now() + 1);
    system.probe.devices().expire(tags);
    settle();
}

void TimedRig::give_up(RigSystem &system)
{
    while (system.probe.devices().holds_any())
        expire(system, UINT32_MAX);
}

} // namespace iommu_sim::verify
