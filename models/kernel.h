// SPDX-License-Identifier: Apache-2.0
//
// The kernel interface: what drives the units of a netlist through time.
//
// Two kernels exist, and the system code knows only this interface:
//
//   CoreKernel      all units in one group, advanced by iom_group_run (core/unit.h)
//   SystemcKernel   units partitioned into SystemC modules (models/systemc/systemc_kernel.h)
//
// Both give every unit the same cycles (architecture, "The unit, and why order cannot matter"), so
// results do not depend on the choice; tests/models/systemc_kernel_test.cpp holds them to that.
#ifndef IOMMU_SIM_MODELS_KERNEL_H
#define IOMMU_SIM_MODELS_KERNEL_H

#include <cstdint>
#include <stdexcept>
#include <string>

#include "core/netlist.h"
#include "core/unit.h"

namespace iommu_sim
{

class Kernel
{
  public:
    Kernel() = default;
    Kernel(const Kernel &) = delete;
    Kernel &operator=(const Kernel &) = delete;
    virtual ~Kernel() = default;

    /// Does all work up to and including cycle `limit`, or until nothing is left to do, or until the end
    /// of the cycle in which a unit set *stop (which may be null). May be called again to go on; before
    /// that, the caller may wake units or file messages for cycles after now().
    virtual iom_run_end run(iom_cycle limit, const bool *stop) = 0;
    /// Last cycle in which a unit was advanced (0 before the first).
    virtual iom_cycle now() const = 0;
    /// Next cycle with work, IOM_NEVER if there is none.
    virtual iom_cycle next_event() const = 0;
    /// Requests held by all units.
    virtual uint64_t outstanding() const = 0;
    /// Calls of advance on units so far.
    virtual uint64_t events() const = 0;
    /// Who waits for what: the text behind IOM_RUN_DEADLOCK.
    virtual std::string explain() const = 0;
    /// Test hook: evaluates the units of every cycle in an order drawn from `seed`, as far as connections
    /// of zero latency leave it open. Results must not change.
    virtual void shuffle(uint64_t seed) = 0;
};

/// What to tell a user whose connections no kernel can play: problem and remedy, in terms of the
/// configuration.
std::string connections_text(const std::invalid_argument &problem);

/// All units in one group. The netlist outlives the kernel.
class CoreKernel final : public Kernel
{
  public:
    /// Throws std::invalid_argument if connections of zero latency form a loop, std::bad_alloc if memory
    /// is out.
    explicit CoreKernel(const iom_netlist &netlist);
    ~CoreKernel() override;

    iom_run_end run(iom_cycle limit, const bool *stop) override;
    iom_cycle now() const override;
    iom_cycle next_event() const override;
    uint64_t outstanding() const override;
    uint64_t events() const override;
    std::string explain() const override;
    void shuffle(uint64_t seed) override;

  private:
    iom_group group_{};
    iom_rng order_{};
};

/// Text of iom_group_explain as a string.
std::string explain_group(const iom_group &group);

} // namespace iommu_sim

#endif
