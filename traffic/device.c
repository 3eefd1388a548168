// SPDX-License-Identifier: Apache-2.0
//
// The endpoint device unit. Rules of sending are in device.h.
#include "traffic/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dma.h"
#include "core/unit_stats.h"

// Operation k may begin in cycle floor(floor(k / burst) * burst * rate_cycles / rate_requests): the schedule
// advances burst by burst, with the remainder carried so that it never drifts.
struct schedule {
    iom_cycle due;        // tick in which the current burst becomes due
    uint64_t left;        // operations of the burst not yet begun
    uint64_t whole, rest; // cycles from burst to burst: whole + rest / rate_requests
    uint64_t carried;     // sum of rests below rate_requests
};

struct iom_device {
    struct iom_unit unit; // first member: the unit is the device
    struct iom_port port;
    struct iom_device_config config;
    struct iom_generator *generator;
    bool listens;
    bool more;    // the generator has something to go on with at once
    bool blocked; // it could not begin an operation: wait for an answer
    uint32_t in_flight;
    uint64_t sent, begun, completed; // since the start, whatever happens to the statistics
    iom_cycle next_issue;
    iom_cycle interval; // ticks
    struct schedule schedule;
    struct iom_pool pool;
    struct iom_device_stats stats;
};

#define IOM_STAT_OWNER struct iom_device_stats
static const struct iom_stat_info stat_infos[] = {IOM_DEVICE_STATS(IOM_STAT_INFO)};

// ---- offered load ------------------------------------------------------------------------------------

static void start_schedule(struct iom_device *device, iom_cycle start)
{
    struct schedule *schedule = &device->schedule;
    uint64_t cycles = device->config.rate_cycles * device->config.burst;
    schedule->due = start;
    schedule->left = UINT64_MAX; // no rate: one burst without end
    schedule->carried = 0;
    if (device->config.rate_requests != 0) {
        schedule->left = device->config.burst;
        schedule->whole = cycles / device->config.rate_requests;
        schedule->rest = cycles % device->config.rate_requests;
    }
}

static void count_begin(struct iom_device *device)
{
    struct schedule *schedule = &device->schedule;
    device->begun++;
    device->stats.operations++;
    if (--schedule->left != 0)
        return;
    uint64_t cycles = schedule->whole;
    schedule->carried += schedule->rest;
    if (schedule->carried >= device->config.rate_requests) {
        schedule->carried -= device->config.rate_requests;
        cycles++;
    }
    schedule->due += iom_unit_ticks(&device->unit, cycles);
    schedule->left = device->config.burst;
}

// Tick from which another operation may begin; IOM_NEVER after the last.
static iom_cycle begin_due(const struct iom_device *device)
{
    if (device->begun == device->config.operations)
        return IOM_NEVER;
    return device->schedule.due;
}

// ---- sending -----------------------------------------------------------------------------------------

static bool exhausted(const struct iom_device *device)
{
    return device->sent == device->config.requests;
}

static void send(struct iom_device *device, const struct iom_traffic_request *request, struct iom_dma *dma,
                 iom_cycle now)
{
    dma->x.address = request->iova;
    dma->x.bytes = request->bytes;
    dma->x.source = request->source;
    dma->x.pasid = request->pasid;
    dma->x.flags = request->flags;
    dma->x.next = IOM_LOOKUP_CONTEXT;
    dma->x.outcome = IOM_OUTCOME_NONE;
    dma->id = device->sent;
    dma->cookie = request->token;
    dma->issued = now; // the front end of the IOMMU sets all further times and parts
    dma->memory_error = 0;
    dma->data = NULL;
    iom_port_send(&device->port, &dma->msg, now);

    device->sent++;
    device->stats.requests++;
    bool write = (request->flags & IOM_REQ_WRITE) != 0;
    device->stats.writes += write;
    device->stats.reads += !write;
    if (++device->in_flight > device->stats.most_outstanding)
        device->stats.most_outstanding = device->in_flight;
    device->next_issue = now + device->interval;
    device->more = request->more;
    if (request->first)
        count_begin(device);
}

// Sends at most one request (the interval is at least one cycle).
static void issue(struct iom_device *device, iom_cycle now)
{
    if (device->next_issue > now || device->in_flight == device->config.outstanding || exhausted(device))
        return;
    bool start = begin_due(device) <= now && !device->blocked;
    bool going_on = device->more || (device->listens && iom_generator_due(device->generator) <= now);
    if (!start && !going_on)
        return;
    if (!iom_port_can_send(&device->port, now))
        return;
    struct iom_traffic_request request;
    if (!iom_generator_next(device->generator, now, start, &request)) {
        // Asked once: another attempt must not depend on how often the unit happens to be called.
        device->more = false;
        device->blocked = device->blocked || start;
        return;
    }
    struct iom_dma *dma = iom_pool_take(&device->pool);
    if (dma == NULL)
        abort(); // bounded by `outstanding`; a few kilobytes
    send(device, &request, dma, now);
}

// ---- results -----------------------------------------------------------------------------------------

static bool count_outcome(struct iom_device *device, const struct iom_dma *dma)
{
    struct iom_device_stats *stats = &device->stats;
    switch ((enum iom_outcome)dma->x.outcome) {
    case IOM_OUTCOME_ADDRESS:
        stats->translated++;
        break;
    case IOM_OUTCOME_BYPASS:
        stats->bypassed++;
        break;
    case IOM_OUTCOME_INTERRUPT:
    case IOM_OUTCOME_MRIF:
        stats->interrupts++;
        break;
    case IOM_OUTCOME_FAULT:
    case IOM_OUTCOME_DENIED:
    case IOM_OUTCOME_NONE:
    case IOM_OUTCOME_PAGE: // this device sends none
    case IOM_OUTCOME_RETRY:
        stats->faults++;
        return false;
    }
    if (dma->memory_error) {
        stats->memory_errors++;
        return false;
    }
    *((dma->x.flags & IOM_REQ_WRITE) != 0 ? &stats->bytes_written : &stats->bytes_read) += dma->x.bytes;
    return true;
}

static void collect(struct iom_device *device, struct iom_dma *dma, iom_cycle now)
{
    bool good = count_outcome(device, dma);
    device->in_flight--;
    device->completed++;
    device->stats.completed++;
    iom_histogram_add(&device->stats.latency, now - dma->issued);
    uint64_t token = dma->cookie;
    iom_msg_release(&dma->msg);
    if (!device->listens)
        return;
    device->blocked = false;
    struct iom_generator_end end;
    enum iom_generator_progress progress =
        iom_generator_completed(device->generator, now, token, !good, &end);
    if (progress == IOM_GENERATOR_GOING_ON)
        return;
    device->stats.operations_done++;
    if (progress == IOM_GENERATOR_ABORTED)
        device->stats.operations_aborted++;
    else
        device->stats.payload_bytes += end.bytes;
    iom_histogram_add(&device->stats.operation_latency, now - end.started);
}

// ---- unit --------------------------------------------------------------------------------------------

// When the device can send again without an answer or a credit coming in.
static iom_cycle next_activity(const struct iom_device *device, iom_cycle now)
{
    if (device->in_flight == device->config.outstanding || exhausted(device) || device->port.wants_credit)
        return IOM_NEVER;
    iom_cycle next = IOM_NEVER;
    if (device->more)
        next = 0;
    else if (device->listens)
        next = iom_generator_due(device->generator);
    if (!device->blocked)
        next = iom_min_u64(next, begin_due(device));
    if (next == IOM_NEVER)
        return IOM_NEVER;
    return iom_unit_edge(&device->unit, iom_max_u64(iom_max_u64(next, device->next_issue), now + 1));
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_device *device = (struct iom_device *)(void *)unit;
    struct iom_msg *msg = iom_port_peek(&device->port, now);
    if (msg != NULL) {
        do {
            iom_port_pop(&device->port);
            collect(device, (struct iom_dma *)(void *)msg, now);
            msg = iom_port_peek(&device->port, now);
        } while (msg != NULL);
        if (device->listens)
            device->more = true; // an answer may have made a request ready
        if (device->config.on_completed != NULL)
            device->config.on_completed(device->config.on_completed_context, device->completed);
    }
    if (device->config.start > now)
        return device->config.start == IOM_NEVER ? IOM_NEVER : iom_unit_edge(unit, device->config.start);
    if (device->schedule.left == 0) {
        device->interval = iom_unit_ticks(unit, device->config.issue_interval);
        start_schedule(device, iom_unit_edge(unit, device->config.start));
    }
    issue(device, now);
    return next_activity(device, now);
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    return ((const struct iom_device *)(const void *)unit)->in_flight;
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_device *device = (const struct iom_device *)(const void *)unit;
    snprintf(text, text_bytes, "waits for the results of %u DMA request(s), %llu sent",
             (unsigned)device->in_flight, (unsigned long long)device->sent);
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_device *device = (struct iom_device *)(void *)unit;
    if (index != 0)
        return false;
    *block = IOM_STAT_BLOCK("device", stat_infos, &device->stats);
    return true;
}

static void reset_stats(struct iom_unit *unit)
{
    iom_device_reset_stats((struct iom_device *)(void *)unit);
}

IOM_UNIT_DESTROY(struct iom_device, iom_device_destroy)

static const struct iom_unit_ops device_ops = {
    .kind = "device",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life --------------------------------------------------------------------------------------------

const char *iom_device_config_error(const struct iom_device_config *config)
{
    if (config->outstanding == 0)
        return "outstanding: must be at least 1";
    if (config->rate_requests != 0 && config->rate_cycles == 0)
        return "rate_cycles: must be at least 1";
    if (config->rate_cycles > UINT64_C(1) << 32 || config->burst > UINT32_C(1) << 30 ||
        config->rate_requests > UINT64_C(1) << 62)
        return "rate_cycles, burst, rate_requests: too large";
    return NULL;
}

struct iom_device *iom_device_create(const struct iom_device_config *config, struct iom_generator *generator,
                                     const char *name)
{
    struct iom_device *device = NULL;
    if (generator != NULL && iom_device_config_error(config) == NULL)
        device = calloc(1, sizeof *device);
    if (device == NULL) {
        iom_generator_destroy(generator);
        return NULL;
    }
    device->config = *config;
    if (device->config.issue_interval == 0)
        device->config.issue_interval = 1;
    if (device->config.burst == 0)
        device->config.burst = 1;
    if (device->config.requests == 0)
        device->config.requests = UINT64_MAX;
    if (device->config.operations == 0)
        device->config.operations = UINT64_MAX;
    device->generator = generator;
    device->listens = iom_generator_listens(generator);
    iom_pool_init(&device->pool, IOM_MSG_DMA, sizeof(struct iom_dma));
    iom_unit_init(&device->unit, &device_ops, name, &device->port, 1);
    iom_port_init(&device->unit, 0, "out", true);
    return device;
}

void iom_device_destroy(struct iom_device *device)
{
    if (device == NULL)
        return;
    iom_generator_destroy(device->generator);
    iom_pool_free(&device->pool);
    free(device);
}

struct iom_unit *iom_device_unit(struct iom_device *device)
{
    return &device->unit;
}

struct iom_port *iom_device_port(struct iom_device *device)
{
    return &device->port;
}

void iom_device_start(struct iom_device *device, iom_cycle cycle)
{
    assert(device->config.start == IOM_NEVER);
    device->config.start = iom_unit_edge(&device->unit, cycle);
    iom_unit_wake(&device->unit, device->config.start);
}

bool iom_device_finished(const struct iom_device *device)
{
    if (device->in_flight != 0 || device->config.start == IOM_NEVER)
        return false;
    if (exhausted(device))
        return true;
    return device->begun == device->config.operations && !device->more &&
           (!device->listens || iom_generator_due(device->generator) == IOM_NEVER);
}

const struct iom_device_stats *iom_device_stats_of(const struct iom_device *device)
{
    return &device->stats;
}

void iom_device_reset_stats(struct iom_device *device)
{
    memset(&device->stats, 0, sizeof device->stats);
    device->stats.most_outstanding = device->in_flight;
}
