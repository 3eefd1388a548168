// SPDX-License-Identifier: Apache-2.0
//
// The register unit (core/register_unit.h) with a state whose records lie in memory, among a scripted host,
// front end, fan-out and memory. Registers are made up for the purpose.
#ifndef IOM_TESTS_CORE_REGISTER_UNIT_FIXTURE_HPP
#define IOM_TESTS_CORE_REGISTER_UNIT_FIXTURE_HPP

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "core/memory.h"
#include "core/register_unit.h"
#include "core/tracker.h"
#include "tests/core/support/bench.h"

namespace register_unit_fixture
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
    uint8_t store_bytes = 32;
    uint64_t wake = IOM_NEVER;
    uint32_t after_store = 0, after_event = 0, after_result = 0; ///< actions
    bool keeps_time = false;
};

inline Toy *toy_now = nullptr; ///< of the running test: the state itself is plain memory

inline void note(const std::string &what)
{
    toy_now->log.push_back(what);
}

inline void want(uint64_t count, uint64_t first)
{
    for (uint64_t i = 0; i < count; i++)
        toy_now->stores.push_back(first + 0x40 * i);
}

inline void toy_reset(const iom_arch *, void *)
{
}

inline uint64_t toy_read(const iom_arch *, const void *, uint32_t, unsigned)
{
    note("read");
    return 0;
}

inline uint32_t toy_write(const iom_arch *, void *, uint32_t offset, unsigned, uint64_t value)
{
    note("write");
    want(value >> 8 & 0xff, offset);
    return value & 0xff;
}

inline void toy_view(const iom_arch *, const void *, iom_view *)
{
}

inline void toy_done(const iom_arch *, void *, iom_register_action)
{
    note("done");
}

inline bool toy_record(const iom_arch *, void *, const iom_fault *fault)
{
    note("fault " + std::to_string(fault->address) + ((fault->flags & IOM_REQ_PAGE) != 0 ? " page" : ""));
    want(fault->address & 0xf, 0x10000 * fault->address);
    return fault->recorded != 0 && fault->detail == 0;
}

inline bool toy_page(const iom_arch *, void *, const iom_page_request *request)
{
    note("page " + std::to_string(request->address));
    want(request->address, 0x10000 * request->address);
    if (request->address == 0)
        toy_now->responses.push_back(request->source);
    return request->address != 0;
}

inline bool toy_store(const iom_arch *, void *, iom_register_store *store)
{
    if (toy_now->stores.empty())
        return false;
    store->address = toy_now->stores.front();
    store->bytes = toy_now->store_bytes;
    store->purpose = 7;
    for (uint64_t i = 0; i < 4; i++)
        store->data[i] = store->address + 1 + i;
    return true;
}

inline uint32_t toy_stored(const iom_arch *, void *, const iom_register_store *store, iom_access access)
{
    EXPECT_EQ(store->address, toy_now->stores.front());
    EXPECT_EQ(store->purpose, 7);
    toy_now->stores.pop_front();
    note("stored" + std::string(access == IOM_ACCESS_OK ? "" : " not"));
    return std::exchange(toy_now->after_store, 0);
}

inline bool toy_response(const iom_arch *, void *, iom_page_response *response)
{
    if (toy_now->responses.empty())
        return false;
    response->stream = toy_now->responses.front();
    response->code = IOM_PAGE_RESPONSE_FAILURE;
    toy_now->responses.pop_front();
    return true;
}

inline uint32_t toy_count(const iom_arch *, void *, const iom_event *event)
{
    note("event " + std::to_string(event->events));
    return std::exchange(toy_now->after_event, 0);
}

inline void toy_translate(const iom_arch *, const void *, iom_xlate *x)
{
    x->address = 0x5000;
    x->source = 3;
    x->bytes = 1;
}

inline uint32_t toy_translated(const iom_arch *, void *, const iom_xlate *x)
{
    note("translated " + std::to_string(x->outcome) + " " + std::to_string(x->leaf.output));
    return std::exchange(toy_now->after_result, 0);
}

inline uint32_t toy_time(const iom_arch *, void *, iom_cycle now)
{
    if (toy_now->keeps_time)
        note("time " + std::to_string(now));
    if (toy_now->wake <= now) {
        toy_now->wake = IOM_NEVER;
        want(1, 0x900);
    }
    return 0;
}

inline iom_cycle toy_wake(const iom_arch *, const void *)
{
    return toy_now->wake;
}

inline const iom_arch_ops toy_ops = [] {
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

inline constexpr uint64_t ask_view = 1u << IOM_ACTION_UPDATE_VIEW,
                          ask_translation = 1u << IOM_ACTION_TRANSLATE;

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
        config.pace = pace;
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
        world.on(port_memory, [this](iom_cycle now, iom_msg *msg) { take_store(now, msg); });
        world.on(port_translate, [this](iom_cycle now, iom_msg *msg) {
            translations.push_back({now - 1, reinterpret_cast<iom_dma *>(msg)});
        });
    }

    void take_store(iom_cycle now, iom_msg *msg)
    {
        auto *access = reinterpret_cast<iom_memory_access *>(msg);
        stores.push_back({now - 1, access});
        store_addresses.push_back(access->address); // the message will be used again
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
    iom_record_pace pace = {}; ///< to be set before build()
    std::vector<Sent<iom_control>> told;
    std::vector<Sent<iom_memory_access>> stores;
    std::vector<uint64_t> store_addresses;
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

} // namespace register_unit_fixture

#endif
