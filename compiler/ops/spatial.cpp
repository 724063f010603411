// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/spatial.h"

#include <algorithm>

namespace kiln {
namespace {

constexpr int64_t kMaxExtent = int64_t{1} << 24;  // of a stride, pad, dilation or kernel: sums of products of two stay exact

constexpr std::string_view kAxisNames[] = {"vertical", "horizontal"};

int64_t reach(const Window& w, size_t axis) { return (w.kernel[axis] - 1) * w.dilations[axis] + 1; }

/// SAME_UPPER, SAME_LOWER: as many positions as ceil(in / stride), the odd pixel of padding after or before.
void pad_to_same(WindowAxis& w, int64_t in, bool upper) {
  int64_t out = (in + w.stride - 1) / w.stride;
  int64_t total = std::max<int64_t>((out - 1) * w.stride + w.reach() - in, 0);
  w.before = upper ? total / 2 : total - total / 2;
  w.after = total - w.before;
}

}  // namespace

Result<std::vector<int64_t>> window_extents(const Attrs& attrs, const std::string& name, size_t size, int64_t least) {
  std::vector<int64_t> list = attrs.ints(name, std::vector<int64_t>(size, least));
  if (list.size() != size)
    return bad_node(fmt::format("'{}' has {} entries, {} are needed.", name, list.size(), size));
  for (int64_t value : list)
    if (value < least || value > kMaxExtent)
      return bad_node(fmt::format("'{}' is {}, each entry must be from {} to {}.", name, to_string(list), least, kMaxExtent));
  return list;
}

Result<Window> core_window(const Attrs& attrs, Pair kernel) {
  Window w;
  w.kernel = kernel;
  Result<std::vector<int64_t>> strides = window_extents(attrs, "strides", 2, 1);
  if (!strides) return std::move(strides).diagnostic();
  Result<std::vector<int64_t>> dilations = window_extents(attrs, "dilations", 2, 1);
  if (!dilations) return std::move(dilations).diagnostic();
  Result<std::vector<int64_t>> pads = window_extents(attrs, "pads", 4, 0);
  if (!pads) return std::move(pads).diagnostic();
  for (size_t axis = 0; axis < 2; ++axis) {
    w.strides[axis] = (*strides)[axis];
    w.dilations[axis] = (*dilations)[axis];
    w.before[axis] = (*pads)[axis];
    w.after[axis] = (*pads)[axis + 2];
    if (kernel[axis] < 1 || kernel[axis] > kMaxExtent)
      return bad_node(fmt::format("the kernel is [{},{}], each entry must be from 1 to {}.", kernel[0], kernel[1], kMaxExtent));
  }
  w.ceil = attrs.i("ceil_mode") != 0;
  return w;
}

Attrs window_attrs(const Window& w) {
  Attrs attrs;
  if (w.strides != Pair{1, 1}) attrs.set("strides", std::vector<int64_t>(w.strides.begin(), w.strides.end()));
  if (w.dilations != Pair{1, 1}) attrs.set("dilations", std::vector<int64_t>(w.dilations.begin(), w.dilations.end()));
  if (w.before != Pair{0, 0} || w.after != Pair{0, 0})
    attrs.set("pads", std::vector<int64_t>{w.before[0], w.before[1], w.after[0], w.after[1]});
  if (w.ceil) attrs.set("ceil_mode", int64_t{1});
  return attrs;
}

Result<Pair> window_positions(const Window& w, Pair in) {
  Pair out{};
  for (size_t axis = 0; axis < 2; ++axis) {
    int64_t padded = w.before[axis] + in[axis] + w.after[axis];
    int64_t slack = padded - reach(w, axis);
    if (slack < 0)
      return bad_node(fmt::format("the window reaches over {} pixels, the padded input has only {} ({}).", reach(w, axis), padded,
                                  kAxisNames[axis]),
                      "check the kernel, dilations and pads against the input's shape.");
    int64_t stride = w.strides[axis];
    out[axis] = (w.ceil ? slack + stride - 1 : slack) / stride + 1;
    if (w.ceil && (out[axis] - 1) * stride >= in[axis] + w.before[axis]) --out[axis];
  }
  return out;
}

Status check_spatial(const Shape& shape, std::string_view what) {
  if (shape.size() == 5) return unsupported(fmt::format("{} is {}: 3-D windows are not supported.", what, to_string(shape)));
  if (shape.size() != 3 && shape.size() != 4)
    return bad_node(fmt::format("{} is {}, it must be [N,C,L] or [N,C,H,W].", what, to_string(shape)));
  return Done{};
}

Result<std::vector<WindowAxis>> onnx_window_axes(const OnnxNode& node, const Shape& x, const std::vector<int64_t>& kernel) {
  const size_t dims = x.size() - 2;
  if (kernel.size() != dims)
    return bad_node(fmt::format("'kernel_shape' has {} entries, the input {} has {} spatial dimensions.", kernel.size(), to_string(x), dims));
  Result<std::vector<int64_t>> strides = window_extents(node.attrs, "strides", dims, 1);
  if (!strides) return std::move(strides).diagnostic();
  Result<std::vector<int64_t>> dilations = window_extents(node.attrs, "dilations", dims, 1);
  if (!dilations) return std::move(dilations).diagnostic();
  Result<std::vector<int64_t>> pads = window_extents(node.attrs, "pads", 2 * dims, 0);
  if (!pads) return std::move(pads).diagnostic();
  const std::string auto_pad = node.attrs.s("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER", given = auto_pad == "NOTSET" || auto_pad.empty();
  if (!same && !given && auto_pad != "VALID")
    return bad_node(fmt::format("'auto_pad' is '{}', it must be NOTSET, SAME_UPPER, SAME_LOWER or VALID.", auto_pad));
  std::vector<WindowAxis> axes;
  for (size_t i = 0; i < dims; ++i) {
    if (kernel[i] < 1 || kernel[i] > kMaxExtent)
      return bad_node(fmt::format("'kernel_shape' is {}, each entry must be from 1 to {}.", to_string(kernel), kMaxExtent));
    WindowAxis w{kernel[i], (*strides)[i], (*dilations)[i]};
    if (given) w.before = (*pads)[i], w.after = (*pads)[i + dims];
    if (same) pad_to_same(w, x[i + 2], auto_pad == "SAME_UPPER");
    axes.push_back(w);
  }
  return axes;
}

Window window_of(const WindowAxis& vertical, const WindowAxis& horizontal) {
  Window w;
  const WindowAxis* axes[] = {&vertical, &horizontal};
  for (size_t i = 0; i < 2; ++i) {
    w.kernel[i] = axes[i]->kernel;
    w.strides[i] = axes[i]->stride;
    w.dilations[i] = axes[i]->dilation;
    w.before[i] = axes[i]->before;
    w.after[i] = axes[i]->after;
  }
  return w;
}

bool rounds_up(const OnnxNode& node) {
  const std::string auto_pad = node.attrs.s("auto_pad", "NOTSET");
  return node.attrs.i("ceil_mode") != 0 && (auto_pad == "NOTSET" || auto_pad.empty());
}

Result<Window> onnx_window(const OnnxNode& node, const Shape& x, const std::vector<int64_t>& kernel) {
  if (Status s = check_spatial(x, "the input"); !s) return std::move(s).diagnostic();
  Result<std::vector<WindowAxis>> axes = onnx_window_axes(node, x, kernel);
  if (!axes) return std::move(axes).diagnostic();
  Window w = window_of(axes->size() == 1 ? WindowAxis{} : axes->front(), axes->back());
  w.ceil = rounds_up(node);
  return w;
}

std::vector<int64_t> channels_last_order(int64_t rank) {
  std::vector<int64_t> perm = {0};
  for (int64_t i = 2; i < rank; ++i) perm.push_back(i);
  perm.push_back(1);
  return perm;
}

Result<ValueId> to_channels_last(GraphBuilder& b, ValueId x) {
  if (b.shape(x).size() == 4) return transpose(b, x, {0, 2, 3, 1});
  Result<ValueId> t = transpose(b, x, {0, 2, 1});
  if (!t) return t;
  const Shape shape = b.shape(*t);
  return reshape(b, *t, {shape[0], 1, shape[1], shape[2]});
}

Result<ValueId> from_channels_last(GraphBuilder& b, ValueId y, int64_t rank) {
  if (rank == 4) return transpose(b, y, {0, 3, 1, 2});
  const Shape shape = b.shape(y);
  Result<ValueId> flat = reshape(b, y, {shape[0], shape[2], shape[3]});
  if (!flat) return flat;
  return transpose(b, *flat, {0, 2, 1});
}

}  // namespace kiln
