// SPDX-License-Identifier: Apache-2.0
// The part of the Importer that deals with 16-bit floats.
//
// Models store tensors as f16 or bf16 to be small; kernels compute in f32. What only moves elements takes them as they are. Everything
// else is imported in f32: its 16-bit operands are converted, and its result is rounded. The next node then starts from the f32 before
// the rounding, so that in between nothing is converted (ONNX Runtime does the same), and roundings that nobody needs are dead code.
#include <onnx/defs/schema.h>

#include <algorithm>
#include <utility>

#include "compiler/frontend/importer.h"
#include "compiler/ir/limits.h"
#include "compiler/ops/op_util.h"

namespace kiln {
namespace {

bool is_narrow(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16; }

/// The name of the type variable of operand `i`; formals repeat the last one when it is variadic.
std::string type_of_formal(const std::vector<onnx::OpSchema::FormalParameter>& formals, size_t i) {
  return formals.empty() ? std::string() : formals[std::min(i, formals.size() - 1)].GetTypeStr();
}

/// Whether ONNX gives output `output` the type of input `input`; for operators that the installed libonnx does not know, yes.
bool has_type_of(const OnnxNode& node, size_t output, size_t input) {
  const onnx::OpSchema* schema =
      onnx::OpSchemaRegistry::Schema(node.type, static_cast<int>(std::min(node.opset, limits::kNewestOpset)), std::string(node.domain));
  return !schema || type_of_formal(schema->outputs(), output) == type_of_formal(schema->inputs(), input);
}

/// The input whose type output 0 has, for operators whose schema in the installed libonnx does not say so.
std::optional<size_t> type_giver(const OnnxNode& node) {
  if (node.type == "GridSample") return 0;
  if (node.type == "RMSNormalization" || node.type == "DequantizeLinear") return 1;
  return std::nullopt;
}

}  // namespace

Result<std::vector<ValueId>> Importer::build(const OpDef& op, const OnnxNode& node, GraphBuilder& builder) {
  auto is_narrow_input = [&](ValueId x) { return x != kNoValue && is_narrow(builder.type(x).dtype); };
  const bool has_narrow = std::any_of(node.inputs.begin(), node.inputs.end(), is_narrow_input);
  if (has_narrow && std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId x) { return in_f32_.count(x) > 0; }))
    return build_in_f32(op, node, builder);
  Result<std::vector<ValueId>> values = op.import ? op.import(node, builder) : builder.add_multi(op, node.inputs, node.attrs);
  if (!has_narrow || values || values.diagnostic().id != DiagId::unsupported_type) return values;
  return build_in_f32(op, node, builder);
}

Result<std::vector<ValueId>> Importer::build_in_f32(const OpDef& op, OnnxNode node, GraphBuilder& builder) {
  const std::optional<size_t> giver = type_giver(node);
  const DType given = giver && node.has(*giver) ? builder.type(node.inputs[*giver]).dtype : DType::f32;
  size_t first_narrow = node.inputs.size();
  DType narrow = DType::f32;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!node.has(i) || !is_narrow(builder.type(node.inputs[i]).dtype)) continue;
    if (first_narrow == node.inputs.size()) {
      first_narrow = i;
      narrow = builder.type(node.inputs[i]).dtype;
    }
    Result<ValueId> wide = in_f32(node.inputs[i], builder);
    if (!wide) return std::move(wide).diagnostic();
    node.inputs[i] = *wide;
  }
  Result<std::vector<ValueId>> values = op.import ? op.import(node, builder) : builder.add_multi(op, node.inputs, node.attrs);
  if (!values) return values;
  for (size_t i = 0; i < values->size(); ++i) {
    const ValueId wide = (*values)[i];
    if (wide == kNoValue || builder.type(wide).dtype != DType::f32) continue;
    const bool by_giver = giver && i == 0;
    if (by_giver ? !is_narrow(given) : !has_type_of(node, i, first_narrow)) continue;
    Result<ValueId> rounded = cast(builder, wide, by_giver ? given : narrow);
    if (!rounded) return std::move(rounded).diagnostic();
    if (!builder.constant(*rounded)) in_f32_.emplace(*rounded, wide);
    (*values)[i] = *rounded;
  }
  return values;
}

Result<ValueId> Importer::in_f32(ValueId value, GraphBuilder& builder) {
  if (auto it = in_f32_.find(value); it != in_f32_.end()) return it->second;
  if (builder.constant(value)) graph_.has_narrow_weights = true;
  Result<ValueId> wide = cast(builder, value, DType::f32);
  if (wide && !builder.constant(*wide)) in_f32_.emplace(value, *wide);
  return wide;
}

}  // namespace kiln
