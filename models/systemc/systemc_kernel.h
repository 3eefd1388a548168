// SPDX-License-Identifier: Apache-2.0
//
// The SystemC kernel: runs a netlist as SystemC modules, one for each set of a partition of its units.
// Twin of CoreKernel (models/kernel.h): every unit sees the same messages in the same cycles.
//
// SystemC elaborates once per process, so there is one SystemcKernel per process, made before anything
// else starts a simulation. A run may be interrupted and continued any number of times.
#ifndef IOMMU_SIM_MODELS_SYSTEMC_SYSTEMC_KERNEL_H
#define IOMMU_SIM_MODELS_SYSTEMC_SYSTEMC_KERNEL_H

#include <memory>
#include <vector>

#include "models/kernel.h"

namespace iommu_sim
{

/// Set number of each unit of a netlist; units of one set form a module.
using Partition = std::vector<int>;

/// One module per unit, except that units joined by connections of zero latency stay together.
Partition partition_by_unit(const iom_netlist &netlist);
/// At most `modules` sets, cut from the list of units in its order; connections of zero latency stay inside.
Partition partition_into(const iom_netlist &netlist, unsigned modules);

class SystemcKernel final : public Kernel
{
  public:
    /// The netlist outlives the kernel. Throws std::invalid_argument if the partition has another size
    /// than the netlist or cuts a connection of zero latency, or tick_ps is unusable, std::logic_error if
    /// SystemC has been used in this process already.
    SystemcKernel(const iom_netlist &netlist, const Partition &partition, uint64_t tick_ps);
    ~SystemcKernel() override;

    iom_run_end run(iom_cycle limit, const bool *stop) override;
    iom_cycle now() const override;
    iom_cycle next_event() const override;
    uint64_t outstanding() const override;
    uint64_t events() const override;
    std::string explain() const override;
    void shuffle(uint64_t seed) override;

    /// Payloads made so far by all modules, and those in use now.
    uint64_t payloads_made() const;
    uint64_t payloads_in_use() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace iommu_sim

#endif
