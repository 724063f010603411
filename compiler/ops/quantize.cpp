// SPDX-License-Identifier: Apache-2.0
// Between floats and integers on a grid: core quantize and dequantize (attributes: quantization.h), and dynamic_quantize, whose
// grid follows from its input. ONNX QuantizeLinear and DequantizeLinear become these where the grid is constant and one of a
// whole tensor or per index of one axis; grids computed at run time and blocked ones (an entry per run of `block_size`
// indices) are spelled out with arithmetic, which folds to constants where the operand is one.
#include <algorithm>

#include "compiler/ops/quantization.h"
#include "nn/ref/qelementwise.h"

namespace kiln {
namespace {

// ---- core operators

InferResult infer_quantize(const OpArgs& args) {
  if (args.inputs.size() != 1 || !args.has(0)) return bad_node("one input is needed.");
  if (args.in(0).dtype != DType::f32)
    return error(DiagId::unsupported_type, fmt::format("quantizing {} is not supported, only f32 is.", dtype_name(args.in(0).dtype)));
  Result<Quant> quant = quant_of(args.attrs, args.in(0).shape);
  if (!quant) return std::move(quant).diagnostic();
  if (!is_grid_type(quant->dtype)) return unsupported(fmt::format("quantizing to {} is not supported.", dtype_name(quant->dtype)));
  if (std::count(quant->scale.begin(), quant->scale.end(), 0.0f) > 0) return bad_node("a scale is 0, values cannot be divided by it.");
  return std::vector<TensorType>{stored_type(args.in(0).shape, *std::move(quant))};
}

InferResult infer_dequantize(const OpArgs& args) {
  if (args.inputs.size() != 1 || !args.has(0)) return bad_node("one input is needed.");
  Result<Quant> quant = quant_of(args.attrs, args.in(0).shape);
  if (!quant) return std::move(quant).diagnostic();
  if (quant->dtype != args.in(0).dtype)
    return bad_node(fmt::format("the input is {}, the grid is of {}.", to_string(args.in(0)), dtype_name(quant->dtype)));
  return std::vector<TensorType>{{DType::f32, args.in(0).shape, *std::move(quant)}};
}

Quantize quantize_descriptor(const Shape& shape, const Quant& quant, const Attrs& attrs) {
  AxisLoops loops = axis_loops(shape, quant);
  IntegerRange range = bounds_of(attrs, quant.dtype);
  return {loops.outer, loops.channels, loops.inner, range.low, range.high};
}

Dequantize dequantize_descriptor(const Shape& shape, const Quant& quant) {
  AxisLoops loops = axis_loops(shape, quant);
  return {loops.outer, loops.channels, loops.inner};
}

EvalResult eval_quantize(const OpArgs& args) {
  const TensorType& type = *args.outputs[0];
  const Quant& quant = *type.quant;
  Tensor y(type);
  with_storage_type(type.dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T> && sizeof(T) <= 2)
      nn::ref::quantize(quantize_descriptor(type.shape, quant, args.attrs), args.constant(0)->as<float>().data(), quant.scale.data(), quant.zero_point.data(),
                        y.as<T>().data());
  });
  return std::vector<Tensor>{std::move(y)};
}

EvalResult eval_dequantize(const OpArgs& args) {
  const TensorType& type = *args.outputs[0];
  const Quant& quant = *type.quant;
  Tensor y(type);
  with_storage_type(quant.dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T> && sizeof(T) <= 4)
      nn::ref::dequantize(dequantize_descriptor(type.shape, quant), args.constant(0)->as<T>().data(), quant.scale.data(), quant.zero_point.data(),
                          y.as<float>().data());
  });
  return std::vector<Tensor>{std::move(y)};
}

/// Both: the grid's tables are constants.
Status lower_conversion(const OpArgs& args, const Node& node, Lowering& lowering) {
  const TensorType& y = *args.outputs[0];
  const Quant& quant = *y.quant;
  const std::string name = lowering.program().tensor(lowering.tensor(node.outputs[0])).name;
  auto count = static_cast<int64_t>(quant.scale.size());
  KernelCall call;
  call.family = std::string(node.op->name);
  if (node.op == &ops::quantize) call.descriptor = quantize_descriptor(y.shape, quant, node.attrs);
  else call.descriptor = dequantize_descriptor(y.shape, quant);
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.constant(Tensor::of<float>({count}, quant.scale), name + "_scale"),
                 lowering.constant(Tensor::of<int32_t>({count}, quant.zero_point), name + "_zero_point")};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

bool permute_conversion(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) {
  if (attrs.has("quant_axis")) permute_axis(attrs, "quant_axis", perm);
  return true;
}

// ---- dynamic_quantize: y u8, its scale f32 and zero point u8, both without dimensions

InferResult infer_dynamic_quantize(const OpArgs& args) {
  if (args.inputs.size() != 1 || !args.has(0)) return bad_node("one input is needed.");
  if (args.in(0).dtype != DType::f32) return bad_node(fmt::format("the input is {}, it must be f32.", to_string(args.in(0))));
  return std::vector<TensorType>{{DType::u8, args.in(0).shape, {}}, {DType::f32, {}, {}}, {DType::u8, {}, {}}};
}

DynamicQuantize dynamic_descriptor(const OpArgs& args) { return {static_cast<int32_t>(args.in(0).elements())}; }

EvalResult eval_dynamic_quantize(const OpArgs& args) {
  Tensor y(*args.outputs[0]), scale(*args.outputs[1]), zero(*args.outputs[2]);
  nn::ref::dynamic_quantize(dynamic_descriptor(args), args.constant(0)->as<float>().data(), y.as<uint8_t>().data(), scale.as<float>().data(),
                            zero.as<uint8_t>().data());
  return std::vector<Tensor>{std::move(y), std::move(scale), std::move(zero)};
}

Status lower_dynamic_quantize(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "dynamic_quantize";
  call.descriptor = dynamic_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  for (ValueId y : node.outputs) call.outputs.push_back(lowering.tensor(y));
  lowering.call(node, std::move(call));
  return Done{};
}

// ---- ONNX

/// The grid operands of an ONNX node as they are.
struct OnnxGrid {
  ValueId scale = kNoValue, zero_point = kNoValue;
  DType dtype = DType::u8;
  int64_t axis = 0, block_size = 0;
};

Result<OnnxGrid> onnx_grid(const OnnxNode& node, GraphBuilder& b, DType dtype) {
  OnnxGrid grid{node.inputs[1], node.has(2) ? node.inputs[2] : kNoValue, dtype, 0, node.attrs.i("block_size")};
  const TensorType x = b.type(node.inputs[0]), scale = b.type(grid.scale);
  bool fits = grid.zero_point == kNoValue || (b.type(grid.zero_point).dtype == dtype &&
                                              (b.shape(grid.zero_point) == scale.shape || (b.type(grid.zero_point).elements() == 1 && scale.elements() == 1)));
  if (!fits)
    return bad_node(fmt::format("the zero point is {}, the scale {} of {} elements needs one of its shape.", to_string(b.type(grid.zero_point)),
                                to_string(scale), dtype_name(dtype)));
  if (scale.elements() == 1 && grid.block_size == 0) return grid;
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis", 1), x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside {}.", node.attrs.i("axis", 1), to_string(x)));
  grid.axis = *axis;
  int64_t dim = x.shape[static_cast<size_t>(*axis)];
  if (grid.block_size == 0 && scale.shape != Shape{dim})
    return bad_node(fmt::format("the scale is {}, axis {} of {} needs {} entries.", to_string(scale), *axis, to_string(x), dim));
  if (grid.block_size == 0) return grid;
  Shape blocks = x.shape;
  blocks[static_cast<size_t>(*axis)] = grid.block_size > 0 ? (dim + grid.block_size - 1) / grid.block_size : -1;
  if (scale.shape != blocks)
    return bad_node(fmt::format("the scale is {}, blocks of {} along axis {} of {} need {}.", to_string(scale), grid.block_size, *axis, to_string(x),
                                to_string(std::span<const int64_t>(blocks))));
  return grid;
}

/// The grid as Quant, where the core operators can have it.
std::optional<Quant> constant_grid(const OnnxGrid& grid, GraphBuilder& b) {
  const Tensor* scale = b.constant(grid.scale);
  const Tensor* zero = b.constant(grid.zero_point);
  if (!scale || scale->type.dtype != DType::f32 || (grid.zero_point != kNoValue && !zero) || grid.block_size != 0) return std::nullopt;
  Quant quant;
  quant.dtype = grid.dtype;
  quant.scale.assign(scale->as<float>().begin(), scale->as<float>().end());
  quant.zero_point.assign(quant.scale.size(), 0);
  if (zero)
    for (size_t i = 0; i < quant.zero_point.size(); ++i) quant.zero_point[i] = static_cast<int32_t>((*zero->to_int64s())[i]);
  quant.axis = quant.per_axis() ? grid.axis : 0;
  return quant;
}

/// A grid operand with a shape that broadcasts against x.
Result<ValueId> spread(GraphBuilder& b, ValueId v, const OnnxGrid& grid, const Shape& x) {
  const Shape shape = b.shape(v);
  if (element_count(shape) == 1 && grid.block_size == 0) return reshape(b, v, {});
  auto axis = static_cast<size_t>(grid.axis);
  if (grid.block_size == 0) {
    Shape along(x.size(), 1);
    along[axis] = shape[0];
    return reshape(b, v, along);
  }
  std::vector<int64_t> block_of(static_cast<size_t>(x[axis]));
  for (size_t i = 0; i < block_of.size(); ++i) block_of[i] = static_cast<int64_t>(i) / grid.block_size;
  return b.add(ops::gather, {v, b.add_constant(Tensor::int64s(block_of))}, {{"axis", grid.axis}});
}

Result<ValueId> spread_zero_point(GraphBuilder& b, const OnnxGrid& grid, const Shape& x) {
  if (grid.zero_point == kNoValue) return kNoValue;
  Result<ValueId> zero = cast(b, grid.zero_point, DType::f32);
  return zero ? spread(b, *zero, grid, x) : zero;
}

Result<ValueId> spread_scale(GraphBuilder& b, const OnnxGrid& grid, const Shape& x) {
  Result<ValueId> scale = cast(b, grid.scale, DType::f32);
  return scale ? spread(b, *scale, grid, x) : scale;
}

/// round(x / scale) + zero point, within the range of the type.
Result<ValueId> spelled_quantize(GraphBuilder& b, ValueId x, const OnnxGrid& grid) {
  const Shape shape = b.shape(x);  // a copy: the builder adds values
  Result<ValueId> scale = spread_scale(b, grid, shape), zero = spread_zero_point(b, grid, shape);
  if (!scale) return scale;
  if (!zero) return zero;
  Result<ValueId> y = b.add(ops::div, {x, *scale});
  if (y) y = b.add(ops::round, {*y});
  if (y && *zero != kNoValue) y = b.add(ops::add, {*y, *zero});
  IntegerRange range = integer_range(grid.dtype);
  if (y) y = b.add(ops::clip, {*y}, {{"alpha", double(range.low)}, {"beta", double(range.high)}});
  return y ? cast(b, *y, grid.dtype) : y;
}

/// (x - zero point) * scale.
Result<ValueId> spelled_dequantize(GraphBuilder& b, ValueId x, const OnnxGrid& grid) {
  const Shape shape = b.shape(x);  // a copy: the builder adds values
  Result<ValueId> scale = spread_scale(b, grid, shape), zero = spread_zero_point(b, grid, shape);
  if (!scale) return scale;
  if (!zero) return zero;
  Result<ValueId> y = cast(b, x, DType::f32);
  if (y && *zero != kNoValue) y = b.add(ops::sub, {*y, *zero});
  return y ? b.add(ops::mul, {*y, *scale}) : y;
}

ImportResult import_quantize(const OnnxNode& node, GraphBuilder& b) {
  DType dtype = DType::u8;
  if (node.has(2)) dtype = b.type(node.inputs[2]).dtype;
  else if (int64_t number = node.attrs.i("output_dtype"); number != 0) {
    std::optional<DType> named = dtype_from_onnx(number);
    if (!named) return unsupported(fmt::format("'output_dtype' {} is not supported.", number));
    dtype = *named;
  }
  if (!is_grid_type(dtype)) return unsupported(fmt::format("quantizing to {} is not supported.", dtype_name(dtype)));
  Result<OnnxGrid> grid = onnx_grid(node, b, dtype);
  if (!grid) return std::move(grid).diagnostic();
  Result<ValueId> x = cast(b, node.inputs[0], DType::f32);
  if (!x) return std::move(x).diagnostic();
  if (std::optional<Quant> quant = constant_grid(*grid, b)) return one(b.add(ops::quantize, {*x}, quant_attrs(*quant)));
  return one(spelled_quantize(b, *x, *grid));
}

ImportResult import_dequantize(const OnnxNode& node, GraphBuilder& b) {
  DType dtype = b.type(node.inputs[0]).dtype;
  if (!is_grid_type(dtype) && dtype != DType::i32) return unsupported(fmt::format("dequantizing {} is not supported.", dtype_name(dtype)));
  // The result has the type of the scale.
  if (const DType scale = b.type(node.inputs[1]).dtype; scale != DType::f32)
    return error(DiagId::unsupported_type, fmt::format("dequantizing to {} is not supported, only to f32.", dtype_name(scale)));
  Result<OnnxGrid> grid = onnx_grid(node, b, dtype);
  if (!grid) return std::move(grid).diagnostic();
  if (std::optional<Quant> quant = constant_grid(*grid, b)) return one(b.add(ops::dequantize, {node.inputs[0]}, quant_attrs(*quant)));
  return one(spelled_dequantize(b, node.inputs[0], *grid));
}

constexpr AttrSpec kQuantizeAttrs[] = {{"axis", AttrKind::integer}, {"saturate", AttrKind::integer}, {"block_size", AttrKind::integer},
                                       {"output_dtype", AttrKind::integer}, {"precision", AttrKind::integer}};

constexpr OpDef linear_op(std::string_view type, std::string_view domain, std::string_view summary,
                          ImportResult (*import)(const OnnxNode&, GraphBuilder&)) {
  OpDef op;
  op.summary = summary;
  op.onnx = {.type = type, .domain = domain, .attrs = kQuantizeAttrs, .min_inputs = 2, .max_inputs = 3};
  op.import = import;
  return op;
}

constexpr OpDef conversion_op(std::string_view name, std::string_view summary) {
  OpDef op;
  op.name = name;
  op.summary = summary;
  op.traits = kElementwise;
  op.lower = lower_conversion;
  op.permute = permute_conversion;
  return op;
}

constexpr OpDef quantize_op() {
  OpDef op = conversion_op("quantize", "floats to integers on a grid");
  op.infer = infer_quantize;
  op.eval = eval_quantize;
  return op;
}

constexpr OpDef dequantize_op() {
  OpDef op = conversion_op("dequantize", "integers on a grid to floats");
  op.infer = infer_dequantize;
  op.eval = eval_dequantize;
  return op;
}

}  // namespace

namespace ops {
const OpDef quantize = quantize_op();
const OpDef dequantize = dequantize_op();
const OpDef quantize_linear = linear_op("QuantizeLinear", "", "floats to integers on a grid", import_quantize);
const OpDef dequantize_linear = linear_op("DequantizeLinear", "", "integers on a grid to floats", import_dequantize);
const OpDef microsoft_quantize_linear = linear_op("QuantizeLinear", "com.microsoft", "floats to integers on a grid", import_quantize);
const OpDef microsoft_dequantize_linear = linear_op("DequantizeLinear", "com.microsoft", "integers on a grid to floats", import_dequantize);
const OpDef dynamic_quantize = {
    .name = "dynamic_quantize",
    .summary = "floats to bytes on a grid that covers them",
    .onnx = {.type = "DynamicQuantizeLinear", .max_inputs = 1},
    .infer = infer_dynamic_quantize,
    .eval = eval_dynamic_quantize,
    .lower = lower_dynamic_quantize,
};
}  // namespace ops

}  // namespace kiln
