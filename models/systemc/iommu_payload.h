// SPDX-License-Identifier: Apache-2.0
//
// What a TLM-2.0 generic payload (IEEE 1666-2011, clause 14) carries for the IOMMU.
//
// A DMA that reaches an IOMMU is more than an address: it has a source, maybe a PASID, and an address
// type. The extension holds these for any platform. Between two modules of this library it also names
// the message itself and the cycle in which it arrives, so that nothing needs to be copied.
//
//   message              command           address                          length, data
//   iom_dma              READ / WRITE      input address going in,          x.bytes, dma.data
//                                          translated address leaving
//   iom_memory_access    READ / WRITE      address                          bytes, data[]
//   iom_mmio             READ / WRITE      register offset                  bytes, value
//   walk, probe,         IGNORE            0                                0, none
//   control, fault, queue
//   setup and event, device
//   invalidation
//
// A DMA without data (timing only) that writes is an IGNORE command towards foreign modules, so that it
// cannot overwrite their memory.
#ifndef IOMMU_SIM_MODELS_SYSTEMC_IOMMU_PAYLOAD_H
#define IOMMU_SIM_MODELS_SYSTEMC_IOMMU_PAYLOAD_H

#include <cstdint>
#include <memory>
#include <vector>

#include <tlm>

#include "core/dma.h"
#include "core/msg.h"

namespace iommu_sim
{

/// PCIe address type of a request (ATS).
enum class AddressType : uint8_t {
    untranslated,
    translation_request,
    translated,
};

/// Attach it to a payload to say who asks; without it the module's default requester is assumed.
struct IommuExtension : tlm::tlm_extension<IommuExtension> {
    // The request.
    uint32_t source_id = 0; ///< requester id, stream id
    uint32_t pasid = 0;     ///< valid with has_pasid
    bool has_pasid = false;
    bool privileged = false;
    bool execute = false;
    AddressType address_type = AddressType::untranslated;

    // The result, set before the response.
    uint8_t outcome = IOM_OUTCOME_NONE; ///< enum iom_outcome
    uint8_t size_log2 = 0;              ///< of the translation
    uint8_t permissions = 0;            ///< enum iom_permission
    uint16_t fault_code = 0;            ///< architecture's fault reason, with IOM_OUTCOME_FAULT
    uint64_t translated = 0;            ///< address behind the IOMMU

    // Between modules of this library only.
    iom_msg *msg = nullptr; ///< the message itself
    iom_cycle arrival = 0;  ///< cycle in which its receiver may act on it

    tlm::tlm_extension_base *clone() const override;
    void copy_from(const tlm::tlm_extension_base &other) override;
};

/// A payload with its extension built in and a place for the data of a memory or register access.
struct PooledPayload : tlm::tlm_generic_payload {
    explicit PooledPayload(tlm::tlm_mm_interface *mm);
    ~PooledPayload() override;
    PooledPayload(const PooledPayload &) = delete;
    PooledPayload &operator=(const PooledPayload &) = delete;

    IommuExtension extension;
    PooledPayload *next_free = nullptr;
    // Payloads that went to foreign modules (foreign_target.h).
    void *outer = nullptr;    ///< msg->carrier before: the payload of an earlier hop
    bool went_abroad = false; ///< they may have left extensions of theirs
    bool second_leg = false;  ///< the write of a compare-and-swap
};

/// Memory manager: payloads are made once and used again, none is freed before the pool.
class PayloadPool final : public tlm::tlm_mm_interface
{
  public:
    PayloadPool() = default;
    PayloadPool(const PayloadPool &) = delete;
    PayloadPool &operator=(const PayloadPool &) = delete;

    /// A payload for `msg`, with a reference count of one. msg->carrier points to it until it is freed.
    PooledPayload &take(iom_msg &msg)
    {
        if (free_ == nullptr)
            grow();
        PooledPayload &payload = *free_;
        free_ = payload.next_free;
        in_use_++;
        payload.extension.msg = &msg;
        msg.carrier = &payload;
        payload.acquire();
        return payload;
    }
    /// Called by tlm_generic_payload::release when the last reference is gone.
    void free(tlm::tlm_generic_payload *payload) override;

    uint64_t in_use() const
    {
        return in_use_;
    }
    uint64_t made() const
    {
        return made_.size();
    }

  private:
    void grow();

    std::vector<std::unique_ptr<PooledPayload>> made_;
    PooledPayload *free_ = nullptr;
    uint64_t in_use_ = 0;
};

/// Sets command, address, length and data pointer of `payload` to what `msg` asks for (table above).
void describe_message(const iom_msg &msg, tlm::tlm_generic_payload &payload);

/// True if no response comes back for this kind of message.
inline bool is_one_way(const iom_msg &msg)
{
    return msg.kind == IOM_MSG_REPORT || msg.kind == IOM_MSG_PROBE || msg.kind == IOM_MSG_QUEUE_SETUP ||
           msg.kind == IOM_MSG_QUEUE_EVENT || msg.kind == IOM_MSG_PAGE_RESPONSE ||
           msg.kind == IOM_MSG_WALK_CONTEXT || msg.kind == IOM_MSG_AXI_EVENT ||
           msg.kind == IOM_MSG_AXI_RELEASE;
}

} // namespace iommu_sim

#endif
