// SPDX-License-Identifier: Apache-2.0
// <name>.cpp: one function per layer, each a single kernel call with its descriptor above it, and <name>_run that calls them in
// order.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/emit/bundle_writer.h"
#include "compiler/emit/kernel_copies.h"

namespace kiln {
namespace {

std::string layer_name(const Program& program, size_t i) {
  std::string label;
  for (char ch : program.steps[i].label) label += std::isalnum(static_cast<unsigned char>(ch)) ? ch : '_';
  return fmt::format("layer{}_{}", i + 1, label);
}

/// The pointer to a tensor as the kernel takes it.
std::string operand(const BundleContext& c, TensorId id, bool is_output) {
  const ProgramTensor& t = c.program.tensor(id);
  ProgramTensor::View at = c.program.root(id);
  std::string_view type = dtype_c_name(t.type.dtype);
  if (c.program.tensor(at.base).constant) {
    const std::string& name = c.program.tensor(c.constants[c.constant_of[index(at.base)]]).name;
    if (at.offset_bytes == 0) return fmt::format("weights::{}", name);
    return fmt::format("weights::{} + {}", name, at.offset_bytes / element_bytes(t.type.dtype));
  }
  return fmt::format("at<{}{}>(arena, memory::{})", is_output ? "" : "const ", type, t.name);
}

/// What stands for weights in 16 bits: the struct of nn/narrow.h.
std::string_view narrow_type(DType dtype) { return dtype == DType::bf16 ? "nn::Bf16" : "nn::F16"; }

std::string input_type(const KernelCall& call, size_t i, DType dtype) {
  if (call.takes_narrow(i, dtype)) return std::string(narrow_type(dtype));
  return fmt::format("const {}*", dtype_c_name(dtype));
}

std::string input(const BundleContext& c, const KernelCall& call, size_t i) {
  const DType dtype = c.program.tensor(call.inputs[i]).type.dtype;
  std::string pointer = operand(c, call.inputs[i], false);
  return call.takes_narrow(i, dtype) ? fmt::format("{}{{{}}}", narrow_type(dtype), pointer) : pointer;
}

/// Calls with one argument a line where they are long.
void write_call(CodeWriter& out, const std::string& function, const std::vector<std::string>& arguments) {
  std::string head = function + "(";
  std::string one_line = head + fmt::format("{}", fmt::join(arguments, ", ")) + ");";
  if (one_line.size() <= 116) {
    out.line(one_line);
    return;
  }
  out.line(head + arguments[0] + ",");
  for (size_t k = 1; k < arguments.size(); ++k) out.linef("    {}{}", arguments[k], k + 1 < arguments.size() ? "," : ");");
}

std::string kernel_function(const KernelCall& call) {
  std::vector<std::string> functors;
  for (const std::string& f : call.functors) functors.push_back("nn::fn::" + f);
  std::string function(call.row->function);
  return functors.empty() ? function : function + fmt::format("<{}>", fmt::join(functors, ", "));
}

std::string shared_name(const Program& program, const KernelCopy& copy) {
  return "shared_" + layer_name(program, copy.steps.front());
}

/// The function that the layers of a shared copy call.
void write_shared_kernel(CodeWriter& out, const BundleContext& c, const KernelCopy& copy) {
  const Program& p = c.program;
  const KernelCall& call = p.steps[copy.steps.front()].call;
  const size_t own = copy.variables.front().empty() ? 0 : 1;
  std::vector<std::string> parameters, arguments{own ? "d" : fmt::format("Layer{}{{}}", copy.steps.front() + 1)};
  if (own) parameters.push_back(fmt::format("const Layer{}& d", copy.steps.front() + 1));
  auto add = [&](const std::string& type, const std::string& name) {
    parameters.push_back(type + " " + name);
    arguments.push_back(name);
  };
  for (size_t i = 0; i < call.inputs.size(); ++i)
    add(input_type(call, i, p.tensor(call.inputs[i]).type.dtype), fmt::format("x{}", i));
  for (size_t i = 0; i < call.outputs.size(); ++i)
    add(fmt::format("{}*", dtype_c_name(p.tensor(call.outputs[i]).type.dtype)), fmt::format("y{}", i));
  if (call.scratch) add("uint8_t*", "scratch");
  std::vector<size_t> numbers;
  for (size_t step : copy.steps) numbers.push_back(step + 1);
  out.linef("// The code of layers {}.", fmt::join(numbers, ", "));
  write_descriptor(out, copy);
  out.linef("KILN_LAYER void {}({}) {{", shared_name(p, copy), fmt::join(parameters, ", "));
  out.indent();
  write_call(out, kernel_function(call), arguments);
  out.outdent();
  out.line("}");
  out.line();
}

/// Layer `layer` of a copy.
void write_layer(CodeWriter& out, const BundleContext& c, const KernelCopy& copy, size_t layer) {
  const size_t i = copy.steps[layer];
  const Step& step = c.program.steps[i];
  const KernelCall& call = step.call;
  if (layer == 0 && copy.is_shared()) write_shared_kernel(out, c, copy);
  std::string origins;
  for (const std::string& o : step.origin) origins += (origins.empty() ? "" : ", ") + comment_quoted(o);
  std::string macs = step.macs ? fmt::format("  {} MACs", with_commas(step.macs)) : "";
  out.linef("// {}/{} {}  onnx: {}  {} -> {}{}", i + 1, c.program.steps.size(), step.label, origins,
            to_string(std::span<const int64_t>(step.input_shape)), to_string(std::span<const int64_t>(step.output_shape)), macs);
  if (!copy.is_shared()) write_descriptor(out, copy);
  std::vector<std::string> arguments;
  if (!copy.is_shared()) arguments.push_back(fmt::format("Layer{}{{}}", i + 1));
  else if (!copy.variables[layer].empty()) arguments.emplace_back("d");
  for (size_t k = 0; k < call.inputs.size(); ++k) arguments.push_back(input(c, call, k));
  for (TensorId id : call.outputs) arguments.push_back(operand(c, id, true));
  if (call.scratch) arguments.push_back(operand(c, *call.scratch, true));
  const ProgramTensor& result = c.program.tensor(call.outputs.front());
  out.linef("KILN_LAYER void {}(void* arena) {{", layer_name(c.program, i));
  out.indent();
  if (!copy.variables[layer].empty()) out.linef("static constexpr Layer{} d = {};", copy.steps.front() + 1, variables_literal(copy, layer));
  write_call(out, copy.is_shared() ? shared_name(c.program, copy) : kernel_function(call), arguments);
  out.linef("KILN_STEP({}, arena, memory::{}, {});", i, result.name, result.type.bytes());
  out.outdent();
  out.line("}");
  out.line();
}

void write_accessors(CodeWriter& out, const BundleContext& c) {
  for (const IoTensor& io : c.program.inputs) {
    const ProgramTensor& t = c.program.tensor(io.tensor);
    out.linef("{0}* {1}_input_{2}(void* arena) {{ return {1}::at<{0}>(arena, {1}::memory::{3}); }}", dtype_c_name(t.type.dtype), c.name, io.c_name, t.name);
  }
  for (const IoTensor& io : c.program.outputs) {
    const ProgramTensor& t = c.program.tensor(io.tensor);
    out.linef("const {0}* {1}_output_{2}(const void* arena) {{ return {1}::at<{0}>(arena, {1}::memory::{3}); }}", dtype_c_name(t.type.dtype), c.name, io.c_name, t.name);
  }
}

void write_reset(CodeWriter& out, const BundleContext& c) {
  if (c.program.states.empty()) return;
  out.linef("void {}_reset(void* arena) {{", c.name);
  out.indent();
  for (const StateTensor& state : c.program.states) {
    const ProgramTensor& t = c.program.tensor(state.tensor);
    const std::string place = fmt::format("{0}::at<unsigned char>(arena, {0}::memory::{1})", c.name, t.name);
    if (!state.initial) {
      out.linef("__builtin_memset({}, 0, {});", place, t.type.bytes());
    } else {
      const std::string& values = c.program.tensor(c.constants[c.constant_of[index(*state.initial)]]).name;
      out.linef("__builtin_memcpy({}, {}::weights::{}, {});", place, c.name, values, t.type.bytes());
    }
  }
  out.outdent();
  out.line("}");
  out.line();
}

constexpr std::string_view kPreamble = R"(// Ends a layer. The barrier keeps the compiler from moving one layer's accesses past those of another that reuses
// the same bytes with another type; it costs no instruction. With KILN_TRACE every result is reported.
#ifdef KILN_TRACE
extern "C" void kiln_trace(uint32_t step, void* arena, const void* output, uint32_t output_bytes);
#define KILN_STEP(step, arena, offset, bytes) kiln_trace(step, arena, at<const unsigned char>(arena, offset), bytes)
#else
#define KILN_STEP(step, arena, offset, bytes) __asm__ volatile("" ::: "memory")
#endif
// A layer is a function of its own, so that debuggers and profilers show it and its stack is returned before the next one.
#define KILN_LAYER static __attribute__((noinline))
)";

constexpr std::string_view kAt = R"(template <class T>
inline T* at(void* arena, uint32_t offset) {
  return static_cast<T*>(static_cast<void*>(static_cast<unsigned char*>(arena) + offset));
}
template <class T>
inline const T* at(const void* arena, uint32_t offset) {
  return static_cast<const T*>(static_cast<const void*>(static_cast<const unsigned char*>(arena) + offset));
}
)";

}  // namespace

std::string write_source(const BundleContext& c) {
  const Program& p = c.program;
  CodeWriter out;
  write_file_head(out, c, fmt::format("{}: the layers in the order in which they run.", c.name));
  out.linef("#include \"{}.h\"", c.name);
  out.line();
  out.linef("#include \"{}_memory.h\"", c.name);
  out.linef("#include \"{}_weights.h\"", c.name);
  for (const std::string& header : kernel_headers(p)) out.linef("#include \"{}\"", header);
  out.line();
  out.raw(kPreamble);
  out.line();
  out.linef("namespace {} {{", c.name);
  out.line();
  out.raw(kAt);
  out.line();
  const std::vector<KernelCopy> copies = kernel_copies(p, c.target);
  std::vector<std::pair<const KernelCopy*, size_t>> layers(p.steps.size());
  for (const KernelCopy& copy : copies)
    for (size_t layer = 0; layer < copy.steps.size(); ++layer) layers[copy.steps[layer]] = {&copy, layer};
  for (const auto& [copy, layer] : layers) write_layer(out, c, *copy, layer);
  out.linef("}}  // namespace {}", c.name);
  out.line();
  out.line("extern \"C\" {");
  out.line();
  write_accessors(out, c);
  out.line();
  write_reset(out, c);
  out.linef("void {}_run(void* arena) {{", c.name);
  out.indent();
  if (p.steps.empty()) out.line("(void)arena;");
  for (size_t i = 0; i < p.steps.size(); ++i) out.linef("{}::{}(arena);", c.name, layer_name(p, i));
  out.outdent();
  out.line("}");
  out.line();
  out.line("}  // extern \"C\"");
  return std::move(out).text();
}

}  // namespace kiln
