// SPDX-License-Identifier: Apache-2.0
// Kernels as the compiler sees them: rows, which say what a function template computes and when, in sets of what one kind of instructions
// can do. The sets are in targets/kernels; a Target lists those that its cores can run.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/program/descriptors.h"

namespace kiln {

struct KernelCall;
struct Target;
class Program;

/// What a row's rules look at.
struct KernelContext {
  const KernelCall& call;
  const Program& program;  ///< the call's tensors
  const Target& target;
};

/// Why a row cannot serve a call ("it has 4 groups"), or nothing.
using Refusal = std::optional<std::string>;
/// The operands of a call, in order: the values of those that are constant.
using Constants = std::vector<std::optional<Tensor>>;
/// Additional static constexpr int32_t members of the emitted descriptor (block sizes and the like).
using Tuning = std::vector<std::pair<std::string, int32_t>>;

/// Sets of operands, a bit each.
enum OperandSet : uint32_t {
  kNoOperand = 0,
  kWeights = 1 << 1,
  kGateWeights = 1 << 1 | 1 << 2,  ///< of a recurrent layer: those of the input and those of the state
};

/// What a core has beyond its sets of kernels, for rows and their rules to ask.
enum Capability : uint32_t {
  kNoCapability = 0,
  kFloatLoops = 1u << 0,    ///< compilers make vectors of plain loops over floats
  kVnni = 1u << 1,          ///< x86: dot products of bytes, AVX-512 VNNI with VL
  kVectorFloats = 1u << 2,  ///< rvv: vectors of 32-bit floats, zve32f
  kThumb2 = 1u << 3,        ///< scalar: Armv7-M; with neither of these two Armv6-M
  kRiscv = 1u << 4,         ///< scalar: RISC-V with 32 registers
};

/// One row: a function template that computes a family's calls. Only family and header must be given; the names are completed by the set.
struct KernelRow {
  std::string family;                      ///< "qdense"
  std::string header;                      ///< "qdense.h"; complete: "nn/dsp/qdense.h", below runtime-stubs
  std::string form = {};                   ///< of a set's further rows of a family: "row"
  std::string function = {};               ///< if it is not called family or family_form: "Recurrent::gru"; complete: "nn::dsp::qdense_row"
  std::optional<DType> input = {};         ///< type of the first input; none: any
  uint32_t narrow = kNoOperand;            ///< OperandSet: constant floats that the function also reads as nn::F16 or nn::Bf16
  uint32_t needs = kNoCapability;          ///< Capability bits
  Refusal (*refuse)(const KernelContext&) = nullptr;  ///< null: serves every call
  /// Bytes of scratch that the function takes as its last argument; null or 0: no such argument.
  int64_t (*scratch_bytes)(const KernelContext&) = nullptr;
  /// Reorders constant operands into the order in which the function reads them. Null: as lowered.
  void (*pack)(const KernelContext&, Constants& constants) = nullptr;
  Tuning (*tune)(const KernelContext&) = nullptr;  ///< null: none
  std::string variant = {};                ///< by the set: "dsp_row", unique in the family
};

/// The kernels for one kind of instructions. Its name is that of its folder in targets/kernels and in runtime-stubs/nn, of the namespace, and
/// what its variants begin with.
class KernelSet {
 public:
  KernelSet(std::string name, std::vector<KernelRow> rows);
  KernelSet(const KernelSet&) = delete;  // calls point to rows
  KernelSet& operator=(const KernelSet&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  /// Best first within a family.
  [[nodiscard]] std::span<const KernelRow> rows() const { return rows_; }

 private:
  std::string name_;
  std::vector<KernelRow> rows_;
};

}  // namespace kiln
