// SPDX-License-Identifier: Apache-2.0
// Operators that select elements: TopK (core top_k), and those whose result has as many elements as the values say, which have to be
// constants: Compress (its condition), NonZero and Unique.
#include <algorithm>
#include <numeric>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"
#include "compiler/ops/run_time_value.h"
#include "nn/ref/top_k.h"

namespace kiln {
namespace {

// ---- TopK: attributes "axis" (not negative in core form), "k" and "largest"; results in descending (ascending) order, of equal ones the
// first

InferResult infer_top_k(const OpArgs& args) {
  if (Status s = check_operands(args, 1); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  if (Status s = check_dtype(args, x.dtype, kNumbers); !s) return std::move(s).diagnostic();
  const int64_t axis = args.attrs.i("axis", -1), k = args.attrs.i("k");
  if (axis < 0 || axis >= x.rank()) return bad_node(fmt::format("axis {} is outside {}.", axis, to_string(x)));
  Shape shape = x.shape;
  int64_t& dim = shape[static_cast<size_t>(axis)];
  if (k < 1 || k > dim) return bad_node(fmt::format("k is {}, axis {} of {} has {}.", k, axis, to_string(x), dim));
  dim = k;
  return std::vector<TensorType>{{x.dtype, shape, x.quant && !is_quantized_along(x, axis) ? x.quant : std::nullopt},
                                 {DType::i64, shape, {}}};
}

TopK top_k_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  const auto axis = static_cast<size_t>(args.attrs.i("axis"));
  return {static_cast<int32_t>(product(x, 0, axis)), static_cast<int32_t>(x[axis]), static_cast<int32_t>(product(x, axis + 1, x.size())),
          static_cast<int32_t>(args.attrs.i("k"))};
}

EvalResult eval_top_k(const OpArgs& args) {
  return with_type_of<kNumbers>(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor values(*args.outputs[0]), indices(*args.outputs[1]);
    auto run = [&]<class F>(F) {
      nn::ref::top_k<F>(top_k_descriptor(args), args.constant(0)->as<T>().data(), values.as<T>().data(), indices.as<int64_t>().data());
    };
    if (args.attrs.i("largest", 1) != 0)
      run(nn::fn::greater{});
    else
      run(nn::fn::less{});
    return std::vector<Tensor>{std::move(values), std::move(indices)};
  });
}

Status lower_top_k(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "top_k";
  call.functors = {node.attrs.i("largest", 1) != 0 ? "greater" : "less"};
  call.descriptor = top_k_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  for (ValueId y : node.outputs) call.outputs.push_back(lowering.tensor(y));
  lowering.call(node, std::move(call), "top_k");
  return Done{};
}

/// k is an attribute up to opset 9. Without "sorted" any order would do.
ImportResult import_top_k(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis", -1), x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis", -1), x.rank(), to_string(x)));
  std::vector<int64_t> k{node.attrs.i("k")};
  if (node.opset >= 10) {
    Result<std::vector<int64_t>> given = constant_ints(node, b, 1, "K");
    if (!given) return std::move(given).diagnostic();
    k = std::move(*given);
  }
  if (k.size() != 1) return bad_node(fmt::format("K has {} elements, it must have one.", k.size()));
  return b.add_multi(ops::top_k, {node.inputs[0]}, {{"axis", *axis}, {"k", k[0]}, {"largest", node.attrs.i("largest", 1)}});
}

// ---- results whose size the values decide

constexpr std::string_view kStaticHint = "the size of the result would depend on it, and kiln fixes all shapes when it compiles.";

ImportResult import_compress(const OnnxNode& node, GraphBuilder& b) {
  const Tensor* condition = b.constant(node.inputs[1]);
  if (!condition) return run_time_value("the condition of Compress", b.graph(), node.inputs[1], kStaticHint);
  if (condition->type.dtype != DType::boolean || condition->type.rank() != 1)
    return bad_node(fmt::format("the condition is {}, it must be a list of bool.", to_string(condition->type)));
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < condition->type.elements(); ++i)
    if (condition->as<uint8_t>()[static_cast<size_t>(i)] != 0) kept.push_back(i);
  const Shape shape = b.shape(node.inputs[0]);
  const bool flat = !node.attrs.has("axis");
  std::optional<int64_t> axis = flat ? 0 : normalize_axis(node.attrs.i("axis"), static_cast<int64_t>(shape.size()));
  if (!axis)
    return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis"), shape.size(), to_string(shape)));
  Result<ValueId> x = flat ? reshape(b, node.inputs[0], {element_count(shape)}) : node.inputs[0];
  if (!x) return std::move(x).diagnostic();
  return one(b.add(ops::gather, {*x, b.add_constant(Tensor::int64s(kept))}, {{"axis", *axis}}));
}

/// [dimensions, count]: the index of each element that is not 0, a column each.
ImportResult import_non_zero(const OnnxNode& node, GraphBuilder& b) {
  const Tensor* x = b.constant(node.inputs[0]);
  if (!x) return run_time_value("the input of NonZero", b.graph(), node.inputs[0], kStaticHint);
  const std::vector<double> values = x->to_doubles();
  const Shape& shape = x->type.shape;
  std::vector<size_t> found;
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] != 0) found.push_back(i);
  const std::vector<int64_t> strides = row_major_strides(shape);
  std::vector<int64_t> out;
  for (size_t d = 0; d < shape.size(); ++d)
    for (size_t i : found) out.push_back(static_cast<int64_t>(i) / strides[d] % shape[d]);
  return std::vector<ValueId>{
      b.add_constant(Tensor::of<int64_t>({static_cast<int64_t>(shape.size()), static_cast<int64_t>(found.size())}, out))};
}

/// Which of `count` slices of x (all elements with index i of the middle dimension) are equal.
struct Groups {
  std::vector<int64_t> first, inverse, counts;  ///< per group: its first slice; per slice: its group; per group: how many
};

template <class T>
Groups groups_of(std::span<const T> x, size_t outer, size_t count, size_t inner, bool sorted) {
  auto compare = [&](size_t a, size_t b) {  // -1, 0, 1, elements in the order of the tensor
    for (size_t o = 0; o < outer; ++o)
      for (size_t i = 0; i < inner; ++i) {
        const T left = x[(o * count + a) * inner + i], right = x[(o * count + b) * inner + i];
        if (left != right) return left < right ? -1 : 1;
      }
    return 0;
  };
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return compare(a, b) < 0; });
  std::vector<std::vector<size_t>> members;
  for (size_t k = 0; k < count; ++k) {
    if (k == 0 || compare(order[k - 1], order[k]) != 0) members.emplace_back();
    members.back().push_back(order[k]);
  }
  if (!sorted) std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.front() < b.front(); });
  Groups groups;
  groups.inverse.resize(count);
  for (size_t g = 0; g < members.size(); ++g) {
    groups.first.push_back(static_cast<int64_t>(members[g].front()));
    groups.counts.push_back(static_cast<int64_t>(members[g].size()));
    for (size_t slice : members[g]) groups.inverse[slice] = static_cast<int64_t>(g);
  }
  return groups;
}

ImportResult import_unique(const OnnxNode& node, GraphBuilder& b) {
  if (!b.constant(node.inputs[0])) return run_time_value("the input of Unique", b.graph(), node.inputs[0], kStaticHint);
  const Shape shape = b.shape(node.inputs[0]);
  const bool flat = !node.attrs.has("axis");
  std::optional<int64_t> axis = flat ? 0 : normalize_axis(node.attrs.i("axis"), static_cast<int64_t>(shape.size()));
  if (!axis)
    return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis"), shape.size(), to_string(shape)));
  Result<ValueId> x = flat ? reshape(b, node.inputs[0], {element_count(shape)}) : node.inputs[0];
  if (!x) return std::move(x).diagnostic();
  const Shape seen = b.shape(*x);
  const auto along = static_cast<size_t>(*axis);
  Result<Groups> groups = with_number_type(b.type(*x).dtype, [&]<class T>() -> Result<Groups> {
    return groups_of<T>(b.constant(*x)->as<T>(), static_cast<size_t>(product(seen, 0, along)), static_cast<size_t>(seen[along]),
                        static_cast<size_t>(product(seen, along + 1, seen.size())), node.attrs.i("sorted", 1) != 0);
  });
  if (!groups) return std::move(groups).diagnostic();
  Result<ValueId> y = b.add(ops::gather, {*x, b.add_constant(Tensor::int64s(groups->first))}, {{"axis", *axis}});
  if (!y) return std::move(y).diagnostic();
  std::vector<ValueId> out{*y};
  for (const std::vector<int64_t>* list : {&groups->first, &groups->inverse, &groups->counts})
    out.push_back(b.add_constant(Tensor::int64s(*list)));
  return out;
}

constexpr AttrSpec kTopKAttrs[] = {
    {"axis", AttrKind::integer}, {"k", AttrKind::integer}, {"largest", AttrKind::integer}, {"sorted", AttrKind::integer}};
constexpr AttrSpec kCompressAttrs[] = {{"axis", AttrKind::integer}};
constexpr AttrSpec kUniqueAttrs[] = {{"axis", AttrKind::integer}, {"sorted", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef top_k = {
    .name = "top_k",
    .summary = "the k largest (smallest) elements along an axis and where they stand; k must be constant",
    .onnx = {.type = "TopK", .attrs = kTopKAttrs, .max_inputs = 2},
    .infer = infer_top_k,
    .import = import_top_k,
    .eval = eval_top_k,
    .lower = lower_top_k,
};
const OpDef compress = {
    .summary = "the slices along an axis whose condition, a constant, is true",
    .onnx = {.type = "Compress", .attrs = kCompressAttrs, .since = 9, .min_inputs = 2, .max_inputs = 2},
    .import = import_compress,
};
const OpDef non_zero = {
    .summary = "the indices of all elements that are not 0, of a constant",
    .onnx = {.type = "NonZero", .attrs = {}, .since = 9, .max_inputs = 1},
    .import = import_non_zero,
};
const OpDef unique = {
    .summary = "the different elements or slices of a constant",
    .onnx = {.type = "Unique", .attrs = kUniqueAttrs, .since = 11, .max_inputs = 1},
    .import = import_unique,
};
}  // namespace ops

}  // namespace kiln
