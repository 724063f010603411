// SPDX-License-Identifier: Apache-2.0
// For freestanding_check.sh: kernels whose float products are rounded before they are added up, on processors that could fuse both.
#include "nn/functors.h"
#include "nn/ref/layer_norm.h"
#include "nn/ref/qelementwise.h"
#include "nn/ref/qresize2d.h"
#include "nn/ref/qsoftmax.h"

struct Sum {
  static constexpr int32_t rank = 1, dims[] = {4096}, a_strides[] = {1}, b_strides[] = {1};
  static constexpr int32_t a_zero_point = -3, b_zero_point = 5, y_zero_point = -128, low = -128, high = 127;
  static constexpr float a_scale = 0.1f, b_scale = 0.2f, y_scale = 0.15f, alpha = 0, beta = 0;
};

struct Layer {
  static constexpr int32_t batch = 1, in_h = 4, in_w = 5, channels = 16, out_h = 8, out_w = 9, rows = 3, count = 24, outer = 2, axis_dim = 10, inner = 1;
  static constexpr int32_t x_zero_point = 3, y_zero_point = 4, low = 0, high = 127;
  static constexpr float multiplier = 1.5f, epsilon = 1e-5f, x_scale = 0.1f, y_scale = 0.05f;
};

void layers(const int8_t* x, const float* real, const int32_t* index, int8_t* y, float* real_y);
void layers(const int8_t* x, const float* real, const int32_t* index, int8_t* y, float* real_y) {
  nn::ref::qbinary<nn::fn::add, nn::fn::none>(Sum{}, x, x + 4096, y);
  nn::ref::qresize_linear2d(Layer{}, x, index, real, index, real, y);
  nn::ref::qlayer_norm(Layer{}, x, real, real, y);
  nn::ref::qsoftmax(Layer{}, x, real, y);
  nn::ref::layer_norm(Layer{}, real, real, real, real_y);
}
