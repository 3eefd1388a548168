// SPDX-License-Identifier: Apache-2.0
//
// One record: names, well-formedness and its 64 stored bytes (docs/trace-format.md, "Records").
#include <string.h>

#include "traffic/trace_internal.h"

void iom_trace_record_init(struct iom_trace_record *record, enum iom_trace_kind kind)
{
    memset(record, 0, sizeof *record);
    record->kind = (uint8_t)kind;
    record->device = IOM_TRACE_NO_DEVICE;
    record->cpu = IOM_TRACE_NO_CPU;
    record->pasid = IOM_TRACE_NO_PASID;
}

const char *iom_trace_kind_name(unsigned kind)
{
    switch (kind) {
    case IOM_TRACE_ATTACH:
        return "attach";
    case IOM_TRACE_DETACH:
        return "detach";
    case IOM_TRACE_MAP:
        return "map";
    case IOM_TRACE_UNMAP:
        return "unmap";
    case IOM_TRACE_DMA:
        return "dma";
    case IOM_TRACE_OP_BEGIN:
        return "op_begin";
    case IOM_TRACE_OP_END:
        return "op_end";
    case IOM_TRACE_MARK:
        return "mark";
    default:
        return NULL;
    }
}

// ---------------------------------------------------------------------------------------------------
// Well-formedness. A field a kind does not use must hold "nothing": the text twin does not show it,
// and a later version may give it a meaning.

enum field {
    F_OP = 1 << 0,
    F_IOVA = 1 << 1,
    F_ADDRESS = 1 << 2,
    F_BYTES = 1 << 3,
    F_DEVICE = 1 << 4,
    F_DOMAIN = 1 << 5,
    F_PASID = 1 << 6,
    F_CPU = 1 << 7,
    F_QUEUE = 1 << 8,
    F_OPCODE = 1 << 9,
    F_DETAIL = 1 << 10,
    F_TEXT = 1 << 11,
    F_PAGE = 1 << 12,
};

struct shape {
    unsigned fields;
    unsigned flags;
};

static struct shape shape_of(unsigned kind)
{
    enum {
        ACCESS = IOM_TRACE_READ | IOM_TRACE_WRITE | IOM_TRACE_EXEC | IOM_TRACE_PRIV | IOM_TRACE_SYNTHETIC
    };
    static const struct shape shapes[] = {
        [IOM_TRACE_ATTACH] = {F_OP | F_DEVICE | F_DOMAIN | F_PASID | F_CPU, IOM_TRACE_SYNTHETIC},
        [IOM_TRACE_DETACH] = {F_OP | F_DEVICE | F_DOMAIN | F_PASID | F_CPU, IOM_TRACE_SYNTHETIC},
        [IOM_TRACE_MAP] = {F_OP | F_IOVA | F_ADDRESS | F_BYTES | F_DEVICE | F_DOMAIN | F_PASID | F_CPU |
                               F_PAGE,
                           ACCESS},
        [IOM_TRACE_UNMAP] = {F_OP | F_IOVA | F_BYTES | F_DEVICE | F_DOMAIN | F_PASID | F_CPU,
                             IOM_TRACE_SYNTHETIC | IOM_TRACE_DEFERRED},
        [IOM_TRACE_DMA] = {F_OP | F_IOVA | F_BYTES | F_DEVICE | F_PASID | F_DETAIL,
                           ACCESS | IOM_TRACE_FAULTED},
        [IOM_TRACE_OP_BEGIN] = {F_OP | F_BYTES | F_DEVICE | F_CPU | F_QUEUE | F_OPCODE, IOM_TRACE_SYNTHETIC},
        [IOM_TRACE_OP_END] = {F_OP | F_DEVICE | F_CPU | F_QUEUE | F_OPCODE, IOM_TRACE_SYNTHETIC},
        [IOM_TRACE_MARK] = {F_OP | F_CPU | F_DETAIL | F_TEXT, 0},
    };
    return shapes[kind];
}

static const char *unused_field_fault(const struct iom_trace_record *r, unsigned fields)
{
    if (!(fields & F_IOVA) && r->iova != 0)
        return "iova: not a field of this kind";
    if (!(fields & F_ADDRESS) && r->address != 0)
        return "address: not a field of this kind";
    if (!(fields & F_BYTES) && r->bytes != 0)
        return "bytes: not a field of this kind";
    if (!(fields & F_DEVICE) && r->device != IOM_TRACE_NO_DEVICE)
        return "device: not a field of this kind";
    if (!(fields & F_DOMAIN) && r->domain != 0)
        return "domain: not a field of this kind";
    if (!(fields & F_PASID) && r->pasid != IOM_TRACE_NO_PASID)
        return "pasid: not a field of this kind";
    if (!(fields & F_CPU) && r->cpu != IOM_TRACE_NO_CPU)
        return "cpu: not a field of this kind";
    if (!(fields & F_QUEUE) && r->queue != 0)
        return "queue: not a field of this kind";
    if (!(fields & F_OPCODE) && r->opcode != 0)
        return "opcode: not a field of this kind";
    if (!(fields & F_DETAIL) && r->detail != 0)
        return "class: not a field of this kind";
    if (!(fields & F_TEXT) && r->text != 0)
        return "text: not a field of this kind";
    if (!(fields & F_PAGE) && r->page_log2 != 0)
        return "page: not a field of this kind";
    return NULL;
}

static const char *range_fault(const struct iom_trace_record *r)
{
    if (r->iova % IOM_PAGE_BYTES != 0)
        return "iova: expected a multiple of 4096";
    if (r->bytes == 0 || r->bytes % IOM_PAGE_BYTES != 0)
        return "bytes: expected a multiple of 4096 above 0";
    if (r->bytes - 1 > UINT64_MAX - r->iova)
        return "bytes: the range passes the end of the 64-bit address space";
    return NULL;
}

static const char *map_fault(const struct iom_trace_record *r)
{
    if (r->address % IOM_PAGE_BYTES != 0)
        return "address: expected a multiple of 4096";
    if (r->bytes - 1 > UINT64_MAX - r->address)
        return "bytes: the physical range passes the end of the 64-bit address space";
    if (!(r->flags & (IOM_TRACE_READ | IOM_TRACE_WRITE)))
        return "flags: expected read, write or both";
    if (r->page_log2 != 0 && r->page_log2 != 12 && r->page_log2 != 21 && r->page_log2 != 30)
        return "page: expected 0, 12, 21 or 30";
    return NULL;
}

static const char *dma_fault(const struct iom_trace_record *r)
{
    unsigned direction = r->flags & (IOM_TRACE_READ | IOM_TRACE_WRITE);
    if (direction != IOM_TRACE_READ && direction != IOM_TRACE_WRITE)
        return "flags: expected exactly one of read and write";
    if (r->device == IOM_TRACE_NO_DEVICE)
        return "device: expected a device";
    if (r->bytes == 0 || r->bytes > IOM_PAGE_BYTES - r->iova % IOM_PAGE_BYTES)
        return "bytes: expected 1 or more, within one 4096-byte page";
    if (r->detail > IOM_TRACE_DMA_COMPLETION)
        return "class: not a class of DMA";
    return NULL;
}

const char *iom_trace_record_fault(const struct iom_trace_record *r, uint32_t strings)
{
    if (iom_trace_kind_name(r->kind) == NULL)
        return "kind: not a kind of this version";
    struct shape shape = shape_of(r->kind);
    if (r->flags & ~shape.flags)
        return "flags: a flag this kind does not have";
    const char *fault = unused_field_fault(r, shape.fields);
    if (fault != NULL)
        return fault;
    if (r->pasid != IOM_TRACE_NO_PASID && r->pasid >> 20 != 0)
        return "pasid: expected at most 20 bits";
    switch (r->kind) {
    case IOM_TRACE_ATTACH:
    case IOM_TRACE_DETACH:
        return r->device == IOM_TRACE_NO_DEVICE ? "device: expected a device" : NULL;
    case IOM_TRACE_MAP:
        fault = range_fault(r);
        return fault != NULL ? fault : map_fault(r);
    case IOM_TRACE_UNMAP:
        return range_fault(r);
    case IOM_TRACE_DMA:
        return dma_fault(r);
    case IOM_TRACE_OP_BEGIN:
    case IOM_TRACE_OP_END:
        return r->op == 0 ? "op: expected a number above 0" : NULL;
    default:
        if (r->detail > IOM_TRACE_ROI_END)
            return "mark: not a kind of mark";
        return r->text > strings ? "text: no such string in the header" : NULL;
    }
}

// ---------------------------------------------------------------------------------------------------

void iom_trace_encode(const struct iom_trace_record *record, uint8_t *to)
{
    to[0] = record->kind;
    to[1] = record->detail;
    iom_put_u16(to + 2, record->flags);
    iom_put_u32(to + 4, record->device);
    iom_put_u64(to + 8, record->time);
    iom_put_u64(to + 16, record->op);
    iom_put_u64(to + 24, record->iova);
    iom_put_u64(to + 32, record->address);
    iom_put_u64(to + 40, record->bytes);
    iom_put_u32(to + 48, record->domain);
    iom_put_u32(to + 52, record->pasid);
    iom_put_u16(to + 56, record->cpu);
    iom_put_u16(to + 58, record->queue);
    iom_put_u16(to + 60, record->text);
    to[62] = record->opcode;
    to[63] = record->page_log2;
}

void iom_trace_decode(const uint8_t *from, struct iom_trace_record *record)
{
    record->kind = from[0];
    record->detail = from[1];
    record->flags = iom_get_u16(from + 2);
    record->device = iom_get_u32(from + 4);
    record->time = iom_get_u64(from + 8);
    record->op = iom_get_u64(from + 16);
    record->iova = iom_get_u64(from + 24);
    record->address = iom_get_u64(from + 32);
    record->bytes = iom_get_u64(from + 40);
    record->domain = iom_get_u32(from + 48);
    record->pasid = iom_get_u32(from + 52);
    record->cpu = iom_get_u16(from + 56);
    record->queue = iom_get_u16(from + 58);
    record->text = iom_get_u16(from + 60);
    record->opcode = from[62];
    record->page_log2 = from[63];
}
