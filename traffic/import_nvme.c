// SPDX-License-Identifier: Apache-2.0
//
// What each translation of an NVMe controller was for, and which command it belongs to.
//
// The IOMMU lines of a QEMU log tell addresses, the NVMe lines tell commands; only their order ties
// them together. QEMU's controller (hw/nvme/ctrl.c) and the NVMe base specification (2.0) give it:
//
//   submission entry   64-byte read, the last translation before a command line
//   data               translations inside the buffers of pci_nvme_map_addr, after all of them; direction
//                      from bits 1:0 of the opcode (base specification, figure "Opcode": 01 host to
//                      controller, 10 controller to host)
//   PRP list           8 bytes for each page, read between the command line and its last buffer line
//   completion entry   16-byte write after the completion line: behind the doorbell accesses of its queue,
//                      at the queue's next slot, or (a new ring) right behind the line
//   shadow doorbells   (base specification, "Doorbell Buffer Config"): 4-byte write of the event index,
//                      then 4-byte read of the shadow doorbell at the same offset of the other page. The
//                      two pages are learned from such pairs at the offset of a completion queue (8n + 4),
//                      where neither entries nor lists can lie.
//
// What fits nothing stays unclassified and is counted.
#include <stdlib.h>
#include <string.h>

#include "traffic/import_internal.h"

enum {
    SUBMISSION_BYTES = 64,
    COMPLETION_BYTES = 16,
    DOORBELL_BYTES = 4,
    PRP_ENTRY_BYTES = 8,
    /// Translations waiting for the line that explains them; a completion batch of 64 makes 192.
    WAITING = 1024,
    OPEN_QUEUES = 64,
    /// A pair of pages must occur this often to be taken for the doorbell pages.
    ENOUGH_PAIRS = 2,
};

/// A completion queue: completions logged but not yet written to memory, oldest first.
struct completion_queue {
    uint64_t *op; ///< op ids, 0 for commands whose line is not in the log
    uint32_t head;
    uint32_t count;
    uint32_t room;
    uint64_t next; ///< address of the next slot, 0 = not known yet
    uint16_t id;
};

/// State of one controller.
struct controller {
    struct iom_import *import;
    uint32_t device;
    struct iom_table pairs;       ///< event index page -> shadow doorbell page | votes
    struct iom_table shadow;      ///< pages of shadow doorbells
    struct iom_table event_index; ///< pages of event indices
    struct iom_table outstanding; ///< queue << 16 | cid -> op id
    struct completion_queue queues[OPEN_QUEUES];
    unsigned queue_count;
    uint32_t waiting[WAITING];
    unsigned waiting_count;
    uint64_t last_op; ///< op of the command line seen last, 0 = none
    enum {
        AFTER_OTHER,
        AFTER_COMMAND,
        AFTER_DATA_LINE,
        AFTER_COMPLETION
    } after;                    ///< line before the current one
    uint64_t list_event;        ///< PRP list read whose length is being counted, + 1; 0 = none
    struct iom_ranges *buffers; ///< data buffers not yet translated: op = op id, flags = direction
    uint64_t buffer_bytes;      ///< of the last op
    bool failed;                ///< out of memory
};

static void classify(struct iom_host_event *event, enum iom_trace_dma_class dma_class, uint8_t access,
                     uint64_t bytes, uint64_t op)
{
    uint64_t room = IOM_PAGE_BYTES - event->iova % IOM_PAGE_BYTES;
    event->classified = true;
    event->dma_class = (uint8_t)dma_class;
    event->access = access;
    event->bytes = iom_min_u64(bytes, room);
    event->op = op;
}

static struct iom_import_op *op_of(const struct controller *c, uint64_t op)
{
    return op == 0 ? NULL : &c->import->ops[op - 1];
}

// ---------------------------------------------------------------------------------------------------
// Doorbell pages

static bool vote(struct controller *c, const struct iom_host_event *a, const struct iom_host_event *b)
{
    uint64_t first = a->iova >> IOM_PAGE_LOG2;
    uint64_t second = b->iova >> IOM_PAGE_LOG2;
    uint64_t key = first * UINT64_C(0x9e3779b97f4a7c15) ^ second;
    const uint64_t *votes = iom_table_get(&c->pairs, key);
    uint64_t sum = votes == NULL ? 1 : *votes + 1;
    if (iom_table_put(&c->pairs, key, sum) == NULL)
        return false;
    return sum != ENOUGH_PAIRS ||
           (iom_table_put(&c->event_index, first, 1) != NULL && iom_table_put(&c->shadow, second, 1) != NULL);
}

/// Looks for pairs of neighbouring translations at offset 8n + 4 of two pages.
static bool learn_doorbells(struct controller *c)
{
    const struct iom_host_event *before = NULL;
    for (uint32_t i = 0; i < c->import->host_count; i++) {
        const struct iom_host_event *event = &c->import->host[i];
        if (event->kind == IOM_HOST_INVALIDATE || event->kind == IOM_HOST_MAP)
            continue;
        bool mine = event->kind == IOM_HOST_TRANSLATE && event->device == c->device && !event->classified;
        if (mine && before != NULL && event->iova % 8 == 4 && !event->pages_only &&
            event->iova % IOM_PAGE_BYTES == before->iova % IOM_PAGE_BYTES && event->iova != before->iova &&
            !vote(c, before, event))
            return false;
        before = mine && !event->pages_only ? event : NULL;
    }
    return true;
}

/// Classifies an access to a doorbell page; false if it is none.
static bool take_doorbell(struct controller *c, struct iom_host_event *event)
{
    uint64_t page = event->iova >> IOM_PAGE_LOG2;
    if (event->iova % DOORBELL_BYTES != 0)
        return false;
    if (iom_table_get(&c->event_index, page) != NULL)
        classify(event, IOM_TRACE_DMA_RING, IOM_TRACE_WRITE, DOORBELL_BYTES, 0);
    else if (iom_table_get(&c->shadow, page) != NULL)
        classify(event, IOM_TRACE_DMA_RING, IOM_TRACE_READ, DOORBELL_BYTES, 0);
    else
        return false;
    return true;
}

// ---------------------------------------------------------------------------------------------------
// Completion queues

static struct completion_queue *queue_of(struct controller *c, uint16_t id)
{
    for (unsigned i = 0; i < c->queue_count; i++)
        if (c->queues[i].id == id)
            return &c->queues[i];
    if (c->queue_count == OPEN_QUEUES)
        return &c->queues[id %
                          OPEN_QUEUES]; // completions of shared slots may be attributed to the wrong queue
    struct completion_queue *queue = &c->queues[c->queue_count++];
    memset(queue, 0, sizeof *queue);
    queue->id = id;
    return queue;
}

static bool push_completion(struct completion_queue *queue, uint64_t op)
{
    if (queue->head != 0 && queue->head == queue->count) {
        queue->head = 0;
        queue->count = 0;
    }
    void *array = queue->op;
    if (!iom_grow(&array, queue->count, &queue->room, sizeof *queue->op))
        return false;
    queue->op = array;
    queue->op[queue->count++] = op;
    return true;
}

/// What shows that a translation is a completion entry, strongest first.
enum evidence {
    LED_BY_DOORBELLS, ///< the doorbell accesses of completion queue `queue` come right before it
    NEXT_SLOT,        ///< it continues a queue
    AFTER_LINE,       ///< it comes right after a completion line and begins a ring
    EVIDENCES,
};

static bool fits(const struct completion_queue *queue, uint64_t iova, enum evidence evidence, uint32_t led_by)
{
    if (queue->head == queue->count || iova % COMPLETION_BYTES != 0)
        return false;
    switch (evidence) {
    case LED_BY_DOORBELLS:
        return queue->id == led_by;
    case NEXT_SLOT:
        return queue->next != 0 && iova == queue->next;
    default:
        return queue->next == 0 || iova % IOM_PAGE_BYTES == 0;
    }
}

/// Classifies a completion entry; false if it is none. `led_by` is the queue whose doorbells come right
/// before it (IOM_NO_EVENT: none), `after_line` says that it directly follows a completion line.
static bool take_completion(struct controller *c, struct iom_host_event *event, uint32_t led_by,
                            bool after_line, uint64_t *op)
{
    unsigned first = led_by == IOM_NO_EVENT ? NEXT_SLOT : LED_BY_DOORBELLS;
    unsigned end = after_line ? EVIDENCES : AFTER_LINE;
    for (unsigned evidence = first; evidence < end; evidence++) {
        for (unsigned i = 0; i < c->queue_count; i++) {
            struct completion_queue *queue = &c->queues[i];
            if (!fits(queue, event->iova, (enum evidence)evidence, led_by))
                continue;
            queue->next = event->iova + COMPLETION_BYTES;
            *op = queue->op[queue->head++];
            classify(event, IOM_TRACE_DMA_COMPLETION, IOM_TRACE_WRITE, COMPLETION_BYTES, *op);
            return true;
        }
    }
    return false;
}

// ---------------------------------------------------------------------------------------------------
// Explaining the waiting translations

/// Completion queue a doorbell access is about: offset 8n + 4 is queue n, 8n a submission queue.
static uint32_t doorbell_queue(const struct iom_host_event *event)
{
    uint64_t offset = event->iova % IOM_PAGE_BYTES;
    return offset % 8 == 4 ? (uint32_t)(offset / 8) : IOM_NO_EVENT;
}

/// Classifies the waiting translations but for the last `keep`, in order. Doorbell accesses belong to
/// the entry they lead to: the next completion, or `op` if none follows.
static void explain(struct controller *c, unsigned keep, uint64_t op)
{
    unsigned count = c->waiting_count - keep;
    unsigned led = 0; // doorbell accesses since the last entry
    uint32_t led_by = IOM_NO_EVENT;
    for (unsigned i = 0; i < count; i++) {
        struct iom_host_event *event = &c->import->host[c->waiting[i]];
        uint64_t done = 0;
        if (take_doorbell(c, event)) {
            led++;
            led_by = doorbell_queue(event);
            continue;
        }
        if (take_completion(c, event, led_by, i == 0 && c->after == AFTER_COMPLETION, &done)) {
            for (unsigned k = 1; k <= led; k++)
                c->import->host[c->waiting[i - k]].op = done;
        }
        led = 0;
        led_by = IOM_NO_EVENT;
    }
    for (unsigned k = 1; k <= led; k++)
        c->import->host[c->waiting[count - k]].op = op;
    memmove(c->waiting, c->waiting + count, keep * sizeof c->waiting[0]);
    c->waiting_count = keep;
    if (count != 0 && c->after == AFTER_COMPLETION)
        c->after = AFTER_OTHER;
}

/// The op doorbell accesses after the last command belong to: that command while it is in flight.
static uint64_t trailing_op(const struct controller *c)
{
    const struct iom_import_op *op = op_of(c, c->last_op);
    return op != NULL && !op->completed ? c->last_op : 0;
}

static void on_command(struct controller *c, struct iom_host_event *event)
{
    void *array = c->import->ops;
    if (!iom_grow(&array, c->import->op_count, &c->import->op_room, sizeof *c->import->ops)) {
        c->failed = true;
        return;
    }
    c->import->ops = array;
    c->import->ops[c->import->op_count] = (struct iom_import_op){
        .device = c->device,
        .first_item = IOM_NO_EVENT,
        .queue = event->queue,
        .cid = event->cid,
        .opcode = event->opcode,
    };
    uint64_t op = ++c->import->op_count;
    event->op = op;
    event->device = c->device;
    c->failed |= iom_table_put(&c->outstanding, (uint64_t)event->queue << 16 | event->cid, op) == NULL;
    unsigned keep = c->waiting_count != 0 ? 1 : 0;
    explain(c, keep, op);
    if (keep != 0) {
        struct iom_host_event *fetch = &c->import->host[c->waiting[0]];
        if (fetch->iova % SUBMISSION_BYTES == 0)
            classify(fetch, IOM_TRACE_DMA_RING, IOM_TRACE_READ, SUBMISSION_BYTES, op);
        c->waiting_count = 0;
    }
    c->last_op = op;
    c->after = AFTER_COMMAND;
    c->list_event = 0;
}

/// Direction of a command's data: the opcode's low bits, or unknown.
static uint8_t data_access(const struct iom_import_op *op)
{
    unsigned transfer = op == NULL ? 0 : op->opcode & 3u;
    return transfer == 1 ? IOM_TRACE_READ : transfer == 2 ? IOM_TRACE_WRITE : 0;
}

static void on_data_line(struct controller *c, const struct iom_host_event *event)
{
    bool in_command = c->after == AFTER_COMMAND || c->after == AFTER_DATA_LINE;
    uint64_t op = in_command ? c->last_op : 0;
    // A translation right after the command or one of its buffers, before the next: the PRP list. With
    // no command line before it is the submission entry of an admin command.
    if (in_command && c->waiting_count == 1) {
        struct iom_host_event *list = &c->import->host[c->waiting[0]];
        classify(list, IOM_TRACE_DMA_RING, IOM_TRACE_READ, PRP_ENTRY_BYTES, op);
        c->list_event = c->waiting[0] + UINT64_C(1);
        c->waiting_count = 0;
    } else if (c->waiting_count != 0) {
        explain(c, 1, trailing_op(c));
        struct iom_host_event *fetch = &c->import->host[c->waiting[0]];
        if (fetch->iova % SUBMISSION_BYTES == 0)
            classify(fetch, IOM_TRACE_DMA_RING, IOM_TRACE_READ, SUBMISSION_BYTES, 0);
        c->waiting_count = 0;
        op = 0;
    } else if (c->list_event != 0) {
        struct iom_host_event *list = &c->import->host[c->list_event - 1];
        uint64_t room = IOM_PAGE_BYTES - list->iova % IOM_PAGE_BYTES;
        list->bytes = iom_min_u64(list->bytes + PRP_ENTRY_BYTES, room);
    }
    c->after = AFTER_DATA_LINE;
    if (op == 0)
        c->last_op = 0;
    if (event->bytes == 0)
        return;
    struct iom_range buffer = {.first = event->iova, .last = event->iova + (event->bytes - 1), .op = op};
    buffer.flags = data_access(op_of(c, op));
    c->failed |= !iom_ranges_remove(c->buffers, 0, buffer.first, buffer.last) ||
                 !iom_ranges_insert(c->buffers, &buffer);
    if (op != 0)
        c->import->ops[op - 1].bytes += event->bytes;
}

/// A translation inside a buffer that waits for one: data, up to the end of the page or the buffer.
static bool take_data(struct controller *c, struct iom_host_event *event)
{
    const struct iom_range *found = iom_ranges_next(c->buffers, 0, event->iova);
    if (found == NULL)
        return false;
    uint64_t page = iom_align_down(event->iova, IOM_PAGE_LOG2);
    bool inside = found->first <= event->iova;
    // A log that gives only pages: the buffer begins later in the page.
    if (!inside && !(event->pages_only && found->first - page < IOM_PAGE_BYTES))
        return false;
    uint64_t first = inside ? event->iova : found->first;
    uint64_t last = iom_min_u64(found->last, page + (IOM_PAGE_BYTES - 1));
    uint64_t op = found->op;
    uint8_t access = (uint8_t)found->flags;
    event->address += first - event->iova;
    event->iova = first;
    classify(event, IOM_TRACE_DMA_DATA, access, last - first + 1, op);
    c->failed |= !iom_ranges_remove(c->buffers, 0, first, last);
    return true;
}

static void on_translation(struct controller *c, uint32_t index)
{
    struct iom_host_event *event = &c->import->host[index];
    if (event->classified)
        return;
    if (take_data(c, event)) {
        explain(c, 0, trailing_op(c));
        c->after = AFTER_OTHER;
        c->list_event = 0;
        return;
    }
    if (c->waiting_count == WAITING)
        explain(c, WAITING / 2, 0);
    c->waiting[c->waiting_count++] = index;
}

static void on_completion(struct controller *c, struct iom_host_event *event)
{
    uint64_t key = (uint64_t)event->queue << 16 | event->cid;
    const uint64_t *found = iom_table_get(&c->outstanding, key);
    uint64_t op = found == NULL ? 0 : *found;
    unsigned count = c->waiting_count;
    uint32_t waited[WAITING];
    memcpy(waited, c->waiting, count * sizeof waited[0]);
    explain(c, 0, trailing_op(c));
    // An admin command without data has no line but this one: its entry is the last translation before
    // that nothing else explains.
    while (event->queue == 0 && op == 0 && count-- > 0) {
        struct iom_host_event *fetch = &c->import->host[waited[count]];
        if (fetch->classified || fetch->iova % SUBMISSION_BYTES != 0)
            continue;
        classify(fetch, IOM_TRACE_DMA_RING, IOM_TRACE_READ, SUBMISSION_BYTES, 0);
        break;
    }
    event->op = op;
    event->device = c->device;
    if (op != 0) {
        c->import->ops[op - 1].completed = true;
        c->failed |= iom_table_put(&c->outstanding, key, 0) == NULL;
    }
    c->failed |= !push_completion(queue_of(c, event->queue), op);
    c->after = AFTER_COMPLETION;
    c->list_event = 0;
}

// ---------------------------------------------------------------------------------------------------

static bool run_controller(struct controller *c)
{
    if (c->buffers == NULL || !learn_doorbells(c))
        return false;
    for (uint32_t i = 0; i < c->import->host_count && !c->failed; i++) {
        struct iom_host_event *event = &c->import->host[i];
        bool mine = event->device == c->device;
        switch (event->kind) {
        case IOM_HOST_TRANSLATE:
            if (mine)
                on_translation(c, i);
            break;
        case IOM_HOST_COMMAND:
            if (mine)
                on_command(c, event);
            break;
        case IOM_HOST_DATA:
            if (mine)
                on_data_line(c, event);
            break;
        case IOM_HOST_COMPLETE:
            if (mine)
                on_completion(c, event);
            break;
        default:
            break;
        }
    }
    explain(c, 0, trailing_op(c));
    return !c->failed;
}

/// NVMe lines name no controller. A command line follows the fetch of its entry at once, so it belongs
/// to the device translated last on its thread; buffers and completions go with the controller that was
/// last active, which is exact with one controller and a guess with several.
static void assign_lines(struct iom_import *import, uint32_t *controllers, unsigned most, unsigned *count)
{
    enum { THREADS = 16 };
    uint32_t last_device[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        last_device[i] = IOM_TRACE_NO_DEVICE;
    *count = 0;
    // First the controllers: devices a command line or, without any, a buffer line follows.
    for (unsigned kind = IOM_HOST_COMMAND; kind <= IOM_HOST_DATA && *count == 0; kind++) {
        for (uint32_t i = 0; i < import->host_count; i++) {
            const struct iom_host_event *event = &import->host[i];
            uint32_t *device = &last_device[event->thread % THREADS];
            if (event->kind == IOM_HOST_TRANSLATE)
                *device = event->device;
            if (event->kind != kind || *device == IOM_TRACE_NO_DEVICE)
                continue;
            unsigned k = 0;
            while (k < *count && controllers[k] != *device)
                k++;
            if (k == *count && *count < most)
                controllers[(*count)++] = *device;
        }
    }
    uint32_t active = *count != 0 ? controllers[0] : IOM_TRACE_NO_DEVICE;
    for (uint32_t i = 0; i < import->host_count; i++) {
        struct iom_host_event *event = &import->host[i];
        if (event->kind == IOM_HOST_TRANSLATE) {
            for (unsigned k = 0; k < *count; k++)
                active = controllers[k] == event->device ? event->device : active;
        } else if (event->kind >= IOM_HOST_COMMAND) {
            event->device = active;
        }
    }
}

bool iom_import_nvme(struct iom_import *import, struct iom_trace_error *error)
{
    enum { MOST_CONTROLLERS = 16 };
    uint32_t controllers[MOST_CONTROLLERS];
    unsigned count;
    bool good = true;
    assign_lines(import, controllers, MOST_CONTROLLERS, &count);
    for (unsigned i = 0; i < count && good; i++) {
        struct controller *c = calloc(1, sizeof *c);
        good = c != NULL;
        if (c == NULL)
            break;
        c->import = import;
        c->device = controllers[i];
        c->buffers = iom_ranges_new();
        good = run_controller(c);
        iom_ranges_free(c->buffers);
        iom_table_free(&c->pairs);
        iom_table_free(&c->shadow);
        iom_table_free(&c->event_index);
        iom_table_free(&c->outstanding);
        for (unsigned k = 0; k < c->queue_count; k++)
            free(c->queues[k].op);
        free(c);
    }
    return good || iom_trace_fail(error, "out of memory");
}
