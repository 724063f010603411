// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM, folded by GraphBuilder, against the formulas of the ONNX text in double precision.
#include "compiler/ops/recurrent.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <optional>

#include "tests/unit/layers.h"

using namespace kiln;
using layers::Random;

namespace {

struct Function {
  std::string name;
  double alpha = 0, beta = 0;

  double operator()(double x) const {
    if (name == "Relu") return std::max(0.0, x);
    if (name == "Tanh") return std::tanh(x);
    if (name == "Sigmoid") return 1 / (1 + std::exp(-x));
    if (name == "Affine") return alpha * x + beta;
    if (name == "LeakyRelu") return x < 0 ? alpha * x : x;
    if (name == "ThresholdedRelu") return x > alpha ? x : 0;
    if (name == "ScaledTanh") return alpha * std::tanh(beta * x);
    if (name == "HardSigmoid") return std::min(1.0, std::max(0.0, alpha * x + beta));
    if (name == "Elu") return x < 0 ? alpha * (std::exp(x) - 1) : x;
    if (name == "Softsign") return x / (1 + std::fabs(x));
    REQUIRE(name == "Softplus");
    return std::log(1 + std::exp(x));
  }
};

/// Names, and which of alpha and beta each takes.
const std::map<std::string, int> kFunctions = {
    {"Relu", 0},       {"Tanh", 0},        {"Sigmoid", 0}, {"Affine", 2},   {"LeakyRelu", 1}, {"ThresholdedRelu", 1},
    {"ScaledTanh", 2}, {"HardSigmoid", 2}, {"Elu", 1},     {"Softsign", 0}, {"Softplus", 0}};

/// A node with all its operands.
struct Case {
  std::string type;
  int64_t steps, batch, inputs, units, directions, layout;
  bool reverse, before_reset = false, input_forget = false;
  double clip = 0;
  std::vector<Function> functions;  ///< of all directions
  std::vector<std::optional<Tensor>> operands;
  Attrs attrs;

  [[nodiscard]] int64_t gates() const { return type == "RNN" ? 1 : type == "GRU" ? 3 : 4; }
  [[nodiscard]] size_t functions_of_direction() const { return type == "RNN" ? 1 : type == "GRU" ? 2 : 3; }
  [[nodiscard]] bool has(size_t i) const { return i < operands.size() && operands[i]; }
  [[nodiscard]] double get(size_t operand, const std::vector<int64_t>& at) const {
    return has(operand) ? layers::element(*operands[operand], at) : 0;
  }
  [[nodiscard]] int64_t length(int64_t b) const { return has(4) ? operands[4]->as<int32_t>()[static_cast<size_t>(b)] : steps; }
  [[nodiscard]] Shape state_shape() const { return layout ? Shape{batch, directions, units} : Shape{directions, batch, units}; }
  [[nodiscard]] Shape sequence_shape() const {
    return layout ? Shape{batch, steps, directions, units} : Shape{steps, directions, batch, units};
  }
};

using Vector = std::vector<double>;

struct Expected {
  Vector y, h, c;
};

double clipped(const Case& n, double x) { return n.clip > 0 ? std::min(n.clip, std::max(-n.clip, x)) : x; }

/// The sum of gate `g` of `unit`, both products and biases, each scaled.
double gate(const Case& n, int64_t d, int64_t g, int64_t unit, const Vector& x, const Vector& h) {
  const int64_t row = g * n.units + unit, all = n.gates() * n.units;
  double sum = n.get(3, {d, row}) + n.get(3, {d, all + row});
  for (int64_t i = 0; i < n.inputs; ++i) sum += n.get(1, {d, row, i}) * x[static_cast<size_t>(i)];
  for (int64_t i = 0; i < n.units; ++i) sum += n.get(2, {d, row, i}) * h[static_cast<size_t>(i)];
  return sum;
}

void rnn_step(const Case& n, int64_t d, const Function* f, const Vector& x, Vector& h) {
  const Vector old = h;
  for (int64_t j = 0; j < n.units; ++j) h[static_cast<size_t>(j)] = f[0](clipped(n, gate(n, d, 0, j, x, old)));
}

void gru_step(const Case& n, int64_t d, const Function* f, const Vector& x, Vector& h) {
  const Vector old = h, zeros(h.size(), 0), nothing(x.size(), 0);
  Vector z(h.size()), r(h.size());
  for (int64_t j = 0; j < n.units; ++j) {
    z[static_cast<size_t>(j)] = f[0](clipped(n, gate(n, d, 0, j, x, old)));
    r[static_cast<size_t>(j)] = f[0](clipped(n, gate(n, d, 1, j, x, old)));
  }
  for (int64_t j = 0; j < n.units; ++j) {
    const auto u = static_cast<size_t>(j);
    double by_x = n.get(3, {d, 2 * n.units + j}), by_h = n.get(3, {d, 5 * n.units + j});
    for (int64_t i = 0; i < n.inputs; ++i) by_x += n.get(1, {d, 2 * n.units + j, i}) * x[static_cast<size_t>(i)];
    for (int64_t i = 0; i < n.units; ++i)
      by_h += n.get(2, {d, 2 * n.units + j, i}) * old[static_cast<size_t>(i)] * (n.before_reset ? 1 : r[static_cast<size_t>(i)]);
    const double candidate = f[1](clipped(n, by_x + (n.before_reset ? r[u] : 1) * by_h));
    h[u] = (1 - z[u]) * candidate + z[u] * old[u];
  }
}

void lstm_step(const Case& n, int64_t d, const Function* f, const Vector& x, Vector& h, Vector& c) {
  const Vector old = h;
  for (int64_t j = 0; j < n.units; ++j) {
    const auto u = static_cast<size_t>(j);
    const double i = f[0](clipped(n, gate(n, d, 0, j, x, old) + n.get(7, {d, j}) * c[u]));
    const double forget = n.input_forget ? 1 - i : f[0](clipped(n, gate(n, d, 2, j, x, old) + n.get(7, {d, 2 * n.units + j}) * c[u]));
    c[u] = forget * c[u] + i * f[1](clipped(n, gate(n, d, 3, j, x, old)));
    h[u] = f[0](clipped(n, gate(n, d, 1, j, x, old) + n.get(7, {d, n.units + j}) * c[u])) * f[2](c[u]);
  }
}

int64_t flat(const Shape& shape, const std::vector<int64_t>& at) {
  int64_t index = 0;
  for (size_t i = 0; i < at.size(); ++i) index = index * shape[i] + at[i];
  return index;
}

Expected compute(const Case& n) {
  Expected e;
  e.y.assign(static_cast<size_t>(element_count(n.sequence_shape())), 0);
  e.h.assign(static_cast<size_t>(element_count(n.state_shape())), 0);
  e.c = e.h;
  for (int64_t d = 0; d < n.directions; ++d)
    for (int64_t b = 0; b < n.batch; ++b) {
      auto state = [&](int64_t j) { return n.layout ? std::vector<int64_t>{b, d, j} : std::vector<int64_t>{d, b, j}; };
      Vector h, c;
      for (int64_t j = 0; j < n.units; ++j) h.push_back(n.get(5, state(j))), c.push_back(n.get(6, state(j)));
      for (int64_t s = 0; s < n.length(b); ++s) {
        const int64_t t = n.reverse || d == 1 ? n.length(b) - 1 - s : s;
        Vector x;
        for (int64_t i = 0; i < n.inputs; ++i) x.push_back(n.layout ? n.get(0, {b, t, i}) : n.get(0, {t, b, i}));
        const Function* f = &n.functions[static_cast<size_t>(d) * n.functions_of_direction()];
        if (n.type == "RNN")
          rnn_step(n, d, f, x, h);
        else if (n.type == "GRU")
          gru_step(n, d, f, x, h);
        else
          lstm_step(n, d, f, x, h, c);
        for (int64_t j = 0; j < n.units; ++j)
          e.y[static_cast<size_t>(flat(n.sequence_shape(), n.layout ? std::vector<int64_t>{b, t, d, j}
                                                                    : std::vector<int64_t>{t, d, b, j}))] = h[static_cast<size_t>(j)];
      }
      if (n.length(b) == 0) std::fill(h.begin(), h.end(), 0), std::fill(c.begin(), c.end(), 0);  // as ONNX Runtime does
      for (int64_t j = 0; j < n.units; ++j) {
        e.h[static_cast<size_t>(flat(n.state_shape(), state(j)))] = h[static_cast<size_t>(j)];
        e.c[static_cast<size_t>(flat(n.state_shape(), state(j)))] = c[static_cast<size_t>(j)];
      }
    }
  return e;
}

void choose_activations(Random& random, Case& n) {
  const std::vector<std::string> defaults =
      n.type == "RNN" ? std::vector<std::string>{"Tanh"} : std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"};
  const bool given = random.flip();
  std::vector<std::string> names;
  std::vector<double> alphas, betas;
  for (int64_t d = 0; d < n.directions; ++d)
    for (size_t i = 0; i < n.functions_of_direction(); ++i) {
      Function f{defaults[i]};
      if (given) {
        auto chosen = std::next(kFunctions.begin(), random.between(0, static_cast<int64_t>(kFunctions.size()) - 1));
        f.name = chosen->first;
        if (chosen->second > 0) alphas.push_back(f.alpha = static_cast<double>(random.between(1, 8)) / 10);
        if (chosen->second > 1) betas.push_back(f.beta = static_cast<double>(random.between(1, 8)) / 10);
      }
      names.push_back(f.name);
      n.functions.push_back(f);
    }
  if (!given) return;
  n.attrs.set("activations", names);
  if (!alphas.empty()) n.attrs.set("activation_alpha", alphas);
  if (!betas.empty()) n.attrs.set("activation_beta", betas);
}

Case random_case(Random& random, const std::string& type) {
  Case n;
  n.type = type;
  n.steps = random.between(1, 4), n.batch = random.between(1, 3), n.inputs = random.between(1, 5), n.units = random.between(1, 5);
  const int64_t direction = random.between(0, 2);
  n.directions = direction == 2 ? 2 : 1;
  n.reverse = direction == 1;
  n.layout = random.between(0, 1);
  if (direction != 0 || random.flip())
    n.attrs.set("direction", std::string(direction == 0 ? "forward" : direction == 1 ? "reverse" : "bidirectional"));
  if (n.layout) n.attrs.set("layout", int64_t{1});
  if (random.flip()) n.attrs.set("hidden_size", n.units);
  if (type == "GRU" && random.flip()) n.attrs.set("linear_before_reset", int64_t{n.before_reset = true});
  if (type == "LSTM" && random.flip()) n.attrs.set("input_forget", int64_t{n.input_forget = true});
  if (random.flip()) n.attrs.set("clip", n.clip = static_cast<double>(random.between(5, 20)) / 10);
  choose_activations(random, n);
  const int64_t d = n.directions, all = n.gates() * n.units;
  n.operands = {random.tensor(n.layout ? Shape{n.batch, n.steps, n.inputs} : Shape{n.steps, n.batch, n.inputs}),
                random.tensor({d, all, n.inputs}), random.tensor({d, all, n.units})};
  auto optional = [&](const Shape& shape) { return random.flip() ? std::optional(random.tensor(shape)) : std::nullopt; };
  n.operands.push_back(optional({d, 2 * all}));
  n.operands.emplace_back();
  if (random.between(0, 3) == 0) {
    std::vector<int32_t> lengths;
    for (int64_t b = 0; b < n.batch; ++b) lengths.push_back(static_cast<int32_t>(random.between(0, n.steps)));
    n.operands.back() = Tensor::of<int32_t>({n.batch}, lengths);
  }
  n.operands.push_back(optional(n.state_shape()));
  if (type != "LSTM") return n;
  n.operands.push_back(optional(n.state_shape()));
  n.operands.push_back(optional({d, 3 * n.units}));
  return n;
}

/// The constants that the outputs which `used` wants fold to.
std::vector<std::optional<Tensor>> fold_node(const Case& n, const std::vector<bool>& used) {
  Graph graph;
  GraphBuilder b(graph, {"node"});
  OnnxNode node;
  node.type = n.type;
  node.name = "node";
  node.opset = 14;
  node.attrs = n.attrs;
  for (const std::optional<Tensor>& t : n.operands) node.inputs.push_back(t ? graph.add_constant("c", *t) : kNoValue);
  node.output_count = used.size();
  node.output_used = used;
  Result<std::vector<ValueId>> out = op_table().find_onnx("", n.type)->import(node, b);
  if (!out) FAIL(out.diagnostic().message);
  std::vector<std::optional<Tensor>> tensors;
  for (size_t i = 0; i < used.size(); ++i) tensors.push_back(used[i] ? std::optional(*graph.constant((*out)[i])) : std::nullopt);
  return tensors;
}

}  // namespace

TEST_CASE("recurrent layers of all attributes compute their formulas") {
  Random random(1);
  for (int i = 0; i < 600; ++i) {
    const Case n = random_case(random, std::vector<std::string>{"RNN", "GRU", "LSTM"}[static_cast<size_t>(i % 3)]);
    std::vector<bool> used{random.flip(), random.flip()};
    if (n.type == "LSTM") used.push_back(random.flip());
    const Expected want = compute(n);
    const std::vector<std::optional<Tensor>> got = fold_node(n, used);
    INFO("case " << i << ", " << n.type << " of " << n.steps << " steps, " << n.batch << " in the batch, " << n.units << " units");
    if (used[0]) layers::check_close(*got[0], n.sequence_shape(), want.y);
    if (used[1]) layers::check_close(*got[1], n.state_shape(), want.h);
    if (used.size() > 2 && used[2]) layers::check_close(*got[2], n.state_shape(), want.c);
  }
}

TEST_CASE("activations without parameters have those of ONNX") {
  const std::map<std::string, std::pair<double, double>> defaults = {
      {"LeakyRelu", {0.01, 0}}, {"HardSigmoid", {0.2, 0.5}}, {"Elu", {1, 0}}};
  Random random(2);
  for (const auto& [name, parameters] : defaults) {
    Case n;
    n.type = "RNN";
    n.steps = 3, n.batch = 2, n.inputs = 3, n.units = 4, n.directions = 1, n.layout = 0, n.reverse = false;
    n.functions = {{name, parameters.first, parameters.second}};
    std::string written = name;
    written[0] = static_cast<char>(std::tolower(written[0]));  // case does not matter
    n.attrs.set("activations", std::vector<std::string>{written});
    n.operands = {random.tensor({3, 2, 3}), random.tensor({1, 4, 3}), random.tensor({1, 4, 4})};
    INFO(name);
    layers::check_close(*fold_node(n, {true, false})[0], n.sequence_shape(), compute(n).y);
  }
}

TEST_CASE("parameters of activations belong to those that take them") {
  Random random(3);
  Case n;
  n.type = "LSTM";
  n.steps = 2, n.batch = 1, n.inputs = 2, n.units = 3, n.directions = 1, n.layout = 0, n.reverse = false;
  n.functions = {{"Sigmoid"}, {"LeakyRelu", 0.3}, {"ScaledTanh", 0.7, 0.9}};
  n.attrs = {{"activations", std::vector<std::string>{"Sigmoid", "LeakyRelu", "ScaledTanh"}},
             {"activation_alpha", std::vector<double>{0.3, 0.7}},
             {"activation_beta", std::vector<double>{0.9}}};
  n.operands = {random.tensor({2, 1, 2}), random.tensor({1, 12, 2}), random.tensor({1, 12, 3})};
  layers::check_close(*fold_node(n, {true, false, false})[0], n.sequence_shape(), compute(n).y);
}

TEST_CASE("a single step is its own sequence, and full lengths are no operand") {
  Graph graph;
  GraphBuilder b(graph, {"node"});
  ValueId x = graph.add_input("x", {DType::f32, {1, 2, 3}, {}});
  Random random(4);
  OnnxNode node{"",
                "GRU",
                "node",
                14,
                {},
                {x, b.add_constant(random.tensor({1, 12, 3})), b.add_constant(random.tensor({1, 12, 4})), kNoValue,
                 b.add_constant(Tensor::of<int32_t>({2}, std::vector<int32_t>{1, 1}))},
                2,
                {true, true}};
  Result<std::vector<ValueId>> out = ops::gru.import(node, b);
  REQUIRE(out.ok());
  const Node& reshape = *graph.producer((*out)[0]);
  CHECK(reshape.op == &ops::reshape);
  CHECK(reshape.inputs[0] == (*out)[1]);
  const Node& gru = *graph.producer((*out)[1]);
  CHECK(gru.inputs.size() == 4);
  CHECK(gru.attrs.i("sequence") == 0);
}

TEST_CASE("recurrent layers refuse what cannot be") {
  Random random(5);
  const Tensor x = random.tensor({2, 1, 3}), w = random.tensor({1, 16, 3}), r = random.tensor({1, 16, 4});
  auto failure = [&](std::vector<std::optional<Tensor>> inputs, Attrs attrs = {}) {
    return layers::failure("LSTM", inputs, std::move(attrs));
  };
  CHECK(failure({random.tensor({2, 3}), w, r}) == "x is f32[2,3] and r f32[1,16,4], both must have 3 dimensions.");
  CHECK(failure({x, random.tensor({1, 16, 2}), r}) == "w is f32[1,16,2], it must be [1,16,3].");
  CHECK(failure({x, w, random.tensor({1, 12, 4})}) == "r is f32[1,12,4], it must be [1,16,4].");
  CHECK(failure({x, w, r, random.tensor({1, 16})}) == "the bias is f32[1,16], it must be [1,32].");
  CHECK(failure({x, w, r, std::nullopt, std::nullopt, random.tensor({1, 2, 4})}) == "the initial h is f32[1,2,4], it must be [1,1,4].");
  CHECK(failure({x, w, r, std::nullopt, random.tensor({1})}) == "the list of lengths is f32[1], it must be one of integers.");
  CHECK(failure({x, w, r, std::nullopt, Tensor::of<int32_t>({1}, std::vector<int32_t>{3})}) ==
        "a sequence of length 3 does not fit 2 steps.");
  CHECK(failure({x, w, r}, {{"direction", std::string("backward")}}) ==
        "direction 'backward' is none of forward, reverse and bidirectional.");
  CHECK(failure({x, w, r}, {{"hidden_size", int64_t{5}}}) == "hidden_size is 5, r is f32[1,16,4].");
  CHECK(failure({x, w, r}, {{"activations", std::vector<std::string>{"Tanh"}}}) == "1 activations are given, there must be 3.");
  CHECK(failure({x, w, r}, {{"activations", std::vector<std::string>{"Tanh", "Sine", "Tanh"}}}) ==
        "activation 'Sine' is none that LSTM has.");
  for (const char* name : {"Affine", "ScaledTanh", "ThresholdedRelu"})
    CHECK(failure({x, w, r}, {{"activations", std::vector<std::string>{"Sigmoid", name, "Tanh"}}}) ==
          "activation '" + std::string(name) + "' is given without its parameters, for which there is no agreed default.");
  CHECK(failure({x, w, r}, {{"clip", -1.0}}) == "clip is -1, it must not be negative.");
}
