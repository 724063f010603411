// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/qdq.h"

#include <algorithm>
#include <set>

#include "compiler/quantize/layer_weights.h"
#include "compiler/quantize/wiring.h"

namespace kiln {
namespace {

constexpr int64_t kOpsetWith16Bit = 21;
constexpr const char* kMicrosoft = "com.microsoft";

class Inserter {
 public:
  Inserter(OnnxGraph& graph, const QuantPlan& plan) : graph_(graph), plan_(plan), wiring_(graph) {
    for (const auto& [name, tensor] : graph.initializers) names_.insert(name);
    names_.insert(graph.inputs.begin(), graph.inputs.end());
    for (const OnnxGraphNode& node : graph.nodes) {
      names_.insert(node.name);
      names_.insert(node.outputs.begin(), node.outputs.end());
    }
    for (const Unit& unit : plan.units)
      for (size_t n : unit.nodes) unit_of_[n] = &unit;
  }

  void run() {
    for (const std::string& input : graph_.inputs)
      if (plan_.group(input)) read_as_[input] = add_pair(input, input, unique(input + "_dequantized"));
    for (size_t n = 0; n < graph_.nodes.size(); ++n) add_node(n);
    graph_.nodes = std::move(nodes_);
    if (microsoft_) graph_.opsets.emplace(kMicrosoft, 1);
  }

 private:
  void add_node(size_t n) {
    OnnxGraphNode node = graph_.nodes[n];
    if (auto unit = unit_of_.find(n); unit != unit_of_.end()) dequantize_constants(*unit->second, n, node);
    for (std::string& input : node.inputs)
      if (auto to = read_as_.find(input); to != read_as_.end()) input = to->second;
    std::vector<std::pair<std::string, std::string>> pairs;  // tensor, name in front of its pair
    for (std::string& output : node.outputs) {
      if (output.empty() || !plan_.group(output)) continue;
      std::string tensor = output;
      // The last of the pair takes the name of an output of the model.
      if (wiring_.is_output(tensor)) output = unique(tensor + "_float");
      pairs.emplace_back(tensor, output);
    }
    nodes_.push_back(std::move(node));
    for (const auto& [tensor, source] : pairs)
      read_as_[tensor] = add_pair(tensor, source, wiring_.is_output(tensor) ? tensor : unique(tensor + "_dequantized"));
  }

  /// Q and DQ of `source`, which is `tensor` in float; returns `result`, the name of what DQ makes.
  std::string add_pair(const std::string& tensor, const std::string& source, const std::string& result) {
    size_t group = plan_.group_of.at(tensor);
    const Grid& grid = plan_.groups[group].grid;
    auto [names, added] = parameters_.try_emplace(group);
    if (added) names->second = add_parameters(plan_.groups[group].tensors.front(), grid);
    std::string quantized = unique(tensor + "_quantized");
    add_linear("QuantizeLinear", tensor, {source, names->second.first, names->second.second}, quantized, grid.dtype);
    add_linear("DequantizeLinear", tensor, {quantized, names->second.first, names->second.second}, result, grid.dtype);
    return result;
  }

  std::pair<std::string, std::string> add_parameters(const std::string& tensor, const Grid& grid) {
    Tensor zero_point({grid.dtype, {}, {}});
    if (grid.dtype == DType::i16)
      zero_point.as<int16_t>()[0] = static_cast<int16_t>(grid.zero_point);
    else
      zero_point.as<int8_t>()[0] = static_cast<int8_t>(grid.zero_point);
    return {add_initializer(tensor + "_scale", Tensor::floats({}, {grid.scale})),
            add_initializer(tensor + "_zero_point", std::move(zero_point))};
  }

  void add_linear(const char* type, const std::string& tensor, std::vector<std::string> inputs, const std::string& output, DType dtype,
                  Attrs attrs = {}) {
    OnnxGraphNode node;
    node.name = unique(tensor + "_" + type);
    node.type = type;
    if (dtype == DType::i16 && graph_.opsets.at("") < kOpsetWith16Bit) node.domain = kMicrosoft, microsoft_ = true;
    node.attrs = std::move(attrs);
    node.inputs = std::move(inputs);
    node.outputs = {output};
    nodes_.push_back(std::move(node));
  }

  void dequantize_constants(const Unit& unit, size_t n, OnnxGraphNode& node) {
    if (unit.kind == UnitKind::compute && n == unit.nodes[0])
      for (std::string& input : node.inputs)
        if (std::find(unit.constants.begin(), unit.constants.end(), input) != unit.constants.end()) input = dequantized_constant(input);
    if (unit.kind != UnitKind::layer) return;
    const std::string& layer = graph_.nodes[unit.nodes[0]].name;
    if (n == unit.nodes[0]) node.inputs[1] = dequantized_weights(node);
    for (std::string& input : node.inputs)
      if (!unit.bias.empty() && input == unit.bias) input = dequantized_bias(unit, layer);
  }

  std::string dequantized_constant(const std::string& name) {
    auto [done, added] = constants_.try_emplace(name);
    if (!added) return done->second;
    const Tensor& tensor = graph_.initializers.at(name);
    Grid grid = constant_grid(tensor);
    Tensor integers({DType::i8, tensor.type.shape, {}});
    for (size_t i = 0; i < tensor.as<float>().size(); ++i)
      integers.as<int8_t>()[i] = static_cast<int8_t>(grid.quantize(tensor.as<float>()[i]));
    auto [scale, zero_point] = add_parameters(name, grid);
    std::string quantized = add_initializer(name + "_quantized", std::move(integers));
    done->second = unique(name + "_dequantized");
    add_linear("DequantizeLinear", name, {quantized, scale, zero_point}, done->second, DType::i8);
    return done->second;
  }

  /// One scale for all where they are equal.
  static Tensor scales_tensor(const std::vector<float>& scales) {
    bool same = std::all_of(scales.begin(), scales.end(), [&](float s) { return s == scales[0]; });
    return same ? Tensor::floats({}, {scales[0]}) : Tensor::floats({static_cast<int64_t>(scales.size())}, scales);
  }

  std::string dequantized_weights(const OnnxGraphNode& node) {
    const std::string& name = node.inputs[1];
    auto [done, added] = constants_.try_emplace(name);
    if (!added) return done->second;
    WeightLayout layout = *weight_layout(graph_, node);
    const QuantizedWeights& weights = plan_.weights.at(node.name);
    std::span<const int8_t> rows = weights.values.as<int8_t>();
    std::vector<int8_t> ordered = in_onnx_order(std::vector<int8_t>(rows.begin(), rows.end()), layout);
    Tensor scale = scales_tensor(weights.scale);
    std::string quantized = add_initializer(name + "_quantized", Tensor::of<int8_t>(graph_.initializers.at(name).type.shape, ordered));
    Attrs attrs;
    if (scale.type.rank() == 1) attrs.set("axis", layout.axis());
    std::string zero_point = add_initializer(name + "_zero_point", Tensor({DType::i8, scale.type.shape, {}}));
    std::string scale_name = add_initializer(name + "_scale", std::move(scale));
    done->second = unique(name + "_dequantized");
    add_linear("DequantizeLinear", name, {quantized, scale_name, zero_point}, done->second, DType::i8, std::move(attrs));
    return done->second;
  }

  std::string dequantized_bias(const Unit& unit, const std::string& layer) {
    QuantizedBias bias = quantize_bias(plan_.bias.at(layer), plan_.grid(unit.inputs[0]).scale, plan_.weights.at(layer).scale);
    Tensor scale = scales_tensor(bias.scale);
    Attrs attrs;
    if (scale.type.rank() == 1) attrs.set("axis", int64_t{0});
    std::string quantized =
        add_initializer(unit.bias + "_quantized", Tensor::of<int32_t>({static_cast<int64_t>(bias.values.size())}, bias.values));
    std::string scale_name = add_initializer(unit.bias + "_scale", std::move(scale));
    std::string result = unique(unit.bias + "_dequantized");
    add_linear("DequantizeLinear", unit.bias, {quantized, scale_name}, result, DType::i32, std::move(attrs));
    return result;
  }

  std::string add_initializer(const std::string& wish, Tensor tensor) {
    std::string name = unique(wish);
    graph_.initializers.insert_or_assign(name, std::move(tensor));
    return name;
  }

  std::string unique(const std::string& wish) {
    std::string name = wish;
    for (int i = 1; !names_.insert(name).second; ++i) name = wish + "_" + std::to_string(i);
    return name;
  }

  OnnxGraph& graph_;
  const QuantPlan& plan_;
  Wiring wiring_;
  std::vector<OnnxGraphNode> nodes_;
  std::set<std::string> names_;
  std::map<size_t, const Unit*> unit_of_;
  std::map<std::string, std::string> read_as_;                        ///< tensor -> what is read in its place
  std::map<std::string, std::string> constants_;                      ///< initializer -> what is read in its place
  std::map<size_t, std::pair<std::string, std::string>> parameters_;  ///< group -> names of scale and zero point
  bool microsoft_ = false;
};

}  // namespace

void insert_qdq(OnnxGraph& graph, const QuantPlan& plan) { Inserter(graph, plan).run(); }

}  // namespace kiln
