// SPDX-License-Identifier: Apache-2.0
//
// Base-protocol target in front of one of our responder ports. See foreign_initiator.h.
#include "models/systemc/foreign_initiator.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "models/systemc/port_ends.h"

namespace iommu_sim
{

namespace
{

// The stand-in is never evaluated: it only gives our port a peer.
const iom_unit_ops stand_in_ops = {};

} // namespace

void ForeignInitiator::Queue::push(Transaction &transaction)
{
    transaction.next = nullptr;
    (head == nullptr ? head : tail->next) = &transaction;
    tail = &transaction;
}

ForeignInitiator::Transaction *ForeignInitiator::Queue::pop()
{
    Transaction *transaction = head;
    head = transaction->next;
    return transaction;
}

ForeignInitiator::ForeignInitiator(ResponderEnd &end, tlm::tlm_bw_transport_if<> &backward,
                                   const ModuleTime &time)
    : end_(end), port_(end.port), backward_(backward), time_(time), slots_(end.link.depth, 0),
      free_slots_(end.link.depth)
{
    static const iom_transport responses = {deliver, credit};
    iom_unit_init(&stand_in_, &stand_in_ops, "foreign initiator", &stand_in_port_, 1);
    iom_port_init(&stand_in_, 0, "socket", true);
    iom_link_config link = end.link;
    // Nothing of ours happens twice at one instant (no delta cycles).
    link.response_latency = std::max<iom_cycle>(link.response_latency, 1);
    if (!iom_port_bind(&stand_in_port_, &port_, &link))
        throw std::bad_alloc();
    port_.transport = &responses;
    port_.transport_context = this;
    iom_pool_init(&dma_pool_, IOM_MSG_DMA, sizeof(iom_dma));
    iom_pool_init(&mmio_pool_, IOM_MSG_MMIO, sizeof(iom_mmio));
}

ForeignInitiator::~ForeignInitiator()
{
    forget_messages(port_);
    iom_port_unbind(&stand_in_port_);
    iom_port_unbind(&port_);
    port_.transport = nullptr;
    iom_pool_free(&dma_pool_);
    iom_pool_free(&mmio_pool_);
}

// ---- transactions ----------------------------------------------------------------------------------

tlm::tlm_response_status ForeignInitiator::check(const tlm::tlm_generic_payload &payload) const
{
    if (end_.access == ForeignAccess::refused)
        return tlm::TLM_GENERIC_ERROR_RESPONSE;
    if (payload.get_byte_enable_ptr() != nullptr)
        return tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE;
    uint64_t bytes = payload.get_data_length();
    if (bytes == 0 || payload.get_streaming_width() < bytes)
        return tlm::TLM_BURST_ERROR_RESPONSE;
    if (payload.get_address() + (bytes - 1) < payload.get_address())
        return tlm::TLM_ADDRESS_ERROR_RESPONSE;
    const auto *extension = payload.get_extension<IommuExtension>();
    bool asks = extension != nullptr && extension->address_type == AddressType::translation_request;
    if (payload.get_command() == tlm::TLM_IGNORE_COMMAND &&
        !(asks && end_.access == ForeignAccess::translate))
        return tlm::TLM_COMMAND_ERROR_RESPONSE;
    if (end_.access != ForeignAccess::registers)
        return tlm::TLM_OK_RESPONSE;
    if ((bytes != 4 && bytes != 8) || payload.get_address() % bytes != 0 || payload.get_data_ptr() == nullptr)
        return tlm::TLM_BURST_ERROR_RESPONSE;
    return payload.get_address() <= UINT32_MAX ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE;
}

ForeignInitiator::Transaction &ForeignInitiator::take(tlm::tlm_generic_payload &payload,
                                                      const sc_core::sc_time &delay)
{
    if (unused_ == nullptr) {
        made_.push_back(std::make_unique<Transaction>());
        made_.back()->index = made_.size() - 1;
        unused_ = made_.back().get();
    }
    Transaction &transaction = *unused_;
    unused_ = transaction.next;
    transaction.payload = &payload;
    transaction.earliest = iom_max_u64(time_.now() + 1, time_.first_cycle(delay));
    transaction.accepted = 0;
    transaction.finished = 0;
    transaction.issued_bytes = 0;
    transaction.outstanding = 0;
    transaction.issued = false;
    transaction.is_blocking = false;
    transaction.in_call = false;
    transaction.done = false;
    transaction.status = tlm::TLM_OK_RESPONSE;
    return transaction;
}

void ForeignInitiator::recycle(Transaction &transaction)
{
    transaction.next = unused_;
    unused_ = &transaction;
}

// ---- requests --------------------------------------------------------------------------------------

tlm::tlm_sync_enum ForeignInitiator::forward(tlm::tlm_generic_payload &payload, tlm::tlm_phase &phase,
                                             sc_core::sc_time &delay)
{
    if (phase == tlm::END_RESP) {
        if (responding_ != nullptr && responding_->payload == &payload) {
            end_response();
            respond();
        }
        return tlm::TLM_COMPLETED;
    }
    if (phase != tlm::BEGIN_REQ)
        return tlm::TLM_ACCEPTED; // an extended phase of somebody else: ignorable
    tlm::tlm_response_status status = check(payload);
    if (status != tlm::TLM_OK_RESPONSE) {
        payload.set_response_status(status);
        return tlm::TLM_COMPLETED;
    }
    if (payload.has_mm())
        payload.acquire();
    Transaction &transaction = take(payload, delay);
    transaction.in_call = true;
    waiting_.push(transaction);
    issue();
    transaction.in_call = false;
    if (!transaction.issued)
        return tlm::TLM_ACCEPTED;
    phase = tlm::END_REQ;
    delay = std::max(delay, time_.until(transaction.accepted));
    return tlm::TLM_UPDATED;
}

void ForeignInitiator::blocking(tlm::tlm_generic_payload &payload, sc_core::sc_time &delay)
{
    tlm::tlm_response_status status = check(payload);
    if (status != tlm::TLM_OK_RESPONSE) {
        payload.set_response_status(status);
        return;
    }
    Transaction &transaction = take(payload, delay);
    transaction.is_blocking = true;
    waiting_.push(transaction);
    issue();
    while (!transaction.done)
        sc_core::wait(transaction.wake);
    payload.set_response_status(transaction.status);
    delay = sc_core::SC_ZERO_TIME; // the time has passed
    recycle(transaction);
}

// A free slot and since when it is one; without a depth there are always slots.
bool ForeignInitiator::take_slot(iom_cycle &from)
{
    from = 0;
    if (slots_.empty())
        return true;
    if (free_slots_ == 0)
        return false;
    from = slots_[first_slot_];
    first_slot_ = (first_slot_ + 1) % slots_.size();
    free_slots_--;
    return true;
}

void ForeignInitiator::credit(void *self, iom_port *, iom_cycle arrival)
{
    auto &initiator = *static_cast<ForeignInitiator *>(self);
    size_t last = (initiator.first_slot_ + initiator.free_slots_++) % initiator.slots_.size();
    initiator.slots_[last] = arrival;
    initiator.issue();
}

// Issues waiting transactions, in order, as far as slots reach.
void ForeignInitiator::issue()
{
    while (waiting_.head != nullptr) {
        Transaction &transaction = *waiting_.head;
        while (!transaction.issued)
            if (!issue_message(transaction))
                return;
        waiting_.pop();
        if (!transaction.is_blocking && !transaction.in_call)
            end_request(transaction);
    }
}

bool ForeignInitiator::issue_message(Transaction &transaction)
{
    iom_cycle slot;
    if (!take_slot(slot))
        return false;
    uint64_t offset = transaction.issued_bytes;
    uint64_t rest = transaction.payload->get_data_length() - offset;
    uint64_t page_end = IOM_PAGE_BYTES - (transaction.payload->get_address() + offset) % IOM_PAGE_BYTES;
    auto bytes = static_cast<uint32_t>(std::min(rest, page_end));
    iom_msg *msg = make_message(transaction, offset, bytes);
    transaction.accepted = iom_max_u64(transaction.earliest, slot);
    msg->arrival = iom_unit_edge(port_.unit, transaction.accepted);
    transaction.issued_bytes += bytes;
    transaction.issued = transaction.issued_bytes == transaction.payload->get_data_length();
    transaction.outstanding++;
    iom_port_file(&port_, msg);
    return true;
}

iom_msg *ForeignInitiator::make_message(Transaction &transaction, uint64_t offset, uint32_t bytes)
{
    if (end_.access != ForeignAccess::registers) {
        auto *dma = static_cast<iom_dma *>(iom_pool_take(&dma_pool_));
        if (dma == nullptr)
            throw std::bad_alloc();
        fill_dma(*dma, transaction, offset, bytes);
        return &dma->msg;
    }
    auto *mmio = static_cast<iom_mmio *>(iom_pool_take(&mmio_pool_));
    if (mmio == nullptr)
        throw std::bad_alloc();
    mmio->offset = static_cast<uint32_t>(transaction.payload->get_address());
    mmio->bytes = static_cast<uint8_t>(bytes);
    mmio->write = transaction.payload->is_write();
    mmio->value = 0;
    if (mmio->write)
        std::memcpy(&mmio->value, transaction.payload->get_data_ptr(), bytes);
    mmio->cookie = transaction.index;
    return &mmio->msg;
}

void ForeignInitiator::fill_dma(iom_dma &dma, Transaction &transaction, uint64_t offset, uint32_t bytes)
{
    const tlm::tlm_generic_payload &payload = *transaction.payload;
    iom_msg header = dma.msg;
    dma = iom_dma{};
    dma.msg = header;
    dma.x.address = payload.get_address() + offset;
    dma.x.bytes = bytes;
    dma.x.source = end_.default_source_id;
    uint32_t flags = 0;
    auto set_if = [&flags](bool condition, uint32_t bits) { flags |= condition ? bits : 0u; };
    bool asks = false;
    if (const auto *extension = payload.get_extension<IommuExtension>()) {
        asks = extension->address_type == AddressType::translation_request;
        dma.x.source = extension->source_id;
        dma.x.pasid = extension->has_pasid ? extension->pasid : 0;
        set_if(extension->has_pasid, IOM_REQ_PASID);
        set_if(extension->privileged, IOM_REQ_PRIV);
        set_if(extension->execute, IOM_REQ_EXEC);
        set_if(extension->address_type == AddressType::translated, IOM_REQ_TRANSLATED);
        set_if(asks, IOM_REQ_TRANSLATE);
    }
    set_if(payload.is_write(), IOM_REQ_WRITE);
    set_if(payload.is_write() && !asks, IOM_REQ_POSTED);
    dma.x.flags = static_cast<uint16_t>(flags);
    if (end_.access == ForeignAccess::memory) {
        dma.x.outcome = IOM_OUTCOME_BYPASS;
        dma.x.leaf.output = dma.x.address;
    }
    dma.id = next_id_++;
    dma.cookie = transaction.index;
    dma.issued = time_.now();
    dma.data = payload.get_data_ptr() != nullptr ? payload.get_data_ptr() + offset : nullptr;
}

void ForeignInitiator::end_request(Transaction &transaction)
{
    tlm::tlm_phase phase = tlm::END_REQ;
    sc_core::sc_time delay = time_.until(transaction.accepted);
    backward_.nb_transport_bw(*transaction.payload, phase, delay);
}

// ---- responses -------------------------------------------------------------------------------------

void ForeignInitiator::deliver(void *self, iom_port *, iom_msg *msg)
{
    auto &initiator = *static_cast<ForeignInitiator *>(self);
    uint64_t cookie = msg->kind == IOM_MSG_DMA ? reinterpret_cast<iom_dma *>(msg)->cookie
                                               : reinterpret_cast<iom_mmio *>(msg)->cookie;
    Transaction &transaction = *initiator.made_[cookie];
    initiator.collect(transaction, *msg);
    transaction.finished = iom_max_u64(transaction.finished, msg->arrival);
    transaction.outstanding--;
    iom_msg_release(msg);
    if (transaction.outstanding != 0 || !transaction.issued)
        return;
    if (transaction.is_blocking) {
        transaction.done = true;
        transaction.wake.notify(initiator.time_.until(transaction.finished));
        return;
    }
    initiator.responses_.push(transaction);
    initiator.respond();
}

// Adds the result of one message to its transaction; the first error stays.
void ForeignInitiator::collect(Transaction &transaction, const iom_msg &msg)
{
    if (msg.kind == IOM_MSG_MMIO) {
        const auto &mmio = reinterpret_cast<const iom_mmio &>(msg);
        if (!mmio.write)
            std::memcpy(transaction.payload->get_data_ptr(), &mmio.value, mmio.bytes);
        return;
    }
    const auto &dma = reinterpret_cast<const iom_dma &>(msg);
    tlm::tlm_response_status status = tlm::TLM_OK_RESPONSE;
    if (dma.x.outcome == IOM_OUTCOME_FAULT)
        status = dma.x.fault.abort != 0 ? tlm::TLM_GENERIC_ERROR_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE;
    else if (dma.memory_error != 0)
        status = tlm::TLM_ADDRESS_ERROR_RESPONSE;
    bool first = transaction.status == tlm::TLM_OK_RESPONSE;
    if (first)
        transaction.status = status;
    auto *extension = transaction.payload->get_extension<IommuExtension>();
    bool reports =
        (first && status != tlm::TLM_OK_RESPONSE) || dma.x.address == transaction.payload->get_address();
    if (extension == nullptr || !reports || !first)
        return;
    extension->outcome = dma.x.outcome;
    extension->translated = dma.x.leaf.output;
    extension->size_log2 = dma.x.leaf.size_log2;
    extension->permissions = dma.x.leaf.permissions;
    extension->fault_code = dma.x.outcome == IOM_OUTCOME_FAULT ? dma.x.fault.code : uint16_t{0};
}

void ForeignInitiator::end_response()
{
    Transaction &transaction = *responding_;
    responding_ = nullptr;
    if (transaction.payload->has_mm())
        transaction.payload->release();
    recycle(transaction);
}

// Sends responses until one waits for its END_RESP. Calls from within a call leave their work to it.
void ForeignInitiator::respond()
{
    if (in_respond_)
        return;
    in_respond_ = true;
    while (responding_ == nullptr && responses_.head != nullptr) {
        responding_ = responses_.pop();
        tlm::tlm_generic_payload &payload = *responding_->payload;
        payload.set_response_status(responding_->status);
        tlm::tlm_phase phase = tlm::BEGIN_RESP;
        sc_core::sc_time delay = time_.until(responding_->finished);
        tlm::tlm_sync_enum answer = backward_.nb_transport_bw(payload, phase, delay);
        bool ended = answer == tlm::TLM_COMPLETED || (answer == tlm::TLM_UPDATED && phase == tlm::END_RESP);
        // END_RESP may also have come through forward() meanwhile.
        if (ended && responding_ != nullptr && responding_->payload == &payload)
            end_response();
    }
    in_respond_ = false;
}

} // namespace iommu_sim
