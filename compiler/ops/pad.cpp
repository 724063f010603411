// SPDX-License-Identifier: Apache-2.0
// pad: adds before[i] and after[i] elements to dimension i. mode "constant" (operand 1, one element; zero if omitted), "edge",
// "reflect" (mirrored at the last element, which is not repeated), "wrap". ONNX pads may be negative: then a slice crops first.
#include <algorithm>

#include "compiler/ops/movement.h"
#include "nn/ref/copy.h"

namespace kiln {
namespace {

constexpr std::string_view kPadModes[] = {"constant", "edge", "reflect", "wrap"};

std::optional<int32_t> mode_number(std::string_view mode) {
  const auto* at = std::find(std::begin(kPadModes), std::end(kPadModes), mode);
  if (at == std::end(kPadModes)) return std::nullopt;
  return static_cast<int32_t>(at - std::begin(kPadModes));
}

InferResult infer_pad(const OpArgs& args) {
  if (Status s = check_inputs(args, 1, 2); !s) return std::move(s).diagnostic();
  TensorType y = args.in(0);
  std::vector<int64_t> before = args.attrs.ints("before"), after = args.attrs.ints("after");
  std::optional<int32_t> mode = mode_number(args.attrs.s("mode", "constant"));
  if (!mode) return bad_node(fmt::format("mode '{}' is none of constant, edge, reflect and wrap.", args.attrs.s("mode")));
  if (before.size() != y.shape.size() || after.size() != y.shape.size())
    return bad_node(fmt::format("{} and {} pads for the {} dimensions of {}.", before.size(), after.size(), y.rank(), to_string(y)));
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] < 0 || after[i] < 0 || before[i] > limits::kElements || after[i] > limits::kElements)
      return bad_node(fmt::format("pads {} and {} of dimension {} must be between 0 and {}.", before[i], after[i], i, limits::kElements));
    if (*mode != 0 && y.shape[i] == 0 && before[i] + after[i] > 0)
      return bad_node(fmt::format("dimension {} of {} is empty, mode '{}' has nothing to repeat.", i, to_string(y), args.attrs.s("mode")));
    if (is_quantized_along(y, static_cast<int64_t>(i)) && before[i] + after[i] > 0)
      if (Status s = lose_grid(y, fmt::format("{} is quantized per index of axis {}, which is padded.", to_string(y), i)); !s)
        return std::move(s).diagnostic();
    y.shape[i] += before[i] + after[i];
  }
  if (args.has(1) && (args.in(1).dtype != y.dtype || args.in(1).elements() != 1))
    return bad_node(fmt::format("the padding value is {}, it must be one element of {}.", to_string(args.in(1)), dtype_name(y.dtype)));
  const Tensor* value = args.constant(1);
  bool pads_zero = *mode != 0 || !args.has(1) || (value && value->to_doubles()[0] == 0);
  if (is_float(y.dtype) && !pads_zero) y.quant.reset();  // the value may lie off the grid
  return std::vector<TensorType>{std::move(y)};
}

/// The descriptor with as few dimensions as possible. A dimension that is not padded joins the one before it: always if that is
/// not padded either, and in constant mode with its pads multiplied.
Pad pad_descriptor(const TensorType& x, const Attrs& attrs) {
  std::vector<int64_t> before = attrs.ints("before"), after = attrs.ints("after"), in, out, lead;
  int32_t mode = *mode_number(attrs.s("mode", "constant"));
  bool last_padded = true;
  for (size_t i = 0; i < x.shape.size(); ++i) {
    bool padded = before[i] + after[i] > 0;
    int64_t dim = x.shape[i];
    if (!padded && !in.empty() && (dim == 1 || mode == 0 || !last_padded)) {
      in.back() *= dim;
      out.back() *= dim;
      lead.back() *= dim;
      continue;
    }
    in.push_back(dim);
    out.push_back(dim + before[i] + after[i]);
    lead.push_back(before[i]);
    last_padded = padded;
  }
  if (in.empty()) in = out = {1}, lead = {0};
  Pad d;
  d.rank = static_cast<int32_t>(in.size());
  d.in_dims = Dims(in);
  d.out_dims = Dims(out);
  d.before = Dims(lead);
  d.mode = mode;
  return d;
}

EvalResult eval_pad(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  Tensor zero(TensorType{y.type.dtype, {1}, {}});
  const Tensor& value = args.constant(1) ? *args.constant(1) : zero;
  Pad d = pad_descriptor(args.in(0), args.attrs);
  with_storage_type(y.type.dtype, [&]<class T>() {
    nn::ref::pad(d, args.constant(0)->as<T>().data(), value.as<T>().data(), y.as<T>().data());
  });
  return std::vector<Tensor>{std::move(y)};
}

bool permute_pad(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) {
  for (std::string_view name : {"before", "after"}) permute_entries(attrs, name, perm);
  return true;
}

Status lower_pad(const OpArgs& args, const Node& node, Lowering& lowering) {
  const TensorType& x = args.in(0);
  bool has_value = node.inputs.size() > 1 && node.inputs[1] != kNoValue;
  KernelCall call;
  call.family = "pad";
  call.descriptor = pad_descriptor(x, node.attrs);
  call.inputs = {lowering.tensor(node.inputs[0]),
                 has_value ? lowering.tensor(node.inputs[1]) : lowering.constant(Tensor(TensorType{x.dtype, {1}, {}}), "pad_zero")};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

/// The pads of ONNX Pad for each dimension: those before, then those after.
Result<std::vector<int64_t>> onnx_pads(const OnnxNode& node, GraphBuilder& b) {
  const int64_t rank = b.type(node.inputs[0]).rank();
  Result<std::vector<int64_t>> given = node.attrs.ints("pads");
  if (node.opset >= 11) given = constant_ints(node, b, 1, "pads");
  if (!given) return given;
  std::vector<int64_t> axes(static_cast<size_t>(rank));
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  if (node.has(3)) {
    Result<std::vector<int64_t>> chosen = constant_ints(node, b, 3, "axes");
    if (chosen) chosen = normalized_axes(std::move(*chosen), rank);
    if (!chosen) return chosen;
    axes = *chosen;
  }
  if (given->size() != 2 * axes.size())
    return bad_node(fmt::format("'pads' has {} entries for {} axes, it must have {}.", given->size(), axes.size(), 2 * axes.size()));
  std::vector<int64_t> pads(2 * static_cast<size_t>(rank), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    pads[static_cast<size_t>(axes[i])] = (*given)[i];
    pads[static_cast<size_t>(axes[i] + rank)] = (*given)[i + axes.size()];
  }
  return pads;
}

/// The padding value: an input since opset 11, a float attribute before.
Result<ValueId> padding_value(const OnnxNode& node, GraphBuilder& b) {
  if (node.opset >= 11) return node.has(2) ? node.inputs[2] : kNoValue;
  auto value = static_cast<float>(node.attrs.f("value"));
  if (value == 0) return kNoValue;
  Tensor tensor(TensorType{b.type(node.inputs[0]).dtype, {1}, {}});
  if (tensor.type.dtype == DType::f16) {
    tensor.as<uint16_t>()[0] = float_to_f16(value);
    return b.add_constant(std::move(tensor));
  }
  return with_float_type(tensor.type.dtype, [&]<class T>() -> Result<ValueId> {
    tensor.as<T>()[0] = static_cast<T>(value);
    return b.add_constant(std::move(tensor));
  });
}

ImportResult import_pad(const OnnxNode& node, GraphBuilder& b) {
  Result<std::vector<int64_t>> pads = onnx_pads(node, b);
  if (!pads) return std::move(pads).diagnostic();
  SliceSpec crop = whole_slice(b.shape(node.inputs[0]));
  size_t rank = crop.sizes.size();
  std::vector<int64_t> before(rank), after(rank);
  for (size_t i = 0; i < rank; ++i) {
    int64_t low = (*pads)[i], high = (*pads)[i + rank], dim = crop.sizes[i];
    before[i] = std::max<int64_t>(low, 0);
    after[i] = std::max<int64_t>(high, 0);
    if (low < -dim || high < -dim || std::min<int64_t>(low, 0) + std::min<int64_t>(high, 0) < -dim)
      return bad_node(fmt::format("pads {} and {} remove more than the {} elements of dimension {}.", low, high, dim, i));
    crop.starts[i] = std::max<int64_t>(-low, 0);
    crop.sizes[i] += std::min<int64_t>(low, 0) + std::min<int64_t>(high, 0);
    if (crop.sizes[i] == 0) crop.starts[i] = 0;
  }
  Result<ValueId> x = slice(b, node.inputs[0], crop);
  if (!x) return std::move(x).diagnostic();
  auto positive = [](int64_t pad) { return pad > 0; };
  if (std::none_of(pads->begin(), pads->end(), positive)) return std::vector<ValueId>{*x};
  std::string mode = node.attrs.s("mode", "constant");
  std::vector<ValueId> inputs{*x};
  if (mode == "constant") {
    Result<ValueId> value = padding_value(node, b);
    if (!value) return std::move(value).diagnostic();
    if (*value != kNoValue) inputs.push_back(*value);
  }
  return one(b.add(ops::pad, std::move(inputs), {{"before", before}, {"after", after}, {"mode", mode}}));
}

constexpr AttrSpec kPadAttrs[] = {{"mode", AttrKind::string}, {"pads", AttrKind::integers}, {"value", AttrKind::real}};

}  // namespace

namespace ops {
const OpDef pad = {
    .name = "pad",
    .summary = "adds elements around a tensor: constant, edge, reflect, wrap",
    .onnx = {.type = "Pad", .attrs = kPadAttrs, .since = 2, .max_inputs = 4},
    .traits = kMovesData,
    .infer = infer_pad,
    .import = import_pad,
    .eval = eval_pad,
    .lower = lower_pad,
    .permute = permute_pad,
};
}  // namespace ops

}  // namespace kiln
