// SPDX-License-Identifier: Apache-2.0
//
// Arbiters. See arbiter.h.
#include "core/arbiter.h"

void iom_arbiter_init(struct iom_arbiter *arbiter, enum iom_arbitration rule, uint32_t inputs)
{
    assert(inputs >= 1 && inputs <= 32);
    arbiter->rule = (uint8_t)rule;
    arbiter->inputs = (uint8_t)inputs;
    arbiter->pointer = 0;
    arbiter->levels = inputs == 1 ? 0 : (uint8_t)(iom_log2_u64(inputs - 1) + 1);
}

// The first request at or behind `from`, cyclically.
static unsigned first_from(uint32_t requests, unsigned from)
{
    uint32_t behind = requests & ~((UINT32_C(1) << from) - 1);
    return iom_ctz64(behind != 0 ? behind : requests);
}

static unsigned descend(const struct iom_arbiter *arbiter, uint32_t requests)
{
    unsigned low = 0;
    for (unsigned level = arbiter->levels; level-- > 0;) {
        uint32_t half = UINT32_C(1) << level;
        uint64_t lower = ((UINT64_C(1) << half) - 1) << low, upper = lower << half;
        bool take_upper =
            (requests & lower) == 0 || ((requests & upper) != 0 && (arbiter->pointer >> level & 1) != 0);
        low += take_upper ? half : 0;
    }
    return low;
}

unsigned iom_arbiter_grant(struct iom_arbiter *arbiter, uint32_t requests)
{
    assert(requests != 0);
    unsigned granted, next;
    switch ((enum iom_arbitration)arbiter->rule) {
    case IOM_ARBITRATION_FIXED:
        return iom_ctz64(requests);
    case IOM_ARBITRATION_TREE:
        granted = descend(arbiter, requests);
        next = arbiter->pointer + 1u;
        arbiter->pointer = (uint8_t)first_from(requests, next == arbiter->inputs ? 0 : next);
        return granted;
    case IOM_ARBITRATION_ROUND_ROBIN:
        break;
    }
    granted = first_from(requests, arbiter->pointer);
    arbiter->pointer = (uint8_t)(granted + 1u == arbiter->inputs ? 0 : granted + 1u);
    return granted;
}
