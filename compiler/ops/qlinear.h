// SPDX-License-Identifier: Apache-2.0
// For the import of ONNX operators on integers: the float operators that they abbreviate.
#pragma once

#include "compiler/ops/op_util.h"

namespace kiln {

/// The ai.onnx operator `type` on these inputs (kNoValue: omitted), as an importer of it would build it for opset 17. `node` is the
/// node being imported.
Result<ValueId> import_as(std::string_view type, std::vector<ValueId> inputs, Attrs attrs, const OnnxNode& node, GraphBuilder& b);

/// Scale and zero point as ONNX operands, with one entry or one per index of `axis` (negative: counted from the end).
struct OnnxGridOperands {
  ValueId scale = kNoValue, zero_point = kNoValue;  ///< no zero point: 0
  int64_t axis = -1;
};
/// The operands at these inputs; the zero point may be absent.
OnnxGridOperands grid_operands(const OnnxNode& node, size_t scale, size_t zero_point, int64_t axis = -1);

/// The floats that integers x stand for.
Result<ValueId> dequantized(ValueId x, const OnnxGridOperands& grid, const OnnxNode& node, GraphBuilder& b);
/// Floats y as integers: of the zero point's type, without one of `dtype`.
Result<ValueId> quantized(ValueId y, OnnxGridOperands grid, DType dtype, const OnnxNode& node, GraphBuilder& b);
/// An i32 bias whose grid has scale x_scale * w_scale, of which w_scale may have an entry per output channel.
Result<ValueId> dequantized_bias(ValueId bias, ValueId x_scale, ValueId w_scale, const OnnxNode& node, GraphBuilder& b);

}  // namespace kiln
