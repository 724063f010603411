// SPDX-License-Identifier: Apache-2.0
// selftest/: a program that runs stored inputs and compares the outputs with those of kiln's reference evaluation.
#include <fmt/format.h>

#include "compiler/emit/bundle_writer.h"

namespace kiln {
namespace {

bool is_real(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

void write_check(CodeWriter& out, const BundleContext& c, const IoTensor& io, size_t v, size_t i) {
  const TensorType& type = c.program.tensor(io.tensor).type;
  std::string tolerance = is_real(type.dtype) ? fmt::format("{}, {}", c.options.tolerance.absolute, c.options.tolerance.relative) : "0, 0";
  out.linef("bad += compare(\"{0}\", {1}, {2}_output_{0}(arena), vector{1}_output{3}, {4}, {5});", io.c_name, v, c.name, i, type.elements(), tolerance);
}

}  // namespace

std::string write_selftest_vectors(const BundleContext& c) {
  CodeWriter out;
  write_file_head(out, c, "vectors.h: inputs and the outputs expected for them.");
  out.line("#pragma once");
  out.line();
  out.line("#include <stdint.h>");
  for (size_t v = 0; v < c.options.vectors.size(); ++v) {
    const TestVector& vector = c.options.vectors[v];
    auto write = [&](const char* kind, size_t i, const Tensor& tensor) {
      out.line();
      write_array(out, fmt::format("static const {} vector{}_{}{}", dtype_c_name(tensor.type.dtype), v, kind, i), tensor);
    };
    for (size_t i = 0; i < vector.inputs.size(); ++i) write("input", i, vector.inputs[i]);
    for (size_t i = 0; i < vector.outputs.size(); ++i) write("output", i, vector.outputs[i]);
  }
  return std::move(out).text();
}

std::string write_selftest_main(const BundleContext& c) {
  const Program& p = c.program;
  CodeWriter out;
  write_file_head(out, c, fmt::format("Self-test of {}: exit code 0 when every output is as expected.", c.name));
  out.line("#include <stdio.h>");
  out.line("#include <string.h>");
  out.line();
  out.linef("#include \"../{}.h\"", c.name);
  out.line("#include \"vectors.h\"");
  out.line();
  out.linef("static unsigned char arena[{0}_ARENA_BYTES] __attribute__((aligned({0}_ARENA_ALIGN)));", c.upper);
  out.line();
  out.raw(R"(// The number of elements with |got - expected| > absolute + relative * |expected|.
template <class T>
static int compare(const char* name, int vector, const T* got, const T* expected, int count, double absolute, double relative) {
  int bad = 0;
  for (int i = 0; i < count; ++i) {
    const double a = static_cast<double>(got[i]), b = static_cast<double>(expected[i]);
    const double difference = a < b ? b - a : a - b;
    const bool both_nan = a != a && b != b;
    if (a == b || both_nan || difference <= absolute + relative * (b < 0 ? -b : b)) continue;
    if (bad == 0) printf("vector %d: %s[%d] is %.9g, expected %.9g\n", vector, name, i, a, b);
    ++bad;
  }
  return bad;
}
)");
  out.line();
  out.line("int main() {");
  out.indent();
  out.line("int bad = 0;");
  if (!p.states.empty()) out.linef("{}_reset(arena);  // the vectors are steps of one sequence", c.name);
  for (size_t v = 0; v < c.options.vectors.size(); ++v) {
    for (size_t i = 0; i < p.inputs.size(); ++i)
      out.linef("memcpy({0}_input_{1}(arena), vector{2}_input{3}, {4});", c.name, p.inputs[i].c_name, v, i, p.tensor(p.inputs[i].tensor).type.bytes());
    out.linef("{}_run(arena);", c.name);
    for (size_t i = 0; i < p.outputs.size(); ++i) write_check(out, c, p.outputs[i], v, i);
  }
  out.linef("printf(\"{}: self-test %s, {} vector(s), %d wrong element(s)\\n\", bad ? \"FAILED\" : \"passed\", bad);", c.name, c.options.vectors.size());
  out.line("return bad ? 1 : 0;");
  out.outdent();
  out.line("}");
  return std::move(out).text();
}

}  // namespace kiln
