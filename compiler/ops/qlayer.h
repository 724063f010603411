// SPDX-License-Identifier: Apache-2.0
// What integer layers (qconv2d, qdense, qmatmul) share.
//
// acc[o] = bias[o] + sum (x - x_zero_point) * (w - w_zero_point), exactly. Attributes: x_zero_point, w_zero_point, and what
// becomes of the sum:
//   multiplier and a grid   y = saturate(round_half_even(float(acc) * multiplier) + zero_point)   (quantization.h, with bounds)
//   multiplier alone        y = float(acc) * multiplier
//   neither                 y = acc, as i32
// `multiplier` has one entry or one per output channel. bias is in units of the sum: i32, or f32 where it lies between whole numbers;
// float(acc) is then float(float(acc) + bias), acc being the sum alone.
#pragma once

#include "compiler/ops/quantization.h"
#include "nn/requant.h"

namespace kiln {

/// The type of the result of `shape`, whose last dimension are the `channels` output channels. Checks the operands' types and
/// the attributes. Errors: bad_node, unsupported_type.
Result<TensorType> qlayer_type(const OpArgs& args, Shape shape, int64_t channels);

/// The bias with the share of the input's zero point: b[o] - x_zero_point * sum (w[o] - w_zero_point), so that kernels add x itself.
/// w is [O, ...], bias may be null. Nothing when an entry leaves the range of i32.
std::optional<Tensor> folded_bias(const Tensor& w, const Tensor* bias, int64_t x_zero_point, int64_t w_zero_point);

/// Whether some x of type `x` can take a sum beyond i32: |folded bias| + sum |w - w_zero_point| * max |x|.
bool needs_wide_sums(DType x, const Tensor& w, const Tensor& folded, int64_t w_zero_point);

/// The constant operands and fields of a layer with constant weights. Errors: unsupported_node when the folded bias leaves i32.
struct QLayerConstants {
  Tensor bias;        ///< i32 [O]: what sums start with
  Tensor multiplier;  ///< f32 [1] or [O]; of a layer with a float bias [O,2], each multiplier with its bias
  bool wide = false;
};
Result<QLayerConstants> qlayer_constants(const OpArgs& args);

/// The fields that QConv2d, QDepthwise2d and QDense have besides their geometry.
template <class D>
void describe_qlayer(D& d, const OpArgs& args, const QLayerConstants& constants) {
  describe_result(d, args);
  d.x_zero_point = static_cast<int32_t>(args.attrs.i("x_zero_point"));
  d.w_zero_point = static_cast<int32_t>(args.attrs.i("w_zero_point"));
  d.multiplier_stride = constants.multiplier.type.rank() == 2 ? nn::detail::kPairs : constants.multiplier.type.elements() > 1 ? 1 : 0;
  d.wide = constants.wide ? 1 : 0;
}

/// Every element as i32: evaluation computes on these, whatever the types.
Tensor as_int32(const Tensor& t);
/// Calls `f.template operator()<Y>()` with the type that a result of `dtype` is computed as, and returns the result: i8, u8 and
/// i16 as int16_t, whose elements are then stored narrower.
template <class F>
Tensor compute_result(const TensorType& type, F&& f) {
  DType computed = type.dtype == DType::i8 || type.dtype == DType::u8 ? DType::i16 : type.dtype;
  Tensor y(TensorType{computed, type.shape, {}});
  switch (computed) {
    case DType::f32: f(y.as<float>().data()); break;
    case DType::i32: f(y.as<int32_t>().data()); break;
    case DType::u16: f(y.as<uint16_t>().data()); break;
    default: f(y.as<int16_t>().data());
  }
  if (computed == type.dtype) {
    y.type = type;
    return y;
  }
  Tensor out(type);
  for (size_t i = 0; i < out.bytes().size(); ++i) out.bytes()[i] = static_cast<std::byte>(y.as<int16_t>()[i] & 0xff);
  return out;
}

}  // namespace kiln
