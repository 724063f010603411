// SPDX-License-Identifier: Apache-2.0
// The record that describes an operator: everything kiln knows about it is here and in the file that defines the record.
//
// A record describes a core operator (`name` is set: it can stand in a Graph), an ONNX operator (`onnx.type` is set: it can
// stand in a model), or both. ONNX operators that are not core are decomposed by their `import` hook.
// Records live in compiler/ops, one file per family, and are listed in compiler/ops/ops.def.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/attr.h"
#include "compiler/ir/ids.h"
#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

class Graph;
class GraphBuilder;
class Lowering;  // compiler/program/lowering.h
struct Node;
struct OpDef;

/// One application of an operator, as its hooks see it.
struct OpArgs {
  const OpDef& op;
  const Attrs& attrs;
  std::vector<const TensorType*> inputs;   ///< null for an omitted optional input
  std::vector<const Tensor*> constants;    ///< per input: its value when it is constant, else null
  std::vector<const TensorType*> outputs;  ///< empty while the hook is `infer`

  [[nodiscard]] bool has(size_t input) const { return input < inputs.size() && inputs[input] != nullptr; }
  [[nodiscard]] const TensorType& in(size_t i) const { return *inputs[i]; }
  [[nodiscard]] const Tensor* constant(size_t i) const { return i < constants.size() ? constants[i] : nullptr; }
};

/// A node of an ONNX model with its inputs already imported. Protobuf stays in the frontend.
struct OnnxNode {
  std::string domain;  ///< "" for ai.onnx
  std::string type;
  std::string name;    ///< may be empty
  int64_t opset = 0;   ///< version of `domain` that the model imports
  Attrs attrs;
  std::vector<ValueId> inputs;  ///< kNoValue for an omitted optional input
  size_t output_count = 0;
  std::vector<bool> output_used;  ///< false where ONNX omits the output ("") or nothing reads it

  [[nodiscard]] bool has(size_t input) const { return input < inputs.size() && inputs[input] != kNoValue; }
};

enum class AttrKind { integer, real, string, integers, reals, strings, tensor };
struct AttrSpec {
  std::string_view name;
  AttrKind kind;
};

/// How an ONNX operator is read.
struct OnnxOp {
  std::string_view type = "";        ///< "Conv"; empty when the record is only a core operator
  std::string_view domain = "";
  std::span<const AttrSpec> attrs = {};  ///< every attribute of any opset; others are refused
  int64_t since = 1;                 ///< the first opset that is understood
  int64_t until = 1000;              ///< the last one
  size_t min_inputs = 1;             ///< inputs that must be there; hooks may use them unchecked
  size_t max_inputs = 1000;          ///< more are refused
};

/// out[i] depends on the inputs at i alone (after broadcasting): transposes, reshapes and slices may move across.
inline constexpr uint32_t kElementwise = 1u << 0;
/// One elementwise input and the functor nn::fn::<functor> computes it: can be fused into the kernel that produces its input.
inline constexpr uint32_t kUnary = 1u << 1;
/// Moves elements without looking at them; any type goes, quantization parameters are handed on.
inline constexpr uint32_t kMovesData = 1u << 2;
/// A change of shape only: the output is the input's bytes.
inline constexpr uint32_t kView = 1u << 3;
/// Its kernel applies the functor of attribute "act" (with "alpha", "beta") to what it computes: fuse-activation may set it.
inline constexpr uint32_t kFusesActivation = 1u << 4;
/// Takes elements of every type as they are. All others compute f16 and bf16 as f32 only.
inline constexpr uint32_t kAnyElements = 1u << 5;

struct OpDef {
  std::string_view name = "";     ///< of the core operator, in IR text; empty when the operator is always decomposed
  std::string_view summary = "";  ///< one line for `kiln ops`
  OnnxOp onnx = {};
  uint32_t traits = 0;
  std::string_view functor = "";  ///< for elementwise operators: the struct in runtime-stubs/nn/functors.h

  /// Output types from input types and attributes; refuses everything the core operator does not allow, so it is the
  /// checker as well. Required for core operators; call it through infer_types. Errors: bad_node, unsupported_node, ...
  Result<std::vector<TensorType>> (*infer)(const OpArgs&) = nullptr;
  /// Builds core nodes for an ONNX node and returns one value per ONNX output (kNoValue for those nobody reads). When null,
  /// the ONNX operator's inputs and attributes are those of the core operator.
  Result<std::vector<ValueId>> (*import)(const OnnxNode&, GraphBuilder&) = nullptr;
  /// Reference evaluation, by the kernels of runtime-stubs/nn/ref. All inputs are constants.
  Result<std::vector<Tensor>> (*eval)(const OpArgs&) = nullptr;
  /// Describes the kernel call(s) that compute the node.
  Status (*lower)(const OpArgs&, const Node&, Lowering&) = nullptr;
  /// With all operands of full rank permuted by `perm` (operand i of the result: permute(shape, perm)), changes `attrs` so that the
  /// result is permuted alike; false when the operator cannot. Passes move transposes across it then. Null: cannot, except that
  /// kElementwise operators need no change.
  bool (*permute)(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) = nullptr;
  /// Multiply-accumulates.
  int64_t (*macs)(const OpArgs&) = nullptr;

  [[nodiscard]] bool is_core() const { return !name.empty(); }
  [[nodiscard]] bool is(uint32_t trait) const { return (traits & trait) != 0; }
};

/// Output types of the operator, by its hook. Errors: unsupported_type for 16-bit floats where it does not take them.
Result<std::vector<TensorType>> infer_types(const OpArgs& args);

/// Finds records by name. compiler/ops provides the table of all operators.
class OpTable {
 public:
  explicit OpTable(std::vector<const OpDef*> ops);
  [[nodiscard]] const OpDef* find(std::string_view core_name) const;
  [[nodiscard]] const OpDef* find_onnx(std::string_view domain, std::string_view type) const;
  [[nodiscard]] const std::vector<const OpDef*>& all() const { return ops_; }

 private:
  std::vector<const OpDef*> ops_;
};

}  // namespace kiln
