// SPDX-License-Identifier: Apache-2.0
//
// A responder port of ours bound to somebody else's initiator (a device model, a processor).
//
// A payload becomes one or more messages: a DMA is split at 4 KiB boundaries (a translation never
// covers more than its page), a register access is one message. Each message needs one of our port's
// slots; END_REQ is withheld until all messages of the payload have got theirs. Arrivals are rounded
// up to max(now + 1, next clock edge), so that the order in which SystemC runs processes does not
// matter. Responses go back one at a time (response exclusion rule, IEEE 1666-2011, 15.2.6).
// b_transport takes its place in the same queue and waits.
#ifndef IOMMU_SIM_MODELS_SYSTEMC_FOREIGN_INITIATOR_H
#define IOMMU_SIM_MODELS_SYSTEMC_FOREIGN_INITIATOR_H

#include <memory>
#include <vector>

#include <systemc>
#include <tlm>

#include "core/control.h"
#include "core/dma.h"
#include "core/unit.h"
#include "models/systemc/iommu_payload.h"
#include "models/systemc/module_time.h"

namespace iommu_sim
{

class ResponderEnd;

class ForeignInitiator
{
  public:
    /// Binds the port of `end` to a stand-in for the initiator. Throws std::bad_alloc if memory is out.
    ForeignInitiator(ResponderEnd &end, tlm::tlm_bw_transport_if<> &backward, const ModuleTime &time);
    ForeignInitiator(const ForeignInitiator &) = delete;
    ForeignInitiator &operator=(const ForeignInitiator &) = delete;
    ~ForeignInitiator();

    /// nb_transport_fw and b_transport of the socket.
    tlm::tlm_sync_enum forward(tlm::tlm_generic_payload &payload, tlm::tlm_phase &phase,
                               sc_core::sc_time &delay);
    void blocking(tlm::tlm_generic_payload &payload, sc_core::sc_time &delay);

  private:
    /// A payload on its way through our unit.
    struct Transaction {
        tlm::tlm_generic_payload *payload = nullptr;
        Transaction *next = nullptr;
        uint64_t index = 0;     ///< in made_: the cookie of its messages
        iom_cycle earliest = 0; ///< arrival of its first message, before rounding to the unit's clock
        iom_cycle accepted = 0; ///< cycle in which its last message got a slot
        iom_cycle finished = 0; ///< arrival of its last response
        uint64_t issued_bytes = 0;
        uint32_t outstanding = 0; ///< messages whose responses have not come
        bool issued = false;      ///< all messages are on their way
        bool is_blocking = false;
        bool in_call = false; ///< forward() is on the stack: it will report END_REQ itself
        bool done = false;
        tlm::tlm_response_status status = tlm::TLM_OK_RESPONSE;
        sc_core::sc_event wake; ///< of the thread in b_transport
    };
    struct Queue {
        Transaction *head = nullptr, *tail = nullptr;
        void push(Transaction &transaction);
        Transaction *pop();
    };

    static void deliver(void *self, iom_port *from, iom_msg *msg);
    static void credit(void *self, iom_port *from, iom_cycle arrival);

    tlm::tlm_response_status check(const tlm::tlm_generic_payload &payload) const;
    Transaction &take(tlm::tlm_generic_payload &payload, const sc_core::sc_time &delay);
    void recycle(Transaction &transaction);

    bool take_slot(iom_cycle &from);
    void issue();
    bool issue_message(Transaction &transaction);
    iom_msg *make_message(Transaction &transaction, uint64_t offset, uint32_t bytes);
    void fill_dma(iom_dma &dma, Transaction &transaction, uint64_t offset, uint32_t bytes);
    void end_request(Transaction &transaction);

    void collect(Transaction &transaction, const iom_msg &msg);
    void respond();
    void end_response();

    ResponderEnd &end_;
    iom_port &port_;
    tlm::tlm_bw_transport_if<> &backward_;
    const ModuleTime &time_;
    iom_unit stand_in_{};
    iom_port stand_in_port_{};
    iom_pool dma_pool_{}, mmio_pool_{};
    uint64_t next_id_ = 0;

    std::vector<iom_cycle> slots_; ///< ring: since when each free slot is free
    size_t first_slot_ = 0, free_slots_ = 0;
    Queue waiting_;                     ///< for slots
    Queue responses_;                   ///< for the backward path
    Transaction *responding_ = nullptr; ///< between BEGIN_RESP and END_RESP
    bool in_respond_ = false;
    std::vector<std::unique_ptr<Transaction>> made_;
    Transaction *unused_ = nullptr;
};

} // namespace iommu_sim

#endif
