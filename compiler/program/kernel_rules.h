// SPDX-License-Identifier: Apache-2.0
// The functions that rows of runtime-stubs/kernels.def name: when a kernel applies, its scratch, its weight order.
#pragma once

#include "compiler/program/program.h"

namespace kiln::rules {

/// For the columns of a row that need no rule.
inline std::optional<std::string> always(const KernelContext&) { return std::nullopt; }
inline int64_t no_scratch(const KernelContext&) { return 0; }
/// The complex numbers that a Fourier transform works on.
inline int64_t dft_points_bytes(const KernelContext& context) { return 8 * int64_t{std::get<Fourier>(context.call.descriptor).points}; }
/// Why kernels for integer sums alone refuse a layer (its multipliers, operand 3, are pairs with addends: qlayer.h), or nothing.
inline std::optional<std::string> refuse_float_bias(const KernelContext& context) {
  if (context.program.tensor(context.call.inputs[3]).type.rank() < 2) return std::nullopt;
  return "its bias lies between the whole sums, and is added as floats";
}
inline constexpr void (*as_lowered)(const KernelContext&, std::vector<std::optional<Tensor>>&) = nullptr;
inline constexpr Tuning (*untuned)(const KernelContext&) = nullptr;

// simd_rules.cpp
std::optional<std::string> refuse_simd_conv2d(const KernelContext& context);
std::optional<std::string> refuse_simd_dense(const KernelContext& context);
std::optional<std::string> refuse_simd_window(const KernelContext& context);
Tuning tune_simd_tile(const KernelContext& context);
Tuning tune_simd_window(const KernelContext& context);
/// Weights (operand 1) and bias (operand 2) in blocks of lanes * vectors channels.
void pack_simd_blocks(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);

// arm_rules.cpp
std::optional<std::string> refuse_dsp_dense(const KernelContext& context);
std::optional<std::string> refuse_dsp_layer(const KernelContext& context);
std::optional<std::string> refuse_dsp_depthwise(const KernelContext& context);
/// The widened inputs of a tile of pixels, or of one row.
int64_t dsp_column_bytes(const KernelContext& context);
int64_t dsp_row_bytes(const KernelContext& context);
void pack_dsp_tile(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_dsp_row(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
std::optional<std::string> refuse_dsp_depthwise_3x3(const KernelContext& context);
int64_t dsp_depthwise_3x3_bytes(const KernelContext& context);
Tuning tune_dsp_depthwise(const KernelContext& context);
void pack_dsp_depthwise(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);

// mve_rules.cpp
std::optional<std::string> refuse_mve_product(const KernelContext& context);
std::optional<std::string> refuse_mve_depthwise(const KernelContext& context);
std::optional<std::string> refuse_mve_binary(const KernelContext& context);
std::optional<std::string> refuse_mve_average_pool2d(const KernelContext& context);
/// The windows or rows that are copied at a time.
int64_t mve_column_bytes(const KernelContext& context);
int64_t mve_strip_bytes(const KernelContext& context);
std::optional<std::string> refuse_mve_patches(const KernelContext& context);
int64_t mve_patch_bytes(const KernelContext& context);
void pack_mve_patches(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_mve_depthwise(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
Tuning tune_mve_product(const KernelContext& context);
void pack_mve_product(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);

// fpu_rules.cpp
std::optional<std::string> refuse_fpu_layer(const KernelContext& context);
std::optional<std::string> refuse_fpu_depthwise(const KernelContext& context);
/// Weights (operand 1) and bias (operand 2) in blocks of 4 channels, with zeros where there are fewer.
void pack_fpu_blocks(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_fpu_depthwise(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);

// qbinary_rules.cpp
std::optional<std::string> refuse_qbinary_integers(const KernelContext& context);
Tuning tune_qbinary_integers(const KernelContext& context);

// recurrent_rules.cpp
std::optional<std::string> refuse_packed_recurrent(const KernelContext& context);
/// The new state of a step, and what a GRU needs of all units before any is done.
int64_t recurrent_bytes(const KernelContext& context);
Tuning tune_simd_recurrent(const KernelContext& context);
/// Weights (operands 1 and 2) and bias (operand 3) in blocks of units, with zeros where there are fewer.
void pack_simd_recurrent(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_fpu_recurrent(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);

// rvv_rules.cpp; floats and bytes alike, but for what is refused
std::optional<std::string> refuse_rvv_floats(const KernelContext& context);
std::optional<std::string> refuse_rvv_bytes(const KernelContext& context);
Tuning tune_rvv_dense(const KernelContext& context);
Tuning tune_rvv_conv2d(const KernelContext& context);
Tuning tune_rvv_depthwise2d(const KernelContext& context);
int64_t rvv_window_bytes(const KernelContext& context);
void pack_rvv_tile(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_rvv_depthwise(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);

// scalar_rules.cpp
std::optional<std::string> refuse_scalar_layer(const KernelContext& context);
std::optional<std::string> refuse_scalar_dense(const KernelContext& context);
std::optional<std::string> refuse_scalar_row(const KernelContext& context);
std::optional<std::string> refuse_scalar_depthwise(const KernelContext& context);
int64_t scalar_column_bytes(const KernelContext& context);
int64_t scalar_row_bytes(const KernelContext& context);
int64_t scalar_plane_bytes(const KernelContext& context);
Tuning tune_scalar_groups(const KernelContext& context);
Tuning tune_scalar_row(const KernelContext& context);
Tuning tune_scalar_depthwise(const KernelContext& context);
/// Weights as groups of nn/scalar/pairs.h, as nn/scalar/qdense.h reads them, or by channel; offsets and factors of nn/scalar/line.h (operands 1 to 3).
void pack_scalar_groups(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_scalar_row(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_scalar_words(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_scalar_depthwise(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);

// x86_rules.cpp; *_pairs for pmaddwd, *_quads for vpdpbusd
std::optional<std::string> refuse_x86_conv2d_pairs(const KernelContext& context);
std::optional<std::string> refuse_x86_conv2d_quads(const KernelContext& context);
std::optional<std::string> refuse_x86_dense_pairs(const KernelContext& context);
std::optional<std::string> refuse_x86_dense_quads(const KernelContext& context);
std::optional<std::string> refuse_x86_depthwise2d(const KernelContext& context);
std::optional<std::string> refuse_x86_average_pool2d(const KernelContext& context);
Tuning tune_x86_tile_pairs(const KernelContext& context);
Tuning tune_x86_tile_quads(const KernelContext& context);
Tuning tune_x86_window_pairs(const KernelContext& context);
Tuning tune_x86_window_quads(const KernelContext& context);
/// Weights (operand 1) in blocks of lanes * vectors channels; quads: bias (operand 2) for an unsigned x.
void pack_x86_tile_pairs(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_x86_tile_quads(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
/// Weights, bias for an unsigned x and multipliers (operands 1 to 3) in the order of nn/x86/qdepthwise2d.h.
void pack_x86_depthwise2d_pairs(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);
void pack_x86_depthwise2d_quads(const KernelContext& context, std::vector<std::optional<Tensor>>& constants);

}  // namespace kiln::rules
