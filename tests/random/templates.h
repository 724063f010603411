// SPDX-License-Identifier: Apache-2.0
// One pattern per rewrite: what the passes look for, on operands of a random sketch. Most of them also come in forms that the pass
// must leave alone, such as with a second user of a value in the middle.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sketch.h"

namespace kiln::test {

struct PatternMaker {
  std::string pass;  ///< whose rewrite it is for
  std::string name;
  std::function<void(Sketch&)> make;
};

const std::vector<PatternMaker>& pattern_makers();

}  // namespace kiln::test
