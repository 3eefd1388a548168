// SPDX-License-Identifier: Apache-2.0
//
// Walks that fetch a context entry (root table, context table) or a PASID-table entry (PASID
// directory, PASID table), with every validity check of VT-d Rev. 4.1, 7.1.3 (LRT, LCT, SRT, SCT,
// SPD, SPT) and 9.1 to 9.6.
//
// Fault processing disable (FPD) is honoured from the context entry, the directory entry and the
// PASID-table entry, also when the entry itself is not present.
#include <string.h>

#include "core/arch/vtd/vtd_internal.h"

static void refuse(struct iom_walk *walk, enum iom_vtd_fault reason)
{
    walk->x.context.node = walk->node;
    vtd_refuse(&walk->x, reason, (walk->x.context.attributes & VTD_FPD) != 0);
    vtd_walk_done(walk);
}

// Puts an accepted entry into the walk's fill and applies it, as a hit would.
static struct iom_context *begin_fill(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_context *context = &walk->fill.payload.context;
    memset(context, 0, sizeof *context);
    context->node = walk->node;
    vtd_tag_init(arch, &walk->fill.tag);
    walk->fill.tag.stream = walk->x.source;
    walk->fill.tag.size_log2 = 64;
    walk->fill.valid = true;
    return context;
}

// An entry on the way is not present: in caching mode that is remembered, by source and PASID, with the
// reason and whether it is recorded (6.1).
static void refuse_not_present(const struct iom_arch *arch, struct iom_walk *walk, enum iom_vtd_fault reason)
{
    uint64_t silent = walk->x.context.attributes & VTD_FPD;
    uint32_t substream = walk->x.context.substream;
    refuse(walk, reason);
    if (!IOM_VTD_CAP_CM(vtd_config(arch)->cap))
        return;
    struct iom_context *context = begin_fill(arch, walk);
    context->kind = VTD_KIND_NOT_PRESENT;
    context->attributes = (uint64_t)reason << VTD_REASON_SHIFT | silent;
    if (walk->what == IOM_LOOKUP_PASID) {
        context->substream = substream;
        walk->fill.tag.substream = substream;
        walk->fill.tag.level = VTD_ENTRY_NOT_PRESENT;
    } else {
        // Tagged with domain 0 in legacy mode.
        bool legacy = reason == IOM_VTD_FAULT_ROOT_NOT_PRESENT || reason == IOM_VTD_FAULT_CONTEXT_NOT_PRESENT;
        walk->fill.tag.level = legacy ? VTD_ENTRY_LEGACY : VTD_ENTRY_SCALABLE;
    }
}

// ---- root ----------------------------------------------------------------------------------------

void vtd_context_start(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk)
{
    (void)arch;
    struct iom_xlate *x = &walk->x;
    walk->fill.valid = false;
    if (walk->what == IOM_LOOKUP_PASID) {
        // 3.4.3: the directory is indexed by PASID[19:6], the table by PASID[5:0].
        vtd_walk_read(walk, VTD_PHASE_PASID_DIR,
                      x->context.table[0] + (x->context.substream >> 6) * UINT64_C(8), 8);
        return;
    }
    uint64_t entry =
        (view->root & IOM_VTD_POINTER) + ((x->source >> 8) & 0xff) * sizeof(struct iom_vtd_root_entry);
    vtd_walk_read(walk, VTD_PHASE_ROOT, entry, sizeof(struct iom_vtd_root_entry));
}

static void legacy_root(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    uint64_t low = walk->data[0];
    if (walk->access_error) {
        refuse(walk, IOM_VTD_FAULT_ROOT_ACCESS);
    } else if (!(low & IOM_VTD_PRESENT)) {
        refuse_not_present(arch, walk, IOM_VTD_FAULT_ROOT_NOT_PRESENT);
    } else if ((low & config->derived.root_reserved) != 0 || walk->data[1] != 0) {
        refuse(walk, IOM_VTD_FAULT_ROOT_RESERVED);
    } else {
        uint64_t index = walk->x.source & 0xff;
        vtd_walk_read(walk, VTD_PHASE_CONTEXT,
                      (low & IOM_VTD_POINTER) + index * sizeof(struct iom_vtd_context_entry),
                      sizeof(struct iom_vtd_context_entry));
    }
}

static void scalable_root(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    // Devices 0..15 use the low half, 16..31 the high half; the halves are independent.
    uint64_t half = walk->data[(walk->x.source >> 7) & 1];
    if (walk->access_error) {
        refuse(walk, IOM_VTD_FAULT_SM_ROOT_ACCESS);
    } else if (!(half & IOM_VTD_PRESENT)) {
        refuse_not_present(arch, walk, IOM_VTD_FAULT_SM_ROOT_NOT_PRESENT);
    } else if ((half & config->derived.root_reserved) != 0) {
        refuse(walk, IOM_VTD_FAULT_SM_ROOT_RESERVED);
    } else {
        uint64_t index = walk->x.source & 0x7f;
        vtd_walk_read(walk, VTD_PHASE_SM_CONTEXT,
                      (half & IOM_VTD_POINTER) + index * sizeof(struct iom_vtd_sm_context_entry),
                      sizeof(struct iom_vtd_sm_context_entry));
    }
}

// ---- context -------------------------------------------------------------------------------------

// LCT.4: is the combination of type and width one that this hardware supports?
static bool legacy_context_is_valid(const struct iom_vtd_config *config, uint64_t low, uint64_t high)
{
    switch ((enum iom_vtd_context_type)iom_bits(low, 3, 2)) {
    case IOM_VTD_TT_UNTRANSLATED:
        break;
    case IOM_VTD_TT_ALL:
        if (!IOM_VTD_ECAP_DT(config->ecap))
            return false;
        break;
    case IOM_VTD_TT_PASS_THROUGH:
        if (!IOM_VTD_ECAP_PT(config->ecap))
            return false;
        break;
    case IOM_VTD_TT_RESERVED:
        return false;
    }
    return (config->derived.second_levels >> IOM_VTD_LEVELS_OF_AW(IOM_VTD_CONTEXT_AW(high)) & 1) != 0;
}

static void legacy_context(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    uint64_t low = walk->data[0];
    uint64_t high = walk->data[1];
    if (walk->access_error) {
        refuse(walk, IOM_VTD_FAULT_CONTEXT_ACCESS);
        return;
    }
    if (low & IOM_VTD_FPD)
        walk->x.context.attributes |= VTD_FPD;
    if (!(low & IOM_VTD_PRESENT)) {
        refuse_not_present(arch, walk, IOM_VTD_FAULT_CONTEXT_NOT_PRESENT);
    } else if ((low & (IOM_VTD_CONTEXT_LOW_RESERVED | config->derived.above_haw)) != 0 ||
               (high & IOM_VTD_CONTEXT_HIGH_RESERVED) != 0) {
        refuse(walk, IOM_VTD_FAULT_CONTEXT_RESERVED);
    } else if (!legacy_context_is_valid(config, low, high)) {
        refuse(walk, IOM_VTD_FAULT_CONTEXT_INVALID);
    } else {
        struct iom_context *context = begin_fill(arch, walk);
        unsigned levels = IOM_VTD_LEVELS_OF_AW(IOM_VTD_CONTEXT_AW(high));
        unsigned type = (unsigned)iom_bits(low, 3, 2);
        uint64_t width = iom_min_u64(config->derived.mgaw_bits, IOM_VTD_BITS_OF_LEVELS(levels));
        context->kind = type == IOM_VTD_TT_PASS_THROUGH ? VTD_KIND_PASS_THROUGH : VTD_KIND_LEGACY;
        context->table[1] = low & IOM_VTD_POINTER;
        context->levels[1] = (uint8_t)levels;
        context->domain = IOM_VTD_CONTEXT_DID(high);
        context->attributes = (low & IOM_VTD_FPD ? VTD_FPD : 0) | (type == IOM_VTD_TT_ALL ? VTD_DTE : 0) |
                              width << VTD_WIDTH_SHIFT;
        walk->fill.tag.domain = context->domain;
        vtd_apply_context(arch, &walk->x, context);
        vtd_walk_done(walk);
    }
}

static uint64_t scalable_context_attributes(uint64_t word0, uint64_t word1)
{
    uint64_t attributes = (uint64_t)IOM_VTD_SMC_PDTS(word0) << VTD_PDTS_SHIFT;
    if (word0 & IOM_VTD_FPD)
        attributes |= VTD_FPD;
    if (word0 & IOM_VTD_SMC_DTE)
        attributes |= VTD_DTE;
    if (word0 & IOM_VTD_SMC_PASIDE)
        attributes |= VTD_PASIDE;
    if (word0 & IOM_VTD_SMC_PRE)
        attributes |= VTD_PRE;
    if (word1 & IOM_VTD_SMC_RID_PRIV)
        attributes |= VTD_RID_PRIV;
    return attributes;
}

static void scalable_context(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    const uint64_t *word = walk->data;
    if (walk->access_error) {
        refuse(walk, IOM_VTD_FAULT_SM_CONTEXT_ACCESS);
        return;
    }
    if (word[0] & IOM_VTD_FPD)
        walk->x.context.attributes |= VTD_FPD;
    if (!(word[0] & IOM_VTD_PRESENT)) {
        refuse_not_present(arch, walk, IOM_VTD_FAULT_SM_CONTEXT_NOT_PRESENT);
    } else if ((word[0] & config->derived.context_reserved[0]) != 0 ||
               (word[1] & config->derived.context_reserved[1]) != 0 || (word[2] | word[3]) != 0) {
        refuse(walk, IOM_VTD_FAULT_SM_CONTEXT_RESERVED);
    } else {
        struct iom_context *context = begin_fill(arch, walk);
        context->kind = VTD_KIND_SCALABLE;
        walk->fill.tag.level = VTD_ENTRY_SCALABLE;
        context->table[0] = word[0] & IOM_VTD_POINTER;
        context->substream = IOM_VTD_SMC_RID_PASID(word[1]);
        context->attributes = scalable_context_attributes(word[0], word[1]);
        vtd_apply_context(arch, &walk->x, context);
        vtd_walk_done(walk);
    }
}

// ---- PASID ---------------------------------------------------------------------------------------

static void pasid_directory(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    uint64_t entry = walk->data[0];
    if (walk->access_error) {
        refuse(walk, IOM_VTD_FAULT_PASID_DIR_ACCESS);
        return;
    }
    if (entry & IOM_VTD_FPD)
        walk->x.context.attributes |= VTD_FPD;
    if (!(entry & IOM_VTD_PRESENT)) {
        refuse_not_present(arch, walk, IOM_VTD_FAULT_PASID_DIR_NOT_PRESENT);
    } else if ((entry & (IOM_VTD_PASID_DIR_RESERVED | config->derived.above_haw)) != 0) {
        refuse(walk, IOM_VTD_FAULT_PASID_DIR_RESERVED);
    } else {
        uint64_t index = walk->x.context.substream & 0x3f;
        // The directory's FPD belongs to what a cached PASID entry means.
        walk->scratch[0] = entry & IOM_VTD_FPD;
        vtd_walk_read(walk, VTD_PHASE_PASID_ENTRY,
                      (entry & IOM_VTD_POINTER) + index * sizeof(struct iom_vtd_pasid_entry),
                      sizeof(struct iom_vtd_pasid_entry));
    }
}

// SPT.4: translation type and table depth that this hardware supports.
static bool pasid_entry_is_valid(const struct iom_vtd_config *config, const uint64_t *word)
{
    uint64_t ecap = config->ecap;
    unsigned mode = IOM_VTD_PASID_FSPM(word[2]);
    bool first =
        mode == IOM_VTD_FSPM_4LEVEL || (mode == IOM_VTD_FSPM_5LEVEL && IOM_VTD_CAP_FS5LP(config->cap));
    bool second = (config->derived.second_levels >> IOM_VTD_LEVELS_OF_AW(IOM_VTD_PASID_AW(word[0])) & 1) != 0;
    switch (IOM_VTD_PASID_PGTT(word[0])) {
    case IOM_VTD_PGTT_FIRST:
        return IOM_VTD_ECAP_FSTS(ecap) && first;
    case IOM_VTD_PGTT_SECOND:
        return IOM_VTD_ECAP_SSTS(ecap) && second;
    case IOM_VTD_PGTT_NESTED:
        return IOM_VTD_ECAP_NEST(ecap) && first && second;
    case IOM_VTD_PGTT_PASS_THROUGH:
        return IOM_VTD_ECAP_PT(ecap) != 0;
    default:
        return false;
    }
}

static bool pasid_entry_has_reserved(const struct iom_vtd_config *config, const uint64_t *word)
{
    uint64_t bits = (word[0] & config->derived.pasid_reserved[0]) |
                    (word[1] & config->derived.pasid_reserved[1]) |
                    (word[2] & config->derived.pasid_reserved[2]);
    return (bits | word[3] | word[4] | word[5] | word[6] | word[7]) != 0;
}

static uint64_t first_stage_controls(uint64_t word2)
{
    uint64_t controls = 0;
    if (word2 & IOM_VTD_PASID_WPE)
        controls |= VTD_WPE;
    if (word2 & IOM_VTD_PASID_NXE)
        controls |= VTD_NXE;
    if (word2 & IOM_VTD_PASID_SMEP)
        controls |= VTD_SMEP;
    if (word2 & IOM_VTD_PASID_EAFE)
        controls |= VTD_EAFE;
    return controls;
}

// Translates a valid PASID-table entry into what look-ups and walks work with.
static void decode_pasid(const struct iom_vtd_config *config, const uint64_t *word,
                         struct iom_context *context)
{
    static const uint8_t kinds[] = {[IOM_VTD_PGTT_FIRST] = VTD_KIND_FIRST,
                                    [IOM_VTD_PGTT_SECOND] = VTD_KIND_SECOND,
                                    [IOM_VTD_PGTT_NESTED] = VTD_KIND_NESTED,
                                    [IOM_VTD_PGTT_PASS_THROUGH] = VTD_KIND_PASS_THROUGH};
    unsigned type = IOM_VTD_PASID_PGTT(word[0]);
    uint64_t attributes = 0;
    context->kind = kinds[type];
    context->domain = IOM_VTD_PASID_DID(word[1]);
    if (type == IOM_VTD_PGTT_FIRST || type == IOM_VTD_PGTT_NESTED) {
        context->table[0] = word[2] & IOM_VTD_POINTER;
        context->levels[0] = IOM_VTD_PASID_FSPM(word[2]) == IOM_VTD_FSPM_5LEVEL ? 5 : 4;
        attributes |= first_stage_controls(word[2]);
    }
    if (type == IOM_VTD_PGTT_SECOND || type == IOM_VTD_PGTT_NESTED) {
        unsigned levels = IOM_VTD_LEVELS_OF_AW(IOM_VTD_PASID_AW(word[0]));
        context->table[1] = word[0] & IOM_VTD_POINTER;
        context->levels[1] = (uint8_t)levels;
        attributes |= iom_min_u64(config->derived.mgaw_bits, IOM_VTD_BITS_OF_LEVELS(levels))
                      << VTD_WIDTH_SHIFT;
        attributes |= word[0] & IOM_VTD_PASID_SSADE ? VTD_SSADE : 0;
    }
    attributes |= word[2] & IOM_VTD_PASID_SRE ? VTD_SRE : 0;
    attributes |= word[2] & IOM_VTD_PASID_ERE ? VTD_ERE : 0;
    // Hardware without page-walk snoop control (SMPWC = 0) has no such setting to violate.
    if (IOM_VTD_ECAP_SMPWC(config->ecap) && !(word[1] & IOM_VTD_PASID_PWSNP))
        attributes |= VTD_NO_SNOOP;
    context->attributes = attributes;
}

static void pasid_entry(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    const uint64_t *word = walk->data;
    if (walk->access_error) {
        refuse(walk, IOM_VTD_FAULT_PASID_ACCESS);
        return;
    }
    if (word[0] & IOM_VTD_FPD)
        walk->x.context.attributes |= VTD_FPD;
    if (!(word[0] & IOM_VTD_PRESENT)) {
        refuse_not_present(arch, walk, IOM_VTD_FAULT_PASID_NOT_PRESENT);
    } else if (pasid_entry_has_reserved(config, word)) {
        refuse(walk, IOM_VTD_FAULT_PASID_RESERVED);
    } else if (!pasid_entry_is_valid(config, word)) {
        refuse(walk, IOM_VTD_FAULT_PASID_INVALID);
    } else {
        struct iom_context *context = begin_fill(arch, walk);
        decode_pasid(config, word, context);
        if (walk->scratch[0] | (word[0] & IOM_VTD_FPD))
            context->attributes |= VTD_FPD;
        context->substream = walk->x.context.substream;
        walk->fill.tag.substream = context->substream;
        walk->fill.tag.domain = context->domain;
        vtd_apply_pasid(arch, &walk->x, context);
        vtd_walk_done(walk);
    }
}

void vtd_context_step(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk)
{
    switch ((enum vtd_phase)walk->phase) {
    case VTD_PHASE_ROOT:
        if (vtd_table_mode(view) == IOM_VTD_TTM_SCALABLE)
            scalable_root(arch, walk);
        else
            legacy_root(arch, walk);
        break;
    case VTD_PHASE_CONTEXT:
        legacy_context(arch, walk);
        break;
    case VTD_PHASE_SM_CONTEXT:
        scalable_context(arch, walk);
        break;
    case VTD_PHASE_PASID_DIR:
        pasid_directory(arch, walk);
        break;
    case VTD_PHASE_PASID_ENTRY:
        pasid_entry(arch, walk);
        break;
    default:
        assert(!"phase of another walk");
        break;
    }
}
