// SPDX-License-Identifier: Apache-2.0
#include "passes/share_state.h"

#include <algorithm>

namespace kiln {
namespace {

/// The bytes [first, end) of buffer `base` that a tensor stands for.
struct Bytes {
  TensorId base;
  int64_t first, end;
  [[nodiscard]] bool overlaps(const Bytes& o) const { return first < o.end && o.first < end; }
  [[nodiscard]] bool is_same(const Bytes& o) const { return first == o.first && end == o.end; }
};

Bytes bytes_of(const Program& program, TensorId id) {
  const ProgramTensor::View at = program.root(id);
  return {at.base, at.offset_bytes, at.offset_bytes + program.tensor(id).type.bytes()};
}

bool allows(const KernelCall& call, TensorId input, TensorId output) {
  return std::any_of(call.in_place.begin(), call.in_place.end(),
                     [&](const InPlace& p) { return call.inputs[p.input] == input && call.outputs[p.output] == output; });
}

/// Whether step `reader` may read bytes of `old` although step `writer`, not a later one, writes those of `result` over them.
bool may_read(const Program& program, size_t reader, TensorId old, size_t writer, TensorId result) {
  const KernelCall &reading = program.steps[reader].call, &writing = program.steps[writer].call;
  for (TensorId output : writing.outputs) {
    const Bytes written = bytes_of(program, output);
    if (written.base != result) continue;
    for (TensorId input : reading.inputs) {
      const Bytes read = bytes_of(program, input);
      if (read.base != old || !read.overlaps(written)) continue;
      if (reader != writer || !read.is_same(written) || !allows(reading, input, output)) return false;
    }
  }
  return true;
}

bool is_free(const Program& program, TensorId buffer) {
  if (program.tensor(buffer).constant) return false;
  auto is_it = [&](const auto& one) { return one.tensor == buffer; };
  return std::none_of(program.inputs.begin(), program.inputs.end(), is_it) &&
         std::none_of(program.states.begin(), program.states.end(), is_it);
}

bool can_share(const Program& program, const StateTensor& state, size_t copy) {
  const Bytes result = bytes_of(program, state.result);
  const int64_t size = program.tensor(state.tensor).type.bytes();
  if (!is_free(program, result.base) || result.first != 0 || program.tensor(result.base).type.bytes() != size) return false;
  for (size_t writer = 0; writer < program.steps.size(); ++writer)
    for (size_t reader = writer; reader < program.steps.size(); ++reader)
      if (writer != copy && reader != copy && !may_read(program, reader, state.tensor, writer, result.base)) return false;
  return true;
}

}  // namespace

Result<bool> share_state(Program& program, PassContext&) {
  bool changed = false;
  for (const StateTensor& state : program.states) {
    auto copy = std::find_if(program.steps.begin(), program.steps.end(),
                             [&](const Step& step) { return step.call.outputs.front() == state.tensor; });
    if (copy == program.steps.end() || !can_share(program, state, static_cast<size_t>(copy - program.steps.begin()))) continue;
    program.tensor(program.root(state.result).base).view = ProgramTensor::View{state.tensor, 0};
    program.steps.erase(copy);
    changed = true;
  }
  return changed;
}

}  // namespace kiln
