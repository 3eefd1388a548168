// SPDX-License-Identifier: Apache-2.0
//
// Fault queue and page request queue: records as stores, errors, and the responses the hardware gives to page
// requests it cannot queue; base and control registers of all three queues ("In-memory queue interface",
// "PCIe ATS Page Request handling").
//
// A record is made when its fault or message arrives and is stored at the tail; the tail moves when memory
// has acknowledged the store.
#include <string.h>

#include "core/arch/riscv/riscv_state.h"

#define FAULT_BYTES 32u
#define PAGE_BYTES 16u
/// The command queue is described in 32-bit byte offsets: 2^27 commands.
#define LARGEST_COMMAND_QUEUE 26u

/// TTYP.
enum transaction_type {
    TYPE_NONE = 0,
    TYPE_UNTRANSLATED = 0, ///< + enum access_type
    TYPE_TRANSLATED = 4,
    TYPE_TRANSLATION_REQUEST = 8,
    TYPE_MESSAGE = 9,
};

enum access_type {
    ACCESS_EXEC = 1,
    ACCESS_READ = 2,
    ACCESS_WRITE = 3,
};

// Fields of the first doubleword of both records.
#define RECORD_PID_SHIFT 12u
#define RECORD_PV (UINT64_C(1) << 32)
#define RECORD_PRIV (UINT64_C(1) << 33)
#define FAULT_TTYP_SHIFT 34u
#define PAGE_EXEC (UINT64_C(1) << 34)
#define RECORD_DID_SHIFT 40u

// Payload of a page request group response.
#define RESPONSE_GROUP_SHIFT 32u
#define RESPONSE_CODE_SHIFT 44u
#define RESPONSE_DEVICE_SHIFT 48u

// ---- base and control registers --------------------------------------------------------------------------

// Error bits and others that software clears by writing 1.
static uint32_t clearable(enum riscv_queue_id id)
{
    if (id == RISCV_COMMANDS)
        return RISCV_COMMANDS_STOPPED | RISCV_QUEUE_FENCE_INTERRUPT;
    return RISCV_QUEUE_MEMORY_FAULT | RISCV_QUEUE_OVERFLOW;
}

// Writes are ignored while the queue is on. The index that software moves loses what is beyond the new size.
void riscv_write_queue_base(const struct iom_arch *arch, struct riscv_state *state, enum riscv_queue_id id,
                            uint64_t mask, uint64_t value)
{
    struct riscv_queue *queue = &state->queue[id];
    if (queue->control & (RISCV_QUEUE_ON | RISCV_QUEUE_BUSY))
        return;
    uint64_t merged = (queue->base & ~mask) | (value & mask);
    uint64_t size = merged & RISCV_QUEUE_SIZE;
    if (id == RISCV_COMMANDS)
        size = iom_min_u64(size, LARGEST_COMMAND_QUEUE);
    queue->base = (merged & riscv_ppn_mask(arch)) | size;
    *(id == RISCV_COMMANDS ? &queue->tail : &queue->head) &= riscv_queue_mask(queue);
}

static struct riscv_record *record_of(struct riscv_state *state, enum riscv_queue_id id)
{
    return id == RISCV_FAULTS ? &state->fault : &state->page;
}

static void switch_on(struct riscv_state *state, enum riscv_queue_id id)
{
    struct riscv_queue *queue = &state->queue[id];
    queue->control = (queue->control & ~clearable(id)) | RISCV_QUEUE_ON;
    *(id == RISCV_COMMANDS ? &queue->head : &queue->tail) = 0;
}

// A record on its way keeps its queue on and busy. What the command queue has fetched is no longer used.
static void switch_off(struct riscv_state *state, enum riscv_queue_id id)
{
    struct riscv_queue *queue = &state->queue[id];
    if (id != RISCV_COMMANDS && record_of(state, id)->pending)
        queue->control |= RISCV_QUEUE_BUSY;
    else
        queue->control &= ~(uint32_t)RISCV_QUEUE_ON;
}

static bool is_stopped(const struct riscv_queue *queue)
{
    return (queue->control & RISCV_COMMANDS_STOPPED) != 0;
}

// Writes are ignored while the queue is busy.
uint32_t riscv_write_queue_control(struct riscv_state *state, enum riscv_queue_id id, uint32_t value)
{
    const uint32_t writable = RISCV_QUEUE_ENABLE | RISCV_QUEUE_INTERRUPT_ENABLE;
    struct riscv_queue *queue = &state->queue[id];
    if (queue->control & RISCV_QUEUE_BUSY)
        return 0;
    bool switched = ((queue->control ^ value) & RISCV_QUEUE_ENABLE) != 0;
    bool stopped = is_stopped(queue);
    queue->control &= ~(value & clearable(id));
    queue->control = (queue->control & ~writable) | (value & writable);
    if (switched && (value & RISCV_QUEUE_ENABLE))
        switch_on(state, id);
    else if (switched)
        switch_off(state, id);
    riscv_settle_interrupts(state);
    // Commands go on after an error from the one at the head.
    bool resumed = stopped && !is_stopped(queue) && riscv_queue_is_on(queue);
    if (id != RISCV_COMMANDS || !(switched || resumed))
        return 0;
    state->generation++;
    return 1u << IOM_ACTION_DOORBELL;
}

// ---- stores ----------------------------------------------------------------------------------------------

static bool is_full(const struct riscv_queue *queue)
{
    return ((queue->tail + 1) & riscv_queue_mask(queue)) == queue->head;
}

static void set_error(struct riscv_state *state, enum riscv_queue_id id, uint32_t error)
{
    state->queue[id].control |= error;
    riscv_settle_interrupts(state);
}

// Makes a record; its doublewords are in the byte order of fctl.BE.
static void put(struct riscv_state *state, enum riscv_queue_id id, const uint64_t *words, unsigned bytes)
{
    const struct riscv_queue *queue = &state->queue[id];
    struct riscv_record *record = record_of(state, id);
    assert(!record->pending);
    *record = (struct riscv_record){.pending = true};
    record->store.address = riscv_queue_address(queue) + (uint64_t)queue->tail * bytes;
    record->store.bytes = (uint8_t)bytes;
    record->store.purpose = id == RISCV_FAULTS ? RISCV_STORE_FAULT : RISCV_STORE_PAGE;
    for (unsigned i = 0; i < bytes / 8; i++)
        record->store.data[i] = riscv_word(words[i], (state->fctl & IOM_RISCV_FCTL_BE) != 0);
}

static bool hand_out(struct riscv_record *record, struct iom_register_store *store)
{
    if (!record->pending || record->begun)
        return false;
    record->begun = true;
    *store = record->store;
    return true;
}

bool riscv_next_store(const struct iom_arch *arch, void *opaque, struct iom_register_store *store)
{
    (void)arch;
    struct riscv_state *state = opaque;
    return hand_out(&state->fault, store) || hand_out(&state->page, store) ||
           riscv_next_message(state, store);
}

// ---- fault queue -----------------------------------------------------------------------------------------

// "Fault/Event-Queue": nothing is recorded while the queue is off or in error, and an overflow is an error.
static bool put_fault(const struct iom_arch *arch, struct riscv_state *state, const uint64_t *words)
{
    bool quirk = riscv_config(arch)->quirk.fault_queue_full_32bit;
    const struct riscv_queue *queue = &state->queue[RISCV_FAULTS];
    if (!riscv_queue_is_on(queue) || (queue->control & (RISCV_QUEUE_MEMORY_FAULT | RISCV_QUEUE_OVERFLOW)))
        return false;
    if (quirk ? queue->tail == queue->head - 1 : is_full(queue)) {
        set_error(state, RISCV_FAULTS, RISCV_QUEUE_OVERFLOW);
        if (quirk) // a store that never ends
            *record_of(state, RISCV_FAULTS) = (struct riscv_record){.pending = true};
        return false;
    }
    put(state, RISCV_FAULTS, words, FAULT_BYTES);
    return true;
}

static unsigned transaction_type(const struct iom_fault *fault)
{
    if (fault->flags & IOM_REQ_PAGE)
        return TYPE_MESSAGE;
    if (fault->flags & IOM_REQ_TRANSLATE)
        return TYPE_TRANSLATION_REQUEST;
    unsigned access = ACCESS_READ;
    if (fault->flags & IOM_REQ_WRITE)
        access = ACCESS_WRITE;
    else if (fault->flags & IOM_REQ_EXEC)
        access = ACCESS_EXEC;
    return access + (fault->flags & IOM_REQ_TRANSLATED ? TYPE_TRANSLATED : TYPE_UNTRANSLATED);
}

// DID, PID, PV and PRIV, which both records have in the same place.
static uint64_t requester(uint32_t source, uint32_t pasid, uint16_t flags)
{
    uint64_t word = (uint64_t)(source & 0xffffff) << RECORD_DID_SHIFT;
    if (flags & IOM_REQ_PASID) {
        word |= (uint64_t)(pasid & 0xfffff) << RECORD_PID_SHIFT | RECORD_PV;
        if (flags & IOM_REQ_PRIV)
            word |= RECORD_PRIV;
    }
    return word;
}

static void record_message_fault(const struct iom_arch *arch, struct riscv_state *state, uint64_t address)
{
    const uint64_t words[4] = {IOM_RISCV_FAULT_MSI_WRITE | (uint64_t)TYPE_NONE << FAULT_TTYP_SHIFT, 0,
                               address, 0};
    (void)put_fault(arch, state, words);
}

// ---- page requests ---------------------------------------------------------------------------------------

// Only the last request of a group needs a response, and a stop marker (L alone) none.
static bool needs_response(uint16_t message)
{
    return (message & IOM_PAGE_REQUEST_LAST) != 0 &&
           (message & (IOM_PAGE_REQUEST_READ | IOM_PAGE_REQUEST_WRITE)) != 0;
}

// A failure is told with the PASID of the request, anything else only if the device wants it so (PRPR).
static void respond(struct riscv_state *state, const struct iom_page_request *request,
                    enum iom_page_response_code code)
{
    if (!needs_response(request->message))
        return;
    assert(state->responses < RISCV_RESPONSES);
    bool wanted =
        code == IOM_PAGE_RESPONSE_FAILURE || (request->message & IOM_PAGE_REQUEST_PASID_RESPONSE) != 0;
    struct iom_page_response *response = &state->response[state->responses++];
    *response = (struct iom_page_response){.stream = request->source, .has_segment = true};
    response->code = (uint8_t)code;
    response->group = (uint16_t)iom_bits(request->message, 11, IOM_PAGE_REQUEST_GROUP_SHIFT);
    response->has_pasid = wanted && (request->flags & IOM_REQ_PASID) != 0;
    response->pasid = response->has_pasid ? request->pasid : 0;
    response->payload = (uint64_t)(request->source & 0xffff) << RESPONSE_DEVICE_SHIFT |
                        (uint64_t)response->code << RESPONSE_CODE_SHIFT |
                        (uint64_t)response->group << RESPONSE_GROUP_SHIFT;
}

// The device context was not found, or it does not allow page requests.
static void respond_to_refused(struct riscv_state *state, const struct iom_fault *fault)
{
    const struct iom_page_request request = {.source = fault->source,
                                             .pasid = fault->pasid,
                                             .flags = fault->flags,
                                             .message = fault->page_request};
    respond(state, &request,
            fault->code == IOM_RISCV_FAULT_TYPE_DISALLOWED ? IOM_PAGE_RESPONSE_INVALID
                                                           : IOM_PAGE_RESPONSE_FAILURE);
}

bool riscv_record(const struct iom_arch *arch, void *opaque, const struct iom_fault *fault)
{
    struct riscv_state *state = opaque;
    bool message = (fault->flags & IOM_REQ_PAGE) != 0;
    if (message)
        respond_to_refused(state, fault);
    if (!fault->recorded)
        return false;
    const uint64_t words[4] = {requester(fault->source, fault->pasid, fault->flags) | (fault->code & 0xfffu) |
                                   (uint64_t)transaction_type(fault) << FAULT_TTYP_SHIFT,
                               0, message ? RISCV_PAGE_REQUEST_CODE : fault->address, fault->detail};
    return put_fault(arch, state, words);
}

bool riscv_page_request(const struct iom_arch *arch, void *opaque, const struct iom_page_request *request)
{
    (void)arch;
    struct riscv_state *state = opaque;
    const struct riscv_queue *queue = &state->queue[RISCV_PAGES];
    if (!riscv_queue_is_on(queue) || (queue->control & RISCV_QUEUE_MEMORY_FAULT)) {
        respond(state, request, IOM_PAGE_RESPONSE_FAILURE);
        return false;
    }
    if ((queue->control & RISCV_QUEUE_OVERFLOW) || is_full(queue)) {
        set_error(state, RISCV_PAGES, RISCV_QUEUE_OVERFLOW);
        respond(state, request, IOM_PAGE_RESPONSE_SUCCESS);
        return false;
    }
    uint64_t words[2] = {requester(request->source, request->pasid, request->flags),
                         iom_align_down(request->address, IOM_PAGE_LOG2) | (request->message & 0xfffu)};
    if ((request->flags & IOM_REQ_PASID) && (request->flags & IOM_REQ_EXEC))
        words[0] |= PAGE_EXEC;
    put(state, RISCV_PAGES, words, PAGE_BYTES);
    state->page_request = *request;
    return true;
}

bool riscv_next_response(const struct iom_arch *arch, void *opaque, struct iom_page_response *response)
{
    (void)arch;
    struct riscv_state *state = opaque;
    if (state->responses == 0)
        return false;
    *response = state->response[0];
    memmove(state->response, state->response + 1, --state->responses * sizeof *state->response);
    return true;
}

// ---- acknowledgements ------------------------------------------------------------------------------------

static void record_done(struct riscv_state *state, enum riscv_queue_id id, bool stored)
{
    struct riscv_queue *queue = &state->queue[id];
    *record_of(state, id) = (struct riscv_record){0};
    if (!stored) {
        set_error(state, id, RISCV_QUEUE_MEMORY_FAULT);
    } else {
        queue->tail = (queue->tail + 1) & riscv_queue_mask(queue);
        if (queue->control & RISCV_QUEUE_INTERRUPT_ENABLE)
            riscv_raise(state, id == RISCV_FAULTS ? RISCV_SOURCE_FAULTS : RISCV_SOURCE_PAGES);
    }
    if (queue->control & RISCV_QUEUE_BUSY) // it was to be switched off meanwhile
        queue->control &= ~(uint32_t)(RISCV_QUEUE_ON | RISCV_QUEUE_BUSY);
}

uint32_t riscv_store_done(const struct iom_arch *arch, void *opaque, const struct iom_register_store *store,
                          enum iom_access access)
{
    struct riscv_state *state = opaque;
    bool stored = access == IOM_ACCESS_OK;
    switch ((enum riscv_store_purpose)store->purpose) {
    case RISCV_STORE_FAULT:
        record_done(state, RISCV_FAULTS, stored);
        break;
    case RISCV_STORE_PAGE:
        record_done(state, RISCV_PAGES, stored);
        if (!stored)
            respond(state, &state->page_request, IOM_PAGE_RESPONSE_FAILURE);
        break;
    case RISCV_STORE_MESSAGE:
        if (!stored)
            record_message_fault(arch, state, store->address);
        break;
    }
    return 0;
}
