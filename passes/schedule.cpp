// SPDX-License-Identifier: Apache-2.0
#include "passes/schedule.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace kiln {
namespace {

constexpr size_t kBeamWidth = 24;
constexpr size_t kMostSteps = 1000;

/// A call in terms of buffers (tensors that own bytes), by dense index.
struct Call {
  std::vector<size_t> reads, writes;
  std::vector<std::pair<size_t, size_t>> in_place;  // a buffer that is read, one that may take it over
  std::vector<size_t> after;      // calls that must come first
  int64_t scratch_bytes = 0;
};

struct Problem {
  std::vector<int64_t> bytes;     // per buffer
  std::vector<int> readers;       // calls that read it; one more for model outputs and states, which never die
  std::vector<bool> alive_first;  // model inputs and states
  std::vector<Call> calls;
};

Problem make_problem(const Program& program) {
  Problem p;
  std::map<TensorId, size_t> of_root;
  auto buffer = [&](TensorId id) -> size_t {
    TensorId root = program.root(id).base;
    auto [it, is_new] = of_root.emplace(root, p.bytes.size());
    if (is_new) {
      p.bytes.push_back(program.tensor(root).type.bytes());
      p.readers.push_back(0);
      p.alive_first.push_back(false);
    }
    return it->second;
  };
  auto is_constant = [&](TensorId id) { return program.tensor(program.root(id).base).constant.has_value(); };
  auto fill = [&](std::vector<size_t>& list, const std::vector<TensorId>& ids) {
    for (TensorId id : ids)
      if (!is_constant(id)) list.push_back(buffer(id));
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  };
  for (const IoTensor& io : program.inputs) p.alive_first[buffer(io.tensor)] = true;
  for (const StateTensor& state : program.states) p.alive_first[buffer(state.tensor)] = true;
  std::map<size_t, std::vector<size_t>> writers, earlier_readers;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const KernelCall& call = program.steps[i].call;
    Call c;
    fill(c.reads, call.inputs);
    fill(c.writes, call.outputs);
    for (const auto& [input, output] : call.in_place)
      if (!is_constant(call.inputs[input])) c.in_place.emplace_back(buffer(call.inputs[input]), buffer(call.outputs[output]));
    if (call.scratch) c.scratch_bytes = program.tensor(*call.scratch).type.bytes();
    for (size_t b : c.reads) {
      ++p.readers[b];
      c.after.insert(c.after.end(), writers[b].begin(), writers[b].end());
    }
    for (size_t b : c.writes) c.after.insert(c.after.end(), earlier_readers[b].begin(), earlier_readers[b].end());
    for (size_t b : c.reads) earlier_readers[b].push_back(i);
    for (size_t b : c.writes) writers[b].push_back(i);
    p.calls.push_back(std::move(c));
  }
  for (const IoTensor& io : program.outputs) ++p.readers[buffer(io.tensor)];
  for (const StateTensor& state : program.states) ++p.readers[buffer(state.tensor)];
  return p;
}

/// What has been computed, and what that costs.
struct State {
  std::vector<bool> done;
  std::vector<int> readers;   // calls that still have to read each buffer
  std::vector<bool> written;  // the buffer has bytes
  int64_t live = 0, peak = 0;
  std::vector<size_t> order;
};

State start(const Problem& p) {
  State s{std::vector<bool>(p.calls.size()), p.readers, p.alive_first, 0, 0, {}};
  for (size_t b = 0; b < p.bytes.size(); ++b)
    if (p.alive_first[b]) s.live += p.bytes[b];
  s.peak = s.live;
  return s;
}

void run(const Problem& p, State& s, size_t call) {
  const Call& c = p.calls[call];
  int64_t taken_over = 0;
  std::vector<size_t> takers;
  for (const auto& [from, to] : c.in_place)
    if (std::find(takers.begin(), takers.end(), to) == takers.end() && s.readers[from] == 1 && p.bytes[from] == p.bytes[to] && !s.written[to]) {
      taken_over += p.bytes[from];
      takers.push_back(to);
    }
  for (size_t b : c.writes) {
    if (!s.written[b]) s.live += p.bytes[b];
    s.written[b] = true;
  }
  s.peak = std::max(s.peak, s.live - taken_over + c.scratch_bytes);
  for (size_t b : c.reads)
    if (--s.readers[b] == 0) s.live -= p.bytes[b];
  for (size_t b : c.writes)
    if (s.readers[b] == 0) s.live -= p.bytes[b];
  s.done[call] = true;
  s.order.push_back(call);
}

bool ready(const Problem& p, const State& s, size_t call) {
  return !s.done[call] && std::all_of(p.calls[call].after.begin(), p.calls[call].after.end(), [&](size_t before) { return s.done[before]; });
}

bool better(const State& a, const State& b) { return std::tie(a.peak, a.live, a.order) < std::tie(b.peak, b.live, b.order); }

State beam_search(const Problem& p) {
  std::vector<State> beam{start(p)};
  for (size_t n = 0; n < p.calls.size(); ++n) {
    std::map<std::vector<bool>, State> next;
    for (const State& state : beam) {
      for (size_t call = 0; call < p.calls.size(); ++call) {
        if (!ready(p, state, call)) continue;
        State successor = state;
        run(p, successor, call);
        auto [it, is_new] = next.try_emplace(successor.done, successor);
        if (!is_new && better(successor, it->second)) it->second = std::move(successor);
      }
    }
    beam.clear();
    for (auto& [done, state] : next) beam.push_back(std::move(state));
    std::sort(beam.begin(), beam.end(), better);
    if (beam.size() > kBeamWidth) beam.resize(kBeamWidth);
  }
  return beam.front();
}

}  // namespace

Result<bool> schedule(Program& program, PassContext&) {
  if (program.steps.size() > kMostSteps) return false;
  Problem p = make_problem(program);
  State given = start(p);
  for (size_t i = 0; i < p.calls.size(); ++i) run(p, given, i);
  State found = beam_search(p);
  if (found.peak >= given.peak) return false;
  std::vector<Step> steps;
  for (size_t i : found.order) steps.push_back(std::move(program.steps[i]));
  program.steps = std::move(steps);
  return true;
}

}  // namespace kiln
