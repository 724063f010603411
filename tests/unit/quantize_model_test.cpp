// SPDX-License-Identifier: Apache-2.0
// The quantizer on small models: what it prepares, what it writes, and that ONNX Runtime computes what it foretold.
#include <catch2/catch.hpp>
#include <cmath>

#include "compiler/frontend/onnx_graph.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "compiler/quantize/equalize.h"
#include "compiler/quantize/prepare.h"
#include "compiler/quantize/quantizer.h"
#include "compiler/quantize/units.h"
#include "compiler/reference/onnxruntime.h"
#include "tests/onnx_models.h"
#include "tests/skip.h"

using namespace kiln;

namespace {

/// conv - batch norm - relu - depthwise conv - clip - pool - reshape - gemm - softmax, with a residual connection.
constexpr const char* kNetwork = R"(agraph (float[1,3,8,8] x) => (float[1,5] y) {
  c = Conv<pads = [1,1,1,1]>(x, w1)
  n = BatchNormalization(c, gamma, beta, mean, var)
  r = Relu(n)
  d = Conv<group = 4, pads = [1,1,1,1]>(r, w2, b2)
  k = Clip(d, low, high)
  a = Add(r, k)
  p = GlobalAveragePool(a)
  f = Flatten(p)
  g = Gemm<transB = 1>(f, w3, b3)
  y = Softmax(g)
})";

void add_random(onnx::ModelProto& model, const std::string& name, Shape shape, uint64_t seed, double offset = 0, double factor = 1) {
  Tensor tensor = random_tensor({DType::f32, std::move(shape), {}}, seed);
  onnx::TensorProto& proto = *model.mutable_graph()->add_initializer();
  proto.set_name(name);
  proto.set_data_type(onnx::TensorProto::FLOAT);
  for (int64_t dim : tensor.type.shape) proto.add_dims(dim);
  for (float v : tensor.as<float>()) proto.add_float_data(static_cast<float>(static_cast<double>(v) * factor + offset));
}

void add_scalar(onnx::ModelProto& model, const std::string& name, float value) {
  onnx::TensorProto& proto = *model.mutable_graph()->add_initializer();
  proto.set_name(name);
  proto.set_data_type(onnx::TensorProto::FLOAT);
  proto.add_float_data(value);
}

onnx::ModelProto network(int opset = 13) {
  onnx::ModelProto model = test::graph_model(kNetwork, opset);
  add_random(model, "w1", {4, 3, 3, 3}, 1);
  add_random(model, "gamma", {4}, 2, 1, 0.5);
  add_random(model, "beta", {4}, 3);
  add_random(model, "mean", {4}, 4);
  add_random(model, "var", {4}, 5, 1.5);
  add_random(model, "w2", {4, 1, 3, 3}, 6);
  add_random(model, "b2", {4}, 7);
  add_scalar(model, "low", 0);
  add_scalar(model, "high", 6);
  add_random(model, "w3", {5, 4}, 8);
  add_random(model, "b3", {5}, 9);
  return model;
}

struct Loaded {
  OnnxGraph graph;
  std::filesystem::path path = "model.onnx";
};

OnnxGraph read_back(const std::string& bytes) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  REQUIRE(write_file(folder->path() / "model.onnx", bytes).ok());
  Result<OnnxGraph> graph = read_onnx_graph(folder->path() / "model.onnx");
  if (!graph) FAIL(to_string(graph.diagnostic()));
  return *std::move(graph);
}

OnnxGraph onnx_graph(const onnx::ModelProto& model) { return read_back(model.SerializeAsString()); }

Graph imported(const OnnxGraph& graph) {
  Result<std::string> bytes = onnx_graph_bytes(graph);
  REQUIRE(bytes.ok());
  test::Imported result = test::import_bytes(*bytes);
  INFO(result.text());
  REQUIRE(result.model);
  return result.graph();
}

std::vector<Sample> random_samples(const Graph& graph, size_t count, uint64_t seed = 100) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < count; ++i) {
    Sample sample;
    for (ValueId input : graph.inputs) sample.push_back(random_tensor(graph.type(input), ++seed));
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::vector<float> outputs_of(const Graph& graph, const Sample& sample) {
  Result<std::vector<Tensor>> out = evaluate(graph, sample);
  REQUIRE(out.ok());
  std::span<const float> y = out->front().as<float>();
  return {y.begin(), y.end()};
}

void check_same_results(const Graph& a, const Graph& b, double tolerance) {
  for (const Sample& sample : random_samples(a, 3, 77)) {
    std::vector<float> x = outputs_of(a, sample), y = outputs_of(b, sample);
    REQUIRE(x.size() == y.size());
    for (size_t i = 0; i < x.size(); ++i) CHECK(std::fabs(x[i] - y[i]) <= tolerance * (1 + std::fabs(x[i])));
  }
}

ChannelReach reach_of(const OnnxGraph& graph) {
  Graph float_graph = imported(graph);
  Result<ChannelReach> reach = channel_reach(float_graph, graph, random_samples(float_graph, 4));
  REQUIRE(reach.ok());
  return *std::move(reach);
}

QuantizedModel quantized(const onnx::ModelProto& model, const QuantizeOptions& options = {}, size_t samples = 20) {
  OnnxGraph graph = onnx_graph(model);
  std::vector<Sample> data = random_samples(imported(graph), samples);
  Diagnostics diagnostics;
  std::optional<QuantizedModel> result = quantize_model(
      std::move(graph), "model.onnx", {}, data, options, [](auto...) {}, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(result);
  return *std::move(result);
}

Diagnostic failure(OnnxGraph graph, const std::vector<Sample>& samples, const QuantizeOptions& options = {}) {
  Diagnostics diagnostics;
  CHECK(!quantize_model(
      std::move(graph), "model.onnx", {}, samples, options, [](auto...) {}, diagnostics));
  REQUIRE(diagnostics.all().size() == 1);
  return diagnostics.all().front();
}

size_t count_nodes(const OnnxGraph& graph, std::string_view type) {
  return static_cast<size_t>(std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const OnnxGraphNode& n) { return n.type == type; }));
}

const OnnxGraphNode& maker_of(const OnnxGraph& graph, const std::string& tensor) {
  for (const OnnxGraphNode& node : graph.nodes)
    if (std::find(node.outputs.begin(), node.outputs.end(), tensor) != node.outputs.end()) return node;
  FAIL("nothing makes " << tensor);
  std::abort();
}

}  // namespace

TEST_CASE("a model that is read and written again computes the same, with Constant nodes as initializers") {
  onnx::ModelProto model = test::graph_model(R"(agraph (float[2,3] x) => (float[2,3] y, float[3,2] z) {
    c = Constant<value_float = 2.5>()
    y = Mul(x, c)
    t = Transpose<perm = [1,0]>(y)
    z = LeakyRelu<alpha = 0.125>(t)
  })");
  OnnxGraph graph = onnx_graph(model);
  CHECK(graph.nodes.size() == 3);
  CHECK(graph.initializers.count("c") == 1);
  OnnxGraph folded = onnx_graph(test::graph_model(R"(agraph (float[2,3] x) => (float[2,2] y, float[3] k) {
    w = Constant<value_floats = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]>()
    s = Constant<value_ints = [3, 2]>()
    r = Reshape(w, s)
    y = MatMul(x, r)
    k = Constant<value_floats = [1.0, 2.0, 3.0]>()
  })"));
  CHECK(folded.nodes.size() == 2);  // k is an output, which a node must make
  CHECK(folded.initializers.at("r") == Tensor::floats({3, 2}, {1, 2, 3, 4, 5, 6}));
  CHECK(graph.inputs == std::vector<std::string>{"x"});
  CHECK(graph.outputs == std::vector<std::string>{"y", "z"});
  CHECK(graph.unique_name("y") == "y_1");
  check_same_results(test::import_proto(model).graph(), imported(graph), 0);
  CHECK(*onnx_graph_bytes(graph) == *onnx_graph_bytes(read_back(*onnx_graph_bytes(graph))));
}

TEST_CASE("batch normalization becomes part of the layer before it, or a layer of its own") {
  OnnxGraph graph = onnx_graph(network());
  Graph before = imported(graph);
  simplify_for_quantization(graph, tensor_types(before, graph));
  CHECK(count_nodes(graph, "BatchNormalization") == 0);
  CHECK(graph.nodes.size() == 9);
  check_same_results(before, imported(graph), 1e-5);

  onnx::ModelProto alone = test::graph_model(
      "agraph (float[1,4,5,5] x) => (float[1,4,5,5] y) { r = Relu(x)\n y = BatchNormalization(r, gamma, beta, mean, var) }");
  for (auto [name, seed] : {std::pair("gamma", 1), {"beta", 2}, {"mean", 3}}) add_random(alone, name, {4}, static_cast<uint64_t>(seed));
  add_random(alone, "var", {4}, 5, 1.5);
  OnnxGraph own = onnx_graph(alone);
  before = imported(own);
  simplify_for_quantization(own, tensor_types(before, own));
  CHECK(count_nodes(own, "Conv") == 1);
  check_same_results(before, imported(own), 1e-5);
}

TEST_CASE("Gemm gets plain factors and a bias of one dimension; Identity goes away") {
  onnx::ModelProto model = test::graph_model(R"(agraph (float[2,3] x) => (float[2,4] y) {
    i = Identity(x)
    d, mask = Dropout(i)
    g = Gemm<alpha = 0.5, beta = 2.0>(d, w, c)
    y = Relu(g)
  })");
  add_random(model, "w", {3, 4}, 1);
  add_scalar(model, "c", 0.75f);
  OnnxGraph graph = onnx_graph(model);
  Graph before = imported(graph);
  simplify_for_quantization(graph, tensor_types(before, graph));
  REQUIRE(graph.nodes.size() == 2);
  CHECK(graph.nodes[0].attrs.all().empty());
  CHECK(graph.nodes[0].inputs[0] == "x");
  CHECK(graph.initializers.at(graph.nodes[0].inputs[2]).type.shape == Shape{4});
  check_same_results(before, imported(graph), 1e-6);
}

TEST_CASE("equalisation changes weights, not results") {
  OnnxGraph graph = onnx_graph(network());
  Graph before = imported(graph);
  simplify_for_quantization(graph, tensor_types(before, graph));
  // The tensor behind the first layer is also added later on, and Clip stands behind the second: no pairs.
  CHECK(equalize_layers(graph, reach_of(graph)) == 0);

  onnx::ModelProto chain = test::graph_model(R"(agraph (float[1,3,8,8] x) => (float[1,5,3,3] y) {
    a = Conv<pads = [1,1,1,1]>(x, w1, b1)
    r = Relu(a)
    b = Conv<group = 4>(r, w2)
    l = LeakyRelu<alpha = 0.2>(b)
    p = MaxPool<kernel_shape = [2,2], strides = [2,2]>(l)
    y = Conv(p, w3)
  })");
  add_random(chain, "w1", {4, 3, 3, 3}, 1);
  add_random(chain, "b1", {4}, 2);
  add_random(chain, "w2", {4, 1, 3, 3}, 3, 0, 100);
  add_random(chain, "w3", {5, 4, 1, 1}, 4);
  OnnxGraph uneven = onnx_graph(chain);
  before = imported(uneven);
  simplify_for_quantization(uneven, tensor_types(before, uneven));
  Tensor w2 = uneven.initializers.at("w2");
  CHECK(equalize_layers(uneven, reach_of(uneven)) == 2);
  CHECK(uneven.initializers.at("w2") != w2);
  check_same_results(before, imported(uneven), 1e-5);
}

TEST_CASE("equalisation evens out weights as far as activations let it") {
  onnx::ModelProto chain = test::graph_model(R"(agraph (float[1,3,8,8] x) => (float[1,5,8,8] y) {
    a = Conv<pads = [1,1,1,1]>(x, w1, b1)
    r = Relu(a)
    b = Conv<group = 4, pads = [1,1,1,1]>(r, w2)
    y = Conv(b, w3)
  })");
  add_random(chain, "w1", {4, 3, 3, 3}, 1);
  add_random(chain, "b1", {4}, 2);
  add_random(chain, "w2", {4, 1, 3, 3}, 3, 0, 100);
  add_random(chain, "w3", {5, 4, 1, 1}, 4);
  OnnxGraph even = onnx_graph(chain), guarded = even;
  // Where activations allow everything, the largest weight that makes a channel becomes as large as the largest that reads it.
  CHECK(equalize_layers(even, {{"a", {0, 0, 0, 1}}, {"b", {0, 0, 0, 1}}}) == 2);
  auto largest = [&](const char* name, size_t first, size_t count, size_t stride) {
    std::span<const float> w = even.initializers.at(name).as<float>();
    float most = 0;
    for (size_t i = 0; i < count; ++i) most = std::max(most, std::fabs(w[first + i * stride]));
    return most;
  };
  for (size_t c = 0; c < 3; ++c) {
    CHECK(largest("w1", c * 27, 27, 1) == Approx(largest("w2", c * 9, 9, 1)).epsilon(0.01));
    CHECK(largest("w2", c * 9, 9, 1) == Approx(largest("w3", c, 5, 4)).epsilon(0.01));
  }
  // No channel comes to reach further than the furthest did.
  std::vector<Sample> samples = random_samples(imported(guarded), 4);
  ChannelReach before = *channel_reach(imported(guarded), guarded, samples);
  CHECK(equalize_layers(guarded, before) == 2);
  ChannelReach after = *channel_reach(imported(guarded), guarded, samples);
  for (const char* tensor : {"a", "b"}) {
    double furthest = *std::max_element(before.at(tensor).begin(), before.at(tensor).end());
    for (double reach : after.at(tensor)) CHECK(reach <= furthest * 1.001);
  }
}

TEST_CASE("units take the bias and the activation behind them") {
  OnnxGraph graph = onnx_graph(network());
  Graph float_graph = imported(graph);
  simplify_for_quantization(graph, tensor_types(float_graph, graph));
  std::vector<Unit> units = find_units(graph, tensor_types(imported(graph), graph), {});
  REQUIRE(units.size() == 7);
  CHECK(units[0].nodes.size() == 2);  // Conv, Relu
  CHECK(units[0].summed == "n");
  CHECK(units[0].outputs == std::vector<std::string>{"r"});
  CHECK(units[1].nodes.size() == 2);  // Conv, Clip
  CHECK(units[2].kind == UnitKind::compute);
  CHECK(units[4].kind == UnitKind::move);
  CHECK(units[5].kind == UnitKind::layer);
  CHECK(find_units(graph, tensor_types(imported(graph), graph), {graph.nodes[1].name}).size() ==
        6);  // the Relu, and so the layer it belongs to
}

TEST_CASE("the quantized model has pairs behind tensors, integers for weights, and one grid where elements only move") {
  QuantizedModel model = quantized(network());
  OnnxGraph graph = read_back(model.bytes);
  CHECK(model.float_nodes.empty());
  CHECK(model.units.size() == 7);
  CHECK(count_nodes(graph, "QuantizeLinear") == 8);  // x, r, k, a, p, f, g, y
  CHECK(count_nodes(graph, "DequantizeLinear") == 8 + 6);
  CHECK(graph.outputs == std::vector<std::string>{"y"});
  const OnnxGraphNode& conv = maker_of(graph, "n");
  CHECK(conv.inputs[0] == "x_dequantized");
  const OnnxGraphNode& weights = maker_of(graph, conv.inputs[1]);
  CHECK(weights.attrs.i("axis", -1) == 0);
  CHECK(graph.initializers.at(weights.inputs[0]).type == TensorType{DType::i8, {4, 3, 3, 3}, {}});
  CHECK(graph.initializers.at(weights.inputs[1]).type.shape == Shape{4});
  const OnnxGraphNode& bias = maker_of(graph, conv.inputs[2]);
  CHECK(graph.initializers.at(bias.inputs[0]).type == TensorType{DType::i32, {4}, {}});
  float x_scale = graph.initializers.at(maker_of(graph, "x_dequantized").inputs[1]).as<float>()[0];
  for (size_t c = 0; c < 4; ++c)
    CHECK(graph.initializers.at(bias.inputs[1]).as<float>()[c] == x_scale * graph.initializers.at(weights.inputs[1]).as<float>()[c]);
  CHECK(maker_of(graph, "p_quantized").inputs[1] == maker_of(graph, "f_quantized").inputs[1]);
  CHECK(graph.initializers.at(maker_of(graph, "y_quantized").inputs[1]).as<float>()[0] == 1.0f / 256);
  CHECK(model.outputs[0].snr > 25);
}

TEST_CASE("every quantized result has a ratio of signal to noise, one that is its input moved about that of the input") {
  QuantizedModel model = quantized(network());
  for (size_t i = 0; i < model.units.size(); ++i) {
    INFO(model.units[i].type);
    REQUIRE(model.units[i].snr);
    CHECK(*model.units[i].snr > 10);
    if (model.units[i].kind == UnitKind::move) CHECK(model.units[i].snr == model.units[i - 1].snr);
  }
  // A transpose that the passes cancel, before and after a layer.
  onnx::ModelProto moved = test::graph_model(R"(agraph (float[1,4,4,3] x) => (float[1,4,4,2] y) {
    a = Transpose<perm = [0,3,1,2]>(x)
    b = Conv(a, w)
    y = Transpose<perm = [0,2,3,1]>(b)
  })");
  add_random(moved, "w", {2, 3, 1, 1}, 1);
  for (const QuantizedUnit& unit : quantized(moved).units) {
    INFO(unit.type);
    REQUIRE(unit.snr);
    CHECK(*unit.snr > 10);
  }
}

TEST_CASE("the same model and data give the same bytes") {
  QuantizeOptions options;
  options.correct.rounding = true;
  CHECK(quantized(network(), options).bytes == quantized(network(), options).bytes);
}

TEST_CASE("ONNX Runtime computes the quantized model as the quantizer foretold") {
  Result<OnnxRuntime> runtime = OnnxRuntime::load();
  if (!runtime) {
    KILN_SKIP(to_string(runtime.diagnostic()));
    return;
  }
  for (DType dtype : {DType::i8, DType::i16}) {
    QuantizeOptions options;
    options.ranges.dtype = dtype;
    QuantizedModel model = quantized(network(), options);
    Graph float_graph = imported(onnx_graph(network()));
    Result<OrtSession> session = runtime->open(model.bytes, OrtOptimization::none);
    if (!session) FAIL(to_string(session.diagnostic()));
    Noise noise;
    for (const Sample& sample : random_samples(float_graph, 20)) {
      Result<std::vector<Tensor>> got = session->run(sample);
      REQUIRE(got.ok());
      std::vector<float> expected = outputs_of(float_graph, sample);
      for (size_t i = 0; i < expected.size(); ++i) {
        double signal = static_cast<double>(expected[i]), error = static_cast<double>(got->front().as<float>()[i]) - signal;
        noise.signal += signal * signal;
        noise.noise += error * error;
      }
    }
    // Rounding ties of float sums may fall differently, hence not exactly.
    CHECK(noise.snr() == Approx(model.outputs[0].snr).margin(0.3));
    CHECK(noise.snr() > (dtype == DType::i8 ? 25 : 40));
  }
}

TEST_CASE("bias correction takes the mean error off, rounding by outputs lowers the error") {
  QuantizeOptions plain, corrected, rounded;
  plain.correct.bias = false;
  rounded.correct = {.bias = false, .rounding = true};
  auto snr_of = [](const QuantizedModel& model, const std::string& name) {
    for (const QuantizedUnit& unit : model.units)
      if (unit.name == name) return unit.snr.value();
    FAIL("no unit " << name);
    return 0.0;
  };
  onnx::ModelProto model = test::graph_model("agraph (float[1,64] x) => (float[1,16] y) { y = Gemm<transB = 1>(x, w, b) }");
  add_random(model, "w", {16, 64}, 1);
  add_random(model, "b", {16}, 2, 3);
  for (onnx::NodeProto& node : *model.mutable_graph()->mutable_node()) node.set_name("layer");
  QuantizedModel nearest = quantized(model, plain, 200), better = quantized(model, rounded, 200);
  CHECK(snr_of(better, "layer") > snr_of(nearest, "layer") + 0.1);
  // Inputs far from zero make the rounding errors of the weights a mean error.
  OnnxGraph graph = onnx_graph(model);
  std::vector<Sample> samples = random_samples(imported(graph), 50);
  for (Sample& sample : samples)
    for (float& v : sample[0].as<float>()) v = v * 0.1f + 1;
  Diagnostics diagnostics;
  std::optional<QuantizedModel> a = quantize_model(
      graph, "m.onnx", {}, samples, plain, [](auto...) {}, diagnostics);
  std::optional<QuantizedModel> b = quantize_model(
      graph, "m.onnx", {}, samples, corrected, [](auto...) {}, diagnostics);
  REQUIRE(a);
  REQUIRE(b);
  CHECK(snr_of(*b, "layer") > snr_of(*a, "layer") + 1);
}

TEST_CASE("old models are raised to opset 13 and compute the same") {
  const char* old = R"(agraph (float[1,4,6,6] x) => (float[1,36] y) {
    c = Clip<min = 0.0, max = 0.5>(x)
    p = Pad<pads = [0,0,0,0,0,0,1,1]>(c)
    s = Slice<starts = [1,1], ends = [7,7], axes = [2,3]>(p)
    m = ReduceSum<axes = [1], keepdims = 1>(s)
    q = Squeeze<axes = [1]>(m)
    u = Unsqueeze<axes = [1]>(q)
    f = Flatten(u)
    d = Dropout<ratio = 0.3>(f)
    y = Softmax(d)
  })";
  onnx::ModelProto model = test::graph_model(old, 9);
  OnnxGraph graph = onnx_graph(model);
  Graph before = imported(graph);
  REQUIRE(raise_opset(graph, tensor_types(before, graph)).ok());
  CHECK(graph.opsets.at("") == 13);
  check_same_results(before, imported(graph), 0);
  onnx::ModelProto resize =
      test::graph_model("agraph (float[1,2,3,3] x) => (float[1,2,6,6] y) { y = Upsample<mode = \"nearest\">(x, s) }", 9);
  onnx::TensorProto& scales = *resize.mutable_graph()->add_initializer();
  scales.set_name("s");
  scales.set_data_type(onnx::TensorProto::FLOAT);
  scales.add_dims(4);
  for (float v : {1.0f, 1.0f, 2.0f, 2.0f}) scales.add_float_data(v);
  graph = onnx_graph(resize);
  before = imported(graph);
  REQUIRE(raise_opset(graph, tensor_types(before, graph)).ok());
  check_same_results(before, imported(graph), 0);
}

TEST_CASE("a node that opset 13 has no equal of is refused") {
  onnx::ModelProto model = test::graph_model("agraph (float[2,3,4] x) => (float[2,3,4] y) { y = Softmax<axis = 1>(x) }", 11);
  OnnxGraph graph = onnx_graph(model);
  Diagnostic d = failure(graph, random_samples(imported(graph), 2));
  CHECK(d.id == DiagId::unsupported_node);
  CHECK(d.hint.find("opset 13") != std::string::npos);
}

TEST_CASE("an accuracy that cannot be reached is an error") {
  OnnxGraph graph = onnx_graph(network());
  std::vector<Sample> samples = random_samples(imported(graph), 4);
  QuantizeOptions options;
  options.goal = AccuracyGoal{-0.5, samples, {}};  // better than float itself
  Diagnostic d = failure(graph, samples, options);
  CHECK(d.id == DiagId::metric_drops);
  CHECK(d.message.find("100.00 %") != std::string::npos);
}

TEST_CASE("what cannot be quantized is said") {
  OnnxGraph graph = onnx_graph(network());
  std::vector<Sample> samples = random_samples(imported(graph), 2);
  CHECK(failure(graph, {}).id == DiagId::bad_input_data);

  QuantizeOptions options;
  options.keep_float = {"nonsense"};
  Diagnostic unknown = failure(graph, samples, options);
  CHECK(unknown.id == DiagId::unknown_node);
  CHECK(unknown.message.find("'nonsense'") != std::string::npos);
  CHECK(unknown.hint.find(graph.nodes[0].name) != std::string::npos);

  samples[1][0].as<float>()[3] = std::numeric_limits<float>::infinity();
  Diagnostic infinite = failure(graph, samples);
  CHECK(infinite.id == DiagId::bad_input_data);
  CHECK(infinite.message.find("'x'") != std::string::npos);

  OnnxGraph integers = onnx_graph(test::graph_model("agraph (int64[4] x) => (int64[4] y) { y = Add(x, x) }"));
  CHECK(failure(integers, {{Tensor::int64s({1, 2, 3, 4})}}).id == DiagId::nothing_to_quantize);
}

TEST_CASE("constant inputs and dead channels make no broken scales") {
  onnx::ModelProto model = network();
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer())
    if (tensor.name() == "w2")
      for (int i = 9; i < 18; ++i) tensor.set_float_data(i, 0);
  OnnxGraph graph = onnx_graph(model);
  std::vector<Sample> samples(3, Sample{Tensor({DType::f32, {1, 3, 8, 8}, {}})});
  Diagnostics diagnostics;
  std::optional<QuantizedModel> result = quantize_model(
      graph, "m.onnx", {}, samples, {}, [](auto...) {}, diagnostics);
  REQUIRE(result);
  for (const auto& [name, tensor] : read_back(result->bytes).initializers)
    if (name.ends_with("_scale"))
      for (double scale : tensor.to_doubles()) {
        INFO(name);
        CHECK(scale > 0);
        CHECK(std::isfinite(scale));
      }
  CHECK(result->outputs[0].snr > 20);
}

TEST_CASE("nodes kept in float have no pairs around them") {
  onnx::ModelProto proto = network();
  for (onnx::NodeProto& node : *proto.mutable_graph()->mutable_node()) node.set_name("node_" + node.output(0));
  QuantizeOptions options;
  options.keep_float = {"node_g", "node_y"};
  QuantizedModel model = quantized(proto, options);
  OnnxGraph graph = read_back(model.bytes);
  CHECK(model.float_nodes == std::vector<std::string>{"'node_g' (Gemm)", "'node_y' (Softmax)"});
  CHECK(maker_of(graph, "g").inputs[1] == "w3");
  CHECK(graph.initializers.at("w3").type.dtype == DType::f32);
  CHECK(count_nodes(graph, "QuantizeLinear") == 6);
}

TEST_CASE("a goal lifts the most sensitive parts until it is reached, and no more") {
  OnnxGraph graph = onnx_graph(network());
  std::vector<Sample> samples = random_samples(imported(graph), 40);
  auto run = [&](QuantizeOptions options) {
    Diagnostics diagnostics;
    std::optional<QuantizedModel> model = quantize_model(
        graph, "m.onnx", {}, samples, options, [](auto...) {}, diagnostics);
    for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
    REQUIRE(model);
    return *std::move(model);
  };
  QuantizeOptions options;
  options.goal = AccuracyGoal{1, samples, {}};
  QuantizedModel easy = run(options);
  CHECK(easy.goal->lifted.empty());
  CHECK(easy.goal->float_share == 1);
  // Where all scores are nearly alike, 8 bits change some answers.
  for (float& w : graph.initializers.at("w3").as<float>()) w *= 0.02f;
  for (float& b : graph.initializers.at("b3").as<float>()) b = 0;
  options.goal->max_drop = 0;
  QuantizedModel hard = run(options);
  REQUIRE(hard.goal->first_share < 1);
  CHECK(hard.goal->share == 1);
  CHECK(!hard.goal->lifted.empty());
  CHECK(run(options).bytes == hard.bytes);
  size_t wide = 0;
  for (const QuantizedUnit& unit : hard.units) wide += unit.grid.dtype == DType::i16 ? 1 : 0;
  CHECK(wide > 0);

  // Labels that only chance can meet: float itself is right on none more.
  options.goal->labels.assign(samples.size(), 4);
  QuantizedModel labelled = run(options);
  CHECK(labelled.goal->share >= labelled.goal->float_share);
}
