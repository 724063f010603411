// SPDX-License-Identifier: Apache-2.0
// Runs a model on the reference kernels as it will compute once quantized: in float, with weights and activations rounded to their grids.
// That is literally what QuantizeLinear and DequantizeLinear nodes around float operators do.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/quantize/plan.h"

namespace kiln {

/// One set of the model's inputs.
using Sample = std::vector<Tensor>;

/// Nodes of a graph in order, and the values that die with each.
struct Timeline {
  explicit Timeline(const Graph& graph);
  std::vector<NodeId> nodes;
  std::vector<std::vector<ValueId>> dead_after;  ///< by position in `nodes`
};

/// What is different from the float graph.
struct Overlay {
  std::map<ValueId, Tensor> constants;
  std::map<ValueId, Grid> grids;  ///< values that are rounded as soon as they are known
};

/// The values of one sample, computed node by node.
class Walk {
 public:
  /// All references must outlive the walk. The sample must fit the graph's inputs.
  Walk(const Graph& graph, const Timeline& timeline, const Overlay& overlay, const Sample& sample);

  /// Evaluates the node at `position` and frees what nothing needs any more, except the graph's outputs.
  Status step(size_t position);
  /// Null when it is not computed yet, dead, or omitted. The results of the last step are alive until `forget`.
  [[nodiscard]] const Tensor* at(ValueId value) const;
  /// To change a result of the last step.
  [[nodiscard]] Tensor& result(ValueId value) { return *values_[index(value)]; }
  void forget(size_t position);
  [[nodiscard]] std::vector<Tensor> outputs() const;

 private:
  void round(ValueId value);

  const Graph& graph_;
  const Timeline& timeline_;
  const Overlay& overlay_;
  std::vector<std::optional<Tensor>> values_;
};

/// The graph's outputs for one sample.
Result<std::vector<Tensor>> simulate(const Graph& graph, const Timeline& timeline, const Overlay& overlay, const Sample& sample);

/// Where the layers of a model stand in the graph imported from it.
struct LayerPlace {
  NodeId node{};               ///< conv2d or dense
  ValueId weights = kNoValue;  ///< [outputs][taps][inputs]
  ValueId bias = kNoValue;
  ValueId summed = kNoValue;  ///< the value with the bias; its last dimension is the output channel
};

struct GraphPlaces {
  std::map<std::string, std::vector<ValueId>> values;        ///< by ONNX tensor: all that hold it
  std::map<std::string, LayerPlace> layers;                  ///< by the node of the layer
  std::map<std::string, std::map<ValueId, Grid>> constants;  ///< by node of a compute unit: its constant operands
};
GraphPlaces find_places(const Graph& graph, const OnnxGraph& model, const QuantPlan& plan);

/// What the plan changes: everything, the tensors of one group alone, or the parameters of one unit alone.
Overlay make_overlay(const Graph& graph, const OnnxGraph& model, const QuantPlan& plan, const GraphPlaces& places);
Overlay overlay_of_group(const QuantPlan& plan, const GraphPlaces& places, size_t group);
Overlay overlay_of_parameters(const Graph& graph, const OnnxGraph& model, const QuantPlan& plan, const GraphPlaces& places, size_t unit);

}  // namespace kiln
