// SPDX-License-Identifier: Apache-2.0
//
// Generators of all kinds: what chooses the sequence, and which configurations are refused.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/traffic/generator_fixture.hpp"

using namespace generator_fixture;

namespace
{

// The sequence is part of the results of the program: it may not depend on compiler or library. The
// number was the same for gcc -O0 and -O3 and clang -O0 and -O3.
TEST(Generator, sequences_are_the_same_everywhere)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const auto kind :
         {IOM_GENERATOR_SEQUENTIAL, IOM_GENERATOR_STRIDED, IOM_GENERATOR_UNIFORM, IOM_GENERATOR_ZIPF}) {
        auto config = stream(kind);
        config.read_ppm = 700000;
        config.request_bytes = 300;
        const auto generator = make(config, 42);
        for (unsigned i = 0; i < 20000; i++) {
            const auto request = next(generator);
            for (const uint64_t value : {request.iova, uint64_t{request.bytes}, uint64_t{request.flags}})
                hash = (hash ^ value) * UINT64_C(0x100000001b3);
        }
    }
    EXPECT_EQ(hash, UINT64_C(11863811803501601485));
}

TEST(Generator, seed_and_path_choose_the_sequence)
{
    const auto config = stream(IOM_GENERATOR_UNIFORM);
    const auto sequence = [&](uint64_t seed, const char *path) {
        Generator generator(iom_generator_create(&config, seed, path, nullptr));
        std::vector<uint64_t> list;
        for (unsigned i = 0; i < 50; i++)
            list.push_back(next(generator).iova);
        return list;
    };
    EXPECT_EQ(sequence(1, "nic0"), sequence(1, "nic0"));
    EXPECT_NE(sequence(1, "nic0"), sequence(2, "nic0"));
    EXPECT_NE(sequence(1, "nic0"), sequence(1, "nic1"));
}

TEST(GeneratorConfig, unusable_ones_are_named)
{
    struct Case {
        const char *starts_with;
        iom_generator_config base;
        void (*change)(iom_generator_config &);
    };
    using C = iom_generator_config;
    const auto uniform = stream(IOM_GENERATOR_UNIFORM), strided = stream(IOM_GENERATOR_STRIDED),
               zipf = stream(IOM_GENERATOR_ZIPF);
    const std::vector<Case> cases{
        {"kind", uniform, [](C &c) { c.kind = IOM_GENERATOR_KIND_COUNT; }},
        {"flags", uniform, [](C &c) { c.flags = IOM_REQ_WRITE; }},
        {"pasid", uniform, [](C &c) { c.flags = IOM_REQ_PASID, c.pasid = 1u << 20; }},
        {"base_iova", uniform, [](C &c) { c.base_iova = 0x1001; }},
        {"window_bytes", uniform, [](C &c) { c.window_bytes = 0; }},
        {"window_bytes", uniform, [](C &c) { c.window_bytes = 5000; }},
        {"window_bytes", uniform, [](C &c) { c.base_iova = UINT64_MAX - 4095; }},
        {"request_bytes", uniform, [](C &c) { c.request_bytes = 0; }},
        {"request_bytes", uniform, [](C &c) { c.request_bytes = 4097; }},
        {"read_ppm", uniform, [](C &c) { c.read_ppm = IOM_PPM + 1; }},
        {"page_log2", uniform, [](C &c) { c.page_log2 = 13; }},
        {"align_bytes", uniform, [](C &c) { c.align_bytes = UINT64_C(1) << 40; }},
        {"hot_bytes", uniform, [](C &c) { c.hot_bytes = c.window_bytes + 1; }},
        {"hot_bytes", uniform, [](C &c) { c.hot_bytes = 10; }},
        {"hot_bytes", uniform, [](C &c) { c.hot_bytes = c.window_bytes, c.hot_ppm = 5; }},
        {"hot_ppm", uniform, [](C &c) { c.hot_bytes = 4096, c.hot_ppm = IOM_PPM + 1; }},
        {"stride_bytes", strided, [](C &c) { c.stride_bytes = 0; }},
        {"stride_bytes", strided, [](C &c) { c.stride_bytes = c.window_bytes + 1; }},
        {"zipf_exponent_ppm", zipf, [](C &c) { c.zipf_exponent_ppm = 10000001; }},
        {"zipf_block_bytes", zipf, [](C &c) { c.zipf_block_bytes = 6000; }},
        {"zipf_block_bytes", zipf,
         [](C &c) { c.zipf_block_bytes = 4096, c.window_bytes = UINT64_C(1) << 33; }},
        {"queue_depth", nvme(), [](C &c) { c.queue_depth = 0; }},
        {"ring_entries", nvme(), [](C &c) { c.ring_entries = c.queue_depth; }},
        {"block_bytes", nvme(), [](C &c) { c.block_bytes = 100; }},
        {"window_bytes", nvme(), [](C &c) { c.block_bytes = 1 << 20; }},
        {"read_request_bytes", nvme(), [](C &c) { c.read_request_bytes = 8192; }},
        {"queues", nvme(), [](C &c) { c.queues = 1 << 16, c.queue_depth = 1 << 16; }},
        {"ring_entries", nic(), [](C &c) { c.ring_entries = 0; }},
        {"frame_bytes", nic(), [](C &c) { c.frame_bytes = 3000; }},
        {"frame_bytes", nic(), [](C &c) { c.frame_bytes = 0; }},
        {"descriptor_batch", nic(), [](C &c) { c.descriptor_batch = 257; }},
        {"window_bytes", nic(), [](C &c) { c.queues = 100; }},
    };
    for (const Case &test : cases) {
        C config = test.base;
        ASSERT_EQ(iom_generator_config_error(&config), nullptr);
        test.change(config);
        const char *error = iom_generator_config_error(&config);
        ASSERT_NE(error, nullptr) << test.starts_with;
        EXPECT_EQ(std::strncmp(error, test.starts_with, std::strlen(test.starts_with)), 0) << error;
        const char *reported = nullptr;
        EXPECT_EQ(iom_generator_create(&config, 1, "x", &reported), nullptr);
        EXPECT_STREQ(reported, error);
    }
}

TEST(GeneratorConfig, smallest_window_is_enough)
{
    for (auto config : {nvme(), nic()}) {
        config.window_bytes = iom_generator_window_needed(&config);
        EXPECT_EQ(iom_generator_config_error(&config), nullptr);
        config.window_bytes -= 4096;
        EXPECT_NE(iom_generator_config_error(&config), nullptr);
    }
}

} // namespace
