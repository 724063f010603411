// SPDX-License-Identifier: Apache-2.0
// Rules of the kernels for RISC-V vectors (runtime-stubs/nn/rvv): which layers they serve, the sizes of tiles, their scratch, and
// the packing of weights. Vectors of any length give the same results; sizes are chosen for Target::integer_vector_bytes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "nn/rvv/sizes.h"
#include "targets/kernels/rows.h"

namespace kiln::kernels {
namespace {

/// Registers that one sum may take.
constexpr int32_t kLeastGroup = 2, kLargestGroup = 8;
constexpr int32_t kLeastChannels = 4;

bool is_float(const KernelContext& c) { return input_type(c) == DType::f32; }

/// Where vectors have no floats: what the rounding by integers serves, see store_sums in nn/rvv/vec.h.
Refusal refuse_integer_rounding(const KernelContext& c, const LayerFacts& layer) {
  constexpr int64_t kLimit = 1 << 24;
  bool is_signed = is_signed_integer(input_type(c));
  int64_t low = is_signed ? -128 : 0, high = low + 255;
  std::span<const int8_t> weights = constant_of(c, 1)->as<int8_t>();
  std::span<const int32_t> bias = constant_of(c, 2)->as<int32_t>();
  for (int32_t o = 0; o < layer.channels; ++o) {
    int64_t most = bias[static_cast<size_t>(o)], least = most;
    for (int32_t i = 0; i < layer.inputs; ++i) {
      int64_t w = weights[static_cast<size_t>(layer.by_tap ? i * layer.channels + o : o * layer.inputs + i)];
      most += std::max(w * low, w * high);
      least += std::min(w * low, w * high);
    }
    if (most >= kLimit || least <= -kLimit)
      return fmt::format("sums of channel {} can be {}, more than 2^24 - 1", o, std::max(most, -least));
  }
  for (float m : constant_of(c, 3)->as<float>())
    if (m >= 0.5f) return fmt::format("the multiplier {} is not below 1/2", m);
  return std::nullopt;
}

/// Registers for one sum: enough for `lanes`, more if there are fewer pixels than make a tile.
int32_t group_registers(const KernelContext& c, int32_t (&tile)(int32_t registers), int32_t lanes, int32_t pixels) {
  int32_t group = kLeastGroup;
  while (group < kLargestGroup && (group * c.target.integer_vector_bytes / 4 < lanes || tile(group) > pixels)) group *= 2;
  return group;
}

/// Pixels whose channels lie side by side in the lanes: input and output of neighbours do, where windows move by one pixel.
int32_t together(const KernelContext& c) {
  return with_window(c, [&](const auto& d, int32_t channels) {
    if (d.stride_w != 1) return 1;
    return std::clamp(kLargestGroup * c.target.integer_vector_bytes / 4 / channels, 1, d.out_w);
  });
}

/// The padded rows of nn/rvv/window.h, up to a multiple of 4.
int32_t ring_bytes(const KernelContext& c) {
  auto element = static_cast<int32_t>(element_bytes(input_type(c)));
  return with_window(c, [&](const auto& d, int32_t channels) { return (nn::rvv::ring_elements(d, channels) * element + 3) / 4 * 4; });
}

/// `copies` copies of one element for each channel, or of the one for all.
template <class T>
void repeat(std::optional<Tensor>& constant, int32_t channels, int32_t copies) {
  std::span<const T> from = std::as_const(*constant).as<T>();
  Tensor to(TensorType{constant->type.dtype, {copies, channels}, {}});
  for (int32_t i = 0; i < copies * channels; ++i)
    to.as<T>()[static_cast<size_t>(i)] = from.size() == 1 ? from[0] : from[static_cast<size_t>(i % channels)];
  constant = std::move(to);
}

/// Multipliers for all channels. The rounding by integers wants at least 2^-31; any below makes 0 of sums below 2^24, as that does.
void repeat_multipliers(const KernelContext& c, std::optional<Tensor>& multipliers, int32_t channels, int32_t copies) {
  repeat<float>(multipliers, channels, copies);
  if (c.target.capabilities & kVectorFloats) return;
  for (float& m : multipliers->as<float>()) m = std::max(m, std::ldexp(1.0f, -31));
}

/// Weights [channel][input] -> [input][channel].
template <class T>
void transpose(const LayerFacts& layer, std::optional<Tensor>& weights) {
  std::span<const T> from = std::as_const(*weights).as<T>();
  Tensor packed(TensorType{weights->type.dtype, {layer.inputs, layer.channels}, {}});
  T* to = packed.as<T>().data();
  for (int32_t i = 0; i < layer.inputs; ++i)
    for (int32_t o = 0; o < layer.channels; ++o) *to++ = from[static_cast<size_t>(o * layer.inputs + i)];
  weights = std::move(packed);
}

/// Weights [tap][channel] -> [tap][copy][channel].
template <class T>
void copy_channels(const LayerFacts& layer, int32_t copies, std::optional<Tensor>& weights) {
  std::span<const T> from = std::as_const(*weights).as<T>();
  Tensor packed(TensorType{weights->type.dtype, {layer.inputs, copies, layer.channels}, {}});
  T* to = packed.as<T>().data();
  for (int32_t tap = 0; tap < layer.inputs; ++tap)
    for (int32_t copy = 0; copy < copies; ++copy)
      to = std::copy_n(from.data() + static_cast<ptrdiff_t>(tap) * layer.channels, layer.channels, to);
  weights = std::move(packed);
}

/// With few output channels, vectors of inputs are better.
Refusal refuse_narrow(const LayerFacts& layer) {
  return layer.by_tap ? std::nullopt : refuse_few_channels(layer.channels, kLeastChannels, "a vector");
}

Refusal refuse_floats(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  if (Refusal why = refuse_groups(layer)) return why;
  if (Refusal why = refuse_narrow(layer)) return why;
  if (Refusal why = refuse_computed(c, {1, 2})) return why;
  // Padding is multiplied as zeros.
  for (float w : constant_of(c, 1)->as<float>())
    if (!std::isfinite(w)) return fmt::format("a weight is {}", w);
  return std::nullopt;
}

Refusal refuse_bytes(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  if (Refusal why = refuse_integer_sums(c)) return why;
  if (Refusal why = refuse_narrow(layer)) return why;
  return c.target.capabilities & kVectorFloats ? std::nullopt : refuse_integer_rounding(c, layer);
}

Tuning tune_dense(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  return {{"registers", group_registers(c, is_float(c) ? nn::rvv::float_tile_pixels : nn::rvv::tile_pixels, layer.channels, layer.width)}};
}

Tuning tune_conv2d(const KernelContext& c) {
  Tuning tuning = tune_dense(c);
  tuning.emplace_back("ring_bytes", ring_bytes(c));
  return tuning;
}

Tuning tune_depthwise2d(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  int32_t copies = together(c);
  auto& tile = is_float(c) ? nn::rvv::float_window_pixels : nn::rvv::window_pixels;
  return {{"registers", group_registers(c, tile, layer.channels * copies, layer.width / copies)},
          {"together", copies},
          {"ring_bytes", ring_bytes(c)}};
}

/// Padded rows, and where the taps of a row of outputs begin.
int64_t window_bytes(const KernelContext& c) {
  return with_window(c, [&](const auto& d, int32_t) {
    return ring_bytes(c) + int64_t{4} * d.kernel_h * (d.dilation_w == 1 && !layer_facts(c).by_tap ? 1 : d.kernel_w);
  });
}

void pack_tile(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  if (is_float(c)) return transpose<float>(layer, constants[1]);
  transpose<int8_t>(layer, constants[1]);
  repeat_multipliers(c, constants[3], layer.channels, 1);
}

void pack_depthwise(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  int32_t copies = together(c);
  if (is_float(c)) {
    copy_channels<float>(layer, copies, constants[1]);
    repeat<float>(constants[2], layer.channels, copies);
    return;
  }
  copy_channels<int8_t>(layer, copies, constants[1]);
  repeat<int32_t>(constants[2], layer.channels, copies);
  repeat_multipliers(c, constants[3], layer.channels, copies);
}

}  // namespace

const KernelSet& rvv() {
  static const KernelRow rows[] = {
#include "targets/kernels/rvv/rows.def"
  };
  static const KernelSet set("rvv", {std::begin(rows), std::end(rows)});
  return set;
}

}  // namespace kiln::kernels
