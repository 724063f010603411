# SPDX-License-Identifier: Apache-2.0
"""The files that commands of the documentation work on, by the names that the pages give them."""
import os
import pathlib
import re
import shutil
import subprocess

OFFICIAL_CASES = pathlib.Path("/usr/share/libonnx-testdata/data/node")


def models(source):
    return pathlib.Path(os.environ.get("KILN_MODELS", source / "../shared/models")).resolve()


def existing(path, skip):
    if not path.exists():
        raise skip(f"{path.name if path.suffix else path.parent.name + '/' + path.name} is not here (KILN_MODELS)")
    return path


def linked(to):
    """A fixture that is a link to a file or folder: `to(source)` is its path."""
    return lambda target, source, skip: target.symlink_to(existing(to(source), skip))


def model(name):
    return linked(lambda source: models(source) / name / "model.onnx")


def keywords(kind, first, last):
    """Samples `first` to `last` of kws01 as the float model takes them (kind "x", the integers dequantized), or their labels."""
    def make(target, source, skip):
        data = existing(models(source) / "eval_data/kws01", skip)
        file, change = (data / "x_int8.npy", "(x.astype(n.float32) - 83) * n.float32(0.5847029)") if kind == "x" else (data / "labels.npy", "x")
        script = f"import numpy as n; x = n.load({str(file)!r})[{first}:{last}]; n.save({str(target)!r}, {change})"
        subprocess.run(["/usr/bin/python3", "-c", script], check=True)
    return make


def in_folder(name, make):
    """A folder with one file."""
    def make_folder(target, source, skip):
        target.mkdir()
        make(target / name, source, skip)
    return make_folder


def official_case(target, _, skip):
    shutil.copytree(existing(OFFICIAL_CASES / target.name, skip), target)


# By name, as a pattern that must match the whole word of a command. The first that fits is used.
FIXTURES = [
    ("digits.onnx", linked(lambda source: source / "examples/digits/digits.onnx")),
    ("examples", linked(lambda source: source / "examples")),
    ("kws.onnx", model("mlperf_tiny_kws_float")),
    ("vww.onnx", model("mlperf_tiny_vww_float")),
    ("samples.npy|x.npy", keywords("x", 0, 100)),
    ("samples", in_folder("samples.npy", keywords("x", 0, 100))),
    ("y.npy", keywords("labels", 0, 100)),
    ("test.npy", keywords("x", 100, 200)),
    ("labels.npy", keywords("labels", 100, 200)),
    ("test_[a-z0-9_]+", official_case),
    ("[a-z0-9]+_[a-z0-9_]+", lambda target, source, skip: target.symlink_to(existing(models(source) / target.name / "model.onnx", skip).parent)),
]


def provide(command, folder, source, skip):
    """Puts what `command` mentions and `folder` lacks there. Raises `skip` where that cannot be had."""
    for word in re.findall(r"[\w./-]+", re.sub(r"(\w+)_\{([\w,]+)\}_(\w+)", lambda m: " ".join(f"{m[1]}_{x}_{m[3]}/model.onnx" for x in m[2].split(",")), command)):
        top = word.split("/")[0]
        target = folder / top
        if target.exists() or ("/" not in word and "." not in word):
            continue
        for pattern, make in FIXTURES:
            if re.fullmatch(pattern, top):
                make(target, source, skip)
                break
