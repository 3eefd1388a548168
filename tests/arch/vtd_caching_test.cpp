// SPDX-License-Identifier: Apache-2.0
//
// What is cached and what each command removes, end to end: a VT-d unit with large caches, tables that
// change behind its back, and descriptors (VT-d Rev. 4.1, 6.1 caching mode, 6.2, 6.5.2). A command suffices
// if the next request sees the tables as they are; where it must not reach, the old result stays.
#include <gtest/gtest.h>

#include "tests/arch/support/vtd_cached.h"

namespace
{

constexpr uint64_t did = uint64_t{VTD_DOMAIN} << 16;
constexpr uint64_t source = uint64_t{VTD_SOURCE} << 32;
constexpr uint64_t pasid = uint64_t{VTD_PASID} << 32;
constexpr uint64_t new_page = 0x6789000;
constexpr uint64_t page_address = VTD_IOVA & ~uint64_t{0xfff};

// Invalidations of the IOMMU's caches.
constexpr uint64_t context_all = 0x11, context_device = 0x31, iotlb_all = 0x12, iotlb_domain = 0x22,
                   iotlb_pages = 0x32, space_all = 0x26, space_pages = 0x36, pasid_domain = 0x07,
                   pasid_one = 0x17, pasid_all = 0x37;

class VtdCaching : public ::testing::Test
{
  protected:
    void TearDown() override
    {
        if (cached.fixture != nullptr) {
            vtd_cached_close(&cached);
            vtd_fixture_close(&fixture);
        }
    }
    void open(vtd_layout layout, bool caching_mode = false, iom_tagging tagging = IOM_TAG_BY_DOMAIN)
    {
        TearDown();
        iom_vtd_features features = vtd_all_features();
        features.caching_mode = caching_mode;
        vtd_fixture_open(&fixture, &features);
        fixture.config.tagging = tagging;
        vtd_fixture_tables(&fixture, layout);
        vtd_cached_open(&cached, &fixture);
        has_pasid = layout == VTD_LAYOUT_FIRST || layout == VTD_LAYOUT_NESTED;
    }
    iom_xlate translate(unsigned flags = 0)
    {
        return vtd_cached_translate(&cached, VTD_SOURCE, VTD_PASID, VTD_IOVA,
                                    flags | (has_pasid ? unsigned{IOM_REQ_PASID} : 0u));
    }
    uint64_t page()
    {
        return translate().leaf.output & ~uint64_t{0xfff};
    }
    bool command(uint64_t low, uint64_t high = 0)
    {
        return vtd_cached_command(&cached, low, high);
    }
    void put(uint64_t address, uint64_t value)
    {
        vtd_put(&fixture, address, value);
    }

    vtd_fixture fixture{};
    vtd_cached cached{};
    bool has_pasid = false;
};

// ---- translations ------------------------------------------------------------------------------------

struct Removal {
    const char *name;
    uint64_t low, high;
    bool removes;
};

TEST_F(VtdCaching, second_stage_pages)
{
    const Removal table[] = {
        {"global", iotlb_all, 0, true},
        {"domain", iotlb_domain | did, 0, true},
        {"other domain", iotlb_domain | 0x77 << 16, 0, false},
        {"page", iotlb_pages | did, page_address, true},
        {"page, hint", iotlb_pages | did, page_address | 0x40, true},
        {"range with the page", iotlb_pages | did, 0x8080600000 | 9, true},
        {"next page", iotlb_pages | did, page_address + 0x1000, false},
        {"address space", space_all | did | pasid, 0, false},
        {"context", context_all, 0, false},
        {"PASID cache", pasid_all, 0, false},
    };
    for (vtd_layout layout : {VTD_LAYOUT_LEGACY, VTD_LAYOUT_SECOND}) {
        for (iom_tagging tagging : {IOM_TAG_BY_DOMAIN, IOM_TAG_BY_SOURCE}) {
            for (const Removal &row : table) {
                SCOPED_TRACE(row.name);
                open(layout, false, tagging);
                ASSERT_EQ(page(), VTD_PAGE);
                put(VTD_SS1_WORD, new_page | 3);
                ASSERT_EQ(page(), VTD_PAGE); // cached
                ASSERT_TRUE(command(row.low, row.high));
                EXPECT_EQ(page(), row.removes ? new_page : uint64_t{VTD_PAGE});
            }
        }
    }
}

TEST_F(VtdCaching, first_stage_pages)
{
    const Removal table[] = {
        {"global", iotlb_all, 0, true},
        {"domain", iotlb_domain | did, 0, true},
        {"second-stage page", iotlb_pages | did, page_address, false},
        {"address space", space_all | did | pasid, 0, true},
        {"address space of another PASID", space_all | did | uint64_t{7} << 32, 0, false},
        {"address space of another domain", space_all | 0x77 << 16 | pasid, 0, false},
        {"page", space_pages | did | pasid, page_address, true},
        {"page, hint", space_pages | did | pasid, page_address | 0x40, true},
        {"next page", space_pages | did | pasid, page_address + 0x1000, false},
    };
    for (iom_tagging tagging : {IOM_TAG_BY_DOMAIN, IOM_TAG_BY_SOURCE}) {
        for (const Removal &row : table) {
            SCOPED_TRACE(row.name);
            open(VTD_LAYOUT_FIRST, false, tagging);
            ASSERT_EQ(page(), VTD_PAGE);
            put(VTD_FS1_WORD, new_page | 0x27);
            ASSERT_EQ(page(), VTD_PAGE);
            ASSERT_TRUE(command(row.low, row.high));
            EXPECT_EQ(page(), row.removes ? new_page : uint64_t{VTD_PAGE});
        }
    }
}

TEST_F(VtdCaching, nested_pages_of_either_stage)
{
    struct {
        const char *name;
        uint64_t low, high;
        bool first, second; ///< suffices for a change of that stage's page entry
    } const table[] = {
        {"domain", iotlb_domain | did, 0, true, true},
        {"any page of the second stage", iotlb_pages | did, VTD_GUEST_PAGE, true, true},
        {"address space", space_all | did | pasid, 0, true, true},
        {"page of the address space", space_pages | did | pasid, page_address, true, true},
        {"other page of the address space", space_pages | did | pasid, page_address + 0x1000, false, false},
        {"other domain", iotlb_pages | 0x77 << 16, VTD_GUEST_PAGE, false, false},
    };
    for (const auto &row : table) {
        SCOPED_TRACE(row.name);
        open(VTD_LAYOUT_NESTED);
        put(VTD_NESTED_PAGE_WORD + 8, new_page | 3); // guest page 0x1235000
        ASSERT_EQ(page(), VTD_PAGE);
        put(VTD_FS1_WORD, (VTD_GUEST_PAGE + 0x1000) | 0x27);
        ASSERT_EQ(page(), VTD_PAGE);
        ASSERT_TRUE(command(row.low, row.high));
        EXPECT_EQ(page(), row.first ? new_page : uint64_t{VTD_PAGE});

        open(VTD_LAYOUT_NESTED);
        ASSERT_EQ(page(), VTD_PAGE);
        put(VTD_NESTED_PAGE_WORD, new_page | 3);
        ASSERT_EQ(page(), VTD_PAGE);
        ASSERT_TRUE(command(row.low, row.high));
        EXPECT_EQ(page(), row.second ? new_page : uint64_t{VTD_PAGE});
    }
}

TEST_F(VtdCaching, global_pages_go_whichever_pasid_is_named)
{
    open(VTD_LAYOUT_FIRST);
    put(VTD_FS1_WORD, VTD_PAGE | 0x127);
    ASSERT_EQ(page(), VTD_PAGE);
    put(VTD_FS1_WORD, new_page | 0x127);
    ASSERT_EQ(page(), VTD_PAGE);
    ASSERT_TRUE(command(space_pages | did | uint64_t{7} << 32, page_address));
    EXPECT_EQ(page(), new_page);
}

TEST_F(VtdCaching, structure_entries_stay_with_the_hint_only)
{
    struct {
        vtd_layout layout;
        uint64_t command, table_word, new_table, leaf;
    } const cases[] = {
        {VTD_LAYOUT_LEGACY, iotlb_pages | did, VTD_SS2_WORD, VTD_SS1_TABLES, 3},
        {VTD_LAYOUT_FIRST, space_pages | did | pasid, VTD_FS2_WORD, VTD_SS1_TABLES, 0x27},
    };
    for (const auto &row : cases) {
        for (bool hint : {false, true}) {
            open(row.layout);
            ASSERT_EQ(page(), VTD_PAGE);
            // Another table with another page takes the place of the last one.
            put(row.new_table + 4 * 8, new_page | row.leaf);
            put(row.table_word, row.new_table | row.leaf);
            ASSERT_TRUE(command(row.command, page_address | (hint ? 0x40 : 0)));
            EXPECT_EQ(page(), hint ? uint64_t{VTD_PAGE} : new_page);
            EXPECT_EQ(cached.reads > 1, !hint); // with the hint one read finishes the walk
        }
    }
}

// The page that holds a first-stage table moves in the second stage: only a leaf of the second stage has
// changed, yet what was read through it is old.
TEST_F(VtdCaching, moved_guest_table)
{
    for (uint64_t hint : {0, 0x40}) {
        open(VTD_LAYOUT_NESTED);
        ASSERT_EQ(page(), VTD_PAGE);
        put(VTD_NESTED_PAGE_WORD + 8, new_page | 3);
        constexpr uint64_t other_table = 0x40000; // copy of level 2 that leads to another page table
        constexpr uint64_t other_pages = 0x41000;
        put(other_table + 3 * 8, other_pages | 0x27);
        put(VTD_NESTED_TABLE_WORD(other_pages), other_pages | 3);
        put(other_pages + 4 * 8, (VTD_GUEST_PAGE + 0x1000) | 0x27);
        put(VTD_NESTED_TABLE_WORD(VTD_FS2), other_table | 3);
        ASSERT_EQ(page(), VTD_PAGE);
        ASSERT_TRUE(command(iotlb_pages | did, VTD_FS2 | hint));
        EXPECT_EQ(page(), new_page);
    }
}

// ---- contexts and PASIDs -----------------------------------------------------------------------------

TEST_F(VtdCaching, legacy_context_needs_its_own_domain)
{
    const Removal table[] = {
        {"global", context_all, 0, true},
        {"device", context_device | did | source, 0, true},
        {"device, domain 0", context_device | source, 0, false}, // the late-DID bug
        {"other function", context_device | did | (source ^ uint64_t{1} << 32), 0, false},
        {"other function, masked", context_device | did | (source ^ uint64_t{4} << 32) | uint64_t{1} << 48, 0,
         true},
    };
    for (const Removal &row : table) {
        SCOPED_TRACE(row.name);
        open(VTD_LAYOUT_LEGACY);
        ASSERT_EQ(page(), VTD_PAGE);
        put(VTD_CONTEXT_WORD, 0);
        ASSERT_TRUE(command(row.low, row.high));
        ASSERT_TRUE(command(iotlb_all));
        EXPECT_EQ(translate().outcome, row.removes ? IOM_OUTCOME_FAULT : IOM_OUTCOME_ADDRESS);
    }
}

TEST_F(VtdCaching, context_entry_alone_leaves_translations)
{
    open(VTD_LAYOUT_LEGACY);
    ASSERT_EQ(page(), VTD_PAGE);
    put(VTD_CONTEXT_WORD, VTD_SS1_TABLES | 5); // other tables, same domain
    ASSERT_TRUE(command(context_all));
    EXPECT_EQ(page(), VTD_PAGE);
    ASSERT_TRUE(command(iotlb_domain | did));
    EXPECT_EQ(translate().outcome, IOM_OUTCOME_FAULT);
}

TEST_F(VtdCaching, scalable_context_ignores_the_domain)
{
    for (uint64_t low :
         {context_all, context_device | 0x4321 << 16 | source, uint64_t{0x21} | 0x4321 << 16}) {
        open(VTD_LAYOUT_SECOND);
        ASSERT_EQ(page(), VTD_PAGE);
        put(VTD_SM_CONTEXT_WORD, 0);
        ASSERT_EQ(page(), VTD_PAGE);
        ASSERT_TRUE(command(low));
        EXPECT_EQ(translate().fault.code, IOM_VTD_FAULT_SM_CONTEXT_NOT_PRESENT);
    }
}

TEST_F(VtdCaching, context_command_leaves_pasid_entries)
{
    open(VTD_LAYOUT_SECOND);
    ASSERT_EQ(page(), VTD_PAGE);
    put(VTD_PASID_WORD, 0);
    ASSERT_TRUE(command(context_all));
    ASSERT_TRUE(command(iotlb_all));
    EXPECT_EQ(page(), VTD_PAGE);
}

TEST_F(VtdCaching, pasid_entries)
{
    const Removal table[] = {
        {"global", pasid_all, 0, true},
        {"domain", pasid_domain | did, 0, true},
        {"other domain", pasid_domain | 0x77 << 16, 0, false},
        {"one", pasid_one | did | pasid, 0, true},
        {"one of another domain", pasid_one | 0x77 << 16 | pasid, 0, false},
        {"another one", pasid_one | did | uint64_t{7} << 32, 0, false},
    };
    for (const Removal &row : table) {
        SCOPED_TRACE(row.name);
        open(VTD_LAYOUT_FIRST);
        ASSERT_EQ(page(), VTD_PAGE);
        put(VTD_PASID_WORD, 0);
        ASSERT_TRUE(command(row.low, row.high));
        EXPECT_EQ(translate().outcome, row.removes ? IOM_OUTCOME_FAULT : IOM_OUTCOME_ADDRESS);
    }
}

// ---- caching mode ------------------------------------------------------------------------------------

struct Missing {
    const char *name;
    vtd_layout layout;
    uint64_t word;       ///< cleared, later restored
    uint64_t low, high;  ///< what makes the restored entry visible
    uint64_t not_enough; ///< a command that does not reach it
    unsigned code;
};

const Missing missing[] = {
    {"root", VTD_LAYOUT_LEGACY, VTD_ROOT_WORD, context_device | source, 0, iotlb_all,
     IOM_VTD_FAULT_ROOT_NOT_PRESENT},
    {"context", VTD_LAYOUT_LEGACY, VTD_CONTEXT_WORD, context_device | source, 0,
     context_device | did | source, IOM_VTD_FAULT_CONTEXT_NOT_PRESENT},
    {"scalable root", VTD_LAYOUT_SECOND, VTD_ROOT_WORD, context_device | did | source, 0, pasid_all,
     IOM_VTD_FAULT_SM_ROOT_NOT_PRESENT},
    {"scalable context", VTD_LAYOUT_SECOND, VTD_SM_CONTEXT_WORD, context_all, 0, pasid_all,
     IOM_VTD_FAULT_SM_CONTEXT_NOT_PRESENT},
    {"directory", VTD_LAYOUT_FIRST, VTD_DIR_WORD, pasid_one | did | pasid, 0, context_all,
     IOM_VTD_FAULT_PASID_DIR_NOT_PRESENT},
    {"PASID entry", VTD_LAYOUT_FIRST, VTD_PASID_WORD, pasid_one | did | pasid, 0,
     pasid_one | did | uint64_t{7} << 32, IOM_VTD_FAULT_PASID_NOT_PRESENT},
    {"page", VTD_LAYOUT_LEGACY, VTD_SS1_WORD, iotlb_pages | did, page_address, context_all,
     IOM_VTD_FAULT_READ},
    {"table", VTD_LAYOUT_LEGACY, VTD_SS3_WORD, iotlb_pages | did, page_address, iotlb_domain | 0x77 << 16,
     IOM_VTD_FAULT_READ},
    {"second-stage page", VTD_LAYOUT_SECOND, VTD_SS1_WORD, iotlb_domain | did, 0, space_all | did,
     IOM_VTD_FAULT_SS_PERMISSION},
    {"nested page", VTD_LAYOUT_NESTED, VTD_NESTED_PAGE_WORD, iotlb_pages | did, VTD_GUEST_PAGE, context_all,
     IOM_VTD_FAULT_SS_PERMISSION},
    {"guest table", VTD_LAYOUT_NESTED, VTD_NESTED_TABLE_WORD(VTD_FS2), iotlb_pages | did, VTD_FS2,
     context_all, IOM_VTD_FAULT_FS_ENTRY_READ},
};

TEST_F(VtdCaching, what_was_not_present_is_remembered_in_caching_mode)
{
    for (const Missing &row : missing) {
        for (iom_tagging tagging : {IOM_TAG_BY_DOMAIN, IOM_TAG_BY_SOURCE}) {
            SCOPED_TRACE(row.name);
            open(row.layout, true, tagging);
            uint64_t entry = vtd_get(&fixture, row.word);
            put(row.word, 0);
            iom_xlate walked = translate();
            ASSERT_EQ(walked.outcome, IOM_OUTCOME_FAULT);
            ASSERT_EQ(walked.fault.code, row.code);
            put(row.word, entry);
            // The same answer without looking at the tables, until the right command.
            for (uint64_t command_low : {uint64_t{0}, row.not_enough}) {
                if (command_low != 0) {
                    ASSERT_TRUE(command(command_low));
                }
                iom_xlate again = translate();
                EXPECT_EQ(again.outcome, IOM_OUTCOME_FAULT);
                EXPECT_EQ(again.fault.code, row.code);
                EXPECT_EQ(again.fault.recorded, walked.fault.recorded);
                EXPECT_EQ(again.fault.abort, walked.fault.abort);
                EXPECT_EQ(again.fault.address, VTD_IOVA);
            }
            ASSERT_TRUE(command(row.low, row.high));
            EXPECT_EQ(page(), VTD_PAGE);
        }
    }
}

TEST_F(VtdCaching, what_was_not_present_is_forgotten_otherwise)
{
    for (const Missing &row : missing) {
        SCOPED_TRACE(row.name);
        open(row.layout);
        uint64_t entry = vtd_get(&fixture, row.word);
        put(row.word, 0);
        ASSERT_EQ(translate().outcome, IOM_OUTCOME_FAULT);
        put(row.word, entry);
        EXPECT_EQ(page(), VTD_PAGE);
    }
}

TEST_F(VtdCaching, first_stage_mappings_are_exempt_from_caching_mode)
{
    for (vtd_layout layout : {VTD_LAYOUT_FIRST, VTD_LAYOUT_NESTED}) {
        for (uint64_t word : {VTD_FS4_WORD, VTD_FS1_WORD}) {
            open(layout, true);
            uint64_t entry = vtd_get(&fixture, word);
            put(word, 0);
            ASSERT_EQ(translate().fault.code, IOM_VTD_FAULT_FS_NOT_PRESENT);
            put(word, entry);
            EXPECT_EQ(page(), VTD_PAGE);
        }
    }
}

TEST_F(VtdCaching, a_missing_permission_is_walked_for_again)
{
    open(VTD_LAYOUT_LEGACY, true);
    put(VTD_SS1_WORD, VTD_PAGE | 1);
    ASSERT_EQ(translate(IOM_REQ_WRITE).fault.code, IOM_VTD_FAULT_WRITE);
    put(VTD_SS1_WORD, VTD_PAGE | 3);
    EXPECT_EQ(translate(IOM_REQ_WRITE).outcome, IOM_OUTCOME_ADDRESS);
}

TEST_F(VtdCaching, remembered_page_answers_each_kind_of_request)
{
    open(VTD_LAYOUT_LEGACY, true);
    put(VTD_SS1_WORD, 0);
    EXPECT_EQ(translate().fault.code, IOM_VTD_FAULT_READ);
    iom_xlate write = translate(IOM_REQ_WRITE);
    EXPECT_EQ(cached.walks, 0u);
    EXPECT_EQ(write.fault.code, IOM_VTD_FAULT_WRITE);
    // The whole table is absent, yet only this page is known to be.
    (void)vtd_cached_translate(&cached, VTD_SOURCE, 0, VTD_IOVA + 0x1000, 0);
    EXPECT_EQ(cached.walks, 1u);
    // A translation request is answered "no permission" and nothing is recorded.
    put(VTD_CONTEXT_WORD, VTD_SS4 | 5);
    EXPECT_EQ(translate(IOM_REQ_TRANSLATE).outcome, IOM_OUTCOME_DENIED);
    EXPECT_EQ(cached.walks, 0u);
}

TEST_F(VtdCaching, disabled_fault_processing_is_remembered_too)
{
    open(VTD_LAYOUT_LEGACY, true);
    put(VTD_CONTEXT_WORD, 2); // not present, FPD
    EXPECT_EQ(translate().fault.recorded, 0);
    EXPECT_EQ(translate().fault.recorded, 0);
    EXPECT_EQ(cached.walks, 0u);
    open(VTD_LAYOUT_FIRST, true);
    put(VTD_DIR_WORD, vtd_get(&fixture, VTD_DIR_WORD) | 2);
    put(VTD_PASID_WORD, 0);
    EXPECT_EQ(translate().fault.recorded, 0);
    EXPECT_EQ(translate().fault.recorded, 0);
    EXPECT_EQ(cached.walks, 0u);
}

// ---- provenance --------------------------------------------------------------------------------------

TEST_F(VtdCaching, results_keep_the_node_of_their_entry)
{
    open(VTD_LAYOUT_FIRST);
    (void)translate();
    // Give the entries nodes, as the walker unit does.
    iom_node nodes[] = {11, 22, 33};
    for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++) {
        for (int32_t slot = 0; slot < 64; slot++) {
            void *payload = iom_cache_payload_mut(cached.cache[which], slot);
            if (which == IOM_LOOKUP_IOTLB)
                static_cast<iom_leaf *>(payload)->node = nodes[which];
            else
                static_cast<iom_context *>(payload)->node = nodes[which];
        }
    }
    iom_xlate x = translate();
    EXPECT_EQ(cached.walks, 0u);
    EXPECT_EQ(x.context.node, 22u);
    EXPECT_EQ(x.leaf.node, 33u);
    // Refused by the PASID entry: execute requests are not enabled.
    for (int32_t slot = 0; slot < 64; slot++)
        static_cast<iom_context *>(iom_cache_payload_mut(cached.cache[IOM_LOOKUP_PASID], slot))->attributes =
            0;
    x = translate(IOM_REQ_EXEC);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(x.context.node, 22u);
    // Refused by the context entry.
    for (int32_t slot = 0; slot < 64; slot++)
        static_cast<iom_context *>(iom_cache_payload_mut(cached.cache[IOM_LOOKUP_CONTEXT], slot))
            ->attributes = 0;
    x = translate();
    EXPECT_EQ(x.fault.code, IOM_VTD_FAULT_SM_PASIDE_CLEAR);
    EXPECT_EQ(x.context.node, 11u);
}

TEST_F(VtdCaching, refusals_of_remembered_entries_name_them)
{
    open(VTD_LAYOUT_LEGACY, true);
    put(VTD_SS1_WORD, 0);
    (void)translate();
    for (int32_t slot = 0; slot < 64; slot++)
        static_cast<iom_leaf *>(iom_cache_payload_mut(cached.cache[IOM_LOOKUP_IOTLB], slot))->node = 33;
    EXPECT_EQ(translate().context.node, 33u);
}

} // namespace
