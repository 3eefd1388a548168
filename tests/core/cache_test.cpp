// SPDX-License-Identifier: Apache-2.0
//
// Tests of core/cache.c against the contract in core/cache.h: configuration errors, identity of entries,
// page sizes, the order of changes within a cycle, observers and counters. Replacement is in
// cache_policy_test.cpp, invalidation in cache_invalidation_test.cpp, random sequences in
// cache_oracle_test.cpp.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/core/cache_fixture.hpp"

namespace iommu_sim
{
namespace
{

struct BadConfig {
    const char *name;
    void (*spoil)(iom_cache_config &);
    const char *error;
};

class CacheConfig : public ::testing::TestWithParam<BadConfig>
{
};

TEST_P(CacheConfig, is_refused_with_a_reason)
{
    iom_cache_config config = cache_config(64, 4);
    ASSERT_EQ(iom_cache_config_error(&config), nullptr);
    GetParam().spoil(config);
    EXPECT_STREQ(iom_cache_config_error(&config), GetParam().error);
    EXPECT_EQ(iom_cache_create(&config, 1, "cache"), nullptr);
}

const BadConfig kBadConfigs[] = {
    {"policy", [](iom_cache_config &c) { c.policy = static_cast<iom_cache_policy>(IOM_POLICY_COUNT); },
     "unknown replacement policy"},
    {"match", [](iom_cache_config &c) { c.match = 1u << 9; }, "match names an unknown tag field"},
    {"index", [](iom_cache_config &c) { c.index = IOM_TAG_STREAM; },
     "index names a tag field that match does not compare"},
    {"too_many", [](iom_cache_config &c) { c.entries = c.ways = IOM_CACHE_MAX_ENTRIES * 2; },
     "more than 2^28 entries"},
    {"no_ways", [](iom_cache_config &c) { c.ways = 0; },
     "ways must be at least 1 (ways = entries is fully associative)"},
    {"remainder", [](iom_cache_config &c) { c.ways = 5; }, "entries is not a multiple of ways"},
    {"more_ways_than_entries", [](iom_cache_config &c) { c.ways = 128; },
     "entries is not a multiple of ways"},
    {"sets", [](iom_cache_config &c) { c.entries = 12; },
     "the number of sets (entries / ways) is not a power of two"},
    {"plru_ways",
     [](iom_cache_config &c) {
         c.entries = c.ways = 12;
         c.policy = IOM_POLICY_PLRU;
     },
     "tree pseudo-LRU needs a number of ways that is a power of two"},
};
INSTANTIATE_TEST_SUITE_P(Bad, CacheConfig, ::testing::ValuesIn(kBadConfigs),
                         [](const auto &test) { return std::string(test.param.name); });

TEST(Cache, no_configuration_is_refused)
{
    EXPECT_STREQ(iom_cache_config_error(nullptr), "no configuration given");
    EXPECT_EQ(iom_cache_create(nullptr, 1, "cache"), nullptr);
}

TEST(Cache, keeps_its_configuration)
{
    Cache cache(cache_config(12, 3, IOM_POLICY_FIFO));
    EXPECT_EQ(iom_cache_config_of(cache.get())->entries, 12u);
    EXPECT_EQ(iom_cache_config_of(cache.get())->ways, 3u);
    EXPECT_EQ(iom_cache_config_of(cache.get())->policy, IOM_POLICY_FIFO);
}

TEST(Cache, of_no_entries_misses_and_drops_fills)
{
    for (int policy = 0; policy < IOM_POLICY_COUNT; policy++) {
        Cache cache(cache_config(0, policy == IOM_POLICY_LRU ? 0 : 4, static_cast<iom_cache_policy>(policy)));
        ASSERT_NE(cache.get(), nullptr);
        EXPECT_EQ(cache.find(tag_of(0)), 0u);
        cache.fill(tag_of(0), 7);
        cache.fill(tag_of(0, kWhole, 0, 0), 8);
        EXPECT_EQ(cache.find(tag_of(0)), 0u);
        EXPECT_EQ(cache.find(iom_tag{}), 0u);
        cache.invalidate(range(0, UINT64_MAX));
        EXPECT_EQ(cache.valid(), 0u);
        EXPECT_EQ(cache.counts().fills, 0u);
    }
}

TEST(Cache, an_all_zero_entry_is_found_only_once_filled)
{
    // The identity of this entry is all zero bits, like the memory of an empty cache.
    iom_cache_config config = cache_config(4, 4);
    config.match = 0;
    Cache cache(config);
    iom_tag zero = tag_of(0, 0, 0, 0);
    EXPECT_EQ(cache.find(zero), 0u);
    cache.fill(zero, 5);
    EXPECT_EQ(cache.find(zero), 5u);
    cache.invalidate(range(0, 0));
    EXPECT_EQ(cache.find(zero), 0u);
}

TEST(Cache, returns_tag_and_payload_as_filled)
{
    Cache cache(cache_config(8, 2));
    iom_tag tag = tag_of(0x5000, k4K, 3, 4);
    tag.stream = 9; // takes no part in look-ups, but is kept
    tag.level = 1;
    cache.fill(tag, 42);
    int32_t slot = cache.probe(tag_of(0x5abc, k4K, 3, 4));
    ASSERT_GE(slot, 0);
    const iom_tag *found = iom_cache_tag(cache.get(), slot);
    EXPECT_EQ(found->address, 0x5000u);
    EXPECT_EQ(found->stream, 9u);
    EXPECT_EQ(found->level, 1u);
    EXPECT_EQ(found->size_log2, k4K);
    const auto *payload = static_cast<const Payload *>(iom_cache_payload(cache.get(), slot));
    EXPECT_EQ(payload->id, 42u);
    EXPECT_EQ(payload->check, ~UINT64_C(42));
}

TEST(Cache, payload_may_be_updated_in_place)
{
    Cache cache(cache_config(8, 2));
    cache.fill(tag_of(0x5000), 1);
    int32_t slot = cache.probe(tag_of(0x5000));
    ASSERT_GE(slot, 0);
    static_cast<Payload *>(iom_cache_payload_mut(cache.get(), slot))->id = 99;
    EXPECT_EQ(cache.find(tag_of(0x5000)), 99u);
}

TEST(Cache, works_without_payload)
{
    iom_cache_config config = cache_config(4, 4);
    config.payload_bytes = 0;
    Cache cache(config);
    iom_tag tag = tag_of(0x1000);
    iom_cache_fill(cache.get(), cache.now++, &tag, nullptr);
    EXPECT_GE(cache.probe(tag), 0);
}

// Identity

TEST(Cache, same_page_of_two_domains_does_not_collide)
{
    for (uint32_t ways : {1u, 4u, 64u}) {
        Cache cache(cache_config(64, ways));
        cache.fill(tag_of(0x7000, k4K, 1), 11);
        EXPECT_EQ(cache.find(tag_of(0x7000, k4K, 2)), 0u);
        if (ways == 1)
            continue; // one way per set: the second would displace the first
        cache.fill(tag_of(0x7000, k4K, 2), 22);
        EXPECT_EQ(cache.find(tag_of(0x7000, k4K, 1)), 11u);
        EXPECT_EQ(cache.find(tag_of(0x7000, k4K, 2)), 22u);
    }
}

TEST(Cache, every_field_of_match_separates_and_no_other)
{
    for (uint32_t field = IOM_TAG_STREAM; field <= IOM_TAG_LEVEL; field <<= 1) {
        iom_cache_config config = cache_config(16, 16);
        config.match = field;
        Cache cache(config);
        cache.fill(tag_of(0x1000, k4K, 0, 0), 1);
        for (uint32_t other = IOM_TAG_STREAM; other <= IOM_TAG_LEVEL; other <<= 1) {
            iom_tag key = tag_of(0x1000, k4K, 0, 0);
            // The highest bit of each field: a narrower comparison would miss it.
            key.stream = other == IOM_TAG_STREAM ? 0x80000000u : 0;
            key.substream = other == IOM_TAG_SUBSTREAM ? 0x80000000u : 0;
            key.domain = other == IOM_TAG_DOMAIN ? 0x80000000u : 0;
            key.asid = other == IOM_TAG_ASID ? 0x80000000u : 0;
            key.stage = other == IOM_TAG_STAGE ? 0x80 : 0;
            key.security = other == IOM_TAG_SECURITY ? 0x80 : 0;
            key.iommu = other == IOM_TAG_IOMMU ? 0x80 : 0;
            key.level = other == IOM_TAG_LEVEL ? 0x80 : 0;
            EXPECT_EQ(cache.find(key), other == field ? 0u : 1u)
                << "match " << field << ", differs " << other;
        }
    }
}

TEST(Cache, size_and_global_flag_of_a_key_are_ignored)
{
    Cache cache(cache_config(16, 4));
    cache.fill(tag_of(0x200000, k2M), 1);
    EXPECT_EQ(cache.find(tag_of(0x212345, 0)), 1u);
    EXPECT_EQ(cache.find(global(tag_of(0x212345, k1G))), 1u);
}

TEST(Cache, global_entry_matches_every_process_of_its_domain)
{
    iom_cache_config config = cache_config(16, 4);
    config.match = IOM_TAG_DOMAIN | IOM_TAG_ASID | IOM_TAG_SUBSTREAM;
    config.index = IOM_TAG_ASID;
    Cache cache(config);
    cache.fill(global(tag_of(0x3000, k4K, 1, 5)), 1);
    for (uint32_t asid = 0; asid < 9; asid++) {
        iom_tag key = tag_of(0x3010, k4K, 1, asid);
        key.substream = 77 + asid;
        EXPECT_EQ(cache.find(key), 1u);
    }
    EXPECT_EQ(cache.find(tag_of(0x3010, k4K, 2, 5)), 0u) << "another domain";
    cache.fill(global(tag_of(0x3000, k4K, 1, 6)), 2);
    EXPECT_EQ(cache.valid(), 1u) << "asid is no part of a global entry's identity";
    EXPECT_EQ(cache.find(tag_of(0x3000, k4K, 1, 5)), 2u);
}

TEST(Cache, own_entry_of_a_process_wins_over_a_global_one_of_the_same_size)
{
    Cache cache(cache_config(16, 16));
    cache.fill(tag_of(0x3000, k4K, 1, 5), 1);
    cache.fill(global(tag_of(0x3000, k4K, 1, 5)), 2);
    EXPECT_EQ(cache.valid(), 2u);
    EXPECT_EQ(cache.find(tag_of(0x3000, k4K, 1, 5)), 1u);
    EXPECT_EQ(cache.find(tag_of(0x3000, k4K, 1, 6)), 2u);
}

// Page sizes

TEST(Cache, large_page_is_found_by_any_inner_address)
{
    for (uint32_t ways : {1u, 4u, 64u}) {
        Cache cache(cache_config(64, ways));
        cache.fill(tag_of(0x40200000, k2M), 1);
        EXPECT_EQ(cache.find(tag_of(0x40200000)), 1u);
        EXPECT_EQ(cache.find(tag_of(0x402fedcb)), 1u);
        EXPECT_EQ(cache.find(tag_of(0x403fffff)), 1u);
        EXPECT_EQ(cache.find(tag_of(0x401fffff)), 0u);
        EXPECT_EQ(cache.find(tag_of(0x40400000)), 0u);
    }
}

TEST(Cache, largest_matching_size_wins)
{
    Cache cache(cache_config(64, 4));
    cache.fill(tag_of(0x40200000, k2M), 2);
    cache.fill(tag_of(0x40201000, k4K), 1);
    cache.fill(global(tag_of(0x40000000, k1G)), 3);
    EXPECT_EQ(cache.find(tag_of(0x40201000)), 3u);
    cache.invalidate(range(0x7fffffff, 0x7fffffff)); // removes the 1 GiB entry alone
    EXPECT_EQ(cache.find(tag_of(0x40201000)), 2u);
}

TEST(Cache, whole_space_entries_are_keyed_by_tag_alone)
{
    iom_cache_config config = cache_config(16, 2);
    config.match = IOM_TAG_STREAM;
    config.index = IOM_TAG_STREAM;
    Cache cache(config);
    // 16 consecutive streams fill 8 sets of 2 exactly: folding spreads consecutive identifiers.
    for (uint32_t stream = 0; stream < 16; stream++) {
        iom_tag tag = tag_of(0, kWhole);
        tag.stream = 0x1200 + stream;
        cache.fill(tag, 1 + stream);
    }
    EXPECT_EQ(cache.counts().evictions, 0u);
    for (uint32_t stream = 0; stream < 16; stream++) {
        iom_tag key = tag_of(0xdeadbeefcafe0000u + stream);
        key.stream = 0x1200 + stream;
        EXPECT_EQ(cache.find(key), 1u + stream);
    }
}

TEST(Cache, without_index_fields_whole_space_entries_share_one_set)
{
    iom_cache_config config = cache_config(16, 2);
    config.match = IOM_TAG_STREAM;
    Cache cache(config);
    for (uint32_t stream = 0; stream < 16; stream++) {
        iom_tag tag = tag_of(0, kWhole);
        tag.stream = stream;
        cache.fill(tag, 1 + stream);
    }
    EXPECT_EQ(cache.valid(), 2u);
}

TEST(Cache, set_is_the_page_number_at_the_entrys_own_size)
{
    Cache cache(cache_config(16, 1)); // direct mapped, 16 sets
    for (unsigned size : {k4K, k2M, k1G}) {
        for (uint64_t page : {UINT64_C(0), UINT64_C(5), UINT64_C(15), UINT64_C(16), UINT64_C(0x1237)}) {
            cache.fill(tag_of(page << size, size), 1);
            EXPECT_EQ(cache.probe(tag_of(page << size)), static_cast<int32_t>(page % 16));
            iom_cache_invalidate_all(cache.get(), cache.now++);
        }
    }
}

// Order within a cycle

TEST(CacheCycle, fill_hits_from_the_next_cycle)
{
    Cache cache(cache_config(4, 4));
    iom_tag tag = tag_of(0x1000);
    Payload payload(1);
    EXPECT_EQ(iom_cache_probe(cache.get(), 10, &tag), IOM_CACHE_MISS);
    iom_cache_fill(cache.get(), 10, &tag, &payload);
    EXPECT_EQ(iom_cache_probe(cache.get(), 10, &tag), IOM_CACHE_MISS);
    EXPECT_EQ(iom_cache_valid_entries(cache.get(), 10), 0u);
    EXPECT_GE(iom_cache_probe(cache.get(), 11, &tag), 0);
}

TEST(CacheCycle, fill_copies_what_it_is_given)
{
    Cache cache(cache_config(4, 4));
    iom_tag tag = tag_of(0x1000);
    Payload payload(1);
    iom_cache_fill(cache.get(), 10, &tag, &payload);
    tag = tag_of(0x2000);
    payload = Payload(2);
    cache.now = 11;
    EXPECT_EQ(cache.find(tag_of(0x1000)), 1u);
    EXPECT_EQ(cache.find(tag_of(0x2000)), 0u);
}

TEST(CacheCycle, probe_in_the_cycle_of_an_invalidation_still_hits)
{
    Cache cache(cache_config(4, 4));
    cache.fill(tag_of(0x1000), 1);
    iom_tag tag = tag_of(0x1000);
    iom_cache_match match = range(0x1000, 0x1fff);
    iom_cache_invalidate(cache.get(), 10, &match);
    EXPECT_GE(iom_cache_probe(cache.get(), 10, &tag), 0);
    EXPECT_EQ(iom_cache_count_matching(cache.get(), 10, &match), 1u);
    EXPECT_EQ(iom_cache_probe(cache.get(), 11, &tag), IOM_CACHE_MISS);
    EXPECT_EQ(iom_cache_count_matching(cache.get(), 11, &match), 0u);
}

TEST(CacheCycle, invalidation_removes_a_fill_of_its_cycle_whatever_the_order_of_calls)
{
    for (bool fill_first : {true, false}) {
        Cache cache(cache_config(4, 4));
        iom_tag hit = tag_of(0x1000), other = tag_of(0x2000);
        iom_cache_match match = range(0x1000, 0x1fff);
        Payload payload(1);
        if (!fill_first)
            iom_cache_invalidate(cache.get(), 10, &match);
        iom_cache_fill(cache.get(), 10, &hit, &payload);
        iom_cache_fill(cache.get(), 10, &other, &payload);
        if (fill_first)
            iom_cache_invalidate(cache.get(), 10, &match);
        EXPECT_EQ(iom_cache_probe(cache.get(), 11, &hit), IOM_CACHE_MISS);
        EXPECT_GE(iom_cache_probe(cache.get(), 11, &other), 0) << "and nothing else";
    }
}

TEST(CacheCycle, fill_after_the_cycle_of_an_invalidation_stays)
{
    Cache cache(cache_config(4, 4));
    iom_cache_match match = range(0x1000, 0x1fff);
    iom_cache_invalidate(cache.get(), 10, &match);
    cache.now = 11;
    cache.fill(tag_of(0x1000), 1);
    EXPECT_EQ(cache.find(tag_of(0x1000)), 1u);
}

TEST(CacheCycle, later_of_two_fills_of_one_identity_wins)
{
    Cache cache(cache_config(4, 4));
    iom_tag tag = tag_of(0x1000);
    Payload first(1), second(2);
    iom_cache_fill(cache.get(), 10, &tag, &first);
    iom_cache_fill(cache.get(), 10, &tag, &second);
    cache.now = 11;
    EXPECT_EQ(cache.valid(), 1u);
    EXPECT_EQ(cache.find(tag), 2u);
    EXPECT_EQ(cache.counts().fills, 2u);
    EXPECT_EQ(cache.counts().refills, 1u);
}

TEST(CacheCycle, touch_counts_before_a_fill_recorded_earlier_in_the_cycle)
{
    Cache cache(cache_config(2, 2));
    cache.fill(tag_of(0x1000), 1);
    cache.fill(tag_of(0x2000), 2);
    iom_tag oldest = tag_of(0x1000), third = tag_of(0x3000);
    Payload payload(3);
    int32_t slot = iom_cache_probe(cache.get(), 10, &oldest);
    iom_cache_fill(cache.get(), 10, &third, &payload);
    iom_cache_touch(cache.get(), 10, slot);
    cache.now = 11;
    EXPECT_EQ(cache.find(oldest), 1u) << "touched, so 0x2000 is the victim";
    EXPECT_EQ(cache.find(tag_of(0x2000)), 0u);
}

TEST(CacheCycle, touch_of_a_later_cycle_counts_after_a_pending_fill)
{
    Cache cache(cache_config(2, 2));
    cache.fill(tag_of(0x1000), 1);
    cache.fill(tag_of(0x2000), 2);
    iom_tag oldest = tag_of(0x1000), third = tag_of(0x3000);
    Payload payload(3);
    int32_t slot = iom_cache_probe(cache.get(), 10, &oldest);
    iom_cache_fill(cache.get(), 10, &third, &payload);
    iom_cache_touch(cache.get(), 11, slot); // the way holds 0x3000 by now
    cache.now = 12;
    EXPECT_EQ(cache.find(oldest), 0u);
    EXPECT_EQ(cache.find(tag_of(0x2000)), 2u);
    EXPECT_EQ(cache.find(third), 3u);
}

TEST(CacheCycle, many_changes_of_one_cycle_are_all_applied)
{
    Cache cache(cache_config(256, 256));
    for (uint64_t page = 0; page < 200; page++) {
        iom_tag tag = tag_of(page << 12);
        Payload payload(page + 1);
        iom_cache_fill(cache.get(), 10, &tag, &payload);
    }
    for (uint64_t page = 0; page < 200; page += 2) {
        iom_cache_match match = range(page << 12, page << 12);
        iom_cache_invalidate(cache.get(), 10, &match);
    }
    cache.now = 11;
    for (uint64_t page = 0; page < 200; page++)
        EXPECT_EQ(cache.find(tag_of(page << 12)), page % 2 ? page + 1 : 0);
}

TEST(CacheCycle, sync_to_never_applies_everything)
{
    Cache cache(cache_config(4, 4));
    cache.fill(tag_of(0x1000), 1);
    iom_cache_sync(cache.get(), IOM_NEVER);
    EXPECT_EQ(iom_cache_counts_of(cache.get())->fills, 1u);
    iom_cache_sync(cache.get(), IOM_NEVER);
    EXPECT_EQ(iom_cache_counts_of(cache.get())->fills, 1u);
}

// Observer and counters

struct Event {
    char what; // f(ill), e(viction or replacement), i(nvalidation)
    uint32_t slot;
    uint64_t address;
    uint64_t id;

    bool operator==(const Event &o) const
    {
        return what == o.what && slot == o.slot && address == o.address && id == o.id;
    }
};

struct Recorder {
    std::vector<Event> events;

    static void filled(void *context, uint32_t slot, const iom_tag *tag, const void *payload)
    {
        static_cast<Recorder *>(context)->events.push_back(
            {'f', slot, tag->address, static_cast<const Payload *>(payload)->id});
    }
    static void dropped(void *context, uint32_t slot, const iom_tag *tag, const void *payload,
                        bool by_invalidation)
    {
        static_cast<Recorder *>(context)->events.push_back(
            {by_invalidation ? 'i' : 'e', slot, tag->address, static_cast<const Payload *>(payload)->id});
    }
};

TEST(CacheObserver, hears_of_every_entry_that_comes_or_goes)
{
    Cache cache(cache_config(2, 2));
    Recorder recorder;
    iom_cache_observer observer{&recorder, Recorder::filled, Recorder::dropped};
    iom_cache_set_observer(cache.get(), &observer);
    observer = {}; // the cache has its own copy
    cache.fill(tag_of(0x1000), 1);
    cache.fill(tag_of(0x2000), 2);
    cache.fill(tag_of(0x1000), 3); // replacement in place: 0x2000 is now the older
    cache.fill(tag_of(0x3000), 4); // evicts 0x2000
    cache.invalidate(range(0x1000, 0x1000));
    cache.invalidate(range(0x9000, 0x9000)); // nothing there
    iom_cache_counts counts = cache.counts();
    std::vector<Event> expected = {
        {'f', 0, 0x1000, 1}, {'f', 1, 0x2000, 2}, {'e', 0, 0x1000, 1}, {'f', 0, 0x1000, 3},
        {'e', 1, 0x2000, 2}, {'f', 1, 0x3000, 4}, {'i', 0, 0x1000, 3},
    };
    EXPECT_EQ(recorder.events.size(), expected.size());
    EXPECT_TRUE(recorder.events == expected);
    EXPECT_EQ(counts.fills, 4u);
    EXPECT_EQ(counts.refills, 1u);
    EXPECT_EQ(counts.evictions, 1u);
    EXPECT_EQ(counts.invalidated, 1u);

    iom_cache_set_observer(cache.get(), nullptr);
    cache.fill(tag_of(0x5000), 5);
    EXPECT_EQ(cache.valid(), 2u);
    EXPECT_EQ(recorder.events.size(), expected.size());
}

TEST(CacheObserver, either_function_may_be_absent)
{
    Cache cache(cache_config(1, 1));
    Recorder recorder;
    iom_cache_observer observer{&recorder, nullptr, Recorder::dropped};
    iom_cache_set_observer(cache.get(), &observer);
    cache.fill(tag_of(0x1000), 1);
    cache.fill(tag_of(0x2000), 2);
    EXPECT_EQ(cache.valid(), 1u);
    ASSERT_EQ(recorder.events.size(), 1u);
    EXPECT_EQ(recorder.events[0].what, 'e');
    observer = {&recorder, Recorder::filled, nullptr};
    iom_cache_set_observer(cache.get(), &observer);
    cache.fill(tag_of(0x3000), 3);
    EXPECT_EQ(cache.valid(), 1u);
    ASSERT_EQ(recorder.events.size(), 2u);
    EXPECT_EQ(recorder.events[1].what, 'f');
}

} // namespace
} // namespace iommu_sim
