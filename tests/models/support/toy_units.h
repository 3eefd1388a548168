// SPDX-License-Identifier: Apache-2.0
//
// Toy units and random netlists for testing the runtime: the same netlist, made from the same seed, is
// run by different kernels, partitions and evaluation orders, and every unit's log must be the same.
//
//   Producer   sends requests at random intervals as credits allow, logs responses; now and then a
//              one-way report
//   Relay      passes requests on through one of its output ports, a few per cycle, and responses back
//   Server     answers after a random latency, a few per cycle; swallows reports
//   Noise      advances other units when nothing is due
#ifndef IOMMU_SIM_TESTS_MODELS_SUPPORT_TOY_UNITS_H
#define IOMMU_SIM_TESTS_MODELS_SUPPORT_TOY_UNITS_H

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/dma.h"
#include "core/netlist.h"
#include "core/rng.h"

namespace toy
{

struct LogEntry {
    iom_cycle cycle;
    char what; ///< 's'ent, 'r'eceived, 'f'orwarded, 'b'ack, 'a'nswered
    uint32_t port;
    uint64_t id;

    bool operator==(const LogEntry &other) const
    {
        return cycle == other.cycle && what == other.what && port == other.port && id == other.id;
    }
};

std::ostream &operator<<(std::ostream &out, const LogEntry &entry);

/// A unit with its ports and a log. `unit` is found again from iom_unit by its offset.
class Unit
{
  public:
    Unit(const std::string &name, uint32_t requesters, uint32_t responders, uint64_t seed);
    Unit(const Unit &) = delete;
    Unit &operator=(const Unit &) = delete;
    virtual ~Unit() = default;

    /// Requester ports come first.
    iom_port &out(uint32_t index)
    {
        return ports_[index];
    }
    iom_port &in(uint32_t index)
    {
        return ports_[requesters_ + index];
    }
    iom_unit &unit()
    {
        return header_.unit;
    }

    std::vector<LogEntry> log;

  protected:
    virtual iom_cycle advance(iom_cycle now) = 0;
    virtual uint64_t outstanding() const = 0;
    /// First clock edge at least `cycles` clock cycles (>= 1) after `now`.
    iom_cycle later(iom_cycle now, uint64_t cycles)
    {
        return iom_unit_edge(&unit(), now + iom_unit_ticks(&unit(), cycles));
    }
    void note(iom_cycle now, char what, uint32_t port, uint64_t id)
    {
        log.push_back({now, what, port, id});
    }
    uint64_t draw(uint64_t bound)
    {
        return iom_rng_below(&rng_, bound);
    }

    uint32_t requesters_, responders_;

  private:
    struct Header {
        iom_unit unit;
        Unit *self;
    };
    static iom_cycle advance_of(iom_unit *unit, iom_cycle now);
    static uint64_t outstanding_of(const iom_unit *unit);
    static const iom_unit_ops ops;

    Header header_{};
    std::vector<iom_port> ports_;
    std::vector<std::string> port_names_;
    iom_rng rng_{};
};

class Producer final : public Unit
{
  public:
    /// Sends `requests` requests, `gap` cycles apart on average, over its port 0. With `reports` it has a
    /// port 1 for one-way messages.
    Producer(const std::string &name, uint64_t requests, uint64_t gap, bool reports, uint64_t seed);
    ~Producer() override;
    /// When set, *stop becomes true once `count` responses have come.
    void stop_after(uint64_t count, bool *stop);
    /// From outside, between runs: sends `count` more from the first clock edge after `now` on.
    void send_more(uint64_t count, iom_cycle now);

    uint64_t answered = 0;
    uint16_t flags = 0; ///< enum iom_request_flag of its requests

  private:
    iom_cycle advance(iom_cycle now) override;
    uint64_t outstanding() const override;
    void send_report(iom_cycle now);

    iom_pool pool_{}, report_pool_{};
    uint64_t left_, gap_, sent_ = 0;
    iom_cycle next_send_ = 0;
    uint64_t stop_count_ = UINT64_MAX;
    bool *stop_ = nullptr;
};

class Relay final : public Unit
{
  public:
    Relay(const std::string &name, uint32_t outputs, uint32_t inputs, uint32_t per_cycle, uint64_t seed);

  private:
    iom_cycle advance(iom_cycle now) override;
    uint64_t outstanding() const override;

    uint32_t per_cycle_, turn_ = 0;
    uint64_t held_ = 0;
};

class Server final : public Unit
{
  public:
    /// With `mute` it takes requests and never answers (deadlock).
    Server(const std::string &name, uint32_t inputs, uint32_t per_cycle, uint64_t latency, bool mute,
           uint64_t seed);

  private:
    iom_cycle advance(iom_cycle now) override;
    uint64_t outstanding() const override;
    bool take(uint32_t index, iom_cycle now);

    uint32_t per_cycle_;
    uint64_t latency_;
    bool mute_;
    uint32_t turn_ = 0;
    uint64_t held_ = 0;
    std::vector<iom_msg *> kept_;
};

/// Wakes random units in random cycles, at their clock edges, although nothing is due.
class Noise final : public Unit
{
  public:
    Noise(std::vector<iom_unit *> victims, uint64_t calls, uint64_t seed);

  private:
    iom_cycle advance(iom_cycle now) override;
    uint64_t outstanding() const override
    {
        return 0;
    }

    std::vector<iom_unit *> victims_;
    uint64_t calls_;
};

/// A netlist that owns its units.
struct System {
    System();
    System(const System &) = delete;
    System &operator=(const System &) = delete;
    ~System();

    template <typename T, typename... Args> T &add(Args &&...args)
    {
        auto unit = std::make_unique<T>(std::forward<Args>(args)...);
        T &made = *unit;
        iom_netlist_add(&netlist, &made.unit());
        units.push_back(std::move(unit));
        return made;
    }
    void connect(iom_port &requester, iom_port &responder, const iom_link_config &link);
    std::vector<std::vector<LogEntry>> logs() const;

    iom_netlist netlist{};
    std::vector<std::unique_ptr<Unit>> units;
};

struct RandomOptions {
    bool zero_latency = true;
    bool clocks = true;
    bool far_latency = false; ///< some latencies beyond the wheel's reach
    uint64_t requests = 200;
    uint64_t noise_calls = 0; ///< spurious advances
};

/// Producers, layers of relays, servers, connected at random; equal seeds give equal systems.
std::unique_ptr<System> random_system(uint64_t seed, const RandomOptions &options);

} // namespace toy

#endif
