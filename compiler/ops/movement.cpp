// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/movement.h"

#include <numeric>

#include <algorithm>

#include "nn/ref/copy.h"

namespace kiln {
namespace {

/// Drops dimensions of size 1 and merges neighbours that both sides step through as one.
StridedCopy merge_dimensions(const StridedCopy& copy) {
  StridedCopy out{{}, {}, {}, copy.in_offset, copy.out_offset};
  for (size_t k = 0; k < copy.dims.size(); ++k) {
    if (copy.dims[k] == 1) continue;
    bool merges = !out.dims.empty() && out.in_strides.back() == copy.in_strides[k] * copy.dims[k] &&
                  out.out_strides.back() == copy.out_strides[k] * copy.dims[k];
    if (merges) {
      out.dims.back() *= copy.dims[k];
      out.in_strides.back() = copy.in_strides[k];
      out.out_strides.back() = copy.out_strides[k];
    } else {
      out.dims.push_back(copy.dims[k]);
      out.in_strides.push_back(copy.in_strides[k]);
      out.out_strides.push_back(copy.out_strides[k]);
    }
  }
  return out;
}

}  // namespace

Copy copy_descriptor(const StridedCopy& copy) {
  bool empty = std::find(copy.dims.begin(), copy.dims.end(), 0) != copy.dims.end();
  StridedCopy c = empty ? StridedCopy{{0, 0}, {0, 0}, {0, 0}, 0, 0} : merge_dimensions(copy);
  while (c.dims.size() < 2) {
    c.dims.insert(c.dims.begin(), 1);
    c.in_strides.insert(c.in_strides.begin(), 0);
    c.out_strides.insert(c.out_strides.begin(), 0);
  }
  size_t last = c.dims.size() - 1;
  auto fast = static_cast<size_t>(std::find(c.in_strides.begin(), c.in_strides.end(), 1) - c.in_strides.begin());
  if (c.in_strides[last] != 1 && fast < last) {  // the input's fast dimension comes last but one
    for (std::vector<int64_t>* list : {&c.dims, &c.in_strides, &c.out_strides})
      std::rotate(list->begin() + static_cast<std::ptrdiff_t>(fast), list->begin() + static_cast<std::ptrdiff_t>(fast) + 1,
                  list->begin() + static_cast<std::ptrdiff_t>(last));
  }
  Copy d;
  d.rank = static_cast<int32_t>(c.dims.size());
  d.dims = Dims(c.dims);
  d.in_offset = static_cast<int32_t>(c.in_offset);
  d.in_strides = Dims(c.in_strides);
  d.out_offset = static_cast<int32_t>(c.out_offset);
  d.out_strides = Dims(c.out_strides);
  return d;
}

bool is_contiguous(const Copy& d) {
  if (d.rank != 2 || d.out_offset != 0 || d.dims[0] > 1) return false;
  return d.dims[1] <= 1 || (d.in_strides[1] == 1 && d.out_strides[1] == 1);
}

EvalResult eval_copy(const OpArgs& args, const StridedCopy& copy) {
  Tensor y(*args.outputs[0]);
  Copy d = copy_descriptor(copy);
  with_storage_type(y.type.dtype, [&]<class T>() { nn::ref::copy(d, args.constant(0)->as<T>().data(), y.as<T>().data()); });
  return std::vector<Tensor>{std::move(y)};
}

void lower_copy(const Node& node, Lowering& lowering, const StridedCopy& copy) {
  Copy d = copy_descriptor(copy);
  TensorId x = lowering.tensor(node.inputs[0]);
  if (is_contiguous(d)) {
    int64_t bytes = element_bytes(lowering.graph().type(node.inputs[0]).dtype);
    return lowering.view(node.outputs[0], x, d.in_offset * bytes);
  }
  KernelCall call;
  call.family = "copy";
  call.descriptor = d;
  call.inputs = {x};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
}

Status check_inputs(const OpArgs& args, size_t low, size_t high) {
  if (args.inputs.size() < low || args.inputs.size() > high)
    return bad_node(fmt::format("{} inputs, there must be {}.", args.inputs.size(), low == high ? std::to_string(low) : fmt::format("{} to {}", low, high)));
  for (size_t i = 0; i < low; ++i)
    if (!args.has(i)) return bad_node(fmt::format("input {} is missing.", i));
  return Done{};
}

bool is_quantized_along(const TensorType& type, int64_t axis) { return type.quant && type.quant->per_axis() && type.quant->axis == axis; }

Status lose_grid(TensorType& type, std::string why, std::string hint) {
  if (!is_float(type.dtype)) return unsupported(std::move(why), std::move(hint));
  type.quant.reset();
  return Done{};
}

Result<std::optional<Quant>> moved_quant(const TensorType& type, const std::vector<int64_t>& from) {
  if (!type.quant || type.quant->scale.size() <= 1) return type.quant;
  auto at = std::find(from.begin(), from.end(), type.quant->axis);
  if (at == from.end() && is_float(type.dtype)) return std::optional<Quant>();
  if (at == from.end())
    return unsupported(fmt::format("the tensor is quantized along axis {}, which does not stay a dimension.", type.quant->axis),
                       "quantize the tensor as a whole.");
  Quant q = *type.quant;
  q.axis = at - from.begin();
  return std::optional<Quant>(std::move(q));
}

std::optional<OnnxTensor> permuted_onnx(const std::optional<OnnxTensor>& onnx, const Shape& shape, const std::vector<int64_t>& perm) {
  if (!onnx) return std::nullopt;
  OnnxTensor out = *onnx;
  if (out.perm.empty()) {
    out.perm.resize(out.shape.size());
    std::iota(out.perm.begin(), out.perm.end(), 0);
  }
  if (permute(out.shape, out.perm) != shape) return std::nullopt;
  out.perm = permute(out.perm, perm);
  if (is_identity_permutation(out.perm)) out.perm.clear();
  return out;
}

void hand_onnx_up(Graph& graph, ValueId value) {
  while (const Node* node = graph.producer(value)) {
    if (node->op != &ops::transpose && node->op != &ops::reshape) return;
    ValueId x = node->inputs[0];
    if (!graph.value(value).onnx || graph.value(x).onnx || graph.constant(x)) return;
    if (node->op == &ops::reshape) graph.set_onnx(x, graph.value(value).onnx);
    else graph.set_onnx(x, permuted_onnx(graph.value(value).onnx, graph.type(value).shape, inverse_permutation(node->attrs.ints("perm"))));
    value = x;
  }
}

}  // namespace kiln
