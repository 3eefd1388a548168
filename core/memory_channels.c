// SPDX-License-Identifier: Apache-2.0
//
// Arbitration and beats of a memory port with channels. See memory_channels.h. Nothing ever holds a beat
// back (space for a response is reserved before its request is sent), so the beats of an access are known
// when it is accepted.
#include "core/memory_channels.h"

void iom_channels_init(struct iom_channels *channels, const struct iom_memory_channels *config)
{
    channels->config = *config;
    channels->read_free = channels->write_free = 0;
    if (config->inputs == 0)
        return;
    iom_arbiter_init(&channels->read, config->arbitration, config->positions);
    iom_arbiter_init(&channels->write, config->arbitration, config->positions);
}

static bool is_write(const struct iom_memory_access *access)
{
    return access->op == IOM_MEMORY_WRITE || access->op == IOM_MEMORY_CAS;
}

// The oldest access of each client that waits at an input asks the arbiter, so no client is behind another.
static uint32_t collect(const struct iom_channels *channels, struct iom_port *ports, bool write,
                        iom_cycle now, struct iom_channel_request *at)
{
    const struct iom_memory_channels *config = &channels->config;
    uint32_t requests = 0;
    for (uint32_t i = 0; i < config->inputs; i++) {
        for (struct iom_msg *msg = iom_port_peek(&ports[i], now); msg != NULL && msg->arrival <= now;
             msg = msg->next) {
            assert(msg->kind == IOM_MSG_MEMORY);
            struct iom_memory_access *access = (struct iom_memory_access *)(void *)msg;
            uint8_t position = config->position[access->client];
            if (is_write(access) != write || requests >> position & 1)
                continue;
            requests |= UINT32_C(1) << position;
            at[position] = (struct iom_channel_request){i, access};
        }
    }
    return requests;
}

bool iom_channels_grant(struct iom_channels *channels, struct iom_port *ports, bool write, iom_cycle now,
                        iom_cycle tick, iom_cycle latency, struct iom_channel_grant *grant)
{
    const struct iom_memory_channels *config = &channels->config;
    struct iom_channel_request at[32];
    uint32_t requests = collect(channels, ports, write, now, at);
    if (requests == 0)
        return false;
    const struct iom_channel_request *granted =
        &at[iom_arbiter_grant(write ? &channels->write : &channels->read, requests)];
    struct iom_memory_access *access = granted->access;
    iom_port_remove(&ports[granted->input], &access->msg);
    grant->input = granted->input;
    grant->access = access;
    iom_cycle length = iom_div_ceil(access->bytes, config->beat_bytes) * tick;
    iom_cycle *bus_free = write ? &channels->write_free : &channels->read_free;
    grant->first = iom_max_u64(now + (write ? tick : latency), *bus_free);
    *bus_free = grant->first + length;
    grant->last = *bus_free - tick;
    grant->depart = grant->last + (write ? config->write_latency_cycles * tick : 0);
    return true;
}
