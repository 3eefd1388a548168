// SPDX-License-Identifier: Apache-2.0
//
// A device with device TLB, with and without link, on a VT-d IOMMU whose command queue invalidates its pages
// all the time: the SystemC kernel, in any partition and any order of evaluation, must agree with the core
// kernel in every statistic and in the cycle in which every wait completed.
#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "core/device_tlb.h"
#include "core/iommu.h"
#include "core/link.h"
#include "core/memory.h"
#include "models/systemc/systemc_kernel.h"
#include "tests/models/support/partitions.h"
#include "tests/models/support/small_iommu.h"
#include "tests/models/support/vtd_tables.h"
#include "traffic/device.h"

namespace
{

using namespace iommu_sim;
using vtd_tables::fully_associative;

constexpr uint32_t source = 0x100, domain = 5;
constexpr uint64_t iova = 0x40000000, frames = 0x800000, queue_base = 0x10000, status_base = 0x20000;
constexpr unsigned pages = 16, batches = 40;
constexpr iom_cycle batch_cycles = 250;

/// The processor: rings the doorbell of batch after batch at fixed times.
class Processor
{
  public:
    Processor()
    {
        static const iom_unit_ops ops = {"processor", advance, nullptr, nullptr, nullptr, nullptr, nullptr};
        iom_pool_init(&pool_, IOM_MSG_MMIO, sizeof(iom_mmio));
        iom_unit_init(&header.unit, &ops, "processor", &port, 1);
        iom_port_init(&header.unit, 0, "mmio", true);
        header.self = this;
    }
    ~Processor()
    {
        iom_pool_free(&pool_);
    }
    Processor(const Processor &) = delete;
    Processor &operator=(const Processor &) = delete;

    std::vector<iom_register_write> doorbells;
    iom_port port = {};
    struct Header {
        iom_unit unit;
        Processor *self;
    } header = {};

  private:
    static iom_cycle advance(iom_unit *unit, iom_cycle now)
    {
        Processor &self = *reinterpret_cast<Header *>(unit)->self;
        while (iom_port_peek(&self.port, now) != nullptr)
            iom_msg_release(iom_port_pop(&self.port));
        if (self.rung_ < self.doorbells.size() && now >= (self.rung_ + 1) * batch_cycles) {
            auto *mmio = static_cast<iom_mmio *>(iom_pool_take(&self.pool_));
            const iom_register_write &write = self.doorbells[self.rung_++];
            mmio->write = true;
            mmio->offset = write.offset;
            mmio->bytes = write.bytes;
            mmio->value = write.value;
            iom_port_send(&self.port, &mmio->msg, now);
        }
        return self.rung_ < self.doorbells.size() ? (self.rung_ + 1) * batch_cycles : IOM_NEVER;
    }
    iom_pool pool_ = {};
    size_t rung_ = 0;
};

class Platform
{
  public:
    explicit Platform(bool with_link)
    {
        iom_netlist_init(&netlist);
        make_tables();
        make_units();
        wire(with_link);
        fill_queue();
    }
    ~Platform()
    {
        iom_netlist_free(&netlist);
        iom_device_destroy(device_);
        iom_device_tlb_destroy(tlb_);
        iom_link_destroy(link_);
        iom_iommu_free(&iommu_);
        iom_memory_destroy(memory_);
        iom_memory_image_destroy(image_);
    }
    Platform(const Platform &) = delete;
    Platform &operator=(const Platform &) = delete;

    /// Runs to the end; every statistic of every unit as text.
    std::string run(Kernel &kernel)
    {
        std::ostringstream text;
        text << "end " << kernel.run(IOM_NEVER, nullptr) << " at " << kernel.now() << '\n';
        for (uint32_t u = 0; u < netlist.unit_count; u++) {
            iom_unit *unit = netlist.units[u];
            iom_stat_block block = {};
            for (uint32_t i = 0; unit->ops->stats != nullptr && unit->ops->stats(unit, i, &block); i++)
                print(text, unit->name, block);
        }
        for (unsigned batch = 0; batch < batches; batch++) {
            uint32_t status = 0;
            iom_memory_image_read(image_, status_base + 8 * batch, &status, 4);
            text << "status " << batch << ' ' << status << '\n';
        }
        return text.str();
    }
    const iom_device_tlb_stats &tlb_stats()
    {
        return *iom_device_tlb_stats_of(tlb_);
    }
    const iom_command_queue_stats &queue_stats()
    {
        return *iom_command_queue_stats_of(iommu_.queue);
    }
    iom_netlist netlist = {};

  private:
    static void require(bool good, const char *what)
    {
        if (!good)
            throw std::runtime_error(what);
    }
    static void print(std::ostringstream &text, const char *name, const iom_stat_block &block)
    {
        for (uint32_t i = 0; i < block.count; i++) {
            const char *value = static_cast<const char *>(block.values) + block.infos[i].offset;
            text << name << '.' << block.infos[i].name << ' ';
            if (block.infos[i].kind != IOM_STAT_HISTOGRAM) {
                text << *reinterpret_cast<const uint64_t *>(value) << '\n';
                continue;
            }
            const auto &histogram = *reinterpret_cast<const iom_histogram *>(value);
            text << histogram.count << ' ' << histogram.sum << ' ' << histogram.maximum << '\n';
        }
    }
    void make_tables()
    {
        image_ = iom_memory_image_create();
        require(image_ != nullptr && iom_memory_image_add_range(image_, 0, 0xffffff), "memory");
        iom_vtd_features features = vtd_tables::features();
        features.device_tlb = true;
        iom_vtd_software_settings settings = iom_vtd_software_defaults(IOM_VTD_MODE_LEGACY);
        settings.device_tlb = true;
        tables_.emplace(features, 39, settings, [this](const iom_store &store) {
            iom_memory_image_write(image_, store.address, &store.value, store.bytes);
        });
        require(iom_vtd_software_ops.set_queue(tables_->software, queue_base, IOM_PAGE_LOG2) ==
                    IOM_SOFTWARE_OK,
                "queue");
        tables_->attach(source, domain);
        for (unsigned i = 0; i < pages; i++)
            tables_->map(domain, iova + i * 0x1000, frames + i * 0x2000, IOM_PERM_READ | IOM_PERM_WRITE);
    }
    void make_units()
    {
        const iom_memory_config memory = small_iommu::memory_config(3);
        memory_ = iom_memory_create(&memory, image_, "memory");
        iom_iommu_config config = small_iommu::iommu_config(tables_->arch);
        for (unsigned level = 2; level <= 4; level++)
            config.psc.cache[1][level] = fully_associative(4);
        config.ats_devices = 1;
        config.ats_streams = &source;
        const char *error =
            iom_iommu_init(&iommu_, &config, "iommu0", &netlist, iom_memory_input(memory_, 0),
                           iom_memory_input(memory_, 1), iom_memory_input(memory_, 2), nullptr);
        require(error == nullptr, error);
        iom_device_tlb_config tlb = {};
        tlb.stream = source;
        tlb.cache = fully_associative(8);
        tlb.latency_cycles = 2;
        tlb.lookups_per_cycle = 1;
        tlb.outstanding = 4;
        tlb.merges_per_request = 2;
        tlb.queue_depth = 2;
        tlb.invalidate.method = IOM_INVALIDATE_SCAN;
        tlb.invalidate.entries_per_cycle = 2;
        tlb.invalidate.blocking = true;
        tlb.use_size = tlb.squash = true;
        tlb_ = iom_device_tlb_create(&tlb, "device_tlb");
        require(tlb_ != nullptr && memory_ != nullptr, "units");
        iom_generator_config generator = {};
        generator.kind = IOM_GENERATOR_UNIFORM;
        generator.source = source;
        generator.base_iova = iova;
        generator.window_bytes = pages * 0x1000;
        generator.request_bytes = 64;
        generator.read_ppm = IOM_PPM / 2;
        iom_device_config device = {};
        device.outstanding = 12;
        device.requests = 3000;
        device_ = iom_device_create(&device, iom_generator_create(&generator, 3, "nic", nullptr), "nic");
        require(device_ != nullptr, "device");
    }
    void connect(iom_port *requester, iom_port *responder, iom_cycle latency, uint32_t depth)
    {
        const iom_link_config link = {latency, latency, 1, depth};
        require(iom_netlist_connect(&netlist, requester, responder, &link), "connection");
    }
    void wire(bool with_link)
    {
        bool ok = true;
        for (iom_unit *unit : {iom_memory_unit(memory_), iom_device_tlb_unit(tlb_), iom_device_unit(device_),
                               &processor_.header.unit})
            ok = ok && iom_netlist_add(&netlist, unit);
        require(ok, "netlist");
        connect(&processor_.port, iom_register_unit_mmio(iommu_.registers), 20, 0);
        connect(iom_device_port(device_), iom_device_tlb_port(tlb_, IOM_DEVICE_TLB_DEVICE), 1, 4);
        iom_port *host = iom_device_tlb_port(tlb_, IOM_DEVICE_TLB_HOST);
        iom_port *invalidate = iom_device_tlb_port(tlb_, IOM_DEVICE_TLB_INVALIDATE);
        if (with_link) {
            const iom_link_unit_config config = {8, 24, {}, {}};
            link_ = iom_link_create(&config, "link");
            require(link_ != nullptr && iom_netlist_add(&netlist, iom_link_unit(link_)), "link");
            connect(host, iom_link_device_port(link_), 1, 4);
            connect(iom_link_invalidate_port(link_), invalidate, 1, 0);
            host = iom_link_host_port(link_);
            invalidate = iom_link_fanout_port(link_);
        }
        connect(host, iom_iommu_input(&iommu_, 0), 40, 4);
        connect(iom_iommu_ats_port(&iommu_, 0), invalidate, 40, 0);
    }
    // Bring-up without time; then batches of commands, whose doorbells the processor rings.
    void fill_queue()
    {
        const iom_software_ops &ops = iom_vtd_software_ops;
        const iom_arch *arch = &tables_->arch;
        void *state = iom_register_unit_state(iommu_.registers);
        for (const iom_register_write &write : tables_->startup()) {
            if ((iom_vtd_ops.write(arch, state, write.offset, write.bytes, write.value) &
                 1u << IOM_ACTION_UPDATE_VIEW) != 0)
                iom_vtd_ops.action_done(arch, state, IOM_ACTION_UPDATE_VIEW);
        }
        iom_iommu_sync_view(&iommu_);
        uint32_t tail = 0;
        for (unsigned batch = 0; batch < batches; batch++) {
            iom_flush flush = {};
            flush.domain = domain;
            flush.source = source;
            flush.iova = iova + batch * 7 % pages * 0x1000;
            flush.kind = IOM_FLUSH_IOTLB_PAGES;
            uint64_t words[IOM_COMMAND_WORDS] = {};
            put(tail, ops.encode_flush(tables_->software, &flush, words), words);
            flush.kind = batch % 4 == 3 ? IOM_FLUSH_DEVICE_ALL : IOM_FLUSH_DEVICE_PAGES;
            put(tail, ops.encode_flush(tables_->software, &flush, words), words);
            iom_sync sync = {};
            sync.write_status = true;
            sync.address = status_base + 8 * batch;
            sync.status = batch + 1;
            put(tail, ops.encode_sync(tables_->software, &sync, words), words);
            processor_.doorbells.emplace_back();
            ops.doorbell(tables_->software, tail, &processor_.doorbells.back());
        }
    }
    void put(uint32_t &tail, iom_software_result encoded, const uint64_t *words)
    {
        iom_queue_registers queue = {};
        iom_vtd_software_ops.queue_registers(tables_->software, &queue);
        require(encoded == IOM_SOFTWARE_OK, "command");
        iom_memory_image_write(image_, queue_base + tail, words, queue.command_bytes);
        tail = (tail + queue.command_bytes) % queue.capacity_bytes;
    }

    iom_memory_image *image_ = nullptr;
    iom_memory *memory_ = nullptr;
    std::optional<vtd_tables::Tables> tables_;
    iom_iommu iommu_ = {};
    iom_device_tlb *tlb_ = nullptr;
    iom_link *link_ = nullptr;
    iom_device *device_ = nullptr;
    Processor processor_;
};

class SystemcDeviceTlb : public testing::TestWithParam<bool>
{
};

TEST_P(SystemcDeviceTlb, both_kernels_agree)
{
    Platform platform(GetParam());
    CoreKernel core(platform.netlist);
    const std::string expected = platform.run(core);
    EXPECT_EQ(expected.rfind("end 0 ", 0), 0u) << core.explain(); // idle
    // Something went on.
    EXPECT_EQ(platform.queue_stats().waits_completed, batches);
    EXPECT_EQ(platform.tlb_stats().invalidations, batches);
    EXPECT_GT(platform.tlb_stats().invalidated, batches / 2);
    EXPECT_GT(platform.tlb_stats().squashed, 0u);
    EXPECT_GT(platform.tlb_stats().hits, 500u);
    EXPECT_NE(expected.find("status " + std::to_string(batches - 1) + ' ' + std::to_string(batches) + '\n'),
              std::string::npos);
    expect_in_every_partition<Platform>(expected, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Wiring, SystemcDeviceTlb, testing::Values(false, true),
                         [](const testing::TestParamInfo<bool> &wiring) {
                             return std::string(wiring.param ? "with_link" : "without_link");
                         });

} // namespace
