// SPDX-License-Identifier: Apache-2.0
//
// transport_dbg of the modules (IEEE 1666-2011, 11.3): no time, no side effects. An access through an
// IOMMU is translated page by page by the pure walk (iom_translate_pure) and goes on through the memory
// socket's transport_dbg, so that it works with memories of ours and of others.
#ifndef IOMMU_SIM_MODELS_SYSTEMC_DEBUG_ACCESS_H
#define IOMMU_SIM_MODELS_SYSTEMC_DEBUG_ACCESS_H

#include <tlm>

#include "core/arch.h"
#include "core/memory_image.h"
#include "models/systemc/port_ends.h"

namespace iommu_sim
{

/// Bytes transferred: up to the first page that does not translate or whose memory does not answer.
/// Tables are read and data is moved through `memory`. Without IommuExtension the requester is `source_id`;
/// with one, it receives the result of the first page, and a translation request moves no data.
unsigned debug_translate(const iom_arch &arch, const iom_view &view, uint32_t source_id,
                         InitiatorSocket &table, InitiatorSocket &memory, Payload &payload);

/// All bytes of `image` or none.
unsigned debug_image(iom_memory_image &image, Payload &payload);

} // namespace iommu_sim

#endif
