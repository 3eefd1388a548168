// SPDX-License-Identifier: Apache-2.0
//
// The woven sequence as records: attachments and synthesised mappings first, then every item in order;
// operations get their first and last record, data transfers are cut at the maximum payload size.
#include <stdlib.h>
#include <string.h>

#include "traffic/import_internal.h"

/// Longest buffer whose DMA the guest log alone is expanded into; no driver maps more at once.
#define SELF_DMA_MAX_BYTES (UINT64_C(16) << 20)

struct emitter {
    struct iom_import *import;
    iom_put_record put;
    void *context;
    struct iom_trace_error *error;
    uint64_t first_time;
    uint64_t time;
    uint32_t *attached; ///< per device: domain its last ATTACH named, 0 = none
    bool *used;         ///< per domain: something happens in it
    uint64_t outstanding;
    uint64_t deepest;
};

static bool put(struct emitter *e, struct iom_trace_record *record, enum iom_import_count count)
{
    record->time = e->time;
    iom_count(e->import, count, 1);
    iom_count(e->import, IOM_IMPORT_records, 1);
    return e->put(e->context, record, e->error);
}

static bool put_attach(struct emitter *e, enum iom_trace_kind kind, uint32_t device, uint32_t domain,
                       uint16_t cpu, uint16_t flags)
{
    struct iom_trace_record record;
    iom_trace_record_init(&record, kind);
    record.device = device;
    record.domain = domain;
    record.cpu = cpu;
    record.flags = flags;
    return put(e, &record, kind == IOM_TRACE_ATTACH ? IOM_IMPORT_attach_records : IOM_IMPORT_detach_records);
}

// ---------------------------------------------------------------------------------------------------
// Operations

static uint64_t item_op(const struct iom_import *import, const struct iom_item *item)
{
    return item->kind == IOM_ITEM_HOST ? import->host[item->index].op : import->guest[item->index].op;
}

static void find_op_bounds(struct iom_import *import)
{
    for (uint32_t i = 0; i < import->op_count; i++)
        import->ops[i].first_item = IOM_NO_EVENT;
    for (uint32_t i = 0; i < import->item_count; i++) {
        uint64_t id = item_op(import, &import->items[i]);
        if (id == 0)
            continue;
        struct iom_import_op *op = &import->ops[id - 1];
        if (op->first_item == IOM_NO_EVENT)
            op->first_item = i;
        op->last_item = i;
    }
    for (uint32_t i = 0; i < import->op_count; i++)
        if (import->ops[i].done_item < import->ops[i].first_item ||
            import->ops[i].done_item > import->ops[i].last_item)
            import->ops[i].done_item = import->ops[i].last_item;
}

static bool put_op(struct emitter *e, enum iom_trace_kind kind, uint64_t id)
{
    const struct iom_import_op *op = &e->import->ops[id - 1];
    struct iom_trace_record record;
    iom_trace_record_init(&record, kind);
    record.op = id;
    record.device = op->device;
    record.queue = op->queue;
    record.opcode = op->opcode;
    if (kind == IOM_TRACE_OP_BEGIN)
        record.bytes = op->bytes;
    record.time = e->time;
    iom_count(e->import, IOM_IMPORT_records, 1);
    iom_count(e->import, IOM_IMPORT_op_records, kind == IOM_TRACE_OP_BEGIN);
    return e->put(e->context, &record, e->error);
}

// ---------------------------------------------------------------------------------------------------
// Items

static bool put_map(struct emitter *e, const struct iom_guest_event *g)
{
    struct iom_trace_record record;
    iom_trace_record_init(&record, IOM_TRACE_MAP);
    record.op = g->op;
    record.device = g->device;
    record.cpu = g->cpu;
    record.domain = g->domain;
    record.iova = g->iova;
    record.address = g->address;
    record.bytes = g->bytes;
    record.flags = g->access != 0 ? g->access : IOM_TRACE_READ | IOM_TRACE_WRITE;
    iom_count(e->import, IOM_IMPORT_pages_mapped, g->bytes / IOM_PAGE_BYTES);
    return put(e, &record, IOM_IMPORT_map_records);
}

static bool put_unmap(struct emitter *e, const struct iom_guest_event *g)
{
    struct iom_trace_record record;
    iom_trace_record_init(&record, IOM_TRACE_UNMAP);
    record.op = g->op;
    record.device = g->device;
    record.cpu = g->cpu;
    record.domain = g->domain;
    record.iova = g->iova;
    record.bytes = g->bytes;
    record.flags = g->deferred ? IOM_TRACE_DEFERRED : 0;
    iom_count(e->import, IOM_IMPORT_pages_unmapped, g->bytes / IOM_PAGE_BYTES);
    return put(e, &record, IOM_IMPORT_unmap_records);
}

static bool put_move(struct emitter *e, const struct iom_guest_event *g)
{
    const uint64_t *index = iom_table_get(&e->import->device_index, g->device);
    uint32_t *attached = &e->attached[*index];
    if (*attached != 0 && !put_attach(e, IOM_TRACE_DETACH, g->device, *attached, g->cpu, 0))
        return false;
    *attached = g->domain;
    return put_attach(e, IOM_TRACE_ATTACH, g->device, g->domain, g->cpu, 0);
}

static bool put_guest(struct emitter *e, const struct iom_guest_event *g)
{
    if (g->kind == IOM_GUEST_MAP)
        return put_map(e, g);
    if (g->kind == IOM_GUEST_UNMAP)
        return put_unmap(e, g);
    if (g->kind == IOM_GUEST_ATTACH)
        return put_move(e, g);
    struct iom_trace_record record;
    iom_trace_record_init(&record, IOM_TRACE_MARK);
    record.cpu = g->cpu;
    record.detail = g->begin ? IOM_TRACE_PHASE_BEGIN : IOM_TRACE_PHASE_END;
    record.text = g->text;
    return put(e, &record, IOM_IMPORT_mark_records);
}

/// Cuts bytes at multiples of the maximum payload size, which divides the 4 KiB page. `record` holds
/// everything but address and length.
static bool put_pieces(struct emitter *e, struct iom_trace_record *record, uint64_t iova, uint64_t bytes)
{
    uint64_t mps = e->import->options.mps_bytes;
    while (bytes != 0) {
        uint64_t piece = iom_min_u64(bytes, mps - iova % mps);
        record->iova = iova;
        record->bytes = piece;
        if (!put(e, record, IOM_IMPORT_dma_records))
            return false;
        iova += piece;
        bytes -= piece;
    }
    return true;
}

static bool put_host(struct emitter *e, const struct iom_host_event *h)
{
    struct iom_trace_record record;
    iom_trace_record_init(&record, IOM_TRACE_DMA);
    record.op = h->op;
    record.device = h->device;
    record.detail = h->dma_class;
    record.flags = h->access;
    if (h->kind == IOM_HOST_FAULT)
        record.flags |= IOM_TRACE_FAULTED;
    return put_pieces(e, &record, h->iova, h->bytes);
}

static bool put_self(struct emitter *e, const struct iom_guest_event *g, const struct iom_import_op *op)
{
    struct iom_trace_record record;
    iom_trace_record_init(&record, IOM_TRACE_DMA);
    record.op = g->op;
    record.device = g->device;
    record.detail = IOM_TRACE_DMA_DATA;
    record.flags = g->access == IOM_TRACE_WRITE ? IOM_TRACE_WRITE : IOM_TRACE_READ;
    uint64_t bytes = op == NULL ? 0 : iom_min_u64(op->bytes, SELF_DMA_MAX_BYTES);
    return put_pieces(e, &record, g->dma_iova, bytes);
}

static bool put_item(struct emitter *e, uint32_t index)
{
    const struct iom_item *item = &e->import->items[index];
    uint64_t id = item_op(e->import, item);
    const struct iom_import_op *op = id == 0 ? NULL : &e->import->ops[id - 1];
    e->time = item->time_ns > e->time ? item->time_ns : e->time;
    if (op != NULL && op->first_item == index) {
        e->outstanding++;
        e->deepest = iom_max_u64(e->deepest, e->outstanding);
        if (!put_op(e, IOM_TRACE_OP_BEGIN, id))
            return false;
    }
    bool good = item->kind == IOM_ITEM_HOST    ? put_host(e, &e->import->host[item->index])
                : item->kind == IOM_ITEM_GUEST ? put_guest(e, &e->import->guest[item->index])
                                               : put_self(e, &e->import->guest[item->index], op);
    if (op != NULL && op->done_item == index)
        e->outstanding--;
    if (good && op != NULL && op->last_item == index)
        good = put_op(e, IOM_TRACE_OP_END, id);
    return good;
}

// ---------------------------------------------------------------------------------------------------

static void find_used_domains(struct emitter *e)
{
    const struct iom_import *import = e->import;
    for (uint32_t i = 0; i < import->synthetic_count; i++)
        e->used[import->synthetic[i].space] = true;
    bool *moved = calloc(import->device_count + (size_t)1, sizeof *moved);
    for (uint32_t i = 0; moved != NULL && i < import->item_count; i++) {
        const struct iom_item *item = &import->items[i];
        const struct iom_guest_event *g = item->kind == IOM_ITEM_HOST ? NULL : &import->guest[item->index];
        uint32_t id = g == NULL ? import->host[item->index].device : g->device;
        const uint64_t *device = iom_table_get(&import->device_index, id);
        if (device == NULL)
            continue;
        // A device that only moves to another domain never used its first one.
        if (g != NULL && g->kind == IOM_GUEST_ATTACH)
            moved[*device] = true;
        else if (!moved[*device])
            e->used[import->devices[*device].first_domain] = true;
    }
    free(moved);
}

static bool put_start(struct emitter *e)
{
    const struct iom_import *import = e->import;
    for (uint32_t i = 0; i < import->device_count; i++) {
        uint32_t domain = import->devices[i].first_domain;
        if (!e->used[domain])
            continue;
        e->attached[i] = domain;
        if (!put_attach(e, IOM_TRACE_ATTACH, import->devices[i].id, domain, IOM_TRACE_NO_CPU,
                        IOM_TRACE_SYNTHETIC))
            return false;
    }
    for (uint32_t i = 0; i < import->synthetic_count; i++) {
        const struct iom_range *range = &import->synthetic[i];
        struct iom_trace_record record;
        iom_trace_record_init(&record, IOM_TRACE_MAP);
        record.domain = range->space;
        record.iova = range->first;
        record.address = range->address;
        record.bytes = range->last - range->first + 1;
        record.flags = range->flags | IOM_TRACE_SYNTHETIC;
        for (uint32_t k = 0; k < import->device_count; k++)
            if (import->devices[k].first_domain == range->space)
                record.device = import->devices[k].id;
        if (!put(e, &record, IOM_IMPORT_map_records))
            return false;
    }
    return true;
}

static void reset_counts(struct iom_import *import)
{
    static const enum iom_import_count mine[] = {
        IOM_IMPORT_attach_records,
        IOM_IMPORT_detach_records,
        IOM_IMPORT_map_records,
        IOM_IMPORT_unmap_records,
        IOM_IMPORT_dma_records,
        IOM_IMPORT_op_records,
        IOM_IMPORT_mark_records,
        IOM_IMPORT_records,
        IOM_IMPORT_queue_depth,
        IOM_IMPORT_span_ns,
        IOM_IMPORT_pages_mapped,
        IOM_IMPORT_pages_unmapped,
        IOM_IMPORT_untranslated_data_bytes,
    };
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
        import->counts[mine[i]] = 0;
}

static void count_untranslated(struct iom_import *import)
{
    uint64_t told = 0;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < import->op_count && import->has_host; i++)
        told += import->ops[i].bytes;
    for (uint32_t i = 0; i < import->host_count; i++)
        if (import->host[i].op != 0 && import->host[i].dma_class == IOM_TRACE_DMA_DATA)
            seen += import->host[i].bytes;
    import->counts[IOM_IMPORT_untranslated_data_bytes] = told > seen ? told - seen : 0;
}

static bool emit_all(struct emitter *e)
{
    struct iom_import *import = e->import;
    find_op_bounds(import);
    find_used_domains(e);
    e->first_time = import->item_count != 0 ? import->items[0].time_ns : 0;
    e->time = e->first_time;
    if (!put_start(e))
        return false;
    for (uint32_t i = 0; i < import->item_count; i++)
        if (!put_item(e, i))
            return false;
    return true;
}

bool iom_import_emit(struct iom_import *import, iom_put_record put_record, void *context,
                     struct iom_trace_error *error)
{
    struct emitter e = {.import = import, .put = put_record, .context = context, .error = error};
    e.attached = calloc(import->device_count + (size_t)1, sizeof *e.attached);
    e.used = calloc(import->next_domain + (size_t)1, sizeof *e.used);
    reset_counts(import);
    count_untranslated(import);
    bool good = e.attached != NULL && e.used != NULL;
    if (!good)
        iom_trace_fail(error, "out of memory");
    good = good && emit_all(&e);
    import->counts[IOM_IMPORT_queue_depth] = e.deepest;
    import->counts[IOM_IMPORT_span_ns] = e.time - e.first_time;
    free(e.attached);
    free(e.used);
    return good;
}
