// SPDX-License-Identifier: Apache-2.0
// How a node of each ONNX operator is made from what a sketch already has.
//
// Operators come from the table of all OpDefs. Most functions of one operand or two are made from their traits alone; the
// others have an entry in operators.cpp. An operator that has neither must be in the list of exceptions, with the reason.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sketch.h"

namespace kiln::test {

struct OperatorMaker {
  std::string name;  ///< "Conv", "com.microsoft::Gelu"
  std::function<void(Sketch&)> make;
};

/// All operators that can be made, in the order of ops.def.
const std::vector<OperatorMaker>& operator_makers();

/// Operators that have neither traits that say how nodes are made, nor an entry, nor an exception; and entries and exceptions that no
/// operator has. Empty, or a test fails.
std::vector<std::string> operators_without_maker();

/// Operators that are deliberately not made.
struct OperatorException {
  std::string_view name, reason;
};
const std::vector<OperatorException>& operator_exceptions();

}  // namespace kiln::test
