// SPDX-License-Identifier: Apache-2.0
//
// A RISC-V IOMMU with memory and tables for tests; see riscv_tables.h.
#include "tests/arch/support/riscv_tables.h"

#include <gtest/gtest.h>

namespace riscv_test
{

uint64_t swap64(uint64_t value)
{
    uint64_t result = 0;
    for (unsigned i = 0; i < 8; i++)
        result = result << 8 | (value >> 8 * i & 0xff);
    return result;
}

Machine::Machine(const iom_riscv_config &configuration)
    : config(configuration), memory_(iom_memory_image_create())
{
    const char *problem = iom_riscv_config_finish(&config);
    EXPECT_EQ(problem, nullptr) << problem;
    arch.ops = &iom_riscv_ops;
    arch.config = &config;
    EXPECT_TRUE(iom_memory_image_add_range(memory_.get(), 0, bit(config.derived.address_bits) - 1));
    view.extra[IOM_RISCV_VIEW_FCTL] = config.fctl;
    directory(1);
}

void Machine::put(uint64_t address, uint64_t value)
{
    EXPECT_TRUE(iom_memory_image_write(memory_.get(), address, &value, 8));
}

uint64_t Machine::get(uint64_t address) const
{
    uint64_t value = 0;
    EXPECT_TRUE(iom_memory_image_read(memory_.get(), address, &value, 8));
    return value;
}

uint64_t Machine::pages(unsigned count)
{
    uint64_t bytes = uint64_t{count} * 4096;
    uint64_t first = (next_page_ + bytes - 1) / bytes * bytes;
    next_page_ = first + bytes;
    return first;
}

void Machine::mark(uint64_t address, iom_access access)
{
    EXPECT_TRUE(iom_memory_image_mark(memory_.get(), address, access));
}

void Machine::directory(unsigned levels)
{
    levels_ = levels;
    view.enabled = 1;
    view.root = pages();
    view.extra[IOM_RISCV_VIEW_MODE] = levels + 1;
    for (const auto &[device_id, context] : devices_)
        device(context, device_id);
}

uint64_t Machine::directory_entry(uint32_t device_id)
{
    bool extended = config.capabilities >> msi_flat & 1;
    unsigned low_bits = extended ? 6 : 7;
    uint64_t at = view.root;
    for (unsigned level = levels_ - 1; level > 0; level--) {
        uint64_t index = level == 1 ? device_id >> low_bits & 0x1ff : device_id >> (low_bits + 9);
        at += index * 8;
        if (get(at) == 0)
            put(at, entry(pages(), V));
        at = get(at) >> 10 << 12;
    }
    return at + (device_id & (bit(low_bits) - 1)) * (extended ? 64 : 32);
}

uint64_t Machine::device(const DeviceContext &context, uint32_t device_id)
{
    const uint64_t words[] = {context.tc,     context.iohgatp,  context.ta,          context.fsc,
                              context.msiptp, context.msi_mask, context.msi_pattern, context.reserved};
    bool extended = config.capabilities >> msi_flat & 1;
    bool big = view.extra[IOM_RISCV_VIEW_FCTL] & 1;
    uint64_t at = directory_entry(device_id);
    devices_[device_id] = context;
    for (unsigned i = 0; i < (extended ? 8u : 4u); i++)
        put(at + 8 * i, big ? swap64(words[i]) : words[i]);
    return at;
}

Table Machine::table(unsigned mode, bool narrow, bool guest, bool big)
{
    return Table{pages(guest ? 4 : 1), mode, narrow, guest, big};
}

uint64_t Machine::entry_at(const Table &table, uint64_t address) const
{
    uint64_t word = get(address & ~uint64_t{7});
    if (!table.narrow)
        return table.big ? swap64(word) : word;
    uint64_t half = word >> (address & 4 ? 32 : 0) & 0xffffffff;
    return table.big ? swap64(half) >> 32 : half;
}

void Machine::set_entry(const Table &table, uint64_t address, uint64_t value)
{
    if (!table.narrow) {
        put(address, table.big ? swap64(value) : value);
        return;
    }
    unsigned shift = address & 4 ? 32 : 0;
    uint64_t half = table.big ? swap64(value) >> 32 : value;
    uint64_t word = get(address & ~uint64_t{7});
    put(address & ~uint64_t{7}, (word & ~(uint64_t{0xffffffff} << shift)) | half << shift);
}

uint64_t Machine::identity(const Table &guest, uint64_t address, uint64_t flags)
{
    return map(guest, address, entry(address, flags));
}

uint64_t Machine::map(const Table &table, uint64_t address, uint64_t value, unsigned level,
                      const Table *guest)
{
    unsigned index_bits = table.narrow ? 10 : 9;
    uint64_t at = table.root;
    for (unsigned i = table.levels();; i--) {
        unsigned bits = index_bits + (table.guest && i == table.levels() ? 2 : 0);
        at += (address >> table.shift(i) & (bit(bits) - 1)) * (table.narrow ? 4 : 8);
        if (guest != nullptr)
            identity(*guest, at & ~uint64_t{0xfff});
        if (i == level)
            break;
        if (entry_at(table, at) == 0)
            set_entry(table, at, entry(pages(), V));
        at = (entry_at(table, at) & range(53, 10)) << 2;
    }
    set_entry(table, at, value);
    return at;
}

iom_access Machine::read(void *self, uint64_t address, void *data, unsigned bytes)
{
    auto *machine = static_cast<Machine *>(self);
    machine->reads.push_back(address);
    return iom_memory_image_fetch(machine->memory_.get(), address, data, bytes);
}

iom_access Machine::swap(void *self, uint64_t address, uint64_t expected, uint64_t desired, uint64_t *found)
{
    auto *machine = static_cast<Machine *>(self);
    if (machine->refuse_updates)
        return IOM_ACCESS_REFUSED;
    if (machine->disturb_with != 0)
        machine->put(machine->disturb_at, machine->get(machine->disturb_at) | machine->disturb_with);
    machine->disturb_with = 0;
    *found = machine->get(address);
    if (*found == expected) {
        machine->put(address, desired);
        machine->updates++;
    }
    return IOM_ACCESS_OK;
}

iom_xlate Machine::translate(const Request &request)
{
    iom_xlate x{};
    x.address = request.address;
    x.bytes = 1;
    x.source = request.device;
    x.pasid = request.process;
    x.flags = static_cast<uint16_t>(request.flags);
    iom_functional_memory memory{this, read, swap};
    reads.clear();
    iom_translate_functional(&arch, &view, &memory, &x);
    return x;
}

} // namespace riscv_test
