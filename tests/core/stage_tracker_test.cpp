// SPDX-License-Identifier: Apache-2.0
//
// What stages, walkers and paging-structure caches tell the hazard tracker (core/tracker.h): every use of a
// translation carries the words it came from, references come out even, and nothing of it changes a cycle.
// VT-d, legacy mode; the tracker knows no architecture here, so provenance alone decides.
#include <gtest/gtest.h>

#include <vector>

#include "core/rng.h"
#include "core/tracker.h"
#include "core/tracker_report.h"
#include "tests/core/support/vtd_bench.h"

namespace
{

using bench::VtdBench;
using bench::VtdBenchConfig;

constexpr uint32_t nic = 0x10;
constexpr uint64_t first_page = 0x100000, target = 0x40000000;
constexpr uint64_t first_table = uint64_t{1} << 38; ///< of the bench

struct Tracker {
    Tracker()
    {
        iom_tracker_config config = {};
        config.iommus = 1;
        tracker = iom_tracker_create(&config);
    }
    ~Tracker()
    {
        iom_tracker_destroy(tracker);
    }
    Tracker(const Tracker &) = delete;
    Tracker &operator=(const Tracker &) = delete;
    const iom_tracker_stats &stats() const
    {
        return *iom_tracker_stats_of(tracker);
    }
    iom_tracker *tracker;
};

VtdBenchConfig machine(iom_wiring wiring, iom_tracker *tracker, uint32_t entries)
{
    VtdBenchConfig config;
    config.software = iom_vtd_software_defaults(IOM_VTD_MODE_LEGACY);
    config.iommu = bench::roomy_iommu(1);
    config.iommu.wiring = wiring;
    config.iommu.tracker = tracker;
    config.iommu.lookup[IOM_LOOKUP_IOTLB].cache.entries = config.iommu.lookup[IOM_LOOKUP_IOTLB].cache.ways =
        entries;
    for (auto &stage : config.iommu.psc.cache) {
        for (int level = 2; level <= 5; level++)
            stage[level].entries = stage[level].ways = 2;
    }
    config.memory = bench::roomy_memory();
    config.memory.tracker = tracker;
    return config;
}

void map_pages(VtdBench &b)
{
    b.attach(nic, IOM_NO_PASID, 1);
    for (uint64_t i = 0; i < 32; i++) // every page has a table of its own
        b.map(1, first_page + (i << 21), target + (i << 12), 12, IOM_PERM_READ | IOM_PERM_WRITE);
    b.enable();
}

void traffic(VtdBench &b, uint64_t requests)
{
    iom_rng rng;
    iom_rng_seed(&rng, 5, "traffic");
    for (uint64_t i = 0; i < requests; i++) {
        const uint64_t page = iom_rng_below(&rng, 36); // some are not mapped
        const unsigned flags = iom_rng_below(&rng, 2) != 0 ? unsigned{IOM_REQ_WRITE} : 0u;
        b.send(0, b.request(nic, IOM_NO_PASID, first_page + (page << 21), 64, flags),
               b.bench.now() + 10 + i * 3);
    }
    b.bench.run_until_idle();
}

/// The tracker goes before the caches do.
void unwatch(VtdBench &b)
{
    for (int which = 0; which < IOM_LOOKUP_COUNT; which++) {
        iom_stage *owner = iom_iommu_owner(&b.iommu, static_cast<iom_lookup>(which));
        iom_cache_set_observer(iom_stage_cache(owner, static_cast<iom_lookup>(which)), nullptr);
    }
    for (uint8_t stage = 1; stage <= 2; stage++) {
        for (uint8_t level = 2; level < IOM_PSC_LEVELS; level++)
            iom_cache_set_observer(iom_psc_cache(iom_iommu_psc(&b.iommu), stage, level), nullptr);
    }
}

TEST(StageTracker, a_tracker_changes_no_cycle)
{
    for (iom_wiring wiring : {IOM_WIRING_FUSED, IOM_WIRING_CHAINED}) {
        std::vector<iom_cycle> cycles[2];
        for (int with = 0; with < 2; with++) {
            Tracker t;
            VtdBench b(machine(wiring, with != 0 ? t.tracker : nullptr, 8));
            map_pages(b);
            traffic(b, 300);
            for (const VtdBench::Answer &answer : b.answers())
                cycles[with].push_back(answer.cycle);
            EXPECT_EQ(t.stats().uses, with != 0 ? 300u : 0u);
            unwatch(b);
        }
        EXPECT_EQ(cycles[0].size(), 300u);
        EXPECT_EQ(cycles[0], cycles[1]);
    }
}

// Everything that requests, walks and fills have referenced is let go: after the caches have been emptied
// there are no more nodes than the tracker keeps back for its own reasons, however many there were; and no
// node was named that was gone.
TEST(StageTracker, references_come_out_even)
{
    for (iom_wiring wiring : {IOM_WIRING_FUSED, IOM_WIRING_CHAINED}) {
        for (bool replay : {false, true}) {
            Tracker t;
            VtdBenchConfig config = machine(wiring, t.tracker, 8);
            config.iommu.replay_after_fill = replay;
            config.iommu.miss_entries = 3;
            config.iommu.merges_per_entry = 2;
            VtdBench b(config);
            map_pages(b);
            traffic(b, 3000);
            iom_iommu_flush(&b.iommu, b.bench.now() + 1);
            traffic(b, 1);
            iom_iommu_flush(&b.iommu, b.bench.now() + 1);
            // The tracker frees nodes in batches (of 64): give it some.
            for (iom_cycle i = 0; i < 2000; i++) {
                const iom_cycle now = b.bench.now() + 2 + i;
                iom_tracker_release(t.tracker, iom_tracker_read(t.tracker, now, 0, target + i * 64, 8));
            }
            EXPECT_LE(iom_tracker_node_count(t.tracker), 64u) << wiring << replay;
            EXPECT_EQ(t.stats().lost_provenance, 0u);
            unwatch(b);
        }
    }
}

// A device TLB keeps what it is granted, translated or passed through, and with it where that came from.
TEST(StageTracker, an_answer_to_a_device_tlb_keeps_its_provenance)
{
    for (bool through : {false, true}) {
        Tracker t;
        VtdBenchConfig config = machine(IOM_WIRING_FUSED, t.tracker, 8);
        config.software = iom_vtd_software_defaults(IOM_VTD_MODE_SECOND_STAGE);
        config.software.device_tlb = true;
        VtdBench b(config);
        b.attach(nic, IOM_NO_PASID, 1, through ? IOM_SOFTWARE_BYPASS : IOM_SOFTWARE_TRANSLATE);
        if (!through)
            b.map(1, first_page, target, 12, IOM_PERM_READ);
        b.enable();
        iom_dma *dma = b.request(nic, IOM_NO_PASID, first_page, 8, IOM_REQ_TRANSLATE);
        dma->keeps_node = 1;
        b.send(0, dma, 10);
        b.bench.run_until_idle();
        ASSERT_EQ(dma->x.outcome, through ? IOM_OUTCOME_BYPASS : IOM_OUTCOME_ADDRESS);
        EXPECT_NE(dma->used, 0u) << through;
        iom_tracker_answered(t.tracker, b.bench.now() + 1, dma);
        unwatch(b);
    }
}

// A change of the tables is noticed at the next use, whichever look-up serves it; a change of anything else
// is not.
TEST(StageTracker, a_use_knows_the_words_it_came_from)
{
    for (iom_wiring wiring : {IOM_WIRING_FUSED, IOM_WIRING_CHAINED}) {
        for (bool tables : {false, true}) {
            Tracker t;
            VtdBench b(machine(wiring, t.tracker, 64));
            map_pages(b);
            traffic(b, 50);
            EXPECT_EQ(t.stats().suspects, 0u);
            const uint64_t first = tables ? first_table : target;
            for (uint64_t page = 0; page < 4096; page++)
                iom_tracker_write(t.tracker, b.bench.now() + 1, IOM_WRITE_SOFTWARE, first + (page << 12),
                                  4096, nullptr);
            const iom_cycle at = b.bench.now() + 20;
            b.send(0, b.request(nic, IOM_NO_PASID, first_page, 64, 0), at);
            b.bench.run_until_idle();
            iom_tracker_finish(t.tracker, b.bench.now() + 1);
            EXPECT_EQ(t.stats().suspects, tables ? 1u : 0u) << wiring;
            unwatch(b);
        }
    }
}

} // namespace
