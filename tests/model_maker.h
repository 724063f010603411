// SPDX-License-Identifier: Apache-2.0
// ONNX models for tests that are built node by node, and random numbers for them. Knows no test framework, so that programs may use it.
#pragma once

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/attr.h"
#include "compiler/ir/tensor.h"
#include "compiler/ops/quantization.h"

namespace kiln::test {

inline int onnx_number(DType dtype) {
  for (int number = 1; number < 30; ++number)
    if (dtype_from_onnx(static_cast<int64_t>(number)) == dtype) return number;
  return 0;
}

inline onnx::TensorProto to_proto(const Tensor& t, const std::string& name) {
  onnx::TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(onnx_number(t.type.dtype));
  for (int64_t dim : t.type.shape) proto.add_dims(dim);
  std::string bytes(reinterpret_cast<const char*>(t.bytes().data()), t.bytes().size());
  if (t.type.dtype == DType::i4 || t.type.dtype == DType::u4) {  // two elements a byte, the first in the low half
    std::string packed((bytes.size() + 1) / 2, '\0');
    for (size_t i = 0; i < bytes.size(); ++i) packed[i / 2] = static_cast<char>(packed[i / 2] | ((bytes[i] & 15) << (i % 2 * 4)));
    bytes = packed;
  }
  proto.set_raw_data(bytes);
  return proto;
}

/// Builds a ModelProto; values are named by strings.
class ModelMaker {
 public:
  explicit ModelMaker(int64_t opset = 13) : opset_(opset) {
    model_.set_ir_version(10);
    for (auto [domain, version] : {std::pair{"", opset}, {"com.microsoft", int64_t{1}}, {"qonnx.custom_op.general", int64_t{1}}}) {
      onnx::OperatorSetIdProto* import = model_.add_opset_import();
      import->set_domain(domain);
      import->set_version(version);
    }
    model_.mutable_graph()->set_name("g");
  }

  std::string input(const std::string& name, DType dtype, const Shape& shape) {
    declare(model_.mutable_graph()->add_input(), name, dtype)->mutable_shape();
    auto* dims = model_.mutable_graph()->mutable_input(model_.graph().input_size() - 1)->mutable_type()->mutable_tensor_type()->mutable_shape();
    for (int64_t dim : shape) dims->add_dim()->set_dim_value(dim);
    return name;
  }
  std::string constant(const Tensor& t) {
    std::string name = fmt::format("c{}", count_++);
    *model_.mutable_graph()->add_initializer() = to_proto(t, name);
    return name;
  }
  std::string number(float v) { return constant(Tensor::floats({}, {v})); }
  template <class T>
  std::string integer(T v) {
    return constant(Tensor::of<T>({}, std::vector<T>{v}));
  }
  /// The first output of a new node.
  std::string node(const std::string& type, const std::vector<std::string>& inputs, const Attrs& attrs = {}, const std::string& domain = "",
                   int outputs = 1) {
    onnx::NodeProto* node = model_.mutable_graph()->add_node();
    node->set_op_type(type);
    node->set_domain(domain);
    node->set_name(fmt::format("{}{}", type, count_));
    for (const std::string& name : inputs) node->add_input(name);
    std::string first = fmt::format("v{}", count_++);
    node->add_output(first);
    for (int i = 1; i < outputs; ++i) node->add_output(fmt::format("{}_{}", first, i));
    for (const auto& [name, value] : attrs.all()) {
      onnx::AttributeProto* attribute = node->add_attribute();
      attribute->set_name(name);
      set_attribute(*attribute, value);
    }
    return first;
  }
  void output(const std::string& name, DType dtype) { declare(model_.mutable_graph()->add_output(), name, dtype); }
  [[nodiscard]] std::string bytes() const { return model_.SerializeAsString(); }
  [[nodiscard]] int64_t opset() const { return opset_; }
  [[nodiscard]] const onnx::ModelProto& model() const { return model_; }

  /// A state to go back to.
  struct Mark {
    int nodes, initializers, inputs;
  };
  [[nodiscard]] Mark mark() const { return {model_.graph().node_size(), model_.graph().initializer_size(), model_.graph().input_size()}; }
  /// Drops what came after `mark`. Names are not used again.
  void roll_back(const Mark& mark) {
    onnx::GraphProto& graph = *model_.mutable_graph();
    while (graph.node_size() > mark.nodes) graph.mutable_node()->RemoveLast();
    while (graph.initializer_size() > mark.initializers) graph.mutable_initializer()->RemoveLast();
    while (graph.input_size() > mark.inputs) graph.mutable_input()->RemoveLast();
  }

 private:
  static onnx::TypeProto_Tensor* declare(onnx::ValueInfoProto* info, const std::string& name, DType dtype) {
    info->set_name(name);
    onnx::TypeProto_Tensor* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx_number(dtype));
    return type;
  }
  static void set_attribute(onnx::AttributeProto& attribute, const Attr& value) {
    if (const int64_t* i = std::get_if<int64_t>(&value)) {
      attribute.set_type(onnx::AttributeProto::INT);
      attribute.set_i(*i);
    } else if (const double* f = std::get_if<double>(&value)) {
      attribute.set_type(onnx::AttributeProto::FLOAT);
      attribute.set_f(static_cast<float>(*f));
    } else if (const std::string* s = std::get_if<std::string>(&value)) {
      attribute.set_type(onnx::AttributeProto::STRING);
      attribute.set_s(*s);
    } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
      attribute.set_type(onnx::AttributeProto::INTS);
      for (int64_t v : *ints) attribute.add_ints(v);
    } else if (const auto* floats = std::get_if<std::vector<double>>(&value)) {
      attribute.set_type(onnx::AttributeProto::FLOATS);
      for (double v : *floats) attribute.add_floats(static_cast<float>(v));
    } else if (const auto* strings = std::get_if<std::vector<std::string>>(&value)) {
      attribute.set_type(onnx::AttributeProto::STRINGS);
      for (const std::string& v : *strings) attribute.add_strings(v);
    } else {
      attribute.set_type(onnx::AttributeProto::TENSOR);
      *attribute.mutable_t() = to_proto(std::get<Tensor>(value), "");
    }
  }

  onnx::ModelProto model_;
  int64_t opset_;
  int count_ = 0;
};

/// Random numbers for models and their inputs.
struct Dice {
  std::mt19937 engine;
  explicit Dice(uint32_t seed) : engine(seed) {}
  int64_t between(int64_t low, int64_t high) { return low + static_cast<int64_t>(engine() % static_cast<uint32_t>(high - low + 1)); }
  bool flip() { return engine() % 2 == 0; }
  float real(float low, float high) { return low + (high - low) * static_cast<float>(engine() % 100001u) * 1e-5f; }

  Tensor floats(const Shape& shape, float low = -1, float high = 1) {
    Tensor t(TensorType{DType::f32, shape, {}});
    for (float& v : t.as<float>()) v = real(low, high);
    return t;
  }
  /// Elements over the whole range of the type, or those of `bits` bits.
  Tensor integers(DType dtype, const Shape& shape, int bits = 16) {
    Tensor t(TensorType{dtype, shape, {}});
    IntegerRange range = kiln::integer_range(dtype);
    int64_t most = int64_t{1} << (bits - (range.low < 0 ? 1 : 0));
    with_storage_type(dtype, [&]<class T>() {
      if constexpr (std::is_integral_v<T>)
        for (T& v : t.as<T>()) v = static_cast<T>(between(std::max<int64_t>(range.low, -most), std::min<int64_t>(range.high, most - 1)));
    });
    return t;
  }
};

inline Tensor zero_point(DType dtype, int64_t value) {
  Tensor t(TensorType{dtype, {}, {}});
  with_storage_type(dtype, [&]<class T>() { t.as<T>()[0] = static_cast<T>(value); });
  return t;
}

}  // namespace kiln::test
