// use: runs a model that needs an operator of a library. Usage: use shrink.so model.onnx   (make_model.py writes the model)
#include <onnx_infer.hpp>

#include <cstdio>

namespace oi = onnx_infer;

int main(int argc, char **argv)
try {
    if (argc != 3) {
        std::fputs("usage: use shrink.so model.onnx\n", stderr);
        return 2;
    }
    oi::Options options;
    options.op_library(argv[1]);
    oi::Context net = oi::Context::open(argv[2], options);
    std::printf("output dims:");
    for (std::int32_t axis = 0; axis < 2; axis++)
        std::printf(" %s", std::string(net.model().outputs().at(0).dim_expr(axis)).c_str());
    std::vector<float> x{-2, -1, -0.5f, 0, 0.5f, 1, 2, 3};
    oi::Value y = net.run1(oi::Tensor::wrap(x, {2, 4}));
    std::printf("\ny:");
    for (float v : y.data<float>())
        std::printf(" %g", static_cast<double>(v));
    std::puts("");
} catch (const std::exception &e) {
    std::fprintf(stderr, "use: %s\n", e.what());
    return 1;
}
