// SPDX-License-Identifier: Apache-2.0
//
// A memory unit with somebody at each of its inputs. Requests take one cycle to the unit and answers one
// cycle back.
#ifndef IOM_TESTS_CORE_SUPPORT_MEMORY_BENCH_HPP
#define IOM_TESTS_CORE_SUPPORT_MEMORY_BENCH_HPP

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/memory.h"
#include "tests/core/support/bench.h"

namespace bench
{

inline constexpr uint64_t ram_last = 0xfffff;

inline iom_memory_config plain_memory(uint32_t inputs, uint64_t latency)
{
    iom_memory_config config = {};
    config.inputs = inputs;
    config.latency_cycles = latency;
    return config;
}

class MemoryBench
{
  public:
    explicit MemoryBench(const iom_memory_config &config, uint32_t depth = 0)
        : image(iom_memory_image_create()), user("user", config.inputs, 0)
    {
        iom_pool_init(&accesses_, IOM_MSG_MEMORY, sizeof(iom_memory_access));
        iom_pool_init(&dmas_, IOM_MSG_DMA, sizeof(iom_dma));
        EXPECT_TRUE(iom_memory_image_add_range(image, 0, ram_last));
        memory = iom_memory_create(&config, image, "memory");
        bench.add(user.unit());
        bench.add(iom_memory_unit(memory));
        for (uint32_t i = 0; i < config.inputs; i++) {
            bench.connect(user.port(i), iom_memory_input(memory, i), {1, 1, 1, depth});
            user.on(i, [this](iom_cycle now, iom_msg *msg) { answers_.push_back({now, msg}); });
        }
        bench.start();
    }
    ~MemoryBench()
    {
        bench.close();
        iom_memory_destroy(memory);
        iom_memory_image_destroy(image);
        iom_pool_free(&accesses_);
        iom_pool_free(&dmas_);
    }
    MemoryBench(const MemoryBench &) = delete;
    MemoryBench &operator=(const MemoryBench &) = delete;

    iom_memory_access *access(uint32_t input, iom_cycle arrival, iom_memory_op op, uint64_t address,
                              uint8_t bytes = 8)
    {
        auto *a = static_cast<iom_memory_access *>(iom_pool_take(&accesses_));
        const iom_msg header = a->msg;
        *a = iom_memory_access{};
        a->msg = header;
        a->address = address;
        a->op = static_cast<uint8_t>(op);
        a->bytes = bytes;
        user.send_at(arrival - 1, input, &a->msg);
        return a;
    }
    iom_memory_access *read(uint32_t input, iom_cycle arrival, uint64_t address, uint8_t bytes = 8)
    {
        return access(input, arrival, IOM_MEMORY_READ, address, bytes);
    }
    iom_memory_access *write(uint32_t input, iom_cycle arrival, uint64_t address, uint64_t value)
    {
        iom_memory_access *a = access(input, arrival, IOM_MEMORY_WRITE, address);
        a->data[0] = value;
        return a;
    }
    iom_dma *dma(uint32_t input, iom_cycle arrival, uint64_t address, uint32_t bytes, unsigned flags)
    {
        auto *d = static_cast<iom_dma *>(iom_pool_take(&dmas_));
        const iom_msg header = d->msg;
        *d = iom_dma{};
        d->msg = header;
        d->x.address = 0xdead000; // the input address is none of memory's business
        d->x.bytes = bytes;
        d->x.flags = static_cast<uint16_t>(flags);
        d->x.next = IOM_LOOKUP_DONE;
        d->x.outcome = IOM_OUTCOME_ADDRESS;
        d->x.leaf.output = address;
        user.send_at(arrival - 1, input, &d->msg);
        return d;
    }
    template <typename Message> iom_cycle answered(const Message *message) const
    {
        for (const auto &[cycle, msg] : answers_) {
            if (msg == &message->msg)
                return cycle;
        }
        return IOM_NEVER;
    }
    const iom_memory_stats &stats()
    {
        iom_unit *unit = iom_memory_unit(memory);
        iom_stat_block block = {};
        EXPECT_TRUE(unit->ops->stats(unit, 0, &block));
        return *static_cast<const iom_memory_stats *>(block.values);
    }
    uint64_t word(uint64_t address)
    {
        uint64_t value = 0;
        EXPECT_TRUE(iom_memory_image_read(image, address, &value, 8));
        return value;
    }

    Bench bench;
    iom_memory_image *image;
    iom_memory *memory = nullptr;
    ScriptUnit user;

  private:
    iom_pool accesses_ = {}, dmas_ = {};
    std::vector<std::pair<iom_cycle, const iom_msg *>> answers_;
};

} // namespace bench

#endif
