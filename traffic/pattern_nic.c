// SPDX-License-Identifier: Apache-2.0
//
// A network interface: descriptor rings in both directions. See generator.h.
//
//   receive    payload written to the buffer of the next descriptor, descriptor written back
//   transmit   payload read from the buffer of the next descriptor, descriptor written back
//
// Descriptors are 16 bytes and are fetched in batches: when a ring has none left, and ahead of need when
// beginning a frame leaves no more than a batch. A frame begins when its ring has a descriptor and
// fewer than queue_depth frames in progress. Frames come in a fixed order (direction drawn by share, rings of
// a direction in turn); one that cannot begin yet holds up those behind it, as on a wire.
// The descriptors of a failed fetch are skipped; frames wait for the next batch.
// Window: rings of all receive queues, of all transmit queues, then their buffers in the same order;
// a direction without traffic has neither.
// Source: Intel 82599 datasheet, sections 7.1.5 to 7.1.7 and 7.2.3 (descriptors, fetch, write-back).
#include <stdlib.h>

#include "traffic/generator_internal.h"
#include "traffic/generator_steps.h"

#define DESCRIPTOR_BYTES 16u
#define DEFAULT_BATCH 4u
#define DEFAULT_FRAMES 32u

// Counters are free-running: fetched >= used >= retired; fetched - used are ready, fetched - retired are held
// by the device. Frames may end out of order, descriptors are retired in order.
struct ring {
    uint64_t descriptors; // iova of descriptor 0
    uint64_t buffers;     // iova of buffer 0
    uint64_t fetched;     // descriptors fetched
    uint64_t used;        // descriptors given to frames
    uint64_t retired;     // descriptors whose frames, and all before them, are over
    uint32_t fetching;    // descriptors on their way, 0 = no fetch in flight
    bool transmit;
    bool *over; // per descriptor used: its frame is over
};

struct nic {
    struct iom_generator base; // first member: the generator is the interface
    struct iom_generator_config config;
    struct iom_rng rng;
    struct iom_chance transmits;
    struct ring *rings; // receive queues first
    uint32_t ring_count, frames_per_ring, batch;
    uint32_t queues;             // per direction
    uint32_t turn[2];            // next queue of each direction
    int64_t waiting_ring;        // ring of the frame that is next, -1 = not drawn yet
    struct iom_steps steps;      // frames of all rings, then one fetch per ring
    struct iom_step_queue *free; // per ring: free frame slots
    uint64_t *frame_place;       // per frame slot: its descriptor
    uint32_t fetch_base;         // first operation that is a fetch
};

static uint32_t queues_of(const struct iom_generator_config *config)
{
    return config->queues != 0 ? config->queues : 1;
}

static uint32_t directions_of(const struct iom_generator_config *config)
{
    return config->read_ppm == 0 || config->read_ppm == IOM_PPM ? 1 : 2;
}

static uint64_t ring_stride(const struct iom_generator_config *config)
{
    return iom_align_up((uint64_t)config->ring_entries * DESCRIPTOR_BYTES, IOM_PAGE_BYTES);
}

static uint64_t buffers_stride(const struct iom_generator_config *config)
{
    return iom_align_up((uint64_t)config->ring_entries * config->buffer_bytes, IOM_PAGE_BYTES);
}

uint64_t iom_generator_nic_window(const struct iom_generator_config *config)
{
    uint64_t rings = (uint64_t)queues_of(config) * directions_of(config);
    return rings * (ring_stride(config) + buffers_stride(config));
}

// ---- descriptors -------------------------------------------------------------------------------------

// Descriptors the next fetch can bring: a batch, but not over the end of the ring or of a page, and only
// places that are not held any more.
static uint32_t fetchable(const struct nic *nic, const struct ring *ring)
{
    uint64_t entries = nic->config.ring_entries;
    uint64_t place = ring->fetched % entries;
    uint64_t held = ring->fetched - ring->retired;
    uint64_t page = IOM_PAGE_BYTES / DESCRIPTOR_BYTES;
    uint64_t count = iom_min_u64(nic->batch, entries - place);
    count = iom_min_u64(count, page - place % page);
    return held < entries ? (uint32_t)iom_min_u64(count, entries - held) : 0;
}

static void begin_fetch(struct nic *nic, uint32_t index, iom_cycle now)
{
    struct ring *ring = &nic->rings[index];
    uint32_t count = ring->fetching == 0 ? fetchable(nic, ring) : 0;
    if (count == 0)
        return;
    ring->fetching = count;
    uint32_t slot = nic->fetch_base + index;
    struct iom_step_operation *operation = iom_steps_prepare(&nic->steps, slot, false);
    uint64_t place = ring->fetched % nic->config.ring_entries;
    iom_steps_add(operation, &(struct iom_step){.iova = ring->descriptors + place * DESCRIPTOR_BYTES,
                                                .bytes = (uint64_t)count * DESCRIPTOR_BYTES,
                                                .klass = IOM_TRAFFIC_RING});
    iom_steps_begin(&nic->steps, slot, now);
}

// ---- frames ------------------------------------------------------------------------------------------

static uint32_t draw_ring(struct nic *nic)
{
    bool transmit = iom_chance_draw(&nic->transmits, &nic->rng);
    uint32_t queue = nic->turn[transmit];
    nic->turn[transmit] = queue + 1 == nic->queues ? 0 : queue + 1;
    bool both = nic->ring_count == 2 * nic->queues;
    return queue + (transmit && both ? nic->queues : 0);
}

static void begin_frame(struct nic *nic, uint32_t index, iom_cycle now)
{
    struct ring *ring = &nic->rings[index];
    uint32_t slot = iom_step_queue_pop(&nic->free[index]);
    uint64_t place = ring->used++ % nic->config.ring_entries;
    nic->frame_place[slot] = place;
    struct iom_step_operation *operation = iom_steps_prepare(&nic->steps, slot, true);
    iom_steps_add(operation, &(struct iom_step){.iova = ring->buffers + place * nic->config.buffer_bytes,
                                                .bytes = nic->config.frame_bytes,
                                                .klass = IOM_TRAFFIC_DATA,
                                                .write = !ring->transmit});
    iom_steps_add(operation, &(struct iom_step){.iova = ring->descriptors + place * DESCRIPTOR_BYTES,
                                                .bytes = DESCRIPTOR_BYTES,
                                                .klass = IOM_TRAFFIC_COMPLETION,
                                                .write = true,
                                                .wait = ring->transmit || !nic->config.posted_completion,
                                                .delay = true});
    iom_steps_begin(&nic->steps, slot, now);
    if (ring->fetched - ring->used <= nic->batch)
        begin_fetch(nic, index, now);
}

static bool next(struct iom_generator *generator, iom_cycle now, bool start, struct iom_traffic_request *out)
{
    struct nic *nic = (struct nic *)(void *)generator;
    if (iom_steps_next(&nic->steps, now, out))
        return true;
    if (!start)
        return false;
    if (nic->waiting_ring < 0)
        nic->waiting_ring = draw_ring(nic);
    uint32_t index = (uint32_t)nic->waiting_ring;
    const struct ring *ring = &nic->rings[index];
    if (ring->fetched == ring->used) {
        begin_fetch(nic, index, now);
    } else if (nic->free[index].count != 0) {
        begin_frame(nic, index, now);
        nic->waiting_ring = -1;
    }
    return iom_steps_next(&nic->steps, now, out);
}

static void retire(const struct nic *nic, struct ring *ring)
{
    while (ring->retired != ring->used && ring->over[ring->retired % nic->config.ring_entries])
        ring->over[ring->retired++ % nic->config.ring_entries] = false;
}

static void end_fetch(const struct nic *nic, struct ring *ring, bool failed)
{
    ring->fetched += ring->fetching;
    ring->fetching = 0;
    // Nothing is known of descriptors that could not be read: they count as used by frames that are over.
    for (; failed && ring->used != ring->fetched; ring->used++)
        ring->over[ring->used % nic->config.ring_entries] = true;
    retire(nic, ring);
}

static enum iom_generator_progress completed(struct iom_generator *generator, iom_cycle now, uint64_t token,
                                             bool failed, struct iom_generator_end *end)
{
    struct nic *nic = (struct nic *)(void *)generator;
    uint32_t slot = (uint32_t)token;
    enum iom_generator_progress progress = iom_steps_completed(&nic->steps, now, slot, failed, end);
    if (progress == IOM_GENERATOR_GOING_ON)
        return progress;
    if (slot >= nic->fetch_base) {
        end_fetch(nic, &nic->rings[slot - nic->fetch_base], progress == IOM_GENERATOR_ABORTED);
        return IOM_GENERATOR_GOING_ON;
    }
    uint32_t index = slot / nic->frames_per_ring;
    nic->rings[index].over[nic->frame_place[slot]] = true;
    retire(nic, &nic->rings[index]);
    iom_step_queue_push(&nic->free[index], slot);
    return progress;
}

static iom_cycle due(const struct iom_generator *generator)
{
    return iom_steps_due(&((const struct nic *)(const void *)generator)->steps);
}

// Ranges: all rings (read and written back), receive buffers, transmit buffers.
static bool range(const struct iom_generator *generator, uint32_t index, struct iom_traffic_range *out)
{
    const struct nic *nic = (const struct nic *)(const void *)generator;
    const struct iom_generator_config *config = &nic->config;
    bool receives = config->read_ppm != IOM_PPM;
    uint64_t rings = nic->ring_count * ring_stride(config), buffers = nic->queues * buffers_stride(config);
    if (index > directions_of(config))
        return false;
    *out = (struct iom_traffic_range){
        .iova = config->base_iova,
        .bytes = rings,
        .source = config->source,
        .pasid = config->pasid,
        .has_pasid = (config->flags & IOM_REQ_PASID) != 0,
        .permissions = IOM_PERM_READ | IOM_PERM_WRITE,
        .page_log2 = config->page_log2,
    };
    if (index != 0) {
        out->iova += rings + (index - 1) * buffers;
        out->bytes = buffers;
        out->permissions = index == 1 && receives ? IOM_PERM_WRITE : IOM_PERM_READ;
    }
    return true;
}

static void destroy(struct iom_generator *generator)
{
    struct nic *nic = (struct nic *)(void *)generator;
    for (uint32_t i = 0; nic->free != NULL && i < nic->ring_count; i++)
        free(nic->free[i].index);
    for (uint32_t i = 0; nic->rings != NULL && i < nic->ring_count; i++)
        free(nic->rings[i].over);
    iom_steps_free(&nic->steps);
    free(nic->frame_place);
    free(nic->free);
    free(nic->rings);
    free(nic);
}

static const struct iom_generator_ops nic_ops = {
    .next = next,
    .completed = completed,
    .due = due,
    .range = range,
    .destroy = destroy,
};

static bool allocate(struct nic *nic)
{
    nic->fetch_base = nic->ring_count * nic->frames_per_ring;
    nic->rings = calloc(nic->ring_count, sizeof *nic->rings);
    nic->free = calloc(nic->ring_count, sizeof *nic->free);
    nic->frame_place = calloc(nic->fetch_base, sizeof *nic->frame_place);
    bool ok = iom_steps_init(&nic->steps, &nic->config, nic->fetch_base + nic->ring_count);
    if (!ok || nic->rings == NULL || nic->free == NULL || nic->frame_place == NULL)
        return false;
    for (uint32_t index = 0; index < nic->ring_count; index++) {
        nic->rings[index].over = calloc(nic->config.ring_entries, sizeof *nic->rings[index].over);
        if (nic->rings[index].over == NULL || !iom_step_queue_init(&nic->free[index], nic->frames_per_ring))
            return false;
        for (uint32_t i = 0; i < nic->frames_per_ring; i++)
            iom_step_queue_push(&nic->free[index], index * nic->frames_per_ring + i);
    }
    return true;
}

static void place_rings(struct nic *nic)
{
    const struct iom_generator_config *config = &nic->config;
    uint64_t buffers = config->base_iova + nic->ring_count * ring_stride(config);
    for (uint32_t index = 0; index < nic->ring_count; index++) {
        struct ring *ring = &nic->rings[index];
        ring->descriptors = config->base_iova + index * ring_stride(config);
        ring->buffers = buffers + index * buffers_stride(config);
        ring->transmit = config->read_ppm == IOM_PPM || index >= nic->queues;
    }
}

struct iom_generator *iom_generator_create_nic(const struct iom_generator_config *config, uint64_t seed,
                                               const char *path)
{
    struct nic *nic = calloc(1, sizeof *nic);
    if (nic == NULL)
        return NULL;
    nic->base.ops = &nic_ops;
    nic->config = *config;
    nic->transmits = iom_chance_of(config->read_ppm);
    nic->queues = queues_of(config);
    nic->ring_count = nic->queues * directions_of(config);
    nic->frames_per_ring = config->queue_depth != 0 ? config->queue_depth : DEFAULT_FRAMES;
    nic->batch = config->descriptor_batch != 0 ? config->descriptor_batch : DEFAULT_BATCH;
    nic->waiting_ring = -1;
    iom_rng_seed(&nic->rng, seed, path);
    if (!allocate(nic)) {
        destroy(&nic->base);
        return NULL;
    }
    place_rings(nic);
    return &nic->base;
}
