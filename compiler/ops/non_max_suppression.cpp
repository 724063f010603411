// SPDX-License-Identifier: Apache-2.0
// NonMaxSuppression with a fixed bound: core non_max_suppression(boxes [N,B,4], scores [N,C,B], overlap limit [], least score []) gives i64
// [N * C * min(limit, B), 3], whose rows name batch, class and box of the survivors and, behind the last one, are -1. Attributes "limit"
// (per class) and "centred". ONNX has as many rows as there are survivors; so have constants, which kiln computes itself.
#include "nn/ref/non_max_suppression.h"

#include <algorithm>
#include <limits>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"

namespace kiln {
namespace {

InferResult infer_suppression(const OpArgs& args) {
  if (Status s = check_inputs(args, 4, 4); !s) return std::move(s).diagnostic();
  const TensorType &boxes = args.in(0), &scores = args.in(1);
  for (const TensorType* type : args.inputs)
    if (type->dtype != DType::f32) return bad_node(fmt::format("an operand is {}, it must be f32.", to_string(*type)));
  const bool fits = boxes.rank() == 3 && scores.rank() == 3 && boxes.shape[0] == scores.shape[0] && boxes.shape[1] == scores.shape[2] &&
                    boxes.shape[2] == 4;
  if (!fits)
    return bad_node(
        fmt::format("boxes {} and scores {} do not fit, they must be [N,B,4] and [N,C,B].", to_string(boxes), to_string(scores)));
  for (size_t i : {size_t{2}, size_t{3}})
    if (args.in(i).rank() != 0) return bad_node(fmt::format("threshold {} is {}, it must be one number.", i, to_string(args.in(i))));
  const int64_t limit = args.attrs.i("limit");
  if (limit < 1) return bad_node(fmt::format("the limit is {} boxes of a class, it must be at least 1.", limit));
  return std::vector<TensorType>{{DType::i64, {scores.shape[0] * scores.shape[1] * std::min(limit, boxes.shape[1]), 3}, {}}};
}

NonMaxSuppression suppression_descriptor(const OpArgs& args) {
  const Shape& scores = args.in(1).shape;
  NonMaxSuppression d;
  d.batch = static_cast<int32_t>(scores[0]);
  d.classes = static_cast<int32_t>(scores[1]);
  d.boxes = static_cast<int32_t>(scores[2]);
  d.limit = static_cast<int32_t>(std::min(args.attrs.i("limit"), scores[2]));
  d.rows = d.batch * d.classes * d.limit;
  d.centred = args.attrs.i("centred") != 0 ? 1 : 0;
  return d;
}

EvalResult eval_suppression(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  const float* operands[4];
  for (size_t i = 0; i < 4; ++i) operands[i] = args.constant(i)->as<float>().data();
  nn::ref::non_max_suppression(suppression_descriptor(args), operands[0], operands[1], operands[2], operands[3], y.as<int64_t>().data());
  return std::vector<Tensor>{std::move(y)};
}

Status lower_suppression(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "non_max_suppression";
  call.descriptor = suppression_descriptor(args);
  for (ValueId input : node.inputs) call.inputs.push_back(lowering.tensor(input));
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

/// Input `i` as a scalar, or `otherwise`.
Result<ValueId> threshold(const OnnxNode& node, GraphBuilder& b, size_t i, float otherwise) {
  if (!node.has(i)) return b.add_constant(Tensor::floats({}, {otherwise}));
  if (b.type(node.inputs[i]).elements() != 1)
    return bad_node(fmt::format("threshold {} is {}, it must be one number.", i, to_string(b.type(node.inputs[i]))));
  return reshape(b, node.inputs[i], {});
}

ImportResult import_suppression(const OnnxNode& node, GraphBuilder& b) {
  std::vector<int64_t> limit{0};
  if (node.has(2)) {
    Result<std::vector<int64_t>> given = constant_ints(node, b, 2, "max_output_boxes_per_class");
    if (!given) return std::move(given).diagnostic();
    limit = std::move(*given);
  }
  if (limit.size() != 1 || limit[0] < 1)
    return unsupported(fmt::format("max_output_boxes_per_class is {}: the result would be empty.", to_string(limit)),
                       "give the number of boxes to keep; the result has as many rows.");
  const int64_t centred = node.attrs.i("center_point_box");
  if (centred != 0 && centred != 1) return bad_node(fmt::format("attribute 'center_point_box' is {}, it must be 0 or 1.", centred));
  Result<ValueId> overlap = threshold(node, b, 3, 0), least = threshold(node, b, 4, std::numeric_limits<float>::lowest());
  if (!overlap || !least) return std::move(overlap ? least : overlap).diagnostic();
  Result<ValueId> y =
      b.add(ops::non_max_suppression, {node.inputs[0], node.inputs[1], *overlap, *least}, {{"limit", limit[0]}, {"centred", centred}});
  if (!y || !b.constant(*y)) return one(std::move(y));
  const std::span<const int64_t> rows = b.constant(*y)->as<int64_t>();
  SliceSpec survivors = whole_slice(b.shape(*y));
  survivors.sizes[0] = std::find(rows.begin(), rows.end(), -1) - rows.begin();
  survivors.sizes[0] /= 3;
  return one(slice(b, *y, survivors));
}

constexpr AttrSpec kSuppressionAttrs[] = {{"center_point_box", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef non_max_suppression = {
    .name = "non_max_suppression",
    .summary = "boxes that no better one overlaps; as many rows as the limit allows, those without a box -1",
    .onnx = {.type = "NonMaxSuppression", .attrs = kSuppressionAttrs, .since = 10, .min_inputs = 2, .max_inputs = 5},
    .infer = infer_suppression,
    .import = import_suppression,
    .eval = eval_suppression,
    .lower = lower_suppression,
};
}  // namespace ops

}  // namespace kiln
