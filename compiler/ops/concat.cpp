// SPDX-License-Identifier: Apache-2.0
// concat: joins tensors along an axis. Where a piece is one run of the output, its producer writes it there and nothing is copied.
#include <algorithm>

#include "compiler/ops/movement.h"
#include "nn/ref/copy.h"

namespace kiln {
namespace {

InferResult infer_concat(const OpArgs& args) {
  if (args.inputs.empty() || !args.has(0)) return bad_node("no tensors to join.");
  TensorType y = args.in(0);
  std::optional<int64_t> axis = normalize_axis(args.attrs.i("axis"), y.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", args.attrs.i("axis"), y.rank(), to_string(y)));
  auto at = static_cast<size_t>(*axis);
  for (size_t i = 1; i < args.inputs.size(); ++i) {
    if (!args.has(i)) return bad_node(fmt::format("input {} is missing.", i));
    const TensorType& x = args.in(i);
    bool fits = x.dtype == y.dtype && x.rank() == y.rank();
    for (size_t k = 0; fits && k < y.shape.size(); ++k) fits = k == at || x.shape[k] == y.shape[k];
    if (!fits)
      return bad_node(fmt::format("input {} is {} and cannot be joined along axis {} to {}.", i, to_string(x), *axis, to_string(args.in(0))));
    if (x.quant != args.in(0).quant)
      if (Status s = lose_grid(y, fmt::format("inputs 0 and {} are quantized differently.", i), "requantize the inputs to one scale."); !s)
        return std::move(s).diagnostic();
    y.shape[at] += x.shape[at];
  }
  if (is_quantized_along(y, *axis))
    if (Status s = lose_grid(y, fmt::format("the inputs are quantized per index of axis {}, along which they are joined.", *axis)); !s)
      return std::move(s).diagnostic();
  return std::vector<TensorType>{std::move(y)};
}

/// Where each input goes in the output: [outer][axis dimension * inner] beside each other.
std::vector<StridedCopy> piece_copies(const OpArgs& args) {
  const Shape& out = args.outputs[0]->shape;
  auto axis = static_cast<size_t>(*normalize_axis(args.attrs.i("axis"), args.in(0).rank()));
  int64_t outer = product(out, 0, axis), row = product(out, axis, out.size()), offset = 0;
  std::vector<StridedCopy> copies;
  for (const TensorType* x : args.inputs) {
    int64_t run = product(x->shape, axis, x->shape.size());
    copies.push_back({{outer, run}, {run, 1}, {row, 1}, 0, offset});
    offset += run;
  }
  return copies;
}

EvalResult eval_concat(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  std::vector<StridedCopy> copies = piece_copies(args);
  with_storage_type(y.type.dtype, [&]<class T>() {
    for (size_t i = 0; i < copies.size(); ++i)
      nn::ref::copy(copy_descriptor(copies[i]), args.constant(i)->as<T>().data(), y.as<T>().data());
  });
  return std::vector<Tensor>{std::move(y)};
}

/// Lets `piece` be written at its place within `whole` by whoever produces it. Not possible for bytes that already have a place:
/// model inputs, constants, and parts of other buffers.
bool place_inside(Lowering& lowering, TensorId piece, TensorId whole, int64_t offset_bytes) {
  Program& program = lowering.program();
  ProgramTensor::View root = program.root(piece);
  if (root.base == whole || root.offset_bytes != 0 || program.tensor(root.base).constant) return false;
  if (program.tensor(root.base).type.bytes() != program.tensor(piece).type.bytes()) return false;
  if (lowering.is_input(root.base)) return false;
  program.set_view(root.base, whole, offset_bytes);
  return true;
}

Status lower_concat(const OpArgs& args, const Node& node, Lowering& lowering) {
  TensorId y = lowering.tensor(node.outputs[0]);
  std::vector<StridedCopy> copies = piece_copies(args);
  for (size_t i = 0; i < copies.size(); ++i) {
    if (args.in(i).elements() == 0) continue;
    TensorId x = lowering.tensor(node.inputs[i]);
    bool one_run = copies[i].dims[0] == 1;
    if (one_run && place_inside(lowering, x, y, copies[i].out_offset * element_bytes(args.in(i).dtype))) continue;
    KernelCall call;
    call.family = "copy";
    call.descriptor = copy_descriptor(copies[i]);
    call.inputs = {x};
    call.outputs = {y};
    lowering.call(node, std::move(call));
  }
  return Done{};
}

bool permute_concat(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) {
  permute_axis(attrs, "axis", perm);
  return true;
}

/// Whether `x` has length 0 along `axis`, and is otherwise like `first`.
bool adds_nothing(const TensorType& x, const TensorType& first, int64_t given_axis) {
  std::optional<int64_t> axis = normalize_axis(given_axis, x.rank());
  if (!axis || x.rank() != first.rank() || x.dtype != first.dtype || x.shape[static_cast<size_t>(*axis)] != 0) return false;
  Shape rest = x.shape;
  rest[static_cast<size_t>(*axis)] = first.shape[static_cast<size_t>(*axis)];
  return rest == first.shape;
}

ImportResult import_concat(const OnnxNode& node, GraphBuilder& b) {
  if (node.opset >= 4 && !node.attrs.has("axis")) return bad_node("attribute 'axis' is missing.");
  Attrs attrs{{"axis", node.attrs.i("axis", 1)}};
  std::vector<ValueId> inputs;
  for (ValueId x : node.inputs)
    if (x == kNoValue || !adds_nothing(b.type(x), b.type(node.inputs[0]), attrs.i("axis"))) inputs.push_back(x);
  if (inputs.empty()) inputs = {node.inputs[0]};
  if (inputs.size() == 1 && inputs[0] != kNoValue && normalize_axis(attrs.i("axis"), b.type(inputs[0]).rank())) return inputs;
  return one(b.add(ops::concat, std::move(inputs), std::move(attrs)));
}

constexpr AttrSpec kConcatAttrs[] = {{"axis", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef concat = {
    .name = "concat",
    .summary = "joins tensors along an axis",
    .onnx = {.type = "Concat", .attrs = kConcatAttrs},
    .traits = kMovesData,
    .infer = infer_concat,
    .import = import_concat,
    .eval = eval_concat,
    .lower = lower_concat,
    .permute = permute_concat,
};
}  // namespace ops

}  // namespace kiln
