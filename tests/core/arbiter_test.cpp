// SPDX-License-Identifier: Apache-2.0
//
// Arbiters against their description (core/arbiter.h): fixed, round robin, tree with one pointer.
#include <gtest/gtest.h>

#include <vector>

#include "core/arbiter.h"
#include "core/rng.h"

namespace
{

std::vector<unsigned> grants(iom_arbitration rule, uint32_t inputs, const std::vector<uint32_t> &requests)
{
    iom_arbiter arbiter;
    iom_arbiter_init(&arbiter, rule, inputs);
    std::vector<unsigned> result;
    for (uint32_t mask : requests)
        result.push_back(iom_arbiter_grant(&arbiter, mask));
    return result;
}

TEST(Arbiter, fixed_serves_the_lowest)
{
    EXPECT_EQ(grants(IOM_ARBITRATION_FIXED, 4, {0b1111, 0b1111, 0b1100, 0b1000}),
              (std::vector<unsigned>{0, 0, 2, 3}));
}

TEST(Arbiter, round_robin_asks_the_one_behind_the_last_first)
{
    EXPECT_EQ(grants(IOM_ARBITRATION_ROUND_ROBIN, 3, {0b111, 0b111, 0b111, 0b111, 0b001, 0b101, 0b101}),
              (std::vector<unsigned>{0, 1, 2, 0, 0, 2, 0}));
}

// Two inputs: the pointer names the winner of a conflict, and after it points at the other one.
TEST(Arbiter, a_tree_of_two_alternates_between_those_that_ask)
{
    EXPECT_EQ(grants(IOM_ARBITRATION_TREE, 2, {0b11, 0b11, 0b11, 0b11}), (std::vector<unsigned>{0, 1, 0, 1}));
    // Granted alone, the pointer stays with the only one that asked: it wins the next conflict too.
    EXPECT_EQ(grants(IOM_ARBITRATION_TREE, 2, {0b10, 0b11, 0b11}), (std::vector<unsigned>{1, 1, 0}));
}

// Inputs 2, 3 and 4 of five. 2 and 4 meet at the root, decided by bit 2 of the pointer; 2 and 3 one level
// below it, decided by bit 0 (bit 1 sees only one half asking).
TEST(Arbiter, the_pointer_of_a_tree_decides_level_by_level)
{
    EXPECT_EQ(grants(IOM_ARBITRATION_TREE, 5, {0b10100, 0b10100, 0b10100}), (std::vector<unsigned>{2, 2, 4}));
    EXPECT_EQ(grants(IOM_ARBITRATION_TREE, 5, {0b10000, 0b10100}), (std::vector<unsigned>{4, 4}));
    EXPECT_EQ(grants(IOM_ARBITRATION_TREE, 5, {0b01000, 0b01100}), (std::vector<unsigned>{3, 3}));
    EXPECT_EQ(grants(IOM_ARBITRATION_TREE, 5, {0b00100, 0b01100}), (std::vector<unsigned>{2, 2}));
}

iom_arbiter tree_at(uint32_t inputs, unsigned pointer)
{
    iom_arbiter arbiter;
    iom_arbiter_init(&arbiter, IOM_ARBITRATION_TREE, inputs);
    arbiter.pointer = static_cast<uint8_t>(pointer);
    return arbiter;
}

// As measured on a tree of five with the command queue at 2, the context walker at 3, the page walker at 4:
// the page walker wins against either while the pointer is 4, of the others the context walker while it is 1
// or 3.
TEST(Arbiter, a_tree_of_five_decides_as_measured)
{
    constexpr uint32_t commands = 1 << 2, contexts = 1 << 3, pages = 1 << 4;
    for (unsigned pointer = 0; pointer < 5; pointer++) {
        SCOPED_TRACE(pointer);
        const auto winner = [pointer](uint32_t requests) {
            iom_arbiter arbiter = tree_at(5, pointer);
            return iom_arbiter_grant(&arbiter, requests);
        };
        const unsigned of_two = pointer == 1 || pointer == 3 ? 3 : 2;
        EXPECT_EQ(winner(commands | pages), pointer == 4 ? 4u : 2u);
        EXPECT_EQ(winner(contexts | pages), pointer == 4 ? 4u : 3u);
        EXPECT_EQ(winner(commands | contexts), of_two);
        EXPECT_EQ(winner(commands | contexts | pages), pointer == 4 ? 4u : of_two);
        for (unsigned alone = 0; alone < 5; alone++)
            EXPECT_EQ(winner(1u << alone), alone);
    }
}

// Also without conflict: to the smallest input behind it that asked, else to the smallest that asked. That
// need not be the one that was served.
TEST(Arbiter, the_pointer_of_a_tree_moves_at_every_grant_to_the_next_that_asked)
{
    const struct {
        unsigned pointer;
        uint32_t requests;
        unsigned next;
    } cases[] = {
        {0, 0b00001, 0}, {0, 0b10100, 2}, {2, 0b10100, 4}, {4, 0b10100, 2}, {3, 0b01000, 3},
        {3, 0b01101, 0}, {1, 0b11101, 2}, {4, 0b11111, 0}, {2, 0b01100, 3},
    };
    for (const auto &c : cases) {
        iom_arbiter arbiter = tree_at(5, c.pointer);
        iom_arbiter_grant(&arbiter, c.requests);
        EXPECT_EQ(arbiter.pointer, c.next) << c.pointer << ", " << c.requests;
    }
}

TEST(Arbiter, fixed_forgets_what_it_has_served_the_others_begin_at_0)
{
    iom_arbiter arbiter;
    iom_arbiter_init(&arbiter, IOM_ARBITRATION_FIXED, 32);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(iom_arbiter_grant(&arbiter, 0x80000010), 4u);
    for (const iom_arbitration rule : {IOM_ARBITRATION_ROUND_ROBIN, IOM_ARBITRATION_TREE}) {
        arbiter.pointer = 17;
        iom_arbiter_init(&arbiter, rule, 32);
        EXPECT_EQ(iom_arbiter_grant(&arbiter, 0xffffffff), 0u);
        EXPECT_EQ(iom_arbiter_grant(&arbiter, 0x80000000), 31u);
    }
}

TEST(Arbiter, a_single_input_is_always_served)
{
    for (const iom_arbitration rule :
         {IOM_ARBITRATION_ROUND_ROBIN, IOM_ARBITRATION_FIXED, IOM_ARBITRATION_TREE})
        EXPECT_EQ(grants(rule, 1, {1, 1, 1}), (std::vector<unsigned>{0, 0, 0}));
}

// An independent model of the tree: recursion over ranges of inputs.
unsigned winner(uint32_t requests, unsigned low, unsigned size, unsigned pointer)
{
    if (size == 1)
        return low;
    const unsigned half = size / 2;
    auto asks = [requests](unsigned from, unsigned count) {
        for (unsigned i = from; i < from + count && i < 32; i++) {
            if (requests >> i & 1)
                return true;
        }
        return false;
    };
    const bool lower = asks(low, half), upper = asks(low + half, half);
    return upper && (!lower || (pointer & half)) ? winner(requests, low + half, half, pointer)
                                                 : winner(requests, low, half, pointer);
}

TEST(Arbiter, every_rule_serves_one_that_asked_and_a_tree_as_described)
{
    iom_rng rng;
    iom_rng_seed(&rng, 7, "arbiter");
    for (uint32_t inputs = 1; inputs <= 9; inputs++) {
        iom_arbiter tree, robin;
        iom_arbiter_init(&tree, IOM_ARBITRATION_TREE, inputs);
        iom_arbiter_init(&robin, IOM_ARBITRATION_ROUND_ROBIN, inputs);
        unsigned size = 1, pointer = 0, turn = 0;
        while (size < inputs)
            size *= 2;
        for (int round = 0; round < 500; round++) {
            const auto requests = static_cast<uint32_t>(iom_rng_below(&rng, (1u << inputs) - 1) + 1);
            EXPECT_EQ(iom_arbiter_grant(&tree, requests), winner(requests, 0, size, pointer));
            do {
                pointer = (pointer + 1) % inputs;
            } while (!(requests >> pointer & 1));
            while (!(requests >> turn & 1))
                turn = (turn + 1) % inputs;
            EXPECT_EQ(iom_arbiter_grant(&robin, requests), turn);
            turn = (turn + 1) % inputs;
        }
    }
}

} // namespace
