// SPDX-License-Identifier: Apache-2.0
//
// Random sequences through the AXI port (core/axi_port.h) against a model that does in every cycle what
// hardware does: a front end of two states, an error responder of one read and one write, an arbiter before
// each response channel. It knows no events and no messages.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "tests/core/support/axi_bench.h"
#include "tests/core/support/dice.h"

namespace
{

using namespace bench;

struct Wanted {
    bool write;
    iom_cycle earliest;
    uint64_t look_up;
    bool refused;
    uint32_t beats;
    uint64_t address;
};

struct Timing {
    iom_cycle presented = never, accepted = never, responded = never;
};

class Oracle
{
  public:
    Oracle(const std::vector<Wanted> &wanted, uint64_t memory_cycles, bool boundary_check)
        : seen(wanted.size()), wanted_(wanted), memory_cycles_(memory_cycles), boundary_check_(boundary_check)
    {
        for (size_t i = 0; i < wanted.size(); i++)
            to_present_[wanted[i].write].push_back(i);
    }

    void run(iom_cycle cycles)
    {
        for (iom_cycle now = 0; now < cycles; now++) {
            present(now);
            respond(now); // sees only what earlier cycles have put there
            hand_over(now);
            move_data(now);
            end_cycle(now);
        }
    }

    std::vector<Timing> seen;

  private:
    struct Beats {
        size_t request;
        iom_cycle from; ///< first beat in this cycle or later
        uint32_t left;
    };

    bool crosses(const Wanted &wanted) const
    {
        return boundary_check_ && wanted.address % 4096 + uint64_t{8} * wanted.beats > 4096;
    }
    bool is_refused(size_t request) const
    {
        return wanted_[request].refused || crosses(wanted_[request]);
    }

    void present(iom_cycle now)
    {
        for (int channel = 0; channel < 2; channel++) {
            std::deque<size_t> &waiting = to_present_[channel];
            if (waiting.empty() || presenting_[channel] || now < wanted_[waiting.front()].earliest)
                continue;
            presenting_[channel] = true;
            seen[waiting.front()].presented = now;
        }
    }

    void hand_over(iom_cycle now)
    {
        accepted_now_ = false;
        if (!busy_)
            return;
        const size_t request = to_present_[channel_].front();
        const Wanted &wanted = wanted_[request];
        const uint64_t valid_from = taken_ + 1 + (crosses(wanted) ? 0 : wanted.look_up);
        if (now < valid_from || (is_refused(request) && holds_refused_[channel_]))
            return;
        seen[request].accepted = now;
        accepted_now_ = true;
        if (channel_ == 1)
            write_data_.push_back({request, now + 1, wanted.beats});
        else
            read_beats_[is_refused(request) ? refusal : memory].push_back(
                {request, now + (is_refused(request) ? 2 : memory_cycles_), wanted.beats});
    }

    void move_data(iom_cycle now)
    {
        if (write_data_.empty() || now < write_data_.front().from || --write_data_.front().left != 0)
            return;
        const size_t request = write_data_.front().request;
        write_data_.pop_front();
        if (is_refused(request)) {
            frees_write_ = true;
            write_responses_[refusal].push_back({request, now + 1, 1});
        } else {
            write_responses_[memory].push_back({request, now + memory_cycles_, 1});
        }
    }

    // The kind served last wins, then the other one has its turn.
    void respond(iom_cycle now)
    {
        for (int channel = 0; channel < 2; channel++) {
            std::deque<Beats>(&queues)[2] = channel == 0 ? read_beats_ : write_responses_;
            const auto is_due = [&](int kind) {
                return !queues[kind].empty() && now >= queues[kind].front().from;
            };
            if (!is_due(refusal) && !is_due(memory))
                continue;
            const bool collision = is_due(refusal) && is_due(memory);
            const int winner = collision ? first_[channel] : is_due(memory) ? memory : refusal;
            first_[channel] = collision ? 1 - winner : winner;
            if (--queues[winner].front().left != 0)
                continue;
            seen[queues[winner].front().request].responded = now;
            if (channel == 0 && winner == refusal)
                frees_read_ = true;
            queues[winner].pop_front();
        }
    }

    void end_cycle(iom_cycle now)
    {
        if (frees_read_)
            holds_refused_[0] = false;
        if (frees_write_)
            holds_refused_[1] = false;
        frees_read_ = frees_write_ = false;
        if (accepted_now_) {
            holds_refused_[channel_] |= is_refused(to_present_[channel_].front());
            to_present_[channel_].pop_front();
            presenting_[channel_] = false;
            busy_ = false;
        } else if (!busy_ && (presenting_[0] || presenting_[1])) {
            channel_ = presenting_[0] ? 0 : 1;
            busy_ = true;
            taken_ = now + 1;
        }
    }

    enum { refusal, memory };
    const std::vector<Wanted> &wanted_;
    uint64_t memory_cycles_;
    bool boundary_check_;
    std::deque<size_t> to_present_[2];
    bool presenting_[2] = {false, false};
    bool busy_ = false, accepted_now_ = false;
    int channel_ = 0;
    iom_cycle taken_ = 0;
    bool holds_refused_[2] = {false, false}, frees_read_ = false, frees_write_ = false;
    std::deque<Beats> write_data_, read_beats_[2], write_responses_[2];
    int first_[2] = {refusal, refusal};
};

std::vector<Wanted> random_requests(Dice &dice, size_t count, uint32_t most_beats)
{
    std::vector<Wanted> wanted;
    iom_cycle earliest = 0;
    for (size_t i = 0; i < count; i++) {
        Wanted next = {};
        earliest += dice.chance(50) ? 0 : dice.below(8);
        next.write = dice.chance(50);
        next.earliest = earliest;
        next.look_up = dice.chance(70) ? 0 : dice.below(12);
        next.refused = dice.chance(40);
        next.beats = dice.chance(60) ? 1 : dice.between(1, most_beats);
        next.address = 0x10000 + (dice.chance(90) ? 0 : 0xff0);
        wanted.push_back(next);
    }
    return wanted;
}

TEST(AxiPortOracle, random_sequences)
{
    uint64_t collisions = 0, target_waits = 0, boundary = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        SCOPED_TRACE(seed);
        Dice dice(seed, "axi");
        const uint64_t memory_cycles = dice.between(1, 9);
        iom_axi_port_config config = axi_config();
        config.boundary_check = dice.chance(50);
        const std::vector<Wanted> wanted = random_requests(dice, 60, dice.chance(50) ? 1 : 9);
        Oracle oracle(wanted, memory_cycles, config.boundary_check);
        oracle.run(4000);
        AxiBench b(config, memory_cycles);
        if (seed % 2 == 1) // nothing due changes nothing
            b.wake_always(4000);
        for (const Wanted &w : wanted) {
            const auto answer = AxiBench::after(w.look_up, w.refused);
            w.write ? b.write(w.earliest, answer, w.beats, w.address)
                    : b.read(w.earliest, answer, w.beats, w.address);
        }
        b.run();
        for (size_t i = 0; i < wanted.size(); i++) {
            ASSERT_EQ(b.requests[i].presented, oracle.seen[i].presented) << i;
            ASSERT_EQ(b.requests[i].accepted, oracle.seen[i].accepted) << i;
            ASSERT_EQ(b.requests[i].responded, oracle.seen[i].responded) << i;
            ASSERT_NE(oracle.seen[i].responded, never) << i;
        }
        collisions += b.stats().collisions;
        target_waits += b.stats().target_waits;
        boundary += b.stats().boundary;
    }
    // The sequences do reach what they are for.
    EXPECT_GT(collisions, 100u);
    EXPECT_GT(target_waits, 100u);
    EXPECT_GT(boundary, 100u);
}

} // namespace
