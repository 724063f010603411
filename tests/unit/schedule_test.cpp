// SPDX-License-Identifier: Apache-2.0
#include "passes/schedule.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "passes/plan_memory.h"

using namespace kiln;

namespace {

TensorId add_tensor(Program& p, int64_t bytes) {
  ProgramTensor t;
  t.name = "t";
  t.type = TensorType{DType::u8, {bytes}, {}};
  return p.add_tensor(std::move(t));
}

TensorId add_step(Program& p, const std::string& label, const std::vector<TensorId>& inputs, int64_t bytes) {
  Step step;
  step.label = label;
  step.call.inputs = inputs;
  step.call.outputs = {add_tensor(p, bytes)};
  p.steps.push_back(step);
  return step.call.outputs[0];
}

bool scheduled(Program& p) {
  Diagnostics diagnostics;
  Target target;
  PassContext context{target, diagnostics};
  Result<bool> changed = schedule(p, context);
  REQUIRE(changed.ok());
  return *changed;
}

int64_t bound(Program p) {
  Diagnostics diagnostics;
  Target target;
  PassContext context{target, diagnostics};
  REQUIRE(plan_memory(p, context).ok());
  return p.memory.live_lower_bound_bytes;
}

std::string labels(const Program& p) {
  std::string text;
  for (const Step& step : p.steps) text += step.label;
  return text;
}

}  // namespace

TEST_CASE("branches are computed one after the other when that saves memory") {
  // Two wide tensors a and c, each reduced to a few bytes: breadth first both are alive at once.
  Program p;
  TensorId x = add_tensor(p, 10);
  p.inputs.push_back({"x", "x", x});
  TensorId a = add_step(p, "a", {x}, 1000), c = add_step(p, "c", {x}, 1000);
  TensorId b = add_step(p, "b", {a}, 10), d = add_step(p, "d", {c}, 10);
  TensorId y = add_step(p, "y", {b, d}, 10);
  p.outputs.push_back({"y", "y", y});
  CHECK(bound(p) == 2010);
  CHECK(scheduled(p));
  CHECK(labels(p) == "abcdy");
  CHECK(bound(p) == 1020);
}

TEST_CASE("an order that cannot be improved stays") {
  Program p;
  TensorId last = add_tensor(p, 10);
  p.inputs.push_back({"x", "x", last});
  for (const char* label : {"a", "b", "c"}) last = add_step(p, label, {last}, 10);
  p.outputs.push_back({"y", "y", last});
  CHECK_FALSE(scheduled(p));
  CHECK(labels(p) == "abc");
}

TEST_CASE("any new order computes everything after what it needs, with a lower peak") {
  std::mt19937 random(5);
  auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  int changed = 0;
  for (int round = 0; round < 60; ++round) {
    Program p;
    std::vector<TensorId> made{add_tensor(p, pick(1, 900))};
    p.inputs.push_back({"x", "x", made[0]});
    for (int s = 0; s < 14; ++s) {
      std::vector<TensorId> inputs{made[static_cast<size_t>(pick(0, static_cast<int>(made.size()) - 1))]};
      if (pick(0, 1)) inputs.push_back(made[static_cast<size_t>(pick(0, static_cast<int>(made.size()) - 1))]);
      made.push_back(add_step(p, fmt::format("{} ", s), inputs, pick(1, 900)));
    }
    TensorId y = add_step(p, "y", {made.back(), made[7]}, 4);
    p.outputs.push_back({"y", "y", y});
    int64_t before = bound(p);
    if (!scheduled(p)) continue;
    ++changed;
    CHECK(bound(p) < before);
    std::set<TensorId> known{made[0]};
    for (const Step& step : p.steps) {
      for (TensorId id : step.call.inputs) CHECK(known.count(id) == 1);
      known.insert(step.call.outputs[0]);
    }
    CHECK(p.steps.size() == 15);
  }
  CHECK(changed > 5);
}

TEST_CASE("programs that are too long to be searched as a whole are searched in parts") {
  // Pairs of branches, each wide in the middle, one after the other; all of them given breadth first.
  for (int blocks : {100, 1000}) {
    Program p;
    TensorId x = add_tensor(p, 10);
    p.inputs.push_back({"x", "x", x});
    for (int i = 0; i < blocks; ++i) {
      TensorId a = add_step(p, "a", {x}, 1000), c = add_step(p, "c", {x}, 1000);
      TensorId b = add_step(p, "b", {a}, 10), d = add_step(p, "d", {c}, 10);
      x = add_step(p, "y", {b, d}, 10);
    }
    p.outputs.push_back({"y", "y", x});
    CHECK(bound(p) == 2010);
    CHECK(scheduled(p));
    CHECK(bound(p) == 1020);
  }
}
