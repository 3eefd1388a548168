// SPDX-License-Identifier: Apache-2.0
//
// `iommu.arch: riscv` in a configuration: its keys arrive in the hardware, impossible ones are named, and
// runs say what is missing.
#include <gtest/gtest.h>

#include <stdexcept>

#include "core/arch/riscv/riscv.h"
#include "models/architecture.h"
#include "models/config/config.h"
#include "models/session.h"
#include "models/system_settings.h"

using namespace iommu_sim;

namespace
{

SystemConfig config_with(std::vector<std::string> settings)
{
    settings.insert(settings.begin(), "iommu.arch=riscv");
    const LoadedConfig loaded = load_default_config(settings);
    EXPECT_TRUE(loaded.ok()) << loaded.messages();
    return loaded.config;
}

std::string messages_of(std::vector<std::string> settings)
{
    settings.insert(settings.begin(), "iommu.arch=riscv");
    return load_default_config(settings).messages();
}

const iom_riscv_config &hardware_of(const ArchitectureInstance &instance)
{
    return *static_cast<const iom_riscv_config *>(instance.arch().config);
}

bool has(const ArchitectureInstance &instance, iom_riscv_capability bit)
{
    return (hardware_of(instance).capabilities >> bit & 1) != 0;
}

} // namespace

TEST(RiscvSettings, features_become_capabilities)
{
    const struct {
        const char *key;
        iom_riscv_capability bit;
    } features[] = {
        {"sv57", IOM_RISCV_CAP_SV57_BIT},
        {"sv57x4", IOM_RISCV_CAP_SV57X4_BIT},
        {"svpbmt", IOM_RISCV_CAP_SVPBMT_BIT},
        {"amo_hwad", IOM_RISCV_CAP_AMO_HWAD_BIT},
        {"t2gpa", IOM_RISCV_CAP_T2GPA_BIT},
        {"both_endian", IOM_RISCV_CAP_END_BIT},
        {"performance_monitor", IOM_RISCV_CAP_HPM_BIT},
        {"debug", IOM_RISCV_CAP_DBG_BIT},
        {"pd8", IOM_RISCV_CAP_PD8_BIT},
        {"pd17", IOM_RISCV_CAP_PD17_BIT},
        {"pd20", IOM_RISCV_CAP_PD20_BIT},
        {"qos", IOM_RISCV_CAP_QOSID_BIT},
        {"non_leaf", IOM_RISCV_CAP_NL_BIT},
        {"range", IOM_RISCV_CAP_S_BIT},
    };
    for (const auto &feature : features) {
        for (const bool on : {false, true}) {
            const std::string setting =
                std::string("riscv.features.") + feature.key + (on ? "=true" : "=false");
            const auto made = make_architecture(config_with({setting}));
            EXPECT_EQ(has(*made, feature.bit), on) << setting;
        }
    }
    const auto wide = make_architecture(config_with({"iommu.address_width=44"}));
    EXPECT_EQ(iom_bits(hardware_of(*wide).capabilities, IOM_RISCV_CAP_PAS_BIT + 5, IOM_RISCV_CAP_PAS_BIT),
              44u);
    const auto given = make_architecture(config_with({"riscv.capabilities=0x78c2cf0f10"}));
    EXPECT_EQ(hardware_of(*given).capabilities, 0x78c2cf0f10u);
}

TEST(RiscvSettings, choices_of_the_implementation)
{
    const auto made = make_architecture(
        config_with({"riscv.directory_levels=2", "riscv.device_id_bits=15", "riscv.counters=8",
                     "riscv.events=255", "riscv.vector_bits=2", "riscv.be_writable=true",
                     "riscv.bare_page=2M", "riscv.bare_page_sv32=4K", "riscv.invalidation_tags=2"}));
    const iom_riscv_config &hardware = hardware_of(*made);
    EXPECT_EQ(hardware.max_mode, IOM_RISCV_2LVL);
    EXPECT_EQ(hardware.device_id_mask, 0x7fffu);
    EXPECT_EQ(hardware.counters, 8u);
    EXPECT_EQ(hardware.events, 255u);
    EXPECT_EQ(hardware.vector_bits, 2u);
    EXPECT_TRUE(hardware.be_writable);
    EXPECT_FALSE(hardware.gxl_writable);
    EXPECT_EQ(hardware.bare_page_log2, 21u);
    EXPECT_EQ(hardware.bare_page_sv32_log2, 12u);
    EXPECT_EQ(made->hardware_traits().invalidation_tags, 2u);
    EXPECT_TRUE(made->hardware_traits().tags_block_queue);
    EXPECT_STREQ(made->arch().ops->name, "riscv");
}

// One key for the register file's limit, the fan-out's tags and the command queue that waits for one.
TEST(RiscvSettings, invalidation_tags_are_those_of_the_whole_iommu)
{
    const SystemConfig settings = config_with({"riscv.invalidation_tags=2"});
    const iom_iommu_config config = iommu_config(settings, *make_architecture(settings), 1);
    EXPECT_EQ(config.ats_tags, 2u);
    EXPECT_TRUE(config.ats_tags_block_queue);
    const SystemConfig vtd = load_default_config().config;
    const iom_iommu_config other = iommu_config(vtd, *make_architecture(vtd), 1);
    EXPECT_EQ(other.ats_tags, 0u) << "as many as there can be";
    EXPECT_FALSE(other.ats_tags_block_queue);
}

// An unmap of two devices with device TLBs sends two invalidations. With one tag the second waits until the
// first has come back: 2000 cycles there, 66 back.
TEST(RiscvSettings, with_one_tag_invalidations_of_device_tlbs_wait_for_each_other)
{
    const auto unmap_cycles = [](const std::string &tags) {
        const LoadedConfig loaded = load_config_text(
            "iommu: {arch: riscv}\n"
            "link: {latency_cycles: 66, return_latency_cycles: 2000}\n"
            "workload: {threads: 1, iterations: 20}\n"
            "devices:\n"
            "  - {name: a, source_id: 0x8, device_tlb: {entries: 16}, generator: {kind: none}}\n"
            "  - {name: b, source_id: 0x10, device_tlb: {entries: 16}, generator: {kind: none}}\n",
            "t.yaml", {"riscv.invalidation_tags=" + tags});
        EXPECT_TRUE(loaded.ok()) << loaded.messages();
        System system(loaded.config);
        CoreKernel kernel(system.netlist());
        const SessionResult result = run_session(system, kernel, nullptr);
        EXPECT_EQ(result.end, EndReason::workload_ended) << result.explanation;
        return result.region.cycles();
    };
    const uint64_t one = unmap_cycles("1"), two = unmap_cycles("2"), most = unmap_cycles("32");
    EXPECT_EQ(two, most);
    EXPECT_GE(one - two, 20u * (2000 + 66));
    EXPECT_LT(one - two, 21u * (2000 + 66 + 10));
}

TEST(RiscvSettings, impossible_combinations_are_named)
{
    EXPECT_NE(messages_of({"riscv.features.sv48=false"}).find("sv57 needs sv48"), std::string::npos);
    EXPECT_NE(messages_of({"riscv.features.msi_flat=false"}).find("msi_mrif needs msi_flat"),
              std::string::npos);
    EXPECT_NE(messages_of({"riscv.features.ats=false"}).find("t2gpa needs ats"), std::string::npos);
    EXPECT_NE(messages_of({"riscv.features.msi_interrupts=false", "riscv.features.wired_interrupts=false"})
                  .find("wired_interrupts"),
              std::string::npos);
    EXPECT_NE(messages_of({"riscv.bare_page=12K"}).find("power of two"), std::string::npos);
    EXPECT_NE(messages_of({"riscv.directory_levels=4"}).find("directory_levels"), std::string::npos);
}
