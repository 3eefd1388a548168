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

} // namespace
