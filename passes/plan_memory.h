// SPDX-License-Identifier: Apache-2.0
// plan-memory: gives every buffer its place in the arena.
//
// Problem: buffers with sizes and lifetimes (half a page of intervals); two that are alive at the same step may not overlap;
// the arena should be as small as possible. This is dynamic storage allocation, NP-hard in general.
// Bound: at each step the sizes of the living buffers add up; the largest sum is a lower bound for any plan in this order.
// Method: greedy by size (Pisarchyk and Lee 2020): place the largest buffer first, each at the lowest gap among the placed
// buffers that live at the same time. Several orders are tried (size, area, lifetime) and the best plan is kept, or the first that
// reaches the bound. Where they stay above the bound, a search in order of time that puts each buffer at the lower or the upper end
// of what is free tries smaller arenas; on chains it reaches the bound (alternating ends). Ties are broken by id, so the plan is
// reproducible.
// Not handled here: other orders of the steps, overlapping an input with its output, streaming rows.
#pragma once

#include "compiler/program/program.h"
#include "passes/pass.h"

namespace kiln {

/// Sets ProgramTensor::arena_offset of every buffer and view, and Program::memory. Offsets are multiples of the target's
/// arena_align; the bound is the sum of sizes without rounding. Errors: limit_exceeded above 2^31 bytes.
Status plan_memory(Program& program, PassContext& context);

/// Proves a plan: alignment, bounds, no two buffers that live at one step overlap, views lie within their base. Independent of
/// how the plan was found. A violation is a fault of kiln's.
void check_plan(const Program& program, int64_t align);

}  // namespace kiln
