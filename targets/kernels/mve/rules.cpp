// SPDX-License-Identifier: Apache-2.0
// Rules of the integer kernels for MVE, the vectors of Cortex-M55 and M85 (runtime-stubs/nn/mve): which layers they serve, how many pixels
// they take at a time, their scratch, and the packing of weights in chunks of 16 bytes.
#include <fmt/format.h>

#include <algorithm>

#include "targets/kernels/qbinary_form.h"
#include "targets/kernels/rows.h"

namespace kiln::kernels {
namespace {

constexpr int32_t kChunk = 16;
constexpr int32_t kGroup = 4;
/// Windows or rows that are copied at a time: as many as fit these bytes, within bounds.
constexpr int32_t kColumnBytes = 1024, kMostColumns = 16, kLeastColumns = 2;
/// What a strip of the rows under one output row may take.
constexpr int32_t kMostStripBytes = 16384;
/// Fewer channels are copied faster by rows of taps than one by one.
constexpr int32_t kLeastStripChannels = 8;
/// Depthwise by patches: their side, and the width of results from which on they are faster.
constexpr int32_t kPatch = 4, kLeastPatchColumns = 4;

/// A layer as a product of matrices.
struct Product {
  int32_t inputs, channels, pixels;
  bool copied;  ///< inputs go through scratch memory
  bool strip;   ///< as a strip, whose taps have the order [kernel_w][kernel_h]
};

/// Bytes of the strip of runtime-stubs/nn/mve/strip.h.
template <class D>
int64_t strip_bytes(const D& d, int32_t channels) {
  return (int64_t{d.out_w - 1} * d.stride_w + d.kernel_w) * d.kernel_h * channels;
}

bool takes_strip(const QConv2d& d) {
  return d.dilation_w == 1 && d.kernel_w > d.stride_w && d.in_c >= kLeastStripChannels && (d.out_w % 2 == 0 || d.out_w > 8) &&
         strip_bytes(d, d.in_c) <= kMostStripBytes;
}

Product product_of(const KernelContext& c) {
  bool flipped = input_type(c) == DType::u8;
  if (const auto* d = std::get_if<QDense>(&c.call.descriptor)) return {d->in, d->out, d->rows, flipped, false};
  const auto& d = std::get<QConv2d>(c.call.descriptor);
  bool pointwise = d.kernel_h == 1 && d.kernel_w == 1 && d.stride_h == 1 && d.stride_w == 1 && d.out_h == d.in_h && d.out_w == d.in_w;
  return {d.kernel_h * d.kernel_w * d.in_c, d.out_c, d.out_h * d.out_w, flipped || !pointwise, takes_strip(d)};
}

int32_t columns_of(const Product& p) {
  return std::min(p.pixels, std::clamp(kColumnBytes / p.inputs / 2 * 2, kLeastColumns, kMostColumns));
}

/// What inputs lack that are unsigned and lose 128.
void add_lost_zero(Tensor& bias, std::span<const int8_t> weights, int32_t inputs) {
  std::span<int32_t> b = bias.as<int32_t>();
  for (size_t o = 0; o < b.size(); ++o)
    for (size_t i = 0; i < static_cast<size_t>(inputs); ++i)
      b[o] = static_cast<int32_t>(static_cast<uint32_t>(b[o]) + 128u * static_cast<uint32_t>(weights[o * static_cast<size_t>(inputs) + i]));
}

/// The same for weights [tap][channel].
void add_lost_zero(const QDepthwise2d& d, const Tensor& weights, Tensor& bias) {
  std::span<int32_t> b = bias.as<int32_t>();
  std::span<const int8_t> w = weights.as<int8_t>();
  for (size_t i = 0; i < w.size(); ++i) {
    int32_t& sum = b[i % static_cast<size_t>(d.channels)];
    sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + 128u * static_cast<uint32_t>(w[i]));
  }
}

/// Weights [out_c][kernel_h][kernel_w][in_c] as [out_c][kernel_w][kernel_h][in_c].
Tensor by_columns(const QConv2d& d, const Tensor& weights) {
  Tensor ordered(weights.type);
  std::span<const int8_t> from = weights.as<int8_t>();
  int8_t* to = ordered.as<int8_t>().data();
  for (int32_t o = 0; o < d.out_c; ++o)
    for (int32_t kx = 0; kx < d.kernel_w; ++kx)
      for (int32_t ky = 0; ky < d.kernel_h; ++ky)
        to = std::copy_n(&from[static_cast<size_t>(((o * d.kernel_h + ky) * d.kernel_w + kx) * d.in_c)], d.in_c, to);
  return ordered;
}

int64_t column_bytes(const KernelContext& c) {
  Product p = product_of(c);
  if (p.strip) return strip_bytes(std::get<QConv2d>(c.call.descriptor), std::get<QConv2d>(c.call.descriptor).in_c);
  return p.copied ? int64_t{columns_of(p)} * p.inputs + kChunk : 0;  // copies may write a part of a chunk more
}

Tuning tune_product(const KernelContext& c) {
  Product p = product_of(c);
  return {{"columns", columns_of(p)}, {"strip", p.strip ? 1 : 0}};
}

void pack_product(const KernelContext& c, Constants& constants) {
  Product p = product_of(c);
  int32_t channels = round_up(p.channels, kGroup), inputs = round_up(p.inputs, kChunk), zeros = inputs - p.inputs;
  if (p.strip) constants[1] = by_columns(std::get<QConv2d>(c.call.descriptor), *constants[1]);
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  if (input_type(c) == DType::u8) add_lost_zero(*constants[2], from, p.inputs);
  Tensor packed(TensorType{DType::i8, {channels / kGroup, inputs / kChunk, kGroup, kChunk}, {}});
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t group = 0; group < channels; group += kGroup)
    for (int32_t chunk = 0; chunk < inputs; chunk += kChunk)
      for (int32_t o = group; o < group + kGroup; ++o)
        for (int32_t i = chunk - zeros; i < chunk - zeros + kChunk; ++i)
          *to++ = o < p.channels && i >= 0 ? from[static_cast<size_t>(o * p.inputs + i)] : int8_t{0};
  constants[1] = std::move(packed);
  constants[2] = padded<int32_t>(*constants[2], channels, 0);
  const Tensor& multiplier = *constants[3];
  bool one = multiplier.as<float>().size() == 1;
  constants[3] = padded<float>(multiplier, one ? 2 * kGroup : channels, multiplier.as<float>()[0]);
}

Refusal refuse_depthwise(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  if (d.dilation_w != 1) return fmt::format("its columns of taps lie {} apart", d.dilation_w);
  if (Refusal reason = refuse_integer_sums(c)) return reason;
  // Products of two taps are added in 16 bits: 127 * 128 * 2 fits, 128 * 128 * 2 does not.
  if (std::ranges::count(constant_of(c, 1)->as<int8_t>(), int8_t{-128}) > 0) return "it has weights of -128";
  return std::nullopt;
}

int64_t depthwise_strip_bytes(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  return strip_bytes(d, std::max(d.channels, kChunk));
}

void pack_depthwise(const KernelContext& c, Constants& constants) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  if (input_type(c) == DType::u8) add_lost_zero(d, *constants[1], *constants[2]);
  std::span<const int32_t> b = std::as_const(*constants[2]).as<int32_t>();
  int32_t blocks = round_up(d.channels, kChunk) / kChunk, taps = d.kernel_h * d.kernel_w;
  Tensor weights(TensorType{DType::i8, {blocks, taps, kChunk}, {}}), bias(TensorType{DType::i32, {blocks, kChunk}, {}});
  bool one = d.multiplier_stride == 0;
  Tensor multipliers(TensorType{DType::f32, {one ? 1 : blocks, kChunk}, {}});
  std::span<const float> m = std::as_const(*constants[3]).as<float>();
  int8_t* to = weights.as<int8_t>().data();
  for (int32_t block = 0; block < blocks; ++block) {
    int32_t start = std::max(std::min(block * kChunk, d.channels - kChunk), 0);
    auto channel = [&](int32_t i) { return static_cast<size_t>(start + i); };
    auto at = [&](int32_t i) { return static_cast<size_t>(block * kChunk + i); };
    for (int32_t kx = 0; kx < d.kernel_w; ++kx)
      for (int32_t ky = 0; ky < d.kernel_h; ++ky)
        for (int32_t i = 0; i < kChunk; ++i)
          *to++ = start + i < d.channels ? from[static_cast<size_t>((ky * d.kernel_w + kx) * d.channels) + channel(i)] : int8_t{0};
    for (int32_t i = 0; i < kChunk; ++i) {
      // Part i / 4 begins with channel 0, 2, 1 or 3 and takes every fourth.
      int32_t from_channel = (i / 4 % 2 * 2 + i / 8) + i % 4 * 4;
      bool exists = start + from_channel < d.channels;
      bias.as<int32_t>()[at(i)] = exists ? b[channel(from_channel)] : 0;
      if (!one || block == 0) multipliers.as<float>()[at(i)] = one ? m[0] : exists ? m[channel(from_channel)] : 0.0f;
    }
  }
  constants[1] = std::move(weights);
  constants[2] = std::move(bias);
  constants[3] = std::move(multipliers);
}

Refusal refuse_patches(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  if (d.kernel_h != 3 || d.kernel_w != 3 || d.stride_h != 1 || d.stride_w != 1 || d.dilation_h != 1 || d.dilation_w != 1)
    return fmt::format("it has 3 x 3 taps with stride 1, the layer {} x {} with stride {} x {} and dilation {} x {}", d.kernel_h,
                       d.kernel_w, d.stride_h, d.stride_w, d.dilation_h, d.dilation_w);
  if (d.out_h < 2 || d.out_w < kLeastPatchColumns) return fmt::format("{} x {} results are too few", d.out_h, d.out_w);
  return refuse_integer_sums(c);
}

int64_t patch_bytes(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  return int64_t{kPatch} * (d.out_w + 2) * d.channels + kPatch * kChunk;
}

void pack_patches(const KernelContext& c, Constants& constants) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  if (input_type(c) == DType::u8) add_lost_zero(d, *constants[1], *constants[2]);
  std::span<const int8_t> from = std::as_const(*constants[1]).as<int8_t>();
  Tensor weights(TensorType{DType::i8, {d.channels, kPatch, kPatch}, {}});
  int8_t* to = weights.as<int8_t>().data();
  for (int32_t channel = 0; channel < d.channels; ++channel)
    for (int32_t kx = 0; kx < kPatch; ++kx)
      for (int32_t ky = 0; ky < kPatch; ++ky)
        *to++ = kx < d.kernel_w && ky < d.kernel_h ? from[static_cast<size_t>((ky * d.kernel_w + kx) * d.channels + channel)] : int8_t{0};
  constants[1] = std::move(weights);
}

Refusal refuse_binary(const KernelContext& c) {
  const auto& d = std::get<QBinary>(c.call.descriptor);
  int32_t last = d.rank - 1;
  if (d.a_strides[last] != 1 || d.b_strides[last] != 1) return "an operand is repeated along its rows";
  if (DType y = output_type(c); !is_byte(y)) return fmt::format("it writes bytes, not {}", dtype_name(y));
  if (c.call.functors[0] == "mul") return "it has no products";
  return refuse_qbinary_integers(c);
}

}  // namespace

const KernelSet& mve() {
  static const KernelRow rows[] = {
#include "targets/kernels/mve/rows.def"
  };
  static const KernelSet set("mve", {std::begin(rows), std::end(rows)});
  return set;
}

}  // namespace kiln::kernels
