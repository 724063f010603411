// SPDX-License-Identifier: Apache-2.0
// ONNX Resize and Upsample. Their source positions depend on nothing but shapes, so they are computed here, in the float arithmetic
// of ONNX Runtime (a position that falls on a tie must fall to the same side), and become the tables of resize_nearest2d and
// resize_linear2d. Two neighbouring dimensions are resized by one node. Not handled: cubic, antialias, tf_crop_and_resize.
#include <algorithm>
#include <cmath>

#include "compiler/ops/movement.h"

namespace kiln {
namespace {

/// What an ONNX node asks for, per dimension of x.
struct ResizePlan {
  std::vector<float> scales;  ///< 1: the dimension is left alone
  Shape sizes;
  std::string mode, coordinates, nearest;
};

/// Position in a dimension of `in` elements of output index `i`: the formulas of the ONNX specification of Resize. Where `out` is not
/// in * scale exactly, align_corners goes by `out`, as ONNX Runtime does; the tests that come with ONNX go by the fraction.
float source_position(const std::string& coordinates, int64_t i, float scale, int64_t in, int64_t out) {
  auto x = static_cast<float>(i), in_length = static_cast<float>(in), out_length = static_cast<float>(out);
  if (coordinates == "asymmetric") return x / scale;
  if (coordinates == "pytorch_half_pixel") return out_length > 1 ? (x + 0.5f) / scale - 0.5f : 0.0f;
  if (coordinates == "align_corners") return out == 1 ? 0.0f : x * (in_length - 1) / (out_length - 1);
  if (coordinates == "half_pixel_symmetric") {
    float adjustment = out_length / (scale * in_length), center = in_length / 2;
    return center * (1 - adjustment) + (x + 0.5f) / scale - 0.5f;
  }
  return (x + 0.5f) / scale - 0.5f;  // half_pixel
}

/// The index that stands for position `x`. mode "simple": Upsample, and Resize before opset 11.
float nearest_index(const std::string& mode, float x, bool shrinks) {
  if (mode == "simple") return shrinks ? std::ceil(x) : std::trunc(x);
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  if (mode == "round_prefer_ceil") return std::round(x);
  return x == std::trunc(x) + 0.5f ? std::floor(x) : std::round(x);  // round_prefer_floor
}

Tensor nearest_table(const ResizePlan& plan, size_t axis, int64_t in) {
  std::vector<int32_t> table;
  float last = static_cast<float>(in - 1);
  for (int64_t i = 0; i < plan.sizes[axis]; ++i) {
    float x = source_position(plan.coordinates, i, plan.scales[axis], in, plan.sizes[axis]);
    table.push_back(static_cast<int32_t>(std::clamp(nearest_index(plan.nearest, x, plan.scales[axis] < 1), 0.0f, last)));
  }
  return Tensor::of<int32_t>({plan.sizes[axis]}, table);
}

/// At the end both neighbours are the last element; ONNX Runtime gives each half the weight.
std::pair<Tensor, Tensor> linear_tables(const ResizePlan& plan, size_t axis, int64_t in) {
  std::vector<int32_t> table;
  std::vector<float> weights;
  for (int64_t i = 0; i < plan.sizes[axis]; ++i) {
    float x = source_position(plan.coordinates, i, plan.scales[axis], in, plan.sizes[axis]);
    x = std::clamp(x, 0.0f, static_cast<float>(in - 1));
    table.push_back(static_cast<int32_t>(x));
    weights.push_back(table.back() + 1 < in ? x - static_cast<float>(table.back()) : 0.5f);
  }
  return {Tensor::of<int32_t>({plan.sizes[axis]}, table), Tensor::of<float>({plan.sizes[axis]}, weights)};
}

/// The plan of a dimension that a node for two leaves alone.
ResizePlan identity_plan(const ResizePlan& like) { return {{1.0f}, {1}, like.mode, "asymmetric", "floor"}; }

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
  auto resized = [&](int64_t axis) { return axis >= 0 && plan.scales[static_cast<size_t>(axis)] != 1; };
  int64_t axes = std::count_if(plan.scales.begin(), plan.scales.end(), [](float s) { return s != 1; });
  if (plan.mode == "linear" && axes > 2 && is_integer(b.type(x).dtype))
    return unsupported(fmt::format("linear resizing of {} along {} dimensions, the limit for integers is 2.", to_string(b.type(x)), axes));
  for (int64_t w = static_cast<int64_t>(shape.size()) - 1; w >= 0; --w) {
    if (!resized(w)) continue;
    int64_t h = resized(w - 1) ? w - 1 : -1;
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
  if (!tensor)
    return unsupported(fmt::format("input '{}' is computed at run time, it must be a constant.", what),
                       "kiln fixes all shapes when it compiles; run the model through onnx-simplifier, or export it with static shapes.");
  return tensor->to_doubles();
}

/// Scales as given; sizes by ONNX Runtime's rule: the float product, cut off.
Status plan_scales(ResizePlan& plan, const Shape& shape, const std::vector<int64_t>& axes, const std::vector<double>& scales) {
  if (scales.size() != axes.size()) return bad_node(fmt::format("{} scales for {} dimensions.", scales.size(), axes.size()));
  for (size_t i = 0; i < axes.size(); ++i) {
    auto at = static_cast<size_t>(axes[i]);
    auto scale = static_cast<float>(scales[i]);
    if (!(scale > 0) || scale * static_cast<float>(shape[at]) > static_cast<float>(kMaxElements))
      return bad_node(fmt::format("scale {} of dimension {} with {} elements is out of range.", scale, at, shape[at]));
    plan.scales[at] = scale;
    plan.sizes[at] = static_cast<int64_t>(scale * static_cast<float>(shape[at]));
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
    if (!(sizes[i] >= 1 && sizes[i] <= static_cast<double>(kMaxElements)) || shape[at] == 0)
      return bad_node(fmt::format("dimension {} with {} elements cannot be resized to {}.", at, shape[at], sizes[i]));
    plan.sizes[at] = static_cast<int64_t>(sizes[i]);
    plan.scales[at] = static_cast<float>(plan.sizes[at]) / static_cast<float>(shape[at]);
  }
  if (policy == "stretch" || axes.empty()) return Done{};
  float scale = plan.scales[static_cast<size_t>(axes[0])];
  for (int64_t axis : axes) {
    float own = plan.scales[static_cast<size_t>(axis)];
    scale = policy == "not_larger" ? std::min(scale, own) : std::max(scale, own);
  }
  for (int64_t axis : axes) {
    auto at = static_cast<size_t>(axis);
    plan.scales[at] = scale;
    plan.sizes[at] = static_cast<int64_t>(std::round(scale * static_cast<float>(shape[at])));
  }
  return Done{};
}

/// The modes of Resize since opset 11; before, and for Upsample, those are fixed.
Status plan_modes(ResizePlan& plan, const OnnxNode& node) {
  plan.mode = node.attrs.s("mode", "nearest");
  if (plan.mode == "bilinear" && node.type == "Upsample") plan.mode = "linear";
  if (plan.mode == "cubic")
    return unsupported("cubic resizing is not supported.", "export the model with mode 'linear' or 'nearest'.");
  if (plan.mode != "nearest" && plan.mode != "linear") return bad_node(fmt::format("mode '{}' is none of nearest, linear and cubic.", plan.mode));
  bool old = node.opset < 11 || node.type == "Upsample";
  plan.coordinates = old ? "asymmetric" : node.attrs.s("coordinate_transformation_mode", "half_pixel");
  plan.nearest = old ? "simple" : node.attrs.s("nearest_mode", "round_prefer_floor");
  constexpr std::string_view kCoordinates[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"};
  constexpr std::string_view kNearest[] = {"simple", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
  if (std::count(std::begin(kCoordinates), std::end(kCoordinates), plan.coordinates) == 0)
    return unsupported(fmt::format("coordinate_transformation_mode '{}' is not supported.", plan.coordinates));
  if (std::count(std::begin(kNearest), std::end(kNearest), plan.nearest) == 0)
    return bad_node(fmt::format("nearest_mode '{}' is none of round_prefer_floor, round_prefer_ceil, floor and ceil.", plan.nearest));
  if (node.attrs.i("antialias") != 0) return unsupported("resizing with antialias is not supported.", "export the model without antialias.");
  return Done{};
}

ImportResult import_resize(const OnnxNode& node, GraphBuilder& b) {
  const Shape shape = b.shape(node.inputs[0]);
  ResizePlan plan{std::vector<float>(shape.size(), 1.0f), shape, {}, {}, {}};
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
  if (!planned) return std::move(planned).diagnostic();
  return build_resize(b, node.inputs[0], plan);
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
    .summary = "nearest and linear resizing along any dimensions",
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
