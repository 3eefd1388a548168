// SPDX-License-Identifier: Apache-2.0
//
// Toy units. See toy_units.h.
#include "tests/models/support/toy_units.h"

#include <algorithm>
#include <stdexcept>

#include "core/control.h"

namespace toy
{

std::ostream &operator<<(std::ostream &out, const LogEntry &entry)
{
    return out << entry.cycle << entry.what << entry.port << '#' << entry.id;
}

// ---- common part -----------------------------------------------------------------------------------

const iom_unit_ops Unit::ops = {"toy", advance_of, outstanding_of, nullptr, nullptr, nullptr, nullptr};

Unit::Unit(const std::string &name, uint32_t requesters, uint32_t responders, uint64_t seed)
    : requesters_(requesters), responders_(responders), ports_(requesters + responders)
{
    iom_unit_init(&header_.unit, &ops, name.c_str(), ports_.data(), static_cast<uint32_t>(ports_.size()));
    header_.self = this;
    for (uint32_t i = 0; i < ports_.size(); i++)
        port_names_.push_back(i < requesters ? "out" + std::to_string(i)
                                             : "in" + std::to_string(i - requesters));
    for (uint32_t i = 0; i < ports_.size(); i++)
        iom_port_init(&header_.unit, i, port_names_[i].c_str(), i < requesters);
    iom_rng_seed(&rng_, seed, name.c_str());
}

iom_cycle Unit::advance_of(iom_unit *unit, iom_cycle now)
{
    return reinterpret_cast<Header *>(unit)->self->advance(now);
}

uint64_t Unit::outstanding_of(const iom_unit *unit)
{
    return reinterpret_cast<const Header *>(unit)->self->outstanding();
}

// ---- producer --------------------------------------------------------------------------------------

Producer::Producer(const std::string &name, uint64_t requests, uint64_t gap, bool reports, uint64_t seed)
    : Unit(name, reports ? 2 : 1, 0, seed), left_(requests), gap_(gap)
{
    iom_pool_init(&pool_, IOM_MSG_DMA, sizeof(iom_dma));
    iom_pool_init(&report_pool_, IOM_MSG_REPORT, sizeof(iom_report));
}

Producer::~Producer()
{
    iom_pool_free(&pool_);
    iom_pool_free(&report_pool_);
}

void Producer::stop_after(uint64_t count, bool *stop)
{
    stop_count_ = count;
    stop_ = stop;
}

void Producer::send_more(uint64_t count, iom_cycle now)
{
    left_ += count;
    next_send_ = later(now, 1);
    iom_unit_wake(&unit(), next_send_);
}

void Producer::send_report(iom_cycle now)
{
    if (!iom_port_can_send(&out(1), now))
        return;
    auto *report = static_cast<iom_report *>(iom_pool_take(&report_pool_));
    report->detected = now;
    iom_port_send(&out(1), &report->msg, now);
}

iom_cycle Producer::advance(iom_cycle now)
{
    while (iom_msg *msg = iom_port_peek(&out(0), now)) {
        iom_port_pop(&out(0));
        note(now, 'r', 0, reinterpret_cast<iom_dma *>(msg)->id);
        iom_msg_release(msg);
        answered++;
        if (answered == stop_count_)
            *stop_ = true;
    }
    if (left_ == 0)
        return IOM_NEVER;
    if (now < next_send_)
        return next_send_;
    if (!iom_port_can_send(&out(0), now))
        return IOM_NEVER;
    auto *dma = static_cast<iom_dma *>(iom_pool_take(&pool_));
    dma->id = sent_++;
    dma->x = iom_xlate{};
    dma->x.address = dma->id * 64;
    dma->x.bytes = 64;
    dma->x.flags = flags;
    dma->data = nullptr;
    note(now, 's', 0, dma->id);
    iom_port_send(&out(0), &dma->msg, now);
    left_--;
    if (requesters_ == 2 && draw(4) == 0)
        send_report(now);
    next_send_ = later(now, 1 + draw(2 * gap_));
    return left_ == 0 ? IOM_NEVER : next_send_;
}

uint64_t Producer::outstanding() const
{
    return sent_ - answered + left_;
}

// ---- relay -----------------------------------------------------------------------------------------

Relay::Relay(const std::string &name, uint32_t outputs, uint32_t inputs, uint32_t per_cycle, uint64_t seed)
    : Unit(name, outputs, inputs, seed), per_cycle_(per_cycle)
{
}

iom_cycle Relay::advance(iom_cycle now)
{
    for (uint32_t i = 0; i < requesters_; i++) {
        while (iom_msg *msg = iom_port_peek(&out(i), now)) {
            iom_port_pop(&out(i));
            uint32_t back = iom_msg_pop_route(msg);
            note(now, 'b', back, reinterpret_cast<iom_dma *>(msg)->id);
            held_--;
            iom_port_send(&in(back), msg, now + iom_unit_ticks(&unit(), draw(3)));
        }
    }
    uint32_t budget = per_cycle_;
    bool waiting = false;
    for (uint32_t n = 0; n < responders_; n++) {
        uint32_t index = (turn_ + n) % responders_;
        iom_msg *msg = iom_port_peek(&in(index), now);
        if (msg == nullptr)
            continue;
        uint32_t way = static_cast<uint32_t>(reinterpret_cast<iom_dma *>(msg)->id % requesters_);
        waiting = waiting || budget == 0;
        if (budget == 0 || !iom_port_can_send(&out(way), now))
            continue;
        budget--;
        iom_port_pop(&in(index));
        iom_port_return_credit(&in(index), now);
        note(now, 'f', index, reinterpret_cast<iom_dma *>(msg)->id);
        held_++;
        iom_msg_push_route(msg, static_cast<uint8_t>(index));
        iom_port_send(&out(way), msg, now + iom_unit_ticks(&unit(), draw(3)));
        waiting = waiting || iom_port_peek(&in(index), now) != nullptr;
    }
    if (budget != per_cycle_)
        turn_ = (turn_ + 1) % responders_;
    return waiting ? later(now, 1) : IOM_NEVER;
}

uint64_t Relay::outstanding() const
{
    return held_;
}

// ---- server ----------------------------------------------------------------------------------------

Server::Server(const std::string &name, uint32_t inputs, uint32_t per_cycle, uint64_t latency, bool mute,
               uint64_t seed)
    : Unit(name, 0, inputs, seed), per_cycle_(per_cycle), latency_(latency), mute_(mute)
{
}

bool Server::take(uint32_t index, iom_cycle now)
{
    iom_msg *msg = iom_port_peek(&in(index), now);
    if (msg == nullptr)
        return false;
    iom_port_pop(&in(index));
    iom_port_return_credit(&in(index), now);
    if (msg->kind == IOM_MSG_REPORT) {
        note(now, 'a', index, reinterpret_cast<iom_report *>(msg)->detected);
        iom_msg_release(msg);
        return true;
    }
    note(now, 'a', index, reinterpret_cast<iom_dma *>(msg)->id);
    if (mute_) {
        held_++;
        kept_.push_back(msg);
    } else {
        iom_port_send(&in(index), msg, now + iom_unit_ticks(&unit(), draw(latency_)));
    }
    return true;
}

iom_cycle Server::advance(iom_cycle now)
{
    uint32_t budget = per_cycle_;
    uint32_t start = turn_;
    for (uint32_t n = 0; n < responders_ && budget != 0; n++) {
        uint32_t index = (start + n) % responders_;
        if (take(index, now)) {
            budget--;
            turn_ = (index + 1) % responders_;
        }
    }
    for (uint32_t i = 0; i < responders_; i++)
        if (iom_port_peek(&in(i), now) != nullptr)
            return later(now, 1);
    return IOM_NEVER;
}

uint64_t Server::outstanding() const
{
    return held_;
}

// ---- noise -----------------------------------------------------------------------------------------

Noise::Noise(std::vector<iom_unit *> victims, uint64_t calls, uint64_t seed)
    : Unit("noise", 0, 0, seed), victims_(std::move(victims)), calls_(calls)
{
}

iom_cycle Noise::advance(iom_cycle now)
{
    if (calls_ == 0)
        return IOM_NEVER;
    calls_--;
    iom_unit *victim = victims_[draw(victims_.size())];
    iom_unit_wake(victim, iom_unit_edge(victim, now + 1 + draw(20)));
    return now + 1 + draw(3);
}

// ---- systems ---------------------------------------------------------------------------------------

System::System()
{
    iom_netlist_init(&netlist);
}

System::~System()
{
    iom_netlist_free(&netlist);
}

void System::connect(iom_port &requester, iom_port &responder, const iom_link_config &link)
{
    if (!iom_netlist_connect(&netlist, &requester, &responder, &link))
        throw std::bad_alloc();
}

std::vector<std::vector<LogEntry>> System::logs() const
{
    std::vector<std::vector<LogEntry>> all;
    for (const auto &unit : units)
        all.push_back(unit->log);
    return all;
}

namespace
{

class Builder
{
  public:
    Builder(uint64_t seed, const RandomOptions &options) : seed_(seed), options_(options)
    {
        iom_rng_seed(&rng_, seed, "random_system");
    }

    std::unique_ptr<System> build()
    {
        uint32_t layers = draw(1, 3);
        make_producers(draw(1, 4));
        for (uint32_t layer = 0; layer < layers; layer++)
            make_relay(layer);
        make_servers();
        if (options_.noise_calls != 0)
            make_noise();
        return std::move(system_);
    }

  private:
    uint32_t draw(uint32_t low, uint32_t high)
    {
        return low + static_cast<uint32_t>(iom_rng_below(&rng_, high - low + 1));
    }
    iom_link_config link()
    {
        iom_link_config config{};
        config.latency = draw(options_.zero_latency ? 0 : 1, 5);
        config.response_latency = draw(1, 6);
        if (options_.far_latency && draw(0, 2) == 0)
            config.latency = draw(4000, 20000);
        if (options_.far_latency && draw(0, 2) == 0)
            config.response_latency = draw(4000, 20000);
        config.credit_latency = draw(1, 4);
        config.depth = draw(0, 4);
        return config;
    }
    void set_clock(Unit &unit)
    {
        if (!options_.clocks || draw(0, 1) == 0)
            return;
        unit.unit().period = draw(1, 4);
        unit.unit().phase = draw(0, 3);
    }
    void make_producers(uint32_t count)
    {
        for (uint32_t i = 0; i < count; i++) {
            bool reports = draw(0, 1) == 1;
            auto &producer = system_->add<Producer>("producer" + std::to_string(i), options_.requests,
                                                    draw(1, 6), reports, seed_);
            set_clock(producer);
            open_.push_back(&producer.out(0));
            if (reports)
                reports_.push_back(&producer.out(1));
        }
    }
    // Takes some of the open outputs as its inputs; at least one.
    void make_relay(uint32_t layer)
    {
        std::vector<iom_port *> taken;
        std::vector<iom_port *> left;
        for (iom_port *port : open_)
            (taken.empty() || draw(0, 2) != 0 ? taken : left).push_back(port);
        uint32_t outputs = draw(1, 2);
        auto &relay = system_->add<Relay>("relay" + std::to_string(layer), outputs,
                                          static_cast<uint32_t>(taken.size()), draw(1, 2), seed_);
        set_clock(relay);
        for (uint32_t i = 0; i < taken.size(); i++)
            system_->connect(*taken[i], relay.in(i), link());
        for (uint32_t i = 0; i < outputs; i++)
            left.push_back(&relay.out(i));
        open_ = left;
    }
    void make_servers()
    {
        std::vector<iom_port *> all = open_;
        all.insert(all.end(), reports_.begin(), reports_.end());
        for (size_t first = 0, n = 0; first < all.size(); n++) {
            auto count = static_cast<uint32_t>(std::min<size_t>(draw(1, 3), all.size() - first));
            auto &server = system_->add<Server>("server" + std::to_string(n), count, draw(1, 3), draw(1, 30),
                                                false, seed_);
            set_clock(server);
            for (uint32_t i = 0; i < count; i++)
                system_->connect(*all[first + i], server.in(i), link());
            first += count;
        }
    }
    void make_noise()
    {
        std::vector<iom_unit *> victims;
        for (auto &unit : system_->units)
            victims.push_back(&unit->unit());
        system_->add<Noise>(victims, options_.noise_calls, seed_);
    }

    uint64_t seed_;
    RandomOptions options_;
    iom_rng rng_{};
    std::unique_ptr<System> system_ = std::make_unique<System>();
    std::vector<iom_port *> open_, reports_;
};

} // namespace

std::unique_ptr<System> random_system(uint64_t seed, const RandomOptions &options)
{
    return Builder(seed, options).build();
}

} // namespace toy
