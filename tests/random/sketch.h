// SPDX-License-Identifier: Apache-2.0
// An ONNX model that grows node by node, each tried out at once.
//
// A new node is imported and evaluated alone, on the values that its operands have for some sets of inputs. That gives the shapes of
// its results, and tells whether it is fit for comparisons: results must be finite and of moderate size, rounding of the operands must not
// make them uncertain (noise.h), and no comparison, index or conversion to integers may depend on rounding. A node that is not fit is
// rejected: the sketch goes back to where it was.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../model_maker.h"
#include "compiler/support/diagnostics.h"

namespace kiln::test {

/// Thrown where a step does not work out; the sketch is rolled back to before the step.
struct Rejected {
  enum class Why { unfit, refused, invalid };
  Why why = Why::unfit;
  std::string operator_name = {};  ///< of refused and invalid nodes
  std::string message = {};
};

class Sketch {
 public:
  static constexpr size_t kSets = 2;     ///< of inputs
  static constexpr size_t kNoisy = 3;    ///< evaluations of each set besides the exact one
  static constexpr int64_t kMostElements = 3000;

  Sketch(uint32_t seed, int64_t opset) : dice(seed), maker_(opset) {}

  Dice dice;

  // --- values
  struct Info {
    TensorType type;
    std::vector<Tensor> samples;  ///< [set * (1 + kNoisy) + k]; k = 0 is exact. Of a constant only one
    bool constant = false;
    int uses = 0;
  };
  [[nodiscard]] const Info& info(const std::string& name) const { return values_.at(name); }
  [[nodiscard]] const Shape& shape(const std::string& name) const { return info(name).type.shape; }
  [[nodiscard]] int64_t rank(const std::string& name) const { return info(name).type.rank(); }
  [[nodiscard]] DType dtype(const std::string& name) const { return info(name).type.dtype; }
  [[nodiscard]] int64_t opset() const { return maker_.opset(); }
  [[nodiscard]] const std::vector<std::string>& pool() const { return pool_; }

  /// A new model input: floats in [low, high), integers in [low, high].
  std::string input(DType dtype, const Shape& shape, double low = -1, double high = 1);
  std::string constant(const Tensor& tensor);
  /// An input, or now and then a constant.
  std::string fresh(DType dtype, const Shape& shape, double low = -1, double high = 1);
  /// A constant of random elements, as weights are.
  std::string weights(DType dtype, const Shape& shape, double low = -1, double high = 1);
  std::string ints(const std::vector<int64_t>& values) { return constant(Tensor::int64s(values)); }
  std::string number(DType dtype, double value);

  /// The first or all outputs of a new node. Throws Rejected.
  std::string add(const std::string& type, const std::vector<std::string>& inputs, const Attrs& attrs = {}, const std::string& domain = {});
  std::vector<std::string> add_all(const std::string& type, const std::vector<std::string>& inputs, const Attrs& attrs, int outputs,
                                   const std::string& domain = {});

  /// Lets `name` be computed for nobody: unless a later node takes it, it reaches no output.
  void abandon(const std::string& name) { ++values_.at(name).uses; }

  // --- choosing operands
  /// A value for which `fits`, newer ones more often; empty where there is none.
  std::string find(const std::function<bool(const Info&)>& fits);
  /// A value of the type, of any shape that fits; a new one where there is none, and sometimes otherwise.
  std::string any(DType dtype, int64_t min_rank = 0, int64_t max_rank = 5);
  /// A value of rank 3 or 4 [N,C,...]; 2 spatial dimensions: of rank 4.
  std::string image(DType dtype, int64_t spatial = 0, int64_t min_size = 1);
  /// A value that broadcasts against `v` and does not enlarge it.
  std::string partner(const std::string& v, double low = -1, double high = 1);
  /// A value of that very shape and type.
  std::string like(const std::string& v, double low = -1, double high = 1);
  /// `v` if its elements are in [low, high], else something made of it by bounded functions that is.
  std::string within(const std::string& v, double low, double high);
  Shape random_shape(int64_t min_rank, int64_t max_rank);
  int64_t axis(const std::string& v);  ///< of a value of rank at least 1; may be negative
  bool chance(double p) { return static_cast<double>(dice.real(0, 1)) < p; }
  template <class T>
  const T& pick(const std::vector<T>& list) {
    return list[static_cast<size_t>(dice.between(0, static_cast<int64_t>(list.size()) - 1))];
  }

  /// Runs `step`; when it throws Rejected, its nodes are dropped and false is returned.
  bool attempt(const std::function<void(Sketch&)>& step);
  /// Why the last attempt failed.
  [[nodiscard]] const Rejected& rejected() const { return rejected_; }

  /// The model with all unused values, and some used ones, as outputs. The inputs of each set are those that the nodes were tried with.
  std::string finish();
  [[nodiscard]] std::vector<std::vector<Tensor>> input_sets() const;
  /// The types of the nodes so far: "Conv Relu com.microsoft::Gelu".
  [[nodiscard]] std::vector<std::string> node_types() const;

 private:
  void remember(const std::string& name, Info info);
  /// Results of the newest node. Throws Rejected.
  void try_newest(const std::vector<std::string>& outputs);
  Tensor random_tensor(DType dtype, const Shape& shape, double low, double high);

  ModelMaker maker_;
  std::map<std::string, Info> values_;
  std::vector<std::string> pool_;  ///< names in the order of their making
  Rejected rejected_;
  int inputs_ = 0;
};

}  // namespace kiln::test
