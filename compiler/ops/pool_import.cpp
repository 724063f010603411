// SPDX-License-Identifier: Apache-2.0
// ONNX pools from max_pool2d and average_pool2d. A box-shaped window can be pooled one dimension after another, so 3-D pools are two: the
// last two dimensions, then the first. LpPool is an average of powers times the size of the window.
#include <algorithm>
#include <cmath>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/pool.h"

namespace kiln {
namespace {

/// What an ONNX node asks for, and its input with the channels last: x [N,spatial...,C].
struct OnnxPool {
  ValueId x = kNoValue;
  std::vector<WindowAxis> axes;
  bool ceil = false, count_padding = false;
};

Result<OnnxPool> onnx_pool(const OnnxNode& node, GraphBuilder& b) {
  const Shape shape = b.shape(node.inputs[0]);
  if (shape.size() < 3) return bad_node(fmt::format("the input is {}, it must be [N,C,...] with at least 3 dimensions.", to_string(shape)));
  if (shape.size() > 5) return unsupported(fmt::format("the input is {}: windows in {} dimensions are not supported, the limit is 3.", to_string(shape), shape.size() - 2));
  if (!node.attrs.has("kernel_shape")) return bad_node("attribute 'kernel_shape' is missing.");
  Result<std::vector<WindowAxis>> axes = onnx_window_axes(node, shape, node.attrs.ints("kernel_shape"));
  if (!axes) return std::move(axes).diagnostic();
  for (const WindowAxis& w : *axes)
    if (int64_t pad = std::max(w.before, w.after); pad >= w.reach())
      return bad_node(fmt::format("a pad is {}, the window reaches only over {} pixels: some windows would see padding alone.", pad, w.reach()));
  Result<ValueId> x = transpose(b, node.inputs[0], channels_last_order(static_cast<int64_t>(shape.size())));
  if (!x) return std::move(x).diagnostic();
  return OnnxPool{*x, *std::move(axes), rounds_up(node), node.attrs.i("count_include_pad") != 0};
}

/// x [N,H,W,C] pooled by `op` along H and W.
Result<ValueId> pool2d(GraphBuilder& b, const OpDef& op, ValueId x, const OnnxPool& pool, const WindowAxis& vertical, const WindowAxis& horizontal) {
  Window window = window_of(vertical, horizontal);
  window.ceil = pool.ceil;
  Attrs attrs = window_attrs(window);
  attrs.set("kernel", Shape{vertical.kernel, horizontal.kernel});
  if (pool.count_padding) attrs.set("count_include_pad", int64_t{1});
  return b.add(op, {x}, std::move(attrs));
}

/// pool.x, or a function `x` of it, pooled: [N,positions...,C].
Result<ValueId> pooled(GraphBuilder& b, const OpDef& op, ValueId x, const OnnxPool& pool) {
  const Shape s = b.shape(x);
  if (pool.axes.size() == 2) return pool2d(b, op, x, pool, pool.axes[0], pool.axes[1]);
  if (pool.axes.size() == 1) {
    Result<ValueId> y = reshape(b, x, {s[0], 1, s[1], s[2]});
    if (y) y = pool2d(b, op, *y, pool, {}, pool.axes[0]);
    if (!y) return y;
    const Shape out = b.shape(*y);
    return reshape(b, *y, {out[0], out[2], out[3]});
  }
  Result<ValueId> y = reshape(b, x, {s[0] * s[1], s[2], s[3], s[4]});
  if (y) y = pool2d(b, op, *y, pool, pool.axes[1], pool.axes[2]);
  if (!y) return y;
  const Shape slices = b.shape(*y);
  y = reshape(b, *y, {s[0], s[1], slices[1] * slices[2], s[4]});
  if (y) y = pool2d(b, op, *y, pool, pool.axes[0], {});
  return y ? reshape(b, *y, {s[0], b.shape(*y)[1], slices[1], slices[2], s[4]}) : y;
}

Result<ValueId> channels_second(GraphBuilder& b, Result<ValueId> y) {
  return y ? transpose(b, *y, inverse_permutation(channels_last_order(static_cast<int64_t>(b.shape(*y).size())))) : y;
}

/// Chains `op` with a scalar operand onto y.
void apply(GraphBuilder& b, Result<ValueId>& y, const OpDef& op, double operand) {
  if (y) y = b.add(op, {*y, b.add_constant(scalar(b.type(*y).dtype, operand))});
}

/// Numbers of elements in the ONNX input [N,C,...] from positions in each image of the pool's result.
Result<ValueId> flat_indices(GraphBuilder& b, Result<ValueId> positions, Shape x, bool by_columns) {
  const int64_t width = x.back(), image = product(x, 2, x.size()), height = image / width;
  if (by_columns && height > 1 && positions) {  // row * W + column -> column * H + row
    Result<ValueId> row = positions, column = positions;
    apply(b, row, ops::div, static_cast<double>(width));
    apply(b, column, ops::modulo, static_cast<double>(width));
    apply(b, column, ops::mul, static_cast<double>(height));
    if (!row || !column) return row ? column : row;
    positions = b.add(ops::add, {*row, *column});
  }
  std::vector<int64_t> starts(static_cast<size_t>(x[0] * x[1]));
  for (size_t i = 0; i < starts.size(); ++i) starts[i] = static_cast<int64_t>(i) * image;
  Shape shape(x.size(), 1);
  shape.front() = x[0];
  shape.back() = x[1];
  return positions ? b.add(ops::add, {*positions, b.add_constant(Tensor::of<int64_t>(shape, starts))}) : positions;
}

/// The p-th powers of |x| and, with `root`, what undoes them.
void power(GraphBuilder& b, Result<ValueId>& y, int64_t p, bool root) {
  if (!y || (root && p == 1)) return;
  if (p == 2) y = root ? b.add(ops::sqrt, {*y}) : b.add(ops::mul, {*y, *y});
  else if (!root) y = b.add(ops::abs, {*y});
  if (p > 2) apply(b, y, ops::pow, root ? 1.0 / static_cast<double>(p) : static_cast<double>(p));
}

Result<int64_t> power_of(const OnnxNode& node) {
  const int64_t p = node.attrs.i("p", 2);
  if (p < 1) return bad_node(fmt::format("'p' is {}, it must be positive.", p));
  return p;
}

ImportResult import_lp_pool(const OnnxNode& node, GraphBuilder& b) {
  Result<OnnxPool> pool = onnx_pool(node, b);
  if (!pool) return std::move(pool).diagnostic();
  Result<int64_t> p = power_of(node);
  if (!p) return std::move(p).diagnostic();
  double taps = 1;
  const Shape shape = b.shape(pool->x);
  for (size_t i = 0; i < pool->axes.size(); ++i) {  // so much padding that every window lies within it: all averages count all taps
    WindowAxis& w = pool->axes[i];
    const int64_t slack = w.before + shape[i + 1] + w.after - w.reach();
    if (slack >= 0 && pool->ceil && slack % w.stride != 0 && (slack / w.stride + 1) * w.stride < shape[i + 1] + w.before) w.after += w.stride - slack % w.stride;
    taps *= static_cast<double>(w.kernel);
  }
  pool->ceil = false;
  pool->count_padding = true;
  Result<ValueId> y = pool->x;
  power(b, y, *p, false);
  if (y) y = pooled(b, ops::average_pool2d, *y, *pool);
  apply(b, y, ops::mul, taps);
  power(b, y, *p, true);
  return one(channels_second(b, std::move(y)));
}

ImportResult import_global_lp_pool(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  if (x.rank() < 3) return bad_node(fmt::format("the input {} has no spatial dimensions.", to_string(x)));
  Result<int64_t> p = power_of(node);
  if (!p) return std::move(p).diagnostic();
  std::vector<int64_t> axes;
  for (int64_t i = 1; i < x.rank() - 1; ++i) axes.push_back(i);
  Result<ValueId> y = transpose(b, node.inputs[0], channels_last_order(x.rank()));
  power(b, y, *p, false);
  if (y) y = b.add(ops::reduce_sum, {*y}, {{"axes", axes}});
  power(b, y, *p, true);
  return one(channels_second(b, std::move(y)));
}

/// Zeros, with each element of x at its index in the shape that the attributes make. A larger "output_shape" gets more zeros at the ends.
ImportResult import_max_unpool(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]), index = b.type(node.inputs[1]);
  if (index.shape != x.shape || index.dtype != DType::i64) return bad_node(fmt::format("indices {} do not fit the input {}.", to_string(index), to_string(x)));
  if (x.rank() < 3 || !node.attrs.has("kernel_shape")) return bad_node(fmt::format("the input is {}, or 'kernel_shape' is missing.", to_string(x)));
  Result<std::vector<WindowAxis>> axes = onnx_window_axes(node, x.shape, node.attrs.ints("kernel_shape"));
  if (!axes) return std::move(axes).diagnostic();
  Shape shape = {x.shape[0], x.shape[1]}, none(x.shape.size(), 0), more = none;
  for (size_t i = 0; i < axes->size(); ++i) {
    const WindowAxis& w = (*axes)[i];
    shape.push_back((x.shape[i + 2] - 1) * w.stride - w.before - w.after + w.kernel);
  }
  if (Status s = check_shape(shape); !s) return std::move(s).diagnostic();
  Result<ValueId> values = reshape(b, node.inputs[0], {x.elements()}), at = reshape(b, node.inputs[1], {x.elements()});
  if (!values || !at) return std::move(values ? at : values).diagnostic();
  const ValueId zeros = b.add_constant(Tensor({x.dtype, {element_count(shape)}, {}}), "zeros");
  Result<ValueId> y = b.add(ops::scatter, {zeros, *at, *values});
  if (y) y = reshape(b, *y, shape);
  if (!y || !node.has(2)) return one(std::move(y));
  Result<std::vector<int64_t>> wanted = constant_ints(node, b, 2, "output_shape");
  if (!wanted) return std::move(wanted).diagnostic();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (wanted->size() != shape.size() || (*wanted)[i] < shape[i] || (*wanted)[i] > limits::kElements)
      return bad_node(fmt::format("'output_shape' is {}, the attributes make {}.", to_string(*wanted), to_string(std::span<const int64_t>(shape))));
    more[i] = (*wanted)[i] - shape[i];
  }
  return one(*wanted == shape ? std::move(y) : b.add(ops::pad, {*y}, {{"before", none}, {"after", more}}));
}

constexpr AttrSpec kMaxUnpoolAttrs[] = {{"kernel_shape", AttrKind::integers}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers}};
constexpr AttrSpec kLpPoolAttrs[] = {
    {"auto_pad", AttrKind::string}, {"ceil_mode", AttrKind::integer}, {"dilations", AttrKind::integers}, {"kernel_shape", AttrKind::integers},
    {"p", AttrKind::integer}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers},
};
constexpr AttrSpec kGlobalLpPoolAttrs[] = {{"p", AttrKind::integer}};

}  // namespace

ImportResult import_max_pool(const OnnxNode& node, GraphBuilder& b) {
  Result<OnnxPool> pool = onnx_pool(node, b);
  if (!pool) return std::move(pool).diagnostic();
  std::vector<ValueId> outputs(std::max<size_t>(node.output_count, 1), kNoValue);
  Result<ValueId> y = channels_second(b, pooled(b, ops::max_pool2d, pool->x, *pool));
  if (!y) return std::move(y).diagnostic();
  outputs[0] = *y;
  if (node.output_used.size() < 2 || !node.output_used[1]) return outputs;
  if (pool->axes.size() > 2) return unsupported("output 'Indices' of MaxPool in 3 dimensions is not supported.");
  Result<ValueId> positions = pooled(b, ops::max_pool2d_positions, pool->x, *pool);
  positions = channels_second(b, flat_indices(b, std::move(positions), b.shape(node.inputs[0]), node.attrs.i("storage_order") != 0));
  if (!positions) return std::move(positions).diagnostic();
  outputs[1] = *positions;
  return outputs;
}

ImportResult import_average_pool(const OnnxNode& node, GraphBuilder& b) {
  Result<OnnxPool> pool = onnx_pool(node, b);
  if (!pool) return std::move(pool).diagnostic();
  return one(channels_second(b, pooled(b, ops::average_pool2d, pool->x, *pool)));
}

namespace ops {
const OpDef max_unpool = {
    .summary = "elements at the indices that MaxPool gave, zeros elsewhere",
    .onnx = {.type = "MaxUnpool", .attrs = kMaxUnpoolAttrs, .since = 9, .min_inputs = 2, .max_inputs = 3},
    .import = import_max_unpool,
};
const OpDef lp_pool = {
    .summary = "p-norm over windows, in one to three dimensions",
    .onnx = {.type = "LpPool", .attrs = kLpPoolAttrs, .since = 2, .max_inputs = 1},
    .import = import_lp_pool,
};
const OpDef global_lp_pool = {
    .summary = "p-norm over the spatial dimensions",
    .onnx = {.type = "GlobalLpPool", .attrs = kGlobalLpPoolAttrs, .since = 2, .max_inputs = 1},
    .import = import_global_lp_pool,
};
}  // namespace ops

}  // namespace kiln
