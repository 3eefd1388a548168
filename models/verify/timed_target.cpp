// SPDX-License-Identifier: Apache-2.0
//
// Timed target: see timed_target.h.
#include "models/verify/timed_target.h"

#include <stdexcept>

#include "models/verify/family.h"

namespace iommu_sim::verify
{

TimedTarget::TimedTarget(std::shared_ptr<TimedRig> rig, size_t index, const VectorConfig &config)
    : rig_(std::move(rig)), system_(rig_->system(index))
{
    const Family &family = family_of(config.machine);
    rig_->give_up(system_); // what the vector before has left
    system_.reset(family.make_arch(config), family.ram(config), DeviceSide(family.invalidation_tags(config)),
                  rig_->now());
    take_drain();
}

void TimedTarget::write_memory(uint64_t address, const void *data, size_t bytes)
{
    const auto *from = static_cast<const uint8_t *>(data);
    by_page(address, bytes, [&](uint64_t at, size_t offset, size_t piece) {
        if (iom_memory_image_answers(system_.image, at, piece))
            iom_tracker_write(system_.tracker, rig_->now() + 1, IOM_WRITE_SOFTWARE, at,
                              static_cast<unsigned>(piece), from + offset);
    });
    system_.changes.set_software(true);
    software_write(system_.image, address, data, bytes);
    system_.changes.set_software(false);
}

void TimedTarget::read_memory(uint64_t address, void *data, size_t bytes)
{
    software_read(system_.image, address, data, bytes);
}

void TimedTarget::write_register(uint32_t offset, unsigned bytes, uint64_t value)
{
    system_.probe.write_register(offset, bytes, value);
    rig_->settle();
}

// Reading has no side effects in any architecture modelled, so it need not take simulated time.
uint64_t TimedTarget::read_register(uint32_t offset, unsigned bytes)
{
    const iom_arch &arch = system_.iommu.arch;
    return arch.ops->read(&arch, iom_register_unit_state(system_.iommu.registers), offset, bytes);
}

iom_dma TimedTarget::send(const iom_xlate &request)
{
    system_.probe.send(request);
    rig_->settle();
    if (!system_.probe.answered())
        throw std::runtime_error("a request was never answered");
    return system_.probe.answer();
}

DmaResult TimedTarget::dma(const DmaStep &step)
{
    stale_before_ = system_.stale_uses(rig_->now());
    iom_xlate request = request_of(step);
    if (step.write && step.type == AddressType::untranslated)
        request.flags = static_cast<uint16_t>(request.flags | IOM_REQ_POSTED);
    const iom_dma answer = send(request);
    DmaResult result = result_of(answer.x);
    result.hit = answer.missed == 0;
    if (result.completion == Completion::address && answer.memory_error != 0)
        result.completion = Completion::access_error;
    return result;
}

void TimedTarget::page_request(const PageRequest &request)
{
    send(request_of(request));
}

std::vector<DeviceMessage> TimedTarget::take_messages()
{
    return system_.probe.devices().take();
}

void TimedTarget::complete(const InvalidationCompletion &completion)
{
    for (unsigned tag = 0; tag < DeviceSide::most_tags; tag++) {
        if (completion.tags >> tag & 1)
            system_.probe.complete(completion, tag);
    }
    system_.probe.devices().complete(completion);
    rig_->settle();
}

void TimedTarget::expire(uint32_t tags)
{
    rig_->expire(system_, tags);
}

void TimedTarget::mark_memory(const MemoryMark &mark)
{
    mark_image(system_.image, mark);
}

std::vector<MemoryWord> TimedTarget::take_changes()
{
    return system_.changes.take();
}

std::optional<Drain> TimedTarget::take_drain()
{
    const iom_command_queue_stats *stats = iom_command_queue_stats_of(system_.iommu.queue);
    const Drain drain = {stats->read_drains != reads_drained_, stats->write_drains != writes_drained_};
    reads_drained_ = stats->read_drains;
    writes_drained_ = stats->write_drains;
    return drain.reads || drain.writes ? std::optional<Drain>(drain) : std::nullopt;
}

void TimedTarget::flush_caches()
{
    iom_iommu_flush(&system_.iommu, rig_->now());
}

void TimedTarget::settle()
{
    rig_->settle();
}

bool TimedTarget::executes_queue() const
{
    return true;
}

bool TimedTarget::has_caches() const
{
    return true;
}

std::optional<bool> TimedTarget::stale_use()
{
    if (system_.tracker == nullptr)
        return std::nullopt;
    return system_.stale_uses(rig_->now()) != stale_before_;
}

} // namespace iommu_sim::verify
