// SPDX-License-Identifier: Apache-2.0
#include "passes/plan_memory.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>

#include "passes/share_memory.h"

using namespace kiln;

namespace {

const Target kTarget = [] {
  Target t;
  t.name = "test";
  t.arena_align = 16;
  return t;
}();

TensorId add_tensor(Program& p, int64_t bytes, const std::string& name = "t") {
  ProgramTensor t;
  t.name = name;
  t.type = TensorType{DType::u8, {bytes}, {}};
  return p.add_tensor(std::move(t));
}

void add_step(Program& p, std::vector<TensorId> inputs, std::vector<TensorId> outputs, std::vector<InPlace> in_place = {}) {
  Step step;
  step.call.inputs = std::move(inputs);
  step.call.outputs = std::move(outputs);
  step.call.in_place = std::move(in_place);
  p.steps.push_back(std::move(step));
}

void plan(Program& p) {
  Diagnostics diagnostics;
  PassContext context{kTarget, diagnostics};
  REQUIRE(plan_memory(p, context).ok());
}

bool share(Program& p) {
  Diagnostics diagnostics;
  PassContext context{kTarget, diagnostics};
  Result<bool> changed = share_memory(p, context);
  REQUIRE(changed.ok());
  return *changed;
}

/// input -> sizes[0] -> sizes[1] -> ... -> output
Program chain(const std::vector<int64_t>& sizes, bool in_place = false) {
  Program p;
  TensorId last = add_tensor(p, sizes[0]);
  p.inputs.push_back({"x", "x", last});
  for (size_t i = 1; i < sizes.size(); ++i) {
    TensorId next = add_tensor(p, sizes[i]);
    add_step(p, {last}, {next}, in_place ? std::vector<InPlace>{0} : std::vector<InPlace>{});
    last = next;
  }
  p.outputs.push_back({"y", "y", last});
  return p;
}

}  // namespace

TEST_CASE("the arena of a chain is the largest pair of neighbours") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<int64_t> sizes;
    for (int i = 0; i < 12; ++i) sizes.push_back(16 * std::uniform_int_distribution<int64_t>(1, 500)(random));
    int64_t bound = 0;
    for (size_t i = 1; i < sizes.size(); ++i) bound = std::max(bound, sizes[i - 1] + sizes[i]);
    Program p = chain(sizes);
    plan(p);
    CHECK(p.memory.live_lower_bound_bytes == bound);
    CHECK(p.memory.arena_bytes == bound);
  }
}

TEST_CASE("the plan of any program is proved, and stays near the bound") {
  std::mt19937 random(11);
  auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  double worst = 1;
  for (int round = 0; round < 200; ++round) {
    Program p;
    std::vector<TensorId> made{add_tensor(p, pick(1, 4000))};
    p.inputs.push_back({"x", "x", made[0]});
    for (int s = 0; s < 40; ++s) {
      std::vector<TensorId> inputs{made.back()};
      while (pick(0, 2) == 0) inputs.push_back(made[static_cast<size_t>(pick(0, static_cast<int>(made.size()) - 1))]);
      made.push_back(add_tensor(p, pick(1, 4000)));
      add_step(p, inputs, {made.back()});
    }
    p.outputs.push_back({"y", "y", made.back()});
    plan(p);  // runs check_plan
    CHECK(p.memory.arena_bytes >= p.memory.live_lower_bound_bytes);
    worst = std::max(worst, static_cast<double>(p.memory.arena_bytes) / static_cast<double>(p.memory.live_lower_bound_bytes));
  }
  CHECK(worst < 1.35);
}

TEST_CASE("an output takes over an input that dies there") {
  Program p = chain({64, 64, 64}, true);
  CHECK(share(p));
  plan(p);
  CHECK(p.memory.arena_bytes == 64);
}

TEST_CASE("an input that is needed later, is larger, or is read through another operand is not taken over") {
  Program later = chain({64, 64, 64}, true);
  later.steps[1].call.inputs.push_back(later.inputs[0].tensor);
  later.steps[1].call.in_place.clear();
  CHECK_FALSE(share(later));

  Program larger = chain({128, 64}, true);
  CHECK_FALSE(share(larger));

  Program twice;
  TensorId x = add_tensor(twice, 64), half = add_tensor(twice, 64), y = add_tensor(twice, 64);
  twice.set_view(half, x, 0);
  twice.inputs.push_back({"x", "x", x});
  add_step(twice, {x, half}, {y}, {0});
  twice.outputs.push_back({"y", "y", y});
  CHECK_FALSE(share(twice));

  Program output = chain({64, 64}, true);
  output.outputs.push_back({"x", "x", output.inputs[0].tensor});
  CHECK_FALSE(share(output));
}

TEST_CASE("views live as long as what looks through them") {
  // x is written, seen through a view two steps later: its bytes must survive the step between.
  Program p;
  TensorId x = add_tensor(p, 64), view = add_tensor(p, 32), a = add_tensor(p, 64), b = add_tensor(p, 64);
  p.set_view(view, x, 32);
  p.inputs.push_back({"x", "x", x});
  add_step(p, {x}, {a});
  add_step(p, {a, view}, {b});
  p.outputs.push_back({"y", "y", b});
  plan(p);
  CHECK(p.memory.live_lower_bound_bytes == 192);
  CHECK(p.tensor(view).arena_offset == p.tensor(x).arena_offset + 32);
}

TEST_CASE("scratch is alive in its step only") {
  Program p = chain({64, 64, 64});
  p.steps[1].call.scratch = add_tensor(p, 32);
  plan(p);
  CHECK(p.memory.arena_bytes == 160);
  CHECK(p.memory.live_peak_step == 1);
}

TEST_CASE("neighbours prove exactly the plans in which nothing overlaps") {
  std::mt19937 random(13);
  auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  int good = 0, bad = 0;
  for (int round = 0; round < 3000; ++round) {
    Program p;
    std::vector<TensorId> made{add_tensor(p, pick(0, 3))};
    p.inputs.push_back({"x", "x", made[0]});
    for (int s = 0; s < 5; ++s) {
      made.push_back(add_tensor(p, pick(0, 3)));
      add_step(p, {made[static_cast<size_t>(pick(0, s))]}, {made.back()});
    }
    p.outputs.push_back({"y", "y", made.back()});
    for (TensorId id : made) p.tensor(id).arena_offset = pick(0, 8);
    const std::vector<Lifetime> lives = lifetimes(p);
    auto end = [&](TensorId id) { return p.tensor(id).arena_offset + p.tensor(id).type.bytes(); };
    auto begin = [&](TensorId id) { return p.tensor(id).arena_offset; };
    bool apart = true, proved = true;
    for (TensorId a : made)
      for (TensorId b : made)
        if (a != b && lives[index(a)].overlaps(lives[index(b)])) apart = apart && (end(a) <= begin(b) || end(b) <= begin(a));
    const std::vector<Neighbours> pairs = neighbours(p);
    for (const auto& [lower, upper] : pairs) proved = proved && end(lower) <= begin(upper);
    CHECK(proved == apart);
    CHECK(pairs.size() <= 2 * made.size());
    (apart ? good : bad)++;
  }
  CHECK(good > 50);
  CHECK(bad > 50);
}

TEST_CASE("views of views lead to their root, however many") {
  Program p;
  std::vector<TensorId> chain{add_tensor(p, 400'000)};
  for (int i = 1; i < 100'000; ++i) {
    chain.push_back(add_tensor(p, 400'000 - 4 * i));
    p.set_view(chain[static_cast<size_t>(i)], chain[static_cast<size_t>(i) - 1], 4);
  }
  for (size_t i = 0; i < chain.size(); ++i) REQUIRE(p.root(chain[i]).offset_bytes == static_cast<int64_t>(4 * i));
  CHECK(p.root(chain.back()).base == chain[0]);
}
