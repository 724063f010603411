#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles each header below runtime-stubs/nn alone, and the instances of templates in freestanding_*.cpp beside this file, as bundles must compile: freestanding C++17 without exceptions and RTTI,
# with warnings as errors, by every compiler that is installed. Headers of a SIMD folder only for their processor.
# usage: freestanding_check.sh SOURCE_DIR
set -uo pipefail
source_dir=$1
instances=("$1"/tests/kernels/freestanding_*.cpp)
cd "$1/runtime-stubs"

flags=(-std=c++17 -ffreestanding -fno-exceptions -fno-rtti -O2 -fsyntax-only -x c++
       -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Wpedantic -Werror)

# compiler, its flags, the SIMD folder it can read
compilers=(
  "g++||x86"
  "clang++-19||x86"
  "arm-none-eabi-g++|-mcpu=cortex-m4 -mfloat-abi=hard|arm"
  "arm-none-eabi-g++|-mcpu=cortex-m0|-"
  "arm-none-eabi-g++|-mcpu=cortex-m3|-"
  "riscv64-unknown-elf-g++|-march=rv32imc -mabi=ilp32|rv"
  "riscv64-unknown-elf-g++|-march=rv64gc -mabi=lp64d|rv"
)

failures=0
compiled=0
check() {  # LABEL COMPILER MACHINE_FLAGS: compiles standard input
  compiled=$((compiled + 1))
  # shellcheck disable=SC2086  # several flags
  "$2" "${flags[@]}" $3 -I. - && return
  echo "FAILED: $2 $3: $1"
  failures=$((failures + 1))
}

# Requantization calls no float routine where there is no FPU (the names of ARM's and of GCC's own).
check_no_float_calls() {  # COMPILER MACHINE_FLAGS
  case "$2" in *cortex-m0* | *cortex-m3* | *rv32imc*) ;; *) return ;; esac
  compiled=$((compiled + 1))
  # shellcheck disable=SC2086  # several flags
  assembly=$("$1" "${flags[@]/-fsyntax-only/-S}" $2 -I. -o - - <"$source_dir/tests/kernels/softfloat_requantize.cpp") && [[ -n $assembly ]] &&
    ! grep -E '__aeabi_(f|d|[iul]+2[fd]|cf|cd)|__(add|sub|mul|div|float|fix|extend|trunc|eq|ne|lt|le|gt|ge|cmp|unord)[a-z]*[sd]f' <<<"$assembly" && return
  echo "FAILED: $1 $2: float routines in requantization"
  failures=$((failures + 1))
}

for entry in "${compilers[@]}"; do
  IFS='|' read -r compiler machine simd <<<"$entry"
  if ! command -v "$compiler" >/dev/null; then
    echo "notice: $compiler is not installed, skipped"
    continue
  fi
  while read -r header; do
    case $(dirname "${header#nn/}") in
      . | ref | "$simd") check "$header" "$compiler" "$machine" <<<"#include \"$header\"" ;;
    esac
  done < <(find nn -name '*.h' | sort)
  for file in "${instances[@]}"; do
    [[ -e $file ]] && check "$(basename "$file")" "$compiler" "$machine" <"$file"
  done
  check_no_float_calls "$compiler" "$machine"
done
if ((compiled == 0)); then
  echo "nothing was compiled"
  exit 1
fi
echo "$compiled compilations, $failures failed"
exit $((failures > 0))
