#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Train the digit classifier of this example and export it; see README.md.

Writes, next to this file:
  digits.onnx      input "image" float32 [1,1,8,8] in 0..1,
                   output "scores" float32 [1,10], the probability of each digit
  calibration.npy  100 of the training images, uint8 [100,1,8,8], pixels in 0..16: what
                   `kiln quantize` learns the ranges of the layers from
  test_images.bin  the held-out images, 66 bytes each:
                   label, ONNX Runtime's answer, 64 pixels in 0..16, row by row

ONNX Runtime's answer is written as 255 ("unknown"); ort_answers.js fills it in.
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

FOLDER = Path(__file__).resolve().parent
TEST_IMAGES = 360
CALIBRATION_IMAGES = 100
PIXEL_MAX = 16
EPOCHS = 80
BATCH = 64
SEED = 1


def conv_bn_relu(name, inputs, outputs, kernel, groups=1):
    """Layers of one convolution that keeps the image size; BatchNorm supplies the bias."""
    return [
        (name, nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)),
        (f"{name}_norm", nn.BatchNorm2d(outputs)),
        (f"{name}_relu", nn.ReLU()),
    ]


def make_network():
    return nn.Sequential(OrderedDict([
        *conv_bn_relu("stem", 1, 16, kernel=3),
        *conv_bn_relu("depthwise", 16, 16, kernel=3, groups=16),
        *conv_bn_relu("pointwise", 16, 32, kernel=1),
        ("halve", nn.MaxPool2d(2)),
        *conv_bn_relu("features", 32, 48, kernel=3),
        ("average", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("classifier", nn.Linear(48, 10)),
        ("scores", nn.Softmax(dim=1)),
    ]))


def warped(images):
    """The batch with each image a little turned, slanted, scaled and moved: as if written again."""
    def plus_minus(limit):
        return limit * (2 * torch.rand(len(images)) - 1)

    angle, slant, scale = plus_minus(0.1), plus_minus(0.1), 1 + plus_minus(0.1)
    pixel = 2 / 8  # affine_grid spans -1..1 over 8 pixels
    across = [scale * torch.cos(angle), -scale * torch.sin(angle), pixel * plus_minus(0.3)]
    down = [scale * torch.sin(angle + slant), scale * torch.cos(angle), pixel * plus_minus(0.3)]
    matrix = torch.stack([torch.stack(across, 1), torch.stack(down, 1)], 1)
    grid = nn.functional.affine_grid(matrix, images.shape, align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def train(network, images, labels):
    logits = network[:-1]  # the loss wants the values before softmax
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.02)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=steps)
    network.train()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(images))
        total_loss = 0.0
        for first in range(0, len(images) - BATCH + 1, BATCH):
            batch = order[first:first + BATCH]
            loss = loss_of(logits(warped(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total_loss += loss.item() * len(batch)
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1:3} of {EPOCHS}: loss {total_loss / len(images):.4f}")
    network.eval()


def export(network):
    # PRESERVE with a network in eval mode: BatchNormalization stays a node of its own,
    # as in models from other tools. Folding it is the compiler's work.
    torch.onnx.export(
        network, torch.zeros(1, 1, 8, 8), str(FOLDER / "digits.onnx"), opset_version=13,
        input_names=["image"], output_names=["scores"],
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)


def write_test_images(pixels, labels):
    unknown = np.full((len(labels), 1), 255)
    records = np.hstack([labels[:, None], unknown, pixels.reshape(len(labels), 64)])
    (FOLDER / "test_images.bin").write_bytes(records.astype(np.uint8).tobytes())


def main():
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)

    digits = load_digits()
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        digits.images, digits.target,
        test_size=TEST_IMAGES, stratify=digits.target, random_state=SEED)

    def to_tensor(pixels):
        return torch.tensor(pixels[:, None] / PIXEL_MAX, dtype=torch.float32)

    network = make_network()
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{parameters:,} parameters, {len(train_pixels):,} training images")
    train(network, to_tensor(train_pixels), torch.tensor(train_labels))

    with torch.no_grad():
        answers = network(to_tensor(test_pixels)).argmax(dim=1).numpy()
    right = int((answers == test_labels).sum())
    print(f"test: {right} of {TEST_IMAGES} right ({100 * right / TEST_IMAGES:.1f} %)")

    export(network)
    np.save(FOLDER / "calibration.npy", train_pixels[:CALIBRATION_IMAGES, None].astype(np.uint8))
    write_test_images(test_pixels, test_labels)


if __name__ == "__main__":
    main()
