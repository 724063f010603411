// SPDX-License-Identifier: 0BSD
// math.h for double: what its algorithms need to know of the type, and pow. Include it before
// double arguments reach functions of math.h; without it they do not compile.
//
// pow: |x|^y = 2^(y log2 |x|). The product needs some 64 correct bits, so log2 and the product are
// sums of two doubles. With |x| = 2^k m, f = m - 1 and s = f/(2 + f), z = s^2:
// ln m = s (2 + z (2/3 + z p(z))), where p is small enough against 2/3 for one double.
#pragma once

#include "math.h"

namespace nn {
namespace math {

template <>
struct Sqrt<double> {
  static KILN_INLINE double of(double x) {
#if !defined(__SSE2__) && !(__ARM_FP & 8) && !defined(__aarch64__) && !(__riscv_flen >= 64)
    return sqrt_by_bits(x);
#elif defined(__clang__)
    return __builtin_elementwise_sqrt(x);
#else
    double root;
#if defined(__AVX__)
    __asm__("vsqrtsd %1, %1, %0" : "=x"(root) : "x"(x));
#elif defined(__SSE2__)
    __asm__("sqrtsd %1, %0" : "=x"(root) : "x"(x));
#elif defined(__aarch64__)
    __asm__("fsqrt %d0, %d1" : "=w"(root) : "w"(x));
#elif defined(__riscv)
    __asm__("fsqrt.d %0, %1" : "=f"(root) : "f"(x));
#else
    __asm__("vsqrt.f64 %P0, %P1" : "=w"(root) : "w"(x));
#endif
    return root;
#endif
  }
};

template <>
struct Exp<double> {
  static constexpr double kLog2E = 0x1.71547652b82fep+0;
  static constexpr double kLog2EMinus1 = 0x1.c551d94ae0bf8p-2;
  static constexpr double kLn2High = 0x1.62e42fefa2p-1;
  static constexpr double kLn2Low = 0x1.9ef35793c7673p-41;
  static constexpr double kSqrtHalf = 0x1.6a09e667f3bcdp-1;
  static constexpr double kShift = 0x1.8p52;
  static constexpr double kLowest = -746.0;
  static constexpr double kHighest = 711.0;
  static constexpr double kExpm1Lowest = -40.0;
  static constexpr double kExpm1Highest = 709.9;
  static constexpr double kTanhOne = 20.0;
  static constexpr double kErfOne = 6.0;
  static constexpr double kHuge = 0x1p28;
  static constexpr double kTiny = 0x1p-54;

  static KILN_INLINE double exp(double r) {
    return polynomial(r, 5.0000000000000000e-1, 1.6666666666666682e-1, 4.1666666666666095e-2, 8.3333333333170476e-3, 1.3888888889115574e-3,
                      1.9841269896349537e-4, 2.4801586926667436e-5, 2.7557234896668713e-6, 2.7557581875742132e-7, 2.5112024560024060e-8,
                      2.0826602260906393e-9);
  }
  static KILN_INLINE double log1p_tail(double f) {
    const double s = f / (2.0 + f);
    const double z = s * s;
    const double half_square = 0.5 * f * f;
    const double r = z * polynomial(z, 6.6666666666667340e-1, 3.9999999999414648e-1, 2.8571428742391580e-1, 2.2222198572883137e-1,
                                    1.8183564340753414e-1, 1.5314050148824146e-1, 1.4795954279070481e-1);
    return s * (half_square + r) - half_square;
  }
  static KILN_INLINE double tanh(double z) {
    return polynomial(z, -3.3333333333332854e-1, 1.3333333333262098e-1, -5.3968253931269486e-2, 2.1869487576117817e-2,
                      -8.8632210027758014e-3, 3.5919891741438281e-3, -1.4549588768881098e-3, 5.8631653094336678e-4, -2.2856418479857347e-4,
                      7.7144331613879997e-5, -1.6072551061708975e-5);
  }
  static KILN_INLINE double sinh(double z) {
    return polynomial(z, 1.6666666666666669e-1, 8.3333333333331476e-3, 1.9841269841431856e-4, 2.7557319157076719e-6, 2.5052123135987031e-8,
                      1.6057259823737779e-10, 7.7587471945743612e-13);
  }
  static KILN_INLINE double erf(double z) {
    return polynomial(z, 1.2837916709551259e-1, -3.7612638903183754e-1, 1.1283791670955111e-1, -2.6866170645126856e-2,
                      5.2239776253770057e-3, -8.5483270176889411e-4, 1.2055332654257406e-4, -1.4925637856717840e-5, 1.6461786887716051e-6,
                      -1.6359932409894765e-7, 1.4734652900153354e-8, -1.1708910384522873e-9, 6.6196943633844826e-11);
  }
  static KILN_INLINE double log_erfc(double x) {
    const double a = x - 1.5;
    const double b = x - 4.0;
    const double low =
        polynomial(a, -3.3844920895515527, -3.5088008017795276, -8.9264033061503678e-1, -2.5824140633644604e-2, 6.0067463864446015e-3,
                   -1.2572166868237058e-3, 2.1596330502201438e-4, -2.2473688063616510e-5, -2.6468359057763907e-6, 2.3708405696929482e-6,
                   -8.1875515819147674e-7, 1.9258390807266286e-7, -2.7884932943703275e-8, -1.0231400686788717e-9, 2.4189871509081571e-9,
                   -1.0552935658774811e-9, 2.4882362675942308e-10);
    const double high =
        polynomial(b, -1.7987778312101923e+1, -8.2363768926679093, -9.7344458832753977e-1, -3.7931430028114270e-3, 5.8214714301822517e-4,
                   -9.1030575671691564e-5, 1.4132167678022725e-5, -2.1474873916512272e-6, 3.2255205307362826e-7, -2.9702184695601200e-8,
                   1.6301030591951114e-8, 4.3463029577510607e-9, 1.3571636059319006e-9, 1.6225580588547238e-10);
    return select(x < 2.25, low, high);
  }
};

template <>
struct Trig<double> {
  static constexpr double kQuarterPi = 0x1.921fb54442d18p-1;
  static constexpr double kHalfPi = 0x1.921fb54442d18p+0;
  static constexpr double kHalfPiRest = 0x1.1a62633145c07p-54;
  static constexpr double kTanEighthPi = 0x1.a827999fcef32p-2;
  static constexpr double kTanThreeEighthsPi = 0x1.3504f333f9de6p+1;

  static constexpr int kZeroWords = 2;
  static constexpr int kMantissaWords = 2;
  static constexpr int kWindowWords = 6;
  static constexpr int kFractionWords = 4;
  static constexpr uint32_t kTwoOverPi[] = {
      0,           0,           0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu, 0xdebbc561u,
      0xb7246e3au, 0x424dd2e0u, 0x06492eeau, 0x09d1921cu, 0xfe1deb1cu, 0xb129a73eu, 0xe88235f5u, 0x2ebb4484u, 0xe99c7026u, 0xb45f7e41u,
      0x3991d639u, 0x835339f4u, 0x9c845f8bu, 0xbdf9283bu, 0x1ff897ffu, 0xde05980fu, 0xef2f118bu, 0x5a0a6d1fu, 0x6d367ecfu, 0x27cb09b7u,
      0x4f463f66u, 0x9e5fea2du, 0x7527bac7u, 0xebe5f17bu, 0x3d0739f7u, 0x8a5292eau, 0x6bfb5fb1u, 0x1f8d5d08u, 0x56033046u};

  static KILN_INLINE double sin(double z) {
    return polynomial(z, -1.6666666666666630e-1, 8.3333333333221200e-3, -1.9841269829590368e-4, 2.7557313621655308e-6,
                      -2.5050747802229079e-8, 1.5896232277357584e-10);
  }
  static KILN_INLINE double cos(double z) {
    return polynomial(z, 4.1666666666666595e-2, -1.3888888888873058e-3, 2.4801587288852439e-5, -2.7557314179475586e-7,
                      2.0875700862571614e-9, -1.1358537423958327e-11);
  }
  static KILN_INLINE double asin(double z) {
    return polynomial(z, 1.6666666666665408e-1, 7.5000000003369954e-2, 4.4642856828343895e-2, 3.0381959136349945e-2, 2.2371758064759373e-2,
                      1.7359704550250089e-2, 1.3885237579112879e-2, 1.2169197554553942e-2, 6.5280373525628752e-3, 1.9528092176693920e-2,
                      -1.6223976865529607e-2, 3.1912078060686896e-2);
  }
  static KILN_INLINE double atan(double z) {
    return polynomial(z, -3.3333333333333198e-1, 1.9999999999953247e-1, -1.4285714280166639e-1, 1.1111110782161830e-1,
                      -9.0908977255012818e-2, 7.6920597224353460e-2, -6.6630992639850284e-2, 5.8478597193084819e-2, -5.0391924183476787e-2,
                      3.8062189145222060e-2, -1.7905091228293674e-2);
  }
};

/// high + low, about 79 bits. `high` has 26 of them, so that a product of two is exact and it does
/// not matter whether it is fused with an addition.
struct Pair {
  double high;
  double low;
};

/// large + small, for |large| >= |small| / 2 or large = 0.
KILN_INLINE Pair make_pair(double large, double small) {
  const double high = bit_cast<double>(bits_of(large + small) & ~static_cast<uint64_t>(0x7ffffff));
  return {high, (large - high) + small};
}

KILN_INLINE Pair multiply(Pair a, Pair b) { return make_pair(a.high * b.high, a.high * b.low + a.low * (b.high + b.low)); }

/// For |large| >= |small| / 2 or large = 0.
KILN_INLINE Pair add(double large, Pair small) {
  const Pair sum = make_pair(large, small.high);
  return {sum.high, sum.low + small.low};
}

template <>
struct Pow<double> {
  static constexpr Pair kTwoThirds = {0x1.555555p-1, 0x1.5555555555555p-27};
  static constexpr Pair kLog2E = {0x1.715476p+0, 0x1.4ae0bf85ddf44p-26};
  static constexpr Pair kLn2 = {0x1.62e42f8p-1, 0x1.be8e7bcd5e4f2p-27};

  static KILN_INLINE Pair log2(double x) {
    const LogParts<double> parts = log_parts(x);
    const double f = parts.m - 1.0;
    const Pair divisor = make_pair(1.0, parts.m);
    const double s_high = make_pair(f / (parts.m + 1.0), 0.0).high;
    const double s_rest = (f - s_high * divisor.high) - s_high * divisor.low;
    const Pair s = {s_high, s_rest / (parts.m + 1.0)};
    const Pair z = multiply(s, s);
    const double zz = z.high + z.low;
    const double tail = zz * polynomial(zz, 3.9999999999999980e-1, 2.8571428571445101e-1, 2.2222222217539625e-1, 1.8181818869932526e-1,
                                        1.5384556896751009e-1, 1.3336316438352833e-1, 1.1674838247970941e-1, 1.1988849853714398e-1);
    const Pair factor = add(2.0, multiply(z, make_pair(kTwoThirds.high, kTwoThirds.low + tail)));
    return add(static_cast<double>(static_cast<int32_t>(parts.k)), multiply(multiply(s, factor), kLog2E));
  }

  static KILN_INLINE double positive(double x, double y) {
    const Pair log = log2(x);
    if (!(abs(y * log.high) < 1100.0)) return (y > 0.0) == (log.high > 0.0) ? Binary<double>::kInfinity : 0.0;
    const Pair exponent = multiply(make_pair(y, 0.0), log);
    const double shifted = (exponent.high + exponent.low) + Exp<double>::kShift;
    const double n = shifted - Exp<double>::kShift;
    const Pair fraction = make_pair(exponent.high - n, exponent.low);
    const Pair r = multiply(fraction, kLn2);
    const double rr = r.high + r.low;
    const double power = 1.0 + (r.high + (r.low + rr * rr * Exp<double>::exp(rr)));
    const int64_t i = static_cast<int64_t>(bits_of(shifted) - bits_of(Exp<double>::kShift));
    return power * power_of_two<double>(i >> 1) * power_of_two<double>(i - (i >> 1));
  }
};

}  // namespace math
}  // namespace nn
