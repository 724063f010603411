// SPDX-License-Identifier: Apache-2.0
// ConvTranspose, as the convolution that it is. Along one dimension y[t] is the sum of x[i] w[k] over i * s + k * d = t. Outputs with t = q * s + r
// (phase r of 0 to s - 1) use the taps with k * d = e * s + r only, and of x the elements q - e: a convolution of stride 1 with a filter
// per phase. So one convolution makes the s phases as channels, and a copy puts them beside each other; a filter that is shorter than
// others is filled up with zeros. Where the stride is 1 nothing has to be moved: the filter is mirrored.
#include "compiler/ops/conv_transpose.h"

#include <algorithm>

#include "compiler/ops/convolve.h"
#include "compiler/ops/movement.h"

namespace kiln {
namespace {

/// The convolution that computes one dimension of [Q * stride] outputs, of which `skip` in front and some at the end are not wanted.
struct PhaseAxis {
  WindowAxis window;  ///< of stride 1; pads may be negative: elements of x that no output needs
  int64_t positions = 1, skip = 0;
};

PhaseAxis phase_axis(const SpreadAxis& a, int64_t in) {
  const int64_t first = a.before / a.stride, last = (a.before + a.out - 1) / a.stride;  // q of the outputs wanted
  PhaseAxis p;
  p.window.kernel = a.stride == 1 ? a.kernel : (a.kernel - 1) * a.dilation / a.stride + 1;
  p.window.dilation = a.stride == 1 ? a.dilation : 1;
  p.window.before = p.window.reach() - 1 - first;
  p.window.after = last - (in - 1);
  p.positions = last - first + 1;
  p.skip = a.before - first * a.stride;
  return p;
}

/// Dimension 3 of w [A,B,before,kernel,after] becomes the mirrored filters of the phases: [A,stride*B,before,taps,after].
Result<ValueId> split_phases(GraphBuilder& b, ValueId w, const SpreadAxis& a, int64_t taps) {
  Shape s = b.shape(w);
  Result<ValueId> y = w;
  auto pad_end = [&](size_t dimension, int64_t count) {
    if (count == 0 || !y) return;
    Shape none(b.shape(*y).size(), 0), after = none;
    after[dimension] = count;
    y = b.add(ops::pad, {*y}, {{"before", none}, {"after", after}});
  };
  if (a.stride > 1) {
    if (a.dilation > 1) {  // zeros between the taps
      y = reshape(b, w, {s[0], s[1], s[2], s[3], 1, s[4]});
      pad_end(4, a.dilation - 1);
      if (y) y = reshape(b, *y, {s[0], s[1], s[2], s[3] * a.dilation, s[4]});
      if (y) s = b.shape(*y);
    }
    if (s[3] > taps * a.stride && y) {
      SliceSpec spec = whole_slice(s);
      spec.sizes[3] = taps * a.stride;
      y = slice(b, *y, spec);
    } else {
      pad_end(3, taps * a.stride - s[3]);
    }
  }
  if (y) y = reshape(b, *y, {s[0], s[1], s[2], taps, a.stride, s[4]});
  if (y && taps > 1) {
    SliceSpec mirror = whole_slice(b.shape(*y));
    mirror.starts[3] = taps - 1;
    mirror.steps[3] = -1;
    y = slice(b, *y, mirror);
  }
  if (y) y = transpose(b, *y, {0, 4, 1, 2, 3, 5});
  return y ? reshape(b, *y, {s[0], a.stride * s[1], s[2], taps, s[4]}) : y;
}

/// w [C,O/groups,kernel...] as filters [groups*phases*O/groups,taps...,C/groups].
Result<ValueId> phase_filters(GraphBuilder& b, ValueId w, const std::vector<SpreadAxis>& axes, const std::vector<PhaseAxis>& phases, int64_t groups) {
  const Shape shape = b.shape(w);
  Shape taps(shape.begin() + 2, shape.end());
  Result<ValueId> y = w;
  int64_t made = shape[1];
  for (size_t i = axes.size(); i-- > 0;) {
    y = reshape(b, *y, {shape[0], made, product(taps, 0, i), taps[i], product(taps, i + 1, taps.size())});
    if (y) y = split_phases(b, *y, axes[i], phases[i].window.kernel);
    if (!y) return y;
    taps[i] = phases[i].window.kernel;
    made *= axes[i].stride;
  }
  y = reshape(b, *y, {groups, shape[0] / groups, made, element_count(taps)});
  if (y) y = transpose(b, *y, {0, 2, 3, 1});
  Shape out = {groups * made};
  out.insert(out.end(), taps.begin(), taps.end());
  out.push_back(shape[0] / groups);
  return y ? reshape(b, *y, out) : y;
}

/// The bias [O] of each group for all its phases.
Result<ValueId> phase_bias(GraphBuilder& b, ValueId bias, int64_t phases, int64_t groups) {
  if (bias == kNoValue || phases == 1) return bias;
  const int64_t channels = b.shape(bias)[0];
  Result<ValueId> y = reshape(b, bias, {groups, 1, channels / groups});
  if (y) y = b.add(ops::expand, {*y}, {{"shape", Shape{groups, phases, channels / groups}}});
  return y ? reshape(b, *y, {phases * channels}) : y;
}

/// Cuts the elements off x [N,spatial...,C] that negative pads stand for; sets those to 0.
Result<ValueId> crop_unused(GraphBuilder& b, ValueId x, std::vector<PhaseAxis>& phases) {
  SliceSpec spec = whole_slice(b.shape(x));
  for (size_t i = 0; i < phases.size(); ++i) {
    WindowAxis& w = phases[i].window;
    spec.starts[i + 1] = std::max<int64_t>(-w.before, 0);
    spec.sizes[i + 1] -= spec.starts[i + 1] + std::max<int64_t>(-w.after, 0);
    w.before = std::max<int64_t>(w.before, 0);
    w.after = std::max<int64_t>(w.after, 0);
    if (spec.sizes[i + 1] < 1) return bad_node("no element of the input reaches the part of the output that the pads leave.");
  }
  return slice(b, x, spec);
}

/// z [N,positions...,groups*phases*O/groups] -> [N,out...,O]
Result<ValueId> interleave(GraphBuilder& b, ValueId z, const std::vector<SpreadAxis>& axes, const std::vector<PhaseAxis>& phases, int64_t groups,
                           int64_t channels) {
  const size_t dims = axes.size();
  Shape split = {b.shape(z)[0]}, merged = split;
  for (const PhaseAxis& p : phases) split.push_back(p.positions);
  const bool grouped = groups > 1;
  if (grouped) split.push_back(groups);
  const size_t first_phase = split.size();
  for (const SpreadAxis& a : axes) split.push_back(a.stride);
  split.push_back(channels / groups);
  if (split.size() > limits::kRank) return unsupported(fmt::format("a transposed convolution of {} groups in {} dimensions with strides is not supported.", groups, dims));
  std::vector<int64_t> order = {0};
  for (size_t i = 0; i < dims; ++i) {
    order.push_back(static_cast<int64_t>(1 + i));
    order.push_back(static_cast<int64_t>(first_phase + i));
    merged.push_back(phases[i].positions * axes[i].stride);
  }
  if (grouped) order.push_back(static_cast<int64_t>(1 + dims));
  order.push_back(static_cast<int64_t>(split.size()) - 1);
  merged.push_back(channels);
  Result<ValueId> y = reshape(b, z, split);
  if (y) y = transpose(b, *y, order);
  if (y) y = reshape(b, *y, merged);
  SliceSpec wanted = whole_slice(merged);
  for (size_t i = 0; i < dims; ++i) {
    wanted.starts[i + 1] = phases[i].skip;
    wanted.sizes[i + 1] = axes[i].out;
  }
  return y ? slice(b, *y, wanted) : y;
}

}  // namespace

Result<ValueId> convolve_transposed(GraphBuilder& b, ValueId x, ValueId w, ValueId bias, const std::vector<SpreadAxis>& axes, int64_t groups) {
  const int64_t channels = b.shape(w)[1] * groups;
  int64_t made = 1;
  std::vector<PhaseAxis> phases;
  std::vector<WindowAxis> windows;
  for (size_t i = 0; i < axes.size(); ++i) {
    phases.push_back(phase_axis(axes[i], b.shape(x)[i + 1]));
    made *= axes[i].stride;
  }
  Result<ValueId> filters = phase_filters(b, w, axes, phases, groups);
  Result<ValueId> biases = phase_bias(b, bias, made, groups);
  Result<ValueId> used = crop_unused(b, x, phases);
  for (const Result<ValueId>* operand : {&filters, &biases, &used})
    if (!*operand) return operand->diagnostic();
  for (const PhaseAxis& p : phases) windows.push_back(p.window);
  Result<ValueId> z = convolve(b, *used, *filters, *biases, windows, groups);
  if (!z || made == 1) return z;
  return interleave(b, *z, axes, phases, groups, channels);
}

namespace {

/// The pads and sizes of the output, by the rules of the ONNX text. `pads` are all begins, then all ends.
struct OutputRules {
  std::vector<int64_t> pads, extra, shape;  ///< shape: empty, or that of the spatial dimensions
  bool same = false, upper = false;         ///< auto_pad
};

Result<OutputRules> output_rules(const OnnxNode& node, size_t dims) {
  OutputRules rules;
  const std::string auto_pad = node.attrs.s("auto_pad", "NOTSET");
  rules.upper = auto_pad == "SAME_UPPER";
  rules.same = rules.upper || auto_pad == "SAME_LOWER";
  if (!rules.same && !auto_pad.empty() && auto_pad != "NOTSET" && auto_pad != "VALID")
    return bad_node(fmt::format("'auto_pad' is '{}', it must be NOTSET, SAME_UPPER, SAME_LOWER or VALID.", auto_pad));
  Result<std::vector<int64_t>> pads = window_extents(node.attrs, "pads", 2 * dims, 0);
  if (!pads) return std::move(pads).diagnostic();
  Result<std::vector<int64_t>> extra = window_extents(node.attrs, "output_padding", dims, 0);
  if (!extra) return std::move(extra).diagnostic();
  rules.pads = auto_pad == "VALID" ? std::vector<int64_t>(2 * dims, 0) : *pads;
  rules.extra = *extra;
  if (!node.attrs.has("output_shape")) return rules;
  std::vector<int64_t> shape = node.attrs.ints("output_shape");
  if (shape.size() == dims + 2) shape.erase(shape.begin(), shape.begin() + 2);
  Result<std::vector<int64_t>> checked = window_extents({{"output_shape", shape}}, "output_shape", dims, 1);
  if (!checked) return std::move(checked).diagnostic();
  rules.shape = *checked;
  return rules;
}

Result<SpreadAxis> spread_axis(const OutputRules& rules, const WindowAxis& w, int64_t in, size_t i) {
  const size_t dims = rules.extra.size();
  SpreadAxis a{w.kernel, w.stride, w.dilation};
  const int64_t whole = (in - 1) * w.stride + w.reach() + rules.extra[i];
  if (rules.shape.empty() && !rules.same) {
    a.before = rules.pads[i];
    a.out = whole - rules.pads[i] - rules.pads[i + dims];
  } else {
    a.out = rules.shape.empty() ? in * w.stride : rules.shape[i];
    const int64_t dropped = std::max<int64_t>(whole - a.out, 0);
    a.before = rules.upper ? dropped / 2 : dropped - dropped / 2;
  }
  if (a.out < 1)
    return bad_node(fmt::format("pads {} and {} leave nothing of {} outputs.", rules.pads[i], rules.pads[i + dims], whole),
                    "check the pads against the input's shape.");
  return a;
}

/// ONNX ConvTranspose: x [N,C,...], w [C,O/groups,...], bias [O].
ImportResult import_conv_transpose(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]), w = b.shape(node.inputs[1]);
  if (x.size() < 3 || w.size() != x.size())
    return bad_node(fmt::format("the input is {} and the weights are {}, they must have the same number of dimensions, at least 3.", to_string(x), to_string(w)));
  const int64_t groups = node.attrs.i("group", 1);
  if (groups < 1 || w[0] != x[1] || x[1] % groups != 0)
    return bad_node(fmt::format("the input has {} channels, the weights are {} with 'group' {}.", x[1], to_string(w), groups));
  if (node.has(2) && b.shape(node.inputs[2]) != Shape{w[1] * groups})
    return bad_node(fmt::format("the bias is {}, the weights make {} channels.", to_string(b.type(node.inputs[2])), w[1] * groups));
  const std::vector<int64_t> kernel(w.begin() + 2, w.end());
  if (std::vector<int64_t> given = node.attrs.ints("kernel_shape", kernel); given != kernel)
    return bad_node(fmt::format("'kernel_shape' is {}, the weights are {}.", to_string(given), to_string(w)));
  OnnxNode valid = node;  // pads mean something else here
  valid.attrs.set("auto_pad", std::string("VALID"));
  Result<std::vector<WindowAxis>> windows = onnx_window_axes(valid, x, kernel);
  if (!windows) return std::move(windows).diagnostic();
  Result<OutputRules> rules = output_rules(node, kernel.size());
  if (!rules) return std::move(rules).diagnostic();
  std::vector<SpreadAxis> axes;
  for (size_t i = 0; i < kernel.size(); ++i) {
    Result<SpreadAxis> axis = spread_axis(*rules, (*windows)[i], x[i + 2], i);
    if (!axis) return std::move(axis).diagnostic();
    axes.push_back(*axis);
  }
  const std::vector<int64_t> order = channels_last_order(static_cast<int64_t>(x.size()));
  Result<ValueId> image = transpose(b, node.inputs[0], order);
  if (!image) return std::move(image).diagnostic();
  Result<ValueId> y = convolve_transposed(b, *image, node.inputs[1], node.has(2) ? node.inputs[2] : kNoValue, axes, groups);
  return one(y ? transpose(b, *y, inverse_permutation(order)) : std::move(y));
}

constexpr AttrSpec kConvTransposeAttrs[] = {
    {"auto_pad", AttrKind::string}, {"dilations", AttrKind::integers}, {"group", AttrKind::integer}, {"kernel_shape", AttrKind::integers},
    {"output_padding", AttrKind::integers}, {"output_shape", AttrKind::integers}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers},
};

}  // namespace

namespace ops {
const OpDef conv_transpose = {
    .summary = "transposed convolution in one to three dimensions",
    .onnx = {.type = "ConvTranspose", .attrs = kConvTransposeAttrs, .min_inputs = 2, .max_inputs = 3},
    .import = import_conv_transpose,
};
}  // namespace ops

}  // namespace kiln
