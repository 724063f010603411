// SPDX-License-Identifier: Apache-2.0
// ONNX operators that the importer itself carries out (compiler/frontend/importer_bodies.cpp, importer_sequences.cpp): those with graphs
// inside, and those on sequences and optionals. None of them is left in a Graph; the records say how they are read, but for their
// attributes that are graphs or types.
#include "compiler/ops/ops.h"

namespace kiln {
namespace {

constexpr AttrSpec kScanAttrs[] = {
    {"num_scan_inputs", AttrKind::integer},        {"directions", AttrKind::integers},       {"scan_input_axes", AttrKind::integers},
    {"scan_input_directions", AttrKind::integers}, {"scan_output_axes", AttrKind::integers}, {"scan_output_directions", AttrKind::integers},
};
constexpr AttrSpec kDtypeAttrs[] = {{"dtype", AttrKind::integer}};
constexpr AttrSpec kSplitToSequenceAttrs[] = {{"axis", AttrKind::integer}, {"keepdims", AttrKind::integer}};
constexpr AttrSpec kConcatFromSequenceAttrs[] = {{"axis", AttrKind::integer}, {"new_axis", AttrKind::integer}};

constexpr OpDef expanded(OnnxOp onnx, std::string_view summary) {
  OpDef op;
  op.summary = summary;
  op.onnx = onnx;
  return op;
}

}  // namespace

namespace ops {
const OpDef control_if = expanded({.type = "If", .attrs = {}, .max_inputs = 1},
                                  "one of two graphs; small ones are both computed where the condition is not constant");
const OpDef control_loop =
    expanded({.type = "Loop", .attrs = {}, .min_inputs = 0}, "a graph repeated; unrolled, so trip count and condition must be constant");
const OpDef control_scan =
    expanded({.type = "Scan", .attrs = kScanAttrs, .min_inputs = 0}, "a graph repeated over the indices of a dimension; unrolled");
const OpDef sequence_construct =
    expanded({.type = "SequenceConstruct", .attrs = {}, .since = 11}, "a sequence; sequences exist while importing only");
const OpDef sequence_empty =
    expanded({.type = "SequenceEmpty", .attrs = kDtypeAttrs, .since = 11, .min_inputs = 0, .max_inputs = 0}, "a sequence without elements");
const OpDef sequence_insert = expanded({.type = "SequenceInsert", .attrs = {}, .since = 11, .min_inputs = 2, .max_inputs = 3},
                                       "a sequence with one element more; the position must be constant");
const OpDef sequence_erase = expanded({.type = "SequenceErase", .attrs = {}, .since = 11, .max_inputs = 2},
                                      "a sequence with one element less; the position must be constant");
const OpDef sequence_at = expanded({.type = "SequenceAt", .attrs = {}, .since = 11, .min_inputs = 2, .max_inputs = 2},
                                   "an element of a sequence; the position must be constant");
const OpDef sequence_length =
    expanded({.type = "SequenceLength", .attrs = {}, .since = 11, .max_inputs = 1}, "the length of a sequence; always a constant");
const OpDef sequence_map = expanded({.type = "SequenceMap", .attrs = {}, .since = 17}, "a graph for each element of a sequence");
const OpDef split_to_sequence =
    expanded({.type = "SplitToSequence", .attrs = kSplitToSequenceAttrs, .since = 11, .max_inputs = 2}, "a sequence of the parts of a tensor");
const OpDef concat_from_sequence = expanded({.type = "ConcatFromSequence", .attrs = kConcatFromSequenceAttrs, .since = 11, .max_inputs = 1},
                                            "the elements of a sequence joined along an axis");
const OpDef optional = expanded({.type = "Optional", .attrs = {}, .since = 15, .min_inputs = 0, .max_inputs = 1}, "its input, or nothing");
const OpDef optional_has_element = expanded({.type = "OptionalHasElement", .attrs = {}, .since = 15, .min_inputs = 0, .max_inputs = 1},
                                            "whether an optional has an element; always a constant");
const OpDef optional_get_element =
    expanded({.type = "OptionalGetElement", .attrs = {}, .since = 15, .max_inputs = 1}, "the element of an optional");
}  // namespace ops

}  // namespace kiln
