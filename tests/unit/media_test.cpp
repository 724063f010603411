// SPDX-License-Identifier: Apache-2.0
// Pictures and sound as stored numbers.
#include <cmath>

#include "compiler/data/audio.h"
#include "compiler/data/image.h"
#include "tests/data_files.h"

using namespace kiln;
using namespace kiln::test;

namespace {

std::vector<uint8_t> bytes_of(const Tensor& t) {
  std::span<const uint8_t> bytes = t.as<uint8_t>();
  return {bytes.begin(), bytes.end()};
}

void write_big_endian(std::string& bytes, size_t at, size_t count, uint32_t value) {
  for (size_t i = 0; i < count; ++i) bytes[at + i] = static_cast<char>(value >> 8 * (count - 1 - i) & 255);
}

uint32_t png_checksum(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

}  // namespace

TEST_CASE("pictures that would unpack to gigabytes are refused by their header", "[data]") {
  // The rest of the file is that of one pixel: it would be an error if it were looked at.
  std::string png = png_file(1, 1, PNG_COLOR_TYPE_GRAY, 1, {0x80});
  write_big_endian(png, 16, 4, 20000);
  write_big_endian(png, 20, 4, 20000);
  write_big_endian(png, 29, 4, png_checksum(std::string_view(png).substr(12, 17)));
  Result<Tensor> grey = decode_png(png);
  REQUIRE_FALSE(grey.ok());
  CHECK(grey.diagnostic().message == "the picture unpacks to 20000 x 20000 pixels of 1 channel, 400000000 numbers; the limit is 50331648.");
  CHECK(grey.diagnostic().hint == "make it smaller first, near the size that the model takes: magick IN -resize 1024x1024 OUT.");
  std::string jpeg = jpeg_file(8, 8, 3, std::vector<uint8_t>(192, 100));
  const size_t frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  write_big_endian(jpeg, frame + 5, 2, 30000);
  write_big_endian(jpeg, frame + 7, 2, 20000);
  Result<Tensor> color = decode_jpeg(jpeg);
  REQUIRE_FALSE(color.ok());
  CHECK(color.diagnostic().message == "the picture unpacks to 20000 x 30000 pixels of 3 channels, 1800000000 numbers; the limit is 50331648.");
}

TEST_CASE("PNG files of all kinds give grey or RGB bytes", "[data]") {
  Result<Tensor> rgb = decode_png(png_file(2, 1, PNG_COLOR_TYPE_RGB, 8, {1, 2, 3, 254, 128, 0}));
  REQUIRE(rgb.ok());
  CHECK(rgb->type.shape == Shape{1, 2, 3});
  CHECK(bytes_of(*rgb) == std::vector<uint8_t>{1, 2, 3, 254, 128, 0});
  Result<Tensor> grey = decode_png(png_file(1, 3, PNG_COLOR_TYPE_GRAY, 8, {0, 77, 255}));
  REQUIRE(grey.ok());
  CHECK(grey->type.shape == Shape{3, 1, 1});
  CHECK(bytes_of(*grey) == std::vector<uint8_t>{0, 77, 255});
  // Transparency is left out, the colours below it stay.
  CHECK(bytes_of(*decode_png(png_file(1, 1, PNG_COLOR_TYPE_RGBA, 8, {9, 8, 7, 0}))) == std::vector<uint8_t>{9, 8, 7});
  CHECK(bytes_of(*decode_png(png_file(1, 1, PNG_COLOR_TYPE_GRAY_ALPHA, 8, {5, 1}))) == std::vector<uint8_t>{5});
  // Bits 10100000 are 8 grey pixels of one bit, or 8 entries of the palette.
  CHECK(bytes_of(*decode_png(png_file(8, 1, PNG_COLOR_TYPE_GRAY, 1, {0xa0}))) == std::vector<uint8_t>{255, 0, 255, 0, 0, 0, 0, 0});
  Result<Tensor> palette = decode_png(png_file(2, 1, PNG_COLOR_TYPE_PALETTE, 1, {0x40}));
  REQUIRE(palette.ok());
  CHECK(bytes_of(*palette) == std::vector<uint8_t>{10, 20, 30, 200, 100, 50});
  // 16 bits: 0x0102 and 0xffff, in host order.
  CHECK(bytes_of(*decode_png(png_file(2, 1, PNG_COLOR_TYPE_GRAY, 16, {0x02, 0x01, 0xff, 0xff}))) == std::vector<uint8_t>{1, 255});
}

TEST_CASE("JPEG files give grey or RGB bytes", "[data]") {
  std::vector<uint8_t> grey(64 * 2, 100);
  for (size_t i = 64; i < grey.size(); ++i) grey[i] = 180;
  Result<Tensor> picture = decode_jpeg(jpeg_file(8, 16, 1, grey));
  REQUIRE(picture.ok());
  CHECK(picture->type.shape == Shape{16, 8, 1});
  for (size_t i = 0; i < grey.size(); ++i) CHECK(std::abs(bytes_of(*picture)[i] - grey[i]) <= 1);
  std::vector<uint8_t> red;
  for (int i = 0; i < 64; ++i) red.insert(red.end(), {200, 30, 60});
  Result<Tensor> color = decode_jpeg(jpeg_file(8, 8, 3, red));
  REQUIRE(color.ok());
  CHECK(color->type.shape == Shape{8, 8, 3});
  for (size_t i = 0; i < red.size(); ++i) CHECK(std::abs(bytes_of(*color)[i] - red[i]) <= 3);
  Result<Tensor> cmyk = decode_jpeg(jpeg_file(8, 8, 4, std::vector<uint8_t>(256, 9)));
  REQUIRE_FALSE(cmyk.ok());
  CHECK(cmyk.diagnostic().message == "the picture has 8 x 8 pixels of 4 colours; the limit is 32768 a side, and 1 or 3 colours.");
}

TEST_CASE("sound is mixed to one channel and scaled to full scale", "[data]") {
  Result<Audio> stereo = decode_wav(wav_file(16000, 2, {16384, 0, -32768, -32768, 100, -100}));
  REQUIRE(stereo.ok());
  CHECK(stereo->sample_rate == 16000);
  CHECK(stereo->mono == Tensor::floats({3}, {0.25f, -1, 0}));
  Result<Audio> mono = decode_wav(wav_file(8000, 1, {1, -2}));
  REQUIRE(mono.ok());
  CHECK(mono->mono == Tensor::floats({2}, {1.0f / 32768, -2.0f / 32768}));
}

TEST_CASE("pictures change between grey and colour", "[data]") {
  Picture grey{1, 2, 1, {10, 20}};
  CHECK(with_channels(grey, 3).values == std::vector<double>{10, 10, 10, 20, 20, 20});
  Picture color{1, 1, 3, {100, 200, 50}};
  CHECK(with_channels(color, 1).values == std::vector<double>{(29900 + 117400 + 5700) / 1000.0});
  CHECK(with_channels(color, 3).values == color.values);
}

TEST_CASE("pictures are resized with pixel centres at halves", "[data]") {
  Picture picture{2, 4, 1, {0, 1, 2, 3, 4, 5, 6, 7}};
  CHECK(resized_nearest(picture, 1, 2).values == std::vector<double>{5, 7});       // centres (0.5, 0.5) and (0.5, 2.5), halves up
  CHECK(resized_bilinear(picture, 1, 2).values == std::vector<double>{2.5, 4.5});  // means of 2x2
  CHECK(resized_nearest(Picture{1, 2, 1, {3, 9}}, 1, 4).values == std::vector<double>{3, 3, 9, 9});
  CHECK(resized_bilinear(Picture{1, 2, 1, {0, 8}}, 1, 4).values == std::vector<double>{0, 2, 6, 8});
  Picture color{1, 2, 3, {0, 10, 20, 4, 14, 24}};
  CHECK(resized_bilinear(color, 1, 1).values == std::vector<double>{2, 12, 22});
  CHECK(resized_bilinear(picture, 2, 4).values == picture.values);
}
