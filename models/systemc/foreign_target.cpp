// SPDX-License-Identifier: Apache-2.0
//
// Base-protocol initiator in front of a foreign target. See foreign_target.h.
#include "models/systemc/foreign_target.h"

#include <new>

#include "core/control.h"
#include "core/memory.h"
#include "models/systemc/port_ends.h"

namespace iommu_sim
{

namespace
{

// The stand-in is never evaluated: it only gives our port a peer.
const iom_unit_ops stand_in_ops = {};

iom_dma &as_dma(iom_msg &msg)
{
    return reinterpret_cast<iom_dma &>(msg);
}

iom_memory_access &as_access(iom_msg &msg)
{
    return reinterpret_cast<iom_memory_access &>(msg);
}

bool is_cas(const iom_msg &msg)
{
    return msg.kind == IOM_MSG_MEMORY &&
           reinterpret_cast<const iom_memory_access &>(msg).op == IOM_MEMORY_CAS;
}

} // namespace

void ForeignTarget::Queue::push(iom_msg *msg)
{
    msg->next = nullptr;
    (head == nullptr ? head : tail->next) = msg;
    tail = msg;
}

iom_msg *ForeignTarget::Queue::pop()
{
    iom_msg *msg = head;
    head = msg->next;
    msg->next = nullptr;
    return msg;
}

ForeignTarget::ForeignTarget(iom_port &port, const iom_link_config &link, tlm::tlm_fw_transport_if<> &forward,
                             const ModuleTime &time, PayloadPool &pool)
    : port_(port), forward_(forward), time_(time), pool_(pool), scratch_(IOM_PAGE_BYTES)
{
    static const iom_transport requests = {deliver, nullptr};
    iom_unit_init(&stand_in_, &stand_in_ops, "foreign target", &stand_in_port_, 1);
    iom_port_init(&stand_in_, 0, "socket", false);
    if (!iom_port_bind(&port_, &stand_in_port_, &link))
        throw std::bad_alloc();
    port_.transport = &requests;
    port_.transport_context = this;
}

ForeignTarget::~ForeignTarget()
{
    forget_messages(port_);
    iom_port_unbind(&port_);
    port_.transport = nullptr;
}

void ForeignTarget::deliver(void *self, iom_port *, iom_msg *msg)
{
    auto &target = *static_cast<ForeignTarget *>(self);
    target.requests_.push(msg);
    target.send_waiting();
}

// ---- requests --------------------------------------------------------------------------------------

// Sends until a request waits for its END_REQ. Calls from within a call only leave their work to it.
void ForeignTarget::send_waiting()
{
    if (sending_)
        return;
    sending_ = true;
    while (requesting_ == nullptr && (second_legs_.head != nullptr || requests_.head != nullptr)) {
        bool second_leg = second_legs_.head != nullptr;
        send((second_leg ? second_legs_ : requests_).pop(), second_leg);
    }
    sending_ = false;
}

void ForeignTarget::fill(PooledPayload &payload, iom_msg &msg)
{
    describe_message(msg, payload);
    payload.set_byte_enable_ptr(nullptr);
    payload.set_byte_enable_length(0);
    payload.set_dmi_allowed(false);
    payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    if (msg.kind == IOM_MSG_MMIO && payload.is_read())
        reinterpret_cast<iom_mmio &>(msg).value = 0; // a narrow read fills only its bytes
    if (payload.second_leg) {
        payload.set_command(tlm::TLM_WRITE_COMMAND);
        payload.set_data_ptr(reinterpret_cast<unsigned char *>(&as_access(msg).desired));
    } else if (payload.get_data_ptr() == nullptr) {
        payload.set_data_ptr(scratch_.data());
        if (payload.is_write())
            payload.set_command(tlm::TLM_IGNORE_COMMAND);
    }
}

void ForeignTarget::send(iom_msg *msg, bool second_leg)
{
    void *outer = msg->carrier; // payload of an earlier hop, to be put back
    PooledPayload &payload = pool_.take(*msg);
    payload.outer = outer;
    payload.second_leg = second_leg;
    payload.went_abroad = true;
    fill(payload, *msg);
    requesting_ = &payload;
    tlm::tlm_phase phase = tlm::BEGIN_REQ;
    sc_core::sc_time delay = time_.until(msg->arrival);
    switch (forward_.nb_transport_fw(payload, phase, delay)) {
    case tlm::TLM_ACCEPTED:
        break; // the phases come through backward(), maybe they have already
    case tlm::TLM_UPDATED:
        if (phase == tlm::END_REQ) {
            accepted(payload, delay);
        } else if (phase == tlm::BEGIN_RESP) {
            accepted(payload, delay);
            phase = tlm::END_RESP;
            sc_core::sc_time end = delay;
            forward_.nb_transport_fw(payload, phase, end);
            finish(payload, delay);
        }
        break;
    case tlm::TLM_COMPLETED:
        accepted(payload, delay);
        finish(payload, delay);
        break;
    }
}

iom_cycle ForeignTarget::cycle_after(const sc_core::sc_time &delay) const
{
    iom_cycle cycle = iom_max_u64(time_.now() + 1, time_.first_cycle(delay));
    return iom_unit_edge(port_.unit, cycle);
}

// The target took the request: the next may be sent and the unit has its credit back.
void ForeignTarget::accepted(PooledPayload &payload, const sc_core::sc_time &delay)
{
    if (requesting_ != &payload)
        return;
    requesting_ = nullptr;
    if (payload.extension.msg->kind == IOM_MSG_DMA)
        as_dma(*payload.extension.msg).visible = time_.first_cycle(delay);
    if (port_.depth != 0 && !payload.second_leg)
        iom_port_file_credit(&port_, cycle_after(delay));
}

tlm::tlm_sync_enum ForeignTarget::backward(tlm::tlm_generic_payload &payload, tlm::tlm_phase &phase,
                                           sc_core::sc_time &delay)
{
    auto &own = static_cast<PooledPayload &>(payload);
    if (phase == tlm::END_REQ) {
        accepted(own, delay);
        send_waiting();
        return tlm::TLM_ACCEPTED;
    }
    if (phase == tlm::BEGIN_RESP) {
        accepted(own, delay); // END_REQ may be left out
        finish(own, delay);
        send_waiting();
        return tlm::TLM_COMPLETED;
    }
    return tlm::TLM_ACCEPTED; // an extended phase of somebody else: ignorable
}

// ---- responses -------------------------------------------------------------------------------------

bool ForeignTarget::wants_second_leg(const PooledPayload &payload) const
{
    iom_msg &msg = *payload.extension.msg;
    return is_cas(msg) && !payload.second_leg && payload.is_response_ok() &&
           as_access(msg).data[0] == as_access(msg).expected;
}

// Writes the result of the transaction into the message.
void ForeignTarget::conclude(PooledPayload &payload, iom_msg &msg) const
{
    bool failed = !payload.is_response_ok();
    switch (msg.kind) {
    case IOM_MSG_DMA: {
        iom_dma &dma = as_dma(msg);
        dma.memory_error = failed;
        // A DMA that nobody translated before: the foreign target did, or there is nothing to translate.
        if (dma.x.outcome == IOM_OUTCOME_NONE) {
            const IommuExtension &result = payload.extension;
            dma.x.outcome = result.outcome != IOM_OUTCOME_NONE ? result.outcome
                            : failed                           ? uint8_t{IOM_OUTCOME_FAULT}
                                                               : uint8_t{IOM_OUTCOME_BYPASS};
            dma.x.leaf.output = dma.x.outcome == IOM_OUTCOME_ADDRESS ? result.translated : dma.x.address;
            dma.x.fault.code = result.fault_code;
        }
        break;
    }
    case IOM_MSG_MEMORY:
        as_access(msg).error = failed;
        break;
    case IOM_MSG_MMIO:
        // Nobody answers: a read returns all ones, as on PCI.
        if (failed)
            reinterpret_cast<iom_mmio &>(msg).value = UINT64_MAX;
        break;
    default:
        break;
    }
}

void ForeignTarget::finish(PooledPayload &payload, const sc_core::sc_time &delay)
{
    iom_msg &msg = *payload.extension.msg;
    bool second_leg = wants_second_leg(payload);
    if (!second_leg)
        conclude(payload, msg);
    // The target may hold the payload longer than the message lives.
    msg.carrier = payload.outer;
    payload.extension.msg = nullptr;
    payload.release();
    if (second_leg) {
        msg.arrival = cycle_after(delay);
        second_legs_.push(&msg);
        return;
    }
    if (is_one_way(msg)) {
        iom_msg_release(&msg);
        return;
    }
    msg.arrival = cycle_after(delay);
    iom_port_file(&port_, &msg);
}

} // namespace iommu_sim
