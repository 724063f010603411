// SPDX-License-Identifier: 0BSD
// The functions of <math.h> that models need, for bundles that have no C library. float only; with
// math_f64.h double as well. Argument and result are of one type, nothing is promoted.
//
// Problem: results within a stated error on every core, with and without FPU, whether the compiler
// fuses products and sums or not, in loops that vectorise. Method: reductions and minimax
// polynomials, described in the four headers below; the formulas are textbook identities, the
// coefficients are from scripts/derive-math. Without fusing, all cores give the same bits (but for
// those of NaN).
//
// Greatest error in units of the last place, of float and of double. Measured for float on all
// arguments (the first two rows, cos and tan, and the others where they are nearly x, a logarithm or
// constant: on every 17th; pow and fmod: on more than 10^7 pairs), for double on 10^7 samples.
// tests/unit/math_test.cpp checks a part of that:
//
//   abs copysign floor ceil trunc round_half_even fmod is_nan is_inf   exact
//   sqrt         0.5
//   exp          1.1    expm1        2.2    sigmoid      1.8    softplus     1.8
//   log          1.0    log1p        1.5    log2         1.7    pow  0.6 float, 0.9 double
//   tanh         1.4    sinh         1.7    cosh         1.6    erf          1.4
//   atanh        2.2    asinh        1.9    acosh        3.0
//   sin          1.0    cos          1.0    tan          2.6
//   asin         2.5    acos         1.3    atan         2.0
//
// Infinities, NaN, signed zeros and denormals are as in C (round_half_even: as rint). Assumed: the
// default rounding, no flushing of denormals to zero, no -ffast-math. Not handled: errno, exception
// flags.
#pragma once

#include "math_exp.h"
#include "math_pow.h"
#include "math_round.h"
#include "math_trig.h"
