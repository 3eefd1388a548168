// SPDX-License-Identifier: Apache-2.0
//
// What a request does with what has been fetched: the way from context over PASID to the translation.
//
// `use` is applied to cached and to freshly walked entries alike, so everything that depends on the
// request as well as on the entry (blocked request types, PASID limits, supervisor and execute
// enables, address widths, the interrupt window) is decided here and nowhere else. That keeps cached
// and uncached outcomes equal.
//
// Source: VT-d Rev. 4.1, 3.4 (structures), 3.6 to 3.8 (translation types), 3.14 (interrupt window),
// 4.2.4 (translation requests), 7.1.3 (fault conditions).
#include <string.h>

#include "core/arch/vtd/vtd_internal.h"

// A failed access to a table is answered with completer abort, everything else with unsupported request.
static bool is_access_error(enum iom_vtd_fault reason)
{
    switch (reason) {
    case IOM_VTD_FAULT_PAGING_ACCESS:
    case IOM_VTD_FAULT_ROOT_ACCESS:
    case IOM_VTD_FAULT_CONTEXT_ACCESS:
    case IOM_VTD_FAULT_SM_ROOT_ACCESS:
    case IOM_VTD_FAULT_SM_CONTEXT_ACCESS:
    case IOM_VTD_FAULT_PASID_DIR_ACCESS:
    case IOM_VTD_FAULT_PASID_ACCESS:
    case IOM_VTD_FAULT_FS_ACCESS:
    case IOM_VTD_FAULT_FS_ROOT_ACCESS:
    case IOM_VTD_FAULT_SS_ACCESS:
    case IOM_VTD_FAULT_SS_ROOT_ACCESS:
    case IOM_VTD_FAULT_SS_UPDATE:
    case IOM_VTD_FAULT_FS_UPDATE:
        return true;
    default:
        return false;
    }
}

void vtd_refuse(struct iom_xlate *x, enum iom_vtd_fault reason, bool silent)
{
    uint16_t flags = (uint16_t)(x->flags & ~IOM_REQ_PURE);
    // PASID, privilege and execute fields of a record are valid only for requests with PASID.
    if (!(flags & IOM_REQ_PASID))
        flags = (uint16_t)(flags & ~(IOM_REQ_PRIV | IOM_REQ_EXEC));
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_FAULT;
    x->fault = (struct iom_fault){
        .address = x->address,
        .source = x->source,
        .pasid = flags & IOM_REQ_PASID ? x->pasid : 0,
        .code = (uint16_t)reason,
        .flags = flags,
        .recorded = !silent,
        .abort = is_access_error(reason),
    };
}

// Conditions that a device with address translation services is expected to handle, for example by a
// page request: answered as "success, no permission" and not recorded.
static bool is_recoverable(enum iom_vtd_fault reason)
{
    switch (reason) {
    case IOM_VTD_FAULT_ADDRESS_BEYOND_MGAW:
    case IOM_VTD_FAULT_WRITE:
    case IOM_VTD_FAULT_READ:
    case IOM_VTD_FAULT_FS_NOT_PRESENT:
    case IOM_VTD_FAULT_FS_BEYOND_MGAW:
    case IOM_VTD_FAULT_FS_ROOT_READ:
    case IOM_VTD_FAULT_FS_ENTRY_READ:
    case IOM_VTD_FAULT_FS_ENTRY_WRITE:
    case IOM_VTD_FAULT_SS_PERMISSION:
    case IOM_VTD_FAULT_NOT_CANONICAL:
    case IOM_VTD_FAULT_SUPERVISOR_PAGE:
    case IOM_VTD_FAULT_NO_EXECUTE:
    case IOM_VTD_FAULT_BEYOND_HAW:
    case IOM_VTD_FAULT_BEYOND_AGAW:
    case IOM_VTD_FAULT_SM_WRITE:
    case IOM_VTD_FAULT_SM_READ:
    case IOM_VTD_FAULT_PASID_NOT_PRESENT:
    case IOM_VTD_FAULT_PASID_DIR_NOT_PRESENT:
    case IOM_VTD_FAULT_PASID_ERE_CLEAR:
    case IOM_VTD_FAULT_PASID_SRE_CLEAR:
        return true;
    default:
        return false;
    }
}

void vtd_refuse_translation(struct iom_xlate *x, enum iom_vtd_fault reason)
{
    if ((x->flags & IOM_REQ_TRANSLATE) && is_recoverable(reason)) {
        x->next = IOM_LOOKUP_DONE;
        x->outcome = IOM_OUTCOME_DENIED;
        return;
    }
    vtd_refuse(x, reason, (x->context.attributes & VTD_FPD) != 0);
}

// ---- permissions ---------------------------------------------------------------------------------

uint8_t vtd_permissions(uint64_t rights, uint64_t controls, bool assume_dirty)
{
    // A missing accessed flag (possible only when contexts with different controls share a domain)
    // means that only a walk can use the entry.
    if (!assume_dirty && ((controls & VTD_EAFE && !(rights & VTD_RIGHT_FS_EXTENDED)) ||
                          (controls & VTD_SSADE && !(rights & VTD_RIGHT_SS_ACCESSED))))
        return 0;

    bool user = (rights & VTD_RIGHT_FS_USER) != 0;
    bool exec = (rights & VTD_RIGHT_FS_EXEC) != 0 || !(controls & VTD_NXE);
    bool write = (rights & VTD_RIGHT_SS_WRITE) != 0 &&
                 (assume_dirty || ((rights & VTD_RIGHT_FS_DIRTY) != 0 &&
                                   (!(controls & VTD_SSADE) || (rights & VTD_RIGHT_SS_DIRTY) != 0)));
    bool write_granted = (rights & VTD_RIGHT_FS_WRITE) != 0;
    uint8_t granted = 0;

    if (rights & VTD_RIGHT_SS_READ) {
        granted = IOM_PERM_PRIV_READ;
        if (user)
            granted |= IOM_PERM_READ;
        if (user && exec)
            granted |= IOM_PERM_EXEC;
        if (exec && !(user && (controls & VTD_SMEP)))
            granted |= IOM_PERM_PRIV_EXEC;
    }
    if (write && user && write_granted)
        granted |= IOM_PERM_WRITE;
    // Supervisor writes ignore the write flag unless write protection is enabled (3.6.1).
    if (write && (write_granted || !(controls & VTD_WPE)))
        granted |= IOM_PERM_PRIV_WRITE;
    return granted;
}

uint8_t vtd_needed_permissions(const struct iom_xlate *x)
{
    uint8_t needed = IOM_PERM_READ;
    if (x->flags & IOM_REQ_TRANSLATE) {
        if (x->flags & IOM_REQ_WRITE)
            needed |= IOM_PERM_WRITE;
    } else if (x->flags & IOM_REQ_WRITE) {
        needed = IOM_PERM_WRITE;
    }
    if (vtd_is_execute(x))
        needed |= IOM_PERM_EXEC;
    // Privileged permissions stand three bits above the unprivileged ones.
    return vtd_is_privileged(x) ? (uint8_t)(needed << 3) : needed;
}

// ---- applying entries ----------------------------------------------------------------------------

static void apply_bypass(struct iom_xlate *x)
{
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_BYPASS;
    x->leaf.output = x->address;
    x->leaf.attributes = 0;
    x->leaf.size_log2 = IOM_PAGE_LOG2;
    x->leaf.permissions = IOM_PERM_ALL;
    x->leaf.global = 0;
    x->leaf.node = x->context.node;
}

// Is `address` below 2^width (width 1 to 64)?
static bool fits(uint64_t address, unsigned width)
{
    return address >> 1 >> (width - 1) == 0;
}

static void apply_legacy(struct iom_xlate *x, const struct iom_context *context)
{
    bool silent = (context->attributes & VTD_FPD) != 0;
    x->context = *context;
    // LCT.5: only translation type 01b admits translation and translated requests.
    if ((x->flags & (IOM_REQ_TRANSLATE | IOM_REQ_TRANSLATED)) && !(context->attributes & VTD_DTE)) {
        vtd_refuse(x, IOM_VTD_FAULT_TYPE_BLOCKED, silent);
        return;
    }
    bool translated = (x->flags & IOM_REQ_TRANSLATED) != 0;
    if (!translated && !fits(x->address, VTD_WIDTH(context->attributes)))
        vtd_refuse_translation(x, IOM_VTD_FAULT_ADDRESS_BEYOND_MGAW);
    else if (translated || context->kind == VTD_KIND_PASS_THROUGH)
        apply_bypass(x);
    else
        x->next = IOM_LOOKUP_IOTLB;
}

static void apply_scalable(struct iom_xlate *x, const struct iom_context *context)
{
    uint64_t attributes = context->attributes;
    bool silent = (attributes & VTD_FPD) != 0;
    uint32_t limit = UINT32_C(1) << (VTD_PDTS(attributes) + 13);
    bool has_pasid = (x->flags & IOM_REQ_PASID) != 0;
    uint32_t rid_pasid = context->substream;

    x->context = *context;
    if ((x->flags & (IOM_REQ_TRANSLATE | IOM_REQ_TRANSLATED)) && !(attributes & VTD_DTE)) {
        vtd_refuse(x, IOM_VTD_FAULT_SM_DTE_CLEAR, silent);
    } else if (has_pasid && !(attributes & VTD_PASIDE)) {
        vtd_refuse(x, IOM_VTD_FAULT_SM_PASIDE_CLEAR, silent);
    } else if (x->flags & IOM_REQ_TRANSLATED) {
        apply_bypass(x);
    } else if (has_pasid && x->pasid >= limit) {
        vtd_refuse(x, IOM_VTD_FAULT_SM_PASID_TOO_LARGE, silent);
    } else if (!has_pasid && rid_pasid >= limit) {
        vtd_refuse(x, IOM_VTD_FAULT_SM_RID_PASID, silent);
    } else {
        x->context.substream = has_pasid ? x->pasid : rid_pasid;
        x->next = IOM_LOOKUP_PASID;
    }
}

// Caching mode: an entry that was not present when it was fetched.
static void apply_not_present(struct iom_xlate *x, const struct iom_context *context)
{
    x->context.node = context->node;
    x->context.attributes |= context->attributes & VTD_FPD;
    vtd_refuse(x, VTD_REASON(context->attributes), (x->context.attributes & VTD_FPD) != 0);
}

void vtd_apply_context(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_context *context)
{
    (void)arch;
    if (context->kind == VTD_KIND_NOT_PRESENT)
        apply_not_present(x, context);
    else if (context->kind == VTD_KIND_SCALABLE)
        apply_scalable(x, context);
    else
        apply_legacy(x, context);
}

static bool is_canonical(uint64_t address, unsigned levels)
{
    uint64_t top = address >> (IOM_VTD_BITS_OF_LEVELS(levels) - 1);
    return top == 0 || top == iom_low_bits(UINT64_MAX, 65 - IOM_VTD_BITS_OF_LEVELS(levels));
}

// SGN.1, SGN.4, SGN.5: is the address within what the translation type accepts?
static enum iom_vtd_fault check_width(const struct iom_vtd_config *config, const struct iom_xlate *x)
{
    switch (x->context.kind) {
    case VTD_KIND_FIRST:
    case VTD_KIND_NESTED:
        return is_canonical(x->address, x->context.levels[0]) ? IOM_VTD_FAULT_NONE
                                                              : IOM_VTD_FAULT_NOT_CANONICAL;
    case VTD_KIND_SECOND:
        return fits(x->address, VTD_WIDTH(x->context.attributes)) ? IOM_VTD_FAULT_NONE
                                                                  : IOM_VTD_FAULT_BEYOND_AGAW;
    default:
        return (x->address & config->derived.above_haw) == 0 ? IOM_VTD_FAULT_NONE : IOM_VTD_FAULT_BEYOND_HAW;
    }
}

void vtd_apply_pasid(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_context *context)
{
    if (context->kind == VTD_KIND_NOT_PRESENT) {
        apply_not_present(x, context);
        return;
    }
    uint64_t kept = x->context.attributes & VTD_KEEP;
    uint32_t substream = x->context.substream;
    x->context = *context;
    x->context.attributes |= kept;
    x->context.substream = substream;

    if (vtd_is_execute(x) && !(context->attributes & VTD_ERE)) {
        vtd_refuse_translation(x, IOM_VTD_FAULT_PASID_ERE_CLEAR);
        return;
    }
    if (vtd_is_privileged(x) && !(context->attributes & VTD_SRE)) {
        vtd_refuse_translation(x, IOM_VTD_FAULT_PASID_SRE_CLEAR);
        return;
    }
    enum iom_vtd_fault reason = check_width(vtd_config(arch), x);
    if (reason != IOM_VTD_FAULT_NONE) {
        vtd_refuse_translation(x, reason);
        return;
    }
    if (context->kind != VTD_KIND_PASS_THROUGH) {
        x->next = IOM_LOOKUP_IOTLB;
        return;
    }
    if (vtd_is_interrupt_address(x->address))
        vtd_refuse_translation(x, IOM_VTD_FAULT_SM_INTERRUPT_ADDRESS);
    else
        apply_bypass(x);
}

void vtd_apply_leaf(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_leaf *leaf)
{
    uint64_t output = leaf->output | iom_low_bits(x->address, leaf->size_log2);
    if (vtd_is_interrupt_address(output)) {
        x->context.node = leaf->node;
        vtd_refuse_translation(x, x->context.kind == VTD_KIND_LEGACY ? IOM_VTD_FAULT_INTERRUPT_OUTPUT
                                                                     : IOM_VTD_FAULT_SM_INTERRUPT_ADDRESS);
        return;
    }
    uint8_t permissions = vtd_cached_permissions(vtd_config(arch), leaf->attributes, x->context.attributes);
    // A translation completion grants what was asked for, and only to the mode that asked.
    if (x->flags & IOM_REQ_TRANSLATE)
        permissions &= vtd_needed_permissions(x);
    x->leaf = *leaf;
    x->leaf.output = output;
    x->leaf.permissions = permissions;
    x->next = IOM_LOOKUP_DONE;
    x->outcome = permissions == 0 ? IOM_OUTCOME_DENIED : IOM_OUTCOME_ADDRESS;
}

// ---- operations ----------------------------------------------------------------------------------

void vtd_tag_init(const struct iom_arch *arch, struct iom_tag *tag)
{
    memset(tag, 0, sizeof *tag);
    tag->iommu = arch->iommu;
}

void vtd_iotlb_key(const struct iom_arch *arch, const struct iom_xlate *x, struct iom_tag *key)
{
    vtd_tag_init(arch, key);
    key->address = x->address;
    key->domain = x->context.domain;
    switch (x->context.kind) {
    case VTD_KIND_FIRST:
        key->stage = VTD_STAGE_FIRST;
        key->substream = x->context.substream;
        break;
    case VTD_KIND_NESTED:
        key->stage = VTD_STAGE_NESTED;
        key->substream = x->context.substream;
        break;
    default: // second stage and legacy: shared by all PASIDs of the domain
        key->stage = VTD_STAGE_SECOND;
        break;
    }
    if (vtd_config(arch)->tagging == IOM_TAG_BY_SOURCE) {
        key->stream = x->source;
        key->substream = x->context.substream;
    }
}

// Requests that are refused by the root table address register alone (RTA.1 to RTA.4).
static enum iom_vtd_fault check_root(const struct iom_vtd_config *config, const struct iom_view *view,
                                     const struct iom_xlate *x)
{
    enum iom_vtd_table_mode mode = vtd_table_mode(view);
    if (mode == IOM_VTD_TTM_ABORT)
        return IOM_VTD_FAULT_ABORT_MODE;
    if (mode == IOM_VTD_TTM_RESERVED || (mode == IOM_VTD_TTM_SCALABLE && !IOM_VTD_ECAP_SMTS(config->ecap)))
        return IOM_VTD_FAULT_TABLE_MODE;
    if (mode == IOM_VTD_TTM_LEGACY && (x->flags & IOM_REQ_PASID))
        return IOM_VTD_FAULT_LEGACY_PASID;
    return IOM_VTD_FAULT_NONE;
}

void vtd_enter(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x)
{
    x->outcome = IOM_OUTCOME_NONE;
    x->next = IOM_LOOKUP_CONTEXT;
    x->context.attributes = 0;
    x->context.kind = VTD_KIND_NONE;
    x->context.node = 0;
    x->leaf.node = 0;

    // Requests without PASID to the interrupt window never reach DMA remapping (3.14). Writes are
    // interrupts; a translation request is told to use the address untranslated; reads have no meaning.
    if (vtd_is_interrupt_address(x->address) && !(x->flags & (IOM_REQ_PASID | IOM_REQ_TRANSLATED))) {
        if (x->flags & (IOM_REQ_WRITE | IOM_REQ_TRANSLATE)) {
            apply_bypass(x);
            x->outcome = IOM_OUTCOME_INTERRUPT;
        } else {
            vtd_refuse(x, IOM_VTD_FAULT_NONE, true);
        }
        return;
    }
    if (!view->enabled) {
        // Without translation there is nobody to answer a translation request.
        if (x->flags & IOM_REQ_TRANSLATE)
            vtd_refuse(x, IOM_VTD_FAULT_NONE, true);
        else
            apply_bypass(x);
        return;
    }
    enum iom_vtd_fault reason = check_root(vtd_config(arch), view, x);
    if (reason != IOM_VTD_FAULT_NONE)
        vtd_refuse(x, reason, false);
}

void vtd_key(const struct iom_arch *arch, const struct iom_view *view, const struct iom_xlate *x,
             struct iom_tag *key)
{
    (void)view;
    if (x->next == IOM_LOOKUP_IOTLB) {
        vtd_iotlb_key(arch, x, key);
        return;
    }
    vtd_tag_init(arch, key);
    key->stream = x->source;
    if (x->next == IOM_LOOKUP_PASID)
        key->substream = x->context.substream;
}

// Caching mode: a page that was not present. In legacy mode the reason follows from what is asked now.
static void refuse_page(struct iom_xlate *x, const struct iom_leaf *leaf)
{
    enum iom_vtd_fault reason = VTD_REASON(leaf->attributes);
    if (x->context.kind == VTD_KIND_LEGACY)
        reason = x->flags & IOM_REQ_WRITE ? IOM_VTD_FAULT_WRITE : IOM_VTD_FAULT_READ;
    x->context.node = leaf->node;
    vtd_refuse_translation(x, reason);
}

bool vtd_use(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x,
             const struct iom_tag *tag, const void *payload)
{
    (void)view;
    (void)tag;
    if (x->next == IOM_LOOKUP_CONTEXT) {
        vtd_apply_context(arch, x, payload);
        return true;
    }
    if (x->next == IOM_LOOKUP_PASID) {
        vtd_apply_pasid(arch, x, payload);
        return true;
    }
    const struct iom_leaf *leaf = payload;
    uint8_t needed = vtd_needed_permissions(x);
    if (needed &
        (uint8_t)~vtd_cached_permissions(vtd_config(arch), leaf->attributes, x->context.attributes)) {
        // A page that was not present grants nothing, so the usual case pays nothing for this.
        if (VTD_REASON(leaf->attributes) == IOM_VTD_FAULT_NONE)
            return false;
        refuse_page(x, leaf);
        return true;
    }
    vtd_apply_leaf(arch, x, leaf);
    return true;
}
