// SPDX-License-Identifier: Apache-2.0
// Instances of the integer kernels, for freestanding_check.sh.
#include "nn/ref/qbinary.h"
#include "nn/ref/layer_norm.h"
#include "nn/ref/qconv2d.h"
#include "nn/ref/qdense.h"
#include "nn/ref/qelementwise.h"
#include "nn/ref/qpool2d.h"
#include "nn/ref/qreduce.h"
#include "nn/ref/qresize2d.h"
#include "nn/ref/qsoftmax.h"

namespace {

template <int32_t is_wide>
struct Layer {
  static constexpr int32_t batch = 1, in_h = 9, in_w = 9, in_c = 8, channels = 8, out_h = 5, out_w = 5, out_c = 8, kernel_h = 3, kernel_w = 3;
  static constexpr int32_t stride_h = 2, stride_w = 2, dilation_h = 1, dilation_w = 1, pad_top = 1, pad_left = 1, groups = 2, rows = 3, in = 16, out = 8;
  static constexpr int32_t x_zero_point = -3, w_zero_point = 2, y_zero_point = 5, low = 0, high = 127, multiplier_stride = 1, wide = is_wide;
};

template <int32_t is_wide>
struct Product {
  static constexpr int32_t rank = 1, batch[] = {2}, a_strides[] = {12}, b_strides[] = {0}, m = 3, n = 5, k = 4;
  static constexpr int32_t a_zero_point = 1, b_zero_point = -2, y_zero_point = 0, low = -128, high = 127, wide = is_wide;
  static constexpr float multiplier = 0.01f;
};

struct Pair {
  static constexpr int32_t rank = 2, dims[] = {4, 7}, a_strides[] = {7, 1}, b_strides[] = {0, 1};
  static constexpr int32_t a_zero_point = 1, b_zero_point = -2, y_zero_point = 0, low = 0, high = 127;
  static constexpr float a_scale = 0.1f, b_scale = 0.2f, y_scale = 0.15f, alpha = 0.0f, beta = 6.0f;
  static constexpr int32_t a_factor = 5592405, b_factor = 11184811, offset = 77, shift = 23;
};

struct Channels {
  static constexpr int32_t outer = 2, channels = 3, inner = 5, count = 30, low = 0, high = 127;
};

struct Windows {
  static constexpr int32_t batch = 1, in_h = 9, in_w = 9, channels = 8, out_h = 5, out_w = 5, kernel_h = 3, kernel_w = 3, stride_h = 2, stride_w = 2;
  static constexpr int32_t dilation_h = 1, dilation_w = 1, pad_top = 1, pad_left = 1, padded_h = 11, padded_w = 11, count_include_pad = 0;
  static constexpr int32_t x_zero_point = 3, y_zero_point = 4, low = 0, high = 127, uniform_count = 0;
};

struct Sum {
  static constexpr int32_t kept_rank = 2, kept[] = {3, 4}, kept_strides[] = {80, 1}, reduced_rank = 1, reduced[] = {20}, reduced_strides[] = {4};
  static constexpr int32_t x_zero_point = 3, y_zero_point = 4, low = 0, high = 127;
  static constexpr float multiplier = 0.05f;
};

struct Distribution {
  static constexpr int32_t outer = 2, axis_dim = 10, inner = 1, y_zero_point = 0, low = 0, high = 127;
  static constexpr float y_scale = 1.0f / 256;
};

struct Images {
  static constexpr int32_t batch = 1, in_h = 4, in_w = 5, channels = 3, out_h = 8, out_w = 9, x_zero_point = 3, y_zero_point = 4, low = 0, high = 127;
  static constexpr float multiplier = 1.5f;
};

struct Norm {
  static constexpr int32_t rows = 3, count = 24, x_zero_point = 3, y_zero_point = 4, low = 0, high = 127;
  static constexpr float epsilon = 1e-5f, x_scale = 0.1f, y_scale = 0.05f;
};

}  // namespace

template <int32_t wide, class X, class W, class Y>
void layers(const X* x, const W* w, const int32_t* b, const float* m, Y* y) {
  nn::ref::qconv2d(Layer<wide>{}, x, w, b, m, y);
  nn::ref::qdepthwise2d(Layer<wide>{}, x, w, b, m, y);
  nn::ref::qdense(Layer<wide>{}, x, w, b, m, y);
  nn::ref::qmatmul(Product<wide>{}, x, w, y);
}

template void layers<0>(const int8_t*, const int8_t*, const int32_t*, const float*, int8_t*);
template void layers<0>(const uint8_t*, const uint8_t*, const int32_t*, const float*, uint8_t*);
template void layers<0>(const uint8_t*, const int8_t*, const int32_t*, const float*, float*);
template void layers<0>(const uint8_t*, const int8_t*, const int32_t*, const float*, int32_t*);
template void layers<1>(const int16_t*, const int8_t*, const int32_t*, const float*, int16_t*);
template void layers<1>(const uint16_t*, const int16_t*, const int32_t*, const float*, uint16_t*);
template void layers<1>(const int16_t*, const int16_t*, const int32_t*, const float*, float*);
template void layers<1>(const int16_t*, const uint8_t*, const int32_t*, const float*, int32_t*);

template <class X, class Y>
void others(const X* x, const int32_t* index, const float* real, Y* y, float* real_y) {
  nn::ref::qbinary<nn::fn::add, nn::fn::relu>(Pair{}, x, y, y);
  nn::ref::qbinary<nn::fn::mul, nn::fn::none>(Pair{}, x, y, y);
  nn::ref::qbinary<nn::fn::div, nn::fn::clip>(Pair{}, x, y, y);
  nn::ref::qbinary_integer<nn::fn::add, nn::fn::none>(Pair{}, x, y, y);
  nn::ref::qbinary_integer<nn::fn::mul, nn::fn::none>(Pair{}, x, y, y);
  nn::ref::quantize(Channels{}, real, real, index, y);
  nn::ref::dequantize(Channels{}, x, real, index, real_y);
  nn::ref::qaverage_pool2d(Windows{}, x, real, y);
  nn::ref::qreduce_sum(Sum{}, x, y);
  nn::ref::qresize_linear2d(Images{}, x, index, real, index, real, y);
  nn::ref::qlayer_norm(Norm{}, x, real, real, y);
}

template void others(const int8_t*, const int32_t*, const float*, int8_t*, float*);
template void others(const uint8_t*, const int32_t*, const float*, uint8_t*, float*);
template void others(const int16_t*, const int32_t*, const float*, int16_t*, float*);
template void others(const uint16_t*, const int32_t*, const float*, uint16_t*, float*);
template void others(const int8_t*, const int32_t*, const float*, uint16_t*, float*);

template <class X, class Y>
void bytes(const X* x, const float* table, const Y* y_table, Y* y) {
  nn::ref::qsoftmax(Distribution{}, x, table, y);
  nn::ref::lookup(Channels{}, x, y_table, y);
}

template void bytes(const int8_t*, const float*, const int8_t*, int8_t*);
template void bytes(const uint8_t*, const float*, const int16_t*, int16_t*);

void floats(const float* x, const int32_t* index, const float* table, float* y, float* scale, uint8_t* q);
void floats(const float* x, const int32_t* index, const float* table, float* y, float* scale, uint8_t* q) {
  nn::ref::layer_norm(Norm{}, x, table, table, y);
  nn::ref::dequantize(Channels{}, index, table, index, y);
  nn::ref::lookup(Channels{}, q, table, y);
  nn::ref::dynamic_quantize(Channels{}, x, q, scale, q + 30);
}
