// SPDX-License-Identifier: Apache-2.0
// What the graph passes reach on real models. Models come from KILN_MODELS, or ../shared/models beside the source; absent ones are skipped.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "compiler/frontend/import.h"
#include "compiler/ir/parse.h"
#include "compiler/ir/print.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "passes/graph_passes.h"
#include "tests/skip.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

std::optional<Graph> import_named(const std::string& name) {
  const char* folder = std::getenv("KILN_MODELS");
  fs::path path = (folder ? fs::path(folder) : fs::path(KILN_SOURCE_DIR) / "../shared/models") / name / "model.onnx";
  if (!fs::exists(path)) {
    KILN_SKIP("there is no " << path.string());
    return std::nullopt;
  }
  Diagnostics diagnostics;
  std::optional<ImportedModel> model = import_model(path, {}, diagnostics);
  std::string errors;
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity == Severity::error) errors += to_string(d) + "\n";
  INFO(name);
  REQUIRE(errors == "");
  return std::move(model->graph);
}

void optimize(Graph& graph) {
  Target target;
  Diagnostics diagnostics;
  PassContext context{target, diagnostics};
  Result<bool> done = run_graph_passes(graph, context, graph_passes(), {});
  REQUIRE(done.ok());
}

/// Transposes that neither read a graph input nor make a graph output, views apart.
size_t inner_transposes(const Graph& graph) {
  std::vector<NodeId> order = graph.order();
  return static_cast<size_t>(std::count_if(order.begin(), order.end(), [&](NodeId id) {
    const Node& node = graph.node(id);
    if (node.op != &ops::transpose) return false;
    ValueId from = node.inputs[0], to = node.outputs[0];
    while (graph.producer(from) && graph.producer(from)->op == &ops::reshape) from = graph.producer(from)->inputs[0];
    while (graph.only_user(to) != kNoNode && graph.node(graph.only_user(to)).op == &ops::reshape) to = graph.node(graph.only_user(to)).outputs[0];
    return !graph.is_input(from) && !graph.is_output(to);
  }));
}

size_t count_of(const Graph& graph, const OpDef& op) {
  std::vector<NodeId> order = graph.order();
  return static_cast<size_t>(std::count_if(order.begin(), order.end(), [&](NodeId id) { return graph.node(id).op == &op; }));
}

/// The value with its ONNX tensor's order of dimensions undone: what the ONNX tensor should hold.
Tensor as_onnx(const Tensor& value, const OnnxTensor& onnx) {
  if (onnx.perm.empty()) return value.reshaped(onnx.shape);
  Tensor permuted = value.reshaped(permute(onnx.shape, onnx.perm));
  Attrs attrs{{"perm", inverse_permutation(onnx.perm)}};
  TensorType type{value.type.dtype, onnx.shape, {}};
  return ops::transpose.eval(OpArgs{ops::transpose, attrs, {&permuted.type}, {&permuted}, {&type}})->front();
}

void check_close(const std::string& name, const Tensor& expected, const Tensor& actual) {
  REQUIRE(expected.type.shape == actual.type.shape);
  std::vector<double> a = expected.to_doubles(), b = actual.to_doubles();
  double scale = 0, worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    scale = std::max(scale, std::fabs(a[i]));
    worst = std::max(worst, std::fabs(a[i] - b[i]));
  }
  INFO(name << ": largest value " << scale << ", largest difference " << worst);
  CHECK(worst <= 1e-5 + 1e-4 * scale);
}

/// Every ONNX tensor that survives, and every output, is the one of the imported graph.
void check_layers(const Graph& before, const Graph& after) {
  std::vector<Tensor> inputs;
  for (ValueId v : before.inputs) inputs.push_back(random_tensor(before.type(v), 7));
  auto a = evaluate_values(before, inputs), b = evaluate_values(after, inputs);
  REQUIRE((a.ok() ? "" : a.diagnostic().message) == "");
  REQUIRE((b.ok() ? "" : b.diagnostic().message) == "");
  std::map<std::string, Tensor> expected;
  for (size_t i = 0; i < a->size(); ++i)
    if (const Value& v = before.value(ValueId{static_cast<uint32_t>(i)}); v.onnx && (*a)[i]) expected.emplace(v.onnx->name, as_onnx(*(*a)[i], *v.onnx));
  size_t compared = 0;
  for (NodeId id : after.order())
    for (ValueId v : after.node(id).outputs) {
      const std::optional<OnnxTensor>& onnx = after.value(v).onnx;
      if (!onnx || !expected.count(onnx->name)) continue;
      check_close(onnx->name, expected.at(onnx->name), as_onnx(*(*b)[index(v)], *onnx));
      ++compared;
    }
  CHECK(compared > 0);
  for (size_t i = 0; i < before.outputs().size(); ++i) check_close(before.output_name(i), *(*a)[index(before.outputs()[i])], *(*b)[index(after.outputs()[i])]);
}

}  // namespace

TEST_CASE("real models keep no transposes inside, fuse all they can, and compute the same in every layer") {
  struct Expected {
    const char* name;
    size_t convolutions, elementwise;  ///< nodes after the passes
  };
  for (const Expected& e : {Expected{"alibaba_kws_float", 9, 0}, {"alibaba_vww_float", 27, 0}, {"mnist_cntk_opset8", 2, 0}, {"mlperf_tiny_ad_float", 0, 0},
                            {"mlperf_tiny_kws_float", 9, 0}, {"mlperf_tiny_vww_float", 27, 0}, {"mlperf_tiny_ic_float", 9, 3}, {"magic_wand_float", 2, 0},
                            {"micro_kws_m_fp32", 3, 0}, {"oww_embedding_float", 20, 2}, {"yunet_s_320", 53, 2}, {"espdl_tcn_float", 8, 1}, {"dory_ecg_tcn_intfloat", 8, 23}}) {
    SECTION(e.name) {
      std::optional<Graph> imported = import_named(e.name);
      if (!imported) return;
      Graph graph = *imported;
      optimize(graph);
      CHECK(inner_transposes(graph) == 0);
      CHECK(count_of(graph, ops::conv2d) == e.convolutions);
      CHECK(count_of(graph, ops::relu) + count_of(graph, ops::mul) + count_of(graph, ops::add) == e.elementwise);
      check_layers(*imported, graph);
    }
  }
}

TEST_CASE("the text of a real model parses back to the same graph") {
  std::optional<Graph> imported = import_named("alibaba_kws_float");
  if (!imported) return;
  PrintOptions options;
  options.onnx_tensors = true;
  std::string text = print_graph(*imported, options);
  Result<Graph> back = parse_graph(text, op_table());
  REQUIRE((back.ok() ? "" : back.diagnostic().message) == "");
  CHECK(print_graph(*back, options) == text);
}
