// SPDX-License-Identifier: Apache-2.0
//
// Timed target: see timed_target.h.
#include "models/verify/timed_target.h"

#include <algorithm>
#include <cstring>

#include "models/verify/family.h"

namespace iommu_sim::verify
{

TimedTarget::TimedTarget(std::shared_ptr<TimedRig> rig, size_t index, const VectorConfig &config)
    : rig_(std::move(rig)), system_(rig_->system(index))
{
    const Family &family = family_of(config.machine);
    system_.reset(family.make_arch(config), family.ram(), rig_->now());
}

namespace
{

// Calls `part` for the pieces of [address, address + bytes) between page boundaries; RAM ends only there.
template <typename Part> void by_page(uint64_t address, size_t bytes, Part part)
{
    for (size_t done = 0; done < bytes;) {
        size_t piece = std::min<size_t>(bytes - done, IOM_PAGE_BYTES - (address + done) % IOM_PAGE_BYTES);
        part(address + done, done, piece);
        done += piece;
    }
}

} // namespace

void TimedTarget::write_memory(uint64_t address, const void *data, size_t bytes)
{
    const auto *from = static_cast<const uint8_t *>(data);
    by_page(address, bytes, [&](uint64_t at, size_t offset, size_t piece) {
        if (!iom_memory_image_answers(system_.image, at, piece))
            return;
        iom_tracker_write(system_.tracker, rig_->now() + 1, IOM_WRITE_SOFTWARE, at,
                          static_cast<unsigned>(piece), from + offset);
        iom_memory_image_write(system_.image, at, from + offset, piece);
    });
}

void TimedTarget::read_memory(uint64_t address, void *data, size_t bytes)
{
    auto *to = static_cast<uint8_t *>(data);
    by_page(address, bytes, [&](uint64_t at, size_t offset, size_t piece) {
        if (!iom_memory_image_read(system_.image, at, to + offset, piece))
            std::memset(to + offset, 0, piece);
    });
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

DmaResult TimedTarget::dma(const DmaStep &step)
{
    stale_before_ = system_.stale_uses(rig_->now());
    iom_xlate request = request_of(step);
    if (step.write && step.type == AddressType::untranslated)
        request.flags = static_cast<uint16_t>(request.flags | IOM_REQ_POSTED);
    system_.probe.send(request);
    rig_->settle();
    if (!system_.probe.answered())
        throw std::runtime_error("a request was never answered");
    const iom_dma &answer = system_.probe.answer();
    DmaResult result = result_of(answer.x);
    result.hit = answer.missed == 0;
    if (result.completion == Completion::address && answer.memory_error != 0)
        result.completion = Completion::access_error;
    return result;
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
