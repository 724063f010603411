// SPDX-License-Identifier: Apache-2.0
// Rules of the integer kernels for cores without SIMD (runtime-stubs/nn/scalar): which layers they serve, their scratch, the groups of
// weights whose sums of products fit 16 bits, and the lines that replace requantization.
#include <fmt/format.h>

#include <algorithm>

#include "targets/kernels/rows.h"
#include "targets/kernels/scalar/line_form.h"

namespace kiln::kernels {
namespace {

constexpr int32_t kTilePixels = 4;
/// nn/scalar/qdense.h, add_words: channels of a block, inputs in the longest group, bytes of code for one.
constexpr int32_t kWordChannels = 4, kMostWords = 16, kWordCode = 22;

/// The assembler code of nn/scalar/pairs.h: channels at a time, inputs in the longest group, and distances of jumps.
struct GroupCode {
  int32_t block, most, unit, exit;
};

GroupCode group_code(const Target& target) {
  if (target.capabilities & kRiscv) return {2, 12, 3, 39};
  if (target.capabilities & kThumb2) return {1, 16, 1, 16};
  return {1, 16, 7, 114};
}

/// Channels at a time of nn/scalar/qdense.h, add_channels.
int32_t row_channels(const Target& target) { return target.capabilities & kRiscv ? 16 : 8; }

/// The bounds of the results.
Grid grid_of(const KernelContext& c) {
  return std::visit(
      [](const auto& d) -> Grid {
        if constexpr (requires {
                        d.y_zero_point;
                        d.low;
                        d.high;
                      })
          return {d.y_zero_point, d.low, d.high};
        return {};
      },
      c.call.descriptor);
}

/// Weights by channel, in the order of the kernel's inputs.
class Weights {
 public:
  Weights(const LayerFacts& layer, const Constants& constants) : layer_(layer), w_(std::as_const(*constants[1]).as<int8_t>()) {}
  int32_t operator()(int32_t channel, int32_t input) const {
    const int32_t at = layer_.by_tap ? input * layer_.channels + channel : channel * layer_.inputs + input;
    return channel < layer_.channels ? w_[static_cast<size_t>(at)] : 0;
  }

 private:
  const LayerFacts& layer_;
  std::span<const int8_t> w_;
};

/// Offsets and factors for kernels that take inputs as bytes in [least, least + 255], where the bias is for x + shift.
void pack_lines(const KernelContext& c, const Weights& weight, int32_t least, int32_t shift, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
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
  LineForms forms = line_forms(channels, grid_of(c));
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
void append_groups(const GroupCode& code, const LayerFacts& layer, const Weights& weight, int32_t first, std::vector<int8_t>& out) {
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
bool words_fit(const LayerFacts& layer, const Weights& weight, int32_t first, int32_t size) {
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
void append_words(const LayerFacts& layer, const Weights& weight, int32_t first, std::vector<int8_t>& out) {
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

Refusal refuse_layer(const KernelContext& c) {
  if (const int32_t inputs = layer_facts(c).inputs; inputs > 0xffff)
    return fmt::format("{} inputs per channel are more than it counts", inputs);
  return refuse_integer_sums(c);
}

Refusal refuse_tile(const KernelContext& c) {
  if (const int32_t rows = layer_facts(c).width; rows < kTilePixels) return fmt::format("{} rows are too few for a tile", rows);
  return refuse_layer(c);
}

Refusal refuse_row(const KernelContext& c) {
  if (!(c.target.capabilities & (kThumb2 | kRiscv))) return "the core has not enough registers";
  return refuse_layer(c);
}

int64_t column_bytes(const KernelContext& c) {
  const int64_t words = int64_t{8} * (layer_facts(c).inputs + 1);
  const auto* d = std::get_if<QConv2d>(&c.call.descriptor);
  return d ? words + int64_t{kTilePixels} * d->kernel_w * d->in_c : words;
}

int64_t row_bytes(const KernelContext& c) { return layer_facts(c).inputs + kMostWords - 1; }

Tuning tune_groups(const KernelContext& c) {
  GroupCode code = group_code(c.target);
  return {{"block", code.block}, {"most", code.most}, {"unit", code.unit}};
}

void pack_groups(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  const GroupCode code = group_code(c.target);
  std::vector<int8_t> groups;
  {
    const Weights weight(layer, constants);
    for (int32_t o = 0; o < layer.channels; o += code.block) append_groups(code, layer, weight, o, groups);
    pack_lines(c, weight, -128, input_type(c) == DType::u8 ? 128 : 0, constants);
  }
  constants[1] = bytes_tensor(groups);
}

Tuning tune_row(const KernelContext& c) { return {{"block", row_channels(c.target)}}; }

void pack_row(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  const int32_t block = row_channels(c.target);
  Tensor packed(TensorType{DType::i8, {(layer.channels + block - 1) / block, layer.inputs, block}, {}});
  const Weights weight(layer, constants);
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t o = 0; o < layer.channels; o += block)
    for (int32_t i = 0; i < layer.inputs; ++i)
      for (int32_t k = 0; k < block; ++k) *to++ = static_cast<int8_t>(weight(o + k, i));
  pack_lines(c, weight, input_type(c) == DType::u8 ? 0 : -128, 0, constants);
  constants[1] = std::move(packed);
}

void pack_words(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  std::vector<int8_t> words;
  {
    const Weights weight(layer, constants);
    for (int32_t o = 0; o < layer.channels; o += kWordChannels) append_words(layer, weight, o, words);
    pack_lines(c, weight, -128, input_type(c) == DType::u8 ? 128 : 0, constants);
  }
  constants[1] = bytes_tensor(words);
}

Tuning tune_depthwise(const KernelContext& c) {
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

int64_t plane_bytes(const KernelContext& c) {
  Tuning tuning = tune_depthwise(c);
  return int64_t{tuning[1].second} * tuning[2].second;
}

void pack_depthwise(const KernelContext& c, Constants& constants) {
  const LayerFacts layer = layer_facts(c);
  Tensor packed(TensorType{DType::i8, {layer.channels, layer.inputs}, {}});
  const Weights weight(layer, constants);
  int8_t* to = packed.as<int8_t>().data();
  for (int32_t o = 0; o < layer.channels; ++o)
    for (int32_t i = 0; i < layer.inputs; ++i) *to++ = static_cast<int8_t>(weight(o, i));
  pack_lines(c, weight, 0, input_type(c) == DType::u8 ? 0 : -128, constants);
  constants[1] = std::move(packed);
}

}  // namespace

const KernelSet& scalar() {
  static const KernelRow rows[] = {
#include "targets/kernels/scalar/rows.def"
  };
  static const KernelSet set("scalar", {std::begin(rows), std::end(rows)});
  return set;
}

}  // namespace kiln::kernels
