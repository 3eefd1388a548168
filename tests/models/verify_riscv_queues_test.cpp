// SPDX-License-Identifier: Apache-2.0
//
// Vectors about the queues of a RISC-V IOMMU that the recorded ones do not contain, on the functional and on
// the timed system: queues that are switched off and on again, commands that wait behind another one, stores
// of fences that memory refuses, interrupt messages that become due at once. Expectations are those of the
// specification ("Command-queue CSR", "Interrupt pending status register", "Debug support").
#include <gtest/gtest.h>

#include "models/verify/target_factory.h"
#include "models/verify/vector_file.h"
#include "tests/models/verify_fixture.hpp"

using namespace verify_fixture;

namespace
{

// Capabilities: Sv39, ATS, both kinds of interrupts, monitor, debug, 48 bits of physical address. The command
// queue (16 entries) lies at 0x100000, the fault queue (4) at 0x110000; translation is Off.
std::string vector_with(const std::string &fctl, const std::string &marks, const std::string &steps)
{
    return R"({"id":"q","seed":1,"family":"cmd","capabilities":"0x30e2000210","fctl":")" + fctl +
           R"(","params":{"num_hpm":8,"hpmctr_bits":40,"eventid_limit":255,"num_vec_bits":2,"max_iommu_mode":4,
 "devid_mask":"0xffffff","gxl_writable":0,"be_writable":0,"bare_page_size":"0x1000","bare_page_size_sv32":"0x1000"},
 "info":{},"mem":[],"mem_faults":[)" +
           marks + R"(],"steps":[
 {"op":"reg_write","off":24,"size":8,"val":"0x40003","expect":{}},
 {"op":"reg_write","off":40,"size":8,"val":"0x44001","expect":{}},
 {"op":"reg_write","off":72,"size":4,"val":"0x1","expect":{"regs":{"cqcsr":"0x10001"}}},
 {"op":"reg_write","off":76,"size":4,"val":"0x1","expect":{"regs":{"fqcsr":"0x10001"}}},)" +
           steps + "]}";
}

class VerifyRiscvQueues : public testing::TestWithParam<const char *>
{
  protected:
    static void expect_pass(const std::string &text)
    {
        TargetOptions options;
        options.kernel = GetParam();
        const VectorResult result = play_vector(parse_any_vector(text, "queues", 1, nullptr),
                                                target_variants(options, Mode::uncached), Mode::uncached);
        for (const Failure &failure : result.failures)
            ADD_FAILURE() << text_of(failure);
        EXPECT_EQ(result.status, Status::passed);
    }
};

const char *const off_fault = R"({"op":"req","did":3,"at":0,"iova":"0x5000","write":0,"len":4,
 "expect":{"status":"UR","faults":[{"cause":256,"ttyp":2,"did":3,"pv":0,"pid":0,"priv":0,"iotval":"0x5000","iotval2":"0x0"}]}})";

} // namespace

TEST_P(VerifyRiscvQueues, a_queue_that_is_switched_on_again_begins_with_its_first_entry)
{
    const std::string fault = off_fault;
    expect_pass(vector_with("0x0", "",
                            fault + "," + fault + R"(,
 {"op":"reg_write","off":76,"size":4,"val":"0x0","expect":{"regs":{"fqcsr":"0x0"}}},
 {"op":"reg_read","off":52,"size":4,"expect":{"val":"0x2","mask":"0xffffffff"}},
 {"op":"reg_write","off":76,"size":4,"val":"0x1","expect":{"regs":{"fqcsr":"0x10001"}}},
 {"op":"reg_read","off":52,"size":4,"expect":{"val":"0x0","mask":"0xffffffff"}},)" +
                                fault + R"(,
 {"op":"reg_read","off":52,"size":4,"expect":{"val":"0x1","mask":"0xffffffff"}})"));
}

// The third command cannot be read. Those before it, which lie in the same line of memory, are carried out
// when the illegal one in front of them is out of the way (the queue is set up anew).
TEST_P(VerifyRiscvQueues, the_head_stops_at_the_command_that_cannot_be_read)
{
    expect_pass(vector_with("0x0", R"(["0x100020","access"])", R"(
 {"op":"cmd","name":"illegal:opcode","lo":"0x7f","hi":"0x0","expect":{"cqt":1,"regs":{"cqcsr":"0x10401"}}},
 {"op":"cmd","name":"IOTINVAL.VMA","lo":"0x1","hi":"0x0","expect":{"cqt":2}},
 {"op":"cmd","name":"IOTINVAL.VMA","lo":"0x1","hi":"0x0","expect":{"cqt":3}},
 {"op":"cmd","name":"IOTINVAL.VMA","lo":"0x1","hi":"0x0","expect":{"cqt":4}},
 {"op":"reg_write","off":72,"size":4,"val":"0x401","expect":{}},
 {"op":"mem_write","addr":"0x100000","val":"0x1"},
 {"op":"reg_write","off":72,"size":4,"val":"0x401","expect":{"regs":{"cqh":2,"cqcsr":"0x10101"}}}
)"));
}

TEST_P(VerifyRiscvQueues, a_fence_whose_store_is_refused_stays_at_the_head)
{
    // A word that refuses, then an address beyond the physical address space.
    for (const char *address : {"0x54000", "0x400000000000"}) {
        const std::string high = address;
        expect_pass(vector_with("0x0", R"(["0x150000","access"])",
                                R"({"op":"cmd","name":"IOFENCE.C","lo":"0x1234567800000402","hi":")" + high +
                                    R"(","expect":{"cqt":1,"regs":{"cqcsr":"0x10101"}}},
 {"op":"mem_write","addr":"0x100000","val":"0x2"},
 {"op":"reg_write","off":72,"size":4,"val":"0x101","expect":{"regs":{"cqh":1,"cqcsr":"0x10001"}}})"));
    }
}

// Two fences run when the invalidation request before them is complete; one drains reads, one writes.
TEST_P(VerifyRiscvQueues, commands_behind_a_fence_run_when_it_is_complete)
{
    expect_pass(vector_with("0x0", "", R"(
 {"op":"cmd","name":"ATS.INVAL","lo":"0x10000000004","hi":"0x9000","expect":{"cqt":1,
  "msgs":[{"code":1,"tag":0,"rid":1,"dsv":0,"dseg":0,"pv":0,"pid":0,"payload":"0x9000"}],"regs":{"cqh":1}}},
 {"op":"cmd","name":"IOFENCE.C","lo":"0x1002","hi":"0x0","expect":{"cqt":2}},
 {"op":"cmd","name":"IOFENCE.C","lo":"0x2002","hi":"0x0","expect":{"cqt":3}},
 {"op":"inval_completion","rid":1,"dsv":0,"dseg":0,"itag_vector":1,"cc":1,
  "expect":{"unexpected":0,"gos":{"pr":1,"pw":1},"regs":{"cqh":3}}})"));
}

// Both pending bits are set again at once; their vectors (commands 1, faults 0) have one address, where the
// message of the fault queue, whose bit comes second, remains.
TEST_P(VerifyRiscvQueues, messages_leave_in_the_order_of_their_pending_bits)
{
    const std::string fault = off_fault;
    expect_pass(vector_with("0x0", "",
                            R"(
 {"op":"reg_write","off":760,"size":8,"val":"0x1","expect":{}},
 {"op":"reg_write","off":768,"size":8,"val":"0x140000","expect":{}},
 {"op":"reg_write","off":776,"size":4,"val":"0xaaaa","expect":{}},
 {"op":"reg_write","off":784,"size":8,"val":"0x140000","expect":{}},
 {"op":"reg_write","off":792,"size":4,"val":"0xbbbb","expect":{}},
 {"op":"cmd","name":"illegal:opcode","lo":"0x7f","hi":"0x0","expect":{"cqt":1,"regs":{"cqcsr":"0x10401"}}},)" +
                                fault + "," + fault + "," + fault + R"(,
 {"op":"req","did":3,"at":0,"iova":"0x5000","write":0,"len":4,"expect":{"status":"UR","regs":{"fqcsr":"0x10201"}}},
 {"op":"reg_write","off":76,"size":4,"val":"0x3","expect":{"mem":[["0x140000","0xaaaa"]],
  "regs":{"fqcsr":"0x10203","ipsr":"0x2"}}},
 {"op":"reg_write","off":72,"size":4,"val":"0x3","expect":{"mem":[["0x140000","0xbbbb"]],
  "regs":{"cqcsr":"0x10403","ipsr":"0x3"}}},
 {"op":"reg_write","off":84,"size":4,"val":"0x3","expect":{"mem":[["0x140000","0xaaaa"]]}})"));
}

// "For the purpose of counting in the HPM, these requests are treated as Untranslated Requests."
TEST_P(VerifyRiscvQueues, a_translation_for_registers_counts_as_untranslated_request)
{
    expect_pass(vector_with("0x0", "", R"(
 {"op":"reg_write","off":352,"size":8,"val":"0x2000003000000001","expect":{}},
 {"op":"reg_write","off":608,"size":8,"val":"0x30000000009","expect":{"faults":[
  {"cause":256,"ttyp":2,"did":3,"pv":0,"pid":0,"priv":0,"iotval":"0x0","iotval2":"0x0"}]}},
 {"op":"reg_read","off":616,"size":8,"expect":{"val":"0x1","mask":"0x1"}},
 {"op":"reg_read","off":104,"size":8,"expect":{"val":"0x1","mask":"0xffffffffffffffff"}})"));
}

INSTANTIATE_TEST_SUITE_P(Systems, VerifyRiscvQueues, testing::Values("functional", "core"));
