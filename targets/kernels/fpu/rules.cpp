// SPDX-License-Identifier: Apache-2.0
// Rules of the float kernels for cores with a scalar FPU (runtime-stubs/nn/fpu): which layers they serve, and weights in blocks of 4
// channels.
#include <fmt/format.h>

#include <algorithm>

#include "targets/kernels/recurrent.h"
#include "targets/kernels/rows.h"

namespace kiln::kernels {
namespace {

constexpr int32_t kBlock = 4;

Refusal refuse_layer(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  if (Refusal why = refuse_groups(layer)) return why;
  if (layer.channels < 2) return "it has 1 channel, a block has 4";
  return refuse_computed(c, {1, 2});
}

Refusal refuse_depthwise(const KernelContext& c) {
  if (Refusal why = refuse_few_channels(layer_facts(c).channels, kBlock, "a block")) return why;
  return refuse_computed(c, {1, 2});
}

/// Weights and bias in blocks of 4 channels, with zeros where there are fewer.
void pack_blocks(const KernelContext& c, Constants& constants) {
  const int32_t channels = layer_facts(c).channels, blocks = ceil_div(channels, kBlock);
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

void pack_depthwise(const KernelContext& c, Constants& constants) {
  constants[1] = blocks_by_tap<float>(*constants[1], layer_facts(c).channels, kBlock);
}

void pack_recurrent(const KernelContext& c, Constants& constants) { pack_units(c, constants, kBlock, false); }

}  // namespace

const KernelSet& fpu() {
  static const KernelRow rows[] = {
#include "targets/kernels/fpu/rows.def"
  };
  static const KernelSet set("fpu", {std::begin(rows), std::end(rows)});
  return set;
}

}  // namespace kiln::kernels
