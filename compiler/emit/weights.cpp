// SPDX-License-Identifier: Apache-2.0
// <name>_weights.h and .cpp: the constants, each an array in the order in which its kernel reads it.
#include <fmt/format.h>

#include "compiler/emit/bundle_writer.h"

namespace kiln {
namespace {

std::string declaration(const BundleContext& c, TensorId id) {
  const ProgramTensor& t = c.program.tensor(id);
  return fmt::format("const {} {}", dtype_c_name(t.type.dtype), t.name);
}

}  // namespace

std::string write_weights_header(const BundleContext& c) {
  CodeWriter out;
  write_file_head(out, c, fmt::format("{}_weights.h: {} bytes of constants.", c.name, with_commas(c.program.weights_bytes())));
  out.linef("#ifndef {}_WEIGHTS_H", c.upper);
  out.linef("#define {}_WEIGHTS_H", c.upper);
  out.line();
  out.line("#include <stdint.h>");
  out.line();
  out.linef("namespace {} {{", c.name);
  out.line("namespace weights {");
  out.line();
  for (TensorId id : c.constants) {
    const ProgramTensor& t = c.program.tensor(id);
    out.linef("extern {}[{}];  // {}, {} bytes", declaration(c, id), array_length(*t.constant), describe_type(t.type), t.type.bytes());
  }
  out.line();
  out.line("}  // namespace weights");
  out.linef("}}  // namespace {}", c.name);
  out.line();
  out.linef("#endif  // {}_WEIGHTS_H", c.upper);
  return std::move(out).text();
}

std::string write_weights_source(const BundleContext& c) {
  CodeWriter out;
  write_file_head(out, c, fmt::format("{}_weights.cpp: the constants.", c.name));
  out.line("//");
  out.line("// To place them (in external flash, say), define the attribute:");
  out.linef("//   -D{}_WEIGHTS_ATTRIBUTE='__attribute__((section(\".ext_flash\")))'", c.upper);
  out.linef("#include \"{}_weights.h\"", c.name);
  out.line();
  out.linef("#ifndef {}_WEIGHTS_ATTRIBUTE", c.upper);
  out.linef("#define {}_WEIGHTS_ATTRIBUTE", c.upper);
  out.line("#endif");
  out.line();
  out.linef("namespace {} {{", c.name);
  out.line("namespace weights {");
  for (TensorId id : c.constants) {
    out.line();
    write_array(out, fmt::format("alignas({}) extern {}_WEIGHTS_ATTRIBUTE {}", c.target.arena_align, c.upper, declaration(c, id)),
                *c.program.tensor(id).constant);
  }
  out.line();
  out.line("}  // namespace weights");
  out.linef("}}  // namespace {}", c.name);
  return std::move(out).text();
}

}  // namespace kiln
