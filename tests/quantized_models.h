// SPDX-License-Identifier: Apache-2.0
// For tests of quantized models: the check that what the passes make of them computes what was imported.
#pragma once

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "compiler/frontend/import.h"
#include "compiler/ir/print.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/ops.h"
#include "compiler/ops/quantization.h"
#include "compiler/reference/onnxruntime.h"
#include "model_maker.h"
#include "onnx_models.h"
#include "passes/graph_passes.h"
#include "passes/integer_layers.h"

namespace kiln::test {

/// The most steps of the output's grid between two results: of integers their difference, of floats that in units of the grid, or of
/// 1e-5 of the greatest value where there is no grid.
inline double steps_between(const Tensor& expected, const Tensor& actual, const std::optional<Quant>& quant) {
  REQUIRE(expected.type.dtype == actual.type.dtype);
  REQUIRE(expected.type.shape == actual.type.shape);
  std::vector<double> a = expected.to_doubles(), b = actual.to_doubles();
  double unit = 1, worst = 0;
  if (is_float(expected.type.dtype)) {
    unit = 1e-30;
    for (double v : a) unit = std::max(unit, 1e-5 * std::abs(v));
    if (quant && !quant->per_axis()) unit = static_cast<double>(quant->scale[0]);
  }
  for (size_t i = 0; i < a.size(); ++i) {
    double difference = std::abs(a[i] - b[i]) / unit;
    worst = std::max(worst, std::isnan(difference) ? 1e30 : difference);
  }
  return worst;
}

/// One step between dequantized numbers, which are rounded.
constexpr double kOneStep = 1.001;

/// A model before and after the graph passes.
struct Prepared {
  std::string bytes;
  Graph imported, optimized;
  /// Operators after the passes, sorted, each once.
  [[nodiscard]] std::string operators() const {
    std::vector<std::string> names;
    for (NodeId id : optimized.order()) names.emplace_back(optimized.node(id).op->name);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return fmt::format("{}", fmt::join(names, " "));
  }
  /// Why nodes compute on floats, one reason a line; empty when none does.
  [[nodiscard]] std::string float_reasons() const {
    std::string text;
    for (NodeId id : optimized.order())
      if (std::string reason = float_reason(optimized, id); !reason.empty()) text += fmt::format("{}: {}\n", optimized.node(id).op->name, reason);
    return text;
  }
};

inline Prepared prepare(const std::string& bytes) {
  Imported imported = import_bytes(bytes);
  INFO(imported.text());
  REQUIRE(imported.model);
  Prepared p{bytes, imported.model->graph, imported.model->graph};
  Target target;
  Diagnostics diagnostics;
  PassContext context{target, diagnostics};
  Result<bool> done = run_graph_passes(p.optimized, context, graph_passes(), {});
  INFO((done ? "" : done.diagnostic().message));
  REQUIRE(done.ok());
  return p;
}
inline Prepared prepare(const ModelMaker& maker) { return prepare(maker.bytes()); }

/// Inputs for a graph: integers of the whole range, floats in [-1, 1) times `magnitude`.
inline std::vector<Tensor> random_inputs(const Graph& graph, Dice& dice, float magnitude = 1) {
  std::vector<Tensor> inputs;
  for (ValueId v : graph.inputs) {
    const TensorType& type = graph.type(v);
    inputs.push_back(is_float(type.dtype) ? dice.floats(type.shape, -magnitude, magnitude) : dice.integers(type.dtype, type.shape));
  }
  return inputs;
}

/// The most steps between the outputs of the two graphs on random inputs.
inline double greatest_step(const Prepared& p, uint32_t seed, float magnitude = 1) {
  Dice dice(seed);
  double worst = 0;
  for (int run = 0; run < 2; ++run) {
    std::vector<Tensor> inputs = random_inputs(p.imported, dice, magnitude);
    Result<std::vector<Tensor>> expected = evaluate(p.imported, inputs);
    INFO((expected ? "" : expected.diagnostic().message));
    REQUIRE(expected.ok());
    for (size_t i = 0; i < inputs.size(); ++i) inputs[i].type = p.optimized.type(p.optimized.inputs[i]);
    Result<std::vector<Tensor>> actual = evaluate(p.optimized, inputs);
    INFO((actual ? "" : actual.diagnostic().message));
    REQUIRE(actual.ok());
    for (size_t i = 0; i < expected->size(); ++i)
      worst = std::max(worst, steps_between((*expected)[i], (*actual)[i], p.imported.type(p.imported.outputs()[i]).quant));
  }
  return worst;
}

/// The most steps between ONNX Runtime, which computes each node literally, and the optimized graph; nothing without ONNX Runtime,
/// or where it has no kernel for an operator.
inline std::optional<double> greatest_step_from_ort(const Prepared& p, uint32_t seed, float magnitude = 1) {
  static Result<OnnxRuntime> ort = OnnxRuntime::load();
  if (!ort) return std::nullopt;
  Result<OrtSession> session = ort->open(p.bytes, OrtOptimization::none);
  if (!session && session.diagnostic().message.find("Could not find an implementation") != std::string::npos) return std::nullopt;
  INFO((session ? "" : session.diagnostic().message));
  REQUIRE(session.ok());
  Dice dice(seed);
  std::vector<Tensor> inputs = random_inputs(p.imported, dice, magnitude);
  Result<std::vector<Tensor>> expected = session->run(inputs);
  INFO((expected ? "" : expected.diagnostic().message));
  REQUIRE(expected.ok());
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i].type = p.optimized.type(p.optimized.inputs[i]);
  Result<std::vector<Tensor>> actual = evaluate(p.optimized, inputs);
  REQUIRE(actual.ok());
  double worst = 0;
  for (size_t i = 0; i < expected->size(); ++i)
    worst = std::max(worst, steps_between((*expected)[i], (*actual)[i], p.imported.type(p.imported.outputs()[i]).quant));
  return worst;
}

/// The messages of the import of a model that must be refused.
inline std::string refusal_of(const std::function<void(ModelMaker&)>& build) {
  ModelMaker m;
  build(m);
  Imported imported = import_bytes(m.bytes());
  REQUIRE_FALSE(imported.model);
  return imported.text();
}

}  // namespace kiln::test
