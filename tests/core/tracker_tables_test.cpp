// SPDX-License-Identifier: Apache-2.0
//
// The hazard tracker: large pages, accessed and dirty flags, both stages, and a walker that is not coherent.
#include "tests/core/tracker_legacy.hpp"

namespace iommu_sim
{
namespace
{

class TrackerTables : public LegacyTracker
{
};

// ---- large pages
// -------------------------------------------------------------------------------------------

class LargePage : public testing::Test
{
  protected:
    LargePage() : mini(IOM_VTD_MODE_LEGACY)
    {
        mini.attach(kSource, kDomain);
        mini.map(kDomain, kIova, kPage, 21);
        EXPECT_EQ(mini.access(kIova + 0x123000).x.leaf.output, kPage + 0x123000);
        directory = mini.stores.back().address; // the entry that holds the large page
        // A table of small pages for the same addresses, written before anybody points to it.
        for (uint64_t i = 0; i < 512; i++)
            mini.poke(table + i * 8, (kPage + i * 0x1000) | 3);
    }
    MiniIommu mini;
    uint64_t directory = 0;
    const uint64_t table = 0x8000000;
};

TEST_F(LargePage, ReplacedByEqualSmallPagesIsNotStale)
{
    mini.now += 5;
    mini.poke(directory, table | 3);
    mini.now += 5;
    mini.complete();
    mini.access(kIova + 0x123000, IOM_REQ_WRITE);
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().benign_changes, 1u);
    EXPECT_EQ(mini.all(), 0u) << mini.text();
}

// The entry is right, but what it stands on has changed: from now on the small pages decide.
TEST_F(LargePage, SmallPageUnmappedAfterAnEqualReplacementIsStale)
{
    mini.now += 5;
    mini.poke(directory, table | 3);
    mini.now += 5;
    mini.complete();
    mini.access(kIova + 0x45000);
    mini.now += 5;
    const iom_cycle changed = mini.now;
    mini.poke(table + 8 * 0x45, 0);
    mini.now += 5;
    mini.access(kIova + 0x45000); // in the window of this change
    mini.complete();
    mini.access(kIova + 0x45000);
    mini.access(kIova + 0x46000); // still equal
    mini.finish();
    EXPECT_EQ(mini.stats().benign_changes, 1u);
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    ASSERT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).created, changed);
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).word, table + 8 * 0x45);
    EXPECT_EQ(mini.stats().missing_invalidations, 1u);
}

// The entry is replaced again and again, equal each time.
TEST_F(LargePage, TheLatestReplacementCounts)
{
    const uint64_t again = table + 0x1000;
    for (uint64_t i = 0; i < 512; i++)
        mini.poke(again + i * 8, (kPage + i * 0x1000) | 3);
    for (uint64_t next : {table, again, table, again}) {
        mini.now += 5;
        mini.poke(directory, next | 3);
        mini.now += 5;
        mini.access(kIova + 0x45000);
    }
    mini.poke(table + 8 * 0x45, 0); // nobody goes by this one any more
    mini.now += 5;
    mini.complete();
    mini.access(kIova + 0x45000);
    mini.settle();
    EXPECT_EQ(mini.stats().stale_uses, 0u) << mini.text();
    mini.poke(again + 8 * 0x45, 0);
    mini.now += 5;
    mini.complete();
    mini.access(kIova + 0x45000);
    mini.finish();
    EXPECT_EQ(mini.stats().stale_uses, 1u) << mini.text();
}

TEST_F(LargePage, OneSmallPageElsewhereIsStaleThere)
{
    mini.poke(table + 8 * 0x45, 0x20000000 | 3);
    mini.now += 5;
    mini.poke(directory, table | 3);
    mini.now += 5;
    mini.complete();
    mini.access(kIova + 0x123000); // equal
    mini.access(kIova + 0x45000);  // not
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).iova, kIova + 0x45000);
    EXPECT_EQ(mini.stats().suspects, 2u);
    EXPECT_EQ(mini.stats().latent_stale_entries, 1u);
}

TEST_F(LargePage, InvalidationByAnInnerAddressPaysIfItReachesTheEntry)
{
    mini.now += 5;
    mini.unmap(kDomain, kIova, 21);
    mini.now += 5;
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova + 0x100000, kIova + 0x100fff));
    mini.complete();
    mini.finish();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
    EXPECT_EQ(mini.stats().latent_stale_entries, 0u);
}

TEST_F(LargePage, HardwareThatMissesTheInnerAddressIsCaught)
{
    mini.now += 5;
    mini.unmap(kDomain, kIova, 21);
    mini.now += 5;
    iom_invalidation inner = mini.begin(MiniIommu::of_pages(kDomain, kIova + 0x100000, kIova + 0x100fff));
    // Executed, says the hardware; but the entry is still there.
    iom_tracker_executed(mini.tracker, mini.now + 3, mini.now + 3, 0, inner.id, IOM_TRACKED_IOTLB, 0);
    mini.now += 5;
    mini.end(inner);
    mini.complete();
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).invalidation, inner.id);
    EXPECT_EQ(mini.stats().missing_invalidations, 0u);
}

// ---- accessed and dirty flags
// ------------------------------------------------------------------------------

class FirstStage : public testing::Test
{
  protected:
    FirstStage() : mini(IOM_VTD_MODE_FIRST_STAGE)
    {
        mini.attach(kSource, kDomain);
        mini.map(kDomain, kIova, kPage);
        pte = mini.stores.back().address;
    }
    MiniIommu mini;
    uint64_t pte = 0;
};

TEST_F(FirstStage, FlagsSetByHardwareAreNotStale)
{
    mini.access(kIova);                // sets the accessed flags
    mini.access(kIova, IOM_REQ_WRITE); // cannot be served by the entry: walks, sets the dirty flag
    EXPECT_EQ(mini.peek(pte) & 0x60, 0x60u);
    mini.complete();
    mini.access(kIova);
    mini.access(kIova, IOM_REQ_WRITE);
    mini.finish();
    EXPECT_EQ(mini.stats().suspects, 0u);
    EXPECT_EQ(mini.stats().obligations, 0u);
    EXPECT_EQ(mini.all(), 0u) << mini.text();
}

TEST_F(FirstStage, ClearedDirtyFlagIsLostByAWriteThroughTheCache)
{
    mini.access(kIova, IOM_REQ_WRITE);
    mini.now += 5;
    mini.poke(pte, mini.peek(pte) & ~uint64_t{0x40});
    mini.now += 5;
    mini.access(kIova); // a read does not lose anything
    mini.complete();
    mini.access(kIova, IOM_REQ_WRITE);
    mini.finish();
    EXPECT_EQ(mini.peek(pte) & 0x40, 0u) << "the write went through without setting it";
    EXPECT_EQ(mini.stats().lost_dirty, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards + mini.stats().window_uses, 0u);
    EXPECT_EQ(mini.first(IOM_FINDING_LOST_DIRTY).severity, IOM_SEVERITY_HAZARD);
    EXPECT_EQ(mini.stats().missing_invalidations, 0u);
}

TEST_F(FirstStage, ClearedAccessedFlagCostsNothing)
{
    mini.access(kIova, IOM_REQ_WRITE);
    mini.now += 5;
    mini.poke(pte, mini.peek(pte) & ~uint64_t{0x20});
    mini.now += 5;
    mini.complete();
    mini.access(kIova);
    mini.access(kIova, IOM_REQ_WRITE);
    mini.finish();
    EXPECT_EQ(mini.all(), 0u) << mini.text();
}

TEST_F(FirstStage, UnmapAfterClearingTheDirtyFlagIsAChangeOfItsOwn)
{
    mini.access(kIova, IOM_REQ_WRITE);
    mini.now += 5;
    mini.poke(pte, mini.peek(pte) & ~uint64_t{0x40});
    mini.now += 5;
    mini.complete();
    mini.now += 5;
    mini.unmap(kDomain, kIova);
    mini.now += 5;
    mini.access(kIova);
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 0u) << "the dirty flag was reported, the unmap was not";
}

// ---- both stages
// -------------------------------------------------------------------------------------------

TEST(Nested, SecondStageChangeReachesNestedEntries)
{
    MiniIommu mini(IOM_VTD_MODE_NESTED);
    mini.attach(kSource, kDomain);
    mini.map(kDomain, kIova, kPage);
    iom_dma dma = mini.access(kIova);
    ASSERT_EQ(dma.x.outcome, IOM_OUTCOME_ADDRESS);
    // The second-stage entry of the page: the word whose walk is part of the translation and that maps it.
    uint64_t entry = 0;
    for (const iom_store &one : mini.stores) {
        if ((one.value & ~uint64_t{0xfff}) == kPage && one.address != mini.stores.back().address)
            entry = one.address;
    }
    if (entry == 0) { // the builder maps the guest's memory with its own pages
        for (const iom_store &one : mini.stores) {
            uint64_t base = one.value & 0xffffff000;
            if ((one.value & 3) == 3 && base <= dma.x.leaf.output && dma.x.leaf.output - base < 0x1000)
                entry = one.address;
        }
    }
    ASSERT_NE(entry, 0u);
    mini.now += 5;
    mini.poke(entry, 0);
    mini.now += 5;
    iom_dma stale = mini.access(kIova);
    ASSERT_EQ(stale.x.outcome, IOM_OUTCOME_ADDRESS);
    // First-stage invalidation alone would not do for tables below; by domain it does.
    mini.invalidate(MiniIommu::of_domain(kDomain));
    mini.complete();
    EXPECT_NE(mini.access(kIova).x.outcome, IOM_OUTCOME_ADDRESS);
    mini.finish();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 0u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
}

// Threads that unmap pages of one domain: the return of one speaks for its own pages only.
TEST(Nested, ReportSpeaksForItsOwnPagesOnly)
{
    MiniIommu mini(IOM_VTD_MODE_NESTED, true);
    mini.attach(kSource, kDomain);
    for (uint64_t i = 0; i < 2; i++) {
        mini.map(kDomain, kIova + i * 0x1000, kPage + i * 0x1000);
        ASSERT_EQ(mini.access(kIova + i * 0x1000).x.outcome, IOM_OUTCOME_ADDRESS);
    }
    mini.now += 5;
    mini.unmap(kDomain, kIova);
    mini.now += 5;
    iom_tracker_reported(mini.tracker, mini.now, 0, kDomain, IOM_ANY_STREAM, kIova + 0x1000, kIova + 0x1fff);
    mini.now += 5;
    mini.access(kIova);
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 0u);
    EXPECT_EQ(mini.stats().missing_invalidations, 0u);
    iom_tracker_reported(mini.tracker, mini.now, 0, kDomain, IOM_ANY_STREAM, kIova, kIova + 0xfff);
    mini.now += 1;
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 1u);
}

TEST(SecondStage, PasidEntryChangeNeedsItsInvalidation)
{
    MiniIommu mini(IOM_VTD_MODE_SECOND_STAGE);
    mini.attach(kSource, kDomain, 33);
    mini.attach(kSource, kDomain, 34); // so that the context entry stays
    mini.map(kDomain, kIova, kPage);
    ASSERT_EQ(mini.access(kIova, 0, kSource, 33).x.outcome, IOM_OUTCOME_ADDRESS);
    mini.now += 5;
    mini.detach(kSource, 33);
    mini.now += 5;
    mini.invalidate(MiniIommu::of_domain(kDomain)); // the PASID cache is forgotten
    mini.complete();
    EXPECT_EQ(mini.access(kIova, 0, kSource, 33).x.outcome, IOM_OUTCOME_ADDRESS);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.count(IOM_FINDING_MISSING), 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_MISSING).cache, uint32_t{IOM_TRACKED_PASID});
}

// ---- a walker that is not coherent
// -------------------------------------------------------------------------

TEST_F(TrackerTables, StoreCountsWhenSoftwareSeesIt)
{
    // Scenario A14: the store is not written back before the invalidation; the walk brings the old entry.
    mini.coherent = false;
    mini.now += 10;
    changed = mini.now;
    mini.unmap(kDomain, kIova);
    mini.now += 5;
    flush();
    mini.complete();
    EXPECT_EQ(mini.access(kIova).x.outcome, IOM_OUTCOME_ADDRESS);
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).created, changed);
    mini.write_back();
    mini.now += 5;
    mini.access(kIova); // the entry is still there
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 2u);
    EXPECT_EQ(mini.stats().obligations, 1u) << "the write-back itself changes nothing";
    flush();
    EXPECT_EQ(mini.access(kIova).x.outcome, IOM_OUTCOME_FAULT);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 2u) << mini.text();
}

TEST_F(TrackerTables, WriteBackBeforeTheInvalidationIsRight)
{
    mini.coherent = false;
    unmap();
    mini.write_back();
    flush();
    mini.complete();
    EXPECT_EQ(mini.access(kIova).x.outcome, IOM_OUTCOME_FAULT);
    mini.finish();
    EXPECT_EQ(iom_tracker_hazard_count(mini.tracker), 0u) << mini.text();
    EXPECT_EQ(mini.count(IOM_FINDING_MISSING), 0u);
}

TEST_F(TrackerTables, ReadOfAWordNotYetWrittenBackIsBornStale)
{
    flush(); // nobody holds a copy when the store happens
    mini.coherent = false;
    mini.now += 10;
    mini.unmap(kDomain, kIova);
    mini.now += 10;
    EXPECT_EQ(mini.access(kIova).x.outcome, IOM_OUTCOME_ADDRESS);
    mini.complete();
    mini.access(kIova);
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
}

} // namespace
} // namespace iommu_sim
