// SPDX-License-Identifier: Apache-2.0
//
// PCIe order (core/order.h) against a model that looks at all earlier requests each time.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "core/order.h"
#include "core/rng.h"

namespace
{

struct Entry {
    iom_dma dma = {};
    bool posted = false, ready = false, left = false;
    iom_cycle wanted = 0, departed = 0;
};

/// All requests of a requester in the order in which they entered.
class Model
{
  public:
    Entry &enter(uint32_t source, bool posted, unsigned more_flags)
    {
        std::deque<Entry> &all = of_[source];
        all.emplace_back();
        Entry &e = all.back();
        e.dma.x.source = source;
        e.posted = posted;
        e.dma.x.flags = static_cast<uint16_t>(more_flags | (posted ? IOM_REQ_WRITE | IOM_REQ_POSTED : 0u));
        return e;
    }
    /// May it leave, and when at the earliest?
    bool may_leave(const Entry &e, iom_cycle &depart) const
    {
        depart = e.wanted;
        for (const Entry &earlier : of_.at(e.dma.x.source)) {
            if (&earlier == &e)
                return true;
            if (!earlier.posted)
                continue;
            if (!earlier.left)
                return false;
            depart = std::max(depart, earlier.departed);
        }
        return true;
    }
    Entry &find(const iom_dma *dma)
    {
        for (Entry &e : of_.at(dma->x.source)) {
            if (&e.dma == dma)
                return e;
        }
        throw std::logic_error("a request that never entered");
    }
    const std::deque<Entry> &of(uint32_t source) const
    {
        return of_.at(source);
    }

  private:
    std::map<uint32_t, std::deque<Entry>> of_;
};

class Order : public testing::Test
{
  protected:
    Order() : order(iom_order_create())
    {
    }
    ~Order() override
    {
        iom_order_destroy(order);
    }
    /// Takes what may go after a request of this requester left, and checks each against the model.
    uint64_t drain(uint32_t source, uint32_t requester)
    {
        uint64_t count = 0;
        iom_cycle depart = 0, expected = 0;
        while (iom_dma *next = iom_order_next(order, requester, &depart)) {
            Entry &e = model.find(next);
            EXPECT_TRUE(e.ready);
            EXPECT_FALSE(e.left);
            EXPECT_TRUE(model.may_leave(e, expected));
            EXPECT_EQ(depart, expected);
            e.left = true;
            e.departed = depart;
            count++;
        }
        for (const Entry &e : model.of(source)) {
            if (e.ready && !e.left) {
                EXPECT_FALSE(model.may_leave(e, expected)) << "left behind";
            }
        }
        return count;
    }
    iom_order *order;
    Model model;
};

TEST_F(Order, agrees_with_a_model_on_random_traffic)
{
    iom_rng rng;
    iom_rng_seed(&rng, 11, "order");
    std::vector<Entry *> inside;
    uint64_t parked = 0;
    iom_cycle now = 0;
    for (int step = 0; step < 20000; step++) {
        now += iom_rng_below(&rng, 3);
        if (inside.size() < 12 && iom_rng_below(&rng, 2) == 0) {
            const uint32_t source = static_cast<uint32_t>(iom_rng_below(&rng, 4)) * 0x1111;
            Entry &e = model.enter(source, iom_rng_below(&rng, 3) != 0, 0);
            iom_order_enter(order, &e.dma);
            inside.push_back(&e);
        } else if (!inside.empty()) {
            const size_t which = iom_rng_below(&rng, inside.size());
            Entry &e = *inside[which];
            inside.erase(inside.begin() + static_cast<ptrdiff_t>(which));
            e.ready = true;
            e.wanted = now + iom_rng_below(&rng, 10);
            iom_cycle depart = e.wanted, expected = 0;
            const bool goes = iom_order_leave(order, &e.dma, &depart);
            ASSERT_EQ(goes, model.may_leave(e, expected)) << "step " << step;
            if (goes) {
                ASSERT_EQ(depart, expected) << "step " << step;
                e.left = true;
                e.departed = depart;
                parked -= drain(e.dma.x.source, e.dma.requester);
            } else {
                parked++;
            }
            ASSERT_EQ(iom_order_parked(order), parked) << "step " << step;
        }
    }
}

TEST_F(Order, many_requesters_keep_apart)
{
    std::vector<Entry *> writes;
    for (uint32_t source = 0; source < 5000; source++) {
        Entry &e = model.enter(source * 7, true, 0);
        iom_order_enter(order, &e.dma);
        writes.push_back(&e);
    }
    for (auto e = writes.rbegin(); e != writes.rend(); ++e) {
        iom_cycle depart = 5;
        EXPECT_TRUE(iom_order_leave(order, &(*e)->dma, &depart));
        EXPECT_EQ(depart, 5u);
    }
    EXPECT_EQ(iom_order_parked(order), 0u);
}

// A write that is known earlier than the one before it departs no earlier.
TEST_F(Order, departure_is_raised_to_that_of_the_write_before)
{
    Entry &first = model.enter(1, true, 0), &second = model.enter(1, true, 0),
          &read = model.enter(1, false, 0);
    for (Entry *e : {&first, &second, &read})
        iom_order_enter(order, &e->dma);
    iom_cycle depart = 100;
    EXPECT_TRUE(iom_order_leave(order, &first.dma, &depart));
    EXPECT_EQ(depart, 100u);
    depart = 90;
    EXPECT_TRUE(iom_order_leave(order, &second.dma, &depart));
    EXPECT_EQ(depart, 100u);
    depart = 95;
    EXPECT_TRUE(iom_order_leave(order, &read.dma, &depart));
    EXPECT_EQ(depart, 100u);
}

} // namespace
