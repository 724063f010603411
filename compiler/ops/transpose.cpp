// SPDX-License-Identifier: Apache-2.0
// transpose: y's dimension i is x's dimension perm[i].
#include <algorithm>
#include <numeric>

#include "compiler/ops/movement.h"

namespace kiln {
namespace {

InferResult infer_transpose(const OpArgs& args) {
  if (Status s = check_inputs(args, 1, 1); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  std::vector<int64_t> perm = args.attrs.ints("perm");
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  if (static_cast<int64_t>(perm.size()) != x.rank() || !is_identity_permutation(sorted))
    return bad_node(fmt::format("perm {} is not a permutation of the {} dimensions of {}.", to_string(perm), x.rank(), to_string(x)));
  Result<std::optional<Quant>> quant = moved_quant(x, perm);
  if (!quant) return std::move(quant).diagnostic();
  return std::vector<TensorType>{{x.dtype, permute(x.shape, perm), std::move(*quant)}};
}

StridedCopy transpose_copy(const TensorType& x, const Attrs& attrs) {
  std::vector<int64_t> perm = attrs.ints("perm");
  StridedCopy copy;
  copy.dims = permute(x.shape, perm);
  copy.in_strides = permute(row_major_strides(x.shape), perm);
  copy.out_strides = row_major_strides(copy.dims);
  return copy;
}

EvalResult eval_transpose(const OpArgs& args) { return eval_copy(args, transpose_copy(args.in(0), args.attrs)); }

Status lower_transpose(const OpArgs& args, const Node& node, Lowering& lowering) {
  lower_copy(node, lowering, transpose_copy(args.in(0), node.attrs));
  return Done{};
}

ImportResult import_transpose(const OnnxNode& node, GraphBuilder& b) {
  std::vector<int64_t> reversed(b.shape(node.inputs[0]).size());
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  return one(transpose(b, node.inputs[0], node.attrs.ints("perm", reversed)));
}

constexpr AttrSpec kTransposeAttrs[] = {{"perm", AttrKind::integers}};

/// Whether the dimensions longer than 1 keep their order, so that no element moves.
bool moves_nothing(const Shape& shape, const std::vector<int64_t>& perm) {
  int64_t last = -1;
  for (int64_t p : perm) {
    if (shape[static_cast<size_t>(p)] == 1) continue;
    if (p < last) return false;
    last = p;
  }
  return true;
}

}  // namespace

Result<ValueId> transpose(GraphBuilder& b, ValueId x, const std::vector<int64_t>& perm) {
  Attrs attrs{{"perm", perm}};
  Result<std::vector<TensorType>> type = infer_transpose(OpArgs{ops::transpose, attrs, {&b.type(x)}, {nullptr}, {}});
  if (!type) return std::move(type).diagnostic();
  if (const Node* before = b.graph().producer(x); before && before->op == &ops::transpose)
    return transpose(b, before->inputs[0], permute(before->attrs.ints("perm"), perm));
  if (is_identity_permutation(perm)) return x;
  bool per_axis = b.type(x).quant && b.type(x).quant->scale.size() > 1;  // whose axis a reshape might lose
  if (moves_nothing(b.shape(x), perm) && !per_axis) return reshape(b, x, type->front().shape);
  return b.add(ops::transpose, {x}, std::move(attrs));
}

namespace ops {
const OpDef transpose = {
    .name = "transpose",
    .summary = "permutes the dimensions",
    .onnx = {.type = "Transpose", .attrs = kTransposeAttrs, .max_inputs = 1},
    .traits = kMovesData,
    .infer = infer_transpose,
    .import = import_transpose,
    .eval = eval_transpose,
    .lower = lower_transpose,
};
}  // namespace ops

}  // namespace kiln
