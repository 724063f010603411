// SPDX-License-Identifier: Apache-2.0
// Instances of the kernels that move elements and of resizing, for freestanding_check.sh.
#include "nn/ref/copy.h"
#include "nn/ref/non_max_suppression.h"
#include "nn/ref/resize2d.h"
#include "nn/ref/scatter.h"
#include "nn/ref/top_k.h"

namespace {

struct Plane {
  static constexpr int32_t rank = 2, in_offset = 0, out_offset = 0;
  static constexpr int32_t dims[] = {67, 41}, in_strides[] = {1, 67}, out_strides[] = {41, 1};
};

struct Runs {
  static constexpr int32_t rank = 2, in_offset = 3, out_offset = 0;
  static constexpr int32_t dims[] = {4, 16}, in_strides[] = {32, 1}, out_strides[] = {16, 1};
};

struct Backwards {
  static constexpr int32_t rank = 4, in_offset = 9, out_offset = 0;
  static constexpr int32_t dims[] = {2, 3, 4, 5}, in_strides[] = {-1, 6, 1, 0}, out_strides[] = {60, 20, 5, 1};
};

struct Mirror {
  static constexpr int32_t rank = 1, mode = 2, in_dims[] = {5}, out_dims[] = {9}, before[] = {2};
};

struct Frame {
  static constexpr int32_t rank = 3, mode = 0, in_dims[] = {5, 4, 3}, out_dims[] = {9, 6, 3}, before[] = {2, 1, 0};
};

struct Rows {
  static constexpr int32_t outer = 2, axis_dim = 7, inner = 3, indices = 4;
};

struct Slices {
  static constexpr int32_t rows = 7, inner = 3, updates = 4;
};

struct First {
  static constexpr int32_t outer = 2, axis_dim = 7, inner = 3, k = 4;
};

struct Boxes {
  static constexpr int32_t batch = 1, classes = 2, boxes = 9, limit = 3, rows = 6, centred = 0;
};

struct Images {
  static constexpr int32_t batch = 1, in_h = 4, in_w = 5, channels = 3, out_h = 8, out_w = 9;
};

}  // namespace

template <class T>
void all(const T* x, const int32_t* index, const int64_t* long_index, const float* weights, T* y, int64_t* found) {
  nn::ref::copy(Plane{}, x, y);
  nn::ref::copy(Runs{}, x, y);
  nn::ref::copy(Backwards{}, x, y);
  nn::ref::pad(Mirror{}, x, x, y);
  nn::ref::pad(Frame{}, x, x, y);
  nn::ref::gather(Rows{}, x, index, y);
  nn::ref::gather(Rows{}, x, long_index, y);
  nn::ref::scatter<nn::fn::second>(Slices{}, x, index, x, y);
  nn::ref::scatter<nn::fn::add>(Slices{}, x, long_index, x, y);
  nn::ref::top_k<nn::fn::greater>(First{}, x, y, found);
  nn::ref::non_max_suppression(Boxes{}, weights, weights, weights, weights, found);
  nn::ref::resize_nearest2d(Images{}, x, index, index, y);
  nn::ref::resize_linear2d(Images{}, x, index, weights, index, weights, y);
}

template void all(const float*, const int32_t*, const int64_t*, const float*, float*, int64_t*);
template void all(const double*, const int32_t*, const int64_t*, const float*, double*, int64_t*);
template void all(const int8_t*, const int32_t*, const int64_t*, const float*, int8_t*, int64_t*);
template void all(const uint8_t*, const int32_t*, const int64_t*, const float*, uint8_t*, int64_t*);
template void all(const int16_t*, const int32_t*, const int64_t*, const float*, int16_t*, int64_t*);
template void all(const int32_t*, const int32_t*, const int64_t*, const float*, int32_t*, int64_t*);
template void all(const int64_t*, const int32_t*, const int64_t*, const float*, int64_t*, int64_t*);
