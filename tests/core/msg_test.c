// SPDX-License-Identifier: Apache-2.0
//
// Message pools: reuse, headers, counting, alignment, growth.
#include <stddef.h>

#include "core/msg.h"
#include "core/unit.h"
#include "tests/shim/gtest_c.h"

struct payload {
    struct iom_msg msg;
    uint64_t value;
    char odd[3];
};

IOM_TEST(Msg, a_pool_hands_out_distinct_aligned_messages)
{
    struct iom_pool pool;
    iom_pool_init(&pool, IOM_MSG_WALK, sizeof(struct payload));
    struct payload *messages[1000];
    for (unsigned i = 0; i < 1000; i++) {
        messages[i] = iom_pool_take(&pool);
        IOM_ASSERT(messages[i] != NULL);
        IOM_EXPECT_U64((uintptr_t)messages[i] % _Alignof(max_align_t), 0);
        IOM_EXPECT_U64(messages[i]->msg.kind, IOM_MSG_WALK);
        IOM_EXPECT(messages[i]->msg.pool == &pool);
        messages[i]->value = i;
        messages[i]->odd[2] = (char)i;
    }
    IOM_EXPECT_U64(pool.in_use, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        IOM_EXPECT_U64(messages[i]->value, i);
        IOM_EXPECT(messages[i]->odd[2] == (char)i);
        iom_msg_release(&messages[i]->msg);
    }
    IOM_EXPECT_U64(pool.in_use, 0);
    iom_pool_free(&pool);
}

IOM_TEST(Msg, a_released_message_is_used_again_with_a_clean_header)
{
    struct iom_pool pool;
    iom_pool_init(&pool, IOM_MSG_DMA, sizeof(struct payload));
    struct payload *first = iom_pool_take(&pool);
    IOM_ASSERT(first != NULL);
    iom_msg_push_route(&first->msg, 3);
    first->msg.carrier = &pool;
    iom_msg_release(&first->msg);
    struct payload *again = iom_pool_take(&pool);
    IOM_EXPECT(again == first);
    IOM_EXPECT_U64(again->msg.depth, 0);
    IOM_EXPECT(again->msg.carrier == NULL);
    IOM_EXPECT(again->msg.next == NULL);
    iom_msg_release(&again->msg);
    iom_pool_free(&pool);
}

IOM_TEST(Msg, a_message_goes_back_to_its_own_pool)
{
    struct iom_pool a, b;
    iom_pool_init(&a, IOM_MSG_DMA, sizeof(struct payload));
    iom_pool_init(&b, IOM_MSG_MMIO, sizeof(struct iom_msg));
    struct iom_msg *from_a = iom_pool_take(&a), *from_b = iom_pool_take(&b);
    IOM_ASSERT(from_a != NULL && from_b != NULL);
    iom_msg_release(from_a);
    IOM_EXPECT_U64(a.in_use, 0);
    IOM_EXPECT_U64(b.in_use, 1);
    iom_msg_release(from_b);
    IOM_EXPECT_U64(b.in_use, 0);
    iom_pool_free(&a);
    iom_pool_free(&b);
}

IOM_TEST(Msg, the_route_is_a_stack)
{
    struct iom_msg msg = {0};
    for (uint8_t port = 0; port < IOM_ROUTE_DEPTH; port++)
        iom_msg_push_route(&msg, (uint8_t)(port * 7));
    for (uint8_t port = IOM_ROUTE_DEPTH; port-- > 0;)
        IOM_EXPECT_U64(iom_msg_pop_route(&msg), port * 7u);
    IOM_EXPECT_U64(msg.depth, 0);
}
