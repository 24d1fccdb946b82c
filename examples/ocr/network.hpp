// One loaded network: a thin C++ cover over onnx_infer.h that turns failures into exceptions and frees what
// it holds.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <onnx_infer.h>

namespace ocr
{

inline void check(onnx_infer_status status)
{
    if (status != ONNX_INFER_OK)
        throw std::runtime_error(std::string(onnx_infer_status_name(status)) + ": " +
                                 onnx_infer_error_message(onnx_infer_last_error()));
}

template <auto Free> struct FreeWith {
    template <class T> void operator()(T *p) const
    {
        Free(p);
    }
};
using Value = std::unique_ptr<onnx_infer_value, FreeWith<onnx_infer_value_release>>;
using Options = std::unique_ptr<onnx_infer_options, FreeWith<onnx_infer_options_free>>;
using Context = std::unique_ptr<onnx_infer_context, FreeWith<onnx_infer_context_free>>;

// Floats with their shape, owned by the value that the engine made.
class Tensor
{
  public:
    explicit Tensor(Value value) : value_(std::move(value))
    {
        if (onnx_infer_tensor_dtype(value_.get()) != ONNX_INFER_FLOAT)
            throw std::runtime_error("the network's output does not hold floats");
    }
    int rank() const
    {
        return onnx_infer_tensor_rank(value_.get());
    }
    int64_t dim(int axis) const
    {
        return onnx_infer_tensor_dims(value_.get())[axis];
    }
    const float *data() const
    {
        return static_cast<const float *>(onnx_infer_tensor_data(value_.get()));
    }

  private:
    Value value_;
};

// A network with one input of floats and one output of floats.
class Network
{
  public:
    // threads 0: as many as the machine gives.
    Network(const std::string &path, int threads)
    {
        onnx_infer_options *options = nullptr;
        check(onnx_infer_options_create(&options));
        Options owner(options);
        check(onnx_infer_options_set_threads(options, threads));
        onnx_infer_context *context = nullptr;
        check(onnx_infer_context_open(path.c_str(), options, &context));
        context_.reset(context);
    }

    // Runs on `input`, which holds as many floats as `dims` says and is only read.
    Tensor run(std::vector<float> &input, const std::vector<int64_t> &dims)
    {
        onnx_infer_value *in = nullptr, *out = nullptr;
        check(onnx_infer_tensor_wrap(ONNX_INFER_FLOAT, static_cast<int32_t>(dims.size()), dims.data(),
                                     input.data(), input.size() * sizeof(float), nullptr, nullptr, &in));
        Value in_owner(in);
        const onnx_infer_value *inputs[] = {in};
        check(onnx_infer_run(context_.get(), nullptr, 1, inputs, 1, &out));
        return Tensor(Value(out));
    }

    // The value of a metadata key of the model file.
    std::string metadata(const std::string &wanted) const
    {
        const onnx_infer_model *model = onnx_infer_plan_model(onnx_infer_context_plan(context_.get()));
        for (size_t i = 0; i < onnx_infer_model_metadata_count(model); i++) {
            const char *key = nullptr, *value = nullptr;
            check(onnx_infer_model_metadata(model, i, &key, &value));
            if (wanted == key)
                return value;
        }
        throw std::runtime_error("the model has no metadata named \"" + wanted + "\"");
    }

  private:
    Context context_;
};

} // namespace ocr
