// SPDX-License-Identifier: Apache-2.0
//
// Interrupts: pending bits, the conditions that set them, and messages ("Interrupt pending status register",
// "Interrupt-cause-to-vector register", "MSI configuration table").
//
// A pending bit that goes from 0 to 1 wants one message of its vector, chosen in that moment. Messages leave
// in that order; one that may not leave (masked, another store is under way) waits, and further ones of the
// same source join it, those of a masked vector whatever their source. With wired interrupts the pending bit
// is the wire.
#include <string.h>

#include "core/arch/riscv/riscv_state.h"

#define VECTOR_BITS 4u ///< of a field of icvec
#define ENTRY_BYTES 16u

static unsigned vector_of(const struct riscv_state *state, enum riscv_source source)
{
    return state->icvec >> (unsigned)source * VECTOR_BITS & (RISCV_VECTORS - 1);
}

static void want_message(struct riscv_state *state, enum riscv_source source)
{
    unsigned vector = vector_of(state, source);
    bool masked = (state->message[vector].control & RISCV_VECTOR_MASKED) != 0;
    for (unsigned i = 0; i < state->wanted_count; i++) {
        if (state->wanted[i].vector == vector && (masked || state->wanted[i].source == source))
            return;
    }
    state->wanted[state->wanted_count++] = (struct riscv_wanted){(uint8_t)source, (uint8_t)vector};
}

void riscv_raise(struct riscv_state *state, enum riscv_source source)
{
    uint32_t bit = 1u << source;
    if (state->ipsr & bit)
        return;
    state->ipsr |= bit;
    if (!(state->fctl & IOM_RISCV_FCTL_WSI))
        want_message(state, source);
}

static void raise_if(struct riscv_state *state, enum riscv_source source, enum riscv_queue_id id,
                     uint32_t conditions)
{
    uint32_t control = state->queue[id].control;
    if ((control & RISCV_QUEUE_INTERRUPT_ENABLE) && (control & conditions))
        riscv_raise(state, source);
}

void riscv_settle_interrupts(struct riscv_state *state)
{
    raise_if(state, RISCV_SOURCE_COMMANDS, RISCV_COMMANDS,
             RISCV_COMMANDS_STOPPED | RISCV_QUEUE_FENCE_INTERRUPT);
    raise_if(state, RISCV_SOURCE_FAULTS, RISCV_FAULTS, RISCV_QUEUE_MEMORY_FAULT | RISCV_QUEUE_OVERFLOW);
    raise_if(state, RISCV_SOURCE_PAGES, RISCV_PAGES, RISCV_QUEUE_MEMORY_FAULT | RISCV_QUEUE_OVERFLOW);
}

bool riscv_next_message(struct riscv_state *state, struct iom_register_store *store)
{
    for (unsigned i = 0; i < state->wanted_count; i++) {
        const struct riscv_message *message = &state->message[state->wanted[i].vector];
        if (message->control & RISCV_VECTOR_MASKED)
            continue;
        state->wanted_count--;
        memmove(state->wanted + i, state->wanted + i + 1, (state->wanted_count - i) * sizeof *state->wanted);
        *store = (struct iom_register_store){
            .address = message->address, .bytes = 4, .purpose = RISCV_STORE_MESSAGE};
        bool big = (state->fctl & IOM_RISCV_FCTL_BE) != 0;
        store->data[0] = big ? riscv_swap64(message->data) >> 32 : message->data;
        return true;
    }
    return false;
}

// ---- registers -------------------------------------------------------------------------------------------

uint64_t riscv_read_message(const struct riscv_state *state, uint32_t offset)
{
    uint32_t index = (offset - IOM_RISCV_MSI_CFG_TBL) / ENTRY_BYTES;
    if (index >= RISCV_VECTORS)
        return 0;
    const struct riscv_message *message = &state->message[index];
    return offset % ENTRY_BYTES == 0 ? message->address : message->data | (uint64_t)message->control << 32;
}

// Entries that no field of icvec can name are read-only 0, all of them where there are only wires.
void riscv_write_message(const struct iom_arch *arch, struct riscv_state *state, uint32_t offset,
                         uint64_t mask, uint64_t value)
{
    const struct iom_riscv_config *config = riscv_config(arch);
    uint32_t index = (offset - IOM_RISCV_MSI_CFG_TBL) / ENTRY_BYTES;
    if (index >= 1u << config->vector_bits || index >= RISCV_VECTORS ||
        iom_bits(config->capabilities, IOM_RISCV_CAP_IGS_BIT + 1, IOM_RISCV_CAP_IGS_BIT) == RISCV_IGS_WIRES)
        return;
    struct riscv_message *message = &state->message[index];
    uint64_t merged = (riscv_read_message(state, offset) & ~mask) | (value & mask);
    if (offset % ENTRY_BYTES == 0) {
        message->address = merged & riscv_address_mask(arch) & ~UINT64_C(3);
    } else {
        message->data = (uint32_t)merged;
        message->control = (uint32_t)(merged >> 32) & RISCV_VECTOR_MASKED;
    }
}

// A source that does not exist has no vector.
void riscv_write_vectors(const struct iom_arch *arch, struct riscv_state *state, uint64_t mask,
                         uint64_t value)
{
    const struct iom_riscv_config *config = riscv_config(arch);
    uint32_t writable = 0;
    for (unsigned source = 0; source < RISCV_SOURCES; source++) {
        if ((source == RISCV_SOURCE_MONITOR && !riscv_has(config, IOM_RISCV_CAP_HPM_BIT)) ||
            (source == RISCV_SOURCE_PAGES && !riscv_has(config, IOM_RISCV_CAP_ATS_BIT)))
            continue;
        writable |= (uint32_t)iom_low_bits(UINT64_MAX, config->vector_bits) << source * VECTOR_BITS;
    }
    state->icvec = (uint32_t)((state->icvec & ~mask) | (value & mask)) & writable;
}
