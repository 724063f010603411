// SPDX-License-Identifier: Apache-2.0
// The core operators resize_nearest2d and resize_linear2d: sampling of x [N, H, W, C] along tables of source positions. Operands are
// x, rows i32 [OH], columns i32 [OW]; for linear x, rows i32 [OH], row weights f32 [OH], columns i32 [OW], column weights f32 [OW], a
// weight being that of the index after the one in the table. The tables must be constant. ONNX Resize: resize_import.cpp.
#include <algorithm>

#include "compiler/ops/movement.h"
#include "compiler/ops/quantization.h"
#include "nn/ref/qresize2d.h"
#include "nn/ref/resize2d.h"

namespace kiln {
namespace {

/// A table of positions in a dimension of `dim`, or of weights between 0 and 1.
Status check_table(const OpArgs& args, size_t input, DType dtype, int64_t dim) {
  const TensorType& type = args.in(input);
  if (type.dtype != dtype || type.rank() != 1) return bad_node(fmt::format("table {} is {}, it must be {} of 1 dimension.", input, to_string(type), dtype_name(dtype)));
  const Tensor* table = args.constant(input);
  if (!table) return bad_node(fmt::format("table {} is not constant.", input));
  double high = dtype == DType::f32 ? 1 : static_cast<double>(dim) - 1;
  for (double value : table->to_doubles())
    if (!(value >= 0 && value <= high)) return bad_node(fmt::format("table {} has {}, which is outside 0 to {}.", input, value, high));
  return Done{};
}

/// `stride`: operands per spatial dimension, 1 (positions) or 2 (positions and weights).
InferResult infer_resize(const OpArgs& args, size_t stride) {
  if (Status s = check_inputs(args, 1 + 2 * stride, 1 + 2 * stride); !s) return std::move(s).diagnostic();
  TensorType y = args.in(0);
  if (y.rank() != 4) return bad_node(fmt::format("the input is {}, it must be [N,H,W,C].", to_string(y)));
  for (size_t k = 0; k < 2; ++k) {
    size_t at = 1 + k * stride;
    if (Status s = check_table(args, at, DType::i32, y.shape[1 + k]); !s) return std::move(s).diagnostic();
    if (stride == 2) {
      if (Status s = check_table(args, at + 1, DType::f32, 0); !s) return std::move(s).diagnostic();
      if (args.in(at).shape != args.in(at + 1).shape)
        return bad_node(fmt::format("{} positions and {} weights.", args.in(at).elements(), args.in(at + 1).elements()));
    }
    y.shape[1 + k] = args.in(at).elements();
  }
  if (stride == 2) y.quant.reset();  // sums of elements lie between the steps of their grid
  if (y.quant && y.quant->per_axis())
    if (Status s = lose_grid(y, fmt::format("{} is quantized per index of axis {}.", to_string(y), y.quant->axis)); !s) return std::move(s).diagnostic();
  return std::vector<TensorType>{std::move(y)};
}

InferResult infer_nearest(const OpArgs& args) { return infer_resize(args, 1); }
InferResult infer_linear(const OpArgs& args) {
  InferResult types = infer_resize(args, 2);
  DType dtype = types ? types->front().dtype : DType::f32;
  if (dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::i4 || dtype == DType::u4 || dtype == DType::boolean)
    return error(DiagId::unsupported_type, fmt::format("linear resizing of {} is not supported.", dtype_name(dtype)));
  return types;
}

Resize2d resize_descriptor(const Shape& x, const Shape& y) {
  Resize2d d;
  d.batch = static_cast<int32_t>(x[0]);
  d.in_h = static_cast<int32_t>(x[1]);
  d.in_w = static_cast<int32_t>(x[2]);
  d.channels = static_cast<int32_t>(x[3]);
  d.out_h = static_cast<int32_t>(y[1]);
  d.out_w = static_cast<int32_t>(y[2]);
  return d;
}

EvalResult eval_nearest(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  Resize2d d = resize_descriptor(args.in(0).shape, y.type.shape);
  with_storage_type(y.type.dtype, [&]<class T>() {
    nn::ref::resize_nearest2d(d, args.constant(0)->as<T>().data(), args.constant(1)->as<int32_t>().data(),
                              args.constant(2)->as<int32_t>().data(), y.as<T>().data());
  });
  return std::vector<Tensor>{std::move(y)};
}

EvalResult eval_linear(const OpArgs& args) {
  Resize2d d = resize_descriptor(args.in(0).shape, args.outputs[0]->shape);
  return with_number_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::resize_linear2d(d, args.constant(0)->as<T>().data(), args.constant(1)->as<int32_t>().data(),
                             args.constant(2)->as<float>().data(), args.constant(3)->as<int32_t>().data(),
                             args.constant(4)->as<float>().data(), y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_resize(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = node.op->name;
  call.descriptor = resize_descriptor(args.in(0).shape, args.outputs[0]->shape);
  for (ValueId v : node.inputs) call.inputs.push_back(lowering.tensor(v));
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

// ---- qresize_linear2d: operands of resize_linear2d; attributes x_scale, x_zero_point and the result's grid (quantization.h)

InferResult infer_qresize(const OpArgs& args) {
  InferResult types = infer_resize(args, 2);
  if (!types) return types;
  if (Status s = check_integers(args.in(0), "the input"); !s) return std::move(s).diagnostic();
  Result<TensorType> type = quantized_result(args.attrs, std::move((*types)[0].shape));
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

QResize2d qresize_descriptor(const OpArgs& args) {
  Resize2d r = resize_descriptor(args.in(0).shape, args.outputs[0]->shape);
  QResize2d d{r.batch, r.in_h, r.in_w, r.channels, r.out_h, r.out_w, 0, 0, 0, 0, 0};
  describe_result(d, args);
  d.x_zero_point = static_cast<int32_t>(args.attrs.i("x_zero_point"));
  d.multiplier = static_cast<float>(args.attrs.f("x_scale", 1)) / args.outputs[0]->quant->scale[0];
  return d;
}

EvalResult eval_qresize(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  with_grid_type(args.in(0).dtype, [&]<class X>() {
    with_grid_type(y.type.dtype, [&]<class Y>() {
      nn::ref::qresize_linear2d(qresize_descriptor(args), args.constant(0)->as<X>().data(), args.constant(1)->as<int32_t>().data(),
                                args.constant(2)->as<float>().data(), args.constant(3)->as<int32_t>().data(), args.constant(4)->as<float>().data(),
                                y.as<Y>().data());
    });
  });
  return std::vector<Tensor>{std::move(y)};
}

Status lower_qresize(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "qresize_linear2d";
  call.descriptor = qresize_descriptor(args);
  for (ValueId v : node.inputs) call.inputs.push_back(lowering.tensor(v));
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call), "resize_linear2d");
  return Done{};
}

}  // namespace

namespace ops {
const OpDef qresize_linear2d = {
    .name = "qresize_linear2d",
    .summary = "interpolates between rows and columns of images of integers",
    .infer = infer_qresize,
    .eval = eval_qresize,
    .lower = lower_qresize,
};
const OpDef resize_nearest2d = {
    .name = "resize_nearest2d",
    .summary = "picks rows and columns of images",
    .traits = kMovesData,
    .infer = infer_nearest,
    .eval = eval_nearest,
    .lower = lower_resize,
};
const OpDef resize_linear2d = {
    .name = "resize_linear2d",
    .summary = "interpolates between rows and columns of images",
    .infer = infer_linear,
    .eval = eval_linear,
    .lower = lower_resize,
};
}  // namespace ops

}  // namespace kiln
