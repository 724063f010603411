// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/state_proposals.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include "compiler/ops/ops.h"
#include "compiler/ops/recurrent.h"

namespace kiln {
namespace {

using Words = std::vector<std::string>;

/// "lstm_1/hiddenOut0" -> lstm 1 hidden out 0.
Words words_of(const std::string& name) {
  Words words;
  char before = 0;
  for (char c : name) {
    const auto u = static_cast<unsigned char>(c), b = static_cast<unsigned char>(before);
    const bool same = std::isalnum(b) && std::isdigit(u) == std::isdigit(b) && !(std::isupper(u) && !std::isupper(b));
    if (std::isalnum(u)) {
      if (!same || words.empty()) words.emplace_back();
      words.back() += static_cast<char>(std::tolower(u));
    }
    before = c;
  }
  return words;
}

/// Words that tell an old value from the new one.
bool is_role(const std::string& word) {
  static const std::set<std::string> kRoles = {"in",      "input", "old",     "prev", "previous", "last", "init", "initial",
                                               "cur",     "current", "past",  "present", "out",  "output", "new", "next",
                                               "n",       "updated", "final", "0",    "o",        "i",    "t"};
  return kRoles.count(word) > 0;
}

bool is_memory(const std::string& word) {
  static const std::set<std::string> kMemory = {"state",   "states", "hidden", "cell", "cache", "caches", "memory", "mem", "buffer",
                                                "context", "past",   "h",      "c",    "hx",    "cx",     "hn",     "cn"};
  return kMemory.count(word) > 0;
}

/// The name without words of a role; "hn" and "cn" are "h" and "c" as PyTorch writes them.
Words stem(const std::string& name) {
  Words out;
  for (std::string& word : words_of(name)) {
    if (is_role(word)) continue;
    if (word == "values" && out == Words{"key"}) {  // transformers: "past_key_values.1.key" becomes "present.1.key"
      out.clear();
      continue;
    }
    if (word == "hn" || word == "cn" || word == "hx" || word == "cx") word.pop_back();
    out.push_back(std::move(word));
  }
  return out;
}

Shape without_ones(Shape shape) {
  std::erase(shape, 1);
  return shape;
}

std::string input_name(const Graph& graph, ValueId v) { return graph.value(v).onnx ? graph.value(v).onnx->name : graph.value(v).name; }

/// Whether the value, or a part of it that is only moved, is what a recurrent layer starts with.
bool starts_a_layer(const Graph& graph, ValueId value) {
  for (NodeId id : graph.value(value).users) {
    const Node& node = graph.node(id);
    if (node.op == &ops::rnn || node.op == &ops::gru || node.op == &ops::lstm) {
      for (size_t input : {kRecurrentH, kRecurrentC})
        if (input < node.inputs.size() && node.inputs[input] == value) return true;
    } else if (node.op->is(kMovesData) || node.op->is(kView)) {
      for (ValueId moved : node.outputs)
        if (starts_a_layer(graph, moved)) return true;
    }
  }
  return false;
}

bool looks_like_memory(const Graph& graph, ValueId input) {
  const Words words = words_of(input_name(graph, input));
  return std::any_of(words.begin(), words.end(), is_memory) || starts_a_layer(graph, input);
}

/// The one output among `fitting` whose name has the input's stem; else the only one that fits, if the input is memory. -1: none.
int64_t partner(const Graph& graph, ValueId input, const std::vector<size_t>& fitting) {
  const Words wanted = stem(input_name(graph, input));
  std::vector<size_t> named;
  for (size_t i : fitting)
    if (!wanted.empty() && stem(graph.output_name(i)) == wanted) named.push_back(i);
  if (named.size() == 1) return static_cast<int64_t>(named.front());
  if (fitting.size() == 1 && looks_like_memory(graph, input)) return static_cast<int64_t>(fitting.front());
  return -1;
}

}  // namespace

bool can_be_state(const TensorType& output, const TensorType& input) {
  return output.dtype == input.dtype && without_ones(output.shape) == without_ones(input.shape);
}

std::vector<StatePair> find_states(const Graph& graph, const std::vector<StatePair>& known) {
  std::set<std::string> taken;
  std::vector<StatePair> found;
  auto is_taken = [&](const std::string& output) {
    return taken.count(output) > 0 || std::any_of(known.begin(), known.end(), [&](const StatePair& pair) { return pair.output == output; });
  };
  for (ValueId input : graph.inputs) {
    const std::string name = input_name(graph, input);
    if (std::any_of(known.begin(), known.end(), [&](const StatePair& pair) { return pair.input == name; })) continue;
    std::vector<size_t> fitting;
    for (size_t i = 0; i < graph.outputs().size(); ++i)
      if (!is_taken(graph.output_name(i)) && can_be_state(graph.type(graph.outputs()[i]), graph.type(input))) fitting.push_back(i);
    const int64_t output = partner(graph, input, fitting);
    if (output < 0) continue;
    found.push_back({graph.output_name(static_cast<size_t>(output)), name});
    taken.insert(found.back().output);
  }
  if (found.size() + known.size() >= graph.inputs.size()) found.clear();
  return found;
}

void propose_states(const Graph& graph, const std::vector<StatePair>& known, Diagnostics& diagnostics) {
  const std::vector<StatePair> found = find_states(graph, known);
  if (found.empty()) return;
  std::string pairs, flags;
  for (const StatePair& pair : found) {
    pairs += fmt::format("{}'{}' and '{}'", pairs.empty() ? "" : ", ", pair.output, pair.input);
    flags += fmt::format("{}--state {}={}", flags.empty() ? "" : " ", pair.output, pair.input);
  }
  diagnostics.note(DiagId::state_proposed, fmt::format("output and input look like one state: {}.", pairs),
                   fmt::format("add `{}` to keep {} inside the arena from run to run.", flags, found.size() == 1 ? "it" : "them"));
}

}  // namespace kiln
