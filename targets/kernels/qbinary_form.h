// SPDX-License-Identifier: Apache-2.0
// Integer forms of the binary operators on quantized bytes (runtime-stubs/nn/ref/qbinary.h), found and proved by trying all pairs of
// operands.
#pragma once

#include <optional>
#include <string_view>

#include "compiler/ir/dtype.h"
#include "compiler/program/descriptors.h"
#include "targets/kernels/layer_facts.h"

namespace kiln::kernels {

/// The factors of nn::ref::qbinary_integer.
struct IntegerForm {
  int32_t a_factor, b_factor, offset, shift;
};

/// A form that gives the same result as nn::ref::qbinary, without activation, for all 65,536 pairs of operands of these types, if one
/// was found. `functor`: "add", "sub" or "mul"; others have none. a and b are 8-bit types.
std::optional<IntegerForm> integer_form(const QBinary& d, std::string_view functor, DType a, DType b);

/// Calls that have no such form.
Refusal refuse_qbinary_integers(const KernelContext& c);
/// The factors.
Tuning tune_qbinary_integers(const KernelContext& c);

}  // namespace kiln::kernels
