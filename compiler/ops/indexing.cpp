// SPDX-License-Identifier: Apache-2.0
// ONNX operators that choose elements by positions computed at run time, composed from core operators: positions become numbers of elements (or of
// slices) of the flattened tensor, which `gather` takes, or are compared with 0, 1, 2, ...
#include <algorithm>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"

namespace kiln {
namespace {

Status check_indices(const TensorType& index) {
  if (index.dtype == DType::i32 || index.dtype == DType::i64) return Done{};
  return bad_node(fmt::format("the indices are {}, they must be i32 or i64.", to_string(index)));
}

/// Integers of an index type as a constant.
ValueId index_constant(GraphBuilder& b, DType dtype, const Shape& shape, const std::vector<int64_t>& values) {
  if (dtype == DType::i64) return b.add_constant(Tensor::of<int64_t>(shape, values));
  return b.add_constant(Tensor::of<int32_t>(shape, std::vector<int32_t>(values.begin(), values.end())));
}

/// Negative indices count from the end: index < 0 ? index + size : index. `sizes` broadcasts to the index.
Result<ValueId> count_from_end(GraphBuilder& b, ValueId index, ValueId sizes) {
  Result<ValueId> negative = b.add(ops::less, {index, b.add_constant(scalar(b.type(index).dtype, 0))});
  Result<ValueId> wrapped = negative ? b.add(ops::add, {index, sizes}) : negative;
  return wrapped ? b.add(ops::where, {*negative, *wrapped, index}) : wrapped;
}

Status check_constant_index(GraphBuilder& b, ValueId index, int64_t size, int64_t axis) {
  const Tensor* values = b.constant(index);
  if (!values) return Done{};
  const std::vector<int64_t> indices = *values->to_int64s();
  for (int64_t i : indices)
    if (!normalize_axis(i, size)) return bad_node(fmt::format("index {} is outside dimension {}, which has {}.", i, axis, size));
  return Done{};
}

/// For each element of a tensor of `shape` the sum of position[d] * stride[d].
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

/// y[i][j] = x[index[i][j]][j] (axis 0): every element has an index of its own along the axis.
ImportResult import_gather_elements(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]), index = b.type(node.inputs[1]);
  if (Status s = check_indices(index); !s) return std::move(s).diagnostic();
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis"), x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis"), x.rank(), to_string(x)));
  const auto along = static_cast<size_t>(*axis);
  bool fits = x.rank() == index.rank();
  for (size_t d = 0; fits && d < x.shape.size(); ++d) fits = d == along || index.shape[d] <= x.shape[d];
  if (!fits) return bad_node(fmt::format("the indices are {}, which is no part of {}.", to_string(index), to_string(x)));
  if (Status s = check_constant_index(b, node.inputs[1], x.shape[along], *axis); !s) return std::move(s).diagnostic();
  std::vector<int64_t> strides = row_major_strides(x.shape);
  const int64_t step = strides[along];
  strides[along] = 0;
  Result<ValueId> at = count_from_end(b, node.inputs[1], index_constant(b, index.dtype, {}, {x.shape[along]}));
  if (at) at = b.add(ops::mul, {*at, index_constant(b, index.dtype, {}, {step})});
  if (at) at = b.add(ops::add, {*at, index_constant(b, index.dtype, index.shape, positions(index.shape, strides))});
  if (!at) return std::move(at).diagnostic();
  Result<ValueId> flat = reshape(b, node.inputs[0], {x.elements()});
  return one(flat ? b.add(ops::gather, {*flat, *at}, {{"axis", int64_t{0}}}) : std::move(flat));
}

/// The last dimension of the indices holds an index for each of as many dimensions of x, behind the batch dimensions.
ImportResult import_gather_nd(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]), index = b.type(node.inputs[1]);
  if (Status s = check_indices(index); !s) return std::move(s).diagnostic();
  const int64_t batch = node.attrs.i("batch_dims"), indexed = index.rank() > 0 ? index.shape.back() : 0;
  if (x.rank() < 1 || index.rank() < 1 || batch < 0 || batch >= std::min(x.rank(), index.rank()) || indexed < 1 || batch + indexed > x.rank())
    return bad_node(fmt::format("indices {} with {} batch dimensions do not fit {}.", to_string(index), batch, to_string(x)));
  if (!std::equal(x.shape.begin(), x.shape.begin() + batch, index.shape.begin()))
    return bad_node(fmt::format("the first {} dimensions of {} and {} differ.", batch, to_string(x), to_string(index)));
  const Shape chosen(x.shape.begin(), x.shape.begin() + batch + indexed), rest(x.shape.begin() + batch + indexed, x.shape.end());
  const Shape sizes(x.shape.begin() + batch, x.shape.begin() + batch + indexed), points(index.shape.begin(), index.shape.end() - 1);
  std::vector<int64_t> strides = row_major_strides(chosen);  // in slices of `rest`
  Result<ValueId> at = count_from_end(b, node.inputs[1], index_constant(b, index.dtype, {indexed}, sizes));
  if (at) at = b.add(ops::mul, {*at, index_constant(b, index.dtype, {indexed}, {strides.begin() + batch, strides.end()})});
  if (at) at = b.add(ops::reduce_sum, {*at}, {{"axes", std::vector<int64_t>{index.rank() - 1}}});
  if (at) at = reshape(b, *at, points);
  if (at && batch > 0) {
    std::vector<int64_t> batch_strides(strides.begin(), strides.begin() + batch);
    batch_strides.resize(points.size(), 0);
    at = b.add(ops::add, {*at, index_constant(b, index.dtype, points, positions(points, batch_strides))});
  }
  if (!at) return std::move(at).diagnostic();
  Shape slices{element_count(chosen)}, shape = points;
  slices.insert(slices.end(), rest.begin(), rest.end());
  shape.insert(shape.end(), rest.begin(), rest.end());
  Result<ValueId> y = reshape(b, node.inputs[0], slices);
  if (y) y = b.add(ops::gather, {*y, *at}, {{"axis", int64_t{0}}});
  return one(y ? reshape(b, *y, shape) : std::move(y));
}

/// One element of a tensor as a scalar.
Result<ValueId> element_of(GraphBuilder& b, ValueId x, int64_t i) {
  Result<ValueId> part = slice(b, x, {{i}, {1}, {1}});
  return part ? reshape(b, *part, {}) : std::move(part);
}

ImportResult import_one_hot(const OnnxNode& node, GraphBuilder& b) {
  const TensorType values = b.type(node.inputs[2]);
  const Tensor* depth = b.constant(node.inputs[1]);
  if (!depth)
    return unsupported("the depth of OneHot is computed at run time, it must be a constant.", "kiln fixes all shapes when it compiles; export the model with static shapes.");
  if (depth->type.elements() != 1 || values.rank() != 1 || values.shape[0] != 2)
    return bad_node(fmt::format("the depth is {} and the values are {}; they must have one and two elements.", to_string(depth->type), to_string(values)));
  const double classes = depth->to_doubles()[0];
  if (!(classes >= 1 && classes <= static_cast<double>(kMaxElements))) return bad_node(fmt::format("the depth is {}, it must be between 1 and {}.", classes, kMaxElements));
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
    k = std::clamp<int64_t>(diagonal->front(), -kMaxElements, kMaxElements);
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
