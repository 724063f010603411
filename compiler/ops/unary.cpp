// SPDX-License-Identifier: Apache-2.0
// Elementwise functions of one operand. Each is a functor of runtime-stubs/nn/functors.h; its parameters, if it has any, are
// the attributes "alpha" and "beta".
#include "compiler/ops/op_util.h"
#include "nn/functors.h"
#include "nn/ref/elementwise.h"

namespace kiln {
namespace {

Unary unary_descriptor(const OpArgs& args) {
  Unary d;
  d.count = static_cast<int32_t>(args.in(0).elements());
  d.alpha = static_cast<float>(args.attrs.f("alpha"));
  d.beta = static_cast<float>(args.attrs.f("beta"));
  return d;
}

InferResult infer_same(const OpArgs& args) { return std::vector<TensorType>{args.in(0)}; }

template <class F>
EvalResult eval_unary(const OpArgs& args) {
  return with_number_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::unary<F>(unary_descriptor(args), args.constant(0)->as<T>().data(), y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_unary(const Graph& graph, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "unary";
  call.functors = {std::string(node.op->functor)};
  call.descriptor = unary_descriptor(graph.args(graph.value(node.outputs[0]).producer));
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  call.in_place = {0};
  lowering.call(node, std::move(call));
  return Done{};
}

template <class F>
constexpr OpDef unary_op(std::string_view name, std::string_view onnx_type, std::string_view summary) {
  OpDef op;
  op.name = name;
  op.summary = summary;
  op.onnx.type = onnx_type;
  op.traits = kElementwise | kUnary;
  op.functor = name;
  op.infer = infer_same;
  op.eval = eval_unary<F>;
  op.lower = lower_unary;
  return op;
}

}  // namespace

namespace ops {
const OpDef relu = unary_op<nn::fn::relu>("relu", "Relu", "max(x, 0)");
}  // namespace ops

}  // namespace kiln
