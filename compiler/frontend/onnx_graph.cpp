// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/onnx_graph.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "compiler/frontend/attributes.h"
#include "compiler/frontend/freeze.h"
#include "compiler/ir/limits.h"
#include "compiler/frontend/node_order.h"
#include "compiler/frontend/proto.h"
#include "compiler/frontend/tensor_proto.h"
#include "compiler/ir/builder.h"
#include "compiler/ops/ops.h"

namespace kiln {
namespace {

/// QuantizeLinear per channel and the operators around it are of opset 13, which came with this version of the file format.
constexpr int64_t kLeastIrVersion = 7;

std::optional<AttrKind> kind_of(const onnx::AttributeProto& a) {
  switch (a.type()) {
    case onnx::AttributeProto::FLOAT:
      return AttrKind::real;
    case onnx::AttributeProto::INT:
      return AttrKind::integer;
    case onnx::AttributeProto::STRING:
      return AttrKind::string;
    case onnx::AttributeProto::TENSOR:
      return AttrKind::tensor;
    case onnx::AttributeProto::FLOATS:
      return AttrKind::reals;
    case onnx::AttributeProto::INTS:
      return AttrKind::integers;
    case onnx::AttributeProto::STRINGS:
      return AttrKind::strings;
    default:
      return std::nullopt;
  }
}

Result<Attrs> attributes_of(const onnx::NodeProto& node, const ExternalData& external) {
  AttrProtos protos;
  std::vector<AttrSpec> specs;
  for (const onnx::AttributeProto& a : node.attribute()) {
    std::optional<AttrKind> kind = kind_of(a);
    if (!kind) continue;
    protos.emplace_back(a.name(), &a);
    specs.push_back({a.name(), *kind});
  }
  return attrs_from_protos(protos, {.type = node.op_type(), .attrs = specs}, external);
}

void set_attribute(onnx::AttributeProto& out, const std::string& name, const Attr& value) {
  out.set_name(name);
  if (const auto* i = std::get_if<int64_t>(&value)) {
    out.set_type(onnx::AttributeProto::INT);
    out.set_i(*i);
  } else if (const auto* f = std::get_if<double>(&value)) {
    out.set_type(onnx::AttributeProto::FLOAT);
    out.set_f(static_cast<float>(*f));
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    out.set_type(onnx::AttributeProto::STRING);
    out.set_s(*s);
  } else if (const auto* is = std::get_if<std::vector<int64_t>>(&value)) {
    out.set_type(onnx::AttributeProto::INTS);
    for (int64_t v : *is) out.add_ints(v);
  } else if (const auto* fs = std::get_if<std::vector<double>>(&value)) {
    out.set_type(onnx::AttributeProto::FLOATS);
    for (double v : *fs) out.add_floats(static_cast<float>(v));
  } else if (const auto* ss = std::get_if<std::vector<std::string>>(&value)) {
    out.set_type(onnx::AttributeProto::STRINGS);
    for (const std::string& v : *ss) out.add_strings(v);
  } else {
    out.set_type(onnx::AttributeProto::TENSOR);
    *out.mutable_t() = tensor_to_proto(std::get<Tensor>(value), "");
  }
}

void set_attributes(onnx::NodeProto& proto, const OnnxGraphNode& node) {
  google::protobuf::RepeatedPtrField<onnx::AttributeProto> kept;
  for (const onnx::AttributeProto& a : proto.attribute())
    if (!kind_of(a)) *kept.Add() = a;
  proto.mutable_attribute()->Swap(&kept);
  for (const auto& [name, value] : node.attrs.all()) set_attribute(*proto.add_attribute(), name, value);
}

/// What a node makes when all it reads is constant; nothing when it is none of those, or cannot be computed here.
std::optional<std::vector<Tensor>> constant_results(const OnnxGraphNode& node, const OnnxGraph& model) {
  const OpDef* op = op_table().find_onnx(node.domain, node.type);
  bool kept = node.type == "QuantizeLinear" || node.type == "DequantizeLinear";  // integers are the smaller form
  auto opset = model.opsets.find(node.domain);
  if (!op || kept || opset == model.opsets.end() || node.inputs.size() < op->onnx.min_inputs) return std::nullopt;
  Graph graph;
  GraphBuilder builder(graph, {node.name});
  OnnxNode onnx_node{node.domain, node.type, node.name,           opset->second,
                     node.attrs,  {},        node.outputs.size(), std::vector<bool>(node.outputs.size(), true)};
  for (const std::string& input : node.inputs) {
    const Tensor* constant = model.initializer(input);
    if (!constant && !input.empty()) return std::nullopt;
    onnx_node.inputs.push_back(constant ? graph.add_constant(input, *constant) : kNoValue);
  }
  for (size_t i = 0; i < op->onnx.min_inputs; ++i)
    if (!onnx_node.has(i)) return std::nullopt;
  Result<std::vector<ValueId>> values =
      op->import ? op->import(onnx_node, builder) : builder.add_multi(*op, onnx_node.inputs, onnx_node.attrs);
  if (!values || values->size() < node.outputs.size()) return std::nullopt;
  std::vector<Tensor> results;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const Tensor* constant = graph.constant((*values)[i]);
    if (!constant) return std::nullopt;
    results.push_back(*constant);
  }
  return results;
}

class Reader {
 public:
  Reader(const onnx::ModelProto& model, const ExternalData& external) : model_(model), external_(external) {}

  Result<OnnxGraph> run() {
    Result<Opsets> opsets = read_opsets(model_.opset_import());
    if (!opsets) return std::move(opsets).diagnostic();
    graph_.opsets.insert(opsets->begin(), opsets->end());
    const onnx::GraphProto& proto = model_.graph();
    Result<NodeOrder> order = order_nodes(proto.node(), output_names(proto));
    if (!order) return std::move(order).diagnostic();
    if (Status s = initializers(*order); !s) return std::move(s).diagnostic();
    for (const onnx::ValueInfoProto& input : proto.input())
      if (!graph_.initializer(input.name())) graph_.inputs.push_back(input.name());
    for (const onnx::ValueInfoProto& output : proto.output()) graph_.outputs.push_back(output.name());
    for (const OrderedNode& node : order->nodes) names_.insert(node.proto->name());
    for (const OrderedNode& node : order->nodes)
      if (Status s = add_node(node); !s) return std::move(s).diagnostic();
    return std::move(graph_);
  }

 private:
  Status initializers(const NodeOrder& order) {
    for (const onnx::TensorProto& proto : model_.graph().initializer()) {
      if (!order.read.count(proto.name())) continue;
      Result<Tensor> tensor = tensor_from_proto(proto, &external_);
      if (!tensor) {
        Diagnostic why = std::move(tensor).diagnostic();
        why.message = fmt::format("initializer '{}': {}", proto.name(), why.message);
        return why;
      }
      graph_.initializers.insert_or_assign(proto.name(), *std::move(tensor));
    }
    return Done{};
  }

  Status add_node(const OrderedNode& ordered) {
    const onnx::NodeProto& proto = *ordered.proto;
    OnnxGraphNode node;
    node.name = ordered.name();
    // Names that the file gives twice, or that those made for nameless nodes meet, get a number.
    for (int i = 1; (proto.name().empty() && names_.count(node.name)) || used_.count(node.name); ++i)
      node.name = fmt::format("{}_{}", ordered.name(), i);
    used_.insert(node.name);
    node.domain = plain_domain(proto.domain());
    node.type = proto.op_type();
    Result<Attrs> attrs = attributes_of(proto, external_);
    if (!attrs) return std::move(attrs).diagnostic().at_node(describe(proto, node.name));
    node.attrs = *std::move(attrs);
    node.inputs.assign(proto.input().begin(), proto.input().end());
    node.outputs.assign(proto.output().begin(), proto.output().end());
    node.source = ordered.index;
    std::optional<std::vector<Tensor>> constants = is_output(node) ? std::nullopt : constant_results(node, graph_);
    if (!constants) {
      graph_.nodes.push_back(std::move(node));
      return Done{};
    }
    for (size_t i = 0; i < constants->size(); ++i) graph_.initializers.insert_or_assign(node.outputs[i], std::move((*constants)[i]));
    return Done{};
  }

  /// Outputs of a model are made by nodes.
  [[nodiscard]] bool is_output(const OnnxGraphNode& node) const {
    return std::any_of(node.outputs.begin(), node.outputs.end(), [&](const std::string& name) {
      return std::find(graph_.outputs.begin(), graph_.outputs.end(), name) != graph_.outputs.end();
    });
  }

  const onnx::ModelProto& model_;
  const ExternalData& external_;
  OnnxGraph graph_;
  std::unordered_set<std::string> names_, used_;
};

void write_nodes(const OnnxGraph& graph, onnx::GraphProto& out) {
  for (const OnnxGraphNode& node : graph.nodes) {
    onnx::NodeProto& proto = *out.add_node();
    if (node.source >= 0) proto = graph.model->graph().node(node.source);
    proto.set_name(node.name);
    proto.set_domain(node.domain);
    proto.set_op_type(node.type);
    proto.clear_input();
    proto.clear_output();
    for (const std::string& input : node.inputs) proto.add_input(input);
    for (const std::string& output : node.outputs) proto.add_output(output);
    set_attributes(proto, node);
  }
}

Result<onnx::ModelProto> to_model(const OnnxGraph& graph) {
  onnx::ModelProto model = *graph.model;
  onnx::GraphProto& out = *model.mutable_graph();
  out.clear_node();
  out.clear_initializer();
  out.clear_value_info();
  out.clear_quantization_annotation();
  write_nodes(graph, out);
  Result<NodeOrder> order = order_nodes(out.node(), output_names(out));
  if (!order) return std::move(order).diagnostic();
  for (const auto& [name, tensor] : graph.initializers)
    if (order->read.count(name)) *out.add_initializer() = tensor_to_proto(tensor, name);
  google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> inputs;
  for (const onnx::ValueInfoProto& input : out.input())
    if (!graph.initializer(input.name())) *inputs.Add() = input;
  out.mutable_input()->Swap(&inputs);
  model.clear_opset_import();
  for (const auto& [domain, version] : graph.opsets) {
    onnx::OperatorSetIdProto& import = *model.add_opset_import();
    import.set_domain(domain);
    import.set_version(version);
  }
  model.set_ir_version(std::max(model.ir_version(), kLeastIrVersion));
  return model;
}

}  // namespace

const Tensor* OnnxGraph::initializer(const std::string& name) const {
  auto it = initializers.find(name);
  return it == initializers.end() ? nullptr : &it->second;
}

std::string OnnxGraph::unique_name(const std::string& wish) const {
  std::set<std::string, std::less<>> used(inputs.begin(), inputs.end());
  for (const OnnxGraphNode& node : nodes) {
    used.insert(node.name);
    used.insert(node.outputs.begin(), node.outputs.end());
  }
  std::string name = wish;
  for (int i = 1; used.count(name) || initializers.count(name); ++i) name = fmt::format("{}_{}", wish, i);
  return name;
}

Result<OnnxGraph> read_onnx_graph(const std::filesystem::path& path, const std::vector<FrozenInput>& frozen) {
  return guarded([&]() -> Result<OnnxGraph> {
    Result<onnx::ModelProto> model = read_model(path);
    if (!model) return std::move(model).diagnostic();
    auto shared = std::make_shared<onnx::ModelProto>(*std::move(model));
    freeze(frozen, *shared->mutable_graph());
    ExternalData external(path.parent_path());
    Result<OnnxGraph> graph = Reader(*shared, external).run();
    if (!graph) return std::move(graph).diagnostic().in_file(path.string());
    // The tensors are in the structs now.
    shared->mutable_graph()->clear_initializer();
    graph->model = std::move(shared);
    return graph;
  });
}

Result<std::string> onnx_graph_bytes(const OnnxGraph& graph) {
  return guarded([&]() -> Result<std::string> {
    Result<onnx::ModelProto> model = to_model(graph);
    if (!model) return std::move(model).diagnostic();
    if (model->ByteSizeLong() > limits::kModelBytes)
      return error(DiagId::limit_exceeded,
                   fmt::format("the model has {} bytes, the limit is {}.", model->ByteSizeLong(), limits::kModelBytes));
    std::string bytes;
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    model->SerializeToCodedStream(&coded);
    coded.Trim();
    return bytes;
  });
}

}  // namespace kiln
