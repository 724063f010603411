// SPDX-License-Identifier: Apache-2.0
// Classify the images of test_images.bin with ONNX Runtime and store its answer in the second byte
// of each record (format: train.py). Run once after training; needs onnxruntime-node (README.md).
'use strict';
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

const kRecordBytes = 66;
const kPixelMax = 16;

async function main() {
  const imagesPath = path.join(__dirname, 'test_images.bin');
  const records = fs.readFileSync(imagesPath);
  const session = await ort.InferenceSession.create(path.join(__dirname, 'digits.onnx'));

  const count = records.length / kRecordBytes;
  let right = 0;
  let smallestLead = 1;
  for (let i = 0; i < count; ++i) {
    const record = records.subarray(i * kRecordBytes, (i + 1) * kRecordBytes);
    const pixels = Float32Array.from(record.subarray(2), (value) => value / kPixelMax);
    const {scores} = await session.run({image: new ort.Tensor('float32', pixels, [1, 1, 8, 8])});
    const best = scores.data.indexOf(Math.max(...scores.data));
    const second = Math.max(...scores.data.filter((_, digit) => digit !== best));
    smallestLead = Math.min(smallestLead, scores.data[best] - second);
    record[1] = best;
    right += best === record[0] ? 1 : 0;
  }
  fs.writeFileSync(imagesPath, records);
  console.log(`ONNX Runtime: ${right} of ${count} right (${(100 * right / count).toFixed(1)} %), ` +
              `smallest lead over the second digit ${smallestLead.toFixed(4)}`);
}

main();
