// SPDX-License-Identifier: Apache-2.0
// Rules of the float SIMD kernels (runtime-stubs/nn/simd): tile sizes (tiles.h) and the packing of weights for them.
#include <fmt/format.h>

#include <algorithm>

#include "targets/kernels/recurrent.h"
#include "targets/kernels/rows.h"
#include "targets/kernels/tiles.h"

namespace kiln::kernels {
namespace {

/// The widest power of two that neither the registers nor `channels` exceed.
int32_t widest_lanes(const Target& target, int32_t channels) {
  int32_t lanes = target.vector_bytes / 4;
  while (lanes > channels) lanes /= 2;
  return lanes;
}

TileShape tile_of(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  const auto* conv = std::get_if<Conv2d>(&c.call.descriptor);
  const int32_t pixels = conv ? std::max(interior_columns(*conv), 1) : layer.width;
  return choose_tile(c.target.vector_bytes / 4, c.target.vector_registers, layer.channels, pixels);
}

/// [channel][k] -> [block][k][channel within the block]
Tensor blocks_of(const Tensor& weights, int32_t channels, int32_t block) {
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

Refusal refuse_window(const KernelContext& c) { return refuse_few_channels(layer_facts(c).channels, kMinChannels, "a vector"); }

Refusal refuse_layer(const KernelContext& c) {
  if (Refusal why = refuse_groups(layer_facts(c))) return why;
  if (Refusal why = refuse_computed(c, {1, 2})) return why;
  return refuse_window(c);
}

Tuning tune_tile(const KernelContext& c) {
  TileShape tile = tile_of(c);
  return {{"lanes", tile.lanes}, {"vectors", tile.vectors}, {"pixels", tile.pixels}};
}

Tuning tune_window(const KernelContext& c) {
  auto tune = [&](const auto& d) -> Tuning {
    // One register per sum, one for the weights, one for the input.
    return {{"lanes", widest_lanes(c.target, d.channels)},
            {"pixels", even_block(interior_columns(d), std::min(c.target.vector_registers - 4, 12))}};
  };
  if (const auto* d = std::get_if<Depthwise2d>(&c.call.descriptor)) return tune(*d);
  return tune(std::get<Pool2d>(c.call.descriptor));
}

/// Weights and bias in blocks of lanes * vectors channels.
void pack_blocks(const KernelContext& c, Constants& constants) {
  const TileShape tile = tile_of(c);
  const int32_t channels = layer_facts(c).channels;
  for (size_t operand : {size_t{1}, size_t{2}}) constants[operand] = blocks_of(*constants[operand], channels, tile.lanes * tile.vectors);
}

/// The vectors of a sum; as many as keep the sums of an LSTM in half of the registers, and waste few lanes.
TileShape recurrent_tile(const KernelContext& c) {
  const int32_t units = std::get<Recurrent>(c.call.descriptor).units;
  TileShape best{1, 1, 1};
  int32_t least = INT32_MAX;
  for (int32_t lanes = c.target.vector_bytes / 4; lanes >= kMinChannels; lanes /= 2)
    for (int32_t vectors = std::max(1, c.target.vector_registers / 8); vectors >= 1; --vectors) {
      // Instructions for an input, and those that fetch it.
      const int32_t blocks = ceil_div(units, lanes * vectors), cost = blocks * (4 * vectors + 1);
      if (cost >= least) continue;
      least = cost;
      best = {lanes, vectors, 1};
    }
  return best;
}

Tuning tune_recurrent(const KernelContext& c) {
  const TileShape tile = recurrent_tile(c);
  return {{"lanes", tile.lanes}, {"vectors", tile.vectors}};
}

void pack_recurrent(const KernelContext& c, Constants& constants) {
  const TileShape tile = recurrent_tile(c);
  pack_units(c, constants, tile.lanes * tile.vectors, true);
}

}  // namespace

const KernelSet& simd() {
  static const KernelRow rows[] = {
#include "targets/kernels/simd/rows.def"
  };
  static const KernelSet set("simd", {std::begin(rows), std::end(rows)});
  return set;
}

}  // namespace kiln::kernels
