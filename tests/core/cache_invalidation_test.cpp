// SPDX-License-Identifier: Apache-2.0
//
// Tests of invalidation: ranges against page sizes, subsets of tag fields, global entries, and that the
// short way for narrow ranges removes what a comparison of every entry would.
#include <gtest/gtest.h>

#include "tests/core/cache_fixture.hpp"

namespace iommu_sim
{
namespace
{

iom_cache_match by_fields(uint32_t fields, const iom_tag &tag)
{
    iom_cache_match match{};
    match.fields = fields;
    match.tag = tag;
    return match;
}

TEST(TagMatches, no_fields_match_everything)
{
    iom_cache_match match{};
    iom_tag tag = tag_of(0x123000);
    EXPECT_TRUE(iom_tag_matches(&tag, &match));
    match.first = 1; // a range without IOM_TAG_ADDRESS means nothing
    match.last = 0;
    EXPECT_TRUE(iom_tag_matches(&tag, &match));
}

TEST(TagMatches, each_field_is_compared_only_when_named)
{
    iom_tag entry = tag_of(0, kWhole, 0, 0);
    for (uint32_t field = IOM_TAG_STREAM; field <= IOM_TAG_LEVEL; field <<= 1) {
        iom_tag other = entry;
        switch (field) {
        case IOM_TAG_STREAM:
            other.stream = 1;
            break;
        case IOM_TAG_SUBSTREAM:
            other.substream = 1;
            break;
        case IOM_TAG_DOMAIN:
            other.domain = 1;
            break;
        case IOM_TAG_ASID:
            other.asid = 1;
            break;
        case IOM_TAG_STAGE:
            other.stage = 1;
            break;
        case IOM_TAG_SECURITY:
            other.security = 1;
            break;
        case IOM_TAG_IOMMU:
            other.iommu = 1;
            break;
        default:
            other.level = 1;
            break;
        }
        iom_cache_match match = by_fields(field, other);
        EXPECT_FALSE(iom_tag_matches(&entry, &match)) << field;
        EXPECT_TRUE(iom_tag_matches(&other, &match)) << field;
        match.fields = (2 * IOM_TAG_LEVEL - 2) & ~field; // all but this and the address
        EXPECT_TRUE(iom_tag_matches(&entry, &match)) << field;
    }
}

TEST(TagMatches, ranges_overlap_by_a_single_byte)
{
    iom_tag entry = tag_of(0x200000, k2M);
    struct {
        uint64_t first, last;
        bool overlap;
    } const cases[] = {
        {0x0, 0x1fffff, false},        {0x0, 0x200000, true},       {0x3fffff, 0x3fffff, true},
        {0x400000, UINT64_MAX, false}, {0x234567, 0x234567, true},  {0x0, UINT64_MAX, true},
        {0x1fffff, 0x400000, true},    {0x300000, 0x2fffff, false}, {UINT64_MAX, 0, false},
    };
    for (const auto &c : cases) {
        iom_cache_match match = range(c.first, c.last);
        EXPECT_EQ(iom_tag_matches(&entry, &match), c.overlap) << std::hex << c.first << ".." << c.last;
    }
    iom_tag top = tag_of(UINT64_C(0xfffffffffffff000)), whole = tag_of(0, kWhole);
    iom_cache_match last_byte = range(UINT64_MAX, UINT64_MAX);
    EXPECT_TRUE(iom_tag_matches(&top, &last_byte));
    EXPECT_TRUE(iom_tag_matches(&whole, &last_byte));
}

TEST(TagMatches, global_entries_follow_the_two_flags)
{
    iom_tag entry = global(tag_of(0x1000, k4K, 1, 5));
    iom_cache_match other_asid = by_fields(IOM_TAG_DOMAIN | IOM_TAG_ASID, tag_of(0, k4K, 1, 6));
    EXPECT_FALSE(iom_tag_matches(&entry, &other_asid));
    other_asid.global_matches = true;
    EXPECT_TRUE(iom_tag_matches(&entry, &other_asid));
    other_asid.keep_global = true;
    EXPECT_FALSE(iom_tag_matches(&entry, &other_asid));
    iom_cache_match other_domain = by_fields(IOM_TAG_DOMAIN | IOM_TAG_ASID, tag_of(0, k4K, 2, 5));
    other_domain.global_matches = true;
    EXPECT_FALSE(iom_tag_matches(&entry, &other_domain));
    iom_tag plain = tag_of(0x1000, k4K, 1, 5);
    other_asid.keep_global = false;
    EXPECT_FALSE(iom_tag_matches(&plain, &other_asid)) << "the flags are for global entries";
}

class CacheInvalidation : public ::testing::TestWithParam<uint32_t> // ways of 64 entries
{
};
INSTANTIATE_TEST_SUITE_P(Ways, CacheInvalidation, ::testing::Values(1, 4, 64));

TEST_P(CacheInvalidation, large_page_goes_by_an_inner_address)
{
    for (unsigned size : {k2M, k1G}) {
        Cache cache(cache_config(64, GetParam()));
        cache.fill(tag_of(UINT64_C(3) << 30, size), 1);
        cache.invalidate(range((UINT64_C(3) << 30) + 0x123456, (UINT64_C(3) << 30) + 0x123456));
        EXPECT_EQ(cache.find(tag_of(UINT64_C(3) << 30)), 0u);
        EXPECT_EQ(cache.valid(), 0u);
    }
}

TEST_P(CacheInvalidation, large_page_goes_by_ranges_that_overlap_either_end)
{
    struct {
        uint64_t first, last;
        bool removed;
    } const cases[] = {
        {0x3ff000, 0x3fffff, false}, {0x3ff000, 0x400fff, true}, {0x5ff000, 0x600fff, true},
        {0x600000, 0x600fff, false}, {0x000000, 0xffffff, true},
    };
    for (const auto &c : cases) {
        Cache cache(cache_config(64, GetParam()));
        cache.fill(tag_of(0x400000, k2M), 1);
        for (uint64_t i = 32; i < 52; i++) // company in other sets, so that short and long search both occur
            cache.fill(tag_of((0x100000 + i) << 12), 2);
        cache.invalidate(range(c.first, c.last));
        EXPECT_EQ(cache.find(tag_of(0x400000)), c.removed ? 0u : 1u) << std::hex << c.first;
        EXPECT_EQ(cache.counts().invalidated, c.removed ? 1u : 0u);
    }
}

TEST_P(CacheInvalidation, range_removes_pages_of_every_size_once)
{
    Cache cache(cache_config(64, GetParam()));
    cache.fill(tag_of(0x40000000, k1G), 1);
    cache.fill(tag_of(0x40400000, k2M), 2);
    cache.fill(tag_of(0x40405000, k4K), 3);
    cache.fill(tag_of(0x40407000, k4K), 4);
    iom_cache_match match = range(0x40405000, 0x40406fff);
    EXPECT_EQ(iom_cache_count_matching(cache.get(), cache.now++, &match), 3u);
    EXPECT_EQ(cache.valid(), 4u) << "counting removes nothing";
    cache.invalidate(match);
    EXPECT_EQ(cache.counts().invalidated, 3u);
    EXPECT_EQ(cache.find(tag_of(0x40407000)), 4u);
    EXPECT_EQ(cache.valid(), 1u);
}

TEST_P(CacheInvalidation, page_range_of_one_domain_leaves_the_others)
{
    // The fields named (domain, address) are fewer than look-ups compare (domain, asid).
    Cache cache(cache_config(64, GetParam()));
    cache.fill(tag_of(0x1000, k4K, 1, 1), 1);
    cache.fill(tag_of(0x2000, k4K, 2, 1), 2);
    cache.fill(tag_of(0x3000, k4K, 1, 2), 3);
    iom_cache_match match = range(0x1000, 0x3fff);
    match.fields |= IOM_TAG_DOMAIN;
    match.tag.domain = 1;
    cache.invalidate(match);
    EXPECT_EQ(cache.find(tag_of(0x1000, k4K, 1, 1)), 0u);
    EXPECT_EQ(cache.find(tag_of(0x2000, k4K, 2, 1)), 2u);
    EXPECT_EQ(cache.find(tag_of(0x3000, k4K, 1, 2)), 0u);
}

TEST_P(CacheInvalidation, by_fields_that_lookups_do_not_compare)
{
    Cache cache(cache_config(64, GetParam()));
    iom_tag one = tag_of(0x1000), two = tag_of(0x2000);
    one.stream = 7;
    two.stream = 8;
    cache.fill(one, 1);
    cache.fill(two, 2);
    cache.invalidate(by_fields(IOM_TAG_STREAM, one));
    EXPECT_EQ(cache.find(one), 0u);
    EXPECT_EQ(cache.find(two), 2u);
}

TEST_P(CacheInvalidation, keep_global_spares_global_entries)
{
    Cache cache(cache_config(64, GetParam()));
    cache.fill(global(tag_of(0x1000)), 1);
    cache.fill(tag_of(0x2000), 2);
    iom_cache_match match{};
    match.keep_global = true;
    cache.invalidate(match);
    EXPECT_EQ(cache.find(tag_of(0x1000)), 1u);
    EXPECT_EQ(cache.find(tag_of(0x2000)), 0u);
    match.keep_global = false;
    cache.invalidate(match);
    EXPECT_EQ(cache.valid(), 0u);
}

TEST_P(CacheInvalidation, global_matches_takes_global_entries_of_other_processes)
{
    for (bool global_matches : {false, true}) {
        Cache cache(cache_config(64, GetParam()));
        cache.fill(global(tag_of(0x1000, k4K, 1, 5)), 1);
        iom_cache_match match = by_fields(IOM_TAG_ASID | IOM_TAG_ADDRESS, tag_of(0, k4K, 1, 6));
        match.first = match.last = 0x1234;
        match.global_matches = global_matches;
        cache.invalidate(match);
        EXPECT_EQ(cache.find(tag_of(0x1000)), global_matches ? 0u : 1u);
    }
}

TEST_P(CacheInvalidation, everything_empties_a_full_cache)
{
    Cache cache(cache_config(64, GetParam()));
    for (uint64_t i = 0; i < 64; i++)
        cache.fill(tag_of(i << 12, k4K), 1 + i);
    EXPECT_EQ(cache.valid(), 64u);
    iom_cache_invalidate_all(cache.get(), cache.now++);
    EXPECT_EQ(cache.valid(), 0u);
    EXPECT_EQ(cache.counts().invalidated, 64u);
    for (uint64_t i = 0; i < 64; i++) {
        EXPECT_EQ(cache.find(tag_of(i << 12)), 0u);
        cache.fill(tag_of(i << 12, k4K), 100 + i);
    }
    EXPECT_EQ(cache.valid(), 64u) << "and it fills again";
}

TEST(CacheInvalidationOrder, two_invalidations_of_one_cycle_remove_an_entry_once)
{
    Cache cache(cache_config(4, 4));
    cache.fill(tag_of(0x1000), 1);
    iom_cache_match match = range(0x1000, 0x1fff);
    iom_cache_invalidate(cache.get(), 10, &match);
    iom_cache_invalidate(cache.get(), 10, &match);
    cache.now = 11;
    EXPECT_EQ(cache.counts().invalidated, 1u);
}

TEST(CacheInvalidationOrder, removing_the_last_of_several_sizes_in_one_go)
{
    // One narrow range takes the last entry of every size, global and not, and spares a neighbour.
    Cache cache(cache_config(64, 64));
    cache.fill(tag_of(0, kWhole), 1);
    cache.fill(tag_of(0, k1G), 2);
    cache.fill(global(tag_of(0, k1G)), 3);
    cache.fill(tag_of(0x200000, k2M), 4);
    cache.fill(global(tag_of(0x200000, k2M)), 5);
    cache.fill(global(tag_of(0x200000, k4K)), 6);
    cache.fill(tag_of(0x205000, k4K), 7);
    cache.invalidate(range(0x200fff, 0x200fff));
    EXPECT_EQ(cache.counts().invalidated, 6u);
    EXPECT_EQ(cache.find(tag_of(0x200000)), 0u);
    EXPECT_EQ(cache.find(tag_of(0x205000)), 7u);
}

TEST(CacheInvalidationRange, whole_address_space_of_the_smallest_pages)
{
    // 2^64 pages of one byte: their number does not fit 64 bits, and nobody could walk them.
    Cache cache(cache_config(4, 4));
    cache.fill(tag_of(0x1234, 0), 1);
    cache.fill(tag_of(UINT64_MAX, 0), 2);
    EXPECT_EQ(cache.find(tag_of(0x1234)), 1u);
    EXPECT_EQ(cache.find(tag_of(0x1235)), 0u);
    cache.invalidate(range(0, UINT64_MAX));
    EXPECT_EQ(cache.counts().invalidated, 2u);
}

TEST(CacheInvalidationRange, pages_of_two_sizes_at_one_address_count_once_each)
{
    // In a cache of two entries some of these pairs share a hash bucket.
    iom_cache_match match = range(0, 0);
    for (unsigned large = 1; large <= 64; large++) {
        for (unsigned small = 0; small < large; small++) {
            Cache cache(cache_config(2, 2));
            cache.fill(tag_of(0, small), 1);
            cache.fill(tag_of(0, large), 2);
            EXPECT_EQ(iom_cache_count_matching(cache.get(), cache.now++, &match), 2u)
                << small << " " << large;
        }
    }
}

} // namespace
} // namespace iommu_sim
