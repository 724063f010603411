// SPDX-License-Identifier: Apache-2.0
// Rules of the integer kernels for RISC-V vectors (runtime-stubs/nn/rvv): which layers they serve, the sizes of tiles, their scratch, and the packing of
// weights. Vectors of any length give the same results; sizes are chosen for Target::integer_vector_bytes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/program/kernel_rules.h"
#include "nn/rvv/sizes.h"

namespace kiln::rules {
namespace {

/// Registers that one sum may take.
constexpr int32_t kLeastGroup = 2, kLargestGroup = 8;

bool is_byte(DType dtype) { return element_bytes(dtype) == 1 && is_integer(dtype); }

/// `depth` products for each of `channels` outputs.
struct Layer {
  int32_t channels, depth, pixels, w_zero_point, wide;
};

Layer layer_of(const KernelContext& c) {
  if (const auto* d = std::get_if<QDense>(&c.call.descriptor)) return {d->out, d->in, d->rows, d->w_zero_point, d->wide};
  if (const auto* d = std::get_if<QDepthwise2d>(&c.call.descriptor)) return {d->channels, d->kernel_h * d->kernel_w, d->out_w, d->w_zero_point, d->wide};
  const auto& d = std::get<QConv2d>(c.call.descriptor);
  return {d.out_c, d.kernel_h * d.kernel_w * d.in_c / d.groups, d.out_w, d.w_zero_point, d.wide};
}

const std::optional<Tensor>& constant(const KernelContext& c, size_t operand) { return c.program.tensor(c.call.inputs[operand]).constant; }

/// Where vectors have no floats: what the rounding by integers serves, see store_sums in nn/rvv/vec.h.
std::optional<std::string> refuse_integer_rounding(const KernelContext& c, const Layer& layer) {
  constexpr int64_t kLimit = 1 << 23;
  bool is_signed = is_signed_integer(c.program.tensor(c.call.inputs[0]).type.dtype);
  int64_t low = is_signed ? -128 : 0, high = low + 255;
  std::span<const int8_t> weights = constant(c, 1)->as<int8_t>();
  std::span<const int32_t> bias = constant(c, 2)->as<int32_t>();
  bool by_tap = std::holds_alternative<QDepthwise2d>(c.call.descriptor);  // [tap][channel], others have [channel][input]
  for (int32_t o = 0; o < layer.channels; ++o) {
    int64_t most = bias[static_cast<size_t>(o)], least = most;
    for (int32_t i = 0; i < layer.depth; ++i) {
      int64_t w = weights[static_cast<size_t>(by_tap ? i * layer.channels + o : o * layer.depth + i)];
      most += std::max(w * low, w * high);
      least += std::min(w * low, w * high);
    }
    if (most >= kLimit || least <= -kLimit) return fmt::format("sums of channel {} can be {}, more than 2^23 - 1", o, std::max(most, -least));
  }
  for (float m : constant(c, 3)->as<float>())
    if (m < std::ldexp(1.0f, -31) || m >= 0.5f) return fmt::format("the multiplier {} is not within 2^-31 and 1/2", m);
  return std::nullopt;
}

std::optional<std::string> refuse_layer(const KernelContext& c) {
  DType x = c.program.tensor(c.call.inputs[0]).type.dtype, y = c.program.tensor(c.call.outputs[0]).type.dtype;
  if (!is_byte(x) || !is_byte(y)) return fmt::format("it reads and writes bytes, the layer has {} and {}", dtype_name(x), dtype_name(y));
  Layer layer = layer_of(c);
  if (layer.wide) return "its sums need 64 bits";
  if (!constant(c, 1) || !constant(c, 2) || !constant(c, 3)) return "its weights are not constant";
  if (constant(c, 1)->type.dtype != DType::i8 || layer.w_zero_point != 0)
    return fmt::format("its weights are {} with zero point {}, not i8 with 0", dtype_name(constant(c, 1)->type.dtype), layer.w_zero_point);
  if ((c.target.capabilities & kRiscvVectorFloats) == 0) return refuse_integer_rounding(c, layer);
  return std::nullopt;
}

/// Registers for one sum: enough for `lanes`, more if there are fewer pixels than make a tile.
int32_t group_registers(const KernelContext& c, int32_t (&tile)(int32_t registers), int32_t lanes, int32_t pixels) {
  int32_t group = kLeastGroup;
  while (group < kLargestGroup && (group * c.target.integer_vector_bytes / 4 < lanes || tile(group) > pixels)) group *= 2;
  return group;
}

/// Pixels whose channels lie side by side in the lanes: input and output of neighbours do, where windows move by one pixel.
int32_t together(const KernelContext& c, const QDepthwise2d& d) {
  if (d.stride_w != 1) return 1;
  int32_t lanes = kLargestGroup * c.target.integer_vector_bytes / 4;
  return std::clamp(lanes / d.channels, 1, d.out_w);
}

/// The padded rows of nn/rvv/window.h, up to a multiple of 4.
template <class D>
int32_t ring_bytes(const D& d, int32_t channels) {
  return (nn::rvv::ring_elements(d, channels) + 3) / 4 * 4;
}

/// One of bias or multipliers for each channel, `copies` times.
template <class T>
void repeat(std::optional<Tensor>& constant, int32_t channels, int32_t copies) {
  std::span<const T> from = std::as_const(*constant).as<T>();
  Tensor to(TensorType{constant->type.dtype, {copies, channels}, {}});
  for (int32_t i = 0; i < copies * channels; ++i)
    to.as<T>()[static_cast<size_t>(i)] = from.size() == 1 ? from[0] : from[static_cast<size_t>(i % channels)];
  constant = std::move(to);
}

}  // namespace

std::optional<std::string> refuse_rvv_layer(const KernelContext& c) {
  if (const auto* d = std::get_if<QConv2d>(&c.call.descriptor); d && d->groups != 1) return fmt::format("it has {} groups", d->groups);
  return refuse_layer(c);
}

Tuning tune_rvv_dense(const KernelContext& c) {
  Layer layer = layer_of(c);
  return {{"registers", group_registers(c, nn::rvv::tile_pixels, layer.channels, layer.pixels)}};
}

Tuning tune_rvv_conv2d(const KernelContext& c) {
  const auto& d = std::get<QConv2d>(c.call.descriptor);
  return {{"registers", group_registers(c, nn::rvv::tile_pixels, d.out_c, d.out_w)}, {"ring_bytes", ring_bytes(d, d.in_c)}};
}

Tuning tune_rvv_depthwise2d(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  int32_t copies = together(c, d);
  return {{"registers", group_registers(c, nn::rvv::window_pixels, d.channels * copies, d.out_w / copies)},
          {"together", copies},
          {"ring_bytes", ring_bytes(d, d.channels)}};
}

/// Padded rows, and where the taps of a row of outputs begin.
int64_t rvv_conv2d_bytes(const KernelContext& c) {
  const auto& d = std::get<QConv2d>(c.call.descriptor);
  return ring_bytes(d, d.in_c) + int64_t{4} * d.kernel_h * (d.dilation_w == 1 ? 1 : d.kernel_w);
}
int64_t rvv_depthwise2d_bytes(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  return ring_bytes(d, d.channels) + int64_t{4} * d.kernel_h * d.kernel_w;
}

/// Weights [channel][input] -> [input][channel].
void pack_rvv_tile(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  Layer layer = layer_of(c);
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  Tensor packed(TensorType{DType::i8, {layer.depth, layer.channels}, {}});
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t i = 0; i < layer.depth; ++i)
    for (int32_t o = 0; o < layer.channels; ++o) *to++ = from[static_cast<size_t>(o * layer.depth + i)];
  constants[1] = std::move(packed);
  repeat<float>(constants[3], layer.channels, 1);
}

/// Weights [tap][channel] -> [tap][copy][channel].
void pack_rvv_depthwise(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  int32_t copies = together(c, d), taps = d.kernel_h * d.kernel_w;
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  Tensor packed(TensorType{DType::i8, {taps, copies, d.channels}, {}});
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t tap = 0; tap < taps; ++tap)
    for (int32_t copy = 0; copy < copies; ++copy) to = std::copy_n(from.data() + static_cast<ptrdiff_t>(tap) * d.channels, d.channels, to);
  constants[1] = std::move(packed);
  repeat<int32_t>(constants[2], d.channels, copies);
  repeat<float>(constants[3], d.channels, copies);
}

}  // namespace kiln::rules
