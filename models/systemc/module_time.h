// SPDX-License-Identifier: Apache-2.0
//
// Cycles and SystemC time. One base tick (unit rule 8) is a whole number of picoseconds; conversions
// are integer arithmetic on sc_time::value(), so that no rounding can move an event.
#ifndef IOMMU_SIM_MODELS_SYSTEMC_MODULE_TIME_H
#define IOMMU_SIM_MODELS_SYSTEMC_MODULE_TIME_H

#include <cmath>
#include <stdexcept>

#include <systemc>

#include "core/base.h"

namespace iommu_sim
{

class ModuleTime
{
  public:
    using value_type = sc_core::sc_time::value_type;

    /// Throws std::invalid_argument if `tick_ps` is 0 or no multiple of SystemC's time resolution.
    explicit ModuleTime(uint64_t tick_ps)
        : tick_(sc_core::sc_time(static_cast<double>(tick_ps), sc_core::SC_PS).value())
    {
        double exact = static_cast<double>(tick_ps) * 1e-12 / sc_core::sc_get_time_resolution().to_seconds();
        if (tick_ == 0 || std::fabs(exact - static_cast<double>(tick_)) > 1e-6 * exact)
            throw std::invalid_argument("tick_ps: not a multiple of SystemC's time resolution "
                                        "(call sc_set_time_resolution with a finer one)");
    }

    /// sc_time units of one cycle.
    value_type tick() const
    {
        return tick_;
    }
    /// Last cycle that sc_time can express.
    iom_cycle last_cycle() const
    {
        return UINT64_MAX / tick_ - 1;
    }
    /// Cycle that has begun at the current time.
    iom_cycle now() const
    {
        return sc_core::sc_time_stamp().value() / tick_;
    }
    /// First cycle at or after now + delay.
    iom_cycle first_cycle(const sc_core::sc_time &delay) const
    {
        return iom_div_ceil(sc_core::sc_time_stamp().value() + delay.value(), tick_);
    }
    /// Time from now to the start of `cycle`, zero if that is past.
    sc_core::sc_time until(iom_cycle cycle) const
    {
        value_type now = sc_core::sc_time_stamp().value();
        value_type then = cycle * tick_;
        return sc_core::sc_time::from_value(then > now ? then - now : 0);
    }

  private:
    value_type tick_;
};

} // namespace iommu_sim

#endif
