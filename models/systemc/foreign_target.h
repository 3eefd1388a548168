// SPDX-License-Identifier: Apache-2.0
//
// A requester port of ours bound to somebody else's target (a memory, a bus).
//
// Messages become plain generic payloads, spoken with the four phases of the base protocol
// (IEEE 1666-2011, 15.2): one request at a time until END_REQ, which is what gives our unit its credit
// back; responses in any order, each answered TLM_COMPLETED. A compare-and-swap, which the generic
// payload does not know, becomes a read and, if it matched, a write: whoever writes the same eight
// bytes in between is not noticed. A DMA without data reads into a scratch buffer and writes nothing
// (TLM_IGNORE_COMMAND).
#ifndef IOMMU_SIM_MODELS_SYSTEMC_FOREIGN_TARGET_H
#define IOMMU_SIM_MODELS_SYSTEMC_FOREIGN_TARGET_H

#include <vector>

#include <tlm>

#include "core/unit.h"
#include "models/systemc/iommu_payload.h"
#include "models/systemc/module_time.h"

namespace iommu_sim
{

class ForeignTarget
{
  public:
    /// Binds `port` to a stand-in for the target. Throws std::bad_alloc if memory is out.
    ForeignTarget(iom_port &port, const iom_link_config &link, tlm::tlm_fw_transport_if<> &forward,
                  const ModuleTime &time, PayloadPool &pool);
    ForeignTarget(const ForeignTarget &) = delete;
    ForeignTarget &operator=(const ForeignTarget &) = delete;
    ~ForeignTarget();

    /// nb_transport_bw of the socket.
    tlm::tlm_sync_enum backward(tlm::tlm_generic_payload &payload, tlm::tlm_phase &phase,
                                sc_core::sc_time &delay);

  private:
    /// Messages waiting for the socket, linked through iom_msg::next.
    struct Queue {
        iom_msg *head = nullptr, *tail = nullptr;
        void push(iom_msg *msg);
        iom_msg *pop();
    };

    static void deliver(void *self, iom_port *from, iom_msg *msg);
    void send_waiting();
    void send(iom_msg *msg, bool second_leg);
    void fill(PooledPayload &payload, iom_msg &msg);
    void accepted(PooledPayload &payload, const sc_core::sc_time &delay);
    void finish(PooledPayload &payload, const sc_core::sc_time &delay);
    bool wants_second_leg(const PooledPayload &payload) const;
    void conclude(PooledPayload &payload, iom_msg &msg) const;
    iom_cycle cycle_after(const sc_core::sc_time &delay) const;

    iom_port &port_;
    tlm::tlm_fw_transport_if<> &forward_;
    const ModuleTime &time_;
    PayloadPool &pool_;
    iom_unit stand_in_{};
    iom_port stand_in_port_{};
    Queue requests_, second_legs_;
    PooledPayload *requesting_ = nullptr; ///< between BEGIN_REQ and END_REQ
    bool sending_ = false;                ///< send_waiting is on the stack
    std::vector<unsigned char> scratch_;  ///< where reads without data go
};

} // namespace iommu_sim

#endif
