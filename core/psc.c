// SPDX-License-Identifier: Apache-2.0
//
// Paging-structure caches, called as functions. See psc.h.
#include "core/psc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tracker.h"
#include "core/unit_stats.h"

struct iom_psc {
    struct iom_cache *cache[2][IOM_PSC_LEVELS];
    struct iom_cache_counts base[2][IOM_PSC_LEVELS];
    struct iom_psc_stats stats;
    struct iom_tracker *tracker;
};

#define IOM_STAT_OWNER struct iom_psc_stats
static const struct iom_stat_info stat_infos[] = {IOM_PSC_STATS(IOM_STAT_INFO)};

struct iom_psc *iom_psc_create(const struct iom_psc_config *config, const char *name)
{
    struct iom_psc *psc = calloc(1, sizeof *psc);
    if (psc == NULL)
        return NULL;
    psc->tracker = config->tracker;
    for (unsigned stage = 0; stage < 2; stage++) {
        for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
            struct iom_cache_config cache = config->cache[stage][level];
            if (cache.entries == 0)
                continue;
            cache.payload_bytes = sizeof(struct iom_psc_entry);
            char path[2 * IOM_NAME_BYTES];
            snprintf(path, sizeof path, "%s.stage%u.level%u", name, stage + 1, level);
            psc->cache[stage][level] = iom_cache_create(&cache, config->seed, path);
            if (psc->cache[stage][level] == NULL) {
                iom_psc_destroy(psc);
                return NULL;
            }
        }
    }
    return psc;
}

void iom_psc_destroy(struct iom_psc *psc)
{
    if (psc == NULL)
        return;
    for (unsigned stage = 0; stage < 2; stage++) {
        for (unsigned level = 0; level < IOM_PSC_LEVELS; level++)
            iom_cache_destroy(psc->cache[stage][level]);
    }
    free(psc);
}

bool iom_psc_present(const struct iom_psc *psc, uint8_t stage)
{
    for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
        if (psc->cache[stage - 1][level] != NULL)
            return true;
    }
    return false;
}

static void count_hit(struct iom_psc *psc, uint8_t level)
{
    uint64_t *const counters[IOM_PSC_LEVELS] = {
        &psc->stats.misses,      &psc->stats.misses,      &psc->stats.hits_level2,
        &psc->stats.hits_level3, &psc->stats.hits_level4, &psc->stats.hits_level5,
    };
    ++*counters[level];
}

static void sync_all(struct iom_psc *psc, iom_cycle cycle)
{
    for (unsigned stage = 0; stage < 2; stage++) {
        for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
            if (psc->cache[stage][level] != NULL)
                iom_cache_sync(psc->cache[stage][level], cycle);
        }
    }
}

void iom_psc_look_up(struct iom_psc *psc, iom_cycle now, struct iom_psc_probe *probe)
{
    probe->hit_level = 0;
    psc->stats.lookups++;
    for (uint8_t level = probe->lowest < 2 ? 2 : probe->lowest;
         level <= probe->highest && level < IOM_PSC_LEVELS; level++) {
        struct iom_cache *cache = psc->cache[probe->stage - 1][level];
        if (cache == NULL)
            continue;
        int32_t slot = iom_cache_probe(cache, now, &probe->key);
        if (slot == IOM_CACHE_MISS)
            continue;
        memcpy(&probe->entry, iom_cache_payload(cache, slot), sizeof probe->entry);
        probe->hit_level = level;
        iom_cache_touch(cache, now, slot);
        iom_tracker_keep(psc->tracker, probe->entry.node);
        break;
    }
    count_hit(psc, probe->hit_level);
}

bool iom_psc_keeps(const struct iom_psc *psc, uint8_t stage, uint8_t level)
{
    return psc->cache[stage - 1][level] != NULL;
}

void iom_psc_insert(struct iom_psc *psc, iom_cycle now, const struct iom_psc_fill *fill)
{
    struct iom_cache *cache = psc->cache[fill->stage - 1][fill->level];
    if (cache != NULL)
        iom_cache_fill(cache, now, &fill->tag, &fill->entry);
}

static void invalidate_levels(struct iom_psc *psc, iom_cycle now, const struct iom_cache_match *match)
{
    for (unsigned stage = 0; stage < 2; stage++) {
        for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
            if (psc->cache[stage][level] != NULL)
                iom_cache_invalidate(psc->cache[stage][level], now, match);
        }
    }
}

static uint64_t invalidated(const struct iom_psc *psc)
{
    uint64_t total = 0;
    for (unsigned stage = 0; stage < 2; stage++) {
        for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
            if (psc->cache[stage][level] != NULL)
                total += iom_cache_counts_of(psc->cache[stage][level])->invalidated;
        }
    }
    return total;
}

uint32_t iom_psc_invalidate(struct iom_psc *psc, iom_cycle now, const struct iom_invalidation *invalidation)
{
    sync_all(psc, now);
    uint64_t before = invalidated(psc);
    for (unsigned i = 0; i < invalidation->parts; i++) {
        if (invalidation->part[i].targets & IOM_INVALIDATE_PSC)
            invalidate_levels(psc, now, &invalidation->part[i].match);
    }
    sync_all(psc, now + 1);
    return (uint32_t)(invalidated(psc) - before);
}

void iom_psc_count_invalidation(struct iom_psc *psc, uint64_t cycles, uint64_t blocked)
{
    psc->stats.invalidations++;
    psc->stats.invalidate_cycles += cycles;
    psc->stats.blocked_cycles += blocked;
}

void iom_psc_count_late_fill(struct iom_psc *psc)
{
    psc->stats.late_fills++;
}

void iom_psc_plan(const struct iom_psc_config *config, struct iom_invalidate_plan *plan)
{
    if (config->plan != NULL) {
        *plan = *config->plan;
        return;
    }
    memset(plan, 0, sizeof *plan);
    plan->psc.cost = config->invalidate;
    memcpy(plan->psc.cache, config->cache, sizeof plan->psc.cache);
}

void iom_psc_invalidate_all(struct iom_psc *psc, iom_cycle now)
{
    struct iom_cache_match everything = {.fields = 0};
    invalidate_levels(psc, now, &everything);
}

struct iom_cache *iom_psc_cache(struct iom_psc *psc, uint8_t stage, uint8_t level)
{
    return psc->cache[stage - 1][level];
}

bool iom_psc_stat_block(struct iom_psc *psc, struct iom_stat_block *block)
{
    psc->stats.fills = psc->stats.evictions = psc->stats.invalidated = 0;
    for (unsigned stage = 0; stage < 2; stage++) {
        for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
            if (psc->cache[stage][level] == NULL)
                continue;
            iom_cache_sync(psc->cache[stage][level], IOM_NEVER);
            const struct iom_cache_counts *counts = iom_cache_counts_of(psc->cache[stage][level]);
            const struct iom_cache_counts *base = &psc->base[stage][level];
            psc->stats.fills += counts->fills - base->fills;
            psc->stats.evictions += counts->evictions - base->evictions;
            psc->stats.invalidated += counts->invalidated - base->invalidated;
        }
    }
    *block = IOM_STAT_BLOCK("psc", stat_infos, &psc->stats);
    return true;
}

void iom_psc_reset_stats(struct iom_psc *psc)
{
    memset(&psc->stats, 0, sizeof psc->stats);
    for (unsigned stage = 0; stage < 2; stage++) {
        for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
            if (psc->cache[stage][level] == NULL)
                continue;
            iom_cache_sync(psc->cache[stage][level], IOM_NEVER);
            psc->base[stage][level] = *iom_cache_counts_of(psc->cache[stage][level]);
        }
    }
}
