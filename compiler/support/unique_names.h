// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace kiln {

/// Names that are in use, each once. Finding a free one takes logarithmic time, however many share a beginning.
class UniqueNames {
 public:
  /// The name that `take` would return.
  [[nodiscard]] std::string free_name(std::string_view wish);
  /// `wish`, or where that is in use `wish` with the lowest number that makes it free: "relu_2". It is in use from here on.
  std::string take(std::string_view wish);
  /// Makes a name free again.
  void release(std::string_view name);
  [[nodiscard]] bool contains(std::string_view name) const { return used_.contains(name); }

 private:
  /// Of the names "<base>_<number>": all numbers below `next` are in use, but for some of `released`.
  struct Numbers {
    int next = 1;
    std::set<int> released;
  };

  std::set<std::string, std::less<>> used_;
  std::map<std::string, Numbers, std::less<>> numbers_;  ///< by base
};

}  // namespace kiln
