// SPDX-License-Identifier: Apache-2.0
//
// See mock_responder.h.
#include "tests/traffic/support/mock_responder.h"

#include <algorithm>
#include <cstring>

namespace iommu_sim::test
{
namespace
{

iom_unit_ops make_ops(iom_cycle (*advance)(iom_unit *, iom_cycle))
{
    iom_unit_ops ops{};
    ops.kind = "mock";
    ops.advance = advance;
    return ops;
}

} // namespace

MockResponder::MockResponder(const std::string &name, unsigned count, iom_cycle latency_cycles)
    : ports(count), latency(latency_cycles)
{
    static const iom_unit_ops ops = make_ops(&MockResponder::advance);
    body.owner = this;
    iom_unit_init(&body.unit, &ops, name.c_str(), ports.data(), count);
    for (unsigned i = 0; i < count; i++)
        iom_port_init(&body.unit, i, "in", false);
}

MockResponder::~MockResponder() = default;

iom_cycle MockResponder::advance(iom_unit *unit, iom_cycle now)
{
    MockResponder *self = reinterpret_cast<Body *>(unit)->owner;
    for (unsigned i = 0; i < self->ports.size(); i++) {
        while (iom_port_peek(&self->ports[i], now) != nullptr)
            self->take(i, iom_port_pop(&self->ports[i]), now);
    }
    return IOM_NEVER;
}

void MockResponder::take(unsigned index, iom_msg *msg, iom_cycle now)
{
    const iom_cycle depart = now + (latency_of ? latency_of(*msg) : latency);
    if (msg->kind == IOM_MSG_DMA) {
        auto *request = reinterpret_cast<iom_dma *>(msg);
        const SeenDma seen{now,
                           index,
                           request->x.address,
                           request->x.bytes,
                           request->x.source,
                           request->x.pasid,
                           request->x.flags,
                           request->id};
        dma.push_back(seen);
        request->x.outcome = static_cast<uint8_t>(judge ? judge(seen) : IOM_OUTCOME_ADDRESS);
        departures.erase(std::remove_if(departures.begin(), departures.end(),
                                        [now](iom_cycle cycle) { return cycle <= now; }),
                         departures.end());
        departures.push_back(depart);
        most_in_flight = std::max<uint64_t>(most_in_flight, departures.size());
    } else if (msg->kind == IOM_MSG_MEMORY) {
        auto *access = reinterpret_cast<iom_memory_access *>(msg);
        uint64_t value = 0;
        std::memcpy(&value, access->data, access->bytes);
        stores.push_back({now, access->address, value, access->bytes});
        access->error = store_error ? 1 : 0;
    } else if (msg->kind == IOM_MSG_MMIO) {
        auto *access = reinterpret_cast<iom_mmio *>(msg);
        const SeenMmio seen{now, access->write, access->offset, access->value};
        mmio.push_back(seen);
        if (!access->write)
            access->value = read_register ? read_register(seen) : 0;
    }
    // The slot is held until the answer leaves.
    iom_port *port = &ports[index];
    iom_port_return_credit(port, depart - 1);
    iom_port_send(port, msg, depart);
}

void connect(iom_port *requester, iom_port *responder, uint32_t depth, iom_cycle latency,
             iom_cycle response_latency)
{
    iom_link_config link{};
    link.latency = latency;
    link.response_latency = response_latency;
    link.credit_latency = 1;
    link.depth = depth;
    if (!iom_port_bind(requester, responder, &link))
        std::abort();
}

Bench::Bench(std::vector<iom_unit *> list) : units(std::move(list))
{
    if (iom_group_init(&group, "bench", units.data(), static_cast<uint32_t>(units.size())) != nullptr)
        std::abort();
    iom_group_start(&group, 0);
}

Bench::~Bench()
{
    for (iom_unit *unit : units) {
        for (uint32_t i = 0; i < unit->port_count; i++)
            iom_port_unbind(&unit->ports[i]);
    }
    iom_group_free(&group);
}

iom_run_end Bench::run(iom_cycle limit)
{
    return iom_group_run(&group, limit, nullptr);
}

} // namespace iommu_sim::test
