// SPDX-License-Identifier: Apache-2.0
//
// Building the system of a scenario. See rig.h.
#ifndef IOMMU_SIM_MODELS_SCENARIO_BUILD_H
#define IOMMU_SIM_MODELS_SCENARIO_BUILD_H

#include <memory>
#include <vector>

#include "core/device_tlb.h"
#include "core/iommu.h"
#include "core/link.h"
#include "core/memory.h"
#include "core/netlist.h"
#include "core/tracker_report.h"
#include "models/architecture.h"
#include "models/scenario/scenario.h"
#include "traffic/host.h"
#include "traffic/mapper.h"

namespace iommu_sim
{

/// Owns all units. Members are public: this is the inside of rig.cpp.
class ScenarioSystem
{
  public:
    using OnReport = void (*)(void *context, const iom_host_report *report);

    /// Throws std::runtime_error with a message for the user.
    ScenarioSystem(const Scenario &scenario, OnReport on_report, void *context);
    ~ScenarioSystem();
    ScenarioSystem(const ScenarioSystem &) = delete;
    ScenarioSystem &operator=(const ScenarioSystem &) = delete;

    std::unique_ptr<ArchitectureInstance> arch;
    iom_netlist netlist{};
    iom_memory_image *image = nullptr;
    iom_tracker *tracker = nullptr;
    iom_memory *memory = nullptr;
    iom_mapper *mapper = nullptr;
    iom_iommu iommu{};
    bool iommu_made = false;
    iom_host *host = nullptr;
    std::vector<iom_device_tlb *> device_tlbs; ///< one per device, null without ATS
    std::vector<iom_link *> links;
    std::vector<std::vector<iom_host_op>> programs; ///< of the threads

  private:
    void make_memory();
    void make_mapper();
    void make_host(OnReport on_report, void *context);
    void make_iommu();
    void connect_host();
    void connect_device(uint32_t index, uint32_t &device_tlb);
    void set_up();
    void resolve();
    void free_all();

    const Scenario &scenario_;
};

} // namespace iommu_sim

#endif
