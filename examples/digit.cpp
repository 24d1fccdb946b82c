// digit: what a small network sees in a 28x28 picture of a digit: the model's ports and symbols, a fixed batch, model, plan
// and context one by one, grey pixels to a tensor, scores to probabilities.
// Usage: digit MODEL   (any network from floats [N,1,28,28] to scores [N,classes])
#include <onnx_infer_image.hpp>

#include <cstdio>

namespace oi = onnx_infer;

// A seven; each character is a square of two by two pixels.
static const char *const seven[14] = {"..............", "..............", "...########...", "...########...", ".........##...",
                                      "........##....", "........##....", ".......##.....", ".......##.....", "......##......",
                                      "......##......", "......##......", "..............", ".............."};

static void print(const char *what, const oi::Port &port)
{
    std::printf("%s %s:", what, std::string(port.name()).c_str());
    for (std::int32_t axis = 0; axis < port.rank(); axis++)
        std::printf(" %s", std::string(port.dim_expr(axis)).c_str());
    std::puts("");
}

int main(int argc, char **argv)
try {
    oi::Model model = oi::Model::load(argc > 1 ? argv[1] : "model.onnx");
    print("input", model.inputs().at(0));
    print("output", model.outputs().at(0));

    oi::Options options; // the batch is known, so all of the planning is done before the first run
    options.input_shape(std::string(model.inputs()[0].name()), {1, 1, 28, 28});
    oi::Context net = oi::Context::create(oi::Plan::create(model, options));

    std::vector<std::uint8_t> pixels;
    for (std::size_t i = 0; i < 28 * 28; i++)
        pixels.push_back(seven[i / 28 / 2][i % 28 / 2] == '#' ? 255 : 0);
    oi::image::Recipe recipe = oi::image::Recipe::unit(28, 28);
    recipe.order = oi::image::Order::grey;
    oi::Value scores = net.run1(oi::image::tensor({pixels.data(), 28, 28, oi::image::Order::grey}, recipe));

    for (const auto &best : oi::image::top_k(oi::image::softmax(scores.data<float>()), 3))
        std::printf("class %zu: %.3f\n", best.index, static_cast<double>(best.score));
} catch (const std::exception &e) {
    std::fprintf(stderr, "digit: %s\n", e.what());
    return 1;
}
