// SPDX-License-Identifier: Apache-2.0
//
// Address, data and response channels of a memory port (core/memory.h, "Channels"). Private to the memory.
#ifndef IOM_CORE_MEMORY_CHANNELS_H
#define IOM_CORE_MEMORY_CHANNELS_H

#include "core/memory.h"

struct iom_channels {
    struct iom_memory_channels config;
    struct iom_arbiter read, write;
    iom_cycle read_free;  ///< cycle behind the last beat of read data
    iom_cycle write_free; ///< likewise of write data
};

struct iom_channel_request {
    uint32_t input;
    struct iom_memory_access *access;
};

/// An access that its arbiter has chosen; it has left its input.
struct iom_channel_grant {
    uint32_t input;
    struct iom_memory_access *access;
    iom_cycle first, last; ///< of its beats
    iom_cycle depart;      ///< of its response
};

void iom_channels_init(struct iom_channels *channels, const struct iom_memory_channels *config);
/// Chooses among the accesses that have arrived at the inputs and are writes (or reads). False if there is
/// none. `tick` is the memory's clock period, `latency` its read latency in ticks.
bool iom_channels_grant(struct iom_channels *channels, struct iom_port *ports, bool write, iom_cycle now,
                        iom_cycle tick, iom_cycle latency, struct iom_channel_grant *grant);

#endif
