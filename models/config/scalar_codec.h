// SPDX-License-Identifier: Apache-2.0
//
// How the text of one scalar becomes a member of a settings struct and back: one codec per type of
// key. A codec also describes itself (type, range), so that messages, documentation and dumps
// agree by construction.
//
// Accepted texts are stricter than YAML 1.1 where YAML 1.1 surprises:
//   boolean   true, false (yes/no/on/off refused)
//   integer   decimal without leading zeros, or 0x hexadecimal; no sign, no exponent
//   size      integer with an optional binary suffix K M G T or KiB MiB GiB TiB (kB, MB refused)
//   real      decimal with optional fraction and exponent; no inf, no nan
//   text      any scalar
//   choice    one of the names
//   source id PCI bus:device.function ("00:04.0") or 0x hexadecimal
#ifndef IOM_MODELS_CONFIG_SCALAR_CODEC_H
#define IOM_MODELS_CONFIG_SCALAR_CODEC_H

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/config/value_tree.h"

namespace iommu_sim
{

/// Inclusive range of an integer, size or address key.
struct Range {
    uint64_t minimum = 0;
    uint64_t maximum = std::numeric_limits<uint64_t>::max();
};

/// Inclusive range of a real key.
struct RealRange {
    double minimum;
    double maximum;
};

/// How an unsigned number is written.
enum class NumberStyle {
    decimal,
    size, ///< with binary suffix
    hex,  ///< addresses and registers; exported as text because JSON readers lose bits beyond 2^53
};

/// Reads, writes and describes one member. `member` points to the member itself. Stateless.
class ScalarCodec
{
  public:
    virtual ~ScalarCodec() = default;
    /// Sets the member from a scalar; returns an empty string, or what is wrong and leaves it alone.
    virtual std::string parse(const ValueNode &scalar, void *member) const = 0;
    /// The member as a YAML scalar that parse() accepts.
    virtual std::string format(const void *member) const = 0;
    virtual nlohmann::ordered_json json(const void *member) const = 0;
    /// For messages and documentation: "integer", "one of", ...
    virtual std::string type() const = 0;
    /// "0..64", "fused | chained"; empty where everything of the type is allowed.
    virtual std::string range() const = 0;
};

/// The reasons behind each codec, apart from the templates: each returns an error or sets `value`.
std::string parse_unsigned(const ValueNode &scalar, NumberStyle style, Range range, uint64_t &value);
std::string parse_real(const ValueNode &scalar, RealRange range, double &value);
std::string parse_boolean(const ValueNode &scalar, bool &value);
std::string parse_source_id(const ValueNode &scalar, uint16_t &value);
/// Sets `index` to the position in `names`. `refused` names exist but are not available yet.
std::string parse_choice(const ValueNode &scalar, const std::vector<std::string> &names,
                         const std::vector<std::string> &refused, size_t &index);

std::string format_unsigned(uint64_t value, NumberStyle style);
/// Shortest decimal text that reads back as the same double.
std::string format_real_shortest(double value);
std::string format_source_id(uint16_t value);
/// Double-quoted YAML scalar.
std::string format_quoted(const std::string &text);
std::string join(const std::vector<std::string> &parts, const std::string &separator);

class BooleanCodec : public ScalarCodec
{
  public:
    std::string parse(const ValueNode &scalar, void *member) const override;
    std::string format(const void *member) const override;
    nlohmann::ordered_json json(const void *member) const override;
    std::string type() const override;
    std::string range() const override;
};

class RealCodec : public ScalarCodec
{
  public:
    explicit RealCodec(RealRange range) : range_(range)
    {
    }
    std::string parse(const ValueNode &scalar, void *member) const override;
    std::string format(const void *member) const override;
    nlohmann::ordered_json json(const void *member) const override;
    std::string type() const override;
    std::string range() const override;

  private:
    RealRange range_;
};

class TextCodec : public ScalarCodec
{
  public:
    std::string parse(const ValueNode &scalar, void *member) const override;
    std::string format(const void *member) const override;
    nlohmann::ordered_json json(const void *member) const override;
    std::string type() const override;
    std::string range() const override;
};

class SourceIdCodec : public ScalarCodec
{
  public:
    std::string parse(const ValueNode &scalar, void *member) const override;
    std::string format(const void *member) const override;
    nlohmann::ordered_json json(const void *member) const override;
    std::string type() const override;
    std::string range() const override;
};

/// Unsigned members of any width; the range never exceeds what the member can hold.
template <class M> class IntegerCodec : public ScalarCodec
{
  public:
    IntegerCodec(Range range, NumberStyle style) : range_(range), style_(style)
    {
        static_assert(std::is_unsigned_v<M>, "integer keys are unsigned");
        range_.maximum = std::min<uint64_t>(range_.maximum, std::numeric_limits<M>::max());
    }
    std::string parse(const ValueNode &scalar, void *member) const override
    {
        uint64_t value = 0;
        std::string error = parse_unsigned(scalar, style_, range_, value);
        if (error.empty())
            *static_cast<M *>(member) = static_cast<M>(value);
        return error;
    }
    std::string format(const void *member) const override
    {
        return format_unsigned(*static_cast<const M *>(member), style_);
    }
    nlohmann::ordered_json json(const void *member) const override
    {
        if (style_ == NumberStyle::hex)
            return format(member);
        return *static_cast<const M *>(member);
    }
    std::string type() const override
    {
        return style_ == NumberStyle::size ? "size" : style_ == NumberStyle::hex ? "address" : "integer";
    }
    std::string range() const override
    {
        return format_unsigned(range_.minimum, style_) + ".." + format_unsigned(range_.maximum, style_);
    }

  private:
    Range range_;
    NumberStyle style_;
};

/// An integer that may be absent, written `none`.
template <class M> class OptionalIntegerCodec : public ScalarCodec
{
  public:
    OptionalIntegerCodec(Range range, NumberStyle style) : inner_(range, style)
    {
    }
    std::string parse(const ValueNode &scalar, void *member) const override
    {
        auto &value = *static_cast<std::optional<M> *>(member);
        if (scalar.text == "none" && !scalar.quoted) {
            value.reset();
            return "";
        }
        M number{};
        std::string error = inner_.parse(scalar, &number);
        if (error.empty())
            value = number;
        return error.empty() ? error : error + ", or none";
    }
    std::string format(const void *member) const override
    {
        const auto &value = *static_cast<const std::optional<M> *>(member);
        return value ? inner_.format(&*value) : "none";
    }
    nlohmann::ordered_json json(const void *member) const override
    {
        const auto &value = *static_cast<const std::optional<M> *>(member);
        return value ? inner_.json(&*value) : nlohmann::ordered_json(nullptr);
    }
    std::string type() const override
    {
        return inner_.type() + " or none";
    }
    std::string range() const override
    {
        return inner_.range();
    }

  private:
    IntegerCodec<M> inner_;
};

/// One name of an enumeration.
template <class E> struct Choice {
    E value;
    std::string name;
};

template <class E> class ChoiceCodec : public ScalarCodec
{
  public:
    ChoiceCodec(std::vector<Choice<E>> choices, std::vector<std::string> refused)
        : choices_(std::move(choices)), refused_(std::move(refused))
    {
        for (const Choice<E> &choice : choices_)
            names_.push_back(choice.name);
    }
    std::string parse(const ValueNode &scalar, void *member) const override
    {
        size_t index = 0;
        std::string error = parse_choice(scalar, names_, refused_, index);
        if (error.empty())
            *static_cast<E *>(member) = choices_[index].value;
        return error;
    }
    std::string format(const void *member) const override
    {
        for (const Choice<E> &choice : choices_) {
            if (choice.value == *static_cast<const E *>(member))
                return choice.name;
        }
        throw std::logic_error("an enumeration value has no name: " + range());
    }
    nlohmann::ordered_json json(const void *member) const override
    {
        return format(member);
    }
    std::string type() const override
    {
        return "choice";
    }
    std::string range() const override
    {
        return join(names_, " | ");
    }

  private:
    std::vector<Choice<E>> choices_;
    std::vector<std::string> refused_;
    std::vector<std::string> names_;
};

} // namespace iommu_sim

#endif
