// SPDX-License-Identifier: Apache-2.0
// What the writers of the single files share.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/emit/bundle.h"
#include "compiler/support/code_writer.h"

namespace kiln {

struct BundleContext {
  const Program& program;
  const Target& target;
  const ModelInfo& model;
  const BundleOptions& options;
  std::string name;   ///< "kws"
  std::string upper;  ///< "KWS"
  std::vector<TensorId> constants;  ///< those that are emitted: read by some step, each content once
  std::vector<size_t> constant_of;  ///< per tensor id: index into `constants` of the one that holds its data
};

/// "// <file>: <what>. ..." and the licence, at the head of every file.
void write_file_head(CodeWriter& out, const BundleContext& context, std::string_view what);

// One function per file of the bundle.
std::string write_header(const BundleContext& context);
std::string write_source(const BundleContext& context);
std::string write_memory_header(const BundleContext& context);
std::string write_weights_header(const BundleContext& context);
std::string write_weights_source(const BundleContext& context);
std::string write_selftest_main(const BundleContext& context);
std::string write_selftest_vectors(const BundleContext& context);
std::string write_cmake(const BundleContext& context);
/// One flag a line, to be given to gcc and clang as @compile_flags.txt; clangd reads it too.
std::string write_compile_flags(const BundleContext& context);
std::string write_manifest(const BundleContext& context, const std::vector<OutputFile>& files);
/// The kernel headers that the program needs, with what they include, in namespace <name>::nn.
std::vector<OutputFile> write_kernel_headers(const BundleContext& context);
/// The headers that the layers need: those of the kernels and of their functors.
std::set<std::string> kernel_headers(const Program& program);

// --- text
/// "float [1,49,10,1]" and the quantization if there is one.
std::string describe_type(const TensorType& type);
/// An ONNX name in quotes for a comment: control characters and backslashes are escaped.
std::string comment_quoted(std::string_view name);
std::string upper_case(std::string_view text);
/// "2,656,768".
std::string with_commas(int64_t number);
/// C++ literal of element `i`.
std::string literal(const Tensor& tensor, size_t i);
std::string float_literal(float value);
/// `const <type> name[n] = {` ... `};` in wide lines. An empty tensor gets one element, since C++ has no empty arrays.
void write_array(CodeWriter& out, std::string_view declaration, const Tensor& tensor);
/// The number of elements that write_array writes.
int64_t array_length(const Tensor& tensor);

}  // namespace kiln
