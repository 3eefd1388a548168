// SPDX-License-Identifier: Apache-2.0
//
// Device directory and device context ("Process to locate the Device-context", "Device-context configuration
// checks", steps 1 to 7 of "Process to translate an IOVA").
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_tables.h"

namespace
{
using namespace riscv_test;

unsigned cause_of(const iom_xlate &x)
{
    return x.outcome == IOM_OUTCOME_FAULT ? x.fault.code : 0;
}

iom_riscv_config base_config()
{
    iom_riscv_config config = full_config();
    config.capabilities &= ~(bit(msi_flat) | bit(23) | bit(21));
    return config;
}

// ---- modes -----------------------------------------------------------------------------------------------

TEST(RiscvContext, mode_off_disallows_everything_and_bare_passes_untranslated_requests)
{
    Machine machine;
    machine.view.enabled = 0;
    machine.view.extra[IOM_RISCV_VIEW_MODE] = 0;
    for (unsigned flags : {0u, unsigned{IOM_REQ_TRANSLATE}, unsigned{IOM_REQ_TRANSLATED}})
        EXPECT_EQ(cause_of(machine.translate(0x1234, flags)), 256u);
    machine.view.extra[IOM_RISCV_VIEW_MODE] = 1;
    iom_xlate x = machine.translate(0xfedc'ba98'7654'3210);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_BYPASS);
    EXPECT_EQ(x.leaf.output, 0xfedc'ba98'7654'3210u);
    EXPECT_EQ(cause_of(machine.translate(0x1234, IOM_REQ_TRANSLATE)), 260u);
    EXPECT_EQ(cause_of(machine.translate(0x1234, IOM_REQ_TRANSLATED)), 260u);
    EXPECT_TRUE(machine.reads.empty());
}

// The device_id is split into 7, 9, 8 bits (base format) or 6, 9, 9 (extended).
TEST(RiscvContext, every_level_is_indexed_by_its_part_of_the_device_id)
{
    for (bool extended : {false, true}) {
        unsigned low = extended ? 6 : 7;
        for (unsigned levels = 1; levels <= 3; levels++) {
            Machine machine(extended ? full_config() : base_config());
            machine.directory(levels);
            uint32_t device_id =
                0xd5b7a9 & static_cast<uint32_t>(bit(levels == 3 ? 24 : low + 9 * (levels - 1)) - 1);
            uint64_t at = machine.device({}, device_id);
            iom_xlate x = machine.translate({0x7123, 0, device_id});
            EXPECT_EQ(x.outcome, IOM_OUTCOME_BYPASS) << low << levels;
            ASSERT_EQ(machine.reads.size(), levels);
            EXPECT_EQ(machine.reads.back(), at);
            EXPECT_EQ(machine.reads.front() & ~uint64_t{0xfff}, machine.view.root);
            // One bit beyond the width.
            if (levels < 3) {
                x = machine.translate({0x7123, 0, static_cast<uint32_t>(bit(low + 9 * (levels - 1)))});
                EXPECT_EQ(cause_of(x), 260u);
                EXPECT_TRUE(machine.reads.empty());
            }
        }
    }
}

// ---- faults of the directory -----------------------------------------------------------------------------

TEST(RiscvContext, directory_entries_that_cannot_be_used)
{
    Machine machine;
    machine.directory(2);
    uint64_t context = machine.device({});
    uint64_t root_entry = machine.get(machine.view.root);
    for (uint64_t reserved : {bit(1), bit(9), bit(54), bit(63)}) {
        machine.put(machine.view.root, root_entry | reserved);
        EXPECT_EQ(cause_of(machine.translate(0)), 259u);
    }
    machine.put(machine.view.root, root_entry & ~bit(0));
    EXPECT_EQ(cause_of(machine.translate(0)), 258u);
    machine.put(machine.view.root, root_entry);
    EXPECT_EQ(cause_of(machine.translate(0)), 0u);

    machine.mark(machine.view.root, IOM_ACCESS_REFUSED);
    EXPECT_EQ(cause_of(machine.translate(0)), 257u);
    machine.mark(machine.view.root, IOM_ACCESS_POISONED);
    EXPECT_EQ(cause_of(machine.translate(0)), 268u);
    machine.mark(machine.view.root, IOM_ACCESS_OK);
    machine.mark(context + 56, IOM_ACCESS_REFUSED); // any part of the context
    EXPECT_EQ(cause_of(machine.translate(0)), 257u);
    machine.mark(context + 56, IOM_ACCESS_POISONED);
    EXPECT_EQ(cause_of(machine.translate(0)), 268u);
}

TEST(RiscvContext, addresses_beyond_the_physical_width_cannot_be_read)
{
    iom_riscv_config config = full_config();
    config.capabilities = (config.capabilities & ~(uint64_t{63} << pas)) | uint64_t{40} << pas;
    Machine machine(config);
    machine.directory(2);
    machine.device({});
    machine.put(machine.view.root, entry(bit(40), V));
    EXPECT_EQ(cause_of(machine.translate(0)), 257u);
}

TEST(RiscvContext, big_endian_directory)
{
    iom_riscv_config config = full_config();
    config.fctl = 1;
    Machine machine(config);
    machine.device({tc_v | tc_sbe});
    EXPECT_EQ(machine.translate(0x5000).outcome, IOM_OUTCOME_BYPASS);
    machine.view.extra[IOM_RISCV_VIEW_FCTL] = 0;
    EXPECT_EQ(cause_of(machine.translate(0x5000)), 258u); // V is looked for in the other byte
}

// ---- configuration checks --------------------------------------------------------------------------------

bool is_misconfigured(const DeviceContext &context, const iom_riscv_config &config = full_config(),
                      uint64_t fctl = 0)
{
    Machine machine(config);
    machine.view.extra[IOM_RISCV_VIEW_FCTL] = fctl;
    machine.device(context);
    return cause_of(machine.translate(0x40000000)) == 259;
}

iom_riscv_config without(uint64_t capabilities)
{
    iom_riscv_config config = full_config();
    config.capabilities &= ~capabilities;
    return config;
}

DeviceContext with_tc(uint64_t tc)
{
    DeviceContext context;
    context.tc = tc_v | tc;
    return context;
}

TEST(RiscvContextCheck, reserved_bits) // 1
{
    for (unsigned n = 12; n < 64; n++)
        EXPECT_EQ(is_misconfigured(with_tc(bit(n))), n < 24 || n >= 32) << n; // 31:24 are custom
    for (unsigned n = 0; n < 64; n++) {
        DeviceContext context;
        context.ta = bit(n);
        EXPECT_EQ(is_misconfigured(context), n < 12 || (n >= 32 && n < 40)) << n;
        EXPECT_EQ(is_misconfigured(context, without(bit(qosid))), n < 12 || n >= 32) << n;
        context = {};
        context.fsc = bit(n);
        EXPECT_EQ(is_misconfigured(context), n >= 44 && n != 63) << n; // 1, 2, 4: no modes; 8: Sv39
        context = {};
        context.reserved = bit(n);
        EXPECT_TRUE(is_misconfigured(context)) << n;
        context = {};
        context.msi_mask = bit(n);
        EXPECT_EQ(is_misconfigured(context), n >= 52) << n;
        context = {};
        context.msi_pattern = bit(n);
        EXPECT_EQ(is_misconfigured(context), n >= 52) << n;
    }
}

TEST(RiscvContextCheck, controls_that_need_capabilities_or_each_other) // 2 to 7, 12, 18
{
    DeviceContext second;
    second.iohgatp = pointer(sv39, 0x40000);
    EXPECT_FALSE(is_misconfigured(with_tc(tc_en_ats)));
    EXPECT_TRUE(is_misconfigured(with_tc(tc_en_ats), without(bit(ats))));
    EXPECT_FALSE(is_misconfigured(with_tc(tc_en_ats | tc_en_pri | tc_prpr)));
    EXPECT_TRUE(is_misconfigured(with_tc(tc_en_pri)));
    EXPECT_TRUE(is_misconfigured(with_tc(tc_en_ats | tc_prpr)));
    EXPECT_TRUE(is_misconfigured(with_tc(tc_en_ats | tc_t2gpa)));
    second.tc |= tc_en_ats | tc_t2gpa;
    EXPECT_FALSE(is_misconfigured(second));
    EXPECT_TRUE(is_misconfigured(second, without(bit(26))));
    second.tc &= ~uint64_t{tc_en_ats};
    EXPECT_TRUE(is_misconfigured(second));
    EXPECT_TRUE(is_misconfigured(with_tc(tc_dpe)));
    EXPECT_FALSE(is_misconfigured(with_tc(tc_dpe | tc_pdtv)));
    EXPECT_FALSE(is_misconfigured(with_tc(tc_sade | tc_gade)));
    EXPECT_TRUE(is_misconfigured(with_tc(tc_sade), without(bit(24))));
    EXPECT_TRUE(is_misconfigured(with_tc(tc_gade), without(bit(24))));
}

TEST(RiscvContextCheck, modes) // 8 to 11, 13 to 16
{
    const uint64_t none = range(11, 8) | range(19, 16) | bit(pd8) | bit(pd17) | bit(pd20);
    for (bool sxl : {false, true}) {
        for (unsigned mode = 0; mode < 16; mode++) {
            bool defined = mode == 0 || mode == 8 || (!sxl && (mode == 9 || mode == 10));
            DeviceContext context = with_tc(sxl ? uint64_t{tc_sxl} : 0);
            context.fsc = pointer(mode, 0x40000);
            EXPECT_EQ(is_misconfigured(context), !defined) << sxl << mode;
            EXPECT_EQ(is_misconfigured(context, without(none)), mode != 0) << sxl << mode;
            // The guest's XLEN decides for the second stage.
            context = with_tc(sxl ? uint64_t{tc_sxl} : 0);
            context.iohgatp = pointer(mode, 0x40000);
            EXPECT_EQ(is_misconfigured(context, full_config(), sxl ? 4 : 0), !defined) << sxl << mode;
            EXPECT_EQ(is_misconfigured(context, without(none), sxl ? 4 : 0), mode != 0) << sxl << mode;
        }
    }
    for (unsigned mode = 0; mode < 16; mode++) {
        DeviceContext context = with_tc(tc_pdtv);
        context.fsc = pointer(mode, 0x40000);
        EXPECT_EQ(is_misconfigured(context), mode > 3) << mode;
        EXPECT_EQ(is_misconfigured(context, without(none)), mode != 0) << mode;
        context = {};
        context.msiptp = pointer(mode, 0x40000);
        EXPECT_EQ(is_misconfigured(context), mode > 1) << mode;
    }
}

TEST(RiscvContextCheck, second_stage_root_is_aligned) // 17
{
    DeviceContext context;
    for (unsigned page = 0; page < 4; page++) {
        context.iohgatp = pointer(sv48, 0x40000 + page * 0x1000);
        EXPECT_EQ(is_misconfigured(context), page != 0);
        context.iohgatp = pointer(bare, 0x40000 + page * 0x1000);
        EXPECT_FALSE(is_misconfigured(context));
    }
}

TEST(RiscvContextCheck, byte_order_and_xlen_follow_fctl_where_it_is_fixed) // 19 to 21
{
    iom_riscv_config fixed = full_config();
    fixed.be_writable = fixed.gxl_writable = false;
    for (uint64_t fctl : {0u, 1u, 4u, 5u}) {
        for (uint64_t tc : {0u, unsigned{tc_sbe}, unsigned{tc_sxl}, unsigned{tc_sbe | tc_sxl}}) {
            bool order_differs = (fctl & 1) != (tc & tc_sbe ? 1u : 0u);
            bool narrow = (fctl & 4) != 0, sxl = (tc & tc_sxl) != 0;
            EXPECT_EQ(is_misconfigured(with_tc(tc), full_config(), fctl), narrow && !sxl);
            EXPECT_EQ(is_misconfigured(with_tc(tc), fixed, fctl), order_differs || narrow != sxl);
            EXPECT_EQ(is_misconfigured(with_tc(tc), without(bit(end)), fctl),
                      order_differs || (narrow && !sxl));
        }
    }
}

// ---- what the context allows -----------------------------------------------------------------------------

TEST(RiscvContext, requests_it_does_not_allow)
{
    Machine machine;
    machine.device({});
    EXPECT_EQ(cause_of(machine.translate(0x1000, IOM_REQ_TRANSLATE)), 260u);
    EXPECT_EQ(cause_of(machine.translate(0x1000, IOM_REQ_TRANSLATED)), 260u);
    EXPECT_EQ(cause_of(machine.translate({0x1000, IOM_REQ_PASID, 5, 0})), 260u);
    for (unsigned mode = 1; mode <= 3; mode++) {
        DeviceContext context = with_tc(tc_pdtv);
        context.fsc = pointer(mode, machine.pages());
        machine.device(context);
        uint32_t limit = mode == 1 ? 0x100 : mode == 2 ? 0x20000 : 0x100000;
        EXPECT_EQ(cause_of(machine.translate({0x1000, IOM_REQ_PASID, 5, limit - 1})), 266u);
        EXPECT_EQ(cause_of(machine.translate({0x1000, IOM_REQ_PASID, 5, limit})), 260u);
    }
}

// DTF: faults after the context has been found are not recorded, except those of the directory.
TEST(RiscvContext, faults_are_not_recorded_where_dtf_is_set)
{
    Machine machine;
    machine.device(with_tc(tc_dtf));
    iom_xlate x = machine.translate({0x1000, IOM_REQ_PASID, 5, 0});
    EXPECT_EQ(cause_of(x), 260u);
    EXPECT_EQ(x.fault.recorded, 0);
    machine.device(with_tc(tc_dtf | bit(40)));
    x = machine.translate(0x1000);
    EXPECT_EQ(cause_of(x), 259u);
    EXPECT_EQ(x.fault.recorded, 1);
    machine.device({});
    EXPECT_EQ(machine.translate({0x1000, IOM_REQ_PASID, 5, 0}).fault.recorded, 1);
}

TEST(RiscvContext, what_a_record_says_of_the_request)
{
    Machine machine;
    machine.device({});
    const unsigned all = IOM_REQ_PASID | IOM_REQ_PRIV | IOM_REQ_EXEC;
    iom_xlate x = machine.translate({0x1000'0000'0777, all, 5, 0x54321});
    EXPECT_EQ(x.fault.address, 0x1000'0000'0777u);
    EXPECT_EQ(x.fault.detail, 0u);
    EXPECT_EQ(x.fault.source, 5u);
    EXPECT_EQ(x.fault.pasid, 0x54321u);
    EXPECT_EQ(x.fault.flags, all);
    // Without process_id there is no privilege; execute counts for untranslated requests only.
    x = machine.translate({0x1000, IOM_REQ_PRIV | IOM_REQ_EXEC, 7, 0x54321});
    EXPECT_EQ(x.fault.flags, unsigned{IOM_REQ_EXEC});
    EXPECT_EQ(x.fault.pasid, 0u);
    x = machine.translate({0x1000, IOM_REQ_TRANSLATED | IOM_REQ_EXEC, 7});
    EXPECT_EQ(x.fault.flags, unsigned{IOM_REQ_TRANSLATED});
}

} // namespace
