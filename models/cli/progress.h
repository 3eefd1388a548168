// SPDX-License-Identifier: Apache-2.0
//
// The progress line of a long run, on standard error. It appears after a second, is renewed a few times
// per second, and erases itself. It reads the wall clock and therefore never influences a result.
#ifndef IOMMU_SIM_MODELS_CLI_PROGRESS_H
#define IOMMU_SIM_MODELS_CLI_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <functional>

#include "core/base.h"
#include "models/config/system_config.h"

namespace iommu_sim
{

class ProgressLine
{
  public:
    /// `fraction` tells how much of the run is done (0..1, negative = not known).
    ProgressLine(Progress when, uint32_t tick_ps, std::function<double(iom_cycle, uint64_t)> fraction);
    ~ProgressLine();
    ProgressLine(const ProgressLine &) = delete;
    ProgressLine &operator=(const ProgressLine &) = delete;

    void update(iom_cycle cycle, uint64_t completed);
    /// Removes the line.
    void erase();

  private:
    using Clock = std::chrono::steady_clock;

    bool enabled_;
    bool terminal_;
    bool shown_ = false;
    uint32_t tick_ps_;
    std::function<double(iom_cycle, uint64_t)> fraction_;
    Clock::time_point started_ = Clock::now();
    Clock::time_point next_;
};

} // namespace iommu_sim

#endif
