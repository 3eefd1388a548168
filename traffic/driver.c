// SPDX-License-Identifier: Apache-2.0
//
// The host thread that programs the registers and maps and unmaps. Timing rules are in driver.h.
#include "traffic/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/store_queue.h"

// Linux gives a register 10 s; no simulated one needs more than a few reads.
#define POLL_LIMIT 1000000u

enum phase {
    PHASE_WRITE, ///< the next register write is to be sent
    PHASE_WROTE, ///< waits for its completion
    PHASE_POLL,  ///< a status read is to be sent at `poll_at`
    PHASE_READ,  ///< waits for its answer
    PHASE_READY, ///< bring-up is over
};

struct job {
    struct iom_driver_job what;
    iom_cycle begun;
    uint64_t unacknowledged; // stores
};

struct iom_driver {
    struct iom_unit unit; // first member: the unit is the driver
    struct iom_port ports[IOM_DRIVER_PORTS];
    struct iom_driver_config config;
    struct iom_mapper *mapper;

    enum phase phase;
    struct iom_register_write *steps;
    size_t step_count, step;
    uint32_t polls;
    iom_cycle poll_at, bring_up_from;
    struct iom_pool mmio_pool;
    uint32_t mmio_in_flight;

    struct job *jobs;
    size_t job_count, job_capacity;
    size_t job;           // next to begin
    iom_cycle busy_until; // the call in progress lasts at least so long
    struct iom_store_queue stores;

    char error[160];
    struct iom_driver_stats stats;
};

#define IOM_STAT_OWNER struct iom_driver_stats
static const struct iom_stat_info stat_infos[] = {IOM_DRIVER_STATS(IOM_STAT_INFO)};

static void give_up(struct iom_driver *driver, const char *text)
{
    if (driver->error[0] == '\0')
        snprintf(driver->error, sizeof driver->error, "%s: %s", driver->unit.name, text);
    driver->step = driver->step_count;
    driver->phase = PHASE_READY;
    driver->job = driver->job_count;
}

// ---- bring-up ----------------------------------------------------------------------------------------

static void become_ready(struct iom_driver *driver, iom_cycle now)
{
    driver->phase = PHASE_READY;
    driver->stats.bring_up_cycles = now - driver->bring_up_from;
    driver->busy_until = now;
    if (driver->config.on_ready != NULL)
        driver->config.on_ready(driver->config.on_ready_context, now);
}

static bool send_mmio(struct iom_driver *driver, bool write, iom_cycle now)
{
    struct iom_port *port = &driver->ports[IOM_DRIVER_MMIO];
    if (!iom_port_can_send(port, now))
        return false;
    const struct iom_register_write *step = &driver->steps[driver->step];
    struct iom_mmio *mmio = iom_pool_take(&driver->mmio_pool);
    if (mmio == NULL) {
        give_up(driver, "out of memory");
        return false;
    }
    mmio->write = write;
    mmio->offset = write ? step->offset : step->poll_offset;
    mmio->bytes = write ? step->bytes : step->poll_bytes;
    mmio->value = write ? step->value : 0;
    mmio->cookie = 0;
    iom_port_send(port, &mmio->msg, now);
    driver->mmio_in_flight++;
    *(write ? &driver->stats.register_writes : &driver->stats.register_reads) += 1;
    return true;
}

static void next_step(struct iom_driver *driver, iom_cycle now)
{
    driver->phase = PHASE_WRITE;
    if (++driver->step == driver->step_count)
        become_ready(driver, now);
}

static void take_mmio(struct iom_driver *driver, const struct iom_mmio *mmio, iom_cycle now)
{
    if (driver->phase == PHASE_READY)
        return; // gave up in between
    const struct iom_register_write *step = &driver->steps[driver->step];
    if (driver->phase == PHASE_WROTE) {
        driver->polls = 0;
        driver->poll_at = now;
        driver->phase = PHASE_POLL;
        if (step->poll_bytes == 0)
            next_step(driver, now);
    } else if ((mmio->value & step->poll_mask) == step->poll_value) {
        next_step(driver, now);
    } else if (++driver->polls == POLL_LIMIT) {
        give_up(driver, "a register does not show the awaited status");
    } else {
        driver->poll_at = now + iom_unit_ticks(&driver->unit, driver->config.poll_cycles);
        driver->phase = PHASE_POLL;
    }
}

static iom_cycle advance_bring_up(struct iom_driver *driver, iom_cycle now)
{
    if (driver->phase == PHASE_WRITE && send_mmio(driver, true, now))
        driver->phase = PHASE_WROTE;
    if (driver->phase != PHASE_POLL)
        return IOM_NEVER;
    if (driver->poll_at > now)
        return driver->poll_at;
    if (send_mmio(driver, false, now))
        driver->phase = PHASE_READ;
    return IOM_NEVER;
}

// ---- jobs --------------------------------------------------------------------------------------------

static void finish_call(struct iom_driver *driver, const struct job *job, iom_cycle now)
{
    bool map = job->what.kind == IOM_DRIVER_MAP;
    iom_histogram_add(map ? &driver->stats.map_latency : &driver->stats.unmap_latency, now - job->begun);
}

static void begin_job(struct iom_driver *driver, iom_cycle now)
{
    struct job *job = &driver->jobs[driver->job];
    const struct iom_driver_job *what = &job->what;
    bool map = what->kind == IOM_DRIVER_MAP;
    uint32_t call = map ? driver->config.map_cycles : driver->config.unmap_cycles;
    struct iom_store_sink sink = iom_store_queue_sink(&driver->stores);
    struct iom_mapper_work work = {0};
    enum iom_mapper_result result;
    uint64_t before = iom_store_queue_pending(&driver->stores);

    job->begun = now;
    driver->busy_until = now + iom_unit_ticks(&driver->unit, call);
    iom_store_queue_open(&driver->stores, driver->job, driver->busy_until);
    iom_mapper_set_sink(driver->mapper, &sink);
    if (map)
        result = iom_mapper_map(driver->mapper, what->domain, what->iova, what->address, what->bytes,
                                what->permissions, what->page_log2, &work);
    else
        result = iom_mapper_unmap(driver->mapper, what->domain, what->iova, what->bytes, &work);
    job->unacknowledged = iom_store_queue_pending(&driver->stores) - before;
    driver->stats.stores += job->unacknowledged;
    *(map ? &driver->stats.maps : &driver->stats.unmaps) += 1;
    *(map ? &driver->stats.pages_mapped : &driver->stats.pages_unmapped) += work.pages;
    driver->stats.failed += result != IOM_MAPPER_OK;
    driver->job++;
    if (result == IOM_MAPPER_NO_MEMORY)
        give_up(driver, "no memory left for translation tables");
    else if (job->unacknowledged == 0)
        finish_call(driver, job, driver->busy_until);
}

static iom_cycle advance_jobs(struct iom_driver *driver, iom_cycle now)
{
    for (;;) {
        iom_cycle next = iom_store_queue_pump(&driver->stores, now);
        if (!iom_store_queue_all_left(&driver->stores) || driver->job == driver->job_count)
            return next;
        iom_cycle begin = iom_max_u64(driver->busy_until, driver->jobs[driver->job].what.due);
        if (begin > now)
            return begin;
        begin_job(driver, now);
    }
}

static void take_acknowledgement(struct iom_driver *driver, struct iom_msg *msg, iom_cycle now)
{
    bool error = false;
    struct job *job = &driver->jobs[iom_store_queue_acknowledge(&driver->stores, msg, &error)];
    if (error)
        give_up(driver, "a store to a translation table went to an address that does not answer");
    if (--job->unacknowledged == 0)
        finish_call(driver, job, now);
}

// ---- unit --------------------------------------------------------------------------------------------

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_driver *driver = (struct iom_driver *)(void *)unit;
    struct iom_port *memory = &driver->ports[IOM_DRIVER_MEMORY], *mmio = &driver->ports[IOM_DRIVER_MMIO];
    while (iom_port_peek(memory, now) != NULL)
        take_acknowledgement(driver, iom_port_pop(memory), now);
    while (iom_port_peek(mmio, now) != NULL) {
        struct iom_msg *msg = iom_port_pop(mmio);
        driver->mmio_in_flight--;
        take_mmio(driver, (const struct iom_mmio *)(void *)msg, now);
        iom_msg_release(msg);
    }
    if (now < driver->config.start)
        return driver->config.start == IOM_NEVER ? IOM_NEVER : iom_unit_edge(unit, driver->config.start);
    if (driver->bring_up_from == IOM_NEVER)
        driver->bring_up_from = now;
    if (driver->phase != PHASE_READY && driver->step == driver->step_count)
        become_ready(driver, now);
    iom_cycle next = driver->phase == PHASE_READY ? advance_jobs(driver, now) : advance_bring_up(driver, now);
    return next == IOM_NEVER ? IOM_NEVER : iom_unit_edge(unit, iom_max_u64(next, now + 1));
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_driver *driver = (const struct iom_driver *)(const void *)unit;
    return driver->mmio_in_flight + iom_store_queue_pending(&driver->stores);
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_driver *driver = (const struct iom_driver *)(const void *)unit;
    if (driver->phase != PHASE_READY)
        snprintf(text, text_bytes, "brings the IOMMU up: step %zu of %zu, register 0x%x", driver->step + 1,
                 driver->step_count, (unsigned)driver->steps[driver->step].offset);
    else
        snprintf(text, text_bytes, "has %llu store(s) to tables queued or in flight",
                 (unsigned long long)iom_store_queue_pending(&driver->stores));
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_driver *driver = (struct iom_driver *)(void *)unit;
    if (index != 0)
        return false;
    *block = (struct iom_stat_block){"driver", stat_infos, sizeof stat_infos / sizeof stat_infos[0],
                                     &driver->stats};
    return true;
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_driver *driver = (struct iom_driver *)(void *)unit;
    memset(&driver->stats, 0, sizeof driver->stats);
}

static void destroy(struct iom_unit *unit)
{
    iom_driver_destroy((struct iom_driver *)(void *)unit);
}

static const struct iom_unit_ops driver_ops = {
    .kind = "driver",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life --------------------------------------------------------------------------------------------

static bool list_steps(struct iom_driver *driver)
{
    const struct iom_software_ops *ops = iom_mapper_software_ops(driver->mapper);
    const struct iom_software *software = iom_mapper_software(driver->mapper);
    driver->step_count = ops->startup(software, NULL, 0);
    driver->steps = calloc(driver->step_count + 1, sizeof *driver->steps);
    return driver->steps != NULL &&
           ops->startup(software, driver->steps, driver->step_count) == driver->step_count;
}

struct iom_driver *iom_driver_create(const struct iom_driver_config *config, struct iom_mapper *mapper,
                                     const char *name)
{
    struct iom_driver *driver = calloc(1, sizeof *driver);
    if (driver == NULL)
        return NULL;
    driver->config = *config;
    if (driver->config.poll_cycles == 0)
        driver->config.poll_cycles = 1;
    driver->mapper = mapper;
    driver->bring_up_from = IOM_NEVER;
    iom_unit_init(&driver->unit, &driver_ops, name, driver->ports, IOM_DRIVER_PORTS);
    iom_port_init(&driver->unit, IOM_DRIVER_MEMORY, "memory", true);
    iom_port_init(&driver->unit, IOM_DRIVER_MMIO, "mmio", true);
    iom_pool_init(&driver->mmio_pool, IOM_MSG_MMIO, sizeof(struct iom_mmio));
    iom_store_queue_init(&driver->stores, &driver->ports[IOM_DRIVER_MEMORY], config->store_cycles);
    if (config->bring_up && !list_steps(driver)) {
        iom_driver_destroy(driver);
        return NULL;
    }
    return driver;
}

void iom_driver_destroy(struct iom_driver *driver)
{
    if (driver == NULL)
        return;
    iom_store_queue_free(&driver->stores);
    iom_pool_free(&driver->mmio_pool);
    free(driver->steps);
    free(driver->jobs);
    free(driver);
}

struct iom_unit *iom_driver_unit(struct iom_driver *driver)
{
    return &driver->unit;
}

struct iom_port *iom_driver_port(struct iom_driver *driver, enum iom_driver_port port)
{
    return &driver->ports[port];
}

enum iom_mapper_result
iom_driver_premap(struct iom_mapper *mapper, struct iom_memory_image *image,
                  const struct iom_generator *generator,
                  uint32_t (*domain_of)(void *context, uint32_t source, uint32_t pasid), void *context)
{
    struct iom_store_sink sink = iom_mapper_image_sink(image);
    struct iom_traffic_range range;
    iom_mapper_set_sink(mapper, &sink);
    for (uint32_t i = 0; iom_generator_range(generator, i, &range); i++) {
        uint32_t domain = domain_of(context, range.source, range.has_pasid ? range.pasid : IOM_NO_PASID);
        enum iom_mapper_result result = iom_mapper_map_range(mapper, domain, &range, NULL);
        if (result != IOM_MAPPER_OK)
            return result;
    }
    return IOM_MAPPER_OK;
}

bool iom_driver_add_job(struct iom_driver *driver, const struct iom_driver_job *job)
{
    if (driver->job_count == driver->job_capacity) {
        size_t wanted = driver->job_capacity != 0 ? driver->job_capacity * 2 : 16;
        struct job *grown = realloc(driver->jobs, wanted * sizeof *grown);
        if (grown == NULL)
            return false;
        driver->jobs = grown;
        driver->job_capacity = wanted;
    }
    driver->jobs[driver->job_count++] = (struct job){.what = *job};
    struct iom_unit *unit = &driver->unit;
    if (unit->group != NULL && unit->group->started)
        iom_unit_wake(unit, iom_unit_edge(unit, unit->group->wheel.now + 1));
    return true;
}

bool iom_driver_ready(const struct iom_driver *driver)
{
    return driver->phase == PHASE_READY && driver->error[0] == '\0';
}

bool iom_driver_finished(const struct iom_driver *driver)
{
    return driver->phase == PHASE_READY && driver->job == driver->job_count && driver->mmio_in_flight == 0 &&
           iom_store_queue_pending(&driver->stores) == 0;
}

const char *iom_driver_error(const struct iom_driver *driver)
{
    return driver->error[0] != '\0' ? driver->error : NULL;
}

const struct iom_driver_stats *iom_driver_stats_of(const struct iom_driver *driver)
{
    return &driver->stats;
}
