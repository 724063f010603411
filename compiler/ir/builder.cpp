// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ir/folding.h"

namespace kiln {
namespace {

Status check_folding_cost(const OpArgs& args) {
  const EvaluationCost cost = evaluation_cost(args);
  if (cost.bytes > limits::kFoldedTensorBytes)
    return error(DiagId::limit_exceeded,
                 fmt::format("a constant of {} bytes would be computed here, the limit is {}.", cost.bytes, limits::kFoldedTensorBytes));
  if (cost.work > limits::kFoldedTensorMacs)
    return error(DiagId::limit_exceeded,
                 fmt::format("computing this constant takes {} operations, the limit is {}.", cost.work, limits::kFoldedTensorMacs));
  return FoldingBudget::spend(cost);
}

}  // namespace

Result<std::vector<Tensor>> fold(const OpArgs& args) {
  if (Status s = check_folding_cost(args); !s) return std::move(s).diagnostic();
  return args.op.eval(args);
}

std::string GraphBuilder::folded_name(ValueId from, std::string_view otherwise) {
  if (from == kNoValue || !graph_.value(from).users.empty() || graph_.is_output(from)) return std::string(otherwise);
  constexpr std::string_view kWas = "_was";
  std::string name = graph_.value(from).name;
  // Of what is computed from it again and again, the name must not grow each time: it gets numbers.
  if (name.ends_with("_was_was")) return name.substr(0, name.size() - kWas.size());
  graph_.set_name(from, name + std::string(kWas));
  return name;
}

Result<std::vector<ValueId>> GraphBuilder::add_multi(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs) {
  OpArgs args{op, attrs, {}, {}, {}};
  bool all_constant = true;
  for (ValueId v : inputs) {
    args.inputs.push_back(v == kNoValue ? nullptr : &graph_.type(v));
    args.constants.push_back(graph_.constant(v));
    all_constant = all_constant && (v == kNoValue || args.constants.back() != nullptr);
  }
  Result<std::vector<TensorType>> types = infer_types(args);
  if (!types) return std::move(types).diagnostic();
  for (const TensorType& type : *types)
    if (Status s = check_shape(type.shape); !s) return std::move(s).diagnostic();
  std::string_view name = name_.empty() ? std::string_view(origin_.front()) : std::string_view(name_);
  if (all_constant && folding_ && op.eval && !inputs.empty()) {
    for (const TensorType& type : *types) args.outputs.push_back(&type);
    Result<std::vector<Tensor>> tensors = fold(args);
    if (!tensors) return std::move(tensors).diagnostic();
    std::vector<ValueId> out;
    for (Tensor& tensor : *tensors) out.push_back(graph_.add_constant(folded_name(inputs.front(), name), std::move(tensor)));
    return out;
  }
  return graph_.node(graph_.add_node(op, std::move(inputs), std::move(attrs), std::move(*types), origin_, name, before_)).outputs;
}

Result<ValueId> GraphBuilder::add(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs) {
  Result<std::vector<ValueId>> out = add_multi(op, std::move(inputs), std::move(attrs));
  if (!out) return std::move(out).diagnostic();
  KILN_CHECK(out->size() == 1, fmt::format("'{}' has {} outputs", op.name, out->size()));
  return out->front();
}

ValueId GraphBuilder::add_constant(Tensor tensor, std::string_view name) {
  if (name.empty()) name = name_.empty() ? std::string_view(origin_.front()) : std::string_view(name_);
  return graph_.add_constant(std::string(name), std::move(tensor));
}

}  // namespace kiln
