// SPDX-License-Identifier: Apache-2.0
//
// The register unit (core/register_unit.h) with VT-d's registers: the handshake of a command with all
// participants (VT-d, Rev. 4.1, 11.4.4: the status bit is set when hardware has completed the command),
// actions one after the other, and faults in the order of their arrival.
#include <gtest/gtest.h>

#include <vector>

#include "core/register_unit.h"
#include "tests/core/support/vtd_bench.h"

namespace
{

constexpr uint32_t fault_inputs = 2;

class RegisterBench
{
  public:
    // World: MMIO, fault inputs; responder: participants.
    explicit RegisterBench(uint32_t participants)
        : world("world", 1 + fault_inputs, participants), vtd_(bench::vtd_config(false, IOM_TAG_BY_DOMAIN))
    {
        iom_pool_init(&mmio_, IOM_MSG_MMIO, sizeof(iom_mmio));
        iom_pool_init(&faults_, IOM_MSG_FAULT, sizeof(iom_fault_report));
        arch = {&iom_vtd_ops, &vtd_, 0};
        const iom_register_unit_config config = {&arch, fault_inputs, participants};
        registers = iom_register_unit_create(&config, "registers");
        bench.add(world.unit());
        bench.add(iom_register_unit_unit(registers));
        bench.connect(world.port(0), iom_register_unit_mmio(registers), {1, 1, 1, 0});
        for (uint32_t i = 0; i < fault_inputs; i++)
            bench.connect(world.port(1 + i), iom_register_unit_fault(registers, i), {1, 1, 1, 0});
        for (uint32_t i = 0; i < participants; i++) {
            const uint32_t port = 1 + fault_inputs + i;
            bench.connect(iom_register_unit_participant(registers, i), world.port(port), {1, 1, 1, 0});
            world.on(port, [this, i](iom_cycle now, iom_msg *msg) {
                told.push_back({now, i, reinterpret_cast<iom_control *>(msg)});
            });
        }
        bench.start();
    }
    ~RegisterBench()
    {
        bench.close();
        iom_register_unit_destroy(registers);
        iom_pool_free(&mmio_);
        iom_pool_free(&faults_);
    }
    RegisterBench(const RegisterBench &) = delete;
    RegisterBench &operator=(const RegisterBench &) = delete;

    void write(iom_cycle arrival, uint32_t offset, uint8_t bytes, uint64_t value)
    {
        send(arrival, offset, bytes, value, true);
    }
    /// What a read arriving in `arrival` returns; nothing later has been done when this returns.
    uint64_t read(iom_cycle arrival, uint32_t offset, uint8_t bytes)
    {
        iom_mmio *mmio = send(arrival, offset, bytes, 0, false);
        bench.run_to(arrival + 1);
        EXPECT_EQ(world.arrivals.back().msg, &mmio->msg);
        EXPECT_EQ(world.arrivals.back().cycle, arrival + 1) << "answered at once";
        return mmio->value;
    }
    void fault(uint32_t input, iom_cycle arrival, uint64_t address)
    {
        auto *report = static_cast<iom_fault_report *>(iom_pool_take(&faults_));
        report->fault = iom_fault{};
        report->fault.address = address;
        report->fault.source = 0x100;
        report->fault.code = IOM_VTD_FAULT_READ;
        report->fault.recorded = 1;
        world.send_at(arrival - 1, 1 + input, &report->msg);
    }
    /// Participant of told[index] acknowledges; the register unit has it in `arrival`.
    void acknowledge(size_t index, iom_cycle arrival)
    {
        world.send_at(arrival - 1, 1 + fault_inputs + told.at(index).participant, &told[index].message->msg);
    }
    uint64_t reports_in_use() const
    {
        return faults_.in_use;
    }

    struct Told {
        iom_cycle cycle;
        uint32_t participant;
        iom_control *message;
    };
    std::vector<Told> told;
    bench::Bench bench;
    bench::ScriptUnit world;
    iom_arch arch = {};
    iom_register_unit *registers = nullptr;

  private:
    iom_mmio *send(iom_cycle arrival, uint32_t offset, uint8_t bytes, uint64_t value, bool is_write)
    {
        auto *mmio = static_cast<iom_mmio *>(iom_pool_take(&mmio_));
        const iom_msg header = mmio->msg;
        *mmio = iom_mmio{};
        mmio->msg = header;
        mmio->offset = offset;
        mmio->bytes = bytes;
        mmio->value = value;
        mmio->write = is_write;
        world.send_at(arrival - 1, 0, &mmio->msg);
        return mmio;
    }

    iom_vtd_config vtd_;
    iom_pool mmio_ = {}, faults_ = {};
};

constexpr uint64_t root_table = 0x7654000;

TEST(RegisterUnit, reads_and_writes_are_answered_at_once)
{
    RegisterBench b(1);
    b.write(10, IOM_VTD_RTADDR, 8, root_table);
    EXPECT_EQ(b.read(11, IOM_VTD_RTADDR, 8), root_table);
    EXPECT_EQ(b.read(20, IOM_VTD_RTADDR + 4, 4), root_table >> 32);
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->mmio_reads, 2u);
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->mmio_writes, 1u);
    EXPECT_TRUE(b.told.empty()) << "a root pointer takes effect by its command";
}

TEST(RegisterUnit, the_status_bit_waits_for_every_participant)
{
    for (uint32_t last = 0; last < 3; last++) {
        SCOPED_TRACE(last);
        RegisterBench b(3);
        b.write(10, IOM_VTD_RTADDR, 8, root_table);
        b.write(11, IOM_VTD_GCMD, 4, IOM_VTD_GCMD_SRTP);
        b.bench.run_to(12);
        ASSERT_EQ(b.told.size(), 3u);
        for (const auto &told : b.told) {
            EXPECT_EQ(told.cycle, 12u);
            EXPECT_EQ(told.message->op, IOM_CONTROL_VIEW);
            EXPECT_EQ(told.message->view.root & ~uint64_t{0xfff}, root_table);
            EXPECT_EQ(told.message->view.enabled, 0u);
        }
        for (uint32_t i = 0; i < 3; i++)
            b.acknowledge(i, i == last ? 60 : 30 + i);
        EXPECT_EQ(b.read(20, IOM_VTD_GSTS, 4) & IOM_VTD_GCMD_SRTP, 0u);
        EXPECT_EQ(b.read(59, IOM_VTD_GSTS, 4) & IOM_VTD_GCMD_SRTP, 0u);
        EXPECT_EQ(b.read(61, IOM_VTD_GSTS, 4) & IOM_VTD_GCMD_SRTP, IOM_VTD_GCMD_SRTP);
        b.bench.run_until_idle();
        EXPECT_EQ(iom_register_unit_stats_of(b.registers)->view_updates, 1u);
    }
}

TEST(RegisterUnit, actions_are_carried_out_one_after_the_other)
{
    RegisterBench b(2);
    b.write(10, IOM_VTD_RTADDR, 8, root_table);
    b.write(11, IOM_VTD_GCMD, 4, IOM_VTD_GCMD_SRTP);
    b.write(13, IOM_VTD_GCMD, 4, IOM_VTD_GCMD_TE);
    b.bench.run_to(40);
    ASSERT_EQ(b.told.size(), 2u) << "the second action began before the first was over";
    b.acknowledge(0, 50);
    b.acknowledge(1, 55);
    EXPECT_EQ(b.read(54, IOM_VTD_GSTS, 4), 0u);
    b.bench.run_to(60);
    ASSERT_EQ(b.told.size(), 4u);
    EXPECT_EQ(b.told[2].cycle, 56u) << "begins when the first is over";
    EXPECT_NE(b.told[2].message->view.enabled, 0u);
    EXPECT_EQ(b.read(62, IOM_VTD_GSTS, 4) & IOM_VTD_GCMD_TE, 0u)
        << "the second status bit came with the first";
    b.acknowledge(2, 70);
    b.acknowledge(3, 70);
    EXPECT_EQ(b.read(69, IOM_VTD_GSTS, 4) & IOM_VTD_GCMD_TE, 0u);
    EXPECT_EQ(b.read(71, IOM_VTD_GSTS, 4), IOM_VTD_GCMD_SRTP | IOM_VTD_GCMD_TE);
}

TEST(RegisterUnit, faults_are_recorded_in_the_order_of_their_arrival)
{
    RegisterBench b(1);
    b.fault(1, 12, 0x2000); // of one cycle the lower input comes first
    b.fault(0, 12, 0x1000);
    b.fault(1, 11, 0x0000);
    b.fault(0, 13, 0x3000);
    b.bench.run_until_idle();
    const uint32_t offset = static_cast<uint32_t>(IOM_VTD_CAP_FRO(b.read(20, IOM_VTD_CAP, 8)) * 16);
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT_EQ(b.read(30 + 4 * i, offset + 16 * i, 8), 0x1000u * i) << i;
        EXPECT_NE(b.read(32 + 4 * i, offset + 16 * i + 8, 8) & IOM_VTD_FRCD_F, 0u) << i;
    }
    EXPECT_EQ(b.read(60, offset + 16 * 4 + 8, 8) & IOM_VTD_FRCD_F, 0u);
    EXPECT_NE(b.read(62, IOM_VTD_FSTS, 4) & IOM_VTD_FSTS_PPF, 0u);
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->faults_recorded, 4u);
    EXPECT_EQ(b.reports_in_use(), 0u) << "reports are not given back";
}

// 7.2.1: with no free record faults are lost and the overflow bit is set.
TEST(RegisterUnit, faults_beyond_the_records_are_counted_as_lost)
{
    RegisterBench b(1);
    const uint32_t records = static_cast<uint32_t>(IOM_VTD_CAP_NFR(b.read(5, IOM_VTD_CAP, 8)));
    for (uint32_t i = 0; i < records + 3; i++)
        b.fault(0, 10 + i, uint64_t{0x1000} * i);
    b.bench.run_until_idle();
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->faults_recorded, records);
    EXPECT_EQ(iom_register_unit_stats_of(b.registers)->faults_dropped, 3u);
    EXPECT_NE(b.read(500, IOM_VTD_FSTS, 4) & IOM_VTD_FSTS_PFO, 0u);
}

TEST(RegisterUnit, reset_gives_back_the_state_of_the_beginning)
{
    RegisterBench b(1);
    const uint64_t cap = b.read(5, IOM_VTD_CAP, 8);
    b.write(10, IOM_VTD_RTADDR, 8, root_table);
    b.fault(0, 10, 0x1000);
    b.bench.run_until_idle();
    iom_register_unit_reset(b.registers);
    EXPECT_EQ(b.read(20, IOM_VTD_RTADDR, 8), 0u);
    EXPECT_EQ(b.read(22, IOM_VTD_FSTS, 4), 0u);
    EXPECT_EQ(b.read(24, IOM_VTD_CAP, 8), cap);
}

} // namespace
