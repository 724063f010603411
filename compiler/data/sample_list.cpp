// SPDX-License-Identifier: Apache-2.0
#include "compiler/data/sample_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "compiler/data/bad_data.h"
#include "compiler/data/csv.h"
#include "compiler/data/sample_file.h"
#include "compiler/support/files.h"

namespace kiln {
namespace fs = std::filesystem;
namespace {

/// The entries of a folder without hidden ones, by name.
Result<std::vector<fs::path>> entries_of(const fs::path& folder) {
  std::error_code ec;
  std::vector<fs::path> paths;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec))
    if (!it->path().filename().string().starts_with('.')) paths.push_back(it->path());
  if (ec) return error(DiagId::cannot_read, fmt::format("cannot read: {}.", ec.message())).in_file(folder.string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool is_folder(const fs::path& path) {
  std::error_code ec;
  return fs::is_directory(path, ec);
}

/// N of "input_N.pb" and the like.
std::optional<int> number_in(std::string_view name, std::string_view prefix, std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() <= prefix.size() + suffix.size()) return std::nullopt;
  name = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  int number = 0;
  auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), number);
  return code == std::errc{} && end == name.data() + name.size() ? std::optional(number) : std::nullopt;
}

std::map<int, fs::path> numbered(const std::vector<fs::path>& entries, std::string_view prefix, std::string_view suffix) {
  std::map<int, fs::path> found;
  for (const fs::path& entry : entries)
    if (std::optional<int> number = number_in(entry.filename().string(), prefix, suffix)) found.emplace(*number, entry);
  return found;
}

// ---- the layout of the ONNX backend tests

Result<SampleSource> backend_set(const fs::path& folder) {
  Result<std::vector<fs::path>> entries = entries_of(folder);
  if (!entries) return std::move(entries).diagnostic();
  SampleSource source;
  source.name = folder.filename().string();
  for (const auto& [number, path] : numbered(*entries, "input_", ".pb")) source.files.push_back(path);
  if (source.files.empty()) return bad_data("the folder has no input_0.pb.").in_file(folder.string());
  return source;
}

Result<SampleList> backend_sets(const std::vector<fs::path>& folders) {
  SampleList list;
  for (const fs::path& folder : folders) {
    Result<SampleSource> source = backend_set(folder);
    if (!source) return std::move(source).diagnostic();
    list.sources.push_back(*std::move(source));
  }
  return list;
}

// ---- lists

bool is_list(const fs::path& path, const std::vector<CsvRow>& rows) {
  return path.extension() == ".txt" || (rows.size() > 1 ? !parse_number(rows[1][0]) : !rows.empty() && !parse_number(rows[0][0]));
}

Result<SampleList> read_list(const fs::path& path, const std::vector<CsvRow>& rows) {
  SampleList list;
  std::error_code ec;
  for (size_t r = 0; r < rows.size(); ++r) {
    fs::path file = path.parent_path() / rows[r][0];
    if (r == 0 && !is_sample_file(file) && !fs::exists(file, ec)) continue;  // a heading
    if (rows[r].size() > 2) return bad_data(fmt::format("row {} has {} fields; 'path' or 'path,label' is expected.", r + 1, rows[r].size()));
    SampleSource source{{file}, fs::path(rows[r][0]).lexically_normal().string(), {}};
    if (rows[r].size() == 2) source.label = rows[r][1];
    if (!list.sources.empty() && list.sources.front().label.has_value() != source.label.has_value())
      return bad_data(
          fmt::format("row {} has {} label, those before it have {}.", r + 1, source.label ? "a" : "no", source.label ? "none" : "one"));
    list.sources.push_back(std::move(source));
  }
  if (list.sources.empty()) return bad_data("the list names no files.");
  return list;
}

// ---- folders

/// All data files below `folder`, by path.
Result<std::vector<fs::path>> files_below(const fs::path& folder) {
  Result<std::vector<fs::path>> entries = entries_of(folder);
  if (!entries) return std::move(entries).diagnostic();
  std::vector<fs::path> files;
  for (const fs::path& entry : *entries) {
    if (is_sample_file(entry) && !is_folder(entry)) files.push_back(entry);
    if (!is_folder(entry) || fs::is_symlink(entry)) continue;  // a link to a folder may lead around in circles
    Result<std::vector<fs::path>> below = files_below(entry);
    if (!below) return std::move(below).diagnostic();
    files.insert(files.end(), below->begin(), below->end());
  }
  return files;
}

Result<SampleList> class_folders(const fs::path& root, const std::vector<fs::path>& folders) {
  SampleList list;
  std::vector<std::vector<fs::path>> files;
  size_t most = 0;
  for (const fs::path& folder : folders) {
    Result<std::vector<fs::path>> below = files_below(folder);
    if (!below) return std::move(below).diagnostic();
    if (below->empty()) continue;
    most = std::max(most, below->size());
    list.class_folders.push_back(folder.filename().string());
    files.push_back(*std::move(below));
  }
  for (size_t i = 0; i < most; ++i)
    for (size_t c = 0; c < files.size(); ++c)
      if (i < files[c].size())
        list.sources.push_back({{files[c][i]}, files[c][i].lexically_relative(root).string(), list.class_folders[c]});
  return list;
}

bool is_labels_file(const fs::path& path) {
  std::string name = path.filename().string();
  return name == "labels.npy" || name == "labels.csv" || name == "labels.txt";
}

/// A file called as each input, for models with several.
std::optional<SampleSource> files_by_input(const std::vector<fs::path>& entries, const std::vector<std::string>& inputs) {
  if (inputs.size() < 2) return std::nullopt;
  SampleSource source;
  for (const std::string& input : inputs) {
    auto file = std::find_if(entries.begin(), entries.end(), [&](const fs::path& e) { return is_sample_file(e) && e.stem() == input; });
    if (file == entries.end()) return std::nullopt;
    source.files.push_back(*file);
  }
  source.name = source.files.front().parent_path().filename().string();
  return source;
}

Result<SampleList> list_folder(const fs::path& folder, const std::vector<std::string>& inputs) {
  Result<std::vector<fs::path>> entries = entries_of(folder);
  if (!entries) return std::move(entries).diagnostic();
  if (!numbered(*entries, "input_", ".pb").empty()) return backend_sets({folder});
  if (std::map<int, fs::path> sets = numbered(*entries, "test_data_set_", ""); !sets.empty()) {
    std::vector<fs::path> folders;
    for (const auto& [number, path] : sets) folders.push_back(path);
    return backend_sets(folders);
  }
  SampleList list;
  std::vector<fs::path> files, folders;
  for (const fs::path& entry : *entries) {
    if (is_folder(entry))
      folders.push_back(entry);
    else if (is_labels_file(entry))
      list.labels = entry;
    else if (is_sample_file(entry))
      files.push_back(entry);
  }
  if (std::optional<SampleSource> source = files_by_input(files, inputs)) {
    list.sources.push_back(*std::move(source));
    list.by_input = true;
    return list;
  }
  if (files.empty()) {
    Result<SampleList> classes = class_folders(folder, folders);
    if (classes) classes->labels = list.labels;
    return classes;
  }
  for (const fs::path& file : files) list.sources.push_back({{file}, file.filename().string(), {}});
  return list;
}

Result<SampleList> list_file(const fs::path& path) {
  std::string extension = path.extension().string();
  if (extension == ".txt" || extension == ".csv") {
    Result<std::string> text = read_file(path);
    if (!text) return std::move(text).diagnostic();
    Result<std::vector<CsvRow>> rows = parse_csv(*text);
    if (!rows) return std::move(rows).diagnostic().in_file(path.string());
    if (is_list(path, *rows)) {
      Result<SampleList> list = read_list(path, *rows);
      if (!list) return std::move(list).diagnostic().in_file(path.string());
      return list;
    }
  }
  SampleList list;
  list.sources.push_back({{path}, path.filename().string(), {}});
  return list;
}

}  // namespace

Result<SampleList> list_samples(const fs::path& path, const std::vector<std::string>& inputs) {
  std::error_code ec;
  if (!fs::exists(path, ec))
    return error(DiagId::cannot_read, "there is no such file or folder.", "check the path.").in_file(path.string());
  Result<SampleList> list = is_folder(path) ? list_folder(path, inputs) : list_file(path);
  if (list && list->sources.empty())
    return bad_data("the folder has no data files.", "known types are .npy, .npz, .pb, .csv, .png, .jpg and .wav.").in_file(path.string());
  return list;
}

}  // namespace kiln
