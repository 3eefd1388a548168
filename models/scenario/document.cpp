// SPDX-License-Identifier: Apache-2.0
//
// Generated parts of docs/scenarios.md. See document.h.
#include "models/scenario/document.h"

#include "models/config/scalar_codec.h"
#include "models/scenario/figures.h"
#include "models/scenario/step_operations.h"

namespace iommu_sim
{

namespace
{

std::string cell(const std::string &text)
{
    std::string result;
    for (const char c : text)
        result += c == '|' ? "\\|" : std::string(1, c == '\n' ? ' ' : c);
    while (!result.empty() && result.back() == ' ')
        result.pop_back();
    return result;
}

std::string tail(const std::string &text)
{
    return text.substr(text.find_last_of('.') + 1);
}

} // namespace

std::string scenario_table(const std::vector<ScenarioFile> &files)
{
    std::string text =
        "## All scenarios\n\n| id | question | answer | variants | source |\n|---|---|---|---|---|\n";
    for (const ScenarioFile &file : files) {
        std::string variants;
        for (const std::string &variant : file.variants())
            variants += (variants.empty() ? "`" : ", `") + variant + "`";
        text += "| " + file.id() + " | " + cell(file.question()) + " | " + cell(file.answer()) + " | " +
                variants + " | " + cell(file.source()) + " |\n";
    }
    text += "\n## Operations\n\n" + operations_document();
    text += "\n## Figures\n\n| figure | unit | meaning |\n|---|---|---|\n";
    for (const auto &row : figure_documentation())
        text += "| `" + row[0] + "` | " + row[1] + " | " + row[2] + " |\n";
    return text;
}

std::string figure_value(const std::string &figure, int64_t value)
{
    if (figure_unit(figure) == "address" && value >= 0)
        return format_unsigned(static_cast<uint64_t>(value), NumberStyle::hex);
    return std::to_string(value);
}

std::string figure_unit(const std::string &figure)
{
    const auto find = [](const std::vector<std::array<std::string, 3>> &list, const std::string &name) {
        for (const auto &row : list) {
            if (row[0] == name)
                return row[1];
        }
        return std::string();
    };
    if (figure.compare(0, 4, "dma.") == 0)
        return find(dma_figures, tail(figure));
    if (figure.compare(0, 5, "call.") == 0)
        return find(call_figures, tail(figure));
    if (figure.compare(0, 5, "lock.") == 0)
        return find(lock_figures, tail(figure));
    if (figure.compare(0, 8, "entries.") == 0)
        return "entries";
    return figure.compare(0, 5, "mark.") == 0 ? "cycle" : find(fixed_figures, figure);
}

} // namespace iommu_sim
