// SPDX-License-Identifier: Apache-2.0
//
// Putting an IOMMU together, fused or chained. See iommu.h.
#include "core/iommu.h"

#include <stdio.h>
#include <string.h>

#include "core/tracker.h"

// Sources of the fan-out, event inputs of the register unit.
enum { SOURCE_REGISTERS, SOURCE_QUEUE, SOURCES };
enum { EVENT_QUEUE, EVENT_FANOUT, EVENTS };

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

// All caches of the IOMMU: every participant works out the duration of an invalidation from it.
static void make_plan(struct iom_iommu *iommu)
{
    const struct iom_iommu_config *config = &iommu->config;
    struct iom_invalidate_plan *plan = &iommu->plan;
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        plan->lookup[which].cost = config->lookup[which].invalidate;
        plan->lookup[which].cache = config->lookup[which].cache;
    }
    plan->psc.cost = config->psc.invalidate;
    memcpy(plan->psc.cache, config->psc.cache, sizeof plan->psc.cache);
    iommu->config.psc.plan = plan;
    iommu->config.psc.tracker = config->tracker;
}

// ---- units ---------------------------------------------------------------------------------------------

// Translations asked for through registers enter at an input behind those of the devices.
static uint32_t has_debug_input(const struct iom_iommu *iommu)
{
    return iommu->arch.ops->translate_request != NULL;
}

static struct iom_stage_config stage_config(const struct iom_iommu *iommu, bool front)
{
    const struct iom_iommu_config *config = &iommu->config;
    struct iom_stage_config stage = {
        .arch = &iommu->arch,
        .front = front,
        .pcie_ordering = front && config->pcie_ordering,
        .inputs = front ? config->inputs + has_debug_input(iommu) : 1,
        .arbitration = config->arbitration,
        .lookups_per_cycle = config->front_lookups_per_cycle,
        .latency_cycles = front ? config->front_latency_cycles : 0,
        .miss_entries = config->miss_entries,
        .merges_per_entry = config->merges_per_entry,
        .hit_under_miss = config->hit_under_miss,
        .replay_after_fill = config->replay_after_fill,
        .squash_walks = config->squash_walks,
        .serial = front ? config->serial : (struct iom_serial_config){0},
        .plan = &iommu->plan,
        .seed = config->seed,
        .tracker = config->tracker,
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
        .timing = config->walk_timing,
        .live_context = config->serial.quirk_live_context,
        .fused_psc = fused,
        .psc = config->psc,
        .squash_walks = config->squash_walks,
        .tracker = config->tracker,
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
        .pace = iommu->config.record_pace,
        .fault_inputs = 1,
        .event_inputs = EVENTS,
        .monitor_inputs = iommu->arch.ops->count != NULL ? iommu->stage_count : 0,
        .tracker = iommu->config.tracker,
    };
    char path[IOM_NAME_BYTES];
    snprintf(path, sizeof path, "%.20s.registers", name);
    iommu->registers = iom_register_unit_create(&config, path);
    return iommu->registers != NULL;
}

static uint32_t ats_tags(const struct iom_iommu_config *config)
{
    return config->ats_tags != 0 ? config->ats_tags : IOM_INVALIDATION_TAGS;
}

static bool make_queue(struct iom_iommu *iommu, const char *name)
{
    const struct iom_iommu_config *config = &iommu->config;
    struct iom_command_queue_config queue = {
        .arch = &iommu->arch,
        .prefetch_commands = config->queue_prefetch_commands != 0 ? config->queue_prefetch_commands : 1,
        .decode_cycles = config->queue_decode_cycles != 0 ? config->queue_decode_cycles : 1,
        .max_in_flight = config->queue_max_in_flight != 0 ? config->queue_max_in_flight : 1,
        .in_order = config->queue_in_order,
        .pace = config->queue_pace,
        .device_tags = config->ats_tags_block_queue ? ats_tags(config) : 0,
        .tracker = config->tracker,
    };
    char path[IOM_NAME_BYTES];
    snprintf(path, sizeof path, "%.20s.command_queue", name);
    iommu->queue = iom_command_queue_create(&queue, path);
    return iommu->queue != NULL;
}

// Participants in the order in which they are connected: stages, walker, paging-structure cache unit.
static bool make_fanout(struct iom_iommu *iommu, const char *name)
{
    const struct iom_iommu_config *config = &iommu->config;
    uint32_t serves[IOM_IOMMU_STAGES + 2] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < iommu->stage_count; i++, count++) {
        for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
            if (iom_stage_cache(iommu->stages[i], (enum iom_lookup)which) != NULL)
                serves[count] |= 1u << which;
        }
    }
    serves[count++] = iommu->psc_unit == NULL ? IOM_INVALIDATE_PSC : 0;
    if (iommu->psc_unit != NULL)
        serves[count++] = IOM_INVALIDATE_PSC;
    struct iom_fanout_config fanout = {
        .iommu = iommu->arch.iommu,
        .sources = SOURCES,
        .participants = count,
        .serves = serves,
        .devices = config->ats_devices,
        .streams = config->ats_streams,
        .tags = ats_tags(config),
        .timeout_cycles = config->ats_timeout_cycles,
        .tracker = config->tracker,
    };
    char path[IOM_NAME_BYTES];
    snprintf(path, sizeof path, "%.20s.fanout", name);
    iommu->fanout = iom_fanout_create(&fanout, path);
    iommu->config.ats_streams = NULL;
    return iommu->fanout != NULL;
}

// ---- connections ---------------------------------------------------------------------------------------

static bool connect(struct iom_netlist *netlist, struct iom_hop hop, struct iom_port *from,
                    struct iom_port *to, uint32_t depth)
{
    struct iom_link_config link = {
        .latency = hop.there,
        .response_latency = hop.back,
        .credit_latency = 1,
        .depth = depth,
    };
    return iom_netlist_connect(netlist, from, to, &link);
}

static void complete_hops(struct iom_iommu_config *config)
{
    if (config->hops.given)
        return;
    struct iom_hop hop = {config->hop_cycles, config->hop_cycles};
    config->hops =
        (struct iom_iommu_hops){true, hop, hop, hop, hop, hop, hop, hop, hop, hop, hop, hop, hop, hop};
}

static bool connect_stages(struct iom_iommu *iommu, struct iom_netlist *netlist)
{
    const struct iom_iommu_config *config = &iommu->config;
    bool ok = true;
    for (uint32_t i = 0; i + 1 < iommu->stage_count && ok; i++)
        ok = connect(netlist, config->hops.stages, iom_stage_port(iommu->stages[i], IOM_STAGE_NEXT),
                     iom_stage_input(iommu->stages[i + 1], 0), config->stage_queue_depth);
    bool fused = config->wiring == IOM_WIRING_FUSED;
    uint32_t first = fused ? 0 : 1; // a chained front owns no look-up
    for (uint32_t i = first; i < iommu->stage_count && ok; i++)
        ok = connect(netlist, config->hops.walks, iom_stage_port(iommu->stages[i], IOM_STAGE_WALK),
                     iom_walker_input(iommu->walker, i - first), config->walk_queue_depth);
    return ok;
}

static bool connect_participants(struct iom_iommu *iommu, struct iom_netlist *netlist)
{
    struct iom_hop hop = iommu->config.hops.spread;
    bool ok = true;
    uint32_t participant = 0;
    for (uint32_t i = 0; i < iommu->stage_count && ok; i++)
        ok = connect(netlist, hop, iom_fanout_participant(iommu->fanout, participant++),
                     iom_stage_port(iommu->stages[i], IOM_STAGE_CONTROL), 0);
    ok = ok && connect(netlist, hop, iom_fanout_participant(iommu->fanout, participant++),
                       iom_walker_port(iommu->walker, IOM_WALKER_CONTROL), 0);
    if (ok && iommu->psc_unit != NULL)
        ok = connect(netlist, hop, iom_fanout_participant(iommu->fanout, participant++),
                     iom_psc_unit_control(iommu->psc_unit), 0);
    return ok;
}

// What only some architectures have.
static bool connect_reports(struct iom_iommu *iommu, struct iom_netlist *netlist)
{
    struct iom_register_unit *registers = iommu->registers;
    struct iom_hop hop = iommu->config.hops.reports;
    bool ok = connect(netlist, hop, iom_stage_port(iommu->stages[0], IOM_STAGE_FAULT),
                      iom_register_unit_fault(registers, 0), iommu->config.report_queue_depth);
    for (uint32_t i = 0; i < iommu->stage_count && iommu->arch.ops->count != NULL && ok; i++)
        ok = connect(netlist, hop, iom_stage_port(iommu->stages[i], IOM_STAGE_MONITOR),
                     iom_register_unit_monitor(registers, i), 0);
    if (ok && has_debug_input(iommu))
        ok = connect(netlist, iommu->config.hops.updates, iom_register_unit_translate(registers),
                     iom_stage_input(iommu->stages[0], iommu->config.inputs), 1);
    return ok;
}

static bool connect_registers(struct iom_iommu *iommu, struct iom_netlist *netlist)
{
    struct iom_register_unit *registers = iommu->registers;
    struct iom_command_queue *queue = iommu->queue;
    const struct iom_iommu_hops *hops = &iommu->config.hops;
    return connect_reports(iommu, netlist) &&
           connect(netlist, hops->updates, iom_register_unit_fanout(registers),
                   iom_fanout_source(iommu->fanout, SOURCE_REGISTERS), 0) &&
           connect(netlist, hops->setup, iom_register_unit_queue(registers),
                   iom_command_queue_port(queue, IOM_COMMAND_QUEUE_SETUP), 0) &&
           connect(netlist, hops->events, iom_command_queue_port(queue, IOM_COMMAND_QUEUE_EVENTS),
                   iom_register_unit_event(registers, EVENT_QUEUE), 0) &&
           connect(netlist, hops->control, iom_command_queue_port(queue, IOM_COMMAND_QUEUE_FANOUT),
                   iom_fanout_source(iommu->fanout, SOURCE_QUEUE), 0) &&
           connect(netlist, hops->reports, iom_fanout_events(iommu->fanout),
                   iom_register_unit_event(registers, EVENT_FANOUT), 0) &&
           connect_participants(iommu, netlist);
}

// Each side may be left to the caller.
static bool connect_memory(struct iom_iommu *iommu, struct iom_netlist *netlist, struct iom_port *dma,
                           struct iom_port *table, struct iom_port *queue, struct iom_port *registers)
{
    uint32_t depth = iommu->config.memory_queue_depth;
    const struct iom_iommu_hops *hops = &iommu->config.hops;
    bool ok = dma == NULL ||
              connect(netlist, hops->dma, iom_stage_port(iommu->stages[0], IOM_STAGE_MEMORY), dma, depth);
    ok = ok && (table == NULL || connect(netlist, hops->tables,
                                         iom_walker_port(iommu->walker, IOM_WALKER_MEMORY), table, depth));
    ok = ok && (queue == NULL ||
                connect(netlist, hops->commands,
                        iom_command_queue_port(iommu->queue, IOM_COMMAND_QUEUE_MEMORY), queue, depth));
    return ok && (registers == NULL || connect(netlist, hops->records,
                                               iom_register_unit_memory(iommu->registers), registers, depth));
}

static bool add_units(struct iom_iommu *iommu, struct iom_netlist *netlist)
{
    bool ok = true;
    for (uint32_t i = 0; i < iommu->stage_count && ok; i++)
        ok = iom_netlist_add(netlist, iom_stage_unit(iommu->stages[i]));
    ok = ok && iom_netlist_add(netlist, iom_walker_unit(iommu->walker));
    if (ok && iommu->psc_unit != NULL)
        ok = iom_netlist_add(netlist, iom_psc_unit_unit(iommu->psc_unit));
    return ok && iom_netlist_add(netlist, iom_register_unit_unit(iommu->registers)) &&
           iom_netlist_add(netlist, iom_command_queue_unit(iommu->queue)) &&
           iom_netlist_add(netlist, iom_fanout_unit(iommu->fanout));
}

// Lets the hazard tracker see what the caches drop and overwrite.
static void watch_caches(struct iom_iommu *iommu)
{
    static const enum iom_tracked_cache kinds[IOM_LOOKUP_COUNT] = {
        [IOM_LOOKUP_CONTEXT] = IOM_TRACKED_CONTEXT,
        [IOM_LOOKUP_PASID] = IOM_TRACKED_PASID,
        [IOM_LOOKUP_IOTLB] = IOM_TRACKED_IOTLB,
    };
    struct iom_tracker *tracker = iommu->config.tracker;
    if (tracker == NULL)
        return;
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        enum iom_lookup lookup = (enum iom_lookup)which;
        struct iom_cache *cache = iom_stage_cache(iom_iommu_owner(iommu, lookup), lookup);
        if (cache != NULL)
            iom_tracker_watch_cache(tracker, cache, kinds[which], 0, iommu->arch.iommu);
    }
    for (uint8_t stage = 1; stage <= 2; stage++) {
        for (uint8_t level = 2; level < IOM_PSC_LEVELS; level++) {
            struct iom_cache *cache = iom_psc_cache(iom_iommu_psc(iommu), stage, level);
            if (cache != NULL)
                iom_tracker_watch_cache(tracker, cache, IOM_TRACKED_PSC,
                                        (stage - 1u) * IOM_PSC_LEVELS + level, iommu->arch.iommu);
        }
    }
}

const char *iom_iommu_init(struct iom_iommu *iommu, const struct iom_iommu_config *config, const char *name,
                           struct iom_netlist *netlist, struct iom_port *memory_dma,
                           struct iom_port *memory_table, struct iom_port *memory_queue,
                           struct iom_port *memory_registers)
{
    memset(iommu, 0, sizeof *iommu);
    iommu->config = *config;
    iommu->arch = *config->arch;
    complete_tags(&iommu->config);
    complete_hops(&iommu->config);
    make_plan(iommu);
    const char *error = check_geometries(&iommu->config);
    if (error != NULL)
        return error;
    bool ok = make_stages(iommu, name) && make_walker(iommu, name) && make_registers(iommu, name) &&
              make_queue(iommu, name) && make_fanout(iommu, name) && add_units(iommu, netlist) &&
              connect_stages(iommu, netlist) && connect_registers(iommu, netlist) &&
              connect_memory(iommu, netlist, memory_dma, memory_table, memory_queue, memory_registers);
    if (ok && iommu->psc_unit != NULL)
        ok = connect(netlist, iommu->config.hops.psc, iom_walker_port(iommu->walker, IOM_WALKER_PSC),
                     iom_psc_unit_input(iommu->psc_unit), config->walkers);
    if (!ok)
        return "out of memory";
    watch_caches(iommu);
    iom_iommu_sync_view(iommu);
    return NULL;
}

void iom_iommu_free(struct iom_iommu *iommu)
{
    for (uint32_t i = 0; i < iommu->stage_count; i++)
        iom_stage_destroy(iommu->stages[i]);
    iom_walker_destroy(iommu->walker);
    iom_psc_unit_destroy(iommu->psc_unit);
    iom_register_unit_destroy(iommu->registers);
    iom_command_queue_destroy(iommu->queue);
    iom_fanout_destroy(iommu->fanout);
    memset(iommu, 0, sizeof *iommu);
}

// ---- access --------------------------------------------------------------------------------------------

struct iom_port *iom_iommu_input(struct iom_iommu *iommu, uint32_t index)
{
    return iom_stage_input(iommu->stages[0], index);
}

struct iom_port *iom_iommu_ats_port(struct iom_iommu *iommu, uint32_t index)
{
    return iom_fanout_device(iommu->fanout, index);
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
    if (iommu->arch.ops->queue == NULL)
        return;
    struct iom_queue_setup setup;
    memset(&setup, 0, sizeof setup);
    iommu->arch.ops->queue(&iommu->arch, iom_register_unit_state(iommu->registers), &setup);
    iom_command_queue_set_up(iommu->queue, &setup);
}

void iom_iommu_flush(struct iom_iommu *iommu, iom_cycle now)
{
    for (uint32_t i = 0; i < iommu->stage_count; i++)
        iom_stage_flush(iommu->stages[i], now);
    iom_psc_invalidate_all(iom_iommu_psc(iommu), now);
}
