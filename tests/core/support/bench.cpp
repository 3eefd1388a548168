// SPDX-License-Identifier: Apache-2.0
//
// Scripted units and the group around them. See bench.h.
#include "tests/core/support/bench.h"

#include <gtest/gtest.h>

namespace bench
{

// ---- ScriptUnit ---------------------------------------------------------------------------------------

const iom_unit_ops ScriptUnit::ops_ = {"script", ScriptUnit::advance, nullptr, nullptr, nullptr, nullptr,
                                       nullptr};

ScriptUnit::ScriptUnit(const char *name, uint32_t requesters, uint32_t responders)
    : ports_(requesters + responders)
{
    iom_unit_init(&header_.unit, &ops_, name, ports_.data(), static_cast<uint32_t>(ports_.size()));
    header_.self = this;
    for (uint32_t i = 0; i < ports_.size(); i++)
        iom_port_init(&header_.unit, i, i < requesters ? "out" : "in", i < requesters);
}

void ScriptUnit::at(iom_cycle cycle, Action action)
{
    actions_.emplace(cycle, std::move(action));
    if (header_.unit.group != nullptr)
        iom_unit_wake(&header_.unit, cycle);
}

void ScriptUnit::on(uint32_t port, Handler handler)
{
    handlers_[port] = std::move(handler);
}

void ScriptUnit::send_at(iom_cycle cycle, uint32_t port, iom_msg *msg)
{
    at(cycle, [this, port, msg](iom_cycle now) { iom_port_send(&ports_[port], msg, now); });
}

iom_cycle ScriptUnit::advance(iom_unit *unit, iom_cycle now)
{
    ScriptUnit &self = *reinterpret_cast<Header *>(unit)->self;
    for (uint32_t i = 0; i < self.ports_.size(); i++) {
        while (iom_port_peek(&self.ports_[i], now) != nullptr) {
            iom_msg *msg = iom_port_pop(&self.ports_[i]);
            auto handler = self.handlers_.find(i);
            if (handler != self.handlers_.end())
                handler->second(now, msg);
            else
                self.arrivals.push_back({now, i, msg});
        }
    }
    while (!self.actions_.empty() && self.actions_.begin()->first <= now) {
        Action action = std::move(self.actions_.begin()->second);
        self.actions_.erase(self.actions_.begin());
        action(now);
    }
    return self.actions_.empty() ? IOM_NEVER : self.actions_.begin()->first;
}

// ---- Bench --------------------------------------------------------------------------------------------

Bench::Bench()
{
    iom_netlist_init(&netlist_);
}

Bench::~Bench()
{
    close();
}

void Bench::close()
{
    if (started_)
        iom_group_free(&group_);
    started_ = false;
    iom_netlist_free(&netlist_);
}

void Bench::add(iom_unit *unit)
{
    if (!iom_netlist_add(&netlist_, unit))
        throw std::bad_alloc();
}

void Bench::connect(iom_port *requester, iom_port *responder, const iom_link_config &link)
{
    if (!iom_netlist_connect(&netlist_, requester, responder, &link))
        throw std::bad_alloc();
}

void Bench::start()
{
    const char *problem = iom_group_init(&group_, "bench", netlist_.units, netlist_.unit_count);
    if (problem != nullptr)
        throw std::invalid_argument(problem);
    started_ = true;
    iom_group_start(&group_, 0);
}

void Bench::run_to(iom_cycle cycle)
{
    iom_group_run(&group_, cycle, nullptr);
}

void Bench::run_until_idle(iom_cycle limit)
{
    iom_run_end end = iom_group_run(&group_, limit, nullptr);
    char text[2048] = "";
    iom_group_explain(&group_, text, sizeof text);
    ASSERT_EQ(end, IOM_RUN_IDLE) << text;
}

void Bench::shuffle(uint64_t seed)
{
    iom_rng_seed(&order_, seed, "bench");
    group_.shuffle = &order_;
}

} // namespace bench
