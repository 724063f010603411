// SPDX-License-Identifier: Apache-2.0
// Cross-layer equalisation: where a layer feeds another through nothing but a Relu, LeakyRelu or pool, channel c of the tensor between may
// be divided by any s > 0 and the second layer's weights for it multiplied by s. Source: M. Nagel et al., "Data-Free Quantization Through
// Weight Equalization and Bias Correction", ICCV 2019. Clip, as in ReLU6, does not allow it.
#pragma once

#include "compiler/frontend/onnx_graph.h"

namespace kiln {

/// Equalises all such pairs until nothing changes much. The float results stay the same within rounding. Returns the number of pairs.
size_t equalize_layers(OnnxGraph& graph);

}  // namespace kiln
