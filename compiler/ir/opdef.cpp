// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/opdef.h"

#include <fmt/format.h>

#include <utility>

namespace kiln {

OpTable::OpTable(std::vector<const OpDef*> ops) : ops_(std::move(ops)) {}

const OpDef* OpTable::find(std::string_view core_name) const {
  for (const OpDef* op : ops_)
    if (op->is_core() && op->name == core_name) return op;
  return nullptr;
}

Result<std::vector<TensorType>> infer_types(const OpArgs& args) {
  if (!args.op.is(kMovesData | kAnyElements))
    for (const TensorType* type : args.inputs)
      if (type && (type->dtype == DType::f16 || type->dtype == DType::bf16))
        return error(DiagId::unsupported_type, fmt::format("'{}' of {} is not supported.", args.op.name, dtype_name(type->dtype)));
  return args.op.infer(args);
}

namespace {

/// The operators of QONNX have been published under three domains.
std::string_view one_domain(std::string_view domain) {
  return domain == "finn.custom_op.general" || domain == "onnx.brevitas" ? "qonnx.custom_op.general" : domain;
}

}  // namespace

const OpDef* OpTable::find_onnx(std::string_view domain, std::string_view type) const {
  std::string_view in = one_domain(domain);
  for (const OpDef* op : ops_)
    if (!op->onnx.type.empty() && op->onnx.type == type && op->onnx.domain == in) return op;
  return nullptr;
}

}  // namespace kiln
