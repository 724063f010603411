// SPDX-License-Identifier: Apache-2.0
// What a model is fed with by `run` and `diff`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/frontend/tensor_file.h"
#include "compiler/ir/model_info.h"
#include "compiler/program/program.h"

namespace kiln {

struct InputSet {
  std::string name;                   ///< "test_data_set_0", "random 2"
  std::vector<Tensor> inputs;         ///< in the order and with the types of Program::inputs
  std::vector<NamedTensor> expected;  ///< stored outputs, by the names of Program::outputs; empty when there are none
};

/// The sets of `path`: a folder in the layout of the ONNX backend tests; a folder with one .npy per input, named as the input; a
/// .npz with one array per input; a .npy or .pb for a model with one input.
/// Floats for an input that holds integers on a grid (--io-dtype int8) are quantized.
/// Errors: cannot_read; bad_input_data, with both types where they differ, or naming all inputs that are missing.
Result<std::vector<InputSet>> load_input_sets(const std::filesystem::path& path, const Program& program,
                                              const std::vector<FrozenInput>& frozen = {});

/// `count` sets that depend on the inputs' types and on `seed` alone (see random_tensor).
std::vector<InputSet> random_input_sets(const Program& program, int count, uint64_t seed);

/// Puts tensors in the order of Program::inputs: by their names if all are inputs, else as they stand when there are as many as inputs.
/// Those for inputs that are state or frozen are left out. Errors: bad_input_data.
Result<std::vector<Tensor>> match_inputs(std::vector<NamedTensor> tensors, const Program& program,
                                         const std::vector<FrozenInput>& frozen = {});

/// Finds the file for each input in "NAME=FILE" texts ("FILE" will do for a model with one input) and loads them. Errors:
/// unknown_input_name, bad_input_data, cannot_read.
/// One set; of a model that keeps state several where data has one dimension more, the steps. What has none is the same at each of them.
Result<std::vector<std::vector<Tensor>>> load_named_inputs(const std::vector<std::string>& assignments, const Program& program);

}  // namespace kiln
