// SPDX-License-Identifier: Apache-2.0
//
// Messages that pass a device TLB (core/device_tlb.h): page requests of the device, page responses for it.
#include <gtest/gtest.h>

#include "tests/core/support/device_tlb_bench.h"

namespace
{

using namespace bench::device_tlb;

class DeviceTlbMessages : public testing::Test, public Rig
{
  protected:
    DeviceTlbMessages()
    {
        iom_pool_init(&responses_, IOM_MSG_PAGE_RESPONSE, sizeof(iom_page_response_message));
    }
    ~DeviceTlbMessages() override
    {
        EXPECT_EQ(responses_.in_use, 0u);
        bench_.close();
        iom_pool_free(&responses_);
    }
    iom_pool responses_ = {};
};

TEST_F(DeviceTlbMessages, a_page_request_leaves_as_it_is_behind_older_writes)
{
    build(default_config());
    iom_dma *write = send(10, page_a, posted); // misses
    iom_dma *request = send(11, page_b, IOM_REQ_PAGE | IOM_REQ_POSTED);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 1u) << "the write's own";
    EXPECT_GE(at_host(request), at_host(write));
    for (const Seen &seen : seen_) {
        if (seen.dma == request) {
            EXPECT_EQ(seen.flags, IOM_REQ_PAGE | IOM_REQ_POSTED);
            EXPECT_EQ(seen.address, page_b);
        }
    }
    EXPECT_NE(answered(request), IOM_NEVER);
    EXPECT_EQ(iom_device_tlb_stats_of(tlb_)->lookups, 1u);
}

TEST_F(DeviceTlbMessages, a_page_response_is_passed_on_in_the_cycle_of_its_arrival)
{
    build(default_config());
    iom_cycle passed = 0;
    uint32_t group = 0;
    world_.on(MESSAGES, [&](iom_cycle now, iom_msg *msg) {
        passed = now;
        group = reinterpret_cast<iom_page_response_message *>(msg)->response.group;
        iom_msg_release(msg);
    });
    auto *message = static_cast<iom_page_response_message *>(iom_pool_take(&responses_));
    message->response = iom_page_response{};
    message->response.group = 9;
    world_.send_at(49, TO_INVALIDATE_PORT, &message->msg);
    bench_.run_until_idle();
    EXPECT_EQ(passed, 51u);
    EXPECT_EQ(group, 9u);
    EXPECT_EQ(iom_device_tlb_stats_of(tlb_)->invalidations, 0u);
}

} // namespace
