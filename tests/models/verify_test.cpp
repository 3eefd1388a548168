// SPDX-License-Identifier: Apache-2.0
//
// The runner: with a scripted system that it finds what differs, and with the functional system that
// every VT-d vector passes and that changed vectors fail.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/verify/functional_target.h"
#include "models/verify/runner.h"
#include "models/verify/vector_file.h"
#include "tests/models/support/verify_fake_target.h"

using namespace iommu_sim::verify;
using nlohmann::json;

namespace
{

std::string vector_path(const std::string &family)
{
    return std::string(IOM_SOURCE_DIR) + "/tests/data/vectors/" + family + ".jsonl.zst";
}

std::vector<TargetVariant> functional()
{
    return {{"functional", make_functional_target}};
}

std::string text_of(const Failure &failure)
{
    std::string text = failure.vector + " step " +
                       (failure.step ? std::to_string(*failure.step) : std::string("(end)")) + " " +
                       failure.operation;
    for (const Difference &difference : failure.differences)
        text += "; " + difference.what + ": expected " + difference.expected + ", got " + difference.got;
    return text;
}

// ---- a scripted system --------------------------------------------------------------------------

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

// ---- the vectors, on the functional system ------------------------------------------------------

struct FamilyCase {
    const char *family;
    uint64_t vectors;
};

class VerifyVectors : public testing::TestWithParam<FamilyCase>
{
};

TEST_P(VerifyVectors, all_pass_on_the_functional_system)
{
    const FileResult result =
        play_file(vector_path(GetParam().family), "", functional(), Mode::uncached, nullptr);
    for (size_t i = 0; i < std::min<size_t>(result.failures.size(), 5); i++)
        ADD_FAILURE() << text_of(result.failures[i]);
    EXPECT_EQ(result.passed, GetParam().vectors);
    EXPECT_EQ(result.failed, 0u);
    EXPECT_EQ(result.skipped, 0u);
    EXPECT_TRUE(result.notes.empty()) << "unknown field " << *result.notes.begin();
}

static const FamilyCase family_cases[] = {
    {"vtd-legacy", 200},           {"vtd-sm-ss", 200},        {"vtd-sm-fs", 200},
    {"vtd-spec-legacy", 50},       {"vtd-spec-sm-ss", 44},    {"vtd-spec-sm-fs", 57},
    {"vtd-spec-sm-ad", 34},        {"vtd-spec-sm-nest", 67},  {"vtd-spec-sm-mix", 40},
    {"vtd-spec-sm-cfg", 67},       {"vtd-spec-int", 27},      {"vtd-spec-overflow", 20},
    {"vtd-spec-legacy-fresh", 14}, {"vtd-spec-sm-fresh", 20}, {"vtd-spec-access", 34},
    {"vtd-spec-legacy-ats", 37},   {"vtd-spec-sm-ats", 47},   {"vtd-spec-inv128", 24},
    {"vtd-spec-inv256", 30},       {"vtd-spec-iqe128", 17},   {"vtd-spec-iqe256", 27},
};

INSTANTIATE_TEST_SUITE_P(Families, VerifyVectors, testing::ValuesIn(family_cases), [](const auto &family) {
    std::string name = family.param.family;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
});

// ---- changed vectors must fail ------------------------------------------------------------------

namespace
{

std::vector<std::string> lines_of(const std::string &family)
{
    LineReader reader(vector_path(family));
    std::vector<std::string> lines;
    std::string line;
    while (reader.next(&line))
        lines.push_back(line);
    return lines;
}

// Changes expectations of a vector; returns how many changes it could make. `n` selects which one to
// make: each call makes exactly one.
using Mutation = std::function<bool(json &vector, size_t n)>;

// The n-th DMA step for which `wanted` holds gets `change`.
Mutation change_dma(const std::function<bool(const json &)> &wanted,
                    const std::function<void(json &)> &change)
{
    return [=](json &vector, size_t n) {
        for (json &step : vector["steps"]) {
            if (step["op"] == "dma" && wanted(step) && n-- == 0) {
                change(step);
                return true;
            }
        }
        return false;
    };
}

std::string plus(const json &value, uint64_t change)
{
    return hex(std::stoull(value.get<std::string>(), nullptr, 16) ^ change);
}

// The outcome that uncached mode compares with.
json &outcome(json &step)
{
    return step.contains("fresh") ? step["fresh"] : step["res"];
}

const json &outcome(const json &step)
{
    return step.contains("fresh") ? step["fresh"] : step["res"];
}

bool translated(const json &step)
{
    return outcome(step)["ok"] == true && !outcome(step)["pa"].is_null();
}

bool recorded(const json &step)
{
    return outcome(step).contains("fault") && !step.contains("spec");
}

// Every mutated vector of the family fails. (The first `limit` places of every `stride`-th vector: the
// suite should stay quick.)
void expect_all_fail(const std::string &family, const char *what, const Mutation &mutation, size_t least)
{
    constexpr size_t limit = 2;
    const std::vector<std::string> lines = lines_of(family);
    const size_t stride = lines.size() / 30 + 1;
    size_t mutated = 0;
    for (size_t at = 0; at < lines.size(); at += stride) {
        for (size_t n = 0; n < limit; n++) {
            json vector = json::parse(lines[at]);
            if (!mutation(vector, n))
                break;
            mutated++;
            const VectorResult result =
                play_vector(parse_vector(vector.dump(), family, 1, nullptr), functional(), Mode::uncached);
            EXPECT_EQ(result.status, Status::failed) << family << ": " << vector["id"] << " place " << n
                                                     << ": changed " << what << " was not noticed";
        }
    }
    EXPECT_GE(mutated, least) << family << " " << what;
}

const char *const mutated_families[] = {"vtd-legacy", "vtd-sm-ss", "vtd-sm-fs", "vtd-spec-sm-nest"};

} // namespace

TEST(VerifyMutation, changed_address)
{
    for (const char *family : mutated_families)
        expect_all_fail(
            family, "pa",
            change_dma(translated,
                       [](json &step) { outcome(step)["pa"] = plus(outcome(step)["pa"], 0x1000); }),
            20);
}

TEST(VerifyMutation, translated_instead_of_refused_and_back)
{
    for (const char *family : mutated_families) {
        expect_all_fail(
            family, "ok",
            change_dma(translated,
                       [](json &step) {
                           outcome(step) = json{{"ok", false}, {"pa", nullptr}, {"nofault", true}};
                       }),
            20);
        expect_all_fail(family, "ok",
                        change_dma(recorded,
                                   [](json &step) {
                                       outcome(step) = json{{"ok", true}, {"pa", "0x1000"}};
                                   }),
                        20);
        expect_all_fail(
            family, "record",
            change_dma(recorded,
                       [](json &step) {
                           outcome(step) = json{{"ok", false}, {"pa", nullptr}, {"nofault", true}};
                       }),
            20);
    }
}

TEST(VerifyMutation, changed_fault_reason)
{
    // A code that no mask relates to any other: "RID_PASID beyond the directory", and the interrupt
    // remapping code 0x20, which a DMA never gives.
    for (const char *family : mutated_families) {
        for (const unsigned code : {0x48u, 0x20u}) {
            expect_all_fail(family, "reason",
                            change_dma(recorded,
                                       [code](json &step) {
                                           outcome(step)["fault"].erase("reason_any");
                                           outcome(step)["fault"]["reason"] = code;
                                       }),
                            20);
        }
    }
}

TEST(VerifyMutation, permission_codes_are_not_exchanged)
{
    // Reading against writing in legacy mode, where the codes tell them apart.
    const auto permission = [](const json &step) {
        if (!recorded(step))
            return false;
        const int reason = outcome(step)["fault"]["reason"].get<int>();
        return reason == 5 || reason == 6;
    };
    expect_all_fail("vtd-legacy", "5 and 6 exchanged",
                    change_dma(permission,
                               [](json &step) {
                                   json &reason = outcome(step)["fault"]["reason"];
                                   reason = 11 - reason.get<int>();
                               }),
                    20);
    expect_all_fail("vtd-legacy", "permission made reserved",
                    change_dma(permission, [](json &step) { outcome(step)["fault"]["reason"] = 0x0a; }), 20);
}

TEST(VerifyMutation, changed_fault_fields)
{
    for (const char *family : mutated_families) {
        for (const char *field : {"sid", "addr"})
            expect_all_fail(family, field,
                            change_dma(recorded,
                                       [field](json &step) {
                                           json &value = outcome(step)["fault"][field];
                                           value = plus(value, 0x1000);
                                       }),
                            20);
        expect_all_fail(family, "type",
                        change_dma(recorded,
                                   [](json &step) {
                                       json &type = outcome(step)["fault"]["type"];
                                       type = type == "r" ? "w" : "r";
                                   }),
                        20);
    }
    // pp is masked in recordings of scalable mode only.
    for (const char *family : {"vtd-legacy", "vtd-spec-sm-nest"})
        expect_all_fail(family, "pp",
                        change_dma(recorded,
                                   [](json &step) {
                                       json &pp = outcome(step)["fault"]["pp"];
                                       pp = 1 - pp.get<int>();
                                   }),
                        20);
    expect_all_fail(
        "vtd-spec-sm-nest", "pv",
        change_dma([](const json &step) { return recorded(step) && step["res"]["fault"].contains("pv"); },
                   [](json &step) {
                       json &pv = step["res"]["fault"]["pv"];
                       pv = pv.get<int>() ^ 1;
                   }),
        20);
}

TEST(VerifyMutation, changed_final_memory)
{
    const char *fin_of[][2] = {{"vtd-sm-fs", "finfresh"}, {"vtd-spec-sm-ad", "fin"}};
    for (const auto &[family, key] : fin_of) {
        for (const uint64_t bit : {UINT64_C(0x80), UINT64_C(0x1000), UINT64_C(1) << 62}) {
            const auto change = [key = key, bit](json &vector, size_t n) {
                if (n >= vector[key].size())
                    return false;
                vector[key][n][1] = plus(vector[key][n][1], bit);
                return true;
            };
            expect_all_fail(family, "table word", change, 20);
        }
        // A bit of the first stage that the recording has and the table word must have, too.
        const auto drop = [key = key](json &vector, size_t n) {
            if (n >= vector[key].size())
                return false;
            vector[key][n][0] = plus(vector[key][n][0], 0x100000000);
            return true;
        };
        expect_all_fail(family, "place of a table word", drop, 20);
    }
    expect_all_fail(
        "vtd-spec-sm-ad", "list of table words",
        [](json &vector, size_t n) {
            if (n >= vector["fin"].size())
                return false;
            vector["fin"].erase(n);
            return true;
        },
        20);
}

TEST(VerifyMutation, changed_registers)
{
    const auto change = [](json &vector, size_t n) {
        for (json &step : vector["steps"]) {
            if (!step.contains("expect"))
                continue;
            for (auto &[name, value] : step["expect"].items()) {
                if (n-- != 0)
                    continue;
                const uint64_t mask = std::stoull(step["mask"][name].get<std::string>(), nullptr, 16);
                value = plus(value, mask & ~(mask - 1)); // lowest bit that counts
                return true;
            }
        }
        return false;
    };
    expect_all_fail("vtd-spec-overflow", "register", change, 20);
    expect_all_fail(
        "vtd-spec-overflow", "record index",
        change_dma(recorded, [](json &step) { step["res"]["rec"] = step["res"]["rec"].get<int>() + 1; }), 20);
}

TEST(VerifyMutation, changed_translation_completions)
{
    const auto granted = [](const json &step) {
        return step.value("at", "u") == "t" && step["res"].contains("size_log2");
    };
    for (const char *flag : {"r", "w", "x", "priv"})
        expect_all_fail(
            "vtd-spec-sm-ats", flag,
            change_dma(granted, [flag](json &step) { step["res"][flag] = 1 - step["res"][flag].get<int>(); }),
            20);
    expect_all_fail("vtd-spec-sm-ats", "size",
                    change_dma(granted, [](json &step) { step["res"]["size_log2"] = 11; }), 20);
}
