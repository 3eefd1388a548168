// SPDX-License-Identifier: Apache-2.0
//
// Reading scenario files (models/scenario/scenario_file.h): what the built-in files hold, what variants
// change, and that mistakes are found before anything runs, with their place.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "models/scenario/library.h"
#include "models/scenario/scenario_file.h"
#include "tests/models/support/scenario_text.h"

namespace iommu_sim
{
namespace
{

const char *const good_steps = R"(    - repeat:
        times: n
        with: i
        steps:
          - dma: {name: use, device: nic, iova: page + i * 64, wait: true}
    - unmap: {name: unmap, domain: 2, iova: page}
    - sync: {name: last}
)";
const char *const good_expectations = R"(  stale: 0
  dma.use.count: n
)";
const char *const good_variants = R"(variants:
  changed:
    parameters: {n: 3}
    change: {unmap: {options: [no_iotlb_flush]}}
    expect: {stale: at least 0}
  removed:
    remove: [use, last]
    expect: {commands: 1}
)";
const std::string good = scenario_text(good_steps, good_expectations, good_variants);

std::string replaced(std::string text, const std::string &what, const std::string &by)
{
    const size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
}

/// The one message about a file with one mistake.
std::string problem(const std::string &what, const std::string &by)
{
    const ScenarioFile file(replaced(good, what, by), "test.yaml");
    EXPECT_EQ(file.problems().size(), 1u) << by;
    return file.problems().empty() ? "" : file.problems()[0];
}

TEST(ScenarioFile, ReadsAGoodFile)
{
    const ScenarioFile file(good, "test.yaml");
    ASSERT_TRUE(file.problems().empty()) << file.problems()[0];
    EXPECT_EQ(file.id(), "T1");
    EXPECT_EQ(file.variants(), (std::vector<std::string>{"base", "changed", "removed"}));
    const Scenario base = file.instantiate("base");
    ASSERT_EQ(base.threads.size(), 1u);
    // dma, await, dma, await, unmap, sync
    ASSERT_EQ(base.threads[0].steps.size(), 6u);
    EXPECT_EQ(base.threads[0].steps[0].op.iova, 0x1000u);
    EXPECT_EQ(base.threads[0].steps[2].op.iova, 0x1040u);
    EXPECT_EQ(base.threads[0].steps[1].op.kind, IOM_HOST_AWAIT_REQUESTS);
    EXPECT_EQ(base.threads[0].steps[4].op.options, 0u);
    EXPECT_EQ(base.domains, std::vector<uint32_t>{2});
}

TEST(ScenarioFile, VariantsChangeStepsAndParameters)
{
    const ScenarioFile file(good, "test.yaml");
    const Scenario changed = file.instantiate("changed");
    EXPECT_EQ(changed.threads[0].steps.size(), 8u);
    EXPECT_EQ(changed.threads[0].steps[6].op.options, uint32_t{IOM_HOST_NO_IOTLB_FLUSH});
    const Scenario removed = file.instantiate("removed");
    ASSERT_EQ(removed.threads[0].steps.size(), 1u);
    EXPECT_EQ(removed.threads[0].steps[0].op.kind, IOM_HOST_UNMAP);
    EXPECT_EQ(file.instantiate("base", {{"n", 5}}).threads[0].steps.size(), 12u);
}

TEST(ScenarioFile, MistakesAreNamedWithTheirPlace)
{
    EXPECT_EQ(problem("title: a test\n", "titel: a test\ntitle: a test\n"),
              "test.yaml:2:1: titel: unknown key (did you mean title?)");
    EXPECT_EQ(problem("- unmap: {", "- unmpa: {"),
              "test.yaml:21:7: threads.cpu[1].unmpa: unknown operation (did you mean unmap?)");
    EXPECT_EQ(problem("device: nic, iova", "device: nik, iova"),
              "test.yaml:20:38: threads.cpu[0].repeat.steps[0].dma.device: there is no device 'nik' in "
              "system.devices "
              "(did you mean nic?)");
    EXPECT_EQ(problem("stale: 0\n", "stael: 0\n"),
              "test.yaml:24:10: expect.stael: there is no figure 'stael' (did you mean stale?)");
    EXPECT_EQ(problem("times: n", "times: m"),
              "test.yaml:17:16: threads.cpu[0].repeat.times: there is no parameter 'm'");
    EXPECT_EQ(
        problem("remove: [use, last]", "remove: [use, lost]"),
        "test.yaml:32:19: variants.removed.remove: there is no step with name: lost (did you mean last?)");
    EXPECT_EQ(
        problem("options: [no_iotlb_flush]", "options: [no_itlb_flush]"),
        "test.yaml:29:32: threads.cpu[1].unmap.options: there is no option 'no_itlb_flush' (did you mean "
        "no_iotlb_flush?)");
}

TEST(ScenarioFile, RefusesWhatCouldNotBeMeant)
{
    const auto has = [](const std::string &text, const std::string &what) {
        const ScenarioFile file(text, "test.yaml");
        return std::any_of(file.problems().begin(), file.problems().end(), [&](const std::string &problem) {
            return problem.find(what) != std::string::npos;
        });
    };
    EXPECT_TRUE(has(replaced(good, "id: T1", "id: t1"), "capital letters and a number"));
    EXPECT_TRUE(has(replaced(good, "id: T1", "id: T1\nid: T2"), "id"));
    EXPECT_TRUE(has(replaced(good, "iova: page, address", "iova: [1], address"), "expected one value"));
    EXPECT_TRUE(
        has(replaced(good, "    expect: {commands: 1}\n", "    about: no expectation\n"), "needs `expect`"));
    EXPECT_TRUE(
        has(replaced(good, "    - sync: {name: last}", "    - await: nothing\n    - sync: {name: last}"),
            "nobody signals 'nothing'"));
    EXPECT_TRUE(
        has(replaced(good, "iova: page + i * 64", "iova: page + 4090"), "does not cross a 4 KiB page"));
    EXPECT_TRUE(has(replaced(good, "domain: 2, iova: page}", "domain: 65536, iova: page}"), "out of range"));
    EXPECT_TRUE(has(replaced(good, "times: n", "times: -1"), "out of range"));
    EXPECT_TRUE(
        has(replaced(good, "system:\n", "system:\n  iotlb: {entreis: 4}\n"), "did you mean entries?"));
    EXPECT_TRUE(
        has(replaced(good, "system:\n", "system:\n  iotlb: {entries: 12, ways: 5}\n"), "system.iotlb"));
    EXPECT_TRUE(has("", "empty"));
    EXPECT_TRUE(has("- a\n- b\n", "a scenario is a map"));
    EXPECT_TRUE(has("id: [", ""));
}

TEST(ScenarioFile, AParameterThatMakesAValueUnusableIsReported)
{
    const ScenarioFile file(good, "test.yaml");
    EXPECT_THROW(file.instantiate("base", {{"page", 0x1fff}}), std::runtime_error); // crosses a page
}

TEST(ScenarioLibrary, HoldsAllScenariosOfTheGroups)
{
    const std::vector<ScenarioFile> files = read_scenarios(built_in_scenarios());
    std::set<std::string> ids;
    for (const ScenarioFile &file : files) {
        ids.insert(file.id());
        EXPECT_GE(file.variants().size(), 2u) << file.id() << " has no second variant";
    }
    for (int i = 1; i <= 16; i++)
        EXPECT_EQ(ids.count("A" + std::to_string(i)), 1u) << i;
    for (int i = 1; i <= 7; i++)
        EXPECT_EQ(ids.count("E" + std::to_string(i)), 1u) << i;
    for (const int i : {1, 2, 3, 4, 6, 8})
        EXPECT_EQ(ids.count("F" + std::to_string(i)), 1u) << i;
    EXPECT_TRUE(std::is_sorted(files.begin(), files.end(), [](const ScenarioFile &a, const ScenarioFile &b) {
        return scenario_id_before(a.id(), b.id());
    }));
}

TEST(ScenarioLibrary, OrdersByNumber)
{
    EXPECT_TRUE(scenario_id_before("A2", "A10"));
    EXPECT_FALSE(scenario_id_before("A10", "A2"));
    EXPECT_TRUE(scenario_id_before("A16", "E1"));
    EXPECT_FALSE(scenario_id_before("A1", "A1"));
    EXPECT_EQ(scenario_group("A10"), "A");
}

TEST(ScenarioLibrary, TwoFilesOfOneIdAreAMistake)
{
    EXPECT_THROW(read_scenarios({{"a.yaml", good}, {"b.yaml", good}}), std::runtime_error);
}

} // namespace
} // namespace iommu_sim
