// SPDX-License-Identifier: Apache-2.0
// Positions in flattened tensors (indexing.h), and the ONNX operators that read elements by them: composed from `gather`, or from comparisons of positions
// with 0, 1, 2, ...
#include <algorithm>
#include <utility>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/movement.h"
#include "compiler/ops/run_time_value.h"

namespace kiln {

Status check_indices(const TensorType& index) {
  if (index.dtype == DType::i32 || index.dtype == DType::i64) return Done{};
  return bad_node(fmt::format("the indices are {}, they must be i32 or i64.", to_string(index)));
}

ValueId index_constant(GraphBuilder& b, DType dtype, const Shape& shape, const std::vector<int64_t>& values) {
  if (dtype == DType::i64) return b.add_constant(Tensor::of<int64_t>(shape, values));
  return b.add_constant(Tensor::of<int32_t>(shape, std::vector<int32_t>(values.begin(), values.end())));
}

Result<ValueId> count_from_end(GraphBuilder& b, ValueId index, ValueId sizes) {
  Result<ValueId> negative = b.add(ops::less, {index, b.add_constant(scalar(b.type(index).dtype, 0))});
  Result<ValueId> wrapped = negative ? b.add(ops::add, {index, sizes}) : negative;
  return wrapped ? b.add(ops::where, {*negative, *wrapped, index}) : wrapped;
}

std::vector<int64_t> positions(const Shape& shape, const std::vector<int64_t>& strides) {
  std::vector<int64_t> out(static_cast<size_t>(element_count(shape)), 0);
  std::vector<int64_t> at(shape.size(), 0);
  for (int64_t& position : out) {
    for (size_t d = 0; d < shape.size(); ++d) position += at[d] * strides[d];
    for (size_t d = shape.size(); d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
  return out;
}

Result<ValueId> element_positions(GraphBuilder& b, ValueId index, const Shape& shape, size_t axis) {
  const TensorType type = b.type(index);
  if (Status s = check_indices(type); !s) return std::move(s).diagnostic();
  bool fits = type.shape.size() == shape.size();
  for (size_t d = 0; fits && d < shape.size(); ++d) fits = d == axis || type.shape[d] <= shape[d];
  if (!fits) return bad_node(fmt::format("the indices are {}, which is no part of {}.", to_string(type), to_string(shape)));
  if (const Tensor* constant = b.constant(index)) {
    const std::vector<int64_t> indices = *constant->to_int64s();
    for (int64_t i : indices)
      if (!normalize_axis(i, shape[axis])) return bad_node(fmt::format("index {} is outside dimension {}, which has {}.", i, axis, shape[axis]));
  }
  if (shape.size() == 1) return index;
  std::vector<int64_t> strides = row_major_strides(shape);
  const int64_t step = std::exchange(strides[axis], 0);
  Result<ValueId> at = count_from_end(b, index, index_constant(b, type.dtype, {}, {shape[axis]}));
  if (at && step != 1) at = b.add(ops::mul, {*at, index_constant(b, type.dtype, {}, {step})});
  Shape lines = type.shape;  // along the axis, all of a line have the same start
  lines[axis] = 1;
  return at ? b.add(ops::add, {*at, index_constant(b, type.dtype, lines, positions(lines, strides))}) : at;
}

Result<ValueId> slice_positions(GraphBuilder& b, ValueId index, const Shape& shape, int64_t batch) {
  const TensorType type = b.type(index);
  if (Status s = check_indices(type); !s) return std::move(s).diagnostic();
  const int64_t rank = static_cast<int64_t>(shape.size()), indexed = type.rank() > 0 ? type.shape.back() : 0;
  if (rank < 1 || type.rank() < 1 || batch < 0 || batch >= std::min(rank, type.rank()) || indexed < 1 || batch + indexed > rank)
    return bad_node(fmt::format("indices {} with {} batch dimensions do not fit shape {}.", to_string(type), batch, to_string(shape)));
  if (!std::equal(shape.begin(), shape.begin() + batch, type.shape.begin()))
    return bad_node(fmt::format("the first {} dimensions of {} and {} differ.", batch, to_string(shape), to_string(type)));
  const Shape chosen(shape.begin(), shape.begin() + batch + indexed), sizes(shape.begin() + batch, shape.begin() + batch + indexed);
  const Shape points(type.shape.begin(), type.shape.end() - 1);
  if (const Tensor* constant = b.constant(index)) {
    const std::vector<int64_t> indices = *constant->to_int64s();
    for (size_t i = 0; i < indices.size(); ++i)
      if (int64_t size = sizes[i % sizes.size()]; !normalize_axis(indices[i], size))
        return bad_node(fmt::format("index {} is outside dimension {}, which has {}.", indices[i], batch + static_cast<int64_t>(i % sizes.size()), size));
  }
  if (indexed == 1 && batch == 0) return reshape(b, index, points);
  std::vector<int64_t> strides = row_major_strides(chosen);
  Result<ValueId> at = count_from_end(b, index, index_constant(b, type.dtype, {indexed}, sizes));
  if (at) at = b.add(ops::mul, {*at, index_constant(b, type.dtype, {indexed}, {strides.begin() + batch, strides.end()})});
  if (at) at = b.add(ops::reduce_sum, {*at}, {{"axes", std::vector<int64_t>{type.rank() - 1}}});
  if (at) at = reshape(b, *at, points);
  if (!at || batch == 0) return at;
  strides.resize(static_cast<size_t>(batch));
  strides.resize(points.size(), 0);
  return b.add(ops::add, {*at, index_constant(b, type.dtype, points, positions(points, strides))});
}

namespace {

/// y[i][j] = x[index[i][j]][j] (axis 0): every element has an index of its own along the axis.
ImportResult import_gather_elements(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis"), x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis"), x.rank(), to_string(x)));
  Result<ValueId> at = element_positions(b, node.inputs[1], x.shape, static_cast<size_t>(*axis));
  if (!at) return std::move(at).diagnostic();
  Result<ValueId> flat = reshape(b, node.inputs[0], {x.elements()});
  return one(flat ? b.add(ops::gather, {*flat, *at}, {{"axis", int64_t{0}}}) : std::move(flat));
}

/// The last dimension of the indices holds an index for each of as many dimensions of x, behind the batch dimensions.
ImportResult import_gather_nd(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]), index = b.shape(node.inputs[1]);
  const int64_t batch = node.attrs.i("batch_dims");
  Result<ValueId> at = slice_positions(b, node.inputs[1], x, batch);
  if (!at) return std::move(at).diagnostic();
  const auto rest = static_cast<size_t>(batch + index.back());
  Shape slices{product(x, 0, rest)}, shape(index.begin(), index.end() - 1);
  slices.insert(slices.end(), x.begin() + static_cast<int64_t>(rest), x.end());
  shape.insert(shape.end(), slices.begin() + 1, slices.end());
  Result<ValueId> y = reshape(b, node.inputs[0], slices);
  if (y) y = b.add(ops::gather, {*y, *at}, {{"axis", int64_t{0}}});
  return one(y ? reshape(b, *y, shape) : std::move(y));
}

/// Along the time axis the first `lengths[batch]` slices in reverse order, the others where they are: slice t comes from length - 1 - t while that is not
/// negative.
ImportResult import_reverse_sequence(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]), lengths = b.type(node.inputs[1]);
  const int64_t batch_axis = node.attrs.i("batch_axis", 1), time_axis = node.attrs.i("time_axis", 0);
  if (x.rank() < 2 || batch_axis + time_axis != 1 || batch_axis * time_axis != 0)
    return bad_node(fmt::format("batch axis {} and time axis {} must be 0 and 1, of {}.", batch_axis, time_axis, to_string(x)));
  const int64_t batches = x.shape[static_cast<size_t>(batch_axis)], times = x.shape[static_cast<size_t>(time_axis)];
  if (lengths.shape != Shape{batches} || !is_integer(lengths.dtype))
    return bad_node(fmt::format("the lengths are {}, they must be i64[{}].", to_string(lengths), batches));
  const auto along = static_cast<size_t>(time_axis);
  Shape per_batch{batches, batches}, per_time{times, times};
  per_batch[along] = per_time[1 - along] = 1;
  std::vector<int64_t> numbers(static_cast<size_t>(times)), backwards(numbers.size());
  for (size_t t = 0; t < numbers.size(); ++t) numbers[t] = static_cast<int64_t>(t), backwards[t] = -1 - numbers[t];
  const Shape points{x.shape[0], x.shape[1]};
  std::vector<int64_t> strides{points[1], 1};
  const int64_t step = std::exchange(strides[along], 0);
  Result<ValueId> from = cast(b, node.inputs[1], DType::i64);
  if (from) from = reshape(b, *from, per_batch);
  if (from) from = b.add(ops::add, {*from, index_constant(b, DType::i64, per_time, backwards)});
  Result<ValueId> behind = from ? b.add(ops::less, {*from, b.add_constant(scalar(DType::i64, 0))}) : from;
  if (behind) from = b.add(ops::where, {*behind, index_constant(b, DType::i64, per_time, numbers), *from});
  if (from && step != 1) from = b.add(ops::mul, {*from, b.add_constant(scalar(DType::i64, static_cast<double>(step)))});
  if (from) from = b.add(ops::add, {*from, index_constant(b, DType::i64, points, positions(points, strides))});
  if (!from || !behind) return std::move(from ? behind : from).diagnostic();
  Shape slices{points[0] * points[1]};
  slices.insert(slices.end(), x.shape.begin() + 2, x.shape.end());
  Result<ValueId> y = reshape(b, node.inputs[0], slices);
  return one(y ? b.add(ops::gather, {*y, *from}, {{"axis", int64_t{0}}}) : std::move(y));
}

/// One element of a tensor as a scalar.
Result<ValueId> element_of(GraphBuilder& b, ValueId x, int64_t i) {
  Result<ValueId> part = slice(b, x, {{i}, {1}, {1}});
  return part ? reshape(b, *part, {}) : std::move(part);
}

ImportResult import_one_hot(const OnnxNode& node, GraphBuilder& b) {
  const TensorType values = b.type(node.inputs[2]);
  const Tensor* depth = b.constant(node.inputs[1]);
  if (!depth) return run_time_value("the depth of OneHot", b.graph(), node.inputs[1]);
  if (depth->type.elements() != 1 || values.rank() != 1 || values.shape[0] != 2)
    return bad_node(fmt::format("the depth is {} and the values are {}; they must have one and two elements.", to_string(depth->type), to_string(values)));
  const double classes = depth->to_doubles()[0];
  if (!(classes >= 1 && classes <= static_cast<double>(limits::kElements))) return bad_node(fmt::format("the depth is {}, it must be between 1 and {}.", classes, limits::kElements));
  const auto count = static_cast<int64_t>(classes);
  Result<ValueId> index = cast(b, node.inputs[0], DType::i64);
  if (!index) return std::move(index).diagnostic();
  Shape shape = b.shape(*index);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis", -1), static_cast<int64_t>(shape.size()) + 1);
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of the result.", node.attrs.i("axis", -1), shape.size() + 1));
  shape.insert(shape.begin() + *axis, 1);
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int64_t>(i);
  Shape along(shape.size(), 1);
  along[static_cast<size_t>(*axis)] = count;
  index = count_from_end(b, *index, index_constant(b, DType::i64, {}, {count}));
  if (index) index = reshape(b, *index, shape);
  Result<ValueId> hit = index ? b.add(ops::equal, {*index, index_constant(b, DType::i64, along, numbers)}) : index;
  if (!hit) return std::move(hit).diagnostic();
  Result<ValueId> off = element_of(b, node.inputs[2], 0), on = element_of(b, node.inputs[2], 1);
  if (!off || !on) return std::move(off ? on : off).diagnostic();
  return one(b.add(ops::where, {*hit, *on, *off}));
}

ImportResult import_trilu(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  if (x.rank() < 2) return bad_node(fmt::format("the input is {}, it must have at least 2 dimensions.", to_string(x)));
  int64_t k = 0;
  if (node.has(1)) {
    Result<std::vector<int64_t>> diagonal = constant_ints(node, b, 1, "k");
    if (!diagonal) return std::move(diagonal).diagnostic();
    if (diagonal->size() != 1) return bad_node(fmt::format("k has {} elements, it must have one.", diagonal->size()));
    k = std::clamp<int64_t>(diagonal->front(), -limits::kElements, limits::kElements);
  }
  const bool upper = node.attrs.i("upper", 1) != 0;
  const int64_t rows = x.shape[x.shape.size() - 2], columns = x.shape.back();
  Tensor kept(TensorType{DType::boolean, {rows, columns}, {}});
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) kept.as<uint8_t>()[static_cast<size_t>(i * columns + j)] = (upper ? j - i >= k : j - i <= k) ? 1 : 0;
  Tensor zero(TensorType{x.dtype, {}, {}});
  return one(b.add(ops::where, {b.add_constant(std::move(kept)), node.inputs[0], b.add_constant(std::move(zero))}));
}

constexpr AttrSpec kAxisAttrs[] = {{"axis", AttrKind::integer}};
constexpr AttrSpec kGatherNdAttrs[] = {{"batch_dims", AttrKind::integer}};
constexpr AttrSpec kReverseAttrs[] = {{"batch_axis", AttrKind::integer}, {"time_axis", AttrKind::integer}};
constexpr AttrSpec kTriluAttrs[] = {{"upper", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef gather_elements = {
    .summary = "elements along an axis, each by an index of its own",
    .onnx = {.type = "GatherElements", .attrs = kAxisAttrs, .since = 11, .min_inputs = 2, .max_inputs = 2},
    .import = import_gather_elements,
};
const OpDef gather_nd = {
    .summary = "slices by indices of several dimensions",
    .onnx = {.type = "GatherND", .attrs = kGatherNdAttrs, .since = 11, .min_inputs = 2, .max_inputs = 2},
    .import = import_gather_nd,
};
const OpDef reverse_sequence = {
    .summary = "the beginning of each sequence in reverse order",
    .onnx = {.type = "ReverseSequence", .attrs = kReverseAttrs, .since = 10, .min_inputs = 2, .max_inputs = 2},
    .import = import_reverse_sequence,
};
const OpDef one_hot = {
    .summary = "one value at each index along a new axis, another elsewhere; depth must be constant",
    .onnx = {.type = "OneHot", .attrs = kAxisAttrs, .since = 9, .min_inputs = 3, .max_inputs = 3},
    .import = import_one_hot,
};
const OpDef trilu = {
    .summary = "the upper or lower triangle of matrices, zeros elsewhere; k must be constant",
    .onnx = {.type = "Trilu", .attrs = kTriluAttrs, .since = 14, .max_inputs = 2},
    .import = import_trilu,
};
}  // namespace ops

}  // namespace kiln
