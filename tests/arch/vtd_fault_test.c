// SPDX-License-Identifier: Apache-2.0
//
// Every fault reason of VT-d (Rev. 4.1, 7.1.3), each provoked by the smallest change of tables that
// translate, and the rules about which faults are recorded.
#include <string.h>

#include "core/arch/vtd/vtd.h"
#include "tests/arch/support/vtd_fixture.h"
#include "tests/shim/gtest_c.h"

#define R 0u
#define W IOM_REQ_WRITE
#define P IOM_REQ_PASID
#define X IOM_REQ_EXEC
#define S IOM_REQ_PRIV
#define T IOM_REQ_TRANSLATE
#define ADDRESS(value) .address = (value)
#define BAD_BIT(bit) (UINT64_C(1) << (bit))

struct fault_case {
    const char *name;
    uint64_t at;    ///< word to change, 0 = none
    uint64_t value; ///< its new value
    uint64_t at2, value2;
    uint64_t address; ///< request address, 0 = VTD_IOVA
    uint64_t root;    ///< other root table address register, 0 = as usual
    enum vtd_layout layout;
    unsigned flags;
    enum iom_vtd_fault reason;
    bool refuse_updates; ///< memory refuses compare-and-swaps
    bool unqualified;    ///< found before the context entry: fault processing disable does not apply
};

#define LEGACY VTD_LAYOUT_LEGACY
#define SECOND VTD_LAYOUT_SECOND
#define FIRST VTD_LAYOUT_FIRST
#define NESTED VTD_LAYOUT_NESTED
#define PASS VTD_LAYOUT_PASS_THROUGH
// AT and AT2 name a word and its new value.
#define FAULT(text, tables, request, code, ...)                                                              \
    {                                                                                                        \
        .name = (text), .layout = (tables), .flags = (request), .reason = IOM_VTD_FAULT_##code, __VA_ARGS__  \
    }
#define AT(word, content) .at = (word), .value = (content)
#define AT2(word, content) .at2 = (word), .value2 = (content)

#define SS_LINK(table) ((table) | 3u)
#define FS_LINK(table) ((table) | 7u)
#define PASID_WORD0(type) (VTD_SS4 | (uint64_t)(type) << 6 | 2 << 2 | 1)

static const struct fault_case cases[] = {
    // Root table address register.
    FAULT("reserved table mode", LEGACY, R, TABLE_MODE, .root = VTD_ROOT | 0x800, .unqualified = true),
    FAULT("PASID in legacy mode", LEGACY, R | P, LEGACY_PASID, .unqualified = true),
    FAULT("abort-DMA mode", LEGACY, W, ABORT_MODE, .root = VTD_ROOT | 0xc00, .unqualified = true),
    // Legacy root and context.
    FAULT("root access", LEGACY, R, ROOT_ACCESS, .root = VTD_HOLE, .unqualified = true),
    FAULT("root not present", LEGACY, R, ROOT_NOT_PRESENT, AT(VTD_ROOT_WORD, VTD_CONTEXT),
          .unqualified = true),
    FAULT("root low reserved", LEGACY, R, ROOT_RESERVED, AT(VTD_ROOT_WORD, VTD_CONTEXT | 0x801),
          .unqualified = true),
    FAULT("root high reserved", LEGACY, R, ROOT_RESERVED, AT(VTD_ROOT_WORD + 8, 1), .unqualified = true),
    FAULT("root above HAW", LEGACY, R, ROOT_RESERVED, AT(VTD_ROOT_WORD, VTD_CONTEXT | BAD_BIT(46) | 1),
          .unqualified = true),
    FAULT("context access", LEGACY, R, CONTEXT_ACCESS, AT(VTD_ROOT_WORD, VTD_HOLE | 1), .unqualified = true),
    FAULT("context not present", LEGACY, R, CONTEXT_NOT_PRESENT, AT(VTD_CONTEXT_WORD, 0)),
    FAULT("context low reserved", LEGACY, R, CONTEXT_RESERVED, AT(VTD_CONTEXT_WORD, VTD_SS4 | 0x11)),
    FAULT("context high reserved", LEGACY, R, CONTEXT_RESERVED,
          AT(VTD_CONTEXT_WORD + 8, VTD_DOMAIN << 8 | 0x82)),
    FAULT("context type 3", LEGACY, R, CONTEXT_INVALID, AT(VTD_CONTEXT_WORD, VTD_SS4 | 0xd)),
    FAULT("context width", LEGACY, R, CONTEXT_INVALID, AT(VTD_CONTEXT_WORD + 8, VTD_DOMAIN << 8 | 4)),
    FAULT("first table access", LEGACY, R, CONTEXT_INVALID, AT(VTD_CONTEXT_WORD, VTD_HOLE | 1)),
    FAULT("type 0 blocks ATS", LEGACY, R | T, TYPE_BLOCKED, AT(VTD_CONTEXT_WORD, VTD_SS4 | 1)),
    FAULT("pass-through blocks ATS", LEGACY, R | T, TYPE_BLOCKED, AT(VTD_CONTEXT_WORD, VTD_SS4 | 9)),
    // Legacy pages.
    FAULT("beyond AGAW", LEGACY, R, ADDRESS_BEYOND_MGAW, ADDRESS(VTD_IOVA | BAD_BIT(48))),
    FAULT("beyond AGAW, pass-through", LEGACY, R, ADDRESS_BEYOND_MGAW, AT(VTD_CONTEXT_WORD, VTD_SS4 | 9),
          ADDRESS(VTD_IOVA | BAD_BIT(48))),
    FAULT("legacy write", LEGACY, W, WRITE, AT(VTD_SS1_WORD, VTD_PAGE | 1)),
    FAULT("legacy write, not present", LEGACY, W, WRITE, AT(VTD_SS1_WORD, VTD_PAGE)),
    FAULT("legacy write, upper level", LEGACY, W, WRITE, AT(VTD_SS3_WORD, VTD_SS2 | 1)),
    FAULT("legacy read", LEGACY, R, READ, AT(VTD_SS1_WORD, VTD_PAGE | 2)),
    FAULT("legacy read, upper level", LEGACY, R, READ, AT(VTD_SS4_WORD, VTD_SS3 | 2)),
    FAULT("legacy table access", LEGACY, R, PAGING_ACCESS, AT(VTD_SS3_WORD, SS_LINK(VTD_HOLE))),
    FAULT("legacy table reserved", LEGACY, R, PAGING_RESERVED,
          AT(VTD_SS2_WORD, SS_LINK(VTD_SS1) | BAD_BIT(11))),
    FAULT("legacy page above HAW", LEGACY, R, PAGING_RESERVED, AT(VTD_SS1_WORD, VTD_PAGE | BAD_BIT(46) | 3)),
    FAULT("legacy 512 GiB page", LEGACY, R, PAGING_RESERVED, AT(VTD_SS4_WORD, SS_LINK(VTD_SS3) | BAD_BIT(7))),
    FAULT("legacy 2 MiB page, low bits", LEGACY, R, PAGING_RESERVED, AT(VTD_SS2_WORD, 0x201000 | 0x83)),
    FAULT("into the interrupt window", LEGACY, R, INTERRUPT_OUTPUT, AT(VTD_SS1_WORD, 0xfee12000 | 3)),
    // Scalable root and context.
    FAULT("SM root access", FIRST, R, SM_ROOT_ACCESS, .root = VTD_HOLE | 0x400, .unqualified = true),
    FAULT("SM root not present", FIRST, R, SM_ROOT_NOT_PRESENT, AT(VTD_ROOT_WORD, 0), .unqualified = true),
    FAULT("SM root reserved", FIRST, R, SM_ROOT_RESERVED, AT(VTD_ROOT_WORD, VTD_CONTEXT | 3),
          .unqualified = true),
    FAULT("SM context access", FIRST, R, SM_CONTEXT_ACCESS, AT(VTD_ROOT_WORD, VTD_HOLE | 1),
          .unqualified = true),
    FAULT("SM context not present", FIRST, R, SM_CONTEXT_NOT_PRESENT, AT(VTD_SM_CONTEXT_WORD, 0)),
    FAULT("SM context word 0", FIRST, R, SM_CONTEXT_RESERVED, AT(VTD_SM_CONTEXT_WORD, VTD_PASID_DIR | 0x2d)),
    FAULT("SM context word 1", FIRST, R, SM_CONTEXT_RESERVED, AT(VTD_SM_CONTEXT_WORD + 8, BAD_BIT(21))),
    FAULT("SM context word 3", FIRST, R, SM_CONTEXT_RESERVED, AT(VTD_SM_CONTEXT_WORD + 24, 1)),
    FAULT("DTE clear", FIRST, R | T, SM_DTE_CLEAR, AT(VTD_SM_CONTEXT_WORD, VTD_PASID_DIR | 9)),
    FAULT("PASIDE clear", FIRST, R | P, SM_PASIDE_CLEAR, AT(VTD_SM_CONTEXT_WORD, VTD_PASID_DIR | 5)),
    FAULT("RID_PASID too large", FIRST, R, SM_RID_PASID, AT(VTD_SM_CONTEXT_WORD + 8, 0x2000)),
    // PASID directory and table.
    FAULT("directory access", FIRST, R | P, PASID_DIR_ACCESS, AT(VTD_SM_CONTEXT_WORD, VTD_HOLE | 0xd)),
    FAULT("directory not present", FIRST, R | P, PASID_DIR_NOT_PRESENT, AT(VTD_DIR_WORD, 0)),
    FAULT("directory reserved", FIRST, R | P, PASID_DIR_RESERVED, AT(VTD_DIR_WORD, VTD_PASID_TABLE | 5)),
    FAULT("PASID table access", FIRST, R | P, PASID_ACCESS, AT(VTD_DIR_WORD, VTD_HOLE | 1)),
    FAULT("PASID not present", FIRST, R | P, PASID_NOT_PRESENT,
          AT(VTD_PASID_WORD, PASID_WORD0(1) & ~UINT64_C(1))),
    FAULT("PASID word 0", FIRST, R | P, PASID_RESERVED, AT(VTD_PASID_WORD, PASID_WORD0(1) | 0x400)),
    FAULT("PASID word 1", FIRST, R | P, PASID_RESERVED, AT(VTD_PASID_WORD + 8, VTD_DOMAIN | BAD_BIT(20))),
    FAULT("PASID word 2", FIRST, R | P, PASID_RESERVED, AT(VTD_PASID_WORD + 16, VTD_FS4 | 0x133)),
    FAULT("PASID word 7", FIRST, R | P, PASID_RESERVED, AT(VTD_PASID_WORD + 56, 1)),
    FAULT("translation type 0", FIRST, R | P, PASID_INVALID, AT(VTD_PASID_WORD, PASID_WORD0(0))),
    FAULT("translation type 5", FIRST, R | P, PASID_INVALID, AT(VTD_PASID_WORD, PASID_WORD0(5))),
    FAULT("second-stage width", SECOND, R | P, PASID_INVALID,
          AT(VTD_PASID_WORD, VTD_SS4 | 2 << 6 | 5 << 2 | 1)),
    FAULT("first-stage mode 2", FIRST, R | P, PASID_INVALID, AT(VTD_PASID_WORD + 16, VTD_FS4 | 0x3b)),
    FAULT("ERE clear", FIRST, R | P | X, PASID_ERE_CLEAR, AT(VTD_PASID_WORD + 16, VTD_FS4 | 1)),
    FAULT("SRE clear", FIRST, R | P | S, PASID_SRE_CLEAR, AT(VTD_PASID_WORD + 16, VTD_FS4 | 2)),
    // First stage.
    FAULT("FS table access", FIRST, R | P, FS_ACCESS, AT(VTD_FS3_WORD, FS_LINK(VTD_HOLE))),
    FAULT("FS not present", FIRST, R | P, FS_NOT_PRESENT, AT(VTD_FS2_WORD, VTD_FS1 | 6)),
    FAULT("FS above HAW", FIRST, R | P, FS_RESERVED, AT(VTD_FS2_WORD, FS_LINK(VTD_FS1) | BAD_BIT(50))),
    FAULT("FS 512 GiB page", FIRST, R | P, FS_RESERVED, AT(VTD_FS4_WORD, FS_LINK(VTD_FS3) | BAD_BIT(7))),
    FAULT("FS 2 MiB page, low bits", FIRST, R | P, FS_RESERVED, AT(VTD_FS2_WORD, 0x202000 | 0x87)),
    FAULT("FS first table access", FIRST, R | P, FS_ROOT_ACCESS, AT(VTD_PASID_WORD + 16, VTD_HOLE | 0x33)),
    FAULT("not canonical", FIRST, R | P, NOT_CANONICAL, ADDRESS(VTD_IOVA | BAD_BIT(47))),
    FAULT("supervisor page", FIRST, R | P, SUPERVISOR_PAGE, AT(VTD_FS3_WORD, VTD_FS2 | 3)),
    FAULT("FS no execute", FIRST, R | P | X, NO_EXECUTE, AT(VTD_FS2_WORD, FS_LINK(VTD_FS1) | BAD_BIT(63))),
    FAULT("FS no write", FIRST, W | P, SM_WRITE, AT(VTD_FS4_WORD, VTD_FS3 | 5)),
    FAULT("FS no supervisor write", FIRST, W | P | S, SM_WRITE, AT(VTD_FS1_WORD, VTD_PAGE | 5)),
    FAULT("FS flags without snooping", FIRST, R | P, FS_NO_SNOOP, AT(VTD_PASID_WORD + 8, VTD_DOMAIN)),
    FAULT("FS flags refused", FIRST, R | P, FS_UPDATE, .refuse_updates = true),
    FAULT("FS into the interrupt window", FIRST, R | P, SM_INTERRUPT_ADDRESS,
          AT(VTD_FS1_WORD, 0xfeeff000 | 7)),
    // Second stage.
    FAULT("SS first table access", SECOND, R, SS_ROOT_ACCESS, AT(VTD_PASID_WORD, VTD_HOLE | 0x89)),
    FAULT("SS table access", SECOND, R, SS_ACCESS, AT(VTD_SS3_WORD, SS_LINK(VTD_HOLE))),
    FAULT("SS not present", SECOND, R, SS_PERMISSION, AT(VTD_SS2_WORD, VTD_SS1)),
    FAULT("SS nothing left", SECOND, R, SS_PERMISSION, AT(VTD_SS2_WORD, VTD_SS1 | 1),
          AT2(VTD_SS1_WORD, VTD_PAGE | 2)),
    FAULT("SS no write", SECOND, W, SS_PERMISSION, AT(VTD_SS1_WORD, VTD_PAGE | 1)),
    FAULT("SS no read", SECOND, R, SS_PERMISSION, AT(VTD_SS1_WORD, VTD_PAGE | 2)),
    FAULT("SS reserved", SECOND, R, SS_RESERVED, AT(VTD_SS1_WORD, VTD_PAGE | BAD_BIT(48) | 3)),
    FAULT("SS beyond AGAW", SECOND, R, BEYOND_AGAW, ADDRESS(VTD_IOVA | BAD_BIT(48))),
    FAULT("SS flags without snooping", SECOND, R, SS_NO_SNOOP, AT(VTD_PASID_WORD, PASID_WORD0(2) | 0x200),
          AT2(VTD_PASID_WORD + 8, VTD_DOMAIN)),
    FAULT("SS flags refused", SECOND, R, SS_UPDATE, AT(VTD_PASID_WORD, PASID_WORD0(2) | 0x200),
          .refuse_updates = true),
    FAULT("pass-through beyond HAW", PASS, R, BEYOND_HAW, ADDRESS(BAD_BIT(46))),
    FAULT("pass-through to interrupts", PASS, R | P, SM_INTERRUPT_ADDRESS, ADDRESS(0xfee00000)),
    // Nested.
    FAULT("guest table beyond the second stage", NESTED, R | P, FS_BEYOND_MGAW,
          AT(VTD_PASID_WORD, VTD_SS3 | 3 << 6 | 1 << 2 | 1), AT2(VTD_FS4_WORD, FS_LINK(BAD_BIT(40)))),
    FAULT("guest page beyond the second stage", NESTED, R | P, BEYOND_AGAW,
          AT(VTD_PASID_WORD, VTD_SS3 | 3 << 6 | 1 << 2 | 1), AT2(VTD_FS1_WORD, BAD_BIT(40) | 7)),
    FAULT("first guest table unreadable", NESTED, R | P, FS_ROOT_READ,
          AT(VTD_NESTED_TABLE_WORD(VTD_FS4), VTD_FS4 | 2)),
    FAULT("guest table unreadable", NESTED, R | P, FS_ENTRY_READ,
          AT(VTD_NESTED_TABLE_WORD(VTD_FS2), VTD_FS2 | 2)),
    FAULT("guest table read-only", NESTED, R | P, FS_ENTRY_WRITE,
          AT(VTD_NESTED_TABLE_WORD(VTD_FS3), VTD_FS3 | 1)),
    FAULT("guest page read-only", NESTED, W | P, SS_PERMISSION, AT(VTD_NESTED_PAGE_WORD, VTD_PAGE | 1)),
    FAULT("guest page not mapped", NESTED, R | P, SS_PERMISSION, AT(VTD_NESTED_PAGE_WORD, 0)),
};

#define CASES (sizeof cases / sizeof cases[0])

static struct iom_xlate run_case(const struct fault_case *c, struct vtd_fixture *fixture)
{
    struct iom_vtd_features features = vtd_all_features();
    vtd_fixture_open(fixture, &features);
    vtd_fixture_tables(fixture, c->layout);
    if (c->at != 0)
        vtd_put(fixture, c->at, c->value);
    if (c->at2 != 0)
        vtd_put(fixture, c->at2, c->value2);
    if (c->root != 0) {
        vtd_register_write(fixture, IOM_VTD_RTADDR, 8, c->root);
        vtd_register_write(fixture, IOM_VTD_GCMD, 4, IOM_VTD_GCMD_TE | IOM_VTD_GCMD_SRTP);
    }
    fixture->refuse_updates = c->refuse_updates;
    return vtd_translate(fixture, c->address != 0 ? c->address : VTD_IOVA, c->flags);
}

IOM_TEST(VtdFault, unchanged_tables_translate)
{
    static const enum vtd_layout layouts[] = {LEGACY, SECOND, FIRST, NESTED};
    struct iom_vtd_features features = vtd_all_features();
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned write = 0; write < 2; write++) {
            struct vtd_fixture fixture;
            vtd_fixture_open(&fixture, &features);
            vtd_fixture_tables(&fixture, layouts[i]);
            unsigned flags = (write ? W : R) | (layouts[i] == LEGACY ? 0 : P);
            struct iom_xlate x = vtd_translate(&fixture, VTD_IOVA, flags);
            IOM_EXPECT_U64(x.outcome, IOM_OUTCOME_ADDRESS);
            IOM_EXPECT_U64(x.leaf.output, VTD_PAGE | 0x120);
            IOM_EXPECT_U64(x.leaf.size_log2, 12);
            vtd_fixture_close(&fixture);
        }
    }
}

IOM_TEST(VtdFault, each_reason_is_found)
{
    for (unsigned i = 0; i < CASES; i++) {
        struct vtd_fixture fixture;
        struct iom_xlate x = run_case(&cases[i], &fixture);
        if (x.outcome != IOM_OUTCOME_FAULT || x.fault.code != cases[i].reason || !x.fault.recorded)
            IOM_FAIL("%s: outcome %u, reason 0x%x instead of 0x%x (%s), recorded %u", cases[i].name,
                     x.outcome, x.fault.code, cases[i].reason, iom_vtd_fault_text(cases[i].reason),
                     x.fault.recorded);
        IOM_EXPECT_U64(x.fault.source, VTD_SOURCE);
        IOM_EXPECT_U64(x.fault.address, cases[i].address != 0 ? cases[i].address : VTD_IOVA);
        vtd_fixture_close(&fixture);
    }
}

// Fault processing disable in the context entry silences what is found from there on, and nothing else.
IOM_TEST(VtdFault, context_can_silence_qualified_faults)
{
    for (unsigned i = 0; i < CASES; i++) {
        struct fault_case c = cases[i];
        struct vtd_fixture fixture;
        uint64_t at = c.layout == LEGACY ? VTD_CONTEXT_WORD : VTD_SM_CONTEXT_WORD;
        uint64_t usual = c.layout == LEGACY ? VTD_SS4 | 5 : VTD_PASID_DIR | 0xd;
        if (c.at == at) {
            c.value |= 2;
        } else if (c.at2 == 0) {
            c.at2 = at;
            c.value2 = usual | 2;
        } else {
            continue; // both words are taken
        }
        struct iom_xlate x = run_case(&c, &fixture);
        if (x.outcome != IOM_OUTCOME_FAULT || x.fault.code != c.reason || x.fault.recorded != c.unqualified)
            IOM_FAIL("%s: outcome %u, reason 0x%x, recorded %u", c.name, x.outcome, x.fault.code,
                     x.fault.recorded);
        vtd_fixture_close(&fixture);
    }
}

IOM_TEST(VtdFault, directory_and_pasid_entry_can_silence)
{
    struct iom_vtd_features features = vtd_all_features();
    static const uint64_t words[2][2] = {{VTD_DIR_WORD, VTD_PASID_TABLE | 3},
                                         {VTD_PASID_WORD, PASID_WORD0(1) | 2}};
    for (unsigned i = 0; i < 2; i++) {
        struct vtd_fixture fixture;
        vtd_fixture_open(&fixture, &features);
        vtd_fixture_tables(&fixture, FIRST);
        vtd_put(&fixture, words[i][0], words[i][1]);
        vtd_put(&fixture, VTD_FS1_WORD, 0);
        struct iom_xlate x = vtd_translate(&fixture, VTD_IOVA, P);
        IOM_EXPECT_U64(x.fault.code, IOM_VTD_FAULT_FS_NOT_PRESENT);
        IOM_EXPECT(!x.fault.recorded);
        // Also when the silent entry itself is not present.
        vtd_put(&fixture, words[i][0], 2);
        x = vtd_translate(&fixture, VTD_IOVA, P);
        IOM_EXPECT_U64(x.fault.code,
                       i == 0 ? IOM_VTD_FAULT_PASID_DIR_NOT_PRESENT : IOM_VTD_FAULT_PASID_NOT_PRESENT);
        IOM_EXPECT(!x.fault.recorded);
        vtd_fixture_close(&fixture);
    }
}

IOM_TEST(VtdFault, pasid_beyond_the_directory)
{
    struct vtd_fixture fixture;
    struct iom_vtd_features features = vtd_all_features();
    vtd_fixture_open(&fixture, &features);
    vtd_fixture_tables(&fixture, FIRST);
    struct iom_xlate x = vtd_translate(&fixture, VTD_IOVA, P);
    IOM_EXPECT_U64(x.outcome, IOM_OUTCOME_ADDRESS);
    x.pasid = 0x2000; // the directory holds PASIDs below 0x2000
    iom_translate_pure(&fixture.arch, &fixture.view, iom_memory_image_read_fn, fixture.memory, &x);
    IOM_EXPECT_U64(x.fault.code, IOM_VTD_FAULT_SM_PASID_TOO_LARGE);
    vtd_fixture_close(&fixture);
}

// Reasons that only page requests have, which are not translated, and those whose conditions are all
// covered by others (SPEC.md).
static bool is_never_raised(unsigned reason)
{
    return reason == IOM_VTD_FAULT_LEGACY_PAGE_REQUEST || reason == IOM_VTD_FAULT_SM_PRE_CLEAR ||
           reason == IOM_VTD_FAULT_SM_CONTEXT_INVALID || reason == IOM_VTD_FAULT_SM_READ;
}

IOM_TEST(VtdFault, no_reason_is_without_a_case)
{
    for (unsigned reason = 1; reason < 256; reason++) {
        bool known = strcmp(iom_vtd_fault_text(reason), "unknown reason") != 0;
        bool found = is_never_raised(reason) || reason == IOM_VTD_FAULT_SM_PASID_TOO_LARGE;
        for (unsigned i = 0; i < CASES; i++)
            found |= cases[i].reason == reason;
        if (known != found)
            IOM_FAIL("reason 0x%x: %s", reason, known ? "no test case" : "no text");
    }
}

// 4.2.4: a translation request learns about missing permissions by its completion, about broken tables
// by an error.
IOM_TEST(VtdFault, translation_requests_are_denied_where_software_may_recover)
{
    static const struct {
        uint64_t word, value;
        enum iom_outcome outcome;
    } entries[] = {
        {VTD_FS1_WORD, 0, IOM_OUTCOME_DENIED},
        {VTD_FS1_WORD, VTD_PAGE | 3, IOM_OUTCOME_DENIED}, // supervisor page
        {VTD_FS1_WORD, VTD_PAGE | 5, IOM_OUTCOME_ADDRESS},
        {VTD_FS1_WORD, VTD_PAGE | 7, IOM_OUTCOME_ADDRESS},
        {VTD_FS1_WORD, VTD_PAGE | BAD_BIT(50) | 7, IOM_OUTCOME_FAULT},
        {VTD_FS2_WORD, FS_LINK(VTD_HOLE), IOM_OUTCOME_FAULT},
        {VTD_PASID_WORD, 0, IOM_OUTCOME_FAULT},
    };
    struct iom_vtd_features features = vtd_all_features();
    for (unsigned i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        struct vtd_fixture fixture;
        vtd_fixture_open(&fixture, &features);
        vtd_fixture_tables(&fixture, FIRST);
        vtd_put(&fixture, entries[i].word, entries[i].value);
        struct iom_xlate x = vtd_translate(&fixture, VTD_IOVA, W | P | T);
        IOM_EXPECT_U64(x.outcome, entries[i].outcome);
        if (x.outcome == IOM_OUTCOME_ADDRESS) {
            bool writable = (entries[i].value & 2) != 0;
            IOM_EXPECT_U64(x.leaf.permissions, IOM_PERM_READ | (writable ? IOM_PERM_WRITE : 0u));
        }
        vtd_fixture_close(&fixture);
    }
}
