// SPDX-License-Identifier: Apache-2.0
//
// Queues of a RISC-V IOMMU from software's side: see riscv_queues.h.
#include "models/verify/riscv_queues.h"

#include "core/arch/riscv/riscv.h"

namespace iommu_sim::verify::riscv
{

namespace
{

constexpr size_t word_bytes = 8;

void write_word(uint64_t address, uint64_t value, bool big_endian, Target &target)
{
    std::array<uint8_t, word_bytes> bytes = {};
    for (size_t i = 0; i < word_bytes; i++)
        bytes[big_endian ? word_bytes - 1 - i : i] = static_cast<uint8_t>(value >> (8 * i));
    target.write_memory(address, bytes.data(), bytes.size());
}

// What both kinds of records have at the same place.
template <typename Entry> void read_origin(uint64_t word, Entry *entry)
{
    entry->process = static_cast<uint32_t>(iom_bits(word, 31, 12));
    entry->has_process = iom_bits(word, 32, 32) != 0;
    entry->priv = iom_bits(word, 33, 33) != 0;
    entry->device = static_cast<uint32_t>(iom_bits(word, 63, 40));
}

} // namespace

QueuePlace locate(Queue queue, Target &target)
{
    struct Registers {
        uint32_t base, head, tail, entry_bytes;
    };
    static constexpr Registers registers[] = {
        {IOM_RISCV_CQB, IOM_RISCV_CQH, IOM_RISCV_CQT, 16},
        {IOM_RISCV_FQB, IOM_RISCV_FQH, IOM_RISCV_FQT, 32},
        {IOM_RISCV_PQB, IOM_RISCV_PQH, IOM_RISCV_PQT, 16},
    };
    const Registers &at = registers[static_cast<size_t>(queue)];
    const uint64_t base = target.read_register(at.base, 8);
    QueuePlace place;
    place.base = iom_bits(base, 53, 10) << IOM_PAGE_LOG2;
    place.entries = uint32_t{2} << (iom_bits(base, 4, 0) & 31);
    place.entry_bytes = at.entry_bytes;
    place.head = static_cast<uint32_t>(target.read_register(at.head, 4));
    place.tail = static_cast<uint32_t>(target.read_register(at.tail, 4));
    place.big_endian = (target.read_register(IOM_RISCV_FCTL, 4) & IOM_RISCV_FCTL_BE) != 0;
    return place;
}

FaultEntry read_fault(const QueuePlace &place, uint32_t index, Target &target)
{
    const uint64_t at = place.address(index);
    const uint64_t origin = target.read_word(at, place.big_endian);
    FaultEntry entry;
    read_origin(origin, &entry);
    entry.cause = static_cast<uint32_t>(iom_bits(origin, 11, 0));
    entry.transaction = static_cast<uint32_t>(iom_bits(origin, 39, 34));
    entry.iotval = target.read_word(at + 2 * word_bytes, place.big_endian);
    entry.iotval2 = target.read_word(at + 3 * word_bytes, place.big_endian);
    return entry;
}

PageEntry read_page_request(const QueuePlace &place, uint32_t index, Target &target)
{
    const uint64_t at = place.address(index);
    const uint64_t origin = target.read_word(at, place.big_endian);
    PageEntry entry;
    read_origin(origin, &entry);
    entry.exec = iom_bits(origin, 34, 34) != 0;
    entry.payload = target.read_word(at + word_bytes, place.big_endian);
    return entry;
}

void store_command(const QueuePlace &place, const std::array<uint64_t, 2> &words, Target &target)
{
    for (unsigned i = 0; i < words.size(); i++)
        write_word(place.address(place.tail) + word_bytes * i, words[i], place.big_endian, target);
}

void set_command_tail(uint32_t tail, Target &target)
{
    target.write_register(IOM_RISCV_CQT, 4, tail);
    target.settle();
}

} // namespace iommu_sim::verify::riscv
