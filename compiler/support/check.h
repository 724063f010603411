// SPDX-License-Identifier: Apache-2.0
// KILN_CHECK(condition, message): a condition that only a fault of kiln's own can break. Always on. A failed check prints
// where, the running pass and the last IR, asks for a report, and exits with code 70.
#pragma once

#include <functional>
#include <string>

namespace kiln {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);

/// While alive, failed checks say that `pass` was running and print what `dump` returns.
class CheckContext {
 public:
  CheckContext(std::string pass, std::function<std::string()> dump);
  ~CheckContext();
  CheckContext(const CheckContext&) = delete;
  CheckContext& operator=(const CheckContext&) = delete;

 private:
  friend void check_failed(const char*, int, const char*, const std::string&);
  CheckContext* outer_;
  std::string pass_;
  std::function<std::string()> dump_;
};

}  // namespace kiln

#define KILN_CHECK(condition, message) \
  (static_cast<bool>(condition) ? void(0) : ::kiln::check_failed(__FILE__, __LINE__, #condition, (message)))
