// SPDX-License-Identifier: Apache-2.0
//
// A SystemC module around one unit group (architecture, "The SystemC wrapper").
//
// Each port that leaves the group gets a socket. Calls on the sockets only file messages and credits
// into inboxes; one SC_METHOD evaluates the group once in each cycle with work. Between cycles nothing
// runs: there is no clock, no thread, no delta notification. When an earlier wake-up comes from outside
// the pending notification is moved forward.
#ifndef IOMMU_SIM_MODELS_SYSTEMC_UNIT_MODULE_H
#define IOMMU_SIM_MODELS_SYSTEMC_UNIT_MODULE_H

#include <memory>
#include <string>
#include <vector>

#include <systemc>

#include "core/unit.h"
#include "models/systemc/iommu_payload.h"
#include "models/systemc/module_time.h"
#include "models/systemc/port_ends.h"

namespace iommu_sim
{

/// What the modules of one run share: when to stop, and how far they got.
struct RunControl {
    const bool *stop = nullptr; ///< set by a unit; may be null
    bool stopped = false;       ///< *stop was seen; SystemC pauses at the end of the cycle
    iom_cycle now = 0;          ///< last cycle in which a unit was advanced
};

class UnitModule : public sc_core::sc_module
{
  public:
    /// Wraps `units`. They outlive the module, or are kept alive by `owner`. Connections among them stay
    /// plain calls; every other port gets a socket. Throws std::invalid_argument if connections of zero
    /// latency form a loop or leave the group, or tick_ps is unusable.
    UnitModule(const sc_core::sc_module_name &name, const std::vector<iom_unit *> &units, uint64_t tick_ps,
               std::shared_ptr<void> owner = nullptr, RunControl *control = nullptr);
    ~UnitModule() override;

    /// The end around `port`, which is a port of one of the units. Throws std::out_of_range if the port
    /// does not leave the group, or is of the other kind.
    RequesterEnd &requester(const iom_port &port);
    ResponderEnd &responder(const iom_port &port);
    /// Shorthands for binding.
    InitiatorSocket &initiator(const iom_port &port)
    {
        return requester(port).socket;
    }
    TargetSocket &target(const iom_port &port)
    {
        return responder(port).socket;
    }

    iom_group &group()
    {
        return group_;
    }
    const iom_group &group() const
    {
        return group_;
    }
    /// Payloads in use and made so far (tests: nothing leaks, nothing is allocated per request).
    const PayloadPool &payloads() const
    {
        return pool_;
    }

  protected:
    void end_of_elaboration() override;
    void start_of_simulation() override;

  private:
    void make_end(iom_port &port);
    std::string socket_name(const iom_port &port) const;
    static void wake(void *self, iom_cycle cycle);
    void arm(iom_cycle cycle);
    void step();

    // Declared in the order in which they are needed: the last goes first.
    std::shared_ptr<void> owner_;
    ModuleTime time_;
    iom_cycle last_cycle_;
    PayloadPool pool_;
    iom_group group_{};
    std::vector<std::unique_ptr<RequesterEnd>> requesters_;
    std::vector<std::unique_ptr<ResponderEnd>> responders_;
    RunControl own_control_;
    RunControl &control_;
    sc_core::sc_event due_event_;
    iom_cycle due_ = IOM_NEVER; ///< cycle the event is notified for
    bool simulating_ = false;
};

} // namespace iommu_sim

#endif
