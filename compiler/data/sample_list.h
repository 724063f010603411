// SPDX-License-Identifier: Apache-2.0
// Which files make up a data set, in which order.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

/// What one sample, or a file of several, comes from.
struct SampleSource {
  std::vector<std::filesystem::path> files;  ///< one for all inputs, or several: one per input (see SampleList::by_input)
  std::string name;                          ///< relative to the data set
  std::optional<std::string> label;          ///< of all its samples
};

struct SampleList {
  std::vector<SampleSource> sources;
  std::vector<std::string> class_folders;  ///< sorted names, when labels come from folders
  std::filesystem::path labels;            ///< a file with the labels that was found in the folder; may be empty
  bool by_input = false;                   ///< files are in the order of the inputs; else their tensors are matched by name
};

/// Finds the samples of `path` for a model with inputs called `inputs`:
///   - a data file, or a .txt list (or .csv whose rows begin with no number) of "path" or "path,label" lines, relative to the list;
///   - a folder with test_data_set_N folders or input_N.pb files, as in the ONNX backend tests;
///   - for models with several inputs, a folder with a file called as each input;
///   - a folder with data files, by name;
///   - a folder with only folders: one per class, called as the class. The first of each class, then the second, and so on.
/// Hidden files and other types are passed over. Errors: cannot_read, bad_input_data.
Result<SampleList> list_samples(const std::filesystem::path& path, const std::vector<std::string>& inputs);

}  // namespace kiln
