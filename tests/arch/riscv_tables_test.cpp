// SPDX-License-Identifier: Apache-2.0
//
// The software side of the RISC-V IOMMU: what the builder stores is read back by the translation model and
// compared with a plain map of what was asked for, in every mode. The model itself is checked against tables
// written by hand elsewhere (riscv_walk_test.cpp and others).
#include <gtest/gtest.h>

#include <set>

#include "core/rng.h"
#include "tests/arch/support/riscv_software.h"

namespace
{

using riscv_test::Software;

constexpr uint8_t read_write = IOM_PERM_READ | IOM_PERM_WRITE;

bool passes(const iom_xlate &x)
{
    return x.outcome == IOM_OUTCOME_ADDRESS || x.outcome == IOM_OUTCOME_BYPASS;
}

// ---- every mode ---------------------------------------------------------------------------------

struct Mode {
    iom_riscv_software_mode mode;
    uint8_t first, second, directory, process_bits;
    bool extended, hardware_flags;
};

std::vector<Mode> all_modes()
{
    std::vector<Mode> modes;
    for (uint8_t levels = 3; levels <= 5; levels++) {
        for (const uint8_t bits : {0, 8, 17, 20}) {
            modes.push_back({IOM_RISCV_SOFTWARE_FIRST_STAGE, levels, 3, 3, bits, levels == 4, bits == 8});
            for (uint8_t second = 3; second <= 5; second++)
                modes.push_back({IOM_RISCV_SOFTWARE_NESTED, levels, second, static_cast<uint8_t>(second - 2),
                                 bits, second == 3, bits == 17});
        }
        modes.push_back({IOM_RISCV_SOFTWARE_SECOND_STAGE, 3, levels, static_cast<uint8_t>(levels - 2), 0,
                         levels == 5, levels == 4});
    }
    return modes;
}

std::string mode_name(const ::testing::TestParamInfo<Mode> &info)
{
    const Mode &m = info.param;
    const char *names[] = {"First", "Second", "Nested"};
    return names[m.mode] + std::to_string(m.first) + std::to_string(m.second) + "Directory" +
           std::to_string(m.directory) + "Processes" + std::to_string(m.process_bits);
}

iom_riscv_software_settings settings_of(const Mode &mode)
{
    iom_riscv_software_settings settings = iom_riscv_software_defaults(mode.mode);
    settings.first_stage_levels = mode.first;
    settings.second_stage_levels = mode.second;
    settings.directory_levels = mode.directory;
    settings.process_bits = mode.process_bits;
    settings.hardware_flags = mode.hardware_flags;
    settings.nested_page_log2 = mode.first == 4 ? 30 : 21;
    return settings;
}

iom_riscv_config hardware_of(const Mode &mode)
{
    iom_riscv_config config = riscv_test::full_config();
    config.bare_page_log2 = 48; // a Bare stage does not limit what is reported
    if (!mode.extended)
        config.capabilities &= ~(riscv_test::bit(riscv_test::msi_flat) | riscv_test::bit(23));
    return config;
}

class RiscvTables : public ::testing::TestWithParam<Mode>
{
  protected:
    Software software{settings_of(GetParam()), hardware_of(GetParam())};
    const iom_software_ops &ops = iom_riscv_software_ops;

    // A device id that uses every level of the directory.
    uint32_t device() const
    {
        const unsigned leaf = GetParam().extended ? 6 : 7;
        const unsigned bits = std::min(leaf + 9u * (GetParam().directory - 1u), 24u);
        return (1u << bits) - 3;
    }
    uint32_t process() const
    {
        return GetParam().process_bits == 0 ? IOM_NO_PASID : (1u << GetParam().process_bits) - 7;
    }
};

TEST_P(RiscvTables, TranslationsAreThoseAskedFor)
{
    ASSERT_NE(software.get(), nullptr) << software.error;
    const iom_software_limits limits = ops.limits(software.get());
    EXPECT_EQ(limits.pasid_bits, GetParam().process_bits);
    ASSERT_EQ(ops.attach(software.get(), device(), IOM_NO_PASID, 2, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
    uint32_t domain_of_process = 2;
    if (process() != IOM_NO_PASID) {
        domain_of_process = 0xfffe;
        ASSERT_EQ(ops.attach(software.get(), device(), process(), domain_of_process, IOM_SOFTWARE_TRANSLATE),
                  IOM_SOFTWARE_OK);
    }
    software.start();

    // Pages of several sizes all over the input range, down to the last; the two domains differ.
    struct Page {
        uint64_t iova, output;
        unsigned size_log2;
        uint8_t permissions;
    };
    const uint64_t last = uint64_t{1} << limits.input_bits;
    const std::vector<Page> pages = {
        {0, 0x10000000, 12, read_write},
        {0x1000, 0x20000000, 12, IOM_PERM_READ},
        {0x2000, 0x30000000, 12, IOM_PERM_READ | IOM_PERM_EXEC},
        {0x40000000, 0x40000000, 30, read_write},
        {0x80200000, 0x00c00000, 21, IOM_PERM_READ},
        {last - 0x1000, 0x7f001000, 12, read_write},
        {last - 0x400000, 0x7f400000, 21, read_write},
    };
    for (const uint32_t domain : std::set<uint32_t>{2, domain_of_process}) {
        const uint64_t shift = domain == 2 ? 0 : uint64_t{1} << 30;
        for (const Page &page : pages)
            ASSERT_EQ(ops.map(software.get(), domain, page.iova, page.output + shift, page.size_log2,
                              page.permissions, nullptr),
                      IOM_SOFTWARE_OK)
                << std::hex << page.iova;
    }

    for (const uint32_t pasid : {IOM_NO_PASID, process()}) {
        const uint64_t shift = pasid == IOM_NO_PASID ? 0 : uint64_t{1} << 30;
        for (const Page &page : pages) {
            const uint64_t at = (uint64_t{1} << page.size_log2) - 0x10;
            for (const unsigned flags : {0u, static_cast<unsigned>(IOM_REQ_WRITE)}) {
                const iom_xlate x = software.translate(page.iova + at, flags, device(), pasid);
                if (flags != 0 && (page.permissions & IOM_PERM_WRITE) == 0) {
                    EXPECT_EQ(x.outcome, IOM_OUTCOME_FAULT) << std::hex << page.iova;
                    continue;
                }
                ASSERT_TRUE(passes(x)) << std::hex << page.iova << " cause " << std::dec << x.fault.code;
                EXPECT_EQ(x.leaf.output, page.output + shift + at);
                EXPECT_LE(x.leaf.size_log2, page.size_log2);
                if (GetParam().mode != IOM_RISCV_SOFTWARE_NESTED) {
                    EXPECT_EQ(x.leaf.size_log2, page.size_log2);
                }
            }
            iom_software_mapping found = {};
            ASSERT_TRUE(ops.find(software.get(), pasid == IOM_NO_PASID ? 2 : domain_of_process,
                                 page.iova + at, &found));
            EXPECT_EQ(found.output, page.output + shift);
            EXPECT_EQ(found.size_log2, page.size_log2);
            EXPECT_EQ(found.permissions, page.permissions);
        }
        EXPECT_EQ(software.translate(0x3000, 0, device(), pasid).outcome, IOM_OUTCOME_FAULT);
    }
    // Hardware touches the tables only where it was told to.
    EXPECT_EQ(software.updates != 0, GetParam().hardware_flags);
    EXPECT_EQ(software.translate(0, 0, device() - 1).fault.code, IOM_RISCV_FAULT_DDT_INVALID);
}

TEST_P(RiscvTables, RandomChangesAgainstAPlainMap)
{
    ASSERT_NE(software.get(), nullptr) << software.error;
    ASSERT_EQ(ops.attach(software.get(), 9, IOM_NO_PASID, 5, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
    software.start();
    iom_rng rng;
    iom_rng_seed(&rng, 7, "riscv tables");
    std::map<uint64_t, std::pair<uint64_t, unsigned>> pages; // first page: output, size
    for (unsigned step = 0; step < 300; step++) {
        const unsigned size_log2 = iom_rng_below(&rng, 4) == 0 ? 21 : 12;
        const uint64_t iova =
            iom_align_down(iom_rng_below(&rng, 6) << 20 | iom_rng_below(&rng, 4) << 12, size_log2);
        bool overlaps = false;
        for (const auto &[first, page] : pages)
            overlaps = overlaps || (first < iova + (uint64_t{1} << size_log2) &&
                                    iova < first + (uint64_t{1} << page.second));
        const auto there = pages.find(iova);
        if (iom_rng_below(&rng, 2) == 0) {
            const uint64_t output = (uint64_t{step} + 1) << 21;
            EXPECT_EQ(ops.map(software.get(), 5, iova, output, size_log2, read_write, nullptr),
                      overlaps ? IOM_SOFTWARE_ALREADY : IOM_SOFTWARE_OK);
            if (!overlaps)
                pages[iova] = {output, size_log2};
        } else {
            const bool exact = there != pages.end() && there->second.second == size_log2;
            iom_software_change change = {};
            EXPECT_EQ(ops.unmap(software.get(), 5, iova, size_log2, iom_rng_below(&rng, 2) == 0, &change),
                      exact ? IOM_SOFTWARE_OK : IOM_SOFTWARE_NOT_MAPPED);
            if (exact) {
                pages.erase(there);
                EXPECT_GE(change.stores, 1u);
            }
        }
        const uint64_t probe = iom_rng_below(&rng, 6) << 20 | iom_rng_below(&rng, 4) << 12;
        const iom_xlate x = software.translate(probe, 0, 9);
        uint64_t expected = UINT64_MAX;
        for (const auto &[first, page] : pages) {
            if (probe - first < uint64_t{1} << page.second)
                expected = page.first + (probe - first);
        }
        ASSERT_EQ(passes(x), expected != UINT64_MAX) << "step " << step;
        if (expected != UINT64_MAX) {
            ASSERT_EQ(x.leaf.output, expected);
        }
    }
    EXPECT_FALSE(software.retired.empty());
}

// Whatever part of the stores is there, a request meets "not valid" or the whole entry.
TEST_P(RiscvTables, EveryPrefixOfTheStoresIsSafe)
{
    ASSERT_NE(software.get(), nullptr) << software.error;
    software.start();
    software.hold = true;
    ASSERT_EQ(ops.attach(software.get(), device(), process(), 3, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
    ASSERT_EQ(ops.map(software.get(), 3, 0x5000, 0x12345000, 12, read_write, nullptr), IOM_SOFTWARE_OK);
    ASSERT_EQ(ops.detach(software.get(), device(), process()), IOM_SOFTWARE_OK);
    unsigned good = 0;
    for (const iom_store &store : software.held) {
        const iom_xlate x = software.translate(0x5000, 0, device(), process());
        if (passes(x)) {
            good++;
            EXPECT_EQ(x.leaf.output, 0x12345000u);
        } else {
            EXPECT_TRUE(
                x.fault.code == IOM_RISCV_FAULT_DDT_INVALID || x.fault.code == IOM_RISCV_FAULT_PDT_INVALID ||
                x.fault.code == IOM_RISCV_FAULT_READ_PAGE || x.fault.code == IOM_RISCV_FAULT_READ_GUEST)
                << x.fault.code;
        }
        software.apply(store);
    }
    EXPECT_GE(good, 1u);
    EXPECT_EQ(software.translate(0x5000, 0, device(), process()).outcome, IOM_OUTCOME_FAULT);
}

INSTANTIATE_TEST_SUITE_P(Modes, RiscvTables, ::testing::ValuesIn(all_modes()), mode_name);

// ---- attachments --------------------------------------------------------------------------------

TEST(RiscvAttachments, AreKnownToTheShadow)
{
    iom_riscv_software_settings settings = iom_riscv_software_defaults(IOM_RISCV_SOFTWARE_FIRST_STAGE);
    settings.process_bits = 20;
    Software software(settings);
    const iom_software_ops &ops = iom_riscv_software_ops;
    ASSERT_NE(software.get(), nullptr);
    uint32_t domain = 0;
    EXPECT_FALSE(ops.attachment(software.get(), 5, 1, &domain));
    EXPECT_EQ(ops.detach(software.get(), 5, 1), IOM_SOFTWARE_NOT_MAPPED);
    EXPECT_EQ(ops.attach(software.get(), 5, 1, 7, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
    EXPECT_EQ(ops.attach(software.get(), 5, 1, 8, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_ALREADY);
    EXPECT_EQ(ops.attach(software.get(), 5, IOM_NO_PASID, 9, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
    // Requests without process_id are those of process 0.
    EXPECT_EQ(ops.attach(software.get(), 5, 0, 9, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_ALREADY);
    ASSERT_TRUE(ops.attachment(software.get(), 5, 1, &domain));
    EXPECT_EQ(domain, 7u);
    ASSERT_TRUE(ops.attachment(software.get(), 5, 0, &domain));
    EXPECT_EQ(domain, 9u);
    software.start();
    EXPECT_EQ(software.translate(0x1000, 0, 5, 2).fault.code, IOM_RISCV_FAULT_PDT_INVALID);
    EXPECT_EQ(software.translate(0x1000, 0, 5, 1).fault.code, IOM_RISCV_FAULT_READ_PAGE);
    EXPECT_EQ(ops.detach(software.get(), 5, 1), IOM_SOFTWARE_OK);
    EXPECT_EQ(software.translate(0x1000, 0, 5, 1).fault.code, IOM_RISCV_FAULT_PDT_INVALID);
    EXPECT_EQ(ops.detach(software.get(), 5, IOM_NO_PASID), IOM_SOFTWARE_OK);
    EXPECT_EQ(software.translate(0x1000, 0, 5).fault.code, IOM_RISCV_FAULT_DDT_INVALID);
    // And again.
    EXPECT_EQ(ops.attach(software.get(), 5, 1, 8, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
    ASSERT_TRUE(ops.attachment(software.get(), 5, 1, &domain));
    EXPECT_EQ(domain, 8u);
}

TEST(RiscvAttachments, RefuseWhatTablesCannotExpress)
{
    iom_riscv_software_settings settings = iom_riscv_software_defaults(IOM_RISCV_SOFTWARE_SECOND_STAGE);
    settings.directory_levels = 1;
    Software software(settings);
    const iom_software_ops &ops = iom_riscv_software_ops;
    ASSERT_NE(software.get(), nullptr);
    EXPECT_EQ(ops.attach(software.get(), 64, IOM_NO_PASID, 1, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.attach(software.get(), 63, 1, 1, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.attach(software.get(), 63, IOM_NO_PASID, 1u << 16, IOM_SOFTWARE_TRANSLATE),
              IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.attach(software.get(), 63, IOM_NO_PASID, 1, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
    EXPECT_EQ(ops.map(software.get(), 1, 0x1000, uint64_t{1} << 56, 12, read_write, nullptr),
              IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.map(software.get(), 1, 0x1000, 0x2000, 16, read_write, nullptr), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.map(software.get(), 1, uint64_t{1} << 50, 0x2000, 12, read_write, nullptr),
              IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.map(software.get(), 1, 0x1000, 0x2000, 12, IOM_PERM_WRITE, nullptr), IOM_SOFTWARE_OK);
    software.start();
    EXPECT_TRUE(passes(software.translate(0x1000, 0, 63))); // writable is readable
}

TEST(RiscvAttachments, BypassLeavesAddressesAlone)
{
    for (const iom_riscv_software_mode mode :
         {IOM_RISCV_SOFTWARE_FIRST_STAGE, IOM_RISCV_SOFTWARE_SECOND_STAGE, IOM_RISCV_SOFTWARE_NESTED}) {
        Software software(iom_riscv_software_defaults(mode));
        ASSERT_NE(software.get(), nullptr);
        ASSERT_EQ(iom_riscv_software_ops.attach(software.get(), 5, IOM_NO_PASID, 1, IOM_SOFTWARE_BYPASS),
                  IOM_SOFTWARE_OK);
        software.start();
        const iom_xlate x = software.translate(0xabcdef123, IOM_REQ_WRITE, 5);
        ASSERT_TRUE(passes(x));
        EXPECT_EQ(x.leaf.output, 0xabcdef123u);
    }
}

TEST(RiscvAttachments, NeedAllTheirTables)
{
    iom_riscv_software_settings settings = iom_riscv_software_defaults(IOM_RISCV_SOFTWARE_NESTED);
    settings.process_bits = 20;
    const auto attach = [](const Software &software) {
        return iom_riscv_software_ops.attach(software.get(), 5, 1, 1, IOM_SOFTWARE_TRANSLATE);
    };
    Software plenty(settings);
    const size_t before = plenty.taken.size();
    ASSERT_EQ(attach(plenty), IOM_SOFTWARE_OK);
    const size_t needed = plenty.taken.size() - before;
    EXPECT_EQ(needed, 2u + 3 + 1 + 3); // directories, root of the first stage, second stage down to its pages
    for (size_t tables = 0; tables < needed; tables++) {
        Software software(settings);
        software.tables_left = tables;
        EXPECT_EQ(attach(software), IOM_SOFTWARE_NO_MEMORY) << tables;
    }
}

// ---- settings -----------------------------------------------------------------------------------

TEST(RiscvSoftwareSettings, ImpossibleOnesAreNamed)
{
    using Change = void (*)(iom_riscv_software_settings &, iom_riscv_config &);
    const std::vector<std::pair<Change, std::string>> cases = {
        {[](auto &s, auto &) { s.first_stage_levels = 2; }, "first stage"},
        {[](auto &s, auto &c) { s.first_stage_levels = 5, c.capabilities &= ~riscv_test::bit(11); },
         "first stage"},
        {[](auto &s, auto &c) {
             s.mode = IOM_RISCV_SOFTWARE_NESTED;
             c.capabilities &= ~riscv_test::bit(18);
         },
         "second stage"},
        {[](auto &, auto &c) { c.max_mode = 3; }, "device directory"},
        {[](auto &s, auto &) { s.directory_levels = 0; }, "device directory"},
        {[](auto &s, auto &) { s.process_bits = 9; }, "8, 17 or 20"},
        {[](auto &s, auto &c) { s.process_bits = 17, c.capabilities &= ~riscv_test::bit(39); },
         "process directories"},
        {[](auto &s, auto &) { s.process_bits = 8, s.mode = IOM_RISCV_SOFTWARE_SECOND_STAGE; },
         "first-stage tables"},
        {[](auto &s, auto &) { s.mode = IOM_RISCV_SOFTWARE_NESTED, s.nested_page_log2 = 16; },
         "12, 21 or 30"},
        {[](auto &s, auto &c) {
             s.device_tlb = true, c.capabilities &= ~(riscv_test::bit(25) | riscv_test::bit(26));
         },
         "device TLBs"},
        {[](auto &s, auto &c) { s.hardware_flags = true, c.capabilities &= ~riscv_test::bit(24); },
         "accessed and dirty"},
        {[](auto &, auto &c) { c.fctl = 1; }, "little-endian"},
    };
    for (size_t i = 0; i < cases.size(); i++) {
        iom_riscv_software_settings settings = iom_riscv_software_defaults(IOM_RISCV_SOFTWARE_FIRST_STAGE);
        iom_riscv_config config = riscv_test::full_config();
        cases[i].first(settings, config);
        const Software software(settings, config);
        EXPECT_EQ(software.get(), nullptr) << "case " << i;
        ASSERT_NE(software.error, nullptr);
        EXPECT_NE(std::string(software.error).find(cases[i].second), std::string::npos) << software.error;
    }
}

} // namespace
