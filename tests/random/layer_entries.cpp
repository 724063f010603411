// SPDX-License-Identifier: Apache-2.0
// Layers: products, windows, normalizations, resizing.
#include <cmath>

#include "operator_entries.h"

namespace kiln::test {
namespace {

using Names = std::vector<std::string>;

/// Windows over the spatial dimensions of `x` that fit; sets the attributes and returns the kernel's shape.
std::vector<int64_t> window(Sketch& s, const Shape& x, Attrs& attrs, bool dilated, bool pooling) {
  std::vector<int64_t> kernel, strides, dilations, before, after;
  for (size_t i = 2; i < x.size(); ++i) {
    const int64_t k = std::min<int64_t>(s.dice.between(1, 3), x[i]);
    int64_t dilation = dilated && s.chance(0.3) ? 2 : 1;
    if ((k - 1) * dilation + 1 > x[i]) dilation = 1;
    kernel.push_back(k);
    strides.push_back(s.chance(0.6) ? 1 : s.dice.between(1, 3));
    dilations.push_back(dilation);
    const int64_t most = std::max<int64_t>(pooling ? k - 1 : 2, 0);
    before.push_back(s.chance(0.5) ? 0 : s.dice.between(0, most));
    after.push_back(s.chance(0.5) ? before.back() : s.dice.between(0, most));
  }
  attrs.set("strides", strides);
  if (dilated) attrs.set("dilations", dilations);
  // ONNX Runtime refuses SAME with dilations, and where strides leave pixels out, since it makes the padding negative.
  bool covered = true;
  for (size_t i = 0; i < kernel.size(); ++i) covered = covered && strides[i] <= kernel[i] && dilations[i] == 1;
  if (covered && s.chance(0.15)) {
    attrs.set("auto_pad", s.pick<std::string>({"SAME_UPPER", "SAME_LOWER", "VALID"}));
  } else if (s.chance(0.7)) {
    before.insert(before.end(), after.begin(), after.end());
    attrs.set("pads", before);
  }
  if (pooling || s.chance(0.5)) attrs.set("kernel_shape", kernel);
  return kernel;
}

/// The magnitude of weights that keeps sums of `terms` products about as large as the operand.
double weight_size(int64_t terms) { return 1.5 / std::sqrt(static_cast<double>(terms)); }

void make_conv(Sketch& s) {
  std::string x = s.image(DType::f32);
  const int64_t channels = s.shape(x)[1];
  std::vector<int64_t> divisors;
  for (int64_t g = 1; g <= channels; ++g)
    if (channels % g == 0) divisors.push_back(g);
  const int64_t groups = s.chance(0.6) ? 1 : s.pick(divisors);
  const int64_t out = groups == channels && s.chance(0.7) ? channels : groups * s.dice.between(1, 5);
  Attrs attrs{{"group", groups}};
  Shape w{out, channels / groups};
  for (int64_t k : window(s, s.shape(x), attrs, true, false)) w.push_back(k);
  const double size = weight_size(element_count(w) / out);
  Names operands{x, s.chance(0.95) ? s.weights(DType::f32, w, -size, size) : s.input(DType::f32, w, -size, size)};
  if (s.chance(0.6)) operands.push_back(s.weights(DType::f32, {out}));
  s.add("Conv", operands, attrs);
}

void make_gemm(Sketch& s) {
  std::string a = s.any(DType::f32, 2, 2);
  const bool ta = s.chance(0.2), tb = s.chance(0.5);
  const int64_t m = s.shape(a)[ta ? 1 : 0], k = s.shape(a)[ta ? 0 : 1], n = s.dice.between(1, 9);
  const Shape b_shape = tb ? Shape{n, k} : Shape{k, n};
  const double size = weight_size(k);
  Names operands{a, s.chance(0.85) ? s.weights(DType::f32, b_shape, -size, size) : s.input(DType::f32, b_shape, -size, size)};
  Attrs attrs{{"transA", int64_t{ta}}, {"transB", int64_t{tb}}};
  if (s.chance(0.3)) attrs.set("alpha", 0.5);
  if (s.chance(0.3)) attrs.set("beta", 1.25);
  if (s.chance(0.7)) operands.push_back(s.chance(0.8) ? s.weights(DType::f32, s.pick<Shape>({{n}, {1, n}, {m, n}, {m, 1}, {}})) : s.input(DType::f32, {m, n}));
  s.add("Gemm", operands, attrs);
}

void make_matmul(Sketch& s) {
  std::string a = s.any(DType::f32, 1, 4);
  const Shape& shape = s.shape(a);
  const int64_t k = shape.back(), n = s.dice.between(1, 7);
  const double size = weight_size(k);
  Shape b{k, n};
  if (s.chance(0.15)) b = {k};
  else if (shape.size() > 2 && s.chance(0.4)) b.insert(b.begin(), shape.end()[-3]);
  else if (s.chance(0.2)) b.insert(b.begin(), s.dice.between(1, 3) == 1 || shape.size() > 2 ? 1 : 2);
  std::string other = s.find([&](const Sketch::Info& v) { return v.type.dtype == DType::f32 && !v.constant && v.type.rank() == 2 && v.type.shape[0] == k; });
  if (other.empty() || s.chance(0.6)) other = s.chance(0.7) ? s.weights(DType::f32, b, -size, size) : s.input(DType::f32, b, -size, size);
  s.add("MatMul", {a, other});
}

void make_max_pool(Sketch& s) {
  std::string x = s.image(DType::f32);
  Attrs attrs;
  window(s, s.shape(x), attrs, s.chance(0.3), true);
  if (s.chance(0.3)) attrs.set("ceil_mode", int64_t{1});
  s.add("MaxPool", {x}, attrs);
}

void make_average_pool(Sketch& s) {
  std::string x = s.image(DType::f32);
  Attrs attrs{{"count_include_pad", s.dice.between(0, 1)}};
  window(s, s.shape(x), attrs, false, true);
  s.add("AveragePool", {x}, attrs);
}

void make_batch_norm(Sketch& s) {
  std::string x = s.any(DType::f32, 2, 5);
  const Shape channels{s.shape(x)[1]};
  s.add("BatchNormalization", {x, s.weights(DType::f32, channels, 0.5, 1.5), s.weights(DType::f32, channels), s.weights(DType::f32, channels, -0.5, 0.5),
                               s.weights(DType::f32, channels, 0.5, 2)}, {{"epsilon", 1e-3}});
}

void make_layer_norm(Sketch& s) {
  if (s.opset() < 17) throw Rejected{};
  std::string x = s.any(DType::f32, 1, 4);
  const int64_t axis = s.axis(x), first = axis < 0 ? axis + s.rank(x) : axis;
  const Shape normalized(s.shape(x).begin() + static_cast<std::ptrdiff_t>(first), s.shape(x).end());
  Names operands{x, s.weights(DType::f32, normalized, 0.5, 1.5)};
  if (s.chance(0.7)) operands.push_back(s.weights(DType::f32, normalized));
  s.add("LayerNormalization", operands, {{"axis", axis}, {"epsilon", 1e-3}});
}

void make_resize(Sketch& s) {
  std::string x = s.image(DType::f32, 2);
  const std::string mode = s.pick<std::string>({"nearest", "linear"});
  Attrs attrs{{"mode", mode}};
  std::string coordinates = s.pick<std::string>({"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"});
  attrs.set("coordinate_transformation_mode", coordinates);
  if (mode == "nearest") attrs.set("nearest_mode", s.pick<std::string>({"floor", "round_prefer_floor", "ceil", "round_prefer_ceil"}));
  const Shape& shape = s.shape(x);
  if (s.chance(0.5)) {
    Tensor scales = Tensor::floats({4}, {1, 1, s.pick<float>({2, 3, 0.5f, 1}), s.pick<float>({2, 1, 4})});
    if (scales.as<float>()[2] * static_cast<float>(shape[2]) < 1) throw Rejected{};
    s.add("Resize", {x, "", s.constant(scales)}, attrs);
  } else {
    s.add("Resize", {x, "", "", s.ints({shape[0], shape[1], s.dice.between(1, 9), s.dice.between(1, 9)})}, attrs);
  }
}

}  // namespace

std::vector<OperatorMaker> layer_entries() {
  return {{"Conv", make_conv}, {"Gemm", make_gemm}, {"MatMul", make_matmul}, {"MaxPool", make_max_pool}, {"AveragePool", make_average_pool},
          {"GlobalAveragePool", [](Sketch& s) { s.add("GlobalAveragePool", {s.image(DType::f32)}); }},
          {"GlobalMaxPool", [](Sketch& s) { s.add("GlobalMaxPool", {s.image(DType::f32)}); }},
          {"BatchNormalization", make_batch_norm}, {"LayerNormalization", make_layer_norm}, {"Resize", make_resize}};
}

}  // namespace kiln::test
