// SPDX-License-Identifier: Apache-2.0
// Intermediate results of emitted code against the ONNX tensors they stand for (`kiln diff --layers`).
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/judge/compare.h"
#include "compiler/program/program.h"

namespace kiln {

/// The result of one step against ONNX Runtime.
struct LayerDiff {
  size_t step;  ///< from 0
  std::string label;
  std::vector<std::string> onnx_nodes;
  std::string onnx_tensor;  ///< that it is compared with; empty: it stands for none
  TensorType type;
  std::vector<Allowance> allowances;
  std::optional<Comparison> comparison;
};

/// The ONNX tensors that step results stand for and that some node of the model makes; each name once.
std::vector<std::string> layer_tensors(const Program& program);

/// `onnx` as the program holds it: its dimensions permuted, then reshaped.
Tensor as_program_tensor(const Tensor& onnx, const OnnxTensor& how, const Shape& shape);

/// One entry per step. `step_results`: the result of every step; `reference`: the ONNX tensors by name. A step is compared when it
/// completes a tensor that stands for one of `reference`; with `with_allowances`, those of layer_allowances count.
std::vector<LayerDiff> compare_layers(const Program& program, const std::vector<Tensor>& step_results,
                                      const std::map<std::string, Tensor>& reference, const ComparisonRule& rule,
                                      bool with_allowances = true);

}  // namespace kiln
