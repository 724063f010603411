// SPDX-License-Identifier: Apache-2.0
// The positions of ONNX Resize by whole-number arithmetic, for tests.
#pragma once

#include <cstdint>
#include <string>

namespace kiln::test {

/// A position as a fraction of whole numbers; den > 0.
struct Ratio {
  int64_t num, den;
};

inline int64_t floor_of(Ratio r) { return r.num / r.den - (r.num % r.den < 0 ? 1 : 0); }
inline int64_t ceil_of(Ratio r) { return -floor_of({-r.num, r.den}); }

/// The specification's x_original where out / in is the scale; tf_crop_and_resize takes the middle half.
inline Ratio original(const std::string& coordinates, int64_t i, int64_t in, int64_t out) {
  if (coordinates == "asymmetric") return {i * in, out};
  if (coordinates == "tf_half_pixel_for_nn") return {(2 * i + 1) * in, 2 * out};
  if (coordinates == "align_corners") return out == 1 ? Ratio{0, 1} : Ratio{i * (in - 1), out - 1};
  if (coordinates == "tf_crop_and_resize") return out == 1 ? Ratio{in - 1, 2} : Ratio{(out - 1 + 2 * i) * (in - 1), 4 * (out - 1)};
  if (coordinates == "pytorch_half_pixel" && out == 1) return {0, 1};
  return {(2 * i + 1) * in - out, 2 * out};
}

inline int64_t nearest(const std::string& mode, Ratio x) {
  if (mode == "floor") return floor_of(x);
  if (mode == "ceil") return ceil_of(x);
  if (mode == "round_prefer_floor") return ceil_of({2 * x.num - x.den, 2 * x.den});
  return floor_of({2 * x.num + x.den, 2 * x.den});
}

/// Whether `x` lies where a mode changes from one element to the next: at an element, or half-way between two.
inline bool is_tie(Ratio x) { return 2 * x.num % x.den == 0; }

inline const std::string kCoordinates[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
inline const std::string kNearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};

}  // namespace kiln::test
