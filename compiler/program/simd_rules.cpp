// SPDX-License-Identifier: Apache-2.0
// Rules of the float SIMD kernels (runtime-stubs/nn/simd): tile sizes (tiles.h) and the packing of weights for them.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/program/kernel_rules.h"
#include "compiler/program/tiles.h"

namespace kiln::rules {
namespace {

/// The widest power of two that neither the registers nor `channels` exceed.
int32_t widest_lanes(const Target& target, int32_t channels) {
  int32_t lanes = target.vector_bytes / 4;
  while (lanes > channels) lanes /= 2;
  return lanes;
}

TileShape tile_of(const KernelContext& c) {
  if (const auto* d = std::get_if<Dense>(&c.call.descriptor)) return choose_tile(c.target.vector_bytes / 4, c.target.vector_registers, d->out, d->rows);
  const auto& d = std::get<Conv2d>(c.call.descriptor);
  return choose_tile(c.target.vector_bytes / 4, c.target.vector_registers, d.out_c, std::max(interior_columns(d), 1));
}

/// [channel][k] -> [block][k][channel within the block]
Tensor pack_blocks(const Tensor& weights, int32_t channels, int32_t block) {
  auto inner = static_cast<int32_t>(weights.type.elements()) / channels;
  int32_t blocks = ceil_div(channels, block);
  Tensor packed(TensorType{DType::f32, {blocks, inner, block}, {}});
  std::span<const float> from = weights.as<float>();
  float* to = packed.as<float>().data();
  for (int32_t o = 0; o < blocks; ++o) {
    int32_t start = std::min(o * block, channels - block);
    for (int32_t k = 0; k < inner; ++k)
      for (int32_t i = 0; i < block; ++i) *to++ = from[static_cast<size_t>((start + i) * inner + k)];
  }
  return packed;
}

std::optional<std::string> refuse_channels(int32_t channels) {
  if (channels < kMinChannels) return fmt::format("{} channels are too few for a vector", channels);
  return std::nullopt;
}

/// Weights and bias can be packed at compile time only.
std::optional<std::string> refuse_computed_weights(const KernelContext& c) {
  for (size_t operand : {size_t{1}, size_t{2}})
    if (!c.program.tensor(c.call.inputs[operand]).constant) return "its weights are not constant";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> refuse_simd_conv2d(const KernelContext& c) {
  const auto& d = std::get<Conv2d>(c.call.descriptor);
  if (d.groups != 1) return fmt::format("it has {} groups", d.groups);
  std::optional<std::string> why = refuse_computed_weights(c);
  return why ? why : refuse_channels(d.out_c);
}

std::optional<std::string> refuse_simd_dense(const KernelContext& c) {
  std::optional<std::string> why = refuse_computed_weights(c);
  return why ? why : refuse_channels(std::get<Dense>(c.call.descriptor).out);
}

std::optional<std::string> refuse_simd_window(const KernelContext& c) {
  if (const auto* d = std::get_if<Depthwise2d>(&c.call.descriptor)) return refuse_channels(d->channels);
  return refuse_channels(std::get<Pool2d>(c.call.descriptor).channels);
}

Tuning tune_simd_tile(const KernelContext& c) {
  TileShape tile = tile_of(c);
  return {{"lanes", tile.lanes}, {"vectors", tile.vectors}, {"pixels", tile.pixels}};
}

Tuning tune_simd_window(const KernelContext& c) {
  auto tune = [&](const auto& d) -> Tuning {
    // One register per sum, one for the weights, one for the input.
    return {{"lanes", widest_lanes(c.target, d.channels)}, {"pixels", even_block(interior_columns(d), std::min(c.target.vector_registers - 4, 12))}};
  };
  if (const auto* d = std::get_if<Depthwise2d>(&c.call.descriptor)) return tune(*d);
  return tune(std::get<Pool2d>(c.call.descriptor));
}

void pack_simd_blocks(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  TileShape tile = tile_of(c);
  const auto* dense = std::get_if<Dense>(&c.call.descriptor);
  int32_t channels = dense ? dense->out : std::get<Conv2d>(c.call.descriptor).out_c;
  for (size_t operand : {size_t{1}, size_t{2}}) constants[operand] = pack_blocks(*constants[operand], channels, tile.lanes * tile.vectors);
}

}  // namespace kiln::rules
