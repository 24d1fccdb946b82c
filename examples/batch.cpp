// batch: a network whose batch the model leaves open. What shapes and memory it will take is asked before anything runs; then
// batches of changing size go through one context.
// Usage: batch tests/data/seed-models/simple_cnn/model.onnx
#include <onnx_infer.hpp>

#include <cstdio>

namespace oi = onnx_infer;

int main(int argc, char **argv)
try {
    oi::Model model = oi::Model::load(argc > 1 ? argv[1] : "model.onnx");
    oi::Options options;
    options.symbol_range(std::string(model.symbols().at(0)), 1, 4, 16); // 1 to 16, mostly 4
    oi::Plan plan = oi::Plan::create(model, options);
    std::printf("%s up to 16: activations take %.0f kB\n", std::string(model.symbols()[0]).c_str(),
                static_cast<double>(plan.memory().arena_peak) / 1024);

    oi::Context net = oi::Context::create(plan);
    for (std::int64_t n : {4, 1, 16, 4}) {
        const std::vector<std::vector<std::int64_t>> inputs{model.inputs().at(0).shape(n)};
        const std::vector<std::int64_t> expected = plan.output_shape({inputs.data(), 1});
        std::vector<float> x(static_cast<std::size_t>(n) * 28 * 28, 0.5f);
        oi::Value y = net.run1(oi::Tensor::wrap(x, inputs[0]));
        std::printf("batch %2lld: %lld x %lld scores, as foretold: %s\n", static_cast<long long>(n),
                    static_cast<long long>(y.shape()[0]), static_cast<long long>(y.shape()[1]),
                    y.shape()[0] == expected[0] && y.shape()[1] == expected[1] ? "yes" : "no");
    }
    try {
        std::vector<float> x(17 * 28 * 28);
        static_cast<void>(net.run1(oi::Tensor::wrap(x, {17, 1, 28, 28})));
    } catch (const oi::error &e) {
        std::printf("batch 17: %s: symbol %s, got %lld\n", e.name(), e.symbol.c_str(), static_cast<long long>(e.got));
    }
} catch (const std::exception &e) {
    std::fprintf(stderr, "batch: %s\n", e.what());
    return 1;
}
