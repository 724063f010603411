// SPDX-License-Identifier: Apache-2.0
#include "generator.h"

#include <optional>

#include "operators.h"
#include "../quantized_generator.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/support/files.h"
#include "templates.h"

namespace kiln::test {
namespace {

void count_rejection(const Rejected& rejected, Tally& tally) {
  if (rejected.why == Rejected::Why::refused) ++tally.refused[rejected.operator_name][rejected.message];
  if (rejected.why == Rejected::Why::invalid) ++tally.invalid[rejected.operator_name][rejected.message];
}

/// A step of the sketch, tried a few times with other dice.
bool add_part(Sketch& sketch, const std::function<void(Sketch&)>& make, Tally& tally) {
  constexpr int kTries = 4;
  for (int i = 0; i < kTries; ++i) {
    if (sketch.attempt(make)) return true;
    count_rejection(sketch.rejected(), tally);
  }
  return false;
}

std::string title(const PatternMaker& pattern) { return pattern.pass + ": " + pattern.name; }

}  // namespace

RandomGraph random_float_graph(uint32_t seed, Tally& tally) {
  static constexpr int64_t kOpsets[] = {13, 15, 17, 18, 19, 20, 21, 22, 23};
  const std::vector<OperatorMaker>& operators = operator_makers();
  const std::vector<PatternMaker>& patterns = pattern_makers();
  RandomGraph graph;
  graph.name = fmt::format("float-{}", seed);
  // The seed goes round all operators and patterns, so that few graphs hold them all. Some operators need the newest opsets.
  std::optional<Sketch> sketch;
  for (int64_t opset : {kOpsets[Dice(seed).between(0, std::size(kOpsets) - 1)], int64_t{23}, int64_t{24}}) {
    sketch.emplace(seed, opset);
    graph.parts.clear();
    if (sketch->dice.flip() && add_part(*sketch, patterns[seed % patterns.size()].make, tally)) graph.parts.push_back(title(patterns[seed % patterns.size()]));
    if (!add_part(*sketch, operators[seed % operators.size()].make, tally)) continue;
    graph.parts.push_back(operators[seed % operators.size()].name);
    break;
  }
  std::vector<const PatternMaker*> wanted{&patterns[seed / 2 % patterns.size()]};
  for (int64_t more = sketch->dice.between(2, 8); more > 0; --more) {
    if (sketch->chance(0.3)) wanted.push_back(&sketch->pick(patterns));
    const OperatorMaker& op = sketch->pick(operators);
    if (wanted.empty() ? add_part(*sketch, op.make, tally) : add_part(*sketch, wanted.back()->make, tally))
      graph.parts.push_back(wanted.empty() ? op.name : title(*wanted.back()));
    wanted.clear();
  }
  if (sketch->node_types().empty()) sketch->add("Relu", {sketch->any(DType::f32)});
  for (const std::string& part : graph.parts) ++(part.find(": ") == std::string::npos ? tally.operators : tally.patterns)[part];
  graph.model = sketch->finish();
  graph.inputs = sketch->input_sets();
  return graph;
}

Status save_graph(const RandomGraph& graph, const std::filesystem::path& folder) {
  onnx::ModelProto model;
  KILN_CHECK(model.ParseFromString(graph.model), "a generated model does not parse");
  std::vector<OutputFile> files{{graph.name + ".onnx", graph.model}};
  for (size_t set = 0; set < graph.inputs.size(); ++set)
    for (size_t i = 0; i < graph.inputs[set].size(); ++i)
      files.push_back({fmt::format("{}-{}/{}.npy", graph.name, set, model.graph().input(static_cast<int>(i)).name()), save_npy(graph.inputs[set][i])});
  return write_folder(folder, files);
}

RandomGraph random_quantized_graph(uint32_t seed, Tally& tally) {
  QuantizedGenerator generator(seed);
  ModelMaker maker = generator.build(generator.dice().between(1, 5));
  RandomGraph graph;
  graph.name = fmt::format("quantized-{}", seed);
  graph.quantized = true;
  graph.parts = {generator.kind()};
  ++tally.patterns[generator.kind()];
  for (size_t set = 0; set < Sketch::kSets; ++set) {
    std::vector<Tensor>& inputs = graph.inputs.emplace_back();
    for (const onnx::ValueInfoProto& input : maker.model().graph().input()) {
      const onnx::TypeProto_Tensor& type = input.type().tensor_type();
      Shape shape;
      for (const auto& dim : type.shape().dim()) shape.push_back(dim.dim_value());
      const DType dtype = *dtype_from_onnx(type.elem_type());
      inputs.push_back(is_float(dtype) ? generator.dice().floats(shape, -1.2f, 1.2f) : generator.dice().integers(dtype, shape));
    }
  }
  graph.model = maker.bytes();
  return graph;
}

}  // namespace kiln::test
