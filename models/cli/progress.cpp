// SPDX-License-Identifier: Apache-2.0
//
// The progress line. See progress.h.
#include "models/cli/progress.h"

#include <unistd.h>

#include <iostream>
#include <string>
#include <utility>

#include "models/report/table.h"

namespace iommu_sim
{

namespace
{

constexpr auto silence = std::chrono::seconds(1);
constexpr auto renewal = std::chrono::milliseconds(200);
constexpr auto renewal_in_a_file = std::chrono::seconds(5);

} // namespace

ProgressLine::ProgressLine(Progress when, uint32_t tick_ps,
                           std::function<double(iom_cycle, uint64_t)> fraction)
    : terminal_(isatty(STDERR_FILENO) != 0), tick_ps_(tick_ps), fraction_(std::move(fraction)),
      next_(started_ + silence)
{
    enabled_ = when == Progress::on || (when == Progress::automatic && terminal_);
}

ProgressLine::~ProgressLine()
{
    erase();
}

void ProgressLine::update(iom_cycle cycle, uint64_t completed)
{
    if (!enabled_)
        return;
    const Clock::time_point now = Clock::now();
    if (now < next_)
        return;
    next_ = now + (terminal_ ? Clock::duration(renewal) : Clock::duration(renewal_in_a_file));
    const double seconds = std::chrono::duration<double>(now - started_).count();
    const double fraction = fraction_(cycle, completed);
    std::string line = fraction < 0 ? "" : format_fixed(100 * fraction, 1) + " %, ";
    line += format_count(completed) + " DMA, " +
            format_fixed(static_cast<double>(completed) / seconds / 1e6, 2) + " M/s, simulated " +
            format_fixed(static_cast<double>(cycle) * static_cast<double>(tick_ps_) / 1e9, 3) + " ms";
    if (terminal_)
        std::cerr << "\r\033[K" << line << std::flush;
    else
        std::cerr << line << std::endl;
    shown_ = terminal_;
}

void ProgressLine::erase()
{
    if (shown_)
        std::cerr << "\r\033[K" << std::flush;
    shown_ = false;
}

} // namespace iommu_sim
