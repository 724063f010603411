// SPDX-License-Identifier: Apache-2.0
// Rules of the integer kernels for the DSP instructions of Cortex-M4, M7 and M33 (runtime-stubs/nn/dsp): which layers they serve, their
// scratch, and the packing of weights into the order in which SXTB16 widens them.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/program/kernel_rules.h"

namespace kiln::rules {
namespace {

constexpr int32_t kTilePixels = 4;
/// A depthwise window at the border is collected on the stack, 4 bytes a tap.
constexpr int32_t kMostWindowTaps = 49;

int32_t round_up(int32_t n, int32_t step) { return (n + step - 1) / step * step; }

bool is_byte(DType dtype) { return element_bytes(dtype) == 1 && is_integer(dtype); }

/// A layer as rows of `run` inputs per output channel.
struct Layer {
  int32_t channels, rows, run, w_zero_point, wide;
};

Layer layer_of(const KernelContext& c) {
  if (const auto* d = std::get_if<QDense>(&c.call.descriptor)) return {d->out, 1, d->in, d->w_zero_point, d->wide};
  if (const auto* d = std::get_if<QDepthwise2d>(&c.call.descriptor)) return {d->channels, d->kernel_h, d->kernel_w, d->w_zero_point, d->wide};
  const auto& d = std::get<QConv2d>(c.call.descriptor);
  return {d.out_c, d.kernel_h, d.kernel_w * d.in_c / d.groups, d.w_zero_point, d.wide};
}

/// What all of them need: bytes in and out, centred byte weights, sums in 32 bits.
std::optional<std::string> refuse_layer(const KernelContext& c) {
  DType x = c.program.tensor(c.call.inputs[0]).type.dtype, y = c.program.tensor(c.call.outputs[0]).type.dtype;
  if (!is_byte(x) || !is_byte(y)) return fmt::format("it reads and writes bytes, the layer has {} and {}", dtype_name(x), dtype_name(y));
  Layer layer = layer_of(c);
  if (layer.wide) return "its sums need 64 bits";
  const std::optional<Tensor>& weights = c.program.tensor(c.call.inputs[1]).constant;
  if (!weights || !c.program.tensor(c.call.inputs[2]).constant) return "its weights are not constant";
  if (weights->type.dtype != DType::i8 || layer.w_zero_point != 0)
    return fmt::format("its weights are {} with zero point {}, not i8 with 0", dtype_name(weights->type.dtype), layer.w_zero_point);
  return std::nullopt;
}

/// Bias and multipliers for `channels` channels, the further ones 0.
void pad_channels(std::vector<std::optional<Tensor>>& constants, int32_t channels) {
  auto pad = [&]<class T>(size_t operand, DType dtype) {
    std::span<const T> from = std::as_const(*constants[operand]).as<T>();
    if (from.size() <= 1 && dtype == DType::f32) return;  // one multiplier for all
    const int32_t entries = constants[operand]->type.rank() == 2 ? 2 : 1;  // multipliers with their addends
    Tensor padded(TensorType{dtype, {channels * entries}, {}});
    std::copy(from.begin(), from.end(), padded.as<T>().begin());
    constants[operand] = std::move(padded);
  };
  pad.operator()<int32_t>(2, DType::i32);
  pad.operator()<float>(3, DType::f32);
}

}  // namespace

std::optional<std::string> refuse_dsp_dense(const KernelContext& c) {
  const auto& d = std::get<QDense>(c.call.descriptor);
  if (d.rows < kTilePixels) return fmt::format("{} rows are too few for a tile", d.rows);
  return refuse_layer(c);
}

std::optional<std::string> refuse_dsp_layer(const KernelContext& c) {
  if (const auto* d = std::get_if<QConv2d>(&c.call.descriptor); d && d->groups != 1) return fmt::format("it has {} groups", d->groups);
  return refuse_layer(c);
}

std::optional<std::string> refuse_dsp_depthwise(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  if (d.channels < 4) return fmt::format("{} channels are too few for a word", d.channels);
  if (d.kernel_h * d.kernel_w > kMostWindowTaps) return fmt::format("its window of {} taps is too large for the stack", d.kernel_h * d.kernel_w);
  return refuse_layer(c);
}

std::optional<std::string> refuse_dsp_depthwise_3x3(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  if (d.kernel_h != 3 || d.kernel_w != 3) return fmt::format("its window is {} x {}, not 3 x 3", d.kernel_h, d.kernel_w);
  if (d.dilation_h != 1 || d.dilation_w != 1) return "its window is dilated";
  if (d.stride_h > 2) return fmt::format("its windows are {} rows apart", d.stride_h);
  return refuse_dsp_depthwise(c);
}

int64_t dsp_depthwise_3x3_bytes(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  return 32 * ((int64_t{d.out_w} - 1) * d.stride_w + 3);
}

int64_t dsp_column_bytes(const KernelContext& c) {
  Layer layer = layer_of(c);
  return int64_t{layer.rows} * round_up(layer.run, 4) * 2 * kTilePixels;
}

int64_t dsp_row_bytes(const KernelContext& c) { return int64_t{2} * round_up(layer_of(c).run, 4); }

void pack_dsp_tile(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  Layer layer = layer_of(c);
  int32_t channels = round_up(layer.channels, 2), run = round_up(layer.run, 4);
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  Tensor packed(TensorType{DType::i8, {channels / 2, layer.rows * run / 4, 2, 4}, {}});
  int8_t* to = packed.as<int8_t>().data();
  auto weight = [&](int32_t o, int32_t row, int32_t i) {
    return o < layer.channels && i < layer.run ? from[static_cast<size_t>((o * layer.rows + row) * layer.run + i)] : int8_t{0};
  };
  for (int32_t o = 0; o < channels; o += 2)
    for (int32_t row = 0; row < layer.rows; ++row)
      for (int32_t group = 0; group < run; group += 4)
        for (int32_t first : {group, group + 1})  // the pairs (0, 2) and (1, 3)
          for (int32_t i : {first, first + 2})
            for (int32_t channel : {o, o + 1}) *to++ = weight(channel, row, i);
  constants[1] = std::move(packed);
  pad_channels(constants, channels);
}

void pack_dsp_row(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  Layer layer = layer_of(c);
  int32_t channels = round_up(layer.channels, 4), run = round_up(layer.run, 4);
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  Tensor packed(TensorType{DType::i8, {channels / 4, run / 4, 4, 4}, {}});
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t block = 0; block < channels; block += 4)
    for (int32_t group = 0; group < run; group += 4)
      for (int32_t o = block; o < block + 4; ++o)
        for (int32_t i = group; i < group + 4; ++i)
          *to++ = o < layer.channels && i < layer.run ? from[static_cast<size_t>(o * layer.run + i)] : int8_t{0};
  constants[1] = std::move(packed);
  pad_channels(constants, channels);
}

Tuning tune_dsp_depthwise(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  return {{"taps", d.kernel_h * d.kernel_w}};
}

void pack_dsp_depthwise(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  Layer layer = layer_of(c);
  int32_t taps = layer.rows * layer.run;
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  int32_t blocks = round_up(layer.channels, 4) / 4;
  Tensor packed(TensorType{DType::i8, {blocks, taps, 4}, {}});
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t block = 0; block < blocks; ++block) {
    int32_t start = std::min(block * 4, layer.channels - 4);
    for (int32_t tap = 0; tap < taps; ++tap)
      for (int32_t i = 0; i < 4; ++i) *to++ = from[static_cast<size_t>(tap * layer.channels + start + i)];
  }
  constants[1] = std::move(packed);
}

}  // namespace kiln::rules
