// SPDX-License-Identifier: Apache-2.0
// Instances of the kernels of layers and reductions, for freestanding_check.sh.
#include "nn/fpu/conv2d.h"
#include "nn/fpu/recurrent.h"
#include "nn/functors_math.h"
#include "nn/ref/arg_reduce.h"
#include "nn/ref/conv2d.h"
#include "nn/ref/cumulative.h"
#include "nn/ref/dense.h"
#include "nn/ref/dft.h"
#include "nn/ref/group_norm.h"
#include "nn/ref/layer_norm.h"
#include "nn/ref/pool2d.h"
#include "nn/math_f64.h"
#include "nn/reducers_math.h"
#include "nn/ref/recurrent.h"
#include "nn/ref/reduce.h"
#include "nn/ref/softmax.h"

namespace {

struct Image {
  static constexpr int32_t batch = 1, in_h = 9, in_w = 9, in_c = 8, channels = 8, out_h = 5, out_w = 5, out_c = 8, kernel_h = 3, kernel_w = 3;
  static constexpr int32_t stride_h = 2, stride_w = 2, dilation_h = 1, dilation_w = 1, pad_top = 1, pad_left = 1, groups = 1;
  static constexpr int32_t padded_h = 11, padded_w = 11, count_include_pad = 1;
  static constexpr float alpha = 0, beta = 6;
};

struct Product {
  static constexpr int32_t rows = 3, in = 8, out = 8, rank = 1, m = 3, n = 4, k = 5;
  static constexpr int32_t batch[] = {2}, a_strides[] = {15}, b_strides[] = {20};
  static constexpr float alpha = 0.1f;
};

struct Steps {
  static constexpr int32_t steps = 3, batch = 2, inputs = 5, units = 6, x_step = 10, x_batch = 5, y_step = 12, y_batch = 6, y_offset = 0;
  static constexpr int32_t state_batch = 6, state_offset = 0, reverse = 1, sequence = 1, has_last = 1, has_lens = 1, has_h = 1, has_c = 1, has_cell = 1;
  static constexpr int32_t has_peepholes = 1, input_forget = 1, linear_before_reset = 0;
  static constexpr float clip = 3, f_alpha = 0, f_beta = 0, g_alpha = 0, g_beta = 0, h_alpha = 0.5f, h_beta = 2;
};

struct LastStep : Steps {
  static constexpr int32_t sequence = 0, has_last = 0, has_lens = 0, has_h = 0, has_c = 0, has_peepholes = 0, input_forget = 0, linear_before_reset = 1;
};

struct Vectors {
  static constexpr int32_t outer = 2, axis_dim = 10, inner = 1, exclusive = 0, reverse = 1;
};

struct Rows {
  static constexpr int32_t kept_rank = 1, reduced_rank = 1, kept[] = {8}, kept_strides[] = {1}, reduced[] = {7}, reduced_strides[] = {8};
};

struct Runs {
  static constexpr int32_t kept_rank = 2, reduced_rank = 1, kept[] = {8, 3}, kept_strides[] = {210, 7}, reduced[] = {7}, reduced_strides[] = {1};
};

template <int32_t kGroups>
struct Groups {
  static constexpr int32_t batch = 2, pixels = 9, channels = 12, groups = kGroups, rows = 9, count = 12;
  static constexpr float epsilon = 1e-5f;
};

struct Spectrum {
  static constexpr int32_t batch = 1, signal = 64, components = 1, frames = 3, step = 16, taken = 30, length = 48, points = 24, bins = 25, inverse = 0;
};

}  // namespace

template <class Kernels, class D, class T>
void recurrent_layers(const D& d, const T* x, const T* w, T* y, T* h, T* c, const int32_t* lens, unsigned char* scratch) {
  using namespace nn::fn;
  Kernels::template rnn<relu>(d, x, w, w, w, lens, w, y, h, scratch);
  Kernels::template gru<sigmoid, nn::fn::tanh>(d, x, w, w, w, lens, w, y, h, scratch);
  Kernels::template lstm<hard_sigmoid, nn::fn::tanh, scaled_tanh>(d, x, w, w, w, lens, w, w, w, y, h, c, scratch);
}

template <class T>
void recurrent_types(const T* x, const T* w, T* y, T* h, T* c, const int32_t* lens, unsigned char* scratch) {
  recurrent_layers<nn::ref::Recurrent>(Steps{}, x, w, y, h, c, lens, scratch);
  recurrent_layers<nn::ref::Recurrent>(LastStep{}, x, w, y, h, c, lens, scratch);
}

void recurrent_floats(const float* x, const float* w, float* y, float* h, float* c, const int32_t* lens, unsigned char* scratch) {
  recurrent_types(x, w, y, h, c, lens, scratch);
  recurrent_layers<nn::fpu::Recurrent>(Steps{}, x, w, y, h, c, lens, scratch);
  recurrent_layers<nn::fpu::Recurrent>(LastStep{}, x, w, y, h, c, lens, scratch);
}

void recurrent_doubles(const double* x, const double* w, double* y, double* h, double* c, const int32_t* lens, unsigned char* scratch) {
  recurrent_types(x, w, y, h, c, lens, scratch);
}

template <class T>
void layers(const T* x, const T* w, const T* b, T* y) {
  nn::ref::conv2d<nn::fn::clip>(Image{}, x, w, b, y);
  nn::ref::depthwise2d<nn::fn::relu>(Image{}, x, w, b, y);
  nn::ref::dense<nn::fn::leaky_relu>(Product{}, x, w, b, y);
  nn::ref::matmul(Product{}, x, w, y);
  nn::ref::average_pool2d(Image{}, x, y);
  nn::ref::softmax(Vectors{}, x, y);
  nn::ref::log_softmax(Vectors{}, x, y);
  nn::ref::reduce<nn::fn::reduce_l2>(Rows{}, x, y);
  nn::ref::reduce<nn::fn::reduce_log_sum>(Runs{}, x, y);
}

template <class T>
void reductions(const T* x, T* y, int64_t* positions) {
  nn::ref::arg_reduce<nn::fn::greater>(Vectors{}, x, positions);
  nn::ref::cumulative<nn::fn::reduce_sum>(Vectors{}, x, y);
  nn::ref::max_pool2d(Image{}, x, y);
  nn::ref::max_pool2d_positions(Image{}, x, positions);
  nn::ref::reduce<nn::fn::reduce_sum>(Rows{}, x, y);
  nn::ref::reduce<nn::fn::reduce_mean>(Runs{}, x, y);
  nn::ref::reduce<nn::fn::reduce_l1>(Rows{}, x, y);
  nn::ref::reduce<nn::fn::reduce_sum_square>(Runs{}, x, y);
  nn::ref::reduce<nn::fn::reduce_prod>(Rows{}, x, y);
  nn::ref::reduce<nn::fn::reduce_max>(Runs{}, x, y);
  nn::ref::reduce<nn::fn::reduce_min>(Rows{}, x, y);
}

void spectra(const float* x, const float* window, const float* roots, float* y, void* scratch) {
  nn::ref::dft(Spectrum{}, x, window, roots, y, scratch);
}

template void layers(const float*, const float*, const float*, float*);
template void layers(const double*, const double*, const double*, double*);
template void reductions(const float*, float*, int64_t*);
template void reductions(const double*, double*, int64_t*);
template void reductions(const int8_t*, int8_t*, int64_t*);
template void reductions(const uint8_t*, uint8_t*, int64_t*);
template void reductions(const int32_t*, int32_t*, int64_t*);
template void reductions(const uint32_t*, uint32_t*, int64_t*);
template void reductions(const int64_t*, int64_t*, int64_t*);

void normalizations(const float* x, const float* scale, const float* bias, float* y) {
  nn::ref::group_norm(Groups<3>{}, x, scale, bias, y);
  nn::ref::group_norm(Groups<12>{}, x, scale, bias, y);
  nn::ref::rms_norm(Groups<1>{}, x, scale, y);
}

void fpu_layers(const float* x, const float* w, const float* b, float* y) {
  nn::fpu::conv2d<nn::fn::clip>(Image{}, x, w, b, y);
  nn::fpu::depthwise2d<nn::fn::relu>(Image{}, x, w, b, y);
  nn::fpu::dense<nn::fn::leaky_relu>(Product{}, x, w, b, y);
}
