// linear_cpp: the same as linear.c with onnx_infer.hpp: handles free themselves, failures are exceptions.
// Usage: linear_cpp tests/data/seed-models/dummy_cell/model.onnx
#include <onnx_infer.hpp>

#include <cstdio>

int main(int argc, char **argv)
try {
    std::vector<float> x{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    onnx_infer::Context net = onnx_infer::Context::open(argc > 1 ? argv[1] : "model.onnx");
    onnx_infer::Value y = net.run1(onnx_infer::Tensor::wrap(x, {3, 4}));
    for (std::size_t i = 0; i < y.count(); i++)
        std::printf("%9.5f%c", y.data<float>()[i], i % 4 == 3 ? '\n' : ' ');
} catch (const onnx_infer::error &e) {
    std::fprintf(stderr, "linear_cpp: %s\n", e.what());
    return 1;
}
