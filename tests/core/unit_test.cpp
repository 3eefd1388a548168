// SPDX-License-Identifier: Apache-2.0
//
// Units, ports and groups (core/unit.h, architecture rules 1, 2, 3, 7 and 8) with units that are scripts:
// each test says in which cycle what is sent and compares when it arrives.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/unit.h"

namespace
{

/// A message with the number of its making.
struct Numbered {
    iom_msg msg;
    uint64_t id;
};

/// A unit whose advance is given by the test.
class Script
{
  public:
    Script(const char *name, uint32_t requesters, uint32_t responders) : ports_(requesters + responders)
    {
        iom_unit_init(&header_.unit, &ops, name, ports_.data(), static_cast<uint32_t>(ports_.size()));
        header_.self = this;
        for (uint32_t i = 0; i < ports_.size(); i++)
            iom_port_init(&header_.unit, i, i < requesters ? "out" : "in", i < requesters);
    }
    ~Script()
    {
        for (iom_port &port : ports_)
            iom_port_unbind(&port);
    }
    iom_unit *unit()
    {
        return &header_.unit;
    }
    iom_port &port(uint32_t index)
    {
        return ports_[index];
    }

    /// Default: takes everything that has arrived.
    std::function<iom_cycle(iom_cycle)> body = [this](iom_cycle now) {
        take_all(now);
        return IOM_NEVER;
    };
    std::vector<iom_cycle> calls; ///< cycles in which advance was called
    struct Taken {
        iom_cycle cycle;
        uint32_t port;
        uint64_t id;
        bool operator==(const Taken &o) const
        {
            return cycle == o.cycle && port == o.port && id == o.id;
        }
    };
    std::vector<Taken> taken;
    uint64_t held = 0;

    void take_all(iom_cycle now, bool return_credits = true)
    {
        for (uint32_t i = 0; i < ports_.size(); i++) {
            while (iom_msg *msg = iom_port_peek(&ports_[i], now)) {
                iom_port_pop(&ports_[i]);
                taken.push_back({now, i, reinterpret_cast<Numbered *>(msg)->id});
                if (return_credits && !ports_[i].requester)
                    iom_port_return_credit(&ports_[i], now);
                iom_msg_release(msg);
            }
        }
    }

  private:
    struct Header {
        iom_unit unit;
        Script *self;
    };
    static iom_cycle advance(iom_unit *unit, iom_cycle now)
    {
        Script &self = *reinterpret_cast<Header *>(unit)->self;
        self.calls.push_back(now);
        return self.body(now);
    }
    static uint64_t outstanding(const iom_unit *unit)
    {
        return reinterpret_cast<const Header *>(unit)->self->held;
    }
    static const iom_unit_ops ops;

    Header header_{};
    std::vector<iom_port> ports_;
};

const iom_unit_ops Script::ops = {"script", Script::advance, Script::outstanding, nullptr, nullptr,
                                  nullptr,  nullptr};

class Units : public ::testing::Test
{
  protected:
    Units()
    {
        iom_pool_init(&pool, IOM_MSG_DMA, sizeof(Numbered));
    }
    ~Units() override
    {
        for (auto &group : groups)
            iom_group_free(group.get());
        scripts.clear();
        iom_pool_free(&pool);
    }
    Script &script(const char *name, uint32_t requesters, uint32_t responders)
    {
        scripts.push_back(std::make_unique<Script>(name, requesters, responders));
        return *scripts.back();
    }
    iom_msg *message()
    {
        auto *made = static_cast<Numbered *>(iom_pool_take(&pool));
        made->id = next_id++;
        return &made->msg;
    }
    void bind(iom_port &requester, iom_port &responder, iom_link_config link)
    {
        ASSERT_TRUE(iom_port_bind(&requester, &responder, &link));
    }
    const char *init(const std::vector<iom_unit *> &units)
    {
        groups.push_back(std::make_unique<iom_group>());
        return iom_group_init(groups.back().get(), "group", units.data(),
                              static_cast<uint32_t>(units.size()));
    }
    iom_group &group(size_t index = 0)
    {
        return *groups[index];
    }
    void start(const std::vector<iom_unit *> &units)
    {
        ASSERT_EQ(init(units), nullptr);
        iom_group_start(&group(), 0);
    }
    iom_run_end run(iom_cycle limit = IOM_NEVER)
    {
        return iom_group_run(&group(), limit, nullptr);
    }

    iom_pool pool{};
    uint64_t next_id = 0;
    std::vector<std::unique_ptr<Script>> scripts;
    std::vector<std::unique_ptr<iom_group>> groups;
};

// ---- credits -----------------------------------------------------------------------------------------

// A sender that always wants to send: with depth d and a round trip of r cycles (latency there, slot freed
// on arrival, credit back) it sends d requests every r cycles, one per cycle while it has credits.
TEST_F(Units, credits_limit_requests_to_depth_per_round_trip)
{
    for (uint32_t depth : {1u, 2u, 3u, 5u}) {
        Script &sender = script("sender", 1, 0);
        Script &receiver = script("receiver", 0, 1);
        const iom_cycle latency = 3, credit = 4;
        bind(sender.port(0), receiver.port(0), {latency, 1, credit, depth});
        std::vector<iom_cycle> sent;
        sender.body = [&](iom_cycle now) -> iom_cycle {
            if (now >= 100 || !iom_port_can_send(&sender.port(0), now))
                return IOM_NEVER;
            sent.push_back(now);
            iom_port_send(&sender.port(0), message(), now);
            return now + 1;
        };
        ASSERT_EQ(init({sender.unit(), receiver.unit()}), nullptr);
        iom_group_start(groups.back().get(), 0);
        EXPECT_EQ(iom_group_run(groups.back().get(), IOM_NEVER, nullptr), IOM_RUN_IDLE);
        std::vector<iom_cycle> expected;
        for (iom_cycle round = 0; round < 100; round += latency + credit)
            for (uint32_t n = 0; n < depth; n++)
                if (round + n < 100)
                    expected.push_back(round + n);
        EXPECT_EQ(sent, expected) << "depth " << depth;
        ASSERT_EQ(receiver.taken.size(), sent.size());
        for (size_t i = 0; i < sent.size(); i++)
            EXPECT_EQ(receiver.taken[i].cycle, sent[i] + latency);
    }
}

TEST_F(Units, a_credit_is_unusable_before_it_arrives)
{
    Script &sender = script("sender", 1, 0);
    Script &receiver = script("receiver", 0, 1);
    bind(sender.port(0), receiver.port(0), {1, 1, 5, 1});
    ASSERT_EQ(init({sender.unit(), receiver.unit()}), nullptr);
    iom_port &port = sender.port(0);
    EXPECT_TRUE(iom_port_can_send(&port, 0));
    iom_port_send(&port, message(), 0);
    EXPECT_FALSE(iom_port_can_send(&port, 0));
    iom_port_return_credit(&receiver.port(0), 1); // arrives at 6
    EXPECT_FALSE(iom_port_can_send(&port, 5));
    EXPECT_TRUE(iom_port_can_send(&port, 6));
}

TEST_F(Units, depth_zero_needs_no_credits)
{
    Script &sender = script("sender", 1, 0);
    Script &receiver = script("receiver", 0, 1);
    bind(sender.port(0), receiver.port(0), {1, 1, 1, 0});
    start({sender.unit(), receiver.unit()});
    for (int i = 0; i < 100; i++) {
        ASSERT_TRUE(iom_port_can_send(&sender.port(0), 0));
        iom_port_send(&sender.port(0), message(), 0);
    }
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(receiver.taken.size(), 100u);
}

TEST_F(Units, a_credit_wakes_only_who_asked_for_it)
{
    Script &sender = script("sender", 1, 0);
    Script &receiver = script("receiver", 0, 1);
    bind(sender.port(0), receiver.port(0), {1, 1, 1, 2});
    sender.body = [&](iom_cycle now) {
        if (now == 0)
            iom_port_send(&sender.port(0), message(), now);
        return IOM_NEVER;
    };
    start({sender.unit(), receiver.unit()});
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(sender.calls, std::vector<iom_cycle>{0});
}

// ---- inbox -------------------------------------------------------------------------------------------

TEST_F(Units, an_inbox_is_ordered_by_arrival_then_by_sending)
{
    Script &sender = script("sender", 1, 0);
    Script &receiver = script("receiver", 0, 1);
    bind(sender.port(0), receiver.port(0), {1, 1, 1, 0});
    start({sender.unit(), receiver.unit()});
    // Departures of messages 0 to 5; message i carries number i.
    for (iom_cycle depart : {9, 4, 9, 4, 0, 6})
        iom_port_send(&sender.port(0), message(), depart);
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    using T = Script::Taken;
    EXPECT_EQ(receiver.taken,
              (std::vector<T>{{1, 0, 4}, {5, 0, 1}, {5, 0, 3}, {7, 0, 5}, {10, 0, 0}, {10, 0, 2}}));
    EXPECT_EQ(receiver.calls, (std::vector<iom_cycle>{0, 1, 5, 7, 10}));
}

TEST_F(Units, peek_shows_nothing_before_its_arrival)
{
    Script &sender = script("sender", 1, 0);
    Script &receiver = script("receiver", 0, 1);
    bind(sender.port(0), receiver.port(0), {10, 1, 1, 0});
    start({sender.unit(), receiver.unit()});
    iom_port_send(&sender.port(0), message(), 0);
    EXPECT_EQ(iom_port_peek(&receiver.port(0), 9), nullptr);
    EXPECT_NE(iom_port_peek(&receiver.port(0), 10), nullptr);
}

// ---- clocks ------------------------------------------------------------------------------------------

TEST_F(Units, edges_are_at_phase_plus_multiples_of_the_period)
{
    Script &unit = script("unit", 0, 0);
    unit.unit()->period = 4;
    unit.unit()->phase = 3;
    const iom_cycle expected[] = {3, 3, 3, 3, 7, 7, 7, 7, 11};
    for (iom_cycle cycle = 0; cycle < 9; cycle++)
        EXPECT_EQ(iom_unit_edge(unit.unit(), cycle), expected[cycle]) << cycle;
}

TEST_F(Units, messages_and_credits_arrive_at_the_receivers_next_edge)
{
    Script &sender = script("sender", 1, 0);
    Script &receiver = script("receiver", 0, 1);
    receiver.unit()->period = 5;
    receiver.unit()->phase = 2;
    sender.unit()->period = 3;
    bind(sender.port(0), receiver.port(0), {1, 1, 1, 1});
    std::vector<iom_cycle> sent;
    sender.body = [&](iom_cycle now) -> iom_cycle {
        if (sent.size() < 3 && iom_port_can_send(&sender.port(0), now)) {
            sent.push_back(now);
            iom_port_send(&sender.port(0), message(), now);
            iom_port_can_send(&sender.port(0), now); // asks for the next credit
        }
        return IOM_NEVER;
    };
    start({sender.unit(), receiver.unit()});
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    // Sent at 0: arrives at 1, edge 2; credit at 3, edge 3. Sent at 3: 4, edge 7; credit 8, edge 9. ...
    EXPECT_EQ(sent, (std::vector<iom_cycle>{0, 3, 9}));
    using T = Script::Taken;
    EXPECT_EQ(receiver.taken, (std::vector<T>{{2, 0, 0}, {7, 0, 1}, {12, 0, 2}}));
}

// ---- ranks -------------------------------------------------------------------------------------------

TEST_F(Units, a_chain_of_zero_latency_takes_no_time)
{
    Script &first = script("first", 1, 0);
    Script &second = script("second", 1, 1);
    Script &third = script("third", 0, 1);
    bind(first.port(0), second.port(1), {0, 1, 1, 0});
    bind(second.port(0), third.port(0), {0, 1, 1, 0});
    first.body = [&](iom_cycle now) -> iom_cycle {
        iom_port_send(&first.port(0), message(), now);
        return now < 10 ? now + 5 : IOM_NEVER;
    };
    second.body = [&](iom_cycle now) {
        if (iom_port_peek(&second.port(1), now) != nullptr)
            iom_port_send(&second.port(0), iom_port_pop(&second.port(1)), now);
        return IOM_NEVER;
    };
    start({third.unit(), second.unit(), first.unit()}); // worst order: ranks must turn it around
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    using T = Script::Taken;
    EXPECT_EQ(third.taken, (std::vector<T>{{0, 0, 0}, {5, 0, 1}, {10, 0, 2}}));
    EXPECT_LT(first.unit()->slot, second.unit()->slot);
    EXPECT_LT(second.unit()->slot, third.unit()->slot);
}

TEST_F(Units, a_loop_of_zero_latency_is_refused)
{
    Script &a = script("a", 1, 1);
    Script &b = script("b", 1, 1);
    bind(a.port(0), b.port(1), {0, 1, 1, 0});
    bind(b.port(0), a.port(1), {0, 1, 1, 0});
    EXPECT_STREQ(init({a.unit(), b.unit()}), "connections of zero latency form a loop");
}

TEST_F(Units, a_connection_without_latency_in_both_directions_is_a_loop)
{
    Script &a = script("a", 1, 0);
    Script &b = script("b", 0, 1);
    bind(a.port(0), b.port(0), {0, 0, 1, 0});
    EXPECT_STREQ(init({a.unit(), b.unit()}), "connections of zero latency form a loop");
}

TEST_F(Units, a_unit_that_feeds_itself_in_no_time_is_refused)
{
    Script &a = script("a", 1, 1);
    bind(a.port(0), a.port(1), {0, 1, 1, 0});
    EXPECT_STREQ(init({a.unit()}), "connections of zero latency form a loop");
}

TEST_F(Units, zero_latency_between_groups_is_refused)
{
    Script &a = script("a", 1, 0);
    Script &b = script("b", 0, 1);
    bind(a.port(0), b.port(0), {0, 1, 1, 0});
    EXPECT_STREQ(init({a.unit()}), "a connection between groups needs a latency of at least one cycle");
    EXPECT_EQ(init({b.unit()}), nullptr); // its own messages take a cycle
}

// ---- far wake-ups (beyond the wheel's reach of 4096 cycles) --------------------------------------------

TEST_F(Units, no_far_arrival_is_lost_when_an_earlier_one_displaces_it)
{
    // The wheel's heap keeps one far wake-up per unit. Arrivals at 10000 and 9000 are filed in that order,
    // and the unit is advanced at 8000, when 9000 is near: 10000 must still be served.
    Script &sender = script("sender", 2, 0);
    Script &receiver = script("receiver", 0, 2);
    bind(sender.port(0), receiver.port(0), {10000, 1, 1, 0});
    bind(sender.port(1), receiver.port(1), {9000, 1, 1, 0});
    start({sender.unit(), receiver.unit()});
    iom_port_send(&sender.port(0), message(), 0);
    iom_port_send(&sender.port(1), message(), 0);
    iom_unit_wake(receiver.unit(), 4000);
    EXPECT_EQ(run(7000), IOM_RUN_LIMIT);
    iom_unit_wake(receiver.unit(), 8000);
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    using T = Script::Taken;
    EXPECT_EQ(receiver.taken, (std::vector<T>{{9000, 1, 1}, {10000, 0, 0}}));
}

TEST_F(Units, a_waiting_message_does_not_hide_the_units_own_wake_up)
{
    // One message has arrived and is left waiting, another is far away: the unit's own wake-up at 50 counts.
    Script &sender = script("sender", 2, 0);
    Script &receiver = script("receiver", 0, 2);
    bind(sender.port(0), receiver.port(0), {10, 1, 1, 0});
    bind(sender.port(1), receiver.port(1), {20000, 1, 1, 0});
    receiver.body = [&](iom_cycle now) -> iom_cycle {
        if (now < 50)
            return 50;
        receiver.take_all(now);
        return IOM_NEVER;
    };
    start({sender.unit(), receiver.unit()});
    iom_port_send(&sender.port(0), message(), 0);
    iom_port_send(&sender.port(1), message(), 0);
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    using T = Script::Taken;
    EXPECT_EQ(receiver.taken, (std::vector<T>{{50, 0, 0}, {20000, 1, 1}}));
}

// ---- running -----------------------------------------------------------------------------------------

TEST_F(Units, work_in_the_limit_cycle_is_done_and_a_run_goes_on)
{
    Script &unit = script("unit", 0, 0);
    unit.body = [](iom_cycle now) { return now < 30 ? now + 10 : IOM_NEVER; };
    start({unit.unit()});
    EXPECT_EQ(run(9), IOM_RUN_LIMIT);
    EXPECT_EQ(unit.calls, (std::vector<iom_cycle>{0}));
    EXPECT_EQ(run(10), IOM_RUN_LIMIT);
    EXPECT_EQ(unit.calls, (std::vector<iom_cycle>{0, 10}));
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(unit.calls, (std::vector<iom_cycle>{0, 10, 20, 30}));
}

TEST_F(Units, a_stop_takes_effect_after_all_units_have_done_the_cycle)
{
    Script &a = script("a", 0, 0);
    Script &b = script("b", 0, 0);
    bool stop = false;
    a.body = [&](iom_cycle now) -> iom_cycle {
        stop = now == 5;
        return now + 1;
    };
    b.body = [](iom_cycle now) { return now + 1; };
    start({a.unit(), b.unit()});
    EXPECT_EQ(iom_group_run(&group(), IOM_NEVER, &stop), IOM_RUN_STOPPED);
    EXPECT_EQ(a.calls.back(), 5u);
    EXPECT_EQ(b.calls.back(), 5u);
}

TEST_F(Units, groups_nest)
{
    Script &sender = script("sender", 1, 0);
    Script &receiver = script("receiver", 0, 1);
    bind(sender.port(0), receiver.port(0), {3, 1, 1, 0});
    sender.body = [&](iom_cycle now) {
        if (now == 0)
            for (iom_cycle depart : {0, 5000})
                iom_port_send(&sender.port(0), message(), depart);
        return IOM_NEVER;
    };
    ASSERT_EQ(init({sender.unit()}), nullptr);
    ASSERT_EQ(init({receiver.unit()}), nullptr);
    ASSERT_EQ(init({&group(0).unit, &group(1).unit}), nullptr);
    iom_group_start(&group(2), 0);
    EXPECT_EQ(iom_group_outstanding(&group(2)), 0u);
    EXPECT_EQ(iom_group_run(&group(2), 100, nullptr), IOM_RUN_LIMIT);
    EXPECT_EQ(iom_group_outstanding(&group(2)), 1u);
    EXPECT_EQ(iom_group_run(&group(2), IOM_NEVER, nullptr), IOM_RUN_IDLE);
    using T = Script::Taken;
    EXPECT_EQ(receiver.taken, (std::vector<T>{{3, 0, 0}, {5003, 0, 1}}));
}

TEST_F(Units, a_deadlock_is_reported_with_who_waits_for_whom)
{
    Script &sender = script("sender", 1, 0);
    Script &receiver = script("receiver", 0, 1);
    bind(sender.port(0), receiver.port(0), {1, 1, 1, 1});
    sender.body = [&](iom_cycle now) -> iom_cycle {
        if (!iom_port_can_send(&sender.port(0), now))
            return IOM_NEVER;
        iom_port_send(&sender.port(0), message(), now);
        return now + 1;
    };
    receiver.body = [](iom_cycle) { return IOM_NEVER; }; // never takes anything
    sender.held = 2;
    start({sender.unit(), receiver.unit()});
    EXPECT_EQ(run(), IOM_RUN_DEADLOCK);
    char text[512];
    iom_group_explain(&group(), text, sizeof text);
    EXPECT_STREQ(text, "sender waits for a credit of receiver (port in of depth 1)\n"
                       "sender holds 2 request(s)\n"
                       "receiver has 1 message(s) waiting at port in\n");
    char small[20];
    iom_group_explain(&group(), small, sizeof small);
    EXPECT_EQ(std::string(small), std::string(text).substr(0, sizeof small - 1));
}

TEST_F(Units, next_event_is_the_earliest_of_own_wake_up_arrivals_and_credits)
{
    Script &sender = script("sender", 1, 0);
    Script &receiver = script("receiver", 0, 1);
    bind(sender.port(0), receiver.port(0), {7, 1, 9, 1});
    start({sender.unit(), receiver.unit()});
    EXPECT_EQ(iom_unit_next_event(receiver.unit()), IOM_NEVER);
    receiver.unit()->self_wake = 20;
    EXPECT_EQ(iom_unit_next_event(receiver.unit()), 20u);
    iom_port_send(&sender.port(0), message(), 0);
    EXPECT_EQ(iom_unit_next_event(receiver.unit()), 7u);
    EXPECT_FALSE(iom_port_can_send(&sender.port(0), 0));
    iom_port_return_credit(&receiver.port(0), 4);
    EXPECT_EQ(iom_unit_next_event(sender.unit()), 13u);
    EXPECT_EQ(group().wheel.now, 0u);
}

} // namespace
