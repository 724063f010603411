// SPDX-License-Identifier: Apache-2.0
// What is quantized how: the result of calibration, from which the quantized model is written and by which it is simulated.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/quantize/grid.h"
#include "compiler/quantize/units.h"

namespace kiln {

/// Tensors with the same grid.
struct TensorGroup {
  std::vector<std::string> tensors;
  bool probabilities = false;  ///< made by Softmax: [0, 1) in steps that are a power of two
  Range seen;                  ///< smallest and largest value of the calibration data
  Grid grid;
};

struct QuantPlan {
  std::vector<Unit> units;
  std::vector<TensorGroup> groups;
  std::map<std::string, size_t> group_of;           ///< by tensor; tensors that stay float are not there
  std::map<std::string, QuantizedWeights> weights;  ///< by node of the layer; values in the order [outputs][taps][inputs]
  std::map<std::string, std::vector<float>> bias;   ///< by node of the layer, with corrections; layers without bias are not there

  [[nodiscard]] const TensorGroup* group(const std::string& tensor) const;
  [[nodiscard]] const Grid& grid(const std::string& tensor) const { return groups[group_of.at(tensor)].grid; }
};

/// Groups the tensors of `units`; movements between tensors that no arithmetic wants quantized are left out. Grids are not set yet.
QuantPlan make_plan(const OnnxGraph& graph, std::vector<Unit> units);

/// Sets the grid of a group from its range.
void set_grid(TensorGroup& group, Range range, DType dtype);

/// The grid of a constant operand: 8 bits over its smallest and largest element.
Grid constant_grid(const Tensor& constant);

}  // namespace kiln
