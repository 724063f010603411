// SPDX-License-Identifier: Apache-2.0
#include "compiler/program/lowering.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <string_view>

namespace kiln {

std::string c_identifier(std::string_view text) {
  static constexpr std::array kReserved = {
      "alignas",  "alignof",  "and",      "asm",      "auto",     "bool",      "break",    "case",     "catch",    "char",
      "class",    "const",    "continue", "default",  "delete",   "do",        "double",   "else",     "enum",     "explicit",
      "export",   "extern",   "false",    "float",    "for",      "friend",    "goto",     "if",       "inline",   "int",
      "long",     "mutable",  "namespace", "new",     "not",      "operator",  "or",       "private",  "protected", "public",
      "register", "return",   "short",    "signed",   "sizeof",   "static",    "struct",   "switch",   "template", "this",
      "throw",    "true",     "try",      "typedef",  "typename", "union",     "unsigned", "using",    "virtual",  "void",
      "volatile", "while",    "xor",      "nn",       "memory",   "arena",     "constexpr", "restrict", "main",
      // Macros of <stddef.h> and of compilers.
      "NULL",     "offsetof", "linux",    "unix",     "i386",     "arm"};
  // <stdint.h> defines INT8_MAX, UINT32_C and many more.
  constexpr std::string_view kIntegerMacros[] = {"INT", "UINT", "SIZE_", "PTRDIFF_", "WCHAR_", "WINT_", "SIG_ATOMIC_"};
  std::string out;
  for (char c : text) {
    bool keep = std::isalnum(static_cast<unsigned char>(c)) && static_cast<unsigned char>(c) < 128;
    // Runs of underscores collapse: "__" is reserved in C++.
    if (keep) out += c;
    else if (!out.empty() && out.back() != '_') out += '_';
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  if (out.empty()) out = "t";
  if (std::isdigit(static_cast<unsigned char>(out[0]))) out.insert(out.begin(), 't');
  bool is_macro = std::any_of(std::begin(kIntegerMacros), std::end(kIntegerMacros), [&](std::string_view m) { return out.starts_with(m); });
  if (is_macro || std::find(kReserved.begin(), kReserved.end(), out) != kReserved.end()) out += '_';
  return out;
}

namespace {

/// Exporters name the tensors around conversions after those they convert: "conv1_w_DequantizeLinear_Output". Readers of a bundle
/// look for "conv1_w".
std::string_view without_conversion(std::string_view name) {
  constexpr std::string_view kSuffixes[] = {"_QuantizeLinear_Output", "_DequantizeLinear_Output", "_quantized", "_dequantized", "_stored"};
  std::string_view stem = name;
  size_t digits = name.find_last_not_of("0123456789");
  if (digits != std::string_view::npos && digits + 1 < name.size() && name[digits] == '_') stem = name.substr(0, digits);  // made unique
  for (std::string_view suffix : kSuffixes)
    if (stem.size() > suffix.size() && stem.ends_with(suffix)) return stem.substr(0, stem.size() - suffix.size());
  return name;
}

}  // namespace

TensorId Lowering::tensor(ValueId id) {
  if (of_value_.size() < graph_.value_count()) of_value_.resize(graph_.value_count(), -1);
  int64_t& slot = of_value_[index(id)];
  if (slot < 0) {
    const Value& v = graph_.value(id);
    ProgramTensor t;
    t.name = c_identifier(without_conversion(v.onnx ? v.onnx->name : v.name));
    t.type = v.type;
    t.constant = v.constant;
    t.onnx = v.onnx;
    slot = index(program_.add_tensor(std::move(t)));
    is_input_.resize(program_.tensor_count());
    is_input_.back() = graph_.is_input(id);
  }
  return TensorId{static_cast<uint32_t>(slot)};
}

TensorId Lowering::temporary(TensorType type, const std::string& name) {
  ProgramTensor t;
  t.name = c_identifier(without_conversion(name));
  t.type = std::move(type);
  return program_.add_tensor(std::move(t));
}

TensorId Lowering::constant(Tensor tensor, const std::string& name) {
  ProgramTensor t;
  t.name = c_identifier(without_conversion(name));
  t.type = tensor.type;
  t.constant = std::move(tensor);
  return program_.add_tensor(std::move(t));
}

void Lowering::view(ValueId value, TensorId of, int64_t offset_bytes) {
  program_.set_view(tensor(value), of, offset_bytes);
}

void Lowering::call(const Node& node, KernelCall call, std::string label) {
  Step step;
  if (label.empty()) {
    label = std::string(node.op->name);
    for (const std::string& functor : call.functors)
      if (functor != "none" && functor != node.op->functor && functor != node.op->name) label += "+" + functor;
  }
  step.label = std::move(label);
  step.origin = node.origin;
  if (!node.inputs.empty() && node.inputs[0] != kNoValue) step.input_shape = graph_.type(node.inputs[0]).shape;
  step.output_shape = graph_.type(node.outputs[0]).shape;
  if (node.op->macs) step.macs = node.op->macs(graph_.args(graph_.value(node.outputs[0]).producer));
  step.call = std::move(call);
  program_.steps.push_back(std::move(step));
}

}  // namespace kiln
