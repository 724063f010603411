// SPDX-License-Identifier: Apache-2.0
// For tests of operators: importing a node onto constants, so that GraphBuilder folds it, and tensors made by index loops.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "compiler/ops/op_util.h"

namespace kiln {

using Index = std::vector<int64_t>;

/// Distinct values 1, 2, 3, ... (0 stays free for "nothing").
inline Tensor counting(const Shape& shape, DType dtype = DType::i32) {
  Tensor t(TensorType{dtype, shape, {}});
  with_storage_type(dtype, [&]<class T>() {
    for (size_t i = 0; i < t.as<T>().size(); ++i) t.as<T>()[i] = static_cast<T>(i + 1);
  });
  return t;
}

inline void for_each_index(const Shape& shape, const std::function<void(const Index&)>& visit) {
  Index at(shape.size(), 0);
  for (int64_t n = 0; n < element_count(shape); ++n) {
    visit(at);
    for (size_t k = shape.size(); k-- > 0;) {
      if (++at[k] < shape[k]) break;
      at[k] = 0;
    }
  }
}

inline int32_t element(const Tensor& t, const Index& at) {
  int64_t position = 0;
  for (size_t k = 0; k < at.size(); ++k) position = position * t.type.shape[k] + at[k];
  return t.as<int32_t>()[static_cast<size_t>(position)];
}

/// The i32 tensor whose element at each index is f(index).
inline Tensor build(const Shape& shape, const std::function<int32_t(const Index&)>& f) {
  std::vector<int32_t> values;
  for_each_index(shape, [&](const Index& at) { values.push_back(f(at)); });
  return Tensor::of<int32_t>(shape, values);
}

struct Bench {
  Graph graph;
  GraphBuilder b{graph, {"test"}};
  ValueId constant(Tensor t) { return b.add_constant(std::move(t), "c"); }
  ValueId input(DType dtype, Shape shape) { return graph.add_input("x", TensorType{dtype, std::move(shape), {}}); }
  /// The constant that an import of `op` folds to, for its first output.
  Tensor import(const OpDef& op, int64_t opset, std::vector<ValueId> inputs, Attrs attrs = {}) {
    std::vector<ValueId> out = *run(op, opset, std::move(inputs), std::move(attrs));
    REQUIRE(b.constant(out[0]));
    return *b.constant(out[0]);
  }
  ImportResult run(const OpDef& op, int64_t opset, std::vector<ValueId> inputs, Attrs attrs = {}, size_t outputs = 1) {
    return op.import(OnnxNode{"", std::string(op.onnx.type), "n", opset, std::move(attrs), std::move(inputs), outputs,
                              std::vector<bool>(outputs, true)}, b);
  }
  std::string message(const OpDef& op, int64_t opset, std::vector<ValueId> inputs, Attrs attrs = {}, size_t outputs = 1) {
    ImportResult r = run(op, opset, std::move(inputs), std::move(attrs), outputs);
    REQUIRE_FALSE(r.ok());
    return r.diagnostic().message;
  }
};

inline Shape random_shape(std::mt19937& random, size_t rank, int64_t longest) {
  Shape shape(rank);
  for (int64_t& dim : shape) dim = 1 + static_cast<int64_t>(random() % static_cast<uint32_t>(longest));
  return shape;
}

inline int64_t pick(std::mt19937& random, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random() % static_cast<uint32_t>(high - low + 1));
}

}  // namespace kiln
