// SPDX-License-Identifier: Apache-2.0
// What several operator files need.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <vector>

#include "compiler/ir/builder.h"
#include "compiler/ir/opdef.h"
#include "compiler/ops/ops.h"
#include "compiler/program/lowering.h"

namespace kiln {

using InferResult = Result<std::vector<TensorType>>;
using EvalResult = Result<std::vector<Tensor>>;
using ImportResult = Result<std::vector<ValueId>>;

/// "the model is wrong here": an ONNX node or IR node that breaks its operator's rules.
[[nodiscard]] inline Diagnostic bad_node(std::string message, std::string hint = {}) {
  return error(DiagId::bad_node, std::move(message), std::move(hint));
}
/// "valid ONNX that kiln cannot compile".
[[nodiscard]] inline Diagnostic unsupported(std::string message, std::string hint = {}) {
  return error(DiagId::unsupported_node, std::move(message), std::move(hint));
}

/// Wraps the single value of a Result as the outputs of an import hook.
[[nodiscard]] ImportResult one(Result<ValueId> value);

/// The elements of an integer input that a shape, an axis or the like depends on; `what` is its ONNX name. Errors: bad_node,
/// and unsupported_node when the model computes it at run time.
Result<std::vector<int64_t>> constant_ints(const OnnxNode& node, GraphBuilder& b, size_t input, std::string_view what);
/// Axes in [-rank, rank) as those in [0, rank), in the order given. Refuses others and repeated ones (bad_node).
Result<std::vector<int64_t>> normalized_axes(std::vector<int64_t> axes, int64_t rank);

// Builders of the most used nodes; they return their input unchanged when there is nothing to do.
Result<ValueId> reshape(GraphBuilder& b, ValueId x, const Shape& shape);
Result<ValueId> transpose(GraphBuilder& b, ValueId x, const std::vector<int64_t>& perm);
Result<ValueId> cast(GraphBuilder& b, ValueId x, DType to);

// For `permute` hooks (OpDef::permute): attribute `name` is an axis, or has an entry for each dimension.
void permute_axis(Attrs& attrs, std::string_view name, std::span<const int64_t> perm);
void permute_entries(Attrs& attrs, std::string_view name, std::span<const int64_t> perm);

/// Calls `f.template operator()<T>()` with the arithmetic C++ type of `dtype`. Fails with unsupported_type on f16, bf16 and
/// 4-bit types, which have no arithmetic of their own.
template <class F>
auto with_number_type(DType dtype, F&& f) -> decltype(f.template operator()<float>()) {
  if (dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::i4 || dtype == DType::u4)
    return error(DiagId::unsupported_type, fmt::format("arithmetic on {} is not supported.", dtype_name(dtype)));
  return with_storage_type(dtype, std::forward<F>(f));
}

/// The same for floating-point types.
template <class F>
auto with_float_type(DType dtype, F&& f) -> decltype(f.template operator()<float>()) {
  if (dtype == DType::f32) return f.template operator()<float>();
  if (dtype == DType::f64) return f.template operator()<double>();
  return error(DiagId::unsupported_type, fmt::format("{} is not supported here, only f32 and f64 are.", dtype_name(dtype)));
}

/// Refuses operands that are not all f32, or all f64 (unsupported_type, bad_node).
Status check_floats(const OpArgs& args);
/// The program tensor of bias operand `input`, or a constant of `count` zeros when the node has none.
TensorId bias_or_zeros(const Node& node, size_t input, int64_t count, Lowering& lowering);

/// The activation that a fusing pass left on a node: attributes "act" (functor), "alpha", "beta".
struct Activation {
  std::string functor = "none";
  float alpha = 0, beta = 0;
};
Activation activation_of(const Attrs& attrs);

/// What ONNX Runtime has fused into an operator of com.microsoft: `y` after the function that attribute "activation" names, as an ONNX
/// operator ("Relu"), with `parameters` in the order of that operator's; `y` itself where there is none. Errors: unsupported_node.
Result<ValueId> fused_activation(const OnnxNode& node, GraphBuilder& b, ValueId y, const std::vector<double>& parameters);

/// For eval hooks of operators that can carry a fused activation: `y`, computed without it, becomes the one output.
EvalResult with_activation(const OpArgs& args, Tensor y);

}  // namespace kiln
