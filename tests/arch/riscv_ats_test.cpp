// SPDX-License-Identifier: Apache-2.0
//
// Translation requests, translated requests and page requests ("PCIe ATS translation request handling", "PCIe
// ATS Page Request handling", DC.tc.T2GPA).
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_tables.h"

namespace
{
using namespace riscv_test;

constexpr uint64_t iova = 0x4000'0000;
constexpr uint64_t guest_page = 0x8000'0000;
constexpr uint64_t page = 0x3'7765'4000;

constexpr unsigned ask = IOM_REQ_TRANSLATE;
constexpr unsigned ask_write = IOM_REQ_TRANSLATE | IOM_REQ_WRITE;

// A device with a process (id 1, with ENS) in both stages.
struct Device {
    explicit Device(uint64_t tc = 0)
    {
        first = machine.table(sv39);
        second = machine.table(sv39, false, true);
        machine.identity(second, first.root);
        process = machine.pages();
        machine.identity(second, process);
        machine.put(process + 16, V | 2);
        machine.put(process + 24, first.pointer());
        context.tc = tc_v | tc_pdtv | tc_dpe | tc_en_ats | tc;
        context.fsc = pointer(1, process);
        context.iohgatp = second.pointer();
        machine.put(process, V); // process 0, without privileged requests
        machine.put(process + 8, first.pointer());
        machine.device(context);
        pages(open_page, open_page);
    }
    void pages(uint64_t first_flags, uint64_t second_flags)
    {
        machine.map(first, iova, entry(guest_page, 0) | first_flags, 1, &second);
        machine.map(second, guest_page, entry(page, 0) | second_flags);
    }
    iom_xlate translate(unsigned flags)
    {
        return machine.translate({iova | 0x123, flags, 5, flags & IOM_REQ_PASID ? 1u : 0});
    }

    Machine machine;
    Table first, second;
    uint64_t process;
    DeviceContext context;
};

// ---- permissions -----------------------------------------------------------------------------------------

TEST(RiscvAts, the_answer_says_which_permissions_there_are)
{
    Device device;
    const uint64_t rest = V | U | A | D;
    const uint64_t kinds[] = {R, R | W, X, R | X, R | W | X};
    for (uint64_t a : kinds) {
        for (uint64_t b : kinds) {
            for (bool exec : {false, true}) {
                device.pages(rest | a, rest | b);
                unsigned flags = ask | (exec ? unsigned{IOM_REQ_EXEC | IOM_REQ_PASID} : 0);
                iom_xlate x = device.translate(flags);
                unsigned expected = 0;
                if (a & b & R)
                    expected |= IOM_PERM_READ;
                if (a & b & W)
                    expected |= IOM_PERM_WRITE;
                if (exec && (a & b & R) && (a & b & X))
                    expected |= IOM_PERM_EXEC;
                EXPECT_EQ(x.outcome, expected != 0 ? IOM_OUTCOME_ADDRESS : IOM_OUTCOME_DENIED)
                    << a << ' ' << b;
                if (expected != 0) {
                    EXPECT_EQ(x.leaf.permissions, expected);
                    EXPECT_EQ(x.leaf.output, page | 0x123);
                }
            }
        }
    }
}

TEST(RiscvAts, a_page_of_the_other_privilege_is_denied_as_a_whole)
{
    Device device;
    const unsigned privileged = IOM_REQ_PASID | IOM_REQ_PRIV;
    EXPECT_EQ(device.translate(ask).outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(device.translate(ask | privileged).outcome, IOM_OUTCOME_DENIED); // U, without SUM
    device.pages(open_page & ~uint64_t{U}, open_page);
    EXPECT_EQ(device.translate(ask).outcome, IOM_OUTCOME_DENIED);
    iom_xlate x = device.translate(ask | privileged | IOM_REQ_EXEC);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(x.leaf.permissions, unsigned{IOM_PERM_PRIV_READ | IOM_PERM_PRIV_WRITE | IOM_PERM_PRIV_EXEC});
    device.machine.put(device.process + 16, V | 6); // SUM
    device.pages(open_page, open_page);
    EXPECT_EQ(device.translate(ask | privileged).leaf.permissions,
              unsigned{IOM_PERM_PRIV_READ | IOM_PERM_PRIV_WRITE});
    EXPECT_EQ(device.translate(ask | privileged | IOM_REQ_EXEC).outcome, IOM_OUTCOME_DENIED);
}

TEST(RiscvAts, write_permission_goes_with_the_dirty_flag)
{
    Device device;
    const uint64_t clean = open_page & ~uint64_t{D};
    for (bool second : {false, true}) {
        device.pages(second ? open_page : clean, second ? clean : open_page);
        EXPECT_EQ(device.translate(ask).leaf.permissions, unsigned{IOM_PERM_READ});
        EXPECT_EQ(device.translate(ask_write).outcome, IOM_OUTCOME_DENIED); // nobody may set it
        EXPECT_EQ(device.machine.updates, 0u);
    }
    device.context.tc |= tc_sade | tc_gade;
    device.machine.device(device.context);
    device.pages(clean, clean);
    EXPECT_EQ(device.translate(ask).leaf.permissions, unsigned{IOM_PERM_READ});
    EXPECT_EQ(device.machine.updates, 0u);
    EXPECT_EQ(device.translate(ask_write).leaf.permissions, unsigned{IOM_PERM_READ | IOM_PERM_WRITE});
    EXPECT_EQ(device.machine.updates, 2u);
    // No dirty flag where writing is not allowed.
    device.pages(clean & ~uint64_t{W}, clean & ~uint64_t{W});
    EXPECT_EQ(device.translate(ask_write).leaf.permissions, unsigned{IOM_PERM_READ});
    EXPECT_EQ(device.machine.updates, 2u);
}

// ---- faults ----------------------------------------------------------------------------------------------

TEST(RiscvAts, faults_are_denied_unsupported_or_aborted)
{
    Device device;
    auto denied = [&] { return device.translate(ask).outcome == IOM_OUTCOME_DENIED; };
    auto refused = [&](unsigned cause, bool abort) {
        iom_xlate x = device.translate(ask);
        return x.outcome == IOM_OUTCOME_FAULT && x.fault.code == cause && x.fault.abort == abort &&
               x.fault.recorded && (x.fault.flags & IOM_REQ_TRANSLATE);
    };
    device.pages(0, open_page);
    EXPECT_TRUE(denied()); // 13
    device.pages(open_page, 0);
    EXPECT_TRUE(denied()); // 21
    device.pages(open_page, open_page);
    device.machine.put(device.process, 0);
    EXPECT_TRUE(denied()); // 266
    device.machine.put(device.process, V | bit(3));
    EXPECT_TRUE(refused(267, true));
    device.machine.mark(device.process, IOM_ACCESS_REFUSED);
    EXPECT_TRUE(refused(265, true));
    device.machine.mark(device.process, IOM_ACCESS_POISONED);
    EXPECT_TRUE(refused(269, true));
    device.machine.mark(device.process, IOM_ACCESS_OK);
    device.machine.put(device.process, V);
    EXPECT_TRUE(!denied());
    device.machine.mark(device.second.root, IOM_ACCESS_REFUSED);
    EXPECT_TRUE(refused(265, true));
    device.machine.mark(device.second.root, IOM_ACCESS_OK);
    uint64_t leaf = device.machine.map(device.first, iova, entry(guest_page, open_page), 1, &device.second);
    device.machine.mark(leaf, IOM_ACCESS_REFUSED);
    EXPECT_TRUE(refused(5, true));
    device.machine.mark(leaf, IOM_ACCESS_POISONED);
    EXPECT_TRUE(refused(274, true));

    device.context.tc &= ~uint64_t{tc_en_ats};
    uint64_t at = device.machine.device(device.context);
    EXPECT_TRUE(refused(260, false));
    device.machine.put(at, bit(40) | V);
    EXPECT_TRUE(refused(259, false));
    device.machine.put(at, 0);
    EXPECT_TRUE(refused(258, false));
    device.machine.mark(at, IOM_ACCESS_REFUSED);
    EXPECT_TRUE(refused(257, false));
    device.machine.mark(at, IOM_ACCESS_POISONED);
    EXPECT_TRUE(refused(268, true));
    // Untranslated requests are never told to abort.
    EXPECT_EQ(device.translate(0).fault.abort, 0);
}

// ---- other fields ----------------------------------------------------------------------------------------

TEST(RiscvAts, global_only_with_a_process_id)
{
    Device device;
    device.pages(open_page | G, open_page);
    EXPECT_EQ(device.translate(ask | IOM_REQ_PASID).leaf.global, 1);
    EXPECT_EQ(device.translate(ask).leaf.global, 0);
}

TEST(RiscvAts, cxl_io)
{
    Device device;
    auto cxl_io = [&](unsigned flags) {
        return (device.translate(flags).leaf.attributes & IOM_RISCV_LEAF_CXL_IO) != 0;
    };
    EXPECT_FALSE(cxl_io(ask | IOM_REQ_CXL));
    device.pages(open_page | bit(61), open_page); // NC
    EXPECT_TRUE(cxl_io(ask | IOM_REQ_CXL));
    EXPECT_FALSE(cxl_io(ask));
    device.pages(open_page, open_page);
    device.context.tc |= tc_t2gpa;
    device.machine.device(device.context);
    EXPECT_TRUE(cxl_io(ask | IOM_REQ_CXL));
}

TEST(RiscvAts, interrupt_files)
{
    Device device;
    device.context.msiptp = pointer(1, device.machine.pages());
    device.context.msi_pattern = guest_page >> 12;
    device.machine.device(device.context);
    uint64_t table = device.context.msiptp << 12;
    device.machine.put(table, entry(0x7000, V | 3 << 1));
    iom_xlate x = device.translate(ask_write | IOM_REQ_CXL | IOM_REQ_EXEC | IOM_REQ_PASID);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(x.leaf.output, 0x7123u);
    EXPECT_EQ(x.leaf.permissions, unsigned{IOM_PERM_READ | IOM_PERM_WRITE});
    EXPECT_EQ(x.leaf.attributes, unsigned{IOM_RISCV_LEAF_MSI | IOM_RISCV_LEAF_CXL_IO});
    // A memory-resident file: to be accessed by untranslated requests only.
    device.machine.put(table, V | 1 << 1);
    x = device.translate(ask_write);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_MRIF);
    EXPECT_EQ(x.leaf.permissions, unsigned{IOM_PERM_READ | IOM_PERM_WRITE});
    EXPECT_NE(x.leaf.attributes & IOM_RISCV_LEAF_UNTRANSLATED, 0u);
    device.machine.put(table, 0);
    EXPECT_EQ(device.translate(ask).outcome, IOM_OUTCOME_DENIED); // 262
    device.machine.put(table, V);
    EXPECT_EQ(device.translate(ask).fault.code, 263);
    EXPECT_EQ(device.translate(ask).fault.abort, 1);
}

TEST(RiscvAts, both_stages_bare)
{
    Machine machine;
    DeviceContext context;
    context.tc = tc_v | tc_en_ats;
    machine.device(context);
    iom_xlate x = machine.translate(0x1234'5678, ask);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(x.leaf.output, 0x1234'5678u);
    EXPECT_EQ(x.leaf.permissions, unsigned{IOM_PERM_READ | IOM_PERM_WRITE});
}

// ---- translated requests ---------------------------------------------------------------------------------

TEST(RiscvAts, translated_requests_pass)
{
    Device device;
    iom_xlate x = device.translate(IOM_REQ_TRANSLATED | IOM_REQ_WRITE);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_BYPASS);
    EXPECT_EQ(x.leaf.output, iova | 0x123);
}

TEST(RiscvAts, guest_addresses_in_answers)
{
    Device device(tc_t2gpa);
    iom_xlate x = device.translate(ask_write);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(x.leaf.output, guest_page | 0x123);
    EXPECT_EQ(device.translate(0).leaf.output, page | 0x123); // untranslated requests as ever
    // A translated request brings that address; the second stage alone translates and protects.
    const Request translated{guest_page | 0x123, IOM_REQ_TRANSLATED | IOM_REQ_WRITE, 5, 0};
    EXPECT_EQ(device.machine.translate(translated).leaf.output, page | 0x123);
    device.pages(0, open_page & ~uint64_t{W});
    x = device.machine.translate(translated);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(x.fault.code, 23);
    EXPECT_EQ(x.fault.detail, guest_page | 0x120);
    // Both stages limit what the answer grants.
    device.pages(open_page, open_page & ~uint64_t{W});
    EXPECT_EQ(device.translate(ask_write).leaf.permissions, unsigned{IOM_PERM_READ});
}

// Execute counts with a process_id, and needs read permission besides.
TEST(RiscvAts, translated_reads_for_execute)
{
    Device device(tc_t2gpa);
    const unsigned fetch = IOM_REQ_TRANSLATED | IOM_REQ_EXEC;
    auto cause = [&](unsigned flags) {
        iom_xlate x = device.machine.translate({guest_page, flags, 5, 0});
        return x.outcome == IOM_OUTCOME_FAULT ? x.fault.code : 0u;
    };
    device.pages(open_page, V | R | U | A);
    EXPECT_EQ(cause(fetch), 0u);
    EXPECT_EQ(cause(fetch | IOM_REQ_PASID), 20u);
    device.pages(open_page, V | X | U | A);
    EXPECT_EQ(cause(fetch), 21u);
    EXPECT_EQ(cause(fetch | IOM_REQ_PASID), 20u);
    device.pages(open_page, V | R | X | U | A);
    EXPECT_EQ(cause(fetch | IOM_REQ_PASID), 0u);
}

// ---- page requests ---------------------------------------------------------------------------------------

TEST(RiscvAts, page_requests_need_pri)
{
    Device device;
    const unsigned flags = IOM_REQ_PAGE | IOM_REQ_PASID | IOM_REQ_PRIV;
    iom_xlate x = device.translate(flags);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(x.fault.code, 260);
    EXPECT_EQ(x.fault.address, 4u); // the message code of a page request
    EXPECT_EQ(x.fault.flags, flags);
    device.context.tc |= tc_dtf;
    device.machine.device(device.context);
    EXPECT_EQ(device.translate(flags).fault.recorded, 0);
    for (bool response_with_pasid : {false, true}) {
        device.context.tc |= tc_en_pri | (response_with_pasid ? uint64_t{tc_prpr} : 0);
        device.machine.device(device.context);
        x = device.translate(flags);
        EXPECT_EQ(x.outcome, IOM_OUTCOME_PAGE);
        EXPECT_EQ((x.page_request & IOM_PAGE_REQUEST_PASID_RESPONSE) != 0, response_with_pasid);
    }
    // Only the device context counts: this process does not exist.
    x = device.machine.translate({iova, flags, 5, 0xfffff});
    EXPECT_EQ(x.outcome, IOM_OUTCOME_PAGE);
}

TEST(RiscvAts, page_requests_without_a_context)
{
    Device device;
    auto cause = [&] { return device.translate(IOM_REQ_PAGE).fault.code; };
    uint64_t at = device.machine.device(device.context);
    device.machine.put(at, 0);
    EXPECT_EQ(cause(), 258);
    device.machine.put(at, V | bit(40));
    EXPECT_EQ(cause(), 259);
    device.machine.mark(at, IOM_ACCESS_REFUSED);
    EXPECT_EQ(cause(), 257);
    EXPECT_EQ(device.machine.translate({0, IOM_REQ_PAGE, 64}).fault.code, 260); // too wide
    device.machine.view.extra[IOM_RISCV_VIEW_MODE] = 1;
    EXPECT_EQ(cause(), 260);
    device.machine.view.extra[IOM_RISCV_VIEW_MODE] = 0;
    EXPECT_EQ(cause(), 256);
}

} // namespace
