// SPDX-License-Identifier: Apache-2.0
#include "compiler/judge/layer_diff.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace kiln {
namespace {

TensorId result_of(const Step& step) { return step.call.outputs.front(); }

/// The tensor, and those that it is a part of; not one whose bytes it takes over as a whole.
std::vector<TensorId> written_tensors(const Program& program, TensorId id) {
  std::vector<TensorId> written{id};
  for (const ProgramTensor* t = &program.tensor(id); t->view; t = &program.tensor(t->view->base)) {
    if (program.tensor(t->view->base).type.bytes() == t->type.bytes()) break;
    written.push_back(t->view->base);
  }
  return written;
}

/// Per step: whether a later step writes to the same tensor, as the parts of a concatenation do.
std::vector<bool> written_later(const Program& program) {
  std::vector<bool> later(program.steps.size(), false);
  std::set<TensorId> seen;
  for (size_t i = program.steps.size(); i-- > 0;) {
    later[i] = seen.count(result_of(program.steps[i])) != 0;
    for (TensorId output : program.steps[i].call.outputs)
      for (TensorId written : written_tensors(program, output)) seen.insert(written);
  }
  return later;
}

/// The largest finite magnitude.
double largest(const Tensor& tensor) {
  double most = 0;
  for (double value : tensor.to_doubles())
    if (std::isfinite(value)) most = std::max(most, std::fabs(value));
  return most;
}

bool fits(const Tensor& onnx, const OnnxTensor& how, const TensorType& type) {
  return onnx.type.dtype == type.dtype && onnx.type.shape == how.shape && onnx.type.elements() == type.elements();
}

}  // namespace

std::vector<std::string> layer_tensors(const Program& program) {
  std::set<std::string> inputs;
  for (const IoTensor& io : program.inputs) inputs.insert(io.name);
  std::vector<std::string> names;
  for (const Step& step : program.steps) {
    const std::optional<OnnxTensor>& onnx = program.tensor(result_of(step)).onnx;
    if (!onnx || inputs.count(onnx->name) || std::find(names.begin(), names.end(), onnx->name) != names.end()) continue;
    names.push_back(onnx->name);
  }
  return names;
}

Tensor as_program_tensor(const Tensor& onnx, const OnnxTensor& how, const Shape& shape) {
  if (how.perm.empty()) return onnx.reshaped(shape);
  Tensor out(TensorType{onnx.type.dtype, permute(onnx.type.shape, how.perm), {}});
  std::vector<int64_t> strides = permute(row_major_strides(onnx.type.shape), how.perm);
  with_storage_type(onnx.type.dtype, [&]<class T>() {
    std::span<const T> from = onnx.as<T>();
    std::vector<int64_t> at(how.perm.size(), 0);
    for (T& element : out.as<T>()) {
      int64_t source = 0;
      for (size_t d = 0; d < at.size(); ++d) source += at[d] * strides[d];
      element = from[static_cast<size_t>(source)];
      for (size_t d = at.size(); d-- > 0 && ++at[d] == out.type.shape[d];) at[d] = 0;
    }
  });
  return out.reshaped(shape);
}

std::vector<LayerDiff> compare_layers(const Program& program, const std::vector<Tensor>& step_results,
                                      const std::map<std::string, Tensor>& reference, const ComparisonRule& rule,
                                      bool with_allowances) {
  std::vector<bool> later = written_later(program);
  std::vector<LayerDiff> layers;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const ProgramTensor& tensor = program.tensor(result_of(step));
    LayerDiff layer{i, step.label, step.origin, {}, tensor.type, {}, {}};
    auto found = tensor.onnx ? reference.find(tensor.onnx->name) : reference.end();
    if (found != reference.end() && !later[i] && fits(found->second, *tensor.onnx, tensor.type)) {
      Tensor expected = as_program_tensor(found->second, *tensor.onnx, tensor.type.shape);
      ComparisonRule its = rule;
      if (with_allowances) its.allowances = layer_allowances(tensor.type, largest(expected), rule);
      layer.onnx_tensor = tensor.onnx->name;
      layer.comparison = compare(step_results[i], expected, its);
      layer.allowances = std::move(its.allowances);
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace kiln
