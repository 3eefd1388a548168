// SPDX-License-Identifier: Apache-2.0
//
// Changes of tables by the host's threads, what they tell the hazard tracker about owners of pages, and
// which devices and PASIDs are attached to which domain. See host.h.
#include "traffic/host_internal.h"

static enum iom_host_result result_of(struct iom_host *host, enum iom_mapper_result result)
{
    switch (result) {
    case IOM_MAPPER_OK:
        return IOM_HOST_OK;
    case IOM_MAPPER_NO_MEMORY:
        iom_host_give_up(host, "no memory left for translation tables");
        break;
    case IOM_MAPPER_REFUSED:
    case IOM_MAPPER_NOT_MAPPED:
    case IOM_MAPPER_ALREADY:
        break;
    }
    return IOM_HOST_REFUSED;
}

static void open_tables(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_store_sink sink = iom_host_sink(host);
    iom_host_open_stores(host, thread, now);
    iom_mapper_set_sink(host->mapper, &sink);
}

// ---- attachments -------------------------------------------------------------------------------------

struct iom_flush_attachment *iom_host_attachment(const struct iom_host *host, uint32_t source, uint32_t pasid)
{
    for (uint32_t i = 0; i < host->attachment_count; i++) {
        struct iom_flush_attachment *attachment = &host->attachments[i];
        if (attachment->used && attachment->source == source && attachment->pasid == pasid)
            return attachment;
    }
    return NULL;
}

uint32_t iom_host_attachments_of(const struct iom_host *host, uint32_t source)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < host->attachment_count; i++)
        count += host->attachments[i].used && host->attachments[i].source == source;
    return count;
}

bool iom_host_note_attachment(struct iom_host *host, uint32_t device, uint32_t pasid, uint32_t domain)
{
    uint32_t index = host->attachment_count;
    if (index == host->config.attachments) {
        for (index = 0; index < host->attachment_count && host->attachments[index].used;)
            index++;
    }
    if (index == host->config.attachments)
        return false;
    host->attachments[index] = (struct iom_flush_attachment){.source = host->devices[device].source,
                                                             .pasid = pasid,
                                                             .queue_depth = host->devices[device].queue_depth,
                                                             .ats = host->devices[device].ats,
                                                             .used = true,
                                                             .domain = domain};
    if (index == host->attachment_count)
        host->attachment_count++;
    return true;
}

enum iom_host_result iom_host_table_attach(struct iom_host *host, struct iom_host_thread *thread,
                                           uint32_t device, uint32_t pasid, uint32_t domain, iom_cycle now)
{
    uint32_t source = host->devices[device].source;
    open_tables(host, thread, now);
    enum iom_host_result result = result_of(host, iom_mapper_attach(host->mapper, source, pasid, domain));
    if (result != IOM_HOST_OK)
        return result;
    if (!iom_host_note_attachment(host, device, pasid, domain))
        iom_host_give_up(host, "more than %u attachments at once (configure more)", host->config.attachments);
    iom_host_replan_scans(host, source, now);
    return IOM_HOST_OK;
}

enum iom_host_result iom_host_table_detach(struct iom_host *host, struct iom_host_thread *thread,
                                           uint32_t device, uint32_t pasid, iom_cycle now)
{
    uint32_t source = host->devices[device].source;
    open_tables(host, thread, now);
    enum iom_host_result result = result_of(host, iom_mapper_detach(host->mapper, source, pasid));
    struct iom_flush_attachment *attachment = iom_host_attachment(host, source, pasid);
    if (result == IOM_HOST_OK && attachment != NULL)
        attachment->used = false;
    iom_host_replan_scans(host, source, now);
    return result;
}

// ---- pages -------------------------------------------------------------------------------------------

enum iom_host_result iom_host_table_map(struct iom_host *host, struct iom_host_thread *thread, uint64_t iova,
                                        uint64_t address, uint64_t bytes, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    open_tables(host, thread, now);
    enum iom_host_result result =
        result_of(host, iom_mapper_map(host->mapper, op->domain, iova, address, bytes, op->permissions,
                                       op->page_log2, NULL));
    if (result == IOM_HOST_OK && host->config.tracker != NULL)
        iom_tracker_owner(host->config.tracker, now, address, address + bytes - 1,
                          op->owner != 0 ? op->owner : op->domain + 1);
    return result;
}

// The pages go back to the system with the return of the unmap, whatever the caches hold.
static void disown(struct iom_host *host, uint32_t domain, uint64_t iova, uint64_t bytes, iom_cycle now)
{
    struct iom_software_mapping mapping;
    for (uint64_t at = iova; host->config.tracker != NULL && at - iova < bytes;) {
        if (!host->ops->find(host->software, domain, at, &mapping)) {
            at += IOM_PAGE_BYTES;
            continue;
        }
        uint64_t size = UINT64_C(1) << mapping.size_log2;
        iom_tracker_owner(host->config.tracker, now, mapping.output, mapping.output + size - 1, 0);
        at = iom_align_down(at, mapping.size_log2) + size;
    }
}

static enum iom_host_result unmap_and_prune(struct iom_host *host, uint32_t domain, uint64_t iova,
                                            uint64_t bytes, bool *leaf_only)
{
    struct iom_software_mapping mapping;
    enum iom_host_result worst = IOM_HOST_OK;
    for (uint64_t at = iova; at - iova < bytes;) {
        struct iom_software_change change = {0};
        uint64_t size = IOM_PAGE_BYTES;
        if (!host->ops->find(host->software, domain, at, &mapping)) {
            worst = IOM_HOST_REFUSED;
        } else {
            size = UINT64_C(1) << mapping.size_log2;
            if (at % size != 0 || size > bytes - (at - iova) ||
                host->ops->unmap(host->software, domain, at, mapping.size_log2, true, &change) !=
                    IOM_SOFTWARE_OK)
                return IOM_HOST_REFUSED;
        }
        *leaf_only = *leaf_only && change.retired == 0;
        at += size;
    }
    return worst;
}

enum iom_host_result iom_host_table_unmap(struct iom_host *host, struct iom_host_thread *thread,
                                          uint64_t iova, uint64_t bytes, bool prune, bool *leaf_only,
                                          iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    *leaf_only = true;
    disown(host, op->domain, iova, bytes, now);
    open_tables(host, thread, now);
    if (prune)
        return unmap_and_prune(host, op->domain, iova, bytes, leaf_only);
    return result_of(host, iom_mapper_unmap(host->mapper, op->domain, iova, bytes, NULL));
}
