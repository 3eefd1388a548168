// SPDX-License-Identifier: Apache-2.0
//
// Walks of the schema that write: the YAML dump, JSON for result files, and the tables of
// docs/configuration.md (see schema.h).
#include "models/config/schema.h"

namespace iommu_sim
{
namespace
{

std::string comment_of(const KeySchema &key)
{
    std::vector<std::string> parts;
    for (const std::string &part : {key.unit, key.codec->range(), key.description}) {
        if (!part.empty())
            parts.push_back(part);
    }
    return "  # " + join(parts, "; ");
}

void dump(const SectionSchema &schema, const void *object, const std::string &indent,
          std::string first_indent, std::string &out)
{
    for (const KeySchema &key : schema.keys()) {
        if (!schema.applies(key, object))
            continue;
        void *member = key.member(const_cast<void *>(object));
        out += first_indent + key.name + ":";
        first_indent = indent;
        if (key.codec) {
            out += " " + key.codec->format(member) + comment_of(key) + "\n";
        } else if (!key.is_list) {
            out += "  # " + key.description + "\n";
            dump(*key.section, member, indent + "  ", indent + "  ", out);
        } else {
            const size_t size = key.list.size(member);
            out += (size == 0 ? " []" : "") + std::string("  # ") + key.description + "\n";
            for (size_t i = 0; i < size; i++)
                dump(*key.section, key.list.at(member, i), indent + "    ", indent + "  - ", out);
        }
    }
}

/// '|' separates columns in Markdown tables.
std::string cell(const std::string &text)
{
    std::string result;
    for (const char c : text)
        result += c == '|' ? std::string("\\|") : std::string(1, c);
    return result;
}

std::string code(const std::string &text)
{
    return text.empty() ? "" : "`" + cell(text) + "`";
}

std::string table_row(const KeySchema &key, const void *defaults)
{
    std::string description = key.description;
    if (!key.kinds.empty())
        description += " Only for " + join(key.kinds, ", ") + ".";
    const std::string value =
        key.is_required ? "required" : code(key.codec->format(key.const_member(defaults)));
    return "| `" + key.name + "` | " + key.codec->type() + " | " + cell(key.unit) + " | " +
           cell(key.codec->range()) + " | " + value + " | " + cell(description) + " |\n";
}

std::string table(const SectionSchema &schema, const void *defaults)
{
    std::string rows;
    for (const KeySchema &key : schema.keys()) {
        if (key.codec)
            rows += table_row(key, defaults);
    }
    if (rows.empty())
        return "";
    return "| key | type | unit | range | default | description |\n"
           "|---|---|---|---|---|---|\n" +
           rows + "\n";
}

void document(const SectionSchema &schema, const void *defaults, const std::string &path, std::string &out)
{
    out += table(schema, defaults);
    for (const KeySchema &key : schema.keys()) {
        if (!key.section)
            continue;
        const std::string heading = join_path(path, key.name) + (key.is_list ? "[]" : "");
        out += "## " + code(heading) + "\n\n" + key.description + "\n\n";
        if (key.is_list)
            document(*key.section, key.list.make_element().get(), heading, out);
        else
            document(*key.section, key.const_member(defaults), heading, out);
    }
}

} // namespace

std::string dump_section(const SectionSchema &schema, const void *object)
{
    std::string out;
    dump(schema, object, "", "", out);
    return out;
}

nlohmann::ordered_json section_json(const SectionSchema &schema, const void *object)
{
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    for (const KeySchema &key : schema.keys()) {
        if (!schema.applies(key, object))
            continue;
        void *member = key.member(const_cast<void *>(object));
        if (key.codec) {
            json[key.name] = key.codec->json(member);
        } else if (!key.is_list) {
            json[key.name] = section_json(*key.section, member);
        } else {
            nlohmann::ordered_json items = nlohmann::ordered_json::array();
            for (size_t i = 0; i < key.list.size(member); i++)
                items.push_back(section_json(*key.section, key.list.at(member, i)));
            json[key.name] = std::move(items);
        }
    }
    return json;
}

std::string document_section(const SectionSchema &schema, const void *defaults)
{
    std::string out;
    document(schema, defaults, "", out);
    return out;
}

} // namespace iommu_sim
