#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that each file includes only lower layers or its own folder, and that outside libraries stay where they belong."""
import pathlib
import re
import sys

LAYERS = {
    "runtime-stubs": 0, "compiler/support": 0, "compiler/objects": 1, "compiler/ir": 1, "compiler/program": 2, "compiler/ops": 3,
    "compiler/frontend": 4, "compiler/emit": 4, "compiler/reference": 4, "passes": 4, "compiler/data": 5, "compiler/quantize": 5,
    "targets": 5, "compiler/pipeline": 6, "compiler/runner": 6, "compiler/judge": 7, "compiler/report": 8, "compiler/driver": 9,
}
# Header prefix -> folders that may include it.
LIBRARIES = {
    "onnx/": ["compiler/frontend"], "google/protobuf": ["compiler/frontend"], "CLI/": ["compiler/driver"],
    "llvm/": ["compiler/support", "compiler/objects", "targets"], "catch2/": ["tests"],
    "png.h": ["compiler/data"], "jpeglib.h": ["compiler/data"], "sndfile.h": ["compiler/data"],
}


def folder_of(path: str):
    return next((f for f in LAYERS if path == f or path.startswith(f + "/")), None)


def main(root: pathlib.Path) -> int:
    problems = []
    files = [p for top in ("compiler", "passes", "targets", "runtime-stubs") for p in (root / top).rglob("*")
             if p.suffix in (".h", ".cpp", ".def")]
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        own = folder_of(name)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#include\s+[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            included = match.group(1)
            other = folder_of(included)
            if other and other != own and LAYERS[other] >= LAYERS[own]:
                problems.append(f"{name}:{number}: {own} (layer {LAYERS[own]}) includes {other} (layer {LAYERS[other]})")
            for prefix, allowed in LIBRARIES.items():
                if included.startswith(prefix) and own not in allowed:
                    problems.append(f"{name}:{number}: <{prefix}...> belongs in {', '.join(allowed)}")
                if included.startswith("llvm/") and path.suffix != ".cpp":
                    problems.append(f"{name}:{number}: LLVM headers belong in .cpp files")
    if not files:
        problems.append("no files found")
    print("\n".join(problems) or f"{len(files)} files keep the layers")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
