// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/recurrent.h"

#include <algorithm>
#include <utility>

#include "nn/functors_math.h"
#include "nn/math_f64.h"
#include "nn/ref/recurrent.h"

namespace kiln {
namespace {

constexpr RecurrentKind kRnn{1, 1, 1, false}, kGru{3, 4, 2, false}, kLstm{4, 4, 3, true};

enum Operand : size_t { kX, kW, kR, kBias };

Status check_shape_of(const OpArgs& args, size_t input, std::string_view what, const Shape& wanted) {
  if (!args.has(input)) return Done{};
  const TensorType& type = args.in(input);
  if (type.shape != wanted)
    return bad_node(fmt::format("{} is {}, it must be {}.", what, to_string(type), to_string(std::span<const int64_t>(wanted))));
  if (input == kRecurrentLens ? type.dtype == DType::i32 : type.dtype == args.in(kX).dtype) return Done{};
  return bad_node(fmt::format("{} is {}, x is {}.", what, to_string(type), to_string(args.in(kX))));
}

Status check_operands_of(const OpArgs& args, const RecurrentKind& kind, const RecurrentShape& s) {
  const int64_t d = s.directions, h = s.units;
  const std::pair<std::string_view, Shape> wanted[] = {{"w", {d, kind.gates * h, s.inputs}}, {"r", {d, kind.gates * h, h}},
                                                       {"the bias", {d, kind.sums * h}},     {"the list of lengths", {s.batch}},
                                                       {"the initial h", s.state()},         {"the initial c", s.state()},
                                                       {"the peephole weights", {d, 3 * h}}};
  for (size_t i = 0; i < std::size(wanted); ++i)
    if (Status status = check_shape_of(args, i + 1, wanted[i].first, wanted[i].second); !status) return status;
  if (!kind.has_cell && (args.has(kRecurrentC) || args.has(kRecurrentPeepholes))) return bad_node("only lstm has a c.");
  return Done{};
}

Status check_attributes(const Attrs& attrs, const RecurrentKind& kind, const RecurrentShape& s) {
  const size_t count = kind.functions * static_cast<size_t>(s.directions);
  const auto activations = attrs.get<std::vector<std::string>>("activations", {});
  const auto alpha = attrs.get<std::vector<double>>("alpha", {}), beta = attrs.get<std::vector<double>>("beta", {});
  if (activations.size() != count || alpha.size() != count || beta.size() != count)
    return bad_node(
        fmt::format("{} activations with {} and {} parameters, there must be {}.", activations.size(), alpha.size(), beta.size(), count));
  if (attrs.f("clip") < 0) return bad_node(fmt::format("clip is {}, it must not be negative.", attrs.f("clip")));
  if (attrs.i("last") != 0 && attrs.i("sequence") == 0) return bad_node("'last' goes with 'sequence'.");
  return Done{};
}

InferResult infer_recurrent(const OpArgs& args) {
  for (size_t i : {kX, kW, kR, kBias})
    if (!args.has(i)) return bad_node(fmt::format("input {} is missing.", i));
  const DType dtype = args.in(kX).dtype;
  if (dtype != DType::f32 && dtype != DType::f64)
    return error(DiagId::unsupported_type,
                 fmt::format("'{}' of {} is not supported, only of f32 and f64.", args.op.name, dtype_name(dtype)));
  const RecurrentKind& kind = recurrent_kind(args.op);
  Result<RecurrentShape> shape = recurrent_shape(args.in(kX), args.in(kR), args.attrs);
  if (!shape) return std::move(shape).diagnostic();
  if (Status s = check_operands_of(args, kind, *shape); !s) return std::move(s).diagnostic();
  if (Status s = check_attributes(args.attrs, kind, *shape); !s) return std::move(s).diagnostic();
  const TensorType state{dtype, shape->state(), {}};
  std::vector<TensorType> out;
  if (args.attrs.i("sequence") != 0) out.push_back({dtype, shape->sequence(), {}});
  if (args.attrs.i("sequence") == 0 || args.attrs.i("last") != 0) out.push_back(state);
  if (kind.has_cell) out.push_back(state);
  return out;
}

RecurrentShape shape_of(const OpArgs& args) { return *recurrent_shape(args.in(kX), args.in(kR), args.attrs); }  // infer has checked it

/// Of direction `direction`, 0 or 1.
Recurrent recurrent_descriptor(const OpArgs& args, const RecurrentShape& s, int64_t direction) {
  auto narrow = [](int64_t n) { return static_cast<int32_t>(n); };
  const bool sequence = args.attrs.i("sequence") != 0;
  const RecurrentKind& kind = recurrent_kind(args.op);
  Recurrent d;
  d.steps = narrow(s.steps), d.batch = narrow(s.batch), d.inputs = narrow(s.inputs), d.units = narrow(s.units);
  d.x_step = narrow(s.batch_first ? s.inputs : s.batch * s.inputs);
  d.x_batch = narrow(s.batch_first ? s.steps * s.inputs : s.inputs);
  d.state_batch = narrow(s.batch_first ? s.directions * s.units : s.units);
  d.state_offset = narrow(direction * (s.batch_first ? s.units : s.batch * s.units));
  if (sequence) {
    d.y_step = narrow(s.directions * s.units * (s.batch_first ? 1 : s.batch));
    d.y_batch = narrow(s.batch_first ? s.steps * s.directions * s.units : s.units);
    d.y_offset = d.state_offset;
  }
  d.reverse = direction == 1 || args.attrs.s("direction", "forward") == "reverse";
  d.sequence = sequence;
  d.has_last = args.attrs.i("last") != 0;
  d.has_lens = args.has(kRecurrentLens), d.has_h = args.has(kRecurrentH), d.has_c = args.has(kRecurrentC);
  d.has_cell = kind.has_cell;
  d.has_peepholes = args.has(kRecurrentPeepholes);
  d.input_forget = args.attrs.i("input_forget") != 0;
  d.linear_before_reset = args.attrs.i("linear_before_reset") != 0;
  d.clip = static_cast<float>(args.attrs.f("clip"));
  const auto alpha = args.attrs.get<std::vector<double>>("alpha", {}), beta = args.attrs.get<std::vector<double>>("beta", {});
  float* const parameters[][2] = {{&d.f_alpha, &d.f_beta}, {&d.g_alpha, &d.g_beta}, {&d.h_alpha, &d.h_beta}};
  for (size_t i = 0; i < kind.functions; ++i) {
    const size_t at = static_cast<size_t>(direction) * kind.functions + i;
    *parameters[i][0] = static_cast<float>(alpha[at]);
    *parameters[i][1] = static_cast<float>(beta[at]);
  }
  return d;
}

/// The functors of direction `direction`.
std::vector<std::string> functors_of(const OpArgs& args, int64_t direction) {
  const auto all = args.attrs.get<std::vector<std::string>>("activations", {});
  const auto count = static_cast<int64_t>(recurrent_kind(args.op).functions);
  return {all.begin() + direction * count, all.begin() + (direction + 1) * count};
}

// ---- evaluation: activations chosen at run time

template <class T>
using Activator = T (*)(float alpha, float beta, T x);

template <class F, class T>
T apply_functor(float alpha, float beta, T x) {
  struct {
    float alpha, beta;
  } d{alpha, beta};
  return F::apply(d, x);
}

template <class T>
Activator<T> find_activator(std::string_view functor) {
  static constexpr std::pair<std::string_view, Activator<T>> kAll[] = {
      {"relu", apply_functor<nn::fn::relu, T>},
      {"tanh", apply_functor<nn::fn::tanh, T>},
      {"sigmoid", apply_functor<nn::fn::sigmoid, T>},
      {"affine", apply_functor<nn::fn::affine, T>},
      {"leaky_relu", apply_functor<nn::fn::leaky_relu, T>},
      {"thresholded_relu", apply_functor<nn::fn::thresholded_relu, T>},
      {"scaled_tanh", apply_functor<nn::fn::scaled_tanh, T>},
      {"hard_sigmoid", apply_functor<nn::fn::hard_sigmoid, T>},
      {"elu", apply_functor<nn::fn::elu, T>},
      {"softsign", apply_functor<nn::fn::softsign, T>},
      {"softplus", apply_functor<nn::fn::softplus, T>},
  };
  auto found = std::find_if(std::begin(kAll), std::end(kAll), [&](const auto& entry) { return entry.first == functor; });
  return found == std::end(kAll) ? nullptr : found->second;
}

template <class T>
struct EvaluatedLayer : Recurrent {
  Activator<T> activators[3];
};

template <size_t i>
struct Chosen {
  template <class D, class T>
  static T apply(const D& d, T x) {
    return d.layer.activators[i](d.alpha, d.beta, x);
  }
};

/// The elements of operand `input` from those of direction `direction` on, where each direction has `per_direction`; null without it.
template <class T>
const T* elements(const OpArgs& args, size_t input, int64_t direction = 0, int64_t per_direction = 0) {
  return args.has(input) ? args.constant(input)->as<T>().data() + direction * per_direction : nullptr;
}

template <class T>
EvalResult eval_type(const OpArgs& args) {
  using nn::ref::Recurrent;
  const RecurrentKind& kind = recurrent_kind(args.op);
  const RecurrentShape s = shape_of(args);
  std::vector<Tensor> out;
  for (const TensorType* type : args.outputs) out.emplace_back(*type);
  // What is not there is never looked at.
  T* const y = out.front().as<T>().data();
  T* const h = args.attrs.i("last") != 0 ? out[1].as<T>().data() : y;
  T* const c = out.back().as<T>().data();
  std::vector<T> scratch(static_cast<size_t>(2 * s.units));
  auto* bytes = reinterpret_cast<unsigned char*>(scratch.data());
  for (int64_t direction = 0; direction < s.directions; ++direction) {
    EvaluatedLayer<T> d{recurrent_descriptor(args, s, direction), {}};
    const std::vector<std::string> functors = functors_of(args, direction);
    for (size_t i = 0; i < functors.size(); ++i) {
      d.activators[i] = find_activator<T>(functors[i]);
      if (!d.activators[i]) return bad_node(fmt::format("'{}' is no activation.", functors[i]));
    }
    const T *x = elements<T>(args, kX), *w = elements<T>(args, kW, direction, kind.gates * s.units * s.inputs),
            *r = elements<T>(args, kR, direction, kind.gates * s.units * s.units),
            *b = elements<T>(args, kBias, direction, kind.sums * s.units), *h0 = elements<T>(args, kRecurrentH),
            *c0 = elements<T>(args, kRecurrentC), *p = elements<T>(args, kRecurrentPeepholes, direction, 3 * s.units);
    const int32_t* lens = elements<int32_t>(args, kRecurrentLens);
    if (&args.op == &ops::rnn)
      Recurrent::rnn<Chosen<0>>(d, x, w, r, b, lens, h0, y, h, bytes);
    else if (&args.op == &ops::gru)
      Recurrent::gru<Chosen<0>, Chosen<1>>(d, x, w, r, b, lens, h0, y, h, bytes);
    else
      Recurrent::lstm<Chosen<0>, Chosen<1>, Chosen<2>>(d, x, w, r, b, lens, h0, c0, p, y, h, c, bytes);
  }
  return out;
}

EvalResult eval_recurrent(const OpArgs& args) {
  return with_float_type(args.in(kX).dtype, [&]<class T>() -> EvalResult { return eval_type<T>(args); });
}

// ---- lowering: a call for each direction

/// What a direction has of a tensor [directions,...].
TensorId part_of(ValueId value, int64_t direction, int64_t directions, Lowering& lowering) {
  const TensorType& whole = lowering.graph().type(value);
  const TensorType part{whole.dtype, Shape(whole.shape.begin() + 1, whole.shape.end()), {}};
  const std::string name = lowering.graph().value(value).name + (direction == 1 ? "_reverse" : "");
  if (const Tensor* constant = lowering.graph().constant(value)) {
    const auto* first = constant->bytes().data() + direction * part.bytes();
    return lowering.constant(Tensor(part, std::vector<std::byte>(first, first + part.bytes())), name);
  }
  if (directions == 1) return lowering.tensor(value);
  const TensorId id = lowering.temporary(part, name), base = lowering.tensor(value);
  lowering.program().set_view(id, base, direction * part.bytes());
  return id;
}

void lower_direction(const OpArgs& args, const RecurrentShape& s, const Node& node, int64_t direction, Lowering& lowering) {
  const RecurrentKind& kind = recurrent_kind(*node.op);
  KernelCall call;
  call.family = std::string(node.op->name);
  call.functors = functors_of(args, direction);
  call.descriptor = recurrent_descriptor(args, s, direction);
  auto part = [&](size_t input) { return part_of(node.inputs[input], direction, s.directions, lowering); };
  call.inputs = {lowering.tensor(node.inputs[kX]), part(kW), part(kR), part(kBias)};
  const TensorId nothing = call.inputs.back();  // for operands that the descriptor says are not there
  for (size_t input : {kRecurrentLens, kRecurrentH, kRecurrentC, kRecurrentPeepholes}) {
    if (input >= kRecurrentC && !kind.has_cell) continue;
    if (!args.has(input))
      call.inputs.push_back(nothing);
    else
      call.inputs.push_back(input == kRecurrentPeepholes ? part(input) : lowering.tensor(node.inputs[input]));
  }
  const TensorId y = lowering.tensor(node.outputs[0]);
  call.outputs = {y, args.attrs.i("last") != 0 ? lowering.tensor(node.outputs[1]) : y};
  if (kind.has_cell) call.outputs.push_back(lowering.tensor(node.outputs.back()));
  // The directions of a bidirectional layer read and write parts of the same states.
  auto has_alone = [&](size_t input) {
    return s.directions == 1 && args.has(input) && std::count(node.inputs.begin(), node.inputs.end(), node.inputs[input]) == 1;
  };
  const bool writes_h = args.attrs.i("sequence") == 0 || args.attrs.i("last") != 0;
  if (has_alone(kRecurrentH) && writes_h) call.in_place.emplace_back(kRecurrentH, 1);
  if (has_alone(kRecurrentC)) call.in_place.emplace_back(kRecurrentC, 2);
  lowering.call(node, std::move(call), std::string(node.op->name) + (direction == 1 ? "_reverse" : ""));
  lowering.program().steps.back().macs /= s.directions;
}

Status lower_recurrent(const OpArgs& args, const Node& node, Lowering& lowering) {
  const RecurrentShape s = shape_of(args);
  for (int64_t direction = 0; direction < s.directions; ++direction) lower_direction(args, s, node, direction, lowering);
  return Done{};
}

int64_t macs_recurrent(const OpArgs& args) {
  const RecurrentShape s = shape_of(args);
  return s.steps * s.batch * s.directions * recurrent_kind(args.op).gates * s.units * (s.inputs + s.units);
}

}  // namespace

const RecurrentKind& recurrent_kind(const OpDef& op) { return &op == &ops::rnn ? kRnn : &op == &ops::gru ? kGru : kLstm; }

Result<RecurrentShape> recurrent_shape(const TensorType& x, const TensorType& r, const Attrs& attrs) {
  if (x.rank() != 3 || r.rank() != 3)
    return bad_node(fmt::format("x is {} and r {}, both must have 3 dimensions.", to_string(x), to_string(r)));
  const std::string direction = attrs.s("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return bad_node(fmt::format("direction '{}' is none of forward, reverse and bidirectional.", direction));
  RecurrentShape s;
  s.batch_first = attrs.i("layout") != 0;
  s.steps = x.shape[s.batch_first ? 1 : 0];
  s.batch = x.shape[s.batch_first ? 0 : 1];
  s.inputs = x.shape[2];
  s.units = r.shape[2];
  s.directions = direction == "bidirectional" ? 2 : 1;
  if (s.steps < 1 || s.batch < 1 || s.units < 1)
    return bad_node(fmt::format("x is {} and r {}, which leaves nothing to compute.", to_string(x), to_string(r)));
  return s;
}

namespace {

constexpr AttrSpec kRnnAttrs[] = {{"activation_alpha", AttrKind::reals}, {"activation_beta", AttrKind::reals},
                                  {"activations", AttrKind::strings},    {"clip", AttrKind::real},
                                  {"direction", AttrKind::string},       {"hidden_size", AttrKind::integer},
                                  {"layout", AttrKind::integer}};
constexpr AttrSpec kGruAttrs[] = {{"activation_alpha", AttrKind::reals}, {"activation_beta", AttrKind::reals},
                                  {"activations", AttrKind::strings},    {"clip", AttrKind::real},
                                  {"direction", AttrKind::string},       {"hidden_size", AttrKind::integer},
                                  {"layout", AttrKind::integer},         {"linear_before_reset", AttrKind::integer}};
constexpr AttrSpec kLstmAttrs[] = {{"activation_alpha", AttrKind::reals}, {"activation_beta", AttrKind::reals},
                                   {"activations", AttrKind::strings},    {"clip", AttrKind::real},
                                   {"direction", AttrKind::string},       {"hidden_size", AttrKind::integer},
                                   {"layout", AttrKind::integer},         {"input_forget", AttrKind::integer}};

constexpr OpDef recurrent_op(std::string_view name, std::string_view summary, OnnxOp onnx,
                             ImportResult (*import)(const OnnxNode&, GraphBuilder&)) {
  OpDef op;
  op.name = name;
  op.summary = summary;
  op.onnx = onnx;
  op.infer = infer_recurrent;
  op.import = import;
  op.eval = eval_recurrent;
  op.lower = lower_recurrent;
  op.macs = macs_recurrent;
  return op;
}

}  // namespace

namespace ops {
const OpDef rnn =
    recurrent_op("rnn", "simple recurrent layer", {.type = "RNN", .attrs = kRnnAttrs, .min_inputs = 3, .max_inputs = 6}, import_rnn);
const OpDef gru =
    recurrent_op("gru", "gated recurrent units", {.type = "GRU", .attrs = kGruAttrs, .min_inputs = 3, .max_inputs = 6}, import_gru);
const OpDef lstm =
    recurrent_op("lstm", "long short-term memory", {.type = "LSTM", .attrs = kLstmAttrs, .min_inputs = 3, .max_inputs = 8}, import_lstm);
}  // namespace ops

}  // namespace kiln
