// SPDX-License-Identifier: Apache-2.0
//
// The hazard tracker: contexts, shared tables, device TLBs, register views and owners of pages.
#include "tests/core/tracker_legacy.hpp"

namespace iommu_sim
{
namespace
{

class TrackerContexts : public LegacyTracker
{
};

TEST_F(TrackerContexts, ContextChangeNeedsAContextInvalidation)
{
    mini.attach(kOther, 9);
    mini.map(9, kIova, kSecondPage);
    mini.now += 5;
    mini.detach(kSource);
    mini.attach(kSource, 9); // from domain 5 to domain 9
    mini.now += 5;
    mini.invalidate(MiniIommu::of_domain(kDomain)); // scenario A1 without the context flush
    mini.complete();
    iom_dma dma = mini.access(kIova);
    EXPECT_EQ(dma.x.leaf.output, kPage);
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    mini.invalidate(MiniIommu::of_contexts());
    mini.invalidate(MiniIommu::of_domain(kDomain));
    dma = mini.access(kIova);
    EXPECT_EQ(dma.x.leaf.output, kSecondPage);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
}

TEST_F(TrackerContexts, WrongOrderLeavesARefilledEntry)
{
    // Scenario A12: the domain before the context; a DMA in between refills from the old context.
    mini.attach(kOther, 9);
    mini.map(9, kIova, kSecondPage);
    mini.now += 5;
    mini.detach(kSource);
    mini.attach(kSource, 9);
    mini.now += 5;
    mini.invalidate(MiniIommu::of_domain(kDomain));
    mini.access(kIova); // a window use, and a refill
    mini.invalidate(MiniIommu::of_contexts());
    mini.complete();
    mini.finish();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 0u);
    // The entry built from domain 5's tables is not stale in itself, domain 5 still maps the page; but what
    // the device would get through it is. It was built through a context that has changed.
    EXPECT_EQ(mini.stats().latent_stale_entries, 4u) << mini.text(); // the page and three levels of tables
}

TEST_F(TrackerContexts, SharedTablesReachEveryDeviceOfTheDomain)
{
    mini.attach(kOther, kDomain);
    mini.access(kIova, 0, kOther); // hits what the first device has brought
    EXPECT_EQ(mini.stats().suspects, 0u);
    unmap();
    mini.access(kIova, 0, kOther);
    mini.complete();
    mini.access(kIova, 0, kOther);
    mini.settle();
    EXPECT_EQ(mini.stats().window_uses, 1u);
    EXPECT_EQ(mini.stats().hazards, 1u);
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).source, kOther);
}

TEST_F(TrackerContexts, ContextChangeOfOneDeviceLeavesTheOtherAlone)
{
    mini.attach(kOther, kDomain);
    mini.access(kIova, 0, kOther);
    mini.now += 5;
    mini.detach(kSource); // its context built the shared entry
    mini.now += 5;
    mini.invalidate(MiniIommu::of_contexts());
    mini.complete();
    mini.access(kIova, 0, kOther); // uses the shared entry: suspect, but right
    mini.finish();
    EXPECT_GE(mini.stats().suspects, 1u);
    EXPECT_EQ(mini.stats().stale_uses, 0u) << mini.text();
    for (size_t i = 0; i < iom_tracker_finding_count(mini.tracker); i++) {
        const iom_finding &finding = *iom_tracker_finding(mini.tracker, i);
        EXPECT_FALSE(finding.kind == IOM_FINDING_LATENT && finding.cache == IOM_TRACKED_IOTLB)
            << "the other device still uses it\n"
            << mini.text();
    }
}

TEST_F(TrackerContexts, DomainIdentifierReusedWithOtherTables)
{
    // The domain goes without an invalidation; its identifier comes back with other tables and another
    // device, which hits the entries that are left.
    mini.now += 5;
    mini.attach(kOther, 9);
    mini.map(9, kIova, kSecondPage);
    // Give the other device's context entry the identifier of the first domain.
    for (size_t i = mini.stores.size(); i-- > 0;) {
        const iom_store one = mini.stores[i];
        if (one.value >> 8 == 9 && (one.value & 7) <= 2) { // high word of a context entry: domain, width
            mini.poke(one.address, (one.value & 0xff) | uint64_t{kDomain} << 8);
            break;
        }
    }
    mini.now += 5;
    iom_dma dma = mini.access(kIova, 0, kOther);
    ASSERT_EQ(dma.x.context.domain, kDomain);
    EXPECT_EQ(dma.x.leaf.output, kPage); // of the other tables
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_TRUE(mini.first(IOM_FINDING_HAZARD).root_mismatch);
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).invalidation, 0u);
}

TEST_F(TrackerContexts, DeviceTlbCopyNeedsItsOwnInvalidation)
{
    mini.device_access(kIova, IOM_REQ_WRITE);
    unmap();
    flush();
    mini.complete();
    iom_dma dma = mini.device_access(kIova, IOM_REQ_WRITE);
    EXPECT_EQ(dma.x.leaf.output, kPage);
    mini.settle();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    const iom_finding &hazard = mini.first(IOM_FINDING_HAZARD);
    EXPECT_EQ(hazard.cache, uint32_t{IOM_TRACKED_DEVICE_TLB});
    EXPECT_EQ(hazard.iova, kIova);
    EXPECT_NE(hazard.invalidation, 0u) << "one has covered the copies in the IOMMU";
    EXPECT_NE(hazard.executed[IOM_TRACKED_IOTLB], IOM_NEVER);
    EXPECT_EQ(hazard.executed[IOM_TRACKED_DEVICE_TLB], IOM_NEVER);
    mini.finish();
    EXPECT_EQ(mini.count(IOM_FINDING_MISSING), 1u);
    EXPECT_EQ(mini.first(IOM_FINDING_MISSING).cache, uint32_t{IOM_TRACKED_DEVICE_TLB});
}

TEST_F(TrackerContexts, DeviceTlbInvalidationOfAnotherRangeOrDeviceDoesNotPay)
{
    mini.device_access(kIova);
    unmap();
    flush();
    mini.invalidate(MiniIommu::of_device(kSource, kIova + 0x1000, kIova + 0x1fff));
    mini.invalidate(MiniIommu::of_device(kOther));
    mini.complete();
    mini.finish();
    ASSERT_EQ(mini.stats().missing_invalidations, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_MISSING).cache, uint32_t{IOM_TRACKED_DEVICE_TLB});
}

TEST_F(TrackerContexts, DeviceTlbInvalidatedInTime)
{
    mini.device_access(kIova, IOM_REQ_WRITE);
    unmap();
    flush();
    mini.invalidate(MiniIommu::of_device(kSource, kIova, kIova + 0xfff));
    mini.complete();
    EXPECT_EQ(mini.device_access(kIova, IOM_REQ_WRITE).x.outcome, IOM_OUTCOME_FAULT);
    mini.finish();
    EXPECT_EQ(
        mini.count(IOM_FINDING_HAZARD) + mini.count(IOM_FINDING_MISSING) + mini.count(IOM_FINDING_LATENT), 0u)
        << mini.text();
}

TEST_F(TrackerContexts, DeviceTlbBeforeIotlbIsRefilled)
{
    // Scenario A13.
    mini.device_access(kIova);
    unmap();
    mini.invalidate(MiniIommu::of_device(kSource));
    mini.device_access(kIova); // asks again, and is answered from the IOTLB
    flush();
    mini.complete();
    mini.device_access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().hazards, 1u) << mini.text();
    EXPECT_GE(mini.stats().window_uses, 1u);
    EXPECT_EQ(mini.first(IOM_FINDING_HAZARD).cache, uint32_t{IOM_TRACKED_DEVICE_TLB});
}

TEST_F(TrackerContexts, TranslatedWriteThatLandsLate)
{
    iom_dma dma = mini.device_look_up(kIova, IOM_REQ_WRITE);
    unmap();
    flush();
    mini.invalidate(MiniIommu::of_device(kSource));
    mini.complete();
    mini.visible(dma);
    mini.finish();
    EXPECT_EQ(mini.stats().late_effects, 1u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_LATE_EFFECT).iova, kIova) << "the address the device looked up";
}

TEST_F(TrackerContexts, DeviceThatDoesNotAnswerHasBeenAsked)
{
    mini.device_access(kIova);
    unmap();
    flush();
    iom_invalidation sent = mini.begin(MiniIommu::of_device(kSource));
    mini.now += 1000;
    mini.end(sent, true);
    mini.complete();
    mini.finish();
    EXPECT_EQ(mini.stats().timed_out, 1u);
    EXPECT_EQ(mini.count(IOM_FINDING_MISSING), 0u) << mini.text();
    EXPECT_EQ(mini.count(IOM_FINDING_LATENT), 1u) << mini.text();
}

TEST_F(TrackerContexts, LateAnswerOfAnInvalidationIsIgnored)
{
    iom_tracker_executed(mini.tracker, mini.now, mini.now, 0, 77, IOM_TRACKED_DEVICE_TLB, 4);
    mini.finish();
    EXPECT_EQ(mini.all(), 0u);
}

TEST_F(TrackerContexts, RegisterViewChangeMakesEverythingStale)
{
    iom_view moved = mini.view;
    moved.root += 0x10000000; // no tables there
    mini.now += 5;
    iom_tracker_view(mini.tracker, mini.now, 0, &moved);
    mini.now += 5;
    mini.access(kIova); // the hardware still has its entries
    mini.complete();
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.stats().hazards, 1u);
    EXPECT_NE(mini.text().find("register view changed"), std::string::npos);
}

TEST_F(TrackerContexts, UnchangedViewIsNoChange)
{
    iom_node root = iom_tracker_root(mini.tracker, 0);
    iom_tracker_view(mini.tracker, mini.now, 0, &mini.view);
    EXPECT_EQ(iom_tracker_root(mini.tracker, 0), root);
    mini.finish();
    EXPECT_EQ(mini.stats().obligations, 0u);
}

TEST_F(TrackerContexts, PageOfANewOwnerIsAnExposure)
{
    iom_tracker_owner(mini.tracker, mini.now, kPage, kPage + 0xfff, 1);
    unmap();
    mini.access(kIova); // still of the first owner
    iom_tracker_owner(mini.tracker, mini.now, kPage, kPage + 0xfff, 0);
    mini.now += 1;
    mini.access(kIova); // free: nobody is exposed
    iom_tracker_owner(mini.tracker, mini.now, kPage, kPage + 0xfff, 2);
    mini.now += 1;
    mini.access(kIova); // in the window, but somebody else's
    mini.complete();
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().window_uses, 3u);
    EXPECT_EQ(mini.stats().hazards, 1u);
    EXPECT_EQ(mini.stats().exposures, 2u) << mini.text();
    EXPECT_EQ(mini.first(IOM_FINDING_EXPOSURE).severity, IOM_SEVERITY_WARNING);
    EXPECT_EQ(mini.first(IOM_FINDING_EXPOSURE).owner, 2u);
    EXPECT_EQ(iom_tracker_hazard_count(mini.tracker), 1u);
}

TEST_F(TrackerContexts, PageBackWithItsOwnerIsNoExposure)
{
    iom_tracker_owner(mini.tracker, mini.now, kPage, kPage + 0xfff, 1);
    unmap();
    iom_tracker_owner(mini.tracker, mini.now, kPage, kPage + 0xfff, 0);
    mini.now += 1;
    iom_tracker_owner(mini.tracker, mini.now, kPage, kPage + 0xfff, 1);
    mini.now += 1;
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().exposures, 0u);
}

TEST_F(TrackerContexts, DmaOverATableIsNobodysDuty)
{
    const uint64_t pte = mini.stores.back().address;
    const uint64_t zero = 0;
    mini.now += 5;
    iom_tracker_write(mini.tracker, mini.now, IOM_WRITE_DMA, pte, 8, &zero);
    iom_memory_image_write(mini.image, pte, &zero, 8);
    mini.now += 5;
    mini.complete();
    mini.access(kIova);
    mini.finish();
    EXPECT_EQ(mini.stats().window_uses, 1u) << mini.text();
    EXPECT_EQ(mini.count(IOM_FINDING_MISSING), 0u);
}

TEST_F(TrackerContexts, EvictedCopyIsStillOwed)
{
    unmap();
    mini.complete();
    // Displace everything from the IOTLB by other pages.
    for (uint64_t page = 1; page <= 80; page++) {
        mini.map(kDomain, kIova + page * 0x1000, kPage + page * 0x1000);
        mini.access(kIova + page * 0x1000);
    }
    mini.finish();
    EXPECT_EQ(mini.stats().missing_invalidations, 1u) << mini.text();
    EXPECT_EQ(mini.stats().latent_stale_entries, 0u);
    EXPECT_EQ(mini.stats().hazards, 0u);
}

TEST_F(TrackerContexts, ChangeNobodyHoldsOwesNothing)
{
    mini.map(kDomain, kIova + 0x1000, kSecondPage); // never used by a device
    mini.now += 5;
    mini.unmap(kDomain, kIova + 0x1000);
    mini.complete();
    mini.finish();
    EXPECT_EQ(mini.stats().obligations, 0u);
    EXPECT_EQ(mini.all(), 0u);
}

} // namespace
} // namespace iommu_sim
