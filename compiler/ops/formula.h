// SPDX-License-Identifier: Apache-2.0
// For import hooks that spell an operator as many nodes.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "compiler/ops/op_util.h"

namespace kiln {

/// Adds nodes; the first error sticks, and what is built after it is kNoValue: so that a formula reads as one, and is checked once.
class Formula {
 public:
  explicit Formula(GraphBuilder& builder) : builder_(builder) {}

  ValueId operator()(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs = {}) {
    return take(failure_ ? Result<ValueId>(*failure_) : builder_.add(op, std::move(inputs), std::move(attrs)));
  }
  ValueId reshaped(ValueId x, const Shape& shape) { return failure_ ? kNoValue : take(reshape(builder_, x, shape)); }
  ValueId transposed(ValueId x, const std::vector<int64_t>& perm) { return failure_ ? kNoValue : take(transpose(builder_, x, perm)); }
  ValueId converted(ValueId x, DType to) { return failure_ ? kNoValue : take(cast(builder_, x, to)); }
  /// `size` indices of `axis`, from `start` on in steps of `step`.
  ValueId part(ValueId x, size_t axis, int64_t start, int64_t size, int64_t step = 1) {
    if (failure_) return kNoValue;
    Shape starts(shape(x).size(), 0), sizes = shape(x), steps(sizes.size(), 1);
    starts[axis] = start;
    sizes[axis] = size;
    steps[axis] = step;
    return (*this)(ops::slice, {x}, {{"starts", std::move(starts)}, {"sizes", std::move(sizes)}, {"steps", std::move(steps)}});
  }
  ValueId constant(Tensor tensor) { return builder_.add_constant(std::move(tensor)); }
  /// A scalar, f32 or `dtype`, which is no 16-bit float.
  ValueId number(double value, DType dtype = DType::f32) {
    Tensor t(TensorType{dtype, {}, {}});
    with_storage_type(dtype, [&]<class T>() { t.as<T>()[0] = static_cast<T>(value); });
    return constant(std::move(t));
  }

  /// Empty after an error.
  [[nodiscard]] Shape shape(ValueId x) const { return x == kNoValue ? Shape{} : builder_.shape(x); }
  [[nodiscard]] bool failed() const { return failure_.has_value(); }
  /// What an import hook returns.
  ImportResult result(std::vector<ValueId> outputs) {
    if (failure_) return *std::move(failure_);
    return outputs;
  }

 private:
  ValueId take(Result<ValueId> value) {
    if (value) return *value;
    if (!failure_) failure_ = std::move(value).diagnostic();
    return kNoValue;
  }

  GraphBuilder& builder_;
  std::optional<Diagnostic> failure_;
};

}  // namespace kiln
