// SPDX-License-Identifier: Apache-2.0
//
// What the cache tests share: a cache that frees itself, short ways to write a tag, and a payload that
// carries its own check value.
#ifndef IOM_TESTS_CORE_CACHE_FIXTURE_HPP
#define IOM_TESTS_CORE_CACHE_FIXTURE_HPP

#include <memory>

#include "core/cache.h"

namespace iommu_sim
{

struct Payload {
    uint64_t id;
    uint64_t check; // ~id

    explicit Payload(uint64_t value) : id(value), check(~value)
    {
    }
};

constexpr unsigned k4K = 12, k2M = 21, k1G = 30, kWhole = 64;

inline iom_cache_config cache_config(uint32_t entries, uint32_t ways,
                                     iom_cache_policy policy = IOM_POLICY_LRU)
{
    iom_cache_config config{};
    config.entries = entries;
    config.ways = ways;
    config.policy = policy;
    config.prefer_invalid = true;
    config.match = IOM_TAG_DOMAIN | IOM_TAG_ASID;
    config.payload_bytes = sizeof(Payload);
    return config;
}

inline iom_tag tag_of(uint64_t address, unsigned size_log2 = k4K, uint32_t domain = 1, uint32_t asid = 1)
{
    iom_tag tag{};
    tag.address = address;
    tag.size_log2 = static_cast<uint8_t>(size_log2);
    tag.domain = domain;
    tag.asid = asid;
    return tag;
}

inline iom_tag global(iom_tag tag)
{
    tag.global = 1;
    return tag;
}

inline iom_cache_match range(uint64_t first, uint64_t last)
{
    iom_cache_match match{};
    match.fields = IOM_TAG_ADDRESS;
    match.first = first;
    match.last = last;
    return match;
}

/// A cache with its own clock: every call is one cycle later than the one before unless `same` is used.
class Cache
{
  public:
    explicit Cache(const iom_cache_config &config, uint64_t seed = 1, const char *path = "cache")
        : cache_(iom_cache_create(&config, seed, path), iom_cache_destroy)
    {
    }
    iom_cache *get() const
    {
        return cache_.get();
    }
    iom_cycle now = 1;

    void fill(const iom_tag &tag, uint64_t id)
    {
        Payload payload(id);
        iom_cache_fill(get(), now++, &tag, &payload);
    }
    int32_t probe(const iom_tag &key)
    {
        return iom_cache_probe(get(), now++, &key);
    }
    /// Id of the payload that a probe finds, 0 on a miss.
    uint64_t find(const iom_tag &key)
    {
        int32_t slot = probe(key);
        return slot < 0 ? 0 : id_at(slot);
    }
    uint64_t id_at(int32_t slot) const
    {
        return static_cast<const Payload *>(iom_cache_payload(get(), slot))->id;
    }
    void hit(const iom_tag &key)
    {
        iom_cycle cycle = now++;
        int32_t slot = iom_cache_probe(get(), cycle, &key);
        if (slot >= 0)
            iom_cache_touch(get(), cycle, slot);
    }
    void invalidate(const iom_cache_match &match)
    {
        iom_cache_invalidate(get(), now++, &match);
    }
    uint32_t valid()
    {
        return iom_cache_valid_entries(get(), now++);
    }
    const iom_cache_counts &counts()
    {
        iom_cache_sync(get(), now++);
        return *iom_cache_counts_of(get());
    }

  private:
    std::unique_ptr<iom_cache, void (*)(iom_cache *)> cache_;
};

} // namespace iommu_sim

#endif
