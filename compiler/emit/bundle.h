// SPDX-License-Identifier: Apache-2.0
// Program -> the files of a bundle (docs/bundle-format.md). Pure: the same Program gives the same bytes.
#pragma once

#include <string>
#include <vector>

#include "compiler/ir/model_info.h"
#include "compiler/program/program.h"
#include "compiler/program/target.h"
#include "compiler/support/files.h"

namespace kiln {

/// Inputs and the outputs expected for them, one tensor per model input and output.
struct TestVector {
  std::vector<Tensor> inputs, outputs;
};

/// How far a float may be from what is expected: |a - b| <= absolute + relative * |b|.
struct Tolerance {
  double absolute = 1e-5;
  double relative = 1e-4;
};

struct BundleOptions {
  std::vector<TestVector> vectors;  ///< for the self-test; without any, no selftest/ is written
  Tolerance tolerance;              ///< of float outputs in the self-test
};

/// All files of the bundle, ordered by path; manifest.json lists the SHA-256 of the others.
std::vector<OutputFile> emit_bundle(const Program& program, const Target& target, const ModelInfo& model, const BundleOptions& options);

/// manifest.json without the list of files.
std::string manifest_json(const Program& program, const Target& target, const ModelInfo& model);

}  // namespace kiln
