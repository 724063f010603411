// SPDX-License-Identifier: Apache-2.0
// Resize of every ratio of small sizes against ONNX Runtime, which computes positions in float: it may only differ where a position lies on
// a tie, and is wrong there (tests/unit/resize_positions_test.cpp has the exact positions).
#include <cmath>

#include "compiler/ops/evaluate.h"
#include "compiler/reference/onnxruntime.h"
#include "tests/onnx_models.h"
#include "tests/resize_positions.h"
#include "tests/skip.h"

using namespace kiln;
using namespace kiln::test;

namespace {

constexpr int64_t kMost = 20;

/// x [1,in] resized to [1,1], [1,2], ... [1,kMost].
onnx::ModelProto resizes(int64_t in, const std::string& attributes) {
  std::string outputs, sizes, nodes;
  for (int64_t out = 1; out <= kMost; ++out) {
    outputs += fmt::format("{}float[1,{}] y{}", out > 1 ? ", " : "", out, out);
    sizes += fmt::format("{}int64[2] s{} = {{1, {}}}", out > 1 ? ", " : "", out, out);
    nodes += fmt::format("y{} = Resize <{}> (x, roi, , s{})\n", out, attributes, out);
  }
  return graph_model(fmt::format("agraph (float[1,{}] x) => ({}) <float[4] roi = {{0, 0.25, 1, 0.75}}, {}> {{ {} }}", in, outputs, sizes, nodes), 18);
}

/// Calls check(in, out, i, ours, theirs) for each element of each result.
template <class Check>
bool compare(const std::string& attributes, const Check& check) {
  Result<OnnxRuntime> runtime = OnnxRuntime::load();
  if (!runtime) {
    KILN_SKIP(runtime.diagnostic().message);
    return false;
  }
  for (int64_t in = 1; in <= kMost; ++in) {
    const onnx::ModelProto model = resizes(in, attributes);
    Imported m = import_proto(model);
    INFO(m.text());
    REQUIRE(m.model);
    Result<OrtSession> session = runtime->open(model.SerializeAsString(), OrtOptimization::none);
    if (!session) FAIL(to_string(session.diagnostic()));
    Tensor x(TensorType{DType::f32, {1, in}, {}});
    for (int64_t i = 0; i < in; ++i) x.as<float>()[static_cast<size_t>(i)] = static_cast<float>(i);
    Result<std::vector<Tensor>> ours = evaluate(m.graph(), {x}), theirs = session->run({x});
    REQUIRE(ours.ok());
    if (!theirs) FAIL(to_string(theirs.diagnostic()));
    for (int64_t out = 1; out <= kMost; ++out)
      for (int64_t i = 0; i < out && in != out; ++i) {  // ONNX Runtime copies where no size changes, also what is to be cropped
        const auto result = static_cast<size_t>(out - 1), element = static_cast<size_t>(i);
        check(in, out, i, (*ours)[result].as<float>()[element], (*theirs)[result].as<float>()[element]);
      }
  }
  return true;
}

}  // namespace

TEST_CASE("resize: nearest elements differ from ONNX Runtime's only at ties") {
  for (const std::string& coordinates : kCoordinates)
    for (const std::string& mode : kNearest) {
      int64_t differ = 0, all = 0;
      const bool done = compare(fmt::format("mode = \"nearest\", coordinate_transformation_mode = \"{}\", nearest_mode = \"{}\"", coordinates, mode),
                                [&](int64_t in, int64_t out, int64_t i, float ours, float theirs) {
                                  ++all;
                                  if (ours == theirs) return;
                                  ++differ;
                                  if (!is_tie(original(coordinates, i, in, out)))
                                    FAIL_CHECK(in << " to " << out << " " << coordinates << " " << mode << " element " << i << ": " << ours << " and " << theirs);
                                });
      if (!done) return;
      UNSCOPED_INFO(coordinates << " " << mode << ": " << differ << " of " << all);
      CHECK(differ * 100 < all);
    }
}

TEST_CASE("resize: linear and cubic results agree with ONNX Runtime's") {
  for (const std::string& coordinates : kCoordinates)
    for (const char* mode : {"linear", "cubic"}) {
      const bool done = compare(fmt::format("mode = \"{}\", coordinate_transformation_mode = \"{}\"", mode, coordinates),
                                [&](int64_t in, int64_t out, int64_t i, float ours, float theirs) {
                                  if (std::fabs(ours - theirs) > 2e-5f)
                                    FAIL_CHECK(in << " to " << out << " " << coordinates << " " << mode << " element " << i << ": " << ours << " and " << theirs);
                                });
      if (!done) return;
    }
}
