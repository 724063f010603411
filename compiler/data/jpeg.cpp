// SPDX-License-Identifier: Apache-2.0
// libjpeg reports errors by a call that must not return; here it jumps. Between setjmp and the last call of libjpeg no object with a
// destructor may come to life, so the buffer belongs to the caller. A file that ends early is a mere warning for libjpeg, which paints the
// rest grey; for data that numbers are computed from it is an error.
#include <fmt/format.h>
#include <setjmp.h>

#include <vector>

// clang-format off: each of these needs the one before it
#include <jerror.h>
#include <jpeglib.h>
#include <stdio.h>
// clang-format on

#include "compiler/data/bad_data.h"
#include "compiler/data/image.h"

namespace kiln {
namespace {

struct JpegReading {
  jpeg_decompress_struct decoder;
  jpeg_error_mgr errors;
  jmp_buf jump;
  char problem[JMSG_LENGTH_MAX] = {};
  std::vector<std::byte> pixels;
};

[[noreturn]] void stop(j_common_ptr decoder) {
  auto* reading = static_cast<JpegReading*>(decoder->client_data);
  decoder->err->format_message(decoder, reading->problem);
  longjmp(reading->jump, 1);
}

void on_message(j_common_ptr decoder, int level) {
  int code = decoder->err->msg_code;
  bool cut_off = code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE;
  if (level < 0 && cut_off) stop(decoder);
}

/// Chooses grey or RGB; false for other colours and for pictures that are too large.
bool choose_output(jpeg_decompress_struct& decoder) {
  if (decoder.image_width > kMaxPictureSide || decoder.image_height > kMaxPictureSide) return false;
  if (decoder.num_components != 1 && decoder.num_components != 3) return false;
  if (!picture_fits(decoder.image_height, decoder.image_width, decoder.num_components)) return false;
  decoder.out_color_space = decoder.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  decoder.dct_method = JDCT_ISLOW;
  return true;
}

void read_rows(JpegReading& reading) {
  jpeg_decompress_struct& decoder = reading.decoder;
  size_t row_bytes = size_t{decoder.output_width} * static_cast<size_t>(decoder.output_components);
  reading.pixels.resize(row_bytes * decoder.output_height);
  while (decoder.output_scanline < decoder.output_height) {
    auto* row = reinterpret_cast<JSAMPROW>(reading.pixels.data() + row_bytes * decoder.output_scanline);
    jpeg_read_scanlines(&decoder, &row, 1);
  }
}

bool read_picture(JpegReading& reading, std::string_view bytes) {
  jpeg_decompress_struct& decoder = reading.decoder;
  if (setjmp(reading.jump)) return false;
  jpeg_create_decompress(&decoder);
  jpeg_mem_src(&decoder, reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&decoder, TRUE);
  if (!choose_output(decoder)) return false;
  jpeg_start_decompress(&decoder);
  read_rows(reading);
  jpeg_finish_decompress(&decoder);
  return true;
}

}  // namespace

Result<Tensor> decode_jpeg(std::string_view bytes) {
  JpegReading reading{};
  reading.decoder.err = jpeg_std_error(&reading.errors);
  reading.decoder.client_data = &reading;
  reading.errors.error_exit = stop;
  reading.errors.emit_message = on_message;
  bool good = read_picture(reading, bytes);
  const jpeg_decompress_struct& decoder = reading.decoder;
  Shape shape{decoder.output_height, decoder.output_width, decoder.output_components};
  Diagnostic refused = bad_data(fmt::format("the picture has {} x {} pixels of {} colours; the limit is {} a side, and 1 or 3 colours.",
                                       decoder.image_width, decoder.image_height, decoder.num_components, kMaxPictureSide));
  const bool known = decoder.num_components == 1 || decoder.num_components == 3;
  if (known && decoder.image_width <= kMaxPictureSide && decoder.image_height <= kMaxPictureSide)
    refused = picture_too_large(decoder.image_height, decoder.image_width, decoder.num_components);
  jpeg_destroy_decompress(&reading.decoder);
  if (!good && reading.problem[0]) return bad_data(fmt::format("the JPEG file cannot be read: {}.", reading.problem));
  if (!good) return refused;
  return Tensor(TensorType{DType::u8, std::move(shape), {}}, std::move(reading.pixels));
}

}  // namespace kiln
