// SPDX-License-Identifier: Apache-2.0
//
// The AXI port (core/axi_port.h) between scripted neighbours, to the cycle. Expected cycles are worked out
// from the header and from the rules measured on hardware (tests/data/rtl-timing/README.md, section 3), in
// which p is the cycle in which a request is presented, f the one in which it is refused. Random sequences:
// axi_port_oracle_test.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/core/support/axi_bench.h"

namespace
{

using namespace bench;
using Request = AxiBench::Request;

constexpr auto hit = AxiBench::hit, fault = AxiBench::fault;

// ---- service ------------------------------------------------------------------------------------------

TEST(AxiPort, a_hit_is_handed_over_two_cycles_after_it_was_presented)
{
    for (bool write : {false, true}) {
        SCOPED_TRACE(write);
        AxiBench b(axi_config(), 3);
        const Request &request = write ? b.write(10) : b.read(10);
        b.run();
        EXPECT_EQ(request.looked_up, 11u);
        EXPECT_EQ(request.accepted, 12u);
        EXPECT_EQ(request.done, 12u);
        EXPECT_EQ(request.released, 12u);
        // The one beat of data of a write moves in the cycle behind the address.
        EXPECT_EQ(request.at_memory, write ? 13u : 12u);
        EXPECT_EQ(request.responded, request.at_memory + 3);
    }
}

// Deviating front ends: what has served the request is gone by the handshake.
TEST(AxiPort, a_lost_address_is_zero_and_costs_no_time)
{
    for (bool write : {false, true}) {
        AxiBench b;
        const auto answer = AxiBench::loss;
        const Request &lost = write ? b.write(0, answer) : b.read(0, answer);
        const Request &next = write ? b.write(0) : b.read(0);
        b.run();
        EXPECT_EQ(lost.accepted, 2u);
        EXPECT_EQ(lost.done, 2u);
        EXPECT_EQ(lost.at_memory, write ? 3u : 2u);
        EXPECT_EQ(lost.dma->x.outcome, IOM_OUTCOME_ADDRESS);
        EXPECT_EQ(lost.dma->x.leaf.output, 0u);
        EXPECT_EQ(next.accepted, 5u);
        EXPECT_EQ(next.dma->x.leaf.output, next.dma->x.address + axi_moved);
    }
}

TEST(AxiPort, a_later_answer_delays_the_handshake_by_as_much)
{
    for (uint64_t cycles : {1u, 7u, 100u}) {
        AxiBench b;
        const Request &request = b.read(0, AxiBench::after(cycles)), &next = b.read(0);
        b.run();
        EXPECT_EQ(request.accepted, 2 + cycles);
        EXPECT_EQ(request.done, 2 + cycles);
        EXPECT_EQ(request.released, 2 + cycles);
        EXPECT_EQ(next.presented, 3 + cycles);
        EXPECT_EQ(next.looked_up, 4 + cycles);
    }
}

TEST(AxiPort, hits_follow_each_other_every_three_cycles)
{
    for (bool write : {false, true}) {
        SCOPED_TRACE(write);
        AxiBench b;
        std::vector<const Request *> sent;
        for (int i = 0; i < 5; i++)
            sent.push_back(write ? &b.write(0) : &b.read(0));
        b.run();
        for (iom_cycle i = 0; i < 5; i++) {
            EXPECT_EQ(sent[i]->presented, 3 * i);
            EXPECT_EQ(sent[i]->accepted, 3 * i + 2);
        }
    }
}

// One that was not waiting is presented, and served, as if it were the first.
TEST(AxiPort, a_pause_leaves_nothing_behind)
{
    for (iom_cycle pause : {4u, 5u, 6u, 50u}) {
        AxiBench b;
        b.read(0);
        const Request &read = b.read(pause);
        b.run();
        EXPECT_EQ(read.presented, pause);
        EXPECT_EQ(read.accepted, pause + 2);
    }
}

TEST(AxiPort, reads_go_before_writes_and_starve_them)
{
    AxiBench b;
    const Request &write = b.write(0);
    std::vector<const Request *> reads;
    for (int i = 0; i < 20; i++)
        reads.push_back(&b.read(0));
    b.run();
    for (iom_cycle i = 0; i < 20; i++)
        EXPECT_EQ(reads[i]->accepted, 3 * i + 2);
    EXPECT_EQ(write.presented, 0u);
    EXPECT_EQ(write.looked_up, 3 * 20u + 1);
    EXPECT_EQ(write.accepted, 3 * 20u + 2);
}

// The choice is made in the cycle behind a handshake, among what is presented by then.
TEST(AxiPort, a_read_that_comes_too_late_waits_for_the_write)
{
    for (iom_cycle second : {2u, 3u, 4u, 5u, 6u}) {
        SCOPED_TRACE(second);
        AxiBench b;
        b.read(0); // handshake in 2: the next choice is made in 3
        const Request &read = b.read(second), &write = b.write(1);
        b.run();
        const bool in_time = second <= 3;
        EXPECT_EQ(read.accepted, in_time ? 5u : 8u);
        EXPECT_EQ(write.accepted, in_time ? 8u : 5u);
    }
    AxiBench b;
    const Request &write = b.write(0), &read = b.read(1); // nothing else was there in 0
    b.run();
    EXPECT_EQ(write.accepted, 2u);
    EXPECT_EQ(read.accepted, 5u);
}

TEST(AxiPort, everything_waits_behind_a_request_in_service)
{
    AxiBench b;
    const Request &slow = b.write(0, AxiBench::after(40)), &read = b.read(1), &write = b.write(1);
    b.run();
    EXPECT_EQ(slow.accepted, 42u);
    EXPECT_EQ(read.presented, 1u);
    EXPECT_EQ(read.accepted, 45u);
    EXPECT_EQ(write.accepted, 48u);
}

// ---- refusals -----------------------------------------------------------------------------------------

TEST(AxiPort, a_refused_request_is_answered_by_the_port)
{
    for (bool write : {false, true}) {
        for (uint64_t cycles : {0u, 9u}) {
            SCOPED_TRACE(testing::Message() << "write " << write << " look-up " << cycles);
            AxiBench b;
            const auto answer = AxiBench::after(cycles, true);
            const Request &refused = write ? b.write(10, answer) : b.read(10, answer);
            const Request &next = write ? b.write(10) : b.read(10);
            b.run();
            const iom_cycle f = 11 + cycles;
            EXPECT_EQ(refused.accepted, f + 1);
            EXPECT_EQ(refused.released, f + 1);
            EXPECT_EQ(refused.done, f + 3);
            EXPECT_EQ(refused.responded, f + 3);
            EXPECT_EQ(refused.at_memory, never);
            EXPECT_EQ(next.presented, f + 2);
            EXPECT_EQ(next.accepted, f + 4);
        }
    }
}

TEST(AxiPort, every_beat_of_a_refused_read_is_answered)
{
    for (uint32_t beats : {1u, 2u, 8u}) {
        AxiBench b;
        const Request &read = b.read(0, fault, beats);
        b.run();
        EXPECT_EQ(read.accepted, 2u);
        EXPECT_EQ(read.done, 4u + beats - 1) << "its last beat";
        EXPECT_EQ(read.responded, 4u + beats - 1);
    }
}

TEST(AxiPort, a_refused_write_is_answered_behind_its_last_beat_of_data)
{
    for (uint32_t beats : {1u, 2u, 8u}) {
        AxiBench b;
        const Request &write = b.write(0, fault, beats);
        b.run();
        EXPECT_EQ(write.accepted, 2u);
        EXPECT_EQ(write.done, 2u + beats + 1); // data in 3 and the following cycles
        EXPECT_EQ(write.responded, 2u + beats + 1);
    }
}

TEST(AxiPort, a_second_refused_read_waits_until_the_first_is_answered)
{
    AxiBench b;
    const Request &first = b.read(0, fault, 8), &second = b.read(0, fault), &third = b.read(0);
    b.run();
    EXPECT_EQ(first.accepted, 2u);
    EXPECT_EQ(first.done, 11u); // beats in 4 to 11
    EXPECT_EQ(second.looked_up, 4u);
    EXPECT_EQ(second.accepted, 12u);
    EXPECT_EQ(second.released, 12u) << "it is in service until its handshake";
    EXPECT_EQ(second.done, 14u);
    EXPECT_EQ(third.accepted, 15u);
    EXPECT_EQ(b.stats().target_waits, 1u);
}

TEST(AxiPort, a_second_refused_write_waits_for_the_data_of_the_first)
{
    AxiBench b;
    const Request &first = b.write(0, fault, 8), &second = b.write(0, fault);
    b.run();
    EXPECT_EQ(first.accepted, 2u);
    EXPECT_EQ(first.done, 11u); // data in 3 to 10
    EXPECT_EQ(second.accepted, 11u);
    EXPECT_EQ(second.done, 13u);
    EXPECT_EQ(b.stats().target_waits, 1u);
}

// It holds one of each kind, and memory is always ready.
TEST(AxiPort, a_refused_read_keeps_neither_writes_nor_translated_reads_waiting)
{
    AxiBench b(axi_config(), 20);
    b.read(0, fault, 8);
    const Request &write = b.write(0, fault), &read = b.read(4);
    b.run();
    EXPECT_EQ(write.accepted, 5u);
    EXPECT_EQ(write.done, 7u);
    EXPECT_EQ(read.accepted, 8u);
    EXPECT_EQ(b.stats().target_waits, 0u);
}

// ---- data and responses -------------------------------------------------------------------------------

TEST(AxiPort, a_burst_moves_one_beat_per_cycle)
{
    AxiBench b(axi_config(), 3);
    const Request &write = b.write(0, hit, 4), &read = b.read(20, hit, 4);
    b.run();
    EXPECT_EQ(write.accepted, 2u);
    EXPECT_EQ(write.at_memory, 6u); // data in 3 to 6
    EXPECT_EQ(write.responded, 9u);
    EXPECT_EQ(read.at_memory, 22u);
    EXPECT_EQ(read.responded, 28u); // data in 25 to 28
}

// Bursts are longer than the time between two handshakes.
TEST(AxiPort, bursts_wait_for_each_other)
{
    AxiBench b(axi_config(), 3);
    const Request &first = b.write(0, hit, 4), &second = b.write(0, hit, 2);
    const Request &read = b.read(20, hit, 4), &next = b.read(20, hit, 4);
    b.run();
    EXPECT_EQ(first.accepted, 2u);
    EXPECT_EQ(second.accepted, 5u);
    EXPECT_EQ(first.at_memory, 6u);
    EXPECT_EQ(second.at_memory, 8u); // data in 7 and 8
    EXPECT_EQ(read.accepted, 22u);
    EXPECT_EQ(next.accepted, 25u);
    EXPECT_EQ(read.responded, 28u);
    EXPECT_EQ(next.responded, 32u); // there in 28, data in 29 to 32
}

TEST(AxiPort, write_data_keep_the_order_of_their_addresses)
{
    AxiBench b(axi_config(), 3);
    const Request &first = b.write(0, hit, 4), &refused = b.write(0, fault, 2), &last = b.write(0, hit);
    b.run();
    EXPECT_EQ(first.accepted, 2u);
    EXPECT_EQ(refused.accepted, 5u);
    EXPECT_EQ(last.accepted, 8u);
    EXPECT_EQ(first.at_memory, 6u);
    EXPECT_EQ(refused.done, 9u);   // data in 7 and 8
    EXPECT_EQ(last.at_memory, 9u); // data in 9
}

// ---- collisions of responses --------------------------------------------------------------------------

/// Responses of a translated request and of a refused one presented three cycles later, which fall into the
/// same cycle.
struct Pair {
    const Request *translated, *refused;
};

// Memory takes as long as it takes a refusal to catch up: for reads 5 cycles, for writes one cycle less
// because of their data. Both responses are due in 7 cycles.
uint64_t catching_up(bool write)
{
    return write ? 4 : 5;
}

Pair collide(AxiBench &b, bool write, iom_cycle at)
{
    const Request &translated = write ? b.write(at) : b.read(at);
    const Request &refused = write ? b.write(at + 3, fault) : b.read(at + 3, fault);
    return {&translated, &refused};
}

void expect_winner(const Pair &pair, iom_cycle due, bool refusal_first)
{
    EXPECT_EQ(pair.refused->responded, due + (refusal_first ? 0 : 1));
    EXPECT_EQ(pair.refused->done, pair.refused->responded);
    EXPECT_EQ(pair.translated->responded, due + (refusal_first ? 1 : 0));
    EXPECT_EQ(pair.translated->done, due - 5) << "a late response is none of its business";
}

TEST(AxiPort, of_two_responses_that_collide_the_kind_served_last_goes_first)
{
    for (bool write : {false, true}) {
        SCOPED_TRACE(write);
        AxiBench at_reset(axi_config(), catching_up(write));
        const Pair first = collide(at_reset, write, 0);
        at_reset.run();
        expect_winner(first, 7, true); // at reset refusals are asked first
        EXPECT_EQ(at_reset.stats().collisions, 1u);

        for (bool refused_before : {false, true}) {
            AxiBench b(axi_config(), catching_up(write));
            const auto before = refused_before ? fault : hit;
            write ? b.write(0, before) : b.read(0, before);
            const Pair pair = collide(b, write, 20);
            b.run();
            expect_winner(pair, 27, refused_before);
            EXPECT_EQ(b.stats().collisions, 1u);
        }
    }
}

// The loser of a collision is served last, so its kind wins the next one.
TEST(AxiPort, collisions_are_won_by_turns)
{
    for (bool write : {false, true}) {
        SCOPED_TRACE(write);
        AxiBench b(axi_config(), catching_up(write));
        std::vector<Pair> pairs;
        for (iom_cycle i = 0; i < 4; i++)
            pairs.push_back(collide(b, write, 20 * i));
        b.run();
        for (iom_cycle i = 0; i < 4; i++)
            expect_winner(pairs[i], 20 * i + 7, i % 2 == 0);
        EXPECT_EQ(b.stats().collisions, 4u);
    }
}

TEST(AxiPort, other_arbitration_of_responses)
{
    for (bool refused_before : {false, true}) {
        for (iom_arbitration rule : {IOM_ARBITRATION_ROUND_ROBIN, IOM_ARBITRATION_FIXED}) {
            SCOPED_TRACE(testing::Message() << "rule " << rule << " refused before " << refused_before);
            iom_axi_port_config config = axi_config();
            config.arbitration = rule;
            AxiBench b(config, catching_up(false));
            b.read(0, refused_before ? fault : hit);
            const Pair pair = collide(b, false, 20);
            b.run();
            expect_winner(pair, 27, rule == IOM_ARBITRATION_FIXED || !refused_before);
        }
    }
}

TEST(AxiPort, responses_of_reads_and_writes_do_not_collide)
{
    AxiBench b(axi_config(), 5);
    const Request &read = b.read(0), &write = b.write(0, fault);
    b.run();
    EXPECT_EQ(read.responded, 7u);
    EXPECT_EQ(write.responded, 7u);
    EXPECT_EQ(b.stats().collisions, 0u);
}

TEST(AxiPort, a_collision_delays_nothing_but_a_response)
{
    AxiBench b(axi_config(), catching_up(false));
    collide(b, false, 0);
    const Request &next = b.read(0), &write = b.write(0);
    b.run();
    EXPECT_EQ(next.accepted, 8u);
    EXPECT_EQ(next.responded, 13u);
    EXPECT_EQ(write.accepted, 11u);
}

// Beat by beat: a burst that is being answered is the kind served last.
TEST(AxiPort, a_response_collides_with_a_beat_of_a_burst)
{
    AxiBench b(axi_config(), 4);
    const Request &burst = b.read(0, hit, 3), &refused = b.read(0, fault);
    b.run();
    EXPECT_EQ(refused.accepted, 5u); // due in 7, data of the burst since 6
    EXPECT_EQ(refused.done, 8u);
    EXPECT_EQ(burst.responded, 9u);
}

// ---- 4 KiB pages --------------------------------------------------------------------------------------

constexpr uint64_t page = 0x10000;

iom_axi_port_config checked(bool inclusive)
{
    iom_axi_port_config config = axi_config();
    config.boundary_check = true;
    config.quirk_boundary_inclusive = inclusive;
    return config;
}

TEST(AxiPort, a_request_across_a_page_is_refused_without_a_look_up)
{
    for (bool write : {false, true}) {
        SCOPED_TRACE(write);
        AxiBench b(checked(false));
        const Request &refused = write ? b.write(10, hit, 2, page + 0xff8) : b.read(10, hit, 2, page + 0xff8);
        const Request &next = write ? b.write(10) : b.read(10);
        b.run();
        EXPECT_EQ(refused.looked_up, never);
        EXPECT_EQ(refused.released, never);
        EXPECT_EQ(refused.accepted, 12u);
        EXPECT_EQ(refused.done, 15u); // of two beats, for reads and writes alike
        EXPECT_EQ(refused.dma->x.outcome, IOM_OUTCOME_FAULT);
        EXPECT_EQ(refused.dma->x.fault.recorded, 0) << "no fault record";
        EXPECT_EQ(next.accepted, 15u);
        EXPECT_EQ(next.released, 15u);
        EXPECT_EQ(b.stats().boundary, 1u);
        EXPECT_EQ(b.stats().refused, 1u);
    }
}

TEST(AxiPort, a_boundary_refusal_of_one_beat_is_answered_four_cycles_after_it_was_presented)
{
    AxiBench b(checked(true));
    const Request &refused = b.read(10, hit, 1, page + 0xff8);
    b.run();
    EXPECT_EQ(refused.accepted, 12u);
    EXPECT_EQ(refused.done, 14u);
    EXPECT_EQ(refused.responded, 14u);
}

// A fault that an earlier use of the message has left behind is not passed on.
TEST(AxiPort, a_boundary_refusal_has_no_fault_of_its_own)
{
    AxiBench b(checked(false));
    const Request &refused = b.read(0, hit, 2, page + 0xff8);
    refused.dma->x.fault.code = 5;
    refused.dma->x.fault.recorded = 1;
    b.run();
    EXPECT_EQ(refused.dma->x.fault.code, 0);
    EXPECT_EQ(refused.dma->x.fault.recorded, 0);
}

TEST(AxiPort, where_a_page_ends)
{
    struct Case {
        uint64_t offset;
        uint32_t beats;
        bool crosses, touches;
    };
    const Case cases[] = {{0, 1, false, false},   {0xff0, 1, false, false},  {0xff8, 1, false, true},
                          {0xff8, 2, true, true}, {0xff0, 2, false, true},   {0xfe8, 2, false, false},
                          {0, 256, false, false}, {0x800, 256, false, true}, {0x808, 256, true, true},
                          {0xffc, 1, true, true}};
    for (const Case &c : cases) {
        for (bool check : {false, true}) {
            for (bool inclusive : {false, true}) {
                SCOPED_TRACE(testing::Message() << std::hex << c.offset << " beats " << std::dec << c.beats
                                                << " check " << check << " inclusive " << inclusive);
                iom_axi_port_config config = checked(inclusive);
                config.boundary_check = check;
                AxiBench b(config);
                const Request &request = b.read(0, hit, c.beats, page + c.offset);
                b.run();
                const bool refused = check && (c.crosses || (inclusive && c.touches));
                EXPECT_EQ(b.stats().boundary, refused ? 1u : 0u);
                EXPECT_EQ(request.looked_up, refused ? never : 1u);
            }
        }
    }
}

// ---- what is told and counted -------------------------------------------------------------------------

TEST(AxiPort, works_without_anybody_to_tell)
{
    AxiBench b(axi_config(), 3, false);
    const Request &read = b.read(0), &write = b.write(0, fault);
    b.run();
    EXPECT_EQ(read.responded, 5u);
    EXPECT_EQ(write.responded, 7u);
}

TEST(AxiPort, counts_requests)
{
    AxiBench b(checked(false));
    b.read(0);
    b.read(0, fault);
    b.read(0, hit, 2, page + 0xff8);
    b.write(0);
    b.write(0, fault);
    b.run();
    EXPECT_EQ(b.stats().reads, 3u);
    EXPECT_EQ(b.stats().writes, 2u);
    EXPECT_EQ(b.stats().refused, 3u);
    EXPECT_EQ(b.stats().boundary, 1u);
    EXPECT_EQ(b.stats().target_waits, 0u);
}

// From the cycle in which it is taken up to its handshake, both included.
TEST(AxiPort, counts_cycles_with_a_request_in_service)
{
    AxiBench one;
    one.read(10);
    one.run();
    EXPECT_EQ(one.stats().busy_cycles, 2u);

    AxiBench slow;
    slow.read(10, AxiBench::after(30));
    slow.write(10); // waits at the port for as long: not in service then
    slow.run();
    EXPECT_EQ(slow.stats().busy_cycles, 32u + 2u);

    AxiBench at_once(checked(false));
    at_once.read(0, hit, 2, page + 0xff8);
    at_once.run();
    EXPECT_EQ(at_once.stats().busy_cycles, 2u);

    AxiBench waits;
    waits.read(0, fault, 8);
    waits.read(0, fault); // looked up in 4, handed over in 12
    waits.run();
    EXPECT_EQ(waits.stats().busy_cycles, 2u + 9u);
}

TEST(AxiPort, has_nothing_outstanding_when_all_is_answered)
{
    AxiBench b(axi_config(), 30);
    const Request &read = b.read(0);
    b.write(0, fault);
    b.world.at(20, [&b](iom_cycle) {
        EXPECT_EQ(iom_axi_port_unit(b.axi)->ops->outstanding(iom_axi_port_unit(b.axi)), 0u)
            << "memory has the read";
    });
    b.world.at(6, [&b](iom_cycle) {
        EXPECT_EQ(iom_axi_port_unit(b.axi)->ops->outstanding(iom_axi_port_unit(b.axi)), 1u)
            << "the refused write";
    });
    b.run();
    EXPECT_EQ(read.responded, 32u);
    EXPECT_EQ(b.bench.outstanding(), 0u);
}

} // namespace
