// SPDX-License-Identifier: Apache-2.0
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "tests/skip.h"

namespace {
bool skipped = false;
}

void kiln::test::note_skip() { skipped = true; }

int main(int argc, char** argv) {
  const int failures = Catch::Session().run(argc, argv);
  if (failures != 0) return 1;  // their number could be kSkippedExitCode
  return skipped ? kiln::test::kSkippedExitCode : 0;
}

// Read by LeakSanitizer: ONNX Runtime keeps a few bytes of its own when it is unloaded.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libonnxruntime.so\n"; }
