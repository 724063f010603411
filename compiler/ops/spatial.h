// SPDX-License-Identifier: Apache-2.0
// Windows that slide over images: what convolutions and pools share. ONNX has them in 1, 2 or 3 dimensions over [N,C,...]; the
// core operators know only [N,H,W,C], 1-D models get H = 1.
#pragma once

#include <array>
#include <string>

#include "compiler/ops/op_util.h"

namespace kiln {

/// Vertical, horizontal.
using Pair = std::array<int64_t, 2>;

/// Positions and extent of a window, in pixels.
struct Window {
  Pair kernel{1, 1}, strides{1, 1}, dilations{1, 1};
  Pair before{0, 0}, after{0, 0};  ///< padding: top and left, bottom and right
  bool ceil = false;               ///< a last window may reach beyond the padding, if it starts before it ends
};

/// One dimension of a window; no dimension limit is implied.
struct WindowAxis {
  int64_t kernel = 1, stride = 1, dilation = 1;
  int64_t before = 0, after = 0;  ///< padding
  [[nodiscard]] int64_t reach() const { return (kernel - 1) * dilation + 1; }
};

/// The attributes "strides", "pads" [top,left,bottom,right], "dilations" and "ceil_mode" of a core node. Errors: bad_node.
Result<Window> core_window(const Attrs& attrs, Pair kernel);
/// The reverse: only the attributes that differ from their defaults (1, 0, 1, 0).
Attrs window_attrs(const Window& window);
/// Positions of the window on an `in` image. Errors: bad_node when it does not fit once.
Result<Pair> window_positions(const Window& window, Pair in);

/// The list in attribute `name`, which must have `size` entries, each at least `least` (default: all `least`). Errors: bad_node.
Result<std::vector<int64_t>> window_extents(const Attrs& attrs, const std::string& name, size_t size, int64_t least);
/// Reads "strides", "pads", "dilations" and "auto_pad" of an ONNX node whose input has shape [N,C,...] and whose window has `kernel` (as
/// many dimensions as follow C). Pads of auto_pad are computed. Errors: bad_node.
Result<std::vector<WindowAxis>> onnx_window_axes(const OnnxNode& node, const Shape& x, const std::vector<int64_t>& kernel);
/// Whether ceil_mode makes windows that begin within the tensor but end behind its padding count: not with auto_pad, which says the size itself.
bool rounds_up(const OnnxNode& node);
/// The same of an input [N,C,L] or [N,C,H,W], with "ceil_mode". Errors: bad_node, unsupported_node for 3-D.
Result<Window> onnx_window(const OnnxNode& node, const Shape& x, const std::vector<int64_t>& kernel);
/// The window with these two dimensions.
Window window_of(const WindowAxis& vertical, const WindowAxis& horizontal);

/// Refuses anything but [N,C,L] and [N,C,H,W]. `what` names the operand in messages: "the input".
Status check_spatial(const Shape& shape, std::string_view what);
/// The permutation that makes [N,C,...] of `rank` dimensions [N,...,C]; its inverse is the way back.
std::vector<int64_t> channels_last_order(int64_t rank);
/// [N,C,L] or [N,C,H,W] -> [N,1,L,C] or [N,H,W,C].
Result<ValueId> to_channels_last(GraphBuilder& b, ValueId x);
/// The way back to a tensor of `rank` dimensions, 3 or 4.
Result<ValueId> from_channels_last(GraphBuilder& b, ValueId y, int64_t rank);

/// Copies geometry into a Conv2d, Depthwise2d or Pool2d descriptor; x and y are [N,H,W,C].
template <class D>
void describe_window(D& d, const Window& window, const Shape& x, const Shape& y) {
  d.batch = static_cast<int32_t>(x[0]);
  d.in_h = static_cast<int32_t>(x[1]);
  d.in_w = static_cast<int32_t>(x[2]);
  d.out_h = static_cast<int32_t>(y[1]);
  d.out_w = static_cast<int32_t>(y[2]);
  d.kernel_h = static_cast<int32_t>(window.kernel[0]);
  d.kernel_w = static_cast<int32_t>(window.kernel[1]);
  d.stride_h = static_cast<int32_t>(window.strides[0]);
  d.stride_w = static_cast<int32_t>(window.strides[1]);
  d.dilation_h = static_cast<int32_t>(window.dilations[0]);
  d.dilation_w = static_cast<int32_t>(window.dilations[1]);
  d.pad_top = static_cast<int32_t>(window.before[0]);
  d.pad_left = static_cast<int32_t>(window.before[1]);
}

}  // namespace kiln
