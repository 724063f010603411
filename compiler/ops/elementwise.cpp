// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/elementwise.h"

#include "compiler/ops/broadcasting.h"

namespace kiln {

Status check_dtype(const OpArgs& args, DType dtype, TypeSet allowed) {
  const bool is_narrow = dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::i4 || dtype == DType::u4;
  const TypeSet set = is_float(dtype)              ? kFloats
                      : is_signed_integer(dtype)   ? kSignedIntegers
                      : is_unsigned_integer(dtype) ? kUnsignedIntegers
                                                   : kBooleans;
  if ((allowed & set) == 0) return bad_node(fmt::format("'{}' does not take elements of type {}.", args.op.name, dtype_name(dtype)));
  if (is_narrow)
    return error(DiagId::unsupported_type, fmt::format("'{}' on elements of type {} is not supported.", args.op.name, dtype_name(dtype)),
                 is_float(dtype) ? "convert the model to float32." : "");
  return Done{};
}

Status check_operands(const OpArgs& args, size_t count) {
  size_t given = 0;
  for (size_t i = 0; i < args.inputs.size(); ++i) given += args.has(i) ? 1 : 0;
  if (given != count || args.inputs.size() != count)
    return bad_node(fmt::format("'{}' takes {} operand{}, {} given.", args.op.name, count, count == 1 ? "" : "s", given));
  return Done{};
}

Tensor scalar(DType dtype, double value) {
  Tensor t(TensorType{dtype, {}, {}});
  with_storage_type(dtype, [&]<class T>() { t.as<T>()[0] = static_cast<T>(value); });
  return t;
}

Unary unary_descriptor(const OpArgs& args) {
  Unary d;
  d.count = static_cast<int32_t>(args.in(0).elements());
  d.alpha = static_cast<float>(args.attrs.f("alpha"));
  d.beta = static_cast<float>(args.attrs.f("beta"));
  return d;
}

Binary binary_descriptor(const Shape& a, const Shape& b, const Shape& y, const Activation& activation) {
  const LoopNest loops = broadcast_loops(y, {&a, &b});
  Binary d;
  d.rank = static_cast<int32_t>(loops.dims.size());
  d.dims = Dims(loops.dims);
  d.a_strides = Dims(loops.strides[0]);
  d.b_strides = Dims(loops.strides[1]);
  d.alpha = activation.alpha;
  d.beta = activation.beta;
  return d;
}

Result<TensorType> infer_unary_type(const OpArgs& args, TypeSet allowed, ResultType result) {
  if (Status s = check_operands(args, 1); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  if (Status s = check_dtype(args, x.dtype, allowed); !s) return std::move(s).diagnostic();
  return TensorType{result == ResultType::same ? x.dtype : DType::boolean, x.shape, {}};
}

Result<TensorType> infer_binary_type(const OpArgs& args, TypeSet allowed, ResultType result) {
  if (Status s = check_operands(args, 2); !s) return std::move(s).diagnostic();
  const TensorType &a = args.in(0), &b = args.in(1);
  if (a.dtype != b.dtype)
    return bad_node(fmt::format("'{}' takes operands of one element type, not {} and {}.", args.op.name, to_string(a), to_string(b)));
  if (Status s = check_dtype(args, a.dtype, allowed); !s) return std::move(s).diagnostic();
  std::optional<Shape> shape = broadcast(a.shape, b.shape);
  if (!shape)
    return bad_node(fmt::format("'{}' cannot broadcast shapes {} and {}.", args.op.name, to_string(a.shape), to_string(b.shape)),
                    "from the last dimension backwards, sizes must be equal or one of them 1.");
  return TensorType{result == ResultType::same ? a.dtype : DType::boolean, *std::move(shape), {}};
}

std::vector<InPlace> in_place_inputs(const OpArgs& args) {
  const TensorType& y = *args.outputs[0];
  std::vector<InPlace> out;
  for (size_t i = 0; i < args.inputs.size(); ++i) {
    const TensorType& x = args.in(i);
    if (x.dtype == y.dtype && x.shape == y.shape && !args.constant(i)) out.emplace_back(i);
  }
  return out;
}

Status lower_unary(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "unary";
  call.functors = {std::string(node.op->functor)};
  call.descriptor = unary_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  call.in_place = in_place_inputs(args);
  lowering.call(node, std::move(call));
  return Done{};
}

Status lower_binary(const OpArgs& args, const Node& node, Lowering& lowering) {
  const Activation activation = activation_of(node.attrs);
  KernelCall call;
  call.family = "binary";
  call.functors = {std::string(node.op->functor), activation.functor};
  call.descriptor = binary_descriptor(args.in(0).shape, args.in(1).shape, args.outputs[0]->shape, activation);
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.tensor(node.inputs[1])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  call.in_place = in_place_inputs(args);
  lowering.call(node, std::move(call));
  return Done{};
}

}  // namespace kiln
