// SPDX-License-Identifier: Apache-2.0
#include "compiler/data/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "compiler/data/bad_data.h"
#include "compiler/data/csv.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/support/files.h"

namespace kiln {
namespace fs = std::filesystem;
namespace {

Result<Labels> labels_of_tensor(const Tensor& tensor) {
  if (tensor.type.shape.empty() || tensor.type.elements() == 0) return bad_data(fmt::format("{} holds no labels.", to_string(tensor.type)));
  Labels labels;
  labels.per_sample = static_cast<size_t>(tensor.type.elements() / tensor.type.shape.front());
  labels.values = tensor.to_doubles();
  return labels;
}

/// "a/b.png", "b.png" and "b" name sample "a/b.png" where that is the only one they fit.
class NameIndex {
 public:
  explicit NameIndex(const std::vector<std::string>& names) {
    for (size_t i = 0; i < names.size(); ++i) {
      fs::path path(names[i]);
      std::set<std::string> forms{names[i], path.filename().string(), path.stem().string()};
      for (const std::string& form : forms) {
        auto [place, is_new] = places_.emplace(form, i);
        if (!is_new && form != names[i]) place->second = kSeveral;
      }
    }
    for (size_t i = 0; i < names.size(); ++i) places_[names[i]] = i;  // the full name is always its own
  }
  [[nodiscard]] std::optional<size_t> find(const std::string& name) const {
    auto place = places_.find(fs::path(name).lexically_normal().string());
    if (place == places_.end() || place->second == kSeveral) return std::nullopt;
    return place->second;
  }

 private:
  static constexpr size_t kSeveral = static_cast<size_t>(-1);
  std::map<std::string, size_t> places_;
};

/// Rows of a name and a label, put in the order of `names`.
Result<std::vector<std::string>> words_by_name(const std::vector<CsvRow>& rows, const std::vector<std::string>& names) {
  NameIndex index(names);
  std::vector<std::optional<std::string>> found(names.size());
  for (size_t r = 0; r < rows.size(); ++r) {
    std::optional<size_t> place = index.find(rows[r][0]);
    if (!place && r == 0) continue;  // a heading
    if (!place) return bad_data(fmt::format("row {}: there is no sample '{}', or several are called so.", r + 1, rows[r][0]));
    found[*place] = rows[r][1];
  }
  std::vector<std::string> words;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i]) return bad_data(fmt::format("sample '{}' has no label.", names[i]));
    words.push_back(*std::move(found[i]));
  }
  return words;
}

bool all_of_size(const std::vector<CsvRow>& rows, size_t size) {
  return std::all_of(rows.begin(), rows.end(), [&](const CsvRow& row) { return row.size() == size; });
}

Result<Labels> labels_of_csv(std::string_view text, const std::vector<std::string>& names) {
  Result<std::vector<CsvRow>> rows = parse_csv(text);
  if (!rows) return std::move(rows).diagnostic();
  if (rows->empty()) return bad_data("the file holds no labels.");
  if (all_of_size(*rows, 2) && !parse_number(rows->back()[0])) {
    Result<std::vector<std::string>> words = words_by_name(*rows, names);
    if (!words) return std::move(words).diagnostic();
    return labels_of_words(*words);
  }
  if (all_of_size(*rows, 1)) {
    std::vector<std::string> words;
    for (const CsvRow& row : *rows) words.push_back(row[0]);
    // One line too many, of which only the first is no number: a heading. Class names have none when the count fits.
    if (words.size() == names.size() + 1) words.erase(words.begin());
    return labels_of_words(words);
  }
  Result<Tensor> numbers = numbers_of_csv(*rows);
  if (!numbers) return std::move(numbers).diagnostic();
  return labels_of_tensor(*numbers);
}

Result<Labels> load(const fs::path& path, const std::vector<std::string>& names) {
  std::string extension = path.extension().string();
  if (extension == ".csv" || extension == ".txt") {
    Result<std::string> text = read_file(path);
    if (!text) return std::move(text).diagnostic();
    return labels_of_csv(*text, names);
  }
  Result<Tensor> tensor = load_tensor(path);
  if (!tensor) return std::move(tensor).diagnostic();
  return labels_of_tensor(*tensor);
}

}  // namespace

Labels labels_of_words(const std::vector<std::string>& words) {
  Labels labels;
  labels.per_sample = 1;
  for (const std::string& word : words) {
    std::optional<double> value = parse_number(word);
    if (!value) break;
    labels.values.push_back(*value);
  }
  if (labels.values.size() == words.size()) return labels;
  std::set<std::string> classes(words.begin(), words.end());
  labels.class_names.assign(classes.begin(), classes.end());
  labels.values.clear();
  for (const std::string& word : words) labels.values.push_back(static_cast<double>(std::distance(classes.begin(), classes.find(word))));
  return labels;
}

Result<Labels> load_labels(const fs::path& path, const std::vector<std::string>& names) {
  Result<Labels> labels = load(path, names);
  if (!labels) return std::move(labels).diagnostic().in_file(path.string());
  if (labels->count() != names.size())
    return bad_data(fmt::format("there are {} labels for {} samples.", labels->count(), names.size()),
               "the labels must be those of the whole data, before --skip and --limit.")
        .in_file(path.string());
  return labels;
}

}  // namespace kiln
