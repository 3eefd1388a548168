// SPDX-License-Identifier: Apache-2.0
//
// The sequence against the rules of its header, with a scripted far side: when requests are presented, when
// operations start, what is told and kept. (tests/models/timing_driver_test.cpp plays recorded drivers.)
#include <gtest/gtest.h>

#include <memory>

#include "tests/traffic/support/far_side.h"
#include "traffic/sequence.h"

using iommu_sim::test::FarSide;
using iommu_sim::test::Fate;

namespace
{

iom_sequence_request request(uint64_t gap = 0, uint16_t flags = 0, uint32_t after_op = IOM_SEQUENCE_NONE)
{
    iom_sequence_request result{};
    result.address = 0x1000;
    result.bytes = 8;
    result.flags = flags;
    result.gap = gap;
    result.after_op = after_op;
    return result;
}

iom_sequence_op op(iom_sequence_kind kind, iom_sequence_trigger trigger, uint64_t delay, uint32_t on = 0)
{
    iom_sequence_op result{};
    result.kind = static_cast<uint8_t>(kind);
    result.trigger = static_cast<uint8_t>(trigger);
    result.bytes = 8;
    result.request = on;
    result.delay = delay;
    return result;
}

/// Handshake `to_accept` cycles after the request was presented, answer `to_answer` cycles after that.
std::function<Fate(uint64_t, iom_cycle)> steady(iom_cycle to_accept, iom_cycle to_answer)
{
    return [=](uint64_t, iom_cycle presented) {
        Fate fate;
        fate.accepted = fate.done = presented + to_accept;
        fate.responded = fate.accepted + to_answer;
        return fate;
    };
}

struct Play {
    Play(std::vector<iom_sequence_request> requests, std::vector<iom_sequence_op> ops,
         std::function<Fate(uint64_t, iom_cycle)> fate, bool dual = false, uint32_t response_limit = 0)
        : far(std::move(fate))
    {
        iom_sequence_config config{};
        config.requests = requests.data();
        config.request_count = static_cast<uint32_t>(requests.size());
        config.ops = ops.data();
        config.op_count = static_cast<uint32_t>(ops.size());
        config.dual = dual;
        config.response_limit = response_limit;
        sequence = iom_sequence_create(&config, "bench");
        far.connect(sequence);
        iom_unit *units[] = {iom_sequence_unit(sequence), far.unit()};
        EXPECT_EQ(iom_group_init(&group, "system", units, 2), nullptr);
        iom_group_start(&group, 0);
    }
    ~Play()
    {
        far.disconnect();
        iom_group_free(&group);
        iom_sequence_destroy(sequence);
    }
    iom_run_end run(iom_cycle limit = 100000)
    {
        return iom_group_run(&group, limit, nullptr);
    }
    const iom_sequence_result &result(uint32_t index) const
    {
        return *iom_sequence_result_of(sequence, index);
    }
    const iom_sequence_op_result &op_result(uint32_t index) const
    {
        return *iom_sequence_op_result_of(sequence, index);
    }
    iom_cycle presented(uint32_t index) const
    {
        return result(index).presented;
    }

    FarSide far;
    iom_sequence *sequence;
    iom_group group{};
};

TEST(Sequence, first_request_comes_after_its_gap_and_the_next_behind_the_handshake)
{
    Play play({request(5), request(), request(7)}, {}, steady(2, 1));
    EXPECT_EQ(play.run(), IOM_RUN_IDLE);
    EXPECT_EQ(play.presented(0), 5u);
    EXPECT_EQ(play.presented(1), 8u);  // 5 + 2 + 1
    EXPECT_EQ(play.presented(2), 18u); // 8 + 2 + 1 + 7
    EXPECT_EQ(play.result(0).accepted, 7u);
    EXPECT_TRUE(iom_sequence_finished(play.sequence));
}

TEST(Sequence, request_is_sent_as_it_is_written_down)
{
    auto first = request(0, IOM_REQ_WRITE | IOM_REQ_PASID | IOM_REQ_PRIV);
    first.address = 0x123456780;
    first.bytes = 32;
    first.source = 77;
    first.pasid = 1234;
    Play play({first}, {}, steady(2, 1));
    play.run();
    const iom_xlate &x = play.far.requests.at(0).x;
    EXPECT_EQ(x.address, 0x123456780u);
    EXPECT_EQ(x.bytes, 32u);
    EXPECT_EQ(x.source, 77u);
    EXPECT_EQ(x.pasid, 1234u);
    EXPECT_EQ(x.flags, IOM_REQ_WRITE | IOM_REQ_PASID | IOM_REQ_PRIV);
    EXPECT_EQ(x.next, IOM_LOOKUP_CONTEXT);
    EXPECT_EQ(play.far.requests.at(0).presented, 0u);
}

TEST(Sequence, what_became_of_a_request_is_kept)
{
    Play play({request(), request()}, {}, [](uint64_t id, iom_cycle presented) {
        Fate fate;
        fate.accepted = presented + 3;
        fate.done = presented + 5;
        fate.responded = presented + 9;
        fate.outcome = id == 0 ? IOM_OUTCOME_FAULT : IOM_OUTCOME_ADDRESS;
        fate.fault = 21;
        fate.output = 0xabc000;
        return fate;
    });
    play.run();
    EXPECT_EQ(play.result(0).outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(play.result(0).fault, 21u);
    EXPECT_EQ(play.result(0).accepted, 3u);
    EXPECT_EQ(play.result(0).done, 5u);
    EXPECT_EQ(play.result(0).responded, 9u);
    EXPECT_EQ(play.result(1).outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(play.result(1).output, 0xabc000u);
}

TEST(Sequence, serial_presents_reads_and_writes_in_one_row)
{
    Play play({request(0, IOM_REQ_WRITE), request(), request(0, IOM_REQ_WRITE)}, {}, steady(10, 1));
    play.run();
    EXPECT_EQ(play.presented(0), 0u);
    EXPECT_EQ(play.presented(1), 11u);
    EXPECT_EQ(play.presented(2), 22u);
}

TEST(Sequence, dual_presents_reads_and_writes_independently)
{
    Play play({request(0, IOM_REQ_WRITE), request(1), request(), request(3, IOM_REQ_WRITE)}, {},
              steady(10, 1), true);
    play.run();
    EXPECT_EQ(play.presented(0), 0u);
    EXPECT_EQ(play.presented(1), 1u);  // first of the reads: its gap
    EXPECT_EQ(play.presented(2), 12u); // behind request 1
    EXPECT_EQ(play.presented(3), 14u); // behind request 0
}

TEST(Sequence, response_limit_counts_from_response_and_gap_from_handshake)
{
    Play play({request(), request(3), request(30)}, {}, steady(2, 20), false, 1);
    play.run();
    EXPECT_EQ(play.presented(1), 23u);           // response in 22
    EXPECT_EQ(play.presented(2), 25u + 1 + 30u); // handshake in 25, response in 45
}

TEST(Sequence, response_limit_of_two_lets_two_be_unanswered)
{
    Play play({request(), request(), request(), request()}, {}, steady(2, 20), false, 2);
    play.run();
    EXPECT_EQ(play.presented(1), 3u);
    EXPECT_EQ(play.presented(2), 23u); // response of request 0 in 22
    EXPECT_EQ(play.presented(3), 26u); // that of request 1 in 25, the handshake of request 2 as well
}

TEST(Sequence, request_waits_for_its_operation)
{
    Play play({request(0, 0, 0), request(0, 0, 1), request(0, 0, 1)},
              {op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_CYCLE, 9), op(IOM_SEQUENCE_REGISTER, IOM_TRIGGER_CYCLE, 20)},
              steady(2, 1));
    play.run();
    EXPECT_EQ(play.presented(0), 10u); // done in 9
    EXPECT_EQ(play.presented(1), 24u); // done in 23
    EXPECT_EQ(play.presented(2), 27u);
}

TEST(Sequence, register_write_is_done_with_its_answer_and_holds_up_what_follows)
{
    auto first = op(IOM_SEQUENCE_REGISTER, IOM_TRIGGER_CYCLE, 10);
    first.address = 0x24;
    first.value = 5;
    first.bytes = 4;
    Play play({}, {first, op(IOM_SEQUENCE_MEMORY, IOM_TRIGGER_CYCLE, 0)}, steady(2, 1));
    EXPECT_EQ(play.run(), IOM_RUN_IDLE);
    EXPECT_EQ(play.op_result(0).start, 10u);
    EXPECT_EQ(play.op_result(0).done, 13u);
    EXPECT_EQ(play.op_result(1).start, 14u);
    ASSERT_EQ(play.far.register_writes.size(), 1u);
    EXPECT_EQ(play.far.register_writes[0].cycle, 12u);
    EXPECT_EQ(play.far.register_writes[0].address, 0x24u);
    EXPECT_EQ(play.far.register_writes[0].value, 5u);
    EXPECT_EQ(play.far.register_writes[0].bytes, 4u);
}

TEST(Sequence, memory_writes_of_one_cycle_all_start_in_it)
{
    std::vector<iom_sequence_op> ops;
    for (unsigned i = 0; i < 4; i++) {
        ops.push_back(op(IOM_SEQUENCE_MEMORY, IOM_TRIGGER_CYCLE, 6));
        ops.back().address = 0x1000 + 8 * i;
        ops.back().value = i;
    }
    Play play({}, ops, steady(2, 1));
    play.run();
    ASSERT_EQ(play.far.memory_writes.size(), 4u);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ(play.op_result(i).start, 6u);
        EXPECT_EQ(play.op_result(i).done, 6u);
        EXPECT_EQ(play.far.memory_writes[i].cycle, 7u); // this test's connection takes a cycle
        EXPECT_EQ(play.far.memory_writes[i].address, 0x1000u + 8 * i);
        EXPECT_EQ(play.far.memory_writes[i].value, i);
    }
}

TEST(Sequence, operations_count_from_presented_and_done)
{
    Play play({request(4), request()},
              {op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_PRESENTED, 0, 0),
               op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_PRESENTED, 3, 0),
               op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_DONE, 0, 0), op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_DONE, 5, 1)},
              steady(10, 1));
    play.run();
    EXPECT_EQ(play.op_result(0).start, 4u); // in the very cycle
    EXPECT_EQ(play.op_result(1).start, 7u);
    EXPECT_EQ(play.op_result(2).start, 14u); // in the very cycle
    EXPECT_EQ(play.op_result(3).start, 30u); // 15 + 10 + 5
}

TEST(Sequence, operations_keep_their_order)
{
    Play play({request()},
              {op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_DONE, 10, 0), op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_CYCLE, 1)},
              steady(10, 1));
    play.run();
    EXPECT_EQ(play.op_result(0).start, 20u);
    EXPECT_EQ(play.op_result(1).start, 20u);
}

TEST(Sequence, drained_trigger_waits_for_the_queue)
{
    Play play({request()},
              {op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_DRAINED, 0), op(IOM_SEQUENCE_REGISTER, IOM_TRIGGER_CYCLE, 5),
               op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_DRAINED, 0)},
              steady(2, 1));
    play.far.queue_is(7, false);
    play.far.queue_is(40, true);
    play.run();
    EXPECT_EQ(play.op_result(0).start, 0u); // nothing has been heard of the queue: drained
    EXPECT_EQ(play.op_result(1).done, 8u);
    EXPECT_EQ(play.op_result(2).start, 40u);
}

TEST(Sequence, hang_is_a_deadlock_and_leaves_never)
{
    Play play({request(), request(), request()}, {op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_DONE, 0, 1)},
              [](uint64_t id, iom_cycle presented) {
                  Fate fate;
                  if (id == 0) {
                      fate.accepted = fate.done = presented + 2;
                      fate.responded = presented + 3;
                  }
                  return fate;
              });
    EXPECT_EQ(play.run(), IOM_RUN_DEADLOCK);
    EXPECT_EQ(play.presented(1), 3u);
    EXPECT_EQ(play.result(1).accepted, IOM_NEVER);
    EXPECT_EQ(play.result(1).outcome, IOM_OUTCOME_NONE);
    EXPECT_EQ(play.presented(2), IOM_NEVER);
    EXPECT_EQ(play.op_result(0).start, IOM_NEVER);
    EXPECT_FALSE(iom_sequence_finished(play.sequence));
}

TEST(Sequence, lists_are_checked)
{
    const auto error_of = [](std::vector<iom_sequence_request> requests, std::vector<iom_sequence_op> ops) {
        iom_sequence_config config{};
        config.requests = requests.data();
        config.request_count = static_cast<uint32_t>(requests.size());
        config.ops = ops.data();
        config.op_count = static_cast<uint32_t>(ops.size());
        EXPECT_EQ(iom_sequence_create(&config, "bench"), nullptr);
        return std::string(iom_sequence_config_error(&config));
    };
    EXPECT_NE(error_of({request(0, 0, 0)}, {}).find("operation that does not exist"), std::string::npos);
    EXPECT_NE(
        error_of({request()}, {op(IOM_SEQUENCE_WAIT, IOM_TRIGGER_DONE, 0, 1)}).find("request that does not"),
        std::string::npos);
    auto odd = op(IOM_SEQUENCE_REGISTER, IOM_TRIGGER_CYCLE, 0);
    odd.bytes = 2;
    EXPECT_NE(error_of({}, {odd}).find("neither 4 nor 8"), std::string::npos);
    odd.kind = IOM_SEQUENCE_MEMORY;
    odd.bytes = 9;
    EXPECT_NE(error_of({}, {odd}).find("1 to 8"), std::string::npos);
}

} // namespace
