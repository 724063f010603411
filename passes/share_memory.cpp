// SPDX-License-Identifier: Apache-2.0
#include "passes/share_memory.h"

#include <algorithm>

namespace kiln {
namespace {

/// What is known of the buffers while outputs take some over.
class Sharing {
 public:
  explicit Sharing(Program& program) : program_(program), lives_(lifetimes(program)), has_views_(program.tensor_count()) {
    for (size_t i = 0; i < program.tensor_count(); ++i)
      if (const auto& view = program.tensor(TensorId{static_cast<uint32_t>(i)}).view) has_views_[index(view->base)] = true;
  }

  [[nodiscard]] bool can_take_over(size_t step, TensorId input, TensorId output) const {
    ProgramTensor::View from = program_.root(input);
    const ProgramTensor& root = program_.tensor(from.base);
    const ProgramTensor& out = program_.tensor(output);
    if (root.constant || out.view || from.base == program_.root(output).base) return false;
    if (from.offset_bytes != 0 || root.type.bytes() != out.type.bytes()) return false;
    // The output may itself be a base of views (a concat built in place): its earlier parts would be lost.
    if (has_views_[index(output)] && lives_[index(output)].first < static_cast<int64_t>(step)) return false;
    return lives_[index(from.base)].last == static_cast<int64_t>(step);
  }

  void take_over(TensorId input, TensorId output) {
    TensorId base = program_.root(input).base;
    program_.set_view(output, base, 0);
    has_views_[index(base)] = true;
    Lifetime &life = lives_[index(base)], &gone = lives_[index(output)];
    life = {std::min(life.first, gone.first), std::max(life.last, gone.last)};
    gone = Lifetime{};
  }

 private:
  Program& program_;
  std::vector<Lifetime> lives_;   ///< per tensor, as `lifetimes` says
  std::vector<bool> has_views_;   ///< per tensor: other tensors lie within its bytes (a concat, say), which are written by several calls
};

}  // namespace

Result<bool> share_memory(Program& program, PassContext&) {
  bool changed = false;
  Sharing sharing(program);
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const KernelCall& call = program.steps[i].call;
    for (const auto& [candidate, result] : call.in_place) {
      TensorId input = call.inputs[candidate], output = call.outputs[result];
      if (!sharing.can_take_over(i, input, output)) continue;
      // Another operand within the same buffer would be overwritten while it is still read.
      bool read_otherwise = false;
      for (size_t k = 0; k < call.inputs.size(); ++k)
        read_otherwise |= k != candidate && call.inputs[k] != input && program.root(call.inputs[k]).base == program.root(input).base;
      if (read_otherwise) continue;
      sharing.take_over(input, output);
      changed = true;
    }
  }
  return changed;
}

}  // namespace kiln
