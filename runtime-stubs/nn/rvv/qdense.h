// SPDX-License-Identifier: 0BSD
// Integer dense layers and the tiles of convolutions by RISC-V vectors. A tile is some pixels times the output channels that fit into a group of
// registers; an input of each pixel is a scalar, multiplied with a vector of weights that was loaded and widened once for all of
// them. Weights are packed [input][channel].
#pragma once

#include "sizes.h"
#include "vec.h"

namespace nn::rvv {

// A layer as its tiles see it: the inputs of a pixel are `runs` runs of memory of `run` elements each. The run r of the pixel at x starts at
// x + starts[r].
struct TileLayer {
  int32_t channels, runs, run;
  const int32_t* starts;
  const int8_t* w;
  const int32_t* b;
  Results results;
};

// Adds all products of the pixels at x[0], x[1], ... to their sums; w points to the first weights of the lanes.
template <class G, class X, class... Sums>
KILN_INLINE void add_products(const TileLayer& layer, const X* (&x)[sizeof...(Sums)], const int8_t* w, size_t vl, Sums&... sums) {
  const auto add = [&](int32_t i) {
    const auto weights = G::widen(w, vl);
    w += layer.channels;
    int32_t p = 0;
    ((sums = __riscv_vwmacc(sums, static_cast<int16_t>(x[p++][i]), weights, vl)), ...);
  };
  int32_t at = 0;
  for (int32_t r = 0; r < layer.runs; ++r) {
    const int32_t step = layer.starts[r] - at;
    at = layer.starts[r] + layer.run;
    for (const X*& pixel : x) pixel += step;
    int32_t left = layer.run;
    for (; left >= 4; left -= 4) {
#pragma GCC unroll 4
      for (int32_t i = 0; i < 4; ++i) add(i);
      for (const X*& pixel : x) pixel += 4;
    }
    for (; left > 0; --left) {
      add(0);
      for (const X*& pixel : x) ++pixel;
    }
  }
}

// One group of channels from c on for `pixels` pixels; makes as many sums first.
template <int32_t pixels, class G, class X, class Sum, class... Sums>
KILN_INLINE void finish_tile(const TileLayer& layer, const X* x, int32_t x_step, int32_t c, int8_t* y, size_t vl, Sum first, Sums... others) {
  if constexpr (sizeof...(Sums) + 1 < pixels) {
    finish_tile<pixels, G>(layer, x, x_step, c, y, vl, first, first, others...);
  } else {
    const X* start[pixels];
    for (const X*& pixel : start) {
      pixel = x;
      x += x_step;
    }
    add_products<G>(layer, start, layer.w + c, vl, first, others...);
    store_all<G>(layer.results, c, y, layer.channels, vl, first, others...);
  }
}

// All channels of `count` pixels, a multiple of `pixels`, whose inputs are x_step apart.
template <int32_t registers, int32_t pixels, class X>
__attribute__((noinline)) void run_tiles(const TileLayer& given, const X* x, int32_t x_step, int32_t count, int8_t* y) {
  using G = Group<registers>;
  const TileLayer layer = given;  // what y points to cannot change it
  for (; count > 0; count -= pixels) {
    size_t vl;
    for (int32_t c = 0; c < layer.channels; c += static_cast<int32_t>(vl)) {
      vl = G::lanes(layer.channels - c);
      finish_tile<pixels, G>(layer, x, x_step, c, y, vl, G::sums(layer.b + c, vl));
    }
    x += pixels * x_step;
    y += pixels * layer.channels;
  }
}

// All channels of `count` pixels. `registers` of a sum are 8, 4 or 2, best such that they hold all channels: the fewer, the more pixels share a
// load of weights.
template <int32_t registers, class X>
KILN_INLINE void run_pixels(const TileLayer& layer, const X* x, int32_t x_step, int32_t count, int8_t* y) {
  constexpr int32_t kPixels = tile_pixels(registers);
  const int32_t rest = count % kPixels, tiled = count - rest;
  if (tiled > 0) run_tiles<registers, kPixels>(layer, x, x_step, tiled, y);
  if (rest == 0) return;
  // The rest one by one, or as a tile that computes some pixels again.
  const bool again = tiled > 0 && 2 * rest >= kPixels;
  const int32_t left = again ? kPixels : rest, start = count - left;
  if (again) run_tiles<registers, kPixels>(layer, x + start * x_step, x_step, left, y + start * layer.channels);
  else run_tiles<8, 1>(layer, x + start * x_step, x_step, left, y + start * layer.channels);
}

template <class D>
KILN_INLINE Results results_of(const D& d, const float* m) {
  return {m, d.y_zero_point, d.low, d.high};
}

// d.registers: see run_pixels.
template <class D, class X, class Y>
KILN_INLINE void qdense(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  const int32_t start = 0;
  run_pixels<D::registers>(TileLayer{d.out, 1, d.in, &start, w, b, results_of(d, m)}, x, d.in, d.rows, bytes_of(y));
}

}  // namespace nn::rvv
