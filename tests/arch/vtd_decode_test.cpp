// SPDX-License-Identifier: Apache-2.0
//
// Decoding of invalidation descriptors (VT-d Rev. 4.1, 6.5.2.1 to 6.5.2.11): every type and granularity,
// every reserved bit, and which tags each command covers. Bit positions are written out here from the
// specification's figures, not taken from the headers under test.
#include <gtest/gtest.h>

#include <vector>

#include "tests/arch/support/vtd_unit_test.h"

namespace
{

constexpr uint64_t bit(unsigned n)
{
    return uint64_t{1} << n;
}

constexpr uint64_t range(unsigned high, unsigned low)
{
    return (high == 63 ? ~uint64_t{0} : bit(high + 1) - 1) & ~(bit(low) - 1);
}

class VtdDecode : public VtdUnitTest
{
  protected:
    void SetUp() override
    {
        iom_vtd_features features = vtd_all_features();
        features.interrupt_remapping = true;
        open(features);
    }
    void open(const iom_vtd_features &features)
    {
        VtdUnitTest::open(features);
        fixture.arch.iommu = 3;
    }

    iom_command decode(uint64_t low, uint64_t high, uint32_t bytes = 32, uint64_t third = 0,
                       uint64_t fourth = 0)
    {
        const uint64_t words[4] = {low, high, third, fourth};
        iom_command command;
        iom_queue_setup setup{};
        setup.command_bytes = bytes;
        iom_vtd_ops.decode(&fixture.arch, &setup, words, &command);
        return command;
    }

    bool covers(const iom_command &command, uint32_t target, iom_tag tag)
    {
        tag.iommu = 3;
        return iom_invalidation_covers(&command.invalidation, target, &tag);
    }
};

iom_tag context_tag(uint32_t source, uint32_t domain, bool scalable)
{
    iom_tag tag{};
    tag.stream = source;
    tag.domain = domain;
    tag.size_log2 = 64;
    tag.level = scalable ? 1 : 0;
    return tag;
}

iom_tag pasid_tag(uint32_t source, uint32_t pasid, uint32_t domain, bool present = true)
{
    iom_tag tag{};
    tag.stream = source;
    tag.substream = pasid;
    tag.domain = domain;
    tag.size_log2 = 64;
    tag.level = present ? 0 : 1;
    return tag;
}

iom_tag page_tag(uint8_t stage, uint32_t domain, uint32_t pasid, uint64_t address, uint8_t size_log2 = 12,
                 bool global = false)
{
    iom_tag tag{};
    tag.stage = stage;
    tag.domain = domain;
    tag.substream = pasid;
    tag.address = address;
    tag.size_log2 = size_log2;
    tag.global = global;
    return tag;
}

constexpr uint8_t first = 1, second = 2, nested = 3;

// ---- what makes a descriptor invalid -----------------------------------------------------------------

struct Layout {
    const char *name;
    uint64_t low, high; ///< a valid descriptor
    uint64_t used[2];   ///< bits with a meaning (any value valid by itself, or checked elsewhere)
    bool narrow;        ///< exists as 128-bit descriptor
    bool private_data;  ///< words 2 and 3 are used
};

const Layout layouts[] = {
    {"context", 0x11, 0, {range(5, 0) | range(47, 16) | range(49, 48), 0}, true, false},
    {"iotlb", 0x12, 0, {range(7, 0) | range(31, 16), range(5, 0) | bit(6) | range(63, 12)}, true, false},
    {"device",
     3,
     0,
     {range(3, 0) | range(20, 12) | range(47, 32) | range(63, 52), bit(0) | range(63, 12)},
     true,
     false},
    {"interrupt", 4, 0, {range(4, 0) | range(47, 27), 0}, true, false},
    {"wait", 5, 0, {range(6, 0) | range(63, 32), range(63, 2)}, true, false},
    {"pasid-iotlb",
     0x26,
     0,
     {range(5, 0) | range(51, 16), range(5, 0) | bit(6) | range(63, 12)},
     false,
     false},
    {"pasid-cache", 0x17, 0, {range(5, 0) | range(51, 16), 0}, false, false},
    {"pasid-device", 8, 0, {range(8, 0) | range(63, 12), bit(0) | bit(11) | range(63, 12)}, false, false},
    {"page-response", 9, 0, {range(5, 0) | range(51, 12), range(11, 2)}, false, true},
};

TEST_F(VtdDecode, every_reserved_bit_stops_the_queue)
{
    for (const Layout &layout : layouts) {
        SCOPED_TRACE(layout.name);
        EXPECT_NE(decode(layout.low, layout.high).kind, IOM_COMMAND_INVALID);
        for (unsigned word = 0; word < 4; word++) {
            for (unsigned n = 0; n < 64; n++) {
                uint64_t words[4] = {layout.low, layout.high, 0, 0};
                words[word] ^= bit(n);
                bool used = word < 2 ? (layout.used[word] >> n & 1) != 0 : layout.private_data;
                if (word == 0 && (n < 4 || (n >= 9 && n <= 11)))
                    continue; // the type, below
                if (word == 0 && (n == 4 || n == 5))
                    continue; // granularity, below
                iom_command command = decode(words[0], words[1], 32, words[2], words[3]);
                EXPECT_EQ(command.kind == IOM_COMMAND_INVALID, !used) << "word " << word << " bit " << n;
                if (!used) {
                    EXPECT_EQ(command.error, IOM_VTD_QUEUE_RESERVED);
                }
            }
        }
    }
}

TEST_F(VtdDecode, types)
{
    for (uint64_t type = 0; type < 128; type++) {
        uint64_t low = (type & 0xf) | (type >> 4) << 9;
        bool known = type >= 1 && type <= 9;
        iom_command command = decode(low | 0x10, 0);
        EXPECT_EQ(command.kind == IOM_COMMAND_INVALID && command.error == IOM_VTD_QUEUE_TYPE, !known) << type;
    }
}

TEST_F(VtdDecode, narrow_descriptors_know_the_legacy_types_only)
{
    for (const Layout &layout : layouts) {
        SCOPED_TRACE(layout.name);
        iom_command command = decode(layout.low, layout.high, 16, ~uint64_t{0}, ~uint64_t{0});
        EXPECT_EQ(command.kind == IOM_COMMAND_INVALID, !layout.narrow);
        if (!layout.narrow) {
            EXPECT_EQ(command.error, IOM_VTD_QUEUE_TYPE);
        }
    }
    fixture.config.quirk_narrow_commands = true;
    EXPECT_EQ(decode(0x17, 0, 16).kind, IOM_COMMAND_INVALIDATE);
}

TEST_F(VtdDecode, types_follow_capabilities)
{
    iom_vtd_features features = vtd_all_features();
    features.device_tlb = features.page_requests = false;
    open(features);
    EXPECT_EQ(decode(3, 0).error, IOM_VTD_QUEUE_TYPE);
    EXPECT_EQ(decode(8, 0).error, IOM_VTD_QUEUE_TYPE);
    EXPECT_EQ(decode(9, 0).error, IOM_VTD_QUEUE_TYPE);
    EXPECT_EQ(decode(0x26, 0).kind, IOM_COMMAND_INVALIDATE);
    features = vtd_all_features();
    features.scalable_mode = features.second_stage = features.first_stage = features.nested = false;
    features.pasid = features.rid_pasid = false;
    open(features);
    EXPECT_EQ(decode(0x26, 0).error, IOM_VTD_QUEUE_TYPE);
    EXPECT_EQ(decode(0x17, 0).error, IOM_VTD_QUEUE_TYPE);
    EXPECT_EQ(decode(8, 0).error, IOM_VTD_QUEUE_TYPE);
    EXPECT_EQ(decode(3, 0).kind, IOM_COMMAND_INVALIDATE);
}

TEST_F(VtdDecode, reserved_granularities)
{
    struct {
        uint64_t type;
        bool valid[4];
    } const table[] = {
        {1, {false, true, true, true}},
        {2, {false, true, true, true}},
        {6, {false, false, true, true}},
        {7, {true, true, false, true}},
    };
    for (const auto &row : table) {
        for (uint64_t g = 0; g < 4; g++) {
            iom_command command = decode(row.type | g << 4, 0);
            EXPECT_EQ(command.kind != IOM_COMMAND_INVALID, row.valid[g]) << row.type << " " << g;
            if (!row.valid[g]) {
                EXPECT_EQ(command.error, IOM_VTD_QUEUE_RESERVED);
            }
        }
    }
}

TEST_F(VtdDecode, address_mask_is_limited_where_it_is_used)
{
    for (uint64_t am = 0; am < 64; am++) {
        bool valid = am <= 18; // MAMV of the fixture
        EXPECT_EQ(decode(0x32, am).kind != IOM_COMMAND_INVALID, valid) << am;
        EXPECT_EQ(decode(0x36, am).kind != IOM_COMMAND_INVALID, valid) << am;
        EXPECT_NE(decode(0x22, am).kind, IOM_COMMAND_INVALID);
        EXPECT_NE(decode(0x26, am).kind, IOM_COMMAND_INVALID);
    }
}

TEST_F(VtdDecode, page_request_drain_needs_the_capability)
{
    EXPECT_EQ(decode(0x85, 0).error, IOM_VTD_QUEUE_RESERVED);
    fixture.config.ecap |= bit(42);
    iom_command command = decode(0x85, 0);
    ASSERT_EQ(command.kind, IOM_COMMAND_WAIT);
    EXPECT_TRUE(command.wait.drain_page_requests);
}

TEST_F(VtdDecode, interrupt_entries_and_page_responses_are_accepted)
{
    EXPECT_EQ(decode(4, 0).kind, IOM_COMMAND_ACCEPTED);
    EXPECT_EQ(decode(0x14 | 5ull << 27 | 7ull << 32, 0).kind, IOM_COMMAND_ACCEPTED);
    EXPECT_EQ(decode(9 | bit(4), bit(2) | 3 << 3, 32, 1, 2).kind, IOM_COMMAND_ACCEPTED);
}

// ---- wait --------------------------------------------------------------------------------------------

TEST_F(VtdDecode, wait_fields)
{
    for (uint32_t bytes : {16u, 32u}) {
        iom_command command = decode(0xc0de000100000025, 0x107004, bytes);
        ASSERT_EQ(command.kind, IOM_COMMAND_WAIT);
        EXPECT_TRUE(command.wait.write_status);
        EXPECT_FALSE(command.wait.interrupt);
        EXPECT_FALSE(command.wait.fence);
        EXPECT_EQ(command.wait.status_bytes, 4);
        EXPECT_EQ(command.wait.address, 0x107004u);
        EXPECT_EQ(command.wait.status, 0xc0de0001u);
    }
    EXPECT_TRUE(decode(0x15, 0).wait.interrupt);
    EXPECT_FALSE(decode(0x15, 0).wait.write_status);
    EXPECT_TRUE(decode(0x45, 0).wait.fence);
}

// ---- context cache -----------------------------------------------------------------------------------

TEST_F(VtdDecode, context_cache)
{
    iom_command all = decode(0x11 | 0x1234 << 16, 0);
    iom_command domain = decode(0x21 | 0x1234 << 16, 0);
    iom_command device = decode(0x31 | 0x1234 << 16 | uint64_t{0x0142} << 32, 0);
    for (bool scalable : {false, true}) {
        EXPECT_TRUE(covers(all, IOM_INVALIDATE_CONTEXT, context_tag(7, 9, scalable)));
        // Scalable mode has no domain in a context entry: the command's is ignored.
        EXPECT_TRUE(covers(domain, IOM_INVALIDATE_CONTEXT, context_tag(7, 0x1234, scalable)));
        EXPECT_EQ(covers(domain, IOM_INVALIDATE_CONTEXT, context_tag(7, 0, scalable)), scalable);
        EXPECT_TRUE(covers(device, IOM_INVALIDATE_CONTEXT, context_tag(0x142, 0x1234, scalable)));
        EXPECT_EQ(covers(device, IOM_INVALIDATE_CONTEXT, context_tag(0x142, 0, scalable)), scalable);
        EXPECT_FALSE(covers(device, IOM_INVALIDATE_CONTEXT, context_tag(0x143, 0x1234, scalable)));
    }
    for (const iom_command &command : {all, domain, device}) {
        EXPECT_EQ(iom_invalidation_targets(&command.invalidation), uint32_t{IOM_INVALIDATE_CONTEXT});
        EXPECT_FALSE(command.invalidation.drain_reads || command.invalidation.drain_writes);
        EXPECT_EQ(command.invalidation.source, IOM_SOURCE_QUEUE);
    }
}

TEST_F(VtdDecode, function_mask_covers_from_the_top)
{
    const unsigned ignored[] = {0, 4, 6, 7};
    for (uint64_t mask = 0; mask < 4; mask++) {
        iom_command command = decode(0x31 | 0x1234 << 16 | uint64_t{0x0142} << 32 | mask << 48, 0);
        for (uint32_t source = 0x130; source < 0x150; source++)
            EXPECT_EQ(covers(command, IOM_INVALIDATE_CONTEXT, context_tag(source, 0x1234, false)),
                      ((source ^ 0x142) & ~ignored[mask]) == 0)
                << mask << " " << source;
    }
}

// ---- PASID cache -------------------------------------------------------------------------------------

TEST_F(VtdDecode, pasid_cache)
{
    iom_command domain = decode(0x07 | 0x1234 << 16, 0);
    iom_command one = decode(0x17 | 0x1234 << 16 | uint64_t{0xabcde} << 32, 0);
    iom_command all = decode(0x37, 0);
    EXPECT_TRUE(covers(domain, IOM_INVALIDATE_PASID, pasid_tag(1, 2, 0x1234)));
    EXPECT_FALSE(covers(domain, IOM_INVALIDATE_PASID, pasid_tag(1, 2, 0x1235)));
    EXPECT_TRUE(covers(domain, IOM_INVALIDATE_PASID, pasid_tag(1, 2, 0, false)));
    EXPECT_TRUE(covers(one, IOM_INVALIDATE_PASID, pasid_tag(9, 0xabcde, 0x1234)));
    EXPECT_FALSE(covers(one, IOM_INVALIDATE_PASID, pasid_tag(9, 0xabcde, 0x1235)));
    EXPECT_FALSE(covers(one, IOM_INVALIDATE_PASID, pasid_tag(9, 0xabcdf, 0x1234)));
    EXPECT_TRUE(covers(one, IOM_INVALIDATE_PASID, pasid_tag(9, 0xabcde, 0, false)));
    EXPECT_FALSE(covers(one, IOM_INVALIDATE_PASID, pasid_tag(9, 0xabcdf, 0, false)));
    EXPECT_TRUE(covers(all, IOM_INVALIDATE_PASID, pasid_tag(9, 1, 2)));
    for (const iom_command &command : {domain, one, all})
        EXPECT_EQ(iom_invalidation_targets(&command.invalidation), uint32_t{IOM_INVALIDATE_PASID});
}

// ---- IOTLB -------------------------------------------------------------------------------------------

TEST_F(VtdDecode, iotlb_global_and_domain)
{
    iom_command all = decode(0x12, 0);
    iom_command domain = decode(0x22 | 0x1234 << 16, ~uint64_t{0xfff} | 0x40);
    for (uint32_t target : {uint32_t{IOM_INVALIDATE_IOTLB}, uint32_t{IOM_INVALIDATE_PSC}}) {
        for (uint8_t stage : {first, second, nested}) {
            EXPECT_TRUE(covers(all, target, page_tag(stage, 5, 6, 0x7000, 12, true)));
            EXPECT_TRUE(covers(domain, target, page_tag(stage, 0x1234, 6, 0x7000, 12, true)));
            EXPECT_FALSE(covers(domain, target, page_tag(stage, 0x1235, 6, 0x7000)));
        }
    }
    EXPECT_EQ(iom_invalidation_targets(&domain.invalidation),
              uint32_t{IOM_INVALIDATE_IOTLB} | uint32_t{IOM_INVALIDATE_PSC});
    EXPECT_FALSE(domain.invalidation.leaf_only);
}

TEST_F(VtdDecode, iotlb_pages)
{
    // 4 pages; the address inside the range is aligned down.
    for (bool hint : {false, true}) {
        iom_command command = decode(0x32 | 0x1234 << 16, 0x80001000 | 2 | (hint ? 0x40 : 0));
        ASSERT_EQ(command.kind, IOM_COMMAND_INVALIDATE);
        EXPECT_EQ(command.invalidation.leaf_only, hint);
        for (uint64_t page = 0x7fffe; page < 0x80006; page++)
            EXPECT_EQ(covers(command, IOM_INVALIDATE_IOTLB, page_tag(second, 0x1234, 0, page << 12)),
                      page >= 0x80000 && page < 0x80004);
        EXPECT_FALSE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(second, 0x1235, 0, 0x80000000)));
        // A large page that the range lies in.
        EXPECT_TRUE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(second, 0x1234, 0, 0x80000000, 30)));
        // Nested entries have other addresses; first-stage entries are not touched.
        EXPECT_TRUE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(nested, 0x1234, 9, 0x1000, 12, true)));
        EXPECT_FALSE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(nested, 0x1235, 9, 0x1000)));
        EXPECT_FALSE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(first, 0x1234, 9, 0x80000000)));
        EXPECT_EQ(covers(command, IOM_INVALIDATE_PSC, page_tag(second, 0x1234, 0, 0x80000000, 21)), !hint);
        EXPECT_FALSE(covers(command, IOM_INVALIDATE_PSC, page_tag(second, 0x1234, 0, 0x80200000, 21)));
        // Where the first stage's tables lie is decided by the second stage's leaves.
        EXPECT_TRUE(covers(command, IOM_INVALIDATE_PSC, page_tag(nested, 0x1234, 9, 0, 21)));
        EXPECT_FALSE(covers(command, IOM_INVALIDATE_PSC, page_tag(first, 0x1234, 9, 0x80000000, 21)));
    }
}

TEST_F(VtdDecode, pages_become_their_domain_without_page_selective_invalidation)
{
    iom_vtd_features features = vtd_all_features();
    features.page_selective = false;
    open(features);
    iom_command command = decode(0x32 | 0x1234 << 16, 0x80001000);
    EXPECT_TRUE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(second, 0x1234, 0, 0x1000)));
    EXPECT_TRUE(covers(command, IOM_INVALIDATE_PSC, page_tag(first, 0x1234, 0, 0x1000)));
    EXPECT_FALSE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(second, 0x1235, 0, 0x80001000)));
}

TEST_F(VtdDecode, draining_is_asked_for_and_must_be_supported)
{
    for (uint64_t asked = 0; asked < 4; asked++) {
        iom_command command = decode(0x12 | asked << 6, 0);
        EXPECT_EQ(command.invalidation.drain_writes, (asked & 1) != 0);
        EXPECT_EQ(command.invalidation.drain_reads, (asked & 2) != 0);
    }
    EXPECT_TRUE(decode(0x26, 0).invalidation.drain_writes);
    EXPECT_TRUE(decode(0x26, 0).invalidation.drain_reads);
    iom_vtd_features features = vtd_all_features();
    features.drain_reads = features.drain_writes = false;
    open(features);
    EXPECT_FALSE(decode(0xd2, 0).invalidation.drain_writes);
    EXPECT_FALSE(decode(0xd2, 0).invalidation.drain_reads);
}

TEST_F(VtdDecode, pasid_iotlb_of_an_address_space)
{
    iom_command command = decode(0x26 | 0x1234 << 16 | uint64_t{0xabcde} << 32, 0x1040);
    EXPECT_FALSE(command.invalidation.leaf_only);
    for (uint32_t target : {uint32_t{IOM_INVALIDATE_IOTLB}, uint32_t{IOM_INVALIDATE_PSC}}) {
        for (uint8_t stage : {first, nested}) {
            EXPECT_TRUE(covers(command, target, page_tag(stage, 0x1234, 0xabcde, 0x7000)));
            EXPECT_TRUE(covers(command, target, page_tag(stage, 0x1234, 3, 0x7000, 12, true)));
            EXPECT_FALSE(covers(command, target, page_tag(stage, 0x1234, 3, 0x7000)));
            EXPECT_FALSE(covers(command, target, page_tag(stage, 0x1235, 0xabcde, 0x7000, 12, true)));
        }
        EXPECT_FALSE(covers(command, target, page_tag(second, 0x1234, 0xabcde, 0x7000)));
    }
}

TEST_F(VtdDecode, pasid_iotlb_of_pages)
{
    for (bool hint : {false, true}) {
        iom_command command =
            decode(0x36 | 0x1234 << 16 | uint64_t{0xabcde} << 32, 0x80000000 | 1 | (hint ? 0x40 : 0));
        EXPECT_EQ(command.invalidation.leaf_only, hint);
        for (uint8_t stage : {first, nested}) {
            EXPECT_TRUE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(stage, 0x1234, 0xabcde, 0x80001000)));
            EXPECT_FALSE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(stage, 0x1234, 0xabcde, 0x80002000)));
            EXPECT_FALSE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(stage, 0x1234, 1, 0x80001000)));
            EXPECT_TRUE(
                covers(command, IOM_INVALIDATE_IOTLB, page_tag(stage, 0x1234, 1, 0x80001000, 12, true)));
            EXPECT_EQ(covers(command, IOM_INVALIDATE_PSC, page_tag(stage, 0x1234, 0xabcde, 0x80000000, 21)),
                      !hint);
        }
        EXPECT_FALSE(covers(command, IOM_INVALIDATE_IOTLB, page_tag(second, 0x1234, 0xabcde, 0x80001000)));
    }
}

TEST_F(VtdDecode, another_instance_is_not_touched)
{
    iom_command command = decode(0x22 | 0x1234 << 16, 0);
    iom_tag tag = page_tag(second, 0x1234, 0, 0x1000);
    tag.iommu = 2;
    EXPECT_FALSE(iom_invalidation_covers(&command.invalidation, IOM_INVALIDATE_IOTLB, &tag));
}

// ---- device TLBs -------------------------------------------------------------------------------------

TEST_F(VtdDecode, device_tlb_fields)
{
    iom_command command =
        decode(3 | uint64_t{17} << 16 | uint64_t{0x4567} << 32 | uint64_t{0xfff} << 52 | 0xf000, 0x123456000);
    ASSERT_EQ(command.kind, IOM_COMMAND_INVALIDATE);
    const iom_invalidation &what = command.invalidation;
    EXPECT_EQ(what.parts, 0);
    ASSERT_TRUE(what.has_device);
    EXPECT_EQ(what.device.stream, 0x4567u);
    EXPECT_EQ(what.device.queue_depth, 17u);
    EXPECT_FALSE(what.device.has_pasid);
    EXPECT_EQ(what.device.first, 0x123456000u);
    EXPECT_EQ(what.device.last, 0x123456fffu);
}

TEST_F(VtdDecode, pasid_device_tlb_fields)
{
    iom_command command =
        decode(8 | uint64_t{9} << 4 | uint64_t{0x4567} << 16 | uint64_t{0xabcde} << 32, 0x123456000 | 1);
    ASSERT_EQ(command.kind, IOM_COMMAND_INVALIDATE);
    const iom_device_invalidation &device = command.invalidation.device;
    ASSERT_TRUE(command.invalidation.has_device);
    EXPECT_EQ(device.stream, 0x4567u);
    EXPECT_EQ(device.queue_depth, 9u);
    EXPECT_TRUE(device.has_pasid);
    EXPECT_TRUE(device.global);
    EXPECT_EQ(device.pasid, 0xabcdeu);
    EXPECT_EQ(device.first, 0x123456000u);
    EXPECT_FALSE(decode(8, 0x123456000).invalidation.device.global);
}

TEST_F(VtdDecode, device_tlb_sizes)
{
    struct {
        uint64_t address, first, last;
    } const table[] = {
        {0x0000, 0x0000, 0x1fff},                                      // bit 12 clear: 8 KiB
        {0x7000, 0x0000, 0xffff},                                      // bits 12 to 14 set: 64 KiB
        {0x123450000000 | 0x7ffff000, 0x123400000000, 0x1234ffffffff}, // 4 GiB
        {0x7ffffffffffff000, 0, ~uint64_t{0}},                         // everything
    };
    for (const auto &row : table) {
        const iom_command plain = decode(3, row.address | 1);
        const iom_command with_pasid = decode(8, row.address | 1 << 11);
        for (const iom_command &command : {plain, with_pasid}) {
            EXPECT_EQ(command.invalidation.device.first, row.first) << std::hex << row.address;
            EXPECT_EQ(command.invalidation.device.last, row.last) << std::hex << row.address;
        }
    }
}

} // namespace
