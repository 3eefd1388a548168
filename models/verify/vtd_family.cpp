// SPDX-License-Identifier: Apache-2.0
//
// Intel VT-d as the vector runner drives it: register names, fault recording registers, the
// invalidation queue, and the memory map of the machine the vectors were recorded on.
//
// Source: Intel VT-d specification Rev. 4.1, sections 7.2 (fault recording), 11.4.7.6 (FRCD) and
// 6.5.2 (queued invalidation).
#include "models/verify/vtd_family.h"

#include <array>
#include <stdexcept>

#include "core/arch/vtd/vtd.h"
#include "models/verify/vtd_path.h"

namespace iommu_sim::verify
{

namespace
{

constexpr uint32_t record_bytes = 16;

// Capabilities of the emulated IOMMU, for vectors that do not name any.
constexpr uint64_t qemu_cap_39 = 0xd2008c22260206;
constexpr uint64_t qemu_cap_48 = 0xd2008c222f0606;
constexpr uint64_t qemu_cap_first_stage = 0x1d2008c222f0606;
constexpr uint64_t qemu_ecap_legacy = 0xf00f4a;
constexpr uint64_t qemu_ecap_second_stage = 0x480080f00f4a;
constexpr uint64_t qemu_ecap_first_stage = 0x880000f00f4a;

uint64_t capability(const VectorConfig &config, const char *name, uint64_t otherwise)
{
    const auto found = config.capabilities.find(name);
    return found == config.capabilities.end() ? otherwise : found->second;
}

uint64_t cap_of(const VectorConfig &config)
{
    const uint64_t legacy = config.address_width <= 39 ? qemu_cap_39 : qemu_cap_48;
    return capability(config, "cap", config.mode == "fs" ? qemu_cap_first_stage : legacy);
}

uint64_t ecap_of(const VectorConfig &config)
{
    uint64_t ecap = qemu_ecap_legacy;
    if (config.mode == "ss")
        ecap = qemu_ecap_second_stage;
    else if (config.mode == "fs")
        ecap = qemu_ecap_first_stage;
    return capability(config, "ecap", ecap);
}

uint32_t record_offset(const VectorConfig &config, uint32_t index)
{
    return static_cast<uint32_t>(IOM_VTD_CAP_FRO(cap_of(config)) * 16 + record_bytes * uint64_t{index});
}

uint32_t record_count(const VectorConfig &config)
{
    return static_cast<uint32_t>(IOM_VTD_CAP_NFR(cap_of(config)));
}

FaultFields decode_record(uint64_t low, uint64_t high)
{
    FaultFields fault;
    fault.fields["reason"] = iom_bits(high, 39, 32);
    fault.fields["sid"] = iom_bits(high, 15, 0);
    fault.fields["addr"] = iom_align_down(low, IOM_PAGE_LOG2);
    fault.fields["type"] = (high & IOM_VTD_FRCD_READ) ? 0 : 1;
    fault.fields["pp"] = (high & IOM_VTD_FRCD_PP) ? 1 : 0;
    fault.fields["pv"] = iom_bits(high, 59, 40);
    fault.fields["exe"] = (high & IOM_VTD_FRCD_EXE) ? 1 : 0;
    fault.fields["priv"] = (high & IOM_VTD_FRCD_PRIV) ? 1 : 0;
    return fault;
}

// "FRCD12_HI": number and half; nothing if the name is anything else.
std::optional<RegisterRef> find_record_register(const VectorConfig &config, const std::string &name)
{
    const std::string prefix = "FRCD";
    if (name.compare(0, prefix.size(), prefix) != 0)
        return std::nullopt;
    size_t at = prefix.size();
    uint32_t index = 0;
    const size_t first_digit = at;
    while (at < name.size() && name[at] >= '0' && name[at] <= '9' && at < first_digit + 3)
        index = index * 10 + static_cast<uint32_t>(name[at++] - '0');
    const std::string half = name.substr(at);
    if (at == first_digit || index >= record_count(config) || (half != "_LO" && half != "_HI"))
        return std::nullopt;
    return RegisterRef{record_offset(config, index) + (half == "_HI" ? 8u : 0u), 8};
}

class VtdFamily final : public Family
{
  public:
    std::vector<RamRange> ram(const VectorConfig &) const override
    {
        return {{0, 0x7fffffff}, {0x100000000, 0x27fffffff}};
    }

    ArchInstance make_arch(const VectorConfig &config) const override
    {
        auto vtd = std::make_shared<iom_vtd_config>();
        *vtd = {};
        vtd->cap = cap_of(config);
        vtd->ecap = ecap_of(config);
        vtd->haw_bits = static_cast<uint8_t>(config.host_address_width.value_or(config.address_width));
        vtd->tagging = IOM_TAG_BY_DOMAIN;
        // docs/verify.md, "Settings of the simulated system".
        vtd->quirk_narrow_commands = config.source == Source::qemu;
        vtd->coarse_function_mask = config.source == Source::spec;
        if (const char *wrong = iom_vtd_config_finish(vtd.get()))
            throw std::runtime_error(std::string("capabilities that cannot be simulated: ") + wrong);
        ArchInstance instance;
        instance.arch.ops = &iom_vtd_ops;
        instance.arch.config = vtd.get();
        instance.config = vtd;
        return instance;
    }

    std::optional<RegisterRef> find_register(const VectorConfig &config,
                                             const std::string &name) const override
    {
        struct Named {
            const char *name;
            RegisterRef at;
        };
        static constexpr std::array<Named, 8> registers = {{
            {"FSTS", {IOM_VTD_FSTS, 4}},
            {"GSTS", {IOM_VTD_GSTS, 4}},
            {"IQH", {IOM_VTD_IQH, 8}},
            {"IQT", {IOM_VTD_IQT, 8}},
            {"IQA", {IOM_VTD_IQA, 8}},
            {"ICS", {IOM_VTD_ICS, 4}},
            {"IQERCD", {IOM_VTD_IQERCD, 8}},
            {"PRS", {IOM_VTD_PRS, 4}},
        }};
        for (const Named &known : registers) {
            if (name == known.name)
                return known.at;
        }
        return find_record_register(config, name);
    }

    std::vector<FaultRecord> pending_faults(const VectorConfig &config, Target &target) const override
    {
        std::vector<FaultRecord> pending;
        for (uint32_t i = 0; i < record_count(config); i++) {
            const uint64_t high = target.read_register(record_offset(config, i) + 8, 8);
            if (high & IOM_VTD_FRCD_F)
                pending.push_back(
                    {i, decode_record(target.read_register(record_offset(config, i), 8), high)});
        }
        return pending;
    }

    // F is write-1-to-clear in the uppermost byte of a record, PFO likewise in FSTS; PPF follows the
    // records.
    void clear_faults(const VectorConfig &config, Target &target) const override
    {
        for (const FaultRecord &record : pending_faults(config, target))
            target.write_register(record_offset(config, record.index) + 12, 4, UINT64_C(0x80000000));
        target.write_register(IOM_VTD_FSTS, 4, IOM_VTD_FSTS_PFO);
    }

    std::string reason_text(uint64_t reason) const override
    {
        return iom_vtd_fault_text(static_cast<unsigned>(reason));
    }

    std::optional<TablePath> table_path(const DmaStep &step, Target &target) const override
    {
        return step.pasid ? std::nullopt : vtd_table_path(step.device, step.address, target);
    }

    QueueResult invalidate(const InvalidationStep &step, Target &target) const override
    {
        uint64_t tail = target.read_register(IOM_VTD_IQT, 8);
        for (const std::vector<uint64_t> &descriptor : step.descriptors) {
            for (size_t word = 0; word < descriptor.size(); word++) {
                std::array<uint8_t, 8> bytes = {};
                for (unsigned i = 0; i < 8; i++)
                    bytes[i] = static_cast<uint8_t>(descriptor[word] >> (8 * i));
                target.write_memory(step.queue + tail + 8 * word, bytes.data(), bytes.size());
            }
            tail = (tail + step.descriptor_bytes) % step.queue_bytes;
        }
        target.write_register(IOM_VTD_IQT, 8, tail);
        target.settle();
        QueueResult result;
        result.head = target.read_register(IOM_VTD_IQH, 8);
        result.tail = target.read_register(IOM_VTD_IQT, 8);
        result.error = (target.read_register(IOM_VTD_FSTS, 4) & IOM_VTD_FSTS_IQE) != 0;
        return result;
    }
};

} // namespace

const Family &vtd_family()
{
    static const VtdFamily family;
    return family;
}

} // namespace iommu_sim::verify
