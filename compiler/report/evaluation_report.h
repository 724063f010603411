// SPDX-License-Identifier: Apache-2.0
// What `kiln evaluate` prints and writes.
#pragma once

#include <string>

#include "compiler/judge/evaluation.h"

namespace kiln {

/// A few lines and a table.
std::string evaluation_text(const EvaluationReport& report);
/// schema_version 1; keys in docs/cli.md.
std::string evaluation_json(const EvaluationReport& report);
/// One page without outside resources: the figures, the confusion matrix, a table per class, or the ROC curve.
std::string evaluation_html(const EvaluationReport& report);

/// "0.9140": four digits for shares and areas, six significant ones for errors.
std::string figure_text(double value, const Metric& metric);
/// What separates the emitted code from ONNX Runtime, in a sentence; empty when only one of them was run.
std::string difference_text(const EvaluationReport& report);
/// What separates the model from its baseline, in a sentence; empty without one.
std::string drop_text(const EvaluationReport& report);

}  // namespace kiln
