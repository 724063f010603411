// SPDX-License-Identifier: Apache-2.0
#include "passes/schedule.h"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <tuple>

namespace kiln {
namespace {

constexpr size_t kBeamWidth = 24;
/// Programs of so many calls are searched as a whole. In longer ones calls change places only within windows, so that the time grows
/// with the number of calls and not with its square.
constexpr size_t kWhole = 1000;
constexpr size_t kWindow = 250;

/// A call in terms of buffers (tensors that own bytes), by dense index.
struct Call {
  std::vector<uint32_t> reads, writes;
  std::vector<std::pair<uint32_t, uint32_t>> in_place;  // a buffer that is read, one that may take it over
  std::vector<uint32_t> later;                          // calls that must come later, one entry for each reason
  uint32_t reasons = 0;                                 // entries of other calls' `later` that name this one
  int64_t scratch_bytes = 0;
};

/// What a run has come to.
struct Memory {
  std::vector<int64_t> bytes;   // per buffer
  std::vector<int> readers;     // calls that still have to read it; one more for model outputs and states, which never die
  std::vector<char> written;    // it has bytes; model inputs and states from the beginning
  int64_t live = 0;
};

/// Neighbouring calls of a program over the buffers that they touch, and the memory before the first of them.
struct Window {
  std::vector<Call> calls;
  std::vector<std::vector<uint32_t>> touched_by;  // per buffer: calls
  Memory start;
};

/// What running a call now would do.
struct Option {
  uint32_t call;
  int64_t need = 0;   // bytes above those that are alive, while it runs
  int64_t delta = 0;  // by how much those that are alive grow
};

Option option(const Window& w, const Memory& m, uint32_t call) {
  const Call& c = w.calls[call];
  Option o{call};
  std::vector<uint32_t> takers;
  for (const auto& [from, to] : c.in_place) {
    if (m.readers[from] != 1 || m.bytes[from] != m.bytes[to] || m.written[to]) continue;
    if (std::find(takers.begin(), takers.end(), to) != takers.end()) continue;
    o.need -= m.bytes[from];
    takers.push_back(to);
  }
  for (uint32_t b : c.writes) {
    if (m.written[b]) continue;
    o.need += m.bytes[b];
    if (m.readers[b] > 0) o.delta += m.bytes[b];
  }
  o.need += c.scratch_bytes;
  for (uint32_t b : c.reads)
    if (m.readers[b] == 1) o.delta -= m.bytes[b];
  return o;
}

/// A beginning of an order of the window's calls.
struct State {
  Memory memory;
  std::vector<uint32_t> waits;   // per call: reasons not to run it yet
  std::vector<Option> ready;     // by call
  int64_t peak = 0;
  uint64_t done[2] = {0, 0};     // hash of the set of calls that it has
  uint32_t rank = 0;             // of its order among those of all states, by the indices of calls
};

/// The end of splitmix64: two independent hashes of `call` for `half` 0 and 1.
uint64_t hash_of(uint32_t call, uint64_t half) {
  uint64_t z = (2 * uint64_t{call} + half + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

auto find_ready(State& s, uint32_t call) {
  return std::lower_bound(s.ready.begin(), s.ready.end(), call, [](const Option& o, uint32_t c) { return o.call < c; });
}

State start(const Window& w) {
  State s;
  s.memory = w.start;
  s.peak = w.start.live;
  for (uint32_t call = 0; call < w.calls.size(); ++call) {
    s.waits.push_back(w.calls[call].reasons);
    if (s.waits.back() == 0) s.ready.push_back(option(w, s.memory, call));
  }
  return s;
}

/// Runs a call that is ready. What others would do changes only with buffers that come to life or wait for one reader or none.
void run(const Window& w, State& s, uint32_t call) {
  const Call& c = w.calls[call];
  const auto at = find_ready(s, call);
  const Option o = *at;
  s.ready.erase(at);
  s.peak = std::max(s.peak, s.memory.live + o.need);
  s.memory.live += o.delta;
  std::vector<uint32_t> changed;
  for (uint32_t b : c.writes) {
    if (!s.memory.written[b]) changed.push_back(b);
    s.memory.written[b] = 1;
  }
  for (uint32_t b : c.reads)
    if (--s.memory.readers[b] <= 1) changed.push_back(b);
  for (uint32_t b : changed)
    for (uint32_t other : w.touched_by[b])
      if (auto it = find_ready(s, other); it != s.ready.end() && it->call == other) *it = option(w, s.memory, other);
  for (uint32_t next : c.later)
    if (--s.waits[next] == 0) s.ready.insert(find_ready(s, next), option(w, s.memory, next));
  for (size_t half = 0; half < 2; ++half) s.done[half] ^= hash_of(call, half);
}

/// A state of the beam and the call that follows it.
struct Successor {
  int64_t peak, live;
  uint32_t rank;   // of the state's order
  uint32_t call;
  uint32_t state;  // its place in the beam
  bool operator<(const Successor& o) const { return std::tie(peak, live, rank, call) < std::tie(o.peak, o.live, o.rank, o.call); }
};

/// The best successors of the states, of those that have done the same calls only the best one.
std::vector<Successor> best_successors(const std::vector<State>& beam) {
  std::vector<Successor> all, best;
  for (uint32_t i = 0; i < beam.size(); ++i) {
    const State& s = beam[i];
    for (const Option& o : s.ready) all.push_back({std::max(s.peak, s.memory.live + o.need), s.memory.live + o.delta, s.rank, o.call, i});
  }
  auto is_worse = [](const Successor& a, const Successor& b) { return b < a; };
  std::make_heap(all.begin(), all.end(), is_worse);
  std::set<std::pair<uint64_t, uint64_t>> seen;
  while (!all.empty() && best.size() < kBeamWidth) {
    std::pop_heap(all.begin(), all.end(), is_worse);
    const Successor& next = all.back();
    const uint64_t* done = beam[next.state].done;
    if (seen.emplace(done[0] ^ hash_of(next.call, 0), done[1] ^ hash_of(next.call, 1)).second) best.push_back(next);
    all.pop_back();
  }
  return best;
}

/// Numbers the orders of the states that `chosen` lead to.
std::vector<uint32_t> ranks(const std::vector<Successor>& chosen) {
  std::vector<uint32_t> by_order(chosen.size()), out(chosen.size());
  for (uint32_t i = 0; i < chosen.size(); ++i) by_order[i] = i;
  std::sort(by_order.begin(), by_order.end(),
            [&](uint32_t a, uint32_t b) { return std::tie(chosen[a].rank, chosen[a].call) < std::tie(chosen[b].rank, chosen[b].call); });
  for (uint32_t i = 0; i < chosen.size(); ++i) out[by_order[i]] = i;
  return out;
}

struct Found {
  std::vector<uint32_t> order;
  State end;
};

Found beam_search(const Window& w) {
  std::vector<State> beam{start(w)};
  std::vector<std::vector<Successor>> history;
  for (size_t n = 0; n < w.calls.size(); ++n) {
    std::vector<Successor> chosen = best_successors(beam);
    const std::vector<uint32_t> rank = ranks(chosen);
    std::vector<size_t> uses(beam.size());
    for (const Successor& c : chosen) ++uses[c.state];
    std::vector<State> next;
    for (size_t i = 0; i < chosen.size(); ++i) {
      State& from = beam[chosen[i].state];
      if (--uses[chosen[i].state] == 0) next.push_back(std::move(from));
      else next.push_back(from);
      run(w, next.back(), chosen[i].call);
      next.back().rank = rank[i];
    }
    beam = std::move(next);
    history.push_back(std::move(chosen));
  }
  Found found{std::vector<uint32_t>(w.calls.size()), std::move(beam.front())};
  for (size_t n = w.calls.size(), state = 0; n-- > 0; state = history[n][state].state) found.order[n] = history[n][state].call;
  return found;
}

State run_as_given(const Window& w) {
  State s = start(w);
  for (uint32_t i = 0; i < w.calls.size(); ++i) run(w, s, i);
  return s;
}

/// No order needs less than the call that needs most.
int64_t least_peak(const Window& w) {
  int64_t least = w.start.live;
  for (const Call& c : w.calls) {
    int64_t alive = c.scratch_bytes, taken_over = 0;
    for (uint32_t b : c.reads) alive += w.start.bytes[b];
    for (uint32_t b : c.writes) alive += std::find(c.reads.begin(), c.reads.end(), b) == c.reads.end() ? w.start.bytes[b] : 0;
    for (const auto& [from, to] : c.in_place) taken_over += w.start.bytes[from];
    least = std::max(least, alive - taken_over);
  }
  return least;
}

/// The windows of a program, one after the other, and the memory before the next.
class Windows {
 public:
  explicit Windows(const Program& program) : program_(program), of_tensor_(program.tensor_count(), kNone) {
    for (const IoTensor& io : program.inputs) memory_.written[buffer(io.tensor)] = 1;
    for (const StateTensor& state : program.states) memory_.written[buffer(state.tensor)] = 1;
    for (const Step& step : program.steps)
      for (uint32_t b : buffers(step.call.inputs)) ++memory_.readers[b];
    for (const IoTensor& io : program.outputs) ++memory_.readers[buffer(io.tensor)];
    for (const StateTensor& state : program.states) ++memory_.readers[buffer(state.tensor)];
    for (size_t b = 0; b < memory_.bytes.size(); ++b)
      if (memory_.written[b]) memory_.live += memory_.bytes[b];
  }

  /// The window of steps [first, end).
  Window next(size_t first, size_t end) {
    Window w;
    globals_.clear();
    locals_.resize(memory_.bytes.size(), kNone);
    std::vector<std::vector<uint32_t>> writers, earlier_readers;
    for (uint32_t i = 0; i < end - first; ++i) {
      const KernelCall& call = program_.steps[first + i].call;
      Call c;
      for (uint32_t b : buffers(call.inputs)) c.reads.push_back(local(b, w));
      for (uint32_t b : buffers(call.outputs)) c.writes.push_back(local(b, w));
      for (const auto& [input, output] : call.in_place)
        if (!is_constant(call.inputs[input])) c.in_place.emplace_back(local(buffer(call.inputs[input]), w), local(buffer(call.outputs[output]), w));
      if (call.scratch) c.scratch_bytes = program_.tensor(*call.scratch).type.bytes();
      writers.resize(globals_.size());
      earlier_readers.resize(globals_.size());
      auto follows = [&](const std::vector<uint32_t>& calls) {
        for (uint32_t before : calls) w.calls[before].later.push_back(i);
        c.reasons += static_cast<uint32_t>(calls.size());
      };
      for (uint32_t b : c.reads) follows(writers[b]);
      for (uint32_t b : c.writes) follows(earlier_readers[b]);
      for (uint32_t b : c.reads) earlier_readers[b].push_back(i);
      for (uint32_t b : c.writes) writers[b].push_back(i);
      for (const std::vector<uint32_t>& list : {c.reads, c.writes})
        for (uint32_t b : list) w.touched_by[b].push_back(i);
      w.calls.push_back(std::move(c));
    }
    w.start.live = memory_.live;
    for (uint32_t global : globals_) locals_[global] = kNone;
    return w;
  }

  /// The window before has ended so.
  void finish(const Memory& end) {
    memory_.live = end.live;
    for (size_t b = 0; b < globals_.size(); ++b) {
      memory_.readers[globals_[b]] = end.readers[b];
      memory_.written[globals_[b]] = end.written[b];
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  [[nodiscard]] bool is_constant(TensorId id) const { return program_.tensor(program_.root(id).base).constant.has_value(); }

  uint32_t buffer(TensorId id) {
    const TensorId root = program_.root(id).base;
    uint32_t& slot = of_tensor_[index(root)];
    if (slot != kNone) return slot;
    slot = static_cast<uint32_t>(memory_.bytes.size());
    memory_.bytes.push_back(program_.tensor(root).type.bytes());
    memory_.readers.push_back(0);
    memory_.written.push_back(0);
    return slot;
  }

  /// Each once, in order.
  std::vector<uint32_t> buffers(std::span<const TensorId> ids) {
    std::vector<uint32_t> out;
    for (TensorId id : ids)
      if (!is_constant(id)) out.push_back(buffer(id));
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  uint32_t local(uint32_t global, Window& w) {
    if (locals_.size() <= global) locals_.resize(memory_.bytes.size(), kNone);
    uint32_t& slot = locals_[global];
    if (slot != kNone) return slot;
    slot = static_cast<uint32_t>(globals_.size());
    globals_.push_back(global);
    w.start.bytes.push_back(memory_.bytes[global]);
    w.start.readers.push_back(memory_.readers[global]);
    w.start.written.push_back(memory_.written[global]);
    w.touched_by.emplace_back();
    return slot;
  }

  const Program& program_;
  std::vector<uint32_t> of_tensor_;  // buffer of a tensor
  Memory memory_;
  std::vector<uint32_t> globals_;    // buffers of the window
  std::vector<uint32_t> locals_;     // their places in it
};

}  // namespace

Result<bool> schedule(Program& program, PassContext&) {
  const size_t count = program.steps.size(), length = count <= kWhole ? count : kWindow;
  Windows windows(program);
  std::vector<size_t> order;
  bool changed = false;
  for (size_t first = 0; first < count; first += length) {
    const Window w = windows.next(first, std::min(first + length, count));
    const State given = run_as_given(w);
    std::optional<Found> found;
    if (given.peak > least_peak(w)) found = beam_search(w);
    const bool is_better = found && found->end.peak < given.peak;
    for (size_t i = 0; i < w.calls.size(); ++i) order.push_back(first + (is_better ? found->order[i] : i));
    windows.finish(given.memory);
    changed = changed || is_better;
  }
  if (!changed) return false;
  std::vector<Step> steps;
  for (size_t i : order) steps.push_back(std::move(program.steps[i]));
  program.steps = std::move(steps);
  return true;
}

}  // namespace kiln
