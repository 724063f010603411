// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/model_edit.h"

#include <fmt/format.h>

#include <unordered_set>

#include "compiler/frontend/freeze.h"
#include "compiler/ir/limits.h"
#include "compiler/frontend/proto.h"
#include "compiler/frontend/states.h"
#include "compiler/frontend/tensor_proto.h"

namespace kiln {
namespace {

// Moves external data into the protobuf, wherever a tensor stands.
class Inliner {
 public:
  explicit Inliner(const ExternalData& external) : external_(external) {}

  Status graph(onnx::GraphProto& graph) {
    for (onnx::TensorProto& tensor : *graph.mutable_initializer())
      if (Status s = this->tensor(tensor); !s) return s;
    return nodes(*graph.mutable_node());
  }

  Status nodes(google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes) {
    for (onnx::NodeProto& node : nodes)
      for (onnx::AttributeProto& attribute : *node.mutable_attribute())
        if (Status s = this->attribute(attribute); !s) return s;
    return Done{};
  }

 private:
  Status attribute(onnx::AttributeProto& attribute) {
    if (attribute.has_t())
      if (Status s = tensor(*attribute.mutable_t()); !s) return s;
    for (onnx::TensorProto& t : *attribute.mutable_tensors())
      if (Status s = tensor(t); !s) return s;
    if (attribute.has_g())
      if (Status s = graph(*attribute.mutable_g()); !s) return s;
    for (onnx::GraphProto& g : *attribute.mutable_graphs())
      if (Status s = graph(g); !s) return s;
    return Done{};
  }

  Status tensor(onnx::TensorProto& proto) {
    if (proto.data_location() != onnx::TensorProto::EXTERNAL) return Done{};
    Result<std::string> raw = raw_external_data(proto, external_);
    if (!raw) {
      Diagnostic why = std::move(raw).diagnostic();
      why.message = fmt::format("initializer '{}': {}", proto.name(), why.message);
      return why;
    }
    proto.clear_external_data();
    proto.clear_data_location();
    proto.set_raw_data(std::move(*raw));
    return Done{};
  }

  const ExternalData& external_;
};

Status add_outputs(onnx::GraphProto& graph, const std::vector<std::string>& names) {
  std::unordered_set<std::string> made, outputs;
  for (const onnx::NodeProto& node : graph.node())
    made.insert(node.output().begin(), node.output().end());
  for (const onnx::ValueInfoProto& output : graph.output()) outputs.insert(output.name());
  for (const std::string& name : names) {
    if (name.empty() || !made.count(name))
      return error(DiagId::missing_tensor,
                   fmt::format("no node of the main graph makes a tensor '{}'.", name));
    // Without a type: ONNX Runtime infers it.
    if (outputs.insert(name).second) graph.add_output()->set_name(name);
  }
  return Done{};
}

}  // namespace

Result<std::vector<FrozenInput>> frozen_inputs(const std::filesystem::path& path, const ImportOptions& options) {
  if (options.frozen.empty()) return std::vector<FrozenInput>{};
  return guarded([&]() -> Result<std::vector<FrozenInput>> {
    Result<onnx::ModelProto> model = read_model(path);
    if (!model) return std::move(model).diagnostic();
    return read_frozen(options, model->graph());
  });
}

Result<std::string> serialized_model(const std::filesystem::path& path, const ModelEdits& edits) {
  return model_with_outputs(path, {}, edits);
}

Result<std::string> model_with_outputs(const std::filesystem::path& path,
                                       const std::vector<std::string>& names, const ModelEdits& edits) {
  return guarded([&]() -> Result<std::string> {
    Result<onnx::ModelProto> model = read_model(path);
    if (!model) return std::move(model).diagnostic();
    freeze(edits.frozen, *model->mutable_graph());
    take_initial_values(edits.states, *model->mutable_graph());
    ExternalData external(path.parent_path());
    Inliner inliner(external);
    Status done = inliner.graph(*model->mutable_graph());
    for (onnx::FunctionProto& function : *model->mutable_functions())
      if (done) done = inliner.nodes(*function.mutable_node());
    if (done) done = add_outputs(*model->mutable_graph(), names);
    if (!done) return std::move(done).diagnostic().in_file(path.string());
    if (model->ByteSizeLong() > limits::kModelBytes)
      return error(DiagId::limit_exceeded,
                   fmt::format("the model with its external data has {} bytes, the limit is {}.",
                               model->ByteSizeLong(), limits::kModelBytes))
          .in_file(path.string());
    return model->SerializeAsString();
  });
}

}  // namespace kiln
