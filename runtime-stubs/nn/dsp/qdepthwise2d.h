// SPDX-License-Identifier: 0BSD
// Depthwise convolutions by the DSP instructions. Weights are packed as w[4 channels][kernel_h][kernel_w], a word of 4 channels per tap;
// blocks overlap where 4 does not divide the channels. D::taps is kernel_h * kernel_w.
#pragma once

#include "../rows.h"
#include "dsp.h"

namespace nn::dsp {

KILN_INLINE int32_t block_channel(int32_t block, int32_t channels) { return block + 4 <= channels ? block : channels - 4; }

// ---- any window: 4 channels of one pixel at a time

// One pixel of 4 channels; word(tap_y, tap_x) is the input's.
template <class X, class D, class Word, class Y>
KILN_INLINE void depthwise_pixel(const D& d, const int8_t* w, const int32_t* b, const float* m, Y* y, const Word& word) {
  int32_t sum[4] = {b[0], b[1], b[2], b[3]};
#pragma GCC unroll 4
  for (int32_t ty = 0; ty < d.kernel_h; ++ty) {
#pragma GCC unroll 8
    for (int32_t tx = 0; tx < d.kernel_w; ++tx) {
      const uint32_t weights = load_word(w + 4 * (ty * d.kernel_w + tx)), inputs = word(ty, tx);
      const uint32_t even = even_bytes<int8_t>(weights), odd = odd_bytes<int8_t>(weights);
      const uint32_t x_even = even_bytes<X>(inputs), x_odd = odd_bytes<X>(inputs);
      sum[0] = add_low_product(x_even, even, sum[0]);
      sum[1] = add_low_product(x_odd, odd, sum[1]);
      sum[2] = add_high_product(x_even, even, sum[2]);
      sum[3] = add_high_product(x_odd, odd, sum[3]);
    }
  }
#pragma GCC unroll 4
  for (int32_t i = 0; i < 4; ++i) y[i] = static_cast<Y>(requantize_sum(d, sum[i], m[i * d.multiplier_stride], addend_of(d, m, i)));
}

// All channels of a pixel whose window reaches into the padding: each block's window is collected first, around words of padding that stay.
template <class X, class D, class Rows, class Y>
__attribute__((noinline)) void depthwise_border(const D& d, const Rows& rows, Span ky, int32_t ox, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  const int32_t left = ox * d.stride_w - d.pad_left;
  const Span kx = taps_inside(left, d.kernel_w, d.dilation_w, d.in_w);
  uint32_t window[D::taps];
  for (uint32_t& word : window) word = repeat_byte(d.x_zero_point);
  for (int32_t block = 0; block < d.channels; block += 4, w += 4 * d.kernel_h * d.kernel_w) {
    const int32_t c = block_channel(block, d.channels);
    for (int32_t ty = ky.begin; ty < ky.end; ++ty) {
      const X* from = rows(ty) + (left + kx.begin * d.dilation_w) * d.channels + c;
      uint32_t* to = window + ty * d.kernel_w + kx.begin;
      for (int32_t tx = kx.begin; tx < kx.end; ++tx, from += d.dilation_w * d.channels) *to++ = load_word(from);
    }
    depthwise_pixel<X>(d, w, b + c, m + c * d.multiplier_stride, y + c, [&](int32_t ty, int32_t tx) { return window[ty * d.kernel_w + tx]; });
  }
}

template <class X, class D, class Rows, class Y>
KILN_INLINE void qdepthwise2d_row(const D& d, const Rows& rows, Span ky, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  Span inner = interior(d.out_w, d.stride_w, d.pad_left, d.kernel_w, d.dilation_w, d.in_w);
  if (ky.begin > 0 || ky.end < d.kernel_h) inner = {d.out_w, d.out_w};
  for (int32_t ox = 0; ox < inner.begin; ++ox) depthwise_border<X>(d, rows, ky, ox, w, b, m, y + ox * d.channels);
  for (int32_t ox = inner.end; ox < d.out_w; ++ox) depthwise_border<X>(d, rows, ky, ox, w, b, m, y + ox * d.channels);
  const int32_t step_y = static_cast<int32_t>(rows(1) - rows(0)), step_x = d.dilation_w * d.channels;
  for (int32_t block = 0; block < d.channels; block += 4, w += 4 * d.kernel_h * d.kernel_w) {
    const int32_t c = block_channel(block, d.channels);
    const X* start = rows(0) + (inner.begin * d.stride_w - d.pad_left) * d.channels + c;
    Y* out = y + inner.begin * d.channels + c;
    for (int32_t ox = inner.begin; ox < inner.end; ++ox, out += d.channels, start += d.stride_w * d.channels)
      depthwise_pixel<X>(d, w, b + c, m + c * d.multiplier_stride, out, [&](int32_t ty, int32_t tx) { return load_word(start + ty * step_y + tx * step_x); });
  }
}

template <class D, class X, class Y>
KILN_INLINE void qdepthwise2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels,
               [&](const auto& rows, int32_t, Span ky, Y* y_row) { qdepthwise2d_row<X>(d, rows, ky, w, b, m, y_row); });
}

// ---- 3x3 windows, dilation 1: one channel of one or two rows of outputs at a time. Of 4 channels, two rows of inputs are widened to 16 bits
// and paired, so that SMLAD takes two taps of a column; the pairs of rows 0, 1 and 2, 3 of a window lie side by side in `scratch`:
//   columns[channel][x][2]: a word each, (row 0, row 1) and (row 2, row 3)
// Two rows on, the second pair is the first one; it stays where it is, and the next pair takes the other's place.

// The words `a` and `b` of 4 channels as a word (a, b) of 16-bit numbers per channel.
template <class X>
KILN_INLINE void pair_words(uint32_t a, uint32_t b, uint32_t* to, int32_t step) {
  const uint32_t a_even = even_bytes<X>(a), a_odd = odd_bytes<X>(a), b_even = even_bytes<X>(b), b_odd = odd_bytes<X>(b);
  to[0] = pack_low(a_even, b_even);
  to[step] = pack_low(a_odd, b_odd);
  to[2 * step] = pack_high(a_even, b_even);
  to[3 * step] = pack_high(a_odd, b_odd);
}

// A row of an image, of which 4 channels are read; a row of padding is one word that is read again and again.
struct ChannelRow {
  const void* start;
  int32_t step;  // bytes between pixels
};

// Pairs `count` pixels of two rows.
template <class X>
__attribute__((noinline)) void pair_rows(ChannelRow a, ChannelRow b, int32_t count, uint32_t* columns, int32_t channel_words) {
  const uint8_t *pa = static_cast<const uint8_t*>(a.start), *pb = static_cast<const uint8_t*>(b.start);
  for (uint32_t* const end = columns + 2 * count; columns != end; columns += 2, pa += a.step, pb += b.step)
    pair_words<X>(load_word(pa), load_word(pb), columns, channel_words);
}

// The weights of a channel as (row 0, row 1) and (row 1, row 2) of each column of the window.
struct WindowWeights {
  uint32_t upper[3], lower[3];
};

// From the 3 columns at p, and `start`: sum `a` of one output, or also `b` of the one below. `pairs` says where the words of a column go.
#define KILN_COLUMN(pairs, offset, upper, lower, a)     \
  "ldrd " pairs ", [%[p], #" offset "]\n\t"             \
  "smlad %[a], %[x0], %[" upper "], %[" a "]\n\t"       \
  "smlabt %[a], %[x1], %[" lower "], %[a]\n\t"
#define KILN_TALL_COLUMN(pairs, offset, upper, lower, a, b)     \
  KILN_COLUMN(pairs, offset, upper, lower, a)                   \
  "smlatb %[b], %[x0], %[" upper "], %[" b "]\n\t"              \
  "smlad %[b], %[x1], %[" lower "], %[b]\n\t"
#define KILN_WINDOW_INPUTS                                                                                                              \
  [p] "r"(p), [start] "r"(start), [u0] "r"(w.upper[0]), [u1] "r"(w.upper[1]), [u2] "r"(w.upper[2]), [l0] "r"(w.lower[0]), [l1] "r"(w.lower[1]), \
      [l2] "r"(w.lower[2])
#define KILN_WINDOW(pairs)                                                                                                  \
  __asm__(KILN_COLUMN(pairs, "0", "u0", "l0", "start") KILN_COLUMN(pairs, "8", "u1", "l1", "a") KILN_COLUMN(pairs, "16", "u2", "l2", "a") \
          : [a] "=&r"(a), [x0] "=&r"(x0), [x1] "=&r"(x1)                                                                    \
          : KILN_WINDOW_INPUTS                                                                                              \
          : "memory")
#define KILN_TALL_WINDOW(pairs)                                                                          \
  __asm__(KILN_TALL_COLUMN(pairs, "0", "u0", "l0", "start", "start") KILN_TALL_COLUMN(pairs, "8", "u1", "l1", "a", "b") \
              KILN_TALL_COLUMN(pairs, "16", "u2", "l2", "a", "b")                                        \
          : [a] "=&r"(a), [b] "=&r"(b), [x0] "=&r"(x0), [x1] "=&r"(x1)                                   \
          : KILN_WINDOW_INPUTS                                                                           \
          : "memory")
template <bool Tall, bool Swapped>
KILN_INLINE void add_windows(const uint32_t* p, const WindowWeights& w, int32_t start, int32_t& a, int32_t& b) {
  uint32_t x0, x1;
  if constexpr (Tall && Swapped) KILN_TALL_WINDOW("%[x1], %[x0]");
  else if constexpr (Tall) KILN_TALL_WINDOW("%[x0], %[x1]");
  else if constexpr (Swapped) KILN_WINDOW("%[x1], %[x0]");
  else KILN_WINDOW("%[x0], %[x1]");
}
#undef KILN_TALL_WINDOW
#undef KILN_WINDOW
#undef KILN_WINDOW_INPUTS
#undef KILN_TALL_COLUMN
#undef KILN_COLUMN

// One row of outputs, or two, of 4 channels.
template <bool Tall, bool Swapped, class D, class Y>
__attribute__((noinline)) void window_rows(const D& d, const uint32_t* columns, int32_t channel_words, const WindowWeights* weights, const int32_t* bias, const float* m,
                                           Y* y) {
  const int32_t step = 2 * d.stride_w, below = d.out_w * d.channels;
  for (int32_t i = 0; i < 4; ++i, columns += channel_words) {
    const WindowWeights w = weights[i];
    const int32_t start = bias[i];
    const float multiplier = m[i * d.multiplier_stride], addend = addend_of(d, m, i);
    const uint32_t* p = columns;
    Y* out = y + i;
#pragma GCC unroll 1
    for (Y* const end = out + below; out != end; out += d.channels, p += step) {
      int32_t a, b = 0;
      add_windows<Tall, Swapped>(p, w, start, a, b);
      *out = static_cast<Y>(requantize_sum(d, a, multiplier, addend));
      if constexpr (Tall) out[below] = static_cast<Y>(requantize_sum(d, b, multiplier, addend));
    }
  }
}

// scratch: 32 bytes for each column of the inputs that windows reach, padding included.
template <class D, class X, class Y>
KILN_INLINE void qdepthwise2d_3x3(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  uint32_t* const columns = static_cast<uint32_t*>(static_cast<void*>(scratch));
  const int32_t width = (d.out_w - 1) * d.stride_w + 3, channel_words = 2 * width, row = d.in_w * d.channels;
  const uint32_t padding = repeat_byte(d.x_zero_point);
  for (int32_t i = 0; i < 4 * channel_words; ++i) columns[i] = even_bytes<X>(padding);  // the columns of padding stay
  const int32_t inside = max(min(d.in_w, width - d.pad_left), int32_t{0}), rows = d.stride_h == 1 ? 2 : 1;
  for (int32_t n = 0; n < d.batch; ++n, x += d.in_h * row, y += d.out_h * d.out_w * d.channels) {
    const int8_t* taps = w;
    for (int32_t block = 0; block < d.channels; block += 4, taps += 4 * 9) {
      const int32_t c = block_channel(block, d.channels);
      WindowWeights weights[4];
      for (int32_t k = 0; k < 3; ++k) {
        const uint32_t middle = load_word(taps + 12 + 4 * k);
        pair_words<int8_t>(load_word(taps + 4 * k), middle, &weights[0].upper[k], 6);
        pair_words<int8_t>(middle, load_word(taps + 24 + 4 * k), &weights[0].lower[k], 6);
      }
      const auto row_of = [&](int32_t iy) { return iy >= 0 && iy < d.in_h ? ChannelRow{x + iy * row + c, d.channels} : ChannelRow{&padding, 0}; };
      const auto pair = [&](int32_t iy, int32_t slot) { pair_rows<X>(row_of(iy), row_of(iy + 1), inside, columns + 2 * d.pad_left + slot, channel_words); };
      const float* multipliers = m + c * d.multiplier_stride;
      int32_t top = -d.pad_top, slot = 1;
      pair(top, 0);
      for (int32_t oy = 0; oy < d.out_h; oy += rows, top += 2, slot ^= 1) {
        pair(top + 2, slot);
        Y* const out = y + oy * d.out_w * d.channels + c;
        const bool tall = d.stride_h == 1 && oy + 1 < d.out_h;
        if (tall && slot == 0) window_rows<true, true>(d, columns, channel_words, weights, b + c, multipliers, out);
        else if (tall) window_rows<true, false>(d, columns, channel_words, weights, b + c, multipliers, out);
        else if (slot == 0) window_rows<false, true>(d, columns, channel_words, weights, b + c, multipliers, out);
        else window_rows<false, false>(d, columns, channel_words, weights, b + c, multipliers, out);
      }
    }
  }
}

}  // namespace nn::dsp
