// SPDX-License-Identifier: Apache-2.0
#include "passes/select_kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/support/hash.h"
#include "nn/half.h"

namespace kiln {
namespace {

/// Why the row cannot be taken, or nothing.
Refusal refusal(const KernelRow& row, const KernelContext& context, const KernelOptions& options) {
  if (options.reference_only && row.variant != "ref") return "only reference kernels were asked for";
  if ((row.needs & context.target.capabilities) != row.needs) return fmt::format("{} lacks what it needs", context.target.name);
  const DType dtype = context.program.tensor(context.call.inputs.front()).type.dtype;
  if (row.input && *row.input != dtype) return fmt::format("it computes {}, the input is {}", dtype_name(*row.input), dtype_name(dtype));
  return row.refuse ? row.refuse(context) : std::nullopt;
}

/// The floats in 16 bits, if all are finite and none changes: as bf16 where that is enough, which is less work to read, else as f16.
std::optional<Tensor> narrowed(const Tensor& wide) {
  if (wide.type.dtype != DType::f32) return std::nullopt;
  std::span<const float> numbers = wide.as<float>();
  auto store = [&](DType dtype, auto narrow, auto widen) -> std::optional<Tensor> {
    auto is_kept = [&](float x) { return std::isfinite(x) && widen(narrow(x)) == x; };
    if (!std::all_of(numbers.begin(), numbers.end(), is_kept)) return std::nullopt;
    Tensor out(TensorType{dtype, wide.type.shape, {}});
    std::transform(numbers.begin(), numbers.end(), out.as<uint16_t>().begin(), narrow);
    return out;
  };
  if (std::optional<Tensor> out = store(DType::bf16, nn::float_to_bf16, nn::bf16_to_float)) return out;
  return store(DType::f16, nn::float_to_f16, nn::f16_to_float);
}

/// What constants were packed to, by the constant and the content.
using Packed = std::map<std::pair<TensorId, std::string>, TensorId>;

/// Replaces the constant operands by what the row reads. Calls that read the same share it.
void pack_constants(Program& program, KernelCall& call, const KernelContext& context, const KernelOptions& options, Packed& known) {
  if (!call.row->pack && !options.narrow_weights) return;
  Constants constants;
  for (TensorId id : call.inputs) constants.push_back(program.tensor(id).constant);
  Constants packed = constants;
  if (call.row->pack) call.row->pack(context, packed);
  for (size_t i = 0; i < packed.size(); ++i) {
    if (!packed[i]) continue;
    const bool reordered = packed[i] != constants[i];
    if (options.narrow_weights && call.takes_narrow(i, DType::f16))
      if (std::optional<Tensor> narrow = narrowed(*packed[i])) packed[i] = std::move(narrow);
    if (packed[i] == constants[i]) continue;
    const Packed::key_type key{call.inputs[i], to_string(packed[i]->type) + sha256(packed[i]->bytes())};
    auto [it, is_new] = known.try_emplace(key);
    if (!is_new) {
      call.inputs[i] = it->second;
      continue;
    }
    ProgramTensor t;
    t.name = program.tensor(call.inputs[i]).name + (reordered ? "_packed" : fmt::format("_{}", dtype_name(packed[i]->type.dtype)));
    t.type = packed[i]->type;
    t.constant = std::move(packed[i]);
    call.inputs[i] = it->second = program.add_tensor(std::move(t));
  }
}

/// The first row of the target's sets that serves the call; null: none does.
const KernelRow* best_row(const KernelContext& context, const KernelOptions& options, size_t step) {
  for (const KernelSet& set : context.target.kernels)
    for (const KernelRow& row : set.rows()) {
      if (row.family != context.call.family) continue;
      const Refusal why_not = refusal(row, context, options);
      if (options.explain) options.explain(fmt::format("step {} {}: {}: {}", step, row.family, row.variant, why_not.value_or("taken")));
      if (!why_not) return &row;
    }
  return nullptr;
}

}  // namespace

Status select_kernels(Program& program, const KernelOptions& options, PassContext& context) {
  Packed packed;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    KernelCall& call = program.steps[i].call;
    KernelContext kernel_context{call, program, context.target};
    call.row = best_row(kernel_context, options, i + 1);
    if (!call.row)
      return error(DiagId::no_kernel, fmt::format("no kernel '{}' for this call.", call.family)).at_node(fmt::format("'{}'", fmt::join(program.steps[i].origin, "', '")));
    if (call.row->tune) call.tuning = call.row->tune(kernel_context);
    if (int64_t bytes = call.row->scratch_bytes ? call.row->scratch_bytes(kernel_context) : 0; bytes > 0) {
      ProgramTensor t;
      t.name = fmt::format("scratch{}", i + 1);
      t.type = TensorType{DType::u8, {bytes}, {}};
      call.scratch = program.add_tensor(std::move(t));
    }
    pack_constants(program, call, kernel_context, options, packed);
  }
  return Done{};
}

}  // namespace kiln
