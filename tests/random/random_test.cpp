// SPDX-License-Identifier: Apache-2.0
// The part of the random graphs that runs with all tests: 400 float and 100 quantized ones. build/bin/random_graphs runs any number
// (docs/testing.md).
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "../kiln_command.h"
#include "compiler/frontend/import.h"
#include "compiler/ops/evaluate.h"
#include "differential.h"
#include "operators.h"
#include "passes/graph_passes.h"
#include "shrink.h"
#include "templates.h"

using namespace kiln;
using namespace kiln::test;

namespace {

using Generate = RandomGraph (*)(uint32_t, Tally&);

Totals check_agreement(Generate generate, uint32_t first, uint32_t last, const DifferentialOptions& options = {}) {
  Tally tally;
  Totals totals;
  std::vector<RandomGraph> graphs;
  for (uint32_t seed = first; seed <= last; ++seed) graphs.push_back(generate(seed, tally));
  std::vector<std::vector<Finding>> findings = compare_ways(graphs, options, totals);
  for (size_t i = 0; i < graphs.size(); ++i)
    for (const Finding& f : findings[i])
      FAIL_CHECK(graphs[i].name << ": " << (f.way ? way_name(*f.way) : "import") << ": " << f.text << "\nto make it small: random_graphs --only "
                                << graphs[i].name << " --shrink DIR");
  if (totals.against_onnxruntime == 0) WARN("ONNX Runtime is not installed: not compared with it");
  else CHECK(totals.against_onnxruntime > static_cast<int>(0.8 * static_cast<double>(graphs.size())));
  return totals;
}

}  // namespace

// Four parts, which run side by side.
TEST_CASE("random float graphs agree, part 1") { check_agreement(random_float_graph, 1, 100); }
TEST_CASE("random float graphs agree, part 2") { check_agreement(random_float_graph, 101, 200); }
TEST_CASE("random float graphs agree, part 3") { check_agreement(random_float_graph, 201, 300); }
TEST_CASE("random float graphs agree, part 4") { check_agreement(random_float_graph, 301, 400); }
TEST_CASE("random quantized graphs agree") { check_agreement(random_quantized_graph, 1, 100); }

TEST_CASE("random graphs agree on a Cortex-M4") {
  DifferentialOptions options;
  options.target = "cortex-m4";
  options.onnxruntime = false;
  Diagnostics diagnostics;
  for (Generate generate : {random_float_graph, random_quantized_graph}) {
    Tally tally;
    Totals totals;
    std::vector<RandomGraph> graphs;
    for (uint32_t seed = 1001; seed <= 1015; ++seed) graphs.push_back(generate(seed, tally));
    std::vector<std::vector<Finding>> findings = compare_ways(graphs, options, totals);
    for (size_t i = 0; i < graphs.size(); ++i)
      for (const Finding& f : findings[i]) FAIL_CHECK(graphs[i].name << ": " << (f.way ? way_name(*f.way) : "import") << ": " << f.text);
    CHECK(totals.against_emitted == 15);
  }
}

TEST_CASE("every operator is made in random graphs, or is excepted with a reason") {
  for (const std::string& problem : operators_without_maker()) FAIL_CHECK(problem);
  for (const OperatorException& e : operator_exceptions()) CHECK_FALSE(e.reason.empty());
}

TEST_CASE("every operator, pattern and pass has its turn in the random graphs of the normal run") {
  // Passes that do not get to change the graph of an ONNX model. Golden tests cover them.
  const std::vector<std::string> idle{"fold-constants"};  // the importer evaluates what is constant
  Tally tally;
  Totals totals;
  std::vector<RandomGraph> graphs;
  for (uint32_t seed = 1; seed <= 400; ++seed) graphs.push_back(random_float_graph(seed, tally));
  for (uint32_t seed = 1; seed <= 100; ++seed) graphs.push_back(random_quantized_graph(seed, tally));
  DifferentialOptions options;
  options.emitted = false;
  options.onnxruntime = false;
  compare_ways(graphs, options, totals);
  for (const OperatorMaker& op : operator_makers()) {
    INFO(op.name);
    CHECK(tally.operators[op.name] > 0);
  }
  for (const PatternMaker& pattern : pattern_makers()) {
    INFO(pattern.pass << ": " << pattern.name);
    CHECK(tally.patterns[pattern.pass + ": " + pattern.name] > 0);
  }
  for (const GraphPass& pass : graph_passes()) {
    INFO(pass.name);
    const bool is_idle = std::find(idle.begin(), idle.end(), pass.name) != idle.end();
    CHECK((totals.passes[std::string(pass.name)] > 0) != is_idle);
  }
  for (const auto& [name, messages] : tally.invalid)
    for (const auto& [message, count] : messages) FAIL_CHECK("a node that was made by the rules is called malformed: " << name << ": " << message);
}

namespace {

/// An injected fault: a rule of comparison that calls every model wrong in which a tanh gives more than one half.
bool has_large_tanh(const RandomGraph& graph) {
  Diagnostics diagnostics;
  std::optional<ImportedModel> model = import_model_bytes(graph.model, "fault.onnx", {}, diagnostics);
  if (!model) return false;
  for (const std::vector<Tensor>& inputs : graph.inputs) {
    Result<std::vector<std::optional<Tensor>>> values = evaluate_values(model->graph, inputs);
    if (!values) return false;
    for (NodeId id : model->graph.order()) {
      if (model->graph.node(id).op->name != "tanh") continue;
      for (double v : (*values)[index(model->graph.node(id).outputs[0])]->to_doubles())
        if (v > 0.5) return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("a failing graph shrinks to the node that fails, and is saved with a command line") {
  Tally tally;
  int shrunk = 0;
  for (uint32_t seed = 1; shrunk < 3 && seed < 200; ++seed) {
    RandomGraph graph = random_float_graph(seed, tally);
    onnx::ModelProto before, after;
    REQUIRE(before.ParseFromString(graph.model));
    if (before.graph().node_size() < 8 || !has_large_tanh(graph)) continue;
    ++shrunk;
    RandomGraph small = shrink(graph, has_large_tanh);
    INFO(graph.name);
    REQUIRE(after.ParseFromString(small.model));
    CHECK(has_large_tanh(small));
    CHECK(small.inputs.size() == 1);
    CHECK(after.graph().node_size() == 1);
    CHECK(after.graph().node(0).op_type() == "Tanh");
    CHECK(after.graph().output_size() == 1);
    int64_t elements = 1;
    for (const auto& dim : after.graph().output(0).type().tensor_type().shape().dim()) elements *= std::max<int64_t>(1, dim.dim_value());
    CHECK(elements <= 16);

    TemporaryFolder folder = temporary_folder();
    Result<std::string> command = save_failure(small, folder.path(), "host");
    REQUIRE(command.ok());
    const std::string saved = (folder.path() / graph.name).string();
    CHECK(*command == "kiln diff " + saved + ".onnx --inputs " + saved + "-0");
    ProcessResult diff = kiln_command({"diff", saved + ".onnx", "--inputs", saved + "-0"});
    INFO(diff.output);
    CHECK((diff.ok() || diff.output.find("E404") != std::string::npos));  // kiln is right about it; ONNX Runtime may be missing
  }
  CHECK(shrunk == 3);
}

TEST_CASE("crashes and endless loops of a smaller model are told from answers") {
  CHECK(in_child([] { return true; }, 10) == true);
  CHECK(in_child([] { return false; }, 10) == false);
  CHECK(in_child([]() -> bool { _exit(70); }, 10) == std::nullopt);
  CHECK(in_child([]() -> bool { for (;;) pause(); }, 1) == std::nullopt);
}
