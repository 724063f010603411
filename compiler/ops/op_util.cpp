// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/op_util.h"

namespace kiln {

ImportResult one(Result<ValueId> value) {
  if (!value) return std::move(value).diagnostic();
  return std::vector<ValueId>{*value};
}

Activation activation_of(const Attrs& attrs) {
  return {attrs.s("act", "none"), static_cast<float>(attrs.f("alpha")), static_cast<float>(attrs.f("beta"))};
}

EvalResult with_activation(const OpArgs& args, Tensor y) {
  const std::string functor = args.attrs.s("act", "none");
  if (functor == "none") return std::vector<Tensor>{std::move(y)};
  for (const OpDef* op : op_table().all())
    if (op->is(kUnary) && op->functor == functor) return op->eval(OpArgs{*op, args.attrs, {&y.type}, {&y}, {&y.type}});
  return bad_node(fmt::format("'{}' is no activation.", functor));
}

}  // namespace kiln
