// SPDX-License-Identifier: Apache-2.0
//
// The player of the RISC-V reference model's vectors, with a scripted system: every effect that a step names
// must come, and none that it does not name.
#include <gtest/gtest.h>

#include "models/verify/vector_file.h"
#include "tests/models/support/verify_fake_riscv.h"
#include "tests/models/verify_fixture.hpp"

using namespace verify_fixture;

namespace
{

constexpr uint64_t fault_queue = 0x10000, command_queue = 0x30000;

// Queues of 256, 64 and 64 entries; then one step of each kind.
const char *const scripted =
    R"({"id":"r1","seed":"0x1","family":"walk","capabilities":"0x3800000f10","fctl":"0x0",
 "params":{"num_hpm":0,"hpmctr_bits":40,"eventid_limit":0,"num_vec_bits":1,"max_iommu_mode":4,"devid_mask":"0xffffff",
  "gxl_writable":0,"be_writable":0,"bare_page_size":"0x40000000","bare_page_size_sv32":"0x200000"},
 "info":{},"mem":[["0x2000","0x7"]],"mem_faults":[["0x3000","access"],["0x3008","corrupt"]],"steps":[
 {"op":"reg_write","off":40,"size":8,"val":"0x4007","expect":{}},
 {"op":"reg_write","off":56,"size":8,"val":"0x8005","expect":{}},
 {"op":"reg_write","off":24,"size":8,"val":"0xc005","expect":{"regs":{"cqcsr":"0x10001"}}},
 {"op":"reg_read","off":24,"size":8,"expect":{"val":"0xff05","mask":"0x1f"}},
 {"op":"req","did":16,"at":0,"iova":"0x1ffe","write":1,"len":64,"pid":3,"priv":1,
  "expect":{"status":"UR","faults":[{"cause":21,"ttyp":3,"did":16,"pv":1,"pid":3,"priv":1,"iotval":"0x1ffe",
   "iotval2":"0x5ffc"}],"mem":[["0x2000","0x47"]],"regs":{"ipsr":"0x2"}}},
 {"op":"req","did":16,"at":1,"iova":"0x1000","write":0,"nw":1,"exec":1,"len":8,
  "expect":{"status":"SUCCESS","ppn":"0x5","s":0,"size_log2":12,"pa":"0x5000","pbmt":1,"is_msi":0,"r":1,"w":0,"x":0,
   "u":0,"priv":0,"global":0,"n":0,"ama":0}},
 {"op":"mem_write","addr":"0x2000","val":"0x8"},
 {"op":"req","did":16,"at":0,"iova":"0x1000","write":0,"len":8,"may_be_stale":true,
  "expect":{"status":"UR","faults":[{"cause":13,"ttyp":2,"did":16,"pv":0,"pid":0,"priv":0,"iotval":"0x1000",
   "iotval2":"0x0"}]},
  "expect_stale":{"status":"SUCCESS","ppn":"0x5","s":0,"size_log2":12,"pa":"0x5000","pbmt":0,"is_msi":0}},
 {"op":"page_req","did":196625,"pv":0,"pid":0,"priv":0,"exec":0,"payload":"0x7003",
  "expect":{"pq":[{"did":196625,"pv":0,"pid":0,"priv":0,"exec":0,"payload":"0x7003"}]}},
 {"op":"cmd","name":"ATS.INVAL","lo":"0x4","hi":"0x9001",
  "expect":{"cqt":1,"msgs":[{"code":1,"tag":0,"rid":17,"dsv":1,"dseg":3,"pv":1,"pid":5,"payload":"0x9001"}],
   "regs":{"cqh":1}}},
 {"op":"cmd","name":"IOFENCE.C","lo":"0x1002","hi":"0x0","expect":{"cqt":2}},
 {"op":"inval_completion","rid":17,"dsv":1,"dseg":3,"itag_vector":1,"cc":2,
  "expect":{"unexpected":0,"gos":{"pr":1,"pw":0},"regs":{"cqh":2}}},
 {"op":"ats_timeout","itag_vector":3,"expect":{"regs":{"cqcsr":"0x10201"}}}]})";

using Vector = riscv::Vector;

Vector vector_of(const std::string &text)
{
    return std::get<Vector>(parse_any_vector(text, "scripted", 1, nullptr));
}

// A system that does exactly what the vector says; tag 0 of the vector is its tag 7.
std::unique_ptr<FakeRiscv> obedient()
{
    auto target = std::make_unique<FakeRiscv>();
    FakeRiscv *t = target.get();
    t->on_dma = [t](const DmaStep &step) {
        DmaResult result;
        if (step.write && step.type == AddressType::untranslated) {
            t->append(IOM_RISCV_FQB,
                      {UINT64_C(0x10) << 40 | 3ull << 34 | 3ull << 32 | 3u << 12 | 21, 0, 0x1ffe, 0x5ffc});
            t->store(0x2000, 0x47);
            t->registers[IOM_RISCV_IPSR] = 2;
            return result;
        }
        if (step.type == AddressType::untranslated) {
            t->append(IOM_RISCV_FQB, {UINT64_C(0x10) << 40 | 2ull << 34 | 13, 0, 0x1000, 0});
            return result;
        }
        result.completion = Completion::address;
        result.pa = 0x5000;
        result.size_log2 = 12;
        result.attributes = IOM_RISCV_NC;
        result.read = true;
        return result;
    };
    t->on_page_request = [t](const PageRequest &request) {
        t->append(IOM_RISCV_PQB, {uint64_t{request.device} << 40, request.payload});
    };
    t->on_register = [t](uint32_t offset, uint64_t value) {
        if (offset == IOM_RISCV_CQB)
            t->registers[IOM_RISCV_CQCSR] = 0x10001;
        if (offset != IOM_RISCV_CQT || value != 1)
            return;
        t->registers[IOM_RISCV_CQH] = 1;
        DeviceMessage message;
        message.device = 0x30011;
        message.pasid = 5;
        message.tag = 7;
        message.payload = t->memory.read64(command_queue + 8);
        t->messages.push_back(message);
    };
    t->on_complete = [t](const InvalidationCompletion &) {
        t->registers[IOM_RISCV_CQH] = 2;
        t->drain = Drain{true, false};
    };
    t->on_expire = [t](uint32_t) { t->registers[IOM_RISCV_CQCSR] = 0x10201; };
    return target;
}

VectorResult play(const std::string &text, const std::function<void(FakeRiscv &)> &change,
                  Mode mode = Mode::uncached)
{
    return play_vector(vector_of(text),
                       {{"fake",
                         [&](const VectorConfig &) {
                             auto target = obedient();
                             change(*target);
                             return target;
                         }}},
                       mode);
}

// Index of the step at which playing failed; nothing if it passed.
std::optional<size_t> failing_step(const std::function<void(FakeRiscv &)> &change)
{
    const VectorResult result = play(scripted, change);
    return result.failures.empty() ? std::nullopt : result.failures[0].step;
}

// Does `more` after what the script does in a request.
std::function<void(FakeRiscv &)> after_request(const std::function<void(FakeRiscv &, DmaResult &)> &more)
{
    return [more](FakeRiscv &t) {
        t.on_dma = [&t, base = t.on_dma, more](const DmaStep &step) {
            DmaResult result = base(step);
            more(t, result);
            return result;
        };
    };
}

enum Step : size_t {
    refused = 4,
    answered = 5,
    maybe_stale = 7,
    page = 8,
    invalidation = 9,
    completion = 11,
    timeout = 12
};

} // namespace

TEST(VerifyRiscvPlayer, a_system_that_does_what_is_expected_passes)
{
    const VectorResult result = play(scripted, [](FakeRiscv &) {});
    ASSERT_TRUE(result.failures.empty()) << text_of(result.failures[0]);
}

TEST(VerifyRiscvPlayer, memory_marks_reach_the_system)
{
    std::vector<MemoryMark> marks;
    play(scripted, [&](FakeRiscv &t) {
        t.on_page_request = [&, base = t.on_page_request](const PageRequest &request) {
            marks = t.marks;
            base(request);
        };
    });
    ASSERT_EQ(marks.size(), 2u);
    EXPECT_EQ(marks[0].address, 0x3000u);
    EXPECT_EQ(marks[0].kind, MemoryMark::Kind::refuses);
    EXPECT_EQ(marks[1].kind, MemoryMark::Kind::corrupt);
}

TEST(VerifyRiscvPlayer, a_word_that_no_step_names_must_not_change)
{
    EXPECT_EQ(failing_step(after_request([](FakeRiscv &t, DmaResult &) { t.store(0x7000, 1); })), refused);
    EXPECT_EQ(failing_step(after_request([](FakeRiscv &t, DmaResult &) { t.store(0x2000, 0x57); })), refused);
    EXPECT_EQ(failing_step(after_request([](FakeRiscv &t, DmaResult &r) {
                  if (r.completion == Completion::address)
                      t.store(fault_queue + 0x800, 1); // in the queue, but no record
              })),
              answered);
}

TEST(VerifyRiscvPlayer, records_are_compared_in_number_and_content)
{
    EXPECT_EQ(failing_step(after_request([](FakeRiscv &t, DmaResult &) {
                  t.append(IOM_RISCV_FQB, {5, 0, 0, 0});
              })),
              refused);
    EXPECT_EQ(failing_step(after_request([](FakeRiscv &t, DmaResult &) { t.store(fault_queue, 21); })),
              refused);
    EXPECT_EQ(failing_step([](FakeRiscv &t) { t.on_page_request = [](const PageRequest &) {}; }), page);
    EXPECT_EQ(failing_step([](FakeRiscv &t) {
                  t.on_page_request = [&t](const PageRequest &request) {
                      t.append(IOM_RISCV_PQB, {uint64_t{request.device} << 40, request.payload | 4});
                  };
              }),
              page);
}

TEST(VerifyRiscvPlayer, registers_hold_until_a_step_says_otherwise)
{
    EXPECT_EQ(
        failing_step(after_request([](FakeRiscv &t, DmaResult &) { t.registers[IOM_RISCV_CQCSR] = 1; })),
        refused);
    EXPECT_EQ(failing_step([](FakeRiscv &t) { t.registers[IOM_RISCV_PQCSR] = 1; }), 0u);
    EXPECT_EQ(failing_step([](FakeRiscv &t) { t.on_expire = [](uint32_t) {}; }), timeout);
}

TEST(VerifyRiscvPlayer, messages_and_completions_go_by_the_systems_own_tags)
{
    EXPECT_EQ(failing_step([](FakeRiscv &t) {
                  t.on_complete = [&t, base = t.on_complete](const InvalidationCompletion &c) {
                      EXPECT_EQ(c.tags, 1u << 7);
                      EXPECT_EQ(c.device, 0x30011u);
                      EXPECT_EQ(c.expected, 2u);
                      base(c);
                  };
                  t.on_expire = [base = t.on_expire](uint32_t tags) {
                      EXPECT_EQ(tags, 1u << 7 | 1u << 1); // tag 1 was never given
                      base(tags);
                  };
              }),
              std::nullopt);
    EXPECT_EQ(failing_step([](FakeRiscv &t) {
                  t.on_register = [&t, base = t.on_register](uint32_t offset, uint64_t value) {
                      base(offset, value);
                      if (offset == IOM_RISCV_CQT && value == 1)
                          t.messages[0].pasid.reset();
                  };
              }),
              invalidation);
    EXPECT_EQ(failing_step([](FakeRiscv &t) {
                  t.on_complete = [&t, base = t.on_complete](const InvalidationCompletion &c) {
                      base(c);
                      t.drain->writes = true;
                  };
              }),
              completion);
}

TEST(VerifyRiscvPlayer, requests_say_what_travels_with_them)
{
    std::vector<DmaStep> seen;
    play(scripted, [&](FakeRiscv &t) {
        t.on_dma = [&, base = t.on_dma](const DmaStep &step) {
            seen.push_back(step);
            return base(step);
        };
    });
    ASSERT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen[0].pasid, 3u);
    EXPECT_TRUE(seen[0].priv);
    EXPECT_EQ(seen[0].bytes, 2u); // up to the end of the page
    EXPECT_EQ(seen[1].type, AddressType::translation_request);
    EXPECT_FALSE(seen[1].write); // "no write"
    EXPECT_FALSE(seen[1].exec);  // not without a process
}

TEST(VerifyRiscvPlayer, the_stale_result_is_legal_with_caches_alone)
{
    const auto stale = [](FakeRiscv &t) {
        t.caches = true;
        t.on_dma = [&t, base = t.on_dma](const DmaStep &step) {
            if (step.write || step.type != AddressType::untranslated || t.memory.read64(0x2000) != 8)
                return base(step);
            DmaResult result;
            result.completion = Completion::address;
            result.pa = 0x5000;
            result.size_log2 = 12;
            return result;
        };
    };
    EXPECT_EQ(failing_step(stale), maybe_stale);
    const VectorResult cached = play(scripted, stale, Mode::cached);
    ASSERT_TRUE(cached.failures.empty()) << text_of(cached.failures[0]);
    // But nothing in between.
    const VectorResult wrong = play(
        scripted,
        [&](FakeRiscv &t) {
            stale(t);
            t.on_dma = [base = t.on_dma](const DmaStep &step) {
                DmaResult result = base(step);
                result.pa += step.type == AddressType::untranslated ? 0x1000u : 0u;
                return result;
            };
        },
        Mode::cached);
    ASSERT_EQ(wrong.failures.size(), 1u);
    EXPECT_EQ(wrong.failures[0].step, maybe_stale);
}

TEST(VerifyRiscvPlayer, caches_are_emptied_before_each_step_of_uncached_mode)
{
    unsigned flushes = 0;
    play(scripted, [&](FakeRiscv &t) {
        t.on_expire = [&, base = t.on_expire](uint32_t tags) {
            flushes = t.flushes;
            base(tags);
        };
    });
    EXPECT_EQ(flushes, 13u);
}

TEST(VerifyRiscvPlayer, a_system_without_surroundings_is_refused)
{
    class Bare final : public Target
    {
      public:
        void write_memory(uint64_t, const void *, size_t) override
        {
        }
        void read_memory(uint64_t, void *, size_t) override
        {
        }
        void write_register(uint32_t, unsigned, uint64_t) override
        {
        }
        uint64_t read_register(uint32_t, unsigned) override
        {
            return 0;
        }
        DmaResult dma(const DmaStep &) override
        {
            return {};
        }
        void flush_caches() override
        {
        }
        void settle() override
        {
        }
        bool executes_queue() const override
        {
            return true;
        }
        bool has_caches() const override
        {
            return false;
        }
    };
    EXPECT_THROW(play_vector(vector_of(scripted),
                             {{"bare", [](const VectorConfig &) { return std::make_unique<Bare>(); }}},
                             Mode::uncached),
                 std::runtime_error);
}
