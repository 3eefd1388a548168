// SPDX-License-Identifier: Apache-2.0
//
// The fan-out (core/fanout.h) between scripted sources, participants and device TLBs. All connections take
// one cycle.
#ifndef IOM_TESTS_CORE_FANOUT_FIXTURE_HPP
#define IOM_TESTS_CORE_FANOUT_FIXTURE_HPP

#include <gtest/gtest.h>

#include <ostream>
#include <tuple>
#include <vector>

#include "core/fanout.h"
#include "tests/core/support/bench.h"

namespace fanout_fixture
{

inline constexpr uint32_t sources = 2, participants = 3;

struct Sent {
    iom_cycle cycle; ///< in which the fan-out sent it
    uint32_t to;     ///< participant or device
    iom_msg *msg;
    uint64_t id = 0; ///< of the invalidation (participants); the message is used again once it is back

    const iom_control &control() const
    {
        return *reinterpret_cast<const iom_control *>(msg);
    }
    const iom_ats_invalidation &request() const
    {
        return *reinterpret_cast<const iom_ats_invalidation *>(msg);
    }
};

struct Answer {
    iom_cycle cycle; ///< in which the fan-out sent it
    uint32_t source;
    uint64_t cookie;
    uint8_t result;
    uint32_t removed;
};

inline bool operator==(const Answer &a, const Answer &b)
{
    return std::tie(a.cycle, a.source, a.cookie, a.result, a.removed) ==
           std::tie(b.cycle, b.source, b.cookie, b.result, b.removed);
}

inline std::ostream &operator<<(std::ostream &out, const Answer &a)
{
    return out << "{" << a.cycle << ", source " << a.source << ", cookie " << a.cookie << ", result "
               << int{a.result} << ", removed " << a.removed << "}";
}

inline constexpr uint32_t stream_of(uint32_t device)
{
    return 0x100 + device;
}

class FanoutBench
{
  public:
    explicit FanoutBench(uint32_t devices = 2, uint64_t timeout_cycles = 0, uint32_t tags = 0,
                         bool any_device = false)
        : source("source", sources, 0), world("world", 0, participants + devices + 1), devices_(devices)
    {
        iom_pool_init(&pool_, IOM_MSG_CONTROL, sizeof(iom_control));
        std::vector<uint32_t> streams;
        for (uint32_t i = 0; i < devices; i++)
            streams.push_back(any_device && i == 0 ? IOM_STREAM_ANY : stream_of(i));
        iom_fanout_config config = {};
        config.sources = sources;
        config.participants = participants;
        config.devices = devices;
        config.streams = streams.data();
        config.timeout_cycles = timeout_cycles;
        config.tags = tags;
        fanout = iom_fanout_create(&config, "fanout");
        bench.add(source.unit());
        bench.add(world.unit());
        bench.add(iom_fanout_unit(fanout));
        const iom_link_config wire = {1, 1, 1, 0};
        for (uint32_t i = 0; i < sources; i++) {
            bench.connect(source.port(i), iom_fanout_source(fanout, i), wire);
            source.on(i, [this, i](iom_cycle now, iom_msg *msg) {
                const auto &c = *reinterpret_cast<iom_control *>(msg);
                answers.push_back({now - 1, i, c.cookie, c.result, c.removed});
                iom_msg_release(msg);
            });
        }
        for (uint32_t i = 0; i < participants; i++) {
            bench.connect(iom_fanout_participant(fanout, i), world.port(i), wire);
            world.on(i, [this, i](iom_cycle now, iom_msg *msg) {
                told.push_back({now - 1, i, msg});
                told.back().id = told.back().control().invalidation.id;
            });
        }
        for (uint32_t i = 0; i < devices; i++) {
            bench.connect(iom_fanout_device(fanout, i), world.port(participants + i), wire);
            world.on(participants + i, [this, i](iom_cycle now, iom_msg *msg) {
                if (msg->kind == IOM_MSG_PAGE_RESPONSE) {
                    responses.push_back(
                        {now - 1, i, reinterpret_cast<iom_page_response_message *>(msg)->response});
                    iom_msg_release(msg);
                } else {
                    asked.push_back({now - 1, i, msg});
                }
            });
        }
        bench.connect(iom_fanout_events(fanout), world.port(participants + devices), wire);
        world.on(participants + devices, [this](iom_cycle now, iom_msg *msg) {
            events.push_back({now - 1, reinterpret_cast<iom_queue_event_message *>(msg)->event});
            iom_msg_release(msg);
        });
        bench.start();
    }
    ~FanoutBench()
    {
        bench.close();
        iom_fanout_destroy(fanout);
        iom_pool_free(&pool_);
    }
    FanoutBench(const FanoutBench &) = delete;
    FanoutBench &operator=(const FanoutBench &) = delete;

    /// Something that arrives at the fan-out in `arrival`.
    iom_control *control(iom_cycle arrival, uint32_t from, iom_control_op op)
    {
        auto *made = static_cast<iom_control *>(iom_pool_take(&pool_));
        const iom_msg header = made->msg;
        *made = iom_control{};
        made->msg = header;
        made->op = static_cast<uint8_t>(op);
        made->cookie = ++cookies_;
        source.send_at(arrival - 1, from, &made->msg);
        return made;
    }
    iom_control *own(iom_cycle arrival, uint32_t from)
    {
        iom_control *made = control(arrival, from, IOM_CONTROL_INVALIDATE);
        made->invalidation.parts = 1;
        made->invalidation.part[0].targets = IOM_INVALIDATE_IOTLB;
        return made;
    }
    iom_control *device(iom_cycle arrival, uint32_t from, uint32_t stream, uint32_t depth = 0)
    {
        iom_control *made = control(arrival, from, IOM_CONTROL_INVALIDATE);
        made->invalidation.has_device = true;
        made->invalidation.device.stream = stream;
        made->invalidation.device.queue_depth = depth;
        return made;
    }
    /// Participant of told[index] acknowledges; the fan-out has it in `arrival`.
    void acknowledge(size_t index, iom_cycle arrival, uint32_t removed = 0)
    {
        const Sent &sent = told.at(index);
        reinterpret_cast<iom_control *>(sent.msg)->removed = removed;
        world.send_at(arrival - 1, sent.to, sent.msg);
    }
    /// Device of asked[index] completes.
    void answer(size_t index, iom_cycle arrival, uint32_t removed = 0)
    {
        const Sent &sent = asked.at(index);
        reinterpret_cast<iom_ats_invalidation *>(sent.msg)->removed = removed;
        world.send_at(arrival - 1, participants + sent.to, sent.msg);
    }
    const iom_fanout_stats &stats() const
    {
        return *iom_fanout_stats_of(fanout);
    }
    uint64_t messages_out() const
    {
        return pool_.in_use;
    }

    std::vector<Sent> told, asked;
    std::vector<Answer> answers;
    struct Event {
        iom_cycle cycle;
        iom_queue_event event;
    };
    std::vector<Event> events;
    struct Response {
        iom_cycle cycle;
        uint32_t device;
        iom_page_response response;
    };
    std::vector<Response> responses;
    bench::Bench bench;
    bench::ScriptUnit source, world;
    iom_fanout *fanout = nullptr;

  private:
    uint32_t devices_;
    uint64_t cookies_ = 0;
    iom_pool pool_ = {};
};

} // namespace fanout_fixture

#endif
