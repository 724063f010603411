// SPDX-License-Identifier: Apache-2.0
// <name>_memory.h: where every tensor lies in the arena, a chart of the lifetimes, and the proof by static_assert that no two
// tensors that are alive together overlap.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/emit/bundle_writer.h"

namespace kiln {
namespace {

struct Row {
  TensorId id;
  Lifetime life;  // of the buffer
};

/// Buffers that own bytes, by offset.
std::vector<Row> buffers(const Program& program) {
  std::vector<Lifetime> lives = lifetimes(program);
  std::vector<Row> rows;
  for (size_t i = 0; i < lives.size(); ++i)
    if (lives[i].last >= lives[i].first) rows.push_back({TensorId{static_cast<uint32_t>(i)}, lives[i]});
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

bool is_state(const Program& program, TensorId id) {
  return std::any_of(program.states.begin(), program.states.end(), [&](const StateTensor& state) { return state.tensor == id; });
}

/// One line per buffer, one column per step; more than kColumns steps share columns.
void write_chart(CodeWriter& out, const Program& program, const std::vector<Row>& rows) {
  constexpr int64_t kColumns = 72;
  auto steps = static_cast<int64_t>(program.steps.size());
  int64_t per_column = std::max<int64_t>(1, (steps + 2 + kColumns - 1) / kColumns);
  out.linef("// Lifetimes, {}; first column: inputs being written, last: outputs being read.",
            per_column == 1 ? "one column per layer" : fmt::format("one column per {} layers", per_column));
  for (const Row& row : rows) {
    const ProgramTensor& t = program.tensor(row.id);
    std::string bar;
    for (int64_t s = -1; s <= steps; s += per_column) {
      Lifetime column{s, std::min(s + per_column - 1, steps)};
      bar += column.overlaps(row.life) ? '#' : '.';
    }
    out.linef("//   {:>8} +{:<8} {}  {}{}", t.arena_offset, t.type.bytes(), bar, t.name, is_state(program, row.id) ? " (state)" : "");
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
  for (const Row& row : rows) {
    const ProgramTensor& t = p.tensor(row.id);
    out.linef("constexpr uint32_t {} = {};  // {}, {} bytes, {}", t.name, t.arena_offset, describe_type(t.type), t.type.bytes(),
              is_state(p, row.id) ? "kept from run to run" : span_text(row.life, steps));
    for (size_t i = 0; i < p.tensor_count(); ++i) {
      TensorId id{static_cast<uint32_t>(i)};
      const ProgramTensor& view = p.tensor(id);
      ProgramTensor::View at = p.root(id);
      if (id == row.id || at.base != row.id) continue;
      out.linef("constexpr uint32_t {} = {} + {};  // {}, the same bytes", view.name, t.name, at.offset_bytes, describe_type(view.type));
    }
  }
  out.line();
  out.line("// The proof: everything lies in the arena, and what is alive together lies apart.");
  out.line("constexpr bool apart(uint32_t a, uint32_t a_bytes, uint32_t b, uint32_t b_bytes) {");
  out.line("  return a + a_bytes <= b || b + b_bytes <= a;");
  out.line("}");
  for (const Row& row : rows) {
    const ProgramTensor& t = p.tensor(row.id);
    out.linef("static_assert({0} % {1}_ARENA_ALIGN == 0 && {0} + {2} <= {1}_ARENA_BYTES, \"{0}\");", t.name, c.upper, t.type.bytes());
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t k = i + 1; k < rows.size(); ++k) {
      if (!rows[i].life.overlaps(rows[k].life)) continue;
      const ProgramTensor &a = p.tensor(rows[i].id), &b = p.tensor(rows[k].id);
      out.linef("static_assert(apart({0}, {1}, {2}, {3}), \"{0}, {2}\");", a.name, a.type.bytes(), b.name, b.type.bytes());
    }
  }
  out.line();
  out.line("}  // namespace memory");
  out.linef("}}  // namespace {}", c.name);
  out.line();
  out.linef("#endif  // {}_MEMORY_H", c.upper);
  return std::move(out).text();
}

}  // namespace kiln
