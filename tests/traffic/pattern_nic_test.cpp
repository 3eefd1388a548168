// SPDX-License-Identifier: Apache-2.0
//
// The network device: one frame by hand, then both directions under random completion.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/traffic/generator_fixture.hpp"

using namespace generator_fixture;

namespace
{

TEST(Nic, receive_step_by_step)
{
    auto config = nic();
    const auto generator = make(config);
    iom_generator_end end{};
    auto fetch = next(generator);
    EXPECT_FALSE(fetch.first) << "fetching descriptors is not a frame";
    EXPECT_EQ(fetch.iova, config.base_iova);
    EXPECT_EQ(fetch.bytes, 64u); // four descriptors
    EXPECT_EQ(fetch.klass, IOM_TRAFFIC_RING);
    iom_traffic_request request{};
    EXPECT_FALSE(iom_generator_next(generator.get(), 0, true, &request));
    EXPECT_EQ(iom_generator_completed(generator.get(), 0, fetch.token, false, &end), IOM_GENERATOR_GOING_ON);

    uint64_t data = config.base_iova + 4096; // the ring takes one page
    for (const uint32_t bytes : {256, 256, 256, 256, 256, 220}) {
        request = next(generator);
        EXPECT_EQ(request.first, bytes == 256 && request.iova == config.base_iova + 4096);
        EXPECT_EQ(request.iova, data);
        EXPECT_EQ(request.bytes, bytes);
        EXPECT_EQ(request.flags, IOM_REQ_WRITE | IOM_REQ_POSTED);
        data += bytes;
    }
    const uint64_t frame = request.token;
    fetch = next(generator);
    EXPECT_EQ(fetch.iova, config.base_iova + 64) << "the next descriptors are fetched ahead of need";
    for (unsigned i = 0; i < 6; i++)
        EXPECT_EQ(iom_generator_completed(generator.get(), 0, frame, false, &end), IOM_GENERATOR_GOING_ON);
    ASSERT_TRUE(iom_generator_next(generator.get(), 0, false, &request));
    EXPECT_EQ(request.klass, IOM_TRAFFIC_COMPLETION);
    EXPECT_EQ(request.iova, config.base_iova); // written back where it was read
    EXPECT_EQ(request.bytes, 16u);
    EXPECT_EQ(iom_generator_completed(generator.get(), 9, frame, false, &end), IOM_GENERATOR_DONE);
    EXPECT_EQ(end.bytes, 1500u);
}

TEST(Nic, frames_of_both_directions_under_random_completion)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        auto config = nic();
        config.queues = 2;
        config.ring_entries = 24;
        config.queue_depth = 7;
        config.read_ppm = 500000;
        config.read_request_bytes = 512;
        config.descriptor_batch = seed % 2 ? 5 : 8;
        config.media_latency_cycles = seed * 11;
        struct Frame {
            uint64_t bytes = 0, answered = 0, place = 0;
            bool transmit = false;
        };
        std::map<uint64_t, Frame> frames;
        std::map<uint64_t, int> descriptors; // descriptor address: 1 = fetched, 2 = in use
        unsigned sent[2] = {0, 0};
        Player player(config, seed);
        const uint64_t buffers = config.base_iova + 4 * UINT64_C(4096); // after four rings of a page each
        const uint64_t ring_buffers = 12 * UINT64_C(4096);              // 24 buffers of 2 KiB
        player.play(
            600, 40,
            [&](const iom_traffic_request &request) {
                if (request.klass == IOM_TRAFFIC_RING) {
                    ASSERT_LE(request.bytes, config.descriptor_batch * 16);
                    return;
                }
                Frame &frame = frames[request.token];
                if (request.klass == IOM_TRAFFIC_COMPLETION) {
                    ASSERT_EQ(frame.bytes, 1500u);
                    ASSERT_EQ(frame.answered, 1500u);
                    ASSERT_EQ(request.iova, frame.place);
                    return;
                }
                if (request.first) {
                    const uint64_t ring = (request.iova - buffers) / ring_buffers;
                    const uint64_t slot = (request.iova - buffers) % ring_buffers / 2048;
                    frame.place = config.base_iova + ring * 4096 + slot * 16;
                    frame.transmit = ring >= 2;
                    sent[frame.transmit]++;
                    ASSERT_EQ(descriptors[frame.place], 1) << "a frame without a fetched descriptor";
                    descriptors[frame.place] = 2;
                }
                ASSERT_EQ(frame.transmit, (request.flags & IOM_REQ_WRITE) == 0);
                frame.bytes += request.bytes;
            },
            [&](const iom_traffic_request &request, iom_generator_progress progress,
                const iom_generator_end &end) {
                if (request.klass == IOM_TRAFFIC_RING) {
                    for (uint64_t at = request.iova; at < request.iova + request.bytes; at += 16) {
                        ASSERT_NE(descriptors[at], 2) << "fetched while its frame is in progress";
                        descriptors[at] = 1;
                    }
                    return;
                }
                Frame &frame = frames[request.token];
                if (request.klass == IOM_TRAFFIC_DATA)
                    frame.answered += request.bytes;
                if (progress == IOM_GENERATOR_DONE) {
                    ASSERT_EQ(end.bytes, 1500u);
                    descriptors[frame.place] = 0;
                    frames.erase(request.token);
                }
            });
        EXPECT_EQ(sent[0] + sent[1], 600u);
        EXPECT_NEAR(sent[1], 300, 4 * std::sqrt(600 * 0.25));
    }
}

TEST(Nic, failed_fetch_skips_its_descriptors)
{
    const auto generator = make(nic());
    iom_generator_end end{};
    const auto fetch = next(generator);
    EXPECT_EQ(iom_generator_completed(generator.get(), 0, fetch.token, true, &end), IOM_GENERATOR_GOING_ON);
    const auto again = next(generator);
    EXPECT_EQ(again.klass, IOM_TRAFFIC_RING);
    EXPECT_EQ(again.iova, fetch.iova + 64);
}

} // namespace
