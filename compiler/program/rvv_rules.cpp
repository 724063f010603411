// SPDX-License-Identifier: Apache-2.0
// Rules of the kernels for RISC-V vectors (runtime-stubs/nn/rvv): which layers they serve, the sizes of tiles, their scratch, and
// the packing of weights. Vectors of any length give the same results; sizes are chosen for Target::integer_vector_bytes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/program/kernel_rules.h"
#include "nn/rvv/sizes.h"

namespace kiln::rules {
namespace {

/// Registers that one sum may take.
constexpr int32_t kLeastGroup = 2, kLargestGroup = 8;
/// With fewer output channels, vectors of inputs are better.
constexpr int32_t kLeastChannels = 4;

bool is_byte(DType dtype) { return element_bytes(dtype) == 1 && is_integer(dtype); }

/// `depth` products for each of `channels` outputs of `pixels` neighbours, and what integers may have besides.
struct Layer {
  int32_t channels, depth, pixels, groups = 1, w_zero_point = 0, wide = 0;
};

Layer layer_of(const KernelContext& c) {
  const AnyDescriptor& any = c.call.descriptor;
  if (const auto* d = std::get_if<Dense>(&any)) return {d->out, d->in, d->rows};
  if (const auto* d = std::get_if<Depthwise2d>(&any)) return {d->channels, d->kernel_h * d->kernel_w, d->out_w};
  if (const auto* d = std::get_if<Conv2d>(&any)) return {d->out_c, d->kernel_h * d->kernel_w * d->in_c / d->groups, d->out_w, d->groups};
  if (const auto* d = std::get_if<QDense>(&any)) return {d->out, d->in, d->rows, 1, d->w_zero_point, d->wide};
  if (const auto* d = std::get_if<QDepthwise2d>(&any))
    return {d->channels, d->kernel_h * d->kernel_w, d->out_w, 1, d->w_zero_point, d->wide};
  const auto& d = std::get<QConv2d>(any);
  return {d.out_c, d.kernel_h * d.kernel_w * d.in_c / d.groups, d.out_w, d.groups, d.w_zero_point, d.wide};
}

bool is_depthwise(const KernelContext& c) {
  return std::holds_alternative<Depthwise2d>(c.call.descriptor) || std::holds_alternative<QDepthwise2d>(c.call.descriptor);
}
bool is_float(const KernelContext& c) { return c.program.tensor(c.call.inputs[0]).type.dtype == DType::f32; }

const std::optional<Tensor>& constant(const KernelContext& c, size_t operand) { return c.program.tensor(c.call.inputs[operand]).constant; }

/// Where vectors have no floats: what the rounding by integers serves, see store_sums in nn/rvv/vec.h.
std::optional<std::string> refuse_integer_rounding(const KernelContext& c, const Layer& layer) {
  constexpr int64_t kLimit = 1 << 24;
  bool is_signed = is_signed_integer(c.program.tensor(c.call.inputs[0]).type.dtype);
  int64_t low = is_signed ? -128 : 0, high = low + 255;
  std::span<const int8_t> weights = constant(c, 1)->as<int8_t>();
  std::span<const int32_t> bias = constant(c, 2)->as<int32_t>();
  bool by_tap = is_depthwise(c);  // [tap][channel], others have [channel][input]
  for (int32_t o = 0; o < layer.channels; ++o) {
    int64_t most = bias[static_cast<size_t>(o)], least = most;
    for (int32_t i = 0; i < layer.depth; ++i) {
      int64_t w = weights[static_cast<size_t>(by_tap ? i * layer.channels + o : o * layer.depth + i)];
      most += std::max(w * low, w * high);
      least += std::min(w * low, w * high);
    }
    if (most >= kLimit || least <= -kLimit)
      return fmt::format("sums of channel {} can be {}, more than 2^24 - 1", o, std::max(most, -least));
  }
  for (float m : constant(c, 3)->as<float>())
    if (m >= 0.5f) return fmt::format("the multiplier {} is not below 1/2", m);
  return std::nullopt;
}

std::optional<std::string> refuse_any(const KernelContext& c) {
  Layer layer = layer_of(c);
  if (layer.groups != 1) return fmt::format("it has {} groups", layer.groups);
  if (layer.channels < kLeastChannels && !is_depthwise(c)) return fmt::format("{} channels are too few for a vector", layer.channels);
  for (size_t operand = 1; operand < c.call.inputs.size(); ++operand)
    if (!constant(c, operand)) return "its weights are not constant";
  return std::nullopt;
}

/// Registers for one sum: enough for `lanes`, more if there are fewer pixels than make a tile.
int32_t group_registers(const KernelContext& c, int32_t (&tile)(int32_t registers), int32_t lanes, int32_t pixels) {
  int32_t group = kLeastGroup;
  while (group < kLargestGroup && (group * c.target.integer_vector_bytes / 4 < lanes || tile(group) > pixels)) group *= 2;
  return group;
}

/// Calls use(descriptor, channels) with the descriptor of a convolution of any kind.
template <class Use>
auto with_window(const KernelContext& c, const Use& use) {
  const AnyDescriptor& any = c.call.descriptor;
  if (const auto* d = std::get_if<Conv2d>(&any)) return use(*d, d->in_c);
  if (const auto* d = std::get_if<QConv2d>(&any)) return use(*d, d->in_c);
  if (const auto* d = std::get_if<Depthwise2d>(&any)) return use(*d, d->channels);
  const auto& d = std::get<QDepthwise2d>(any);
  return use(d, d.channels);
}

/// Pixels whose channels lie side by side in the lanes: input and output of neighbours do, where windows move by one pixel.
int32_t together(const KernelContext& c) {
  return with_window(c, [&](const auto& d, int32_t channels) {
    if (d.stride_w != 1) return 1;
    return std::clamp(kLargestGroup * c.target.integer_vector_bytes / 4 / channels, 1, d.out_w);
  });
}

/// The padded rows of nn/rvv/window.h, up to a multiple of 4.
int32_t ring_bytes(const KernelContext& c) {
  auto element = static_cast<int32_t>(element_bytes(c.program.tensor(c.call.inputs[0]).type.dtype));
  return with_window(c, [&](const auto& d, int32_t channels) { return (nn::rvv::ring_elements(d, channels) * element + 3) / 4 * 4; });
}

/// `copies` copies of one element for each channel, or of the one for all.
template <class T>
void repeat(std::optional<Tensor>& constant, int32_t channels, int32_t copies) {
  std::span<const T> from = std::as_const(*constant).as<T>();
  Tensor to(TensorType{constant->type.dtype, {copies, channels}, {}});
  for (int32_t i = 0; i < copies * channels; ++i)
    to.as<T>()[static_cast<size_t>(i)] = from.size() == 1 ? from[0] : from[static_cast<size_t>(i % channels)];
  constant = std::move(to);
}

/// Multipliers for all channels. The rounding by integers wants at least 2^-31; any below makes 0 of sums below 2^24, as that does.
void repeat_multipliers(const KernelContext& c, std::optional<Tensor>& multipliers, int32_t channels, int32_t copies) {
  repeat<float>(multipliers, channels, copies);
  if (c.target.capabilities & kRiscvVectorFloats) return;
  for (float& m : multipliers->as<float>()) m = std::max(m, std::ldexp(1.0f, -31));
}

/// Weights [channel][input] -> [input][channel].
template <class T>
void transpose(const Layer& layer, std::optional<Tensor>& weights) {
  std::span<const T> from = std::as_const(*weights).as<T>();
  Tensor packed(TensorType{weights->type.dtype, {layer.depth, layer.channels}, {}});
  T* to = packed.as<T>().data();
  for (int32_t i = 0; i < layer.depth; ++i)
    for (int32_t o = 0; o < layer.channels; ++o) *to++ = from[static_cast<size_t>(o * layer.depth + i)];
  weights = std::move(packed);
}

/// Weights [tap][channel] -> [tap][copy][channel].
template <class T>
void copy_channels(const Layer& layer, int32_t copies, std::optional<Tensor>& weights) {
  std::span<const T> from = std::as_const(*weights).as<T>();
  Tensor packed(TensorType{weights->type.dtype, {layer.depth, copies, layer.channels}, {}});
  T* to = packed.as<T>().data();
  for (int32_t tap = 0; tap < layer.depth; ++tap)
    for (int32_t copy = 0; copy < copies; ++copy)
      to = std::copy_n(from.data() + static_cast<ptrdiff_t>(tap) * layer.channels, layer.channels, to);
  weights = std::move(packed);
}

}  // namespace

std::optional<std::string> refuse_rvv_floats(const KernelContext& c) {
  if (std::optional<std::string> why = refuse_any(c)) return why;
  // Padding is multiplied as zeros.
  for (float w : constant(c, 1)->as<float>())
    if (!std::isfinite(w)) return fmt::format("a weight is {}", w);
  return std::nullopt;
}

std::optional<std::string> refuse_rvv_bytes(const KernelContext& c) {
  DType x = c.program.tensor(c.call.inputs[0]).type.dtype, y = c.program.tensor(c.call.outputs[0]).type.dtype;
  if (!is_byte(x) || !is_byte(y)) return fmt::format("it reads and writes bytes, the layer has {} and {}", dtype_name(x), dtype_name(y));
  Layer layer = layer_of(c);
  if (layer.wide) return "its sums need 64 bits";
  if (std::optional<std::string> why = refuse_float_bias(c)) return why;
  if (std::optional<std::string> why = refuse_any(c)) return why;
  if (constant(c, 1)->type.dtype != DType::i8 || layer.w_zero_point != 0)
    return fmt::format("its weights are {} with zero point {}, not i8 with 0", dtype_name(constant(c, 1)->type.dtype), layer.w_zero_point);
  if ((c.target.capabilities & kRiscvVectorFloats) == 0) return refuse_integer_rounding(c, layer);
  return std::nullopt;
}

Tuning tune_rvv_dense(const KernelContext& c) {
  Layer layer = layer_of(c);
  return {{"registers", group_registers(c, is_float(c) ? nn::rvv::float_tile_pixels : nn::rvv::tile_pixels, layer.channels, layer.pixels)}};
}

Tuning tune_rvv_conv2d(const KernelContext& c) {
  Tuning tuning = tune_rvv_dense(c);
  tuning.emplace_back("ring_bytes", ring_bytes(c));
  return tuning;
}

Tuning tune_rvv_depthwise2d(const KernelContext& c) {
  Layer layer = layer_of(c);
  int32_t copies = together(c);
  auto& tile = is_float(c) ? nn::rvv::float_window_pixels : nn::rvv::window_pixels;
  return {{"registers", group_registers(c, tile, layer.channels * copies, layer.pixels / copies)},
          {"together", copies},
          {"ring_bytes", ring_bytes(c)}};
}

/// Padded rows, and where the taps of a row of outputs begin.
int64_t rvv_window_bytes(const KernelContext& c) {
  return with_window(c, [&](const auto& d, int32_t) {
    return ring_bytes(c) + int64_t{4} * d.kernel_h * (d.dilation_w == 1 && !is_depthwise(c) ? 1 : d.kernel_w);
  });
}

void pack_rvv_tile(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  Layer layer = layer_of(c);
  if (is_float(c)) return transpose<float>(layer, constants[1]);
  transpose<int8_t>(layer, constants[1]);
  repeat_multipliers(c, constants[3], layer.channels, 1);
}

void pack_rvv_depthwise(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  Layer layer = layer_of(c);
  int32_t copies = together(c);
  if (is_float(c)) {
    copy_channels<float>(layer, copies, constants[1]);
    repeat<float>(constants[2], layer.channels, copies);
    return;
  }
  copy_channels<int8_t>(layer, copies, constants[1]);
  repeat<int32_t>(constants[2], layer.channels, copies);
  repeat_multipliers(c, constants[3], layer.channels, copies);
}

}  // namespace kiln::rules
