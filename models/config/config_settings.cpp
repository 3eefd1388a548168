// SPDX-License-Identifier: Apache-2.0
//
// Parsing of --set arguments and their way through the schema (see config_settings.h).
#include "models/config/config_settings.h"

#include <charconv>
#include <optional>
#include <vector>

#include "models/config/suggest.h"

namespace iommu_sim
{
namespace
{

/// One part of a key path: a name, with an index if it names an entry of a list.
struct PathPart {
    std::string name;
    std::optional<size_t> index;
};

/// "devices[0].generator.rate" in parts, or nothing if it is not a path.
std::optional<std::vector<PathPart>> split_path(const std::string &path)
{
    std::vector<PathPart> parts;
    size_t start = 0;
    while (start <= path.size()) {
        const size_t end = std::min(path.find('.', start), path.size());
        PathPart part{path.substr(start, end - start), std::nullopt};
        if (const size_t bracket = part.name.find('['); bracket != std::string::npos) {
            const char *first = part.name.data() + bracket + 1;
            const char *last = part.name.data() + part.name.size();
            size_t index = 0;
            const auto [stop, error] = std::from_chars(first, last, index);
            if (error != std::errc() || stop + 1 != last || *stop != ']')
                return std::nullopt;
            part.index = index;
            part.name.resize(bracket);
        }
        if (part.name.empty())
            return std::nullopt;
        parts.push_back(std::move(part));
        start = end + 1;
    }
    return parts;
}

/// Follows a path through schema and tree at once and makes the maps on its way.
class SettingWalk
{
  public:
    SettingWalk(uint32_t source, bool partial, DiagnosticList &diagnostics)
        : origin_{source, 0, 0}, partial_(partial), diagnostics_(diagnostics)
    {
    }

    void apply(const std::vector<PathPart> &parts, const SectionSchema &root_schema, ValueNode &root,
               ValueNode value)
    {
        const SectionSchema *schema = &root_schema;
        ValueNode *node = &root;
        std::string path;
        for (size_t i = 0; i < parts.size(); i++) {
            const PathPart &part = parts[i];
            const KeySchema *key = schema->find(part.name);
            if (key == nullptr)
                return complain("unknown key" +
                                did_you_mean(part.name, schema->names(), join_path(path, "")));
            path = join_path(path, part.name);
            const bool last = i + 1 == parts.size();
            if (!check_shape(*key, part, last, path))
                return;
            node = &child(*node, *key);
            if (part.index) {
                path += "[" + std::to_string(*part.index) + "]";
                node = entry(*node, *part.index, path);
                if (node == nullptr)
                    return;
            }
            if (last)
                return merge_over(*node, std::move(value));
            // What a file wrote here is not a map: its own message will say so.
            if (node->kind != ValueNode::Kind::map)
                return;
            schema = key->section.get();
        }
    }

  private:
    void complain(const std::string &message)
    {
        diagnostics_.add(origin_, "", message);
    }

    bool check_shape(const KeySchema &key, const PathPart &part, bool last, const std::string &path)
    {
        if (part.index && !key.is_list)
            complain(path + " is not a list");
        else if (!key.section && !last)
            complain(path + " is a single value, it has no keys below it");
        else if (key.is_list && !part.index && !last)
            complain(path + " is a list; name an entry, as in " + path + "[0]");
        else
            return true;
        return false;
    }

    ValueNode &child(ValueNode &map, const KeySchema &key)
    {
        if (MapEntry *existing = map.find(key.name); existing != nullptr)
            return existing->value;
        MapEntry made;
        made.key = key.name;
        made.origin = origin_;
        made.value.kind = key.is_list ? ValueNode::Kind::list : ValueNode::Kind::map;
        made.value.origin = origin_;
        map.entries.push_back(std::move(made));
        return map.entries.back().value;
    }

    ValueNode *entry(ValueNode &list, size_t index, const std::string &path)
    {
        // If a file wrote something else here, the walk over the tree reports that.
        if (list.kind != ValueNode::Kind::list)
            return nullptr;
        if (index < list.items.size())
            return &list.items[index];
        if (!partial_)
            complain("there is no " + path + "; the list has " + std::to_string(list.items.size()) +
                     " entries");
        return nullptr;
    }

    Origin origin_;
    bool partial_;
    DiagnosticList &diagnostics_;
};

} // namespace

void apply_setting(const std::string &argument, const SectionSchema &schema, bool partial, ValueNode &root,
                   SourceTable &sources, DiagnosticList &diagnostics)
{
    const size_t equals = argument.find('=');
    const std::string path = argument.substr(0, equals);
    const uint32_t source = sources.add_setting(argument, path);
    const auto parts = split_path(path);
    if (equals == std::string::npos || !parts) {
        diagnostics.add({source, 0, 0}, "", "expected KEY=VALUE, such as iotlb.entries=256");
        return;
    }
    std::optional<ValueNode> value = parse_setting_value(argument.substr(equals + 1), source, diagnostics);
    if (value)
        SettingWalk(source, partial, diagnostics).apply(*parts, schema, root, std::move(*value));
}

} // namespace iommu_sim
