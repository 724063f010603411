// SPDX-License-Identifier: Apache-2.0
#include "passes/integer_util.h"

#include <algorithm>
#include <limits>

namespace kiln {

std::optional<Quant> grid_of(const Graph& graph, ValueId v) {
  if (v == kNoValue) return std::nullopt;
  if (const Node* producer = graph.producer(v)) return producer->op == &ops::dequantize ? graph.type(v).quant : std::nullopt;
  const Tensor* constant = graph.constant(v);
  if (!constant || !constant->type.quant || !is_grid_type(constant->type.quant->dtype) || !stored_integers(*constant)) return std::nullopt;
  return constant->type.quant;
}

std::optional<Quant> tensor_grid_of(const Graph& graph, ValueId v) {
  std::optional<Quant> grid = grid_of(graph, v);
  return grid && !grid->per_axis() ? grid : std::nullopt;
}

ValueId stored(GraphBuilder& builder, ValueId v) {
  Graph& graph = builder.graph();
  if (const Node* dequantize = graph.producer(v)) return dequantize->inputs[0];
  return builder.add_constant(*stored_integers(*graph.constant(v)), graph.value(v).name);
}

std::optional<QuantizedResult> quantized_result_of(const Graph& graph, ValueId v) {
  QuantizedResult result;
  float low = -std::numeric_limits<float>::infinity(), high = -low;
  while (true) {
    NodeId id = graph.only_user(v);
    if (id == kNoNode) return std::nullopt;
    const Node& node = graph.node(id);
    result.origin.insert(result.origin.end(), node.origin.begin(), node.origin.end());
    if (node.op == &ops::quantize) {
      const Quant& quant = *graph.type(node.outputs[0]).quant;
      if (quant.per_axis()) return std::nullopt;
      result.quantize = id;
      result.quant = quant;
      IntegerRange own = bounds_of(node.attrs, quant.dtype);
      result.bounds = {std::clamp(quantized(low, quant), own.low, own.high), std::clamp(quantized(high, quant), own.low, own.high)};
      return result;
    }
    bool is_relu = node.op == &ops::relu, is_clip = node.op == &ops::clip;
    if (!is_relu && !is_clip) return std::nullopt;
    auto from = is_relu ? 0.0f : static_cast<float>(node.attrs.f("alpha"));
    auto to = is_relu ? std::numeric_limits<float>::infinity() : static_cast<float>(node.attrs.f("beta"));
    low = std::min(std::max(low, from), to);  // clip: first the lower bound, then the upper
    high = std::min(std::max(high, from), to);
    v = node.outputs[0];
  }
}

Attrs result_attrs(const QuantizedResult& result) {
  Attrs attrs = quant_attrs(result.quant);
  IntegerRange range = integer_range(result.quant.dtype);
  if (result.bounds.low != range.low) attrs.set("low", int64_t{result.bounds.low});
  if (result.bounds.high != range.high) attrs.set("high", int64_t{result.bounds.high});
  return attrs;
}

}  // namespace kiln
