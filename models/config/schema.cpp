// SPDX-License-Identifier: Apache-2.0
//
// Walks of the schema that read: from a tree of written values into structs, and the checks that
// compare finished values (see schema.h). Writing walks are in schema_output.cpp.
#include "models/config/schema.h"

#include <algorithm>
#include <stdexcept>

#include "models/config/suggest.h"

namespace iommu_sim
{

const KeySchema *SectionSchema::find(const std::string &name) const
{
    for (const KeySchema &key : keys_) {
        if (key.name == name)
            return &key;
    }
    return nullptr;
}

const KeySchema *SectionSchema::discriminator() const
{
    for (const KeySchema &key : keys_) {
        if (key.is_discriminator)
            return &key;
    }
    return nullptr;
}

bool SectionSchema::applies(const KeySchema &key, const void *object) const
{
    if (key.kinds.empty())
        return true;
    const KeySchema *kind = discriminator();
    if (kind == nullptr)
        throw std::logic_error(key.name + " names kinds, but its section has no discriminator");
    const std::string value = kind->codec->format(kind->const_member(object));
    return std::find(key.kinds.begin(), key.kinds.end(), value) != key.kinds.end();
}

std::vector<std::string> SectionSchema::names() const
{
    std::vector<std::string> result;
    for (const KeySchema &key : keys_)
        result.push_back(key.name);
    return result;
}

KeySchema &SectionSchema::add(KeySchema key)
{
    if (find(key.name) != nullptr)
        throw std::logic_error("key declared twice: " + key.name);
    keys_.push_back(std::move(key));
    return keys_.back();
}

std::string join_path(const std::string &parent, const std::string &name)
{
    return parent.empty() ? name : parent + "." + name;
}

namespace
{

std::string element_path(const std::string &list, size_t index)
{
    return list + "[" + std::to_string(index) + "]";
}

/// One read of a tree: what the recursive functions share.
class Reader
{
  public:
    Reader(bool partial, GivenKeys &given, DiagnosticList &diagnostics)
        : partial_(partial), given_(given), diagnostics_(diagnostics)
    {
    }

    void section(const SectionSchema &schema, void *object, const ValueNode &map, const std::string &path)
    {
        // The kind decides which other keys exist, so it is read before them.
        const KeySchema *kind = schema.discriminator();
        if (kind != nullptr) {
            if (const MapEntry *entry = map.find(kind->name); entry != nullptr)
                known_key(schema, *kind, object, *entry, path);
        }
        for (const MapEntry &entry : map.entries) {
            const KeySchema *key = schema.find(entry.key);
            if (key == nullptr)
                unknown_key(schema, object, entry, path);
            else if (key != kind)
                known_key(schema, *key, object, entry, path);
        }
        for (const KeySchema &key : schema.keys()) {
            if (key.is_required && map.find(key.name) == nullptr && !partial_)
                refuse(map.origin, join_path(path, key.name), "missing; every entry of this list needs it");
        }
    }

  private:
    void refuse(Origin origin, const std::string &path, const std::string &message)
    {
        diagnostics_.add(origin, path, message);
        given_.broken.insert(path);
    }

    void unknown_key(const SectionSchema &schema, const void *object, const MapEntry &entry,
                     const std::string &path)
    {
        std::vector<std::string> candidates;
        for (const KeySchema &key : schema.keys()) {
            if (schema.applies(key, object))
                candidates.push_back(key.name);
        }
        // A setting's message shows no path of its own, so the suggestion carries it.
        const bool setting = diagnostics_.sources().is_setting(entry.origin.source);
        const std::string prefix = setting ? join_path(path, "") : "";
        diagnostics_.add(entry.origin, join_path(path, entry.key),
                         "unknown key" + did_you_mean(entry.key, candidates, prefix));
    }

    void known_key(const SectionSchema &schema, const KeySchema &key, void *object, const MapEntry &entry,
                   const std::string &parent)
    {
        const std::string path = join_path(parent, key.name);
        given_.values[path] = entry.value.origin;
        if (!schema.applies(key, object)) {
            const KeySchema *kind = schema.discriminator();
            // If the kind itself was refused, nobody knows which keys it would have had.
            if (given_.broken.count(join_path(parent, kind->name)) == 0)
                refuse(entry.origin, path,
                       "not a key of " + kind->name + " " + kind->codec->format(kind->const_member(object)) +
                           ", only of " + join(key.kinds, ", "));
            return;
        }
        if (entry.value.kind == ValueNode::Kind::null)
            refuse(entry.value.origin, path, "no value; remove the key to use the default");
        else if (key.is_list)
            list(key, object, entry.value, path);
        else if (key.section)
            nested(key, object, entry.value, path);
        else
            scalar(key, object, entry.value, path);
    }

    void scalar(const KeySchema &key, void *object, const ValueNode &value, const std::string &path)
    {
        if (value.kind != ValueNode::Kind::scalar) {
            const std::string found = value.kind == ValueNode::Kind::map ? "keys" : "a list";
            refuse(value.origin, path, "expected one value (" + key.codec->type() + "), found " + found);
            return;
        }
        const std::string error = key.codec->parse(value, key.member(object));
        if (!error.empty())
            refuse(value.origin, path, error);
    }

    void nested(const KeySchema &key, void *object, const ValueNode &value, const std::string &path)
    {
        if (value.kind != ValueNode::Kind::map) {
            const std::string found = value.kind == ValueNode::Kind::list ? "a list" : "one value";
            refuse(value.origin, path, "expected keys below it, found " + found);
            return;
        }
        section(*key.section, key.member(object), value, path);
    }

    void list(const KeySchema &key, void *object, const ValueNode &value, const std::string &path)
    {
        if (value.kind != ValueNode::Kind::list) {
            refuse(value.origin, path, "expected a list (entries that begin with -)");
            return;
        }
        if (value.items.size() > key.list.maximum) {
            refuse(value.origin, path,
                   "has " + std::to_string(value.items.size()) + " entries, at most " +
                       std::to_string(key.list.maximum) + " are possible");
            return;
        }
        for (size_t i = 0; i < value.items.size(); i++) {
            const std::string item_path = element_path(path, i);
            const ValueNode &item = value.items[i];
            given_.values[item_path] = item.origin;
            // Append even a refused element: later ones keep their index in messages and checks.
            void *element = key.list.append(key.member(object));
            if (item.kind == ValueNode::Kind::map)
                section(*key.section, element, item, item_path);
            else
                refuse(item.origin, item_path, "expected keys, found one value, a list or nothing");
        }
    }

    bool partial_;
    GivenKeys &given_;
    DiagnosticList &diagnostics_;
};

/// "a.b[3].c" -> "a.b[3]" -> "a.b" -> "a" -> "".
std::string parent_path(const std::string &path)
{
    const size_t end = path.find_last_of(".[");
    return end == std::string::npos ? "" : path.substr(0, end);
}

bool is_broken(const GivenKeys &given, const std::string &key_path)
{
    for (std::string path = key_path; !path.empty(); path = parent_path(path)) {
        if (given.broken.count(path) != 0)
            return true;
    }
    return false;
}

} // namespace

void CheckReport::conflict(const std::vector<std::string> &keys, const std::string &message)
{
    const SourceTable &sources = diagnostics_.sources();
    std::string chosen;
    uint32_t chosen_precedence = 0;
    for (const std::string &name : keys) {
        const std::string path = join_path(path_, name);
        if (is_broken(given_, path))
            return;
        const auto found = given_.values.find(path);
        if (found == given_.values.end())
            continue;
        const uint32_t precedence = sources.precedence(found->second.source);
        if (chosen.empty() || precedence > chosen_precedence) {
            chosen = path;
            chosen_precedence = precedence;
        }
    }
    if (chosen.empty())
        chosen = join_path(path_, keys.front());
    std::string place = chosen;
    while (!place.empty() && given_.values.count(place) == 0)
        place = parent_path(place);
    diagnostics_.add(given_.values.at(place), chosen, message);
}

void read_section(const SectionSchema &schema, void *object, const ValueNode &map, const std::string &path,
                  bool partial, GivenKeys &given, DiagnosticList &diagnostics)
{
    given.values[path] = map.origin;
    Reader(partial, given, diagnostics).section(schema, object, map, path);
}

void check_section(const SectionSchema &schema, const void *object, const std::string &path,
                   const GivenKeys &given, DiagnosticList &diagnostics)
{
    for (const SectionSchema::Check &check : schema.checks()) {
        CheckReport report(given, diagnostics, path);
        check(object, report);
    }
    for (const KeySchema &key : schema.keys()) {
        if (!key.section || !schema.applies(key, object))
            continue;
        const std::string key_path = join_path(path, key.name);
        void *member = key.member(const_cast<void *>(object));
        if (!key.is_list) {
            check_section(*key.section, member, key_path, given, diagnostics);
            continue;
        }
        for (size_t i = 0; i < key.list.size(member); i++)
            check_section(*key.section, key.list.at(member, i), element_path(key_path, i), given,
                          diagnostics);
    }
}

} // namespace iommu_sim
