// SPDX-License-Identifier: Apache-2.0
// What the rules.cpp of a set needs: the macro that rows.def is written with.
#pragma once

#include "targets/kernels/kernels.h"
#include "targets/kernels/layer_facts.h"

/// A KernelRow of the family, whose function `file` below runtime-stubs/nn/<set> defines; then the members that differ from their defaults,
/// in their order.
#define KILN_KERNEL(name, file, ...) {.family = #name, .header = file __VA_OPT__(, ) __VA_ARGS__},
