// SPDX-License-Identifier: Apache-2.0
#include "compiler/runner/bundle_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "compiler/runner/build_commands.h"

namespace kiln {
namespace {

/// The bundle as the harness sees it.
HarnessedCode harnessed(const Program& program, const Target& target) {
  const std::string& name = program.name;
  HarnessedCode code;
  code.header = fmt::format("{}/{}.h", kBundleFolder, name);
  code.arena_bytes = program.memory.arena_bytes;
  code.arena_align = target.arena_align;
  code.steps = program.steps.size();
  for (const IoTensor& io : program.inputs)
    code.inputs.push_back({fmt::format("return {}_input_{}(arena);", name, io.c_name), program.tensor(io.tensor).type.bytes()});
  for (const IoTensor& io : program.outputs) {
    const TensorType& type = program.tensor(io.tensor).type;
    code.outputs.push_back(
        {fmt::format("return const_cast<{}*>({}_output_{}(arena));", dtype_c_name(type.dtype), name, io.c_name), type.bytes()});
  }
  code.run = name + "_run";
  if (!program.states.empty()) code.reset = name + "_reset";
  return code;
}

/// The step of the record that ends those of a set, see harness.cpp.
constexpr uint32_t kNoStep = 0xffffffff;

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Offsets and sizes of the arena bytes that no buffer alive across the start of `step` uses.
std::vector<std::pair<uint32_t, uint32_t>> dead_ranges(const Program& program, const std::vector<Lifetime>& lives, int64_t step) {
  std::vector<std::pair<int64_t, int64_t>> used;
  for (size_t i = 0; i < lives.size(); ++i) {
    if (lives[i].first >= step || lives[i].last < step) continue;
    const ProgramTensor& t = program.tensor(TensorId{static_cast<uint32_t>(i)});
    used.emplace_back(t.arena_offset, t.arena_offset + t.type.bytes());
  }
  used.emplace_back(program.memory.arena_bytes, program.memory.arena_bytes);
  std::sort(used.begin(), used.end());
  std::vector<std::pair<uint32_t, uint32_t>> dead;
  int64_t at = 0;
  for (auto [begin, end] : used) {
    if (begin > at) dead.emplace_back(static_cast<uint32_t>(at), static_cast<uint32_t>(begin - at));
    at = std::max(at, end);
  }
  return dead;
}

/// See harness.cpp.
std::string job_bytes(const Program& program, const std::vector<std::vector<Tensor>>& inputs, const RunOptions& options) {
  std::string job;
  for (uint32_t number : {static_cast<uint32_t>(inputs.size()), options.traced_sets, options.timed_runs,
                          static_cast<uint32_t>(options.poison), options.arena_shortfall, options.sequence_steps})
    append(job, number);
  if (options.poison) {
    std::vector<Lifetime> lives = lifetimes(program);
    for (int64_t step = 0; step <= static_cast<int64_t>(program.steps.size()); ++step) {
      std::vector<std::pair<uint32_t, uint32_t>> ranges = dead_ranges(program, lives, step);
      append(job, static_cast<uint32_t>(ranges.size()));
      for (auto [offset, bytes] : ranges) {
        append(job, offset);
        append(job, bytes);
      }
    }
  }
  for (const std::vector<Tensor>& set : inputs) {
    KILN_CHECK(set.size() == program.inputs.size(), "an input set has a wrong number of tensors");
    for (size_t i = 0; i < set.size(); ++i) {
      const TensorType& type = program.tensor(program.inputs[i].tensor).type;
      KILN_CHECK(set[i].type.dtype == type.dtype && set[i].type.shape == type.shape, "an input tensor has a wrong type");
      job.append(reinterpret_cast<const char*>(set[i].bytes().data()), set[i].bytes().size());
    }
  }
  return job;
}

/// Reads tensors one after the other from the harness's result.
class ResultReader {
 public:
  explicit ResultReader(std::string_view bytes) : rest_(bytes) {}
  Tensor tensor(const TensorType& type) {
    Tensor t(TensorType{type.dtype, type.shape, type.quant});
    read(t.bytes().data(), t.bytes().size());
    return t;
  }
  void read(void* to, size_t bytes) {
    const std::string_view from = take(bytes);
    if (bytes) std::memcpy(to, from.data(), bytes);
  }
  std::string_view take(size_t bytes) {
    KILN_CHECK(bytes <= rest_.size(), "the harness's result is too short");
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }

 private:
  std::string_view rest_;
};

/// The first output of every step, from records that may come in pieces and in any order of steps.
std::vector<Tensor> read_step_results(const Program& program, ResultReader& reader) {
  std::vector<std::string> bytes(program.steps.size());
  for (;;) {
    uint32_t head[2];  // step, bytes
    reader.read(head, sizeof head);
    if (head[0] == kNoStep) break;
    KILN_CHECK(head[0] < bytes.size(), "the harness reports a step that does not exist");
    bytes[head[0]] += reader.take(head[1]);
  }
  std::vector<Tensor> results;
  for (size_t i = 0; i < bytes.size(); ++i)
    results.push_back(ResultReader(bytes[i]).tensor(program.tensor(program.steps[i].call.outputs.front()).type));
  return results;
}

RunResult parse_result(const Program& program, std::string_view bytes, size_t sets, const RunOptions& options, bool from_board,
                       bool traced) {
  ResultReader reader(bytes);
  RunResult result;
  for (size_t set = 0; set < sets; ++set) {
    if (set < options.traced_sets) result.step_results.push_back(read_step_results(program, reader));
    std::vector<Tensor>& outputs = result.outputs.emplace_back();
    for (const IoTensor& io : program.outputs) outputs.push_back(reader.tensor(program.tensor(io.tensor).type));
  }
  reader.read(&result.median_nanoseconds, sizeof result.median_nanoseconds);
  if (!from_board) return result;
  reader.read(&result.stack_bytes, sizeof result.stack_bytes);
  if (options.timed_runs == 0) return result;
  result.instructions.resize(sets);
  for (size_t set = sets; set-- > 0;) reader.read(&result.instructions[set], sizeof(int64_t));
  result.step_instructions.resize(traced ? program.steps.size() : 0);
  reader.read(result.step_instructions.data(), result.step_instructions.size() * sizeof(int64_t));
  return result;
}

}  // namespace

Result<BuiltBundle> BuiltBundle::build(const Program& program, const Target& target, const std::vector<OutputFile>& bundle,
                                       const BuildOptions& options) {
  Result<HarnessImage> image = HarnessImage::build(target, bundle, harnessed(program, target), options);
  if (!image) return std::move(image).diagnostic();
  return BuiltBundle(*std::move(image), program, options.traced);
}

Result<RunResult> BuiltBundle::run(const std::vector<std::vector<Tensor>>& inputs, const RunOptions& options) const {
  KILN_CHECK(traced_ || (options.traced_sets == 0 && !options.poison), "tracing needs a traced build");
  KILN_CHECK(options.sequence_steps > 0, "a sequence has steps");
  KILN_CHECK(options.timed_runs == 0 || !inputs.empty(), "timing needs an input set");
  Result<std::string> bytes = image_.run(job_bytes(program_, inputs, options), options.emulator_arguments);
  if (!bytes) return bytes.diagnostic();
  return parse_result(program_, *bytes, inputs.size(), options, image_.on_board(), traced_);
}

}  // namespace kiln
