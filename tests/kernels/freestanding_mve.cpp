// SPDX-License-Identifier: Apache-2.0
// Instances of the integer kernels for MVE, with descriptors that are constants and with those that are not, for freestanding_check.sh.
#if defined(__ARM_FEATURE_MVE)
#include "nn/mve/qbinary.h"
#include "nn/mve/qconv2d.h"
#include "nn/mve/qdepthwise2d.h"
#include "nn/mve/qpatch2d.h"
#include "nn/mve/qpool2d.h"

namespace {

struct Constant {
  static constexpr int32_t batch = 1, in_h = 9, in_w = 9, in_c = 5, channels = 72, out_h = 5, out_w = 5, out_c = 70, kernel_h = 3, kernel_w = 3;
  static constexpr int32_t stride_h = 2, stride_w = 2, dilation_h = 1, dilation_w = 1, pad_top = 1, pad_left = 1, rows = 7, in = 19, out = 70;
  static constexpr int32_t x_zero_point = -3, y_zero_point = 5, low = 0, high = 127, multiplier_stride = 1, columns = 4, strip = 1;
  static constexpr int32_t padded_h = 11, padded_w = 11, count_include_pad = 0, uniform_count = 0;
  static constexpr int32_t rank = 1, dims[1] = {19}, a_strides[1] = {1}, b_strides[1] = {1}, a_factor = 3, b_factor = 5, offset = 7, shift = 4;
};

struct Object {
  int32_t batch, in_h, in_w, in_c, channels, out_h, out_w, out_c, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, rows, in, out;
  int32_t x_zero_point, y_zero_point, low, high, multiplier_stride, columns, strip, padded_h, padded_w, count_include_pad, uniform_count;
  int32_t rank, dims[8], a_strides[8], b_strides[8], a_factor, b_factor, offset, shift;
};

}  // namespace

template <class D, class X, class Y>
void layers(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  nn::mve::qconv2d(d, x, w, b, m, y, scratch);
  nn::mve::qdense(d, x, w, b, m, y, scratch);
  if constexpr (X(-1) < X(0)) {
    nn::mve::qconv2d(d, x, w, b, m, y);
    nn::mve::qdense(d, x, w, b, m, y);
  }
  nn::mve::qdepthwise2d(d, x, w, b, m, y, scratch);
  nn::mve::qdepthwise2d_patches(d, x, w, b, m, y, scratch);
  nn::mve::qaverage_pool2d(d, x, m, y);
  nn::mve::qbinary<nn::fn::add, nn::fn::none>(d, x, w, y);
}

template void layers(const Constant&, const int8_t*, const int8_t*, const int32_t*, const float*, int8_t*, uint8_t*);
template void layers(const Constant&, const uint8_t*, const int8_t*, const int32_t*, const float*, uint8_t*, uint8_t*);
template void layers(const Object&, const int8_t*, const int8_t*, const int32_t*, const float*, uint8_t*, uint8_t*);
template void layers(const Object&, const uint8_t*, const int8_t*, const int32_t*, const float*, int8_t*, uint8_t*);
#endif
