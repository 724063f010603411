// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "compiler/quantize/equalize.h"
#include "compiler/quantize/goal.h"
#include "compiler/quantize/qdq.h"

namespace kiln {
namespace {

/// Importing a model says the same things every time: they are wanted once.
std::optional<Graph> imported(const OnnxGraph& model, const std::filesystem::path& path, const ImportOptions& options,
                              Diagnostics& diagnostics) {
  Result<std::string> bytes = onnx_graph_bytes(model);
  if (!bytes) {
    diagnostics.report(std::move(bytes).diagnostic().in_file(path.string()));
    return std::nullopt;
  }
  Diagnostics found;
  std::optional<ImportedModel> result = import_model_bytes(*bytes, path, options, found);
  for (const Diagnostic& d : found.all())
    if (d.severity == Severity::error) diagnostics.report(d);
  if (!result) return std::nullopt;
  return std::move(result->graph);
}

Status check_keep_float(const OnnxGraph& model, const QuantizeOptions& options) {
  for (const std::string& name : options.keep_float) {
    bool known = std::any_of(model.nodes.begin(), model.nodes.end(), [&](const OnnxGraphNode& n) { return n.name == name; });
    if (known) continue;
    std::vector<std::string> names;
    for (const OnnxGraphNode& node : model.nodes) names.push_back(node.name);
    return error(DiagId::unknown_node, fmt::format("--keep-float names '{}', which is no node of the model.", name),
                 fmt::format("the nodes are: {}.", fmt::join(names, ", ")));
  }
  return Done{};
}

std::string unit_type(const OnnxGraph& model, const Unit& unit) {
  std::string text;
  for (size_t n : unit.nodes) text += (text.empty() ? "" : "+") + model.nodes[n].type;
  return text;
}

std::vector<QuantizedUnit> unit_rows(const OnnxGraph& model, const QuantPlan& plan, std::map<std::string, Noise> noise) {
  std::vector<QuantizedUnit> rows;
  for (const Unit& unit : plan.units) {
    const OnnxGraphNode& node = model.nodes[unit.nodes[0]];
    const TensorGroup& group = *plan.group(unit.outputs[0]);
    QuantizedUnit row{node.name, unit_type(model, unit), unit.kind, false, group.seen, group.grid, {}};
    if (auto weights = plan.weights.find(node.name); weights != plan.weights.end()) {
      const std::vector<float>& scale = weights->second.scale;
      row.per_channel = std::any_of(scale.begin(), scale.end(), [&](float s) { return s != scale[0]; });
    }
    // The passes leave no tensor of its own to what a reshape or transpose makes: its elements are those of the input.
    if (unit.kind == UnitKind::move && unit.inputs.size() == 1)
      if (auto input = noise.find(unit.inputs[0]); input != noise.end()) noise.emplace(unit.outputs[0], input->second);
    if (auto it = noise.find(unit.outputs[0]); it != noise.end()) row.snr = it->second.snr();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> float_nodes(const OnnxGraph& model, const QuantPlan& plan) {
  std::set<size_t> quantized;
  for (const Unit& unit : plan.units) quantized.insert(unit.nodes.begin(), unit.nodes.end());
  std::vector<std::string> names;
  for (size_t n = 0; n < model.nodes.size(); ++n)
    if (!quantized.count(n)) names.push_back(fmt::format("'{}' ({})", model.nodes[n].name, model.nodes[n].type));
  return names;
}

/// Outputs of the quantized model against those of the float model, on all samples.
Result<std::vector<QuantizedOutput>> compare_outputs(const PlanBuilder& builder, const BuiltPlan& built) {
  const Graph& graph = builder.graph();
  const Overlay overlay = builder.overlay(built);
  std::vector<Noise> noise(graph.outputs().size());
  std::vector<size_t> same(graph.outputs().size(), 0);
  for (size_t s = 0; s < builder.samples().size(); ++s) {
    Result<std::vector<Tensor>> exact = simulate(graph, builder.timeline(), {}, builder.samples()[s]);
    if (!exact) return std::move(exact).diagnostic();
    Result<std::vector<Tensor>> quantized = simulate(graph, builder.timeline(), overlay, builder.samples()[s]);
    if (!quantized) return std::move(quantized).diagnostic();
    for (size_t o = 0; o < exact->size(); ++o) {
      if ((*exact)[o].type.dtype != DType::f32) continue;
      noise[o].add((*exact)[o].as<float>(), (*quantized)[o].as<float>());
      same[o] += largest_element((*exact)[o]) == largest_element((*quantized)[o]) ? 1 : 0;
    }
    builder.progress("comparison", s + 1, builder.samples().size());
  }
  std::vector<QuantizedOutput> out;
  for (size_t o = 0; o < noise.size(); ++o)
    if (graph.type(graph.outputs()[o]).dtype == DType::f32)
      out.push_back({graph.output_name(o), noise[o].snr(), static_cast<double>(same[o]) / static_cast<double>(builder.samples().size())});
  return out;
}

int64_t initializer_bytes(const OnnxGraph& model) {
  std::set<std::string> read;
  for (const OnnxGraphNode& node : model.nodes) read.insert(node.inputs.begin(), node.inputs.end());
  int64_t bytes = 0;
  for (const auto& [name, tensor] : model.initializers)
    if (read.count(name)) bytes += tensor.type.bytes();
  return bytes;
}

class Quantizer {
 public:
  Quantizer(OnnxGraph model, const std::filesystem::path& path, const ImportOptions& import, const std::vector<Sample>& samples,
            const QuantizeOptions& options, const Progress& progress, Diagnostics& diagnostics)
      : model_(std::move(model)),
        path_(path),
        import_(import),
        samples_(samples),
        options_(options),
        progress_(progress),
        diagnostics_(diagnostics) {}

  std::optional<QuantizedModel> run() {
    result_.parameter_bytes_before = initializer_bytes(model_);
    if (auto opset = model_.opsets.find(""); opset != model_.opsets.end()) result_.opset_before = opset->second;
    if (!check(check_keep_float(model_, options_)) || !prepare()) return std::nullopt;
    if (!check(quantize())) return std::nullopt;
    return std::move(result_);
  }

 private:
  bool check(const Status& status) {
    if (!status) diagnostics_.report(Diagnostic(status.diagnostic()).in_file(path_.string()));
    return status.ok();
  }

  bool import() {
    graph_ = imported(model_, path_, import_, diagnostics_);
    return graph_.has_value();
  }

  bool prepare() {
    if (!import() || !check(raise_opset(model_, tensor_types(*graph_, model_)))) return false;
    simplify_for_quantization(model_, tensor_types(*graph_, model_));
    if (!import()) return false;
    return !options_.equalize || (check(equalize()) && import());
  }

  Status equalize() {
    Result<ChannelReach> reach = channel_reach(*graph_, model_, samples_for_correction(*graph_, Timeline(*graph_), samples_));
    if (!reach) return std::move(reach).diagnostic();
    result_.equalized_pairs = equalize_layers(model_, *reach);
    return Done{};
  }

  Status quantize() {
    PlanBuilder builder(*graph_, model_, samples_, options_, progress_);
    if (Status s = builder.measure(); !s) return s;
    Result<BuiltPlan> built = builder.build({});
    if (!built) return std::move(built).diagnostic();
    if (options_.goal) {
      Result<GoalResult> goal = reach_goal(builder, *options_.goal, *built);
      if (!goal) return std::move(goal).diagnostic();
      result_.goal = *std::move(goal);
    }
    Result<std::vector<QuantizedOutput>> outputs = compare_outputs(builder, *built);
    if (!outputs) return std::move(outputs).diagnostic();
    result_.outputs = *std::move(outputs);
    result_.units = unit_rows(model_, built->plan, built->noise);
    result_.float_nodes = float_nodes(model_, built->plan);
    insert_qdq(model_, built->plan);
    result_.opset = model_.opsets.at("");
    result_.parameter_bytes = initializer_bytes(model_);
    Result<std::string> bytes = onnx_graph_bytes(model_);
    if (!bytes) return std::move(bytes).diagnostic();
    result_.bytes = *std::move(bytes);
    return Done{};
  }

  OnnxGraph model_;
  const std::filesystem::path& path_;
  const ImportOptions& import_;
  const std::vector<Sample>& samples_;
  const QuantizeOptions& options_;
  const Progress& progress_;
  Diagnostics& diagnostics_;
  std::optional<Graph> graph_;
  QuantizedModel result_;
};

}  // namespace

std::optional<QuantizedModel> quantize_model(OnnxGraph model, const std::filesystem::path& path, const ImportOptions& import,
                                             const std::vector<Sample>& samples, const QuantizeOptions& options, const Progress& progress,
                                             Diagnostics& diagnostics) {
  if (samples.empty()) {
    diagnostics.report(
        error(DiagId::bad_input_data, "there are no calibration samples.", "give a folder or file with at least one, better a hundred."));
    return std::nullopt;
  }
  return Quantizer(std::move(model), path, import, samples, options, progress, diagnostics).run();
}

}  // namespace kiln
