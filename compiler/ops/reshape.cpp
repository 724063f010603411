// SPDX-License-Identifier: Apache-2.0
// reshape: the same elements in the same order under another shape; no code is emitted for it. ONNX Reshape, Flatten, Squeeze
// and Unsqueeze.
#include <algorithm>

#include "compiler/ops/movement.h"

namespace kiln {
namespace {

/// For each dimension of `to` the dimension of `from` that has its size and as many elements before it, or -1.
std::vector<int64_t> kept_dimensions(const Shape& from, const Shape& to) {
  std::vector<int64_t> kept(to.size(), -1);
  for (size_t i = 0; i < to.size(); ++i)
    for (size_t k = 0; k < from.size(); ++k)
      if (from[k] == to[i] && product(from, 0, k) == product(to, 0, i)) kept[i] = static_cast<int64_t>(k);
  return kept;
}

InferResult infer_reshape(const OpArgs& args) {
  if (Status s = check_inputs(args, 1, 1); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  Shape shape = args.attrs.ints("shape");
  if (Status s = check_shape(shape); !s) return std::move(s).diagnostic();
  if (element_count(shape) != x.elements())
    return bad_node(fmt::format("{} has {} elements and cannot take the shape {} of {} elements.", to_string(x), x.elements(),
                                to_string(shape), element_count(shape)));
  Result<std::optional<Quant>> quant = moved_quant(x, kept_dimensions(x.shape, shape));
  if (!quant) return std::move(quant).diagnostic();
  return std::vector<TensorType>{{x.dtype, std::move(shape), std::move(*quant)}};
}

EvalResult eval_reshape(const OpArgs& args) {
  Tensor y = *args.constant(0);
  y.type = *args.outputs[0];
  return std::vector<Tensor>{std::move(y)};
}

Status lower_reshape(const OpArgs&, const Node& node, Lowering& lowering) {
  lowering.view(node.outputs[0], lowering.tensor(node.inputs[0]));
  return Done{};
}

/// ONNX Reshape: 0 keeps the input's dimension (unless allowzero), -1 stands for what is left.
ImportResult import_reshape(const OnnxNode& node, GraphBuilder& b) {
  const Shape& from = b.shape(node.inputs[0]);
  Result<std::vector<int64_t>> wanted = constant_ints(node, b, 1, "shape");
  if (!wanted) return std::move(wanted).diagnostic();
  Shape shape = *wanted;
  size_t free = shape.size();
  int64_t known = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && node.attrs.i("allowzero") == 0) {
      if (i >= from.size())
        return bad_node(fmt::format("shape {} copies dimension {} of an input with {} dimensions.", to_string(*wanted), i, from.size()));
      shape[i] = from[i];
    }
    if (shape[i] < -1 || (shape[i] == -1 && free < shape.size()))
      return bad_node(fmt::format("shape {} may have one -1 and no other negative dimension.", to_string(*wanted)));
    if (shape[i] == -1) {
      free = i;
      shape[i] = 1;
    }
  }
  if (Status s = check_shape(shape); !s) return std::move(s).diagnostic();
  if (free < shape.size()) {
    known = element_count(shape);
    int64_t elements = element_count(from);
    if (known == 0 ? elements != 0 : elements % known != 0)
      return bad_node(fmt::format("an input of {} elements cannot take the shape {}: {} does not divide {}.", elements, to_string(*wanted),
                                  known, elements));
    shape[free] = known == 0 ? 0 : elements / known;
  }
  return one(reshape(b, node.inputs[0], shape));
}

ImportResult import_flatten(const OnnxNode& node, GraphBuilder& b) {
  const Shape& shape = b.shape(node.inputs[0]);
  auto rank = static_cast<int64_t>(shape.size());
  int64_t axis = node.attrs.i("axis", 1);
  if (axis < -rank || axis > rank)
    return bad_node(fmt::format("axis {} is outside the {} dimensions of the input.", axis, rank));
  auto split = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  return one(reshape(b, node.inputs[0], {product(shape, 0, split), product(shape, split, shape.size())}));
}

/// The axes of Squeeze and Unsqueeze: an attribute before opset 13, an input since.
Result<std::optional<std::vector<int64_t>>> axes_operand(const OnnxNode& node, GraphBuilder& b) {
  using Axes = std::optional<std::vector<int64_t>>;
  if (node.has(1)) {
    Result<std::vector<int64_t>> axes = constant_ints(node, b, 1, "axes");
    if (!axes) return std::move(axes).diagnostic();
    return Axes(std::move(*axes));
  }
  return node.attrs.has("axes") ? Axes(node.attrs.ints("axes")) : Axes();
}

ImportResult import_squeeze(const OnnxNode& node, GraphBuilder& b) {
  const Shape& shape = b.shape(node.inputs[0]);
  auto given = axes_operand(node, b);
  if (!given) return std::move(given).diagnostic();
  Result<std::vector<int64_t>> axes = normalized_axes(given->value_or(std::vector<int64_t>{}), static_cast<int64_t>(shape.size()));
  if (!axes) return std::move(axes).diagnostic();
  Shape out;
  for (size_t i = 0; i < shape.size(); ++i) {
    bool drop = *given ? std::count(axes->begin(), axes->end(), static_cast<int64_t>(i)) > 0 : shape[i] == 1;
    if (drop && shape[i] != 1) return bad_node(fmt::format("dimension {} to squeeze is {}, not 1.", i, shape[i]));
    if (!drop) out.push_back(shape[i]);
  }
  return one(reshape(b, node.inputs[0], out));
}

ImportResult import_unsqueeze(const OnnxNode& node, GraphBuilder& b) {
  const Shape& shape = b.shape(node.inputs[0]);
  auto given = axes_operand(node, b);
  if (!given) return std::move(given).diagnostic();
  if (!*given) return bad_node("'axes' is missing.");
  auto rank = static_cast<int64_t>(shape.size() + (*given)->size());
  Result<std::vector<int64_t>> axes = normalized_axes(**given, rank);
  if (!axes) return std::move(axes).diagnostic();
  Shape out;
  auto next = shape.begin();
  for (int64_t i = 0; i < rank; ++i) out.push_back(std::count(axes->begin(), axes->end(), i) ? 1 : *next++);
  return one(reshape(b, node.inputs[0], out));
}

constexpr AttrSpec kReshapeAttrs[] = {{"allowzero", AttrKind::integer}};
constexpr AttrSpec kFlattenAttrs[] = {{"axis", AttrKind::integer}};
constexpr AttrSpec kSqueezeAttrs[] = {{"axes", AttrKind::integers}};

}  // namespace

Result<ValueId> reshape(GraphBuilder& b, ValueId x, const Shape& shape) {
  if (b.shape(x) == shape) return x;
  const Node* before = b.graph().producer(x);
  if (before && before->op == &ops::reshape) return reshape(b, before->inputs[0], shape);
  return b.add(ops::reshape, {x}, {{"shape", shape}});
}

namespace ops {
const OpDef reshape = {
    .name = "reshape",
    .summary = "another shape for the same elements",
    .onnx = {.type = "Reshape", .attrs = kReshapeAttrs, .since = 5, .min_inputs = 2, .max_inputs = 2},
    .traits = kMovesData | kView,
    .infer = infer_reshape,
    .import = import_reshape,
    .eval = eval_reshape,
    .lower = lower_reshape,
};
const OpDef flatten = {
    .summary = "two dimensions: those before and those from an axis on",
    .onnx = {.type = "Flatten", .attrs = kFlattenAttrs, .max_inputs = 1},
    .import = import_flatten,
};
const OpDef squeeze = {
    .summary = "drops dimensions of size 1",
    .onnx = {.type = "Squeeze", .attrs = kSqueezeAttrs, .max_inputs = 2},
    .import = import_squeeze,
};
const OpDef unsqueeze = {
    .summary = "inserts dimensions of size 1",
    .onnx = {.type = "Unsqueeze", .attrs = kSqueezeAttrs, .max_inputs = 2},
    .import = import_unsqueeze,
};
}  // namespace ops

}  // namespace kiln
