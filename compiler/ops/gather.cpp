// SPDX-License-Identifier: Apache-2.0
// gather: the slices of x along an axis that a tensor of indices names. Constant indices in arithmetic sequence become a slice.
#include <algorithm>

#include "compiler/ops/movement.h"
#include "nn/ref/copy.h"

namespace kiln {
namespace {

InferResult infer_gather(const OpArgs& args) {
  if (Status s = check_inputs(args, 2, 2); !s) return std::move(s).diagnostic();
  const TensorType &x = args.in(0), &index = args.in(1);
  std::optional<int64_t> axis = normalize_axis(args.attrs.i("axis"), x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", args.attrs.i("axis"), x.rank(), to_string(x)));
  if (index.dtype != DType::i32 && index.dtype != DType::i64)
    return bad_node(fmt::format("the indices are {}, they must be i32 or i64.", to_string(index)));
  auto at = static_cast<size_t>(*axis);
  if (x.shape[at] == 0 && index.elements() > 0)
    return bad_node(fmt::format("{} indices into axis {} of {}, which is empty.", index.elements(), *axis, to_string(x)));
  if (const Tensor* values = args.constant(1)) {
    std::optional<std::vector<int64_t>> indices = values->to_int64s();
    for (int64_t i : *indices)
      if (!normalize_axis(i, x.shape[at])) return bad_node(fmt::format("index {} is outside dimension {} of {}.", i, *axis, to_string(x)));
  }
  Shape shape(x.shape.begin(), x.shape.begin() + *axis);
  std::vector<int64_t> from;
  for (int64_t i = 0; i < *axis; ++i) from.push_back(i);
  shape.insert(shape.end(), index.shape.begin(), index.shape.end());
  from.resize(shape.size(), -1);
  for (size_t i = at + 1; i < x.shape.size(); ++i) {
    shape.push_back(x.shape[i]);
    from.push_back(static_cast<int64_t>(i));
  }
  Result<std::optional<Quant>> quant = moved_quant(x, from);
  if (!quant) return std::move(quant).diagnostic();
  return std::vector<TensorType>{{x.dtype, std::move(shape), std::move(*quant)}};
}

Gather gather_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  auto axis = static_cast<size_t>(*normalize_axis(args.attrs.i("axis"), args.in(0).rank()));
  Gather d;
  d.outer = static_cast<int32_t>(product(x, 0, axis));
  d.axis_dim = static_cast<int32_t>(x[axis]);
  d.inner = static_cast<int32_t>(product(x, axis + 1, x.size()));
  d.indices = static_cast<int32_t>(args.in(1).elements());
  return d;
}

EvalResult eval_gather(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  Gather d = gather_descriptor(args);
  const Tensor& index = *args.constant(1);
  with_storage_type(y.type.dtype, [&]<class T>() {
    const T* x = args.constant(0)->as<T>().data();
    if (index.type.dtype == DType::i32) nn::ref::gather(d, x, index.as<int32_t>().data(), y.as<T>().data());
    else nn::ref::gather(d, x, index.as<int64_t>().data(), y.as<T>().data());
  });
  return std::vector<Tensor>{std::move(y)};
}

Status lower_gather(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "gather";
  call.descriptor = gather_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.tensor(node.inputs[1])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

/// The slice that takes the same elements, when the indices are valid and step regularly.
std::optional<SliceSpec> as_slice(const Tensor& index, const Shape& shape, size_t axis) {
  std::optional<std::vector<int64_t>> indices = index.to_int64s();
  if (!indices || indices->empty()) return std::nullopt;
  for (int64_t& i : *indices) {
    std::optional<int64_t> valid = normalize_axis(i, shape[axis]);
    if (!valid) return std::nullopt;
    i = *valid;
  }
  int64_t step = indices->size() > 1 ? (*indices)[1] - (*indices)[0] : 1;
  if (step == 0) return std::nullopt;
  for (size_t i = 1; i < indices->size(); ++i)
    if ((*indices)[i] - (*indices)[i - 1] != step) return std::nullopt;
  SliceSpec spec = whole_slice(shape);
  spec.starts[axis] = indices->front();
  spec.sizes[axis] = static_cast<int64_t>(indices->size());
  spec.steps[axis] = step;
  return spec;
}

ImportResult import_gather(const OnnxNode& node, GraphBuilder& b) {
  Attrs attrs{{"axis", node.attrs.i("axis")}};
  ValueId x = node.inputs[0];
  const Tensor* index = b.constant(node.inputs[1]);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis"), b.type(x).rank());
  std::optional<SliceSpec> spec;
  if (index && axis) spec = as_slice(*index, b.shape(x), static_cast<size_t>(*axis));
  if (!spec) return one(b.add(ops::gather, node.inputs, std::move(attrs)));
  Shape shape = b.shape(x);
  shape.erase(shape.begin() + *axis);
  shape.insert(shape.begin() + *axis, index->type.shape.begin(), index->type.shape.end());
  Result<ValueId> part = slice(b, x, *spec);
  return one(part ? reshape(b, *part, shape) : std::move(part));
}

constexpr AttrSpec kGatherAttrs[] = {{"axis", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef gather = {
    .name = "gather",
    .summary = "slices along an axis by their indices",
    .onnx = {.type = "Gather", .attrs = kGatherAttrs, .min_inputs = 2, .max_inputs = 2},
    .traits = kMovesData,
    .infer = infer_gather,
    .import = import_gather,
    .eval = eval_gather,
    .lower = lower_gather,
};
}  // namespace ops

}  // namespace kiln
