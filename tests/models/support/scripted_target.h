// SPDX-License-Identifier: Apache-2.0
//
// A system under test without an IOMMU: memory, registers that keep what is written, and DMA results from a
// script. What the fakes of all families share, to test comparison and runners without the simulator.
#ifndef IOM_TESTS_MODELS_SUPPORT_SCRIPTED_TARGET_H
#define IOM_TESTS_MODELS_SUPPORT_SCRIPTED_TARGET_H

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "models/verify/target.h"
#include "models/verify/vector_memory.h"

namespace iommu_sim::verify
{

class ScriptedTarget : public Target
{
  public:
    explicit ScriptedTarget(const std::vector<RamRange> &ram) : memory(ram)
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

    SparseMemory memory;
    std::map<uint32_t, uint64_t> registers;
    std::function<DmaResult(const DmaStep &)> on_dma;
    std::function<void(uint32_t, uint64_t)> on_register;
    std::optional<bool> stale; ///< what its hazard tracker says
    unsigned flushes = 0;
    bool queue = false; ///< executes commands
    bool caches = false;
};

} // namespace iommu_sim::verify

#endif
