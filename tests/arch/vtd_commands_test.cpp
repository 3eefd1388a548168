// SPDX-License-Identifier: Apache-2.0
//
// The software side of the invalidation queue: what it encodes, the hardware decodes to what was meant; the
// start-up sequence leaves a running queue; attachments are known to the shadow.
#include <gtest/gtest.h>

#include <vector>

#include "core/arch/vtd/vtd_tables.h"
#include "tests/arch/support/vtd_fixture.h"

namespace
{

class VtdCommands : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        open(IOM_VTD_MODE_FIRST_STAGE, vtd_all_features());
    }
    void TearDown() override
    {
        close();
    }

    void close()
    {
        if (software != nullptr)
            ops.destroy(software);
        software = nullptr;
        if (fixture.memory != nullptr)
            vtd_fixture_close(&fixture);
        fixture.memory = nullptr;
    }

    void open(iom_vtd_mode mode, const iom_vtd_features &features)
    {
        close();
        vtd_fixture_open(&fixture, &features);
        iom_vtd_software_settings settings = iom_vtd_software_defaults(mode);
        settings.device_tlb = features.device_tlb;
        settings.rid_pasid = mode == IOM_VTD_MODE_LEGACY ? 0 : 0x45;
        const iom_software_config config = {&fixture.arch, &settings};
        const iom_software_host host = {this, take, store, nullptr};
        const char *error = nullptr;
        stores.clear();
        software = ops.create(&config, &host, &error);
        ASSERT_NE(software, nullptr) << error;
    }

    static bool take(void *context, unsigned size_log2, uint64_t *address)
    {
        auto *self = static_cast<VtdCommands *>(context);
        uint64_t size = uint64_t{1} << size_log2;
        self->free = (self->free + size - 1) & ~(size - 1);
        *address = self->free;
        self->free += size;
        return true;
    }
    static bool store(void *context, const iom_store *what)
    {
        auto *self = static_cast<VtdCommands *>(context);
        self->stores.push_back(*what);
        vtd_put(&self->fixture, what->address, what->value);
        return true;
    }

    /// Encodes and decodes; null command kind INVALID with error UINT32_MAX: refused by the software side.
    iom_command round_trip(const iom_flush &flush)
    {
        iom_queue_registers registers;
        ops.queue_registers(software, &registers);
        uint64_t words[IOM_COMMAND_WORDS] = {1, 2, 3, 4}; // all are written
        iom_command command{};
        command.kind = IOM_COMMAND_INVALID;
        command.error = UINT32_MAX;
        if (ops.encode_flush(software, &flush, words) == IOM_SOFTWARE_OK) {
            iom_queue_setup setup{};
            setup.command_bytes = registers.command_bytes;
            iom_vtd_ops.decode(&fixture.arch, &setup, words, &command);
        }
        return command;
    }
    static bool refused(const iom_command &command)
    {
        return command.kind == IOM_COMMAND_INVALID && command.error == UINT32_MAX;
    }

    const iom_software_ops &ops = iom_vtd_software_ops;
    vtd_fixture fixture{};
    iom_software *software = nullptr;
    std::vector<iom_store> stores;
    uint64_t free = 0x100000;
};

iom_flush flush_of(iom_flush_kind kind)
{
    iom_flush flush{};
    flush.kind = kind;
    flush.domain = 0x123;
    flush.source = 0x142;
    flush.pasid = 0x1c5;
    flush.iova = 0x80000000;
    flush.pages_log2 = 2;
    return flush;
}

bool covers(const iom_command &command, uint32_t target, const iom_tag &tag)
{
    return iom_invalidation_covers(&command.invalidation, target, &tag);
}

TEST_F(VtdCommands, every_flush_decodes_to_what_was_meant)
{
    iom_tag tag{};
    tag.stream = 0x142;
    tag.domain = 0x123;
    tag.substream = 0x1c5;
    tag.address = 0x80003000;
    tag.size_log2 = 12;
    iom_tag other = tag;
    other.domain = 0x124;
    struct {
        iom_flush_kind kind;
        uint32_t target;
        uint8_t stage;
        bool reaches_other;
    } const table[] = {
        {IOM_FLUSH_CONTEXT_ALL, IOM_INVALIDATE_CONTEXT, 0, true},
        {IOM_FLUSH_CONTEXT_DOMAIN, IOM_INVALIDATE_CONTEXT, 0, false},
        {IOM_FLUSH_CONTEXT_DEVICE, IOM_INVALIDATE_CONTEXT, 0, false},
        {IOM_FLUSH_PASID_ALL, IOM_INVALIDATE_PASID, 0, true},
        {IOM_FLUSH_PASID_DOMAIN, IOM_INVALIDATE_PASID, 0, false},
        {IOM_FLUSH_PASID_ONE, IOM_INVALIDATE_PASID, 0, false},
        {IOM_FLUSH_IOTLB_ALL, IOM_INVALIDATE_IOTLB, 2, true},
        {IOM_FLUSH_IOTLB_DOMAIN, IOM_INVALIDATE_IOTLB, 2, false},
        {IOM_FLUSH_IOTLB_PAGES, IOM_INVALIDATE_IOTLB, 2, false},
        {IOM_FLUSH_SPACE_ALL, IOM_INVALIDATE_IOTLB, 1, false},
        {IOM_FLUSH_SPACE_PAGES, IOM_INVALIDATE_IOTLB, 1, false},
    };
    for (const auto &row : table) {
        SCOPED_TRACE(row.kind);
        iom_command command = round_trip(flush_of(row.kind));
        ASSERT_EQ(command.kind, IOM_COMMAND_INVALIDATE);
        tag.stage = other.stage = row.stage;
        EXPECT_TRUE(covers(command, row.target, tag));
        EXPECT_EQ(covers(command, row.target, other), row.reaches_other);
        EXPECT_FALSE(command.invalidation.has_device);
    }
    EXPECT_EQ(round_trip(flush_of(IOM_FLUSH_INTERRUPTS)).kind, IOM_COMMAND_ACCEPTED);
}

TEST_F(VtdCommands, ranges_and_hints)
{
    for (iom_flush_kind kind : {IOM_FLUSH_IOTLB_PAGES, IOM_FLUSH_SPACE_PAGES}) {
        iom_flush flush = flush_of(kind);
        flush.leaf_only = true;
        iom_command command = round_trip(flush);
        EXPECT_TRUE(command.invalidation.leaf_only);
        EXPECT_EQ(command.invalidation.part[0].match.first, 0x80000000u);
        EXPECT_EQ(command.invalidation.part[0].match.last, 0x80003fffu);
        flush.leaf_only = false;
        EXPECT_FALSE(round_trip(flush).invalidation.leaf_only);
        flush.pages_log2 = 18; // MAMV
        EXPECT_EQ(round_trip(flush).kind, IOM_COMMAND_INVALIDATE);
        flush.pages_log2 = 19;
        EXPECT_TRUE(refused(round_trip(flush)));
        flush.pages_log2 = 2;
        flush.iova = 0x80001000; // not aligned to the range
        EXPECT_TRUE(refused(round_trip(flush)));
    }
}

TEST_F(VtdCommands, draining_is_asked_for_where_supported)
{
    iom_command command = round_trip(flush_of(IOM_FLUSH_IOTLB_DOMAIN));
    EXPECT_TRUE(command.invalidation.drain_reads);
    EXPECT_TRUE(command.invalidation.drain_writes);
    iom_vtd_features features = vtd_all_features();
    features.drain_reads = features.drain_writes = false;
    open(IOM_VTD_MODE_LEGACY, features);
    uint64_t words[IOM_COMMAND_WORDS];
    iom_flush flush = flush_of(IOM_FLUSH_IOTLB_DOMAIN);
    ASSERT_EQ(ops.encode_flush(software, &flush, words), IOM_SOFTWARE_OK);
    EXPECT_EQ(words[0], 0x22u | 0x123 << 16);
}

TEST_F(VtdCommands, function_mask)
{
    iom_flush flush = flush_of(IOM_FLUSH_CONTEXT_DEVICE);
    flush.function_mask = 3;
    iom_tag tag{};
    tag.stream = 0x145;
    tag.domain = 0x123;
    EXPECT_TRUE(covers(round_trip(flush), IOM_INVALIDATE_CONTEXT, tag));
    flush.function_mask = 0;
    EXPECT_FALSE(covers(round_trip(flush), IOM_INVALIDATE_CONTEXT, tag));
    flush.function_mask = 4;
    EXPECT_TRUE(refused(round_trip(flush)));
}

TEST_F(VtdCommands, requests_without_pasid_use_the_default_one)
{
    iom_flush flush = flush_of(IOM_FLUSH_SPACE_ALL);
    flush.pasid = IOM_NO_PASID;
    iom_command command = round_trip(flush);
    EXPECT_EQ(command.invalidation.part[0].match.tag.substream, 0x45u);
}

TEST_F(VtdCommands, device_tlbs)
{
    for (iom_flush_kind kind : {IOM_FLUSH_DEVICE_ALL, IOM_FLUSH_DEVICE_SPACE}) {
        iom_command command = round_trip(flush_of(kind));
        ASSERT_TRUE(command.invalidation.has_device);
        EXPECT_EQ(command.invalidation.device.stream, 0x142u);
        EXPECT_EQ(command.invalidation.device.first, 0u);
        EXPECT_EQ(command.invalidation.device.last, UINT64_MAX);
        EXPECT_EQ(command.invalidation.device.has_pasid, kind == IOM_FLUSH_DEVICE_SPACE);
        EXPECT_EQ(command.invalidation.parts, 0);
    }
    for (iom_flush_kind kind : {IOM_FLUSH_DEVICE_PAGES, IOM_FLUSH_DEVICE_SPACE_PAGES}) {
        for (unsigned pages_log2 = 0; pages_log2 <= 52; pages_log2++) {
            iom_flush flush = flush_of(kind);
            unsigned size_log2 = 12 + pages_log2;
            flush.pages_log2 = static_cast<uint8_t>(pages_log2);
            flush.iova = size_log2 >= 64 ? 0 : 0xa5a5a5a5a5a5a000 >> size_log2 << size_log2;
            flush.queue_depth = pages_log2 == 0 ? 32 : 7;
            iom_command command = round_trip(flush);
            ASSERT_TRUE(command.invalidation.has_device) << pages_log2;
            const iom_device_invalidation &device = command.invalidation.device;
            EXPECT_EQ(device.first, flush.iova) << pages_log2;
            EXPECT_EQ(device.last - device.first,
                      size_log2 >= 64 ? UINT64_MAX : (uint64_t{1} << size_log2) - 1);
            EXPECT_EQ(device.queue_depth, pages_log2 == 0 ? 0u : 7u);
            EXPECT_EQ(device.has_pasid, kind == IOM_FLUSH_DEVICE_SPACE_PAGES);
            if (device.has_pasid) {
                EXPECT_EQ(device.pasid, 0x1c5u);
            }
        }
        iom_flush flush = flush_of(kind);
        flush.queue_depth = 33;
        EXPECT_TRUE(refused(round_trip(flush)));
    }
}

TEST_F(VtdCommands, what_the_hardware_cannot_do_is_refused)
{
    iom_vtd_features features = vtd_all_features();
    features.device_tlb = features.page_requests = features.page_selective = false;
    open(IOM_VTD_MODE_LEGACY, features);
    for (iom_flush_kind kind :
         {IOM_FLUSH_PASID_ALL, IOM_FLUSH_PASID_DOMAIN, IOM_FLUSH_PASID_ONE, IOM_FLUSH_SPACE_ALL,
          IOM_FLUSH_SPACE_PAGES, IOM_FLUSH_IOTLB_PAGES, IOM_FLUSH_DEVICE_ALL, IOM_FLUSH_DEVICE_PAGES,
          IOM_FLUSH_DEVICE_SPACE, IOM_FLUSH_DEVICE_SPACE_PAGES})
        EXPECT_TRUE(refused(round_trip(flush_of(kind)))) << kind;
    iom_flush flush = flush_of(IOM_FLUSH_IOTLB_DOMAIN);
    flush.domain = 0x10000;
    EXPECT_TRUE(refused(round_trip(flush)));
    flush.kind = IOM_FLUSH_IOTLB_ALL; // does not name a domain
    EXPECT_FALSE(refused(round_trip(flush)));
    features.queued_invalidation = false;
    open(IOM_VTD_MODE_LEGACY, features);
    EXPECT_TRUE(refused(round_trip(flush_of(IOM_FLUSH_IOTLB_ALL))));
    EXPECT_EQ(ops.set_queue(software, 0x200000, 12), IOM_SOFTWARE_REFUSED);
}

TEST_F(VtdCommands, sync)
{
    for (iom_vtd_mode mode : {IOM_VTD_MODE_LEGACY, IOM_VTD_MODE_NESTED}) {
        open(mode, vtd_all_features());
        iom_queue_registers registers;
        ops.queue_registers(software, &registers);
        iom_sync sync{};
        sync.write_status = sync.fence = true;
        sync.address = 0x1234567004;
        sync.status = 0xc0de0001;
        uint64_t words[IOM_COMMAND_WORDS];
        iom_command command;
        ASSERT_EQ(ops.encode_sync(software, &sync, words), IOM_SOFTWARE_OK);
        iom_queue_setup setup{};
        setup.command_bytes = registers.command_bytes;
        iom_vtd_ops.decode(&fixture.arch, &setup, words, &command);
        ASSERT_EQ(command.kind, IOM_COMMAND_WAIT);
        EXPECT_TRUE(command.wait.write_status && command.wait.fence);
        EXPECT_FALSE(command.wait.interrupt || command.wait.drain_page_requests);
        EXPECT_EQ(command.wait.address, 0x1234567004u);
        EXPECT_EQ(command.wait.status, 0xc0de0001u);
        sync.address = 0x1002;
        EXPECT_EQ(ops.encode_sync(software, &sync, words), IOM_SOFTWARE_REFUSED);
        sync = {};
        sync.interrupt = true;
        ASSERT_EQ(ops.encode_sync(software, &sync, words), IOM_SOFTWARE_OK);
        EXPECT_EQ(words[0], 0x15u);
        sync.drain_page_requests = true;
        EXPECT_EQ(ops.encode_sync(software, &sync, words), IOM_SOFTWARE_REFUSED); // ECAP.PDS = 0
        fixture.config.ecap |= uint64_t{1} << 42;
        EXPECT_EQ(ops.encode_sync(software, &sync, words), IOM_SOFTWARE_OK);
    }
}

// ---- start-up ----------------------------------------------------------------------------------------

TEST_F(VtdCommands, startup_leaves_a_running_queue)
{
    for (iom_vtd_mode mode : {IOM_VTD_MODE_LEGACY, IOM_VTD_MODE_SECOND_STAGE}) {
        for (bool root_flushes : {false, true}) {
            iom_vtd_features features = vtd_all_features();
            features.set_root_flushes = root_flushes;
            open(mode, features);
            ASSERT_EQ(ops.set_queue(software, 0x208000, 15), IOM_SOFTWARE_OK);
            iom_register_write list[8];
            size_t count = ops.startup(software, list, 8);
            ASSERT_LE(count, 8u);
            EXPECT_EQ(ops.startup(software, nullptr, 0), count);
            for (size_t i = 0; i < count; i++) {
                vtd_register_write(&fixture, list[i].offset, list[i].bytes, list[i].value);
                if (list[i].poll_bytes != 0) {
                    EXPECT_EQ(vtd_register_read(&fixture, list[i].poll_offset, list[i].poll_bytes) &
                                  list[i].poll_mask,
                              list[i].poll_value);
                }
            }
            EXPECT_EQ(vtd_register_read(&fixture, 0x1c, 4), 0xc4000000u); // TES, RTPS, QIES
            EXPECT_EQ(vtd_register_read(&fixture, 0x34, 4), 0u);
            iom_queue_setup setup;
            iom_vtd_ops.queue(&fixture.arch, fixture.state, &setup);
            EXPECT_TRUE(setup.enabled);
            EXPECT_EQ(setup.base, 0x208000u);
            EXPECT_EQ(setup.bytes, 0x8000u);
            EXPECT_EQ(setup.command_bytes, mode == IOM_VTD_MODE_LEGACY ? 16u : 32u);
            iom_queue_registers registers;
            ops.queue_registers(software, &registers);
            EXPECT_EQ(registers.command_bytes, setup.command_bytes);
            EXPECT_EQ(registers.capacity_bytes, setup.bytes);
            EXPECT_EQ(registers.largest_pages_log2, 18);
            EXPECT_TRUE(registers.page_selective);

            iom_register_write bell;
            ops.doorbell(software, 0x60, &bell);
            EXPECT_EQ(iom_vtd_ops.write(&fixture.arch, fixture.state, bell.offset, bell.bytes, bell.value),
                      1u << IOM_ACTION_DOORBELL);
            iom_vtd_ops.queue(&fixture.arch, fixture.state, &setup);
            EXPECT_EQ(setup.tail, 0x60u);

            // The registers named for errors and head are those that show them.
            iom_queue_event event{};
            event.kind = IOM_QUEUE_INVALID;
            event.generation = setup.generation;
            event.head = 0x20;
            event.error = IOM_VTD_QUEUE_TYPE;
            iom_vtd_ops.queue_event(&fixture.arch, fixture.state, &event);
            EXPECT_EQ(vtd_register_read(&fixture, registers.error_offset, 4), registers.error_fatal);
            EXPECT_EQ(vtd_register_read(&fixture, registers.head_offset, 8), 0x20u);
            vtd_register_write(&fixture, registers.error_offset, 4, registers.error_fatal);
            event.kind = IOM_QUEUE_TIMEOUT;
            event.generation++;
            event.stream = 0x4567;
            iom_vtd_ops.queue_event(&fixture.arch, fixture.state, &event);
            EXPECT_EQ(vtd_register_read(&fixture, registers.error_offset, 4), registers.error_timeout);
            EXPECT_EQ(vtd_register_read(&fixture, registers.timeout_offset, 8) >> registers.timeout_shift &
                          0xffff,
                      0x4567u);
        }
    }
}

TEST_F(VtdCommands, impossible_queues)
{
    EXPECT_EQ(ops.set_queue(software, 0x200000, 11), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.set_queue(software, 0x200000, 20), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.set_queue(software, 0x201000, 13), IOM_SOFTWARE_REFUSED); // not aligned
    EXPECT_EQ(ops.set_queue(software, uint64_t{1} << 50, 13),
              IOM_SOFTWARE_REFUSED); // beyond the host's width
    EXPECT_EQ(ops.set_queue(software, 0x200000, 19), IOM_SOFTWARE_OK);
}

TEST_F(VtdCommands, startup_without_queue_does_not_touch_it)
{
    iom_register_write list[8];
    size_t count = ops.startup(software, list, 8);
    for (size_t i = 0; i < count; i++) {
        EXPECT_NE(list[i].offset, uint32_t{IOM_VTD_IQA});
        EXPECT_NE(list[i].offset, uint32_t{IOM_VTD_IQT});
        vtd_register_write(&fixture, list[i].offset, list[i].bytes, list[i].value);
    }
    EXPECT_EQ(vtd_register_read(&fixture, 0x1c, 4), 0xc0000000u);
}

// ---- attachments -------------------------------------------------------------------------------------

TEST_F(VtdCommands, attachments_are_known)
{
    for (iom_vtd_mode mode : {IOM_VTD_MODE_LEGACY, IOM_VTD_MODE_FIRST_STAGE}) {
        open(mode, vtd_all_features());
        uint32_t domain = 0xdead;
        EXPECT_FALSE(ops.attachment(software, 0x142, IOM_NO_PASID, &domain));
        ASSERT_EQ(ops.attach(software, 0x142, IOM_NO_PASID, 7, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
        ASSERT_TRUE(ops.attachment(software, 0x142, IOM_NO_PASID, &domain));
        EXPECT_EQ(domain, 7u);
        EXPECT_FALSE(ops.attachment(software, 0x143, IOM_NO_PASID, &domain));
        EXPECT_FALSE(ops.attachment(software, 0x142, 0x99, &domain));
        if (mode != IOM_VTD_MODE_LEGACY) {
            ASSERT_EQ(ops.attach(software, 0x142, 0x99, 9, IOM_SOFTWARE_BYPASS), IOM_SOFTWARE_OK);
            ASSERT_TRUE(ops.attachment(software, 0x142, 0x99, &domain));
            EXPECT_EQ(domain, 9u);
            ASSERT_EQ(ops.detach(software, 0x142, 0x99), IOM_SOFTWARE_OK);
            EXPECT_FALSE(ops.attachment(software, 0x142, 0x99, &domain));
        }
        ASSERT_EQ(ops.detach(software, 0x142, IOM_NO_PASID), IOM_SOFTWARE_OK);
        EXPECT_FALSE(ops.attachment(software, 0x142, IOM_NO_PASID, &domain));
        ASSERT_EQ(ops.attach(software, 0x142, IOM_NO_PASID, 8, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
        ASSERT_TRUE(ops.attachment(software, 0x142, IOM_NO_PASID, &domain));
        EXPECT_EQ(domain, 8u);
    }
}

TEST_F(VtdCommands, an_entry_loses_its_present_bit_first)
{
    for (iom_vtd_mode mode : {IOM_VTD_MODE_LEGACY, IOM_VTD_MODE_FIRST_STAGE}) {
        open(mode, vtd_all_features());
        ASSERT_EQ(ops.attach(software, 0x142, IOM_NO_PASID, 7, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
        stores.clear();
        ASSERT_EQ(ops.detach(software, 0x142, IOM_NO_PASID), IOM_SOFTWARE_OK);
        ASSERT_FALSE(stores.empty());
        // The first store of each entry is to its lowest word.
        EXPECT_EQ(stores[0].address % (mode == IOM_VTD_MODE_LEGACY ? 16 : 64), 0u);
        EXPECT_EQ(stores[0].value, 0u);
    }
}

} // namespace
