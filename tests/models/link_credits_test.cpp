// SPDX-License-Identifier: Apache-2.0
//
// Flow-control credits of a link, from the configuration to the figures of a run.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "models/config/config.h"
#include "models/session.h"

namespace iommu_sim
{
namespace
{

LoadedConfig load(const std::string &link, const std::string &read_fraction)
{
    return load_config_text("devices: [{name: dev0, source_id: 0x20, generator: {kind: sequential, "
                            "window_bytes: 64K, request_bytes: 64, outstanding: 32, read_fraction: " +
                                read_fraction +
                                "}}]\n"
                                "run: {requests: 2000, warmup_requests: 100}\n"
                                "link: {latency_cycles: 100, return_latency_cycles: 50, header_bytes: 24, " +
                                link + "}\n",
                            "test.yaml", {});
}

SessionResult run(const std::string &link, const std::string &read_fraction)
{
    const LoadedConfig loaded = load("bytes_per_cycle: 8" + link, read_fraction);
    if (!loaded.ok())
        throw std::logic_error(loaded.messages());
    System system(loaded.config);
    CoreKernel kernel(system.netlist());
    return run_session(system, kernel, nullptr);
}

uint64_t cycles(const SessionResult &result)
{
    return result.region.last_cycle - result.region.first_cycle;
}

uint64_t value(const SessionResult &result, const char *name)
{
    const StatisticGroup *link = result.region.find("link");
    return link == nullptr ? 0 : link->value(name);
}

TEST(LinkCredits, ThatAreNeverUsedUpChangeNothing)
{
    const SessionResult infinite = run("", "0.5");
    const SessionResult ample =
        run(", upstream: {posted_header_credits: 1000, posted_data_credits: 4000, non_posted_header_credits: "
            "1000}, downstream: {posted_header_credits: 1, posted_data_credits: 1, "
            "completion_header_credits: 1000, completion_data_credits: 4000}",
            "0.5");
    EXPECT_EQ(infinite.region.last_cycle, ample.region.last_cycle);
    EXPECT_EQ(infinite.events, ample.events);
    for (const char *name : {"up_posted_packets", "up_non_posted_packets", "down_completion_packets",
                             "request_bytes", "response_bytes", "credit_waits"})
        EXPECT_EQ(value(infinite, name), value(ample, name)) << name;
    EXPECT_EQ(value(infinite, "credit_waits"), 0u);
    EXPECT_GT(value(infinite, "up_posted_packets"), 0u);
    EXPECT_EQ(value(infinite, "down_posted_packets"), 0u);
}

// A header credit is used once in a round trip: wires, flight (the last cycle of latency_cycles is behind the
// receive buffer), way back.
TEST(LinkCredits, OfWritesBoundTheirRate)
{
    const SessionResult result = run(", upstream: {posted_header_credits: 2}", "0");
    constexpr uint64_t loop = (24 + 64) / 8 + 99 + 50;
    const double expected = 2000 / 2.0 * loop;
    EXPECT_NEAR(static_cast<double>(cycles(result)), expected, 2.0 * loop);
    EXPECT_GT(value(result, "up_posted_credit_waits"), 900u);
}

TEST(LinkCredits, OfDataBoundWritesToo)
{
    const SessionResult result = run(", upstream: {posted_data_credits: 8}", "0"); // two writes of 64 bytes
    constexpr uint64_t loop = (24 + 64) / 8 + 99 + 50;
    EXPECT_NEAR(static_cast<double>(cycles(result)), 2000 / 2.0 * loop, 2.0 * loop);
}

TEST(LinkCredits, OfReadsBoundTheirRate)
{
    const SessionResult result = run(", upstream: {non_posted_header_credits: 2}", "1");
    constexpr uint64_t loop = 24 / 8 + 99 + 50;
    EXPECT_NEAR(static_cast<double>(cycles(result)), 2000 / 2.0 * loop, 2.0 * loop);
    EXPECT_EQ(value(result, "up_posted_credit_waits"), 0u);
}

// The way of a completion's credit is there and back, since its flight lies before the link unit.
TEST(LinkCredits, OfCompletionsBoundReads)
{
    const SessionResult result = run(", downstream: {completion_data_credits: 8}", "1");
    constexpr uint64_t loop = (24 + 64) / 8 + 150;
    EXPECT_NEAR(static_cast<double>(cycles(result)), 2000 / 2.0 * loop, 2.0 * loop);
    EXPECT_GT(value(result, "down_completion_credit_waits"), 900u);
    EXPECT_EQ(value(result, "up_non_posted_credit_waits"), 0u);
}

TEST(LinkCredits, NeedALink)
{
    const LoadedConfig loaded = load("bytes_per_cycle: 0, downstream: {completion_data_credits: 8}", "1");
    ASSERT_FALSE(loaded.ok());
    EXPECT_NE(loaded.messages().find("link.downstream.completion_data_credits: a link without width has no "
                                     "flow control; set bytes_per_cycle"),
              std::string::npos)
        << loaded.messages();
}

} // namespace
} // namespace iommu_sim
