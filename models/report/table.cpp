// SPDX-License-Identifier: Apache-2.0
//
// Layout of text tables (see table.h).
#include "models/report/table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace iommu_sim
{
namespace
{

constexpr size_t gap = 2;

/// Code points: continuation bytes of UTF-8 take no room.
size_t width_of(const std::string &text)
{
    return static_cast<size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string with_separators(const std::string &digits)
{
    std::string result;
    for (size_t i = 0; i < digits.size(); i++) {
        if (i != 0 && (digits.size() - i) % 3 == 0)
            result += ',';
        result += digits[i];
    }
    return result;
}

} // namespace

std::string format_count(uint64_t value)
{
    return with_separators(std::to_string(value));
}

std::string format_fixed(double value, int decimals)
{
    if (!std::isfinite(value))
        return "-";
    std::array<char, 400> buffer{}; // the largest double has 309 digits
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::fabs(value),
                                      std::chars_format::fixed, decimals);
    const std::string text(buffer.data(), result.ptr);
    const size_t dot = std::min(text.find('.'), text.size());
    const bool zero = text.find_first_not_of("0.") == std::string::npos;
    return (value < 0 && !zero ? "-" : "") + with_separators(text.substr(0, dot)) + text.substr(dot);
}

std::string format_percent(uint64_t part, uint64_t whole)
{
    if (whole == 0)
        return "-";
    return format_fixed(100.0 * static_cast<double>(part) / static_cast<double>(whole), 1) + " %";
}

void TextTable::add_row(std::vector<std::string> cells)
{
    if (cells.size() > columns_.size())
        throw std::logic_error("a table row has more cells than the table has columns");
    cells.resize(columns_.size());
    rows_.push_back(std::move(cells));
}

void TextTable::add_rule()
{
    rows_.emplace_back();
}

std::vector<size_t> TextTable::widths() const
{
    std::vector<size_t> result;
    for (size_t i = 0; i < columns_.size(); i++) {
        size_t width = width_of(columns_[i].heading);
        for (const auto &row : rows_) {
            if (!row.empty())
                width = std::max(width, width_of(row[i]));
        }
        result.push_back(width);
    }
    return result;
}

std::string TextTable::line(const std::vector<std::string> &cells, const std::vector<size_t> &widths,
                            size_t indent) const
{
    std::string result(indent, ' ');
    for (size_t i = 0; i < cells.size(); i++) {
        const std::string padding(widths[i] - width_of(cells[i]), ' ');
        result += i == 0 ? "" : std::string(gap, ' ');
        result += columns_[i].align == Align::right ? padding + cells[i] : cells[i] + padding;
    }
    result.resize(result.find_last_not_of(' ') + 1); // npos + 1 = 0: an empty line
    return result + "\n";
}

std::string TextTable::text(size_t indent) const
{
    const std::vector<size_t> column_widths = widths();
    size_t total = 0;
    for (size_t i = 0; i < column_widths.size(); i++)
        total += column_widths[i] + (i == 0 ? 0 : gap);
    const std::string rule = std::string(indent, ' ') + std::string(total, '-') + "\n";

    std::string result;
    std::vector<std::string> headings;
    for (const Column &column : columns_)
        headings.push_back(column.heading);
    if (std::any_of(headings.begin(), headings.end(), [](const auto &h) { return !h.empty(); }))
        result += line(headings, column_widths, indent) + rule;
    for (const auto &row : rows_)
        result += row.empty() ? rule : line(row, column_widths, indent);
    return result;
}

} // namespace iommu_sim
