// SPDX-License-Identifier: Apache-2.0
// Slices written at positions computed at run time. Core scatter(x [rows, rest...], index [points...], updates [points..., rest...]): x
// with the slices that the indices name combined with the updates, one after the other. Attribute "reduction": none (replaces), add, mul,
// min, max. Indices outside
// [-rows, rows) write nothing; of constant ones they are refused. The ONNX operators flatten their positions to such rows.
#include "nn/ref/scatter.h"

#include "compiler/ops/elementwise.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/movement.h"

namespace kiln {
namespace {

InferResult infer_scatter(const OpArgs& args) {
  if (Status s = check_inputs(args, 3, 3); !s) return std::move(s).diagnostic();
  const TensorType &x = args.in(0), &index = args.in(1), &updates = args.in(2);
  if (Status s = check_indices(index); !s) return std::move(s).diagnostic();
  Shape expected = index.shape;
  if (x.rank() > 0) expected.insert(expected.end(), x.shape.begin() + 1, x.shape.end());
  if (x.rank() < 1 || updates.shape != expected || updates.dtype != x.dtype)
    return bad_node(fmt::format("updates {} by indices {} do not fit {}.", to_string(updates), to_string(index), to_string(x)));
  if (const Tensor* values = args.constant(1)) {
    const std::vector<int64_t> indices = *values->to_int64s();
    for (int64_t i : indices)
      if (!normalize_axis(i, x.shape[0])) return bad_node(fmt::format("index {} is outside dimension 0 of {}.", i, to_string(x)));
  }
  const std::string reduction = args.attrs.s("reduction", "none");
  if (reduction == "none") return std::vector<TensorType>{{x.dtype, x.shape, x.quant == updates.quant ? x.quant : std::nullopt}};
  if (reduction != "add" && reduction != "mul" && reduction != "min" && reduction != "max")
    return bad_node(fmt::format("attribute 'reduction' is '{}', it must be none, add, mul, min or max.", reduction));
  if (Status s = check_dtype(args, x.dtype, kNumbers); !s) return std::move(s).diagnostic();
  return std::vector<TensorType>{{x.dtype, x.shape, {}}};
}

Scatter scatter_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  return {static_cast<int32_t>(x[0]), static_cast<int32_t>(product(x, 1, x.size())), static_cast<int32_t>(args.in(1).elements())};
}

EvalResult eval_scatter(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  const Tensor& index = *args.constant(1);
  auto run = [&]<class F, class T>() {
    auto with_index = [&](const auto* at) {
      nn::ref::scatter<F>(scatter_descriptor(args), args.constant(0)->as<T>().data(), at, args.constant(2)->as<T>().data(),
                          y.as<T>().data());
    };
    if (index.type.dtype == DType::i32)
      with_index(index.as<int32_t>().data());
    else
      with_index(index.as<int64_t>().data());
  };
  const std::string reduction = args.attrs.s("reduction", "none");
  if (reduction == "none") {
    with_storage_type(y.type.dtype, [&]<class T>() { run.template operator()<nn::fn::second, T>(); });
    return std::vector<Tensor>{std::move(y)};
  }
  return with_type_of<kNumbers>(y.type.dtype, [&]<class T>() -> EvalResult {
    if (reduction == "add")
      run.template operator()<nn::fn::add, T>();
    else if (reduction == "mul")
      run.template operator()<nn::fn::mul, T>();
    else if (reduction == "min")
      run.template operator()<nn::fn::min, T>();
    else
      run.template operator()<nn::fn::max, T>();
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_scatter(const OpArgs& args, const Node& node, Lowering& lowering) {
  const std::string reduction = node.attrs.s("reduction", "none");
  KernelCall call;
  call.family = "scatter";
  call.functors = {reduction == "none" ? "second" : reduction};
  call.descriptor = scatter_descriptor(args);
  for (ValueId input : node.inputs) call.inputs.push_back(lowering.tensor(input));
  call.outputs = {lowering.tensor(node.outputs[0])};
  if (node.inputs[0] != node.inputs[1] && node.inputs[0] != node.inputs[2]) call.in_place = {0};
  lowering.call(node, std::move(call));
  return Done{};
}

/// `rows`: x as slices, which positions `at` number. The result has the shape of x.
ImportResult scatter(GraphBuilder& b, ValueId x, const Shape& rows, ValueId at, ValueId updates, const std::string& reduction) {
  const Shape shape = b.shape(x);
  Shape update_shape = b.shape(at);
  update_shape.insert(update_shape.end(), rows.begin() + 1, rows.end());
  Result<ValueId> base = reshape(b, x, rows);
  if (!base) return std::move(base).diagnostic();
  Result<ValueId> values = reshape(b, updates, update_shape);
  if (!values) return std::move(values).diagnostic();
  Result<ValueId> y = b.add(ops::scatter, {*base, at, *values}, {{"reduction", reduction}});
  return one(y ? reshape(b, *y, shape) : std::move(y));
}

/// y[index[i][j]][j] = updates[i][j] (axis 0): every update has an index of its own along the axis.
ImportResult import_scatter_elements(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]), index = b.type(node.inputs[1]), updates = b.type(node.inputs[2]);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis"), x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis"), x.rank(), to_string(x)));
  if (updates.shape != index.shape)
    return bad_node(fmt::format("the updates are {}, the indices {}; they must have one shape.", to_string(updates), to_string(index)));
  Result<ValueId> at = element_positions(b, node.inputs[1], x.shape, static_cast<size_t>(*axis));
  if (!at) return std::move(at).diagnostic();
  return scatter(b, node.inputs[0], {x.elements()}, *at, node.inputs[2], node.attrs.s("reduction", "none"));
}

/// The last dimension of the indices holds an index for each of the leading dimensions of x.
ImportResult import_scatter_nd(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]), index = b.shape(node.inputs[1]);
  Result<ValueId> at = slice_positions(b, node.inputs[1], x, 0);
  if (!at) return std::move(at).diagnostic();
  Shape expected(index.begin(), index.end() - 1);
  expected.insert(expected.end(), x.begin() + index.back(), x.end());
  if (b.shape(node.inputs[2]) != expected)
    return bad_node(fmt::format("the updates are {}, the indices {} into {} need {}.", to_string(b.type(node.inputs[2])), to_string(index),
                                to_string(x), to_string(expected)));
  const auto indexed = static_cast<size_t>(index.back());
  Shape rows{product(x, 0, indexed)};
  rows.insert(rows.end(), x.begin() + index.back(), x.end());
  return scatter(b, node.inputs[0], rows, *at, node.inputs[2], node.attrs.s("reduction", "none"));
}

/// A cache [batch, ..., entries, ...] along the axis gets the entries of an update at the write index of their batch, beyond the end at the
/// start again (circular) or not at all.
ImportResult import_tensor_scatter(const OnnxNode& node, GraphBuilder& b) {
  const TensorType cache = b.type(node.inputs[0]), update = b.type(node.inputs[1]);
  const std::string mode = node.attrs.s("mode", "linear");
  if (mode != "linear" && mode != "circular")
    return bad_node(fmt::format("attribute 'mode' is '{}', it must be 'linear' or 'circular'.", mode));
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis", -2), cache.rank());
  if (!axis || *axis == 0)
    return bad_node(fmt::format("axis {} is none of {} behind the batch.", node.attrs.i("axis", -2), to_string(cache)));
  const auto along = static_cast<size_t>(*axis);
  bool fits = update.rank() == cache.rank();
  for (size_t d = 0; fits && d < cache.shape.size(); ++d)
    fits = d == along ? update.shape[d] <= cache.shape[d] : update.shape[d] == cache.shape[d];
  if (!fits)
    return bad_node(
        fmt::format("the update is {}, which is no part of the cache {} along axis {}.", to_string(update), to_string(cache), *axis));
  const int64_t batch = cache.shape[0], entries = cache.shape[along], count = update.shape[along], between = product(cache.shape, 1, along);
  const Shape points{batch, between, count};
  std::vector<int64_t> steps(static_cast<size_t>(count));
  for (size_t i = 0; i < steps.size(); ++i) steps[i] = static_cast<int64_t>(i);
  Result<ValueId> at = b.add_constant(Tensor::of<int64_t>({1, 1, count}, steps));
  if (node.has(2)) {
    const TensorType write = b.type(node.inputs[2]);
    if (write.shape != Shape{batch} || !check_indices(write))
      return bad_node(fmt::format("the write indices are {}, they must be i64[{}].", to_string(write), batch));
    Result<ValueId> start = cast(b, node.inputs[2], DType::i64);
    if (start) start = reshape(b, *start, {batch, 1, 1});
    if (!start) return std::move(start).diagnostic();
    at = b.add(ops::add, {*at, *start});
  }
  if (at && mode == "circular") at = b.add(ops::modulo, {*at, b.add_constant(scalar(DType::i64, static_cast<double>(entries)))});
  if (!at) return std::move(at).diagnostic();
  // Entries behind the end must not become those of the next row: they get a position that no row has.
  if (mode == "linear") {
    Result<ValueId> inside = b.add(ops::less, {*at, b.add_constant(scalar(DType::i64, static_cast<double>(entries)))});
    at = inside ? b.add(ops::where, {*inside, *at, b.add_constant(scalar(DType::i64, static_cast<double>(cache.elements())))})
                : std::move(inside);
  }
  if (at)
    at = b.add(ops::add,
               {*at, index_constant(b, DType::i64, {batch, between, 1}, positions({batch, between, 1}, {between * entries, entries, 0}))});
  if (!at) return std::move(at).diagnostic();
  return scatter(b, node.inputs[0], {batch * between * entries, product(cache.shape, along + 1, cache.shape.size())}, *at, node.inputs[1],
                 "none");
}

constexpr AttrSpec kScatterElementsAttrs[] = {{"axis", AttrKind::integer}, {"reduction", AttrKind::string}};
constexpr AttrSpec kTensorScatterAttrs[] = {{"axis", AttrKind::integer}, {"mode", AttrKind::string}};

}  // namespace

namespace ops {
const OpDef scatter = {
    .name = "scatter",
    .summary = "slices replaced by others, or combined with them, by indices of the first dimension",
    .onnx = {.type = "Scatter", .attrs = std::span(kScatterElementsAttrs).first(1), .since = 9, .min_inputs = 3, .max_inputs = 3},
    .infer = infer_scatter,
    .import = import_scatter_elements,
    .eval = eval_scatter,
    .lower = lower_scatter,
};
const OpDef scatter_elements = {
    .summary = "elements replaced by others, or combined with them, each by an index of its own along an axis",
    .onnx = {.type = "ScatterElements", .attrs = kScatterElementsAttrs, .since = 11, .min_inputs = 3, .max_inputs = 3},
    .import = import_scatter_elements,
};
const OpDef scatter_nd = {
    .summary = "slices replaced by others, or combined with them, by indices of several dimensions",
    .onnx = {.type = "ScatterND", .attrs = std::span(kScatterElementsAttrs).subspan(1), .since = 11, .min_inputs = 3, .max_inputs = 3},
    .import = import_scatter_nd,
};
const OpDef tensor_scatter = {
    .summary = "an update written into a cache, at an index per batch",
    .onnx = {.type = "TensorScatter", .attrs = kTensorScatterAttrs, .since = 24, .min_inputs = 2, .max_inputs = 3},
    .import = import_tensor_scatter,
};
}  // namespace ops

}  // namespace kiln
