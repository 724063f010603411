// SPDX-License-Identifier: Apache-2.0
// Cross-layer equalisation: where a layer feeds another through nothing but a Relu, LeakyRelu or pool, channel c of the tensor between may
// be divided by any s > 0 and the second layer's weights for it multiplied by s. Source: M. Nagel et al., "Data-Free Quantization Through
// Weight Equalization and Bias Correction", ICCV 2019. Clip, as in ReLU6, does not allow it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/frontend/onnx_graph.h"
#include "compiler/quantize/simulation.h"

namespace kiln {

/// Largest magnitude of each channel, by tensor.
using ChannelReach = std::map<std::string, std::vector<double>>;

/// Of the results of Conv, Gemm and MatMul layers of `graph`, which is imported from `model`. Errors: those of evaluating.
Result<ChannelReach> channel_reach(const Graph& graph, const OnnxGraph& model, const std::vector<Sample>& samples);

/// Equalises all such pairs until nothing changes much. The float results stay the same within rounding. Returns the number of pairs.
/// No channel is made to reach further than the furthest channel of its tensor does in `reach`: a channel that little is made of may have a
/// large bias.
size_t equalize_layers(OnnxGraph& graph, const ChannelReach& reach);

}  // namespace kiln
