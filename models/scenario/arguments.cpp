// SPDX-License-Identifier: Apache-2.0
//
// Typed access to maps with reports of mistakes. See arguments.h.
#include "models/scenario/arguments.h"

#include <algorithm>

#include "models/config/schema.h"
#include "models/config/suggest.h"

namespace iommu_sim
{

namespace
{

const char *kind_name(const ValueNode &node)
{
    switch (node.kind) {
    case ValueNode::Kind::list:
        return "a list";
    case ValueNode::Kind::map:
        return "keys";
    case ValueNode::Kind::null:
        return "nothing";
    case ValueNode::Kind::scalar:
        break;
    }
    return "one value";
}

Expression::Meaning meaning_of(const Numbers &names)
{
    Expression::Meaning meaning;
    meaning.name = [&names](const std::string &name) {
        const auto found = names.find(name);
        if (found != names.end())
            return found->second;
        std::vector<std::string> known;
        for (const auto &entry : names)
            known.push_back(entry.first);
        throw ExpressionError("there is no parameter '" + name + "'" + did_you_mean(name, known));
    };
    return meaning;
}

/// "100 cycles" means 100.
std::string without_unit(const std::string &text)
{
    const std::string unit = " cycles";
    if (text.size() > unit.size() && text.compare(text.size() - unit.size(), unit.size(), unit) == 0)
        return text.substr(0, text.size() - unit.size());
    return text;
}

} // namespace

bool is_scenario_name(const std::string &text)
{
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    return !text.empty() && letter(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) {
        return letter(c) || (c >= '0' && c <= '9') || c == '_';
    });
}

std::optional<Expression> read_expression(const ValueNode &scalar, const std::string &path,
                                          const ReadingContext &context)
{
    if (scalar.kind != ValueNode::Kind::scalar) {
        context.refuse(scalar.origin, path, std::string("expected a number, found ") + kind_name(scalar));
        return std::nullopt;
    }
    try {
        return Expression::parse(without_unit(scalar.text));
    } catch (const ExpressionError &error) {
        context.refuse(scalar.origin, path, error.what());
        return std::nullopt;
    }
}

int64_t read_number(const ValueNode &scalar, const std::string &path, const ReadingContext &context,
                    Range range)
{
    const std::optional<Expression> expression = read_expression(scalar, path, context);
    if (!expression)
        return 0;
    try {
        const int64_t value = expression->value(meaning_of(context.names));
        if (value >= 0 && static_cast<uint64_t>(value) >= range.minimum &&
            static_cast<uint64_t>(value) <= range.maximum)
            return value;
        context.refuse(scalar.origin, path,
                       std::to_string(value) + " is out of range (" + std::to_string(range.minimum) + ".." +
                           std::to_string(range.maximum) + ")");
    } catch (const ExpressionError &error) {
        context.refuse(scalar.origin, path, error.what());
    }
    return 0;
}

Arguments::Arguments(const ValueNode &node, std::string path, const ReadingContext &context)
    : node_(node), path_(std::move(path)), context_(context)
{
    if (node.kind != ValueNode::Kind::map && node.kind != ValueNode::Kind::null)
        context_.refuse(node.origin, path_, std::string("expected keys below it, found ") + kind_name(node));
}

const ValueNode *Arguments::node(const std::string &key)
{
    asked_.push_back(key);
    const MapEntry *entry = node_.find(key);
    return entry != nullptr ? &entry->value : nullptr;
}

bool Arguments::has(const std::string &key)
{
    return node(key) != nullptr;
}

const ValueNode *Arguments::scalar(const std::string &key, bool is_required)
{
    const ValueNode *value = node(key);
    if (value == nullptr) {
        if (is_required)
            context_.refuse(node_.origin, join_path(path_, key), "missing");
        return nullptr;
    }
    if (value->kind != ValueNode::Kind::scalar) {
        context_.refuse(value->origin, join_path(path_, key),
                        std::string("expected one value, found ") + kind_name(*value));
        return nullptr;
    }
    return value;
}

uint64_t Arguments::number(const std::string &key, uint64_t missing, Range range)
{
    const ValueNode *value = scalar(key, false);
    if (value == nullptr)
        return missing;
    return static_cast<uint64_t>(read_number(*value, join_path(path_, key), context_, range));
}

uint64_t Arguments::required(const std::string &key, Range range)
{
    const ValueNode *value = scalar(key, true);
    if (value == nullptr)
        return 0;
    return static_cast<uint64_t>(read_number(*value, join_path(path_, key), context_, range));
}

bool Arguments::flag(const std::string &key, bool missing)
{
    const ValueNode *value = scalar(key, false);
    bool result = missing;
    if (value != nullptr) {
        const std::string error = parse_boolean(*value, result);
        if (!error.empty())
            context_.refuse(value->origin, join_path(path_, key), error);
    }
    return result;
}

std::string Arguments::word(const std::string &key, bool is_required)
{
    const ValueNode *value = scalar(key, is_required);
    if (value == nullptr)
        return "";
    if (!is_scenario_name(value->text)) {
        context_.refuse(value->origin, join_path(path_, key),
                        "'" + value->text + "' is not a name (letters, digits and _, a letter first)");
        return "";
    }
    return value->text;
}

std::string Arguments::text(const std::string &key, bool is_required)
{
    const ValueNode *value = scalar(key, is_required);
    return value != nullptr ? value->text : "";
}

size_t Arguments::choice(const std::string &key, const std::vector<std::string> &names, bool is_required)
{
    const ValueNode *value = scalar(key, is_required);
    size_t index = 0;
    if (value != nullptr) {
        const std::string error = parse_choice(*value, names, {}, index);
        if (!error.empty())
            context_.refuse(value->origin, join_path(path_, key), error);
    }
    return index;
}

std::optional<Expression> Arguments::expression(const std::string &key)
{
    const ValueNode *value = node(key);
    if (value == nullptr)
        return std::nullopt;
    return read_expression(*value, join_path(path_, key), context_);
}

void Arguments::finish()
{
    for (const MapEntry &entry : node_.entries) {
        if (std::find(asked_.begin(), asked_.end(), entry.key) == asked_.end())
            context_.refuse(entry.origin, join_path(path_, entry.key),
                            "unknown key" + did_you_mean(entry.key, asked_));
    }
}

} // namespace iommu_sim
