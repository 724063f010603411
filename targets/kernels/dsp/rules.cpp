// SPDX-License-Identifier: Apache-2.0
// Rules of the integer kernels for the DSP instructions of Cortex-M4, M7 and M33 (runtime-stubs/nn/dsp): which layers they serve, their
// scratch, and the packing of weights into the order in which SXTB16 widens them.
#include <fmt/format.h>

#include <algorithm>

#include "targets/kernels/rows.h"

namespace kiln::kernels {
namespace {

constexpr int32_t kTilePixels = 4;
/// A depthwise window at the border is collected on the stack, 4 bytes a tap.
constexpr int32_t kMostWindowTaps = 49;

/// Bias and multipliers for `channels` channels, the further ones 0. One multiplier for all stays alone.
void pad_channels(Constants& constants, int32_t channels) {
  constants[2] = padded<int32_t>(*constants[2], channels, 0);
  const int32_t entries = constants[3]->type.rank() == 2 ? 2 : 1;  // with their addends
  if (constants[3]->type.elements() > 1) constants[3] = padded<float>(*constants[3], channels * entries, 0);
}

Refusal refuse_tile(const KernelContext& c) {
  if (const int32_t rows = layer_facts(c).width; rows < kTilePixels) return fmt::format("{} rows are too few for a tile", rows);
  return refuse_byte_layer(c);
}

Refusal refuse_depthwise(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  if (Refusal why = refuse_few_channels(d.channels, 4, "a word")) return why;
  if (d.kernel_h * d.kernel_w > kMostWindowTaps)
    return fmt::format("its window of {} taps is too large for the stack", d.kernel_h * d.kernel_w);
  return refuse_byte_layer(c);
}

Refusal refuse_depthwise_3x3(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  if (d.kernel_h != 3 || d.kernel_w != 3) return fmt::format("its window is {} x {}, not 3 x 3", d.kernel_h, d.kernel_w);
  if (d.dilation_h != 1 || d.dilation_w != 1) return "its window is dilated";
  if (d.stride_h > 2) return fmt::format("its windows are {} rows apart", d.stride_h);
  return refuse_depthwise(c);
}

int64_t depthwise_3x3_bytes(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  return 32 * ((int64_t{d.out_w} - 1) * d.stride_w + 3);
}

/// The widened inputs of a tile of pixels.
int64_t column_bytes(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  return int64_t{layer.kernel_h} * round_up(layer.inputs / layer.kernel_h, 4) * 2 * kTilePixels;
}

/// The widened inputs of one row.
int64_t row_bytes(const KernelContext& c) { return int64_t{2} * round_up(layer_facts(c).inputs, 4); }

void pack_tile(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  const int32_t taken = layer.inputs / layer.kernel_h, channels = round_up(layer.channels, 2), run = round_up(taken, 4);
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  Tensor packed(TensorType{DType::i8, {channels / 2, layer.kernel_h * run / 4, 2, 4}, {}});
  int8_t* to = packed.as<int8_t>().data();
  auto weight = [&](int32_t o, int32_t row, int32_t i) {
    return o < layer.channels && i < taken ? from[static_cast<size_t>((o * layer.kernel_h + row) * taken + i)] : int8_t{0};
  };
  for (int32_t o = 0; o < channels; o += 2)
    for (int32_t row = 0; row < layer.kernel_h; ++row)
      for (int32_t group = 0; group < run; group += 4)
        for (int32_t first : {group, group + 1})  // the pairs (0, 2) and (1, 3)
          for (int32_t i : {first, first + 2})
            for (int32_t channel : {o, o + 1}) *to++ = weight(channel, row, i);
  constants[1] = std::move(packed);
  pad_channels(constants, channels);
}

void pack_row(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  const int32_t channels = round_up(layer.channels, 4), run = round_up(layer.inputs, 4);
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  Tensor packed(TensorType{DType::i8, {channels / 4, run / 4, 4, 4}, {}});
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t block = 0; block < channels; block += 4)
    for (int32_t group = 0; group < run; group += 4)
      for (int32_t o = block; o < block + 4; ++o)
        for (int32_t i = group; i < group + 4; ++i)
          *to++ = o < layer.channels && i < layer.inputs ? from[static_cast<size_t>(o * layer.inputs + i)] : int8_t{0};
  constants[1] = std::move(packed);
  pad_channels(constants, channels);
}

Tuning tune_depthwise(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  return {{"taps", d.kernel_h * d.kernel_w}};
}

void pack_depthwise(const KernelContext& c, Constants& constants) {
  constants[1] = blocks_by_tap<int8_t>(*constants[1], layer_facts(c).channels, 4);
}

}  // namespace

const KernelSet& dsp() {
  static const KernelRow rows[] = {
#include "targets/kernels/dsp/rows.def"
  };
  static const KernelSet set("dsp", {std::begin(rows), std::end(rows)});
  return set;
}

}  // namespace kiln::kernels
