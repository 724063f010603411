// SPDX-License-Identifier: Apache-2.0
// Tables for the terminal.
#pragma once

#include <string>
#include <vector>

namespace kiln {

/// Columns are as wide as their widest cell and separated by two blanks; the numbers in `right` name right-aligned columns.
/// Escape sequences for colour take no width.
class Table {
 public:
  Table(std::vector<std::string> header, std::vector<size_t> right) : right_(std::move(right)) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<size_t> right_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace kiln
