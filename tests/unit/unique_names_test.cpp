// SPDX-License-Identifier: Apache-2.0
#include "compiler/support/unique_names.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>
#include <set>

using namespace kiln;

TEST_CASE("a taken name gets the lowest number that makes it free") {
  std::mt19937 random(3);
  auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  const char* const kWishes[] = {"a", "a_1", "a_3", "a_03", "b", "a_1_1", "b_", "_1"};
  UniqueNames names;
  std::set<std::string> used;
  for (int round = 0; round < 4000; ++round) {
    if (pick(0, 9) < 4 && !used.empty()) {
      auto gone = std::next(used.begin(), pick(0, static_cast<int>(used.size()) - 1));
      names.release(*gone);
      used.erase(gone);
      continue;
    }
    const std::string wish = kWishes[pick(0, 7)];
    std::string expected = wish;
    for (int i = 1; used.count(expected); ++i) expected = fmt::format("{}_{}", wish, i);
    REQUIRE(names.take(wish) == expected);
    used.insert(expected);
  }
}

TEST_CASE("many names with one beginning take no time") {
  UniqueNames names;
  for (int i = 0; i < 200'000; ++i) names.take("value");
  CHECK(names.take("value") == "value_200000");
  names.release("value_77");
  CHECK(names.free_name("value") == "value_77");
}
