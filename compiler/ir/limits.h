// SPDX-License-Identifier: Apache-2.0
// What is refused as larger than any model for a microcontroller, so that a hostile or broken file costs neither much memory nor much
// time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kiln::limits {

/// protobuf itself stops at 2 GiB.
inline constexpr uint64_t kModelBytes = 0x7fffffff;
/// Depth of nested protobuf messages. A graph within a node's attribute takes three levels.
inline constexpr int kMessageDepth = 100;
/// Local functions calling functions, branches within branches.
inline constexpr size_t kNesting = 32;
/// Nodes imported, those of called functions and repeated bodies counted every time.
inline constexpr size_t kNodes = 100'000;
/// Iterations of loops, which are unrolled; in the whole model.
inline constexpr int64_t kIterations = 10'000;
/// Nodes of both branches of an If that are both computed because its condition is not constant.
inline constexpr int kBranchNodes = 64;
/// Inputs or outputs of one node, and entries of one list of attributes.
inline constexpr size_t kOperands = 10'000;
/// One initializer, and one external data range.
inline constexpr uint64_t kTensorBytes = uint64_t{1} << 30;
/// All initializers in use and all folded constants together.
inline constexpr uint64_t kConstantBytes = uint64_t{2} << 30;
inline constexpr size_t kNameBytes = 4096;
/// Names of ONNX nodes that are kept of those that one node of the graph computes.
inline constexpr size_t kOrigins = 256;
/// Elements and dimensions of one tensor; kernels index with int32_t.
inline constexpr int64_t kElements = int64_t{1} << 30;
inline constexpr int kRank = 8;
/// Pixels times channels of a picture in a file, for example 16 megapixels in colour; a file of some kilobytes can unpack to gigabytes.
inline constexpr int64_t kPictureNumbers = int64_t{3} << 24;
/// One computed constant, and the work of it: more is refused.
inline constexpr int64_t kFoldedTensorBytes = int64_t{64} << 20;
inline constexpr int64_t kFoldedTensorMacs = int64_t{1} << 30;
/// All constants that are computed while a model is imported, those in between counted; and the work of it: multiply-accumulates, or
/// elements read and written.
inline constexpr int64_t kFoldedBytes = int64_t{128} << 20;
inline constexpr int64_t kFoldedWork = int64_t{1} << 29;
/// Test vectors are left out of the self-test of models that take more work, or more bytes for all tensors together.
inline constexpr int64_t kVectorBytes = int64_t{256} << 20;
/// Of the inputs and outputs alone, which become source text.
inline constexpr int64_t kVectorTextBytes = int64_t{16} << 20;
inline constexpr int64_t kVectorWork = int64_t{1} << 29;

/// Opsets of the default domain.
inline constexpr int64_t kOldestOpset = 1;
inline constexpr int64_t kNewestOpset = 26;
/// What the operator records describe begins here. Of models that are older, the operators that have not changed until then are read.
inline constexpr int64_t kOldestDescribedOpset = 7;

}  // namespace kiln::limits
