// SPDX-License-Identifier: Apache-2.0
// Rules of recurrent layers (runtime-stubs/nn/recurrent.h): scratch, and weights in blocks of units.
#include <fmt/format.h>

#include "compiler/program/kernel_rules.h"
#include "compiler/program/tiles.h"

namespace kiln::rules {
namespace {

constexpr size_t kWeights = 1, kRecurrence = 2, kBias = 3;
constexpr int32_t kFpuUnits = 4;

const Recurrent& descriptor(const KernelContext& c) { return std::get<Recurrent>(c.call.descriptor); }

/// [gate][unit][in] -> [block of units][in][gate][unit], or [block of units][gate][in][unit].
Tensor pack_units(const Tensor& weights, int32_t units, int32_t block, bool gates_inside) {
  std::span<const float> from = weights.as<float>();
  const int32_t gates = static_cast<int32_t>(weights.type.shape[0]) / units, inputs = static_cast<int32_t>(from.size()) / (gates * units);
  const int32_t blocks = ceil_div(units, block), outer = gates_inside ? inputs : gates, inner = gates_inside ? gates : inputs;
  Tensor packed(TensorType{DType::f32, {blocks, outer, inner, block}, {}});
  float* to = packed.as<float>().data();
  for (int32_t first = 0; first < blocks * block; first += block)
    for (int32_t o = 0; o < outer; ++o)
      for (int32_t i = 0; i < inner; ++i)
        for (int32_t unit = first; unit < first + block; ++unit) {
          const int32_t gate = gates_inside ? i : o, input = gates_inside ? o : i;
          *to++ = unit < units ? from[static_cast<size_t>((gate * units + unit) * inputs + input)] : 0.0f;
        }
  return packed;
}

void pack_operands(const KernelContext& c, std::vector<std::optional<Tensor>>& constants, int32_t block, bool gates_inside) {
  for (size_t operand : {kWeights, kRecurrence, kBias})
    constants[operand] = pack_units(*constants[operand], descriptor(c).units, block, gates_inside);
}

/// The vectors of a sum; as many as keep the sums of an LSTM in half of the registers, and waste few lanes.
TileShape units_of_block(const KernelContext& c) {
  const int32_t units = descriptor(c).units;
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

}  // namespace

std::optional<std::string> refuse_packed_recurrent(const KernelContext& c) {
  for (size_t operand : {kWeights, kRecurrence, kBias})
    if (!c.program.tensor(c.call.inputs[operand]).constant) return "its weights are not constant";
  if (descriptor(c).units < 2) return "it has 1 unit";
  return std::nullopt;
}

int64_t recurrent_bytes(const KernelContext& c) {
  const Recurrent& d = descriptor(c);
  const int64_t next = d.sequence ? 0 : 1, reset = c.call.family == "gru" && !d.linear_before_reset ? 1 : 0;
  return (next + reset) * d.units * element_bytes(c.program.tensor(c.call.inputs.front()).type.dtype);
}

Tuning tune_simd_recurrent(const KernelContext& c) {
  const TileShape tile = units_of_block(c);
  return {{"lanes", tile.lanes}, {"vectors", tile.vectors}};
}

void pack_simd_recurrent(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  const TileShape tile = units_of_block(c);
  pack_operands(c, constants, tile.lanes * tile.vectors, true);
}

void pack_fpu_recurrent(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  pack_operands(c, constants, kFpuUnits, false);
}

}  // namespace kiln::rules
