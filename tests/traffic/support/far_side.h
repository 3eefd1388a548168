// SPDX-License-Identifier: Apache-2.0
//
// What a sequence (traffic/sequence.h) is connected to, played by a script: an AXI port that accepts, ends
// and answers each request in the cycles it is told, registers, memory, and a command queue that is busy or
// drained when it is told.
#ifndef IOM_TESTS_TRAFFIC_FAR_SIDE_H
#define IOM_TESTS_TRAFFIC_FAR_SIDE_H

#include <functional>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/axi_port.h"
#include "core/command.h"
#include "core/control.h"
#include "core/dma.h"
#include "core/memory.h"
#include "traffic/sequence.h"

namespace iommu_sim::test
{

/// What becomes of a request; IOM_NEVER: nothing.
struct Fate {
    iom_cycle accepted = IOM_NEVER, done = IOM_NEVER, responded = IOM_NEVER;
    iom_outcome outcome = IOM_OUTCOME_ADDRESS;
    uint64_t output = 0;
    uint16_t fault = 0;
};

class FarSide
{
  public:
    struct Arrived {
        iom_cycle presented;
        iom_xlate x;
    };
    struct Written {
        iom_cycle cycle; ///< of arrival
        uint64_t address, value;
        unsigned bytes;
    };

    /// `fate` decides when a request arrives: its number, the cycle in which it was presented.
    explicit FarSide(std::function<Fate(uint64_t, iom_cycle)> fate) : fate_(std::move(fate))
    {
        iom_unit_init(&body_.unit, &ops(), "far", ports_, port_count);
        const char *names[port_count] = {"read", "write", "events", "registers", "memory", "queue"};
        for (unsigned i = 0; i < port_count; i++)
            iom_port_init(&body_.unit, i, names[i], i == events || i == queue);
        body_.owner = this;
        iom_pool_init(&event_pool_, IOM_MSG_AXI_EVENT, sizeof(iom_axi_event));
        iom_pool_init(&queue_pool_, IOM_MSG_QUEUE_EVENT, sizeof(iom_queue_event_message));
    }
    ~FarSide()
    {
        iom_pool_free(&event_pool_);
        iom_pool_free(&queue_pool_);
    }
    FarSide(const FarSide &) = delete;
    FarSide &operator=(const FarSide &) = delete;

    iom_unit *unit()
    {
        return &body_.unit;
    }

    /// The command queue becomes busy or drained in `cycle`.
    void queue_is(iom_cycle cycle, bool drained)
    {
        plan_.emplace(cycle, [this, drained](iom_cycle now) {
            auto *message = static_cast<iom_queue_event_message *>(iom_pool_take(&queue_pool_));
            message->event = {};
            message->event.kind = drained ? IOM_QUEUE_DRAINED : IOM_QUEUE_BUSY;
            iom_port_send(&ports_[queue], &message->msg, now);
        });
    }

    /// Connects all ports: requests arrive a cycle after they were presented, register writes two cycles
    /// later and are answered one cycle after that; everything else at once.
    void connect(iom_sequence *sequence)
    {
        iom_link_config channel{1, 0, 1, 1}, registers_link{2, 1, 1, 0}, memory_link{1, 1, 1, 0},
            notice{0, 1, 1, 0};
        bind(iom_sequence_port(sequence, IOM_SEQUENCE_READ), read, channel);
        bind(iom_sequence_port(sequence, IOM_SEQUENCE_WRITE), write, channel);
        bind(iom_sequence_port(sequence, IOM_SEQUENCE_REGISTERS), registers, registers_link);
        bind(iom_sequence_port(sequence, IOM_SEQUENCE_MEMORY_PORT), memory, memory_link);
        if (!iom_port_bind(&ports_[events], iom_sequence_port(sequence, IOM_SEQUENCE_EVENTS), &notice) ||
            !iom_port_bind(&ports_[queue], iom_sequence_port(sequence, IOM_SEQUENCE_QUEUE), &notice))
            throw std::bad_alloc();
    }
    void disconnect()
    {
        for (iom_port &port : ports_) {
            if (port.peer == nullptr)
                continue;
            iom_port_unbind(port.peer);
            iom_port_unbind(&port);
        }
    }

    std::map<uint64_t, Arrived> requests; ///< by number
    std::vector<Written> register_writes, memory_writes;

  private:
    enum { read, write, events, registers, memory, queue, port_count };
    struct Body {
        iom_unit unit; // first: found back from the unit pointer
        FarSide *owner;
    };

    void bind(iom_port *requester, unsigned port, const iom_link_config &link)
    {
        if (!iom_port_bind(requester, &ports_[port], &link))
            throw std::bad_alloc();
    }

    static const iom_unit_ops &ops()
    {
        static const iom_unit_ops all = {"far_side", advance, nullptr, nullptr, nullptr, nullptr, nullptr};
        return all;
    }

    static iom_cycle advance(iom_unit *unit, iom_cycle now)
    {
        return reinterpret_cast<Body *>(unit)->owner->step(now);
    }

    iom_cycle step(iom_cycle now)
    {
        for (unsigned port : {read, write})
            take_request(port, now);
        take_writes(now);
        while (!plan_.empty() && plan_.begin()->first <= now) {
            const auto action = plan_.begin()->second;
            plan_.erase(plan_.begin());
            action(now);
        }
        return plan_.empty() ? IOM_NEVER : plan_.begin()->first;
    }

    void tell(iom_cycle cycle, iom_axi_event_kind kind, uint64_t id)
    {
        if (cycle == IOM_NEVER)
            return;
        plan_.emplace(cycle, [this, kind, id](iom_cycle now) {
            auto *event = static_cast<iom_axi_event *>(iom_pool_take(&event_pool_));
            event->kind = static_cast<uint8_t>(kind);
            event->id = id;
            event->cycle = now;
            iom_port_send(&ports_[events], &event->msg, now);
        });
    }

    void take_request(unsigned port, iom_cycle now)
    {
        while (iom_port_peek(&ports_[port], now) != nullptr) {
            auto *dma = reinterpret_cast<iom_dma *>(iom_port_pop(&ports_[port]));
            requests[dma->id] = {now - 1, dma->x};
            const Fate fate = fate_(dma->id, now - 1);
            tell(fate.accepted, IOM_AXI_ACCEPTED, dma->id);
            tell(fate.done, IOM_AXI_DONE, dma->id);
            if (fate.accepted != IOM_NEVER)
                plan_.emplace(fate.accepted, [this, port](iom_cycle cycle) {
                    iom_port_return_credit(&ports_[port], cycle);
                });
            if (fate.responded == IOM_NEVER) {
                iom_msg_release(&dma->msg);
                continue;
            }
            dma->x.outcome = static_cast<uint8_t>(fate.outcome);
            dma->x.leaf.output = fate.output;
            dma->x.fault.code = fate.fault;
            plan_.emplace(fate.responded, [this, port, dma](iom_cycle cycle) {
                iom_port_send(&ports_[port], &dma->msg, cycle);
            });
        }
    }

    void take_writes(iom_cycle now)
    {
        while (iom_port_peek(&ports_[registers], now) != nullptr) {
            auto *mmio = reinterpret_cast<iom_mmio *>(iom_port_pop(&ports_[registers]));
            register_writes.push_back({now, mmio->offset, mmio->value, mmio->bytes});
            iom_port_send(&ports_[registers], &mmio->msg, now);
        }
        while (iom_port_peek(&ports_[memory], now) != nullptr) {
            auto *access = reinterpret_cast<iom_memory_access *>(iom_port_pop(&ports_[memory]));
            memory_writes.push_back({now, access->address, access->data[0], access->bytes});
            iom_port_send(&ports_[memory], &access->msg, now);
        }
    }

    std::function<Fate(uint64_t, iom_cycle)> fate_;
    std::multimap<iom_cycle, std::function<void(iom_cycle)>> plan_;
    Body body_{};
    iom_port ports_[port_count]{};
    iom_pool event_pool_{}, queue_pool_{};
};

} // namespace iommu_sim::test

#endif
