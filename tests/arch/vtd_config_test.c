// SPDX-License-Identifier: Apache-2.0
//
// Capability registers built from settings (VT-d Rev. 4.1, 11.4.2, 11.4.3) and what they turn on and off
// in the tables.
#include <string.h>

#include "core/arch/vtd/vtd.h"
#include "tests/arch/support/vtd_fixture.h"
#include "tests/shim/gtest_c.h"

IOM_TEST(VtdConfig, settings_stand_where_the_specification_puts_them)
{
    struct iom_vtd_features features = {.guest_address_bits = 48,
                                        .domain_bits = 16,
                                        .second_stage_levels = 0x18,
                                        .max_address_mask = 18,
                                        .fault_records = 8,
                                        .second_stage_2m = true,
                                        .second_stage_1g = true,
                                        .pass_through = true,
                                        .queued_invalidation = true,
                                        .page_selective = true,
                                        .drain_reads = true,
                                        .drain_writes = true};
    uint64_t cap = 0, ecap = 0;
    IOM_ASSERT(iom_vtd_capabilities(&features, &cap, &ecap) == NULL);
    IOM_EXPECT_U64(cap & 7, 6);           // ND: 2^16 domains
    IOM_EXPECT_U64(cap >> 8 & 0x1f, 6);   // SAGAW: 3 and 4 levels
    IOM_EXPECT_U64(cap >> 16 & 0x3f, 47); // MGAW
    IOM_EXPECT_U64(cap >> 34 & 0xf, 3);   // 2 MiB, 1 GiB
    IOM_EXPECT_U64(cap >> 39 & 1, 1);     // PSI
    IOM_EXPECT_U64(cap >> 40 & 0xff, 7);  // NFR
    IOM_EXPECT_U64(cap >> 48 & 0x3f, 18); // MAMV
    IOM_EXPECT_U64(cap >> 54 & 3, 3);     // DWD, DRD
    IOM_EXPECT_U64(ecap & 0xff, 0x42);    // PT, QI
    IOM_EXPECT_U64(ecap >> 18, 0);        // nothing of scalable mode
    // Both register blocks lie in the page and apart.
    uint64_t faults = (cap >> 24 & 0x3ff) * 16, iotlb = (ecap >> 8 & 0x3ff) * 16;
    IOM_EXPECT(faults >= 0x100 && faults + UINT64_C(8) * 16 <= iotlb && iotlb + 16 <= 0x1000);
}

IOM_TEST(VtdConfig, scalable_mode_settings)
{
    struct iom_vtd_features features = vtd_all_features();
    uint64_t cap = 0, ecap = 0;
    IOM_ASSERT(iom_vtd_capabilities(&features, &cap, &ecap) == NULL);
    static const unsigned set[] = {0, 1, 2, 6, 7, 26, 29, 30, 31, 34, 40, 43, 45, 46, 47, 48, 49};
    uint64_t expected = UINT64_C(19) << 35 | (ecap & 0x3ff00);
    for (unsigned i = 0; i < sizeof set / sizeof set[0]; i++)
        expected |= UINT64_C(1) << set[i];
    IOM_EXPECT_U64(ecap, expected);
    IOM_EXPECT_U64(cap >> 56 & 0x11, 0x11); // FS1GP, FS5LP
}

IOM_TEST(VtdConfig, impossible_settings_are_refused_by_name)
{
    struct iom_vtd_features good = vtd_all_features(), features;
    uint64_t cap = 1, ecap = 2;
    features = good, features.domain_bits = 15;
    IOM_EXPECT(strstr(iom_vtd_capabilities(&features, &cap, &ecap), "domain") != NULL);
    features = good, features.fault_records = 0;
    IOM_EXPECT(strstr(iom_vtd_capabilities(&features, &cap, &ecap), "fault") != NULL);
    features = good, features.second_stage = false;
    IOM_EXPECT(strstr(iom_vtd_capabilities(&features, &cap, &ecap), "nested") != NULL);
    features = good, features.scalable_mode = false;
    IOM_EXPECT(strstr(iom_vtd_capabilities(&features, &cap, &ecap), "scalable") != NULL);
    features = good, features.guest_address_bits = 20;
    IOM_EXPECT(strstr(iom_vtd_capabilities(&features, &cap, &ecap), "width") != NULL);
    features = good, features.device_tlb = false;
    IOM_EXPECT(strstr(iom_vtd_capabilities(&features, &cap, &ecap), "page requests") != NULL);
    IOM_EXPECT_U64(cap, 1); // untouched
    IOM_EXPECT_U64(ecap, 2);
}

IOM_TEST(VtdConfig, overlapping_register_blocks_are_refused)
{
    struct iom_vtd_config config = {.haw_bits = 46};
    struct iom_vtd_features features = vtd_all_features();
    IOM_ASSERT(iom_vtd_capabilities(&features, &config.cap, &config.ecap) == NULL);
    IOM_EXPECT(iom_vtd_config_finish(&config) == NULL);
    config.cap = (config.cap & ~(UINT64_C(0x3ff) << 24)) | UINT64_C(0xf1) << 24 | UINT64_C(3) << 40;
    config.ecap = (config.ecap & ~(UINT64_C(0x3ff) << 8)) | UINT64_C(0xf2) << 8;
    IOM_EXPECT(strstr(iom_vtd_config_finish(&config), "overlap") != NULL);
    config.ecap = (config.ecap & ~(UINT64_C(0x3ff) << 8)) | UINT64_C(0x2) << 8;
    IOM_EXPECT(strstr(iom_vtd_config_finish(&config), "overlap") != NULL);
    config.haw_bits = 60;
    IOM_EXPECT(strstr(iom_vtd_config_finish(&config), "width") != NULL);
}

IOM_TEST(VtdConfig, many_fault_records_find_room)
{
    struct iom_vtd_config config = {.haw_bits = 46};
    struct iom_vtd_features features = vtd_all_features();
    features.fault_records = 256;
    IOM_ASSERT(iom_vtd_capabilities(&features, &config.cap, &config.ecap) == NULL);
    IOM_EXPECT(iom_vtd_config_finish(&config) == NULL);
    IOM_EXPECT_U64(config.derived.fault_records, 256);
}

// A field that belongs to a missing capability is reserved, a table type that needs one is invalid.
struct gate {
    const char *name;
    size_t feature;      ///< offset of the bool that is turned off
    uint64_t word, bits; ///< set these on top of tables that translate
    enum vtd_layout layout;
    unsigned reason;
};

#define GATE(text, member, tables, at, with, code)                                                           \
    {                                                                                                        \
        .name = (text), .feature = offsetof(struct iom_vtd_features, member), .word = (at), .bits = (with),  \
        .layout = (tables), .reason = IOM_VTD_FAULT_##code                                                   \
    }

IOM_TEST(VtdConfig, fields_of_missing_capabilities_are_reserved)
{
    static const struct gate gates[] = {
        GATE("DTE", device_tlb, VTD_LAYOUT_SECOND, VTD_SM_CONTEXT_WORD, 1 << 2, SM_CONTEXT_RESERVED),
        GATE("PRE", page_requests, VTD_LAYOUT_SECOND, VTD_SM_CONTEXT_WORD, 1 << 4, SM_CONTEXT_RESERVED),
        GATE("PASIDE", pasid, VTD_LAYOUT_SECOND, VTD_SM_CONTEXT_WORD, 1 << 3, SM_CONTEXT_RESERVED),
        GATE("RID_PRIV", supervisor_requests, VTD_LAYOUT_SECOND, VTD_SM_CONTEXT_WORD + 8, 1 << 20,
             SM_CONTEXT_RESERVED),
        GATE("SSADE", second_stage_dirty, VTD_LAYOUT_SECOND, VTD_PASID_WORD, 1 << 9, PASID_RESERVED),
        GATE("PGSNP", snoop_control, VTD_LAYOUT_SECOND, VTD_PASID_WORD + 8, 1 << 24, PASID_RESERVED),
        GATE("SRE", supervisor_requests, VTD_LAYOUT_SECOND, VTD_PASID_WORD + 16, 1, PASID_RESERVED),
        GATE("ERE", execute_requests, VTD_LAYOUT_SECOND, VTD_PASID_WORD + 16, 2, PASID_RESERVED),
        GATE("EAFE", extended_accessed, VTD_LAYOUT_FIRST, VTD_PASID_WORD + 16, 1 << 7, PASID_RESERVED),
        GATE("SNP", snoop_control, VTD_LAYOUT_SECOND, VTD_SS1_WORD, 1 << 11, SS_RESERVED),
        GATE("2 MiB", second_stage_2m, VTD_LAYOUT_SECOND, VTD_SS2_WORD, 1 << 7, SS_RESERVED),
        GATE("1 GiB", second_stage_1g, VTD_LAYOUT_SECOND, VTD_SS3_WORD, 1 << 7, SS_RESERVED),
        GATE("FS 1 GiB", first_stage_1g, VTD_LAYOUT_FIRST, VTD_FS3_WORD, 1 << 7, FS_RESERVED),
        GATE("5 levels", first_stage_5level, VTD_LAYOUT_FIRST, VTD_PASID_WORD + 16, 1 << 2, PASID_INVALID),
        GATE("nested", nested, VTD_LAYOUT_NESTED, VTD_PASID_WORD, 0, PASID_INVALID),
        GATE("pass-through", pass_through, VTD_LAYOUT_PASS_THROUGH, VTD_PASID_WORD, 0, PASID_INVALID),
        GATE("legacy pass-through", pass_through, VTD_LAYOUT_LEGACY, VTD_CONTEXT_WORD, 8, CONTEXT_INVALID),
        GATE("legacy device TLB", device_tlb, VTD_LAYOUT_LEGACY, VTD_CONTEXT_WORD, 4, CONTEXT_INVALID),
    };
    for (unsigned i = 0; i < sizeof gates / sizeof gates[0]; i++) {
        struct vtd_fixture fixture;
        struct iom_vtd_features features = vtd_all_features();
        *(bool *)((char *)&features + gates[i].feature) = false;
        if (!features.device_tlb)
            features.page_requests = false;
        vtd_fixture_open(&fixture, &features);
        vtd_fixture_tables(&fixture, gates[i].layout);
        // Tables without any optional field.
        if (gates[i].layout != VTD_LAYOUT_LEGACY) {
            vtd_put(&fixture, VTD_SM_CONTEXT_WORD, VTD_PASID_DIR | 1);
            vtd_put(&fixture, VTD_PASID_WORD + 16, VTD_FS4);
        } else {
            vtd_put(&fixture, VTD_CONTEXT_WORD, VTD_SS4 | 1);
        }
        if (gates[i].bits != 0)
            IOM_EXPECT(vtd_translate(&fixture, VTD_IOVA, 0).outcome == IOM_OUTCOME_ADDRESS);
        vtd_put(&fixture, gates[i].word, vtd_get(&fixture, gates[i].word) | gates[i].bits);
        struct iom_xlate x = vtd_translate(&fixture, VTD_IOVA, 0);
        if (x.outcome != IOM_OUTCOME_FAULT || x.fault.code != gates[i].reason)
            IOM_FAIL("%s: outcome %u reason 0x%x", gates[i].name, x.outcome, x.fault.code);
        vtd_fixture_close(&fixture);
    }
}
