// SPDX-License-Identifier: Apache-2.0
// What the samples of a data set should give: classes, or numbers.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

struct Labels {
  size_t per_sample = 0;                 ///< numbers of one sample; 0: there are no labels
  std::vector<double> values;            ///< [sample][per_sample]
  std::vector<std::string> class_names;  ///< by class index; empty when labels are numbers

  [[nodiscard]] size_t count() const { return per_sample ? values.size() / per_sample : 0; }
};

/// The labels in `path` for samples called `names`, in their order:
///   - .npy or .pb: the first dimension counts samples;
///   - .csv or .txt, one column: a label per line; two columns: a sample's name and its label; more columns: numbers of one sample per
///   line.
/// Errors: cannot_read; bad_input_data on a wrong count, a name without a sample or a sample without a label.
Result<Labels> load_labels(const std::filesystem::path& path, const std::vector<std::string>& names);

/// Labels from words: numbers as they are when all are numbers, else class names in sorted order and their indices.
Labels labels_of_words(const std::vector<std::string>& words);

}  // namespace kiln
