// SPDX-License-Identifier: 0BSD
// Classifies the test images with the generated code and compares its answers with ONNX Runtime's,
// which are stored beside the labels in test_images.bin (format: train.py).
// Exit status: 0 every answer is ONNX Runtime's, 1 one differs, 2 the file is unusable.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "digits.h"

namespace {

constexpr int kSide = 8;
constexpr int kPixels = kSide * kSide;
constexpr int kPixelMax = 16;
constexpr int kClasses = 10;
constexpr int kImagesShown = 3;
constexpr char kShades[] = " .:-=+*#@";  // for 0, 1..2, 3..4, ..., 15..16

struct Record {
  uint8_t label;
  uint8_t ort_answer;
  std::array<uint8_t, kPixels> pixels;
};
static_assert(sizeof(Record) == 66, "the layout of the file");

// All the memory the model works in; on a microcontroller this is its whole RAM need.
alignas(DIGITS_ARENA_ALIGN) uint8_t arena[DIGITS_ARENA_BYTES];

int classify(const Record& record) {
  float* image = digits_input_image(arena);
  for (int i = 0; i < kPixels; ++i) {
    image[i] = static_cast<float>(record.pixels[static_cast<size_t>(i)]) / kPixelMax;
  }
  digits_run(arena);
  const float* scores = digits_output_scores(arena);
  return static_cast<int>(std::max_element(scores, scores + kClasses) - scores);
}

void draw(const std::array<uint8_t, kPixels>& pixels) {
  for (size_t i = 0; i < kPixels; ++i) {
    const char shade = kShades[(std::min<int>(pixels[i], kPixelMax) + 1) / 2];
    std::printf("%s%c%c%s", i % kSide == 0 ? "    " : "", shade, shade,
                i % kSide == kSide - 1 ? "\n" : "");
  }
}

double percent(int part, int whole) { return 100.0 * part / whole; }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s test_images.bin\n", argv[0]);
    return 2;
  }
  std::FILE* file = std::fopen(argv[1], "rb");
  if (file == nullptr) {
    std::perror(argv[1]);
    return 2;
  }

  int images = 0;
  int right = 0;
  int ort_right = 0;
  int same = 0;
  Record record;
  while (std::fread(&record, sizeof record, 1, file) == 1) {
    const int answer = classify(record);
    if (images < kImagesShown || answer != record.label) {
      draw(record.pixels);
      std::printf("    written: %d   recognised: %d%s\n\n", record.label, answer,
                  answer == record.label ? "" : "   <- wrong");
    }
    images += 1;
    right += answer == record.label ? 1 : 0;
    ort_right += record.ort_answer == record.label ? 1 : 0;
    same += answer == record.ort_answer ? 1 : 0;
  }
  std::fclose(file);
  if (images == 0) {
    std::fprintf(stderr, "%s: holds no image.\n", argv[1]);
    return 2;
  }

  std::printf("%d images, %d right (%.1f %%)\n", images, right, percent(right, images));
  std::printf("ONNX Runtime on the same images: %d right (%.1f %%); same answer on %d of %d\n",
              ort_right, percent(ort_right, images), same, images);
  std::printf("memory while running (the arena): %u bytes\n",
              static_cast<unsigned>(DIGITS_ARENA_BYTES));
  return same == images ? 0 : 1;
}
