// SPDX-License-Identifier: Apache-2.0
// What the operators that only move elements share: all of them become strided copies, or views where nothing has to move.
#pragma once

#include <optional>
#include <vector>

#include "compiler/ops/op_util.h"

namespace kiln {

/// A strided copy before it is simplified: for all i below `dims`, element in_offset + i . in_strides of the input goes to
/// element out_offset + i . out_strides of the output. Dimensions stand in the order of the output.
struct StridedCopy {
  std::vector<int64_t> dims, in_strides, out_strides;
  int64_t in_offset = 0, out_offset = 0;
};

/// The descriptor of nn::ref::copy with the fewest dimensions: those of size 1 dropped, those that both sides step through
/// as one merged, and for a transposition the two fast dimensions last. Its rank is at least 2.
Copy copy_descriptor(const StridedCopy& copy);

/// Whether the copy puts one run of the input at the start of the output, so that a view does.
bool is_contiguous(const Copy& copy);

/// eval of an operator whose one output is a strided copy of input 0.
EvalResult eval_copy(const OpArgs& args, const StridedCopy& copy);
/// lower of such an operator: a view if possible, else a `copy` call.
void lower_copy(const Node& node, Lowering& lowering, const StridedCopy& copy);

/// Refuses a node with less than `low` or more than `high` inputs, or without one of the first `low` (bad_node).
Status check_inputs(const OpArgs& args, size_t low, size_t high);

/// Of each dimension: the first index, how many, and from one to the next (negative: backwards; 1 where there is only one).
struct SliceSpec {
  std::vector<int64_t> starts, sizes, steps;
};
SliceSpec whole_slice(const Shape& shape);
/// A slice node, or x itself when the slice is all of it.
Result<ValueId> slice(GraphBuilder& b, ValueId x, const SliceSpec& spec);

/// Whether `type` has a grid for each index of `axis`.
bool is_quantized_along(const TensorType& type, int64_t axis);
/// The result `type` cannot keep its quantization: floats lose their grid, for integers `why` is the error (unsupported_node).
Status lose_grid(TensorType& type, std::string why, std::string hint = {});

/// Quantization of the result when elements of `type` move and dimension i of the result holds the indices of dimension
/// `from[i]` of `type` (-1: of none) in the same order. When the quantized axis is not among them, floats lose their grid and integers are refused (unsupported_node).
Result<std::optional<Quant>> moved_quant(const TensorType& type, const std::vector<int64_t>& from);

/// The ONNX tensor of `transpose(v, perm)`, v holding `onnx` under shape `shape`; nothing where that cannot be said as a permutation.
std::optional<OnnxTensor> permuted_onnx(const std::optional<OnnxTensor>& onnx, const Shape& shape, const std::vector<int64_t>& perm);
/// The operand of a transpose or reshape can be compared with the ONNX tensor that the result `value` holds, and may outlive it: where
/// it stands for no tensor yet it gets that one (and its operand in turn). Does nothing for values of other nodes.
void hand_onnx_up(Graph& graph, ValueId value);

}  // namespace kiln
