// SPDX-License-Identifier: 0BSD
// Classifies the test images with the generated code, in float and in 8-bit integers, and compares the
// answers of the float code with ONNX Runtime's, which are stored beside the labels in test_images.bin
// (format: train.py).
// Exit status: 0 every answer in float is ONNX Runtime's, 1 one differs, 2 the file is unusable.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "digits.h"
#include "digits_int8.h"

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

// All the memory the models work in; on a microcontroller each is the whole RAM need of its model.
alignas(DIGITS_ARENA_ALIGN) uint8_t arena[DIGITS_ARENA_BYTES];
alignas(DIGITS_INT8_ARENA_ALIGN) uint8_t int8_arena[DIGITS_INT8_ARENA_BYTES];

void write_image(const Record& record, float* image) {
  for (size_t i = 0; i < kPixels; ++i) {
    image[i] = static_cast<float>(record.pixels[i]) / kPixelMax;
  }
}

int best(const float* scores) {
  return static_cast<int>(std::max_element(scores, scores + kClasses) - scores);
}

int classify(const Record& record) {
  write_image(record, digits_input_image(arena));
  digits_run(arena);
  return best(digits_output_scores(arena));
}

int classify_in_integers(const Record& record) {
  write_image(record, digits_int8_input_image(int8_arena));
  digits_int8_run(int8_arena);
  return best(digits_int8_output_scores(int8_arena));
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
  int int8_right = 0;
  Record record;
  while (std::fread(&record, sizeof record, 1, file) == 1) {
    const int answer = classify(record);
    if (images < kImagesShown || answer != record.label) {
      draw(record.pixels);
      std::printf("    written: %d   recognised: %d%s\n\n", record.label, answer,
                  answer == record.label ? "" : "   <- wrong");
    }
    images += 1;
    int8_right += classify_in_integers(record) == record.label ? 1 : 0;
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
  std::printf("in 8-bit integers: %d right (%.1f %%), %u bytes of memory\n", int8_right,
              percent(int8_right, images), static_cast<unsigned>(DIGITS_INT8_ARENA_BYTES));
  return same == images ? 0 : 1;
}
