// SPDX-License-Identifier: Apache-2.0
// ONNX's operators on integers with a result grid: QLinearConv, QLinearMatMul, and com.microsoft's QGemm and QLinear... Each is
// what it abbreviates: dequantize -> the float operator -> quantize. The pass integer-layers makes integers of that again, as it
// does of models that spell it out.
//
// Source of the com.microsoft forms: ONNX Runtime's docs/ContribOperators.md. A zero point that is left out is 0. Integers whose
// type is left out with it have that of the first operand.
#include <algorithm>

#include "compiler/ops/qlinear.h"

namespace kiln {
namespace {

/// v as a vector of one entry per index along an axis of `dim`, or as a scalar; `what` names it.
Result<ValueId> grid_vector(GraphBuilder& b, ValueId v, int64_t dim, std::string_view what) {
  const Shape shape = b.shape(v);
  if (element_count(shape) == 1) return reshape(b, v, {});
  bool is_vector = std::count(shape.begin(), shape.end(), 1) + 1 == static_cast<int64_t>(shape.size());
  if (is_vector && element_count(shape) == dim) return reshape(b, v, {dim});
  return unsupported(fmt::format("{} is {}, it must have one entry or {} along one axis.", what, to_string(b.type(v)), dim));
}

}  // namespace

Result<ValueId> import_as(std::string_view type, std::vector<ValueId> inputs, Attrs attrs, const OnnxNode& node, GraphBuilder& b) {
  constexpr int64_t kOpset = 17;  // the newest in which all axes are attributes
  const OpDef& op = *op_table().find_onnx("", type);
  OnnxNode plain{"", std::string(type), node.name, kOpset, std::move(attrs), std::move(inputs), 1, {true}};
  while (!plain.inputs.empty() && plain.inputs.back() == kNoValue) plain.inputs.pop_back();
  if (!op.import) return b.add(op, std::move(plain.inputs), std::move(plain.attrs));
  ImportResult values = op.import(plain, b);
  if (!values) return std::move(values).diagnostic();
  return values->front();
}

namespace {

/// QuantizeLinear or DequantizeLinear of x.
Result<ValueId> convert(std::string_view type, ValueId x, const OnnxGridOperands& grid, const OnnxNode& node, GraphBuilder& b) {
  int64_t axis = grid.axis < 0 ? grid.axis + b.type(x).rank() : grid.axis;
  int64_t dim = axis >= 0 && axis < b.type(x).rank() ? b.shape(x)[static_cast<size_t>(axis)] : 1;
  Result<ValueId> scale = cast(b, grid.scale, DType::f32);
  if (scale) scale = grid_vector(b, *scale, dim, "the scale");
  if (!scale) return scale;
  Result<ValueId> zero = grid.zero_point;
  if (*zero != kNoValue) zero = grid_vector(b, *zero, dim, "the zero point");
  if (!zero) return zero;
  bool repeats = *zero != kNoValue && b.shape(*zero).empty() && b.type(*scale).rank() == 1;
  if (repeats) zero = b.add(ops::expand, {*zero}, {{"shape", b.shape(*scale)}});
  if (!zero) return zero;
  Attrs attrs;
  if (b.type(*scale).rank() == 1) attrs.set("axis", axis);
  return import_as(type, {x, *scale, *zero}, std::move(attrs), node, b);
}

}  // namespace

OnnxGridOperands grid_operands(const OnnxNode& node, size_t scale, size_t zero_point, int64_t axis) {
  return {node.inputs[scale], node.has(zero_point) ? node.inputs[zero_point] : kNoValue, axis};
}

Result<ValueId> dequantized(ValueId x, const OnnxGridOperands& grid, const OnnxNode& node, GraphBuilder& b) {
  return convert("DequantizeLinear", x, grid, node, b);
}

Result<ValueId> quantized(ValueId y, OnnxGridOperands grid, DType dtype, const OnnxNode& node, GraphBuilder& b) {
  if (grid.zero_point == kNoValue) grid.zero_point = b.add_constant(Tensor(TensorType{dtype, {}, {}}));
  return convert("QuantizeLinear", y, grid, node, b);
}

Result<ValueId> dequantized_bias(ValueId bias, ValueId x_scale, ValueId w_scale, const OnnxNode& node, GraphBuilder& b) {
  if (b.type(bias).dtype != DType::i32) return bad_node(fmt::format("the bias is {}, it must be i32.", to_string(b.type(bias))));
  Result<ValueId> scale = cast(b, x_scale, DType::f32), w = cast(b, w_scale, DType::f32);
  if (!w) return w;
  if (scale) scale = b.add(ops::mul, {*scale, *w});
  if (!scale) return scale;
  return dequantized(bias, {*scale, kNoValue, -1}, node, b);
}

namespace {

/// Refuses a node without these inputs (bad_node); those in between are optional.
Status check_given(const OnnxNode& node, std::initializer_list<size_t> inputs) {
  for (size_t i : inputs)
    if (!node.has(i)) return bad_node(fmt::format("input {} is missing, {} needs it.", i, node.type));
  return Done{};
}

/// Operand at `input`, with scale and zero point in the two inputs behind it.
Result<ValueId> dequantized_at(size_t input, const OnnxNode& node, GraphBuilder& b, int64_t axis = -1) {
  return dequantized(node.inputs[input], grid_operands(node, input + 1, input + 2, axis), node, b);
}

/// y on the grid at `scale` and behind it, of the type of input `like`.
ImportResult quantized_at(const Result<ValueId>& y, size_t scale, size_t like, const OnnxNode& node, GraphBuilder& b, int64_t axis = -1) {
  if (!y) return one(y);
  return one(quantized(*y, grid_operands(node, scale, scale + 1, axis), b.type(node.inputs[like]).dtype, node, b));
}

/// The attributes but those that `names` lists.
Attrs without(const Attrs& attrs, std::initializer_list<std::string_view> names) {
  Attrs rest = attrs;
  for (std::string_view name : names) rest.erase(name);
  return rest;
}

/// [N,...,C] -> [N,C,...], and back.
Result<ValueId> channels_second(ValueId x, GraphBuilder& b) {
  std::vector<int64_t> perm{0, b.type(x).rank() - 1};
  for (int64_t i = 1; i + 1 < b.type(x).rank(); ++i) perm.push_back(i);
  return transpose(b, x, perm);
}
Result<ValueId> channels_last(ValueId x, GraphBuilder& b) {
  std::vector<int64_t> perm{0};
  for (int64_t i = 2; i < b.type(x).rank(); ++i) perm.push_back(i);
  perm.push_back(1);
  return transpose(b, x, perm);
}

/// The float operator `type` on x, which com.microsoft's attribute channels_last can say to be [N,...,C].
Result<ValueId> spatial(std::string_view type, ValueId x, std::vector<ValueId> others, const OnnxNode& node, GraphBuilder& b) {
  bool last = node.attrs.i("channels_last") != 0;
  if (last && b.type(x).rank() < 3) return bad_node(fmt::format("the input {} has no spatial dimensions.", to_string(b.type(x))));
  Result<ValueId> image = last ? channels_second(x, b) : x;
  if (!image) return image;
  others.insert(others.begin(), *image);
  Result<ValueId> y = import_as(type, std::move(others), without(node.attrs, {"channels_last"}), node, b);
  return y && last ? channels_last(*y, b) : y;
}

/// Inputs: x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, bias. w is [O,C/group,...] in both layouts,
/// its scale one or one per output channel; the bias lies on the grid of scale x_scale * w_scale.
ImportResult import_qlinear_conv(const OnnxNode& node, GraphBuilder& b) {
  if (b.type(node.inputs[0]).rank() < 3) return bad_node(fmt::format("the input {} has no spatial dimensions.", to_string(b.type(node.inputs[0]))));
  Result<ValueId> x = dequantized_at(0, node, b), w = dequantized_at(3, node, b, 0);
  if (!x) return one(x);
  if (!w) return one(w);
  std::vector<ValueId> others{*w};
  if (node.has(8)) {
    Result<ValueId> bias = dequantized_bias(node.inputs[8], node.inputs[1], node.inputs[4], node, b);
    if (!bias) return one(bias);
    others.push_back(*bias);
  }
  return quantized_at(spatial("Conv", *x, std::move(others), node, b), 6, 0, node, b);
}

/// Inputs: a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point. a and y can have a grid per row, b per column.
ImportResult import_qlinear_matmul(const OnnxNode& node, GraphBuilder& b) {
  Result<ValueId> left = dequantized_at(0, node, b, -2), right = dequantized_at(3, node, b, -1);
  if (!left) return one(left);
  if (!right) return one(right);
  return quantized_at(import_as("MatMul", {*left, *right}, {}, node, b), 6, 0, node, b, -2);
}

/// Inputs: a, a_scale, a_zero_point, b, b_scale, b_zero_point, c, y_scale, y_zero_point. alpha * a * b + c, where c is i32 with scale
/// alpha * a_scale * b_scale. b can have a grid per column of the product. Without y_scale the result is float.
ImportResult import_qgemm(const OnnxNode& node, GraphBuilder& b) {
  double alpha = node.attrs.f("alpha", 1);
  if (!(alpha > 0)) return unsupported(fmt::format("'alpha' is {}, only values above 0 are supported.", alpha));
  OnnxGridOperands grid = grid_operands(node, 4, 5, node.attrs.i("transB") != 0 ? 0 : 1);
  if (alpha != 1) {
    Result<ValueId> scale = b.add(ops::mul, {grid.scale, b.add_constant(Tensor::floats({}, {static_cast<float>(alpha)}))});
    if (!scale) return one(scale);
    grid.scale = *scale;
  }
  Result<ValueId> left = dequantized_at(0, node, b), right = dequantized(node.inputs[3], grid, node, b);
  if (!left) return one(left);
  if (!right) return one(right);
  Result<ValueId> bias = kNoValue;
  if (node.has(6)) bias = dequantized_bias(node.inputs[6], node.inputs[1], grid.scale, node, b);
  if (!bias) return one(bias);
  Result<ValueId> y = import_as("Gemm", {*left, *right, *bias}, without(node.attrs, {"alpha"}), node, b);
  return node.has(7) ? quantized_at(y, 7, 0, node, b) : one(y);
}

/// QLinearAdd, QLinearMul: a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point.
ImportResult import_qlinear_binary(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_given(node, {3, 4, 6}); !s) return std::move(s).diagnostic();
  Result<ValueId> left = dequantized_at(0, node, b), right = dequantized_at(3, node, b);
  if (!left) return one(left);
  if (!right) return one(right);
  return quantized_at(import_as(node.type == "QLinearAdd" ? "Add" : "Mul", {*left, *right}, {}, node, b), 6, 0, node, b);
}

/// Operators of one operand: x, x_scale, x_zero_point, y_scale, y_zero_point, and the attributes of the float operator.
ImportResult import_qlinear_unary(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_given(node, {3}); !s) return std::move(s).diagnostic();
  Result<ValueId> x = dequantized_at(0, node, b);
  if (!x) return one(x);
  std::string_view type = std::string_view(node.type).substr(std::string_view("QLinear").size());
  return quantized_at(spatial(type, *x, {}, node, b), 3, 0, node, b);
}

/// `opset` says which Softmax is meant: before 13 it spans all dimensions from the axis on.
ImportResult import_qlinear_softmax(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_given(node, {3}); !s) return std::move(s).diagnostic();
  Result<ValueId> x = dequantized_at(0, node, b);
  if (!x) return one(x);
  OnnxNode plain{"", "Softmax", node.name, node.attrs.i("opset", 13), without(node.attrs, {"opset"}), {*x}, 1, {true}};
  ImportResult y = ops::softmax.import(plain, b);
  if (!y) return y;
  return quantized_at(y->front(), 3, 0, node, b);
}

/// Inputs: y_scale, y_zero_point, then x, x_scale, x_zero_point of each piece.
ImportResult import_qlinear_concat(const OnnxNode& node, GraphBuilder& b) {
  std::vector<ValueId> pieces;
  for (size_t i = 2; i < std::max<size_t>(node.inputs.size(), 3); i += 3) {
    if (Status s = check_given(node, {i, i + 1}); !s) return std::move(s).diagnostic();
    Result<ValueId> piece = dequantized_at(i, node, b);
    if (!piece) return one(piece);
    pieces.push_back(*piece);
  }
  return quantized_at(import_as("Concat", std::move(pieces), node.attrs, node, b), 0, 2, node, b);
}

/// Inputs: condition, x, x_scale, x_zero_point, y, y_scale, y_zero_point, z_scale, z_zero_point.
ImportResult import_qlinear_where(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_given(node, {4, 5, 7}); !s) return std::move(s).diagnostic();
  Result<ValueId> x = dequantized_at(1, node, b), y = dequantized_at(4, node, b);
  if (!x) return one(x);
  if (!y) return one(y);
  return quantized_at(import_as("Where", {node.inputs[0], *x, *y}, {}, node, b), 7, 1, node, b);
}

constexpr AttrSpec kQLinearConvAttrs[] = {
    {"auto_pad", AttrKind::string}, {"dilations", AttrKind::integers}, {"group", AttrKind::integer}, {"kernel_shape", AttrKind::integers},
    {"pads", AttrKind::integers}, {"strides", AttrKind::integers}, {"channels_last", AttrKind::integer},
};
constexpr AttrSpec kQGemmAttrs[] = {{"alpha", AttrKind::real}, {"transA", AttrKind::integer}, {"transB", AttrKind::integer}};
constexpr AttrSpec kAlphaAttrs[] = {{"alpha", AttrKind::real}};
constexpr AttrSpec kLayoutAttrs[] = {{"channels_last", AttrKind::integer}};
constexpr AttrSpec kPoolAttrs[] = {
    {"auto_pad", AttrKind::string}, {"ceil_mode", AttrKind::integer}, {"channels_last", AttrKind::integer}, {"count_include_pad", AttrKind::integer},
    {"kernel_shape", AttrKind::integers}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers},
};
constexpr AttrSpec kQConcatAttrs[] = {{"axis", AttrKind::integer}};
constexpr AttrSpec kQSoftmaxAttrs[] = {{"axis", AttrKind::integer}, {"opset", AttrKind::integer}};
constexpr AttrSpec kQReduceAttrs[] = {{"axes", AttrKind::integers}, {"keepdims", AttrKind::integer}};

constexpr OpDef qlinear_op(OnnxOp onnx, std::string_view summary, ImportResult (*import)(const OnnxNode&, GraphBuilder&)) {
  OpDef op;
  op.summary = summary;
  op.onnx = onnx;
  op.import = import;
  return op;
}

constexpr OpDef unary_qlinear_op(std::string_view type, std::span<const AttrSpec> attrs, std::string_view summary) {
  return qlinear_op({.type = type, .domain = "com.microsoft", .attrs = attrs, .min_inputs = 2, .max_inputs = 5}, summary, import_qlinear_unary);
}

}  // namespace

namespace ops {
const OpDef qlinear_conv = qlinear_op({.type = "QLinearConv", .attrs = std::span(kQLinearConvAttrs).first(6), .min_inputs = 8, .max_inputs = 9},
                                      "convolution of integers on grids", import_qlinear_conv);
const OpDef microsoft_qlinear_conv =
    qlinear_op({.type = "QLinearConv", .domain = "com.microsoft", .attrs = kQLinearConvAttrs, .min_inputs = 8, .max_inputs = 9},
               "convolution of integers on grids, channels second or last", import_qlinear_conv);
const OpDef qlinear_matmul = qlinear_op({.type = "QLinearMatMul", .attrs = {}, .min_inputs = 8, .max_inputs = 8},
                                        "product of matrices of integers on grids", import_qlinear_matmul);
const OpDef microsoft_qgemm = qlinear_op({.type = "QGemm", .domain = "com.microsoft", .attrs = kQGemmAttrs, .min_inputs = 6, .max_inputs = 9},
                                         "alpha * a * b + c of integers on grids", import_qgemm);
const OpDef microsoft_qlinear_add = qlinear_op({.type = "QLinearAdd", .domain = "com.microsoft", .attrs = {}, .min_inputs = 2, .max_inputs = 8},
                                               "sum of integers on grids", import_qlinear_binary);
const OpDef microsoft_qlinear_mul = qlinear_op({.type = "QLinearMul", .domain = "com.microsoft", .attrs = {}, .min_inputs = 2, .max_inputs = 8},
                                               "product of integers on grids", import_qlinear_binary);
const OpDef microsoft_qlinear_concat =
    qlinear_op({.type = "QLinearConcat", .domain = "com.microsoft", .attrs = kQConcatAttrs}, "joins integers of several grids on one",
               import_qlinear_concat);
const OpDef microsoft_qlinear_where =
    qlinear_op({.type = "QLinearWhere", .domain = "com.microsoft", .attrs = {}, .min_inputs = 3, .max_inputs = 9},
               "a choice between integers of two grids", import_qlinear_where);
const OpDef microsoft_qlinear_softmax =
    qlinear_op({.type = "QLinearSoftmax", .domain = "com.microsoft", .attrs = kQSoftmaxAttrs, .min_inputs = 2, .max_inputs = 5},
               "softmax of integers on a grid", import_qlinear_softmax);
const OpDef microsoft_qlinear_sigmoid = unary_qlinear_op("QLinearSigmoid", {}, "sigmoid of integers on a grid");
const OpDef microsoft_qlinear_leaky_relu = unary_qlinear_op("QLinearLeakyRelu", kAlphaAttrs, "leaky relu of integers on a grid");
const OpDef microsoft_qlinear_average_pool = unary_qlinear_op("QLinearAveragePool", kPoolAttrs, "average of integers over windows");
const OpDef microsoft_qlinear_global_average_pool =
    unary_qlinear_op("QLinearGlobalAveragePool", kLayoutAttrs, "mean of integers over the spatial dimensions");
const OpDef microsoft_qlinear_reduce_mean = unary_qlinear_op("QLinearReduceMean", kQReduceAttrs, "mean of integers over axes");
}  // namespace ops

}  // namespace kiln
