// SPDX-License-Identifier: Apache-2.0
// <name>_memory.h: where every tensor lies in the arena, a chart of the lifetimes, and the proof by static_assert that no two
// tensors that are alive together overlap.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "compiler/emit/bundle_writer.h"

namespace kiln {
namespace {

struct Row {
  TensorId id;
  Lifetime life;  // of the buffer
  bool is_state = false;
};

/// More buffers make no chart that anybody reads.
constexpr std::ptrdiff_t kChartRows = 1000;

/// Buffers that own bytes, by offset.
std::vector<Row> buffers(const Program& program) {
  std::vector<Lifetime> lives = lifetimes(program);
  std::vector<Row> rows;
  std::set<TensorId> states;
  for (const StateTensor& state : program.states) states.insert(state.tensor);
  for (size_t i = 0; i < lives.size(); ++i)
    if (TensorId id{static_cast<uint32_t>(i)}; lives[i].last >= lives[i].first) rows.push_back({id, lives[i], states.contains(id)});
  std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    int64_t oa = program.tensor(a.id).arena_offset, ob = program.tensor(b.id).arena_offset;
    return oa != ob ? oa < ob : a.life.first < b.life.first;
  });
  return rows;
}

std::string span_text(const Lifetime& life, int64_t steps) {
  std::string first = life.first < 0 ? "start" : fmt::format("layer {}", life.first + 1);
  std::string last = life.last >= steps ? "end" : fmt::format("layer {}", life.last + 1);
  return first == last ? first : fmt::format("{} to {}", first, last);
}

/// The tensors that lie in each buffer, by its id, the buffer itself excepted.
std::map<TensorId, std::vector<TensorId>> views(const Program& program) {
  std::map<TensorId, std::vector<TensorId>> out;
  for (size_t i = 0; i < program.tensor_count(); ++i) {
    const TensorId id{static_cast<uint32_t>(i)}, base = program.root(id).base;
    if (base != id) out[base].push_back(id);
  }
  return out;
}

/// The rows that the chart shows: all, or of many the largest.
std::vector<Row> charted(const Program& program, std::vector<Row> rows) {
  if (rows.size() <= kChartRows) return rows;
  std::vector<int64_t> sizes;
  for (const Row& row : rows) sizes.push_back(program.tensor(row.id).type.bytes());
  std::nth_element(sizes.begin(), sizes.begin() + kChartRows, sizes.end(), std::greater<>());
  const int64_t limit = sizes[kChartRows];  // of the largest that is left out; others of its size are taken as far as there is room
  auto room = kChartRows - std::count_if(sizes.begin(), sizes.end(), [&](int64_t size) { return size > limit; });
  std::erase_if(rows, [&](const Row& row) {
    const int64_t size = program.tensor(row.id).type.bytes();
    return size < limit || (size == limit && room-- <= 0);
  });
  return rows;
}

/// One line per buffer, one column per step; more than kColumns steps share columns.
void write_chart(CodeWriter& out, const Program& program, const std::vector<Row>& all) {
  constexpr int64_t kColumns = 72;
  const std::vector<Row> rows = charted(program, all);
  auto steps = static_cast<int64_t>(program.steps.size());
  int64_t per_column = std::max<int64_t>(1, (steps + 2 + kColumns - 1) / kColumns);
  out.linef("// Lifetimes, {}; first column: inputs being written, last: outputs being read.",
            per_column == 1 ? "one column per layer" : fmt::format("one column per {} layers", per_column));
  if (rows.size() < all.size()) out.linef("// The {} largest of {} buffers.", rows.size(), all.size());
  for (const Row& row : rows) {
    const ProgramTensor& t = program.tensor(row.id);
    std::string bar;
    for (int64_t s = -1; s <= steps; s += per_column) {
      Lifetime column{s, std::min(s + per_column - 1, steps)};
      bar += column.overlaps(row.life) ? '#' : '.';
    }
    out.linef("//   {:>8} +{:<8} {}  {}{}", t.arena_offset, t.type.bytes(), bar, t.name, row.is_state ? " (state)" : "");
  }
}

}  // namespace

std::string write_memory_header(const BundleContext& c) {
  const Program& p = c.program;
  std::vector<Row> rows = buffers(p);
  auto steps = static_cast<int64_t>(p.steps.size());
  CodeWriter out;
  write_file_head(out, c, fmt::format("{}_memory.h: the arena.", c.name));
  out.line("//");
  out.linef("// {} bytes; no plan for this order of layers can need less than {} (the tensors alive in layer {}).",
            with_commas(p.memory.arena_bytes), with_commas(p.memory.live_lower_bound_bytes), p.memory.live_peak_step + 1);
  out.line("//");
  write_chart(out, p, rows);
  out.linef("#ifndef {}_MEMORY_H", c.upper);
  out.linef("#define {}_MEMORY_H", c.upper);
  out.line();
  out.linef("#include \"{}.h\"", c.name);
  out.line();
  out.linef("namespace {} {{", c.name);
  out.line("namespace memory {");
  out.line();
  out.line("// Byte offsets in the arena.");
  const std::map<TensorId, std::vector<TensorId>> views_of = views(p);
  for (const Row& row : rows) {
    const ProgramTensor& t = p.tensor(row.id);
    out.linef("constexpr uint32_t {} = {};  // {}, {} bytes, {}", t.name, t.arena_offset, describe_type(t.type), t.type.bytes(),
              row.is_state ? "kept from run to run" : span_text(row.life, steps));
    auto inside = views_of.find(row.id);
    if (inside == views_of.end()) continue;
    for (TensorId id : inside->second) {
      const ProgramTensor& view = p.tensor(id);
      out.linef("constexpr uint32_t {} = {} + {};  // {}, the same bytes", view.name, t.name, p.root(id).offset_bytes, describe_type(view.type));
    }
  }
  out.line();
  out.line("// The proof: everything lies in the arena, and what is alive together lies apart. The second part holds of each tensor and its");
  out.line("// neighbours when it comes to life, in the order of the layers; between tensors that are no neighbours lies a chain of such pairs.");
  for (const Row& row : rows) {
    const ProgramTensor& t = p.tensor(row.id);
    out.linef("static_assert({0} % {1}_ARENA_ALIGN == 0 && {0} + {2} <= {1}_ARENA_BYTES, \"{0}\");", t.name, c.upper, t.type.bytes());
  }
  for (const auto& [lower, upper] : neighbours(p)) {
    const ProgramTensor &a = p.tensor(lower), &b = p.tensor(upper);
    out.linef("static_assert({0} + {1} <= {2}, \"{0}, {2}\");", a.name, a.type.bytes(), b.name);
  }
  out.line();
  out.line("}  // namespace memory");
  out.linef("}}  // namespace {}", c.name);
  out.line();
  out.linef("#endif  // {}_MEMORY_H", c.upper);
  return std::move(out).text();
}

}  // namespace kiln
