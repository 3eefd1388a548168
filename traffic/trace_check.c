// SPDX-License-Identifier: Apache-2.0
//
// See trace_check.h.
#include "traffic/trace_check.h"

#include <string.h>

#include "traffic/trace_io.h"
#include "traffic/trace_ranges.h"
#include "traffic/trace_table.h"

static const struct {
    const char *name;
    const char *text;
} finding_texts[IOM_TRACE_FINDING_COUNT] = {
#define IOM_TRACE_FINDING_ROW(name, description) {#name, description},
    IOM_TRACE_FINDINGS(IOM_TRACE_FINDING_ROW)
#undef IOM_TRACE_FINDING_ROW
};

const char *iom_trace_finding_name(enum iom_trace_finding finding)
{
    return finding_texts[finding].name;
}

const char *iom_trace_finding_text(enum iom_trace_finding finding)
{
    return finding_texts[finding].text;
}

void iom_trace_summarise(struct iom_trace_summary *s, const struct iom_trace_record *record)
{
    if (s->records == 0)
        s->first_time = record->time;
    s->last_time = record->time;
    s->records++;
    s->kinds[record->kind]++;
    s->synthetic += (record->flags & IOM_TRACE_SYNTHETIC) != 0;
    s->deferred += (record->flags & IOM_TRACE_DEFERRED) != 0;
    s->faulted += (record->flags & IOM_TRACE_FAULTED) != 0;
    if (record->kind == IOM_TRACE_MAP)
        s->pages_mapped += record->bytes / IOM_PAGE_BYTES;
    if (record->kind == IOM_TRACE_UNMAP)
        s->pages_unmapped += record->bytes / IOM_PAGE_BYTES;
    if (record->kind == IOM_TRACE_DMA) {
        s->dma_classes[record->detail]++;
        if (record->flags & IOM_TRACE_WRITE)
            s->written_bytes += record->bytes;
        else
            s->read_bytes += record->bytes;
    }
    uint64_t open =
        s->kinds[IOM_TRACE_OP_BEGIN] - iom_min_u64(s->kinds[IOM_TRACE_OP_BEGIN], s->kinds[IOM_TRACE_OP_END]);
    s->deepest = iom_max_u64(s->deepest, open);
}

// ---------------------------------------------------------------------------------------------------

/// State of an operation, packed into a table value: device, then flags.
enum { OP_OPEN = 1, OP_UNMAPPED = 2, OP_STATE_BITS = 2 };

struct checker {
    struct iom_trace_check *check;
    struct iom_ranges *live;  ///< space = domain
    struct iom_table domains; ///< device and PASID -> domain + 1, 0 = attached nowhere
    struct iom_table ops;
    uint64_t number; ///< of the current record
    uint64_t open;
    bool failed; ///< out of memory
};

static void find(struct checker *c, enum iom_trace_finding finding)
{
    if (c->check->findings[finding]++ == 0)
        c->check->first_record[finding] = c->number;
}

static uint64_t *domain_of(struct checker *c, const struct iom_trace_record *record)
{
    uint64_t key = (uint64_t)record->device << 32 | record->pasid;
    uint64_t *domain = iom_table_get(&c->domains, key);
    if (domain == NULL)
        domain = iom_table_put(&c->domains, key, 0);
    c->failed |= domain == NULL;
    return domain;
}

static void check_attach(struct checker *c, const struct iom_trace_record *record)
{
    uint64_t *domain = domain_of(c, record);
    if (domain == NULL)
        return;
    if (record->kind == IOM_TRACE_ATTACH) {
        if (*domain != 0)
            find(c, IOM_TRACE_FINDING_attach_twice);
        *domain = record->domain + UINT64_C(1);
    } else {
        if (*domain != record->domain + UINT64_C(1))
            find(c, IOM_TRACE_FINDING_detach_wrong);
        *domain = 0;
    }
}

static void check_map(struct checker *c, const struct iom_trace_record *record)
{
    struct iom_range range = {.first = record->iova,
                              .last = record->iova + (record->bytes - 1),
                              .address = record->address,
                              .space = record->domain,
                              .flags = record->flags & (IOM_TRACE_READ | IOM_TRACE_WRITE)};
    const struct iom_range *old = iom_ranges_next(c->live, range.space, range.first);
    if (old != NULL && old->first <= range.last)
        find(c, IOM_TRACE_FINDING_map_over_live);
    c->failed |= !iom_ranges_remove(c->live, range.space, range.first, range.last) ||
                 !iom_ranges_insert(c->live, &range);
}

static void check_unmap(struct checker *c, const struct iom_trace_record *record)
{
    uint64_t last = record->iova + (record->bytes - 1);
    uint64_t at = record->iova;
    const struct iom_range *range = iom_ranges_find(c->live, record->domain, at);
    while (range != NULL && range->last < last) {
        at = range->last + 1;
        range = iom_ranges_find(c->live, record->domain, at);
    }
    if (range == NULL)
        find(c, IOM_TRACE_FINDING_unmap_unmapped);
    c->failed |= !iom_ranges_remove(c->live, record->domain, record->iova, last);
}

static void check_dma(struct checker *c, const struct iom_trace_record *record)
{
    const uint64_t *domain = domain_of(c, record);
    if (domain == NULL || (record->flags & IOM_TRACE_FAULTED))
        return;
    if (*domain == 0) {
        find(c, IOM_TRACE_FINDING_dma_detached);
        return;
    }
    const struct iom_range *range = iom_ranges_find(c->live, (uint32_t)(*domain - 1), record->iova);
    uint16_t wanted = record->flags & (IOM_TRACE_READ | IOM_TRACE_WRITE);
    if (range == NULL)
        find(c, IOM_TRACE_FINDING_dma_unmapped);
    else if ((range->flags & wanted) != wanted)
        find(c, IOM_TRACE_FINDING_dma_forbidden);
}

static void begin_op(struct checker *c, const struct iom_trace_record *record)
{
    const uint64_t *before = iom_table_get(&c->ops, record->op);
    if (before != NULL)
        find(c, IOM_TRACE_FINDING_op_begun_twice);
    if (before == NULL || !(*before & OP_OPEN))
        c->open++;
    uint64_t state = (uint64_t)record->device << OP_STATE_BITS | OP_OPEN;
    c->failed |= iom_table_put(&c->ops, record->op, state) == NULL;
}

static void check_op(struct checker *c, const struct iom_trace_record *record)
{
    uint64_t *state = iom_table_get(&c->ops, record->op);
    if (state == NULL || !(*state & OP_OPEN)) {
        find(c, IOM_TRACE_FINDING_op_not_open);
        return;
    }
    if (record->device != IOM_TRACE_NO_DEVICE && *state >> OP_STATE_BITS != record->device)
        find(c, IOM_TRACE_FINDING_op_wrong_device);
    if (record->kind == IOM_TRACE_DMA && (*state & OP_UNMAPPED))
        find(c, IOM_TRACE_FINDING_dma_after_unmap);
    if (record->kind == IOM_TRACE_UNMAP)
        *state |= OP_UNMAPPED;
    if (record->kind == IOM_TRACE_OP_END) {
        *state &= ~(uint64_t)OP_OPEN;
        c->open--;
    }
}

static void check_record(struct checker *c, const struct iom_trace_record *record)
{
    iom_trace_summarise(&c->check->summary, record);
    if (record->kind == IOM_TRACE_OP_BEGIN)
        begin_op(c, record);
    else if (record->op != 0)
        check_op(c, record);
    if (record->kind == IOM_TRACE_ATTACH || record->kind == IOM_TRACE_DETACH)
        check_attach(c, record);
    else if (record->kind == IOM_TRACE_MAP)
        check_map(c, record);
    else if (record->kind == IOM_TRACE_UNMAP)
        check_unmap(c, record);
    else if (record->kind == IOM_TRACE_DMA)
        check_dma(c, record);
    c->number++;
}

int iom_trace_check_all(struct iom_trace_reader *reader, struct iom_trace_check *check,
                        struct iom_trace_error *error)
{
    struct checker c = {.check = check};
    struct iom_trace_record record;
    int got = -1;
    memset(check, 0, sizeof *check);
    c.live = iom_ranges_new();
    c.failed = c.live == NULL;
    while (!c.failed && (got = iom_trace_read(reader, &record, error)) == 1)
        check_record(&c, &record);
    if (c.failed) {
        iom_trace_fail(error, "out of memory");
        got = -1;
    }
    if (got == 0) {
        check->pages_left = iom_ranges_bytes(c.live) / IOM_PAGE_BYTES;
        for (; c.open != 0; c.open--)
            find(&c, IOM_TRACE_FINDING_op_not_ended);
    }
    iom_ranges_free(c.live);
    iom_table_free(&c.domains);
    iom_table_free(&c.ops);
    return got;
}

uint64_t iom_trace_check_total(const struct iom_trace_check *check)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < IOM_TRACE_FINDING_COUNT; i++)
        total += check->findings[i];
    return total;
}
