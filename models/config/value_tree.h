// SPDX-License-Identifier: Apache-2.0
//
// What was written in configuration files, before any key is known: maps, lists and scalars as
// text, each with its origin. Scalars are not interpreted here because YAML's own rules are not
// the project's (010 is eight to YAML 1.1, `no` is false); the schema decides by the key's type.
#ifndef IOM_MODELS_CONFIG_VALUE_TREE_H
#define IOM_MODELS_CONFIG_VALUE_TREE_H

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/config/diagnostic.h"

namespace iommu_sim
{

struct MapEntry;

struct ValueNode {
    enum class Kind { null, scalar, list, map };

    Kind kind = Kind::null;
    Origin origin;
    std::string text;              ///< scalar
    bool quoted = false;           ///< scalar: written in quotes or as a block, so certainly a string
    std::vector<ValueNode> items;  ///< list
    std::vector<MapEntry> entries; ///< map, in file order, keys unique

    /// Entry of a map, or null.
    MapEntry *find(std::string_view key);
    const MapEntry *find(std::string_view key) const;
};

struct MapEntry {
    std::string key;
    Origin origin; ///< of the key itself
    ValueNode value;
};

/// Lays `over` on `base`: maps merge key by key, everything else (lists too) replaces.
void merge_over(ValueNode &base, ValueNode over);

/// Parses one YAML document strictly. Mistakes (syntax, duplicate keys, tags, merge keys, a second
/// document, bytes that are not UTF-8 text) go to `diagnostics`. Returns nothing if there is no
/// usable document; a document with reported duplicates is returned without them.
std::optional<ValueNode> parse_yaml(const std::string &text, uint32_t source, DiagnosticList &diagnostics);

/// The value of a --set argument: plain text is one scalar as in YAML; text that starts with a
/// quote, '[' or '{' is parsed as YAML.
std::optional<ValueNode> parse_setting_value(const std::string &text, uint32_t source,
                                             DiagnosticList &diagnostics);

/// True if every byte belongs to a well-formed UTF-8 sequence; control characters are fine.
bool is_utf8(std::string_view text);

/// Position (from 1) of the first byte that is not part of well-formed, printable UTF-8, if any.
struct TextPosition {
    uint32_t line;
    uint32_t column;
};
std::optional<TextPosition> find_invalid_text(std::string_view text);

} // namespace iommu_sim

#endif
