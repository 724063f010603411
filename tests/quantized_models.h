// SPDX-License-Identifier: Apache-2.0
// For tests of quantized models: small ONNX models built node by node, and the check that what the passes make of them computes
// what was imported.
#pragma once

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "compiler/frontend/import.h"
#include "compiler/ir/print.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/ops.h"
#include "compiler/ops/quantization.h"
#include "compiler/reference/onnxruntime.h"
#include "onnx_models.h"
#include "passes/graph_passes.h"
#include "passes/integer_layers.h"

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
  explicit ModelMaker(int64_t opset = 13) {
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
    } else {
      attribute.set_type(onnx::AttributeProto::INTS);
      for (int64_t i : std::get<std::vector<int64_t>>(value)) attribute.add_ints(i);
    }
  }

  onnx::ModelProto model_;
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

/// The most steps of the output's grid between two results: of integers their difference, of floats that in units of the grid, or of
/// 1e-5 of the greatest value where there is no grid.
inline double steps_between(const Tensor& expected, const Tensor& actual, const std::optional<Quant>& quant) {
  REQUIRE(expected.type.dtype == actual.type.dtype);
  REQUIRE(expected.type.shape == actual.type.shape);
  std::vector<double> a = expected.to_doubles(), b = actual.to_doubles();
  double unit = 1, worst = 0;
  if (is_float(expected.type.dtype)) {
    unit = 1e-30;
    for (double v : a) unit = std::max(unit, 1e-5 * std::abs(v));
    if (quant && !quant->per_axis()) unit = static_cast<double>(quant->scale[0]);
  }
  for (size_t i = 0; i < a.size(); ++i) {
    double difference = std::abs(a[i] - b[i]) / unit;
    worst = std::max(worst, std::isnan(difference) ? 1e30 : difference);
  }
  return worst;
}

/// One step between dequantized numbers, which are rounded.
constexpr double kOneStep = 1.001;

/// A model before and after the graph passes.
struct Prepared {
  std::string bytes;
  Graph imported, optimized;
  /// Operators after the passes, sorted, each once.
  [[nodiscard]] std::string operators() const {
    std::vector<std::string> names;
    for (NodeId id : optimized.order()) names.emplace_back(optimized.node(id).op->name);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return fmt::format("{}", fmt::join(names, " "));
  }
  /// Why nodes compute on floats, one reason a line; empty when none does.
  [[nodiscard]] std::string float_reasons() const {
    std::string text;
    for (NodeId id : optimized.order())
      if (std::string reason = float_reason(optimized, id); !reason.empty()) text += fmt::format("{}: {}\n", optimized.node(id).op->name, reason);
    return text;
  }
};

inline Prepared prepare(const std::string& bytes) {
  Imported imported = import_bytes(bytes);
  INFO(imported.text());
  REQUIRE(imported.model);
  Prepared p{bytes, imported.model->graph, imported.model->graph};
  Target target;
  Diagnostics diagnostics;
  PassContext context{target, diagnostics};
  Result<bool> done = run_graph_passes(p.optimized, context, graph_passes(), {});
  INFO((done ? "" : done.diagnostic().message));
  REQUIRE(done.ok());
  return p;
}
inline Prepared prepare(const ModelMaker& maker) { return prepare(maker.bytes()); }

/// Inputs for a graph: integers of the whole range, floats in [-1, 1) times `magnitude`.
inline std::vector<Tensor> random_inputs(const Graph& graph, Dice& dice, float magnitude = 1) {
  std::vector<Tensor> inputs;
  for (ValueId v : graph.inputs) {
    const TensorType& type = graph.type(v);
    inputs.push_back(is_float(type.dtype) ? dice.floats(type.shape, -magnitude, magnitude) : dice.integers(type.dtype, type.shape));
  }
  return inputs;
}

/// The most steps between the outputs of the two graphs on random inputs.
inline double greatest_step(const Prepared& p, uint32_t seed, float magnitude = 1) {
  Dice dice(seed);
  double worst = 0;
  for (int run = 0; run < 2; ++run) {
    std::vector<Tensor> inputs = random_inputs(p.imported, dice, magnitude);
    Result<std::vector<Tensor>> expected = evaluate(p.imported, inputs);
    INFO((expected ? "" : expected.diagnostic().message));
    REQUIRE(expected.ok());
    for (size_t i = 0; i < inputs.size(); ++i) inputs[i].type = p.optimized.type(p.optimized.inputs[i]);
    Result<std::vector<Tensor>> actual = evaluate(p.optimized, inputs);
    INFO((actual ? "" : actual.diagnostic().message));
    REQUIRE(actual.ok());
    for (size_t i = 0; i < expected->size(); ++i)
      worst = std::max(worst, steps_between((*expected)[i], (*actual)[i], p.imported.type(p.imported.outputs()[i]).quant));
  }
  return worst;
}

/// The most steps between ONNX Runtime, which computes each node literally, and the optimized graph; nothing without ONNX Runtime,
/// or where it has no kernel for an operator.
inline std::optional<double> greatest_step_from_ort(const Prepared& p, uint32_t seed, float magnitude = 1) {
  static Result<OnnxRuntime> ort = OnnxRuntime::load();
  if (!ort) return std::nullopt;
  Result<OrtSession> session = ort->open(p.bytes, OrtOptimization::none);
  if (!session && session.diagnostic().message.find("Could not find an implementation") != std::string::npos) return std::nullopt;
  INFO((session ? "" : session.diagnostic().message));
  REQUIRE(session.ok());
  Dice dice(seed);
  std::vector<Tensor> inputs = random_inputs(p.imported, dice, magnitude);
  Result<std::vector<Tensor>> expected = session->run(inputs);
  INFO((expected ? "" : expected.diagnostic().message));
  REQUIRE(expected.ok());
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i].type = p.optimized.type(p.optimized.inputs[i]);
  Result<std::vector<Tensor>> actual = evaluate(p.optimized, inputs);
  REQUIRE(actual.ok());
  double worst = 0;
  for (size_t i = 0; i < expected->size(); ++i)
    worst = std::max(worst, steps_between((*expected)[i], (*actual)[i], p.imported.type(p.imported.outputs()[i]).quant));
  return worst;
}

/// The messages of the import of a model that must be refused.
inline std::string refusal_of(const std::function<void(ModelMaker&)>& build) {
  ModelMaker m;
  build(m);
  Imported imported = import_bytes(m.bytes());
  REQUIRE_FALSE(imported.model);
  return imported.text();
}

}  // namespace kiln::test
