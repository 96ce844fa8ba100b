// SPDX-License-Identifier: GPL-2.0
// Text in columns that are as wide as what stands in them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sluice
{

class Table
{
public:
    // '<' or '>' for each column: left or right; the last is never padded.
    explicit Table(std::string alignment) : alignment_(std::move(alignment)) {}
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    // Printed below the row added last, as it is.
    void add_line(std::string line) { rows_.push_back({std::move(line)}); }
    std::string text() const;

private:
    std::string alignment_;
    std::vector<std::vector<std::string>> rows_; // one cell: a line as it is
};

} // namespace sluice
