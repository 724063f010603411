// SPDX-License-Identifier: Apache-2.0
#include "operators.h"

#include <map>
#include <set>

#include "compiler/ops/ops.h"
#include "operator_entries.h"

namespace kiln::test {
namespace {

constexpr OperatorException kExceptions[] = {
    {"Constant", "has no operands: every constant of a sketch is one, and the importer folds it alike"},
    {"Upsample", "ended with opset 9, sketches begin with 13; tests/unit/resize_test.cpp covers it"},
    {"Scatter", "ended with opset 10, sketches begin with 13; it is ScatterElements under its old name"},
    {"TensorScatter", "begins with opset 24, of which ONNX Runtime 1.30 lacks kernels"},
    {"CumProd", "begins with opset 26, which ONNX Runtime 1.30 does not read"},
    {"BitCast", "begins with opset 26, which ONNX Runtime 1.30 does not read"},
    {"AffineGrid", "no entry yet; tests/unit and the official cases cover it"},
    {"CenterCropPad", "no entry yet; tests/unit and the official cases cover it"},
    {"Col2Im", "no entry yet; tests/unit and the official cases cover it"},
    {"DeformConv", "no entry yet; tests/unit and the official cases cover it"},
    {"Det", "no entry yet; tests/unit and the official cases cover it"},
    {"MaxUnpool", "no entry yet; tests/unit and the official cases cover it"},
    {"RoiAlign", "no entry yet; tests/unit and the official cases cover it"},
    {"com.microsoft::SkipSimplifiedLayerNormalization", "no entry yet; tests/unit covers it"},
    {"TfIdfVectorizer", "its n-grams are attributes of several lists that have to fit; the official cases cover it"},
    {"If", "holds graphs, a sketch has none; tests/unit/frontend_loops_test.cpp and the official cases cover it"},
    {"Loop", "holds graphs, a sketch has none; tests/unit/frontend_loops_test.cpp and the official cases cover it"},
    {"Scan", "holds graphs, a sketch has none; tests/unit/frontend_loops_test.cpp and the official cases cover it"},
    {"SequenceMap", "holds graphs, a sketch has none; tests/unit/frontend_loops_test.cpp and the official cases cover it"},
    {"SequenceConstruct", "makes a sequence, a sketch holds tensors; the official cases cover it"},
    {"SequenceEmpty", "makes a sequence, a sketch holds tensors; the official cases cover it"},
    {"SequenceInsert", "makes a sequence, a sketch holds tensors; the official cases cover it"},
    {"SequenceErase", "makes a sequence, a sketch holds tensors; the official cases cover it"},
    {"SequenceAt", "takes a sequence, a sketch holds tensors; the official cases cover it"},
    {"SequenceLength", "takes a sequence, a sketch holds tensors; the official cases cover it"},
    {"SplitToSequence", "makes a sequence, a sketch holds tensors; the official cases cover it"},
    {"ConcatFromSequence", "takes a sequence, a sketch holds tensors; the official cases cover it"},
    {"Optional", "makes an optional, a sketch holds tensors; the official cases cover it"},
    {"OptionalHasElement", "takes an optional, a sketch holds tensors; the official cases cover it"},
    {"OptionalGetElement", "takes an optional, a sketch holds tensors; the official cases cover it"},
    {"QLinearConv", "made by the generator of quantized models"},
    {"QLinearMatMul", "made by the generator of quantized models"},
    {"com.microsoft::QLinearConv", "the operator of ai.onnx under another name; ONNX Runtime's kernel for it wants channels last"},
    {"com.microsoft::QGemm", "made by the generator of quantized models"},
    {"com.microsoft::QLinearAdd", "made by the generator of quantized models"},
    {"com.microsoft::QLinearMul", "made by the generator of quantized models"},
    {"com.microsoft::QLinearConcat", "made by the generator of quantized models"},
    {"com.microsoft::QLinearSigmoid", "made by the generator of quantized models"},
    {"com.microsoft::QLinearLeakyRelu", "made by the generator of quantized models"},
    {"com.microsoft::QLinearAveragePool", "made by the generator of quantized models"},
    {"com.microsoft::QLinearGlobalAveragePool", "made by the generator of quantized models"},
    {"com.microsoft::QLinearSoftmax", "its result on a grid of 1/256 steps at ties; tests/onnx/qlinear_test.cpp covers it"},
    {"com.microsoft::QLinearWhere", "covered by tests/onnx/qlinear_test.cpp"},
    {"com.microsoft::QLinearReduceMean", "ONNX Runtime has no kernel for it"},
    {"com.microsoft::QuantizeLinear", "the operator of ai.onnx under another name"},
    {"com.microsoft::DequantizeLinear", "the operator of ai.onnx under another name"},
    {"qonnx.custom_op.general::Quant", "ONNX Runtime does not know the domain"},
    {"qonnx.custom_op.general::IntQuant", "ONNX Runtime does not know the domain"},
    {"qonnx.custom_op.general::BipolarQuant", "ONNX Runtime does not know the domain"},
    {"qonnx.custom_op.general::Trunc", "ONNX Runtime does not know the domain"},
};

std::string full_name(const OnnxOp& op) {
  return op.domain.empty() ? std::string(op.type) : fmt::format("{}::{}", op.domain, op.type);
}

/// By the traits: functions of one operand and of two.
std::function<void(Sketch&)> generic_maker(const OpDef& op) {
  const std::string type(op.onnx.type), domain(op.onnx.domain);
  if (op.is(kUnary))
    return [=](Sketch& s) { s.add(type, {s.within(s.any(DType::f32), -1, 1)}, {}, domain); };
  if (op.is(kElementwise) && op.onnx.min_inputs == 2)
    return [=](Sketch& s) {
      std::string a = s.any(s.chance(0.85) ? DType::f32 : DType::i32);
      s.add(type, {a, s.partner(a)}, {}, domain);
    };
  return nullptr;
}

struct Makers {
  std::vector<OperatorMaker> makers;
  std::vector<std::string> problems;
};

Makers collect() {
  Makers out;
  std::map<std::string, std::function<void(Sketch&)>> entries;
  for (OperatorMaker& entry : operator_entries()) entries.emplace(entry.name, std::move(entry.make));
  std::set<std::string> known;
  for (const OpDef* op : op_table().all()) {
    if (op->onnx.type.empty()) continue;
    std::string name = full_name(op->onnx);
    if (!known.insert(name).second) continue;
    if (std::any_of(std::begin(kExceptions), std::end(kExceptions), [&](const OperatorException& e) { return e.name == name; })) continue;
    auto entry = entries.find(name);
    std::function<void(Sketch&)> make = entry != entries.end() ? entry->second : generic_maker(*op);
    if (make) out.makers.push_back({name, std::move(make)});
    else out.problems.push_back(fmt::format("{}: no entry, and its traits do not say how nodes are made", name));
  }
  for (const auto& [name, make] : entries)
    if (!known.count(name)) out.problems.push_back(fmt::format("{}: an entry, but no operator", name));
  for (const OperatorException& e : kExceptions)
    if (!known.count(std::string(e.name))) out.problems.push_back(fmt::format("{}: an exception, but no operator", e.name));
  return out;
}

const Makers& makers() {
  static const Makers all = collect();
  return all;
}

}  // namespace

const std::vector<OperatorMaker>& operator_makers() { return makers().makers; }
std::vector<std::string> operators_without_maker() { return makers().problems; }
const std::vector<OperatorException>& operator_exceptions() {
  static const std::vector<OperatorException> all(std::begin(kExceptions), std::end(kExceptions));
  return all;
}

}  // namespace kiln::test
