// SPDX-License-Identifier: Apache-2.0
//
// A system under test without an IOMMU: memory, registers that keep what is written, and DMA results
// from a script. Used to test the comparison and the runner without the simulator.
#ifndef IOM_TESTS_MODELS_SUPPORT_VERIFY_FAKE_TARGET_H
#define IOM_TESTS_MODELS_SUPPORT_VERIFY_FAKE_TARGET_H

#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "core/arch/vtd/vtd.h"
#include "models/verify/family.h"

namespace iommu_sim::verify
{

/// RTADDR alone is a register here; faults are put into the recording register by the script.
class FakeTarget : public Target
{
  public:
    explicit FakeTarget(std::vector<RamRange> ram = family_of("vtd").ram({})) : memory(std::move(ram))
    {
    }

    void write_memory(uint64_t address, const void *data, size_t bytes) override
    {
        memory.write(address, data, bytes);
    }
    void read_memory(uint64_t address, void *data, size_t bytes) override
    {
        memory.read(address, data, bytes);
    }
    void write_register(uint32_t offset, unsigned, uint64_t value) override
    {
        if (offset == record_at + 12 && (value >> 31) != 0) // F is write-1-to-clear
            registers[record_at + 8] &= ~IOM_VTD_FRCD_F;
        else if (offset == IOM_VTD_FSTS)
            registers[offset] &= ~value;
        else
            registers[offset] = value;
        if (on_register)
            on_register(offset, value);
    }
    uint64_t read_register(uint32_t offset, unsigned) override
    {
        return registers[offset];
    }
    DmaResult dma(const DmaStep &step) override
    {
        return on_dma(step);
    }
    void flush_caches() override
    {
        flushes++;
    }
    void settle() override
    {
    }
    bool executes_queue() const override
    {
        return queue;
    }
    bool has_caches() const override
    {
        return caches;
    }
    std::optional<bool> stale_use() override
    {
        return stale;
    }
    /// Records a fault as the hardware would.
    void record(uint64_t reason, uint64_t source, uint64_t address, bool write)
    {
        registers[record_at] = address & ~UINT64_C(0xfff);
        registers[record_at + 8] =
            IOM_VTD_FRCD_F | (write ? 0 : IOM_VTD_FRCD_READ) | reason << IOM_VTD_FRCD_REASON_SHIFT | source;
    }

    static constexpr uint32_t record_at = 0x220; // CAP.FRO of the recorded machine
    SparseMemory memory;
    std::map<uint32_t, uint64_t> registers;
    std::function<DmaResult(const DmaStep &)> on_dma;
    std::optional<bool> stale; ///< what its hazard tracker says
    std::function<void(uint32_t, uint64_t)> on_register;
    unsigned flushes = 0;
    bool queue = false;
    bool caches = false;
};

} // namespace iommu_sim::verify

#endif
