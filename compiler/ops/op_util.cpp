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

}  // namespace kiln
