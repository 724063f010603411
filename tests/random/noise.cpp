// SPDX-License-Identifier: Apache-2.0
#include "noise.h"

#include <cmath>
#include <optional>

#include "compiler/ops/evaluate.h"
#include "compiler/ops/ops.h"

namespace kiln::test {
namespace {

/// Half the distance from 1 to the next number; for f64 what its functions are good for.
double rounding_unit(DType dtype) {
  switch (dtype) {
    case DType::f64: return 0x1p-48;
    case DType::f16: return 0x1p-11;
    case DType::bf16: return 0x1p-8;
    default: return 0x1p-24;
  }
}

double greatest(const std::vector<double>& values) {
  double most = 0;
  for (double v : values)
    if (std::isfinite(v)) most = std::max(most, std::abs(v));
  return most;
}

/// Functions of single elements round relative to the element; what sums many is as good as the largest of its terms.
void disturb(Tensor& t, const OpDef& op, const std::vector<const Tensor*>& operands, Dice& dice, double strength) {
  if (!is_float(t.type.dtype) || op.is(kMovesData) || op.is(kView) || t.type.quant) return;
  std::vector<double> values = t.to_doubles();
  double floor = greatest(values);
  if (!op.is(kElementwise) && !operands.empty() && operands[0] && is_float(operands[0]->type.dtype))
    floor = std::max(floor, 0.05 * greatest(operands[0]->to_doubles()));
  // ONNX Runtime approximates the logistic function to about 1e-7 of 1, even where it is nearly 0.
  const double share = &op == &ops::sigmoid ? 0.25 : op.is(kUnary) ? 0.01 : op.is(kElementwise) ? 0.05 : 0.5;
  const double unit = rounding_unit(t.type.dtype) * strength;
  for (double& v : values) {
    if (v == std::floor(v) && std::abs(v) < 0x1p20) continue;
    const double sign = dice.flip() ? 1 : -1;
    v += sign * unit * static_cast<double>(dice.real(0.5f, 1)) * (std::abs(v) + share * floor);
  }
  set_elements(t, values);
}

}  // namespace

void set_elements(Tensor& tensor, const std::vector<double>& values) {
  DType dtype = tensor.type.dtype;
  with_storage_type(dtype, [&]<class T>() {
    std::span<T> elements = tensor.as<T>();
    for (size_t i = 0; i < values.size(); ++i) {
      if (dtype == DType::f16) elements[i] = static_cast<T>(float_to_f16(static_cast<float>(values[i])));
      else if (dtype == DType::bf16) elements[i] = static_cast<T>(float_to_bf16(static_cast<float>(values[i])));
      else elements[i] = static_cast<T>(values[i]);
    }
  });
}

Result<std::vector<Tensor>> evaluate_noisily(const Graph& graph, const std::vector<Tensor>& inputs, Dice& dice, double strength) {
  if (strength == 0) return evaluate(graph, inputs);
  std::vector<std::optional<Tensor>> values(graph.value_count());
  for (size_t i = 0; i < inputs.size(); ++i) values[index(graph.inputs[i])] = inputs[i];
  for (size_t i = 0; i < values.size(); ++i)
    if (const Tensor* constant = graph.constant(ValueId{static_cast<uint32_t>(i)})) values[i] = *constant;
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> operands;
    for (ValueId v : node.inputs) operands.push_back(v == kNoValue ? nullptr : &*values[index(v)]);
    Result<std::vector<Tensor>> out = evaluate_node(graph, id, operands);
    if (!out) return std::move(out).diagnostic();
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      disturb((*out)[i], *node.op, operands, dice, strength);
      values[index(node.outputs[i])] = std::move((*out)[i]);
    }
  }
  std::vector<Tensor> outputs;
  for (ValueId v : graph.outputs()) outputs.push_back(*values[index(v)]);
  return outputs;
}

Result<std::vector<Expected>> expected_outputs(const Graph& graph, const std::vector<Tensor>& inputs, uint32_t seed) {
  constexpr int kRuns = 8;
  constexpr double kStrength = 16, kSafety = 4;
  Result<std::vector<Tensor>> exact = evaluate(graph, inputs);
  if (!exact) return std::move(exact).diagnostic();
  std::vector<Expected> expected;
  std::vector<std::vector<double>> values;
  for (Tensor& t : *exact) {
    values.push_back(t.to_doubles());
    expected.push_back({std::move(t), std::vector<double>(values.back().size(), 0.0)});
  }
  for (int run = 0; run < kRuns; ++run) {
    // In pairs of opposite disturbances: what is close to the middle between two steps takes the other one in one of them.
    Dice dice(seed + static_cast<uint32_t>(run / 2));
    Result<std::vector<Tensor>> noisy = evaluate_noisily(graph, inputs, dice, run % 2 == 0 ? kStrength : -kStrength);
    if (!noisy) return std::move(noisy).diagnostic();
    for (size_t o = 0; o < expected.size(); ++o) {
      std::vector<double> other = (*noisy)[o].to_doubles();
      for (size_t i = 0; i < other.size(); ++i) {
        double difference = std::abs(other[i] - values[o][i]);
        expected[o].tolerance[i] = std::max(expected[o].tolerance[i], difference);
      }
    }
  }
  // A few runs may leave an element alone that others of the tensor show to be uncertain.
  for (size_t o = 0; o < expected.size(); ++o) {
    Expected& e = expected[o];
    if (!is_float(e.value.type.dtype)) continue;
    double squares = 0;
    for (double d : e.tolerance) squares += d * d;
    const double typical = e.tolerance.empty() ? 0 : std::sqrt(squares / static_cast<double>(e.tolerance.size()));
    // What is constant was computed while the graph was imported, out of sight of the noise: in f32 even where it is f64 now.
    const double unit = std::max(64 * rounding_unit(DType::f32), 16 * rounding_unit(e.value.type.dtype)) * (0.05 + greatest(values[o]));
    for (double& d : e.tolerance) d = kSafety * std::max(d, typical) + unit;
  }
  return expected;
}

}  // namespace kiln::test
