// SPDX-License-Identifier: Apache-2.0
// Requantization: the float and the integer implementation against the C library's rounding of the float product, over random
// accumulators of all sizes, those next to ties, and multipliers of all sizes.
#include "nn/requant.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

namespace {

struct Grid {
  int32_t zero_point, low, high;
};
constexpr Grid kGrids[] = {{0, -128, 127}, {-128, -128, 127}, {83, -128, 127}, {0, 0, 255}, {131, 131, 255}, {-7, -7, 40}, {0, -32768, 32767}, {40000, 0, 65535}};

/// Straight from the formula; the volatile keeps the compiler from computing the product any wider.
template <class Acc>
int32_t expected(Acc acc, float m, const Grid& g) {
  volatile float converted = static_cast<float>(acc);
  volatile float product = converted * m;
  double shifted = std::nearbyint(static_cast<double>(product)) + g.zero_point;
  return static_cast<int32_t>(std::min<double>(std::max<double>(shifted, g.low), g.high));
}

template <class Acc>
bool agree(Acc acc, float m, const Grid& g) {
  int32_t want = expected(acc, m, g);
  return nn::requantize_float(acc, m, g.zero_point, g.low, g.high) == want && nn::requantize_integer(acc, m, g.zero_point, g.low, g.high) == want;
}

class Cases {
 public:
  float multiplier() {
    switch (random_() % 8) {
      case 0: return std::ldexp(1.0f, -static_cast<int>(random_() % 160));
      case 1: return nn::bit_cast<float>(static_cast<uint32_t>(random_() % 0x7f800000u));  // any positive number
      case 2: return static_cast<float>(random_() % 1000) / 1000.0f;
      default: return static_cast<float>(std::exp(std::uniform_real_distribution<double>(-16, 1)(random_)));
    }
  }
  template <class Acc>
  Acc accumulator(float m, const Grid& g) {
    switch (random_() % 4) {
      case 0: return static_cast<Acc>(static_cast<int64_t>(random_()) >> (random_() % 64));
      case 1: {  // next to where the clamped results change
        double real = (g.low - g.zero_point + static_cast<double>(random_() % static_cast<uint64_t>(g.high - g.low + 1)) + 0.5) / m;
        double limit = static_cast<double>(std::numeric_limits<Acc>::max());
        return static_cast<Acc>(std::abs(real) < limit / 2 ? static_cast<int64_t>(real) + static_cast<int64_t>(random_() % 5) - 2 : 0);
      }
      case 2: {  // next to a power of two, where the number of bits changes
        auto power = static_cast<int64_t>(uint64_t{1} << (random_() % (sizeof(Acc) * 8 - 1)));
        return static_cast<Acc>((random_() % 2 ? power : -power) + static_cast<int64_t>(random_() % 5) - 2);
      }
      default: return static_cast<Acc>(static_cast<int64_t>(random_() % (1u << 26)) - (1 << 25));
    }
  }

 private:
  std::mt19937_64 random_{20240607};
};

template <class Acc>
void check_random(int rounds) {
  Cases cases;
  int64_t wrong = 0;
  for (int i = 0; i < rounds; ++i) {
    const Grid& g = kGrids[i % 8];
    float m = cases.multiplier();
    for (int k = 0; k < 16; ++k) {
      auto acc = cases.accumulator<Acc>(m, g);
      if (agree(acc, m, g)) continue;
      if (++wrong <= 5) UNSCOPED_INFO("acc " << acc << " m " << std::hexfloat << m << std::defaultfloat << " zero point " << g.zero_point << " expected " << expected(acc, m, g));
    }
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("requantization of 32-bit sums equals the rounded float product by float and by integer operations") { check_random<int32_t>(550'000); }

TEST_CASE("requantization of 64-bit sums equals the rounded float product by float and by integer operations") { check_random<int64_t>(150'000); }

TEST_CASE("requantization of the outermost sums and multipliers") {
  for (const Grid& g : kGrids) {
    for (float m : {0.0f, 0x1p-149f, 0x1.fffffcp-127f, 0x1p-126f, 0x1p-32f, 0x1p-31f, 0x1.000002p-31f, 0.5f, 0x1.fffffep-1f, 1.0f, 1.5f, 0x1p31f, 0x1.fffffep127f}) {
      for (int32_t acc : {INT32_MIN, INT32_MIN + 1, -(1 << 24) - 1, -3, -1, 0, 1, 2, 3, (1 << 24) + 1, (1 << 24) + 3, 0x7fffff80, INT32_MAX}) {
        CAPTURE(acc, m, g.zero_point);
        CHECK(agree(acc, m, g));
        CHECK(agree(static_cast<int64_t>(acc) * (INT64_C(1) << 32), m, g));
      }
    }
  }
}

TEST_CASE("values are quantized half to even and saturate; NaN becomes the lower bound") {
  CHECK(nn::quantize_value(0.25f, 0.5f, 3, -128, 127) == 3);
  CHECK(nn::quantize_value(0.75f, 0.5f, 3, -128, 127) == 5);
  CHECK(nn::quantize_value(-0.75f, 0.5f, 3, -128, 127) == 1);
  CHECK(nn::quantize_value(1e30f, 0.5f, 3, -128, 127) == 127);
  CHECK(nn::quantize_value(-std::numeric_limits<float>::infinity(), 0.5f, 3, 0, 127) == 0);
  CHECK(nn::quantize_value(std::numeric_limits<float>::infinity(), 0.5f, 40000, 0, 65535) == 65535);
  CHECK(nn::quantize_value(std::numeric_limits<float>::quiet_NaN(), 0.5f, 3, -5, 127) == -5);
  CHECK(nn::quantize_value(-1.0f, 0.0f, 3, -128, 127) == -128);
}
