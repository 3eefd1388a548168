// SPDX-License-Identifier: Apache-2.0
//
// The software side of VT-d: what the builder stores is read back by the translation model and
// compared with a plain map of what was asked for. The model itself is checked against hand-written
// tables elsewhere (vtd_walk_test.c, vtd_fault_test.c).
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "core/arch/vtd/vtd_formats.h"
#include "core/arch/vtd/vtd_tables.h"
#include "core/memory_image.h"
#include "core/rng.h"
#include "tests/arch/support/table_host.h"
#include "tests/arch/support/vtd_fixture.h"

namespace
{

constexpr uint64_t ram_end = uint64_t{1} << 32;

// A builder with its host and the hardware that walks its tables.
class Host : public tables_test::TableHost
{
  public:
    explicit Host(const iom_vtd_software_settings &settings)
    {
        iom_vtd_features features = vtd_all_features();
        vtd_fixture_open(&fixture_, &features);
        EXPECT_TRUE(iom_memory_image_add_range(fixture_.memory, VTD_RAM_END, ram_end - 1));
        const iom_software_config config = {&fixture_.arch, &settings};
        const iom_software_host host = tables_in(fixture_.memory);
        software_ = iom_vtd_software_ops.create(&config, &host, nullptr);
        EXPECT_NE(software_, nullptr);
    }
    ~Host()
    {
        iom_vtd_software_ops.destroy(software_);
        vtd_fixture_close(&fixture_);
    }
    Host(const Host &) = delete;
    Host &operator=(const Host &) = delete;

    iom_software *get() const
    {
        return software_;
    }
    vtd_fixture &fixture()
    {
        return fixture_;
    }

    // Program the registers as the builder says; polls must hold.
    void start()
    {
        iom_register_write list[8];
        const size_t count = iom_vtd_software_ops.startup(software_, list, 8);
        ASSERT_LE(count, 8u);
        for (size_t i = 0; i < count; i++) {
            vtd_register_write(&fixture_, list[i].offset, list[i].bytes, list[i].value);
            if (list[i].poll_bytes != 0) {
                EXPECT_EQ(vtd_register_read(&fixture_, list[i].poll_offset, list[i].poll_bytes) &
                              list[i].poll_mask,
                          list[i].poll_value);
            }
        }
    }

    iom_xlate translate(uint64_t address, unsigned flags, uint32_t source, uint32_t pasid)
    {
        iom_xlate x = tables_test::make_request(address, flags, source, pasid);
        iom_translate_pure(&fixture_.arch, &fixture_.view, iom_memory_image_read_fn, fixture_.memory, &x);
        return x;
    }

  private:
    vtd_fixture fixture_ = {};
    iom_software *software_ = nullptr;
};

struct Page {
    uint64_t output;
    unsigned size_log2;
    uint8_t permissions;
};

using Oracle = std::map<uint64_t, Page>; // by first address

const std::pair<const uint64_t, Page> *oracle_find(const Oracle &oracle, uint64_t iova)
{
    auto it = oracle.upper_bound(iova);
    if (it == oracle.begin())
        return nullptr;
    --it;
    return iova - it->first < (uint64_t{1} << it->second.size_log2) ? &*it : nullptr;
}

bool oracle_overlaps(const Oracle &oracle, uint64_t iova, unsigned size_log2)
{
    if (oracle_find(oracle, iova) != nullptr)
        return true;
    auto it = oracle.lower_bound(iova);
    return it != oracle.end() && it->first - iova < (uint64_t{1} << size_log2);
}

struct Setup {
    const char *name;
    iom_vtd_mode mode;
    uint8_t second_levels, first_levels, nested_page_log2;
    uint32_t pasid;
};

const Setup setups[] = {
    {"legacy3", IOM_VTD_MODE_LEGACY, 3, 4, 12, IOM_NO_PASID},
    {"legacy5", IOM_VTD_MODE_LEGACY, 5, 4, 12, IOM_NO_PASID},
    {"second4", IOM_VTD_MODE_SECOND_STAGE, 4, 4, 12, 0x12345},
    {"second4_rid", IOM_VTD_MODE_SECOND_STAGE, 4, 4, 12, IOM_NO_PASID},
    {"first4", IOM_VTD_MODE_FIRST_STAGE, 4, 4, 12, 0xfffff},
    {"first5", IOM_VTD_MODE_FIRST_STAGE, 4, 5, 12, IOM_NO_PASID},
    {"nested_4k", IOM_VTD_MODE_NESTED, 4, 4, 12, 0x40},
    {"nested_2m", IOM_VTD_MODE_NESTED, 3, 4, 21, 0x40},
    {"nested_1g", IOM_VTD_MODE_NESTED, 4, 5, 30, IOM_NO_PASID},
};

iom_vtd_software_settings settings_of(const Setup &setup)
{
    iom_vtd_software_settings settings = iom_vtd_software_defaults(setup.mode);
    settings.second_stage_levels = setup.second_levels;
    settings.first_stage_levels = setup.first_levels;
    settings.nested_page_log2 = setup.nested_page_log2;
    return settings;
}

class VtdTables : public testing::TestWithParam<Setup>
{
  protected:
    static constexpr uint32_t source = 0x3a9d; // device 19: the upper context table in scalable mode
    static constexpr uint32_t domain = 0x77;

    VtdTables() : host(settings_of(GetParam()))
    {
        iom_rng_seed(&rng, 3, GetParam().name);
        EXPECT_EQ(ops.attach(host.get(), source, GetParam().pasid, domain, IOM_SOFTWARE_TRANSLATE),
                  IOM_SOFTWARE_OK);
        host.start();
    }

    bool first_stage() const
    {
        return GetParam().mode == IOM_VTD_MODE_FIRST_STAGE || GetParam().mode == IOM_VTD_MODE_NESTED;
    }

    void expect_translation(uint64_t iova, bool write)
    {
        const auto *page = oracle_find(oracle, iova);
        const iom_xlate x =
            host.translate(iova, write ? unsigned{IOM_REQ_WRITE} : 0u, source, GetParam().pasid);
        const bool allowed =
            page != nullptr && (page->second.permissions & (write ? IOM_PERM_WRITE : IOM_PERM_READ)) != 0;
        ASSERT_EQ(x.outcome == IOM_OUTCOME_ADDRESS, allowed)
            << std::hex << iova << " reason " << x.fault.code << " write " << write;
        if (allowed) {
            EXPECT_EQ(x.leaf.output, page->second.output + (iova - page->first)) << std::hex << iova;
        }
        iom_software_mapping mapping = {};
        ASSERT_EQ(ops.find(host.get(), domain, iova, &mapping), page != nullptr);
        if (page != nullptr) {
            EXPECT_EQ(mapping.output, page->second.output);
            EXPECT_EQ(mapping.size_log2, page->second.size_log2);
            EXPECT_EQ(mapping.permissions & (IOM_PERM_READ | IOM_PERM_WRITE), page->second.permissions);
        }
    }

    uint64_t random_iova(unsigned size_log2)
    {
        // Few regions, so that pages meet; the last one at the top of the address space.
        const uint64_t top = uint64_t{1} << ops.limits(host.get()).input_bits;
        const uint64_t regions[] = {0, uint64_t{7} << 30, top - (uint64_t{2} << 30)};
        const uint64_t offset = iom_rng_below(&rng, 3) == 0 ? iom_rng_below(&rng, uint64_t{2} << 30)
                                                            : iom_rng_below(&rng, uint64_t{4} << 20);
        return (regions[iom_rng_below(&rng, 3)] + offset) >> size_log2 << size_log2;
    }

    void map_random()
    {
        const uint64_t kind = iom_rng_below(&rng, 40);
        const unsigned size_log2 = kind == 0 ? 30 : kind < 10 ? 21 : 12;
        const uint64_t iova = random_iova(size_log2);
        const uint64_t output = iom_rng_below(&rng, uint64_t{1} << (38 - size_log2)) << size_log2;
        uint8_t permissions = static_cast<uint8_t>(1 + iom_rng_below(&rng, 3));
        if (first_stage())
            permissions |= IOM_PERM_READ;
        if (output >> 20 == 0xfee || (size_log2 > 12 && output >> size_log2 == 0xfee00000u >> size_log2))
            return; // the interrupt window is nothing to map to
        iom_software_change change = {};
        const iom_software_result result =
            ops.map(host.get(), domain, iova, output, size_log2, permissions, &change);
        if (oracle_overlaps(oracle, iova, size_log2)) {
            EXPECT_EQ(result, IOM_SOFTWARE_ALREADY);
            EXPECT_EQ(change.stores, 0u);
        } else {
            EXPECT_EQ(result, IOM_SOFTWARE_OK);
            EXPECT_GE(change.stores, 1u);
            oracle[iova] = {output, size_log2, permissions};
            mapped++;
        }
    }

    void unmap_random()
    {
        if (oracle.empty())
            return;
        auto it = oracle.begin();
        std::advance(it, static_cast<long>(iom_rng_below(&rng, oracle.size())));
        // Another size at the same place is not what was mapped.
        const bool small = it->second.size_log2 == 12;
        EXPECT_EQ(ops.unmap(host.get(), domain, small ? it->first >> 30 << 30 : it->first, small ? 30 : 12,
                            true, nullptr),
                  IOM_SOFTWARE_NOT_MAPPED);
        EXPECT_EQ(ops.unmap(host.get(), domain, it->first, it->second.size_log2, iom_rng_below(&rng, 2) != 0,
                            nullptr),
                  IOM_SOFTWARE_OK);
        EXPECT_EQ(ops.unmap(host.get(), domain, it->first, it->second.size_log2, false, nullptr),
                  IOM_SOFTWARE_NOT_MAPPED);
        oracle.erase(it);
    }

    void expect_retired_tables_are_empty()
    {
        for (const uint64_t table : host.retired) {
            for (uint64_t word = 0; word < 4096; word += 8)
                ASSERT_EQ(vtd_get(&host.fixture(), table + word), 0u);
            host.reusable.push_back(table);
        }
        host.retired.clear();
    }

    const iom_software_ops &ops = iom_vtd_software_ops;
    Host host;
    iom_rng rng = {};
    Oracle oracle;
    unsigned mapped = 0;
};

INSTANTIATE_TEST_SUITE_P(Modes, VtdTables, testing::ValuesIn(setups),
                         [](const testing::TestParamInfo<Setup> &setup) {
                             return std::string(setup.param.name);
                         });

TEST_P(VtdTables, random_maps_translate_as_asked)
{
    for (unsigned round = 0; round < 400; round++) {
        if (iom_rng_below(&rng, 5) < 3)
            map_random();
        else
            unmap_random();
        if (round % 16 != 0)
            continue;
        for (unsigned i = 0; i < 40; i++)
            expect_translation(random_iova(0), iom_rng_below(&rng, 2) != 0);
        for (const auto &page : oracle)
            expect_translation(page.first + iom_rng_below(&rng, uint64_t{1} << page.second.size_log2), false);
        expect_retired_tables_are_empty();
    }
    EXPECT_GT(mapped, 100u);
}

// After every single store a page that does not change translates as before, and the changing page
// either as before or as after.
TEST_P(VtdTables, no_store_exposes_a_half_written_table)
{
    const uint64_t output = 0x40000000, other = 0x80000000;
    ASSERT_EQ(ops.map(host.get(), domain, 0x5000, other, 12, 3, nullptr), IOM_SOFTWARE_OK);
    host.hold = true;
    ASSERT_EQ(ops.map(host.get(), domain, uint64_t{3} << 30, output, 12, 3, nullptr), IOM_SOFTWARE_OK);
    ASSERT_EQ(ops.unmap(host.get(), domain, uint64_t{3} << 30, 12, false, nullptr), IOM_SOFTWARE_OK);
    ASSERT_EQ(ops.map(host.get(), domain, uint64_t{3} << 30, output, 21, 3, nullptr), IOM_SOFTWARE_OK);
    bool appeared = false;
    for (const iom_store &s : host.held) {
        host.apply(s);
        EXPECT_EQ(host.translate(0x5008, 0, source, GetParam().pasid).leaf.output, other + 8);
        const iom_xlate x =
            host.translate((uint64_t{3} << 30) + 0x10, IOM_REQ_WRITE, source, GetParam().pasid);
        if (x.outcome == IOM_OUTCOME_ADDRESS) {
            EXPECT_EQ(x.leaf.output, output + 0x10);
            appeared = true;
        }
    }
    EXPECT_TRUE(appeared);
    EXPECT_EQ(host.retired.size(), 1u); // the empty table below the 2 MiB page
}

TEST_P(VtdTables, detach_and_attach_again)
{
    const uint32_t pasid = GetParam().pasid;
    ASSERT_EQ(ops.map(host.get(), domain, 0x5000, 0x9000, 12, 3, nullptr), IOM_SOFTWARE_OK);
    EXPECT_EQ(ops.attach(host.get(), source, pasid, domain, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_ALREADY);
    EXPECT_EQ(ops.detach(host.get(), source, pasid), IOM_SOFTWARE_OK);
    EXPECT_EQ(host.translate(0x5000, 0, source, pasid).outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(ops.detach(host.get(), source, pasid), IOM_SOFTWARE_NOT_MAPPED);
    // Another domain does not see the mapping, bypass sees addresses themselves.
    EXPECT_EQ(ops.attach(host.get(), source, pasid, 5, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
    EXPECT_EQ(host.translate(0x5000, 0, source, pasid).outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(ops.detach(host.get(), source, pasid), IOM_SOFTWARE_OK);
    EXPECT_EQ(ops.attach(host.get(), source, pasid, 6, IOM_SOFTWARE_BYPASS), IOM_SOFTWARE_OK);
    const iom_xlate x = host.translate(0x5000, 0, source, pasid);
    EXPECT_EQ(x.outcome, IOM_OUTCOME_BYPASS);
    EXPECT_EQ(x.leaf.output, 0x5000u);
    EXPECT_EQ(ops.detach(host.get(), source, pasid), IOM_SOFTWARE_OK);
    EXPECT_EQ(ops.attach(host.get(), source, pasid, domain, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
    EXPECT_EQ(host.translate(0x5000, 0, source, pasid).leaf.output, 0x9000u);
}

TEST_P(VtdTables, what_cannot_be_expressed_is_refused)
{
    const iom_software_limits limits = ops.limits(host.get());
    const uint64_t beyond = uint64_t{1} << limits.input_bits;
    EXPECT_EQ(ops.map(host.get(), domain, beyond, 0, 12, 3, nullptr), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.map(host.get(), domain, 0x5000, 0, 13, 3, nullptr), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.map(host.get(), domain, 0x5800, 0, 12, 3, nullptr), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.map(host.get(), domain, 0x5000, 0x800, 12, 3, nullptr), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.map(host.get(), domain, 0x5000, uint64_t{1} << 46, 12, 3, nullptr), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.map(host.get(), domain, 0x5000, 0, 12, 0, nullptr), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.map(host.get(), limits.domains, 0x5000, 0, 12, 3, nullptr), IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.attach(host.get(), 0x10000, IOM_NO_PASID, domain, IOM_SOFTWARE_TRANSLATE),
              IOM_SOFTWARE_REFUSED);
    EXPECT_EQ(ops.attach(host.get(), 1, uint32_t{1} << 20, domain, IOM_SOFTWARE_TRANSLATE),
              IOM_SOFTWARE_REFUSED);
}

// The first stage has no bit for reading apart from presence (9.9).
TEST_P(VtdTables, a_page_for_writing_only_is_readable_in_the_first_stage)
{
    ASSERT_EQ(ops.map(host.get(), domain, 0x5000, 0, 12, IOM_PERM_WRITE, nullptr), IOM_SOFTWARE_OK);
    iom_software_mapping mapping = {};
    ASSERT_TRUE(ops.find(host.get(), domain, 0x5000, &mapping));
    EXPECT_EQ(mapping.permissions, first_stage() ? IOM_PERM_READ | IOM_PERM_WRITE : IOM_PERM_WRITE);
}

TEST_P(VtdTables, a_host_without_memory_is_reported)
{
    host.tables_left = 1;
    EXPECT_EQ(ops.map(host.get(), domain, uint64_t{5} << 30, 0, 12, 3, nullptr), IOM_SOFTWARE_NO_MEMORY);
}

TEST(VtdTablesFlags, first_stage_entries_come_with_flags_unless_cleared)
{
    for (const bool clear : {false, true}) {
        iom_vtd_software_settings settings = iom_vtd_software_defaults(IOM_VTD_MODE_FIRST_STAGE);
        settings.clear_accessed_dirty = clear;
        Host host(settings);
        const iom_software_ops &ops = iom_vtd_software_ops;
        ASSERT_EQ(ops.attach(host.get(), VTD_SOURCE, VTD_PASID, 1, IOM_SOFTWARE_TRANSLATE), IOM_SOFTWARE_OK);
        ASSERT_EQ(ops.map(host.get(), 1, 0x5000, 0x7000, 12, 3, nullptr), IOM_SOFTWARE_OK);
        host.start();
        const iom_xlate x = vtd_translate(&host.fixture(), 0x5000, IOM_REQ_PASID | IOM_REQ_WRITE);
        EXPECT_EQ(x.leaf.output, 0x7000u);
        EXPECT_EQ(host.fixture().updates, clear ? 4u : 0u);
    }
}

TEST(VtdTablesSettings, unsupported_settings_are_refused_with_a_text)
{
    vtd_fixture fixture = {};
    iom_vtd_features features = vtd_all_features();
    features.nested = false;
    features.first_stage_5level = false;
    features.second_stage_levels = 0x10;
    vtd_fixture_open(&fixture, &features);
    const iom_software_host host = {nullptr, nullptr, nullptr, nullptr};
    const auto error_of = [&](const iom_vtd_software_settings &settings) {
        const iom_software_config config = {&fixture.arch, &settings};
        const char *error = nullptr;
        EXPECT_EQ(iom_vtd_software_ops.create(&config, &host, &error), nullptr);
        return std::string(error != nullptr ? error : "");
    };
    iom_vtd_software_settings settings = iom_vtd_software_defaults(IOM_VTD_MODE_NESTED);
    EXPECT_NE(error_of(settings).find("nested"), std::string::npos);
    settings = iom_vtd_software_defaults(IOM_VTD_MODE_FIRST_STAGE);
    settings.first_stage_levels = 5;
    EXPECT_NE(error_of(settings).find("5-level"), std::string::npos);
    settings = iom_vtd_software_defaults(IOM_VTD_MODE_LEGACY);
    settings.second_stage_levels = 3;
    EXPECT_NE(error_of(settings).find("levels"), std::string::npos);
    settings = iom_vtd_software_defaults(IOM_VTD_MODE_SECOND_STAGE);
    settings.pasid_bits = 21;
    EXPECT_NE(error_of(settings).find("PASID"), std::string::npos);
    vtd_fixture_close(&fixture);
}

} // namespace
