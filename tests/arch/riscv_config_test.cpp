// SPDX-License-Identifier: Apache-2.0
//
// The capabilities register built from settings ("IOMMU capabilities"), values that are refused, and texts.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/arch/support/riscv_registers.h"

namespace
{
using namespace riscv_test;

iom_riscv_features some_features()
{
    iom_riscv_features features{};
    features.sv39 = true;
    features.sv39x4 = true;
    features.msi_interrupts = true;
    features.address_bits = 56;
    return features;
}

TEST(RiscvConfig, settings_stand_where_the_specification_puts_them)
{
    iom_riscv_features features = some_features();
    uint64_t capabilities = 0;
    ASSERT_EQ(iom_riscv_capabilities(&features, &capabilities), nullptr);
    EXPECT_EQ(capabilities, 0x10 | bit(9) | bit(17) | uint64_t{56} << 32);
    // One bit at a time.
    const std::pair<bool iom_riscv_features::*, unsigned> settings[] = {
        {&iom_riscv_features::sv32, 8},
        {&iom_riscv_features::sv48, 10},
        {&iom_riscv_features::svrsw60t59b, 14},
        {&iom_riscv_features::svpbmt, 15},
        {&iom_riscv_features::sv32x4, 16},
        {&iom_riscv_features::sv48x4, 18},
        {&iom_riscv_features::msi_flat, 22},
        {&iom_riscv_features::amo_hwad, 24},
        {&iom_riscv_features::ats, 25},
        {&iom_riscv_features::both_endian, 27},
        {&iom_riscv_features::performance_monitor, 30},
        {&iom_riscv_features::debug, 31},
        {&iom_riscv_features::pd8, 38},
        {&iom_riscv_features::pd17, 39},
        {&iom_riscv_features::pd20, 40},
        {&iom_riscv_features::qos, 41},
        {&iom_riscv_features::non_leaf, 42},
        {&iom_riscv_features::range, 43},
    };
    for (auto [setting, position] : settings) {
        iom_riscv_features one = some_features();
        one.*setting = true;
        uint64_t value = 0;
        ASSERT_EQ(iom_riscv_capabilities(&one, &value), nullptr) << position;
        EXPECT_EQ(value, capabilities | bit(position));
    }
}

TEST(RiscvConfig, settings_that_require_others)
{
    iom_riscv_features features = some_features();
    features.sv48 = features.sv57 = features.sv48x4 = features.sv57x4 = true;
    features.msi_flat = features.msi_mrif = features.amo_mrif = true;
    features.ats = features.t2gpa = true;
    features.wired_interrupts = true;
    uint64_t capabilities = 0;
    ASSERT_EQ(iom_riscv_capabilities(&features, &capabilities), nullptr);
    EXPECT_EQ(capabilities, 0x10 | range(11, 9) | range(19, 17) | range(23, 21) | bit(25) | bit(26) |
                                uint64_t{2} << 28 | uint64_t{56} << 32);
    const std::pair<bool iom_riscv_features::*, const char *> needed[] = {
        {&iom_riscv_features::sv48, "Sv48"},
        {&iom_riscv_features::sv48x4, "Sv48x4"},
        {&iom_riscv_features::msi_flat, "MSI page tables"},
        {&iom_riscv_features::msi_mrif, "interrupt files"},
        {&iom_riscv_features::ats, "translation services"},
    };
    for (auto [setting, text] : needed) {
        iom_riscv_features one = features;
        one.*setting = false;
        uint64_t value = 0;
        const char *problem = iom_riscv_capabilities(&one, &value);
        ASSERT_NE(problem, nullptr) << text;
        EXPECT_NE(std::strstr(problem, text), nullptr) << problem;
        EXPECT_EQ(value, 0u);
    }
    features.msi_interrupts = features.wired_interrupts = false;
    EXPECT_NE(iom_riscv_capabilities(&features, &capabilities), nullptr);
    features = some_features();
    features.address_bits = 57;
    EXPECT_NE(iom_riscv_capabilities(&features, &capabilities), nullptr);
}

TEST(RiscvConfig, impossible_values_are_refused)
{
    iom_riscv_config good = full_config();
    ASSERT_EQ(iom_riscv_config_finish(&good), nullptr);
    auto refused = [](auto change) {
        iom_riscv_config config = full_config();
        change(config);
        return iom_riscv_config_finish(&config) != nullptr;
    };
    EXPECT_TRUE(refused([](auto &c) { c.capabilities &= ~(uint64_t{63} << 32); }));
    EXPECT_TRUE(refused([](auto &c) { c.max_mode = 5; }));
    EXPECT_TRUE(refused([](auto &c) { c.counters = 33; }));
    EXPECT_TRUE(refused([](auto &c) { c.counter_bits = 64; }));
    EXPECT_TRUE(refused([](auto &c) { c.vector_bits = 5; }));
    EXPECT_TRUE(refused([](auto &c) { c.bare_page_log2 = 11; }));
    EXPECT_TRUE(refused([](auto &c) { c.bare_page_sv32_log2 = 49; }));
    EXPECT_TRUE(refused([](auto &c) { c.invalidation_tags = 0; }));
    EXPECT_TRUE(refused([](auto &c) { c.invalidation_tags = 33; }));
}

TEST(RiscvConfig, every_cause_has_a_text)
{
    EXPECT_STREQ(iom_riscv_fault_text(13), "read page fault");
    EXPECT_STREQ(iom_riscv_fault_text(274), "first/second-stage PT data corruption");
    EXPECT_EQ(iom_riscv_fault_text(0), nullptr);
    EXPECT_EQ(iom_riscv_fault_text(275), nullptr);
}

} // namespace
