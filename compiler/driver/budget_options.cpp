// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/budget_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "compiler/driver/cli.h"

namespace kiln {

Result<int64_t> parse_bytes(const std::string& option, const std::string& text) {
  auto failed = [&] {
    return error(DiagId::bad_usage, fmt::format("{} {}: that is no number of bytes.", option, text),
                 fmt::format("for example {0} 65536, {0} 64K or {0} 0x10000.", option));
  };
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const char *begin = text.data() + (hex ? 2 : 0), *end = text.data() + text.size();
  int64_t value = 0;
  auto [rest, problem] = std::from_chars(begin, end, value, hex ? 16 : 10);
  if (problem != std::errc() || value <= 0) return failed();
  int64_t unit = 1;
  if (rest != end && !hex) {
    unit = *rest == 'K' || *rest == 'k' ? int64_t{1} << 10 : *rest == 'M' || *rest == 'm' ? int64_t{1} << 20 : 0;
    ++rest;
  }
  if (rest != end || unit == 0 || value > (int64_t{1} << 40) / unit) return failed();
  return value * unit;
}

void add_budget_options(CLI::App& app, Budgets& budgets) {
  auto add = [&](const char* name, std::optional<int64_t>& to, const char* help) {
    app.add_option_function<std::string>(
           name,
           [name, &to](const std::string& text) {
             Result<int64_t> bytes = parse_bytes(name, text);
             if (!bytes) throw UsageError{bytes.diagnostic()};
             to = *bytes;
           },
           help)
        ->type_name("BYTES")
        ->group("Budgets (65536, 64K, 0x10000; exit code 6 beyond)");
  };
  add("--ram", budgets.ram, "What arena and variables may take");
  add("--flash", budgets.flash, "What code, constants and weights may take on a microcontroller");
  add("--stack", budgets.stack, "How far the stack may grow on a microcontroller");
}

}  // namespace kiln
