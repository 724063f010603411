// SPDX-License-Identifier: Apache-2.0
// ONNX Runtime as the reference: what it computes is what emitted code has to compute.
//
// The library is loaded when it is first needed, through its C ABI: no header of it is used and kiln works without it. It
// is looked for at $KILN_ONNXRUNTIME, in .deps/onnxruntime of the source tree (where scripts/setup puts it) and in
// lib/kiln of the installation. All sessions run on one thread. Its telemetry is off: it keeps and sends nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

/// What ONNX Runtime may rewrite before it runs a model. `none` evaluates each node literally, Q/DQ in float; `all` fuses.
enum class OrtOptimization { none = 0, basic = 1, extended = 2, all = 99 };

/// An input or output of a session.
struct OrtTensorInfo {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> dims;  ///< -1 where the model leaves a dimension open
};

/// A loaded model. Movable; keeps the library loaded.
class OrtSession {
 public:
  OrtSession(OrtSession&&) noexcept;
  OrtSession& operator=(OrtSession&&) noexcept;
  ~OrtSession();

  /// Without initializers.
  [[nodiscard]] const std::vector<OrtTensorInfo>& inputs() const;
  [[nodiscard]] const std::vector<OrtTensorInfo>& outputs() const;

  /// Outputs in the order of outputs(); `inputs` in the order of inputs(). Errors: onnxruntime_failed, with its own words.
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs);
  /// The median time of `runs` inferences (at least 1) after one to warm up, in nanoseconds. Errors as `run`.
  Result<int64_t> time_run(const std::vector<Tensor>& inputs, int runs);

 private:
  friend class OnnxRuntime;
  struct State;
  explicit OrtSession(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class OnnxRuntime {
 public:
  /// Errors: onnxruntime_missing; onnxruntime_failed when the library cannot be used.
  static Result<OnnxRuntime> load();

  [[nodiscard]] std::string version() const;
  /// `model`: the bytes of a ModelProto, without external data. Errors: onnxruntime_failed, with its own words.
  Result<OrtSession> open(std::string_view model, OrtOptimization optimization);

 private:
  friend class OrtSession;
  struct Library;
  explicit OnnxRuntime(std::shared_ptr<const Library> library) : library_(std::move(library)) {}
  std::shared_ptr<const Library> library_;
};

}  // namespace kiln
