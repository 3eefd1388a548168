// SPDX-License-Identifier: Apache-2.0
//
// The netlist (core/netlist.h): a list that keeps what was put in, binds ports, and lets go of them.
#include <gtest/gtest.h>

#include <deque>

#include "core/netlist.h"
#include "tests/core/support/bench.h"

namespace
{

using bench::ScriptUnit;

TEST(Netlist, keeps_units_and_connections_in_order)
{
    std::deque<ScriptUnit> units;
    iom_netlist netlist;
    iom_netlist_init(&netlist);
    EXPECT_EQ(netlist.unit_count, 0u);
    for (uint32_t i = 0; i < 100; i++) { // more than any first capacity
        units.emplace_back("unit", 1, 1);
        ASSERT_TRUE(iom_netlist_add(&netlist, units.back().unit()));
    }
    for (uint32_t i = 0; i + 1 < 100; i++) {
        const iom_link_config link = {i + 1, 2 * i + 1, 1, i % 5};
        ASSERT_TRUE(iom_netlist_connect(&netlist, units[i].port(0), units[i + 1].port(1), &link));
    }
    ASSERT_EQ(netlist.unit_count, 100u);
    ASSERT_EQ(netlist.connection_count, 99u);
    for (uint32_t i = 0; i < 100; i++)
        EXPECT_EQ(netlist.units[i], units[i].unit());
    for (uint32_t i = 0; i + 1 < 100; i++) {
        const iom_connection &c = netlist.connections[i];
        EXPECT_EQ(c.requester, units[i].port(0));
        EXPECT_EQ(c.responder, units[i + 1].port(1));
        EXPECT_EQ(c.link.latency, i + 1);
        EXPECT_EQ(c.link.depth, i % 5);
        // Bound both ways, requests and responses with their own latency, the requester with its credits.
        EXPECT_EQ(c.requester->peer, c.responder);
        EXPECT_EQ(c.responder->peer, c.requester);
        EXPECT_EQ(c.requester->latency, i + 1);
        EXPECT_EQ(c.responder->latency, 2 * i + 1);
        EXPECT_EQ(c.requester->depth, i % 5);
        EXPECT_EQ(c.requester->credits, i % 5);
    }
    iom_netlist_free(&netlist);
    EXPECT_EQ(netlist.unit_count, 0u);
    EXPECT_EQ(netlist.connection_count, 0u);
    for (ScriptUnit &unit : units) {
        EXPECT_EQ(unit.port(0)->peer, nullptr);
        EXPECT_EQ(unit.port(1)->peer, nullptr);
    }
    iom_netlist_free(&netlist); // an empty one may be freed again
}

// Ports of a netlist that is gone can be bound anew.
TEST(Netlist, ports_can_be_used_again)
{
    ScriptUnit a("a", 1, 0), b("b", 0, 1), c("c", 0, 1);
    for (ScriptUnit *other : {&b, &c}) {
        bench::Bench bench;
        bench.add(a.unit());
        bench.add(other->unit());
        bench.connect(a.port(0), other->port(0), {3, 1, 1, 1});
        bench.start();
        iom_msg msg = {};
        a.send_at(5, 0, &msg);
        bench.run_to(20);
        ASSERT_EQ(other->arrivals.size(), 1u);
        EXPECT_EQ(other->arrivals[0].cycle, 8u);
        bench.close();
    }
}

} // namespace
