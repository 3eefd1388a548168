// SPDX-License-Identifier: Apache-2.0
//
// RISC-V IOMMU as the vector runner drives it: register names, fault queue, command queue, and the memory map
// of the machine the vectors were recorded on.
//
// Source: RISC-V IOMMU Architecture Specification 1.0, "Fault/Event-Queue", "Command-Queue",
// "Memory-mapped register interface".
#include "models/verify/riscv_family.h"

#include <stdexcept>

#include "core/arch/riscv/riscv.h"
#include "models/verify/riscv_queues.h"

namespace iommu_sim::verify
{

namespace
{

// The IOMMU of the emulated machine: what its vectors do not say.
RiscvParameters recorded_parameters()
{
    RiscvParameters parameters;
    parameters.capabilities = 0x78c2cf0f10;
    parameters.counters = 31;
    parameters.counter_bits = 63;
    parameters.events = 8;
    parameters.vector_bits = 4;
    parameters.max_mode = IOM_RISCV_3LVL;
    parameters.device_id_mask = 0xffffff;
    return parameters;
}

RiscvParameters parameters_of(const VectorConfig &config)
{
    return config.riscv ? *config.riscv : recorded_parameters();
}

class RiscvFamily final : public Family
{
  public:
    std::vector<RamRange> ram(const VectorConfig &config) const override
    {
        if (!config.riscv)
            return {{0x80000000, 0x27fffffff}};
        const unsigned bits = static_cast<unsigned>(
            iom_bits(config.riscv->capabilities, IOM_RISCV_CAP_PAS_BIT + 5, IOM_RISCV_CAP_PAS_BIT));
        return {{0, iom_low_bits(UINT64_MAX, bits)}};
    }

    unsigned invalidation_tags(const VectorConfig &config) const override
    {
        return config.riscv ? riscv::vector_invalidation_tags : 0;
    }

    ArchInstance make_arch(const VectorConfig &config) const override
    {
        const RiscvParameters parameters = parameters_of(config);
        auto made = std::make_shared<iom_riscv_config>();
        *made = {};
        made->capabilities = parameters.capabilities;
        made->fctl = parameters.fctl;
        made->gxl_writable = parameters.gxl_writable;
        made->be_writable = parameters.be_writable;
        made->max_mode = parameters.max_mode;
        made->device_id_mask = parameters.device_id_mask;
        made->counters = parameters.counters;
        made->counter_bits = parameters.counter_bits;
        made->events = parameters.events;
        made->vector_bits = parameters.vector_bits;
        made->bare_page_log2 = parameters.bare_page_log2;
        made->bare_page_sv32_log2 = parameters.bare_page_sv32_log2;
        made->invalidation_tags = riscv::vector_invalidation_tags;
        made->tagging = IOM_TAG_BY_DOMAIN;
        if (const char *wrong = iom_riscv_config_finish(made.get()))
            throw std::runtime_error(std::string("capabilities that cannot be simulated: ") + wrong);
        ArchInstance instance;
        instance.arch.ops = &iom_riscv_ops;
        instance.arch.config = made.get();
        instance.config = made;
        return instance;
    }

    std::optional<RegisterRef> find_register(const VectorConfig &, const std::string &name) const override
    {
        struct Named {
            const char *name;
            RegisterRef at;
        };
        static constexpr Named registers[] = {
            {"capabilities", {IOM_RISCV_CAPABILITIES, 8}},
            {"fctl", {IOM_RISCV_FCTL, 4}},
            {"ddtp", {IOM_RISCV_DDTP, 8}},
            {"cqb", {IOM_RISCV_CQB, 8}},
            {"cqh", {IOM_RISCV_CQH, 4}},
            {"cqt", {IOM_RISCV_CQT, 4}},
            {"fqb", {IOM_RISCV_FQB, 8}},
            {"fqh", {IOM_RISCV_FQH, 4}},
            {"fqt", {IOM_RISCV_FQT, 4}},
            {"pqb", {IOM_RISCV_PQB, 8}},
            {"pqh", {IOM_RISCV_PQH, 4}},
            {"pqt", {IOM_RISCV_PQT, 4}},
            {"cqcsr", {IOM_RISCV_CQCSR, 4}},
            {"fqcsr", {IOM_RISCV_FQCSR, 4}},
            {"pqcsr", {IOM_RISCV_PQCSR, 4}},
            {"ipsr", {IOM_RISCV_IPSR, 4}},
        };
        for (const Named &known : registers) {
            if (name == known.name)
                return known.at;
        }
        return std::nullopt;
    }

    std::vector<FaultRecord> pending_faults(const VectorConfig &, Target &target) const override
    {
        const riscv::QueuePlace place = riscv::locate(riscv::Queue::fault, target);
        std::vector<FaultRecord> pending;
        for (uint32_t i = place.head % place.entries; i != place.tail % place.entries; i = place.next(i)) {
            const riscv::FaultEntry entry = riscv::read_fault(place, i, target);
            FaultRecord record;
            record.index = i;
            record.fault.fields = {{"reason", entry.cause},  {"ttype", entry.transaction},
                                   {"did", entry.device},    {"pv", entry.has_process ? 1 : 0},
                                   {"pid", entry.process},   {"priv", entry.priv ? 1 : 0},
                                   {"iotval", entry.iotval}, {"iotval2", entry.iotval2}};
            pending.push_back(record);
        }
        return pending;
    }

    // The head catches up with the tail; error bits are write-1-to-clear.
    void clear_faults(const VectorConfig &, Target &target) const override
    {
        constexpr uint64_t errors = 3u << 8; // fqmf, fqof
        const uint64_t tail = target.read_register(IOM_RISCV_FQT, 4);
        if (target.read_register(IOM_RISCV_FQH, 4) != tail)
            target.write_register(IOM_RISCV_FQH, 4, tail);
        const uint64_t status = target.read_register(IOM_RISCV_FQCSR, 4);
        if (status & errors)
            target.write_register(IOM_RISCV_FQCSR, 4, status);
    }

    std::string reason_text(uint64_t reason) const override
    {
        const char *text = iom_riscv_fault_text(static_cast<unsigned>(reason));
        return text != nullptr ? text : "unknown";
    }

    std::optional<TablePath> table_path(const DmaStep &, Target &) const override
    {
        return std::nullopt; // no mask needs it
    }

    std::map<std::string, uint64_t> command(const CommandStep &step, Target &target) const override
    {
        riscv::QueuePlace place = riscv::locate(riscv::Queue::command, target);
        for (const std::vector<uint64_t> &words : step.commands) {
            riscv::store_command(place, {words.at(0), words.at(1)}, target);
            place.tail = place.next(place.tail);
        }
        riscv::set_command_tail(place.tail, target);
        std::map<std::string, uint64_t> results = {{"cqh", target.read_register(IOM_RISCV_CQH, 4)},
                                                   {"cqcsr", target.read_register(IOM_RISCV_CQCSR, 4)},
                                                   {"cqt", target.read_register(IOM_RISCV_CQT, 4)}};
        if (step.wait) {
            uint8_t bytes[4] = {};
            target.read_memory(*step.wait, bytes, sizeof bytes);
            results["status"] = uint64_t{bytes[0]} | uint64_t{bytes[1]} << 8 | uint64_t{bytes[2]} << 16 |
                                uint64_t{bytes[3]} << 24;
        }
        return results;
    }
};

} // namespace

const Family &riscv_family()
{
    static const RiscvFamily family;
    return family;
}

} // namespace iommu_sim::verify
