// SPDX-License-Identifier: 0BSD
#pragma once

#include <stddef.h>
#include <stdint.h>

#define KILN_INLINE inline __attribute__((always_inline))
