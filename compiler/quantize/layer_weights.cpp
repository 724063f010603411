// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/layer_weights.h"

#include "compiler/quantize/wiring.h"

namespace kiln {
namespace {

const Tensor* float_initializer(const OnnxGraph& graph, const std::string& name) {
  const Tensor* t = graph.initializer(name);
  return t && t->type.dtype == DType::f32 ? t : nullptr;
}

std::optional<WeightLayout> layout_of(const OnnxGraphNode& node, const Shape& w) {
  WeightLayout layout;
  if (node.is("Conv") && w.size() >= 3) {
    layout.groups = node.attrs.i("group", 1);
    layout.outputs = w[0];
    layout.inputs = w[1];
    layout.taps = product(w, 2, w.size());
    if (layout.groups < 1 || layout.outputs % layout.groups != 0) return std::nullopt;
    return layout;
  }
  bool gemm = node.is("Gemm") && node.attrs.i("transA") == 0 && node.attrs.f("alpha", 1) == 1 && node.attrs.f("beta", 1) == 1;
  if ((!gemm && !node.is("MatMul")) || w.size() != 2) return std::nullopt;
  layout.outputs_innermost = !gemm || node.attrs.i("transB") == 0;
  layout.outputs = w[layout.outputs_innermost ? 1 : 0];
  layout.inputs = w[layout.outputs_innermost ? 0 : 1];
  return layout;
}

}  // namespace

std::optional<WeightLayout> weight_layout(const OnnxGraph& graph, const OnnxGraphNode& node) {
  const Tensor* weights = float_initializer(graph, input_of(node, 1));
  if (!weights || weights->type.elements() == 0 || graph.initializer(input_of(node, 0))) return std::nullopt;
  std::optional<WeightLayout> layout = layout_of(node, weights->type.shape);
  if (!layout || input_of(node, 2).empty()) return layout;
  const Tensor* bias = float_initializer(graph, input_of(node, 2));
  if (!bias || bias->type.shape != Shape{layout->outputs}) return std::nullopt;
  return layout;
}

}  // namespace kiln
