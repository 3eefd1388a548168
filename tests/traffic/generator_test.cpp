// SPDX-License-Identifier: Apache-2.0
//
// Generators: exact sequences where they are fixed, distributions against independent computations
// (fixed seeds, bounds exceeded with probability below 10^-4), and the order of dependent requests under
// random completion.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "traffic/generator.h"

namespace
{

struct Deleter {
    void operator()(iom_generator *generator) const
    {
        iom_generator_destroy(generator);
    }
};
using Generator = std::unique_ptr<iom_generator, Deleter>;

Generator make(const iom_generator_config &config, uint64_t seed = 1)
{
    const char *error = nullptr;
    Generator generator(iom_generator_create(&config, seed, "test", &error));
    EXPECT_NE(generator, nullptr) << error;
    return generator;
}

iom_generator_config stream(iom_generator_kind kind)
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

iom_traffic_request next(const Generator &generator, iom_cycle now = 0)
{
    iom_traffic_request request{};
    EXPECT_TRUE(iom_generator_next(generator.get(), now, true, &request));
    return request;
}

void expect_within_page(const iom_traffic_request &request)
{
    ASSERT_GE(request.bytes, 1u);
    ASSERT_EQ(request.iova / 4096, (request.iova + request.bytes - 1) / 4096);
}

double chi_square(const std::vector<uint64_t> &seen)
{
    uint64_t total = 0;
    for (const uint64_t count : seen)
        total += count;
    const double expected = static_cast<double>(total) / static_cast<double>(seen.size());
    double sum = 0;
    for (const uint64_t count : seen)
        sum += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) / expected;
    return sum;
}

// ---- streams -------------------------------------------------------------------------------------------

TEST(Generator, sequential_walks_the_window_and_wraps)
{
    const auto generator = make(stream(IOM_GENERATOR_SEQUENTIAL));
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t offset = 0; offset < 64 * UINT64_C(4096); offset += 256) {
            const auto request = next(generator);
            ASSERT_EQ(request.iova, 0x10000000 + offset);
            ASSERT_EQ(request.bytes, 256u);
            ASSERT_EQ(request.source, 0x0310u);
            ASSERT_EQ(request.flags, 0);
            ASSERT_TRUE(request.first);
            ASSERT_FALSE(request.more);
        }
    }
}

TEST(Generator, stride_skips_and_wraps_where_the_next_request_does_not_fit)
{
    auto config = stream(IOM_GENERATOR_STRIDED);
    config.window_bytes = 4 * UINT64_C(4096);
    config.stride_bytes = 5000;
    const auto generator = make(config);
    for (const uint64_t offset : {0, 5000, 10000, 15000, 0, 5000})
        EXPECT_EQ(next(generator).iova, config.base_iova + offset);
}

TEST(Generator, requests_are_split_at_pages)
{
    auto config = stream(IOM_GENERATOR_SEQUENTIAL);
    config.request_bytes = 1500;
    config.read_ppm = 0;
    const auto generator = make(config);
    uint64_t expected = config.base_iova;
    unsigned splits = 0;
    for (unsigned operation = 0; operation < 1000; operation++) {
        auto request = next(generator);
        ASSERT_TRUE(request.first);
        if (expected + 1500 > config.base_iova + config.window_bytes)
            expected = config.base_iova;
        uint64_t left = 1500;
        while (true) {
            ASSERT_EQ(request.iova, expected);
            ASSERT_EQ(request.flags, IOM_REQ_WRITE | IOM_REQ_POSTED);
            expect_within_page(request);
            expected += request.bytes;
            left -= request.bytes;
            ASSERT_EQ(request.more, left != 0);
            if (left == 0)
                break;
            splits++;
            ASSERT_TRUE(iom_generator_next(generator.get(), 0, false, &request));
            ASSERT_FALSE(request.first);
        }
        ASSERT_FALSE(iom_generator_next(generator.get(), 0, false, &request));
    }
    // 174 requests fit into the window; of the 63 inner page boundaries one (0x2edb00 = lcm) never
    // falls on the start of a request, so each lies within one of them.
    unsigned per_round = 0;
    for (unsigned i = 0; i < 174; i++)
        per_round += i * 1500 / 4096 != (i * 1500 + 1499) / 4096;
    EXPECT_GE(splits, per_round * 5);
    EXPECT_LE(splits, per_round * 6);
}

TEST(Generator, uniform_covers_all_places_alike)
{
    auto config = stream(IOM_GENERATOR_UNIFORM);
    config.window_bytes = 16 * UINT64_C(4096);
    config.request_bytes = 1024;
    const auto generator = make(config);
    std::vector<uint64_t> seen(64, 0);
    for (unsigned i = 0; i < 64000; i++) {
        const auto request = next(generator);
        ASSERT_EQ(request.iova % 1024, 0u);
        seen.at((request.iova - config.base_iova) / 1024)++;
    }
    EXPECT_LT(chi_square(seen), 112.0); // 63 degrees of freedom
}

TEST(Generator, uniform_respects_alignment_and_bounds)
{
    auto config = stream(IOM_GENERATOR_UNIFORM);
    config.request_bytes = 100;
    config.align_bytes = 64;
    const auto generator = make(config);
    uint64_t lowest = UINT64_MAX, highest = 0;
    bool fresh = true;
    for (unsigned i = 0; i < 100000; i++) {
        const auto request = next(generator);
        expect_within_page(request);
        if (fresh) {
            ASSERT_EQ(request.iova % 64, 0u);
        }
        fresh = !request.more;
        lowest = std::min(lowest, request.iova);
        highest = std::max(highest, request.iova + request.bytes);
    }
    EXPECT_EQ(lowest, config.base_iova);
    EXPECT_LE(highest, config.base_iova + config.window_bytes);
    EXPECT_GT(highest, config.base_iova + config.window_bytes - 128);
}

TEST(Generator, hot_part_gets_its_share)
{
    auto config = stream(IOM_GENERATOR_UNIFORM);
    config.hot_bytes = 3 * UINT64_C(4096);
    config.hot_ppm = 900000;
    const auto generator = make(config);
    std::vector<uint64_t> hot(48, 0), cold(size_t{976}, 0);
    uint64_t hot_total = 0;
    for (unsigned i = 0; i < 200000; i++) {
        const uint64_t slot = (next(generator).iova - config.base_iova) / 256;
        if (slot < 48) {
            hot[slot]++;
            hot_total++;
        } else {
            cold.at(slot - 48)++;
        }
    }
    EXPECT_NEAR(static_cast<double>(hot_total), 180000, 4 * std::sqrt(200000 * 0.9 * 0.1));
    EXPECT_LT(chi_square(hot), 88.0);    // 47 degrees of freedom
    EXPECT_LT(chi_square(cold), 1146.0); // 975 degrees of freedom
}

TEST(Generator, read_share_is_that_of_the_configuration)
{
    for (const uint32_t ppm : {0u, 1u, 300000u, 999999u, IOM_PPM}) {
        auto config = stream(IOM_GENERATOR_SEQUENTIAL);
        config.read_ppm = ppm;
        config.flags = IOM_REQ_EXEC | IOM_REQ_PRIV;
        const auto generator = make(config);
        double reads = 0;
        constexpr double count = 100000;
        for (unsigned i = 0; i < count; i++) {
            const auto request = next(generator);
            const bool write = (request.flags & IOM_REQ_WRITE) != 0;
            reads += !write;
            ASSERT_EQ(request.flags,
                      write ? IOM_REQ_WRITE | IOM_REQ_POSTED | IOM_REQ_PRIV : IOM_REQ_EXEC | IOM_REQ_PRIV);
        }
        const double share = ppm / 1e6;
        if (ppm == 0 || ppm == IOM_PPM) {
            EXPECT_EQ(reads, share * count);
        } else {
            EXPECT_NEAR(reads, share * count, 4 * std::sqrt(count * share * (1 - share)) + 1);
        }
    }
}

TEST(Generator, zipf_pages_have_the_popularity_of_their_rank)
{
    auto config = stream(IOM_GENERATOR_ZIPF);
    config.zipf_exponent_ppm = 1000000;
    const auto generator = make(config);
    std::vector<uint64_t> seen(64, 0);
    std::vector<uint64_t> places(16, 0);
    constexpr unsigned samples = 400000;
    for (unsigned i = 0; i < samples; i++) {
        const uint64_t offset = next(generator).iova - config.base_iova;
        seen.at(offset / 4096)++;
        places.at(offset % 4096 / 256)++;
    }
    EXPECT_LT(chi_square(places), 44.3); // 15 degrees of freedom
    // Pages sorted by frequency against 1/k; neighbours may have changed places, which only lowers the sum.
    std::sort(seen.rbegin(), seen.rend());
    double total = 0;
    for (unsigned k = 1; k <= 64; k++)
        total += 1.0 / k;
    double sum = 0;
    for (unsigned k = 1; k <= 64; k++) {
        const double expected = samples / (k * total);
        sum += (static_cast<double>(seen[k - 1]) - expected) * (static_cast<double>(seen[k - 1]) - expected) /
               expected;
    }
    EXPECT_LT(sum, 113.0);
}

TEST(Generator, zipf_groups_pages_into_blocks_when_there_are_too_many)
{
    auto config = stream(IOM_GENERATOR_ZIPF);
    config.base_iova = 0;
    config.window_bytes =
        (UINT64_C(1) << 33) + 4096; // 2^21 + 1 pages: blocks of 16 KiB, the last of one page
    const auto generator = make(config);
    std::map<uint64_t, unsigned> blocks;
    for (unsigned i = 0; i < 200000; i++) {
        const auto request = next(generator);
        ASSERT_LE(request.iova + request.bytes, config.window_bytes);
        blocks[request.iova / 16384]++;
    }
    unsigned hottest = 0;
    for (const auto &[block, count] : blocks)
        hottest = std::max(hottest, count);
    double total = 0;
    const double items = std::ceil(static_cast<double>(config.window_bytes) / 16384);
    for (uint32_t k = 1; k <= static_cast<uint32_t>(items); k++)
        total += std::pow(k, -0.99);
    EXPECT_NEAR(hottest, 200000 / total, 5 * std::sqrt(200000 / total));
}

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

// ---- dependent kinds: driven with answers in random order -----------------------------------------------

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

iom_generator_config nvme()
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

iom_generator_config nic()
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

// ---- mixtures ----------------------------------------------------------------------------------------

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

// ---- configurations ----------------------------------------------------------------------------------

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
