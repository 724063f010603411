// SPDX-License-Identifier: Apache-2.0
#include "passes/share_state.h"

#include <algorithm>
#include <iterator>
#include <map>

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

/// Bytes that have been written, as runs that neither overlap nor touch.
class ByteRuns {
 public:
  [[nodiscard]] bool overlaps(int64_t first, int64_t end) const {
    auto after = runs_.lower_bound(end);
    return first < end && after != runs_.begin() && std::prev(after)->second > first;
  }
  void add(int64_t first, int64_t end) {
    if (first >= end) return;
    auto at = runs_.upper_bound(end);
    while (at != runs_.begin() && std::prev(at)->second >= first) {
      at = std::prev(at);
      first = std::min(first, at->first);
      end = std::max(end, at->second);
      at = runs_.erase(at);
    }
    runs_.emplace(first, end);
  }

 private:
  std::map<int64_t, int64_t> runs_;  ///< end by first
};

/// Whether `call`, which reads bytes of `old`, may write those of `result` over them in the same step.
bool may_overwrite(const Program& program, const KernelCall& call, TensorId old, TensorId result) {
  for (TensorId output : call.outputs) {
    const Bytes written = bytes_of(program, output);
    if (written.base != result) continue;
    for (TensorId input : call.inputs) {
      const Bytes read = bytes_of(program, input);
      if (read.base == old && read.overlaps(written) && !(read.is_same(written) && allows(call, input, output))) return false;
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
  ByteRuns overwritten;  // of the old state
  for (size_t i = 0; i < program.steps.size(); ++i) {
    if (i == copy) continue;
    const KernelCall& call = program.steps[i].call;
    for (TensorId input : call.inputs)
      if (const Bytes read = bytes_of(program, input); read.base == state.tensor && overwritten.overlaps(read.first, read.end)) return false;
    if (!may_overwrite(program, call, state.tensor, result.base)) return false;
    for (TensorId output : call.outputs)
      if (const Bytes written = bytes_of(program, output); written.base == result.base) overwritten.add(written.first, written.end);
  }
  return true;
}

}  // namespace

Result<bool> share_state(Program& program, PassContext&) {
  bool changed = false;
  for (const StateTensor& state : program.states) {
    auto copy = std::find_if(program.steps.begin(), program.steps.end(),
                             [&](const Step& step) { return step.call.outputs.front() == state.tensor; });
    if (copy == program.steps.end() || !can_share(program, state, static_cast<size_t>(copy - program.steps.begin()))) continue;
    program.set_view(program.root(state.result).base, state.tensor, 0);
    program.steps.erase(copy);
    changed = true;
  }
  return changed;
}

}  // namespace kiln
