// SPDX-License-Identifier: Apache-2.0
#include "compiler/judge/engine.h"

#include <algorithm>
#include <optional>

#include "compiler/emit/bundle.h"
#include "compiler/frontend/model_edit.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/reference/onnxruntime.h"
#include "compiler/runner/bundle_runner.h"

namespace kiln {
namespace {

using Samples = std::vector<std::vector<Tensor>>;

class EmittedEngine final : public Engine {
 public:
  EmittedEngine(Compiled compiled, const Terminal& terminal) : compiled_(std::move(compiled)), terminal_(terminal) {
    const Program& program = compiled_.program;
    for (const IoTensor& io : program.inputs) inputs_.push_back({io.name, program.tensor(io.tensor).type});
    for (const IoTensor& io : program.outputs) outputs_.push_back({io.name, program.tensor(io.tensor).type});
  }
  std::string name() const override { return "emitted code"; }
  const std::vector<ModelInput>& inputs() const override { return inputs_; }
  const std::vector<ModelOutput>& outputs() const override { return outputs_; }

  Result<Samples> run(const Samples& samples) override {
    if (!host_) {
      terminal_.show_progress("building the emitted code ...");
      const Compiled& c = compiled_;
      Result<BuiltBundle> built = BuiltBundle::build(c.program, c.target, emit_bundle(c.program, c.target, c.info, {}), {});
      if (!built) return std::move(built).diagnostic();
      terminal_.say(built->commands());
      host_.emplace(*std::move(built));
    }
    Result<RunResult> result = host_->run(samples, {});
    if (!result) return std::move(result).diagnostic();
    return std::move(result->outputs);
  }

 private:
  const Compiled compiled_;  // host_ refers to its program
  const Terminal& terminal_;
  std::vector<ModelInput> inputs_;
  std::vector<ModelOutput> outputs_;
  std::optional<BuiltBundle> host_;
};

/// The shape with open dimensions as 1.
Shape bound_shape(Shape dims) {
  std::replace(dims.begin(), dims.end(), int64_t{-1}, int64_t{1});
  return dims;
}

class OrtEngine final : public Engine {
 public:
  OrtEngine(OrtSession session, const Engine* like) : session_(std::move(session)) {
    for (const OrtTensorInfo& info : session_.inputs()) inputs_.push_back({info.name, {info.dtype, bound_shape(info.dims), {}}});
    for (const OrtTensorInfo& info : session_.outputs()) outputs_.push_back({info.name, {info.dtype, bound_shape(info.dims), {}}});
    if (!like) return;
    inputs_ = like->inputs();
    for (ModelOutput& output : outputs_)
      for (const ModelOutput& known : like->outputs())
        if (known.name == output.name && known.type.dtype == output.type.dtype) output.type = known.type;
  }
  std::string name() const override { return "ONNX Runtime"; }
  const std::vector<ModelInput>& inputs() const override { return inputs_; }
  const std::vector<ModelOutput>& outputs() const override { return outputs_; }

  Result<Samples> run(const Samples& samples) override {
    Samples results;
    for (const std::vector<Tensor>& sample : samples) {
      Result<std::vector<Tensor>> outputs = session_.run(feed(sample));
      if (!outputs) return std::move(outputs).diagnostic();
      results.push_back(*std::move(outputs));
    }
    return results;
  }

 private:
  /// The sample's tensors in the order of the session. An input that kiln left out is read by no node; it gets zeros.
  std::vector<Tensor> feed(const std::vector<Tensor>& sample) const {
    std::vector<Tensor> tensors;
    for (const OrtTensorInfo& info : session_.inputs()) {
      auto input = std::find_if(inputs_.begin(), inputs_.end(), [&](const ModelInput& i) { return i.name == info.name; });
      if (input == inputs_.end())
        tensors.emplace_back(TensorType{info.dtype, bound_shape(info.dims), {}});
      else
        tensors.push_back(sample[static_cast<size_t>(input - inputs_.begin())]);
    }
    return tensors;
  }

  OrtSession session_;
  std::vector<ModelInput> inputs_;
  std::vector<ModelOutput> outputs_;
};

}  // namespace

std::unique_ptr<Engine> make_emitted_engine(const CompileOptions& options, Diagnostics& diagnostics, const Terminal& terminal) {
  std::optional<Compiled> compiled = compile_model(options, diagnostics);
  if (!compiled) return nullptr;
  return std::make_unique<EmittedEngine>(*std::move(compiled), terminal);
}

Result<std::unique_ptr<Engine>> make_ort_engine(const CompileOptions& options, const Engine* like, bool optimize) {
  Result<OnnxRuntime> ort = OnnxRuntime::load();
  if (!ort) return std::move(ort).diagnostic();
  Result<std::vector<FrozenInput>> frozen = frozen_inputs(options.model, options.import);
  if (!frozen) return std::move(frozen).diagnostic();
  Result<std::string> bytes = serialized_model(options.model, {{}, *std::move(frozen)});
  if (!bytes) return std::move(bytes).diagnostic();
  Result<OrtSession> session = ort->open(*bytes, optimize ? OrtOptimization::all : OrtOptimization::none);
  if (!session) return std::move(session).diagnostic().in_file(options.model.string());
  std::unique_ptr<Engine> engine = std::make_unique<OrtEngine>(*std::move(session), like);
  return engine;
}

}  // namespace kiln
