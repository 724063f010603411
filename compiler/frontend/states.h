// SPDX-License-Identifier: Apache-2.0
// The outputs of a model that the user says are its inputs at the next run.
#pragma once

#include <onnx/onnx_pb.h>

#include <vector>

#include "compiler/frontend/external_data.h"
#include "compiler/frontend/import.h"

namespace kiln {

/// Takes the initializers of inputs that are state out of `graph`, so that these are inputs like others, and gives them in the order of
/// `states`; empty tensors where there is none.
std::vector<onnx::TensorProto> take_initial_values(const std::vector<StatePair>& states, onnx::GraphProto& graph);

/// `given` with the values of `initial`. Reports pairs that cannot be (bad_state_option): names that `imported` does not have as output and
/// input, a name in two pairs, tensors of different types. Shapes may differ by dimensions of 1.
std::vector<StatePair> bind_states(const std::vector<StatePair>& given, const std::vector<onnx::TensorProto>& initial,
                                   const ExternalData& external, const Graph& imported, Diagnostics& diagnostics);

}  // namespace kiln
