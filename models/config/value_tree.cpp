// SPDX-License-Identifier: Apache-2.0
//
// Operations on the tree of written values, and the check that a text is UTF-8 (RFC 3629) without
// control characters (YAML 1.2.2 section 5.1 allows tab, line feed and carriage return only).
#include "models/config/value_tree.h"

#include <utility>

namespace iommu_sim
{

const MapEntry *ValueNode::find(std::string_view key) const
{
    for (const MapEntry &entry : entries) {
        if (entry.key == key)
            return &entry;
    }
    return nullptr;
}

MapEntry *ValueNode::find(std::string_view key)
{
    return const_cast<MapEntry *>(std::as_const(*this).find(key));
}

void merge_over(ValueNode &base, ValueNode over)
{
    if (base.kind != ValueNode::Kind::map || over.kind != ValueNode::Kind::map) {
        base = std::move(over);
        return;
    }
    base.origin = over.origin;
    for (MapEntry &entry : over.entries) {
        MapEntry *existing = base.find(entry.key);
        if (existing == nullptr) {
            base.entries.push_back(std::move(entry));
        } else {
            existing->origin = entry.origin;
            merge_over(existing->value, std::move(entry.value));
        }
    }
}

namespace
{

/// Length of the well-formed UTF-8 sequence at the start of `text`, 0 if it is malformed.
size_t utf8_length(std::string_view text)
{
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80)
        return 1;
    size_t length = 0;
    uint32_t value = 0;
    uint32_t smallest = 0;
    if ((lead & 0xe0) == 0xc0) {
        length = 2, value = lead & 0x1fu, smallest = 0x80;
    } else if ((lead & 0xf0) == 0xe0) {
        length = 3, value = lead & 0x0fu, smallest = 0x800;
    } else if ((lead & 0xf8) == 0xf0) {
        length = 4, value = lead & 0x07u, smallest = 0x10000;
    } else {
        return 0;
    }
    if (text.size() < length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (byte(i) & 0x3fu);
    }
    const bool surrogate = value >= 0xd800 && value <= 0xdfff;
    return value < smallest || value > 0x10ffff || surrogate ? 0 : length;
}

} // namespace

bool is_utf8(std::string_view text)
{
    while (!text.empty()) {
        const size_t length = utf8_length(text);
        if (length == 0)
            return false;
        text.remove_prefix(length);
    }
    return true;
}

std::optional<TextPosition> find_invalid_text(std::string_view text)
{
    TextPosition position{1, 1};
    while (!text.empty()) {
        const size_t length = utf8_length(text);
        const auto lead = static_cast<unsigned char>(text[0]);
        const bool control = (lead < 0x20 && lead != '\t' && lead != '\n' && lead != '\r') || lead == 0x7f;
        if (length == 0 || control)
            return position;
        if (lead == '\n') {
            position.line++;
            position.column = 1;
        } else {
            position.column++;
        }
        text.remove_prefix(length);
    }
    return std::nullopt;
}

} // namespace iommu_sim
