// SPDX-License-Identifier: Apache-2.0
#include "templates.h"

#include <numeric>

namespace kiln::test {
namespace {

using Names = std::vector<std::string>;
using Ints = std::vector<int64_t>;

// --- layers to rewrite around

std::string conv(Sketch& s, const std::string& x, int64_t out = 0, bool padded = true) {
  const int64_t channels = s.shape(x)[1];
  if (out == 0) out = s.dice.between(1, 5);
  const bool depthwise = s.chance(0.25);
  if (depthwise) out = channels;
  Shape w{out, depthwise ? 1 : channels};
  Attrs attrs{{"group", depthwise ? channels : int64_t{1}}};
  Ints pads;
  for (size_t i = 2; i < s.shape(x).size(); ++i) w.push_back(std::min<int64_t>(s.pick<int64_t>({1, 2, 3}), s.shape(x)[i]));
  for (size_t i = 0; i < 2 * (w.size() - 2); ++i) pads.push_back(padded ? s.dice.between(0, 1) : 0);
  attrs.set("pads", pads);
  Names operands{x, s.weights(DType::f32, w, -0.5, 0.5)};
  if (s.chance(0.5)) operands.push_back(s.weights(DType::f32, {out}));
  return s.add("Conv", operands, attrs);
}

std::string dense(Sketch& s, const std::string& x) {
  const int64_t k = s.shape(x).back(), n = s.dice.between(1, 6);
  if (s.rank(x) == 2 && s.chance(0.5)) return s.add("Gemm", {x, s.weights(DType::f32, {n, k}, -0.5, 0.5), s.weights(DType::f32, {n})}, {{"transB", int64_t{1}}});
  return s.add("MatMul", {x, s.weights(DType::f32, {k, n}, -0.5, 0.5)});
}

std::string layer(Sketch& s) { return s.chance(0.6) ? conv(s, s.image(DType::f32)) : dense(s, s.any(DType::f32, 2, 3)); }

/// A second user, which forbids many rewrites.
void maybe_second_user(Sketch& s, const std::string& x) {
  if (s.chance(0.2)) s.add("Abs", {x});
}

std::string function(Sketch& s, const std::string& x) {
  switch (s.dice.between(0, 9)) {
    case 0: return s.add("Relu", {x});
    case 1: return s.add("LeakyRelu", {x}, {{"alpha", 0.2}});
    case 2: return s.add("Clip", {x, s.number(DType::f32, 0), s.number(DType::f32, 6)});
    case 3: return s.add("Sigmoid", {x});
    case 4: return s.add("Tanh", {x});
    case 5: return s.add("HardSigmoid", {x});
    case 6: return s.opset() >= 14 ? s.add("HardSwish", {x}) : s.add("Relu", {x});
    case 7: return s.add("Elu", {x});
    case 8: return s.add("Softplus", {x});
    default: return s.add("Abs", {x});
  }
}

Ints permutation(Sketch& s, int64_t rank) {
  Ints perm(static_cast<size_t>(rank));
  std::iota(perm.begin(), perm.end(), 0);
  std::shuffle(perm.begin(), perm.end(), s.dice.engine);
  return perm;
}

std::string transposed(Sketch& s, const std::string& x, const Ints& perm) { return s.add("Transpose", {x}, {{"perm", perm}}); }

/// Per channel of dimension 1, as convolutions have it: [C,1,...].
std::string per_channel(Sketch& s, const std::string& x, double low, double high) {
  Shape shape(s.shape(x).size() - 1, 1);
  shape[0] = s.shape(x)[1];
  return s.weights(DType::f32, shape, low, high);
}

// --- fold-constants, dead-code, common-subexpressions

/// Arithmetic on constants, as exporters leave it, feeding a run-time value.
void constant_arithmetic(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  Shape shape{s.shape(x).back()};
  std::string a = s.weights(DType::f32, shape), b = s.weights(DType::f32, shape, 0.5, 2);
  std::string folded = s.add("Sqrt", {s.add("Add", {s.add("Mul", {a, a}), b})});
  s.add("Div", {x, folded});
}

void equal_nodes(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  const std::string type = s.pick<std::string>({"Relu", "Tanh", "Neg", "Abs"});
  std::string a = s.add(type, {x}), b = s.add(type, {x});
  s.add("Add", {a, b});
}

void equal_layers(Sketch& s) {
  std::string x = s.any(DType::f32, 2, 3);
  Tensor w = s.dice.floats({s.shape(x).back(), 3}, -0.5f, 0.5f);
  std::string a = s.add("MatMul", {x, s.constant(w)}), b = s.add("MatMul", {x, s.constant(w)});
  s.add("Mul", {a, b});
}

/// A chain that nobody reads, beside one that is read.
void dead_chain(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  std::string a = s.add("Relu", {x});
  s.abandon(s.add("Neg", {s.add("Exp", {s.within(a, -3, 3)})}));
  s.add("Add", {a, x});
}

// --- spelled-quantize

void spelled_quantize(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  const double scale = 0.05;
  std::string steps = s.chance(0.5) ? s.add("Div", {x, s.number(DType::f32, scale)}) : s.add("Mul", {x, s.number(DType::f32, 1 / scale)});
  std::string rounded = s.add("Round", {steps});
  const bool shifted = s.chance(0.5);
  if (shifted) rounded = s.add("Add", {rounded, s.number(DType::f32, 8)});
  std::string bounded = s.add("Clip", {rounded, s.number(DType::f32, shifted ? 0 : -128), s.number(DType::f32, shifted ? 255 : 127)});
  if (shifted) bounded = s.add("Sub", {bounded, s.number(DType::f32, 8)});
  s.add("Relu", {s.add("Mul", {bounded, s.number(DType::f32, scale)})});
}

// --- simplify-arithmetic

void neutral_arithmetic(Sketch& s) {
  std::string x = s.any(DType::f32);
  switch (s.dice.between(0, 5)) {
    case 0: x = s.add("Add", {x, s.number(DType::f32, 0)}); break;
    case 1: x = s.add("Sub", {x, s.number(DType::f32, 0)}); break;
    case 2: x = s.add("Mul", {s.number(DType::f32, 1), x}); break;
    case 3: x = s.add("Div", {x, s.number(DType::f32, 1)}); break;
    case 4: x = s.add("Div", {x, s.number(DType::f32, 4)}); break;
    default: x = s.add("Cast", {x}, {{"to", int64_t{1}}}); break;
  }
  s.add("Tanh", {x});
}

/// Neutral for the elements, but it broadcasts: the shape has to stay.
void neutral_broadcast(Sketch& s) {
  std::string x = s.any(DType::f32, 0, 3);
  Shape larger = s.shape(x);
  larger.insert(larger.begin(), 2);
  Tensor ones(TensorType{DType::f32, larger, {}});
  for (float& v : ones.as<float>()) v = 1;
  s.add("Mul", {x, s.constant(ones)});
}

void clips_of_clips(Sketch& s) {
  std::string x = s.any(DType::f32);
  for (int64_t i = s.dice.between(2, 3); i > 0; --i) {
    switch (s.dice.between(0, 3)) {
      case 0: x = s.add("Relu", {x}); break;
      case 1: x = s.add("Clip", {x, s.number(DType::f32, -0.5), s.number(DType::f32, 1.5)}); break;
      case 2: x = s.add("Min", {s.add("Max", {x, s.number(DType::f32, -0.25)}), s.number(DType::f32, 1.25)}); break;
      default: x = s.add("Max", {x, s.number(DType::f32, 0)}); break;
    }
    maybe_second_user(s, x);
  }
}

void spelled_activations(Sketch& s) {
  std::string x = s.any(DType::f32);
  switch (s.dice.between(0, 3)) {
    case 0: s.add("Mul", {x, s.add("Sigmoid", {x})}); break;
    case 1: s.add("Mul", {s.add("Sigmoid", {x}), x}); break;
    case 2: s.add("Max", {x, s.add("Mul", {x, s.number(DType::f32, 0.1)})}); break;
    default: s.add("Max", {x, s.add("LeakyRelu", {x}, {{"alpha", 0.3}})}); break;
  }
}

// --- cancel-transposes

void conv_chain(Sketch& s) {
  std::string x = conv(s, s.image(DType::f32));
  for (int64_t i = s.dice.between(1, 3); i > 0; --i) {
    if (s.chance(0.7)) x = function(s, x);
    if (s.chance(0.3)) x = s.add("Add", {x, per_channel(s, x, -1, 1)});
    if (s.chance(0.2)) x = s.add("MaxPool", {x}, {{"kernel_shape", Ints(s.shape(x).size() - 2, 1)}});
    x = conv(s, x);
    maybe_second_user(s, x);
  }
}

void residual(Sketch& s) {
  std::string x = s.image(DType::f32, 2, 3);
  const int64_t channels = s.shape(x)[1];
  std::string w = s.weights(DType::f32, {channels, channels, 3, 3}, -0.3, 0.3);
  std::string y = s.add("Conv", {x, w}, {{"pads", Ints{1, 1, 1, 1}}});
  y = s.add(s.pick<std::string>({"Add", "Mul", "Sub", "Max"}), s.chance(0.5) ? Names{x, y} : Names{y, x});
  if (s.chance(0.6)) y = s.add("Relu", {y});
  if (s.chance(0.5)) conv(s, y);
}

void transpose_pair(Sketch& s) {
  std::string x = s.any(DType::f32, 2, 5);
  Ints perm = permutation(s, s.rank(x));
  std::string y = transposed(s, x, perm);
  if (s.chance(0.6)) y = function(s, y);
  if (s.chance(0.3)) y = s.add("Mul", {y, s.partner(y, 0.5, 1)});
  maybe_second_user(s, y);
  transposed(s, y, s.chance(0.7) ? inverse_permutation(perm) : permutation(s, s.rank(y)));
}

/// concat, slice, split, pad, reduce between layers that want channels last.
void moves_between_layers(Sketch& s) {
  std::string x = conv(s, s.image(DType::f32, 2, 2), s.dice.between(2, 5));
  switch (s.dice.between(0, 5)) {
    case 0: x = s.add("Concat", {x, function(s, x)}, {{"axis", s.pick<int64_t>({1, 2, 3, -1})}}); break;
    case 1: x = s.add("Slice", {x, s.ints({0}), s.ints({1}), s.ints({s.dice.between(1, 3)})}); break;
    case 2: x = s.add("Pad", {x, s.ints({0, 0, 1, 2, 0, 0, 1, 0})}, {{"mode", s.pick<std::string>({"constant", "edge"})}}); break;
    case 3: x = s.add("GlobalAveragePool", {x}); break;
    case 4: {
      const int64_t c = s.shape(x)[1];
      if (c < 2) throw Rejected{};
      if (s.opset() < 13) throw Rejected{};
      Names parts = s.add_all("Split", {x, s.ints({1, c - 1})}, {{"axis", int64_t{1}}}, 2);
      x = s.add("Mul", {parts[1], parts[0]});
      break;
    }
    default: x = s.add("Resize", {x, "", s.constant(Tensor::floats({4}, {1, 1, 2, 2}))}, {{"mode", std::string("nearest")}}); break;
  }
  if (s.chance(0.7)) conv(s, x);
}

void flatten_dense(Sketch& s) {
  std::string x = conv(s, s.image(DType::f32));
  if (s.chance(0.5)) x = function(s, x);
  std::string flat = s.chance(0.5) ? s.add("Flatten", {x}) : s.add("Reshape", {x, s.ints({s.shape(x)[0], -1})});
  dense(s, flat);
}

/// Sequences: [N,C,L] to [N,L,C] and back around a dense layer or a normalization.
void sequence(Sketch& s) {
  std::string x = conv(s, s.image(DType::f32, 1));
  x = transposed(s, x, {0, 2, 1});
  x = s.chance(0.5) ? dense(s, x) : s.add("Softmax", {x}, {{"axis", int64_t{-1}}});
  transposed(s, x, {0, 2, 1});
}

/// ShuffleNet: split channels by reshape, transpose, reshape back.
void channel_shuffle(Sketch& s) {
  std::string x = s.image(DType::f32, 2);
  Shape shape = s.shape(x);
  if (shape[1] % 2 != 0 || shape[1] < 4) x = s.input(DType::f32, shape = {1, 6, shape[2], shape[3]});
  x = conv(s, x, 4);
  shape = s.shape(x);
  if (shape[1] % 2 != 0) throw Rejected{};
  std::string split = s.add("Reshape", {x, s.ints({shape[0], 2, shape[1] / 2, shape[2], shape[3]})});
  std::string mixed = transposed(s, split, {0, 2, 1, 3, 4});
  conv(s, s.add("Reshape", {mixed, s.ints(shape)}));
}

void space_to_batch(Sketch& s) {
  std::string x = s.any(DType::f32, 2, 4);
  Ints perm = permutation(s, s.rank(x));
  std::string y = transposed(s, x, perm);
  y = s.add("Reshape", {y, s.ints({-1, s.shape(y).back()})});
  transposed(s, y, {1, 0});
}

// --- simplify-reshapes

void reshapes_of_reshapes(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  const Shape shape = s.shape(x);
  std::string y = s.add("Reshape", {x, s.ints({-1})});
  y = s.add("Unsqueeze", {y, s.ints({0})});
  maybe_second_user(s, y);
  y = s.add("Reshape", {y, s.ints(shape)});
  s.add("Sigmoid", {y});
}

void reshape_before_activation(Sketch& s) {
  std::string x = layer(s);
  Shape shape = s.shape(x);
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(s.dice.between(0, static_cast<int64_t>(shape.size()))), 1);
  if (shape.size() > 5) throw Rejected{};
  std::string y = s.add("Reshape", {x, s.ints(shape)});
  if (s.chance(0.4)) y = s.add("Add", {y, s.weights(DType::f32, {shape.back()})});
  maybe_second_user(s, y);
  function(s, y);
}

// --- fold-batchnorm

void batch_norm_after_conv(Sketch& s) {
  std::string x = conv(s, s.image(DType::f32));
  maybe_second_user(s, x);
  const Shape c{s.shape(x)[1]};
  x = s.add("BatchNormalization", {x, s.weights(DType::f32, c, 0.5, 1.5), s.weights(DType::f32, c), s.weights(DType::f32, c, -0.5, 0.5), s.weights(DType::f32, c, 0.5, 2)});
  if (s.chance(0.7)) function(s, x);
}

void batch_norm_before_conv(Sketch& s) {
  std::string x = s.image(DType::f32);
  const Shape c{s.shape(x)[1]};
  x = s.add("BatchNormalization", {x, s.weights(DType::f32, c, 0.5, 1.5), s.weights(DType::f32, c), s.weights(DType::f32, c, -0.5, 0.5), s.weights(DType::f32, c, 0.5, 2)});
  maybe_second_user(s, x);
  conv(s, x, 0, s.chance(0.5));
}

void scale_and_shift(Sketch& s) {
  std::string x = layer(s);
  const bool image = s.rank(x) > 2 && s.chance(0.6);
  auto factor = [&](double low, double high) {
    if (s.chance(0.2)) return s.weights(DType::f32, {}, low, high);
    return image ? per_channel(s, x, low, high) : s.weights(DType::f32, {s.shape(x).back()}, low, high);
  };
  for (int64_t i = s.dice.between(1, 3); i > 0; --i) {
    switch (s.dice.between(0, 4)) {
      case 0: x = s.add("Mul", {factor(0.5, 2), x}); break;
      case 1: x = s.add("Add", {x, factor(-1, 1)}); break;
      case 2: x = s.add("Sub", s.chance(0.5) ? Names{x, factor(-1, 1)} : Names{factor(-1, 1), x}); break;
      case 3: x = s.add("Div", {x, factor(0.5, 2)}); break;
      default: x = s.add("Neg", {x}); break;
    }
    maybe_second_user(s, x);
  }
}

void scale_before_dense(Sketch& s) {
  std::string x = s.any(DType::f32, 2, 3);
  const Shape k{s.shape(x).back()};
  x = s.add("Mul", {x, s.weights(DType::f32, k, 0.5, 1.5)});
  if (s.chance(0.6)) x = s.add("Add", {x, s.weights(DType::f32, k)});
  dense(s, x);
}

// --- fuse-activation

void layer_and_activation(Sketch& s) {
  std::string x = layer(s);
  maybe_second_user(s, x);
  x = function(s, x);
  if (s.chance(0.3)) function(s, x);
}

void binary_and_activation(Sketch& s) {
  std::string a = s.any(DType::f32), b = s.partner(a, 0.5, 1.5);
  std::string x = s.add(s.pick<std::string>({"Add", "Sub", "Mul", "Div", "Max", "Min"}), {a, b});
  maybe_second_user(s, x);
  function(s, x);
}

// --- integer-layers, in a float graph

/// Layers whose weights and operands lie on grids, their results floats.
void quantized_island(Sketch& s) {
  std::string x = s.any(DType::f32, 2, 2);
  std::string scale = s.number(DType::f32, 0.0173), zero = s.number(DType::i8, -3);
  std::string q = s.add("DequantizeLinear", {s.add("QuantizeLinear", {x, scale, zero}), scale, zero});
  const int64_t k = s.shape(x).back(), n = s.dice.between(1, 6);
  std::string w = s.add("DequantizeLinear", {s.weights(DType::i8, {k, n}, -127, 127), s.number(DType::f32, 0.0041), s.number(DType::i8, 0)});
  std::string y = s.add("MatMul", {q, w});
  if (s.chance(0.5)) y = s.add("Relu", {y});
  if (s.chance(0.5)) {
    std::string out = s.number(DType::f32, 0.0291);
    y = s.add("DequantizeLinear", {s.add("QuantizeLinear", {y, out, zero}), out, zero});
  }
}

// --- views, aliases, memory

/// Parts of one buffer that live on while others are overwritten.
void views_of_one(Sketch& s) {
  std::string x = function(s, s.any(DType::f32, 1, 4));
  const int64_t rows = s.shape(x)[0];
  if (rows < 2) throw Rejected{};
  std::string top = s.add("Slice", {x, s.ints({0}), s.ints({rows / 2}), s.ints({0})});
  std::string rest = s.add("Slice", {x, s.ints({rows / 2}), s.ints({rows}), s.ints({0})});
  std::string a = function(s, s.chance(0.5) ? top : s.add("Reshape", {top, s.ints({-1})})), b = s.add("Neg", {rest});
  if (s.shape(a).size() == s.shape(b).size()) s.add("Concat", {s.chance(0.5) ? b : a, s.chance(0.5) ? top : rest}, {{"axis", int64_t{0}}});
  if (s.chance(0.5)) s.add("Mul", {x, x});
}

/// Concatenations of computed values, one of them used again later, and of a value with itself.
void concat_of_results(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  std::string a = function(s, x), b = s.chance(0.3) ? a : s.add("Neg", {x});
  const int64_t axis = s.chance(0.6) ? 0 : s.axis(x);
  std::string joined = s.add("Concat", {a, b, s.chance(0.3) ? x : a}, {{"axis", axis}});
  s.add("Sub", {a, s.chance(0.5) ? b : x});
  if (s.chance(0.5)) s.add("Tanh", {joined});
}

/// A chain that computes in place, with one value kept.
void in_place_chain(Sketch& s) {
  std::string x = s.any(DType::f32), kept;
  for (int64_t i = s.dice.between(3, 5); i > 0; --i) {
    x = s.chance(0.5) ? function(s, x) : s.add("Add", {x, s.partner(x)});
    if (s.chance(0.3)) kept = x;
  }
  if (!kept.empty()) s.add("Mul", {x, kept});
}

/// An input, a constant and views of them handed straight to the outputs.
void outputs_without_computing(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 3);
  s.add("Identity", {x});
  s.add("Reshape", {x, s.ints({-1})});
  s.add("Identity", {s.weights(DType::f32, {3})});
}

void branches(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 3);
  Names ends;
  for (int64_t i = s.dice.between(2, 4); i > 0; --i) {
    std::string y = x;
    for (int64_t k = s.dice.between(1, 3); k > 0; --k) y = s.chance(0.7) ? function(s, y) : s.add("Tile", {y, s.ints(Ints(s.shape(y).size(), 1))});
    ends.push_back(y);
  }
  s.add("Concat", ends, {{"axis", int64_t{0}}});
}

// --- spelled layers

void spelled_layer_norm(Sketch& s) {
  std::string x = s.any(DType::f32, 2, 4);
  if (s.shape(x).back() < 2 || s.opset() >= 18) throw Rejected{};
  Attrs axes{{"axes", Ints{-1}}};
  std::string centred = s.add("Sub", {x, s.add("ReduceMean", {x}, axes)});
  std::string variance = s.add("ReduceMean", {s.chance(0.5) ? s.add("Pow", {centred, s.number(DType::f32, 2)}) : s.add("Mul", {centred, centred})}, axes);
  std::string y = s.add("Div", {centred, s.add("Sqrt", {s.add("Add", {variance, s.number(DType::f32, 1e-2)})})});
  s.add("Add", {s.add("Mul", {y, s.weights(DType::f32, {s.shape(x).back()}, 0.5, 1.5)}), s.weights(DType::f32, {s.shape(x).back()})});
}

void attention(Sketch& s) {
  std::string x = s.any(DType::f32, 3, 3);
  const int64_t k = s.shape(x).back();
  auto projected = [&] { return s.add("MatMul", {x, s.weights(DType::f32, {k, 4}, -0.5, 0.5)}); };
  std::string q = projected(), scores = s.add("MatMul", {q, transposed(s, projected(), {0, 2, 1})});
  scores = s.add("Softmax", {s.add("Div", {scores, s.number(DType::f32, 2)})}, {{"axis", int64_t{-1}}});
  s.add("MatMul", {scores, projected()});
}

void padded_layer(Sketch& s) {
  std::string x = s.image(DType::f32, 2);
  Ints pads{0, 0, s.dice.between(0, 2), s.dice.between(0, 2), 0, 0, s.dice.between(0, 2), s.dice.between(0, 2)};
  Names operands{x, s.ints(pads)};
  if (s.chance(0.3)) operands.push_back(s.number(DType::f32, s.chance(0.5) ? 0 : 0.5));
  x = s.add("Pad", operands);
  maybe_second_user(s, x);
  if (s.chance(0.7)) conv(s, x);
  else s.add("MaxPool", {x}, {{"kernel_shape", Ints{1, 1}}, {"strides", Ints{2, 2}}});
}

}  // namespace

const std::vector<PatternMaker>& pattern_makers() {
  static const std::vector<PatternMaker> all{
      {"fold-constants", "arithmetic on constants", constant_arithmetic},
      {"common-subexpressions", "equal nodes", equal_nodes},
      {"common-subexpressions", "equal layers", equal_layers},
      {"dead-code", "chain that nobody reads", dead_chain},
      {"spelled-quantize", "quantization spelled out", spelled_quantize},
      {"simplify-arithmetic", "neutral operands", neutral_arithmetic},
      {"simplify-arithmetic", "neutral operands that broadcast", neutral_broadcast},
      {"simplify-arithmetic", "clips of clips", clips_of_clips},
      {"simplify-arithmetic", "activations spelled out", spelled_activations},
      {"cancel-transposes", "chain of convolutions", conv_chain},
      {"cancel-transposes", "residual", residual},
      {"cancel-transposes", "pair of transposes", transpose_pair},
      {"cancel-transposes", "moves between layers", moves_between_layers},
      {"cancel-transposes", "flatten and dense", flatten_dense},
      {"cancel-transposes", "sequence", sequence},
      {"cancel-transposes", "channel shuffle", channel_shuffle},
      {"cancel-transposes", "transpose, reshape, transpose", space_to_batch},
      {"simplify-reshapes", "reshapes of reshapes", reshapes_of_reshapes},
      {"simplify-reshapes", "reshape before an activation", reshape_before_activation},
      {"fold-batchnorm", "after a convolution", batch_norm_after_conv},
      {"fold-batchnorm", "before a convolution", batch_norm_before_conv},
      {"fold-batchnorm", "scale and shift", scale_and_shift},
      {"fold-batchnorm", "before a dense layer", scale_before_dense},
      {"fuse-activation", "layer", layer_and_activation},
      {"fuse-activation", "two operands", binary_and_activation},
      {"integer-layers", "quantized layer among floats", quantized_island},
      {"lower", "views of one buffer", views_of_one},
      {"lower", "concatenated results", concat_of_results},
      {"share-memory", "chain in place", in_place_chain},
      {"lower", "outputs without computing", outputs_without_computing},
      {"schedule", "branches", branches},
      {"lower", "layer normalization spelled out", spelled_layer_norm},
      {"lower", "attention", attention},
      {"lower", "padded layer", padded_layer},
  };
  return all;
}

}  // namespace kiln::test
