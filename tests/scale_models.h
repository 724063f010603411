// SPDX-License-Identifier: Apache-2.0
// Models of any size, for what has to take time and memory in proportion to it. Knows no test framework, so that programs may use it.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/model_maker.h"

namespace kiln::test {

/// A kind of model of about `nodes` nodes (inputs, in the case of `inputs`), as the bytes of an ONNX file.
struct ScaleModel {
  const char* name;
  std::string (*make)(int nodes);
};

namespace scale {

inline std::string finished(ModelMaker& m, const std::string& y) {
  m.output(y, DType::f32);
  return m.bytes();
}

/// Adds up `parts` pair by pair.
inline std::string sum(ModelMaker& m, std::vector<std::string> parts) {
  while (parts.size() > 1) {
    std::vector<std::string> next;
    for (size_t i = 0; i + 1 < parts.size(); i += 2) next.push_back(m.node("Add", {parts[i], parts[i + 1]}));
    if (parts.size() % 2 == 1) next.push_back(parts.back());
    parts = std::move(next);
  }
  return parts.front();
}

/// Convolution and activation in turns.
inline std::string chain(int nodes) {
  ModelMaker m;
  std::string x = m.input("x", DType::f32, {1, 2, 3, 3});
  const std::string w = m.constant(Tensor::floats({2, 2, 1, 1}, {1, 2, 3, 4}));
  for (int i = 0; i < nodes / 2; ++i) x = m.node("Relu", {m.node("Conv", {x, w})});
  return finished(m, x);
}

/// Branches of two nodes of growing sizes in the middle, which are added up.
inline std::string branches(int nodes) {
  ModelMaker m;
  const std::string x = m.input("x", DType::f32, {1, 4});
  const std::string wide = m.constant(Tensor::floats({4, 8}, std::vector<float>(32, 0.5f)));
  const std::string narrow = m.constant(Tensor::floats({8, 4}, std::vector<float>(32, 0.25f)));
  std::vector<std::string> parts;
  for (int i = 0; i < nodes / 4; ++i) parts.push_back(m.node("MatMul", {m.node("Add", {m.node("MatMul", {x, wide}), m.number(static_cast<float>(i + 1))}), narrow}));
  return finished(m, sum(m, parts));
}

/// Blocks that split into up to 1000 parts, work on each, and join them again.
inline std::string splits(int nodes) {
  ModelMaker m;
  const int width = std::min(nodes, 1000);
  std::string x = m.input("x", DType::f32, {1, 2 * width});
  for (int done = 0; done < nodes; done += width + 2) {
    std::string first = m.node("Split", {x}, {{"axis", int64_t{1}}}, "", width);
    std::vector<std::string> parts;
    for (int i = 0; i < width; ++i) parts.push_back(m.node("Exp", {i == 0 ? first : fmt::format("{}_{}", first, i)}));
    x = m.node("Concat", parts, {{"axis", int64_t{1}}});
  }
  return finished(m, x);
}

/// Inputs that nothing reads, but for one.
inline std::string inputs(int count) {
  ModelMaker m;
  for (int i = 0; i < count; ++i) m.input(fmt::format("unused{}", i), DType::f32, {1, 4});
  return finished(m, m.node("Relu", {m.input("x", DType::f32, {1, 4})}));
}

/// As many results that are all alive at the end.
inline std::string outputs(int count) {
  ModelMaker m;
  const std::string x = m.input("x", DType::f32, {1, 4});
  for (int i = 0; i < count; ++i) m.output(m.node("Add", {x, m.number(static_cast<float>(i))}), DType::f32);
  return m.bytes();
}

/// A Loop whose body has 10 nodes and carries a value.
inline std::string loop(int nodes) {
  constexpr int kBody = 10;
  ModelMaker m;
  const std::string x = m.input("x", DType::f32, {4}), trips = m.integer<int64_t>(std::max(nodes / kBody, 1));
  const std::string y = m.node("Loop", {trips, "", x});
  onnx::ModelProto model = m.model();
  onnx::NodeProto* node = model.mutable_graph()->mutable_node(0);
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name("body");
  attribute->set_type(onnx::AttributeProto::GRAPH);
  onnx::GraphProto* body = attribute->mutable_g();
  body->set_name("body");
  auto declare = [](onnx::ValueInfoProto* info, const char* name, int type) {
    info->set_name(name);
    info->mutable_type()->mutable_tensor_type()->set_elem_type(type);
  };
  auto add = [&](const char* type, std::vector<std::string> reads, const std::string& result) {
    onnx::NodeProto* n = body->add_node();
    n->set_op_type(type);
    for (const std::string& name : reads) n->add_input(name);
    n->add_output(result);
  };
  declare(body->add_input(), "i", onnx::TensorProto::INT64);
  declare(body->add_input(), "go", onnx::TensorProto::BOOL);
  declare(body->add_input(), "h0", onnx::TensorProto::FLOAT);
  declare(body->add_output(), "on", onnx::TensorProto::BOOL);
  declare(body->add_output(), "h8", onnx::TensorProto::FLOAT);
  add("Identity", {"go"}, "on");
  for (int k = 0; k < 8; ++k) add(k % 2 == 0 ? "Exp" : "Neg", {fmt::format("h{}", k)}, fmt::format("h{}", k + 1));
  model.mutable_graph()->add_output()->set_name(y);
  return model.SerializeAsString();
}

/// Transposes, activations and reshapes in turns, no two of which cancel at once.
inline std::string transposes(int nodes) {
  ModelMaker m;
  std::string x = m.input("x", DType::f32, {2, 3, 4});
  const std::string flat = m.constant(Tensor::int64s({2, 3, 4}));
  for (int i = 0; i < nodes / 3; ++i) {
    x = m.node("Transpose", {x}, {{"perm", std::vector<int64_t>{1, 2, 0}}});
    x = m.node(i % 2 == 0 ? "Relu" : "Tanh", {x});
    x = m.node("Reshape", {x, flat});
  }
  return finished(m, x);
}

/// Residual blocks: x + relu(x * w) * v.
inline std::string ladder(int nodes) {
  ModelMaker m;
  std::string x = m.input("x", DType::f32, {1, 4});
  const std::string w = m.constant(Tensor::floats({4, 8}, std::vector<float>(32, 0.5f)));
  const std::string v = m.constant(Tensor::floats({8, 4}, std::vector<float>(32, 0.25f)));
  for (int i = 0; i < nodes / 4; ++i) x = m.node("Add", {x, m.node("MatMul", {m.node("Relu", {m.node("MatMul", {x, w})}), v})});
  return finished(m, x);
}

}  // namespace scale

inline constexpr std::array kScaleModels = {ScaleModel{"chain", scale::chain},       ScaleModel{"branches", scale::branches}, ScaleModel{"splits", scale::splits},
                                            ScaleModel{"inputs", scale::inputs},     ScaleModel{"outputs", scale::outputs},   ScaleModel{"loop", scale::loop},
                                            ScaleModel{"transposes", scale::transposes}, ScaleModel{"ladder", scale::ladder}};

}  // namespace kiln::test
