// SPDX-License-Identifier: Apache-2.0
// Tests that cannot run for want of a model, a tool or a library.
#pragma once

#include <catch2/catch.hpp>

namespace kiln::test {

/// What a test program exits with when a test was skipped, in whole or in part, and none failed: SKIP_RETURN_CODE of ctest.
constexpr int kSkippedExitCode = 77;

/// Makes the program exit with kSkippedExitCode.
void note_skip();

}  // namespace kiln::test

/// Says what is missing (a text that is streamed) and lets the test count as skipped; leaving the test is up to the caller.
#define KILN_SKIP(reason)            \
  do {                               \
    WARN("skipped: " << reason); /* NOLINT(bugprone-macro-parentheses): streamed */ \
    kiln::test::note_skip();         \
  } while (false)
