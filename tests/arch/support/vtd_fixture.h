// SPDX-License-Identifier: Apache-2.0
//
// A VT-d unit with memory and hand-written tables for tests.
//
// The tables are written from the specification's formats (Rev. 4.1, chapter 9) with numbers, not with
// the builder under test, so that model and builder are checked against something else than each other.
#ifndef IOM_TESTS_ARCH_VTD_FIXTURE_H
#define IOM_TESTS_ARCH_VTD_FIXTURE_H

#include "core/arch/vtd/vtd.h"
#include "core/memory_image.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Where the hand-written tables lie. RAM is [0x1000, VTD_RAM_END); VTD_HOLE does not answer.
enum vtd_place {
    VTD_ROOT = 0x10000,
    VTD_CONTEXT = 0x11000,
    VTD_PASID_DIR = 0x12000,
    VTD_PASID_TABLE = 0x13000,
    VTD_FS4 = 0x20000, ///< first-stage tables of levels 4 to 1
    VTD_FS3 = 0x21000,
    VTD_FS2 = 0x22000,
    VTD_FS1 = 0x23000,
    VTD_SS4 = 0x30000, ///< second-stage tables of levels 4 to 1
    VTD_SS3 = 0x31000,
    VTD_SS2 = 0x32000,
    VTD_SS1 = 0x33000,
    VTD_SS1_TABLES = 0x34000, ///< nested: maps the first-stage tables
    VTD_RAM_END = 0x10000000,
    VTD_HOLE = 0x20000000,
};

#define VTD_SOURCE 0x0142u  ///< bus 1, device 8, function 2
#define VTD_PASID 0x1c5u    ///< directory entry 7, table entry 5
#define VTD_RID_PASID 0x45u ///< directory entry 1, table entry 5
#define VTD_DOMAIN 0x123u
#define VTD_IOVA UINT64_C(0x8080604120)    ///< indices 1, 2, 3, 4 at levels 4 to 1, offset 0x120
#define VTD_GUEST_PAGE UINT64_C(0x1234000) ///< nested: what the first stage yields
#define VTD_PAGE UINT64_C(0x5678000)       ///< what IOVA translates to

/// Addresses of the words that a translation of VTD_IOVA reads.
#define VTD_ROOT_WORD (VTD_ROOT + 1 * 16)
#define VTD_CONTEXT_WORD (VTD_CONTEXT + 0x42 * 16)
#define VTD_SM_CONTEXT_WORD (VTD_CONTEXT + 0x42 * 32)
#define VTD_DIR_WORD (VTD_PASID_DIR + 7 * 8)
#define VTD_PASID_WORD (VTD_PASID_TABLE + 5 * 64)
#define VTD_FS4_WORD (VTD_FS4 + 1 * 8)
#define VTD_FS3_WORD (VTD_FS3 + 2 * 8)
#define VTD_FS2_WORD (VTD_FS2 + 3 * 8)
#define VTD_FS1_WORD (VTD_FS1 + 4 * 8)
#define VTD_SS4_WORD (VTD_SS4 + 1 * 8) ///< not nested
#define VTD_SS3_WORD (VTD_SS3 + 2 * 8)
#define VTD_SS2_WORD (VTD_SS2 + 3 * 8)
#define VTD_SS1_WORD (VTD_SS1 + 4 * 8)
#define VTD_NESTED_PAGE_WORD (VTD_SS1 + 0x34 * 8)                           ///< maps VTD_GUEST_PAGE
#define VTD_NESTED_TABLE_WORD(table) (VTD_SS1_TABLES + ((table) >> 12) * 8) ///< maps a first-stage table

enum vtd_layout {
    VTD_LAYOUT_LEGACY,
    VTD_LAYOUT_SECOND,
    VTD_LAYOUT_FIRST,
    VTD_LAYOUT_NESTED,
    VTD_LAYOUT_PASS_THROUGH, ///< scalable
};

struct vtd_fixture {
    struct iom_vtd_config config;
    struct iom_arch arch;
    struct iom_view view;
    void *state;
    struct iom_memory_image *memory;
    bool refuse_updates;   ///< compare-and-swap finds no memory
    uint64_t disturb_at;   ///< before the first update: this word ...
    uint64_t disturb_with; ///< ... gets these bits (0: nothing)
    uint64_t updates;      ///< compare-and-swaps that stored
};

/// Everything the model offers except caching mode.
struct iom_vtd_features vtd_all_features(void);
/// Opens with features; fails the current test on an impossible configuration.
void vtd_fixture_open(struct vtd_fixture *fixture, const struct iom_vtd_features *features);
void vtd_fixture_close(struct vtd_fixture *fixture);

void vtd_put(struct vtd_fixture *fixture, uint64_t address, uint64_t value);
uint64_t vtd_get(struct vtd_fixture *fixture, uint64_t address);

/// Register access with the actions carried out at once.
void vtd_register_write(struct vtd_fixture *fixture, uint32_t offset, unsigned bytes, uint64_t value);
uint64_t vtd_register_read(const struct vtd_fixture *fixture, uint32_t offset, unsigned bytes);

/// Writes tables that translate VTD_IOVA of VTD_SOURCE to VTD_PAGE (identity for pass-through), with all
/// permissions and no accessed or dirty flag, and turns translation on.
void vtd_fixture_tables(struct vtd_fixture *fixture, enum vtd_layout layout);

/// One translation with updates. `flags`: enum iom_request_flag; PASID requests use VTD_PASID.
struct iom_xlate vtd_translate(struct vtd_fixture *fixture, uint64_t address, unsigned flags);

#ifdef __cplusplus
}
#endif

#endif
