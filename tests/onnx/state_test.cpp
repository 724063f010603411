// SPDX-License-Identifier: Apache-2.0
// Models that keep state: the emitted code runs sequences, with everything dead poisoned, and gives what the graph gives when each run is
// fed with the outputs of the one before.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "compiler/emit/bundle.h"
#include "compiler/frontend/state_proposals.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "compiler/pipeline/test_vectors.h"
#include "compiler/reference/onnxruntime.h"
#include "compiler/runner/bundle_runner.h"
#include "tests/kiln_command.h"
#include "tests/onnx_models.h"
#include "tests/skip.h"

using namespace kiln;
using namespace kiln::test;

namespace {

constexpr size_t kSteps = 5;

struct Model {
  std::string graph;  ///< ONNX text
  std::vector<StatePair> states;
  size_t copies;  ///< of states that cannot be made in place
};

const Model kSum = {"sum (float[4] x, float[4] s) => (float[4] y, float[4] t) { t = Add(s, x)  y = Relu(t) }", {{"t", "s"}}, 0};
const Model kOldAndNew = {"both (float[4] x, float[4] s) => (float[4] y, float[4] t) { t = Add(s, x)  y = Sub(t, s) }", {{"t", "s"}}, 1};
const Model kDelay = {
    "delay (float[1,4] x, float[4,1] a, float[1,4] b) => (float[1,4] y, float[4,1] a_next, float[1,4] b_next) {"
    "  a_next = Transpose<perm = [1,0]>(x)  p = Transpose<perm = [1,0]>(a)  b_next = Identity(p)  y = Add(b, x) }",
    {{"a_next", "a"}, {"b_next", "b"}},
    2};
const Model kSwap = {
    "swap (float[4] x, float[4] a, float[4] b) => (float[4] y, float[4] c, float[4] d) { c = Identity(b)  d = Identity(a)  y = Sub(a, b) }",
    {{"c", "a"}, {"d", "b"}},
    1};  // one is made in place, once the other has been copied
const Model kKept = {"kept (float[4] x, float[4] s) => (float[4] y, float[4] t) { t = Identity(s)  y = Mul(x, s) }", {{"t", "s"}}, 0};
const Model kShifted = {
    "shifted (float[1,2] x, float[3,2] s) => (float[2] y, float[3,2] t) <int64[1] one = {1}, int64[1] three = {3}, int64[1] zero = {0}> {"
    "  tail = Slice(s, one, three, zero)  t = Concat<axis = 0>(tail, x)  y = ReduceSum<keepdims = 0>(t, zero) }",
    {{"t", "s"}},
    1};

/// One step of a layer with the weights of `weights`, whose state is h and, for LSTM, c behind it.
onnx::ModelProto recurrent_model(const std::string& type) {
  const int gates = type == "GRU" ? 3 : 4;
  std::string text = type == "GRU"
                         ? "gru (float[1,1,3] x, float[1,1,6] h) => (float[1,1,6] y, float[1,1,6] hn) { z, hn = GRU<hidden_size = 6, "
                           "linear_before_reset = 1>(x, w, r, b, , h)  y = Relu(hn) }"
                         : "lstm (float[1,1,3] x, float[2,1,6] s) => (float[1,1,6] y, float[2,1,6] sn) <int64[2] parts = {1, 1}> {"
                           "  h, c = Split<axis = 0>(s, parts)  z, hn, cn = LSTM<hidden_size = 6>(x, w, r, b, , h, c)"
                           "  sn = Concat<axis = 0>(hn, cn)  y = Relu(hn) }";
  onnx::ModelProto model = graph_model(text, 14);
  const std::pair<const char*, Shape> weights[] = {{"w", {1, gates * 6, 3}}, {"r", {1, gates * 6, 6}}, {"b", {1, 2 * gates * 6}}};
  uint64_t seed = 7;
  for (const auto& [name, shape] : weights) {
    onnx::TensorProto& proto = *model.mutable_graph()->add_initializer();
    proto.set_name(name);
    proto.set_data_type(onnx::TensorProto::FLOAT);
    for (int64_t dim : shape) proto.add_dims(dim);
    const Tensor values = random_tensor({DType::f32, shape, {}}, seed++);
    proto.set_raw_data(values.bytes().data(), values.bytes().size());
  }
  return model;
}

/// What an input is at first: an initializer of its name.
void set_initial(onnx::ModelProto& model, const std::string& input, const std::vector<float>& values) {
  onnx::TensorProto& proto = *model.mutable_graph()->add_initializer();
  proto.set_name(input);
  proto.set_data_type(onnx::TensorProto::FLOAT);
  proto.add_dims(static_cast<int64_t>(values.size()));
  for (float value : values) proto.add_float_data(value);
}

std::unique_ptr<Compiled> compiled(const onnx::ModelProto& model, const std::vector<StatePair>& states,
                                   const std::string& target = "host") {
  Imported imported = import_proto(model, {{}, {}, states});
  INFO(imported.text());
  REQUIRE(imported.model);
  CompileOptions options;
  options.name = "model";
  options.target = target;
  Diagnostics diagnostics;
  std::optional<Compiled> out = compile_graph(*imported.model, options, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(out);
  return std::make_unique<Compiled>(*std::move(out));
}

std::vector<std::vector<Tensor>> random_steps(const Compiled& c, size_t count) {
  std::vector<std::vector<Tensor>> steps(count);
  for (size_t i = 0; i < count; ++i)
    for (const IoTensor& io : c.program.inputs)
      steps[i].push_back(random_tensor(c.program.tensor(io.tensor).type, 10 * i + steps[i].size() + 1));
  return steps;
}

/// The outputs that are no state, step by step: the imported graph, fed back here.
std::vector<std::vector<Tensor>> expected_outputs(const Compiled& c, const std::vector<std::vector<Tensor>>& steps) {
  const Graph& graph = c.imported;
  std::map<std::string, Tensor> states;
  for (const StatePair& pair : c.states)
    for (ValueId v : graph.inputs)
      if (graph.value(v).onnx->name == pair.input) states.emplace(pair.input, pair.initial ? *pair.initial : Tensor(graph.type(v)));
  std::vector<std::vector<Tensor>> out;
  for (const std::vector<Tensor>& step : steps) {
    std::vector<Tensor> inputs;
    size_t next = 0;
    for (ValueId v : graph.inputs) {
      auto state = states.find(graph.value(v).onnx->name);
      inputs.push_back(state == states.end() ? step[next++] : state->second);
    }
    Result<std::vector<Tensor>> results = evaluate(graph, inputs);
    REQUIRE(results.ok());
    std::vector<Tensor>& kept = out.emplace_back();
    for (size_t i = 0; i < results->size(); ++i) {
      auto pair = std::find_if(c.states.begin(), c.states.end(), [&](const StatePair& p) { return p.output == graph.output_name(i); });
      if (pair == c.states.end())
        kept.push_back((*results)[i]);
      else
        states[pair->input] = (*results)[i].reshaped(states[pair->input].type.shape);
    }
  }
  return out;
}

void check_equal(const std::vector<Tensor>& got, const std::vector<Tensor>& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const std::vector<double> a = got[i].to_doubles(), b = want[i].to_doubles();
    REQUIRE(a.size() == b.size());
    for (size_t k = 0; k < a.size(); ++k) CHECK(a[k] == Approx(b[k]).margin(1e-5));
  }
}

size_t copies(const Program& program) {
  return static_cast<size_t>(
      std::count_if(program.steps.begin(), program.steps.end(), [](const Step& s) { return s.origin.front().starts_with("state "); }));
}

/// Two sequences of the same inputs: the second begins with a reset, so it gives what the first gave.
void check_sequences(const Compiled& c) {
  std::vector<std::vector<Tensor>> steps = random_steps(c, kSteps);
  const std::vector<std::vector<Tensor>> expected = expected_outputs(c, steps);
  std::vector<std::vector<Tensor>> twice = steps;
  twice.insert(twice.end(), steps.begin(), steps.end());
  Result<BuiltBundle> bundle =
      BuiltBundle::build(c.program, c.target, emit_bundle(c.program, c.target, c.info, {}), {.traced = !c.target.board});
  if (!bundle) FAIL(to_string(bundle.diagnostic()));
  Result<RunResult> result = bundle->run(twice, {.sequence_steps = kSteps, .poison = !c.target.board});
  if (!result) FAIL(to_string(result.diagnostic()));
  for (size_t i = 0; i < twice.size(); ++i) {
    INFO("step " << i);
    check_equal(result->outputs[i], expected[i % kSteps]);
  }
}

bool has_program(const std::string& name) {
  const bool found = find_program(name).has_value();
  if (!found) KILN_SKIP(name << " is not installed");
  return found;
}

}  // namespace

TEST_CASE("emitted code feeds states back") {
  for (const Model& model : {kSum, kOldAndNew, kDelay, kSwap, kKept, kShifted}) {
    INFO(model.graph);
    std::unique_ptr<Compiled> c = compiled(graph_model(model.graph), model.states);
    CHECK(c->program.inputs.size() == 1);
    CHECK(c->program.outputs.size() == 1);
    CHECK(copies(c->program) == model.copies);
    check_sequences(*c);
  }
}

TEST_CASE("recurrent layers update their state in place") {
  for (const auto& [type, state] : {std::pair("GRU", StatePair{"hn", "h"}), std::pair("LSTM", StatePair{"sn", "s"})}) {
    INFO(type);
    std::unique_ptr<Compiled> c = compiled(recurrent_model(type), {state});
    CHECK(c->program.steps.size() == 2);
    CHECK(copies(c->program) == 0);
    CHECK(c->program.state_bytes() == (std::string(type) == "GRU" ? 24 : 48));
    check_sequences(*c);
  }
}

TEST_CASE("states begin with the values that the model gives them") {
  onnx::ModelProto model = graph_model(kSwap.graph);
  set_initial(model, "a", {1, 2, 3, 4});
  std::unique_ptr<Compiled> c = compiled(model, kSwap.states);
  REQUIRE(c->states[0].initial);
  CHECK_FALSE(c->states[1].initial);
  check_sequences(*c);
  CHECK(import_proto(model).graph().inputs.size() == 2);  // without --state the input with a value is a constant
}

TEST_CASE("states are kept on a board") {
  std::unique_ptr<Compiled> c = compiled(recurrent_model("LSTM"), {{"sn", "s"}}, "cortex-m4");
  if (!has_program("arm-none-eabi-g++") || !has_program("qemu-system-arm")) return;
  check_sequences(*c);
}

TEST_CASE("a run without a reset computes from what the arena holds") {
  std::unique_ptr<Compiled> c = compiled(graph_model(kSum.graph), kSum.states);
  std::vector<OutputFile> files = emit_bundle(c->program, c->target, c->info, {});
  for (OutputFile& file : files)
    if (file.path == "model.cpp") {
      const size_t at = file.bytes.find("__builtin_memset");
      REQUIRE(at != std::string::npos);
      file.bytes.replace(at, 0, "if (false) ");
    }
  Result<BuiltBundle> bundle = BuiltBundle::build(c->program, c->target, files, {});
  REQUIRE(bundle.ok());
  Result<RunResult> result = bundle->run(random_steps(*c, 1), {});
  REQUIRE(result.ok());
  CHECK(std::isnan(result->outputs[0][0].as<float>()[0]));
}

TEST_CASE("a bundle says what it keeps") {
  std::unique_ptr<Compiled> c = compiled(recurrent_model("LSTM"), {{"sn", "s"}});
  std::map<std::string, std::string> files;
  for (const OutputFile& file : emit_bundle(c->program, c->target, c->info, {*make_test_vectors(*c, 3), {}})) files[file.path] = file.bytes;
  CHECK(files["model.h"].find("void model_reset(void* arena);") != std::string::npos);
  CHECK(files["model.h"].find("48 bytes of state") != std::string::npos);
  CHECK(files["model.h"].find("model_input_s(") == std::string::npos);
  CHECK(files["model.h"].find("model_output_sn(") == std::string::npos);
  CHECK(files["model_memory.h"].find("s (state)") != std::string::npos);
  const nlohmann::json manifest = nlohmann::json::parse(files["manifest.json"]);
  CHECK(manifest["memory"]["state_bytes"] == 48);
  CHECK(manifest["api"]["reset"] == "model_reset");
  CHECK(manifest["states"] ==
        nlohmann::json::parse(R"([{"output": "sn", "input": "s", "dtype": "f32", "shape": [2, 1, 6], "bytes": 48, "initial": "zeros"}])"));
  std::unique_ptr<Compiled> without = compiled(recurrent_model("LSTM"), {});
  for (const OutputFile& file : emit_bundle(without->program, without->target, without->info, {}))
    CHECK(file.bytes.find("model_reset") == std::string::npos);
}

TEST_CASE("the self-test runs a sequence") {
  TemporaryFolder folder = temporary_folder();
  REQUIRE(write_file(folder.path() / "m.onnx", recurrent_model("LSTM").SerializeAsString()).ok());
  ProcessResult done = kiln_in(folder.path(), {"compile", "m.onnx", "-o", "m", "--state", "sn=s", "--vectors", "4"});
  INFO(done.output);
  REQUIRE(done.exit_code == 0);
  if (!has_program("g++")) return;
  Result<ProcessResult> built =
      run_process({"g++", "-std=c++17", "-O1", "m.cpp", "m_weights.cpp", "selftest/main.cpp", "-o", "test"}, folder.path() / "m");
  REQUIRE(built.ok());
  INFO(built->output);
  REQUIRE(built->exit_code == 0);
  Result<ProcessResult> run = run_process({"./test"}, folder.path() / "m");
  REQUIRE(run.ok());
  CHECK(run->output == "m: self-test passed, 4 vector(s), 0 wrong element(s)\n");
}

TEST_CASE("pairs that cannot be states are refused") {
  const onnx::ModelProto model = graph_model(kDelay.graph);
  auto refused = [&](const std::vector<StatePair>& states, const std::string& message) {
    Imported imported = import_proto(model, {{}, {}, states});
    REQUIRE_FALSE(imported.errors().empty());
    CHECK(imported.errors().front() == DiagId::bad_state_option);
    INFO(imported.text());
    CHECK(imported.text().find(message) != std::string::npos);
  };
  refused({{"z", "a"}}, "--state z=a: the model has no output 'z'.");
  refused({{"a_next", "z"}}, "--state a_next=z: the model has no input 'z'.");
  refused({{"a_next", "a"}, {"a_next", "b"}}, "output 'a_next' is in two pairs.");
  refused({{"a_next", "a"}, {"b_next", "a"}}, "input 'a' is in two pairs.");
  Imported other = import_graph("g (float[4] x, float[3] s, int32[4] k) => (float[4] y, int32[4] z) { y = Relu(x)  z = Identity(k) }",
                                {{}, {}, {{"y", "s"}, {"z", "x"}}});
  CHECK(other.text().find("--state y=s: the output is f32[4], the input f32[3].") != std::string::npos);
  CHECK(other.text().find("--state z=x: the output is i32[4], the input f32[4].") != std::string::npos);
  TemporaryFolder folder = temporary_folder();
  REQUIRE(write_file(folder.path() / "m.onnx", model.SerializeAsString()).ok());
  ProcessResult usage = kiln_in(folder.path(), {"compile", "m.onnx", "--state", "a_next"});
  CHECK(usage.exit_code == 1);
  CHECK(usage.output.find("expected NAME=VALUE") != std::string::npos);
  CHECK(kiln_in(folder.path(), {"compile", "m.onnx", "--state", "z=a"}).exit_code == 1);
}

TEST_CASE("states are recognised by name, type and use") {
  auto found = [](const std::string& graph) {
    std::string text;
    for (const StatePair& pair : find_states(import_graph(graph, {}, 14).graph(), {}))
      text += fmt::format("{}{}={}", text.empty() ? "" : " ", pair.output, pair.input);
    return text;
  };
  auto pass = [&](const std::string& in, const std::string& out) {
    return found(
        fmt::format("g (float[1,8] x, float[1,4] {0}) => (float[1,8] y, float[1,4] {1}) {{ y = Relu(x)  {1} = Relu({0}) }}", in, out));
  };
  CHECK(pass("h_in", "h_out") == "h_out=h_in");
  CHECK(pass("state", "stateN") == "stateN=state");
  CHECK(pass("h0", "hn") == "hn=h0");
  CHECK(pass("conv_cache", "conv_cache_out") == "conv_cache_out=conv_cache");
  CHECK(pass("prevMean", "nextMean") == "nextMean=prevMean");
  CHECK(pass("hidden", "o1") == "o1=hidden");
  CHECK(pass("past_key_values_1_key", "present_1_key") == "present_1_key=past_key_values_1_key");
  CHECK(pass("a", "b").empty());
  // Two outputs fit and no name says which; an input that is not alone.
  CHECK(found("g (float[4] x, float[4] state) => (float[4] y, float[4] z) { y = Relu(x)  z = Relu(state) }").empty());
  CHECK(found("g (float[4] x_in) => (float[4] x_out) { x_out = Relu(x_in) }").empty());
  CHECK(found("g (float[1,1,3] x, float[1,1,2] p, float[1,6,3] w, float[1,6,2] r) => (float[1,1,3] y, float[1,1,2] q) { y = Relu(x)  z, q "
              "= GRU(x, w, r, , , p) }") == "q=p");
}

TEST_CASE("compile and inspect propose the flags, unless they are given") {
  TemporaryFolder folder = temporary_folder();
  REQUIRE(write_file(folder.path() / "m.onnx", recurrent_model("GRU").SerializeAsString()).ok());
  for (const std::string verb : {"inspect", "compile"}) {
    const std::string output = kiln_in(folder.path(), {verb, "m.onnx"}).output;
    CHECK(output.find("N003") != std::string::npos);
    CHECK(output.find("--state hn=h") != std::string::npos);
    CHECK(kiln_in(folder.path(), {verb, "m.onnx", "--state", "hn=h"}).output.find("N003") == std::string::npos);
  }
}

TEST_CASE("run takes the steps of a sequence from one file") {
  TemporaryFolder folder = temporary_folder();
  REQUIRE(write_file(folder.path() / "m.onnx", graph_model(kSum.graph).SerializeAsString()).ok());
  REQUIRE(write_file(folder.path() / "x.npy", save_npy(Tensor::floats({3, 4}, {1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 1}))).ok());
  ProcessResult run = kiln_in(folder.path(), {"run", "m.onnx", "--state", "t=s", "--input", "x.npy"});
  INFO(run.output);
  CHECK(run.exit_code == 0);
  CHECK(run.output.find("y f32[3,4]\n  1 1 1 1 3 3 3 3 3 3 3 4\n") != std::string::npos);
  CHECK(kiln_in(folder.path(), {"run", "m.onnx", "--input", "x=x.npy", "--input", "s=x.npy"}).exit_code == 1);
}

TEST_CASE("diff feeds states back on both sides") {
  if (!OnnxRuntime::load().ok()) {
    KILN_SKIP("ONNX Runtime is not installed");
    return;
  }
  TemporaryFolder folder = temporary_folder();
  onnx::ModelProto swap = graph_model(kSwap.graph);
  set_initial(swap, "b", {4, 3, 2, 1});
  REQUIRE(write_file(folder.path() / "swap.onnx", swap.SerializeAsString()).ok());
  REQUIRE(write_file(folder.path() / "lstm.onnx", recurrent_model("LSTM").SerializeAsString()).ok());
  ProcessResult lstm = kiln_in(folder.path(), {"diff", "lstm.onnx", "--state", "sn=s", "--random", "2", "--steps", "6", "--layers"});
  INFO(lstm.output);
  CHECK(lstm.exit_code == 0);
  CHECK(lstm.output.find("in sequences of 6 steps") != std::string::npos);
  CHECK(lstm.output.find("12 input sets") != std::string::npos);
  ProcessResult with_values = kiln_in(folder.path(), {"diff", "swap.onnx", "--state", "c=a", "--state", "d=b"});
  INFO(with_values.output);
  CHECK(with_values.exit_code == 0);
  CHECK(with_values.output.find("exactly equal") != std::string::npos);
  ProcessResult stateless = kiln_in(folder.path(), {"diff", "lstm.onnx", "--steps", "6"});
  CHECK(stateless.exit_code == 1);
  CHECK(stateless.output.find("--steps is about models that keep state") != std::string::npos);
}
