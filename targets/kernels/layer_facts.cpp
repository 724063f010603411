// SPDX-License-Identifier: Apache-2.0
#include "targets/kernels/layer_facts.h"

#include <fmt/format.h>

#include "compiler/support/check.h"

namespace kiln::kernels {

bool is_byte(DType dtype) { return element_bytes(dtype) == 1 && is_integer(dtype); }

const Tensor* constant_of(const KernelContext& c, size_t operand) {
  const std::optional<Tensor>& constant = c.program.tensor(c.call.inputs[operand]).constant;
  return constant ? &*constant : nullptr;
}

LayerFacts layer_facts(const KernelContext& c) {
  LayerFacts layer;
  std::visit(
      [&](const auto& d) {
        if constexpr (requires { d.rows; d.in; d.out; }) {
          layer.channels = d.out, layer.inputs = d.in, layer.width = d.rows;
        } else if constexpr (requires { d.kernel_h; d.in_c; d.out_c; d.groups; }) {
          layer.channels = d.out_c, layer.inputs = d.kernel_h * d.kernel_w * d.in_c / d.groups, layer.width = d.out_w;
          layer.kernel_h = d.kernel_h, layer.groups = d.groups;
        } else if constexpr (requires { d.kernel_h; d.channels; }) {
          layer.channels = d.channels, layer.inputs = d.kernel_h * d.kernel_w, layer.width = d.out_w;
          layer.kernel_h = d.kernel_h, layer.by_tap = true;
        } else {
          KILN_CHECK(false, "rules of a layer are asked about another call");
        }
        if constexpr (requires { d.w_zero_point; d.wide; d.multiplier_stride; }) {
          layer.w_zero_point = d.w_zero_point, layer.wide = d.wide, layer.multiplier_stride = d.multiplier_stride;
        }
      },
      c.call.descriptor);
  return layer;
}

Refusal refuse_groups(const LayerFacts& layer) {
  if (layer.groups != 1) return fmt::format("it has {} groups", layer.groups);
  return std::nullopt;
}

Refusal refuse_few_channels(int32_t channels, int32_t least, std::string_view unit) {
  if (channels < least) return fmt::format("{} channels are too few for {}", channels, unit);
  return std::nullopt;
}

Refusal refuse_computed(const KernelContext& c, std::initializer_list<size_t> operands) {
  for (size_t operand : operands)
    if (!constant_of(c, operand)) return "its weights are not constant";
  return std::nullopt;
}

Refusal refuse_other_than_bytes(const KernelContext& c) {
  const DType x = input_type(c), y = output_type(c);
  if (!is_byte(x) || !is_byte(y)) return fmt::format("it reads and writes bytes, the layer has {} and {}", dtype_name(x), dtype_name(y));
  return std::nullopt;
}

Refusal refuse_byte_layer(const KernelContext& c) {
  const LayerFacts layer = layer_facts(c);
  if (Refusal why = refuse_groups(layer)) return why;
  if (Refusal why = refuse_other_than_bytes(c)) return why;
  if (layer.wide) return "its sums need 64 bits";
  if (Refusal why = refuse_computed(c, {1, 2, 3})) return why;
  if (const DType w = input_type(c, 1); w != DType::i8 || layer.w_zero_point != 0)
    return fmt::format("its weights are {} with zero point {}, not i8 with 0", dtype_name(w), layer.w_zero_point);
  return std::nullopt;
}

Refusal refuse_integer_sums(const KernelContext& c) {
  if (type_of(c, c.call.inputs[3]).rank() == 2) return "its bias lies between the whole sums, and is added as floats";
  return refuse_byte_layer(c);
}

}  // namespace kiln::kernels
