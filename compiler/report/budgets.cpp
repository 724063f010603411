// SPDX-License-Identifier: Apache-2.0
#include "compiler/report/budgets.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/report/report.h"
#include "passes/integer_layers.h"

namespace kiln {
namespace {

constexpr size_t kNamed = 3;  ///< layers or buffers that a message names

std::string layer_name(const Program& program, size_t step) { return fmt::format("layer {} {}", step + 1, program.steps[step].label); }

/// "32768 bytes: t60" for what is alive at the peak, largest first.
std::string peak_buffers(const Program& program, int64_t step) {
  std::vector<Lifetime> lives = lifetimes(program);
  std::vector<const ProgramTensor*> alive;
  for (size_t t = 0; t < lives.size(); ++t)
    if (lives[t].first <= step && step <= lives[t].last) alive.push_back(&program.tensor(TensorId{static_cast<uint32_t>(t)}));
  std::ranges::stable_sort(alive, std::greater{}, [](const ProgramTensor* t) { return t->type.bytes(); });
  std::string text;
  for (size_t i = 0; i < std::min(alive.size(), kNamed); ++i)
    text += fmt::format("{}{} ({} bytes)", i ? ", " : "", alive[i]->name, alive[i]->type.bytes());
  return text + (alive.size() > kNamed ? fmt::format(" and {} more", alive.size() - kNamed) : "");
}

/// What makes float models smaller; "" for others.
std::string smaller_numbers(const Compiled& compiled) {
  return is_quantized(compiled.graph) ? "" : " int8 needs about a quarter: kiln quantize.";
}

Diagnostic ram_error(const Compiled& compiled, int64_t need, int64_t budget) {
  const Program& program = compiled.program;
  std::vector<LayerRow> rows = layer_rows(program);
  auto peak = std::ranges::find_if(rows, &LayerRow::peak);
  std::string hint;
  if (peak != rows.end())
    hint = fmt::format("most is needed in {}, where {} are alive; a smaller input needs less.{}", layer_name(program, peak->index),
                       peak_buffers(program, static_cast<int64_t>(peak->index)), smaller_numbers(compiled));
  return error(DiagId::over_budget, fmt::format("the arena needs {} bytes of RAM, --ram allows {}.", need, budget), hint);
}

Diagnostic flash_error(const Compiled& compiled, const Footprint& footprint, int64_t budget) {
  const Program& program = compiled.program;
  std::vector<std::pair<int64_t, size_t>> largest;
  for (size_t i = 0; i < program.steps.size(); ++i)
    largest.emplace_back(program.weights_bytes(program.steps[i]) + footprint.step_bytes[i], i);
  std::ranges::stable_sort(largest, std::greater{}, &std::pair<int64_t, size_t>::first);
  std::string hint = "largest: ";
  for (size_t k = 0; k < std::min(largest.size(), kNamed); ++k) {
    const size_t i = largest[k].second;
    hint += fmt::format("{}{} ({} bytes of weights, {} of code)", k ? ", " : "", layer_name(program, i),
                        program.weights_bytes(program.steps[i]), footprint.step_bytes[i]);
  }
  hint += ".";
  if (compiled.target.goal != Goal::size) hint += " --optimize size makes the code smaller.";
  return error(DiagId::over_budget,
               fmt::format("the bundle needs {} bytes of flash ({} of code, {} of constants, {} of weights), --flash allows {}.",
                           footprint.flash_bytes(), footprint.code.text_bytes + footprint.routine_bytes.value_or(0),
                           footprint.code.constant_bytes + footprint.code.data_bytes, footprint.code.weight_bytes, budget),
               hint + smaller_numbers(compiled));
}

Diagnostic stack_error(const Compiled& compiled, const StackBound& stack, int64_t budget) {
  std::string chain = stack_chain_text(stack, compiled.program.name);
  if (!stack.bytes)
    return error(DiagId::over_budget, fmt::format("there is no bound of the stack ({}), --stack allows {} bytes.", stack.reason, budget),
                 chain.empty() ? "" : fmt::format("called by {}.", chain));
  std::string hint = chain.empty() ? "" : fmt::format("the deepest calls, with the bytes each takes: {}.", chain);
  if (compiled.target.goal != Goal::size) hint += " --optimize size may need less.";
  return error(DiagId::over_budget, fmt::format("up to {} bytes of stack are needed, --stack allows {}.", *stack.bytes, budget), hint);
}

}  // namespace

Status check_measurable(std::string_view option, const Target& target) {
  if (can_measure(target)) return Done{};
  return error(DiagId::bad_usage, fmt::format("{} is about a microcontroller; the code is for {}.", option, target.name),
               "choose one, such as --target cortex-m4; `kiln targets` lists them.");
}

Status check_budgets_apply(const Budgets& budgets, const Target& target) {
  if (!budgets.need_footprint()) return Done{};
  return check_measurable(budgets.flash ? "--flash" : "--stack", target);
}

std::vector<Diagnostic> check_budgets(const Budgets& budgets, const Compiled& compiled, const Footprint* footprint) {
  std::vector<Diagnostic> broken;
  int64_t ram = footprint ? footprint->ram_bytes : compiled.program.memory.arena_bytes;
  if (budgets.ram && ram > *budgets.ram) broken.push_back(ram_error(compiled, ram, *budgets.ram));
  if (!footprint) return broken;
  if (budgets.flash && footprint->flash_bytes() > *budgets.flash) broken.push_back(flash_error(compiled, *footprint, *budgets.flash));
  if (budgets.stack && (!footprint->stack.bytes || *footprint->stack.bytes > *budgets.stack))
    broken.push_back(stack_error(compiled, footprint->stack, *budgets.stack));
  return broken;
}

ExitCode enforce_budgets(const Budgets& budgets, const Compiled& compiled, const std::vector<OutputFile>& bundle, const BuildOptions& build,
                         std::optional<Footprint>& footprint, const Terminal& terminal) {
  if (Status s = check_budgets_apply(budgets, compiled.target); !s) return terminal.fail(s.diagnostic());
  if (budgets.need_footprint() && !footprint) {
    terminal.show_progress("compiling the emitted code ...");
    Result<Footprint> measured = measure_footprint(compiled.program, compiled.target, bundle, build);
    terminal.show_progress({});
    if (!measured) return terminal.fail(measured.diagnostic());
    footprint = *std::move(measured);
  }
  Diagnostics diagnostics;
  for (Diagnostic& d : check_budgets(budgets, compiled, footprint ? &*footprint : nullptr))
    diagnostics.report(std::move(d).in_file(compiled.info.file_name));
  return terminal.report(diagnostics);
}

}  // namespace kiln
