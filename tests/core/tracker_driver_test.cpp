// SPDX-License-Identifier: Apache-2.0
//
// The hazard tracker and what the driver tells it: which changes a report speaks for, and who owns a page
// (docs/invalidation-model.md).
#include <algorithm>

#include "tests/core/tracker_legacy.hpp"

namespace iommu_sim
{
namespace
{

// ---- reports -------------------------------------------------------------------------------------------

class Reports : public testing::Test
{
  protected:
    explicit Reports(bool caching_mode = false) : mini(IOM_VTD_MODE_LEGACY, true, 0, caching_mode)
    {
        mini.attach(kSource, kDomain);
        for (uint64_t i = 0; i < 2; i++) {
            mini.map(kDomain, kIova + i * 0x1000, kPage + i * 0x1000);
            mini.access(kIova + i * 0x1000);
        }
    }
    void report(uint32_t domain, uint32_t stream, uint64_t first = 0, uint64_t last = UINT64_MAX)
    {
        iom_tracker_reported(mini.tracker, mini.now, 0, domain, stream, first, last);
        mini.settle();
    }
    MiniIommu mini;
};

TEST_F(Reports, OfPagesSaysNothingAboutContexts)
{
    // A device is being detached while another thread unmaps a page of the domain.
    mini.now += 5;
    mini.detach(kSource);
    mini.now += 5;
    report(kDomain, IOM_ANY_STREAM, kIova + 0x1000, kIova + 0x1fff);
    mini.access(kIova); // still in the window of the detach
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 0u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
    report(kDomain, kSource);
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 1u) << mini.text();
}

TEST_F(Reports, OfADeviceReachCopiesThatDoNotNameIt)
{
    // The IOTLB is tagged by domain; the context entry is gone already, so nothing else names the device.
    mini.invalidate(MiniIommu::of_contexts());
    mini.now += 5;
    mini.detach(kSource);
    mini.now += 5;
    mini.invalidate(MiniIommu::of_contexts());
    report(kDomain, kSource); // without the domain's flush
    mini.finish();
    EXPECT_EQ(mini.stats().missing_invalidations, 1u) << mini.text();
    EXPECT_GE(mini.stats().latent_stale_entries, 1u) << mini.text();
}

TEST_F(Reports, OfAnotherDeviceDoNot)
{
    mini.invalidate(MiniIommu::of_contexts());
    mini.now += 5;
    mini.detach(kSource);
    mini.now += 5;
    report(kDomain, kOther);
    mini.finish();
    EXPECT_EQ(mini.stats().missing_invalidations, 0u) << mini.text();
}

class CachingMode : public Reports
{
  protected:
    CachingMode() : Reports(true)
    {
    }
};

TEST_F(CachingMode, AttachedDeviceWhoseAbsenceWasCached)
{
    EXPECT_EQ(mini.access(kIova, 0, kOther).x.outcome, IOM_OUTCOME_FAULT);
    mini.now += 5;
    mini.attach(kOther, kDomain);
    mini.now += 5;
    EXPECT_EQ(mini.access(kIova, 0, kOther).x.outcome, IOM_OUTCOME_FAULT); // the attach has not returned
    report(kDomain, kOther);
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 1u) << mini.text();
    EXPECT_EQ(mini.access(kIova, 0, kOther).x.outcome, IOM_OUTCOME_FAULT);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
}

// Tables come into being from the root down: the first store makes no difference to a refusal, the last does.
TEST_F(CachingMode, MappedPageWhoseTablesWereAbsent)
{
    const uint64_t far = kIova + (uint64_t{1} << 39);
    EXPECT_EQ(mini.access(far).x.outcome, IOM_OUTCOME_FAULT);
    mini.now += 5;
    const size_t first = mini.stores.size();
    iom_tracker *tracker = mini.tracker;
    mini.tracker = nullptr; // the stores are collected, and made one by one
    mini.map(kDomain, far, kSecondPage);
    mini.tracker = tracker;
    std::vector<iom_store> stores(mini.stores.begin() + static_cast<std::ptrdiff_t>(first),
                                  mini.stores.end());
    ASSERT_EQ(stores.size(), 4u);
    for (const iom_store &one : stores) {
        uint64_t zero = 0;
        iom_memory_image_write(mini.image, one.address, &zero, 8);
    }
    std::sort(stores.begin(), stores.end(), [](const iom_store &a, const iom_store &b) {
        return a.address < b.address; // tables are taken from the root down
    });
    for (const iom_store &one : stores) {
        mini.poke(one.address, one.value);
        mini.now += 5;
    }
    report(kDomain, IOM_ANY_STREAM, far, far + 0xfff);
    EXPECT_EQ(mini.access(far).x.outcome, IOM_OUTCOME_FAULT) << "the hardware keeps the refusal";
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_EQ(mini.stats().missing_invalidations, 1u) << mini.text();
}

// ---- view ----------------------------------------------------------------------------------------------

TEST_F(Reports, BytesOfAViewThatMeanNothingAreNoChange)
{
    iom_view same;
    std::memset(&same, 0xff, sizeof same); // padding too
    same.enabled = mini.view.enabled;
    same.root = mini.view.root;
    for (size_t i = 0; i < sizeof same.extra / sizeof same.extra[0]; i++)
        same.extra[i] = mini.view.extra[i];
    same.monitored = ~mini.view.monitored; // what is counted decides no translation
    mini.now += 5;
    iom_tracker_view(mini.tracker, mini.now, 0, &same);
    mini.finish();
    EXPECT_EQ(mini.stats().obligations, 0u) << mini.text();
}

// ---- owners --------------------------------------------------------------------------------------------

class Owners : public LegacyTracker
{
  protected:
    void give(uint32_t owner)
    {
        iom_tracker_owner(mini.tracker, mini.now, kPage, kPage + 0xfff, owner);
        mini.now += 1;
    }
    uint64_t exposures()
    {
        mini.access(kIova);
        mini.settle();
        return mini.stats().exposures;
    }
};

TEST_F(Owners, ANewOwnerThatHasFreedAndTakenItAgainIsStillNew)
{
    give(1);
    unmap();
    for (uint32_t owner : {0u, 2u, 0u, 2u})
        give(owner);
    EXPECT_EQ(exposures(), 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_EXPOSURE).owner, 2u);
}

TEST_F(Owners, BackWithTheOldOwnerAfterAnother)
{
    give(1);
    unmap();
    for (uint32_t owner : {0u, 2u, 0u, 1u})
        give(owner);
    EXPECT_EQ(exposures(), 0u) << mini.text();
    for (uint32_t owner : {0u, 2u})
        give(owner);
    EXPECT_EQ(exposures(), 1u) << mini.text();
}

TEST_F(Owners, OwnersBeforeTheChangeDoNotMatter)
{
    for (uint32_t owner : {1u, 0u, 2u, 0u, 1u})
        give(owner);
    unmap();
    EXPECT_EQ(exposures(), 0u) << mini.text();
    give(0);
    EXPECT_EQ(exposures(), 0u) << mini.text();
    give(2);
    EXPECT_EQ(exposures(), 1u) << mini.text();
}

TEST_F(Owners, AFreePageExposesNobody)
{
    give(1);
    unmap();
    for (uint32_t owner : {0u, 2u, 0u})
        give(owner);
    EXPECT_EQ(exposures(), 0u) << mini.text();
}

} // namespace
} // namespace iommu_sim
