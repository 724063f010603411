// SPDX-License-Identifier: Apache-2.0
// Opset 7 to 12 -> 13, for the operators that changed in between (ONNX, docs/Changelog.md).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compiler/quantize/prepare.h"
#include "compiler/quantize/wiring.h"

namespace kiln {
namespace {

class Raiser {
 public:
  Raiser(OnnxGraph& graph, const TensorTypes& types) : graph_(graph), types_(types), from_(graph.opsets.at("")) {}

  Status run() {
    for (OnnxGraphNode& node : graph_.nodes) {
      if (!node.domain.empty()) continue;
      if (Status s = raise(node); !s) return std::move(s).diagnostic().at_node(fmt::format("'{}' ({})", node.name, node.type));
    }
    graph_.opsets[""] = kQuantizedOpset;
    return Done{};
  }

 private:
  Status raise(OnnxGraphNode& node) {
    if (node.is("Upsample") || (node.is("Resize") && from_ < 11)) return raise_resize(node);
    if (node.is("BatchNormalization") && from_ < 9) return raise_batch_norm(node);
    if (node.is("Softmax") || node.is("LogSoftmax")) return raise_softmax(node);
    if (node.is("Clip") && from_ < 11) return raise_clip(node);
    if (node.is("Pad") && from_ < 11) return raise_pad(node);
    if (node.is("Slice") && from_ < 10) return raise_slice(node);
    if (node.is("Dropout") && from_ < 12) node.attrs.erase("ratio");
    if (node.is("TopK") && from_ < 10) return refuse(node);
    if ((node.is("Squeeze") || node.is("Unsqueeze") || node.is("ReduceSum"))) return move_ints(node, "axes");
    if (node.is("Split")) return move_ints(node, "split");
    return check_known(node);
  }

  [[nodiscard]] Status refuse(const OnnxGraphNode& node) const {
    return error(DiagId::unsupported_node,
                 fmt::format("quantized models need opset {}, the model has opset {}, and this {} has no equal there.", kQuantizedOpset,
                             from_, node.type),
                 fmt::format("export the model again with opset {} or newer.", kQuantizedOpset));
  }

  /// "spatial" = 0, one statistic per element, is gone since 9.
  Status raise_batch_norm(OnnxGraphNode& node) {
    if (node.attrs.i("spatial", 1) != 1) return refuse(node);
    node.attrs.erase("spatial");
    return Done{};
  }

  /// Before 11 a place in the output came from place / scale in the input, rounded down where the mode is nearest.
  Status raise_resize(OnnxGraphNode& node) {
    std::string scales = input_of(node, 1);
    if (node.attrs.has("scales")) {
      std::vector<double> values = node.attrs.get<std::vector<double>>("scales", {});
      scales =
          constant(node, "scales", Tensor::floats({static_cast<int64_t>(values.size())}, std::vector<float>(values.begin(), values.end())));
      node.attrs.erase("scales");
    }
    node.type = "Resize";
    node.inputs = {node.inputs[0], "", scales};
    node.attrs.set("coordinate_transformation_mode", std::string("asymmetric"));
    node.attrs.set("nearest_mode", std::string("floor"));
    return Done{};
  }

  /// Before 13 all dimensions from `axis` (1 if not given) on were one; that is the same where `axis` is the last.
  Status raise_softmax(OnnxGraphNode& node) {
    auto type = types_.find(node.inputs[0]);
    int64_t axis = node.attrs.i("axis", 1);
    if (type == types_.end()) return refuse(node);
    const Shape& shape = type->second.shape;
    int64_t rank = type->second.rank();
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank || product(shape, static_cast<size_t>(axis) + 1, shape.size()) != 1) return refuse(node);
    node.attrs.set("axis", axis);
    return Done{};
  }

  Status raise_clip(OnnxGraphNode& node) {
    node.inputs.resize(1);
    for (const char* bound : {"min", "max"}) {
      node.inputs.push_back(node.attrs.has(bound) ? constant(node, bound, Tensor::floats({}, {static_cast<float>(node.attrs.f(bound))}))
                                                  : "");
      node.attrs.erase(bound);
    }
    while (node.inputs.back().empty()) node.inputs.pop_back();
    return Done{};
  }

  Status raise_pad(OnnxGraphNode& node) {
    auto value = static_cast<float>(node.attrs.f("value", 0));
    std::vector<int64_t> pads = node.attrs.ints("pads");
    node.inputs = {node.inputs[0], constant(node, "pads", Tensor::int64s(pads)), constant(node, "value", Tensor::floats({}, {value}))};
    node.attrs.erase("pads");
    node.attrs.erase("value");
    return Done{};
  }

  Status raise_slice(OnnxGraphNode& node) {
    node.inputs.resize(1);
    for (const char* name : {"starts", "ends", "axes"}) {
      if (node.attrs.has(name)) node.inputs.push_back(constant(node, name, Tensor::int64s(node.attrs.ints(name))));
      node.attrs.erase(name);
    }
    return Done{};
  }

  /// A list that was an attribute and is the second input.
  Status move_ints(OnnxGraphNode& node, const char* name) {
    if (!node.attrs.has(name)) return Done{};
    node.inputs.resize(1);
    node.inputs.push_back(constant(node, name, Tensor::int64s(node.attrs.ints(name))));
    node.attrs.erase(name);
    return Done{};
  }

  /// Operators that mean the same in 7 (or their first opset) and 13, apart from types and attributes with the old default.
  [[nodiscard]] Status check_known(const OnnxGraphNode& node) const {
    constexpr std::array kSame = {"Abs",
                                  "Acos",
                                  "Add",
                                  "And",
                                  "ArgMax",
                                  "ArgMin",
                                  "Asin",
                                  "Atan",
                                  "AveragePool",
                                  "BatchNormalization",
                                  "Cast",
                                  "Ceil",
                                  "Concat",
                                  "ConstantOfShape",
                                  "Conv",
                                  "ConvTranspose",
                                  "Cos",
                                  "DepthToSpace",
                                  "Div",
                                  "Dropout",
                                  "Elu",
                                  "Equal",
                                  "Erf",
                                  "Exp",
                                  "Expand",
                                  "Flatten",
                                  "Floor",
                                  "GRU",
                                  "Gather",
                                  "GatherElements",
                                  "GatherND",
                                  "Gemm",
                                  "GlobalAveragePool",
                                  "GlobalMaxPool",
                                  "Greater",
                                  "HardSigmoid",
                                  "Identity",
                                  "If",
                                  "InstanceNormalization",
                                  "LSTM",
                                  "LeakyRelu",
                                  "Less",
                                  "Log",
                                  "MatMul",
                                  "Max",
                                  "MaxPool",
                                  "Mean",
                                  "Min",
                                  "Mod",
                                  "Mul",
                                  "Neg",
                                  "Not",
                                  "Or",
                                  "PRelu",
                                  "Pad",
                                  "Pow",
                                  "RNN",
                                  "Range",
                                  "Reciprocal",
                                  "ReduceL1",
                                  "ReduceL2",
                                  "ReduceLogSum",
                                  "ReduceLogSumExp",
                                  "ReduceMax",
                                  "ReduceMean",
                                  "ReduceMin",
                                  "ReduceProd",
                                  "ReduceSumSquare",
                                  "Relu",
                                  "Reshape",
                                  "Resize",
                                  "Round",
                                  "ScatterElements",
                                  "ScatterND",
                                  "Selu",
                                  "Shape",
                                  "Sigmoid",
                                  "Sign",
                                  "Sin",
                                  "Size",
                                  "Slice",
                                  "Softplus",
                                  "Softsign",
                                  "SpaceToDepth",
                                  "Sqrt",
                                  "Sub",
                                  "Sum",
                                  "Tan",
                                  "Tanh",
                                  "ThresholdedRelu",
                                  "Tile",
                                  "TopK",
                                  "Transpose",
                                  "Where",
                                  "Clip"};
    bool known = std::any_of(kSame.begin(), kSame.end(), [&](const char* type) { return node.is(type); });
    return known ? Status(Done{}) : refuse(node);
  }

  std::string constant(const OnnxGraphNode& node, const std::string& what, Tensor tensor) {
    std::string name = graph_.unique_name(node.name + "_" + what);
    graph_.initializers.insert_or_assign(name, std::move(tensor));
    return name;
  }

  OnnxGraph& graph_;
  const TensorTypes& types_;
  int64_t from_;
};

}  // namespace

Status raise_opset(OnnxGraph& graph, const TensorTypes& types) {
  auto opset = graph.opsets.find("");
  if (opset == graph.opsets.end()) graph.opsets[""] = kQuantizedOpset;
  if (graph.opsets.at("") >= kQuantizedOpset) return Done{};
  return Raiser(graph, types).run();
}

}  // namespace kiln
