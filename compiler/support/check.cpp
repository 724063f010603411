// SPDX-License-Identifier: Apache-2.0
#include "compiler/support/check.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace kiln {
namespace {

thread_local CheckContext* current = nullptr;

const char* base_name(const char* path) {
  const char* name = path;
  for (const char* p = path; *p; ++p)
    if (*p == '/') name = p + 1;
  return name;
}

}  // namespace

CheckContext::CheckContext(std::string pass, std::function<std::string()> dump)
    : outer_(current), pass_(std::move(pass)), dump_(std::move(dump)) {
  current = this;
}

CheckContext::~CheckContext() { current = outer_; }

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "kiln: internal error: %s\n  check '%s' failed at %s:%d\n", message.c_str(), condition,
               base_name(file), line);
  // The dump may fail a check itself: report each context once.
  CheckContext* context = std::exchange(current, nullptr);
  if (context) {
    std::fprintf(stderr, "  in: %s\n", context->pass_.c_str());
    if (context->dump_) std::fprintf(stderr, "%s\n", context->dump_().c_str());
  }
  std::fprintf(stderr, "This is a fault in kiln, not in your model. Please report it with the model and this text.\n");
  std::fflush(stderr);
  std::_Exit(70);
}

}  // namespace kiln
