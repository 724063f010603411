// SPDX-License-Identifier: Apache-2.0
// RoiAlign: core roi_align over x [N,H,W,C], boxes [R,4] and the image of each box [R] (i32 or i64) -> [R,OH,OW,C]; attributes size [OH,OW],
// sampling, scale, offset (0.5, or 0: boxes are then at least one pixel wide and high) and maximum. The kernel defines them.
#include "nn/ref/roi_align.h"

#include "compiler/ops/elementwise.h"

namespace kiln {
namespace {

InferResult infer_roi_align(const OpArgs& args) {
  if (Status s = check_operands(args, 3); !s) return std::move(s).diagnostic();
  const TensorType &x = args.in(0), &boxes = args.in(1), &images = args.in(2);
  if (x.dtype != DType::f32 || boxes.dtype != DType::f32)
    return error(DiagId::unsupported_type, fmt::format("regions {} of {} are not supported, only of f32.", dtype_name(boxes.dtype), dtype_name(x.dtype)));
  if (images.dtype != DType::i32 && images.dtype != DType::i64) return bad_node(fmt::format("the images of boxes are {}, they must be i32 or i64.", to_string(images)));
  const bool fits = x.rank() == 4 && x.elements() > 0 && boxes.rank() == 2 && boxes.shape[1] == 4 && images.shape == Shape{boxes.shape[0]};
  if (!fits) return bad_node(fmt::format("boxes {} of images {} do not fit the input {}.", to_string(boxes), to_string(images), to_string(x)));
  const std::vector<int64_t> size = args.attrs.ints("size");
  if (size.size() != 2 || size[0] < 1 || size[1] < 1 || size[0] > 1 << 15 || size[1] > 1 << 15)
    return bad_node(fmt::format("a region of {} cells is not one from 1 to {} high and wide.", to_string(size), 1 << 15));
  if (int64_t sampling = args.attrs.i("sampling"); sampling < 0 || sampling > 1024) return bad_node(fmt::format("{} samples, there must be from 0 to 1024.", sampling));
  return std::vector<TensorType>{{DType::f32, {boxes.shape[0], size[0], size[1], x.shape[3]}, {}}};
}

RoiAlign roi_align_descriptor(const OpArgs& args) {
  const Shape &x = args.in(0).shape, &y = args.outputs[0]->shape;
  RoiAlign d;
  d.batch = static_cast<int32_t>(x[0]);
  d.in_h = static_cast<int32_t>(x[1]);
  d.in_w = static_cast<int32_t>(x[2]);
  d.channels = static_cast<int32_t>(x[3]);
  d.regions = static_cast<int32_t>(y[0]);
  d.out_h = static_cast<int32_t>(y[1]);
  d.out_w = static_cast<int32_t>(y[2]);
  d.sampling = static_cast<int32_t>(args.attrs.i("sampling"));
  d.maximum = args.attrs.i("maximum") != 0 ? 1 : 0;
  d.scale = static_cast<float>(args.attrs.f("scale", 1));
  d.offset = static_cast<float>(args.attrs.f("offset"));
  return d;
}

EvalResult eval_roi_align(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  auto run = [&]<class I>(const I* images) {
    nn::ref::roi_align(roi_align_descriptor(args), args.constant(0)->as<float>().data(), args.constant(1)->as<float>().data(), images, y.as<float>().data());
  };
  if (args.in(2).dtype == DType::i32) run(args.constant(2)->as<int32_t>().data());
  else run(args.constant(2)->as<int64_t>().data());
  return std::vector<Tensor>{std::move(y)};
}

Status lower_roi_align(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "roi_align";
  call.descriptor = roi_align_descriptor(args);
  for (ValueId v : node.inputs) call.inputs.push_back(lowering.tensor(v));
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

/// ONNX RoiAlign: x [N,C,H,W]. Up to opset 15 there is no half-pixel offset.
ImportResult import_roi_align(const OnnxNode& node, GraphBuilder& b) {
  const std::string mode = node.attrs.s("mode", "avg"), coordinates = node.attrs.s("coordinate_transformation_mode", node.opset < 16 ? "output_half_pixel" : "half_pixel");
  if (mode != "avg" && mode != "max") return bad_node(fmt::format("mode '{}' is none of avg and max.", mode));
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    return bad_node(fmt::format("coordinate_transformation_mode '{}' is none of half_pixel and output_half_pixel.", coordinates));
  if (b.shape(node.inputs[0]).size() != 4) return bad_node(fmt::format("the input is {}, it must be [N,C,H,W].", to_string(b.type(node.inputs[0]))));
  Result<ValueId> x = transpose(b, node.inputs[0], {0, 2, 3, 1});
  if (!x) return std::move(x).diagnostic();
  Attrs attrs{{"size", Shape{node.attrs.i("output_height", 1), node.attrs.i("output_width", 1)}}, {"sampling", node.attrs.i("sampling_ratio")},
              {"scale", node.attrs.f("spatial_scale", 1)}, {"offset", coordinates == "half_pixel" ? 0.5 : 0.0}, {"maximum", int64_t{mode == "max"}}};
  Result<ValueId> y = b.add(ops::roi_align, {*x, node.inputs[1], node.inputs[2]}, std::move(attrs));
  return one(y ? transpose(b, *y, {0, 3, 1, 2}) : std::move(y));
}

constexpr AttrSpec kRoiAlignAttrs[] = {
    {"coordinate_transformation_mode", AttrKind::string}, {"mode", AttrKind::string}, {"output_height", AttrKind::integer},
    {"output_width", AttrKind::integer}, {"sampling_ratio", AttrKind::integer}, {"spatial_scale", AttrKind::real},
};

}  // namespace

namespace ops {
const OpDef roi_align = {
    .name = "roi_align",
    .summary = "pools regions of images that are computed",
    .onnx = {.type = "RoiAlign", .attrs = kRoiAlignAttrs, .since = 10, .min_inputs = 3, .max_inputs = 3},
    .infer = infer_roi_align,
    .import = import_roi_align,
    .eval = eval_roi_align,
    .lower = lower_roi_align,
};
}  // namespace ops

}  // namespace kiln
