// SPDX-License-Identifier: Apache-2.0
#include "compiler/emit/kernel_copies.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kiln {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

std::string value_literal(const DescriptorField& field) {
  return std::visit(Overloaded{[](int32_t i) { return fmt::format("{}", i); }, [](float f) { return float_literal(f); },
                               [](const Dims& dims) {
                                 std::vector<int32_t> values(dims.values.begin(), dims.values.begin() + std::max(dims.size, 1));
                                 return fmt::format("{{{}}}", fmt::join(values, ", "));
                               }},
                    field.value);
}

/// The parameters of an activation are of no interest to layers without one.
bool is_idle(const Step& step, const DescriptorField& field) {
  if (field.name != "alpha" && field.name != "beta") return false;
  bool parametrised = std::any_of(step.call.functors.begin(), step.call.functors.end(), [](const std::string& f) { return f != "none"; });
  return !parametrised && std::get<float>(field.value) == 0;
}

std::vector<DescriptorField> members(const Step& step) {
  std::vector<DescriptorField> out;
  for (DescriptorField& field : descriptor_fields(step.call.descriptor))
    if (!is_idle(step, field)) out.push_back(std::move(field));
  return out;
}

/// Equal for steps that share a copy.
std::string sharing_key(const Program& program, const Target& target, size_t i) {
  const bool small = target.goal == Goal::size;
  if (!target.code_in_flash && !small) return fmt::format("{}", i);
  const KernelCall& call = program.steps[i].call;
  std::string key = fmt::format("{}<{}>", call.row->function, fmt::join(call.functors, ", "));
  for (const std::vector<TensorId>& operands : {call.inputs, call.outputs})
    for (TensorId id : operands) key += fmt::format(" {}", dtype_name(program.tensor(id).type.dtype));
  key += call.scratch ? " scratch" : "";
  for (const auto& [name, value] : call.tuning) key += fmt::format(" {}={}", name, value);
  for (const DescriptorField& field : members(program.steps[i])) {
    key += fmt::format(" {}", field.name);
    if (!target.code_in_flash || !small) key += "=" + value_literal(field);
  }
  return key;
}

void split_members(const Program& program, KernelCopy& copy) {
  std::vector<std::vector<DescriptorField>> all;
  for (size_t step : copy.steps) all.push_back(members(program.steps[step]));
  copy.variables.resize(all.size());
  for (size_t m = 0; m < all.front().size(); ++m) {
    bool constant = std::all_of(all.begin(), all.end(), [&](const auto& layer) { return layer[m].value == all.front()[m].value; });
    if (constant) copy.constants.push_back(all.front()[m]);
    else
      for (size_t layer = 0; layer < all.size(); ++layer) copy.variables[layer].push_back(all[layer][m]);
  }
  for (const auto& [name, value] : program.steps[copy.steps.front()].call.tuning) copy.constants.push_back({name, value});
}

/// Numbers of one type as "a = 1, b = 2" in lines of moderate length.
class MemberLines {
 public:
  explicit MemberLines(std::string type) : type_(std::move(type)) {}
  void add(const std::string& item) {
    if (!line_.empty() && line_.size() + item.size() > 84) end_line();
    line_ += (line_.empty() ? "" : ", ") + item;
  }
  std::vector<std::string> take() {
    end_line();
    return std::move(lines_);
  }

 private:
  void end_line() {
    if (!line_.empty()) lines_.push_back(fmt::format("{} {};", type_, line_));
    line_.clear();
  }
  std::string type_, line_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<KernelCopy> kernel_copies(const Program& program, const Target& target) {
  std::vector<KernelCopy> copies;
  std::map<std::string, size_t> by_key;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    auto [it, is_new] = by_key.emplace(sharing_key(program, target, i), copies.size());
    if (is_new) copies.emplace_back();
    copies[it->second].steps.push_back(i);
  }
  for (KernelCopy& copy : copies) split_members(program, copy);
  return copies;
}

void write_descriptor(CodeWriter& out, const KernelCopy& copy) {
  MemberLines ints("static constexpr int32_t"), floats("static constexpr float"), arrays("static constexpr int32_t");
  for (const DescriptorField& field : copy.constants) {
    if (std::holds_alternative<int32_t>(field.value)) ints.add(fmt::format("{} = {}", field.name, value_literal(field)));
    else if (std::holds_alternative<float>(field.value)) floats.add(fmt::format("{} = {}", field.name, value_literal(field)));
    else arrays.add(fmt::format("{}[{}] = {}", field.name, std::max(std::get<Dims>(field.value).size, 1), value_literal(field)));
  }
  out.linef("struct Layer{} {{", copy.steps.front() + 1);
  out.indent();
  for (MemberLines* group : {&ints, &floats, &arrays})
    for (const std::string& line : group->take()) out.line(line);
  for (size_t m = 0; m < copy.variables.front().size(); ++m) {
    const DescriptorField& field = copy.variables.front()[m];
    int32_t entries = 0;
    for (const std::vector<DescriptorField>& layer : copy.variables)
      if (const auto* dims = std::get_if<Dims>(&layer[m].value)) entries = std::max({entries, dims->size, 1});
    out.linef("{} {}{};", std::holds_alternative<float>(field.value) ? "float" : "int32_t", field.name, entries ? fmt::format("[{}]", entries) : "");
  }
  out.outdent();
  out.line("};");
}

std::string variables_literal(const KernelCopy& copy, size_t i) {
  std::vector<std::string> values;
  for (const DescriptorField& field : copy.variables[i]) values.push_back(value_literal(field));
  return fmt::format("{{{}}}", fmt::join(values, ", "));
}

}  // namespace kiln
