// SPDX-License-Identifier: Apache-2.0
//
// Arbitration: which of several requesters is served. The pointer rule is a parameter (unit rule 5).
#ifndef IOM_CORE_ARBITER_H
#define IOM_CORE_ARBITER_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_arbitration {
    IOM_ARBITRATION_ROUND_ROBIN, ///< after an input was served the next one is asked first
    IOM_ARBITRATION_FIXED,       ///< lower input number first
    /// A binary tree whose nodes decide conflicts by the bits of one pointer: at a node where both halves
    /// ask, the upper one wins if the pointer's bit of that level is set. After each grant the pointer moves
    /// to the next input behind it (cyclically) that asked in this cycle.
    IOM_ARBITRATION_TREE,
};

struct iom_arbiter {
    uint8_t rule;    ///< enum iom_arbitration
    uint8_t inputs;  ///< 1..32
    uint8_t pointer; ///< ROUND_ROBIN: asked first; TREE: see above
    uint8_t levels;  ///< of the tree
};

void iom_arbiter_init(struct iom_arbiter *arbiter, enum iom_arbitration rule, uint32_t inputs);
/// Serves one of `requests` (bit mask of inputs, not 0) and moves the pointer. Returns its number.
unsigned iom_arbiter_grant(struct iom_arbiter *arbiter, uint32_t requests);

#ifdef __cplusplus
}
#endif

#endif
