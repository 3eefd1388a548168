// SPDX-License-Identifier: Apache-2.0
//
// Making a host: checks of configuration and programs, memory for everything a run needs, the command
// queue's place in memory, the start-up list. See host.h.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/host_internal.h"

#define DEVICE_LIMIT 200u

struct complaint {
    char *text;
    size_t bytes;
};

static bool complain(const struct complaint *complaint, const char *format, ...)
{
    if (complaint->text != NULL && complaint->bytes != 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(complaint->text, complaint->bytes, format, arguments);
        va_end(arguments);
    }
    return false;
}

// ---- programs ----------------------------------------------------------------------------------------

enum need {
    NEED_DEVICE = 1u << 0,
    NEED_DOMAIN = 1u << 1,
    NEED_PASID = 1u << 2,
    NEED_LOCK = 1u << 3,
    NEED_EVENT = 1u << 4,
    NEED_BYTES = 1u << 5,
    NEED_QUEUE = 1u << 6,
    NEED_COUNT = 1u << 7,
};

static const uint8_t needs[IOM_HOST_OP_KINDS] = {
    [IOM_HOST_LOCK] = NEED_LOCK,
    [IOM_HOST_UNLOCK] = NEED_LOCK,
    [IOM_HOST_SIGNAL] = NEED_EVENT,
    [IOM_HOST_AWAIT] = NEED_EVENT,
    [IOM_HOST_TABLE_ATTACH] = NEED_DEVICE,
    [IOM_HOST_TABLE_DETACH] = NEED_DEVICE,
    [IOM_HOST_TABLE_MAP] = NEED_BYTES,
    [IOM_HOST_TABLE_UNMAP] = NEED_BYTES,
    [IOM_HOST_FLUSH] = NEED_QUEUE,
    [IOM_HOST_COMMAND] = NEED_QUEUE,
    [IOM_HOST_SUBMIT] = NEED_QUEUE,
    [IOM_HOST_SYNC] = NEED_QUEUE,
    [IOM_HOST_REQUEST] = NEED_DEVICE | NEED_BYTES,
    [IOM_HOST_REMOVE] = NEED_DEVICE,
    [IOM_HOST_MAP] = NEED_DOMAIN | NEED_BYTES,
    [IOM_HOST_UNMAP] = NEED_DOMAIN | NEED_QUEUE,
    [IOM_HOST_SG_MAP] = NEED_DOMAIN | NEED_BYTES | NEED_COUNT,
    [IOM_HOST_ATTACH] = NEED_DEVICE | NEED_DOMAIN,
    [IOM_HOST_DETACH] = NEED_DEVICE | NEED_QUEUE,
    [IOM_HOST_PASID_ATTACH] = NEED_DEVICE | NEED_DOMAIN | NEED_PASID,
    [IOM_HOST_PASID_DETACH] = NEED_DEVICE | NEED_PASID | NEED_QUEUE,
    [IOM_HOST_CONTEXT_CHANGE] = NEED_DEVICE | NEED_QUEUE,
    [IOM_HOST_FLUSH_ALL] = NEED_DOMAIN | NEED_QUEUE,
};

static const char *missing(const struct iom_host *host, const struct iom_host_op *op)
{
    const struct iom_host_config *config = &host->config;
    uint32_t need = needs[op->kind];
    bool locks = (need & NEED_LOCK) != 0 || (op->kind >= IOM_HOST_MAP &&
                                             (op->options & (IOM_HOST_LOCKED | IOM_HOST_LOCKED_CHANGE)) != 0);
    if ((need & NEED_DEVICE) != 0 && op->device >= config->device_count)
        return "there is no such device";
    if ((need & NEED_DOMAIN) != 0 && iom_host_domain_index(host, op->domain) == IOM_HOST_NOBODY)
        return "its domain is not among the host's domains";
    if (op->kind == IOM_HOST_CONTEXT_CHANGE && !config->pasid_tables &&
        iom_host_domain_index(host, op->domain) == IOM_HOST_NOBODY)
        return "its domain is not among the host's domains";
    if ((need & NEED_PASID) != 0 && op->pasid == IOM_NO_PASID)
        return "it needs a PASID";
    if (locks && op->object >= config->lock_count)
        return "there is no such lock";
    if ((op->options & IOM_HOST_LOCKED) != 0 && (op->options & IOM_HOST_LOCKED_CHANGE) != 0)
        return "it can hold its lock for the whole call or for the change, not both";
    if ((need & NEED_EVENT) != 0 && op->object >= config->event_count)
        return "there is no such event";
    if ((need & NEED_BYTES) != 0 && op->bytes == 0)
        return "it needs a number of bytes";
    if ((need & NEED_COUNT) != 0 && op->count == 0)
        return "it needs a number of segments";
    if ((need & NEED_QUEUE) != 0 && !host->queue.present)
        return "the architecture has no command queue";
    if (op->slot != IOM_HOST_NO_SLOT && op->slot >= config->slot_count)
        return "there is no such slot";
    if (op->kind == IOM_HOST_UNMAP && op->bytes == 0 && op->slot == IOM_HOST_NO_SLOT)
        return "it needs a number of bytes or a slot";
    if (op->kind == IOM_HOST_STORE && (!iom_is_power_of_two(op->width) || op->width > 8))
        return "its width must be 1, 2, 4 or 8 bytes";
    if (op->kind == IOM_HOST_CONTEXT_CHANGE && op->width != 0 &&
        (!iom_is_power_of_two(op->width) || op->width > 8))
        return "its width must be 0, 1, 2, 4 or 8 bytes";
    if (op->kind == IOM_HOST_REQUEST && op->iova % IOM_PAGE_BYTES + op->bytes > IOM_PAGE_BYTES)
        return "a DMA must not cross a 4 KiB page";
    if (op->kind == IOM_HOST_REGISTER && op->mmio.bytes != 4 && op->mmio.bytes != 8)
        return "a register has 4 or 8 bytes";
    return NULL;
}

static bool check_program(const struct iom_host *host, uint32_t index, const struct complaint *complaint)
{
    const struct iom_host_program *program = &host->threads[index].program;
    uint32_t depth = 0;
    for (uint32_t i = 0; i < program->count; i++) {
        const struct iom_host_op *op = &program->ops[i];
        if (op->kind >= IOM_HOST_OP_KINDS)
            return complain(complaint, "%s: operation %u: unknown kind", program->name, i);
        depth += op->kind == IOM_HOST_REPEAT;
        if (depth > IOM_HOST_LOOP_DEPTH)
            return complain(complaint, "%s: operation %u: more than %u nested repetitions", program->name, i,
                            IOM_HOST_LOOP_DEPTH);
        if (op->kind == IOM_HOST_END && depth-- == 0)
            return complain(complaint, "%s: operation %u: end without a repetition", program->name, i);
        const char *problem = missing(host, op);
        if (problem != NULL)
            return complain(complaint, "%s: operation %u: %s", program->name, i, problem);
    }
    if (depth != 0)
        return complain(complaint, "%s: a repetition has no end", program->name);
    if (program->count >= 1u << 24)
        return complain(complaint, "%s: more than 2^24 operations", program->name);
    return true;
}

// ---- parts -------------------------------------------------------------------------------------------

static void *zeroed(size_t count, size_t bytes)
{
    return calloc(count != 0 ? count : 1, bytes);
}

static bool make_domains(struct iom_host *host, const struct complaint *complaint)
{
    const struct iom_host_config *config = &host->config;
    for (uint32_t i = 0; i < config->domain_count; i++) {
        struct iom_host_domain_state *state = &host->domains[i];
        state->config = config->domains[i];
        state->timer = IOM_NEVER;
        if (iom_host_domain_index(host, state->config.id) != i)
            return complain(complaint, "domain %u is named twice", state->config.id);
        if (state->config.addresses != NULL) {
            struct iom_iova_config addresses = *state->config.addresses;
            if (addresses.cpus < config->cpus)
                addresses.cpus = config->cpus;
            state->addresses = iom_iova_create(&addresses);
            if (state->addresses == NULL)
                return complain(complaint, "domain %u: no addresses to allocate, or out of memory",
                                state->config.id);
        }
        if (state->config.policy.mode == IOM_FLUSH_STRICT)
            continue;
        state->queue = iom_flush_queue_create(&state->config.policy, config->cpus);
        if (state->queue == NULL)
            return complain(complaint, "domain %u: a flush queue needs a power of two entries, at least 2",
                            state->config.id);
    }
    return true;
}

static bool make_locks(struct iom_host *host)
{
    uint32_t count = host->config.lock_count + 1;
    host->queue_lock = host->config.lock_count;
    for (uint32_t i = 0; i < host->config.domain_count; i++) {
        host->domains[i].first_lock = count;
        count += host->domains[i].queue != NULL ? iom_flush_queue_count(host->domains[i].queue) : 0;
    }
    host->lock_count = count;
    host->locks = zeroed(count, sizeof *host->locks);
    if (host->locks == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct iom_host_lock *lock = &host->locks[i];
        lock->holder = IOM_HOST_NOBODY;
        lock->queue = zeroed(host->thread_count, sizeof *lock->queue);
        if (lock->queue == NULL)
            return false;
        if (i < host->config.lock_count && host->config.locks != NULL && host->config.locks[i] != NULL)
            snprintf(lock->group, sizeof lock->group, "lock_%s", host->config.locks[i]);
        else if (i == host->queue_lock)
            snprintf(lock->group, sizeof lock->group, "lock_queue");
        else
            snprintf(lock->group, sizeof lock->group, "lock_%u", i);
    }
    for (uint32_t i = 0; i < host->config.domain_count; i++) {
        const struct iom_host_domain_state *domain = &host->domains[i];
        for (uint32_t j = 0; domain->queue != NULL && j < iom_flush_queue_count(domain->queue); j++)
            snprintf(host->locks[domain->first_lock + j].group, sizeof host->locks[0].group,
                     "lock_flush_%u_%u", domain->config.id, j);
    }
    return true;
}

static bool make_threads(struct iom_host *host)
{
    for (uint32_t i = 0; i < host->thread_count; i++) {
        struct iom_host_thread *thread = &host->threads[i];
        bool timer = i + 1 == host->thread_count;
        thread->index = i;
        if (!timer)
            thread->program = host->config.programs[i];
        if (thread->program.name == NULL)
            thread->program.name = timer ? "flush timer" : "a thread";
        thread->wake = IOM_NEVER;
        thread->batch = zeroed((size_t)host->config.batch * IOM_COMMAND_WORDS, sizeof *thread->batch);
        thread->found = zeroed(host->config.attachments, sizeof *thread->found);
        thread->awaited = zeroed(host->config.event_count, sizeof *thread->awaited);
        thread->behind = zeroed(host->thread_count, sizeof *thread->behind);
        iom_store_queue_init(&thread->stores, &host->ports[IOM_HOST_PORT_MEMORY],
                             iom_max_u64(host->config.costs.store_cycles, 1));
        if (thread->batch == NULL || thread->found == NULL || thread->awaited == NULL ||
            thread->behind == NULL)
            return false;
    }
    return true;
}

static bool make_queue(struct iom_host *host, const struct complaint *complaint)
{
    struct iom_host_queue *queue = &host->queue;
    unsigned log2 = host->config.queue_log2;
    if (host->ops->set_queue == NULL || host->ops->encode_sync == NULL)
        return true; // an architecture without one: fine as long as nobody needs it
    if (log2 < IOM_PAGE_LOG2 || log2 > 21)
        return complain(complaint, "a command queue has 2^12 to 2^21 bytes");
    if (!iom_mapper_take_frames(host->mapper, log2, &queue->base))
        return complain(complaint, "no memory left for the command queue");
    if (host->ops->set_queue(host->software, queue->base, log2) != IOM_SOFTWARE_OK)
        return complain(complaint, "the architecture has no command queue of 2^%u bytes", log2);
    host->ops->queue_registers(host->software, &queue->registers);
    queue->slots = queue->registers.capacity_bytes / queue->registers.command_bytes;
    unsigned status_log2 = iom_log2_u64(queue->slots * UINT64_C(4) - 1) + 1;
    status_log2 = status_log2 < IOM_PAGE_LOG2 ? IOM_PAGE_LOG2 : status_log2;
    if (!iom_mapper_take_frames(host->mapper, status_log2, &queue->status))
        return complain(complaint, "no memory left for status words");
    queue->state = zeroed(queue->slots, sizeof *queue->state);
    queue->free = queue->slots;
    queue->present = queue->state != NULL;
    if (host->config.batch + 2 > queue->slots)
        return complain(complaint, "a batch of %u commands does not fit a queue of %u", host->config.batch,
                        queue->slots);
    return queue->present || complain(complaint, "out of memory");
}

static bool list_steps(struct iom_host *host)
{
    if (!host->config.bring_up)
        return true;
    host->step_count = host->ops->startup(host->software, NULL, 0);
    host->steps = zeroed(host->step_count + 1, sizeof *host->steps);
    return host->steps != NULL &&
           host->ops->startup(host->software, host->steps, host->step_count) == host->step_count;
}

// ---- life --------------------------------------------------------------------------------------------

static void set_defaults(struct iom_host_config *config)
{
    uint32_t cpus = 1;
    for (uint32_t i = 0; i < config->program_count; i++)
        cpus = config->programs[i].cpu >= cpus ? config->programs[i].cpu + 1 : cpus;
    if (config->cpus < cpus)
        config->cpus = cpus;
    if (config->attachments == 0)
        config->attachments = 1024;
    if (config->queue_log2 == 0)
        config->queue_log2 = IOM_PAGE_LOG2;
    if (config->batch == 0)
        config->batch = 16;
    if (config->pasid_slots == 0)
        config->pasid_slots = 1u << 20;
}

static bool take_memory(struct iom_host *host)
{
    const struct iom_host_config *config = &host->config;
    host->ports = zeroed(IOM_HOST_PORT_DMA + config->device_count, sizeof *host->ports);
    host->devices = zeroed(config->device_count, sizeof *host->devices);
    host->domains = zeroed(config->domain_count, sizeof *host->domains);
    host->thread_count = config->program_count + 1;
    host->threads = zeroed(host->thread_count, sizeof *host->threads);
    host->events = zeroed(config->event_count, sizeof *host->events);
    host->slots = zeroed(config->slot_count, sizeof *host->slots);
    host->attachments = zeroed(config->attachments, sizeof *host->attachments);
    host->calls = zeroed(IOM_HOST_CALL_KINDS, sizeof *host->calls);
    return host->ports != NULL && host->devices != NULL && host->domains != NULL && host->threads != NULL &&
           host->events != NULL && host->slots != NULL && host->attachments != NULL && host->calls != NULL;
}

static void make_unit(struct iom_host *host, const char *name)
{
    uint32_t ports = IOM_HOST_PORT_DMA + host->config.device_count;
    iom_unit_init(&host->unit, &iom_host_unit_ops, name, host->ports, ports);
    iom_port_init(&host->unit, IOM_HOST_PORT_MEMORY, "memory", true);
    iom_port_init(&host->unit, IOM_HOST_PORT_MMIO, "mmio", true);
    for (uint32_t i = IOM_HOST_PORT_DMA; i < ports; i++)
        iom_port_init(&host->unit, i, "dma", true);
    iom_pool_init(&host->mmio_pool, IOM_MSG_MMIO, sizeof(struct iom_mmio));
    iom_pool_init(&host->watch_pool, IOM_MSG_MEMORY, sizeof(struct iom_memory_access));
    iom_pool_init(&host->dma_pool, IOM_MSG_DMA, sizeof(struct iom_dma));
}

static bool make(struct iom_host *host, const char *name, const struct complaint *complaint)
{
    const struct iom_host_config *config = &host->config;
    if (config->device_count > DEVICE_LIMIT || config->program_count >= 1u << 16)
        return complain(complaint, "more than %u devices or 65535 threads", DEVICE_LIMIT);
    if (!take_memory(host))
        return complain(complaint, "out of memory");
    make_unit(host, name);
    for (uint32_t i = 0; i < config->device_count; i++)
        host->devices[i] = config->devices[i];
    if (!make_domains(host, complaint) || !make_queue(host, complaint))
        return false;
    if (!make_locks(host) || !make_threads(host) || !list_steps(host))
        return complain(complaint, "out of memory");
    for (uint32_t i = 0; i < config->program_count; i++) {
        if (!check_program(host, i, complaint))
            return false;
    }
    // What the caller lent for the making must not be looked at any more.
    host->config.devices = NULL;
    host->config.domains = NULL;
    host->config.programs = NULL;
    host->config.locks = NULL;
    iom_tracker_expect_driver(config->tracker);
    return true;
}

struct iom_host *iom_host_create(const struct iom_host_config *config, struct iom_mapper *mapper,
                                 const char *name, char *error, size_t error_bytes)
{
    struct complaint complaint = {error, error_bytes};
    struct iom_host *host = calloc(1, sizeof *host);
    if (host == NULL) {
        complain(&complaint, "out of memory");
        return NULL;
    }
    host->config = *config;
    set_defaults(&host->config);
    host->mapper = mapper;
    host->ops = iom_mapper_software_ops(mapper);
    host->software = iom_mapper_software(mapper);
    if (!make(host, name, &complaint)) {
        iom_host_destroy(host);
        return NULL;
    }
    return host;
}

static void free_thread(struct iom_host_thread *thread)
{
    if (thread->stores.port != NULL)
        iom_store_queue_free(&thread->stores);
    free(thread->batch);
    free(thread->found);
    free(thread->awaited);
    free(thread->behind);
    free(thread->late);
}

void iom_host_destroy(struct iom_host *host)
{
    if (host == NULL)
        return;
    for (uint32_t i = 0; host->threads != NULL && i < host->thread_count; i++)
        free_thread(&host->threads[i]);
    for (uint32_t i = 0; host->domains != NULL && i < host->config.domain_count; i++) {
        iom_iova_destroy(host->domains[i].addresses);
        iom_flush_queue_destroy(host->domains[i].queue);
    }
    for (uint32_t i = 0; host->locks != NULL && i < host->lock_count; i++)
        free(host->locks[i].queue);
    iom_pool_free(&host->mmio_pool);
    iom_pool_free(&host->watch_pool);
    iom_pool_free(&host->dma_pool);
    free(host->locks);
    free(host->ports);
    free(host->devices);
    free(host->domains);
    free(host->threads);
    free(host->events);
    free(host->slots);
    free(host->attachments);
    free(host->calls);
    free(host->queue.state);
    free(host->dirty);
    free(host->steps);
    free(host);
}

// ---- before the run ----------------------------------------------------------------------------------

void iom_host_op_init(struct iom_host_op *op, enum iom_host_op_kind kind)
{
    *op = (struct iom_host_op){.kind = kind,
                               .pasid = IOM_NO_PASID,
                               .slot = IOM_HOST_NO_SLOT,
                               .permissions = IOM_PERM_READ | IOM_PERM_WRITE};
}

enum iom_mapper_result iom_host_prepare_attach(struct iom_host *host, struct iom_memory_image *image,
                                               uint32_t device, uint32_t pasid, uint32_t domain)
{
    struct iom_store_sink sink = iom_mapper_image_sink(image);
    iom_mapper_set_sink(host->mapper, &sink);
    enum iom_mapper_result result =
        iom_mapper_attach(host->mapper, host->devices[device].source, pasid, domain);
    if (result == IOM_MAPPER_OK && !iom_host_note_attachment(host, device, pasid, domain))
        return IOM_MAPPER_NO_MEMORY;
    return result;
}

enum iom_mapper_result iom_host_prepare_map(struct iom_host *host, struct iom_memory_image *image,
                                            uint32_t domain, uint64_t iova, uint64_t address, uint64_t bytes,
                                            uint8_t permissions, uint8_t page_log2)
{
    struct iom_store_sink sink = iom_mapper_image_sink(image);
    iom_mapper_set_sink(host->mapper, &sink);
    return iom_mapper_map(host->mapper, domain, iova, address, bytes, permissions, page_log2, NULL);
}
