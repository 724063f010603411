#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that each file includes only lower layers or its own folder, and that outside libraries stay where they belong."""
import pathlib
import re
import sys

LAYERS = {
    "runtime-stubs": 0, "compiler/support": 0, "compiler/objects": 1, "compiler/ir": 1, "compiler/program": 2, "compiler/ops": 3,
    "compiler/frontend": 4, "compiler/emit": 4, "compiler/reference": 4, "passes": 4, "compiler/data": 5, "compiler/quantize": 5,
    "targets/kernels": 4, "targets": 5, "compiler/pipeline": 6, "compiler/runner": 6, "compiler/judge": 7, "compiler/report": 8, "compiler/driver": 9,
}
# Header prefix -> folders that may include it.
LIBRARIES = {
    "onnx/": ["compiler/frontend"], "google/protobuf": ["compiler/frontend"], "CLI/": ["compiler/driver"],
    "llvm/": ["compiler/support", "compiler/objects", "targets"], "catch2/": ["tests"],
    "png.h": ["compiler/data"], "jpeglib.h": ["compiler/data"], "sndfile.h": ["compiler/data"],
}


def folder_of(path: str):
    """The innermost folder of LAYERS."""
    return max((f for f in LAYERS if path == f or path.startswith(f + "/")), key=len, default=None)


def path_of(root: pathlib.Path, included: str, by: pathlib.Path):
    """The file of the project that is included, headers and .def files alike; None for others."""
    for folder in (root, root / "runtime-stubs", by.parent):
        if (folder / included).is_file():
            return (folder / included).resolve().relative_to(root).as_posix()
    return None


def kernel_set_of(path: str):
    """The set of kernels whose folder holds the file, or None."""
    match = re.match(r"targets/kernels/(\w+)/", path)
    return match and match.group(1)


def check_rows(root: pathlib.Path, path: pathlib.Path, number: int, line: str):
    """The header that a row of a kernel set names must be in the folder of that set."""
    match = re.match(r'KILN_KERNEL\(\w+, "([^"]+)"', line)
    header = match and f"runtime-stubs/nn/{path.parent.name}/{match.group(1)}"
    return [f"{path.relative_to(root)}:{number}: there is no {header}"] if match and not (root / header).is_file() else []


def main(root: pathlib.Path) -> int:
    problems = []
    files = [p for top in ("compiler", "passes", "targets", "runtime-stubs") for p in (root / top).rglob("*")
             if p.suffix in (".h", ".cpp", ".def")]
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        own = folder_of(name)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            problems += check_rows(root, path, number, line)
            match = re.match(r'\s*#include\s+[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            included = match.group(1)
            target = path_of(root, included, path)
            other = target and folder_of(target)
            if target and kernel_set_of(target) not in (None, kernel_set_of(name)) and own != "targets":
                problems.append(f"{name}:{number}: sets of kernels do not see each other")
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
