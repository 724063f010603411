// SPDX-License-Identifier: Apache-2.0
// Rules of the portable kernels (runtime-stubs/nn/ref).
#include "targets/kernels/qbinary_form.h"
#include "targets/kernels/recurrent.h"
#include "targets/kernels/rows.h"

namespace kiln::kernels {
namespace {

/// The complex numbers that a Fourier transform works on.
int64_t dft_points_bytes(const KernelContext& c) { return 8 * int64_t{std::get<Fourier>(c.call.descriptor).points}; }

}  // namespace

const KernelSet& ref() {
  static const KernelRow rows[] = {
#include "targets/kernels/ref/rows.def"
  };
  static const KernelSet set("ref", {std::begin(rows), std::end(rows)});
  return set;
}

}  // namespace kiln::kernels
