// SPDX-License-Identifier: Apache-2.0
// Rules of the integer kernels for x86-64 (runtime-stubs/nn/x86): which layers they serve, tile sizes, and the packing of weights.
//
// The kernels add up products of bytes in int32 lanes, `step` at a time: pairs (pmaddwd) or quads (vpdpbusd). Weights are packed as
// int8 after w_zero_point has been subtracted. Where the kernel makes int8 inputs unsigned by adding 128, the bias takes
// 128 * (sum of the weights) back; the arithmetic is modulo 2^32, so that only the final sum has to fit.
#include <fmt/format.h>

#include <array>

#include "compiler/program/kernel_rules.h"
#include "compiler/program/tiles.h"

namespace kiln::rules {
namespace {

constexpr int32_t kPairs = 2, kQuads = 4;
/// Stack that the columns of a tile may take; one pixel may have up to kMostColumnBytes.
constexpr int32_t kTileBytes = 16 * 1024, kMostColumnBytes = 64 * 1024;

/// The layer as the kernel sees it: `depth` products for each of `channels` outputs.
struct Layer {
  int32_t channels, depth, pixels, w_zero_point, wide;
};

Layer layer_of(const KernelContext& c) {
  if (const auto* d = std::get_if<QDense>(&c.call.descriptor)) return {d->out, d->in, d->rows, d->w_zero_point, d->wide};
  if (const auto* d = std::get_if<QDepthwise2d>(&c.call.descriptor))
    return {d->channels, d->kernel_h * d->kernel_w, interior_columns(*d), d->w_zero_point, d->wide};
  if (const auto* d = std::get_if<QPool2d>(&c.call.descriptor)) return {d->channels, d->kernel_h * d->kernel_w, interior_columns(*d), 0, 0};
  const auto& d = std::get<QConv2d>(c.call.descriptor);
  return {d.out_c, d.kernel_h * d.kernel_w * d.in_c / d.groups, d.out_w, d.w_zero_point, d.wide};
}

const TensorType& type_of(const KernelContext& c, TensorId id) { return c.program.tensor(id).type; }
bool is_byte(DType dtype) { return element_bytes(dtype) == 1 && is_integer(dtype); }
bool signed_input(const KernelContext& c) { return is_signed_integer(type_of(c, c.call.inputs[0]).dtype); }

/// Weight minus zero point, by position in the operand.
std::vector<int32_t> centred_weights(const Tensor& weights, int32_t zero_point) {
  std::vector<int64_t> stored = *weights.to_int64s();
  std::vector<int32_t> out;
  for (int64_t w : stored) out.push_back(static_cast<int32_t>(w) - zero_point);
  return out;
}

/// What all these kernels need.
std::optional<std::string> refuse_layer(const KernelContext& c) {
  DType x = type_of(c, c.call.inputs[0]).dtype;
  if (!is_byte(x)) return fmt::format("it reads bytes, the input is {}", dtype_name(x));
  Layer layer = layer_of(c);
  if (layer.wide) return "its sums need 64 bits";
  for (size_t operand : {size_t{1}, size_t{2}})
    if (!c.program.tensor(c.call.inputs[operand]).constant) return "its weights are not constant";
  const Tensor& weights = *c.program.tensor(c.call.inputs[1]).constant;
  if (!is_byte(weights.type.dtype)) return fmt::format("its weights are {}", dtype_name(weights.type.dtype));
  for (int32_t w : centred_weights(weights, layer.w_zero_point))
    if (w < -128 || w > 127) return fmt::format("a weight minus its zero point is {}, not within -128 and 127", w);
  return std::nullopt;
}

std::optional<std::string> refuse_tile(const KernelContext& c, int32_t column_element_bytes) {
  if (const auto* d = std::get_if<QConv2d>(&c.call.descriptor); d && d->groups != 1) return fmt::format("it has {} groups", d->groups);
  Layer layer = layer_of(c);
  if (layer.channels < kMinChannels) return fmt::format("{} channels are too few for a vector", layer.channels);
  if (layer.depth > kMostColumnBytes / column_element_bytes) return fmt::format("{} products per output are too many for the stack", layer.depth);
  return refuse_layer(c);
}

int32_t column_bytes(int32_t step) { return step == kQuads ? 1 : 2; }
int32_t round_up(int32_t n, int32_t step) { return ceil_div(n, step) * step; }

TileShape tile_of(const KernelContext& c, int32_t step) {
  Layer layer = layer_of(c);
  // One register holds a product, or what makes inputs unsigned.
  TileShape tile = choose_tile(c.target.integer_vector_bytes / 4, c.target.vector_registers - 1, layer.channels, layer.pixels);
  tile.pixels = std::clamp(kTileBytes / (round_up(layer.depth, step) * column_bytes(step)), 1, tile.pixels);
  return tile;
}

Tuning tile_tuning(const KernelContext& c, int32_t step) {
  TileShape tile = tile_of(c, step);
  return {{"step", step}, {"lanes", tile.lanes}, {"vectors", tile.vectors}, {"pixels", tile.pixels}};
}

/// bias[o] - 128 * (sum of the weights of channel o).
int32_t bias_for_unsigned(int32_t bias, int64_t weights) { return static_cast<int32_t>(static_cast<uint32_t>(bias) - static_cast<uint32_t>(128 * weights)); }

/// [channel][depth] -> [block][depth / step][channel within the block][step]
void pack_tile(const KernelContext& c, std::vector<std::optional<Tensor>>& constants, int32_t step) {
  Layer layer = layer_of(c);
  TileShape tile = tile_of(c, step);
  int32_t block = tile.lanes * tile.vectors, blocks = ceil_div(layer.channels, block), steps = ceil_div(layer.depth, step);
  std::vector<int32_t> weights = centred_weights(*constants[1], layer.w_zero_point);
  auto weight = [&](int32_t o, int32_t k) { return k < layer.depth ? weights[static_cast<size_t>(o * layer.depth + k)] : 0; };
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
      for (int32_t k = 0; k < layer.depth; ++k) sum += weight(o, k);
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

Tuning depthwise_tuning(const KernelContext& c, int32_t step) {
  Layer layer = layer_of(c);
  int32_t bytes = block_bytes(c.target, layer.channels);
  // Four registers of sums per pixel (two for 8 channels), and about eight for what goes into a step.
  int32_t pixels = (c.target.vector_registers - 8) / (bytes == 8 ? 2 : 4);
  return {{"step", step}, {"bytes", bytes}, {"pixels", even_block(layer.pixels, pixels)}};
}

/// The channels of a block in the order in which a kernel's sums hold them: [quarter][bytes / 16][4].
std::vector<int32_t> interleaved_channels(int32_t bytes) {
  std::vector<int32_t> out;
  for (int32_t quarter = 0; quarter < (bytes == 8 ? 2 : 4); ++quarter)
    for (int32_t part = 0; part < std::max(bytes / 16, 1); ++part)
      for (int32_t i = 0; i < 4; ++i) out.push_back(part * 16 + quarter * 4 + i);
  return out;
}

void pack_depthwise(const KernelContext& c, std::vector<std::optional<Tensor>>& constants, int32_t step) {
  Layer layer = layer_of(c);
  int32_t bytes = block_bytes(c.target, layer.channels), blocks = ceil_div(layer.channels, bytes), steps = ceil_div(layer.depth, step);
  std::vector<int32_t> order = interleaved_channels(bytes), weights = centred_weights(*constants[1], layer.w_zero_point);
  auto weight = [&](int32_t tap, int32_t channel) { return tap < layer.depth ? weights[static_cast<size_t>(tap * layer.channels + channel)] : 0; };
  const int32_t entries = std::get<QDepthwise2d>(c.call.descriptor).multiplier_stride;
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
      for (int32_t k = 0; k < layer.depth; ++k) sum += weight(k, start + i);
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

}  // namespace

std::optional<std::string> refuse_x86_conv2d_pairs(const KernelContext& c) { return refuse_tile(c, column_bytes(kPairs)); }
std::optional<std::string> refuse_x86_conv2d_quads(const KernelContext& c) { return refuse_tile(c, column_bytes(kQuads)); }
std::optional<std::string> refuse_x86_dense_pairs(const KernelContext& c) { return refuse_tile(c, column_bytes(kPairs)); }
std::optional<std::string> refuse_x86_dense_quads(const KernelContext& c) { return refuse_tile(c, column_bytes(kQuads)); }

std::optional<std::string> refuse_x86_average_pool2d(const KernelContext& c) {
  Layer layer = layer_of(c);
  if (layer.channels < 8) return fmt::format("{} channels are too few for a vector", layer.channels);
  for (TensorId id : {c.call.inputs[0], c.call.outputs[0]})
    if (DType dtype = type_of(c, id).dtype; !is_byte(dtype)) return fmt::format("it computes bytes, not {}", dtype_name(dtype));
  return std::nullopt;
}

std::optional<std::string> refuse_x86_depthwise2d(const KernelContext& c) {
  if (std::optional<std::string> why = refuse_x86_average_pool2d(c)) return why;
  if (!c.program.tensor(c.call.inputs[3]).constant) return "its multipliers are not constant";
  return refuse_layer(c);
}

Tuning tune_x86_tile_pairs(const KernelContext& c) { return tile_tuning(c, kPairs); }
Tuning tune_x86_tile_quads(const KernelContext& c) { return tile_tuning(c, kQuads); }
Tuning tune_x86_window_pairs(const KernelContext& c) { return depthwise_tuning(c, kPairs); }
Tuning tune_x86_window_quads(const KernelContext& c) { return depthwise_tuning(c, kQuads); }

void pack_x86_tile_pairs(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) { pack_tile(c, constants, kPairs); }
void pack_x86_tile_quads(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) { pack_tile(c, constants, kQuads); }
void pack_x86_depthwise2d_pairs(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) { pack_depthwise(c, constants, kPairs); }
void pack_x86_depthwise2d_quads(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) { pack_depthwise(c, constants, kQuads); }

}  // namespace kiln::rules
