// SPDX-License-Identifier: Apache-2.0
// Instances of the kernels for RISC-V vectors, for freestanding_check.sh.
#if defined(__riscv_vector)
#include "nn/rvv/conv2d.h"
#include "nn/rvv/qconv2d.h"

namespace {

struct Layer {
  static constexpr int32_t batch = 1, in_h = 9, in_w = 9, in_c = 5, channels = 24, out_h = 9, out_w = 9, out_c = 70, kernel_h = 3,
                           kernel_w = 3;
  static constexpr int32_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, pad_top = 1, pad_left = 1, rows = 7, in = 19,
                           out = 70;
  static constexpr int32_t x_zero_point = -3, y_zero_point = 5, low = 0, high = 127;
  static constexpr int32_t registers = 8, together = 1, ring_bytes = 7040;
};
struct Narrow : Layer {
  static constexpr int32_t registers = 4;
};
struct Narrowest : Layer {
  static constexpr int32_t registers = 2;
};

}  // namespace

template <class D, class X, class Y>
void layers(const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  nn::rvv::qconv2d(D{}, x, w, b, m, y, scratch);
  nn::rvv::qdepthwise2d(D{}, x, w, b, m, y, scratch);
  nn::rvv::qdense(D{}, x, w, b, m, y);
}

template void layers<Layer>(const int8_t*, const int8_t*, const int32_t*, const float*, int8_t*, uint8_t*);
template void layers<Narrow>(const uint8_t*, const int8_t*, const int32_t*, const float*, uint8_t*, uint8_t*);
template void layers<Narrowest>(const uint8_t*, const int8_t*, const int32_t*, const float*, int8_t*, uint8_t*);

#if defined(__riscv_v_elen_fp) && __riscv_v_elen_fp >= 32
template <class Base>
struct Clipped : Base {
  static constexpr float alpha = 0, beta = 6;
};

template <class D>
void floats(const float* x, const float* w, const float* b, float* y, uint8_t* scratch) {
  nn::rvv::conv2d<nn::fn::clip>(D{}, x, w, b, y, scratch);
  nn::rvv::depthwise2d<nn::fn::relu>(D{}, x, w, b, y, scratch);
  nn::rvv::dense<nn::fn::none>(D{}, x, w, b, y);
}

template void floats<Clipped<Layer>>(const float*, const float*, const float*, float*, uint8_t*);
template void floats<Clipped<Narrow>>(const float*, const float*, const float*, float*, uint8_t*);
template void floats<Clipped<Narrowest>>(const float*, const float*, const float*, float*, uint8_t*);
#endif
#endif
