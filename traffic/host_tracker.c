// SPDX-License-Identifier: Apache-2.0
//
// What a call tells the hazard tracker when it returns (core/tracker.h). A call that waits for nothing may
// return before memory has taken its stores, and a report speaks for changes before it: it is then repeated
// when the last of them is acknowledged. See host.h.
#include <stdlib.h>
#include <string.h>

#include "traffic/host_internal.h"

static uint64_t acknowledged(const struct iom_store_queue *stores)
{
    return stores->head - stores->in_flight;
}

static void keep(struct iom_host *host, struct iom_host_thread *thread,
                 const struct iom_host_late_report *report)
{
    if (thread->late_count == thread->late_capacity) {
        uint32_t wanted = thread->late_capacity != 0 ? thread->late_capacity * 2 : 16;
        struct iom_host_late_report *grown = realloc(thread->late, wanted * sizeof *grown);
        if (grown == NULL) {
            iom_host_give_up(host, "out of memory");
            return;
        }
        thread->late = grown;
        thread->late_capacity = wanted;
    }
    thread->late[thread->late_count++] = *report;
}

// What a processor holds back (a walker that does not snoop) the tracker has been told already.
static void report(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now, uint32_t domain,
                   uint32_t stream, uint64_t first, uint64_t last)
{
    iom_tracker_reported(host->config.tracker, now, host->config.iommu, domain, stream, first, last);
    if (!host->config.coherent || acknowledged(&thread->stores) == thread->stores.tail)
        return;
    const struct iom_host_late_report late = {thread->stores.tail, first, last, domain, stream};
    keep(host, thread, &late);
}

void iom_host_tell_late(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    uint32_t told = 0;
    for (; told < thread->late_count && thread->late[told].after <= acknowledged(&thread->stores); told++) {
        const struct iom_host_late_report *late = &thread->late[told];
        iom_tracker_reported(host->config.tracker, now, host->config.iommu, late->domain, late->stream,
                             late->first, late->last);
    }
    if (told == 0)
        return;
    thread->late_count -= told;
    memmove(thread->late, thread->late + told, thread->late_count * sizeof *thread->late);
}

void iom_host_tell_tracker(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    const struct iom_host_call *call = &thread->call;
    if (host->config.tracker == NULL)
        return;
    switch (op->kind) {
    case IOM_HOST_MAP:
    case IOM_HOST_SG_MAP:
        // What was not there before may have been cached as such: from here on nobody may meet that.
        if (host->config.caching_mode && thread->result == IOM_HOST_OK && call->bytes != 0)
            report(host, thread, now, op->domain, IOM_ANY_STREAM, call->iova, call->iova + call->bytes - 1);
        break;
    case IOM_HOST_ATTACH:
    case IOM_HOST_PASID_ATTACH:
        if (host->config.caching_mode && thread->result == IOM_HOST_OK)
            report(host, thread, now, op->domain, call->source, 0, UINT64_MAX);
        break;
    case IOM_HOST_UNMAP:
        if (host->domains[call->domain].queue == NULL && call->bytes != 0)
            report(host, thread, now, op->domain, IOM_ANY_STREAM, call->iova, call->iova + call->bytes - 1);
        break;
    case IOM_HOST_FLUSH_ALL:
        report(host, thread, now, op->domain, IOM_ANY_STREAM, 0, UINT64_MAX);
        break;
    case IOM_HOST_DETACH:
    case IOM_HOST_PASID_DETACH:
        report(host, thread, now, call->old_domain, call->source, 0, UINT64_MAX);
        break;
    case IOM_HOST_CONTEXT_CHANGE:
        report(host, thread, now, call->old_domain, call->source, 0, UINT64_MAX);
        for (uint32_t i = 0; i < host->attachment_count; i++) {
            const struct iom_flush_attachment *attachment = &host->attachments[i];
            if (attachment->used && attachment->source == call->source)
                report(host, thread, now, attachment->domain, call->source, 0, UINT64_MAX);
        }
        break;
    default:
        break;
    }
}
