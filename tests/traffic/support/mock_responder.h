// SPDX-License-Identifier: Apache-2.0
//
// A responder that answers every message after a fixed number of cycles, and writes down what came
// when. It stands for the IOMMU, the memory unit or the register unit in tests of traffic units.
#ifndef IOM_TESTS_TRAFFIC_MOCK_RESPONDER_H
#define IOM_TESTS_TRAFFIC_MOCK_RESPONDER_H

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/dma.h"
#include "core/memory.h"
#include "core/unit.h"

namespace iommu_sim::test
{

struct SeenDma {
    iom_cycle at;
    unsigned port;
    uint64_t iova;
    uint32_t bytes;
    uint32_t source;
    uint32_t pasid;
    uint16_t flags;
    uint64_t id;

    bool write() const
    {
        return (flags & IOM_REQ_WRITE) != 0;
    }
};

struct SeenStore {
    iom_cycle at;
    uint64_t address;
    uint64_t value;
    unsigned bytes;
};

struct SeenMmio {
    iom_cycle at;
    bool write;
    uint32_t offset;
    uint64_t value;
};

class MockResponder
{
  public:
    /// Answers depart `latency` cycles after arrival; the credit goes back with the answer's departure cycle
    /// not before `hold` cycles (at least 1 by the port).
    MockResponder(const std::string &name, unsigned ports, iom_cycle latency);
    ~MockResponder();
    MockResponder(const MockResponder &) = delete;
    MockResponder &operator=(const MockResponder &) = delete;

    iom_unit *unit()
    {
        return &body.unit;
    }
    iom_port *port(unsigned index)
    {
        return &ports[index];
    }

    std::vector<SeenDma> dma;
    std::vector<SeenStore> stores;
    std::vector<SeenMmio> mmio;
    /// Result of a DMA; null: every one is translated.
    std::function<iom_outcome(const SeenDma &)> judge;
    /// Value of a register read; null: zero.
    std::function<uint64_t(const SeenMmio &)> read_register;
    /// Latency of a message instead of the fixed one.
    std::function<iom_cycle(const iom_msg &)> latency_of;
    bool store_error = false;
    /// Largest number of DMA between arrival and departure of the answer.
    uint64_t most_in_flight = 0;

  private:
    struct Body {
        iom_unit unit;
        MockResponder *owner;
    };
    static iom_cycle advance(iom_unit *unit, iom_cycle now);
    void take(unsigned index, iom_msg *msg, iom_cycle now);

    Body body{};
    std::vector<iom_port> ports;
    iom_cycle latency;
    std::vector<iom_cycle> departures; ///< of DMA, unordered
};

/// Connects two ports without latency of their own beyond one cycle each way, unless told otherwise.
void connect(iom_port *requester, iom_port *responder, uint32_t depth = 0, iom_cycle latency = 1,
             iom_cycle response_latency = 1);

/// Units in one group, run to the end. Frees connections on destruction.
class Bench
{
  public:
    explicit Bench(std::vector<iom_unit *> units);
    ~Bench();
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    iom_run_end run(iom_cycle limit = IOM_NEVER - 1);
    iom_group group{};

  private:
    std::vector<iom_unit *> units;
};

} // namespace iommu_sim::test

#endif
