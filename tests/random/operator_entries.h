// SPDX-License-Identifier: Apache-2.0
// The operators that have an entry of their own, one file per group.
#pragma once

#include "operators.h"

namespace kiln::test {

std::vector<OperatorMaker> elementwise_entries();
std::vector<OperatorMaker> movement_entries();
std::vector<OperatorMaker> indexing_entries();
std::vector<OperatorMaker> layer_entries();
std::vector<OperatorMaker> integer_entries();
std::vector<OperatorMaker> selection_entries();
std::vector<OperatorMaker> state_entries();

inline std::vector<OperatorMaker> operator_entries() {
  std::vector<OperatorMaker> all;
  for (auto* group : {elementwise_entries, movement_entries, indexing_entries, layer_entries, integer_entries, selection_entries, state_entries})
    for (OperatorMaker& entry : group()) all.push_back(std::move(entry));
  return all;
}

}  // namespace kiln::test
