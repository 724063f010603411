// SPDX-License-Identifier: Apache-2.0
#include "compiler/report/table.h"

#include <algorithm>

namespace kiln {
namespace {

/// Columns that `text` takes on a terminal: UTF-8 continuation bytes and escape sequences count nothing.
size_t display_width(const std::string& text) {
  size_t width = 0;
  bool escape = false;
  for (char ch : text) {
    if (ch == '\x1b')
      escape = true;
    else if (escape)
      escape = ch != 'm';
    else if ((static_cast<unsigned char>(ch) & 0xc0) != 0x80)
      ++width;
  }
  return width;
}

}  // namespace

std::string Table::text() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string blanks(widths[i] - display_width(row[i]), ' ');
      bool right = std::find(right_.begin(), right_.end(), i) != right_.end();
      line += (i ? "  " : "") + (right ? blanks + row[i] : row[i] + blanks);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace kiln
