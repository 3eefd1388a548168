// SPDX-License-Identifier: Apache-2.0
//
// Payload pool and the mapping from messages to generic payloads. See iommu_payload.h.
#include "models/systemc/iommu_payload.h"

#include "core/control.h"
#include "core/memory.h"

namespace iommu_sim
{

tlm::tlm_extension_base *IommuExtension::clone() const
{
    auto *copy = new IommuExtension;
    copy->copy_from(*this);
    return copy;
}

void IommuExtension::copy_from(const tlm::tlm_extension_base &other)
{
    const auto &from = static_cast<const IommuExtension &>(other);
    source_id = from.source_id;
    pasid = from.pasid;
    has_pasid = from.has_pasid;
    privileged = from.privileged;
    execute = from.execute;
    address_type = from.address_type;
    outcome = from.outcome;
    size_log2 = from.size_log2;
    permissions = from.permissions;
    fault_code = from.fault_code;
    translated = from.translated;
    // A copy is another transaction: it does not own the message.
    msg = nullptr;
    arrival = 0;
}

PooledPayload::PooledPayload(tlm::tlm_mm_interface *mm) : tlm::tlm_generic_payload(mm)
{
    set_extension(&extension);
}

PooledPayload::~PooledPayload()
{
    clear_extension<IommuExtension>(); // a member: the base class must not free it
}

void PayloadPool::free(tlm::tlm_generic_payload *payload)
{
    auto &own = static_cast<PooledPayload &>(*payload);
    if (own.extension.msg != nullptr) {
        own.extension.msg->carrier = nullptr;
        own.extension.msg = nullptr;
    }
    if (own.went_abroad) {
        own.reset();
        own.set_byte_enable_ptr(nullptr);
        own.went_abroad = false;
    }
    own.next_free = free_;
    free_ = &own;
    in_use_--;
}

void PayloadPool::grow()
{
    made_.push_back(std::make_unique<PooledPayload>(this));
    free_ = made_.back().get();
}

namespace
{

void describe_request(const iom_xlate &x, IommuExtension *extension)
{
    if (extension == nullptr)
        return;
    extension->source_id = x.source;
    extension->pasid = x.pasid;
    extension->has_pasid = (x.flags & IOM_REQ_PASID) != 0;
    extension->privileged = (x.flags & IOM_REQ_PRIV) != 0;
    extension->execute = (x.flags & IOM_REQ_EXEC) != 0;
    extension->address_type = (x.flags & IOM_REQ_TRANSLATE) != 0    ? AddressType::translation_request
                              : (x.flags & IOM_REQ_TRANSLATED) != 0 ? AddressType::translated
                                                                    : AddressType::untranslated;
    extension->outcome = x.outcome;
    extension->translated = 0;
    extension->fault_code = 0;
}

void describe_access(tlm::tlm_generic_payload &payload, bool write, uint64_t address, const void *data,
                     uint32_t bytes)
{
    payload.set_command(write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
    payload.set_address(address);
    payload.set_data_length(bytes);
    payload.set_streaming_width(bytes);
    // The payload's data pointer is not const because a READ fills it.
    payload.set_data_ptr(static_cast<unsigned char *>(const_cast<void *>(data)));
}

} // namespace

void describe_message(const iom_msg &msg, tlm::tlm_generic_payload &payload)
{
    switch (msg.kind) {
    case IOM_MSG_DMA: {
        const auto &dma = reinterpret_cast<const iom_dma &>(msg);
        bool known = dma.x.outcome == IOM_OUTCOME_ADDRESS || dma.x.outcome == IOM_OUTCOME_BYPASS;
        bool write = (dma.x.flags & IOM_REQ_WRITE) != 0 && (dma.x.flags & IOM_REQ_TRANSLATE) == 0;
        describe_access(payload, write, known ? dma.x.leaf.output : dma.x.address, dma.data, dma.x.bytes);
        describe_request(dma.x, payload.get_extension<IommuExtension>());
        break;
    }
    case IOM_MSG_MEMORY: {
        const auto &access = reinterpret_cast<const iom_memory_access &>(msg);
        describe_access(payload, access.op == IOM_MEMORY_WRITE, access.address, access.data, access.bytes);
        break;
    }
    case IOM_MSG_MMIO: {
        const auto &mmio = reinterpret_cast<const iom_mmio &>(msg);
        describe_access(payload, mmio.write, mmio.offset, &mmio.value, mmio.bytes);
        break;
    }
    default:
        describe_access(payload, false, 0, nullptr, 0);
        payload.set_command(tlm::TLM_IGNORE_COMMAND);
        break;
    }
}

} // namespace iommu_sim
