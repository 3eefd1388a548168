// SPDX-License-Identifier: Apache-2.0
//
// A system under test without an IOMMU for the vectors of the RISC-V reference model: registers that keep
// what is written, memory whose changes are logged, and effects from a script.
#ifndef IOM_TESTS_MODELS_SUPPORT_VERIFY_FAKE_RISCV_H
#define IOM_TESTS_MODELS_SUPPORT_VERIFY_FAKE_RISCV_H

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "core/arch/riscv/riscv.h"
#include "models/verify/target.h"
#include "models/verify/vector_memory.h"

namespace iommu_sim::verify
{

class FakeRiscv final : public Target, public Surroundings
{
  public:
    FakeRiscv() : memory({{0, 0xffffffff}})
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
        return true;
    }
    bool has_caches() const override
    {
        return caches;
    }
    std::optional<bool> stale_use() override
    {
        return stale;
    }
    Surroundings *surroundings() override
    {
        return this;
    }

    void page_request(const PageRequest &request) override
    {
        on_page_request(request);
    }
    std::vector<DeviceMessage> take_messages() override
    {
        return std::exchange(messages, {});
    }
    void complete(const InvalidationCompletion &completion) override
    {
        on_complete(completion);
    }
    void expire(uint32_t tags) override
    {
        on_expire(tags);
    }
    void mark_memory(const MemoryMark &mark) override
    {
        marks.push_back(mark);
    }
    std::vector<MemoryWord> take_changes() override
    {
        return memory.changes().take();
    }
    std::optional<Drain> take_drain() override
    {
        return std::exchange(drain, std::nullopt);
    }

    /// What the hardware writes.
    void store(uint64_t address, uint64_t value)
    {
        memory.store(address, &value, sizeof value);
    }
    /// Appends a record of two or four words to the queue whose registers begin at `base`.
    void append(uint32_t base, const std::vector<uint64_t> &words)
    {
        uint64_t &tail = registers[base + (IOM_RISCV_FQT - IOM_RISCV_FQB)];
        const uint64_t queue = iom_bits(registers[base], 53, 10) << IOM_PAGE_LOG2;
        for (size_t i = 0; i < words.size(); i++)
            store(queue + 8 * words.size() * tail + 8 * i, words[i]);
        tail = (tail + 1) % (uint64_t{2} << iom_bits(registers[base], 4, 0));
    }

    SparseMemory memory;
    std::map<uint32_t, uint64_t> registers;
    std::function<DmaResult(const DmaStep &)> on_dma;
    std::function<void(uint32_t, uint64_t)> on_register;
    std::function<void(const PageRequest &)> on_page_request;
    std::function<void(const InvalidationCompletion &)> on_complete;
    std::function<void(uint32_t)> on_expire;
    std::vector<DeviceMessage> messages;
    std::vector<MemoryMark> marks;
    std::optional<Drain> drain;
    std::optional<bool> stale;
    unsigned flushes = 0;
    bool caches = false;
};

} // namespace iommu_sim::verify

#endif
