// SPDX-License-Identifier: Apache-2.0
// <name>.h: the API of a bundle, for C and C++.
#include <fmt/format.h>

#include "compiler/emit/bundle_writer.h"

namespace kiln {
namespace {

void write_usage(CodeWriter& out, const BundleContext& c) {
  const Program& p = c.program;
  out.line("//");
  out.linef("//   static uint8_t arena[{}_ARENA_BYTES] __attribute__((aligned({}_ARENA_ALIGN)));", c.upper, c.upper);
  if (!p.states.empty()) out.linef("//   {}_reset(arena);  // before the first run, and where a new sequence begins", c.name);
  for (const IoTensor& io : p.inputs)
    out.linef("//   {}* {} = {}_input_{}(arena);  // write {} elements", dtype_c_name(p.tensor(io.tensor).type.dtype), io.c_name, c.name,
              io.c_name, p.tensor(io.tensor).type.elements());
  out.linef("//   {}_run(arena);", c.name);
  for (const IoTensor& io : p.outputs)
    out.linef("//   const {}* {} = {}_output_{}(arena);", dtype_c_name(p.tensor(io.tensor).type.dtype), io.c_name, c.name, io.c_name);
  out.line("//");
  out.line("// The arena is all the RAM that the model needs besides a little stack. One arena per concurrent caller makes the code");
  out.line("// reentrant. Inputs and outputs lie in the arena: a run may overwrite the inputs, so write them before each run.");
}

void write_accessors(CodeWriter& out, const BundleContext& c, const std::vector<IoTensor>& list, bool input) {
  for (const IoTensor& io : list) {
    const TensorType& type = c.program.tensor(io.tensor).type;
    std::string name = fmt::format("{}_{}_{}", c.name, input ? "input" : "output", io.c_name);
    out.linef("// {}  onnx: {}", describe_type(type), comment_quoted(io.name));
    if (input) out.linef("{}* {}(void* arena);", dtype_c_name(type.dtype), name);
    else out.linef("const {}* {}(const void* arena);", dtype_c_name(type.dtype), name);
  }
}

void write_reset_declaration(CodeWriter& out, const BundleContext& c) {
  if (c.program.states.empty()) return;
  out.linef("// The model keeps {} bytes of state in the arena from one run to the next:", with_commas(c.program.state_bytes()));
  for (const StateTensor& state : c.program.states)
    out.linef("//   {}  onnx: {} is {} of the next run{}", describe_type(c.program.tensor(state.tensor).type), comment_quoted(state.output),
              comment_quoted(state.input), state.initial ? ", at first what the model gives it" : "");
  out.line("// Sets it to its initial values, zeros unless said otherwise. A run without a reset before it computes from whatever the arena holds.");
  out.linef("void {}_reset(void* arena);", c.name);
  out.line();
}

}  // namespace

std::string write_header(const BundleContext& c) {
  CodeWriter out;
  write_file_head(out, c, fmt::format("{}: inference of {} as plain functions, for C and C++.", c.name, c.model.file_name));
  write_usage(out, c);
  out.linef("#ifndef {}_H", c.upper);
  out.linef("#define {}_H", c.upper);
  out.line();
  out.line("#include <stdint.h>");
  out.line();
  out.linef("#define {}_ARENA_BYTES {}u", c.upper, c.program.memory.arena_bytes);
  out.linef("#define {}_ARENA_ALIGN {}u", c.upper, c.target.arena_align);
  for (const IoTensor& io : c.program.inputs)
    out.linef("#define {}_INPUT_{}_ELEMENTS {}u", c.upper, upper_case(io.c_name), c.program.tensor(io.tensor).type.elements());
  for (const IoTensor& io : c.program.outputs)
    out.linef("#define {}_OUTPUT_{}_ELEMENTS {}u", c.upper, upper_case(io.c_name), c.program.tensor(io.tensor).type.elements());
  out.line();
  out.line("#ifdef __cplusplus");
  out.line("extern \"C\" {");
  out.line("#endif");
  out.line();
  write_accessors(out, c, c.program.inputs, true);
  write_accessors(out, c, c.program.outputs, false);
  out.line();
  write_reset_declaration(out, c);
  out.linef("// Computes the outputs from the inputs{}: {} layers, {} multiply-accumulates.", c.program.states.empty() ? "" : " and the state",
            c.program.steps.size(), with_commas(c.program.macs()));
  out.linef("void {}_run(void* arena);", c.name);
  out.line();
  out.line("#ifdef __cplusplus");
  out.line("}");
  out.line("#endif");
  out.line();
  out.linef("#endif  // {}_H", c.upper);
  return std::move(out).text();
}

}  // namespace kiln
