// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "compiler/frontend/tensor_proto.h"

namespace kiln {
namespace {

using onnx::TensorShapeProto;

// Dimensions are bound in this order: numbers in the file, --input-shape, --dim, then 1 for a
// leading dimension. A name has one value in the whole model, wherever it was bound.
class Binder {
 public:
  Binder(const onnx::GraphProto& graph, const ImportOptions& options, Diagnostics& diagnostics)
      : graph_(graph), options_(options), diagnostics_(diagnostics) {}

  ModelInputs run() {
    collect_inputs();
    check_option_names();
    for (const onnx::ValueInfoProto* input : inputs_) bind_by_option(*input);
    assume_batch();
    ModelInputs bound;
    for (const onnx::ValueInfoProto* input : inputs_)
      if (std::optional<TensorType> type = bind(*input))
        bound.emplace_back(input->name(), std::move(*type));
    return bound;
  }

 private:
  static const TensorShapeProto& shape_of(const onnx::ValueInfoProto& input) {
    return input.type().tensor_type().shape();
  }
  /// A number in the file that is one: exporters write -1 (and 0) for a dimension that is not
  /// fixed.
  static bool is_fixed(const TensorShapeProto::Dimension& dim) {
    return dim.has_dim_value() && dim.dim_value() > 0;
  }
  static bool is_named(const TensorShapeProto::Dimension& dim) {
    return dim.has_dim_param() && !dim.dim_param().empty();
  }

  void report(Diagnostic d) { diagnostics_.report(std::move(d)); }

  void collect_inputs() {
    std::set<std::string> constants, seen;
    for (const onnx::TensorProto& tensor : graph_.initializer()) constants.insert(tensor.name());
    for (const onnx::ValueInfoProto& input : graph_.input()) {
      if (!seen.insert(input.name()).second)
        report(error(DiagId::duplicate_tensor,
                     fmt::format("the model has two inputs named '{}'.", input.name())));
      else if (!constants.count(input.name()))
        inputs_.push_back(&input);
    }
  }

  void check_option_names() {
    std::set<std::string> dim_names;
    std::vector<std::string> input_names;
    for (const onnx::ValueInfoProto* input : inputs_) {
      input_names.push_back(input->name());
      for (const auto& dim : shape_of(*input).dim())
        if (is_named(dim)) dim_names.insert(dim.dim_param());
    }
    for (const auto& [name, shape] : options_.input_shapes)
      if (std::find(input_names.begin(), input_names.end(), name) == input_names.end())
        report(error(DiagId::unknown_input_name,
                     fmt::format("--input-shape names '{}', which is no input of the model.", name),
                     input_names.empty() ? "the model has no inputs."
                                         : fmt::format("the inputs are: {}.", fmt::join(input_names, ", "))));
    for (const auto& [name, value] : options_.dims) {
      if (!dim_names.count(name))
        report(error(DiagId::bad_shape_option,
                     fmt::format("--dim names '{}', which is no dimension of an input.", name),
                     dim_names.empty() ? "the model has no named dimensions."
                                       : fmt::format("the named dimensions are: {}.",
                                                     fmt::join(dim_names, ", "))));
      else if (value < 1)
        report(error(DiagId::bad_shape_option,
                     fmt::format("--dim {}={}: a dimension must be at least 1.", name, value)));
      else
        dims_[name] = value;
    }
  }

  void bind_by_option(const onnx::ValueInfoProto& input) {
    auto it = options_.input_shapes.find(input.name());
    if (it == options_.input_shapes.end()) return;
    const Shape& shape = it->second;
    std::string flag = fmt::format("--input-shape {}={}", input.name(), fmt::join(shape, ","));
    const TensorShapeProto& declared = shape_of(input);
    bool has_shape = input.type().tensor_type().has_shape();
    if (has_shape && static_cast<size_t>(declared.dim_size()) != shape.size())
      return report(error(DiagId::bad_shape_option,
                          fmt::format("{} has {} dimensions, the model's input has {}.", flag,
                                      shape.size(), declared.dim_size())));
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] < 1)
        return report(error(DiagId::bad_shape_option,
                            fmt::format("{}: a dimension must be at least 1.", flag)));
      if (!has_shape) continue;
      const auto& dim = declared.dim(static_cast<int>(i));
      if (is_fixed(dim) && dim.dim_value() != shape[i])
        return report(error(DiagId::bad_shape_option,
                            fmt::format("{}: dimension {} is {}, the model fixes it to {}.", flag,
                                        i, shape[i], dim.dim_value())));
      if (!is_named(dim)) continue;
      auto [known, added] = dims_.emplace(dim.dim_param(), shape[i]);
      if (!added && known->second != shape[i])
        return report(error(DiagId::bad_shape_option,
                            fmt::format("{}: dimension '{}' would be {}, it is {} elsewhere.", flag,
                                        dim.dim_param(), shape[i], known->second)));
    }
  }

  // A name that leads is the batch, unless it also stands elsewhere: then it must say so itself, as
  // "batch" or "batch_size".
  void assume_batch() {
    std::set<std::string> inner;
    for (const onnx::ValueInfoProto* input : inputs_)
      for (int i = 1; i < shape_of(*input).dim_size(); ++i)
        inner.insert(shape_of(*input).dim(i).dim_param());
    for (const onnx::ValueInfoProto* input : inputs_) {
      if (shape_of(*input).dim_size() == 0 || !is_named(shape_of(*input).dim(0))) continue;
      const std::string& name = shape_of(*input).dim(0).dim_param();
      bool says_batch = name.find("batch") != std::string::npos;
      if ((inner.count(name) && !says_batch) || !dims_.emplace(name, 1).second) continue;
      diagnostics_.note(
          DiagId::batch_assumed,
          fmt::format("dimension '{}' of input '{}' is taken as 1.", name, input->name()),
          fmt::format("add `--dim {}=8` for a batch of 8.", name));
    }
  }

  [[nodiscard]] std::optional<int64_t> known(const onnx::ValueInfoProto& input, int i) const {
    const auto& dim = shape_of(input).dim(i);
    if (is_fixed(dim)) return dim.dim_value();
    if (auto it = options_.input_shapes.find(input.name());
        it != options_.input_shapes.end() && static_cast<size_t>(i) < it->second.size())
      return it->second[static_cast<size_t>(i)];
    if (is_named(dim))
      if (auto it = dims_.find(dim.dim_param()); it != dims_.end()) return it->second;
    return std::nullopt;
  }

  /// "1,16,40", with 1 for a leading dimension and `guess` for others that are not known.
  [[nodiscard]] std::string example(const onnx::ValueInfoProto& input) const {
    std::string text;
    for (int i = 0; i < shape_of(input).dim_size(); ++i)
      text += fmt::format("{}{}", i ? "," : "", known(input, i).value_or(i == 0 ? 1 : kExampleDim));
    return text;
  }
  static constexpr int64_t kExampleDim = 16;

  std::optional<TensorType> bind(const onnx::ValueInfoProto& input) {
    const std::string& name = input.name();
    if (!input.type().has_tensor_type()) {
      report(error(DiagId::unsupported_type, fmt::format("input '{}' is no tensor.", name),
                   "sequences, maps, optionals and sparse tensors are not supported."));
      return std::nullopt;
    }
    const auto& declared = input.type().tensor_type();
    std::optional<DType> dtype = dtype_from_onnx(declared.elem_type());
    if (!dtype) {
      report(error(DiagId::unsupported_type,
                   fmt::format("input '{}' has element type {}, which is not supported.", name,
                               onnx_type_name(declared.elem_type()))));
      return std::nullopt;
    }
    std::optional<Shape> shape = declared.has_shape() ? bind_dims(input) : shape_of_unranked(input);
    if (!shape) return std::nullopt;
    if (Status s = check_shape(*shape); !s) {
      Diagnostic why = std::move(s).diagnostic();
      why.message = fmt::format("input '{}': {}", name, why.message);
      report(std::move(why));
      return std::nullopt;
    }
    return TensorType{*dtype, std::move(*shape), {}};
  }

  std::optional<Shape> shape_of_unranked(const onnx::ValueInfoProto& input) {
    if (auto it = options_.input_shapes.find(input.name()); it != options_.input_shapes.end())
      return it->second;
    report(error(
        DiagId::unbound_dimension,
        fmt::format("input '{}' has no shape in the model.", input.name()),
        fmt::format("add `--input-shape {}=1,...` with the dimensions it has.", input.name())));
    return std::nullopt;
  }

  std::optional<Shape> bind_dims(const onnx::ValueInfoProto& input) {
    Shape shape;
    for (int i = 0; i < shape_of(input).dim_size(); ++i) {
      const auto& dim = shape_of(input).dim(i);
      std::optional<int64_t> value = known(input, i);
      if (!value && dim.has_dim_value() && (dim.dim_value() == 0 || dim.dim_value() < -1)) {
        const bool is_empty = dim.dim_value() == 0;
        report(error(is_empty ? DiagId::unsupported_tensor : DiagId::bad_dimensions,
                     is_empty ? fmt::format("dimension {} of input '{}' is 0, it holds no elements.", i, input.name())
                              : fmt::format("dimension {} of input '{}' is {}, it must be at least 1.", i, input.name(), dim.dim_value()),
                     fmt::format("{}give the shape with `--input-shape {}={}`.", is_empty ? "make it an initializer, or " : "",
                                 input.name(), example(input))));
        return std::nullopt;
      }
      if (!value && i == 0 && !is_named(dim)) {
        diagnostics_.note(
            DiagId::batch_assumed,
            fmt::format("the first dimension of input '{}' is taken as 1.", input.name()),
            fmt::format("add `--input-shape {}={}` to say it, or another value.", input.name(),
                        example(input)));
        value = 1;
      }
      if (!value) {
        std::string hint = fmt::format("add `--input-shape {}={}`", input.name(), example(input));
        if (is_named(dim))
          hint = fmt::format("add `--dim {}={}` or `{}`", dim.dim_param(), kExampleDim,
                             hint.substr(5, hint.size() - 6));
        report(error(
            DiagId::unbound_dimension,
            fmt::format("dimension {}{} of input '{}' has no value.", i,
                        is_named(dim) ? fmt::format(" ('{}')", dim.dim_param()) : "", input.name()),
            hint + ", with the size your application needs."));
        // Later dimensions of this input are listed as well; the stand-in is never used.
        failed_ = true;
      }
      shape.push_back(value.value_or(1));
    }
    if (std::exchange(failed_, false)) return std::nullopt;
    return shape;
  }

  const onnx::GraphProto& graph_;
  const ImportOptions& options_;
  Diagnostics& diagnostics_;
  std::vector<const onnx::ValueInfoProto*> inputs_;
  std::map<std::string, int64_t> dims_;  ///< values of names
  bool failed_ = false;
};

}  // namespace

ModelInputs bind_inputs(const onnx::GraphProto& graph, const ImportOptions& options,
                        Diagnostics& diagnostics) {
  return Binder(graph, options, diagnostics).run();
}

}  // namespace kiln
