// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/units.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <span>

#include "compiler/quantize/layer_weights.h"
#include "compiler/quantize/wiring.h"

namespace kiln {
namespace {

/// Operators with all float operands and results quantized.
constexpr std::array kCompute = {"Add",
                                 "Sub",
                                 "Mul",
                                 "MatMul",
                                 "Max",
                                 "Min",
                                 "Sum",
                                 "PRelu",
                                 "AveragePool",
                                 "GlobalAveragePool",
                                 "LayerNormalization",
                                 "ReduceMean",
                                 "Softmax",
                                 "Abs",
                                 "Celu",
                                 "Clip",
                                 "Elu",
                                 "Gelu",
                                 "HardSigmoid",
                                 "HardSwish",
                                 "LeakyRelu",
                                 "Mish",
                                 "Neg",
                                 "Relu",
                                 "Selu",
                                 "Sigmoid",
                                 "Softplus",
                                 "Softsign",
                                 "Swish",
                                 "Tanh",
                                 "ThresholdedRelu"};
/// Operators that pick elements of their first operand.
constexpr std::array kMove = {"DepthToSpace", "Expand",    "Flatten",   "Gather",    "GlobalMaxPool", "Identity",
                              "MaxPool",      "ReduceMax", "ReduceMin", "Reshape",   "Slice",         "SpaceToDepth",
                              "Split",        "Squeeze",   "Tile",      "Transpose", "Unsqueeze"};
/// Operators that a Relu or Clip may join.
constexpr std::array kTakesActivation = {"Add", "Sub", "Mul", "Sum"};

bool is_one_of(const OnnxGraphNode& node, std::span<const char* const> types) {
  return std::any_of(types.begin(), types.end(), [&](const char* type) { return node.is(type); });
}

class Finder {
 public:
  Finder(const OnnxGraph& graph, const TensorTypes& types, const std::vector<std::string>& keep_float)
      : graph_(graph), types_(types), wiring_(graph), keep_float_(keep_float.begin(), keep_float.end()) {}

  std::vector<Unit> run() {
    std::vector<Unit> units;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (taken_.count(n)) continue;
      std::optional<Unit> unit = unit_at(n);
      if (!unit) continue;
      taken_.insert(unit->nodes.begin(), unit->nodes.end());
      bool kept =
          std::any_of(unit->nodes.begin(), unit->nodes.end(), [&](size_t m) { return keep_float_.count(graph_.nodes[m].name) != 0; });
      if (!kept) units.push_back(*std::move(unit));
    }
    return units;
  }

 private:
  std::optional<Unit> unit_at(size_t n) {
    const OnnxGraphNode& node = graph_.nodes[n];
    if (std::optional<WeightLayout> layout = weight_layout(graph_, node)) return layer_at(n, *layout);
    if (is_move(node)) return complete({.kind = UnitKind::move, .nodes = {n}});
    if (node.is("LayerNormalization") && (node.outputs.size() > 1 || !constant_or_absent(node, 1) || !constant_or_absent(node, 2)))
      return std::nullopt;
    bool gelu = node.domain == "com.microsoft" && node.type == "Gelu";
    if (!gelu && !is_one_of(node, kCompute) && !is_linear_resize(node)) return std::nullopt;
    Unit unit{.nodes = {n}};
    if (is_one_of(node, kTakesActivation)) add_activation(unit);
    return complete(std::move(unit));
  }

  std::optional<Unit> layer_at(size_t n, const WeightLayout& layout) {
    const OnnxGraphNode& node = graph_.nodes[n];
    Unit unit{.kind = UnitKind::layer, .nodes = {n}, .weights = node.inputs[1], .bias = input_of(node, 2), .summed = node.outputs[0]};
    if (node.is("MatMul")) add_bias(unit, layout.outputs);
    add_activation(unit);
    return complete(std::move(unit));
  }

  /// MatMul, then Add of one number per column.
  void add_bias(Unit& unit, int64_t outputs) {
    std::optional<size_t> user = wiring_.only_user(unit.summed);
    if (!user || !graph_.nodes[*user].is("Add")) return;
    const OnnxGraphNode& add = graph_.nodes[*user];
    const std::string& other = add.inputs[add.inputs[0] == unit.summed ? 1 : 0];
    const Tensor* bias = graph_.initializer(other);
    if (!bias || bias->type.dtype != DType::f32 || bias->type.shape != Shape{outputs} || taken_.count(*user)) return;
    unit.nodes.push_back(*user);
    unit.bias = other;
    unit.summed = add.outputs[0];
  }

  void add_activation(Unit& unit) {
    std::optional<size_t> user = wiring_.only_user(graph_.nodes[unit.nodes.back()].outputs[0]);
    if (!user || taken_.count(*user)) return;
    const OnnxGraphNode& node = graph_.nodes[*user];
    bool bounds = node.is("Clip") && node.inputs[0] == graph_.nodes[unit.nodes.back()].outputs[0] && constant_or_absent(node, 1) &&
                  constant_or_absent(node, 2);
    if (node.is("Relu") || bounds) unit.nodes.push_back(*user);
  }

  bool constant_or_absent(const OnnxGraphNode& node, size_t i) const {
    std::string name = input_of(node, i);
    return name.empty() || graph_.initializer(name);
  }

  bool is_move(const OnnxGraphNode& node) const {
    if (node.is("Concat")) return true;
    if (node.is("MaxPool")) return node.outputs.size() == 1;
    if (node.is("Resize")) return node.attrs.s("mode", "nearest") == "nearest";
    if (node.is("Pad")) return pads_with_zero(node);
    return is_one_of(node, kMove);
  }

  bool pads_with_zero(const OnnxGraphNode& node) const {
    if (node.attrs.s("mode", "constant") != "constant" || input_of(node, 2).empty()) return true;
    const Tensor* value = graph_.initializer(input_of(node, 2));
    return value && value->type.dtype == DType::f32 && value->type.elements() == 1 && value->as<float>()[0] == 0;
  }

  static bool is_linear_resize(const OnnxGraphNode& node) { return node.is("Resize") && node.attrs.s("mode", "nearest") == "linear"; }

  /// Fills in what the unit reads and makes; nothing when a tensor is not float32, or it reads only constants.
  std::optional<Unit> complete(Unit unit) const {
    const OnnxGraphNode& first = graph_.nodes[unit.nodes.front()];
    // Further operands of movements are shapes and indices, those of Clip its bounds, those of LayerNormalization stay float.
    size_t operands = unit.kind == UnitKind::layer ? 1 : unit.kind == UnitKind::move && !first.is("Concat") ? 1 : first.inputs.size();
    if (first.is("Clip") || is_linear_resize(first) || first.is("ReduceMean") || first.is("LayerNormalization")) operands = 1;
    for (size_t i = 0; i < operands; ++i) {
      const std::string& name = first.inputs[i];
      if (const Tensor* constant = graph_.initializer(name)) {
        if (constant->type.dtype != DType::f32 || unit.kind == UnitKind::move) return std::nullopt;
        unit.constants.push_back(name);
      } else if (is_float(name)) {
        unit.inputs.push_back(name);
      } else {
        return std::nullopt;
      }
    }
    for (const std::string& output : graph_.nodes[unit.nodes.back()].outputs)
      if (!output.empty()) unit.outputs.push_back(output);
    if (unit.inputs.empty() || unit.outputs.empty()) return std::nullopt;
    return unit;
  }

  bool is_float(const std::string& tensor) const {
    auto type = types_.find(tensor);
    return type != types_.end() && type->second.dtype == DType::f32;
  }

  const OnnxGraph& graph_;
  const TensorTypes& types_;
  Wiring wiring_;
  std::set<std::string> keep_float_;
  std::set<size_t> taken_;
};

}  // namespace

std::vector<Unit> find_units(const OnnxGraph& graph, const TensorTypes& types, const std::vector<std::string>& keep_float) {
  return Finder(graph, types, keep_float).run();
}

}  // namespace kiln
