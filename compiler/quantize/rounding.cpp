// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/rounding.h"

#include <algorithm>
#include <cmath>

#include "compiler/ops/ops.h"

namespace kiln {
namespace {

constexpr size_t kMaxWindows = 4096;  // that moments are taken from, spread evenly
constexpr int kMaxSweeps = 10;

/// The windows of a layer: for each output position, the terms that one group of output channels multiplies.
struct Windows {
  int64_t h = 1, w = 1, c = 1;  ///< of the input; dense: all pixels in w
  int64_t out_h = 1, out_w = 1, kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, top = 0, left = 0;
  int64_t groups = 1;
  [[nodiscard]] int64_t group_c() const { return c / groups; }
  [[nodiscard]] size_t terms() const { return static_cast<size_t>(kernel_h * kernel_w * group_c()); }
};

Windows windows_of(const Graph& graph, const Node& node) {
  const Shape &x = graph.type(node.inputs[0]).shape, &w = graph.type(node.inputs[1]).shape, &y = graph.type(node.outputs[0]).shape;
  Windows out;
  out.c = x.back();
  if (node.op == &ops::dense) {
    out.w = out.out_w = product(x, 0, x.size() - 1);
    return out;
  }
  std::vector<int64_t> strides = node.attrs.ints("strides", {1, 1}), pads = node.attrs.ints("pads", {0, 0, 0, 0}),
                       dilations = node.attrs.ints("dilations", {1, 1});
  out.h = x[1], out.w = x[2], out.out_h = y[1], out.out_w = y[2], out.kernel_h = w[1], out.kernel_w = w[2];
  out.stride_h = strides[0], out.stride_w = strides[1], out.dilation_h = dilations[0], out.dilation_w = dilations[1];
  out.top = pads[0], out.left = pads[1];
  out.groups = node.attrs.i("groups", 1);
  return out;
}

/// The terms of the window at (oy, ox) of image `image`, for channels of `group`; zeros outside.
void read_window(const Windows& s, std::span<const float> x, int64_t image, int64_t oy, int64_t ox, int64_t group,
                 std::vector<double>& terms) {
  size_t at = 0;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky)
    for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
      int64_t iy = oy * s.stride_h - s.top + ky * s.dilation_h, ix = ox * s.stride_w - s.left + kx * s.dilation_w;
      bool inside = iy >= 0 && iy < s.h && ix >= 0 && ix < s.w;
      for (int64_t c = 0; c < s.group_c(); ++c)
        terms[at++] =
            inside ? static_cast<double>(x[static_cast<size_t>(((image * s.h + iy) * s.w + ix) * s.c + group * s.group_c() + c)]) : 0;
    }
}

/// Sums of products of terms, [terms][terms].
std::vector<double> second_moments(const Windows& s, const std::vector<const Tensor*>& inputs, int64_t group) {
  size_t n = s.terms();
  std::vector<double> moments(n * n, 0), terms(n);
  int64_t images = inputs.front()->type.elements() / (s.h * s.w * s.c), positions = images * s.out_h * s.out_w;
  auto all = static_cast<size_t>(positions) * inputs.size();
  size_t used = std::min(all, kMaxWindows);
  for (size_t i = 0; i < used; ++i) {
    size_t at = i * all / used;
    auto position = static_cast<int64_t>(at % static_cast<size_t>(positions));
    int64_t ox = position % s.out_w, oy = position / s.out_w % s.out_h, image = position / (s.out_w * s.out_h);
    read_window(s, inputs[at / static_cast<size_t>(positions)]->as<float>(), image, oy, ox, group, terms);
    for (size_t a = 0; a < n; ++a) {
      if (terms[a] == 0) continue;
      for (size_t b = 0; b < n; ++b) moments[a * n + b] += terms[a] * terms[b];
    }
  }
  return moments;
}

/// Coordinate descent for one output channel: `q` may be floor(w / scale) or one more.
void descend(std::span<const float> w, float scale, const std::vector<double>& moments, std::span<int8_t> q) {
  size_t n = w.size();
  std::vector<double> error(n), pull(n, 0);  // pull = moments * error
  for (size_t k = 0; k < n; ++k) error[k] = static_cast<double>(w[k]) / static_cast<double>(scale) - q[k];
  for (size_t a = 0; a < n; ++a)
    for (size_t b = 0; b < n; ++b) pull[a] += moments[a * n + b] * error[b];
  for (int sweep = 0, changed = 1; sweep < kMaxSweeps && changed; ++sweep) {
    changed = 0;
    for (size_t k = 0; k < n; ++k) {
      int step = error[k] > 0 ? 1 : -1;  // to the other neighbour
      if (error[k] == 0 || q[k] + step > 127 || q[k] + step < -127 || std::fabs(error[k] - step) > 1) continue;
      // error' M error changes by -2 step pull[k] + moments[k][k].
      if (-2 * step * pull[k] + moments[k * n + k] >= -1e-12 * moments[k * n + k]) continue;
      q[k] = static_cast<int8_t>(q[k] + step);
      error[k] -= step;
      for (size_t a = 0; a < n; ++a) pull[a] -= step * moments[a * n + k];
      changed = 1;
    }
  }
}

}  // namespace

void choose_rounding(const Graph& graph, NodeId layer, const std::vector<const Tensor*>& inputs, QuantizedWeights& weights) {
  const Node& node = graph.node(layer);
  const Windows windows = windows_of(graph, node);
  const size_t terms = windows.terms();
  if (terms > kMaxRoundedTerms) return;
  std::span<const float> w = graph.constant(node.inputs[1])->as<float>();
  std::span<int8_t> q = weights.values.as<int8_t>();
  size_t per_group = weights.scale.size() / static_cast<size_t>(windows.groups);
  for (int64_t group = 0; group < windows.groups; ++group) {
    std::vector<double> moments = second_moments(windows, inputs, group);
    for (size_t k = 0; k < per_group; ++k) {
      size_t o = static_cast<size_t>(group) * per_group + k;
      descend(w.subspan(o * terms, terms), weights.scale[o], moments, q.subspan(o * terms, terms));
    }
  }
}

}  // namespace kiln
