// SPDX-License-Identifier: Apache-2.0
//
// Hardware whose page walks go by the context of the request in service (core/walker.h, live_context;
// core/walk.h, struct iom_walk_context): in every step the stages, the root of the second one, and whether
// the request writes are those of the moment. What the walk began with otherwise stays: its address, its
// first table, the tags of its entry.
#include "tests/core/walker_fixture.hpp"

using namespace walker_fixture;

namespace
{

Options live()
{
    Options options;
    options.live_context = true;
    return options;
}

// One word, whose data arrive in 100 + 1 + memory_cycles + 1, and an update if the request writes.
TEST(WalkerContext, a_step_goes_by_what_is_told_until_its_cycle)
{
    const iom_cycle data = 100 + 1 + memory_cycles + 1;
    for (bool before : {false, true}) {
        for (bool told : {false, true}) {
            for (iom_cycle at :
                 {iom_cycle{99}, iom_cycle{100}, iom_cycle{105}, data, data + step_cycles + 1}) {
                SCOPED_TRACE(testing::Message() << "write " << before << " told " << told << " in " << at);
                WalkerBench b(live());
                b.words[0x1000] = 0x40;
                iom_walk *walk = b.send(0, 100, 0x1000, 1, before ? IOM_REQ_WRITE : 0);
                b.tell(0, at, iom_context{}, told);
                b.bench.run_until_idle();
                const bool heeded = at >= 100 && at <= data; // with its walk, or while it is read
                EXPECT_EQ(walk->updates, (heeded ? told : before) ? 1u : 0u);
                EXPECT_NE(b.done(walk), IOM_NEVER);
            }
        }
    }
}

TEST(WalkerContext, the_stages_are_those_of_the_moment_and_the_tags_those_of_the_start)
{
    iom_context first = {}, second = {};
    first.kind = 1, first.levels[0] = 3, first.levels[1] = 4;
    first.table[0] = 0x10000, first.table[1] = 0x20000;
    first.domain = 7, first.asid = 8;
    second.kind = 2, second.levels[0] = 4, second.levels[1] = 5;
    second.table[0] = 0x30000, second.table[1] = 0x40000;
    second.domain = 9, second.asid = 10;
    for (uint8_t what : {IOM_LOOKUP_IOTLB, IOM_LOOKUP_CONTEXT, IOM_LOOKUP_PASID}) {
        SCOPED_TRACE(testing::Message() << "walk for " << unsigned{what});
        WalkerBench b(live());
        iom_walk *walk = b.send(0, 100, 0x1000, 2);
        walk->what = what;
        walk->x.context = first;
        b.tell(0, 105, second, false);
        b.bench.run_until_idle();
        const bool heeded = what == IOM_LOOKUP_IOTLB;
        const iom_context &seen = walk->x.context, &expected = heeded ? second : first;
        EXPECT_EQ(seen.kind, expected.kind);
        EXPECT_EQ(seen.levels[0], expected.levels[0]);
        EXPECT_EQ(seen.levels[1], expected.levels[1]);
        EXPECT_EQ(seen.table[1], expected.table[1]);
        EXPECT_EQ(seen.table[0], first.table[0]);
        EXPECT_EQ(seen.domain, first.domain);
        EXPECT_EQ(seen.asid, first.asid);
        EXPECT_EQ(walk->reads, 2u);
    }
}

} // namespace
