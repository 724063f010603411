// SPDX-License-Identifier: Apache-2.0
// Instances of the kernels that sample images, for freestanding_check.sh.
#include "nn/ref/grid_sample.h"
#include "nn/ref/resample.h"
#include "nn/ref/roi_align.h"

namespace {

struct Filter {
  static constexpr int32_t outer = 2, in = 5, inner = 3, out = 8, taps = 4;
};

template <int32_t kMode, int32_t kPadding>
struct Plain {
  static constexpr int32_t batch = 1, rank = 2, sizes[] = {4, 5}, channels = 3, points = 6, mode = kMode, padding = kPadding, coordinates = 2;
};

struct Volume {
  static constexpr int32_t batch = 2, rank = 3, sizes[] = {4, 5, 3}, channels = 3, points = 6, mode = 0, padding = 2, coordinates = 1;
};

struct Regions {
  static constexpr int32_t batch = 2, in_h = 4, in_w = 5, channels = 3, regions = 2, out_h = 2, out_w = 2, sampling = 0, maximum = 1;
  static constexpr float scale = 0.5f, offset = 0.5f;
};

}  // namespace

template <class T>
void samples(const T* x, const T* grid, const int32_t* positions, const float* weights, T* y) {
  nn::ref::resample(Filter{}, x, positions, weights, y);
  nn::ref::grid_sample(Plain<0, 0>{}, x, grid, y);
  nn::ref::grid_sample(Plain<1, 1>{}, x, grid, y);
  nn::ref::grid_sample(Plain<2, 2>{}, x, grid, y);
  nn::ref::grid_sample(Volume{}, x, grid, y);
}

template void samples(const float*, const float*, const int32_t*, const float*, float*);
template void samples(const double*, const double*, const int32_t*, const float*, double*);

void regions(const float* x, const float* boxes, const int32_t* images, const int64_t* long_images, float* y) {
  nn::ref::roi_align(Regions{}, x, boxes, images, y);
  nn::ref::roi_align(Regions{}, x, boxes, long_images, y);
}
