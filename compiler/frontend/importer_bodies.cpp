// SPDX-License-Identifier: Apache-2.0
// The part of the Importer that imports the graphs within nodes: branches of If, bodies of Loop, Scan and SequenceMap.
//
// Loops are unrolled: the body is imported once per iteration, so how often it runs has to be known. What the iterations compute of
// constants alone (counters, conditions) folds away.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "compiler/frontend/importer.h"
#include "compiler/ir/limits.h"
#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"
#include "compiler/ops/run_time_value.h"

namespace kiln {
namespace {

const onnx::GraphProto* graph_attribute(const onnx::NodeProto& node, std::string_view name) {
  for (const onnx::AttributeProto& attribute : node.attribute())
    if (attribute.name() == name && attribute.has_g()) return &attribute.g();
  return nullptr;
}

/// The bool that `tensor`, the condition of an If or Loop, holds.
Result<bool> truth(const Tensor& tensor) {
  if (tensor.type.dtype != DType::boolean || tensor.type.elements() != 1)
    return bad_node(fmt::format("the condition is {}, it must be one bool.", to_string(tensor.type)));
  return tensor.as<uint8_t>()[0] != 0;
}

/// `x` with a new dimension of 1 at `axis`.
Result<ValueId> with_axis(GraphBuilder& b, ValueId x, int64_t axis) {
  Shape shape = b.shape(x);
  shape.insert(shape.begin() + axis, 1);
  return reshape(b, x, shape);
}

/// Index `i` of dimension `axis`, without that dimension.
Result<ValueId> index_of(GraphBuilder& b, ValueId x, int64_t axis, int64_t i) {
  SliceSpec spec = whole_slice(b.shape(x));
  spec.starts[static_cast<size_t>(axis)] = i;
  spec.sizes[static_cast<size_t>(axis)] = 1;
  Shape shape = b.shape(x);
  shape.erase(shape.begin() + axis);
  Result<ValueId> y = slice(b, x, spec);
  return y ? reshape(b, *y, shape) : std::move(y);
}

/// Tensors of one shape as the indices of a new dimension `axis`, which counts in the result and may be negative.
Result<ValueId> stacked(GraphBuilder& b, const std::vector<ValueId>& parts, int64_t axis) {
  if (parts.empty()) return unsupported("the loop does not run: its scan outputs have no shape.", "export the model without the loop.");
  std::optional<int64_t> at = normalize_axis(axis, b.type(parts[0]).rank() + 1);
  if (!at) return bad_node(fmt::format("axis {} of a scan output is outside {}.", axis, to_string(b.type(parts[0]))));
  std::vector<ValueId> rows;
  for (ValueId part : parts) {
    if (b.shape(part) != b.shape(parts[0]))
      return bad_node(
          fmt::format("the iterations give {} and {} for one scan output.", to_string(b.type(parts[0])), to_string(b.type(part))));
    Result<ValueId> row = with_axis(b, part, *at);
    if (!row) return row;
    rows.push_back(*row);
  }
  return rows.size() == 1 ? Result<ValueId>(rows[0]) : b.add(ops::concat, rows, {{"axis", *at}});
}

}  // namespace

Result<std::vector<Importer::Binding>> Importer::import_graph(Site& site, const onnx::GraphProto& graph, const std::vector<Binding>& inputs,
                                                              std::string_view part) {
  if (site.scope.depth >= limits::kNesting)
    return error(DiagId::limit_exceeded, fmt::format("functions and branches are nested more than {} deep.", limits::kNesting));
  if (static_cast<size_t>(graph.input_size()) != inputs.size())
    return bad_node(fmt::format("graph '{}' of the node has {} inputs, it needs {}.", graph.name(), graph.input_size(), inputs.size()));
  Scope inner;
  inner.outer = &site.scope;
  inner.path = fmt::format("{}/{}", site.name, part);
  inner.opsets = site.scope.opsets;
  inner.attributes = site.scope.attributes;
  inner.depth = site.scope.depth + 1;
  for (int i = 0; i < graph.input_size(); ++i)
    if (!inner.names.emplace(graph.input(i).name(), inputs[static_cast<size_t>(i)]).second)
      return bad_node(fmt::format("graph '{}' of the node has two inputs named '{}'.", graph.name(), graph.input(i).name()));
  bind_initializers(graph, inner);
  std::vector<std::string_view> outputs = output_names(graph);
  import_body(graph.node(), outputs, inner);
  return results_of(outputs, static_cast<int>(outputs.size()), inner);
}

bool Importer::any_failed(const std::vector<Binding>& bindings) const {
  return stopped_ || std::any_of(bindings.begin(), bindings.end(), [](const Binding& b) { return b.failed; });
}

std::vector<Importer::Binding> Importer::all_failed(const Site& site) {
  return std::vector<Binding>(static_cast<size_t>(site.node.output_size()), Binding{.failed = true});
}

// ---- If

Result<std::vector<Importer::Binding>> Importer::choose_branch(Site& site, const OnnxNode& node) {
  const onnx::GraphProto* branches[] = {graph_attribute(site.node, "else_branch"), graph_attribute(site.node, "then_branch")};
  if (!branches[0] || !branches[1] || node.inputs[0] == kNoValue)
    return bad_node("If needs a tensor as its input and the attributes 'then_branch' and 'else_branch'.");
  const Tensor* condition = graph_.constant(node.inputs[0]);
  if (!condition) return compute_both(site, *branches[1], *branches[0], node.inputs[0]);
  Result<bool> chosen = truth(*condition);
  if (!chosen) return std::move(chosen).diagnostic();
  const onnx::GraphProto& branch = *branches[*chosen ? 1 : 0];
  if (branch.output_size() < site.node.output_size())
    return bad_node(fmt::format("the branch has {} outputs, the node needs {}.", branch.output_size(), site.node.output_size()));
  return import_graph(site, branch, {}, "");
}

/// Small branches are both computed, and the results chosen between: a condition that is known at run time only needs no jump then.
Result<std::vector<Importer::Binding>> Importer::compute_both(Site& site, const onnx::GraphProto& yes, const onnx::GraphProto& no,
                                                              ValueId condition) {
  if (graph_.type(condition).dtype != DType::boolean || graph_.type(condition).elements() != 1)
    return bad_node(fmt::format("the condition is {}, it must be one bool.", to_string(graph_.type(condition))));
  const std::string hint = freeze_hint(graph_, condition, "give the condition as a constant, or export the model for one case.");
  if (std::min(yes.output_size(), no.output_size()) < site.node.output_size())
    return bad_node(fmt::format("the branches have {} and {} outputs, the node needs {}.", yes.output_size(), no.output_size(),
                                site.node.output_size()));
  if (yes.node_size() + no.node_size() > limits::kBranchNodes)
    return unsupported(
        fmt::format("the condition is computed at run time, and the branches have {} nodes; up to {} both branches are computed.",
                    yes.node_size() + no.node_size(), limits::kBranchNodes),
        hint);
  Result<std::vector<Binding>> left = import_graph(site, yes, {}, "then/");
  if (!left) return left;
  Result<std::vector<Binding>> right = import_graph(site, no, {}, "else/");
  if (!right) return right;
  if (any_failed(*left) || any_failed(*right)) return all_failed(site);
  GraphBuilder b(graph_, {site.name});
  Result<ValueId> flag = reshape(b, condition, {});
  if (!flag) return std::move(flag).diagnostic();
  std::vector<Binding> out;
  for (int i = 0; i < site.node.output_size(); ++i) {
    const ValueId a = (*left)[static_cast<size_t>(i)].value, c = (*right)[static_cast<size_t>(i)].value;
    if (a == kNoValue || c == kNoValue) return unsupported("the condition is computed at run time, and an output is no tensor.", hint);
    if (graph_.type(a).dtype != graph_.type(c).dtype || graph_.type(a).shape != graph_.type(c).shape)
      return unsupported(fmt::format("the condition is computed at run time, and output {} is {} or {}; shapes must be known.", i,
                                     to_string(graph_.type(a)), to_string(graph_.type(c))),
                         hint);
    Result<ValueId> y = a == c ? a : b.add(ops::where, {*flag, a, c});
    if (!y) return std::move(y).diagnostic();
    out.push_back(Binding{*y});
  }
  return out;
}

// ---- Loop: inputs (trip count, condition, carried...), body (iteration, condition, carried...) -> (condition, carried..., scanned...)

Result<std::optional<int64_t>> Importer::trip_count(const OnnxNode& node) const {
  if (!node.has(0)) return std::optional<int64_t>();
  const Tensor* count = graph_.constant(node.inputs[0]);
  if (!count)
    return run_time_value(
        "the trip count", graph_, node.inputs[0],
        "kiln unrolls loops; export the model with a fixed number of iterations, or move the loop to the application around it.");
  std::optional<std::vector<int64_t>> values = count->to_int64s();
  if (!values || values->size() != 1) return bad_node(fmt::format("the trip count is {}, it must be one i64.", to_string(count->type)));
  return std::optional(std::max<int64_t>(values->front(), 0));
}

Result<bool> Importer::goes_on(const Binding& condition) const {
  const Tensor* tensor = graph_.constant(condition.value);
  if (tensor) return truth(*tensor);
  return run_time_value(
      "the condition of the loop", graph_, condition.value,
      "kiln unrolls loops; export the model with a fixed number of iterations, or move the loop to the application around it.");
}

Status Importer::count_iterations(int64_t more) {
  if (more <= limits::kIterations - iterations_) {
    iterations_ += more;
    return Done{};
  }
  return error(DiagId::limit_exceeded,
               fmt::format("loops are unrolled, and this one would make more than {} iterations of the model.", limits::kIterations),
               "move the loop to the application around the model, which calls it for each iteration.");
}

Result<std::vector<Importer::Binding>> Importer::unroll_loop(Site& site, const OnnxNode& node) {
  const onnx::GraphProto* body = graph_attribute(site.node, "body");
  if (!body) return bad_node("Loop needs the attribute 'body'.");
  std::vector<Binding> carried = operands(site, 2);
  const size_t kept = carried.size(), outputs = static_cast<size_t>(body->output_size());
  if (outputs < kept + 1 || outputs - 1 < static_cast<size_t>(site.node.output_size()))
    return bad_node(
        fmt::format("the body has {} outputs for {} carried values and {} outputs of the node.", outputs, kept, site.node.output_size()));
  Result<std::optional<int64_t>> trips = trip_count(node);
  if (!trips) return std::move(trips).diagnostic();
  if (!*trips && !node.has(1)) return unsupported("the loop has neither trip count nor condition, it would not end.");
  if (Status s = count_iterations(trips->value_or(0)); !s) return std::move(s).diagnostic();
  GraphBuilder b(graph_, {site.name});
  Binding condition = node.has(1) ? Binding{node.inputs[1]} : Binding{b.add_constant(scalar(DType::boolean, 1))};
  std::vector<std::vector<ValueId>> scanned(outputs - 1 - kept);
  for (int64_t i = 0; !*trips || i < **trips; ++i) {
    Result<bool> runs = goes_on(condition);
    if (!runs) return std::move(runs).diagnostic();
    if (!*runs) break;
    if (Status s = count_iterations(*trips ? 0 : 1); !s) return std::move(s).diagnostic();
    b.set_name(fmt::format("{}/{}/iteration", site.name, i));
    std::vector<Binding> inputs{Binding{b.add_constant(Tensor::of<int64_t>({}, std::vector<int64_t>{i}))}, condition};
    inputs.insert(inputs.end(), carried.begin(), carried.end());
    Result<std::vector<Binding>> results = import_graph(site, *body, inputs, fmt::format("{}/", i));
    if (!results) return results;
    if (any_failed(*results)) return all_failed(site);
    condition = (*results)[0];
    std::copy_n(results->begin() + 1, kept, carried.begin());
    for (size_t k = 0; k < scanned.size(); ++k) {
      scanned[k].push_back((*results)[1 + kept + k].value);
      if (scanned[k].back() == kNoValue) return bad_node(fmt::format("scan output {} of the loop is no tensor.", k));
    }
  }
  return with_scanned(site, b, std::move(carried), scanned, {});
}

Result<std::vector<Importer::Binding>> Importer::with_scanned(Site& site, GraphBuilder& b, std::vector<Binding> out,
                                                              const std::vector<std::vector<ValueId>>& scanned,
                                                              const std::vector<int64_t>& axes) {
  b.set_name(site.name + "/stacked");
  for (size_t k = 0; k < scanned.size(); ++k) {
    const int at = static_cast<int>(out.size());
    if (at >= site.node.output_size()) break;
    if (site.node.output(at).empty() || !site.order.read.count(site.node.output(at))) {
      out.push_back({});
      continue;
    }
    Result<ValueId> y = stacked(b, scanned[k], k < axes.size() ? axes[k] : 0);
    if (!y) return std::move(y).diagnostic();
    out.push_back(Binding{*y});
  }
  return out;
}

// ---- Scan: inputs (state..., scanned...), body (state..., an index of each scanned) -> (state..., an index of each scan output)

Result<std::vector<Importer::Binding>> Importer::unroll_scan(Site& site, const OnnxNode& node) {
  const onnx::GraphProto* body = graph_attribute(site.node, "body");
  const auto scans = static_cast<size_t>(std::max<int64_t>(node.attrs.i("num_scan_inputs"), 0));
  if (!body || scans < 1) return bad_node("Scan needs the attributes 'body' and 'num_scan_inputs', at least 1.");
  if (node.opset >= 9) return scan(site, node, *body, operands(site, 0), scans);
  // Up to opset 8 all operands have a leading batch dimension, behind the optional lengths of the sequences.
  if (node.has(0)) return unsupported("sequence lengths of Scan are not supported.", "convert the model to opset 9.");
  const std::vector<Binding> all = operands(site, 1);
  GraphBuilder b(graph_, {site.name});
  if (all.empty() || all[0].value == kNoValue || graph_.type(all[0].value).rank() < 1)
    return bad_node("Scan needs operands with a batch dimension.");
  const int64_t batch = graph_.type(all[0].value).shape[0];
  std::vector<std::vector<ValueId>> results(static_cast<size_t>(site.node.output_size()));
  for (int64_t n = 0; n < batch; ++n) {
    b.set_name(fmt::format("{}/batch_{}", site.name, n));
    std::vector<Binding> one_batch;
    for (const Binding& operand : all) {
      if (operand.value == kNoValue || graph_.type(operand.value).rank() < 1 || graph_.type(operand.value).shape[0] != batch)
        return bad_node(fmt::format("an operand of Scan has no batch dimension of {}.", batch));
      Result<ValueId> part = index_of(b, operand.value, 0, n);
      if (!part) return std::move(part).diagnostic();
      one_batch.push_back(Binding{*part});
    }
    Result<std::vector<Binding>> y = scan(site, node, *body, one_batch, scans);
    if (!y || any_failed(*y)) return y;
    for (size_t i = 0; i < std::min(results.size(), y->size()); ++i)
      if ((*y)[i].value != kNoValue) results[i].push_back((*y)[i].value);
  }
  return with_scanned(site, b, {}, results, {});
}

Result<std::vector<Importer::Binding>> Importer::scan(Site& site, const OnnxNode& node, const onnx::GraphProto& body,
                                                      std::vector<Binding> all, size_t scans) {
  if (all.size() < scans || static_cast<size_t>(body.output_size()) < all.size() - scans)
    return bad_node(
        fmt::format("Scan has {} operands for {} scan inputs, and its body {} outputs.", all.size(), scans, body.output_size()));
  const size_t states = all.size() - scans;
  std::vector<Binding> state(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(states));
  const std::vector<int64_t> axes = node.attrs.ints("scan_input_axes"), out_axes = node.attrs.ints("scan_output_axes");
  const std::vector<int64_t> reversed = node.attrs.ints(node.opset < 9 ? "directions" : "scan_input_directions"),
                             out_reversed = node.attrs.ints("scan_output_directions");
  std::vector<int64_t> along;
  int64_t length = -1;
  for (size_t k = 0; k < scans; ++k) {
    const ValueId x = all[states + k].value;
    if (x == kNoValue) return bad_node(fmt::format("scan input {} is no tensor.", k));
    std::optional<int64_t> axis = normalize_axis(k < axes.size() ? axes[k] : 0, graph_.type(x).rank());
    if (!axis)
      return bad_node(
          fmt::format("axis {} is outside scan input {}, which is {}.", axes.empty() ? 0 : axes[k], k, to_string(graph_.type(x))));
    along.push_back(*axis);
    const int64_t count = graph_.type(x).shape[static_cast<size_t>(*axis)];
    if (length >= 0 && count != length) return bad_node(fmt::format("the scan inputs have {} and {} indices.", length, count));
    length = count;
  }
  if (Status s = count_iterations(length); !s) return std::move(s).diagnostic();
  GraphBuilder b(graph_, {site.name});
  std::vector<std::vector<ValueId>> scanned(static_cast<size_t>(body.output_size()) - states);
  for (int64_t i = 0; i < length; ++i) {
    b.set_name(fmt::format("{}/{}/index", site.name, i));
    std::vector<Binding> inputs = state;
    for (size_t k = 0; k < scans; ++k) {
      Result<ValueId> part = index_of(b, all[states + k].value, along[k], k < reversed.size() && reversed[k] != 0 ? length - 1 - i : i);
      if (!part) return std::move(part).diagnostic();
      inputs.push_back(Binding{*part});
    }
    Result<std::vector<Binding>> results = import_graph(site, body, inputs, fmt::format("{}/", i));
    if (!results) return results;
    if (any_failed(*results)) return all_failed(site);
    std::copy_n(results->begin(), states, state.begin());
    for (size_t k = 0; k < scanned.size(); ++k) scanned[k].push_back((*results)[states + k].value);
  }
  for (size_t k = 0; k < scanned.size(); ++k) {
    if (std::count(scanned[k].begin(), scanned[k].end(), kNoValue) > 0) return bad_node(fmt::format("scan output {} is no tensor.", k));
    if (k < out_reversed.size() && out_reversed[k] != 0) std::reverse(scanned[k].begin(), scanned[k].end());
  }
  return with_scanned(site, b, std::move(state), scanned, out_axes);
}

}  // namespace kiln
