// SPDX-License-Identifier: Apache-2.0
//
// Notes what the host reports while a scenario is played, and turns it into figures and a log.
#ifndef IOMMU_SIM_MODELS_SCENARIO_RECORDER_H
#define IOMMU_SIM_MODELS_SCENARIO_RECORDER_H

#include <string>
#include <vector>

#include "models/scenario/scenario.h"

namespace iommu_sim
{

class ReportRecorder
{
  public:
    explicit ReportRecorder(const Scenario &scenario) : scenario_(scenario)
    {
    }

    /// Hook of the host: `context` is a ReportRecorder.
    static void note(void *context, const iom_host_report *report);

    void add_figures(Numbers &figures) const;
    std::vector<std::string> log() const;

  private:
    struct Entry {
        iom_host_report report; ///< pointers in it are not used later
        uint64_t fault_code = 0, address = 0;
        iom_cycle looked_up = 0, translated = 0, visible = 0;
        bool is_write = false, faulted = false;
        uint32_t tag = 0;
    };

    void add_dma(const Entry &entry, const std::string &prefix, Numbers &figures) const;
    void add_call(const Entry &entry, const std::string &prefix, Numbers &figures) const;
    std::string line(const Entry &entry) const;

    const Scenario &scenario_;
    std::vector<Entry> entries_;
};

} // namespace iommu_sim

#endif
