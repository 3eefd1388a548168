// SPDX-License-Identifier: Apache-2.0
//
// The files of vectors: every VT-d vector passes on the functional system, and changed ones fail.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/verify/vector_file.h"
#include "tests/models/verify_fixture.hpp"

using namespace verify_fixture;
using nlohmann::json;

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
    iommu_sim::LineReader reader(vector_path(family));
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
