// SPDX-License-Identifier: Apache-2.0
// Elementwise operators on quantized tensors.
// qbinary: y = quantize(f(a, b)) of the real numbers that a and b stand for; f is attribute "functor", the operands' grids are
// a_scale, a_zero_point, b_scale and b_zero_point.
// lookup: y = table[x] for 8-bit x: any function of one operand.
// qunary: y = quantize(f(x)) for wider x; f is attribute "functor" (none: a change of grid) with alpha and beta, the operand's grid is
// x_scale and x_zero_point.
#include <algorithm>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/qlayer.h"
#include "nn/ref/qelementwise.h"

namespace kiln {
namespace {

/// Calls `f.template operator()<F>()` with the functor of that name; false when qbinary does not have it.
template <class Body>
bool with_functor(std::string_view name, Body&& f) {
  if (name == "add") f.template operator()<nn::fn::add>();
  else if (name == "sub") f.template operator()<nn::fn::sub>();
  else if (name == "mul") f.template operator()<nn::fn::mul>();
  else if (name == "div") f.template operator()<nn::fn::div>();
  else if (name == "max") f.template operator()<nn::fn::max>();
  else if (name == "min") f.template operator()<nn::fn::min>();
  else if (name == "prelu") f.template operator()<nn::fn::prelu>();
  else return false;
  return true;
}

InferResult infer_qbinary(const OpArgs& args) {
  if (Status s = check_operands(args, 2); !s) return std::move(s).diagnostic();
  for (size_t i = 0; i < 2; ++i)
    if (Status s = check_integers(args.in(i), i == 0 ? "the first operand" : "the second operand"); !s) return std::move(s).diagnostic();
  if (!with_functor(args.attrs.s("functor"), []<class F>() {})) return bad_node(fmt::format("qbinary has no functor '{}'.", args.attrs.s("functor")));
  std::optional<Shape> shape = broadcast(args.in(0).shape, args.in(1).shape);
  if (!shape)
    return bad_node(fmt::format("shapes {} and {} do not broadcast.", to_string(args.in(0)), to_string(args.in(1))));
  Result<TensorType> type = quantized_result(args.attrs, *std::move(shape));
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

QBinary qbinary_descriptor(const OpArgs& args) {
  Binary b = binary_descriptor(args.in(0).shape, args.in(1).shape, args.outputs[0]->shape, {});
  QBinary d;
  d.rank = b.rank;
  d.dims = b.dims;
  d.a_strides = b.a_strides;
  d.b_strides = b.b_strides;
  d.a_scale = static_cast<float>(args.attrs.f("a_scale", 1));
  d.b_scale = static_cast<float>(args.attrs.f("b_scale", 1));
  d.a_zero_point = static_cast<int32_t>(args.attrs.i("a_zero_point"));
  d.b_zero_point = static_cast<int32_t>(args.attrs.i("b_zero_point"));
  d.y_scale = args.outputs[0]->quant->scale[0];
  describe_result(d, args);
  return d;
}

EvalResult eval_qbinary(const OpArgs& args) {
  const Tensor a = as_int32(*args.constant(0)), b = as_int32(*args.constant(1));
  return std::vector<Tensor>{compute_result(*args.outputs[0], [&](auto* y) {
    with_functor(args.attrs.s("functor"), [&]<class F>() {
      nn::ref::qbinary<F, nn::fn::none>(qbinary_descriptor(args), a.as<int32_t>().data(), b.as<int32_t>().data(), y);
    });
  })};
}

Status lower_qbinary(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "qbinary";
  call.functors = {node.attrs.s("functor"), "none"};
  call.descriptor = qbinary_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.tensor(node.inputs[1])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  const TensorType& y = *args.outputs[0];
  for (size_t i = 0; i < 2; ++i) {
    const TensorType& x = args.in(i);
    if (x.shape == y.shape && element_bytes(x.dtype) == element_bytes(y.dtype) && !args.constant(i)) call.in_place.emplace_back(i);
  }
  bool clamps = node.attrs.has("low") || node.attrs.has("high");
  lowering.call(node, std::move(call), node.attrs.s("functor") + (clamps ? "+clamp" : ""));
  return Done{};
}

// ---- qunary

/// The float operator that computes the functor; null for none and for names that are no function of one operand.
const OpDef* unary_with(std::string_view functor) {
  for (const OpDef* op : op_table().all())
    if (op->is(kUnary) && op->functor == functor) return op;
  return nullptr;
}

InferResult infer_qunary(const OpArgs& args) {
  if (Status s = check_operands(args, 1); !s) return std::move(s).diagnostic();
  if (Status s = check_integers(args.in(0), "the input"); !s) return std::move(s).diagnostic();
  std::string functor = args.attrs.s("functor", "none");
  if (functor != "none" && !unary_with(functor)) return bad_node(fmt::format("'{}' is no function of one operand.", functor));
  Result<TensorType> type = quantized_result(args.attrs, args.in(0).shape);
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

QUnary qunary_descriptor(const OpArgs& args) {
  QUnary d;
  d.count = static_cast<int32_t>(args.in(0).elements());
  d.x_scale = static_cast<float>(args.attrs.f("x_scale", 1));
  d.x_zero_point = static_cast<int32_t>(args.attrs.i("x_zero_point"));
  d.y_scale = args.outputs[0]->quant->scale[0];
  d.alpha = static_cast<float>(args.attrs.f("alpha"));
  d.beta = static_cast<float>(args.attrs.f("beta"));
  describe_result(d, args);
  return d;
}

/// Through the float operator, so that no functor is instantiated once more here.
EvalResult eval_qunary(const OpArgs& args) {
  QUnary d = qunary_descriptor(args);
  Tensor x = *args.constant(0);
  x.type.quant = Quant{{d.x_scale}, {d.x_zero_point}, 0, x.type.dtype};
  Tensor real = dequantized_tensor(x);
  real.type.quant.reset();
  if (const OpDef* op = unary_with(args.attrs.s("functor", "none"))) {
    EvalResult computed = op->eval(OpArgs{*op, args.attrs, {&real.type}, {&real}, {&real.type}});
    if (!computed) return computed;
    real = std::move(computed->front());
  }
  Tensor y = quantized_tensor(real, *args.outputs[0]->quant);
  with_grid_type(y.type.dtype, [&]<class Y>() {
    for (Y& v : y.as<Y>()) v = static_cast<Y>(std::clamp<int32_t>(v, d.low, d.high));
  });
  return std::vector<Tensor>{std::move(y)};
}

Status lower_qunary(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "qunary";
  std::string functor = node.attrs.s("functor", "none");
  call.functors = {functor};
  call.descriptor = qunary_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  if (element_bytes(args.in(0).dtype) == element_bytes(args.outputs[0]->dtype)) call.in_place = {0};
  lowering.call(node, std::move(call), functor == "none" ? "requantize" : functor);
  return Done{};
}

// ---- lookup

InferResult infer_lookup(const OpArgs& args) {
  if (Status s = check_operands(args, 2); !s) return std::move(s).diagnostic();
  const TensorType &x = args.in(0), &table = args.in(1);
  if (element_bytes(x.dtype) != 1 || !is_integer(x.dtype)) return bad_node(fmt::format("the input is {}, it must be of 8-bit integers.", to_string(x)));
  if (table.shape != Shape{256} || !args.constant(1)) return bad_node(fmt::format("the table is {}, it must be a constant of 256 elements.", to_string(table)));
  return std::vector<TensorType>{{table.dtype, x.shape, table.quant}};
}

Lookup lookup_descriptor(const OpArgs& args) { return {static_cast<int32_t>(args.in(0).elements())}; }

EvalResult eval_lookup(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  with_storage_type(y.type.dtype, [&]<class Y>() {
    nn::ref::lookup(lookup_descriptor(args), reinterpret_cast<const uint8_t*>(args.constant(0)->bytes().data()), args.constant(1)->as<Y>().data(),
                    y.as<Y>().data());
  });
  return std::vector<Tensor>{std::move(y)};
}

Status lower_lookup(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "lookup";
  call.descriptor = lookup_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.tensor(node.inputs[1])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  if (element_bytes(args.outputs[0]->dtype) == 1) call.in_place = {0};
  lowering.call(node, std::move(call));
  return Done{};
}

/// The table has one dimension and the input is permuted; of one dimension there is no other order.
bool permute_lookup(const OpArgs&, std::span<const int64_t>, Attrs&) { return true; }

}  // namespace

namespace ops {
const OpDef qbinary = {
    .name = "qbinary",
    .summary = "a function of two quantized operands, broadcasting",
    .traits = kElementwise,
    .infer = infer_qbinary,
    .eval = eval_qbinary,
    .lower = lower_qbinary,
};
const OpDef qunary = {
    .name = "qunary",
    .summary = "a function of a quantized operand",
    .traits = kElementwise,
    .infer = infer_qunary,
    .eval = eval_qunary,
    .lower = lower_qunary,
};
const OpDef lookup = {
    .name = "lookup",
    .summary = "a function of 8-bit integers as a table",
    .infer = infer_lookup,
    .eval = eval_lookup,
    .lower = lower_lookup,
    .permute = permute_lookup,
};
}  // namespace ops

}  // namespace kiln
