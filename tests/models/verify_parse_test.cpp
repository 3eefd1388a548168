// SPDX-License-Identifier: Apache-2.0
//
// The vector reader: what it accepts, and that everything malformed is refused with a message that
// names file, line, vector and field.
#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "models/verify/vector.h"
#include "models/verify/vector_file.h"

using namespace iommu_sim::verify;

namespace
{

const char *const dma_step = R"({"op":"dma","dev":"0x18","rw":"w","iova":"0x1000","pasid":7,"priv":1,)"
                             R"("res":{"ok":true,"pa":"0xffffffffffff0008"}})";

std::string vector_with(const std::string &steps, const std::string &cfg = R"({"machine":"vtd"})")
{
    return R"({"id":"v1","arch":"vtd-x","cfg":)" + cfg +
           R"(,"mem":[["0x1000","0102"]],"regs":[["0x20",8,"0x100000"]],"steps":[)" + steps + "]}";
}

Vector parse(const std::string &text, std::set<std::string> *notes = nullptr)
{
    return parse_vector(text, "f.jsonl", 3, notes);
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

void replace(std::string *text, const std::string &from, const std::string &to)
{
    const size_t at = text->find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text->replace(at, from.size(), to);
}

std::string error_of_dma(const std::string &from, const std::string &to)
{
    std::string step = dma_step;
    replace(&step, from, to);
    return error_of(vector_with(step));
}

} // namespace

TEST(VerifyParse, fields_arrive_typed)
{
    const Vector v = parse(vector_with(
        std::string(dma_step) +
            R"(,{"op":"mem","a":"0x10","d":"ff00"},{"op":"reg","o":"0x34","n":4,"v":"0x1","expect":{"FSTS":"0x0"},)"
            R"("mask":{"FSTS":"0x3"}},{"op":"inv","q":"0x2000","dw":16,"qs":4096,"wait":"0x3000",)"
            R"("desc":[["0x1","0x2"]],"res":{"iqh":"0x10","iqt":"0x20","iqe":1,"status":"0xc0de0001"}})",
        R"({"machine":"vtd","mode":"sm","aw":46,"haw":40,"cap":"0x5","source":"spec","keep_faults":true})"));
    EXPECT_EQ(v.id, "v1");
    EXPECT_EQ(v.line, 3u);
    EXPECT_EQ(v.config.source, Source::spec);
    EXPECT_EQ(v.config.address_width, 46u);
    EXPECT_EQ(v.config.host_address_width, 40u);
    EXPECT_EQ(v.config.capabilities.at("cap"), 5u);
    EXPECT_TRUE(v.config.keep_faults);
    ASSERT_EQ(v.memory.size(), 1u);
    EXPECT_EQ(v.memory[0].bytes, (std::vector<uint8_t>{1, 2}));
    ASSERT_EQ(v.registers.size(), 1u);
    EXPECT_EQ(v.registers[0].value, 0x100000u);
    ASSERT_EQ(v.steps.size(), 4u);
    const auto &dma = std::get<DmaStep>(v.steps[0]);
    EXPECT_TRUE(dma.write);
    EXPECT_TRUE(dma.priv);
    EXPECT_EQ(dma.pasid, 7u);
    EXPECT_EQ(dma.res.pa, 0xffffffffffff0008u); // more than a double holds
    const auto &reg = std::get<RegisterStep>(v.steps[2]);
    ASSERT_EQ(reg.expect.size(), 1u);
    EXPECT_EQ(reg.expect[0].mask, 3u);
    const auto &inv = std::get<InvalidationStep>(v.steps[3]);
    EXPECT_TRUE(inv.error);
    EXPECT_EQ(inv.tail, 0x20u);
    EXPECT_EQ(inv.status, 0xc0de0001u);
    EXPECT_FALSE(v.fin.has_value());
}

TEST(VerifyParse, fault_records_keep_every_field)
{
    std::string step = dma_step;
    replace(
        &step, R"({"ok":true,"pa":"0xffffffffffff0008"})",
        R"({"ok":false,"pa":null,"fault":{"reason_any":[1,2],"sid":"0x18","type":"w","exact":true,"raw":["0x0"]}})");
    const Vector v = parse(vector_with(step));
    const Outcome &outcome = std::get<DmaStep>(v.steps[0]).res;
    ASSERT_TRUE(outcome.fault.has_value());
    EXPECT_TRUE(outcome.fault->exact);
    EXPECT_EQ(outcome.fault->reason_any, (std::vector<uint64_t>{1, 2}));
    EXPECT_EQ(outcome.fault->fields.at("type"), 1u);
    EXPECT_EQ(outcome.fault->fields.at("sid"), 0x18u);
    EXPECT_EQ(outcome.fault->fields.size(), 2u);
}

TEST(VerifyParse, messages_name_file_line_vector_and_field)
{
    const std::string text = error_of_dma(R"("iova":"0x1000")", R"("iova":"0x10g0")");
    EXPECT_EQ(text, "f.jsonl:3: vector v1: steps[0].iova: 'g' is no hexadecimal digit");
}

TEST(VerifyParse, unknown_operation)
{
    EXPECT_NE(error_of_dma(R"("op":"dma")", R"("op":"dna")").find("unknown operation 'dna'"),
              std::string::npos);
}

TEST(VerifyParse, missing_fields)
{
    for (const char *field : {R"("op":"dma",)", R"("dev":"0x18",)", R"("iova":"0x1000",)"})
        EXPECT_NE(error_of_dma(field, "").find("missing field"), std::string::npos) << field;
    EXPECT_NE(error_of_dma(R"("ok":true,)", "").find("missing field 'ok'"), std::string::npos);
}

TEST(VerifyParse, malformed_values)
{
    EXPECT_NE(error_of_dma(R"("0x1000")", R"("1000")"), "");
    EXPECT_NE(error_of_dma(R"("0x1000")", "4096"), "");
    EXPECT_NE(error_of_dma(R"("0x1000")", R"("0x")"), "");
    EXPECT_NE(error_of_dma(R"("0x1000")", R"("0x12345678123456781")"), "");
    EXPECT_NE(error_of_dma(R"("pasid":7)", R"("pasid":-1)"), ""); // would become 4294967295
    EXPECT_NE(error_of_dma(R"("pasid":7)", R"("pasid":1048576)"), "");
    EXPECT_NE(error_of_dma(R"("pasid":7)", R"("pasid":7.5)"), "");
    EXPECT_NE(error_of_dma(R"("rw":"w")", R"("rw":"x")"), "");
    EXPECT_NE(error_of_dma(R"("rw":"w")", R"("rw":"w","len":4097)"), "");
    EXPECT_NE(error_of_dma(R"("rw":"w")", R"("rw":"w","len":0)"), "");
    EXPECT_NE(error_of_dma(R"("rw":"w")", R"("rw":"w","exec":1)"), "");
    EXPECT_NE(error_of_dma(R"("rw":"w")", R"("rw":"w","at":"q")"), "");
    EXPECT_NE(error_of_dma("0x1000", "0x1ffc"), ""); // crosses a page
    EXPECT_NE(error_of_dma(R"("priv":1)", R"("priv":2)"), "");
    EXPECT_NE(error_of(vector_with(R"({"op":"mem","a":"0x0","d":"abc"})")), "");
    EXPECT_NE(error_of(vector_with(R"({"op":"reg","o":"0x0","n":3,"v":"0x0"})")), "");
    EXPECT_NE(error_of(vector_with(R"({"op":"reg","o":"0x0","n":4,"v":"0x100000000"})")), "");
    EXPECT_NE(error_of(vector_with(dma_step, R"({"machine":"vtd","source":"guess"})")), "");
    EXPECT_NE(error_of(vector_with(dma_step, R"({"machine":"vtd","aw":65})")), "");
}

TEST(VerifyParse, masks_need_a_value)
{
    EXPECT_NE(error_of_dma(R"("rw":"w")", R"("rw":"w","mask":{"FSTS":"0x1"},"expect":{})"), "");
}

TEST(VerifyParse, invalidation_results_are_required)
{
    const std::string head =
        R"({"op":"inv","q":"0x2000","dw":16,"qs":4096,"wait":"0x3000","desc":[["0x1","0x2"]],)";
    EXPECT_EQ(error_of(vector_with(head + R"("res":{"iqh":"0x0","iqt":"0x0","iqe":0,"status":"0x0"}})")), "");
    EXPECT_NE(error_of(vector_with(head + R"("res":{"iqh":"0x0","iqt":"0x0","iqe":0}})")), "");
    EXPECT_NE(error_of(vector_with(head + R"("res":{"iqh":"0x0","iqe":0,"status":"0x0"}})")), "");
}

TEST(VerifyParse, other_documents_are_unknown_schemas)
{
    EXPECT_NE(error_of(R"({"id":"x","family":"walk","capabilities":"0x0"})").find("unknown schema"),
              std::string::npos);
    EXPECT_NE(error_of("[1]").find("unknown schema"), std::string::npos);
    EXPECT_NE(error_of("{\"id\":").find("f.jsonl:3:"), std::string::npos);
}

TEST(VerifyParse, unknown_fields_are_reported)
{
    std::set<std::string> notes;
    std::string step = dma_step;
    replace(&step, R"("ok":true)", R"("ok":true,"speed":3)");
    parse(vector_with(step, R"({"machine":"vtd","color":1})"), &notes);
    EXPECT_EQ(notes, (std::set<std::string>{"cfg.color", "result.speed"}));
}

// ---- files --------------------------------------------------------------------------------------

namespace
{

class VerifyFile : public testing::Test
{
  protected:
    void SetUp() override
    {
        path_ = testing::TempDir() + "iommu-sim-verify-" + std::to_string(getpid()) + ".jsonl";
    }
    void TearDown() override
    {
        std::remove(path_.c_str());
    }
    void write(const std::string &content)
    {
        std::ofstream(path_, std::ios::binary) << content;
    }
    size_t count()
    {
        VectorFile file(path_);
        size_t n = 0;
        while (file.next())
            n++;
        return n;
    }
    static std::string compressed(const std::string &text)
    {
        std::string out(ZSTD_compressBound(text.size()), '\0');
        out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
        return out;
    }
    // Some vectors with different ids, far larger than the reader's buffers.
    static std::string many(size_t n)
    {
        std::string text;
        for (size_t i = 0; i < n; i++) {
            std::string vector = vector_with(dma_step);
            vector.replace(vector.find("v1"), 2, "v" + std::to_string(1000 + i));
            text += vector + "\n";
        }
        return text;
    }
    std::string path_;
};

} // namespace

TEST_F(VerifyFile, plain_and_compressed_files_read_the_same)
{
    const std::string text = many(3000);
    ASSERT_GT(text.size(), size_t{1} << 19);
    write(text);
    EXPECT_EQ(count(), 3000u);
    write(compressed(text));
    EXPECT_EQ(count(), 3000u);
    write(compressed(text.substr(0, text.size() / 2)) + compressed(text.substr(text.size() / 2)));
    EXPECT_EQ(count(), 3000u) << "two frames";
}

TEST_F(VerifyFile, last_line_needs_no_end_and_empty_lines_do_not_count)
{
    write("\n" + vector_with(dma_step) + "\n\n  \n");
    EXPECT_EQ(count(), 1u);
    write(vector_with(dma_step));
    EXPECT_EQ(count(), 1u);
    write("");
    EXPECT_EQ(count(), 0u);
}

TEST_F(VerifyFile, damage_is_an_error)
{
    const std::string packed = compressed(many(3000));
    write(packed.substr(0, packed.size() - 5));
    EXPECT_THROW(count(), VectorError);
    std::string broken = packed;
    broken[broken.size() / 2] = static_cast<char>(broken[broken.size() / 2] ^ 0x55);
    write(broken);
    EXPECT_THROW(count(), VectorError);
    write(vector_with(dma_step) + "\n" + vector_with(dma_step) + "\n");
    EXPECT_THROW(count(), VectorError) << "same id twice";
    std::remove(path_.c_str());
    EXPECT_THROW(count(), VectorError);
    EXPECT_THROW(iommu_sim::LineReader reader(testing::TempDir()); std::string line;
                 reader.next(&line), VectorError)
        << "a folder";
}
