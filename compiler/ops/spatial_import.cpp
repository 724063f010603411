// SPDX-License-Identifier: Apache-2.0
// ONNX operators on images that are composed from others: Col2Im is a transposed convolution with a filter of ones and zeros, CenterCropPad
// slices and pads.
#include <algorithm>

#include "compiler/ops/conv_transpose.h"
#include "compiler/ops/movement.h"

namespace kiln {
namespace {

/// Filters [C*taps,1,kernel...] that put input channel c * taps + k at tap k of channel c.
Tensor tap_filters(DType dtype, int64_t channels, const Shape& kernel) {
  const int64_t taps = element_count(kernel);
  Shape shape = {channels * taps, 1};
  shape.insert(shape.end(), kernel.begin(), kernel.end());
  Tensor w({dtype, shape, {}});
  for (int64_t i = 0; i < channels * taps; ++i) {
    const auto at = static_cast<size_t>(i * taps + i % taps);
    if (dtype == DType::f64) w.as<double>()[at] = 1;
    else w.as<float>()[at] = 1;
  }
  return w;
}

/// x [N, C*taps, positions], image_shape, block_shape -> [N,C,image...]: what overlapping blocks have is added up.
ImportResult import_col2im(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  if (x.dtype != DType::f32 && x.dtype != DType::f64)
    return error(DiagId::unsupported_type, fmt::format("Col2Im of {} is not supported, only of f32 and f64.", dtype_name(x.dtype)));
  Result<std::vector<int64_t>> image = constant_ints(node, b, 1, "image_shape"), block = constant_ints(node, b, 2, "block_shape");
  if (!image || !block) return std::move(image ? block : image).diagnostic();
  const size_t dims = block->size();
  if (x.rank() != 3 || dims < 1 || image->size() != dims || std::ranges::min(*block) < 1 || std::ranges::min(*image) < 1)
    return bad_node(fmt::format("blocks {} of images {} do not fit the input {}.", to_string(*block), to_string(*image), to_string(x)));
  if (dims > 3) return unsupported(fmt::format("images of {} dimensions are not supported, the limit is 3.", dims));
  if (Status s = check_shape(*block); !s) return std::move(s).diagnostic();
  OnnxNode sliding = node;
  sliding.attrs.erase("auto_pad");
  Shape like = {1, 1};
  like.insert(like.end(), image->begin(), image->end());
  Result<std::vector<WindowAxis>> windows = onnx_window_axes(sliding, like, *block);
  if (!windows) return std::move(windows).diagnostic();
  const int64_t taps = element_count(*block);
  std::vector<SpreadAxis> axes;
  Shape columns = {x.shape[0]};
  for (size_t i = 0; i < dims; ++i) {
    const WindowAxis& w = (*windows)[i];
    const int64_t slack = (*image)[i] + w.before + w.after - w.reach();
    columns.push_back(slack < 0 ? 0 : slack / w.stride + 1);
    axes.push_back({w.kernel, w.stride, w.dilation, w.before, (*image)[i]});
  }
  if (x.shape[1] % taps != 0 || product(columns, 1, columns.size()) != x.shape[2])
    return bad_node(fmt::format("the input is {}, blocks {} need a multiple of {} rows and {} columns.", to_string(x), to_string(*block), taps,
                                product(columns, 1, columns.size())));
  const int64_t channels = x.shape[1] / taps;
  Result<ValueId> y = transpose(b, node.inputs[0], {0, 2, 1});
  columns.push_back(x.shape[1]);
  if (y) y = reshape(b, *y, columns);
  if (y) y = convolve_transposed(b, *y, b.add_constant(tap_filters(x.dtype, channels, *block)), kNoValue, axes, channels);
  return one(y ? transpose(b, *y, inverse_permutation(channels_last_order(static_cast<int64_t>(dims) + 2))) : std::move(y));
}

/// Cuts or pads each of the axes to its size in input "shape", the odd element at the end.
ImportResult import_center_crop_pad(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]);
  std::vector<int64_t> all(x.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  Result<std::vector<int64_t>> axes = normalized_axes(node.attrs.ints("axes", all), static_cast<int64_t>(x.size()));
  if (!axes) return std::move(axes).diagnostic();
  Result<std::vector<int64_t>> shape = constant_ints(node, b, 1, "shape");
  if (!shape) return std::move(shape).diagnostic();
  if (shape->size() != axes->size()) return bad_node(fmt::format("'shape' has {} entries for {} axes.", shape->size(), axes->size()));
  SliceSpec crop = whole_slice(x);
  Shape before(x.size(), 0), after = before;
  for (size_t i = 0; i < axes->size(); ++i) {
    const auto at = static_cast<size_t>((*axes)[i]);
    const int64_t wanted = (*shape)[i];
    if (wanted < 0 || wanted > limits::kElements) return bad_node(fmt::format("'shape' is {}, each entry must be from 0 to {}.", to_string(*shape), limits::kElements));
    const int64_t missing = std::max<int64_t>(wanted - x[at], 0), surplus = std::max<int64_t>(x[at] - wanted, 0);
    crop.starts[at] = surplus / 2;
    crop.sizes[at] -= surplus;
    before[at] = missing / 2;
    after[at] = missing - missing / 2;
  }
  Result<ValueId> y = slice(b, node.inputs[0], crop);
  const bool pads = std::ranges::any_of(after, [](int64_t n) { return n > 0; });
  return one(y && pads ? b.add(ops::pad, {*y}, {{"before", before}, {"after", after}}) : std::move(y));
}

constexpr AttrSpec kCol2ImAttrs[] = {{"dilations", AttrKind::integers}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers}};
constexpr AttrSpec kCenterCropPadAttrs[] = {{"axes", AttrKind::integers}};

}  // namespace

namespace ops {
const OpDef col2im = {
    .summary = "sums overlapping blocks to images; the shapes must be constant",
    .onnx = {.type = "Col2Im", .attrs = kCol2ImAttrs, .since = 18, .min_inputs = 3, .max_inputs = 3},
    .import = import_col2im,
};
const OpDef center_crop_pad = {
    .summary = "cuts or pads around the centre; the shape must be constant",
    .onnx = {.type = "CenterCropPad", .attrs = kCenterCropPadAttrs, .since = 18, .min_inputs = 2, .max_inputs = 2},
    .import = import_center_crop_pad,
};
}  // namespace ops

}  // namespace kiln
