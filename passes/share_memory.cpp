// SPDX-License-Identifier: Apache-2.0
#include "passes/share_memory.h"

namespace kiln {
namespace {

/// Whether some other tensor's bytes lie within those of `id` (a concat, say): such a buffer is written by several calls.
bool has_views(const Program& program, TensorId id) {
  for (size_t i = 0; i < program.tensor_count(); ++i)
    if (const auto& view = program.tensor(TensorId{static_cast<uint32_t>(i)}).view; view && view->base == id) return true;
  return false;
}

bool can_take_over(const Program& program, size_t step, TensorId input, TensorId output) {
  ProgramTensor::View from = program.root(input);
  const ProgramTensor& root = program.tensor(from.base);
  const ProgramTensor& out = program.tensor(output);
  if (root.constant || out.view || from.base == program.root(output).base) return false;
  if (from.offset_bytes != 0 || root.type.bytes() != out.type.bytes()) return false;
  // The output may itself be a base of views (a concat built in place): its earlier parts would be lost.
  if (has_views(program, output)) {
    std::vector<Lifetime> lives = lifetimes(program);
    if (lives[index(output)].first < static_cast<int64_t>(step)) return false;
  }
  return lifetimes(program)[index(from.base)].last == static_cast<int64_t>(step);
}

}  // namespace

Result<bool> share_memory(Program& program, PassContext&) {
  bool changed = false;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const KernelCall& call = program.steps[i].call;
    for (const auto& [candidate, result] : call.in_place) {
      TensorId input = call.inputs[candidate], output = call.outputs[result];
      if (!can_take_over(program, i, input, output)) continue;
      // Another operand within the same buffer would be overwritten while it is still read.
      bool read_otherwise = false;
      for (size_t k = 0; k < call.inputs.size(); ++k)
        read_otherwise |= k != candidate && call.inputs[k] != input && program.root(call.inputs[k]).base == program.root(input).base;
      if (read_otherwise) continue;
      program.tensor(output).view = ProgramTensor::View{program.root(input).base, 0};
      changed = true;
    }
  }
  return changed;
}

}  // namespace kiln
