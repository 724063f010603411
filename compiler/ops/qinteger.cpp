// SPDX-License-Identifier: Apache-2.0
// ONNX's sums of integers, without a result grid: ConvInteger and MatMulInteger, whose results are i32, and com.microsoft's
// MatMulIntegerToFloat and DynamicQuantizeMatMul, which scale those.
//
// Zero points that are known make qconv2d, qdense or qmatmul subtract them. Those computed at run time (DynamicQuantizeLinear)
// are subtracted from the sums, since sum (a - za) (w - zw) = sum a w - za sum w - zw (sum a - K za): the sum of constant weights
// is a constant.
#include <algorithm>

#include "compiler/ops/conv.h"
#include "compiler/ops/elementwise.h"
#include "compiler/ops/matmul.h"
#include "compiler/ops/qlinear.h"

namespace kiln {
namespace {

/// The one value of a zero point: 0 when it is absent, nothing when it is computed or differs between channels.
std::optional<int64_t> known_zero_point(GraphBuilder& b, ValueId zero) {
  if (zero == kNoValue) return 0;
  const Tensor* constant = b.constant(zero);
  if (!constant) return std::nullopt;
  std::vector<int64_t> values = constant->to_int64s().value_or(std::vector<int64_t>{});
  bool uniform = !values.empty() && std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
  return uniform ? std::optional(values[0]) : std::nullopt;
}

ValueId input(const OnnxNode& node, size_t i) { return node.has(i) ? node.inputs[i] : kNoValue; }

/// The sum of v over axes, which stay with size 1, minus `centre`; i32.
Result<ValueId> centred_sum(GraphBuilder& b, ValueId v, std::vector<int64_t> axes, int64_t centre) {
  Result<ValueId> y = cast(b, v, DType::i32);
  if (y) y = b.add(ops::reduce_sum, {*y}, {{"axes", std::move(axes)}});
  if (y && centre != 0) y = b.add(ops::sub, {*y, b.add_constant(scalar(DType::i32, static_cast<double>(centre)))});
  return y;
}

/// sums - zero * others, in i32.
Result<ValueId> without_share(GraphBuilder& b, ValueId sums, ValueId zero, const Result<ValueId>& others) {
  if (!others) return others;
  Result<ValueId> share = cast(b, zero, DType::i32);
  if (share) share = b.add(ops::mul, {*share, *others});
  return share ? b.add(ops::sub, {sums, *share}) : share;
}

/// An operand of MatMulInteger as a matrix, and its zero point with a shape that broadcasts against it.
struct Factor {
  ValueId v = kNoValue, zero = kNoValue;
};

Status check_zero_point(GraphBuilder& b, const Factor& f, std::string_view what) {
  if (f.zero == kNoValue) return Done{};
  if (b.type(f.zero).dtype != b.type(f.v).dtype)
    return bad_node(fmt::format("the zero point of {} is {}, {} is {}.", what, to_string(b.type(f.zero)), what, to_string(b.type(f.v))));
  return Done{};
}

/// A zero point of one entry as a scalar; one per row of the left operand as a column.
Result<ValueId> shaped_zero_point(GraphBuilder& b, ValueId zero, bool per_row) {
  if (zero == kNoValue) return zero;
  const Shape shape = b.shape(zero);
  if (element_count(shape) == 1) return reshape(b, zero, {});
  return per_row && shape.size() == 1 ? reshape(b, zero, {shape[0], 1}) : zero;
}

/// i32 [...,M,N] of matrices [...,M,K] and [...,K,N].
Result<ValueId> integer_product(GraphBuilder& b, const Factor& left, const Factor& right) {
  const Shape w_shape = b.shape(right.v);
  auto rows = static_cast<int64_t>(w_shape.size()) - 2;
  int64_t terms = w_shape[static_cast<size_t>(rows)];
  std::optional<int64_t> a_zero = known_zero_point(b, left.zero), w_zero = known_zero_point(b, right.zero);
  Attrs attrs{{"x_zero_point", a_zero.value_or(0)}, {"w_zero_point", w_zero.value_or(0)}};
  Result<ValueId> w = right.v;
  bool layer = b.constant(right.v) && product(w_shape, 0, w_shape.size() - 2) == 1;
  if (layer) w = reshape(b, *w, {terms, w_shape.back()});
  if (w && layer) w = transpose(b, *w, {1, 0});
  if (!w) return w;
  Result<ValueId> y = b.add(layer ? ops::qdense : ops::qmatmul, {left.v, *w}, std::move(attrs));
  if (y && !a_zero) y = without_share(b, *y, left.zero, centred_sum(b, right.v, {rows}, terms * w_zero.value_or(0)));
  if (!y || w_zero) return y;
  Result<ValueId> row_sums = centred_sum(b, left.v, {b.type(left.v).rank() - 1}, terms * a_zero.value_or(0));
  if (row_sums && !a_zero) {
    Result<ValueId> zero = cast(b, left.zero, DType::i32);
    if (zero) row_sums = without_share(b, *row_sums, *zero, b.add_constant(scalar(DType::i32, static_cast<double>(terms))));
    else row_sums = zero;
  }
  return without_share(b, *y, right.zero, row_sums);
}

/// The product of operands that may be vectors, as MatMul has it.
Result<ValueId> integer_matmul(GraphBuilder& b, Factor left, Factor right) {
  if (Status s = check_zero_point(b, left, "the first operand"); !s) return std::move(s).diagnostic();
  if (Status s = check_zero_point(b, right, "the second operand"); !s) return std::move(s).diagnostic();
  const Shape l = b.shape(left.v), r = b.shape(right.v);
  if (l.empty() || r.empty()) return bad_node(fmt::format("operands {} and {} must not be scalars.", to_string(l), to_string(r)));
  Result<ValueId> a = l.size() == 1 ? reshape(b, left.v, {1, l[0]}) : left.v, w = r.size() == 1 ? reshape(b, right.v, {r[0], 1}) : right.v;
  Result<ValueId> a_zero = shaped_zero_point(b, left.zero, true), w_zero = shaped_zero_point(b, right.zero, false);
  for (const Result<ValueId>* v : {&a, &w, &a_zero, &w_zero})
    if (!*v) return *v;
  Result<Shape> shape = matmul_shape({ops::qmatmul, {}, {&b.type(*a), &b.type(*w)}, {}, {}});
  if (!shape) return std::move(shape).diagnostic();
  Result<ValueId> y = integer_product(b, {*a, *a_zero}, {*w, *w_zero});
  if (!y) return y;
  if (r.size() == 1) shape->pop_back();
  if (l.size() == 1) shape->erase(shape->end() - (r.size() == 1 ? 1 : 2));
  if (element_count(*shape) != b.type(*y).elements()) return bad_node("the zero points do not fit the operands.");
  return reshape(b, *y, *shape);
}

/// Inputs: a, b, a_zero_point, b_zero_point. a_zero_point can have an entry per row, b_zero_point one per column.
ImportResult import_matmul_integer(const OnnxNode& node, GraphBuilder& b) {
  return one(integer_matmul(b, {node.inputs[0], input(node, 2)}, {node.inputs[1], input(node, 3)}));
}

/// Weights whose zero points differ between output channels, as i16 without them.
Result<ValueId> centred_weights(GraphBuilder& b, ValueId w, ValueId zero) {
  Result<ValueId> wide = cast(b, w, DType::i16), offset = cast(b, zero, DType::i16);
  if (offset) offset = reshape(b, *offset, {b.shape(w)[0], 1, 1, 1});
  if (!wide || !offset) return wide ? offset : wide;
  return b.add(ops::sub, {*wide, *offset});
}

/// Inputs: x, w, x_zero_point, w_zero_point (one, or one per output channel). Padding counts as the zero point of x.
ImportResult import_conv_integer(const OnnxNode& node, GraphBuilder& b) {
  if (!b.constant(node.inputs[1])) return unsupported("weights computed at run time are not supported.");
  ValueId x_zero_point = input(node, 2), w_zero_point = input(node, 3);
  for (const auto& [f, what] : {std::pair{Factor{node.inputs[0], x_zero_point}, "the input"}, {Factor{node.inputs[1], w_zero_point}, "the weights"}})
    if (Status s = check_zero_point(b, f, what); !s) return std::move(s).diagnostic();
  Result<OnnxConv> conv = onnx_conv(node, b);
  if (!conv) return std::move(conv).diagnostic();
  std::optional<int64_t> x_zero = known_zero_point(b, x_zero_point), w_zero = known_zero_point(b, w_zero_point);
  if (!w_zero && !b.constant(w_zero_point)) return unsupported("a zero point of the weights that is computed at run time is not supported.");
  int64_t channels = b.shape(conv->w)[0];
  if (!w_zero && b.type(w_zero_point).elements() != channels)
    return bad_node(fmt::format("the zero point of the weights is {}, it needs 1 or {} entries.", to_string(b.type(w_zero_point)), channels));
  Result<ValueId> w = w_zero ? conv->w : centred_weights(b, conv->w, w_zero_point);
  if (!w) return one(w);
  Result<ValueId> x = conv->x, x_scalar = x_zero_point;
  if (!x_zero) {
    if (b.type(x_zero_point).elements() != 1) return unsupported("more than one zero point of the input is not supported.");
    x_scalar = reshape(b, x_zero_point, {});
    if (!x_scalar) return one(x_scalar);
    Window& window = conv->window;
    std::vector<int64_t> before{0, window.before[0], window.before[1], 0}, after{0, window.after[0], window.after[1], 0};
    x = b.add(ops::pad, {*x, *x_scalar}, {{"before", before}, {"after", after}});
    if (!x) return one(x);
    window.before = window.after = {0, 0};
  }
  Attrs attrs = conv_attrs(*conv);
  attrs.set("x_zero_point", x_zero.value_or(0));
  attrs.set("w_zero_point", w_zero.value_or(0));
  Result<ValueId> y = b.add(ops::qconv2d, {*x, *w}, std::move(attrs));
  if (y && !x_zero) {
    Result<ValueId> sums = centred_sum(b, *w, {1, 2, 3}, w_zero.value_or(0) * product(b.shape(*w), 1, 4));
    if (sums) sums = reshape(b, *sums, {channels});
    y = without_share(b, *y, *x_scalar, sums);
  }
  return one(y ? from_channels_last(b, *y, conv->rank) : y);
}

/// sums * a_scale * b_scale + bias. A scale can have an entry per column.
Result<ValueId> scaled_sums(GraphBuilder& b, const Result<ValueId>& sums, ValueId a_scale, ValueId w_scale, ValueId bias) {
  if (!sums) return sums;
  Result<ValueId> scale[] = {a_scale, w_scale};
  for (Result<ValueId>& s : scale) {
    if (b.type(*s).elements() == 1) s = reshape(b, *s, {});
    if (!s) return s;
  }
  Result<ValueId> y = cast(b, *sums, DType::f32), factor = b.add(ops::mul, {*scale[0], *scale[1]});
  if (!factor) return factor;
  if (y) y = b.add(ops::mul, {*y, *factor});
  return y && bias != kNoValue ? b.add(ops::add, {*y, bias}) : y;
}

/// Inputs: a, b, a_scale, b_scale, a_zero_point, b_zero_point, bias. On a constant grid it is MatMul of floats, and may become integer
/// with what follows.
ImportResult import_matmul_integer_to_float(const OnnxNode& node, GraphBuilder& b) {
  bool constant_grid = b.constant(node.inputs[2]) && b.constant(node.inputs[3]) && (!node.has(4) || b.constant(node.inputs[4])) &&
                       (!node.has(5) || b.constant(node.inputs[5]));
  if (constant_grid) {
    Result<ValueId> left = dequantized(node.inputs[0], grid_operands(node, 2, 4, -2), node, b);
    Result<ValueId> right = dequantized(node.inputs[1], grid_operands(node, 3, 5, -1), node, b);
    if (!left) return one(left);
    if (!right) return one(right);
    Result<ValueId> y = import_as("MatMul", {*left, *right}, {}, node, b);
    return one(y && node.has(6) ? b.add(ops::add, {*y, node.inputs[6]}) : y);
  }
  Result<ValueId> sums = integer_matmul(b, {node.inputs[0], input(node, 4)}, {node.inputs[1], input(node, 5)});
  return one(scaled_sums(b, sums, node.inputs[2], node.inputs[3], input(node, 6)));
}

/// Inputs: a, b, b_scale, b_zero_point, bias. a is quantized as DynamicQuantizeLinear does.
ImportResult import_dynamic_quantize_matmul(const OnnxNode& node, GraphBuilder& b) {
  ImportResult a = b.add_multi(ops::dynamic_quantize, {node.inputs[0]});
  if (!a) return a;
  Result<ValueId> sums = integer_matmul(b, {(*a)[0], (*a)[2]}, {node.inputs[1], input(node, 3)});
  return one(scaled_sums(b, sums, (*a)[1], node.inputs[2], input(node, 4)));
}

constexpr AttrSpec kConvIntegerAttrs[] = {
    {"auto_pad", AttrKind::string}, {"dilations", AttrKind::integers}, {"group", AttrKind::integer},
    {"kernel_shape", AttrKind::integers}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers},
};

}  // namespace

namespace ops {
const OpDef conv_integer = {
    .summary = "convolution of integers",
    .onnx = {.type = "ConvInteger", .attrs = kConvIntegerAttrs, .min_inputs = 2, .max_inputs = 4},
    .import = import_conv_integer,
};
const OpDef matmul_integer = {
    .summary = "product of matrices of integers",
    .onnx = {.type = "MatMulInteger", .attrs = {}, .min_inputs = 2, .max_inputs = 4},
    .import = import_matmul_integer,
};
const OpDef microsoft_matmul_integer_to_float = {
    .summary = "scaled product of matrices of integers",
    .onnx = {.type = "MatMulIntegerToFloat", .domain = "com.microsoft", .attrs = {}, .min_inputs = 4, .max_inputs = 7},
    .import = import_matmul_integer_to_float,
};
const OpDef microsoft_dynamic_quantize_matmul = {
    .summary = "product of a matrix, quantized at run time, and one of integers",
    .onnx = {.type = "DynamicQuantizeMatMul", .domain = "com.microsoft", .attrs = {}, .min_inputs = 3, .max_inputs = 5},
    .import = import_dynamic_quantize_matmul,
};
}  // namespace ops

}  // namespace kiln
