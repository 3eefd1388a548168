// SPDX-License-Identifier: Apache-2.0
//
// Everything that the register unit of a RISC-V IOMMU exchanges with its neighbours: fault and page request
// records and interrupt messages stored to memory, page responses, translations asked for through registers,
// performance counters, fences that hold the head. A scripted host and device do it all on a small system;
// the SystemC kernel, in any partition and any order of evaluation, must agree with the core kernel in the
// cycle of everything they see and in every word of memory.
//
// Source: RISC-V IOMMU Architecture Specification 1.0 ("In-memory queue interface", "Memory-mapped register
// interface").
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/arch/riscv/riscv.h"
#include "core/iommu.h"
#include "core/memory.h"
#include "models/systemc/systemc_kernel.h"
#include "tests/models/support/partitions.h"
#include "tests/models/support/small_iommu.h"

namespace
{

using namespace iommu_sim;

constexpr uint64_t ddt = 0x10000, fault_queue = 0x20000, page_queue = 0x21000, command_queue = 0x22000,
                   message_address = 0x30000, fence_address = 0x31000, dma_address = 0x40000;
/// Devices: with ATS and PRI; without; with an invalid context.
constexpr uint32_t paging = 1, plain = 2, unknown = 3;
constexpr uint32_t report_slots = 2;

/// Host and device in one unit: does what it is told in given cycles and logs what comes back.
class World
{
  public:
    enum { port_dma, port_mmio, port_device, ports };

    World()
    {
        static const iom_unit_ops ops = {"world", advance, nullptr, nullptr, nullptr, nullptr, nullptr};
        iom_pool_init(&dmas_, IOM_MSG_DMA, sizeof(iom_dma));
        iom_pool_init(&mmios_, IOM_MSG_MMIO, sizeof(iom_mmio));
        iom_unit_init(&header.unit, &ops, "world", port, ports);
        iom_port_init(&header.unit, port_dma, "dma", true);
        iom_port_init(&header.unit, port_mmio, "mmio", true);
        iom_port_init(&header.unit, port_device, "device", false);
        header.self = this;
    }
    ~World()
    {
        iom_pool_free(&dmas_);
        iom_pool_free(&mmios_);
    }
    World(const World &) = delete;
    World &operator=(const World &) = delete;

    void write(iom_cycle cycle, uint32_t offset, uint64_t value, uint8_t bytes = 8)
    {
        access(cycle, true, offset, value, bytes);
    }
    void read(iom_cycle cycle, uint32_t offset, uint8_t bytes = 8)
    {
        access(cycle, false, offset, 0, bytes);
    }
    void request(iom_cycle cycle, uint32_t source, uint64_t address, unsigned flags, uint16_t page = 0)
    {
        actions_.emplace(cycle, [=](iom_cycle now) {
            auto *dma = static_cast<iom_dma *>(iom_pool_take(&dmas_));
            const iom_msg header_before = dma->msg;
            *dma = iom_dma{};
            dma->msg = header_before;
            dma->id = ++ids_;
            dma->issued = now;
            dma->x.source = source;
            dma->x.address = address;
            dma->x.bytes = 64;
            dma->x.flags = static_cast<uint16_t>(flags);
            dma->x.page_request = page;
            iom_port_send(&port[port_dma], &dma->msg, now);
        });
    }

    iom_port port[ports] = {};
    struct Header {
        iom_unit unit;
        World *self;
    } header = {};
    std::ostringstream log;

  private:
    void access(iom_cycle cycle, bool is_write, uint32_t offset, uint64_t value, uint8_t bytes)
    {
        actions_.emplace(cycle, [=](iom_cycle now) {
            auto *mmio = static_cast<iom_mmio *>(iom_pool_take(&mmios_));
            mmio->write = is_write;
            mmio->offset = offset;
            mmio->bytes = bytes;
            mmio->value = value;
            iom_port_send(&port[port_mmio], &mmio->msg, now);
        });
    }
    void take_device(iom_cycle now)
    {
        while (iom_port_peek(&port[port_device], now) != nullptr) {
            iom_msg *msg = iom_port_pop(&port[port_device]);
            if (msg->kind == IOM_MSG_PAGE_RESPONSE) {
                const auto &response = reinterpret_cast<iom_page_response_message *>(msg)->response;
                log << now << " response to " << response.stream << " code " << int{response.code}
                    << " group " << response.group << '\n';
                iom_msg_release(msg);
            } else {
                const auto *request = reinterpret_cast<iom_ats_invalidation *>(msg);
                log << now << " invalidation of " << request->what.stream << " tag " << int{request->tag}
                    << '\n';
                iom_port_send(&port[port_device], msg, now + 50);
            }
        }
    }
    static iom_cycle advance(iom_unit *unit, iom_cycle now)
    {
        World &self = *reinterpret_cast<Header *>(unit)->self;
        while (iom_port_peek(&self.port[port_dma], now) != nullptr) {
            const auto *dma = reinterpret_cast<const iom_dma *>(iom_port_pop(&self.port[port_dma]));
            self.log << now << " dma " << dma->id << " outcome " << int{dma->x.outcome} << " visible "
                     << dma->visible << '\n';
            iom_msg_release(const_cast<iom_msg *>(&dma->msg));
        }
        while (iom_port_peek(&self.port[port_mmio], now) != nullptr) {
            const auto *mmio = reinterpret_cast<const iom_mmio *>(iom_port_pop(&self.port[port_mmio]));
            if (!mmio->write)
                self.log << now << " register " << mmio->offset << " = " << mmio->value << '\n';
            iom_msg_release(const_cast<iom_msg *>(&mmio->msg));
        }
        self.take_device(now);
        while (!self.actions_.empty() && self.actions_.begin()->first <= now) {
            auto action = self.actions_.begin()->second;
            self.actions_.erase(self.actions_.begin());
            action(now);
        }
        return self.actions_.empty() ? IOM_NEVER : self.actions_.begin()->first;
    }
    std::multimap<iom_cycle, std::function<void(iom_cycle)>> actions_;
    uint64_t ids_ = 0;
    iom_pool dmas_ = {}, mmios_ = {};
};

uint64_t base_register(uint64_t address)
{
    return address >> 12 << 10 | 3; // 16 entries
}

class Platform
{
  public:
    Platform()
    {
        iom_netlist_init(&netlist);
        make_arch();
        make_memory();
        make_units();
        play();
    }
    ~Platform()
    {
        iom_netlist_free(&netlist);
        iom_iommu_free(&iommu_);
        iom_memory_destroy(memory_);
        iom_memory_image_destroy(image_);
    }
    Platform(const Platform &) = delete;
    Platform &operator=(const Platform &) = delete;

    std::string run(Kernel &kernel)
    {
        const iom_run_end end = kernel.run(100000, nullptr);
        std::ostringstream text;
        text << "end " << end << " at " << kernel.now() << '\n' << world.log.str();
        for (uint64_t address : {fault_queue, page_queue, message_address, fence_address}) {
            for (uint64_t offset = 0; offset < 256; offset += 8) {
                const uint64_t word = at(address + offset);
                if (word != 0)
                    text << std::hex << address + offset << ": " << word << std::dec << '\n';
            }
        }
        const iom_register_stats &stats = *iom_register_unit_stats_of(iommu_.registers);
        text << stats.stores << ' ' << stats.faults_recorded << ' ' << stats.page_requests_queued << ' '
             << stats.page_responses << ' ' << stats.translations << ' ' << stats.monitored_events << ' '
             << iom_stage_stats_of(iom_iommu_front(&iommu_))->report_waits << '\n';
        return text.str();
    }
    uint64_t at(uint64_t address) const
    {
        uint64_t word = 0;
        iom_memory_image_read(image_, address, &word, sizeof word);
        return word;
    }
    const iom_register_stats &registers() const
    {
        return *iom_register_unit_stats_of(iommu_.registers);
    }
    const iom_stage_stats &front()
    {
        return *iom_stage_stats_of(iom_iommu_front(&iommu_));
    }

    World world;
    iom_netlist netlist = {};

  private:
    static void require(bool good, const char *what)
    {
        if (!good)
            throw std::runtime_error(what);
    }
    void put(uint64_t address, uint64_t word)
    {
        iom_memory_image_write(image_, address, &word, sizeof word);
    }
    void make_arch()
    {
        iom_riscv_features features = {};
        features.sv39 = features.ats = features.msi_interrupts = features.performance_monitor = true;
        features.debug = true;
        features.address_bits = 44;
        const char *error = iom_riscv_capabilities(&features, &config_.capabilities);
        require(error == nullptr, error);
        config_.max_mode = IOM_RISCV_3LVL;
        config_.device_id_mask = 0xffffff;
        config_.counters = 2;
        config_.counter_bits = 40;
        config_.events = 8;
        config_.vector_bits = 4;
        config_.bare_page_sv32_log2 = config_.bare_page_log2 = 30;
        config_.invalidation_tags = 2;
        error = iom_riscv_config_finish(&config_);
        require(error == nullptr, error);
        arch_.ops = &iom_riscv_ops;
        arch_.config = &config_;
    }
    void make_memory()
    {
        image_ = iom_memory_image_create();
        require(image_ != nullptr && iom_memory_image_add_range(image_, 0, 0xffffff), "memory");
        // Device contexts, base format: tc, iohgatp, ta, fsc; both stages Bare.
        put(ddt + 32 * paging, 0x7); // V, EN_ATS, EN_PRI
        put(ddt + 32 * plain, 0x1);
        // Commands: ATS.INVAL and ATS.PRGR to device 1, IOFENCE.C with data, IOTINVAL.VMA.
        put(command_queue + 0, uint64_t{paging} << 40 | 0 << 7 | 4);
        put(command_queue + 8, 0x7fffffffffff0001);
        put(command_queue + 16, uint64_t{paging} << 40 | 1 << 7 | 4);
        put(command_queue + 24, uint64_t{5} << 32);
        put(command_queue + 32, uint64_t{0x1234} << 32 | 1 << 10 | 2);
        put(command_queue + 40, fence_address >> 2);
        put(command_queue + 48, 1);
    }
    void make_units()
    {
        const iom_memory_config memory = small_iommu::memory_config(4);
        memory_ = iom_memory_create(&memory, image_, "memory");
        iom_iommu_config config = small_iommu::iommu_config(arch_);
        const uint32_t any = IOM_STREAM_ANY;
        config.ats_devices = 1;
        config.ats_streams = &any;
        config.ats_tags = 2;
        config.report_queue_depth = report_slots;
        const char *error = iom_iommu_init(&iommu_, &config, "iommu0", &netlist, iom_memory_input(memory_, 0),
                                           iom_memory_input(memory_, 1), iom_memory_input(memory_, 2),
                                           iom_memory_input(memory_, 3));
        require(error == nullptr, error);
        require(iom_netlist_add(&netlist, iom_memory_unit(memory_)) &&
                    iom_netlist_add(&netlist, &world.header.unit),
                "netlist");
        connect(&world.port[World::port_dma], iom_iommu_input(&iommu_, 0));
        connect(&world.port[World::port_mmio], iom_register_unit_mmio(iommu_.registers));
        connect(iom_iommu_ats_port(&iommu_, 0), &world.port[World::port_device]);
        iom_iommu_sync_view(&iommu_);
    }
    void connect(iom_port *requester, iom_port *responder)
    {
        const iom_link_config link = {4, 4, 1, 0};
        require(iom_netlist_connect(&netlist, requester, responder, &link), "connection");
    }
    void play()
    {
        // Queues, one interrupt message for all, the counter counts untranslated requests, 1LVL.
        world.write(100, IOM_RISCV_FQB, base_register(fault_queue));
        world.write(110, IOM_RISCV_PQB, base_register(page_queue));
        world.write(120, IOM_RISCV_CQB, base_register(command_queue));
        world.write(130, IOM_RISCV_MSI_CFG_TBL, message_address);
        world.write(140, IOM_RISCV_MSI_CFG_TBL + 8, 0x55, 4);
        world.write(150, IOM_RISCV_IOHPMEVT, 1);
        world.write(160, IOM_RISCV_FQCSR, 3, 4);
        world.write(170, IOM_RISCV_PQCSR, 3, 4);
        world.write(180, IOM_RISCV_CQCSR, 3, 4);
        world.write(190, IOM_RISCV_DDTP, ddt >> 12 << 10 | IOM_RISCV_1LVL);
        // DMA that passes, then a burst of refused ones: more than the queue of reports takes.
        world.request(600, paging, dma_address, IOM_REQ_WRITE | IOM_REQ_POSTED);
        for (unsigned i = 0; i < 5; i++)
            world.request(620 + i, plain, dma_address + 0x1000 * i, IOM_REQ_PASID); // PDTV is 0
        world.request(1000, unknown, dma_address + 0x5000, 0);
        world.request(626, paging, dma_address + 64, 0);
        // Page requests: R and L of group 5; without PRI; not the last of its group, without PRI.
        world.request(1500, paging, 0x7000, IOM_REQ_PAGE | IOM_REQ_POSTED, 5 << 3 | 5);
        world.request(1501, plain, 0x8000, IOM_REQ_PAGE | IOM_REQ_POSTED, 6 << 3 | 5);
        world.request(1502, plain, 0x9000, IOM_REQ_PAGE | IOM_REQ_POSTED, 6 << 3 | 1);
        // Translations asked for through registers.
        world.write(2000, IOM_RISCV_TR_REQ_IOVA, 0x5000);
        world.write(2010, IOM_RISCV_TR_REQ_CTL, uint64_t{paging} << 40 | 1 << 3 | 1);
        world.read(2300, IOM_RISCV_TR_RESPONSE);
        world.read(2310, IOM_RISCV_TR_REQ_CTL);
        // Commands.
        world.write(2500, IOM_RISCV_CQT, 4, 4);
        world.read(2570, IOM_RISCV_CQH, 4);
        for (iom_cycle i = 0; i < 10; i++)
            world.read(2600 + 10 * i, IOM_RISCV_CQH, 4);
        world.read(3000, IOM_RISCV_FQT, 4);
        world.read(3010, IOM_RISCV_PQT, 4);
        world.read(3020, IOM_RISCV_CQH, 4);
        world.read(3030, IOM_RISCV_IPSR, 4);
        world.read(3040, IOM_RISCV_IOHPMCTR);
        world.read(3050, IOM_RISCV_IOHPMCYCLES);
    }

    iom_riscv_config config_ = {};
    iom_arch arch_ = {};
    iom_memory_image *image_ = nullptr;
    iom_memory *memory_ = nullptr;
    iom_iommu iommu_ = {};
};

constexpr uint64_t bits(uint64_t word, unsigned high, unsigned low)
{
    return word >> low & ((uint64_t{1} << (high - low + 1)) - 1);
}

TEST(SystemcReports, records_responses_and_counters_are_right)
{
    Platform p;
    CoreKernel core(p.netlist);
    const std::string text = p.run(core);
    SCOPED_TRACE(text);
    EXPECT_EQ(text.rfind("end 0 ", 0), 0u) << core.explain();
    // Fault records: CAUSE 11:0, TTYP 39:34, DID 63:40; iotval in the third doubleword.
    for (unsigned i = 0; i < 6; i++) {
        const uint64_t record = p.at(fault_queue + 32 * i);
        const bool burst = i < 5;
        EXPECT_EQ(bits(record, 11, 0),
                  unsigned{burst ? IOM_RISCV_FAULT_TYPE_DISALLOWED : IOM_RISCV_FAULT_DDT_INVALID});
        EXPECT_EQ(bits(record, 32, 32), burst) << "process_id";
        EXPECT_EQ(bits(record, 39, 34), 2u) << "untranslated read";
        EXPECT_EQ(bits(record, 63, 40), burst ? plain : unknown);
        EXPECT_EQ(p.at(fault_queue + 32 * i + 16), dma_address + 0x1000 * i)
            << "in the order of the requests";
    }
    // The two page requests without PRI.
    for (unsigned i = 6; i < 8; i++) {
        const uint64_t record = p.at(fault_queue + 32 * i);
        EXPECT_EQ(bits(record, 11, 0), unsigned{IOM_RISCV_FAULT_TYPE_DISALLOWED}) << i;
        EXPECT_EQ(bits(record, 39, 34), 9u) << "message";
        EXPECT_EQ(bits(record, 63, 40), plain);
    }
    EXPECT_EQ(p.at(fault_queue + 32 * 8), 0u);
    EXPECT_EQ(bits(p.at(page_queue), 63, 40), paging);
    EXPECT_EQ(p.at(page_queue + 8), 0x7000u | 5 << 3 | 5);
    EXPECT_EQ(p.at(page_queue + 16), 0u);
    // One that is the last of its group is answered with "invalid request".
    EXPECT_EQ(p.registers().page_responses, 1u);
    EXPECT_NE(text.find(" response to 2 code 1 group 6\n"), std::string::npos);
    // The command's response and invalidation.
    EXPECT_NE(text.find(" response to 1 code 0 group 5\n"), std::string::npos);
    EXPECT_NE(text.find(" invalidation of 1 tag 0\n"), std::string::npos);
    // Interrupt message, fence.
    EXPECT_EQ(p.at(message_address), 0x55u);
    EXPECT_EQ(p.at(fence_address), 0x1234u);
    EXPECT_NE(text.find("register 32 = 2\n"), std::string::npos) << "the head stays at the fence";
    EXPECT_NE(text.find("3028 register 32 = 4\n"), std::string::npos);
    EXPECT_NE(text.find("register 52 = 8\n"), std::string::npos);
    EXPECT_NE(text.find("register 68 = 1\n"), std::string::npos);
    // tr_response: PPN of the address, no fault; Go/Busy is clear.
    EXPECT_NE(text.find("register 608 = " + std::to_string(uint64_t{paging} << 40 | 1 << 3) + "\n"),
              std::string::npos);
    // Six refused, two that passed, one asked for through registers.
    EXPECT_NE(text.find("register 104 = 9\n"), std::string::npos);
    EXPECT_NE(text.find("register 96 = "), std::string::npos);
    EXPECT_EQ(p.registers().stores, 8u + 1u + 2u) << "records, and two messages: of faults, of page requests";
    EXPECT_GT(p.front().report_waits, 0u) << "the queue of reports was never full";
}

TEST(SystemcReports, both_kernels_agree)
{
    Platform platform;
    CoreKernel core(platform.netlist);
    const std::string expected = platform.run(core);
    expect_in_every_partition<Platform>(expected);
}

} // namespace
