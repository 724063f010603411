// SPDX-License-Identifier: Apache-2.0
// Instances of the integer kernels for x86-64, with the widest registers and products that the compiler's options allow, for
// freestanding_check.sh.
#if defined(__x86_64__)
#include "nn/x86/qconv2d.h"
#include "nn/x86/qpool2d.h"

namespace {

#if defined(__AVX512BW__)
constexpr int32_t kBytes = 64;
#elif defined(__AVX2__)
constexpr int32_t kBytes = 32;
#else
constexpr int32_t kBytes = 16;
#endif
#if defined(__AVX512VNNI__)
constexpr int32_t kStep = 4;
#else
constexpr int32_t kStep = 2;
#endif

struct Layer {
  static constexpr int32_t batch = 1, in_h = 9, in_w = 9, in_c = 5, channels = 72, out_h = 5, out_w = 5, out_c = 70, kernel_h = 3, kernel_w = 3;
  static constexpr int32_t stride_h = 2, stride_w = 2, dilation_h = 1, dilation_w = 1, pad_top = 1, pad_left = 1, rows = 7, in = 19, out = 70;
  static constexpr int32_t x_zero_point = -3, y_zero_point = 5, low = 0, high = 127, multiplier_stride = 1;
  static constexpr int32_t padded_h = 11, padded_w = 11, count_include_pad = 0, uniform_count = 0;
  static constexpr int32_t step = kStep, lanes = kBytes / 4, vectors = 2, pixels = 2, bytes = kBytes;
};

struct Small : Layer {
  static constexpr int32_t lanes = 4, vectors = 1, bytes = 8;
};

}  // namespace

template <class D, class X, class Y>
void layers(const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  nn::x86::qconv2d(D{}, x, w, b, m, y);
  nn::x86::qdense(D{}, x, w, b, m, y);
  if constexpr (sizeof(Y) == 1) {
    nn::x86::qdepthwise2d(D{}, x, w, b, m, y);
    nn::x86::qaverage_pool2d(D{}, x, m, y);
  }
}

template void layers<Layer>(const int8_t*, const int8_t*, const int32_t*, const float*, int8_t*);
template void layers<Layer>(const uint8_t*, const int8_t*, const int32_t*, const float*, uint8_t*);
template void layers<Layer>(const uint8_t*, const int8_t*, const int32_t*, const float*, uint16_t*);
template void layers<Layer>(const int8_t*, const int8_t*, const int32_t*, const float*, float*);
template void layers<Small>(const int8_t*, const int8_t*, const int32_t*, const float*, int8_t*);
template void layers<Small>(const uint8_t*, const int8_t*, const int32_t*, const float*, int32_t*);
#endif
