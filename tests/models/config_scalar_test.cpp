// SPDX-License-Identifier: Apache-2.0
//
// Scalars of the configuration: which texts each type accepts and what it says about the others.
// Expected values follow the rules stated in models/config/scalar_codec.h.
#include <gtest/gtest.h>

#include "models/config/scalar_codec.h"
#include "models/config/suggest.h"

namespace iommu_sim
{
namespace
{

ValueNode plain(const std::string &text)
{
    ValueNode node;
    node.kind = ValueNode::Kind::scalar;
    node.text = text;
    return node;
}

ValueNode quoted(const std::string &text)
{
    ValueNode node = plain(text);
    node.quoted = true;
    return node;
}

TEST(ConfigScalar, UnsignedAccepts)
{
    struct Case {
        const char *text;
        NumberStyle style;
        uint64_t value;
    };
    const Case cases[] = {
        {"0", NumberStyle::decimal, 0},
        {"64", NumberStyle::decimal, 64},
        {"0x40", NumberStyle::decimal, 64},
        {"0XfF", NumberStyle::hex, 255},
        {"0x010", NumberStyle::hex, 16}, // leading zeros are unambiguous in hexadecimal
        {"18446744073709551615", NumberStyle::decimal, UINT64_MAX},
        {"0xffffffffffffffff", NumberStyle::hex, UINT64_MAX},
        {"4096", NumberStyle::size, 4096},
        {"4K", NumberStyle::size, 4096},
        {"3KiB", NumberStyle::size, 3072},
        {"2M", NumberStyle::size, 2097152},
        {"2MiB", NumberStyle::size, 2097152},
        {"1G", NumberStyle::size, 1073741824},
        {"1GiB", NumberStyle::size, 1073741824},
        {"2T", NumberStyle::size, 2199023255552},
        {"0x1000", NumberStyle::size, 4096},
        {"16777215T", NumberStyle::size, 16777215ull << 40}, // the largest multiple of 1 TiB
    };
    for (const Case &c : cases) {
        uint64_t value = 12345;
        EXPECT_EQ(parse_unsigned(plain(c.text), c.style, {}, value), "") << c.text;
        EXPECT_EQ(value, c.value) << c.text;
    }
}

TEST(ConfigScalar, UnsignedRefuses)
{
    const std::string octal =
        " has a leading zero, which YAML 1.1 reads as octal; write it without the zero, or as 0x...";
    const std::string size_wanted = "expected a size (like 4096, 64K or 2MiB), found ";
    const std::string suffixes = "; use K, M, G, T or KiB, MiB, GiB, TiB (powers of 1024)";
    struct Case {
        ValueNode scalar;
        NumberStyle style;
        std::string error;
    };
    const Case cases[] = {
        {plain("010"), NumberStyle::decimal, "'010'" + octal},
        {plain("00"), NumberStyle::decimal, "'00'" + octal},
        {plain("0o17"), NumberStyle::decimal, "expected an integer, found '0o17'"},
        {plain("0b1"), NumberStyle::decimal, "expected an integer, found '0b1'"},
        {plain("0x"), NumberStyle::decimal, "expected an integer, found '0x'"},
        {plain("0xg"), NumberStyle::hex, "expected an integer, found '0xg'"},
        {plain("-1"), NumberStyle::decimal, "'-1' is negative; 1..100 is allowed"},
        {plain("-"), NumberStyle::decimal, "expected an integer, found '-'"},
        {plain("+1"), NumberStyle::decimal, "expected an integer, found '+1'"},
        {plain("1e3"), NumberStyle::decimal, "expected an integer, found '1e3'"},
        {plain("1.0"), NumberStyle::decimal, "expected an integer, found '1.0'"},
        {plain("1_000"), NumberStyle::decimal, "expected an integer, found '1_000'"},
        {plain("1 0"), NumberStyle::decimal, "expected an integer, found '1 0'"},
        {plain("4K"), NumberStyle::decimal, "expected an integer, found '4K'"},
        {plain(""), NumberStyle::decimal, "expected an integer, found nothing"},
        {quoted("64"), NumberStyle::decimal, "expected an integer, found text in quotes"},
        {plain("0"), NumberStyle::decimal, "0 is out of range (1..100)"},
        {plain("101"), NumberStyle::decimal, "101 is out of range (1..100)"},
        {plain("0x65"), NumberStyle::hex, "0x65 is out of range (0x1..0x64)"},
        {plain("1K"), NumberStyle::size, "1K is out of range (1..100)"},
        {plain("18446744073709551616"), NumberStyle::decimal,
         "'18446744073709551616' does not fit into 64 bits"},
        {plain("0x10000000000000000"), NumberStyle::hex, "'0x10000000000000000' does not fit into 64 bits"},
        {plain("16777216T"), NumberStyle::size, "'16777216T' does not fit into 64 bits"},
        {plain("4KB"), NumberStyle::size, "unknown size suffix 'KB'" + suffixes},
        {plain("4kB"), NumberStyle::size, "unknown size suffix 'kB'" + suffixes},
        {plain("4 K"), NumberStyle::size, "unknown size suffix ' K'" + suffixes},
        {plain("K"), NumberStyle::size, size_wanted + "'K'"},
        {plain("1.5G"), NumberStyle::size, size_wanted + "'1.5G'"},
        {plain("010K"), NumberStyle::size, "'010K'" + octal},
        {plain("0123456789012345678901234567890123456789x"), NumberStyle::decimal,
         "expected an integer, found '0123456789012345678901234567890123456789...'"},
    };
    for (const Case &c : cases) {
        uint64_t value = 42;
        EXPECT_EQ(parse_unsigned(c.scalar, c.style, {1, 100}, value), c.error) << c.scalar.text;
        EXPECT_EQ(value, 42u) << c.scalar.text;
    }
}

TEST(ConfigScalar, MemberWidthLimitsTheRange)
{
    const IntegerCodec<uint8_t> codec({0, 1000}, NumberStyle::decimal);
    uint8_t member = 7;
    EXPECT_EQ(codec.parse(plain("256"), &member), "256 is out of range (0..255)");
    EXPECT_EQ(member, 7);
    EXPECT_EQ(codec.parse(plain("255"), &member), "");
    EXPECT_EQ(member, 255);
}

TEST(ConfigScalar, Boolean)
{
    bool value = false;
    EXPECT_EQ(parse_boolean(plain("true"), value), "");
    EXPECT_TRUE(value);
    EXPECT_EQ(parse_boolean(plain("false"), value), "");
    EXPECT_FALSE(value);
    for (const std::string other : {"yes", "No", "on", "OFF", "True", "FALSE", "y"}) {
        EXPECT_EQ(parse_boolean(plain(other), value), "expected true or false, found '" + other +
                                                          "' (other YAML 1.1 spellings are not accepted)");
    }
    EXPECT_EQ(parse_boolean(plain("1"), value), "expected true or false, found '1'");
    EXPECT_EQ(parse_boolean(quoted("true"), value), "expected true or false, found text in quotes");
}

TEST(ConfigScalar, Real)
{
    double value = 0;
    for (const auto &[text, expected] :
         {std::pair{"0", 0.0}, {"1", 1.0}, {"0.25", 0.25}, {"1e3", 1000.0}, {"1E-2", 0.01}, {".5", 0.5}}) {
        EXPECT_EQ(parse_real(plain(text), {0, 1000}, value), "") << text;
        EXPECT_EQ(value, expected) << text;
    }
    EXPECT_EQ(parse_real(plain("-0.0"), {0, 1}, value), "");
    EXPECT_FALSE(std::signbit(value));
    EXPECT_EQ(parse_real(plain("1.5"), {0, 1}, value), "'1.5' is out of range (0..1)");
    EXPECT_EQ(parse_real(plain("-1"), {0, 1}, value), "'-1' is out of range (0..1)");
    EXPECT_EQ(parse_real(plain("1e999"), {0, 1}, value),
              "'1e999' cannot be represented (too large or too small)");
    for (const std::string text : {"nan", ".nan", "inf", "0x1p3", "1,5", "1.2.3", "--1", "e", "1e", ""}) {
        EXPECT_EQ(parse_real(plain(text), {0, 1}, value),
                  "expected a number, found " + (text.empty() ? "nothing" : "'" + text + "'"));
    }
}

TEST(ConfigScalar, SourceId)
{
    uint16_t value = 0;
    for (const auto &[text, expected] : {std::pair{"00:04.0", 0x0020},
                                         {"ff:1f.7", 0xffff},
                                         {"AB:01.2", 0xab0a},
                                         {"0x20", 0x20},
                                         {"0xffff", 0xffff}}) {
        EXPECT_EQ(parse_source_id(plain(text), value), "") << text;
        EXPECT_EQ(value, expected) << text;
    }
    const std::string limits = ": a device number is at most 1f and a function at most 7";
    EXPECT_EQ(parse_source_id(plain("00:20.0"), value), "'00:20.0'" + limits);
    EXPECT_EQ(parse_source_id(plain("00:00.8"), value), "'00:00.8'" + limits);
    for (const std::string text :
         {"32", "0:4.0", "0000:00:04.0", "00:04", "00:0g.0", "0x10000", "0x", "0x-1", "00:-4.0"}) {
        EXPECT_EQ(parse_source_id(plain(text), value),
                  "expected bus:device.function such as 00:04.0, or hexadecimal such as 0x0020, found '" +
                      text + "'");
    }
}

TEST(ConfigScalar, Choice)
{
    size_t index = 9;
    EXPECT_EQ(parse_choice(plain("chained"), {"fused", "chained"}, {}, index), "");
    EXPECT_EQ(index, 1u);
    EXPECT_EQ(parse_choice(plain("fusd"), {"fused", "chained"}, {}, index),
              "'fusd' is not one of fused, chained (did you mean fused?)");
    EXPECT_EQ(parse_choice(plain("xyz"), {"fused", "chained"}, {}, index),
              "'xyz' is not one of fused, chained");
    EXPECT_EQ(parse_choice(plain("riscv"), {"vtd"}, {"riscv"}, index),
              "riscv is not available yet (available: vtd)");
}

TEST(ConfigScalar, OptionalInteger)
{
    const OptionalIntegerCodec<uint32_t> codec({0, 10}, NumberStyle::decimal);
    std::optional<uint32_t> value = 3;
    EXPECT_EQ(codec.parse(plain("none"), &value), "");
    EXPECT_FALSE(value.has_value());
    EXPECT_EQ(codec.format(&value), "none");
    EXPECT_TRUE(codec.json(&value).is_null());
    EXPECT_EQ(codec.parse(plain("7"), &value), "");
    EXPECT_EQ(value, 7u);
    EXPECT_EQ(codec.json(&value).dump(), "7");
    EXPECT_EQ(codec.parse(plain("11"), &value), "11 is out of range (0..10), or none");
    EXPECT_EQ(codec.parse(plain("nil"), &value), "expected an integer, found 'nil', or none");
    EXPECT_EQ(value, 7u);
}

TEST(ConfigScalar, FormatsReadBack)
{
    for (const uint64_t number :
         {0ull, 1ull, 1000ull, 1024ull, 1536ull, 1048576ull, 3ull << 30, 5ull << 40, ~0ull}) {
        for (const NumberStyle style : {NumberStyle::decimal, NumberStyle::size, NumberStyle::hex}) {
            uint64_t value = 99;
            EXPECT_EQ(parse_unsigned(plain(format_unsigned(number, style)), style, {}, value), "");
            EXPECT_EQ(value, number);
        }
    }
    EXPECT_EQ(format_unsigned(1536, NumberStyle::size), "1536");
    EXPECT_EQ(format_unsigned(65536, NumberStyle::size), "64K");
    EXPECT_EQ(format_unsigned(255, NumberStyle::hex), "0xff");
    EXPECT_EQ(format_real_shortest(0.1), "0.1");
    for (unsigned id = 0; id < 0x10000; id += 0x101) {
        uint16_t value = 0;
        EXPECT_EQ(parse_source_id(plain(format_source_id(static_cast<uint16_t>(id))), value), "");
        EXPECT_EQ(value, id);
    }
    EXPECT_EQ(format_quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\x0a\"");
}

TEST(ConfigSuggest, Distance)
{
    EXPECT_EQ(edit_distance("", ""), 0u);
    EXPECT_EQ(edit_distance("abc", ""), 3u);
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
    EXPECT_EQ(edit_distance("entreis", "entries"), 1u); // neighbours swapped
    EXPECT_EQ(edit_distance("ca", "abc"), 3u);          // no edits inside a swap
    EXPECT_EQ(edit_distance("Miss-Table", "miss_table"), 0u);
}

TEST(ConfigSuggest, NearestOrNothing)
{
    const std::vector<std::string> names{"entries", "ways", "policy"};
    EXPECT_EQ(nearest("entreis", names), "entries");
    EXPECT_EQ(nearest("way", names), "ways");
    EXPECT_EQ(nearest("x", names), "");
    EXPECT_EQ(nearest("bandwidth", names), "");
    EXPECT_EQ(nearest("", names), "");
    EXPECT_EQ(nearest(std::string(100000, 'e'), names), "");
    EXPECT_EQ(nearest("ab", {"ac", "ad"}), "ac"); // the first of equals
    EXPECT_EQ(did_you_mean("wais", names, "iotlb."), " (did you mean iotlb.ways?)");
    EXPECT_EQ(did_you_mean("zzz", names), "");
}

} // namespace
} // namespace iommu_sim
