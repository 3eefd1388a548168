// SPDX-License-Identifier: Apache-2.0
//
// The register file of VT-d (Rev. 4.1, 11.4): handshakes, write-1-to-clear, halves, and the fault
// recording registers with overflow (7.2.1).
#include "core/arch/vtd/vtd.h"
#include "tests/arch/support/vtd_fixture.h"
#include "tests/shim/gtest_c.h"

static void open_with_records(struct vtd_fixture *fixture, uint16_t records)
{
    struct iom_vtd_features features = vtd_all_features();
    features.fault_records = records;
    features.interrupt_remapping = true;
    vtd_fixture_open(fixture, &features);
}

static uint32_t raw_write(struct vtd_fixture *fixture, uint32_t offset, uint64_t value)
{
    return iom_vtd_ops.write(&fixture->arch, fixture->state, offset, 4, value);
}

IOM_TEST(VtdRegisters, identification_reads_as_configured)
{
    struct vtd_fixture fixture;
    open_with_records(&fixture, 1);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x00, 4) >> 4 & 0xf, 4); // major version
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x08, 8), fixture.config.cap);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x08, 4), fixture.config.cap & 0xffffffff);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x0c, 4), fixture.config.cap >> 32);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x14, 4), fixture.config.ecap >> 32);
    vtd_register_write(&fixture, 0x08, 8, 0);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x08, 8), fixture.config.cap);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x50, 8), 0); // reserved
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdRegisters, translation_enable_shows_after_the_view_is_distributed)
{
    struct vtd_fixture fixture;
    struct iom_view view;
    open_with_records(&fixture, 1);
    IOM_EXPECT_U64(raw_write(&fixture, 0x18, UINT32_C(1) << 31), 1u << IOM_ACTION_UPDATE_VIEW);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x1c, 4), 0);
    iom_vtd_ops.view(&fixture.arch, fixture.state, &view);
    IOM_EXPECT_U64(view.enabled, 1);
    iom_vtd_ops.action_done(&fixture.arch, fixture.state, IOM_ACTION_UPDATE_VIEW);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x1c, 4), UINT64_C(1) << 31);
    // Writing the same level again asks for nothing; clearing it does.
    IOM_EXPECT_U64(raw_write(&fixture, 0x18, UINT32_C(1) << 31), 0);
    IOM_EXPECT_U64(raw_write(&fixture, 0x18, 0), 1u << IOM_ACTION_UPDATE_VIEW);
    iom_vtd_ops.view(&fixture.arch, fixture.state, &view);
    IOM_EXPECT_U64(view.enabled, 0);
    iom_vtd_ops.action_done(&fixture.arch, fixture.state, IOM_ACTION_UPDATE_VIEW);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x1c, 4), 0);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdRegisters, root_pointer_is_latched_by_its_command_only)
{
    struct vtd_fixture fixture;
    struct iom_view view;
    open_with_records(&fixture, 1);
    vtd_register_write(&fixture, 0x20, 4, 0x12345400);
    vtd_register_write(&fixture, 0x24, 4, 0x7);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x20, 8), UINT64_C(0x712345400));
    iom_vtd_ops.view(&fixture.arch, fixture.state, &view);
    IOM_EXPECT_U64(view.root, 0);
    vtd_register_write(&fixture, 0x18, 4, UINT32_C(1) << 30);
    iom_vtd_ops.view(&fixture.arch, fixture.state, &view);
    IOM_EXPECT_U64(view.root, UINT64_C(0x712345400));
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x1c, 4), UINT64_C(1) << 30);
    // The status bit falls while the next command is carried out.
    (void)raw_write(&fixture, 0x18, UINT32_C(1) << 30);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x1c, 4), 0);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdRegisters, queue_enable_and_tail_ring_the_doorbell)
{
    struct vtd_fixture fixture;
    open_with_records(&fixture, 1);
    vtd_register_write(&fixture, 0x90, 8, 0x55801);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x90, 8), 0x55801);
    IOM_EXPECT_U64(raw_write(&fixture, 0x88, 0x40), 0); // not enabled yet
    IOM_EXPECT_U64(raw_write(&fixture, 0x18, UINT32_C(1) << 26), 1u << IOM_ACTION_DOORBELL);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x1c, 4), UINT64_C(1) << 26);
    IOM_EXPECT_U64(raw_write(&fixture, 0x88, 0x60), 1u << IOM_ACTION_DOORBELL);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x88, 8), 0x60);
    vtd_register_write(&fixture, 0x80, 8, 0x60); // the head is read-only
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x80, 8), 0);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdRegisters, interrupt_remapping_bits)
{
    struct vtd_fixture fixture;
    open_with_records(&fixture, 1);
    vtd_register_write(&fixture, 0xb8, 8, 0x77000 | 0xf);
    vtd_register_write(&fixture, 0x18, 4, UINT32_C(1) << 24);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x1c, 4), UINT64_C(1) << 24);
    vtd_register_write(&fixture, 0x18, 4, UINT32_C(3) << 25 >> 1 | UINT32_C(1) << 23);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x1c, 4) >> 23 & 7, 7); // CFIS, IRTPS, IRES
    vtd_register_write(&fixture, 0x18, 4, 0);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x1c, 4) >> 23 & 7, 2); // the pointer stays set
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdRegisters, event_registers_keep_what_is_written)
{
    static const uint32_t controls[] = {0x38, 0xa0, 0xe0};
    struct vtd_fixture fixture;
    open_with_records(&fixture, 1);
    for (unsigned i = 0; i < 3; i++) {
        IOM_EXPECT_U64(vtd_register_read(&fixture, controls[i], 4), UINT64_C(1) << 31); // masked after reset
        vtd_register_write(&fixture, controls[i], 4, 0);
        IOM_EXPECT_U64(vtd_register_read(&fixture, controls[i], 4), 0);
        vtd_register_write(&fixture, controls[i] + 4, 4, 0x4021u + i);
        vtd_register_write(&fixture, controls[i] + 8, 8, UINT64_C(0x1fee00003) + UINT64_C(16) * i);
        IOM_EXPECT_U64(vtd_register_read(&fixture, controls[i] + 4, 4), 0x4021u + i);
        IOM_EXPECT_U64(vtd_register_read(&fixture, controls[i] + 8, 8),
                       UINT64_C(0x1fee00000) + UINT64_C(16) * i);
    }
    vtd_fixture_close(&fixture);
}

// ---- fault recording -------------------------------------------------------------------------------

static struct iom_fault fault_of(uint16_t code, uint32_t source)
{
    return (struct iom_fault){.address = 0xabcdef123, .source = source, .code = code, .recorded = 1};
}

static bool record(struct vtd_fixture *fixture, const struct iom_fault *fault)
{
    return iom_vtd_ops.record(&fixture->arch, fixture->state, fault);
}

IOM_TEST(VtdRegisters, fault_record_fields)
{
    struct vtd_fixture fixture;
    open_with_records(&fixture, 1);
    uint32_t at = (uint32_t)iom_bits(fixture.config.cap, 33, 24) * 16;
    struct iom_fault fault = fault_of(0x81, 0x4567);
    fault.pasid = 0xabcde;
    fault.flags = IOM_REQ_PASID | IOM_REQ_EXEC | IOM_REQ_PRIV;
    IOM_EXPECT(record(&fixture, &fault));
    IOM_EXPECT_U64(vtd_register_read(&fixture, at, 8), UINT64_C(0xabcdef000));
    // F, read, PASID, reason, PP, EXE, PRIV, SID
    IOM_EXPECT_U64(vtd_register_read(&fixture, at + 8, 8),
                   UINT64_C(1) << 63 | UINT64_C(1) << 62 | UINT64_C(0xabcde) << 40 | UINT64_C(0x81) << 32 |
                       UINT64_C(7) << 29 | 0x4567);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x34, 4), 2); // PPF, index 0
    vtd_register_write(&fixture, at + 12, 4, UINT32_C(1) << 31);
    IOM_EXPECT_U64(vtd_register_read(&fixture, at + 8, 8) >> 63, 0);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x34, 4), 0);

    fault = fault_of(5, 0x18);
    fault.flags = IOM_REQ_WRITE | IOM_REQ_TRANSLATE;
    IOM_EXPECT(record(&fixture, &fault));
    IOM_EXPECT_U64(vtd_register_read(&fixture, at + 8, 8),
                   UINT64_C(1) << 63 | UINT64_C(1) << 60 | UINT64_C(5) << 32 | 0x18);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdRegisters, records_fill_in_turn_and_overflow)
{
    struct vtd_fixture fixture;
    open_with_records(&fixture, 3);
    uint32_t at = (uint32_t)iom_bits(fixture.config.cap, 33, 24) * 16;
    for (uint16_t i = 0; i < 3; i++) {
        struct iom_fault fault = fault_of((uint16_t)(1 + i), 0x100u + i);
        IOM_EXPECT(record(&fixture, &fault));
        IOM_EXPECT_U64(vtd_register_read(&fixture, at + 16u * i + 8, 8) & 0xffff, 0x100u + i);
    }
    struct iom_fault fault = fault_of(9, 0x200);
    IOM_EXPECT(!record(&fixture, &fault));
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x34, 4), 3); // PFO, PPF, first fault in record 0
    // Room alone does not help: PFO stops logging until it is cleared.
    vtd_register_write(&fixture, at + 8, 8, UINT64_C(1) << 63);
    IOM_EXPECT(!record(&fixture, &fault));
    vtd_register_write(&fixture, 0x34, 4, 1);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x34, 4) & 3, 2);
    IOM_EXPECT(record(&fixture, &fault)); // into record 0, the next in turn
    IOM_EXPECT_U64(vtd_register_read(&fixture, at + 8, 8) & 0xffff, 0x200);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdRegisters, first_fault_index_is_that_of_the_first_pending_fault)
{
    struct vtd_fixture fixture;
    open_with_records(&fixture, 4);
    uint32_t at = (uint32_t)iom_bits(fixture.config.cap, 33, 24) * 16;
    struct iom_fault fault = fault_of(1, 1);
    IOM_EXPECT(record(&fixture, &fault));
    IOM_EXPECT(record(&fixture, &fault));
    vtd_register_write(&fixture, at + 8, 8, UINT64_C(1) << 63);
    vtd_register_write(&fixture, at + 24, 8, UINT64_C(1) << 63);
    IOM_EXPECT(record(&fixture, &fault));
    IOM_EXPECT(record(&fixture, &fault));
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x34, 4), 2 | 2 << 8); // PPF, FRI = 2
    // Clearing a flag that is not set, or writing 0, changes nothing.
    vtd_register_write(&fixture, at + 8, 8, UINT64_C(1) << 63);
    vtd_register_write(&fixture, at + 40, 8, 0);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x34, 4), 2 | 2 << 8);
    vtd_fixture_close(&fixture);
}

IOM_TEST(VtdRegisters, fault_event_is_pending_while_masked)
{
    struct vtd_fixture fixture;
    open_with_records(&fixture, 2);
    uint32_t at = (uint32_t)iom_bits(fixture.config.cap, 33, 24) * 16;
    struct iom_fault fault = fault_of(1, 1);
    IOM_EXPECT(record(&fixture, &fault));
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x38, 4), UINT64_C(3) << 30); // IM, IP
    vtd_register_write(&fixture, at + 8, 8, UINT64_C(1) << 63);
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x38, 4), UINT64_C(1) << 31); // nothing left to report
    IOM_EXPECT(record(&fixture, &fault));
    vtd_register_write(&fixture, 0x38, 4, 0); // unmask: the message leaves
    IOM_EXPECT_U64(vtd_register_read(&fixture, 0x38, 4), 0);
    vtd_fixture_close(&fixture);
}
