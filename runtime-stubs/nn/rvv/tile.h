// SPDX-License-Identifier: 0BSD
// The tiles of dense layers and convolutions by RISC-V vectors, of bytes and of floats. A tile is some pixels times the output channels
// that fit into a group of registers; an input of each pixel is a scalar, multiplied with a vector of weights that was loaded, and widened,
// once for all of them. Weights are packed [input][channel].
#pragma once

#include "sizes.h"
#include "vec.h"

namespace nn::rvv {

// A layer as its tiles see it: the inputs of a pixel are `runs` runs of memory of `run` elements each. The run r of the pixel at x starts
// at x + starts[r].
template <class W, class B, class Results>
struct TileLayer {
  int32_t channels, runs, run;
  const int32_t* starts;
  const W* w;
  const B* b;
  Results results;
};

// Adds all products of the pixels at x[0], x[1], ... to their sums; w points to the first weights of the lanes.
template <class G, class Layer, class X, class W, class... Sums>
KILN_INLINE void add_products(const Layer& layer, const X* (&x)[sizeof...(Sums)], const W* w, size_t vl, Sums&... sums) {
  const auto add = [&](int32_t i) {
    const auto weights = G::widen(w, vl);
    w += layer.channels;
    int32_t p = 0;
    ((sums = G::add_product(sums, x[p++][i], weights, vl)), ...);
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
template <int32_t pixels, class G, class Layer, class X, class Y, class Sum, class... Sums>
KILN_INLINE void finish_tile(const Layer& layer, const X* x, int32_t x_step, int32_t c, Y* y, size_t vl, Sum first, Sums... others) {
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
template <class G, int32_t pixels, class Layer, class X, class Y>
__attribute__((noinline)) void run_tiles(const Layer& given, const X* x, int32_t x_step, int32_t count, Y* y) {
  const Layer layer = given;  // what y points to cannot change it
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

// All channels of `count` pixels, `pixels` at a time. G is best such that it holds all channels: the fewer registers a sum takes, the more
// pixels share a load of weights.
template <class G, int32_t pixels, class Layer, class X, class Y>
KILN_INLINE void run_pixels(const Layer& layer, const X* x, int32_t x_step, int32_t count, Y* y) {
  const int32_t rest = count % pixels, tiled = count - rest;
  if (tiled > 0) run_tiles<G, pixels>(layer, x, x_step, tiled, y);
  if (rest == 0) return;
  // The rest one by one, or as a tile that computes some pixels again.
  const bool again = tiled > 0 && 2 * rest >= pixels;
  const int32_t left = again ? pixels : rest, start = count - left;
  if (again)
    run_tiles<G, pixels>(layer, x + start * x_step, x_step, left, y + start * layer.channels);
  else
    run_tiles<typename G::Largest, 1>(layer, x + start * x_step, x_step, left, y + start * layer.channels);
}

}  // namespace nn::rvv
