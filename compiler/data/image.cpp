// SPDX-License-Identifier: Apache-2.0
#include "compiler/data/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/ir/limits.h"
#include "compiler/support/check.h"

namespace kiln {
namespace {

/// The pixel of a row of `from` pixels that lies at pixel `i` of `to`, as a place between pixels that exist.
double place(int64_t i, int64_t from, int64_t to) {
  double x = (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
  return std::clamp(x, 0.0, static_cast<double>(from - 1));
}

/// Two neighbouring pixels and the weight of the second.
struct Blend {
  int64_t first, second;
  double weight;
};

std::vector<Blend> blends(int64_t from, int64_t to) {
  std::vector<Blend> all;
  for (int64_t i = 0; i < to; ++i) {
    double x = place(i, from, to);
    auto first = static_cast<int64_t>(x);
    all.push_back({first, std::min(first + 1, from - 1), x - static_cast<double>(first)});
  }
  return all;
}

std::vector<Blend> nearest(int64_t from, int64_t to) {
  std::vector<Blend> all;
  for (int64_t i = 0; i < to; ++i) {
    int64_t pixel = std::min((2 * i + 1) * from / (2 * to), from - 1);
    all.push_back({pixel, pixel, 0});
  }
  return all;
}

Picture resampled(const Picture& in, const std::vector<Blend>& rows, const std::vector<Blend>& columns) {
  Picture out{static_cast<int64_t>(rows.size()), static_cast<int64_t>(columns.size()), in.channels, {}};
  auto at = [&](int64_t y, int64_t x, int64_t c) { return in.values[static_cast<size_t>((y * in.width + x) * in.channels + c)]; };
  for (const Blend& y : rows)
    for (const Blend& x : columns)
      for (int64_t c = 0; c < in.channels; ++c) {
        double top = std::lerp(at(y.first, x.first, c), at(y.first, x.second, c), x.weight);
        double bottom = std::lerp(at(y.second, x.first, c), at(y.second, x.second, c), x.weight);
        out.values.push_back(std::lerp(top, bottom, y.weight));
      }
  return out;
}

}  // namespace

bool picture_fits(int64_t height, int64_t width, int64_t channels) { return height * width * channels <= limits::kPictureNumbers; }

Diagnostic picture_too_large(int64_t height, int64_t width, int64_t channels) {
  return error(DiagId::bad_input_data,
               fmt::format("the picture unpacks to {} x {} pixels of {} channel{}, {} numbers; the limit is {}.", width, height, channels,
                           channels == 1 ? "" : "s", height * width * channels, limits::kPictureNumbers),
               "make it smaller first, near the size that the model takes: magick IN -resize 1024x1024 OUT.");
}

Picture with_channels(const Picture& picture, int64_t channels) {
  KILN_CHECK((channels == 1 || channels == 3) && (picture.channels == 1 || picture.channels == 3),
             "pictures are grey or have three colours");
  if (picture.channels == channels) return picture;
  Picture out{picture.height, picture.width, channels, {}};
  const std::vector<double>& in = picture.values;
  if (channels == 3) {
    for (double grey : in) out.values.insert(out.values.end(), 3, grey);
    return out;
  }
  for (size_t i = 0; i < in.size(); i += 3) out.values.push_back((299 * in[i] + 587 * in[i + 1] + 114 * in[i + 2]) / 1000);
  return out;
}

Picture resized_nearest(const Picture& picture, int64_t height, int64_t width) {
  return resampled(picture, nearest(picture.height, height), nearest(picture.width, width));
}

Picture resized_bilinear(const Picture& picture, int64_t height, int64_t width) {
  return resampled(picture, blends(picture.height, height), blends(picture.width, width));
}

}  // namespace kiln
