// SPDX-License-Identifier: Apache-2.0
//
// What a request does with what has been fetched: the way from device context over process context to the
// translation. What becomes of faults is in riscv_fault.c.
//
// `use` is applied to cached and to freshly walked entries alike, so everything that depends on the request
// as well as on the entry (request types, process_id widths, supervisor access, permissions) is decided
// here and nowhere else. That keeps cached and uncached outcomes equal.
//
// Source: RISC-V IOMMU Architecture Specification 1.0, "Process to translate an IOVA" (steps 1 to 16),
// "PCIe ATS translation request handling", "PCIe ATS Page Request handling", "Fault/Event-Queue".
#include <string.h>

#include "core/arch/riscv/riscv_internal.h"

// ---- what a request needs --------------------------------------------------------------------------------

struct riscv_access riscv_access_of(const struct iom_xlate *x)
{
    bool pasid = (x->flags & IOM_REQ_PASID) != 0;
    bool write = (x->flags & IOM_REQ_WRITE) != 0;
    bool exec = (x->flags & IOM_REQ_EXEC) != 0;
    bool privilege = pasid || (x->context.attributes & RISCV_PRIVILEGE_ALWAYS) != 0;
    struct riscv_access access = {.privileged = privilege && (x->flags & IOM_REQ_PRIV) != 0};
    if (x->flags & IOM_REQ_TRANSLATE) { // a read on the bus; `write` asks for the permission
        access.read = true;
        access.write = write;
        access.exec = exec && pasid;
    } else if (write) {
        access.write = true;
    } else if (x->flags & IOM_REQ_TRANSLATED) {
        access.read = true;
        access.exec = exec && pasid;
    } else {
        access.read = !exec;
        access.exec = exec;
    }
    return access;
}

uint8_t riscv_permissions(uint64_t rights, uint64_t context_attributes)
{
    const uint64_t read = RISCV_FIRST_READ | RISCV_SECOND_READ;
    const uint64_t exec = RISCV_FIRST_EXEC | RISCV_SECOND_EXEC;
    const uint64_t dirty =
        context_attributes & RISCV_DIRTY_NOT_RECHECKED ? 0 : RISCV_FIRST_DIRTY | RISCV_SECOND_DIRTY;
    const uint64_t write = RISCV_FIRST_WRITE | RISCV_SECOND_WRITE | dirty;
    unsigned data = 0;
    if ((rights & read) == read)
        data |= IOM_PERM_READ;
    if ((rights & write) == write)
        data |= IOM_PERM_WRITE;
    unsigned fetch = (rights & exec) == exec ? IOM_PERM_EXEC : 0;
    // Privileged permissions stand three bits above the unprivileged ones. Supervisor mode reads and writes
    // pages of user mode with SUM only, and never executes from them.
    unsigned granted = 0;
    if (rights & RISCV_FIRST_USER) {
        granted |= data | fetch;
        if (context_attributes & RISCV_NO_PROCESS)
            granted |= (data | fetch) << 3;
        else if ((context_attributes & RISCV_SUM) &&
                 !((context_attributes & RISCV_SUM_REFUSES_EXECUTABLE) && (rights & RISCV_FIRST_EXEC)))
            granted |= data << 3;
    }
    if (rights & RISCV_FIRST_SUPERVISOR)
        granted |= (data | fetch) << 3;
    return (uint8_t)granted;
}

// ---- applying entries ------------------------------------------------------------------------------------

static void apply_bypass(struct iom_xlate *x, uint8_t size_log2)
{
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_BYPASS;
    x->leaf.output = x->address;
    x->leaf.attributes = 0;
    x->leaf.size_log2 = size_log2;
    x->leaf.permissions = IOM_PERM_ALL;
    x->leaf.global = 0;
    x->leaf.node = x->context.node;
}

// Both stages Bare and no MSI page table: the answer to a translation request grants what pages would.
static void apply_both_bare(const struct iom_arch *arch, struct iom_xlate *x)
{
    const struct iom_riscv_config *config = riscv_config(arch);
    uint64_t attributes = x->context.attributes;
    struct iom_leaf leaf = {
        .attributes = RISCV_FIRST_ALL | RISCV_SECOND_ALL,
        .size_log2 = config->derived.bare_first_log2[(attributes & IOM_RISCV_TC_SXL) != 0],
        .node = x->context.node,
    };
    uint8_t second = config->derived.bare_second_log2[(attributes & RISCV_NARROW) != 0];
    if (second < leaf.size_log2)
        leaf.size_log2 = second;
    if (x->flags & IOM_REQ_TRANSLATE) {
        leaf.output = iom_align_down(x->address, leaf.size_log2);
        riscv_apply_leaf(x, &leaf);
    } else {
        apply_bypass(x, leaf.size_log2);
    }
}

// Steps 17 to 19 follow, unless there is nothing to translate.
static void go_to_pages(const struct iom_arch *arch, struct iom_xlate *x)
{
    const struct iom_context *context = &x->context;
    if (context->kind == RISCV_KIND_BARE && !riscv_has_second(context) && !riscv_has_msi(context))
        apply_both_bare(arch, x);
    else
        x->next = IOM_LOOKUP_IOTLB;
}

// Without first-stage tables for this request (steps 9, 12, 13).
static void use_bare(const struct iom_arch *arch, struct iom_xlate *x)
{
    x->context.kind = RISCV_KIND_BARE;
    x->context.levels[0] = 0;
    x->context.asid = 0;
    go_to_pages(arch, x);
}

// "PCIe ATS Page Request handling": the message goes to the page request queue.
static void apply_page_request(struct iom_xlate *x)
{
    uint64_t tc = x->context.attributes;
    if (tc & IOM_RISCV_TC_PRPR)
        x->page_request |= IOM_PAGE_REQUEST_PASID_RESPONSE;
    if (!(tc & IOM_RISCV_TC_EN_PRI)) { // EN_PRI without EN_ATS is a misconfiguration
        riscv_refuse(x, IOM_RISCV_FAULT_TYPE_DISALLOWED, 0);
        return;
    }
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_PAGE;
}

// Step 7: does the device context allow this request?
static bool is_allowed(const struct iom_xlate *x)
{
    static const uint8_t process_bits[] = {[IOM_RISCV_PD8] = 8, [IOM_RISCV_PD17] = 17, [IOM_RISCV_PD20] = 20};
    const struct iom_context *context = &x->context;
    bool ats = (x->flags & (IOM_REQ_TRANSLATE | IOM_REQ_TRANSLATED)) != 0;
    if (ats && !(context->attributes & IOM_RISCV_TC_EN_ATS))
        return false;
    if (context->attributes & RISCV_NO_PROCESS)
        return !(context->attributes & IOM_RISCV_TC_PDTV);
    if (!(x->flags & IOM_REQ_PASID))
        return true;
    if (!(context->attributes & IOM_RISCV_TC_PDTV))
        return false;
    return context->levels[0] == IOM_RISCV_PROCESS_BARE || x->pasid >> process_bits[context->levels[0]] == 0;
}

// Deviation: what nothing translates passes all the same, and the record is written.
static void refuse_type(const struct iom_arch *arch, struct iom_xlate *x, uint8_t kind)
{
    riscv_refuse(x, IOM_RISCV_FAULT_TYPE_DISALLOWED, 0);
    if (riscv_config(arch)->quirk.bypass_beats_refusal && kind == RISCV_KIND_BARE &&
        !riscv_has_second(&x->context))
        apply_bypass(x, IOM_PAGE_LOG2);
}

void riscv_apply_device(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_context *context)
{
    bool pasid = (x->flags & IOM_REQ_PASID) != 0;
    x->context = *context;
    if (x->flags & IOM_REQ_PAGE) {
        apply_page_request(x);
        return;
    }
    // Step 7.
    if (!is_allowed(x)) {
        refuse_type(arch, x, context->kind);
        return;
    }
    // Steps 8 and 9: translated requests carry a physical address, or with T2GPA a guest-physical one.
    if (x->flags & IOM_REQ_TRANSLATED) {
        if (context->attributes & IOM_RISCV_TC_T2GPA)
            use_bare(arch, x);
        else
            apply_bypass(x, IOM_PAGE_LOG2);
        return;
    }
    // Step 10: the first stage is that of the device.
    if (context->kind != RISCV_KIND_PROCESS) {
        go_to_pages(arch, x);
        return;
    }
    // Steps 11 to 14: it is that of a process, 0 by default if DPE says so.
    bool has_process = pasid || (context->attributes & IOM_RISCV_TC_DPE) != 0;
    if (!has_process || context->levels[0] == IOM_RISCV_PROCESS_BARE) {
        use_bare(arch, x);
        return;
    }
    x->context.substream = pasid ? x->pasid : 0;
    x->next = IOM_LOOKUP_PASID;
}

void riscv_apply_process(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_context *context)
{
    x->context.table[0] = context->table[0];
    x->context.kind = context->kind;
    x->context.levels[0] = context->levels[0];
    x->context.asid = context->asid;
    x->context.attributes |= context->attributes; // ENS, SUM
    x->context.node = context->node;
    // Step 15.
    if (!riscv_access_of(x).privileged || (context->attributes & RISCV_ENS)) {
        go_to_pages(arch, x);
        return;
    }
    refuse_type(arch, x, context->kind);
}

// "If requesting device is a CXL type 1 or type 2 device": where the specification leaves it open, 0.
static bool is_cxl_io(const struct iom_xlate *x, uint64_t attributes)
{
    return (x->flags & IOM_REQ_CXL) != 0 && ((attributes & (IOM_RISCV_LEAF_MSI | IOM_RISCV_LEAF_TYPE)) != 0 ||
                                             (x->context.attributes & IOM_RISCV_TC_T2GPA) != 0);
}

// The answer to a translation request: permissions of the privilege that asked, execute only if asked for
// and readable.
static void answer(struct iom_xlate *x, const struct iom_leaf *leaf, uint8_t granted)
{
    struct riscv_access access = riscv_access_of(x);
    unsigned all = IOM_PERM_READ | IOM_PERM_WRITE | IOM_PERM_EXEC;
    unsigned permissions = access.privileged ? (unsigned)granted >> 3 : granted & all;
    if (!access.exec || !(permissions & IOM_PERM_READ))
        permissions &= ~(unsigned)IOM_PERM_EXEC;
    x->leaf.permissions = (uint8_t)(access.privileged ? permissions << 3 : permissions);
    x->leaf.global = leaf->global && (x->flags & IOM_REQ_PASID) && !(leaf->attributes & IOM_RISCV_LEAF_MSI);
    if (is_cxl_io(x, leaf->attributes))
        x->leaf.attributes |= IOM_RISCV_LEAF_CXL_IO;
    if (permissions == 0)
        x->outcome = IOM_OUTCOME_DENIED;
}

void riscv_apply_leaf(struct iom_xlate *x, const struct iom_leaf *leaf)
{
    uint8_t granted = riscv_permissions(leaf->attributes, x->context.attributes);
    x->leaf = *leaf;
    x->leaf.output = leaf->output | iom_low_bits(x->address, leaf->size_log2);
    x->leaf.attributes = leaf->attributes & RISCV_LEAF_PUBLIC;
    x->leaf.permissions = granted;
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_ADDRESS;
    if (x->flags & IOM_REQ_TRANSLATE)
        answer(x, leaf, granted);
}

static bool owes_dirty(const struct iom_leaf *leaf, uint64_t write, uint64_t dirty)
{
    return (leaf->attributes & (write | dirty)) == write;
}

// Does the answer to a translation request depend on a dirty flag that the entry has as clear? It is due in
// each stage that allows writing if write permission is asked for. If not, the answer still tells of it, and
// the flag may be set by now: the IOMMU sets it for other parts of the page as well, and no invalidation
// follows that.
static bool needs_dirty(const struct iom_xlate *x, const struct iom_leaf *leaf, bool write)
{
    const uint64_t writable = RISCV_FIRST_WRITE | RISCV_SECOND_WRITE;
    bool owed = owes_dirty(leaf, RISCV_FIRST_WRITE, RISCV_FIRST_DIRTY) ||
                owes_dirty(leaf, RISCV_SECOND_WRITE, RISCV_SECOND_DIRTY);
    if (write || (x->context.attributes & RISCV_CACHED_PERMISSIONS)) // the latter never walk again
        return write && owed;
    return owed && (leaf->attributes & writable) == writable;
}

// Does a cached entry decide the request? If not, a walk does: it finds the fault, sets the dirty flag, or
// denies.
static bool is_served(const struct iom_xlate *x, const struct iom_leaf *leaf)
{
    struct riscv_access access = riscv_access_of(x);
    uint8_t granted = riscv_permissions(leaf->attributes, x->context.attributes);
    unsigned shift = access.privileged ? 3 : 0;
    if (!(x->flags & IOM_REQ_TRANSLATE)) {
        unsigned needed = (access.read ? IOM_PERM_READ : 0u) | (access.write ? IOM_PERM_WRITE : 0u) |
                          (access.exec ? IOM_PERM_EXEC : 0u);
        return (granted & needed << shift) == needed << shift;
    }
    // Missing permissions are answered, but not a page of the other privilege.
    if (!(x->context.attributes & RISCV_DIRTY_NOT_RECHECKED) && needs_dirty(x, leaf, access.write))
        return false;
    if (!access.privileged)
        return (leaf->attributes & RISCV_FIRST_USER) != 0;
    if (leaf->attributes & RISCV_FIRST_SUPERVISOR)
        return true;
    return !access.exec && (x->context.attributes & RISCV_SUM) != 0;
}

// The page that a cached entry was cut out of refuses: which stage is it?
static void refuse_cached(struct iom_xlate *x, const struct iom_tag *tag, const struct iom_leaf *leaf)
{
    struct iom_leaf first = *leaf;
    first.attributes |= RISCV_SECOND_ALL;
    if (!is_served(x, &first)) {
        riscv_refuse(x, riscv_page_cause(x), 0);
        return;
    }
    uint64_t guest_address = tag->intermediate | iom_low_bits(x->address, tag->size_log2);
    riscv_refuse(x, riscv_guest_cause(x),
                 x->context.attributes & RISCV_NO_GUEST_DETAIL ? 0 : guest_address & ~UINT64_C(3));
}

bool riscv_use_leaf(struct iom_xlate *x, const struct iom_tag *tag, const struct iom_leaf *leaf)
{
    if (is_served(x, leaf))
        riscv_apply_leaf(x, leaf);
    else if (x->context.attributes & RISCV_CACHED_PERMISSIONS)
        refuse_cached(x, tag, leaf);
    else
        return false;
    return true;
}

// ---- operations ------------------------------------------------------------------------------------------

void riscv_tag_init(const struct iom_arch *arch, struct iom_tag *tag)
{
    memset(tag, 0, sizeof *tag);
    tag->iommu = arch->iommu;
}

void riscv_space_tag(const struct iom_arch *arch, const struct iom_xlate *x, unsigned stage,
                     struct iom_tag *tag)
{
    const struct iom_context *context = &x->context;
    riscv_tag_init(arch, tag);
    tag->stage = (uint8_t)stage;
    if (stage == RISCV_STAGE_SECOND || stage == RISCV_STAGE_NESTED)
        tag->domain = context->domain;
    if (stage == RISCV_STAGE_FIRST || stage == RISCV_STAGE_NESTED)
        tag->asid = context->asid;
    if (riscv_config(arch)->tagging == IOM_TAG_BY_SOURCE)
        tag->stream = x->source;
}

uint64_t riscv_translated_bits(const struct iom_xlate *x)
{
    const struct iom_context *context = &x->context;
    if (!(context->attributes & RISCV_UPPER_IGNORED))
        return x->address;
    if (context->kind == RISCV_KIND_FIRST)
        return iom_low_bits(
            x->address, IOM_RISCV_WIDTH((context->attributes & IOM_RISCV_TC_SXL) != 0, context->levels[0]));
    return iom_low_bits(x->address, IOM_RISCV_WIDTH(riscv_second_layout(context).narrow, context->levels[1]) +
                                        IOM_RISCV_GUEST_BITS);
}

void riscv_iotlb_key(const struct iom_arch *arch, const struct iom_xlate *x, struct iom_tag *key)
{
    const struct iom_context *context = &x->context;
    bool second = riscv_has_second(context);
    unsigned stage =
        (context->kind == RISCV_KIND_FIRST ? RISCV_STAGE_FIRST : 0u) | (second ? RISCV_STAGE_SECOND : 0u);
    unsigned class = 0;
    riscv_space_tag(arch, x, stage, key);
    key->address = riscv_translated_bits(x);
    if ((x->flags & IOM_REQ_TRANSLATE) && (context->attributes & IOM_RISCV_TC_T2GPA))
        class |= RISCV_CLASS_GUEST;
    if (context->attributes & IOM_RISCV_TC_SXL)
        class |= RISCV_CLASS_SXL;
    if (riscv_has_msi(context)) {
        class |= RISCV_CLASS_MSI;
        if (!second)
            key->domain = x->source;
    }
    key->security = (uint8_t) class;
}

// Step 5: is the device_id wider than the directory? The lowest index has 7 bits, 6 with extended contexts.
static bool is_too_wide(const struct iom_riscv_config *config, uint64_t mode, uint32_t device_id)
{
    unsigned lowest = config->derived.extended_context || config->quirk.narrow_device_ids ? 6 : 7;
    unsigned bits = mode == IOM_RISCV_1LVL ? lowest : mode == IOM_RISCV_2LVL ? lowest + 9 : 24;
    return device_id >> bits != 0;
}

void riscv_enter(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x)
{
    uint64_t mode = view->extra[IOM_RISCV_VIEW_MODE];
    x->outcome = IOM_OUTCOME_NONE;
    x->next = IOM_LOOKUP_CONTEXT;
    x->context.attributes = 0;
    x->context.kind = RISCV_KIND_NONE;
    x->context.domain = x->context.asid = 0;
    x->context.node = 0;
    x->leaf.node = 0;
    x->page_request &= (uint16_t)~IOM_PAGE_REQUEST_PASID_RESPONSE;
    // Step 1.
    if (mode == IOM_RISCV_OFF) {
        riscv_refuse(x, IOM_RISCV_FAULT_ALL_DISALLOWED, 0);
        return;
    }
    // Step 2.
    if (mode == IOM_RISCV_BARE) {
        if (x->flags & (IOM_REQ_TRANSLATE | IOM_REQ_TRANSLATED | IOM_REQ_PAGE))
            riscv_refuse(x, IOM_RISCV_FAULT_TYPE_DISALLOWED, 0);
        else
            apply_bypass(x, IOM_PAGE_LOG2);
        return;
    }
    // Steps 3 to 5.
    if (is_too_wide(riscv_config(arch), mode, x->source))
        riscv_refuse(x, IOM_RISCV_FAULT_TYPE_DISALLOWED, 0);
}

void riscv_key(const struct iom_arch *arch, const struct iom_view *view, const struct iom_xlate *x,
               struct iom_tag *key)
{
    (void)view;
    if (x->next == IOM_LOOKUP_IOTLB) {
        riscv_iotlb_key(arch, x, key);
        return;
    }
    riscv_tag_init(arch, key);
    key->stream = x->source;
    if (x->next == IOM_LOOKUP_PASID)
        key->substream = x->context.substream;
}

bool riscv_use(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x,
               const struct iom_tag *tag, const void *payload)
{
    (void)view;
    if (x->next == IOM_LOOKUP_CONTEXT) {
        riscv_apply_device(arch, x, payload);
        return true;
    }
    if (x->next == IOM_LOOKUP_PASID) {
        riscv_apply_process(arch, x, payload);
        return true;
    }
    return riscv_use_leaf(x, tag, payload);
}
