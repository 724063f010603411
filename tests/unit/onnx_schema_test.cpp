// SPDX-License-Identifier: Apache-2.0
// What the operator records say of ONNX operators, against the schemas of the installed libonnx
// (opset 7 to 17).
#include <fmt/format.h>
#include <onnx/defs/schema.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <set>

#include "compiler/ops/ops.h"

using namespace kiln;

namespace {

using Type = onnx::AttributeProto;

std::optional<AttrKind> kind_of(Type::AttributeType type) {
  switch (type) {
    case Type::INT:
      return AttrKind::integer;
    case Type::FLOAT:
      return AttrKind::real;
    case Type::STRING:
      return AttrKind::string;
    case Type::INTS:
      return AttrKind::integers;
    case Type::FLOATS:
      return AttrKind::reals;
    case Type::STRINGS:
      return AttrKind::strings;
    case Type::TENSOR:
      return AttrKind::tensor;
    default:
      return std::nullopt;
  }
}

// The schemas say INT_MAX, the records 1000.
constexpr int kVariadic = 1000;

// Attributes that are deliberately refused: strings and sparse tensors are no tensors of kiln.
const std::set<std::string> kRefused = {"Constant.value_string", "Constant.value_strings",
                                        "Constant.sparse_value"};

std::vector<onnx::OpSchema> schemas_of(const OnnxOp& op) {
  std::vector<onnx::OpSchema> out;
  std::vector<int> versions;
  for (const onnx::OpSchema& schema : onnx::OpSchemaRegistry::get_all_schemas_with_history())
    if (schema.Name() == op.type && schema.domain() == op.domain) out.push_back(schema);
  // The newest of those from before opset 7 is the one in force there.
  int base = 1;
  for (const onnx::OpSchema& s : out)
    if (s.SinceVersion() <= 7) base = std::max(base, s.SinceVersion());
  std::erase_if(out, [&](const onnx::OpSchema& s) {
    return s.SinceVersion() < base || s.SinceVersion() > op.until;
  });
  return out;
}

}  // namespace

TEST_CASE("operator records agree with the ONNX schemas", "[ops]") {
  size_t compared = 0;
  for (const OpDef* op : op_table().all()) {
    if (op->onnx.type.empty()) continue;
    std::vector<onnx::OpSchema> schemas = schemas_of(op->onnx);
    for (const onnx::OpSchema& schema : schemas) {
      ++compared;
      INFO(op->onnx.type << " of opset " << schema.SinceVersion());
      CHECK(op->onnx.max_inputs >= static_cast<size_t>(std::min(schema.max_input(), kVariadic)));
      CHECK(op->onnx.min_inputs <= static_cast<size_t>(schema.min_input()));
      for (const auto& [name, attribute] : schema.attributes()) {
        if (attribute.type == Type::GRAPH || attribute.type == Type::TYPE_PROTO) continue;  // the importer reads those itself
        auto spec = std::find_if(op->onnx.attrs.begin(), op->onnx.attrs.end(),
                                 [&name = name](const AttrSpec& s) { return s.name == name; });
        bool listed = spec != op->onnx.attrs.end();
        INFO("attribute '" << name << "'");
        CHECK(listed !=
              static_cast<bool>(kRefused.count(fmt::format("{}.{}", op->onnx.type, name))));
        if (listed) CHECK(kind_of(attribute.type) == spec->kind);
      }
    }
  }
  CHECK(compared > 50);
}
