// SPDX-License-Identifier: Apache-2.0
// For freestanding_check.sh: layers that need no float operation on a core without an FPU.
#include "nn/ref/qconv2d.h"
#include "nn/ref/qpool2d.h"

struct Layer {
  static constexpr int32_t batch = 1, in_h = 9, in_w = 9, in_c = 8, out_h = 5, out_w = 5, out_c = 8, kernel_h = 3, kernel_w = 3, stride_h = 2, stride_w = 2;
  static constexpr int32_t dilation_h = 1, dilation_w = 1, pad_top = 1, pad_left = 1, groups = 1, channels = 8, padded_h = 11, padded_w = 11;
  static constexpr int32_t count_include_pad = 0, uniform_count = 0, x_zero_point = -3, w_zero_point = 0, y_zero_point = 5, low = -128, high = 127;
  static constexpr int32_t multiplier_stride = 1, wide = 0;
};

void layers(const int8_t* x, const int8_t* w, const int32_t* b, const float* m, int8_t* y);
void layers(const int8_t* x, const int8_t* w, const int32_t* b, const float* m, int8_t* y) {
  nn::ref::qconv2d(Layer{}, x, w, b, m, y);
  nn::ref::qaverage_pool2d(Layer{}, x, m, y);
}

int32_t narrow(int32_t acc, float m, int32_t zero_point) { return nn::requantize(acc, m, zero_point, -128, 127); }
int32_t wide(int64_t acc, float m, int32_t zero_point) { return nn::requantize(acc, m, zero_point, -32768, 32767); }
