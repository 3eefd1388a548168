// SPDX-License-Identifier: Apache-2.0
//
// From the steps written in a scenario file to operations of the host (traffic/host.h).
#ifndef IOMMU_SIM_MODELS_SCENARIO_STEP_READER_H
#define IOMMU_SIM_MODELS_SCENARIO_STEP_READER_H

#include <array>
#include <functional>

#include "models/scenario/arguments.h"

namespace iommu_sim
{

/// Reads the steps of all threads of one scenario; numbers locks, events and labels as they appear.
class StepReader
{
  public:
    StepReader(Scenario &scenario, ReadingContext &context) : scenario_(scenario), context_(context)
    {
    }

    /// `list` is a list of steps; `repeat` is unrolled.
    void steps(const ValueNode &list, const std::string &path, ScenarioThread &thread);
    /// Entries of `setup`.
    void setup(const ValueNode &list, const std::string &path);
    /// Events that are awaited but never signalled, locks that are never given up.
    void finish();

    static std::vector<std::string> operation_names();
    /// Name, keys and description of each operation.
    static std::vector<std::array<std::string, 3>> documentation();

  private:
    struct Operation;
    struct EventUse {
        std::string name;
        Origin origin;
        std::string path;
    };
    static const std::vector<Operation> &operations();

    void step(const ValueNode &item, const std::string &path, ScenarioThread &thread);
    void repeat(const ValueNode &value, const std::string &path,
                const std::function<void(const ValueNode &, const std::string &)> &body);
    void operation(const Operation &operation, const ValueNode &value, const std::string &path,
                   ScenarioThread &thread);
    void setup_entry(const ValueNode &item, const std::string &path);
    const ValueNode *single(const ValueNode &item, const std::string &path, std::string &name) const;

    uint32_t device(Arguments &arguments, const std::string &key = "device");
    uint32_t domain(Arguments &arguments, bool is_required);
    uint32_t pasid(Arguments &arguments);
    uint8_t permissions(Arguments &arguments);
    uint8_t page_size(Arguments &arguments);
    void options(Arguments &arguments, ScenarioStep &step);
    std::optional<Expression> place(Arguments &arguments, const std::string &key);
    void label(Arguments &arguments, ScenarioStep &step);

    // One for each group of operations.
    void read_time(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_object(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_tables(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_store(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_flush(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_command(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_sync(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_dma(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_device(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_report(const Operation &operation, Arguments &arguments, ScenarioStep &step);
    void read_nothing(const Operation &operation, Arguments &arguments, ScenarioStep &step);

    Scenario &scenario_;
    ReadingContext &context_;
    std::vector<EventUse> awaited_;
    std::vector<std::string> signalled_;
    bool wait_after_ = false; ///< the step just read wants its answers awaited
};

/// Number of `name` in `list`, which it joins if it is new.
uint32_t number_of(std::vector<std::string> &list, const std::string &name);

} // namespace iommu_sim

#endif
