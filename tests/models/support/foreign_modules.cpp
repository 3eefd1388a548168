// SPDX-License-Identifier: Apache-2.0
//
// Foreign modules for tests. See foreign_modules.h.
#include "tests/models/support/foreign_modules.h"

#include <algorithm>

#include "tests/models/support/child_process.h"

namespace foreign
{

namespace
{

double now_ns(const sc_core::sc_time &delay)
{
    return (sc_core::sc_time_stamp() + delay).to_seconds() * 1e9;
}

} // namespace

// ---- thread ------------------------------------------------------------------------------------------

Thread::Thread(const sc_core::sc_module_name &name, std::function<void(Thread &)> body)
    : sc_core::sc_module(name), socket("socket"), body_(std::move(body))
{
    no_leak_check_in_this_child();
    SC_HAS_PROCESS(Thread);
    SC_THREAD(run);
}

void Thread::run()
{
    body_(*this);
    finished = true;
}

tlm::tlm_response_status Thread::access(tlm::tlm_command command, uint64_t address, void *data,
                                        unsigned bytes, tlm::tlm_extension_base *extension,
                                        unsigned extension_id, sc_core::sc_time delay)
{
    Payload payload;
    payload.set_command(command);
    payload.set_address(address);
    payload.set_data_ptr(static_cast<unsigned char *>(data));
    payload.set_data_length(bytes);
    payload.set_streaming_width(bytes);
    payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    if (extension != nullptr)
        payload.set_extension(extension_id, extension);
    socket->b_transport(payload, delay);
    if (delay != sc_core::SC_ZERO_TIME)
        sc_core::wait(delay);
    if (extension != nullptr)
        payload.set_extension(extension_id, nullptr);
    return payload.get_response_status();
}

void Thread::read(uint64_t address, void *data, unsigned bytes)
{
    if (access(tlm::TLM_READ_COMMAND, address, data, bytes) != tlm::TLM_OK_RESPONSE)
        problems += "read failed; ";
}

void Thread::write(uint64_t address, const void *data, unsigned bytes)
{
    if (access(tlm::TLM_WRITE_COMMAND, address, const_cast<void *>(data), bytes) != tlm::TLM_OK_RESPONSE)
        problems += "write failed; ";
}

// ---- sender ------------------------------------------------------------------------------------------

Sender::Sender(const sc_core::sc_module_name &name, std::vector<Request> list, const sc_core::sc_time &hold)
    : sc_core::sc_module(name), socket("socket"), requests(std::move(list)), hold_(hold)
{
    socket.register_nb_transport_bw(this, &Sender::backward);
    no_leak_check_in_this_child();
    SC_HAS_PROCESS(Sender);
    SC_THREAD(run);
    SC_METHOD(end_response);
    sensitive << release_;
    dont_initialize();
}

Sender::Request &Sender::request_of(const Payload &payload)
{
    return requests[index_.at(&payload)];
}

void Sender::run()
{
    for (size_t i = 0; i < requests.size(); i++) {
        auto *payload = new Payload(this);
        payload->acquire();
        index_[payload] = i;
        payload->set_command(requests[i].command);
        payload->set_address(requests[i].address);
        payload->set_data_ptr(requests[i].data.data());
        payload->set_data_length(static_cast<unsigned>(requests[i].data.size()));
        payload->set_streaming_width(static_cast<unsigned>(requests[i].data.size()));
        requests[i].begin = now_ns(sc_core::SC_ZERO_TIME);
        requesting_ = payload;
        tlm::tlm_phase phase = tlm::BEGIN_REQ;
        sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
        switch (socket->nb_transport_fw(*payload, phase, delay)) {
        case tlm::TLM_ACCEPTED:
            while (requesting_ != nullptr)
                sc_core::wait(accepted_);
            break;
        case tlm::TLM_UPDATED:
            if (phase != tlm::END_REQ)
                problems += "unexpected phase; ";
            accept(*payload, delay);
            sc_core::wait(delay);
            break;
        case tlm::TLM_COMPLETED:
            requesting_ = nullptr;
            requests[i].status = payload->get_response_status();
            payload->release();
            break;
        }
    }
}

void Sender::accept(Payload &payload, const sc_core::sc_time &delay)
{
    if (requesting_ != &payload)
        problems += "END_REQ for another request; ";
    requesting_ = nullptr;
    request_of(payload).accepted = now_ns(delay);
    accepted_.notify(delay);
}

tlm::tlm_sync_enum Sender::backward(Payload &payload, tlm::tlm_phase &phase, sc_core::sc_time &delay)
{
    if (phase == tlm::END_REQ) {
        accept(payload, delay);
        return tlm::TLM_ACCEPTED;
    }
    if (phase != tlm::BEGIN_RESP)
        return tlm::TLM_ACCEPTED;
    if (responding_ != nullptr)
        problems += "BEGIN_RESP before END_RESP of the one before; ";
    if (requesting_ == &payload)
        problems += "response before END_REQ; ";
    Request &request = request_of(payload);
    request.responded = now_ns(delay);
    request.status = payload.get_response_status();
    if (hold_ == sc_core::SC_ZERO_TIME) {
        payload.release();
        return tlm::TLM_COMPLETED;
    }
    responding_ = &payload;
    release_.notify(delay + hold_);
    return tlm::TLM_ACCEPTED;
}

void Sender::end_response()
{
    Payload &payload = *responding_;
    responding_ = nullptr;
    tlm::tlm_phase phase = tlm::END_RESP;
    sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
    socket->nb_transport_fw(payload, phase, delay);
    payload.release();
}

void Sender::free(Payload *payload)
{
    freed++;
    index_.erase(payload);
    delete payload;
}

// ---- memory ------------------------------------------------------------------------------------------

Memory::Memory(const sc_core::sc_module_name &name, Manner manner, const sc_core::sc_time &accept_time,
               const sc_core::sc_time &latency, std::shared_ptr<Content> content)
    : sc_core::sc_module(name), socket("socket"), content_(std::move(content)), manner_(manner),
      accept_time_(accept_time), latency_(latency), queue_(this, &Memory::later)
{
    socket.bind(*this);
}

void Memory::poke(uint64_t address, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++)
        (*content_)[address + i] = static_cast<unsigned char>(word >> (8 * i));
}

uint64_t Memory::peek(uint64_t address) const
{
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i++) {
        auto found = content_->find(address + i);
        word |= uint64_t{found != content_->end() ? found->second : 0u} << (8 * i);
    }
    return word;
}

bool Memory::perform(Payload &payload)
{
    uint64_t address = payload.get_address();
    unsigned length = payload.get_data_length();
    if (payload.get_command() == tlm::TLM_IGNORE_COMMAND)
        ignored++;
    if (payload.get_data_ptr() == nullptr || payload.get_byte_enable_ptr() != nullptr)
        problems += "malformed payload; ";
    if (address >= limit || address + length > limit)
        return false;
    for (unsigned i = 0; i < length; i++) {
        if (payload.is_write()) {
            (*content_)[address + i] = payload.get_data_ptr()[i];
        } else if (payload.is_read()) {
            auto found = content_->find(address + i);
            payload.get_data_ptr()[i] = found != content_->end() ? found->second : 0;
        }
    }
    return true;
}

tlm::tlm_sync_enum Memory::nb_transport_fw(Payload &payload, tlm::tlm_phase &phase, sc_core::sc_time &delay)
{
    if (phase == tlm::END_RESP) {
        if (manner_ != Manner::responds)
            problems += "END_RESP although BEGIN_RESP was completed; ";
        return tlm::TLM_COMPLETED;
    }
    if (phase != tlm::BEGIN_REQ)
        return tlm::TLM_ACCEPTED;
    if (requesting_ != nullptr)
        problems += "BEGIN_REQ before END_REQ of the one before; ";
    begins.push_back(now_ns(delay));
    auto respond_now = [&] {
        payload.set_response_status(perform(payload) ? tlm::TLM_OK_RESPONSE
                                                     : tlm::TLM_ADDRESS_ERROR_RESPONSE);
    };
    switch (manner_) {
    case Manner::completes:
        respond_now();
        delay += latency_;
        return tlm::TLM_COMPLETED;
    case Manner::responds:
        respond_now();
        delay += latency_;
        phase = tlm::BEGIN_RESP;
        return tlm::TLM_UPDATED;
    case Manner::accepts:
        payload.acquire();
        delay += accept_time_;
        queue_.notify(payload, tlm::BEGIN_RESP, delay + latency_);
        phase = tlm::END_REQ;
        return tlm::TLM_UPDATED;
    case Manner::phases:
        payload.acquire();
        requesting_ = &payload;
        queue_.notify(payload, tlm::END_REQ, delay + accept_time_);
        return tlm::TLM_ACCEPTED;
    case Manner::skips_end_req:
        payload.acquire();
        requesting_ = &payload;
        queue_.notify(payload, tlm::BEGIN_RESP, delay + latency_);
        return tlm::TLM_ACCEPTED;
    }
    return tlm::TLM_ACCEPTED;
}

void Memory::later(Payload &payload, const tlm::tlm_phase &what)
{
    tlm::tlm_phase phase = what;
    sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
    if (what == tlm::END_REQ) {
        requesting_ = nullptr;
        queue_.notify(payload, tlm::BEGIN_RESP, latency_);
        socket->nb_transport_bw(payload, phase, delay);
        return;
    }
    if (requesting_ == &payload)
        requesting_ = nullptr;
    payload.set_response_status(perform(payload) ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE);
    if (socket->nb_transport_bw(payload, phase, delay) != tlm::TLM_COMPLETED)
        problems += "BEGIN_RESP not completed; ";
    payload.release();
}

void Memory::b_transport(Payload &payload, sc_core::sc_time &delay)
{
    payload.set_response_status(perform(payload) ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE);
    delay += latency_;
}

unsigned int Memory::transport_dbg(Payload &payload)
{
    return perform(payload) ? payload.get_data_length() : 0;
}

} // namespace foreign
