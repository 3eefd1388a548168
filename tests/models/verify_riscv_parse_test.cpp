// SPDX-License-Identifier: Apache-2.0
//
// Reading vectors of the RISC-V reference model: every field lands where it belongs, and what is wrong is
// said with file, line, vector and field.
#include <gtest/gtest.h>

#include "models/verify/vector_file.h"

using namespace iommu_sim::verify;

namespace
{

std::string vector_with(const std::string &step)
{
    return R"({"id":"r1","seed":"0x1","family":"walk","capabilities":"0x3800000f10","fctl":"0x2",
 "params":{"num_hpm":8,"hpmctr_bits":40,"eventid_limit":255,"num_vec_bits":1,"max_iommu_mode":4,"devid_mask":"0x3f",
  "gxl_writable":1,"be_writable":0,"bare_page_size":"0x40000000","bare_page_size_sv32":"0x200000"},
 "info":{},"mem":[["0x2000","0x7"]],"mem_faults":[["0x3000","corrupt"]],"steps":[)" +
           step + "]}";
}

const char *const request =
    R"({"op":"req","did":16,"at":0,"iova":"0x1000","write":0,"len":8,"expect":{"status":"UR"}})";

riscv::Vector parse(const std::string &text)
{
    return std::get<riscv::Vector>(parse_any_vector(text, "f.jsonl", 3, nullptr));
}

std::string error_of(const std::string &text)
{
    try {
        parse(text);
    } catch (const VectorError &error) {
        return error.what();
    }
    return "";
}

riscv::RequestStep request_step(const std::string &text)
{
    return std::get<riscv::RequestStep>(parse(vector_with(text)).steps.at(0));
}

} // namespace

TEST(VerifyRiscvParse, parameters_and_memory)
{
    const riscv::Vector vector = parse(vector_with(request));
    EXPECT_EQ(vector.id, "r1");
    EXPECT_EQ(vector.line, 3u);
    EXPECT_EQ(vector.config.machine, "riscv");
    ASSERT_TRUE(vector.config.riscv.has_value());
    const RiscvParameters &p = *vector.config.riscv;
    EXPECT_EQ(p.capabilities, 0x3800000f10u);
    EXPECT_EQ(p.fctl, 2u);
    EXPECT_EQ(p.counters, 8u);
    EXPECT_EQ(p.events, 255u);
    EXPECT_EQ(p.device_id_mask, 0x3fu);
    EXPECT_TRUE(p.gxl_writable);
    EXPECT_FALSE(p.be_writable);
    EXPECT_EQ(p.bare_page_log2, 30u);
    EXPECT_EQ(p.bare_page_sv32_log2, 21u);
    ASSERT_EQ(vector.memory.size(), 1u);
    EXPECT_EQ(vector.memory[0].value, 7u);
    ASSERT_EQ(vector.marks.size(), 1u);
    EXPECT_EQ(vector.marks[0].kind, MemoryMark::Kind::corrupt);
}

TEST(VerifyRiscvParse, the_schema_is_told_by_its_keys)
{
    const AnyVector other = parse_any_vector(
        R"({"id":"a","arch":"x","cfg":{"machine":"vtd"},"mem":[],"regs":[],"steps":[]})", "f", 1, nullptr);
    EXPECT_TRUE(std::holds_alternative<Vector>(other));
    EXPECT_THROW(parse_vector(vector_with(request), "f", 1, nullptr), VectorError);
    EXPECT_THROW(parse_any_vector(R"({"id":"a"})", "f", 1, nullptr), VectorError);
}

TEST(VerifyRiscvParse, requests)
{
    DmaStep r = request_step(request).request;
    EXPECT_EQ(r.device, 16u);
    EXPECT_EQ(r.type, AddressType::untranslated);
    EXPECT_FALSE(r.pasid.has_value());
    const std::string head = R"({"op":"req","did":1,"iova":"0x1000","len":8,"expect":{"status":"UR"},)";
    // Translation requests ask to write unless they say otherwise; execute and privilege need a process.
    r = request_step(head + R"("at":1,"write":0})").request;
    EXPECT_TRUE(r.write);
    r = request_step(head + R"("at":1,"write":0,"nw":1,"exec":1,"priv":1})").request;
    EXPECT_FALSE(r.write || r.exec || r.priv);
    r = request_step(head + R"("at":1,"write":0,"nw":1,"exec":1,"priv":1,"pid":4,"cxl":1})").request;
    EXPECT_TRUE(!r.write && r.exec && r.priv && r.cxl);
    r = request_step(head + R"("at":0,"write":0,"exec":1,"priv":1})").request;
    EXPECT_TRUE(r.exec);
    EXPECT_FALSE(r.priv);
    r = request_step(head + R"("at":2,"write":1,"exec":1,"pid":4})").request;
    EXPECT_EQ(r.type, AddressType::translated);
    EXPECT_TRUE(r.write);
    EXPECT_FALSE(r.exec);
}

TEST(VerifyRiscvParse, fields_that_are_null_are_not_compared)
{
    const riscv::Result result =
        request_step(
            R"({"op":"req","did":1,"at":1,"iova":"0x1000","write":0,"len":8,"expect":{"status":"SUCCESS",
 "ppn":"0x5","s":0,"size_log2":12,"size_max_log2":16,"pa":"0x5000","pbmt":0,"is_msi":0,"r":1,"w":null,"x":0,"u":0,
 "priv":0,"global":null,"n":0,"ama":0}})")
            .result;
    EXPECT_EQ(result.read, true);
    EXPECT_FALSE(result.write.has_value());
    EXPECT_FALSE(result.global.has_value());
    EXPECT_FALSE(result.cxl_io.has_value());
    EXPECT_EQ(result.size_log2, 16u);
}

TEST(VerifyRiscvParse, what_is_wrong_is_named)
{
    const std::pair<std::string, std::string> wrong[] = {
        {R"({"op":"dance"})", "unknown operation 'dance'"},
        {R"({"op":"req","did":16777216,"at":0,"iova":"0x0","write":0,"len":8,"expect":{"status":"UR"}})",
         "did"},
        {R"({"op":"req","did":1,"at":3,"iova":"0x0","write":0,"len":8,"expect":{"status":"UR"}})", "at"},
        {R"({"op":"req","did":1,"at":0,"iova":"0x0","write":0,"len":0,"expect":{"status":"UR"}})", "len"},
        {R"({"op":"req","did":1,"at":0,"iova":"0x0","write":0,"len":8,"expect":{"status":"MAYBE"}})",
         "status"},
        {R"({"op":"req","did":-1,"at":0,"iova":"0x0","write":0,"len":8,"expect":{"status":"UR"}})", "did"},
        {R"({"op":"req","did":1,"at":0,"iova":"0x0","write":0,"len":8,"may_be_stale":true,"expect":{"status":"UR"}})",
         "expect_stale"},
        {R"({"op":"reg_write","off":0,"size":2,"val":"0x0","expect":{}})", "size"},
        {R"({"op":"reg_write","off":0,"size":4,"val":"0x100000000","expect":{}})", "val"},
        {R"({"op":"reg_write","off":0,"size":4,"val":"0x0","expect":{"regs":{"cqx":"0x1"}}})", "cqx"},
        {R"({"op":"mem_write","addr":"0x4","val":"0x0"})", "multiple of 8"},
        {R"({"op":"cmd","name":"x","lo":"0x0","hi":"0x0","expect":{}})", "cqt"},
        {R"({"op":"cmd","name":"x","lo":"0x0","hi":"0x0","expect":{"cqt":1,"msgs":[{"code":2}]}})", "code"},
    };
    for (const auto &[step, what] : wrong) {
        const std::string error = error_of(vector_with(step));
        EXPECT_NE(error.find("f.jsonl:3: vector r1: steps[0]"), std::string::npos) << step << ": " << error;
        EXPECT_NE(error.find(what), std::string::npos) << error;
    }
    std::string text = vector_with(request);
    text.replace(text.find("0x40000000"), 10, "0x40000001");
    EXPECT_NE(error_of(text).find("bare_page_size"), std::string::npos);
    text = vector_with(request);
    text.replace(text.find("corrupt"), 7, "strange");
    EXPECT_NE(error_of(text).find("mem_faults"), std::string::npos);
}

TEST(VerifyRiscvParse, unknown_fields_are_noted)
{
    std::set<std::string> notes;
    parse_any_vector(vector_with(R"({"op":"mem_write","addr":"0x8","val":"0x0","colour":1})"), "f", 1,
                     &notes);
    EXPECT_EQ(notes, std::set<std::string>{"mem_write.colour"});
}
