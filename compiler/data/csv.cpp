// SPDX-License-Identifier: Apache-2.0
#include "compiler/data/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "compiler/data/bad_data.h"

namespace kiln {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

/// Takes one field and the comma behind it off `line`; nothing when its quotes do not close.
std::optional<std::string> take_field(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  std::string field;
  if (line.empty() || line.front() != '"') {
    size_t end = std::min(line.find(','), line.size());
    field = trimmed(line.substr(0, end));
    line.remove_prefix(end);
    return field;
  }
  line.remove_prefix(1);
  for (;;) {
    size_t quote = line.find('"');
    if (quote == std::string_view::npos) return std::nullopt;
    field += line.substr(0, quote);
    line.remove_prefix(quote + 1);
    if (line.empty() || line.front() != '"') break;
    field += '"';  // a doubled quote stands for one
    line.remove_prefix(1);
  }
  line = trimmed(line);
  return line.empty() || line.front() == ',' ? std::optional(field) : std::nullopt;
}

}  // namespace

Result<std::vector<CsvRow>> parse_csv(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return bad_data("the file is no text.");
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte order mark
  std::vector<CsvRow> rows;
  for (size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = trimmed(line);
    if (line.empty()) continue;
    CsvRow row;
    for (;;) {
      std::optional<std::string> field = take_field(line);
      if (!field) return bad_data(fmt::format("line {}: the quotes do not close.", number));
      row.push_back(*std::move(field));
      if (line.empty()) break;
      line.remove_prefix(1);  // the comma
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<Tensor> numbers_of_csv(const std::vector<CsvRow>& rows) {
  auto is_number = [](const std::string& field) { return parse_number(field).has_value(); };
  size_t first = !rows.empty() && std::none_of(rows[0].begin(), rows[0].end(), is_number) ? 1 : 0;
  if (first >= rows.size()) return bad_data("the file has no numbers.");
  size_t columns = rows[first].size();
  std::vector<double> values;
  for (size_t r = first; r < rows.size(); ++r) {
    if (rows[r].size() != columns)
      return bad_data(fmt::format("row {} has {} columns, row {} has {}.", r + 1, rows[r].size(), first + 1, columns));
    for (const std::string& field : rows[r]) {
      std::optional<double> value = parse_number(field);
      if (!value)
        return bad_data(fmt::format("row {}: '{}' is no number.", r + 1, field), "a table of numbers is expected, one sample per row.");
      values.push_back(*value);
    }
  }
  Shape shape{static_cast<int64_t>(rows.size() - first), static_cast<int64_t>(columns)};
  if (Status s = check_shape(shape); !s) return bad_data(s.diagnostic().message);
  return Tensor::of<double>(std::move(shape), values);
}

}  // namespace kiln
