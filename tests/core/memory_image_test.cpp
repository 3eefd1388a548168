// SPDX-License-Identifier: Apache-2.0
//
// Memory contents (core/memory_image.h) against a map of bytes.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "core/memory_image.h"
#include "core/rng.h"

namespace
{

class MemoryImage : public testing::Test
{
  protected:
    MemoryImage() : image(iom_memory_image_create())
    {
    }
    ~MemoryImage() override
    {
        iom_memory_image_destroy(image);
    }
    bool write(uint64_t address, std::vector<uint8_t> bytes)
    {
        return iom_memory_image_write(image, address, bytes.data(), bytes.size());
    }
    bool read(uint64_t address, std::vector<uint8_t> &bytes)
    {
        return iom_memory_image_read(image, address, bytes.data(), bytes.size());
    }
    iom_memory_image *image;
};

TEST_F(MemoryImage, answers_nowhere_at_first)
{
    std::vector<uint8_t> one(1);
    EXPECT_FALSE(iom_memory_image_answers(image, 0, 1));
    EXPECT_FALSE(read(0, one));
    EXPECT_FALSE(write(0, {1}));
    EXPECT_EQ(iom_memory_image_pages(image), 0u);
}

TEST_F(MemoryImage, ranges_are_inclusive_and_may_touch)
{
    ASSERT_TRUE(iom_memory_image_add_range(image, 0x4000, 0x5fff));
    ASSERT_TRUE(iom_memory_image_add_range(image, 0x6000, 0x6fff));
    ASSERT_TRUE(iom_memory_image_add_range(image, 0x9000, 0x9fff));
    EXPECT_FALSE(iom_memory_image_answers(image, 0x3fff, 1));
    EXPECT_TRUE(iom_memory_image_answers(image, 0x4000, 1));
    EXPECT_TRUE(iom_memory_image_answers(image, 0x6fff, 1));
    EXPECT_FALSE(iom_memory_image_answers(image, 0x7000, 1));
    EXPECT_TRUE(iom_memory_image_answers(image, 0x5ff8, 16)) << "across two ranges that touch";
    EXPECT_FALSE(iom_memory_image_answers(image, 0x6ff8, 16));
    EXPECT_FALSE(iom_memory_image_answers(image, 0x6000, 0x4000)) << "a hole between the ends";
    EXPECT_FALSE(iom_memory_image_answers(image, UINT64_MAX - 3, 8)) << "wraps around";
}

TEST_F(MemoryImage, the_last_page_of_the_address_space_answers)
{
    ASSERT_TRUE(iom_memory_image_add_range(image, UINT64_MAX - 0xfff, UINT64_MAX));
    EXPECT_TRUE(iom_memory_image_answers(image, UINT64_MAX - 7, 8));
    EXPECT_FALSE(iom_memory_image_answers(image, UINT64_MAX - 6, 8));
    EXPECT_TRUE(write(UINT64_MAX - 1, {5, 6}));
    std::vector<uint8_t> two(2);
    EXPECT_TRUE(read(UINT64_MAX - 1, two));
    EXPECT_EQ(two, (std::vector<uint8_t>{5, 6}));
}

// An access that does not answer in full moves nothing.
TEST_F(MemoryImage, a_refused_access_leaves_everything_as_it_was)
{
    ASSERT_TRUE(iom_memory_image_add_range(image, 0x4000, 0x4fff));
    ASSERT_TRUE(write(0x4ffe, {1, 2}));
    EXPECT_FALSE(write(0x4ffe, {7, 7, 7}));
    std::vector<uint8_t> three = {9, 9, 9}, two(2);
    EXPECT_FALSE(read(0x4ffe, three));
    EXPECT_EQ(three, (std::vector<uint8_t>{9, 9, 9}));
    EXPECT_TRUE(read(0x4ffe, two));
    EXPECT_EQ(two, (std::vector<uint8_t>{1, 2}));
}

TEST_F(MemoryImage, reads_zeros_and_keeps_only_pages_that_were_written)
{
    ASSERT_TRUE(iom_memory_image_add_range(image, 0, (uint64_t{1} << 46) - 1));
    std::vector<uint8_t> bytes(16, 0xff);
    EXPECT_TRUE(read(uint64_t{1} << 40, bytes));
    EXPECT_EQ(bytes, std::vector<uint8_t>(16, 0));
    EXPECT_EQ(iom_memory_image_pages(image), 0u);
    EXPECT_TRUE(write((uint64_t{1} << 40) + 0xfff, {1, 2}));
    EXPECT_EQ(iom_memory_image_pages(image), 2u);
}

TEST_F(MemoryImage, reset_forgets_contents_and_ranges)
{
    ASSERT_TRUE(iom_memory_image_add_range(image, 0, 0xffff));
    ASSERT_TRUE(write(0x100, {1}));
    iom_memory_image_reset(image);
    EXPECT_EQ(iom_memory_image_pages(image), 0u);
    EXPECT_FALSE(iom_memory_image_answers(image, 0x100, 1));
    ASSERT_TRUE(iom_memory_image_add_range(image, 0, 0xffff));
    std::vector<uint8_t> one = {7};
    EXPECT_TRUE(read(0x100, one));
    EXPECT_EQ(one[0], 0u);
}

TEST_F(MemoryImage, agrees_with_a_map_of_bytes)
{
    // Many pages far apart (so that whatever finds them has to grow), accesses of all sizes.
    iom_rng rng;
    iom_rng_seed(&rng, 3, "memory image");
    ASSERT_TRUE(iom_memory_image_add_range(image, 0, (uint64_t{1} << 46) - 1));
    std::map<uint64_t, uint8_t> model;
    for (int step = 0; step < 20000; step++) {
        const uint64_t region = iom_rng_below(&rng, 300) * 0x1234567000;
        const uint64_t address = (region & ((uint64_t{1} << 45) - 1)) + 0xfc0 + iom_rng_below(&rng, 128);
        std::vector<uint8_t> bytes(1 + iom_rng_below(&rng, 80));
        if (iom_rng_below(&rng, 2) == 0) {
            for (uint8_t &byte : bytes)
                byte = static_cast<uint8_t>(iom_rng_next(&rng));
            ASSERT_TRUE(write(address, bytes));
            for (size_t i = 0; i < bytes.size(); i++)
                model[address + i] = bytes[i];
        } else {
            ASSERT_TRUE(read(address, bytes));
            for (size_t i = 0; i < bytes.size(); i++) {
                auto at = model.find(address + i);
                ASSERT_EQ(bytes[i], at == model.end() ? 0 : at->second) << "step " << step << " byte " << i;
            }
        }
    }
}

} // namespace
