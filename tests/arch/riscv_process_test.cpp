// SPDX-License-Identifier: Apache-2.0
//
// Process directory and process context ("Process to locate the Process-context", "Process-context
// configuration checks", steps 10 to 16 of "Process to translate an IOVA").
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_tables.h"

namespace
{
using namespace riscv_test;

constexpr uint64_t page = 0x77654000;
constexpr uint64_t iova = 0x4000'1000;

unsigned cause_of(const iom_xlate &x)
{
    return x.outcome == IOM_OUTCOME_FAULT ? x.fault.code : 0;
}

// A device with a process directory; process contexts lead to one Sv39 table that maps iova to page.
struct Processes {
    explicit Processes(unsigned directory_levels, uint64_t tc = 0, bool nested = false, bool is_big = false)
        : big(is_big), levels(directory_levels)
    {
        first = machine.table(sv39, false, false, big);
        if (nested)
            guest = machine.table(sv39, false, true);
        const Table *under = nested ? &guest : nullptr;
        machine.map(first, iova, entry(page, open_page), 1, under);
        if (nested)
            machine.identity(guest, page);
        root = directory_page();
        context.tc = tc_v | tc_pdtv | tc;
        context.fsc = pointer(levels, root);
        if (nested)
            context.iohgatp = guest.pointer();
        machine.device(context);
    }
    uint64_t directory_page()
    {
        uint64_t at = machine.pages();
        if (guest.root != 0)
            machine.identity(guest, at);
        return at;
    }
    void put(uint64_t at, uint64_t value)
    {
        machine.put(at, big ? swap64(value) : value);
    }
    uint64_t get(uint64_t at) const
    {
        return big ? swap64(machine.get(at)) : machine.get(at);
    }
    /// Entry of the directory for a process at `level` (0: its context).
    uint64_t entry_of(uint32_t process, unsigned level = 0)
    {
        uint64_t at = root;
        for (unsigned i = levels - 1;; i--) {
            uint32_t index = i == 2 ? process >> 17 : i == 1 ? process >> 8 & 0x1ff : process & 0xff;
            at += index * (i == 0 ? 16 : 8);
            if (i == level)
                return at;
            if (get(at) == 0)
                put(at, entry(directory_page(), V));
            at = get(at) >> 10 << 12;
        }
    }
    uint64_t add(uint32_t process, uint64_t ta = 0)
    {
        uint64_t at = entry_of(process);
        put(at, V | ta);
        put(at + 8, first.pointer());
        return at;
    }
    iom_xlate translate(uint32_t process, unsigned flags = 0)
    {
        return machine.translate({iova, IOM_REQ_PASID | flags, 5, process});
    }

    Machine machine;
    bool big;
    unsigned levels;
    Table first, guest;
    DeviceContext context;
    uint64_t root = 0;
};

// The process_id is split into 8, 9 and 3 bits.
TEST(RiscvProcess, every_level_is_indexed_by_its_part_of_the_process_id)
{
    for (unsigned levels = 1; levels <= 3; levels++) {
        for (bool big : {false, true}) {
            Processes p(levels, big ? uint64_t{tc_sbe} : 0, false, big);
            uint32_t process = 0xb5a37 & static_cast<uint32_t>(bit(levels == 1   ? 8
                                                                   : levels == 2 ? 17
                                                                                 : 20) -
                                                               1);
            p.add(process);
            iom_xlate x = p.translate(process);
            EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS) << levels << big;
            EXPECT_EQ(x.leaf.output, page);
            EXPECT_EQ(cause_of(p.translate(process ^ 1)), 266u);
        }
    }
}

TEST(RiscvProcess, entries_that_cannot_be_used)
{
    Processes p(2);
    uint64_t context = p.add(0x345);
    uint64_t directory = p.entry_of(0x345, 1);
    uint64_t good = p.get(directory);
    for (uint64_t reserved : {bit(1), bit(9), bit(54), bit(63)}) {
        p.put(directory, good | reserved);
        EXPECT_EQ(cause_of(p.translate(0x345)), 267u);
    }
    p.put(directory, good & ~bit(0));
    EXPECT_EQ(cause_of(p.translate(0x345)), 266u);
    p.put(directory, good);
    for (uint64_t word : {directory, context, context + 8}) {
        p.machine.mark(word, IOM_ACCESS_REFUSED);
        EXPECT_EQ(cause_of(p.translate(0x345)), 265u);
        p.machine.mark(word, IOM_ACCESS_POISONED);
        EXPECT_EQ(cause_of(p.translate(0x345)), 269u);
        p.machine.mark(word, IOM_ACCESS_OK);
    }
    p.put(context, 0);
    EXPECT_EQ(cause_of(p.translate(0x345)), 266u);
}

TEST(RiscvProcessCheck, reserved_bits_and_modes)
{
    Processes p(1);
    uint64_t at = p.add(3);
    for (unsigned n = 1; n < 64; n++) {
        p.put(at, V | bit(n));
        EXPECT_EQ(cause_of(p.translate(3)) == 267, (n >= 3 && n < 12) || n >= 32) << n;
    }
    p.put(at, V);
    for (unsigned n = 44; n < 60; n++) {
        p.put(at + 8, p.first.pointer() | bit(n));
        EXPECT_EQ(cause_of(p.translate(3)), 267u) << n;
    }
    for (unsigned mode = 0; mode < 16; mode++) {
        p.put(at + 8, pointer(mode, p.first.root));
        EXPECT_EQ(cause_of(p.translate(3)) == 267, mode != 0 && (mode < 8 || mode > 10)) << mode;
    }
    p.context.tc |= tc_sxl;
    p.machine.device(p.context);
    for (unsigned mode = 0; mode < 16; mode++) {
        p.put(at + 8, pointer(mode, p.first.root));
        EXPECT_EQ(cause_of(p.translate(3)) == 267, mode != 0 && mode != 8) << mode;
    }
}

TEST(RiscvProcess, requests_without_process_id)
{
    Processes p(1);
    p.add(0);
    // DPE = 0: no first stage; here there is no second one either.
    iom_xlate x = p.machine.translate(iova);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_BYPASS);
    // DPE = 1: process 0, never privileged.
    p.context.tc |= tc_dpe;
    p.machine.device(p.context);
    x = p.machine.translate(iova, IOM_REQ_PRIV);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(x.leaf.output, page);
    p.put(p.entry_of(0), 0);
    x = p.machine.translate(iova);
    EXPECT_EQ(cause_of(x), 266u);
    EXPECT_EQ(x.fault.flags & IOM_REQ_PASID, 0);
}

TEST(RiscvProcess, bare_directory_has_no_first_stage)
{
    Processes p(1);
    p.context.fsc = pointer(bare, 0);
    p.machine.device(p.context);
    EXPECT_EQ(p.translate(0xfffff).outcome, IOM_OUTCOME_BYPASS);
}

// ENS admits privileged requests; SUM lets them read and write (never execute) pages of user mode.
TEST(RiscvProcess, supervisor_access)
{
    Processes p(1);
    for (bool sum : {false, true}) {
        p.machine.map(p.first, iova, entry(page, open_page));
        p.add(1, 0);
        EXPECT_EQ(cause_of(p.translate(1, IOM_REQ_PRIV)), 260u);
        EXPECT_EQ(cause_of(p.translate(1)), 0u);
        p.add(1, bit(1) | (sum ? bit(2) : 0)); // ENS, SUM
        EXPECT_EQ(cause_of(p.translate(1, IOM_REQ_PRIV)), sum ? 0u : 13u);
        EXPECT_EQ(cause_of(p.translate(1, IOM_REQ_PRIV | IOM_REQ_WRITE)), sum ? 0u : 15u);
        EXPECT_EQ(cause_of(p.translate(1, IOM_REQ_PRIV | IOM_REQ_EXEC)), 12u);
        EXPECT_EQ(cause_of(p.translate(1, IOM_REQ_EXEC)), 0u);
        p.machine.map(p.first, iova, entry(page, open_page & ~uint64_t{U}));
        for (unsigned flags : {0u, unsigned{IOM_REQ_WRITE}, unsigned{IOM_REQ_EXEC}}) {
            EXPECT_EQ(cause_of(p.translate(1, IOM_REQ_PRIV | flags)), 0u);
            EXPECT_NE(cause_of(p.translate(1, flags)), 0u);
        }
    }
}

// With a second stage the directory lies in guest memory.
TEST(RiscvProcess, directory_in_guest_memory)
{
    Processes p(2, 0, true);
    uint64_t at = p.add(0x345);
    EXPECT_EQ(p.translate(0x345).leaf.output, page);
    // A guest page fault is that of the request's own access, and says it was an implicit read.
    p.machine.map(p.guest, at, 0);
    const std::pair<unsigned, unsigned> causes[] = {{0, 21}, {IOM_REQ_WRITE, 23}, {IOM_REQ_EXEC, 20}};
    for (auto [flags, cause] : causes) {
        iom_xlate x = p.translate(0x345, flags);
        EXPECT_EQ(cause_of(x), cause);
        EXPECT_EQ(x.fault.detail & 3, 1u);
        EXPECT_EQ(x.fault.detail & ~uint64_t{0xfff}, at & ~uint64_t{0xfff});
    }
    // It needs to read only; what it reads is not made dirty.
    p.machine.map(p.guest, at, entry(at, V | R | U | A));
    EXPECT_EQ(cause_of(p.translate(0x345, IOM_REQ_WRITE)), 0u);
    uint64_t word = p.machine.map(p.guest, at, entry(at, V | R | U));
    EXPECT_EQ(cause_of(p.translate(0x345, IOM_REQ_WRITE)), 23u);
    p.context.tc |= tc_gade;
    p.machine.device(p.context);
    EXPECT_EQ(cause_of(p.translate(0x345, IOM_REQ_WRITE)), 0u);
    EXPECT_EQ(p.machine.get(word) & (A | D), uint64_t{A});
    // Tables of the second stage that cannot be read keep the directory from being loaded.
    p.machine.mark(word, IOM_ACCESS_REFUSED);
    EXPECT_EQ(cause_of(p.translate(0x345)), 265u);
    p.machine.mark(word, IOM_ACCESS_POISONED);
    EXPECT_EQ(cause_of(p.translate(0x345)), 274u);
}

} // namespace
