// SPDX-License-Identifier: Apache-2.0
//
// The register unit (core/register_unit.h): with VT-d's registers, the handshake of a command with the rest
// of the IOMMU (VT-d, Rev. 4.1, 11.4.4: the status bit is set when hardware has completed the command),
// actions one after the other, faults in the order of their arrival; with registers made up for the
// purpose, invalidations, drains, doorbells and events.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "core/register_unit.h"
#include "tests/core/support/vtd_bench.h"

namespace
{

constexpr uint32_t fault_inputs = 2, event_inputs = 2;
enum : uint32_t {
    port_mmio,
    port_faults,
    port_events = port_faults + fault_inputs,
    requesters = port_events + event_inputs
};
enum : uint32_t { port_fanout = requesters, port_queue };

/// A register unit among a scripted host, fan-out and command queue.
class RegisterBench
{
  public:
    RegisterBench() : RegisterBench({&iom_vtd_ops, nullptr, 0})
    {
    }
    explicit RegisterBench(const iom_arch &architecture)
        : world("world", requesters, 2), arch(architecture), vtd_(bench::vtd_config(false, IOM_TAG_BY_DOMAIN))
    {
        iom_pool_init(&mmio_, IOM_MSG_MMIO, sizeof(iom_mmio));
        iom_pool_init(&faults_, IOM_MSG_REPORT, sizeof(iom_report));
        iom_pool_init(&events_, IOM_MSG_QUEUE_EVENT, sizeof(iom_queue_event_message));
        if (arch.config == nullptr)
            arch.config = &vtd_;
        iom_register_unit_config config = {};
        config.arch = &arch;
        config.fault_inputs = fault_inputs;
        config.event_inputs = event_inputs;
        registers = iom_register_unit_create(&config, "registers");
        bench.add(world.unit());
        bench.add(iom_register_unit_unit(registers));
        const iom_link_config wire = {1, 1, 1, 0};
        bench.connect(world.port(port_mmio), iom_register_unit_mmio(registers), wire);
        for (uint32_t i = 0; i < fault_inputs; i++)
            bench.connect(world.port(port_faults + i), iom_register_unit_fault(registers, i), wire);
        for (uint32_t i = 0; i < event_inputs; i++)
            bench.connect(world.port(port_events + i), iom_register_unit_event(registers, i), wire);
        bench.connect(iom_register_unit_fanout(registers), world.port(port_fanout), wire);
        bench.connect(iom_register_unit_queue(registers), world.port(port_queue), wire);
        world.on(port_fanout, [this](iom_cycle now, iom_msg *msg) {
            told.push_back({now, reinterpret_cast<iom_control *>(msg)});
        });
        world.on(port_queue, [this](iom_cycle now, iom_msg *msg) {
            setups.push_back({now, reinterpret_cast<iom_queue_setup_message *>(msg)->setup});
            iom_msg_release(msg);
        });
        bench.start();
    }
    ~RegisterBench()
    {
        bench.close();
        iom_register_unit_destroy(registers);
        iom_pool_free(&mmio_);
        iom_pool_free(&faults_);
        iom_pool_free(&events_);
    }
    RegisterBench(const RegisterBench &) = delete;
    RegisterBench &operator=(const RegisterBench &) = delete;

    void write(iom_cycle arrival, uint32_t offset, uint8_t bytes, uint64_t value)
    {
        send(arrival, offset, bytes, value, true);
    }
    /// What a read arriving in `arrival` returns; nothing later has been done when this returns.
    uint64_t read(iom_cycle arrival, uint32_t offset, uint8_t bytes)
    {
        iom_mmio *mmio = send(arrival, offset, bytes, 0, false);
        bench.run_to(arrival + 1);
        EXPECT_EQ(world.arrivals.back().msg, &mmio->msg);
        EXPECT_EQ(world.arrivals.back().cycle, arrival + 1) << "answered at once";
        return mmio->value;
    }
    void fault(uint32_t input, iom_cycle arrival, uint64_t address)
    {
        auto *report = static_cast<iom_report *>(iom_pool_take(&faults_));
        report->what.fault = iom_fault{};
        report->what.fault.address = address;
        report->what.fault.source = 0x100;
        report->what.fault.code = IOM_VTD_FAULT_READ;
        report->what.fault.recorded = 1;
        world.send_at(arrival - 1, port_faults + input, &report->msg);
    }
    void event(uint32_t input, iom_cycle arrival, const iom_queue_event &event)
    {
        auto *message = static_cast<iom_queue_event_message *>(iom_pool_take(&events_));
        message->event = event;
        world.send_at(arrival - 1, port_events + input, &message->msg);
    }
    /// The fan-out answers told[index]; the register unit has it in `arrival`.
    void answer(size_t index, iom_cycle arrival)
    {
        world.send_at(arrival - 1, port_fanout, &told.at(index).message->msg);
    }
    uint64_t messages_in_use() const
    {
        return faults_.in_use + events_.in_use;
    }

    struct Told {
        iom_cycle cycle;
        iom_control *message;
    };
    struct Setup {
        iom_cycle cycle;
        iom_queue_setup setup;
    };
    std::vector<Told> told;
    std::vector<Setup> setups;
    bench::Bench bench;
    bench::ScriptUnit world;
    iom_arch arch = {};
    iom_register_unit *registers = nullptr;

  private:
    iom_mmio *send(iom_cycle arrival, uint32_t offset, uint8_t bytes, uint64_t value, bool is_write)
    {
        auto *mmio = static_cast<iom_mmio *>(iom_pool_take(&mmio_));
        const iom_msg header = mmio->msg;
        *mmio = iom_mmio{};
        mmio->msg = header;
        mmio->offset = offset;
        mmio->bytes = bytes;
        mmio->value = value;
        mmio->write = is_write;
        world.send_at(arrival - 1, port_mmio, &mmio->msg);
        return mmio;
    }

    iom_vtd_config vtd_;
    iom_pool mmio_ = {}, faults_ = {}, events_ = {};
};

constexpr uint64_t root_table = 0x7654000;

TEST(RegisterUnit, reads_and_writes_are_answered_at_once)
{
    RegisterBench b;
    b.write(10, IOM_VTD_RTADDR, 8, root_table);
    EXPECT_EQ(b.read(11, IOM_VTD_RTADDR, 8), root_table);
    EXPECT_EQ(b.read(20, IOM_VTD_RTADDR + 4, 4), root_table >> 32);
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->mmio_reads, 2u);
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->mmio_writes, 1u);
    EXPECT_TRUE(b.told.empty()) << "a root pointer takes effect by its command";
}

TEST(RegisterUnit, the_status_bit_waits_until_the_view_is_everywhere)
{
    RegisterBench b;
    b.write(10, IOM_VTD_RTADDR, 8, root_table);
    b.write(11, IOM_VTD_GCMD, 4, IOM_VTD_GCMD_SRTP);
    b.bench.run_to(12);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.told[0].cycle, 12u);
    EXPECT_EQ(b.told[0].message->op, IOM_CONTROL_VIEW);
    EXPECT_EQ(b.told[0].message->view.root & ~uint64_t{0xfff}, root_table);
    EXPECT_EQ(b.told[0].message->view.enabled, 0u);
    EXPECT_EQ(b.read(20, IOM_VTD_GSTS, 4) & IOM_VTD_GCMD_SRTP, 0u);
    b.answer(0, 60);
    EXPECT_EQ(b.read(59, IOM_VTD_GSTS, 4) & IOM_VTD_GCMD_SRTP, 0u);
    b.bench.run_to(61);
    for (size_t i = 1; i < b.told.size(); i++) // an implied flush, where the architecture has one
        b.answer(i, 70);
    EXPECT_EQ(b.read(71, IOM_VTD_GSTS, 4) & IOM_VTD_GCMD_SRTP, IOM_VTD_GCMD_SRTP);
    b.bench.run_until_idle();
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->view_updates, 1u);
}

TEST(RegisterUnit, faults_are_recorded_in_the_order_of_their_arrival)
{
    RegisterBench b;
    b.fault(1, 12, 0x2000); // of one cycle the lower input comes first
    b.fault(0, 12, 0x1000);
    b.fault(1, 11, 0x0000);
    b.fault(0, 13, 0x3000);
    b.bench.run_until_idle();
    const uint32_t offset = static_cast<uint32_t>(IOM_VTD_CAP_FRO(b.read(20, IOM_VTD_CAP, 8)) * 16);
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT_EQ(b.read(30 + 4 * i, offset + 16 * i, 8), 0x1000u * i) << i;
        EXPECT_NE(b.read(32 + 4 * i, offset + 16 * i + 8, 8) & IOM_VTD_FRCD_F, 0u) << i;
    }
    EXPECT_EQ(b.read(60, offset + 16 * 4 + 8, 8) & IOM_VTD_FRCD_F, 0u);
    EXPECT_NE(b.read(62, IOM_VTD_FSTS, 4) & IOM_VTD_FSTS_PPF, 0u);
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->faults_recorded, 4u);
    EXPECT_EQ(b.messages_in_use(), 0u) << "reports are not given back";
}

// 7.2.1: with no free record faults are lost and the overflow bit is set.
TEST(RegisterUnit, faults_beyond_the_records_are_counted_as_lost)
{
    RegisterBench b;
    const uint32_t records = static_cast<uint32_t>(IOM_VTD_CAP_NFR(b.read(5, IOM_VTD_CAP, 8)));
    for (uint32_t i = 0; i < records + 3; i++)
        b.fault(0, 10 + i, uint64_t{0x1000} * i);
    b.bench.run_until_idle();
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->faults_recorded, records);
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->faults_dropped, 3u);
    EXPECT_NE(b.read(500, IOM_VTD_FSTS, 4) & IOM_VTD_FSTS_PFO, 0u);
}

TEST(RegisterUnit, reset_gives_back_the_state_of_the_beginning)
{
    RegisterBench b;
    const uint64_t cap = b.read(5, IOM_VTD_CAP, 8);
    b.write(10, IOM_VTD_RTADDR, 8, root_table);
    b.fault(0, 10, 0x1000);
    b.bench.run_until_idle();
    iom_register_unit_reset(b.registers);
    EXPECT_EQ(b.read(20, IOM_VTD_RTADDR, 8), 0u);
    EXPECT_EQ(b.read(22, IOM_VTD_FSTS, 4), 0u);
    EXPECT_EQ(b.read(24, IOM_VTD_CAP, 8), cap);
}

// ---- registers made up for the purpose ----------------------------------------------------------------
//
// Offset 0: a write returns its value as actions, and asks for `value >> 8 & 0xff` invalidations with drain
// flags in bits 16 (reads) and 17 (writes). Reading offset 8 gives the status: how often each action was
// reported as done (bits 7:0 view, 15:8 invalidate), 23:16 invalidations still wanted.

struct Toy {
    uint32_t wanted, view_done, invalidate_done;
    bool drain_reads, drain_writes;
    uint64_t doorbells;
    uint64_t events; ///< kinds seen, four bits each, oldest highest
};

Toy &toy(void *state)
{
    return *static_cast<Toy *>(state);
}

constexpr uint64_t ask_view = 1u << IOM_ACTION_UPDATE_VIEW, ask_invalidate = 1u << IOM_ACTION_INVALIDATE,
                   ask_doorbell = 1u << IOM_ACTION_DOORBELL;

constexpr uint64_t invalidations(uint64_t count)
{
    return ask_invalidate | count << 8;
}

void toy_reset(const iom_arch *, void *)
{
}

uint64_t toy_read(const iom_arch *, const void *state, uint32_t offset, unsigned)
{
    const Toy &t = *static_cast<const Toy *>(state);
    if (offset == 16)
        return t.events;
    return t.view_done | t.invalidate_done << 8 | t.wanted << 16;
}

uint32_t toy_write(const iom_arch *, void *state, uint32_t, unsigned, uint64_t value)
{
    Toy &t = toy(state);
    t.wanted += value >> 8 & 0xff;
    t.drain_reads = (value >> 16 & 1) != 0;
    t.drain_writes = (value >> 17 & 1) != 0;
    return value & 0xff;
}

void toy_view(const iom_arch *, const void *, iom_view *view)
{
    view->root = 77;
}

void toy_done(const iom_arch *, void *state, iom_register_action action)
{
    (action == IOM_ACTION_UPDATE_VIEW ? toy(state).view_done : toy(state).invalidate_done)++;
}

bool toy_record(const iom_arch *, void *, const iom_fault *)
{
    return true;
}

bool toy_next(const iom_arch *, void *state, iom_invalidation *invalidation)
{
    Toy &t = toy(state);
    if (t.wanted == 0)
        return false;
    t.wanted--;
    invalidation->source = IOM_SOURCE_REGISTER;
    invalidation->parts = 1;
    invalidation->part[0].targets = IOM_INVALIDATE_IOTLB;
    invalidation->drain_reads = t.drain_reads;
    invalidation->drain_writes = t.drain_writes;
    return true;
}

void toy_queue(const iom_arch *, const void *, iom_queue_setup *setup)
{
    setup->enabled = true;
    setup->tail = 4711;
}

uint32_t toy_event(const iom_arch *, void *state, const iom_queue_event *event)
{
    toy(state).events = toy(state).events << 4 | (event->kind + 1u);
    return event->kind == IOM_QUEUE_TIMEOUT ? ask_doorbell : 0;
}

iom_arch toy_arch(bool commands)
{
    static iom_arch_ops full, old;
    full.name = "toy";
    full.state_bytes = sizeof(Toy);
    full.reset = toy_reset;
    full.read = toy_read;
    full.write = toy_write;
    full.view = toy_view;
    full.action_done = toy_done;
    full.record = toy_record;
    full.next_invalidation = nullptr;
    full.queue = nullptr;
    full.queue_event = nullptr;
    old = full;
    full.next_invalidation = toy_next;
    full.queue = toy_queue;
    full.queue_event = toy_event;
    return {commands ? &full : &old, &full, 0};
}

TEST(RegisterUnit, invalidations_are_sent_together_and_done_together)
{
    RegisterBench b(toy_arch(true));
    b.write(10, 0, 8, invalidations(3));
    b.bench.run_to(15);
    ASSERT_EQ(b.told.size(), 3u);
    for (const auto &told : b.told) {
        EXPECT_EQ(told.cycle, 11u);
        EXPECT_EQ(told.message->op, IOM_CONTROL_INVALIDATE);
        EXPECT_EQ(told.message->invalidation.part[0].targets, IOM_INVALIDATE_IOTLB);
    }
    b.answer(1, 20);
    b.answer(0, 25);
    b.answer(2, 30);
    EXPECT_EQ(b.read(27, 8, 8), 0u);
    EXPECT_EQ(b.read(30, 8, 8), 0x100u) << "read in the cycle of the last answer";
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->invalidations, 3u);
    EXPECT_EQ(b.told.size(), 3u) << "no drain was asked for";
}

TEST(RegisterUnit, older_dma_is_drained_before_the_status_bit)
{
    for (uint64_t flags = 1; flags < 4; flags++) {
        RegisterBench b(toy_arch(true));
        b.write(10, 0, 8, invalidations(1) | flags << 16);
        b.bench.run_to(15);
        b.answer(0, 20);
        b.bench.run_to(30);
        ASSERT_EQ(b.told.size(), 2u);
        EXPECT_EQ(b.told[1].cycle, 21u);
        EXPECT_EQ(b.told[1].message->op, IOM_CONTROL_DRAIN);
        EXPECT_EQ(b.told[1].message->drain_reads, (flags & 1) != 0);
        EXPECT_EQ(b.told[1].message->drain_writes, (flags & 2) != 0);
        b.answer(1, 40);
        EXPECT_EQ(b.read(38, 8, 8), 0u);
        EXPECT_EQ(b.read(41, 8, 8), 0x100u);
    }
}

// One write that asks for both: the root pointer with implied flush.
TEST(RegisterUnit, the_view_comes_before_the_flush_it_implies)
{
    RegisterBench b(toy_arch(true));
    b.write(10, 0, 8, ask_view | invalidations(1));
    b.bench.run_to(15);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.told[0].message->op, IOM_CONTROL_VIEW);
    EXPECT_EQ(b.told[0].message->view.root, 77u);
    b.answer(0, 20);
    b.bench.run_to(25);
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.told[1].cycle, 21u);
    EXPECT_EQ(b.told[1].message->op, IOM_CONTROL_INVALIDATE);
    EXPECT_EQ(b.read(28, 8, 8), 0u) << "neither status bit before the flush is over";
    b.answer(1, 32);
    EXPECT_EQ(b.read(33, 8, 8), 0x101u);
}

TEST(RegisterUnit, actions_are_carried_out_one_after_the_other)
{
    RegisterBench b(toy_arch(true));
    b.write(10, 0, 8, ask_view);
    b.write(11, 0, 8, invalidations(1));
    b.write(12, 0, 8, ask_view);
    b.bench.run_to(20);
    ASSERT_EQ(b.told.size(), 1u);
    b.answer(0, 25);
    EXPECT_EQ(b.read(26, 8, 8) & 0xff, 0u) << "status bits of the view wait for the last view";
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.told[1].cycle, 26u);
    EXPECT_EQ(b.told[1].message->op, IOM_CONTROL_INVALIDATE);
    b.answer(1, 30);
    EXPECT_EQ(b.read(32, 8, 8), 0x100u);
    ASSERT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.told[2].cycle, 31u);
    b.answer(2, 40);
    EXPECT_EQ(b.read(41, 8, 8), 0x101u);
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->view_updates, 2u);
}

// Software that asks for a further invalidation while one is under way: the bit speaks for both.
TEST(RegisterUnit, an_invalidation_asked_for_meanwhile_is_carried_out_before_the_status_bit)
{
    RegisterBench b(toy_arch(true));
    b.write(10, 0, 8, invalidations(1));
    b.write(15, 0, 8, invalidations(1));
    b.bench.run_to(18);
    ASSERT_EQ(b.told.size(), 1u);
    b.answer(0, 20);
    EXPECT_EQ(b.read(22, 8, 8), 0u);
    ASSERT_EQ(b.told.size(), 2u);
    b.answer(1, 30);
    EXPECT_EQ(b.read(31, 8, 8), 0x200u);
}

TEST(RegisterUnit, an_architecture_without_commands_gets_one_invalidation_of_everything)
{
    RegisterBench b(toy_arch(false));
    b.write(10, 0, 8, ask_invalidate | ask_doorbell);
    b.event(0, 11, {IOM_QUEUE_HEAD, 0, 0, 0, 0});
    b.bench.run_to(15);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.told[0].message->invalidation.parts, 1);
    EXPECT_EQ(b.told[0].message->invalidation.part[0].targets, IOM_INVALIDATE_ALL);
    EXPECT_EQ(b.told[0].message->invalidation.part[0].match.fields, 0u);
    b.answer(0, 20);
    EXPECT_EQ(b.read(21, 8, 8), 0x100u);
    EXPECT_TRUE(b.setups.empty());
    EXPECT_EQ(b.messages_in_use(), 0u);
}

// The command queue hears of its registers at once, whatever else is under way.
TEST(RegisterUnit, doorbells_do_not_wait)
{
    RegisterBench b(toy_arch(true));
    b.write(10, 0, 8, ask_view);
    b.write(12, 0, 8, ask_doorbell);
    b.bench.run_to(15);
    ASSERT_EQ(b.setups.size(), 1u);
    EXPECT_EQ(b.setups[0].cycle, 13u);
    EXPECT_TRUE(b.setups[0].setup.enabled);
    EXPECT_EQ(b.setups[0].setup.tail, 4711u);
}

TEST(RegisterUnit, events_of_a_cycle_come_before_register_accesses_of_that_cycle)
{
    RegisterBench b(toy_arch(true));
    b.event(1, 20, {IOM_QUEUE_COMPLETION, 0, 0, 0, 0});
    b.event(0, 20, {IOM_QUEUE_INTERRUPT, 0, 0, 0, 0});
    b.event(0, 19, {IOM_QUEUE_HEAD, 0, 0, 0, 0});
    EXPECT_EQ(b.read(20, 16, 8), uint64_t{(IOM_QUEUE_HEAD + 1) << 8 | (IOM_QUEUE_INTERRUPT + 1) << 4 |
                                          (IOM_QUEUE_COMPLETION + 1)});
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->queue_events, 3u);
    EXPECT_EQ(b.messages_in_use(), 0u) << "events are not given back";
    b.event(0, 30, {IOM_QUEUE_TIMEOUT, 0, 0, 0, 0});
    b.bench.run_until_idle();
    ASSERT_EQ(b.setups.size(), 1u) << "what an event asks for is done as for a write";
    EXPECT_EQ(b.setups[0].cycle, 31u);
}

} // namespace
