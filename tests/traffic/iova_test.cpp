// SPDX-License-Identifier: Apache-2.0
//
// Address allocation against an independent model: Linux' search written down as the walk over neighbouring
// ranges that it is, and its magazines as plain vectors.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/rng.h"
#include "traffic/iova.h"

namespace
{

constexpr uint64_t page = 4096;
constexpr uint64_t low_end = UINT64_C(1) << 20; // pages below 4 GiB

struct Free {
    void operator()(iom_iova *iova) const
    {
        iom_iova_destroy(iova);
    }
};
using Allocator = std::unique_ptr<iom_iova, Free>;

Allocator make(const iom_iova_config &config)
{
    return Allocator(iom_iova_create(&config));
}

uint64_t take(const Allocator &iova, uint64_t bytes, uint32_t cpu = 0)
{
    uint64_t address = 0;
    return iom_iova_take(iova.get(), cpu, bytes, &address) ? address : UINT64_MAX;
}

// ---- the model ---------------------------------------------------------------------------------------

uint64_t round_up(uint64_t pages)
{
    uint64_t size = 1;
    while (size < pages)
        size *= 2;
    return size;
}

// Ranges by first page; the walk goes down neighbour by neighbour.
class Tree
{
  public:
    explicit Tree(uint64_t first_page) : first(first_page)
    {
        ranges[UINT64_MAX] = UINT64_MAX; // the anchor
    }

    std::optional<uint64_t> take(uint64_t pages, uint64_t limit)
    {
        const bool low = limit <= low_end;
        if (low && pages >= failed)
            return std::nullopt;
        const uint64_t cached = low ? recent_low : recent;
        const uint64_t cached_last = ranges.at(cached);
        auto found = walk(ranges.find(cached), pages, limit, first);
        if (!found && cached_last < limit)
            found = walk(std::prev(ranges.end()), pages, limit, std::max(cached_last + 1, first));
        if (!found) {
            if (low)
                failed = pages;
            return std::nullopt;
        }
        ranges[*found] = *found + pages - 1;
        (*found + pages - 1 < low_end ? recent_low : recent) = *found;
        return found;
    }

    void give(uint64_t at)
    {
        const auto range = ranges.find(at);
        const uint64_t above = std::next(range)->first;
        if (at == recent_low || (range->second < low_end && at >= recent_low))
            recent_low = above;
        if (at < low_end)
            failed = low_end;
        if (at >= recent)
            recent = above;
        ranges.erase(range);
    }

    uint64_t count() const
    {
        return ranges.size() - 1;
    }

  private:
    using Ranges = std::map<uint64_t, uint64_t>;

    std::optional<uint64_t> walk(Ranges::iterator from, uint64_t pages, uint64_t limit, uint64_t lowest)
    {
        const uint64_t mask = ~(round_up(pages) - 1);
        uint64_t high = limit;
        for (auto at = from;; --at) {
            high = std::min(high, at->first);
            if (high < pages)
                return std::nullopt;
            const uint64_t place = (high - pages) & mask;
            if (place < lowest)
                return std::nullopt;
            if (at == ranges.begin() || place > std::prev(at)->second)
                return place;
        }
    }

    Ranges ranges;
    uint64_t first, failed = low_end;
    uint64_t recent = UINT64_MAX, recent_low = UINT64_MAX;
};

// One size, any number of CPUs.
class Magazines
{
  public:
    Magazines(Tree &ranges, size_t cpus, size_t size) : tree(ranges), shelf(cpus), full(size)
    {
    }

    std::optional<uint64_t> take(size_t cpu)
    {
        auto &[loaded, previous] = shelf[cpu];
        if (loaded.empty()) {
            if (!previous.empty()) {
                std::swap(loaded, previous);
            } else if (!depot.empty()) {
                loaded = depot.back();
                depot.pop_back();
            } else {
                return std::nullopt;
            }
        }
        const uint64_t at = loaded.back();
        loaded.pop_back();
        return at;
    }

    void give(size_t cpu, uint64_t at)
    {
        auto &[loaded, previous] = shelf[cpu];
        if (loaded.size() == full) {
            if (previous.size() != full) {
                std::swap(loaded, previous);
            } else {
                if (depot.size() < 32) {
                    depot.push_back(loaded);
                } else {
                    for (uint64_t range : loaded)
                        tree.give(range);
                }
                loaded.clear();
            }
        }
        loaded.push_back(at);
    }

  private:
    Tree &tree;
    std::vector<std::array<std::vector<uint64_t>, 2>> shelf;
    std::vector<std::vector<uint64_t>> depot;
    size_t full;
};

// ---- values of Linux ---------------------------------------------------------------------------------

TEST(Iova, begins_below_4_gib_and_goes_down)
{
    const Allocator iova = make({});
    EXPECT_EQ(take(iova, page), 0xfffff000u);
    EXPECT_EQ(take(iova, page), 0xffffe000u);
    EXPECT_EQ(take(iova, 2 * page), 0xffffc000u);
    EXPECT_EQ(take(iova, 1), 0xffffb000u);
}

TEST(Iova, ranges_are_aligned_to_their_rounded_size)
{
    const Allocator iova = make({});
    EXPECT_EQ(take(iova, page), 0xfffff000u);
    EXPECT_EQ(take(iova, 32 * page), 0xfffc0000u);  // not 0xfffdf000
    EXPECT_EQ(take(iova, 3 * page), 0xfffbc000u);   // rounded to 4 pages for the magazines
    EXPECT_EQ(take(iova, 100 * page), 0xfff00000u); // 100 pages, aligned to 128
    EXPECT_EQ(take(iova, page), 0xffeff000u);       // below the last one, not into the gap above it
}

TEST(Iova, what_was_released_last_comes_back_first)
{
    const Allocator iova = make({});
    const uint64_t a = take(iova, page), b = take(iova, page), c = take(iova, page);
    iom_iova_give(iova.get(), 0, b, page);
    iom_iova_give(iova.get(), 0, a, page);
    EXPECT_EQ(take(iova, page), a);
    EXPECT_EQ(take(iova, page), b);
    EXPECT_EQ(take(iova, page), c - page);
    EXPECT_EQ(iom_iova_stats_of(iova.get())->magazine_hits, 2u);
}

TEST(Iova, magazines_belong_to_a_cpu)
{
    iom_iova_config config{};
    config.cpus = 2;
    const Allocator iova = make(config);
    const uint64_t a = take(iova, page, 0);
    iom_iova_give(iova.get(), 1, a, page);
    EXPECT_EQ(take(iova, page, 0), a - page);
    EXPECT_EQ(take(iova, page, 1), a);
}

TEST(Iova, full_magazines_go_to_the_depot_and_then_to_the_tree)
{
    iom_iova_config config{};
    config.cpus = 2;
    config.magazine_entries = 4;
    config.depot_magazines = 2;
    const Allocator iova = make(config);
    std::vector<uint64_t> ranges;
    for (unsigned i = 0; i < 24; i++)
        ranges.push_back(take(iova, page));
    for (unsigned i = 0; i < 16; i++)
        iom_iova_give(iova.get(), 0, ranges[i], page);
    const iom_iova_stats &stats = *iom_iova_stats_of(iova.get());
    EXPECT_EQ(stats.depot_puts, 2u); // two magazines on the shelf, two in the depot
    EXPECT_EQ(iom_iova_ranges(iova.get()), 24u);
    iom_iova_give(iova.get(), 0, ranges[16], page);
    EXPECT_EQ(stats.depot_overflows, 1u);
    EXPECT_EQ(iom_iova_ranges(iova.get()), 20u);
    // The other CPU finds its own magazines empty and takes one of the depot.
    EXPECT_EQ(take(iova, page, 1), ranges[11]);
    EXPECT_EQ(stats.depot_gets, 1u);
}

TEST(Iova, large_ranges_bypass_the_magazines)
{
    const Allocator iova = make({});
    const uint64_t a = take(iova, 33 * page);
    iom_iova_give(iova.get(), 0, a, 33 * page);
    EXPECT_EQ(iom_iova_ranges(iova.get()), 0u);
    const uint64_t b = take(iova, 32 * page);
    iom_iova_give(iova.get(), 0, b, 32 * page);
    EXPECT_EQ(iom_iova_ranges(iova.get()), 1u);
}

TEST(Iova, leaves_the_low_4_gib_once_they_are_full)
{
    iom_iova_config config{};
    config.first = (UINT64_C(1) << 32) - 4 * page;
    const Allocator iova = make(config);
    for (unsigned i = 1; i <= 4; i++)
        EXPECT_EQ(take(iova, page), (UINT64_C(1) << 32) - i * page);
    EXPECT_EQ(take(iova, page), (UINT64_C(1) << 48) - page);
    EXPECT_EQ(take(iova, page), (UINT64_C(1) << 48) - 2 * page);
    EXPECT_EQ(iom_iova_stats_of(iova.get())->failures, 0u);
}

TEST(Iova, frees_its_magazines_before_it_gives_up)
{
    iom_iova_config config{};
    config.first = page;
    config.last = 9 * page - 1; // 8 pages
    const Allocator iova = make(config);
    std::vector<uint64_t> ranges;
    for (unsigned i = 0; i < 8; i++)
        ranges.push_back(take(iova, page));
    EXPECT_EQ(take(iova, page), UINT64_MAX);
    for (uint64_t range : ranges)
        iom_iova_give(iova.get(), 0, range, page);
    EXPECT_EQ(take(iova, 4 * page), 4 * page);
    EXPECT_EQ(iom_iova_stats_of(iova.get())->failures, 1u);
}

TEST(Iova, reserved_ranges_are_never_given_out)
{
    const Allocator iova = make({});
    EXPECT_TRUE(iom_iova_reserve(iova.get(), 0xfee00000, 0x100000));
    EXPECT_FALSE(iom_iova_reserve(iova.get(), 0xfeeff000, 0x2000));
    for (unsigned i = 0; i < 0x1200; i++) {
        const uint64_t at = take(iova, page);
        EXPECT_TRUE(at < 0xfee00000 || at >= 0xfef00000) << std::hex << at;
    }
}

TEST(Iova, refuses_unusable_limits)
{
    iom_iova_config config{};
    config.first = 0x10000;
    config.last = 0xffff;
    EXPECT_EQ(iom_iova_create(&config), nullptr);
    const Allocator iova = make({});
    EXPECT_EQ(take(iova, 0), UINT64_MAX);
}

// ---- random sequences against the model --------------------------------------------------------------

struct Held {
    uint64_t at, pages;
};

void compare_tree(uint64_t seed, uint64_t first, uint64_t last, bool low)
{
    iom_iova_config config{};
    config.first = first * page;
    config.last = (last + 1) * page - 1;
    config.no_magazines = true;
    config.no_low_first = !low;
    const Allocator iova = make(config);
    Tree tree(first);
    bool low_first = low;
    std::vector<Held> held;
    iom_rng rng;
    iom_rng_seed(&rng, seed, "iova_test");
    for (unsigned i = 0; i < 4000; i++) {
        if (!held.empty() && iom_rng_below(&rng, 100) < 47) {
            const size_t which = iom_rng_below(&rng, held.size());
            iom_iova_give(iova.get(), 0, held[which].at * page, held[which].pages * page);
            tree.give(held[which].at);
            held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
            continue;
        }
        uint64_t pages = 1 + iom_rng_below(&rng, iom_rng_below(&rng, 4) == 0 ? 200 : 8);
        const uint64_t kept = pages < 32 ? round_up(pages) : pages;
        std::optional<uint64_t> expected;
        if (low_first && last + 1 > low_end) {
            expected = tree.take(kept, low_end);
            low_first = expected.has_value();
        }
        if (!expected)
            expected = tree.take(kept, last + 1);
        ASSERT_EQ(take(iova, pages * page), expected ? *expected * page : UINT64_MAX) << "call " << i;
        if (expected)
            held.push_back({*expected, pages});
    }
    EXPECT_EQ(iom_iova_ranges(iova.get()), tree.count());
}

TEST(Iova, tree_is_the_walk_of_linux)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        compare_tree(seed, 1, (UINT64_C(1) << 36) - 1, true); // all of the address space
        compare_tree(seed, 1, 2000, true);                    // crowded: failures and retries
        compare_tree(seed, low_end - 700, low_end + 3000, true);
        compare_tree(seed, low_end - 700, low_end + 3000, false);
    }
}

TEST(Iova, magazines_are_those_of_linux)
{
    constexpr size_t cpus = 3, entries = 8;
    iom_iova_config config{};
    config.cpus = cpus;
    config.magazine_entries = entries;
    const Allocator iova = make(config);
    Tree tree(1);
    Magazines magazines(tree, cpus, entries);
    std::vector<uint64_t> held;
    iom_rng rng;
    iom_rng_seed(&rng, 7, "iova_test");
    for (unsigned i = 0; i < 20000; i++) {
        const auto cpu = static_cast<uint32_t>(iom_rng_below(&rng, cpus));
        // Waves, so that shelves and depot fill and empty.
        const uint64_t release = (i / 1500) % 2 == 0 ? 30 : 75;
        if (!held.empty() && iom_rng_below(&rng, 100) < release) {
            const size_t which = iom_rng_below(&rng, held.size());
            iom_iova_give(iova.get(), cpu, held[which] * page, page);
            magazines.give(cpu, held[which]);
            held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
            continue;
        }
        std::optional<uint64_t> expected = magazines.take(cpu);
        if (!expected)
            expected = tree.take(1, low_end);
        ASSERT_TRUE(expected);
        ASSERT_EQ(take(iova, page, cpu), *expected * page) << "call " << i;
        held.push_back(*expected);
    }
    EXPECT_EQ(iom_iova_ranges(iova.get()), tree.count());
    EXPECT_GT(iom_iova_stats_of(iova.get())->depot_gets, 0u);
    EXPECT_GT(iom_iova_stats_of(iova.get())->depot_overflows, 0u);
}

} // namespace
