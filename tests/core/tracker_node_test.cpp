// SPDX-License-Identifier: Apache-2.0
//
// The hazard tracker's inside as far as it shows from outside: nodes and references, groups of words, opaque
// objects, bounds, order of calls within a cycle; its hash map against the standard library's.
#include <algorithm>
#include <random>

#include "core/tracker_map.h"
#include "tests/core/tracker_fixture.hpp"

namespace iommu_sim
{
namespace
{

// A tracker without architecture: provenance alone decides.
class Bare : public testing::Test
{
  protected:
    Bare()
    {
        iom_tracker_config config = {};
        config.iommus = 2;
        tracker = iom_tracker_create(&config);
        base = iom_tracker_node_count(tracker);
    }
    ~Bare() override
    {
        iom_tracker_destroy(tracker);
    }
    iom_node read(uint64_t address, unsigned bytes = 8, iom_node parent = 0)
    {
        return iom_tracker_read(tracker, now, parent, address, bytes);
    }
    void write(uint64_t address, unsigned bytes = 8)
    {
        iom_tracker_write(tracker, now, IOM_WRITE_SOFTWARE, address, bytes, nullptr);
    }
    // Is a use of the node one cycle later taken for stale?
    bool is_stale(iom_node node)
    {
        uint64_t before = iom_tracker_stats_of(tracker)->stale_uses;
        iom_dma dma = {};
        dma.x.outcome = IOM_OUTCOME_ADDRESS;
        dma.x.leaf.node = node;
        now += 1;
        iom_tracker_use(tracker, now, &dma, IOM_TRACKED_IOTLB);
        iom_tracker_answered(tracker, now, &dma);
        now += 1;
        write(0x7777000); // nobody reads it; settles the cycle
        return iom_tracker_stats_of(tracker)->stale_uses != before;
    }
    // Lets what was released long ago go.
    void churn()
    {
        for (int i = 0; i < 200; i++) {
            now += 1;
            iom_tracker_release(tracker, read(0x6000000 + 64u * static_cast<unsigned>(i)));
        }
        now += 1;
        iom_tracker_release(tracker, read(0x6500000));
    }
    iom_tracker *tracker = nullptr;
    iom_cycle now = 10;
    uint32_t base = 0;
};

TEST_F(Bare, ReadsOfTheSameWordsBelowTheSameParentAreOneNode)
{
    iom_node a = read(0x1000), b = read(0x1000);
    EXPECT_EQ(a, b);
    EXPECT_NE(read(0x1008), a);
    EXPECT_NE(read(0x1000, 16), a);
    iom_node below = read(0x2000, 8, a);
    EXPECT_NE(below, read(0x2000, 8, read(0x3000)));
    EXPECT_EQ(below, read(0x2000, 8, b));
}

TEST_F(Bare, ReadAfterAChangeIsAnotherNode)
{
    iom_node before = read(0x1000);
    write(0x1000);
    iom_node after = read(0x1000); // in the same cycle: writes come first
    EXPECT_NE(before, after);
    EXPECT_TRUE(is_stale(before));
    EXPECT_FALSE(is_stale(after));
}

TEST_F(Bare, ChangeReachesAllDescendantsAndNothingElse)
{
    iom_node root = read(0x1000), left = read(0x2000, 8, root), right = read(0x3000, 8, root);
    iom_node leaf = read(0x2100, 8, left), other = read(0x4000);
    iom_node join = iom_tracker_join(tracker, other, right);
    write(0x2000);
    now += 1;
    EXPECT_FALSE(is_stale(root));
    EXPECT_TRUE(is_stale(left));
    EXPECT_TRUE(is_stale(leaf));
    EXPECT_FALSE(is_stale(right));
    EXPECT_FALSE(is_stale(join));
    write(0x4000);
    now += 1;
    EXPECT_TRUE(is_stale(join)); // by its first parent
    EXPECT_FALSE(is_stale(right));
    write(0x1000);
    now += 1;
    EXPECT_TRUE(is_stale(right));
}

TEST_F(Bare, JoinIsStaleByItsSecondParentToo)
{
    iom_node a = read(0x1000), b = read(0x2000), join = iom_tracker_join(tracker, a, b);
    write(0x2000);
    now += 1;
    EXPECT_TRUE(is_stale(join));
    EXPECT_FALSE(is_stale(a));
}

TEST_F(Bare, JoinWithAnAncestorIsTheDescendant)
{
    iom_node a = read(0x1000), b = read(0x2000, 8, a), c = read(0x3000, 8, b);
    EXPECT_EQ(iom_tracker_join(tracker, a, c), c);
    EXPECT_EQ(iom_tracker_join(tracker, c, b), c);
    EXPECT_EQ(iom_tracker_join(tracker, c, c), c);
    EXPECT_EQ(iom_tracker_join(tracker, 0, c), c);
    EXPECT_EQ(iom_tracker_join(tracker, c, 0), c);
    EXPECT_EQ(iom_tracker_join(tracker, 0, 0), 0u);
}

TEST_F(Bare, BuiltOnAStaleParentIsBornStale)
{
    iom_node parent = read(0x1000);
    write(0x1000);
    now += 1;
    iom_node child = read(0x2000, 8, parent);
    iom_node join = iom_tracker_join(tracker, read(0x3000), child);
    EXPECT_TRUE(is_stale(child));
    EXPECT_TRUE(is_stale(join));
    EXPECT_FALSE(is_stale(read(0x2000)));
}

TEST_F(Bare, AllWordsOfAContiguousGroupAreSources)
{
    // 16 entries of 8 bytes that together map one contiguous range (Arm): two lines.
    for (uint64_t word : {0x8000u, 0x8038u, 0x8040u, 0x8078u}) {
        iom_node group = read(0x8000, 128);
        EXPECT_FALSE(is_stale(group)) << word;
        write(word);
        EXPECT_TRUE(is_stale(group)) << word;
        iom_tracker_release(tracker, group);
    }
    iom_node group = read(0x8000, 128);
    write(0x8080);
    write(0x7ff8);
    EXPECT_FALSE(is_stale(group));
}

TEST_F(Bare, WritesTouchOnlyTheWordsTheyOverlap)
{
    iom_node node = read(0x1008);
    write(0x1000);
    write(0x1010);
    EXPECT_FALSE(is_stale(node));
    write(0x100f, 1);
    EXPECT_TRUE(is_stale(node));
    iom_node wide = read(0x1040, 64);
    write(0xf00, 0x141); // up to the first byte of it
    EXPECT_TRUE(is_stale(wide));
}

TEST_F(Bare, OpaqueObjectsAreSources)
{
    // A mapping that a device keeps by itself (virtio).
    iom_node mapping = read(IOM_OPAQUE_SOURCE + 8 * 42), next = read(IOM_OPAQUE_SOURCE + 8 * 43);
    write(IOM_OPAQUE_SOURCE + 8 * 42);
    EXPECT_TRUE(is_stale(mapping));
    EXPECT_FALSE(is_stale(next));
}

TEST_F(Bare, ViewsOfTwoIommusAreApart)
{
    iom_node a = read(0x1000, 8, iom_tracker_root(tracker, 0));
    iom_node b = read(0x1000, 8, iom_tracker_root(tracker, 1));
    EXPECT_NE(a, b);
    iom_view view = {};
    view.root = 0x5000;
    iom_tracker_view(tracker, now, 1, &view);
    EXPECT_FALSE(is_stale(a));
    EXPECT_TRUE(is_stale(b));
    EXPECT_FALSE(is_stale(read(0x1000, 8, iom_tracker_root(tracker, 1))));
}

TEST_F(Bare, FlagsSetByAWalkMarkNothing)
{
    iom_node node = read(0x1000);
    uint64_t value = 1;
    iom_tracker_write(tracker, now, IOM_WRITE_FLAGS, 0x1000, 8, &value);
    EXPECT_FALSE(is_stale(node));
}

TEST_F(Bare, ReleasedNodesAreReusedAndNoReferenceLeaks)
{
    for (int round = 0; round < 50; round++) {
        iom_node root = read(0x1000), a = read(0x2000, 64, root), b = read(0x3000, 8, root);
        iom_node join = iom_tracker_join(tracker, a, b), leaf = read(0x4000, 8, join);
        for (iom_node node : {root, a, b, join})
            iom_tracker_release(tracker, node); // kept by the leaf
        iom_tracker_keep(tracker, leaf);
        iom_tracker_release(tracker, leaf);
        EXPECT_GE(iom_tracker_node_count(tracker), base + 5);
        iom_tracker_release(tracker, leaf);
        churn();
    }
    // What the last churn has released too recently is all that may be left.
    EXPECT_LE(iom_tracker_node_count(tracker), base + 70);
    EXPECT_EQ(iom_tracker_stats_of(tracker)->lost_provenance, 0u);
}

TEST_F(Bare, IdentifierThatOutlivedItsNodeIsNotTakenForItsSuccessor)
{
    iom_node gone = read(0x1000);
    iom_tracker_release(tracker, gone);
    churn();
    std::vector<iom_node> others;
    for (unsigned i = 0; i < 2000; i++)
        others.push_back(read(0x100000 + i * 8));
    for (unsigned i = 0; i < 2000; i++)
        write(0x100000 + i * 8);
    now += 1;
    EXPECT_FALSE(is_stale(gone));
    EXPECT_GE(iom_tracker_stats_of(tracker)->lost_provenance, 1u);
    EXPECT_EQ(iom_tracker_read(tracker, now, gone, 0x9000, 8), read(0x9000));
}

// A walk may let go of its node in the cycle in which it fills a cache; the cache takes over when it applies
// the fill, however late that is and whoever calls the tracker in between.
TEST_F(Bare, NodeOfARecordedFillLivesUntilTheFillIsApplied)
{
    iom_cache_config config = {};
    config.entries = config.ways = 4;
    config.prefer_invalid = true;
    config.payload_bytes = sizeof(iom_leaf);
    iom_cache *cache = iom_cache_create(&config, 1, "cache");
    iom_tracker_watch_cache(tracker, cache, IOM_TRACKED_IOTLB, 0, 0);
    std::vector<iom_node> released;
    for (unsigned i = 0; i < 100; i++)
        released.push_back(read(0x100000 + i * 8));
    iom_leaf leaf = {};
    leaf.node = read(0x1000);
    now += 5; // nothing has told the tracker yet that it is later
    iom_tag tag = {};
    tag.size_log2 = 12;
    iom_cache_fill(cache, now, &tag, &leaf);
    iom_tracker_release(tracker, leaf.node);
    for (iom_node node : released)
        iom_tracker_release(tracker, node);
    for (unsigned i = 0; i < 200; i++)
        read(0x200000 + i * 8); // in the same cycle; would take the places of what is gone
    now += 1;
    EXPECT_NE(iom_cache_probe(cache, now, &tag), IOM_CACHE_MISS);
    EXPECT_EQ(iom_tracker_stats_of(tracker)->lost_provenance, 0u);
    write(0x1000);
    now += 1;
    EXPECT_TRUE(is_stale(leaf.node));
    iom_cache_destroy(cache);
}

TEST_F(Bare, NullTrackerIsAllowedEverywhere)
{
    iom_dma dma = {};
    iom_invalidation invalidation = {};
    iom_view view = {};
    EXPECT_EQ(iom_tracker_read(nullptr, 1, 0, 0, 8), 0u);
    EXPECT_EQ(iom_tracker_join(nullptr, 0, 0), 0u);
    EXPECT_EQ(iom_tracker_root(nullptr, 0), 0u);
    iom_tracker_write(nullptr, 1, IOM_WRITE_SOFTWARE, 0, 8, nullptr);
    iom_tracker_store(nullptr, 1, 0, 8, "12345678");
    iom_tracker_visible(nullptr, 1, &dma);
    iom_tracker_answered(nullptr, 1, &dma);
    iom_tracker_use(nullptr, 1, &dma, IOM_TRACKED_WALK);
    iom_tracker_keep(nullptr, 0);
    iom_tracker_release(nullptr, 0);
    iom_tracker_watch_cache(nullptr, nullptr, IOM_TRACKED_IOTLB, 0, 0);
    iom_tracker_view(nullptr, 1, 0, &view);
    iom_tracker_begin(nullptr, 1, 0, &invalidation);
    iom_tracker_executed(nullptr, 1, 1, 0, 1, IOM_TRACKED_IOTLB, 0);
    iom_tracker_ended(nullptr, 1, 0, 1, false);
    iom_tracker_completed(nullptr, 1, 0);
    iom_tracker_expect_driver(nullptr);
    iom_tracker_reported(nullptr, 1, 0, 0, 0, 0, 0);
    iom_tracker_owner(nullptr, 1, 0, 0, 0);
    iom_tracker_finish(nullptr, 1);
    EXPECT_EQ(iom_tracker_hazard_count(nullptr), 0u);
}

// ---- bounds
// ------------------------------------------------------------------------------------------------

TEST(TrackerBounds, NothingIsLeftWhenTheCachesAreEmpty)
{
    MiniIommu mini(IOM_VTD_MODE_SECOND_STAGE);
    mini.attach(kSource, kDomain, 3);
    uint32_t base = iom_tracker_node_count(mini.tracker);
    for (uint64_t round = 0; round < 20; round++) {
        for (uint64_t i = 0; i < 40; i++) {
            uint64_t iova = kIova + i * 0x201000;
            mini.map(kDomain, iova, kPage + i * 0x1000);
            mini.access(iova, i % 2 ? IOM_REQ_WRITE : 0, kSource, 3);
        }
        for (uint64_t i = 0; i < 40; i++)
            mini.unmap(kDomain, kIova + i * 0x201000);
        mini.now += 5;
        mini.invalidate(MiniIommu::of_domain(kDomain));
        mini.invalidate(MiniIommu::of_contexts());
        mini.complete();
    }
    for (int i = 0; i < 200; i++) // displaces what was released last
        iom_tracker_release(mini.tracker,
                            iom_tracker_read(mini.tracker, mini.now++, 0, 64u * static_cast<unsigned>(i), 8));
    EXPECT_LE(iom_tracker_node_count(mini.tracker), base + 70);
    EXPECT_EQ(iom_tracker_open_obligations(mini.tracker), 0u);
    EXPECT_EQ(mini.stats().lost_provenance, 0u);
    mini.finish();
    EXPECT_EQ(iom_tracker_hazard_count(mini.tracker), 0u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u);
}

TEST(TrackerBounds, ObligationsAreLimited)
{
    MiniIommu mini(IOM_VTD_MODE_LEGACY, true, 8);
    mini.attach(kSource, kDomain);
    for (uint64_t i = 0; i < 40; i++) {
        mini.map(kDomain, kIova + i * 0x1000, kPage + i * 0x1000);
        mini.access(kIova + i * 0x1000);
    }
    for (uint64_t i = 0; i < 40; i++) {
        mini.now += 1;
        mini.unmap(kDomain, kIova + i * 0x1000);
    }
    EXPECT_LE(iom_tracker_open_obligations(mini.tracker), 8u);
    mini.now += 5;
    mini.access(kIova + 39 * 0x1000); // joined to an older change, but not forgotten
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u);
    iom_tracker_reported(mini.tracker, mini.now, 0, kDomain, IOM_ANY_STREAM, 0, UINT64_MAX);
    mini.now += 1;
    mini.access(kIova + 39 * 0x1000);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
}

TEST(TrackerBounds, FindingsAreKeptUpToTheLimitAndCountedBeyond)
{
    MiniIommu mini(IOM_VTD_MODE_LEGACY);
    mini.attach(kSource, kDomain);
    mini.map(kDomain, kIova, kPage);
    mini.access(kIova);
    mini.unmap(kDomain, kIova);
    mini.now += 5;
    for (int i = 0; i < 100; i++)
        mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.count(IOM_FINDING_WINDOW_USE), 100u);
    size_t kept = 0;
    for (size_t i = 0; i < iom_tracker_finding_count(mini.tracker); i++)
        kept += iom_tracker_finding(mini.tracker, i)->kind == IOM_FINDING_WINDOW_USE;
    EXPECT_EQ(kept, 64u);
    char small[16];
    EXPECT_GT(iom_finding_format(iom_tracker_finding(mini.tracker, 0), small, sizeof small), 100);
    EXPECT_STREQ(small, "window use: rea");
}

// ---- order within a cycle
// ----------------------------------------------------------------------------------

// The same calls of one cycle in every order: same findings, in the same order.
TEST(TrackerOrder, CallsOfOneCycleMayComeInAnyOrder)
{
    std::vector<int> order = {0, 1, 2, 3};
    std::string expected;
    do {
        MiniIommu mini(IOM_VTD_MODE_LEGACY);
        mini.attach(kSource, kDomain);
        mini.attach(kOther, kDomain);
        mini.map(kDomain, kIova, kPage);
        mini.map(kDomain, kIova + 0x1000, kSecondPage);
        mini.access(kIova);
        mini.access(kIova + 0x1000, 0, kOther);
        iom_dma landing = mini.translate(kIova, IOM_REQ_WRITE);
        mini.now += 5;
        mini.unmap(kDomain, kIova);
        mini.now += 5;
        mini.complete();
        mini.now += 5;
        std::vector<iom_dma> used;
        for (int what : order) {
            if (what == 0)
                used.push_back(mini.translate(kIova));
            else if (what == 1)
                used.push_back(mini.translate(kIova, IOM_REQ_WRITE, kOther));
            else if (what == 2)
                mini.visible(landing);
            else
                mini.unmap(kDomain, kIova + 0x1000);
        }
        // Numbers come from the issuers in a simulation; here they would show the order.
        mini.now += 5;
        used.push_back(mini.translate(kIova + 0x1000, 0, kOther));
        for (iom_dma &dma : used)
            mini.visible(dma);
        mini.finish();
        std::string text = mini.text();
        for (size_t at; (at = text.find("(request ")) != std::string::npos;)
            text.erase(at, text.find(')', at) - at + 2);
        EXPECT_EQ(mini.stats().hazards, 2u);
        EXPECT_EQ(mini.stats().late_effects, 1u);
        EXPECT_EQ(mini.stats().window_uses, 1u);
        if (expected.empty())
            expected = text;
        EXPECT_EQ(text, expected);
    } while (std::next_permutation(order.begin(), order.end()));
}

// ---- the map
// -----------------------------------------------------------------------------------------------

TEST(TrackerMap, BehavesLikeTheStandardMap)
{
    iom_track_map map = {};
    std::map<uint64_t, uint64_t> model;
    std::mt19937_64 random(7);
    for (int i = 0; i < 200000; i++) {
        uint64_t key = random() % 300 * (random() % 2 ? 8 : 4096);
        if (random() % 3 != 0) {
            iom_track_pair *pair = iom_track_map_add(&map, key);
            ASSERT_EQ(pair->value[0], model.count(key) ? model[key] : 0);
            pair->value[0] = model[key] = random();
        } else {
            iom_track_map_remove(&map, key);
            model.erase(key);
        }
        ASSERT_EQ(map.count, model.size());
        uint64_t probe = random() % 300 * 8;
        iom_track_pair *pair = iom_track_map_find(&map, probe);
        ASSERT_EQ(pair != nullptr, model.count(probe) != 0);
        if (pair != nullptr) {
            ASSERT_EQ(pair->value[0], model[probe]);
        }
    }
    iom_track_map_free(&map);
}

} // namespace
} // namespace iommu_sim
