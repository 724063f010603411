// SPDX-License-Identifier: 0BSD
// Discrete Fourier transforms of the frames of a signal.
#pragma once

#include "../base.h"

namespace nn::ref {

struct Complex {
  float re, im;
};

KILN_INLINE Complex product(Complex a, Complex b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }

/// exp(-2 pi i k / length), or its conjugate for the inverse transform; k below the length.
template <class D>
KILN_INLINE Complex root(const D& d, const float* roots, int32_t k) {
  return {roots[2 * k], d.inverse != 0 ? roots[2 * k + 1] : -roots[2 * k + 1]};
}

/// Element n of the frame at x, behind its end 0. A real frame of even length is taken as points / 2 complex numbers, whose parts are neighbours.
template <class D>
KILN_INLINE Complex sample(const D& d, const float* x, const float* window, int32_t n) {
  if (d.components == 1 && d.points != d.length)
    return {2 * n < d.taken ? x[2 * n] * window[2 * n] : 0.0f, 2 * n + 1 < d.taken ? x[2 * n + 1] * window[2 * n + 1] : 0.0f};
  if (n >= d.taken) return {0.0f, 0.0f};
  if (d.components == 1) return {x[n] * window[n], 0.0f};
  return {x[2 * n] * window[n], x[2 * n + 1] * window[n]};
}

/// z = the transform of `points` samples: decimation in time down to the odd part of `points`, which is transformed by its definition.
template <class D>
KILN_INLINE void transform_frame(const D& d, const float* x, const float* window, const float* roots, Complex* z) {
  const int32_t stride = d.length / d.points;  // roots of `points` among those of `length`
  int32_t odd = d.points, blocks = 1;
  for (; odd % 2 == 0; odd /= 2) blocks *= 2;
  int32_t first = 0;  // the bits of b, reversed
  for (int32_t b = 0; b < blocks; ++b) {
    for (int32_t k = 0; k < odd; ++k) {
      Complex sum = sample(d, x, window, first);
      int32_t turn = 0;  // j * k modulo the odd part
      for (int32_t j = 1; j < odd; ++j) {
        turn = turn + k >= odd ? turn + k - odd : turn + k;
        const Complex term = product(sample(d, x, window, first + blocks * j), root(d, roots, turn * blocks * stride));
        sum.re += term.re;
        sum.im += term.im;
      }
      z[b * odd + k] = sum;
    }
    int32_t bit = blocks / 2;
    for (; bit > 0 && (first & bit) != 0; bit /= 2) first -= bit;
    first += bit;
  }
  for (int32_t half = odd; half < d.points; half *= 2) {
    const int32_t step = d.points / (2 * half) * stride;
    for (int32_t k = 0; k < half; ++k) {
      const Complex turn = root(d, roots, k * step);
      for (int32_t i = k; i < d.points; i += 2 * half) {
        const Complex a = z[i], b = product(z[i + half], turn);
        z[i] = {a.re + b.re, a.im + b.im};
        z[i + half] = {a.re - b.re, a.im - b.im};
      }
    }
  }
}

/// x [batch, signal, components], window [taken], roots [length, 2] of cosines and sines of 2 pi k / length; y [batch, frames, bins, 2].
/// Frames begin every `step` samples and are filled up with zeros; the inverse transform divides by the length. scratch: `points` complex numbers.
template <class D>
KILN_INLINE void dft(const D& d, const float* x, const float* window, const float* roots, float* y, void* scratch) {
  Complex* z = static_cast<Complex*>(scratch);
  const float scale = d.inverse != 0 ? 1.0f / static_cast<float>(d.length) : 1.0f;
  for (int32_t frame = 0; frame < d.batch * d.frames; ++frame) {
    transform_frame(d, x + (frame / d.frames * d.signal + frame % d.frames * d.step) * d.components, window, roots, z);
    for (int32_t k = 0; k < d.bins; ++k, y += 2) {
      Complex bin;
      if (d.points == d.length) {
        bin = z[k];
      } else {  // z = E + i O of the transforms of even and odd samples, which conjugate symmetry tells apart; bin k is E + root * O
        const int32_t at = k > d.points ? d.length - k : k;
        const Complex a = z[at == d.points ? 0 : at], b = z[at == 0 || at == d.points ? 0 : d.points - at];
        const Complex odd = product({0.5f * (a.im + b.im), 0.5f * (b.re - a.re)}, root(d, roots, at));
        bin = {0.5f * (a.re + b.re) + odd.re, 0.5f * (a.im - b.im) + odd.im};
        if (k > d.points) bin.im = -bin.im;
      }
      y[0] = bin.re * scale;
      y[1] = bin.im * scale;
    }
  }
}

}  // namespace nn::ref
