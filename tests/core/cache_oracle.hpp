// SPDX-License-Identifier: Apache-2.0
//
// The cache of core/cache.h once more, as a list of entries and nothing clever: look-ups compare every
// entry, changes are kept as a list and applied in order, LRU and FIFO are lists of way numbers, the
// PLRU tree is a map from a range of ways to the half its pointer shows, SRRIP ages one step at a time.
// Written from cache.h and the literature, so that agreement on long random sequences means something.
#ifndef IOM_TESTS_CORE_CACHE_ORACLE_HPP
#define IOM_TESTS_CORE_CACHE_ORACLE_HPP

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cache.h"

namespace iommu_sim
{

struct OracleEntry {
    bool valid = false;
    iom_tag tag{};
    uint64_t id = 0;
};

/// The value of one field of a tag, so that rules can be written as loops over fields.
inline uint64_t field_of(const iom_tag &tag, uint32_t field)
{
    switch (field) {
    case IOM_TAG_STREAM:
        return tag.stream;
    case IOM_TAG_SUBSTREAM:
        return tag.substream;
    case IOM_TAG_DOMAIN:
        return tag.domain;
    case IOM_TAG_ASID:
        return tag.asid;
    case IOM_TAG_STAGE:
        return tag.stage;
    case IOM_TAG_SECURITY:
        return tag.security;
    case IOM_TAG_IOMMU:
        return tag.iommu;
    case IOM_TAG_LEVEL:
        return tag.level;
    default:
        return 0;
    }
}

inline bool is_process_field(uint32_t field)
{
    return field == IOM_TAG_SUBSTREAM || field == IOM_TAG_ASID;
}

inline bool fields_equal(const iom_tag &a, const iom_tag &b, uint32_t fields, bool any_process)
{
    for (uint32_t field = IOM_TAG_STREAM; field <= IOM_TAG_LEVEL; field <<= 1) {
        if ((fields & field) == 0 || (any_process && is_process_field(field)))
            continue;
        if (field_of(a, field) != field_of(b, field))
            return false;
    }
    return true;
}

inline uint64_t page_of(uint64_t address, unsigned size_log2)
{
    return size_log2 == 64 ? 0 : address >> size_log2;
}

inline bool covered_by(const iom_tag &entry, const iom_cache_match &match)
{
    if (entry.global && match.keep_global)
        return false;
    if (!fields_equal(entry, match.tag, match.fields, entry.global && match.global_matches))
        return false;
    if ((match.fields & IOM_TAG_ADDRESS) == 0)
        return true;
    // Two ranges overlap if the first byte of one lies in the other; compared as page numbers.
    if (match.first > match.last)
        return false;
    uint64_t page = page_of(entry.address, entry.size_log2);
    return page_of(match.first, entry.size_log2) <= page && page <= page_of(match.last, entry.size_log2);
}

class CacheOracle
{
  public:
    CacheOracle(const iom_cache_config &config, uint64_t seed, const char *path)
        : config_(config), set_count_(config.entries ? config.entries / config.ways : 0)
    {
        iom_rng_seed(&rng_, seed, path);
        sets_.resize(set_count_);
        for (Set &set : sets_) {
            set.ways.resize(config.ways);
            set.interval.assign(config.ways, 3);
            for (uint32_t way = 0; way < config.ways; way++)
                set.order.push_back(way);
        }
    }

    /// Slot of the hit or IOM_CACHE_MISS.
    int32_t probe(iom_cycle cycle, const iom_tag &key)
    {
        settle(cycle);
        const OracleEntry *best = nullptr;
        int32_t slot = IOM_CACHE_MISS;
        for (uint32_t s = 0; s < set_count_; s++) {
            for (uint32_t w = 0; w < config_.ways; w++) {
                const OracleEntry &entry = sets_[s].ways[w];
                if (!entry.valid || !hits(entry.tag, key))
                    continue;
                if (best == nullptr || entry.tag.size_log2 > best->tag.size_log2 ||
                    (entry.tag.size_log2 == best->tag.size_log2 && !entry.tag.global)) {
                    best = &entry;
                    slot = static_cast<int32_t>(w * set_count_ + s);
                }
            }
        }
        return slot;
    }

    const OracleEntry &at(uint32_t slot) const
    {
        return sets_[slot % set_count_].ways[slot / set_count_];
    }

    void touch(iom_cycle cycle, uint32_t slot)
    {
        settle(cycle);
        touches_.push_back(slot);
    }
    void fill(iom_cycle cycle, const iom_tag &tag, uint64_t id)
    {
        settle(cycle);
        fills_.emplace_back(tag, id);
    }
    void invalidate(iom_cycle cycle, const iom_cache_match &match)
    {
        settle(cycle);
        invalidations_.push_back(match);
    }

    uint32_t count(iom_cycle cycle, const iom_cache_match &match)
    {
        settle(cycle);
        uint32_t n = 0;
        for (const Set &set : sets_)
            for (const OracleEntry &entry : set.ways)
                n += entry.valid && covered_by(entry.tag, match);
        return n;
    }

    void settle(iom_cycle cycle)
    {
        if (cycle == cycle_)
            return;
        cycle_ = cycle;
        for (uint32_t slot : touches_)
            used(sets_[slot % set_count_], slot / set_count_);
        if (set_count_ != 0)
            for (const auto &[tag, id] : fills_)
                apply_fill(tag, id);
        for (const iom_cache_match &match : invalidations_)
            apply_invalidation(match);
        touches_.clear();
        fills_.clear();
        invalidations_.clear();
    }

    iom_cache_counts counts{};

  private:
    struct Set {
        std::vector<OracleEntry> ways;
        std::list<uint32_t> order; // oldest first
        std::vector<int> interval;
        std::map<std::pair<uint32_t, uint32_t>, bool> upper; // (first way, ways) -> victim in the upper half
    };

    bool hits(const iom_tag &entry, const iom_tag &key) const
    {
        return fields_equal(entry, key, config_.match, entry.global != 0) &&
               page_of(entry.address, entry.size_log2) == page_of(key.address, entry.size_log2);
    }

    bool same_identity(const iom_tag &a, const iom_tag &b) const
    {
        return a.size_log2 == b.size_log2 && !a.global == !b.global && a.address == b.address &&
               fields_equal(a, b, config_.match, a.global != 0);
    }

    uint32_t set_of(const iom_tag &tag) const
    {
        uint32_t bits = 0;
        while ((UINT32_C(1) << bits) < set_count_)
            bits++;
        std::vector<bool> folded(bits, false);
        for (uint32_t field = IOM_TAG_STREAM; bits != 0 && field <= IOM_TAG_LEVEL; field <<= 1) {
            if ((config_.index & field) == 0)
                continue;
            std::rotate(folded.begin(), folded.end() - 1, folded.end());
            uint64_t value = tag.global && is_process_field(field) ? 0 : field_of(tag, field);
            for (uint32_t bit = 0; bit < 32; bit++)
                if (value >> bit & 1)
                    folded[bit % bits] = !folded[bit % bits];
        }
        uint64_t set = page_of(tag.address, tag.size_log2) % set_count_;
        for (uint32_t bit = 0; bit < bits; bit++)
            if (folded[bit])
                set ^= UINT64_C(1) << bit;
        return static_cast<uint32_t>(set);
    }

    void used(Set &set, uint32_t way)
    {
        if (config_.policy == IOM_POLICY_LRU) {
            set.order.remove(way);
            set.order.push_back(way);
        } else if (config_.policy == IOM_POLICY_PLRU) {
            point_away(set, way, 0, config_.ways);
        } else if (config_.policy == IOM_POLICY_SRRIP) {
            set.interval[way] = 0;
        }
    }

    void point_away(Set &set, uint32_t way, uint32_t first, uint32_t ways)
    {
        if (ways == 1)
            return;
        bool in_upper = way >= first + ways / 2;
        set.upper[{first, ways}] = !in_upper;
        point_away(set, way, in_upper ? first + ways / 2 : first, ways / 2);
    }

    uint32_t victim(Set &set)
    {
        if (config_.prefer_invalid)
            for (uint32_t way = 0; way < config_.ways; way++)
                if (!set.ways[way].valid)
                    return way;
        if (config_.policy == IOM_POLICY_RANDOM)
            return static_cast<uint32_t>(iom_rng_below(&rng_, config_.ways));
        if (config_.policy == IOM_POLICY_PLRU) {
            uint32_t first = 0;
            for (uint32_t ways = config_.ways; ways > 1; ways /= 2)
                if (set.upper[{first, ways}])
                    first += ways / 2;
            return first;
        }
        if (config_.policy == IOM_POLICY_SRRIP) {
            for (;;) {
                for (uint32_t way = 0; way < config_.ways; way++)
                    if (set.interval[way] == 3)
                        return way;
                for (int &interval : set.interval)
                    interval++;
            }
        }
        return set.order.front();
    }

    void apply_fill(const iom_tag &tag, uint64_t id)
    {
        counts.fills++;
        for (Set &set : sets_) {
            for (uint32_t way = 0; way < config_.ways; way++) {
                OracleEntry &entry = set.ways[way];
                if (!entry.valid || !same_identity(entry.tag, tag))
                    continue;
                entry.tag = tag;
                entry.id = id;
                counts.refills++;
                if (config_.policy != IOM_POLICY_PLRU || config_.plru_touch_on_fill)
                    used(set, way);
                return;
            }
        }
        Set &set = sets_[set_of(tag)];
        uint32_t way = victim(set);
        counts.evictions += set.ways[way].valid;
        set.ways[way].valid = true;
        set.ways[way].tag = tag;
        set.ways[way].id = id;
        if (config_.policy != IOM_POLICY_PLRU || config_.plru_touch_on_fill)
            used(set, way);
        if (config_.policy == IOM_POLICY_FIFO) {
            set.order.remove(way);
            set.order.push_back(way);
        }
        if (config_.policy == IOM_POLICY_SRRIP)
            set.interval[way] = 2;
    }

    void apply_invalidation(const iom_cache_match &match)
    {
        for (Set &set : sets_) {
            for (OracleEntry &entry : set.ways) {
                if (entry.valid && covered_by(entry.tag, match)) {
                    entry.valid = false;
                    counts.invalidated++;
                }
            }
        }
    }

    iom_cache_config config_;
    uint32_t set_count_;
    iom_rng rng_{};
    std::vector<Set> sets_;
    iom_cycle cycle_ = 0;
    std::vector<uint32_t> touches_;
    std::vector<std::pair<iom_tag, uint64_t>> fills_;
    std::vector<iom_cache_match> invalidations_;
};

} // namespace iommu_sim

#endif
