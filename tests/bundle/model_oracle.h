// SPDX-License-Identifier: Apache-2.0
// What a quantized model computes, from its imported graph (quantize and dequantize around float operators, before any pass) and the
// definition of integer layers alone: sums in 64-bit integers, one float32 multiplication, round half to even. No code is shared
// with the kernels or the operators' evaluation.
//
// A value is held as the floats it stands for, and where they are known as its stored integers or as exact sums with their unit;
// what moves elements moves all of them. Functions that are not exact (exponentials) are computed in double, so a result that lies
// within 1e-4 steps and four units in the last place of a float of a tie may be either neighbour.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"

namespace oracle {

using kiln::Graph;
using kiln::Node;
using kiln::NodeId;
using kiln::Quant;
using kiln::Shape;
using kiln::Tensor;
using kiln::ValueId;
using Doubles = std::vector<double>;
using Ints = std::vector<int64_t>;

inline float single(double exact) {
  volatile float rounded = static_cast<float>(exact);
  return rounded;
}

struct Value {
  Shape shape;
  Doubles real;                 ///< float32 numbers, or doubles where `exact` is false; integers of integer tensors
  bool exact = true;            ///< computed with float32 operations that have one result only
  Doubles centred;              ///< stored integers minus the zero point, of values on a grid
  Doubles scale;                ///< of each of them
  Doubles sums, unit, count;    ///< of results of layers and averages: real = sum * unit / count
  double low = -std::numeric_limits<double>::infinity(), high = -low;  ///< clamps since then

  [[nodiscard]] size_t size() const { return real.size(); }
  [[nodiscard]] bool on_grid() const { return !centred.empty(); }
  /// The value whose element i is element from[i] of this one; -1: 0.
  [[nodiscard]] Value moved(Shape to, const Ints& from) const {
    Value y;
    y.shape = std::move(to);
    y.exact = exact;
    y.low = low;
    y.high = high;
    const Doubles* sources[] = {&real, &centred, &scale, &sums, &unit, &count};
    Doubles* targets[] = {&y.real, &y.centred, &y.scale, &y.sums, &y.unit, &y.count};
    for (size_t k = 0; k < 6; ++k)
      if (!sources[k]->empty())
        for (int64_t i : from) targets[k]->push_back(i < 0 ? (k == 2 || k > 3 ? 1 : 0) : (*sources[k])[static_cast<size_t>(i)]);
    return y;
  }
};

inline int64_t elements(const Shape& shape) {
  int64_t n = 1;
  for (int64_t dim : shape) n *= dim;
  return n;
}
inline Ints strides_of(const Shape& shape) {
  Ints strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}
/// Calls f(index) for all indices below `shape`, the last dimension fastest.
inline void for_each(const Shape& shape, const std::function<void(const Ints&)>& f) {
  Ints at(shape.size(), 0);
  for (int64_t n = elements(shape); n > 0; --n) {
    f(at);
    for (size_t d = at.size(); d-- > 0 && ++at[d] == shape[d];) at[d] = 0;
  }
}
inline int64_t flat(const Ints& at, const Ints& strides) {
  int64_t offset = 0;
  for (size_t i = 0; i < at.size(); ++i) offset += at[i] * strides[i];
  return offset;
}
/// For each element of `to` the one of `shape` that broadcasting reads.
inline Ints broadcast_from(const Shape& shape, const Shape& to) {
  Ints strides = strides_of(shape), from;
  size_t lead = to.size() - shape.size();
  for_each(to, [&](const Ints& at) {
    int64_t offset = 0;
    for (size_t i = 0; i < shape.size(); ++i) offset += (shape[i] == 1 ? 0 : at[lead + i]) * strides[i];
    from.push_back(offset);
  });
  return from;
}

/// A quantized tensor as the definition has it.
struct Expected {
  Shape shape;
  Doubles stored;
  std::vector<bool> tie;  ///< the neighbour below or above would do as well
};

class Model {
 public:
  Model(const Graph& graph, const std::vector<Tensor>& inputs) : graph_(graph) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      Value v;
      v.shape = inputs[i].type.shape;
      v.real = inputs[i].to_doubles();
      values_[graph.inputs[i]] = v;
    }
  }

  /// What the quantize node makes of its operand; nothing where that depends on operators this class does not know.
  std::optional<Expected> quantized(NodeId id) {
    const Node& node = graph_.node(id);
    const Value* x = find(node.inputs[0]);
    if (!x) return std::nullopt;
    const Quant& quant = *graph_.type(node.outputs[0]).quant;
    if (quant.per_axis()) return std::nullopt;
    Expected y{x->shape, {}, {}};
    auto [least, most] = range(quant.dtype);
    double low = static_cast<double>(node.attrs.i("low", least)), high = static_cast<double>(node.attrs.i("high", most));
    for (size_t i = 0; i < x->size(); ++i) {
      double steps = x->real[i] / static_cast<double>(quant.scale[0]);
      if (!x->sums.empty())
        steps = static_cast<double>(single(static_cast<double>(single(x->sums[i])) * static_cast<double>(factor(*x, i, quant.scale[0]))));
      else if (x->exact) steps = static_cast<double>(single(steps));
      double stored = std::nearbyint(steps) + quant.zero_point[0];
      y.tie.push_back(!x->exact && std::abs(steps - std::floor(steps) - 0.5) < 1e-4 + std::abs(steps) * 0x1p-22);
      if (!x->sums.empty()) {  // clamps between the layer and here, on the integers
        auto bound = [&](double v) { return std::nearbyint(v / static_cast<double>(quant.scale[0])) + quant.zero_point[0]; };
        stored = std::min(std::max(stored, bound(x->low)), bound(x->high));
      }
      y.stored.push_back(std::min(std::max(stored, low), high));
    }
    return y;
  }
  /// From here on, the tensor has these integers.
  void set(ValueId v, const Shape& shape, const Doubles& stored) {
    Value value;
    value.shape = shape;
    value.real = stored;
    values_[v] = value;
  }
  /// Operators that stopped the evaluation somewhere.
  [[nodiscard]] const std::set<std::string>& unknown() const { return unknown_; }

 private:
  static std::pair<int64_t, int64_t> range(kiln::DType dtype) {
    switch (dtype) {
      case kiln::DType::i8: return {-128, 127};
      case kiln::DType::u8: return {0, 255};
      case kiln::DType::i16: return {-32768, 32767};
      case kiln::DType::u16: return {0, 65535};
      default: return {-8, 7};
    }
  }
  /// float32(unit / (y_scale * count)).
  static float factor(const Value& x, size_t i, float y_scale) {
    float divisor = single(static_cast<double>(y_scale) * x.count[i]);
    return single(x.unit[i] / static_cast<double>(divisor));
  }

  const Value* find(ValueId v) {
    if (v == kiln::kNoValue) return nullptr;
    if (auto it = values_.find(v); it != values_.end()) return &it->second;
    std::optional<Value> value;
    if (const Tensor* t = graph_.constant(v)) value = constant(*t);
    else if (const Node* node = graph_.producer(v)) value = computed(*node, v);
    if (!value) return nullptr;
    return &values_.emplace(v, *std::move(value)).first->second;
  }

  static size_t channel(const Quant& quant, const Shape& shape, size_t i) {
    if (!quant.per_axis()) return 0;
    Ints strides = strides_of(shape);
    auto axis = static_cast<size_t>(quant.axis);
    return static_cast<size_t>(static_cast<int64_t>(i) / strides[axis] % shape[axis]);
  }

  static Value constant(const Tensor& t) {
    Value v;
    v.shape = t.type.shape;
    v.real = t.to_doubles();
    if (t.type.quant && kiln::is_float(t.type.dtype))
      for (size_t i = 0; i < v.real.size(); ++i) {
        v.scale.push_back(static_cast<double>(t.type.quant->scale[channel(*t.type.quant, v.shape, i)]));
        v.centred.push_back(std::nearbyint(v.real[i] / v.scale.back()));
      }
    return v;
  }

  std::optional<Value> computed(const Node& node, ValueId v) {
    std::vector<const Value*> x;
    for (ValueId input : node.inputs) {
      x.push_back(find(input));
      if (input != kiln::kNoValue && !x.back()) return std::nullopt;
    }
    std::string name(node.op->name);
    std::optional<Value> y;
    if (name == "dequantize") y = dequantize(node, *x[0], v);
    else if (name == "relu" || name == "clip") y = clamp(node, *x[0], name == "relu");
    else if (name == "conv2d") y = conv2d(node, x, graph_.type(v).shape);
    else if (name == "dense" || name == "matmul") y = product(x, name == "dense", graph_.type(v).shape);
    else if (name == "average_pool2d" || name == "max_pool2d") y = pool(node, *x[0], graph_.type(v).shape, name[0] == 'm');
    else if (name == "reduce_mean") y = mean(node, *x[0], graph_.type(v).shape);
    else if (name == "softmax") y = softmax(node, *x[0]);
    else if (name == "layer_norm") y = layer_norm(node, *x[0], *x[1], *x[2]);
    else if (x.size() == 2 && is_binary(name)) y = binary(name, *x[0], *x[1], graph_.type(v).shape);
    else if (x.size() == 1 && is_function(name)) y = function(name, node, *x[0]);
    else y = moved(name, node, x, graph_.type(v).shape);
    if (!y) unknown_.insert(name);
    return y;
  }

  Value dequantize(const Node& node, const Value& x, ValueId v) const {
    const Quant& quant = *graph_.type(node.outputs[0]).quant;
    Value y;
    y.shape = graph_.type(v).shape;
    for (size_t i = 0; i < x.size(); ++i) {
      size_t c = channel(quant, y.shape, i);
      y.scale.push_back(static_cast<double>(quant.scale[c]));
      y.centred.push_back(x.real[i] - quant.zero_point[c]);
      y.real.push_back(static_cast<double>(single(y.centred[i] * y.scale[i])));
    }
    return y;
  }

  static Value clamp(const Node& node, const Value& x, bool relu) {
    Value y = x;
    double from = relu ? 0 : static_cast<double>(single(node.attrs.f("alpha"))), to = relu ? HUGE_VAL : static_cast<double>(single(node.attrs.f("beta")));
    for (double& v : y.real) v = std::min(std::max(v, from), to);
    y.low = std::min(std::max(y.low, from), to);
    y.high = std::min(std::max(y.high, from), to);
    y.centred.clear();
    y.scale.clear();
    return y;
  }

  /// Makes the sum of element i of a layer: `terms` calls its argument with the flat indices of both operands.
  template <class Terms>
  static void add_sum(Value& y, const Value& x, const Value& w, const Value* bias, size_t o, size_t first_weight, Terms terms) {
    bool exact = x.on_grid() && w.on_grid();
    double sum = 0, unit = exact ? static_cast<double>(single(x.scale[0] * w.scale[first_weight])) : 1;
    terms([&](int64_t a, int64_t b) {
      auto i = static_cast<size_t>(a), j = static_cast<size_t>(b);
      sum += exact ? x.centred[i] * w.centred[j] : x.real[i] * w.real[j];
    });
    if (exact) {
      if (bias) sum += std::nearbyint(bias->real[o] / unit);
      y.sums.push_back(sum);
      y.unit.push_back(unit);
      y.count.push_back(1);
      y.real.push_back(static_cast<double>(single(static_cast<double>(single(sum)) * unit)));
    } else {
      y.exact = false;
      y.real.push_back(sum + (bias ? bias->real[o] : 0));
    }
  }

  static Value conv2d(const Node& node, const std::vector<const Value*>& x, const Shape& shape) {
    const Shape &in = x[0]->shape, &w = x[1]->shape;
    Ints strides = node.attrs.ints("strides", {1, 1}), pads = node.attrs.ints("pads", {0, 0, 0, 0}), dilations = node.attrs.ints("dilations", {1, 1});
    int64_t per_group = w[0] / node.attrs.i("groups", 1);
    Value y;
    y.shape = shape;
    for_each(shape, [&](const Ints& at) {
      int64_t o = at[3], first = o / per_group * w[3];
      auto weights = static_cast<size_t>(o * w[1] * w[2] * w[3]);
      add_sum(y, *x[0], *x[1], x.size() > 2 ? x[2] : nullptr, static_cast<size_t>(o), weights, [&](auto term) {
        for (int64_t i = 0; i < w[1]; ++i)
          for (int64_t j = 0; j < w[2]; ++j) {
            int64_t row = at[1] * strides[0] - pads[0] + i * dilations[0], column = at[2] * strides[1] - pads[1] + j * dilations[1];
            if (row < 0 || row >= in[1] || column < 0 || column >= in[2]) continue;
            for (int64_t c = 0; c < w[3]; ++c) term(((at[0] * in[1] + row) * in[2] + column) * in[3] + first + c, ((o * w[1] + i) * w[2] + j) * w[3] + c);
          }
      });
    });
    return y;
  }

  /// dense: w [N,K]; matmul: [...,K,N] with broadcasting in front.
  static Value product(const std::vector<const Value*>& x, bool dense, const Shape& shape) {
    const Shape &a = x[0]->shape, &w = x[1]->shape;
    int64_t terms = a.back(), columns = shape.back(), rows = dense ? elements(shape) / columns : shape[shape.size() - 2];
    Shape batch = dense ? Shape{} : Shape(shape.begin(), shape.end() - 2);
    Ints left{0}, right{0};
    if (!dense) {
      left = broadcast_from(Shape(a.begin(), a.end() - 2), batch);
      right = broadcast_from(Shape(w.begin(), w.end() - 2), batch);
    }
    Value y;
    y.shape = shape;
    for (size_t b = 0; b < left.size(); ++b)
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) {
          auto first = static_cast<size_t>(dense ? j * terms : right[b] * terms * columns + j);
          add_sum(y, *x[0], *x[1], x.size() > 2 ? x[2] : nullptr, static_cast<size_t>(j), first, [&](auto term) {
            for (int64_t k = 0; k < terms; ++k)
              term((left[b] * rows + i) * terms + k, dense ? j * terms + k : (right[b] * terms + k) * columns + j);
          });
        }
    return y;
  }

  static std::optional<Value> pool(const Node& node, const Value& x, const Shape& shape, bool maximum) {
    Ints kernel = node.attrs.ints("kernel"), strides = node.attrs.ints("strides", {1, 1}), pads = node.attrs.ints("pads", {0, 0, 0, 0});
    if (node.attrs.has("dilations") || node.attrs.has("ceil_mode") || (!maximum && !x.on_grid())) return std::nullopt;
    const Shape& in = x.shape;
    if (maximum) {
      Ints from;
      for_each(shape, [&](const Ints& at) { from.push_back(greatest(x, at, kernel, strides, pads)); });
      return x.moved(shape, from);
    }
    Value y;
    y.shape = shape;
    for_each(shape, [&](const Ints& at) {
      double sum = 0, inside = 0;
      for (int64_t i = 0; i < kernel[0]; ++i)
        for (int64_t j = 0; j < kernel[1]; ++j) {
          int64_t row = at[1] * strides[0] - pads[0] + i, column = at[2] * strides[1] - pads[1] + j;
          if (row < 0 || row >= in[1] || column < 0 || column >= in[2]) continue;
          sum += x.centred[static_cast<size_t>(((at[0] * in[1] + row) * in[2] + column) * in[3] + at[3])];
          ++inside;
        }
      add_average(y, sum, node.attrs.i("count_include_pad") != 0 ? static_cast<double>(kernel[0] * kernel[1]) : inside, x.scale[0]);
    });
    return y;
  }
  static int64_t greatest(const Value& x, const Ints& at, const Ints& kernel, const Ints& strides, const Ints& pads) {
    int64_t best = -1;
    for (int64_t i = 0; i < kernel[0]; ++i)
      for (int64_t j = 0; j < kernel[1]; ++j) {
        int64_t row = at[1] * strides[0] - pads[0] + i, column = at[2] * strides[1] - pads[1] + j;
        if (row < 0 || row >= x.shape[1] || column < 0 || column >= x.shape[2]) continue;
        int64_t from = ((at[0] * x.shape[1] + row) * x.shape[2] + column) * x.shape[3] + at[3];
        if (best < 0 || x.real[static_cast<size_t>(from)] > x.real[static_cast<size_t>(best)]) best = from;
      }
    return best;
  }
  static void add_average(Value& y, double sum, double count, double scale) {
    y.sums.push_back(sum);
    y.unit.push_back(scale);
    y.count.push_back(count);
    y.real.push_back(sum * scale / count);
  }

  static std::optional<Value> mean(const Node& node, const Value& x, const Shape& shape) {
    if (!x.on_grid()) return std::nullopt;
    Ints axes = node.attrs.ints("axes"), strides = strides_of(shape);
    Doubles sums(static_cast<size_t>(elements(shape)), 0);
    size_t i = 0;
    for_each(x.shape, [&](Ints at) {
      for (int64_t axis : axes) at[static_cast<size_t>(axis)] = 0;
      sums[static_cast<size_t>(flat(at, strides))] += x.centred[i++];
    });
    Value y;
    y.shape = shape;
    for (double sum : sums) add_average(y, sum, static_cast<double>(x.size() / sums.size()), x.scale[0]);
    return y;
  }

  static Value softmax(const Node& node, const Value& x) {
    auto axis = static_cast<size_t>(node.attrs.i("axis"));
    Ints strides = strides_of(x.shape);
    Value y;
    y.shape = x.shape;
    y.exact = false;
    y.real.resize(x.size());
    for_each(x.shape, [&](const Ints& at) {
      if (at[axis] != 0) return;
      int64_t first = flat(at, strides), step = strides[axis];
      double top = -HUGE_VAL, total = 0;
      for (int64_t k = 0; k < x.shape[axis]; ++k) top = std::max(top, x.real[static_cast<size_t>(first + k * step)]);
      for (int64_t k = 0; k < x.shape[axis]; ++k) total += std::exp(x.real[static_cast<size_t>(first + k * step)] - top);
      for (int64_t k = 0; k < x.shape[axis]; ++k) {
        auto i = static_cast<size_t>(first + k * step);
        y.real[i] = std::exp(x.real[i] - top) / total;
      }
    });
    return y;
  }

  /// Over the last dimension, with the variance of the population.
  static Value layer_norm(const Node& node, const Value& x, const Value& scale, const Value& bias) {
    Value y;
    y.shape = x.shape;
    y.exact = false;
    auto count = static_cast<size_t>(x.shape.back());
    for (size_t row = 0; row < x.size(); row += count) {
      double mean = 0, variance = 0;
      for (size_t i = 0; i < count; ++i) mean += x.real[row + i] / static_cast<double>(count);
      for (size_t i = 0; i < count; ++i) variance += (x.real[row + i] - mean) * (x.real[row + i] - mean) / static_cast<double>(count);
      double deviation = std::sqrt(variance + node.attrs.f("epsilon"));
      for (size_t i = 0; i < count; ++i) y.real.push_back((x.real[row + i] - mean) / deviation * scale.real[i] + bias.real[i]);
    }
    return y;
  }

  static bool is_binary(const std::string& name) { return name == "add" || name == "sub" || name == "mul" || name == "div" || name == "max" || name == "min"; }
  static Value binary(const std::string& name, const Value& a, const Value& b, const Shape& shape) {
    Ints left = broadcast_from(a.shape, shape), right = broadcast_from(b.shape, shape);
    Value y;
    y.shape = shape;
    y.exact = a.exact && b.exact;
    for (size_t i = 0; i < left.size(); ++i) {
      double p = a.real[static_cast<size_t>(left[i])], q = b.real[static_cast<size_t>(right[i])];
      double r = name == "add" ? p + q : name == "sub" ? p - q : name == "mul" ? p * q : name == "div" ? p / q : name == "max" ? std::max(p, q) : std::min(p, q);
      y.real.push_back(y.exact ? static_cast<double>(single(r)) : r);
    }
    return y;
  }

  static bool is_function(const std::string& name) {
    return name == "sigmoid" || name == "tanh" || name == "erf" || name == "gelu" || name == "leaky_relu";
  }
  static Value function(const std::string& name, const Node& node, const Value& x) {
    Value y;
    y.shape = x.shape;
    y.exact = false;
    double slope = node.attrs.f("alpha");
    for (double v : x.real)
      y.real.push_back(name == "sigmoid" ? 1 / (1 + std::exp(-v))
                       : name == "tanh"  ? std::tanh(v)
                       : name == "erf"   ? std::erf(v)
                       : name == "gelu"  ? v / 2 * (1 + std::erf(v / std::sqrt(2.0)))
                       : v < 0           ? slope * v
                                         : v);
    return y;
  }

  static std::optional<Value> moved(const std::string& name, const Node& node, const std::vector<const Value*>& x, const Shape& shape) {
    const Value& first = *x[0];
    Ints from, strides = strides_of(first.shape);
    if (name == "reshape" || name == "identity") {
      for (size_t i = 0; i < first.size(); ++i) from.push_back(static_cast<int64_t>(i));
      return first.moved(shape, from);
    }
    if (name == "transpose") {
      Ints perm = node.attrs.ints("perm"), permuted;
      for (int64_t p : perm) permuted.push_back(strides[static_cast<size_t>(p)]);
      for_each(shape, [&](const Ints& at) { from.push_back(flat(at, permuted)); });
      return first.moved(shape, from);
    }
    if (name == "slice") {
      Ints starts = node.attrs.ints("starts"), steps = node.attrs.ints("steps", Ints(shape.size(), 1));
      if (starts.size() != shape.size() || steps.size() != shape.size()) return std::nullopt;
      for_each(shape, [&](Ints at) {
        for (size_t i = 0; i < at.size(); ++i) at[i] = starts[i] + at[i] * steps[i];
        from.push_back(flat(at, strides));
      });
      return first.moved(shape, from);
    }
    if (name == "concat") return joined(node, x, shape);
    return std::nullopt;
  }
  static Value joined(const Node& node, const std::vector<const Value*>& x, const Shape& shape) {
    int64_t given = node.attrs.i("axis");
    auto axis = static_cast<size_t>(given < 0 ? given + static_cast<int64_t>(shape.size()) : given);
    Value y;
    y.shape = shape;
    for (const Value* piece : x) y.exact = y.exact && piece->exact;
    for_each(shape, [&](Ints at) {
      size_t k = 0;
      while (at[axis] >= x[k]->shape[axis]) at[axis] -= x[k++]->shape[axis];
      y.real.push_back(x[k]->real[static_cast<size_t>(flat(at, strides_of(x[k]->shape)))]);
    });
    return y;
  }

  const Graph& graph_;
  std::map<ValueId, Value> values_;
  std::set<std::string> unknown_;
};

}  // namespace oracle
