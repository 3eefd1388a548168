// SPDX-License-Identifier: Apache-2.0
//
// Putting an IOMMU together, fused or chained. See iommu.h.
#include "core/iommu.h"

#include <stdio.h>
#include <string.h>

// ---- cache tags ----------------------------------------------------------------------------------------

void iom_iommu_lookup_tags(enum iom_lookup which, enum iom_tagging tagging, struct iom_cache_config *cache)
{
    switch (which) {
    case IOM_LOOKUP_CONTEXT:
        cache->match = IOM_TAG_STREAM | IOM_TAG_IOMMU;
        cache->index = IOM_TAG_STREAM;
        break;
    case IOM_LOOKUP_PASID:
        cache->match = IOM_TAG_STREAM | IOM_TAG_SUBSTREAM | IOM_TAG_IOMMU;
        cache->index = IOM_TAG_STREAM | IOM_TAG_SUBSTREAM;
        break;
    default:
        cache->match = IOM_TAG_ADDRESS | IOM_TAG_DOMAIN | IOM_TAG_ASID | IOM_TAG_SUBSTREAM | IOM_TAG_STAGE |
                       IOM_TAG_SECURITY | IOM_TAG_IOMMU;
        // Real IOTLBs index by page number; the domain is in the tag only.
        cache->index = 0;
        if (tagging == IOM_TAG_BY_SOURCE)
            cache->match |= IOM_TAG_STREAM;
        break;
    }
}

void iom_iommu_psc_tags(uint8_t stage, struct iom_cache_config *cache)
{
    cache->match = IOM_TAG_ADDRESS | IOM_TAG_DOMAIN | IOM_TAG_STAGE | IOM_TAG_IOMMU;
    if (stage == 1)
        cache->match |= IOM_TAG_SUBSTREAM | IOM_TAG_ASID;
    cache->index = 0;
}

static const char *check_geometries(const struct iom_iommu_config *config)
{
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        const char *error = iom_cache_config_error(&config->lookup[which].cache);
        if (error != NULL)
            return error;
    }
    for (uint32_t stage = 0; stage < 2; stage++) {
        for (uint32_t level = 2; level < IOM_PSC_LEVELS; level++) {
            const char *error = iom_cache_config_error(&config->psc.cache[stage][level]);
            if (error != NULL)
                return error;
        }
    }
    return NULL;
}

static void complete_tags(struct iom_iommu_config *config)
{
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        struct iom_cache_config *cache = &config->lookup[which].cache;
        cache->payload_bytes = which == IOM_LOOKUP_IOTLB ? (uint32_t)sizeof(struct iom_leaf)
                                                         : (uint32_t)sizeof(struct iom_context);
        iom_iommu_lookup_tags((enum iom_lookup)which, config->iotlb_tagging, cache);
    }
    for (uint32_t stage = 0; stage < 2; stage++) {
        for (uint32_t level = 2; level < IOM_PSC_LEVELS; level++) {
            config->psc.cache[stage][level].payload_bytes = sizeof(struct iom_psc_entry);
            iom_iommu_psc_tags((uint8_t)(stage + 1), &config->psc.cache[stage][level]);
        }
    }
}

// ---- units ---------------------------------------------------------------------------------------------

static struct iom_stage_config stage_config(const struct iom_iommu *iommu, bool front)
{
    const struct iom_iommu_config *config = &iommu->config;
    struct iom_stage_config stage = {
        .arch = &iommu->arch,
        .front = front,
        .pcie_ordering = front && config->pcie_ordering,
        .inputs = front ? config->inputs : 1,
        .arbitration = config->arbitration,
        .lookups_per_cycle = config->front_lookups_per_cycle,
        .latency_cycles = front ? config->front_latency_cycles : 0,
        .miss_entries = config->miss_entries,
        .merges_per_entry = config->merges_per_entry,
        .hit_under_miss = config->hit_under_miss,
        .replay_after_fill = config->replay_after_fill,
        .squash_walks = config->squash_walks,
        .seed = config->seed,
    };
    return stage;
}

static bool add_stage(struct iom_iommu *iommu, const struct iom_stage_config *config, const char *name,
                      const char *part)
{
    char path[IOM_NAME_BYTES];
    snprintf(path, sizeof path, "%.20s.%.20s", name, part);
    struct iom_stage *stage = iom_stage_create(config, path);
    if (stage != NULL)
        iommu->stages[iommu->stage_count++] = stage;
    return stage != NULL;
}

static void own(struct iom_stage_config *stage, const struct iom_iommu_config *config, enum iom_lookup which)
{
    stage->lookup[which] = config->lookup[which];
    stage->lookup[which].owned = true;
    // The slowest look-up sets the pace of a stage.
    if (config->lookups_per_cycle[which] != 0 && config->lookups_per_cycle[which] < stage->lookups_per_cycle)
        stage->lookups_per_cycle = config->lookups_per_cycle[which];
}

static bool make_stages(struct iom_iommu *iommu, const char *name)
{
    const struct iom_iommu_config *config = &iommu->config;
    struct iom_stage_config front = stage_config(iommu, true);
    if (config->wiring == IOM_WIRING_FUSED) {
        for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++)
            own(&front, config, (enum iom_lookup)which);
        return add_stage(iommu, &front, name, "frontend");
    }
    static const char *const parts[IOM_LOOKUP_COUNT] = {"context_cache", "pasid_cache", "iotlb"};
    bool ok = add_stage(iommu, &front, name, "frontend");
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT && ok; which++) {
        struct iom_stage_config stage = stage_config(iommu, false);
        stage.lookups_per_cycle = UINT32_MAX;
        own(&stage, config, (enum iom_lookup)which);
        ok = add_stage(iommu, &stage, name, parts[which]);
    }
    return ok;
}

static bool make_walker(struct iom_iommu *iommu, const char *name)
{
    const struct iom_iommu_config *config = &iommu->config;
    bool fused = config->wiring == IOM_WIRING_FUSED;
    struct iom_walker_config walker = {
        .arch = &iommu->arch,
        .inputs = fused ? 1 : IOM_LOOKUP_COUNT,
        .walkers = config->walkers,
        .step_cycles = config->step_cycles,
        .fused_psc = fused,
        .psc = config->psc,
        .squash_walks = config->squash_walks,
    };
    walker.psc.seed = config->seed;
    char path[IOM_NAME_BYTES];
    snprintf(path, sizeof path, "%.20s.walker", name);
    iommu->walker = iom_walker_create(&walker, path);
    if (iommu->walker == NULL || fused)
        return iommu->walker != NULL;
    snprintf(path, sizeof path, "%.20s.psc", name);
    iommu->psc_unit = iom_psc_unit_create(&walker.psc, config->psc_lookups_per_cycle, path);
    return iommu->psc_unit != NULL;
}

static bool make_registers(struct iom_iommu *iommu, const char *name)
{
    struct iom_register_unit_config config = {
        .arch = &iommu->arch,
        .fault_inputs = 1,
        .participants = iommu->stage_count + 2,
    };
    char path[IOM_NAME_BYTES];
    snprintf(path, sizeof path, "%.20s.registers", name);
    iommu->registers = iom_register_unit_create(&config, path);
    return iommu->registers != NULL;
}

// ---- connections ---------------------------------------------------------------------------------------

static bool connect(struct iom_iommu *iommu, struct iom_netlist *netlist, struct iom_port *from,
                    struct iom_port *to, uint32_t depth)
{
    struct iom_link_config link = {
        .latency = iommu->config.hop_cycles,
        .response_latency = iommu->config.hop_cycles,
        .credit_latency = 1,
        .depth = depth,
    };
    return iom_netlist_connect(netlist, from, to, &link);
}

static bool connect_stages(struct iom_iommu *iommu, struct iom_netlist *netlist)
{
    const struct iom_iommu_config *config = &iommu->config;
    bool ok = true;
    for (uint32_t i = 0; i + 1 < iommu->stage_count && ok; i++)
        ok = connect(iommu, netlist, iom_stage_port(iommu->stages[i], IOM_STAGE_NEXT),
                     iom_stage_input(iommu->stages[i + 1], 0), config->stage_queue_depth);
    bool fused = config->wiring == IOM_WIRING_FUSED;
    uint32_t first = fused ? 0 : 1; // a chained front owns no look-up
    for (uint32_t i = first; i < iommu->stage_count && ok; i++)
        ok = connect(iommu, netlist, iom_stage_port(iommu->stages[i], IOM_STAGE_WALK),
                     iom_walker_input(iommu->walker, i - first), config->walk_queue_depth);
    return ok;
}

static bool connect_registers(struct iom_iommu *iommu, struct iom_netlist *netlist)
{
    bool ok = connect(iommu, netlist, iom_stage_port(iommu->stages[0], IOM_STAGE_FAULT),
                      iom_register_unit_fault(iommu->registers, 0), 0);
    uint32_t participant = 0;
    for (uint32_t i = 0; i < iommu->stage_count && ok; i++)
        ok = connect(iommu, netlist, iom_register_unit_participant(iommu->registers, participant++),
                     iom_stage_port(iommu->stages[i], IOM_STAGE_CONTROL), 0);
    ok = ok && connect(iommu, netlist, iom_register_unit_participant(iommu->registers, participant++),
                       iom_walker_port(iommu->walker, IOM_WALKER_CONTROL), 0);
    if (ok && iommu->psc_unit != NULL)
        ok = connect(iommu, netlist, iom_register_unit_participant(iommu->registers, participant++),
                     iom_psc_unit_control(iommu->psc_unit), 0);
    return ok;
}

static bool add_units(struct iom_iommu *iommu, struct iom_netlist *netlist)
{
    bool ok = true;
    for (uint32_t i = 0; i < iommu->stage_count && ok; i++)
        ok = iom_netlist_add(netlist, iom_stage_unit(iommu->stages[i]));
    ok = ok && iom_netlist_add(netlist, iom_walker_unit(iommu->walker));
    if (ok && iommu->psc_unit != NULL)
        ok = iom_netlist_add(netlist, iom_psc_unit_unit(iommu->psc_unit));
    return ok && iom_netlist_add(netlist, iom_register_unit_unit(iommu->registers));
}

const char *iom_iommu_init(struct iom_iommu *iommu, const struct iom_iommu_config *config, const char *name,
                           struct iom_netlist *netlist, struct iom_port *memory_dma,
                           struct iom_port *memory_table)
{
    memset(iommu, 0, sizeof *iommu);
    iommu->config = *config;
    iommu->arch = *config->arch;
    complete_tags(&iommu->config);
    const char *error = check_geometries(&iommu->config);
    if (error != NULL)
        return error;
    bool ok = make_stages(iommu, name) && make_walker(iommu, name) && make_registers(iommu, name) &&
              add_units(iommu, netlist) && connect_stages(iommu, netlist) &&
              connect_registers(iommu, netlist);
    if (ok && memory_dma != NULL)
        ok = connect(iommu, netlist, iom_stage_port(iommu->stages[0], IOM_STAGE_MEMORY), memory_dma,
                     config->memory_queue_depth);
    if (ok && memory_table != NULL)
        ok = connect(iommu, netlist, iom_walker_port(iommu->walker, IOM_WALKER_MEMORY), memory_table,
                     config->memory_queue_depth);
    if (ok && iommu->psc_unit != NULL)
        ok = connect(iommu, netlist, iom_walker_port(iommu->walker, IOM_WALKER_PSC),
                     iom_psc_unit_input(iommu->psc_unit), config->walkers);
    if (ok)
        iom_iommu_sync_view(iommu);
    return ok ? NULL : "out of memory";
}

void iom_iommu_free(struct iom_iommu *iommu)
{
    for (uint32_t i = 0; i < iommu->stage_count; i++)
        iom_stage_destroy(iommu->stages[i]);
    iom_walker_destroy(iommu->walker);
    iom_psc_unit_destroy(iommu->psc_unit);
    iom_register_unit_destroy(iommu->registers);
    memset(iommu, 0, sizeof *iommu);
}

// ---- access --------------------------------------------------------------------------------------------

struct iom_port *iom_iommu_input(struct iom_iommu *iommu, uint32_t index)
{
    return iom_stage_input(iommu->stages[0], index);
}

struct iom_stage *iom_iommu_front(struct iom_iommu *iommu)
{
    return iommu->stages[0];
}

struct iom_stage *iom_iommu_owner(struct iom_iommu *iommu, enum iom_lookup which)
{
    return iommu->config.wiring == IOM_WIRING_FUSED ? iommu->stages[0] : iommu->stages[1 + which];
}

struct iom_psc *iom_iommu_psc(struct iom_iommu *iommu)
{
    return iommu->psc_unit != NULL ? iom_psc_unit_psc(iommu->psc_unit) : iom_walker_psc(iommu->walker);
}

void iom_iommu_sync_view(struct iom_iommu *iommu)
{
    struct iom_view view;
    iommu->arch.ops->view(&iommu->arch, iom_register_unit_state(iommu->registers), &view);
    for (uint32_t i = 0; i < iommu->stage_count; i++)
        iom_stage_set_view(iommu->stages[i], &view);
    iom_walker_set_view(iommu->walker, &view);
}

void iom_iommu_flush(struct iom_iommu *iommu, iom_cycle now)
{
    for (uint32_t i = 0; i < iommu->stage_count; i++)
        iom_stage_flush(iommu->stages[i], now);
    iom_psc_invalidate_all(iom_iommu_psc(iommu), now);
}
