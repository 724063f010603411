// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/plan.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace kiln {
namespace {

/// Sets of names that grow together.
class Unions {
 public:
  size_t id(const std::string& name) {
    auto [it, added] = ids_.emplace(name, parents_.size());
    if (added) parents_.push_back(it->second);
    return it->second;
  }
  size_t root(size_t i) {
    while (parents_[i] != i) i = parents_[i] = parents_[parents_[i]];
    return i;
  }
  void unite(const std::string& a, const std::string& b) {
    size_t x = root(id(a)), y = root(id(b));
    parents_[std::max(x, y)] = std::min(x, y);
  }
  [[nodiscard]] const std::map<std::string, size_t>& ids() const { return ids_; }

 private:
  std::map<std::string, size_t> ids_;
  std::vector<size_t> parents_;
};

}  // namespace

const TensorGroup* QuantPlan::group(const std::string& tensor) const {
  auto it = group_of.find(tensor);
  return it == group_of.end() ? nullptr : &groups[it->second];
}

QuantPlan make_plan(const OnnxGraph& graph, std::vector<Unit> units) {
  Unions unions;
  std::vector<std::string> wanted;
  for (const Unit& unit : units) {
    for (const auto* list : {&unit.inputs, &unit.outputs})
      for (const std::string& tensor : *list) {
        if (unit.kind == UnitKind::move)
          unions.unite(tensor, unit.outputs[0]);
        else
          wanted.push_back(tensor);
        unions.id(tensor);
      }
  }
  std::set<size_t> live;
  for (const std::string& tensor : wanted) live.insert(unions.root(unions.id(tensor)));

  QuantPlan plan;
  std::map<size_t, size_t> group_of_root;
  for (const auto& [tensor, id] : unions.ids()) {
    size_t root = unions.root(id);
    if (!live.count(root)) continue;
    auto [it, added] = group_of_root.emplace(root, plan.groups.size());
    if (added) plan.groups.emplace_back();
    plan.groups[it->second].tensors.push_back(tensor);
    plan.group_of[tensor] = it->second;
  }
  for (Unit& unit : units) {
    if (!plan.group_of.count(unit.outputs[0])) continue;
    if (graph.nodes[unit.nodes[0]].is("Softmax")) plan.groups[plan.group_of[unit.outputs[0]]].probabilities = true;
    plan.units.push_back(std::move(unit));
  }
  return plan;
}

void set_grid(TensorGroup& group, Range range, DType dtype) {
  if (!group.probabilities) {
    group.grid = activation_grid(range, dtype);
    return;
  }
  group.grid.dtype = dtype;
  group.grid.scale = 1.0f / static_cast<float>(group.grid.high() - group.grid.low() + 1);
  group.grid.zero_point = group.grid.low();
}

Grid constant_grid(const Tensor& constant) {
  Range range;
  for (float x : constant.as<float>()) {
    range.low = std::min(range.low, static_cast<double>(x));
    range.high = std::max(range.high, static_cast<double>(x));
  }
  return activation_grid(range, DType::i8);
}

}  // namespace kiln
