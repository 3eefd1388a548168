// SPDX-License-Identifier: Apache-2.0
//
// The cache engine against the list model of cache_oracle.hpp on long random sequences of probes, touches,
// fills and invalidations. Every probe must give the same slot, every entry must lie in the same way, and
// an observer's picture of the contents must agree with both. All sequences come from the simulator's
// generator with fixed seeds.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "tests/core/cache_fixture.hpp"
#include "tests/core/cache_oracle.hpp"

namespace iommu_sim
{
namespace
{

/// Number of subsets of the tag fields.
constexpr uint64_t kFieldSets = uint64_t{2} * IOM_TAG_LEVEL;

class Duel
{
  public:
    Duel(const iom_cache_config &config, uint64_t seed)
        : config_(config), cache_(config, seed, "iotlb"), oracle_(config, seed, "iotlb"),
          mirror_(config.entries, 0)
    {
        iom_rng_seed(&rng_, seed, "duel");
        iom_cache_observer observer{this, &Duel::filled, &Duel::dropped};
        iom_cache_set_observer(cache_.get(), &observer);
        // As many pages as fit about one and a half times.
        pages_ = 1 + below(2 + config.entries * 3 / 2 / 2);
        domains_ = 1 + static_cast<uint32_t>(below(3));
    }

    void run(unsigned operations)
    {
        for (unsigned i = 0; i < operations && !::testing::Test::HasFailure(); i++) {
            if (below(2) != 0)
                now_ += 1 + below(2);
            step();
            if (below(32) == 0)
                compare_contents();
        }
        now_ += 1;
        compare_contents();
        compare_counts();
    }

    uint64_t hits = 0;
    uint64_t misses = 0;

    const iom_cache_counts &counts() const
    {
        return oracle_.counts;
    }

  private:
    static void filled(void *context, uint32_t slot, const iom_tag *, const void *payload)
    {
        uint64_t &place = static_cast<Duel *>(context)->mirror_.at(slot);
        EXPECT_EQ(place, 0u) << "filled over an entry nobody saw go";
        place = static_cast<const Payload *>(payload)->id;
    }
    static void dropped(void *context, uint32_t slot, const iom_tag *, const void *payload, bool)
    {
        uint64_t &place = static_cast<Duel *>(context)->mirror_.at(slot);
        EXPECT_EQ(place, static_cast<const Payload *>(payload)->id);
        place = 0;
    }

    uint64_t below(uint64_t bound)
    {
        return iom_rng_below(&rng_, bound);
    }

    unsigned random_size()
    {
        static const unsigned sizes[] = {k4K, k4K, k4K, k4K, k2M, k2M, k1G, kWhole};
        return sizes[below(8)];
    }

    // Pages of the small sizes lie at the start of the large ones, a few large pages apart, so sizes nest.
    uint64_t random_address()
    {
        uint64_t address = (below(3) << k1G) + (below(3) << k2M) + (below(pages_) << k4K) + below(4096);
        return below(64) == 0 ? UINT64_MAX - below(8192) : address;
    }

    iom_tag random_tag()
    {
        iom_tag tag = tag_of(random_address(), random_size(), static_cast<uint32_t>(below(domains_)),
                             static_cast<uint32_t>(below(3)));
        tag.stream = static_cast<uint32_t>(below(2) * 0x10001);
        tag.substream = static_cast<uint32_t>(below(2) << 19);
        tag.stage = static_cast<uint8_t>(below(4) == 0);
        tag.global = below(10) == 0;
        return tag;
    }

    iom_cache_match random_match()
    {
        iom_cache_match match{};
        match.tag = random_tag();
        match.fields = static_cast<uint32_t>(below(kFieldSets) & below(kFieldSets));
        match.fields |= below(4) != 0 ? static_cast<uint32_t>(IOM_TAG_ADDRESS) : 0u;
        match.first = random_address();
        static const uint64_t lengths[] = {0, 0xfff, 0x4fff, 0x3fffff, 0x7fffffff};
        match.last = match.first + lengths[below(5)];
        if (match.last < match.first && below(2) != 0)
            match.last = UINT64_MAX;
        match.keep_global = below(4) == 0;
        match.global_matches = below(2) == 0;
        return match;
    }

    void step()
    {
        uint64_t dice = below(1000);
        if (dice < 600) {
            probe();
        } else if (dice < (config_.entries > 64 ? 985u : 940u)) {
            iom_tag tag = random_tag();
            tag.address = iom_align_down(tag.address, tag.size_log2);
            Payload payload(++last_id_);
            iom_cache_fill(cache_.get(), now_, &tag, &payload);
            oracle_.fill(now_, tag, last_id_);
        } else if (dice < 998 || below(1 + config_.entries / 8) != 0) {
            iom_cache_match match = random_match();
            iom_cache_invalidate(cache_.get(), now_, &match);
            oracle_.invalidate(now_, match);
        } else {
            iom_cache_invalidate_all(cache_.get(), now_);
            oracle_.invalidate(now_, iom_cache_match{});
        }
    }

    void probe()
    {
        iom_tag key = random_tag();
        int32_t slot = iom_cache_probe(cache_.get(), now_, &key);
        ASSERT_EQ(slot, oracle_.probe(now_, key));
        if (slot < 0) {
            misses++;
            return;
        }
        hits++;
        EXPECT_EQ(cache_.id_at(slot), oracle_.at(static_cast<uint32_t>(slot)).id);
        const iom_tag *tag = iom_cache_tag(cache_.get(), slot);
        EXPECT_EQ(std::memcmp(tag, &oracle_.at(static_cast<uint32_t>(slot)).tag, sizeof *tag), 0);
        if (below(3) != 0) {
            iom_cache_touch(cache_.get(), now_, slot);
            oracle_.touch(now_, static_cast<uint32_t>(slot));
        }
    }

    void compare_contents()
    {
        iom_cache_sync(cache_.get(), now_);
        oracle_.settle(now_);
        uint32_t valid = 0;
        for (uint32_t slot = 0; slot < config_.entries; slot++) {
            const OracleEntry &entry = oracle_.at(slot);
            EXPECT_EQ(mirror_[slot], entry.valid ? entry.id : 0) << "slot " << slot;
            valid += entry.valid;
        }
        EXPECT_EQ(iom_cache_valid_entries(cache_.get(), now_), valid);
        iom_cache_match match = random_match();
        uint32_t covered = oracle_.count(now_, match);
        EXPECT_EQ(iom_cache_count_matching(cache_.get(), now_, &match), covered);
    }

    void compare_counts()
    {
        const iom_cache_counts *counts = iom_cache_counts_of(cache_.get());
        EXPECT_EQ(counts->fills, oracle_.counts.fills);
        EXPECT_EQ(counts->refills, oracle_.counts.refills);
        EXPECT_EQ(counts->evictions, oracle_.counts.evictions);
        EXPECT_EQ(counts->invalidated, oracle_.counts.invalidated);
    }

    iom_cache_config config_;
    Cache cache_;
    CacheOracle oracle_;
    std::vector<uint64_t> mirror_; // [slot] id, 0 = invalid
    iom_rng rng_{};
    iom_cycle now_ = 0;
    uint64_t last_id_ = 0;
    uint64_t pages_;
    uint32_t domains_;
};

const char *policy_name(iom_cache_policy policy)
{
    static const char *const names[] = {"lru", "plru", "fifo", "random", "srrip"};
    return names[policy];
}

struct Geometry {
    uint32_t entries, ways;
};

class CacheDuel : public ::testing::TestWithParam<std::tuple<iom_cache_policy, Geometry, bool>>
{
};

TEST_P(CacheDuel, agrees_with_the_list_model)
{
    auto [policy, geometry, prefer_invalid] = GetParam();
    iom_cache_config config = cache_config(geometry.entries, geometry.ways, policy);
    config.prefer_invalid = prefer_invalid;
    config.plru_touch_on_fill = prefer_invalid;
    config.index = geometry.ways == 4 ? IOM_TAG_DOMAIN | IOM_TAG_ASID : 0u;
    ASSERT_EQ(iom_cache_config_error(&config), nullptr);
    Duel duel(config, 1000 + geometry.entries * 7 + geometry.ways);
    duel.run(4000 + 40 * geometry.entries);
    // The sequence must have exercised what it claims to.
    EXPECT_GT(duel.hits, 50u);
    EXPECT_GT(duel.misses, 50u);
    EXPECT_GT(duel.counts().evictions, 0u);
    EXPECT_GT(duel.counts().refills, 0u);
    EXPECT_GT(duel.counts().invalidated, 0u);
}

const Geometry kGeometries[] = {{1, 1},  {2, 2},   {3, 3},   {4, 4},   {8, 8},     {16, 1},   {64, 4},
                                {24, 3}, {32, 16}, {48, 48}, {64, 64}, {100, 100}, {128, 128}};
INSTANTIATE_TEST_SUITE_P(All, CacheDuel,
                         ::testing::Combine(::testing::Values(IOM_POLICY_LRU, IOM_POLICY_FIFO,
                                                              IOM_POLICY_RANDOM, IOM_POLICY_SRRIP),
                                            ::testing::ValuesIn(kGeometries), ::testing::Bool()),
                         [](const auto &test) {
                             const Geometry &geometry = std::get<1>(test.param);
                             return std::string(policy_name(std::get<0>(test.param))) + "_" +
                                    std::to_string(geometry.entries) + "x" + std::to_string(geometry.ways) +
                                    (std::get<2>(test.param) ? "_invalid_first" : "");
                         });

const Geometry kTreeGeometries[] = {{1, 1},  {2, 2},   {4, 4},   {8, 8},    {16, 1},
                                    {64, 4}, {32, 16}, {64, 64}, {128, 128}};
INSTANTIATE_TEST_SUITE_P(Tree, CacheDuel,
                         ::testing::Combine(::testing::Values(IOM_POLICY_PLRU),
                                            ::testing::ValuesIn(kTreeGeometries), ::testing::Bool()),
                         [](const auto &test) {
                             const Geometry &geometry = std::get<1>(test.param);
                             return "plru_" + std::to_string(geometry.entries) + "x" +
                                    std::to_string(geometry.ways) +
                                    (std::get<2>(test.param) ? "_touching" : "");
                         });

iom_cache_config random_config(iom_rng *rng)
{
    iom_cache_config config{};
    config.policy = static_cast<iom_cache_policy>(iom_rng_below(rng, IOM_POLICY_COUNT));
    uint32_t sets = 1u << iom_rng_below(rng, 5);
    config.ways = config.policy == IOM_POLICY_PLRU ? 1u << iom_rng_below(rng, 5)
                                                   : 1 + static_cast<uint32_t>(iom_rng_below(rng, 20));
    config.entries = iom_rng_below(rng, 30) == 0 ? 0 : sets * config.ways;
    config.prefer_invalid = iom_rng_below(rng, 2) != 0;
    config.plru_touch_on_fill = iom_rng_below(rng, 2) != 0;
    config.match = static_cast<uint32_t>(iom_rng_below(rng, kFieldSets));
    config.index = config.match & static_cast<uint32_t>(iom_rng_below(rng, kFieldSets));
    config.payload_bytes = sizeof(Payload);
    return config;
}

TEST(CacheFuzz, random_configurations_agree_with_the_list_model)
{
    iom_rng rng;
    iom_rng_seed(&rng, 20, "configurations");
    for (unsigned round = 0; round < 300 && !HasFailure(); round++) {
        iom_cache_config config = random_config(&rng);
        ASSERT_EQ(iom_cache_config_error(&config), nullptr);
        SCOPED_TRACE(std::string("round ") + std::to_string(round) + ": " + policy_name(config.policy) + " " +
                     std::to_string(config.entries) + "x" + std::to_string(config.ways) + " match " +
                     std::to_string(config.match) + " index " + std::to_string(config.index));
        Duel duel(config, round);
        duel.run(400);
    }
}

} // namespace
} // namespace iommu_sim
