// SPDX-License-Identifier: Apache-2.0
//
// The functional walk: runs an architecture's look-ups and step machines against memory, no caches
// and no time. It is the reference the timed engines are compared with.
#include "core/arch.h"

#include <string.h>

// A walk that keeps losing its compare-and-swap is restarted; memory that always refuses would
// restart for ever, so give up after far more tries than any table has levels.
#define RETRY_LIMIT 64u

static void perform(const struct iom_functional_memory *memory, struct iom_walk *walk)
{
    walk->access_error = 0;
    switch ((enum iom_walk_action)walk->action) {
    case IOM_WALK_READ:
        walk->access_error = (uint8_t)memory->read(memory->context, walk->address, walk->data, walk->bytes);
        break;
    case IOM_WALK_CAS:
        if (memory->cas == NULL)
            walk->data[0] = walk->expected;
        else
            walk->access_error = (uint8_t)memory->cas(memory->context, walk->address, walk->expected,
                                                      walk->desired, &walk->data[0]);
        break;
    case IOM_WALK_PROBE:
        walk->probe.hit_level = 0;
        break;
    case IOM_WALK_DONE:
        break;
    }
}

void iom_translate_functional(const struct iom_arch *arch, const struct iom_view *view,
                              const struct iom_functional_memory *memory, struct iom_xlate *x)
{
    const struct iom_arch_ops *ops = arch->ops;
    for (unsigned attempt = 0; attempt < RETRY_LIMIT; attempt++) {
        ops->enter(arch, view, x);
        while (x->next != IOM_LOOKUP_DONE) {
            struct iom_walk walk;
            memset(&walk, 0, sizeof walk);
            walk.x = *x;
            walk.what = x->next;
            ops->walk_start(arch, view, &walk);
            while (walk.action != IOM_WALK_DONE) {
                perform(memory, &walk);
                ops->walk_step(arch, view, &walk);
            }
            *x = walk.x;
        }
        if (x->outcome != IOM_OUTCOME_RETRY)
            return;
    }
    x->outcome = IOM_OUTCOME_FAULT;
}

void iom_translate_pure(const struct iom_arch *arch, const struct iom_view *view, iom_read_fn read,
                        void *read_context, struct iom_xlate *x)
{
    struct iom_functional_memory memory = {.context = read_context, .read = read, .cas = NULL};
    x->flags = (uint16_t)(x->flags | IOM_REQ_PURE);
    iom_translate_functional(arch, view, &memory, x);
}
