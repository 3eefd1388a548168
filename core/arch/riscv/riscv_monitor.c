// SPDX-License-Identifier: Apache-2.0
//
// The hardware performance monitor: cycle counter, event counters, selectors with their filters, overflow
// ("Performance-monitoring ..." registers).
//
// The cycle counter is brought up to date when the register file is told the time; nothing happens in between
// but its overflow, for which the register file asks to be woken. Event counters follow reports, which arrive
// some cycles after the event.
#include "core/arch/riscv/riscv_state.h"

#define EVENTS 8u ///< standard events; event id n is bit n - 1 of enum iom_monitor_event

// Selectors: iohpmevt.
#define SELECTOR_EVENT(selector) ((unsigned)iom_bits(selector, 14, 0))
#define SELECTOR_EVENT_FIELD UINT64_C(0x7fff)
#define SELECTOR_DMASK (UINT64_C(1) << 15)
#define SELECTOR_PROCESS(selector) ((uint32_t)iom_bits(selector, 35, 16))
#define SELECTOR_DEVICE(selector) ((uint32_t)iom_bits(selector, 59, 36))
#define SELECTOR_HAS_PROCESS (UINT64_C(1) << 60) ///< PV_PSCV
#define SELECTOR_HAS_DEVICE (UINT64_C(1) << 61)  ///< DV_GSCV
#define SELECTOR_CONTEXT (UINT64_C(1) << 62)     ///< IDT: by GSCID and PSCID

#define CYCLES_BITS 63u
#define CYCLES_MASK (RISCV_OVERFLOW - 1)

/// Events whose transactions have a GSCID and a PSCID to filter by.
#define CONTEXT_EVENTS (IOM_EVENT_TLB_MISS | IOM_EVENT_STAGE1_WALK | IOM_EVENT_STAGE2_WALK)

/// Doubleword that holds iocountovf and iocountinh.
#define COUNTER_CONTROL IOM_RISCV_IOCOUNTOVF

static bool is_present(const struct iom_arch *arch)
{
    return riscv_has(riscv_config(arch), IOM_RISCV_CAP_HPM_BIT);
}

// Event counters that exist: all but the cycle counter.
static unsigned event_counters(const struct iom_arch *arch)
{
    unsigned counters = riscv_config(arch)->counters;
    return is_present(arch) && counters > 0 ? counters - 1u : 0;
}

// ---- registers -------------------------------------------------------------------------------------------

static uint32_t overflows(const struct riscv_state *state)
{
    uint32_t bits = (uint32_t)(state->cycles >> CYCLES_BITS);
    for (unsigned i = 0; i < RISCV_COUNTERS; i++)
        bits |= (uint32_t)(state->selector[i] >> CYCLES_BITS) << (i + 1);
    return bits;
}

uint64_t riscv_read_monitor(const struct riscv_state *state, uint32_t offset)
{
    if (offset == COUNTER_CONTROL)
        return overflows(state) | (uint64_t)state->inhibited << 32;
    if (offset == IOM_RISCV_IOHPMCYCLES)
        return state->cycles;
    if (offset < IOM_RISCV_IOHPMEVT)
        return state->counter[(offset - IOM_RISCV_IOHPMCTR) / 8];
    return state->selector[(offset - IOM_RISCV_IOHPMEVT) / 8];
}

static uint64_t merge(uint64_t old, uint64_t mask, uint64_t value)
{
    return (old & ~mask) | (value & mask);
}

// An event that does not exist is not selected: WARL.
static uint32_t write_selector(const struct iom_arch *arch, struct riscv_state *state, unsigned index,
                               uint64_t mask, uint64_t value)
{
    uint32_t before = riscv_monitored(arch, state);
    uint64_t selector = merge(state->selector[index], mask, value);
    if (SELECTOR_EVENT(selector) > riscv_config(arch)->events)
        selector &= ~SELECTOR_EVENT_FIELD;
    state->selector[index] = selector;
    return riscv_monitored(arch, state) != before ? 1u << IOM_ACTION_UPDATE_VIEW : 0;
}

uint32_t riscv_write_monitor(const struct iom_arch *arch, struct riscv_state *state, uint32_t offset,
                             uint64_t mask, uint64_t value)
{
    const struct iom_riscv_config *config = riscv_config(arch);
    unsigned counters = event_counters(arch);
    if (!is_present(arch))
        return 0;
    if (offset == COUNTER_CONTROL) {
        uint64_t merged = merge((uint64_t)state->inhibited << 32, mask, value);
        state->inhibited = (uint32_t)iom_low_bits(merged >> 32, config->counters);
    } else if (offset == IOM_RISCV_IOHPMCYCLES) {
        state->cycles = merge(state->cycles, mask, value);
    } else if (offset < IOM_RISCV_IOHPMEVT) {
        unsigned index = (offset - IOM_RISCV_IOHPMCTR) / 8;
        if (index < counters)
            state->counter[index] =
                iom_low_bits(merge(state->counter[index], mask, value), config->counter_bits);
    } else {
        unsigned index = (offset - IOM_RISCV_IOHPMEVT) / 8;
        if (index < counters)
            return write_selector(arch, state, index, mask, value);
    }
    return 0;
}

uint32_t riscv_monitored(const struct iom_arch *arch, const struct riscv_state *state)
{
    uint32_t events = 0;
    for (unsigned i = 0; i < event_counters(arch); i++) {
        unsigned event = SELECTOR_EVENT(state->selector[i]);
        if (event >= 1 && event <= EVENTS)
            events |= 1u << (event - 1);
    }
    return events;
}

// ---- cycles ----------------------------------------------------------------------------------------------

static bool is_counting(const struct iom_arch *arch, const struct riscv_state *state)
{
    return is_present(arch) && !(state->inhibited & 1u);
}

// A counter that wraps while its OF is clear interrupts; OF stays until software clears it.
static void overflow(struct riscv_state *state, uint64_t *flag)
{
    if (*flag & RISCV_OVERFLOW)
        return;
    *flag |= RISCV_OVERFLOW;
    riscv_raise(state, RISCV_SOURCE_MONITOR);
}

uint32_t riscv_time(const struct iom_arch *arch, void *opaque, iom_cycle now)
{
    struct riscv_state *state = opaque;
    iom_cycle passed = now - state->now;
    state->now = now;
    if (!is_counting(arch, state) || passed == 0)
        return 0;
    uint64_t count = (state->cycles & CYCLES_MASK) + passed;
    state->cycles = (state->cycles & RISCV_OVERFLOW) | (count & CYCLES_MASK);
    if (count > CYCLES_MASK)
        overflow(state, &state->cycles);
    return 0;
}

iom_cycle riscv_wake(const struct iom_arch *arch, const void *opaque)
{
    const struct riscv_state *state = opaque;
    uint64_t left = RISCV_OVERFLOW - (state->cycles & CYCLES_MASK);
    if (!is_counting(arch, state) || (state->cycles & RISCV_OVERFLOW))
        return IOM_NEVER;
    return state->now + left;
}

// ---- events ----------------------------------------------------------------------------------------------

// Bits of the device (or GSCID) that are compared: with DMASK none up to and including the lowest 0 bit.
static uint32_t device_mask(uint64_t selector)
{
    uint32_t device = SELECTOR_DEVICE(selector);
    return selector & SELECTOR_DMASK ? ~(device ^ (device + 1)) : UINT32_MAX;
}

static bool device_matches(uint64_t selector, bool valid, uint32_t device)
{
    if (!(selector & SELECTOR_HAS_DEVICE))
        return true;
    return valid && ((SELECTOR_DEVICE(selector) ^ device) & device_mask(selector)) == 0;
}

static bool process_matches(uint64_t selector, bool valid, uint32_t process)
{
    return !(selector & SELECTOR_HAS_PROCESS) || (valid && SELECTOR_PROCESS(selector) == process);
}

// "Filtering options". An IDT setting that the event does not support counts nothing.
static bool is_selected(uint64_t selector, uint32_t event, const struct iom_event *what)
{
    if (!(selector & SELECTOR_CONTEXT))
        return device_matches(selector, true, what->source) &&
               process_matches(selector, (what->flags & IOM_REQ_PASID) != 0, what->pasid);
    if (!(event & CONTEXT_EVENTS))
        return false;
    bool first = what->has_context && (what->stage & RISCV_STAGE_FIRST);
    bool second = what->has_context && (what->stage & RISCV_STAGE_SECOND);
    return device_matches(selector, second, what->domain) && process_matches(selector, first, what->asid);
}

uint32_t riscv_count(const struct iom_arch *arch, void *opaque, const struct iom_event *what)
{
    struct riscv_state *state = opaque;
    unsigned bits = riscv_config(arch)->counter_bits;
    for (unsigned i = 0; i < event_counters(arch); i++) {
        uint64_t selector = state->selector[i];
        unsigned id = SELECTOR_EVENT(selector);
        if (id < 1 || id > EVENTS || (state->inhibited >> (i + 1) & 1))
            continue;
        uint32_t event = 1u << (id - 1);
        if (!(what->events & event) || !is_selected(selector, event, what))
            continue;
        state->counter[i] = iom_low_bits(state->counter[i] + 1, bits);
        if (state->counter[i] == 0)
            overflow(state, &state->selector[i]);
    }
    return 0;
}
