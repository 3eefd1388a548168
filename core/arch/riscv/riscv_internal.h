// SPDX-License-Identifier: Apache-2.0
//
// What the look-ups and walks of the RISC-V IOMMU share with each other and with the rest of this folder.
// Register state and commands have a header of their own (riscv_state.h).
//
//   riscv_lookup.c   enter, key, use: what a request does with what has been fetched
//   riscv_entry.c    page-table entries of both stages, paging-structure caches
//   riscv_fault.c    causes and answers
//   riscv_context.c  walks of the device directory, device context checks
//   riscv_process.c  walks of the process directory, process context checks
//   riscv_first.c    first-stage page walk  } one machine: with two stages the second stage runs inside
//   riscv_second.c   second-stage page walk } the first, and inside walks of the process directory
//   riscv_msi.c      MSI page tables
//   riscv_walk.c     start and dispatch of a walk, end of a page walk
//   riscv_config.c   capabilities and what is derived from them
#ifndef IOM_CORE_ARCH_RISCV_INTERNAL_H
#define IOM_CORE_ARCH_RISCV_INTERNAL_H

#include "core/arch/riscv/riscv.h"
#include "core/arch/riscv/riscv_formats.h"

// ---- iom_context -----------------------------------------------------------------------------------------

/// iom_context.kind: what the first stage of the request is.
enum riscv_kind {
    RISCV_KIND_NONE,    ///< no device context yet
    RISCV_KIND_BARE,    ///< no first-stage tables
    RISCV_KIND_FIRST,   ///< table[0] is the root of first-stage tables, levels[0] their levels
    RISCV_KIND_PROCESS, ///< table[0] is the root of the process directory, levels[0] its levels (0: Bare)
};

/// iom_context.attributes: bits 11:0 are those of DC.tc (IOM_RISCV_TC_*), then:
#define RISCV_BIG (UINT64_C(1) << 12)    ///< fctl.BE: second stage and MSI tables are big-endian
#define RISCV_NARROW (UINT64_C(1) << 13) ///< fctl.GXL: the second stage has 32-bit entries
#define RISCV_ENS (UINT64_C(1) << 14)    ///< of the process context
#define RISCV_SUM (UINT64_C(1) << 15)

/// Choices and quirks of the configuration, carried along so that functions of a request need no other.
#define RISCV_CACHED_PERMISSIONS (UINT64_C(1) << 32)
#define RISCV_NO_PROCESS (UINT64_C(1) << 33)
#define RISCV_PRIVILEGE_ALWAYS (UINT64_C(1) << 34)
#define RISCV_FETCH_AS_READ (UINT64_C(1) << 35)
#define RISCV_EXECUTE_ONLY_REFUSED (UINT64_C(1) << 36)
#define RISCV_SUM_REFUSES_EXECUTABLE (UINT64_C(1) << 37)
#define RISCV_NO_GUEST_DETAIL (UINT64_C(1) << 38)
#define RISCV_IMPLICIT_DIRTY (UINT64_C(1) << 39)
#define RISCV_DIRTY_NOT_RECHECKED (UINT64_C(1) << 40)
#define RISCV_UPPER_IGNORED (UINT64_C(1) << 41)

/// iom_context.extra. Valid with a device context; the base format has MODE = Off.
enum { RISCV_EXTRA_MSIPTP, RISCV_EXTRA_MSI_MASK, RISCV_EXTRA_MSI_PATTERN };

// ---- iom_leaf --------------------------------------------------------------------------------------------

/// Private bits of iom_leaf.attributes in cached entries, and of iom_walk_stage.attributes: rights as the
/// tables have them. A stage that is Bare grants everything.
#define RISCV_FIRST_READ (UINT64_C(1) << 16)
#define RISCV_FIRST_WRITE (UINT64_C(1) << 17)
#define RISCV_FIRST_EXEC (UINT64_C(1) << 18)
#define RISCV_FIRST_DIRTY (UINT64_C(1) << 19)
#define RISCV_FIRST_USER (UINT64_C(1) << 20)       ///< U: a page of user mode
#define RISCV_FIRST_SUPERVISOR (UINT64_C(1) << 21) ///< not U: a page of supervisor mode
#define RISCV_SECOND_READ (UINT64_C(1) << 22)
#define RISCV_SECOND_WRITE (UINT64_C(1) << 23)
#define RISCV_SECOND_EXEC (UINT64_C(1) << 24)
#define RISCV_SECOND_DIRTY (UINT64_C(1) << 25)
#define RISCV_FIRST_GLOBAL (UINT64_C(1) << 26) ///< during a walk: G seen on the way
#define RISCV_FIRST_ALL                                                                                      \
    (RISCV_FIRST_READ | RISCV_FIRST_WRITE | RISCV_FIRST_EXEC | RISCV_FIRST_DIRTY | RISCV_FIRST_USER |        \
     RISCV_FIRST_SUPERVISOR)
#define RISCV_SECOND_ALL (RISCV_SECOND_READ | RISCV_SECOND_WRITE | RISCV_SECOND_EXEC | RISCV_SECOND_DIRTY)
/// Bits that belong to a result (enum iom_riscv_leaf_attribute).
#define RISCV_LEAF_PUBLIC UINT64_C(0x1ff)

// ---- tags ------------------------------------------------------------------------------------------------
//
// CONTEXT: stream = device_id. PASID: stream, substream = process_id (0: the default of DPE).
// IOTLB and paging structures: stage as below; domain = GSCID where there is a second stage, else 0;
// asid = PSCID where there is a first stage, else 0; address = IOVA (for second-stage structures: GPA);
// security = enum riscv_class; level = enum riscv_entry (of IOTLB entries; no part of the key);
// stream = device_id only where the configuration tags by source. An MSI page table in effect without a
// second stage has no GSCID that would name its owner: domain = device_id then.

/// iom_tag.stage.
enum riscv_stage {
    RISCV_STAGE_NONE, ///< both stages Bare: MSI page table only
    RISCV_STAGE_FIRST,
    RISCV_STAGE_SECOND,
    RISCV_STAGE_NESTED,
};

/// iom_tag.security: requests that differ here do not share translations (bit mask).
enum riscv_class {
    RISCV_CLASS_GUEST = 1u << 0, ///< answer to a translation request under T2GPA: the output is a GPA
    RISCV_CLASS_SXL = 1u << 1,   ///< addresses limited by DC.tc.SXL
    RISCV_CLASS_MSI = 1u << 2,   ///< an MSI page table is in effect
};

/// iom_tag.level of IOTLB entries: what invalidations need to know besides.
enum riscv_entry {
    RISCV_ENTRY_PAGE,
    RISCV_ENTRY_MSI, ///< went through an MSI page table: IOTINVAL.GVMA removes it whatever the stage is
};

// ---- messages --------------------------------------------------------------------------------------------

/// Message code of a page request, reported as iotval (PCI Express Base 6.0, 10.4.1).
#define RISCV_PAGE_REQUEST_CODE 4u

// ---- view ------------------------------------------------------------------------------------------------

static inline const struct iom_riscv_config *riscv_config(const struct iom_arch *arch)
{
    return (const struct iom_riscv_config *)arch->config;
}

static inline bool riscv_has(const struct iom_riscv_config *config, enum iom_riscv_capability bit)
{
    return (config->capabilities >> bit & 1) != 0;
}

static inline bool riscv_has_second(const struct iom_context *context)
{
    return context->levels[1] != 0;
}

static inline bool riscv_has_msi(const struct iom_context *context)
{
    return IOM_RISCV_POINTER_MODE(context->extra[RISCV_EXTRA_MSIPTP]) != IOM_RISCV_MSI_OFF;
}

// ---- byte order ------------------------------------------------------------------------------------------

uint64_t riscv_swap64(uint64_t value);

/// A doubleword as read from memory, put in order.
static inline uint64_t riscv_word(uint64_t raw, bool big)
{
    return big ? riscv_swap64(raw) : raw;
}

// ---- look-ups --------------------------------------------------------------------------------------------

/// What a request needs from the pages it uses ("Process to translate an IOVA"). Execute permission can be
/// asked for without a process_id, privilege cannot.
struct riscv_access {
    bool read, write, exec, privileged;
};
struct riscv_access riscv_access_of(const struct iom_xlate *x);
/// Address bits that take part in the translation: all, but for a quirk.
uint64_t riscv_translated_bits(const struct iom_xlate *x);
/// Does a translation, cached or just walked, decide the request? Then x has an outcome. If not, a walk does:
/// it finds the fault, sets the dirty flag, or denies.
bool riscv_use_leaf(struct iom_xlate *x, const struct iom_tag *tag, const struct iom_leaf *leaf);

/// Effective permissions (enum iom_permission) of `rights` under RISCV_SUM of a context.
uint8_t riscv_permissions(uint64_t rights, uint64_t context_attributes);

/// Ends a request with a fault, or with "denied" where the cause says so to a translation request.
void riscv_refuse(struct iom_xlate *x, enum iom_riscv_fault cause, uint64_t iotval2);
/// See struct iom_arch_ops.
void riscv_charge(const struct iom_arch *arch, struct iom_xlate *x);
/// Causes that depend on what the request wants to do.
enum iom_riscv_fault riscv_access_cause(const struct iom_xlate *x);
enum iom_riscv_fault riscv_page_cause(const struct iom_xlate *x);
enum iom_riscv_fault riscv_guest_cause(const struct iom_xlate *x);

/// Apply a device context, process context or translation to x (shared by use and by the walks).
void riscv_apply_device(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_context *context);
void riscv_apply_process(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_context *context);
void riscv_apply_leaf(struct iom_xlate *x, const struct iom_leaf *leaf);

void riscv_tag_init(const struct iom_arch *arch, struct iom_tag *tag);
/// Fields of IOTLB and paging-structure tags that follow from the context; `stage` is enum riscv_stage.
void riscv_space_tag(const struct iom_arch *arch, const struct iom_xlate *x, unsigned stage,
                     struct iom_tag *tag);
/// Key of the IOTLB for x; the tag of a fill is the same with the page's address and size.
void riscv_iotlb_key(const struct iom_arch *arch, const struct iom_xlate *x, struct iom_tag *key);

void riscv_enter(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x);
void riscv_key(const struct iom_arch *arch, const struct iom_view *view, const struct iom_xlate *x,
               struct iom_tag *key);
bool riscv_use(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x,
               const struct iom_tag *tag, const void *payload);

// ---- walks -----------------------------------------------------------------------------------------------

/// iom_walk.phase: what the last action was for.
enum riscv_phase {
    RISCV_PHASE_DIRECTORY, ///< non-leaf device directory entry
    RISCV_PHASE_DEVICE,    ///< device context
    RISCV_PHASE_PROCESS_DIRECTORY,
    RISCV_PHASE_PROCESS,
    RISCV_PHASE_FIRST_PROBE,
    RISCV_PHASE_FIRST_ENTRY,
    RISCV_PHASE_FIRST_UPDATE,
    RISCV_PHASE_FIRST_UPDATE_SECOND, ///< dirty flag of the second-stage page that holds a first-stage table
    RISCV_PHASE_SECOND_PROBE,
    RISCV_PHASE_SECOND_ENTRY,
    RISCV_PHASE_SECOND_UPDATE,
    RISCV_PHASE_MSI,
};

/// iom_walk_stage.state of the second stage: why it runs.
enum riscv_purpose {
    RISCV_FOR_PAGE,          ///< the request's page
    RISCV_FOR_TABLE,         ///< a first-stage page-table entry
    RISCV_FOR_PROCESS,       ///< an entry of the process directory
    RISCV_FOR_PROCESS_TABLE, ///< a table of it (quirk process_directory_untranslated)
};

#define RISCV_FIRST 0  ///< index of the first stage, and of directories, in iom_walk.stage
#define RISCV_SECOND 1 ///< index of the second stage

/// iom_walk.scratch.
enum riscv_scratch {
    RISCV_RAW,                   ///< + stage: the 8 bytes around the last entry, as they are in memory
    RISCV_GUEST = RISCV_RAW + 2, ///< guest-physical address of the request
    RISCV_MISSING,               ///< flags of a first-stage entry to be set after those of the second stage
};

void riscv_device_start(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk);
void riscv_device_step(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk);

/// What a first-stage pointer (iosatp, PC.fsc) means: kind, table[0], levels[0], asid.
void riscv_first_context(uint64_t iosatp, bool sxl, uint32_t pscid, struct iom_context *context);
/// Begins the fill of a context look-up: tag by requester, empty payload.
struct iom_context *riscv_context_fill(const struct iom_arch *arch, struct iom_walk *walk);

void riscv_process_start(const struct iom_arch *arch, struct iom_walk *walk);
void riscv_process_step(const struct iom_arch *arch, struct iom_walk *walk);
/// The second stage has translated the address of a process directory entry to `address`.
/// The next table of the directory has been found (quirk process_directory_untranslated).
void riscv_process_continue(const struct iom_arch *arch, struct iom_walk *walk);
void riscv_process_table_ready(struct iom_walk *walk, uint64_t address);

void riscv_first_start(const struct iom_arch *arch, struct iom_walk *walk);
void riscv_first_step(const struct iom_arch *arch, struct iom_walk *walk);
/// The second stage has translated the address of a first-stage entry to `address`.
void riscv_first_table_ready(struct iom_walk *walk, uint64_t address);

void riscv_second_start(const struct iom_arch *arch, struct iom_walk *walk, uint64_t guest_address,
                        enum riscv_purpose purpose);
void riscv_second_step(const struct iom_arch *arch, struct iom_walk *walk);
/// Guest page fault of the second stage's present purpose; `write`: of an update of a first-stage entry.
void riscv_second_refuse(struct iom_walk *walk, bool write);

/// Is the page of `guest_address` a virtual interrupt file of the device?
bool riscv_msi_matches(const struct iom_riscv_config *config, const struct iom_context *context,
                       uint64_t guest_address);
/// Largest range around `guest_address`, at most 2^size_log2 bytes, that contains none.
uint8_t riscv_msi_clear_log2(const struct iom_riscv_config *config, const struct iom_context *context,
                             uint64_t guest_address, uint8_t size_log2);
void riscv_msi_start(struct iom_walk *walk);
void riscv_msi_step(const struct iom_arch *arch, struct iom_walk *walk);

/// The first stage (if any) is done: the MSI page table or the second stage (if any) takes over.
void riscv_walk_guest_ready(const struct iom_arch *arch, struct iom_walk *walk, uint64_t guest_address);
/// The translation is complete: `output` is the physical address of the first byte; `rights` and
/// `size_log2` are those of the last stage, `attributes` enum iom_riscv_leaf_attribute it adds.
struct riscv_last_stage {
    uint64_t output;
    uint64_t rights;
    uint64_t attributes;
    uint8_t size_log2;
};
void riscv_walk_finish(const struct iom_arch *arch, struct iom_walk *walk,
                       const struct riscv_last_stage *last);

/// The same for a memory-resident interrupt file at last->output; `notice` goes into leaf.attributes.
void riscv_walk_finish_mrif(const struct iom_arch *arch, struct iom_walk *walk,
                            const struct riscv_last_stage *last, uint64_t notice);

void riscv_walk_start(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk);
void riscv_walk_step(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk);

static inline void riscv_walk_read(struct iom_walk *walk, enum riscv_phase phase, uint64_t address,
                                   unsigned bytes)
{
    walk->action = IOM_WALK_READ;
    walk->phase = (uint8_t)phase;
    walk->address = address;
    walk->bytes = (uint8_t)bytes;
}

static inline void riscv_walk_done(struct iom_walk *walk)
{
    walk->action = IOM_WALK_DONE;
}

/// Ends a walk with a fault.
static inline void riscv_walk_refuse(struct iom_walk *walk, enum iom_riscv_fault cause, uint64_t iotval2)
{
    walk->x.context.node = walk->node;
    riscv_refuse(&walk->x, cause, iotval2);
    riscv_walk_done(walk);
}

/// How the last access went; addresses beyond what the IOMMU supports are refused.
static inline enum iom_access riscv_walk_access(const struct iom_arch *arch, const struct iom_walk *walk)
{
    if (walk->address & riscv_config(arch)->derived.above_address)
        return IOM_ACCESS_REFUSED;
    return (enum iom_access)walk->access_error;
}

// ---- page-table entries ----------------------------------------------------------------------------------

/// How the tables of a stage lie in memory.
struct riscv_layout {
    bool narrow; ///< 32-bit entries
    bool big;    ///< big-endian
};

static inline struct riscv_layout riscv_first_layout(const struct iom_context *context)
{
    return (struct riscv_layout){.narrow = (context->attributes & IOM_RISCV_TC_SXL) != 0,
                                 .big = (context->attributes & IOM_RISCV_TC_SBE) != 0};
}

static inline struct riscv_layout riscv_second_layout(const struct iom_context *context)
{
    return (struct riscv_layout){.narrow = (context->attributes & RISCV_NARROW) != 0,
                                 .big = (context->attributes & RISCV_BIG) != 0};
}

/// Reads the entry at stage[index].entry_at. Memory is read in doublewords, also around a 32-bit entry.
void riscv_entry_read(struct iom_walk *walk, unsigned index, enum riscv_phase phase);
/// Takes over what has been read.
void riscv_entry_take(struct iom_walk *walk, unsigned index, struct riscv_layout layout);
/// Sets `flags` in the entry by compare-and-swap; stage[index].entry holds them at once.
void riscv_entry_update(struct iom_walk *walk, unsigned index, struct riscv_layout layout,
                        enum riscv_phase phase, uint64_t flags);

/// Did the access to a table go well? If not, the walk has been refused.
bool riscv_table_access(const struct iom_arch *arch, struct iom_walk *walk);
/// Likewise the compare-and-swap; a lost race ends the walk with RETRY.
bool riscv_entry_updated(const struct iom_arch *arch, struct iom_walk *walk, unsigned index);

/// What an entry is, whatever the request.
enum riscv_entry_form {
    RISCV_FORM_INVALID, ///< not valid, or a reserved bit or encoding
    RISCV_FORM_TABLE,
    RISCV_FORM_PAGE,
};
enum riscv_entry_form riscv_entry_form(const struct iom_riscv_config *config, uint64_t entry, unsigned level,
                                       bool narrow);
/// Size and address of the page that an entry at stage[index] maps the stage's input to.
void riscv_entry_page(const struct iom_riscv_config *config, struct iom_walk_stage *at, bool narrow,
                      uint64_t *output);

// ---- paging-structure caches -----------------------------------------------------------------------------

/// Asks for the deepest table on the way to stage[index].input.
void riscv_walk_probe(const struct iom_arch *arch, struct iom_walk *walk, unsigned index,
                      enum riscv_phase phase);
/// Uses the answer: level, table and attributes of stage[index].
void riscv_walk_probed(struct iom_walk *walk, unsigned index);
/// Hands the table found out along with the next action, and goes down to it.
void riscv_walk_descend(const struct iom_arch *arch, struct iom_walk *walk, unsigned index, bool narrow);

#endif
