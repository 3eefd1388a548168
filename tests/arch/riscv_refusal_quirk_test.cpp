// SPDX-License-Identifier: Apache-2.0
//
// Refusals of hardware that deviates (core/arch/riscv/riscv.h, quirk.bypass_beats_refusal;
// tests/data/rtl-timing/README.md, 4.11): a request that translates nothing passes although it is refused,
// and the record is written. And what the fault of a walk becomes that is charged to another request than it
// was made for (core/arch.h, charge; README.md, 4.3 and 4.4).
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_tables.h"

namespace
{
using namespace riscv_test;

constexpr uint64_t iova = 0x4000'1238;
constexpr uint32_t process = 3;
constexpr uint64_t ens = 1 << 1; ///< of a process context's ta

iom_riscv_config config_with(bool quirk)
{
    iom_riscv_config config = full_config();
    config.quirk.bypass_beats_refusal = quirk;
    return config;
}

/// What is left of a refusal with cause 260.
void expect_refused(const iom_xlate &x, bool passes, bool recorded)
{
    EXPECT_EQ(x.outcome, passes ? IOM_OUTCOME_BYPASS : IOM_OUTCOME_FAULT);
    if (passes) {
        EXPECT_EQ(x.leaf.output, iova);
    }
    EXPECT_EQ(x.fault.code, 260u);
    EXPECT_EQ(x.fault.recorded, recorded);
    EXPECT_EQ(x.fault.address, iova);
    EXPECT_EQ(x.fault.source, 5u);
    EXPECT_EQ(x.fault.pasid, process);
}

// ---- bypass_beats_refusal -----------------------------------------------------------------------------

// "transaction type disallowed": a process id for a device without process directory (step 7).
TEST(RiscvRefusalQuirk, a_process_id_that_is_not_allowed)
{
    for (bool quirk : {false, true}) {
        for (bool first : {false, true}) {
            for (bool second : {false, true}) {
                for (bool silent : {false, true}) {
                    SCOPED_TRACE(testing::Message() << "quirk " << quirk << " first " << first << " second "
                                                    << second << " silent " << silent);
                    Machine machine(config_with(quirk));
                    DeviceContext context;
                    context.tc = tc_v | (silent ? uint64_t{tc_dtf} : 0);
                    context.fsc = first ? machine.table(sv39).pointer() : 0;
                    context.iohgatp = second ? machine.table(sv39, false, true).pointer() : 0;
                    machine.device(context);
                    const iom_xlate x = machine.translate({iova, IOM_REQ_PASID, 5, process});
                    expect_refused(x, quirk && !first && !second, !silent);
                }
            }
        }
    }
}

/// A device with a directory of 256 processes; the context of `process` says what is given.
iom_xlate translate_process(Machine &machine, uint64_t tc, uint64_t ta, bool first, bool second,
                            unsigned flags)
{
    const uint64_t directory = machine.pages();
    DeviceContext context;
    context.tc = tc_v | tc_pdtv | tc;
    context.fsc = pointer(1, directory);
    if (second) {
        const Table guest = machine.table(sv39, false, true);
        machine.identity(guest, directory);
        context.iohgatp = guest.pointer();
    }
    machine.device(context);
    machine.put(directory + 16 * process, V | ta);
    machine.put(directory + 16 * process + 8, first ? machine.table(sv39).pointer() : 0);
    return machine.translate({iova, IOM_REQ_PASID | flags, 5, process});
}

// Step 15: a privileged request, and a process that does not admit any.
TEST(RiscvRefusalQuirk, a_privileged_request_to_a_process_without_supervisor)
{
    for (bool quirk : {false, true}) {
        for (bool first : {false, true}) {
            for (bool second : {false, true}) {
                for (bool silent : {false, true}) {
                    SCOPED_TRACE(testing::Message() << "quirk " << quirk << " first " << first << " second "
                                                    << second << " silent " << silent);
                    Machine machine(config_with(quirk));
                    const uint64_t tc = silent ? uint64_t{tc_dtf} : 0;
                    const iom_xlate x = translate_process(machine, tc, 0, first, second, IOM_REQ_PRIV);
                    expect_refused(x, quirk && !first && !second, !silent);
                    EXPECT_EQ(x.fault.flags, IOM_REQ_PASID | IOM_REQ_PRIV);
                }
            }
        }
    }
}

TEST(RiscvRefusalQuirk, a_process_that_may_pass_has_nothing_to_record)
{
    for (bool quirk : {false, true}) {
        for (bool supervisor : {false, true}) {
            SCOPED_TRACE(testing::Message() << "quirk " << quirk << " supervisor " << supervisor);
            Machine machine(config_with(quirk));
            const iom_xlate x = translate_process(machine, 0, supervisor ? ens : 0, false, false,
                                                  supervisor ? IOM_REQ_PRIV : 0);
            EXPECT_EQ(x.outcome, IOM_OUTCOME_BYPASS);
            EXPECT_EQ(x.leaf.output, iova);
            EXPECT_FALSE(x.fault.recorded);
        }
    }
}

// ---- charge -------------------------------------------------------------------------------------------

/// A request whose look-ups have found a device context, and now miss `next`, if anything.
iom_xlate looked_up(Machine &machine, bool silent, iom_lookup next, unsigned flags = 0)
{
    DeviceContext context;
    context.tc = tc_v | (silent ? uint64_t{tc_dtf} : 0);
    machine.device(context);
    iom_xlate x = machine.translate(iova, flags);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_BYPASS);
    x.next = next;
    return x;
}

// DTF of the context that look-ups see decides, whatever the walk went by; without a context only faults in
// finding one are recorded (DDT entry not valid 258, PDT entry not valid 266, page faults 12 to 15 and 20 to
// 23).
TEST(RiscvRefusalQuirk, the_context_of_the_moment_says_whether_a_fault_is_recorded)
{
    for (const uint16_t cause : {uint16_t{13}, uint16_t{21}, uint16_t{258}, uint16_t{266}}) {
        for (iom_lookup next : {IOM_LOOKUP_CONTEXT, IOM_LOOKUP_PASID, IOM_LOOKUP_IOTLB, IOM_LOOKUP_DONE}) {
            for (bool silent : {false, true}) {
                for (bool before : {false, true}) {
                    SCOPED_TRACE(testing::Message() << "cause " << cause << " missing " << next << " silent "
                                                    << silent << " recorded before " << before);
                    Machine machine(config_with(false));
                    iom_xlate x = looked_up(machine, silent, next);
                    x.fault.code = cause;
                    x.fault.recorded = before;
                    machine.arch.ops->charge(&machine.arch, &x);
                    EXPECT_EQ(x.outcome, IOM_OUTCOME_FAULT);
                    EXPECT_EQ(x.fault.code, cause);
                    EXPECT_EQ(x.fault.recorded, cause == 258 || (next != IOM_LOOKUP_CONTEXT && !silent));
                }
            }
        }
    }
}

// The cause of a page fault is that of what the request does; where it happened stays.
TEST(RiscvRefusalQuirk, a_fault_that_is_charged_is_that_of_the_request)
{
    struct Case {
        uint16_t walk, read, write;
    };
    const Case cases[] = {{13, 13, 15}, {15, 13, 15}, {21, 21, 23}, {23, 21, 23}, {266, 266, 266}};
    for (const Case &c : cases) {
        for (bool write : {false, true}) {
            SCOPED_TRACE(testing::Message() << "cause " << c.walk << " write " << write);
            Machine machine(config_with(false));
            iom_xlate x = looked_up(machine, false, IOM_LOOKUP_IOTLB, write ? IOM_REQ_WRITE : 0);
            x.fault.code = c.walk;
            x.fault.address = 0x1000;
            x.fault.source = 6;
            x.fault.detail = 0x2001;
            machine.arch.ops->charge(&machine.arch, &x);
            EXPECT_EQ(x.fault.code, write ? c.write : c.read);
            EXPECT_EQ(x.fault.detail, 0x2001u);
            EXPECT_EQ(x.fault.address, iova);
            EXPECT_EQ(x.fault.source, 5u);
            EXPECT_EQ(x.fault.flags, write ? IOM_REQ_WRITE : 0);
        }
    }
}

} // namespace
