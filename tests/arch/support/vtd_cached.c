// SPDX-License-Identifier: Apache-2.0
//
// A VT-d unit with caches and no time; see vtd_cached.h.
#include "tests/arch/support/vtd_cached.h"

#include <string.h>

#include "core/iommu.h"
#include "tests/shim/gtest_c.h"

void vtd_cached_open(struct vtd_cached *cached, struct vtd_fixture *fixture)
{
    struct iom_psc_config psc = {.latency_cycles = 1};
    memset(cached, 0, sizeof *cached);
    cached->fixture = fixture;
    for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++) {
        struct iom_cache_config config = {.entries = 64, .ways = 64, .prefer_invalid = true};
        iom_iommu_lookup_tags((enum iom_lookup)which, fixture->config.tagging, &config);
        config.payload_bytes =
            which == IOM_LOOKUP_IOTLB ? sizeof(struct iom_leaf) : sizeof(struct iom_context);
        cached->cache[which] = iom_cache_create(&config, 1, "test");
        IOM_EXPECT(cached->cache[which] != NULL);
    }
    for (uint8_t stage = 1; stage <= 2; stage++) {
        for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
            struct iom_cache_config *config = &psc.cache[stage - 1][level];
            *config = (struct iom_cache_config){.entries = 64, .ways = 64, .prefer_invalid = true};
            iom_iommu_psc_tags(stage, config);
            config->payload_bytes = sizeof(struct iom_psc_entry);
        }
    }
    cached->psc = iom_psc_create(&psc, "test");
    IOM_EXPECT(cached->psc != NULL);
}

void vtd_cached_close(struct vtd_cached *cached)
{
    for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++)
        iom_cache_destroy(cached->cache[which]);
    iom_psc_destroy(cached->psc);
}

static void perform(struct vtd_cached *cached, struct iom_walk *walk)
{
    struct iom_memory_image *memory = cached->fixture->memory;
    walk->access_error = 0;
    switch ((enum iom_walk_action)walk->action) {
    case IOM_WALK_READ:
        cached->reads++;
        walk->access_error = !iom_memory_image_read(memory, walk->address, walk->data, walk->bytes);
        break;
    case IOM_WALK_CAS:
        vtd_put(cached->fixture, walk->address, walk->desired);
        walk->data[0] = walk->expected;
        break;
    case IOM_WALK_PROBE:
        iom_psc_look_up(cached->psc, cached->now, &walk->probe);
        break;
    case IOM_WALK_DONE:
        break;
    }
}

static void walk(struct vtd_cached *cached, struct iom_xlate *x)
{
    const struct iom_arch *arch = &cached->fixture->arch;
    struct iom_walk walk;
    memset(&walk, 0, sizeof walk);
    walk.x = *x;
    walk.what = x->next;
    cached->walks++;
    iom_vtd_ops.walk_start(arch, &cached->fixture->view, &walk);
    while (walk.action != IOM_WALK_DONE) {
        perform(cached, &walk);
        iom_vtd_ops.walk_step(arch, &cached->fixture->view, &walk);
        if (walk.psc_fill.valid)
            iom_psc_insert(cached->psc, cached->now++, &walk.psc_fill);
    }
    if (walk.fill.valid)
        iom_cache_fill(cached->cache[walk.what], cached->now++, &walk.fill.tag, &walk.fill.payload);
    *x = walk.x;
}

struct iom_xlate vtd_cached_translate(struct vtd_cached *cached, uint32_t source, uint32_t pasid,
                                      uint64_t address, unsigned flags)
{
    const struct iom_arch *arch = &cached->fixture->arch;
    const struct iom_view *view = &cached->fixture->view;
    struct iom_xlate x;
    memset(&x, 0xa5, sizeof x);
    x.address = address;
    x.bytes = 8;
    x.source = source;
    x.pasid = pasid;
    x.flags = (uint16_t)flags;
    cached->walks = cached->reads = 0;
    iom_vtd_ops.enter(arch, view, &x);
    while (x.next != IOM_LOOKUP_DONE) {
        struct iom_tag key;
        struct iom_cache *cache = cached->cache[x.next];
        iom_vtd_ops.key(arch, view, &x, &key);
        int32_t slot = iom_cache_probe(cache, ++cached->now, &key);
        if (slot == IOM_CACHE_MISS ||
            !iom_vtd_ops.use(arch, view, &x, iom_cache_tag(cache, slot), iom_cache_payload(cache, slot)))
            walk(cached, &x);
    }
    for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++)
        iom_cache_sync(cached->cache[which], ++cached->now);
    return x;
}

void vtd_cached_invalidate(struct vtd_cached *cached, const struct iom_invalidation *invalidation)
{
    for (unsigned i = 0; i < invalidation->parts; i++) {
        for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++) {
            if (invalidation->part[i].targets & 1u << which)
                iom_cache_invalidate(cached->cache[which], cached->now, &invalidation->part[i].match);
        }
    }
    iom_psc_invalidate(cached->psc, cached->now, invalidation);
    cached->now++;
}

bool vtd_cached_command(struct vtd_cached *cached, uint64_t low, uint64_t high)
{
    uint64_t words[IOM_COMMAND_WORDS] = {low, high};
    struct iom_command command;
    struct iom_queue_setup setup = {.command_bytes = 32};
    iom_vtd_ops.decode(&cached->fixture->arch, &setup, words, &command);
    if (command.kind != IOM_COMMAND_INVALIDATE)
        return false;
    vtd_cached_invalidate(cached, &command.invalidation);
    return true;
}
