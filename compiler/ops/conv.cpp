// SPDX-License-Identifier: Apache-2.0
// Convolution: core conv2d over x [N,H,W,C] with w [O,kh,kw,C/groups] and an optional bias [O]; attributes strides, pads,
// dilations (spatial.h), groups, and a fused activation. Lowered to a dense layer where its windows are runs of memory that do
// not overlap, to depthwise2d where each channel has its own filter, else to conv2d.
#include "compiler/ops/conv.h"

#include "compiler/ops/convolve.h"
#include "nn/ref/conv2d.h"

namespace kiln {

Window conv2d_window(const OpArgs& args) {
  const Shape& w = args.in(1).shape;
  return *core_window(args.attrs, {w[1], w[2]});  // infer has checked it
}

Result<Shape> conv2d_shape(const OpArgs& args) {
  if (!args.has(0) || !args.has(1)) return bad_node("the input or the weights are missing.");
  const TensorType &x = args.in(0), &w = args.in(1);
  if (x.shape.size() != 4 || w.shape.size() != 4)
    return bad_node(fmt::format("the input is {} and the weights are {}, both must have 4 dimensions.", to_string(x), to_string(w)));
  int64_t groups = args.attrs.i("groups", 1), in_c = x.shape[3], out_c = w.shape[0];
  if (groups < 1 || in_c % groups != 0 || out_c % groups != 0)
    return bad_node(fmt::format("{} groups do not divide {} input and {} output channels.", groups, in_c, out_c));
  if (w.shape[3] * groups != in_c)
    return bad_node(fmt::format("the weights take {} channels in each of {} groups, the input has {}.", w.shape[3], groups, in_c));
  if (args.has(2) && args.in(2).shape != Shape{out_c})
    return bad_node(fmt::format("the bias is {}, the weights make {} channels.", to_string(args.in(2)), out_c));
  Result<Window> window = core_window(args.attrs, {w.shape[1], w.shape[2]});
  if (!window) return std::move(window).diagnostic();
  Result<Pair> out = window_positions(*window, {x.shape[1], x.shape[2]});
  if (!out) return std::move(out).diagnostic();
  return Shape{x.shape[0], (*out)[0], (*out)[1], out_c};
}

ConvKind conv2d_kind(const OpArgs& args) {
  const Shape &x = args.in(0).shape, &w = args.in(1).shape;
  Window window = conv2d_window(args);
  int64_t groups = args.attrs.i("groups", 1);
  bool unpadded = window.before == Pair{0, 0} && window.after == Pair{0, 0};
  if (groups == 1 && unpadded && window.kernel == Pair{1, 1} && window.strides == Pair{1, 1}) return ConvKind::pointwise;
  if (groups == 1 && unpadded && window.kernel == Pair{x[1], x[2]} && window.dilations == Pair{1, 1}) return ConvKind::dense;
  if (groups == x[3] && groups == w[0] && args.constant(1)) return ConvKind::depthwise;
  return ConvKind::general;
}

Tensor channels_innermost(const Tensor& w) {
  int64_t channels = w.type.shape[0], taps = w.type.shape[1] * w.type.shape[2];
  Tensor out({w.type.dtype, {w.type.shape[1], w.type.shape[2], channels}, {}});
  with_storage_type(w.type.dtype, [&]<class T>() {
    std::span<const T> from = w.as<T>();
    std::span<T> to = out.as<T>();
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t tap = 0; tap < taps; ++tap) to[static_cast<size_t>(tap * channels + c)] = from[static_cast<size_t>(c * taps + tap)];
  });
  return out;
}

int64_t macs_conv2d(const OpArgs& args) {
  const Shape& w = args.in(1).shape;
  return args.outputs[0]->elements() * w[1] * w[2] * w[3];
}

namespace {

/// The spatial dimensions of the weights, which must fit the input and the attributes.
Result<std::vector<int64_t>> onnx_kernel(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]), w = b.shape(node.inputs[1]);
  if (w.size() != x.size())
    return bad_node(fmt::format("the weights {} have {} dimensions, the input {} has {}.", to_string(w), w.size(), to_string(x), x.size()));
  std::vector<int64_t> kernel(w.begin() + 2, w.end());
  if (std::vector<int64_t> given = node.attrs.ints("kernel_shape", kernel); given != kernel)
    return bad_node(fmt::format("'kernel_shape' is {}, the weights are {}.", to_string(given), to_string(w)));
  int64_t groups = node.attrs.i("group", 1);
  if (groups < 1 || w[1] * groups != x[1])
    return bad_node(fmt::format("the input has {} channels, the weights {} with 'group' {} need {}.", x[1], to_string(w), groups, w[1] * groups));
  return kernel;
}

}  // namespace

Result<OnnxConv> onnx_conv(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]);
  if (Status s = check_spatial(x, "the input"); !s) return std::move(s).diagnostic();
  Result<std::vector<int64_t>> kernel = onnx_kernel(node, b);
  if (!kernel) return std::move(kernel).diagnostic();
  Result<Window> window = onnx_window(node, x, *kernel);
  if (!window) return std::move(window).diagnostic();
  Result<ValueId> image = to_channels_last(b, node.inputs[0]);
  if (!image) return std::move(image).diagnostic();
  Result<ValueId> filters = to_channels_last(b, node.inputs[1]);
  if (!filters) return std::move(filters).diagnostic();
  return OnnxConv{*image, *filters, *window, node.attrs.i("group", 1), static_cast<int64_t>(x.size())};
}

Attrs conv_attrs(const OnnxConv& conv) {
  Attrs attrs = window_attrs(conv.window);
  if (conv.groups != 1) attrs.set("groups", conv.groups);
  return attrs;
}

namespace {

InferResult infer_conv2d(const OpArgs& args) {
  if (args.has(0) && args.has(1))
    if (Status s = check_floats(args); !s) return std::move(s).diagnostic();
  Result<Shape> shape = conv2d_shape(args);
  if (!shape) return std::move(shape).diagnostic();
  return std::vector<TensorType>{{args.in(0).dtype, *std::move(shape), {}}};
}

Conv2d conv2d_descriptor(const OpArgs& args) {
  Conv2d d;
  describe_conv2d(d, args);
  Activation activation = activation_of(args.attrs);
  d.alpha = activation.alpha;
  d.beta = activation.beta;
  return d;
}

EvalResult eval_conv2d(const OpArgs& args) {
  return with_float_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    Tensor bias = args.has(2) ? *args.constant(2) : Tensor({args.in(0).dtype, {args.in(1).shape[0]}, {}});
    nn::ref::conv2d<nn::fn::none>(conv2d_descriptor(args), args.constant(0)->as<T>().data(), args.constant(1)->as<T>().data(),
                              std::as_const(bias).as<T>().data(), y.as<T>().data());
    return with_activation(args, std::move(y));
  });
}

Status lower_conv2d(const OpArgs& args, const Node& node, Lowering& lowering) {
  Conv2d d = conv2d_descriptor(args);
  Window window = conv2d_window(args);
  Activation activation = activation_of(node.attrs);
  std::string label = "conv2d";
  KernelCall call;
  ConvKind kind = conv2d_kind(args);
  TensorId weights = kind == ConvKind::depthwise ? lowering.constant(channels_innermost(*args.constant(1)), lowering.graph().value(node.inputs[1]).name)
                                                 : lowering.tensor(node.inputs[1]);
  if (kind == ConvKind::pointwise || kind == ConvKind::dense) {
    label = kind == ConvKind::pointwise ? "pointwise" : "dense";
    call.family = "dense";
    int32_t taps = d.kernel_h * d.kernel_w;
    call.descriptor = Dense{d.batch * d.out_h * d.out_w, taps * d.in_c, d.out_c, d.alpha, d.beta};
  } else if (kind == ConvKind::depthwise) {
    label = "depthwise";
    call.family = "depthwise2d";
    Depthwise2d depthwise;
    describe_window(depthwise, window, args.in(0).shape, args.outputs[0]->shape);
    depthwise.channels = d.in_c;
    depthwise.alpha = d.alpha;
    depthwise.beta = d.beta;
    call.descriptor = depthwise;
  } else {
    call.family = "conv2d";
    call.descriptor = d;
  }
  call.functors = {activation.functor};
  call.inputs = {lowering.tensor(node.inputs[0]), weights, bias_or_zeros(node, 2, args.outputs[0]->shape.back(), lowering)};
  call.outputs = {lowering.tensor(node.outputs[0])};
  if (activation.functor != "none") label += "+" + activation.functor;
  lowering.call(node, std::move(call), label);
  return Done{};
}

/// x [N,C,D,H,W], w [O,C/groups,kd,kh,kw]
ImportResult import_conv3d(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]);
  Result<std::vector<int64_t>> kernel = onnx_kernel(node, b);
  if (!kernel) return std::move(kernel).diagnostic();
  Result<std::vector<WindowAxis>> axes = onnx_window_axes(node, x, *kernel);
  if (!axes) return std::move(axes).diagnostic();
  const std::vector<int64_t> order = channels_last_order(static_cast<int64_t>(x.size()));
  Result<ValueId> image = transpose(b, node.inputs[0], order), filters = transpose(b, node.inputs[1], order);
  if (!image) return std::move(image).diagnostic();
  if (!filters) return std::move(filters).diagnostic();
  Result<ValueId> y = convolve(b, *image, *filters, node.has(2) ? node.inputs[2] : kNoValue, *axes, node.attrs.i("group", 1));
  return one(y ? transpose(b, *y, inverse_permutation(order)) : std::move(y));
}

/// ONNX Conv: x [N,C,...], w [O,C/groups,...], bias [O].
ImportResult import_conv(const OnnxNode& node, GraphBuilder& b) {
  if (b.shape(node.inputs[0]).size() == 5) return import_conv3d(node, b);
  Result<OnnxConv> conv = onnx_conv(node, b);
  if (!conv) return std::move(conv).diagnostic();
  std::vector<ValueId> inputs = {conv->x, conv->w};
  if (node.has(2)) inputs.push_back(node.inputs[2]);
  Result<ValueId> y = b.add(ops::conv2d, inputs, conv_attrs(*conv));
  if (!y) return std::move(y).diagnostic();
  return one(from_channels_last(b, *y, conv->rank));
}

/// com.microsoft: Conv, then plus input 3, then an activation.
ImportResult import_fused_conv(const OnnxNode& node, GraphBuilder& b) {
  OnnxNode conv = node;
  if (conv.inputs.size() > 3) conv.inputs.resize(3);
  ImportResult y = import_conv(conv, b);
  if (y && node.has(3)) y = one(b.add(ops::add, {y->front(), node.inputs[3]}));
  return y ? one(fused_activation(node, b, y->front(), node.attrs.get("activation_params", std::vector<double>{}))) : y;
}

constexpr AttrSpec kFusedConvAttrs[] = {
    {"activation", AttrKind::string}, {"activation_params", AttrKind::reals}, {"auto_pad", AttrKind::string}, {"dilations", AttrKind::integers},
    {"group", AttrKind::integer}, {"kernel_shape", AttrKind::integers}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers},
};
constexpr AttrSpec kConvAttrs[] = {
    {"auto_pad", AttrKind::string}, {"dilations", AttrKind::integers}, {"group", AttrKind::integer},
    {"kernel_shape", AttrKind::integers}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers},
};

}  // namespace

namespace ops {
const OpDef microsoft_fused_conv = {
    .summary = "convolution, sum and activation",
    .onnx = {.type = "FusedConv", .domain = "com.microsoft", .attrs = kFusedConvAttrs, .min_inputs = 2, .max_inputs = 4},
    .import = import_fused_conv,
};
const OpDef conv2d = {
    .name = "conv2d",
    .summary = "convolution in one to three dimensions",
    .onnx = {.type = "Conv", .attrs = kConvAttrs, .min_inputs = 2, .max_inputs = 3},
    .traits = kFusesActivation,
    .infer = infer_conv2d,
    .import = import_conv,
    .eval = eval_conv2d,
    .lower = lower_conv2d,
    .macs = macs_conv2d,
};
}  // namespace ops

}  // namespace kiln
