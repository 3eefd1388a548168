// SPDX-License-Identifier: Apache-2.0
//
// A thread's steps: what each waits for, and to what its time is charged. See host_internal.h.
#include <string.h>

#include "traffic/host_internal.h"

// Linux gives a register 10 s; no simulated one needs more than a few reads.
#define POLL_LIMIT 1000000u

void iom_host_wake_at(struct iom_host_thread *thread, iom_cycle cycle)
{
    if (cycle < thread->wake)
        thread->wake = cycle;
}

void iom_host_charge(struct iom_host_thread *thread, enum iom_host_part part, iom_cycle until)
{
    if (until <= thread->mark)
        return;
    thread->part[part] += until - thread->mark;
    thread->mark = until;
}

void iom_host_begin_step(struct iom_host_thread *thread, enum iom_host_step_kind kind,
                         enum iom_host_part part)
{
    thread->step = (struct iom_host_step){.kind = kind, .part = part};
    thread->stepping = true;
}

void iom_host_spend(struct iom_host *host, struct iom_host_thread *thread, enum iom_host_part part,
                    uint64_t cycles, iom_cycle now)
{
    iom_host_begin_step(thread, IOM_STEP_SPEND, part);
    thread->step.until = now + iom_host_ticks(host, cycles);
}

// ---- single steps: true when over --------------------------------------------------------------------

static bool reached(struct iom_host_thread *thread, iom_cycle cycle, iom_cycle now)
{
    if (cycle <= now)
        return true;
    iom_host_wake_at(thread, cycle);
    return false;
}

static bool take_lock(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_step *step = &thread->step;
    if (!step->begun) {
        step->begun = true;
        iom_host_ask_lock(host, thread, step->index, now);
    }
    if (iom_host_has_lock(host, thread, step->index, now))
        return true;
    if (host->locks[step->index].holder == thread->index)
        iom_host_wake_at(thread, host->locks[step->index].granted);
    return false;
}

// Register write, then reads until the awaited bits show.
enum register_phase { REGISTER_WRITE, REGISTER_WROTE, REGISTER_LOOK, REGISTER_READ };

static bool access_register(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_step *step = &thread->step;
    const struct iom_register_write *mmio = &step->mmio;
    if (thread->mmio_wait)
        return false;
    if (step->index == REGISTER_WRITE) {
        // A processor's stores are visible before a later uncached write.
        if (iom_store_queue_pending(&thread->stores) != 0)
            return false;
        if (iom_host_send_mmio(host, thread->index, true, mmio->offset, mmio->bytes, mmio->value, now)) {
            thread->mmio_wait = true;
            step->index = REGISTER_WROTE;
        }
        return false;
    }
    if (step->index == REGISTER_WROTE) {
        if (mmio->poll_bytes == 0)
            return true;
        step->until = now;
        step->index = REGISTER_LOOK;
    }
    if (step->index == REGISTER_READ) {
        if ((thread->submission.answer & mmio->poll_mask) == mmio->poll_value)
            return true;
        if (++step->count == POLL_LIMIT)
            iom_host_give_up(host, "register 0x%x does not show the awaited status", mmio->poll_offset);
        step->until = now + iom_host_ticks(host, iom_max_u64(host->config.costs.relax_cycles, 1));
        step->index = REGISTER_LOOK;
    }
    if (reached(thread, step->until, now) &&
        iom_host_send_mmio(host, thread->index, false, mmio->poll_offset, mmio->poll_bytes, 0, now)) {
        thread->mmio_wait = true;
        step->index = REGISTER_READ;
    }
    return false;
}

// Sends stores; others may wait for them, in front of a walker that does not snoop.
static iom_cycle pump(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    uint64_t before = thread->stores.head;
    iom_cycle next = iom_store_queue_pump(&thread->stores, now);
    host->progress = host->progress || (!host->config.coherent && thread->stores.head != before);
    return next;
}

static bool others_have_left(const struct iom_host *host, const struct iom_host_thread *thread)
{
    for (uint32_t i = 0; i < host->thread_count; i++) {
        if (host->threads[i].stores.head < thread->behind[i])
            return false;
    }
    return true;
}

static bool advance_step(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_step *step = &thread->step;
    switch (step->kind) {
    case IOM_STEP_SPEND:
        return reached(thread, step->until, now);
    case IOM_STEP_LEAVE:
        pump(host, thread, now);
        return iom_store_queue_all_left(&thread->stores) && (!step->wait || others_have_left(host, thread)) &&
               reached(thread, step->until, now);
    case IOM_STEP_FENCE:
        return iom_store_queue_pending(&thread->stores) == 0 && reached(thread, step->until, now);
    case IOM_STEP_LOCK:
        return take_lock(host, thread, now);
    case IOM_STEP_SUBMIT:
        return iom_host_advance_submission(host, thread, now);
    case IOM_STEP_REGISTER:
        return access_register(host, thread, now);
    case IOM_STEP_AWAIT:
        return host->events[step->index] >= step->count;
    case IOM_STEP_REQUEST:
        return iom_port_can_send(&host->ports[IOM_HOST_PORT_DMA + step->index], now);
    case IOM_STEP_REQUESTS:
        return thread->in_flight == 0;
    }
    return true;
}

// Carries out what the thread can do in `now`. Sets host->progress when something changed.
void iom_host_run_thread(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    thread->wake = IOM_NEVER;
    while (host->error[0] == '\0') {
        if (thread->stepping) {
            if (!advance_step(host, thread, now))
                break;
            iom_host_charge(thread, thread->step.part, now);
            thread->stepping = false;
            host->progress = true;
        }
        if (!iom_host_next_step(host, thread, now))
            break;
        host->progress = true;
    }
    iom_cycle send = pump(host, thread, now);
    if (send != IOM_NEVER)
        iom_host_wake_at(thread, iom_max_u64(send, now + 1));
}
