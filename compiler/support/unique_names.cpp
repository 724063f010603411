// SPDX-License-Identifier: Apache-2.0
#include "compiler/support/unique_names.h"

#include <fmt/format.h>

#include <charconv>

namespace kiln {

std::string UniqueNames::free_name(std::string_view wish) {
  if (!used_.contains(wish)) return std::string(wish);
  auto it = numbers_.find(wish);
  if (it == numbers_.end()) it = numbers_.emplace(std::string(wish), Numbers{}).first;
  Numbers& numbers = it->second;
  auto name = [&](int number) { return fmt::format("{}_{}", wish, number); };
  // A released name may have been taken by itself since.
  while (!numbers.released.empty() && used_.contains(name(*numbers.released.begin()))) numbers.released.erase(numbers.released.begin());
  if (!numbers.released.empty()) return name(*numbers.released.begin());
  while (used_.contains(name(numbers.next))) ++numbers.next;
  return name(numbers.next);
}

std::string UniqueNames::take(std::string_view wish) {
  std::string name = free_name(wish);
  used_.insert(name);
  return name;
}

void UniqueNames::release(std::string_view name) {
  auto used = used_.find(name);
  if (used == used_.end()) return;
  if (size_t underscore = name.rfind('_'); underscore != std::string_view::npos) {
    int number = 0;
    std::string_view digits = name.substr(underscore + 1);
    auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    bool is_number = failed == std::errc() && end == digits.data() + digits.size() && number > 0 && digits[0] != '0';
    if (auto it = numbers_.find(name.substr(0, underscore)); is_number && it != numbers_.end() && number < it->second.next)
      it->second.released.insert(number);
  }
  used_.erase(used);  // `name` may be a view of it
}

}  // namespace kiln
