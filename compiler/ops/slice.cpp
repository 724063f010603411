// SPDX-License-Identifier: Apache-2.0
// slice: every steps[i]-th index from starts[i] on, sizes[i] of them, in each dimension i; steps may be negative. ONNX Slice, Split.
#include <algorithm>

#include "compiler/ops/movement.h"

namespace kiln {
namespace {

InferResult infer_slice(const OpArgs& args) {
  if (Status s = check_inputs(args, 1, 1); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  std::vector<int64_t> starts = args.attrs.ints("starts"), sizes = args.attrs.ints("sizes"), steps = args.attrs.ints("steps");
  if (starts.size() != x.shape.size() || sizes.size() != x.shape.size() || steps.size() != x.shape.size())
    return bad_node(fmt::format("a slice of {} needs {} starts, sizes and steps, there are {}, {} and {}.", to_string(x), x.rank(),
                                starts.size(), sizes.size(), steps.size()));
  TensorType y{x.dtype, sizes, x.quant};
  for (size_t i = 0; i < starts.size(); ++i) {
    int64_t dim = x.shape[i];
    bool sane = sizes[i] >= 0 && sizes[i] <= dim && steps[i] != 0 && steps[i] >= -dim - 1 && steps[i] <= dim + 1;
    bool starts_inside = starts[i] >= 0 && starts[i] < dim;
    int64_t last = sane && starts_inside ? starts[i] + (sizes[i] - 1) * steps[i] : 0;
    if (!sane || (sizes[i] > 0 && !(starts_inside && last >= 0 && last < dim)))
      return bad_node(fmt::format("start {}, size {} and step {} leave dimension {} of {}.", starts[i], sizes[i], steps[i], i, to_string(x)));
    if (is_quantized_along(y, static_cast<int64_t>(i)) && (sizes[i] != dim || steps[i] != 1))
      if (Status s = lose_grid(y, fmt::format("{} is quantized per index of axis {}, which is cut.", to_string(x), i)); !s)
        return std::move(s).diagnostic();
  }
  return std::vector<TensorType>{std::move(y)};
}

StridedCopy slice_copy(const TensorType& x, const Attrs& attrs) {
  std::vector<int64_t> starts = attrs.ints("starts"), steps = attrs.ints("steps");
  StridedCopy copy;
  copy.dims = attrs.ints("sizes");
  copy.in_strides = row_major_strides(x.shape);
  for (size_t i = 0; i < starts.size(); ++i) {
    copy.in_offset += starts[i] * copy.in_strides[i];
    copy.in_strides[i] *= steps[i];
  }
  copy.out_strides = row_major_strides(copy.dims);
  return copy;
}

EvalResult eval_slice(const OpArgs& args) { return eval_copy(args, slice_copy(args.in(0), args.attrs)); }

bool permute_slice(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) {
  for (std::string_view name : {"starts", "sizes", "steps"}) permute_entries(attrs, name, perm);
  return true;
}

Status lower_slice(const OpArgs& args, const Node& node, Lowering& lowering) {
  lower_copy(node, lowering, slice_copy(args.in(0), node.attrs));
  return Done{};
}

/// The indices start, start + step, ... before `end` of a dimension, by the rules of ONNX: as in NumPy, but a backward
/// slice that starts below the first index starts at it.
struct Range {
  int64_t start, size;
};
Range clamp_range(int64_t start, int64_t end, int64_t step, int64_t dim) {
  if (dim == 0) return {0, 0};
  int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
  start = std::clamp<int64_t>(start < 0 ? start + dim : start, 0, high);
  end = std::clamp(end < 0 ? end + dim : end, low, high);
  int64_t distance = step > 0 ? end - start : start - end;
  // Steps as large as INT64_MAX are in use for "the first only"; the magnitude is taken without overflow.
  uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : ~static_cast<uint64_t>(step) + 1;
  if (distance <= 0) return {0, 0};
  return {start, static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / stride) + 1};
}

/// Input `i` of ONNX Slice since opset 10, or the attribute of that name before; nothing if absent.
Result<std::optional<std::vector<int64_t>>> slice_operand(const OnnxNode& node, GraphBuilder& b, size_t i, std::string_view name) {
  using Ints = std::optional<std::vector<int64_t>>;
  if (node.has(i)) {
    Result<std::vector<int64_t>> values = constant_ints(node, b, i, name);
    if (!values) return std::move(values).diagnostic();
    return Ints(std::move(*values));
  }
  return node.attrs.has(name) ? Ints(node.attrs.ints(name)) : Ints();
}

ImportResult import_slice(const OnnxNode& node, GraphBuilder& b) {
  const Shape& shape = b.shape(node.inputs[0]);
  std::optional<std::vector<int64_t>> operands[4];
  constexpr std::string_view kNames[] = {"starts", "ends", "axes", "steps"};
  for (size_t i = 0; i < 4; ++i) {
    auto operand = slice_operand(node, b, i + 1, kNames[i]);
    if (!operand) return std::move(operand).diagnostic();
    operands[i] = std::move(*operand);
    if (i < 2 && !operands[i]) return bad_node(fmt::format("'{}' is missing.", kNames[i]));
    if (operands[i] && operands[i]->size() != operands[0]->size())
      return bad_node(fmt::format("'{}' has {} entries, 'starts' has {}.", kNames[i], operands[i]->size(), operands[0]->size()));
  }
  const std::vector<int64_t>&starts = *operands[0], &ends = *operands[1];
  std::vector<int64_t> axes(starts.size()), steps = operands[3].value_or(std::vector<int64_t>(starts.size(), 1));
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = operands[2] ? (*operands[2])[i] : static_cast<int64_t>(i);
  Result<std::vector<int64_t>> normalized = normalized_axes(axes, static_cast<int64_t>(shape.size()));
  if (!normalized) return std::move(normalized).diagnostic();
  SliceSpec spec = whole_slice(shape);
  for (size_t i = 0; i < axes.size(); ++i) {
    auto axis = static_cast<size_t>((*normalized)[i]);
    if (steps[i] == 0) return bad_node(fmt::format("the step along axis {} is 0.", axis));
    Range range = clamp_range(starts[i], ends[i], steps[i], shape[axis]);
    spec.starts[axis] = range.start;
    spec.sizes[axis] = range.size;
    spec.steps[axis] = range.size > 1 ? steps[i] : 1;
  }
  return one(slice(b, node.inputs[0], spec));
}

/// The lengths of the parts that ONNX Split asks for along a dimension of `dim`.
Result<std::vector<int64_t>> split_sizes(const OnnxNode& node, GraphBuilder& b, int64_t dim) {
  auto outputs = static_cast<int64_t>(node.output_count);
  if (node.has(1) || node.attrs.has("split")) {
    Result<std::vector<int64_t>> sizes = node.attrs.ints("split");
    if (node.has(1)) sizes = constant_ints(node, b, 1, "split");
    if (!sizes) return sizes;
    int64_t left = dim;
    bool fits = static_cast<int64_t>(sizes->size()) == outputs;
    for (int64_t size : *sizes) {
      fits = fits && size >= 0 && size <= left;
      left -= fits ? size : 0;
    }
    if (!fits || left != 0)
      return bad_node(fmt::format("'split' {} does not divide a dimension of {} into {} outputs.", to_string(*sizes), dim, outputs));
    return sizes;
  }
  int64_t parts = node.attrs.i("num_outputs", outputs);
  if (parts < 1 || parts != outputs) return bad_node(fmt::format("'num_outputs' is {}, the node has {} outputs.", parts, outputs));
  if (node.opset < 18 && dim % parts != 0) return bad_node(fmt::format("a dimension of {} cannot be split into {} equal parts.", dim, parts));
  int64_t size = (dim + parts - 1) / parts;
  if (size * (parts - 1) > dim) return bad_node(fmt::format("a dimension of {} is too short for {} parts of {}.", dim, parts, size));
  std::vector<int64_t> sizes(static_cast<size_t>(parts), size);
  sizes.back() = dim - size * (parts - 1);
  return sizes;
}

ImportResult import_split(const OnnxNode& node, GraphBuilder& b) {
  ValueId x = node.inputs[0];
  const Shape shape = b.shape(x);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis", 0), b.type(x).rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis"), shape.size(), to_string(b.type(x))));
  auto at = static_cast<size_t>(*axis);
  Result<std::vector<int64_t>> sizes = split_sizes(node, b, shape[at]);
  if (!sizes) return std::move(sizes).diagnostic();
  std::vector<ValueId> parts;
  SliceSpec spec = whole_slice(shape);
  for (size_t i = 0; i < sizes->size(); ++i) {
    spec.sizes[at] = (*sizes)[i];
    if (i < node.output_used.size() && !node.output_used[i]) {
      parts.push_back(kNoValue);
    } else {
      Result<ValueId> part = slice(b, x, spec);
      if (!part) return std::move(part).diagnostic();
      parts.push_back(*part);
    }
    spec.starts[at] += (*sizes)[i];
  }
  return parts;
}

constexpr AttrSpec kSliceAttrs[] = {{"starts", AttrKind::integers}, {"ends", AttrKind::integers}, {"axes", AttrKind::integers}};
constexpr AttrSpec kSplitAttrs[] = {{"axis", AttrKind::integer}, {"split", AttrKind::integers}, {"num_outputs", AttrKind::integer}};

}  // namespace

SliceSpec whole_slice(const Shape& shape) {
  return {std::vector<int64_t>(shape.size(), 0), shape, std::vector<int64_t>(shape.size(), 1)};
}

Result<ValueId> slice(GraphBuilder& b, ValueId x, const SliceSpec& spec) {
  SliceSpec whole = whole_slice(b.shape(x));
  if (spec.sizes == whole.sizes && spec.steps == whole.steps) return x;
  return b.add(ops::slice, {x}, {{"starts", spec.starts}, {"sizes", spec.sizes}, {"steps", spec.steps}});
}

namespace ops {
const OpDef slice = {
    .name = "slice",
    .summary = "a regular part of a tensor",
    .onnx = {.type = "Slice", .attrs = kSliceAttrs, .max_inputs = 5},
    .traits = kMovesData,
    .infer = infer_slice,
    .import = import_slice,
    .eval = eval_slice,
    .lower = lower_slice,
    .permute = permute_slice,
};
const OpDef split = {
    .summary = "cuts a tensor into parts along an axis",
    .onnx = {.type = "Split", .attrs = kSplitAttrs, .since = 2, .max_inputs = 2},
    .import = import_split,
};
}  // namespace ops

}  // namespace kiln
