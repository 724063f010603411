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
  size_t rank = 0;  // among all by life.first
  int64_t offset = 0;
  [[nodiscard]] int64_t duration() const { return life.last - life.first + 1; }
};

int64_t round_up(int64_t n, int64_t align) { return (n + align - 1) / align * align; }

/// Finds items that are alive in a given time. Their indices are sorted by the time when they come to life.
class LifeIndex {
 public:
  /// Nothing is in it yet.
  explicit LifeIndex(size_t count) {
    while (leaves_ < count) leaves_ *= 2;
    last_.assign(2 * leaves_, INT64_MIN);
  }
  /// Item `i` lives until `last`.
  void add(size_t i, int64_t last) {
    for (i += leaves_; i > 0 && last_[i] < last; i /= 2) last_[i] = last;
  }
  /// Those of the first `count` items that live at `time` or later.
  [[nodiscard]] std::vector<size_t> living(size_t count, int64_t time) const {
    std::vector<size_t> out;
    collect(1, 0, leaves_, count, time, out);
    return out;
  }

 private:
  void collect(size_t node, size_t begin, size_t end, size_t count, int64_t time, std::vector<size_t>& out) const {
    if (begin >= count || last_[node] < time) return;
    if (end - begin == 1) return out.push_back(begin);
    size_t middle = (begin + end) / 2;
    collect(2 * node, begin, middle, count, time, out);
    collect(2 * node + 1, middle, end, count, time, out);
  }

  size_t leaves_ = 1;
  std::vector<int64_t> last_;  ///< the largest below a node of the tree
};

/// How high the arena is filled at each step.
class Skyline {
 public:
  explicit Skyline(int64_t steps) {
    while (leaves_ < static_cast<size_t>(steps) + 2) leaves_ *= 2;
    highest_.assign(2 * leaves_, 0);
    floor_ = highest_;
  }
  [[nodiscard]] int64_t height(const Lifetime& life) const { return height(1, -1, static_cast<int64_t>(leaves_) - 1, life); }
  void fill(const Lifetime& life, int64_t height) { fill(1, -1, static_cast<int64_t>(leaves_) - 1, life, height); }

 private:
  // A node stands for the steps [begin, end).
  int64_t height(size_t node, int64_t begin, int64_t end, const Lifetime& life) const {
    if (life.last < begin || end <= life.first) return 0;
    if (life.first <= begin && end <= life.last + 1) return highest_[node];
    int64_t middle = begin + (end - begin) / 2;
    return std::max({floor_[node], height(2 * node, begin, middle, life), height(2 * node + 1, middle, end, life)});
  }
  void fill(size_t node, int64_t begin, int64_t end, const Lifetime& life, int64_t height) {
    if (life.last < begin || end <= life.first) return;
    highest_[node] = std::max(highest_[node], height);
    if (life.first <= begin && end <= life.last + 1) {
      floor_[node] = std::max(floor_[node], height);
      return;
    }
    int64_t middle = begin + (end - begin) / 2;
    fill(2 * node, begin, middle, life, height);
    fill(2 * node + 1, middle, end, life, height);
  }

  size_t leaves_ = 1;
  std::vector<int64_t> highest_;  ///< of the steps below a node
  std::vector<int64_t> floor_;    ///< all steps below a node are filled as high as that
};

/// The lowest place for `item` between those that live with it.
int64_t lowest_gap(const Item& item, std::vector<const Item*>& others) {
  std::sort(others.begin(), others.end(), [](const Item* a, const Item* b) { return a->offset < b->offset; });
  int64_t at = 0;
  for (const Item* other : others) {
    if (at + item.bytes <= other->offset) break;
    at = std::max(at, other->offset + other->bytes);
  }
  return at;
}

/// Pairs of items alive together that one attempt looks at, and so many more for each item. Then the rest goes on top of what is there.
constexpr size_t kMostPairs = 4'000'000;
constexpr size_t kMostPairsOfItem = 100;

/// Places items in their order, each in the lowest gap that fits. Returns the arena's size.
int64_t place(std::vector<Item>& items, int64_t steps) {
  std::vector<int64_t> firsts(items.size());
  std::vector<const Item*> of_rank(items.size());
  for (const Item& item : items) {
    firsts[item.rank] = item.life.first;
    of_rank[item.rank] = &item;
  }
  LifeIndex index(items.size());
  const size_t most = kMostPairs + kMostPairsOfItem * items.size();
  size_t pairs = 0, n = 0;
  int64_t arena = 0;
  for (; n < items.size() && pairs < most; ++n) {
    Item& item = items[n];
    auto born = static_cast<size_t>(std::upper_bound(firsts.begin(), firsts.end(), item.life.last) - firsts.begin());
    std::vector<const Item*> others;
    for (size_t rank : index.living(born, item.life.first)) others.push_back(of_rank[rank]);
    pairs += others.size();
    item.offset = lowest_gap(item, others);
    arena = std::max(arena, item.offset + item.bytes);
    index.add(item.rank, item.life.last);
  }
  if (n == items.size()) return arena;
  Skyline skyline(steps);
  for (size_t i = 0; i < n; ++i) skyline.fill(items[i].life, items[i].offset + items[i].bytes);
  for (; n < items.size(); ++n) {
    items[n].offset = skyline.height(items[n].life);
    skyline.fill(items[n].life, items[n].offset + items[n].bytes);
    arena = std::max(arena, items[n].offset + items[n].bytes);
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
  std::vector<int64_t> change(static_cast<size_t>(steps) + 3);  // from step -1 on
  for (const Item& i : items) {
    change[static_cast<size_t>(i.life.first + 1)] += size(i);
    change[static_cast<size_t>(i.life.last + 2)] -= size(i);
  }
  Bound bound;
  int64_t sum = 0;
  for (int64_t s = -1; s <= steps; ++s) {
    sum += change[static_cast<size_t>(s + 1)];
    if (sum > bound.bytes) bound = {sum, std::clamp<int64_t>(s, 0, std::max<int64_t>(steps - 1, 0))};
  }
  return bound;
}

/// Depth-first search for a plan within `capacity`: buffers in the order in which they come to life, each at the lowest or the
/// highest place that is free. A chain needs no more than the two ends, and a wrong choice shows at the next buffer.
class TwoEndedSearch {
 public:
  TwoEndedSearch(std::vector<Item> items, int64_t capacity) : items_(std::move(items)), index_(items_.size()), capacity_(capacity) {
    std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
      return std::tuple(a.life.first, -a.bytes, a.id) < std::tuple(b.life.first, -b.bytes, b.id);
    });
  }
  /// The placed items, or nothing when there is no such plan or the search gets too long.
  std::optional<std::vector<Item>> run() {
    if (items_.size() > kMostItems) return std::nullopt;
    for (size_t i = 0; i < items_.size(); ++i) index_.add(i, items_[i].life.last);
    if (!place_from(0)) return std::nullopt;
    return items_;
  }

 private:
  static constexpr size_t kMostItems = 2000;
  static constexpr int kMostPlacements = 20'000;

  /// Offsets at which item `n` fits between the earlier ones that live with it: the lowest and the highest.
  std::vector<int64_t> candidates(size_t n) const {
    std::vector<std::pair<int64_t, int64_t>> taken;
    for (size_t i : index_.living(n, items_[n].life.first)) taken.emplace_back(items_[i].offset, items_[i].offset + items_[i].bytes);
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
  LifeIndex index_;
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
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return std::tuple(a.life.first, a.id) < std::tuple(b.life.first, b.id); });
  for (size_t i = 0; i < items.size(); ++i) items[i].rank = i;
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
    int64_t bytes = place(items, steps);
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
  }
  for (const auto& [lower, upper] : neighbours(program)) {
    const ProgramTensor &a = program.tensor(lower), &b = program.tensor(upper);
    KILN_CHECK(a.arena_offset + a.type.bytes() <= b.arena_offset, fmt::format("buffers {} and {} overlap while both are alive", a.name, b.name));
  }
}

}  // namespace kiln
