// SPDX-License-Identifier: Apache-2.0
//
// The two ends of a connection that leaves a module: a socket around one port of a unit.
//
//   RequesterEnd   initiator socket: sends requests forward, takes responses and credits
//   ResponderEnd   target socket: takes requests, sends responses and credits backward
//
// Whether the other side is one of our modules is decided once, when the sockets have been bound.
// Between our own modules the calls only file messages (unit rule 1): BEGIN_REQ forward, BEGIN_RESP
// backward (answered TLM_COMPLETED), and an ignorable phase for credits. Towards anybody else a
// ForeignTarget or ForeignInitiator speaks the full base protocol (IEEE 1666-2011, clause 15).
#ifndef IOMMU_SIM_MODELS_SYSTEMC_PORT_ENDS_H
#define IOMMU_SIM_MODELS_SYSTEMC_PORT_ENDS_H

#include <functional>
#include <memory>
#include <string>

#include <systemc>
#include <tlm>

#include "core/unit.h"
#include "models/systemc/iommu_payload.h"
#include "models/systemc/module_time.h"

namespace iommu_sim
{

class ForeignInitiator;
class ForeignTarget;

using Payload = tlm::tlm_generic_payload;
/// Sockets may stay unbound (RequesterEnd::required).
using InitiatorSocket =
    tlm::tlm_initiator_socket<64, tlm::tlm_base_protocol_types, 1, sc_core::SC_ZERO_OR_MORE_BOUND>;
using TargetSocket =
    tlm::tlm_target_socket<64, tlm::tlm_base_protocol_types, 1, sc_core::SC_ZERO_OR_MORE_BOUND>;

/// What a payload of a foreign initiator becomes.
enum class ForeignAccess : uint8_t {
    refused,   ///< generic error response
    translate, ///< a DMA that is to be translated
    memory,    ///< a DMA to a memory address, nothing to translate
    registers, ///< a register access, 4 or 8 bytes
};

/// Empties an inbox without giving the messages back (their pools may be gone).
void forget_messages(iom_port &port);

class ResponderEnd;

class RequesterEnd final : public tlm::tlm_bw_transport_if<>
{
  public:
    RequesterEnd(iom_port &port, const std::string &name, const ModuleTime &time, PayloadPool &pool);
    ~RequesterEnd() override;

    /// After binding: finds out who the peer is and binds the port. Throws std::runtime_error if the peer
    /// is not the one the netlist says, std::bad_alloc if memory is out.
    void connect();

    tlm::tlm_sync_enum nb_transport_bw(Payload &payload, tlm::tlm_phase &phase,
                                       sc_core::sc_time &delay) override;
    void invalidate_direct_mem_ptr(sc_dt::uint64 first, sc_dt::uint64 last) override;

    iom_port &port;
    InitiatorSocket socket;
    /// Of the connection, when no netlist has bound the port already.
    iom_link_config link{1, 1, 1, 16};
    /// May a foreign target be bound? Only where messages are reads and writes of addresses.
    bool foreign_allowed = false;
    /// Must the socket be bound? Otherwise the unit does without a peer.
    bool required = false;

  private:
    friend class ResponderEnd;
    static void deliver(void *self, iom_port *from, iom_msg *msg);
    void bind_own(ResponderEnd &peer);
    void disconnect();

    const ModuleTime &time_;
    PayloadPool &pool_;
    tlm::tlm_fw_transport_if<> *forward_ = nullptr;
    std::unique_ptr<ForeignTarget> foreign_;
    ResponderEnd *peer_ = nullptr; ///< when it is one of ours
    bool bound_here_ = false;      ///< the ports were bound by us, not by a netlist
};

class ResponderEnd final : public tlm::tlm_fw_transport_if<>
{
  public:
    ResponderEnd(iom_port &port, const std::string &name, const ModuleTime &time);
    ~ResponderEnd() override;

    /// After all RequesterEnds have connected: a socket bound to somebody else gets a ForeignInitiator.
    void connect();

    tlm::tlm_sync_enum nb_transport_fw(Payload &payload, tlm::tlm_phase &phase,
                                       sc_core::sc_time &delay) override;
    void b_transport(Payload &payload, sc_core::sc_time &delay) override;
    bool get_direct_mem_ptr(Payload &payload, tlm::tlm_dmi &dmi) override;
    unsigned int transport_dbg(Payload &payload) override;

    iom_port &port;
    TargetSocket socket;
    /// What foreign initiators may ask here, and how.
    ForeignAccess access = ForeignAccess::refused;
    uint32_t default_source_id = 0;           ///< requester of payloads without IommuExtension
    iom_link_config link{1, 1, 1, 16};        ///< of a connection to a foreign initiator
    std::function<unsigned(Payload &)> debug; ///< transport_dbg; empty: nothing is transferred

  private:
    friend class RequesterEnd;
    static void deliver(void *self, iom_port *from, iom_msg *msg);
    static void credit(void *self, iom_port *from, iom_cycle arrival);

    const ModuleTime &time_;
    tlm::tlm_bw_transport_if<> *backward_ = nullptr;
    RequesterEnd *peer_ = nullptr; ///< when it is one of ours
    std::unique_ptr<ForeignInitiator> foreign_;
    // Carries returned credits; belongs to no request.
    Payload credit_payload_;
    IommuExtension credit_extension_;
};

} // namespace iommu_sim

#endif
