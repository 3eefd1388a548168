// SPDX-License-Identifier: Apache-2.0
//
// One direction of a PCI Express link against the ordering table and flow control of the PCI Express Base
// Specification 6.0 (2.4.1, 2.6): each cell of the table in both queues, credits of each class, and random
// traffic against a model that knows no reservations and looks at every cycle.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/link_channel.h"
#include "core/rng.h"

namespace
{

constexpr iom_link_class classes[] = {IOM_LINK_POSTED, IOM_LINK_NON_POSTED, IOM_LINK_COMPLETION};
const char *const names[] = {"posted", "non_posted", "completion"};

// Table 2-40 without relaxed and ID-based ordering; row: the later packet. Where the table leaves a choice
// ("Y/N"), packets of a class keep their order and others pass.
bool table_allows(iom_link_class later, iom_link_class earlier)
{
    static const char *const rows[] = {"NYY", "NNY", "NYN"};
    return rows[later][earlier] == 'Y';
}

struct Packet {
    iom_msg msg; // first: found back from the message
    iom_link_class kind;
    uint64_t payload;
    size_t id;
    iom_cycle hold; ///< cycles it keeps its place behind the receive buffer
};

const Packet &packet_of(const iom_msg *msg)
{
    return *reinterpret_cast<const Packet *>(msg);
}

/// A channel without any unit around it: cycles are called as its results and the test ask for.
class Rig
{
  public:
    std::function<bool(const Packet &, iom_cycle)> has_place = [](const Packet &, iom_cycle) { return true; };
    std::function<void(const Packet &, iom_cycle)> on_passed = [](const Packet &, iom_cycle) {};
    std::map<size_t, iom_cycle> passed;
    std::vector<size_t> order; ///< ids as passed on
    std::vector<size_t> sent;  ///< ids in the order of their turns on the wires

    explicit Rig(const iom_link_direction &direction, uint32_t bytes_per_cycle = 8, uint32_t header = 24)
    {
        unit_.period = 1;
        EXPECT_TRUE(
            iom_link_channel_init(&channel, &unit_, &ops_, this, bytes_per_cycle, header, &direction));
    }
    ~Rig()
    {
        iom_link_channel_free(&channel);
    }
    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;

    size_t offer_at(iom_cycle cycle, iom_link_class kind, uint64_t payload = 0, iom_cycle hold = 0)
    {
        packets_.push_back({{}, kind, payload, packets_.size(), hold});
        offers_.emplace(cycle, &packets_.back());
        return packets_.size() - 1;
    }
    /// Something outside changes in `cycle`.
    void wake_at(iom_cycle cycle)
    {
        wakes_.emplace(cycle, 0);
    }
    void run_to(iom_cycle last)
    {
        for (;;) {
            iom_cycle now = channel_wake_;
            if (!offers_.empty())
                now = std::min(now, offers_.begin()->first);
            if (!wakes_.empty())
                now = std::min(now, wakes_.begin()->first);
            if (now > last)
                return;
            ASSERT_TRUE(first_ || now > now_) << "asked to be called again in cycle " << now;
            first_ = false;
            now_ = now;
            wakes_.erase(now);
            for (; !offers_.empty() && offers_.begin()->first == now; offers_.erase(offers_.begin()))
                iom_link_channel_offer(&channel, &offers_.begin()->second->msg, now);
            channel_wake_ = iom_link_channel_advance(&channel, now);
        }
    }

    iom_link_channel channel = {};

  private:
    static iom_link_packet look_at(const iom_msg *msg)
    {
        return {packet_of(msg).kind, packet_of(msg).payload};
    }
    static void note_sent(void *owner, const iom_msg *msg, iom_cycle)
    {
        static_cast<Rig *>(owner)->sent.push_back(packet_of(msg).id);
    }
    static bool ask_place(void *owner, const iom_msg *msg, iom_cycle now)
    {
        return static_cast<Rig *>(owner)->has_place(packet_of(msg), now);
    }
    static void pass_on(void *owner, iom_msg *msg, iom_cycle when)
    {
        auto &rig = *static_cast<Rig *>(owner);
        const Packet &packet = packet_of(msg);
        EXPECT_TRUE(rig.passed.emplace(packet.id, when).second) << "packet " << packet.id << " twice";
        rig.order.push_back(packet.id);
        rig.on_passed(packet, when);
    }

    static constexpr iom_link_channel_ops ops_ = {look_at, note_sent, ask_place, pass_on};
    iom_unit unit_ = {};
    std::deque<Packet> packets_;
    std::multimap<iom_cycle, Packet *> offers_;
    std::map<iom_cycle, int> wakes_;
    iom_cycle now_ = 0, channel_wake_ = IOM_NEVER;
    bool first_ = true;
};

constexpr iom_cycle header = 3; // cycles of a packet without payload

// ---- the table -----------------------------------------------------------------------------------------

struct Cell {
    iom_link_class later, earlier;
};

class Ordering : public testing::TestWithParam<Cell>
{
};

TEST_P(Ordering, of_packets_that_wait_for_credits)
{
    const auto [later, earlier] = GetParam();
    iom_link_direction direction = {};
    direction.credits[earlier].header = 1;
    direction.credit_cycles = 1000;
    Rig rig(direction);
    const size_t first = rig.offer_at(0, earlier); // takes the credit until 1003
    const size_t stalled = rig.offer_at(10, earlier);
    const size_t behind = rig.offer_at(11, later);
    rig.run_to(100000);
    EXPECT_EQ(rig.passed.at(first), header);
    EXPECT_EQ(rig.passed.at(stalled), header + 1000 + header);
    if (table_allows(later, earlier))
        EXPECT_EQ(rig.passed.at(behind), 11 + header);
    else if (later == earlier)
        EXPECT_EQ(rig.passed.at(behind), 2 * (header + 1000) + header);
    else
        EXPECT_EQ(rig.passed.at(behind), header + 1000 + header + header);
}

TEST_P(Ordering, of_packets_that_wait_for_a_place_behind_the_receive_buffer)
{
    const auto [later, earlier] = GetParam();
    Rig rig({});
    const size_t stalled = rig.offer_at(10, earlier);
    const size_t behind = rig.offer_at(11, later);
    rig.has_place = [stalled](const Packet &packet, iom_cycle now) {
        return packet.id != stalled || now >= 1000;
    };
    rig.wake_at(1000);
    rig.run_to(999);
    EXPECT_EQ(rig.passed.count(stalled), 0u);
    EXPECT_EQ(rig.passed.count(behind), table_allows(later, earlier) ? 1u : 0u);
    rig.run_to(2000);
    EXPECT_EQ(rig.passed.at(stalled), 1000u);
    EXPECT_EQ(rig.passed.at(behind), table_allows(later, earlier) ? 10 + header + header : 1000);
    EXPECT_EQ(rig.order.back(), table_allows(later, earlier) ? stalled : behind);
    EXPECT_EQ(rig.channel.counters[earlier].place_waits, 1u);
}

// Nobody overtakes without need.
TEST_P(Ordering, is_that_of_arrival_if_nobody_waits_for_credits)
{
    const auto [later, earlier] = GetParam();
    Rig rig({});
    const size_t wires = rig.offer_at(0, IOM_LINK_POSTED, 800);
    const size_t second = rig.offer_at(10, earlier);
    const size_t third = rig.offer_at(11, later);
    rig.run_to(100000);
    EXPECT_EQ(rig.passed.at(wires), header + 100);
    EXPECT_EQ(rig.passed.at(second), header + 100 + header);
    EXPECT_EQ(rig.passed.at(third), header + 100 + 2 * header);
}

std::vector<Cell> cells()
{
    std::vector<Cell> all;
    for (iom_link_class later : classes)
        for (iom_link_class earlier : classes)
            all.push_back({later, earlier});
    return all;
}

INSTANTIATE_TEST_SUITE_P(Table, Ordering, testing::ValuesIn(cells()), [](const auto &cell) {
    return std::string(names[cell.param.later]) + "_behind_" + names[cell.param.earlier];
});

// The oldest one goes when the wires become free, even if a younger one could have gone before.
TEST(LinkChannel, the_oldest_with_credits_gets_the_wires)
{
    iom_link_direction direction = {};
    direction.credits[IOM_LINK_NON_POSTED].header = 1;
    direction.credit_cycles = 50;
    Rig rig(direction);
    const size_t first = rig.offer_at(0, IOM_LINK_NON_POSTED);    // its credit is back in 53
    const size_t wires = rig.offer_at(3, IOM_LINK_POSTED, 800);   // until 106
    const size_t oldest = rig.offer_at(10, IOM_LINK_NON_POSTED);  // no credit yet
    const size_t younger = rig.offer_at(11, IOM_LINK_POSTED, 80); // could
    rig.run_to(100000);
    EXPECT_EQ(rig.sent, (std::vector<size_t>{first, wires, oldest, younger}));
    EXPECT_EQ(rig.passed.at(oldest), 106 + header);
    EXPECT_EQ(rig.passed.at(younger), 106 + 2 * header + 10);
    EXPECT_EQ(rig.channel.counters[IOM_LINK_NON_POSTED].credit_waits, 0u);
}

// ---- credits -------------------------------------------------------------------------------------------

class Credits : public testing::TestWithParam<iom_link_class>
{
};

// A loop of flight there, credit back: of `limit` credits each is used once in it.
TEST_P(Credits, of_headers_limit_packets_in_a_round_trip)
{
    iom_link_direction direction = {};
    direction.credits[GetParam()].header = 4;
    direction.flight_cycles = 40;
    direction.credit_cycles = 60;
    Rig rig(direction);
    for (unsigned i = 0; i < 12; i++)
        rig.offer_at(0, GetParam());
    rig.run_to(100000);
    const iom_cycle loop = header + 40 + 60;
    for (size_t i = 0; i < 12; i++)
        EXPECT_EQ(rig.passed.at(i), i / 4 * loop + (i % 4 + 1) * header + 40) << i;
    EXPECT_EQ(rig.channel.counters[GetParam()].credit_waits, 2u); // the others find the wires busy
}

TEST_P(Credits, of_data_are_units_of_16_bytes)
{
    iom_link_direction direction = {};
    direction.credits[GetParam()].data = 5;
    direction.credit_cycles = 1000;
    Rig rig(direction);
    rig.offer_at(0, GetParam(), 33); // three
    rig.offer_at(0, GetParam(), 32); // two
    rig.offer_at(0, GetParam(), 0);  // none
    rig.offer_at(0, GetParam(), 1);  // one: not before the first came back
    rig.run_to(100000);
    EXPECT_EQ(rig.passed.at(0), 8u);
    EXPECT_EQ(rig.passed.at(1), 15u);
    EXPECT_EQ(rig.passed.at(2), 18u);
    EXPECT_EQ(rig.passed.at(3), 8u + 1000 + 4);
}

TEST_P(Credits, are_held_until_the_packet_has_left_the_receive_buffer)
{
    iom_link_direction direction = {};
    direction.credits[GetParam()].header = 2;
    direction.credit_cycles = 7;
    Rig rig(direction);
    rig.has_place = [](const Packet &packet, iom_cycle now) { return packet.id != 0 || now >= 500; };
    rig.wake_at(500);
    for (unsigned i = 0; i < 3; i++)
        rig.offer_at(0, GetParam());
    rig.run_to(499);
    EXPECT_EQ(rig.sent.size(), 2u);
    EXPECT_EQ(rig.channel.received.held, 2u);
    rig.run_to(100000);
    EXPECT_EQ(rig.passed.at(1), 500u);
    EXPECT_EQ(rig.passed.at(2), 507 + header);
    EXPECT_EQ(rig.channel.counters[GetParam()].most_buffered, 2u);
}

TEST_P(Credits, of_other_classes_are_not_touched)
{
    iom_link_direction direction = {};
    for (iom_link_class kind : classes)
        direction.credits[kind].header = direction.credits[kind].data = 1;
    direction.credit_cycles = 1000;
    Rig rig(direction);
    rig.offer_at(0, GetParam(), 16);
    for (iom_link_class kind : classes) {
        if (kind != GetParam())
            rig.offer_at(100, kind, 16);
    }
    rig.run_to(999);
    EXPECT_EQ(rig.passed.size(), 3u);
}

TEST_P(Credits, a_packet_larger_than_the_buffer_needs_all_of_it)
{
    iom_link_direction direction = {};
    direction.credits[GetParam()].data = 4;
    direction.credit_cycles = 100;
    Rig rig(direction);
    rig.offer_at(0, GetParam(), 16);
    rig.offer_at(0, GetParam(), 4096);
    rig.offer_at(0, GetParam(), 16);
    rig.run_to(100000);
    EXPECT_EQ(rig.passed.at(0), 5u);
    EXPECT_EQ(rig.passed.at(1), 105u + 515);
    EXPECT_EQ(rig.passed.at(2), 105u + 515 + 100 + 5);
}

INSTANTIATE_TEST_SUITE_P(Classes, Credits, testing::ValuesIn(classes),
                         [](const auto &kind) { return std::string(names[kind.param]); });

// Non-posted packets and completions that can go nowhere: posted ones are through as if they were alone.
TEST(LinkChannel, posted_packets_go_on_while_everything_else_stands)
{
    iom_link_direction direction = {};
    direction.credits[IOM_LINK_NON_POSTED].header = direction.credits[IOM_LINK_COMPLETION].header = 2;
    direction.credits[IOM_LINK_POSTED].header = 4;
    direction.credit_cycles = 5;
    Rig rig(direction);
    rig.has_place = [](const Packet &packet, iom_cycle) { return packet.kind == IOM_LINK_POSTED; };
    std::vector<size_t> posted;
    for (iom_cycle i = 0; i < 200; i++) {
        rig.offer_at(10 * i, IOM_LINK_NON_POSTED);
        rig.offer_at(10 * i, IOM_LINK_COMPLETION);
        posted.push_back(rig.offer_at(10 * i + 1, IOM_LINK_POSTED));
    }
    rig.run_to(100000);
    EXPECT_EQ(rig.order, posted);
    EXPECT_EQ(rig.passed.at(posted.back()), 10u * 199 + 1 + header);
    EXPECT_EQ(rig.channel.received.held, 4u);
}

// ---- random traffic --------------------------------------------------------------------------------------

struct Result {
    std::map<size_t, iom_cycle> passed;
    std::vector<size_t> order;
    iom_link_counters counters[IOM_LINK_CLASSES] = {};
};

struct Traffic {
    struct Offer {
        iom_cycle cycle;
        iom_link_class kind;
        uint64_t payload;
        iom_cycle hold;
    };
    iom_link_direction direction = {};
    uint32_t bytes_per_cycle = 1, header = 0;
    unsigned slots = 0; ///< places behind the receive buffer for posted and non-posted; 0: no limit
    std::vector<Offer> offers;
};

/// Posted packets may take the last slot, others not (if there are two); completions need none.
unsigned slots_needed(const Traffic &traffic, iom_link_class kind)
{
    if (traffic.slots == 0 || kind == IOM_LINK_COMPLETION)
        return 0;
    return kind == IOM_LINK_POSTED || traffic.slots == 1 ? 1 : 2;
}

/// The specification cycle by cycle: lists, scanned from the oldest.
class Model
{
  public:
    explicit Model(const Traffic &traffic) : t_(traffic), free_slots_(traffic.slots)
    {
    }
    Result run()
    {
        size_t offered = 0;
        for (iom_cycle now = 0; result_.passed.size() < t_.offers.size(); now++) {
            if (now > 10'000'000)
                break; // the comparison shows what is missing
            for (; offered < t_.offers.size() && t_.offers[offered].cycle == now; offered++)
                waiting_.push_back(offered);
            free_slots_ += static_cast<unsigned>(slot_returns_.count(now));
            slot_returns_.erase(now);
            while (receive(now) || send(now))
                ;
            for (iom_link_class kind : classes) {
                const auto held = static_cast<uint64_t>(
                    std::count_if(buffer_.begin(), buffer_.end(), [&](size_t id) { return is(id, kind); }));
                uint64_t &most = result_.counters[kind].most_buffered;
                most = std::max(most, held);
            }
        }
        return result_;
    }

  private:
    bool is(size_t id, iom_link_class kind) const
    {
        return t_.offers[id].kind == kind;
    }
    bool may_go(const std::vector<size_t> &list, size_t index) const
    {
        for (size_t i = 0; i < index; i++) {
            if (!table_allows(t_.offers[list[index]].kind, t_.offers[list[i]].kind))
                return false;
        }
        return true;
    }
    static uint64_t units(uint64_t payload)
    {
        return (payload + 15) / 16;
    }
    bool has_credits(size_t id, iom_cycle now) const
    {
        const auto &offer = t_.offers[id];
        const iom_link_credits &limit = t_.direction.credits[offer.kind];
        uint64_t headers = 0, data = 0;
        for (const auto &[other, back] : spent_) {
            if (!is(other, offer.kind) || back <= now)
                continue;
            headers++;
            data += std::min<uint64_t>(units(t_.offers[other].payload), limit.data);
        }
        return (limit.header == 0 || headers < limit.header) &&
               (limit.data == 0 || data + std::min<uint64_t>(units(offer.payload), limit.data) <= limit.data);
    }
    bool send(iom_cycle now)
    {
        if (wires_free_ > now)
            return false;
        for (size_t i = 0; i < waiting_.size(); i++) {
            const size_t id = waiting_[i];
            if (!may_go(waiting_, i))
                continue;
            const auto &offer = t_.offers[id];
            iom_link_counters &counters = result_.counters[offer.kind];
            if (!has_credits(id, now)) {
                counters.credit_waits += credit_waiters_.insert({id, true}).second;
                continue;
            }
            waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
            const uint64_t bytes = t_.header + offer.payload;
            wires_free_ = now + (bytes + t_.bytes_per_cycle - 1) / t_.bytes_per_cycle;
            counters.packets++;
            counters.bytes += bytes;
            spent_[id] = IOM_NEVER;
            flying_.push_back({id, wires_free_ + t_.direction.flight_cycles});
            return true;
        }
        return false;
    }
    bool receive(iom_cycle now)
    {
        bool any = false;
        for (; !flying_.empty() && flying_.front().second <= now; flying_.pop_front(), any = true)
            buffer_.push_back(flying_.front().first);
        for (size_t i = 0; i < buffer_.size(); i++) {
            const size_t id = buffer_[i];
            if (!may_go(buffer_, i))
                continue;
            const auto &offer = t_.offers[id];
            const unsigned needed = slots_needed(t_, offer.kind);
            if (free_slots_ < needed) {
                result_.counters[offer.kind].place_waits += place_waiters_.insert({id, true}).second;
                continue;
            }
            if (needed != 0) {
                free_slots_--;
                slot_returns_.emplace(now + offer.hold, id);
            }
            buffer_.erase(buffer_.begin() + static_cast<std::ptrdiff_t>(i));
            result_.passed[id] = now;
            result_.order.push_back(id);
            spent_[id] = now + t_.direction.credit_cycles;
            return true;
        }
        return any;
    }

    const Traffic &t_;
    unsigned free_slots_;
    iom_cycle wires_free_ = 0;
    std::vector<size_t> waiting_, buffer_;
    std::deque<std::pair<size_t, iom_cycle>> flying_;
    std::map<size_t, iom_cycle> spent_;
    std::multimap<iom_cycle, size_t> slot_returns_;
    std::map<size_t, bool> credit_waiters_, place_waiters_;
    Result result_;
};

uint32_t roll(iom_rng &rng, uint32_t first, uint32_t last)
{
    return first + static_cast<uint32_t>(iom_rng_below(&rng, last - first + 1));
}

Traffic random_traffic(uint64_t seed)
{
    iom_rng rng;
    iom_rng_seed(&rng, seed, "traffic");
    Traffic traffic;
    traffic.bytes_per_cycle = roll(rng, 1, 40);
    traffic.header = roll(rng, 0, 3) * 10;
    traffic.slots = roll(rng, 0, 4);
    traffic.direction.flight_cycles = roll(rng, 0, 1) * roll(rng, 1, 30);
    traffic.direction.credit_cycles = roll(rng, 0, 1) * roll(rng, 1, 30);
    for (iom_link_credits &credits : traffic.direction.credits) {
        credits.header = roll(rng, 0, 1) * roll(rng, 1, 5);
        credits.data = roll(rng, 0, 1) * roll(rng, 1, 12);
    }
    iom_cycle cycle = 0;
    const uint32_t gap = roll(rng, 0, 12);
    for (unsigned i = 0; i < 150; i++) {
        cycle += roll(rng, 0, gap);
        const uint64_t payload = roll(rng, 0, 2) == 0 ? 0 : roll(rng, 1, 100);
        traffic.offers.push_back({cycle, classes[roll(rng, 0, 2)], payload, roll(rng, 1, 60)});
    }
    return traffic;
}

/// `calls`: seed of extra calls in cycles without work, 0 = none.
Result run_channel(const Traffic &traffic, uint64_t calls)
{
    Rig rig(traffic.direction, traffic.bytes_per_cycle, traffic.header);
    std::multimap<iom_cycle, size_t> returns;
    unsigned taken = 0;
    rig.has_place = [&](const Packet &packet, iom_cycle now) {
        for (; !returns.empty() && returns.begin()->first <= now; returns.erase(returns.begin()))
            taken--;
        const unsigned needed = slots_needed(traffic, packet.kind);
        return needed == 0 || taken + needed <= traffic.slots;
    };
    rig.on_passed = [&](const Packet &packet, iom_cycle when) {
        if (slots_needed(traffic, packet.kind) == 0)
            return;
        taken++;
        returns.emplace(when + packet.hold, packet.id);
        rig.wake_at(when + packet.hold);
    };
    for (const Traffic::Offer &offer : traffic.offers)
        rig.offer_at(offer.cycle, offer.kind, offer.payload, offer.hold);
    if (calls != 0) {
        iom_rng rng;
        iom_rng_seed(&rng, calls, "calls");
        for (unsigned i = 0; i < 500; i++)
            rig.wake_at(iom_rng_below(&rng, 3000));
    }
    rig.run_to(10'000'000);
    Result result = {rig.passed, rig.order, {}};
    std::copy(std::begin(rig.channel.counters), std::end(rig.channel.counters), result.counters);
    EXPECT_EQ(iom_link_channel_held(&rig.channel), 0u);
    return result;
}

// Those that are reserved a place ahead are passed on, to the channel's owner, before their time.
std::vector<size_t> by_time(const Result &result)
{
    std::vector<size_t> order = result.order;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return result.passed.at(a) < result.passed.at(b); });
    return order;
}

void compare(const Result &made, const Result &expected)
{
    EXPECT_EQ(made.passed, expected.passed);
    EXPECT_EQ(by_time(made), expected.order);
    for (iom_link_class kind : classes) {
        const iom_link_counters &a = made.counters[kind], &b = expected.counters[kind];
        EXPECT_EQ(a.packets, b.packets) << names[kind];
        EXPECT_EQ(a.bytes, b.bytes) << names[kind];
        EXPECT_EQ(a.credit_waits, b.credit_waits) << names[kind];
        EXPECT_EQ(a.place_waits, b.place_waits) << names[kind];
        EXPECT_EQ(a.most_buffered, b.most_buffered) << names[kind];
    }
}

TEST(LinkChannel, does_what_a_model_without_reservations_does)
{
    uint64_t waits = 0, buffered = 0;
    for (uint64_t seed = 1; seed <= 120 && !HasFailure(); seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        const Traffic traffic = random_traffic(seed);
        const Result expected = Model(traffic).run();
        ASSERT_EQ(expected.passed.size(), traffic.offers.size());
        compare(run_channel(traffic, 0), expected);
        compare(run_channel(traffic, seed), expected);
        for (iom_link_class kind : classes) {
            waits += expected.counters[kind].credit_waits;
            buffered += expected.counters[kind].place_waits;
        }
    }
    EXPECT_GT(waits, 500u); // the traffic does meet limits
    EXPECT_GT(buffered, 500u);
}

} // namespace
