// SPDX-License-Identifier: Apache-2.0
// y = c ? a : b with NumPy broadcasting of all three. It moves elements, so any type goes.
#include "compiler/ops/broadcasting.h"
#include "compiler/ops/elementwise.h"

namespace kiln {
namespace {

Where where_descriptor(const Shape& c, const Shape& a, const Shape& b, const Shape& y) {
  const LoopNest loops = broadcast_loops(y, {&c, &a, &b});
  Where d;
  d.rank = static_cast<int32_t>(loops.dims.size());
  d.dims = Dims(loops.dims);
  d.c_strides = Dims(loops.strides[0]);
  d.a_strides = Dims(loops.strides[1]);
  d.b_strides = Dims(loops.strides[2]);
  return d;
}

InferResult infer_where(const OpArgs& args) {
  if (Status s = check_operands(args, 3); !s) return std::move(s).diagnostic();
  const TensorType &c = args.in(0), &a = args.in(1), &b = args.in(2);
  if (c.dtype != DType::boolean) return bad_node(fmt::format("the condition of 'where' is {}, it must be bool.", to_string(c)));
  if (a.dtype != b.dtype)
    return bad_node(fmt::format("'where' takes operands of one element type, not {} and {}.", to_string(a), to_string(b)));
  std::optional<Shape> shape = broadcast(a.shape, b.shape);
  if (shape) shape = broadcast(c.shape, *shape);
  if (!shape)
    return bad_node(fmt::format("'where' cannot broadcast shapes {}, {} and {}.", to_string(c.shape), to_string(a.shape), to_string(b.shape)),
                    "from the last dimension backwards, sizes must be equal or one of them 1.");
  return std::vector<TensorType>{{a.dtype, *std::move(shape), a.quant == b.quant ? a.quant : std::nullopt}};
}

EvalResult eval_where(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  const Where d = where_descriptor(args.in(0).shape, args.in(1).shape, args.in(2).shape, y.type.shape);
  with_storage_type(y.type.dtype, [&]<class T>() {
    nn::ref::where(d, args.constant(0)->as<uint8_t>().data(), args.constant(1)->as<T>().data(), args.constant(2)->as<T>().data(),
                   y.as<T>().data());
  });
  return std::vector<Tensor>{std::move(y)};
}

Status lower_where(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "where";
  call.descriptor = where_descriptor(args.in(0).shape, args.in(1).shape, args.in(2).shape, args.outputs[0]->shape);
  for (ValueId input : node.inputs) call.inputs.push_back(lowering.tensor(input));
  call.outputs = {lowering.tensor(node.outputs[0])};
  call.in_place = in_place_inputs(args);
  lowering.call(node, std::move(call));
  return Done{};
}

constexpr OpDef where_op() {
  OpDef op;
  op.name = "where";
  op.summary = "elements of the second operand where the first is true, else of the third";
  op.onnx = {.type = "Where", .attrs = {}, .since = 9, .min_inputs = 3, .max_inputs = 3};
  op.traits = kElementwise | kAnyElements;
  op.infer = infer_where;
  op.eval = eval_where;
  op.lower = lower_where;
  return op;
}

}  // namespace

namespace ops {
const OpDef where = where_op();
}  // namespace ops

}  // namespace kiln
