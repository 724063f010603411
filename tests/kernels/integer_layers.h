// SPDX-License-Identifier: Apache-2.0
// Random numbers and types for the generated integer layers.
#pragma once

#include <cstdint>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

class LayerNumbers {
 public:
  explicit LayerNumbers(uint32_t seed) : random_(seed) {}

  int32_t pick(int32_t low, int32_t high) { return std::uniform_int_distribution<int32_t>(low, high)(random_); }
  float real(double low, double high) { return static_cast<float>(std::uniform_real_distribution<double>(low, high)(random_)); }
  /// A positive number, all magnitudes of [low, high] alike.
  float scale(double low, double high) { return static_cast<float>(std::exp(std::uniform_real_distribution<double>(std::log(low), std::log(high))(random_))); }

  template <class T>
  T element() {
    return static_cast<T>(pick(std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
  template <class T>
  std::vector<T> elements(int64_t count) {
    std::vector<T> out(static_cast<size_t>(count));
    for (T& v : out) v = element<T>();
    return out;
  }
  std::vector<float> reals(int64_t count, double low, double high) {
    std::vector<float> out(static_cast<size_t>(count));
    for (float& v : out) v = real(low, high);
    return out;
  }
  /// y_zero_point, low, high of a quantized result; sometimes bounds of a fused activation.
  template <class Y, class D>
  void result_grid(D& d) {
    if constexpr (std::is_same_v<Y, float> || std::is_same_v<Y, int32_t>) return;
    else {
      d.y_zero_point = pick(0, 2) == 0 ? 0 : element<Y>();
      d.low = std::numeric_limits<Y>::min();
      d.high = std::numeric_limits<Y>::max();
      if (pick(0, 2) == 0) d.low = d.y_zero_point;
      if (pick(0, 3) == 0) d.high = pick(d.low, d.high);
    }
  }

 private:
  std::mt19937 random_;
};

/// Calls f.template operator()<X, W, Y>() with one of the combinations of element types that models have.
template <class F>
void with_layer_types(int32_t which, F&& f) {
  switch (which) {
    case 0: return f.template operator()<int8_t, int8_t, int8_t>();
    case 1: return f.template operator()<uint8_t, int8_t, uint8_t>();
    case 2: return f.template operator()<uint8_t, uint8_t, uint8_t>();
    case 3: return f.template operator()<int8_t, uint8_t, int8_t>();
    case 4: return f.template operator()<int16_t, int8_t, int16_t>();
    case 5: return f.template operator()<uint16_t, int8_t, uint16_t>();
    case 6: return f.template operator()<int16_t, int16_t, int16_t>();
    case 7: return f.template operator()<uint8_t, int8_t, int8_t>();
    case 8: return f.template operator()<int8_t, int8_t, uint16_t>();
    case 9: return f.template operator()<int8_t, int8_t, float>();
    case 10: return f.template operator()<uint8_t, uint8_t, float>();
    case 11: return f.template operator()<uint8_t, uint8_t, int32_t>();
    case 12: return f.template operator()<uint16_t, uint8_t, int16_t>();
    default: return f.template operator()<int16_t, int8_t, float>();
  }
}
constexpr int32_t kLayerTypes = 14;
