// SPDX-License-Identifier: Apache-2.0
//
// An AXI port (core/axi_port.h) between scripted neighbours, connected like the recorded hardware: what a
// driver presents in p has arrived in p + 1, the port reaches front end and memory in the cycle in which it
// sends, their answers take one cycle.
//
// The driver has a channel for reads and one for writes and presents the requests of a channel in order, each
// as soon as it may: when its time has come and the one before has had its handshake in an earlier cycle. The
// front end answers a request it has looked up in c at c plus the time given; memory answers `memory_cycles`
// after a request has reached it. Everything that happens is noted with its cycle.
#ifndef IOM_TESTS_CORE_SUPPORT_AXI_BENCH_H
#define IOM_TESTS_CORE_SUPPORT_AXI_BENCH_H

#include <deque>
#include <vector>

#include "core/axi_port.h"
#include "tests/core/support/bench.h"

namespace bench
{

/// What the front end translates to: so far beyond the address it was given.
constexpr uint64_t axi_moved = uint64_t{1} << 32;

/// 8-byte beats, no boundary check, responses as in the recorded hardware.
iom_axi_port_config axi_config();

constexpr iom_cycle never = IOM_NEVER;

class AxiBench
{
  public:
    struct Request {
        iom_dma *dma;
        bool write;
        iom_cycle earliest;  ///< presented in this cycle or later
        uint64_t look_up;    ///< cycles from the look-up to its outcome
        bool refused;        ///< the outcome
        bool lost;           ///< the address is lost again
        iom_cycle presented; ///< what happened, `never` if it did not
        iom_cycle looked_up;
        iom_cycle accepted; ///< event
        iom_cycle done;     ///< event
        iom_cycle released; ///< the front end was told
        iom_cycle at_memory;
        iom_cycle responded; ///< came back to the driver
    };
    /// How the front end answers.
    struct Answer {
        uint64_t cycles;
        bool refused;
        bool lost; ///< with an iom_axi_loss behind it
    };
    static constexpr Answer hit = {0, false, false}, fault = {0, true, false}, loss = {0, false, true};
    static Answer after(uint64_t cycles, bool refused = false)
    {
        return {cycles, refused, false};
    }

    explicit AxiBench(const iom_axi_port_config &config = axi_config(), uint64_t memory_cycles = 3,
                      bool with_events = true);
    ~AxiBench();
    AxiBench(const AxiBench &) = delete;
    AxiBench &operator=(const AxiBench &) = delete;

    /// Before the run. The reference holds as long as the bench.
    const Request &read(iom_cycle earliest, Answer answer = hit, uint32_t beats = 1,
                        uint64_t address = 0x10000);
    const Request &write(iom_cycle earliest, Answer answer = hit, uint32_t beats = 1,
                         uint64_t address = 0x10000);
    /// Runs until nothing is left to do.
    void run();
    /// The port is woken in every cycle up to `last`, whether or not it has asked for it.
    void wake_always(iom_cycle last);

    const iom_axi_port_stats &stats() const
    {
        return *iom_axi_port_stats_of(axi);
    }

    Bench bench;
    ScriptUnit world;
    iom_axi_port *axi = nullptr;
    std::deque<Request> requests;

  private:
    const Request &add(bool write, iom_cycle earliest, Answer answer, uint32_t beats, uint64_t address);
    Request &find(uint64_t id);
    void present_next(bool write, iom_cycle from);
    void listen();

    iom_pool pool_ = {}, loss_pool_ = {};
    uint32_t beat_bytes_;
    uint64_t memory_cycles_;
    bool with_events_;
    std::deque<Request *> waiting_[2]; ///< not yet presented, per channel
    std::vector<Request *> in_front_end_;
};

} // namespace bench

#endif
