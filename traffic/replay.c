// SPDX-License-Identifier: Apache-2.0
//
// The replay unit: messages in and out, the order of work within a cycle, timers. The rules are in
// replay.h; replay_internal.h says which part is in which file.
//
// Work within a cycle: answers, then whatever operations can do, the processor's next call, devices that
// may send, records to read - again and again until nothing changes. Each pass works through lists in
// order of arrival, so that a cycle's result depends on nothing else.
#include "traffic/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/unit_stats.h"
#include "traffic/replay_internal.h"

#define MEMORY_PORT 0u
#define FIRST_DMA_PORT 1u
#define DEVICES_LIMIT 253u // port numbers have 8 bits
#define DEFAULT_OUTSTANDING 256u
#define DEFAULT_DATA_OUTSTANDING 32u

#define IOM_STAT_OWNER struct iom_replay_stats
static const struct iom_stat_info stat_infos[] = {IOM_REPLAY_STATS(IOM_STAT_INFO)};
#undef IOM_STAT_OWNER
#define IOM_STAT_OWNER struct iom_host_call_stats
static const struct iom_stat_info call_infos[] = {IOM_HOST_CALL_STATS(IOM_STAT_INFO)};

void replay_give_up(struct iom_replay *replay, const char *text)
{
    if (replay->failed)
        return;
    replay->failed = true;
    snprintf(replay->error, sizeof replay->error, "%s", text);
}

// ---- DMA ---------------------------------------------------------------------------------------------

bool replay_exhausted(const struct iom_replay *replay)
{
    return replay->failed || (replay->config.requests != 0 && replay->sent == replay->config.requests);
}

bool replay_can_send(struct iom_replay *replay, struct replay_device *device, iom_cycle now)
{
    struct iom_port *port = &replay->ports[FIRST_DMA_PORT + (uint32_t)(device - replay->devices)];
    return !replay_exhausted(replay) && device->next_send <= now &&
           device->in_flight < replay->config.outstanding && iom_port_can_send(port, now);
}

static void fill_dma(struct iom_dma *dma, const struct iom_trace_record *record, uint32_t source,
                     iom_cycle now)
{
    unsigned flags = 0;
    if ((record->flags & IOM_TRACE_WRITE) != 0)
        flags |= IOM_REQ_WRITE | IOM_REQ_POSTED;
    if ((record->flags & IOM_TRACE_EXEC) != 0)
        flags |= IOM_REQ_EXEC;
    if ((record->flags & IOM_TRACE_PRIV) != 0)
        flags |= IOM_REQ_PRIV;
    if (record->pasid != IOM_TRACE_NO_PASID)
        flags |= IOM_REQ_PASID;
    dma->x.address = record->iova;
    dma->x.bytes = (uint32_t)record->bytes;
    dma->x.source = source;
    dma->x.pasid = record->pasid != IOM_TRACE_NO_PASID ? record->pasid : 0;
    dma->x.flags = (uint16_t)flags;
    dma->x.next = IOM_LOOKUP_CONTEXT;
    dma->x.outcome = IOM_OUTCOME_NONE;
    dma->issued = now; // the front end of the IOMMU sets all further times and parts
    dma->memory_error = 0;
    dma->data = NULL;
}

void replay_send(struct iom_replay *replay, uint32_t op, struct replay_device *device,
                 const struct iom_trace_record *record, iom_cycle now)
{
    struct iom_dma *dma = iom_pool_take(&replay->pool);
    if (dma == NULL)
        abort(); // bounded by `outstanding`; a few kilobytes
    fill_dma(dma, record, device->source, now);
    dma->id = replay->sent++;
    dma->cookie = op;
    uint32_t number = (uint32_t)(device - replay->devices);
    iom_port_send(&replay->ports[FIRST_DMA_PORT + number], &dma->msg, now);
    device->in_flight++;
    device->next_send = now + replay->unit.period;
    struct iom_replay_stats *stats = &replay->stats;
    bool write = (dma->x.flags & IOM_REQ_WRITE) != 0;
    *(write ? &stats->dma_writes : &stats->dma_reads) += 1;
    *(write ? &stats->bytes_written : &stats->bytes_read) += record->bytes;
    stats->recorded_faults += (record->flags & IOM_TRACE_FAULTED) != 0;
    if (++replay->in_flight > stats->most_outstanding)
        stats->most_outstanding = replay->in_flight;
    if (replay->config.mode == IOM_REPLAY_SCALED_TIME)
        iom_histogram_add(&stats->lateness, now - replay_due(replay, record));
}

static void take_dma(struct iom_replay *replay, uint32_t number, struct iom_dma *dma, iom_cycle now)
{
    uint32_t index = (uint32_t)dma->cookie;
    struct iom_replay_stats *stats = &replay->stats;
    stats->completed++;
    stats->faults += dma->x.outcome == IOM_OUTCOME_FAULT || dma->x.outcome == IOM_OUTCOME_DENIED;
    stats->memory_errors += dma->memory_error;
    iom_histogram_add(&stats->latency, now - dma->issued);
    iom_msg_release(&dma->msg);
    replay->completed++;
    replay->in_flight--;
    replay->devices[number].in_flight--;
    replay->ops[index].dma--;
    replay_wake(replay, index);
    replay_wake_others(replay);
}

static void take_memory(struct iom_replay *replay, struct iom_msg *msg)
{
    if (((const struct iom_memory_access *)(void *)msg)->op == IOM_MEMORY_WATCH) {
        replay_submit_take_watch(replay, msg);
        return;
    }
    bool error = false;
    uint64_t cookie = iom_store_queue_acknowledge(&replay->stores, msg, &error);
    if (error)
        replay_give_up(replay, "a store of the driver went to an address that does not answer");
    if (cookie == REPLAY_COMMAND_STORE)
        return;
    uint32_t index = (uint32_t)cookie;
    if (--replay->ops[index].stores != 0)
        return;
    replay_wake(replay, index);
    replay_wake_others(replay);
}

// ---- work of a cycle ---------------------------------------------------------------------------------

static void take_answers(struct iom_replay *replay, iom_cycle now)
{
    struct iom_port *memory = &replay->ports[MEMORY_PORT];
    while (iom_port_peek(memory, now) != NULL)
        take_memory(replay, iom_port_pop(memory));
    struct iom_port *mmio = &replay->ports[replay->unit.port_count - 1];
    while (replay->config.driver.present && iom_port_peek(mmio, now) != NULL)
        replay_driver_take_mmio(replay, iom_port_pop(mmio), now);
    uint64_t before = replay->completed;
    for (uint32_t i = 0; i < replay->device_count; i++) {
        struct iom_port *port = &replay->ports[FIRST_DMA_PORT + i];
        while (iom_port_peek(port, now) != NULL)
            take_dma(replay, i, (struct iom_dma *)(void *)iom_port_pop(port), now);
    }
    if (replay->completed != before && replay->config.on_completed != NULL)
        replay->config.on_completed(replay->config.hook_context, replay->completed);
}

static void end_latencies(struct iom_replay *replay, iom_cycle now)
{
    while (replay->latency.head != IOM_REPLAY_NONE && replay->ops[replay->latency.head].ready_at <= now) {
        uint32_t index = replay_list_pop(replay, &replay->latency);
        replay->ops[index].wait = REPLAY_WAIT_NOTHING;
        replay_wake(replay, index);
    }
}

// Steps every operation in the run list. True if there was one.
static bool run_operations(struct iom_replay *replay, iom_cycle now)
{
    bool any = replay->run.head != IOM_REPLAY_NONE;
    while (replay->run.head != IOM_REPLAY_NONE) {
        uint32_t index = replay_list_pop(replay, &replay->run);
        replay->ops[index].queued = false;
        replay_step(replay, index, now);
    }
    return any;
}

// The processor: the stores of its call have to be out before the next call.
static bool run_processor(struct iom_replay *replay, iom_cycle now)
{
    iom_store_queue_pump(&replay->stores, now);
    if (replay_driver_busy(replay))
        return replay_driver_step(replay, now);
    if (!iom_store_queue_all_left(&replay->stores) || replay->busy_until > now || replay_exhausted(replay))
        return false;
    if (replay_driver_timer(replay, now))
        return true;
    if (replay->cpu.head == IOM_REPLAY_NONE)
        return false;
    const struct replay_record *record = &replay->records[replay->ops[replay->cpu.head].head];
    if (record->record.kind == IOM_TRACE_MAP && replay_driver_reuse(replay, &record->record, now))
        return true;
    replay_call(replay, replay_list_pop(replay, &replay->cpu), now);
    return true;
}

static bool run_devices(struct iom_replay *replay, iom_cycle now)
{
    bool any = false;
    for (uint32_t i = 0; i < replay->device_count; i++) {
        struct replay_device *device = &replay->devices[i];
        if (device->waiting.head == IOM_REPLAY_NONE || !replay_can_send(replay, device, now))
            continue;
        uint32_t index = replay_list_pop(replay, &device->waiting);
        replay->ops[index].wait = REPLAY_WAIT_NOTHING;
        replay_wake(replay, index);
        any = true;
    }
    return any;
}

static bool read_records(struct iom_replay *replay, iom_cycle now)
{
    if (replay_exhausted(replay))
        return false;
    bool ended = replay->end_of_trace;
    bool changed = replay_fill(replay, now);
    if (!ended && replay->end_of_trace) {
        for (uint32_t i = replay->oldest; i != IOM_REPLAY_NONE; i = replay->ops[i].newer)
            replay_wake(replay, i);
        changed = true;
    }
    return replay_begin(replay, now) || changed;
}

static bool idle(const struct iom_replay *replay)
{
    for (uint32_t i = 0; i < replay->device_count; i++) {
        if (replay->devices[i].waiting.head != IOM_REPLAY_NONE)
            return false;
    }
    return replay->in_flight == 0 && !replay_driver_busy(replay) &&
           iom_store_queue_pending(&replay->stores) == 0 && replay->cpu.head == IOM_REPLAY_NONE &&
           replay->latency.head == IOM_REPLAY_NONE && replay->ahead == IOM_REPLAY_NONE;
}

static void work(struct iom_replay *replay, iom_cycle now)
{
    for (;;) {
        bool changed = run_operations(replay, now);
        changed = run_processor(replay, now) || changed;
        changed = run_devices(replay, now) || changed;
        changed = read_records(replay, now) || changed;
        if (changed)
            continue;
        // Nothing moves and nothing is under way: records wait for each other in a circle.
        if (replay_exhausted(replay) || !idle(replay) || !replay_force(replay))
            return;
    }
}

// Timers. Answers and credits wake the unit by themselves.
static iom_cycle next_activity(struct iom_replay *replay, iom_cycle now)
{
    iom_cycle next = iom_store_queue_pump(&replay->stores, now);
    if (replay_driver_busy(replay) || !iom_replay_finished(replay))
        next = iom_min_u64(next, replay_driver_next(replay, now));
    if (replay_exhausted(replay))
        return next;
    if (replay->latency.head != IOM_REPLAY_NONE)
        next = iom_min_u64(next, replay->ops[replay->latency.head].ready_at);
    if (replay->cpu.head != IOM_REPLAY_NONE && iom_store_queue_all_left(&replay->stores))
        next = iom_min_u64(next, replay->busy_until);
    if (replay->ahead != IOM_REPLAY_NONE)
        next = iom_min_u64(next, replay_due(replay, &replay->records[replay->ahead].record));
    for (uint32_t i = 0; i < replay->device_count; i++) {
        const struct replay_device *device = &replay->devices[i];
        if (device->waiting.head != IOM_REPLAY_NONE && device->in_flight < replay->config.outstanding &&
            !replay->ports[FIRST_DMA_PORT + i].wants_credit)
            next = iom_min_u64(next, device->next_send);
    }
    return next;
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_replay *replay = (struct iom_replay *)(void *)unit;
    take_answers(replay, now);
    if (replay->config.driver.present && !replay->driver.ready) {
        iom_cycle again = replay_driver_start(replay, now);
        if (!replay->driver.ready)
            return again == IOM_NEVER ? IOM_NEVER : iom_unit_edge(unit, iom_max_u64(again, now + 1));
    }
    if (replay->config.start > now)
        return replay->config.start == IOM_NEVER ? IOM_NEVER : iom_unit_edge(unit, replay->config.start);
    end_latencies(replay, now);
    work(replay, now);
    if (replay->config.driver.on_finished != NULL && !replay->driver.finished &&
        iom_replay_finished(replay)) {
        replay->driver.finished = true;
        replay->config.driver.on_finished(replay->config.hook_context, now);
    }
    iom_cycle next = next_activity(replay, now);
    return next == IOM_NEVER ? IOM_NEVER : iom_unit_edge(unit, iom_max_u64(next, now + 1));
}

// ---- unit --------------------------------------------------------------------------------------------

static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_replay *replay = (const struct iom_replay *)(const void *)unit;
    uint64_t flying = replay->in_flight + iom_store_queue_pending(&replay->stores);
    flying += replay->driver.mmio_in_flight;
    bool waiting = !replay_exhausted(replay) && replay->config.start != IOM_NEVER;
    return flying + (waiting ? replay->records_held : 0);
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_replay *replay = (const struct iom_replay *)(const void *)unit;
    snprintf(text, text_bytes,
             "record %llu: %u operation(s) in progress, %u DMA in flight, %llu store(s) pending, %u "
             "record(s) held",
             (unsigned long long)iom_trace_reader_position(replay->reader), (unsigned)replay->active,
             (unsigned)replay->in_flight, (unsigned long long)iom_store_queue_pending(&replay->stores),
             (unsigned)replay->records_held);
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_replay *replay = (struct iom_replay *)(void *)unit;
    static const char *const calls[] = {"host_map", "host_unmap", "host_flush_timer"};
    if (index == 0) {
        *block = IOM_STAT_BLOCK("replay", stat_infos, &replay->stats);
        return true;
    }
    if (!replay->config.driver.present || index > sizeof calls / sizeof calls[0])
        return false;
    *block = IOM_STAT_BLOCK(calls[index - 1], call_infos, &replay->driver.stats[index - 1]);
    return true;
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_replay *replay = (struct iom_replay *)(void *)unit;
    memset(&replay->stats, 0, sizeof replay->stats);
    memset(replay->driver.stats, 0, sizeof replay->driver.stats);
    replay->stats.most_operations = replay->active;
    replay->stats.most_outstanding = replay->in_flight;
    replay->stats.most_records_held = replay->records_held;
}

IOM_UNIT_DESTROY(struct iom_replay, iom_replay_destroy)

static const struct iom_unit_ops replay_ops = {
    .kind = "replay",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life --------------------------------------------------------------------------------------------

static void set_defaults(struct iom_replay *replay)
{
    struct iom_replay_config *config = &replay->config;
    uint32_t recorded = iom_trace_reader_header(replay->reader)->queue_depth;
    if (config->data_outstanding == 0)
        config->data_outstanding = DEFAULT_DATA_OUTSTANDING;
    if (config->outstanding == 0)
        config->outstanding = DEFAULT_OUTSTANDING;
    if (config->scale_numerator == 0 || config->scale_denominator == 0)
        config->scale_numerator = config->scale_denominator = 1;
    replay->depth = config->queue_depth != 0 ? config->queue_depth : recorded != 0 ? recorded : 1;
}

static bool make_devices(struct iom_replay *replay)
{
    const struct iom_trace_entries *list = &iom_trace_reader_header(replay->reader)->list[IOM_TRACE_DEVICES];
    replay->devices = calloc(list->count, sizeof *replay->devices);
    replay->ports = calloc(list->count + (size_t)2, sizeof *replay->ports);
    if (replay->devices == NULL || replay->ports == NULL)
        return false;
    replay->device_count = list->count;
    for (uint32_t i = 0; i < list->count; i++) {
        replay->devices[i].id = (uint32_t)list->entry[i].number;
        replay->devices[i].source = replay->devices[i].id & UINT16_MAX;
    }
    return true;
}

static void init_ports(struct iom_replay *replay, const char *name)
{
    uint32_t mmio = FIRST_DMA_PORT + replay->device_count;
    bool driver = replay->config.driver.present;
    iom_unit_init(&replay->unit, &replay_ops, name, replay->ports, mmio + driver);
    if (driver)
        iom_port_init(&replay->unit, mmio, "mmio", true);
    iom_port_init(&replay->unit, MEMORY_PORT, "memory", true);
    for (uint32_t i = 0; i < replay->device_count; i++)
        iom_port_init(&replay->unit, FIRST_DMA_PORT + i, "dma", true);
    iom_store_queue_init(&replay->stores, &replay->ports[MEMORY_PORT], replay->config.store_cycles);
    iom_pool_init(&replay->pool, IOM_MSG_DMA, sizeof(struct iom_dma));
}

struct iom_replay *iom_replay_create(const struct iom_replay_config *config, struct iom_trace_reader *reader,
                                     struct iom_mapper *mapper, const char *name,
                                     struct iom_trace_error *error)
{
    struct iom_trace_error ignored;
    struct iom_trace_error *text = error != NULL ? error : &ignored;
    uint32_t devices = iom_trace_reader_header(reader)->list[IOM_TRACE_DEVICES].count;
    if (devices == 0 || devices > DEVICES_LIMIT) {
        snprintf(text->text, sizeof text->text,
                 "the trace lists %u devices; a replay takes 1 to %u (trace import --device keeps one)",
                 (unsigned)devices, DEVICES_LIMIT);
        return NULL;
    }
    snprintf(text->text, sizeof text->text, "out of memory");
    struct iom_replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL)
        return NULL;
    replay->config = *config;
    replay->reader = reader;
    replay->mapper = mapper;
    set_defaults(replay);
    if (!make_devices(replay) || !replay_window_init(replay)) {
        iom_replay_destroy(replay);
        return NULL;
    }
    init_ports(replay, name);
    const char *problem = config->driver.present ? replay_driver_init(replay) : NULL;
    if (problem != NULL) {
        snprintf(text->text, sizeof text->text, "%s", problem);
        iom_replay_destroy(replay);
        return NULL;
    }
    struct iom_store_sink sink = iom_store_queue_sink(&replay->stores);
    iom_mapper_set_sink(mapper, &sink);
    return replay;
}

void iom_replay_destroy(struct iom_replay *replay)
{
    if (replay == NULL)
        return;
    iom_store_queue_free(&replay->stores);
    iom_pool_free(&replay->pool);
    replay_window_free(replay);
    replay_driver_free(replay);
    free(replay->devices);
    free(replay->ports);
    free(replay);
}

struct iom_unit *iom_replay_unit(struct iom_replay *replay)
{
    return &replay->unit;
}

struct iom_port *iom_replay_memory_port(struct iom_replay *replay)
{
    return &replay->ports[MEMORY_PORT];
}

struct iom_port *iom_replay_mmio_port(struct iom_replay *replay)
{
    return &replay->ports[replay->unit.port_count - 1];
}

uint32_t iom_replay_device_count(const struct iom_replay *replay)
{
    return replay->device_count;
}

struct iom_port *iom_replay_device_port(struct iom_replay *replay, uint32_t index)
{
    return &replay->ports[FIRST_DMA_PORT + index];
}

// ---- before the run ----------------------------------------------------------------------------------

static bool is_prologue(const struct iom_trace_record *record)
{
    return record->kind == IOM_TRACE_ATTACH ||
           (record->kind == IOM_TRACE_MAP && (record->flags & IOM_TRACE_SYNTHETIC) != 0);
}

static bool carry_out_early(struct iom_replay *replay, const struct replay_record *record,
                            struct iom_trace_error *error)
{
    enum iom_mapper_result result = replay_map_record(replay, &record->record);
    if (result == IOM_MAPPER_OK)
        return true;
    const char *why = result == IOM_MAPPER_NO_MEMORY
                          ? "no memory left for translation tables; raise memory.size"
                      : record->record.kind == IOM_TRACE_ATTACH
                          ? "the IOMMU's tables cannot express this attachment (PASID or domain number)"
                          : "the IOMMU's tables cannot express this mapping (address too wide)";
    if (error != NULL)
        snprintf(error->text, sizeof error->text, "record %llu of the trace: %s",
                 (unsigned long long)record->position, why);
    return false;
}

bool iom_replay_prepare(struct iom_replay *replay, struct iom_memory_image *image,
                        struct iom_trace_error *error)
{
    struct iom_store_sink sink = iom_mapper_image_sink(image);
    struct iom_store_sink later = iom_store_queue_sink(&replay->stores);
    iom_mapper_set_sink(replay->mapper, &sink);
    bool good = true;
    while (good && replay_read(replay)) {
        const struct replay_record *record = &replay->records[replay->ahead];
        if (!is_prologue(&record->record))
            break;
        good = carry_out_early(replay, record, error);
        if (replay->config.driver.present && record->record.kind == IOM_TRACE_ATTACH)
            replay_driver_attached(replay, &record->record);
        replay->stats.premaps += record->record.kind == IOM_TRACE_MAP;
        replay->stats.records++;
        replay_drop_ahead(replay);
    }
    iom_mapper_set_sink(replay->mapper, &later);
    if (good && replay->failed) {
        good = false;
        if (error != NULL)
            memcpy(error->text, replay->error, sizeof error->text);
    }
    return good;
}

void iom_replay_start(struct iom_replay *replay, iom_cycle cycle)
{
    assert(replay->config.start == IOM_NEVER);
    replay->config.start = iom_unit_edge(&replay->unit, cycle);
    iom_unit_wake(&replay->unit, replay->config.start);
}

bool iom_replay_finished(const struct iom_replay *replay)
{
    if (replay->in_flight != 0 || iom_store_queue_pending(&replay->stores) != 0 || replay_driver_busy(replay))
        return false;
    return replay_exhausted(replay) ||
           (replay->end_of_trace && replay->records_held == 0 && replay->active == 0);
}

const char *iom_replay_error(const struct iom_replay *replay)
{
    return replay->failed ? replay->error : NULL;
}

const struct iom_replay_stats *iom_replay_stats_of(const struct iom_replay *replay)
{
    return &replay->stats;
}
