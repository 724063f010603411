// SPDX-License-Identifier: Apache-2.0
#include "passes/spelled_quantize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "compiler/ops/quantization.h"
#include "passes/dead_code.h"
#include "passes/rewrite_util.h"

namespace kiln {
namespace {

/// A walk from a result towards its operands.
struct Walk {
  const Graph& graph;
  ValueId at;

  /// If `at` is op(x, constant) (or op(constant, x) where it commutes): goes to x and returns the constant.
  const Tensor* step(const OpDef& op) {
    const Node* node = graph.producer(at);
    if (!node || node->op != &op || node->attrs.has("act")) return nullptr;
    bool commutes = &op == &ops::add || &op == &ops::mul || &op == &ops::max || &op == &ops::min;
    for (size_t i : {size_t{1}, size_t{0}}) {
      if (i == 0 && !commutes) continue;
      ValueId x = node->inputs[1 - i];
      const Tensor* constant = graph.constant(node->inputs[i]);
      if (!constant || graph.type(x).shape != graph.type(at).shape) continue;
      at = x;
      return constant;
    }
    return nullptr;
  }
  /// If `at` is op(x): goes to x.
  const Node* step_unary(const OpDef& op) {
    const Node* node = graph.producer(at);
    if (!node || node->op != &op) return nullptr;
    at = node->inputs[0];
    return node;
  }
};

/// The bounds of a clip, or of max and min with numbers, and of the integer type of a cast.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity(), high = -low;
};

std::optional<double> uniform(const Tensor& t) {
  std::vector<double> values = t.to_doubles();
  bool is_uniform = !values.empty() && std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
  return is_uniform ? std::optional(values[0]) : std::nullopt;
}

/// Walks over clip, or max and min in any order; false when a bound is no single number.
bool step_clip(Walk& walk, Bounds& bounds) {
  if (const Node* clip = walk.step_unary(ops::clip)) {
    bounds.low = std::max(bounds.low, clip->attrs.f("alpha"));
    bounds.high = std::min(bounds.high, clip->attrs.f("beta"));
  }
  if (walk.step_unary(ops::relu)) bounds.low = std::max(bounds.low, 0.0);
  for (int i = 0; i < 2; ++i) {
    if (const Tensor* low = walk.step(ops::max)) {
      std::optional<double> number = uniform(*low);
      if (!number) return false;
      bounds.low = std::max(bounds.low, *number);
    }
    if (const Tensor* high = walk.step(ops::min)) {
      std::optional<double> number = uniform(*high);
      if (!number) return false;
      bounds.high = std::min(bounds.high, *number);
    }
  }
  return true;
}

/// The smallest type of integers from low to high.
std::optional<DType> type_between(const Bounds& bounds) {
  for (DType dtype : {DType::i8, DType::u8, DType::i16, DType::u16}) {
    IntegerRange range = integer_range(dtype);
    if (bounds.low >= range.low && bounds.high <= range.high && bounds.low <= bounds.high) return dtype;
  }
  return std::nullopt;
}

/// Whether both broadcast alike: their shapes are equal but for leading dimensions of 1.
bool broadcast_alike(const Tensor& a, const Tensor& b) {
  auto trimmed = [](Shape shape) {
    shape.erase(shape.begin(), std::find_if(shape.begin(), shape.end(), [](int64_t dim) { return dim != 1; }));
    return shape;
  };
  return trimmed(a.type.shape) == trimmed(b.type.shape);
}

bool same_numbers(const Tensor& a, const Tensor& b) { return broadcast_alike(a, b) && a.to_doubles() == b.to_doubles(); }

bool are_reciprocals(const Tensor& a, const Tensor& b) {
  if (!broadcast_alike(a, b)) return false;
  std::vector<double> x = a.to_doubles(), y = b.to_doubles();
  for (size_t i = 0; i < x.size(); ++i)
    if (!(std::abs(x[i] * y[i] - 1) < 1e-6)) return false;
  return true;
}

/// What a chain of arithmetic quantizes, and to which grid.
struct Spelled {
  ValueId x = kNoValue;
  Quant quant;
  IntegerRange bounds;
};

/// Walks from the scaled integers to x; `scale` and `zero` are what has been found behind them.
std::optional<Spelled> match_quantize(Walk walk, const Tensor& scale, const Tensor& zero, Bounds bounds) {
  if (!step_clip(walk, bounds)) return std::nullopt;
  const Tensor* added = walk.step(ops::add);
  if (!step_clip(walk, bounds) || !walk.step_unary(ops::round)) return std::nullopt;
  if (!added) added = walk.step(ops::add);
  bool has_zero = std::any_of(zero.bytes().begin(), zero.bytes().end(), [](std::byte v) { return v != std::byte{0}; });
  if (added ? !same_numbers(*added, zero) : has_zero) return std::nullopt;
  if (const Tensor* divisor = walk.step(ops::div)) {
    if (!same_numbers(*divisor, scale)) return std::nullopt;
  } else if (const Tensor* factor = walk.step(ops::mul); !factor || !are_reciprocals(*factor, scale)) {
    return std::nullopt;
  }
  if (std::optional<DType> dtype = type_between(bounds)) {
    std::optional<Quant> quant = broadcast_grid(scale, zero, walk.graph.type(walk.at).shape, *dtype);
    bool whole = bounds.low == std::floor(bounds.low) && bounds.high == std::floor(bounds.high);
    if (quant && whole) return Spelled{walk.at, *quant, {static_cast<int32_t>(bounds.low), static_cast<int32_t>(bounds.high)}};
  }
  return std::nullopt;
}

/// y = (clip(round(x / s) + z) - z) * s.
std::optional<Spelled> match(const Graph& graph, ValueId y) {
  if (graph.type(y).dtype != DType::f32) return std::nullopt;
  Walk walk{graph, y};
  const Tensor* scale = walk.step(ops::mul);
  if (!scale) return std::nullopt;
  Tensor zero = Tensor::floats({}, {0});
  if (const Tensor* subtracted = walk.step(ops::sub)) zero = *subtracted;
  Bounds bounds;
  bool cast_back = walk.step_unary(ops::cast) != nullptr;
  if (cast_back && is_integer(graph.type(walk.at).dtype)) {
    DType dtype = graph.type(walk.at).dtype;
    if (is_grid_type(dtype)) bounds = {double(integer_range(dtype).low), double(integer_range(dtype).high)};
    if (!step_clip(walk, bounds) || !walk.step_unary(ops::cast)) return std::nullopt;
    Bounds before;  // casts do not saturate: the clip before it has to keep within the type
    Walk ahead = walk;
    if (is_grid_type(dtype) && (!step_clip(ahead, before) || before.low < bounds.low || before.high > bounds.high)) return std::nullopt;
  }
  if (graph.type(walk.at).dtype != DType::f32) return std::nullopt;
  return match_quantize(walk, *scale, zero, bounds);
}

Result<bool> name_quantization(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != &ops::mul) return false;
  std::optional<Spelled> spelled = match(graph, node.outputs[0]);
  if (!spelled) return false;
  GraphBuilder b(graph, node.origin, id);
  b.set_name(graph.value(node.outputs[0]).name + "_stored");
  Attrs attrs = quant_attrs(spelled->quant);
  IntegerRange range = integer_range(spelled->quant.dtype);
  if (spelled->bounds.low > range.low) attrs.set("low", int64_t{spelled->bounds.low});
  if (spelled->bounds.high < range.high) attrs.set("high", int64_t{spelled->bounds.high});
  Result<ValueId> q = b.add(ops::quantize, {spelled->x}, std::move(attrs));
  if (!q) return std::move(q).diagnostic();
  Result<ValueId> y = b.add(ops::dequantize, {*q}, quant_attrs(spelled->quant));
  if (!y) return std::move(y).diagnostic();
  replace_node(graph, id, *y);
  return true;
}

/// Whether every value is an integer of -127 to 127 times `scale`, exactly as float multiplication gives it.
bool are_multiples(std::span<const float> values, float scale) {
  if (!(scale > std::numeric_limits<float>::min())) return false;
  return std::all_of(values.begin(), values.end(), [&](float v) {
    float q = std::nearbyint(v / scale);
    return std::abs(q) <= 127 && q * scale == v;
  });
}

/// The greatest scale of which the values are such multiples; 1 for zeros alone.
std::optional<float> common_scale(std::span<const float> values) {
  float most = 0;
  for (float v : values) most = std::max(most, std::abs(v));
  if (most == 0) return 1.0f;
  if (!std::isfinite(most)) return std::nullopt;
  for (int k = 1; k <= 127; ++k) {  // the greatest value is k times the scale; division may be off in the last places
    float scale = most / static_cast<float>(k);
    std::array<float, 5> tries{scale};
    tries[1] = std::nextafter(scale, 0.0f);
    tries[2] = std::nextafter(scale, most * 2);
    tries[3] = std::nextafter(tries[1], 0.0f);
    tries[4] = std::nextafter(tries[2], most * 2);
    for (float s : tries)
      if (are_multiples(values, s)) return s;
  }
  return std::nullopt;
}

/// The grid per output channel on which all weights [O,...] lie.
std::optional<Quant> grid_of_weights(const Tensor& w) {
  Quant quant;
  quant.dtype = DType::i8;
  auto channels = static_cast<size_t>(w.type.shape[0]);
  std::span<const float> values = w.as<float>();
  size_t row = channels > 0 ? values.size() / channels : 0;
  if (row == 0) return std::nullopt;
  for (size_t o = 0; o < channels; ++o) {
    std::optional<float> scale = common_scale(values.subspan(o * row, row));
    if (!scale) return std::nullopt;
    quant.scale.push_back(*scale);
  }
  quant.zero_point.assign(channels, 0);
  return quant;
}

Result<bool> find_grid(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op != &ops::conv2d && node.op != &ops::dense) return false;
  const Tensor* w = graph.constant(node.inputs[1]);
  if (!w || w->type.dtype != DType::f32 || w->type.quant) return false;
  std::optional<Quant> quant = grid_of_weights(*w);
  if (!quant) return false;
  Tensor on_grid = *w;
  on_grid.type.quant = *std::move(quant);
  graph.set_input(id, 1, graph.add_constant(graph.value(node.inputs[1]).name, std::move(on_grid)));
  return true;
}

bool quantizes(const Graph& graph) {
  std::vector<NodeId> order = graph.order();
  return std::any_of(order.begin(), order.end(), [&](NodeId id) { return graph.node(id).op == &ops::quantize || graph.node(id).op == &ops::dequantize; });
}

}  // namespace

Result<bool> spelled_quantize(Graph& graph, PassContext& context) {
  bool changed = false;
  for (auto rule : {name_quantization, find_grid}) {
    if (rule == find_grid && !quantizes(graph)) continue;
    for (NodeId id : graph.order()) {
      if (!graph.alive(id)) continue;
      Result<bool> applied = rule(graph, id);
      if (!applied) return applied;
      changed = changed || *applied;
    }
    if (!changed) continue;
    if (Status s = infer_types(graph); !s) return std::move(s).diagnostic();
  }
  if (Result<bool> swept = dead_code(graph, context); !swept) return swept;
  return changed;
}

}  // namespace kiln
