// SPDX-License-Identifier: Apache-2.0
// Small pictures and sounds, written by their own libraries, for tests of compiler/data.
#pragma once

#include <png.h>
#include <sndfile.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

// clang-format off: jpeglib.h needs what stdio.h declares
#include <jpeglib.h>
#include <stdio.h>
// clang-format on

#include "compiler/support/files.h"

namespace kiln::test {

/// A PNG file. `pixels` are its samples row by row; 16-bit samples in host order.
inline std::string png_file(int width, int height, int color_type, int depth, const std::vector<uint8_t>& pixels) {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, size_t count) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<const char*>(data), count);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), depth, color_type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  const png_color palette[] = {{10, 20, 30}, {200, 100, 50}};
  if (color_type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 2);
  png_write_info(png, info);
  if (depth == 16) png_set_swap(png);
  size_t row = pixels.size() / static_cast<size_t>(height);
  for (size_t y = 0; y < static_cast<size_t>(height); ++y) png_write_row(png, pixels.data() + y * row);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

/// A JPEG file of best quality without subsampling. `components`: 1 grey, 3 RGB, 4 CMYK.
inline std::string jpeg_file(int width, int height, int components, const std::vector<uint8_t>& pixels) {
  jpeg_compress_struct encoder;
  jpeg_error_mgr errors;
  encoder.err = jpeg_std_error(&errors);
  jpeg_create_compress(&encoder);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&encoder, &data, &size);
  encoder.image_width = static_cast<JDIMENSION>(width);
  encoder.image_height = static_cast<JDIMENSION>(height);
  encoder.input_components = components;
  encoder.in_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&encoder);
  jpeg_set_quality(&encoder, 100, TRUE);
  encoder.comp_info[0].h_samp_factor = encoder.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&encoder, TRUE);
  while (encoder.next_scanline < encoder.image_height) {
    auto* row = const_cast<JSAMPROW>(pixels.data() + encoder.next_scanline * static_cast<size_t>(width * components));
    jpeg_write_scanlines(&encoder, &row, 1);
  }
  jpeg_finish_compress(&encoder);
  jpeg_destroy_compress(&encoder);
  std::string bytes(reinterpret_cast<char*>(data), size);
  free(data);
  return bytes;
}

/// A .wav file of 16-bit samples. `samples`: frame by frame, all channels of each.
inline std::string wav_file(int sample_rate, int channels, const std::vector<int16_t>& samples) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  std::string path = (folder->path() / "sound.wav").string();
  SF_INFO info{};
  info.samplerate = sample_rate;
  info.channels = channels;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  REQUIRE(file);
  auto count = static_cast<sf_count_t>(samples.size());
  REQUIRE(sf_write_short(file, samples.data(), count) == count);
  sf_close(file);
  return *read_file(path);
}

}  // namespace kiln::test
