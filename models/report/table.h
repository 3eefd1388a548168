// SPDX-License-Identifier: Apache-2.0
//
// Aligned text tables and number formats of the text report, independent of any locale.
#ifndef IOM_MODELS_REPORT_TABLE_H
#define IOM_MODELS_REPORT_TABLE_H

#include <cstdint>
#include <string>
#include <vector>

namespace iommu_sim
{

/// "1234567" as "1,234,567".
std::string format_count(uint64_t value);

/// Fixed number of decimals with thousands separators: format_fixed(1234.5, 2) is "1,234.50". Halves
/// round as the C library's printf does. "-" if the value is infinite or undefined.
std::string format_fixed(double value, int decimals);

/// part / whole in per cent with one decimal, "-" if whole is 0.
std::string format_percent(uint64_t part, uint64_t whole);

class TextTable
{
  public:
    enum class Align { left, right };
    struct Column {
        std::string heading;
        Align align = Align::left;
    };

    explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns))
    {
    }

    /// Missing cells are empty; more cells than columns throw std::logic_error.
    void add_row(std::vector<std::string> cells);
    /// A line across the table before the next row.
    void add_rule();

    /// Headings (left out if all are empty), a rule, the rows; every line ends in a newline and none in
    /// spaces. `indent` spaces go before each line. Widths count code points, not bytes.
    std::string text(size_t indent = 0) const;

  private:
    std::vector<size_t> widths() const;
    std::string line(const std::vector<std::string> &cells, const std::vector<size_t> &widths,
                     size_t indent) const;

    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_; ///< an empty row is a rule
};

} // namespace iommu_sim

#endif
