// SPDX-License-Identifier: Apache-2.0
//
// Playing scenarios (models/scenario/runner.h): every kind of expectation can fail, measures and sweeps, both
// kernels alike, deadlocks reported. What the built-in scenarios give is checked by
// tests/cli/scenario_test.py.
#include <gtest/gtest.h>

#include "models/scenario/library.h"
#include "models/scenario/runner.h"
#include "tests/models/support/scenario_text.h"

namespace iommu_sim
{
namespace
{

const char *const unmap_steps = R"(    - dma: {name: before, device: nic, iova: page, wait: true}
    - lock: big
    - unmap: {name: unmap, domain: 2, iova: page}
    - unlock: big
    - mark: done
    - dma: {name: after, device: nic, iova: page, wait: true}
)";

ScenarioResult run(const std::string &text, const std::string &variant = "base")
{
    const ScenarioFile file(text, "test.yaml");
    EXPECT_TRUE(file.problems().empty()) << file.problems()[0];
    return run_scenario(file, variant, ScenarioKernel::core);
}

/// Plays the unmap with one expectation; empty if it is met, else "figure: expected ..., got ...".
std::string unmet(const std::string &expectation)
{
    const ScenarioResult result = run(scenario_text(unmap_steps, "  " + expectation + "\n"));
    if (result.ok())
        return "";
    EXPECT_EQ(result.unmet.size(), 1u);
    return result.unmet[0].figure + ": expected " + result.unmet[0].expected + ", got " + result.unmet[0].got;
}

TEST(ScenarioRun, RightExpectationsAreMet)
{
    for (const char *good : {"stale: 0",
                             "missing: 0",
                             "commands: 1",
                             "commands.iotlb: 1",
                             "commands.device: 0",
                             "submissions: 1",
                             "waits: 1",
                             "dma.before.address: 0x100000",
                             "dma.after.faulted: true",
                             "dma.before.faulted: false",
                             "call.unmap.commands: n - 1",
                             "lock.big.acquired: 1",
                             "lock.big.hold: at least call.unmap.cycles",
                             "lock.big.wait: at most 100",
                             "mark.done: at least call.unmap.ended",
                             "entries.iotlb: 0",
                             "faults: 1",
                             "finished: 1",
                             "call.unmap.ended - call.unmap.begun: call.unmap.cycles",
                             "commands: not 2",
                             "dma.after.sent: more than mark.done - 1"})
        EXPECT_EQ(unmet(good), "") << good;
}

TEST(ScenarioRun, EveryKindOfExpectationCanFail)
{
    EXPECT_EQ(unmet("stale: 1"), "stale: expected 1, got 0");
    EXPECT_EQ(unmet("windows: at least 1"), "windows: expected at least 1, got 0");
    EXPECT_EQ(unmet("duplicates: 1"), "duplicates: expected 1, got 0");
    EXPECT_EQ(unmet("missing: 1"), "missing: expected 1, got 0");
    EXPECT_EQ(unmet("exposures: 1"), "exposures: expected 1, got 0");
    EXPECT_EQ(unmet("late_effects: 1"), "late_effects: expected 1, got 0");
    EXPECT_EQ(unmet("latent: 1"), "latent: expected 1, got 0");
    EXPECT_EQ(unmet("commands: 2"), "commands: expected 2, got 1");
    EXPECT_EQ(unmet("commands.iotlb: 0"), "commands.iotlb: expected 0, got 1");
    EXPECT_EQ(unmet("commands.context: 1"), "commands.context: expected 1, got 0");
    EXPECT_EQ(unmet("commands.pages_log2: 1"), "commands.pages_log2: expected 1, got 0");
    EXPECT_EQ(unmet("submissions: 2"), "submissions: expected 2, got 1");
    EXPECT_EQ(unmet("dma.before.address: 0x200000"), "dma.before.address: expected 0x200000, got 0x100000");
    EXPECT_EQ(unmet("dma.after.faulted: false"), "dma.after.faulted: expected false = 0, got 1");
    EXPECT_EQ(unmet("lock.big.acquired: at most 0"), "lock.big.acquired: expected at most 0, got 1");
    EXPECT_EQ(unmet("entries.iotlb: not 0"), "entries.iotlb: expected not 0, got 0");
    EXPECT_EQ(unmet("finished: 0"), "finished: expected 0, got 1");
    for (const char *bad :
         {"lock.big.hold: 1", "lock.big.hold: less than call.unmap.cycles", "mark.done: 0",
          "dma.after.sent: less than mark.done", "call.unmap.cycles: more than 100000",
          "call.unmap.ended: call.unmap.begun", "dma.before.cycles: 1", "walk_reads: 0", "end: 0"})
        EXPECT_NE(unmet(bad), "") << bad;
}

TEST(ScenarioRun, AFigureWithoutValueFails)
{
    const std::string text = unmet("dma.after.address: 0");
    EXPECT_NE(text.find("has no value"), std::string::npos) << text;
}

TEST(ScenarioRun, OmittedFlushIsStale)
{
    const ScenarioResult result =
        run(scenario_text("    - dma: {device: nic, iova: page, wait: true}\n"
                          "    - unmap: {domain: 2, iova: page, options: [no_iotlb_flush]}\n"
                          "    - dma: {name: after, device: nic, iova: page, wait: true}\n",
                          "  stale: 1\n  missing: at least 1\n  dma.after.address: 0x100000\n"));
    EXPECT_TRUE(result.ok()) << result.unmet[0].figure << " " << result.unmet[0].got;
    EXPECT_FALSE(result.findings.empty());
}

TEST(ScenarioRun, ADeadlockIsAFailure)
{
    const ScenarioResult result =
        run(scenario_text("    - signal: go\n    - await: {event: go, times: 2}\n", "  commands: 0\n"));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.unmet[0].figure, "finished");
}

TEST(ScenarioRun, MeasuresAndSweeps)
{
    const std::string more = R"(variants:
  swept:
    measure:
      one: {variant: base, value: commands}
    sweep:
      found:
        parameter: n
        from: 1
        to: 6
        first_with: sent > 3 * one
        measure:
          sent: {variant: many, value: commands}
    expect: {found: 4, one: 1}
  many:
    threads:
      cpu:
        - repeat: {times: n, steps: [{flush: {kind: iotlb_domain, domain: 2}}]}
        - sync
    expect: {commands: n}
  never:
    sweep:
      found:
        parameter: n
        from: 1
        to: 2
        first_with: sent > 10
        measure:
          sent: {variant: many, value: commands}
    expect: {commands: 1}
)";
    const std::string text = scenario_text(unmap_steps, "  commands: 1\n", more);
    const ScenarioResult swept = run(text, "swept");
    EXPECT_TRUE(swept.ok()) << swept.unmet[0].figure << " " << swept.unmet[0].got;
    EXPECT_TRUE(run(text, "many").ok());
    const ScenarioResult never = run(text, "never");
    ASSERT_EQ(never.unmet.size(), 1u);
    EXPECT_NE(never.unmet[0].got.find("holds for no n"), std::string::npos);
}

TEST(ScenarioRun, TheSameTwice)
{
    const std::string text = scenario_text(unmap_steps, "  stale: 0\n");
    const ScenarioResult first = run(text);
    const ScenarioResult second = run(text);
    EXPECT_EQ(first.figures, second.figures);
    EXPECT_EQ(first.log, second.log);
}

// SystemC elaborates in a process of its own, so this can be one of many tests.
TEST(ScenarioRun, BothKernelsGiveTheSameFigures)
{
    const std::vector<ScenarioFile> files = read_scenarios(built_in_scenarios());
    for (const ScenarioFile &file : files) {
        if (file.id() != "A1" && file.id() != "A6" && file.id() != "F1")
            continue;
        const ScenarioResult core = run_scenario(file, "base", ScenarioKernel::core);
        const ScenarioResult systemc = run_scenario(file, "base", ScenarioKernel::systemc);
        EXPECT_EQ(core.figures, systemc.figures) << file.id();
        EXPECT_EQ(core.log, systemc.log) << file.id();
        EXPECT_EQ(core.findings, systemc.findings) << file.id();
    }
}

} // namespace
} // namespace iommu_sim
