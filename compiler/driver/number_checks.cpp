// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/number_checks.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <string>

namespace kiln {
namespace {

/// The validator of a T; without a description, which the help would show.
template <class T>
CLI::Validator number(T least, T most, const char* what) {
  auto check = [least, most, what](const std::string& text) -> std::string {
    const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
    T value{};
    auto [end, code] = std::from_chars(begin, text.data() + text.size(), value);
    if (code != std::errc::result_out_of_range && (code != std::errc{} || end != text.data() + text.size() || !std::isfinite(static_cast<double>(value))))
      return fmt::format("'{}' is no {}", text, what);
    if (code == std::errc::result_out_of_range) return fmt::format("{} is out of range", text);
    if (value < least) return fmt::format("{} is less than {}", text, least);
    if (value > most) return fmt::format("{} is more than {}", text, most);
    return {};
  };
  return CLI::Validator(check, "");
}

}  // namespace

CLI::Validator whole_number(int64_t least, int64_t most) { return number(least, most, "whole number"); }
CLI::Validator real_number(double least, double most) { return number(least, most, "number"); }

}  // namespace kiln
