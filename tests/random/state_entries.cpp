// SPDX-License-Identifier: Apache-2.0
// Recurrent layers, normalizations, and further operators on images.
#include "operator_entries.h"

namespace kiln::test {
namespace {

using Names = std::vector<std::string>;
using Ints = std::vector<int64_t>;

/// RNN, GRU, LSTM: `gates` rows of weights for each unit.
OperatorMaker recurrent(const std::string& type, int64_t gates) {
  return {type, [=](Sketch& s) {
            const int64_t length = s.dice.between(1, 5), batch = s.dice.between(1, 2), in = s.dice.between(1, 4), units = s.dice.between(1, 4);
            const std::string direction = s.pick<std::string>({"forward", "reverse", "bidirectional"});
            const int64_t ways = direction == "bidirectional" ? 2 : 1;
            Names operands{s.input(DType::f32, {length, batch, in}), s.weights(DType::f32, {ways, gates * units, in}), s.weights(DType::f32, {ways, gates * units, units})};
            if (s.chance(0.6)) operands.push_back(s.weights(DType::f32, {ways, 2 * gates * units}));
            if (operands.size() == 4 && s.chance(0.4)) {
              operands.push_back("");
              operands.push_back(s.fresh(DType::f32, {ways, batch, units}));
            }
            Attrs attrs{{"hidden_size", units}, {"direction", direction}};
            if (type == "GRU") attrs.set("linear_before_reset", s.dice.between(0, 1));
            s.add_all(type, operands, attrs, type == "LSTM" ? 3 : 2);
          }};
}

void make_conv_transpose(Sketch& s) {
  std::string x = s.image(DType::f32);
  const int64_t channels = s.shape(x)[1], out = s.dice.between(1, 3);
  const size_t dims = s.shape(x).size() - 2;
  Shape w{channels, out};
  Ints strides, pads;
  for (size_t i = 0; i < dims; ++i) {
    w.push_back(s.dice.between(1, 3));
    strides.push_back(s.dice.between(1, 2));
  }
  for (size_t i = 0; i < 2 * dims; ++i) pads.push_back(w[2 + i % dims] > 1 && s.shape(x)[2 + i % dims] > 1 ? s.dice.between(0, 1) : 0);
  Names operands{x, s.weights(DType::f32, w, -0.4, 0.4)};
  if (s.chance(0.5)) operands.push_back(s.weights(DType::f32, {out}));
  s.add("ConvTranspose", operands, {{"strides", strides}, {"pads", pads}});
}

void make_instance_norm(Sketch& s) {
  std::string x = s.image(DType::f32, 0, 2);
  const Shape c{s.shape(x)[1]};
  s.add("InstanceNormalization", {x, s.weights(DType::f32, c, 0.5, 1.5), s.weights(DType::f32, c)}, {{"epsilon", 1e-2}});
}

void make_group_norm(Sketch& s) {
  if (s.opset() < 21) throw Rejected{};
  std::string x = s.image(DType::f32, 2, 2);
  const int64_t c = s.shape(x)[1];
  s.add("GroupNormalization", {x, s.weights(DType::f32, {c}, 0.5, 1.5), s.weights(DType::f32, {c})}, {{"num_groups", c % 2 == 0 && s.chance(0.5) ? int64_t{2} : c}, {"epsilon", 1e-2}});
}

void make_lrn(Sketch& s) { s.add("LRN", {s.image(DType::f32, 2)}, {{"size", s.pick<int64_t>({1, 3, 5})}, {"alpha", 0.01}, {"bias", 1.5}}); }

void make_lp_normalization(Sketch& s) {
  std::string x = s.within(s.any(DType::f32, 1, 4), 0.2, 5);
  s.add("LpNormalization", {x}, {{"axis", s.axis(x)}, {"p", s.dice.between(1, 2)}});
}

void make_lp_pool(Sketch& s) {
  std::string x = s.image(DType::f32, 2, 2);
  s.add("LpPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{s.dice.between(1, 2), 1}}, {"p", s.dice.between(1, 2)}});
}

void make_grid_sample(Sketch& s) {
  if (s.opset() < 20) throw Rejected{};
  std::string x = s.image(DType::f32, 2, 2);
  const std::string grid = s.input(DType::f32, {s.shape(x)[0], s.dice.between(1, 4), s.dice.between(1, 4), 2}, -0.95, 0.95);
  s.add("GridSample", {x, grid}, {{"mode", s.pick<std::string>({"linear", "nearest"})}, {"align_corners", s.dice.between(0, 1)},
                                  {"padding_mode", s.pick<std::string>({"zeros", "border"})}});
}

void make_rms_norm(Sketch& s, const std::string& type, int64_t since) {
  if (s.opset() < since) throw Rejected{};
  std::string x = s.any(DType::f32, 2, 4);
  s.add(type, {x, s.weights(DType::f32, {s.shape(x).back()}, 0.5, 1.5)}, {{"axis", int64_t{-1}}, {"epsilon", 1e-2}});
}

void make_skip_layer_norm(Sketch& s) {
  std::string x = s.any(DType::f32, 3, 3);
  const Shape c{s.shape(x).back()};
  if (c[0] < 2) throw Rejected{};
  s.add("SkipLayerNormalization", {x, s.like(x), s.weights(DType::f32, c, 0.5, 1.5), s.weights(DType::f32, c)}, {{"epsilon", 1e-2}}, "com.microsoft");
}

void make_fused_matmul(Sketch& s) {
  std::string a = s.any(DType::f32, 2, 2);
  const bool ta = s.chance(0.5), tb = s.chance(0.5);
  const int64_t k = s.shape(a)[ta ? 0 : 1], n = s.dice.between(1, 5);
  s.add("FusedMatMul", {a, s.fresh(DType::f32, tb ? Shape{n, k} : Shape{k, n}, -0.5, 0.5)}, {{"transA", int64_t{ta}}, {"transB", int64_t{tb}}, {"alpha", 0.5}}, "com.microsoft");
}

void make_fused_gemm(Sketch& s) {
  const std::string a = s.any(DType::f32, 2, 2);
  const int64_t k = s.shape(a).back(), n = s.dice.between(1, 6);
  Attrs attrs{{"transB", int64_t{1}}, {"alpha", 0.5}, {"activation", s.pick<std::string>({"Relu", "Sigmoid", "Tanh", "LeakyRelu"})}};
  if (attrs.s("activation") == "LeakyRelu") attrs.set("activation_alpha", 0.25);
  s.add("FusedGemm", {a, s.weights(DType::f32, {n, k}, -0.5, 0.5), s.weights(DType::f32, {n})}, attrs, "com.microsoft");
}
void make_fused_conv(Sketch& s) {
  std::string x = s.image(DType::f32, 2, 2);
  s.add("FusedConv", {x, s.weights(DType::f32, {3, s.shape(x)[1], 2, 2}, -0.5, 0.5), s.weights(DType::f32, {3})}, {{"activation", s.pick<std::string>({"Relu", "Sigmoid", "Tanh"})}}, "com.microsoft");
}

}  // namespace

std::vector<OperatorMaker> state_entries() {
  return {recurrent("RNN", 1), recurrent("GRU", 3), recurrent("LSTM", 4), {"ConvTranspose", make_conv_transpose}, {"InstanceNormalization", make_instance_norm},
          {"GroupNormalization", make_group_norm}, {"LRN", make_lrn}, {"LpNormalization", make_lp_normalization}, {"LpPool", make_lp_pool},
          {"GlobalLpPool", [](Sketch& s) { s.add("GlobalLpPool", {s.image(DType::f32)}); }}, {"GridSample", make_grid_sample},
          {"MeanVarianceNormalization", [](Sketch& s) { s.add("MeanVarianceNormalization", {s.image(DType::f32, 2, 3)}); }},
          {"RMSNormalization", [](Sketch& s) { make_rms_norm(s, "RMSNormalization", 23); }},
          {"SimplifiedLayerNormalization", [](Sketch& s) { make_rms_norm(s, "SimplifiedLayerNormalization", 13); }},
          {"com.microsoft::SkipLayerNormalization", make_skip_layer_norm}, {"com.microsoft::FusedMatMul", make_fused_matmul}, {"com.microsoft::FusedConv", make_fused_conv},
          {"com.microsoft::FusedGemm", make_fused_gemm}};
}

}  // namespace kiln::test
