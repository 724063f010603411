// SPDX-License-Identifier: 0BSD
// Recurrent layers, one direction of RNN, GRU or LSTM: the loops over sequences, steps and blocks of hidden units. A Product computes the
// sums of a block; implementations differ in how many units that are and in the order of the weights:
//   kUnits<D>: the units of a block
//   start<Sums>(d, unit, b, sums): sums[s * kUnits + k] = bias s of unit + k
//   add<Count>(d, unit, first, gates, w, in, x, sums): sums[g * kUnits + k] += w[gate first + g][unit + k] . x, for g below Count; w has
//       `gates` gates, and is a pointer to numbers, or of narrow.h
// The sums of a unit and the gates of its weights:
//   RNN   sums: the unit                          w, r: the unit
//   LSTM  sums: i o f c                           w, r: i o f c
//   GRU   sums: candidate z r candidate by h      w: candidate z r    r: z r candidate
// x [step][in] and y [step][units] with the strides of d; states h, c [units] of a sequence, d.state_batch apart. The new state may
// overwrite the old one (h on h0, c on c0): all sums of a step read the old h before `next` is copied over it. With d.sequence, y has the h
// of every step and is itself the old state of the next one, so that no `next` is needed. scratch: `next` [units], where needed; then, for
// a GRU without linear_before_reset, `reset` [units]. An operand that d says is not there is any pointer; an old state that is not there is
// null within.
#pragma once

#include "functors.h"

namespace nn::recurrent {

// What a gate's activation takes as its descriptor.
template <class D>
struct Parameters {
  const D& layer;
  float alpha, beta;
};

template <class F, class D, class T>
KILN_INLINE T activate(const D& d, float alpha, float beta, T x) {
  if (d.clip > 0) x = x < T(-d.clip) ? T(-d.clip) : x > T(d.clip) ? T(d.clip) : x;
  return F::apply(Parameters<D>{d, alpha, beta}, x);
}

template <class T>
KILN_INLINE void copy_units(int32_t units, const T* from, T* to) {
  for (int32_t i = 0; i < units; ++i) to[i] = from ? from[i] : T(0);
}

// step(input, old h, new h, old c, new c) for every step of every sequence. c stands for nothing where the layer has none.
template <class D, class T, class L, class Step>
KILN_INLINE void walk(const D& d, const T* x, const L* lens, const T* h0, const T* c0, T* y, T* h, T* c, T* next, const Step& step) {
  for (int32_t b = 0; b < d.batch; ++b) {
    const int32_t state = d.state_offset + b * d.state_batch;
    const int32_t steps = d.has_lens ? min(max(static_cast<int32_t>(lens[b]), int32_t{0}), d.steps) : d.steps;
    const T* old_h = d.has_h ? h0 + state : nullptr;
    const T* old_c = d.has_c ? c0 + state : nullptr;
    for (int32_t s = 0; s < steps; ++s) {
      const int32_t t = d.reverse ? steps - 1 - s : s;
      T* const new_h = d.sequence ? y + d.y_offset + b * d.y_batch + t * d.y_step : next;
      step(x + b * d.x_batch + t * d.x_step, old_h, new_h, old_c, c + state);
      if (!d.sequence) copy_units(d.units, next, h + state);
      old_h = d.sequence ? new_h : h + state;
      old_c = c + state;
    }
    if (d.has_lens) {
      // A sequence without steps leaves zeros, as in ONNX Runtime.
      if (steps == 0 && d.has_cell) copy_units<T>(d.units, nullptr, c + state);
      if (steps == 0 && !d.sequence) copy_units<T>(d.units, nullptr, h + state);
      for (int32_t t = d.sequence ? steps : d.steps; t < d.steps; ++t)
        copy_units<T>(d.units, nullptr, y + d.y_offset + b * d.y_batch + t * d.y_step);
    }
    if (d.sequence && d.has_last) copy_units(d.units, steps > 0 ? old_h : nullptr, h + state);
  }
}

// A block of units as numbers of its own: what becomes of the sums is computed on these, so that compilers can do it in vectors. Units
// beyond the last one are zeros and are not stored.
template <int32_t Units, class D, class T>
KILN_INLINE void load_units(const D& d, int32_t unit, const T* from, T* block) {
  for (int32_t k = 0; k < Units; ++k) block[k] = from && unit + k < d.units ? from[unit + k] : T(0);
}
template <int32_t Units, class D, class T>
KILN_INLINE void store_units(const D& d, int32_t unit, const T* block, T* to) {
  const int32_t count = min(Units, d.units - unit);
  for (int32_t k = 0; k < count; ++k) to[unit + k] = block[k];
}
// sums += weights * block, for the weights of a peephole.
template <int32_t Units, class D, class T>
KILN_INLINE void add_peephole(const D& d, int32_t unit, const T* weights, const T* block, T* sums) {
  T w[Units];
  load_units<Units>(d, unit, weights, w);
  for (int32_t k = 0; k < Units; ++k) sums[k] += w[k] * block[k];
}

// Numbers of the scratch from `first` on.
template <class T>
KILN_INLINE T* scratch_units(unsigned char* scratch, int32_t first) {
  return scratch ? static_cast<T*>(static_cast<void*>(scratch)) + first : nullptr;
}

// The layers. F, G, H: the activations f, g, h of ONNX.
template <class Product>
struct Layers {
  template <class F, class D, class T, class W, class R, class L>
  static KILN_INLINE void rnn(const D& d, const T* x, W w, R r, const T* b, const L* lens, const T* h0, T* y, T* h,
                              unsigned char* scratch = nullptr) {
    constexpr int32_t units = Product::template kUnits<D>;
    walk(d, x, lens, h0, h0, y, h, h, scratch_units<T>(scratch, 0), [&](const T* in, const T* old_h, T* new_h, const T*, T*) {
      for (int32_t unit = 0; unit < d.units; unit += units) {
        T sums[units];
        Product::template start<1>(d, unit, b, sums);
        Product::template add<1>(d, unit, 0, 1, w, d.inputs, in, sums);
        if (old_h) Product::template add<1>(d, unit, 0, 1, r, d.units, old_h, sums);
#pragma GCC unroll 1
        for (int32_t k = 0; k < units; ++k) sums[k] = activate<F>(d, d.f_alpha, d.f_beta, sums[k]);
        store_units<units>(d, unit, sums, new_h);
      }
    });
  }

  // Without linear_before_reset the candidate needs r * h of all units, `reset`.
  template <class F, class G, class D, class T, class W, class R, class L>
  static KILN_INLINE void gru(const D& d, const T* x, W w, R r, const T* b, const L* lens, const T* h0, T* y, T* h,
                              unsigned char* scratch = nullptr) {
    constexpr int32_t units = Product::template kUnits<D>;
    T* const reset = scratch_units<T>(scratch, d.sequence ? 0 : d.units);
    walk(d, x, lens, h0, h0, y, h, h, scratch_units<T>(scratch, 0), [&](const T* in, const T* old_h, T* new_h, const T*, T*) {
      const bool reset_first = !d.linear_before_reset && old_h;
      for (int32_t unit = 0; reset_first && unit < d.units; unit += units) {
        T sums[4 * units];
        Product::template start<4>(d, unit, b, sums);
        Product::template add<1>(d, unit, 2, 3, w, d.inputs, in, sums + 2 * units);
        Product::template add<1>(d, unit, 1, 3, r, d.units, old_h, sums + 2 * units);
        T old[units];
        load_units<units>(d, unit, old_h, old);
#pragma GCC unroll 1
        for (int32_t k = 0; k < units; ++k) old[k] *= activate<F>(d, d.f_alpha, d.f_beta, sums[2 * units + k]);
        store_units<units>(d, unit, old, reset);
      }
      for (int32_t unit = 0; unit < d.units; unit += units) {
        T sums[4 * units];
        Product::template start<4>(d, unit, b, sums);
        if (d.linear_before_reset) {
          Product::template add<3>(d, unit, 0, 3, w, d.inputs, in, sums);
          if (old_h) Product::template add<3>(d, unit, 0, 3, r, d.units, old_h, sums + units);
        } else {
          Product::template add<2>(d, unit, 0, 3, w, d.inputs, in, sums);
          if (old_h) Product::template add<1>(d, unit, 0, 3, r, d.units, old_h, sums + units);
          if (old_h) Product::template add<1>(d, unit, 2, 3, r, d.units, reset, sums + 3 * units);
        }
        T h_block[units];
        load_units<units>(d, unit, old_h, h_block);
#pragma GCC unroll 1
        for (int32_t k = 0; k < units; ++k) {
          const T z = activate<F>(d, d.f_alpha, d.f_beta, sums[units + k]);
          T by_h = sums[3 * units + k];
          if (d.linear_before_reset) by_h *= activate<F>(d, d.f_alpha, d.f_beta, sums[2 * units + k]);
          h_block[k] = (T(1) - z) * activate<G>(d, d.g_alpha, d.g_beta, sums[k] + by_h) + z * h_block[k];
        }
        store_units<units>(d, unit, h_block, new_h);
      }
    });
  }

  // Peepholes p: [units] of i, of o, of f.
  template <class F, class G, class H, class D, class T, class W, class R, class L>
  static KILN_INLINE void lstm(const D& d, const T* x, W w, R r, const T* b, const L* lens, const T* h0, const T* c0,
                               const T* p, T* y, T* h, T* c, unsigned char* scratch = nullptr) {
    constexpr int32_t units = Product::template kUnits<D>;
    walk(d, x, lens, h0, c0, y, h, c, scratch_units<T>(scratch, 0), [&](const T* in, const T* old_h, T* new_h, const T* old_c, T* new_c) {
      for (int32_t unit = 0; unit < d.units; unit += units) {
        T sums[4 * units];
        Product::template start<4>(d, unit, b, sums);
        Product::template add<4>(d, unit, 0, 4, w, d.inputs, in, sums);
        if (old_h) Product::template add<4>(d, unit, 0, 4, r, d.units, old_h, sums);
        T h_block[units], c_block[units];
        load_units<units>(d, unit, old_c, c_block);
        if (d.has_peepholes) {
          add_peephole<units>(d, unit, p, c_block, sums);
          add_peephole<units>(d, unit, p + 2 * d.units, c_block, sums + 2 * units);
        }
#pragma GCC unroll 1
        for (int32_t k = 0; k < units; ++k) {
          const T i = activate<F>(d, d.f_alpha, d.f_beta, sums[k]);
          const T f = d.input_forget ? T(1) - i : activate<F>(d, d.f_alpha, d.f_beta, sums[2 * units + k]);
          c_block[k] = f * c_block[k] + i * activate<G>(d, d.g_alpha, d.g_beta, sums[3 * units + k]);
        }
        if (d.has_peepholes) add_peephole<units>(d, unit, p + d.units, c_block, sums + units);
#pragma GCC unroll 1
        for (int32_t k = 0; k < units; ++k)
          h_block[k] = activate<F>(d, d.f_alpha, d.f_beta, sums[units + k]) * H::apply(Parameters<D>{d, d.h_alpha, d.h_beta}, c_block[k]);
        store_units<units>(d, unit, c_block, new_c);
        store_units<units>(d, unit, h_block, new_h);
      }
    });
  }
};

}  // namespace nn::recurrent
