// SPDX-License-Identifier: Apache-2.0
#include "batch.h"

#include <fmt/format.h>

#include <cstring>
#include <map>

#include "compiler/emit/bundle.h"
#include "compiler/runner/build_commands.h"

namespace kiln::test {
namespace {

/// Between arenas, so that a write just outside of one does not reach the next.
constexpr int64_t kGap = 64;

std::string with_plain_namespace(std::string text, const std::string& name) {
  const std::string own = fmt::format("namespace {}::nn", name), plain = "namespace nn";
  for (size_t at = text.find(own); at != std::string::npos; at = text.find(own, at + plain.size())) text.replace(at, own.size(), plain);
  return text;
}

/// Everything in one source; bundles find the kernels in the namespace nn outside of theirs.
class BatchSource {
 public:
  void add(const Compiled& compiled) {
    const Program& program = compiled.program;
    for (OutputFile& file : emit_bundle(program, compiled.target, compiled.info, {})) {
      if (file.path.starts_with("nn/"))
        kernels_.emplace(file.path, with_plain_namespace(std::move(file.bytes), program.name));
      else
        files_.push_back({program.name + "/" + file.path, std::move(file.bytes)});
    }
    header_ += fmt::format("#include \"{0}/{0}.h\"\n", program.name);
    source_ += fmt::format("#include \"{0}/{0}.cpp\"\n#include \"{0}/{0}_weights.cpp\"\n", program.name);
    const std::string arena = fmt::format("static_cast<unsigned char*>(arena) + {}", code.arena_bytes);
    calls_ += fmt::format("  {}_run({});\n", program.name, arena);
    for (const IoTensor& io : program.inputs)
      code.inputs.push_back(
          {fmt::format("return {}_input_{}({});", program.name, io.c_name, arena), program.tensor(io.tensor).type.bytes()});
    for (const IoTensor& io : program.outputs) {
      const TensorType& type = program.tensor(io.tensor).type;
      code.outputs.push_back(
          {fmt::format("return const_cast<{}*>({}_output_{}({}));", dtype_c_name(type.dtype), program.name, io.c_name, arena),
           type.bytes()});
    }
    const int64_t align = compiled.target.arena_align;
    code.arena_align = align;
    code.arena_bytes += (program.memory.arena_bytes + kGap + align - 1) / align * align;
  }

  std::vector<OutputFile> files() && {
    for (auto& [path, text] : kernels_) files_.push_back({path, std::move(text)});
    files_.push_back({"batch.h", header_ + "extern \"C\" void batch_run(void* arena);\n"});
    files_.push_back({"batch.cpp", source_ + "#include \"batch.h\"\nvoid batch_run(void* arena) {\n  (void)arena;\n" + calls_ + "}\n"});
    return std::move(files_);
  }

  HarnessedCode code{.header = fmt::format("{}/batch.h", kBundleFolder), .inputs = {}, .outputs = {}, .run = "batch_run"};

 private:
  std::map<std::string, std::string> kernels_;
  std::vector<OutputFile> files_;
  std::string source_, header_, calls_;
};

/// See harness.cpp.
std::string job_bytes(const std::vector<BatchItem>& items, size_t sets) {
  const uint32_t head[] = {static_cast<uint32_t>(sets), 0, 0, 0, 0, 1};
  std::string job(reinterpret_cast<const char*>(head), sizeof head);
  for (size_t set = 0; set < sets; ++set)
    for (const BatchItem& item : items)
      for (const Tensor& t : (*item.inputs)[set]) job.append(reinterpret_cast<const char*>(t.bytes().data()), t.bytes().size());
  return job;
}

}  // namespace

Result<std::vector<std::vector<std::vector<Tensor>>>> run_batch(const std::vector<BatchItem>& items, const BuildOptions& options) {
  BatchSource source;
  for (const BatchItem& item : items) source.add(*item.compiled);
  BuildOptions build = options;
  build.flags.push_back(fmt::format("-I{}", kBundleFolder));
  const HarnessedCode code = source.code;
  Result<HarnessImage> image = HarnessImage::build(items.front().compiled->target, std::move(source).files(), code, build);
  if (!image) return std::move(image).diagnostic();
  const size_t sets = items.front().inputs->size();
  Result<std::string> result = image->run(job_bytes(items, sets), {});
  if (!result) return std::move(result).diagnostic();

  std::vector<std::vector<std::vector<Tensor>>> outputs(items.size(), std::vector<std::vector<Tensor>>(sets));
  size_t at = 0;
  for (size_t set = 0; set < sets; ++set)
    for (size_t i = 0; i < items.size(); ++i)
      for (const IoTensor& io : items[i].compiled->program.outputs) {
        Tensor t(items[i].compiled->program.tensor(io.tensor).type);
        const size_t bytes = t.bytes().size();
        KILN_CHECK(at + bytes <= result->size(), "the harness's result is too short");
        if (bytes) std::memcpy(t.bytes().data(), result->data() + at, bytes);
        at += bytes;
        outputs[i][set].push_back(std::move(t));
      }
  return outputs;
}

}  // namespace kiln::test
