// SPDX-License-Identifier: Apache-2.0
//
// Debug transport. See debug_access.h.
#include "models/systemc/debug_access.h"

#include <algorithm>

namespace iommu_sim
{

namespace
{

unsigned forward(InitiatorSocket &socket, tlm::tlm_command command, uint64_t address, unsigned char *data,
                 unsigned bytes)
{
    if (socket.get_base_port().size() == 0)
        return 0;
    Payload payload;
    payload.set_command(command);
    payload.set_address(address);
    payload.set_data_ptr(data);
    payload.set_data_length(bytes);
    payload.set_streaming_width(bytes);
    return socket->transport_dbg(payload);
}

iom_access read_table(void *context, uint64_t address, void *data, unsigned bytes)
{
    auto &socket = *static_cast<InitiatorSocket *>(context);
    return iom_access_if(
        forward(socket, tlm::TLM_READ_COMMAND, address, static_cast<unsigned char *>(data), bytes) == bytes);
}

iom_xlate request(const Payload &payload, const IommuExtension *extension, uint32_t source_id)
{
    iom_xlate x{};
    uint32_t flags = IOM_REQ_PURE | (payload.is_write() ? uint32_t{IOM_REQ_WRITE} : 0u);
    x.source = source_id;
    if (extension != nullptr) {
        auto set_if = [&flags](bool condition, uint32_t bits) { flags |= condition ? bits : 0u; };
        x.source = extension->source_id;
        x.pasid = extension->has_pasid ? extension->pasid : 0;
        set_if(extension->has_pasid, IOM_REQ_PASID);
        set_if(extension->privileged, IOM_REQ_PRIV);
        set_if(extension->execute, IOM_REQ_EXEC);
        set_if(extension->address_type == AddressType::translated, IOM_REQ_TRANSLATED);
        set_if(extension->address_type == AddressType::translation_request, IOM_REQ_TRANSLATE);
    }
    x.flags = static_cast<uint16_t>(flags);
    return x;
}

void report(IommuExtension &extension, const iom_xlate &x)
{
    extension.outcome = x.outcome;
    extension.translated = x.leaf.output;
    extension.size_log2 = x.leaf.size_log2;
    extension.permissions = x.leaf.permissions;
    extension.fault_code = x.outcome == IOM_OUTCOME_FAULT ? x.fault.code : uint16_t{0};
}

} // namespace

unsigned debug_translate(const iom_arch &arch, const iom_view &view, uint32_t source_id,
                         InitiatorSocket &table, InitiatorSocket &memory, Payload &payload)
{
    auto *extension = payload.get_extension<IommuExtension>();
    const iom_xlate asked = request(payload, extension, source_id);
    const uint64_t length = payload.get_data_length();
    uint64_t done = 0;
    while (done < length) {
        iom_xlate x = asked;
        x.address = payload.get_address() + done;
        x.bytes = static_cast<uint32_t>(std::min(length - done, IOM_PAGE_BYTES - x.address % IOM_PAGE_BYTES));
        uint32_t bytes = x.bytes;
        iom_translate_pure(&arch, &view, read_table, &table, &x);
        if (extension != nullptr && done == 0)
            report(*extension, x);
        bool known = x.outcome == IOM_OUTCOME_ADDRESS || x.outcome == IOM_OUTCOME_BYPASS;
        if (!known || (asked.flags & IOM_REQ_TRANSLATE) != 0 || payload.get_data_ptr() == nullptr)
            break;
        unsigned moved =
            forward(memory, payload.get_command(), x.leaf.output, payload.get_data_ptr() + done, bytes);
        done += moved;
        if (moved != bytes)
            break;
    }
    return static_cast<unsigned>(done);
}

unsigned debug_image(iom_memory_image &image, Payload &payload)
{
    unsigned bytes = payload.get_data_length();
    bool ok = false;
    if (payload.is_read())
        ok = iom_memory_image_read(&image, payload.get_address(), payload.get_data_ptr(), bytes);
    else if (payload.is_write())
        ok = iom_memory_image_write(&image, payload.get_address(), payload.get_data_ptr(), bytes);
    return ok ? bytes : 0;
}

} // namespace iommu_sim
