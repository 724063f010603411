// SPDX-License-Identifier: Apache-2.0
// Audio frontends. Core dft: the Fourier transforms of the frames of a signal [batch, samples, components], components 1 (real) or 2, with
// a window [samples taken per frame] and the roots of unity as operands. ONNX DFT, STFT, and MelWeightMatrix, which is a constant.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/formula.h"
#include "compiler/ops/run_time_value.h"
#include "nn/ref/dft.h"

namespace kiln {
namespace {

InferResult infer_dft(const OpArgs& args) {
  if (Status s = check_operands(args, 3); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  if (x.dtype != DType::f32) return error(DiagId::unsupported_type, fmt::format("a Fourier transform of {} is not supported, only of f32.", dtype_name(x.dtype)));
  if (Status s = check_floats(args); !s) return std::move(s).diagnostic();
  const Attrs& attrs = args.attrs;
  const int64_t length = attrs.i("length"), frames = attrs.i("frames"), bins = attrs.i("bins");
  if (x.rank() != 3 || (x.shape[2] != 1 && x.shape[2] != 2)) return bad_node(fmt::format("the signal is {}, [batch, samples, 1 or 2] is needed.", to_string(x)));
  const bool fits = length > 0 && frames > 0 && bins > 0 && bins <= length && args.in(1).rank() == 1 && args.in(1).shape[0] <= length && args.in(2).shape == Shape{length, 2} &&
                    attrs.i("step") >= 0 && (frames - 1) * attrs.i("step") + args.in(1).shape[0] <= x.shape[1];
  if (!fits) return bad_node(fmt::format("{} frames of {} of {} samples, {} bins, do not fit {}.", frames, args.in(1).shape.empty() ? 0 : args.in(1).shape[0], length, bins, to_string(x)));
  return std::vector<TensorType>{{DType::f32, {x.shape[0], frames, bins, 2}, {}}};
}

Fourier dft_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  auto number = [&](const char* name) { return static_cast<int32_t>(args.attrs.i(name)); };
  Fourier d;
  d.batch = static_cast<int32_t>(x[0]);
  d.signal = static_cast<int32_t>(x[1]);
  d.components = static_cast<int32_t>(x[2]);
  d.frames = number("frames");
  d.step = number("step");
  d.taken = static_cast<int32_t>(args.in(1).shape[0]);
  d.length = number("length");
  d.points = d.components == 1 && d.length % 2 == 0 ? d.length / 2 : d.length;
  d.bins = number("bins");
  d.inverse = number("inverse");
  return d;
}

EvalResult eval_dft(const OpArgs& args) {
  const Fourier d = dft_descriptor(args);
  Tensor y(*args.outputs[0]);
  std::vector<nn::ref::Complex> scratch(static_cast<size_t>(d.points));
  nn::ref::dft(d, args.constant(0)->as<float>().data(), args.constant(1)->as<float>().data(), args.constant(2)->as<float>().data(), y.as<float>().data(), scratch.data());
  return std::vector<Tensor>{std::move(y)};
}

Status lower_dft(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "dft";
  call.descriptor = dft_descriptor(args);
  for (ValueId input : node.inputs) call.inputs.push_back(lowering.tensor(input));
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

/// Of a butterfly 4 multiplications, points / 2 of them for each doubling; the odd part takes its square.
int64_t macs_dft(const OpArgs& args) {
  const Fourier d = dft_descriptor(args);
  int64_t odd = d.points, doublings = 0;
  for (; odd % 2 == 0; odd /= 2) ++doublings;
  return int64_t{d.batch} * d.frames * d.points * (4 * (odd - 1) + 2 * doublings);
}

/// cos and sin of 2 pi k / length, [length,2].
Tensor roots_of_unity(int64_t length) {
  Tensor t(TensorType{DType::f32, {length, 2}, {}});
  for (int64_t k = 0; k < length; ++k) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(length);
    t.as<float>()[static_cast<size_t>(2 * k)] = static_cast<float>(std::cos(angle));
    t.as<float>()[static_cast<size_t>(2 * k + 1)] = static_cast<float>(std::sin(angle));
  }
  return t;
}

Tensor ones(int64_t count) {
  Tensor t(TensorType{DType::f32, {count}, {}});
  std::ranges::fill(t.as<float>(), 1.0f);
  return t;
}

// No frame that a microcontroller transforms is longer.
constexpr int64_t kLongestFrame = 1 << 20;

struct Frames {
  int64_t count = 1, step = 0, length = 0;
  bool onesided = false, inverse = false;
};

ValueId transform(ValueId signal, ValueId window, const Frames& frames, Formula& f) {
  const int64_t bins = frames.onesided ? frames.length / 2 + 1 : frames.length;
  return f(ops::dft, {signal, window, f.constant(roots_of_unity(frames.length))},
           {{"frames", frames.count}, {"step", frames.step}, {"length", frames.length}, {"bins", bins}, {"inverse", int64_t{frames.inverse}}});
}

/// A number that an optional input of one element gives; nothing when it is omitted.
Result<std::optional<int64_t>> number_input(const OnnxNode& node, GraphBuilder& b, size_t input, std::string_view what) {
  if (!node.has(input)) return std::optional<int64_t>{};
  Result<std::vector<int64_t>> values = constant_ints(node, b, input, what);
  if (!values) return std::move(values).diagnostic();
  if (values->size() != 1) return bad_node(fmt::format("'{}' has {} elements, it must have one.", what, values->size()));
  return std::optional<int64_t>{values->front()};
}

/// Inputs x [..., 1 or 2], length and (from opset 20 on) axis; opset 17 has the axis as attribute.
ImportResult import_dft(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]);
  const auto rank = static_cast<int64_t>(x.size());
  if (rank < 2 || (x.back() != 1 && x.back() != 2)) return bad_node(fmt::format("the input is {}, its last dimension must be 1 or 2.", to_string(x)));
  Result<std::optional<int64_t>> length = number_input(node, b, 1, "dft_length"), given = number_input(node, b, 2, "axis");
  if (!length) return std::move(length).diagnostic();
  if (!given) return std::move(given).diagnostic();
  const int64_t wished = given->value_or(node.opset < 20 ? node.attrs.i("axis", 1) : -2);
  std::optional<int64_t> axis = normalize_axis(wished, rank);
  if (!axis || *axis == rank - 1) return bad_node(fmt::format("axis {} is none of the dimensions before the last one of {}.", wished, to_string(x)));
  Frames frames{.length = length->value_or(x[static_cast<size_t>(*axis)]), .onesided = node.attrs.i("onesided") != 0, .inverse = node.attrs.i("inverse") != 0};
  if (frames.length < 1 || frames.length > kLongestFrame) return bad_node(fmt::format("a transform of length {} is outside 1 to {}.", frames.length, kLongestFrame));
  if (frames.onesided && (frames.inverse || x.back() == 2)) return unsupported("a one-sided transform is supported forward and of real signals only.", "leave 'onesided' at 0.");

  Formula f(b);
  std::vector<int64_t> perm;  // the axis next to the last
  for (int64_t i = 0; i < rank - 1; ++i)
    if (i != *axis) perm.push_back(i);
  perm.push_back(*axis);
  perm.push_back(rank - 1);
  const Shape moved = permute(x, perm);
  const auto taken = std::min(moved[static_cast<size_t>(rank - 2)], frames.length);
  ValueId signal = f.reshaped(f.transposed(node.inputs[0], perm), {product(moved, 0, static_cast<size_t>(rank - 2)), moved[static_cast<size_t>(rank - 2)], moved.back()});
  ValueId y = transform(signal, f.constant(ones(taken)), frames, f);
  if (f.failed()) return f.result({});
  Shape shape = moved;
  shape[static_cast<size_t>(rank - 2)] = f.shape(y)[2];
  shape.back() = 2;
  return f.result({f.transposed(f.reshaped(y, shape), inverse_permutation(perm))});
}

/// Inputs signal [B,T] or [B,T,1 or 2], frame step, window, frame length.
ImportResult import_stft(const OnnxNode& node, GraphBuilder& b) {
  Shape x = b.shape(node.inputs[0]);
  if (x.size() == 2) x.push_back(1);
  if (x.size() != 3 || x[2] < 1 || x[2] > 2) return bad_node(fmt::format("the signal is {}, [batch, samples, 1 or 2] is needed.", to_string(x)));
  Result<std::optional<int64_t>> step = number_input(node, b, 1, "frame_step"), length = number_input(node, b, 3, "frame_length");
  if (!step) return std::move(step).diagnostic();
  if (!length) return std::move(length).diagnostic();
  const int64_t window = node.has(2) && b.shape(node.inputs[2]).size() == 1 ? b.shape(node.inputs[2])[0] : 0;
  Frames frames{.step = step->value_or(0), .length = length->value_or(window), .onesided = node.attrs.i("onesided", 1) != 0};
  if (frames.step < 1 || frames.length < 1 || frames.length > std::min(x[1], kLongestFrame) || (node.has(2) && window != frames.length))
    return bad_node(fmt::format("frames of {} samples, one every {}, with a window of {} do not fit a signal {}.", frames.length, frames.step, window, to_string(x)));
  if (frames.onesided && x[2] == 2) return bad_node("a one-sided transform is of real signals only.", "set 'onesided' to 0.");
  frames.count = (x[1] - frames.length) / frames.step + 1;
  Formula f(b);
  return f.result({transform(f.reshaped(node.inputs[0], x), node.has(2) ? node.inputs[2] : f.constant(ones(frames.length)), frames, f)});
}

/// Triangles on the mel scale: https://onnx.ai/onnx/operators/onnx__MelWeightMatrix.html.
Tensor mel_weights(int64_t mels, int64_t length, int64_t rate, double low, double high) {
  auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  std::vector<int64_t> edges;
  const double first = mel(low), step = (mel(high) - first) / static_cast<double>(mels + 2);
  const int64_t bins = length / 2 + 1;
  for (int64_t i = 0; i < mels + 2; ++i) {
    const double hertz = 700 * (std::pow(10, (first + static_cast<double>(i) * step) / 2595) - 1);
    edges.push_back(std::clamp<int64_t>(static_cast<int64_t>(std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate))), 0, bins - 1));
  }
  Tensor t(TensorType{DType::f32, {bins, mels}, {}});
  for (int64_t m = 0; m < mels; ++m) {
    const int64_t from = edges[static_cast<size_t>(m)], peak = edges[static_cast<size_t>(m + 1)], to = edges[static_cast<size_t>(m + 2)];
    auto at = [&](int64_t bin) -> float& { return t.as<float>()[static_cast<size_t>(bin * mels + m)]; };
    for (int64_t bin = from; bin < peak; ++bin) at(bin) = static_cast<float>(static_cast<double>(bin - from) / static_cast<double>(peak - from));
    for (int64_t bin = peak; bin < to; ++bin) at(bin) = static_cast<float>(static_cast<double>(to - bin) / static_cast<double>(to - peak));
    at(peak) = 1;
  }
  return t;
}

ImportResult import_mel_weights(const OnnxNode& node, GraphBuilder& b) {
  int64_t numbers[3];  // mel bins, transform length, sample rate
  double edges[2];     // in hertz
  for (size_t i = 0; i < 5; ++i) {
    const Tensor* given = b.constant(node.inputs[i]);
    if (!given) return run_time_value(fmt::format("input {} of MelWeightMatrix", i), b.graph(), node.inputs[i]);
    if (given->type.elements() != 1) return bad_node(fmt::format("input {} of MelWeightMatrix is {}, it must be one number.", i, to_string(given->type)));
    if (i < 3)
      numbers[i] = static_cast<int64_t>(given->to_doubles()[0]);
    else
      edges[i - 3] = given->to_doubles()[0];
  }
  const bool sane = numbers[0] > 0 && numbers[1] > 0 && numbers[2] > 0 && numbers[0] <= kLongestFrame && numbers[1] <= kLongestFrame &&
                    numbers[0] * numbers[1] <= limits::kFoldedTensorBytes / 4 && edges[0] >= 0 && edges[1] > edges[0] && edges[1] <= static_cast<double>(numbers[2]);
  if (!sane) return bad_node(fmt::format("{} mel bins of {} to {} Hz do not fit transforms of length {} at {} Hz.", numbers[0], edges[0], edges[1], numbers[1], numbers[2]));
  std::optional<DType> dtype = dtype_from_onnx(node.attrs.i("output_datatype", 1));
  if (!dtype) return error(DiagId::unsupported_type, fmt::format("'output_datatype' {} is not supported.", node.attrs.i("output_datatype")));
  return one(cast(b, b.add_constant(mel_weights(numbers[0], numbers[1], numbers[2], edges[0], edges[1])), *dtype));
}

constexpr AttrSpec kDftAttrs[] = {{"onesided", AttrKind::integer}, {"inverse", AttrKind::integer}, {"axis", AttrKind::integer}};
constexpr AttrSpec kMelAttrs[] = {{"output_datatype", AttrKind::integer}};

constexpr OpDef imported(std::string_view type, std::string_view summary, std::span<const AttrSpec> attrs, size_t min_inputs, size_t max_inputs, decltype(OpDef::import) import) {
  OpDef op;
  op.summary = summary;
  op.onnx = {.type = type, .attrs = attrs, .since = 17, .min_inputs = min_inputs, .max_inputs = max_inputs};
  op.import = import;
  return op;
}

}  // namespace

namespace ops {
const OpDef dft = {
    .name = "dft",
    .summary = "discrete Fourier transform; its length must be constant",
    .onnx = {.type = "DFT", .attrs = kDftAttrs, .since = 17, .max_inputs = 3},
    .infer = infer_dft,
    .import = import_dft,
    .eval = eval_dft,
    .lower = lower_dft,
    .macs = macs_dft,
};
const OpDef stft = imported("STFT", "Fourier transforms of overlapping frames; their length and step must be constant", std::span(kDftAttrs).first(1), 2, 4, import_stft);
const OpDef mel_weight_matrix = imported("MelWeightMatrix", "weights of mel bins; its inputs must be constant", kMelAttrs, 5, 5, import_mel_weights);
}  // namespace ops

}  // namespace kiln
