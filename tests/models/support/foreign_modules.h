// SPDX-License-Identifier: Apache-2.0
//
// Modules that know nothing of this library: an initiator that uses the blocking or the non-blocking
// interface, and a memory that answers in one of the ways the base protocol allows. They check the
// rules of IEEE 1666-2011, 15.2, from their side and write down what happens when.
#ifndef IOMMU_SIM_TESTS_MODELS_SUPPORT_FOREIGN_MODULES_H
#define IOMMU_SIM_TESTS_MODELS_SUPPORT_FOREIGN_MODULES_H

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <systemc>
#include <tlm>
#include <tlm_utils/peq_with_cb_and_phase.h>
#include <tlm_utils/simple_initiator_socket.h>

namespace foreign
{

using Payload = tlm::tlm_generic_payload;

inline sc_core::sc_time ns(double count)
{
    return sc_core::sc_time(count, sc_core::SC_NS);
}

/// Runs `body` as an SC_THREAD; b_transport through `socket`.
class Thread : public sc_core::sc_module
{
  public:
    Thread(const sc_core::sc_module_name &name, std::function<void(Thread &)> body);
    /// Blocking access; returns the response status. `delay` is what the initiator is ahead of time.
    tlm::tlm_response_status access(tlm::tlm_command command, uint64_t address, void *data, unsigned bytes,
                                    tlm::tlm_extension_base *extension = nullptr, unsigned extension_id = 0,
                                    sc_core::sc_time delay = sc_core::SC_ZERO_TIME);
    void read(uint64_t address, void *data, unsigned bytes);
    void write(uint64_t address, const void *data, unsigned bytes);

    tlm_utils::simple_initiator_socket<Thread, 64> socket;
    bool finished = false;
    std::string problems; ///< what went wrong, for the test

  private:
    void run();
    std::function<void(Thread &)> body_;
};

/// Sends a list of requests through nb_transport as fast as the protocol lets it.
class Sender : public sc_core::sc_module, public tlm::tlm_mm_interface
{
  public:
    struct Request {
        tlm::tlm_command command;
        uint64_t address;
        std::vector<unsigned char> data;
        // Filled in (nanoseconds, annotated delay included).
        double begin = -1, accepted = -1, responded = -1;
        tlm::tlm_response_status status = tlm::TLM_INCOMPLETE_RESPONSE;
    };
    /// Ends each response `hold` after it began; 0: at once, by TLM_COMPLETED.
    Sender(const sc_core::sc_module_name &name, std::vector<Request> requests, const sc_core::sc_time &hold);
    void free(Payload *payload) override;

    tlm_utils::simple_initiator_socket<Sender, 64> socket;
    std::vector<Request> requests;
    std::string problems;
    size_t freed = 0;

  private:
    void run();
    void end_response();
    void accept(Payload &payload, const sc_core::sc_time &delay);
    tlm::tlm_sync_enum backward(Payload &payload, tlm::tlm_phase &phase, sc_core::sc_time &delay);
    Request &request_of(const Payload &payload);

    sc_core::sc_time hold_;
    std::map<const Payload *, size_t> index_;
    Payload *requesting_ = nullptr, *responding_ = nullptr;
    sc_core::sc_event accepted_, release_;
};

/// How the memory answers.
enum class Manner {
    completes,     ///< TLM_COMPLETED at once
    responds,      ///< TLM_UPDATED with BEGIN_RESP
    accepts,       ///< TLM_UPDATED with END_REQ, response later
    phases,        ///< TLM_ACCEPTED, END_REQ later, response later
    skips_end_req, ///< TLM_ACCEPTED, response later without END_REQ
};

/// A sparse memory with its own sense of time. Several may share one content: ports of one memory.
class Memory : public sc_core::sc_module, public tlm::tlm_fw_transport_if<>
{
  public:
    using Content = std::map<uint64_t, unsigned char>; ///< what is not there reads as 0
    Memory(const sc_core::sc_module_name &name, Manner manner, const sc_core::sc_time &accept_time,
           const sc_core::sc_time &latency, std::shared_ptr<Content> content = std::make_shared<Content>());

    tlm::tlm_target_socket<64> socket;
    uint64_t limit = UINT64_MAX; ///< addresses from here on do not answer
    std::vector<double> begins;  ///< when requests began, in nanoseconds
    uint64_t ignored = 0;        ///< TLM_IGNORE_COMMANDs seen
    std::string problems;

    void poke(uint64_t address, uint64_t word);
    uint64_t peek(uint64_t address) const;

    tlm::tlm_sync_enum nb_transport_fw(Payload &payload, tlm::tlm_phase &phase,
                                       sc_core::sc_time &delay) override;
    void b_transport(Payload &payload, sc_core::sc_time &delay) override;
    bool get_direct_mem_ptr(Payload &, tlm::tlm_dmi &) override
    {
        return false;
    }
    unsigned int transport_dbg(Payload &payload) override;

  private:
    bool perform(Payload &payload);
    void later(Payload &payload, const tlm::tlm_phase &phase);

    std::shared_ptr<Content> content_;
    Manner manner_;
    sc_core::sc_time accept_time_, latency_;
    Payload *requesting_ = nullptr;
    tlm_utils::peq_with_cb_and_phase<Memory> queue_;
};

} // namespace foreign

#endif
