// SPDX-License-Identifier: Apache-2.0
#include "compiler/emit/bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "compiler/emit/bundle_writer.h"
#include "compiler/support/hash.h"
#include "embedded_headers.h"

namespace kiln {
namespace {

/// Constants that some step or the reset reads, each content once (equal weights of two layers share their bytes).
void collect_constants(BundleContext& c) {
  c.constant_of.assign(c.program.tensor_count(), 0);
  std::map<std::string, size_t> by_content;
  std::vector<bool> seen(c.program.tensor_count());
  auto collect = [&](TensorId id) {
    const std::optional<Tensor>& constant = c.program.tensor(id).constant;
    if (!constant || seen[index(id)]) return;
    seen[index(id)] = true;
    std::string key = fmt::format("{} {}", dtype_name(constant->type.dtype), sha256(constant->bytes()));
    auto [it, is_new] = by_content.emplace(key, c.constants.size());
    if (is_new) c.constants.push_back(id);
    c.constant_of[index(id)] = it->second;
  };
  for (const Step& step : c.program.steps)
    for (TensorId input : step.call.inputs) collect(c.program.root(input).base);
  for (const StateTensor& state : c.program.states)
    if (state.initial) collect(*state.initial);
}

const EmbeddedHeader& find_header(std::string_view path) {
  for (const EmbeddedHeader& h : embedded_headers())
    if (h.path == path) return h;
  KILN_CHECK(false, fmt::format("kernel header {} is not part of kiln", path));
  return embedded_headers().front();
}

/// The paths that a header includes with quotes, made relative to the bundle.
std::vector<std::string> included_paths(const EmbeddedHeader& header) {
  std::vector<std::string> out;
  constexpr std::string_view kInclude = "#include \"";
  std::filesystem::path folder = std::filesystem::path(header.path).parent_path();
  for (size_t at = header.text.find(kInclude); at != std::string_view::npos; at = header.text.find(kInclude, at + 1)) {
    size_t begin = at + kInclude.size();
    std::string_view name = header.text.substr(begin, header.text.find('"', begin) - begin);
    out.push_back((folder / name).lexically_normal().generic_string());
  }
  return out;
}

/// The header that defines functor nn::fn::`name`.
std::string functor_header(const std::string& name) {
  const std::string definition = fmt::format("\nstruct {} ", name);
  for (const EmbeddedHeader& h : embedded_headers())
    if (h.text.find(definition) != std::string_view::npos) return std::string(h.path);
  KILN_CHECK(false, fmt::format("functor {} is not part of kiln", name));
  return {};
}

/// `headers` and all that they include.
std::set<std::string> with_included(const std::set<std::string>& headers) {
  std::set<std::string> done;
  std::deque<std::string> todo(headers.begin(), headers.end());
  for (; !todo.empty(); todo.pop_front()) {
    if (!done.insert(todo.front()).second) continue;
    for (std::string& path : included_paths(find_header(todo.front()))) todo.push_back(std::move(path));
  }
  return done;
}

/// Moves the kernels into the bundle's namespace, so that two bundles can share a firmware.
std::string renamed(std::string_view text, const std::string& name) {
  constexpr std::string_view kToken = "namespace nn";
  std::string out;
  size_t from = 0;
  for (size_t at = text.find(kToken); at != std::string_view::npos; at = text.find(kToken, from)) {
    out += text.substr(from, at - from);
    out += fmt::format("namespace {}::nn", name);
    from = at + kToken.size();
  }
  return out += text.substr(from);
}

}  // namespace

std::set<std::string> kernel_headers(const Program& program) {
  std::set<std::string> out, functors;
  bool has_double = false;
  for (const Step& step : program.steps) {
    out.emplace(step.call.row->header);
    functors.insert(step.call.functors.begin(), step.call.functors.end());
    for (size_t i = 0; i < step.call.inputs.size(); ++i)
      if (step.call.takes_narrow(i, program.tensor(step.call.inputs[i]).type.dtype)) out.insert("nn/narrow.h");
    for (const std::vector<TensorId>& operands : {step.call.inputs, step.call.outputs})
      for (TensorId id : operands) has_double = has_double || program.tensor(id).type.dtype == DType::f64;
  }
  for (const std::string& functor : functors) out.insert(functor_header(functor));
  const std::set<std::string> all = with_included(out);
  const bool has_math = std::ranges::any_of(all, [](const std::string& path) { return path.starts_with("nn/math"); });
  if (has_double && has_math) out.insert("nn/math_f64.h");
  return out;
}

std::vector<OutputFile> write_kernel_headers(const BundleContext& c) {
  std::vector<OutputFile> out;
  for (const std::string& path : with_included(kernel_headers(c.program)))
    out.push_back({path, renamed(find_header(path).text, c.name)});
  return out;
}

std::vector<OutputFile> emit_bundle(const Program& program, const Target& target, const ModelInfo& model, const BundleOptions& options) {
  BundleContext c{program, target, model, options, program.name, upper_case(program.name), {}, {}};
  collect_constants(c);
  std::vector<OutputFile> files = write_kernel_headers(c);
  files.push_back({c.name + ".h", write_header(c)});
  files.push_back({c.name + ".cpp", write_source(c)});
  files.push_back({c.name + "_memory.h", write_memory_header(c)});
  // Also without constants: build systems want to know the files before the compiler runs.
  files.push_back({c.name + "_weights.h", write_weights_header(c)});
  files.push_back({c.name + "_weights.cpp", write_weights_source(c)});
  files.push_back({"CMakeLists.txt", write_cmake(c)});
  files.push_back({"compile_flags.txt", write_compile_flags(c)});
  if (!options.vectors.empty()) {
    files.push_back({"selftest/main.cpp", write_selftest_main(c)});
    files.push_back({"selftest/vectors.h", write_selftest_vectors(c)});
  }
  auto by_path = [](const OutputFile& a, const OutputFile& b) { return a.path < b.path; };
  std::sort(files.begin(), files.end(), by_path);
  files.push_back({"manifest.json", write_manifest(c, files)});
  std::sort(files.begin(), files.end(), by_path);
  return files;
}

}  // namespace kiln
