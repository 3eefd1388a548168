// SPDX-License-Identifier: Apache-2.0
//
// The runner, with a scripted system: it finds what differs, at its step, and only that.
#include <gtest/gtest.h>

#include "models/verify/vector_file.h"
#include "tests/models/support/verify_fake_target.h"
#include "tests/models/verify_fixture.hpp"

using namespace verify_fixture;

namespace
{

const char *const scripted_vector = R"({"id":"s1","arch":"vtd-test","cfg":{"machine":"vtd","mode":"legacy"},
 "mem":[["0x2000","0700000000000000"]],"fin":[["0x2000","0x27"]],"regs":[["0x20",8,"0x100000"]],"steps":[
 {"op":"dma","dev":"0x18","rw":"r","iova":"0x1000","res":{"ok":true,"pa":"0x5000"}},
 {"op":"reg","o":"0x34","n":4,"v":"0x1","expect":{"FSTS":"0x0"},"mask":{"FSTS":"0x1"}},
 {"op":"inv","q":"0x8000","dw":16,"qs":4096,"wait":"0x3000","desc":[["0x1","0x2"],["0x3","0x4"]],
  "res":{"iqh":"0x20","iqt":"0x20","iqe":0,"status":"0x7"}},
 {"op":"mem","a":"0x4000","d":"0000000000000000"},
 {"op":"dma","dev":"0x18","rw":"w","iova":"0x1008",
  "res":{"ok":false,"pa":null,"fault":{"reason":5,"sid":"0x18","addr":"0x1000","type":"w","pp":0,"pv":0}}}]})";

// A system that does exactly what scripted_vector says.
std::unique_ptr<FakeTarget> obedient()
{
    auto target = std::make_unique<FakeTarget>();
    FakeTarget *t = target.get();
    t->queue = true;
    t->on_dma = [t](const DmaStep &step) {
        DmaResult result;
        if (step.write) {
            t->record(5, step.device, step.address, true);
            return result;
        }
        t->memory.write64(0x2000, 0x27);
        result.completion = Completion::address;
        result.pa = 0x5000;
        return result;
    };
    t->on_register = [t](uint32_t offset, uint64_t value) {
        if (offset != IOM_VTD_IQT)
            return;
        t->registers[IOM_VTD_IQH] = value;
        if (t->memory.read64(0x8000) == 1 && t->memory.read64(0x8018) == 4)
            t->memory.write64(0x3000, 7);
    };
    return target;
}

VectorResult play_scripted(const std::function<void(FakeTarget &)> &change, Mode mode = Mode::uncached)
{
    const Vector vector = parse_vector(scripted_vector, "scripted", 1, nullptr);
    return play_vector(vector,
                       {{"fake",
                         [&](const VectorConfig &) {
                             auto target = obedient();
                             change(*target);
                             return target;
                         }}},
                       mode);
}

// Index of the step at which playing failed; nothing if it passed; 99 at the end.
std::optional<size_t> failing_step(const std::function<void(FakeTarget &)> &change)
{
    const VectorResult result = play_scripted(change);
    if (result.failures.empty())
        return std::nullopt;
    return result.failures[0].step.value_or(99);
}

} // namespace

// Translation is off: a system without caches passes 0x1000 through; the emulator had 0x5000 cached.
TEST(VerifyRunner, the_hazard_tracker_must_flag_exactly_the_stale_uses)
{
    const Vector vector = parse_vector(
        R"({"id":"s2","arch":"vtd-test","cfg":{"machine":"vtd","mode":"legacy"},"mem":[],"regs":[],"steps":[
 {"op":"dma","dev":"0x18","rw":"r","iova":"0x1000","res":{"ok":true,"pa":"0x5000"},
  "fresh":{"ok":true,"pa":"0x1000"}}]})",
        "scripted", 1, nullptr);
    for (const uint64_t reached : {0x5000, 0x1000}) {
        for (const bool flagged : {false, true}) {
            const auto make = [&](const VectorConfig &) {
                auto target = std::make_unique<FakeTarget>();
                target->caches = true;
                target->stale = flagged;
                target->on_dma = [reached](const DmaStep &) {
                    DmaResult result;
                    result.completion = Completion::address;
                    result.pa = reached;
                    return result;
                };
                return target;
            };
            const VectorResult result = play_vector(vector, {{"fake", make}}, Mode::cached);
            const bool stale = reached == 0x5000;
            EXPECT_EQ(result.failures.empty(), stale == flagged) << reached << flagged;
            if (stale != flagged) {
                EXPECT_EQ(result.failures.at(0).differences.at(0).what, "hazard tracker");
            }
            EXPECT_EQ(result.stale_uses, stale && flagged ? 1u : 0u);
        }
    }
}

TEST(VerifyRunner, a_system_that_does_what_is_expected_passes)
{
    const VectorResult result = play_scripted([](FakeTarget &) {});
    ASSERT_TRUE(result.failures.empty()) << text_of(result.failures[0]);
    EXPECT_EQ(result.status, Status::passed);
    EXPECT_FALSE(result.queue_ignored);
}

TEST(VerifyRunner, every_deviation_is_found_at_its_step)
{
    EXPECT_EQ(failing_step([](FakeTarget &t) {
                  const auto base = t.on_dma;
                  t.on_dma = [base](const DmaStep &step) {
                      DmaResult result = base(step);
                      result.pa += 8;
                      return result;
                  };
              }),
              0u)
        << "address";
    EXPECT_EQ(failing_step([](FakeTarget &t) {
                  t.on_register = [&t, base = t.on_register](uint32_t offset, uint64_t value) {
                      base(offset, value);
                      if (offset == IOM_VTD_FSTS)
                          t.registers[offset] |= 1;
                  };
              }),
              1u)
        << "register";
    EXPECT_EQ(failing_step([](FakeTarget &t) { t.on_register = nullptr; }), 2u) << "queue head";
    EXPECT_EQ(failing_step([](FakeTarget &t) {
                  t.on_register = [&t, base = t.on_register](uint32_t offset, uint64_t value) {
                      base(offset, value);
                      t.memory.write64(0x3000, 0);
                  };
              }),
              2u)
        << "status word";
    EXPECT_EQ(failing_step([](FakeTarget &t) {
                  t.on_register = [&t, base = t.on_register](uint32_t offset, uint64_t value) {
                      base(offset, value);
                      if (offset == IOM_VTD_IQT)
                          t.registers[IOM_VTD_FSTS] |= IOM_VTD_FSTS_IQE;
                  };
              }),
              2u)
        << "queue error";
    EXPECT_EQ(failing_step([](FakeTarget &t) {
                  t.on_dma = [&t, base = t.on_dma](const DmaStep &step) {
                      const DmaResult result = base(step);
                      if (step.write)
                          t.record(6, step.device, step.address, true);
                      return result;
                  };
              }),
              4u)
        << "fault reason";
    EXPECT_EQ(failing_step([](FakeTarget &t) {
                  t.on_dma = [&t, base = t.on_dma](const DmaStep &step) {
                      const DmaResult result = base(step);
                      t.memory.write64(0x2000, 0xa7);
                      return result;
                  };
              }),
              99u)
        << "final memory";
}

TEST(VerifyRunner, software_writes_after_hardware_are_what_counts)
{
    std::string text = scripted_vector;
    const std::string step = R"({"op":"mem","a":"0x4000","d":"0000000000000000"})";
    text.replace(text.find(step), step.size(), R"({"op":"mem","a":"0x2000","d":"0800000000000000"})");
    const auto status = [&](const std::string &vector) {
        return play_vector(parse_vector(vector, "scripted", 1, nullptr),
                           {{"fake", [](const VectorConfig &) { return obedient(); }}}, Mode::uncached)
            .status;
    };
    EXPECT_EQ(status(text), Status::failed) << "memory holds 8, the vector says 27";
    const std::string fin = R"("fin":[["0x2000","0x27"]])";
    text.replace(text.find(fin), fin.size(), R"("fin":[])");
    EXPECT_EQ(status(text), Status::passed);
}

TEST(VerifyRunner, uncached_mode_empties_caches_before_each_dma)
{
    FakeTarget *seen = nullptr;
    unsigned flushes = 0;
    play_scripted([&](FakeTarget &t) {
        seen = &t;
        t.on_dma = [&, base = t.on_dma](const DmaStep &step) {
            flushes += seen->flushes;
            seen->flushes = 0;
            return base(step);
        };
    });
    EXPECT_EQ(flushes, 2u);
    flushes = 0;
    play_scripted(
        [&](FakeTarget &t) {
            seen = &t;
            t.caches = true;
            t.on_dma = [&, base = t.on_dma](const DmaStep &step) {
                flushes += seen->flushes;
                return base(step);
            };
        },
        Mode::cached);
    EXPECT_EQ(flushes, 0u);
}

TEST(VerifyRunner, cached_mode_needs_caches)
{
    EXPECT_THROW(play_scripted([](FakeTarget &) {}, Mode::cached), std::runtime_error);
}

TEST(VerifyRunner, a_vector_passes_only_on_all_systems)
{
    const Vector vector = parse_vector(scripted_vector, "scripted", 1, nullptr);
    const TargetVariant good = {"good", [](const VectorConfig &) { return obedient(); }};
    const TargetVariant bad = {"bad", [](const VectorConfig &) {
                                   auto target = obedient();
                                   target->on_dma = [](const DmaStep &) { return DmaResult(); };
                                   return target;
                               }};
    EXPECT_EQ(play_vector(vector, {good, good}, Mode::uncached).status, Status::passed);
    const VectorResult result = play_vector(vector, {good, bad}, Mode::uncached);
    EXPECT_EQ(result.status, Status::failed);
    ASSERT_EQ(result.failures.size(), 1u);
    EXPECT_EQ(result.failures[0].variant, "bad");
    EXPECT_EQ(result.failures[0].step, 0u);
}

TEST(VerifyRunner, operations_of_other_machines_are_errors)
{
    std::string text = scripted_vector;
    const std::string step = R"({"op":"mem","a":"0x4000","d":"0000000000000000"})";
    text.replace(text.find(step), step.size(), R"({"op":"bypass","v":1})");
    const Vector vector = parse_vector(text, "scripted", 1, nullptr);
    EXPECT_THROW(
        play_vector(vector, {{"fake", [](const VectorConfig &) { return obedient(); }}}, Mode::uncached),
        std::runtime_error);
    EXPECT_THROW(family_of("smmu"), std::runtime_error);
}

TEST(VerifyRunner, disputes_apply_to_one_family_and_one_condition)
{
    Vector vector;
    vector.family = "vtd-legacy";
    vector.id = "a";
    const std::vector<Dispute> table = {
        {"rule", "vtd-legacy", [](const Vector &v) { return v.id == "a"; }, "section", "text"}};
    EXPECT_EQ(find_dispute(vector, table), &table[0]);
    vector.id = "b";
    EXPECT_EQ(find_dispute(vector, table), nullptr);
    vector.id = "a";
    vector.family = "vtd-sm-fs";
    EXPECT_EQ(find_dispute(vector, table), nullptr);
}

TEST(VerifyRunner, filters_are_shell_patterns)
{
    EXPECT_TRUE(matches_filter("vtd-legacy-1", ""));
    EXPECT_TRUE(matches_filter("vtd-legacy-1", "vtd-legacy-1"));
    EXPECT_FALSE(matches_filter("vtd-legacy-11", "vtd-legacy-1"));
    EXPECT_TRUE(matches_filter("vtd-legacy-11", "*-1?"));
}

// Cached mode: an outcome of an earlier state of memory is legal, one that no state gave is not. The
// reference is the functional system on a real legacy table: two mappings one after the other.
TEST(VerifyRunner, cached_mode_accepts_earlier_states_only)
{
    const std::string text = R"({"id":"c1","arch":"vtd-test","cfg":{"machine":"vtd","mode":"legacy","aw":39},
 "mem":[["0x100000","01101000000000000000000000000000"],["0x101180","01201000000000000100000000000000"],
        ["0x102000","0330100000000000"],["0x103000","0340100000000000"],["0x104008","0300500000000000"]],
 "regs":[["0x20",8,"0x100000"],["0x18",4,"0x40000000"],["0x18",4,"0x80000000"]],"steps":[
 {"op":"dma","dev":"0x18","rw":"r","iova":"0x1000","res":{"ok":true,"pa":"0x500000"}},
 {"op":"mem","a":"0x104008","d":"0300600000000000"},
 {"op":"mem","a":"0x104008","d":"0300700000000000"},
 {"op":"dma","dev":"0x18","rw":"r","iova":"0x1000","res":{"ok":true,"pa":"0x700000"}}]})";
    const Vector vector = parse_vector(text, "cached", 1, nullptr);
    EXPECT_EQ(play_vector(vector, functional(), Mode::uncached).status, Status::passed);
    const auto status = [&](uint64_t second, const std::string &source) {
        Vector changed = vector;
        if (!source.empty())
            changed.config.source = Source::spec;
        return play_vector(changed,
                           {{"fake",
                             [&](const VectorConfig &) {
                                 auto target = std::make_unique<FakeTarget>();
                                 target->caches = true;
                                 target->on_dma = [n = 0, second](const DmaStep &) mutable {
                                     DmaResult result;
                                     result.completion = Completion::address;
                                     result.pa = n++ == 0 ? 0x500000 : second;
                                     return result;
                                 };
                                 return target;
                             }}},
                           Mode::cached)
            .status;
    };
    EXPECT_EQ(status(0x700000, ""), Status::passed);
    EXPECT_EQ(status(0x500000, ""), Status::passed) << "before the first change";
    EXPECT_EQ(status(0x600000, ""), Status::passed) << "between the changes";
    EXPECT_EQ(status(0x800000, ""), Status::failed) << "never";
    EXPECT_EQ(status(0x500000, "spec"), Status::failed) << "exact";
    EXPECT_EQ(status(0x700000, "spec"), Status::passed);
}
