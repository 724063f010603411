// SPDX-License-Identifier: Apache-2.0
#include "compiler/program/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kiln {

TensorId Program::add_tensor(ProgramTensor tensor) {
  auto taken = [&](const std::string& wish) {
    return std::any_of(tensors_.begin(), tensors_.end(), [&](const ProgramTensor& t) { return t.name == wish; });
  };
  std::string base = tensor.name;
  for (int i = 1; taken(tensor.name); ++i) tensor.name = fmt::format("{}_{}", base, i);
  tensors_.push_back(std::move(tensor));
  return TensorId{static_cast<uint32_t>(tensors_.size() - 1)};
}

ProgramTensor::View Program::root(TensorId id) const {
  ProgramTensor::View at{id, 0};
  for (size_t hops = 0; tensor(at.base).view; ++hops) {
    KILN_CHECK(hops < tensors_.size(), "views form a cycle");
    const ProgramTensor::View& view = *tensor(at.base).view;
    at = {view.base, at.offset_bytes + view.offset_bytes};
  }
  return at;
}

int64_t Program::macs() const {
  int64_t sum = 0;
  for (const Step& step : steps) sum += step.macs;
  return sum;
}

int64_t Program::state_bytes() const {
  int64_t sum = 0;
  for (const StateTensor& state : states) sum += tensor(state.tensor).type.bytes();
  return sum;
}

int64_t Program::weights_bytes(const Step& step) const {
  int64_t sum = 0;
  for (TensorId id : step.call.inputs)
    if (const std::optional<Tensor>& c = tensor(root(id).base).constant) sum += c->type.bytes();
  return sum;
}

int64_t Program::weights_bytes() const {
  std::set<TensorId> used;
  for (const Step& step : steps)
    for (TensorId id : step.call.inputs) used.insert(root(id).base);
  for (const StateTensor& state : states)
    if (state.initial) used.insert(*state.initial);
  int64_t sum = 0;
  for (TensorId id : used)
    if (tensor(id).constant) sum += tensor(id).constant->type.bytes();
  return sum;
}

std::vector<Lifetime> lifetimes(const Program& program) {
  auto steps = static_cast<int64_t>(program.steps.size());
  std::vector<Lifetime> out(program.tensor_count());
  std::vector<bool> seen(program.tensor_count(), false);
  auto touch = [&](TensorId id, int64_t step) {
    TensorId owner = program.root(id).base;
    if (program.tensor(owner).constant) return;
    Lifetime& life = out[index(owner)];
    if (!seen[index(owner)]) life = {step, step};
    seen[index(owner)] = true;
    life.first = std::min(life.first, step);
    life.last = std::max(life.last, step);
  };
  for (const IoTensor& io : program.inputs) touch(io.tensor, -1);
  for (const StateTensor& state : program.states)
    for (int64_t step : {int64_t{-1}, steps}) touch(state.tensor, step);
  for (int64_t i = 0; i < steps; ++i) {
    const KernelCall& call = program.steps[static_cast<size_t>(i)].call;
    for (TensorId id : call.inputs) touch(id, i);
    for (TensorId id : call.outputs) touch(id, i);
    if (call.scratch) touch(*call.scratch, i);
  }
  for (const IoTensor& io : program.outputs) touch(io.tensor, steps);
  return out;
}

}  // namespace kiln
