// SPDX-License-Identifier: 0BSD
#pragma once
#include "math_exp.h"
#include "math_pow.h"
#include "math_trig.h"
