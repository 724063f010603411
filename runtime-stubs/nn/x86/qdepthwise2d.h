// SPDX-License-Identifier: 0BSD
// Depthwise convolutions of 8-bit integers [batch, h, w, c]. `bytes` neighbouring channels of `step` taps are interleaved by unpack
// instructions to the operands of a dot product, with x made unsigned; four registers of sums then hold the channels in an order
// that pack instructions undo. Weights minus w_zero_point, bias (int8_t: minus 128 times the weights) and multipliers are packed in
// that order: [block][taps / step][quarter][bytes / 16][4][step], and [block][quarter][bytes / 16][4]; weights of the taps that fill
// up the last step are 0. The last block of channels ends at the last channel and overlaps the one before it.
#pragma once

#include "../rows.h"
#include "qvec.h"

namespace nn::x86 {

// A register of bytes, and instructions on it; they work on each 128 bits apart.
template <int32_t Bytes>
struct ByteVector {
  using V = __m128i;
  static KILN_INLINE V load(const void* p) {
    V v = _mm_setzero_si128();
    __builtin_memcpy(&v, p, Bytes);
    return v;
  }
  static KILN_INLINE void store(void* p, V v) { __builtin_memcpy(p, &v, Bytes); }
  static KILN_INLINE V low8(V a, V b) { return _mm_unpacklo_epi8(a, b); }
  static KILN_INLINE V high8(V a, V b) { return _mm_unpackhi_epi8(a, b); }
  static KILN_INLINE V low16(V a, V b) { return _mm_unpacklo_epi16(a, b); }
  static KILN_INLINE V high16(V a, V b) { return _mm_unpackhi_epi16(a, b); }
  static KILN_INLINE V pack32(V a, V b) { return _mm_packs_epi32(a, b); }
  static KILN_INLINE V pack16(V a, V b, int8_t) { return _mm_packs_epi16(a, b); }
  static KILN_INLINE V pack16(V a, V b, uint8_t) { return _mm_packus_epi16(a, b); }
};

#if defined(__AVX2__)
template <>
struct ByteVector<32> {
  using V = __m256i;
  static KILN_INLINE V load(const void* p) { return _mm256_loadu_si256(static_cast<const V*>(p)); }
  static KILN_INLINE void store(void* p, V v) { _mm256_storeu_si256(static_cast<V*>(p), v); }
  static KILN_INLINE V low8(V a, V b) { return _mm256_unpacklo_epi8(a, b); }
  static KILN_INLINE V high8(V a, V b) { return _mm256_unpackhi_epi8(a, b); }
  static KILN_INLINE V low16(V a, V b) { return _mm256_unpacklo_epi16(a, b); }
  static KILN_INLINE V high16(V a, V b) { return _mm256_unpackhi_epi16(a, b); }
  static KILN_INLINE V pack32(V a, V b) { return _mm256_packs_epi32(a, b); }
  static KILN_INLINE V pack16(V a, V b, int8_t) { return _mm256_packs_epi16(a, b); }
  static KILN_INLINE V pack16(V a, V b, uint8_t) { return _mm256_packus_epi16(a, b); }
};
#endif

#if defined(__AVX512BW__)
template <>
struct ByteVector<64> {
  using V = __m512i;
  static KILN_INLINE V load(const void* p) { return _mm512_loadu_si512(p); }
  static KILN_INLINE void store(void* p, V v) { _mm512_storeu_si512(p, v); }
  static KILN_INLINE V low8(V a, V b) { return _mm512_unpacklo_epi8(a, b); }
  static KILN_INLINE V high8(V a, V b) { return _mm512_unpackhi_epi8(a, b); }
  static KILN_INLINE V low16(V a, V b) { return _mm512_unpacklo_epi16(a, b); }
  static KILN_INLINE V high16(V a, V b) { return _mm512_unpackhi_epi16(a, b); }
  static KILN_INLINE V pack32(V a, V b) { return _mm512_packs_epi32(a, b); }
  static KILN_INLINE V pack16(V a, V b, int8_t) { return _mm512_packs_epi16(a, b); }
  static KILN_INLINE V pack16(V a, V b, uint8_t) { return _mm512_packus_epi16(a, b); }
};
#endif

// Quarters of a block of `Bytes` channels: registers of int32 lanes. Blocks of 8 fill only two.
template <int32_t Bytes>
inline constexpr int32_t kQuarters = Bytes == 8 ? 2 : 4;
template <int32_t Bytes>
inline constexpr int32_t kLanes = Bytes == 8 ? 4 : Bytes / 4;

// Interleaves `Step` bytes of each channel.
template <int32_t Step, int32_t Bytes>
KILN_INLINE void interleave(const typename ByteVector<Bytes>::V (&x)[Step], Ints<kLanes<Bytes>> (&out)[4]) {
  using B = ByteVector<Bytes>;
  using V = typename B::V;
  using I = Ints<kLanes<Bytes>>;
  const V low = B::low8(x[0], x[1]), high = B::high8(x[0], x[1]);
  if constexpr (Step == 2) {  // widened to 16 bits
    const V zero{};
    out[0] = reinterpret_cast<I>(B::low8(low, zero)), out[1] = reinterpret_cast<I>(B::high8(low, zero));
    out[2] = reinterpret_cast<I>(B::low8(high, zero)), out[3] = reinterpret_cast<I>(B::high8(high, zero));
  } else {
    const V low2 = B::low8(x[2], x[3]), high2 = B::high8(x[2], x[3]);
    out[0] = reinterpret_cast<I>(B::low16(low, low2)), out[1] = reinterpret_cast<I>(B::high16(low, low2));
    out[2] = reinterpret_cast<I>(B::low16(high, high2)), out[3] = reinterpret_cast<I>(B::high16(high, high2));
  }
}

// `Pixels` neighbouring output pixels of one block of channels; tap(t, p) points to what tap t of pixel p reads. Op has, for the quarters q
// of a block, start(block, q), weights(block, t, q) for the step that begins with tap t, and scaled<Y>(sum, block, q, ox), what is rounded.
template <int32_t Pixels, class X, class D, class Tap, class Op, class Y>
KILN_INLINE void window_tile(const D& d, const Tap& tap, const Op& op, int32_t block, int32_t ox, Y* y) {
  constexpr int32_t lanes = kLanes<D::bytes>, quarters = kQuarters<D::bytes>, taps = D::kernel_h * D::kernel_w;
  using B = ByteVector<D::bytes>;
  using V = typename B::V;
  using Dot = typename dot_of<D::step, lanes>::type;
  Ints<lanes> sum[Pixels][quarters];
#pragma GCC unroll 16
  for (int32_t p = 0; p < Pixels; ++p)
#pragma GCC unroll 4
    for (int32_t q = 0; q < quarters; ++q) sum[p][q] = op.start(block, q);
#pragma GCC unroll 13
  for (int32_t t = 0; t < taps; t += D::step) {
#pragma GCC unroll 16
    for (int32_t p = 0; p < Pixels; ++p) {
      V x[D::step];
      Ints<lanes> inputs[4];
#pragma GCC unroll 4
      for (int32_t s = 0; s < D::step; ++s)
        x[s] = reinterpret_cast<V>(reinterpret_cast<Ints<lanes>>(B::load(tap(min(t + s, taps - 1), p))) ^ static_cast<int32_t>(kFlip<X>));
      interleave<D::step, D::bytes>(x, inputs);
#pragma GCC unroll 4
      for (int32_t q = 0; q < quarters; ++q) sum[p][q] = Dot::add(sum[p][q], inputs[q], op.weights(block, t, q));
    }
  }
#pragma GCC unroll 16
  for (int32_t p = 0; p < Pixels; ++p) {
    V result[4] = {};
#pragma GCC unroll 4
    for (int32_t q = 0; q < quarters; ++q)
      result[q] = reinterpret_cast<V>(round_within<lanes>(d, op.template scaled<Y>(sum[p][q], block, q, ox + p)));
    B::store(y + p * d.channels, B::pack16(B::pack32(result[0], result[1]), B::pack32(result[2], result[3]), Y{}));
  }
}

// One output row; taps in the padding read x_zero_point.
template <class X, class D, class Rows, class Op, class Y>
KILN_INLINE void window_row(const D& d, const Rows& rows, Span ky, const Op& op, Y* y) {
  constexpr int32_t taps = D::kernel_h * D::kernel_w;
  const bool complete = ky.begin == 0 && ky.end == d.kernel_h;
  const Span across = interior(d.out_w, d.stride_w, d.pad_left, d.kernel_w, d.dilation_w, d.in_w);
  const Span inner = complete && across.end - across.begin >= D::pixels ? across : Span{0, 0};
  X padding[D::bytes];
  for (int32_t i = 0; i < D::bytes; ++i) padding[i] = static_cast<X>(d.x_zero_point);
  for (int32_t block = 0; block < block_count(D::bytes, d.channels); ++block) {
    const int32_t c = block_start(block, D::bytes, d.channels);
    const auto border = [&](int32_t ox) {
      const int32_t left = ox * d.stride_w - d.pad_left;
      const Span kx = taps_inside(left, d.kernel_w, d.dilation_w, d.in_w);
      const X* sources[taps];
#pragma GCC unroll 9
      for (int32_t t = 0; t < taps; ++t) {
        const int32_t y_tap = t / d.kernel_w, x_tap = t % d.kernel_w;
        const bool inside = y_tap >= ky.begin && y_tap < ky.end && x_tap >= kx.begin && x_tap < kx.end;
        sources[t] = inside ? rows(y_tap) + (left + x_tap * d.dilation_w) * d.channels + c : padding;
      }
      window_tile<1, X>(d, [&](int32_t t, int32_t) { return sources[t]; }, op, block, ox, y + ox * d.channels + c);
    };
    for (int32_t ox = 0; ox < inner.begin; ++ox) border(ox);
    for (int32_t i = 0; i < block_count(D::pixels, inner.end - inner.begin); ++i) {
      const int32_t ox = inner.begin + block_start(i, D::pixels, inner.end - inner.begin);
      const int32_t at = (ox * d.stride_w - d.pad_left) * d.channels + c;
      const auto tap = [&](int32_t t, int32_t p) {
        return rows(t / d.kernel_w) + at + (t % d.kernel_w * d.dilation_w + p * d.stride_w) * d.channels;
      };
      window_tile<D::pixels, X>(d, tap, op, block, ox, y + ox * d.channels + c);
    }
    for (int32_t ox = inner.end; ox < d.out_w; ++ox) border(ox);
  }
}

template <class D>
struct DepthwiseOp {
  static constexpr int32_t kStepBytes = kLanes<D::bytes> * D::step, kSteps = (D::kernel_h * D::kernel_w + D::step - 1) / D::step;
  using I = Ints<kLanes<D::bytes>>;
  const D& d;
  const int8_t* w;
  const int32_t* b;
  const float* m;
  KILN_INLINE I start(int32_t block, int32_t q) const { return load_ints<kLanes<D::bytes>>(b + block * D::bytes + q * kLanes<D::bytes>); }
  KILN_INLINE I weights(int32_t block, int32_t t, int32_t q) const {
    return dot_of<D::step, kLanes<D::bytes>>::type::weights(w + ((block * kSteps + t / D::step) * kQuarters<D::bytes> + q) * kStepBytes);
  }
  template <class Y>
  KILN_INLINE simd::Vec<kLanes<D::bytes>> scaled(I sum, int32_t block, int32_t q, int32_t) const {
    return x86::scaled<kLanes<D::bytes>>(d, sum, factors_of<kLanes<D::bytes>, Y>(d, m, block * D::bytes + q * kLanes<D::bytes>));
  }
};

// d has, besides the fields of the descriptor: step, bytes (8, 16, 32 or 64, at most the channels), pixels. Y is int8_t or uint8_t.
template <class D, class X, class Y>
KILN_INLINE void qdepthwise2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels,
               [&](const auto& rows, int32_t, Span ky, Y* y_row) { window_row<X>(d, rows, ky, DepthwiseOp<D>{d, w, b, m}, y_row); });
}

}  // namespace nn::x86
