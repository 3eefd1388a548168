// SPDX-License-Identifier: Apache-2.0
//
// The register file of a RISC-V IOMMU and what its parts offer each other ("Memory-mapped register
// interface"). One file per idea: registers and handshakes, in-memory queues, interrupts, performance
// monitor, debug translations, commands.
#ifndef IOM_CORE_ARCH_RISCV_STATE_H
#define IOM_CORE_ARCH_RISCV_STATE_H

#include "core/arch/riscv/riscv_internal.h"

// ---- registers -------------------------------------------------------------------------------------------

#define RISCV_DDTP_MODE UINT64_C(0xf)
#define RISCV_DDTP_BUSY (UINT64_C(1) << 4)
#define RISCV_PPN (iom_low_bits(UINT64_MAX, 44) << 10) ///< bits 53:10 of ddtp, cqb, fqb, pqb
#define RISCV_QUEUE_SIZE UINT64_C(0x1f)                ///< LOG2SZ-1 of cqb, fqb, pqb

/// The in-memory queues. Each has a base, a head, a tail and a control and status register.
enum riscv_queue_id {
    RISCV_COMMANDS,
    RISCV_FAULTS,
    RISCV_PAGES,
    RISCV_QUEUES,
};

/// cqcsr, fqcsr, pqcsr.
enum riscv_queue_control {
    RISCV_QUEUE_ENABLE = 1u << 0,
    RISCV_QUEUE_INTERRUPT_ENABLE = 1u << 1,
    RISCV_QUEUE_MEMORY_FAULT = 1u << 8,     ///< cqmf, fqmf, pqmf
    RISCV_QUEUE_OVERFLOW = 1u << 9,         ///< fqof, pqof
    RISCV_QUEUE_TIMEOUT = 1u << 9,          ///< cmd_to
    RISCV_QUEUE_ILLEGAL = 1u << 10,         ///< cmd_ill
    RISCV_QUEUE_FENCE_INTERRUPT = 1u << 11, ///< fence_w_ip
    RISCV_QUEUE_ON = 1u << 16,
    RISCV_QUEUE_BUSY = 1u << 17,
};
#define RISCV_COMMANDS_STOPPED (RISCV_QUEUE_MEMORY_FAULT | RISCV_QUEUE_TIMEOUT | RISCV_QUEUE_ILLEGAL)

struct riscv_queue {
    uint64_t base;
    uint32_t head, tail; ///< indices of entries
    uint32_t control;    ///< enum riscv_queue_control
};

/// Interrupt sources: bits of ipsr, fields of icvec in this order.
enum riscv_source {
    RISCV_SOURCE_COMMANDS,
    RISCV_SOURCE_FAULTS,
    RISCV_SOURCE_MONITOR,
    RISCV_SOURCE_PAGES,
    RISCV_SOURCES,
};

#define RISCV_VECTORS 16u
#define RISCV_VECTOR_MASKED 1u ///< msi_vec_ctl: M

/// An entry of msi_cfg_tbl.
struct riscv_message {
    uint64_t address;
    uint32_t data, control;
};

/// A message that has not left yet.
struct riscv_wanted {
    uint8_t source, vector;
};

/// capabilities.IGS.
enum riscv_interrupt_generation {
    RISCV_IGS_MESSAGES,
    RISCV_IGS_WIRES,
    RISCV_IGS_BOTH,
};

#define RISCV_COUNTERS 31u                 ///< iohpmctr1 to 31, without the cycle counter
#define RISCV_OVERFLOW (UINT64_C(1) << 63) ///< OF of iohpmcycles and iohpmevt

/// What a store of the register file is (iom_register_store.purpose).
enum riscv_store_purpose {
    RISCV_STORE_FAULT,
    RISCV_STORE_PAGE,
    RISCV_STORE_MESSAGE,
};

/// A record on its way to its queue; at most one of each kind.
struct riscv_record {
    bool pending; ///< made and not yet acknowledged by memory
    bool begun;   ///< handed out
    struct iom_register_store store;
};

/// Responses the hardware gives, between two calls of next_response.
#define RISCV_RESPONSES 4u

struct riscv_state {
    uint64_t ddtp;
    struct riscv_queue queue[RISCV_QUEUES];
    uint32_t fctl, ipsr, icvec, qosid;
    uint32_t generation; ///< of the command queue (iom_queue_setup)
    bool drain;          ///< translation was switched off: what has been translated must become visible

    struct riscv_message message[RISCV_VECTORS];
    struct riscv_wanted wanted[RISCV_SOURCES * RISCV_VECTORS]; ///< in the order in which they became due
    uint8_t wanted_count;

    struct riscv_record fault, page;
    struct iom_page_request page_request; ///< that `page` is about
    struct iom_page_response response[RISCV_RESPONSES];
    uint8_t responses;

    iom_cycle now; ///< up to which `cycles` has counted
    uint64_t cycles;
    uint32_t inhibited;
    uint64_t counter[RISCV_COUNTERS], selector[RISCV_COUNTERS];

    uint64_t debug_address, debug_control, debug_response;
};
static_assert(sizeof(struct riscv_state) <= IOM_RISCV_REGISTER_BYTES, "registers and their state fit a page");

void riscv_reset(const struct iom_arch *arch, void *state);
uint64_t riscv_read(const struct iom_arch *arch, const void *state, uint32_t offset, unsigned bytes);
uint32_t riscv_write(const struct iom_arch *arch, void *state, uint32_t offset, unsigned bytes,
                     uint64_t value);
void riscv_view(const struct iom_arch *arch, const void *state, struct iom_view *view);
void riscv_action_done(const struct iom_arch *arch, void *state, enum iom_register_action action);
bool riscv_next_invalidation(const struct iom_arch *arch, void *state, struct iom_invalidation *invalidation);

/// Physical addresses (msi_addr) and page numbers in bits 53:10 that the hardware can keep.
static inline uint64_t riscv_address_mask(const struct iom_arch *arch)
{
    return iom_low_bits(UINT64_MAX, (unsigned)iom_bits(riscv_config(arch)->capabilities, 37, 32));
}
static inline uint64_t riscv_ppn_mask(const struct iom_arch *arch)
{
    return riscv_address_mask(arch) >> 2 & RISCV_PPN;
}

// ---- in-memory queues ------------------------------------------------------------------------------------

static inline bool riscv_queue_is_on(const struct riscv_queue *queue)
{
    return (queue->control & (RISCV_QUEUE_ON | RISCV_QUEUE_ENABLE)) == (RISCV_QUEUE_ON | RISCV_QUEUE_ENABLE);
}
/// Mask of the indices of a queue.
static inline uint32_t riscv_queue_mask(const struct riscv_queue *queue)
{
    return (uint32_t)iom_low_bits(UINT64_MAX, (unsigned)(queue->base & RISCV_QUEUE_SIZE) + 1);
}
static inline uint64_t riscv_queue_address(const struct riscv_queue *queue)
{
    return (queue->base & RISCV_PPN) << 2;
}

/// Register writes. These return actions as riscv_write does.
void riscv_write_queue_base(const struct iom_arch *arch, struct riscv_state *state, enum riscv_queue_id id,
                            uint64_t mask, uint64_t value);
uint32_t riscv_write_queue_control(struct riscv_state *state, enum riscv_queue_id id, uint32_t value);
/// cqt has been written.
uint32_t riscv_commands_added(struct riscv_state *state);

bool riscv_record(const struct iom_arch *arch, void *state, const struct iom_fault *fault);
bool riscv_page_request(const struct iom_arch *arch, void *state, const struct iom_page_request *request);
bool riscv_next_store(const struct iom_arch *arch, void *state, struct iom_register_store *store);
uint32_t riscv_store_done(const struct iom_arch *arch, void *state, const struct iom_register_store *store,
                          enum iom_access access);
bool riscv_next_response(const struct iom_arch *arch, void *state, struct iom_page_response *response);

// ---- interrupts ------------------------------------------------------------------------------------------

/// Something happened for which `source` interrupts: its pending bit is set, a message may be due.
void riscv_raise(struct riscv_state *state, enum riscv_source source);
/// Sets the pending bits whose conditions hold (errors of queues). To be called when a condition or an enable
/// bit has been set, and when a pending bit has been cleared.
void riscv_settle_interrupts(struct riscv_state *state);
/// The next interrupt message that may leave.
bool riscv_next_message(struct riscv_state *state, struct iom_register_store *store);
uint64_t riscv_read_message(const struct riscv_state *state, uint32_t offset);
/// `offset` of a doubleword; `mask` selects the bytes written.
void riscv_write_message(const struct iom_arch *arch, struct riscv_state *state, uint32_t offset,
                         uint64_t mask, uint64_t value);
void riscv_write_vectors(const struct iom_arch *arch, struct riscv_state *state, uint64_t mask,
                         uint64_t value);

// ---- performance monitor ---------------------------------------------------------------------------------

uint64_t riscv_read_monitor(const struct riscv_state *state, uint32_t offset);
uint32_t riscv_write_monitor(const struct iom_arch *arch, struct riscv_state *state, uint32_t offset,
                             uint64_t mask, uint64_t value);
/// Events that a counter may count (enum iom_monitor_event).
uint32_t riscv_monitored(const struct iom_arch *arch, const struct riscv_state *state);
uint32_t riscv_count(const struct iom_arch *arch, void *state, const struct iom_event *event);
uint32_t riscv_time(const struct iom_arch *arch, void *state, iom_cycle now);
iom_cycle riscv_wake(const struct iom_arch *arch, const void *state);

// ---- debug translations ----------------------------------------------------------------------------------

uint64_t riscv_read_debug(const struct riscv_state *state, uint32_t offset);
uint32_t riscv_write_debug(const struct iom_arch *arch, struct riscv_state *state, uint32_t offset,
                           uint64_t mask, uint64_t value);
void riscv_translate_request(const struct iom_arch *arch, const void *state, struct iom_xlate *x);
uint32_t riscv_translate_result(const struct iom_arch *arch, void *state, const struct iom_xlate *x);

// ---- commands --------------------------------------------------------------------------------------------

#define RISCV_COMMAND_BYTES 16u

/// What the decoder must know of the registers (iom_queue_setup.attributes).
enum riscv_queue_attribute {
    RISCV_QUEUE_BIG_ENDIAN = 1u << 0,
    RISCV_QUEUE_WIRES = 1u << 1, ///< fctl.WSI
    RISCV_QUEUE_MODE_SHIFT = 2,  ///< ddtp.iommu_mode, 4 bits
};

void riscv_queue(const struct iom_arch *arch, const void *state, struct iom_queue_setup *setup);
void riscv_decode(const struct iom_arch *arch, const struct iom_queue_setup *setup, const uint64_t *words,
                  struct iom_command *command);
uint32_t riscv_queue_event(const struct iom_arch *arch, void *state, const struct iom_queue_event *event);

// ---- invalidations ---------------------------------------------------------------------------------------

/// Operands of IOTINVAL.VMA and IOTINVAL.GVMA.
struct riscv_translation_scope {
    bool has_guest;   ///< GV
    bool has_space;   ///< PSCV, VMA only
    bool has_address; ///< AV
    bool non_leaf;    ///< NL
    uint32_t guest;   ///< GSCID
    uint32_t space;   ///< PSCID
    uint64_t first, last;
};

/// Operands of IODIR.INVAL_DDT (with or without a device) and IODIR.INVAL_PDT (with both).
struct riscv_directory_scope {
    bool has_device, has_process;
    uint32_t device, process;
};

/// Each of these starts with an empty invalidation and adds the parts.
void riscv_invalidate_first(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                            const struct riscv_translation_scope *scope);
void riscv_invalidate_second(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                             const struct riscv_translation_scope *scope);
void riscv_invalidate_directory(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                                const struct riscv_directory_scope *scope);

#endif
