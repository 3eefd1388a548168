// SPDX-License-Identifier: Apache-2.0
//
// An AXI port among scripted neighbours. See axi_bench.h.
#include "tests/core/support/axi_bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <stdexcept>

namespace bench
{

namespace
{

// Ports of the world: the device's channels; then the responder ends.
enum WorldEnd { WORLD_READ, WORLD_WRITE, WORLD_LOOK_UP, WORLD_MEMORY, WORLD_EVENTS, WORLD_ENDS };
constexpr uint32_t channels = 2;

iom_dma *dma_of(iom_msg *msg)
{
    return reinterpret_cast<iom_dma *>(msg);
}

} // namespace

iom_axi_port_config axi_config()
{
    iom_axi_port_config config = {};
    config.beat_bytes = 8;
    config.arbitration = IOM_ARBITRATION_TREE;
    config.positions = 2;
    return config;
}

AxiBench::AxiBench(const iom_axi_port_config &config, uint64_t memory_cycles, bool with_events)
    : world("world", channels, WORLD_ENDS - channels), beat_bytes_(config.beat_bytes),
      memory_cycles_(memory_cycles), with_events_(with_events)
{
    iom_pool_init(&pool_, IOM_MSG_DMA, sizeof(iom_dma));
    iom_pool_init(&loss_pool_, IOM_MSG_AXI_LOSS, sizeof(iom_axi_loss));
    axi = iom_axi_port_create(&config, "axi");
    if (axi == nullptr)
        throw std::bad_alloc();
    bench.add(iom_axi_port_unit(axi));
    bench.add(world.unit());
    const iom_link_config device = {1, 0, 1, 1}, at_once = {0, 1, 1, 0};
    bench.connect(world.port(WORLD_READ), iom_axi_port_port(axi, IOM_AXI_READ), device);
    bench.connect(world.port(WORLD_WRITE), iom_axi_port_port(axi, IOM_AXI_WRITE), device);
    bench.connect(iom_axi_port_port(axi, IOM_AXI_LOOK_UP), world.port(WORLD_LOOK_UP), at_once);
    bench.connect(iom_axi_port_port(axi, IOM_AXI_MEMORY), world.port(WORLD_MEMORY), at_once);
    if (with_events)
        bench.connect(iom_axi_port_port(axi, IOM_AXI_EVENTS), world.port(WORLD_EVENTS), at_once);
    listen();
    bench.start();
}

AxiBench::~AxiBench()
{
    bench.close();
    iom_axi_port_destroy(axi);
    iom_pool_free(&pool_);
    iom_pool_free(&loss_pool_);
}

AxiBench::Request &AxiBench::find(uint64_t id)
{
    return requests.at(id);
}

void AxiBench::listen()
{
    for (uint32_t channel : {WORLD_READ, WORLD_WRITE})
        world.on(channel, [this, channel](iom_cycle now, iom_msg *msg) {
            Request &request = find(dma_of(msg)->id);
            EXPECT_EQ(request.write, channel == WORLD_WRITE) << "response of the other channel";
            EXPECT_EQ(request.responded, never) << "a second response";
            request.responded = now;
        });
    world.on(WORLD_LOOK_UP, [this](iom_cycle now, iom_msg *msg) {
        if (msg->kind == IOM_MSG_AXI_RELEASE) {
            iom_msg_release(msg);
            if (in_front_end_.empty())
                throw std::logic_error("a release, but nothing is being looked up");
            in_front_end_.front()->released = now;
            in_front_end_.clear();
            return;
        }
        Request &request = find(dma_of(msg)->id);
        EXPECT_TRUE(in_front_end_.empty()) << "one request in service at a time";
        in_front_end_.push_back(&request);
        request.looked_up = now;
        request.dma->x.outcome = request.refused ? IOM_OUTCOME_FAULT : IOM_OUTCOME_ADDRESS;
        request.dma->x.leaf.output = request.dma->x.address + axi_moved;
        world.send_at(now + request.look_up, WORLD_LOOK_UP, msg);
        if (!request.lost)
            return;
        auto *message = static_cast<iom_axi_loss *>(iom_pool_take(&loss_pool_));
        if (message == nullptr)
            throw std::bad_alloc();
        world.send_at(now + request.look_up, WORLD_LOOK_UP, &message->msg);
    });
    world.on(WORLD_MEMORY, [this](iom_cycle now, iom_msg *msg) {
        find(dma_of(msg)->id).at_memory = now;
        world.send_at(now + memory_cycles_ - 1, WORLD_MEMORY, msg);
    });
    world.on(WORLD_EVENTS, [this](iom_cycle now, iom_msg *msg) {
        const auto *event = reinterpret_cast<const iom_axi_event *>(msg);
        Request &request = find(event->id);
        iom_cycle &at = event->kind == IOM_AXI_ACCEPTED ? request.accepted : request.done;
        EXPECT_EQ(event->cycle, now);
        EXPECT_EQ(at, never) << "a second event of this kind";
        at = now;
        const bool accepted = event->kind == IOM_AXI_ACCEPTED;
        iom_msg_release(msg);
        if (!accepted)
            return;
        EXPECT_FALSE(iom_port_can_send(world.port(request.write ? WORLD_WRITE : WORLD_READ), now))
            << "the credit is back behind the handshake, not in it";
        present_next(request.write, now + 1);
    });
}

void AxiBench::present_next(bool write, iom_cycle from)
{
    std::deque<Request *> &waiting = waiting_[write];
    if (waiting.empty())
        return;
    Request &next = *waiting.front();
    waiting.pop_front();
    world.at(std::max(from, next.earliest), [this, &next](iom_cycle now) {
        iom_port *port = world.port(next.write ? WORLD_WRITE : WORLD_READ);
        if (!iom_port_can_send(port, now))
            throw std::logic_error("no credit to present a request with");
        next.presented = now;
        iom_port_send(port, &next.dma->msg, now);
    });
}

const AxiBench::Request &AxiBench::add(bool write, iom_cycle earliest, Answer answer, uint32_t beats,
                                       uint64_t address)
{
    auto *dma = static_cast<iom_dma *>(iom_pool_take(&pool_));
    if (dma == nullptr)
        throw std::bad_alloc();
    const iom_msg header = dma->msg;
    *dma = iom_dma{};
    dma->msg = header;
    dma->id = requests.size();
    dma->x.address = address;
    dma->x.bytes = beats * beat_bytes_;
    dma->x.flags = write ? IOM_REQ_WRITE : 0;
    requests.push_back({dma, write, earliest, answer.cycles, answer.refused, answer.lost, never, never, never,
                        never, never, never, never});
    waiting_[write].push_back(&requests.back());
    return requests.back();
}

const AxiBench::Request &AxiBench::read(iom_cycle earliest, Answer answer, uint32_t beats, uint64_t address)
{
    return add(false, earliest, answer, beats, address);
}

const AxiBench::Request &AxiBench::write(iom_cycle earliest, Answer answer, uint32_t beats, uint64_t address)
{
    return add(true, earliest, answer, beats, address);
}

void AxiBench::run()
{
    if (!with_events_ && (waiting_[0].size() > 1 || waiting_[1].size() > 1))
        throw std::logic_error("without events the driver does not know when to go on");
    present_next(false, 0);
    present_next(true, 0);
    bench.run_until_idle();
}

void AxiBench::wake_always(iom_cycle last)
{
    for (iom_cycle cycle = 0; cycle < last; cycle++)
        world.at(cycle, [this](iom_cycle now) { iom_unit_wake(iom_axi_port_unit(axi), now + 1); });
}

} // namespace bench
