// SPDX-License-Identifier: Apache-2.0
//
// The hazard tracker against its definitions (docs/invalidation-model.md): what is a stale use, what makes
// it legal, what software owes, and what is not stale although its sources have changed. Real VT-d tables
// and caches, see tracker_fixture.hpp.
#include "tests/core/tracker_legacy.hpp"

namespace iommu_sim
{
namespace
{

class Tracker : public LegacyTracker
{
};

TEST_F(Tracker, CorrectUnmapHasNoFinding)
{
    unmap();
    flush();
    mini.complete();
    EXPECT_EQ(mini.access(kIova).x.outcome, IOM_OUTCOME_FAULT);
    mini.finish();
    EXPECT_EQ(mini.all(), 1u) << mini.text(); // the other tables of the way were good:
    EXPECT_EQ(mini.count(IOM_FINDING_OVER_INVALIDATION), 1u);
    EXPECT_EQ(mini.stats().obligations, 1u);
    EXPECT_EQ(mini.stats().window_length.count, 1u);
    EXPECT_EQ(mini.stats().unprotected_time.count, 1u);
    EXPECT_EQ(mini.stats().unprotected_time.sum, 13u); // 10 until begun, 3 until executed
    EXPECT_EQ(mini.stats().window_length.sum, 16u);
}

TEST_F(Tracker, LeafOnlyFlushPaysForALeaf)
{
    unmap();
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff, true));
    mini.complete();
    EXPECT_EQ(mini.access(kIova).x.outcome, IOM_OUTCOME_FAULT);
    mini.finish();
    EXPECT_EQ(mini.all(), 0u) << mini.text();
}

TEST_F(Tracker, UseBeforeCompletionIsAWindowUse)
{
    unmap();
    iom_cycle used = mini.now;
    EXPECT_EQ(mini.access(kIova).x.outcome, IOM_OUTCOME_ADDRESS);
    flush();
    mini.complete();
    mini.finish();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 0u);
    EXPECT_EQ(mini.stats().window_use_age.sum, used - changed);
    EXPECT_EQ(iom_tracker_hazard_count(mini.tracker), 0u);
    const iom_finding &finding = mini.first(IOM_FINDING_WINDOW_USE);
    EXPECT_EQ(finding.severity, IOM_SEVERITY_NOTE);
    EXPECT_EQ(finding.created, changed);
    EXPECT_EQ(finding.looked_up, used);
    EXPECT_EQ(finding.cache, uint32_t{IOM_TRACKED_IOTLB});
    ASSERT_TRUE(finding.has_entry);
    EXPECT_EQ(finding.entry.address, kIova);
    EXPECT_EQ(finding.fresh, IOM_OUTCOME_FAULT);
}

TEST_F(Tracker, UseAfterCompletionWithoutInvalidationIsAHazard)
{
    unmap();
    mini.complete(); // some wait, but nothing was invalidated
    iom_cycle used = mini.now;
    mini.access(kIova, IOM_REQ_WRITE);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 1u);
    EXPECT_EQ(mini.stats().latent_stale_entries, 1u);
    EXPECT_EQ(iom_tracker_hazard_count(mini.tracker), 1u);
    const iom_finding &finding = mini.first(IOM_FINDING_HAZARD);
    EXPECT_EQ(finding.invalidation, 0u);
    EXPECT_EQ(finding.looked_up, used);
    EXPECT_TRUE(finding.write);
    EXPECT_EQ(finding.output, kPage);
    EXPECT_EQ(finding.word, mini.stores.back().address);
    const std::string text = mini.text();
    EXPECT_NE(text.find("hazard: write of 64 bytes at iova 0x40000000 by source 0x108"), std::string::npos)
        << text;
    EXPECT_NE(text.find("no invalidation"), std::string::npos) << text;
}

TEST_F(Tracker, UseInTheCycleOfTheReportIsStillInTheWindow)
{
    unmap();
    iom_tracker_completed(mini.tracker, mini.now, 0);
    mini.access(kIova);
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u);
    EXPECT_EQ(mini.stats().hazards, 0u);
    mini.access(kIova);
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 1u);
}

TEST_F(Tracker, CompletionInTheCycleOfTheChangeIsNotItsReport)
{
    mini.unmap(kDomain, kIova);
    mini.complete();
    mini.access(kIova);
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u);
    EXPECT_EQ(mini.stats().hazards, 0u);
}

TEST_F(Tracker, WhatACacheHasDroppedButNotAppliedIsNoCopy)
{
    for (auto &cache : mini.caches)
        iom_cache_invalidate_all(cache, mini.now);
    for (auto &stage : mini.psc) {
        for (iom_cache *cache : stage) {
            if (cache != nullptr)
                iom_cache_invalidate_all(cache, mini.now);
        }
    }
    for (int i = 0; i < 3; i++) {
        mini.now += 1;
        mini.poke(0x9000000, static_cast<uint64_t>(i)); // nobody's word; time goes on
    }
    mini.unmap(kDomain, kIova);
    mini.now += 5;
    mini.complete();
    mini.finish();
    EXPECT_EQ(mini.stats().obligations, 0u);
    EXPECT_EQ(mini.count(IOM_FINDING_MISSING), 0u) << mini.text();
}

TEST_F(Tracker, UseInTheCycleOfTheChangeIsNotStale)
{
    mini.unmap(kDomain, kIova);
    iom_dma dma = mini.translate(kIova);
    mini.settle();
    mini.visible(dma);
    mini.settle();
    EXPECT_EQ(mini.stats().suspects, 0u);
    EXPECT_EQ(mini.stats().stale_uses, 0u);
}

TEST_F(Tracker, SameValueRewrittenIsNoChange)
{
    const iom_store last = mini.stores.back();
    mini.now += 5;
    mini.poke(last.address, mini.peek(last.address));
    mini.now += 5;
    mini.complete();
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().obligations, 0u);
    EXPECT_EQ(mini.stats().suspects, 0u);
    EXPECT_EQ(mini.all(), 0u);
}

TEST_F(Tracker, IgnoredBitsOfAnEntryAreABenignChange)
{
    const uint64_t pte = mini.stores.back().address;
    mini.now += 5;
    mini.poke(pte, mini.peek(pte) | uint64_t{1} << 52); // available to software
    mini.now += 5;
    mini.complete();
    mini.access(kIova);
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().obligations, 1u);
    EXPECT_EQ(mini.stats().benign_changes, 1u);
    EXPECT_EQ(mini.stats().suspects, 0u) << "a benign change must not cost a walk for each use";
    EXPECT_EQ(mini.all(), 0u) << mini.text();
}

TEST_F(Tracker, ValueRestoredBeforeTheUseIsNotStale)
{
    const uint64_t pte = mini.stores.back().address;
    const uint64_t value = mini.peek(pte);
    mini.now += 5;
    mini.poke(pte, 0);
    mini.now += 5;
    mini.access(kIova);
    mini.poke(pte, value);
    mini.now += 5;
    mini.complete();
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().window_uses, 1u); // while it was gone
    EXPECT_EQ(mini.stats().hazards, 0u);
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
    EXPECT_EQ(mini.stats().latent_stale_entries, 0u);
}

TEST_F(Tracker, LessPermissionIsStaleMoreIsNot)
{
    const uint64_t pte = mini.stores.back().address;
    mini.now += 5;
    mini.poke(pte, mini.peek(pte) & ~uint64_t{2}); // writing is no longer granted
    mini.now += 5;
    mini.complete();
    mini.access(kIova); // even a read uses an entry that grants too much
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    flush();
    mini.access(kIova);
    mini.poke(pte, mini.peek(pte) | 2);
    mini.now += 5;
    mini.complete();
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << "the invalidation came late, but it came";
}

TEST_F(Tracker, RefillThroughAStalePagingStructureEntry)
{
    // The whole 2 MiB are unmapped with their table, and mapped again elsewhere; only leaves are flushed,
    // so the pointer to the retired table stays in the paging-structure cache.
    mini.now += 10;
    mini.unmap(kDomain, kIova, 12, true);
    mini.now += 10;
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff, true));
    // Somebody else has got the freed table page and writes into it.
    mini.complete();
    iom_dma before = mini.access(kIova);
    EXPECT_EQ(before.x.outcome,
              IOM_OUTCOME_FAULT); // read through the old table, which is empty: equal result
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 0u) << mini.text();
    uint64_t table = 0;
    int32_t slot = -1;
    iom_tag key = {};
    key.address = kIova;
    key.domain = kDomain;
    key.stage = 2;
    slot = iom_cache_probe(mini.psc[1][2], mini.now, &key);
    ASSERT_NE(slot, IOM_CACHE_MISS);
    table = static_cast<const iom_psc_entry *>(iom_cache_payload(mini.psc[1][2], slot))->table;
    mini.poke(table, kSecondPage | 3);
    mini.now += 5;
    iom_dma after = mini.access(kIova);
    EXPECT_EQ(after.x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(after.x.leaf.output, kSecondPage);
    mini.access(kIova); // and again from the entry that was filled
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 2u) << mini.text();
    EXPECT_GE(mini.stats().missing_invalidations, 1u);
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).cache, uint32_t{IOM_TRACKED_WALK});
    EXPECT_EQ(mini.first(IOM_FINDING_MISSING).cache, uint32_t{IOM_TRACKED_PSC});
}

TEST_F(Tracker, FillInTransitSurvivesTheInvalidation)
{
    // Hardware that does not squash: the walk has read the entry, the invalidation passes, then the fill.
    flush();
    mini.fills = false;
    iom_dma walked = mini.translate(kIova);
    mini.fills = true;
    iom_tracker_keep(mini.tracker, walked.x.leaf.node);
    mini.now += 5;
    mini.unmap(kDomain, kIova);
    mini.now += 5;
    flush();
    iom_tag tag = {};
    tag.address = kIova;
    tag.size_log2 = 12;
    tag.domain = kDomain;
    tag.stage = 2;
    iom_leaf leaf = walked.x.leaf;
    iom_cache_fill(mini.caches[MiniIommu::Iotlb], mini.now, &tag, &leaf);
    iom_tracker_release(mini.tracker, walked.x.leaf.node);
    mini.visible(walked);
    mini.now += 1;
    mini.complete();
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.stats().latent_stale_entries, 1u);
    // Software did what it had to.
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
}

TEST_F(Tracker, WriteThatLandsAfterCompletionIsALateEffect)
{
    iom_dma early = mini.translate(kIova, IOM_REQ_WRITE);
    iom_dma late = mini.translate(kIova, IOM_REQ_WRITE);
    unmap();
    mini.visible(early); // in the window
    flush();
    mini.complete();
    iom_cycle landed = mini.now;
    mini.visible(late);
    mini.finish();
    EXPECT_EQ(mini.stats().late_effects, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 0u);
    EXPECT_EQ(mini.stats().window_uses, 0u); // both looked up before the change
    EXPECT_EQ(mini.first(IOM_FINDING_LATE_EFFECT).visible, landed);
    EXPECT_EQ(iom_tracker_hazard_count(mini.tracker), 1u);
}

TEST_F(Tracker, StaleLookUpAfterTheReportIsNotCountedAgainWhenItLands)
{
    unmap();
    mini.complete();
    iom_dma dma = mini.translate(kIova);
    mini.now += 5;
    mini.visible(dma);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u);
    EXPECT_EQ(mini.stats().late_effects, 0u);
}

// ---- a driver is modelled
// ----------------------------------------------------------------------------------

class WithDriver : public testing::Test
{
  protected:
    WithDriver() : mini(IOM_VTD_MODE_LEGACY, true)
    {
        mini.attach(kSource, kDomain);
        for (uint64_t i = 0; i < 4; i++) {
            mini.map(kDomain, kIova + i * 0x1000, kPage + i * 0x1000);
            mini.access(kIova + i * 0x1000);
        }
    }
    void report(uint64_t first, uint64_t last)
    {
        iom_tracker_reported(mini.tracker, mini.now, 0, kDomain, IOM_ANY_STREAM, first, last);
        mini.now += 1;
    }
    MiniIommu mini;
};

TEST_F(WithDriver, TheReportIsTheBorder)
{
    mini.now += 5;
    mini.unmap(kDomain, kIova);
    mini.now += 5;
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff, true));
    mini.complete();
    mini.unmap(kDomain, kIova + 0x1000);
    mini.now += 5;
    mini.access(kIova + 0x1000); // not invalidated, not reported
    mini.complete();
    mini.access(kIova + 0x1000); // completion alone says nothing here
    report(kIova + 0x1000, kIova + 0x1fff);
    mini.access(kIova + 0x1000);
    mini.finish();
    EXPECT_EQ(mini.stats().window_uses, 2u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 1u);
    EXPECT_EQ(mini.stats().missing_invalidations, 1u) << "found when it is reported";
    EXPECT_EQ(mini.stats().window_length.count, 1u);
}

TEST_F(WithDriver, LazyFlushReportsTheRangesItReleases)
{
    mini.now += 5;
    iom_cycle begin = mini.now;
    for (uint64_t i = 0; i < 4; i++)
        mini.unmap(kDomain, kIova + i * 0x1000);
    mini.now += 1000;
    mini.access(kIova + 0x2000);
    mini.invalidate(MiniIommu::of_domain(kDomain));
    mini.complete();
    for (uint64_t i = 0; i < 3; i++)
        iom_tracker_reported(mini.tracker, mini.now, 0, kDomain, IOM_ANY_STREAM, kIova + i * 0x1000,
                             kIova + i * 0x1000 + 0xfff);
    mini.finish();
    EXPECT_EQ(mini.stats().window_uses, 1u);
    EXPECT_EQ(mini.stats().window_use_age.sum, 1000u);
    EXPECT_EQ(mini.stats().window_length.count, 3u);
    EXPECT_EQ(mini.stats().window_length.maximum, mini.now - begin);
    EXPECT_EQ(mini.stats().unprotected_time.count, 4u);
    EXPECT_EQ(iom_tracker_hazard_count(mini.tracker), 0u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u);
}

TEST_F(WithDriver, ReportOfAnotherDomainOrRangeDoesNotCount)
{
    mini.now += 5;
    mini.unmap(kDomain, kIova);
    mini.now += 5;
    iom_tracker_reported(mini.tracker, mini.now, 0, kDomain + 1, IOM_ANY_STREAM, kIova, kIova + 0xfff);
    iom_tracker_reported(mini.tracker, mini.now, 0, kDomain, IOM_ANY_STREAM, kIova + 0x1000, kIova + 0x1fff);
    mini.now += 5;
    mini.access(kIova);
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u);
    EXPECT_EQ(mini.stats().hazards, 0u);
    report(0, UINT64_MAX);
    mini.access(kIova);
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 1u);
}

TEST_F(WithDriver, AnInvalidationUnderWayCoversAnEntryThatComesBeforeItIsCarriedOut)
{
    mini.invalidate(MiniIommu::of_domain(kDomain));
    mini.fills = false;
    iom_dma walked = mini.translate(kIova);
    mini.fills = true;
    iom_tracker_keep(mini.tracker, walked.x.leaf.node);
    mini.now += 5;
    mini.unmap(kDomain, kIova); // nobody holds a copy yet
    mini.now += 5;
    const iom_invalidation invalidation = mini.begin(MiniIommu::of_domain(kDomain));
    mini.now += 1;
    iom_tag tag = {};
    tag.address = kIova;
    tag.size_log2 = 12;
    tag.domain = kDomain;
    tag.stage = 2;
    const iom_leaf leaf = walked.x.leaf;
    iom_cache_fill(mini.caches[MiniIommu::Iotlb], mini.now, &tag, &leaf);
    iom_tracker_release(mini.tracker, walked.x.leaf.node);
    mini.visible(walked);
    mini.now += 2;
    mini.execute(invalidation);
    mini.end(invalidation);
    mini.complete();
    report(kIova, kIova + 0xfff);
    EXPECT_NE(mini.access(kIova).x.outcome, IOM_OUTCOME_ADDRESS);
    mini.finish();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 0u) << mini.text();
}

TEST_F(WithDriver, LandingOfADmaWhoseEntryWasDisplacedIsStillCaught)
{
    iom_dma dma = mini.translate(kIova, IOM_REQ_WRITE);
    mini.invalidate(MiniIommu::of_domain(kDomain)); // only the DMA under way holds the translation now
    mini.now += 5;
    mini.unmap(kDomain, kIova);
    mini.now += 5;
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff));
    mini.complete();
    report(kIova, kIova + 0xfff);
    mini.visible(dma);
    mini.finish();
    EXPECT_EQ(mini.stats().late_effects, 1u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u);
}

// One device with two PASIDs in two domains; its context entry gets the PASID directory of another device.
class SeveralDomains : public testing::Test
{
  protected:
    static constexpr uint32_t kLeft = 5, kRight = 6;
    SeveralDomains() : mini(IOM_VTD_MODE_SECOND_STAGE, true)
    {
        for (uint32_t i = 0; i < 2; i++) {
            mini.attach(kSource, kLeft + i, 33 + i);
            mini.attach(kOther, 15 + i, 33 + i);
            mini.map(kLeft + i, kIova, kPage);
            mini.map(15 + i, kIova, kSecondPage);
            EXPECT_EQ(use(kLeft + i), kPage);
        }
        mini.now += 5;
        mini.poke(context_of(kSource), mini.peek(context_of(kOther)));
        mini.now += 5;
        iom_invalidation context = MiniIommu::of_contexts();
        context.part[0].targets = IOM_INVALIDATE_CONTEXT;
        mini.invalidate(context);
    }
    uint64_t use(uint32_t domain)
    {
        return mini.access(kIova, 0, kSource, 33 + domain - kLeft).x.leaf.output;
    }
    void flush(uint32_t domain)
    {
        mini.invalidate(
            MiniIommu::of_domain(domain, IOM_INVALIDATE_PASID | IOM_INVALIDATE_IOTLB | IOM_INVALIDATE_PSC));
        mini.complete();
    }
    void report(uint32_t domain)
    {
        iom_tracker_reported(mini.tracker, mini.now, 0, domain, IOM_ANY_STREAM, 0, UINT64_MAX);
        mini.settle();
    }
    // Scalable mode (VT-d 9.2, 9.4): 16 bytes of root entry per bus, 32 bytes of context entry.
    uint64_t context_of(uint32_t source)
    {
        iom_register_write list[16];
        const size_t count = iom_vtd_software_ops.startup(mini.software, list, 16);
        uint64_t root = 0;
        for (size_t i = 0; i < count; i++)
            root = list[i].offset == 0x20 ? list[i].value : root;
        const uint64_t table = mini.peek((root & ~uint64_t{0xfff}) + (source >> 8) * 16);
        return (table & ~uint64_t{0xfff}) + (source & 0x7f) * 32;
    }
    MiniIommu mini;
};

TEST_F(SeveralDomains, ReportOfOneLeavesTheOtherInItsWindow)
{
    flush(kRight);
    report(kRight);
    EXPECT_EQ(use(kRight), kSecondPage);
    EXPECT_EQ(use(kLeft), kPage); // legal: nobody was told about this domain
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
    EXPECT_EQ(mini.stats().window_length.count, 0u);
    flush(kLeft);
    report(kLeft);
    EXPECT_EQ(use(kLeft), kSecondPage);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 0u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
    EXPECT_EQ(mini.stats().window_length.count, 1u);
}

TEST_F(SeveralDomains, TheForgottenOneIsMissingAtItsOwnReport)
{
    flush(kRight);
    report(kRight);
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
    report(kLeft);
    EXPECT_EQ(mini.stats().missing_invalidations, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_MISSING).entry.domain, kLeft);
    EXPECT_EQ(use(kLeft), kPage);
    mini.finish();
    ASSERT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).covered, IOM_NEVER); // that of the other domain does not count
    EXPECT_EQ(mini.stats().missing_invalidations, 1u);
}

TEST_F(SeveralDomains, TheReportedOneIsMissingAlthoughTheOtherIsNotReported)
{
    const iom_cycle reported = mini.now;
    report(kRight);
    EXPECT_EQ(mini.stats().missing_invalidations, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_MISSING).entry.domain, kRight);
    EXPECT_EQ(mini.first(IOM_FINDING_MISSING).reported, reported);
    EXPECT_EQ(use(kRight), kPage);
    EXPECT_EQ(use(kLeft), kPage);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.stats().window_uses, 1u);
    EXPECT_EQ(mini.stats().missing_invalidations, 1u);
    EXPECT_GE(mini.count(IOM_FINDING_LATENT), 1u);
    for (size_t i = 0; i < iom_tracker_finding_count(mini.tracker); i++) {
        const iom_finding &finding = *iom_tracker_finding(mini.tracker, i);
        EXPECT_FALSE(finding.kind == IOM_FINDING_LATENT && finding.entry.domain == kLeft) << mini.text();
    }
}

} // namespace
} // namespace iommu_sim
