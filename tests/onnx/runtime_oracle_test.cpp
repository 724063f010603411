// SPDX-License-Identifier: Apache-2.0
// Operators of which the official cases say too little (or nothing: com.microsoft), on random inputs against ONNX Runtime.
#include <cmath>
#include <numbers>

#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "compiler/reference/onnxruntime.h"
#include "tests/onnx_models.h"
#include "tests/skip.h"

using namespace kiln;
using namespace kiln::test;

namespace {

/// The largest difference between evaluate() and ONNX Runtime on random inputs, of all outputs; nothing when ONNX Runtime is not installed.
std::optional<double> greatest_difference(const onnx::ModelProto& model) {
  Result<OnnxRuntime> runtime = OnnxRuntime::load();
  if (!runtime) {
    KILN_SKIP(runtime.diagnostic().message);
    return std::nullopt;
  }
  Imported m = import_proto(model);
  INFO(m.text());
  REQUIRE(m.model);
  Result<OrtSession> session = runtime->open(model.SerializeAsString(), OrtOptimization::none);
  if (!session) FAIL(to_string(session.diagnostic()));
  std::vector<Tensor> inputs;
  for (ValueId v : m.graph().inputs) inputs.push_back(random_tensor(m.graph().type(v), inputs.size() + 1));
  Result<std::vector<Tensor>> ours = evaluate(m.graph(), inputs), theirs = session->run(inputs);
  REQUIRE(ours.ok());
  if (!theirs) FAIL(to_string(theirs.diagnostic()));
  REQUIRE(ours->size() == theirs->size());
  double greatest = 0;
  for (size_t i = 0; i < ours->size(); ++i) {
    REQUIRE((*ours)[i].type.shape == (*theirs)[i].type.shape);
    const std::vector<double> a = (*ours)[i].to_doubles(), b = (*theirs)[i].to_doubles();
    for (size_t k = 0; k < a.size(); ++k) greatest = std::max(greatest, std::fabs(a[k] - b[k]));
  }
  return greatest;
}

onnx::ModelProto microsoft_model(const std::string& graph) { return parse_onnx("<ir_version: 8, opset_import: [\"\" : 17, \"com.microsoft\" : 1]>\n" + graph); }

}  // namespace

TEST_CASE("Fourier transforms of every kind of length agree with ONNX Runtime") {
  // Powers of two, odd, prime, even with an odd part; shorter and longer than the signal of 24 samples.
  for (int length : {1, 2, 3, 6, 7, 8, 12, 16, 17, 24, 25, 30, 32, 40, 64})
    for (int components : {1, 2})
      for (const char* direction : {"", "onesided = 1", "inverse = 1"}) {
        const bool onesided = direction[0] == 'o';
        if (onesided && components == 2) continue;
        const int bins = onesided ? length / 2 + 1 : length;
        const std::string graph = fmt::format("agraph (float[2,24,3,{}] x) => (float[2,{},3,2] y) <int64 n = {{{}}}> {{ y = DFT <axis = 1{}{}> (x, n) }}", components, bins, length,
                                              direction[0] ? ", " : "", direction);
        INFO(graph);
        if (std::optional<double> d = greatest_difference(graph_model(graph, 17)))
          CHECK(*d <= ((length & (length - 1)) == 0 ? 2e-5 : 1e-4));  // of other lengths theirs is the one with the error (Bluestein's algorithm)
        else
          return;
      }
}

TEST_CASE("Fourier transforms agree with their definition") {
  for (int length : {1, 5, 8, 24, 36, 64, 100, 128}) {
    Imported m = import_graph(fmt::format("agraph (float[1,{0},1] x) => (float[1,{0},2] y) {{ y = DFT (x) }}", length), {}, 17);
    REQUIRE(m.model);
    const Tensor x = random_tensor(m.graph().type(m.graph().inputs[0]), 3);
    const std::vector<double> y = evaluate(m.graph(), {x})->front().to_doubles(), values = x.to_doubles();
    double greatest = 0;
    for (int k = 0; k < length; ++k)
      for (int part = 0; part < 2; ++part) {
        double sum = 0;
        for (int n = 0; n < length; ++n) {
          const double angle = -2 * std::numbers::pi * (k * n % length) / length;
          sum += values[static_cast<size_t>(n)] * (part == 0 ? std::cos(angle) : std::sin(angle));
        }
        greatest = std::max(greatest, std::fabs(y[static_cast<size_t>(2 * k + part)] - sum));
      }
    INFO(length);
    CHECK(greatest <= 3e-6);
  }
}

TEST_CASE("Fourier transforms of frames agree with ONNX Runtime") {
  for (const auto& [length, step, onesided] : {std::tuple{16, 8, 1}, std::tuple{12, 5, 1}, std::tuple{15, 15, 0}, std::tuple{64, 1, 1}}) {
    const int frames = (64 - length) / step + 1, bins = onesided ? length / 2 + 1 : length;
    const std::string graph = fmt::format(
        "agraph (float[2,64,1] x, float[{0}] w) => (float[2,{1},{2},2] y) <int64 s = {{{3}}}, int64 n = {{{0}}}> {{ y = STFT <onesided = {4}> (x, s, w, n) }}", length, frames, bins, step, onesided);
    INFO(graph);
    if (std::optional<double> d = greatest_difference(graph_model(graph, 17))) CHECK(*d <= 2e-5);
  }
}

TEST_CASE("com.microsoft's attention agrees with ONNX Runtime") {
  for (const char* graph : {
           "agraph (float[2,5,12] q, float[2,7,12] k, float[2,7,12] v) => (float[2,5,12] y) { y = com.microsoft.MultiHeadAttention <num_heads = 3> (q, k, v) }",
           "agraph (float[2,5,12] q, float[2,7,12] k, float[2,7,8] v, float[32] b, float[2,2,5,7] add) => (float[2,5,8] y)"
           " { y = com.microsoft.MultiHeadAttention <num_heads = 2, scale = 0.5> (q, k, v, b, , add) }",
           "agraph (float[1,2,8] q, float[1,2,8] k, float[1,2,8] v, float[1,2,3,4] pk, float[1,2,3,4] pv) => (float[1,2,8] y, float[1,2,5,4] nk, float[1,2,5,4] nv)"
           " { y, nk, nv = com.microsoft.MultiHeadAttention <num_heads = 2> (q, k, v, , , , pk, pv) }",
       }) {
    INFO(graph);
    if (std::optional<double> d = greatest_difference(microsoft_model(graph))) CHECK(*d <= 1e-5);
  }
  onnx::ModelProto model = microsoft_model(
      "agraph (float[2,4,6] x) => (float[2,4,8] y) <float[6,24] w = {0}, float[24] b = {0}> { y = com.microsoft.Attention <num_heads = 2, unidirectional = 1> (x, w, b) }");
  for (onnx::TensorProto& t : *model.mutable_graph()->mutable_initializer()) {
    t.clear_float_data();
    for (int i = 0, n = t.dims_size() == 2 ? 144 : 24; i < n; ++i) t.add_float_data(static_cast<float>(i * 37 % 23) / 23 - 0.5f);
  }
  if (std::optional<double> d = greatest_difference(model)) CHECK(*d <= 1e-5);
}

TEST_CASE("attention that is not supported says why") {
  auto message = [](const std::string& graph) { return import_proto(microsoft_model(graph)).text(); };
  CHECK(message("agraph (float[2,5,3,3,4] q) => (float[2,5,12] y) { y = com.microsoft.MultiHeadAttention <num_heads = 3> (q) }").find("packed") != std::string::npos);
  CHECK(message("agraph (float[2,5,12] q) => (float[2,5,12] y) { y = com.microsoft.MultiHeadAttention <num_heads = 5> (q, q, q) }").find("'num_heads' is 5") != std::string::npos);
  CHECK(import_graph("agraph (float[2,3,4,8] q, float[2,2,4,8] k) => (float[2,3,4,8] y) { y = Attention (q, k, k) }", {}, 23).text().find("do not fit each other") != std::string::npos);
  CHECK(import_graph("agraph (float[2,3,8] q) => (float[2,3,8] y) { y = Attention <q_num_heads = 3> (q, q, q) }", {}, 23).text().find("'q_num_heads' is 3") != std::string::npos);
}

TEST_CASE("BatchNormalization by the statistics of its input agrees with ONNX Runtime") {
  const std::string constants = "<float[3] s = {1.5, 0.5, -2}, float[3] b = {0.25, 0, 1}, float[3] m = {0, 1, 2}, float[3] v = {1, 2, 3}>";
  for (const char* shape : {"2,3,4,5", "4,3", "1,3,7"})
    for (bool running : {false, true}) {
      const std::string graph = fmt::format("agraph (float[{0}] x) => (float[{0}] y{1}) {2} {{ y, mean, variance = BatchNormalization <training_mode = 1, epsilon = 0.01{3}> (x, s, b, m, v) }}", shape,
                                            running ? ", float[3] mean, float[3] variance" : "", constants, running ? ", momentum = 0.75" : "");
      INFO(graph);
      if (std::optional<double> d = greatest_difference(graph_model(graph, 15))) CHECK(*d <= 2e-6);
      else return;
    }
}
