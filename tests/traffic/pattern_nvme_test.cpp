// SPDX-License-Identifier: Apache-2.0
//
// The NVMe device: one command by hand, then order, sizes and buffers of many under random completion.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/traffic/generator_fixture.hpp"

using namespace generator_fixture;

namespace
{

// One command by hand: the sequence the specification prescribes, with its sizes and addresses.
TEST(Nvme, read_command_step_by_step)
{
    auto config = nvme();
    config.queue_depth = 1;
    config.ring_entries = 2;
    const auto generator = make(config);
    iom_generator_end end{};
    for (unsigned command = 0; command < 5; command++) {
        auto request = next(generator, UINT64_C(100) * command);
        EXPECT_TRUE(request.first);
        EXPECT_EQ(request.iova, config.base_iova + command % 2 * UINT64_C(64)); // submission entry
        EXPECT_EQ(request.bytes, 64u);
        EXPECT_EQ(request.klass, IOM_TRAFFIC_RING);
        EXPECT_EQ(request.flags & IOM_REQ_WRITE, 0);
        iom_traffic_request other{};
        EXPECT_FALSE(iom_generator_next(generator.get(), 0, true, &other))
            << "data before the command is known";
        EXPECT_EQ(iom_generator_completed(generator.get(), 0, request.token, false, &end),
                  IOM_GENERATOR_GOING_ON);
        for (unsigned piece = 0; piece < 16; piece++) {
            request = next(generator);
            EXPECT_EQ(request.iova, config.base_iova + 2 * UINT64_C(4096) + command * UINT64_C(4096) +
                                        piece * UINT64_C(256));
            EXPECT_EQ(request.bytes, 256u);
            EXPECT_EQ(request.klass, IOM_TRAFFIC_DATA);
            EXPECT_EQ(request.flags, IOM_REQ_WRITE | IOM_REQ_POSTED);
            EXPECT_FALSE(request.first);
        }
        for (unsigned piece = 0; piece < 16; piece++) {
            EXPECT_FALSE(iom_generator_next(generator.get(), 0, true, &other))
                << "completion before the data";
            EXPECT_EQ(iom_generator_completed(generator.get(), 0, request.token, false, &end),
                      IOM_GENERATOR_GOING_ON);
        }
        request = next(generator);
        EXPECT_EQ(request.iova, config.base_iova + 4096 + command % 2 * UINT64_C(16)); // completion entry
        EXPECT_EQ(request.bytes, 16u);
        EXPECT_EQ(request.klass, IOM_TRAFFIC_COMPLETION);
        EXPECT_EQ(iom_generator_completed(generator.get(), 100 * command + 50, request.token, false, &end),
                  IOM_GENERATOR_DONE);
        EXPECT_EQ(end.started, 100 * command);
        EXPECT_EQ(end.bytes, 4096u);
    }
}

TEST(Nvme, posted_completion_follows_the_data_at_once)
{
    auto config = nvme();
    config.posted_completion = true;
    const auto generator = make(config);
    iom_generator_end end{};
    const auto fetch = next(generator);
    iom_generator_completed(generator.get(), 0, fetch.token, false, &end);
    for (unsigned piece = 0; piece < 16; piece++)
        EXPECT_EQ(next(generator).klass, IOM_TRAFFIC_DATA);
    EXPECT_EQ(next(generator).klass, IOM_TRAFFIC_COMPLETION);
    for (unsigned answer = 0; answer < 17; answer++) {
        const auto progress = iom_generator_completed(generator.get(), 0, fetch.token, false, &end);
        EXPECT_EQ(progress, answer == 16 ? IOM_GENERATOR_DONE : IOM_GENERATOR_GOING_ON);
    }
}

TEST(Nvme, media_latency_lies_before_the_data_of_a_read_and_behind_that_of_a_write)
{
    for (const bool device_reads : {false, true}) {
        auto config = nvme();
        config.block_bytes = 512;
        config.request_bytes = 512;
        config.media_latency_cycles = 1000;
        config.read_ppm = device_reads ? IOM_PPM : 0;
        const auto generator = make(config);
        iom_generator_end end{};
        iom_traffic_request request = next(generator, 0);
        iom_generator_completed(generator.get(), 10, request.token, false, &end);
        if (device_reads) {
            ASSERT_TRUE(iom_generator_next(generator.get(), 10, false, &request));
            EXPECT_EQ(request.klass, IOM_TRAFFIC_DATA);
            EXPECT_EQ(request.flags & IOM_REQ_WRITE, 0);
            iom_generator_completed(generator.get(), 20, request.token, false, &end);
        }
        const iom_cycle ready = device_reads ? 1020 : 1010;
        EXPECT_EQ(iom_generator_due(generator.get()), ready);
        EXPECT_FALSE(iom_generator_next(generator.get(), ready - 1, false, &request));
        ASSERT_TRUE(iom_generator_next(generator.get(), ready, false, &request));
        EXPECT_EQ(request.klass, device_reads ? IOM_TRAFFIC_COMPLETION : IOM_TRAFFIC_DATA);
        EXPECT_EQ(iom_generator_due(generator.get()), IOM_NEVER);
    }
}

TEST(Nvme, long_transfers_read_their_page_list_first)
{
    auto config = nvme();
    config.block_bytes = 5 * UINT64_C(4096);
    config.request_bytes = 4096;
    config.window_bytes = 4 << 20;
    const auto generator = make(config);
    iom_generator_end end{};
    auto request = next(generator);
    iom_generator_completed(generator.get(), 0, request.token, false, &end);
    request = next(generator);
    EXPECT_EQ(request.klass, IOM_TRAFFIC_RING);
    EXPECT_EQ(request.bytes, 4 * 8u); // entries of all pages but the first
    EXPECT_EQ(request.iova % 4096, 0u);
    iom_generator_completed(generator.get(), 0, request.token, false, &end);
    for (unsigned page = 0; page < 5; page++)
        EXPECT_EQ(next(generator).klass, IOM_TRAFFIC_DATA);
}

TEST(Nvme, order_and_buffers_under_random_completion)
{
    for (const bool posted : {false, true}) {
        for (uint64_t seed = 1; seed <= 6; seed++) {
            auto config = nvme();
            config.queues = 3;
            config.queue_depth = 5;
            config.block_bytes = 3 * 512;
            config.request_bytes = seed % 2 ? 512 : 128;
            config.read_ppm = 400000;
            config.media_latency_cycles = seed * 37;
            config.posted_completion = posted;
            struct Command {
                uint64_t first = UINT64_MAX, bytes = 0, answered = 0;
                bool fetched = false, completion = false, reads = false;
            };
            std::map<uint64_t, Command> commands; // in flight, by token
            uint64_t total = 0, most = 0;
            Player player(config, seed);
            player.play(
                400, 64,
                [&](const iom_traffic_request &request) {
                    Command &command = commands[request.token];
                    most = std::max<uint64_t>(most, commands.size());
                    if (request.first) {
                        ASSERT_EQ(request.klass, IOM_TRAFFIC_RING);
                        ASSERT_EQ(command.bytes, 0u);
                    } else if (request.klass == IOM_TRAFFIC_DATA) {
                        ASSERT_TRUE(command.fetched);
                        ASSERT_FALSE(command.completion);
                        ASSERT_TRUE(command.first == UINT64_MAX ||
                                    request.iova == command.first + command.bytes);
                        command.first = std::min(command.first, request.iova);
                        command.bytes += request.bytes;
                        command.reads = (request.flags & IOM_REQ_WRITE) == 0;
                        for (const auto &[token, other] : commands) {
                            if (token != request.token && other.first != UINT64_MAX) {
                                ASSERT_TRUE(other.first + 1536 <= command.first ||
                                            command.first + 1536 <= other.first);
                            }
                        }
                    } else {
                        ASSERT_EQ(request.klass, IOM_TRAFFIC_COMPLETION);
                        ASSERT_EQ(command.bytes, 1536u);
                        if (command.reads || !posted) {
                            ASSERT_EQ(command.answered, 1536u);
                        }
                        command.completion = true;
                    }
                },
                [&](const iom_traffic_request &request, iom_generator_progress progress,
                    const iom_generator_end &end) {
                    Command &command = commands[request.token];
                    command.fetched = true;
                    if (request.klass == IOM_TRAFFIC_DATA)
                        command.answered += request.bytes;
                    if (progress == IOM_GENERATOR_DONE) {
                        ASSERT_EQ(command.answered, 1536u);
                        ASSERT_EQ(end.bytes, 1536u);
                        total += end.bytes;
                        commands.erase(request.token);
                    }
                });
            EXPECT_EQ(total, 400u * 1536);
            EXPECT_EQ(most, 15u);
        }
    }
}

TEST(Nvme, failures_end_commands)
{
    const auto generator = make(nvme());
    iom_generator_end end{};
    auto request = next(generator);
    EXPECT_EQ(iom_generator_completed(generator.get(), 0, request.token, true, &end), IOM_GENERATOR_ABORTED)
        << "nothing is known of a command that could not be read";
    EXPECT_EQ(end.bytes, 0u);

    request = next(generator);
    iom_generator_completed(generator.get(), 0, request.token, false, &end);
    for (unsigned piece = 0; piece < 16; piece++)
        request = next(generator);
    for (unsigned piece = 0; piece < 16; piece++)
        iom_generator_completed(generator.get(), 0, request.token, piece == 3, &end);
    request = next(generator);
    EXPECT_EQ(request.klass, IOM_TRAFFIC_COMPLETION) << "the error is reported to the host";
    EXPECT_EQ(iom_generator_completed(generator.get(), 0, request.token, false, &end), IOM_GENERATOR_ABORTED);
}

} // namespace
