// SPDX-License-Identifier: Apache-2.0
//
// Mixtures: shares by weight, and the order within each part.
#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "tests/traffic/generator_fixture.hpp"

using namespace generator_fixture;

namespace
{

TEST(Mixture, parts_get_shares_by_weight)
{
    std::vector<iom_generator_config> configs(20, stream(IOM_GENERATOR_UNIFORM));
    std::vector<iom_generator_part> parts;
    for (uint32_t i = 0; i < configs.size(); i++) {
        configs[i].source = 0x100 + i;
        configs[i].pasid = 7 * i;
        configs[i].flags = i % 2 ? static_cast<uint16_t>(IOM_REQ_PASID) : uint16_t{0};
        parts.push_back({&configs[i], i + 1});
    }
    iom_generator_config config{};
    config.kind = IOM_GENERATOR_MIXTURE;
    config.parts = parts.data();
    config.part_count = static_cast<uint32_t>(parts.size());
    const auto generator = make(config);
    EXPECT_FALSE(iom_generator_listens(generator.get()));
    std::vector<double> seen(20, 0);
    constexpr double samples = 210000;
    for (unsigned i = 0; i < samples; i++) {
        const auto request = next(generator);
        const uint32_t part = request.source - 0x100;
        seen.at(part)++;
        ASSERT_EQ(request.pasid, 7 * part);
        ASSERT_EQ((request.flags & IOM_REQ_PASID) != 0, part % 2 == 1);
    }
    double sum = 0;
    for (unsigned i = 0; i < 20; i++) {
        const double expected = samples * (i + 1) / 210;
        sum += (seen[i] - expected) * (seen[i] - expected) / expected;
    }
    EXPECT_LT(sum, 50.8); // 19 degrees of freedom
    iom_traffic_range range;
    for (uint32_t i = 0; i < 20; i++) {
        ASSERT_TRUE(iom_generator_range(generator.get(), i, &range));
        EXPECT_EQ(range.source, 0x100 + i);
        EXPECT_EQ(range.has_pasid, i % 2 == 1);
    }
    EXPECT_FALSE(iom_generator_range(generator.get(), 20, &range));
}

TEST(Mixture, dependent_parts_keep_their_order)
{
    auto disk = nvme(), network = nic();
    disk.media_latency_cycles = 300;
    const std::vector<iom_generator_part> parts{{&disk, 3}, {&network, 2}};
    iom_generator_config config{};
    config.kind = IOM_GENERATOR_MIXTURE;
    config.parts = parts.data();
    config.part_count = 2;
    std::map<std::pair<uint32_t, uint64_t>, uint64_t> data, answered;
    std::map<uint32_t, unsigned> done;
    Player player(config, 3);
    player.play(
        500, 50,
        [&](const iom_traffic_request &request) {
            const auto key = std::pair{request.source, request.token};
            if (request.klass == IOM_TRAFFIC_DATA)
                data[key] += request.bytes;
            if (request.klass == IOM_TRAFFIC_COMPLETION) {
                ASSERT_EQ(data[key], request.source == 0x20 ? 4096u : 1500u);
                ASSERT_EQ(answered[key], data[key]);
            }
        },
        [&](const iom_traffic_request &request, iom_generator_progress progress, const iom_generator_end &) {
            const auto key = std::pair{request.source, request.token};
            if (request.klass == IOM_TRAFFIC_DATA)
                answered[key] += request.bytes;
            if (progress == IOM_GENERATOR_DONE) {
                data.erase(key);
                answered.erase(key);
                done[request.source]++;
            }
        });
    EXPECT_GT(done[0x20], 50u);
    EXPECT_GT(done[0x30], 50u);
}

} // namespace
