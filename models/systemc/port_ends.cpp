// SPDX-License-Identifier: Apache-2.0
//
// Traffic between our own modules; foreign peers are handed on. See port_ends.h.
#include "models/systemc/port_ends.h"

#include <cassert>
#include <new>
#include <stdexcept>

#include "models/systemc/foreign_initiator.h"
#include "models/systemc/foreign_target.h"

namespace iommu_sim
{

namespace
{

// A credit of our own flow control. Ignorable: a base-protocol component may drop it.
TLM_DECLARE_EXTENDED_PHASE(iommu_credit);

} // namespace

void forget_messages(iom_port &port)
{
    port.head = nullptr;
    port.tail = nullptr;
    port.queued = 0;
}

// ---- requester -------------------------------------------------------------------------------------

RequesterEnd::RequesterEnd(iom_port &unit_port, const std::string &name, const ModuleTime &time,
                           PayloadPool &pool)
    : port(unit_port), socket(name.c_str()), time_(time), pool_(pool)
{
    socket.bind(*this);
}

RequesterEnd::~RequesterEnd()
{
    disconnect();
}

void RequesterEnd::connect()
{
    if (socket.get_base_port().size() == 0) {
        if (required)
            throw std::runtime_error(std::string(socket.name()) + ": must be bound");
        return;
    }
    forward_ = socket.operator->();
    if (auto *peer = dynamic_cast<ResponderEnd *>(forward_)) {
        bind_own(*peer);
        return;
    }
    if (!foreign_allowed)
        throw std::runtime_error(std::string(socket.name()) +
                                 ": can only be bound to a module of this library, its messages are no reads "
                                 "and writes of addresses");
    foreign_ = std::make_unique<ForeignTarget>(port, link, *forward_, time_, pool_);
}

void RequesterEnd::bind_own(ResponderEnd &peer)
{
    static const iom_transport requests = {deliver, nullptr};
    static const iom_transport responses = {ResponderEnd::deliver, ResponderEnd::credit};
    if (port.peer == nullptr && peer.port.peer == nullptr) {
        bound_here_ = true;
        if (link.latency == 0 || link.response_latency == 0)
            throw std::runtime_error(std::string(socket.name()) +
                                     ": a connection between modules needs a latency of at least one cycle");
        if (!iom_port_bind(&port, &peer.port, &link))
            throw std::bad_alloc();
    }
    if (port.peer != &peer.port)
        throw std::runtime_error(std::string(socket.name()) + ": bound to a socket of another connection");
    port.transport = &requests;
    port.transport_context = this;
    peer_ = &peer;
    peer.port.transport = &responses;
    peer.port.transport_context = &peer;
    peer.backward_ = this;
    peer.peer_ = this;
}

// Either side may go first; messages still in an inbox belong to their pools.
void RequesterEnd::disconnect()
{
    if (peer_ == nullptr)
        return;
    ResponderEnd &peer = *peer_;
    port.transport = nullptr;
    peer.port.transport = nullptr;
    peer.peer_ = nullptr;
    peer_ = nullptr;
    if (!bound_here_)
        return;
    forget_messages(port);
    forget_messages(peer.port);
    iom_port_unbind(&port);
    iom_port_unbind(&peer.port);
}

void RequesterEnd::deliver(void *self, iom_port *, iom_msg *msg)
{
    auto &end = *static_cast<RequesterEnd *>(self);
    // A message that is on its way already goes on in the payload it came in.
    auto *payload = static_cast<PooledPayload *>(msg->carrier);
    if (payload != nullptr)
        payload->acquire();
    else
        payload = &end.pool_.take(*msg);
    payload->extension.arrival = msg->arrival;
    describe_message(*msg, *payload);
    tlm::tlm_phase phase = tlm::BEGIN_REQ;
    sc_core::sc_time delay;
    if (end.forward_->nb_transport_fw(*payload, phase, delay) == tlm::TLM_COMPLETED)
        payload->release();
}

tlm::tlm_sync_enum RequesterEnd::nb_transport_bw(Payload &payload, tlm::tlm_phase &phase,
                                                 sc_core::sc_time &delay)
{
    if (foreign_ != nullptr)
        return foreign_->backward(payload, phase, delay);
    if (phase == tlm::BEGIN_RESP) {
        iom_msg *msg = static_cast<PooledPayload &>(payload).extension.msg;
        iom_port_file(&port, msg);
        payload.release();
        return tlm::TLM_COMPLETED;
    }
    if (phase == iommu_credit)
        iom_port_file_credit(&port, payload.get_extension<IommuExtension>()->arrival);
    return tlm::TLM_ACCEPTED;
}

void RequesterEnd::invalidate_direct_mem_ptr(sc_dt::uint64, sc_dt::uint64)
{
    // We never ask for direct access.
}

// ---- responder -------------------------------------------------------------------------------------

ResponderEnd::ResponderEnd(iom_port &unit_port, const std::string &name, const ModuleTime &time)
    : port(unit_port), socket(name.c_str()), time_(time)
{
    socket.bind(*this);
    credit_payload_.set_command(tlm::TLM_IGNORE_COMMAND);
    credit_payload_.set_extension(&credit_extension_);
}

ResponderEnd::~ResponderEnd()
{
    if (peer_ != nullptr)
        peer_->disconnect();
    credit_payload_.clear_extension<IommuExtension>(); // a member: the payload must not free it
}

void ResponderEnd::connect()
{
    if (peer_ != nullptr || socket.get_base_port().size() == 0)
        return;
    foreign_ = std::make_unique<ForeignInitiator>(*this, *socket.operator->(), time_);
}

void ResponderEnd::deliver(void *self, iom_port *, iom_msg *msg)
{
    auto &end = *static_cast<ResponderEnd *>(self);
    // The message came in this payload, and goes back in it.
    auto *payload = static_cast<PooledPayload *>(msg->carrier);
    if (payload == nullptr && end.peer_ != nullptr) { // no answer: one way, from the responder
        payload = &end.peer_->pool_.take(*msg);
        describe_message(*msg, *payload);
    }
    assert(payload != nullptr && payload->extension.msg == msg);
    payload->extension.arrival = msg->arrival;
    tlm::tlm_phase phase = tlm::BEGIN_RESP;
    sc_core::sc_time delay;
    end.backward_->nb_transport_bw(*payload, phase, delay);
}

void ResponderEnd::credit(void *self, iom_port *, iom_cycle arrival)
{
    auto &end = *static_cast<ResponderEnd *>(self);
    end.credit_extension_.arrival = arrival;
    tlm::tlm_phase phase = iommu_credit;
    sc_core::sc_time delay;
    end.backward_->nb_transport_bw(end.credit_payload_, phase, delay);
}

tlm::tlm_sync_enum ResponderEnd::nb_transport_fw(Payload &payload, tlm::tlm_phase &phase,
                                                 sc_core::sc_time &delay)
{
    if (foreign_ != nullptr)
        return foreign_->forward(payload, phase, delay);
    iom_msg *msg = static_cast<PooledPayload &>(payload).extension.msg;
    iom_port_file(&port, msg);
    return is_one_way(*msg) ? tlm::TLM_COMPLETED : tlm::TLM_ACCEPTED;
}

void ResponderEnd::b_transport(Payload &payload, sc_core::sc_time &delay)
{
    if (foreign_ != nullptr)
        foreign_->blocking(payload, delay);
    else
        payload.set_response_status(tlm::TLM_GENERIC_ERROR_RESPONSE); // between our own modules nobody blocks
}

bool ResponderEnd::get_direct_mem_ptr(Payload &, tlm::tlm_dmi &dmi)
{
    // Direct access would bypass translation: refused for all addresses.
    dmi.allow_none();
    dmi.set_start_address(0);
    dmi.set_end_address(~sc_dt::uint64{0});
    return false;
}

unsigned int ResponderEnd::transport_dbg(Payload &payload)
{
    return debug ? debug(payload) : 0;
}

} // namespace iommu_sim
