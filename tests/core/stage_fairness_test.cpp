// SPDX-License-Identifier: Apache-2.0
//
// Nobody inside a look-up stage is starved by those who come later (core/stage.h: requests that go on or look
// up again are taken up before those of the inputs).
#include <gtest/gtest.h>

#include "tests/core/support/vtd_bench.h"

namespace
{

using bench::VtdBench;
using bench::VtdBenchConfig;

constexpr uint32_t busy = 0x10, late = 0x20;
constexpr uint64_t first_page = 0x100000, target = 0x40000000;
constexpr uint32_t pages = 16, flood = 400;

VtdBenchConfig narrow(bool replay_after_fill, iom_arbitration arbitration)
{
    VtdBenchConfig config;
    config.software = iom_vtd_software_defaults(IOM_VTD_MODE_LEGACY);
    config.iommu = bench::roomy_iommu(2);
    config.iommu.arbitration = arbitration;
    config.iommu.miss_entries = 1;
    config.iommu.merges_per_entry = 1;
    config.iommu.replay_after_fill = replay_after_fill;
    config.iommu.lookup[IOM_LOOKUP_IOTLB].cache.entries = 2;
    config.iommu.lookup[IOM_LOOKUP_IOTLB].cache.ways = 2;
    config.memory = bench::roomy_memory();
    return config;
}

// Two requests of one device share the walk for its context. Of the translations they then need, the miss
// table has place for one at a time, while the other device never hits.
TEST(StageFairness, who_looks_up_again_gets_a_place_before_the_inputs)
{
    for (bool replay : {false, true}) {
        for (iom_arbitration arbitration : {IOM_ARBITRATION_ROUND_ROBIN, IOM_ARBITRATION_FIXED}) {
            SCOPED_TRACE(testing::Message() << "replay " << replay << " arbitration " << arbitration);
            VtdBench b(narrow(replay, arbitration));
            b.attach(busy, IOM_NO_PASID, 1);
            b.attach(late, IOM_NO_PASID, 2);
            for (uint64_t i = 0; i < pages; i++) {
                b.map(1, first_page + (i << 12), target + (i << 12), 12, IOM_PERM_READ);
                b.map(2, first_page + (i << 12), target + (i << 12), 12, IOM_PERM_READ);
            }
            b.enable();
            iom_dma *one = b.request(late, IOM_NO_PASID, first_page, 64, 0);
            iom_dma *two = b.request(late, IOM_NO_PASID, first_page + 0x1000, 64, 0);
            b.send(0, one, 10);
            b.send(0, two, 10);
            for (uint64_t i = 0; i < flood; i++)
                b.send(1, b.request(busy, IOM_NO_PASID, first_page + (i % pages << 12), 64, 0), 12);
            b.bench.run_until_idle();
            ASSERT_EQ(b.answers().size(), flood + 2);
            size_t before = 0; // answers before the later of the two
            for (size_t i = 0; i < b.answers().size(); i++) {
                if (b.answers()[i].dma == one || b.answers()[i].dma == two)
                    before = i;
            }
            EXPECT_LT(before, 6u);
        }
    }
}

} // namespace
