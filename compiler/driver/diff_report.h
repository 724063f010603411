// SPDX-License-Identifier: Apache-2.0
// The findings of `kiln diff`, as text and as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/driver/compare.h"

namespace kiln {

/// One output of one input set against one reference.
struct OutputDiff {
  std::string output;     ///< ONNX name
  std::string reference;  ///< "ONNX Runtime" or "stored"
  std::string set;        ///< name of the input set
  TensorType type;
  Comparison comparison;
};

/// The result of one step of the first input set against ONNX Runtime.
struct LayerDiff {
  size_t step;  ///< from 0
  std::string label;
  std::vector<std::string> onnx_nodes;
  std::string onnx_tensor;  ///< that it is compared with; empty: it stands for none
  TensorType type;
  std::optional<Comparison> comparison;
};

struct DiffReport {
  std::string model;  ///< path, as the user gave it
  std::string target;
  std::string ort_version;
  bool ort_optimized = false;
  ComparisonRule rule;
  std::vector<std::string> sets;
  int sequence_steps = 0;  ///< of a model that keeps state: sets from one reset to the next
  std::vector<OutputDiff> outputs;
  std::vector<LayerDiff> layers;  ///< empty unless asked for
  int timed_runs = 0;             ///< 0: not timed
  int64_t emitted_nanoseconds = 0, ort_nanoseconds = 0;

  [[nodiscard]] bool pass() const;
  /// The first step that differs from ONNX Runtime by more than the rule allows, or null.
  [[nodiscard]] const LayerDiff* first_divergence() const;
  /// The failed comparison furthest from its reference, or null.
  [[nodiscard]] const OutputDiff* worst_failure() const;
};

/// Tables and a verdict in words.
std::string diff_text(const DiffReport& report, bool color);
/// schema_version 1. Numbers that are infinite or unknown are null.
std::string diff_json(const DiffReport& report);
/// "step 7 conv2d 'x/Conv'", counted from 1 as in the emitted source.
std::string step_name(const LayerDiff& layer);
/// "[0,4]": the place of a row-major index.
std::string index_text(int64_t index, const Shape& shape);

}  // namespace kiln
