// SPDX-License-Identifier: Apache-2.0
// The Program: kernel calls in order over tensors with addresses. Emission is a pure function of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/program/descriptors.h"
#include "compiler/program/kernel.h"
#include "compiler/support/unique_names.h"

namespace kiln {

enum class TensorId : uint32_t {};
constexpr uint32_t index(TensorId id) { return static_cast<uint32_t>(id); }

/// A tensor of the program: constant data in flash, or bytes in the arena of its own or within another tensor.
struct ProgramTensor {
  struct View {
    TensorId base;
    int64_t offset_bytes;
  };
  std::string name;  ///< a C identifier, unique in the program
  TensorType type;
  std::optional<Tensor> constant;
  std::optional<View> view;         ///< shares the bytes of `base`; set by Program::set_view
  std::optional<OnnxTensor> onnx;   ///< what `diff --layers` compares it with
  int64_t arena_offset = -1;        ///< set by plan-memory
};

/// An input of a call whose bytes one of its outputs may overwrite.
struct InPlace {
  size_t input, output = 0;
  constexpr InPlace(size_t in, size_t out = 0) : input(in), output(out) {}
  bool operator==(const InPlace&) const = default;
};

struct KernelCall {
  std::string family;
  std::vector<std::string> functors;  ///< explicit template arguments, structs of nn/functors.h: "relu" is nn::fn::relu
  AnyDescriptor descriptor;
  std::vector<TensorId> inputs;       ///< arena tensors and constants, in the order of the function's parameters
  std::vector<TensorId> outputs;
  std::vector<InPlace> in_place;      ///< best first
  const KernelRow* row = nullptr;     ///< set by select-kernels, with the two below
  Tuning tuning;
  std::optional<TensorId> scratch;

  /// Whether input `i`, of type `dtype`, is weights in 16 bits, which the function takes as nn::F16 or nn::Bf16.
  [[nodiscard]] bool takes_narrow(size_t i, DType dtype) const {
    return (dtype == DType::f16 || dtype == DType::bf16) && i < 32 && (row->narrow >> i & 1) != 0;
  }
};

struct Step {
  KernelCall call;
  std::string label;                 ///< "conv2d+relu"
  std::vector<std::string> origin;   ///< ONNX nodes
  Shape input_shape, output_shape;
  int64_t macs = 0;
};

/// A model input or output.
struct IoTensor {
  std::string name;    ///< exact ONNX name
  std::string c_name;  ///< "scores": the last part of `kws_output_scores`
  TensorId tensor;
};

/// A tensor that is kept from run to run: an input of the model that takes the value of an output of the run before. Neither belongs to
/// Program::inputs and outputs. Where the output could not be made in the same bytes, a step copies it there.
struct StateTensor {
  std::string output, input;  ///< exact ONNX names
  size_t input_index = 0;     ///< of the input among all inputs of the model
  TensorId tensor{};          ///< the input
  TensorId result{};          ///< the output
  std::optional<TensorId> initial = {};  ///< constant that a reset copies to `tensor`; none: zeros
};

/// What plan-memory found. Bytes.
struct MemoryPlan {
  int64_t arena_bytes = 0;
  int64_t live_lower_bound_bytes = 0;  ///< largest sum of buffers alive at one step
  int64_t live_peak_step = 0;          ///< the first step where it is reached
};

class Program {
 public:
  std::string name;     ///< C identifier: prefix of the API, namespace of the bundle
  std::vector<Step> steps;
  std::vector<IoTensor> inputs, outputs;
  std::vector<StateTensor> states;
  MemoryPlan memory;

  TensorId add_tensor(ProgramTensor tensor);  ///< its name is made unique
  [[nodiscard]] const ProgramTensor& tensor(TensorId id) const { return tensors_[index(id)]; }
  [[nodiscard]] ProgramTensor& tensor(TensorId id) { return tensors_[index(id)]; }
  [[nodiscard]] size_t tensor_count() const { return tensors_.size(); }
  /// Makes `id`, which is no view yet, the bytes of `base` from `offset_bytes` on. It stays that.
  void set_view(TensorId id, TensorId base, int64_t offset_bytes);
  /// The tensor that owns the bytes of `id`, and where in it they start.
  [[nodiscard]] ProgramTensor::View root(TensorId id) const;

  // --- facts for reports
  [[nodiscard]] int64_t macs() const;
  [[nodiscard]] int64_t state_bytes() const;
  /// Bytes of the constants that some step or the reset reads.
  [[nodiscard]] int64_t weights_bytes() const;
  [[nodiscard]] int64_t weights_bytes(const Step& step) const;

 private:
  std::vector<ProgramTensor> tensors_;
  UniqueNames names_;
  /// Per tensor: some tensor that it is a view of, as far along the chain of views as was found; itself, where it is none. Chains are as
  /// long as the model, and views never change, so that what was found once holds.
  mutable std::vector<ProgramTensor::View> found_bases_;
};

/// First and last step (inclusive) at which a buffer's bytes matter. Inputs are alive from -1 on, outputs to steps.size(), states
/// all the time.
struct Lifetime {
  int64_t first = 0, last = -1;
  [[nodiscard]] bool overlaps(const Lifetime& o) const { return first <= o.last && o.first <= last; }
};

/// Per tensor id: the lifetime of the bytes it owns, all its views included. Constants, views and unused tensors: empty.
std::vector<Lifetime> lifetimes(const Program& program);

/// Two buffers of a plan that lie next to each other at some step.
struct Neighbours {
  TensorId lower, upper;
};
/// What proves a plan: when the lower one of each pair ends where the upper one begins or before, then no two buffers that are alive together
/// overlap, since between any two of them lies a chain of such pairs. Found when a buffer comes to life; at most two pairs for each.
std::vector<Neighbours> neighbours(const Program& program);

}  // namespace kiln
