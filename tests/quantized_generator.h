// SPDX-License-Identifier: Apache-2.0
// Generated quantized models: operators on random grids, types and shapes, written as QuantizeLinear and DequantizeLinear around
// float operators or as operators on integers.
#pragma once

#include <array>
#include <optional>

#include "model_maker.h"

namespace kiln::test {

/// An activation: integers on a grid of one scale.
struct Activation {
  std::string integers;
  Shape shape;
  DType dtype = DType::i8;
  float scale = 1;
  int64_t zero = 0;
};

class QuantizedGenerator {
 public:
  explicit QuantizedGenerator(uint32_t seed) : dice_(seed), maker_(21) {}

  /// A chain of so many operators, most of which work on the results of earlier ones.
  ModelMaker build(int64_t operators = 1) {
    Activation y;
    for (int64_t i = 0; i < operators; ++i) {
      if (!y.integers.empty()) pool_.push_back(y);
      y = operation(static_cast<int>(dice_.between(0, 15)));
      if (dice_.flip()) y = unary(y);
    }
    output(y);
    for (const Activation& earlier : pool_)
      if (dice_.between(0, 3) == 0) output(earlier);
    return maker_;
  }
  [[nodiscard]] Dice& dice() { return dice_; }
  [[nodiscard]] const std::string& kind() const { return kind_; }

 private:
  void output(const Activation& y) {
    bool integers = dice_.flip();
    maker_.output(integers ? y.integers : dequantize(y), integers ? y.dtype : DType::f32);
  }

  /// A new model input, float or integer, or an earlier result.
  Activation input(Shape shape) {
    if (!pool_.empty() && dice_.between(0, 3) != 0) return reshaped(pool_[static_cast<size_t>(dice_.between(0, static_cast<int64_t>(pool_.size()) - 1))], shape);
    Activation x{"", std::move(shape), type(), 0, 0};
    choose_grid(x, 1);
    std::string name = fmt::format("x{}", inputs_++);
    if (dice_.flip()) x.integers = maker_.input(name, x.dtype, x.shape);
    else x.integers = maker_.node("QuantizeLinear", {maker_.input(name, DType::f32, x.shape), scale(x), zero(x)});
    return x;
  }

  /// The elements of `x` in another shape, repeated or cut as need be: on the integers, or between dequantize and quantize.
  Activation reshaped(Activation x, const Shape& shape) {
    if (x.shape == shape) return x;
    const bool on_floats = dice_.flip();
    std::string v = on_floats ? dequantize(x) : x.integers;
    const int64_t have = element_count(x.shape), want = element_count(shape);
    if (have != want) {
      v = maker_.node("Reshape", {v, maker_.constant(Tensor::int64s({-1}))});
      if (have < want) v = maker_.node("Tile", {v, maker_.constant(Tensor::int64s({(want + have - 1) / have}))});
      v = maker_.node("Slice", {v, maker_.constant(Tensor::int64s({0})), maker_.constant(Tensor::int64s({want}))});
    }
    v = maker_.node("Reshape", {v, maker_.constant(Tensor::int64s(shape))});
    x.shape = shape;
    if (on_floats) return quantize(v, x);
    x.integers = v;
    return x;
  }

  // One type for all activations, as exporters have it; 16 bits only without operators on integers.
  DType type() {
    if (!type_) type_ = std::array{DType::i8, DType::u8, DType::i8, DType::u8, DType::i8, DType::i16, DType::u16}[static_cast<size_t>(dice_.between(0, 6))];
    return *type_;
  }
  bool is_wide() { return element_bytes(type()) > 1; }
  bool as_operator() { return !is_wide() && dice_.flip(); }

  /// A grid whose range is about `magnitude` on both sides.
  void choose_grid(Activation& x, float magnitude) {
    IntegerRange range = integer_range(x.dtype);
    float steps = static_cast<float>(range.high - range.low);
    x.scale = magnitude * 2 / steps * dice_.real(0.7f, 1.3f);
    int64_t centre = range.low + (int64_t{range.high} - range.low + 1) / 2;
    x.zero = centre + dice_.between(-(range.high - range.low) / 8, (range.high - range.low) / 8);
  }
  std::string scale(const Activation& x) { return maker_.number(x.scale); }
  std::string zero(const Activation& x) { return maker_.constant(zero_point(x.dtype, x.zero)); }
  std::string dequantize(const Activation& x) { return maker_.node("DequantizeLinear", {x.integers, scale(x), zero(x)}); }

  Activation result(Shape shape, float magnitude) {
    Activation y{"", std::move(shape), type(), 0, 0};
    choose_grid(y, magnitude);
    return y;
  }
  Activation quantize(const std::string& floats, Activation y) {
    y.integers = maker_.node("QuantizeLinear", {floats, scale(y), zero(y)});
    return y;
  }
  float reach(const Activation& x) { return x.scale * static_cast<float>(integer_range(x.dtype).high - integer_range(x.dtype).low) / 2; }

  struct Weights {
    std::string integers, scale, zero, floats;
    float size = 0;  ///< of an element
    Tensor scales;
  };
  /// Weights with a grid per index of `axis`, or one; the zero points are 0 for i8.
  Weights weights(const Shape& shape, int64_t axis) {
    DType dtype = dice_.between(0, 3) == 0 ? DType::u8 : DType::i8;
    bool per_axis = dice_.flip();
    Shape grid = per_axis ? Shape{shape[static_cast<size_t>(axis)]} : Shape{};
    Weights w;
    w.integers = maker_.constant(dice_.integers(dtype, shape));
    w.scales = dice_.floats(grid, 0.004f, 0.01f);
    w.scale = maker_.constant(w.scales);
    Tensor zeros(TensorType{dtype, grid, {}});
    if (dtype == DType::u8)
      for (uint8_t& z : zeros.as<uint8_t>()) z = static_cast<uint8_t>(dice_.between(120, 136));
    w.zero = maker_.constant(zeros);
    w.size = 0.5f;
    Attrs attrs;
    if (per_axis) attrs.set("axis", axis);
    w.floats = maker_.node("DequantizeLinear", {w.integers, w.scale, w.zero}, attrs);
    return w;
  }
  /// An i32 bias on the grid of the sums; its float form as well.
  struct Bias {
    std::string integers, floats;
  };
  Bias bias(const Activation& x, const Weights& w, int64_t channels) {
    Tensor b(TensorType{DType::i32, {channels}, {}});
    for (int32_t& v : b.as<int32_t>()) v = static_cast<int32_t>(dice_.between(-2000, 2000));
    Tensor scales = w.scales;
    for (float& s : scales.as<float>()) s *= x.scale;
    std::string integers = maker_.constant(b);
    Tensor zeros(TensorType{DType::i32, scales.type.shape, {}});
    Attrs attrs;
    if (scales.type.rank() == 1) attrs.set("axis", int64_t{0});
    return {integers, maker_.node("DequantizeLinear", {integers, maker_.constant(scales), maker_.constant(zeros)}, attrs)};
  }

  void say(const std::string& kind) { kind_ += (kind_.empty() ? "" : ", ") + kind; }

  Activation operation(int which) {
    switch (which) {
      case 0:
      case 1:
      case 2: return convolution();
      case 3: return gemm();
      case 4: return matmul_constant();
      case 5: return matmul_computed();
      case 6:
      case 7: return binary();
      case 8: return average_pool();
      case 9: return max_pool();
      case 10: return mean();
      case 11: return is_wide() ? mean() : softmax();  // of 16 bits it is computed in float
      case 12: return concat();
      case 13: return movement();
      case 14: return global_pool();
      default: return unary(input(shape(static_cast<size_t>(dice_.between(1, 4)))));
    }
  }
  Shape shape(size_t rank) {
    Shape s(rank);
    for (int64_t& dim : s) dim = dice_.between(1, 5);
    return s;
  }

  Activation convolution() {
    say("Conv");
    int64_t groups = dice_.between(0, 2) == 0 ? dice_.between(2, 4) : 1, in = dice_.between(1, 4), out = dice_.between(1, 4);
    if (dice_.flip()) in = groups > 1 ? 1 : in;  // depthwise
    bool one_dimension = dice_.between(0, 4) == 0;
    size_t dims = one_dimension ? 1 : 2;
    Shape x_shape{dice_.between(1, 2), in * groups}, w_shape{out * groups, in};
    std::vector<int64_t> strides, dilations, pads;
    Shape y_shape{x_shape[0], out * groups};
    for (size_t i = 0; i < dims; ++i) {
      int64_t k = dice_.between(1, 3), size = dice_.between(5, 8), before = dice_.between(0, 1), stride = dice_.between(1, 2), dilation = dice_.between(1, 2);
      x_shape.push_back(size);
      w_shape.push_back(k);
      strides.push_back(stride);
      dilations.push_back(dilation);
      pads.push_back(before);
      y_shape.push_back((size + 2 * before - (k - 1) * dilation - 1) / stride + 1);
    }
    std::vector<int64_t> both = pads;
    both.insert(both.end(), pads.begin(), pads.end());
    Attrs attrs{{"group", groups}, {"strides", strides}, {"dilations", dilations}, {"pads", both}};
    Activation x = input(x_shape);
    Weights w = weights(w_shape, 0);
    auto terms = static_cast<float>(product(w_shape, 1, w_shape.size()));
    Activation y = result(y_shape, reach(x) * w.size * std::sqrt(terms) * 1.5f);
    bool has_bias = dice_.flip();
    Bias b = has_bias ? bias(x, w, out * groups) : Bias{};
    if (as_operator()) {
      std::vector<std::string> inputs{x.integers, scale(x), zero(x), w.integers, w.scale, w.zero, scale(y), zero(y)};
      if (has_bias) inputs.push_back(b.integers);
      y.integers = maker_.node("QLinearConv", inputs, attrs);
      return y;
    }
    std::vector<std::string> inputs{dequantize(x), w.floats};
    if (has_bias) inputs.push_back(b.floats);
    return quantize(activated(maker_.node("Conv", inputs, attrs), reach(y)), y);
  }

  /// Possibly an activation behind a layer.
  std::string activated(const std::string& x, float magnitude) {
    switch (dice_.between(0, 4)) {
      case 0: return maker_.node("Relu", {x});
      case 1: return maker_.node("Clip", {x, maker_.number(0), maker_.number(magnitude * 0.5f)});
      default: return x;
    }
  }

  Activation gemm() {
    say("Gemm");
    int64_t m = dice_.between(1, 4), k = dice_.between(1, 20), n = dice_.between(1, 6);
    bool transposed = dice_.flip();
    Activation x = input({m, k});
    Weights w = weights(transposed ? Shape{n, k} : Shape{k, n}, transposed ? 0 : 1);
    Activation y = result({m, n}, reach(x) * w.size * std::sqrt(static_cast<float>(k)) * 1.5f);
    Attrs attrs{{"transB", int64_t{transposed}}};
    Bias b = bias(x, w, n);
    if (as_operator()) {
      y.integers = maker_.node("QGemm", {x.integers, scale(x), zero(x), w.integers, w.scale, w.zero, b.integers, scale(y), zero(y)}, attrs, "com.microsoft");
      return y;
    }
    return quantize(activated(maker_.node("Gemm", {dequantize(x), w.floats, b.floats}, attrs), reach(y)), y);
  }

  Activation matmul_constant() {
    say("MatMul");
    Shape x_shape = shape(static_cast<size_t>(dice_.between(2, 3)));
    int64_t k = x_shape.back(), n = dice_.between(1, 6);
    Activation x = input(x_shape);
    Weights w = weights({k, n}, 1);
    Shape y_shape = x_shape;
    y_shape.back() = n;
    Activation y = result(y_shape, reach(x) * w.size * std::sqrt(static_cast<float>(k)) * 1.5f);
    if (as_operator()) {
      y.integers = maker_.node("QLinearMatMul", {x.integers, scale(x), zero(x), w.integers, w.scale, w.zero, scale(y), zero(y)});
      return y;
    }
    return quantize(activated(maker_.node("MatMul", {dequantize(x), w.floats}), reach(y)), y);
  }

  Activation matmul_computed() {
    say("MatMul of two");
    int64_t batch = dice_.between(1, 3), m = dice_.between(1, 4), k = dice_.between(1, 9), n = dice_.between(1, 4);
    Activation a = input({batch, m, k}), b = input({batch, k, n});
    Activation y = result({batch, m, n}, reach(a) * reach(b) * std::sqrt(static_cast<float>(k)));
    if (as_operator()) {
      y.integers = maker_.node("QLinearMatMul", {a.integers, scale(a), zero(a), b.integers, scale(b), zero(b), scale(y), zero(y)});
      return y;
    }
    return quantize(maker_.node("MatMul", {dequantize(a), dequantize(b)}), y);
  }

  Activation binary() {
    Shape s = shape(static_cast<size_t>(dice_.between(1, 4)));
    const std::array<const char*, 5> types{"Add", "Mul", "Sub", "Max", "Min"};
    std::string type = types[static_cast<size_t>(dice_.between(0, 4))];
    say(type);
    Activation a = input(s);
    Shape other = s;
    if (dice_.flip()) other[0] = 1;
    if (dice_.between(0, 3) == 0) other.erase(other.begin());
    Activation b = input(other);
    Activation y = result(s, type == "Mul" ? reach(a) * reach(b) : reach(a) + reach(b) * 0.5f);
    if ((type == "Add" || type == "Mul") && as_operator()) {
      y.integers = maker_.node("QLinear" + type, {a.integers, scale(a), zero(a), b.integers, scale(b), zero(b), scale(y), zero(y)}, {}, "com.microsoft");
      return y;
    }
    return quantize(activated(maker_.node(type, {dequantize(a), dequantize(b)}), reach(y)), y);
  }

  Activation average_pool() {
    say("AveragePool");
    int64_t k = dice_.between(2, 3), pad = dice_.between(0, 1), size = dice_.between(4, 7), stride = dice_.between(1, 2);
    Activation x = input({1, dice_.between(1, 4), size, size});
    int64_t out = (size + 2 * pad - k) / stride + 1;
    Attrs attrs{{"kernel_shape", std::vector<int64_t>{k, k}}, {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
                {"strides", std::vector<int64_t>{stride, stride}}, {"count_include_pad", dice_.between(0, 1)}};
    Activation y = result({1, x.shape[1], out, out}, reach(x) * 0.8f);
    if (as_operator()) {
      y.integers = maker_.node("QLinearAveragePool", {x.integers, scale(x), zero(x), scale(y), zero(y)}, attrs, "com.microsoft");
      return y;
    }
    return quantize(maker_.node("AveragePool", {dequantize(x)}, attrs), y);
  }

  Activation max_pool() {
    say("MaxPool");
    int64_t size = dice_.between(4, 7), pad = dice_.between(0, 1);
    Activation x = input({1, dice_.between(1, 4), size, size});
    Attrs attrs{{"kernel_shape", std::vector<int64_t>{2, 2}}, {"pads", std::vector<int64_t>{pad, pad, pad, pad}}};
    int64_t out = size + 2 * pad - 1;
    std::string pooled = maker_.node("MaxPool", {dequantize(x)}, attrs);
    Activation y = x;
    y.shape = {1, x.shape[1], out, out};
    return quantize(pooled, y);
  }

  Activation global_pool() {
    say("GlobalAveragePool");
    Activation x = input({1, dice_.between(1, 4), dice_.between(1, 6), dice_.between(1, 6)});
    Activation y = result({1, x.shape[1], 1, 1}, reach(x) * 0.7f);
    if (as_operator()) {
      y.integers = maker_.node("QLinearGlobalAveragePool", {x.integers, scale(x), zero(x), scale(y), zero(y)}, {}, "com.microsoft");
      return y;
    }
    return quantize(maker_.node("GlobalAveragePool", {dequantize(x)}), y);
  }

  Activation mean() {
    say("ReduceMean");
    Activation x = input(shape(3));
    Activation y = result({x.shape[0], 1, x.shape[2]}, reach(x) * 0.7f);
    return quantize(maker_.node("ReduceMean", {dequantize(x), maker_.constant(Tensor::int64s({1}))}), y);
  }

  Activation softmax() {
    say("Softmax");
    Activation x = input(shape(2));
    Activation y{"", x.shape, type(), 1.0f / static_cast<float>(integer_range(type()).high - integer_range(type()).low + 1), integer_range(type()).low};
    return quantize(maker_.node("Softmax", {dequantize(x)}, {{"axis", dice_.between(0, 1)}}), y);
  }

  Activation concat() {
    say("Concat");
    Shape s = shape(3), t = s;
    int64_t axis = dice_.between(0, 2);
    t[static_cast<size_t>(axis)] = dice_.between(1, 5);
    Activation a = input(s), b = input(t);
    Shape joined = s;
    joined[static_cast<size_t>(axis)] += t[static_cast<size_t>(axis)];
    Activation y = result(joined, std::max(reach(a), reach(b)));
    if (dice_.flip()) y.scale = a.scale, y.zero = a.zero;
    if (as_operator()) {
      y.integers = maker_.node("QLinearConcat", {scale(y), zero(y), a.integers, scale(a), zero(a), b.integers, scale(b), zero(b)}, {{"axis", axis}}, "com.microsoft");
      return y;
    }
    return quantize(maker_.node("Concat", {dequantize(a), dequantize(b)}, {{"axis", axis}}), y);
  }

  Activation movement() {
    say("movement");
    Activation x = input(shape(3));
    std::string y = maker_.node("Transpose", {dequantize(x)}, {{"perm", std::vector<int64_t>{2, 0, 1}}});
    Shape turned{x.shape[2], x.shape[0], x.shape[1]};
    y = maker_.node("Pad", {y, maker_.constant(Tensor::int64s({0, 1, 0, 1, 0, 2}))});
    Shape padded{turned[0] + 1, turned[1] + 1, turned[2] + 2};
    y = maker_.node("Reshape", {y, maker_.constant(Tensor::int64s({element_count(padded)}))});
    Activation z = x;
    z.shape = {element_count(padded)};
    return quantize(y, z);
  }

  Activation unary(const Activation& x) {
    const std::array<const char*, 6> types{"Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "Relu", "Elu"};
    std::string type = types[static_cast<size_t>(dice_.between(0, 5))];
    say(type);
    // A result of about as many steps as the operand has: what is one step apart before stays about one apart.
    Activation y = result(x.shape, reach(x));
    if (as_operator() && (type == "Sigmoid" || type == "LeakyRelu")) {
      y.integers = maker_.node("QLinear" + type, {x.integers, scale(x), zero(x), scale(y), zero(y)}, {}, "com.microsoft");
      return y;
    }
    return quantize(maker_.node(type, {dequantize(x)}), y);
  }

  Dice dice_;
  ModelMaker maker_;
  std::optional<DType> type_;
  std::vector<Activation> pool_;  ///< results so far
  std::string kind_;
  int inputs_ = 0;
};

}  // namespace kiln::test
