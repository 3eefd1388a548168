// SPDX-License-Identifier: Apache-2.0
//
// The invalidation commands of a call: which groups, in which order, how many to a submission, and the scan
// of a PASID table (Linux 6.12: intel_context_flush_present, intel_pasid_tear_down_entry, cache_tag_flush_*).
// Right and wrong orders alike come from the options of the operation. See host.h.
#include <string.h>

#include "traffic/host_internal.h"

// ---- batches -----------------------------------------------------------------------------------------

bool iom_host_append(struct iom_host *host, struct iom_host_thread *thread, const struct iom_flush *flush)
{
    uint64_t *words = &thread->batch[(size_t)thread->batched * IOM_COMMAND_WORDS];
    memset(words, 0, IOM_COMMAND_WORDS * sizeof *words);
    if (host->ops->encode_flush(host->software, flush, words) != IOM_SOFTWARE_OK)
        return false;
    thread->batched++;
    return true;
}

void iom_host_begin_submit(struct iom_host_thread *thread, bool wait)
{
    iom_host_begin_step(thread, IOM_STEP_SUBMIT, IOM_HOST_PART_POLL);
    thread->step.wait = wait;
    iom_host_begin_submission(thread);
}

// ---- plans -------------------------------------------------------------------------------------------

enum group {
    GROUP_END,
    GROUP_CONTEXT,
    GROUP_PASID,
    GROUP_IOTLB,
    GROUP_DEVICE,
    GROUP_SCAN,    ///< finds PASIDs and flushes each at once
    GROUP_COLLECT, ///< finds PASIDs
    GROUP_FOUND,   ///< flushes those found
    GROUP_RANGE,   ///< pages, or the domain, in all caches
};

static void begin_plan(struct iom_host_call *call)
{
    memset(call->order, GROUP_END, sizeof call->order);
    call->group = call->done = 0;
    call->cursor = (struct iom_flush_cursor){0};
    call->found = call->flushed = 0;
    call->scanning = false;
    call->scan_slot = 0;
}

static void add_group(struct iom_host_call *call, enum group group)
{
    unsigned place = 0;
    while (call->order[place] != GROUP_END)
        place++;
    assert(place + 1 < IOM_HOST_GROUPS);
    call->order[place] = (uint8_t)group;
}

void iom_host_plan_everything(struct iom_host_thread *thread)
{
    begin_plan(&thread->call);
    add_group(&thread->call, GROUP_RANGE);
    thread->call.everything = true;
    thread->call.alone = false;
    thread->call.wait = true;
}

// An entry that goes away (or, under caching mode, comes).
static void plan_entry(const struct iom_host *host, struct iom_host_thread *thread, bool context)
{
    struct iom_host_call *call = &thread->call;
    uint32_t options = iom_host_op_of(thread)->options;
    bool device = host->devices[call->device].ats && !host->config.caching_mode;
    if ((options & IOM_HOST_IOTLB_FIRST) != 0)
        add_group(call, GROUP_IOTLB);
    if (context)
        add_group(call, GROUP_CONTEXT);
    if (host->config.pasid_tables)
        add_group(call, GROUP_PASID);
    if (device && (options & IOM_HOST_DEVICE_FIRST) != 0)
        add_group(call, GROUP_DEVICE);
    if ((options & IOM_HOST_IOTLB_FIRST) == 0)
        add_group(call, GROUP_IOTLB);
    if (device && (options & IOM_HOST_DEVICE_FIRST) == 0)
        add_group(call, GROUP_DEVICE);
}

static void plan_change(const struct iom_host *host, struct iom_host_thread *thread)
{
    struct iom_host_call *call = &thread->call;
    uint32_t options = iom_host_op_of(thread)->options;
    bool device = host->devices[call->device].ats && !host->config.caching_mode;
    bool scan = host->config.pasid_tables && (options & IOM_HOST_NO_SCAN) == 0;
    bool collect =
        (options & (IOM_HOST_SCAN_FIRST | IOM_HOST_DISTINCT_DOMAINS | IOM_HOST_LOCKED_CHANGE)) != 0;
    bool tags = !host->config.pasid_tables;
    if (device && (options & IOM_HOST_DEVICE_FIRST) != 0)
        add_group(call, GROUP_DEVICE);
    if (scan && (options & IOM_HOST_SCAN_FIRST) != 0)
        add_group(call, GROUP_COLLECT);
    if (tags && (options & IOM_HOST_IOTLB_FIRST) != 0)
        add_group(call, GROUP_IOTLB);
    add_group(call, GROUP_CONTEXT);
    if (tags && (options & IOM_HOST_IOTLB_FIRST) == 0)
        add_group(call, GROUP_IOTLB);
    if (scan && !collect)
        add_group(call, GROUP_SCAN);
    if (scan && collect && (options & IOM_HOST_SCAN_FIRST) == 0)
        add_group(call, GROUP_COLLECT);
    if (scan && collect)
        add_group(call, GROUP_FOUND);
    if (device && (options & IOM_HOST_DEVICE_FIRST) == 0)
        add_group(call, GROUP_DEVICE);
}

void iom_host_plan_commands(const struct iom_host *host, struct iom_host_thread *thread)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    struct iom_host_call *call = &thread->call;
    bool caching = host->config.caching_mode;
    begin_plan(call);
    call->alone = (op->options & IOM_HOST_ONE_SUBMISSION) == 0;
    call->wait = (op->options & IOM_HOST_NO_WAIT) == 0;
    call->everything = false;
    switch (op->kind) {
    case IOM_HOST_MAP:
    case IOM_HOST_SG_MAP:
        // Only negative entries have to go; first-stage tables have none (VT-d Rev. 4.1, 6.1).
        if (caching && !host->domains[call->domain].config.first_stage)
            add_group(call, GROUP_RANGE);
        call->alone = false;
        break;
    case IOM_HOST_UNMAP:
        add_group(call, GROUP_RANGE);
        call->alone = false;
        call->everything = (op->options & IOM_HOST_WHOLE_DOMAIN) != 0 ||
                           host->domains[call->domain].config.policy.whole_domain;
        break;
    case IOM_HOST_FLUSH_ALL:
        add_group(call, GROUP_RANGE);
        call->alone = false;
        call->everything = true;
        break;
    case IOM_HOST_ATTACH:
    case IOM_HOST_PASID_ATTACH:
        if (caching)
            plan_entry(host, thread, !host->config.pasid_tables || call->last);
        break;
    case IOM_HOST_DETACH:
    case IOM_HOST_PASID_DETACH:
        plan_entry(host, thread, !host->config.pasid_tables || call->last);
        break;
    case IOM_HOST_CONTEXT_CHANGE:
        plan_change(host, thread);
        break;
    default:
        break;
    }
}

// ---- commands of one group ---------------------------------------------------------------------------

static uint32_t options_of(const struct iom_host_thread *thread)
{
    return thread->op < thread->program.count ? iom_host_op_of(thread)->options : 0;
}

// Maps flush under caching mode only, and then no device TLB: those hold no entries that say "not present".
static bool is_map(const struct iom_host_thread *thread)
{
    if (thread->op >= thread->program.count)
        return false;
    enum iom_host_op_kind kind = iom_host_op_of(thread)->kind;
    return kind == IOM_HOST_MAP || kind == IOM_HOST_SG_MAP;
}

static bool is_first_stage(const struct iom_host *host, uint32_t domain)
{
    uint32_t index = iom_host_domain_index(host, domain);
    return index != IOM_HOST_NOBODY && host->domains[index].config.first_stage;
}

static uint32_t entry_pasid(const struct iom_host *host, uint32_t pasid)
{
    return pasid == IOM_NO_PASID ? host->config.default_pasid : pasid;
}

static bool next_range(struct iom_host *host, struct iom_host_thread *thread, struct iom_flush *flush)
{
    struct iom_host_call *call = &thread->call;
    const struct iom_host_domain *domain = &host->domains[call->domain].config;
    uint32_t options = options_of(thread);
    const struct iom_flush_request request = {
        .attachments = host->attachments,
        .attachment_count = host->attachment_count,
        .domain = domain->id,
        .first_stage = domain->first_stage,
        .default_pasid = host->config.default_pasid,
        .page_selective = host->queue.registers.page_selective,
        .largest_pages_log2 = host->queue.registers.largest_pages_log2,
        .page_commands = host->queue.registers.page_commands,
        .devices = domain->policy.devices,
        .everything = call->everything,
        .leaf_only = call->leaf_only && !domain->policy.no_leaf_only,
        .no_iotlb = (options & IOM_HOST_NO_IOTLB_FLUSH) != 0,
        .no_device = is_map(thread) || (options & IOM_HOST_NO_DEVICE_FLUSH) != 0,
        .device_first = (options & IOM_HOST_DEVICE_FIRST) != 0,
        .iova = call->iova,
        .bytes = call->bytes,
    };
    return iom_flush_next(&request, &call->cursor, flush);
}

static bool next_of_entry(struct iom_host *host, struct iom_host_thread *thread, enum group group,
                          struct iom_flush *flush)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    struct iom_host_call *call = &thread->call;
    uint32_t limit = group == GROUP_DEVICE && (op->options & IOM_HOST_TWICE_DEVICE) != 0 ? 2 : 1;
    if (call->done == limit)
        return false;
    call->done++;
    *flush = (struct iom_flush){.domain = call->tag_domain,
                                .source = call->source,
                                .pasid = entry_pasid(host, call->pasid),
                                .queue_depth = host->devices[call->device].queue_depth};
    switch (group) {
    case GROUP_CONTEXT:
        flush->kind = IOM_FLUSH_CONTEXT_DEVICE;
        if ((op->options & IOM_HOST_GARBAGE_DOMAIN) != 0)
            flush->domain = (uint32_t)op->value;
        else if (op->kind == IOM_HOST_ATTACH || op->kind == IOM_HOST_PASID_ATTACH)
            flush->domain = 0; // entries that were not present are tagged so (VT-d Rev. 4.1, 6.1)
        break;
    case GROUP_PASID:
        flush->kind = IOM_FLUSH_PASID_ONE;
        break;
    case GROUP_IOTLB:
        flush->kind = host->config.pasid_tables && is_first_stage(host, call->old_domain)
                          ? IOM_FLUSH_SPACE_ALL
                          : IOM_FLUSH_IOTLB_DOMAIN;
        break;
    default:
        flush->kind = call->pasid == IOM_NO_PASID || op->kind == IOM_HOST_CONTEXT_CHANGE
                          ? IOM_FLUSH_DEVICE_ALL
                          : IOM_FLUSH_DEVICE_SPACE;
        break;
    }
    return true;
}

// PASID cache and IOTLB of one domain found.
static bool pair(struct iom_host_call *call, uint32_t domain, struct iom_flush *flush)
{
    *flush = (struct iom_flush){.kind = call->done % 2 == 0 ? IOM_FLUSH_PASID_DOMAIN : IOM_FLUSH_IOTLB_DOMAIN,
                                .domain = domain};
    return ++call->done % 2 == 0;
}

static bool next_found(struct iom_host_thread *thread, struct iom_flush *flush)
{
    struct iom_host_call *call = &thread->call;
    if (call->flushed == call->found)
        return false;
    call->flushed += pair(call, thread->found[call->flushed], flush);
    return true;
}

// ---- scan --------------------------------------------------------------------------------------------

static uint32_t slot_of(const struct iom_host *host, const struct iom_flush_attachment *attachment)
{
    return entry_pasid(host, attachment->pasid);
}

// The lowest present entry of the device's PASID table from `slot` on; pasid_slots: none.
static uint32_t next_present(const struct iom_host *host, uint32_t source, uint32_t slot, uint32_t *domain)
{
    uint32_t best = host->config.pasid_slots;
    for (uint32_t i = 0; i < host->attachment_count; i++) {
        const struct iom_flush_attachment *attachment = &host->attachments[i];
        if (!attachment->used || attachment->source != source)
            continue;
        uint32_t at = slot_of(host, attachment);
        if (at >= slot && at < best) {
            best = at;
            *domain = attachment->domain;
        }
    }
    return best;
}

static iom_cycle scan_end(const struct iom_host *host, const struct iom_host_call *call)
{
    uint64_t looked = call->scan_target == host->config.pasid_slots
                          ? call->scan_target - call->scan_slot
                          : call->scan_target - call->scan_slot + 1u;
    return call->scan_from + iom_host_ticks(host, looked * host->config.costs.scan_cycles);
}

void iom_host_replan_scans(struct iom_host *host, uint32_t source, iom_cycle now)
{
    iom_cycle cost = iom_host_ticks(host, host->config.costs.scan_cycles);
    for (uint32_t i = 0; cost != 0 && i < host->thread_count; i++) {
        struct iom_host_thread *thread = &host->threads[i];
        struct iom_host_call *call = &thread->call;
        uint32_t domain;
        if (!call->scanning || call->source != source)
            continue;
        uint64_t passed = (now - call->scan_from) / cost;
        call->scan_target = next_present(host, source, call->scan_slot + (uint32_t)passed, &domain);
        thread->step.until = scan_end(host, call);
        iom_host_wake_at(thread, thread->step.until);
        host->progress = true;
    }
}

static void note_found(struct iom_host_thread *thread, uint32_t domain, bool distinct)
{
    struct iom_host_call *call = &thread->call;
    for (uint32_t i = 0; distinct && i < call->found; i++) {
        if (thread->found[i] == domain)
            return;
    }
    thread->found[call->found++] = domain;
}

enum scan_result { SCAN_STEP, SCAN_FOUND, SCAN_OVER };

// Goes on with the scan: a step that takes the time until the next entry, then the entry.
static enum scan_result scan(struct iom_host *host, struct iom_host_thread *thread, uint32_t *domain,
                             iom_cycle now)
{
    struct iom_host_call *call = &thread->call;
    uint32_t slots = host->config.pasid_slots;
    if (!call->scanning) {
        if (call->scan_slot == slots)
            return SCAN_OVER;
        call->scanning = true;
        call->scan_from = now;
        call->scan_target = next_present(host, call->source, call->scan_slot, domain);
        iom_host_begin_step(thread, IOM_STEP_SPEND, IOM_HOST_PART_CALL);
        thread->step.until = scan_end(host, call);
        return SCAN_STEP;
    }
    call->scanning = false;
    call->scan_slot = call->scan_target == slots ? slots : call->scan_target + 1;
    if (call->scan_target == slots ||
        next_present(host, call->source, call->scan_target, domain) != call->scan_target)
        return scan(host, thread, domain, now);
    return SCAN_FOUND;
}

static void unlock_after_scan(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    if (thread->call.locked && (op->options & IOM_HOST_LOCKED_CHANGE) != 0) {
        thread->call.locked = false;
        iom_host_unlock(host, thread, op->object, now);
    }
}

static bool is_omitted(uint32_t options, const struct iom_flush *flush)
{
    switch (flush->kind) {
    case IOM_FLUSH_CONTEXT_ALL:
    case IOM_FLUSH_CONTEXT_DOMAIN:
    case IOM_FLUSH_CONTEXT_DEVICE:
        return (options & IOM_HOST_NO_CONTEXT_FLUSH) != 0;
    case IOM_FLUSH_PASID_ALL:
    case IOM_FLUSH_PASID_DOMAIN:
    case IOM_FLUSH_PASID_ONE:
        return (options & IOM_HOST_NO_PASID_FLUSH) != 0;
    case IOM_FLUSH_DEVICE_ALL:
    case IOM_FLUSH_DEVICE_PAGES:
    case IOM_FLUSH_DEVICE_SPACE:
    case IOM_FLUSH_DEVICE_SPACE_PAGES:
        return (options & IOM_HOST_NO_DEVICE_FLUSH) != 0;
    default:
        return (options & IOM_HOST_NO_IOTLB_FLUSH) != 0;
    }
}

enum produced { PRODUCED_STEP, PRODUCED_COMMAND, PRODUCED_NONE };

static enum produced produce(struct iom_host *host, struct iom_host_thread *thread, struct iom_flush *flush,
                             iom_cycle now)
{
    struct iom_host_call *call = &thread->call;
    uint32_t domain = 0;
    enum group group = (enum group)call->order[call->group];
    enum scan_result result;
    switch (group) {
    case GROUP_RANGE:
        return next_range(host, thread, flush) ? PRODUCED_COMMAND : PRODUCED_NONE;
    case GROUP_FOUND:
        return next_found(thread, flush) ? PRODUCED_COMMAND : PRODUCED_NONE;
    case GROUP_SCAN:
        if (next_found(thread, flush))
            return PRODUCED_COMMAND;
        result = scan(host, thread, &domain, now);
        if (result != SCAN_FOUND)
            return result == SCAN_STEP ? PRODUCED_STEP : PRODUCED_NONE;
        call->found = call->flushed = 0;
        note_found(thread, domain, false);
        return next_found(thread, flush) ? PRODUCED_COMMAND : PRODUCED_NONE;
    case GROUP_COLLECT:
        while ((result = scan(host, thread, &domain, now)) == SCAN_FOUND)
            note_found(thread, domain, (options_of(thread) & IOM_HOST_DISTINCT_DOMAINS) != 0);
        if (result == SCAN_STEP)
            return PRODUCED_STEP;
        unlock_after_scan(host, thread, now);
        return PRODUCED_NONE;
    default:
        return next_of_entry(host, thread, group, flush) ? PRODUCED_COMMAND : PRODUCED_NONE;
    }
}

bool iom_host_commands_next(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_call *call = &thread->call;
    while (call->order[call->group] != GROUP_END) {
        struct iom_flush flush = {0};
        enum produced produced = produce(host, thread, &flush, now);
        if (produced == PRODUCED_STEP)
            return true;
        if (produced == PRODUCED_NONE) {
            call->group++;
            call->done = 0;
            continue;
        }
        if (is_omitted(options_of(thread), &flush))
            continue;
        if (!iom_host_append(host, thread, &flush)) {
            thread->result = IOM_HOST_REFUSED;
            continue;
        }
        if (call->alone || thread->batched == host->config.batch) {
            iom_host_begin_submit(thread, call->wait);
            return true;
        }
    }
    if (thread->batched == 0)
        return false;
    iom_host_begin_submit(thread, call->wait);
    return true;
}
