// SPDX-License-Identifier: Apache-2.0
//
// Reading and writing of scalars (see scalar_codec.h for the accepted texts). Everything goes
// through std::from_chars and std::to_chars, which know no locale.
#include "models/config/scalar_codec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include "models/config/suggest.h"

namespace iommu_sim
{
namespace
{

constexpr std::string_view digits = "0123456789";
constexpr std::string_view hex_digits = "0123456789abcdefABCDEF";

struct SizeUnit {
    const char *letter;
    const char *long_name;
    unsigned shift;
};
constexpr std::array<SizeUnit, 4> size_units{
    {{"K", "KiB", 10}, {"M", "MiB", 20}, {"G", "GiB", 30}, {"T", "TiB", 40}}};

/// The offending text for a message, shortened so that a message stays one line.
std::string shown(const std::string &text)
{
    constexpr size_t longest = 40;
    std::string result;
    for (const char c : text.size() > longest ? text.substr(0, longest) : text)
        result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    // Never cut a UTF-8 sequence in two.
    while (text.size() > longest && !result.empty() &&
           (static_cast<unsigned char>(result.back()) & 0xc0) == 0x80)
        result.pop_back();
    if (text.size() > longest && !result.empty() && static_cast<unsigned char>(result.back()) >= 0xc0)
        result.pop_back();
    return "'" + result + (text.size() > longest ? "...'" : "'");
}

bool only(std::string_view text, std::string_view allowed)
{
    return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

std::string expected(const std::string &what, const ValueNode &scalar)
{
    if (scalar.text.empty())
        return "expected " + what + ", found nothing";
    return "expected " + what + ", found " + (scalar.quoted ? "text in quotes" : shown(scalar.text));
}

/// Splits off a binary suffix. Returns an error for decimal ones, whose meaning is disputed.
std::string take_size_suffix(std::string &number, unsigned &shift)
{
    const size_t end = number.find_last_of(digits);
    const std::string suffix = end == std::string::npos ? "" : number.substr(end + 1);
    shift = 0;
    if (suffix.empty())
        return "";
    for (const SizeUnit &unit : size_units) {
        if (suffix == unit.letter || suffix == unit.long_name) {
            shift = unit.shift;
            number.resize(end + 1);
            return "";
        }
    }
    return "unknown size suffix " + shown(suffix) + "; use K, M, G, T or KiB, MiB, GiB, TiB (powers of 1024)";
}

/// Digits (no sign, no suffix) to a number.
std::string take_digits(const std::string &text, const std::string &what, const ValueNode &scalar,
                        uint64_t &value)
{
    const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const std::string body = hex ? text.substr(2) : text;
    if (!only(body, hex ? hex_digits : digits))
        return expected(what, scalar);
    if (!hex && body.size() > 1 && body[0] == '0')
        return shown(scalar.text) +
               " has a leading zero, which YAML 1.1 reads as octal; write it without the "
               "zero, or as 0x...";
    const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), value, hex ? 16 : 10);
    if (error == std::errc::result_out_of_range)
        return shown(scalar.text) + " does not fit into 64 bits";
    return error == std::errc() && end == body.data() + body.size() ? "" : expected(what, scalar);
}

} // namespace

std::string join(const std::vector<std::string> &parts, const std::string &separator)
{
    std::string result;
    for (const std::string &part : parts)
        result += (result.empty() ? "" : separator) + part;
    return result;
}

std::string parse_unsigned(const ValueNode &scalar, NumberStyle style, Range range, uint64_t &value)
{
    const std::string what = style == NumberStyle::size ? "a size (like 4096, 64K or 2MiB)" : "an integer";
    if (scalar.quoted)
        return expected(what, scalar);
    std::string number = scalar.text;
    if (number.size() > 1 && number[0] == '-' && only(std::string_view(number).substr(1, 1), digits))
        return shown(number) + " is negative; " + format_unsigned(range.minimum, style) + ".." +
               format_unsigned(range.maximum, style) + " is allowed";
    const bool hex = number.compare(0, 2, "0x") == 0 || number.compare(0, 2, "0X") == 0;
    unsigned shift = 0;
    if (style == NumberStyle::size && !hex && !number.empty() && only(number.substr(0, 1), digits)) {
        if (std::string error = take_size_suffix(number, shift); !error.empty())
            return error;
    }
    uint64_t parsed = 0;
    if (std::string error = take_digits(number, what, scalar, parsed); !error.empty())
        return error;
    if (shift != 0 && parsed > (std::numeric_limits<uint64_t>::max() >> shift))
        return shown(scalar.text) + " does not fit into 64 bits";
    parsed <<= shift;
    if (parsed < range.minimum || parsed > range.maximum)
        return scalar.text + " is out of range (" + format_unsigned(range.minimum, style) + ".." +
               format_unsigned(range.maximum, style) + ")";
    value = parsed;
    return "";
}

std::string parse_real(const ValueNode &scalar, RealRange range, double &value)
{
    const std::string &text = scalar.text;
    // from_chars also takes inf, nan and hexadecimal mantissas, which no key means.
    if (scalar.quoted || !only(text, "0123456789.eE+-"))
        return expected("a number", scalar);
    double parsed = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error == std::errc::result_out_of_range)
        return shown(text) + " cannot be represented (too large or too small)";
    if (error != std::errc() || end != text.data() + text.size())
        return expected("a number", scalar);
    if (parsed < range.minimum || parsed > range.maximum)
        return shown(text) + " is out of range (" + format_real_shortest(range.minimum) + ".." +
               format_real_shortest(range.maximum) + ")";
    value = parsed == 0 ? 0.0 : parsed; // no minus zero
    return "";
}

std::string parse_boolean(const ValueNode &scalar, bool &value)
{
    if (scalar.quoted || (scalar.text != "true" && scalar.text != "false")) {
        static const std::vector<std::string> other{"yes", "no", "on", "off",  "y",
                                                    "n",   "t",  "f",  "true", "false"};
        const bool near_miss =
            !scalar.quoted && std::any_of(other.begin(), other.end(), [&](const auto &word) {
                return edit_distance(word, scalar.text) == 0;
            });
        return expected("true or false", scalar) +
               (near_miss ? " (other YAML 1.1 spellings are not accepted)" : "");
    }
    value = scalar.text == "true";
    return "";
}

std::string parse_source_id(const ValueNode &scalar, uint16_t &value)
{
    const std::string &text = scalar.text;
    const std::string what = "bus:device.function such as 00:04.0, or hexadecimal such as 0x0020";
    const auto hex = [](std::string_view part, uint32_t &number) {
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number, 16);
        return error == std::errc() && end == part.data() + part.size();
    };
    uint32_t bus = 0;
    uint32_t device = 0;
    uint32_t function = 0;
    if (text.compare(0, 2, "0x") == 0) {
        if (!only(std::string_view(text).substr(2), hex_digits) || text.size() > 6 ||
            !hex(std::string_view(text).substr(2), bus))
            return expected(what, scalar);
        value = static_cast<uint16_t>(bus);
        return "";
    }
    const size_t colon = text.find(':');
    const size_t dot = text.find('.');
    if (colon != 2 || dot != 5 || text.size() != 7)
        return expected(what, scalar);
    const std::string_view view(text);
    if (!hex(view.substr(0, 2), bus) || !hex(view.substr(3, 2), device) || !hex(view.substr(6, 1), function))
        return expected(what, scalar);
    if (device > 31 || function > 7)
        return shown(text) + ": a device number is at most 1f and a function at most 7";
    value = static_cast<uint16_t>(bus << 8 | device << 3 | function);
    return "";
}

std::string parse_choice(const ValueNode &scalar, const std::vector<std::string> &names,
                         const std::vector<std::string> &refused, size_t &index)
{
    const auto found = std::find(names.begin(), names.end(), scalar.text);
    if (found != names.end()) {
        index = static_cast<size_t>(found - names.begin());
        return "";
    }
    if (std::find(refused.begin(), refused.end(), scalar.text) != refused.end())
        return scalar.text + " is not available yet (available: " + join(names, ", ") + ")";
    return shown(scalar.text) + " is not one of " + join(names, ", ") + did_you_mean(scalar.text, names);
}

std::string format_unsigned(uint64_t value, NumberStyle style)
{
    std::array<char, 24> buffer{};
    const bool hex = style == NumberStyle::hex;
    std::string suffix;
    if (style == NumberStyle::size && value != 0) {
        for (const SizeUnit &unit : size_units) {
            if (value % 1024 == 0) {
                value /= 1024;
                suffix = unit.letter;
            } else {
                break;
            }
        }
    }
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, hex ? 16 : 10);
    return (hex ? "0x" : "") + std::string(buffer.data(), result.ptr) + suffix;
}

std::string format_real_shortest(double value)
{
    std::array<char, 64> buffer{};
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    return {buffer.data(), result.ptr};
}

std::string format_source_id(uint16_t value)
{
    const auto digit = [](unsigned nibble) { return hex_digits[nibble]; };
    const unsigned device = value >> 3 & 0x1fu;
    return {digit(value >> 12), digit(value >> 8 & 0xfu), ':', digit(device >> 4), digit(device & 0xfu), '.',
            digit(value & 7u)};
}

std::string format_quoted(const std::string &text)
{
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            result += "\\x";
            result += hex_digits[byte >> 4];
            result += hex_digits[byte & 0xf];
        } else {
            result += c;
        }
    }
    return result + "\"";
}

std::string BooleanCodec::parse(const ValueNode &scalar, void *member) const
{
    return parse_boolean(scalar, *static_cast<bool *>(member));
}
std::string BooleanCodec::format(const void *member) const
{
    return *static_cast<const bool *>(member) ? "true" : "false";
}
nlohmann::ordered_json BooleanCodec::json(const void *member) const
{
    return *static_cast<const bool *>(member);
}
std::string BooleanCodec::type() const
{
    return "boolean";
}
std::string BooleanCodec::range() const
{
    return "true | false";
}

std::string RealCodec::parse(const ValueNode &scalar, void *member) const
{
    return parse_real(scalar, range_, *static_cast<double *>(member));
}
std::string RealCodec::format(const void *member) const
{
    return format_real_shortest(*static_cast<const double *>(member));
}
nlohmann::ordered_json RealCodec::json(const void *member) const
{
    return *static_cast<const double *>(member);
}
std::string RealCodec::type() const
{
    return "number";
}
std::string RealCodec::range() const
{
    return format_real_shortest(range_.minimum) + ".." + format_real_shortest(range_.maximum);
}

std::string TextCodec::parse(const ValueNode &scalar, void *member) const
{
    *static_cast<std::string *>(member) = scalar.text;
    return "";
}
std::string TextCodec::format(const void *member) const
{
    return format_quoted(*static_cast<const std::string *>(member));
}
nlohmann::ordered_json TextCodec::json(const void *member) const
{
    return *static_cast<const std::string *>(member);
}
std::string TextCodec::type() const
{
    return "text";
}
std::string TextCodec::range() const
{
    return "";
}

std::string SourceIdCodec::parse(const ValueNode &scalar, void *member) const
{
    return parse_source_id(scalar, *static_cast<uint16_t *>(member));
}
std::string SourceIdCodec::format(const void *member) const
{
    return format_source_id(*static_cast<const uint16_t *>(member));
}
nlohmann::ordered_json SourceIdCodec::json(const void *member) const
{
    return format(member);
}
std::string SourceIdCodec::type() const
{
    return "source id";
}
std::string SourceIdCodec::range() const
{
    return "00:00.0..ff:1f.7";
}

} // namespace iommu_sim
