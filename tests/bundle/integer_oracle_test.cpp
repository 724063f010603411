// SPDX-License-Identifier: Apache-2.0
// Emitted code of quantized real models, layer by layer, against model_oracle.h: every byte of every quantized tensor.
#include <stdlib.h>

#include <filesystem>

#include "compiler/emit/bundle.h"
#include "compiler/judge/layer_diff.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/input_sets.h"
#include "model_oracle.h"
#include "tests/skip.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

struct Traced {
  Tensor tensor;  ///< in the ONNX order of dimensions
  bool found = false;
};

/// The result of the step that makes ONNX tensor `name`, with its elements where ONNX has them. Concatenations have none: their pieces
/// are written one by one.
Traced traced_tensor(const Program& program, const std::vector<Tensor>& results, const std::string& name) {
  for (size_t i = program.steps.size(); i-- > 0;) {
    const ProgramTensor& t = program.tensor(program.steps[i].call.outputs.front());
    if (!t.onnx || t.onnx->name != name) continue;
    if (program.steps[i].label == "concat") return {};
    Tensor order(TensorType{DType::i32, t.onnx->shape, {}});
    for (size_t k = 0; k < order.as<int32_t>().size(); ++k) order.as<int32_t>()[k] = static_cast<int32_t>(k);
    const Tensor where = as_program_tensor(order, *t.onnx, t.type.shape);
    Tensor out(TensorType{t.type.dtype, t.onnx->shape, {}});
    with_storage_type(t.type.dtype, [&]<class T>() {
      for (size_t k = 0; k < out.as<T>().size(); ++k) out.as<T>()[static_cast<size_t>(where.as<int32_t>()[k])] = results[i].as<T>()[k];
    });
    return {std::move(out), true};
  }
  return {};
}

/// Compares every quantized tensor that the emitted code makes; returns how many.
size_t compare(const Compiled& c, const std::vector<Tensor>& inputs, const std::vector<Tensor>& results) {
  const Graph& graph = c.imported;
  oracle::Model model(graph, inputs);
  size_t compared = 0;
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op != &ops::quantize) continue;
    ValueId v = node.outputs[0];
    std::optional<oracle::Expected> expected = model.quantized(id);
    if (!expected) continue;
    Traced traced = graph.value(v).onnx ? traced_tensor(c.program, results, graph.value(v).onnx->name) : Traced{};
    if (!traced.found || traced.tensor.type.dtype != graph.type(v).dtype) {  // fused with what reads it
      model.set(v, expected->shape, expected->stored);
      continue;
    }
    std::vector<double> stored = traced.tensor.to_doubles();
    REQUIRE(stored.size() == expected->stored.size());
    size_t wrong = 0;
    for (size_t i = 0; i < stored.size(); ++i) wrong += std::abs(stored[i] - expected->stored[i]) > (expected->tie[i] ? 1 : 0) ? 1 : 0;
    INFO(graph.value(v).name << ": " << wrong << " of " << stored.size() << " bytes differ");
    CHECK(wrong == 0);
    ++compared;
    model.set(v, expected->shape, stored);  // the next layers start from what the code computed
  }
  std::string unknown;
  for (const std::string& name : model.unknown()) unknown += name + " ";
  INFO("operators without a definition here: " << unknown);
  CHECK(unknown == "");
  return compared;
}

}  // namespace

TEST_CASE("every byte of every layer of quantized real models is that of the definition") {
  struct Case {
    const char* model;
    size_t layers;  ///< quantized tensors that the emitted code makes, at least
  };
  const Case cases[] = {{"mlperf_tiny_kws_qop", 12},   {"mlperf_tiny_ic_int8", 12},    {"mlperf_tiny_ad_qop", 10},
                        {"mlperf_tiny_sww_int8", 10},  {"micro_kws_m_qdq", 12},        {"micro_speech_int8", 2},
                        {"hello_world_int8", 3},       {"rnnoise_int8", 40},           {"espdl_tcn_qdq_a16w8", 15},
                        {"mlperf_tiny_kws_int8", 12},  {"mlperf_tiny_kws_int8io", 11}, {"mlperf_tiny_ic_int8io", 12},
                        {"mlperf_tiny_ic_qop", 12},    {"mlperf_tiny_vww_int8", 25},   {"mlperf_tiny_vww_int8io", 25},
                        {"mlperf_tiny_vww_qop", 25},   {"mlperf_tiny_ad_int8", 10},    {"mlperf_tiny_ad_int8io", 10},
                        {"micro_kws_m_qoperator", 12}, {"person_detect_int8", 25},     {"cct2_transformer_qdq_u8s8", 30}};
  const char* chosen = getenv("KILN_MODELS");
  fs::path folder = chosen ? chosen : KILN_SOURCE_DIR "/../shared/models";
  for (const Case& c : cases) {
    fs::path file = folder / c.model / "model.onnx";
    if (!fs::exists(file)) {
      KILN_SKIP("there is no " << c.model << " in KILN_MODELS");
      continue;
    }
    INFO(c.model);
    CompileOptions options;
    options.model = file;
    Diagnostics diagnostics;
    std::optional<Compiled> compiled = compile_model(options, diagnostics);
    REQUIRE(compiled);
    Result<BuiltBundle> program = BuiltBundle::build(
        compiled->program, compiled->target, emit_bundle(compiled->program, compiled->target, compiled->info, {}), {.traced = true});
    REQUIRE(program.ok());
    Result<std::vector<InputSet>> sets = load_input_sets(folder / c.model, compiled->program);
    REQUIRE(sets.ok());
    std::vector<Tensor> inputs = sets->front().inputs;
    Result<RunResult> result = program->run({inputs}, {.traced_sets = 1});
    REQUIRE(result.ok());
    CHECK(compare(*compiled, inputs, result->step_results[0]) >= c.layers);
  }
}
