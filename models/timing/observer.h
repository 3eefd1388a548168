// SPDX-License-Identifier: Apache-2.0
//
// Writes down what a model does while it plays a record, in the terms of the record: accesses of memory,
// changes of queue registers, invalidations. It only looks.
#ifndef IOMMU_SIM_MODELS_TIMING_OBSERVER_H
#define IOMMU_SIM_MODELS_TIMING_OBSERVER_H

#include <functional>

#include "core/memory.h"
#include "core/register_unit.h"
#include "core/stage.h"
#include "models/timing/record.h"

namespace iommu_sim::timing
{

struct ObserverConfig {
    /// Called when the queue's head has reached its tail: all commands have been carried out as far as
    /// software can see. May be empty.
    std::function<void(iom_cycle now)> drained;
    const iom_arch *arch = nullptr;
    uint32_t beat_bytes = 8;            ///< of the memory's channels
    iom_cycle read_response_cycles = 0; ///< from memory to who reads: when its beats arrive
    iom_cycle write_latency_cycles = 0; ///< last beat of a write to its response
};

class Observer
{
  public:
    /// Sets itself as the observer of all three. They must not change after it is gone.
    Observer(const ObserverConfig &config, iom_memory *memory, iom_register_unit *registers,
             iom_stage *front);
    Observer(const Observer &) = delete;
    Observer &operator=(const Observer &) = delete;

    const Activity &activity() const
    {
        return activity_;
    }

  private:
    struct Watched {
        uint32_t offset;
        EventKind kind;
        uint64_t value;
    };

    void access(iom_cycle now, const iom_memory_access &access, iom_cycle first, iom_cycle last);
    void registers(iom_cycle now);
    void invalidation(iom_cycle now, const iom_invalidation &what);
    uint64_t value_of(const Watched &watched) const;

    const ObserverConfig config_;
    iom_register_unit *const registers_;
    std::vector<Watched> watched_;
    Activity activity_;
};

} // namespace iommu_sim::timing

#endif
