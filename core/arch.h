// SPDX-License-Identifier: Apache-2.0
//
// What one architecture supplies: formats, checks, walks, registers, fault records.
//
// The operations below are a constant table (no registration by static initialisers). Nothing
// outside core/arch/<name>/ asks which architecture it is. All functions are pure with respect to
// time: they decide, the units spend the cycles.
//
// Three kinds of data:
//   config  immutable after creation, shared by all units (capabilities, widths)
//   view    the small copy of register state that look-ups and walks depend on (translation enabled,
//           root pointer, ...). Every unit has its own; the register unit distributes changes by
//           control messages
//   state   the register file, owned by the register unit alone
#ifndef IOM_CORE_ARCH_H
#define IOM_CORE_ARCH_H

#include "core/base.h"
#include "core/command.h"
#include "core/page_request.h"
#include "core/tag.h"
#include "core/walk.h"
#include "core/xlate.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Register state that translation depends on; meaning is the architecture's.
struct iom_view {
    uint64_t enabled; ///< 0 = translation off
    uint64_t root;    ///< root pointer register
    uint64_t extra[4];
    uint32_t monitored; ///< events to report (enum iom_monitor_event), 0 = none
};

/// How translations are identified in the IOTLB.
enum iom_tagging {
    IOM_TAG_BY_DOMAIN, ///< by domain (and address space): shared by the devices of a domain
    IOM_TAG_BY_SOURCE, ///< by requester as well: never shared
};

/// What a register write asks the hardware to do beyond changing registers.
enum iom_register_action {
    IOM_ACTION_NONE,
    IOM_ACTION_UPDATE_VIEW, ///< distribute ops->view(state), then call ops->action_done
    IOM_ACTION_INVALIDATE,  ///< register-based invalidation: ops->next_invalidation yields it
    IOM_ACTION_DOORBELL,    ///< command queue tail moved
    IOM_ACTION_TRANSLATE,   ///< translation asked for through registers: ops->translate_request, then
                            ///< ops->translate_result with what came out
};

/// A write to memory that the register file wants: a record for a queue in memory, an interrupt message.
struct iom_register_store {
    uint64_t address;
    uint64_t data[IOM_LINE_BYTES / 8]; ///< in memory order
    uint8_t bytes;                     ///< 4 to 64; 0 = no store: hardware that hangs for good (deviation)
    uint8_t purpose;                   ///< architecture's own
};

struct iom_arch;

/// Software side: one 64-bit (or narrower) store to memory in program order.
struct iom_store {
    uint64_t address;
    uint64_t value;
    uint8_t bytes; ///< 1, 2, 4, 8
};

struct iom_arch_ops {
    const char *name; ///< "vtd"

    // ---- look-ups -------------------------------------------------------------------------------
    /// A request enters: sets x->next to the first look-up, or to IOM_LOOKUP_DONE with an outcome
    /// (translation off, interrupt window, refused at once).
    void (*enter)(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x);
    /// Fills the key of look-up x->next.
    void (*key)(const struct iom_arch *arch, const struct iom_view *view, const struct iom_xlate *x,
                struct iom_tag *key);
    /// Uses an entry found (or just fetched) for look-up x->next. On true x->next has advanced (or is
    /// DONE with an outcome). False: this entry cannot serve the request (permission missing, dirty
    /// bit to be set) and only a walk can decide; x is unchanged.
    bool (*use)(const struct iom_arch *arch, const struct iom_view *view, struct iom_xlate *x,
                const struct iom_tag *tag, const void *payload);

    // ---- walks ----------------------------------------------------------------------------------
    /// Starts the walk for look-up walk->what == walk->x.next; sets the first action.
    void (*walk_start)(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk);
    /// Consumes the result of walk->action and sets the next one. At IOM_WALK_DONE either
    /// x.next == IOM_LOOKUP_DONE with an outcome (fault, RETRY, or a final translation), or the entry
    /// in `fill` has been applied to x as `use` would (also when fill.valid is false because it must
    /// not be cached).
    void (*walk_step)(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk);

    /// Optional. Deviating hardware charges x with the fault of a walk that was begun for another request
    /// (x->fault; x->next says what x's own look-ups miss): puts right what depends on the request.
    void (*charge)(const struct iom_arch *arch, struct iom_xlate *x);

    // ---- registers (owned by the register unit) ---------------------------------------------------
    size_t state_bytes; ///< size of the register state
    /// Register state after reset. `state` is zeroed memory of state_bytes.
    void (*reset)(const struct iom_arch *arch, void *state);
    /// Reads `bytes` (4 or 8) at `offset`; reserved offsets read as 0.
    uint64_t (*read)(const struct iom_arch *arch, const void *state, uint32_t offset, unsigned bytes);
    /// Writes a register. Returns a bit mask of (1u << enum iom_register_action) the unit must carry out.
    uint32_t (*write)(const struct iom_arch *arch, void *state, uint32_t offset, unsigned bytes,
                      uint64_t value);
    /// The view that results from the current register state.
    void (*view)(const struct iom_arch *arch, const void *state, struct iom_view *view);
    /// Every participant has acknowledged the action started by a write: sets status bits.
    void (*action_done)(const struct iom_arch *arch, void *state, enum iom_register_action action);
    /// Records a fault. Returns false if it was dropped (overflow). Where records lie in memory, it becomes
    /// a store. Called only when no store is left.
    bool (*record)(const struct iom_arch *arch, void *state, const struct iom_fault *fault);

    // The following may be null where the architecture has no such thing.

    /// A page request has been accepted by the look-ups: a store for the page request queue, or a response.
    /// Called only when no store is left. Returns false if it was not put into the queue.
    bool (*page_request)(const struct iom_arch *arch, void *state, const struct iom_page_request *request);
    /// The next store that is wanted, false when there is none; asked after every change of the state. One is
    /// carried out at a time.
    bool (*next_store)(const struct iom_arch *arch, void *state, struct iom_register_store *store);
    /// Memory has acknowledged a store. Returns actions as `write` does.
    uint32_t (*store_done)(const struct iom_arch *arch, void *state, const struct iom_register_store *store,
                           enum iom_access access);
    /// The next response to a page request that the hardware gives by itself, false when there is none. Asked
    /// after every page_request, record and store_done: the register file keeps few of them.
    bool (*next_response)(const struct iom_arch *arch, void *state, struct iom_page_response *response);
    /// Performance counters. Returns actions as `write` does.
    uint32_t (*count)(const struct iom_arch *arch, void *state, const struct iom_event *event);
    /// After IOM_ACTION_TRANSLATE: the request (x's request fields, IOM_REQ_DEBUG set), and its result.
    void (*translate_request)(const struct iom_arch *arch, const void *state, struct iom_xlate *x);
    uint32_t (*translate_result)(const struct iom_arch *arch, void *state, const struct iom_xlate *x);

    /// It is cycle `now` of the IOMMU's clock: told before the other operations of a cycle. Returns actions
    /// as `write` does.
    uint32_t (*time)(const struct iom_arch *arch, void *state, iom_cycle now);
    /// The next cycle in which `time` must be told even if nothing else happens, IOM_NEVER: none. Asked after
    /// the other operations of a cycle.
    iom_cycle (*wake)(const struct iom_arch *arch, const void *state);

    // ---- commands ---------------------------------------------------------------------------------
    /// After IOM_ACTION_INVALIDATE: the invalidation that a register write asked for or implies, one per
    /// call, false when there is none left. action_done(INVALIDATE) follows when all have been carried out.
    bool (*next_invalidation)(const struct iom_arch *arch, void *state,
                              struct iom_invalidation *invalidation);
    /// After IOM_ACTION_DOORBELL: the command queue as the registers describe it.
    void (*queue)(const struct iom_arch *arch, const void *state, struct iom_queue_setup *setup);
    /// Decodes one command of setup->command_bytes (words in memory order).
    void (*decode)(const struct iom_arch *arch, const struct iom_queue_setup *setup, const uint64_t *words,
                   struct iom_command *command);
    /// Something happened to the queue: sets head, status and error registers. An event of an old generation
    /// is ignored, except INTERRUPT and COMPLETION, which may come late. Returns actions as `write` does.
    uint32_t (*queue_event)(const struct iom_arch *arch, void *state, const struct iom_queue_event *event);
};

struct iom_arch {
    const struct iom_arch_ops *ops;
    const void *config; ///< architecture's configuration struct
    uint8_t iommu;      ///< instance number, goes into every tag
};

/// Reads `bytes` at `address` into `data` without side effects.
typedef enum iom_access (*iom_read_fn)(void *context, uint64_t address, void *data, unsigned bytes);

/// The pure uncached walk: translates x from the tables as they are now, without caches, timing,
/// fault records or accessed/dirty updates (those are assumed to succeed). Used by transport_dbg, the
/// hazard tracker and tests. `x` must hold the request fields; everything else is overwritten.
void iom_translate_pure(const struct iom_arch *arch, const struct iom_view *view, iom_read_fn read,
                        void *read_context, struct iom_xlate *x);

/// Called for each read and each compare-and-swap of a functional walk. For a CAS `desired` is to be
/// stored if the 8 bytes at `address` equal `expected`; `data[0]` receives what was there.
struct iom_functional_memory {
    void *context;
    iom_read_fn read;
    /// Null: updates are assumed to succeed and not performed.
    enum iom_access (*cas)(void *context, uint64_t address, uint64_t expected, uint64_t desired,
                           uint64_t *found);
};

/// As iom_translate_pure, but performs accessed/dirty updates through memory->cas and leaves the
/// fault in x->fault for the caller to record.
void iom_translate_functional(const struct iom_arch *arch, const struct iom_view *view,
                              const struct iom_functional_memory *memory, struct iom_xlate *x);

#ifdef __cplusplus
}
#endif

#endif
