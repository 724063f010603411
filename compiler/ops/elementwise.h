// SPDX-License-Identifier: Apache-2.0
// Makers of the records of elementwise operators. Such an operator is a functor F of runtime-stubs/nn/functors.h; unary_op
// and binary_op derive all hooks from F and the set of element types it takes.
#pragma once

#include "compiler/ops/op_util.h"
#include "nn/functors.h"
#include "nn/ref/elementwise.h"

namespace kiln {

/// Sets of element types.
using TypeSet = uint32_t;
inline constexpr TypeSet kFloats = 1, kSignedIntegers = 2, kUnsignedIntegers = 4, kBooleans = 8;
inline constexpr TypeSet kIntegers = kSignedIntegers | kUnsignedIntegers;
inline constexpr TypeSet kNumbers = kFloats | kIntegers;
inline constexpr TypeSet kSignedNumbers = kFloats | kSignedIntegers;

/// The element type of the result.
enum class ResultType { same, boolean };

/// Whether operator `args.op` may be applied to elements of `dtype`. Errors: bad_node where ONNX forbids it, unsupported_type
/// where kiln has no arithmetic (f16, bf16 and 4-bit types).
Status check_dtype(const OpArgs& args, DType dtype, TypeSet allowed);
/// Whether exactly `count` operands are given. Errors: bad_node.
Status check_operands(const OpArgs& args, size_t count);

/// Calls `f.template operator()<T>()` with the C++ type that stores `dtype`, one of `kTypes` as check_dtype has found out.
template <TypeSet kTypes, class F>
EvalResult with_type_of(DType dtype, F&& f) {
  if constexpr ((kTypes & kFloats) != 0) {
    if (dtype == DType::f32) return f.template operator()<float>();
    if (dtype == DType::f64) return f.template operator()<double>();
  }
  if constexpr ((kTypes & kSignedIntegers) != 0) {
    if (dtype == DType::i8) return f.template operator()<int8_t>();
    if (dtype == DType::i16) return f.template operator()<int16_t>();
    if (dtype == DType::i32) return f.template operator()<int32_t>();
    if (dtype == DType::i64) return f.template operator()<int64_t>();
  }
  if constexpr ((kTypes & kUnsignedIntegers) != 0) {
    if (dtype == DType::u16) return f.template operator()<uint16_t>();
    if (dtype == DType::u32) return f.template operator()<uint32_t>();
    if (dtype == DType::u64) return f.template operator()<uint64_t>();
  }
  if constexpr ((kTypes & (kUnsignedIntegers | kBooleans)) != 0) {
    if (dtype == DType::u8 || dtype == DType::boolean) return f.template operator()<uint8_t>();
  }
  return error(DiagId::unsupported_type, fmt::format("{} is not supported here.", dtype_name(dtype)));
}

/// A tensor without dimensions. `dtype` is no f16 or bf16.
Tensor scalar(DType dtype, double value);

/// Element offsets and counts of a call fit 32 bits: limits::kElements is below.
Unary unary_descriptor(const OpArgs& args);
Binary binary_descriptor(const Shape& a, const Shape& b, const Shape& y, const Activation& activation);

Result<TensorType> infer_unary_type(const OpArgs& args, TypeSet allowed, ResultType result);
Result<TensorType> infer_binary_type(const OpArgs& args, TypeSet allowed, ResultType result);
Status lower_unary(const OpArgs& args, const Node& node, Lowering& lowering);
Status lower_binary(const OpArgs& args, const Node& node, Lowering& lowering);

/// Which inputs of a node may be overwritten by its first output: those of its shape and type, constants excepted.
std::vector<InPlace> in_place_inputs(const OpArgs& args);

template <TypeSet kTypes, ResultType kResult>
InferResult infer_unary(const OpArgs& args) {
  Result<TensorType> type = infer_unary_type(args, kTypes, kResult);
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

template <TypeSet kTypes, ResultType kResult>
InferResult infer_binary(const OpArgs& args) {
  Result<TensorType> type = infer_binary_type(args, kTypes, kResult);
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

template <class F, TypeSet kTypes, ResultType kResult>
EvalResult eval_unary(const OpArgs& args) {
  return with_type_of<kTypes>(args.in(0).dtype, [&]<class T>() -> EvalResult {
    using U = std::conditional_t<kResult == ResultType::same, T, uint8_t>;
    Tensor y(*args.outputs[0]);
    nn::ref::unary<F>(unary_descriptor(args), args.constant(0)->as<T>().data(), y.as<U>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

template <class F, TypeSet kTypes, ResultType kResult>
EvalResult eval_binary(const OpArgs& args) {
  return with_type_of<kTypes>(args.in(0).dtype, [&]<class T>() -> EvalResult {
    using U = std::conditional_t<kResult == ResultType::same, T, uint8_t>;
    Tensor y(*args.outputs[0]);
    const Binary d = binary_descriptor(args.in(0).shape, args.in(1).shape, y.type.shape, {});
    nn::ref::binary<F, nn::fn::none>(d, args.constant(0)->as<T>().data(), args.constant(1)->as<T>().data(), y.as<U>().data());
    return with_activation(args, std::move(y));
  });
}

/// y = F(x). `onnx_type` may be empty.
template <class F, TypeSet kTypes = kFloats, ResultType kResult = ResultType::same>
constexpr OpDef unary_op(std::string_view name, std::string_view onnx_type, std::string_view summary) {
  OpDef op;
  op.name = name;
  op.summary = summary;
  op.onnx.type = onnx_type;
  op.onnx.max_inputs = 1;
  op.traits = kElementwise | (kResult == ResultType::same ? kUnary : 0);
  op.functor = name;
  op.infer = infer_unary<kTypes, kResult>;
  op.eval = eval_unary<F, kTypes, kResult>;
  op.lower = lower_unary;
  return op;
}

/// y = F(a, b), broadcasting. Results of the operands' type can carry a fused activation.
template <class F, TypeSet kTypes = kNumbers, ResultType kResult = ResultType::same>
constexpr OpDef binary_op(std::string_view name, std::string_view onnx_type, std::string_view summary) {
  OpDef op;
  op.name = name;
  op.summary = summary;
  op.onnx.type = onnx_type;
  op.onnx.min_inputs = op.onnx.max_inputs = 2;
  op.traits = kElementwise | (kResult == ResultType::same ? kFusesActivation : 0);
  op.functor = name;
  op.infer = infer_binary<kTypes, kResult>;
  op.eval = eval_binary<F, kTypes, kResult>;
  op.lower = lower_binary;
  return op;
}

/// The ONNX attributes that become "alpha" and "beta" of a core operator, and their defaults.
struct Parameters {
  AttrSpec specs[2] = {};
  double defaults[2] = {};
  size_t count = 0;
};
constexpr Parameters parameters(std::string_view alpha, double value) {
  return {{{alpha, AttrKind::real}, {}}, {value, 0}, 1};
}
constexpr Parameters parameters(std::string_view alpha, double alpha_value, std::string_view beta, double beta_value) {
  return {{{alpha, AttrKind::real}, {beta, AttrKind::real}}, {alpha_value, beta_value}, 2};
}

template <const Parameters& kParameters>
ImportResult import_parameters(const OnnxNode& node, GraphBuilder& b) {
  Attrs attrs;
  const char* names[] = {"alpha", "beta"};
  for (size_t i = 0; i < kParameters.count; ++i)
    attrs.set(names[i], node.attrs.f(kParameters.specs[i].name, kParameters.defaults[i]));
  return one(b.add(*op_table().find_onnx(node.domain, node.type), node.inputs, std::move(attrs)));
}

/// unary_op with parameters: the functor reads them as d.alpha and d.beta.
template <class F, const Parameters& kParameters, TypeSet kTypes = kFloats>
constexpr OpDef parametric_op(std::string_view name, std::string_view onnx_type, std::string_view summary) {
  OpDef op = unary_op<F, kTypes>(name, onnx_type, summary);
  op.onnx.attrs = {kParameters.specs, kParameters.count};
  op.import = import_parameters<kParameters>;
  return op;
}

}  // namespace kiln
