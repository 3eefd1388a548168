// SPDX-License-Identifier: Apache-2.0
//
// A scenario: a small story of threads, tables, invalidations and DMA whose outcome is known, written as a
// YAML file (docs/scenarios.md). It is played on a small system of its own (models/scenario/rig.h) under the
// eyes of the hazard tracker, and what was measured is compared with what the file expects.
//
// A file holds several variants: "base", and others that change something (a step removed, an option, a key
// of the system, a parameter) and have expectations of their own. Expectations, measures and sweeps are
// expressions over named figures (models/scenario/figures.h).
//
// The structs here are one variant, ready to be played: everything is resolved except expressions that need
// the tables, which exist only when the system has been built.
#ifndef IOMMU_SIM_MODELS_SCENARIO_SCENARIO_H
#define IOMMU_SIM_MODELS_SCENARIO_SCENARIO_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/config/diagnostic.h"
#include "models/config/system_config.h"
#include "models/scenario/expression.h"
#include "traffic/host.h"

namespace iommu_sim
{

/// Named whole numbers: parameters of a file, and figures of a run.
using Numbers = std::map<std::string, int64_t>;

/// An operation of the host with the values that are resolved when tables exist.
struct ScenarioStep {
    iom_host_op op{};
    std::string label;                 ///< `name:` of the step; empty: none
    std::string text;                  ///< the operation as written ("unmap"), for the log
    std::optional<Expression> address; ///< of store, context_change: may name places in the tables
    std::optional<Expression> value;   ///< likewise
    Origin origin;                     ///< for messages of the two
};

struct ScenarioThread {
    std::string name;
    uint32_t cpu = 0;
    uint64_t start = 0; ///< cycle
    std::vector<ScenarioStep> steps;
};

/// Done before cycle 0, without time.
struct ScenarioSetup {
    bool attach = false; ///< else map
    uint32_t device = 0;
    uint32_t pasid = IOM_NO_PASID;
    uint32_t domain = 0;
    uint64_t iova = 0, address = 0, bytes = 0;
    uint8_t permissions = 0, page_log2 = 0;
    Origin origin;
};

/// Keys of the driver that only scenarios need; costs are in the system's `driver:` section.
struct HostSettings {
    uint32_t op_cycles = 1;
    uint32_t attach_cycles = 200;
    uint32_t scan_cycles = 1;
    uint32_t pasid_slots = 64;
};

/// `figure: expectation`.
struct Expectation {
    enum class Relation { equal, different, at_least, at_most, more, less };

    std::string figure;
    Relation relation = Relation::equal;
    Expression value;
    std::string text; ///< the right side as written
    Origin origin;
};

/// A figure taken from a run of another variant with the parameters of this one.
struct Measure {
    std::string name;
    std::string variant;
    Expression value; ///< over the figures of that run
    Origin origin;
};

/// Runs measures for one value of a parameter after the other; the figure `name` is the first value for
/// which `condition` holds.
struct Sweep {
    std::string name, parameter;
    int64_t first = 0, last = 0;
    Expression condition;
    std::vector<Measure> measures;
    Origin origin;
};

struct Scenario {
    std::string id, title, variant, about;
    Numbers parameters;
    SystemConfig system;
    HostSettings host;
    std::vector<ScenarioSetup> setup;
    std::vector<ScenarioThread> threads;
    std::vector<std::string> locks, events, labels; ///< numbered as in the steps; labels: tag - 1
    std::vector<uint32_t> domains;
    std::vector<Measure> measures;
    std::vector<Sweep> sweeps;
    std::vector<Expectation> expect;
};

/// Name of the variant that changes nothing.
constexpr const char *base_variant = "base";

} // namespace iommu_sim

#endif
