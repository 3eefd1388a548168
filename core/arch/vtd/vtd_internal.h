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
//   vtd_config.c     capabilities and what is derived from them
#ifndef IOM_CORE_ARCH_VTD_INTERNAL_H
#define IOM_CORE_ARCH_VTD_INTERNAL_H

#include "core/arch/vtd/vtd.h"
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
    uint32_t gsts;    ///< global status
    uint32_t pending; ///< GCMD bits whose effect waits for the view to be distributed
    uint32_t fsts;    ///< without PPF and FRI, which follow from the records
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

uint32_t vtd_fault_status(const struct vtd_state *state);
/// Write to half a fault recording register: F is cleared by writing 1, the rest is read-only.
void vtd_fault_clear(struct vtd_state *state, unsigned record, uint64_t high);
/// Write-1-to-clear of the fault status register.
void vtd_fault_status_clear(struct vtd_state *state, uint32_t value);

#endif
