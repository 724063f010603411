// SPDX-License-Identifier: Apache-2.0
// Running a model over a data set and judging its outputs: `kiln evaluate`.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compiler/data/dataset.h"
#include "compiler/data/metrics.h"
#include "compiler/judge/engine.h"
#include "compiler/judge/judge.h"
#include "compiler/pipeline/compile_options.h"
#include "compiler/support/terminal.h"

namespace kiln {

enum class Runs { emitted, ort, both };

struct EvaluationOptions {
  CompileOptions common;  ///< with the model
  DataOptions data;
  Metric metric;
  Score score;
  std::string output;              ///< name of the output that is judged; empty: the first
  std::filesystem::path teacher;   ///< --against; empty: none
  std::filesystem::path baseline;  ///< empty: none
  std::optional<double> min, max, max_drop;
  Runs runs = Runs::emitted;
  bool optimize_ort = false;
};

/// One model run by one engine.
struct EngineReport {
  std::string engine;  ///< "emitted code", "ONNX Runtime"
  std::filesystem::path model;
  Figure figure;
  std::vector<Judgement> judgements;  ///< by sample
};

/// How far the outputs of two engines are apart.
struct EngineDifference {
  size_t same_predictions = 0;
  double largest = 0;  ///< of |a - b| over all elements of the judged output, as real numbers; infinite when only one is finite
};

/// A limit that was asked for.
struct Gate {
  std::string option;  ///< "--min"
  double limit, value;
  bool pass;
};

struct EvaluationReport {
  std::string model, data;
  Metric metric;
  std::vector<EngineReport> engines;           ///< one or two
  std::optional<EngineDifference> difference;  ///< with two
  std::optional<EngineReport> baseline;
  std::optional<double> drop;  ///< of the first engine below the baseline: percentage points of proportions, else in the metric's unit
  std::filesystem::path teacher;
  std::vector<Gate> gates;
  std::vector<std::string> class_names;  ///< by index; may be empty

  [[nodiscard]] bool pass() const;
  static constexpr int64_t kMostClasses = 4096;
  /// Of the first engine, for samples with a true and a predicted class; nothing where nothing is classified, or into more classes.
  [[nodiscard]] std::optional<ConfusionMatrix> confusion() const;
  /// The name of a class, or its number.
  [[nodiscard]] std::string class_name(size_t c) const;
  /// "percentage points" or "".
  [[nodiscard]] const char* drop_unit() const { return metric.is_proportion() ? "percentage points" : ""; }
};

/// Runs it all; progress goes to `terminal`. Nothing when `diagnostics` has errors: those of compiling, building, running, and of the data;
/// bad_usage and bad_input_data when options, labels and outputs do not go together. Gates that fail are no errors here.
std::optional<EvaluationReport> evaluate_model(const EvaluationOptions& options, Diagnostics& diagnostics, const Terminal& terminal);

}  // namespace kiln
