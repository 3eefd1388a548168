// SPDX-License-Identifier: Apache-2.0
//
// The files of RISC-V vectors: all pass on the functional system, and every kind of expectation counts:
// changed ones fail.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "models/verify/vector_file.h"
#include "tests/models/verify_fixture.hpp"

using namespace verify_fixture;
using nlohmann::json;

class VerifyRiscvVectors : public testing::TestWithParam<const char *>
{
};

TEST_P(VerifyRiscvVectors, all_pass_on_the_functional_system)
{
    const std::string family = GetParam();
    const FileResult result = play_file(vector_path(family), "", functional(), Mode::uncached, nullptr);
    for (size_t i = 0; i < std::min<size_t>(result.failures.size(), 5); i++)
        ADD_FAILURE() << text_of(result.failures[i]);
    EXPECT_EQ(result.passed, family.find("iommu") != std::string::npos ? 500u : 200u);
    EXPECT_EQ(result.total(), result.passed);
    EXPECT_FALSE(result.queue_ignored);
    EXPECT_TRUE(result.notes.empty()) << "unknown field " << *result.notes.begin();
}

INSTANTIATE_TEST_SUITE_P(Families, VerifyRiscvVectors,
                         testing::Values("riscv-iommu-00", "riscv-iommu-01", "riscv-iommu-02", "riscv-s",
                                         "riscv-g", "riscv-sg", "riscv-pdt", "riscv-mix"),
                         [](const auto &family) {
                             std::string name = family.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

namespace
{

const std::vector<std::string> &lines_of(const std::string &family)
{
    static std::map<std::string, std::vector<std::string>> known;
    std::vector<std::string> &lines = known[family];
    if (lines.empty()) {
        iommu_sim::LineReader reader(vector_path(family));
        std::string line;
        while (reader.next_filled(&line))
            lines.push_back(line);
    }
    return lines;
}

/// Changes one expectation of a step, if it has it.
using Change = std::function<bool(json &step)>;

// In up to `most` vectors one step each is changed; every changed vector must fail at that step or, where a
// register is said to hold on, behind it.
void expect_all_fail(const std::string &family, const char *what, const Change &change, size_t most = 12)
{
    size_t changed = 0;
    for (const std::string &line : lines_of(family)) {
        json vector = json::parse(line);
        size_t at = 0;
        while (at < vector["steps"].size() && !change(vector["steps"][at]))
            at++;
        if (at == vector["steps"].size())
            continue;
        const VectorResult result =
            play_vector(parse_any_vector(vector.dump(), family, 1, nullptr), functional(), Mode::uncached);
        EXPECT_EQ(result.status, Status::failed)
            << family << ": " << vector["id"] << " step " << at << ": changed " << what << " was not noticed";
        if (!result.failures.empty()) {
            EXPECT_EQ(result.failures[0].step, at) << vector["id"] << " " << what;
        }
        if (++changed == most)
            return;
    }
    EXPECT_GE(changed, 3u) << family << ": " << what;
}

std::string flip(const json &value, uint64_t bits)
{
    return hex(std::stoull(value.get<std::string>(), nullptr, 16) ^ bits);
}

const char *const file = "riscv-iommu-01";

bool is_request(const json &step, const char *key)
{
    return step["op"] == "req" && !step.contains("may_be_stale") && step["expect"].contains(key);
}

void expect_field_counts(const char *key, const std::function<void(json &)> &change)
{
    expect_all_fail(file, key, [=](json &step) {
        if (!is_request(step, key) || step["expect"][key].is_null())
            return false;
        change(step["expect"][key]);
        return true;
    });
}

void increment(json &value)
{
    value = value.get<int>() + 1;
}

void toggle(json &value)
{
    value = 1 - value.get<int>();
}

} // namespace

TEST(VerifyRiscvMutation, results_of_requests)
{
    expect_all_fail(file, "pa", [](json &step) {
        if (!is_request(step, "pa"))
            return false;
        // A larger page would make the change of a low bit a contradiction that the reader sees.
        step["expect"].erase("ppn");
        step["expect"]["pa"] = flip(step["expect"]["pa"], 0x1000);
        return true;
    });
    expect_all_fail(file, "status", [](json &step) {
        if (!is_request(step, "pa"))
            return false;
        step["expect"] = json{{"status", "UR"}};
        return true;
    });
    expect_all_fail(file, "completer abort", [](json &step) {
        if (step["op"] != "req" || step["expect"].value("status", "") != "CA")
            return false;
        step["expect"]["status"] = "UR";
        return true;
    });
    expect_field_counts("pbmt", [](json &value) { value = (value.get<int>() + 1) % 3; });
    // A device that asks for a translation does not see the file.
    const auto of_file = [](const char *key, const std::function<void(json &)> &change) {
        expect_all_fail(file, key, [=](json &step) {
            if (!is_request(step, key) || step["at"] == 1)
                return false;
            change(step["expect"][key]);
            return true;
        });
    };
    of_file("mrif_addr", [](json &value) { value = flip(value, 0x200); });
    of_file("mrif_nid", [](json &value) { value = value.get<int>() ^ 1; });
    expect_all_fail(file, "size", [](json &step) {
        if (!is_request(step, "size_log2") || step["expect"]["size_log2"] != 21 || step["at"] != 1)
            return false;
        step["expect"].erase("size_max_log2");
        step["expect"]["size_log2"] = 11; // larger than that is illegal
        return true;
    });
}

TEST(VerifyRiscvMutation, answers_to_translation_requests)
{
    for (const char *flag : {"r", "x", "u", "priv", "n", "cxl_io"})
        expect_all_fail(file, flag, [=](json &step) {
            if (!is_request(step, "x") || !step["expect"].contains(flag))
                return false;
            toggle(step["expect"][flag]);
            return true;
        });
    for (const char *flag : {"w", "global"})
        expect_all_fail(file, flag, [=](json &step) {
            if (!is_request(step, "x") || step["expect"][flag].is_null())
                return false;
            toggle(step["expect"][flag]);
            return true;
        });
    expect_all_fail(file, "ama", [](json &step) {
        if (!is_request(step, "x"))
            return false;
        increment(step["expect"]["ama"]);
        return true;
    });
}

TEST(VerifyRiscvMutation, fault_records)
{
    const auto with_record = [](const std::function<void(json &)> &change) {
        return [change](json &step) {
            if (!step.contains("expect") || !step["expect"].contains("faults") ||
                step.contains("may_be_stale"))
                return false;
            change(step["expect"]["faults"]);
            return true;
        };
    };
    for (const char *field : {"cause", "ttyp", "did", "pid"})
        expect_all_fail(file, field, with_record([=](json &faults) { increment(faults[0][field]); }));
    for (const char *field : {"pv", "priv"})
        expect_all_fail(file, field, with_record([=](json &faults) { toggle(faults[0][field]); }));
    for (const char *field : {"iotval", "iotval2"})
        expect_all_fail(file, field, with_record([=](json &faults) {
                            faults[0][field] = flip(faults[0][field], 0x1000);
                        }));
    expect_all_fail(file, "number of records",
                    with_record([](json &faults) { faults.push_back(faults[0]); }));
    expect_all_fail(file, "no record", with_record([](json &faults) { faults = json::array(); }));
}

TEST(VerifyRiscvMutation, effects)
{
    const auto with = [](const char *key, const std::function<void(json &)> &change) {
        return [key, change](json &step) {
            if (!step.contains("expect") || !step["expect"].contains(key))
                return false;
            change(step["expect"][key]);
            return true;
        };
    };
    expect_all_fail(file, "memory word", with("mem", [](json &m) { m[0][1] = flip(m[0][1], 0x80); }));
    expect_all_fail(file, "list of memory words", with("mem", [](json &m) { m.erase(0); }));
    expect_all_fail(file, "page request payload",
                    with("pq", [](json &p) { p[0]["payload"] = flip(p[0]["payload"], 8); }));
    for (const char *field : {"priv", "exec", "pv"})
        expect_all_fail(file, field, with("pq", [=](json &p) { toggle(p[0][field]); }));
    expect_all_fail(file, "no page request", with("pq", [](json &p) { p = json::array(); }));
    expect_all_fail(file, "message payload",
                    with("msgs", [](json &m) { m[0]["payload"] = flip(m[0]["payload"], 0x1000); }));
    expect_all_fail(file, "message requester",
                    with("msgs", [](json &m) { m[0]["rid"] = m[0]["rid"].get<int>() ^ 1; }));
    expect_all_fail(file, "no message", with("msgs", [](json &m) { m = json::array(); }));
    for (const char *which : {"pr", "pw"})
        expect_all_fail(file, which, with("gos", [=](json &g) { toggle(g[which]); }));
    for (const char *name : {"cqh", "cqcsr", "fqcsr", "pqcsr", "ipsr"})
        expect_all_fail(file, name, [=](json &step) {
            if (!step.contains("expect") || !step["expect"].contains("regs") ||
                !step["expect"]["regs"].contains(name))
                return false;
            json &value = step["expect"]["regs"][name];
            value = hex((value.is_string() ? std::stoull(value.get<std::string>(), nullptr, 16)
                                           : value.get<uint64_t>()) ^
                        1);
            return true;
        });
    expect_all_fail(file, "register read", [](json &step) {
        if (step["op"] != "reg_read" || step["expect"]["mask"] == "0x0")
            return false;
        const uint64_t mask = std::stoull(step["expect"]["mask"].get<std::string>(), nullptr, 16);
        step["expect"]["val"] = flip(step["expect"]["val"], mask & ~(mask - 1));
        return true;
    });
}

// Recorded vectors: `ref` decides.
TEST(VerifyRiscvMutation, recordings)
{
    const auto with_ref = [](bool ok, const std::function<void(json &)> &change) {
        return [ok, change](json &step) {
            if (step["op"] != "dma" || step["ref"]["ok"] != ok || (!ok && !step["ref"].contains("fault")))
                return false;
            change(step["ref"]);
            return true;
        };
    };
    expect_all_fail("riscv-sg", "pa", with_ref(true, [](json &ref) { ref["pa"] = flip(ref["pa"], 0x1000); }));
    expect_all_fail("riscv-sg", "ok", with_ref(true, [](json &ref) {
                        ref = json{{"ok", false}, {"pa", nullptr}, {"nofault", true}};
                    }));
    for (const char *field : {"cause", "ttype", "pv", "priv", "pid"})
        expect_all_fail("riscv-sg", field,
                        with_ref(false, [=](json &ref) { increment(ref["fault"][field]); }));
    for (const char *field : {"did", "iotval", "iotval2"})
        expect_all_fail("riscv-sg", field, with_ref(false, [=](json &ref) {
                            ref["fault"][field] = flip(ref["fault"][field], 0x1000);
                        }));
    for (const char *field : {"cqh", "cqt"})
        expect_all_fail("riscv-mix", field, [=](json &step) {
            if (step["op"] != "cmd")
                return false;
            increment(step["res"][field]);
            return true;
        });
    for (const char *field : {"cqcsr", "status"})
        expect_all_fail("riscv-mix", field, [=](json &step) {
            if (step["op"] != "cmd" || !step["res"].contains(field))
                return false;
            step["res"][field] = flip(step["res"][field], 0x100);
            return true;
        });
}
