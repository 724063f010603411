// SPDX-License-Identifier: Apache-2.0
#include "compiler/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "compiler/data/bad_data.h"

namespace kiln {
namespace {

constexpr const char* kLabelsMember = "labels";

std::string names_of(const std::vector<StoredArray>& arrays) {
  std::string text;
  for (const StoredArray& a : arrays) text += fmt::format("{}'{}'", text.empty() ? "" : ", ", a.name);
  return text;
}

/// The arrays of one source in the order of the inputs: by name where all inputs have one called so, else as they stand when there are as
/// many.
Result<std::vector<StoredArray>> in_order(std::vector<StoredArray> arrays, const std::vector<ModelInput>& inputs) {
  std::vector<StoredArray> ordered;
  for (const ModelInput& input : inputs) {
    auto array = std::find_if(arrays.begin(), arrays.end(), [&](const StoredArray& a) { return a.name == input.name; });
    if (array == arrays.end()) break;
    ordered.push_back(*array);
  }
  if (ordered.size() == inputs.size()) return ordered;
  if (arrays.size() == inputs.size()) return arrays;
  std::string wanted;
  for (const ModelInput& input : inputs) wanted += fmt::format("{}'{}'", wanted.empty() ? "" : ", ", input.name);
  return bad_data(
      fmt::format("the data has {} arrays ({}), the model has {} inputs: {}.", arrays.size(), names_of(arrays), inputs.size(), wanted),
      "call the arrays as the inputs.");
}

}  // namespace

Result<Dataset> Dataset::open(DataOptions options, std::vector<ModelInput> inputs) {
  KILN_CHECK(!inputs.empty(), "data for a model without inputs");
  for (double number : options.preparation.std)
    if (number == 0) return error(DiagId::bad_usage, "--std 0: numbers cannot be divided by it.");
  Dataset data(std::move(options), std::move(inputs));
  std::vector<std::string> names;
  for (const ModelInput& input : data.inputs_) names.push_back(input.name);
  Result<SampleList> list = list_samples(data.options_.path, names);
  if (!list) return std::move(list).diagnostic();
  data.list_ = *std::move(list);
  if (Status s = data.add_entries(); !s) return std::move(s).diagnostic();
  if (Status s = data.find_labels(); !s) return std::move(s).diagnostic();
  const size_t all = data.entries_.size();
  data.choose();
  if (data.entries_.empty())
    return bad_data(fmt::format("the data has {} samples, --skip {} leaves none.", all, data.options_.skip)).in_file(data.options_.path.string());
  return data;
}

Status Dataset::add_entries() {
  for (size_t source = 0; source < list_.sources.size(); ++source) {
    Result<size_t> count = count_samples(source);
    if (!count) return std::move(count).diagnostic();
    for (size_t i = 0; i < *count; ++i) entries_.push_back({source, i});
  }
  if (entries_.empty()) return bad_data("the data has no samples.").in_file(options_.path.string());
  return Done{};
}

Result<size_t> Dataset::count_samples(size_t source) {
  const SampleSource& from = list_.sources[source];
  if (std::none_of(from.files.begin(), from.files.end(), may_hold_many)) return size_t{1};  // read when its turn comes
  if (Status s = read(source); !s) return std::move(s).diagnostic();
  std::optional<int64_t> samples;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const std::string& file = from.files[std::min(i, from.files.size() - 1)].string();
    Result<int64_t> count = kiln::count_samples(arrays_[i], options_.preparation, inputs_[i]);
    if (!count) return std::move(count).diagnostic().in_file(file);
    if (samples && *samples != *count)
      return bad_data(fmt::format("there are {} samples for input '{}' and {} for '{}'.", *samples, inputs_[0].name, *count, inputs_[i].name))
          .in_file(file);
    samples = *count;
  }
  return static_cast<size_t>(*samples);
}

Status Dataset::read(size_t source) {
  if (read_ == source) return Done{};
  read_.reset();
  const SampleSource& from = list_.sources[source];
  std::vector<StoredArray> arrays;
  for (const std::filesystem::path& file : from.files) {
    Result<std::vector<StoredArray>> stored = read_sample_file(file);
    if (!stored) return std::move(stored).diagnostic();
    for (StoredArray& array : *stored) {
      int64_t wanted = options_.sample_rate ? options_.sample_rate : sample_rate_;
      if (array.sample_rate && wanted && array.sample_rate != wanted)
        return bad_data(fmt::format("the sound has {} Hz, {} has {} Hz.", array.sample_rate,
                               options_.sample_rate ? "--sample-rate" : "the file before", wanted),
                   "convert the files to the rate that the model was trained with.")
            .in_file(file.string());
      if (array.sample_rate) sample_rate_ = array.sample_rate;
      arrays.push_back(std::move(array));
    }
  }
  auto labels = std::find_if(arrays.begin(), arrays.end(), [](const StoredArray& a) { return a.name == kLabelsMember; });
  if (labels != arrays.end() && arrays.size() == inputs_.size() + 1) {
    if (npz_labels_.size() == source) npz_labels_.push_back(labels->values);
    arrays.erase(labels);
  }
  if (list_.by_input) {
    arrays_ = std::move(arrays);
  } else {
    Result<std::vector<StoredArray>> ordered = in_order(std::move(arrays), inputs_);
    if (!ordered) return std::move(ordered).diagnostic().in_file(from.files.front().string());
    arrays_ = *std::move(ordered);
  }
  read_ = source;
  warn_of_codes(from.files.front().string());
  return Done{};
}

void Dataset::warn_of_codes(const std::string& file) {
  if (options_.preparation.changes_values() || !warnings_.empty()) return;
  for (size_t i = 0; i < std::min(arrays_.size(), inputs_.size()); ++i)
    if (arrays_[i].values.type.dtype == DType::i8 && is_float(inputs_[i].type.dtype))
      return warnings_.push_back({DiagId::bad_input_data, Severity::warning,
                                  fmt::format("input '{}' is {}, the data is i8; it is taken as the numbers from -128 to 127.", inputs_[i].name,
                                              to_string(inputs_[i].type)),
                                  "if it is quantized, --mean ZERO_POINT --scale SCALE makes real numbers of it.",
                                  {},
                                  file});
}

Status Dataset::find_labels() {
  std::vector<std::string> names, words;
  for (size_t i = 0; i < entries_.size(); ++i) names.push_back(name(i));
  std::filesystem::path file = options_.labels.empty() ? list_.labels : options_.labels;
  if (!file.empty()) {
    Result<Labels> labels = load_labels(file, names);
    if (!labels) return std::move(labels).diagnostic();
    labels_ = *std::move(labels);
    return Done{};
  }
  if (!npz_labels_.empty() && npz_labels_.size() == list_.sources.size()) return labels_of_archives();
  if (!list_.sources.front().label) return Done{};
  for (const Entry& entry : entries_) words.push_back(*list_.sources[entry.source].label);
  if (list_.class_folders.empty()) {
    labels_ = labels_of_words(words);
    return Done{};
  }
  // Folders called "0", "1", ... are class names all the same: their order is that of their names.
  labels_.per_sample = 1;
  labels_.class_names = list_.class_folders;
  for (const std::string& word : words) {
    auto place = std::find(list_.class_folders.begin(), list_.class_folders.end(), word);
    labels_.values.push_back(static_cast<double>(place - list_.class_folders.begin()));
  }
  return Done{};
}

Status Dataset::labels_of_archives() {
  for (const Tensor& part : npz_labels_) {
    std::vector<double> values = part.to_doubles();
    labels_.values.insert(labels_.values.end(), values.begin(), values.end());
  }
  if (labels_.values.size() % entries_.size() != 0)
    return bad_data(fmt::format("there are {} numbers in 'labels' for {} samples.", labels_.values.size(), entries_.size()))
        .in_file(options_.path.string());
  labels_.per_sample = labels_.values.size() / entries_.size();
  return Done{};
}

void Dataset::choose() {
  size_t first = std::min(options_.skip, entries_.size());
  size_t last = options_.limit ? std::min(entries_.size(), first + options_.limit) : entries_.size();
  auto keep = [&](auto& list, size_t each) {
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(last * each), list.end());
    list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(first * each));
  };
  keep(entries_, 1);
  if (labels_.per_sample) keep(labels_.values, labels_.per_sample);
}

std::string Dataset::name(size_t sample) const {
  const Entry& entry = entries_[sample];
  const std::string& source = list_.sources[entry.source].name;
  bool many = (sample > 0 && entries_[sample - 1].source == entry.source) || entry.index > 0 ||
              (sample + 1 < entries_.size() && entries_[sample + 1].source == entry.source);
  return many ? fmt::format("{}[{}]", source, entry.index) : source;
}

Result<std::vector<Tensor>> Dataset::load(size_t sample) {
  const Entry& entry = entries_[sample];
  if (Status s = read(entry.source); !s) return std::move(s).diagnostic();
  const SampleSource& from = list_.sources[entry.source];
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    Result<Tensor> tensor = make_sample(arrays_[i], static_cast<int64_t>(entry.index), options_.preparation, inputs_[i]);
    if (!tensor) return std::move(tensor).diagnostic().in_file(from.files[std::min(i, from.files.size() - 1)].string());
    tensors.push_back(*std::move(tensor));
  }
  return tensors;
}

std::optional<int64_t> Dataset::label(size_t sample) const {
  if (labels_.per_sample != 1) return std::nullopt;
  double value = labels_.values[sample];
  if (!(value >= 0) || value != std::floor(value) || value > static_cast<double>(limits::kElements)) return std::nullopt;
  return static_cast<int64_t>(value);
}

std::span<const double> Dataset::target(size_t sample) const {
  return std::span(labels_.values).subspan(sample * labels_.per_sample, labels_.per_sample);
}

}  // namespace kiln
