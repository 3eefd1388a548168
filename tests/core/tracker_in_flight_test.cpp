// SPDX-License-Identifier: Apache-2.0
//
// The hazard tracker and walks under way: which invalidation a report names when none could cover a copy, and
// whether an invalidation that only stopped a walk was of use (docs/invalidation-model.md).
#include "tests/core/tracker_legacy.hpp"

namespace iommu_sim
{
namespace
{

// A walk has read the page's entry; then the entry is cleared. No cache holds a copy.
class InFlight : public LegacyTracker
{
  protected:
    InFlight()
    {
        flush();
        mini.invalidate(MiniIommu::of_domain(kDomain));
        mini.fills = false;
        walked = mini.translate(kIova);
        mini.fills = true;
        iom_tracker_keep(mini.tracker, walked.x.leaf.node);
        unmap();
    }
    /// The walk ends: its result goes into the IOTLB.
    void fill()
    {
        iom_tag tag = {};
        tag.address = kIova;
        tag.size_log2 = 12;
        tag.domain = kDomain;
        tag.stage = 2;
        iom_leaf leaf = walked.x.leaf;
        iom_cache_fill(mini.caches[MiniIommu::Iotlb], mini.now, &tag, &leaf);
        iom_cache_sync(mini.caches[MiniIommu::Iotlb], mini.now + 1);
        mini.now += 1;
        iom_tracker_release(mini.tracker, walked.x.leaf.node);
        mini.visible(walked);
    }
    /// The walk ends and is used for a request, but fills nothing.
    void use_walk()
    {
        iom_dma again = walked;
        again.id++;
        again.used = again.used_context = 0;
        iom_tracker_use(mini.tracker, mini.now, &again, IOM_TRACKED_WALK);
        mini.visible(again);
        iom_tracker_release(mini.tracker, walked.x.leaf.node);
        mini.visible(walked);
        mini.settle();
    }
    iom_dma walked;
};

TEST_F(InFlight, UseOfAWalkNamesTheInvalidationThatRanBeforeItEnded)
{
    const iom_cycle begun = mini.now;
    flush();
    mini.complete();
    use_walk();
    mini.finish();
    ASSERT_EQ(mini.stats().hazards, 1u) << mini.text();
    const iom_finding &hazard = mini.first(IOM_FINDING_HAZARD);
    EXPECT_EQ(hazard.invalidation, 3u) << mini.text(); // two before the change
    EXPECT_EQ(hazard.commanded, begun);
    EXPECT_EQ(hazard.executed[IOM_TRACKED_IOTLB], begun + 3);
    EXPECT_EQ(mini.text().find("no invalidation"), std::string::npos) << mini.text();
}

TEST_F(InFlight, UseOfAWalkNamesAnInvalidationStillUnderWay)
{
    const iom_cycle begun = mini.now;
    iom_invalidation one = mini.begin(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff));
    mini.now += 2;
    mini.complete(); // of an earlier wait, say
    use_walk();
    mini.execute(one);
    mini.end(one);
    mini.finish();
    ASSERT_EQ(mini.stats().stale_uses, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).invalidation, one.id) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).commanded, begun);
}

TEST_F(InFlight, AnInvalidationBeforeTheChangeOrOfSomethingElseIsNotNamed)
{
    mini.invalidate(MiniIommu::of_domain(kDomain + 1));
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova + 0x1000, kIova + 0x1fff));
    mini.invalidate(MiniIommu::of_contexts());
    mini.invalidate(MiniIommu::of_device(kSource));
    mini.complete();
    use_walk();
    mini.finish();
    ASSERT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).invalidation, 0u) << mini.text();
}

TEST_F(InFlight, FillBehindItsInvalidationIsNotMissing)
{
    const iom_cycle begun = mini.now;
    flush();
    fill(); // seen before the wait completes: software has still done what it had to
    mini.complete();
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
    ASSERT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).invalidation, 3u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).commanded, begun);
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).covered, begun);
    ASSERT_EQ(mini.stats().latent_stale_entries, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_LATENT).invalidation, 3u) << mini.text();
}

TEST_F(InFlight, TheFirstInvalidationOfTheEntryCounts)
{
    const iom_cycle begun = mini.now;
    flush();
    flush();
    fill();
    mini.complete();
    mini.access(kIova);
    mini.invalidate(MiniIommu::of_domain(kDomain + 1)); // removes nothing here
    mini.access(kIova);
    mini.finish();
    ASSERT_EQ(mini.stats().hazards, 2u) << mini.text();
    for (size_t i = 0; i < iom_tracker_finding_count(mini.tracker); i++) {
        const iom_finding &finding = *iom_tracker_finding(mini.tracker, i);
        EXPECT_EQ(finding.covered, finding.kind == IOM_FINDING_HAZARD ? begun : IOM_NEVER) << mini.text();
    }
}

TEST_F(InFlight, AnInvalidationOfOtherPagesDoesNotCoverTheEntry)
{
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova + 0x1000, kIova + 0x1fff));
    fill();
    mini.complete();
    mini.access(kIova);
    mini.finish();
    ASSERT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).covered, IOM_NEVER);
}

TEST_F(InFlight, HardwareThatKeepsAnEntryHasBeenToldToDropIt)
{
    fill();
    const iom_cycle begun = mini.now;
    iom_invalidation one = mini.begin(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff));
    mini.now += 1;
    iom_tracker_executed(mini.tracker, mini.now, mini.now, 0, one.id, IOM_TRACKED_IOTLB, 0); // but has not
    mini.end(one);
    mini.now += 1;
    mini.complete();
    mini.access(kIova);
    mini.finish();
    ASSERT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).covered, begun);
}

TEST_F(InFlight, FillWithoutAnyInvalidationIsMissing)
{
    fill();
    mini.complete();
    mini.finish();
    EXPECT_EQ(mini.stats().missing_invalidations, 1u) << mini.text();
}

// ---- was it of use? ------------------------------------------------------------------------------------

TEST_F(InFlight, StoppingAWalkIsOfUse)
{
    for (bool stops : {false, true}) {
        const uint64_t needless = mini.stats().needless;
        iom_invalidation one = mini.begin(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff));
        mini.now += 3;
        if (stops)
            iom_tracker_stopped(mini.tracker, mini.now, 0, one.id, 1);
        mini.execute(one);
        mini.end(one);
        mini.now += 3;
        EXPECT_EQ(mini.stats().needless, needless + !stops) << mini.text();
        mini.access(kIova + 0x1000); // so that the next one is not a duplicate
    }
    iom_tracker_release(mini.tracker, walked.x.leaf.node);
    mini.visible(walked);
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 0u) << mini.text();
}

TEST_F(InFlight, StoppingATranslationRequestOfADeviceIsOfUse)
{
    const uint64_t needless = mini.stats().needless;
    iom_invalidation one = mini.begin(MiniIommu::of_device(kSource));
    mini.now += 3;
    iom_tracker_stopped(mini.tracker, mini.now, 0, one.id, 1);
    mini.execute(one);
    mini.end(one);
    iom_tracker_stopped(mini.tracker, mini.now, 0, one.id, 1); // a late answer is ignored
    iom_tracker_stopped(nullptr, mini.now, 0, one.id, 1);
    iom_tracker_release(mini.tracker, walked.x.leaf.node);
    mini.visible(walked);
    mini.finish();
    EXPECT_EQ(mini.stats().needless, needless) << mini.text();
}

} // namespace
} // namespace iommu_sim
