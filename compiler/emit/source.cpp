// SPDX-License-Identifier: Apache-2.0
// <name>.cpp: one function per layer, each a single kernel call with its descriptor above it, and <name>_run that calls them in
// order.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/emit/bundle_writer.h"

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

/// Descriptor members: numbers of one type share lines, arrays have one each.
void write_descriptor(CodeWriter& out, const Step& step, size_t number) {
  bool parametrised = std::any_of(step.call.functors.begin(), step.call.functors.end(), [](const std::string& f) { return f != "none"; });
  std::string ints, floats;
  std::vector<std::string> lines;
  auto add_int = [&](std::string_view name, int32_t value) {
    std::string item = fmt::format("{} = {}", name, value);
    if (!ints.empty() && ints.size() + item.size() > 84) {
      lines.push_back(fmt::format("static constexpr int32_t {};", ints));
      ints.clear();
    }
    ints += (ints.empty() ? "" : ", ") + item;
  };
  std::vector<std::string> tail;
  for (const DescriptorField& field : descriptor_fields(step.call.descriptor)) {
    if (const auto* i = std::get_if<int32_t>(&field.value)) add_int(field.name, *i);
    else if (const auto* f = std::get_if<float>(&field.value)) {
      bool of_functor = field.name == "alpha" || field.name == "beta";
      if (parametrised || !of_functor || *f != 0) floats += fmt::format("{}{} = {}", floats.empty() ? "" : ", ", field.name, float_literal(*f));
    } else {
      const Dims& dims = std::get<Dims>(field.value);
      std::vector<int32_t> values(dims.values.begin(), dims.values.begin() + std::max(dims.size, 1));
      tail.push_back(fmt::format("static constexpr int32_t {}[{}] = {{{}}};", field.name, values.size(), fmt::join(values, ", ")));
    }
  }
  for (const auto& [name, value] : step.call.tuning) add_int(name, value);
  if (!ints.empty()) lines.push_back(fmt::format("static constexpr int32_t {};", ints));
  if (!floats.empty()) lines.push_back(fmt::format("static constexpr float {};", floats));
  lines.insert(lines.end(), tail.begin(), tail.end());
  out.linef("struct Layer{} {{", number);
  out.indent();
  for (const std::string& line : lines) out.line(line);
  out.outdent();
  out.line("};");
}

void write_layer(CodeWriter& out, const BundleContext& c, size_t i) {
  const Step& step = c.program.steps[i];
  const KernelCall& call = step.call;
  std::string origins;
  for (const std::string& o : step.origin) origins += (origins.empty() ? "" : ", ") + comment_quoted(o);
  std::string macs = step.macs ? fmt::format("  {} MACs", with_commas(step.macs)) : "";
  out.linef("// {}/{} {}  onnx: {}  {} -> {}{}", i + 1, c.program.steps.size(), step.label, origins,
            to_string(std::span<const int64_t>(step.input_shape)), to_string(std::span<const int64_t>(step.output_shape)), macs);
  write_descriptor(out, step, i + 1);
  std::vector<std::string> functors, operands{fmt::format("Layer{}{{}}", i + 1)};
  for (const std::string& f : call.functors) functors.push_back("nn::fn::" + f);
  for (TensorId id : call.inputs) operands.push_back(operand(c, id, false));
  for (TensorId id : call.outputs) operands.push_back(operand(c, id, true));
  if (call.scratch) operands.push_back(operand(c, *call.scratch, true));
  const ProgramTensor& result = c.program.tensor(call.outputs.front());
  out.linef("KILN_LAYER void {}(void* arena) {{", layer_name(c.program, i));
  out.indent();
  std::string function = std::string(call.row->function);
  if (!functors.empty()) function += fmt::format("<{}>", fmt::join(functors, ", "));
  std::string head = function + "(";
  std::string one_line = head + fmt::format("{}", fmt::join(operands, ", ")) + ");";
  if (one_line.size() <= 116) {
    out.line(one_line);
  } else {
    out.line(head + operands[0] + ",");
    for (size_t k = 1; k < operands.size(); ++k) out.linef("    {}{}", operands[k], k + 1 < operands.size() ? "," : ");");
  }
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
  for (size_t i = 0; i < p.steps.size(); ++i) write_layer(out, c, i);
  out.linef("}}  // namespace {}", c.name);
  out.line();
  out.line("extern \"C\" {");
  out.line();
  write_accessors(out, c);
  out.line();
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
