// SPDX-License-Identifier: GPL-2.0
// Text in columns that are as wide as what stands in them.
#include "table.h"

#include <algorithm>

namespace sluice
{

std::string Table::text() const
{
    std::vector<size_t> width(alignment_.size(), 0);
    for (const auto& row : rows_)
        for (size_t i = 0; row.size() > 1 && i < row.size(); i++)
            width[i] = std::max(width[i], row[i].size());

    std::string out;
    for (const auto& row : rows_) {
        std::string line = row.size() == 1 ? row[0] : "";
        for (size_t i = 0; row.size() > 1 && i < row.size(); i++) {
            std::string padding(width[i] - row[i].size(), ' ');
            line += (i ? "  " : "") + (alignment_[i] == '>' ? padding + row[i] : row[i] + padding);
        }
        out += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
    }
    return out;
}

} // namespace sluice
