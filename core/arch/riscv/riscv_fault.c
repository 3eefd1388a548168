// SPDX-License-Identifier: Apache-2.0
//
// Faults: which cause a request meets, how it is answered, whether it is recorded.
//
// Source: RISC-V IOMMU Architecture Specification 1.0, "Fault/Event-Queue" (causes, DTF, fields of a record),
// "PCIe ATS translation request handling" (answers), "Reliability, Availability, and Serviceability".
#include "core/arch/riscv/riscv_internal.h"

// Table "Fault record CAUSE field encodings", column "Reported if DTF is 1?".
static bool is_reported_despite_dtf(enum iom_riscv_fault cause)
{
    switch (cause) {
    case IOM_RISCV_FAULT_ALL_DISALLOWED:
    case IOM_RISCV_FAULT_DDT_LOAD:
    case IOM_RISCV_FAULT_DDT_INVALID:
    case IOM_RISCV_FAULT_DDT_MISCONFIGURED:
    case IOM_RISCV_FAULT_DDT_CORRUPTION:
    case IOM_RISCV_FAULT_INTERNAL:
    case IOM_RISCV_FAULT_MSI_WRITE:
        return true;
    default:
        return false;
    }
}

// Translation requests: a success without permission, which the device resolves by a page request.
static bool is_recoverable(enum iom_riscv_fault cause)
{
    switch (cause) {
    case IOM_RISCV_FAULT_FETCH_PAGE:
    case IOM_RISCV_FAULT_READ_PAGE:
    case IOM_RISCV_FAULT_WRITE_PAGE:
    case IOM_RISCV_FAULT_FETCH_GUEST:
    case IOM_RISCV_FAULT_READ_GUEST:
    case IOM_RISCV_FAULT_WRITE_GUEST:
    case IOM_RISCV_FAULT_PDT_INVALID:
    case IOM_RISCV_FAULT_MSI_INVALID:
        return true;
    default:
        return false;
    }
}

// Translation requests: unsupported request; every other cause is a completer abort, data corruption
// included ("Reliability, Availability, and Serviceability").
static bool is_unsupported(enum iom_riscv_fault cause)
{
    switch (cause) {
    case IOM_RISCV_FAULT_ALL_DISALLOWED:
    case IOM_RISCV_FAULT_DDT_LOAD:
    case IOM_RISCV_FAULT_DDT_INVALID:
    case IOM_RISCV_FAULT_DDT_MISCONFIGURED:
    case IOM_RISCV_FAULT_TYPE_DISALLOWED:
        return true;
    default:
        return false;
    }
}

// Flags as recorded: privilege counts only with a process_id, and so does execute except for untranslated
// requests.
static uint16_t recorded_flags(const struct iom_xlate *x)
{
    unsigned flags = x->flags & ~(unsigned)IOM_REQ_PURE;
    if (!(flags & IOM_REQ_PASID)) {
        flags &= ~(unsigned)IOM_REQ_PRIV;
        if (flags & (IOM_REQ_TRANSLATE | IOM_REQ_TRANSLATED | IOM_REQ_PAGE))
            flags &= ~(unsigned)IOM_REQ_EXEC;
    }
    return (uint16_t)flags;
}

void riscv_refuse(struct iom_xlate *x, enum iom_riscv_fault cause, uint64_t iotval2)
{
    x->next = IOM_LOOKUP_DONE;
    if ((x->flags & IOM_REQ_TRANSLATE) && is_recoverable(cause)) {
        x->outcome = IOM_OUTCOME_DENIED;
        return;
    }
    bool silent = (x->context.attributes & IOM_RISCV_TC_DTF) != 0 && !is_reported_despite_dtf(cause);
    x->outcome = IOM_OUTCOME_FAULT;
    x->fault = (struct iom_fault){
        .address = x->flags & IOM_REQ_PAGE ? RISCV_PAGE_REQUEST_CODE : x->address,
        .detail = iotval2,
        .source = x->source,
        .pasid = x->flags & IOM_REQ_PASID ? x->pasid : 0,
        .code = (uint16_t)cause,
        .flags = recorded_flags(x),
        .recorded = !silent,
        .abort = (x->flags & IOM_REQ_TRANSLATE) && !is_unsupported(cause),
        .page_request = x->page_request,
    };
}

// ---- causes ----------------------------------------------------------------------------------------------

enum iom_riscv_fault riscv_access_cause(const struct iom_xlate *x)
{
    struct riscv_access access = riscv_access_of(x);
    if (access.exec && !(x->context.attributes & RISCV_FETCH_AS_READ))
        return IOM_RISCV_FAULT_FETCH_ACCESS;
    return access.read || access.exec ? IOM_RISCV_FAULT_READ_ACCESS : IOM_RISCV_FAULT_WRITE_ACCESS;
}

enum iom_riscv_fault riscv_page_cause(const struct iom_xlate *x)
{
    struct riscv_access access = riscv_access_of(x);
    if (access.exec && !(x->context.attributes & RISCV_FETCH_AS_READ))
        return IOM_RISCV_FAULT_FETCH_PAGE;
    return access.read || access.exec ? IOM_RISCV_FAULT_READ_PAGE : IOM_RISCV_FAULT_WRITE_PAGE;
}

enum iom_riscv_fault riscv_guest_cause(const struct iom_xlate *x)
{
    struct riscv_access access = riscv_access_of(x);
    if (access.exec && !(x->context.attributes & RISCV_FETCH_AS_READ))
        return IOM_RISCV_FAULT_FETCH_GUEST;
    return access.read || access.exec ? IOM_RISCV_FAULT_READ_GUEST : IOM_RISCV_FAULT_WRITE_GUEST;
}

// ---- deviating hardware ----------------------------------------------------------------------------------

// Page faults are those of what the request wants to do. The device context says what is recorded; without
// one it is faults in finding it.
void riscv_charge(const struct iom_arch *arch, struct iom_xlate *x)
{
    bool has_context = x->next != IOM_LOOKUP_CONTEXT;
    enum iom_riscv_fault cause = (enum iom_riscv_fault)x->fault.code;
    if (!has_context)
        x->context.attributes = riscv_config(arch)->derived.context_flags;
    switch (cause) {
    case IOM_RISCV_FAULT_FETCH_PAGE:
    case IOM_RISCV_FAULT_READ_PAGE:
    case IOM_RISCV_FAULT_WRITE_PAGE:
        cause = riscv_page_cause(x);
        break;
    case IOM_RISCV_FAULT_FETCH_GUEST:
    case IOM_RISCV_FAULT_READ_GUEST:
    case IOM_RISCV_FAULT_WRITE_GUEST:
        cause = riscv_guest_cause(x);
        break;
    default:
        break;
    }
    riscv_refuse(x, cause, x->fault.detail);
    if (!has_context && !is_reported_despite_dtf(cause))
        x->fault.recorded = false;
}

// ---- texts -----------------------------------------------------------------------------------------------

const char *iom_riscv_fault_text(unsigned code)
{
#define FAULT_TEXT(name, number, text)                                                                       \
    case number:                                                                                             \
        return text;
    switch (code) {
        IOM_RISCV_FAULTS(FAULT_TEXT)
    default:
        return NULL;
    }
#undef FAULT_TEXT
}
