// SPDX-License-Identifier: Apache-2.0
//
// The command queue (core/command_queue.h) between a scripted register unit, memory and fan-out, under
// commands made up for the purpose: fetch and decode in exact cycles, what holds commands back, waits,
// errors, time-outs, generations.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <vector>

#include "core/command_queue.h"
#include "tests/core/support/bench.h"

namespace
{

// ---- commands made up for the purpose ----------------------------------------------------------------
//
// Word 0: bits 7:0 what, bits 15:8 flags, bits 63:32 number (goes into the invalidation's first address).

enum Toy : uint64_t { toy_own = 1, toy_device, toy_wait, toy_accepted, toy_invalid };
enum ToyFlag : uint64_t {
    flag_status = 1,
    flag_interrupt = 2,
    flag_fence = 4,
    flag_drain_reads = 8,
    flag_drain_writes = 16,
};

constexpr uint64_t status_address = 0x9000;

void toy_decode(const iom_arch *, const uint64_t *words, uint32_t command_bytes, iom_command *command)
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
        command->wait.status_bytes = 4;
        command->wait.address = status_address + 8 * number;
        command->wait.status = number;
        break;
    case toy_accepted:
        command->kind = IOM_COMMAND_ACCEPTED;
        break;
    default:
        command->kind = IOM_COMMAND_INVALID;
        command->error = static_cast<uint32_t>(number) + command_bytes;
        break;
    }
}

uint64_t command(Toy what, uint64_t number = 0, uint64_t flags = 0)
{
    return what | flags << 8 | number << 32;
}

iom_arch_ops make_ops()
{
    iom_arch_ops ops = {};
    ops.name = "toy";
    ops.decode = toy_decode;
    return ops;
}
const iom_arch_ops toy_ops = make_ops();

// ---- bench -------------------------------------------------------------------------------------------

constexpr uint64_t base = 0x10000;

struct Options {
    uint32_t prefetch = 8, in_flight = 8, command_bytes = 16, queue_bytes = 4096;
    uint64_t decode_cycles = 1;
    bool in_order = false;
    iom_cycle memory_cycles = 10; ///< from a read leaving the queue to its data
    uint32_t memory_depth = 0;
};

class QueueBench
{
  public:
    enum { port_setup, port_events, port_memory, port_fanout };

    explicit QueueBench(const Options &options = {}) : world("world", 1, 3), options_(options)
    {
        iom_pool_init(&setups_, IOM_MSG_QUEUE_SETUP, sizeof(iom_queue_setup_message));
        arch_.ops = &toy_ops;
        iom_command_queue_config config = {};
        config.arch = &arch_;
        config.prefetch_commands = options.prefetch;
        config.decode_cycles = options.decode_cycles;
        config.max_in_flight = options.in_flight;
        config.in_order = options.in_order;
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
        world.on(port_events, [this](iom_cycle now, iom_msg *msg) {
            events.push_back({now - 1, reinterpret_cast<iom_queue_event_message *>(msg)->event});
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
    /// The registers as they are now arrive in `arrival`.
    void ring(iom_cycle arrival)
    {
        auto *message = static_cast<iom_queue_setup_message *>(iom_pool_take(&setups_));
        message->setup = {enabled, base,      options_.queue_bytes, options_.command_bytes, head,
                          tail,    generation};
        world.send_at(arrival - 1, port_setup, &message->msg);
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
    std::vector<Event> events;
    std::map<uint64_t, uint64_t> words; ///< commands, by offset
    std::optional<uint64_t> unreadable; ///< offset in an unreadable line
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
        }
        iom_port_return_credit(world.port(port_memory), now);
        iom_port_send(world.port(port_memory), msg, now - 1 + options_.memory_cycles - 1);
    }

    Options options_;
    iom_arch arch_ = {};
    iom_pool setups_ = {};
};

// ---- fetch and decode --------------------------------------------------------------------------------

// Doorbell in 10, read leaves in 10, data in 20, decoded and sent in 21, 22, ...
TEST(CommandQueue, a_command_takes_the_read_and_its_decoding)
{
    for (uint64_t decode : {uint64_t{1}, uint64_t{5}}) {
        Options options;
        options.decode_cycles = decode;
        QueueBench b(options);
        for (uint64_t i = 0; i < 3; i++)
            b.put(command(toy_own, i));
        b.ring(10);
        b.bench.run_to(100);
        ASSERT_EQ(b.accesses.size(), 1u);
        EXPECT_EQ(b.accesses[0].cycle, 10u);
        EXPECT_EQ(b.accesses[0].offset, 0u);
        EXPECT_EQ(b.accesses[0].bytes, 48u) << "up to the tail";
        ASSERT_EQ(b.told.size(), 3u);
        for (size_t i = 0; i < 3; i++) {
            EXPECT_EQ(b.told[i].cycle, 20 + (i + 1) * decode);
            EXPECT_EQ(b.told[i].message->invalidation.part[0].match.first, i);
        }
        EXPECT_EQ(b.stats().fetch_latency.sum, 3 * 10 + 6 * decode);
        EXPECT_EQ(b.stats().commands, 3u);
        EXPECT_EQ(b.stats().invalidations, 3u);
        EXPECT_EQ(b.stats().doorbells, 1u);
    }
}

TEST(CommandQueue, reads_end_at_lines_at_the_wrap_and_at_the_tail)
{
    QueueBench b;
    b.head = b.tail = 4096 - 80; // 16 bytes of a line, a line, then the wrap
    for (uint64_t i = 0; i < 7; i++)
        b.put(command(toy_own, i));
    b.ring(10);
    b.bench.run_to(60);
    ASSERT_EQ(b.accesses.size(), 3u);
    EXPECT_EQ(b.accesses[0].offset, 4016u);
    EXPECT_EQ(b.accesses[0].bytes, 16u);
    EXPECT_EQ(b.accesses[1].offset, 4032u);
    EXPECT_EQ(b.accesses[1].bytes, 64u);
    EXPECT_EQ(b.accesses[1].cycle, 10u) << "several are under way at once";
    EXPECT_EQ(b.accesses[2].offset, 0u);
    EXPECT_EQ(b.accesses[2].bytes, 32u);
    ASSERT_EQ(b.told.size(), 7u);
    for (size_t i = 0; i < 7; i++)
        EXPECT_EQ(b.told[i].message->invalidation.part[0].match.first, i);
    EXPECT_EQ(b.last_head(), 32u);
}

TEST(CommandQueue, wide_commands_are_two_to_a_line)
{
    Options options;
    options.command_bytes = 32;
    QueueBench b(options);
    for (uint64_t i = 0; i < 3; i++)
        b.put(command(toy_own, i));
    b.ring(10);
    b.bench.run_to(60);
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_EQ(b.accesses[0].bytes, 64u);
    EXPECT_EQ(b.accesses[1].bytes, 32u);
    EXPECT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.last_head(), 96u);
}

// Place for four: the next line is asked for when all four have gone to the decoder.
TEST(CommandQueue, the_prefetch_buffer_limits_reads)
{
    Options options;
    options.prefetch = 4;
    QueueBench b(options);
    for (uint64_t i = 0; i < 8; i++)
        b.put(command(toy_own, i));
    b.ring(10);
    b.bench.run_to(100);
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_EQ(b.accesses[1].cycle, 23u) << "decoding of the fourth begins when the third has begun";
    options.prefetch = 1;
    QueueBench one(options);
    for (uint64_t i = 0; i < 3; i++)
        one.put(command(toy_own, i));
    one.ring(10);
    one.bench.run_to(100);
    ASSERT_EQ(one.accesses.size(), 3u);
    EXPECT_EQ(one.accesses[0].bytes, 16u);
    EXPECT_EQ(one.accesses[1].cycle, 20u) << "when the first has gone to the decoder";
}

TEST(CommandQueue, reads_wait_for_credits_of_memory)
{
    Options options;
    options.prefetch = 16;
    options.memory_depth = 1;
    QueueBench b(options);
    for (uint64_t i = 0; i < 8; i++)
        b.put(command(toy_own, i));
    b.ring(10);
    b.bench.run_to(100);
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_EQ(b.accesses[1].cycle, 12u) << "credit back one cycle after acceptance";
    EXPECT_EQ(b.told.size(), 8u);
}

TEST(CommandQueue, the_head_passes_a_command_when_it_begins)
{
    Options options;
    options.in_flight = 1;
    QueueBench b(options);
    b.put(command(toy_own, 0));
    b.put(command(toy_accepted));
    b.put(command(toy_own, 1));
    b.ring(10);
    b.bench.run_to(40);
    ASSERT_EQ(b.events.size(), 2u);
    EXPECT_EQ(b.events[0].cycle, 21u);
    EXPECT_EQ(b.events[0].event.head, 16u);
    EXPECT_EQ(b.events[1].cycle, 22u);
    EXPECT_EQ(b.events[1].event.head, 32u);
    EXPECT_EQ(b.told.size(), 1u) << "one in flight at most";
    b.answer(0, 50);
    b.bench.run_to(60);
    ASSERT_EQ(b.events.size(), 3u);
    EXPECT_EQ(b.events[2].cycle, 50u);
    EXPECT_EQ(b.events[2].event.head, 48u);
    EXPECT_EQ(b.events[2].event.generation, 1u);
    EXPECT_EQ(b.stats().most_in_flight, 1u);
    EXPECT_EQ(b.stats().hold_latency.sum, 50u - 23u);
}

// ---- order -------------------------------------------------------------------------------------------

TEST(CommandQueue, a_fence_holds_back_what_follows_until_it_has_completed)
{
    for (bool fence : {false, true}) {
        QueueBench b;
        b.put(command(toy_own, 0));
        b.put(command(toy_wait, 0, flag_status | flag_fence * fence));
        b.put(command(toy_own, 1));
        b.ring(10);
        b.bench.run_to(40);
        ASSERT_EQ(b.told.size(), fence ? 1u : 2u);
        b.answer(0, 50);
        b.bench.run_to(80);
        ASSERT_EQ(b.told.size(), 2u);
        EXPECT_EQ(b.told[1].cycle, fence ? 60u : 23u) << "status write leaves in 50, answered in 60";
    }
}

TEST(CommandQueue, in_order_begins_a_command_when_the_one_before_has_ended)
{
    Options options;
    options.in_order = true;
    QueueBench b(options);
    b.put(command(toy_own, 0));
    b.put(command(toy_own, 1));
    b.put(command(toy_wait, 0, flag_status));
    b.put(command(toy_accepted));
    b.put(command(toy_own, 2));
    b.ring(10);
    b.bench.run_to(40);
    ASSERT_EQ(b.told.size(), 1u);
    b.answer(0, 45);
    b.bench.run_to(50);
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.told[1].cycle, 45u);
    b.answer(1, 60);
    b.bench.run_to(100);
    ASSERT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.told[2].cycle, 71u) << "wait completed in 70, one cycle to decode the last";
}

// ---- waits -------------------------------------------------------------------------------------------

TEST(CommandQueue, a_wait_completes_when_all_before_it_have_ended)
{
    QueueBench b;
    b.put(command(toy_own, 0));
    b.put(command(toy_device, 7));
    b.put(command(toy_wait, 5, flag_status | flag_interrupt));
    b.put(command(toy_own, 1)); // does not count
    b.ring(10);
    b.bench.run_to(40);
    ASSERT_EQ(b.told.size(), 3u);
    b.answer(1, 50); // out of order
    b.bench.run_to(60);
    EXPECT_EQ(b.accesses.size(), 1u);
    b.answer(0, 70);
    b.bench.run_to(90);
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_TRUE(b.accesses[1].write);
    EXPECT_EQ(b.accesses[1].cycle, 70u);
    EXPECT_EQ(b.accesses[1].offset, status_address + 40);
    EXPECT_EQ(b.accesses[1].data, 5u);
    EXPECT_EQ(b.accesses[1].bytes, 4u);
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.events.back().event.kind, IOM_QUEUE_INTERRUPT);
    EXPECT_EQ(b.events.back().cycle, 80u);
    EXPECT_EQ(b.stats().waits_completed, 1u);
    EXPECT_EQ(b.stats().device_invalidations, 1u);
    EXPECT_EQ(b.stats().wait_latency.sum, 80u - 23u);
    EXPECT_EQ(b.stats().wait_status_latency.sum, 10u);
    EXPECT_EQ(b.stats().execute_latency.sum, (70u - 21u) + (50u - 22u));
}

TEST(CommandQueue, a_wait_for_nothing_completes_when_decoded)
{
    QueueBench b;
    b.put(command(toy_wait, 0, flag_interrupt));
    b.ring(10);
    b.bench.run_until_idle();
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.events.back().cycle, 21u);
    EXPECT_EQ(b.stats().waits_completed, 1u);
}

TEST(CommandQueue, waits_complete_in_order)
{
    QueueBench b;
    b.put(command(toy_wait, 1, flag_status));
    b.put(command(toy_wait, 2, flag_status));
    b.ring(10);
    b.bench.run_until_idle();
    ASSERT_EQ(b.accesses.size(), 3u);
    EXPECT_EQ(b.accesses[1].cycle, 21u);
    EXPECT_EQ(b.accesses[2].cycle, 31u) << "when the wait before it has completed";
}

TEST(CommandQueue, older_dma_is_drained_when_an_invalidation_or_the_wait_asks_for_it)
{
    for (bool by_wait : {false, true}) {
        SCOPED_TRACE(by_wait);
        QueueBench b;
        b.put(command(toy_own, 0, flag_drain_writes * !by_wait));
        b.put(command(toy_wait, 1, flag_status | flag_drain_reads * by_wait));
        b.put(command(toy_wait, 2, flag_status)); // nothing more to drain
        b.ring(10);
        b.bench.run_to(40);
        ASSERT_EQ(b.told.size(), 1u);
        b.answer(0, 50);
        b.bench.run_to(60);
        ASSERT_EQ(b.told.size(), 2u);
        EXPECT_EQ(b.told[1].cycle, 50u);
        EXPECT_EQ(b.told[1].message->op, IOM_CONTROL_DRAIN);
        EXPECT_EQ(b.told[1].message->drain_reads, by_wait);
        EXPECT_EQ(b.told[1].message->drain_writes, !by_wait);
        EXPECT_EQ(b.accesses.size(), 1u);
        b.answer(1, 75);
        b.bench.run_until_idle();
        ASSERT_EQ(b.accesses.size(), 3u);
        EXPECT_EQ(b.accesses[1].cycle, 75u);
        EXPECT_EQ(b.told.size(), 2u);
        EXPECT_EQ(b.stats().wait_drain_latency.sum, 25u);
        EXPECT_EQ(b.stats().waits_completed, 2u);
    }
}

TEST(CommandQueue, many_waits_may_be_pending)
{
    QueueBench b;
    b.put(command(toy_own, 0));
    for (uint64_t i = 0; i < IOM_PENDING_WAITS + 3; i++)
        b.put(command(toy_wait, i, flag_status));
    b.ring(10);
    b.bench.run_to(300);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.last_head(), 16u * (1 + IOM_PENDING_WAITS)) << "the next one stays in the decoder";
    b.answer(0, 310);
    b.bench.run_until_idle();
    EXPECT_EQ(b.stats().waits_completed, IOM_PENDING_WAITS + 3);
    uint64_t expected = 0;
    for (const auto &access : b.accesses) {
        if (access.write) {
            EXPECT_EQ(access.data, expected++);
        }
    }
    EXPECT_EQ(expected, IOM_PENDING_WAITS + 3);
}

// ---- errors ------------------------------------------------------------------------------------------

TEST(CommandQueue, an_invalid_command_stops_the_queue_with_the_head_at_it)
{
    QueueBench b;
    b.put(command(toy_own, 0));
    b.put(command(toy_wait, 1, flag_status));
    b.put(command(toy_invalid, 1000));
    b.put(command(toy_own, 1));
    b.ring(10);
    b.bench.run_to(40);
    ASSERT_EQ(b.told.size(), 1u) << "nothing behind it is carried out";
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_INVALID);
    EXPECT_EQ(b.special()[0].head, 32u);
    EXPECT_EQ(b.special()[0].error, 1016u);
    EXPECT_EQ(b.events.back().cycle, 23u);
    b.answer(0, 50);
    b.ring(55); // a doorbell changes nothing while the error stands
    b.bench.run_until_idle();
    EXPECT_EQ(b.stats().waits_completed, 1u) << "what came before is carried out";
    EXPECT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.stats().errors, 1u);
    // Software mends the command and lets the queue go on.
    b.words[32] = command(toy_own, 2);
    b.head = 32;
    b.generation++;
    b.ring(200);
    b.bench.run_to(250);
    ASSERT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.told[1].message->invalidation.part[0].match.first, 2u);
    EXPECT_EQ(b.told[2].message->invalidation.part[0].match.first, 1u);
    EXPECT_EQ(b.last_head(), 64u);
    EXPECT_EQ(b.events.back().event.generation, 2u);
}

TEST(CommandQueue, an_unreadable_command_stops_the_queue_when_its_turn_has_come)
{
    QueueBench b;
    for (uint64_t i = 0; i < 8; i++)
        b.put(command(toy_own, i));
    b.unreadable = 80; // the second line
    b.ring(10);
    b.bench.run_to(60);
    EXPECT_EQ(b.told.size(), 4u);
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_ACCESS);
    EXPECT_EQ(b.special()[0].head, 64u);
    EXPECT_EQ(b.events.back().cycle, 24u);
}

// ---- time-outs ---------------------------------------------------------------------------------------

TEST(CommandQueue, a_time_out_aborts_the_waits_and_stops_the_queue)
{
    QueueBench b;
    b.put(command(toy_device, 0x77, flag_drain_reads));
    b.put(command(toy_own, 0));
    b.put(command(toy_wait, 1, flag_status | flag_interrupt | flag_fence));
    b.put(command(toy_wait, 2, flag_status));
    b.put(command(toy_own, 1)); // held by the fence
    b.ring(10);
    b.bench.run_to(40);
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.last_head(), 64u);
    b.answer(0, 50, IOM_CONTROL_TIMEOUT);
    b.bench.run_to(60);
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_TIMEOUT);
    EXPECT_EQ(b.special()[0].stream, 0x77u);
    EXPECT_EQ(b.special()[0].head, 64u);
    EXPECT_EQ(b.events.back().cycle, 50u);
    EXPECT_EQ(b.stats().waits_aborted, 2u);
    b.answer(1, 70);
    b.bench.run_until_idle();
    EXPECT_EQ(b.accesses.back().write, false) << "no status of an aborted wait";
    EXPECT_EQ(b.stats().waits_completed, 0u);
    // The queue goes on at the next command; the next wait drains what the aborted ones should have.
    b.put(command(toy_wait, 3, flag_status));
    b.head = 64;
    b.generation++;
    b.ring(200);
    b.bench.run_to(240);
    ASSERT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.told[2].message->invalidation.part[0].match.first, 1u);
    b.answer(2, 250);
    b.bench.run_to(260);
    ASSERT_EQ(b.told.size(), 4u);
    EXPECT_EQ(b.told[3].message->op, IOM_CONTROL_DRAIN);
    EXPECT_TRUE(b.told[3].message->drain_reads);
    b.answer(3, 270);
    b.bench.run_until_idle();
    EXPECT_EQ(b.stats().waits_completed, 1u);
    EXPECT_EQ(b.accesses.back().data, 3u);
}

// Its drain or its status write may be under way when the device of a later command times out.
TEST(CommandQueue, a_wait_is_aborted_until_its_status_write_has_left)
{
    for (iom_cycle drained : {iom_cycle{49}, iom_cycle{55}}) {
        SCOPED_TRACE(drained);
        QueueBench b;
        b.put(command(toy_wait, 1, flag_status | flag_drain_reads));
        b.put(command(toy_device, 0x77));
        b.ring(10);
        b.bench.run_to(30);
        ASSERT_EQ(b.told.size(), 2u); // drain, device
        EXPECT_EQ(b.told[0].message->op, IOM_CONTROL_DRAIN);
        b.answer(0, drained);
        b.answer(1, 50, IOM_CONTROL_TIMEOUT);
        b.bench.run_until_idle();
        const bool left = drained < 50;
        EXPECT_EQ(b.stats().waits_completed, left ? 1u : 0u);
        EXPECT_EQ(b.stats().waits_aborted, left ? 0u : 1u);
        EXPECT_EQ(b.accesses.back().write, left);
    }
}

// ---- setup -------------------------------------------------------------------------------------------

TEST(CommandQueue, a_new_generation_drops_what_has_not_begun)
{
    Options options;
    options.in_flight = 1;
    QueueBench b(options);
    for (uint64_t i = 0; i < 8; i++)
        b.put(command(toy_own, i));
    b.ring(10);
    b.bench.run_to(15);
    // The queue is switched off and on again while its reads are under way.
    b.generation++;
    b.head = b.tail = 128;
    b.put(command(toy_own, 100));
    b.ring(16);
    b.bench.run_to(60);
    ASSERT_EQ(b.accesses.size(), 3u);
    EXPECT_EQ(b.accesses[2].offset, 128u);
    EXPECT_EQ(b.accesses[2].cycle, 16u);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.told[0].message->invalidation.part[0].match.first, 100u);
    EXPECT_EQ(b.told[0].cycle, 27u);
    b.answer(0, 70);
    b.bench.run_until_idle();
    EXPECT_EQ(b.told.size(), 1u);
}

TEST(CommandQueue, a_disabled_queue_does_nothing)
{
    QueueBench b;
    b.put(command(toy_own, 0));
    b.enabled = false;
    b.ring(10);
    b.bench.run_until_idle();
    EXPECT_TRUE(b.accesses.empty());
    b.enabled = true;
    b.generation++;
    b.ring(50);
    b.bench.run_to(100);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.told[0].cycle, 61u);
    // Later doorbells only move the tail.
    b.put(command(toy_own, 1));
    b.ring(100);
    b.bench.run_to(150);
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.told[1].cycle, 111u);
    EXPECT_EQ(b.stats().fetch_latency.sum, 22u) << "each command counts from its own doorbell";
}

TEST(CommandQueue, registers_can_be_taken_over_outside_the_simulation)
{
    QueueBench b;
    const iom_queue_setup setup = {true, base, 4096, 16, 32, 32, 1};
    iom_command_queue_set_up(b.queue, &setup);
    b.tail = 32;
    b.put(command(toy_own, 9));
    b.ring(10); // same generation: the head in it does not count
    b.bench.run_to(50);
    ASSERT_EQ(b.accesses.size(), 1u);
    EXPECT_EQ(b.accesses[0].offset, 32u);
    b.answer(0, 60);
    b.bench.run_until_idle();
    iom_command_queue_reset(b.queue);
    b.tail = 0;
    b.put(command(toy_own, 9));
    b.ring(100);
    b.bench.run_to(150);
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.accesses.back().offset, 0u);
}

// Offsets that no architecture should let through do not make it read elsewhere.
TEST(CommandQueue, reads_stay_inside_the_queue)
{
    QueueBench b;
    b.tail = 5000;
    b.ring(10);
    b.tail = 24; // half a command
    b.ring(20);
    b.bench.run_to(30);
    ASSERT_EQ(b.accesses.size(), 1u);
    EXPECT_EQ(b.accesses[0].bytes, 16u);
}

// ---- independence of evaluation order ----------------------------------------------------------------

struct Log {
    std::vector<std::pair<iom_cycle, uint64_t>> lines;
};

Log random_run(uint64_t seed, uint64_t shuffle)
{
    Options options;
    options.in_flight = 3;
    options.memory_depth = 2;
    options.queue_bytes = 4096;
    QueueBench b(options);
    iom_rng rng;
    iom_rng_seed(&rng, seed, "command queue test");
    if (shuffle != 0)
        b.bench.shuffle(shuffle);
    size_t told = 0;
    iom_rng answers;
    iom_rng_seed(&answers, seed, "answers");
    uint64_t number = 0;
    for (iom_cycle now = 10; now < 1500; now++) {
        if (iom_rng_below(&rng, 12) == 0) {
            for (uint64_t i = 1 + iom_rng_below(&rng, 5); i != 0; i--) {
                const auto what = static_cast<Toy>(toy_own + iom_rng_below(&rng, 4));
                b.put(command(what, ++number, iom_rng_below(&rng, 32)));
            }
            b.ring(now + 1);
        }
        b.bench.run_to(now);
        if (shuffle != 0 && now % 3 == 0)
            iom_unit_wake(iom_command_queue_unit(b.queue), now + 1); // nothing due changes nothing
        for (; told < b.told.size(); told++)
            b.answer(told, now + 2 + iom_rng_below(&answers, 15));
    }
    for (iom_cycle now = 1500; now < 4000; now += 10) {
        b.bench.run_to(now);
        for (; told < b.told.size(); told++)
            b.answer(told, now + 2);
    }
    b.bench.run_until_idle();
    Log log;
    for (const auto &t : b.told)
        log.lines.emplace_back(t.cycle, t.op);
    for (const auto &a : b.accesses)
        log.lines.emplace_back(a.cycle, a.offset);
    for (const auto &e : b.events)
        log.lines.emplace_back(e.cycle, e.event.kind << 16 | e.event.head);
    EXPECT_EQ(b.stats().commands, number);
    EXPECT_EQ(b.stats().waits_completed, b.stats().waits);
    EXPECT_GT(number, 200u);
    return log;
}

TEST(CommandQueue, the_order_of_evaluation_does_not_matter)
{
    for (uint64_t seed = 1; seed < 5; seed++) {
        SCOPED_TRACE(seed);
        EXPECT_EQ(random_run(seed, 0).lines, random_run(seed, seed + 100).lines);
    }
}

} // namespace
