// SPDX-License-Identifier: Apache-2.0
//
// A whole IOMMU among foreign modules: a processor thread programs a VT-d unit through its registers, a
// device thread does DMA, a foreign memory (or ours) holds tables and data. The same platform is built
// of one module, of fused modules and of a module per engine; all must take the same time.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <sstream>

#include "models/systemc/modules.h"
#include "tests/models/support/child_process.h"
#include "tests/models/support/foreign_modules.h"
#include "tests/models/support/vtd_tables.h"

namespace
{

using namespace iommu_sim;
using foreign::Manner;
using foreign::ns;
using vtd_tables::fully_associative;
using vtd_tables::Tables;

constexpr uint64_t tick_ps = 1000;
constexpr uint32_t nic = 0x100;   // 01:00.0
constexpr uint32_t other = 0x200; // attached nowhere
constexpr uint64_t iova = 0x40000000, page = 0x7000;

/// Tables of one device with two pages, side by side in iova, apart in memory.
std::unique_ptr<Tables> make_tables(iom_vtd_mode mode, bool clear_accessed_dirty, const Tables::Store &store)
{
    iom_vtd_features features = vtd_tables::features();
    features.pasid_bits = 20;
    features.scalable_mode = features.second_stage = features.first_stage = features.nested = true;
    features.pasid = features.rid_pasid = features.set_root_flushes = true;
    iom_vtd_software_settings settings = iom_vtd_software_defaults(mode);
    settings.clear_accessed_dirty = clear_accessed_dirty;
    auto tables = std::make_unique<Tables>(features, 46, settings, store);
    tables->attach(nic, 1);
    tables->map(1, iova, page, IOM_PERM_READ | IOM_PERM_WRITE);
    tables->map(1, iova + 0x1000, page + 0x8000, IOM_PERM_READ);
    return tables;
}

iom_stage_config stage_config(const iom_arch &arch, bool owns_all)
{
    iom_stage_config config{};
    config.arch = &arch;
    config.inputs = 1;
    config.lookups_per_cycle = 1;
    config.latency_cycles = 2;
    for (auto &lookup : config.lookup) {
        lookup.owned = owns_all;
        lookup.cache = fully_associative(16);
        lookup.latency_cycles = 1;
    }
    config.miss_entries = 8;
    config.merges_per_entry = 4;
    config.hit_under_miss = true;
    config.squash_walks = true;
    return config;
}

iom_psc_config psc_config()
{
    iom_psc_config config{};
    for (auto &stage : config.cache)
        for (unsigned level = 2; level <= 4; level++)
            stage[level] = fully_associative(4);
    config.latency_cycles = 1;
    return config;
}

iom_iommu_config iommu_config(const iom_arch &arch)
{
    iom_stage_config stage = stage_config(arch, true);
    iom_iommu_config config{};
    config.arch = &arch;
    config.wiring = IOM_WIRING_FUSED;
    config.inputs = 1;
    config.hop_cycles = 1;
    config.front_latency_cycles = stage.latency_cycles;
    config.front_lookups_per_cycle = 1;
    for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++)
        config.lookup[which] = stage.lookup[which];
    config.stage_queue_depth = config.walk_queue_depth = config.memory_queue_depth = 16;
    config.miss_entries = stage.miss_entries;
    config.merges_per_entry = stage.merges_per_entry;
    config.hit_under_miss = config.squash_walks = true;
    config.walkers = 2;
    config.step_cycles = 1;
    config.psc = psc_config();
    config.psc_lookups_per_cycle = 1;
    return config;
}

/// How the IOMMU is built.
enum class Build { one_module, fused_modules, module_per_engine };

/// Either one IommuModule, or front end, walker and registers, or all engines apart.
class Iommu
{
  public:
    Iommu(Build build, const iom_arch &arch)
    {
        if (build == Build::one_module) {
            whole_.emplace("iommu", iommu_config(arch), tick_ps);
            whole_->set_source_id(0, nic);
            return;
        }
        bool fused = build == Build::fused_modules;
        front_.emplace("front", stage_config(arch, fused), IOM_TAG_BY_DOMAIN, tick_ps);
        front_->set_source_id(0, nic);
        iom_walker_config walker{};
        walker.arch = &arch;
        walker.inputs = fused ? 1 : 3;
        walker.walkers = 2;
        walker.step_cycles = 1;
        walker.fused_psc = fused;
        walker.psc = psc_config();
        walker.squash_walks = true;
        walker_.emplace("walker", walker, tick_ps);
        iom_register_unit_config registers{};
        registers.arch = &arch;
        registers.fault_inputs = 1;
        registers_.emplace("registers", registers, tick_ps);
        iom_fanout_config fanout{};
        fanout.sources = 1;
        fanout.participants = fused ? 2 : 6;
        fanout_.emplace("fanout", fanout, tick_ps);
        registers_->fanout().bind(fanout_->source(0));
        front_->fault().bind(registers_->fault(0));
        fanout_->participant(0).bind(front_->control());
        fanout_->participant(1).bind(walker_->control());
        if (fused)
            front_->walk().bind(walker_->in(0));
        else
            chain(arch);
    }
    TargetSocket &in()
    {
        return whole_ ? whole_->in(0) : front_->in(0);
    }
    TargetSocket &mmio()
    {
        return whole_ ? whole_->mmio() : registers_->mmio();
    }
    InitiatorSocket &memory()
    {
        return whole_ ? whole_->memory() : front_->memory();
    }
    InitiatorSocket &table()
    {
        return whole_ ? whole_->table() : walker_->memory();
    }
    uint64_t payloads_in_use()
    {
        uint64_t total = 0;
        for (UnitModule *module : modules())
            total += module->payloads().in_use();
        return total;
    }
    uint64_t outstanding()
    {
        uint64_t total = 0;
        for (UnitModule *module : modules())
            total += iom_group_outstanding(&module->group());
        return total;
    }

  private:
    void chain(const iom_arch &arch)
    {
        iom_stage_config stage = stage_config(arch, false);
        stage.latency_cycles = 0;
        context_.emplace("context", stage, tick_ps);
        pasid_.emplace("pasid", stage, tick_ps);
        iotlb_.emplace("iotlb", stage, IOM_TAG_BY_DOMAIN, tick_ps);
        psc_.emplace("psc", psc_config(), 1, tick_ps);
        front_->next().bind(context_->in(0));
        context_->next().bind(pasid_->in(0));
        pasid_->next().bind(iotlb_->in(0));
        context_->walk().bind(walker_->in(0));
        pasid_->walk().bind(walker_->in(1));
        iotlb_->walk().bind(walker_->in(2));
        walker_->psc().bind(psc_->in());
        fanout_->participant(2).bind(context_->control());
        fanout_->participant(3).bind(pasid_->control());
        fanout_->participant(4).bind(iotlb_->control());
        fanout_->participant(5).bind(psc_->control());
    }
    std::vector<UnitModule *> modules()
    {
        std::vector<UnitModule *> list;
        auto add = [&list](auto &module) {
            if (module)
                list.push_back(&*module);
        };
        add(whole_);
        add(front_);
        add(context_);
        add(pasid_);
        add(iotlb_);
        add(walker_);
        add(psc_);
        add(registers_);
        add(fanout_);
        return list;
    }

    std::optional<IommuModule> whole_;
    std::optional<FrontendModule> front_;
    std::optional<ContextCacheModule> context_;
    std::optional<PasidCacheModule> pasid_;
    std::optional<IotlbModule> iotlb_;
    std::optional<WalkerModule> walker_;
    std::optional<PagingStructureCacheModule> psc_;
    std::optional<RegisterModule> registers_;
    std::optional<FanoutModule> fanout_;
};

class Text
{
  public:
    template <typename A, typename B> void equal(const char *what, const A &found, const B &expected)
    {
        if (!(found == expected))
            out_ << what << ": found " << found << ", expected " << expected << "; ";
    }
    std::string text() const
    {
        return out_.str();
    }

  private:
    std::ostringstream out_;
};

double now_ns()
{
    return std::round(sc_core::sc_time_stamp().to_seconds() * 1e9);
}

/// Programs the unit like a driver: writes registers, polls for the status bits.
void bring_up(foreign::Thread &cpu, const Tables &tables)
{
    for (const iom_register_write &step : tables.startup()) {
        cpu.write(step.offset, &step.value, step.bytes);
        uint64_t seen = 0;
        for (int tries = 0; step.poll_bytes != 0 && (seen & step.poll_mask) != step.poll_value; tries++) {
            seen = 0;
            cpu.read(step.poll_offset, &seen, step.poll_bytes);
            if (tries == 1000) {
                cpu.problems += "status bit never set; ";
                return;
            }
        }
    }
}

IommuExtension &from(IommuExtension &extension, uint32_t source)
{
    extension.source_id = source;
    return extension;
}

tlm::tlm_response_status dma(foreign::Thread &device, tlm::tlm_command command, uint64_t address, void *data,
                             unsigned bytes, IommuExtension &extension)
{
    return device.access(command, address, data, bytes, &extension, IommuExtension::ID);
}

unsigned debug(foreign::Thread &device, tlm::tlm_command command, uint64_t address, void *data,
               unsigned bytes)
{
    foreign::Payload payload;
    payload.set_command(command);
    payload.set_address(address);
    payload.set_data_ptr(static_cast<unsigned char *>(data));
    payload.set_data_length(bytes);
    return device.socket->transport_dbg(payload);
}

// What the device does once translation is on. Adds the times at which its DMA ended to `times`.
void exercise(foreign::Thread &device, Text &text, std::vector<double> &times)
{
    uint64_t word = 0xfeedfacecafe, back = 0;
    IommuExtension extension;
    text.equal("debug write", debug(device, tlm::TLM_WRITE_COMMAND, iova + 8, &word, 8), 8u);
    text.equal("write", dma(device, tlm::TLM_WRITE_COMMAND, iova + 0x10, &word, 8, from(extension, nic)),
               tlm::TLM_OK_RESPONSE);
    text.equal("output", extension.translated, page + 0x10);
    times.push_back(now_ns());
    text.equal("read", dma(device, tlm::TLM_READ_COMMAND, iova + 0x10, &back, 8, from(extension, nic)),
               tlm::TLM_OK_RESPONSE);
    times.push_back(now_ns());
    text.equal("word", back, word);
    back = 0;
    text.equal("debug read", debug(device, tlm::TLM_READ_COMMAND, iova + 8, &back, 8), 8u);
    text.equal("debug word", back, word);

    unsigned char bytes[16];
    text.equal("across pages",
               dma(device, tlm::TLM_READ_COMMAND, iova + 0xff8, bytes, 16, from(extension, nic)),
               tlm::TLM_OK_RESPONSE);
    text.equal("first half", std::string(bytes, bytes + 8), "one page");
    text.equal("second half", std::string(bytes + 8, bytes + 16), "the next");
    times.push_back(now_ns());

    text.equal("no permission",
               dma(device, tlm::TLM_WRITE_COMMAND, iova + 0x1000, &word, 8, from(extension, nic)),
               tlm::TLM_ADDRESS_ERROR_RESPONSE);
    text.equal("outcome", unsigned{extension.outcome}, unsigned{IOM_OUTCOME_FAULT});
    times.push_back(now_ns());
    text.equal("not mapped",
               dma(device, tlm::TLM_READ_COMMAND, iova + 0x5000, &word, 8, from(extension, nic)),
               tlm::TLM_ADDRESS_ERROR_RESPONSE);
    text.equal("not attached", dma(device, tlm::TLM_READ_COMMAND, iova, &word, 8, from(extension, other)),
               tlm::TLM_ADDRESS_ERROR_RESPONSE);
    text.equal("debug not mapped", debug(device, tlm::TLM_READ_COMMAND, iova + 0x5000, &word, 8), 0u);
    text.equal("debug stops at the unmapped page",
               debug(device, tlm::TLM_READ_COMMAND, iova + 0x1ffc, bytes, 16), 4u);
    times.push_back(now_ns());
}

struct PlatformOptions {
    Build build;
    iom_vtd_mode mode = IOM_VTD_MODE_LEGACY;
    bool clear_accessed_dirty = false;
    bool own_memory = false; ///< MemoryModule instead of a foreign memory
    Manner manner = Manner::phases;
};

// Runs the platform; problems first, then the times, one per line.
std::string run_platform(const PlatformOptions &options)
{
    Text text;
    std::vector<double> times;
    auto content = std::make_shared<foreign::Memory::Content>();
    std::optional<foreign::Memory> data_port, table_port;
    std::optional<MemoryModule> own;
    if (options.own_memory) {
        iom_memory_config config{};
        config.inputs = 2;
        config.latency_cycles = 20;
        own.emplace("memory", config, 0, 0xffffff, tick_ps);
    } else {
        data_port.emplace("data_port", options.manner, ns(1), ns(20), content);
        table_port.emplace("table_port", options.manner, ns(1), ns(20), content);
    }
    auto put = [&](uint64_t address, const void *data, size_t bytes) {
        for (size_t i = 0; i < bytes; i++)
            (*content)[address + i] = static_cast<const unsigned char *>(data)[i];
        if (own)
            iom_memory_image_write(&own->image(), address, data, bytes);
    };
    const auto tables = make_tables(options.mode, options.clear_accessed_dirty, [&](const iom_store &store) {
        put(store.address, &store.value, store.bytes);
    });
    put(page + 0xff8, "one page", 8);
    put(page + 0x8000, "the next", 8);

    Iommu iommu(options.build, tables->arch);
    sc_core::sc_event ready;
    foreign::Thread cpu("cpu", [&](foreign::Thread &self) {
        bring_up(self, *tables);
        ready.notify(ns(1));
    });
    foreign::Thread device("device", [&](foreign::Thread &self) {
        sc_core::wait(ready);
        exercise(self, text, times);
    });
    cpu.socket.bind(iommu.mmio());
    device.socket.bind(iommu.in());
    iommu.memory().bind(own ? static_cast<tlm::tlm_base_target_socket_b<64> &>(own->in(0))
                            : data_port->socket);
    iommu.table().bind(own ? static_cast<tlm::tlm_base_target_socket_b<64> &>(own->in(1))
                           : table_port->socket);
    const foreign::Memory::Content before = *content;
    sc_core::sc_start();

    // Only accessed and dirty bits change in the tables.
    auto tables_begin = before.lower_bound(0x100000);
    bool tables_changed = !std::equal(tables_begin, before.end(), content->lower_bound(0x100000));
    text.equal("tables changed", tables_changed, options.clear_accessed_dirty);
    text.equal("cpu finished", cpu.finished, true);
    text.equal("device finished", device.finished, true);
    text.equal("payloads in use", iommu.payloads_in_use(), 0u);
    text.equal("outstanding", iommu.outstanding(), 0u);
    std::string problems = text.text() + cpu.problems + device.problems;
    if (!own)
        problems += data_port->problems + table_port->problems;
    if (!problems.empty())
        return problems;
    std::ostringstream out;
    for (double time : times)
        out << time << '\n';
    return out.str();
}

// The times of a run without problems: one per line, nothing else.
void expect_times(const std::string &result)
{
    EXPECT_EQ(result.find_first_not_of("0123456789\n"), std::string::npos) << result;
    EXPECT_EQ(std::count(result.begin(), result.end(), '\n'), 5) << result;
}

std::string run_in_child(const PlatformOptions &options)
{
    return in_child([&] { return run_platform(options); });
}

TEST(SystemcPlatform, one_module_and_fused_modules_take_the_same_time_with_a_foreign_memory)
{
    std::string whole = run_in_child({Build::one_module});
    std::string fused = run_in_child({Build::fused_modules});
    expect_times(whole);
    EXPECT_EQ(fused, whole);
}

TEST(SystemcPlatform, one_module_and_fused_modules_take_the_same_time_with_our_memory)
{
    PlatformOptions options{Build::one_module};
    options.own_memory = true;
    std::string whole = run_in_child(options);
    options.build = Build::fused_modules;
    expect_times(whole);
    EXPECT_EQ(run_in_child(options), whole);
}

TEST(SystemcPlatform, a_module_per_engine_translates_the_same)
{
    for (bool own_memory : {false, true}) {
        PlatformOptions options{Build::module_per_engine};
        options.own_memory = own_memory;
        expect_times(run_in_child(options));
    }
}

TEST(SystemcPlatform, scalable_mode_works_among_foreign_modules)
{
    for (iom_vtd_mode mode : {IOM_VTD_MODE_SECOND_STAGE, IOM_VTD_MODE_FIRST_STAGE, IOM_VTD_MODE_NESTED}) {
        SCOPED_TRACE(mode);
        PlatformOptions options{Build::one_module, mode};
        expect_times(run_in_child(options));
    }
}

TEST(SystemcPlatform, memories_of_every_manner_serve_walks_and_dma)
{
    for (Manner manner :
         {Manner::completes, Manner::responds, Manner::accepts, Manner::phases, Manner::skips_end_req}) {
        SCOPED_TRACE(static_cast<int>(manner));
        PlatformOptions options{Build::one_module, IOM_VTD_MODE_FIRST_STAGE};
        options.manner = manner;
        expect_times(run_in_child(options));
    }
}

TEST(SystemcPlatform, accessed_and_dirty_bits_are_set_in_a_foreign_memory)
{
    // The builder leaves accessed and dirty clear: the walk sets them by compare-and-swap, which a generic
    // payload can only express as a read and a write.
    PlatformOptions options{Build::one_module, IOM_VTD_MODE_FIRST_STAGE, true};
    std::string with_updates = run_in_child(options);
    expect_times(with_updates);
    options.clear_accessed_dirty = false;
    std::string without = run_in_child(options);
    expect_times(without);
    EXPECT_GT(std::stod(with_updates), std::stod(without)); // the first DMA pays for them
}

} // namespace
