// SPDX-License-Identifier: Apache-2.0
// For freestanding_check.sh: the integer kernels for cores without SIMD.
#include "nn/scalar/qconv2d.h"
#include "nn/scalar/qdense.h"
#include "nn/scalar/qdepthwise2d.h"

namespace {

struct Layer {
  static constexpr int32_t batch = 1, in_h = 9, in_w = 9, in_c = 5, channels = 5, out_h = 5, out_w = 5, out_c = 7, kernel_h = 3, kernel_w = 3, stride_h = 2, stride_w = 2;
  static constexpr int32_t dilation_h = 1, dilation_w = 1, pad_top = 1, pad_left = 1, rows = 9, in = 19, out = 7;
  static constexpr int32_t x_zero_point = 5, y_zero_point = 4, low = 0, high = 127;
  static constexpr int32_t tile = 5, plane_h = 11, plane_w = 11;
#if defined(__riscv)
  static constexpr int32_t block = 2, most = 12, unit = 3;
#elif defined(__thumb2__)
  static constexpr int32_t block = 1, most = 16, unit = 1;
#else
  static constexpr int32_t block = 1, most = 16, unit = 7;
#endif
};

struct RowLayer {
  static constexpr int32_t rows = 2, in = 19, out = 7, y_zero_point = 4, low = 0, high = 127;
#if defined(__riscv)
  static constexpr int32_t block = 16;
#else
  static constexpr int32_t block = 8;
#endif
};

}  // namespace

template <class X, class Y>
void scalar(const X* x, const int8_t* w, const int32_t* offset, const int32_t* factor, Y* y, uint8_t* scratch) {
  nn::scalar::qconv2d(Layer{}, x, w, offset, factor, y, scratch);
  nn::scalar::qdepthwise2d(Layer{}, x, w, offset, factor, y, scratch);
  nn::scalar::qdense(Layer{}, x, w, offset, factor, y, scratch);
  nn::scalar::qdense_row(RowLayer{}, x, w, offset, factor, y);
  nn::scalar::qdense_words(RowLayer{}, x, w, offset, factor, y, scratch);
}

template void scalar(const int8_t*, const int8_t*, const int32_t*, const int32_t*, int8_t*, uint8_t*);
template void scalar(const uint8_t*, const int8_t*, const int32_t*, const int32_t*, uint8_t*, uint8_t*);
template void scalar(const uint8_t*, const int8_t*, const int32_t*, const int32_t*, int8_t*, uint8_t*);
