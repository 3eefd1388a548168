// SPDX-License-Identifier: Apache-2.0
//
// Page walks of both stages (RISC-V Privileged Architecture, "Virtual Address Translation Process",
// "Two-Stage Address Translation", Svnapot, Svpbmt, Svrsw60t59b; "IOMMU updating of PTE accessed (A) and
// dirty (D) updates").
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_tables.h"

namespace
{
using namespace riscv_test;

constexpr uint64_t page = 0x3'7765'4000;
constexpr unsigned accesses[] = {0, IOM_REQ_WRITE, IOM_REQ_EXEC};

unsigned cause_of(const iom_xlate &x)
{
    return x.outcome == IOM_OUTCOME_FAULT ? x.fault.code : 0;
}
unsigned page_fault(unsigned flags)
{
    return flags & IOM_REQ_WRITE ? 15 : flags & IOM_REQ_EXEC ? 12 : 13;
}
unsigned guest_fault(unsigned flags)
{
    return page_fault(flags) + 8;
}
unsigned access_fault(unsigned flags)
{
    return page_fault(flags) - (flags & (IOM_REQ_WRITE | IOM_REQ_EXEC) ? flags & IOM_REQ_WRITE ? 8 : 11 : 8);
}

// A device with one stage or both. In the tables of the first stage `machine.map` keeps the second identical.
struct Stages {
    explicit Stages(unsigned first_mode, unsigned second_mode = bare, bool narrow = false, bool big = false,
                    const iom_riscv_config &config = full_config())
        : machine(config)
    {
        if (first_mode != bare)
            first = machine.table(first_mode, narrow, false, big);
        if (second_mode != bare)
            second = machine.table(second_mode, narrow, true, big);
        if (second_mode != bare && first_mode != bare)
            machine.identity(second, first.root);
        context.fsc = first_mode != bare ? first.pointer() : 0;
        context.iohgatp = second_mode != bare ? second.pointer() : 0;
        context.tc = tc_v | (narrow ? uint64_t{tc_sxl} : 0) | (big ? uint64_t{tc_sbe} : 0);
        machine.view.extra[IOM_RISCV_VIEW_FCTL] = (narrow ? 4u : 0u) | (big ? 1u : 0u);
        machine.device(context);
    }
    uint64_t map(uint64_t address, uint64_t value, unsigned level = 1)
    {
        return machine.map(first, address, value, level, second.root != 0 ? &second : nullptr);
    }
    void controls(uint64_t tc)
    {
        context.tc |= tc;
        machine.device(context);
    }

    Machine machine;
    Table first, second;
    DeviceContext context;
};

// ---- formats ---------------------------------------------------------------------------------------------

struct Format {
    unsigned mode;
    bool narrow;
    unsigned width; ///< bits of an address
};
constexpr Format formats[] = {{sv32, true, 32}, {sv39, false, 39}, {sv48, false, 48}, {sv57, false, 57}};

TEST(RiscvWalk, first_stage_of_every_format_and_page_size)
{
    for (const Format &format : formats) {
        for (bool big : {false, true}) {
            Stages s(format.mode, bare, format.narrow, big);
            uint64_t low = 0x2'a95e'b3c7'1234 & (bit(format.width - 1) - 1);
            uint64_t high = format.narrow ? low | bit(31) : low | range(63, format.width - 1);
            for (uint64_t address : {low, high}) {
                for (unsigned level = 1; level <= s.first.levels(); level++) {
                    unsigned shift = s.first.shift(level);
                    uint64_t target = uint64_t{5} << shift & (format.narrow ? range(33, 12) : range(55, 12));
                    uint64_t at = s.map(address, entry(target, open_page), level);
                    iom_xlate x = s.machine.translate(address);
                    ASSERT_EQ(x.outcome, IOM_OUTCOME_ADDRESS) << format.width << " level " << level;
                    EXPECT_EQ(x.leaf.output, target | (address & (bit(shift) - 1)));
                    EXPECT_EQ(s.machine.reads.size(), 1 + s.first.levels() - level + 1);
                    s.machine.set_entry(s.first, at, 0);
                }
            }
        }
    }
}

TEST(RiscvWalk, second_stage_of_every_format_has_a_root_of_four_pages)
{
    for (const Format &format : formats) {
        for (bool big : {false, true}) {
            Stages s(bare, format.mode, format.narrow, big);
            uint64_t address = (0x2'a95e'b3c7'1234 & (bit(format.width) - 1)) | uint64_t{3} << format.width;
            for (unsigned level = 1; level <= s.second.levels(); level++) {
                unsigned shift = s.second.shift(level);
                uint64_t target = uint64_t{5} << shift & (format.narrow ? range(33, 12) : range(55, 12));
                uint64_t at = s.machine.map(s.second, address, entry(target, open_page), level);
                iom_xlate x = s.machine.translate(address);
                ASSERT_EQ(x.outcome, IOM_OUTCOME_ADDRESS) << format.width << " level " << level;
                EXPECT_EQ(x.leaf.output, target | (address & (bit(shift) - 1)));
                s.machine.set_entry(s.second, at, 0);
            }
        }
    }
}

TEST(RiscvWalk, all_pairs_of_formats)
{
    for (unsigned first : {sv39, sv48, sv57}) {
        for (unsigned second : {sv39, sv48, sv57}) {
            Stages s(first, second);
            s.map(0x12'3456'7000, entry(0x1'5555'5000, open_page));
            s.machine.map(s.second, 0x1'5555'5000, entry(page, open_page));
            iom_xlate x = s.machine.translate(0x12'3456'7abc);
            EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
            EXPECT_EQ(x.leaf.output, page | 0xabc);
            // Every first-stage entry costs a walk of the second stage, and so does the page.
            EXPECT_EQ(s.machine.reads.size(),
                      1 + s.first.levels() * (s.second.levels() + 1) + s.second.levels());
        }
    }
    Stages s(sv32, sv32, true);
    s.map(0xc234'5000, entry(0x2'5555'5000, open_page));
    s.machine.map(s.second, 0x2'5555'5000, entry(page, open_page));
    EXPECT_EQ(s.machine.translate(0xc234'5abc).leaf.output, page | 0xabc);
}

TEST(RiscvWalk, addresses_out_of_range)
{
    for (const Format &format : formats) {
        for (unsigned flags : accesses) {
            Stages first(format.mode, bare, format.narrow);
            uint64_t beyond = format.narrow ? bit(32) : bit(format.width - 1);
            EXPECT_EQ(cause_of(first.machine.translate(beyond, flags)), page_fault(flags));
            EXPECT_EQ(cause_of(first.machine.translate(range(63, format.width), flags)), page_fault(flags));
            EXPECT_EQ(first.machine.reads.size(), 1u);

            Stages second(bare, format.mode, format.narrow);
            iom_xlate x = second.machine.translate(bit(format.width + 2) | 0x77, flags);
            EXPECT_EQ(cause_of(x), guest_fault(flags));
            EXPECT_EQ(x.fault.detail, bit(format.width + 2) | 0x74);
        }
    }
    // SXL = 1 limits guest addresses to 34 bits, also where the second stage has wider ones.
    Stages s(bare, sv48);
    s.machine.map(s.second, bit(33), entry(page, open_page));
    s.machine.map(s.second, bit(34), entry(page, open_page));
    EXPECT_EQ(cause_of(s.machine.translate(bit(34))), 0u);
    s.controls(tc_sxl);
    EXPECT_EQ(cause_of(s.machine.translate(bit(33))), 0u);
    EXPECT_EQ(cause_of(s.machine.translate(bit(34))), 21u);
}

// ---- invalid entries -------------------------------------------------------------------------------------

// Bits and encodings that make a page or a table unusable, in both stages.
TEST(RiscvWalk, reserved_bits_and_encodings)
{
    for (bool second : {false, true}) {
        Stages s(second ? bare : sv39, second ? sv39 : bare);
        const Table &table = second ? s.second : s.first;
        const unsigned fault = second ? 21 : 13;
        auto cause_with = [&](uint64_t value, unsigned level) {
            uint64_t at = s.machine.map(table, 0x4000'0000, value, level);
            unsigned cause = cause_of(s.machine.translate(0x4000'0000));
            s.machine.set_entry(table, at, level == 1 ? 0 : entry(s.machine.pages(), V));
            return cause;
        };
        const uint64_t good = entry(page, open_page);
        EXPECT_EQ(cause_with(good, 1), 0u);
        EXPECT_EQ(cause_with(good & ~uint64_t{V}, 1), fault);
        EXPECT_EQ(cause_with(good & ~uint64_t{R}, 1), fault); // W without R
        EXPECT_EQ(cause_with(entry(page, V), 1), fault);      // a table below the lowest level
        for (unsigned n = 54; n < 61; n++)
            EXPECT_EQ(cause_with(good | bit(n), 1), fault) << n;
        EXPECT_EQ(cause_with(good | bit(8) | bit(9), 1), 0u); // software's
        EXPECT_EQ(cause_with(good | range(62, 61), 1), fault);
        EXPECT_EQ(cause_with(entry(0x20'0000, open_page), 2), 0u);
        EXPECT_EQ(cause_with(entry(0x20'1000, open_page), 2), fault); // misaligned
        uint64_t below = s.machine.pages();
        s.machine.put(below, good);
        EXPECT_EQ(cause_with(entry(below, V), 2), 0u);
        EXPECT_EQ(cause_with(entry(below, V | G), 2), 0u);
        for (uint64_t flag :
             {uint64_t{U}, uint64_t{A}, uint64_t{D}, bit(54), bit(60), bit(61), bit(62), bit(63)})
            EXPECT_EQ(cause_with(entry(below, V) | flag, 2), fault) << flag;
    }
}

TEST(RiscvWalk, capabilities_free_bits)
{
    iom_riscv_config with = full_config(), without = full_config();
    with.capabilities |= bit(14);
    without.capabilities &= ~bit(15);
    auto cause_with = [](const iom_riscv_config &config, uint64_t extra) {
        Stages s(sv39, bare, false, false, config);
        s.map(0x4000'0000, entry(page, open_page) | extra);
        return cause_of(s.machine.translate(0x4000'0000));
    };
    EXPECT_EQ(cause_with(with, range(60, 59)), 0u); // Svrsw60t59b
    EXPECT_EQ(cause_with(with, bit(58)), 13u);
    EXPECT_EQ(cause_with(full_config(), bit(61)), 0u); // Svpbmt
    EXPECT_EQ(cause_with(without, bit(61)), 13u);
}

TEST(RiscvWalk, contiguous_regions)
{
    for (bool ranges : {false, true}) {
        iom_riscv_config config = full_config();
        config.napot_ranges = ranges;
        config.bare_page_log2 = 30;
        for (bool second : {false, true}) {
            Stages s(second ? bare : sv39, second ? sv39 : bare, false, false, config);
            const Table &table = second ? s.second : s.first;
            s.machine.map(table, 0x4000'5000, entry(0x7700'8000, open_page) | bit(63));
            iom_xlate x = s.machine.translate(0x4000'5678);
            EXPECT_EQ(x.leaf.output, 0x7700'5678u);
            EXPECT_EQ(x.leaf.size_log2, ranges ? 16 : 12);
            for (uint64_t low : {0x0u, 0x1u, 0x4u, 0x9u, 0xcu}) {
                s.machine.map(table, 0x4000'5000, entry(0x7700'0000 | low << 12, open_page) | bit(63));
                EXPECT_EQ(cause_of(s.machine.translate(0x4000'5678)), second ? 21u : 13u) << low;
            }
        }
    }
}

TEST(RiscvWalk, tables_that_cannot_be_read)
{
    for (unsigned flags : accesses) {
        for (bool second : {false, true}) {
            Stages s(second ? bare : sv39, second ? sv39 : bare);
            uint64_t at = s.machine.map(second ? s.second : s.first, 0x4000'0000, entry(page, open_page));
            s.machine.mark(at, IOM_ACCESS_REFUSED);
            EXPECT_EQ(cause_of(s.machine.translate(0x4000'0000, flags)), access_fault(flags));
            s.machine.mark(at, IOM_ACCESS_POISONED);
            EXPECT_EQ(cause_of(s.machine.translate(0x4000'0000, flags)), 274u);
        }
    }
}

// ---- permissions against an oracle -----------------------------------------------------------------------

struct Expected {
    unsigned cause = 0;
    uint64_t detail = 0;
};

// What the specification says of a user-mode request for one page, with flags of both entries.
Expected expect_page(uint64_t first, uint64_t second, unsigned flags, uint64_t guest_address)
{
    uint64_t needed = flags & IOM_REQ_WRITE ? W : flags & IOM_REQ_EXEC ? X : R;
    uint64_t dirty = flags & IOM_REQ_WRITE ? A | D : A;
    auto refuses = [&](uint64_t e) {
        bool invalid = !(e & V) || (!(e & R) && (e & W)) || !(e & (R | X));
        return invalid || !(e & U) || !(e & needed) || (e & dirty) != dirty;
    };
    if (refuses(first))
        return {page_fault(flags), 0};
    if (refuses(second))
        return {guest_fault(flags), guest_address & ~uint64_t{3}};
    return {};
}

TEST(RiscvWalk, every_combination_of_flags)
{
    Stages s(sv39, sv39);
    uint64_t first = s.map(0x4000'0000, 0);
    uint64_t second = s.machine.map(s.second, 0x8000'0000, 0);
    for (uint64_t a = 0; a < 256; a++) {
        if (a & G)
            continue;
        s.machine.put(first, entry(0x8000'0000, a));
        for (uint64_t b = 0; b < 256; b += a == open_page ? 1 : 7) {
            s.machine.put(second, entry(page, b));
            for (unsigned flags : accesses) {
                iom_xlate x = s.machine.translate(0x4000'0123, flags);
                Expected expected = expect_page(a, b, flags, 0x8000'0123);
                ASSERT_EQ(cause_of(x), expected.cause) << a << ' ' << b << ' ' << flags;
                if (expected.cause != 0)
                    ASSERT_EQ(x.fault.detail, expected.detail);
                else
                    ASSERT_EQ(x.leaf.output, page | 0x123);
            }
        }
    }
    EXPECT_EQ(s.machine.updates, 0u);
}

// ---- accessed and dirty ----------------------------------------------------------------------------------

TEST(RiscvWalk, updates_of_one_stage)
{
    for (bool big : {false, true}) {
        for (const Format &format : formats) {
            for (bool second : {false, true}) {
                Stages s(second ? bare : format.mode, second ? format.mode : bare, format.narrow, big);
                const Table &table = second ? s.second : s.first;
                const uint64_t plain = V | R | W | X | U;
                uint64_t at = s.machine.map(table, 0x4000'5000, entry(page, plain));
                EXPECT_EQ(cause_of(s.machine.translate(0x4000'5000)), second ? 21u : 13u);
                s.controls(second ? tc_gade : tc_sade);
                EXPECT_EQ(cause_of(s.machine.translate(0x4000'5000)), 0u);
                EXPECT_EQ(s.machine.entry_at(table, at), entry(page, plain | A));
                EXPECT_EQ(cause_of(s.machine.translate(0x4000'5000, IOM_REQ_WRITE)), 0u);
                EXPECT_EQ(s.machine.entry_at(table, at), entry(page, plain | A | D));
                EXPECT_EQ(s.machine.updates, 2u);
                (void)s.machine.translate(0x4000'5000, IOM_REQ_WRITE);
                EXPECT_EQ(s.machine.updates, 2u);
                // A write that is refused sets nothing.
                s.machine.set_entry(table, at, entry(page, plain & ~uint64_t{W}));
                EXPECT_EQ(cause_of(s.machine.translate(0x4000'5000, IOM_REQ_WRITE)), second ? 23u : 15u);
                EXPECT_EQ(s.machine.updates, 2u);
            }
        }
    }
}

// Updating a first-stage entry is a write to its guest page.
TEST(RiscvWalk, updates_of_a_guest_table)
{
    Stages s(sv39, sv39);
    s.controls(tc_sade);
    uint64_t first = s.map(0x4000'0000, entry(0x8000'0000, V | R | W | U));
    s.machine.map(s.second, 0x8000'0000, entry(page, open_page));
    auto table_page = [&](uint64_t flags) {
        return s.machine.identity(s.second, first & ~uint64_t{0xfff}, flags);
    };
    const uint64_t implicit_write = (first & ~uint64_t{0xfff}) | 3;
    auto refused = [&](unsigned flags) {
        iom_xlate x = s.machine.translate(0x4000'0000, flags);
        return cause_of(x) == guest_fault(flags) && (x.fault.detail & ~uint64_t{0xffc}) == implicit_write;
    };
    (void)table_page(V | R | U | A | D); // not writable
    EXPECT_TRUE(refused(0));
    EXPECT_TRUE(refused(IOM_REQ_WRITE));
    uint64_t second = table_page(V | R | W | U | A); // not dirty, and hardware may not change that
    EXPECT_TRUE(refused(0));
    EXPECT_EQ(s.machine.updates, 0u);
    s.controls(tc_gade);
    EXPECT_EQ(cause_of(s.machine.translate(0x4000'0000)), 0u);
    EXPECT_EQ(s.machine.get(second) & (A | D), uint64_t{A | D});
    EXPECT_EQ(s.machine.get(first) & (A | D), uint64_t{A});
    EXPECT_EQ(s.machine.updates, 2u);
    // Reading it does not make the page dirty.
    (void)table_page(V | R | W | U | A);
    EXPECT_EQ(cause_of(s.machine.translate(0x4000'0000)), 0u);
    EXPECT_EQ(s.machine.get(second) & D, 0u);
    // A table's page that is not readable: an implicit read.
    (void)table_page(V | X | U | A);
    iom_xlate x = s.machine.translate(0x4000'0000, IOM_REQ_WRITE);
    EXPECT_EQ(cause_of(x), 23u);
    EXPECT_EQ(x.fault.detail & 3, 1u);
}

TEST(RiscvWalk, the_first_stage_is_updated_before_the_page_is_translated)
{
    Stages s(sv39, sv39);
    s.controls(tc_sade | tc_gade);
    uint64_t first = s.map(0x4000'0000, entry(0x8000'0000, V | R | W | U));
    EXPECT_EQ(cause_of(s.machine.translate(0x4000'0000, IOM_REQ_WRITE)), 23u);
    EXPECT_EQ(s.machine.get(first) & (A | D), uint64_t{A | D});
}

TEST(RiscvWalk, a_lost_race_walks_again)
{
    Stages s(sv39, sv39);
    s.controls(tc_sade | tc_gade);
    uint64_t first = s.map(0x4000'0000, entry(0x8000'0000, V | R | W | U));
    uint64_t second = s.machine.map(s.second, 0x8000'0000, entry(page, V | R | W | U));
    for (uint64_t word : {first, second}) {
        s.machine.put(first, entry(0x8000'0000, V | R | W | U));
        s.machine.put(second, entry(page, V | R | W | U));
        s.machine.disturb_at = word; // software sets a bit of its own meanwhile
        s.machine.disturb_with = bit(8);
        iom_xlate x = s.machine.translate(0x4000'0000, IOM_REQ_WRITE);
        EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
        EXPECT_EQ(s.machine.get(word) & (A | D | bit(8)), A | D | bit(8));
    }
    s.machine.refuse_updates = true;
    s.machine.put(first, entry(0x8000'0000, V | R | W | U));
    EXPECT_EQ(cause_of(s.machine.translate(0x4000'0000)), 5u);
    EXPECT_EQ(cause_of(s.machine.translate(0x4000'0000, IOM_REQ_WRITE)), 7u);
}

TEST(RiscvWalk, a_pure_walk_changes_nothing)
{
    Stages s(sv39, sv39);
    s.controls(tc_sade | tc_gade);
    uint64_t first = s.map(0x4000'0000, entry(0x8000'0000, V | R | W | U));
    s.machine.map(s.second, 0x8000'0000, entry(page, V | R | W | U));
    iom_xlate x{};
    x.address = 0x4000'0000;
    x.source = 5;
    x.flags = IOM_REQ_WRITE;
    iom_translate_pure(
        &s.machine.arch, &s.machine.view,
        [](void *machine, uint64_t address, void *data, unsigned bytes) {
            for (unsigned i = 0; i < bytes / 8; i++)
                static_cast<uint64_t *>(data)[i] = static_cast<Machine *>(machine)->get(address + 8 * i);
            return IOM_ACCESS_OK;
        },
        &s.machine, &x);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(x.leaf.output, page);
    EXPECT_EQ(s.machine.get(first) & (A | D), 0u);
}

// ---- what is reported ------------------------------------------------------------------------------------

TEST(RiscvWalk, a_translation_covers_the_smaller_page)
{
    for (unsigned first_level : {1u, 2u, 3u}) {
        for (unsigned second_level : {1u, 2u, 3u}) {
            Stages s(sv39, sv39);
            s.map(0x40'0000'0000 - bit(30), entry(bit(32), open_page), first_level);
            s.machine.map(s.second, bit(32), entry(bit(33), open_page), second_level);
            iom_xlate x = s.machine.translate(0x40'0000'0000 - bit(30) + 0x123);
            unsigned smaller = std::min(first_level, second_level);
            EXPECT_EQ(x.leaf.size_log2, 12 + 9 * (smaller - 1));
            EXPECT_EQ(x.leaf.output, bit(33) | 0x123);
        }
    }
}

TEST(RiscvWalk, range_of_a_bare_stage)
{
    iom_riscv_config config = full_config();
    config.bare_page_log2 = 21;
    config.bare_page_sv32_log2 = 16;
    Stages s(sv39, bare, false, false, config);
    s.map(0x4000'0000, entry(0x4000'0000, open_page), 3);
    EXPECT_EQ(s.machine.translate(0x4000'0000).leaf.size_log2, 21);
    s.map(0x8000'0000, entry(page, open_page), 1);
    EXPECT_EQ(s.machine.translate(0x8000'0000).leaf.size_log2, 12);
    // Without any larger table format than Sv32x4 the other setting holds, with GXL = 1.
    config.capabilities &= ~(range(19, 17) | range(11, 9));
    Stages narrow(sv32, bare, true, false, config);
    narrow.map(0x4000'0000, entry(0x4000'0000, open_page), 2);
    EXPECT_EQ(narrow.machine.translate(0x4000'0000).leaf.size_log2, 16);
}

// Svpbmt: the first stage's type prevails unless it is PMA.
TEST(RiscvWalk, memory_types)
{
    for (uint64_t first = 0; first < 3; first++) {
        for (uint64_t second = 0; second < 3; second++) {
            Stages s(sv39, sv39);
            s.map(0x4000'0000, entry(0x8000'0000, open_page) | first << 61);
            s.machine.map(s.second, 0x8000'0000, entry(page, open_page) | second << 61);
            iom_xlate x = s.machine.translate(0x4000'0000);
            EXPECT_EQ(x.leaf.attributes & IOM_RISCV_LEAF_TYPE, first != 0 ? first : second);
        }
    }
}

TEST(RiscvWalk, global_in_any_entry_makes_the_page_global)
{
    for (unsigned level : {0u, 1u, 2u, 3u}) {
        Stages s(sv39);
        uint64_t leaf = s.map(0x4000'0000, entry(page, open_page));
        uint64_t top = s.first.root + 8;
        uint64_t middle = s.machine.get(top) >> 10 << 12;
        for (uint64_t at : {level == 1 ? leaf : 0, level == 2 ? middle : 0, level == 3 ? top : 0}) {
            if (at != 0)
                s.machine.put(at, s.machine.get(at) | G);
        }
        EXPECT_EQ(s.machine.translate(0x4000'0000).leaf.global, level != 0) << level;
    }
}

TEST(RiscvWalk, events_of_a_walk)
{
    Stages s(sv39, sv39);
    s.map(0x4000'0000, entry(0x8000'0000, open_page));
    s.machine.map(s.second, 0x8000'0000, entry(page, open_page));
    iom_xlate x{};
    x.address = 0x4000'0000;
    x.source = 5;
    unsigned seen[IOM_LOOKUP_COUNT] = {};
    iom_riscv_ops.enter(&s.machine.arch, &s.machine.view, &x);
    while (x.next != IOM_LOOKUP_DONE) {
        iom_walk walk{};
        walk.x = x;
        walk.what = x.next;
        iom_riscv_ops.walk_start(&s.machine.arch, &s.machine.view, &walk);
        while (walk.action != IOM_WALK_DONE) {
            for (unsigned i = 0; walk.action == IOM_WALK_READ && i < walk.bytes / 8u; i++)
                walk.data[i] = s.machine.get(walk.address + 8 * i);
            iom_riscv_ops.walk_step(&s.machine.arch, &s.machine.view, &walk);
        }
        seen[walk.what] = walk.monitored;
        x = walk.x;
    }
    EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(seen[IOM_LOOKUP_CONTEXT], unsigned{IOM_EVENT_CONTEXT_WALK});
    EXPECT_EQ(seen[IOM_LOOKUP_IOTLB], unsigned{IOM_EVENT_STAGE1_WALK | IOM_EVENT_STAGE2_WALK});
}

} // namespace
