#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes affine.onnx: y = scale * x for x float [N,4], the four floats of scale being in scale.bin beside it."""
import sys


def number(value):
    out = b""
    while True:
        value, low = value >> 7, value & 127
        out += bytes([low | (128 if value else 0)])
        if not value:
            return out


def integer(field, value):
    return number(field << 3) + number(value)


def block(field, value):
    value = value.encode() if isinstance(value, str) else value
    return number(field << 3 | 2) + number(len(value)) + value


FLOAT, EXTERNAL = 1, 1
entry = lambda key, value: block(13, block(1, key) + block(2, value))
dimension = lambda d: block(1, block(2, d) if isinstance(d, str) else integer(1, d))
value_info = lambda name, dims: block(1, name) + block(2, block(1, integer(1, FLOAT) + block(2, b"".join(map(dimension, dims)))))

scale = (integer(1, 4) + integer(2, FLOAT) + block(8, "scale") + entry("location", "scale.bin") + entry("offset", "0")
         + entry("length", "16") + integer(14, EXTERNAL))
node = block(1, "x") + block(1, "scale") + block(2, "y") + block(3, "scaled") + block(4, "Mul")
graph = (block(1, node) + block(2, "affine") + block(5, scale) + block(11, value_info("x", ["N", 4]))
         + block(12, value_info("y", ["N", 4])))
model = integer(1, 8) + block(2, "kiln") + block(7, graph) + block(8, block(1, "") + integer(2, 13))
with open(sys.argv[1], "wb") as file:
    file.write(model)
