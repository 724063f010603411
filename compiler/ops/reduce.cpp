// SPDX-License-Identifier: Apache-2.0
// Reductions. The core operators reduce_* take the dimensions in "axes" (ascending, not negative) together to size 1. ONNX
// operators with a function before or after the reduction, and the global pools, are composed from them.
#include <algorithm>
#include <limits>
#include <numeric>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/quantization.h"
#include "nn/math_f64.h"
#include "nn/reducers_math.h"
#include "nn/ref/qreduce.h"
#include "nn/ref/reduce.h"

namespace kiln {
namespace {

std::vector<bool> reduced_dims(const OpArgs& args) {
  std::vector<bool> reduced(args.in(0).shape.size(), false);
  for (int64_t axis : args.attrs.ints("axes")) reduced[static_cast<size_t>(axis)] = true;
  return reduced;
}

template <TypeSet kTypes>
InferResult infer_reduce(const OpArgs& args) {
  if (Status s = check_operands(args, 1); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  if (Status s = check_dtype(args, x.dtype, kTypes); !s) return std::move(s).diagnostic();
  Shape shape = x.shape;
  int64_t previous = -1;
  for (int64_t axis : args.attrs.ints("axes")) {
    if (axis <= previous || axis >= x.rank())
      return bad_node(fmt::format("axes {} must be ascending and below the rank of {}.", to_string(args.attrs.ints("axes")), to_string(x)));
    shape[static_cast<size_t>(axis)] = 1;
    previous = axis;
  }
  if (&args.op == &ops::reduce_mean && is_integer(x.dtype) && x.elements() == 0)
    return bad_node(fmt::format("the mean of 0 integers is undefined, the input is {}.", to_string(x)));
  // The greatest and the least lie on the grid of all.
  const bool keeps_grid = (&args.op == &ops::reduce_max || &args.op == &ops::reduce_min) && x.quant && !x.quant->per_axis();
  return std::vector<TensorType>{{x.dtype, std::move(shape), keeps_grid ? x.quant : std::nullopt}};
}

/// Dimensions of size 1 are dropped, neighbours that are both kept or both reduced are merged: of x's dimensions the last
/// one left has stride 1. Neither list is empty.
Reduce reduce_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  std::vector<bool> reduced = reduced_dims(args);
  std::vector<int64_t> strides = row_major_strides(x), dims[2], steps[2];  // [0] kept, [1] reduced
  int previous = -1;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == 1) continue;
    int side = reduced[i] ? 1 : 0;
    if (side == previous) {
      dims[side].back() *= x[i];
      steps[side].back() = strides[i];
    } else {
      dims[side].push_back(x[i]);
      steps[side].push_back(strides[i]);
    }
    previous = side;
  }
  for (int side : {0, 1})
    if (dims[side].empty()) dims[side] = {1}, steps[side] = {0};
  return {static_cast<int32_t>(dims[0].size()), Dims(dims[0]), Dims(steps[0]),
          static_cast<int32_t>(dims[1].size()), Dims(dims[1]), Dims(steps[1])};
}

template <class F, TypeSet kTypes>
EvalResult eval_reduce(const OpArgs& args) {
  return with_type_of<kTypes>(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::reduce<F>(reduce_descriptor(args), args.constant(0)->as<T>().data(), y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_reduce(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "reduce";
  call.functors = {std::string(node.op->name)};
  call.descriptor = reduce_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

bool permute_reduce(const OpArgs& args, std::span<const int64_t> perm, Attrs& attrs) {
  std::vector<bool> reduced = reduced_dims(args);
  std::vector<int64_t> axes;
  for (size_t i = 0; i < perm.size(); ++i)
    if (reduced[static_cast<size_t>(perm[i])]) axes.push_back(static_cast<int64_t>(i));
  attrs.set("axes", std::move(axes));
  return true;
}

// ---- qreduce_mean: attributes axes, x_scale and x_zero_point, and the result's grid (quantization.h)

InferResult infer_qreduce(const OpArgs& args) {
  InferResult types = infer_reduce<kIntegers>(args);
  if (!types) return types;
  if (Status s = check_integers(args.in(0), "the input"); !s) return std::move(s).diagnostic();
  Result<TensorType> type = quantized_result(args.attrs, std::move((*types)[0].shape));
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

QReduce qreduce_descriptor(const OpArgs& args) {
  Reduce r = reduce_descriptor(args);
  QReduce d{r.kept_rank, r.kept, r.kept_strides, r.reduced_rank, r.reduced, r.reduced_strides, 0, 0, 0, 0, 0};
  describe_result(d, args);
  d.x_zero_point = static_cast<int32_t>(args.attrs.i("x_zero_point"));
  auto count = static_cast<float>(args.in(0).elements() / std::max<int64_t>(args.outputs[0]->elements(), 1));
  d.multiplier = static_cast<float>(args.attrs.f("x_scale", 1)) / (args.outputs[0]->quant->scale[0] * count);
  return d;
}

EvalResult eval_qreduce(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  with_grid_type(args.in(0).dtype, [&]<class X>() {
    with_grid_type(y.type.dtype, [&]<class Y>() { nn::ref::qreduce_sum(qreduce_descriptor(args), args.constant(0)->as<X>().data(), y.as<Y>().data()); });
  });
  return std::vector<Tensor>{std::move(y)};
}

Status lower_qreduce(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "qreduce_sum";
  call.descriptor = qreduce_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call), "reduce_mean");
  return Done{};
}

// ---- import

/// "axes" is an attribute up to opset 17 (ReduceSum: 12), then an input; without axes all dimensions are reduced, or none
/// with noop_with_empty_axes. The result is ascending.
Result<std::vector<int64_t>> onnx_axes(const OnnxNode& node, GraphBuilder& b) {
  auto rank = static_cast<int64_t>(b.shape(node.inputs[0]).size());
  Result<std::vector<int64_t>> axes = node.attrs.ints("axes");
  if (node.has(1)) axes = constant_ints(node, b, 1, "axes");
  if (axes && axes->empty() && node.attrs.i("noop_with_empty_axes") == 0) {
    axes->resize(static_cast<size_t>(rank));
    std::iota(axes->begin(), axes->end(), 0);
  }
  if (axes) axes = normalized_axes(std::move(*axes), rank);
  if (axes) std::sort(axes->begin(), axes->end());
  return axes;
}

Result<ValueId> without_dims(GraphBuilder& b, Result<ValueId> y, const std::vector<int64_t>& axes) {
  if (!y) return y;
  Shape shape;
  for (size_t i = 0; i < b.shape(*y).size(); ++i)
    if (!std::binary_search(axes.begin(), axes.end(), static_cast<int64_t>(i))) shape.push_back(b.shape(*y)[i]);
  return reshape(b, *y, shape);
}

/// `build` makes the reduction of x over the axes, dimensions kept.
template <class Build>
ImportResult import_reduction(const OnnxNode& node, GraphBuilder& b, Build build) {
  Result<std::vector<int64_t>> axes = onnx_axes(node, b);
  if (!axes) return std::move(axes).diagnostic();
  Result<ValueId> y = build(node.inputs[0], Attrs{{"axes", *axes}});
  if (node.attrs.i("keepdims", 1) == 0) y = without_dims(b, std::move(y), *axes);
  return one(std::move(y));
}

ImportResult import_reduce(const OnnxNode& node, GraphBuilder& b) {
  const OpDef& op = *op_table().find_onnx(node.domain, node.type);
  return import_reduction(node, b, [&](ValueId x, Attrs attrs) { return b.add(op, {x}, std::move(attrs)); });
}

/// max + log(sum(exp(x - max))), with the maximum kept finite: of nothing but -inf the result is -inf, not NaN.
Result<ValueId> log_sum_exp(GraphBuilder& b, ValueId x, const Attrs& axes) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  Result<ValueId> top = b.add(ops::reduce_max, {x}, axes);
  if (top) top = b.add(ops::clip, {*top}, {{"alpha", -kLargest}, {"beta", kLargest}});
  if (!top) return top;
  Result<ValueId> y = b.add(ops::sub, {x, *top});
  if (y) y = b.add(ops::exp, {*y});
  if (y) y = b.add(ops::reduce_log_sum, {*y}, axes);
  if (y) y = b.add(ops::add, {*y, *top});
  return y;
}

ImportResult import_log_sum_exp(const OnnxNode& node, GraphBuilder& b) {
  return import_reduction(node, b, [&](ValueId x, const Attrs& axes) { return log_sum_exp(b, x, axes); });
}

/// [N,C,...] -> [N,C,1,...], reduced with the channels innermost.
ImportResult import_global_pool(const OnnxNode& node, GraphBuilder& b) {
  const auto rank = static_cast<int64_t>(b.shape(node.inputs[0]).size());
  if (rank < 3) return bad_node(fmt::format("the input {} has no spatial dimensions.", to_string(b.shape(node.inputs[0]))));
  std::vector<int64_t> perm = {0}, axes;
  for (int64_t i = 2; i < rank; ++i) {
    perm.push_back(i);
    axes.push_back(i - 1);
  }
  perm.push_back(1);
  Result<ValueId> x = transpose(b, node.inputs[0], perm);
  if (!x) return std::move(x).diagnostic();
  Result<ValueId> y = b.add(node.type == "GlobalMaxPool" ? ops::reduce_max : ops::reduce_mean, {*x}, {{"axes", axes}});
  if (!y) return std::move(y).diagnostic();
  return one(transpose(b, *y, inverse_permutation(perm)));
}

constexpr AttrSpec kReduceAttrs[] = {
    {"axes", AttrKind::integers}, {"keepdims", AttrKind::integer}, {"noop_with_empty_axes", AttrKind::integer}};

template <class F, TypeSet kTypes = kNumbers>
constexpr OpDef reduce_op(std::string_view name, std::string_view onnx_type, std::string_view summary) {
  OpDef op;
  op.name = name;
  op.summary = summary;
  op.onnx = {.type = onnx_type, .attrs = kReduceAttrs, .max_inputs = 2};
  op.infer = infer_reduce<kTypes>;
  op.import = import_reduce;
  op.eval = eval_reduce<F, kTypes>;
  op.lower = lower_reduce;
  op.permute = permute_reduce;
  return op;
}

}  // namespace

namespace ops {
const OpDef reduce_sum = reduce_op<nn::fn::reduce_sum>("reduce_sum", "ReduceSum", "sum over axes");
const OpDef reduce_mean = reduce_op<nn::fn::reduce_mean>("reduce_mean", "ReduceMean", "mean over axes");
const OpDef reduce_max = reduce_op<nn::fn::reduce_max, kNumbers | kBooleans>("reduce_max", "ReduceMax", "maximum over axes");
const OpDef reduce_min = reduce_op<nn::fn::reduce_min, kNumbers | kBooleans>("reduce_min", "ReduceMin", "minimum over axes");
const OpDef reduce_prod = reduce_op<nn::fn::reduce_prod>("reduce_prod", "ReduceProd", "product over axes");
const OpDef reduce_l1 = reduce_op<nn::fn::reduce_l1>("reduce_l1", "ReduceL1", "sum of absolute values over axes");
const OpDef reduce_sum_square = reduce_op<nn::fn::reduce_sum_square>("reduce_sum_square", "ReduceSumSquare", "sum of squares over axes");
const OpDef reduce_l2 = reduce_op<nn::fn::reduce_l2, kFloats>("reduce_l2", "ReduceL2", "root of the sum of squares over axes");
const OpDef reduce_log_sum = reduce_op<nn::fn::reduce_log_sum, kFloats>("reduce_log_sum", "ReduceLogSum", "logarithm of the sum over axes");
const OpDef reduce_log_sum_exp = {
    .summary = "logarithm of the sum of exponentials over axes",
    .onnx = {.type = "ReduceLogSumExp", .attrs = kReduceAttrs, .max_inputs = 2},
    .import = import_log_sum_exp,
};
const OpDef global_average_pool = {
    .summary = "mean over the spatial dimensions", .onnx = {.type = "GlobalAveragePool", .attrs = {}, .max_inputs = 1}, .import = import_global_pool};
const OpDef global_max_pool = {
    .summary = "maximum over the spatial dimensions", .onnx = {.type = "GlobalMaxPool", .attrs = {}, .max_inputs = 1}, .import = import_global_pool};
const OpDef qreduce_mean = {
    .name = "qreduce_mean",
    .summary = "mean of integers over axes",
    .infer = infer_qreduce,
    .eval = eval_qreduce,
    .lower = lower_qreduce,
    .permute = permute_reduce,
};
}  // namespace ops

}  // namespace kiln
