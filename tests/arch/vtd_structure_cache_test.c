// SPDX-License-Identifier: Apache-2.0
//
// Paging-structure caches of VT-d (Rev. 4.1, 6.2.4): what walks hand out and what they make of hits.
#include <string.h>

#include "core/arch/vtd/vtd.h"
#include "tests/arch/support/vtd_fixture.h"
#include "tests/shim/gtest_c.h"

#define KEPT 32

struct structure_cache {
    struct iom_psc_fill entry[KEPT];
    unsigned count;
    unsigned highest; ///< serve levels up to this one only, 0 = none
    unsigned reads;   ///< of the last walk
};

static void probe(const struct structure_cache *cache, struct iom_psc_probe *request)
{
    request->hit_level = 0;
    for (unsigned level = request->lowest; level <= request->highest && level <= cache->highest; level++) {
        for (unsigned i = 0; i < cache->count; i++) {
            const struct iom_psc_fill *fill = &cache->entry[i];
            if (fill->stage == request->stage && fill->level == level &&
                fill->tag.stage == request->key.stage && fill->tag.domain == request->key.domain &&
                fill->tag.substream == request->key.substream &&
                fill->tag.address == iom_align_down(request->key.address, fill->tag.size_log2)) {
                request->hit_level = (uint8_t)level;
                request->entry = fill->entry;
                return;
            }
        }
    }
}

static void keep(struct structure_cache *cache, const struct iom_walk *walk)
{
    if (walk->psc_fill.valid && cache->count < KEPT)
        cache->entry[cache->count++] = walk->psc_fill;
}

static struct iom_xlate run(struct vtd_fixture *fixture, struct structure_cache *cache, unsigned flags)
{
    const struct iom_arch_ops *ops = &iom_vtd_ops;
    struct iom_xlate x = {.address = VTD_IOVA,
                          .source = VTD_SOURCE,
                          .pasid = VTD_PASID,
                          .flags = (uint16_t)(flags | IOM_REQ_PASID)};
    ops->enter(&fixture->arch, &fixture->view, &x);
    while (x.next != IOM_LOOKUP_DONE) {
        struct iom_walk walk;
        memset(&walk, 0, sizeof walk);
        walk.x = x;
        walk.what = x.next;
        cache->reads = 0;
        ops->walk_start(&fixture->arch, &fixture->view, &walk);
        while (walk.action != IOM_WALK_DONE) {
            keep(cache, &walk);
            if (walk.action == IOM_WALK_READ) {
                cache->reads++;
                walk.access_error =
                    !iom_memory_image_read(fixture->memory, walk.address, walk.data, walk.bytes);
            } else if (walk.action == IOM_WALK_CAS) {
                walk.data[0] = walk.expected;
                vtd_put(fixture, walk.address, walk.desired);
            } else {
                probe(cache, &walk.probe);
            }
            ops->walk_step(&fixture->arch, &fixture->view, &walk);
        }
        x = walk.x;
    }
    return x;
}

static void open(struct vtd_fixture *fixture, enum vtd_layout layout)
{
    struct iom_vtd_features features = vtd_all_features();
    vtd_fixture_open(fixture, &features);
    vtd_fixture_tables(fixture, layout);
}

IOM_TEST(VtdStructureCache, one_entry_per_upper_level)
{
    static const enum vtd_layout layouts[] = {VTD_LAYOUT_FIRST, VTD_LAYOUT_SECOND};
    for (unsigned i = 0; i < 2; i++) {
        struct vtd_fixture fixture;
        struct structure_cache cache = {.highest = 0};
        open(&fixture, layouts[i]);
        (void)run(&fixture, &cache, 0);
        IOM_EXPECT_U64(cache.count, 3);
        for (unsigned n = 0; n < 3; n++) {
            const struct iom_psc_fill *fill = &cache.entry[n];
            IOM_EXPECT_U64(fill->level, 4 - n);
            IOM_EXPECT_U64(fill->tag.level, 4 - n);
            IOM_EXPECT_U64(fill->tag.size_log2, 12 + 9 * (3 - n));
            IOM_EXPECT_U64(fill->tag.address, iom_align_down(VTD_IOVA, fill->tag.size_log2));
            IOM_EXPECT_U64(fill->entry.table, (i == 0 ? VTD_FS4 : VTD_SS4) + 0x1000u * (n + 1));
            IOM_EXPECT_U64(fill->tag.domain, VTD_DOMAIN);
            IOM_EXPECT_U64(fill->tag.substream, i == 0 ? VTD_PASID : 0);
        }
        vtd_fixture_close(&fixture);
    }
}

IOM_TEST(VtdStructureCache, a_hit_saves_the_levels_above)
{
    struct vtd_fixture fixture;
    struct structure_cache cache = {.highest = 0};
    open(&fixture, VTD_LAYOUT_SECOND);
    (void)run(&fixture, &cache, 0);
    IOM_EXPECT_U64(cache.reads, 4);
    for (unsigned highest = 2; highest <= 4; highest++) {
        // Without the lower levels' entries the next higher one serves.
        struct structure_cache partial = cache;
        partial.count = 0;
        for (unsigned n = 0; n < cache.count; n++) {
            if (cache.entry[n].level == highest)
                partial.entry[partial.count++] = cache.entry[n];
        }
        partial.highest = 5;
        IOM_EXPECT_U64(run(&fixture, &partial, 0).leaf.output, VTD_PAGE | 0x120);
        IOM_EXPECT_U64(partial.reads, highest - 1);
    }
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdStructureCache, a_hit_remembers_permissions)
{
    struct vtd_fixture fixture;
    struct structure_cache cache = {.highest = 0};
    open(&fixture, VTD_LAYOUT_FIRST);
    vtd_put(&fixture, VTD_FS4_WORD, VTD_FS3 | 5); // not writable at the top
    (void)run(&fixture, &cache, 0);
    cache.highest = 5;
    struct iom_xlate x = run(&fixture, &cache, IOM_REQ_WRITE);
    IOM_EXPECT_U64(cache.reads, 1);
    IOM_EXPECT_U64(x.fault.code, IOM_VTD_FAULT_SM_WRITE);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdStructureCache, nested_walks_use_both_stages)
{
    struct vtd_fixture fixture;
    struct structure_cache cache = {.highest = 0};
    open(&fixture, VTD_LAYOUT_NESTED);
    IOM_EXPECT_U64(run(&fixture, &cache, 0).leaf.output, VTD_PAGE | 0x120);
    IOM_EXPECT_U64(cache.reads, 4 * 4 + 4 + 4); // four guest tables with four host levels each, then the page
    unsigned first = 0;
    for (unsigned i = 0; i < cache.count; i++)
        first += cache.entry[i].stage == 1;
    IOM_EXPECT_U64(first, 3);
    cache.highest = 5;
    IOM_EXPECT_U64(run(&fixture, &cache, 0).leaf.output, VTD_PAGE | 0x120);
    IOM_EXPECT_U64(cache.reads,
                   1 + 1 + 1); // host entry of the last guest table, its entry, host entry of the page
    vtd_fixture_close(&fixture);
}
