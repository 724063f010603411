// SPDX-License-Identifier: Apache-2.0
// Rules of the float kernels for cores with a scalar FPU (runtime-stubs/nn/fpu): which layers they serve, and weights in blocks of 4
// channels.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/program/kernel_rules.h"

namespace kiln::rules {
namespace {

constexpr int32_t kBlock = 4;

int32_t blocks_of(int32_t channels) { return (channels + kBlock - 1) / kBlock; }

int32_t output_channels(const KernelContext& c) {
  if (const auto* d = std::get_if<Dense>(&c.call.descriptor)) return d->out;
  return std::get<Conv2d>(c.call.descriptor).out_c;
}

std::optional<std::string> refuse_computed_weights(const KernelContext& c) {
  for (size_t operand : {size_t{1}, size_t{2}})
    if (!c.program.tensor(c.call.inputs[operand]).constant) return "its weights are not constant";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> refuse_fpu_layer(const KernelContext& c) {
  if (const auto* d = std::get_if<Conv2d>(&c.call.descriptor); d && d->groups != 1) return fmt::format("it has {} groups", d->groups);
  if (output_channels(c) < 2) return "it has 1 channel, a block has 4";
  return refuse_computed_weights(c);
}

std::optional<std::string> refuse_fpu_depthwise(const KernelContext& c) {
  const auto& d = std::get<Depthwise2d>(c.call.descriptor);
  if (d.channels < kBlock) return fmt::format("{} channels are too few for a block", d.channels);
  return refuse_computed_weights(c);
}

void pack_fpu_blocks(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  int32_t channels = output_channels(c), blocks = blocks_of(channels);
  for (size_t operand : {size_t{1}, size_t{2}}) {  // the bias is a row of one input
    std::span<const float> from = std::as_const(*constants[operand]).as<float>();
    auto inputs = static_cast<int32_t>(from.size()) / channels;
    Tensor packed(TensorType{DType::f32, {blocks, inputs, kBlock}, {}});
    float* to = packed.as<float>().data();
    for (int32_t block = 0; block < blocks; ++block)
      for (int32_t k = 0; k < inputs; ++k)
        for (int32_t o = block * kBlock; o < (block + 1) * kBlock; ++o)
          *to++ = o < channels ? from[static_cast<size_t>(o * inputs + k)] : 0.0f;
    constants[operand] = std::move(packed);
  }
}

void pack_fpu_depthwise(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  const auto& d = std::get<Depthwise2d>(c.call.descriptor);
  int32_t blocks = blocks_of(d.channels), taps = d.kernel_h * d.kernel_w;
  std::span<const float> from = std::as_const(*constants[1]).as<float>();
  Tensor packed(TensorType{DType::f32, {blocks, taps, kBlock}, {}});
  float* to = packed.as<float>().data();
  for (int32_t block = 0; block < blocks; ++block) {
    int32_t start = std::min(block * kBlock, d.channels - kBlock);
    for (int32_t tap = 0; tap < taps; ++tap, to += kBlock) std::copy_n(&from[static_cast<size_t>(tap * d.channels + start)], kBlock, to);
  }
  constants[1] = std::move(packed);
}

}  // namespace kiln::rules
