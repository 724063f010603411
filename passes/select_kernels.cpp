// SPDX-License-Identifier: Apache-2.0
#include "passes/select_kernels.h"

#include <fmt/format.h>

namespace kiln {
namespace {

/// Why the row cannot be taken, or nothing.
std::optional<std::string> refusal(const KernelRow& row, const Program& program, const KernelContext& context, const KernelOptions& options) {
  if (options.reference_only && row.variant != "ref") return "only reference kernels were asked for";
  if ((row.needs & context.target.capabilities) != row.needs) return fmt::format("{} lacks what it needs", context.target.name);
  DType dtype = program.tensor(context.call.inputs.front()).type.dtype;
  if (row.types != "any" && row.types != dtype_name(dtype)) return fmt::format("it computes {}, the input is {}", row.types, dtype_name(dtype));
  return row.refuse(context);
}

/// Replaces the constant operands by packed ones. A constant that several calls read keeps its own copy for each.
void pack_constants(Program& program, KernelCall& call, const KernelContext& context) {
  std::vector<std::optional<Tensor>> constants;
  for (TensorId id : call.inputs) constants.push_back(program.tensor(id).constant);
  std::vector<std::optional<Tensor>> packed = constants;
  call.row->pack(context, packed);
  for (size_t i = 0; i < packed.size(); ++i) {
    if (!packed[i] || packed[i] == constants[i]) continue;
    ProgramTensor t;
    t.name = program.tensor(call.inputs[i]).name + "_packed";
    t.type = packed[i]->type;
    t.constant = std::move(packed[i]);
    call.inputs[i] = program.add_tensor(std::move(t));
  }
}

}  // namespace

Status select_kernels(Program& program, const KernelOptions& options, PassContext& context) {
  for (size_t i = 0; i < program.steps.size(); ++i) {
    KernelCall& call = program.steps[i].call;
    KernelContext kernel_context{call, program, context.target};
    for (const KernelRow& row : kernel_catalogue()) {
      if (row.family != call.family) continue;
      std::optional<std::string> why_not = refusal(row, program, kernel_context, options);
      if (options.explain) options.explain(fmt::format("step {} {}: {}: {}", i + 1, call.family, row.variant, why_not.value_or("taken")));
      if (why_not) continue;
      call.row = &row;
      break;
    }
    if (!call.row)
      return error(DiagId::no_kernel, fmt::format("no kernel '{}' for this call.", call.family)).at_node(fmt::format("'{}'", fmt::join(program.steps[i].origin, "', '")));
    if (call.row->tune) call.tuning = call.row->tune(kernel_context);
    if (int64_t bytes = call.row->scratch_bytes(kernel_context); bytes > 0) {
      ProgramTensor t;
      t.name = fmt::format("scratch{}", i + 1);
      t.type = TensorType{DType::u8, {bytes}, {}};
      call.scratch = program.add_tensor(std::move(t));
    }
    if (call.row->pack) pack_constants(program, call, kernel_context);
  }
  return Done{};
}

}  // namespace kiln
