// SPDX-License-Identifier: Apache-2.0
// The part of the Importer that deals with sequences and optionals. Neither exists in a Graph: a sequence is a list of bindings here, an
// optional is its element or nothing, and the operators on them are done once and for all while importing. So their lengths, and positions
// in them, have to be known.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "compiler/frontend/importer.h"
#include "compiler/ir/limits.h"
#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"
#include "compiler/ops/run_time_value.h"

namespace kiln {

std::vector<Importer::Binding> Importer::operands(Site& site, int first) {
  std::vector<Binding> out;
  for (int i = first; i < site.node.input_size(); ++i)
    out.push_back(site.node.input(i).empty() ? Binding{} : *resolve(site.node.input(i), site.scope));
  return out;
}

Importer::Binding Importer::sequence_of(std::vector<Binding> elements) {
  Binding binding;
  binding.sequence = std::make_shared<const std::vector<Binding>>(std::move(elements));
  return binding;
}

Result<std::vector<Importer::Binding>> Importer::sequence_operand(Site& site) {
  const Binding operand = site.node.input_size() > 0 ? operands(site, 0)[0] : Binding{};
  if (!operand.sequence) return bad_node("input 0 is no sequence.");
  return *operand.sequence;
}

Result<size_t> Importer::position(const OnnxNode& node, size_t input, size_t length, bool inserting) const {
  const auto count = static_cast<int64_t>(length);
  if (!node.has(input)) return inserting ? length : length - 1;
  const Tensor* tensor = graph_.constant(node.inputs[input]);
  if (!tensor)
    return run_time_value("the position in the sequence", graph_, node.inputs[input], "use tensors and Gather instead of sequences.");
  std::optional<std::vector<int64_t>> values = tensor->to_int64s();
  if (!values || values->size() != 1) return bad_node(fmt::format("the position is {}, it must be one integer.", to_string(tensor->type)));
  int64_t at = values->front();
  if (at < 0) at += count;
  if (at < 0 || at >= count + (inserting ? 1 : 0))
    return bad_node(fmt::format("position {} is outside a sequence of {}.", values->front(), count));
  return static_cast<size_t>(at);
}

Result<std::vector<Importer::Binding>> Importer::construct_sequence(Site& site, const OnnxNode& node) {
  if (node.type == "SequenceEmpty") return std::vector{sequence_of({})};
  std::vector<Binding> elements = operands(site, 0);
  for (const Binding& element : elements)
    if (element.value == kNoValue) return bad_node("an element of the sequence is no tensor.");
  return std::vector{sequence_of(std::move(elements))};
}

Result<std::vector<Importer::Binding>> Importer::change_sequence(Site& site, const OnnxNode& node) {
  Result<std::vector<Binding>> elements = sequence_operand(site);
  if (!elements) return elements;
  const bool inserting = node.type == "SequenceInsert";
  if (!inserting && elements->empty()) return bad_node("the sequence is empty.");
  Result<size_t> at = position(node, inserting ? 2 : 1, elements->size(), inserting);
  if (!at) return std::move(at).diagnostic();
  const auto place = elements->begin() + static_cast<std::ptrdiff_t>(*at);
  if (node.type == "SequenceAt") return std::vector{*place};
  if (inserting && node.inputs[1] == kNoValue) return bad_node("the new element of the sequence is no tensor.");
  if (inserting)
    elements->insert(place, Binding{node.inputs[1]});
  else
    elements->erase(place);
  return std::vector{sequence_of(*std::move(elements))};
}

Result<std::vector<Importer::Binding>> Importer::sequence_length(Site& site, const OnnxNode&) {
  Result<std::vector<Binding>> elements = sequence_operand(site);
  if (!elements) return elements;
  GraphBuilder b(graph_, {site.name});
  return std::vector{Binding{b.add_constant(Tensor::of<int64_t>({}, std::vector<int64_t>{static_cast<int64_t>(elements->size())}))}};
}

/// One part per index, parts of one length (the last may be shorter), or of the lengths given.
Result<std::vector<Importer::Binding>> Importer::split_to_sequence(Site& site, const OnnxNode& node) {
  if (node.inputs[0] == kNoValue) return bad_node("input 0 is no tensor.");
  const Shape shape = graph_.type(node.inputs[0]).shape;
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis"), static_cast<int64_t>(shape.size()));
  if (!axis)
    return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis"), shape.size(), to_string(shape)));
  GraphBuilder b(graph_, {site.name});
  const int64_t dim = shape[static_cast<size_t>(*axis)];
  std::vector<int64_t> sizes;
  int64_t step = 1;
  if (node.has(1)) {
    Result<std::vector<int64_t>> split = constant_ints(node, b, 1, "split");
    if (!split) return std::move(split).diagnostic();
    if (b.type(node.inputs[1]).rank() == 0)
      step = split->at(0);
    else
      sizes = *std::move(split);
  }
  if (step < 1) return bad_node(fmt::format("'split' is {}, it must be at least 1.", step));
  if (sizes.empty())
    for (int64_t begin = 0; begin < dim; begin += step) sizes.push_back(std::min(step, dim - begin));
  if (sizes.size() > limits::kOperands)
    return error(DiagId::limit_exceeded, fmt::format("the sequence has {} elements, the limit is {}.", sizes.size(), limits::kOperands));
  std::vector<Binding> parts;
  SliceSpec spec = whole_slice(shape);
  int64_t begin = 0;
  for (int64_t size : sizes) {
    if (size < 0 || size > dim - begin)
      return bad_node(fmt::format("'split' {} does not divide a dimension of {}.", to_string(sizes), dim));
    spec.starts[static_cast<size_t>(*axis)] = begin;
    spec.sizes[static_cast<size_t>(*axis)] = size;
    begin += size;
    Result<ValueId> part = slice(b, node.inputs[0], spec);
    if (part && !node.has(1) && node.attrs.i("keepdims", 1) == 0) {
      Shape squeezed = shape;
      squeezed.erase(squeezed.begin() + *axis);
      part = reshape(b, *part, squeezed);
    }
    if (!part) return std::move(part).diagnostic();
    parts.push_back(Binding{*part});
  }
  if (begin != dim) return bad_node(fmt::format("'split' {} does not divide a dimension of {}.", to_string(sizes), dim));
  return std::vector{sequence_of(std::move(parts))};
}

Result<std::vector<Importer::Binding>> Importer::concat_sequence(Site& site, const OnnxNode& node) {
  Result<std::vector<Binding>> elements = sequence_operand(site);
  if (!elements) return elements;
  if (elements->empty()) return bad_node("the sequence is empty.");
  GraphBuilder b(graph_, {site.name});
  const bool new_axis = node.attrs.i("new_axis") != 0;
  const int64_t rank = graph_.type(elements->front().value).rank() + (new_axis ? 1 : 0);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis"), rank);
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of the result.", node.attrs.i("axis"), rank));
  std::vector<ValueId> parts;
  for (const Binding& element : *elements) {
    Shape shape = graph_.type(element.value).shape;
    if (new_axis) shape.insert(shape.begin() + std::min(*axis, static_cast<int64_t>(shape.size())), 1);
    Result<ValueId> part = reshape(b, element.value, shape);
    if (!part) return std::move(part).diagnostic();
    parts.push_back(*part);
  }
  Result<ValueId> y = parts.size() == 1 ? Result<ValueId>(parts[0]) : b.add(ops::concat, parts, {{"axis", *axis}});
  if (!y) return std::move(y).diagnostic();
  return std::vector{Binding{*y}};
}

/// The body for each element of the first sequence, with the elements there of the others and with the tensors as they are.
Result<std::vector<Importer::Binding>> Importer::map_sequence(Site& site, const OnnxNode&) {
  const onnx::GraphProto* body = nullptr;
  for (const onnx::AttributeProto& attribute : site.node.attribute())
    if (attribute.name() == "body" && attribute.has_g()) body = &attribute.g();
  Result<std::vector<Binding>> elements = sequence_operand(site);
  if (!elements) return elements;
  if (!body || body->output_size() < site.node.output_size())
    return bad_node("SequenceMap needs the attribute 'body', with an output for each of its own.");
  const std::vector<Binding> all = operands(site, 0);
  if (Status s = count_iterations(static_cast<int64_t>(elements->size())); !s) return std::move(s).diagnostic();
  std::vector<std::vector<Binding>> results(static_cast<size_t>(site.node.output_size()));
  for (size_t i = 0; i < elements->size(); ++i) {
    std::vector<Binding> inputs;
    for (const Binding& operand : all) {
      if (operand.sequence && operand.sequence->size() != elements->size())
        return bad_node(fmt::format("the sequences have {} and {} elements.", elements->size(), operand.sequence->size()));
      inputs.push_back(operand.sequence ? (*operand.sequence)[i] : operand);
    }
    Result<std::vector<Binding>> outputs = import_graph(site, *body, inputs, fmt::format("{}/", i));
    if (!outputs) return outputs;
    if (any_failed(*outputs)) return all_failed(site);
    for (size_t k = 0; k < results.size(); ++k) {
      if ((*outputs)[k].value == kNoValue) return bad_node(fmt::format("output {} of the body is no tensor.", k));
      results[k].push_back((*outputs)[k]);
    }
  }
  std::vector<Binding> out;
  for (std::vector<Binding>& list : results) out.push_back(sequence_of(std::move(list)));
  return out;
}

Result<std::vector<Importer::Binding>> Importer::optional_operator(Site& site, const OnnxNode& node) {
  const Binding element = site.node.input_size() > 0 ? operands(site, 0)[0] : Binding{.is_none = true};
  const bool there = element.value != kNoValue || element.sequence;
  if (node.type == "OptionalHasElement") {
    GraphBuilder b(graph_, {site.name});
    return std::vector{Binding{b.add_constant(scalar(DType::boolean, there ? 1 : 0))}};
  }
  if (node.type == "OptionalGetElement" && !there) return bad_node("the optional has no element.");
  return std::vector{element};
}

}  // namespace kiln
