// SPDX-License-Identifier: Apache-2.0
// ONNX Resize and Upsample. Their source positions depend on nothing but shapes, so they are computed here, as exact fractions (a rounding
// error must not decide on which side of a tie a position falls), and become the tables of resize_nearest2d and resize_linear2d, which take two neighbouring dimensions at once. Cubic and antialiased resizing sum over more elements: by `resample`, a
// dimension at a time.
#include <algorithm>
#include <cmath>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/fraction.h"
#include "compiler/ops/movement.h"
#include "compiler/ops/run_time_value.h"

namespace kiln {
namespace {

/// What an ONNX node asks for, per dimension of x.
struct ResizePlan {
  std::vector<Fraction> scales;  ///< out / in as far as sizes are given
  Shape sizes;
  std::string mode, coordinates, nearest;
  std::vector<float> starts, ends;  ///< of the part that tf_crop_and_resize takes, 0 and 1 being the first and last element; else empty
  bool antialias = false, exclude_outside = false;
  double cubic_a = -0.75;

  [[nodiscard]] bool crops() const { return !starts.empty(); }
  [[nodiscard]] bool filters() const { return mode == "cubic" || antialias; }
  /// Whether a dimension is not left alone.
  [[nodiscard]] bool resizes(int64_t axis) const {
    if (axis < 0) return false;
    const auto at = static_cast<size_t>(axis);
    return !(scales[at] == Fraction{1}) || (crops() && (starts[at] != 0 || ends[at] != 1));
  }
};

/// Of a part that tf_crop_and_resize takes: in units of 2^-40.
constexpr int kCropBits = 40;
Fraction::Integer crop_units(float bound) { return std::llround(std::ldexp(static_cast<double>(bound), kCropBits)); }

/// Position in a dimension of `in` elements of output index `i`: the formulas of the ONNX specification of Resize, exactly. Where `out` is
/// not in * scale exactly, align_corners goes by `out`, as ONNX Runtime does; the tests that come with ONNX go by the fraction.
Fraction source_position(const ResizePlan& plan, size_t axis, int64_t i, int64_t in) {
  using Integer = Fraction::Integer;
  const std::string& coordinates = plan.coordinates;
  const Fraction scale = plan.scales[axis];
  const Integer out = plan.sizes[axis], last = in - 1;
  const Fraction centre{(2 * Integer{i} + 1) * scale.den, 2 * scale.num};  // (i + 1/2) / scale
  if (coordinates == "asymmetric") return {i * scale.den, scale.num};
  if (coordinates == "tf_half_pixel_for_nn") return centre;
  if (coordinates == "tf_crop_and_resize") {
    const Integer start = crop_units(plan.starts[axis]), end = crop_units(plan.ends[axis]), unit = Integer{1} << kCropBits;
    return out > 1 ? Fraction{(start * (out - 1) + i * (end - start)) * last, unit * (out - 1)} : Fraction{(start + end) * last, 2 * unit};
  }
  if (coordinates == "align_corners") return out == 1 ? Fraction{} : Fraction{i * last, out - 1};
  if (coordinates == "pytorch_half_pixel" && out == 1) return {};
  if (coordinates == "half_pixel_symmetric") return Fraction{(2 * Integer{i} + 1 - out) * scale.den, 2 * scale.num}.plus_halves(in - 1);
  return centre.plus_halves(-1);  // half_pixel
}

/// The index that stands for position `x`. mode "simple": Upsample, and Resize before opset 11.
int64_t nearest_index(const std::string& mode, const Fraction& x, bool shrinks) {
  if (mode == "simple") return shrinks ? x.ceil() : x.floor();
  if (mode == "floor") return x.floor();
  if (mode == "ceil") return x.ceil();
  if (mode == "round_prefer_ceil") return x.plus_halves(1).floor();
  return x.plus_halves(-1).ceil();  // round_prefer_floor
}

Tensor nearest_table(const ResizePlan& plan, size_t axis, int64_t in) {
  std::vector<int32_t> table;
  const bool shrinks = plan.scales[axis] < Fraction{1};
  for (int64_t i = 0; i < plan.sizes[axis]; ++i)
    table.push_back(static_cast<int32_t>(std::clamp<int64_t>(nearest_index(plan.nearest, source_position(plan, axis, i, in), shrinks), 0, in - 1)));
  return Tensor::of<int32_t>({plan.sizes[axis]}, table);
}

/// At the end both neighbours are the last element; ONNX Runtime gives each half the weight.
std::pair<Tensor, Tensor> linear_tables(const ResizePlan& plan, size_t axis, int64_t in) {
  std::vector<int32_t> table;
  std::vector<float> weights;
  for (int64_t i = 0; i < plan.sizes[axis]; ++i) {
    const Fraction x = std::clamp(source_position(plan, axis, i, in), Fraction{0}, Fraction{in - 1});
    const int64_t before = x.floor();
    table.push_back(static_cast<int32_t>(before));
    weights.push_back(before + 1 < in ? static_cast<float>(Fraction{x.num - before * x.den, x.den}.value()) : 0.5f);
  }
  return {Tensor::of<int32_t>({plan.sizes[axis]}, table), Tensor::of<float>({plan.sizes[axis]}, weights)};
}

/// The plan of a dimension that a node for two leaves alone.
ResizePlan identity_plan(const ResizePlan& like) { return {{Fraction{1}}, {1}, like.mode, "asymmetric", "floor", {}, {}}; }

/// Weight of an element at distance x: a triangle, or Keys' cubic convolution with parameter a.
double filter_weight(const ResizePlan& plan, double x) {
  x = std::fabs(x);
  if (plan.mode == "linear") return std::max(1 - x, 0.0);
  const double a = plan.cubic_a;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/// The elements within the filter's reach of each output, wider by 1 / scale where antialias shrinks, and their weights, whose sum is 1.
/// What lies outside counts for the element at the edge, or not at all.
Result<ValueId> filter_dimension(GraphBuilder& b, ValueId x, const ResizePlan& plan, size_t axis) {
  const int64_t in = b.shape(x)[axis], out = plan.sizes[axis];
  const double scale = static_cast<double>(plan.scales[axis].num) / static_cast<double>(plan.scales[axis].den);
  const double narrow = plan.antialias ? std::min(1.0, scale) : 1, reach = (plan.mode == "cubic" ? 2 : 1) / narrow;
  if (2 * reach > static_cast<double>(limits::kElements / std::max<int64_t>(out, 1))) return bad_node(fmt::format("scale {} of dimension {} is out of range.", scale, axis));
  const auto taps = static_cast<int64_t>(std::ceil(2 * reach));
  Tensor positions({DType::i32, {out, taps}, {}}), weights({DType::f32, {out, taps}, {}});
  for (int64_t i = 0; i < out; ++i) {
    const double at = source_position(plan, axis, i, in).value();
    const auto first = static_cast<int64_t>(std::floor(at - reach)) + 1;
    std::vector<double> own(static_cast<size_t>(taps));
    double sum = 0;
    for (int64_t k = 0; k < taps; ++k) {
      const bool counts = !plan.exclude_outside || (first + k >= 0 && first + k < in);
      own[static_cast<size_t>(k)] = counts ? filter_weight(plan, (static_cast<double>(first + k) - at) * narrow) : 0;
      sum += own[static_cast<size_t>(k)];
    }
    for (int64_t k = 0; k < taps; ++k) {
      const auto entry = static_cast<size_t>(i * taps + k);
      positions.as<int32_t>()[entry] = static_cast<int32_t>(std::clamp<int64_t>(first + k, 0, in - 1));
      weights.as<float>()[entry] = static_cast<float>(own[static_cast<size_t>(k)] / (sum != 0 ? sum : 1));
    }
  }
  ValueId p = b.add_constant(std::move(positions), "positions"), w = b.add_constant(std::move(weights), "weights");
  return b.add(ops::resample, {x, p, w}, {{"axis", static_cast<int64_t>(axis)}});
}

/// Along each dimension one after another; of images [N,C,H,W] with the channels last, as layers around them have them.
Result<ValueId> filter_dimensions(GraphBuilder& b, ValueId x, const ResizePlan& plan) {
  const bool image = plan.sizes.size() == 4 && !plan.resizes(1);
  Result<ValueId> y = image ? transpose(b, x, {0, 2, 3, 1}) : Result<ValueId>(x);
  for (size_t axis = plan.sizes.size(); axis-- > 0 && y;) {
    if (!plan.resizes(static_cast<int64_t>(axis))) continue;
    if (!image || axis < 2) {
      y = filter_dimension(b, *y, plan, axis);
      continue;
    }
    ResizePlan moved = plan;  // its dimensions in the order of the image
    moved.scales = {plan.scales[0], plan.scales[2], plan.scales[3], plan.scales[1]};
    for (std::vector<float>* list : {&moved.starts, &moved.ends})
      if (!list->empty()) *list = {(*list)[0], (*list)[2], (*list)[3], (*list)[1]};
    moved.sizes = permute(plan.sizes, std::vector<int64_t>{0, 2, 3, 1});
    y = filter_dimension(b, *y, moved, axis - 1);
  }
  return image && y ? transpose(b, *y, {0, 3, 1, 2}) : y;
}

/// Outputs whose place lies outside of x take the extrapolation value.
Result<ValueId> extrapolated(GraphBuilder& b, ValueId y, const Shape& x, const ResizePlan& plan, double value) {
  Tensor inside({DType::boolean, plan.sizes, {}});
  std::ranges::fill(inside.as<uint8_t>(), uint8_t{1});
  bool all = true;
  for (size_t axis = 0; axis < x.size(); ++axis) {
    const int64_t outer = product(plan.sizes, 0, axis), inner = product(plan.sizes, axis + 1, x.size());
    for (int64_t i = 0; i < plan.sizes[axis]; ++i) {
      const Fraction at = source_position(plan, axis, i, x[axis]);
      if (at.num >= 0 && !(Fraction{x[axis] - 1} < at)) continue;
      all = false;
      for (int64_t o = 0; o < outer; ++o)
        for (int64_t n = 0; n < inner; ++n) inside.as<uint8_t>()[static_cast<size_t>((o * plan.sizes[axis] + i) * inner + n)] = 0;
    }
  }
  if (all) return y;
  const ValueId outside = b.add_constant(scalar(b.type(y).dtype, value));
  return b.add(ops::where, {b.add_constant(std::move(inside)), y, outside});
}

/// Resizes dimensions 1 and 2 of x [N, H, W, C] by the plan of dimensions h and w; h < 0: only the columns.
Result<ValueId> resize_images(GraphBuilder& b, ValueId x, const ResizePlan& plan, int64_t h, int64_t w) {
  std::vector<ValueId> inputs{x};
  for (size_t k = 0; k < 2; ++k) {
    int64_t axis = k == 0 ? h : w, in = b.shape(x)[1 + k];
    const ResizePlan& own = axis < 0 ? identity_plan(plan) : plan;
    auto at = axis < 0 ? size_t{0} : static_cast<size_t>(axis);
    if (plan.mode == "nearest") {
      inputs.push_back(b.add_constant(nearest_table(own, at, in), k == 0 ? "rows" : "columns"));
    } else {
      auto [positions, weights] = linear_tables(own, at, in);
      inputs.push_back(b.add_constant(std::move(positions), k == 0 ? "rows" : "columns"));
      inputs.push_back(b.add_constant(std::move(weights), k == 0 ? "row_weights" : "column_weights"));
    }
  }
  return b.add(plan.mode == "nearest" ? ops::resize_nearest2d : ops::resize_linear2d, std::move(inputs));
}

/// Resizes dimension `w` of x and, unless `h` is negative, its neighbour before it.
Result<ValueId> resize_pair(GraphBuilder& b, ValueId x, const ResizePlan& plan, int64_t h, int64_t w) {
  const Shape shape = b.shape(x);
  if (shape.size() == 4 && w == 3 && (h == 2 || h < 0)) {  // images [N, C, H, W], like convolutions
    if (h < 0 && shape[2] != 1) h = 2;
    Result<ValueId> y = transpose(b, x, {0, 2, 3, 1});
    if (y) y = resize_images(b, *y, plan, h, w);
    return y ? transpose(b, *y, {0, 3, 1, 2}) : std::move(y);
  }
  auto at = static_cast<size_t>(w);
  size_t first = h < 0 ? at : at - 1;
  Result<ValueId> y = reshape(b, x, {product(shape, 0, first), h < 0 ? 1 : shape[first], shape[at], product(shape, at + 1, shape.size())});
  if (y) y = resize_images(b, *y, plan, h, w);
  if (!y) return y;
  Shape out = shape;
  out[at] = plan.sizes[at];
  out[first] = plan.sizes[first];
  return reshape(b, *y, out);
}

ImportResult build_resize(GraphBuilder& b, ValueId x, const ResizePlan& plan) {
  const Shape shape = b.shape(x);
  if (Status s = check_shape(plan.sizes); !s) return std::move(s).diagnostic();
  if (element_count(plan.sizes) > 0 && element_count(shape) == 0)
    return bad_node(fmt::format("{} has no elements to resize to {}.", to_string(b.type(x)), to_string(plan.sizes)));
  if (plan.filters()) return one(filter_dimensions(b, x, plan));
  int64_t axes = 0;
  for (size_t i = 0; i < shape.size(); ++i) axes += plan.resizes(static_cast<int64_t>(i)) ? 1 : 0;
  if (plan.mode == "linear" && axes > 2 && is_integer(b.type(x).dtype))
    return unsupported(fmt::format("linear resizing of {} along {} dimensions, the limit for integers is 2.", to_string(b.type(x)), axes));
  for (int64_t w = static_cast<int64_t>(shape.size()) - 1; w >= 0; --w) {
    if (!plan.resizes(w)) continue;
    int64_t h = plan.resizes(w - 1) ? w - 1 : -1;
    Result<ValueId> y = resize_pair(b, x, plan, h, w);
    if (!y) return std::move(y).diagnostic();
    x = *y;
    w = h < 0 ? w : h;
  }
  return std::vector<ValueId>{x};
}

/// The elements of an optional input that must be constant; none if it is absent or empty.
Result<std::vector<double>> constant_numbers(const OnnxNode& node, GraphBuilder& b, size_t input, std::string_view what) {
  if (!node.has(input) || b.type(node.inputs[input]).elements() == 0) return std::vector<double>{};
  const Tensor* tensor = b.constant(node.inputs[input]);
  if (!tensor) return run_time_value(fmt::format("input '{}'", what), b.graph(), node.inputs[input]);
  return tensor->to_doubles();
}

/// Sizes by ONNX Runtime's rule: the float product, cut off. A scale that is the float next to the fraction of the sizes stands for this
/// fraction (0.3 for 6 / 20), else for the number that the float is.
Status plan_scales(ResizePlan& plan, const Shape& shape, const std::vector<int64_t>& axes, const std::vector<double>& scales) {
  if (scales.size() != axes.size()) return bad_node(fmt::format("{} scales for {} dimensions.", scales.size(), axes.size()));
  for (size_t i = 0; i < axes.size(); ++i) {
    auto at = static_cast<size_t>(axes[i]);
    auto scale = static_cast<float>(scales[i]);
    if (!(scale > 0) || scale * static_cast<float>(shape[at]) > static_cast<float>(limits::kElements))
      return bad_node(fmt::format("scale {} of dimension {} with {} elements is out of range.", scale, at, shape[at]));
    const int64_t in = shape[at], out = static_cast<int64_t>(scale * static_cast<float>(in));
    const bool of_sizes = out > 0 && static_cast<float>(static_cast<double>(out) / static_cast<double>(in)) == scale;
    plan.scales[at] = of_sizes ? Fraction{out, in} : exact_fraction(scale);
    plan.sizes[at] = out;
  }
  return Done{};
}

/// Sizes as given; keep_aspect_ratio_policy replaces them by those of the smallest or largest scale.
Status plan_sizes(ResizePlan& plan, const Shape& shape, const std::vector<int64_t>& axes, const std::vector<double>& sizes,
                  const std::string& policy) {
  if (sizes.size() != axes.size()) return bad_node(fmt::format("{} sizes for {} dimensions.", sizes.size(), axes.size()));
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller")
    return bad_node(fmt::format("keep_aspect_ratio_policy '{}' is none of stretch, not_larger and not_smaller.", policy));
  for (size_t i = 0; i < axes.size(); ++i) {
    auto at = static_cast<size_t>(axes[i]);
    if (!(sizes[i] >= 1 && sizes[i] <= static_cast<double>(limits::kElements)) || shape[at] == 0)
      return bad_node(fmt::format("dimension {} with {} elements cannot be resized to {}.", at, shape[at], sizes[i]));
    plan.sizes[at] = static_cast<int64_t>(sizes[i]);
    plan.scales[at] = {plan.sizes[at], shape[at]};
  }
  if (policy == "stretch" || axes.empty()) return Done{};
  Fraction scale = plan.scales[static_cast<size_t>(axes[0])];
  for (int64_t axis : axes) {
    const Fraction own = plan.scales[static_cast<size_t>(axis)];
    scale = policy == "not_larger" ? std::min(scale, own) : std::max(scale, own);
  }
  for (int64_t axis : axes) {
    auto at = static_cast<size_t>(axis);
    plan.scales[at] = scale;
    plan.sizes[at] = Fraction{scale.num * shape[at], scale.den}.plus_halves(1).floor();
  }
  return Done{};
}

/// The modes of Resize since opset 11; before, and for Upsample, those are fixed.
Status plan_modes(ResizePlan& plan, const OnnxNode& node) {
  plan.mode = node.attrs.s("mode", "nearest");
  if (plan.mode == "bilinear" && node.type == "Upsample") plan.mode = "linear";
  if (plan.mode != "nearest" && plan.mode != "linear" && plan.mode != "cubic") return bad_node(fmt::format("mode '{}' is none of nearest, linear and cubic.", plan.mode));
  bool old = node.opset < 11 || node.type == "Upsample";
  plan.coordinates = old ? "asymmetric" : node.attrs.s("coordinate_transformation_mode", "half_pixel");
  plan.nearest = old ? "simple" : node.attrs.s("nearest_mode", "round_prefer_floor");
  constexpr std::string_view kCoordinates[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
                                               "tf_half_pixel_for_nn", "tf_crop_and_resize"};
  constexpr std::string_view kNearest[] = {"simple", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
  if (std::count(std::begin(kCoordinates), std::end(kCoordinates), plan.coordinates) == 0)
    return bad_node(fmt::format("coordinate_transformation_mode '{}' is none that Resize has.", plan.coordinates));
  if (std::count(std::begin(kNearest), std::end(kNearest), plan.nearest) == 0)
    return bad_node(fmt::format("nearest_mode '{}' is none of round_prefer_floor, round_prefer_ceil, floor and ceil.", plan.nearest));
  plan.antialias = node.attrs.i("antialias") != 0 && plan.mode != "nearest";
  plan.exclude_outside = node.attrs.i("exclude_outside") != 0;
  plan.cubic_a = node.attrs.f("cubic_coeff_a", -0.75);
  return Done{};
}

/// The part of x that tf_crop_and_resize takes: all starts, then all ends.
Status plan_crop(ResizePlan& plan, const OnnxNode& node, GraphBuilder& b, const std::vector<int64_t>& axes) {
  if (plan.coordinates != "tf_crop_and_resize") return Done{};
  Result<std::vector<double>> roi = constant_numbers(node, b, 1, "roi");
  if (!roi) return std::move(roi).diagnostic();
  if (roi->size() != 2 * axes.size()) return bad_node(fmt::format("'roi' has {} entries for {} dimensions, it must have {}.", roi->size(), axes.size(), 2 * axes.size()));
  plan.starts.assign(plan.sizes.size(), 0);
  plan.ends.assign(plan.sizes.size(), 1);
  for (size_t i = 0; i < axes.size(); ++i) {
    plan.starts[static_cast<size_t>(axes[i])] = static_cast<float>((*roi)[i]);
    plan.ends[static_cast<size_t>(axes[i])] = static_cast<float>((*roi)[i + axes.size()]);
  }
  for (float bound : plan.starts)
    if (!(std::fabs(bound) < 1e6f)) return bad_node(fmt::format("'roi' has {}, which is out of range.", bound));
  for (float bound : plan.ends)
    if (!(std::fabs(bound) < 1e6f)) return bad_node(fmt::format("'roi' has {}, which is out of range.", bound));
  return Done{};
}

ImportResult import_resize(const OnnxNode& node, GraphBuilder& b) {
  const Shape shape = b.shape(node.inputs[0]);
  ResizePlan plan{std::vector<Fraction>(shape.size(), Fraction{1}), shape, {}, {}, {}, {}, {}};
  if (Status s = plan_modes(plan, node); !s) return std::move(s).diagnostic();
  std::vector<int64_t> all(shape.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  Result<std::vector<int64_t>> axes = normalized_axes(node.attrs.ints("axes", all), static_cast<int64_t>(shape.size()));
  if (!axes) return std::move(axes).diagnostic();
  bool old = node.opset < 11 || node.type == "Upsample";
  Result<std::vector<double>> scales = node.attrs.get("scales", std::vector<double>{});
  if (!node.attrs.has("scales")) scales = constant_numbers(node, b, old ? 1 : 2, "scales");
  Result<std::vector<double>> sizes = old ? std::vector<double>{} : constant_numbers(node, b, 3, "sizes");
  if (!scales) return std::move(scales).diagnostic();
  if (!sizes) return std::move(sizes).diagnostic();
  if (scales->empty() == sizes->empty() && !shape.empty()) return bad_node("exactly one of 'scales' and 'sizes' must be given.");
  Status planned = sizes->empty() ? plan_scales(plan, shape, *axes, *scales)
                                  : plan_sizes(plan, shape, *axes, *sizes, node.attrs.s("keep_aspect_ratio_policy", "stretch"));
  if (planned) planned = plan_crop(plan, node, b, *axes);
  if (!planned) return std::move(planned).diagnostic();
  ImportResult y = build_resize(b, node.inputs[0], plan);
  if (!y || !plan.crops()) return y;
  return one(extrapolated(b, y->front(), shape, plan, node.attrs.f("extrapolation_value")));
}

constexpr AttrSpec kResizeAttrs[] = {
    {"mode", AttrKind::string},          {"coordinate_transformation_mode", AttrKind::string},
    {"nearest_mode", AttrKind::string},  {"cubic_coeff_a", AttrKind::real},
    {"exclude_outside", AttrKind::integer}, {"extrapolation_value", AttrKind::real},
    {"antialias", AttrKind::integer},    {"axes", AttrKind::integers},
    {"keep_aspect_ratio_policy", AttrKind::string}};
constexpr AttrSpec kUpsampleAttrs[] = {{"mode", AttrKind::string}, {"scales", AttrKind::reals}};

}  // namespace

namespace ops {
const OpDef resize = {
    .summary = "nearest, linear and cubic resizing along any dimensions",
    .onnx = {.type = "Resize", .attrs = kResizeAttrs, .since = 10, .max_inputs = 4},
    .import = import_resize,
};
const OpDef upsample = {
    .summary = "Resize as it was before opset 10",
    .onnx = {.type = "Upsample", .attrs = kUpsampleAttrs, .since = 7, .max_inputs = 2},
    .import = import_resize,
};
}  // namespace ops

}  // namespace kiln
