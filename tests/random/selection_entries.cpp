// SPDX-License-Identifier: Apache-2.0
// Operators that write or choose at positions, attention, and transforms.
#include <numeric>

#include "operator_entries.h"

namespace kiln::test {
namespace {

using Names = std::vector<std::string>;
using Ints = std::vector<int64_t>;

Ints shuffled(Sketch& s, int64_t count) {
  Ints list(static_cast<size_t>(count));
  std::iota(list.begin(), list.end(), 0);
  std::shuffle(list.begin(), list.end(), s.dice.engine);
  return list;
}

/// A way to combine that the opset has; "none" where positions are to be different.
std::string reduction(Sketch& s) {
  if (s.opset() < 16 || s.chance(0.5)) return "none";
  return s.opset() < 18 ? s.pick<std::string>({"add", "mul"}) : s.pick<std::string>({"add", "mul", "max", "min"});
}

void make_scatter_elements(Sketch& s) {
  std::string x = s.any(s.chance(0.8) ? DType::f32 : DType::i32, 1, 4);
  const int64_t axis = s.axis(x);
  const auto at = static_cast<size_t>(axis < 0 ? axis + s.rank(x) : axis);
  const int64_t size = s.shape(x)[at], count = s.dice.between(1, size);
  Shape shape = s.shape(x);
  shape[at] = count;
  Tensor where(TensorType{DType::i64, shape, {}});
  const int64_t inner = product(shape, at + 1, shape.size());
  const Ints order = shuffled(s, size);
  for (int64_t i = 0; i < where.type.elements(); ++i) {  // different positions along the axis
    const int64_t k = i / inner % count, lane = i % inner;
    where.as<int64_t>()[static_cast<size_t>(i)] = (order[static_cast<size_t>(k)] + lane) % size - (s.chance(0.2) ? size : 0);
  }
  Attrs attrs{{"axis", axis}};
  if (std::string how = reduction(s); how != "none") attrs.set("reduction", how);
  s.add("ScatterElements", {x, s.constant(where), s.fresh(s.dtype(x), shape, 0, 2)}, attrs);
}

void make_scatter_nd(Sketch& s) {
  std::string x = s.any(s.chance(0.8) ? DType::f32 : DType::i32, 1, 4);
  const int64_t rows = s.shape(x)[0], count = s.dice.between(1, rows);
  Ints order = shuffled(s, rows);
  order.resize(static_cast<size_t>(count));
  Tensor where(TensorType{DType::i64, {count, 1}, {}});
  std::copy(order.begin(), order.end(), where.as<int64_t>().begin());
  Shape shape = s.shape(x);
  shape[0] = count;
  Attrs attrs;
  if (std::string how = reduction(s); how != "none") attrs.set("reduction", how);
  s.add("ScatterND", {x, s.constant(where), s.fresh(s.dtype(x), shape, 0, 2)}, attrs);
}

void make_top_k(Sketch& s) {
  std::string x = s.any(s.chance(0.8) ? DType::f32 : DType::i32, 1, 4);
  const int64_t axis = s.axis(x), size = s.shape(x)[static_cast<size_t>(axis < 0 ? axis + s.rank(x) : axis)];
  s.add_all("TopK", {x, s.ints({s.dice.between(1, size)})}, {{"axis", axis}, {"largest", s.dice.between(0, 1)}}, 2);
}

void make_compress(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  const bool flat = s.chance(0.3);
  const int64_t axis = s.axis(x), size = flat ? s.info(x).type.elements() : s.shape(x)[static_cast<size_t>(axis < 0 ? axis + s.rank(x) : axis)];
  std::string condition = s.weights(DType::boolean, {s.dice.between(1, size)}, 0, 1);
  if (flat) s.add("Compress", {x, condition});
  else s.add("Compress", {x, condition}, {{"axis", axis}});
}

void make_non_zero(Sketch& s) { s.add("NonZero", {s.weights(DType::i32, s.random_shape(1, 3), 0, 1)}); }

void make_unique(Sketch& s) { s.add_all("Unique", {s.weights(DType::i64, s.random_shape(1, 1), 0, 5)}, {{"sorted", s.dice.between(0, 1)}}, 4); }

/// On constants: at run time kiln has as many rows as there can be, ONNX Runtime as many as there are.
void make_suppression(Sketch& s) {
  const int64_t boxes = s.dice.between(2, 6);
  s.add("NonMaxSuppression", {s.weights(DType::f32, {1, boxes, 4}, 0, 1), s.weights(DType::f32, {1, 2, boxes}, 0, 1), s.constant(Tensor::int64s({3})),
                              s.constant(Tensor::floats({1}, {0.4f})), s.constant(Tensor::floats({1}, {0.2f}))});
}

void make_reverse_sequence(Sketch& s) {
  std::string x = s.any(DType::f32, 2, 4);
  const int64_t batch = s.dice.between(0, 1);
  const int64_t time = s.shape(x)[static_cast<size_t>(1 - batch)], sequences = s.shape(x)[static_cast<size_t>(batch)];
  std::string lengths = s.chance(0.5) ? s.weights(DType::i64, {sequences}, 1, static_cast<double>(time)) : s.input(DType::i64, {sequences}, 1, static_cast<double>(time));
  s.add("ReverseSequence", {x, lengths}, {{"batch_axis", batch}, {"time_axis", 1 - batch}});
}

void make_attention(Sketch& s) {
  if (s.opset() < 23) throw Rejected{};
  const int64_t heads = s.dice.between(1, 3), length = s.dice.between(1, 5), positions = s.dice.between(1, 5), size = s.dice.between(1, 4);
  Names operands{s.input(DType::f32, {1, heads, length, size}), s.input(DType::f32, {1, heads, positions, size}), s.input(DType::f32, {1, heads, positions, size})};
  if (s.chance(0.4)) operands.push_back(s.fresh(DType::f32, {length, positions}));
  Attrs attrs;
  if (s.chance(0.3)) attrs.set("is_causal", int64_t{1});
  if (s.chance(0.3)) attrs.set("softcap", 2.0);
  s.add("Attention", operands, attrs);
}

void make_microsoft_attention(Sketch& s) {
  const int64_t heads = s.dice.between(1, 2), hidden = heads * s.dice.between(1, 3);
  std::string x = s.input(DType::f32, {s.dice.between(1, 2), s.dice.between(1, 5), hidden});
  s.add("Attention", {x, s.weights(DType::f32, {hidden, 3 * hidden}), s.weights(DType::f32, {3 * hidden})}, {{"num_heads", heads}}, "com.microsoft");
}

void make_multi_head_attention(Sketch& s) {
  const int64_t heads = s.dice.between(1, 2), hidden = heads * s.dice.between(1, 3), batch = s.dice.between(1, 2);
  const Shape q{batch, s.dice.between(1, 5), hidden}, k{batch, s.dice.between(1, 5), hidden};
  s.add("MultiHeadAttention", {s.input(DType::f32, q), s.input(DType::f32, k), s.input(DType::f32, k)}, {{"num_heads", heads}}, "com.microsoft");
}

void make_rotary_embedding(Sketch& s) {
  if (s.opset() < 23) throw Rejected{};
  const int64_t length = s.dice.between(1, 4), half = s.dice.between(1, 3), batch = s.dice.between(1, 2);
  s.add("RotaryEmbedding", {s.input(DType::f32, {batch, s.dice.between(1, 3), length, 2 * half}), s.weights(DType::f32, {batch, length, half}), s.weights(DType::f32, {batch, length, half})},
        {{"interleaved", s.dice.between(0, 1)}});
}

void make_dft(Sketch& s) {
  if (s.opset() < 17) throw Rejected{};
  std::string x = s.input(DType::f32, {s.dice.between(1, 2), s.dice.between(2, 9), s.dice.between(1, 2)});
  const bool real = s.shape(x).back() == 1;
  Attrs attrs{{"onesided", int64_t{real && s.chance(0.5)}}};
  if (!real && s.chance(0.4)) attrs.set("inverse", int64_t{1});
  if (s.opset() < 20) attrs.set("axis", int64_t{1});
  s.add("DFT", s.opset() < 20 ? Names{x} : Names{x, "", s.number(DType::i64, 1)}, attrs);
}

void make_stft(Sketch& s) {
  if (s.opset() < 17) throw Rejected{};
  const int64_t frame = s.pick<int64_t>({4, 6, 8}), step = s.dice.between(1, 4);
  std::string x = s.input(DType::f32, {s.dice.between(1, 2), frame + step * s.dice.between(1, 4), 1});
  s.add("STFT", {x, s.number(DType::i64, static_cast<double>(step)), s.weights(DType::f32, {frame}, 0.1, 1), s.number(DType::i64, static_cast<double>(frame))},
        {{"onesided", s.dice.between(0, 1)}});
}

void make_einsum(Sketch& s) {
  const int64_t i = s.dice.between(1, 4), j = s.dice.between(1, 4), k = s.dice.between(1, 4), b = s.dice.between(1, 3);
  struct Case {
    std::string equation;
    std::vector<Shape> shapes;
  };
  const Case c = s.pick<Case>({{"ij,jk->ik", {{i, j}, {j, k}}}, {"bij,bjk->bik", {{b, i, j}, {b, j, k}}}, {"bij,bkj->bki", {{b, i, j}, {b, k, j}}}, {"ij->ji", {{i, j}}},
                               {"bij->b", {{b, i, j}}}, {"i,j->ij", {{i}, {j}}}, {"...ij,...jk->...ik", {{b, i, j}, {b, j, k}}}, {"ij,ij", {{i, j}, {i, j}}},
                               {"ij,jk,kb->ib", {{i, j}, {j, k}, {k, b}}}});
  Names operands;
  for (const Shape& shape : c.shapes) operands.push_back(s.fresh(DType::f32, shape));
  s.add("Einsum", operands, {{"equation", c.equation}});
}

void make_mel_weights(Sketch& s) {
  if (s.opset() < 17) throw Rejected{};
  std::string w = s.add("MelWeightMatrix", {s.number(DType::i64, 8), s.number(DType::i64, 16), s.number(DType::i64, 8000), s.number(DType::f32, 0), s.number(DType::f32, 4000)});
  s.add("MatMul", {s.input(DType::f32, {2, 9}), w});
}

}  // namespace

std::vector<OperatorMaker> selection_entries() {
  return {{"ScatterElements", make_scatter_elements}, {"ScatterND", make_scatter_nd}, {"TopK", make_top_k}, {"Compress", make_compress},
          {"NonZero", make_non_zero}, {"Unique", make_unique}, {"NonMaxSuppression", make_suppression}, {"ReverseSequence", make_reverse_sequence},
          {"Attention", make_attention}, {"com.microsoft::Attention", make_microsoft_attention}, {"com.microsoft::MultiHeadAttention", make_multi_head_attention},
          {"RotaryEmbedding", make_rotary_embedding}, {"DFT", make_dft}, {"STFT", make_stft}, {"MelWeightMatrix", make_mel_weights}, {"Einsum", make_einsum}};
}

}  // namespace kiln::test
