// SPDX-License-Identifier: Apache-2.0
// Samples with labels, from files: what models are calibrated on and evaluated with.
//
// A path is a file, a folder or a list (docs/evaluate.md). Files are read when a sample of theirs is asked for, and the last one is
// kept, so a pass in order reads each file once and holds one at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/data/labels.h"
#include "compiler/data/sample_file.h"
#include "compiler/data/sample_fit.h"
#include "compiler/data/sample_list.h"
#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

struct DataOptions {
  std::filesystem::path path;
  std::filesystem::path labels =
      {};  ///< empty: labels.npy or .csv in the folder, "labels" of an .npz, names of subfolders, or those of a list
  Preparation preparation = {};
  int64_t sample_rate = 0;  ///< hertz that sound must have; 0: any, but the same in all files
  size_t skip = 0;          ///< the first so many samples are left out
  size_t limit = 0;         ///< at most so many samples; 0: all
};

class Dataset {
 public:
  /// Finds the samples and their labels. Errors: cannot_read; bad_input_data, naming the file and both shapes where it does not fit.
  static Result<Dataset> open(DataOptions options, std::vector<ModelInput> inputs);

  [[nodiscard]] size_t size() const { return entries_.size(); }
  /// "yes/0001.wav", "x.npy[17]".
  [[nodiscard]] std::string name(size_t sample) const;
  /// The tensors of one sample, in the order and with the types of the model's inputs. Errors: cannot_read, bad_input_data.
  Result<std::vector<Tensor>> load(size_t sample);

  /// About the data of files of many samples (bad_input_data).
  [[nodiscard]] const std::vector<Diagnostic>& warnings() const { return warnings_; }

  /// Whether the samples have labels: all of them or none.
  [[nodiscard]] bool has_labels() const { return labels_.per_sample > 0; }
  /// The class of a sample, where labels are single whole numbers that are not negative.
  [[nodiscard]] std::optional<int64_t> label(size_t sample) const;
  /// All numbers of a sample's label: its class, or what a regression should give. Empty without labels.
  [[nodiscard]] std::span<const double> target(size_t sample) const;
  /// By class index; empty when the classes have no names.
  [[nodiscard]] const std::vector<std::string>& class_names() const { return labels_.class_names; }

 private:
  struct Entry {
    size_t source, index;  // index: of the sample in its file
  };
  Dataset(DataOptions options, std::vector<ModelInput> inputs) : options_(std::move(options)), inputs_(std::move(inputs)) {}
  Status add_entries();
  Status find_labels();
  Status labels_of_archives();
  void choose();
  /// Reads the file or files of a source unless they are the ones read last.
  Status read(size_t source);
  Result<size_t> count_samples(size_t source);
  /// 8-bit integers are mostly codes of a quantized model, which a float input takes as numbers from -128 to 127.
  void warn_of_codes(const std::string& file);

  DataOptions options_;
  std::vector<ModelInput> inputs_;
  SampleList list_;
  std::vector<Entry> entries_;
  Labels labels_;                    // of entries_
  std::optional<size_t> read_;       // the source that arrays_ holds
  std::vector<StoredArray> arrays_;  // one per input
  std::vector<Tensor> npz_labels_;   // "labels" arrays of .npz files, in order
  int64_t sample_rate_ = 0;          // of the sound read so far
  std::vector<Diagnostic> warnings_;
};

}  // namespace kiln
