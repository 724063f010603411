// SPDX-License-Identifier: Apache-2.0
// The core operators rnn, gru and lstm, and how ONNX RNN, GRU and LSTM become them.
//
// Operands: x [steps,batch,inputs], w [directions,gates*units,inputs], r [directions,gates*units,units], bias [directions,sums*units], then
// as in ONNX and omitted where ONNX has none: sequence lengths i32 [batch], initial h, and of lstm initial c and peepholes
// [directions,3*units]. States are [directions,batch,units]. With layout 1 the batch comes first: x [batch,steps,inputs], states
// [batch,directions,units]. Gates and sums stand in the order of runtime-stubs/nn/recurrent.h, which has one bias where ONNX adds two.
// Attributes: direction, layout, clip (0: none), input_forget (lstm), linear_before_reset (gru) as in ONNX; activations: functors, one per
// function and direction, with a number each in alpha and beta; sequence 1: y is wanted, last 1: the final h is wanted beside it.
// Results: y [steps,directions,batch,units] (layout 1: [batch,steps,directions,units]) with sequence; the final h with last, or without
// sequence; the final c of lstm.
#pragma once

#include <string>

#include "compiler/ops/op_util.h"

namespace kiln {

struct RecurrentKind {
  int64_t gates, sums;
  size_t functions;  ///< activations of a direction
  bool has_cell;
};
/// Of one of the three operators.
const RecurrentKind& recurrent_kind(const OpDef& op);

struct RecurrentShape {
  int64_t steps = 0, batch = 0, inputs = 0, units = 0, directions = 1;
  bool batch_first = false;
  [[nodiscard]] Shape sequence() const {
    return batch_first ? Shape{batch, steps, directions, units} : Shape{steps, directions, batch, units};
  }
  [[nodiscard]] Shape state() const { return batch_first ? Shape{batch, directions, units} : Shape{directions, batch, units}; }
};

/// From x, r and the attributes direction and layout, of a core node or an ONNX one. Errors: bad_node.
Result<RecurrentShape> recurrent_shape(const TensorType& x, const TensorType& r, const Attrs& attrs);

/// Operands beyond the bias.
inline constexpr size_t kRecurrentLens = 4, kRecurrentH = 5, kRecurrentC = 6, kRecurrentPeepholes = 7;

// Import hooks (recurrent_import.cpp).
ImportResult import_rnn(const OnnxNode& node, GraphBuilder& b);
ImportResult import_gru(const OnnxNode& node, GraphBuilder& b);
ImportResult import_lstm(const OnnxNode& node, GraphBuilder& b);

}  // namespace kiln
