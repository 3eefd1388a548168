// SPDX-License-Identifier: Apache-2.0
//
// What the tests of generators share: usual configurations, and a player that answers requests in random
// order and checks each against the ranges announced.
#ifndef IOM_TESTS_TRAFFIC_GENERATOR_FIXTURE_HPP
#define IOM_TESTS_TRAFFIC_GENERATOR_FIXTURE_HPP

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "traffic/generator.h"

namespace generator_fixture
{

struct Deleter {
    void operator()(iom_generator *generator) const
    {
        iom_generator_destroy(generator);
    }
};
using Generator = std::unique_ptr<iom_generator, Deleter>;

inline Generator make(const iom_generator_config &config, uint64_t seed = 1)
{
    const char *error = nullptr;
    Generator generator(iom_generator_create(&config, seed, "test", &error));
    EXPECT_NE(generator, nullptr) << error;
    return generator;
}

inline iom_generator_config stream(iom_generator_kind kind)
{
    iom_generator_config config{};
    config.kind = kind;
    config.source = 0x0310;
    config.base_iova = 0x10000000;
    config.window_bytes = 64 * UINT64_C(4096);
    config.request_bytes = 256;
    config.read_ppm = IOM_PPM;
    config.stride_bytes = 4096;
    config.zipf_exponent_ppm = 990000;
    return config;
}

inline iom_traffic_request next(const Generator &generator, iom_cycle now = 0)
{
    iom_traffic_request request{};
    EXPECT_TRUE(iom_generator_next(generator.get(), now, true, &request));
    return request;
}

inline void expect_within_page(const iom_traffic_request &request)
{
    ASSERT_GE(request.bytes, 1u);
    ASSERT_EQ(request.iova / 4096, (request.iova + request.bytes - 1) / 4096);
}

inline iom_generator_config nvme()
{
    iom_generator_config config{};
    config.kind = IOM_GENERATOR_NVME;
    config.source = 0x20;
    config.base_iova = 0x40000000;
    config.window_bytes = 1 << 20;
    config.request_bytes = 256;
    config.queue_depth = 8;
    config.block_bytes = 4096;
    return config;
}

inline iom_generator_config nic()
{
    iom_generator_config config{};
    config.kind = IOM_GENERATOR_NIC;
    config.source = 0x30;
    config.base_iova = 0x80000000;
    config.window_bytes = 4 << 20;
    config.request_bytes = 256;
    config.ring_entries = 256;
    config.buffer_bytes = 2048;
    config.frame_bytes = 1500;
    return config;
}

struct Flying {
    iom_traffic_request request;
};

class Player
{
  public:
    Player(const iom_generator_config &config, uint64_t seed) : generator(make(config, seed)), random(seed)
    {
        iom_traffic_range range;
        for (uint32_t i = 0; iom_generator_range(generator.get(), i, &range); i++)
            ranges.push_back(range);
    }

    /// Every request lies in a range the generator announced, with permission.
    void check_range(const iom_traffic_request &request) const
    {
        const unsigned need = (request.flags & IOM_REQ_WRITE) != 0 ? IOM_PERM_WRITE : IOM_PERM_READ;
        for (const auto &range : ranges) {
            if (request.iova >= range.iova && request.iova + request.bytes <= range.iova + range.bytes &&
                request.source == range.source) {
                EXPECT_EQ(range.permissions & need, need) << std::hex << request.iova;
                return;
            }
        }
        ADD_FAILURE() << "outside all ranges: " << std::hex << request.iova;
    }

    /// Hands out up to `limit` requests in flight, answers in random order, until `operations` are done.
    template <typename Issued, typename Answered>
    void play(unsigned operations, size_t limit, const Issued &issued, const Answered &answered)
    {
        unsigned begun = 0, done = 0;
        for (unsigned guard = 0; done < operations && guard < 10000000; guard++) {
            now++;
            iom_traffic_request request{};
            const bool start = begun < operations;
            if (flying.size() < limit && iom_generator_next(generator.get(), now, start, &request)) {
                expect_within_page(request);
                check_range(request);
                begun += request.first;
                flying.push_back({request});
                issued(request);
                continue;
            }
            if (flying.empty()) {
                const iom_cycle due = iom_generator_due(generator.get());
                ASSERT_NE(due, IOM_NEVER) << "nothing to do, " << done << " operations done";
                now = std::max(now, due);
                continue;
            }
            const size_t pick = random() % flying.size();
            const auto answer = flying[pick].request;
            flying.erase(flying.begin() + static_cast<long>(pick));
            iom_generator_end end{};
            const auto progress = iom_generator_completed(generator.get(), now, answer.token, false, &end);
            answered(answer, progress, end);
            done += progress == IOM_GENERATOR_DONE;
            ASSERT_NE(progress, IOM_GENERATOR_ABORTED);
        }
        ASSERT_EQ(done, operations);
        ASSERT_TRUE(flying.empty() || begun == operations);
    }

    Generator generator;
    std::mt19937 random;
    std::vector<iom_traffic_range> ranges;
    std::vector<Flying> flying;
    iom_cycle now = 0;
};

} // namespace generator_fixture

#endif
