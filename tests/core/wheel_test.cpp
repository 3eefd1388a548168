// SPDX-License-Identifier: Apache-2.0
//
// The timing wheel against ordered sets: what core/wheel.h promises, restated with std::set and std::map.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/rng.h"
#include "core/wheel.h"

namespace
{

/// The promise: wake-ups within reach are kept one by one (equal ones count once); of those further away
/// only the earliest of each unit.
class Oracle
{
  public:
    void arm(uint32_t unit, iom_cycle cycle)
    {
        if (cycle - now_ < IOM_WHEEL_SLOTS)
            near_.insert({cycle, unit});
        else if (far_.count(unit) == 0 || cycle < far_[unit])
            far_[unit] = cycle;
    }
    iom_cycle next() const
    {
        iom_cycle next = near_.empty() ? IOM_NEVER : near_.begin()->first;
        for (auto &[unit, cycle] : far_)
            next = std::min(next, cycle);
        return next;
    }
    void advance(iom_cycle cycle)
    {
        now_ = cycle;
        for (auto it = far_.begin(); it != far_.end();) {
            if (it->second - now_ < IOM_WHEEL_SLOTS) {
                near_.insert({it->second, it->first});
                it = far_.erase(it);
            } else {
                ++it;
            }
        }
    }
    std::optional<uint32_t> take()
    {
        if (near_.empty() || near_.begin()->first != now_)
            return std::nullopt;
        uint32_t unit = near_.begin()->second;
        near_.erase(near_.begin());
        return unit;
    }

  private:
    iom_cycle now_ = 0;
    std::set<std::pair<iom_cycle, uint32_t>> near_;
    std::map<uint32_t, iom_cycle> far_;
};

class Wheel : public ::testing::Test
{
  protected:
    void init(uint32_t units)
    {
        ASSERT_TRUE(iom_wheel_init(&wheel, units));
    }
    void TearDown() override
    {
        iom_wheel_free(&wheel);
    }
    // Takes everything due in the current cycle.
    std::vector<int32_t> take_all()
    {
        std::vector<int32_t> units;
        for (int32_t unit; (unit = iom_wheel_take(&wheel)) >= 0;)
            units.push_back(unit);
        return units;
    }

    iom_wheel wheel{};
};

TEST_F(Wheel, is_empty_at_first)
{
    init(3);
    EXPECT_EQ(iom_wheel_next(&wheel), IOM_NEVER);
    EXPECT_TRUE(take_all().empty());
}

TEST_F(Wheel, never_is_not_a_wake_up)
{
    init(1);
    iom_wheel_arm(&wheel, 0, IOM_NEVER);
    EXPECT_EQ(iom_wheel_next(&wheel), IOM_NEVER);
}

TEST_F(Wheel, equal_wake_ups_are_one_and_units_come_in_order)
{
    init(200);
    for (uint32_t unit : {199u, 5u, 64u, 5u, 63u})
        iom_wheel_arm(&wheel, unit, 7);
    EXPECT_EQ(iom_wheel_next(&wheel), 7u);
    iom_wheel_advance(&wheel, 7);
    EXPECT_EQ(take_all(), (std::vector<int32_t>{5, 63, 64, 199}));
    EXPECT_EQ(iom_wheel_next(&wheel), IOM_NEVER);
}

TEST_F(Wheel, the_last_slot_within_reach_and_the_first_beyond)
{
    init(2);
    iom_wheel_advance(&wheel, 4000); // slots wrap around
    iom_wheel_arm(&wheel, 0, 4000 + IOM_WHEEL_SLOTS - 1);
    iom_wheel_arm(&wheel, 1, 4000 + IOM_WHEEL_SLOTS);
    EXPECT_EQ(iom_wheel_next(&wheel), 4000u + IOM_WHEEL_SLOTS - 1);
    iom_wheel_advance(&wheel, 4000 + IOM_WHEEL_SLOTS - 1);
    EXPECT_EQ(take_all(), std::vector<int32_t>{0});
    EXPECT_EQ(iom_wheel_next(&wheel), 4000u + IOM_WHEEL_SLOTS);
    iom_wheel_advance(&wheel, 4000 + IOM_WHEEL_SLOTS);
    EXPECT_EQ(take_all(), std::vector<int32_t>{1});
}

TEST_F(Wheel, far_wake_ups_keep_the_earliest_of_a_unit)
{
    init(2);
    iom_wheel_arm(&wheel, 0, 1000000000);
    iom_wheel_arm(&wheel, 0, 10000000);
    iom_wheel_arm(&wheel, 0, 20000000);
    iom_wheel_arm(&wheel, 1, 500000000);
    EXPECT_EQ(iom_wheel_next(&wheel), 10000000u);
    iom_wheel_advance(&wheel, 10000000);
    EXPECT_EQ(take_all(), std::vector<int32_t>{0});
    EXPECT_EQ(iom_wheel_next(&wheel), 500000000u);
}

TEST_F(Wheel, takes_wake_ups_armed_while_the_cycle_is_taken)
{
    init(70);
    iom_wheel_advance(&wheel, 10);
    iom_wheel_arm(&wheel, 3, 10);
    EXPECT_EQ(iom_wheel_take(&wheel), 3);
    iom_wheel_arm(&wheel, 69, 10);
    EXPECT_EQ(iom_wheel_take(&wheel), 69);
    EXPECT_EQ(iom_wheel_take(&wheel), -1);
    iom_wheel_arm(&wheel, 1, 10); // even after it was found empty
    EXPECT_EQ(iom_wheel_next(&wheel), 10u);
    EXPECT_EQ(iom_wheel_take(&wheel), 1);
}

/// Distances that lie in the same cycle, within the wheel, at its edge, and far out.
iom_cycle draw_distance(iom_rng &rng)
{
    switch (iom_rng_below(&rng, 5)) {
    case 0:
        return iom_rng_below(&rng, 4);
    case 1:
        return iom_rng_below(&rng, 100);
    case 2:
        return iom_rng_below(&rng, IOM_WHEEL_SLOTS);
    case 3:
        return IOM_WHEEL_SLOTS - 2 + iom_rng_below(&rng, 4);
    default:
        return iom_rng_below(&rng, 100000);
    }
}

class WheelOracle : public Wheel, public ::testing::WithParamInterface<uint32_t>
{
};

TEST_P(WheelOracle, random_wake_ups_come_when_the_oracle_says)
{
    const uint32_t units = GetParam();
    init(units);
    Oracle oracle;
    iom_rng rng;
    iom_rng_seed(&rng, units, "wheel");
    uint64_t taken = 0;
    for (unsigned step = 0; step < 20000; step++) {
        for (uint64_t n = iom_rng_below(&rng, 4); n != 0; n--) {
            auto unit = static_cast<uint32_t>(iom_rng_below(&rng, units));
            iom_cycle cycle = wheel.now + draw_distance(rng);
            iom_wheel_arm(&wheel, unit, cycle);
            oracle.arm(unit, cycle);
        }
        iom_cycle next = iom_wheel_next(&wheel);
        ASSERT_EQ(next, oracle.next()) << "step " << step;
        if (next == IOM_NEVER)
            continue;
        iom_wheel_advance(&wheel, next);
        oracle.advance(next);
        for (;;) {
            int32_t unit = iom_wheel_take(&wheel);
            std::optional<uint32_t> expected = oracle.take();
            ASSERT_EQ(unit, expected ? static_cast<int32_t>(*expected) : -1) << "step " << step;
            if (unit < 0)
                break;
            taken++;
        }
    }
    EXPECT_GT(taken, 10000u);
}

INSTANTIATE_TEST_SUITE_P(Units, WheelOracle, ::testing::Values(1, 2, 63, 64, 65, 200));

} // namespace
