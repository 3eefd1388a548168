// SPDX-License-Identifier: Apache-2.0
//
// The in-memory queues of a RISC-V IOMMU as software sees them: where they lie, records read back, commands
// appended. All through a target's registers and memory, as a driver would.
//
// Source: RISC-V IOMMU Architecture Specification 1.0, "In-memory queues" and the registers cqb to pqt.
#ifndef IOM_MODELS_VERIFY_RISCV_QUEUES_H
#define IOM_MODELS_VERIFY_RISCV_QUEUES_H

#include <array>
#include <cstdint>

#include "models/verify/riscv_vector.h"
#include "models/verify/target.h"

namespace iommu_sim::verify::riscv
{

enum class Queue { command, fault, page_request };

/// A queue as its registers describe it.
struct QueuePlace {
    uint64_t base = 0;
    uint32_t entries = 0, entry_bytes = 0;
    uint32_t head = 0, tail = 0; ///< indices
    bool big_endian = false;     ///< fctl.BE

    uint64_t address(uint32_t index) const
    {
        return base + uint64_t{index} * entry_bytes;
    }
    uint32_t next(uint32_t index) const
    {
        return (index + 1) % entries;
    }
};

QueuePlace locate(Queue queue, Target &target);
FaultEntry read_fault(const QueuePlace &place, uint32_t index, Target &target);
PageEntry read_page_request(const QueuePlace &place, uint32_t index, Target &target);
/// Stores a command (logical doublewords) at the tail; the doorbell is the caller's.
void store_command(const QueuePlace &place, const std::array<uint64_t, 2> &words, Target &target);
/// Rings the doorbell and waits.
void set_command_tail(uint32_t tail, Target &target);

} // namespace iommu_sim::verify::riscv

#endif
