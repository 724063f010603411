// SPDX-License-Identifier: Apache-2.0
// The nodes of an ONNX model -> nodes of a Graph.
//
// A body (the main graph, a called function, a branch of an If, an iteration of a Loop) is walked in dependency
// order with a scope that maps ONNX names to values. Functions are inlined by importing their body
// once per call. A node that cannot be imported is reported, its outputs are marked as failed, and
// whatever depends on those is skipped without a message: so one run lists all independent
// problems.
#pragma once

#include <onnx/onnx_pb.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "compiler/frontend/attributes.h"
#include "compiler/frontend/external_data.h"
#include "compiler/frontend/inputs.h"
#include "compiler/frontend/node_order.h"
#include "compiler/frontend/proto.h"
#include "compiler/ir/builder.h"
#include "compiler/ir/graph.h"

namespace kiln {

class Importer {
 public:
  Importer(const onnx::ModelProto& model, Opsets opsets, const ExternalData& external, Graph& graph,
           Diagnostics& diagnostics);

  /// Imports the main graph with these inputs, and makes its outputs the outputs of the Graph.
  void run(const ModelInputs& inputs);

 private:
  /// What an ONNX name stands for. None of all: an optional input of a function that its caller omits.
  struct Binding {
    ValueId value = kNoValue;
    const onnx::TensorProto* initializer = nullptr;  ///< not converted yet
    bool failed = false;                             ///< no value, and the user has been told why
    std::shared_ptr<const std::vector<Binding>> sequence = nullptr;  ///< tensors, none of them failed
    bool is_none = false;                            ///< an optional without an element
    [[nodiscard]] bool is_given() const { return value != kNoValue || sequence || is_none; }
  };

  struct Function {
    const onnx::FunctionProto* proto = nullptr;
    Opsets opsets;
    std::vector<onnx::AttributeProto> defaults;
    std::string problem;  ///< why it cannot be called
  };

  struct Scope {
    Scope* outer = nullptr;  ///< of a branch: the graph around it
    std::string path;        ///< in front of the names of nodes and tensors: "outer/"
    const Opsets* opsets = nullptr;
    const std::map<std::string, const onnx::AttributeProto*>* attributes =
        nullptr;  ///< of the function's call
    size_t depth = 0;
    std::unordered_map<std::string_view, Binding> names;
    std::unordered_set<std::string_view>
        sparse;  ///< sparse initializers, refused where they are used

    [[nodiscard]] bool is_main() const { return depth == 0; }
  };

  /// A node and where it stands.
  struct Site {
    const onnx::NodeProto& node;
    Scope& scope;
    std::string name;  ///< "outer/conv1", never empty
    const NodeOrder& order;
  };

  void read_functions();
  void bind_initializers(const onnx::GraphProto& graph, Scope& scope);
  void import_body(const NodeProtos& nodes, const std::vector<std::string_view>& outputs,
                   Scope& scope);
  void report_unknown_operators(const NodeOrder& order, const Scope& scope);
  void import_node(Site& site);
  Result<std::vector<Binding>> import_by_kind(Site& site);
  Result<std::vector<Binding>> call_function(Site& site, const Function& function);
  using Expansion = Result<std::vector<Binding>> (Importer::*)(Site&, const OnnxNode&);
  /// How the importer itself carries out an operator: those with graphs inside, and those on sequences.
  [[nodiscard]] static Expansion expansion_of(const onnx::NodeProto& node);
  Result<std::vector<Binding>> choose_branch(Site& site, const OnnxNode& node);
  Result<std::vector<Binding>> compute_both(Site& site, const onnx::GraphProto& yes, const onnx::GraphProto& no, ValueId condition);
  Result<std::vector<Binding>> unroll_loop(Site& site, const OnnxNode& node);
  Result<std::optional<int64_t>> trip_count(const OnnxNode& node) const;
  Result<bool> goes_on(const Binding& condition) const;
  /// Counts `more` iterations of a loop. Errors: limit_exceeded.
  Status count_iterations(int64_t more);
  Result<std::vector<Binding>> unroll_scan(Site& site, const OnnxNode& node);
  Result<std::vector<Binding>> scan(Site& site, const OnnxNode& node, const onnx::GraphProto& body, std::vector<Binding> all, size_t scans);
  Result<std::vector<Binding>> construct_sequence(Site& site, const OnnxNode& node);
  Result<std::vector<Binding>> change_sequence(Site& site, const OnnxNode& node);
  Result<std::vector<Binding>> sequence_length(Site& site, const OnnxNode& node);
  Result<std::vector<Binding>> split_to_sequence(Site& site, const OnnxNode& node);
  Result<std::vector<Binding>> concat_sequence(Site& site, const OnnxNode& node);
  Result<std::vector<Binding>> map_sequence(Site& site, const OnnxNode& node);
  Result<std::vector<Binding>> optional_operator(Site& site, const OnnxNode& node);

  /// What the node's inputs from `first` on stand for.
  std::vector<Binding> operands(Site& site, int first);
  static Binding sequence_of(std::vector<Binding> elements);
  /// The elements of input 0.
  Result<std::vector<Binding>> sequence_operand(Site& site);
  /// The constant that is `input` as a position in a sequence: its end where the input is missing.
  Result<size_t> position(const OnnxNode& node, size_t input, size_t length, bool inserting) const;
  /// The outputs of a graph within a node; `part` is put in front of the names in it, behind that of the node.
  Result<std::vector<Binding>> import_graph(Site& site, const onnx::GraphProto& graph, const std::vector<Binding>& inputs, std::string_view part);
  /// `out`, followed by the tensors of each list stacked along an axis (0 where `axes` has none), as far as the node has outputs.
  Result<std::vector<Binding>> with_scanned(Site& site, GraphBuilder& b, std::vector<Binding> out, const std::vector<std::vector<ValueId>>& scanned,
                                            const std::vector<int64_t>& axes);
  [[nodiscard]] bool any_failed(const std::vector<Binding>& bindings) const;
  static std::vector<Binding> all_failed(const Site& site);
  /// For operators without a record that ONNX itself defines by a function body.
  Result<std::vector<Binding>> call_definition(Site& site);
  /// What the first `count` of a called body's outputs are.
  Result<std::vector<Binding>> results_of(const std::vector<std::string_view>& outputs, int count,
                                          Scope& inner);
  Result<std::vector<Binding>> apply_operator(Site& site, const OpDef& op);
  Result<OnnxNode> onnx_node(Site& site, const OpDef& op);
  /// The values of the node's outputs. Where operands are 16-bit floats, for which the operator has no arithmetic, it is computed
  /// in f32 and rounded at the end.
  Result<std::vector<ValueId>> build(const OpDef& op, const OnnxNode& node, GraphBuilder& builder);
  Result<std::vector<ValueId>> build_in_f32(const OpDef& op, OnnxNode node, GraphBuilder& builder);
  /// The 16-bit float `value` as f32.
  Result<ValueId> in_f32(ValueId value, GraphBuilder& builder);
  void bind_outputs(Site& site, const std::vector<Binding>& values, size_t first_new);
  void finish_outputs(Scope& scope);

  /// What `name` stands for in `scope` or around it, initializers converted.
  Result<Binding> resolve(std::string_view name, Scope& scope);
  Result<Binding> convert_initializer(std::string_view name, Binding& binding);
  Result<AttrProtos> attributes_of(const onnx::NodeProto& node, const Scope& scope) const;
  [[nodiscard]] const Function* function_of(const onnx::NodeProto& node) const;
  [[nodiscard]] static bool has_definition(const onnx::NodeProto& node);
  /// Something is there that imports nodes of this operator.
  [[nodiscard]] bool is_known(const onnx::NodeProto& node) const;
  bool within_limits();
  void report(Diagnostic d, const Site& site);

  const onnx::ModelProto& model_;
  Opsets opsets_;
  const ExternalData& external_;
  Graph& graph_;
  Diagnostics& diagnostics_;
  std::map<std::string, Function, std::less<>> functions_;
  std::deque<onnx::FunctionProto> definitions_;  ///< of operators, made for the nodes that use them
  std::map<ValueId, ValueId> in_f32_;  ///< by 16-bit float: before it was rounded, or converted already
  std::vector<const Function*> calls_;       ///< that are being imported, outermost first
  std::unordered_set<const void*> scanned_;  ///< bodies whose unknown operators have been reported
  size_t nodes_ = 0;
  int64_t iterations_ = 0;
  size_t counted_values_ = 0;
  uint64_t constant_bytes_ = 0;
  size_t not_looked_at_ = 0;  ///< nodes that read a failed tensor
  bool stopped_ = false;  ///< a limit was met
};

}  // namespace kiln
