// SPDX-License-Identifier: Apache-2.0
//
// The memory unit. Timing rules are in memory.h; here: arbitration, acceptance, sampling, answers.
#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory_channels.h"
#include "core/tracker.h"
#include "core/unit_stats.h"

struct iom_memory {
    struct iom_unit unit; // first member: the unit is the memory
    struct iom_memory_config config;
    struct iom_memory_image *image;
    struct iom_cache *llc;
    struct iom_port *ports;
    struct iom_channels channels;
    struct iom_memory_observer observer;
    uint32_t turn; // input that is asked first
    iom_cycle bus_free;
    int width_shift; ///< log2 of bytes_per_cycle if a power of two, else -1
    // Departure cycles of DRAM accesses in flight, ascending (ring of config.outstanding entries).
    iom_cycle *flight;
    uint32_t flight_first, flight_count;
    // Accepted in this cycle, waiting for writes of the same cycle to take effect.
    struct accepted *accepted;
    uint32_t accepted_count, accepted_capacity;
    // Processors that wait for a word to change.
    struct watch *watches;
    uint32_t watch_count, watch_capacity;
    struct iom_memory_stats stats;
};

struct watch {
    struct iom_memory_access *access;
    uint32_t port;
    bool due; // to be compared at the end of the cycle
};

struct accepted {
    struct iom_msg *msg;
    uint32_t port;
    iom_cycle depart;
};

#define IOM_STAT_OWNER struct iom_memory_stats
static const struct iom_stat_info stat_infos[] = {IOM_MEMORY_STATS(IOM_STAT_INFO)};

static bool is_dma(const struct iom_msg *msg)
{
    return msg->kind == IOM_MSG_DMA;
}

static bool is_watch(const struct iom_msg *msg)
{
    return msg->kind == IOM_MSG_MEMORY &&
           ((const struct iom_memory_access *)(const void *)msg)->op == IOM_MEMORY_WATCH;
}

static uint32_t bytes_of(const struct iom_msg *msg)
{
    if (is_dma(msg))
        return ((const struct iom_dma *)(const void *)msg)->x.bytes;
    return ((const struct iom_memory_access *)(const void *)msg)->bytes;
}

// ---- watches ----------------------------------------------------------------------------------------

static void add_watch(struct iom_memory *memory, struct iom_msg *msg, uint32_t port)
{
    if (memory->watch_count == memory->watch_capacity) {
        uint32_t wanted = memory->watch_capacity != 0 ? memory->watch_capacity * 2 : 4;
        struct watch *grown = realloc(memory->watches, wanted * sizeof *grown);
        if (grown == NULL)
            abort(); // one per waiting thread of a host
        memory->watches = grown;
        memory->watch_capacity = wanted;
    }
    memory->watches[memory->watch_count++] =
        (struct watch){(struct iom_memory_access *)(void *)msg, port, true};
}

static void note_change(struct iom_memory *memory, uint64_t address, uint64_t bytes)
{
    for (uint32_t i = 0; i < memory->watch_count; i++) {
        const struct iom_memory_access *access = memory->watches[i].access;
        if (access->address < address + bytes && address < access->address + access->bytes)
            memory->watches[i].due = true;
    }
}

// Answers the watches whose word is not what they expect any more; all writes of the cycle are done.
static void settle_watches(struct iom_memory *memory, iom_cycle now)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < memory->watch_count; i++) {
        struct watch watch = memory->watches[i];
        struct iom_memory_access *access = watch.access;
        uint64_t found = 0;
        if (watch.due)
            access->error = !iom_memory_image_read(memory->image, access->address, &found, access->bytes);
        if (!watch.due || (!access->error && found == access->expected)) {
            watch.due = false;
            memory->watches[kept++] = watch;
            continue;
        }
        access->data[0] = found;
        access->data[1] = now;
        memory->stats.errors += access->error;
        iom_port_send(&memory->ports[watch.port], &access->msg,
                      now + iom_unit_ticks(&memory->unit, memory->config.latency_cycles));
    }
    memory->watch_count = kept;
}

// ---- DRAM slots -------------------------------------------------------------------------------------

static inline void retire_flights(struct iom_memory *memory, iom_cycle now)
{
    const iom_cycle *flight = memory->flight;
    uint32_t left = memory->flight_count, first = memory->flight_first;
    if (left == 0 || flight[first] > now)
        return;
    do {
        left--;
        first = first + 1 == memory->config.outstanding ? 0 : first + 1;
    } while (left != 0 && flight[first] <= now);
    memory->flight_count = left;
    memory->flight_first = first;
}

static inline void add_flight(struct iom_memory *memory, iom_cycle depart)
{
    if (memory->config.outstanding == 0)
        return;
    // DRAM latency is constant and acceptance is in order, so departures ascend.
    uint32_t last = memory->flight_first + memory->flight_count++;
    memory->flight[last < memory->config.outstanding ? last : last - memory->config.outstanding] = depart;
    if (memory->flight_count > memory->stats.most_outstanding)
        memory->stats.most_outstanding = memory->flight_count;
}

// ---- acceptance -------------------------------------------------------------------------------------

static void line_tag(struct iom_tag *tag, uint64_t address)
{
    memset(tag, 0, sizeof *tag);
    tag->address = address & ~(uint64_t)(IOM_LINE_BYTES - 1);
    tag->size_log2 = 6;
}

// True if a table read finds its line in the last-level cache. Changes nothing.
static int32_t find_line(struct iom_memory *memory, const struct iom_msg *msg, iom_cycle now)
{
    if (memory->llc == NULL || is_dma(msg))
        return IOM_CACHE_MISS;
    const struct iom_memory_access *access = (const struct iom_memory_access *)(const void *)msg;
    if (access->op != IOM_MEMORY_READ)
        return IOM_CACHE_MISS;
    struct iom_tag tag;
    line_tag(&tag, access->address);
    return iom_cache_probe(memory->llc, now, &tag);
}

// A DRAM access begins in `now`; returns when its response departs.
static inline iom_cycle occupy_dram(struct iom_memory *memory, uint64_t bytes, iom_cycle now)
{
    iom_cycle depart = now + iom_unit_ticks(&memory->unit, memory->config.latency_cycles);
    uint64_t width = memory->config.bytes_per_cycle;
    if (width != 0) {
        // Widths are nearly always powers of two: a shift instead of a division on the hot path.
        bytes = iom_max_u64(bytes, 1);
        uint64_t beats = memory->width_shift >= 0 ? (bytes + width - 1) >> memory->width_shift
                                                  : iom_div_ceil(bytes, width);
        memory->bus_free = now + iom_unit_ticks(&memory->unit, beats);
        memory->stats.busy_cycles += beats;
    }
    add_flight(memory, depart);
    return depart;
}

// Counts the access and returns when its response departs.
static iom_cycle start_access(struct iom_memory *memory, const struct iom_msg *msg, int32_t line,
                              iom_cycle now)
{
    if (line != IOM_CACHE_MISS) {
        iom_cache_touch(memory->llc, now, line);
        memory->stats.llc_hits++;
        return now + iom_unit_ticks(&memory->unit, memory->config.llc_latency_cycles);
    }
    if (memory->llc != NULL && !is_dma(msg) &&
        ((const struct iom_memory_access *)(const void *)msg)->op == IOM_MEMORY_READ) {
        struct iom_tag tag;
        line_tag(&tag, ((const struct iom_memory_access *)(const void *)msg)->address);
        iom_cache_fill(memory->llc, now, &tag, NULL);
        memory->stats.llc_misses++;
    }
    return occupy_dram(memory, bytes_of(msg), now);
}

static bool dram_ready(const struct iom_memory *memory, iom_cycle now)
{
    return memory->bus_free <= now &&
           (memory->config.outstanding == 0 || memory->flight_count < memory->config.outstanding);
}

static void add_accepted(struct iom_memory *memory, struct iom_msg *msg, uint32_t port, iom_cycle depart)
{
    if (memory->accepted_count == memory->accepted_capacity) {
        uint32_t wanted = memory->accepted_capacity * 2;
        struct accepted *grown = realloc(memory->accepted, wanted * sizeof *grown);
        if (grown == NULL)
            abort(); // bounded by the credits of the inputs; a few kilobytes
        memory->accepted = grown;
        memory->accepted_capacity = wanted;
    }
    memory->accepted[memory->accepted_count++] = (struct accepted){msg, port, depart};
}

static bool accept_from(struct iom_memory *memory, uint32_t index, iom_cycle now)
{
    struct iom_port *port = &memory->ports[index];
    struct iom_msg *msg = iom_port_peek(port, now);
    if (msg == NULL)
        return false;
    int32_t line = find_line(memory, msg, now);
    if (line == IOM_CACHE_MISS && !dram_ready(memory, now))
        return false;
    iom_port_pop(port);
    iom_port_return_credit(port, now);
    if (is_watch(msg)) {
        add_watch(memory, msg, index);
        return true;
    }
    add_accepted(memory, msg, index, start_access(memory, msg, line, now));
    return true;
}

// At most one read and one write.
static void accept_through_channels(struct iom_memory *memory, iom_cycle now)
{
    iom_cycle tick = memory->unit.period;
    for (int write = 0; write <= 1; write++) {
        struct iom_channel_grant grant;
        if (!iom_channels_grant(&memory->channels, memory->ports, write != 0, now, tick,
                                iom_unit_ticks(&memory->unit, memory->config.latency_cycles), &grant))
            continue;
        struct iom_port *port = &memory->ports[grant.input];
        iom_port_return_credit(port, now);
        if (memory->observer.accepted != NULL)
            memory->observer.accepted(memory->observer.context, now, grant.access, grant.first, grant.last);
        add_accepted(memory, &grant.access->msg, grant.input, grant.depart);
    }
}

// Round robin: one access of each input in turn until nothing more can be accepted in this cycle.
static void accept_all(struct iom_memory *memory, iom_cycle now)
{
    uint32_t inputs = memory->config.inputs, first = memory->channels.config.inputs;
    uint32_t index = memory->turn;
    for (uint32_t idle = first; idle < inputs && memory->unit.arrivals != 0;) {
        if (accept_from(memory, index, now)) {
            idle = first;
            memory->turn = index + 1 == inputs ? first : index + 1;
        } else {
            idle++;
        }
        index = index + 1 == inputs ? first : index + 1;
    }
}

// ---- effects ----------------------------------------------------------------------------------------

static enum iom_access write_image(struct iom_memory *memory, uint64_t address, const void *data,
                                   size_t bytes)
{
    enum iom_access access = iom_memory_image_access(memory->image, address, bytes, true);
    if (access == IOM_ACCESS_OK)
        access = iom_access_if(iom_memory_image_write(memory->image, address, data, bytes));
    return access;
}

static void write_access(struct iom_memory *memory, struct iom_memory_access *access, iom_cycle now)
{
    memory->stats.table_writes++;
    if (access->op == IOM_MEMORY_WRITE) {
        iom_tracker_write(memory->config.tracker, now, (enum iom_write_origin)access->origin, access->address,
                          access->bytes, access->data);
        access->error = (uint8_t)write_image(memory, access->address, access->data, access->bytes);
        return;
    }
    uint64_t found = 0;
    access->error = iom_memory_image_fetch(memory->image, access->address, &found, sizeof found);
    if (access->error == IOM_ACCESS_OK && found == access->expected) {
        iom_tracker_write(memory->config.tracker, now, IOM_WRITE_FLAGS, access->address,
                          sizeof access->desired, &access->desired);
        access->error =
            (uint8_t)write_image(memory, access->address, &access->desired, sizeof access->desired);
    }
    access->data[0] = found;
}

static bool is_write(const struct iom_msg *msg)
{
    if (is_dma(msg))
        return (((const struct iom_dma *)(const void *)msg)->x.flags & IOM_REQ_WRITE) != 0;
    uint8_t op = ((const struct iom_memory_access *)(const void *)msg)->op;
    return op == IOM_MEMORY_WRITE || op == IOM_MEMORY_CAS;
}

static void perform_dma(struct iom_memory *memory, struct iom_dma *dma, bool write, iom_cycle now)
{
    const struct iom_xlate *x = &dma->x;
    bool error = false;
    dma->visible = now;
    if (memory->config.tracker != NULL) {
        iom_tracker_visible(memory->config.tracker, now, dma);
        if (write && dma->data != NULL)
            iom_tracker_write(memory->config.tracker, now, IOM_WRITE_DMA, x->leaf.output, x->bytes,
                              dma->data);
    }
    memory->stats.dma_bytes += x->bytes;
    *(write ? &memory->stats.dma_writes : &memory->stats.dma_reads) += 1;
    if (dma->data == NULL)
        error = !iom_memory_image_answers(memory->image, x->leaf.output, x->bytes);
    else if (write)
        error = !iom_memory_image_write(memory->image, x->leaf.output, dma->data, x->bytes);
    else
        error = !iom_memory_image_read(memory->image, x->leaf.output, dma->data, x->bytes);
    dma->memory_error = error;
    memory->stats.errors += error;
    if (memory->watch_count != 0 && write)
        note_change(memory, x->leaf.output, x->bytes);
}

// Words in front of the one with the error are good.
static void find_error(const struct iom_memory *memory, struct iom_memory_access *access)
{
    access->error_word = 0;
    while (8u * (access->error_word + 1u) < access->bytes &&
           iom_memory_image_access(memory->image, access->address + UINT64_C(8) * access->error_word, 8,
                                   false) == IOM_ACCESS_OK)
        access->error_word++;
    iom_memory_image_read(memory->image, access->address, access->data, access->bytes);
}

static void read_access(struct iom_memory *memory, struct iom_memory_access *access, iom_cycle now)
{
    memory->stats.table_reads++;
    access->error =
        (uint8_t)iom_memory_image_fetch(memory->image, access->address, access->data, access->bytes);
    if (access->error != IOM_ACCESS_OK)
        find_error(memory, access);
    if (memory->config.tracker != NULL)
        access->node =
            iom_tracker_read(memory->config.tracker, now, access->node, access->address, access->bytes);
    memory->stats.errors += access->error != IOM_ACCESS_OK;
}

static void perform(struct iom_memory *memory, struct iom_msg *msg, bool write, iom_cycle now)
{
    struct iom_memory_access *access = (struct iom_memory_access *)(void *)msg;
    if (is_dma(msg)) {
        perform_dma(memory, (struct iom_dma *)(void *)msg, write, now);
    } else if (!write) {
        read_access(memory, access, now);
    } else {
        write_access(memory, access, now);
        memory->stats.errors += access->error != IOM_ACCESS_OK;
        if (memory->watch_count != 0)
            note_change(memory, access->address, access->bytes);
    }
}

// Number of an input whose oldest message has arrived, asked round robin from `turn` on; `inputs` if there is
// none. Only ports that hold something are looked at (those from 63 on share a bit that is never cleared).
static inline uint32_t waiting_input(const struct iom_memory *memory, iom_cycle now)
{
    uint32_t inputs = memory->config.inputs, turn = memory->turn;
    if (inputs <= 63) {
        uint64_t behind = memory->unit.arrivals & (UINT64_MAX << turn);
        for (uint64_t left = behind; left != 0; left &= left - 1) {
            if (memory->ports[iom_ctz64(left)].head->arrival <= now)
                return iom_ctz64(left);
        }
        for (uint64_t left = memory->unit.arrivals ^ behind; left != 0; left &= left - 1) {
            if (memory->ports[iom_ctz64(left)].head->arrival <= now)
                return iom_ctz64(left);
        }
        return inputs;
    }
    for (uint32_t tried = 0, index = turn; tried < inputs; tried++) {
        if (iom_port_peek(&memory->ports[index], now) != NULL)
            return index;
        index = index + 1 == inputs ? 0 : index + 1;
    }
    return inputs;
}

// Is there an access that could not be accepted in `now`?
static inline bool is_waiting(const struct iom_memory *memory, iom_cycle now)
{
    if (memory->config.inputs > 63)
        return memory->unit.arrivals != 0 && waiting_input(memory, now) != memory->config.inputs;
    for (uint64_t left = memory->unit.arrivals; left != 0; left &= left - 1) {
        if (memory->ports[iom_ctz64(left)].head->arrival <= now)
            return true;
    }
    return false;
}

// When an access that waits now can be accepted, IOM_NEVER if none waits.
static inline iom_cycle next_acceptance(const struct iom_memory *memory, iom_cycle now)
{
    if (!is_waiting(memory, now))
        return IOM_NEVER;
    if (memory->channels.config.inputs != 0)
        return now + memory->unit.period; // the channels take one each cycle
    iom_cycle slot = memory->config.outstanding != 0 && memory->flight_count == memory->config.outstanding
                         ? memory->flight[memory->flight_first]
                         : now;
    return iom_max_u64(iom_max_u64(memory->bus_free, slot), now + memory->unit.period);
}

// With limited bandwidth and no cache in front at most one access is accepted in a cycle, so there is
// no order among accesses of the same cycle to care about.
static void accept_one(struct iom_memory *memory, iom_cycle now)
{
    if (!dram_ready(memory, now))
        return;
    uint32_t inputs = memory->config.inputs;
    uint32_t index = waiting_input(memory, now);
    if (index == inputs)
        return;
    struct iom_port *port = &memory->ports[index];
    memory->turn = index + 1 == inputs ? 0 : index + 1;
    struct iom_msg *msg = iom_port_pop(port);
    iom_port_return_credit(port, now);
    iom_cycle depart;
    struct iom_memory_access *access = (struct iom_memory_access *)(void *)msg;
    if (is_dma(msg)) {
        struct iom_dma *dma = (struct iom_dma *)(void *)msg;
        depart = occupy_dram(memory, dma->x.bytes, now);
        perform_dma(memory, dma, (dma->x.flags & IOM_REQ_WRITE) != 0, now);
    } else if (access->op == IOM_MEMORY_READ) {
        depart = occupy_dram(memory, access->bytes, now);
        read_access(memory, access, now);
    } else if (is_watch(msg)) {
        add_watch(memory, msg, index);
        return;
    } else {
        depart = occupy_dram(memory, access->bytes, now);
        perform(memory, msg, is_write(msg), now);
    }
    iom_port_send(port, msg, depart);
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_memory *memory = (struct iom_memory *)(void *)unit;
    retire_flights(memory, now);
    if (memory->channels.config.inputs != 0) {
        accept_through_channels(memory, now);
    } else if (memory->config.bytes_per_cycle != 0 && memory->llc == NULL) {
        accept_one(memory, now);
        if (memory->watch_count != 0)
            settle_watches(memory, now);
        return next_acceptance(memory, now);
    }
    accept_all(memory, now);
    // Rule 6: writes accepted in this cycle come before reads accepted in it.
    for (uint32_t i = 0; i < memory->accepted_count; i++) {
        if (is_write(memory->accepted[i].msg))
            perform(memory, memory->accepted[i].msg, true, now);
    }
    for (uint32_t i = 0; i < memory->accepted_count; i++) {
        if (!is_write(memory->accepted[i].msg))
            perform(memory, memory->accepted[i].msg, false, now);
    }
    for (uint32_t i = 0; i < memory->accepted_count; i++)
        iom_port_send(&memory->ports[memory->accepted[i].port], memory->accepted[i].msg,
                      memory->accepted[i].depart);
    memory->accepted_count = 0;
    if (memory->watch_count != 0)
        settle_watches(memory, now);
    return next_acceptance(memory, now);
}

IOM_UNIT_STATS(struct iom_memory, "memory", stat_infos)
IOM_UNIT_DESTROY(struct iom_memory, iom_memory_destroy)

static const struct iom_unit_ops memory_ops = {
    .kind = "memory",
    .advance = advance,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life -------------------------------------------------------------------------------------------

struct iom_memory *iom_memory_create(const struct iom_memory_config *config, struct iom_memory_image *image,
                                     const char *name)
{
    struct iom_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return NULL;
    memory->config = *config;
    memory->image = image;
    memory->width_shift =
        iom_is_power_of_two(config->bytes_per_cycle) ? (int)iom_log2_u64(config->bytes_per_cycle) : -1;
    iom_channels_init(&memory->channels, &config->channels);
    memory->turn = config->channels.inputs;
    memory->ports = calloc(config->inputs, sizeof *memory->ports);
    memory->flight = malloc((config->outstanding != 0 ? config->outstanding : 1) * sizeof *memory->flight);
    memory->accepted_capacity = 16;
    memory->accepted = malloc(memory->accepted_capacity * sizeof *memory->accepted);
    bool ok = memory->ports != NULL && memory->flight != NULL && memory->accepted != NULL;
    if (ok && config->llc.entries != 0) {
        memory->llc = iom_cache_create(&config->llc, config->seed, name);
        ok = memory->llc != NULL;
    }
    if (!ok) {
        iom_memory_destroy(memory);
        return NULL;
    }
    iom_unit_init(&memory->unit, &memory_ops, name, memory->ports, config->inputs);
    for (uint32_t i = 0; i < config->inputs; i++)
        iom_port_init(&memory->unit, i, "in", false);
    return memory;
}

void iom_memory_destroy(struct iom_memory *memory)
{
    if (memory == NULL)
        return;
    iom_cache_destroy(memory->llc);
    free(memory->ports);
    free(memory->flight);
    free(memory->accepted);
    free(memory->watches);
    free(memory);
}

struct iom_unit *iom_memory_unit(struct iom_memory *memory)
{
    return &memory->unit;
}

struct iom_port *iom_memory_input(struct iom_memory *memory, uint32_t index)
{
    return &memory->ports[index];
}

void iom_memory_set_observer(struct iom_memory *memory, const struct iom_memory_observer *observer)
{
    memory->observer = observer != NULL ? *observer : (struct iom_memory_observer){NULL, NULL};
}
