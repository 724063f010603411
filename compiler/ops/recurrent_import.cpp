// SPDX-License-Identifier: Apache-2.0
// ONNX RNN, GRU and LSTM (opset 7 to 22) -> the core operators of recurrent.h.
#include <algorithm>
#include <cctype>
#include <optional>

#include "compiler/ops/recurrent.h"

namespace kiln {
namespace {

/// An activation by its ONNX name, in lower case; whether it has parameters, and their defaults if it has some: ONNX gives none for
/// functions that are no operators, and for ThresholdedRelu ONNX Runtime takes another one.
struct NamedActivation {
  std::string_view onnx, functor;
  bool has_alpha = false, has_beta = false, has_defaults = true;
  double alpha = 0, beta = 0;
};
constexpr NamedActivation kActivations[] = {
    {"relu", "relu"},
    {"tanh", "tanh"},
    {"sigmoid", "sigmoid"},
    {"affine", "affine", true, true, false},
    {"leakyrelu", "leaky_relu", true, false, true, 0.01},
    {"thresholdedrelu", "thresholded_relu", true, false, false},
    {"scaledtanh", "scaled_tanh", true, true, false},
    {"hardsigmoid", "hard_sigmoid", true, true, true, 0.2, 0.5},
    {"elu", "elu", true, false, true, 1},
    {"softsign", "softsign"},
    {"softplus", "softplus"},
};

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Sets activations, alpha and beta. Parameters are given for those activations only that have them, one list after the other.
Status set_activations(const OnnxNode& node, const std::vector<std::string>& defaults, int64_t directions, Attrs& attrs) {
  auto names = node.attrs.get<std::vector<std::string>>("activations", {});
  if (names.empty())
    for (int64_t d = 0; d < directions; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
  const size_t wanted = defaults.size() * static_cast<size_t>(directions);
  if (names.size() != wanted) return bad_node(fmt::format("{} activations are given, there must be {}.", names.size(), wanted));
  const auto given_alpha = node.attrs.get<std::vector<double>>("activation_alpha", {}),
             given_beta = node.attrs.get<std::vector<double>>("activation_beta", {});
  size_t next_alpha = 0, next_beta = 0;
  std::vector<std::string> functors;
  std::vector<double> alpha, beta;
  for (const std::string& name : names) {
    auto known = std::find_if(std::begin(kActivations), std::end(kActivations),
                              [&](const NamedActivation& a) { return a.onnx == lower_case(name); });
    if (known == std::end(kActivations)) return bad_node(fmt::format("activation '{}' is none that {} has.", name, node.type));
    const bool complete = (!known->has_alpha || next_alpha < given_alpha.size()) && (!known->has_beta || next_beta < given_beta.size());
    if (!complete && !known->has_defaults)
      return unsupported(fmt::format("activation '{}' is given without its parameters, for which there is no agreed default.", name),
                         "set activation_alpha (and activation_beta) in the model.");
    functors.emplace_back(known->functor);
    alpha.push_back(known->has_alpha && next_alpha < given_alpha.size() ? given_alpha[next_alpha++] : known->alpha);
    beta.push_back(known->has_beta && next_beta < given_beta.size() ? given_beta[next_beta++] : known->beta);
  }
  attrs.set("activations", std::move(functors));
  attrs.set("alpha", std::move(alpha));
  attrs.set("beta", std::move(beta));
  return Done{};
}

/// x[:, first * size : (first + count) * size, ...]
Result<ValueId> rows(GraphBuilder& b, ValueId x, int64_t first, int64_t count, int64_t size) {
  Shape sizes = b.shape(x);
  std::vector<int64_t> starts(sizes.size(), 0), steps(sizes.size(), 1);
  starts[1] = first * size;
  sizes[1] = count * size;
  return b.add(ops::slice, {x}, {{"starts", starts}, {"sizes", sizes}, {"steps", steps}});
}

Result<ValueId> joined(GraphBuilder& b, const std::vector<Result<ValueId>>& parts) {
  std::vector<ValueId> values;
  for (const Result<ValueId>& part : parts) {
    if (!part) return part.diagnostic();
    values.push_back(*part);
  }
  return b.add(ops::concat, std::move(values), {{"axis", int64_t{1}}});
}

Result<ValueId> sum(GraphBuilder& b, const Result<ValueId>& x, const Result<ValueId>& y) {
  if (!x) return x.diagnostic();
  if (!y) return y.diagnostic();
  return b.add(ops::add, {*x, *y});
}

/// ONNX has a bias for x and one for h, of z r h each; the core operator: candidate by x, z, r, candidate by h.
Result<ValueId> gru_bias(GraphBuilder& b, ValueId bias, int64_t units) {
  return joined(b,
                {rows(b, bias, 2, 1, units), sum(b, rows(b, bias, 0, 2, units), rows(b, bias, 3, 2, units)), rows(b, bias, 5, 1, units)});
}

struct Importing {
  const OnnxNode& node;
  GraphBuilder& b;
  const OpDef& op;
  RecurrentShape shape;

  [[nodiscard]] const RecurrentKind& kind() const { return recurrent_kind(op); }

  Result<ValueId> bias() const {
    const Shape wanted{shape.directions, 2 * kind().gates * shape.units};
    if (!node.has(3))
      return b.add_constant(Tensor({b.type(node.inputs[0]).dtype, {shape.directions, kind().sums * shape.units}, {}}),
                            node.name + "_zeros");
    if (b.shape(node.inputs[3]) != wanted)
      return bad_node(
          fmt::format("the bias is {}, it must be {}.", to_string(b.type(node.inputs[3])), to_string(std::span<const int64_t>(wanted))));
    if (&op == &ops::gru) return gru_bias(b, node.inputs[3], shape.units);
    const int64_t all = kind().gates * shape.units;
    return sum(b, rows(b, node.inputs[3], 0, 1, all), rows(b, node.inputs[3], 1, 1, all));
  }

  /// w with the gates in the order of the core operator.
  Result<ValueId> weights() const {
    const ValueId w = node.inputs[1];
    const Shape wanted{shape.directions, kind().gates * shape.units, shape.inputs};
    if (b.shape(w) != wanted)
      return bad_node(fmt::format("w is {}, it must be {}.", to_string(b.type(w)), to_string(std::span<const int64_t>(wanted))));
    if (&op != &ops::gru) return w;
    return joined(b, {rows(b, w, 2, 1, shape.units), rows(b, w, 0, 2, shape.units)});
  }

  /// The lengths of the sequences, unless they are known to be all steps.
  Result<ValueId> lengths() const {
    if (!node.has(kRecurrentLens)) return kNoValue;
    const Tensor* constant = b.constant(node.inputs[kRecurrentLens]);
    if (!constant) return node.inputs[kRecurrentLens];
    const std::optional<std::vector<int64_t>> values = constant->to_int64s();
    if (!values) return bad_node(fmt::format("the list of lengths is {}, it must be one of integers.", to_string(constant->type)));
    for (int64_t length : *values)
      if (length < 0 || length > shape.steps)
        return bad_node(fmt::format("a sequence of length {} does not fit {} steps.", length, shape.steps));
    const bool full = std::all_of(values->begin(), values->end(), [&](int64_t length) { return length == shape.steps; });
    return full ? kNoValue : node.inputs[kRecurrentLens];
  }

  [[nodiscard]] bool uses(size_t output) const { return output < node.output_used.size() && node.output_used[output]; }

  ImportResult run(const std::vector<std::string>& default_activations) const {
    Attrs attrs{
        {"direction", node.attrs.s("direction", "forward")}, {"layout", int64_t{shape.batch_first}}, {"clip", node.attrs.f("clip")}};
    if (node.attrs.f("clip") < 0) return bad_node(fmt::format("clip is {}, it must not be negative.", node.attrs.f("clip")));
    if (Status s = set_activations(node, default_activations, shape.directions, attrs); !s) return std::move(s).diagnostic();
    for (const char* flag : {"input_forget", "linear_before_reset"})
      if (node.attrs.has(flag)) attrs.set(flag, int64_t{node.attrs.i(flag) != 0});
    Result<ValueId> w = weights(), bias_value = bias(), lens = lengths();
    for (Result<ValueId>* value : {&w, &bias_value, &lens})
      if (!*value) return std::move(*value).diagnostic();
    // The only step of a sequence is its last one.
    const bool sequence = uses(0) && (shape.steps > 1 || *lens != kNoValue);
    attrs.set("sequence", int64_t{sequence});
    attrs.set("last", int64_t{sequence && uses(1)});
    std::vector<ValueId> inputs{node.inputs[0], *w, node.inputs[2], *bias_value, *lens};
    for (size_t i = kRecurrentH; i < node.inputs.size(); ++i) inputs.push_back(node.inputs[i]);
    while (inputs.back() == kNoValue) inputs.pop_back();
    Result<std::vector<ValueId>> out = b.add_multi(op, std::move(inputs), std::move(attrs));
    if (!out) return std::move(out).diagnostic();
    return onnx_outputs(*out, sequence);
  }

  ImportResult onnx_outputs(const std::vector<ValueId>& core, bool sequence) const {
    std::vector<ValueId> out(kind().has_cell ? 3 : 2, kNoValue);
    if (sequence) {
      out[0] = core[0];
      if (uses(1)) out[1] = core[1];
    } else {
      out[1] = core[0];
      Result<ValueId> y = uses(0) ? reshape(b, core[0], shape.sequence()) : kNoValue;
      if (!y) return std::move(y).diagnostic();
      out[0] = *y;
    }
    if (kind().has_cell) out[2] = core.back();
    return out;
  }
};

ImportResult import_recurrent(const OnnxNode& node, GraphBuilder& b, const OpDef& op, const std::vector<std::string>& activations) {
  Result<RecurrentShape> shape = recurrent_shape(b.type(node.inputs[0]), b.type(node.inputs[2]), node.attrs);
  if (!shape) return std::move(shape).diagnostic();
  if (node.attrs.has("hidden_size") && node.attrs.i("hidden_size") != shape->units)
    return bad_node(fmt::format("hidden_size is {}, r is {}.", node.attrs.i("hidden_size"), to_string(b.type(node.inputs[2]))));
  return Importing{node, b, op, *shape}.run(activations);
}

}  // namespace

ImportResult import_rnn(const OnnxNode& node, GraphBuilder& b) { return import_recurrent(node, b, ops::rnn, {"Tanh"}); }
ImportResult import_gru(const OnnxNode& node, GraphBuilder& b) { return import_recurrent(node, b, ops::gru, {"Sigmoid", "Tanh"}); }
ImportResult import_lstm(const OnnxNode& node, GraphBuilder& b) {
  return import_recurrent(node, b, ops::lstm, {"Sigmoid", "Tanh", "Tanh"});
}

}  // namespace kiln
