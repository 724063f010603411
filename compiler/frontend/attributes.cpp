// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/attributes.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ir/limits.h"
#include "compiler/frontend/proto.h"
#include "compiler/frontend/tensor_proto.h"

namespace kiln {
namespace {

using Type = onnx::AttributeProto;

struct KindRow {
  AttrKind kind;
  Type::AttributeType type;
};
constexpr KindRow kKinds[] = {
    {AttrKind::integer, Type::INT},   {AttrKind::real, Type::FLOAT},
    {AttrKind::string, Type::STRING}, {AttrKind::integers, Type::INTS},
    {AttrKind::reals, Type::FLOATS},  {AttrKind::strings, Type::STRINGS},
    {AttrKind::tensor, Type::TENSOR},
};

Type::AttributeType expected_type(AttrKind kind) {
  for (const KindRow& row : kKinds)
    if (row.kind == kind) return row.type;
  return Type::UNDEFINED;
}

// Files of IR version 1 have no type field: the field that is set tells it.
Type::AttributeType type_of(const onnx::AttributeProto& a) {
  if (a.type() != Type::UNDEFINED) return a.type();
  if (a.has_f()) return Type::FLOAT;
  if (a.has_i()) return Type::INT;
  if (a.has_s()) return Type::STRING;
  if (a.has_t()) return Type::TENSOR;
  if (a.has_g()) return Type::GRAPH;
  if (a.floats_size() > 0) return Type::FLOATS;
  if (a.ints_size() > 0) return Type::INTS;
  if (a.strings_size() > 0) return Type::STRINGS;
  return Type::UNDEFINED;
}

std::string type_name(Type::AttributeType type) {
  constexpr std::string_view kNames[] = {"undefined",      "a float", "an int", "a string",
                                         "a tensor",       "a graph", "floats", "ints",
                                         "strings",        "tensors", "graphs", "a sparse tensor",
                                         "sparse tensors", "a type",  "types"};
  auto i = static_cast<size_t>(type);
  return i < std::size(kNames) ? std::string(kNames[i]) : fmt::format("of type {}", i);
}

Result<Attr> text(const std::string& name, const std::string& value) {
  if (!is_plain_text(value))
    return error(DiagId::bad_node, fmt::format("attribute '{}' is no plain text.", name));
  return Attr(value);
}

Result<Attr> convert(const std::string& name, const onnx::AttributeProto& a, AttrKind kind,
                     const ExternalData& external) {
  auto too_long = [&](int count) { return static_cast<size_t>(count) > limits::kOperands; };
  if (too_long(a.ints_size()) || too_long(a.floats_size()) || too_long(a.strings_size()))
    return error(DiagId::limit_exceeded,
                 fmt::format("attribute '{}' has more than {} entries.", name, limits::kOperands));
  switch (kind) {
    case AttrKind::integer:
      return Attr(static_cast<int64_t>(a.i()));
    case AttrKind::real:
      return Attr(static_cast<double>(a.f()));
    case AttrKind::string:
      return text(name, a.s());
    case AttrKind::integers:
      return Attr(std::vector<int64_t>(a.ints().begin(), a.ints().end()));
    case AttrKind::reals:
      return Attr(std::vector<double>(a.floats().begin(), a.floats().end()));
    case AttrKind::strings: {
      std::vector<std::string> list;
      for (const std::string& s : a.strings()) {
        if (Result<Attr> checked = text(name, s); !checked) return checked;
        list.push_back(s);
      }
      return Attr(std::move(list));
    }
    case AttrKind::tensor:
      break;
  }
  Result<Tensor> tensor = tensor_from_proto(a.t(), &external);
  if (!tensor) {
    Diagnostic why = std::move(tensor).diagnostic();
    why.message = fmt::format("attribute '{}': {}", name, why.message);
    return why;
  }
  return Attr(std::move(*tensor));
}

}  // namespace

Result<Attrs> attrs_from_protos(const AttrProtos& protos, const OnnxOp& op,
                                const ExternalData& external) {
  Attrs attrs;
  for (const auto& [name, proto] : protos) {
    auto spec = std::find_if(op.attrs.begin(), op.attrs.end(),
                             [&](const AttrSpec& s) { return s.name == name; });
    if (spec == op.attrs.end())
      return error(DiagId::unsupported_node,
                   fmt::format("attribute '{}' of {} is not supported.", name, op.type));
    if (attrs.has(name))
      return error(DiagId::bad_node, fmt::format("attribute '{}' is given twice.", name));
    if (type_of(*proto) != expected_type(spec->kind))
      return error(DiagId::bad_node,
                   fmt::format("attribute '{}' is {}, it must be {}.", name,
                               type_name(type_of(*proto)), type_name(expected_type(spec->kind))));
    Result<Attr> value = convert(name, *proto, spec->kind, external);
    if (!value) return std::move(value).diagnostic();
    attrs.set(name, std::move(*value));
  }
  return attrs;
}

}  // namespace kiln
