// SPDX-License-Identifier: Apache-2.0
//
// Comparison for the RISC-V reference model's vectors: what the specification leaves open is accepted, and
// nothing beside it.
#include <gtest/gtest.h>

#include "core/arch/riscv/riscv.h"
#include "models/verify/riscv_compare.h"

using namespace iommu_sim::verify;
using namespace iommu_sim::verify::riscv;

namespace
{

DmaStep request_of_type(AddressType type)
{
    DmaStep request;
    request.type = type;
    return request;
}

const DmaStep untranslated = request_of_type(AddressType::untranslated);
const DmaStep question = request_of_type(AddressType::translation_request);

Result translated_result()
{
    Result result;
    result.pa = 0x5123;
    result.size_log2 = 21;
    result.memory_type = 2;
    result.msi = false;
    return result;
}

DmaResult translated_dma()
{
    DmaResult result;
    result.completion = Completion::address;
    result.pa = 0x5123;
    result.size_log2 = 21;
    result.attributes = IOM_RISCV_IO;
    return result;
}

Result granted_answer()
{
    Result result = translated_result();
    result.read = true;
    result.write = false;
    result.exec = true;
    result.untranslated = result.no_snoop = result.cxl_io = result.priv = result.global = false;
    result.ama = 0;
    return result;
}

DmaResult granted_dma()
{
    DmaResult result = translated_dma();
    result.read = result.exec = true;
    result.permissions = IOM_PERM_READ | IOM_PERM_EXEC;
    return result;
}

bool equal(const DmaStep &request, const Result &expected, const DmaResult &got)
{
    return compare_result(request, expected, got).empty();
}

FaultEntry fault()
{
    FaultEntry entry;
    entry.cause = 21;
    entry.transaction = 3;
    entry.device = 0x123456;
    entry.process = 7;
    entry.has_process = true;
    entry.iotval = 0x12345678;
    entry.iotval2 = 0x9abcdef4;
    return entry;
}

bool equal(const FaultEntry &expected, const FaultEntry &got)
{
    return compare_faults({expected}, {got}).empty();
}

} // namespace

TEST(VerifyRiscvCompare, address_range_and_attributes)
{
    EXPECT_TRUE(equal(untranslated, translated_result(), translated_dma()));
    DmaResult got = translated_dma();
    got.completion = Completion::access_error; // memory's business
    EXPECT_TRUE(equal(untranslated, translated_result(), got));
    got = translated_dma();
    got.pa ^= 0x1000;
    EXPECT_FALSE(equal(untranslated, translated_result(), got));
    for (const auto &[size, legal] : {std::pair<int, bool>{12, true}, {21, true}, {22, false}, {30, false}}) {
        got = translated_dma();
        got.size_log2 = static_cast<uint8_t>(size);
        EXPECT_EQ(equal(untranslated, translated_result(), got), legal) << size;
    }
    got = translated_dma();
    got.attributes = IOM_RISCV_NC;
    EXPECT_FALSE(equal(untranslated, translated_result(), got));
    got.attributes = IOM_RISCV_IO | IOM_RISCV_LEAF_MSI;
    EXPECT_FALSE(equal(untranslated, translated_result(), got));
}

TEST(VerifyRiscvCompare, status)
{
    constexpr Completion completions[] = {Completion::address,     Completion::mrif,    Completion::interrupt,
                                          Completion::unsupported, Completion::aborted, Completion::denied};
    Result expected = translated_result();
    for (const Status status : {Status::success, Status::unsupported, Status::aborted}) {
        expected.status = status;
        const Completion right = status == Status::success       ? Completion::address
                                 : status == Status::unsupported ? Completion::unsupported
                                                                 : Completion::aborted;
        for (const Completion completion : completions) {
            DmaResult got = translated_dma();
            got.completion = completion;
            EXPECT_EQ(equal(untranslated, expected, got), completion == right)
                << static_cast<int>(status) << " " << static_cast<int>(completion);
        }
    }
}

TEST(VerifyRiscvCompare, interrupt_files)
{
    Result expected;
    expected.mrif = true;
    expected.mrif_address = 0x4000200;
    expected.notice_id = 0x7a5;
    expected.notice_ppn = 0xabcde;
    DmaResult got;
    got.completion = Completion::mrif;
    got.pa = 0x4000200;
    got.attributes = IOM_RISCV_NOTICE(0x7a5, 0xabcde);
    EXPECT_TRUE(equal(untranslated, expected, got));
    DmaResult other = got;
    other.pa += 0x200;
    EXPECT_FALSE(equal(untranslated, expected, other));
    other = got;
    other.attributes = IOM_RISCV_NOTICE(0x7a4, 0xabcde);
    EXPECT_FALSE(equal(untranslated, expected, other));
    other.attributes = IOM_RISCV_NOTICE(0x7a5, 0xabcdf);
    EXPECT_FALSE(equal(untranslated, expected, other));
    other = got;
    other.completion = Completion::address;
    EXPECT_FALSE(equal(untranslated, expected, other));
}

TEST(VerifyRiscvCompare, every_field_of_an_answer)
{
    EXPECT_TRUE(equal(question, granted_answer(), granted_dma()));
    const std::function<void(DmaResult &)> changes[] = {
        [](DmaResult &r) {
            r.read = false;
            r.permissions |= IOM_PERM_WRITE;
        },
        [](DmaResult &r) { r.permissions |= IOM_PERM_WRITE; },
        [](DmaResult &r) { r.exec = false; },
        [](DmaResult &r) {
            r.priv = true;
            r.permissions = IOM_PERM_PRIV_READ | IOM_PERM_PRIV_EXEC;
        },
        [](DmaResult &r) { r.global = true; },
        [](DmaResult &r) { r.attributes |= IOM_RISCV_LEAF_UNTRANSLATED; },
        [](DmaResult &r) { r.attributes |= IOM_RISCV_LEAF_NO_SNOOP; },
        [](DmaResult &r) { r.attributes |= IOM_RISCV_LEAF_CXL_IO; },
        [](DmaResult &r) { r.attributes |= UINT64_C(5) << IOM_RISCV_LEAF_AMA_SHIFT; },
        [](DmaResult &r) { r.completion = Completion::denied; },
    };
    for (const auto &change : changes) {
        DmaResult got = granted_dma();
        change(got);
        EXPECT_FALSE(equal(question, granted_answer(), got)) << &change - changes;
    }
    Result expected = granted_answer();
    expected.write = expected.global = std::nullopt; // not compared
    DmaResult got = granted_dma();
    got.permissions |= IOM_PERM_WRITE;
    got.global = true;
    EXPECT_TRUE(equal(question, expected, got));
}

TEST(VerifyRiscvCompare, denied_answers_have_no_other_fields)
{
    Result expected;
    expected.read = expected.write = false;
    DmaResult got;
    got.completion = Completion::denied;
    EXPECT_TRUE(equal(question, expected, got));
    got = granted_dma();
    EXPECT_FALSE(equal(question, expected, got));
    got.read = false;
    EXPECT_TRUE(equal(question, expected, got)) << "R = W = 0 is a denial";
    EXPECT_FALSE(equal(question, granted_answer(), got));
}

TEST(VerifyRiscvCompare, fault_records_are_exact_but_for_page_offsets)
{
    EXPECT_TRUE(equal(fault(), fault()));
    const std::function<void(FaultEntry &)> changes[] = {
        [](FaultEntry &e) { e.cause = 20; },          [](FaultEntry &e) { e.transaction = 2; },
        [](FaultEntry &e) { e.device ^= 0x10000; },   [](FaultEntry &e) { e.process++; },
        [](FaultEntry &e) { e.has_process = false; }, [](FaultEntry &e) { e.priv = true; },
        [](FaultEntry &e) { e.iotval ^= 0x1000; },    [](FaultEntry &e) { e.iotval ^= 8; },
        [](FaultEntry &e) { e.iotval2 ^= 0x1000; },   [](FaultEntry &e) { e.iotval2 ^= 8; },
        [](FaultEntry &e) { e.iotval2 ^= 2; },
    };
    for (const auto &change : changes) {
        FaultEntry got = fault();
        change(got);
        EXPECT_FALSE(equal(fault(), got)) << &change - changes;
    }
    FaultEntry got = fault();
    got.iotval = 0x12345000;
    EXPECT_TRUE(equal(fault(), got));
    got.iotval2 = 0x9abcd000;
    EXPECT_TRUE(equal(fault(), got));
    // A message's code is no address.
    FaultEntry message = fault();
    message.transaction = 9;
    got = message;
    got.iotval = 0x12345000;
    EXPECT_FALSE(equal(message, got));
}

TEST(VerifyRiscvCompare, implicit_accesses_are_named_by_their_page_and_flags)
{
    FaultEntry expected = fault();
    expected.iotval2 = 0x9abcd003;
    FaultEntry got = expected;
    got.iotval2 = 0x9abcd8cb;
    EXPECT_TRUE(equal(expected, got));
    got.iotval2 = 0x9abcd8c9; // a read instead of a write
    EXPECT_FALSE(equal(expected, got));
    got.iotval2 = 0x9abcc003;
    EXPECT_FALSE(equal(expected, got));
}

TEST(VerifyRiscvCompare, lists_are_compared_in_order)
{
    FaultEntry second = fault();
    second.cause = 13;
    EXPECT_TRUE(compare_faults({fault(), second}, {fault(), second}).empty());
    EXPECT_EQ(compare_faults({fault(), second}, {second, fault()}).size(), 2u);
    EXPECT_EQ(compare_faults({fault()}, {}).size(), 1u);
    EXPECT_EQ(compare_faults({}, {fault()}).size(), 1u);
    PageEntry page;
    page.payload = 0x7003;
    PageEntry other = page;
    other.exec = true;
    EXPECT_EQ(compare_page_requests({page}, {other}).size(), 1u);
    EXPECT_TRUE(compare_page_requests({page}, {page}).empty());
    DeviceMessage message;
    message.payload = 0x9001;
    DeviceMessage renumbered = message;
    renumbered.tag = 4;
    EXPECT_TRUE(compare_messages({message}, {renumbered}).empty());
    renumbered.kind = DeviceMessage::Kind::page_response;
    EXPECT_EQ(compare_messages({message}, {renumbered}).size(), 1u);
}

TEST(VerifyRiscvCompare, words_and_drains)
{
    EXPECT_TRUE(compare_memory({{0x10, 1}, {0x8, 2}}, {{0x8, 2}, {0x10, 1}}).empty());
    EXPECT_EQ(compare_memory({{0x10, 1}}, {{0x10, 2}}).size(), 1u);
    EXPECT_EQ(compare_memory({{0x10, 1}}, {}).size(), 1u);
    EXPECT_EQ(compare_memory({}, {{0x10, 1}}).size(), 1u);
    const Drain reads = {true, false}, writes = {false, true};
    EXPECT_TRUE(compare_drain(reads, reads).empty());
    EXPECT_EQ(compare_drain(reads, writes).size(), 1u);
    EXPECT_EQ(compare_drain(reads, std::nullopt).size(), 1u);
    EXPECT_EQ(compare_drain(std::nullopt, reads).size(), 1u);
}
