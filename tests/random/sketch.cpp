// SPDX-License-Identifier: Apache-2.0
#include "sketch.h"

#include <cmath>
#include <set>

#include "compiler/frontend/import.h"
#include "noise.h"

namespace kiln::test {
namespace {

/// Larger results are rejected, and so are floats that rounding leaves fewer than about four digits of.
constexpr double kMostMagnitude = 10000, kMostUncertainty = 2e-4;
constexpr double kStrength = 32;

[[noreturn]] void reject(Rejected::Why why, const std::string& name = {}, const std::string& message = {}) { throw Rejected{why, name, message}; }

/// A model of the last node of `model` alone; `constants` are its constant operands, `feeds` the names and types of the others.
std::string single_node(const onnx::ModelProto& model, const std::map<std::string, Tensor>& constants,
                        const std::vector<std::pair<std::string, TensorType>>& feeds) {
  onnx::ModelProto single;
  single.set_ir_version(model.ir_version());
  *single.mutable_opset_import() = model.opset_import();
  onnx::GraphProto& graph = *single.mutable_graph();
  graph.set_name("g");
  const onnx::NodeProto& node = *model.graph().node().rbegin();
  *graph.add_node() = node;
  for (const auto& [name, tensor] : constants) *graph.add_initializer() = to_proto(tensor, name);
  for (const auto& [name, type] : feeds) {
    onnx::ValueInfoProto& info = *graph.add_input();
    info.set_name(name);
    onnx::TypeProto_Tensor& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(onnx_number(type.dtype));
    tensor.mutable_shape();
    for (int64_t dim : type.shape) tensor.mutable_shape()->add_dim()->set_dim_value(dim);
  }
  for (const std::string& name : node.output())
    if (!name.empty()) graph.add_output()->set_name(name);
  return single.SerializeAsString();
}

std::string full_name(const onnx::NodeProto& node) { return node.domain().empty() ? node.op_type() : node.domain() + "::" + node.op_type(); }

/// Rejects results that are too large or too uncertain for comparisons.
void check_fitness(const std::vector<Tensor>& samples) {
  const size_t runs = 1 + Sketch::kNoisy;
  const bool floats = is_float(samples.front().type.dtype);
  const double coarse = samples.front().type.dtype == DType::f16 ? 0x1p13 : samples.front().type.dtype == DType::bf16 ? 0x1p16 : 1;
  for (size_t at = 0; at < samples.size(); at += runs) {
    std::vector<double> exact = samples[at].to_doubles();
    double greatest = 0;
    for (double v : exact) {
      if (!std::isfinite(v) || (floats && std::abs(v) > kMostMagnitude)) reject(Rejected::Why::unfit);
      greatest = std::max(greatest, std::abs(v));
    }
    for (size_t k = 1; k < runs; ++k) {
      if (!floats && samples[at + k] == samples[at]) continue;
      if (!floats) reject(Rejected::Why::unfit);
      std::vector<double> noisy = samples[at + k].to_doubles();
      for (size_t i = 0; i < exact.size(); ++i)
        if (!(std::abs(noisy[i] - exact[i]) <= kMostUncertainty * coarse * (greatest + 0.01))) reject(Rejected::Why::unfit);
    }
  }
}

}  // namespace

Tensor Sketch::random_tensor(DType dtype, const Shape& shape, double low, double high) {
  Tensor t(TensorType{dtype, shape, {}});
  std::vector<double> values(static_cast<size_t>(t.type.elements()));
  for (double& v : values) {
    if (is_float(dtype)) v = static_cast<double>(dice.real(static_cast<float>(low), static_cast<float>(high)));
    else v = static_cast<double>(dice.between(static_cast<int64_t>(low), static_cast<int64_t>(high)));
  }
  set_elements(t, values);
  return t;
}

void Sketch::remember(const std::string& name, Info info) {
  values_.insert_or_assign(name, std::move(info));
  pool_.push_back(name);
}

std::string Sketch::input(DType dtype, const Shape& shape, double low, double high) {
  std::string name = maker_.input(fmt::format("x{}", inputs_++), dtype, shape);
  Info info{{dtype, shape, {}}, {}, false, 0};
  for (size_t set = 0; set < kSets; ++set) {
    Tensor t = random_tensor(dtype, shape, low, high);
    for (size_t k = 0; k <= kNoisy; ++k) info.samples.push_back(t);
  }
  remember(name, std::move(info));
  return name;
}

std::string Sketch::constant(const Tensor& tensor) {
  std::string name = maker_.constant(tensor);
  remember(name, {tensor.type, {tensor}, true, 0});
  return name;
}

std::string Sketch::weights(DType dtype, const Shape& shape, double low, double high) { return constant(random_tensor(dtype, shape, low, high)); }

std::string Sketch::fresh(DType dtype, const Shape& shape, double low, double high) {
  return chance(0.3) ? weights(dtype, shape, low, high) : input(dtype, shape, low, high);
}

std::string Sketch::number(DType dtype, double value) {
  Tensor t(TensorType{dtype, {}, {}});
  set_elements(t, {value});
  return constant(t);
}

std::string Sketch::add(const std::string& type, const std::vector<std::string>& inputs, const Attrs& attrs, const std::string& domain) {
  return add_all(type, inputs, attrs, 1, domain).front();
}

std::vector<std::string> Sketch::add_all(const std::string& type, const std::vector<std::string>& inputs, const Attrs& attrs, int outputs,
                                         const std::string& domain) {
  std::string first = maker_.node(type, inputs, attrs, domain, outputs);
  std::vector<std::string> names{first};
  for (int i = 1; i < outputs; ++i) names.push_back(fmt::format("{}_{}", first, i));
  try_newest(names);
  for (const std::string& name : inputs)
    if (!name.empty()) ++values_.at(name).uses;
  return names;
}

void Sketch::try_newest(const std::vector<std::string>& outputs) {
  const onnx::NodeProto& node = *maker_.model().graph().node().rbegin();
  std::map<std::string, Tensor> constants;
  std::vector<std::pair<std::string, TensorType>> feeds;
  std::set<std::string> seen;
  for (const std::string& name : node.input()) {
    if (name.empty() || !seen.insert(name).second) continue;
    const Info& operand = info(name);
    if (operand.constant) constants.emplace(name, operand.samples.front());
    else feeds.emplace_back(name, operand.type);
  }
  Diagnostics diagnostics;
  std::optional<ImportedModel> model = import_model_bytes(single_node(maker_.model(), constants, feeds), "node.onnx", {}, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) {
    if (d.severity != Severity::error) continue;
    reject(diagnostic_exit_code(d.id) == ExitCode::unsupported ? Rejected::Why::refused : Rejected::Why::invalid, full_name(node), d.message);
  }
  std::vector<Info> results(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const ValueId v = model->graph.outputs()[i];
    results[i].type = model->graph.type(v);
    results[i].constant = model->graph.constant(v) != nullptr;
    if (results[i].type.elements() > kMostElements || results[i].type.elements() == 0) reject(Rejected::Why::unfit);
  }
  for (size_t at = 0; at < kSets * (1 + kNoisy); ++at) {
    std::vector<Tensor> operands;
    for (const auto& [name, type] : feeds) operands.push_back(info(name).samples[at]);
    Result<std::vector<Tensor>> out = evaluate_noisily(model->graph, operands, dice, at % (1 + kNoisy) == 0 ? 0 : kStrength);
    if (!out) reject(Rejected::Why::invalid, full_name(node), out.diagnostic().message);
    for (size_t i = 0; i < outputs.size(); ++i) results[i].samples.push_back(std::move((*out)[i]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    results[i].type.quant = {};
    check_fitness(results[i].samples);
    if (results[i].constant) results[i].samples.resize(1);
  }
  for (size_t i = 0; i < outputs.size(); ++i) remember(outputs[i], std::move(results[i]));
}

std::string Sketch::find(const std::function<bool(const Info&)>& fits) {
  std::vector<std::string> list;
  for (const std::string& name : pool_)
    if (fits(info(name))) list.push_back(name);
  if (list.empty()) return {};
  const auto count = static_cast<int64_t>(list.size());
  return list[static_cast<size_t>(std::max(dice.between(0, count - 1), dice.between(0, count - 1)))];
}

Shape Sketch::random_shape(int64_t min_rank, int64_t max_rank) {
  static constexpr int64_t kSizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 13};
  Shape shape(static_cast<size_t>(dice.between(min_rank, max_rank)));
  for (int64_t& dim : shape) dim = kSizes[dice.between(0, shape.size() > 3 ? 4 : 8)];
  return shape;
}

std::string Sketch::any(DType dtype, int64_t min_rank, int64_t max_rank) {
  std::string found = find([&](const Info& v) { return v.type.dtype == dtype && v.type.rank() >= min_rank && v.type.rank() <= max_rank && !v.constant; });
  if (!found.empty() && !chance(0.12)) return found;
  Shape shape = random_shape(min_rank, max_rank);
  if (dtype == DType::boolean) return fresh(dtype, shape, 0, 1);
  return is_unsigned_integer(dtype) ? fresh(dtype, shape, 0, 100) : is_integer(dtype) ? fresh(dtype, shape, -100, 100) : fresh(dtype, shape, -2, 2);
}

std::string Sketch::image(DType dtype, int64_t spatial, int64_t min_size) {
  if (spatial == 0) spatial = chance(0.2) ? 1 : 2;
  std::string found = find([&](const Info& v) {
    if (v.type.dtype != dtype || v.type.rank() != spatial + 2 || v.constant) return false;
    return std::all_of(v.type.shape.begin() + 2, v.type.shape.end(), [&](int64_t d) { return d >= min_size; });
  });
  if (!found.empty() && !chance(0.1)) return found;
  Shape shape{dice.between(1, 2), dice.between(1, 6)};
  for (int64_t i = 0; i < spatial; ++i) shape.push_back(min_size + dice.between(0, 6));
  return input(dtype, shape, -2, 2);
}

std::string Sketch::partner(const std::string& v, double low, double high) {
  const Shape whole = shape(v);
  const DType type = dtype(v);
  if (chance(0.5)) {
    std::string found = find([&](const Info& other) {
      if (other.type.dtype != type) return false;
      std::optional<Shape> both = broadcast(whole, other.type.shape);
      return both && *both == whole;
    });
    if (!found.empty()) return found;
  }
  Shape other = whole;
  for (int64_t& dim : other)
    if (chance(0.3)) dim = 1;
  if (chance(0.3)) other.erase(other.begin(), other.begin() + static_cast<std::ptrdiff_t>(dice.between(0, static_cast<int64_t>(other.size()))));
  return chance(0.6) ? weights(type, other, low, high) : fresh(type, other, low, high);
}

std::string Sketch::like(const std::string& v, double low, double high) {
  const TensorType type = info(v).type;
  std::string found = find([&](const Info& other) { return other.type.dtype == type.dtype && other.type.shape == type.shape && !other.constant; });
  return !found.empty() && chance(0.7) ? found : fresh(type.dtype, type.shape, low, high);
}

std::string Sketch::within(const std::string& v, double low, double high) {
  bool inside = true;
  for (const Tensor& t : info(v).samples)
    for (double x : t.to_doubles()) inside = inside && x >= low && x <= high;
  if (inside) return v;
  const DType type = dtype(v);
  std::string bounded = add(chance(0.5) ? "Sigmoid" : "Softsign", {v});  // within [-1, 1] both
  std::string scaled = add("Mul", {bounded, number(type, (high - low) / 2 * 0.98)});
  return add("Add", {scaled, number(type, (high + low) / 2)});
}

int64_t Sketch::axis(const std::string& v) {
  const int64_t r = rank(v);
  if (r < 1) reject(Rejected::Why::unfit);
  return dice.between(-r, r - 1);
}

bool Sketch::attempt(const std::function<void(Sketch&)>& step) {
  const ModelMaker::Mark mark = maker_.mark();
  const size_t count = pool_.size();
  std::map<std::string, int> uses;
  for (const auto& [name, value] : values_) uses.emplace(name, value.uses);
  try {
    step(*this);
    return true;
  } catch (const Rejected& why) {
    rejected_ = why;
  }
  maker_.roll_back(mark);
  for (size_t i = count; i < pool_.size(); ++i) values_.erase(pool_[i]);
  pool_.resize(count);
  for (const auto& [name, n] : uses) values_.at(name).uses = n;
  return false;
}

std::string Sketch::finish() {
  std::set<std::string> made;
  for (const onnx::NodeProto& node : maker_.model().graph().node()) made.insert(node.output().begin(), node.output().end());
  ModelMaker whole = maker_;
  int outputs = 0;
  for (const std::string& name : pool_)
    if (made.count(name) && (info(name).uses == 0 || chance(0.08))) {
      whole.output(name, dtype(name));
      ++outputs;
    }
  KILN_CHECK(outputs > 0, "a sketch without nodes has no outputs");
  return whole.bytes();
}

std::vector<std::vector<Tensor>> Sketch::input_sets() const {
  std::vector<std::vector<Tensor>> sets(kSets);
  for (const onnx::ValueInfoProto& input : maker_.model().graph().input())
    for (size_t set = 0; set < kSets; ++set) sets[set].push_back(info(input.name()).samples[set * (1 + kNoisy)]);
  return sets;
}

std::vector<std::string> Sketch::node_types() const {
  std::vector<std::string> types;
  for (const onnx::NodeProto& node : maker_.model().graph().node()) types.push_back(full_name(node));
  return types;
}

}  // namespace kiln::test
