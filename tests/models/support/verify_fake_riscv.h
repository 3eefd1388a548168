// SPDX-License-Identifier: Apache-2.0
//
// A scripted system under test for the vectors of the RISC-V reference model: its surroundings too come from
// the script.
#ifndef IOM_TESTS_MODELS_SUPPORT_VERIFY_FAKE_RISCV_H
#define IOM_TESTS_MODELS_SUPPORT_VERIFY_FAKE_RISCV_H

#include <functional>
#include <utility>
#include <vector>

#include "core/arch/riscv/riscv.h"
#include "tests/models/support/scripted_target.h"

namespace iommu_sim::verify
{

class FakeRiscv final : public ScriptedTarget, public Surroundings
{
  public:
    FakeRiscv() : ScriptedTarget({{0, 0xffffffff}})
    {
        queue = true;
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
        const uint64_t ring = iom_bits(registers[base], 53, 10) << IOM_PAGE_LOG2;
        for (size_t i = 0; i < words.size(); i++)
            store(ring + 8 * words.size() * tail + 8 * i, words[i]);
        tail = (tail + 1) % (uint64_t{2} << iom_bits(registers[base], 4, 0));
    }

    std::function<void(const PageRequest &)> on_page_request;
    std::function<void(const InvalidationCompletion &)> on_complete;
    std::function<void(uint32_t)> on_expire;
    std::vector<DeviceMessage> messages;
    std::vector<MemoryMark> marks;
    std::optional<Drain> drain;
};

} // namespace iommu_sim::verify

#endif
