// SPDX-License-Identifier: Apache-2.0
//
// Our modules among foreign ones: base protocol towards initiators and targets, blocking and debug
// transport, what is refused. Times follow from the rules: a call at time t arrives in cycle
// max(now + 1, ...), the memory answers `latency` later, a response takes one more cycle.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "models/systemc/modules.h"
#include "tests/models/support/child_process.h"
#include "tests/models/support/foreign_modules.h"
#include "tests/models/support/toy_units.h"

namespace
{

using foreign::Manner;
using foreign::ns;
using foreign::Payload;
using iommu_sim::MemoryModule;
using iommu_sim::UnitModule;

constexpr uint64_t tick_ps = 1000; // one cycle is one nanosecond

/// Collects what does not hold; runs in a child, where GoogleTest cannot.
class Checks
{
  public:
    template <typename A, typename B> void equal(const char *what, const A &found, const B &expected)
    {
        if (!(found == expected))
            text_ << what << ": found " << found << ", expected " << expected << "; ";
    }
    void holds(const char *what, bool condition)
    {
        if (!condition)
            text_ << what << "; ";
    }
    std::string text() const
    {
        return text_.str();
    }

  private:
    std::ostringstream text_;
};

iom_memory_config memory_config(uint64_t latency, uint32_t bytes_per_cycle)
{
    iom_memory_config config{};
    config.inputs = 2;
    config.latency_cycles = latency;
    config.bytes_per_cycle = bytes_per_cycle;
    return config;
}

double now_ns()
{
    return std::round(sc_core::sc_time_stamp().to_seconds() * 1e12) / 1e3;
}

// ---- foreign initiators ------------------------------------------------------------------------------

TEST(SystemcForeign, b_transport_moves_data_and_takes_time)
{
    EXPECT_EQ(in_child([] {
                  Checks checks;
                  MemoryModule memory("memory", memory_config(10, 0), 0, 0xffff, tick_ps);
                  foreign::Thread thread("thread", [&](foreign::Thread &self) {
                      uint64_t word = 0x1122334455667788, back = 0;
                      self.write(0x100, &word, 8);
                      checks.equal("write ends", now_ns(), 12.0); // arrives in 1, answered in 11, back in 12
                      self.read(0x100, &back, 8);
                      checks.equal("read ends", now_ns(), 24.0);
                      checks.equal("word", back, word);
                      self.read(0x104, &back, 4);
                      checks.equal("half", back & 0xffffffff, word >> 32);
                  });
                  thread.socket.bind(memory.in(0));
                  sc_core::sc_start();
                  checks.holds("thread did not finish", thread.finished);
                  return checks.text() + thread.problems;
              }),
              "");
}

TEST(SystemcForeign, arrivals_are_rounded_up_to_the_next_cycle)
{
    EXPECT_EQ(in_child([] {
                  Checks checks;
                  MemoryModule memory("memory", memory_config(10, 0), 0, 0xffff, tick_ps);
                  foreign::Thread thread("thread", [&](foreign::Thread &self) {
                      uint64_t word = 0;
                      sc_core::wait(ns(0.3));
                      self.read(0, &word, 8);
                      checks.equal("0.3 arrives in 1", now_ns(), 12.0);
                      sc_core::wait(ns(8));
                      self.access(tlm::TLM_READ_COMMAND, 0, &word, 8, nullptr, 0, ns(2.5));
                      checks.equal("20 + 2.5 arrives in 23", now_ns(), 34.0);
                      self.access(tlm::TLM_READ_COMMAND, 0, &word, 8, nullptr, 0, ns(1));
                      checks.equal("34 + 1 arrives in 35", now_ns(), 46.0);
                  });
                  thread.socket.bind(memory.in(0));
                  sc_core::sc_start();
                  checks.holds("thread did not finish", thread.finished);
                  return checks.text();
              }),
              "");
}

TEST(SystemcForeign, an_access_across_pages_is_split_and_joined)
{
    EXPECT_EQ(in_child([] {
                  Checks checks;
                  MemoryModule memory("memory", memory_config(10, 0), 0, 0xffff, tick_ps);
                  memory.responder(*memory.group().members[0]->ports).link.depth = 1; // one page at a time
                  foreign::Thread thread("thread", [&](foreign::Thread &self) {
                      std::vector<unsigned char> out(10000), in(10000);
                      for (size_t i = 0; i < out.size(); i++)
                          out[i] = static_cast<unsigned char>(i * 7 + i / 256);
                      self.write(0xf80, out.data(), 10000);
                      // Four messages, one slot: arrivals in 1, then each one cycle after the slot is free
                      // again.
                      checks.equal("write ends", now_ns(), 1 + 3 * 1 + 10 + 1.0);
                      self.read(0xf80, in.data(), 10000);
                      checks.holds("data differ", in == out);
                  });
                  thread.socket.bind(memory.in(0));
                  sc_core::sc_start();
                  unsigned char byte = 0;
                  iom_memory_image_read(&memory.image(), 0xf80 + 9999, &byte, 1);
                  checks.equal("last byte", unsigned{byte},
                               unsigned{static_cast<unsigned char>(9999u * 7 + 9999 / 256)});
                  checks.holds("thread did not finish", thread.finished);
                  return checks.text() + thread.problems;
              }),
              "");
}

TEST(SystemcForeign, end_req_is_withheld_until_a_slot_is_free)
{
    EXPECT_EQ(
        in_child([] {
            // 64 bytes at 8 bytes a cycle: the memory accepts one request every 8 cycles. Two slots.
            Checks checks;
            MemoryModule memory("memory", memory_config(20, 8), 0, 0xffff, tick_ps);
            memory.responder(*memory.group().members[0]->ports).link.depth = 2;
            std::vector<foreign::Sender::Request> list;
            for (unsigned i = 0; i < 6; i++)
                list.push_back({tlm::TLM_WRITE_COMMAND, i * uint64_t{64},
                                std::vector<unsigned char>(64, static_cast<unsigned char>(i + 1))});
            for (unsigned i = 0; i < 6; i++)
                list.push_back({tlm::TLM_READ_COMMAND, i * uint64_t{64}, std::vector<unsigned char>(64)});
            foreign::Sender sender("sender", list, sc_core::SC_ZERO_TIME);
            sender.socket.bind(memory.in(0));
            sc_core::sc_start();
            // Request i leaves its slot when the memory takes it, in 1 + 8 i; the slot is free one
            // cycle later, which is when request i + 2 may have it. A request arrives one cycle after
            // the one before was accepted, at the earliest.
            double accepted = 0;
            for (unsigned i = 0; i < 12; i++) {
                double slot = i < 2 ? 0 : 1 + 8.0 * (i - 2) + 1;
                accepted = std::max(accepted + 1, slot);
                checks.equal("accepted", std::round(sender.requests[i].accepted), accepted);
                checks.equal("responded", std::round(sender.requests[i].responded), 1 + 8.0 * i + 20 + 1);
                checks.equal("status", sender.requests[i].status, tlm::TLM_OK_RESPONSE);
                if (i >= 6)
                    checks.holds("data", sender.requests[i].data == list[i - 6].data);
            }
            checks.equal("freed", sender.freed, 12u);
            return checks.text() + sender.problems;
        }),
        "");
}

TEST(SystemcForeign, one_response_at_a_time)
{
    EXPECT_EQ(
        in_child([] {
            // Responses would come every cycle; the initiator takes 5 ns for each.
            Checks checks;
            MemoryModule memory("memory", memory_config(10, 0), 0, 0xffff, tick_ps);
            std::vector<foreign::Sender::Request> list;
            for (unsigned i = 0; i < 8; i++)
                list.push_back({tlm::TLM_READ_COMMAND, i * uint64_t{64}, std::vector<unsigned char>(64)});
            foreign::Sender sender("sender", list, ns(5));
            sender.socket.bind(memory.in(0));
            sc_core::sc_start();
            for (unsigned i = 0; i < 8; i++)
                checks.equal("responded", std::round(sender.requests[i].responded), 12 + 5.0 * i);
            checks.equal("freed", sender.freed, 8u);
            return checks.text() + sender.problems;
        }),
        "");
}

TEST(SystemcForeign, what_cannot_be_done_is_answered_with_the_right_error)
{
    EXPECT_EQ(in_child([] {
                  Checks checks;
                  MemoryModule memory("memory", memory_config(10, 0), 0, 0xffff, tick_ps);
                  memory.responder(memory.group().members[0]->ports[1]).access =
                      iommu_sim::ForeignAccess::refused;
                  uint64_t word = 0;
                  foreign::Thread refused("refused", [&](foreign::Thread &self) {
                      checks.equal("refused", self.access(tlm::TLM_READ_COMMAND, 0, &word, 8),
                                   tlm::TLM_GENERIC_ERROR_RESPONSE);
                  });
                  foreign::Thread thread("thread", [&](foreign::Thread &self) {
                      Payload payload;
                      unsigned char enable = 0xff;
                      sc_core::sc_time delay;
                      payload.set_read();
                      payload.set_data_ptr(reinterpret_cast<unsigned char *>(&word));
                      payload.set_data_length(8);
                      payload.set_streaming_width(4);
                      self.socket->b_transport(payload, delay);
                      checks.equal("streaming", payload.get_response_status(), tlm::TLM_BURST_ERROR_RESPONSE);
                      payload.set_streaming_width(8);
                      payload.set_byte_enable_ptr(&enable);
                      payload.set_byte_enable_length(1);
                      self.socket->b_transport(payload, delay);
                      checks.equal("byte enables", payload.get_response_status(),
                                   tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
                      checks.equal("ignore", self.access(tlm::TLM_IGNORE_COMMAND, 0, &word, 8),
                                   tlm::TLM_COMMAND_ERROR_RESPONSE);
                      checks.equal("empty", self.access(tlm::TLM_READ_COMMAND, 0, &word, 0),
                                   tlm::TLM_BURST_ERROR_RESPONSE);
                      checks.equal("wraps", self.access(tlm::TLM_READ_COMMAND, UINT64_MAX - 3, &word, 8),
                                   tlm::TLM_ADDRESS_ERROR_RESPONSE);
                      checks.equal("no time passed", now_ns(), 0.0);
                      checks.equal("nobody there", self.access(tlm::TLM_READ_COMMAND, 0x10000, &word, 8),
                                   tlm::TLM_ADDRESS_ERROR_RESPONSE);
                  });
                  thread.socket.bind(memory.in(0));
                  refused.socket.bind(memory.in(1));
                  sc_core::sc_start();
                  checks.holds("threads did not finish", thread.finished && refused.finished);
                  return checks.text();
              }),
              "");
}

TEST(SystemcForeign, debug_transport_takes_no_time_and_dmi_is_refused)
{
    EXPECT_EQ(in_child([] {
                  Checks checks;
                  MemoryModule memory("memory", memory_config(10, 0), 0, 0xffff, tick_ps);
                  foreign::Thread thread("thread", [&](foreign::Thread &self) {
                      uint64_t word = 42, back = 0;
                      Payload payload;
                      payload.set_write();
                      payload.set_address(0x20);
                      payload.set_data_ptr(reinterpret_cast<unsigned char *>(&word));
                      payload.set_data_length(8);
                      checks.equal("written", self.socket->transport_dbg(payload), 8u);
                      payload.set_read();
                      payload.set_data_ptr(reinterpret_cast<unsigned char *>(&back));
                      checks.equal("read", self.socket->transport_dbg(payload), 8u);
                      checks.equal("word", back, word);
                      payload.set_address(0xfffc);
                      checks.equal("past the end", self.socket->transport_dbg(payload), 0u);
                      tlm::tlm_dmi dmi;
                      checks.holds("dmi granted",
                                   !self.socket->get_direct_mem_ptr(payload, dmi) && dmi.is_none_allowed());
                      checks.equal("now", now_ns(), 0.0);
                  });
                  thread.socket.bind(memory.in(0));
                  uint64_t before = memory.group().events;
                  sc_core::sc_start();
                  checks.equal("advances", memory.group().events, before + 1); // cycle 0 only
                  checks.holds("thread did not finish", thread.finished);
                  return checks.text();
              }),
              "");
}

// ---- foreign targets ---------------------------------------------------------------------------------

struct TargetRun {
    std::vector<double> begins;
    uint64_t answered, ignored;
    iom_cycle last;
    std::string problems;
};

TargetRun run_against(Manner manner, uint64_t requests, uint32_t depth, double accept_ns, double latency_ns)
{
    toy::Producer producer("producer", requests, 1, false, 1);
    UnitModule module("producer", {&producer.unit()}, tick_ps);
    module.requester(producer.out(0)).foreign_allowed = true;
    module.requester(producer.out(0)).link = {1, 1, 1, depth};
    foreign::Memory memory("memory", manner, ns(accept_ns), ns(latency_ns));
    module.initiator(producer.out(0)).bind(memory.socket);
    sc_core::sc_start();
    std::string problems = memory.problems;
    if (module.payloads().in_use() != 0)
        problems += "payloads leaked; ";
    return {memory.begins, producer.answered, memory.ignored, producer.log.back().cycle, problems};
}

TEST(SystemcForeign, targets_of_every_manner_are_served)
{
    for (Manner manner :
         {Manner::completes, Manner::responds, Manner::accepts, Manner::phases, Manner::skips_end_req}) {
        for (uint32_t depth : {1u, 2u, 7u, 0u}) {
            SCOPED_TRACE(static_cast<int>(manner));
            EXPECT_EQ(in_child([&] {
                          Checks checks;
                          TargetRun run = run_against(manner, 100, depth, 3, 17);
                          checks.equal("answered", run.answered, 100u);
                          checks.equal("requests seen", run.begins.size(), 100u);
                          return checks.text() + run.problems;
                      }),
                      "");
        }
    }
}

TEST(SystemcForeign, end_req_gives_the_credit_back)
{
    // Depth 1, END_REQ 5 ns after BEGIN_REQ, requests offered at every opportunity: sent in c, it begins in
    // c + 1 and is accepted in c + 6; seen from the cycle after, the producer may send again in c + 7.
    EXPECT_EQ(in_child([] {
                  Checks checks;
                  TargetRun run = run_against(Manner::phases, 20, 1, 5, 50);
                  checks.equal("requests", run.begins.size(), 20u);
                  for (size_t i = 1; i < run.begins.size(); i++)
                      checks.equal("interval", std::round(run.begins[i] - run.begins[i - 1]), 7.0);
                  return checks.text() + run.problems;
              }),
              "");
}

TEST(SystemcForeign, a_write_without_data_cannot_overwrite_foreign_memory)
{
    EXPECT_EQ(in_child([] {
                  Checks checks;
                  toy::Producer producer("producer", 5, 1, false, 1);
                  producer.flags = IOM_REQ_WRITE;
                  UnitModule module("producer", {&producer.unit()}, tick_ps);
                  module.requester(producer.out(0)).foreign_allowed = true;
                  foreign::Memory memory("memory", Manner::phases, ns(1), ns(1));
                  module.initiator(producer.out(0)).bind(memory.socket);
                  memory.poke(0, 0x1234);
                  memory.poke(64, 0x5678);
                  sc_core::sc_start();
                  checks.equal("answered", producer.answered, 5u);
                  checks.equal("ignored", memory.ignored, 5u);
                  checks.equal("memory", memory.peek(0), 0x1234u);
                  checks.equal("memory", memory.peek(64), 0x5678u);
                  return checks.text() + memory.problems;
              }),
              "");
}

// ---- what is refused ---------------------------------------------------------------------------------

TEST(SystemcForeign, sockets_that_only_our_modules_understand_refuse_foreign_peers)
{
    std::string text = in_child([]() -> std::string {
        toy::Producer producer("producer", 1, 1, false, 1);
        UnitModule module("producer", {&producer.unit()}, tick_ps);
        foreign::Memory memory("memory", Manner::completes, ns(1), ns(1));
        module.initiator(producer.out(0)).bind(memory.socket);
        sc_core::sc_start();
        return "accepted";
    });
    EXPECT_NE(text.find("can only be bound to a module of this library"), std::string::npos) << text;
}

TEST(SystemcForeign, a_required_socket_must_be_bound)
{
    std::string text = in_child([]() -> std::string {
        toy::Producer producer("producer", 1, 1, false, 1);
        UnitModule module("producer", {&producer.unit()}, tick_ps);
        module.requester(producer.out(0)).required = true;
        sc_core::sc_start();
        return "accepted";
    });
    EXPECT_NE(text.find("producer.out0: must be bound"), std::string::npos) << text;
}

TEST(SystemcForeign, our_own_modules_bind_without_a_netlist)
{
    EXPECT_EQ(in_child([] {
                  Checks checks;
                  toy::Producer producer("producer", 30, 1, false, 1);
                  toy::Server server("server", 1, 1, 1, false, 1);
                  UnitModule from("from", {&producer.unit()}, tick_ps);
                  UnitModule to("to", {&server.unit()}, tick_ps);
                  from.requester(producer.out(0)).link = {3, 4, 2, 2};
                  from.initiator(producer.out(0)).bind(to.target(server.in(0)));
                  sc_core::sc_start();
                  checks.equal("answered", producer.answered, 30u);
                  std::vector<iom_cycle> sent;
                  for (const auto &entry : producer.log)
                      if (entry.what == 's')
                          sent.push_back(entry.cycle);
                  for (size_t i = 0; i < 30; i++)
                      checks.equal("arrival", server.log[i].cycle, sent[i] + 3);
                  return checks.text();
              }),
              "");
}

} // namespace
