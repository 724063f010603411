// SPDX-License-Identifier: Apache-2.0
// Depth first over the graph of calls; a function that is met again on the way down is a cycle.
#include "compiler/objects/stack_bound.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compiler/objects/runtime_symbols.h"

namespace kiln {
namespace {

class Walk {
 public:
  explicit Walk(const ObjectCode& code) : code_(code) {}

  StackBound function(size_t index) {
    if (auto known = done_.find(index); known != done_.end()) return known->second;
    const CodeFunction& f = code_.functions[index];
    StackBound bound = deepest_callee(index, f);
    if (bound.bytes) *bound.bytes += *f.frame_bytes;
    bound.chain.insert(bound.chain.begin(), StackFrame{f.name, f.frame_bytes.value_or(0)});
    return done_[index] = bound;
  }

 private:
  StackBound deepest_callee(size_t index, const CodeFunction& f) {
    if (!f.unbounded.empty()) return no_bound(fmt::format("{}: {}", f.name, f.unbounded));
    if (!f.frame_bytes) return no_bound(fmt::format("{}: the compiler does not know its frame", f.name));
    const bool open = std::find(open_.begin(), open_.end(), index) != open_.end();
    if (open) return no_bound(fmt::format("{} is called again by what it calls", f.name));
    open_.push_back(index);
    StackBound deepest{0, {}, {}};
    for (const CodeCall& call : f.calls) {
      StackBound bound = call.function ? function(*call.function) : routine(call.symbol);
      if (!bound.bytes || *bound.bytes > *deepest.bytes) deepest = std::move(bound);
      if (!deepest.bytes) break;
    }
    open_.pop_back();
    return deepest;
  }

  static StackBound no_bound(std::string reason) { return {{}, {}, std::move(reason)}; }

  static StackBound routine(const std::string& symbol) {
    std::optional<RuntimeRoutine> known = runtime_routine(symbol);
    if (!known) return no_bound(fmt::format("{} is not part of the bundle", symbol));
    return {known->stack_bytes, {{symbol, known->stack_bytes}}, {}};
  }

  const ObjectCode& code_;
  std::vector<size_t> open_;
  std::map<size_t, StackBound> done_;
};

}  // namespace

StackBound stack_bound(const ObjectCode& code, const std::string& root) {
  const CodeFunction* f = code.find(root);
  if (!f) return {{}, {}, fmt::format("there is no function {}", root)};
  if (!code.indirect.empty()) return {{}, {}, fmt::format("functions may be called by their addresses: {}", code.indirect)};
  return Walk(code).function(static_cast<size_t>(f - code.functions.data()));
}

}  // namespace kiln
