// SPDX-License-Identifier: Apache-2.0
//
// Fault queue and page request queue of the RISC-V IOMMU ("Fault/Event-Queue", "Page-Request-Queue", "PCIe
// ATS Page Request handling"): layout of the records, full, overflow and memory fault, switching off with a
// record on its way, automatic responses.
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_registers.h"

namespace
{
using namespace riscv_test;

iom_fault read_fault()
{
    iom_fault fault{};
    fault.code = 13;
    fault.address = 0x1234'5678'9abc;
    fault.detail = 0xdead'0000'0003;
    fault.source = 0xabcdef;
    fault.recorded = 1;
    return fault;
}

iom_page_request last_request()
{
    iom_page_request request{};
    request.address = 0xffff'8000'1234'5000;
    request.source = 0x12ab34;
    request.message = 0x7 | 0x1a5 << 3; // L, W, R and group index
    return request;
}

void open_faults(Registers &registers, unsigned log2_entries = 2)
{
    registers.write(40, 8, uint64_t{0x80} << 10 | (log2_entries - 1));
    registers.write(76, 4, 1);
}

void open_pages(Registers &registers, unsigned log2_entries = 2)
{
    registers.write(56, 8, uint64_t{0x90} << 10 | (log2_entries - 1));
    registers.write(80, 4, 1);
}

// ---- fault records ---------------------------------------------------------------------------------------

TEST(RiscvFaultQueue, a_record_has_four_doublewords)
{
    Registers registers;
    open_faults(registers);
    ASSERT_TRUE(registers.record(read_fault()));
    auto store = registers.next_store();
    ASSERT_TRUE(store);
    EXPECT_EQ(store->address, 0x80000u);
    EXPECT_EQ(store->bytes, 32);
    EXPECT_EQ(store->data[0], uint64_t{0xabcdef} << 40 | uint64_t{2} << 34 | 13); // read, no process_id
    EXPECT_EQ(store->data[1], 0u);
    EXPECT_EQ(store->data[2], 0x1234'5678'9abcu);
    EXPECT_EQ(store->data[3], 0xdead'0000'0003u);
    EXPECT_FALSE(registers.next_store()); // one at a time
    EXPECT_EQ(registers.read(52, 4), 0u); // the tail moves when the record is there
    registers.store_done(*store);
    EXPECT_EQ(registers.read(52, 4), 1u);
    registers.record(read_fault());
    EXPECT_EQ(registers.carry_out().at(0).address, 0x80020u);
}

TEST(RiscvFaultQueue, transaction_types)
{
    const struct {
        unsigned flags, type;
    } types[] = {
        {IOM_REQ_EXEC, 1},
        {0, 2},
        {IOM_REQ_WRITE, 3},
        {IOM_REQ_WRITE | IOM_REQ_EXEC, 3},
        {IOM_REQ_DEBUG | IOM_REQ_WRITE, 3},
        {IOM_REQ_TRANSLATED | IOM_REQ_EXEC, 5},
        {IOM_REQ_TRANSLATED, 6},
        {IOM_REQ_TRANSLATED | IOM_REQ_WRITE, 7},
        {IOM_REQ_TRANSLATE, 8},
        {IOM_REQ_TRANSLATE | IOM_REQ_WRITE | IOM_REQ_EXEC, 8},
        {IOM_REQ_PAGE, 9},
    };
    for (auto type : types) {
        Registers registers;
        open_faults(registers);
        iom_fault fault = read_fault();
        fault.flags = static_cast<uint16_t>(type.flags);
        ASSERT_TRUE(registers.record(fault));
        EXPECT_EQ(registers.carry_out().at(0).data[0] >> 34 & 0x3f, type.type) << type.flags;
    }
}

TEST(RiscvFaultQueue, process_and_privilege_only_with_a_process_id)
{
    Registers registers;
    open_faults(registers);
    iom_fault fault = read_fault();
    fault.pasid = 0xfedcb;
    fault.flags = IOM_REQ_PRIV;
    registers.record(fault);
    EXPECT_EQ(registers.carry_out().at(0).data[0] & range(33, 12), 0u);
    fault.flags = IOM_REQ_PASID;
    registers.record(fault);
    EXPECT_EQ(registers.carry_out().at(0).data[0] & range(33, 12), uint64_t{0xfedcb} << 12 | bit(32));
    fault.flags = IOM_REQ_PASID | IOM_REQ_PRIV;
    registers.record(fault);
    EXPECT_EQ(registers.carry_out().at(0).data[0] & range(33, 12),
              uint64_t{0xfedcb} << 12 | bit(32) | bit(33));
}

TEST(RiscvFaultQueue, each_doubleword_is_reversed_when_big_endian)
{
    Registers registers;
    registers.write(8, 4, 1);
    open_faults(registers);
    registers.record(read_fault());
    auto stores = registers.carry_out();
    EXPECT_EQ(stores.at(0).data[2], 0xbc9a'7856'3412'0000u);
    EXPECT_EQ(stores.at(0).data[0] & 0xff, 0xabu); // most significant byte first
}

TEST(RiscvFaultQueue, nothing_is_recorded_while_off)
{
    Registers registers;
    EXPECT_FALSE(registers.record(read_fault()));
    EXPECT_FALSE(registers.next_store());
    EXPECT_EQ(registers.read(76, 4), 0u);
}

TEST(RiscvFaultQueue, silent_faults_are_not_recorded)
{
    Registers registers;
    open_faults(registers);
    iom_fault fault = read_fault();
    fault.recorded = 0;
    EXPECT_FALSE(registers.record(fault));
    EXPECT_FALSE(registers.next_store());
}

TEST(RiscvFaultQueue, full_is_one_entry_before_the_head)
{
    Registers registers;
    open_faults(registers, 2); // 4 entries: 3 records
    for (unsigned i = 0; i < 3; i++) {
        ASSERT_TRUE(registers.record(read_fault()));
        registers.carry_out();
        EXPECT_EQ(registers.read(52, 4), i + 1);
    }
    EXPECT_FALSE(registers.record(read_fault()));
    EXPECT_EQ(registers.read(76, 4), 1 | bit(9) | bit(16)); // fqof
    // Room does not help before software has cleared the bit.
    registers.write(48, 4, 2);
    EXPECT_FALSE(registers.record(read_fault()));
    registers.write(76, 4, 1 | bit(9));
    EXPECT_EQ(registers.read(76, 4), 1 | bit(16));
    ASSERT_TRUE(registers.record(read_fault()));
    EXPECT_EQ(registers.carry_out().at(0).address, 0x80060u);
    EXPECT_EQ(registers.read(52, 4), 0u); // wraps
}

TEST(RiscvFaultQueue, a_refused_store_is_a_memory_fault)
{
    Registers registers;
    open_faults(registers);
    registers.record(read_fault());
    auto store = registers.next_store();
    registers.store_done(*store, IOM_ACCESS_REFUSED);
    EXPECT_EQ(registers.read(52, 4), 0u);
    EXPECT_EQ(registers.read(76, 4), 1 | bit(8) | bit(16)); // fqmf
    EXPECT_FALSE(registers.record(read_fault()));
    EXPECT_FALSE(registers.next_store());
    registers.write(76, 4, 1 | bit(8));
    EXPECT_TRUE(registers.record(read_fault()));
}

TEST(RiscvFaultQueue, it_stays_on_and_busy_until_a_record_on_its_way_is_there)
{
    Registers registers;
    open_faults(registers);
    registers.record(read_fault());
    auto store = registers.next_store();
    registers.write(76, 4, 0);
    EXPECT_EQ(registers.read(76, 4), bit(16) | bit(17));
    EXPECT_FALSE(registers.record(read_fault()));
    registers.write(76, 4, 1); // ignored while busy
    EXPECT_EQ(registers.read(76, 4), bit(16) | bit(17));
    registers.write(40, 8, 0);
    EXPECT_EQ(registers.read(40, 8), uint64_t{0x80} << 10 | 1);
    registers.store_done(*store);
    EXPECT_EQ(registers.read(76, 4), 0u);
    EXPECT_EQ(registers.read(52, 4), 1u);
    registers.write(76, 4, 1);
    EXPECT_EQ(registers.read(52, 4), 0u); // enabling clears the tail
}

TEST(RiscvFaultQueue, enabling_clears_the_errors)
{
    Registers registers;
    open_faults(registers, 1);
    registers.record(read_fault());
    registers.carry_out();
    registers.record(read_fault());
    registers.write(76, 4, 0);
    EXPECT_EQ(registers.read(76, 4), bit(9));
    registers.write(76, 4, 1);
    EXPECT_EQ(registers.read(76, 4), 1 | bit(16));
}

// ---- page requests ---------------------------------------------------------------------------------------

TEST(RiscvPageQueue, a_record_has_two_doublewords)
{
    Registers registers;
    open_pages(registers);
    iom_page_request request = last_request();
    request.pasid = 0x98765;
    request.flags = IOM_REQ_PAGE | IOM_REQ_PRIV | IOM_REQ_EXEC;
    ASSERT_TRUE(registers.page_request(request));
    auto store = registers.next_store();
    ASSERT_TRUE(store);
    EXPECT_EQ(store->address, 0x90000u);
    EXPECT_EQ(store->bytes, 16);
    EXPECT_EQ(store->data[0], uint64_t{0x12ab34} << 40); // without PASID neither PRIV nor EXEC
    EXPECT_EQ(store->data[1], 0xffff'8000'1234'5000 | 0x7 | 0x1a5 << 3);
    registers.store_done(*store);
    EXPECT_EQ(registers.read(68, 4), 1u);
    request.flags |= IOM_REQ_PASID;
    registers.page_request(request);
    auto stores = registers.carry_out();
    EXPECT_EQ(stores.at(0).address, 0x90010u);
    EXPECT_EQ(stores.at(0).data[0],
              uint64_t{0x12ab34} << 40 | uint64_t{0x98765} << 12 | bit(32) | bit(33) | bit(34));
    EXPECT_FALSE(registers.next_response());
}

TEST(RiscvPageQueue, what_is_not_of_the_message_stays_out_of_the_record)
{
    Registers registers;
    open_pages(registers);
    iom_page_request request = last_request();
    request.message |= IOM_PAGE_REQUEST_PASID_RESPONSE;
    registers.page_request(request);
    EXPECT_EQ(registers.carry_out().at(0).data[1], 0xffff'8000'1234'5000 | 0x7 | 0x1a5 << 3);
}

// Response codes: 0 success, 1 invalid request, 15 response failure.
struct Response {
    unsigned code;
    bool pasid;
};

void expect_response(Registers &registers, Response expected)
{
    auto response = registers.next_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->stream, 0x12ab34u);
    EXPECT_TRUE(response->has_segment);
    EXPECT_EQ(response->code, expected.code);
    EXPECT_EQ(response->group, 0x1a5);
    EXPECT_EQ(response->has_pasid, expected.pasid);
    EXPECT_EQ(response->pasid, expected.pasid ? 0x98765u : 0u);
    EXPECT_EQ(response->payload,
              uint64_t{0xab34} << 48 | uint64_t{expected.code} << 44 | uint64_t{0x1a5} << 32);
    EXPECT_FALSE(registers.next_response());
}

iom_page_request request_with(bool pasid, bool response_pasid)
{
    iom_page_request request = last_request();
    request.flags = IOM_REQ_PAGE;
    if (pasid) {
        request.flags |= IOM_REQ_PASID;
        request.pasid = 0x98765;
    }
    if (response_pasid)
        request.message |= IOM_PAGE_REQUEST_PASID_RESPONSE;
    return request;
}

// Failure carries the request's PASID, success and invalid request only if the device wants it (PRPR).
TEST(RiscvPageQueue, responses_when_it_cannot_be_queued)
{
    for (bool pasid : {false, true}) {
        for (bool wanted : {false, true}) {
            iom_page_request request = request_with(pasid, wanted);
            {
                SCOPED_TRACE("off");
                Registers registers;
                EXPECT_FALSE(registers.page_request(request));
                expect_response(registers, {15, pasid});
            }
            {
                SCOPED_TRACE("full");
                Registers registers;
                open_pages(registers, 1);
                ASSERT_TRUE(registers.page_request(request));
                registers.carry_out();
                EXPECT_FALSE(registers.next_response());
                EXPECT_FALSE(registers.page_request(request));
                EXPECT_EQ(registers.read(80, 4), 1 | bit(9) | bit(16));
                expect_response(registers, {0, pasid && wanted});
                registers.write(64, 4, 1); // room, but pqof is still set
                EXPECT_FALSE(registers.page_request(request));
                expect_response(registers, {0, pasid && wanted});
                registers.write(80, 4, 1 | bit(9));
                EXPECT_TRUE(registers.page_request(request));
            }
            {
                SCOPED_TRACE("memory fault");
                Registers registers;
                open_pages(registers);
                EXPECT_TRUE(registers.page_request(request));
                registers.store_done(*registers.next_store(), IOM_ACCESS_REFUSED);
                EXPECT_EQ(registers.read(80, 4), 1 | bit(8) | bit(16));
                EXPECT_EQ(registers.read(68, 4), 0u);
                expect_response(registers, {15, pasid});
                EXPECT_FALSE(registers.page_request(request)); // pqmf is still set
                expect_response(registers, {15, pasid});
            }
        }
    }
}

// "The status is set to ... if the following faults are encountered".
TEST(RiscvPageQueue, responses_when_the_look_up_refuses)
{
    const struct {
        uint16_t cause;
        unsigned code;
    } refusals[] = {{256, 15}, {257, 15}, {258, 15}, {259, 15}, {268, 15}, {260, 1}};
    for (auto refusal : refusals) {
        for (bool recorded : {false, true}) {
            Registers registers;
            open_faults(registers);
            iom_fault fault{};
            fault.code = refusal.cause;
            fault.source = 0x12ab34;
            fault.pasid = 0x98765;
            fault.flags = IOM_REQ_PAGE | IOM_REQ_PASID;
            fault.page_request = last_request().message;
            fault.address = 0x1000;
            fault.recorded = recorded;
            EXPECT_EQ(registers.record(fault), recorded);
            expect_response(registers, {refusal.code, refusal.code == 15});
            auto stores = registers.carry_out();
            ASSERT_EQ(stores.size(), recorded ? 1u : 0u);
            for (const iom_register_store &store : stores)
                EXPECT_EQ(store.data[2], 4u); // message code of a page request
        }
    }
}

TEST(RiscvPageQueue, responses_come_in_the_order_of_the_requests)
{
    Registers registers;
    iom_page_request request = last_request();
    registers.page_request(request);
    request.source++;
    registers.page_request(request);
    EXPECT_EQ(registers.next_response()->stream, 0x12ab34u);
    EXPECT_EQ(registers.next_response()->stream, 0x12ab35u);
    EXPECT_FALSE(registers.next_response());
}

// L clear, or a stop marker (L alone): no response is needed, whatever goes wrong.
TEST(RiscvPageQueue, messages_that_need_no_response_are_discarded_silently)
{
    for (uint16_t message : {0u, 1u, 2u, 3u, 4u}) {
        Registers registers;
        iom_page_request request = last_request();
        request.message = message;
        EXPECT_FALSE(registers.page_request(request)); // off
        EXPECT_FALSE(registers.next_response()) << message;
        iom_fault fault{};
        fault.code = 260;
        fault.flags = IOM_REQ_PAGE;
        fault.page_request = message;
        registers.record(fault);
        EXPECT_FALSE(registers.next_response()) << message;
    }
    for (uint16_t message : {5u, 6u, 7u}) {
        Registers registers;
        iom_page_request request = last_request();
        request.message = message;
        registers.page_request(request);
        EXPECT_TRUE(registers.next_response()) << message;
    }
}

} // namespace
