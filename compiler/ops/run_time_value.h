// SPDX-License-Identifier: Apache-2.0
// What is said of values that have to be known when a model is compiled, but are not.
#pragma once

#include <string>
#include <string_view>

#include "compiler/ir/graph.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

/// How to make a constant of `value`: by freezing the inputs of the model that it is computed from, where those are settings of a few
/// elements; else `otherwise`.
std::string freeze_hint(const Graph& graph, ValueId value, std::string_view otherwise);

/// unsupported_node: `what` ("the depth of OneHot") has to be known, but the model computes `value` or takes it as an input.
[[nodiscard]] Diagnostic run_time_value(
    std::string_view what, const Graph& graph, ValueId value,
    std::string_view otherwise = "kiln fixes all shapes when it compiles; run the model through onnx-simplifier, or export it with static shapes.");

}  // namespace kiln
