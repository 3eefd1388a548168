// SPDX-License-Identifier: Apache-2.0
//
// Flush policies: blocks, the commands of a domain, queues of unmapped ranges. See flush_queue.h.
#include "traffic/flush_queue.h"

#include <stdlib.h>
#include <string.h>

#define ALL_PAGES_LOG2 52u

// ---- ranges ------------------------------------------------------------------------------------------

struct iom_flush_block iom_flush_block_of(uint64_t iova, uint64_t bytes)
{
    if (bytes == 0)
        bytes = 1;
    uint64_t first = iova >> IOM_PAGE_LOG2;
    uint64_t last = (bytes - 1 > UINT64_MAX - iova ? UINT64_MAX : iova + (bytes - 1)) >> IOM_PAGE_LOG2;
    // The block must hold both ends: all bits in which they differ are within it.
    unsigned pages_log2 = first == last ? 0 : iom_log2_u64(first ^ last) + 1;
    return (struct iom_flush_block){.iova = iom_align_down(iova, IOM_PAGE_LOG2 + pages_log2),
                                    .pages_log2 = (uint8_t)pages_log2};
}

// ---- commands of a domain ----------------------------------------------------------------------------

enum phase { PHASE_FIRST, PHASE_SECOND, PHASE_OVER };

static bool belongs(const struct iom_flush_request *request, const struct iom_flush_attachment *attachment)
{
    return attachment->used && attachment->domain == request->domain;
}

static uint32_t space_of(const struct iom_flush_request *request,
                         const struct iom_flush_attachment *attachment)
{
    return attachment->pasid == IOM_NO_PASID ? request->default_pasid : attachment->pasid;
}

// One command per tag: the first attachment with a tag stands for it.
static bool iotlb_tag_is_new(const struct iom_flush_request *request, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        const struct iom_flush_attachment *earlier = &request->attachments[i];
        if (!belongs(request, earlier))
            continue;
        if (!request->first_stage ||
            space_of(request, earlier) == space_of(request, &request->attachments[index]))
            return false;
    }
    return true;
}

static bool device_is_new(const struct iom_flush_request *request, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        const struct iom_flush_attachment *earlier = &request->attachments[i];
        if (belongs(request, earlier) && earlier->ats &&
            earlier->source == request->attachments[index].source)
            return false;
    }
    return true;
}

// Commands by page that a range takes: one for its block, or one for each largest block it touches. 0: it is
// flushed with the domain.
static uint32_t page_commands(const struct iom_flush_request *request, struct iom_flush_block *block)
{
    unsigned largest_log2 = IOM_PAGE_LOG2 + request->largest_pages_log2;
    if (request->everything || !request->page_selective)
        return 0;
    if (block->pages_log2 <= request->largest_pages_log2)
        return 1;
    uint64_t first = request->iova >> largest_log2;
    uint64_t last = (request->iova + (request->bytes - 1)) >> largest_log2;
    *block = (struct iom_flush_block){first << largest_log2, request->largest_pages_log2};
    return last - first < request->page_commands ? (uint32_t)(last - first) + 1 : 0;
}

static bool next_iotlb(const struct iom_flush_request *request, struct iom_flush_cursor *cursor,
                       struct iom_flush *flush)
{
    struct iom_flush_block block = iom_flush_block_of(request->iova, request->bytes);
    uint32_t pages = page_commands(request, &block);
    while (cursor->index < request->attachment_count) {
        uint32_t index = cursor->index;
        const struct iom_flush_attachment *attachment = &request->attachments[index];
        bool wanted = belongs(request, attachment) && iotlb_tag_is_new(request, index);
        uint32_t done = cursor->block++;
        if (!wanted || done + 1 >= pages) { // the last of this tag
            cursor->index++;
            cursor->block = 0;
        }
        if (!wanted)
            continue;
        *flush = (struct iom_flush){.domain = request->domain,
                                    .source = attachment->source,
                                    .pasid = space_of(request, attachment),
                                    .leaf_only = request->leaf_only && !request->everything};
        if (request->first_stage)
            flush->kind = pages != 0 ? IOM_FLUSH_SPACE_PAGES : IOM_FLUSH_SPACE_ALL;
        else
            flush->kind = pages != 0 ? IOM_FLUSH_IOTLB_PAGES : IOM_FLUSH_IOTLB_DOMAIN;
        if (pages != 0) {
            flush->iova = block.iova + ((uint64_t)done << (IOM_PAGE_LOG2 + block.pages_log2));
            flush->pages_log2 = block.pages_log2;
        } else {
            flush->leaf_only = false;
        }
        return true;
    }
    return false;
}

static void device_command(const struct iom_flush_request *request,
                           const struct iom_flush_attachment *attachment, struct iom_flush *flush)
{
    struct iom_flush_block block = iom_flush_block_of(request->iova, request->bytes);
    bool own_pasid = request->devices == IOM_FLUSH_PER_ATTACHMENT && attachment->pasid != IOM_NO_PASID;
    bool whole_device = request->devices != IOM_FLUSH_PER_ATTACHMENT;
    *flush = (struct iom_flush){.domain = request->domain,
                                .source = attachment->source,
                                .pasid = attachment->pasid,
                                .queue_depth = attachment->queue_depth};
    if (whole_device || (request->everything && !own_pasid)) {
        flush->kind = IOM_FLUSH_DEVICE_ALL;
    } else if (request->everything) {
        flush->kind = IOM_FLUSH_DEVICE_SPACE;
    } else {
        flush->kind = own_pasid ? IOM_FLUSH_DEVICE_SPACE_PAGES : IOM_FLUSH_DEVICE_PAGES;
        flush->iova = block.iova;
        flush->pages_log2 = block.pages_log2;
    }
}

static bool next_device(const struct iom_flush_request *request, struct iom_flush_cursor *cursor,
                        struct iom_flush *flush)
{
    while (cursor->index < request->attachment_count) {
        uint32_t index = cursor->index++;
        const struct iom_flush_attachment *attachment = &request->attachments[index];
        if (!belongs(request, attachment) || !attachment->ats)
            continue;
        if (request->devices == IOM_FLUSH_DEDUPLICATED && !device_is_new(request, index))
            continue;
        if (request->devices == IOM_FLUSH_SKIP_REPEATED && cursor->has_last &&
            cursor->last_source == attachment->source)
            continue;
        cursor->has_last = true;
        cursor->last_source = attachment->source;
        device_command(request, attachment, flush);
        return true;
    }
    return false;
}

bool iom_flush_next(const struct iom_flush_request *request, struct iom_flush_cursor *cursor,
                    struct iom_flush *flush)
{
    for (; cursor->phase != PHASE_OVER; cursor->phase++, cursor->index = 0) {
        bool device = (cursor->phase == PHASE_FIRST) == request->device_first;
        if (device ? request->no_device : request->no_iotlb)
            continue;
        if (device ? next_device(request, cursor, flush) : next_iotlb(request, cursor, flush))
            return true;
    }
    return false;
}

// ---- queues ------------------------------------------------------------------------------------------

// A ring as in Linux: one entry stays unused, so that head == tail is empty.
struct ring {
    uint32_t head, tail;
    struct iom_flush_entry *entry;
};

struct iom_flush_queue {
    uint32_t rings, mask;
    uint64_t begun, ended; // flushes of the domain
    uint64_t held;
    bool timer, timed;
    struct iom_flush_entry *entries;
    struct ring ring[];
};

static uint32_t ring_of(const struct iom_flush_queue *queue, uint32_t cpu)
{
    return queue->rings == 1 ? 0 : cpu;
}

bool iom_flush_queue_release(struct iom_flush_queue *queue, uint32_t cpu, struct iom_flush_entry *entry)
{
    struct ring *ring = &queue->ring[ring_of(queue, cpu)];
    if (ring->head == ring->tail || ring->entry[ring->head].sequence >= queue->ended)
        return false;
    *entry = ring->entry[ring->head];
    ring->head = (ring->head + 1) & queue->mask;
    queue->held--;
    return true;
}

bool iom_flush_queue_full(const struct iom_flush_queue *queue, uint32_t cpu)
{
    const struct ring *ring = &queue->ring[ring_of(queue, cpu)];
    return ((ring->tail + 1) & queue->mask) == ring->head;
}

bool iom_flush_queue_add(struct iom_flush_queue *queue, uint32_t cpu, const struct iom_flush_entry *entry)
{
    struct ring *ring = &queue->ring[ring_of(queue, cpu)];
    assert(!iom_flush_queue_full(queue, cpu));
    ring->entry[ring->tail] = *entry;
    ring->entry[ring->tail].sequence = queue->begun;
    ring->tail = (ring->tail + 1) & queue->mask;
    queue->held++;
    bool set = queue->timed && !queue->timer;
    queue->timer = queue->timer || set;
    return set;
}

void iom_flush_queue_timer(struct iom_flush_queue *queue)
{
    queue->timer = false;
}

void iom_flush_queue_begin(struct iom_flush_queue *queue)
{
    queue->begun++;
}

uint64_t iom_flush_queue_end(struct iom_flush_queue *queue)
{
    assert(queue->ended < queue->begun);
    return queue->ended++;
}

bool iom_flush_queue_covered(const struct iom_flush_queue *queue, uint64_t flush, uint64_t cursor[2],
                             const struct iom_flush_entry **entry)
{
    // cursor: ring, entries of it already seen.
    for (; cursor[0] < queue->rings; cursor[0]++, cursor[1] = 0) {
        const struct ring *ring = &queue->ring[cursor[0]];
        for (;;) {
            uint32_t index = (ring->head + (uint32_t)cursor[1]) & queue->mask;
            if (index == ring->tail || ring->entry[index].sequence > flush)
                break; // later ones were added later
            cursor[1]++;
            if (ring->entry[index].sequence == flush) {
                *entry = &ring->entry[index];
                return true;
            }
        }
    }
    return false;
}

uint64_t iom_flush_queue_held(const struct iom_flush_queue *queue)
{
    return queue->held;
}

uint32_t iom_flush_queue_count(const struct iom_flush_queue *queue)
{
    return queue->rings;
}

struct iom_flush_queue *iom_flush_queue_create(const struct iom_flush_policy *policy, uint32_t cpus)
{
    bool single = policy->mode == IOM_FLUSH_LAZY_SINGLE;
    uint32_t entries = policy->entries != 0 ? policy->entries : single ? 32768 : 256;
    uint32_t rings = single || cpus == 0 ? 1 : cpus;
    if (!iom_is_power_of_two(entries) || entries < 2)
        return NULL;
    struct iom_flush_queue *queue = calloc(1, sizeof *queue + rings * sizeof queue->ring[0]);
    if (queue == NULL)
        return NULL;
    queue->entries = calloc((size_t)rings * entries, sizeof *queue->entries);
    if (queue->entries == NULL) {
        free(queue);
        return NULL;
    }
    queue->rings = rings;
    queue->mask = entries - 1;
    queue->timed = policy->timeout_cycles != 0;
    for (uint32_t i = 0; i < rings; i++)
        queue->ring[i].entry = &queue->entries[(size_t)i * entries];
    return queue;
}

void iom_flush_queue_destroy(struct iom_flush_queue *queue)
{
    if (queue == NULL)
        return;
    free(queue->entries);
    free(queue);
}
