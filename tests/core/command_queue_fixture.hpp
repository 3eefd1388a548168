// SPDX-License-Identifier: Apache-2.0
//
// The command queue (core/command_queue.h) between a scripted register unit, memory and fan-out, under
// commands made up for the purpose.
#ifndef IOM_TESTS_CORE_COMMAND_QUEUE_FIXTURE_HPP
#define IOM_TESTS_CORE_COMMAND_QUEUE_FIXTURE_HPP

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/command_queue.h"
#include "tests/core/support/bench.h"

namespace command_queue_fixture
{

// ---- commands made up for the purpose ----------------------------------------------------------------
//
// Word 0: bits 7:0 what, bits 15:8 flags, bits 63:32 number (goes into the invalidation's first address).

enum Toy : uint64_t { toy_own = 1, toy_device, toy_wait, toy_accepted, toy_invalid, toy_respond };
enum ToyFlag : uint64_t {
    flag_status = 1,
    flag_interrupt = 2,
    flag_fence = 4,
    flag_drain_reads = 8,
    flag_drain_writes = 16,
    flag_holds_head = 32,
    flag_drain_pages = 64,
};

inline constexpr uint64_t status_address = 0x9000;

inline void toy_decode(const iom_arch *, const iom_queue_setup *setup, const uint64_t *words,
                       iom_command *command)
{
    const uint64_t flags = words[0] >> 8 & 0xff;
    const uint64_t number = words[0] >> 32;
    iom_invalidation &invalidation = command->invalidation;
    invalidation.drain_reads = (flags & flag_drain_reads) != 0;
    invalidation.drain_writes = (flags & flag_drain_writes) != 0;
    switch (words[0] & 0xff) {
    case toy_own:
        command->kind = IOM_COMMAND_INVALIDATE;
        invalidation.parts = 1;
        invalidation.part[0].match.first = number;
        break;
    case toy_device:
        command->kind = IOM_COMMAND_INVALIDATE;
        invalidation.has_device = true;
        invalidation.device.stream = static_cast<uint32_t>(number);
        break;
    case toy_wait:
        command->kind = IOM_COMMAND_WAIT;
        command->wait.write_status = (flags & flag_status) != 0;
        command->wait.interrupt = (flags & flag_interrupt) != 0;
        command->wait.fence = (flags & flag_fence) != 0;
        command->wait.drain_reads = invalidation.drain_reads;
        command->wait.drain_writes = invalidation.drain_writes;
        command->wait.drain_page_requests = (flags & flag_drain_pages) != 0;
        command->wait.holds_head = (flags & flag_holds_head) != 0;
        command->wait.status_bytes = 4;
        command->wait.address = status_address + 8 * number;
        command->wait.status = number;
        break;
    case toy_accepted:
        command->kind = IOM_COMMAND_ACCEPTED;
        break;
    case toy_respond:
        command->kind = IOM_COMMAND_RESPOND;
        command->response.stream = static_cast<uint32_t>(number);
        break;
    default:
        command->kind = IOM_COMMAND_INVALID;
        command->error = static_cast<uint32_t>(number) + setup->command_bytes;
        break;
    }
}

inline uint64_t command(Toy what, uint64_t number = 0, uint64_t flags = 0)
{
    return what | flags << 8 | number << 32;
}

/// `count` invalidations of own caches, numbered from 0.
inline std::vector<uint64_t> own(uint64_t count)
{
    std::vector<uint64_t> list;
    for (uint64_t i = 0; i < count; i++)
        list.push_back(command(toy_own, i));
    return list;
}

inline bool toy_page_request(const iom_arch *, void *, const iom_page_request *)
{
    return true;
}

inline iom_arch_ops make_ops(bool page_requests)
{
    iom_arch_ops ops = {};
    ops.name = "toy";
    ops.decode = toy_decode;
    ops.page_request = page_requests ? toy_page_request : nullptr;
    return ops;
}
inline const iom_arch_ops toy_ops = make_ops(false), paging_ops = make_ops(true);

// ---- bench -------------------------------------------------------------------------------------------

inline constexpr uint64_t base = 0x10000;

struct Options {
    uint32_t prefetch = 8, in_flight = 8, command_bytes = 16, queue_bytes = 4096;
    uint64_t decode_cycles = 1;
    bool in_order = false;
    iom_cycle memory_cycles = 10; ///< from a read leaving the queue to its data
    iom_cycle status_cycles = 0;  ///< from a status write leaving it to its acknowledgement, 0: as a read
    iom_command_pace pace = {};
    uint32_t memory_depth = 0;
    uint32_t device_tags = 0;
    bool timeout_at_wait = false, page_requests = false;
};

class QueueBench
{
  public:
    enum { port_setup, port_events, port_memory, port_fanout, port_status };

    explicit QueueBench(const Options &options = {}) : world("world", 1, 4), options_(options)
    {
        iom_pool_init(&setups_, IOM_MSG_QUEUE_SETUP, sizeof(iom_queue_setup_message));
        arch_.ops = options.page_requests ? &paging_ops : &toy_ops;
        iom_command_queue_config config = {};
        config.arch = &arch_;
        config.prefetch_commands = options.prefetch;
        config.decode_cycles = options.decode_cycles;
        config.max_in_flight = options.in_flight;
        config.in_order = options.in_order;
        config.device_tags = options.device_tags;
        config.pace = options.pace;
        queue = iom_command_queue_create(&config, "queue");
        bench.add(world.unit());
        bench.add(iom_command_queue_unit(queue));
        const iom_link_config wire = {1, 1, 1, 0};
        const iom_link_config memory = {1, 1, 1, options.memory_depth};
        bench.connect(world.port(port_setup), iom_command_queue_port(queue, IOM_COMMAND_QUEUE_SETUP), wire);
        bench.connect(iom_command_queue_port(queue, IOM_COMMAND_QUEUE_EVENTS), world.port(port_events), wire);
        bench.connect(iom_command_queue_port(queue, IOM_COMMAND_QUEUE_MEMORY), world.port(port_memory),
                      memory);
        bench.connect(iom_command_queue_port(queue, IOM_COMMAND_QUEUE_FANOUT), world.port(port_fanout), wire);
        bench.connect(iom_command_queue_port(queue, IOM_COMMAND_QUEUE_STATUS), world.port(port_status), wire);
        world.on(port_events, [this](iom_cycle now, iom_msg *msg) {
            events.push_back({now - 1, reinterpret_cast<iom_queue_event_message *>(msg)->event});
            iom_msg_release(msg);
        });
        world.on(port_status, [this](iom_cycle now, iom_msg *msg) {
            statuses.push_back({now - 1, reinterpret_cast<iom_queue_event_message *>(msg)->event});
            iom_msg_release(msg);
        });
        world.on(port_memory, [this](iom_cycle now, iom_msg *msg) { serve(now, msg); });
        world.on(port_fanout, [this](iom_cycle now, iom_msg *msg) {
            auto *control = reinterpret_cast<iom_control *>(msg);
            told.push_back({now - 1, control, control->op});
        });
        bench.start();
    }
    ~QueueBench()
    {
        bench.close();
        iom_command_queue_destroy(queue);
        iom_pool_free(&setups_);
    }
    QueueBench(const QueueBench &) = delete;
    QueueBench &operator=(const QueueBench &) = delete;

    /// Writes a command at the tail (memory only).
    void put(uint64_t word)
    {
        words[tail] = word;
        tail = (tail + options_.command_bytes) % options_.queue_bytes;
    }
    /// The registers of the queue with this head and tail.
    iom_queue_setup setup(uint32_t at, uint32_t to) const
    {
        iom_queue_setup registers = {};
        registers.enabled = enabled;
        registers.base = base;
        registers.bytes = options_.queue_bytes;
        registers.command_bytes = options_.command_bytes;
        registers.head = at;
        registers.tail = to;
        registers.generation = generation;
        registers.timeout_at_wait = options_.timeout_at_wait;
        return registers;
    }
    /// The registers as they are now arrive in `arrival`.
    void ring(iom_cycle arrival)
    {
        auto *message = static_cast<iom_queue_setup_message *>(iom_pool_take(&setups_));
        message->setup = setup(head, tail);
        world.send_at(arrival - 1, port_setup, &message->msg);
    }
    /// Writes commands, rings (the doorbell arrives in 10) and runs to `until`.
    void play(iom_cycle until, const std::vector<uint64_t> &commands)
    {
        for (uint64_t word : commands)
            put(word);
        ring(10);
        bench.run_to(until);
    }
    /// Number of the invalidation told[index].
    uint64_t number(size_t index) const
    {
        return told.at(index).message->invalidation.part[0].match.first;
    }
    /// The fan-out answers told[index]; the queue has it in `arrival`.
    void answer(size_t index, iom_cycle arrival, iom_control_result result = IOM_CONTROL_DONE)
    {
        told.at(index).message->result = static_cast<uint8_t>(result);
        world.send_at(arrival - 1, port_fanout, &told[index].message->msg);
    }
    /// Events other than head moves.
    std::vector<iom_queue_event> special() const
    {
        std::vector<iom_queue_event> list;
        for (const Event &event : events) {
            if (event.event.kind != IOM_QUEUE_HEAD)
                list.push_back(event.event);
        }
        return list;
    }
    /// Head moves as (cycle, offset).
    std::vector<std::pair<iom_cycle, uint32_t>> heads() const
    {
        std::vector<std::pair<iom_cycle, uint32_t>> list;
        for (const Event &event : events) {
            if (event.event.kind == IOM_QUEUE_HEAD)
                list.emplace_back(event.cycle, event.event.head);
        }
        return list;
    }
    uint32_t last_head() const
    {
        return events.empty() ? UINT32_MAX : events.back().event.head;
    }
    const iom_command_queue_stats &stats() const
    {
        return *iom_command_queue_stats_of(queue);
    }

    struct Access {
        iom_cycle cycle;
        uint64_t offset; ///< in the queue; status writes: address
        uint32_t bytes;
        bool write;
        uint64_t data;
    };
    struct Told {
        iom_cycle cycle;
        iom_control *message;
        uint8_t op;
    };
    struct Event {
        iom_cycle cycle;
        iom_queue_event event;
    };
    std::vector<Access> accesses;
    std::vector<Told> told;
    std::vector<Event> events, statuses; ///< to the register unit; through the status port
    std::map<uint64_t, uint64_t> words;  ///< commands, by offset
    std::optional<uint64_t> unreadable;  ///< offset in an unreadable line
    bool refuse_status = false;
    bool enabled = true;
    uint32_t head = 0, tail = 0, generation = 1;
    bench::Bench bench;
    bench::ScriptUnit world;
    iom_command_queue *queue = nullptr;

  private:
    void serve(iom_cycle now, iom_msg *msg)
    {
        auto *access = reinterpret_cast<iom_memory_access *>(msg);
        const bool write = access->op == IOM_MEMORY_WRITE;
        const uint64_t offset = write ? access->address : access->address - base;
        accesses.push_back({now - 1, offset, access->bytes, write, access->data[0]});
        if (!write) {
            for (uint32_t at = 0; at < access->bytes; at += 8)
                access->data[at / 8] = words.count(offset + at) != 0 ? words[offset + at] : 0;
            access->error = unreadable && *unreadable >= offset && *unreadable < offset + access->bytes;
        } else if (refuse_status) {
            access->error = IOM_ACCESS_REFUSED;
        }
        iom_port_return_credit(world.port(port_memory), now);
        const bool own_latency = write && options_.status_cycles != 0;
        const iom_cycle cycles = own_latency ? options_.status_cycles : options_.memory_cycles;
        iom_port_send(world.port(port_memory), msg, now - 1 + cycles - 1);
    }

    Options options_;
    iom_arch arch_ = {};
    iom_pool setups_ = {};
};

} // namespace command_queue_fixture

#endif
