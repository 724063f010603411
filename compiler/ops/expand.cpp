// SPDX-License-Identifier: Apache-2.0
// expand: repeats dimensions of size 1 (NumPy broadcasting). tile: repeats whole dimensions. Both are copies with strides of 0.
#include <algorithm>

#include "compiler/ops/movement.h"

namespace kiln {
namespace {

InferResult infer_expand(const OpArgs& args) {
  if (Status s = check_inputs(args, 1, 1); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  Shape shape = args.attrs.ints("shape");
  if (broadcast(x.shape, shape) != std::optional<Shape>(shape))
    return bad_node(fmt::format("{} cannot be expanded to {}.", to_string(x), to_string(shape)));
  std::vector<int64_t> from(shape.size(), -1);
  for (size_t i = 0; i < x.shape.size(); ++i) {
    size_t at = shape.size() - x.shape.size() + i;
    if (shape[at] == x.shape[i]) from[at] = static_cast<int64_t>(i);
  }
  Result<std::optional<Quant>> quant = moved_quant(x, from);
  if (!quant) return std::move(quant).diagnostic();
  return std::vector<TensorType>{{x.dtype, std::move(shape), std::move(*quant)}};
}

StridedCopy expand_copy(const TensorType& x, const Attrs& attrs) {
  Shape shape = attrs.ints("shape");
  return {shape, broadcast_strides(x.shape, shape), row_major_strides(shape)};
}

EvalResult eval_expand(const OpArgs& args) { return eval_copy(args, expand_copy(args.in(0), args.attrs)); }

bool permute_expand(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) {
  permute_entries(attrs, "shape", perm);
  return true;
}

Status lower_expand(const OpArgs& args, const Node& node, Lowering& lowering) {
  lower_copy(node, lowering, expand_copy(args.in(0), node.attrs));
  return Done{};
}

ImportResult import_expand(const OnnxNode& node, GraphBuilder& b) {
  ValueId x = node.inputs[0];
  Result<std::vector<int64_t>> wanted = constant_ints(node, b, 1, "shape");
  if (!wanted) return std::move(wanted).diagnostic();
  std::optional<Shape> shape = broadcast(b.shape(x), *wanted);
  if (!shape) return bad_node(fmt::format("{} cannot be expanded to {}.", to_string(b.type(x)), to_string(*wanted)));
  if (element_count(*shape) == b.type(x).elements()) return one(reshape(b, x, *shape));
  return one(b.add(ops::expand, {x}, {{"shape", *shape}}));
}

/// Each dimension d repeated r times is read as [r, d], which the copy steps through by 0 and by d's stride.
StridedCopy tile_copy(const TensorType& x, const std::vector<int64_t>& repeats) {
  StridedCopy copy;
  std::vector<int64_t> strides = row_major_strides(x.shape);
  for (size_t i = 0; i < x.shape.size(); ++i) {
    if (repeats[i] != 1) {
      copy.dims.push_back(repeats[i]);
      copy.in_strides.push_back(0);
    }
    copy.dims.push_back(x.shape[i]);
    copy.in_strides.push_back(strides[i]);
  }
  copy.out_strides = row_major_strides(copy.dims);
  return copy;
}

InferResult infer_tile(const OpArgs& args) {
  if (Status s = check_inputs(args, 1, 1); !s) return std::move(s).diagnostic();
  TensorType y = args.in(0);
  std::vector<int64_t> repeats = args.attrs.ints("repeats");
  if (repeats.size() != y.shape.size())
    return bad_node(fmt::format("{} repeats for the {} dimensions of {}.", repeats.size(), y.rank(), to_string(y)));
  size_t loops = repeats.size();
  for (size_t i = 0; i < repeats.size(); ++i) {
    if (repeats[i] < 0 || repeats[i] > limits::kElements)
      return bad_node(fmt::format("dimension {} is to be repeated {} times, it must be between 0 and {}.", i, repeats[i], limits::kElements));
    if (repeats[i] != 1) {
      ++loops;
      if (is_quantized_along(y, static_cast<int64_t>(i)))
        if (Status s = lose_grid(y, fmt::format("{} is quantized per index of axis {}, which is repeated.", to_string(y), i)); !s)
          return std::move(s).diagnostic();
    }
    y.shape[i] *= repeats[i];
  }
  if (loops > static_cast<size_t>(limits::kRank))
    return error(DiagId::limit_exceeded, fmt::format("repeating {} needs {} loops, the limit is {}.", to_string(args.in(0)), loops, limits::kRank));
  return std::vector<TensorType>{std::move(y)};
}

EvalResult eval_tile(const OpArgs& args) { return eval_copy(args, tile_copy(args.in(0), args.attrs.ints("repeats"))); }

bool permute_tile(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) {
  permute_entries(attrs, "repeats", perm);
  return true;
}

Status lower_tile(const OpArgs& args, const Node& node, Lowering& lowering) {
  lower_copy(node, lowering, tile_copy(args.in(0), node.attrs.ints("repeats")));
  return Done{};
}

ImportResult import_tile(const OnnxNode& node, GraphBuilder& b) {
  ValueId x = node.inputs[0];
  Result<std::vector<int64_t>> repeats = constant_ints(node, b, 1, "repeats");
  if (!repeats) return std::move(repeats).diagnostic();
  if (std::all_of(repeats->begin(), repeats->end(), [](int64_t r) { return r == 1; }) && repeats->size() == b.shape(x).size())
    return std::vector<ValueId>{x};
  if (repeats->size() <= static_cast<size_t>(limits::kRank) / 2) return one(b.add(ops::tile, {x}, {{"repeats", *repeats}}));
  for (size_t i = repeats->size(); i-- > 0;) {  // many dimensions: one after the other, so that each fits a copy's loops
    if ((*repeats)[i] == 1) continue;
    std::vector<int64_t> single(repeats->size(), 1);
    single[i] = (*repeats)[i];
    Result<ValueId> next = b.add(ops::tile, {x}, {{"repeats", single}});
    if (!next) return std::move(next).diagnostic();
    x = *next;
  }
  return std::vector<ValueId>{x};
}

}  // namespace

namespace ops {
const OpDef expand = {
    .name = "expand",
    .summary = "repeats dimensions of size 1",
    .onnx = {.type = "Expand", .since = 8, .min_inputs = 2, .max_inputs = 2},
    .traits = kMovesData,
    .infer = infer_expand,
    .import = import_expand,
    .eval = eval_expand,
    .lower = lower_expand,
    .permute = permute_expand,
};
const OpDef tile = {
    .name = "tile",
    .summary = "repeats a tensor along its dimensions",
    .onnx = {.type = "Tile", .since = 6, .min_inputs = 2, .max_inputs = 2},
    .traits = kMovesData,
    .infer = infer_tile,
    .import = import_tile,
    .eval = eval_tile,
    .lower = lower_tile,
    .permute = permute_tile,
};
}  // namespace ops

}  // namespace kiln
