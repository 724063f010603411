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
  "arm-none-eabi-g++|-mcpu=cortex-m4 -mfloat-abi=hard|dsp"
  "arm-none-eabi-g++|-mcpu=cortex-m55 -mthumb -mfloat-abi=hard|mve"
  "clang++-19|--target=arm-none-eabi -mcpu=cortex-m55 -mthumb -mfloat-abi=hard|mve"
  "arm-none-eabi-g++|-mcpu=cortex-m0|-"
  "arm-none-eabi-g++|-mcpu=cortex-m3|-"
  "riscv64-unknown-elf-g++|-march=rv32imc -mabi=ilp32|rv"
  "riscv64-unknown-elf-g++|-march=rv64gc -mabi=lp64d|rv"
  "clang++-19|--target=riscv32-unknown-elf -march=rv32gcv|rvv"
  "clang++-19|--target=riscv32-unknown-elf -march=rv32imc_zve32x|rvv"
  "clang++-19|--target=riscv64-unknown-elf -march=rv64gcv|rvv"
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

# The assembly of FILE has no line that matches PATTERN.
check_assembly() {  # FILE COMPILER MACHINE_FLAGS PATTERN
  compiled=$((compiled + 1))
  # shellcheck disable=SC2086  # several flags
  assembly=$("$2" "${flags[@]/-fsyntax-only/-S}" -O3 $3 -I. -o - - <"$source_dir/tests/kernels/$1") && [[ -n $assembly ]] && ! grep -E "$4" <<<"$assembly" && return
  echo "FAILED: $2 $3: $1 has what it must not have"
  failures=$((failures + 1))
}

# Routines for floats, by the names of ARM and of GCC; instructions that fuse a product and a sum.
routines='__aeabi_(f|d|[iul]+2[fd]|cf|cd)|__(add|sub|mul|div|float|fix|extend|trunc|eq|ne|lt|le|gt|ge|cmp|unord)[a-z]*[sd]f'
fused='vfn?m(add|sub)|vfn?m[as]\.|fn?m(add|sub)\.[sd]'

for entry in "${compilers[@]}"; do
  IFS='|' read -r compiler machine simd <<<"$entry"
  if ! command -v "$compiler" >/dev/null; then
    echo "notice: $compiler is not installed, skipped"
    continue
  fi
  while read -r header; do
    case $(dirname "${header#nn/}") in
      . | ref | fpu | scalar | "$simd") check "$header" "$compiler" "$machine" <<<"#include \"$header\"" ;;
    esac
  done < <(find nn -name '*.h' | sort)
  for file in "${instances[@]}"; do
    [[ -e $file ]] && check "$(basename "$file")" "$compiler" "$machine" <"$file"
  done
  # Requantization needs no floats where there is no FPU.
  case $machine in *cortex-m0* | *cortex-m3* | *rv32imc*) check_assembly softfloat_requantize.cpp "$compiler" "$machine" "$routines" ;; esac
  case $machine in *hard* | *rv64gc*) check_assembly unfused_rounding.cpp "$compiler" "$machine" "$fused" ;; esac
  if [[ $simd == x86 ]]; then
    for level in x86-64-v3 "x86-64-v4 -mavx512vnni"; do
      check freestanding_x86.cpp "$compiler" "-march=$level" <"$source_dir/tests/kernels/freestanding_x86.cpp"
    done
    check_assembly unfused_rounding.cpp "$compiler" -march=x86-64-v3 "$fused"
  fi
done
if ((compiled == 0)); then
  echo "nothing was compiled"
  exit 1
fi
echo "$compiled compilations, $failures failed"
exit $((failures > 0))
