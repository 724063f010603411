// SPDX-License-Identifier: Apache-2.0
// Rules of the integer kernels for cores without SIMD (runtime-stubs/nn/scalar): which layers they serve, their scratch, the groups of weights
// whose sums of products fit 16 bits, and the lines that replace requantization.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/program/kernel_rules.h"
#include "compiler/program/line_form.h"

namespace kiln::rules {
namespace {

constexpr int32_t kTilePixels = 4;
/// nn/scalar/qdense.h, add_words: channels of a block, inputs in the longest group, bytes of code for one.
constexpr int32_t kWordChannels = 4, kMostWords = 16, kWordCode = 22;

/// The assembler code of nn/scalar/pairs.h: channels at a time, inputs in the longest group, and distances of jumps.
struct GroupCode {
  int32_t block, most, unit, exit;
};

GroupCode group_code(const Target& target) {
  if (target.capabilities & kScalarRiscv) return {2, 12, 3, 39};
  if (target.capabilities & kScalarThumb2) return {1, 16, 1, 16};
  return {1, 16, 7, 114};
}

/// Channels at a time of nn/scalar/qdense.h, add_channels.
int32_t row_channels(const Target& target) { return target.capabilities & kScalarRiscv ? 16 : 8; }

bool is_byte(DType dtype) { return element_bytes(dtype) == 1 && is_integer(dtype); }

/// A layer as `inputs` per output channel; weight(channel, input) lies at channel * channel_step + input * input_step.
struct Layer {
  int32_t channels, inputs, channel_step, input_step;
  int32_t w_zero_point, wide, multiplier_stride;
  Grid grid;
};

Layer layer_of(const KernelContext& c) {
  auto make = [](const auto& d, int32_t channels, int32_t inputs, bool by_input) {
    return Layer{channels,       inputs, by_input ? 1 : inputs,        by_input ? channels : 1,
                 d.w_zero_point, d.wide, d.multiplier_stride, {d.y_zero_point, d.low, d.high}};
  };
  if (const auto* d = std::get_if<QDense>(&c.call.descriptor)) return make(*d, d->out, d->in, false);
  if (const auto* d = std::get_if<QDepthwise2d>(&c.call.descriptor)) return make(*d, d->channels, d->kernel_h * d->kernel_w, true);
  const auto& d = std::get<QConv2d>(c.call.descriptor);
  return make(d, d.out_c, d.kernel_h * d.kernel_w * d.in_c, false);
}

DType input_type(const KernelContext& c) { return c.program.tensor(c.call.inputs[0]).type.dtype; }

/// Weights by channel, in the order of the kernel's inputs.
class Weights {
 public:
  Weights(const Layer& layer, const std::vector<std::optional<Tensor>>& constants) : layer_(layer), w_(std::as_const(*constants[1]).as<int8_t>()) {}
  int32_t operator()(int32_t channel, int32_t input) const {
    return channel < layer_.channels ? w_[static_cast<size_t>(channel * layer_.channel_step + input * layer_.input_step)] : 0;
  }

 private:
  const Layer& layer_;
  std::span<const int8_t> w_;
};

/// Offsets and factors for kernels that take inputs as bytes in [least, least + 255], where the bias is for x + shift.
void pack_lines(const Layer& layer, const Weights& weight, int32_t least, int32_t shift, std::vector<std::optional<Tensor>>& constants) {
  std::span<const int32_t> bias = std::as_const(*constants[2]).as<int32_t>();
  std::span<const float> m = std::as_const(*constants[3]).as<float>();
  std::vector<Staircase> channels;
  for (int32_t o = 0; o < layer.channels; ++o) {
    Staircase s{0, 0, bias[static_cast<size_t>(o)], m[static_cast<size_t>(o * layer.multiplier_stride)]};
    for (int32_t i = 0; i < layer.inputs; ++i) {
      const int32_t w = weight(o, i);
      s.bias += shift * w;
      s.least += w * (w > 0 ? least : least + 255);
      s.most += w * (w > 0 ? least + 255 : least);
    }
    channels.push_back(s);
  }
  LineForms forms = line_forms(channels, layer.grid);
  auto tensor = [](const std::vector<int32_t>& values) {
    Tensor t(TensorType{DType::i32, {static_cast<int64_t>(values.size())}, {}});
    std::ranges::copy(values, t.as<int32_t>().begin());
    return t;
  };
  constants[2] = tensor(forms.offsets);
  constants[3] = tensor(forms.factors);
}

/// Whether the sums of a group with one more weight fit: 0x8000 and products with all signed bytes, in 16 bits.
class GroupBounds {
 public:
  bool take(int32_t w) {
    const int64_t least = least_ + w * (w > 0 ? -128 : 127), most = most_ + w * (w > 0 ? 127 : -128);
    if (least < -0x8000 || most > 0x7fff) return false;
    least_ = least, most_ = most;
    return true;
  }

 private:
  int64_t least_ = 0, most_ = 0;
};

/// The groups of the block of channels from `first` on.
void append_groups(const GroupCode& code, const Layer& layer, const Weights& weight, int32_t first, std::vector<int8_t>& out) {
  auto append = [&](int32_t byte) { out.push_back(static_cast<int8_t>(byte)); };
  int32_t groups = 0;
  for (int32_t start = 0; start < layer.inputs; ++groups) {
    std::vector<GroupBounds> bounds(static_cast<size_t>(code.block));
    auto fits = [&](int32_t i) {
      std::vector<GroupBounds> next = bounds;
      for (int32_t k = 0; k < code.block; ++k)
        if (!next[static_cast<size_t>(k)].take(weight(first + k, i))) return false;
      bounds = next;
      return true;
    };
    int32_t end = start;
    while (end < layer.inputs && end < start + code.most && fits(end)) ++end;
    for (int32_t i = start; i < end; ++i) {
      for (int32_t k = 0; k < code.block; ++k) append(weight(first + k, i));
      if (i > start) continue;
      append(code.unit * (code.most - (end - start)));
      if (code.block == 2) append(2 * (end - start));
    }
    start = end;
  }
  for (int32_t k = 0; k < code.block; ++k) append(0);
  append(code.exit);
  if (code.block == 2) {
    append(0);
  } else {
    append(groups & 0xff);
    append(groups >> 8);
  }
}

/// Whether all groups of `size` inputs fit, for 4 channels.
bool words_fit(const Layer& layer, const Weights& weight, int32_t first, int32_t size) {
  for (int32_t k = 0; k < kWordChannels; ++k) {
    for (int32_t start = 0; start < layer.inputs; start += size) {
      GroupBounds bounds;
      for (int32_t i = start; i < std::min(start + size, layer.inputs); ++i)
        if (!bounds.take(weight(first + k, i))) return false;
    }
  }
  return true;
}

/// The words of the 4 channels from `first` on.
void append_words(const Layer& layer, const Weights& weight, int32_t first, std::vector<int8_t>& out) {
  auto groups = [&](int32_t size) { return (layer.inputs + size - 1) / size; };
  auto cost = [&](int32_t size) { return groups(size) * (11 * size + 26); };  // instructions
  int32_t best = 1;
  for (int32_t size = 2; size <= kMostWords; ++size)
    if (cost(size) < cost(best) && words_fit(layer, weight, first, size)) best = size;
  const auto header = static_cast<uint32_t>(kWordCode * (kMostWords - best) + 0x10000 * groups(best));
  for (int32_t shift : {0, 8, 16, 24}) out.push_back(static_cast<int8_t>(header >> shift));
  for (int32_t i = 0; i < groups(best) * best; ++i)
    for (int32_t k = 0; k < kWordChannels; ++k) out.push_back(static_cast<int8_t>((i < layer.inputs ? weight(first + k, i) : 0) + 128));
}

Tensor bytes_tensor(const std::vector<int8_t>& bytes) {
  Tensor t(TensorType{DType::i8, {static_cast<int64_t>(bytes.size())}, {}});
  std::ranges::copy(bytes, t.as<int8_t>().begin());
  return t;
}

}  // namespace

std::optional<std::string> refuse_scalar_layer(const KernelContext& c) {
  if (const auto* d = std::get_if<QConv2d>(&c.call.descriptor); d && d->groups != 1) return fmt::format("it has {} groups", d->groups);
  DType x = input_type(c), y = c.program.tensor(c.call.outputs[0]).type.dtype;
  if (!is_byte(x) || !is_byte(y)) return fmt::format("it reads and writes bytes, the layer has {} and {}", dtype_name(x), dtype_name(y));
  Layer layer = layer_of(c);
  if (layer.wide) return "its sums need 64 bits";
  if (std::optional<std::string> why = refuse_float_bias(c)) return why;
  if (layer.inputs > 0xffff) return fmt::format("{} inputs per channel are more than it counts", layer.inputs);
  for (size_t operand : {1u, 2u, 3u})
    if (!c.program.tensor(c.call.inputs[operand]).constant) return "its weights are not constant";
  DType w = c.program.tensor(c.call.inputs[1]).type.dtype;
  if (w != DType::i8 || layer.w_zero_point != 0) return fmt::format("its weights are {} with zero point {}, not i8 with 0", dtype_name(w), layer.w_zero_point);
  return std::nullopt;
}

std::optional<std::string> refuse_scalar_dense(const KernelContext& c) {
  const auto& d = std::get<QDense>(c.call.descriptor);
  if (d.rows < kTilePixels) return fmt::format("{} rows are too few for a tile", d.rows);
  return refuse_scalar_layer(c);
}

std::optional<std::string> refuse_scalar_row(const KernelContext& c) {
  if (!(c.target.capabilities & (kScalarThumb2 | kScalarRiscv))) return "the core has not enough registers";
  return refuse_scalar_layer(c);
}

std::optional<std::string> refuse_scalar_depthwise(const KernelContext& c) { return refuse_scalar_layer(c); }

int64_t scalar_column_bytes(const KernelContext& c) {
  const int64_t words = int64_t{8} * (layer_of(c).inputs + 1);
  const auto* d = std::get_if<QConv2d>(&c.call.descriptor);
  return d ? words + int64_t{kTilePixels} * d->kernel_w * d->in_c : words;
}

int64_t scalar_row_bytes(const KernelContext& c) { return layer_of(c).inputs + kMostWords - 1; }

Tuning tune_scalar_groups(const KernelContext& c) {
  GroupCode code = group_code(c.target);
  return {{"block", code.block}, {"most", code.most}, {"unit", code.unit}};
}

void pack_scalar_groups(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  const Layer layer = layer_of(c);
  const GroupCode code = group_code(c.target);
  std::vector<int8_t> groups;
  {
    const Weights weight(layer, constants);
    for (int32_t o = 0; o < layer.channels; o += code.block) append_groups(code, layer, weight, o, groups);
    pack_lines(layer, weight, -128, input_type(c) == DType::u8 ? 128 : 0, constants);
  }
  constants[1] = bytes_tensor(groups);
}

Tuning tune_scalar_row(const KernelContext& c) { return {{"block", row_channels(c.target)}}; }

void pack_scalar_row(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  const Layer layer = layer_of(c);
  const int32_t block = row_channels(c.target);
  Tensor packed(TensorType{DType::i8, {(layer.channels + block - 1) / block, layer.inputs, block}, {}});
  const Weights weight(layer, constants);
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t o = 0; o < layer.channels; o += block)
    for (int32_t i = 0; i < layer.inputs; ++i)
      for (int32_t k = 0; k < block; ++k) *to++ = static_cast<int8_t>(weight(o + k, i));
  pack_lines(layer, weight, input_type(c) == DType::u8 ? 0 : -128, 0, constants);
  constants[1] = std::move(packed);
}

void pack_scalar_words(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  const Layer layer = layer_of(c);
  std::vector<int8_t> words;
  {
    const Weights weight(layer, constants);
    for (int32_t o = 0; o < layer.channels; o += kWordChannels) append_words(layer, weight, o, words);
    pack_lines(layer, weight, -128, input_type(c) == DType::u8 ? 128 : 0, constants);
  }
  constants[1] = bytes_tensor(words);
}

Tuning tune_scalar_depthwise(const KernelContext& c) {
  const auto& d = std::get<QDepthwise2d>(c.call.descriptor);
  // A tile costs about one output more than it has; among equals the widest.
  auto cost = [&](int32_t tile) { return (d.out_w + tile - 1) / tile * (tile + 1); };
  int32_t tile = 1;
  for (int32_t wider : {2, 3, 4, 5})
    if (cost(wider) <= cost(tile)) tile = wider;
  const int32_t whole = (d.out_w + tile - 1) / tile * tile;
  return {{"tile", tile},
          {"plane_h", (d.out_h - 1) * d.stride_h + (d.kernel_h - 1) * d.dilation_h + 1},
          {"plane_w", (whole - 1) * d.stride_w + (d.kernel_w - 1) * d.dilation_w + 1}};
}

int64_t scalar_plane_bytes(const KernelContext& c) {
  Tuning tuning = tune_scalar_depthwise(c);
  return int64_t{tuning[1].second} * tuning[2].second;
}

void pack_scalar_depthwise(const KernelContext& c, std::vector<std::optional<Tensor>>& constants) {
  const Layer layer = layer_of(c);
  Tensor packed(TensorType{DType::i8, {layer.channels, layer.inputs}, {}});
  const Weights weight(layer, constants);
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t o = 0; o < layer.channels; ++o)
    for (int32_t i = 0; i < layer.inputs; ++i) *to++ = static_cast<int8_t>(weight(o, i));
  pack_lines(layer, weight, 0, input_type(c) == DType::u8 ? 0 : -128, constants);
  constants[1] = std::move(packed);
}

}  // namespace kiln::rules
