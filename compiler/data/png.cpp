// SPDX-License-Identifier: Apache-2.0
// libpng reports errors by longjmp. Between setjmp and the last call of libpng no object with a destructor may come to life, so the
// buffers belong to the caller.
#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "compiler/data/bad_data.h"
#include "compiler/data/image.h"

namespace kiln {
namespace {

/// What libpng calls back with, and what survives a longjmp.
struct PngReading {
  std::string_view rest;
  char problem[128] = {};
  png_uint_32 width = 0, height = 0;
  int channels = 0;
  std::vector<std::byte> pixels;
  std::vector<png_bytep> rows;
};

void read_bytes(png_structp png, png_bytep to, size_t count) {
  auto* reading = static_cast<PngReading*>(png_get_io_ptr(png));
  if (count > reading->rest.size()) png_error(png, "the file ends early");
  std::memcpy(to, reading->rest.data(), count);
  reading->rest.remove_prefix(count);
}

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto* reading = static_cast<PngReading*>(png_get_error_ptr(png));
  std::strncpy(reading->problem, text, sizeof reading->problem - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

/// Plain bytes without transparency: 1 channel for grey, 3 for everything else.
void set_transformations(png_structp png, png_infop info) {
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

/// Allocates the picture; false when it is too large.
bool prepare(PngReading& reading, size_t row_bytes) {
  if (reading.width > kMaxPictureSide || reading.height > kMaxPictureSide) return false;
  if (!picture_fits(reading.height, reading.width, reading.channels)) return false;
  reading.pixels.resize(row_bytes * reading.height);
  for (png_uint_32 y = 0; y < reading.height; ++y)
    reading.rows.push_back(reinterpret_cast<png_bytep>(reading.pixels.data() + row_bytes * y));
  return true;
}

/// False with `reading.problem` set, or when the picture is too large.
bool read_picture(png_structp png, png_infop info, PngReading& reading) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_read_fn(png, &reading, read_bytes);
  png_set_user_limits(png, kMaxPictureSide, kMaxPictureSide);
  png_read_info(png, info);
  set_transformations(png, info);
  reading.width = png_get_image_width(png, info);
  reading.height = png_get_image_height(png, info);
  reading.channels = png_get_channels(png, info);
  if (!prepare(reading, png_get_rowbytes(png, info))) return false;
  png_read_image(png, reading.rows.data());
  png_read_end(png, nullptr);
  return true;
}

}  // namespace

Result<Tensor> decode_png(std::string_view bytes) {
  PngReading reading;
  reading.rest = bytes;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  KILN_CHECK(info, "libpng cannot start");
  bool good = read_picture(png, info, reading);
  png_destroy_read_struct(&png, &info, nullptr);
  if (!good && reading.problem[0]) return bad_data(fmt::format("the PNG file cannot be read: {}.", reading.problem));
  const bool has_sides = reading.width <= kMaxPictureSide && reading.height <= kMaxPictureSide;
  if (!good && has_sides) return picture_too_large(reading.height, reading.width, reading.channels);
  if (!good) return bad_data(fmt::format("the picture has {} x {} pixels, the limit is {} a side.", reading.width, reading.height, kMaxPictureSide));
  Shape shape{reading.height, reading.width, reading.channels};
  if (Status s = check_shape(shape); !s) return bad_data(s.diagnostic().message);
  return Tensor(TensorType{DType::u8, std::move(shape), {}}, std::move(reading.pixels));
}

}  // namespace kiln
