// SPDX-License-Identifier: Apache-2.0
//
// Invalidation by registers (VT-d Rev. 4.1, 6.5.1, 11.4.4.1, 11.4.6): CCMD, IOTLB and IVA, the flush implied
// by a new root pointer; which entries, which granularity is reported, and when the command bit falls.
#include <gtest/gtest.h>

#include "tests/arch/support/vtd_unit_test.h"

namespace
{

constexpr uint32_t GCMD = 0x18, GSTS = 0x1c, CCMD = 0x28, IVA = 0xf00, IOTLB = 0xf08;
constexpr uint32_t SRTP = 1u << 30, TE = 1u << 31;
constexpr uint32_t INVALIDATE = 1u << IOM_ACTION_INVALIDATE, VIEW = 1u << IOM_ACTION_UPDATE_VIEW;
constexpr uint64_t START = uint64_t{1} << 63;

class VtdInvalidateRegisters : public VtdUnitTest
{
  protected:
    void SetUp() override
    {
        open(vtd_all_features());
    }
    uint32_t write(uint32_t offset, uint64_t value, unsigned bytes = 8)
    {
        return iom_vtd_ops.write(&fixture.arch, fixture.state, offset, bytes, value);
    }
    uint64_t read(uint32_t offset, unsigned bytes = 8)
    {
        return vtd_register_read(&fixture, offset, bytes);
    }
    bool next()
    {
        return iom_vtd_ops.next_invalidation(&fixture.arch, fixture.state, &invalidation);
    }
    void done(iom_register_action action)
    {
        iom_vtd_ops.action_done(&fixture.arch, fixture.state, action);
    }
    bool covers(uint32_t target, const iom_tag &tag)
    {
        return iom_invalidation_covers(&invalidation, target, &tag);
    }

    iom_invalidation invalidation{};
};

TEST_F(VtdInvalidateRegisters, context_granularities)
{
    for (uint64_t granularity = 1; granularity <= 3; granularity++) {
        // Device 0x0142 and its functions under mask 1, domain 0x1234.
        uint64_t command = granularity << 61 | uint64_t{1} << 32 | 0x01421234;
        ASSERT_EQ(write(CCMD, START | command), INVALIDATE);
        EXPECT_EQ(read(CCMD) & ~(uint64_t{3} << 59), START | command); // without the last result
        ASSERT_TRUE(next());
        EXPECT_EQ(invalidation.source, IOM_SOURCE_REGISTER);
        EXPECT_EQ(iom_invalidation_targets(&invalidation), uint32_t{IOM_INVALIDATE_CONTEXT});
        iom_tag tag{};
        tag.stream = 0x146;
        tag.domain = 0x1234;
        EXPECT_TRUE(covers(IOM_INVALIDATE_CONTEXT, tag));
        tag.stream = 0x143;
        EXPECT_EQ(covers(IOM_INVALIDATE_CONTEXT, tag), granularity < 3);
        tag.domain = 0x1235;
        EXPECT_EQ(covers(IOM_INVALIDATE_CONTEXT, tag), granularity == 1);
        EXPECT_FALSE(next());
        EXPECT_EQ(read(CCMD) & START, START); // not before it has been carried out
        done(IOM_ACTION_INVALIDATE);
        EXPECT_EQ(read(CCMD), command | granularity << 59);
        EXPECT_FALSE(next());
    }
}

TEST_F(VtdInvalidateRegisters, iotlb_granularities)
{
    for (uint64_t granularity = 1; granularity <= 3; granularity++) {
        write(IVA, 0x80000000 | 1);
        uint64_t command = granularity << 60 | uint64_t{3} << 48 | uint64_t{0x1234} << 32;
        ASSERT_EQ(write(IOTLB, START | command), INVALIDATE);
        ASSERT_TRUE(next());
        EXPECT_TRUE(invalidation.drain_reads);
        EXPECT_TRUE(invalidation.drain_writes);
        iom_tag tag{};
        tag.stage = 2;
        tag.size_log2 = 12;
        tag.domain = 0x1234;
        tag.address = 0x80001000;
        EXPECT_TRUE(covers(IOM_INVALIDATE_IOTLB, tag));
        EXPECT_TRUE(covers(IOM_INVALIDATE_PSC, tag));
        tag.address = 0x80002000;
        EXPECT_EQ(covers(IOM_INVALIDATE_IOTLB, tag), granularity < 3);
        tag.domain = 0x1235;
        EXPECT_EQ(covers(IOM_INVALIDATE_IOTLB, tag), granularity == 1);
        EXPECT_FALSE(next());
        done(IOM_ACTION_INVALIDATE);
        EXPECT_EQ(read(IOTLB), command | granularity << 57);
    }
}

TEST_F(VtdInvalidateRegisters, hint_spares_the_structure_caches)
{
    write(IVA, 0x80000000 | 0x40);
    ASSERT_EQ(write(IOTLB, START | uint64_t{3} << 60), INVALIDATE);
    ASSERT_TRUE(next());
    EXPECT_TRUE(invalidation.leaf_only);
    iom_tag tag{};
    tag.stage = 2;
    tag.address = 0x80000000;
    tag.size_log2 = 21;
    EXPECT_FALSE(covers(IOM_INVALIDATE_PSC, tag));
    EXPECT_TRUE(covers(IOM_INVALIDATE_IOTLB, tag));
}

TEST_F(VtdInvalidateRegisters, in_halves_the_command_bit_starts)
{
    EXPECT_EQ(write(IOTLB, 0, 4), 0u);
    EXPECT_EQ(write(IOTLB + 4, 0x90000042, 4), INVALIDATE);
    ASSERT_TRUE(next());
    done(IOM_ACTION_INVALIDATE);
    EXPECT_EQ(read(IOTLB), 0x1200004200000000u);
}

TEST_F(VtdInvalidateRegisters, pages_become_their_domain_where_unsupported)
{
    iom_vtd_features features = vtd_all_features();
    features.page_selective = false;
    open(features);
    write(IVA, 0x80000000 | 63);
    ASSERT_EQ(write(IOTLB, START | uint64_t{3} << 60 | uint64_t{0x1234} << 32), INVALIDATE);
    ASSERT_TRUE(next());
    iom_tag tag{};
    tag.stage = 1;
    tag.domain = 0x1234;
    EXPECT_TRUE(covers(IOM_INVALIDATE_IOTLB, tag));
    done(IOM_ACTION_INVALIDATE);
    EXPECT_EQ(read(IOTLB) >> 57 & 3, 2u);
}

TEST_F(VtdInvalidateRegisters, incorrect_requests_are_ignored_and_say_so)
{
    EXPECT_EQ(write(CCMD, START), 0u); // granularity 0
    EXPECT_EQ(read(CCMD), 0u);
    EXPECT_EQ(write(IOTLB, START), 0u);
    EXPECT_EQ(read(IOTLB), 0u);
    write(IVA, 19); // address mask above MAMV
    EXPECT_EQ(write(IOTLB, START | uint64_t{3} << 60), 0u);
    EXPECT_EQ(read(IOTLB), uint64_t{3} << 60);
    EXPECT_EQ(write(IOTLB, START | uint64_t{2} << 60), INVALIDATE); // the mask has no meaning here
    EXPECT_TRUE(next());
    done(IOM_ACTION_INVALIDATE);
    vtd_register_write(&fixture, GCMD, 4, 1u << 26); // queue enabled
    EXPECT_EQ(write(CCMD, START | uint64_t{1} << 61), 0u);
    EXPECT_EQ(read(CCMD), uint64_t{1} << 61);
    vtd_register_write(&fixture, GCMD, 4, 0);
    vtd_register_write(&fixture, 0x20, 8, 0x10400); // scalable mode
    vtd_register_write(&fixture, GCMD, 4, SRTP);
    EXPECT_EQ(write(IOTLB, START | uint64_t{1} << 60), 0u);
    EXPECT_FALSE(next());
}

TEST_F(VtdInvalidateRegisters, done_without_asking)
{
    write(CCMD, START | uint64_t{2} << 61);
    done(IOM_ACTION_INVALIDATE); // by somebody who has no caches
    EXPECT_EQ(read(CCMD), uint64_t{2} << 61 | uint64_t{2} << 59);
    EXPECT_FALSE(next());
}

TEST_F(VtdInvalidateRegisters, root_pointer_flushes_nothing_by_itself)
{
    EXPECT_EQ(write(GCMD, SRTP, 4), VIEW);
    EXPECT_FALSE(next());
    done(IOM_ACTION_UPDATE_VIEW);
    EXPECT_EQ(read(GSTS, 4) & SRTP, SRTP);
}

TEST_F(VtdInvalidateRegisters, root_pointer_flushes_everything_where_so_reported)
{
    iom_vtd_features features = vtd_all_features();
    features.set_root_flushes = true;
    open(features);
    EXPECT_EQ(write(GCMD, SRTP, 4), VIEW | INVALIDATE);
    done(IOM_ACTION_UPDATE_VIEW);
    EXPECT_EQ(read(GSTS, 4) & SRTP, 0u); // the flush belongs to the command
    ASSERT_TRUE(next());
    EXPECT_EQ(invalidation.source, IOM_SOURCE_IMPLIED);
    EXPECT_EQ(iom_invalidation_targets(&invalidation), uint32_t{IOM_INVALIDATE_ALL});
    iom_tag tag{};
    tag.stream = 77;
    tag.domain = 5;
    tag.global = 1;
    EXPECT_TRUE(covers(IOM_INVALIDATE_CONTEXT, tag));
    EXPECT_TRUE(covers(IOM_INVALIDATE_PASID, tag));
    EXPECT_TRUE(covers(IOM_INVALIDATE_IOTLB, tag));
    EXPECT_TRUE(covers(IOM_INVALIDATE_PSC, tag));
    EXPECT_FALSE(next());
    done(IOM_ACTION_INVALIDATE);
    EXPECT_EQ(read(GSTS, 4) & SRTP, SRTP);
    EXPECT_EQ(write(GCMD, TE, 4), VIEW);
    done(IOM_ACTION_UPDATE_VIEW);
    EXPECT_EQ(read(GSTS, 4), SRTP | TE);
}

} // namespace
