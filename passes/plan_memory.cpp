// SPDX-License-Identifier: Apache-2.0
#include "passes/plan_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <tuple>

namespace kiln {
namespace {

struct Item {
  TensorId id;
  int64_t bytes;   // rounded up to the alignment
  Lifetime life;
  int64_t offset = 0;
  [[nodiscard]] int64_t duration() const { return life.last - life.first + 1; }
};

int64_t round_up(int64_t n, int64_t align) { return (n + align - 1) / align * align; }

/// Places items in their order, each in the lowest gap that fits. Returns the arena's size.
int64_t place(std::vector<Item>& items) {
  int64_t arena = 0;
  std::vector<const Item*> placed;  // by offset
  for (Item& item : items) {
    int64_t at = 0;
    for (const Item* other : placed) {
      if (!other->life.overlaps(item.life)) continue;
      if (at + item.bytes <= other->offset) break;
      at = std::max(at, other->offset + other->bytes);
    }
    item.offset = at;
    arena = std::max(arena, at + item.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &item,
                                   [](const Item* a, const Item* b) { return a->offset < b->offset; }),
                  &item);
  }
  return arena;
}

using Key = std::tuple<int64_t, int64_t, int64_t>;

/// The orders that are tried: larger keys first, then smaller ids.
const std::function<Key(const Item&)> kOrders[] = {
    [](const Item& i) { return Key{i.bytes, i.duration(), -i.life.first}; },
    [](const Item& i) { return Key{i.bytes * i.duration(), i.bytes, -i.life.first}; },
    [](const Item& i) { return Key{i.duration(), i.bytes, -i.life.first}; },
    [](const Item& i) { return Key{-i.life.first, i.bytes, i.duration()}; },
    [](const Item& i) { return Key{i.life.last, i.bytes, i.duration()}; },
};

struct Bound {
  int64_t bytes = 0, step = 0;
};

/// The largest sum of sizes alive at one step.
Bound live_bound(const std::vector<Item>& items, int64_t steps, const std::function<int64_t(const Item&)>& size) {
  Bound bound;
  for (int64_t s = -1; s <= steps; ++s) {
    int64_t sum = 0;
    for (const Item& i : items)
      if (i.life.first <= s && s <= i.life.last) sum += size(i);
    if (sum > bound.bytes) bound = {sum, std::clamp<int64_t>(s, 0, std::max<int64_t>(steps - 1, 0))};
  }
  return bound;
}

/// Depth-first search for a plan within `capacity`: buffers in the order in which they come to life, each at the lowest or the
/// highest place that is free. A chain needs no more than the two ends, and a wrong choice shows at the next buffer.
class TwoEndedSearch {
 public:
  TwoEndedSearch(std::vector<Item> items, int64_t capacity) : items_(std::move(items)), capacity_(capacity) {
    std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
      return std::tuple(a.life.first, -a.bytes, a.id) < std::tuple(b.life.first, -b.bytes, b.id);
    });
  }
  /// The placed items, or nothing when there is no such plan or the search gets too long.
  std::optional<std::vector<Item>> run() {
    if (items_.size() > kMostItems || !place_from(0)) return std::nullopt;
    return items_;
  }

 private:
  static constexpr size_t kMostItems = 2000;
  static constexpr int kMostPlacements = 20'000;

  /// Offsets at which item `n` fits between the earlier ones that live with it: the lowest and the highest.
  std::vector<int64_t> candidates(size_t n) const {
    std::vector<std::pair<int64_t, int64_t>> taken;
    for (size_t i = 0; i < n; ++i)
      if (items_[i].life.overlaps(items_[n].life)) taken.emplace_back(items_[i].offset, items_[i].offset + items_[i].bytes);
    taken.emplace_back(capacity_, capacity_);
    std::sort(taken.begin(), taken.end());
    std::vector<int64_t> out;
    int64_t low = 0;
    for (auto [begin, end] : taken) {
      if (begin - low >= items_[n].bytes) {
        if (out.empty()) out = {low, low};
        out[1] = begin - items_[n].bytes;
      }
      low = std::max(low, end);
    }
    if (out.size() == 2 && out[0] == out[1]) out.pop_back();
    return out;
  }

  bool place_from(size_t n) {
    if (n == items_.size()) return true;
    for (int64_t offset : candidates(n)) {
      if (++placements_ > kMostPlacements) return false;
      items_[n].offset = offset;
      if (place_from(n + 1)) return true;
    }
    return false;
  }

  std::vector<Item> items_;
  int64_t capacity_;
  int placements_ = 0;
};

}  // namespace

Status plan_memory(Program& program, PassContext& context) {
  const int64_t align = context.target.arena_align;
  std::vector<Lifetime> lives = lifetimes(program);
  std::vector<Item> items;
  for (size_t i = 0; i < program.tensor_count(); ++i) {
    TensorId id{static_cast<uint32_t>(i)};
    if (lives[i].last < lives[i].first) continue;
    // A buffer of no bytes still gets an address of its own.
    items.push_back({id, std::max(align, round_up(program.tensor(id).type.bytes(), align)), lives[i]});
  }
  auto steps = static_cast<int64_t>(program.steps.size());
  Bound exact = live_bound(items, steps, [&](const Item& i) { return program.tensor(i.id).type.bytes(); });
  Bound aligned = live_bound(items, steps, [](const Item& i) { return i.bytes; });

  std::vector<Item> best;
  int64_t best_bytes = INT64_MAX;
  for (const auto& key : kOrders) {
    std::sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
      Key ka = key(a), kb = key(b);
      return ka != kb ? ka > kb : a.id < b.id;
    });
    int64_t bytes = place(items);
    if (bytes < best_bytes) {
      best_bytes = bytes;
      best = items;
    }
    if (best_bytes == aligned.bytes) break;
  }
  // Somewhere between the bound and what greedy found: the bound itself first, then by halves.
  for (int64_t low = aligned.bytes; low < best_bytes;) {
    int64_t capacity = low == aligned.bytes ? low : round_up(low + (best_bytes - low) / 2, align);
    if (capacity >= best_bytes) break;
    if (std::optional<std::vector<Item>> found = TwoEndedSearch(items, capacity).run()) {
      best_bytes = capacity;
      best = *std::move(found);
    } else {
      low = capacity + align;
    }
  }
  if (best_bytes > INT32_MAX && !best.empty())
    return error(DiagId::limit_exceeded, fmt::format("the arena would need {} bytes, the limit is {}.", best_bytes, INT32_MAX));

  // The last buffer's padding is no part of the arena: nobody reads it.
  int64_t arena = 0;
  for (const Item& item : best) {
    program.tensor(item.id).arena_offset = item.offset;
    arena = std::max(arena, item.offset + program.tensor(item.id).type.bytes());
  }
  for (size_t i = 0; i < program.tensor_count(); ++i) {
    TensorId id{static_cast<uint32_t>(i)};
    ProgramTensor::View at = program.root(id);
    if (at.base == id || program.tensor(at.base).constant || program.tensor(at.base).arena_offset < 0) continue;
    program.tensor(id).arena_offset = program.tensor(at.base).arena_offset + at.offset_bytes;
  }
  program.memory = {std::max<int64_t>(arena, 1), exact.bytes, exact.step};
  check_plan(program, align);
  return Done{};
}

void check_plan(const Program& program, int64_t align) {
  std::vector<Lifetime> lives = lifetimes(program);
  std::vector<TensorId> owners;
  for (size_t i = 0; i < program.tensor_count(); ++i) {
    TensorId id{static_cast<uint32_t>(i)};
    const ProgramTensor& t = program.tensor(id);
    if (t.view) {
      ProgramTensor::View at = program.root(id);
      KILN_CHECK(at.offset_bytes >= 0 && at.offset_bytes + t.type.bytes() <= program.tensor(at.base).type.bytes(),
                 fmt::format("view {} leaves its base {}", t.name, program.tensor(at.base).name));
    }
    if (lives[i].last < lives[i].first) continue;
    KILN_CHECK(t.arena_offset >= 0 && t.arena_offset % align == 0, fmt::format("buffer {} has a bad offset", t.name));
    KILN_CHECK(t.arena_offset + t.type.bytes() <= program.memory.arena_bytes, fmt::format("buffer {} leaves the arena", t.name));
    for (TensorId other : owners) {
      if (!lives[index(other)].overlaps(lives[i])) continue;
      const ProgramTensor& o = program.tensor(other);
      bool apart = o.arena_offset + o.type.bytes() <= t.arena_offset || t.arena_offset + t.type.bytes() <= o.arena_offset;
      KILN_CHECK(apart, fmt::format("buffers {} and {} overlap while both are alive", o.name, t.name));
    }
    owners.push_back(id);
  }
}

}  // namespace kiln
