// SPDX-License-Identifier: Apache-2.0
#include "compiler/program/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

namespace kiln {

TensorId Program::add_tensor(ProgramTensor tensor) {
  const TensorId id{static_cast<uint32_t>(tensors_.size())};
  tensor.name = names_.take(tensor.name);
  found_bases_.push_back(tensor.view.value_or(ProgramTensor::View{id, 0}));
  tensors_.push_back(std::move(tensor));
  return id;
}

void Program::set_view(TensorId id, TensorId base, int64_t offset_bytes) {
  KILN_CHECK(!tensor(id).view, fmt::format("{} is made a view twice", tensor(id).name));
  KILN_CHECK(root(base).base != id, fmt::format("views of {} form a cycle", tensor(id).name));
  tensor(id).view = ProgramTensor::View{base, offset_bytes};
  found_bases_[index(id)] = {base, offset_bytes};
}

ProgramTensor::View Program::root(TensorId id) const {
  ProgramTensor::View at{id, 0};
  for (TensorId last = id;; last = at.base) {
    const ProgramTensor::View& next = found_bases_[index(at.base)];
    if (next.base == at.base) break;
    at = {next.base, at.offset_bytes + next.offset_bytes};
    // Halves the way of the next search.
    ProgramTensor::View& shortcut = found_bases_[index(last)];
    const ProgramTensor::View& beyond = found_bases_[index(shortcut.base)];
    if (beyond.base != shortcut.base) shortcut = {beyond.base, shortcut.offset_bytes + beyond.offset_bytes};
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

std::vector<Neighbours> neighbours(const Program& program) {
  const std::vector<Lifetime> lives = lifetimes(program);
  // Buffers of no bytes stand before others at the same place.
  using Place = std::tuple<int64_t, int64_t, TensorId>;
  auto place = [&](TensorId id) { return Place{program.tensor(id).arena_offset, program.tensor(id).type.bytes(), id}; };
  std::vector<TensorId> by_first, by_last;
  for (size_t i = 0; i < lives.size(); ++i)
    if (lives[i].last >= lives[i].first) by_first.push_back(TensorId{static_cast<uint32_t>(i)});
  by_last = by_first;
  auto first = [&](TensorId id) { return lives[index(id)].first; };
  auto last = [&](TensorId id) { return lives[index(id)].last; };
  std::sort(by_first.begin(), by_first.end(), [&](TensorId a, TensorId b) { return std::tuple(first(a), place(a)) < std::tuple(first(b), place(b)); });
  std::sort(by_last.begin(), by_last.end(), [&](TensorId a, TensorId b) { return std::tuple(last(a), place(a)) < std::tuple(last(b), place(b)); });
  std::set<Place> alive;
  std::vector<Neighbours> out;
  auto dead = by_last.begin();
  for (auto next = by_first.begin(); next != by_first.end();) {
    const int64_t step = first(*next);
    const auto begin = next;
    for (; dead != by_last.end() && last(*dead) < step; ++dead) alive.erase(place(*dead));
    for (; next != by_first.end() && first(*next) == step; ++next) alive.insert(place(*next));
    for (auto born = begin; born != next; ++born) {
      auto at = alive.find(place(*born));
      if (at != alive.begin()) out.push_back({std::get<TensorId>(*std::prev(at)), *born});
      if (++at != alive.end() && first(std::get<TensorId>(*at)) < step) out.push_back({*born, std::get<TensorId>(*at)});
    }
  }
  return out;
}

}  // namespace kiln
