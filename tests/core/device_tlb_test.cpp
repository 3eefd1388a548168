// SPDX-License-Identifier: Apache-2.0
//
// Look-ups, translation requests, permissions, sizes and address spaces of the device TLB, against the text
// of core/device_tlb.h.
#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

#include "tests/core/support/device_tlb_bench.h"

namespace
{

using namespace bench::device_tlb;

class DeviceTlb : public testing::Test, public Rig
{
};

// ---- look-ups ------------------------------------------------------------------------------------------

TEST_F(DeviceTlb, a_hit_leaves_translated_after_the_look_up_and_comes_back_as_it_was)
{
    build(default_config());
    warm({page_a});
    iom_dma *dma = send(100, page_a + 0x123, posted);
    const uint64_t cookie = dma->cookie;
    bench_.run_until_idle();
    ASSERT_EQ(seen_.size(), 2u); // the entry was filled for reads: see insufficient below
    seen_.clear();
    dma = send(200, page_a + 0x123);
    bench_.run_until_idle();
    ASSERT_EQ(seen_.size(), 1u);
    EXPECT_EQ(seen_[0].cycle, 200 + latency + 1);
    EXPECT_EQ(seen_[0].address, page_a + moved + 0x123);
    EXPECT_EQ(seen_[0].flags, unsigned{IOM_REQ_TRANSLATED});
    EXPECT_EQ(answered(dma), seen_[0].cycle + memory_cycles_ + 1 + 1);
    EXPECT_EQ(dma->x.address, page_a + 0x123);
    EXPECT_EQ(dma->x.flags, 0u);
    EXPECT_EQ(dma->cookie, cookie + 1);
    EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(dma->x.leaf.output, page_a + moved + 0x123);
}

TEST_F(DeviceTlb, a_miss_asks_and_its_entry_hits_from_the_cycle_after_the_answer)
{
    build(default_config());
    iom_dma *first = send(10, page_a + 8);
    const iom_cycle asked = 10 + latency + 1, answer = asked + walk_cycles_ + 1;
    iom_dma *in_f = send(answer, page_a + 16);
    iom_dma *after = send(answer + 1, page_a + 24);
    bench_.run_until_idle();
    std::vector<Seen> requests = translation_requests();
    ASSERT_EQ(requests.size(), 2u);
    EXPECT_EQ(requests[0].cycle, asked);
    EXPECT_EQ(requests[0].address, page_a);
    EXPECT_EQ(requests[0].flags, unsigned{IOM_REQ_TRANSLATE});
    EXPECT_EQ(at_host(first), answer + 1);
    EXPECT_EQ(requests[1].cycle, answer + latency + 1); // probed in f: the fill is not there yet
    EXPECT_EQ(at_host(in_f), requests[1].cycle + walk_cycles_ + 1 + 1);
    EXPECT_EQ(at_host(after), answer + 1 + latency + 1);
    EXPECT_EQ(stats().lookups, 3u);
    EXPECT_EQ(stats().hits, 1u);
    EXPECT_EQ(stats().misses, 2u);
    EXPECT_EQ(stats().translation_latency.maximum, walk_cycles_ + 2);
}

TEST_F(DeviceTlb, requests_to_a_page_under_way_join)
{
    build(default_config());
    const iom_cycle answer = 10 + latency + 1 + walk_cycles_ + 1;
    iom_dma *first = send(10, page_a);
    iom_dma *second = send(15, page_a + 64);
    iom_dma *late = send(answer - 1, page_a + 128); // its own look-up ends after the answer
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 1u);
    EXPECT_EQ(at_host(first), answer + 1);
    EXPECT_EQ(at_host(second), answer + 1);
    EXPECT_EQ(at_host(late), answer - 1 + latency + 1);
    EXPECT_EQ(stats().merged, 2u);
}

TEST_F(DeviceTlb, no_place_for_a_translation_request_holds_the_queue)
{
    iom_device_tlb_config config = default_config();
    config.outstanding = 1;
    config.merges_per_request = 1;
    build(config);
    warm({page_c});
    const iom_cycle answer = 100 + latency + 1 + walk_cycles_ + 1;
    send(100, page_a);
    send(101, page_a + 64);                  // joins
    iom_dma *third = send(102, page_a + 64); // no place to join
    iom_dma *behind = send(103, page_c);     // would hit
    bench_.run_until_idle();
    EXPECT_EQ(at_host(third),
              answer + latency + 1 + walk_cycles_ + 1 + 1); // tried again in the cycle of the answer
    EXPECT_EQ(at_host(behind), answer + 1 + latency + 1);
}

TEST_F(DeviceTlb, look_ups_per_cycle_are_limited)
{
    iom_device_tlb_config config = default_config();
    config.lookups_per_cycle = 2;
    build(config);
    warm({page_a});
    std::vector<iom_dma *> list;
    for (int i = 0; i < 5; i++)
        list.push_back(send(100, page_a));
    bench_.run_until_idle();
    for (size_t i = 0; i < list.size(); i++)
        EXPECT_EQ(at_host(list[i]), 100 + i / 2 + latency + 1) << i;
}

TEST_F(DeviceTlb, posted_writes_keep_their_order_and_reads_stay_behind_them)
{
    build(default_config());
    map(page_a);
    warm({page_b}, posted);
    iom_dma *write = send(100, page_a, posted); // misses
    iom_dma *next = send(101, page_b, posted);  // hits
    iom_dma *read = send(102, page_b);
    bench_.run_until_idle();
    const iom_cycle answer = 100 + latency + 1 + walk_cycles_ + 1;
    EXPECT_EQ(at_host(write), answer + 1);
    EXPECT_EQ(at_host(next), answer + 1);
    EXPECT_EQ(at_host(read), answer + 1);
    std::vector<iom_dma *> order;
    for (const Seen &seen : seen_) {
        if ((seen.flags & IOM_REQ_TRANSLATE) == 0)
            order.push_back(seen.dma);
    }
    EXPECT_EQ(order, (std::vector<iom_dma *>{write, next, read}));
}

TEST_F(DeviceTlb, requests_wait_for_credits_of_the_host)
{
    return_credits_ = false;
    build(default_config(), 1);
    iom_dma *first = send(10, page_a);
    send(11, page_b);
    bench_.run_to(30);
    ASSERT_EQ(translation_requests().size(), 1u);
    world_.at(40, [this](iom_cycle now) { iom_port_return_credit(world_.port(HOST), now); });
    bench_.run_to(42);
    ASSERT_EQ(translation_requests().size(), 2u);
    EXPECT_EQ(translation_requests()[1].cycle, 42u); // credit usable in 41
    return_credits_ = true;
    world_.at(50, [this](iom_cycle now) { iom_port_return_credit(world_.port(HOST), now); });
    bench_.run_until_idle();
    EXPECT_EQ(at_host(first), 52u);
}

// ---- permissions ---------------------------------------------------------------------------------------

TEST_F(DeviceTlb, a_write_to_a_read_only_page_is_refused)
{
    build(default_config());
    map(page_a, IOM_PERM_READ);
    iom_dma *write = send(10, page_a + 4, posted);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(write), IOM_NEVER);
    EXPECT_EQ(answered(write), 10 + latency + 1 + walk_cycles_ + 1 + 1);
    EXPECT_EQ(write->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(write->x.fault.recorded, 0);
    EXPECT_EQ(write->x.fault.address, page_a + 4);
    EXPECT_EQ(write->x.address, page_a + 4);
    EXPECT_EQ(stats().refused, 1u);
    // What it does grant is kept.
    iom_dma *read = send(100, page_a + 4);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(read), 100 + latency + 1);
}

TEST_F(DeviceTlb, an_entry_filled_for_a_read_does_not_serve_a_write)
{
    build(default_config());
    warm({page_a});
    send(100, page_a, posted);
    bench_.run_until_idle();
    ASSERT_EQ(translation_requests().size(), 1u);
    EXPECT_EQ(translation_requests()[0].flags, unsigned{IOM_REQ_TRANSLATE | IOM_REQ_WRITE});
    EXPECT_EQ(stats().insufficient, 1u);
    // Now it serves both.
    seen_.clear();
    send(200, page_a);
    send(201, page_a, posted);
    bench_.run_until_idle();
    EXPECT_TRUE(translation_requests().empty());
    EXPECT_EQ(stats().fills, 1u);
}

TEST_F(DeviceTlb, reads_may_ask_for_write_permission_as_well)
{
    iom_device_tlb_config config = default_config();
    config.ask_write = true;
    build(config);
    warm({page_a});
    iom_dma *write = send(100, page_a, posted);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(write), 100 + latency + 1);
    map(page_b, IOM_PERM_READ);
    iom_dma *read = send(200, page_b); // less than asked for is enough
    bench_.run_until_idle();
    EXPECT_NE(at_host(read), IOM_NEVER);
}

TEST_F(DeviceTlb, one_who_joined_a_request_for_less_asks_again)
{
    build(default_config());
    send(10, page_a);
    iom_dma *write = send(11, page_a, posted);
    bench_.run_until_idle();
    const iom_cycle answer = 10 + latency + 1 + walk_cycles_ + 1;
    ASSERT_EQ(translation_requests().size(), 2u);
    EXPECT_EQ(translation_requests()[1].cycle, answer + 1 + latency + 1);
    EXPECT_NE(at_host(write), IOM_NEVER);
}

TEST_F(DeviceTlb, execute_and_write_do_not_displace_each_other)
{
    build(default_config());
    map(page_a, IOM_PERM_ALL);
    warm({page_a}, posted | IOM_REQ_PASID, 5);
    send(100, page_a, IOM_REQ_PASID | IOM_REQ_EXEC, 5);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 1u);
    send(200, page_a, posted | IOM_REQ_PASID, 5);
    send(201, page_a, IOM_REQ_PASID | IOM_REQ_EXEC, 5);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 1u);
    // A privileged request has an entry of its own.
    send(300, page_a, IOM_REQ_PASID | IOM_REQ_PRIV, 5);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 2u);
    send(400, page_a, IOM_REQ_PASID | IOM_REQ_PRIV, 5);
    send(401, page_a, IOM_REQ_PASID, 5);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 2u);
}

TEST_F(DeviceTlb, answers_without_translation)
{
    build(default_config());
    for (iom_outcome outcome : {IOM_OUTCOME_DENIED, IOM_OUTCOME_FAULT}) {
        answer_with(page_a, outcome);
        iom_dma *read = send(bench_.now() + 2, page_a);
        bench_.run_until_idle();
        EXPECT_EQ(at_host(read), IOM_NEVER);
        EXPECT_EQ(read->x.outcome, IOM_OUTCOME_FAULT);
        EXPECT_EQ(read->x.fault.recorded, 0);
        EXPECT_EQ(read->x.fault.code, outcome == IOM_OUTCOME_FAULT ? 77 : 0);
    }
    answer_with(page_a, IOM_OUTCOME_INTERRUPT);
    iom_dma *write = send(bench_.now() + 2, page_a, posted);
    bench_.run_until_idle();
    EXPECT_EQ(seen_.back().dma, write);
    EXPECT_EQ(seen_.back().address, page_a);
    EXPECT_EQ(seen_.back().flags, posted);
    answer_with(page_a, IOM_OUTCOME_BYPASS);
    iom_dma *read = send(bench_.now() + 2, page_a + 8);
    bench_.run_until_idle();
    EXPECT_EQ(seen_.back().address, page_a + 8);
    EXPECT_EQ(seen_.back().flags, unsigned{IOM_REQ_TRANSLATED});
    EXPECT_EQ(read->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(stats().fills, 1u); // of all of them
    EXPECT_EQ(stats().refused, 2u);
    EXPECT_EQ(stats().untranslated, 1u);
}

TEST_F(DeviceTlb, a_refused_request_may_go_untranslated)
{
    iom_device_tlb_config config = default_config();
    config.untranslated_fallback = true;
    build(config);
    answer_with(page_a, IOM_OUTCOME_DENIED);
    iom_dma *read = send(10, page_a + 4);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(read), 10 + latency + 1 + walk_cycles_ + 1 + 1);
    EXPECT_EQ(seen_.back().flags, 0u);
    EXPECT_EQ(seen_.back().address, page_a + 4);
}

// ---- sizes and address spaces --------------------------------------------------------------------------

TEST_F(DeviceTlb, large_pages_are_kept_whole_or_in_pieces)
{
    const uint64_t large = 0x40000000;
    for (bool whole : {true, false}) {
        SCOPED_TRACE(whole);
        Rig rig;
        iom_device_tlb_config config = default_config();
        config.use_size = whole;
        rig.build(config);
        rig.map(large, IOM_PERM_READ, 21);
        rig.warm({large + 0x5000});
        iom_dma *near = rig.send(100, large + 0x5010);
        iom_dma *far = rig.send(101, large + 0x7010);
        rig.bench_.run_until_idle();
        EXPECT_EQ(rig.translation_requests().size(), whole ? 0u : 1u);
        EXPECT_EQ(near->x.leaf.output, large + moved + 0x5010);
        EXPECT_EQ(far->x.leaf.output, large + moved + 0x7010);
        // A page inside it removes the whole.
        iom_ats_invalidation *msg = rig.invalidate_page(200, large + 0x7000);
        rig.bench_.run_until_idle();
        EXPECT_EQ(msg->removed, 1u);
        rig.seen_.clear();
        rig.send(300, large + 0x5010);
        rig.bench_.run_until_idle();
        EXPECT_EQ(rig.translation_requests().size(), whole ? 1u : 0u);
    }
}

TEST_F(DeviceTlb, processes_have_entries_of_their_own)
{
    build(default_config());
    warm({page_a});
    send(100, page_a, IOM_REQ_PASID, 7);
    send(110, page_a, IOM_REQ_PASID, 8);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 2u);
    send(200, page_a, IOM_REQ_PASID, 7);
    send(210, page_a, IOM_REQ_PASID, 8);
    send(220, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 2u);
}

TEST_F(DeviceTlb, a_global_entry_serves_every_process_but_not_the_device)
{
    build(default_config());
    map(page_a, IOM_PERM_READ, 12, 1);
    warm({page_a}, IOM_REQ_PASID, 7);
    send(200, page_a, IOM_REQ_PASID, 8);
    bench_.run_until_idle();
    EXPECT_TRUE(translation_requests().empty());
    send(300, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 1u);
}

} // namespace
