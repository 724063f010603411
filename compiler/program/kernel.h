// SPDX-License-Identifier: Apache-2.0
// The kernel catalogue: runtime-stubs/kernels.def as data.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/program/descriptors.h"
#include "compiler/program/target.h"

namespace kiln {

struct KernelCall;
class Program;

/// What a row's rules look at.
struct KernelContext {
  const KernelCall& call;
  const Program& program;  ///< the call's tensors
  const Target& target;
};

/// Additional static constexpr int32_t members of the emitted descriptor (block sizes and the like).
using Tuning = std::vector<std::pair<std::string, int32_t>>;

/// Sets of operands, a bit each.
enum OperandSet : uint32_t {
  kNoOperand = 0,
  kWeights = 1 << 1,
  kGateWeights = 1 << 1 | 1 << 2,  ///< of a recurrent layer: those of the input and those of the state
};

/// One row: a function template that computes a family's calls. Rows stand best first; the first whose needs the target
/// meets and whose predicate holds is taken.
struct KernelRow {
  std::string_view family;    ///< "conv2d"
  std::string_view variant;   ///< "ref", "simd", ...; unique in the family
  std::string_view types;     ///< dtype of the first input: "f32", or "any"
  uint32_t narrow;            ///< OperandSet: constant floats that the function also reads as nn::F16 or nn::Bf16
  uint32_t needs;             ///< Capability bits
  std::string_view function;  ///< "nn::ref::conv2d"
  std::string_view header;    ///< below runtime-stubs: "nn/ref/conv2d.h"
  /// Why the row cannot serve this call ("stride is 3"), or nothing.
  std::optional<std::string> (*refuse)(const KernelContext&);
  /// Bytes of scratch that the function takes as its last argument; 0: no such argument.
  int64_t (*scratch_bytes)(const KernelContext&);
  /// Reorders constant operands into the order in which the function reads them. Null: as lowered.
  void (*pack)(const KernelContext&, std::vector<std::optional<Tensor>>& constants);
  Tuning (*tune)(const KernelContext&);
};

/// All rows, in the order of kernels.def.
std::span<const KernelRow> kernel_catalogue();

}  // namespace kiln
