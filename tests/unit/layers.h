// SPDX-License-Identifier: Apache-2.0
// For tests of layers against definitions written in double precision straight from the ONNX text, on [N,C,...]. Nodes are
// imported with constant operands, so that the graph builder evaluates them through the reference kernels.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/builder.h"
#include "compiler/ir/graph.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/ops.h"

namespace kiln::layers {

using Ints = std::vector<int64_t>;
using Doubles = std::vector<double>;

struct Random {
  std::mt19937 engine;
  explicit Random(uint32_t seed) : engine(seed) {}
  int64_t between(int64_t low, int64_t high) { return low + static_cast<int64_t>(engine() % static_cast<uint32_t>(high - low + 1)); }
  bool flip() { return engine() % 2 == 0; }
  Tensor tensor(const Shape& shape) {
    Tensor t({DType::f32, shape, {}});
    for (float& value : t.as<float>()) value = static_cast<float>(between(-1000, 1000)) / 500.0f;
    return t;
  }
};

/// The first output of ONNX operator `type` for constant inputs (nothing: an omitted one).
inline Result<Tensor> run(const std::string& type, const std::vector<std::optional<Tensor>>& inputs, Attrs attrs = {}, int64_t opset = 17) {
  Graph graph;
  GraphBuilder b(graph, {"node"});
  OnnxNode node;
  node.type = type;
  node.name = "node";
  node.opset = opset;
  node.attrs = std::move(attrs);
  for (const std::optional<Tensor>& t : inputs) node.inputs.push_back(t ? graph.add_constant("c", *t) : kNoValue);
  node.output_count = 1;
  node.output_used = {true};
  const OpDef* op = op_table().find_onnx("", type);
  REQUIRE(op != nullptr);
  Result<std::vector<ValueId>> out = op->import ? op->import(node, b) : b.add_multi(*op, node.inputs, node.attrs);
  if (!out) return std::move(out).diagnostic();
  const Tensor* value = graph.constant(out->front());
  REQUIRE(value != nullptr);
  return *value;
}

inline std::string failure(const std::string& type, const std::vector<std::optional<Tensor>>& inputs, Attrs attrs = {}, int64_t opset = 17) {
  Result<Tensor> y = run(type, inputs, std::move(attrs), opset);
  return y ? "no error" : y.diagnostic().message;
}

/// Calls f(index) for every index below `shape`, last dimension fastest.
inline void for_each_index(const Ints& shape, const std::function<void(const Ints&)>& f) {
  if (std::count(shape.begin(), shape.end(), 0)) return;
  Ints at(shape.size(), 0);
  while (true) {
    f(at);
    size_t i = shape.size();
    while (i > 0 && ++at[i - 1] == shape[i - 1]) at[--i] = 0;
    if (i == 0) return;
  }
}

inline double element(const Tensor& t, const Ints& index) {
  int64_t flat = 0;
  for (size_t i = 0; i < index.size(); ++i) flat = flat * t.type.shape[i] + index[i];
  return static_cast<double>(t.as<float>()[static_cast<size_t>(flat)]);
}

inline void check_close(const Tensor& got, const Shape& shape, const Doubles& want) {
  REQUIRE(got.type.shape == shape);
  Doubles values = got.to_doubles();
  REQUIRE(values.size() == want.size());
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (values[i] == want[i]) continue;
    double excess = std::abs(values[i] - want[i]) / (1e-5 + 1e-5 * std::abs(want[i]));
    worst = std::max(worst, std::isnan(excess) ? 1e30 : excess);
  }
  CHECK(worst <= 1.0);
}

inline Shape joined(const Ints& head, const Ints& tail) {
  Shape shape = head;
  for (int64_t dim : tail) shape.push_back(dim);
  return shape;
}

inline Ints from(size_t first, const Ints& list) {
  Ints rest;
  for (size_t i = first; i < list.size(); ++i) rest.push_back(list[i]);
  return rest;
}

}  // namespace kiln::layers
