// SPDX-License-Identifier: Apache-2.0
// The text form of a Graph. parse.h reads it back.
//
//   graph @kws (%image: f32[1,1,8,8]) -> (%scores) {
//     const %w: f32[8,64] = random 42
//     const %b: f32[8] = splat 0.5
//     %flat: f32[1,64] = reshape(%image) {shape=[1, 64]}
//     %scores: f32[1,8] = dense(%flat, %w, %b) {act="relu"}  // "gemm1", "relu1"
//   }
//
// Names of other characters than letters, digits and _ . / - are quoted: %"conv:0". `_` is an omitted optional operand. Quantized types
// read `i8[1,8] quant(scale=0.5, zero=3)`, or with lists and `axis=`. The strings of the comment behind a node are its origin; without
// them the origin is the name of its first result. An output whose ONNX name is not that of its value reads `%y as "name"`. Constants are printed before the first node that uses them, unused ones not at all.
#pragma once

#include <string>

#include "compiler/ir/graph.h"

namespace kiln {

struct PrintOptions {
  /// Longer constants are printed as hex bytes (or as `splat`), or elided.
  int64_t max_list_elements = 64;
  /// Prints constants longer than 8 elements as `<1024 elements>`: for people, cannot be parsed.
  bool elide_constants = false;
  /// Adds `onnx("name", [dims], perm=[...])` to values that hold an ONNX tensor.
  bool onnx_tensors = false;
};

[[nodiscard]] std::string print_graph(const Graph& graph, const PrintOptions& options = {});

/// "f32[1,25,5,64]", with the quantization if there is any.
[[nodiscard]] std::string print_type(const TensorType& type);
/// "[1, 2]", "\"relu\"", "0.5": an attribute as in the text form.
[[nodiscard]] std::string print_attr(const Attr& attr, const PrintOptions& options = {});
/// `text` in double quotes with escapes.
[[nodiscard]] std::string print_string(std::string_view text);

}  // namespace kiln
