// SPDX-License-Identifier: Apache-2.0
// The core operator resample: weighted sums along dimension "axis" of x. Operands x, positions i32 [out,taps], weights f32 [out,taps]; the
// tables must be constant. Cubic and antialiased resizing are made of it (resize_import.cpp).
#include "compiler/ops/elementwise.h"
#include "nn/ref/resample.h"

namespace kiln {
namespace {

InferResult infer_resample(const OpArgs& args) {
  if (Status s = check_operands(args, 3); !s) return std::move(s).diagnostic();
  const TensorType &x = args.in(0), &positions = args.in(1), &weights = args.in(2);
  if (x.dtype != DType::f32 && x.dtype != DType::f64)
    return error(DiagId::unsupported_type, fmt::format("cubic and antialiased resizing of {} is not supported, only of f32 and f64.", dtype_name(x.dtype)));
  const int64_t axis = args.attrs.i("axis", -1);
  if (axis < 0 || axis >= x.rank()) return bad_node(fmt::format("axis {} is outside {}.", axis, to_string(x)));
  if (positions.dtype != DType::i32 || weights.dtype != DType::f32 || positions.rank() != 2 || positions.shape != weights.shape)
    return bad_node(fmt::format("the tables are {} and {}, they must be i32 and f32 of the same two dimensions.", to_string(positions), to_string(weights)));
  if (!args.constant(1) || !args.constant(2)) return bad_node("a table is not constant.");
  Shape shape = x.shape;
  const int64_t size = shape[static_cast<size_t>(axis)];
  for (int32_t at : args.constant(1)->as<int32_t>())
    if (at < 0 || at >= size) return bad_node(fmt::format("position {} is outside 0 to {}.", at, size - 1));
  shape[static_cast<size_t>(axis)] = positions.shape[0];
  return std::vector<TensorType>{{x.dtype, std::move(shape), {}}};
}

Resample resample_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  const auto axis = static_cast<size_t>(args.attrs.i("axis"));
  return {static_cast<int32_t>(product(x, 0, axis)), static_cast<int32_t>(x[axis]), static_cast<int32_t>(product(x, axis + 1, x.size())),
          static_cast<int32_t>(args.in(1).shape[0]), static_cast<int32_t>(args.in(1).shape[1])};
}

EvalResult eval_resample(const OpArgs& args) {
  return with_float_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::resample(resample_descriptor(args), args.constant(0)->as<T>().data(), args.constant(1)->as<int32_t>().data(),
                      args.constant(2)->as<float>().data(), y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_resample(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "resample";
  call.descriptor = resample_descriptor(args);
  for (ValueId v : node.inputs) call.inputs.push_back(lowering.tensor(v));
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

bool permute_resample(const OpArgs& args, std::span<const int64_t> perm, Attrs& attrs) {
  if (args.in(0).rank() == args.in(1).rank()) return false;  // the tables would be permuted as well
  permute_axis(attrs, "axis", perm);
  return true;
}

int64_t macs_resample(const OpArgs& args) { return args.outputs[0]->elements() * args.in(1).shape[1]; }

}  // namespace

namespace ops {
const OpDef resample = {
    .name = "resample",
    .summary = "weighted sums along a dimension by tables",
    .infer = infer_resample,
    .eval = eval_resample,
    .lower = lower_resample,
    .permute = permute_resample,
    .macs = macs_resample,
};
}  // namespace ops

}  // namespace kiln
