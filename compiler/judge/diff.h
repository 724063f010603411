// SPDX-License-Identifier: Apache-2.0
// Emitted code and ONNX Runtime on the same inputs: `kiln diff`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compiler/judge/compare.h"
#include "compiler/judge/layer_diff.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/harness_image.h"
#include "compiler/support/terminal.h"

namespace kiln {

/// One output of one input set against one reference.
struct OutputDiff {
  std::string output;     ///< ONNX name
  std::string reference;  ///< "ONNX Runtime" or "stored"
  std::string set;        ///< name of the input set
  TensorType type;
  std::vector<Allowance> allowances;
  Comparison comparison;
  std::optional<double> ort_max_abs;  ///< of a stored one that fails: how far ONNX Runtime is from it
  /// Whether a failure is one of the emitted code. It is not when that agrees with ONNX Runtime, which fails against the stored output as
  /// well: then the output is not this model's.
  bool counts = true;

  [[nodiscard]] bool fails() const { return counts && !comparison.pass(); }
};

/// What a report amounts to, from best to worst.
enum class DiffVerdict { same, within_tolerance, within_allowances, differs };

struct DiffReport {
  std::string model;  ///< path, as the user gave it
  std::string target;
  std::string ort_version;
  bool ort_optimized = false;
  ComparisonRule rule;            ///< the tolerance
  bool explicit_rule = false;     ///< the user gave it, so that nothing is allowed beyond it
  std::vector<std::string> sets;
  int sequence_steps = 0;  ///< of a model that keeps state: sets from one reset to the next
  std::vector<OutputDiff> outputs;
  std::vector<LayerDiff> layers;  ///< empty unless asked for
  std::string layer_set;          ///< the input set that `layers` are of: the one in which an output is furthest from ONNX Runtime
  int timed_runs = 0;             ///< 0: not timed
  int64_t emitted_nanoseconds = 0, ort_nanoseconds = 0;

  [[nodiscard]] DiffVerdict verdict() const;
  [[nodiscard]] bool pass() const { return verdict() != DiffVerdict::differs; }
  /// The first step that differs from ONNX Runtime by more than the rule allows, or null.
  [[nodiscard]] const LayerDiff* first_divergence() const;
  /// The failure furthest from its reference, or null.
  [[nodiscard]] const OutputDiff* worst_failure() const;
};

struct DiffOptions {
  BuildOptions build;
  std::filesystem::path inputs;  ///< stored sets (load_input_sets); empty: those beside the model, else random ones
  int random = 0;                ///< so many random sets instead; 0: as `inputs` says
  int steps = 0;                 ///< of a sequence, for a model that keeps state; 0: as many as there are stored sets, or 8
  uint64_t seed = 1;             ///< of random sets
  ComparisonRule rule;        ///< the tolerance, without allowances
  bool explicit_rule = false; ///< no allowances are made
  bool layers = false;        ///< also compare the result of every layer
  bool optimize_ort = false;  ///< let ONNX Runtime fuse and reorder
  uint32_t timed_runs = 0;    ///< also time so many inferences of both; 0: none
};

/// Builds and runs the code that `compiled`, made of the file `model`, stands for, and compares what it gives with ONNX Runtime's and with
/// stored outputs. Progress goes to `terminal`. Results that differ are no error here. Errors: bad_usage for options that do not go with
/// the model or target; results_differ for outputs of another type or shape; onnxruntime_missing, onnxruntime_failed, tool_missing,
/// tool_failed, and those of reading inputs.
Result<DiffReport> diff_model(const std::filesystem::path& model, const Compiled& compiled, const DiffOptions& options,
                              const Terminal& terminal);

}  // namespace kiln
