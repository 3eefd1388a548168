// SPDX-License-Identifier: Apache-2.0
//
// The hazard tracker on invalidations that were not needed (duplicate, needless, too wide), negative
// entries of caching mode, and a random search: right software on right hardware never has a finding that
// matters, and every stale use an omniscient observer sees is found, and no other.
#include <random>

#include "tests/core/tracker_legacy.hpp"

namespace iommu_sim
{
namespace
{

class Invalidations : public LegacyTracker
{
};

TEST_F(Invalidations, SecondOneOfTheSameScopeIsADuplicate)
{
    unmap();
    flush();
    mini.now += 3;
    flush();
    mini.complete();
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 1u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 0u);
    EXPECT_EQ(mini.first(IOM_FINDING_DUPLICATE).invalidation, 2u);
    EXPECT_EQ(mini.stats().invalidations, 2u);
}

TEST_F(Invalidations, NarrowerOneAfterAWiderOneIsADuplicate)
{
    unmap();
    mini.invalidate(MiniIommu::of_domain(kDomain));
    flush();
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 1u) << mini.text();
}

TEST_F(Invalidations, WiderOneAfterANarrowerOneIsNot)
{
    unmap();
    flush();
    mini.invalidate(MiniIommu::of_domain(kDomain));
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 0u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 1u);
}

TEST_F(Invalidations, AnotherDomainOrTargetIsNotADuplicate)
{
    unmap();
    flush();
    mini.invalidate(MiniIommu::of_pages(kDomain + 1, kIova, kIova + 0xfff));
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova + 0x1000, kIova + 0x1fff));
    mini.invalidate(MiniIommu::of_domain(kDomain, IOM_INVALIDATE_PASID));
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 0u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 3u);
}

TEST_F(Invalidations, FillInBetweenMakesItWorthwhile)
{
    flush();
    mini.access(kIova);
    mini.now += 5;
    flush(); // removes what was filled: not a duplicate, and not needless
    flush();
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 1u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 0u);
}

TEST_F(Invalidations, FillThatWasDisplacedCountsToo)
{
    mini.use_tables = false;
    flush();
    mini.access(kIova); // filled, and displaced by pages far away
    for (uint64_t i = 1; i <= 80; i++) {
        mini.map(kDomain, kIova + i * 0x400000, kSecondPage);
        mini.access(kIova + i * 0x400000);
    }
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff, true));
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 0u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 1u);
}

TEST_F(Invalidations, FillElsewhereDoesNotMatter)
{
    mini.map(kDomain, kIova + 0x40000000, kSecondPage);
    mini.access(kIova + 0x40000000); // the upper tables are shared, so it goes first
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff, true));
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova + 0x40000000, kIova + 0x40000fff, true));
    mini.access(kIova + 0x40000000);
    mini.now += 5;
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff, true));
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 1u) << mini.text();
}

TEST_F(Invalidations, WalkUnderWayMakesItWorthwhile)
{
    flush();
    iom_cycle arrived = mini.now;
    mini.now += 2;
    flush(); // a walk that began before is still out
    mini.fills = false;
    iom_dma dma = mini.translate(kIova);
    iom_tracker_answered(mini.tracker, mini.now, &dma);
    mini.now += 1;
    // The mini IOMMU walks within a cycle: tell its end again, as of a request that came before.
    iom_dma walked = dma;
    walked.used = 0;
    walked.arrived = arrived;
    iom_tracker_use(mini.tracker, mini.now, &walked, IOM_TRACKED_WALK);
    iom_tracker_answered(mini.tracker, mini.now, &walked);
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 0u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 1u);
}

// Nobody can have meant it, and units tell the two in either order.
TEST(SameCycle, InvalidationBegunInTheCycleOfAChangeDoesNotPayForIt)
{
    for (bool write_first : {false, true}) {
        MiniIommu mini(IOM_VTD_MODE_LEGACY);
        mini.attach(kSource, kDomain);
        mini.map(kDomain, kIova, kPage);
        mini.access(kIova);
        if (write_first)
            mini.unmap(kDomain, kIova);
        const iom_invalidation early = mini.begin(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff));
        if (!write_first)
            mini.unmap(kDomain, kIova);
        mini.now += 3;
        mini.execute(early);
        mini.now += 2;
        mini.end(early);
        mini.now += 100;
        mini.invalidate(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff)); // 3 cycles until executed
        mini.complete();
        mini.finish();
        EXPECT_EQ(mini.stats().unprotected_time.count, 1u);
        EXPECT_EQ(mini.stats().unprotected_time.sum, 3u + 2u + 100u + 3u) << write_first;
        EXPECT_EQ(mini.stats().missing_invalidations, 0u);
    }
}

TEST_F(Invalidations, ChangeInBetweenMakesItWorthwhile)
{
    flush();
    mini.access(kIova);
    unmap();
    flush();
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates + mini.stats().needless, 0u) << mini.text();
}

TEST_F(Invalidations, DeviceDuplicates)
{
    mini.device_access(kIova);
    unmap();
    flush();
    mini.invalidate(MiniIommu::of_device(kSource));
    mini.invalidate(MiniIommu::of_device(kSource, kIova, kIova + 0xfff)); // within the first
    mini.invalidate(MiniIommu::of_device(kOther));                        // somebody else's
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 1u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 1u);
}

TEST_F(Invalidations, OverlappingOnesOfTheSameScopeAreDuplicates)
{
    unmap();
    iom_invalidation one = mini.begin(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff));
    mini.now += 1;
    iom_invalidation two = mini.begin(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff));
    mini.now += 2;
    mini.execute(one);
    mini.now += 2;
    mini.end(one);
    mini.execute(two);
    mini.now += 2;
    mini.end(two);
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 1u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 0u);
    EXPECT_EQ(mini.first(IOM_FINDING_DUPLICATE).invalidation, 2u);
}

TEST_F(Invalidations, OverlappingOneWithAFillInBetweenIsNotADuplicate)
{
    flush();
    mini.fills = false;
    for (bool fill : {false, true}) {
        const uint64_t duplicates = mini.stats().duplicates;
        iom_invalidation one = mini.begin(MiniIommu::of_domain(kDomain));
        mini.now += 1;
        mini.execute(one);
        mini.now += 2;
        mini.fills = fill;
        mini.access(kIova);
        iom_invalidation two = mini.begin(MiniIommu::of_domain(kDomain));
        mini.now += 2;
        mini.end(one);
        mini.now += 2;
        mini.execute(two); // removes what was filled, or else may have stopped a walk
        mini.now += 2;
        mini.end(two);
        EXPECT_EQ(mini.stats().duplicates, duplicates);
    }
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 0u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 3u); // all but the last, which removed what was filled
}

TEST_F(Invalidations, OverlappingOneIsJudgedByTheOneBegunFirst)
{
    // The second one ends first: when it does, nobody knows yet whether the first one ever will.
    flush();
    mini.now += 5;
    iom_invalidation one = mini.begin(MiniIommu::of_contexts());
    mini.now += 1;
    iom_invalidation two = mini.begin(MiniIommu::of_contexts());
    mini.execute(two);
    mini.now += 2;
    mini.end(two);
    mini.execute(one);
    mini.now += 2;
    mini.end(one);
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 0u) << mini.text();
}

TEST_F(Invalidations, OverlappingOneAfterATimeOutIsNotADuplicate)
{
    iom_invalidation one = mini.begin(MiniIommu::of_device(kSource));
    mini.now += 1;
    iom_invalidation two = mini.begin(MiniIommu::of_device(kSource));
    mini.now += 2;
    mini.end(one, true);
    mini.execute(two);
    mini.now += 2;
    mini.end(two);
    mini.finish();
    EXPECT_EQ(mini.stats().duplicates, 0u) << mini.text();
    EXPECT_EQ(mini.stats().needless, 1u);
    EXPECT_EQ(mini.stats().timed_out, 1u);
}

TEST_F(Invalidations, WhatARegisterWriteImpliesIsNobodysWaste)
{
    for (uint8_t source : {IOM_SOURCE_IMPLIED, IOM_SOURCE_IMPLIED, IOM_SOURCE_REGISTER}) {
        iom_invalidation what = MiniIommu::of_domain(kDomain + 1);
        what.source = source;
        mini.invalidate(what);
        mini.now += 1;
    }
    mini.finish();
    EXPECT_EQ(mini.stats().invalidations, 3u);
    EXPECT_EQ(mini.stats().needless, 0u) << mini.text();
    EXPECT_EQ(mini.stats().duplicates, 1u) << "software's own one, after the implied ones\n" << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_DUPLICATE).invalidation, 3u);
}

TEST_F(Invalidations, GoodEntriesRemovedAreCounted)
{
    for (uint64_t i = 1; i < 8; i++) {
        mini.map(kDomain, kIova + i * 0x1000, kPage + i * 0x1000);
        mini.access(kIova + i * 0x1000);
    }
    unmap();
    iom_invalidation whole = MiniIommu::of_domain(kDomain, IOM_INVALIDATE_IOTLB);
    mini.invalidate(whole);
    mini.finish();
    EXPECT_EQ(mini.stats().over_invalidations, 7u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_OVER_INVALIDATION).entries, 7u);
    EXPECT_EQ(mini.first(IOM_FINDING_OVER_INVALIDATION).invalidation, 1u);
}

// ---- negative entries
// --------------------------------------------------------------------------------------

TEST(NegativeEntries, MappingANewPageOwesAnInvalidationInCachingMode)
{
    // Scenario A15: the emulated IOMMU has cached "not present".
    MiniIommu mini(IOM_VTD_MODE_LEGACY, false, 0, true);
    mini.attach(kSource, kDomain);
    mini.map(kDomain, kIova, kPage);
    mini.access(kIova);
    EXPECT_EQ(mini.access(kIova + 0x1000).x.outcome, IOM_OUTCOME_FAULT);
    mini.now += 5;
    mini.map(kDomain, kIova + 0x1000, kSecondPage);
    mini.now += 5;
    mini.complete();
    iom_dma dma = mini.access(kIova + 0x1000);
    ASSERT_EQ(dma.x.outcome, IOM_OUTCOME_FAULT) << "the hardware caches what is not present";
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).fresh, IOM_OUTCOME_ADDRESS);
    mini.invalidate(MiniIommu::of_pages(kDomain, kIova + 0x1000, kIova + 0x1fff));
    EXPECT_EQ(mini.access(kIova + 0x1000).x.outcome, IOM_OUTCOME_ADDRESS);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u);
}

TEST(NegativeEntries, WithoutCachingModeMappingOwesNothing)
{
    MiniIommu mini(IOM_VTD_MODE_LEGACY);
    mini.attach(kSource, kDomain);
    mini.map(kDomain, kIova, kPage);
    mini.access(kIova + 0x1000);
    mini.now += 5;
    mini.map(kDomain, kIova + 0x1000, kSecondPage);
    mini.now += 5;
    mini.complete();
    EXPECT_EQ(mini.access(kIova + 0x1000).x.outcome, IOM_OUTCOME_ADDRESS);
    mini.finish();
    EXPECT_EQ(mini.all(), 0u) << mini.text();
    EXPECT_EQ(mini.stats().obligations, 0u);
}

// ---- random search
// -----------------------------------------------------------------------------------------

// An observer that knows no provenance: each use is compared with an uncached walk, and whether a page is in
// its window follows from when it was changed and when the last completion came.
class Search
{
  public:
    Search(uint64_t seed, bool omit) : mini_(IOM_VTD_MODE_SECOND_STAGE), random_(seed), omit_(omit)
    {
        mini_.attach(kSource, kDomain, 3);
        mini_.attach(kOther, kDomain, 4);
    }

    void run(int steps)
    {
        for (int i = 0; i < steps; i++) {
            step();
            mini_.now += 1 + random_() % 4;
        }
        mini_.finish();
    }

    MiniIommu &mini()
    {
        return mini_;
    }
    uint64_t window_uses = 0, hazards = 0;

  private:
    void use(uint64_t page)
    {
        bool first = random_() % 2 != 0;
        uint32_t source = first ? kSource : kOther, pasid = first ? 3 : 4;
        unsigned flags = random_() % 2 != 0 ? unsigned{IOM_REQ_WRITE} : 0u;
        iom_dma dma = mini_.access(kIova + page * 0x1000, flags, source, pasid);
        iom_xlate fresh = {};
        fresh.address = kIova + page * 0x1000;
        fresh.bytes = 64;
        fresh.source = source;
        fresh.pasid = pasid;
        fresh.flags = static_cast<uint16_t>(flags | IOM_REQ_PASID);
        iom_translate_pure(&mini_.arch, &mini_.view, iom_memory_image_read_fn, mini_.image, &fresh);
        bool same = dma.x.outcome == fresh.outcome &&
                    (dma.x.outcome != IOM_OUTCOME_ADDRESS || dma.x.leaf.output == fresh.leaf.output);
        if (same)
            return;
        iom_cycle used = mini_.now - 10; // access() has moved on
        (completed_ > changed_[page] && completed_ < used ? hazards : window_uses) += 1;
    }

    void step()
    {
        uint64_t page = random_() % kPages;
        switch (random_() % 8) {
        case 0:
            if (mapped_[page] == 0) {
                mapped_[page] = kPage + random_() % 64 * 0x1000;
                mini_.map(kDomain, kIova + page * 0x1000, mapped_[page]);
            }
            break;
        case 1:
            if (mapped_[page] != 0) {
                mapped_[page] = 0;
                if (!pending_[page])
                    changed_[page] = mini_.now;
                pending_[page] = true;
                mini_.unmap(kDomain, kIova + page * 0x1000);
            }
            break;
        case 2:
            flush();
            break;
        default:
            use(page);
            break;
        }
    }

    // Right software flushes everything it has unmapped before it waits.
    void flush()
    {
        for (uint64_t page = 0; page < kPages; page++) {
            if (!pending_[page] || (omit_ && random_() % 4 == 0))
                continue;
            mini_.invalidate(
                MiniIommu::of_pages(kDomain, kIova + page * 0x1000, kIova + page * 0x1000 + 0xfff, true));
            pending_[page] = false;
        }
        completed_ = mini_.now;
        mini_.complete();
    }

    static constexpr uint64_t kPages = 12;
    MiniIommu mini_;
    std::mt19937_64 random_;
    bool omit_;
    uint64_t mapped_[kPages] = {};
    iom_cycle changed_[kPages] = {};
    bool pending_[kPages] = {};
    iom_cycle completed_ = 0;
};

TEST(TrackerSearch, RightSoftwareOnRightHardwareHasNoHazard)
{
    uint64_t window_uses = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        Search search(seed, false);
        search.run(400);
        EXPECT_EQ(iom_tracker_hazard_count(search.mini().tracker), 0u) << seed << "\n"
                                                                       << search.mini().text();
        EXPECT_EQ(search.hazards, 0u);
        EXPECT_EQ(search.mini().stats().window_uses, search.window_uses) << seed;
        EXPECT_EQ(search.mini().stats().lost_provenance, 0u);
        window_uses += search.window_uses;
    }
    EXPECT_GT(window_uses, 100u) << "the search must get into windows at all";
}

TEST(TrackerSearch, EveryStaleUseIsFoundAndNoOther)
{
    uint64_t hazards = 0;
    for (uint64_t seed = 100; seed < 140; seed++) {
        Search search(seed, true);
        search.run(400);
        EXPECT_EQ(search.mini().stats().hazards, search.hazards) << seed << "\n" << search.mini().text();
        EXPECT_EQ(search.mini().stats().stale_uses, search.hazards + search.window_uses) << seed;
        hazards += search.hazards;
    }
    EXPECT_GT(hazards, 50u) << "the software is wrong often enough";
}

} // namespace
} // namespace iommu_sim
