// SPDX-License-Identifier: Apache-2.0
// ConvInteger, MatMulInteger, MatMulIntegerToFloat and DynamicQuantizeMatMul against their definition as plain loops in int64, and
// against ONNX Runtime where it is installed.
#include "../quantized_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

int64_t at(const Tensor& t, int64_t i) { return static_cast<int64_t>(t.to_doubles()[static_cast<size_t>(i)]); }
/// A zero point operand: one for all, or one per row or column.
int64_t zero_at(const Tensor& t, int64_t i) { return at(t, t.type.elements() == 1 ? 0 : i); }

/// sum (a - a_zero) (w - w_zero) of a [B,M,K] and w [K,N] or [B,K,N].
std::vector<double> products(const Tensor& a, const Tensor& w, const Tensor& a_zero, const Tensor& w_zero) {
  int64_t batches = a.type.shape[0], m = a.type.shape[1], k = a.type.shape[2], n = w.type.shape.back();
  std::vector<double> out;
  std::vector<double> av = a.to_doubles(), wv = w.to_doubles();
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        int64_t sum = 0;
        for (int64_t p = 0; p < k; ++p) {
          auto left = static_cast<int64_t>(av[static_cast<size_t>((b * m + i) * k + p)]);
          auto right = static_cast<int64_t>(wv[static_cast<size_t>(((w.type.rank() == 3 ? b * k : 0) + p) * n + j)]);
          sum += (left - zero_at(a_zero, i)) * (right - zero_at(w_zero, j));
        }
        out.push_back(static_cast<double>(sum));
      }
  return out;
}

Tensor result_of(const Graph& graph, const std::vector<Tensor>& inputs) {
  Result<std::vector<Tensor>> y = evaluate(graph, inputs);
  INFO((y ? "" : y.diagnostic().message));
  REQUIRE(y.ok());
  return y->front();
}

}  // namespace

TEST_CASE("MatMulInteger with zero points that are constant, computed, per row and per column", "[quantized]") {
  struct Case {
    bool constant_w, run_time_a_zero, run_time_w_zero, per_row, per_column;
    const char* operators;
  };
  const Case cases[] = {
      {true, false, false, false, false, "qdense"},
      {true, false, false, false, true, "cast mul qdense reduce_sum sub"},
      {true, true, false, false, false, "cast mul qdense sub"},
      {true, true, true, false, true, "cast mul qdense reduce_sum sub"},
      {false, false, false, false, false, "qmatmul"},
      {false, true, true, false, false, "cast mul qmatmul reduce_sum sub"},
      {false, true, false, true, false, "cast mul qmatmul reduce_sum reshape sub"},
  };
  for (const Case& c : cases)
    for (DType type : {DType::u8, DType::i8}) {
      Dice dice(static_cast<uint32_t>(&c - cases) + 50);
      ModelMaker m;
      std::vector<Tensor> inputs{dice.integers(type, {2, 3, 7})};
      m.input("a", type, {2, 3, 7});
      Tensor w = dice.integers(DType::i8, c.constant_w ? Shape{7, 4} : Shape{2, 7, 4});
      std::string w_name = c.constant_w ? m.constant(w) : m.input("w", DType::i8, w.type.shape);
      if (!c.constant_w) inputs.push_back(w);
      Tensor a_zero = dice.integers(type, c.per_row ? Shape{3} : Shape{}), w_zero = dice.integers(DType::i8, c.per_column ? Shape{4} : Shape{});
      std::string a_zero_name = c.run_time_a_zero ? m.input("za", type, a_zero.type.shape) : m.constant(a_zero);
      if (c.run_time_a_zero) inputs.push_back(a_zero);
      std::string w_zero_name = c.run_time_w_zero ? m.input("zw", DType::i8, w_zero.type.shape) : m.constant(w_zero);
      if (c.run_time_w_zero) inputs.push_back(w_zero);
      m.output(m.node("MatMulInteger", {"a", w_name, a_zero_name, w_zero_name}), DType::i32);
      Prepared p = prepare(m);
      INFO(print_graph(p.optimized, {}));
      CHECK(p.operators() == c.operators);
      std::vector<double> expected = products(inputs[0], w, a_zero, w_zero);
      CHECK(result_of(p.imported, inputs).to_doubles() == expected);
      CHECK(result_of(p.optimized, inputs).to_doubles() == expected);
    }
}

TEST_CASE("MatMulInteger of vectors loses the dimensions they gain", "[quantized]") {
  Dice dice(3);
  Tensor a = dice.integers(DType::u8, {5}), w = dice.integers(DType::i8, {5});
  ModelMaker m;
  m.input("a", DType::u8, {5});
  m.output(m.node("MatMulInteger", {"a", m.constant(w), m.constant(zero_point(DType::u8, 9))}), DType::i32);
  Prepared p = prepare(m);
  CHECK(p.imported.type(p.imported.outputs()[0]).shape.empty());
  double expected = 0;
  for (int64_t i = 0; i < 5; ++i) expected += static_cast<double>((at(a, i) - 9) * at(w, i));
  CHECK(result_of(p.optimized, {a}).to_doubles() == std::vector<double>{expected});
}

TEST_CASE("ConvInteger pads with the zero point, known or computed", "[quantized]") {
  for (int form = 0; form < 8; ++form) {
    bool computed = form % 2 == 1, per_channel = form / 2 % 2 == 1, grouped = form / 4 == 1;
    Dice dice(static_cast<uint32_t>(form) + 80);
    int64_t channels = 4, in_group = grouped ? 1 : 4, out = 4;
    Tensor x = dice.integers(DType::u8, {1, channels, 5, 6}), w = dice.integers(DType::u8, {out, in_group, 3, 2});
    Tensor x_zero = zero_point(DType::u8, 130), w_zero = per_channel ? dice.integers(DType::u8, {out}) : zero_point(DType::u8, 17);
    ModelMaker m;
    m.input("x", DType::u8, x.type.shape);
    std::vector<Tensor> inputs{x};
    std::string zero = computed ? m.input("z", DType::u8, {}) : m.constant(x_zero);
    if (computed) inputs.push_back(x_zero);
    Attrs attrs{{"pads", std::vector<int64_t>{1, 1, 0, 1}}, {"strides", std::vector<int64_t>{1, 2}}, {"group", grouped ? channels : int64_t{1}}};
    m.output(m.node("ConvInteger", {"x", m.constant(w), zero, m.constant(w_zero)}, attrs), DType::i32);
    Prepared p = prepare(m);
    INFO(print_graph(p.optimized, {}));
    CHECK(p.operators() == (computed ? "cast mul pad qconv2d sub transpose" : "qconv2d transpose"));
    Tensor actual = result_of(p.optimized, inputs);
    REQUIRE(actual.type.shape == Shape{1, out, 4, 4});
    std::vector<double> expected;
    for (int64_t o = 0; o < out; ++o)
      for (int64_t i = 0; i < 4; ++i)
        for (int64_t j = 0; j < 4; ++j) {
          int64_t sum = 0;
          for (int64_t c = 0; c < in_group; ++c)
            for (int64_t u = 0; u < 3; ++u)
              for (int64_t v = 0; v < 2; ++v) {
                int64_t row = i + u - 1, column = 2 * j + v - 1, plane = grouped ? o : c;
                bool inside = row >= 0 && row < 5 && column >= 0 && column < 6;
                if (inside) sum += (at(x, (plane * 5 + row) * 6 + column) - 130) * (at(w, ((o * in_group + c) * 3 + u) * 2 + v) - zero_at(w_zero, o));
              }
          expected.push_back(static_cast<double>(sum));
        }
    CHECK(actual.to_doubles() == expected);
    CHECK(result_of(p.imported, inputs).to_doubles() == expected);
    if (!per_channel) CHECK(greatest_step_from_ort(p, 2).value_or(0) == 0);
  }
}

TEST_CASE("dynamically quantized layers keep integer weights and equal ONNX Runtime", "[quantized]") {
  for (int form = 0; form < 4; ++form) {
    Dice dice(static_cast<uint32_t>(form) + 20);
    ModelMaker m;
    m.input("x", DType::f32, {3, 16});
    std::string w = m.constant(dice.integers(DType::i8, {16, 5})), w_scale = m.constant(dice.floats({form % 2 == 0 ? int64_t{1} : 5}, 0.01f, 0.03f));
    std::string bias = m.constant(dice.floats({5}));
    if (form < 2) {
      std::string q = m.node("DynamicQuantizeLinear", {"x"}, {}, "", 3);
      std::string zero = m.constant(Tensor(TensorType{DType::i8, {form % 2 == 0 ? int64_t{1} : 5}, {}}));
      m.output(m.node("MatMulIntegerToFloat", {q, w, q + "_1", w_scale, q + "_2", zero, bias}, {}, "com.microsoft"), DType::f32);
    } else {
      m.output(m.node("DynamicQuantizeMatMul", {"x", w, w_scale, "", bias}, {}, "com.microsoft"), DType::f32);
    }
    Prepared p = prepare(m);
    CHECK(p.operators() == "add cast dynamic_quantize mul qdense sub");
    CHECK(greatest_step(p, 1) <= kOneStep);
    CHECK(greatest_step_from_ort(p, 2).value_or(0) <= kOneStep);
  }
}

TEST_CASE("MatMulIntegerToFloat on constant grids joins the quantized graph around it", "[quantized]") {
  Dice dice(4);
  ModelMaker m;
  m.input("x", DType::f32, {3, 16});
  std::string sx = m.number(0.01f), zx = m.integer<uint8_t>(128), sy = m.number(0.05f), zy = m.integer<uint8_t>(100);
  std::string q = m.node("QuantizeLinear", {"x", sx, zx});
  std::string w = m.constant(dice.integers(DType::i8, {16, 5}));
  std::string y = m.node("MatMulIntegerToFloat", {q, w, sx, m.number(0.02f), zx, "", m.constant(dice.floats({5}))}, {}, "com.microsoft");
  m.output(m.node("QuantizeLinear", {y, sy, zy}), DType::u8);
  Prepared p = prepare(m);
  INFO(print_graph(p.optimized, {}));
  CHECK(p.operators() == "qdense quantize");
  CHECK(greatest_step(p, 1) <= kOneStep);
}

TEST_CASE("what sums of integers cannot have is refused", "[quantized]") {
  auto contains = [](const std::string& text) { return Catch::Matchers::Contains(text); };
  std::string w_text = refusal_of([](ModelMaker& m) {
    m.input("x", DType::u8, {1, 2, 4, 4});
    m.input("w", DType::u8, {3, 2, 1, 1});
    m.output(m.node("ConvInteger", {"x", "w"}), DType::i32);
  });
  CHECK_THAT(w_text, contains("weights computed at run time are not supported."));
  CHECK_THAT(refusal_of([](ModelMaker& m) {
               m.input("x", DType::u8, {1, 2, 4, 4});
               m.input("z", DType::u8, {});
               m.output(m.node("ConvInteger", {"x", m.constant(Dice(1).integers(DType::u8, {3, 2, 1, 1})), "", "z"}), DType::i32);
             }),
             contains("a zero point of the weights that is computed at run time is not supported."));
  CHECK_THAT(refusal_of([](ModelMaker& m) {
               m.input("x", DType::u8, {2, 4});
               m.output(m.node("MatMulInteger", {"x", m.constant(Dice(1).integers(DType::u8, {4, 2})), m.integer<int8_t>(3)}), DType::i32);
             }),
             contains("the zero point of the first operand is i8[], the first operand is u8[2,4]."));
}
