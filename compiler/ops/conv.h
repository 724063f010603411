// SPDX-License-Identifier: Apache-2.0
// What float and integer convolutions share: their geometry. x [N,H,W,C], w [O,kh,kw,C/groups], an optional bias [O].
#pragma once

#include "compiler/ops/spatial.h"

namespace kiln {

/// The shape of the result. Errors: bad_node when operands or attributes do not fit.
Result<Shape> conv2d_shape(const OpArgs& args);
/// Of a node that conv2d_shape has accepted; so are the arguments of what follows.
Window conv2d_window(const OpArgs& args);

/// The kernel family that computes it. Windows that are consecutive runs of x (single pixels, or whole images) are dense layers;
/// depthwise needs constant weights, which its kernels read in another order.
enum class ConvKind { pointwise, dense, depthwise, general };
ConvKind conv2d_kind(const OpArgs& args);

/// Weights [C][kh][kw] as [kh][kw][C].
Tensor channels_innermost(const Tensor& w);
int64_t macs_conv2d(const OpArgs& args);

/// What ONNX Conv and its like say of x [N,C,...] and w [O,C/groups,...] in inputs 0 and 1.
struct OnnxConv {
  ValueId x = kNoValue, w = kNoValue;  ///< as core operators take them
  Window window;
  int64_t groups = 1;
  int64_t rank = 4;  ///< of the ONNX tensors
};
/// Errors: bad_node when operands or attributes do not fit, unsupported_node for 3-D.
Result<OnnxConv> onnx_conv(const OnnxNode& node, GraphBuilder& b);
/// The attributes of conv2d or qconv2d with this geometry.
Attrs conv_attrs(const OnnxConv& conv);

/// Geometry into a Conv2d or QConv2d descriptor; args.outputs must be there.
template <class D>
void describe_conv2d(D& d, const OpArgs& args) {
  describe_window(d, conv2d_window(args), args.in(0).shape, args.outputs[0]->shape);
  d.in_c = static_cast<int32_t>(args.in(0).shape[3]);
  d.out_c = static_cast<int32_t>(args.in(1).shape[0]);
  d.groups = static_cast<int32_t>(args.attrs.i("groups", 1));
}

}  // namespace kiln
