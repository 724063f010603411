// SPDX-License-Identifier: Apache-2.0
#include "targets/kernels/recurrent.h"

namespace kiln::kernels {
namespace {

constexpr size_t kWeights = 1, kRecurrence = 2, kBias = 3;

const Recurrent& descriptor(const KernelContext& c) { return std::get<Recurrent>(c.call.descriptor); }

/// [gate][unit][in] -> [block of units][in][gate][unit], or [block of units][gate][in][unit].
Tensor blocks_of(const Tensor& weights, int32_t units, int32_t block, bool gates_inside) {
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

}  // namespace

Refusal refuse_packed_recurrent(const KernelContext& c) {
  if (Refusal why = refuse_computed(c, {kWeights, kRecurrence, kBias})) return why;
  if (descriptor(c).units < 2) return "it has 1 unit";
  return std::nullopt;
}

int64_t recurrent_bytes(const KernelContext& c) {
  const Recurrent& d = descriptor(c);
  const int64_t next = d.sequence ? 0 : 1, reset = c.call.family == "gru" && !d.linear_before_reset ? 1 : 0;
  return (next + reset) * d.units * element_bytes(input_type(c));
}

void pack_units(const KernelContext& c, Constants& constants, int32_t block, bool gates_inside) {
  for (size_t operand : {kWeights, kRecurrence, kBias})
    constants[operand] = blocks_of(*constants[operand], descriptor(c).units, block, gates_inside);
}

}  // namespace kiln::kernels
