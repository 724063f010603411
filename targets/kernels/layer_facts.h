// SPDX-License-Identifier: Apache-2.0
// What rules of all sets of kernels ask of a call: the sizes of its layer, types and constants of its operands, and the usual refusals.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "compiler/program/program.h"
#include "compiler/program/target.h"

namespace kiln::kernels {

constexpr int32_t ceil_div(int32_t a, int32_t b) { return (a + b - 1) / b; }
constexpr int32_t round_up(int32_t n, int32_t step) { return ceil_div(n, step) * step; }

/// An integer of 8 bits.
bool is_byte(DType dtype);

inline const TensorType& type_of(const KernelContext& c, TensorId id) { return c.program.tensor(id).type; }
inline DType input_type(const KernelContext& c, size_t operand = 0) { return type_of(c, c.call.inputs[operand]).dtype; }
inline DType output_type(const KernelContext& c) { return type_of(c, c.call.outputs[0]).dtype; }
/// The value of an operand; null if it is computed at run time.
const Tensor* constant_of(const KernelContext& c, size_t operand);

/// The layer of a dense, convolution, depthwise or pool descriptor, of floats or of integers, as sums of `inputs` products.
struct LayerFacts {
  int32_t channels = 0;      ///< of the output
  int32_t inputs = 0;        ///< products per output: taps, and input channels of a group
  int32_t width = 0;         ///< outputs side by side: rows of a dense layer, columns of an image
  int32_t kernel_h = 1;      ///< rows of taps, of inputs / kernel_h products each
  int32_t groups = 1;        ///< of a general convolution
  bool by_tap = false;       ///< weights lie as [tap][channel]: depthwise; otherwise as [channel][input]
  int32_t w_zero_point = 0;  ///< of integers, as the two below
  int32_t wide = 0;          ///< sums need 64 bits
  int32_t multiplier_stride = 0;  ///< numbers per channel: 0 one multiplier for all, 1 one each, 2 with an addend
};
LayerFacts layer_facts(const KernelContext& c);

/// Calls use(descriptor, channels) with the descriptor of a convolution, depthwise or general; `channels` of the input.
template <class Use>
auto with_window(const KernelContext& c, const Use& use) {
  if (const auto* d = std::get_if<Conv2d>(&c.call.descriptor)) return use(*d, d->in_c);
  if (const auto* d = std::get_if<QConv2d>(&c.call.descriptor)) return use(*d, d->in_c);
  if (const auto* d = std::get_if<Depthwise2d>(&c.call.descriptor)) return use(*d, d->channels);
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  return use(d, d.channels);
}

// --- refusals

/// More than one group.
Refusal refuse_groups(const LayerFacts& layer);
/// Fewer than `least` channels; `unit`: what they would not fill, "a vector".
Refusal refuse_few_channels(int32_t channels, int32_t least, std::string_view unit);
/// Operands computed at run time, where they have to be packed: weights, bias, multipliers.
Refusal refuse_computed(const KernelContext& c, std::initializer_list<size_t> operands);
/// Other inputs or outputs than bytes.
Refusal refuse_other_than_bytes(const KernelContext& c);
/// What integer layers must be for sums in 32 bits over weights that are used as they are: bytes in and out, constant i8 weights with zero
/// point 0, no groups.
Refusal refuse_byte_layer(const KernelContext& c);
/// In addition a bias that lies between the whole sums and is added as floats: multipliers are pairs with addends then (compiler/ops/qlayer.h).
Refusal refuse_integer_sums(const KernelContext& c);

// --- packing

/// A constant of `count` elements, the further ones `rest`.
template <class T>
Tensor padded(const Tensor& from, int32_t count, T rest) {
  Tensor to(TensorType{from.type.dtype, {count}, {}});
  std::ranges::fill(to.as<T>(), rest);
  std::ranges::copy(from.as<T>(), to.as<T>().begin());
  return to;
}

/// Weights [tap][channel] as [block of channels][tap][channel of the block]; the last block ends at the last channel, over the one before.
template <class T>
Tensor blocks_by_tap(const Tensor& weights, int32_t channels, int32_t block) {
  const int32_t taps = static_cast<int32_t>(weights.type.elements()) / channels, blocks = ceil_div(channels, block);
  Tensor packed(TensorType{weights.type.dtype, {blocks, taps, block}, {}});
  const T* from = weights.as<T>().data();
  T* to = packed.as<T>().data();
  for (int32_t b = 0; b < blocks; ++b)
    for (int32_t tap = 0; tap < taps; ++tap) to = std::copy_n(from + tap * channels + std::min(b * block, channels - block), block, to);
  return packed;
}

}  // namespace kiln::kernels
