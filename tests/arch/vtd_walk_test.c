// SPDX-License-Identifier: Apache-2.0
//
// Page walks of VT-d (Rev. 4.1, 3.6 to 3.8): accessed and dirty flags, permissions against an oracle,
// page sizes, nesting, and that an entry handed to a cache serves exactly what a walk would.
#include <string.h>

#include "core/arch/vtd/vtd.h"
#include "core/rng.h"
#include "tests/arch/support/vtd_fixture.h"
#include "tests/shim/gtest_c.h"

#define FS_A 0x20u
#define FS_D 0x40u
#define FS_EA 0x400u
#define SS_A 0x100u
#define SS_D 0x200u

static void open(struct vtd_fixture *fixture, enum vtd_layout layout)
{
    struct iom_vtd_features features = vtd_all_features();
    vtd_fixture_open(fixture, &features);
    vtd_fixture_tables(fixture, layout);
}

// ---- accessed and dirty --------------------------------------------------------------------------

static const uint64_t first_words[] = {VTD_FS4_WORD, VTD_FS3_WORD, VTD_FS2_WORD, VTD_FS1_WORD};

IOM_TEST(VtdWalk, first_stage_flags)
{
    struct vtd_fixture fixture;
    open(&fixture, VTD_LAYOUT_FIRST);
    IOM_EXPECT_U64(vtd_translate(&fixture, VTD_IOVA, IOM_REQ_PASID).outcome, IOM_OUTCOME_ADDRESS);
    for (unsigned i = 0; i < 4; i++)
        IOM_EXPECT_U64(vtd_get(&fixture, first_words[i]) & (FS_A | FS_D | FS_EA), FS_A);
    IOM_EXPECT_U64(fixture.updates, 4);
    // A write needs one more update, of the page entry only.
    (void)vtd_translate(&fixture, VTD_IOVA, IOM_REQ_PASID | IOM_REQ_WRITE);
    IOM_EXPECT_U64(fixture.updates, 5);
    IOM_EXPECT_U64(vtd_get(&fixture, VTD_FS1_WORD), VTD_PAGE | 7 | FS_A | FS_D);
    IOM_EXPECT_U64(vtd_get(&fixture, VTD_FS2_WORD) & FS_D, 0);
    (void)vtd_translate(&fixture, VTD_IOVA, IOM_REQ_PASID | IOM_REQ_WRITE);
    IOM_EXPECT_U64(fixture.updates, 5);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdWalk, extended_accessed_flag_where_enabled)
{
    struct vtd_fixture fixture;
    open(&fixture, VTD_LAYOUT_FIRST);
    vtd_put(&fixture, VTD_PASID_WORD + 16, VTD_FS4 | 0x33 | 0x80);
    (void)vtd_translate(&fixture, VTD_IOVA, IOM_REQ_PASID);
    for (unsigned i = 0; i < 4; i++)
        IOM_EXPECT_U64(vtd_get(&fixture, first_words[i]) & (FS_A | FS_D | FS_EA), FS_A | FS_EA);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdWalk, a_refused_write_does_not_dirty)
{
    struct vtd_fixture fixture;
    open(&fixture, VTD_LAYOUT_FIRST);
    vtd_put(&fixture, VTD_FS1_WORD, VTD_PAGE | 5);
    IOM_EXPECT_U64(vtd_translate(&fixture, VTD_IOVA, IOM_REQ_PASID | IOM_REQ_WRITE).outcome,
                   IOM_OUTCOME_FAULT);
    IOM_EXPECT_U64(vtd_get(&fixture, VTD_FS1_WORD), VTD_PAGE | 5);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdWalk, second_stage_flags_only_where_enabled)
{
    static const uint64_t words[] = {VTD_SS4_WORD, VTD_SS3_WORD, VTD_SS2_WORD, VTD_SS1_WORD};
    struct vtd_fixture fixture;
    open(&fixture, VTD_LAYOUT_SECOND);
    (void)vtd_translate(&fixture, VTD_IOVA, IOM_REQ_WRITE);
    IOM_EXPECT_U64(fixture.updates, 0);
    vtd_put(&fixture, VTD_PASID_WORD, vtd_get(&fixture, VTD_PASID_WORD) | 0x200);
    (void)vtd_translate(&fixture, VTD_IOVA, 0);
    for (unsigned i = 0; i < 4; i++)
        IOM_EXPECT_U64(vtd_get(&fixture, words[i]) & (SS_A | SS_D), SS_A);
    (void)vtd_translate(&fixture, VTD_IOVA, IOM_REQ_WRITE);
    IOM_EXPECT_U64(vtd_get(&fixture, VTD_SS1_WORD), VTD_PAGE | 3 | SS_A | SS_D);
    IOM_EXPECT_U64(fixture.updates, 5);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdWalk, updating_a_guest_table_dirties_its_page)
{
    struct vtd_fixture fixture;
    open(&fixture, VTD_LAYOUT_NESTED);
    vtd_put(&fixture, VTD_PASID_WORD, vtd_get(&fixture, VTD_PASID_WORD) | 0x200);
    // Only the last guest table needs an accessed flag: only its page becomes dirty.
    for (unsigned i = 0; i < 3; i++)
        vtd_put(&fixture, first_words[i], vtd_get(&fixture, first_words[i]) | FS_A);
    IOM_EXPECT_U64(vtd_translate(&fixture, VTD_IOVA, IOM_REQ_PASID).leaf.output, VTD_PAGE | 0x120);
    IOM_EXPECT_U64(vtd_get(&fixture, VTD_NESTED_TABLE_WORD(VTD_FS1)), VTD_FS1 | 3 | SS_A | SS_D);
    IOM_EXPECT_U64(vtd_get(&fixture, VTD_NESTED_TABLE_WORD(VTD_FS2)), VTD_FS2 | 3 | SS_A);
    IOM_EXPECT_U64(vtd_get(&fixture, VTD_NESTED_PAGE_WORD), VTD_PAGE | 3 | SS_A);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdWalk, a_lost_race_walks_again)
{
    struct vtd_fixture fixture;
    open(&fixture, VTD_LAYOUT_FIRST);
    fixture.disturb_at = VTD_FS4_WORD; // software sets an ignored bit while hardware updates
    fixture.disturb_with = UINT64_C(1) << 52;
    struct iom_xlate x = vtd_translate(&fixture, VTD_IOVA, IOM_REQ_PASID);
    IOM_EXPECT_U64(x.outcome, IOM_OUTCOME_ADDRESS);
    IOM_EXPECT_U64(vtd_get(&fixture, VTD_FS4_WORD), UINT64_C(1) << 52 | VTD_FS3 | 7 | FS_A);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdWalk, a_pure_walk_changes_nothing)
{
    struct vtd_fixture fixture;
    open(&fixture, VTD_LAYOUT_NESTED);
    struct iom_xlate x = {.address = VTD_IOVA,
                          .source = VTD_SOURCE,
                          .pasid = VTD_PASID,
                          .flags = IOM_REQ_PASID | IOM_REQ_WRITE};
    iom_translate_pure(&fixture.arch, &fixture.view, iom_memory_image_read_fn, fixture.memory, &x);
    IOM_EXPECT_U64(x.leaf.output, VTD_PAGE | 0x120);
    IOM_EXPECT_U64(vtd_get(&fixture, VTD_FS1_WORD), VTD_GUEST_PAGE | 7);
    vtd_fixture_close(&fixture);
}

// ---- sizes ---------------------------------------------------------------------------------------

IOM_TEST(VtdWalk, large_pages_of_both_stages)
{
    static const struct {
        uint64_t word, value;
        enum vtd_layout layout;
        unsigned size_log2;
    } pages[] = {
        {VTD_SS2_WORD, 0x5600000 | 0x83, VTD_LAYOUT_SECOND, 21},
        {VTD_SS3_WORD, UINT64_C(0x240000000) | 0x83, VTD_LAYOUT_SECOND, 30},
        {VTD_FS2_WORD, 0x5600000 | 0x1087, VTD_LAYOUT_FIRST, 21}, // with the memory type bit 12
        {VTD_FS3_WORD, UINT64_C(0x240000000) | 0x87, VTD_LAYOUT_FIRST, 30},
    };
    for (unsigned i = 0; i < 4; i++) {
        struct vtd_fixture fixture;
        open(&fixture, pages[i].layout);
        vtd_put(&fixture, pages[i].word, pages[i].value);
        struct iom_xlate x = vtd_translate(&fixture, VTD_IOVA, IOM_REQ_PASID);
        uint64_t base = iom_align_down(pages[i].value, pages[i].size_log2);
        IOM_EXPECT_U64(x.leaf.output, base | iom_low_bits(VTD_IOVA, pages[i].size_log2));
        IOM_EXPECT_U64(x.leaf.size_log2, pages[i].size_log2);
        vtd_fixture_close(&fixture);
    }
}

IOM_TEST(VtdWalk, nested_translation_covers_the_smaller_page)
{
    struct vtd_fixture fixture;
    open(&fixture, VTD_LAYOUT_NESTED);
    // First stage 2 MiB over second stage 4 KiB: guest page 0x1200000.. contains VTD_GUEST_PAGE at 0x34000.
    vtd_put(&fixture, VTD_FS2_WORD, 0x1200000 | 0x87);
    uint64_t iova = iom_align_down(VTD_IOVA, 21) | 0x34567;
    struct iom_xlate x = vtd_translate(&fixture, iova, IOM_REQ_PASID);
    IOM_EXPECT_U64(x.leaf.output, VTD_PAGE | 0x567);
    IOM_EXPECT_U64(x.leaf.size_log2, 12);
    // The other way round.
    vtd_put(&fixture, VTD_FS2_WORD, VTD_FS1 | 7);
    vtd_put(&fixture, VTD_SS2 + 9 * 8, 0x4400000 | 0x83);
    x = vtd_translate(&fixture, VTD_IOVA, IOM_REQ_PASID);
    IOM_EXPECT_U64(x.leaf.output, 0x4434120);
    IOM_EXPECT_U64(x.leaf.size_log2, 12);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdWalk, five_levels_and_sign_extension)
{
    struct vtd_fixture fixture;
    open(&fixture, VTD_LAYOUT_FIRST);
    vtd_put(&fixture, 0x24000 + 0x1ff * 8, VTD_FS4 | 7); // level 5, last entry
    vtd_put(&fixture, VTD_PASID_WORD + 16, 0x24000 | 0x37);
    uint64_t high = VTD_IOVA | UINT64_C(0xffff) << 48;
    IOM_EXPECT_U64(vtd_translate(&fixture, high, IOM_REQ_PASID).leaf.output, VTD_PAGE | 0x120);
    IOM_EXPECT_U64(vtd_translate(&fixture, VTD_IOVA | UINT64_C(1) << 57, IOM_REQ_PASID).fault.code,
                   IOM_VTD_FAULT_NOT_CANONICAL);
    vtd_fixture_close(&fixture);
}

// ---- what needs no walk ----------------------------------------------------------------------------

IOM_TEST(VtdWalk, off_means_through_and_the_interrupt_window_is_apart)
{
    struct vtd_fixture fixture;
    struct iom_vtd_features features = vtd_all_features();
    vtd_fixture_open(&fixture, &features);
    IOM_EXPECT_U64(vtd_translate(&fixture, 0x1234, 0).outcome, IOM_OUTCOME_BYPASS);
    IOM_EXPECT_U64(vtd_translate(&fixture, 0x1234, IOM_REQ_TRANSLATE).outcome, IOM_OUTCOME_FAULT);
    vtd_fixture_tables(&fixture, VTD_LAYOUT_PASS_THROUGH);
    IOM_EXPECT_U64(vtd_translate(&fixture, 0xfee01234, IOM_REQ_WRITE).outcome, IOM_OUTCOME_INTERRUPT);
    struct iom_xlate x = vtd_translate(&fixture, 0xfee01234, 0);
    IOM_EXPECT_U64(x.outcome, IOM_OUTCOME_FAULT);
    IOM_EXPECT(!x.fault.recorded);
    x = vtd_translate(&fixture, 0xfed01234, IOM_REQ_WRITE);
    IOM_EXPECT_U64(x.outcome, IOM_OUTCOME_BYPASS);
    IOM_EXPECT_U64(x.leaf.output, 0xfed01234);
    vtd_fixture_close(&fixture);
}

// ---- permissions against an oracle, cached against walked --------------------------------------------

// What the last walk of each look-up handed out.
struct kept {
    bool valid;
    struct iom_tag tag;
    union {
        struct iom_context context;
        struct iom_leaf leaf;
    } payload;
};

// Runs a request by walks and keeps the fills; updates are performed.
static struct iom_xlate walk_and_keep(struct vtd_fixture *fixture, const struct iom_xlate *request,
                                      struct kept kept[IOM_LOOKUP_COUNT])
{
    const struct iom_arch_ops *ops = &iom_vtd_ops;
    struct iom_xlate x = *request;
    memset(kept, 0, IOM_LOOKUP_COUNT * sizeof *kept);
    ops->enter(&fixture->arch, &fixture->view, &x);
    while (x.next != IOM_LOOKUP_DONE) {
        struct iom_walk walk;
        memset(&walk, 0, sizeof walk);
        walk.x = x;
        walk.what = x.next;
        ops->walk_start(&fixture->arch, &fixture->view, &walk);
        while (walk.action != IOM_WALK_DONE) {
            walk.access_error = 0;
            if (walk.action == IOM_WALK_READ) {
                walk.access_error =
                    !iom_memory_image_read(fixture->memory, walk.address, walk.data, walk.bytes);
            } else if (walk.action == IOM_WALK_CAS) {
                walk.data[0] = vtd_get(fixture, walk.address);
                if (walk.data[0] == walk.expected)
                    vtd_put(fixture, walk.address, walk.desired);
            } else {
                walk.probe.hit_level = 0;
            }
            ops->walk_step(&fixture->arch, &fixture->view, &walk);
        }
        kept[walk.what].valid = walk.fill.valid;
        kept[walk.what].tag = walk.fill.tag;
        memcpy(&kept[walk.what].payload, &walk.fill.payload, sizeof walk.fill.payload);
        x = walk.x;
    }
    return x;
}

// Runs a request by what has been kept. Returns false if that is not enough.
static bool hit(struct vtd_fixture *fixture, const struct kept kept[IOM_LOOKUP_COUNT], struct iom_xlate *x)
{
    const struct iom_arch_ops *ops = &iom_vtd_ops;
    ops->enter(&fixture->arch, &fixture->view, x);
    while (x->next != IOM_LOOKUP_DONE) {
        const struct kept *entry = &kept[x->next];
        struct iom_tag key;
        if (!entry->valid)
            return false;
        ops->key(&fixture->arch, &fixture->view, x, &key);
        IOM_EXPECT(key.stream == entry->tag.stream && key.substream == entry->tag.substream &&
                   key.stage == entry->tag.stage && key.iommu == entry->tag.iommu);
        if (!ops->use(&fixture->arch, &fixture->view, x, &entry->tag, &entry->payload))
            return false;
    }
    return true;
}

struct rights {
    bool write, user, no_execute;  ///< first stage, conjunction over the levels
    bool host_read, host_write;    ///< second stage
    bool wpe, nxe, smep, sre, ere; ///< controls of the PASID-table entry
};

// The rules of 3.6.1 in the words of the specification: may this request pass?
static bool oracle(const struct rights *r, bool first, bool second, bool write, bool exec, bool privileged)
{
    if ((exec && !r->ere) || (privileged && !r->sre))
        return false;
    if (first) {
        if (!privileged && !r->user)
            return false;
        if (write && !r->write && (!privileged || r->wpe))
            return false;
        if (exec && r->no_execute && r->nxe)
            return false;
        if (exec && privileged && r->user && r->smep)
            return false;
    }
    if (second)
        return write ? r->host_write : r->host_read;
    return true;
}

// Puts random rights into one level of each stage.
static struct rights randomize(struct vtd_fixture *fixture, struct iom_rng *rng, enum vtd_layout layout)
{
    uint64_t bits = iom_rng_next(rng);
    struct rights r = {bits & 1,      bits >> 1 & 1, bits >> 2 & 1, bits >> 3 & 1, bits >> 4 & 1,
                       bits >> 5 & 1, bits >> 6 & 1, bits >> 7 & 1, bits >> 8 & 1, bits >> 9 & 1};
    uint64_t second_word = layout == VTD_LAYOUT_NESTED ? VTD_NESTED_PAGE_WORD : VTD_SS1_WORD;
    uint64_t page = layout == VTD_LAYOUT_NESTED ? VTD_GUEST_PAGE : VTD_PAGE;
    unsigned at = (unsigned)iom_rng_below(rng, 4);
    vtd_fixture_tables(fixture, layout);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t link = i == 3 ? page : first_words[i + 1] & ~UINT64_C(0xfff);
        uint64_t restricted =
            1u | (r.write ? 2u : 0u) | (r.user ? 4u : 0u) | (r.no_execute ? UINT64_C(1) << 63 : 0);
        vtd_put(fixture, first_words[i], link | (i == at ? restricted : 7));
    }
    vtd_put(fixture, second_word, VTD_PAGE | (r.host_read ? 1u : 0u) | (r.host_write ? 2u : 0u));
    vtd_put(fixture, VTD_PASID_WORD + 16,
            VTD_FS4 | (r.sre ? 1u : 0u) | (r.ere ? 2u : 0u) | (r.wpe ? 0x10u : 0u) | (r.nxe ? 0x20u : 0u) |
                (r.smep ? 0x40u : 0u));
    if (bits >> 10 & 1)
        vtd_put(fixture, VTD_PASID_WORD, vtd_get(fixture, VTD_PASID_WORD) | 0x200); // SSADE
    return r;
}

static void check_permissions(enum vtd_layout layout, bool first, bool second)
{
    struct vtd_fixture fixture;
    struct iom_rng rng;
    iom_rng_seed(&rng, 7, "permissions");
    open(&fixture, layout);
    for (unsigned round = 0; round < 2000; round++) {
        struct rights r = randomize(&fixture, &rng, layout);
        struct kept kept[IOM_LOOKUP_COUNT];
        for (unsigned i = 0; i < 6; i++) {
            bool write = iom_rng_below(&rng, 2), exec = !write && iom_rng_below(&rng, 2);
            bool privileged = iom_rng_below(&rng, 2) != 0;
            struct iom_xlate request = {.address = VTD_IOVA, .source = VTD_SOURCE, .pasid = VTD_PASID};
            request.flags = (uint16_t)(IOM_REQ_PASID | (write ? IOM_REQ_WRITE : 0) |
                                       (exec ? IOM_REQ_EXEC : 0) | (privileged ? IOM_REQ_PRIV : 0));
            bool expected = oracle(&r, first, second, write, exec, privileged);
            // First by what the previous request left, then by walks: both must say the same.
            struct iom_xlate cached = request;
            bool was_hit = i != 0 && hit(&fixture, kept, &cached);
            struct iom_xlate walked = walk_and_keep(&fixture, &request, kept);
            IOM_EXPECT((walked.outcome == IOM_OUTCOME_ADDRESS) == expected);
            if (was_hit) {
                IOM_EXPECT_U64(cached.outcome, walked.outcome);
                IOM_EXPECT_U64(cached.fault.code, walked.fault.code);
                if (expected)
                    IOM_EXPECT_U64(cached.leaf.output, walked.leaf.output);
            }
            // An entry just filled by this request serves it.
            cached = request;
            if (expected)
                IOM_EXPECT(hit(&fixture, kept, &cached) && cached.outcome == IOM_OUTCOME_ADDRESS);
        }
    }
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdWalk, permissions_first_stage)
{
    check_permissions(VTD_LAYOUT_FIRST, true, false);
}

IOM_TEST(VtdWalk, permissions_second_stage)
{
    check_permissions(VTD_LAYOUT_SECOND, false, true);
}

IOM_TEST(VtdWalk, permissions_nested)
{
    check_permissions(VTD_LAYOUT_NESTED, true, true);
}

IOM_TEST(VtdWalk, tags_of_entries)
{
    struct kept kept[IOM_LOOKUP_COUNT];
    struct vtd_fixture fixture;
    struct iom_xlate request = {
        .address = VTD_IOVA, .source = VTD_SOURCE, .pasid = VTD_PASID, .flags = IOM_REQ_PASID};
    open(&fixture, VTD_LAYOUT_FIRST);
    vtd_put(&fixture, VTD_FS1_WORD, VTD_PAGE | 0x107); // global
    (void)walk_and_keep(&fixture, &request, kept);
    const struct iom_tag *tag = &kept[IOM_LOOKUP_IOTLB].tag;
    IOM_EXPECT_U64(tag->address, iom_align_down(VTD_IOVA, 12));
    IOM_EXPECT_U64(tag->domain, VTD_DOMAIN);
    IOM_EXPECT_U64(tag->substream, VTD_PASID);
    IOM_EXPECT_U64(tag->stream, 0); // shared by the devices of the domain
    IOM_EXPECT_U64(tag->stage, 1);
    IOM_EXPECT_U64(tag->global, 1);
    IOM_EXPECT_U64(kept[IOM_LOOKUP_PASID].tag.domain, VTD_DOMAIN);
    IOM_EXPECT_U64(kept[IOM_LOOKUP_PASID].tag.substream, VTD_PASID);
    IOM_EXPECT_U64(kept[IOM_LOOKUP_CONTEXT].tag.stream, VTD_SOURCE);
    IOM_EXPECT_U64(kept[IOM_LOOKUP_CONTEXT].tag.size_log2, 64);

    fixture.config.tagging = IOM_TAG_BY_SOURCE;
    (void)walk_and_keep(&fixture, &request, kept);
    IOM_EXPECT_U64(kept[IOM_LOOKUP_IOTLB].tag.stream, VTD_SOURCE);
    vtd_fixture_close(&fixture);

    open(&fixture, VTD_LAYOUT_LEGACY);
    request.flags = 0;
    (void)walk_and_keep(&fixture, &request, kept);
    IOM_EXPECT_U64(kept[IOM_LOOKUP_CONTEXT].tag.domain, VTD_DOMAIN); // invalidations name it
    IOM_EXPECT_U64(kept[IOM_LOOKUP_IOTLB].tag.stage, 2);
    IOM_EXPECT_U64(kept[IOM_LOOKUP_IOTLB].tag.substream, 0);
    vtd_fixture_close(&fixture);
}
