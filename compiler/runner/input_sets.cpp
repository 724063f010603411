// SPDX-License-Identifier: Apache-2.0
#include "compiler/runner/input_sets.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "compiler/ir/random_tensor.h"
#include "compiler/ops/quantization.h"

namespace kiln {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kOneInput = "--input";

const TensorType& type_of(const Program& program, const IoTensor& io) { return program.tensor(io.tensor).type; }

std::optional<size_t> find_io(const std::vector<IoTensor>& list, std::string_view name) {
  auto it = std::find_if(list.begin(), list.end(), [&](const IoTensor& io) { return io.name == name; });
  return it == list.end() ? std::nullopt : std::optional(static_cast<size_t>(it - list.begin()));
}

/// "'x' f32[1,4], 'h' f32[1,8]".
std::string describe(const Program& program, const std::vector<IoTensor>& list) {
  std::string text;
  for (const IoTensor& io : list) text += fmt::format("{}'{}' {}", text.empty() ? "" : ", ", io.name, to_string(type_of(program, io)));
  return text;
}

/// Makes `tensor` one of the input's type, where floats for integers on a grid are quantized.
Status fit_type(const Program& program, const IoTensor& io, Tensor& tensor) {
  const TensorType& wanted = type_of(program, io);
  bool on_grid = is_integer(wanted.dtype) && wanted.quant && !wanted.quant->per_axis();
  if (on_grid && tensor.type.dtype == DType::f32) tensor = quantized_tensor(tensor, *wanted.quant);
  if (wanted.dtype == DType::bf16 && tensor.type.dtype == DType::u16) tensor.type.dtype = DType::bf16;  // NumPy has no bf16
  if (tensor.type.dtype == wanted.dtype && tensor.type.shape == wanted.shape) return Done{};
  std::string hint =
      tensor.type.dtype != wanted.dtype ? "convert the data." : "reshape the data, or give the model's shape by --input-shape or --dim.";
  return error(DiagId::bad_input_data, fmt::format("input '{}' is {}, the data is {}.", io.name, to_string(wanted), to_string(tensor.type)),
               hint);
}

/// `option`: what could give those that are missing, such as "--inputs".
Result<std::vector<Tensor>> in_order(std::vector<std::optional<Tensor>> found, const Program& program, std::string_view option) {
  std::vector<IoTensor> missing;
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    if (!found[i]) {
      missing.push_back(program.inputs[i]);
      continue;
    }
    if (Status s = fit_type(program, program.inputs[i], *found[i]); !s) return std::move(s).diagnostic();
    tensors.push_back(*std::move(found[i]));
  }
  if (!missing.empty())
    return error(DiagId::bad_input_data,
                 fmt::format("there is no data for {} {}.", missing.size() == 1 ? "input" : "inputs", describe(program, missing)),
                 option == kOneInput ? fmt::format("add --input '{}'=FILE.npy.", missing.front().name)
                                     : fmt::format("{} must have data for all inputs: {}.", option, describe(program, program.inputs)));
  return tensors;
}

/// Names of outputs where all are known, else their order.
Result<std::vector<NamedTensor>> match_outputs(std::vector<NamedTensor> tensors, const Program& program) {
  bool named = std::all_of(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return find_io(program.outputs, t.name); });
  if (named) return tensors;
  if (tensors.size() != program.outputs.size())
    return error(DiagId::bad_input_data,
                 fmt::format("there are {} stored outputs, the model has {}.", tensors.size(), program.outputs.size()));
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].name = program.outputs[i].name;
  return tensors;
}

Result<std::vector<InputSet>> load_backend_sets(const fs::path& folder, const Program& program,
                                                const std::vector<FrozenInput>& frozen) {
  Result<std::vector<TestSet>> stored = load_test_sets(folder);
  if (!stored) return std::move(stored).diagnostic();
  std::vector<InputSet> sets;
  for (TestSet& one : *stored) {
    auto in_set = [&](Diagnostic d) { return std::move(d).in_file((folder / one.name).string()); };
    Result<std::vector<Tensor>> inputs = match_inputs(std::move(one.inputs), program, frozen);
    if (!inputs) return in_set(std::move(inputs).diagnostic());
    if (!program.states.empty()) {  // the outputs are those for stored states
      sets.push_back({one.name, *std::move(inputs), {}});
      continue;
    }
    Result<std::vector<NamedTensor>> expected = match_outputs(std::move(one.outputs), program);
    if (!expected) return in_set(std::move(expected).diagnostic());
    sets.push_back({one.name, *std::move(inputs), *std::move(expected)});
  }
  return sets;
}

/// The .npy files of a folder, by name.
std::vector<fs::path> npy_files(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code ec;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ec))
    if (entry.path().extension() == ".npy") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Without those for inputs that are state or frozen, by name or by their place among all inputs.
std::vector<NamedTensor> without_bound(std::vector<NamedTensor> tensors, const Program& program, const std::vector<FrozenInput>& frozen) {
  std::vector<std::pair<size_t, std::string>> bound;  // by place
  for (const FrozenInput& input : frozen) bound.emplace_back(input.place, input.name);
  // The places of states are those among the inputs that are not frozen.
  for (const StateTensor& state : program.states) {
    size_t place = state.input_index;
    for (const FrozenInput& input : frozen) place += input.place <= place ? 1 : 0;
    bound.emplace_back(place, state.input);
  }
  std::sort(bound.begin(), bound.end());
  auto is_bound = [&](const NamedTensor& t) {
    return std::any_of(bound.begin(), bound.end(), [&](const auto& one) { return one.second == t.name; });
  };
  const bool named =
      std::all_of(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return is_bound(t) || find_io(program.inputs, t.name); });
  if (named) {
    std::erase_if(tensors, is_bound);
  } else if (tensors.size() == program.inputs.size() + bound.size()) {
    for (auto one = bound.rbegin(); one != bound.rend(); ++one) tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(one->first));
  }
  return tensors;
}

/// Step `i` of `data`, which has a leading dimension of steps or is the same for all.
Tensor step_of(const Tensor& data, const TensorType& wanted, size_t i) {
  if (data.type.rank() == wanted.rank()) return data;
  Tensor step(TensorType{data.type.dtype, Shape(data.type.shape.begin() + 1, data.type.shape.end()), {}});
  const size_t bytes = step.bytes().size();
  std::copy_n(data.bytes().begin() + static_cast<std::ptrdiff_t>(i * bytes), bytes, step.bytes().begin());
  return step;
}

/// The sets of all steps from the data of each input.
Result<std::vector<std::vector<Tensor>>> steps_of(const std::vector<std::optional<Tensor>>& found, const Program& program) {
  int64_t steps = 1;
  std::string longest;
  for (size_t i = 0; i < found.size(); ++i) {
    if (program.states.empty() || !found[i] || found[i]->type.rank() != type_of(program, program.inputs[i]).rank() + 1) continue;
    const int64_t count = found[i]->type.shape.front();
    if (count < 1 || (!longest.empty() && count != steps))
      return error(DiagId::bad_input_data,
                   fmt::format("input '{}' has {} steps, input '{}' has {}.", program.inputs[i].name, count, longest, steps),
                   "all inputs need data for as many steps.");
    steps = count;
    longest = program.inputs[i].name;
  }
  std::vector<std::vector<Tensor>> sets;
  for (int64_t s = 0; s < steps; ++s) {
    std::vector<std::optional<Tensor>> step = found;
    if (!longest.empty())
      for (size_t i = 0; i < step.size(); ++i)
        if (step[i]) step[i] = step_of(*step[i], type_of(program, program.inputs[i]), static_cast<size_t>(s));
    Result<std::vector<Tensor>> set = in_order(std::move(step), program, kOneInput);
    if (!set) return std::move(set).diagnostic();
    sets.push_back(*std::move(set));
  }
  return sets;
}

}  // namespace

Result<std::vector<Tensor>> match_inputs(std::vector<NamedTensor> tensors, const Program& program,
                                         const std::vector<FrozenInput>& frozen) {
  tensors = without_bound(std::move(tensors), program, frozen);
  std::vector<std::optional<Tensor>> found(program.inputs.size());
  bool named = std::all_of(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return find_io(program.inputs, t.name); });
  if (!named && tensors.size() != program.inputs.size())
    return error(DiagId::bad_input_data, fmt::format("there are {} tensors, the model has {} inputs: {}.", tensors.size(),
                                                     program.inputs.size(), describe(program, program.inputs)));
  for (size_t i = 0; i < tensors.size(); ++i) found[named ? *find_io(program.inputs, tensors[i].name) : i] = std::move(tensors[i].tensor);
  return in_order(std::move(found), program, "--inputs");
}

Result<std::vector<InputSet>> load_input_sets(const fs::path& path, const Program& program,
                                              const std::vector<FrozenInput>& frozen) {
  std::error_code ec;
  std::vector<NamedTensor> tensors;
  if (fs::is_directory(path, ec)) {
    std::vector<fs::path> files = npy_files(path);
    if (files.empty()) return load_backend_sets(path, program, frozen);
    for (const fs::path& file : files) {
      if (!find_io(program.inputs, file.stem().string())) continue;  // outputs may lie beside the inputs
      Result<Tensor> tensor = load_tensor(file);
      if (!tensor) return std::move(tensor).diagnostic();
      tensors.push_back({file.stem().string(), *std::move(tensor)});
    }
  } else {
    Result<std::vector<NamedTensor>> all = load_tensors(path);
    if (!all) return std::move(all).diagnostic();
    tensors = *std::move(all);
  }
  Result<std::vector<Tensor>> inputs = match_inputs(std::move(tensors), program, frozen);
  if (!inputs) return std::move(inputs).diagnostic().in_file(path.string());
  return std::vector<InputSet>{{path.filename().string(), *std::move(inputs), {}}};
}

std::vector<InputSet> random_input_sets(const Program& program, int count, uint64_t seed) {
  std::vector<InputSet> sets;
  for (int i = 0; i < count; ++i) {
    InputSet set{fmt::format("random {}", i), {}, {}};
    for (const IoTensor& io : program.inputs) {
      const TensorType& type = type_of(program, io);
      set.inputs.push_back(
          random_tensor({type.dtype, type.shape, {}}, (seed * 1000 + static_cast<uint64_t>(i)) * 1000 + set.inputs.size()));
    }
    sets.push_back(std::move(set));
  }
  return sets;
}

Result<std::vector<std::vector<Tensor>>> load_named_inputs(const std::vector<std::string>& assignments, const Program& program) {
  std::vector<std::optional<Tensor>> found(program.inputs.size());
  for (const std::string& text : assignments) {
    std::optional<size_t> input;
    std::string file;
    // Names and files may both contain '=', so the names decide where to cut.
    for (size_t i = 0; i < program.inputs.size(); ++i)
      if (text.starts_with(program.inputs[i].name + "=")) {
        input = i;
        file = text.substr(program.inputs[i].name.size() + 1);
      }
    if (!input && program.inputs.size() == 1 && text.find('=') == std::string::npos) {
      input = 0;
      file = text;
    }
    if (!input)
      return error(DiagId::unknown_input_name,
                   fmt::format("--input {}: the model has no input '{}'.", text, text.substr(0, text.find('='))),
                   program.inputs.empty() ? "it has no inputs."
                                          : fmt::format("its inputs are {}; write NAME=FILE.", describe(program, program.inputs)));
    Result<Tensor> tensor = load_tensor(file);
    if (!tensor) return std::move(tensor).diagnostic();
    if (program.states.empty())
      if (Status s = fit_type(program, program.inputs[*input], *tensor); !s) return std::move(s).diagnostic().in_file(file);
    if (found[*input]) return error(DiagId::bad_usage, fmt::format("--input is given twice for '{}'.", program.inputs[*input].name));
    found[*input] = *std::move(tensor);
  }
  return steps_of(found, program);
}

}  // namespace kiln
