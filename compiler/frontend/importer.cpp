// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/importer.h"

#include <fmt/format.h>
#include <onnx/defs/schema.h>

#include <algorithm>
#include <utility>

#include "compiler/ir/limits.h"
#include "compiler/frontend/tensor_proto.h"
#include "compiler/frontend/unknown_operator.h"
#include "compiler/ops/movement.h"
#include "compiler/ops/ops.h"

namespace kiln {
namespace {

/// Whether the operator of the default domain has another definition in `opset` than in the oldest opset that the records describe.
bool changed_since(const std::string& type, int64_t opset) {
  if (type == "AveragePool") return false;  // opset 7 only added count_include_pad
  const onnx::OpSchema* old = onnx::OpSchemaRegistry::Schema(type, static_cast<int>(opset));
  const onnx::OpSchema* described = onnx::OpSchemaRegistry::Schema(type, static_cast<int>(limits::kOldestDescribedOpset));
  return !old || !described || old->SinceVersion() != described->SinceVersion();
}

}  // namespace

Importer::Importer(const onnx::ModelProto& model, Opsets opsets, const ExternalData& external,
                   Graph& graph, Diagnostics& diagnostics)
    : model_(model),
      opsets_(std::move(opsets)),
      external_(external),
      graph_(graph),
      diagnostics_(diagnostics) {
  read_functions();
}

void Importer::report(Diagnostic d, const Site& site) {
  diagnostics_.report(std::move(d).at_node(describe(site.node, site.name)));
}

void Importer::run(const ModelInputs& inputs) {
  Scope scope;
  scope.opsets = &opsets_;
  for (const auto& [name, type] : inputs) {
    ValueId value = graph_.add_input(std::string(name), type);
    graph_.set_onnx(value, OnnxTensor{std::string(name), type.shape, {}});
    scope.names[name] = Binding{value, nullptr, false};
  }
  bind_initializers(model_.graph(), scope);
  import_body(model_.graph().node(), output_names(model_.graph()), scope);
  if (!stopped_) finish_outputs(scope);
  if (not_looked_at_ > 0)
    diagnostics_.note(DiagId::unsupported_node,
                      fmt::format("{} more {} on those above and {} not looked at yet.", not_looked_at_, not_looked_at_ == 1 ? "node depends" : "nodes depend",
                                  not_looked_at_ == 1 ? "was" : "were"));
}

void Importer::bind_initializers(const onnx::GraphProto& graph, Scope& scope) {
  for (const onnx::TensorProto& tensor : graph.initializer())
    if (!scope.names.emplace(tensor.name(), Binding{kNoValue, &tensor, false}).second)
      diagnostics_.report(error(DiagId::duplicate_tensor,
                                fmt::format("tensor '{}' is defined twice.", tensor.name())));
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer())
    scope.sparse.insert(tensor.values().name());
}

void Importer::import_body(const NodeProtos& nodes, const std::vector<std::string_view>& outputs,
                           Scope& scope) {
  nodes_ += static_cast<size_t>(nodes.size());
  if (!within_limits()) return;
  Result<NodeOrder> order = order_nodes(nodes, outputs);
  if (!order) {
    diagnostics_.report(std::move(order).diagnostic());
    for (std::string_view name : outputs)
      scope.names.insert_or_assign(name, Binding{kNoValue, nullptr, true});
    return;
  }
  if (scanned_.insert(&nodes).second) report_unknown_operators(*order, scope);
  for (const OrderedNode& node : order->nodes) {
    if (!within_limits()) return;
    Site site{*node.proto, scope, scope.path + node.name(), *order};
    import_node(site);
  }
}

void Importer::report_unknown_operators(const NodeOrder& order, const Scope& scope) {
  for (const OrderedNode& ordered : order.nodes) {
    const onnx::NodeProto* node = ordered.proto;
    if (const Function* function = function_of(*node)) {
      const NodeProtos& body = function->proto->node();
      // Deeper calls are refused when they are imported.
      if (scope.depth >= limits::kNesting || !scanned_.insert(&body).second) continue;
      std::vector<std::string_view> outputs(function->proto->output().begin(),
                                            function->proto->output().end());
      Scope inner;
      inner.path = scope.path + ordered.name() + "/";
      inner.depth = scope.depth + 1;
      if (Result<NodeOrder> inner_order = order_nodes(body, outputs))
        report_unknown_operators(*inner_order, inner);
    } else if (!is_known(*node)) {
      diagnostics_.report(
          unknown_operator(plain_domain(node->domain()), node->op_type()).at_node(describe(*node, scope.path + ordered.name())));
    }
  }
}

bool Importer::is_known(const onnx::NodeProto& node) const {
  return function_of(node) || op_table().find_onnx(plain_domain(node.domain()), node.op_type()) || has_definition(node);
}

bool Importer::within_limits() {
  if (stopped_) return false;
  for (; counted_values_ < graph_.value_count(); ++counted_values_)
    if (const Tensor* t = graph_.constant(ValueId{static_cast<uint32_t>(counted_values_)}))
      constant_bytes_ += t->bytes().size();
  if (constant_bytes_ > limits::kConstantBytes)
    diagnostics_.report(
        error(DiagId::limit_exceeded, fmt::format("the constants take {} bytes, the limit is {}.",
                                                  constant_bytes_, limits::kConstantBytes)));
  else if (nodes_ > limits::kNodes)
    diagnostics_.report(
        error(DiagId::limit_exceeded,
              fmt::format("the model has more than {} nodes, functions inlined and loops unrolled.", limits::kNodes),
              "a loop of many iterations belongs into the application around the model."));
  else
    return true;
  stopped_ = true;
  return false;
}

void Importer::import_node(Site& site) {
  // Everything read must be there before the node is looked at: a failed input only skips it.
  for (const std::string& name : site.node.input()) {
    if (name.empty()) continue;
    Result<Binding> binding = resolve(name, site.scope);
    bool failed = !binding || binding->failed;
    if (!binding) report(std::move(binding).diagnostic(), site);
    else if (failed && is_known(site.node)) ++not_looked_at_;
    if (failed) return bind_outputs(site, {}, 0);
  }
  size_t first_new = graph_.value_count();
  Result<std::vector<Binding>> values = import_by_kind(site);
  if (!values) {
    report(std::move(values).diagnostic(), site);
    return bind_outputs(site, {}, 0);
  }
  bind_outputs(site, *values, first_new);
}

Result<std::vector<Importer::Binding>> Importer::import_by_kind(Site& site) {
  if (const Function* function = function_of(site.node)) return call_function(site, *function);
  const OpDef* op = op_table().find_onnx(plain_domain(site.node.domain()), site.node.op_type());
  if (!op && has_definition(site.node)) return call_definition(site);
  if (!op) return std::vector<Binding>{};  // reported by report_unknown_operators
  const Expansion expansion = expansion_of(site.node);
  if (!expansion) {
    if (op == &ops::identity && site.node.input_size() == 1)
      if (std::vector<Binding> same = operands(site, 0); same[0].sequence || same[0].is_none) return same;
    return apply_operator(site, *op);
  }
  Result<OnnxNode> node = onnx_node(site, *op);
  if (!node) return std::move(node).diagnostic();
  return (this->*expansion)(site, *node);
}

Importer::Expansion Importer::expansion_of(const onnx::NodeProto& node) {
  static const std::map<std::string_view, Expansion> kExpansions = {
      {"If", &Importer::choose_branch},
      {"Loop", &Importer::unroll_loop},
      {"Scan", &Importer::unroll_scan},
      {"SequenceConstruct", &Importer::construct_sequence},
      {"SequenceEmpty", &Importer::construct_sequence},
      {"SequenceInsert", &Importer::change_sequence},
      {"SequenceErase", &Importer::change_sequence},
      {"SequenceAt", &Importer::change_sequence},
      {"SequenceLength", &Importer::sequence_length},
      {"SequenceMap", &Importer::map_sequence},
      {"SplitToSequence", &Importer::split_to_sequence},
      {"ConcatFromSequence", &Importer::concat_sequence},
      {"Optional", &Importer::optional_operator},
      {"OptionalHasElement", &Importer::optional_operator},
      {"OptionalGetElement", &Importer::optional_operator},
  };
  if (!plain_domain(node.domain()).empty()) return nullptr;
  auto it = kExpansions.find(node.op_type());
  return it == kExpansions.end() ? nullptr : it->second;
}

Result<OnnxNode> Importer::onnx_node(Site& site, const OpDef& op) {
  OnnxNode node;
  node.domain = plain_domain(site.node.domain());
  node.type = site.node.op_type();
  node.name = site.name;
  auto opset = site.scope.opsets->find(node.domain);
  if (opset != site.scope.opsets->end())
    node.opset = opset->second;
  else if (node.domain.empty())
    return error(DiagId::bad_opset, "the model imports no opset for the default domain.",
                 "export it again.");
  else
    node.opset = 1;
  if (node.opset < op.onnx.since || node.opset > op.onnx.until)
    return error(
        DiagId::unsupported_node,
        fmt::format("{} of opset {} is not supported, only that of opset {} to {} is.", node.type,
                    node.opset, op.onnx.since, std::min(op.onnx.until, limits::kNewestOpset)),
        fmt::format("export the model again with opset {}.", node.opset < op.onnx.since ? op.onnx.since : op.onnx.until));
  if (node.domain.empty() && node.opset < limits::kOldestDescribedOpset && changed_since(node.type, node.opset))
    return error(DiagId::unsupported_node,
                 fmt::format("{} of opset {} is not supported: it changed with opset {} at the latest.", node.type, node.opset, limits::kOldestDescribedOpset),
                 "export the model again, or convert it with onnx.version_converter.");
  Result<AttrProtos> protos = attributes_of(site.node, site.scope);
  if (!protos) return std::move(protos).diagnostic();
  // Graphs and types are no matter of the record: the importer reads them where it carries out an operator itself.
  if (expansion_of(site.node))
    std::erase_if(*protos, [](const auto& attribute) { return attribute.second->has_g() || attribute.second->has_tp(); });
  Result<Attrs> attrs = attrs_from_protos(*protos, op.onnx, external_);
  if (!attrs) return std::move(attrs).diagnostic();
  node.attrs = std::move(*attrs);
  std::vector<Binding> given = operands(site, 0);
  while (!given.empty() && !given.back().is_given()) given.pop_back();
  for (const Binding& binding : given) {
    if (!expansion_of(site.node) && (binding.sequence || binding.is_none))
      return error(DiagId::unsupported_node, fmt::format("{} of {} is not supported.", node.type, binding.sequence ? "a sequence" : "an optional without an element"));
    node.inputs.push_back(binding.value);
  }
  if (node.inputs.size() > op.onnx.max_inputs)
    return error(DiagId::bad_node, fmt::format("{} takes at most {} inputs, the node has {}.",
                                               node.type, op.onnx.max_inputs, node.inputs.size()));
  for (size_t i = 0; i < op.onnx.min_inputs; ++i)
    if (i >= given.size() || !given[i].is_given())
      return error(DiagId::bad_node, fmt::format("input {} is missing, {} needs {}.", i, node.type,
                                                 op.onnx.min_inputs));
  node.output_count = static_cast<size_t>(site.node.output_size());
  if (node.output_count == 0) return error(DiagId::bad_node, "the node has no outputs.");
  for (const std::string& name : site.node.output())
    node.output_used.push_back(!name.empty() && site.order.read.count(name));
  return node;
}

Result<std::vector<Importer::Binding>> Importer::apply_operator(Site& site, const OpDef& op) {
  Result<OnnxNode> node = onnx_node(site, op);
  if (!node) return std::move(node).diagnostic();
  GraphBuilder builder(graph_, {site.name});
  // What the importer makes on the way to the node's own outputs; those get their ONNX names when
  // they are bound.
  const std::string& first = site.node.output(0);
  builder.set_name(first.empty() ? site.name : site.scope.path + first + "_part");
  Result<std::vector<ValueId>> values = build(op, *node, builder);
  if (!values) return std::move(values).diagnostic();
  std::vector<Binding> out;
  for (size_t i = 0; i < node->output_count; ++i) {
    ValueId value = i < values->size() ? (*values)[i] : kNoValue;
    if (value == kNoValue && node->output_used[i])
      return error(DiagId::bad_node,
                   fmt::format("output {} ('{}') is none that {} has.", i,
                               site.node.output(static_cast<int>(i)), node->type));
    // Where there are no elements, there is nothing to compute: what uses the tensor folds it away.
    if (value != kNoValue && !graph_.constant(value) && graph_.type(value).elements() == 0)
      value = builder.add_constant(Tensor(graph_.type(value)));
    out.push_back(Binding{value, nullptr, false});
  }
  return out;
}

void Importer::bind_outputs(Site& site, const std::vector<Binding>& values, size_t first_new) {
  for (int i = 0; i < site.node.output_size(); ++i) {
    const std::string& name = site.node.output(i);
    if (name.empty()) continue;
    Binding binding = static_cast<size_t>(i) < values.size() ? values[static_cast<size_t>(i)]
                                                             : Binding{kNoValue, nullptr, true};
    if (!site.scope.names.emplace(name, binding).second) {
      report(error(DiagId::duplicate_tensor,
                   fmt::format("output '{}' has the name of an input or initializer.", name)),
             site);
      site.scope.names[name].failed = true;
      continue;
    }
    ValueId value = binding.value;
    if (value == kNoValue || index(value) < first_new || graph_.value(value).onnx) continue;
    graph_.set_name(value, site.scope.path + name);
    if (!site.scope.is_main() || graph_.constant(value)) continue;
    graph_.set_onnx(value, OnnxTensor{name, graph_.type(value).shape, {}});
    hand_onnx_up(graph_, value);
  }
}

void Importer::finish_outputs(Scope& scope) {
  if (model_.graph().output_size() == 0)
    diagnostics_.report(
        error(DiagId::no_outputs, "the model has no outputs.", "export it with outputs."));
  std::unordered_set<std::string_view> seen;
  for (const onnx::ValueInfoProto& info : model_.graph().output()) {
    if (!seen.insert(info.name()).second) continue;  // the same tensor again: outputs go by name
    Result<Binding> binding = resolve(info.name(), scope);
    if (!binding) {
      diagnostics_.report(std::move(binding).diagnostic());
      continue;
    }
    if (binding->failed) continue;
    if (binding->sequence || binding->is_none) {
      diagnostics_.report(error(DiagId::unsupported_type, fmt::format("output '{}' is no tensor, but a sequence or an optional.", info.name()),
                                "make the tensors in it outputs of their own, with SequenceAt."));
      continue;
    }
    if (binding->value == kNoValue) {
      diagnostics_.report(error(
          DiagId::missing_tensor,
          fmt::format("output '{}' stands for an omitted input of a function.", info.name())));
      continue;
    }
    const TensorType& type = graph_.type(binding->value);
    int32_t declared = info.type().tensor_type().elem_type();
    if (declared != 0 && dtype_from_onnx(declared) != type.dtype)
      diagnostics_.report(error(
          DiagId::bad_node, fmt::format("output '{}' is declared as {}, the graph computes {}.",
                                        info.name(), onnx_type_name(declared), to_string(type))));
    if (type.elements() == 0)
      diagnostics_.report(error(DiagId::unsupported_tensor, fmt::format("output '{}' is {}, which holds no elements.", info.name(), to_string(type))));
    graph_.add_output(binding->value, info.name());
  }
}

Result<Importer::Binding> Importer::resolve(std::string_view name, Scope& scope) {
  for (Scope* s = &scope; s; s = s->outer) {
    if (auto it = s->names.find(name); it != s->names.end())
      return it->second.initializer ? convert_initializer(name, it->second)
                                    : Result<Binding>(it->second);
    if (s->sparse.count(name))
      return error(DiagId::unsupported_tensor,
                   fmt::format("initializer '{}' is sparse, which is not supported.", name),
                   "store it as a dense tensor.");
  }
  return error(
      DiagId::missing_tensor,
      fmt::format("tensor '{}' is no input, no initializer and no output of a node.", name));
}

Result<Importer::Binding> Importer::convert_initializer(std::string_view name, Binding& binding) {
  Result<Tensor> tensor = tensor_from_proto(*binding.initializer, &external_);
  if (!tensor) {
    binding = Binding{kNoValue, nullptr, true};
    Diagnostic why = std::move(tensor).diagnostic();
    why.message = fmt::format("initializer '{}': {}", name, why.message);
    return why;
  }
  binding = Binding{graph_.add_constant(std::string(name), std::move(*tensor)), nullptr, false};
  return binding;
}

Result<AttrProtos> Importer::attributes_of(const onnx::NodeProto& node, const Scope& scope) const {
  AttrProtos out;
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.ref_attr_name().empty()) {
      out.emplace_back(attribute.name(), &attribute);
      continue;
    }
    if (!scope.attributes)
      return error(
          DiagId::bad_node,
          fmt::format("attribute '{}' refers to '{}' of a function, but the node is in none.",
                      attribute.name(), attribute.ref_attr_name()));
    auto it = scope.attributes->find(attribute.ref_attr_name());
    if (it != scope.attributes->end())
      out.emplace_back(attribute.name(), it->second);  // else the caller leaves it at its default
  }
  return out;
}

}  // namespace kiln
