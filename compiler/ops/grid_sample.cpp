// SPDX-License-Identifier: Apache-2.0
// Sampling at places computed at run time: core grid_sample over x [N,spatial...,C] and grid [N,P,rank] -> [N,P,C], with attributes mode
// ("linear", "nearest", "cubic"), padding ("zeros", "border", "reflection") and coordinates ("pixels", "corners", "edges"; the kernel
// defines them). ONNX GridSample, AffineGrid, and DeformConv: samples, weighted, through a convolution of single pixels.
#include <algorithm>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"
#include "compiler/ops/spatial.h"
#include "nn/ref/grid_sample.h"

namespace kiln {
namespace {

constexpr std::string_view kSampleModes[] = {"linear", "nearest", "cubic"}, kPaddings[] = {"zeros", "border", "reflection"},
                           kCoordinates[] = {"pixels", "corners", "edges"};

template <size_t N>
std::optional<int32_t> number_of(const std::string_view (&names)[N], std::string_view name) {
  const auto* at = std::find(std::begin(names), std::end(names), name);
  if (at == std::end(names)) return std::nullopt;
  return static_cast<int32_t>(at - std::begin(names));
}

InferResult infer_grid_sample(const OpArgs& args) {
  if (Status s = check_operands(args, 2); !s) return std::move(s).diagnostic();
  if (Status s = check_floats(args); !s) return std::move(s).diagnostic();
  const TensorType &x = args.in(0), &grid = args.in(1);
  const int64_t rank = x.rank() - 2;
  if ((rank != 2 && rank != 3) || grid.rank() != 3 || grid.shape[0] != x.shape[0] || grid.shape[2] != rank)
    return bad_node(fmt::format("a grid {} does not fit the input {}.", to_string(grid), to_string(x)));
  for (int64_t i = 1; i <= rank; ++i)
    if (int64_t size = x.shape[static_cast<size_t>(i)]; size < 1 || size > 1 << 20)
      return bad_node(fmt::format("the input is {}, its spatial dimensions must be from 1 to {}.", to_string(x), 1 << 20));
  if (!number_of(kSampleModes, args.attrs.s("mode", "linear")) || !number_of(kPaddings, args.attrs.s("padding", "zeros")) ||
      !number_of(kCoordinates, args.attrs.s("coordinates", "edges")))
    return bad_node(fmt::format("mode '{}', padding '{}' or coordinates '{}' are not known.", args.attrs.s("mode"), args.attrs.s("padding"),
                                args.attrs.s("coordinates")));
  return std::vector<TensorType>{{x.dtype, {x.shape[0], grid.shape[1], x.shape.back()}, {}}};
}

GridSample grid_sample_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  GridSample d;
  d.batch = static_cast<int32_t>(x[0]);
  d.rank = static_cast<int32_t>(x.size()) - 2;
  d.sizes = Dims(std::vector<int64_t>(x.begin() + 1, x.end() - 1));
  d.channels = static_cast<int32_t>(x.back());
  d.points = static_cast<int32_t>(args.in(1).shape[1]);
  d.mode = *number_of(kSampleModes, args.attrs.s("mode", "linear"));
  d.padding = *number_of(kPaddings, args.attrs.s("padding", "zeros"));
  d.coordinates = *number_of(kCoordinates, args.attrs.s("coordinates", "edges"));
  return d;
}

EvalResult eval_grid_sample(const OpArgs& args) {
  return with_float_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::grid_sample(grid_sample_descriptor(args), args.constant(0)->as<T>().data(), args.constant(1)->as<T>().data(), y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_grid_sample(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "grid_sample";
  call.descriptor = grid_sample_descriptor(args);
  for (ValueId v : node.inputs) call.inputs.push_back(lowering.tensor(v));
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

int64_t macs_grid_sample(const OpArgs& args) {
  int64_t taps = 1;
  const std::string mode = args.attrs.s("mode", "linear");
  for (int64_t i = 2; i < args.in(0).rank(); ++i) taps *= mode == "nearest" ? 1 : mode == "cubic" ? 4 : 2;
  return args.outputs[0]->elements() * taps;
}

/// ONNX GridSample: x [N,C,...], grid [N,out...,rank]. Opset 16 calls the modes bilinear and bicubic.
ImportResult import_grid_sample(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]), grid = b.shape(node.inputs[1]);
  if (x.size() != 4 && x.size() != 5)
    return unsupported(fmt::format("the input is {}, only [N,C,H,W] and [N,C,D,H,W] are supported.", to_string(x)));
  if (grid.size() != x.size() || grid[0] != x[0] || grid.back() != static_cast<int64_t>(x.size()) - 2)
    return bad_node(fmt::format("a grid {} does not fit the input {}.", to_string(grid), to_string(x)));
  std::string mode = node.attrs.s("mode", "linear"), padding = node.attrs.s("padding_mode", "zeros");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  if (!number_of(kSampleModes, mode)) return bad_node(fmt::format("mode '{}' is none of linear, nearest and cubic.", mode));
  if (!number_of(kPaddings, padding)) return bad_node(fmt::format("padding_mode '{}' is none of zeros, border and reflection.", padding));
  if (mode == "cubic" && x.size() == 5) return bad_node("cubic sampling is defined in 2 dimensions only.");
  const std::vector<int64_t> order = channels_last_order(static_cast<int64_t>(x.size()));
  Shape out(grid.begin(), grid.end() - 1);
  Result<ValueId> image = transpose(b, node.inputs[0], order);
  Result<ValueId> places = reshape(b, node.inputs[1], {grid[0], product(grid, 1, grid.size() - 1), grid.back()});
  if (!image || !places) return std::move(image ? places : image).diagnostic();
  const std::string coordinates = node.attrs.i("align_corners") != 0 ? "corners" : "edges";
  Result<ValueId> y = b.add(ops::grid_sample, {*image, *places}, {{"mode", mode}, {"padding", padding}, {"coordinates", coordinates}});
  out.push_back(x[1]);
  if (y) y = reshape(b, *y, out);
  return one(y ? transpose(b, *y, inverse_permutation(order)) : std::move(y));
}

/// The places of an image of `size`, as AffineGrid multiplies them: [pixels, rank + 1], the last dimension's first, then 1.
Tensor base_grid(const Shape& size, bool corners) {
  const size_t rank = size.size();
  Tensor t({DType::f32, {element_count(size), static_cast<int64_t>(rank) + 1}, {}});
  std::vector<int64_t> strides = row_major_strides(size);
  for (int64_t p = 0; p < element_count(size); ++p) {
    float* place = t.as<float>().data() + p * static_cast<int64_t>(rank + 1);
    for (size_t k = 0; k < rank; ++k) {
      const auto i = static_cast<double>(p / strides[k] % size[k]), n = static_cast<double>(size[k]);
      const double at = corners ? (n > 1 ? 2 * i / (n - 1) - 1 : -1) : (2 * i + 1) / n - 1;
      place[rank - 1 - k] = static_cast<float>(at);
    }
    place[rank] = 1;
  }
  return t;
}

/// theta [N,rank,rank+1] and the constant size [N,C,...] -> [N,...,rank]
ImportResult import_affine_grid(const OnnxNode& node, GraphBuilder& b) {
  const TensorType theta = b.type(node.inputs[0]);
  Result<std::vector<int64_t>> size = constant_ints(node, b, 1, "size");
  if (!size) return std::move(size).diagnostic();
  if (Status s = check_shape(*size); !s) return std::move(s).diagnostic();
  const int64_t rank = static_cast<int64_t>(size->size()) - 2;
  if ((rank != 2 && rank != 3) || theta.shape != Shape{size->front(), rank, rank + 1})
    return bad_node(fmt::format("theta is {}, which does not fit a size of {}.", to_string(theta), to_string(*size)));
  if (theta.dtype != DType::f32)
    return error(DiagId::unsupported_type, fmt::format("AffineGrid of {} is not supported, only of f32.", dtype_name(theta.dtype)));
  const Shape spatial(size->begin() + 2, size->end());
  Result<ValueId> matrix = transpose(b, node.inputs[0], {0, 2, 1});
  if (!matrix) return std::move(matrix).diagnostic();
  const ValueId base = b.add_constant(base_grid(spatial, node.attrs.i("align_corners") != 0), "base_grid");
  Result<ValueId> y = b.add(ops::matmul, {base, *matrix});
  Shape shape = {size->front()};
  shape.insert(shape.end(), spatial.begin(), spatial.end());
  shape.push_back(rank);
  return one(y ? reshape(b, *y, shape) : std::move(y));
}

// ---- DeformConv

/// Sizes: n images, c and o channels, groups of the convolution, `offsets` groups that share places, p output pixels, t taps.
struct Deform {
  WindowAxis axes[2];
  int64_t n = 1, c = 1, o = 1, groups = 1, offsets = 1, height = 1, width = 1, taps = 1;
};

Result<Deform> deform_sizes(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]), w = b.shape(node.inputs[1]);
  if (x.size() != 4 || w.size() != 4)
    return unsupported(fmt::format("the input is {} and the weights are {}, DeformConv is supported in 2 dimensions only.", to_string(x), to_string(w)));
  const std::vector<int64_t> kernel(w.begin() + 2, w.end());
  if (std::vector<int64_t> given = node.attrs.ints("kernel_shape", kernel); given != kernel)
    return bad_node(fmt::format("'kernel_shape' is {}, the weights are {}.", to_string(given), to_string(w)));
  Result<std::vector<WindowAxis>> axes = onnx_window_axes(node, x, kernel);
  if (!axes) return std::move(axes).diagnostic();
  Deform d;
  d.n = x[0], d.c = x[1], d.o = w[0];
  d.groups = node.attrs.i("group", 1), d.offsets = node.attrs.i("offset_group", 1);
  if (d.groups < 1 || d.offsets < 1 || w[1] * d.groups != d.c || d.c % d.offsets != 0 || d.o % d.groups != 0)
    return bad_node(fmt::format("the input has {} channels, which does not fit weights {}, 'group' {} and 'offset_group' {}.", d.c, to_string(w), d.groups, d.offsets));
  std::copy(axes->begin(), axes->end(), d.axes);
  d.taps = kernel[0] * kernel[1];
  Result<Pair> out = window_positions(window_of(d.axes[0], d.axes[1]), {x[2], x[3]});
  if (!out) return std::move(out).diagnostic();
  d.height = (*out)[0], d.width = (*out)[1];
  const Shape offset = {d.n, d.offsets * d.taps * 2, d.height, d.width}, mask = {d.n, d.offsets * d.taps, d.height, d.width};
  if (b.shape(node.inputs[2]) != offset)
    return bad_node(fmt::format("the offsets are {}, they must be {}.", to_string(b.type(node.inputs[2])), to_string(std::span<const int64_t>(offset))));
  if (node.has(4) && b.shape(node.inputs[4]) != mask)
    return bad_node(fmt::format("the mask is {}, it must be {}.", to_string(b.type(node.inputs[4])), to_string(std::span<const int64_t>(mask))));
  return d;
}

/// Where the taps lie without offsets: [height,width,taps,2], column and row.
Tensor tap_places(const Deform& d) {
  Tensor t({DType::f32, {d.height, d.width, d.taps, 2}, {}});
  float* place = t.as<float>().data();
  for (int64_t i = 0; i < d.height; ++i)
    for (int64_t j = 0; j < d.width; ++j)
      for (int64_t k = 0; k < d.taps; ++k) {
        const WindowAxis &v = d.axes[0], &h = d.axes[1];
        *place++ = static_cast<float>(j * h.stride - h.before + k % h.kernel * h.dilation);
        *place++ = static_cast<float>(i * v.stride - v.before + k / h.kernel * v.dilation);
      }
  return t;
}

/// What each tap of each output pixel sees: [N, offsets, pixels, taps, C/offsets].
Result<ValueId> deformed_samples(const OnnxNode& node, GraphBuilder& b, const Deform& d) {
  const Shape x = b.shape(node.inputs[0]);
  Result<ValueId> image = reshape(b, node.inputs[0], {d.n * d.offsets, d.c / d.offsets, x[2], x[3]});
  if (image) image = transpose(b, *image, {0, 2, 3, 1});
  Result<ValueId> places = reshape(b, node.inputs[2], {d.n * d.offsets, d.taps, 2, d.height, d.width});
  if (places) places = transpose(b, *places, {0, 3, 4, 1, 2});
  if (places) {
    SliceSpec swap = whole_slice(b.shape(*places));  // ONNX puts rows before columns
    swap.starts[4] = 1;
    swap.steps[4] = -1;
    places = slice(b, *places, swap);
  }
  if (places) places = b.add(ops::add, {*places, b.add_constant(tap_places(d))});
  if (places) places = reshape(b, *places, {d.n * d.offsets, d.height * d.width * d.taps, 2});
  if (!image || !places) return image ? places : image;
  const std::string linear = "linear", zeros = "zeros", pixels = "pixels";
  Result<ValueId> y = b.add(ops::grid_sample, {*image, *places}, {{"mode", linear}, {"padding", zeros}, {"coordinates", pixels}});
  if (y && node.has(4)) {
    Result<ValueId> mask = reshape(b, node.inputs[4], {d.n * d.offsets, d.taps, d.height * d.width});
    if (mask) mask = transpose(b, *mask, {0, 2, 1});
    if (mask) mask = reshape(b, *mask, {d.n * d.offsets, d.height * d.width * d.taps, 1});
    y = mask ? b.add(ops::mul, {*y, *mask}) : mask;
  }
  return y ? reshape(b, *y, {d.n, d.offsets, d.height * d.width, d.taps, d.c / d.offsets}) : y;
}

/// x [N,C,H,W], w [O,C/group,kh,kw], offset [N,offsets*taps*2,OH,OW], bias [O], mask [N,offsets*taps,OH,OW]; the last two optional.
ImportResult import_deform_conv(const OnnxNode& node, GraphBuilder& b) {
  Result<Deform> d = deform_sizes(node, b);
  if (!d) return std::move(d).diagnostic();
  if (const DType dtype = b.type(node.inputs[0]).dtype; dtype != DType::f32)
    return error(DiagId::unsupported_type, fmt::format("a deformable convolution of {} is not supported, only of f32.", dtype_name(dtype)));
  Result<ValueId> y = deformed_samples(node, b, *d);
  if (y) y = transpose(b, *y, {0, 2, 3, 1, 4});
  if (y) y = reshape(b, *y, {d->n, d->height * d->width, d->taps, d->groups, d->c / d->groups});
  if (y) y = transpose(b, *y, {0, 1, 3, 2, 4});
  if (y) y = reshape(b, *y, {d->n, d->height, d->width, d->taps * d->c});
  Result<ValueId> w = transpose(b, node.inputs[1], {0, 2, 3, 1});
  if (w) w = reshape(b, *w, {d->o, 1, 1, d->taps * d->c / d->groups});
  if (!y || !w) return std::move(y ? w : y).diagnostic();
  std::vector<ValueId> inputs = {*y, *w};
  if (node.has(3)) inputs.push_back(node.inputs[3]);
  y = b.add(ops::conv2d, std::move(inputs), {{"groups", d->groups}});
  return one(y ? transpose(b, *y, {0, 3, 1, 2}) : std::move(y));
}

constexpr AttrSpec kGridSampleAttrs[] = {{"align_corners", AttrKind::integer}, {"mode", AttrKind::string}, {"padding_mode", AttrKind::string}};
constexpr AttrSpec kAffineGridAttrs[] = {{"align_corners", AttrKind::integer}};
constexpr AttrSpec kDeformConvAttrs[] = {
    {"dilations", AttrKind::integers}, {"group", AttrKind::integer}, {"kernel_shape", AttrKind::integers},
    {"offset_group", AttrKind::integer}, {"pads", AttrKind::integers}, {"strides", AttrKind::integers},
};

}  // namespace

namespace ops {
const OpDef grid_sample = {
    .name = "grid_sample",
    .summary = "samples images at places that are computed",
    .onnx = {.type = "GridSample", .attrs = kGridSampleAttrs, .since = 16, .min_inputs = 2, .max_inputs = 2},
    .infer = infer_grid_sample,
    .import = import_grid_sample,
    .eval = eval_grid_sample,
    .lower = lower_grid_sample,
    .macs = macs_grid_sample,
};
const OpDef affine_grid = {
    .summary = "the places of GridSample by affine matrices; the size must be constant",
    .onnx = {.type = "AffineGrid", .attrs = kAffineGridAttrs, .since = 20, .min_inputs = 2, .max_inputs = 2},
    .import = import_affine_grid,
};
const OpDef deform_conv = {
    .summary = "convolution whose taps are moved by offsets, in two dimensions",
    .onnx = {.type = "DeformConv", .attrs = kDeformConvAttrs, .since = 19, .min_inputs = 3, .max_inputs = 5},
    .import = import_deform_conv,
};
}  // namespace ops

}  // namespace kiln
