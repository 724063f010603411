// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/print.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

namespace kiln {
namespace {

constexpr int64_t kElideAbove = 8;
constexpr int64_t kSplatAbove = 4;

bool is_bare_name(std::string_view name) {
  auto bare = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '/' || c == '-'; };
  return !name.empty() && std::all_of(name.begin(), name.end(), bare) && name.find("//") == std::string_view::npos;
}

std::string print_name(char sigil, std::string_view name) {
  return sigil + (is_bare_name(name) ? std::string(name) : print_string(name));
}

/// With a '.' or an exponent, so that it does not read as an integer.
std::string print_real(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

template <class T, class F>
std::string print_list(const std::vector<T>& list, std::string_view kind, F&& print) {
  if (list.empty()) return fmt::format("{} []", kind);
  std::string text = "[";
  for (const T& item : list) text += (text.size() > 1 ? ", " : "") + print(item);
  return text + "]";
}

template <class T>
std::string print_element(DType dtype, T element) {
  if (dtype == DType::f16) return fmt::format("{}", f16_to_float(static_cast<uint16_t>(element)));
  if (dtype == DType::bf16) return fmt::format("{}", bf16_to_float(static_cast<uint16_t>(element)));
  if constexpr (sizeof(T) == 1) return fmt::format("{}", static_cast<int>(element));
  else return fmt::format("{}", element);
}

/// A NaN in decimal would lose its payload.
bool has_nan(const Tensor& tensor) {
  if (!is_float(tensor.type.dtype)) return false;
  std::vector<double> values = tensor.to_doubles();
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
}

bool all_elements_equal(const Tensor& tensor) {
  std::span<const std::byte> bytes = tensor.bytes();
  auto size = static_cast<size_t>(element_bytes(tensor.type.dtype));
  return std::equal(bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end(), bytes.begin());
}

std::string print_hex(std::span<const std::byte> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "hex \"";
  for (std::byte b : bytes) {
    text += kDigits[std::to_integer<unsigned>(b) >> 4];
    text += kDigits[std::to_integer<unsigned>(b) & 15];
  }
  return text + '"';
}

std::string print_elements(const Tensor& tensor, const PrintOptions& options) {
  int64_t count = tensor.type.elements();
  DType dtype = tensor.type.dtype;
  if (has_nan(tensor)) return print_hex(tensor.bytes());
  return with_storage_type(dtype, [&]<class T>() -> std::string {
    std::span<const T> elements = tensor.as<T>();
    if (count > kSplatAbove && all_elements_equal(tensor)) return "splat " + print_element(dtype, elements[0]);
    if (options.elide_constants && count > kElideAbove) return fmt::format("<{} elements>", count);
    if (count > options.max_list_elements) return print_hex(tensor.bytes());
    if (tensor.type.shape.empty()) return print_element(dtype, elements[0]);
    std::string text = "[";
    for (T element : elements) text += (text.size() > 1 ? ", " : "") + print_element(dtype, element);
    return text + "]";
  });
}

std::string print_onnx(const Value& value, const PrintOptions& options) {
  if (!options.onnx_tensors || !value.onnx) return {};
  std::string perm = value.onnx->perm.empty() ? "" : fmt::format(", perm=[{}]", fmt::join(value.onnx->perm, ","));
  return fmt::format(" onnx({}, {}{})", print_string(value.onnx->name), to_string(std::span<const int64_t>(value.onnx->shape)), perm);
}

std::string print_definition(const Value& value, const PrintOptions& options) {
  return fmt::format("{}: {}{}", print_name('%', value.name), print_type(value.type), print_onnx(value, options));
}

std::string print_node(const Graph& graph, const Node& node, const PrintOptions& options) {
  std::string text = "  ";
  for (ValueId v : node.outputs) text += (v == node.outputs[0] ? "" : ", ") + print_definition(graph.value(v), options);
  text += fmt::format("{}{}(", node.outputs.empty() ? "" : " = ", node.op->name);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i > 0) text += ", ";
    text += node.inputs[i] == kNoValue ? "_" : print_name('%', graph.value(node.inputs[i]).name);
  }
  text += ")";
  if (!node.attrs.all().empty()) {
    std::string list;
    for (const auto& [name, attr] : node.attrs.all()) list += fmt::format("{}{}={}", list.empty() ? "" : ", ", name, print_attr(attr, options));
    text += " {" + list + "}";
  }
  bool plain = node.origin.size() == 1 && !node.outputs.empty() && node.origin[0] == graph.value(node.outputs[0]).name;
  if (!plain) {
    std::string list;
    for (const std::string& name : node.origin) list += (list.empty() ? "  // " : ", ") + print_string(name);
    text += list;
  }
  return text + "\n";
}

}  // namespace

std::string print_string(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\', quoted += c;
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) quoted += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    else quoted += c;
  }
  return quoted + '"';
}

std::string print_type(const TensorType& type) {
  std::string text = to_string(type);
  if (!type.quant) return text;
  const Quant& q = *type.quant;
  std::string grid = q.dtype == type.dtype ? "" : fmt::format(", grid={}", dtype_name(q.dtype));
  if (q.scale.size() == 1 && q.zero_point.size() == 1 && q.axis == 0)
    return text + fmt::format(" quant(scale={}, zero={}{})", q.scale[0], q.zero_point[0], grid);
  return text + fmt::format(" quant(scale=[{}], zero=[{}], axis={}{})", fmt::join(q.scale, ", "), fmt::join(q.zero_point, ", "), q.axis, grid);
}

std::string print_attr(const Attr& attr, const PrintOptions& options) {
  struct Printer {
    const PrintOptions& options;
    std::string operator()(int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return print_real(value); }
    std::string operator()(const std::string& value) const { return print_string(value); }
    std::string operator()(const std::vector<int64_t>& list) const { return print_list(list, "ints", [](int64_t v) { return fmt::format("{}", v); }); }
    std::string operator()(const std::vector<double>& list) const { return print_list(list, "reals", print_real); }
    std::string operator()(const std::vector<std::string>& list) const {
      return print_list(list, "strings", [](const std::string& s) { return print_string(s); });
    }
    std::string operator()(const Tensor& tensor) const { return fmt::format("tensor {} {}", print_type(tensor.type), print_elements(tensor, options)); }
  };
  return std::visit(Printer{options}, attr);
}

std::string print_graph(const Graph& graph, const PrintOptions& options) {
  std::string inputs, outputs, body;
  for (ValueId v : graph.inputs) inputs += (inputs.empty() ? "" : ", ") + print_definition(graph.value(v), options);
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const std::string& value = graph.value(graph.outputs()[i]).name;
    outputs += (i > 0 ? ", " : "") + print_name('%', value);
    if (graph.output_name(i) != value) outputs += " as " + print_string(graph.output_name(i));
  }
  std::set<ValueId> printed;
  auto print_constant = [&](ValueId v) {
    if (!graph.constant(v) || !printed.insert(v).second) return;
    body += fmt::format("  const {} = {}\n", print_definition(graph.value(v), options), print_elements(*graph.constant(v), options));
  };
  for (NodeId id : graph.order()) {
    for (ValueId v : graph.node(id).inputs) print_constant(v);
    body += print_node(graph, graph.node(id), options);
  }
  for (ValueId v : graph.outputs()) print_constant(v);
  return fmt::format("graph {} ({}) -> ({}) {{\n{}}}\n", print_name('@', graph.name), inputs, outputs, body);
}

}  // namespace kiln
