// SPDX-License-Identifier: Apache-2.0
// ONNX operators that hand their input on.
#include <algorithm>

#include "compiler/ops/op_util.h"
#include "compiler/ops/run_time_value.h"

namespace kiln {
namespace {

ImportResult import_identity(const OnnxNode& node, GraphBuilder&) { return std::vector<ValueId>{node.inputs[0]}; }

// "seed" is for training; "ratio" (an attribute up to opset 11, then input 1) too.
constexpr AttrSpec kDropoutAttrs[] = {{"ratio", AttrKind::real}, {"seed", AttrKind::integer}};

/// Inference only: y = x. The mask is true everywhere; up to opset 9 it had the type of x.
ImportResult import_dropout(const OnnxNode& node, GraphBuilder& b) {
  if (node.has(2)) {
    const Tensor* training = b.constant(node.inputs[2]);
    if (!training) return run_time_value("input 'training_mode'", b.graph(), node.inputs[2], "export the model for inference.");
    std::vector<double> values = training->to_doubles();
    if (std::any_of(values.begin(), values.end(), [](double v) { return v != 0; }))
      return unsupported("dropout in training mode is not supported.", "export the model for inference.");
  }
  std::vector<ValueId> outputs = {node.inputs[0]};
  if (node.output_count > 1) outputs.push_back(kNoValue);
  if (node.output_count > 1 && node.output_used[1]) {
    const TensorType x = b.type(node.inputs[0]);
    Tensor mask(TensorType{node.opset < 10 ? x.dtype : DType::boolean, x.shape, {}});
    with_storage_type(mask.type.dtype, [&]<class T>() { std::ranges::fill(mask.as<T>(), T(1)); });
    outputs[1] = b.add_constant(std::move(mask));
  }
  return outputs;
}

}  // namespace

namespace ops {
const OpDef identity = {.summary = "its input", .onnx = {.type = "Identity", .attrs = {}, .max_inputs = 1}, .import = import_identity};
const OpDef dropout = {
    .summary = "its input (inference)", .onnx = {.type = "Dropout", .attrs = kDropoutAttrs, .max_inputs = 3}, .import = import_dropout};
}  // namespace ops

}  // namespace kiln
