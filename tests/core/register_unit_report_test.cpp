// SPDX-License-Identifier: Apache-2.0
//
// The register unit (core/register_unit.h) with a state whose records lie in memory: stores one at a time,
// reports that wait for them, page requests and responses, drains behind them, events, translations asked for
// through registers, time. Registers are made up for the purpose.
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "core/memory.h"
#include "core/register_unit.h"
#include "core/tracker.h"
#include "tests/core/support/bench.h"

namespace
{

// ---- registers made up for the purpose -----------------------------------------------------------------
//
// A write returns its low byte as actions and wants `value >> 8 & 0xff` stores. A fault or page request wants
// as many stores as the number in its address; a page request with address 0 wants a response. Everything
// done with the state is logged: "write", "time 10", ...

struct Toy {
    std::vector<std::string> log;
    std::deque<uint64_t> stores; ///< address; data is address + 1
    std::deque<uint32_t> responses;
    uint64_t wake = IOM_NEVER;
    uint32_t after_store = 0, after_event = 0, after_result = 0; ///< actions
    bool keeps_time = false;
};

Toy *toy_now = nullptr; ///< of the running test: the state itself is plain memory

void note(const std::string &what)
{
    toy_now->log.push_back(what);
}

void want(uint64_t count, uint64_t first)
{
    for (uint64_t i = 0; i < count; i++)
        toy_now->stores.push_back(first + 0x40 * i);
}

void toy_reset(const iom_arch *, void *)
{
}

uint64_t toy_read(const iom_arch *, const void *, uint32_t, unsigned)
{
    note("read");
    return 0;
}

uint32_t toy_write(const iom_arch *, void *, uint32_t offset, unsigned, uint64_t value)
{
    note("write");
    want(value >> 8 & 0xff, offset);
    return value & 0xff;
}

void toy_view(const iom_arch *, const void *, iom_view *)
{
}

void toy_done(const iom_arch *, void *, iom_register_action)
{
    note("done");
}

bool toy_record(const iom_arch *, void *, const iom_fault *fault)
{
    note("fault " + std::to_string(fault->address) + ((fault->flags & IOM_REQ_PAGE) != 0 ? " page" : ""));
    want(fault->address & 0xf, 0x10000 * fault->address);
    return fault->recorded != 0 && fault->detail == 0;
}

bool toy_page(const iom_arch *, void *, const iom_page_request *request)
{
    note("page " + std::to_string(request->address));
    want(request->address, 0x10000 * request->address);
    if (request->address == 0)
        toy_now->responses.push_back(request->source);
    return request->address != 0;
}

bool toy_store(const iom_arch *, void *, iom_register_store *store)
{
    if (toy_now->stores.empty())
        return false;
    store->address = toy_now->stores.front();
    store->bytes = 32;
    store->purpose = 7;
    for (uint64_t i = 0; i < 4; i++)
        store->data[i] = store->address + 1 + i;
    return true;
}

uint32_t toy_stored(const iom_arch *, void *, const iom_register_store *store, iom_access access)
{
    EXPECT_EQ(store->address, toy_now->stores.front());
    EXPECT_EQ(store->purpose, 7);
    toy_now->stores.pop_front();
    note("stored" + std::string(access == IOM_ACCESS_OK ? "" : " not"));
    return std::exchange(toy_now->after_store, 0);
}

bool toy_response(const iom_arch *, void *, iom_page_response *response)
{
    if (toy_now->responses.empty())
        return false;
    response->stream = toy_now->responses.front();
    response->code = IOM_PAGE_RESPONSE_FAILURE;
    toy_now->responses.pop_front();
    return true;
}

uint32_t toy_count(const iom_arch *, void *, const iom_event *event)
{
    note("event " + std::to_string(event->events));
    return std::exchange(toy_now->after_event, 0);
}

void toy_translate(const iom_arch *, const void *, iom_xlate *x)
{
    x->address = 0x5000;
    x->source = 3;
    x->bytes = 1;
}

uint32_t toy_translated(const iom_arch *, void *, const iom_xlate *x)
{
    note("translated " + std::to_string(x->outcome) + " " + std::to_string(x->leaf.output));
    return std::exchange(toy_now->after_result, 0);
}

uint32_t toy_time(const iom_arch *, void *, iom_cycle now)
{
    if (toy_now->keeps_time)
        note("time " + std::to_string(now));
    if (toy_now->wake <= now) {
        toy_now->wake = IOM_NEVER;
        want(1, 0x900);
    }
    return 0;
}

iom_cycle toy_wake(const iom_arch *, const void *)
{
    return toy_now->wake;
}

const iom_arch_ops toy_ops = [] {
    iom_arch_ops ops = {};
    ops.name = "toy";
    ops.state_bytes = 8;
    ops.reset = toy_reset;
    ops.read = toy_read;
    ops.write = toy_write;
    ops.view = toy_view;
    ops.action_done = toy_done;
    ops.record = toy_record;
    ops.page_request = toy_page;
    ops.next_store = toy_store;
    ops.store_done = toy_stored;
    ops.next_response = toy_response;
    ops.count = toy_count;
    ops.translate_request = toy_translate;
    ops.translate_result = toy_translated;
    ops.time = toy_time;
    ops.wake = toy_wake;
    return ops;
}();

constexpr uint64_t ask_view = 1u << IOM_ACTION_UPDATE_VIEW, ask_translation = 1u << IOM_ACTION_TRANSLATE;

constexpr uint64_t ask_stores(uint64_t count)
{
    return count << 8;
}

// ---- bench ---------------------------------------------------------------------------------------------

/// A register unit among a scripted host, front end, fan-out and memory. All connections take one cycle.
class ReportBench : public testing::Test
{
  protected:
    enum : uint32_t { port_mmio, port_fault, port_monitor, requesters };
    enum : uint32_t { port_fanout = requesters, port_memory, port_translate, ends };

    ReportBench() : world("world", requesters, ends - requesters)
    {
        toy_now = &toy;
        arch.ops = &toy_ops;
        iom_pool_init(&mmios_, IOM_MSG_MMIO, sizeof(iom_mmio));
        iom_pool_init(&reports_, IOM_MSG_REPORT, sizeof(iom_report));
        iom_pool_init(&controls_, IOM_MSG_CONTROL, sizeof(iom_control));
    }
    ~ReportBench() override
    {
        bench.close();
        iom_register_unit_destroy(registers);
        iom_pool_free(&mmios_);
        iom_pool_free(&reports_);
        iom_pool_free(&controls_);
    }

    void build(uint32_t report_depth = 0, bool connected = true, uint32_t memory_depth = 0)
    {
        iom_register_unit_config config = {};
        config.arch = &arch;
        config.fault_inputs = 1;
        config.monitor_inputs = 1;
        registers = iom_register_unit_create(&config, "registers");
        bench.add(world.unit());
        bench.add(iom_register_unit_unit(registers));
        const iom_link_config wire = {1, 1, 1, 0};
        bench.connect(world.port(port_mmio), iom_register_unit_mmio(registers), wire);
        bench.connect(world.port(port_fault), iom_register_unit_fault(registers, 0), {1, 1, 1, report_depth});
        bench.connect(world.port(port_monitor), iom_register_unit_monitor(registers, 0), wire);
        if (connected) {
            bench.connect(iom_register_unit_fanout(registers), world.port(port_fanout), wire);
            bench.connect(iom_register_unit_memory(registers), world.port(port_memory),
                          {1, 1, 1, memory_depth});
            bench.connect(iom_register_unit_translate(registers), world.port(port_translate), wire);
        }
        listen();
        bench.start();
    }

    void listen()
    {
        world.on(port_mmio, [](iom_cycle, iom_msg *msg) { iom_msg_release(msg); });
        world.on(port_fault, [this](iom_cycle now, iom_msg *msg) {
            drained.push_back(now - 1);
            iom_msg_release(msg);
        });
        world.on(port_fanout, [this](iom_cycle now, iom_msg *msg) {
            told.push_back({now - 1, reinterpret_cast<iom_control *>(msg)});
        });
        world.on(port_memory, [this](iom_cycle now, iom_msg *msg) {
            stores.push_back({now - 1, reinterpret_cast<iom_memory_access *>(msg)});
        });
        world.on(port_translate, [this](iom_cycle now, iom_msg *msg) {
            translations.push_back({now - 1, reinterpret_cast<iom_dma *>(msg)});
        });
    }

    void write(iom_cycle arrival, uint64_t value, uint32_t offset = 0x1000)
    {
        auto *mmio = static_cast<iom_mmio *>(iom_pool_take(&mmios_));
        mmio->offset = offset;
        mmio->bytes = 8;
        mmio->value = value;
        mmio->write = true;
        world.send_at(arrival - 1, port_mmio, &mmio->msg);
    }
    iom_report *report(iom_cycle arrival, iom_report_kind kind)
    {
        auto *made = static_cast<iom_report *>(iom_pool_take(&reports_));
        made->kind = static_cast<uint8_t>(kind);
        made->what = {};
        iom_port *port = world.port(kind == IOM_REPORT_EVENT ? port_monitor : port_fault);
        world.at(arrival - 1, [made, port](iom_cycle now) {
            ASSERT_TRUE(iom_port_can_send(port, now));
            iom_port_send(port, &made->msg, now);
        });
        return made;
    }
    iom_fault *fault(iom_cycle arrival, uint64_t address)
    {
        iom_report *made = report(arrival, IOM_REPORT_FAULT);
        made->what.fault = iom_fault{};
        made->what.fault.address = address;
        made->what.fault.recorded = 1;
        return &made->what.fault;
    }
    void page(iom_cycle arrival, uint64_t address, uint32_t source = 0)
    {
        iom_report *made = report(arrival, IOM_REPORT_PAGE_REQUEST);
        made->what.page_request = {address, source, 0, 0, 0};
    }
    void event(iom_cycle arrival, uint32_t events)
    {
        report(arrival, IOM_REPORT_EVENT)->what.event.events = events;
    }
    void drain(iom_cycle arrival)
    {
        auto *control = static_cast<iom_control *>(iom_pool_take(&controls_));
        control->op = IOM_CONTROL_DRAIN;
        world.send_at(arrival - 1, port_fault, &control->msg);
    }
    /// Memory acknowledges stores[index]; the register unit has it in `arrival`.
    void acknowledge(size_t index, iom_cycle arrival, iom_access access = IOM_ACCESS_OK)
    {
        stores.at(index).message->error = static_cast<uint8_t>(access);
        world.send_at(arrival - 1, port_memory, &stores[index].message->msg);
    }
    const iom_register_stats &stats() const
    {
        return *iom_register_unit_stats_of(registers);
    }

    template <typename Message> struct Sent {
        iom_cycle cycle; ///< in which the register unit sent it
        Message *message;
    };
    Toy toy;
    std::vector<Sent<iom_control>> told;
    std::vector<Sent<iom_memory_access>> stores;
    std::vector<Sent<iom_dma>> translations;
    std::vector<iom_cycle> drained;
    iom_arch arch = {};
    bench::Bench bench;
    bench::ScriptUnit world;
    iom_register_unit *registers = nullptr;

  private:
    iom_pool mmios_ = {}, reports_ = {}, controls_ = {};
};

using Log = std::vector<std::string>;

// ---- stores --------------------------------------------------------------------------------------------

TEST_F(ReportBench, stores_leave_one_at_a_time)
{
    build();
    write(10, ask_stores(3), 0x1000);
    bench.run_to(30);
    ASSERT_EQ(stores.size(), 1u);
    EXPECT_EQ(stores[0].cycle, 10u) << "in the cycle of the change";
    const iom_memory_access &access = *stores[0].message;
    EXPECT_EQ(access.op, IOM_MEMORY_WRITE);
    EXPECT_EQ(access.origin, IOM_WRITE_HARDWARE);
    EXPECT_EQ(access.address, 0x1000u);
    EXPECT_EQ(access.bytes, 32);
    EXPECT_EQ(access.data[0], 0x1001u);
    EXPECT_EQ(access.data[3], 0x1004u);
    acknowledge(0, 40);
    bench.run_to(45);
    ASSERT_EQ(stores.size(), 2u);
    EXPECT_EQ(stores[1].cycle, 40u) << "in the cycle of the acknowledgement";
    acknowledge(1, 50, IOM_ACCESS_REFUSED);
    bench.run_to(60);
    ASSERT_EQ(stores.size(), 3u);
    acknowledge(2, 70);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"write", "stored", "stored not", "stored"}));
    EXPECT_EQ(stats().stores, 3u);
    EXPECT_EQ(stats().store_errors, 1u);
    EXPECT_EQ(bench.outstanding(), 0u);
}

TEST_F(ReportBench, a_store_waits_for_a_credit_and_reports_wait_with_it)
{
    build(0, true, 1);
    write(10, ask_stores(2));
    fault(20, 16); // wants no store
    bench.run_to(30);
    ASSERT_EQ(stores.size(), 1u);
    acknowledge(0, 40);
    bench.run_to(50);
    EXPECT_EQ(stores.size(), 1u) << "the slot is not free yet";
    EXPECT_EQ(toy.log, (Log{"write", "stored"}));
    world.at(59, [this](iom_cycle now) { iom_port_return_credit(world.port(port_memory), now); });
    bench.run_to(65);
    ASSERT_EQ(stores.size(), 2u);
    EXPECT_EQ(stores[1].cycle, 60u);
    acknowledge(1, 70);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"write", "stored", "stored", "fault 16"}));
}

// What a store, an event or a translation asks for is done as for a write.
TEST_F(ReportBench, actions_follow_from_everything_that_changes_the_state)
{
    build();
    toy.after_store = toy.after_event = toy.after_result = static_cast<uint32_t>(ask_view);
    write(10, ask_stores(1));
    bench.run_to(15);
    acknowledge(0, 20);
    bench.run_to(25);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].cycle, 20u);
    world.send_at(29, port_fanout, &told[0].message->msg);
    event(40, 1);
    bench.run_to(45);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[1].cycle, 40u);
    world.send_at(49, port_fanout, &told[1].message->msg);
    write(60, ask_translation);
    bench.run_to(65);
    ASSERT_EQ(translations.size(), 1u);
    world.send_at(69, port_translate, &translations[0].message->msg);
    bench.run_to(75);
    ASSERT_EQ(told.size(), 3u);
    EXPECT_EQ(told[2].cycle, 70u);
    EXPECT_EQ(told[2].message->op, IOM_CONTROL_VIEW);
    world.send_at(79, port_fanout, &told[2].message->msg);
    bench.run_until_idle();
}

// ---- reports -------------------------------------------------------------------------------------------

TEST_F(ReportBench, reports_are_taken_only_while_no_store_is_left)
{
    build();
    fault(10, 2); // two stores
    fault(11, 16);
    page(12, 1);
    bench.run_to(20);
    EXPECT_EQ(toy.log, (Log{"fault 2"}));
    ASSERT_EQ(stores.size(), 1u);
    EXPECT_EQ(stores[0].cycle, 10u);
    acknowledge(0, 30);
    bench.run_to(35);
    EXPECT_EQ(toy.log, (Log{"fault 2", "stored"})) << "there is another one";
    acknowledge(1, 40);
    bench.run_to(45);
    EXPECT_EQ(toy.log, (Log{"fault 2", "stored", "stored", "fault 16", "page 1"}));
    ASSERT_EQ(stores.size(), 3u);
    EXPECT_EQ(stores[2].cycle, 40u) << "both in the cycle of the acknowledgement";
    acknowledge(2, 50);
    bench.run_until_idle();
    EXPECT_EQ(stats().faults_recorded, 2u);
    EXPECT_EQ(stats().page_requests_queued, 1u);
}

// The front sees by its credits how many reports wait.
TEST_F(ReportBench, the_slot_of_a_report_is_free_when_it_has_been_taken)
{
    build(2);
    fault(10, 1);
    fault(11, 1);
    fault(12, 16);
    std::vector<bool> free;
    for (iom_cycle c : {12u, 40u, 41u})
        world.at(c, [this, &free](iom_cycle now) {
            free.push_back(iom_port_can_send(world.port(port_fault), now));
        });
    bench.run_to(20);
    acknowledge(0, 40);
    bench.run_to(45);
    acknowledge(1, 50);
    bench.run_until_idle();
    EXPECT_EQ(free, (std::vector<bool>{false, false, true})) << "the second is taken in 40";
}

TEST_F(ReportBench, faults_of_page_requests_are_passed_on_even_if_nothing_is_recorded)
{
    build();
    iom_fault *refused = fault(10, 16);
    refused->recorded = 0;
    refused->flags = IOM_REQ_PAGE;
    fault(11, 32)->detail = 1; // dropped
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"fault 16 page", "fault 32"}));
    EXPECT_EQ(stats().faults_recorded, 0u);
    EXPECT_EQ(stats().faults_dropped, 1u) << "the one that was to be recorded";
}

TEST_F(ReportBench, responses_leave_for_the_fan_out_beside_the_actions)
{
    build();
    write(5, ask_view);
    page(10, 0, 0x42);
    bench.run_to(15);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[1].cycle, 10u);
    EXPECT_EQ(told[1].message->op, IOM_CONTROL_RESPOND);
    EXPECT_EQ(told[1].message->response.stream, 0x42u);
    EXPECT_EQ(told[1].message->response.code, IOM_PAGE_RESPONSE_FAILURE);
    EXPECT_EQ(stats().page_requests_dropped, 1u);
    world.send_at(19, port_fanout, &told[1].message->msg);
    bench.run_to(25);
    EXPECT_EQ(toy.log, (Log{"write", "page 0"})) << "its answer is not that of the view";
    world.send_at(29, port_fanout, &told[0].message->msg);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"write", "page 0", "done"}));
    EXPECT_EQ(stats().page_responses, 1u);
}

TEST_F(ReportBench, a_drain_goes_back_when_what_came_before_it_is_in_memory)
{
    build();
    drain(5);
    page(10, 2);
    drain(11);
    page(12, 1);
    bench.run_to(20);
    EXPECT_EQ(drained, (std::vector<iom_cycle>{5}));
    acknowledge(0, 30);
    bench.run_to(35);
    EXPECT_EQ(drained.size(), 1u);
    acknowledge(1, 40);
    bench.run_to(45);
    EXPECT_EQ(drained, (std::vector<iom_cycle>{5, 40})) << "without the page request behind it";
    acknowledge(2, 50);
    bench.run_until_idle();
}

// ---- events, time, translations ------------------------------------------------------------------------

TEST_F(ReportBench, events_are_counted_at_once)
{
    build();
    write(10, ask_stores(1));
    event(12, IOM_EVENT_ATS);
    event(13, IOM_EVENT_TLB_MISS | IOM_EVENT_CONTEXT_WALK);
    bench.run_to(20);
    EXPECT_EQ(toy.log, (Log{"write", "event 4", "event 24"}));
    EXPECT_EQ(stats().monitored_events, 2u);
    acknowledge(0, 30);
    bench.run_until_idle();
}

TEST_F(ReportBench, time_is_told_before_anything_else_is_done_in_a_cycle)
{
    toy.keeps_time = true;
    build();
    bench.run_to(5);
    toy.log.clear();
    write(10, 0);
    fault(10, 16);
    event(20, 1);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"time 10", "fault 16", "write", "time 20", "event 1"}));
}

TEST_F(ReportBench, the_state_is_woken_in_the_cycle_it_names)
{
    build();
    toy.wake = 500;
    write(10, 0);
    bench.run_to(499);
    EXPECT_TRUE(stores.empty());
    bench.run_to(501);
    ASSERT_EQ(stores.size(), 1u);
    EXPECT_EQ(stores[0].cycle, 500u);
    acknowledge(0, 510);
    bench.run_until_idle();
}

// A counter that overflows in the distant future does not keep a run from ending.
TEST_F(ReportBench, a_wake_up_beyond_all_runs_is_not_asked_for)
{
    build();
    toy.wake = uint64_t{1} << 62;
    write(10, 0);
    bench.run_until_idle(1000);
    EXPECT_EQ(toy.log, (Log{"write"}));
}

TEST_F(ReportBench, a_translation_leaves_in_the_cycle_of_the_write)
{
    build();
    write(10, ask_translation);
    write(12, ask_translation); // while one is under way
    bench.run_to(20);
    ASSERT_EQ(translations.size(), 1u);
    EXPECT_EQ(translations[0].cycle, 10u);
    const iom_dma &dma = *translations[0].message;
    EXPECT_EQ(dma.x.address, 0x5000u);
    EXPECT_EQ(dma.x.source, 3u);
    EXPECT_EQ(dma.x.flags, unsigned{IOM_REQ_DEBUG});
    EXPECT_EQ(dma.data, nullptr);
    translations[0].message->x.outcome = IOM_OUTCOME_ADDRESS;
    translations[0].message->x.leaf.output = 99;
    world.send_at(29, port_translate, &translations[0].message->msg);
    bench.run_to(35);
    EXPECT_EQ(toy.log, (Log{"write", "write", "translated 1 99"}));
    ASSERT_EQ(translations.size(), 2u);
    EXPECT_EQ(translations[1].cycle, 30u);
    world.send_at(39, port_translate, &translations[1].message->msg);
    bench.run_until_idle();
    EXPECT_EQ(stats().translations, 2u);
}

TEST_F(ReportBench, without_neighbours_everything_is_done_at_once)
{
    build(0, false);
    write(10, ask_stores(2) | ask_view | ask_translation);
    page(20, 0);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"write", "stored", "stored", "translated 4 0", "done", "page 0"}));
    static_assert(IOM_OUTCOME_ADDRESS == 1 && IOM_OUTCOME_FAULT == 4, "outcomes named in the logs");
}

} // namespace
