// SPDX-License-Identifier: Apache-2.0
//
// Functional target: see functional_target.h.
#include "models/verify/functional_target.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "models/verify/family.h"

namespace iommu_sim::verify
{

SparseMemory::SparseMemory(std::vector<RamRange> ram) : ram_(std::move(ram))
{
}

bool SparseMemory::contains(uint64_t address, size_t bytes) const
{
    if (bytes == 0)
        return true;
    return std::any_of(ram_.begin(), ram_.end(), [&](const RamRange &range) {
        return address >= range.first && address <= range.last && bytes - 1 <= range.last - address;
    });
}

void SparseMemory::write(uint64_t address, const void *data, size_t bytes)
{
    const auto *from = static_cast<const uint8_t *>(data);
    while (bytes > 0) {
        const size_t offset = address % IOM_PAGE_BYTES;
        const size_t piece = std::min<size_t>(bytes, IOM_PAGE_BYTES - offset);
        if (contains(address, piece)) {
            Page &page = pages_[address / IOM_PAGE_BYTES]; // value-initialised: zero
            std::memcpy(page.data() + offset, from, piece);
        }
        address += piece;
        from += piece;
        bytes -= piece;
    }
}

void SparseMemory::read(uint64_t address, void *data, size_t bytes) const
{
    auto *to = static_cast<uint8_t *>(data);
    while (bytes > 0) {
        const size_t offset = address % IOM_PAGE_BYTES;
        const size_t piece = std::min<size_t>(bytes, IOM_PAGE_BYTES - offset);
        const auto page = pages_.find(address / IOM_PAGE_BYTES);
        if (page == pages_.end())
            std::memset(to, 0, piece);
        else
            std::memcpy(to, page->second.data() + offset, piece);
        address += piece;
        to += piece;
        bytes -= piece;
    }
}

// Tables are little-endian whatever the host is.
uint64_t SparseMemory::read64(uint64_t address) const
{
    std::array<uint8_t, 8> bytes = {};
    read(address, bytes.data(), bytes.size());
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= uint64_t{bytes[i]} << (8 * i);
    return value;
}

void SparseMemory::write64(uint64_t address, uint64_t value)
{
    std::array<uint8_t, 8> bytes = {};
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = static_cast<uint8_t>(value >> (8 * i));
    write(address, bytes.data(), bytes.size());
}

namespace
{

extern "C" bool functional_read(void *context, uint64_t address, void *data, unsigned bytes)
{
    const auto *memory = static_cast<const SparseMemory *>(context);
    if (!memory->contains(address, bytes))
        return false;
    // The core takes table reads as 64-bit words.
    auto *words = static_cast<uint64_t *>(data);
    for (unsigned i = 0; i < bytes / 8; i++)
        words[i] = memory->read64(address + 8ull * i);
    return true;
}

extern "C" bool functional_cas(void *context, uint64_t address, uint64_t expected, uint64_t desired,
                               uint64_t *found)
{
    auto *memory = static_cast<SparseMemory *>(context);
    if (!memory->contains(address, 8))
        return false;
    *found = memory->read64(address);
    if (*found == expected)
        memory->write64(address, desired);
    return true;
}

} // namespace

FunctionalTarget::FunctionalTarget(ArchInstance instance, std::vector<RamRange> ram)
    : instance_(std::move(instance)), memory_(std::move(ram)),
      state_(iom_div_ceil(instance_.arch.ops->state_bytes, 8))
{
    const iom_arch_ops *ops = instance_.arch.ops;
    ops->reset(&instance_.arch, state_.data());
    ops->view(&instance_.arch, state_.data(), &view_);
}

void FunctionalTarget::write_memory(uint64_t address, const void *data, size_t bytes)
{
    memory_.write(address, data, bytes);
}

void FunctionalTarget::read_memory(uint64_t address, void *data, size_t bytes)
{
    memory_.read(address, data, bytes);
}

void FunctionalTarget::write_register(uint32_t offset, unsigned bytes, uint64_t value)
{
    const iom_arch_ops *ops = instance_.arch.ops;
    const uint32_t actions = ops->write(&instance_.arch, state_.data(), offset, bytes, value);
    if (actions & (1u << IOM_ACTION_UPDATE_VIEW)) {
        ops->view(&instance_.arch, state_.data(), &view_);
        ops->action_done(&instance_.arch, state_.data(), IOM_ACTION_UPDATE_VIEW);
    }
    // Nothing is cached, so an invalidation is complete at once.
    if (actions & (1u << IOM_ACTION_INVALIDATE))
        ops->action_done(&instance_.arch, state_.data(), IOM_ACTION_INVALIDATE);
}

uint64_t FunctionalTarget::read_register(uint32_t offset, unsigned bytes)
{
    return instance_.arch.ops->read(&instance_.arch, state_.data(), offset, bytes);
}

DmaResult FunctionalTarget::dma(const DmaStep &step)
{
    iom_xlate x = request_of(step);
    const iom_functional_memory memory = {&memory_, functional_read, functional_cas};
    iom_translate_functional(&instance_.arch, &view_, &memory, &x);
    if (x.outcome == IOM_OUTCOME_FAULT && x.fault.recorded != 0)
        instance_.arch.ops->record(&instance_.arch, state_.data(), &x.fault);
    return result_of(x);
}

void FunctionalTarget::flush_caches()
{
    // There are none.
}

void FunctionalTarget::settle()
{
    // Every register write is complete when it returns.
}

bool FunctionalTarget::executes_queue() const
{
    return false;
}

bool FunctionalTarget::has_caches() const
{
    return false;
}

iom_xlate request_of(const DmaStep &step)
{
    iom_xlate x = {};
    x.address = step.address;
    x.bytes = step.bytes;
    x.source = step.device;
    x.pasid = step.pasid.value_or(0);
    unsigned flags = 0;
    const auto set_if = [&flags](bool condition, iom_request_flag flag) {
        if (condition)
            flags |= flag;
    };
    set_if(step.write, IOM_REQ_WRITE);
    set_if(step.exec, IOM_REQ_EXEC);
    set_if(step.priv, IOM_REQ_PRIV);
    set_if(step.pasid.has_value(), IOM_REQ_PASID);
    set_if(step.type == AddressType::translation_request, IOM_REQ_TRANSLATE);
    set_if(step.type == AddressType::translated, IOM_REQ_TRANSLATED);
    x.flags = static_cast<uint16_t>(flags);
    return x;
}

// A translation completion answers for the privilege of its request, and grants writing and
// executing only where they were asked for (PCI Express 5.0, 10.2.3).
static void permissions_of(const iom_xlate &x, DmaResult *result)
{
    const bool priv = (x.flags & IOM_REQ_PRIV) != 0;
    const unsigned have = x.leaf.permissions;
    result->size_log2 = x.leaf.size_log2;
    result->read = (have & (priv ? IOM_PERM_PRIV_READ : IOM_PERM_READ)) != 0;
    result->write = (x.flags & IOM_REQ_WRITE) && (have & (priv ? IOM_PERM_PRIV_WRITE : IOM_PERM_WRITE));
    result->exec = (x.flags & IOM_REQ_EXEC) && (have & (priv ? IOM_PERM_PRIV_EXEC : IOM_PERM_EXEC));
    result->priv = priv;
    result->global = x.leaf.global != 0;
}

DmaResult result_of(const iom_xlate &x)
{
    DmaResult result;
    switch (static_cast<iom_outcome>(x.outcome)) {
    case IOM_OUTCOME_ADDRESS:
    case IOM_OUTCOME_BYPASS:
        result.completion = Completion::address;
        result.pa = x.leaf.output;
        permissions_of(x, &result);
        break;
    case IOM_OUTCOME_INTERRUPT:
        result.completion = Completion::interrupt;
        break;
    case IOM_OUTCOME_DENIED:
        result.completion = Completion::denied;
        break;
    case IOM_OUTCOME_NONE:
    case IOM_OUTCOME_FAULT:
    case IOM_OUTCOME_RETRY:
        result.completion = x.fault.abort != 0 ? Completion::aborted : Completion::unsupported;
        break;
    }
    return result;
}

std::unique_ptr<Target> make_functional_target(const VectorConfig &config)
{
    const Family &family = family_of(config.machine);
    return std::make_unique<FunctionalTarget>(family.make_arch(config), family.ram());
}

} // namespace iommu_sim::verify
