// SPDX-License-Identifier: Apache-2.0
#include "compiler/data/sample_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "compiler/data/bad_data.h"
#include "compiler/data/image.h"

namespace kiln {
namespace {

Shape without_ones(std::span<const int64_t> shape) {
  Shape out;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(out), [](int64_t dim) { return dim != 1; });
  return out;
}

// ---- pictures: arrays of height, width and channels

/// How a shape holds a picture.
struct Geometry {
  int64_t height, width, channels;
  bool channels_first;

  [[nodiscard]] Shape size() const { return {height, width}; }
};

/// The readings of a shape as a picture in the given layout or in either. Leading dimensions of 1 beyond three are the batch.
std::vector<Geometry> readings(std::span<const int64_t> shape, std::optional<Layout> layout) {
  while (shape.size() > 3 && shape.front() == 1) shape = shape.subspan(1);
  if (shape.size() == 2) return {{shape[0], shape[1], 1, false}};
  if (shape.size() != 3) return {};
  std::vector<Geometry> all;
  if (layout != Layout::nchw) all.push_back({shape[0], shape[1], shape[2], false});
  if (layout != Layout::nhwc) all.push_back({shape[1], shape[2], shape[0], true});
  return all;
}

struct Arrangement {
  Geometry stored, wanted;
};

bool is_picture(int64_t channels) { return channels == 1 || channels == 3; }

/// Pairs a reading of the stored shape with one of the input's that takes it: first one of the same size, then, if pictures may be
/// resized, any. Pictures may change between grey and colour; arrays keep their channels.
std::optional<Arrangement> arrange(const StoredArray& array, std::span<const int64_t> sample, const Preparation& p,
                                   const ModelInput& input) {
  bool image = array.kind == StoredArray::Kind::image;
  std::vector<Geometry> stored = readings(sample, image ? Layout::nhwc : p.layout);
  std::vector<Geometry> wanted = readings(input.type.shape, std::nullopt);
  auto channels_fit = [&](const Geometry& s, const Geometry& w) { return s.channels == w.channels || (image && is_picture(w.channels)); };
  auto find = [&](auto&& fits) -> std::optional<Arrangement> {
    for (const Geometry& s : stored)
      for (bool same_order : {true, false})  // where both ways fit, nothing is transposed
        for (const Geometry& w : wanted)
          if ((s.channels_first == w.channels_first) == same_order && channels_fit(s, w) && fits(s, w)) return Arrangement{s, w};
    return std::nullopt;
  };
  if (auto same = find([](const Geometry& s, const Geometry& w) { return s.size() == w.size(); })) return same;
  if (p.resize == ResizeMode::refuse) return std::nullopt;
  return find([](const Geometry& s, const Geometry& w) { return is_picture(s.channels) && is_picture(w.channels); });
}

/// Place of a number in a picture of this geometry.
size_t place(const Geometry& g, int64_t y, int64_t x, int64_t c) {
  return static_cast<size_t>(g.channels_first ? (c * g.height + y) * g.width + x : (y * g.width + x) * g.channels + c);
}

Picture picture_of(const std::vector<double>& values, const Geometry& g) {
  Picture out{g.height, g.width, g.channels, {}};
  out.values.reserve(values.size());
  for (int64_t y = 0; y < g.height; ++y)
    for (int64_t x = 0; x < g.width; ++x)
      for (int64_t c = 0; c < g.channels; ++c) out.values.push_back(values[place(g, y, x, c)]);
  return out;
}

std::vector<double> arranged(const Picture& picture, const Geometry& g) {
  std::vector<double> out(picture.values.size());
  size_t from = 0;
  for (int64_t y = 0; y < g.height; ++y)
    for (int64_t x = 0; x < g.width; ++x)
      for (int64_t c = 0; c < g.channels; ++c) out[place(g, y, x, c)] = picture.values[from++];
  return out;
}

std::vector<double> fitted_picture(const std::vector<double>& values, const Arrangement& a, ResizeMode resize) {
  Picture picture = picture_of(values, a.stored);
  if (picture.channels != a.wanted.channels) picture = with_channels(picture, a.wanted.channels);
  if (a.stored.size() != a.wanted.size())
    picture = resize == ResizeMode::nearest ? resized_nearest(picture, a.wanted.height, a.wanted.width)
                                            : resized_bilinear(picture, a.wanted.height, a.wanted.width);
  return arranged(picture, a.wanted);
}

// ---- numbers

/// Which channel each number of the input belongs to: (i / inner) % count.
struct Channels {
  int64_t count, inner;
};

/// The input's channels for a list of `count` numbers.
Result<Channels> channels_of(size_t count, const char* option, const std::optional<Arrangement>& a, const ModelInput& input) {
  auto n = static_cast<int64_t>(count);
  const Shape& shape = input.type.shape;
  if (n <= 1) return Channels{1, 1};
  if (a && a->wanted.channels == n) return Channels{n, a->wanted.channels_first ? a->wanted.height * a->wanted.width : 1};
  if (!a && !shape.empty() && shape.back() == n) return Channels{n, 1};
  if (!a && shape.size() > 2 && shape[1] == n) return Channels{n, product(shape, 2, shape.size())};
  return bad_data(fmt::format("{} has {} numbers, input '{}' {} has no such number of channels.", option, n, input.name, to_string(input.type)),
             "give one number, or one for each channel.");
}

/// values = (values - mean) / std * scale.
Status apply_numbers(std::vector<double>& values, const Preparation& p, const std::optional<Arrangement>& a, const ModelInput& input) {
  auto each = [&](const std::vector<double>& numbers, const char* option, auto&& change) -> Status {
    if (numbers.empty()) return Done{};
    Result<Channels> channels = channels_of(numbers.size(), option, a, input);
    if (!channels) return std::move(channels).diagnostic();
    for (size_t i = 0; i < values.size(); ++i) {
      int64_t channel = static_cast<int64_t>(i) / channels->inner % channels->count;
      values[i] = change(values[i], numbers[static_cast<size_t>(channel)]);
    }
    return Done{};
  };
  if (Status s = each(p.mean, "--mean", [](double x, double mean) { return x - mean; }); !s) return s;
  if (Status s = each(p.std, "--std", [](double x, double std) { return x / std; }); !s) return s;
  return each(p.scale, "--scale", [](double x, double scale) { return x * scale; });
}

struct Range {
  double low, high;
};

Range range_of(DType dtype) {
  if (dtype == DType::i4) return {-8, 7};
  if (dtype == DType::u4) return {0, 15};
  if (dtype == DType::boolean) return {0, 1};
  return with_storage_type(dtype, []<class T>() {
    return Range{static_cast<double>(std::numeric_limits<T>::lowest()), static_cast<double>(std::numeric_limits<T>::max())};
  });
}

Tensor float_tensor(const std::vector<double>& values, const TensorType& type) {
  Tensor out(type);
  for (size_t i = 0; i < values.size(); ++i) {
    if (type.dtype == DType::f64)
      out.as<double>()[i] = values[i];
    else if (type.dtype == DType::f16)
      out.as<uint16_t>()[i] = float_to_f16(static_cast<float>(values[i]));
    else if (type.dtype == DType::bf16)
      out.as<uint16_t>()[i] = float_to_bf16(static_cast<float>(values[i]));
    else
      out.as<float>()[i] = static_cast<float>(values[i]);
  }
  return out;
}

/// As QuantizeLinear computes: in float32, halves to even.
double quantized(double value, const Quant& quant, const Range& range) {
  double steps = static_cast<double>(std::nearbyintf(static_cast<float>(value) / quant.scale.front()));
  double zero_point = quant.zero_point.empty() ? 0 : quant.zero_point.front();
  return std::clamp(steps + zero_point, range.low, range.high);
}

Result<Tensor> integer_tensor(std::vector<double> values, const ModelInput& input, bool codes) {
  const TensorType& type = input.type;
  Range range = range_of(type.dtype);
  if (type.quant && type.quant->scale.size() != 1)
    return bad_data(fmt::format("input '{}' is quantized per channel; only data of its own type {} fits.", input.name, dtype_name(type.dtype)));
  for (double& value : values) {
    if (std::isnan(value))
      return bad_data(fmt::format("input '{}' is {}, the data has a number that is none (NaN).", input.name, to_string(type)));
    if (type.quant && !codes) value = quantized(value, *type.quant, range);
    if (codes) value = std::clamp(std::nearbyint(value), range.low, range.high);  // resizing makes fractions
    if (value != std::nearbyint(value) || value < range.low || value > range.high)
      return bad_data(fmt::format("input '{}' is {}, the data has the number {:g}.", input.name, to_string(type), value),
                 "--mean, --std and --scale change the numbers: (stored - mean) / std * scale.");
  }
  Tensor out(type);
  with_storage_type(type.dtype, [&]<class T>() {
    std::span<T> to = out.as<T>();
    for (size_t i = 0; i < values.size(); ++i) to[i] = static_cast<T>(values[i]);
  });
  return out;
}

// ---- shapes

/// The shape of one sample of an array of this kind that holds several.
Shape sample_shape(const Shape& shape) { return {shape.begin() + 1, shape.end()}; }

/// One sample of shape `sample` fits: as it is, or as a picture that can be arranged.
struct Fit {
  bool as_is = false;
  std::optional<Arrangement> arrangement;
  [[nodiscard]] bool ok() const { return as_is || arrangement; }
};

Fit fit(const StoredArray& array, std::span<const int64_t> sample, const Preparation& p, const ModelInput& input) {
  Fit fit;
  bool image = array.kind == StoredArray::Kind::image;
  if (image || p.layout || p.resize != ResizeMode::refuse) fit.arrangement = arrange(array, sample, p, input);
  if (!image && !fit.arrangement) fit.as_is = without_ones(sample) == without_ones(input.type.shape);
  return fit;
}

std::string describe(const StoredArray& array) {
  if (array.kind == StoredArray::Kind::image)
    return fmt::format("a picture of {} x {} pixels (height x width)", array.values.type.shape[0], array.values.type.shape[1]);
  if (array.kind == StoredArray::Kind::audio)
    return fmt::format("sound of {} samples at {} Hz", array.values.type.shape[0], array.sample_rate);
  return fmt::format("an array {}", to_string(array.values.type));
}

Diagnostic misfit(const StoredArray& array, const Preparation& p, const ModelInput& input) {
  const char* hint = "one sample must have the input's shape; a further first dimension may count samples.";
  if (array.kind == StoredArray::Kind::image && p.resize == ResizeMode::refuse) hint = "--resize bilinear changes the size.";
  if (array.kind == StoredArray::Kind::audio) hint = "cut or pad the sound to the input's length.";
  if (array.kind == StoredArray::Kind::array && array.values.type.rank() >= 3 && !p.layout)
    hint = "--layout nhwc or nchw transposes stored pictures.";
  return bad_data(fmt::format("the file holds {}, input '{}' is {}.", describe(array), input.name, to_string(input.type)), hint);
}

Tensor slice(const Tensor& tensor, int64_t index) {
  TensorType type{tensor.type.dtype, sample_shape(tensor.type.shape), {}};
  auto bytes = static_cast<size_t>(type.bytes());
  std::span<const std::byte> part = tensor.bytes().subspan(static_cast<size_t>(index) * bytes, bytes);
  return Tensor(std::move(type), {part.begin(), part.end()});
}

}  // namespace

Result<int64_t> count_samples(const StoredArray& array, const Preparation& p, const ModelInput& input) {
  const Shape& shape = array.values.type.shape;
  if (fit(array, shape, p, input).ok()) return int64_t{1};
  if (!shape.empty() && fit(array, sample_shape(shape), p, input).ok()) return shape.front();
  return misfit(array, p, input);
}

Result<Tensor> make_sample(const StoredArray& array, int64_t index, const Preparation& p, const ModelInput& input) {
  Fit whole = fit(array, array.values.type.shape, p, input);
  Fit part = whole.ok() || array.values.type.shape.empty() ? whole : fit(array, sample_shape(array.values.type.shape), p, input);
  if (!part.ok()) return misfit(array, p, input);
  Tensor stored = whole.ok() ? array.values : slice(array.values, index);
  bool codes = stored.type.dtype == input.type.dtype && !p.changes_values();
  if (codes && part.as_is) {
    Tensor same = stored.reshaped(input.type.shape);
    same.type.quant = input.type.quant;
    return same;
  }
  std::vector<double> values = stored.to_doubles();
  if (part.arrangement) values = fitted_picture(values, *part.arrangement, p.resize);
  if (Status s = apply_numbers(values, p, part.arrangement, input); !s) return std::move(s).diagnostic();
  if (is_float(input.type.dtype)) return float_tensor(values, input.type);
  return integer_tensor(std::move(values), input, codes);
}

}  // namespace kiln
