// SPDX-License-Identifier: Apache-2.0
//
// The command queue in the registers: how they describe it, and what happens in them when commands are taken,
// refused, or complete ("Command-Queue", "Command-queue CSR").
//
// Three conditions stop the queue until software clears them: cqmf (a command could not be read, or the store
// of a fence was refused), cmd_to (a fence found that a device did not answer), cmd_ill. cqh is then at that
// command, and each time the queue goes on, is enabled or disabled, a new generation begins there.
#include "core/arch/riscv/riscv_state.h"

uint32_t riscv_commands_added(struct riscv_state *state)
{
    return riscv_queue_is_on(&state->queue[RISCV_COMMANDS]) ? 1u << IOM_ACTION_DOORBELL : 0;
}

void riscv_queue(const struct iom_arch *arch, const void *opaque, struct iom_queue_setup *setup)
{
    (void)arch;
    const struct riscv_state *state = opaque;
    const struct riscv_queue *queue = &state->queue[RISCV_COMMANDS];
    *setup = (struct iom_queue_setup){
        .enabled = riscv_queue_is_on(queue) && !(queue->control & RISCV_COMMANDS_STOPPED),
        .base = riscv_queue_address(queue),
        .bytes = (riscv_queue_mask(queue) + 1) * RISCV_COMMAND_BYTES,
        .command_bytes = RISCV_COMMAND_BYTES,
        .head = queue->head * RISCV_COMMAND_BYTES,
        .tail = queue->tail * RISCV_COMMAND_BYTES,
        .generation = state->generation,
        .timeout_at_wait = true, // at the fence
    };
    if (state->fctl & IOM_RISCV_FCTL_BE)
        setup->attributes |= RISCV_QUEUE_BIG_ENDIAN;
    if (state->fctl & IOM_RISCV_FCTL_WSI)
        setup->attributes |= RISCV_QUEUE_WIRES;
    setup->attributes |= (uint32_t)(state->ddtp & RISCV_DDTP_MODE) << RISCV_QUEUE_MODE_SHIFT;
}

uint32_t riscv_queue_event(const struct iom_arch *arch, void *opaque, const struct iom_queue_event *event)
{
    (void)arch;
    struct riscv_state *state = opaque;
    struct riscv_queue *queue = &state->queue[RISCV_COMMANDS];
    if (event->kind == IOM_QUEUE_COMPLETION) // of an invalidation nobody asked for: discarded
        return 0;
    if (event->kind == IOM_QUEUE_INTERRUPT) {
        // Fences ask for it only with wired interrupts.
        queue->control |= RISCV_QUEUE_FENCE_INTERRUPT;
        riscv_settle_interrupts(state);
        return 0;
    }
    if (event->generation != state->generation)
        return 0;
    queue->head = event->head / RISCV_COMMAND_BYTES;
    switch ((enum iom_queue_event_kind)event->kind) {
    case IOM_QUEUE_INVALID:
        queue->control |= RISCV_QUEUE_ILLEGAL;
        break;
    case IOM_QUEUE_ACCESS:
        queue->control |= RISCV_QUEUE_MEMORY_FAULT;
        break;
    case IOM_QUEUE_TIMEOUT:
        queue->control |= RISCV_QUEUE_TIMEOUT;
        break;
    case IOM_QUEUE_HEAD:
    case IOM_QUEUE_INTERRUPT:
    case IOM_QUEUE_COMPLETION:
    case IOM_QUEUE_BUSY: // for those who watch the queue, not for its registers
    case IOM_QUEUE_DRAINED:
        break;
    }
    riscv_settle_interrupts(state);
    return 0;
}
