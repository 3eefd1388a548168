// SPDX-License-Identifier: Apache-2.0
//
// What most tests of the hazard tracker begin with: legacy mode, one page in all caches.
#ifndef IOM_TESTS_CORE_TRACKER_LEGACY_HPP
#define IOM_TESTS_CORE_TRACKER_LEGACY_HPP

#include "tests/core/tracker_fixture.hpp"

namespace iommu_sim
{

// One device with one page mapped, and its translation in all caches.
class LegacyTracker : public testing::Test
{
  protected:
    LegacyTracker() : mini(IOM_VTD_MODE_LEGACY)
    {
        mini.attach(kSource, kDomain);
        mini.map(kDomain, kIova, kPage);
        iom_dma dma = mini.access(kIova);
        EXPECT_EQ(dma.x.outcome, IOM_OUTCOME_ADDRESS);
        EXPECT_EQ(dma.x.leaf.output, kPage);
    }
    void unmap()
    {
        mini.now += 10;
        changed = mini.now;
        mini.unmap(kDomain, kIova);
        mini.now += 10;
    }
    void flush()
    {
        mini.invalidate(MiniIommu::of_pages(kDomain, kIova, kIova + 0xfff));
    }
    MiniIommu mini;
    iom_cycle changed = 0;
};

} // namespace iommu_sim

#endif
