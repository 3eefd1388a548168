// SPDX-License-Identifier: Apache-2.0
//
// The software side of the RISC-V command queue: what it encodes, the hardware decodes to what was meant, and
// removes the entries that are meant; the start-up sequence leaves a running IOMMU. Encodings themselves are
// those of the specification (riscv_decode_test.cpp).
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_software.h"

namespace
{

using riscv_test::Software;

enum Offset : uint32_t { ddtp = 16, fqb = 40, fqcsr = 76 };

iom_riscv_software_settings settings_of(iom_riscv_software_mode mode, uint8_t process_bits = 0)
{
    iom_riscv_software_settings settings = iom_riscv_software_defaults(mode);
    settings.process_bits = process_bits;
    settings.guest = 0x1234;
    return settings;
}

iom_riscv_config without(std::initializer_list<unsigned> bits)
{
    iom_riscv_config config = riscv_test::full_config();
    for (const unsigned bit : bits)
        config.capabilities &= ~riscv_test::bit(bit);
    return config;
}

class Commands
{
  public:
    explicit Commands(iom_riscv_software_mode mode, uint8_t process_bits = 0,
                      const iom_riscv_config &hardware = riscv_test::full_config())
        : software(settings_of(mode, process_bits), hardware)
    {
        EXPECT_NE(software.get(), nullptr) << software.error;
        EXPECT_EQ(ops.set_queue(software.get(), 0x40000, 13), IOM_SOFTWARE_OK);
        software.start();
    }

    iom_command decode(const uint64_t *words)
    {
        iom_queue_setup setup = {};
        iom_command command = {};
        iom_riscv_ops.queue(&software.registers.arch, software.registers.state(), &setup);
        iom_riscv_ops.decode(&software.registers.arch, &setup, words, &command);
        return command;
    }
    /// Encodes and decodes; must be possible.
    iom_command round_trip(const iom_flush &flush)
    {
        uint64_t words[IOM_COMMAND_WORDS] = {1, 2, 3, 4}; // all are written
        EXPECT_EQ(ops.encode_flush(software.get(), &flush, words), IOM_SOFTWARE_OK) << flush.kind;
        EXPECT_EQ(words[2] | words[3], 0u);
        return decode(words);
    }
    uint32_t targets_of(const iom_flush &flush)
    {
        const iom_command command = round_trip(flush);
        return iom_invalidation_targets(&command.invalidation);
    }
    bool is_refused(const iom_flush &flush)
    {
        uint64_t words[IOM_COMMAND_WORDS];
        return ops.encode_flush(software.get(), &flush, words) == IOM_SOFTWARE_REFUSED;
    }

    Software software;
    const iom_software_ops &ops = iom_riscv_software_ops;
};

// ---- what is removed ------------------------------------------------------------------------------

struct Mode {
    const char *name;
    iom_riscv_software_mode mode;
    uint8_t process_bits;
};

/// Two devices (or processes of one device) in two domains, each with two pages in every cache.
class RiscvFlushes : public ::testing::TestWithParam<Mode>
{
  protected:
    struct Entry {
        uint32_t domain;
        uint64_t page;
        uint8_t what;
        iom_tag tag;
    };
    static constexpr uint32_t one = 0x765, other = 0x766;
    static constexpr uint64_t page = 0x40001000, further = 0x40002000;

    bool processes() const
    {
        return GetParam().process_bits != 0;
    }
    uint32_t source(uint32_t domain) const
    {
        return processes() ? 0x1beef : 0x10000 + domain;
    }
    uint32_t pasid(uint32_t domain) const
    {
        return processes() ? 0xa0 + (domain & 0xf) : IOM_NO_PASID;
    }

    void SetUp() override
    {
        for (const uint32_t domain : {one, other}) {
            iom_software *software = commands.software.get();
            ASSERT_EQ(
                commands.ops.attach(software, source(domain), pasid(domain), domain, IOM_SOFTWARE_TRANSLATE),
                IOM_SOFTWARE_OK);
            for (const uint64_t iova : {page, further}) {
                ASSERT_EQ(commands.ops.map(software, domain, iova, 0x5000000, 12, IOM_PERM_READ, nullptr),
                          IOM_SOFTWARE_OK);
                for (const auto &[what, tag] : commands.software.fills(iova, source(domain), pasid(domain)))
                    entries.push_back({domain, iova, what, tag});
            }
        }
        ASSERT_EQ(entries.size(), processes() ? 12u : 8u);
    }

    iom_flush flush_of(iom_flush_kind kind) const
    {
        iom_flush flush = {};
        flush.kind = kind;
        flush.domain = one;
        flush.source = source(one);
        flush.pasid = pasid(one);
        flush.iova = page;
        flush.leaf_only = true;
        return flush;
    }

    /// `goes` says which entries the command has to remove; all others must stay.
    template <class Goes> void expect(const iom_flush &flush, Goes goes)
    {
        const iom_command command = commands.round_trip(flush);
        ASSERT_EQ(command.kind, IOM_COMMAND_INVALIDATE) << flush.kind;
        for (const Entry &entry : entries)
            EXPECT_EQ(iom_invalidation_covers(&command.invalidation, 1u << entry.what, &entry.tag),
                      goes(entry))
                << "flush " << flush.kind << ", domain " << std::hex << entry.domain << ", page "
                << entry.page << ", look-up " << unsigned{entry.what};
    }

    Commands commands{GetParam().mode, GetParam().process_bits};
    std::vector<Entry> entries;
};

TEST_P(RiscvFlushes, RemoveWhatIsMeantAndNothingElse)
{
    const auto directory = [](const Entry &e) { return e.what != IOM_LOOKUP_IOTLB; };
    const auto translation = [](const Entry &e) { return e.what == IOM_LOOKUP_IOTLB; };
    const auto mine = [](const Entry &e) { return e.domain == one; };
    expect(flush_of(IOM_FLUSH_CONTEXT_ALL), directory);
    expect(flush_of(IOM_FLUSH_CONTEXT_DOMAIN), directory); // contexts know no domains
    expect(flush_of(IOM_FLUSH_CONTEXT_DEVICE),
           [&](const Entry &e) { return directory(e) && (processes() || mine(e)); });
    expect(flush_of(IOM_FLUSH_IOTLB_ALL), translation);
    for (const iom_flush_kind kind : {IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_SPACE_ALL})
        expect(flush_of(kind), [&](const Entry &e) { return translation(e) && mine(e); });
    for (const iom_flush_kind kind : {IOM_FLUSH_IOTLB_PAGES, IOM_FLUSH_SPACE_PAGES})
        expect(flush_of(kind), [&](const Entry &e) { return translation(e) && mine(e) && e.page == page; });
    if (!processes()) {
        for (const iom_flush_kind kind : {IOM_FLUSH_PASID_ALL, IOM_FLUSH_PASID_DOMAIN, IOM_FLUSH_PASID_ONE})
            EXPECT_TRUE(commands.is_refused(flush_of(kind)));
        return;
    }
    for (const iom_flush_kind kind : {IOM_FLUSH_PASID_ALL, IOM_FLUSH_PASID_DOMAIN})
        expect(flush_of(kind), directory);
    expect(flush_of(IOM_FLUSH_PASID_ONE),
           [&](const Entry &e) { return e.what == IOM_LOOKUP_PASID && mine(e); });
}

TEST_P(RiscvFlushes, RangesAndTables)
{
    iom_flush flush = flush_of(IOM_FLUSH_IOTLB_PAGES);
    flush.iova = 0x40000000;
    for (const unsigned pages_log2 : {2u, 5u, 18u}) {
        flush.pages_log2 = static_cast<uint8_t>(pages_log2);
        expect(flush, [](const Entry &e) { return e.what == IOM_LOOKUP_IOTLB && e.domain == one; });
    }
    flush.pages_log2 = 1; // 0x40000000 and 0x40001000
    expect(flush,
           [](const Entry &e) { return e.what == IOM_LOOKUP_IOTLB && e.domain == one && e.page == page; });
    flush.iova = 0x40001000; // not aligned
    EXPECT_TRUE(commands.is_refused(flush));
    flush.iova = 0;
    flush.pages_log2 = 51;
    expect(flush, [](const Entry &e) { return e.what == IOM_LOOKUP_IOTLB && e.domain == one; });

    // With NL, an address reaches structures too.
    flush = flush_of(IOM_FLUSH_IOTLB_PAGES);
    EXPECT_EQ(commands.targets_of(flush) & IOM_INVALIDATE_PSC, 0u);
    flush.leaf_only = false;
    EXPECT_NE(commands.targets_of(flush) & IOM_INVALIDATE_PSC, 0u);
    expect(flush,
           [](const Entry &e) { return e.what == IOM_LOOKUP_IOTLB && e.domain == one && e.page == page; });
}

INSTANTIATE_TEST_SUITE_P(Modes, RiscvFlushes,
                         ::testing::Values(Mode{"First", IOM_RISCV_SOFTWARE_FIRST_STAGE, 0},
                                           Mode{"FirstProcesses", IOM_RISCV_SOFTWARE_FIRST_STAGE, 20},
                                           Mode{"Second", IOM_RISCV_SOFTWARE_SECOND_STAGE, 0},
                                           Mode{"Nested", IOM_RISCV_SOFTWARE_NESTED, 0},
                                           Mode{"NestedProcesses", IOM_RISCV_SOFTWARE_NESTED, 8}),
                         [](const ::testing::TestParamInfo<Mode> &mode) { return mode.param.name; });

// ---- without extensions ---------------------------------------------------------------------------

TEST(RiscvCommands, WithoutRangesAPageTakesACommand)
{
    Commands commands(IOM_RISCV_SOFTWARE_FIRST_STAGE, 0, without({riscv_test::s, riscv_test::nl}));
    iom_queue_registers registers;
    commands.ops.queue_registers(commands.software.get(), &registers);
    EXPECT_EQ(registers.largest_pages_log2, 0);
    EXPECT_EQ(registers.page_commands, 512u);
    iom_flush flush = {};
    flush.kind = IOM_FLUSH_IOTLB_PAGES;
    flush.domain = 5;
    flush.iova = 0x7000;
    flush.leaf_only = true;
    iom_command command = commands.round_trip(flush);
    EXPECT_EQ(command.kind, IOM_COMMAND_INVALIDATE);
    EXPECT_EQ(command.invalidation.part[0].match.first, 0x7000u);
    EXPECT_EQ(command.invalidation.part[0].match.last, 0x7fffu);
    flush.pages_log2 = 1;
    flush.iova = 0x6000;
    EXPECT_TRUE(commands.is_refused(flush));
    // Structures go with the whole address space.
    flush.pages_log2 = 0;
    flush.leaf_only = false;
    command = commands.round_trip(flush);
    EXPECT_EQ(command.kind, IOM_COMMAND_INVALIDATE);
    EXPECT_NE(iom_invalidation_targets(&command.invalidation) & IOM_INVALIDATE_PSC, 0u);
    EXPECT_EQ(command.invalidation.part[0].match.fields & (IOM_TAG_SPAN | IOM_TAG_INTERMEDIATE), 0u);
}

// ---- device TLBs ----------------------------------------------------------------------------------

TEST(RiscvCommands, DeviceFlushes)
{
    Commands commands(IOM_RISCV_SOFTWARE_FIRST_STAGE, 20);
    for (const uint32_t source : {0x1234u, 0xab1234u}) {
        iom_flush flush = {};
        flush.source = source;
        flush.pasid = 0xabcde;
        flush.iova = 0x123448000;
        for (const iom_flush_kind kind : {IOM_FLUSH_DEVICE_ALL, IOM_FLUSH_DEVICE_PAGES,
                                          IOM_FLUSH_DEVICE_SPACE, IOM_FLUSH_DEVICE_SPACE_PAGES}) {
            for (const unsigned pages_log2 : {0u, 1u, 3u}) {
                const bool all = kind == IOM_FLUSH_DEVICE_ALL || kind == IOM_FLUSH_DEVICE_SPACE;
                const bool space = kind == IOM_FLUSH_DEVICE_SPACE || kind == IOM_FLUSH_DEVICE_SPACE_PAGES;
                flush.kind = kind;
                flush.pages_log2 = static_cast<uint8_t>(pages_log2);
                const iom_command command = commands.round_trip(flush);
                ASSERT_EQ(command.kind, IOM_COMMAND_INVALIDATE);
                ASSERT_TRUE(command.invalidation.has_device);
                EXPECT_EQ(command.invalidation.parts, 0);
                const iom_device_invalidation &device = command.invalidation.device;
                EXPECT_EQ(device.stream, source);
                EXPECT_EQ(device.has_segment, source > 0xffff);
                EXPECT_EQ(device.has_pasid, space);
                EXPECT_EQ(device.pasid, space ? 0xabcdeu : 0u);
                EXPECT_EQ(device.first, all ? 0 : flush.iova);
                EXPECT_EQ(device.last, all ? UINT64_MAX : flush.iova + (uint64_t{4096} << pages_log2) - 1);
            }
        }
    }
    Commands none(IOM_RISCV_SOFTWARE_FIRST_STAGE, 0, without({riscv_test::ats, 26}));
    iom_flush flush = {};
    flush.kind = IOM_FLUSH_DEVICE_ALL;
    EXPECT_TRUE(none.is_refused(flush));
}

// ---- fences ---------------------------------------------------------------------------------------

TEST(RiscvCommands, Fences)
{
    Commands commands(IOM_RISCV_SOFTWARE_FIRST_STAGE);
    uint64_t words[IOM_COMMAND_WORDS] = {1, 2, 3, 4};
    iom_sync sync = {};
    sync.write_status = true;
    sync.address = 0x123456789abc;
    sync.status = 0xdeadbeef;
    ASSERT_EQ(commands.ops.encode_sync(commands.software.get(), &sync, words), IOM_SOFTWARE_OK);
    iom_command command = commands.decode(words);
    ASSERT_EQ(command.kind, IOM_COMMAND_WAIT);
    EXPECT_TRUE(command.wait.write_status);
    EXPECT_EQ(command.wait.address, sync.address);
    EXPECT_EQ(command.wait.status, sync.status);
    EXPECT_EQ(command.wait.status_bytes, 4);
    EXPECT_TRUE(command.wait.drain_reads);
    EXPECT_TRUE(command.wait.drain_writes);
    EXPECT_FALSE(command.wait.interrupt);

    sync.address++;
    EXPECT_EQ(commands.ops.encode_sync(commands.software.get(), &sync, words), IOM_SOFTWARE_REFUSED);
    sync.write_status = false;
    ASSERT_EQ(commands.ops.encode_sync(commands.software.get(), &sync, words), IOM_SOFTWARE_OK);
    command = commands.decode(words);
    EXPECT_EQ(command.kind, IOM_COMMAND_WAIT);
    EXPECT_FALSE(command.wait.write_status);
    sync.drain_page_requests = true; // no such operand
    EXPECT_EQ(commands.ops.encode_sync(commands.software.get(), &sync, words), IOM_SOFTWARE_REFUSED);
    sync.drain_page_requests = false;
    sync.interrupt = true; // only where interrupts are wires
    EXPECT_EQ(commands.ops.encode_sync(commands.software.get(), &sync, words), IOM_SOFTWARE_REFUSED);
    iom_riscv_config wired = riscv_test::full_config();
    wired.fctl = IOM_RISCV_FCTL_WSI;
    Commands with_wires(IOM_RISCV_SOFTWARE_FIRST_STAGE, 0, wired);
    ASSERT_EQ(with_wires.ops.encode_sync(with_wires.software.get(), &sync, words), IOM_SOFTWARE_OK);
    command = with_wires.decode(words);
    EXPECT_EQ(command.kind, IOM_COMMAND_WAIT);
    EXPECT_TRUE(command.wait.interrupt);
}

// ---- refusals -------------------------------------------------------------------------------------

TEST(RiscvCommands, WhatCannotBeExpressedIsRefused)
{
    Commands commands(IOM_RISCV_SOFTWARE_FIRST_STAGE, 8);
    const auto refused = [&](iom_flush_kind kind, void (*change)(iom_flush &)) {
        iom_flush flush = {};
        flush.kind = kind;
        EXPECT_EQ(commands.is_refused(flush), kind == IOM_FLUSH_INTERRUPTS) << kind;
        change(flush);
        return commands.is_refused(flush);
    };
    EXPECT_TRUE(refused(IOM_FLUSH_IOTLB_DOMAIN, [](iom_flush &f) { f.domain = 1 << 16; }));
    EXPECT_TRUE(refused(IOM_FLUSH_CONTEXT_DEVICE, [](iom_flush &f) { f.source = 1 << 24; }));
    EXPECT_TRUE(refused(IOM_FLUSH_CONTEXT_DEVICE, [](iom_flush &f) { f.function_mask = 1; }));
    EXPECT_TRUE(refused(IOM_FLUSH_PASID_ONE, [](iom_flush &f) { f.pasid = 256; }));
    EXPECT_TRUE(refused(IOM_FLUSH_DEVICE_SPACE, [](iom_flush &f) { f.pasid = 1 << 20; }));
    EXPECT_TRUE(refused(IOM_FLUSH_INTERRUPTS, [](iom_flush &) {}));
    EXPECT_EQ(commands.ops.set_queue(commands.software.get(), 0x1000, 13), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(commands.ops.set_queue(commands.software.get(), 0, 11), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(commands.ops.set_queue(commands.software.get(), uint64_t{1} << 56, 12), IOM_SOFTWARE_REFUSED);
}

// ---- registers ------------------------------------------------------------------------------------

TEST(RiscvCommands, StartUpLeavesARunningIommu)
{
    for (const uint8_t levels : {1, 2, 3}) {
        iom_riscv_software_settings settings = settings_of(IOM_RISCV_SOFTWARE_FIRST_STAGE);
        settings.directory_levels = levels;
        Software software(settings);
        const iom_software_ops &ops = software.ops;
        ASSERT_EQ(ops.set_queue(software.get(), 0x40000, 13), IOM_SOFTWARE_OK);
        // As firmware may leave it: with another directory.
        software.registers.write(ddtp, 8, uint64_t{0x99} << 10 | 2);
        software.registers.done(IOM_ACTION_UPDATE_VIEW);
        software.start();
        const iom_view view = software.registers.view();
        EXPECT_TRUE(view.enabled);
        EXPECT_EQ(software.registers.read(ddtp, 8) & 0xf, levels + 1u);
        EXPECT_EQ(software.taken.count(view.root), 1u);

        iom_queue_setup setup = {};
        iom_riscv_ops.queue(&software.registers.arch, software.registers.state(), &setup);
        EXPECT_TRUE(setup.enabled);
        EXPECT_EQ(setup.base, 0x40000u);
        EXPECT_EQ(setup.bytes, 0x2000u);
        EXPECT_EQ(setup.tail, 0u);
        iom_queue_registers registers;
        ops.queue_registers(software.get(), &registers);
        EXPECT_EQ(registers.command_bytes, setup.command_bytes);
        EXPECT_EQ(registers.capacity_bytes, setup.bytes);
        EXPECT_TRUE(registers.page_selective);

        iom_register_write bell;
        ops.doorbell(software.get(), 0x60, &bell);
        EXPECT_EQ(software.registers.write(bell.offset, bell.bytes, bell.value), 1u << IOM_ACTION_DOORBELL);
        iom_riscv_ops.queue(&software.registers.arch, software.registers.state(), &setup);
        EXPECT_EQ(setup.tail, 0x60u);

        // The fault queue is on, in memory of its own.
        EXPECT_EQ(software.registers.read(fqcsr, 4) & 0x30001, 0x10001u);
        const uint64_t base = software.registers.read(fqb, 8);
        EXPECT_EQ(base & 0x1f, 6u);
        EXPECT_EQ(software.taken.count(base >> 10 << 12), 1u);
        EXPECT_NE(base >> 10 << 12, view.root);
    }
}

TEST(RiscvCommands, ErrorsAreFoundAndCleared)
{
    Commands commands(IOM_RISCV_SOFTWARE_FIRST_STAGE);
    riscv_test::Registers &registers = commands.software.registers;
    iom_queue_registers queue;
    commands.ops.queue_registers(commands.software.get(), &queue);
    const struct {
        iom_queue_event_kind kind;
        bool fatal, timeout;
    } cases[] = {
        {IOM_QUEUE_INVALID, true, false}, {IOM_QUEUE_ACCESS, true, false}, {IOM_QUEUE_TIMEOUT, false, true}};
    for (const auto &error : cases) {
        iom_queue_setup setup = {};
        iom_riscv_ops.queue(&registers.arch, registers.state(), &setup);
        iom_queue_event event = {};
        event.kind = static_cast<uint8_t>(error.kind);
        event.generation = setup.generation;
        event.head = 0x70;
        iom_riscv_ops.queue_event(&registers.arch, registers.state(), &event);
        const uint64_t status = registers.read(queue.error_offset, 4);
        EXPECT_EQ((status & queue.error_fatal) != 0, error.fatal);
        EXPECT_EQ((status & queue.error_timeout) != 0, error.timeout);
        EXPECT_EQ(registers.read(queue.head_offset, queue.head_bytes) * queue.head_unit, 0x70u);
        iom_riscv_ops.queue(&registers.arch, registers.state(), &setup);
        EXPECT_FALSE(setup.enabled);
        registers.write(queue.error_offset, 4,
                        (status & (queue.error_fatal | queue.error_timeout)) | queue.error_keep);
        iom_riscv_ops.queue(&registers.arch, registers.state(), &setup);
        EXPECT_TRUE(setup.enabled);
        EXPECT_EQ(setup.head, 0x70u);
    }
}

} // namespace
