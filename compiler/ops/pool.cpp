// SPDX-License-Identifier: Apache-2.0
// Pools over images [N,H,W,C]: core max_pool2d and average_pool2d with attributes kernel [h,w], strides, pads, dilations,
// ceil_mode (spatial.h) and, for averages, count_include_pad. A maximum with NaN in its window is unspecified, as in ONNX Runtime.
#include <utility>

#include "compiler/ops/pool.h"
#include "compiler/ops/quantization.h"
#include "compiler/ops/spatial.h"
#include "nn/ref/pool2d.h"
#include "nn/ref/qpool2d.h"

namespace kiln {
namespace {

Result<Window> pool_window(const Attrs& attrs) {
  std::vector<int64_t> kernel = attrs.ints("kernel");
  if (kernel.size() != 2) return bad_node(fmt::format("'kernel' has {} entries, 2 are needed.", kernel.size()));
  return core_window(attrs, {kernel[0], kernel[1]});
}

InferResult infer_pool(const OpArgs& args) {
  if (!args.has(0)) return bad_node("the input is missing.");
  const TensorType& x = args.in(0);
  if (x.shape.size() != 4) return bad_node(fmt::format("the input is {}, it must have 4 dimensions.", to_string(x)));
  Result<Window> window = pool_window(args.attrs);
  if (!window) return std::move(window).diagnostic();
  Result<Pair> out = window_positions(*window, {x.shape[1], x.shape[2]});
  if (!out) return std::move(out).diagnostic();
  return std::vector<TensorType>{{x.dtype, {x.shape[0], (*out)[0], (*out)[1], x.shape[3]}, x.quant}};
}

InferResult infer_average_pool(const OpArgs& args) {
  InferResult types = infer_pool(args);
  if (!types) return types;
  if (Status s = check_floats(args); !s) return std::move(s).diagnostic();
  types->front().quant.reset();  // averages lie between the steps of a grid
  return types;
}

Pool2d pool_descriptor(const OpArgs& args) {
  Window window = *pool_window(args.attrs);
  const Shape& x = args.in(0).shape;
  Pool2d d;
  describe_window(d, window, x, args.outputs[0]->shape);
  d.channels = static_cast<int32_t>(x[3]);
  d.padded_h = static_cast<int32_t>(window.before[0] + x[1] + window.after[0]);
  d.padded_w = static_cast<int32_t>(window.before[1] + x[2] + window.after[1]);
  d.count_include_pad = args.attrs.i("count_include_pad") != 0;
  return d;
}

EvalResult eval_max_pool(const OpArgs& args) {
  return with_number_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::max_pool2d(pool_descriptor(args), args.constant(0)->as<T>().data(), y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

EvalResult eval_average_pool(const OpArgs& args) {
  return with_float_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::average_pool2d(pool_descriptor(args), args.constant(0)->as<T>().data(), y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_pool(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = std::string(node.op->name);
  call.descriptor = pool_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

// ---- qaverage_pool2d: attributes of average_pool2d, x_scale and x_zero_point, and the result's grid (quantization.h)

InferResult infer_qaverage_pool(const OpArgs& args) {
  InferResult types = infer_pool(args);
  if (!types) return types;
  if (Status s = check_integers(args.in(0), "the input"); !s) return std::move(s).diagnostic();
  Result<TensorType> type = quantized_result(args.attrs, std::move((*types)[0].shape));
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

/// The number of elements that each window is divided by, where it is the same for all; else 0.
int32_t uniform_count(const Pool2d& d, const Window& window) {
  bool inside = d.out_h == 0 || d.out_w == 0 ||
                (window.before == Pair{0, 0} && (d.out_h - 1) * d.stride_h + (d.kernel_h - 1) * d.dilation_h < d.in_h &&
                 (d.out_w - 1) * d.stride_w + (d.kernel_w - 1) * d.dilation_w < d.in_w);
  bool padded = d.count_include_pad != 0 && (d.out_h - 1) * d.stride_h + (d.kernel_h - 1) * d.dilation_h < d.padded_h &&
                (d.out_w - 1) * d.stride_w + (d.kernel_w - 1) * d.dilation_w < d.padded_w;
  return inside || padded ? d.kernel_h * d.kernel_w : 0;
}

struct QPool {
  QPool2d descriptor;
  Tensor multipliers;  ///< of 1, 2, ... counted elements, or of the one count
};
QPool qpool(const OpArgs& args) {
  Pool2d p = pool_descriptor(args);
  int32_t count = uniform_count(p, *pool_window(args.attrs));
  QPool2d d{p.batch,      p.in_h,       p.in_w,       p.channels, p.out_h,    p.out_w,    p.kernel_h, p.kernel_w,          p.stride_h, p.stride_w, p.dilation_h,
            p.dilation_w, p.pad_top,    p.pad_left,   p.padded_h, p.padded_w, p.count_include_pad, 0, 0, 0, 0, count > 0 ? 1 : 0};
  d.x_zero_point = static_cast<int32_t>(args.attrs.i("x_zero_point"));
  describe_result(d, args);
  std::vector<float> multipliers;
  auto x_scale = static_cast<float>(args.attrs.f("x_scale", 1));
  float y_scale = args.outputs[0]->quant->scale[0];
  for (int32_t n = count > 0 ? count : 1; n <= d.kernel_h * d.kernel_w; ++n) multipliers.push_back(x_scale / (y_scale * static_cast<float>(n)));
  auto entries = static_cast<int64_t>(multipliers.size());
  return {d, Tensor::floats({entries}, multipliers)};
}

EvalResult eval_qaverage_pool(const OpArgs& args) {
  QPool pool = qpool(args);
  Tensor y(*args.outputs[0]);
  with_grid_type(args.in(0).dtype, [&]<class X>() {
    with_grid_type(y.type.dtype, [&]<class Y>() {
      nn::ref::qaverage_pool2d(pool.descriptor, args.constant(0)->as<X>().data(), std::as_const(pool.multipliers).as<float>().data(), y.as<Y>().data());
    });
  });
  return std::vector<Tensor>{std::move(y)};
}

Status lower_qaverage_pool(const OpArgs& args, const Node& node, Lowering& lowering) {
  QPool pool = qpool(args);
  KernelCall call;
  call.family = "qaverage_pool2d";
  call.descriptor = pool.descriptor;
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.constant(std::move(pool.multipliers), lowering.program().tensor(lowering.tensor(node.outputs[0])).name + "_multiplier")};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call), "average_pool2d");
  return Done{};
}

// ---- max_pool2d_positions: attributes of max_pool2d; where in its image each maximum is, i64 row * W + column

InferResult infer_positions(const OpArgs& args) {
  InferResult types = infer_pool(args);
  if (types) types->front() = {DType::i64, std::move(types->front().shape), {}};
  return types;
}

EvalResult eval_positions(const OpArgs& args) {
  return with_number_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::max_pool2d_positions(pool_descriptor(args), args.constant(0)->as<T>().data(), y.as<int64_t>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

constexpr AttrSpec kMaxPoolAttrs[] = {
    {"auto_pad", AttrKind::string}, {"ceil_mode", AttrKind::integer}, {"dilations", AttrKind::integers}, {"kernel_shape", AttrKind::integers},
    {"pads", AttrKind::integers}, {"storage_order", AttrKind::integer}, {"strides", AttrKind::integers},
};
constexpr AttrSpec kAveragePoolAttrs[] = {
    {"auto_pad", AttrKind::string}, {"ceil_mode", AttrKind::integer}, {"count_include_pad", AttrKind::integer},
    {"dilations", AttrKind::integers}, {"kernel_shape", AttrKind::integers}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers},
};

}  // namespace

namespace ops {
const OpDef max_pool2d = {
    .name = "max_pool2d",
    .summary = "maximum over windows, in one to three dimensions",
    .onnx = {.type = "MaxPool", .attrs = kMaxPoolAttrs, .max_inputs = 1},
    .infer = infer_pool,
    .import = import_max_pool,
    .eval = eval_max_pool,
    .lower = lower_pool,
};
const OpDef max_pool2d_positions = {
    .name = "max_pool2d_positions",
    .summary = "where the maximum of each window is",
    .infer = infer_positions,
    .eval = eval_positions,
    .lower = lower_pool,
};
const OpDef qaverage_pool2d = {
    .name = "qaverage_pool2d",
    .summary = "average over windows of integers",
    .infer = infer_qaverage_pool,
    .eval = eval_qaverage_pool,
    .lower = lower_qaverage_pool,
};
const OpDef average_pool2d = {
    .name = "average_pool2d",
    .summary = "average over windows, in one to three dimensions",
    .onnx = {.type = "AveragePool", .attrs = kAveragePoolAttrs, .max_inputs = 1},
    .infer = infer_average_pool,
    .import = import_average_pool,
    .eval = eval_average_pool,
    .lower = lower_pool,
};
}  // namespace ops

}  // namespace kiln
