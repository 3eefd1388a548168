// SPDX-License-Identifier: Apache-2.0
//
// A JSON value together with the way that led to it, so that every complaint about an object of a file (one
// per line) can say where it is.
#ifndef IOM_MODELS_INPUT_JSON_NODE_H
#define IOM_MODELS_INPUT_JSON_NODE_H

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "models/input/line_reader.h"

namespace iommu_sim
{

/// Where an object stands.
struct Place {
    const std::string &file;
    size_t line;
    std::string id;               ///< of the object, once known
    std::set<std::string> *notes; ///< collects unknown fields; may be null
    const char *what;             ///< "vector", "record"
};

/// "0x1f"
inline std::string hexadecimal_text(uint64_t value)
{
    char text[24];
    std::snprintf(text, sizeof text, "0x%" PRIx64, value);
    return text;
}

/// Throws InputError naming the byte at which `text` ceases to be JSON.
inline nlohmann::json parse_json(const std::string &text, const std::string &file, size_t line)
{
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::parse_error &error) {
        throw InputError(file + ":" + std::to_string(line) + ":" + std::to_string(error.byte) +
                         ": not JSON: " + error.what());
    }
}

class Node
{
  public:
    Node(const nlohmann::json &value, Place &place, std::string path)
        : value_(value), place_(place), path_(std::move(path))
    {
    }

    [[noreturn]] void fail(const std::string &what) const
    {
        std::string text = place_.file + ":" + std::to_string(place_.line) + ": ";
        if (!place_.id.empty())
            text += std::string(place_.what) + " " + place_.id + ": ";
        throw InputError(text + (path_.empty() ? "" : path_ + ": ") + what);
    }

    bool has(const char *key) const
    {
        return value_.is_object() && value_.contains(key);
    }

    Node at(const char *key) const
    {
        if (!value_.is_object())
            fail("must be an object");
        const auto found = value_.find(key);
        if (found == value_.end())
            fail(std::string("missing field '") + key + "'");
        return {*found, place_, join_path(path_, key)};
    }

    std::vector<Node> items() const
    {
        if (!value_.is_array())
            fail("must be a list");
        std::vector<Node> nodes;
        nodes.reserve(value_.size());
        for (size_t i = 0; i < value_.size(); i++)
            nodes.emplace_back(value_[i], place_, path_ + "[" + std::to_string(i) + "]");
        return nodes;
    }

    /// Exactly `count` items.
    std::vector<Node> tuple(size_t count) const
    {
        std::vector<Node> nodes = items();
        if (nodes.size() != count)
            fail("must have " + std::to_string(count) + " items, has " + std::to_string(nodes.size()));
        return nodes;
    }

    std::string text() const
    {
        if (!value_.is_string())
            fail("must be a text");
        return value_.get<std::string>();
    }

    bool flag() const // true, false, 1, 0
    {
        if (value_.is_boolean())
            return value_.get<bool>();
        return number(1) != 0;
    }

    bool is_null() const
    {
        return value_.is_null();
    }
    bool is_array() const
    {
        return value_.is_array();
    }
    bool is_object() const
    {
        return value_.is_object();
    }
    bool is_number() const
    {
        return value_.is_number();
    }
    bool is_boolean() const
    {
        return value_.is_boolean();
    }
    bool is_string() const
    {
        return value_.is_string();
    }

    /// JSON number 0..limit. (A negative number would silently become huge on conversion.)
    uint64_t number(uint64_t limit) const
    {
        if (!value_.is_number_unsigned())
            fail("must be a whole number that is not negative");
        const auto value = value_.get<uint64_t>();
        if (value > limit)
            fail("is larger than " + std::to_string(limit));
        return value;
    }

    /// JSON number least..limit.
    int64_t signed_number(int64_t least, int64_t limit) const
    {
        if (!value_.is_number_integer() ||
            (value_.is_number_unsigned() && value_.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)))
            fail("must be a whole number");
        const auto value = value_.get<int64_t>();
        if (value < least || value > limit)
            fail("must lie between " + std::to_string(least) + " and " + std::to_string(limit));
        return value;
    }

    /// "0x..." with 1 to 16 digits, 0..limit.
    uint64_t hexadecimal(uint64_t limit = UINT64_MAX) const
    {
        return hexadecimal_of(text(), limit);
    }

    /// The same of a text that stands elsewhere (the name of a field).
    uint64_t hexadecimal_of(const std::string &digits, uint64_t limit = UINT64_MAX) const
    {
        if (digits.size() < 3 || digits.size() > 18 || digits.compare(0, 2, "0x") != 0)
            fail("must be a text of the form \"0x...\" with 1 to 16 digits");
        uint64_t value = 0;
        for (size_t i = 2; i < digits.size(); i++)
            value = value << 4 | digit(digits[i]);
        if (value > limit)
            fail("is larger than " + hexadecimal_text(limit));
        return value;
    }

    /// "0x...", a number, or a flag (1 and 0).
    uint64_t scalar() const
    {
        return value_.is_boolean() ? (flag() ? 1 : 0) : hexadecimal_or_number();
    }

    uint64_t hexadecimal_or_number(uint64_t limit = UINT64_MAX) const
    {
        return is_string() ? hexadecimal(limit) : number(limit);
    }

    std::vector<uint8_t> bytes() const
    {
        const std::string digits = text();
        if (digits.size() % 2 != 0)
            fail("must have two hexadecimal digits for each byte");
        std::vector<uint8_t> result;
        result.reserve(digits.size() / 2);
        for (size_t i = 0; i < digits.size(); i += 2)
            result.push_back(static_cast<uint8_t>(digit(digits[i]) << 4 | digit(digits[i + 1])));
        return result;
    }

    /// Notes every field that is not in `known`.
    void expect_only(std::initializer_list<const char *> known, const std::string &what) const
    {
        if (place_.notes == nullptr)
            return;
        for (const auto &[key, unused] : value_.items()) {
            bool found = false;
            for (const char *name : known)
                found = found || key == name;
            if (!found)
                place_.notes->insert(join_path(what, key));
        }
    }

    template <typename Function> void each_field(Function function) const
    {
        if (!value_.is_object())
            fail("must be an object");
        for (auto it = value_.begin(); it != value_.end(); ++it)
            function(it.key(), Node(it.value(), place_, join_path(path_, it.key())));
    }

  private:
    /// "steps[2]" and "dma": "steps[2].dma".
    static std::string join_path(std::string path, const std::string &key)
    {
        if (!path.empty())
            path += '.';
        path += key;
        return path;
    }

    unsigned digit(char c) const
    {
        if (c >= '0' && c <= '9')
            return static_cast<unsigned>(c - '0');
        if (c >= 'a' && c <= 'f')
            return static_cast<unsigned>(c - 'a' + 10);
        if (c >= 'A' && c <= 'F')
            return static_cast<unsigned>(c - 'A' + 10);
        fail(std::string("'") + c + "' is no hexadecimal digit");
    }

    const nlohmann::json &value_;
    Place &place_;
    std::string path_;
};

} // namespace iommu_sim

#endif
