// SPDX-License-Identifier: Apache-2.0
//
// The miss table (core/miss_table.h) against a list that is searched from end to end.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <vector>

#include "core/miss_table.h"
#include "core/rng.h"

namespace
{

constexpr uint32_t fields = IOM_TAG_ADDRESS | IOM_TAG_STREAM | IOM_TAG_DOMAIN;

struct Expected {
    uint8_t what;
    uint64_t page;
    uint32_t stream, domain;
    bool poisoned;
    iom_dma *primary;
    std::vector<iom_dma *> merged;
};

class Table
{
  public:
    Table(uint32_t capacity, uint32_t merges)
    {
        EXPECT_TRUE(iom_miss_table_init(&table, capacity, merges));
    }
    ~Table()
    {
        iom_miss_table_free(&table);
    }
    Table(const Table &) = delete;
    Table &operator=(const Table &) = delete;
    iom_miss_table table = {};
};

iom_tag key_of(uint64_t address, uint32_t stream, uint32_t domain)
{
    iom_tag key = {};
    key.address = address;
    key.stream = stream;
    key.domain = domain;
    return key;
}

bool same(const Expected &e, uint8_t what, const iom_tag &key)
{
    return e.what == what && e.page == key.address >> 12 && e.stream == key.stream && e.domain == key.domain;
}

void expect_entry(const iom_miss &entry, const Expected &e)
{
    ASSERT_TRUE(entry.used);
    ASSERT_EQ(entry.primary, e.primary);
    ASSERT_EQ(entry.poisoned, e.poisoned);
    ASSERT_EQ(entry.merged, e.merged.size());
    const iom_msg *msg = entry.first == nullptr ? nullptr : &entry.first->msg;
    for (iom_dma *dma : e.merged) {
        ASSERT_EQ(msg, &dma->msg);
        msg = msg->next;
    }
    ASSERT_EQ(msg, nullptr);
}

TEST(MissTable, agrees_with_a_list_on_random_operations)
{
    for (uint32_t capacity : {1u, 2u, 7u, 64u, 65u, 200u}) {
        const uint32_t merges = capacity % 4;
        iom_rng rng;
        iom_rng_seed(&rng, capacity, "miss table");
        Table t(capacity, merges);
        std::map<int32_t, Expected> model;
        std::deque<iom_dma> requests;
        for (int step = 0; step < 6000; step++) {
            const uint8_t what = static_cast<uint8_t>(iom_rng_below(&rng, 3));
            const iom_tag key = key_of(
                iom_rng_below(&rng, uint64_t{8} * capacity) << 10, // four addresses to a page
                static_cast<uint32_t>(iom_rng_below(&rng, 2)), static_cast<uint32_t>(iom_rng_below(&rng, 2)));
            const uint64_t dice = iom_rng_below(&rng, 10);
            if (dice < 6) { // look up; join or allocate
                int32_t expected = -1;
                uint32_t candidates = 0;
                for (const auto &[index, e] : model) {
                    if (!e.poisoned && same(e, what, key)) {
                        expected = index;
                        candidates++;
                    }
                }
                ASSERT_LE(candidates, 1u);
                const int32_t found = iom_miss_table_find(&t.table, what, &key, fields);
                ASSERT_EQ(found, expected) << "capacity " << capacity << " step " << step;
                requests.emplace_back();
                if (found >= 0) {
                    Expected &e = model[found];
                    const bool room = e.merged.size() < merges;
                    ASSERT_EQ(iom_miss_table_merge(&t.table, found, &requests.back()), room);
                    if (room)
                        e.merged.push_back(&requests.back());
                } else {
                    const int32_t index =
                        iom_miss_table_allocate(&t.table, what, &key, fields, &requests.back());
                    ASSERT_EQ(index >= 0, model.size() < capacity);
                    if (index >= 0) {
                        ASSERT_EQ(model.count(index), 0u) << "an entry in use was given out";
                        ASSERT_LT(static_cast<uint32_t>(index), capacity);
                        model[index] = {what,  key.address >> 12, key.stream, key.domain,
                                        false, &requests.back(),  {}};
                    }
                }
            } else if (dice < 9 && !model.empty()) { // a walk is over
                auto victim = model.begin();
                std::advance(victim, static_cast<ptrdiff_t>(iom_rng_below(&rng, model.size())));
                expect_entry(t.table.entries[victim->first], victim->second);
                iom_miss_table_release(&t.table, victim->first);
                model.erase(victim);
            } else { // an invalidation of a domain
                iom_cache_match match = {};
                match.fields = IOM_TAG_DOMAIN;
                match.tag.domain = key.domain;
                uint32_t expected = 0;
                for (auto &[index, e] : model) {
                    if (e.what == what && !e.poisoned && e.domain == key.domain) {
                        e.poisoned = true;
                        expected++;
                    }
                }
                ASSERT_EQ(iom_miss_table_poison(&t.table, what, &match, fields), expected);
            }
            ASSERT_EQ(t.table.used, model.size());
        }
        for (const auto &[index, e] : model)
            expect_entry(t.table.entries[index], e);
    }
}

// What is not known yet counts as matching, what is known does not match another value.
TEST(MissTable, unknown_tags_match_every_invalidation)
{
    struct Try {
        uint32_t match_fields, known;
        uint32_t poisoned;
    };
    for (const Try &t : {Try{IOM_TAG_DOMAIN, IOM_TAG_DOMAIN, 0}, Try{IOM_TAG_DOMAIN, IOM_TAG_STREAM, 1},
                         Try{IOM_TAG_STREAM, IOM_TAG_STREAM | IOM_TAG_DOMAIN, 0}, Try{IOM_TAG_STREAM, 0, 1},
                         Try{IOM_TAG_DOMAIN | IOM_TAG_STREAM, IOM_TAG_STREAM, 0},
                         Try{IOM_TAG_ASID, IOM_TAG_STREAM, 1}, Try{0, fields, 1}}) {
        Table table(4, 1);
        iom_dma dma = {};
        const iom_tag key = key_of(0x5000, 3, 4);
        ASSERT_GE(iom_miss_table_allocate(&table.table, IOM_LOOKUP_IOTLB, &key, fields, &dma), 0);
        iom_cache_match match = {};
        match.fields = t.match_fields;
        match.tag = key_of(0x5000, 30, 40);
        match.tag.asid = 9;
        EXPECT_EQ(iom_miss_table_poison(&table.table, IOM_LOOKUP_CONTEXT, &match, t.known), 0u)
            << "another look-up";
        EXPECT_EQ(iom_miss_table_poison(&table.table, IOM_LOOKUP_IOTLB, &match, t.known), t.poisoned);
        EXPECT_EQ(iom_miss_table_find(&table.table, IOM_LOOKUP_IOTLB, &key, fields),
                  t.poisoned != 0 ? -1 : 0);
    }
}

// Where only pages have changed, a walk of another 4 KiB page goes on; whether the page it brings was reached
// is known by its size.
TEST(MissTable, a_range_poisons_its_pages_and_makes_others_doubtful)
{
    Table t(4, 1);
    iom_dma dma = {};
    const iom_tag inside = key_of(0x5abc, 3, 4), outside = key_of(0x9000, 3, 4),
                  stranger = key_of(0x5000, 3, 5);
    const int32_t a = iom_miss_table_allocate(&t.table, IOM_LOOKUP_IOTLB, &inside, fields, &dma);
    const int32_t b = iom_miss_table_allocate(&t.table, IOM_LOOKUP_IOTLB, &outside, fields, &dma);
    const int32_t c = iom_miss_table_allocate(&t.table, IOM_LOOKUP_IOTLB, &stranger, fields, &dma);
    iom_cache_match match = {};
    match.fields = IOM_TAG_DOMAIN | IOM_TAG_ADDRESS;
    match.tag.domain = 4;
    match.first = 0x5000;
    match.last = 0x5fff;
    EXPECT_EQ(iom_miss_table_poison_pages(&t.table, IOM_LOOKUP_IOTLB, &match, fields), 1u);
    EXPECT_TRUE(t.table.entries[a].poisoned);
    EXPECT_FALSE(t.table.entries[b].poisoned);
    EXPECT_FALSE(t.table.entries[c].doubtful);
    iom_tag filled = key_of(0x9000, 3, 4);
    filled.size_log2 = 12;
    EXPECT_FALSE(iom_miss_spoiled(&t.table.entries[b], &filled));
    filled.address = 0;
    filled.size_log2 = 21;
    EXPECT_TRUE(iom_miss_spoiled(&t.table.entries[b], &filled));
    // A second range: the hull of both counts.
    match.first = 0x40000;
    match.last = 0x40fff;
    EXPECT_EQ(iom_miss_table_poison_pages(&t.table, IOM_LOOKUP_IOTLB, &match, fields), 0u);
    filled.address = 0x8000;
    filled.size_log2 = 15;
    EXPECT_TRUE(iom_miss_spoiled(&t.table.entries[b], &filled));
    EXPECT_EQ(iom_miss_table_poison(&t.table, IOM_LOOKUP_IOTLB, &match, fields), 1u)
        << "whatever the address";
    EXPECT_TRUE(t.table.entries[b].poisoned);
    // An entry starts without doubts.
    iom_miss_table_release(&t.table, b);
    const int32_t again = iom_miss_table_allocate(&t.table, IOM_LOOKUP_IOTLB, &outside, fields, &dma);
    EXPECT_FALSE(t.table.entries[again].doubtful);
}

// A global entry falls under an invalidation of any address space that takes global entries along; a walk
// does not know yet whether it will bring one.
TEST(MissTable, an_entry_that_may_become_global_is_poisoned)
{
    Table t(4, 1);
    iom_dma dma = {};
    iom_tag key = key_of(0x5000, 3, 4);
    key.substream = 1;
    const uint32_t known = fields | IOM_TAG_SUBSTREAM;
    iom_miss_table_allocate(&t.table, IOM_LOOKUP_IOTLB, &key, known, &dma);
    iom_cache_match match = {};
    match.fields = IOM_TAG_DOMAIN | IOM_TAG_SUBSTREAM;
    match.tag = key_of(0, 0, 4);
    match.tag.substream = 2;
    EXPECT_EQ(iom_miss_table_poison(&t.table, IOM_LOOKUP_IOTLB, &match, known), 0u);
    match.global_matches = true;
    EXPECT_EQ(iom_miss_table_poison(&t.table, IOM_LOOKUP_IOTLB, &match, known), 1u);
}

} // namespace
