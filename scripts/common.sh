# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by scripts/test and scripts/demo: go to the top of the repository, prepare, build.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
jobs=2

say() { echo "$(basename "$0"): $*" >&2; }

build() {  # PRESET [CMAKE_BUILD_OPTION...]
  say "building the $1 preset"
  if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
  cmake --preset "$1" >/dev/null
  cmake --build --preset "$1" -j "$jobs" "${@:2}"
}
