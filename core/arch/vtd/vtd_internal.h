// SPDX-License-Identifier: Apache-2.0
//
// What the files of the VT-d model share with each other and with nobody else.
//
//   vtd_lookup.c     enter, key, use: what a request does with what has been fetched
//   vtd_context.c    walks of root, context, PASID directory and PASID table
//   vtd_first.c      first-stage page walk     } one machine: nested translation runs the second
//   vtd_second.c     second-stage page walk    } stage inside the first
//   vtd_walk.c       start and dispatch of a walk, accessed/dirty updates, end of a walk
//   vtd_fault.c      fault reasons and fault recording registers
//   vtd_registers.c  the register file
//   vtd_queue.c      registers of the invalidation queue
//   vtd_invalidate_registers.c  invalidation by registers
//   vtd_decode.c     invalidation descriptors
//   vtd_invalidation.c  which entries an invalidation removes
//   vtd_config.c     capabilities and what is derived from them
#ifndef IOM_CORE_ARCH_VTD_INTERNAL_H
#define IOM_CORE_ARCH_VTD_INTERNAL_H

#include "core/arch/vtd/vtd.h"
#include "core/arch/vtd/vtd_descriptors.h"
#include "core/arch/vtd/vtd_formats.h"

// ---- iom_context ---------------------------------------------------------------------------------

/// iom_context.kind: what the look-ups so far led to.
enum vtd_kind {
    VTD_KIND_NONE,
    VTD_KIND_SCALABLE,     ///< scalable-mode context entry: the PASID look-up follows
    VTD_KIND_LEGACY,       ///< legacy, second stage
    VTD_KIND_PASS_THROUGH, ///< legacy or scalable
    VTD_KIND_FIRST,
    VTD_KIND_SECOND,
    VTD_KIND_NESTED,
    VTD_KIND_NOT_PRESENT, ///< caching mode: an entry that was not present; VTD_REASON says which
};

/// Bits of iom_context.attributes. A context entry fills the first group; a PASID-table entry the
/// second, and VTD_KEEP survive from the context entry when the PASID entry takes over.
#define VTD_FPD (UINT64_C(1) << 0)
#define VTD_DTE (UINT64_C(1) << 1)
#define VTD_PASIDE (UINT64_C(1) << 2)
#define VTD_PRE (UINT64_C(1) << 3)
#define VTD_RID_PRIV (UINT64_C(1) << 4)
#define VTD_KEEP (VTD_FPD | VTD_DTE | VTD_PRE | VTD_RID_PRIV)
#define VTD_SRE (UINT64_C(1) << 8)
#define VTD_ERE (UINT64_C(1) << 9)
#define VTD_WPE (UINT64_C(1) << 10)
#define VTD_NXE (UINT64_C(1) << 11)
#define VTD_SMEP (UINT64_C(1) << 12)
#define VTD_EAFE (UINT64_C(1) << 13)
#define VTD_SSADE (UINT64_C(1) << 14)
#define VTD_NO_SNOOP (UINT64_C(1) << 15) ///< page walks do not snoop: accessed/dirty updates impossible
#define VTD_PDTS_SHIFT 16u
#define VTD_PDTS(attributes) ((unsigned)iom_bits(attributes, 18, 16))
#define VTD_WIDTH_SHIFT 24u ///< second stage: bits of a legal input address
#define VTD_WIDTH(attributes) ((unsigned)iom_bits(attributes, 31, 24))
/// Of an entry that was not present (here and in iom_leaf.attributes): its fault reason.
#define VTD_REASON_SHIFT 32u
#define VTD_REASON(attributes) ((enum iom_vtd_fault)iom_bits(attributes, 39, 32))

// ---- iom_leaf ------------------------------------------------------------------------------------

/// Bits of iom_leaf.attributes and of the accumulated attributes of a walk: rights as the tables have
/// them, before the context's controls are applied. A first-stage right is 1 when every entry grants
/// it; a translation without that stage has its bits set.
#define VTD_RIGHT_FS_WRITE (UINT64_C(1) << 0)
#define VTD_RIGHT_FS_USER (UINT64_C(1) << 1)
#define VTD_RIGHT_FS_EXEC (UINT64_C(1) << 2)
#define VTD_RIGHT_FS_DIRTY (UINT64_C(1) << 3)    ///< page entry: dirty
#define VTD_RIGHT_FS_EXTENDED (UINT64_C(1) << 4) ///< extended accessed flag set in every entry
#define VTD_RIGHT_SS_READ (UINT64_C(1) << 5)
#define VTD_RIGHT_SS_WRITE (UINT64_C(1) << 6)
#define VTD_RIGHT_SS_ACCESSED (UINT64_C(1) << 7) ///< accessed flag set in every entry
#define VTD_RIGHT_SS_DIRTY (UINT64_C(1) << 8)
#define VTD_RIGHTS_FS                                                                                        \
    (VTD_RIGHT_FS_WRITE | VTD_RIGHT_FS_USER | VTD_RIGHT_FS_EXEC | VTD_RIGHT_FS_DIRTY | VTD_RIGHT_FS_EXTENDED)
#define VTD_RIGHTS_SS (VTD_RIGHT_SS_READ | VTD_RIGHT_SS_WRITE | VTD_RIGHT_SS_ACCESSED | VTD_RIGHT_SS_DIRTY)

/// Effective permissions of `rights` under the controls of a context. With `assume_dirty`, write
/// permission does not need the dirty flags (the walk that may still set them asks so).
uint8_t vtd_permissions(uint64_t rights, uint64_t controls, bool assume_dirty);

#define VTD_RIGHTS_BITS 9u
/// Controls of a context that permissions depend on: WPE, NXE, SMEP, EAFE, SSADE.
#define VTD_CONTROLS_SHIFT 10u
#define VTD_CONTROLS_BITS 5u

/// vtd_permissions(rights, controls, false) from the table of the configuration.
static inline uint8_t vtd_cached_permissions(const struct iom_vtd_config *config, uint64_t rights,
                                             uint64_t controls)
{
    uint64_t index = (rights & ((1u << VTD_RIGHTS_BITS) - 1)) |
                     ((controls >> VTD_CONTROLS_SHIFT) & ((1u << VTD_CONTROLS_BITS) - 1)) << VTD_RIGHTS_BITS;
    return config->derived.permissions[index];
}

// ---- tags ----------------------------------------------------------------------------------------

enum vtd_stage {
    VTD_STAGE_FIRST = 1,
    VTD_STAGE_SECOND = 2,
    VTD_STAGE_NESTED = 3,
};

/// iom_tag.level of context entries: table mode in which they were fetched. Not part of the key, only of
/// what invalidations compare.
enum vtd_entry_mode {
    VTD_ENTRY_LEGACY,
    VTD_ENTRY_SCALABLE,
};

/// iom_tag.level of PASID entries, likewise.
enum vtd_entry_presence {
    VTD_ENTRY_PRESENT,
    VTD_ENTRY_NOT_PRESENT, ///< caching mode
};

// ---- view ----------------------------------------------------------------------------------------

/// iom_view.extra[]: none used. iom_view.root is the latched root table address register.
static inline enum iom_vtd_table_mode vtd_table_mode(const struct iom_view *view)
{
    return (enum iom_vtd_table_mode)iom_bits(view->root, 11, 10);
}

static inline const struct iom_vtd_config *vtd_config(const struct iom_arch *arch)
{
    return (const struct iom_vtd_config *)arch->config;
}

/// Is the request privileged / does it ask to execute, with the context's RID_PRIV applied?
static inline bool vtd_is_privileged(const struct iom_xlate *x)
{
    if (x->flags & IOM_REQ_PASID)
        return (x->flags & IOM_REQ_PRIV) != 0;
    return (x->context.attributes & VTD_RID_PRIV) != 0;
}

static inline bool vtd_is_execute(const struct iom_xlate *x)
{
    return (x->flags & IOM_REQ_EXEC) != 0 && (x->flags & IOM_REQ_PASID) != 0;
}

static inline bool vtd_is_interrupt_address(uint64_t address)
{
    return address >> 20 == 0xfee;
}

// ---- shared steps --------------------------------------------------------------------------------

/// Ends a request with a fault. `silent`: fault processing is disabled by an entry on the way.
void vtd_refuse(struct iom_xlate *x, enum iom_vtd_fault reason, bool silent);
/// Faults of the page walk and of the address: for translation requests some of them are answered
/// "no permission" instead (4.2.4).
void vtd_refuse_translation(struct iom_xlate *x, enum iom_vtd_fault reason);

/// Applies a context entry or PASID-table entry to x (shared by use and by the walks).
void vtd_apply_context(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_context *context);
void vtd_apply_pasid(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_context *context);
/// Applies a translation whose permissions suffice: sets leaf and outcome.
void vtd_apply_leaf(const struct iom_arch *arch, struct iom_xlate *x, const struct iom_leaf *leaf);
/// Permissions the request needs, as enum iom_permission.
uint8_t vtd_needed_permissions(const struct iom_xlate *x);

void vtd_tag_init(const struct iom_arch *arch, struct iom_tag *tag);
/// Key of the IOTLB for x; the tag of a fill is the same with the page's address and size.
void vtd_iotlb_key(const struct iom_arch *arch, const struct iom_xlate *x, struct iom_tag *key);

void vtd_enter(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x);
void vtd_key(const struct iom_arch *arch, const struct iom_view *view, const struct iom_xlate *x,
             struct iom_tag *key);
bool vtd_use(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x,
             const struct iom_tag *tag, const void *payload);

// ---- walks ---------------------------------------------------------------------------------------

/// iom_walk.phase: what the last action was for.
enum vtd_phase {
    VTD_PHASE_ROOT,
    VTD_PHASE_CONTEXT,
    VTD_PHASE_SM_CONTEXT,
    VTD_PHASE_PASID_DIR,
    VTD_PHASE_PASID_ENTRY,
    VTD_PHASE_FIRST_PROBE,
    VTD_PHASE_FIRST_ENTRY,
    VTD_PHASE_FIRST_UPDATE,
    VTD_PHASE_FIRST_UPDATE_SS, ///< dirty flag of the second-stage page that holds a first-stage table
    VTD_PHASE_SECOND_PROBE,
    VTD_PHASE_SECOND_ENTRY,
    VTD_PHASE_SECOND_UPDATE,
};

/// iom_walk_stage.state of the second stage: why it runs.
enum vtd_purpose {
    VTD_FOR_LEAF,  ///< the request's page
    VTD_FOR_TABLE, ///< address of a first-stage table entry
};

#define VTD_FIRST 0  ///< index of the first stage in iom_walk.stage
#define VTD_SECOND 1 ///< index of the second stage

void vtd_context_start(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk);
void vtd_context_step(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk);

void vtd_first_start(const struct iom_arch *arch, struct iom_walk *walk);
void vtd_first_step(const struct iom_arch *arch, struct iom_walk *walk);
/// The second stage has translated the address of a first-stage entry to `address`.
void vtd_first_table_ready(struct iom_walk *walk, uint64_t address);

void vtd_second_start(const struct iom_arch *arch, struct iom_walk *walk, uint64_t input,
                      enum vtd_purpose purpose);
void vtd_second_step(const struct iom_arch *arch, struct iom_walk *walk);

/// Both stages (or the only one) have found the page.
void vtd_walk_finish(const struct iom_arch *arch, struct iom_walk *walk);
/// The second stage has found an entry that is not present: refuses, and in caching mode remembers it.
void vtd_walk_not_present(const struct iom_arch *arch, struct iom_walk *walk, enum iom_vtd_fault reason);

static inline void vtd_walk_read(struct iom_walk *walk, enum vtd_phase phase, uint64_t address, uint8_t bytes)
{
    walk->action = IOM_WALK_READ;
    walk->phase = (uint8_t)phase;
    walk->address = address;
    walk->bytes = bytes;
}

static inline void vtd_walk_update(struct iom_walk *walk, enum vtd_phase phase, uint64_t address,
                                   uint64_t expected, uint64_t desired)
{
    walk->action = IOM_WALK_CAS;
    walk->phase = (uint8_t)phase;
    walk->address = address;
    walk->bytes = 8;
    walk->expected = expected;
    walk->desired = desired;
}

static inline void vtd_walk_done(struct iom_walk *walk)
{
    walk->action = IOM_WALK_DONE;
}

/// Ends a page walk with a fault.
static inline void vtd_walk_refuse(struct iom_walk *walk, enum iom_vtd_fault reason)
{
    walk->x.context.node = walk->node;
    vtd_refuse_translation(&walk->x, reason);
    walk->action = IOM_WALK_DONE;
}

/// An update lost its race: the whole request is walked again.
static inline void vtd_walk_retry(struct iom_walk *walk)
{
    walk->x.next = IOM_LOOKUP_DONE;
    walk->x.outcome = IOM_OUTCOME_RETRY;
    walk->action = IOM_WALK_DONE;
}

/// An update has come back. True if it was made; else the walk is over (memory refused it: with `reason`).
static inline bool vtd_walk_updated(struct iom_walk *walk, enum iom_vtd_fault reason)
{
    if (walk->access_error) {
        vtd_walk_refuse(walk, reason);
        return false;
    }
    if (walk->data[0] != walk->expected) {
        vtd_walk_retry(walk);
        return false;
    }
    return true;
}

/// Goes on below what the paging-structure caches held, if anything.
static inline void vtd_walk_skip(const struct iom_walk *walk, struct iom_walk_stage *at)
{
    if (walk->probe.hit_level == 0)
        return;
    at->level = (uint8_t)(walk->probe.hit_level - 1);
    at->table = walk->probe.entry.table;
    at->attributes = walk->probe.entry.attributes;
}

/// Asks the paging-structure caches for the deepest table on the way to `address`.
void vtd_walk_probe(const struct iom_arch *arch, struct iom_walk *walk, enum vtd_phase phase, unsigned stage,
                    uint64_t address, unsigned top);
/// Hands a paging-structure entry out along with the next action.
void vtd_walk_cache_table(const struct iom_arch *arch, struct iom_walk *walk, unsigned stage,
                          const struct iom_walk_stage *at, uint64_t table);

// ---- registers -----------------------------------------------------------------------------------

/// The register file after reset; see vtd_registers.c for which bits software may write.
struct vtd_state {
    uint64_t rtaddr; ///< as written
    uint64_t root;   ///< latched by SRTP
    uint64_t ccmd, iva, iotlb;
    uint64_t iqh, iqt, iqa, iqer, irta, irta_latched;
    uint64_t pqh, pqt, pqa;
    uint32_t gsts;               ///< global status
    uint32_t pending;            ///< GCMD bits whose effect waits for the view to be distributed
    uint32_t generation;         ///< of the invalidation queue (iom_queue_setup)
    uint8_t invalidations_asked; ///< enum vtd_register_invalidation not handed out yet
    uint8_t invalidations_begun; ///< handed out and not done
    uint32_t fsts;               ///< without PPF and FRI, which follow from the records
    uint32_t fectl, fedata, feaddr, feuaddr;
    uint32_t ics, iectl, iedata, ieaddr, ieuaddr;
    uint32_t prs, pectl, pedata, peaddr, peuaddr;
    uint32_t fault_index;    ///< record the next fault goes to
    uint32_t first_fault;    ///< FRI: record of the first fault since PPF was clear
    uint32_t faults_pending; ///< records with F set
    uint64_t record[256][2]; ///< fault recording registers
};

void vtd_reset(const struct iom_arch *arch, void *state);
uint64_t vtd_read(const struct iom_arch *arch, const void *state, uint32_t offset, unsigned bytes);
uint32_t vtd_write(const struct iom_arch *arch, void *state, uint32_t offset, unsigned bytes, uint64_t value);
void vtd_view(const struct iom_arch *arch, const void *state, struct iom_view *view);
void vtd_action_done(const struct iom_arch *arch, void *state, enum iom_register_action action);
bool vtd_record(const struct iom_arch *arch, void *state, const struct iom_fault *fault);
bool vtd_next_invalidation(const struct iom_arch *arch, void *state, struct iom_invalidation *invalidation);
void vtd_queue(const struct iom_arch *arch, const void *state, struct iom_queue_setup *setup);
uint32_t vtd_queue_event(const struct iom_arch *arch, void *state, const struct iom_queue_event *event);

uint32_t vtd_fault_status(const struct vtd_state *state);
/// Write to half a fault recording register: F is cleared by writing 1, the rest is read-only.
void vtd_fault_clear(struct vtd_state *state, unsigned record, uint64_t high);
/// Write-1-to-clear of the fault status register. Returns the bits that were set and are not any more.
uint32_t vtd_fault_status_clear(struct vtd_state *state, uint32_t value);
/// A condition of the fault status register has come up; `before` is the status without it.
void vtd_fault_event(struct vtd_state *state, uint32_t before);

// ---- invalidation queue registers ----------------------------------------------------------------

#define VTD_NARROW_BYTES 16u ///< 128-bit descriptor
#define VTD_WIDE_BYTES 32u   ///< 256-bit descriptor

/// Tail, or what else the fetch depends on, has changed. These return actions as vtd_write does.
uint32_t vtd_queue_changed(const struct iom_vtd_config *config, struct vtd_state *state);
/// The queue has been enabled or disabled.
uint32_t vtd_queue_switched(const struct iom_vtd_config *config, struct vtd_state *state);
/// Software has cleared bits of the fault status register.
uint32_t vtd_queue_resumed(const struct iom_vtd_config *config, struct vtd_state *state, uint32_t cleared);
/// Write-1-to-clear of the completion status register.
void vtd_completion_clear(struct vtd_state *state, uint32_t value);

// ---- invalidation by registers -------------------------------------------------------------------

/// Sources of register-based invalidations, in the order in which they are carried out (bit mask).
enum vtd_register_invalidation {
    VTD_INVALIDATE_ROOT = 1u << 0, ///< implied by a new root pointer
    VTD_INVALIDATE_CCMD = 1u << 1,
    VTD_INVALIDATE_IOTLB = 1u << 2,
};

/// Register writes; `command_written`: the half with the command bit is among the bytes written.
uint32_t vtd_write_ccmd(struct vtd_state *state, uint64_t value, bool command_written);
uint32_t vtd_write_iotlb(const struct iom_vtd_config *config, struct vtd_state *state, uint64_t value,
                         bool command_written);
/// A new root pointer flushes all caches (CAP.ESRTPS).
uint32_t vtd_flush_for_root(struct vtd_state *state);
void vtd_invalidations_done(const struct iom_vtd_config *config, struct vtd_state *state);

// ---- invalidations -------------------------------------------------------------------------------

/// 2^address_mask pages of 4 KiB around `address`.
struct vtd_invalidated_pages {
    uint64_t address;
    unsigned address_mask;
    bool leaf_only; ///< hint: entries above the leaves have not changed
};

/// Empties `invalidation`; the functions below add parts to it.
void vtd_invalidation_init(struct iom_invalidation *invalidation, enum iom_invalidation_source source);
void vtd_invalidate_everything(const struct iom_arch *arch, struct iom_invalidation *invalidation);
void vtd_invalidate_context(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                            enum vtd_granularity granularity, uint32_t domain, uint32_t source,
                            unsigned function_mask);
void vtd_invalidate_pasid(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                          enum vtd_pasid_granularity granularity, uint32_t domain, uint32_t pasid);
/// Without page-selective invalidation (CAP.PSI) pages become their domain.
void vtd_invalidate_iotlb(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                          enum vtd_granularity granularity, uint32_t domain,
                          const struct vtd_invalidated_pages *pages);
/// Address space of a PASID; `pages` null: all of it.
void vtd_invalidate_space(const struct iom_arch *arch, struct iom_invalidation *invalidation, uint32_t domain,
                          uint32_t pasid, const struct vtd_invalidated_pages *pages);

void vtd_decode(const struct iom_arch *arch, const struct iom_queue_setup *setup, const uint64_t *words,
                struct iom_command *command);

#endif
