// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/states.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "compiler/frontend/state_proposals.h"
#include "compiler/frontend/tensor_proto.h"

namespace kiln {
namespace {

/// Of the graph, by their ONNX names.
std::vector<std::pair<std::string, TensorType>> inputs_of(const Graph& graph) {
  std::vector<std::pair<std::string, TensorType>> out;
  for (ValueId v : graph.inputs) out.emplace_back(graph.value(v).onnx ? graph.value(v).onnx->name : graph.value(v).name, graph.type(v));
  return out;
}
std::vector<std::pair<std::string, TensorType>> outputs_of(const Graph& graph) {
  std::vector<std::pair<std::string, TensorType>> out;
  for (size_t i = 0; i < graph.outputs().size(); ++i) out.emplace_back(graph.output_name(i), graph.type(graph.outputs()[i]));
  return out;
}

/// The type of the one called `name`, or null with a message.
const TensorType* find_type(const std::vector<std::pair<std::string, TensorType>>& list, const std::string& name, const char* what,
                            const std::string& flag, Diagnostics& diagnostics) {
  std::string names;
  for (const auto& [other, type] : list) {
    if (other == name) return &type;
    names += fmt::format("{}'{}' {}", names.empty() ? "" : ", ", other, to_string(type));
  }
  diagnostics.report(error(DiagId::bad_state_option, fmt::format("{}: the model has no {} '{}'.", flag, what, name),
                           fmt::format("its {}s are {}; write --state OUTPUT=INPUT.", what, names)));
  return nullptr;
}

void report_repeated(const std::vector<StatePair>& given, std::string StatePair::*name, const char* what, Diagnostics& diagnostics) {
  for (size_t i = 0; i < given.size(); ++i)
    for (size_t k = 0; k < i; ++k)
      if (given[i].*name == given[k].*name) {
        diagnostics.report(
            error(DiagId::bad_state_option,
                  fmt::format("--state {}={}: {} '{}' is in two pairs.", given[i].output, given[i].input, what, given[i].*name),
                  "each output feeds one input."));
        break;
      }
}

}  // namespace

std::vector<onnx::TensorProto> take_initial_values(const std::vector<StatePair>& states, onnx::GraphProto& graph) {
  std::vector<onnx::TensorProto> out(states.size());
  auto* initializers = graph.mutable_initializer();
  for (size_t i = 0; i < states.size(); ++i) {
    // An initializer that is no input is a constant of the model.
    bool is_input = std::any_of(graph.input().begin(), graph.input().end(),
                                [&](const onnx::ValueInfoProto& io) { return io.name() == states[i].input; });
    auto found =
        std::find_if(initializers->begin(), initializers->end(), [&](const onnx::TensorProto& t) { return t.name() == states[i].input; });
    if (!is_input || found == initializers->end()) continue;
    out[i].Swap(&*found);
    initializers->erase(found);
  }
  return out;
}

std::vector<StatePair> bind_states(const std::vector<StatePair>& given, const std::vector<onnx::TensorProto>& initial,
                                   const ExternalData& external, const Graph& imported, Diagnostics& diagnostics) {
  report_repeated(given, &StatePair::output, "output", diagnostics);
  report_repeated(given, &StatePair::input, "input", diagnostics);
  const auto inputs = inputs_of(imported), outputs = outputs_of(imported);
  std::vector<StatePair> bound = given;
  for (size_t i = 0; i < given.size(); ++i) {
    const std::string flag = fmt::format("--state {}={}", given[i].output, given[i].input);
    const TensorType* out = find_type(outputs, given[i].output, "output", flag, diagnostics);
    const TensorType* in = find_type(inputs, given[i].input, "input", flag, diagnostics);
    if (!out || !in) continue;
    if (!can_be_state(*out, *in)) {
      diagnostics.report(error(DiagId::bad_state_option,
                               fmt::format("{}: the output is {}, the input {}.", flag, to_string(*out), to_string(*in)),
                               "an output that is fed back has the type of the input, and its shape but for dimensions of 1."));
      continue;
    }
    if (initial[i].name().empty()) continue;
    Result<Tensor> value = tensor_from_proto(initial[i], &external);
    if (!value) {
      diagnostics.report(std::move(value).diagnostic());
    } else if (value->type.dtype != in->dtype || value->type.shape != in->shape) {
      diagnostics.report(error(DiagId::bad_state_option,
                               fmt::format("{}: the initializer is {}, the input {}.", flag, to_string(value->type), to_string(*in)),
                               "the initial value must have the type of the input; give its shape with --input-shape."));
    } else {
      bound[i].initial = *std::move(value);
    }
  }
  return bound;
}

}  // namespace kiln
