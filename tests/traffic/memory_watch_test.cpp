// SPDX-License-Identifier: Apache-2.0
//
// IOM_MEMORY_WATCH: a processor that looks at a word again and again, without looking.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/memory.h"
#include "tests/traffic/support/mock_responder.h"

namespace
{

using iommu_sim::test::Bench;
using iommu_sim::test::connect;

struct Sent {
    iom_cycle at;
    iom_memory_op op;
    uint64_t address, value; ///< value: to write, or expected
    uint8_t bytes;
};

struct Answer {
    iom_cycle at;
    uint64_t address, value, changed;
    bool error;
};

/// Sends a list of accesses and notes the answers to watches.
class Sender
{
  public:
    explicit Sender(std::vector<Sent> accesses) : list(std::move(accesses))
    {
        static const iom_unit_ops ops = [] {
            iom_unit_ops made{};
            made.kind = "sender";
            made.advance = [](iom_unit *unit, iom_cycle now) {
                return reinterpret_cast<Body *>(unit)->owner->advance(now);
            };
            return made;
        }();
        body.owner = this;
        iom_unit_init(&body.unit, &ops, "sender", &port, 1);
        iom_port_init(&body.unit, 0, "memory", true);
        iom_pool_init(&pool, IOM_MSG_MEMORY, sizeof(iom_memory_access));
    }
    ~Sender()
    {
        iom_pool_free(&pool);
    }
    Sender(const Sender &) = delete;
    Sender &operator=(const Sender &) = delete;

    struct Body {
        iom_unit unit;
        Sender *owner;
    } body{};
    iom_port port{};
    std::vector<Answer> answers;

  private:
    iom_cycle advance(iom_cycle now)
    {
        while (iom_port_peek(&port, now) != nullptr) {
            auto *access = reinterpret_cast<iom_memory_access *>(iom_port_pop(&port));
            if (access->op == IOM_MEMORY_WATCH)
                answers.push_back(
                    {now, access->address, access->data[0], access->data[1], access->error != 0});
            iom_msg_release(&access->msg);
        }
        for (; next < list.size() && list[next].at <= now; next++) {
            const Sent &sent = list[next];
            auto *access = static_cast<iom_memory_access *>(iom_pool_take(&pool));
            access->op = sent.op;
            access->address = sent.address;
            access->bytes = sent.bytes;
            access->expected = sent.value;
            access->data[0] = sent.value;
            access->error = 0;
            access->node = 0;
            access->origin = 0;
            iom_port_send(&port, &access->msg, now);
        }
        return next < list.size() ? list[next].at : IOM_NEVER;
    }

    std::vector<Sent> list;
    size_t next = 0;
    iom_pool pool{};
};

std::vector<Answer> run(const std::vector<Sent> &accesses, uint32_t bytes_per_cycle = 0)
{
    iom_memory_image *image = iom_memory_image_create();
    EXPECT_TRUE(iom_memory_image_add_range(image, 0, 0xffff));
    iom_memory_config config{};
    config.inputs = 1;
    config.latency_cycles = 30;
    config.bytes_per_cycle = bytes_per_cycle;
    iom_memory *memory = iom_memory_create(&config, image, "memory");
    Sender sender(accesses);
    connect(&sender.port, iom_memory_input(memory, 0));
    {
        Bench bench({&sender.body.unit, iom_memory_unit(memory)});
        bench.run();
    }
    iom_memory_destroy(memory);
    iom_memory_image_destroy(image);
    return sender.answers;
}

TEST(MemoryWatch, is_answered_when_the_word_changes)
{
    for (uint32_t width : {0u, 8u}) {
        const auto answers = run({{0, IOM_MEMORY_WATCH, 0x1000, 0, 4},
                                  {50, IOM_MEMORY_WRITE, 0x1004, 9, 4},  // beside it
                                  {60, IOM_MEMORY_WRITE, 0x1000, 0, 4},  // the same value
                                  {70, IOM_MEMORY_WRITE, 0x1000, 7, 4}}, // this one
                                 width);
        ASSERT_EQ(answers.size(), 1u);
        EXPECT_EQ(answers[0].changed, 71u);
        EXPECT_EQ(answers[0].at, 71u + 30 + 1);
        EXPECT_EQ(answers[0].value, 7u);
        EXPECT_FALSE(answers[0].error);
    }
}

TEST(MemoryWatch, is_answered_at_once_when_the_word_is_different_already)
{
    const auto answers = run({{0, IOM_MEMORY_WRITE, 0x1000, 5, 8}, {40, IOM_MEMORY_WATCH, 0x1000, 4, 8}});
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].changed, 41u);
    EXPECT_EQ(answers[0].value, 5u);
}

TEST(MemoryWatch, sees_the_writes_of_its_own_cycle)
{
    const auto answers = run({{10, IOM_MEMORY_WATCH, 0x1000, 0, 4}, {10, IOM_MEMORY_WRITE, 0x1000, 1, 4}});
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].changed, 11u);
}

TEST(MemoryWatch, several_are_answered_in_order)
{
    const auto answers = run({{0, IOM_MEMORY_WATCH, 0x1000, 0, 4},
                              {1, IOM_MEMORY_WATCH, 0x2000, 0, 4},
                              {2, IOM_MEMORY_WATCH, 0x1002, 0, 2},
                              {20, IOM_MEMORY_WRITE, 0x1000, 0x10001, 4},
                              {30, IOM_MEMORY_WRITE, 0x2000, 1, 1}});
    ASSERT_EQ(answers.size(), 3u);
    EXPECT_EQ(answers[0].address, 0x1000u);
    EXPECT_EQ(answers[1].address, 0x1002u);
    EXPECT_EQ(answers[1].value, 1u);
    EXPECT_EQ(answers[2].address, 0x2000u);
    EXPECT_EQ(answers[2].changed, 31u);
}

TEST(MemoryWatch, of_an_address_that_does_not_answer_is_an_error)
{
    const auto answers = run({{0, IOM_MEMORY_WATCH, 0x100000, 0, 4}});
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_TRUE(answers[0].error);
}

} // namespace
