// SPDX-License-Identifier: Apache-2.0
// The part of the Importer that calls functions: those of the model, and those by which ONNX defines operators.
#include <fmt/format.h>
#include <google/protobuf/unknown_field_set.h>
#include <onnx/defs/schema.h>

#include <algorithm>
#include <utility>

#include "compiler/frontend/importer.h"
#include "compiler/ir/limits.h"
#include "compiler/frontend/tensor_proto.h"

namespace kiln {
namespace {

// Fields younger than the installed onnx.proto (IR version 9 and 10); protobuf keeps them as
// unknown fields.
constexpr int kNodeOverload = 8, kFunctionAttributeDefault = 11, kFunctionOverload = 13;

std::vector<std::string> unknown_strings(const google::protobuf::UnknownFieldSet& fields,
                                         int number) {
  std::vector<std::string> out;
  for (int i = 0; i < fields.field_count(); ++i)
    if (const auto& f = fields.field(i);
        f.number() == number && f.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      out.push_back(f.length_delimited());
  return out;
}

/// What ONNX says of the node's operator, where it defines that by a function of other operators.
const onnx::OpSchema* defining_schema(const onnx::NodeProto& node, int opset) {
  const onnx::OpSchema* schema = onnx::OpSchemaRegistry::Schema(node.op_type(), opset, std::string(plain_domain(node.domain())));
  return schema && (schema->HasFunction() || schema->HasContextDependentFunction()) ? schema : nullptr;
}

std::string function_key(std::string_view domain, std::string_view name,
                         const google::protobuf::UnknownFieldSet& fields, int overload) {
  std::vector<std::string> overloads = unknown_strings(fields, overload);
  return fmt::format("{}:{}:{}", plain_domain(domain), name,
                     overloads.empty() ? "" : overloads.back());
}

}  // namespace

void Importer::read_functions() {
  for (const onnx::FunctionProto& proto : model_.functions()) {
    Function function;
    function.proto = &proto;
    Result<Opsets> opsets = read_opsets(proto.opset_import());
    if (opsets)
      function.opsets = std::move(*opsets);
    else
      function.problem = opsets.diagnostic().message;
    function.opsets.insert(opsets_.begin(),
                           opsets_.end());  // where the function itself imports nothing
    for (const std::string& bytes :
         unknown_strings(proto.unknown_fields(), kFunctionAttributeDefault)) {
      onnx::AttributeProto attribute;
      if (attribute.ParseFromString(bytes) && is_plain_text(attribute.name()))
        function.defaults.push_back(std::move(attribute));
      else
        function.problem = "the default of an attribute cannot be read.";
    }
    std::string key =
        function_key(proto.domain(), proto.name(), proto.unknown_fields(), kFunctionOverload);
    auto [it, added] = functions_.emplace(std::move(key), std::move(function));
    if (!added) it->second.problem = "it is defined twice.";
  }
}

const Importer::Function* Importer::function_of(const onnx::NodeProto& node) const {
  if (functions_.empty()) return nullptr;
  auto it = functions_.find(
      function_key(node.domain(), node.op_type(), node.unknown_fields(), kNodeOverload));
  return it == functions_.end() ? nullptr : &it->second;
}

bool Importer::has_definition(const onnx::NodeProto& node) {
  return defining_schema(node, std::numeric_limits<int>::max()) != nullptr;
}

Result<std::vector<Importer::Binding>> Importer::call_function(Site& site,
                                                               const Function& function) {
  const onnx::FunctionProto& proto = *function.proto;
  if (!function.problem.empty())
    return error(DiagId::bad_node,
                 fmt::format("function '{}' cannot be called: {}", proto.name(), function.problem));
  if (std::find(calls_.begin(), calls_.end(), &function) != calls_.end())
    return error(DiagId::bad_node, fmt::format("function '{}' calls itself.", proto.name()),
                 "ONNX functions must not be recursive.");
  if (site.scope.depth >= limits::kNesting)
    return error(
        DiagId::limit_exceeded,
        fmt::format("functions and branches are nested more than {} deep.", limits::kNesting));
  if (site.node.input_size() > proto.input_size() || site.node.output_size() > proto.output_size())
    return error(DiagId::bad_node,
                 fmt::format("the call has {} inputs and {} outputs, function '{}' has {} and {}.",
                             site.node.input_size(), site.node.output_size(), proto.name(),
                             proto.input_size(), proto.output_size()));
  std::map<std::string, const onnx::AttributeProto*> attributes;
  for (const onnx::AttributeProto& attribute : function.defaults)
    attributes[attribute.name()] = &attribute;
  Result<AttrProtos> given = attributes_of(site.node, site.scope);
  if (!given) return std::move(given).diagnostic();
  for (const auto& [name, attribute] : *given) {
    bool known = attributes.count(name) ||
                 std::find(proto.attribute().begin(), proto.attribute().end(), name) !=
                     proto.attribute().end();
    if (!known)
      return error(DiagId::bad_node,
                   fmt::format("function '{}' has no attribute '{}'.", proto.name(), name));
    attributes[name] = attribute;
  }

  Scope inner;
  inner.path = site.name + "/";
  inner.opsets = &function.opsets;
  inner.attributes = &attributes;
  inner.depth = site.scope.depth + 1;
  for (int i = 0; i < proto.input_size(); ++i) {
    Binding binding;
    if (i < site.node.input_size() && !site.node.input(i).empty())
      binding = *resolve(site.node.input(i), site.scope);
    inner.names[proto.input(i)] = binding;
  }
  std::vector<std::string_view> outputs(proto.output().begin(), proto.output().end());
  calls_.push_back(&function);
  import_body(proto.node(), outputs, inner);
  calls_.pop_back();
  return results_of(outputs, site.node.output_size(), inner);
}

Result<std::vector<Importer::Binding>> Importer::call_definition(Site& site) {
  onnx::NodeProto node = site.node;
  Result<AttrProtos> attributes = attributes_of(site.node, site.scope);
  if (!attributes) return std::move(attributes).diagnostic();
  node.clear_attribute();
  for (const auto& [name, attribute] : *attributes) {
    onnx::AttributeProto& own = *node.add_attribute();
    own = *attribute;
    own.set_name(name);
  }
  std::vector<onnx::TypeProto> types(static_cast<size_t>(node.input_size()));
  for (int i = 0; i < node.input_size(); ++i)
    if (Result<Binding> input = node.input(i).empty() ? Binding{} : resolve(node.input(i), site.scope); input && input->value != kNoValue) {
      const TensorType& type = graph_.type(input->value);
      onnx::TypeProto::Tensor* proto = types[static_cast<size_t>(i)].mutable_tensor_type();
      proto->set_elem_type(onnx_number(type.dtype));
      for (int64_t d : type.shape) proto->mutable_shape()->add_dim()->set_dim_value(d);
    }

  auto opset = site.scope.opsets->find(std::string(plain_domain(node.domain())));
  const onnx::OpSchema* schema =
      opset == site.scope.opsets->end() ? nullptr : defining_schema(node, static_cast<int>(std::min<int64_t>(opset->second, limits::kNewestOpset)));
  if (!schema)
    return error(DiagId::unsupported_node, fmt::format("{} is not there in the opset that the model imports.", node.op_type()), "export it again.");
  onnx::FunctionProto& body = definitions_.emplace_back();
  try {
    if (schema->HasFunction())
      body = *schema->GetFunction();
    else if (!schema->BuildContextDependentFunction(onnx::FunctionBodyBuildContextImpl(node, types), body))
      return error(DiagId::bad_node, fmt::format("{} is not defined for these inputs and attributes.", node.op_type()));
  } catch (const std::exception& e) {  // libonnx does not check the attributes that it reads
    return error(DiagId::bad_node, fmt::format("{} is not defined for these attributes: {}", node.op_type(), e.what()));
  }
  Function function;
  function.proto = &body;
  function.opsets = *site.scope.opsets;
  if (Result<Opsets> own = read_opsets(body.opset_import()))
    for (const auto& [domain, version] : *own) function.opsets[domain] = version;
  for (const auto& [name, attribute] : schema->attributes())
    if (attribute.default_value.has_type()) {
      function.defaults.push_back(attribute.default_value);
      function.defaults.back().set_name(name);
    }
  return call_function(site, function);
}

Result<std::vector<Importer::Binding>> Importer::results_of(
    const std::vector<std::string_view>& outputs, int count, Scope& inner) {
  std::vector<Binding> values;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    Result<Binding> binding = resolve(outputs[i], inner);
    if (!binding && !stopped_) return std::move(binding).diagnostic();
    values.push_back(binding ? *binding : Binding{kNoValue, nullptr, true});
  }
  return values;
}

}  // namespace kiln
