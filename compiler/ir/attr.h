// SPDX-License-Identifier: Apache-2.0
// Attributes of nodes: a small map from name to value, in the order of the names so that printing is reproducible.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compiler/ir/tensor.h"

namespace kiln {

using Attr = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>, std::vector<std::string>, Tensor>;

class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<const std::string, Attr>> list) : map_(list) {}

  [[nodiscard]] bool has(std::string_view name) const { return map_.find(name) != map_.end(); }
  void set(std::string name, Attr value) { map_.insert_or_assign(std::move(name), std::move(value)); }
  void erase(std::string_view name) {
    if (auto it = map_.find(name); it != map_.end()) map_.erase(it);
  }

  /// The value if it is present and of type T, else `fallback`. ONNX files that give an attribute a wrong type are refused
  /// earlier, by the operator's attribute table.
  template <class T>
  [[nodiscard]] T get(std::string_view name, T fallback) const {
    auto it = map_.find(name);
    if (it == map_.end()) return fallback;
    const T* value = std::get_if<T>(&it->second);
    return value ? *value : fallback;
  }
  [[nodiscard]] int64_t i(std::string_view name, int64_t fallback = 0) const { return get<int64_t>(name, fallback); }
  [[nodiscard]] double f(std::string_view name, double fallback = 0) const { return get<double>(name, fallback); }
  [[nodiscard]] std::string s(std::string_view name, std::string fallback = {}) const { return get(name, std::move(fallback)); }
  [[nodiscard]] std::vector<int64_t> ints(std::string_view name, std::vector<int64_t> fallback = {}) const {
    return get(name, std::move(fallback));
  }

  [[nodiscard]] const std::map<std::string, Attr, std::less<>>& all() const { return map_; }
  bool operator==(const Attrs&) const = default;

 private:
  std::map<std::string, Attr, std::less<>> map_;
};

}  // namespace kiln
