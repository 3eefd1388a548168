// SPDX-License-Identifier: Apache-2.0
//
// Evaluation of a group under SystemC. See unit_module.h.
#include "models/systemc/unit_module.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>

namespace iommu_sim
{

UnitModule::UnitModule(const sc_core::sc_module_name &name, const std::vector<iom_unit *> &units,
                       uint64_t tick_ps, std::shared_ptr<void> owner, RunControl *control)
    : sc_core::sc_module(name), owner_(std::move(owner)), time_(tick_ps), last_cycle_(time_.last_cycle()),
      control_(control != nullptr ? *control : own_control_)
{
    for (iom_unit *unit : units)
        unit->group = nullptr; // whatever an earlier kernel left there
    auto count = static_cast<uint32_t>(units.size());
    if (const char *problem = iom_group_init(&group_, this->name(), units.data(), count))
        throw std::invalid_argument(std::string(this->name()) + ": " + problem);
    group_.waker = wake;
    group_.waker_context = this;
    for (iom_unit *unit : units)
        for (uint32_t p = 0; p < unit->port_count; p++)
            make_end(unit->ports[p]);
    SC_HAS_PROCESS(UnitModule);
    SC_METHOD(step);
    sensitive << due_event_;
    iom_group_start(&group_, 0);
}

UnitModule::~UnitModule()
{
    iom_group_free(&group_);
}

void UnitModule::make_end(iom_port &port)
{
    if (port.peer != nullptr && port.peer->unit->group == &group_)
        return;
    std::string name = socket_name(port);
    if (port.requester)
        requesters_.push_back(std::make_unique<RequesterEnd>(port, name, time_, pool_));
    else
        responders_.push_back(std::make_unique<ResponderEnd>(port, name, time_));
}

// The port's name; with the unit's when there are several units, with a number when it is not unique.
std::string UnitModule::socket_name(const iom_port &port) const
{
    std::string text = port.name != nullptr ? port.name : "port";
    if (group_.count > 1)
        text = std::string(port.unit->name) + "_" + text;
    std::replace(text.begin(), text.end(), '.', '_');
    return sc_core::sc_gen_unique_name(text.c_str(), true);
}

RequesterEnd &UnitModule::requester(const iom_port &port)
{
    for (auto &end : requesters_)
        if (&end->port == &port)
            return *end;
    throw std::out_of_range(std::string(name()) + ": no such requester port leaves the module");
}

ResponderEnd &UnitModule::responder(const iom_port &port)
{
    for (auto &end : responders_)
        if (&end->port == &port)
            return *end;
    throw std::out_of_range(std::string(name()) + ": no such responder port leaves the module");
}

// ---- SystemC callbacks -----------------------------------------------------------------------------

void UnitModule::end_of_elaboration()
{
    for (auto &end : requesters_)
        end->connect();
}

void UnitModule::start_of_simulation()
{
    for (auto &end : responders_)
        end->connect();
    simulating_ = true;
}

// ---- evaluation ------------------------------------------------------------------------------------

void UnitModule::wake(void *self, iom_cycle cycle)
{
    auto &module = *static_cast<UnitModule *>(self);
    if (!module.simulating_)
        module.due_ = std::min(module.due_, cycle); // every method runs once at time zero
    else if (cycle < module.due_)
        module.arm(cycle);
}

// Notifies the event for `cycle`; an earlier notification of the event replaces a later one.
void UnitModule::arm(iom_cycle cycle)
{
    if (cycle > last_cycle_)
        return; // beyond what sc_time can say
    assert(cycle * time_.tick() >= sc_core::sc_time_stamp().value());
    due_ = cycle;
    due_event_.notify(time_.until(cycle));
}

void UnitModule::step()
{
    iom_cycle now = due_;
    due_ = IOM_NEVER;
    if (now * time_.tick() != sc_core::sc_time_stamp().value()) {
        arm(now); // first run of the method, work comes later
        return;
    }
    iom_cycle next = iom_group_advance(&group_, now);
    control_.now = now;
    if (control_.stop != nullptr && *control_.stop && !control_.stopped) {
        control_.stopped = true;
        sc_core::sc_pause();
    }
    arm(next);
}

} // namespace iommu_sim
