// SPDX-License-Identifier: Apache-2.0
// Rules of the integer kernels for x86-64 (runtime-stubs/nn/x86): which layers they serve, tile sizes, and the packing of weights.
//
// The kernels add up products of bytes in int32 lanes, `step` at a time: pairs (pmaddwd) or quads (vpdpbusd). Weights are packed as
// int8 after w_zero_point has been subtracted. Where the kernel makes int8 inputs unsigned by adding 128, the bias takes
// 128 * (sum of the weights) back; the arithmetic is modulo 2^32, so that only the final sum has to fit.
#include <fmt/format.h>

#include <array>

#include "targets/kernels/rows.h"
#include "targets/kernels/tiles.h"

namespace kiln::kernels {
namespace {

constexpr int32_t kPairs = 2, kQuads = 4;
/// Stack that the columns of a tile may take; one pixel may have up to kMostColumnBytes.
constexpr int32_t kTileBytes = 16 * 1024, kMostColumnBytes = 64 * 1024;

bool signed_input(const KernelContext& c) { return is_signed_integer(input_type(c)); }

/// Outputs side by side whose windows lie inside the image.
int32_t interior_of(const KernelContext& c) {
  if (const auto* d = std::get_if<QDepthwise2d>(&c.call.descriptor)) return interior_columns(*d);
  return interior_columns(std::get<QPool2d>(c.call.descriptor));
}

/// Weight minus zero point, by position in the operand.
std::vector<int32_t> centred_weights(const Tensor& weights, int32_t zero_point) {
  std::vector<int64_t> stored = *weights.to_int64s();
  std::vector<int32_t> out;
  for (int64_t w : stored) out.push_back(static_cast<int32_t>(w) - zero_point);
  return out;
}

/// What layers with weights need.
Refusal refuse_layer(const KernelContext& c) {
  if (const DType x = input_type(c); !is_byte(x)) return fmt::format("it reads bytes, the input is {}", dtype_name(x));
  const LayerFacts layer = layer_facts(c);
  if (layer.wide) return "its sums need 64 bits";
  if (Refusal why = refuse_computed(c, {1, 2})) return why;
  const Tensor& weights = *constant_of(c, 1);
  if (!is_byte(weights.type.dtype)) return fmt::format("its weights are {}", dtype_name(weights.type.dtype));
  for (int32_t w : centred_weights(weights, layer.w_zero_point))
    if (w < -128 || w > 127) return fmt::format("a weight minus its zero point is {}, not within -128 and 127", w);
  return std::nullopt;
}

int32_t column_element_bytes(int32_t step) { return step == kQuads ? 1 : 2; }

template <int32_t kStep>
Refusal refuse_tile(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  if (Refusal why = refuse_groups(layer)) return why;
  if (Refusal why = refuse_few_channels(layer.channels, kMinChannels, "a vector")) return why;
  if (layer.inputs > kMostColumnBytes / column_element_bytes(kStep))
    return fmt::format("{} products per output are too many for the stack", layer.inputs);
  return refuse_layer(c);
}

TileShape tile_of(const KernelContext& c, int32_t step) {
  const LayerFacts layer = layer_facts(c);
  // One register holds a product, or what makes inputs unsigned.
  TileShape tile = choose_tile(c.target.integer_vector_bytes / 4, c.target.vector_registers - 1, layer.channels, layer.width);
  tile.pixels = std::clamp(kTileBytes / (round_up(layer.inputs, step) * column_element_bytes(step)), 1, tile.pixels);
  return tile;
}

template <int32_t kStep>
Tuning tune_tile(const KernelContext& c) {
  const TileShape tile = tile_of(c, kStep);
  return {{"step", kStep}, {"lanes", tile.lanes}, {"vectors", tile.vectors}, {"pixels", tile.pixels}};
}

/// bias[o] - 128 * (sum of the weights of channel o).
int32_t bias_for_unsigned(int32_t bias, int64_t weights) {
  return static_cast<int32_t>(static_cast<uint32_t>(bias) - static_cast<uint32_t>(128 * weights));
}

/// [channel][depth] -> [block][depth / step][channel within the block][step]
template <int32_t step>
void pack_tile(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  TileShape tile = tile_of(c, step);
  int32_t block = tile.lanes * tile.vectors, blocks = ceil_div(layer.channels, block), steps = ceil_div(layer.inputs, step);
  std::vector<int32_t> weights = centred_weights(*constants[1], layer.w_zero_point);
  auto weight = [&](int32_t o, int32_t k) { return k < layer.inputs ? weights[static_cast<size_t>(o * layer.inputs + k)] : 0; };
  Tensor packed(TensorType{DType::i8, {blocks, steps, block, step}, {}});
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t b = 0; b < blocks; ++b) {
    int32_t start = std::min(b * block, layer.channels - block);
    for (int32_t k = 0; k < steps; ++k)
      for (int32_t i = 0; i < block; ++i)
        for (int32_t s = 0; s < step; ++s) *to++ = static_cast<int8_t>(weight(start + i, k * step + s));
  }
  if (step == kQuads && signed_input(c)) {
    std::span<int32_t> bias = constants[2]->as<int32_t>();
    for (int32_t o = 0; o < layer.channels; ++o) {
      int64_t sum = 0;
      for (int32_t k = 0; k < layer.inputs; ++k) sum += weight(o, k);
      bias[static_cast<size_t>(o)] = bias_for_unsigned(bias[static_cast<size_t>(o)], sum);
    }
  }
  constants[1] = std::move(packed);
}

/// Channels that a depthwise kernel takes at a time: a register of bytes, or half of the smallest.
int32_t block_bytes(const Target& target, int32_t channels) {
  int32_t bytes = target.integer_vector_bytes;
  while (bytes > channels) bytes /= 2;
  return bytes;
}

template <int32_t kStep>
Tuning tune_window(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  int32_t bytes = block_bytes(c.target, layer.channels);
  // Four registers of sums per pixel (two for 8 channels), and about eight for what goes into a step.
  int32_t pixels = (c.target.vector_registers - 8) / (bytes == 8 ? 2 : 4);
  return {{"step", kStep}, {"bytes", bytes}, {"pixels", even_block(interior_of(c), pixels)}};
}

/// The channels of a block in the order in which a kernel's sums hold them: [quarter][bytes / 16][4].
std::vector<int32_t> interleaved_channels(int32_t bytes) {
  std::vector<int32_t> out;
  for (int32_t quarter = 0; quarter < (bytes == 8 ? 2 : 4); ++quarter)
    for (int32_t part = 0; part < std::max(bytes / 16, 1); ++part)
      for (int32_t i = 0; i < 4; ++i) out.push_back(part * 16 + quarter * 4 + i);
  return out;
}

template <int32_t step>
void pack_depthwise(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  int32_t bytes = block_bytes(c.target, layer.channels), blocks = ceil_div(layer.channels, bytes), steps = ceil_div(layer.inputs, step);
  std::vector<int32_t> order = interleaved_channels(bytes), weights = centred_weights(*constants[1], layer.w_zero_point);
  auto weight = [&](int32_t tap, int32_t channel) {
    return tap < layer.inputs ? weights[static_cast<size_t>(tap * layer.channels + channel)] : 0;
  };
  const int32_t entries = layer.multiplier_stride;
  Tensor packed(TensorType{DType::i8, {blocks, steps, bytes, step}, {}}), bias(TensorType{DType::i32, {blocks, bytes}, {}});
  Tensor multipliers(TensorType{DType::f32, {blocks, bytes * entries}, {}});
  size_t w_at = 0, at = 0;
  for (int32_t b = 0; b < blocks; ++b) {
    int32_t start = std::min(b * bytes, layer.channels - bytes);
    for (int32_t k = 0; k < steps; ++k)
      for (int32_t i : order)
        for (int32_t s = 0; s < step; ++s) packed.as<int8_t>()[w_at++] = static_cast<int8_t>(weight(k * step + s, start + i));
    for (int32_t i : order) {
      auto channel = static_cast<size_t>(start + i);
      int64_t sum = 0;
      for (int32_t k = 0; k < layer.inputs; ++k) sum += weight(k, start + i);
      int32_t of_channel = constants[2]->as<int32_t>()[channel];
      bias.as<int32_t>()[at] = signed_input(c) ? bias_for_unsigned(of_channel, sum) : of_channel;
      std::copy_n(std::as_const(*constants[3]).as<float>().data() + channel * static_cast<size_t>(entries), entries,
                  multipliers.as<float>().data() + at * static_cast<size_t>(entries));
      ++at;
    }
  }
  constants[1] = std::move(packed);
  constants[2] = std::move(bias);
  if (entries > 0) constants[3] = std::move(multipliers);
}

Refusal refuse_window(const KernelContext& c) {
  if (Refusal why = refuse_few_channels(layer_facts(c).channels, 8, "a vector")) return why;
  return refuse_other_than_bytes(c);
}

Refusal refuse_depthwise(const KernelContext& c) {
  if (Refusal why = refuse_window(c)) return why;
  if (!constant_of(c, 3)) return "its multipliers are not constant";
  return refuse_layer(c);
}

}  // namespace

const KernelSet& x86() {
  static const KernelRow rows[] = {
#include "targets/kernels/x86/rows.def"
  };
  static const KernelSet set("x86", {std::begin(rows), std::end(rows)});
  return set;
}

}  // namespace kiln::kernels
