// SPDX-License-Identifier: Apache-2.0
// What ONNX Runtime cannot do or does wrong, each with the reason. Only differences listed here are let pass.
#pragma once

#include <string>

#include "differential.h"

namespace kiln::test {

/// What it lacks, from the message with which it refuses a model; empty for other messages.
std::string ort_lacks(const std::string& message);

/// The reason why a difference is a fault of ONNX Runtime's on this model; empty where it is not known to be.
std::string ort_defect(const std::string& model, const Finding& finding);

}  // namespace kiln::test
