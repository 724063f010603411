// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/convolve.h"

#include "compiler/ops/movement.h"

namespace kiln {
namespace {

Result<ValueId> convolve2d(GraphBuilder& b, ValueId x, ValueId w, ValueId bias, const Window& window, int64_t groups) {
  std::vector<ValueId> inputs = {x, w};
  if (bias != kNoValue) inputs.push_back(bias);
  Attrs attrs = window_attrs(window);
  if (groups != 1) attrs.set("groups", groups);
  return b.add(ops::conv2d, std::move(inputs), std::move(attrs));
}

/// What the window sees along dimension 1 of x [N,D,H,W,C], as channels: [N,positions,H,W,taps*C], the taps outside of the channels of a group.
Result<ValueId> taps_as_channels(GraphBuilder& b, ValueId x, const WindowAxis& axis, int64_t groups) {
  if (axis.before > 0 || axis.after > 0) {
    Result<ValueId> padded = b.add(ops::pad, {x}, {{"before", Shape{0, axis.before, 0, 0, 0}}, {"after", Shape{0, axis.after, 0, 0, 0}}});
    if (!padded) return padded;
    x = *padded;
  }
  const Shape shape = b.shape(x);
  if (shape[1] < axis.reach())
    return bad_node(fmt::format("the window reaches over {} slices, the padded input has only {}.", axis.reach(), shape[1]),
                    "check the kernel, dilations and pads against the input's shape.");
  const int64_t positions = (shape[1] - axis.reach()) / axis.stride + 1, pixels = shape[0] * positions * shape[2] * shape[3];
  std::vector<ValueId> taps;
  for (int64_t k = 0; k < axis.kernel; ++k) {
    SliceSpec spec = whole_slice(shape);
    spec.starts[1] = k * axis.dilation;
    spec.sizes[1] = positions;
    spec.steps[1] = positions > 1 ? axis.stride : 1;
    Result<ValueId> tap = slice(b, x, spec);
    if (tap) tap = reshape(b, *tap, {pixels, groups, 1, shape[4] / groups});
    if (!tap) return tap;
    taps.push_back(*tap);
  }
  Result<ValueId> joined = taps.size() == 1 ? Result<ValueId>(taps[0]) : b.add(ops::concat, std::move(taps), {{"axis", int64_t{2}}});
  return joined ? reshape(b, *joined, {shape[0], positions, shape[2], shape[3], axis.kernel * shape[4]}) : joined;
}

Result<ValueId> convolve3d(GraphBuilder& b, ValueId x, ValueId w, ValueId bias, const std::vector<WindowAxis>& axes, int64_t groups) {
  if (groups < 1 || b.shape(x)[4] % groups != 0)
    return bad_node(fmt::format("{} groups do not divide {} input channels.", groups, b.shape(x)[4]));
  Result<ValueId> taps = taps_as_channels(b, x, axes[0], groups);
  Result<ValueId> filters = transpose(b, w, {0, 2, 3, 1, 4});
  if (!taps) return taps;
  if (!filters) return filters;
  const Shape in = b.shape(*taps), f = b.shape(*filters);
  Result<ValueId> images = reshape(b, *taps, {in[0] * in[1], in[2], in[3], in[4]});
  filters = reshape(b, *filters, {f[0], f[1], f[2], f[3] * f[4]});
  if (!images) return images;
  if (!filters) return filters;
  Result<ValueId> y = convolve2d(b, *images, *filters, bias, window_of(axes[1], axes[2]), groups);
  if (!y) return y;
  const Shape out = b.shape(*y);
  return reshape(b, *y, {in[0], in[1], out[1], out[2], out[3]});
}

}  // namespace

Result<ValueId> convolve(GraphBuilder& b, ValueId x, ValueId w, ValueId bias, const std::vector<WindowAxis>& axes, int64_t groups) {
  if (axes.size() == 3) return convolve3d(b, x, w, bias, axes, groups);
  if (axes.size() == 2) return convolve2d(b, x, w, bias, window_of(axes[0], axes[1]), groups);
  if (axes.size() != 1) return unsupported(fmt::format("convolutions in {} dimensions are not supported, the limit is 3.", axes.size()));
  const Shape shape = b.shape(x), f = b.shape(w);
  Result<ValueId> image = reshape(b, x, {shape[0], 1, shape[1], shape[2]}), filters = reshape(b, w, {f[0], 1, f[1], f[2]});
  if (!image) return image;
  if (!filters) return filters;
  Result<ValueId> y = convolve2d(b, *image, *filters, bias, window_of({}, axes[0]), groups);
  if (!y) return y;
  const Shape out = b.shape(*y);
  return reshape(b, *y, {out[0], out[2], out[3]});
}

}  // namespace kiln
